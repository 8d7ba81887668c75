"""Golden trajectories of makespan/JobShop-v0.

A hash over integer outcomes (actions, masks, clocks, objectives) and rounded observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from makespan.envs.core.random import uniform
from makespan.envs.job_shop.env import make_engine

GOLDEN = {
    "default": "fe7c9838a8fd273a",
    "sizes": "afef80e355a123ba",
    "named": "af5838bfdab7d92e",
    "no-swap": "e26ef432bc46362f",
    "banker": "36b0d0095cf5e093",
    "classical": "9c7273d6152ed5ad",
    "construct": "a1a72382c6d847ae",
    "bernoulli": "d4b912062c6f1253",
    "repeat": "cd24f1b884c96d74",
    "scrap": "3ecdace23787458c",
    "busy": "17f79bbe2724ce88",
}


def trajectory(options):
    engine = make_engine(6, **options)
    engine.reset(np.arange(6))
    digest = hashlib.sha256()
    step = 0
    while engine.is_running().any():
        actions = np.zeros(6, dtype=np.int64)
        for copy, mask in enumerate(engine.masks):
            legal = np.flatnonzero(mask)
            actions[copy] = legal[int(uniform(copy, 77, step) * len(legal))] if len(legal) else 0
        for array in (actions, engine.masks, engine.objectives()):
            digest.update(np.asarray(array, dtype="<i8").tobytes())
        for key, view in engine.block.views.items():
            # Clear of the last bits, in which platforms may differ.
            digest.update(key.encode() + np.rint(view.astype(np.float64) * 1000 + 0.137).astype("<i8").tobytes())
        engine.step(actions)
        step += 1
    digest.update(repr([engine.metrics(copy) for copy in range(6)]).encode())
    return digest.hexdigest()[:16]


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
    assert trajectory(OPTION_SETS[name]) == GOLDEN[name]
