"""An exact model of the static DAG scheduling problem for CP-SAT.

x(i, p): task i runs on PE p, one optional interval each, and those of a PE do not overlap. Start s(i); a task takes
what it takes on its PE. An edge is s(j) >= f(i), and for each pair of PEs between which its data takes c also
s(j) >= f(i) + c if x(i, p) and x(j, q). PEs between which an edge makes no difference are one *side*: a literal for
each side, and where all transfers between distinct PEs take the same one literal "both on one PE" says it all. Nothing
is run twice (duplication), as nowhere in the suite.

Added are bounds: paths in front of a task and behind it, by PE; the work of each PE; no plan is longer than the one to
begin from. PEs that are alike are taken in turn: a task may be the first on one only if an earlier one is on the one
before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import FieldError
from ...envs.soc.instance import SocInstance
from ...envs.soc.measure import measure
from ..cp_sat import cp_sat, solve_watched
from .bounds import heads, lower_bound
from .lists import EARLIEST_FINISH, NO_TABLE, Lists, schedule_list
from .problem import Plan, Problem, Room, problem_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

_ROUNDING = 1e-6  # what a solver's bound on a whole number may exceed one by


@dataclass(frozen=True)
class SocResult:
    """What the solver found.

    Attributes:
        plan: the best; at worst that to begin from.
        bound: no plan has a smaller makespan.
        status: "optimal", "feasible" (better than the plan to begin from, not proved) or "unknown".
        seconds: wall time, the building of the model included.
    """

    plan: Plan
    bound: int
    status: str
    seconds: float

    @property
    def proved(self) -> bool:
        return self.plan.makespan == self.bound


def solve_soc(
    instance: SocInstance,
    seconds: float = 60.0,
    *,
    levels: tuple[int, ...] = (),
    workers: int = 1,
    start: Plan | None = None,
    seed: int = 0,
    work: float | None = None,
    found: Callable[[Plan], None] | None = None,
    bounded: Callable[[int], None] | None = None,
) -> SocResult:
    """Find a plan of the least makespan for the jobs of an instance, to the proved optimum if time allows.

    Args:
        seconds: wall time, the building of the model included.
        levels: at which level the PEs of each kind run; empty: the highest.
        workers: threads of the solver.
        start: a valid plan to begin from; None: the best of the list rules.
        work: limit in CP-SAT's deterministic time. With one worker and seconds enough the result is then reproducible.
        found, bounded: are told of each better plan and of bounds while the search goes on, which Ctrl-C then ends.

    Raises:
        FieldError: `start` has another number of tasks.
        MissingExtraError: ortools is not installed.
    """
    began = time.perf_counter()
    cp = cp_sat()
    problem = problem_of(instance, levels)
    if start is None:
        start = Lists(instance, levels).best()[1]
    elif len(start.pe) != len(problem.arrival):
        raise FieldError("start", len(start.pe), f"a plan of {len(problem.arrival)} tasks")
    tail = measure(problem.graph).tail
    bound = lower_bound(problem, tail)
    if start.makespan <= bound:
        return SocResult(start, bound, "optimal", time.perf_counter() - began)
    model = _Model(cp, problem, instance.groups, tail, bound, start)
    solver = cp.CpSolver()
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    if work is not None:
        solver.parameters.max_deterministic_time = work
    solver.parameters.max_time_in_seconds = max(seconds - (time.perf_counter() - began), 0.01)
    best = _Best(model, start, bound, found, bounded)
    status = best.solve(solver)
    known = {cp.OPTIMAL: "optimal", cp.FEASIBLE: "feasible", cp.UNKNOWN: "unknown"}
    if status not in known:
        raise RuntimeError(f"CP-SAT says {solver.status_name(status)} of a model that always has a solution")
    best.bounded(solver.best_objective_bound)
    if best.plan.makespan == best.bound:
        return SocResult(best.plan, best.bound, "optimal", time.perf_counter() - began)
    return SocResult(best.plan, best.bound, known[status], time.perf_counter() - began)


class _Best:
    """The best plan and bound so far."""

    def __init__(
        self,
        model: _Model,
        plan: Plan,
        bound: int,
        found: Callable[[Plan], None] | None,
        bounded: Callable[[int], None] | None,
    ) -> None:
        self.plan, self.bound = plan, bound
        self._model, self._found, self._bounded = model, found, bounded

    def solve(self, solver: cp_model.CpSolver) -> cp_model.CpSolverStatus:
        """Search, watched where someone wants to be told."""
        model = self._model
        if self._found is None and self._bounded is None:
            status = solver.solve(model.model)
            if status in (model.cp.OPTIMAL, model.cp.FEASIBLE):
                self.offer({key: int(solver.value(variable)) for key, variable in model.variables.items()})
            return status

        return solve_watched(model.cp, solver, model.model, model.variables, self.offer, self.bounded)

    def offer(self, values: dict[Any, int]) -> None:
        """Take a solution."""
        plan = self._model.plan(values)
        if plan.makespan < self.plan.makespan:
            self.plan = plan
            if self._found is not None:
                self._found(plan)

    def bounded(self, value: float) -> None:
        """Take a bound."""
        if math.isfinite(value) and math.ceil(value - _ROUNDING) > self.bound:
            self.bound = math.ceil(value - _ROUNDING)
            if self._bounded is not None:
                self._bounded(self.bound)


class _Model:
    """The model.

    Attributes:
        variables: starts by ("s", task), and literals by ("x", task, PE); what makes a plan.
    """

    def __init__(
        self,
        cp: ModuleType,
        problem: Problem,
        groups: NDArray[np.int64],
        tail: NDArray[np.int64],
        bound: int,
        start: Plan,
    ) -> None:
        self.cp, self.problem = cp, problem
        self.model: cp_model.CpModel = cp.CpModel()
        self._tail, self._head, self._horizon = tail, heads(problem), start.makespan
        self._makespan = self.model.new_int_var(bound, start.makespan, "makespan")
        self.on: list[dict[int, Any]] = []
        self.begin: list[Any] = []
        self.end: list[Any] = []
        self._sides: dict[tuple[int, tuple[int, ...]], Any] = {}
        self._edge_sides: dict[int, tuple[list[list[int]], NDArray[np.int64]]] = {}
        for i in range(len(problem.arrival)):
            self._add_task(i)
        self._add_pes()
        for i in range(len(problem.arrival)):
            for e in range(problem.graph.first_out[i], problem.graph.first_out[i + 1]):
                self._add_edge(i, int(problem.graph.out_task[e]), int(problem.graph.out_volume[e]))
        alike = [np.flatnonzero(groups == group).tolist() for group in range(int(groups.max()) + 1)]
        for pes in alike:
            self._take_in_turn(pes)
        self.model.minimize(self._makespan)
        self.variables: dict[Any, Any] = {("s", i): begin for i, begin in enumerate(self.begin)}
        self.variables.update({("x", i, p): x for i, on in enumerate(self.on) for p, x in on.items()})
        self._hint(start, alike)

    def plan(self, values: dict[Any, int]) -> Plan:
        """The plan of a solution, everything as early as the order of each PE allows."""
        problem = self.problem
        room = Room.of(problem)
        for i, on in enumerate(self.on):
            room.chosen[i] = next(p for p in on if values["x", i, p])
        starts = np.array([values["s", i] for i in range(len(self.on))])
        ends = starts + problem.graph.times[np.arange(len(starts)), room.chosen]
        room.list[:] = np.lexsort((problem.position, ends, starts))
        schedule_list(problem, room, NO_TABLE, EARLIEST_FINISH, False)
        return room.plan()

    # --- tasks and PEs ------------------------------------------------------------------------------------------------

    def _add_task(self, i: int) -> None:
        model, times = self.model, self.problem.graph.times[i].tolist()
        head, tail = self._head[i].tolist(), self._tail[i].tolist()
        # Where a task cannot be in time for a plan as short as that to begin from, it is not.
        able = [p for p, time in enumerate(times) if time >= 0 and head[p] + time + tail[p] <= self._horizon]
        latest = max(self._horizon - times[p] - tail[p] for p in able)
        begin = model.new_int_var(min(head[p] for p in able), latest, f"s{i}")
        on = {p: model.new_bool_var(f"x{i},{p}") for p in able}
        model.add_exactly_one(on.values())
        model.add(begin >= sum(head[p] * x for p, x in on.items()))
        model.add(begin + sum((times[p] + tail[p]) * x for p, x in on.items()) <= self._makespan)
        self.begin.append(begin)
        self.on.append(on)
        self.end.append(begin + sum(times[p] * x for p, x in on.items()))

    def _add_pes(self) -> None:
        times = self.problem.graph.times.tolist()
        for p in range(self.problem.graph.times.shape[1]):
            held = [(i, on[p]) for i, on in enumerate(self.on) if p in on]
            self.model.add_no_overlap(
                [self.model.new_optional_fixed_size_interval_var(self.begin[i], times[i][p], x, "") for i, x in held]
            )
            if held:
                first = min(int(self._head[i, p]) for i, _ in held)
                last = min(int(self._tail[i, p]) for i, _ in held)
                self.model.add(sum(times[i][p] * x for i, x in held) + first + last <= self._makespan).only_enforce_if(
                    self._any(held)
                )

    def _any(self, held: list[tuple[int, Any]]) -> Any:
        """Whether a PE has a task at all."""
        used = self.model.new_bool_var("")
        for _, x in held:
            self.model.add_implication(x, used)
        return used

    def _take_in_turn(self, pes: list[int]) -> None:
        """PEs that are alike: a task may be on one only if one of smaller number is on the one before."""
        for before, p in pairwise(pes):
            seen: Any = None  # whether a task so far is on the one before
            for on in self.on:
                if p in on:
                    if seen is None:
                        self.model.add(on[p] == 0)
                    else:
                        self.model.add_implication(on[p], seen)
                if before in on:
                    now = self.model.new_bool_var("")
                    self.model.add_bool_or([~now, on[before], *([] if seen is None else [seen])])
                    seen = now

    def _hint(self, start: Plan, alike: list[list[int]]) -> None:
        renamed = np.arange(self.problem.graph.times.shape[1])
        used = list(dict.fromkeys(start.pe.tolist()))
        for pes in alike:
            order = [p for p in used if p in pes]
            order += [p for p in pes if p not in order]
            for p, q in zip(order, pes, strict=True):
                renamed[p] = q
        self.model.add_hint(self._makespan, start.makespan)
        for i, on in enumerate(self.on):
            self.model.add_hint(self.begin[i], int(start.start[i]))
            for p, x in on.items():
                self.model.add_hint(x, int(renamed[start.pe[i]] == p))

    # --- edges --------------------------------------------------------------------------------------------------------

    def _add_edge(self, i: int, j: int, volume: int) -> None:
        model = self.model
        sides, takes = self._sides_of(volume)
        least = self._least_transfer(i, j, sides, takes)
        model.add(self.begin[j] >= self.end[i] + least)
        open_pairs = []
        for a, of_a in enumerate(sides):
            for b, of_b in enumerate(sides):
                sends, receives = [p for p in of_a if p in self.on[i]], [p for p in of_b if p in self.on[j]]
                apart = any(p != q for p in sends for q in receives)
                if apart and takes[a, b] > least:
                    open_pairs.append((a, b, sends, receives))
        if not open_pairs:
            return
        same = self._same_pe(i, j)
        lengths = {int(takes[a, b]) for a, b, *_ in open_pairs}
        if len(lengths) == 1 and self._all_apart(i, j, sides, takes, lengths):
            model.add(self.begin[j] >= self.end[i] + lengths.pop()).only_enforce_if(~same)
            return
        for a, b, sends, receives in open_pairs:
            when = [self._side(i, sends), self._side(j, receives)]
            if any(p in receives for p in sends):
                when.append(~same)
            enforced = [literal for literal in when if literal is not None]
            model.add(self.begin[j] >= self.end[i] + int(takes[a, b])).only_enforce_if(enforced)

    def _sides_of(self, volume: int) -> tuple[list[list[int]], NDArray[np.int64]]:
        """PEs that make no difference to a transfer, side by side, and int64 [S, S], what it takes from side to side
        (on the diagonal: from one PE to another of the side)."""
        if volume not in self._edge_sides:
            takes = volume // self.problem.graph.bandwidth
            pes = len(takes)
            sides: list[list[int]] = []
            for p in range(pes):
                for side in sides:
                    if all(self._alike(takes, p, q) for q in side):
                        side.append(p)
                        break
                else:
                    sides.append([p])
            table = np.zeros((len(sides), len(sides)), dtype=np.int64)
            for a, of_a in enumerate(sides):
                for b, of_b in enumerate(sides):
                    table[a, b] = next((takes[p, q] for p in of_a for q in of_b if p != q), 0)
            self._edge_sides[volume] = sides, table
        return self._edge_sides[volume]

    @staticmethod
    def _alike(takes: NDArray[np.int64], p: int, q: int) -> bool:
        others = [r for r in range(len(takes)) if r not in (p, q)]
        return bool(
            takes[p, q] == takes[q, p]
            and (takes[p, others] == takes[q, others]).all()
            and (takes[others, p] == takes[others, q]).all()
        )

    def _least_transfer(self, i: int, j: int, sides: list[list[int]], takes: NDArray[np.int64]) -> int:
        """What a transfer takes at least, on whatever PEs its tasks are."""
        if any(p in self.on[j] for p in self.on[i]):
            return 0
        side = {p: a for a, of_a in enumerate(sides) for p in of_a}
        return min(int(takes[side[p], side[q]]) for p in self.on[i] for q in self.on[j])

    def _all_apart(self, i: int, j: int, sides: list[list[int]], takes: NDArray[np.int64], lengths: set[int]) -> bool:
        """Whether a transfer between any two distinct PEs of its tasks takes one and the same time."""
        side = {p: a for a, of_a in enumerate(sides) for p in of_a}
        return {int(takes[side[p], side[q]]) for p in self.on[i] for q in self.on[j] if p != q} == lengths

    def _side(self, i: int, pes: list[int]) -> Any:
        """Whether a task is on one of some PEs; None where it must be."""
        on = self.on[i]
        if len(pes) == len(on):
            return None
        if len(pes) == 1:
            return on[pes[0]]
        key = i, tuple(pes)
        if key not in self._sides:
            literal = self.model.new_bool_var("")
            self.model.add(sum(on[p] for p in pes) == literal)
            self._sides[key] = literal
        return self._sides[key]

    def _same_pe(self, i: int, j: int) -> Any:
        """Whether two tasks are on one PE."""
        same = self.model.new_bool_var("")
        of_i, of_j = self.on[i], self.on[j]
        for p, x in of_i.items():
            if p in of_j:
                self.model.add_implication(x, of_j[p]).only_enforce_if(same)
                self.model.add_bool_or([~x, ~of_j[p], same])
            else:
                self.model.add_implication(x, ~same)
        for p, x in of_j.items():
            if p not in of_i:
                self.model.add_implication(x, ~same)
        return same
