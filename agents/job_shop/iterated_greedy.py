"""Iterated greedy on the alternative graph: forget some of the selection, complete it by AMCC, accept by temperature.

Pranzo & Pacciarelli, "An iterated greedy metaheuristic for the blocking job shop scheduling problem", Journal of
Heuristics 22(4), 2016, for the shop with swaps and without. What is forgotten here are all pairs of a few jobs, which
are then inserted one by one, in a random order. One job can always be inserted (see `insertion`), so that no completion
comes to a dead end.
"""

from __future__ import annotations

import numpy as np

from ...envs.core.compile import compiled
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from .graph import AlternativeGraph
from .insertion import assign, draw
from .job_insertion import orders_of
from .paths import NO_LIMIT, Paths, following, measure
from .search import Search
from .selection import NONE, Gaps, Selection, arc_length, insert_job

JOBS = 4  # of 1 to 5; and of temperatures of 0.1 to 0.5
TEMPERATURE = 0.3  # in mean processing times of a node


@compiled
def extend(selection, node, other, length):
    """Take notice of an arc from a node to another one, whose paths are known."""
    row, behind = selection.longest[node], selection.longest[other]
    for v in range(len(row)):
        row[v] = max(row[v], behind[v] + length)


@compiled
def next_present(shop, orders, missing, node):
    """The next node of a node's machine whose job is not missing, -1 for none."""
    u = following(shop, orders, node)
    while u >= 0 and missing[shop.job[u]]:
        u = following(shop, orders, u)
    return u


@compiled
def find_paths_from(shop, selection, orders, missing, node):
    """Find the longest paths from a node, those from the ends of its arcs being known."""
    length = shop.time[node] * selection.unit + 1
    if shop.last[node]:
        row = selection.longest[node]
        row[len(row) - 1] = length
    else:
        extend(selection, node, node + 1, length)
    if missing[shop.job[node]]:
        return
    if shop.position[node] > 0 and shop.exit[node - 1] == node:
        u = next_present(shop, orders, missing, node - 1)
        if u >= 0:
            extend(selection, node, u, arc_length(shop, selection, node - 1))
    if shop.exit[node] == node:
        u = next_present(shop, orders, missing, node)
        if u >= 0:
            extend(selection, node, u, length)


@compiled
def forget(shop, selection, orders, paths, missing):
    """Find the longest paths of some orders without the missing jobs, but for their own routes.

    Args:
        paths: room.
        missing: bool [n].
    """
    longest, order, cycle = selection.longest, paths.order, paths.cycle
    nodes = len(order)
    for v in range(nodes + 2):
        for u in range(nodes + 2):
            longest[v, u] = NONE
        longest[v, v] = 0
    measure(shop, orders, paths, NO_LIMIT)
    end = nodes
    while end > 0:
        begin = end - 1
        while begin > 0 and cycle[order[begin]] >= 0 and cycle[order[begin - 1]] == cycle[order[begin]]:
            begin -= 1
        for _ in range(end - begin):  # once round a swap
            for i in range(end - 1, begin - 1, -1):
                find_paths_from(shop, selection, orders, missing, order[i])
        end = begin
    for job in range(len(missing)):
        extend(selection, nodes, shop.first[job], 0)


@compiled
def take_out(shop, orders, gaps, missing):
    """Fill the gaps' orders with those of the jobs that are not missing."""
    for machine in range(len(gaps.size)):
        count = 0
        for i in range(orders.sequence.shape[1]):
            v = orders.sequence[machine, i]
            if v >= 0 and not missing[shop.job[v]]:
                gaps.orders.sequence[machine, count], gaps.orders.place[v] = v, count
                count += 1
        gaps.size[machine] = count


@compiled(nogil=True)
def iterate(
    shop, selection, gaps, current, best, paths, shuffled, missing, random, values, iterations, jobs, temperature
):
    """Forget and insert jobs; a schedule that is longer by d is kept with probability exp(-d / temperature).

    Args:
        current, best: orders; the first to be gone on from, the last the best ones so far.
        gaps, paths: room.
        shuffled: int32 [n], all jobs.
        missing: bool [n], all false.
        random: uint64 [1], the random stream.
        values: int64 [2], makespans of `current` and `best`.
        jobs: how many are forgotten at a time.
    """
    source, sink = len(shop.job), len(shop.job) + 1
    for _ in range(iterations):
        for i in range(jobs):
            other = i + int(draw(random) * (len(shuffled) - i))
            shuffled[i], shuffled[other] = shuffled[other], shuffled[i]
            missing[shuffled[i]] = True
        forget(shop, selection, current, paths, missing)
        take_out(shop, current, gaps, missing)
        for i in range(jobs):
            missing[shuffled[i]] = False
            insert_job(shop, selection, gaps, shuffled[i], 0.0, random)
        makespan = selection.longest[source, sink] // selection.unit
        if makespan > values[0] + int(-temperature * np.log(1.0 - draw(random))):
            continue
        assign(current, gaps.orders)
        values[0] = makespan
        if makespan < values[1]:
            values[1] = makespan
            assign(best, current)


class IteratedGreedy(Search):
    """Forgets some jobs at a time and inserts them by AMCC.

    Args:
        instance: what is to be scheduled.
        blocking: "none", "swap" or "no-swap".
        seed: of its randomness.
        start: a finished schedule, whose orders it begins from; None begins from one job after the other.
        jobs: how many are forgotten at a time, if there are so many.
        temperature: in mean processing times.

    Raises:
        UserError: the instance is too large, see `Selection`.
    """

    def __init__(
        self,
        instance: JobShopInstance,
        blocking: str,
        seed: int = 0,
        start: JobShopSchedule | None = None,
        jobs: int = JOBS,
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__(instance)
        graph = self._graph = AlternativeGraph(instance, blocking)
        self._selection = Selection.empty(graph)
        self._gaps = Gaps.empty(graph)
        self._current = graph.orders(graph.shop.job.astype(np.int64)) if start is None else orders_of(graph, start)
        self._best = self._current.copy()
        self._paths = Paths.empty(graph.num_nodes)
        self._shuffled = np.arange(instance.num_jobs, dtype=np.int32)
        self._missing = np.zeros(instance.num_jobs, dtype=np.bool_)
        self._random = np.array([seed], dtype=np.uint64)
        self._jobs = min(jobs, instance.num_jobs)
        self._temperature = temperature * max(float(graph.shop.time.mean()), 1e-9)
        makespan = measure(graph.shop, self._current, self._paths, NO_LIMIT)
        self._makespans = np.full(2, makespan, dtype=np.int64)  # of the present schedule and the best one
        self.best = graph.schedule(self._paths.head)

    def _work(self, count: int) -> None:
        iterate(
            self._graph.shop,
            self._selection,
            self._gaps,
            self._current,
            self._best,
            self._paths,
            self._shuffled,
            self._missing,
            self._random,
            self._makespans,
            count,
            self._jobs,
            self._temperature,
        )
        assert self.best is not None
        if self._makespans[1] < self.best.makespan:
            measure(self._graph.shop, self._best, self._paths, NO_LIMIT)
            self.best = self._graph.schedule(self._paths.head)
