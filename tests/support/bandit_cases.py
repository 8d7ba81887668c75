"""Instances that no family draws, and random play."""

from __future__ import annotations

import numpy as np
from makespan.envs.restless_bandits.engine import BanditEngine
from makespan.envs.restless_bandits.feasible import Cardinality, LinearSet
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from numpy.typing import NDArray


def chains(arms: int = 4, states: int = 5, seed: int = 0) -> BanditInstance:
    """Arms that move by any rows."""
    rng = np.random.default_rng(seed)
    return BanditInstance(
        name="chains",
        transition=rng.dirichlet(np.ones(states), (arms, 2, states)),
        reward=rng.normal(size=(arms, states)),
        start=rng.dirichlet(np.ones(states), arms),
        horizon=8,
        feasible=Cardinality(arms, 2),
    )


def _with_rows(name: str, feasible: LinearSet) -> BanditInstance:
    base = draw_instance(Size("cardinality", 12), 0, name)
    return base.with_feasible(feasible)


_RNG = np.random.default_rng(3)
PACKING = _with_rows("packing", LinearSet(_RNG.integers(0, 4, (3, 12)), [6, 5, 7]))
"""Rows with coefficients of at least 0."""

_ROWS = np.vstack([np.ones(12), [1] * 6 + [0] * 6, [1, -1] + [0] * 10])
LISTED = _with_rows("listed", LinearSet(_ROWS, [4, 3, 0], [-np.inf, 1, -np.inf]))
"""At most four, one to three of the first six, and arm 0 only with arm 1: parts of an action need not be feasible."""

CHAINS = chains()


def play_randomly(engine: BanditEngine, rng: np.random.Generator, stop: float = 0.07) -> NDArray[np.int64]:
    """A random legal action for each copy; STOP, where it may be, with that probability."""
    actions = np.zeros(engine.num_copies, dtype=np.int64)
    for copy in np.flatnonzero(engine.is_running()).tolist():
        legal = np.flatnonzero(engine.masks[copy])
        last = engine.sizes.actions - 1
        elements = legal[legal != last]
        stops = last in legal and (not len(elements) or rng.random() < stop)
        actions[copy] = last if stops else rng.choice(elements)
    return actions
