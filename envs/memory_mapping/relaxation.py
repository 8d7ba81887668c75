"""A linear program that no plan of memory mapping is below.

Tensors may be held, fetched and written back in part, and without offsets: a relaxation of every valid plan, of those
too that no game can play. What `Relaxation.solve` returns holds without trust in the solver: it is computed from the
dual values that the solver gives, whatever they are, by weak duality with a margin for rounding.

Source of the safe bound from dual values: Neumaier and Shcherbina, "Safe bounds in linear and mixed-integer linear
programming", Math. Program. 99, 2004.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from .bounds import placeable
from .instance import MemoryInstance

_ROUNDING = 1e-12  # of floating point, relative to the sum of all absolute terms


class _Fetches(NamedTuple):
    """Variables of the parts of a storage that are fetched in each slot, and in the wait before each segment."""

    slot: defaultdict[int, list[int]]
    before: dict[int, int]


class Relaxation:
    """The linear program of one instance.

    Args:
        waits: whether instructions may wait for transfers, which share the channel with them; else transfers fit what
            instructions take without CMEM, once for fetches and once for write-backs.

    Slot u lasts from the begin of instruction u to the begin of the next one; with `waits` it includes the wait before
    that, and each segment has a wait before its first instruction. Variables, all but the lengths from 0 to 1:

    * E_u, the length of instruction u, and the lengths of the waits;
    * y[S, u], the part of storage S that is complete in CMEM at instruction u; of instructions that access S that is
      what CMEM serves, since whatever holds S then serves them;
    * c[S, u], the parts of S that are fetched in slot u;
    * w[v, u], the part of value v that is written back in slot u;
    * n[S, k], the part of S that enters loop k from before.
    """

    def __init__(self, instance: MemoryInstance, waits: bool) -> None:
        self._instance, self._waits = instance, waits
        self._cost: list[float] = []
        self._low: list[float] = []
        self._high: list[float] = []
        self._rows: list[tuple[list[int], list[float], float]] = []  # sum <= right-hand side
        self._unit = max(instance.all_hbm_ps / instance.num_instructions, 1.0)  # picoseconds
        self._traffic: list[tuple[list[int], list[float]]] = [([], []) for _ in instance.instructions]
        self._back: list[tuple[list[int], list[float]]] = [([], []) for _ in instance.instructions]
        self._held: list[tuple[list[int], list[float]]] = [([], []) for _ in instance.instructions]
        self._served: dict[tuple[int, int], int] = {}
        self._late: list[tuple[list[int], list[float]]] = [([], []) for _ in instance.instructions]
        self._length = [self._duration(t) for t in range(instance.num_instructions)]
        self._wait = [self._waiting(trips) for trips in instance.trips.tolist()] if waits else []
        self._first_wait = [self._waiting(trips) for _, _, trips in instance.segments] if waits else []
        self._first_traffic: list[tuple[list[int], list[float]]] = [([], []) for _ in instance.segments]
        self._touches = self._accesses()
        may = placeable(instance)
        for storage in sorted(self._touches):
            if may[storage]:
                self._add_storage(storage)
        self._add_instructions()

    # --- building -----------------------------------------------------------------------------------------------------

    def _variable(self, cost: float, low: float, high: float) -> int:
        self._cost.append(cost)
        self._low.append(low)
        self._high.append(high)
        return len(self._cost) - 1

    def _share(self) -> int:
        return self._variable(0.0, 0.0, 1.0)

    def _longest(self, trips: int) -> float:
        """What no length in an optimal plan exceeds: the plan would take longer than one without CMEM."""
        return self._instance.all_hbm_ps / self._unit / trips

    def _waiting(self, trips: int) -> int:
        return self._variable(trips, 0.0, self._longest(trips))

    def _duration(self, t: int) -> int:
        trips = int(self._instance.trips[t])
        least = int(self._instance.compute_ps[t]) + self._instance.hardware.overhead_ps
        return self._variable(trips, least / self._unit, self._longest(trips))

    def _at_most(self, terms: Sequence[tuple[int, float]], right: float) -> None:
        self._rows.append(([variable for variable, _ in terms], [factor for _, factor in terms], right))

    def _accesses(self) -> dict[int, list[tuple[int, int, int]]]:
        """For each storage (instruction, tensor read or -1, tensor written or -1) in order."""
        found: dict[int, dict[int, list[int]]] = defaultdict(dict)
        for t, instruction in enumerate(self._instance.instructions):
            for place, listed in ((0, instruction.reads), (1, instruction.writes)):
                for tensor, _ in listed:
                    storage = int(self._instance.storage[tensor])
                    found[storage].setdefault(t, [-1, -1])[place] = tensor
        return {s: [(t, *row) for t, row in touches.items()] for s, touches in found.items()}  # type: ignore[misc]

    def _add_storage(self, storage: int) -> None:
        instance, touches = self._instance, self._touches[storage]
        begin = 0 if touches[0][1] >= 0 else touches[0][0]
        end = touches[-1][0]
        for first, last, _ in instance.loops:
            if begin < first <= end <= last:
                end = last  # what enters a loop is held so long
        y = {u: self._share() for u in range(begin, end + 1)}
        size = int(instance.size[storage]) / instance.hardware.cmem_bytes
        for u, variable in y.items():
            self._held[u][0].append(variable)
            self._held[u][1].append(size)
        for t, _, _ in touches:
            self._served[storage, t] = y[t]
        fetched = self._add_fetches(storage, begin, size)
        self._add_flow(storage, y, fetched)
        self._add_values(storage, y, fetched)
        if instance.tensors[storage].alias_group is not None:
            for (one, _, _), (other, _, _) in pairwise(touches):
                self._at_most([(y[one], 1.0), (y[other], -1.0)], 0.0)
                self._at_most([(y[other], 1.0), (y[one], -1.0)], 0.0)

    def _add_fetches(self, storage: int, begin: int, size: float) -> _Fetches:
        """What is fetched in each slot, and in the wait before each segment.

        A fetch that began in an earlier slot holds CMEM during this one, beside what is complete; one that begins in
        this slot moves in its wait alone.
        """
        instance, work = self._instance, int(self._instance.transfer_ps[storage]) / self._unit
        last = self._touches[storage][-1][0]
        accessed = {t for t, _, _ in self._touches[storage]}
        written_at = {t for t, read, _ in self._touches[storage] if read < 0}
        fetches = _Fetches(defaultdict(list), {})
        for u in range(begin, last):
            if (storage, int(instance.segment[u])) in instance.carried or u + 1 in written_at:
                continue
            if u not in accessed:
                fetches.slot[u].append(self._move(self._traffic, u, work))
                self._held[u][0].append(fetches.slot[u][-1])
                self._held[u][1].append(size)
            if self._waits:
                fetches.slot[u].append(self._move(self._traffic, u, work, late=True))
        if self._waits:
            for k, (first, _, _) in enumerate(instance.segments):
                if begin <= first <= last and (storage, k) not in instance.carried and first not in written_at:
                    fetches.before[k] = self._move(self._first_traffic, k, work)
        return fetches

    def _move(self, traffic: list[tuple[list[int], list[float]]], slot: int, work: float, late: bool = False) -> int:
        """A part that is transferred in a slot; a `late` one begins after the slot's instruction, in the wait."""
        variable = self._share()
        for rows in (traffic, self._late) if late else (traffic,):
            rows[slot][0].append(variable)
            rows[slot][1].append(work)
        return variable

    def _add_flow(self, storage: int, y: dict[int, int], fetched: _Fetches) -> None:
        """What is in CMEM at an instruction was there before, or was fetched, or is written."""
        instance = self._instance
        written = {t for t, read, _ in self._touches[storage] if read < 0}
        loops = {first: last for first, last, _ in instance.loops}
        for u, variable in y.items():
            if u in written and u not in loops:
                continue
            segment = int(instance.segment[u])
            first = instance.segments[segment][0]
            sources = [fetched.before[segment]] if u == first and segment in fetched.before else []
            before = [y[u - 1], *fetched.slot.get(u - 1, ())] if u - 1 in y else []
            if u in loops and before:  # what enters a loop is held to its end
                enters = self._share()
                self._at_most([(enters, 1.0), *((x, -1.0) for x in before)], 0.0)
                for later in range(u, loops[u] + 1):
                    if later in y:
                        self._at_most([(enters, 1.0), (y[later], -1.0)], 0.0)
                before = [enters]
            if u not in written:
                self._at_most([(variable, 1.0), *((x, -1.0) for x in (*before, *sources))], 0.0)

    def _add_values(self, storage: int, y: dict[int, int], fetched: _Fetches) -> None:
        """HBM has a value that is written there or written back; it must have what is read there or fetched."""
        instance, touches = self._instance, self._touches[storage]
        has: tuple[int, dict[int, int]] | None = None  # who wrote the present value, and the parts written back
        for index, (t, read, value) in enumerate(touches):
            if read >= 0 and has is not None:
                since = touches[index - 1][0]
                gap = [variable for u in range(since, t) for variable in fetched.slot.get(u, ())]
                gap += [x for k, x in fetched.before.items() if since < instance.segments[k][0] <= t]
                d, parts = has
                back = [variable for u, variable in parts.items() if u < t]
                # 1 - y_t + what is fetched <= 1 - y_d + what was written back
                self._at_most([(y[t], -1.0), *((x, 1.0) for x in gap), (y[d], 1.0), *((x, -1.0) for x in back)], 0.0)
            if value >= 0:
                following = next((s for s, _, later in touches[index + 1 :] if later >= 0), instance.num_instructions)
                has = t, self._add_write_back(storage, value, t, following, y)

    def _add_write_back(self, storage: int, value: int, d: int, following: int, y: dict[int, int]) -> dict[int, int]:
        """w of a value that instruction d writes, until another one is written in its place."""
        instance, work = self._instance, int(self._instance.transfer_ps[storage]) / self._unit
        last = instance.segments[int(instance.segment[d])][1]
        parts: dict[int, int] = {}
        for u in range(d if self._waits else d + 1, min(last + 1, following)):
            parts[u] = self._move(self._traffic if self._waits else self._back, u, work, late=u == d)
            if u in y:
                self._at_most([(parts[u], 1.0), (y[u], -1.0)], 0.0)
        every = [(variable, 1.0) for variable in parts.values()]
        self._at_most([*every, (y[d], -1.0)], 0.0)
        if instance.tensors[value].kind == "output":
            self._at_most([(y[d], 1.0), *((variable, -1.0) for variable, _ in every)], 0.0)
        return parts

    def _add_instructions(self) -> None:
        """Each instruction and slot is as long as accesses and traffic need, and CMEM no larger than it is."""
        instance, unit = self._instance, self._unit
        supply = instance.instruction_ps(np.zeros(instance.num_accesses, dtype=np.bool_))
        i = 0
        for t, instruction in enumerate(instance.instructions):
            memory, channel, constant = [(self._length[t], -1.0)], [(self._length[t], -1.0)], 0.0
            for tensor, _ in (*instruction.reads, *instruction.writes):
                hbm, cmem = int(instance.hbm_ps[i]) / unit, int(instance.cmem_ps[i]) / unit
                served = self._served.get((int(instance.storage[tensor]), t))
                constant += hbm
                if served is not None:
                    memory.append((served, cmem - hbm))
                    channel.append((served, -hbm))
                i += 1
            self._at_most(memory, -constant - instance.hardware.overhead_ps / unit)
            traffic = list(zip(*self._traffic[t], strict=True))
            if self._waits:
                self._at_most([*channel, (self._wait[t], -1.0), *traffic], -constant)
                self._at_most([(self._wait[t], -1.0), *zip(*self._late[t], strict=True)], 0.0)
            else:
                self._at_most(traffic, int(supply[t]) / unit)
                self._at_most(list(zip(*self._back[t], strict=True)), int(supply[t]) / unit)
            if sum(self._held[t][1]) > 1.0:
                self._at_most(list(zip(*self._held[t], strict=True)), 1.0)
        for wait, works in zip(self._first_wait, self._first_traffic, strict=False):
            self._at_most([(wait, -1.0), *zip(*works, strict=True)], 0.0)

    # --- solving ------------------------------------------------------------------------------------------------------

    def solve(self, seconds: float) -> float | None:
        """A value that no plan is below, picoseconds; None where there are no dual values."""
        rows = [row for row in self._rows if row[0]]
        counts = np.cumsum([0, *(len(variables) for variables, _, _ in rows)])
        matrix = csr_matrix(
            (
                np.array([x for _, factors, _ in rows for x in factors]),
                np.array([x for variables, _, _ in rows for x in variables], dtype=np.int64),
                counts,
            ),
            shape=(len(rows), len(self._cost)),
        )
        matrix.sum_duplicates()
        right = np.array([value for _, _, value in rows])
        cost, low, high = (np.array(x) for x in (self._cost, self._low, self._high))
        result = linprog(
            cost,
            A_ub=matrix,
            b_ub=right,
            bounds=np.column_stack([low, high]),
            method="highs",
            options={"time_limit": seconds},
        )
        duals = getattr(result.get("ineqlin"), "marginals", None)
        if duals is None or not np.isfinite(duals).all():
            return None
        return _safe_value(cost, matrix, right, low, high, np.minimum(duals, 0.0)) * self._unit


def _safe_value(
    cost: NDArray[np.float64],
    matrix: csr_matrix,
    right: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    duals: NDArray[np.float64],
) -> float:
    """What no z with `matrix @ z <= right` and low <= z <= high costs less than, whatever duals <= 0 are given."""
    reduced = cost - matrix.T @ duals
    value = float(right @ duals + np.where(reduced > 0, reduced * low, reduced * high).sum())
    most = np.maximum(np.abs(low), np.abs(high))
    terms = np.abs(right) @ np.abs(duals) + (np.abs(cost) + abs(matrix).T @ np.abs(duals)) @ most
    return value - _ROUNDING * float(terms)
