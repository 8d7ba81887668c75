"""Small instances whose optima are known: k0 to k8."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .appointments import Appointments
from .capacity import Capacity
from .feasible import Cardinality, FeasibleSet
from .generator import sigmoid_up
from .instance import BanditInstance, Contagion, Joint, birth_death
from .walks import Walks

HORIZON = 20
_PASSIVE, _ACTIVE = (0.05, 0.10, 0.15, 0.20), (0.75, 0.83, 0.84, 0.88)
_REWARD = ((0.20, 0.15, 0.10, 5.0), (0.10, 0.15, 0.20, 3.0), (0.10, 0.15, 0.20, 2.0), (0.10, 0.15, 0.20, 1.0))
_RING = ((0, 1, 6.0), (1, 2, 1.0), (2, 3, 4.0), (3, 0, 2.0))


def _start(arms: int) -> NDArray[np.float64]:
    """All arms begin in state 0."""
    start = np.zeros((arms, 4))
    start[:, 0] = 1.0
    return start


def _plain(arms: int, feasible: Callable[[], FeasibleSet], family: str, horizon: int = HORIZON) -> dict[str, Any]:
    return {
        "transition": birth_death(np.stack([_PASSIVE[:arms], _ACTIVE[:arms]], axis=1)),
        "reward": np.array(_REWARD[:arms]),
        "start": _start(arms),
        "horizon": horizon,
        "feasible": feasible(),
        "family": family,
        "group": ("good",) + ("other",) * (arms - 1),
    }


def _visits(distinct_workers: bool) -> Appointments:
    arms = [(0, 1), (0, 2), (1, 2), (0, 1)]
    return Appointments(arms, [(0, 1), (2,)], 3, 2, distinct_workers)


def _sigmoid(budget: int) -> dict[str, Any]:
    rows = np.array([(0.9, 1.6, 9.0), (0.4, 1.0, 1.0), (0.3, 1.0, 2.0)])
    return {
        "transition": birth_death(sigmoid_up(rows)),
        "reward": np.array(((0.10, 0.15, 0.20, 3.0), (0.20, 0.15, 0.10, 5.0), (0.10, 0.15, 0.20, 1.0))),
        "start": _start(3),
        "horizon": HORIZON,
        "effect": np.array(((1, 1, 1, 0), (1, 0, 0, 1), (0, 0, 0, 1))),
        "feasible": Cardinality(4, budget, exactly=True),
        "family": "sigmoid",
    }


def _corridor(budget: int) -> dict[str, Any]:
    return {
        **_plain(4, lambda: Cardinality(4, budget), "corridor"),
        "reward": np.zeros((4, 4)),
        "joint": tuple(Joint((u, v), weight) for u, v, weight in _RING),
        "group": ("all",) * 4,
    }


def _contagion(budget: int) -> dict[str, Any]:
    reward = np.zeros((4, 4))
    reward[:, 2], reward[:, 3] = 0.1, (5.0, 3.0, 2.0, 1.0)
    ceiling = np.array((0.80, 0.85, 0.90, 0.95))
    return {
        **_plain(4, lambda: Cardinality(4, budget), "contagion"),
        "transition": birth_death(np.stack([ceiling, np.full(4, 0.9)], axis=1)),
        "reward": reward,
        "contagion": Contagion(((1,), (0, 2), (1, 3), (2,))),
        "group": ("all",) * 4,
    }


_CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "k0": partial(_plain, 2, lambda: Cardinality(2, 1), "cardinality", 3),
    "k1": partial(_plain, 2, lambda: Cardinality(2, 1), "cardinality"),
    "k2a": partial(_plain, 4, lambda: Cardinality(4, 1), "cardinality"),
    "k2b": partial(_plain, 4, lambda: Cardinality(4, 2), "cardinality"),
    "k3": partial(_plain, 4, lambda: Capacity([4, 3, 3, 2], [5, 4]), "capacity"),
    "k4a": partial(_plain, 4, lambda: _visits(False), "schedule"),
    "k4b": partial(_plain, 4, lambda: _visits(True), "schedule"),
    "k5a": partial(_plain, 4, lambda: Walks(4, [(3, 1), (1, 2), (2, 0)], 3, 4, 2), "path"),
    "k5b": partial(_plain, 4, lambda: Walks(4, [(1, 2), (2, 0), (0, 3), (3, 1), (1, 0)], 1, 3, 2), "path"),
    "k6a": partial(_sigmoid, 2),
    "k6b": partial(_sigmoid, 3),
    "k7a": partial(_corridor, 1),
    "k7b": partial(_corridor, 2),
    "k8a": partial(_contagion, 1),
    "k8b": partial(_contagion, 2),
}
NAMES = tuple(_CASES)
SETS = {f"k{k}": tuple(name for name in NAMES if name.startswith(f"k{k}")) for k in range(9)}
"""``k2`` names k2a and k2b, and so on."""


def known_case(name: str) -> BanditInstance:
    """A small instance whose optimum is known, by one of `NAMES`."""
    return BanditInstance(name=name, **_CASES[name]())
