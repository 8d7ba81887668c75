"""AMCC, the greedy heuristic of the alternative graph, with restarts and a fallback that never comes to a dead end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from .graph import AlternativeGraph, Orders
from .insertion import draw
from .paths import NO_LIMIT, Paths, measure
from .search import Search
from .selection import Gaps, Selection, insert_jobs, read_orders, try_all

NOISE = 0.2
MOST_PAIRS = 30_000  # a try takes about ten seconds, and four times as long where there are twice as many


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

    Raises:
        UserError: the instance is too large.
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
        pairs = len(self._selection.pairs)
        if pairs > MOST_PAIRS:
            raise UserError(
                f"agent 'amcc': {instance.name!r} has {pairs} pairs of operations to put in order, expected at most "
                f"{MOST_PAIRS}"
            )
        self._gaps = Gaps.empty(self._graph)
        self._orders = self._graph.orders(self._graph.shop.job.astype(np.int64))
        self._paths = Paths.empty(self._graph.num_nodes)
        self._random = np.array([seed], dtype=np.uint64)
        self._noise, self._tries = noise, 0
        self.best, self.dead_ends = start, 0

    def _work(self, count: int) -> None:
        shop, selection, random = self._graph.shop, self._selection, self._random
        if count == 0:
            try_all(shop, selection, 0, 0.0, random)
            insert_jobs(shop, selection, self._gaps, np.empty(0, dtype=np.int64), 0.0, random)
        for _ in range(count):
            noise = self._noise if self._tries else 0.0
            if try_all(shop, selection, len(selection.pairs), noise, random):
                read_orders(shop, selection, self._orders)
                self._keep(self._orders)
            else:
                self.dead_ends += 1
                insert_jobs(shop, selection, self._gaps, self._job_order(), noise, random)
                self._keep(self._gaps.orders)
            self._tries += 1

    def _job_order(self) -> NDArray[np.int64]:
        """The order in which jobs are inserted: int64 [n]."""
        if self._tries == 0:
            return np.argsort(-self._graph.instance.times.sum(axis=1), kind="stable")
        return np.argsort([draw(self._random) for _ in range(self._graph.instance.num_jobs)])

    def _keep(self, orders: Orders) -> None:
        makespan = measure(self._graph.shop, orders, self._paths, NO_LIMIT)
        if self.best is None or makespan < self.best.makespan:
            self.best = self._graph.schedule(self._paths.head)
