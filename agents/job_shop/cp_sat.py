"""Exact models of the job shop for CP-SAT: classical, blocking with and without swaps, known down-times.

Start S, completion C and release R of each operation: C = S + p without down-times, R = C in the classical shop and for
a job's last operation, else R is the start of the successor. The makespan max C is least.

* Classical: no two intervals [S, C) of a machine overlap.
* Blocking: a *stay* is a run of operations of one job on one machine. Of two stays x, y of different jobs on a machine
  S(y) >= R(x) or S(x) >= R(y), as Mascis and Pacciarelli's alternative arcs ("Job-shop scheduling with blocking and
  no-wait constraints", EJOR 143(3), 2002), which lets a swap happen at one instant.
* Without swaps, and wherever times of zero let one job make several moves at one instant, each stay has a rank that
  orders the moves of one instant: it grows along a job's route, and a stay that takes the machine over from x ranks
  above the stay that x goes to (with swaps: not below; moves of equal rank in a cycle are one swap).
* Down-times: `resume` has every window of the machine before, inside or after the operation; `repeat` ends a cut
  operation a full processing time after the window in front of the first gap that is long enough; `scrap` lets
  operations start only where they survive, so that no piece is ever lost, not even on purpose.
* From a start state on: what has begun keeps its start and its expected completion, everything else starts from now on,
  and only pairs of stays of which one has not begun are open. A machine that is down is one with a window under way.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...envs.core.errors import FieldError
from ...envs.job_shop.bounds import lower_bound
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import (
    BLOCKING,
    ON_BREAKDOWN,
    JobShopSchedule,
    completion_time,
    first_up,
    is_down,
    validate,
)
from ..agent import Report
from ..cp_sat import cp_sat, solve_watched
from .start import StartState

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Windows = Sequence[Sequence[tuple[int, int]]]
Operation = tuple[int, int]

_ROUNDING = 1e-6  # what a solver's bound on a whole number may exceed one by


@dataclass(frozen=True)
class ExactResult:
    """What a solver found.

    Attributes:
        schedule: the best valid schedule, None where none was found in time.
        objective: its makespan, None without a schedule.
        bound: no schedule is shorter.
        proved: objective == bound.
        seconds: wall time, the building of the model included.
    """

    schedule: JobShopSchedule | None
    objective: int | None
    bound: int
    proved: bool
    seconds: float


@dataclass(frozen=True)
class JobShopProblem:
    """An instance with the rules of the shop, its known down-times, one tuple per machine, and where it stands."""

    instance: JobShopInstance
    blocking: str
    on_breakdown: str
    unload_when_down: bool
    windows: tuple[tuple[tuple[int, int], ...], ...]
    state: StartState

    def stays(self, job: int) -> list[list[Operation]]:
        """The job's operations in runs between moves: one each in the classical shop, by machine under blocking."""
        runs: list[list[Operation]] = []
        for k in range(int(self.instance.lengths[job])):
            if runs and self.blocking != "none" and self.machine((job, k - 1)) == self.machine((job, k)):
                runs[-1].append((job, k))
            else:
                runs.append([(job, k)])
        return runs

    def machine(self, operation: Operation) -> int:
        """The machine of an operation."""
        return int(self.instance.machines[operation])

    def processing_time(self, operation: Operation) -> int:
        """How long an operation takes."""
        return int(self.instance.times[operation])

    def locks(self, machine: int) -> tuple[tuple[int, int], ...]:
        """Windows of a machine in which a job cannot leave it."""
        return () if self.unload_when_down or self.blocking == "none" else self.windows[machine]

    def schedule(self, start: np.ndarray) -> JobShopSchedule:
        """The schedule with these starts [n, L]; no piece may be lost.

        What has begun ends as the start state says. Down-times that are over by then are not part of the schedule.
        """
        completion = self.state.completion.copy()
        for j, length in enumerate(self.instance.lengths.tolist()):
            for k in range(int((completion[j] >= 0).sum()), length):
                windows = self.windows[self.machine((j, k))]
                completion[j, k], _ = completion_time(
                    int(start[j, k]), self.processing_time((j, k)), windows, self.on_breakdown
                )
        downtime = self.windows if any(self.windows) else ()
        return JobShopSchedule(
            self.instance,
            self.blocking,
            start,
            completion,
            on_breakdown=self.on_breakdown,
            unload_when_down=self.unload_when_down,
            downtime=downtime,
        )


def solve_job_shop(
    instance: JobShopInstance,
    blocking: str = "none",
    seconds: float = 60.0,
    *,
    workers: int = 1,
    windows: Windows | None = None,
    on_breakdown: str = "resume",
    unload_when_down: bool = True,
    start: JobShopSchedule | None = None,
    state: StartState | None = None,
    known_bound: int = 0,
    seed: int = 0,
    work: float | None = None,
    report: Report | None = None,
) -> ExactResult:
    """Solve a job shop with CP-SAT, to the proved optimum if time allows.

    Args:
        blocking: "none" (classical), "swap" (BWS) or "no-swap" (BNS).
        seconds: wall time, at least 0; building the model counts.
        workers: threads.
        windows: known down-times per machine, sorted and apart; None takes the instance's own, or the state's.
        on_breakdown: "resume", "repeat" or "scrap".
        start: a finished schedule of the same problem to begin from; the result is never worse.
        state: where the shop stands; None for one in which nothing has begun. The schedule found holds what has begun,
            with the completions that the state expects, and only down-times that end after the state's time.
        known_bound: a lower bound on the makespan from elsewhere, such as the optimum without down-times.
        seed: of the solver.
        work: limit in CP-SAT's deterministic time. With one worker and seconds enough the result is then reproducible.
        report: is told of schedules and bounds while the search goes on, which Ctrl-C then ends at once.

    Raises:
        FieldError: an argument is none of these, `start` does not fit the problem, the state contradicts itself, or
            no schedule leads on from it (a deadlock).
        MissingExtraError: ortools is not installed.
    """
    began = time.perf_counter()
    problem = _problem(instance, blocking, windows, on_breakdown, unload_when_down, state)
    if start is not None:
        _check_start(problem, start)
    bound = max(lower_bound(instance), known_bound)
    if start is not None and start.makespan <= bound:
        return ExactResult(start, start.makespan, bound, True, time.perf_counter() - began)
    model = _Model(cp_sat(), problem, bound, start)
    solver = model.solver(workers, seed, work)
    solver.parameters.max_time_in_seconds = max(seconds - (time.perf_counter() - began), 0.0)
    status = solver.solve(model.model) if report is None else _solve_watched(model, solver, report)
    schedule = start
    if status in (model.cp.OPTIMAL, model.cp.FEASIBLE):
        found = problem.schedule(model.starts(solver))
        if start is None or found.makespan < start.makespan:
            schedule = found
    elif status == model.cp.INFEASIBLE and not problem.state.is_empty:
        raise FieldError("state", "one without a schedule", "one from which every job can be finished")
    elif status != model.cp.UNKNOWN:
        raise RuntimeError(f"CP-SAT says {solver.status_name(status)} of a model that always has a solution")
    # A run that ends before the search reports minus infinity.
    if math.isfinite(solver.best_objective_bound):
        bound = max(bound, math.ceil(solver.best_objective_bound - _ROUNDING))
    objective = None if schedule is None else schedule.makespan
    return ExactResult(schedule, objective, bound, objective == bound, time.perf_counter() - began)


def _solve_watched(model: _Model, solver: cp_model.CpSolver, report: Report) -> cp_model.CpSolverStatus:

    def found(values: dict[Any, int]) -> None:
        table = np.full(model.problem.instance.times.shape, -1, dtype=np.int64)
        for operation, start in values.items():
            table[operation] = start
        report.found(model.problem.schedule(table))

    def bounded(bound: float) -> None:
        if math.isfinite(bound):
            report.bounded(math.ceil(bound - _ROUNDING))

    return solve_watched(model.cp, solver, model.model, model.begin, found, bounded)


def _problem(
    instance: JobShopInstance,
    blocking: str,
    windows: Windows | None,
    on_breakdown: str,
    unload_when_down: bool,
    state: StartState | None,
) -> JobShopProblem:
    if blocking not in BLOCKING:
        raise FieldError("blocking", blocking, f"one of {BLOCKING}")
    if on_breakdown not in ON_BREAKDOWN:
        raise FieldError("on_breakdown", on_breakdown, f"one of {ON_BREAKDOWN}")
    own = instance.windows if state is None else state.windows
    given = own if windows is None else windows
    if len(given) not in (0, instance.num_machines):
        raise FieldError("windows", given, f"no entry or {instance.num_machines}, one per machine")
    table = tuple(tuple((int(b), int(e)) for b, e in machine) for machine in given)
    for m, machine in enumerate(table):
        bounds = [bound for window in machine for bound in window]
        if any(late <= early for early, late in pairwise([-1, *bounds])):
            raise FieldError(f"windows[{m}]", machine, "windows (begin, end) that are sorted and apart")
    table = table or ((),) * instance.num_machines
    if state is None:
        state = StartState.empty(instance, table)
    state.check(instance, blocking)
    return JobShopProblem(instance, blocking, on_breakdown, unload_when_down, table, state)


def _check_start(problem: JobShopProblem, start: JobShopSchedule) -> None:
    instance = problem.instance
    if not start.finished:
        raise FieldError("start", "an unfinished schedule", "a finished one")
    same = np.array_equal(start.instance.times, instance.times)
    if not same or not np.array_equal(start.instance.machines, instance.machines):
        raise FieldError("start", start.instance.name, f"a schedule of {instance.name!r}")
    rules = (start.blocking, start.on_breakdown, start.unload_when_down)
    expected = (problem.blocking, problem.on_breakdown, problem.unload_when_down)
    if rules != expected:
        raise FieldError("start", rules, f"a schedule under (blocking, on_breakdown, unload_when_down) = {expected}")
    for m, windows in enumerate(problem.windows):
        if [w for w in start.windows(m) if w[0] < start.makespan] != [w for w in windows if w[0] < start.makespan]:
            raise FieldError("start", start.windows(m), f"machine {m} to be down in {windows}")
    if problem.state.time > 0 or not problem.state.is_empty:
        # Down-times that are over are unknown: `validate` could not tell why things took so long.
        _check_start_from_state(problem, start)
        return
    violations = validate(start)
    if violations:
        raise FieldError("start", violations[0], "a valid schedule")


def _check_start_from_state(problem: JobShopProblem, start: JobShopSchedule) -> None:
    state = problem.state
    begun = state.start >= 0
    if not np.array_equal(start.start[begun], state.start[begun]):
        raise FieldError("start", "one in which operations began at other times", "a schedule from the state on")
    real = np.arange(begun.shape[1]) < problem.instance.lengths[:, None]
    if (start.start[real & ~begun] < state.time).any():
        raise FieldError("start", f"one that begins operations before {state.time}", "a schedule from the state on")
    if not np.array_equal(problem.schedule(start.start).completion, start.completion):
        raise FieldError("start", "one with other completions", "a schedule under the down-times that are known")


def _horizon(problem: JobShopProblem) -> int:
    """A time by which every job can have left."""
    state, instance = problem.state, problem.instance
    if state.is_empty:
        return serial_schedule(problem).makespan
    # At every time before, something is processed, or a machine is down or about to be.
    begun = state.start >= 0
    busy = np.maximum(state.completion[begun] - state.time, 0).sum() + instance.times[~begun].sum()
    down = sum(e - b + int(instance.times.max()) for machine in problem.windows for b, e in machine)
    return state.time + int(busy) + down


def serial_schedule(problem: JobShopProblem) -> JobShopSchedule:
    """One job after the other, each operation as early as it survives: valid in every mode, and so a horizon."""
    instance = problem.instance
    start = np.full(instance.times.shape, -1, dtype=np.int64)
    now = problem.state.time
    for j in range(instance.num_jobs):
        left = -1
        for stay in problem.stays(j):
            machine = problem.machine(stay[0])
            locks = problem.locks(left) if left >= 0 else ()
            now = _enter(problem, stay, now, locks, start)
            left = machine
    return problem.schedule(start)


def _enter(
    problem: JobShopProblem, stay: list[Operation], now: int, locks: Sequence[tuple[int, int]], start: np.ndarray
) -> int:
    """Start a stay at the earliest of `now` and the ends of windows at which it survives; its completion."""
    windows = problem.windows[problem.machine(stay[0])]
    while True:
        while is_down(now, windows) or is_down(now, locks):
            now = first_up(first_up(now, windows), locks)
        end, lost = now, False
        for operation in stay:
            start[operation] = first_up(end, windows)
            end, lost = completion_time(
                int(start[operation]), problem.processing_time(operation), windows, problem.on_breakdown
            )
            if lost:
                break
        if not lost:
            return end
        now = end


class _Model:
    """The CP-SAT model of a problem.

    Attributes:
        begin, end: variables S and C by operation.
    """

    def __init__(self, cp: ModuleType, problem: JobShopProblem, bound: int, start: JobShopSchedule | None) -> None:
        self.cp, self.problem = cp, problem
        self.model: cp_model.CpModel = cp.CpModel()
        self.horizon = _horizon(problem) if start is None else start.makespan
        self.begin: dict[Operation, Any] = {}
        self.end: dict[Operation, Any] = {}
        self.stays = [problem.stays(j) for j in range(problem.instance.num_jobs)]
        for stays in self.stays:
            self._add_job(stays)
        if problem.blocking == "none":
            self._add_no_overlap()
        else:
            self._add_blocking()
        makespan = self.model.new_int_var(bound, max(bound, self.horizon), "makespan")
        for stays in self.stays:
            self.model.add(makespan >= self.end[stays[-1][-1]])
        self.model.minimize(makespan)
        if start is not None:
            self._add_hints(start)

    def solver(self, workers: int, seed: int, work: float | None) -> cp_model.CpSolver:
        solver = self.cp.CpSolver()
        solver.parameters.num_workers = workers
        solver.parameters.random_seed = seed
        if work is not None:
            solver.parameters.max_deterministic_time = work
        return solver

    def starts(self, solver: cp_model.CpSolver) -> np.ndarray:
        """Start times [n, L] of the solution, -1 where padded."""
        table = np.full(self.problem.instance.times.shape, -1, dtype=np.int64)
        for operation, variable in self.begin.items():
            table[operation] = solver.value(variable)
        return table

    def _add_hints(self, start: JobShopSchedule) -> None:
        for operation, variable in self.begin.items():
            if self.has_begun(operation):
                continue
            self.model.add_hint(variable, int(start.start[operation]))
            if not self._is_plain(operation):
                self.model.add_hint(self.end[operation], int(start.completion[operation]))

    def _windows(self, operation: Operation) -> list[tuple[int, int]]:
        """Windows that can matter: those that begin before the horizon."""
        return [w for w in self.problem.windows[self.problem.machine(operation)] if w[0] < self.horizon]

    def _cuts(self, operation: Operation) -> list[tuple[int, int]]:
        """Windows that can cut the operation where it has not begun: those that begin later than now."""
        return [w for w in self._windows(operation) if w[0] > self.problem.state.time]

    def _is_plain(self, operation: Operation) -> bool:
        """Whether C = S + p holds by the start's domain alone."""
        return self.problem.on_breakdown == "scrap" or not self._cuts(operation)

    def _add_job(self, stays: list[list[Operation]]) -> None:
        previous = None
        for stay in stays:
            locks = self.problem.locks(self.problem.machine(previous)) if previous is not None else ()
            for operation in stay:
                if self.has_begun(operation):
                    self._add_begun(operation)
                else:
                    self._add_operation(operation, locks if operation == stay[0] else ())
            for operation, following in pairwise(stay):
                if not self.has_begun(following):
                    self._add_continuation(operation, following)
            if previous is not None and not self.has_begun(stay[0]):
                self.model.add(self.begin[stay[0]] >= self.end[previous])
            previous = stay[-1]

    def has_begun(self, operation: Operation) -> bool:
        return self.problem.state.has_begun(operation)

    def _add_begun(self, operation: Operation) -> None:
        state = self.problem.state
        self.begin[operation] = self.model.new_constant(int(state.start[operation]))
        self.end[operation] = self.model.new_constant(int(state.completion[operation]))

    def _add_operation(self, operation: Operation, locks: Sequence[tuple[int, int]]) -> None:
        head, tail = self._head(operation), self._tail(operation)
        time = self.problem.processing_time(operation)
        latest = self.horizon - time - tail
        domain = self._start_domain(operation, head, latest)
        for b, e in locks:
            domain = domain.intersection_with(self.cp.Domain(b, e - 1).complement())
        name = f"{operation[0]},{operation[1]}"
        begin = self.begin[operation] = self.model.new_int_var_from_domain(domain, f"S({name})")
        if self._is_plain(operation):
            self.end[operation] = begin + time
            return
        self.end[operation] = self.model.new_int_var(head + time, self.horizon - tail, f"C({name})")
        if self.problem.on_breakdown == "resume":
            self._add_resume(operation, time)
        else:
            self._add_repeat(operation, time)

    def _head(self, operation: Operation) -> int:
        """Earliest start of an operation that has not begun, were its job alone."""
        state, (job, k) = self.problem.state, operation
        begun = int((state.start[job] >= 0).sum())
        ready = max(state.time, int(state.completion[job, begun - 1]) if begun else 0)
        return ready + int(self.problem.instance.times[job, begun:k].sum())

    def _tail(self, operation: Operation) -> int:
        return int(self.problem.instance.times[operation[0], operation[1] + 1 :].sum())

    def _start_domain(self, operation: Operation, earliest: int, latest: int) -> Any:
        """Times at which the machine is up; under `scrap` such that the operation survives."""
        survive = self.problem.processing_time(operation) if self.problem.on_breakdown == "scrap" else 0
        intervals, gap = [], 0
        for b, e in [*self._windows(operation), (None, None)]:
            # Up at gap .. b - 1; a start at b - survive ends exactly at b, which counts.
            last = latest if b is None else min(b - max(survive, 1), latest)
            if max(gap, earliest) <= last:
                intervals.append([max(gap, earliest), last])
            gap = e
        return self.cp.Domain.from_intervals(intervals)

    def _add_resume(self, operation: Operation, time: int) -> None:
        begin, end = self.begin[operation], self.end[operation]
        pauses = []
        for b, e in self._cuts(operation):
            before, inside, after = (self.model.new_bool_var("") for _ in range(3))
            self.model.add_exactly_one(before, inside, after)
            self.model.add(begin >= e).only_enforce_if(before)
            self.model.add(begin < b).only_enforce_if(inside)
            self.model.add(end > e).only_enforce_if(inside)
            self.model.add(end <= b).only_enforce_if(after)
            pauses.append((e - b) * inside)
        self.model.add(end == begin + time + sum(pauses))

    def _add_repeat(self, operation: Operation, time: int) -> None:
        """C = S + p unless S lies within p of a window's begin; then a fixed time."""
        begin, end = self.begin[operation], self.end[operation]
        windows = self._cuts(operation)
        machine_windows = self.problem.windows[self.problem.machine(operation)]
        plain = self.model.new_bool_var("")
        cases = [plain]
        uncut, gap = [], 0
        for b, e in windows:
            if gap <= min(b - time, b - 1):
                uncut.append([gap, min(b - time, b - 1)])
            first_cut = max(gap, b - time + 1)
            if first_cut < b:
                cut = self.model.new_bool_var("")
                cases.append(cut)
                self.model.add_linear_constraint(begin, first_cut, b - 1).only_enforce_if(cut)
                fixed, _ = completion_time(e, time, machine_windows, "repeat")
                self.model.add(end == fixed).only_enforce_if(cut)
            gap = e
        uncut.append([gap, max(gap, self.horizon)])
        domain = self.cp.Domain.from_intervals(uncut)
        self.model.add_linear_expression_in_domain(begin, domain).only_enforce_if(plain)
        self.model.add(end == begin + time).only_enforce_if(plain)
        self.model.add_exactly_one(cases)

    def _add_continuation(self, operation: Operation, following: Operation) -> None:
        """The next operation on the machine starts at once, or at the end of a window that begins just then."""
        if self.has_begun(operation):
            ready = max(int(self.problem.state.completion[operation]), self.problem.state.time)
            self.model.add(self.begin[following] == first_up(ready, self._windows(operation)))
            return
        delays = []
        for b, e in self._cuts(operation):
            cut = self.model.new_bool_var("")
            self.model.add(self.end[operation] == b).only_enforce_if(cut)
            self.model.add(self.end[operation] != b).only_enforce_if(~cut)
            delays.append((e - b) * cut)
        self.model.add(self.begin[following] == self.end[operation] + sum(delays))

    def _add_no_overlap(self) -> None:
        open_ = [operation for operation in self.begin if not self.has_begun(operation)]
        held_until: dict[int, int] = defaultdict(int)
        for operation in self.begin.keys() - open_:
            machine, end = self.problem.machine(operation), int(self.problem.state.completion[operation])
            held_until[machine] = max(held_until[machine], end)
        by_machine = defaultdict(list)
        for operation in open_:
            machine, time = self.problem.machine(operation), self.problem.processing_time(operation)
            begin = self.begin[operation]
            if held_until[machine] > self.problem.state.time:
                self.model.add(begin >= held_until[machine])
            if self._is_plain(operation):
                interval = self.model.new_fixed_size_interval_var(begin, time, f"{operation}")
            else:
                size = self.model.new_int_var(time, self.horizon, "")
                interval = self.model.new_interval_var(begin, size, self.end[operation], f"{operation}")
            by_machine[machine].append(interval)
        for intervals in by_machine.values():
            self.model.add_no_overlap(intervals)

    def _add_blocking(self) -> None:
        """One Boolean per pair of open stays of different jobs on a machine, and ranks where they are needed.

        Of two stays of which one has begun that one comes first; of two that have begun the past has decided.
        """
        self.rank: dict[Operation, Any] = {}
        open_times = [self.problem.processing_time(o) for o in self.begin if not self.has_begun(o)]
        has_zero = 0 in open_times
        if has_zero or self.problem.blocking == "no-swap":
            self._add_ranks()
        by_machine = defaultdict(list)
        for job, stays in enumerate(self.stays):
            for s, stay in enumerate(stays):
                by_machine[self.problem.machine(stay[0])].append((job, s))
        for members in by_machine.values():
            for x, y in combinations(members, 2):
                if x[0] == y[0]:
                    continue
                begun = [self.has_begun(self.stays[job][s][0]) for job, s in (x, y)]
                if any(begun):
                    if not all(begun):
                        self._add_order(*((x, y) if begun[0] else (y, x)), None)
                else:
                    first = self.model.new_bool_var(f"{x}<{y}")
                    self._add_order(x, y, first)
                    self._add_order(y, x, ~first)

    def _add_ranks(self) -> None:
        remaining = [[stay for stay in stays if not self.has_begun(stay[0])] for stays in self.stays]
        total = sum(len(stays) for stays in remaining)
        for stays in remaining:
            for s, stay in enumerate(stays):
                latest = total - len(stays) + s
                self.rank[stay[0]] = self.model.new_int_var(s, latest, f"rank{stay[0]}")
            for stay, following in pairwise(stays):
                self.model.add(self.rank[following[0]] > self.rank[stay[0]])

    def _add_order(self, x: tuple[int, int], y: tuple[int, int], before: Any) -> None:
        """Stay y, which has not begun, takes the machine over from stay x; stays as (job, number in its route).

        Args:
            before: literal under which it is so; None: always.
        """
        entry = self.stays[y[0]][y[1]][0]
        stays = self.stays[x[0]]
        following = stays[x[1] + 1][0] if x[1] + 1 < len(stays) else None
        release = self.end[stays[x[1]][-1]] if following is None else self.begin[following]
        orders = [self.begin[entry] >= release]
        if self.rank:
            # A move that has been made has no rank: it came before all others.
            mover, least = (stays[x[1]][0], 1) if following is None else (following, self.problem.blocking == "no-swap")
            if mover in self.rank:
                orders.append(self.rank[entry] >= self.rank[mover] + int(least))
        for order in orders:
            constraint = self.model.add(order)
            if before is not None:
                constraint.only_enforce_if(before)
