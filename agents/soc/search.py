"""Local search over plans: an order of all tasks and a PE for each, from the best list rule's plan on.

Simulated annealing (Kirkpatrick, Gelatt & Vecchi, Science 220, 1983). Each task is appended to its PE in the order, so
that every plan without needless idle time has its order, and decoding takes O(N + E). Changes move a task within what
its predecessors and successors allow, or to another PE, mostly one of a critical path: nothing else makes a plan
shorter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.random import uniform
from ...envs.soc.instance import SocInstance
from ...envs.soc.measure import transfer
from .bounds import lower_bound
from .lists import NONE, Lists
from .problem import Plan, Problem

_PORTION_SECONDS = 0.01
_PORTIONS = 1000  # of a search that is limited by the number of changes
_COOLING = 5_000  # changes per task from hot to cold, if there is time; then it is heated again
_TRIAL = 0.02  # share of the time after which the number of coolings stands
_HOT, _COLD = 0.6, 0.03  # temperatures at the beginning and at the end, in means of the tasks' least times
_NO_LIMIT = 2.0**62
_CRITICAL = 0.8  # share of changes that touch a critical task

_DONE, _CURRENT, _BEST, _CRITICALS = range(4)


class Walk(NamedTuple):
    """Where the search stands.

    Attributes:
        order, place: int64 [N], the tasks in their order, and the place of each in it.
        pe: int64 [N], the PE of each task.
        finish: int64 [N], of the current plan.
        before: int64 [N], the task in front of each on its PE, NONE for none.
        old_finish, old_before: int64 [N], what a change has overwritten.
        last: int64 [P], the last task of each PE, NONE for none.
        critical: int64 [N], the tasks of a critical path of the current plan, from its end.
        best_order, best_pe: int64 [N].
        numbers: int64 [4], changes tried, makespans now and at best, length of `critical`.
    """

    order: NDArray[np.int64]
    place: NDArray[np.int64]
    pe: NDArray[np.int64]
    finish: NDArray[np.int64]
    before: NDArray[np.int64]
    old_finish: NDArray[np.int64]
    old_before: NDArray[np.int64]
    last: NDArray[np.int64]
    critical: NDArray[np.int64]
    best_order: NDArray[np.int64]
    best_pe: NDArray[np.int64]
    numbers: NDArray[np.int64]


class PlanSearch:
    """Simulated annealing over plans; works in portions and can be stopped at any time.

    Args:
        instance: whose jobs are scheduled.
        levels: at which level the PEs of each kind run; empty: the highest.
        key: of the randomness.
        start: a plan to begin from; None: the best of the list rules.
    """

    def __init__(
        self, instance: SocInstance, levels: tuple[int, ...] = (), key: int = 0, start: Plan | None = None
    ) -> None:
        lists = Lists(instance, levels)
        self.problem = lists.problem
        self.bound = lower_bound(lists.problem, lists.measures.tail)
        start = lists.best(key)[1] if start is None else start
        self._walk = walk_of(self.problem, start)
        self._key = np.uint64(key)
        self._tail = lists.measures.tail
        self._unit = max(float(lists.measures.least_time.mean()), 1.0)
        self._return_to_best()
        self._walk.numbers[_BEST] = self._walk.numbers[_CURRENT]

    @property
    def changes(self) -> int:
        """How many have been tried."""
        return int(self._walk.numbers[_DONE])

    @property
    def best(self) -> int:
        """The least makespan so far."""
        return int(self._walk.numbers[_BEST])

    def plan(self) -> Plan:
        """The best plan so far."""
        again = walk_of(self.problem, None)
        again.order[:], again.pe[:] = self._walk.best_order, self._walk.best_pe
        decode(self.problem, again, self._tail, 0, _NO_LIMIT)
        times = self.problem.graph.times[np.arange(len(again.pe)), again.pe]
        return Plan(again.pe, again.finish - times, again.finish)

    def run(
        self,
        seconds: float | None = None,
        changes: int | None = None,
        found: Callable[[Plan], None] | None = None,
    ) -> None:
        """Search until a limit is reached, or the lower bound; it cools down as the limit comes nearer.

        Args:
            seconds: wall time, without that in which code is compiled.
            changes: how many are tried; so limited a search is the same each time.
            found: is told of each plan that is better than all before.

        Raises:
            ValueError: not exactly one limit is given.
        """
        if (seconds is None) == (changes is None):
            raise ValueError("run needs one limit: seconds or changes")
        self._work(0, 0.0)
        began = now = time.perf_counter()
        done, portion, told, cooling, coolings = 0, 1, self.best, 0, 1
        while self.best > self.bound:
            if changes is not None:
                share, total = done / changes, changes
                portion = max(min(changes // _PORTIONS, changes - done), 1)
            else:
                share = min((now - began) / seconds, 1.0) if seconds else 1.0
                total = done / share if share > 0.0 else 1
            if share >= 1.0:
                break
            if share <= _TRIAL:
                coolings = max(round(total / (_COOLING * len(self._walk.pe))), 1)
            if int(coolings * share) > cooling:
                cooling = int(coolings * share)
                self._return_to_best()
            self._work(portion, (coolings * share) % 1.0)
            done += portion
            if found is not None and self.best < told:
                told = self.best
                found(self.plan())
            before, now = now, time.perf_counter()
            portion = max(1, min(2 * portion, int(portion * _PORTION_SECONDS / max(now - before, 1e-9))))

    def _return_to_best(self) -> None:
        walk = self._walk
        walk.order[:], walk.pe[:] = walk.best_order, walk.best_pe
        walk.place[walk.order] = np.arange(len(walk.order))
        walk.numbers[_CURRENT] = decode(self.problem, walk, self._tail, 0, _NO_LIMIT)[0]
        trace(self.problem, walk)

    def _work(self, count: int, share: float) -> None:
        """Try so many changes, at the temperature of that share of a cooling."""
        heat = self._unit * _HOT * math.pow(_COLD / _HOT, share)
        anneal(self.problem, self._walk, self._tail, self._key, count, heat)


def walk_of(problem: Problem, start: Plan | None) -> Walk:
    """Arrays for a search from a plan on; without one they are empty."""
    tasks, pes = problem.graph.times.shape
    arrays = {name: np.zeros(tasks, dtype=np.int64) for name in Walk._fields}
    arrays["last"], arrays["numbers"] = np.zeros(pes, dtype=np.int64), np.zeros(4, dtype=np.int64)
    walk = Walk(**arrays)
    if start is not None:
        walk.best_order[:], walk.best_pe[:] = np.lexsort((problem.position, start.finish, start.start)), start.pe
    return walk


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def decode(problem, walk, tail, first, limit):
    """Append each task to its PE, from a place of the order on; what stands before it stays.

    What is overwritten goes to `old_finish` and `old_before`.

    Args:
        tail: int64 [N, P], what follows a task takes at least as long.
        limit: it ends where it is clear that the makespan exceeds it.

    Returns:
        The makespan, or a lower bound above the limit; and the place where it ended.
    """
    graph, makespan = problem.graph, 0
    find_last(walk, first)
    for p in range(len(walk.last)):
        if walk.last[p] >= 0:
            makespan = max(makespan, walk.finish[walk.last[p]])
    for number in range(first, len(walk.order)):
        i = walk.order[number]
        p = walk.pe[i]
        begin = problem.arrival[i]
        for e in range(graph.first_in[i], graph.first_in[i + 1]):
            k = graph.in_task[e]
            begin = max(begin, walk.finish[k] + transfer(graph.bandwidth, graph.in_volume[e], walk.pe[k], p))
        before = walk.last[p]
        if before >= 0:
            begin = max(begin, walk.finish[before])
        walk.old_finish[i], walk.old_before[i] = walk.finish[i], walk.before[i]
        walk.before[i], walk.last[p] = before, i
        walk.finish[i] = begin + graph.times[i, p]
        makespan = max(makespan, walk.finish[i])
        if walk.finish[i] + tail[i, p] > limit:
            return walk.finish[i] + tail[i, p], number + 1
    return makespan, len(walk.order)


@compiled
def find_last(walk, first):
    """Fill `last` as it is in front of a place of the order."""
    missing = len(walk.last)
    for p in range(missing):
        walk.last[p] = NONE
    number = first - 1
    while number >= 0 and missing > 0:
        p = walk.pe[walk.order[number]]
        if walk.last[p] < 0:
            walk.last[p] = walk.order[number]
            missing -= 1
        number -= 1


@compiled
def trace(problem, walk):
    """Write a critical path of the plan decoded last."""
    graph, i = problem.graph, 0
    for k in range(len(walk.finish)):
        if walk.finish[k] > walk.finish[i]:
            i = k
    count = 0
    while i >= 0:
        walk.critical[count] = i
        count += 1
        following = NONE
        start = walk.finish[i] - graph.times[i, walk.pe[i]]
        if walk.before[i] >= 0 and walk.finish[walk.before[i]] == start:
            following = walk.before[i]
        else:
            for e in range(graph.first_in[i], graph.first_in[i + 1]):
                k = graph.in_task[e]
                under_way = transfer(graph.bandwidth, graph.in_volume[e], walk.pe[k], walk.pe[i])
                if walk.finish[k] + under_way == start:
                    following = k
                    break
        i = following
    walk.numbers[_CRITICALS] = count


@compiled
def draw(key, number, which, below):
    """A random integer below a limit."""
    return min(np.int64(uniform(key, np.int64(number), np.int64(which)) * below), below - 1)


@compiled
def shift(walk, source, target):
    """Move what is at one place of the order to another."""
    task = walk.order[source]
    step = 1 if target > source else -1
    for k in range(source, target, step):
        walk.order[k] = walk.order[k + step]
        walk.place[walk.order[k]] = k
    walk.order[target], walk.place[task] = task, target


@compiled
def anneal(problem, walk, tail, key, count, heat):
    """Try so many changes at a temperature."""
    graph, numbers = problem.graph, walk.numbers
    tasks, pes = graph.times.shape
    for _ in range(count):
        number = numbers[_DONE]
        numbers[_DONE] += 1
        if uniform(key, number, 0) < _CRITICAL:
            task = walk.critical[draw(key, number, 1, numbers[_CRITICALS])]
        else:
            task = draw(key, number, 1, tasks)
        low, high = 0, tasks - 1
        for e in range(graph.first_in[task], graph.first_in[task + 1]):
            low = max(low, walk.place[graph.in_task[e]] + 1)
        for e in range(graph.first_out[task], graph.first_out[task + 1]):
            high = min(high, walk.place[graph.out_task[e]] - 1)
        source, p = walk.place[task], walk.pe[task]
        target, q = low + draw(key, number, 2, high - low + 1), p
        kind = uniform(key, number, 3)
        if kind < 0.5:
            q = draw(key, number, 4, pes)
            other = draw(key, number, 5, pes)
            if graph.times[task, q] < 0 or 0 <= graph.times[task, other] < graph.times[task, q]:
                q = other
            if graph.times[task, q] < 0:
                q = p
        if target == source and q == p:
            continue
        shift(walk, source, target)
        walk.pe[task] = q
        first = min(source, target)
        limit = numbers[_CURRENT] - heat * math.log(1.0 - uniform(key, number, 6))
        makespan, ended = decode(problem, walk, tail, first, limit)
        if makespan <= limit:
            numbers[_CURRENT] = makespan
            trace(problem, walk)
            if makespan < numbers[_BEST]:
                numbers[_BEST] = makespan
                for k in range(tasks):
                    walk.best_order[k], walk.best_pe[k] = walk.order[k], walk.pe[k]
        else:
            for k in range(first, ended):
                i = walk.order[k]
                walk.finish[i], walk.before[i] = walk.old_finish[i], walk.old_before[i]
            shift(walk, target, source)
            walk.pe[task] = p
