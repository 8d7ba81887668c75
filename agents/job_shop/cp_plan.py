"""Plan and repair: CP-SAT plans as if no breakdown came, and the plan is kept or mended as they come.

What a planner with a solver would do; it sees nothing of the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.engine import BatchEngine
from ...envs.core.random import TYPICAL
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule
from ...envs.job_shop.state import NEXT_DOWN, UP
from ..agent import Imagine, Observation, Setting
from .cp_sat import solve_job_shop
from .cp_sat_agent import CpSatAgent
from .planning import played_schedule
from .start import StartState, expect_repairs, read_start

REPAIRS = ("right-shift", "resolve")


class CpPlanAgent(CpSatAgent):
    """Plans each instance with CP-SAT as the episode begins, for breakdowns that are announced by then and no others.

    Right shift keeps the plan's order of moves whatever happens. `resolve` plans anew, from the present state on, at
    every decision at which a machine is down that was not at the last plan, or a piece has been lost; it begins from
    the plan that it has, shifted to the right, so that the new one is never longer by what is known. A repair whose
    length is hidden is expected to last as long as the mean of its law, given how long it has lasted.

    Without hidden events it is `cp-sat`.

    Args:
        setting: of the job shop.
        seconds: wall time for each instance.
        workers: threads of the solver.
        warm: begin from the best rule's schedule, so that the result is never worse.
        repair: "right-shift" or "resolve".
        retime: wall time for each new plan, in seconds.
    """

    def __init__(self, setting: Setting, seconds: float, workers: int, warm: bool, repair: str, retime: float) -> None:
        super().__init__(setting, seconds, workers, warm)
        self.name = "cp-plan"
        self._resolves = repair == "resolve" and setting.stochastic
        self._retime = retime
        self._imagine: Imagine | None = None
        self._instances: dict[int, JobShopInstance] = {}
        self._planned: dict[int, set[tuple[int, int]]] = {}
        up = [feature.name for feature in setting.spec.nodes[2].features].index("up")
        self._up_column = up

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        super().begin(copies, instances, keys, imagine)
        self._imagine = imagine
        for copy, instance in zip(copies.tolist(), instances, strict=True):
            self._instances[copy] = instance
            self._planned[copy] = set()

    def _start(self, instance: JobShopInstance, copy: int, imagine: Imagine) -> StartState:
        if not self._setting.stochastic:
            return super()._start(instance, copy, imagine)
        state = read_start(self._imagined(imagine, [copy]), 0, instance, self._options)
        assert state is not None  # nothing has begun that could be lost
        return state

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        if self._resolves:
            self._mend(observation, mask)
        return super().act(observation, mask)

    def _mend(self, observation: Observation, mask: NDArray[np.int8]) -> None:
        """Plan anew where something has happened since the last plan."""
        lost = self._follower.notice_losses(observation, mask)
        down = observation["node_mask/machine"] > observation["nodes/machine"][:, :, self._up_column]
        affected = sorted({*lost, *np.flatnonzero(down.any(axis=1) & mask.any(axis=1)).tolist()})
        if not affected:
            return
        assert self._imagine is not None
        windows = self._imagined(self._imagine, affected).state.window
        for copy, rows in zip(affected, windows.tolist(), strict=True):
            breakdowns = {(m, row[NEXT_DOWN]) for m, row in enumerate(rows) if row[UP] == 0}
            if copy in lost or breakdowns - self._planned[copy]:
                self._planned[copy] = breakdowns
                self._plan_anew(copy, self._imagine)

    def _plan_anew(self, copy: int, imagine: Imagine) -> None:
        """Make a new plan from the present on; the old one stays where none is found."""
        instance, options = self._instances[copy], self._options
        engine = self._imagined(imagine, [copy])
        state = read_start(engine, 0, instance, options)
        if state is None:
            return
        result = solve_job_shop(
            instance,
            options.blocking,
            self._retime,
            workers=self._workers,
            on_breakdown=options.on_breakdown,
            unload_when_down=options.unload_when_down,
            start=self._shifted(copy, engine, state),
            state=state,
            seed=self._setting.seed % 2**31,
        )
        if result.schedule is not None:
            self._follower.follow(copy, result.schedule)

    def _shifted(self, copy: int, engine: BatchEngine, state: StartState) -> JobShopSchedule | None:
        """The present plan, shifted to the right by what is known, None where it loses a piece.

        Args:
            engine: the imagined present of the copy; it is played to its end.
        """
        options = self._options
        if options.known_windows and options.clock == "busy":
            return None  # when machines break down then depends on the plan, which the model does not know
        lost = engine.metrics(0)["lost_pieces"]
        follower = self._follower.fork(copy)
        while engine.is_running().any():
            engine.step(follower.act(engine.block.views, engine.masks))
        metrics = engine.metrics(0)
        if not metrics["finished"] or metrics["lost_pieces"] > lost:
            return None
        return played_schedule(engine, 0, self._instances[copy], options, state)

    def _imagined(self, imagine: Imagine, copies: Sequence[int]) -> BatchEngine:
        """The given copies' present, in worlds in which nothing more breaks down than what is announced."""
        engine = imagine(np.array(copies, dtype=np.int64), np.full(len(copies), TYPICAL))
        expect_repairs(engine, self._options)
        return engine
