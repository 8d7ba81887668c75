"""Golden trajectories of makespan/MemoryMapping-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.memory_mapping.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "fe08a8c534602ea0",
    "sizes": "c13fed61909ca3fe",
    "elapsed": "a061b2f19ff682ab",
    "either": "e48630bc00640fac",
    "first-fit": "ac5e102c1c7aa6bd",
    "terminate": "98f53c9ec1806ac7",
    "static": "811a6306990c455d",
}


OPTION_SETS = {
    "default": {},
    "sizes": {"instance": "random:size=10+30+300"},
    "elapsed": {"supply": "elapsed", "objective": "proxy"},
    "either": {"supply": "either"},
    "first-fit": {"offsets": "first_fit"},
    "terminate": {"dead_end": "terminate", "reward_scale": "none"},
    "static": {"reward": "static"},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name):
    assert golden(make_engine, OPTION_SETS[name]) == GOLDEN[name]
