"""CP-SAT as an agent of memory mapping: it proposes a plan for each program."""

from __future__ import annotations

import time
from typing import Any

from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from ..agent import Imagine, Report, Setting
from .agent import SUPPLIES, MappingAgent
from .cp_sat import MemoryResult, solve_memory_mapping
from .mapper import MapperOptions
from .search import best_variant


class MemoryCpSatAgent(MappingAgent):
    """Plans each program with CP-SAT, for the supply that the environment plays with.

    The solver makes the proxy run time least; by the judge the best of the plans that it comes across is taken.

    Args:
        setting: of the environment.
        seconds: wall time for each program.
        workers: threads of the solver.
        warm: begin from the mapper's plan, so that the result is never worse.
    """

    name = "cp-sat"
    improves = True

    def __init__(self, setting: Setting, seconds: float, workers: int, warm: bool) -> None:
        super().__init__(setting)
        self._seconds, self._workers, self._warm = seconds, workers, warm

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        began = time.perf_counter()
        start = self._mapped(instance)
        return self._search(instance, self._seconds - (time.perf_counter() - began), start, None).plan

    def improve(
        self, instance: MemoryInstance, imagine: Imagine, seconds: float, report: Report, best: Any = None
    ) -> None:
        start = self._mapped(instance) if best is None else best
        if start is not None:
            report.found(start)
        self._search(instance, seconds, start, report)

    def _mapped(self, instance: MemoryInstance) -> MemoryPlan | None:
        """The mapper's plan."""
        if not self._warm:
            return None
        variants = self._comparable([MapperOptions(supply=supply) for supply in SUPPLIES])
        return best_variant(instance, variants, "priority", self._score)[1]

    def _search(
        self, instance: MemoryInstance, seconds: float, start: MemoryPlan | None, report: Report | None
    ) -> MemoryResult:
        return solve_memory_mapping(
            instance,
            self._supply,
            seconds,
            objective=self._score,
            workers=self._workers,
            start=start,
            seed=self._setting.seed % 2**31,
            report=report,
        )
