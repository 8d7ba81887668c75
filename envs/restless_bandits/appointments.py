"""Appointments: a chosen arm needs two visits, each by a worker in a slot in which both are free.

Two readings of the paper. Its program lets one worker make both visits, or two workers share a slot: the default.
Its random policy demands two different workers: ``distinct_workers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer, require_keys, require_list
from .feasible import MAX_SIZE, FeasibleSet, chosen, read_size
from .program import FREE, RowBuilder, Rows

VISITS = 2
MAX_SLOTS = 64


class Appointments(FeasibleSet):
    """Chosen arms must get two visits each; a worker in a slot serves one of them.

    Args:
        arm_slots: for each arm the slots in which it is free.
        worker_slots: for each worker the slots in which they are.
        slots: how many there are.
        budget: no action has more arms.
        distinct_workers: whether an arm's two visits must be by different workers.

    Raises:
        FieldError: something is malformed.
        UserError: no arm can get its visits.
    """

    kind = "schedule"

    def __init__(
        self,
        arm_slots: Sequence[Sequence[int]],
        worker_slots: Sequence[Sequence[int]],
        slots: int,
        budget: int,
        distinct_workers: bool = False,
    ) -> None:
        self.slots = require_integer("feasible.slots", slots, 1, MAX_SLOTS)
        self.arm_slots = _slots("feasible.arm_slots", arm_slots, self.slots)
        self.worker_slots = _slots("feasible.worker_slots", worker_slots, self.slots)
        self.size = require_integer("size of the feasible set", len(self.arm_slots), 1, MAX_SIZE)
        self.budget = require_integer("feasible.budget", budget, 1, self.size)
        self.distinct_workers = bool(distinct_workers)
        if not any(self._unserved([j]) is None for j in range(self.size)):
            raise UserError(
                f"feasible set: no action is possible, no arm shares {VISITS} visits with the workers' slots"
            )

    @property
    def free_workers(self) -> list[int]:
        """How many workers are free in each slot."""
        return [sum(s in slots for slots in self.worker_slots) for s in range(self.slots)]

    def violations(self, action: ArrayLike) -> list[str]:
        if wrong := self.basic_violations(action):
            return wrong
        arm = self._unserved(chosen(action))
        if arm is None:
            return []
        kind = f"{VISITS} different workers" if self.distinct_workers else f"{VISITS} visits"
        slots = list(self.arm_slots[arm])
        free = [self.free_workers[s] for s in slots]
        return [
            f"arm {arm} does not get {kind} beside the arms {[j for j in chosen(action) if j < arm]}: it is free in "
            f"the slots {slots}, where {free} workers are"
        ]

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        known = sorted(set(self.arm_slots))
        return np.array([known.index(slots) for slots in self.arm_slots])

    def plan(self, action: ArrayLike) -> dict[int, list[tuple[int, int]]] | None:
        """For each chosen arm its visits as (worker, slot); None if they cannot all be made."""
        served = _Visits(self)
        return served.visits() if all(served.add(j) for j in chosen(action)) else None

    def _unserved(self, arms: list[int]) -> int | None:
        """The first arm that does not get its visits beside those before it."""
        served = _Visits(self)
        return next((j for j in arms if not served.add(j)), None)

    def rows(self) -> Rows:
        """Columns: the action, then by slot y_js, visits of arm j in slot s; with distinct workers x_ijs by worker."""
        builder = RowBuilder(self.size)
        builder.row("budget", [(j, 1.0) for j in range(self.size)], -FREE, self.budget)
        if self.distinct_workers:
            return self._worker_rows(builder)
        used: list[list[tuple[int, float]]] = [[] for _ in range(self.slots)]
        for j, slots in enumerate(self.arm_slots):
            visits = [(builder.variable(VISITS), 1.0) for _ in slots]
            for s, entry in zip(slots, visits, strict=True):
                used[s].append(entry)
            builder.row(f"visits of arm {j}", [*visits, (j, -float(VISITS))], 0.0, 0.0)
        for s, entries in enumerate(used):
            if entries:
                builder.row(f"workers in slot {s}", entries, -FREE, self.free_workers[s])
        return builder.build()

    def _worker_rows(self, builder: RowBuilder) -> Rows:
        used: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for j, slots in enumerate(self.arm_slots):
            visits: list[tuple[int, float]] = []
            for i, theirs in enumerate(self.worker_slots):
                mine = [(builder.variable(1), s) for s in slots if s in theirs]
                for column, s in mine:
                    used.setdefault((i, s), []).append((column, 1.0))
                entries = [(column, 1.0) for column, _ in mine]
                if entries:
                    builder.row(f"worker {i} at arm {j}", [*entries, (j, -1.0)], -FREE, 0.0)
                visits += entries
            builder.row(f"visits of arm {j}", [*visits, (j, -float(VISITS))], 0.0, 0.0)
        for (i, s), entries in used.items():
            builder.row(f"worker {i} in slot {s}", entries, -FREE, 1.0)
        return builder.build()

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "slots": self.slots,
            "arm_slots": [list(slots) for slots in self.arm_slots],
            "worker_slots": [list(slots) for slots in self.worker_slots],
            "budget": self.budget,
            "distinct_workers": self.distinct_workers,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int, source: str | None = None) -> Appointments:
        """The set of `to_dict`'s data over `size` elements."""
        needed = ("kind", "slots", "arm_slots", "worker_slots", "budget")
        require_keys("feasible", data, needed, ("distinct_workers",), source)
        arm_slots = require_list("feasible.arm_slots", data["arm_slots"], source)
        if len(arm_slots) != size:
            raise FieldError("feasible.arm_slots", arm_slots, f"{size} lists, one for each element", source)
        workers = require_list("feasible.worker_slots", data["worker_slots"], source)
        distinct = data.get("distinct_workers", False)
        if not isinstance(distinct, bool):
            raise FieldError("feasible.distinct_workers", distinct, "true or false", source)
        return cls(arm_slots, workers, data["slots"], read_size(data, size, source), distinct)


def _slots(field: str, value: Any, slots: int) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list | tuple) or not value:
        raise FieldError(field, value, "a list of lists of slots")
    rows = []
    for k, row in enumerate(value):
        if not isinstance(row, list | tuple):
            raise FieldError(f"{field}[{k}]", row, "a list of slots")
        numbers = [require_integer(f"{field}[{k}][{n}]", one, 0, slots - 1) for n, one in enumerate(row)]
        if len(set(numbers)) < len(numbers):
            raise FieldError(f"{field}[{k}]", row, "each slot once")
        rows.append(tuple(sorted(numbers)))
    return tuple(rows)


class _Visits:
    """Visits of some arms, to which further arms are added by augmenting paths."""

    def __init__(self, owner: Appointments) -> None:
        self._owner = owner
        self._arm: dict[tuple[int, int], int] = {}  # (worker, slot) -> the arm that is visited

    def add(self, arm: int) -> bool:
        """Add an arm's visits; where they cannot be made nothing changes."""
        before = dict(self._arm)
        if all(self._augment(arm) for _ in range(VISITS)):
            return True
        self._arm = before
        return False

    def visits(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for pair, arm in sorted(self._arm.items()):
            found.setdefault(arm, []).append(pair)
        return found

    def _pairs(self, arm: int) -> list[tuple[int, int]]:
        """(worker, slot) pairs that could visit an arm."""
        slots = self._owner.arm_slots[arm]
        return [(i, s) for i, theirs in enumerate(self._owner.worker_slots) for s in slots if s in theirs]

    def _augment(self, arm: int) -> bool:
        """Give an arm one visit more, moving others' visits if need be.

        The nodes of the search are arms that need a visit; with distinct workers also (arm, worker): the arm gets a
        visit by the worker, who already makes one, and so gives that one up.
        """
        queue = deque([(arm, -1)])
        came: dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]] | None] = {(arm, -1): None}
        while queue:
            node = queue.popleft()
            needy, only = node
            for pair in self._pairs(needy):
                holder = self._arm.get(pair)
                if holder == needy or (only >= 0 and pair[0] != only):
                    continue
                if self._owner.distinct_workers and only < 0 and self._visits_by(needy, pair[0]):
                    continue
                if holder is None:
                    self._apply(node, pair, came)
                    return True
                for target in self._next(holder, pair):
                    if target not in came:
                        came[target] = (node, pair)
                        queue.append(target)
        return False

    def _next(self, holder: int, pair: tuple[int, int]) -> list[tuple[int, int]]:
        """Where an arm that loses a visit may look for another: anywhere, or at the same worker's other slots."""
        return [(holder, -1), (holder, pair[0])] if self._owner.distinct_workers else [(holder, -1)]

    def _visits_by(self, arm: int, worker: int) -> bool:
        return any(who == arm and pair[0] == worker for pair, who in self._arm.items())

    def _apply(
        self,
        node: tuple[int, int],
        pair: tuple[int, int],
        came: dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]] | None],
    ) -> None:
        self._arm[pair] = node[0]
        while (before := came[node]) is not None:
            node, pair = before
            self._arm[pair] = node[0]
