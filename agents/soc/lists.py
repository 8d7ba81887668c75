"""List schedulers for DAGs on unrelated processing elements, compiled; each by its definition in the literature.

``docs/dag_schedulers.md`` says of each rule what it does and who published it. Several jobs are one graph with several
components. Ties go to the task that is first in topological order and to the PE of the least index; ranks are equal
where no more than rounding tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import UnknownNameError
from ...envs.core.random import uniform
from ...envs.soc.instance import SocInstance
from ...envs.soc.measure import Measures, measure, transfer
from .problem import Plan, Problem, Room, problem_of

NONE = -1

# How a task's PE is chosen.
EARLIEST_FINISH, FINISH_PLUS_OCT, LEAST_TIME, EARLIEST_FREE, BLIND_FINISH = range(5)
# Which pair of a ready task and a PE comes next.
EARLIEST_START, LEAST_COMPLETION, GREATEST_COMPLETION, GREATEST_REGRET, DYNAMIC_LEVEL = range(5)

_TOLERANCE = 1e-9
_RELATIVE = 1e-12
_MOST = 2.0**62


class Lists:
    """Makes plans of one instance by list rules.

    Args:
        instance: whose jobs are scheduled.
        levels: at which level the PEs of each kind run; empty: the highest.
    """

    def __init__(self, instance: SocInstance, levels: tuple[int, ...] = ()) -> None:
        self.problem = problem_of(instance, levels)
        self.room = Room.of(self.problem)

    @cached_property
    def measures(self) -> Measures:
        """What rules rank tasks by; computed once."""
        return measure(self.problem.graph)

    def plan(self, rule: str, insertion: bool | None = None, key: int = 0) -> Plan:
        """The plan of a rule.

        Args:
            rule: one of `RULES`.
            insertion: whether tasks may take gaps between others; None: as the rule was published.
            key: of its randomness.

        Raises:
            UnknownNameError: there is no such rule.
        """
        if rule not in RULES:
            raise UnknownNameError("list rule", rule, RULES)
        entry = RULES[rule]
        entry.run(self, entry.insertion if insertion is None else insertion, key)
        return self.room.plan()

    def best(self, key: int = 0) -> tuple[str, Plan]:
        """The rule whose plan is the shortest, the first of equals, and that plan; with and without insertion."""
        best: tuple[str, Plan] | None = None
        for name, rule in RULES.items():
            for insertion in (False,) if rule.appends else (rule.insertion, not rule.insertion):
                plan = self.plan(name, insertion, key)
                if best is None or plan.makespan < best[1].makespan:
                    best = name if insertion == rule.insertion else f"{name}:insertion={int(insertion)}", plan
        assert best is not None
        return best

    def by_priority(
        self,
        priority: NDArray[np.float64],
        choice: int = EARLIEST_FINISH,
        insertion: bool = True,
        fixed: NDArray[np.int64] | None = None,
    ) -> None:
        """Schedule the ready task of the greatest priority first; its PE is `fixed` or NONE, then by the choice."""
        self.room.priority[:] = priority
        order_by_priority(self.problem, self.room)
        self.room.chosen[:] = NONE if fixed is None else fixed
        table = self.measures.oct if choice == FINISH_PLUS_OCT else NO_TABLE
        schedule_list(self.problem, self.room, table, choice, insertion)


NO_TABLE = np.zeros((0, 0))
"""In place of an optimistic cost table where none is looked at."""


# --- rules ------------------------------------------------------------------------------------------------------------


def _heft(lists: Lists, insertion: bool, key: int) -> None:
    heft(lists.problem, lists.room, NO_TABLE, insertion)


def _cpop(lists: Lists, insertion: bool, key: int) -> None:
    measures = lists.measures
    priority = measures.upward_rank + measures.downward_rank
    lists.by_priority(priority, insertion=insertion, fixed=critical_path_pe(lists.problem, priority))


def critical_path_pe(problem: Problem, priority: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [N], CPOP's PE of the tasks of its critical path, NONE for other tasks and where that PE cannot run one.

    It is the PE that can run the most tasks of the path, of those the one with the least sum of times.
    """
    graph = problem.graph
    entries = [i for i in graph.order.tolist() if graph.first_in[i] == graph.first_in[i + 1]]

    def first_greatest(tasks: list[int]) -> int:
        most = max(priority[i] for i in tasks)
        near = most - tolerance(most)
        return min((i for i in tasks if priority[i] >= near), key=lambda i: problem.position[i])

    path = [first_greatest(entries)]
    while following := graph.out_task[graph.first_out[path[-1]] : graph.first_out[path[-1] + 1]].tolist():
        path.append(first_greatest(following))
    times = graph.times[path]
    misses, total = (times < 0).sum(axis=0), np.maximum(times, 0).sum(axis=0)
    chosen = min(range(times.shape[1]), key=lambda p: (misses[p], total[p], p))
    fixed = np.full(len(priority), NONE, dtype=np.int64)
    fixed[path] = np.where(times[:, chosen] >= 0, chosen, NONE)
    return fixed


def _lookahead(lists: Lists, insertion: bool, key: int) -> None:
    lists.room.priority[:] = lists.measures.upward_rank
    schedule_with_lookahead(lists.problem, lists.room, NO_TABLE, insertion)


def _by_priority(priority: Callable[[Lists], NDArray[np.float64]], choice: int) -> Callable[[Lists, bool, int], None]:
    """Of the tasks without open predecessors the greatest priority first; the PE by a choice."""

    def run(lists: Lists, insertion: bool, key: int) -> None:
        lists.by_priority(priority(lists), choice, insertion)

    return run


def _at_run_time(priority: Callable[[Lists], NDArray[np.float64]], choice: int) -> Callable[[Lists, bool, int], None]:
    """Tasks as they become ready, of those the greatest priority first; the PE by a choice."""

    def run(lists: Lists, insertion: bool, key: int) -> None:
        lists.room.priority[:] = priority(lists)
        schedule_epochs(lists.problem, lists.room, NO_TABLE, choice, insertion)

    return run


def _mean_oct(lists: Lists) -> NDArray[np.float64]:
    return lists.measures.mean_oct


def _fifo(lists: Lists) -> NDArray[np.float64]:
    return -lists.problem.position.astype(np.float64)


def _shortest(lists: Lists) -> NDArray[np.float64]:
    return -lists.measures.least_time


def _longest_mean(lists: Lists) -> NDArray[np.float64]:
    return lists.measures.mean_time


def _by_pairs(kind: int) -> Callable[[Lists, bool, int], None]:
    def run(lists: Lists, insertion: bool, key: int) -> None:
        measures = lists.measures
        schedule_pairs(lists.problem, lists.room, measures.static_level, measures.median_time, kind)

    return run


def _random(lists: Lists, insertion: bool, key: int) -> None:
    draw_list(lists.problem, lists.room, np.uint64(key))
    schedule_list(lists.problem, lists.room, NO_TABLE, EARLIEST_FINISH, insertion)


class ListRule(NamedTuple):
    """A rule.

    Attributes:
        run: ``run(lists, insertion, key)`` leaves its plan in the lists' room.
        insertion: whether tasks may take gaps, as it was published.
        appends: whether it knows no insertion at all.
    """

    run: Callable[[Lists, bool, int], None]
    insertion: bool = False
    appends: bool = False


RULES: dict[str, ListRule] = {
    "heft": ListRule(_heft, insertion=True),
    "cpop": ListRule(_cpop, insertion=True),
    "peft": ListRule(_by_priority(_mean_oct, FINISH_PLUS_OCT), insertion=True),
    "lookahead-heft": ListRule(_lookahead, insertion=True),
    "dls": ListRule(_by_pairs(DYNAMIC_LEVEL), appends=True),
    "etf": ListRule(_by_pairs(EARLIEST_START), appends=True),
    "min-min": ListRule(_by_pairs(LEAST_COMPLETION), appends=True),
    "max-min": ListRule(_by_pairs(GREATEST_COMPLETION), appends=True),
    "sufferage": ListRule(_by_pairs(GREATEST_REGRET), appends=True),
    "mct": ListRule(_by_priority(_fifo, EARLIEST_FINISH)),
    "met": ListRule(_by_priority(_fifo, LEAST_TIME)),
    "olb": ListRule(_by_priority(_fifo, EARLIEST_FREE)),
    "stf": ListRule(_by_priority(_shortest, LEAST_TIME)),
    "mct-rt": ListRule(_at_run_time(_fifo, EARLIEST_FINISH)),
    "met-rt": ListRule(_at_run_time(_fifo, LEAST_TIME)),
    "olb-rt": ListRule(_at_run_time(_fifo, EARLIEST_FREE)),
    "stf-rt": ListRule(_at_run_time(_shortest, LEAST_TIME)),
    "heft-rt": ListRule(_at_run_time(_longest_mean, EARLIEST_FINISH)),
    "heft-rt-blind": ListRule(_at_run_time(_longest_mean, BLIND_FINISH)),
    "random": ListRule(_random),
}


@compiled
def tolerance(value):
    """What rounding may make of two ranks of this size that are equal."""
    return _TOLERANCE + _RELATIVE * abs(value)


# --- timelines --------------------------------------------------------------------------------------------------------


@compiled
def clear(room):
    """Take all tasks off their PEs."""
    for p in range(len(room.filled)):
        room.filled[p] = 0
    for i in range(len(room.pe)):
        room.pe[i] = NONE


@compiled
def data_time(problem, room, task, p):
    """When a task's data is at a PE: what its predecessors that have a place send, and not before its job arrives."""
    graph, ready = problem.graph, problem.arrival[task]
    for e in range(graph.first_in[task], graph.first_in[task + 1]):
        k = graph.in_task[e]
        if room.pe[k] >= 0:
            ready = max(ready, room.finish[k] + transfer(graph.bandwidth, graph.in_volume[e], room.pe[k], p))
    return ready


@compiled
def release_time(problem, room, task):
    """When all predecessors of a task are done and its job has arrived."""
    graph, time = problem.graph, problem.arrival[task]
    for e in range(graph.first_in[task], graph.first_in[task + 1]):
        k = graph.in_task[e]
        if room.pe[k] >= 0:
            time = max(time, room.finish[k])
    return time


@compiled
def find_place(room, p, ready, time, insertion):
    """The place in a PE's timeline that a task takes: the earliest gap that is long enough (an exact fit is), or the
    end."""
    filled = room.filled[p]
    if not insertion:
        return filled
    low, high = 0, filled  # the first place whose task finishes after the data is there
    while low < high:
        middle = (low + high) // 2
        if room.slot_finish[p, middle] > ready:
            high = middle
        else:
            low = middle + 1
    place = low
    while place < filled:
        begin = ready if place == low else max(ready, room.slot_finish[p, place - 1])
        if begin + time <= room.slot_start[p, place]:
            break
        place += 1
    return place


@compiled
def begin_at(room, p, place, ready):
    """When a task begins in a place of a PE's timeline."""
    return max(ready, room.slot_finish[p, place - 1]) if place > 0 else ready


@compiled
def free_time(room, p):
    """When a PE has done all that it has."""
    return room.slot_finish[p, room.filled[p] - 1] if room.filled[p] > 0 else 0


@compiled
def put(problem, room, task, p, place, start):
    """Give a task its place."""
    for k in range(room.filled[p], place, -1):
        room.slot_start[p, k] = room.slot_start[p, k - 1]
        room.slot_finish[p, k] = room.slot_finish[p, k - 1]
    finish = start + problem.graph.times[task, p]
    room.slot_start[p, place], room.slot_finish[p, place] = start, finish
    room.filled[p] += 1
    room.pe[task], room.start[task], room.finish[task] = p, start, finish


@compiled
def take_out(room, task, place):
    """Undo `put`, of the last that was put on its PE."""
    p = room.pe[task]
    room.filled[p] -= 1
    for k in range(place, room.filled[p]):
        room.slot_start[p, k] = room.slot_start[p, k + 1]
        room.slot_finish[p, k] = room.slot_finish[p, k + 1]
    room.pe[task] = NONE


@compiled
def put_on(problem, room, task, p, insertion):
    """Put a task on a PE as early as may be; returns its place."""
    ready = data_time(problem, room, task, p)
    place = find_place(room, p, ready, problem.graph.times[task, p], insertion)
    put(problem, room, task, p, place, begin_at(room, p, place, ready))
    return place


@compiled
def put_where(problem, room, oct, task, choice, insertion):
    """Put a task on the PE that a choice prefers, of equals on that where it finishes first; returns its place.

    Args:
        oct: float64 [N, P], for FINISH_PLUS_OCT.
    """
    times = problem.graph.times
    release = release_time(problem, room, task)
    chosen, chosen_place, chosen_start, chosen_finish, least = NONE, 0, 0, 0, 0.0
    for p in range(times.shape[1]):
        time = times[task, p]
        if time < 0:
            continue
        ready = data_time(problem, room, task, p)
        place = find_place(room, p, ready, time, insertion)
        start = begin_at(room, p, place, ready)
        if choice == FINISH_PLUS_OCT:
            value = start + time + oct[task, p]
        elif choice == LEAST_TIME:
            value = float(time)
        elif choice == EARLIEST_FREE:
            value = float(max(release, free_time(room, p)))
        elif choice == BLIND_FINISH:
            value = float(begin_at(room, p, find_place(room, p, release, time, insertion), release) + time)
        else:
            value = float(start + time)
        margin = tolerance(least)
        earlier = start + time < chosen_finish and choice != BLIND_FINISH
        if chosen < 0 or value < least - margin or (value <= least + margin and earlier):
            chosen, chosen_place, chosen_start, chosen_finish, least = p, place, start, start + time, value
    put(problem, room, task, chosen, chosen_place, chosen_start)
    return chosen_place


# --- lists ------------------------------------------------------------------------------------------------------------


@compiled
def comes_before(priority, position, a, b):
    """Whether task a comes before task b: the greater priority, of equals the first in topological order."""
    difference = priority[a] - priority[b]
    margin = tolerance(priority[a])
    return difference > margin or (difference >= -margin and position[a] < position[b])


@compiled
def push(heap, size, task, priority, position):
    """Add a task to a heap of so many."""
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if not comes_before(priority, position, task, heap[parent]):
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = task


@compiled
def pop(heap, size, priority, position):
    """Take the first task off a heap of so many."""
    first, last = heap[0], heap[size - 1]
    place, left = 0, size - 1
    while True:
        child = 2 * place + 1
        if child >= left:
            break
        if child + 1 < left and comes_before(priority, position, heap[child + 1], heap[child]):
            child += 1
        if not comes_before(priority, position, heap[child], last):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = last
    return first


@compiled
def order_by_priority(problem, room):
    """Write into ``room.list`` the tasks, of those without open predecessors always that of the greatest priority."""
    graph, position, priority = problem.graph, problem.position, room.priority
    size = 0
    for i in range(len(room.missing)):
        room.missing[i] = graph.first_in[i + 1] - graph.first_in[i]
        if room.missing[i] == 0:
            push(room.heap, size, i, priority, position)
            size += 1
    for number in range(len(room.list)):
        task = pop(room.heap, size, priority, position)
        size -= 1
        room.list[number] = task
        for e in range(graph.first_out[task], graph.first_out[task + 1]):
            j = graph.out_task[e]
            room.missing[j] -= 1
            if room.missing[j] == 0:
                push(room.heap, size, j, priority, position)
                size += 1


@compiled
def schedule_list(problem, room, oct, choice, insertion):
    """Put the tasks of ``room.list`` one after the other, each on its PE in ``room.chosen``, where that is NONE by a
    choice; returns the makespan."""
    clear(room)
    makespan = 0
    for number in range(len(room.list)):
        task = room.list[number]
        if room.chosen[task] >= 0:
            put_on(problem, room, task, room.chosen[task], insertion)
        else:
            put_where(problem, room, oct, task, choice, insertion)
        makespan = max(makespan, room.finish[task])
    return makespan


@compiled
def quick_mean_transfer(problem, volume):
    """Mean over distinct ordered pairs of PEs, as `makespan.envs.soc.measure.mean_transfer`."""
    total, pairs = 0, 0
    for k in range(len(problem.link_count)):
        total += problem.link_count[k] * (volume // problem.link_bandwidth[k])
        pairs += problem.link_count[k]
    return total / pairs if pairs > 0 else 0.0


@compiled
def rank_upward(problem, rank):
    """Fill upward ranks, as `makespan.envs.soc.measure.measure` does, faster."""
    graph = problem.graph
    tasks, pes = graph.times.shape
    for number in range(tasks - 1, -1, -1):
        i = graph.order[number]
        total, count = 0, 0
        for p in range(pes):
            if graph.times[i, p] >= 0:
                total += graph.times[i, p]
                count += 1
        longest = 0.0
        for e in range(graph.first_out[i], graph.first_out[i + 1]):
            longest = max(longest, quick_mean_transfer(problem, graph.out_volume[e]) + rank[graph.out_task[e]])
        rank[i] = longest + total / count


@compiled
def heft(problem, room, oct, insertion):
    """HEFT: upward ranks, the list, and each task where it finishes first; returns the makespan."""
    rank_upward(problem, room.priority)
    order_by_priority(problem, room)
    for i in range(len(room.chosen)):
        room.chosen[i] = NONE
    return schedule_list(problem, room, oct, EARLIEST_FINISH, insertion)


@compiled
def draw_list(problem, room, key):
    """A random list with a random PE for each task."""
    times = problem.graph.times
    for i in range(len(room.priority)):
        room.priority[i] = uniform(key, 0, i)
        count = 0
        for p in range(times.shape[1]):
            count += times[i, p] >= 0
        left = np.int64(uniform(key, 1, i) * count)
        for p in range(times.shape[1]):
            if times[i, p] >= 0:
                if left == 0:
                    room.chosen[i] = p
                left -= 1
    order_by_priority(problem, room)


# --- lookahead --------------------------------------------------------------------------------------------------------


@compiled
def schedule_with_lookahead(problem, room, table, insertion):
    """Each task, by priority, on the PE after which the last of its children would finish first.

    Args:
        table: an empty one, in place of an optimistic cost table.
    """
    graph = problem.graph
    order_by_priority(problem, room)
    clear(room)
    makespan = 0
    for number in range(len(room.list)):
        task = room.list[number]
        chosen, least, least_own = NONE, 0, 0
        for p in range(graph.times.shape[1]):
            if graph.times[task, p] >= 0:
                place = put_on(problem, room, task, p, insertion)
                own = room.finish[task]
                last = finish_children(problem, room, table, task, insertion)
                take_out(room, task, place)
                if chosen < 0 or last < least or (last == least and own < least_own):
                    chosen, least, least_own = p, last, own
        put_on(problem, room, task, chosen, insertion)
        makespan = max(makespan, room.finish[task])
    return makespan


@compiled
def finish_children(problem, room, table, task, insertion):
    """When the last child of a task would finish if they were put by HEFT now; its own finish without children."""
    graph = problem.graph
    first, count = graph.first_out[task], 0
    for e in range(first, graph.first_out[task + 1]):
        place = count
        while place > 0 and comes_before(room.priority, problem.position, graph.out_task[e], room.heap[place - 1]):
            room.heap[place] = room.heap[place - 1]
            place -= 1
        room.heap[place] = graph.out_task[e]
        count += 1
    last = room.finish[task]
    for k in range(count):
        child = room.heap[k]
        room.missing[k] = put_where(problem, room, table, child, EARLIEST_FINISH, insertion)
        last = max(last, room.finish[child])
    for k in range(count - 1, -1, -1):
        take_out(room, room.heap[k], room.missing[k])
    return last


# --- pairs ------------------------------------------------------------------------------------------------------------


@compiled
def schedule_pairs(problem, room, level, typical_time, kind):
    """Always the best pair of a ready task and a PE, appended; returns the makespan.

    Args:
        level: float64 [N], static levels.
        typical_time: float64 [N], what DLS compares a task's time on a PE with.
        kind: EARLIEST_START (ETF), LEAST_COMPLETION (Min-Min), GREATEST_COMPLETION (Max-Min), GREATEST_REGRET
            (Sufferage) or DYNAMIC_LEVEL (DLS).
    """
    graph = problem.graph
    tasks = len(room.pe)
    clear(room)
    ready, makespan = 0, 0
    for i in range(tasks):
        room.missing[i] = graph.first_in[i + 1] - graph.first_in[i]
        if room.missing[i] == 0:
            note_ready(problem, room, ready, i)
            ready += 1
    for _ in range(tasks):
        chosen, chosen_pe, best = 0, NONE, 0.0
        for k in range(ready):
            task = room.heap[k]
            p, value = best_pair(problem, room, level, typical_time, kind, task)
            margin = tolerance(best)
            better = chosen_pe < 0 or value > best + margin
            if not better and value >= best - margin:
                other = room.heap[chosen]
                if kind == EARLIEST_START:
                    better = comes_before(level, problem.position, task, other)
                else:
                    better = problem.position[task] < problem.position[other]
            if better:
                chosen, chosen_pe, best = k, p, value
        task = room.heap[chosen]
        ready -= 1
        room.heap[chosen] = room.heap[ready]
        start = max(room.data[task, chosen_pe], free_time(room, chosen_pe))
        put(problem, room, task, chosen_pe, room.filled[chosen_pe], start)
        makespan = max(makespan, room.finish[task])
        for e in range(graph.first_out[task], graph.first_out[task + 1]):
            j = graph.out_task[e]
            room.missing[j] -= 1
            if room.missing[j] == 0:
                note_ready(problem, room, ready, j)
                ready += 1
    return makespan


@compiled
def note_ready(problem, room, ready, task):
    """Add a task to those that are ready: when its data is at each PE stands from now on."""
    room.heap[ready] = task
    for p in range(room.data.shape[1]):
        if problem.graph.times[task, p] >= 0:
            room.data[task, p] = data_time(problem, room, task, p)


@compiled
def best_pair(problem, room, level, typical_time, kind, task):
    """(PE, value) of the best PE for a ready task; the pair of the greatest value is taken."""
    times = problem.graph.times
    chosen, best, second, chosen_finish = NONE, 0.0, -_MOST, 0
    for p in range(times.shape[1]):
        time = times[task, p]
        if time < 0:
            continue
        start = max(room.data[task, p], free_time(room, p))
        if kind == EARLIEST_START:
            value = -float(start)
        elif kind == DYNAMIC_LEVEL:
            value = level[task] - start + typical_time[task] - time
        else:
            value = -float(start + time)
        if chosen < 0 or value > best + _TOLERANCE or (value >= best - _TOLERANCE and start + time < chosen_finish):
            if chosen >= 0:
                second = max(second, best)
            chosen, best, chosen_finish = p, value, start + time
        else:
            second = max(second, value)
    if kind == GREATEST_COMPLETION:
        best = -best
    elif kind == GREATEST_REGRET:
        best = best - second
    return chosen, best


# --- epochs -----------------------------------------------------------------------------------------------------------


@compiled
def schedule_epochs(problem, room, oct, choice, insertion):
    """Whenever tasks become ready all of them are put at once, by priority, each on a PE by a choice, as schedulers do
    at run time; returns the makespan."""
    graph, arrival = problem.graph, problem.arrival
    clear(room)
    size, makespan = 0, 0
    for i in range(len(room.pe)):
        room.missing[i] = graph.first_in[i + 1] - graph.first_in[i]
        room.key[i] = -float(arrival[i])
        if room.missing[i] == 0:
            push(room.heap, size, i, room.key, problem.position)
            size += 1
    while size > 0:
        now, count = room.key[room.heap[0]], 0
        while size > 0 and room.key[room.heap[0]] >= now:
            task = pop(room.heap, size, room.key, problem.position)
            size -= 1
            place = count
            while place > 0 and comes_before(room.priority, problem.position, task, room.list[place - 1]):
                room.list[place] = room.list[place - 1]
                place -= 1
            room.list[place] = task
            count += 1
        for k in range(count):
            task = room.list[k]
            put_where(problem, room, oct, task, choice, insertion)
            makespan = max(makespan, room.finish[task])
            for e in range(graph.first_out[task], graph.first_out[task + 1]):
                j = graph.out_task[e]
                room.missing[j] -= 1
                room.key[j] = min(room.key[j], -float(room.finish[task]))
                if room.missing[j] == 0:
                    push(room.heap, size, j, room.key, problem.position)
                    size += 1
    return makespan
