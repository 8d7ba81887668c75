"""Golden trajectories of makespan/MemoryMapping-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.memory_mapping.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "a8018a13965d00da",
    "sizes": "cac9050b0ba59f36",
    "elapsed": "110ee51d4d75d5cc",
    "first-fit": "09822402ce9bccc8",
    "terminate": "647ab3abacce844b",
    "static": "8c18eb1a27513dd9",
}


OPTION_SETS = {
    "default": {},
    "sizes": {"instance": "random:size=10+30+300"},
    "elapsed": {"supply": "elapsed", "objective": "proxy"},
    "first-fit": {"offsets": "first_fit"},
    "terminate": {"dead_end": "terminate", "reward_scale": "none"},
    "static": {"reward": "static"},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name):
    assert golden(make_engine, OPTION_SETS[name]) == GOLDEN[name]
