"""CP-SAT as an agent: it plans each instance as an episode begins, and the plan is replayed through the engine."""

from __future__ import annotations

from dataclasses import replace

from ...envs.core.errors import UserError
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Imagine, Report, Setting
from .cp_sat import ExactResult, solve_job_shop
from .planning import PlanningAgent
from .start import StartState


class CpSatAgent(PlanningAgent):
    """Solves each instance with CP-SAT and replays the schedule found, shifted to the left.

    Args:
        setting: of the job shop; its world must hold no hidden events.
        seconds: wall time for each instance.
        workers: threads of the solver.
        warm: begin from the best rule's schedule, so that the result is never worse.
    """

    def __init__(self, setting: Setting, seconds: float, workers: int, warm: bool) -> None:
        super().__init__(setting)
        self.name = "cp-sat"
        self._seconds, self._workers, self._warm = seconds, workers, warm

    def improve(
        self,
        instance: JobShopInstance,
        imagine: Imagine,
        seconds: float,
        report: Report,
        best: JobShopSchedule | None = None,
    ) -> None:
        state = self._start(instance, 0, imagine)
        start = self._best_rule_schedule(instance, state, 0, imagine) if best is None and self._warm else best
        if start is not None:
            # What was played knows no more down-times than came while it was.
            start = replace(start, downtime=state.windows)
            report.found(start)
        report.bounded(self._search(instance, state, seconds, start, report).bound)

    def _plan(self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine) -> ExactResult:
        start = self._best_rule_schedule(instance, state, copy, imagine) if self._warm else None
        result = self._search(instance, state, self._seconds, start)
        if result.schedule is None:
            raise UserError(
                f"agent {self.name!r} found no schedule of {instance.name!r} in {self._seconds} s; "
                "give it more time or a warm start (warm=true)"
            )
        return result

    def _search(
        self,
        instance: JobShopInstance,
        state: StartState,
        seconds: float,
        start: JobShopSchedule | None,
        report: Report | None = None,
    ) -> ExactResult:
        options = self._options
        return solve_job_shop(
            instance,
            options.blocking,
            seconds,
            workers=self._workers,
            on_breakdown=options.on_breakdown,
            unload_when_down=options.unload_when_down,
            start=start,
            state=state,
            seed=self._setting.seed % 2**31,
            report=report,
        )
