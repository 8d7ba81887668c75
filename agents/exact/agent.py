"""CP-SAT as an agent: it plans each instance as an episode begins, and the plan is replayed through the engine."""

from __future__ import annotations

from ...envs.core.errors import UserError
from ...envs.job_shop.instance import JobShopInstance
from ..agent import Imagine, Setting
from .job_shop import ExactResult, solve_job_shop
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

    def _plan(self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine) -> ExactResult:
        options = self._options
        result = solve_job_shop(
            instance,
            options.blocking,
            self._seconds,
            workers=self._workers,
            on_breakdown=options.on_breakdown,
            unload_when_down=options.unload_when_down,
            start=self._best_rule_schedule(instance, state, copy, imagine) if self._warm else None,
            state=state,
            seed=self._setting.seed % 2**31,
        )
        if result.schedule is None:
            raise UserError(
                f"agent {self.name!r} found no schedule of {instance.name!r} in {self._seconds} s; "
                "give it more time or a warm start (warm=true)"
            )
        return result
