"""Agents that plan a job shop once, as an episode begins; the plan is replayed through the engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.engine import BatchEngine
from ...envs.core.player import play_out
from ...envs.core.random import TYPICAL
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.options import JobShopOptions
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Agent, Imagine, Observation, Setting
from ..rules.choice import choose_by_rule, rule_parameters
from ..rules.rule import applicable_rules
from .cp_sat import ExactResult
from .plan import PlanFollower
from .start import StartState, WindowTable, expect_repairs


def options_of(setting: Setting) -> JobShopOptions:
    """The shop's options that a setting was made with."""
    known = {field.name for field in fields(JobShopOptions)}
    given: dict[str, Any] = {key: value for key, value in setting.options.items() if key in known}
    return JobShopOptions(**given)


def played_schedule(
    engine: BatchEngine, copy: int, instance: JobShopInstance, options: JobShopOptions, state: StartState
) -> JobShopSchedule:
    """What has been played in a copy of an imagined engine, which records no down-times: they are the state's."""
    jobs, steps = instance.times.shape
    return JobShopSchedule(
        instance,
        options.blocking,
        engine.state.start[copy, :jobs, :steps].copy(),
        engine.state.completion[copy, :jobs, :steps].copy(),
        on_breakdown=options.on_breakdown,
        unload_when_down=options.unload_when_down,
        downtime=state.windows,
    )


class PlanningAgent(Agent):
    """Plans each instance once for all worlds that begin alike, and follows the plan as `PlanFollower` does.

    Args:
        setting: of the job shop.

    Attributes:
        results: by instance name what the planner found, with its bound.
    """

    follows_plan = True
    reads_instances = True
    improves = True

    def __init__(self, setting: Setting) -> None:
        self.results: dict[str, ExactResult] = {}
        self._setting = setting
        self._options = options_of(setting)
        self._solved: dict[str, tuple[JobShopInstance, int, WindowTable]] = {}
        self._follower = PlanFollower(setting, self._options)

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        for copy, instance in zip(copies.tolist(), instances, strict=True):
            state = self._start(instance, copy, imagine)
            solved = self._solved.get(instance.name)
            if solved is None or not solved[0].same_as(instance) or solved[1:] != (state.time, state.windows):
                self.results[instance.name] = self._plan(instance, state, copy, imagine)
                self._solved[instance.name] = instance, state.time, state.windows
            schedule = self.results[instance.name].schedule
            assert schedule is not None
            self._follower.follow(copy, schedule)

    def bound(self, instance: JobShopInstance) -> int | None:
        """The proved lower bound on the makespan of an instance that has been planned, else None."""
        result = self.results.get(instance.name)
        return None if result is None else result.bound

    @abstractmethod
    def _plan(self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine) -> ExactResult:
        """A plan of an instance from a state on; its schedule must be there."""

    def _start(self, instance: JobShopInstance, copy: int, imagine: Imagine) -> StartState:
        """Where the instance begins, with the down-times to plan for."""
        return StartState.of(instance, self._options)

    def _best_rule_schedule(
        self, instance: JobShopInstance, state: StartState, copy: int, imagine: Imagine
    ) -> JobShopSchedule | None:
        """The best schedule that a rule finishes without losing a piece, None where none does."""
        rules = list(applicable_rules(self._setting.env_id, self._setting.options).values())
        n = len(rules)
        engine = imagine(np.full(n, copy, dtype=np.int64), np.full(n, TYPICAL))
        expect_repairs(engine, self._options)
        parameters = rule_parameters(rules, self._setting.spec)
        rows, decisions = np.arange(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        play_out(engine, choose_by_rule, parameters, rows, np.zeros(n, dtype=np.uint64), decisions, observe=False)
        metrics = [engine.metrics(number) for number in range(n)]
        sound = [number for number in range(n) if metrics[number]["finished"] and not metrics[number]["lost_pieces"]]
        if not sound:
            return None
        best = min(sound, key=lambda number: metrics[number]["time"])
        return played_schedule(engine, best, instance, self._options, state)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        return self._follower.act(observation, mask)
