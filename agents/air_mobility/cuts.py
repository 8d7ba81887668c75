"""Inequalities that days of whole flights keep and the linear program of the flow model does not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .flow import FlowModel, FlowPlan
from .linear import FREE

_LONGEST = 16
"""Slots of a window."""
_LEAST = 0.05
"""Passengers by which an inequality must be broken to be added."""
_OVERLAP = 6
"""Added at once that concern one pair and slot, at most."""


class _Cut(NamedTuple):
    """Of a pair, from slot `first` to slot `last`: boarded <= part * flights + constant."""

    depth: float
    pair: int
    first: int
    last: int
    part: int
    constant: int


def tighten(model: FlowModel, plan: FlowPlan, patience: int, seats: int) -> int:
    """Add inequalities that a plan breaks.

    N passengers are about in a window of slots, N = k seats + r with 0 < r < seats; X flights take Z of them. Then
    Z <= r X + (seats - r) k: for X <= k since Z <= seats X, for X > k since Z <= N (rounding, Nemhauser & Wolsey 1988).

    Args:
        model: takes the rows; its passengers must come in whole numbers.
        plan: of the model.
        patience: slots from a passenger's first to its last.
        seats: of an aircraft.

    Returns:
        How many were added.
    """
    cuts = sorted(_broken(model, plan, patience, seats), reverse=True)
    pairs, slots = model.problem.allowed.shape
    used = np.zeros((pairs, slots), dtype=np.int64)
    added = 0
    for cut in cuts:
        window = used[cut.pair, cut.first : cut.last + 1]
        if window.max() >= _OVERLAP:
            continue
        window += 1
        flights = model.column[cut.pair, cut.first : cut.last + 1]
        flights = flights[flights >= 0]
        row = model.rows.block(-FREE, float(cut.constant), 1)
        model.rows.add(row, model.y + flights, 1.0)
        model.rows.add(row, flights, -float(cut.part))
        added += 1
    return added


def _broken(model: FlowModel, plan: FlowPlan, patience: int, seats: int) -> list[_Cut]:
    come = model.problem.come
    pairs, slots = come.shape
    about = np.concatenate([np.zeros((pairs, patience + 1)), come], axis=1)
    flown, boarded = (_sums(part) for part in (plan.flights, plan.boarded))
    cuts = []
    for length in range(1, min(_LONGEST, slots) + 1):
        first = np.arange(slots - length + 1)
        passengers = np.rint(about[:, first + length + patience] - about[:, first]).astype(np.int64)
        whole, rest = np.divmod(passengers, seats)
        constant = (seats - rest) * whole
        flights, taken = (sums[:, first + length] - sums[:, first] for sums in (flown, boarded))
        depth = np.where(rest > 0, taken - rest * flights - constant, 0.0)
        for p, s in np.argwhere(depth > _LEAST).tolist():
            last = s + length - 1
            cuts.append(_Cut(depth[p, s] / length**0.5, p, s, last, int(rest[p, s]), int(constant[p, s])))
    return cuts


def _sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the first 0, 1, ... entries of each row."""
    return np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
