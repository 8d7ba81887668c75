"""Agents that make whole schedules: heuristics, a search for the time that it is given, and the optimum."""

from __future__ import annotations

import time as clock
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from makespan.agents.agent import Imagine, Proposer, Report, Setting
from makespan.envs.core.errors import FieldError, UserError
from numpy.typing import NDArray

from .exact import TooManySetsError, optimum
from .instance import TotalTardinessInstance
from .orders import arrays_of, eddc_order, mdd_order, psk_order, search_on
from .schedule import Schedule

_LONGEST = 86_400.0
_MOST_ITERATIONS = 10**9
_CHUNK = 10_000  # pairs of places that are tried, at least, between two looks at the clock


def in_order(instance: TotalTardinessInstance, order: Sequence[int]) -> Schedule:
    """The schedule that does the jobs in an order without a pause."""
    starts, end = [0] * len(order), 0
    for job in order:
        starts[job] = end
        end += instance.times[job]
    return Schedule(instance, tuple(starts))


class OrderAgent(Proposer):
    """Proposes the schedule of an order."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @abstractmethod
    def order(self, instance: TotalTardinessInstance, key: int) -> Sequence[int]:
        """The jobs in the order in which they are done."""

    def propose(self, instance: TotalTardinessInstance, key: int) -> Schedule:
        return in_order(instance, self.order(instance, key))


class PskAgent(OrderAgent):
    """Panwalkar, Smith & Koulamas's heuristic, see `orders.psk_order`."""

    def order(self, instance: TotalTardinessInstance, key: int) -> Sequence[int]:
        return psk_order(instance)


class EddcAgent(OrderAgent):
    """EDDC, see `orders.eddc_order`."""

    def order(self, instance: TotalTardinessInstance, key: int) -> Sequence[int]:
        return eddc_order(instance)


class SearchAgent(OrderAgent):
    """Iterated local search from MDD's order, with insertions and exchanges.

    Args:
        setting: of the environment.
        time: seconds of CPU time for each instance.
        iterations: shakes, in place of a time: the result is then the same on any machine.

    Raises:
        FieldError: one of them is out of its range.
    """

    improves = True

    def __init__(self, setting: Setting, time: float = 1.0, iterations: int | None = None) -> None:
        super().__init__(setting)
        if isinstance(time, bool | str) or not 0 < time <= _LONGEST:
            raise FieldError("option time of agent 'search'", time, f"seconds, above 0 and at most {_LONGEST:g}")
        if iterations is not None and (not isinstance(iterations, int) or not 1 <= iterations <= _MOST_ITERATIONS):
            raise FieldError("option iterations of agent 'search'", iterations, "an integer from 1")
        self._seconds, self._iterations = float(time), iterations

    def order(self, instance: TotalTardinessInstance, key: int) -> Sequence[int]:
        best = np.array(mdd_order(instance), dtype=np.int64)
        if self._iterations is not None:
            self._run(instance, key, best, lambda: False, self._iterations)
        else:
            end = clock.process_time() + self._seconds
            self._run(instance, key, best, lambda: clock.process_time() >= end)
        return best.tolist()

    def improve(self, instance: Any, imagine: Imagine, seconds: float, report: Report, best: Any = None) -> None:
        end = clock.perf_counter() + seconds
        start = mdd_order(instance) if best is None else np.argsort(np.array(best.starts))
        self._run(instance, 0, np.array(start, dtype=np.int64), lambda: clock.perf_counter() >= end, report=report)

    def _run(
        self,
        instance: TotalTardinessInstance,
        key: int,
        best: NDArray[np.int64],
        is_over: Callable[[], bool],
        most: int = _MOST_ITERATIONS,
        report: Report | None = None,
    ) -> None:
        """Improve an order in place, and report each that is better than those before."""
        times, due = arrays_of(instance)
        scratch, least, done = best.copy(), None, 0
        while done < most and (done == 0 or not is_over()):
            count = min(max(_CHUNK // len(best) ** 2, 1), most - done)
            cost = int(search_on(best, times, due, np.uint64(key), done, count, scratch))
            done += count
            if report is not None and (least is None or cost < least):
                report.found(in_order(instance, best.tolist()))
            least = cost
            if cost == 0:
                return


class ExactAgent(OrderAgent):
    """The optimum, see `exact.optimum`.

    Args:
        setting: of the environment.
        sets: how many sets of jobs it may remember; some hard instances of a hundred jobs need more than there is
            room for.

    Raises:
        FieldError: `sets` is out of its range.
    """

    improves = True

    def __init__(self, setting: Setting, sets: int = 2_000_000) -> None:
        super().__init__(setting)
        if isinstance(sets, bool) or not isinstance(sets, int) or sets < 1:
            raise FieldError("option sets of agent 'exact'", sets, "an integer from 1")
        self._sets = sets

    def order(self, instance: TotalTardinessInstance, key: int) -> Sequence[int]:
        return self._solve(instance)[1]

    def improve(self, instance: Any, imagine: Imagine, seconds: float, report: Report, best: Any = None) -> None:
        cost, order = self._solve(instance)
        report.found(in_order(instance, order))
        report.bounded(float(cost))

    def _solve(self, instance: TotalTardinessInstance) -> tuple[int, list[int]]:
        try:
            return optimum(instance, self._sets)
        except TooManySetsError as error:
            raise UserError(f"agent 'exact' cannot solve instance {instance.name!r}: it needs {error}") from None
