"""Golden trajectories of makespan/RestlessBandits-v0.

A hash over outcomes (actions, masks, rounded rewards, metrics) and observations under several instances and options.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.restless_bandits.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "13f9e4bc8530137f",
    "cardinality": "78b174367d01fa16",
    "schedule": "e83aefd34002417d",
    "distinct": "e9011eff705f4a56",
    "path": "280b3515a8fa9bc3",
    "sigmoid": "d190c58e87be0dc4",
    "zones": "0e52aa1a191901c8",
    "corridor": "68dad15a1f61b30a",
    "contagion": "ceda224686a4bb31",
    "known": "0407434c362bb1a4",
    "expected": "802d5e2b210945ae",
    "model-error": "b9e4cbed8dd72699",
    "min-visits": "4c090751990d8040",
}

OPTION_SETS = {
    "default": {},
    **{f: {"instance": f"{f}-j20"} for f in ("cardinality", "schedule", "path", "sigmoid")},
    **{f: {"instance": f"{f}-j20"} for f in ("zones", "corridor", "contagion")},
    "distinct": {"instance": "schedule-j20", "distinct_workers": True},
    "known": {"instance": "k0-k8"},
    "expected": {"instance": "capacity-j20,zones-j20", "reward": "expected", "reward_scale": "none"},
    "model-error": {"instance": "capacity-j40-0", "model_error": 10},
    "min-visits": {"instance": "cardinality-j20", "min_visits": 3},
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_golden_trajectory(name: str) -> None:
    assert golden(make_engine, OPTION_SETS[name]) == GOLDEN[name]
