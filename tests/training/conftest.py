"""Plain Python environments small enough to be learned within a second or two, and tiny runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from makespan.envs.core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes
from makespan.training.config import TrainConfig

SPEC = ObservationSpec(
    nodes=(NodeType("door", (Feature("open"),)),),
    edges=(EdgeType("beside", "door", "door"),),
    globals=(Feature("left"),),
    action_nodes=("door",),
    action_features=(Feature("noise"),),
    time_scale=2.0,
)
DOORS, STEPS = 4, 5


class Doors(gymnasium.Env[Any, Any]):
    """Walk through the open door, five times; one door is bolted (masked). What is open stands at the node alone.

    Args:
        limit: steps after which an episode is truncated.
        broken: end with an objective that is no number.
    """

    metadata: dict[str, Any] = {
        "render_modes": [],
        "objective": {"name": "bumps", "unit": "doors", "sense": "min"},
    }
    observation_spec = SPEC

    def __init__(self, limit: int = STEPS + 1, broken: bool = False) -> None:
        self.limit, self.broken = limit, broken
        self._space = SPEC.space(Sizes({"door": DOORS}, {"beside": DOORS}, DOORS))
        self.observation_space = self._space
        self.action_space = spaces.Discrete(DOORS)
        self.steps = self.bumps = 0
        self.world = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.world = int(self.np_random.integers(2**62, 2**63)) if seed is None else seed
        self.steps = self.bumps = 0
        self._draw()
        return self._observe(), {}

    def _draw(self) -> None:
        self.open, self.bolted = (int(door) for door in self.np_random.choice(DOORS, 2, replace=False))

    def action_masks(self) -> np.ndarray:
        return np.arange(DOORS) != self.bolted

    def _observe(self) -> dict[str, np.ndarray]:
        observation: dict[str, Any] = {key: np.zeros_like(box.sample()) for key, box in self._space.items()}
        observation["nodes/door"][self.open] = 1
        observation["node_mask/door"][:] = 1
        observation["edges/beside"][:] = [range(DOORS), [*range(1, DOORS), 0]]
        observation["globals"][:] = 1 - self.steps / STEPS
        observation["actions/nodes"][:, 0] = range(DOORS)
        observation["action_mask"][:] = self.action_masks()
        return observation

    def step(self, action: int) -> Any:
        assert self.action_masks()[action], "the mask is kept"
        bump = int(action != self.open)
        self.bumps += bump
        self.steps += 1
        self._draw()
        ended, cut = self.steps >= STEPS, self.steps >= self.limit
        info: dict[str, Any] = {"elapsed": float(self.steps)}  # the k-th step takes k
        if ended or cut:
            objective = float("nan") if self.broken else self.score()
            info |= {"objective": objective, "metrics": {"steps": self.steps}, "seed": self.world, "instance": ""}
        return self._observe(), -float(bump), ended, cut and not ended, info

    def score(self) -> float:
        return float(self.bumps)


class BestDoors(Doors):
    """The same, counted the other way round."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "objective": {"name": "passes", "unit": "doors", "sense": "max"},
    }

    def score(self) -> float:
        return float(STEPS - self.bumps)


IDS = {"test/Doors-v0": Doors, "test/BestDoors-v0": BestDoors}


@pytest.fixture(autouse=True)
def doors() -> Any:
    """The ids are known while a test runs; torch has one thread."""
    torch.set_num_threads(1)
    for env_id, maker in IDS.items():
        gymnasium.register(id=env_id, entry_point=maker)
    yield
    for env_id in IDS:
        del gymnasium.registry[env_id]


TINY: dict[str, Any] = {
    "instances": "random:size=3x3",
    "steps": 160,
    "minutes": 1e6,
    "copies": 4,
    "rollout": 8,
    "batch": 16,
    "epochs": 2,
    "width": 8,
    "layers": 1,
    "validate_every": 1e9,
    "validation_worlds": 4,
    "save_every": 1e9,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., TrainConfig]:
    """Makes configs of runs that take a second."""

    def make(**changes: Any) -> TrainConfig:
        usual = {"env": "makespan/JobShop-v0", "agent": "graph-ppo", "out": str(tmp_path / "run"), **TINY}
        if changes.get("env", "").startswith("test/"):
            usual["instances"] = None
        return TrainConfig(**{**usual, **changes})

    return make
