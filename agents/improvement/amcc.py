"""AMCC, the greedy heuristic of the alternative graph, with restarts and a fallback that never comes to a dead end."""

from __future__ import annotations

import numpy as np

from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from .graph import AlternativeGraph
from .insertion import draw
from .paths import NO_LIMIT, Paths, measure
from .search import Search
from .selection import Selection, insert_jobs, read_orders, try_all

NOISE = 0.2


class Amcc(Search):
    """AMCC once as it is, then with noise in what it compares, again and again; see `selection`.

    Where it comes to a dead end the jobs are inserted one by one, each by AMCC, which always comes through: in the
    first try those with most work first, then in a random order.

    Args:
        instance: what is to be scheduled.
        blocking: "none", "swap" or "no-swap".
        seed: of the noise.
        start: a schedule that is known, None for none: what is found has to be better.
        noise: the largest share by which paths are made longer.

    Attributes:
        dead_ends: tries that came to one.
    """

    def __init__(
        self,
        instance: JobShopInstance,
        blocking: str,
        seed: int = 0,
        start: JobShopSchedule | None = None,
        noise: float = NOISE,
    ) -> None:
        super().__init__(instance)
        self._graph = AlternativeGraph(instance, blocking)
        self._selection = Selection.empty(self._graph)
        self._orders = self._graph.orders(self._graph.shop.job.astype(np.int64))
        self._paths = Paths.empty(self._graph.num_nodes)
        self._random = np.array([seed], dtype=np.uint64)
        self._noise, self._tries = noise, 0
        self.best, self.dead_ends = start, 0

    def _work(self, count: int) -> None:
        shop, selection, random = self._graph.shop, self._selection, self._random
        for _ in range(count):
            noise = self._noise if self._tries else 0.0
            if not try_all(shop, selection, noise, random):
                self.dead_ends += 1
                insert_jobs(shop, selection, self._job_ranks(), noise, random)
            self._tries += 1
            self._keep()

    def _job_ranks(self) -> np.ndarray:
        """The place of each job in the order in which they are inserted: int64 [n]."""
        work = self._graph.instance.times.sum(axis=1)
        order = np.argsort(-work, kind="stable")
        if self._tries:
            order = np.argsort([draw(self._random) for _ in work])
        rank = np.empty(len(work), dtype=np.int64)
        rank[order] = np.arange(len(work))
        return rank

    def _keep(self) -> None:
        shop = self._graph.shop
        read_orders(shop, self._selection, self._orders)
        makespan = measure(shop, self._orders, self._paths, NO_LIMIT)
        if self.best is None or makespan < self.best.makespan:
            self.best = self._graph.schedule(self._paths.head)
