"""Small control tasks behind the contract: plain Python environments without nodes, to test algorithms on."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from makespan.envs.core.spec import Feature, ObservationSpec, Sizes

CART_POLE, LOCK, SHORT_LOCK = "control/CartPole-v0", "control/Lock-v0", "control/ShortLock-v0"


class _Control(gymnasium.Env[dict[str, Any], int]):
    """What both tasks share: observations of globals and two or three actions that are always legal."""

    observation_spec: ObservationSpec
    actions: int
    action_space: Any
    _seed = 0

    def __init__(self) -> None:
        self.observation_space = self.observation_spec.space(Sizes({}, {}, self.actions))
        self.action_space = gymnasium.spaces.Discrete(self.actions)

    def action_masks(self) -> Any:
        return np.ones(self.actions, dtype=np.bool_)

    def _observe(self, state: Any) -> dict[str, Any]:
        one_hot = np.eye(self.actions, dtype=np.float32)
        return {
            "globals": np.asarray(state, dtype=np.float32),
            "actions/nodes": np.zeros((self.actions, 0), dtype=np.int32),
            "actions/features": one_hot,
            "action_mask": np.ones(self.actions, dtype=np.int8),
        }

    def _info(self, observation: dict[str, Any], ended: bool, objective: float) -> dict[str, Any]:
        info: dict[str, Any] = {"elapsed": 1.0, "action_mask": observation["action_mask"]}
        if ended:
            info.update(objective=objective, metrics={}, seed=self._seed, instance="")
        return info


class CartPole(_Control):
    """Gymnasium's CartPole-v1; the objective is how many steps the pole stays up, 500 at most."""

    metadata: dict[str, Any] = {"render_modes": [], "objective": {"name": "steps", "unit": "1", "sense": "max"}}
    observation_spec = ObservationSpec(
        nodes=(),
        edges=(),
        globals=tuple(Feature(name, low=-2.0, high=2.0) for name in ("place", "speed", "angle", "turn")),
        action_nodes=(),
        action_features=(Feature("left"), Feature("right")),
    )
    actions = 2

    def __init__(self) -> None:
        super().__init__()
        self._inner = gymnasium.make("CartPole-v1")
        self._steps = 0

    def _scaled(self, state: Any) -> dict[str, Any]:
        return self._observe(np.clip(state / np.array([2.4, 2.0, 0.21, 2.0]), -2.0, 2.0))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._seed = 0 if seed is None else int(seed)
        self._steps = 0
        state, _ = self._inner.reset(seed=int(self.np_random.integers(2**31)))
        observation = self._scaled(state)
        return observation, {"action_mask": observation["action_mask"], "seed": self._seed}

    def step(self, action: int) -> Any:
        state, _, terminated, truncated, _ = self._inner.step(int(action))
        self._steps += 1
        observation = self._scaled(state)
        info = self._info(observation, terminated or truncated, float(self._steps))
        return observation, 1.0, bool(terminated), bool(truncated), info


class Lock(_Control):
    """A lock of some turns in three directions that only one sequence opens, drawn anew in each episode and shown.

    The last turn alone is rewarded, by the number of right turns from the first on; the first direction always pays a
    little at once, which is a trap. Whoever looks one turn ahead takes it.
    """

    metadata: dict[str, Any] = {"render_modes": [], "objective": {"name": "reward", "unit": "1", "sense": "max"}}
    observation_spec = ObservationSpec(
        nodes=(),
        edges=(),
        globals=(*(Feature(f"turn{number}") for number in range(16)), Feature("good")),
        action_nodes=(),
        action_features=(Feature("left"), Feature("middle"), Feature("right")),
    )
    actions = 3
    turns = 4

    def _state(self) -> dict[str, Any]:
        shown = np.zeros((4, 4), dtype=np.float32)
        shown[np.arange(4), self._right] = 1.0
        shown[: self._turn, 3] = 1.0
        return self._observe([*shown.ravel(), self._good / 4])

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._seed = 0 if seed is None else int(seed)
        self._right = self.np_random.integers(0, 3, 4)
        self._turn, self._good, self._total = 0, 0, 0.0
        observation = self._state()
        return observation, {"action_mask": observation["action_mask"], "seed": self._seed}

    def step(self, action: int) -> Any:
        reward = 0.1 * (action == 0)
        self._good += self._good == self._turn and action == self._right[self._turn]
        self._turn += 1
        ended = self._turn == self.turns
        reward += 0.5 * self._good * ended
        self._total += reward
        observation = self._state()
        return observation, float(reward), ended, False, self._info(observation, ended, float(self._total))


class ShortLock(Lock):
    """A lock of which only the first two turns count."""

    turns = 2


def register() -> None:
    """Make the ids known."""
    for name, kind in ((CART_POLE, "CartPole"), (LOCK, "Lock"), (SHORT_LOCK, "ShortLock")):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=f"support.control:{kind}")
