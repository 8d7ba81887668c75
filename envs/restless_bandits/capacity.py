"""Capacity: each element takes so many hours of one worker, who has so many to give.

The same set as the paper's assignment variables describe, in far fewer: what a worker can do is a *pattern*, a multiset
of costs that is maximal within the worker's capacity, and workers of equal capacity are alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer, require_keys, require_list
from .feasible import MAX_SIZE, Action, FeasibleSet, chosen
from .program import FREE, RowBuilder, Rows

MAX_HOURS = 1000
_MOST_PATTERNS = 20_000


class Capacity(FeasibleSet):
    """Chosen elements must be packed into the workers' capacities.

    Args:
        cost: integers [N], what each element takes, from 1.
        capacity: integers [W], what each worker has.

    Raises:
        FieldError: they are something else.
        UserError: no worker can do anything.
    """

    kind = "capacity"

    def __init__(self, cost: ArrayLike, capacity: ArrayLike) -> None:
        self.cost = _hours("feasible.cost", cost, 1)
        self.capacity = _hours("feasible.capacity", capacity, 0)
        self.size = require_integer("size of the feasible set", len(self.cost), 1, MAX_SIZE)
        if self.cost.min() > self.capacity.max():
            raise UserError(
                f"feasible set: no action is possible, the least cost is {self.cost.min()} (arm "
                f"{int(self.cost.argmin())}), the largest capacity of a worker {self.capacity.max()}"
            )
        smallest = np.cumsum(np.sort(self.cost))
        self.budget = int((smallest <= self.capacity.sum()).sum())

    def violations(self, action: ArrayLike) -> list[str]:
        if wrong := self.shape_violations(action):
            return wrong
        arms = chosen(action)
        most = int(self.capacity.max())
        wrong = [f"arm {j} takes {self.cost[j]}, no worker has more than {most}" for j in arms if self.cost[j] > most]
        if not wrong and not packs(self.cost[arms].tolist(), self.capacity.tolist()):
            total, have = int(self.cost[arms].sum()), int(self.capacity.sum())
            last = next(k for k in range(1, len(arms) + 1) if not self._packs(arms[:k])) - 1
            wrong = [
                f"arms {arms} with costs {self.cost[arms].tolist()} (in all {total}) do not fit the workers' "
                f"capacities {self.capacity.tolist()} (in all {have}); arm {arms[last]} is the first "
                f"that finds no worker"
            ]
        return wrong

    def _packs(self, arms: list[int]) -> bool:
        return packs(self.cost[arms].tolist(), self.capacity.tolist())

    def admits(self, action: Action, element: int) -> bool:
        return not action[element] and self._packs([*chosen(action), element])

    def extendable(self, action: ArrayLike) -> NDArray[np.bool_]:
        bits = np.asarray(action) != 0
        arms = chosen(bits)
        fits = {c: packs([*self.cost[arms].tolist(), c], self.capacity.tolist()) for c in set(self.cost.tolist())}
        return ~bits & np.array([fits[c] for c in self.cost.tolist()], dtype=np.bool_)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        return np.unique(self.cost, return_inverse=True)[1]

    @cached_property
    def patterns(self) -> dict[int, list[Counter[int]]]:
        """For each capacity the maximal multisets of costs that fit it."""
        at_hand = Counter(self.cost.tolist())
        found = {c: _patterns(at_hand, c) for c in sorted(set(self.capacity.tolist()))}
        count = sum(map(len, found.values()))
        if count > _MOST_PATTERNS:
            raise UserError(
                f"feasible set: {count} ways to fill a worker's capacity, at most {_MOST_PATTERNS} can be handled; "
                "use coarser hours"
            )
        return found

    def rows(self) -> Rows:
        """Columns: the action, then how many workers of each capacity work by each of its patterns."""
        builder = RowBuilder(self.size)
        workers = Counter(self.capacity.tolist())
        supply: dict[int, list[tuple[int, float]]] = {c: [] for c in set(self.cost.tolist())}
        for capacity, count in sorted(workers.items()):
            columns = []
            for pattern in self.patterns[capacity]:
                column = builder.variable(count)
                columns.append((column, 1.0))
                for cost, times in pattern.items():
                    supply[cost].append((column, -float(times)))
            if columns:
                builder.row(f"workers of capacity {capacity}", columns, -FREE, count)
        for cost, entries in sorted(supply.items()):
            arms = [(j, 1.0) for j in np.flatnonzero(self.cost == cost).tolist()]
            builder.row(f"arms of cost {cost}", arms + entries, -FREE, 0.0)
        return builder.build()

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "cost": self.cost.tolist(), "capacity": self.capacity.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int, source: str | None = None) -> Capacity:
        """The set of `to_dict`'s data over `size` elements."""
        require_keys("feasible", data, ("kind", "cost", "capacity"), (), source)
        cost = require_list("feasible.cost", data["cost"], source)
        if len(cost) != size:
            raise FieldError("feasible.cost", cost, f"{size} costs, one for each element", source)
        for name, low in (("cost", 1), ("capacity", 0)):
            for k, value in enumerate(require_list(f"feasible.{name}", data[name], source)):
                require_integer(f"feasible.{name}[{k}]", value, low, MAX_HOURS, source)
        return cls(cost, data["capacity"])


def _hours(field: str, value: ArrayLike, low: int) -> NDArray[np.int64]:
    array = np.asarray(value)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise FieldError(field, value, "a list of integers")
    for k, one in enumerate(array.tolist()):
        require_integer(f"{field}[{k}]", one, low, MAX_HOURS)
    return array.astype(np.int64)


def packs(costs: list[int], capacities: list[int]) -> bool:
    """Whether items of these costs can be packed into bins of these capacities; exact.

    The largest item is placed first. A bin that it fills exactly is always right: whatever another packing has there
    fits where the item was.
    """
    if sum(costs) > sum(capacities):
        return False
    return _pack(sorted(costs, reverse=True), 0, Counter(capacities), sum(capacities) - sum(costs), set())


def _pack(items: list[int], at: int, room: Counter[int], slack: int, seen: set[tuple[Any, ...]]) -> bool:
    if at == len(items):
        return True
    least = items[-1]
    if sum(free * count for free, count in room.items() if free < least) > slack:  # lost for what is to come
        return False
    state = (at, *sorted((free, count) for free, count in room.items() if count and free >= least))
    if state in seen:
        return False
    seen.add(state)
    item = items[at]
    bins = [item] if room[item] else sorted(free for free, count in room.items() if count and free > item)
    for free in bins:
        room[free] -= 1
        room[free - item] += 1
        done = _pack(items, at + 1, room, slack, seen)
        room[free - item] -= 1
        room[free] += 1
        if done:
            return True
    return False


def _patterns(at_hand: Counter[int], capacity: int) -> list[Counter[int]]:
    """The multisets of costs within a capacity to which nothing at hand can be added."""
    costs = sorted(at_hand, reverse=True)
    found: list[Counter[int]] = []

    def extend(at: int, left: int, taken: Counter[int]) -> None:
        if at == len(costs):
            if not any(cost <= left and taken[cost] < at_hand[cost] for cost in costs) and +taken:
                found.append(+taken)
            return
        cost = costs[at]
        for times in range(min(left // cost, at_hand[cost]), -1, -1):
            taken[cost] = times
            extend(at + 1, left - times * cost, taken)
        taken[cost] = 0

    extend(0, capacity, Counter())
    return found
