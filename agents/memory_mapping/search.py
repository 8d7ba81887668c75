"""Searches for orders in which the mapper places storages well: random ones, and improvement by small changes.

A search works in portions, keeps the best order and can be stopped at any time. Each order is mapped by one of several
variants of the mapper's options; the run time counts, by the judge or by the proxy.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.random import uniform
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from .mapper import Mapper, MapperOptions, knobs_of, knobs_of_row, map_program
from .mapping import judged_time, proxy_time
from .orders import order_of

_PORTION_SECONDS = 0.02
_HISTORY = 60  # late acceptance: a change is compared with the result so many changes ago
_PATIENCE = 1500  # changes without a better order before the search goes on from the best one, shaken

_SHAKES = 3
_WORST = 2**62

_DONE, _ROW, _SCORE, _BEST_ROW, _BEST, _BETTER_AT = range(6)


class OrderSearchBase(ABC):
    """What searches for orders have in common.

    Args:
        instance: the program.
        variants: options of the mapper, of which each order takes one.
        score: "judge" or "proxy".
        key: of the randomness.

    Attributes:
        mappings: how often an order has been mapped.
    """

    def __init__(self, instance: MemoryInstance, variants: Sequence[MapperOptions], score: str, key: int) -> None:
        self.mapper, self.variants = Mapper(instance, variants[0]), tuple(variants)
        self._table = table_of(variants)
        self._by_judge = score == "judge"
        self._key = np.uint64(key)
        self._order = order_of(self.mapper.program, "priority", variants[0].loop_factor)
        self._best = self._order.copy()
        self._numbers = np.zeros(6, dtype=np.int64)
        self._numbers[_BEST] = _WORST

    @property
    def mappings(self) -> int:
        """Mappings made so far."""
        return int(self._numbers[_DONE])

    @property
    def best(self) -> int:
        """The best run time so far, by the score, picoseconds."""
        return int(self._numbers[_BEST])

    def plan(self) -> MemoryPlan:
        """The best plan so far."""
        self.mapper.set_options(self.variants[int(self._numbers[_BEST_ROW])])
        self.mapper.map(self._best)
        return self.mapper.plan()

    def run(
        self,
        seconds: float | None = None,
        mappings: int | None = None,
        found: Callable[[MemoryPlan], None] | None = None,
    ) -> None:
        """Go on searching until a limit is reached.

        Args:
            seconds: wall time, without that in which code is compiled.
            mappings: how many units of work (a random order, or a mapping by local search); so limited a search is the
                same each time.
            found: is told of each plan that is better than all before.

        Raises:
            ValueError: neither limit is given.
        """
        if seconds is None and mappings is None:
            raise ValueError("run needs a limit: seconds or mappings")
        self._work(0)
        began = now = time.perf_counter()
        portion, done, told = 1, 0, _WORST
        while (seconds is None or now - began < seconds) and (mappings is None or done < mappings):
            count = portion if mappings is None else min(portion, mappings - done)
            self._work(count)
            done += count
            if found is not None and self.best < told:
                told = self.best
                found(self.plan())
            before, now = now, time.perf_counter()
            portion = max(1, min(2 * portion, int(count * _PORTION_SECONDS / max(now - before, 1e-9))))

    @abstractmethod
    def _work(self, count: int) -> None:
        """Do so many units of work and keep the best; none at all must compile whatever is needed."""


class RandomOrders(OrderSearchBase):
    """Draws orders at random, and maps each by every variant."""

    def _work(self, count: int) -> None:
        mapper = self.mapper
        draw_orders(
            mapper.program, self._table, mapper.mapping, self._order, self._best, self._numbers,
            self._key, count, self._by_judge,
        )  # fmt: skip


class OrderSearch(OrderSearchBase):
    """Improves XLA's order by small changes: moves, swaps, what misses most first, another variant of the options.

    Late acceptance hill-climbing (Burke and Bykov, "The late acceptance hill-climbing heuristic", EJOR 258(1), 2017);
    after long stagnation it goes on from the best order, shaken.
    """

    def __init__(self, instance: MemoryInstance, variants: Sequence[MapperOptions], score: str, key: int) -> None:
        super().__init__(instance, variants, score, key)
        self._candidate = self._order.copy()
        self._history = np.full(_HISTORY, _WORST, dtype=np.int64)
        self._begun = 0

    def begin_from(self, order: NDArray[np.int64], row: int) -> None:
        """Begin from another order than XLA's, mapped by this variant alone."""
        mapper = self.mapper
        self._order[:] = self._best[:] = order
        score = map_by_row(mapper.program, self._table, row, mapper.mapping, self._order, self._by_judge)
        self._begun = len(self.variants)
        self._numbers[_DONE] = self._numbers[_BETTER_AT] = 1
        self._numbers[_ROW] = self._numbers[_BEST_ROW] = row
        self._numbers[_SCORE] = self._numbers[_BEST] = score
        self._history[:] = score

    def _work(self, count: int) -> None:
        mapper = self.mapper
        count -= self._begin(count)
        improve_order(
            mapper.program, self._table, mapper.mapping, self._order, self._candidate, self._best, self._history,
            self._numbers, self._key, count, self._by_judge,
        )  # fmt: skip

    def _begin(self, count: int) -> int:
        """Map the order as it is by the variants that have not had their turn, at most so many; how many they were.

        The search goes on from the best.
        """
        mapper = self.mapper
        rows = range(self._begun, min(self._begun + count, len(self.variants)))
        for row in rows:
            score = map_by_row(mapper.program, self._table, row, mapper.mapping, self._order, self._by_judge)
            if score < self.best:
                self._numbers[_BEST], self._numbers[_BEST_ROW] = score, row
        if rows:
            self._begun = rows.stop
            self._numbers[_DONE] = self._numbers[_BETTER_AT] = self._begun
            self._numbers[_ROW], self._numbers[_SCORE] = self._numbers[_BEST_ROW], self.best
            self._history[:] = self.best
        return len(rows)


def table_of(variants: Sequence[MapperOptions]) -> NDArray[np.float64]:
    """float64 [variants, options], for compiled code."""
    return np.array([[float(value) for value in knobs_of(options)] for options in variants])


def best_variant(
    instance: MemoryInstance, variants: Sequence[MapperOptions], order: str, score: str
) -> tuple[int, MemoryPlan]:
    """The variant of the mapper's options that maps a program best in one order, and its plan; the first of equals."""
    mapper = Mapper(instance)
    best: tuple[tuple[int, int], int] | None = None
    for row, options in enumerate(variants):
        mapper.set_options(options)
        mapper.map(order_of(mapper.program, order, options.loop_factor))
        proxy, judged = mapper.run_times()
        key = (judged, proxy) if score == "judge" else (proxy, judged)
        if best is None or key < best[0]:
            best = key, row
    assert best is not None
    options = variants[best[1]]
    mapper.set_options(options)
    mapper.map(order_of(mapper.program, order, options.loop_factor))
    return best[1], mapper.plan()


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def map_by_row(program, table, row, mapping, order, by_judge):
    """Map an order by a row of the table; returns the run time."""
    map_program(program, knobs_of_row(table, row), mapping, order)
    return judged_time(program, mapping) if by_judge else proxy_time(program, mapping)


@compiled
def draw_below(key, number, which, below):
    """A random integer below a limit."""
    return min(np.int64(uniform(key, np.int64(number), np.int64(which)) * below), below - 1)


@compiled
def draw_orders(program, table, mapping, order, best, numbers, key, count, by_judge):
    """Draw so many random orders, and map each by every row of the table."""
    for _ in range(count):
        for k in range(len(order) - 1, 0, -1):
            other = draw_below(key, numbers[_DONE], k, k + 1)
            order[k], order[other] = order[other], order[k]
        for row in range(table.shape[0]):
            score = map_by_row(program, table, row, mapping, order, by_judge)
            if score < numbers[_BEST]:
                numbers[_BEST], numbers[_BEST_ROW] = score, row
                for k in range(len(order)):
                    best[k] = order[k]
            numbers[_DONE] += 1


@compiled
def improve_order(program, table, mapping, order, candidate, best, history, numbers, key, count, by_judge):
    """Try so many changes of an order. ``mapping`` holds the last order that was tried."""
    rows, length = table.shape[0], len(order)
    for _ in range(count):
        number = numbers[_DONE]
        numbers[_DONE] += 1
        shaken = number - numbers[_BETTER_AT] > _PATIENCE
        row = numbers[_BEST_ROW] if shaken else numbers[_ROW]
        for k in range(length):
            candidate[k] = best[k] if shaken else order[k]
        if shaken:
            numbers[_BETTER_AT], numbers[_SCORE] = number, _WORST
            for k in range(len(history)):
                history[k] = _WORST
            for k in range(_SHAKES):
                _move(candidate, draw_below(key, number, 100 + k, length), draw_below(key, number, 200 + k, length))
        elif rows > 1 and draw_below(key, number, 0, 50) == 0:
            row = draw_below(key, number, 1, rows)
        _change(program, mapping, candidate, key, number)
        score, place = map_by_row(program, table, row, mapping, candidate, by_judge), number % len(history)
        if score <= numbers[_SCORE] or score <= history[place]:
            numbers[_SCORE], numbers[_ROW] = score, row
            for k in range(length):
                order[k] = candidate[k]
        history[place] = min(history[place], numbers[_SCORE])
        if score < numbers[_BEST]:
            numbers[_BEST], numbers[_BEST_ROW], numbers[_BETTER_AT] = score, row, number
            for k in range(length):
                best[k] = candidate[k]


@compiled
def _move(order, source, target):
    """Move what is at one place of an order to another."""
    item = order[source]
    step = 1 if target > source else -1
    for k in range(source, target, step):
        order[k] = order[k + step]
    order[target] = item


@compiled
def _change(program, mapping, order, key, number):
    """Make one or two random changes of an order, knowing what its last mapping left in HBM."""
    length = len(order)
    for again in range(1 + (draw_below(key, number, 2, 3) == 0)):
        kind, salt = draw_below(key, number, 10 + again, 10), 20 + 20 * again
        place, other = draw_below(key, number, salt, length), draw_below(key, number, salt + 1, length)
        if kind < 4:
            storage = _missed(program, mapping, key, number, salt + 2)
            for k in range(length):
                if order[k] == storage:
                    place = k
            _move(order, place, draw_below(key, number, salt + 1, place + 1))
        elif kind < 6:
            order[place], order[other] = order[other], order[place]
        elif kind < 8:
            near = max(0, min(length - 1, place + draw_below(key, number, salt + 1, 17) - 8))
            _move(order, place, near)
        else:
            _move(order, place, other)


@compiled
def _missed(program, mapping, key, number, salt):
    """The storage of one of the accesses in HBM of which much is lost: the greatest loss of four drawn at random."""
    found, most = program.storage[0], np.int64(-1)
    for k in range(4):
        a = draw_below(key, number, salt + k, len(mapping.in_cmem))
        t = program.instruction[a]
        loss = min(program.hbm[a] - program.cmem[a], mapping.memory[t] - program.compute[t]) * program.trips[t]
        if not mapping.in_cmem[a] and program.eligible[program.storage[a]] and loss > most:
            found, most = program.storage[a], loss
    return found
