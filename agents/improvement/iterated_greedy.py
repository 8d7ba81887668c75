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
from .selection import FIRST, SECOND, Selection, clear, complete, connect, read_orders

JOBS = 4  # of 1 to 5; and of temperatures of 0.1 to 0.5
TEMPERATURE = 0.3  # in mean processing times of a node


@compiled
def forget(shop, selection, orders, missing):
    """Select what some orders say of all pairs but those of missing jobs: bool [n]."""
    clear(selection)
    for v in range(len(shop.job)):
        if missing[shop.job[v]]:
            continue
        u = following(shop, orders, v)
        while u >= 0 and missing[shop.job[u]]:
            u = following(shop, orders, u)
        if u >= 0 and shop.job[u] != shop.job[v]:
            connect(shop, selection, v, u)
    for pair in range(len(selection.pairs)):
        x, y = selection.pairs[pair, 0], selection.pairs[pair, 1]
        if not missing[shop.job[x]] and not missing[shop.job[y]]:
            selection.decided[pair] = FIRST if orders.place[x] < orders.place[y] else SECOND


@compiled
def insert(shop, selection, missing, job, random):
    """Insert a job by AMCC among those that are not missing."""
    missing[job] = False
    count = 0
    for pair in range(len(selection.pairs)):
        first, second = shop.job[selection.pairs[pair, 0]], shop.job[selection.pairs[pair, 1]]
        if (first == job and not missing[second]) or (second == job and not missing[first]):
            selection.open[count] = pair
            count += 1
    complete(shop, selection, count, 0.0, random)


@compiled(nogil=True)
def iterate(shop, selection, current, best, shuffled, missing, random, values, iterations, jobs, temperature):
    """Forget and insert jobs; a schedule that is longer by d is kept with probability exp(-d / temperature).

    Args:
        current, best: orders; the first to be gone on from, the last the best ones so far.
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
        forget(shop, selection, current, missing)
        for i in range(jobs):
            insert(shop, selection, missing, shuffled[i], random)
        makespan = selection.longest[source, sink] // selection.unit
        if makespan > values[0] + int(-temperature * np.log(1.0 - draw(random))):
            continue
        read_orders(shop, selection, current)
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
            self._current,
            self._best,
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
