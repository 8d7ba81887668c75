"""List schedulers, searches and the exact solver as agents that propose whole plans of `makespan/StaticDag-v0`."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields

import numpy as np

from ...envs.soc.instance import SocInstance
from ...envs.soc.options import STATIC_DEFAULTS, SocOptions
from ...envs.soc.schedule import FINISH, JOB, PE, START, TASK, SocSchedule, SocSettings
from ..agent import Imagine, Proposer, Report, Setting
from .lists import Lists
from .problem import Plan


class DagAgent(Proposer):
    """Proposes a plan without playing.

    Args:
        setting: of the environment.
    """

    def __init__(self, setting: Setting) -> None:
        known = {field.name for field in fields(SocOptions)}
        given = {key: value for key, value in setting.options.items() if key in known}
        self._setting = setting
        self._options = SocOptions(**{**STATIC_DEFAULTS, **given})  # pyright: ignore[reportArgumentType]

    def _levels(self, instance: SocInstance) -> tuple[int, ...]:
        """At which level the PEs of each kind run."""
        return tuple(self._options.level(len(kind.levels)) for kind in instance.platform.kinds)

    def _schedule(self, instance: SocInstance, plan: Plan) -> SocSchedule:
        """A plan as the environment takes it."""
        return SocSchedule.from_plan(instance, plan.pe, plan.start, SocSettings(levels=self._levels(instance)))


class ListAgent(DagAgent):
    """One list rule.

    Args:
        setting: of the environment.
        rule: one of `RULES`.
        insertion: whether tasks may take gaps; None: as the rule was published.
    """

    def __init__(self, setting: Setting, rule: str, insertion: bool | None = None) -> None:
        super().__init__(setting)
        self.name, self._rule, self._insertion = rule, rule, insertion

    def propose(self, instance: SocInstance, key: int) -> SocSchedule:
        return self._schedule(instance, Lists(instance, self._levels(instance)).plan(self._rule, self._insertion, key))


class BestOfListsAgent(DagAgent):
    """The best of all list rules, each with insertion and without (as Duplex is the better of Min-Min and Max-Min)."""

    name = "best-of-lists"

    def propose(self, instance: SocInstance, key: int) -> SocSchedule:
        return self._schedule(instance, Lists(instance, self._levels(instance)).best(key)[1])


class SearchingDagAgent(DagAgent):
    """Searches each instance.

    Args:
        setting: of the environment.
        seconds: wall time for each instance; None: no limit.
        steps: limit of another kind; None: none.
    """

    improves = True

    def __init__(self, setting: Setting, seconds: float | None, steps: int | None = None) -> None:
        super().__init__(setting)
        self._seconds, self._steps = seconds, steps

    def propose(self, instance: SocInstance, key: int) -> SocSchedule:
        return self._schedule(instance, self._search(instance, key, None, self._seconds, self._steps, None))

    def improve(
        self, instance: SocInstance, imagine: Imagine, seconds: float, report: Report, best: SocSchedule | None = None
    ) -> None:
        start = None if best is None else plan_of(best)

        def found(plan: Plan) -> None:
            report.found(self._schedule(instance, plan))

        self._search(instance, self._setting.seed, start, seconds, None, found)

    @abstractmethod
    def _search(
        self,
        instance: SocInstance,
        key: int,
        start: Plan | None,
        seconds: float | None,
        steps: int | None,
        found: Callable[[Plan], None] | None,
    ) -> Plan:
        """The best plan found within a limit; `found` is told of those that come before."""


class DagSearchAgent(SearchingDagAgent):
    """Simulated annealing over plans; `steps` are changes."""

    name = "dag-search"

    def _search(
        self,
        instance: SocInstance,
        key: int,
        start: Plan | None,
        seconds: float | None,
        steps: int | None,
        found: Callable[[Plan], None] | None,
    ) -> Plan:
        from .search import PlanSearch

        began = time.perf_counter()
        search = PlanSearch(instance, self._levels(instance), key, start)
        if found is not None:
            found(search.plan())
        search.run(time_left(seconds, began), steps, found)
        return search.plan()


class DagGeneticAgent(SearchingDagAgent):
    """A genetic algorithm over priority lists; `steps` are generations."""

    name = "dag-ga"

    def __init__(self, setting: Setting, seconds: float | None, steps: int | None = None) -> None:
        from .genetic import load_pymoo

        super().__init__(setting, seconds, steps)
        load_pymoo()

    def _search(
        self,
        instance: SocInstance,
        key: int,
        start: Plan | None,
        seconds: float | None,
        steps: int | None,
        found: Callable[[Plan], None] | None,
    ) -> Plan:
        from .genetic import GeneticSearch

        began = time.perf_counter()
        search = GeneticSearch(instance, self._levels(instance), key)
        if found is not None:
            found(search.plan())
        search.run(time_left(seconds, began), steps, found)
        return search.plan()


class DagCpSatAgent(DagAgent):
    """Plans each instance with CP-SAT.

    Args:
        setting: of the environment.
        seconds: wall time for each instance.
        workers: threads of the solver.
        warm: begin from the best of the list rules, so that the result is never worse; else from HEFT's plan.
    """

    name = "cp-sat"
    improves = True

    def __init__(self, setting: Setting, seconds: float, workers: int, warm: bool) -> None:
        from ..cp_sat import cp_sat

        super().__init__(setting)
        self._seconds, self._workers, self._warm = seconds, workers, warm
        cp_sat()

    def propose(self, instance: SocInstance, key: int) -> SocSchedule:
        return self._schedule(instance, self._solve(instance, self._seconds, None, None))

    def improve(
        self, instance: SocInstance, imagine: Imagine, seconds: float, report: Report, best: SocSchedule | None = None
    ) -> None:
        self._solve(instance, seconds, None if best is None else plan_of(best), report)

    def _solve(self, instance: SocInstance, seconds: float, start: Plan | None, report: Report | None) -> Plan:
        from .cp_sat import solve_soc

        began, levels = time.perf_counter(), self._levels(instance)
        if start is None:
            lists = Lists(instance, levels)
            start = lists.best()[1] if self._warm else lists.plan("heft")

        def found(plan: Plan) -> None:
            assert report is not None
            report.found(self._schedule(instance, plan))

        if report is not None:
            found(start)
        result = solve_soc(
            instance,
            seconds - (time.perf_counter() - began),
            levels=levels,
            workers=self._workers,
            start=start,
            seed=self._setting.seed % 2**31,
            found=None if report is None else found,
            bounded=None if report is None else report.bounded,
        )
        if report is not None:
            report.bounded(result.bound)
        return result.plan


def plan_of(schedule: SocSchedule) -> Plan:
    """The plan of a finished static schedule."""
    rows = schedule.tasks[np.lexsort((schedule.tasks[:, TASK], schedule.tasks[:, JOB]))]
    return Plan(rows[:, PE].copy(), rows[:, START].copy(), rows[:, FINISH].copy())


def time_left(seconds: float | None, began: float) -> float | None:
    """What is left of a time that began then."""
    return None if seconds is None else max(seconds - (time.perf_counter() - began), 0.0)
