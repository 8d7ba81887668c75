"""The two doors to a batch engine: a Gymnasium `Env` over one copy, a `VectorEnv` over n copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from operator import index
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from .engine import BatchEngine, Snapshot
from .errors import FieldError, UnknownNameError
from .instance import require_integer
from .random import episode_seed
from .spec import ObservationSpec

Observation = dict[str, NDArray[Any]]


def _check_reset_options(options: dict[str, Any] | None) -> Any:
    """The instance (name or object) asked for at a reset, or None."""
    if not options:
        return None
    for key in options:
        if key != "instance":
            raise UnknownNameError("reset option", key, ["instance"])
    return options.get("instance")


def _check_seed(seed: Any) -> int:
    return require_integer("seed", seed, 0, 2**63 - 1)


def _as_integer(action: Any) -> int:
    """An action that is no integer by itself: an array of one integer, or a mistake."""
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu" or not abs(int(array.item())) < 2**63:
        raise FieldError("action", action, "an integer")
    return int(array.item())


def _worlds(seeds: NDArray[np.int64], episodes: NDArray[np.int64]) -> list[int]:
    return [int(episode_seed(seed, episode)) for seed, episode in zip(seeds, episodes, strict=True)]


def _final_info(engine: BatchEngine, copy: int) -> dict[str, Any]:
    """What `info` holds of an episode that has ended."""
    return {
        "objective": engine.objectives()[copy].item(),
        "metrics": engine.metrics(copy),
        "seed": int(engine.seeds[copy]),
        "instance": engine.instance_name(copy),
        "reward_scale": engine.reward_scale(copy),
    }


class SchedulingEnv(gymnasium.Env[Observation, np.int64]):
    """One copy of a problem behind Gymnasium's `Env`.

    A subclass names the engine's maker; its options are the keywords of the registered id.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}
    make_engine: ClassVar[Callable[..., BatchEngine]]

    def __init__(self, render_mode: str | None = None, on_illegal: str = "terminate", **options: Any) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise FieldError("option render_mode", render_mode, f"one of {self.metadata['render_modes']} or None")
        if on_illegal not in ("terminate", "raise"):
            raise FieldError("option on_illegal", on_illegal, "'terminate' or 'raise'")
        self.render_mode = render_mode
        self.on_illegal = on_illegal
        self.engine: BatchEngine = type(self).make_engine(num_copies=1, record=True, **options)
        self.observation_space = deepcopy(self.engine.layout.space)  # pyright: ignore[reportAttributeAccessIssue]
        self.action_space: spaces.Discrete = spaces.Discrete(  # pyright: ignore[reportIncompatibleVariableOverride]
            self.engine.sizes.actions
        )
        self._seed: int | None = None
        self._episode = 0
        self._ended = False
        self._action = np.zeros(1, dtype=np.int64)

    @property
    def observation_spec(self) -> ObservationSpec:
        """What an observation holds."""
        return self.engine.spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: the episode's world; without one, the next episode of the seed given last (or of a random one).
            options: ``{"instance": NAME}`` picks an instance.
        """
        if seed is not None:
            seed = _check_seed(seed)
        super().reset(seed=seed)
        instance = _check_reset_options(options)
        if seed is not None:
            first, episode = seed, 0
        elif self._seed is None:
            first, episode = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 2), 0
        else:
            first, episode = self._seed, self._episode + 1
        world = int(episode_seed(first, episode))
        self.engine.reset([world], instances=None if instance is None else [instance])
        self._seed, self._episode, self._ended = first, episode, False
        observation = self.engine.block.single()
        return observation, {
            "action_mask": observation["action_mask"],
            "seed": world,
            "instance": self.engine.instance_name(0),
            "reward_scale": self.engine.reward_scale(0),
        }

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action.

        Raises:
            FieldError: the action is no integer.
            ValueError: the action is illegal and `on_illegal` is "raise". Nothing has changed in either case.
        """
        if self._seed is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        # Whoever restores the engine may go on from before the end.
        if self._ended and not self.engine.is_running()[0]:
            raise gymnasium.error.ResetNeeded("the episode has ended: call reset before step")
        engine = self.engine
        self._write_action(action)
        outcome = engine.step(self._action, check=self.on_illegal == "raise")
        observation = engine.block.single()
        info: dict[str, Any] = {"elapsed": float(outcome.elapsed[0]), "action_mask": observation["action_mask"]}
        terminated, truncated = bool(outcome.terminated[0]), bool(outcome.truncated[0])
        self._ended = terminated or truncated
        if self._ended:
            info.update(_final_info(engine, 0))
            info["illegal_action"] = info["metrics"]["status"] == "illegal"
        return observation, float(outcome.reward[0]), terminated, truncated, info

    def _write_action(self, action: Any) -> None:
        """Write an action into `_action`, which the engine is handed.

        Raises:
            FieldError: it is no action of this environment's kind.
        """
        try:
            self._action[0] = index(action)
        except (TypeError, OverflowError):
            self._action[0] = _as_integer(action)

    def action_masks(self) -> NDArray[np.bool_]:
        """bool [A]: which actions are legal now."""
        return self.engine.masks[0].astype(np.bool_)

    def snapshot(self) -> tuple[Snapshot, int | None, int]:
        """The present and its hidden future, for `restore`: for resuming, not for planning, which gets `imagine`."""
        return self.engine.snapshot(), self._seed, self._episode

    def restore(self, snapshot: tuple[Snapshot, int | None, int]) -> None:
        """Go back to a snapshot of this copy."""
        state, self._seed, self._episode = snapshot
        self.engine.restore(state)
        self._ended = not bool(self.engine.is_running()[0])

    def schedule(self) -> Any:
        """The schedule of the episode so far, as data."""
        return self.engine.schedule(0)

    def instances(self) -> list[str]:
        """Names of the instances that ship with the problem."""
        return []

    def bound(self, instance: Any) -> float | None:
        """A proved bound on the objective of an instance, if one is known."""
        return None

    def best_known(self, instance: Any) -> float | None:
        """The best objective known for an instance, if any."""
        return None

    def imagine(self, keys: ArrayLike) -> BatchEngine:
        """An engine of len(keys) copies of the present, each with its hidden future drawn anew from its key."""
        keys = np.atleast_1d(np.asarray(keys, dtype=np.uint64))
        return self.engine.imagine(np.zeros(len(keys), dtype=np.int64), keys)


class SchedulingVectorEnv(VectorEnv[Observation, NDArray[np.int64], NDArray[Any]]):
    """n copies of a problem behind Gymnasium's `VectorEnv`, with same-step autoreset and no Python per copy."""

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
    make_engine: ClassVar[Callable[..., BatchEngine]]

    def __init__(
        self,
        num_envs: int = 1,
        on_illegal: str = "terminate",
        render_mode: str | None = None,
        record: bool = False,
        threads: int = 1,
        **options: Any,
    ) -> None:
        if on_illegal not in ("terminate", "raise"):
            raise FieldError("option on_illegal", on_illegal, "'terminate' or 'raise'")
        if render_mode is not None:
            raise FieldError("option render_mode", render_mode, "None: draw with the single environment")
        self.num_envs = num_envs
        self.render_mode = None
        self.on_illegal = on_illegal
        self.engine: BatchEngine = type(self).make_engine(
            num_copies=num_envs, record=record, threads=threads, **options
        )
        self.single_observation_space = deepcopy(self.engine.layout.space)
        self.single_action_space = spaces.Discrete(self.engine.sizes.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds: NDArray[np.int64] | None = None
        self._episodes = np.zeros(num_envs, dtype=np.int64)

    @property
    def observation_spec(self) -> ObservationSpec:
        """What an observation holds."""
        return self.engine.spec

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every copy: copy i gets seed + i, or seed[i] of a list.

        ``options={"instance": NAME}`` picks an instance for all copies, a list of names one for each.
        """
        instance = _check_reset_options(options)
        n = self.num_envs
        if seed is None:
            given: list[Any] = [None] * n
        elif isinstance(seed, Sequence) or np.ndim(seed) > 0:
            given = list(seed)  # pyright: ignore[reportArgumentType]
            if len(given) != n:
                raise FieldError("seed", seed, f"one seed, or a list of {n}")
        else:
            first = _check_seed(seed)
            given = [first + i for i in range(n)]
        if self._seeds is None:
            fresh = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 2)
            seeds, episodes = fresh + np.arange(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        else:
            seeds, episodes = self._seeds.copy(), self._episodes + 1
        for copy, value in enumerate(given):
            if value is not None:
                seeds[copy], episodes[copy] = _check_seed(value), 0
        instances: Sequence[Any] | None = None
        if instance is not None:
            instances = list(instance) if isinstance(instance, list | tuple) else [instance] * n
            if len(instances) != n:
                raise FieldError("reset option instance", instances, f"one instance, or a list of {n}")
        self.engine.reset(_worlds(seeds, episodes), instances=instances)
        self._seeds, self._episodes = seeds, episodes
        observation = self.engine.block.copies()
        return observation, {
            "action_mask": observation["action_mask"],
            "seed": self.engine.seeds.copy(),
            "_seed": np.ones(n, dtype=np.bool_),
        }

    def step(
        self, actions: ArrayLike
    ) -> tuple[Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Play one action in every copy; a copy whose episode ends begins its next one in the same step.

        Raises:
            FieldError: the actions are no integers.
            ValueError: an action is illegal and `on_illegal` is "raise". Nothing has changed in either case.
        """
        if self._seeds is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        engine = self.engine
        outcome = engine.step(actions, check=self.on_illegal == "raise")
        reward, terminated, truncated = outcome.reward.copy(), outcome.terminated.copy(), outcome.truncated.copy()
        info: dict[str, Any] = {"elapsed": outcome.elapsed.copy()}
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            self._reset_ended(ended, info)
        observation = engine.block.copies()
        info["action_mask"] = observation["action_mask"]
        return observation, reward, terminated, truncated, info

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that the copies are in the middle of, for `restore`."""
        assert self._seeds is not None
        arrays = {f"engine{number:02d}": array for number, array in enumerate(self.engine.snapshot().arrays)}
        return {**arrays, "seeds": self._seeds.copy(), "episodes": self._episodes.copy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a snapshot of this environment or of another one with the same options and number of copies.

        Raises:
            ValueError: the arrays are not such a snapshot.
        """
        names = sorted(name for name in arrays if name.startswith("engine"))
        snapshot = Snapshot(tuple(arrays[name] for name in names))
        shapes = [array.shape for array in self.engine.snapshot().arrays]
        if [array.shape for array in snapshot.arrays] != shapes or not {"seeds", "episodes"} <= set(arrays):
            raise ValueError("the arrays are not a snapshot of such an environment")
        self.engine.restore(snapshot)
        self._seeds, self._episodes = arrays["seeds"].copy(), arrays["episodes"].copy()

    def _reset_ended(self, ended: NDArray[np.int64], info: dict[str, Any]) -> None:
        """Hand out what ended episodes leave, then begin the next ones."""
        n = self.num_envs
        final_obs = np.full(n, None, dtype=object)
        final_info: dict[str, Any] = {}
        had = np.zeros(n, dtype=np.bool_)
        had[ended] = True
        for copy in ended.tolist():
            final_obs[copy] = self.engine.block.row(copy)
            entry = _final_info(self.engine, copy)
            entry["illegal_action"] = entry["metrics"]["status"] == "illegal"
            entry["elapsed"] = float(self.engine.outcome.elapsed[copy])
            final_info = self._add_info(final_info, entry, copy)
        self._episodes[ended] += 1
        assert self._seeds is not None
        self.engine.reset(_worlds(self._seeds[ended], self._episodes[ended]), copies=ended)
        info.update(final_obs=final_obs, _final_obs=had, final_info=final_info, _final_info=had.copy())

    def _add_info(self, vector_infos: dict[str, Any], env_info: dict[str, Any], env_num: int) -> dict[str, Any]:
        """Add what one copy tells to what all tell, as Gymnasium does; but there the first copy's value says what all
        can be: a later None is an error after an integer and NaN after a float, and a later 3.7 is 3."""
        for key, value in env_info.items():
            array = vector_infos.get(key)
            if isinstance(array, np.ndarray) and not isinstance(value, np.ndarray):
                vector_infos[key] = _widened(array, value, vector_infos[f"_{key}"])
        return super()._add_info(vector_infos, env_info, env_num)

    def action_masks(self) -> NDArray[np.bool_]:
        """bool [n, A]: which actions are legal now."""
        return self.engine.masks.astype(np.bool_)


def _widened(array: NDArray[Any], value: Any, had: NDArray[np.bool_]) -> NDArray[Any]:
    """An array of what copies tell that can hold one more value; `had` says which copies have told something."""
    if array.dtype == object:
        return array
    if not isinstance(value, bool | int | float | np.generic):
        objects = np.full(len(array), None, dtype=object)
        objects[had] = array[had].tolist()
        return objects
    return array.astype(np.promote_types(array.dtype, np.asarray(value).dtype))
