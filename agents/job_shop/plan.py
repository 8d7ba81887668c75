"""How a schedule is followed through the engine: its order of moves is kept, its dates are not."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from ...envs.job_shop.move_order import Mover, order_moves
from ...envs.job_shop.options import JobShopOptions
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Observation, Setting


class PlanFollower:
    """Follows one schedule per copy, whatever breakdowns come.

    In event mode the next job of the plan enters each machine as soon as it may, and everybody waits otherwise (right
    shift): delays only lengthen the operations of a plan in which no job waits for itself, so that it can always go on.
    Swaps happen by themselves as in the plan. In construct mode the operations are appended in the order of their
    planned starts.

    A job that has lost its piece goes behind all others: it enters each machine after whatever the plan still has to do
    there, which the others can do without it, and then goes its way alone.

    Args:
        setting: of the job shop.
        options: of the shop.
    """

    def __init__(self, setting: Setting, options: JobShopOptions) -> None:
        self._setting, self._options = setting, options
        self._plans: dict[int, _Plan] = {}
        statuses = [feature.name for feature in setting.spec.nodes[0].features]
        self._unstarted_columns = [statuses.index("unreleased"), statuses.index("waiting")]
        figures = [feature.name for feature in setting.spec.globals]
        self._busy_columns = [figures.index("processing_jobs"), figures.index("down_machines")]
        self._conflict = setting.spec.action_column("known_window_conflict")

    def follow(self, copy: int, schedule: JobShopSchedule) -> None:
        """From now on a copy follows the schedule, which must fit what has begun in it."""
        self._plans[copy] = _Plan(schedule)

    def fork(self, copy: int) -> PlanFollower:
        """A follower of its own, whose copy 0 goes on with what a copy follows here."""
        other = PlanFollower(self._setting, self._options)
        other._plans[0] = deepcopy(self._plans[copy])
        return other

    def notice_losses(self, observation: Observation, mask: NDArray[np.int8]) -> list[int]:
        """Put jobs that have lost their piece behind all others.

        Returns:
            The copies where there were some.
        """
        unstarted = self._unstarted(observation, mask)
        playing = np.flatnonzero(mask.any(axis=1)).tolist()
        return [copy for copy in playing if self._plans[copy].notice_losses(unstarted[copy])]

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        """The plans' next moves: int64 [n]; see `Agent.act`."""
        actions = np.zeros(len(mask), dtype=np.int64)
        operations = observation["actions/nodes"][:, :, 1]
        unstarted = self._unstarted(observation, mask)
        idle = observation["globals"][:, self._busy_columns].max(axis=1) == 0
        # A piece that a known window would destroy is kept back until the window is over.
        spared = self._options.known_windows and self._options.on_breakdown == "scrap"
        doomed = (observation["actions/features"][:, :, self._conflict] > 0) & spared
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            plan, legal = self._plans[copy], mask[copy].astype(np.bool_)
            longest = unstarted.shape[2]
            if self._options.mode == "construct":
                actions[copy] = plan.next_start(operations[copy], legal, longest)
                continue
            plan.notice_losses(unstarted[copy])
            action = plan.next_entry(operations[copy], legal & ~doomed[copy], unstarted[copy])
            wait = len(legal) - 1
            # Only a swap that zero times make possible too early can shut off the plan's next move.
            if action == wait and legal[:wait].any() and (not legal[wait] or idle[copy]):
                action = plan.next_entry(operations[copy], legal, unstarted[copy])
                if action == wait:
                    action = plan.next_start(operations[copy], legal, longest)
                elif legal[wait]:
                    action = wait
            plan.enters(action)
            actions[copy] = action
        return actions

    def _unstarted(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.bool_]:
        """bool [n, jobs, operations per job], with room for the largest: which operations have not started."""
        status = observation["nodes/operation"][:, :, self._unstarted_columns]
        return status.max(axis=2).reshape(len(mask), mask.shape[1] - 1, -1) > 0


def move_order(schedule: JobShopSchedule) -> list[tuple[int, int]]:
    """All operations in an order in which they can be begun, whatever delays come in between.

    By start; operations of length zero before longer ones on their machine. Where they let one job make several moves
    at one instant, a blocking shop may allow only some orders of that instant's moves: one of these.
    """
    instance = schedule.instance
    operations = [(j, k) for j, length in enumerate(instance.lengths.tolist()) for k in range(length)]
    zeros = any(instance.times[operation] == 0 for operation in operations)
    steps = _steps(schedule, operations) if zeros and schedule.blocking != "none" else {}

    def place(operation: tuple[int, int]) -> tuple[int, ...]:
        start, step = int(schedule.start[operation]), steps.get(operation, 0)
        return start, step, schedule.release(*operation), int(schedule.completion[operation]), operation[1]

    return sorted(operations, key=place)


def _steps(schedule: JobShopSchedule, operations: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """For each operation that begins as its job enters a machine the number of the step, within its instant."""
    machines, start = schedule.instance.machines, schedule.start
    entries: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for j, k in operations:
        if k == 0 or machines[j, k] != machines[j, k - 1]:
            entries[int(start[j, k])][j].append(k)
    steps = {}
    for time, by_job in entries.items():
        movers = []
        for j, entered in by_job.items():
            source = int(machines[j, entered[0] - 1]) if entered[0] else -1
            leaves = int(schedule.completion[j, schedule.instance.lengths[j] - 1]) == time
            movers.append(Mover(j, source, [int(machines[j, k]) for k in entered], leaves))
        made = [0] * len(movers)
        for number, step in enumerate(order_moves(movers, schedule.blocking == "swap")[0], 1):
            for i in step:
                job = movers[i].job
                steps[job, by_job[job][made[i]]] = number
                made[i] += 1
    return steps


class _Plan:
    """The order of a schedule's operations.

    Attributes:
        rank: int64 [n, L], the place of each operation in the order of moves; padded: large.
        machines: int32 [n, L], -1 where padded.
        inside: bool [n], which jobs have begun, and not lost their piece since.
    """

    def __init__(self, schedule: JobShopSchedule) -> None:
        instance = schedule.instance
        self.machines = instance.machines
        self.num_machines = instance.num_machines
        self.rank = np.full(instance.times.shape, np.iinfo(np.int64).max, dtype=np.int64)
        operations = move_order(schedule)
        for place, operation in enumerate(operations):
            self.rank[operation] = place
        self.inside = np.zeros(len(self.rank), dtype=np.bool_)
        self._lengths = instance.lengths
        self._next_place = len(operations)

    def notice_losses(self, unstarted: NDArray[np.bool_]) -> bool:
        """Put jobs that are outside again behind all others; whether there were some."""
        outside = unstarted[: len(self.rank), 0]
        lost = np.flatnonzero(self.inside & outside).tolist()
        self.inside = ~outside
        for job in lost:
            length = int(self._lengths[job])
            self.rank[job, :length] = np.arange(self._next_place, self._next_place + length)
            self._next_place += length
        return bool(lost)

    def enters(self, action: int) -> None:
        """Take notice of a move that is about to be made: the piece may be lost before the next decision."""
        if action < len(self.inside):
            self.inside[action] = True

    def next_start(self, operations: NDArray[np.int32], legal: NDArray[np.bool_], longest: int) -> int:
        """The job, among those that may move, whose next operation starts first.

        Args:
            operations: int32 [A], the operation node that each slot refers to.
            legal: bool [A].
            longest: operation nodes per job.
        """
        return min(np.flatnonzero(legal[:-1]).tolist(), key=lambda job: self.rank[job, operations[job] - job * longest])

    def next_entry(
        self, operations: NDArray[np.int32], allowed: NDArray[np.bool_], unstarted: NDArray[np.bool_]
    ) -> int:
        """The job that enters its next machine as the next one of the plan there, else WAIT (the last slot).

        Args:
            operations: int32 [A], the operation node that each slot refers to.
            allowed: bool [A], the slots to choose from.
            unstarted: bool [jobs, operations per job], which operations have not started.
        """
        jobs, steps = len(self.rank), len(self.rank[0])
        waiting = unstarted[:jobs, :steps]
        first = np.full(self.num_machines, np.iinfo(np.int64).max)
        np.minimum.at(first, self.machines[waiting], self.rank[waiting])
        chosen, least = len(allowed) - 1, np.iinfo(np.int64).max
        longest = unstarted.shape[1]
        for job in np.flatnonzero(allowed[:-1]).tolist():
            k = operations[job] - job * longest
            rank = self.rank[job, k]
            if rank == first[self.machines[job, k]] and rank < least:
                chosen, least = job, rank
        return chosen
