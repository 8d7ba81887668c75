"""An exact model of memory mapping for CP-SAT.

It holds every plan that is valid and fits its supply, and with that every game: whatever the game's rules choose (the
begin of a fetch, the end of a write-back, the offset in a gap) is free here. So its optimum is at most that of the
game, and its bound holds for the proxy run time of every valid plan with this supply, and for the judges' too, which
only add to that.

A *touch* is an instruction that accesses a storage. What serves a touch began with it (a write), or with a fetch in
front of it and after the touch before, or serves the touch before as well. Each touch in CMEM is a rectangle, from the
begin of its fetch, or itself, to the next touch if that stays, or else to where it is held. Transfers may be
interrupted: each has an amount for each instruction of its window, and the amounts fit the supply. Offsets are
multiples of the greatest common divisor of the sizes: blocks can be let down until each lies on another one or on the
ground.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...envs.core.errors import FieldError
from ...envs.core.extras import optional
from ...envs.memory_mapping.bounds import placeable
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.run_time import run_times
from ...envs.memory_mapping.schedule import MemoryPlan, Placement
from ...envs.memory_mapping.validity import validate
from ..agent import Report
from ..cp_sat import solve_watched

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

SUPPLIES = ("elapsed", "contended")
OBJECTIVES = ("judge", "proxy")
_ROUNDING = 2.0**-52  # of the whole number that a solver gives as a bound in floating point


@dataclass(frozen=True)
class MemoryResult:
    """What the solver found.

    Attributes:
        plan: the best valid plan by the objective; at worst the one that places nothing.
        objective: its run time, picoseconds.
        bound: no valid plan that fits the supply is shorter, by the proxy or by a judge.
        proved: objective == bound.
        seconds: wall time, the building of the model included.
    """

    plan: MemoryPlan
    objective: int
    bound: int
    proved: bool
    seconds: float


def solve_memory_mapping(
    instance: MemoryInstance,
    supply: str = "contended",
    seconds: float = 60.0,
    *,
    objective: str = "judge",
    workers: int = 1,
    start: MemoryPlan | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> MemoryResult:
    """Find the plan with the least proxy run time among all that fit the supply.

    Args:
        supply: "elapsed" or "contended".
        seconds: wall time, the building of the model included.
        objective: by which of the plans that the solver comes across the best is taken, "judge" or "proxy". The model
            itself knows the proxy alone.
        workers: threads of the solver.
        start: a valid plan to begin from.
        report: told of each better plan, and of bounds by the proxy. (By a judge a plan that does not fit the supply
            may be better.)

    Raises:
        FieldError: `supply` or `objective` is something else.
        MissingExtraError: OR-tools is not installed.
    """
    began = time.perf_counter()
    for name, value, choices in (("supply", supply, SUPPLIES), ("objective", objective, OBJECTIVES)):
        if value not in choices:
            raise FieldError(name, value, f"one of {', '.join(choices)}")
    with optional("agent 'cp-sat'", "exact", "ortools"):
        from ortools.sat.python import cp_model as cp
    best = _Best(MemoryPlan(instance, (), supply), objective, report)
    if start is not None:
        best.offer(start)
    model = _Model(cp, instance, supply)
    if start is not None:
        model.hint(start)
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = max(seconds - (time.perf_counter() - began), 0.01)
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    bounds = [0]

    def bounded(value: float) -> None:
        bounds[0] = max(bounds[0], math.ceil(value * (1.0 - _ROUNDING) - 0.5))
        if report is not None and objective == "proxy":
            report.bounded(bounds[0])

    status = solve_watched(
        cp, solver, model.model, model.variables, lambda values: best.offer(model.plan(values)), bounded
    )
    if status not in (cp.OPTIMAL, cp.FEASIBLE, cp.UNKNOWN):
        raise RuntimeError(f"CP-SAT: {solver.status_name(status)}, but a plan that places nothing is always possible")
    bounded(solver.best_objective_bound)
    bound = min(bounds[0], best.objective)
    return MemoryResult(best.plan, best.objective, bound, bound == best.objective, time.perf_counter() - began)


class _Best:
    """The best plan so far."""

    def __init__(self, plan: MemoryPlan, objective: str, report: Report | None) -> None:
        self.plan, self._objective, self._report = plan, objective, report
        self.objective = plan.instance.all_hbm_ps

    def offer(self, plan: MemoryPlan) -> None:
        """Take a plan if it is better.

        Raises:
            RuntimeError: it is not valid; the model is wrong then.
        """
        violations = validate(plan)
        if violations:
            raise RuntimeError(f"the exact model made an invalid plan: {violations[0]}")
        times = run_times(plan)
        value = times.judged_ps if self._objective == "judge" else times.proxy_ps
        if value < self.objective:
            self.plan, self.objective = plan, value
            if self._report is not None:
                self._report.found(plan)


@dataclass
class _Fetch:
    """A fetch within one segment: `begun[u]` says for each instruction of its window whether it has begun by then."""

    used: cp_model.IntVar
    segment: int
    before: int
    begun: dict[int, cp_model.IntVar]


@dataclass
class _WriteBack:
    """A write-back; `last` is the last instruction that it uses."""

    used: cp_model.IntVar
    last: cp_model.IntVar


@dataclass
class _Touch:
    """An instruction that accesses a storage, and how it is served."""

    t: int
    tensor: int
    reads: bool
    value: int  # that is written, or -1
    served: cp_model.IntVar
    stays: cp_model.IntVar
    produced: cp_model.IntVar
    start: cp_model.IntVar
    end: cp_model.IntVar  # of its rectangle
    strip_end: cp_model.IntVar  # of what serves it
    offset: cp_model.IntVar
    fetches: list[_Fetch] = field(default_factory=list)
    write_back: _WriteBack | None = None


class _Model:
    """The model and its variables; `variables` are those that make a plan."""

    def __init__(self, cp: ModuleType, instance: MemoryInstance, supply: str) -> None:
        self._instance, self._supply = instance, supply
        self.model: cp_model.CpModel = cp.CpModel()
        self._no = self.model.new_constant(0)
        self._storages: dict[int, list[_Touch]] = {}
        self._amounts: list[dict[str, list[Any]]] = [defaultdict(list) for _ in instance.instructions]
        sizes = [int(instance.size[v]) for v in np.flatnonzero(placeable(instance))]
        self._unit = math.gcd(*sizes) if sizes else 1
        self._room = instance.hardware.cmem_bytes // self._unit
        may = placeable(instance)
        for storage, touches in _touches(instance).items():
            if may[storage]:
                self._add_storage(storage, touches)
        self._add_space()
        self._add_time()
        self.variables = {index: variable for index, variable in enumerate(self._chosen())}

    # --- storages -----------------------------------------------------------------------------------------------------

    def _add_storage(self, storage: int, rows: list[tuple[int, int, int]]) -> None:
        touches: list[_Touch] = []
        for index, (t, read, value) in enumerate(rows):
            following = rows[index + 1][0] if index + 1 < len(rows) else self._instance.num_instructions
            touches.append(self._touch(storage, touches[-1] if touches else None, t, read, value, following))
        self._storages[storage] = touches
        for index, touch in enumerate(touches):
            self._link(touch, touches[index + 1] if index + 1 < len(touches) else None)
        if self._instance.tensors[storage].alias_group is not None:
            for touch in touches[1:]:
                self.model.add(touch.served == touches[0].served)
                self.model.add(touch.offset == touches[0].offset)
        for touch in touches:
            if touch.value >= 0:
                self._add_write_back(storage, touch, touches)
        self._add_values(touches)
        self._add_loops(touches)

    def _touch(self, storage: int, before: _Touch | None, t: int, read: int, value: int, following: int) -> _Touch:
        model, instance = self.model, self._instance
        earliest = 0 if before is None else before.t + 1
        touch = _Touch(
            t,
            read if read >= 0 else value,
            read >= 0,
            value,
            served=model.new_bool_var(""),
            stays=model.new_bool_var("") if before is not None else self._no,
            produced=model.new_bool_var("") if read < 0 else self._no,
            start=model.new_int_var(min(earliest, t), t, ""),
            end=model.new_int_var(t, following - 1, ""),
            strip_end=model.new_int_var(t, instance.num_instructions - 1, ""),
            offset=model.new_int_var(0, self._room - int(instance.size[storage]) // self._unit, ""),
        )
        if read >= 0:
            self._add_fetches(storage, touch, before, earliest)
        begins = [touch.stays, touch.produced, *(fetch.used for fetch in touch.fetches)]
        model.add(sum(begins) == touch.served)
        for begin in (touch.stays, touch.produced):
            model.add(touch.start == t).only_enforce_if(begin)
        if before is not None:
            model.add_implication(touch.stays, before.served)
            model.add(touch.offset == before.offset).only_enforce_if(touch.stays)
            model.add(before.end == t - 1).only_enforce_if(touch.stays)
        return touch

    def _add_fetches(self, storage: int, touch: _Touch, before: _Touch | None, earliest: int) -> None:
        model, instance = self.model, self._instance
        for k in range(int(instance.segment[min(earliest, touch.t)]), int(instance.segment[touch.t]) + 1):
            first, last, _ = instance.segments[k]
            window = range(max(first, earliest), min(last + 1, touch.t))
            if not window or (storage, k) in instance.carried:
                continue
            used = model.new_bool_var("")
            begun = {u: model.new_bool_var("") for u in window}
            fetch = _Fetch(used, k, window[-1] + 1, begun)
            model.add(begun[window[-1]] == used)
            for u in window[1:]:
                model.add_implication(begun[u - 1], begun[u])
            model.add(touch.start == window[-1] + 1 - sum(begun.values())).only_enforce_if(used)
            self._transfer("fetch", storage, used, begun)
            if before is not None:
                model.add(touch.start > before.end).only_enforce_if(used, before.served)
            touch.fetches.append(fetch)

    def _transfer(self, kind: str, storage: int, used: cp_model.IntVar, during: dict[int, cp_model.IntVar]) -> None:
        """The work of a transfer, split among the instructions during which it may move."""
        work = int(self._instance.transfer_ps[storage])
        amounts = []
        for u, moving in during.items():
            amount = self.model.new_int_var(0, work, "")
            self.model.add(amount <= work * moving)
            self._amounts[u][kind].append(amount)
            amounts.append(amount)
        self.model.add(sum(amounts) == work * used)

    def _link(self, touch: _Touch, following: _Touch | None) -> None:
        """Where what serves a touch ends."""
        last = self._instance.segments[int(self._instance.segment[touch.t])][1]
        if following is None:
            self.model.add(touch.strip_end == touch.end)
            self.model.add(touch.end <= last)
            return
        self.model.add(touch.strip_end == following.strip_end).only_enforce_if(following.stays)
        self.model.add(touch.strip_end == touch.end).only_enforce_if(~following.stays)
        # Nothing but staying holds a storage beyond its segment.
        self.model.add(touch.end <= last).only_enforce_if(~following.stays)

    def _add_write_back(self, storage: int, touch: _Touch, touches: list[_Touch]) -> None:
        model, instance = self.model, self._instance
        last = instance.segments[int(instance.segment[touch.t])][1]
        later = [other.t for other in touches if other.t > touch.t and other.value >= 0]
        window = range(touch.t + 1, min([last + 1, *later]))
        if window:
            used = model.new_bool_var("")
            moving = {u: model.new_bool_var("") for u in window}
            done = model.new_int_var(window[0], window[-1], "")
            model.add(moving[window[0]] == used)
            for u in window[1:]:
                model.add_implication(moving[u], moving[u - 1])
            model.add(done == touch.t + sum(moving.values())).only_enforce_if(used)
            model.add_implication(used, touch.served)
            model.add(done <= touch.strip_end).only_enforce_if(used)
            self._transfer("back", storage, used, moving)
            touch.write_back = _WriteBack(used, done)
        if instance.tensors[touch.value].kind == "output":
            written = touch.write_back.used if touch.write_back else self._no
            model.add_implication(touch.served, written)

    def _add_values(self, touches: list[_Touch]) -> None:
        """HBM has what is read there or fetched."""
        writer: _Touch | None = None
        for touch in touches:
            if touch.reads and writer is not None:
                self._require(writer, touch.t - 1, [~touch.served])
                for fetch in touch.fetches:
                    self._require(writer, touch.start - 1, [fetch.used])
            if touch.value >= 0:
                writer = touch

    def _require(self, writer: _Touch, latest: Any, when: list[Any]) -> None:
        """What a touch wrote is in HBM from some instruction <= latest on."""
        back = writer.write_back
        if back is None:
            self.model.add_bool_or([~writer.served, *(~literal for literal in when)])
            return
        self.model.add_bool_or([~writer.served, back.used, *(~literal for literal in when)])
        self.model.add(back.last <= latest).only_enforce_if(writer.served, *when)

    def _add_loops(self, touches: list[_Touch]) -> None:
        """What enters a loop is held to its end."""
        model = self.model
        for first, last, _ in self._instance.loops:
            inside = [index for index, touch in enumerate(touches) if first <= touch.t <= last]
            entered: cp_model.IntVar | None = None  # whether what serves the touch before entered the loop
            for index in inside:
                touch = touches[index]
                here = model.new_bool_var("")
                model.add_implication(here, touch.served)
                for fetch in touch.fetches:
                    outside = self._instance.segments[fetch.segment][0] < first
                    model.add_implication(fetch.used, here if outside else ~here)
                model.add_implication(touch.produced, ~here)
                if entered is None:
                    model.add_implication(touch.stays, here)
                else:
                    model.add_implication(entered, touch.stays)
                    model.add(here == entered).only_enforce_if(touch.stays)
                entered = here
            if entered is not None:
                model.add(touches[inside[-1]].strip_end >= last).only_enforce_if(entered)

    # --- space and time -----------------------------------------------------------------------------------------------

    def _add_space(self) -> None:
        model = self.model
        across, up, demands = [], [], []
        for storage, touches in self._storages.items():
            size = int(self._instance.size[storage]) // self._unit
            for touch in touches:
                length = model.new_int_var(1, self._instance.num_instructions, "")
                across.append(model.new_optional_interval_var(touch.start, length, touch.end + 1, touch.served, ""))
                up.append(model.new_optional_fixed_size_interval_var(touch.offset, size, touch.served, ""))
                demands.append(size)
        if across:
            model.add_no_overlap_2d(across, up)
            model.add_cumulative(across, demands, self._room)

    def _add_time(self) -> None:
        """The roofline, the supply, and the run time that is made least."""
        model, instance = self.model, self._instance
        served = {(s, touch.t): touch.served for s, touches in self._storages.items() for touch in touches}
        all_hbm = instance.instruction_ps(np.zeros(instance.num_accesses, dtype=np.bool_))
        total, i = [], 0
        for t, instruction in enumerate(instance.instructions):
            traffic, memory = [], []
            for tensor, _ in (*instruction.reads, *instruction.writes):
                hbm, cmem = int(instance.hbm_ps[i]), int(instance.cmem_ps[i])
                in_cmem = served.get((int(instance.storage[tensor]), t), self._no)
                traffic.append(hbm - hbm * in_cmem)
                memory.append(hbm + (cmem - hbm) * in_cmem)
                i += 1
            compute, overhead = int(instance.compute_ps[t]), instance.hardware.overhead_ps
            most = max(int(all_hbm[t]), compute) + sum(int(x) for x in instance.cmem_ps[i - len(memory) : i])
            length = model.new_int_var(compute, most, "")
            model.add_max_equality(length, [compute, sum(memory)])
            total.append(int(instance.trips[t]) * (length + overhead))
            amounts = self._amounts[t]
            if self._supply == "elapsed":
                for kind in ("fetch", "back"):
                    if amounts[kind]:
                        model.add(sum(amounts[kind]) <= int(all_hbm[t]))
            elif amounts["fetch"] or amounts["back"]:
                model.add(sum(amounts["fetch"]) + sum(amounts["back"]) + sum(traffic) <= length + overhead)
        model.minimize(sum(total))

    # --- plans --------------------------------------------------------------------------------------------------------

    def _chosen(self) -> list[cp_model.IntVar]:
        """The variables that make a plan, in the order in which `plan` takes them."""
        chosen = []
        for touches in self._storages.values():
            for touch in touches:
                chosen += [touch.served, touch.stays, touch.start, touch.end, touch.offset]
                chosen += [fetch.used for fetch in touch.fetches]
                if touch.write_back is not None:
                    chosen += [touch.write_back.used, touch.write_back.last]
        return chosen

    def plan(self, values: dict[int, int]) -> MemoryPlan:
        """The plan of a solution."""
        taken = iter(values[index] for index in range(len(self.variables)))
        placements: list[Placement] = []
        for touches in self._storages.values():
            strip: dict[str, Any] | None = None
            for touch in touches:
                served, stays, start, end, offset = (next(taken) for _ in range(5))
                fetched = [fetch for fetch in touch.fetches if next(taken)]
                back = (next(taken), next(taken)) if touch.write_back is not None else (0, 0)
                if strip is not None and not stays:
                    placements.append(Placement(**strip))
                    strip = None
                if not served:
                    continue
                if strip is None:
                    copy = (start - 1, fetched[0].before) if fetched else None
                    strip = {"tensor": touch.tensor, "start": start, "offset": offset * self._unit, "copy": copy}
                strip["end"] = end
                if back[0]:
                    strip["write_backs"] = (*strip.get("write_backs", ()), (touch.t, back[1] + 1))
            if strip is not None:
                placements.append(Placement(**strip))
        return MemoryPlan(self._instance, tuple(placements), self._supply)

    def hint(self, plan: MemoryPlan) -> None:
        """Begin from a plan."""
        strips: dict[int, list[Placement]] = defaultdict(list)
        for p in plan.placements:
            strips[int(self._instance.storage[p.tensor])].append(p)
        for storage, touches in self._storages.items():
            for touch in touches:
                serving = [p for p in strips[storage] if p.start <= touch.t <= p.end]
                self.model.add_hint(touch.served, bool(serving))
                if serving:
                    self._hint_strip(touch, serving[0])

    def _hint_strip(self, touch: _Touch, p: Placement) -> None:
        self.model.add_hint(touch.offset, p.offset // self._unit)
        for fetch in touch.fetches:
            first, last, _ = self._instance.segments[fetch.segment]
            used = p.copy is not None and first <= p.start <= last and min(fetch.begun) <= p.start
            for u, begun in fetch.begun.items():
                self.model.add_hint(begun, used and u >= p.start)
            self.model.add_hint(fetch.used, used)
        if touch.write_back is not None:
            ends = [e for d, e in p.write_backs if d == touch.t]
            self.model.add_hint(touch.write_back.used, bool(ends))
            if ends:
                self.model.add_hint(touch.write_back.last, ends[0] - 1)


def _touches(instance: MemoryInstance) -> dict[int, list[tuple[int, int, int]]]:
    """For each storage (instruction, tensor read or -1, tensor written or -1), in order."""
    found: dict[int, dict[int, list[int]]] = defaultdict(dict)
    for t, instruction in enumerate(instance.instructions):
        for place, listed in ((0, instruction.reads), (1, instruction.writes)):
            for tensor, _ in listed:
                found[int(instance.storage[tensor])].setdefault(t, [-1, -1])[place] = tensor
    return {s: [(t, row[0], row[1]) for t, row in touches.items()] for s, touches in found.items()}
