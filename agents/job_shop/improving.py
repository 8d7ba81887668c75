"""Searches as agents: each instance is searched as an episode begins, and the best schedule is replayed."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...envs.core.errors import UserError
from ...envs.job_shop.bounds import lower_bound
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Imagine, Report, Setting
from .cp_sat import ExactResult
from .planning import PlanningAgent
from .search import Search
from .start import StartState

MakeSearch = Callable[[JobShopInstance, str, int, JobShopSchedule | None], Search]
"""``make(instance, blocking, seed, start)``."""


class ImprovementAgent(PlanningAgent):
    """Searches as if no machine ever broke down.

    Args:
        setting: of the job shop.
        name: what it is called before it is named.
        make: makes the search.
        seconds: wall time for each instance; None: no limit.
        iterations: limit of another kind; None: none.
        from_rules: whether it begins from the best rule's schedule, where a rule finishes, in `improve` from the best
            that is known.
    """

    def __init__(
        self,
        setting: Setting,
        name: str,
        make: MakeSearch,
        seconds: float | None,
        iterations: int | None,
        from_rules: bool = True,
    ) -> None:
        super().__init__(setting)
        self.name, self._from_rules = name, from_rules
        self._make, self._seconds, self._iterations = make, seconds, iterations

    def improve(
        self,
        instance: JobShopInstance,
        imagine: Imagine,
        seconds: float,
        report: Report,
        best: JobShopSchedule | None = None,
    ) -> None:
        state = self._start(instance, 0, imagine)
        self._check_beginning(instance, state)
        if any(state.windows):
            raise UserError(f"agent {self.name!r} cannot plan {instance.name!r}: it knows of no down-times")
        start = best or self._best_rule_schedule(instance, state, 0, imagine)
        self._search(instance, start).run(seconds, report.found, self._iterations)

    def _plan(self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine) -> ExactResult:
        self._check_beginning(instance, state)
        began = time.perf_counter()
        search = self._search(instance, self._first(instance, state, copy, imagine))
        search.run(self._seconds, iterations=self._iterations)
        schedule, bound = search.best, lower_bound(instance)
        assert schedule is not None
        makespan = schedule.makespan
        return ExactResult(schedule, makespan, bound, makespan == bound, time.perf_counter() - began)

    def _check_beginning(self, instance: JobShopInstance, state: StartState) -> None:
        """Raise where work has begun.

        Raises:
            UserError: it has.
        """
        if state.time > 0 or not state.is_empty:
            raise UserError(
                f"agent {self.name!r} cannot plan {instance.name!r}: work has begun, it plans from the start"
            )

    def _first(
        self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine
    ) -> JobShopSchedule | None:
        """The schedule to begin from, None for none."""
        return self._best_rule_schedule(instance, state, copy, imagine) if self._from_rules else None

    def _search(self, instance: JobShopInstance, start: JobShopSchedule | None) -> Search:
        return self._make(instance, self._options.blocking, self._setting.seed, start)
