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
    "default": "bcaf5d0b715901c0",
    "full": "281fccc47f83283f",
    "noise": "956ca7381e379a5a",
    "down": "9966e1460cfba43a",
    "order": "defa00dc5749577c",
    "hold": "c1b29f9eb9215c70",
    "assigned": "d1f17a0d32090622",
    "bus": "d320b3915b4928a2",
    "shared": "23ba3b3012afc3d1",
    "overhead": "929404011d8c1fbc",
    "energy": "daa910d1075e2960",
    "static": "351cb93c396ea445",
    "static-named": "dea69f2104869b89",
    "static-appended": "87f3d9d70d3643cf",
    "static-uncertain": "80a3bdda3649715e",
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
