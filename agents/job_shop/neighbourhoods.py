"""Large-neighbourhood search with CP-SAT for the classical shop: a window of the schedule at a time is planned anew.

Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", CP 1998; windows of
time for job shops: Carchrae & Beck, "Principles for the design of large neighborhood search", Journal of Mathematical
Modelling and Algorithms 8(3), 2009.

A window is a run of operations in an order in which each comes after those that it waits for. Those before it keep
their starts, those behind it their orders, so that a window knows the others by the heads and tails of its operations
alone, and the model holds no more than the window. It begins without hint: a window as good, but another one, is taken,
too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.random import uniform
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from ..cp_sat import cp_sat
from .graph import AlternativeGraph
from .job_insertion import orders_of
from .paths import NO_LIMIT, Paths, following, measure, measure_tails, preceding
from .search import Search

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

WORK = 0.005  # CP-SAT's deterministic time for a window: 0.2 to 0.02 left ta31 2 to 7 points longer after 8 seconds
SMALLEST, GROWTH, DECAY = 20, 1.05, 0.8


class NeighbourhoodSearch(Search):
    """Plans windows anew. They grow while they are solved to the optimum, and shrink otherwise.

    Args:
        instance: what is to be scheduled.
        blocking: "none"; who else plans windows has to know of jobs that cannot leave them.
        seed: of its randomness.
        start: a finished schedule, whose orders it begins from; None begins from one job after the other.
        workers: threads of the solver.

    Raises:
        MissingExtraError: ortools is not installed.
        ValueError: the shop is another one.
    """

    def __init__(
        self,
        instance: JobShopInstance,
        blocking: str = "none",
        seed: int = 0,
        start: JobShopSchedule | None = None,
        workers: int = 1,
    ) -> None:
        if blocking != "none":
            raise ValueError(f"blocking is {blocking!r}: windows are planned in the classical shop only")
        super().__init__(instance)
        self._cp = cp_sat()
        graph = self._graph = AlternativeGraph(instance, blocking)
        self._orders = graph.orders(graph.shop.job.astype(np.int64)) if start is None else orders_of(graph, start)
        self._paths = Paths.empty(graph.num_nodes)
        self._seed, self._workers, self._count = seed, workers, 0
        self._size = float(SMALLEST)
        self._tails = np.zeros(graph.num_nodes, dtype=np.int64)
        self._measure()

    def _work(self, count: int) -> None:
        for _ in range(count):
            self._plan_window()
            self._count += 1

    def _plan_window(self) -> None:
        nodes = self._graph.num_nodes
        size = min(int(self._size), nodes)
        first = int(uniform(self._seed, self._count, 0) * (nodes - size + 1))
        window = self._order()[first : first + size].tolist()
        starts = self._solve(window)
        if starts is None:
            return
        shop = self._graph.shop

        def rank(v: int) -> tuple[int, ...]:
            """Orders all nodes, so that those of length zero that begin together are not put into a circle."""
            return starts[v], starts[v] + int(shop.time[v]), int(shop.position[v]), v

        for run in self._runs(window):
            places = sorted(int(self._orders.place[v]) for v in run)
            for place, v in zip(places, sorted(run, key=rank), strict=True):
                self._orders.sequence[shop.machine[v], place], self._orders.place[v] = v, place
        self._measure()

    def _order(self) -> NDArray[np.int64]:
        """All nodes, each after those that it waits for: by earliest or by latest start, or by something between."""
        share = uniform(self._seed, self._count, 1)
        latest = self._makespan - self._tails - self._graph.shop.time
        rank = np.empty(len(latest), dtype=np.int64)
        rank[self._paths.order] = np.arange(len(latest))
        return np.lexsort((rank, (1 - share) * self._paths.head + share * latest))

    def _runs(self, window: list[int]) -> list[list[int]]:
        """The nodes of a window on each machine, where they follow one another, in their order."""
        runs = defaultdict(list)
        for v in window:
            runs[int(self._graph.shop.machine[v])].append(v)
        return [sorted(run, key=lambda v: int(self._orders.place[v])) for run in runs.values()]

    def _solve(self, window: list[int]) -> dict[int, int] | None:
        """Starts of the nodes in a window with which the makespan is not longer, None where none were found in time."""
        model = self._cp.CpModel()
        longest = model.new_int_var(0, self._makespan, "")
        starts = self._add_window(model, window, longest)
        model.minimize(longest)
        solver = self._cp.CpSolver()
        solver.parameters.num_workers = self._workers
        solver.parameters.random_seed = int(uniform(self._seed, self._count, 2) * 2**31)
        solver.parameters.max_deterministic_time = WORK
        status = solver.solve(model)
        factor = GROWTH if status == self._cp.OPTIMAL else DECAY
        self._size = min(max(self._size * factor, SMALLEST), self._graph.num_nodes)
        if status not in (self._cp.OPTIMAL, self._cp.FEASIBLE):
            return None
        return {v: solver.value(start) for v, start in starts.items()}

    def _add_window(self, model: cp_model.CpModel, window: list[int], longest: Any) -> dict[int, Any]:
        """Add the start variables of a window's nodes."""
        shop, inside = self._graph.shop, set(window)
        starts: dict[int, Any] = {}
        for run in self._runs(window):
            before = preceding(shop, self._orders, run[0])
            behind = following(shop, self._orders, run[-1])
            free = 0 if before < 0 else self._end(before)
            left = 0 if behind < 0 else self._from_start(behind)
            intervals = []
            for v in run:
                time = int(shop.time[v])
                head, tail = free, left
                if shop.position[v] > 0 and v - 1 not in inside:
                    head = max(head, self._end(v - 1))
                if not shop.last[v] and v + 1 not in inside:
                    tail = max(tail, self._from_start(v + 1))
                starts[v] = model.new_int_var(head, self._makespan - tail - time, "")
                intervals.append(model.new_fixed_size_interval_var(starts[v], time, ""))
                model.add(longest >= starts[v] + time + tail)
            model.add_no_overlap(intervals)
        for v in window:
            if shop.position[v] > 0 and v - 1 in inside:
                model.add(starts[v] >= starts[v - 1] + int(shop.time[v - 1]))
        return starts

    def _end(self, node: int) -> int:
        return int(self._paths.head[node] + self._graph.shop.time[node])

    def _from_start(self, node: int) -> int:
        """Longest path from the start of a node to the end."""
        return int(self._graph.shop.time[node] + self._tails[node])

    def _measure(self) -> None:
        """Bring heads, tails, makespan and `best` up to date."""
        shop = self._graph.shop
        self._makespan = int(measure(shop, self._orders, self._paths, NO_LIMIT))
        measure_tails(shop, self._orders, self._paths, self._tails)
        if self.best is None or self._makespan < self.best.makespan:
            self.best = self._graph.schedule(self._paths.head)
