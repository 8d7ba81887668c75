"""Golden trajectories of makespan/RestlessBandits-v0.

A hash over outcomes (actions, masks, rounded rewards, metrics) and observations under several instances and options.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import pytest
from makespan.envs.restless_bandits.env import make_engine
from support.trajectories import golden

GOLDEN = {
    "default": "8314260bf7272695",
    "cardinality": "d8f7d21671072cc8",
    "schedule": "7ab9db7c3e127914",
    "distinct": "c8e99f04dbb7fefc",
    "path": "adca060d80d55496",
    "sigmoid": "21970638642e184a",
    "zones": "2f9dd18822612e52",
    "corridor": "5da2b8ac1210545d",
    "contagion": "10e125fe5cba8594",
    "known": "afc562ff4d7b5574",
    "expected": "277713053476e144",
    "model-error": "bb514e913063564b",
    "min-visits": "25bcb3b50ada0d55",
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
