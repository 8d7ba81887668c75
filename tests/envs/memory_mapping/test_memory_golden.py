"""Golden trajectories of makespan/MemoryMapping-v0.

A hash over integer outcomes (actions, masks, objectives), rounded rewards, and observations under several option sets.
Whoever changes one of these values changes what the id plays or shows: that takes a new version of the id.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from makespan.envs.core.random import uniform
from makespan.envs.memory_mapping.env import make_engine

GOLDEN = {
    "default": "a8018a13965d00da",
    "sizes": "cac9050b0ba59f36",
    "elapsed": "110ee51d4d75d5cc",
    "first-fit": "09822402ce9bccc8",
    "terminate": "647ab3abacce844b",
    "static": "8c18eb1a27513dd9",
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
        rewards = engine.step(actions).reward
        digest.update(np.rint(rewards * 1e6 + 0.137).astype("<i8").tobytes())
        step += 1
    digest.update(repr([engine.metrics(copy) for copy in range(6)]).encode())
    return digest.hexdigest()[:16]


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
    assert trajectory(OPTION_SETS[name]) == GOLDEN[name]
