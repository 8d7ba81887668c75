"""Simulated annealing in the neighbourhood of job insertions, which leads from schedules to schedules in every mode."""

from __future__ import annotations

import numpy as np

from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from .graph import AlternativeGraph, Orders
from .insertion import Moves, anneal
from .paths import NO_LIMIT, Paths, measure
from .plan import move_order
from .search import Search

TEMPERATURE = 0.5  # in mean processing times of a node: what was best, of 0.2 to 1, on la01-la05, la16-la20 and 20x15


class JobInsertion(Search):
    """Turns pairs on a longest path round, moves a job accordingly, and takes what is longer at a constant temperature.

    The neighbourhood is that of `insertion`. Since the temperature is constant the search is never done and has no
    schedule of cooling to be told its time for.

    Args:
        instance: what is to be scheduled.
        blocking: "none", "swap" or "no-swap".
        seed: of its randomness.
        start: a finished schedule, whose orders it begins from; None begins from one job after the other.
        temperature: in mean processing times.
    """

    def __init__(
        self,
        instance: JobShopInstance,
        blocking: str,
        seed: int = 0,
        start: JobShopSchedule | None = None,
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__(instance)
        graph = self._graph = AlternativeGraph(instance, blocking)
        self._current = graph.orders(graph.shop.job.astype(np.int64)) if start is None else orders_of(graph, start)
        self._trial, self._best = self._current.copy(), self._current.copy()
        self._paths, self._trial_paths = Paths.empty(graph.num_nodes), Paths.empty(graph.num_nodes)
        self._moves = Moves.empty(graph.num_nodes)
        self._random = np.array([seed], dtype=np.uint64)
        self._temperature = temperature * max(float(graph.shop.time.mean()), 1e-9)
        makespan = measure(graph.shop, self._current, self._paths, NO_LIMIT)
        self._makespans = np.full(2, makespan, dtype=np.int64)  # of the present schedule and the best one
        self.best = graph.schedule(self._paths.head)

    def _work(self, count: int) -> None:
        anneal(
            self._graph.shop,
            self._current,
            self._trial,
            self._best,
            self._paths,
            self._trial_paths,
            self._moves,
            self._random,
            self._makespans,
            count,
            self._temperature,
        )
        assert self.best is not None
        if self._makespans[1] < self.best.makespan:
            measure(self._graph.shop, self._best, self._trial_paths, NO_LIMIT)
            self.best = self._graph.schedule(self._trial_paths.head)


def orders_of(graph: AlternativeGraph, schedule: JobShopSchedule) -> Orders:
    """The orders of a schedule's machines."""
    ranks = np.zeros(graph.instance.times.shape, dtype=np.int64)
    for rank, operation in enumerate(move_order(schedule)):
        ranks[operation] = rank
    return graph.orders_of(ranks)
