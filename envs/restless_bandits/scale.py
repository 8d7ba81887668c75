"""Between what the expected return of an instance lies: that of acting on nothing, and a bound on any policy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .instance import LEAST_UNTREATED, BanditInstance
from .occupancy import bound

_PATHS = 4000
_MOST_SHARES = 100_000  # variables of the program up to which it is solved


class Scale(NamedTuple):
    """Attributes:
    null: expected return of acting on nothing, whether or not that is feasible.
    bound: no policy has a larger expected return.
    name: how the bound was made, see `occupancy`.
    """

    null: float
    bound: float
    name: str


def expected_scale(instance: BanditInstance) -> Scale | None:
    """The scale of an instance; None for one whose program would take too long.

    Raises:
        NoSolutionError: the solver failed.
    """
    if instance.horizon * instance.num_arms * instance.num_states * instance.num_levels > _MOST_SHARES:
        return None
    found = bound(instance)
    return Scale(null_value(instance), found.value, found.name)


def null_value(instance: BanditInstance) -> float:
    """Expected return of acting on nothing: exact, but for a contagion the mean of 4000 simulated episodes."""
    if instance.contagion is not None:
        return _simulated_null(instance)
    law, share, total = instance.transition[:, 0], instance.start, 0.0
    for _ in range(instance.horizon):
        share = np.einsum("js,jsn->jn", share, law)
        total += float((share * instance.reward).sum())
        for joint in instance.joint:
            total += joint.weight * float(np.prod(share[list(joint.arms), joint.least :].sum(axis=1)))
    return total


def _simulated_null(instance: BanditInstance) -> float:
    contagion, up = instance.contagion, instance.up
    assert contagion is not None
    assert up is not None
    near = np.zeros((instance.num_arms, instance.num_arms))
    for j, others in enumerate(contagion.neighbours):
        near[j, list(others)] = 1.0 / max(len(others), 1)
    rng = np.random.Generator(np.random.Philox(key=int(instance.hash, 16)))
    draws = rng.random((_PATHS, instance.num_arms, 1))
    now = (draws >= np.cumsum(instance.start, axis=1)[:, :-1]).sum(axis=2)
    arms, total = np.arange(instance.num_arms), 0.0
    for _ in range(instance.horizon):
        chance = np.maximum(up[:, 0] - contagion.strength * ((now <= contagion.sick) @ near.T), LEAST_UNTREATED)
        now = _moved(now, rng.random(now.shape) < chance, instance.num_states)
        total += float(instance.reward[arms, now].sum())
        for joint in instance.joint:
            total += joint.weight * float((now[:, list(joint.arms)] >= joint.least).all(axis=1).sum())
    return total / _PATHS


def _moved(now: NDArray[np.int64], rises: NDArray[np.bool_], states: int) -> NDArray[np.int64]:
    return np.clip(now + np.where(rises, 1, -1), 0, states - 1)
