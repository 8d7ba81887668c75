"""A learned list scheduler: a small network corrects HEFT's priorities and its choice of PEs, pass after pass.

The first pass of a player goes forward or backward (from the ends of the DAG, see `plan_outlook`) by upward ranks. Each
further pass goes the other way and begins from what the one before gave: when a task starts there is its priority
now, and where its neighbours stand there says what placing it here would cost them. So each pass is a list scheduler;
the network says, for each task, how its priority is moved and how much each of `TERMS` counts beside the finish time
where its PE is chosen. Several players that the network can tell apart make plans, and the best plan of all passes
counts. A network whose last weights are zero makes HEFT's plan in a first forward pass.

Going back and forth between the ends is what forward-backward improvement does in project scheduling (Li & Willis, EJOR
56(3), 1992; Valls, Ballestin & Quintanilla, EJOR 165(2), 2005).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.random import uniform
from .. import learned_order as rows
from .lists import NO_TABLE, NONE, begin_at, clear, free_time, heft, order_by_priority, put, tolerance
from .plan_outlook import FIRST_OF_PASS, FIRST_PLAYER, FIXED, GENERAL, PLAYERS, Outlook, outlook_of
from .problem import Plan, Problem, Room

HIDDEN = 8
PASSES, TRAINING_PASSES = 8, 6

SEEN = ("start", "finish", "floats", "path", "own_start", "time_there", "moved")
"""Of a task in the plan that the pass before left, in shares of its makespan."""

TERMS = ("oct", "through", "time", "idle", "moves", "data", "load", "late", "ahead")
"""What counts for a PE beside the task's finish there: the optimistic cost of what follows; the longest that a
successor takes from there to the end, if it and all that follows stay as they were; the task's time; how long the PE
waits for it; whether it ran elsewhere before; when its data is there; when the PE is free; by how much later it then
is; and the longest that a successor or the task that came next on this PE takes."""

_OCT, _THROUGH, _TIME, _IDLE, _MOVES, _DATA, _LOAD, _LATE, _AHEAD = range(1, 1 + len(TERMS))

_LEAK = 0.1
_DIFFERENCE = 0.1
_SHIFT, _WEIGHT = 2.0, 0.5


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of weights, in the order in which a row holds them."""
    outputs = 1 + len(TERMS)
    return {
        "fixed": (len(FIXED), HIDDEN),
        "general": (len(GENERAL), HIDDEN),
        "seen": (len(SEEN), HIDDEN),
        "output": (HIDDEN, outputs),
        "direct": (len(GENERAL), outputs),
    }


def join_row(weights: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """A row from arrays by name."""
    return rows.join_row(weights, weight_shapes())


def split_row(row: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """Arrays by name from a row."""
    return rows.split_row(row, weight_shapes())


def fresh_row(rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights to begin training with: a few terms count for all tasks alike, for each player a little differently."""
    scale = 1.5 / math.sqrt(len(FIXED) + len(GENERAL) + len(SEEN))
    arrays = {name: scale * rng.normal(size=shape) for name, shape in weight_shapes().items()}
    arrays["output"][:] = 0.0
    direct = arrays["direct"]
    direct[:] = 0.0
    direct[FIRST_OF_PASS, 1 + TERMS.index("oct")] = 1.0
    direct[0, 1 + TERMS.index("through")] = direct[0, 1 + TERMS.index("ahead")] = 0.5
    direct[FIRST_PLAYER:] = _DIFFERENCE * rng.normal(size=direct[FIRST_PLAYER:].shape)
    return join_row(arrays)


class Desk(NamedTuple):
    """Room for learned lists in compiled code.

    Attributes:
        front, back: for passes forward and backward.
        ground_front, ground_back: float64 [N, HIDDEN], what hidden units get from all that no pass changes.
        outputs: float64 [N, 1 + len(TERMS)], what the network says.
        hidden: float64 [HIDDEN]. general: float64 [len(GENERAL)]. common: float64 [HIDDEN + 1 + len(TERMS)].
        pointer: int64 [P], places in the timelines of the pass before.
        old: int64 [N], starts of the pass before in the same direction.
        best: int64 [1], the least makespan. best_pe, best_start: int64 [N].
    """

    front: Room
    back: Room
    ground_front: NDArray[np.float64]
    ground_back: NDArray[np.float64]
    outputs: NDArray[np.float64]
    hidden: NDArray[np.float64]
    general: NDArray[np.float64]
    common: NDArray[np.float64]
    pointer: NDArray[np.int64]
    old: NDArray[np.int64]
    best: NDArray[np.int64]
    best_pe: NDArray[np.int64]
    best_start: NDArray[np.int64]

    @classmethod
    def of(cls, outlook: Outlook) -> Desk:
        """Room to work on an outlook's graph."""
        problem = outlook.front.problem
        tasks, pes = problem.graph.times.shape
        outputs = 1 + len(TERMS)

        def integers(count: int) -> NDArray[np.int64]:
            return np.zeros(count, dtype=np.int64)

        return cls(
            Room.of(problem), Room.of(problem), np.zeros((tasks, HIDDEN)), np.zeros((tasks, HIDDEN)),
            np.zeros((tasks, outputs)), np.zeros(HIDDEN), np.zeros(len(GENERAL)), np.zeros(HIDDEN + outputs),
            integers(pes), integers(tasks), integers(1), integers(tasks), integers(tasks),
        )  # fmt: skip


class Planner:
    """Makes plans of one problem by learned lists, again and again.

    Args:
        problem: what is scheduled.

    Attributes:
        first: HEFT's makespan, the plan to begin with.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.outlook = outlook_of(problem)
        self.desk = Desk.of(self.outlook)
        self.first = int(heft(problem, self.desk.front, NO_TABLE, True))
        self.desk.best[0] = self.first
        self.desk.best_pe[:], self.desk.best_start[:] = self.desk.front.pe, self.desk.front.start
        self._mirrors = not problem.arrival.any()

    @property
    def best(self) -> int:
        """The least makespan so far."""
        return int(self.desk.best[0])

    def play(
        self, rows: NDArray[np.float64], passes: int = PASSES, players: int = PLAYERS, noise: float = 0.0, key: int = 0
    ) -> NDArray[np.int64]:
        """Make plans by weights, [R, W]; returns makespans, int64 [R, players, passes]."""
        spans = np.empty((len(rows), players, passes), dtype=np.int64)
        play_rows(self.outlook, self.desk, rows, noise, np.uint64(key), self._mirrors, spans)
        return spans

    def plan(self) -> Plan:
        """The best plan so far."""
        pe, start = self.desk.best_pe.copy(), self.desk.best_start.copy()
        return Plan(pe, start, start + self.problem.graph.times[np.arange(len(pe)), pe])


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def play_rows(outlook, desk, rows, noise, key, mirrors, spans):
    """Let each row of weights make plans; fills makespans, [rows, players, passes].

    Args:
        noise: of the priorities (Gumbel's, by `key`), in mean task times.
        mirrors: whether a plan that was made backward counts, too.
    """
    for number in range(len(rows)):
        weights = rows[number]
        _see_ground(outlook.front, outlook, weights, desk.ground_front)
        _see_ground(outlook.back, outlook, weights, desk.ground_back)
        for player in range(spans.shape[1]):
            backward = player % 2 == 1
            for turn in range(spans.shape[2]):
                for g in range(len(desk.general)):
                    desk.general[g] = outlook.general[g]
                desk.general[FIRST_OF_PASS] = 1.0 if turn == 0 else 0.0
                desk.general[FIRST_OF_PASS + 1] = 1.0 if backward else 0.0
                desk.general[FIRST_OF_PASS + 2] = turn / spans.shape[2]
                desk.general[FIRST_PLAYER + player] = 1.0
                jitter = noise if turn == 0 else 0.0
                draws = key + np.uint64(player)
                if backward:
                    span = make_pass(
                        outlook.back, desk.ground_back, desk.back, desk.front, outlook.unit[0], desk, weights, turn,
                        jitter, draws,
                    )  # fmt: skip
                    if mirrors and span < desk.best[0]:
                        desk.best[0] = span
                        for i in range(len(desk.best_pe)):
                            desk.best_pe[i], desk.best_start[i] = desk.back.pe[i], span - desk.back.finish[i]
                    if not mirrors:
                        span = 2**62
                else:
                    span = make_pass(
                        outlook.front, desk.ground_front, desk.front, desk.back, outlook.unit[0], desk, weights, turn,
                        jitter, draws,
                    )  # fmt: skip
                    if span < desk.best[0]:
                        desk.best[0] = span
                        for i in range(len(desk.best_pe)):
                            desk.best_pe[i], desk.best_start[i] = desk.front.pe[i], desk.front.start[i]
                spans[number, player, turn] = span
                backward = not backward


@compiled
def _see_ground(view, outlook, weights, ground):
    """Fill `ground` with what hidden units get from what is fixed of each task."""
    for i in range(len(ground)):
        for h in range(HIDDEN):
            ground[i, h] = 0.0
        for f in range(len(FIXED)):
            x = view.fixed[i, f]
            for h in range(HIDDEN):
                ground[i, h] += x * weights[f * HIDDEN + h]


@compiled
def make_pass(view, ground, room, other, unit, desk, weights, turn, noise, key):
    """One pass; returns the makespan.

    Args:
        view: of the problem from where this pass begins. ground: float64 [N, HIDDEN].
        room: the pass writes its plan there. other: holds that of the pass before, seen from the other side.
        turn: 0 in a first pass.
    """
    tasks, span = len(room.pe), 0
    if turn > 0:
        for i in range(tasks):
            span = max(span, other.finish[i])
            desk.old[i] = room.start[i] if turn > 1 else 0
    _ask(view, ground, room, other, unit, desk, weights, turn, span)
    for i in range(tasks):
        base = view.rank[i] if turn == 0 else float(other.finish[i])
        room.priority[i] = base + _SHIFT * unit * desk.outputs[i, 0]
        if noise > 0.0:
            room.priority[i] -= noise * unit * math.log(-math.log(max(uniform(key, 0, i), 1e-300)))
    order_by_priority(view.problem, room)
    clear(room)
    for p in range(len(desk.pointer)):
        desk.pointer[p] = other.filled[p] if turn > 0 else 0
    makespan = 0
    for number in range(tasks):
        task = room.list[number]
        _place(view, room, other, unit, desk, task, turn)
        makespan = max(makespan, room.finish[task])
    return makespan


@compiled
def _ask(view, ground, room, other, unit, desk, weights, turn, span):
    """Fill ``desk.outputs``: the network's answer for each task.

    Args:
        span: makespan of the plan of the pass before.
    """
    outputs = desk.outputs.shape[1]
    general_row = len(FIXED) * HIDDEN
    seen_row = general_row + len(GENERAL) * HIDDEN
    output_row = seen_row + len(SEEN) * HIDDEN
    direct_row = output_row + HIDDEN * outputs
    hidden, common, general = desk.hidden, desk.common, desk.general
    for h in range(HIDDEN):
        common[h] = 0.0
    for o in range(outputs):
        common[HIDDEN + o] = 0.0
    for g in range(len(general)):
        for h in range(HIDDEN):
            common[h] += general[g] * weights[general_row + g * HIDDEN + h]
        for o in range(outputs):
            common[HIDDEN + o] += general[g] * weights[direct_row + g * outputs + o]
    times = view.problem.graph.times
    for i in range(len(ground)):
        for h in range(HIDDEN):
            hidden[h] = ground[i, h] + common[h]
        if turn > 0:
            start, finish = other.start[i] / span, other.finish[i] / span
            floats = 1.0 - finish - desk.old[i] / span if turn > 1 else 0.0
            path = (other.start[i] + view.rank[i]) / span - 1.0
            time = times[i, other.pe[i]] / unit
            moved = 1.0 if turn > 1 and room.pe[i] != other.pe[i] else 0.0
            old = desk.old[i] / span
            for h in range(HIDDEN):
                at = seen_row + h
                hidden[h] += (2.0 * start - 1.0) * weights[at] + (2.0 * finish - 1.0) * weights[at + HIDDEN]
                hidden[h] += 2.0 * floats * weights[at + 2 * HIDDEN] + 2.0 * path * weights[at + 3 * HIDDEN]
                hidden[h] += old * weights[at + 4 * HIDDEN] + (time - 1.0) * weights[at + 5 * HIDDEN]
                hidden[h] += moved * weights[at + 6 * HIDDEN]
        for o in range(outputs):
            desk.outputs[i, o] = common[HIDDEN + o]
        for h in range(HIDDEN):
            x = max(hidden[h], _LEAK * hidden[h])
            for o in range(outputs):
                desk.outputs[i, o] += x * weights[output_row + h * outputs + o]


@compiled
def _place(view, room, other, unit, desk, task, turn):
    """Put a task on the PE of the least finish and weighed terms."""
    problem = view.problem
    graph, weight = problem.graph, desk.outputs[task]
    times = graph.times
    chosen, chosen_place, chosen_begin, chosen_finish, least = NONE, 0, 0, 0, 0.0
    for p in range(times.shape[1]):
        time = times[task, p]
        if time < 0:
            continue
        ready = problem.arrival[task]
        for e in range(graph.first_in[task], graph.first_in[task + 1]):
            k = graph.in_task[e]
            ready = max(ready, room.finish[k] + view.in_time[e, view.link[room.pe[k], p]])
        place = _find_place(room, p, ready, time)
        begin, free = begin_at(room, p, place, ready), free_time(room, p)
        finish = begin + time
        value = weight[_OCT] * view.oct[task, p] + weight[_TIME] * time + weight[_DATA] * ready + weight[_LOAD] * free
        value = finish + _WEIGHT * (value + weight[_LATE] * max(finish - free, 0))
        if place == room.filled[p]:
            value += _WEIGHT * weight[_IDLE] * (begin - free)
        if turn > 0:
            through = 0
            for e in range(graph.first_out[task], graph.first_out[task + 1]):
                j = graph.out_task[e]
                through = max(through, view.out_time[e, view.link[p, other.pe[j]]] + other.finish[j])
            ahead = max(through, _next_finish(other, desk.pointer, p, other.finish[task]))
            value += _WEIGHT * (weight[_THROUGH] * through + weight[_AHEAD] * ahead)
            if p != other.pe[task]:
                value += _WEIGHT * weight[_MOVES] * unit
        margin = tolerance(least)
        if chosen < 0 or value < least - margin or (value <= least + margin and finish < chosen_finish):
            chosen, chosen_place, chosen_begin, chosen_finish, least = p, place, begin, finish, value
    put(problem, room, task, chosen, chosen_place, chosen_begin)


@compiled
def _find_place(room, p, ready, time):
    """As `find_place` with insertion; it looks from the end on, where most tasks go."""
    filled = room.filled[p]
    low = filled
    while low > 0 and room.slot_finish[p, low - 1] > ready:
        low -= 1
    place = low
    while place < filled:
        begin = ready if place == low else max(ready, room.slot_finish[p, place - 1])
        if begin + time <= room.slot_start[p, place]:
            break
        place += 1
    return place


@compiled
def _next_finish(other, pointer, p, finish):
    """The latest finish on a PE before a time, in the plan of the pass before; 0 where there is none.

    Args:
        pointer: int64 [P], where it was found for the task before, which mostly is near.
    """
    at = pointer[p]
    while at > 0 and other.slot_finish[p, at - 1] >= finish:
        at -= 1
    while at < other.filled[p] and other.slot_finish[p, at] < finish:
        at += 1
    pointer[p] = at
    return other.slot_finish[p, at - 1] if at > 0 else 0
