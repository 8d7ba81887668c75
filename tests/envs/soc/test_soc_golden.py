"""Golden trajectories of makespan/SocDag-v0 and makespan/StaticDag-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

from typing import Any

import pytest
from makespan.envs.soc.env import make_static, make_stream
from support.trajectories import golden

GOLDEN = {
    "default": "4fae41137a7df824",
    "full": "2c0d0919254b439e",
    "noise": "4f8587d4447a7d84",
    "down": "6c4ce4e958bc128f",
    "order": "c9c43c2f7ff8c1ff",
    "hold": "5bdf87ab5f919760",
    "assigned": "7ff90473719396d0",
    "bus": "fed862d0fa24f0e3",
    "shared": "b97ed648198491e6",
    "overhead": "7e373ee83ca7cafa",
    "energy": "3ef583af8d7b42b1",
    "static": "ca8218a9e1f1ffdb",
    "static-named": "86fbc278e177d1ad",
    "static-appended": "3fe8f3aad092ebea",
    "static-uncertain": "bc1d398dc17be0c7",
}

SHORT: dict[str, Any] = {"horizon": 1000, "warmup": 100, "scale": 60.0}
FULL: dict[str, Any] = {"instance": "socrates", "scale": 25.0, "queue_cap": 3, "prefill": True, "horizon": 600}
OPTION_SETS: dict[str, dict[str, Any]] = {
    "default": {"horizon": 1500, "warmup": 100},
    "full": {**FULL, "insertion": True},
    "noise": {**SHORT, "noise": "0.1+0.5", "scale": "40+100"},
    "down": {**SHORT, "mtbf": 300.0, "mttr": 40.0},
    "order": {**SHORT, "mode": "order"},
    "hold": {**SHORT, "hold": True, "noise": 0.2},
    "assigned": {**SHORT, "release": "assigned", "insertion": True},
    "bus": {**FULL, "contention": "bus"},
    "shared": {**SHORT, "memory": "shared"},
    "overhead": {**SHORT, "overhead_call": 2.5, "overhead_task": 0.5},
    "energy": {**SHORT, "dvfs": "powersave", "objective": "edp", "arrivals": "back-to-back", "prefill": True},
    "static": {"instance": "random:tasks=20+30:count=6"},
    "static-named": {"instance": "topcuoglu,peft,wifi-rx", "mode": "order"},
    "static-appended": {"instance": "random:tasks=20:count=6", "insertion": False, "window": 5},
    "static-uncertain": {"instance": "random:tasks=20:count=6", "noise": 0.3, "mtbf": 300.0, "objective": "latency"},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name: str):
    make = make_static if name.startswith("static") else make_stream
    assert golden(make, OPTION_SETS[name]) == GOLDEN[name]
