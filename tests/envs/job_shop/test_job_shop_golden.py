"""Golden trajectories of makespan/JobShop-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.job_shop.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "e8599044d2dc5943",
    "sizes": "8f5a3eccb73cd205",
    "named": "3e041fcfad7c0e9b",
    "no-swap": "7db3c179c9f2652a",
    "banker": "8b29d0c03727a952",
    "classical": "26f91b887a42ef97",
    "construct": "da60bef930beff51",
    "bernoulli": "84af49f74febf71a",
    "repeat": "6635cb8800ac7d52",
    "scrap": "f9f22f7e53391c06",
    "busy": "642402fd21ab5f7c",
}


OPTION_SETS = {
    "default": {},
    "sizes": {"instance": "random:size=3x5+7x2"},
    "named": {"instance": "la01,ft06"},
    "no-swap": {"blocking": "no-swap", "allow_wait": False},
    "banker": {"blocking": "no-swap", "deadlock": "banker"},
    "classical": {"blocking": "none"},
    "construct": {"blocking": "none", "mode": "construct"},
    "bernoulli": {"law": "bernoulli", "p": 0.01},
    "repeat": {"law": "exponential", "mtbf": 90.0, "mttr": 15.0, "on_breakdown": "repeat", "repair_visible": False},
    "scrap": {"law": "bernoulli", "p": 0.003, "on_breakdown": "scrap", "unload_when_down": False},
    "busy": {"law": "exponential", "clock": "busy", "known_windows": True, "epoch_on_breakdown": True},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name):
    assert golden(make_engine, OPTION_SETS[name]) == GOLDEN[name]
