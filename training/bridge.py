"""From the suite's environments to Stable-Baselines3's `VecEnv`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ..agents.arena import has_engine
from ..agents.foresight import Foresight, training_keys
from ..envs.core.env import SchedulingVectorEnv
from ..envs.core.errors import UserError
from ..envs.core.ids import find_env, make_single, single_creator, takes_option
from ..envs.core.random import RESERVED_SEEDS, combine

_SET_HERE = (
    *inspect.signature(gymnasium.make_vec).parameters,
    *("on_illegal", "record", "threads", "render_mode", "disable_env_checker"),
)
_TAG = int.from_bytes(b"training", "big")


def make_vector_env(env_id: str, copies: int, options: dict[str, Any]) -> VectorEnv[Any, Any, Any]:
    """n copies of an environment with same-step autoreset: in one engine, or plain Python objects one by one.

    Illegal actions raise where the environment offers that.

    Raises:
        UserError: the id is unknown, or an option is wrong or one that is set here.
    """
    refuse_options_set_here(env_id, options)
    if has_engine(env_id):
        return gymnasium.make_vec(env_id, num_envs=copies, on_illegal="raise", **options)
    if takes_option(single_creator(find_env(env_id)), "on_illegal"):
        options = {**options, "on_illegal": "raise"}
    makers = [lambda: make_single(env_id, options) for _ in range(copies)]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP, observation_mode="different")


def refuse_options_set_here(env_id: str, options: Mapping[str, Any]) -> None:
    """Raise where an environment's options hold one that training sets.

    Raises:
        UserError: they do.
    """
    for name in options:
        if name in _SET_HERE:
            raise UserError(f"option {name!r} of {env_id} cannot be given to training, which sets it itself")


def training_seed(seed: int, decisions: int = 0) -> int:
    """The seed of the first copy when a run begins, or begins new episodes after so many decisions.

    No user types it: whoever plays the seeds 0, 1, ... of the same environment meets worlds that training has not seen.
    """
    return RESERVED_SEEDS + (int(combine(np.uint64(combine(_TAG, seed)), decisions)) >> 3)


class Bridge(VecEnv):
    """A vector environment of the suite as Stable-Baselines3 wants it.

    What Stable-Baselines3 has no place for is kept here for our rollout buffer.

    Attributes:
        elapsed: float64 [n], simulated time of the last step.
        truncated: bool [n], which copies were cut at the last step.
        bootstrap: float64 [n], value of the state at which a copy was cut, else 0; set by whoever has a value network.
        observation: the last one as the environment gave it, without what is foreseen, arrays [n, ...].
        ended: bool [n], whose episode ended at the last step.
        finished: objectives of the episodes that ended since `take_finished` was called.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.steps = 0
        self._foresight: Foresight | None = None
        self._sign = 1
        self._stream = 0
        self._foreseen, self._scales = np.zeros(env.num_envs), np.ones(env.num_envs)
        self._masks = np.ones((env.num_envs, int(env.single_action_space.n)), dtype=np.bool_)  # type: ignore[attr-defined]
        self._actions: NDArray[np.int64] = np.zeros(env.num_envs, dtype=np.int64)
        self.elapsed = np.zeros(env.num_envs)
        self.truncated = np.zeros(env.num_envs, dtype=np.bool_)
        self.bootstrap = np.zeros(env.num_envs)
        self.observation: dict[str, NDArray[Any]] = {}
        self.ended = np.zeros(env.num_envs, dtype=np.bool_)
        self.finished: list[float] = []
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def foresee(self, foresight: Foresight, sign: int, stream: int) -> None:
        """From now on add foresight's features to observations, and reward what turns out better than foreseen.

        A reward is then the fall of the foreseen cost over the reward scale, at the end of an episode to the cost
        that it had: they sum to the cost foreseen at the start less that of the end (potential-based shaping; Ng,
        Harada & Russell, "Policy invariance under reward transformations", ICML 1999), and tell much earlier what an
        action was worth.

        Args:
            foresight: of the environment, which has an engine.
            sign: of the objective as a cost (see `Setting.sign`).
            stream: what the imagined worlds are drawn from, with the number of steps.
        """
        self._foresight, self._sign, self._stream = foresight, sign, stream
        assert isinstance(self.observation_space, spaces.Dict)
        self.observation_space = foresight.space(self.observation_space)

    def _look(self, observation: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Add what is foreseen to an observation."""
        if self._foresight is None:
            return observation
        keys = training_keys(self._stream, self.num_envs, self.steps)
        engine = cast("SchedulingVectorEnv", self.env).engine
        unused = np.zeros(self.num_envs, dtype=np.int64)
        found = self._foresight.look(engine.imagine, observation, observation["action_mask"], keys, unused)
        self._foreseen, self._scales = found.costs, found.scales
        return found.observation

    def reset(self) -> dict[str, NDArray[Any]]:  # type: ignore[override]
        seed = self._seeds[0]
        observation, _ = self.env.reset(seed=seed)
        self._reset_seeds()
        return self.resume(observation, self.steps)

    def resume(self, observation: dict[str, NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        """Go on with episodes that the environment already stands in, after so many steps; the whole observation."""
        self.steps = steps
        self.observation = observation
        observation = self._look(observation)
        self.ended = np.zeros(self.num_envs, dtype=np.bool_)
        self._masks = observation["action_mask"].astype(np.bool_)
        return observation

    def step_async(self, actions: NDArray[np.int64]) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        self.steps += 1
        self.observation = observation
        if self._foresight is not None:
            observation, reward = self._look_and_reward(observation, terminated, truncated, info)
        self._masks = observation["action_mask"].astype(np.bool_)
        self.elapsed = np.asarray(info.get("elapsed", np.ones(self.num_envs)), dtype=np.float64)
        self.truncated = truncated & ~terminated
        self.bootstrap = np.zeros(self.num_envs)
        done = self.ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for copy in np.flatnonzero(done).tolist():
            self.finished.append(float(info["final_info"]["objective"][copy]))
            # Its own place: Stable-Baselines3's bootstrap would discount by steps instead of time.
            last = info["final_obs"][copy]
            infos[copy]["final_observation"] = last if self._foresight is None else self._foresight.blind(last)
        if done.any() and "elapsed" in info.get("final_info", {}):
            last = np.asarray(info["final_info"]["elapsed"], dtype=np.float64)
            self.elapsed = np.where(done, last, self.elapsed)
        return observation, reward.astype(np.float32), done, infos

    def _look_and_reward(
        self,
        observation: dict[str, NDArray[Any]],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
        """The observation with what is foreseen, and by how much that is better than it was before the step."""
        before, scales = self._foreseen, self._scales
        observation = self._look(observation)
        after = self._foreseen.copy()
        for copy in np.flatnonzero(terminated | truncated).tolist():
            # Of an episode that is cut nobody knows the cost: it counts as what was foreseen.
            after[copy] = self._sign * info["final_info"]["objective"][copy] if terminated[copy] else before[copy]
        return observation, (before - after) / scales

    def take_finished(self) -> list[float]:
        """Objectives of the episodes that ended since the last call."""
        finished, self.finished = self.finished, []
        return finished

    def close(self) -> None:
        self.env.close()

    def action_masks(self) -> NDArray[np.bool_]:
        """bool [n, A]."""
        return self._masks

    def _indices(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        value = getattr(self, attr_name) if attr_name == "action_masks" else getattr(self.env, attr_name)
        return [value for _ in self._indices(indices)]

    def has_attr(self, attr_name: str) -> bool:
        return attr_name == "action_masks" or hasattr(self.env, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"attribute {attr_name!r} cannot be set on copies of one engine")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        if method_name != "action_masks":
            raise AttributeError(f"copies of one engine have no method {method_name!r} of their own")
        return [self._masks[index] for index in self._indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._indices(indices)]
