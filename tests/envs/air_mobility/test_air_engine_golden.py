"""Golden trajectories of makespan/AirMobility-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

from typing import Any

import pytest
from makespan.envs.air_mobility.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "0e76f7c3ae7dc033",
    "noisy": "442c397c2119d17a",
    "certain": "c28ba6c8bcdeb638",
    "taper": "d3da5032ad87a525",
    "mixed": "ad03909d676e15a0",
    "newer": "ae5ae1f3034469be",
    "priced": "f5e75d0f9851f8f3",
    "old": "27a4fc5eff5d890e",
}

OPTION_SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "noisy": {"instance": "nyc8-high", "noise": 2.0},
    "certain": {"instance": "sf8-low", "noise": 0.0, "fleet": 12},
    "taper": {"instance": "dfw8-medium-tight", "taper": True, "reward_scale": "none"},
    "mixed": {"instance": "la8-low,random:size=5x9:count=3,rand12x20-high-tight-s5"},
    "newer": {"instance": "la8-medium", "vehicle": "evtol-2025"},
    "priced": {"instance": "nyc8-low", "tariff": "peak", "lost_cost": 2.0, "wait_cost": 1.0, "home": True},
    "old": {"instance": "sf8-high", "refill": True, "fares": "2022"},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name: str):
    assert golden(make_engine, OPTION_SETS[name], copies=3) == GOLDEN[name]
