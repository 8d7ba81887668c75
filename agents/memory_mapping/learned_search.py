"""Search for the order of one program, from a learned order on: its weights are fitted to the program, then the order
is improved by small changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core.random import combine
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from .learned_order import PASSES, OrderPlayer
from .mapper import MapperOptions
from .search import OrderSearch

_CHUNK = 8  # variants that are played between two looks at the clock
_FITTED = 0.4  # share of the search after which the weights stay as they are
_TOP = 4  # variants by which weights are fitted
_MEMBERS, _ELITE, _SIGMA = 8, 2, 0.1
_NOISES = (0.0, 0.2, 0.4, 0.8)  # of the scores; the members of a generation take turns


class LearnedSearch:
    """Searches for an order in three stages.

    Every variant of the options orders the program by the weights; then, by the best variants, an evolution strategy
    fits the weights to the program, scores being noised, too; then `OrderSearch` goes on from the best order.

    Args:
        instance: the program.
        variants: of the mapper's options.
        score: "judge" or "proxy".
        key: of the randomness.
        row: the weights, see `makespan.agents.memory_mapping.learned_order`.

    Attributes:
        mappings: how often an order has been mapped.
    """

    def __init__(
        self,
        instance: MemoryInstance,
        variants: Sequence[MapperOptions],
        score: str,
        key: int,
        row: NDArray[np.float64],
    ) -> None:
        self._player = OrderPlayer(instance, variants[:1], score)  # which compiles whatever is needed
        self._player.play(row, PASSES, variants=np.zeros(0, dtype=np.int64))
        self._local = OrderSearch(instance, variants, score, int(combine(np.uint64(key), 0)))
        self._instance, self._variants, self._score, self._key, self._row = instance, tuple(variants), score, key, row
        self._told: int | None = None
        self.mappings = 0

    @property
    def best(self) -> int:
        """The best run time so far, by the score, picoseconds."""
        return min(self._player.best, self._local.best)

    def plan(self) -> MemoryPlan:
        """The best plan so far."""
        return self._player.plan() if self._player.best < self._local.best else self._local.plan()

    def run(
        self,
        seconds: float | None = None,
        mappings: int | None = None,
        found: Callable[[MemoryPlan], None] | None = None,
    ) -> None:
        """Search until a limit is reached.

        Args:
            seconds: wall time, without that in which code is compiled.
            mappings: how many orders are mapped (a few more, as far as they are mapped together); so limited a search
                is the same each time.
            found: is told of each plan that is better than all before.

        Raises:
            ValueError: neither limit is given.
        """
        if seconds is None and mappings is None:
            raise ValueError("run needs a limit: seconds or mappings")
        began = time.perf_counter()

        def spent() -> float:
            """Share of what may be spent."""
            time_spent = 0.0 if seconds is None else (time.perf_counter() - began) / seconds
            return max(time_spent, 0.0 if mappings is None else self.mappings / mappings)

        self._player = OrderPlayer(self._instance, self._variants, self._score)
        self.mappings = len(self._variants)
        self._tell(found)
        tops = self._play_all(spent, found)
        self._fit(tops, spent, found)
        if spent() < 1.0:
            self._local.begin_from(self._player.order, self._player.row)
            left = None if seconds is None else seconds - (time.perf_counter() - began)
            self._local.run(left, None if mappings is None else mappings - self.mappings, found)
            self.mappings += self._local.mappings

    def _tell(self, found: Callable[[MemoryPlan], None] | None) -> None:
        """Report the player's best if it is better than all before."""
        if found is not None and (self._told is None or self._player.best < self._told):
            self._told = self._player.best
            found(self._player.plan())

    def _play(
        self, row: NDArray[np.float64], variants: NDArray[np.int64], noise: float = 0.0, number: int = 0
    ) -> NDArray[np.int64]:
        """The best run time of each variant in a few passes, int64 [variants]."""
        key = int(combine(np.uint64(self._key), number))
        costs = self._player.play(row, PASSES, noise, key, variants)
        self.mappings += costs.size
        return costs.min(axis=1)

    def _play_all(self, spent: Callable[[], float], found: Callable[[MemoryPlan], None] | None) -> NDArray[np.int64]:
        """Let each variant order the program, those that do best in XLA's order first; returns the best variants."""
        costs = self._player.first.copy()
        order = np.argsort(costs, kind="stable").astype(np.int64)
        for begin in range(0, len(order), _CHUNK):
            if spent() >= 1.0:
                break
            chunk = order[begin : begin + _CHUNK]
            costs[chunk] = np.minimum(costs[chunk], self._play(self._row, chunk))
        self._tell(found)
        return np.argsort(costs, kind="stable")[:_TOP].astype(np.int64)

    def _fit(
        self, variants: NDArray[np.int64], spent: Callable[[], float], found: Callable[[MemoryPlan], None] | None
    ) -> None:
        """Fit the weights to the program: those that did best are the middle of the next generation."""
        rng = np.random.default_rng(self._key)
        middle, number = self._row, 0
        while spent() < _FITTED:
            moved = middle + _SIGMA * rng.normal(size=(_MEMBERS, len(middle)))
            costs = np.empty(_MEMBERS)
            for member, row in enumerate(moved):
                number += 1
                costs[member] = self._play(row, variants, _NOISES[member % len(_NOISES)], number).min()
            middle = moved[np.argsort(costs, kind="stable")[:_ELITE]].mean(axis=0)
            self._tell(found)
