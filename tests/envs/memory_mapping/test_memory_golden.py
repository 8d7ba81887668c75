"""Golden trajectories of makespan/MemoryMapping-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.memory_mapping.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "289827d440d8f272",
    "sizes": "092a721a53db1ff6",
    "elapsed": "77725c69d7aef7a3",
    "first-fit": "fbef55b6cf19104b",
    "terminate": "a08cc8628a2be3a0",
    "static": "c15e1cbd81a1ec2b",
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
