"""A plain environment: three jobs on one machine, one of them chosen at a time, small enough to know every answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from makespan.envs.core.spec import Feature, NodeType, ObservationSpec, Sizes

SPEC = ObservationSpec(
    nodes=(NodeType("job", (Feature("processing time"),)),),
    edges=(),
    globals=(Feature("time"),),
    action_nodes=("job",),
    action_features=(Feature("processing time"),),
)
TIMES = {"short1": (1, 2, 3), "short2": (3, 1, 1), "long1": (9, 5, 2)}


class ThreeJobs(gymnasium.Env):  # type: ignore[type-arg]
    """Three jobs on one machine, least sum of completions.

    Args:
        stretch: factor of all processing times.
    """

    metadata = {"render_modes": [], "objective": {"name": "flow time", "unit": "hours", "sense": "min"}}

    def __init__(self, stretch: int = 1, render_mode: str | None = None) -> None:
        if stretch < 1:
            raise ValueError(f"stretch is {stretch}, expected at least 1")
        self.stretch, self.render_mode = stretch, render_mode
        self.observation_spec = SPEC
        self.observation_space = SPEC.space(Sizes({"job": 3}, {}, 3))
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.name = (options or {}).get("instance") or sorted(TIMES)[(seed or 0) % 3]
        self.times = [self.stretch * time for time in TIMES[self.name]]
        self.order: list[int] = []
        self.seed = seed
        return self.observe(), {"action_mask": self.mask()}

    def mask(self) -> Any:
        return np.array([job not in self.order for job in range(3)], dtype=np.int8)

    def action_masks(self) -> Any:
        return self.mask().astype(bool)

    def observe(self) -> dict[str, Any]:
        scaled = np.array(self.times, dtype=np.float32)[:, None] / 100
        return {
            "nodes/job": scaled,
            "node_mask/job": np.ones(3, dtype=np.int8),
            "globals": np.zeros(1, dtype=np.float32),
            "actions/nodes": np.arange(3, dtype=np.int32)[:, None],
            "actions/features": scaled,
            "action_mask": self.mask(),
        }

    def completions(self) -> list[int]:
        return np.cumsum([self.times[job] for job in self.order]).tolist()

    def step(self, action: Any) -> Any:
        self.order.append(int(action))
        done = len(self.order) == 3
        info = {"action_mask": self.mask(), "elapsed": 1.0}
        if done:
            info |= {
                "objective": float(sum(self.completions())),
                "metrics": {"last": np.int64(max(self.completions())), "nothing": float("nan"), "finished": True},
                "seed": self.seed,
                "instance": self.name,
            }
        return self.observe(), -1.0, done, False, info

    def schedule(self) -> dict[str, Any]:
        return {"order": self.order, "completions": self.completions()}

    def validate(self, schedule: dict[str, Any]) -> list[str]:
        return [] if sorted(schedule["order"]) == [0, 1, 2] else ["the order is no permutation"]

    def instances(self) -> list[str]:
        return list(TIMES)

    def bound(self, instance: str) -> float | None:
        times = sorted(TIMES[instance])
        return None if instance == "long1" else self.stretch * (3 * times[0] + 2 * times[1] + times[2])

    def best_known(self, instance: str) -> float | None:
        return self.stretch * 10.0 if instance == "short1" else None


class Refused(ThreeJobs):
    """Whose validator finds every schedule wrong."""

    def validate(self, schedule: dict[str, Any]) -> list[str]:
        return ["it is Monday"]


class TooGood(ThreeJobs):
    """Whose bound is wrong."""

    def bound(self, instance: str) -> float | None:
        return 1000.0


class Silent(ThreeJobs):
    """Which does not say what it reached."""

    def step(self, action: Any) -> Any:
        observation, reward, done, truncated, _ = super().step(action)
        return observation, reward, done, truncated, {"action_mask": self.mask()}


@pytest.fixture(autouse=True)
def _plain_environments() -> Iterator[None]:
    module = sys.modules[__name__]
    made = {f"test/{kind.__name__}-v0": kind for kind in (ThreeJobs, Refused, TooGood, Silent)}
    for env_id, kind in made.items():
        gymnasium.register(id=env_id, entry_point=getattr(module, kind.__name__))
    yield
    for env_id in made:
        del gymnasium.registry[env_id]
