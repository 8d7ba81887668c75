"""CP-SAT as an agent: it plans each instance as an episode begins, and the plan is replayed through the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.core.player import play_out
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.options import JobShopOptions
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Agent, Imagine, Observation, Setting
from ..rules.choice import choose_by_rule, rule_parameters
from ..rules.rule import applicable_rules
from .job_shop import ExactResult, solve_job_shop


def options_of(setting: Setting) -> JobShopOptions:
    """The shop's options that a setting was made with."""
    known = {field.name for field in fields(JobShopOptions)}
    given: dict[str, Any] = {key: value for key, value in setting.options.items() if key in known}
    return JobShopOptions(**given)


class CpSatAgent(Agent):
    """Solves each instance with CP-SAT and replays the schedule found, shifted to the left.

    In event mode the next job of the plan enters each machine as soon as it may, and the agent waits otherwise; in
    construct mode the operations are appended in the order of their planned starts. An instance is solved once.

    Args:
        setting: of the job shop; its world must hold no hidden events.
        seconds: wall time for each instance.
        workers: threads of the solver.
        warm: begin from the best rule's schedule, so that the result is never worse.

    Attributes:
        results: by instance name what the solver found, with its bound.
    """

    follows_plan = True
    reads_instances = True

    def __init__(self, setting: Setting, seconds: float, workers: int, warm: bool) -> None:
        self.name = "cp-sat"
        self.results: dict[str, ExactResult] = {}
        self._setting = setting
        self._options = options_of(setting)
        self._seconds, self._workers, self._warm = seconds, workers, warm
        self._solved: dict[str, JobShopInstance] = {}
        self._plans: dict[int, _Plan] = {}
        features = [feature.name for feature in setting.spec.nodes[0].features]
        self._unstarted = [features.index("unreleased"), features.index("waiting")]
        self._conflict = setting.spec.action_column("known_window_conflict")

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        for copy, instance in zip(copies.tolist(), instances, strict=True):
            known = self._solved.get(instance.name)
            if known is None or not known.same_as(instance):
                self.results[instance.name] = self._solve(instance, copy, imagine)
                self._solved[instance.name] = instance
            schedule = self.results[instance.name].schedule
            assert schedule is not None
            self._plans[copy] = _Plan(schedule)

    def bound(self, instance: JobShopInstance) -> int | None:
        """The proved lower bound on the makespan of an instance that has been solved, else None."""
        result = self.results.get(instance.name)
        return None if result is None else result.bound

    def _solve(self, instance: JobShopInstance, copy: int, imagine: Imagine) -> ExactResult:
        options = self._options
        result = solve_job_shop(
            instance,
            options.blocking,
            self._seconds,
            workers=self._workers,
            windows=None if options.law == "windows" else (),
            on_breakdown=options.on_breakdown,
            unload_when_down=options.unload_when_down,
            start=self._best_rule_schedule(instance, copy, imagine) if self._warm else None,
            seed=self._setting.seed % 2**31,
        )
        if result.schedule is None:
            raise UserError(
                f"agent {self.name!r} found no schedule of {instance.name!r} in {self._seconds} s; "
                "give it more time or a warm start (warm=true)"
            )
        return result

    def _best_rule_schedule(self, instance: JobShopInstance, copy: int, imagine: Imagine) -> JobShopSchedule | None:
        """The best schedule that a rule finishes without losing a piece, None where none does."""
        rules = list(applicable_rules(self._setting.env_id, self._setting.options).values())
        n = len(rules)
        engine = imagine(np.full(n, copy, dtype=np.int64), np.zeros(n, dtype=np.uint64))
        parameters = rule_parameters(rules, self._setting.spec)
        rows, decisions = np.arange(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        play_out(engine, choose_by_rule, parameters, rows, np.zeros(n, dtype=np.uint64), decisions, observe=False)
        metrics = [engine.metrics(number) for number in range(n)]
        sound = [number for number in range(n) if metrics[number]["finished"] and not metrics[number]["lost_pieces"]]
        if not sound:
            return None
        best = min(sound, key=lambda number: metrics[number]["time"])
        jobs, steps = instance.times.shape
        return JobShopSchedule(
            instance,
            self._options.blocking,
            engine.state.start[best, :jobs, :steps].copy(),
            engine.state.completion[best, :jobs, :steps].copy(),
            on_breakdown=self._options.on_breakdown,
            unload_when_down=self._options.unload_when_down,
            downtime=instance.windows if self._options.law == "windows" else (),
        )

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        operations = observation["actions/nodes"][:, :, 1]
        status = observation["nodes/operation"]
        unstarted = status[:, :, self._unstarted].max(axis=2) > 0
        longest = status.shape[1] // (mask.shape[1] - 1)
        # A piece that a known window would destroy is kept back until the window is over.
        spared = self._options.law == "windows" and self._options.on_breakdown == "scrap"
        doomed = (observation["actions/features"][:, :, self._conflict] > 0) & spared
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            plan = self._plans[copy]
            if self._options.mode == "construct":
                actions[copy] = plan.next_start(operations[copy], mask[copy], longest)
            else:
                allowed = mask[copy].astype(np.bool_) & ~doomed[copy]
                actions[copy] = plan.next_entry(operations[copy], allowed, longest, unstarted[copy])
        # Only where zero times leave the order of one instant open can the plan's next move be shut off, WAIT with it.
        illegal = np.take_along_axis(mask, actions[:, None], axis=1)[:, 0] == 0
        return np.where(illegal, mask.argmax(axis=1), actions)


class _Plan:
    """The order of a schedule's operations.

    Attributes:
        rank: int64 [n, L], the place of each operation in the order of (start, release, completion); padded: large.
        machines: int32 [n, L], -1 where padded.
    """

    def __init__(self, schedule: JobShopSchedule) -> None:
        instance = schedule.instance
        self.machines = instance.machines
        self.num_machines = instance.num_machines
        self.rank = np.full(instance.times.shape, np.iinfo(np.int64).max, dtype=np.int64)
        operations = [(j, k) for j, length in enumerate(instance.lengths.tolist()) for k in range(length)]
        operations.sort(key=lambda o: (schedule.start[o], schedule.release(*o), schedule.completion[o], o[1]))
        for place, operation in enumerate(operations):
            self.rank[operation] = place

    def next_start(self, operations: NDArray[np.int32], mask: NDArray[np.int8], longest: int) -> int:
        """The job whose next operation starts first.

        Args:
            operations: int32 [A], the operation node that each slot refers to.
            mask: int8 [A].
            longest: operation nodes per job.
        """
        return min(np.flatnonzero(mask).tolist(), key=lambda job: self.rank[job, operations[job] - job * longest])

    def next_entry(
        self, operations: NDArray[np.int32], allowed: NDArray[np.bool_], longest: int, unstarted: NDArray[np.bool_]
    ) -> int:
        """The job that enters its next machine as the next one of the plan there, else WAIT (the last slot).

        Args:
            operations: int32 [A], the operation node that each slot refers to.
            allowed: bool [A], the slots to choose from.
            longest: operation nodes per job.
            unstarted: bool [operation nodes], which operations have not started.
        """
        slots = len(allowed) - 1
        jobs, steps = len(self.rank), len(self.rank[0])
        waiting = unstarted.reshape(slots, longest)[:jobs, :steps]
        first = np.full(self.num_machines, np.iinfo(np.int64).max)
        np.minimum.at(first, self.machines[waiting], self.rank[waiting])
        chosen, least = slots, np.iinfo(np.int64).max
        for job in np.flatnonzero(allowed[:-1]).tolist():
            k = operations[job] - job * longest
            rank = self.rank[job, k]
            if rank == first[self.machines[job, k]] and rank < least:
                chosen, least = job, rank
        return chosen
