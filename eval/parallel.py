"""Plays plans by several workers: the rows are those of one process, whoever plays them and in whatever order."""

from __future__ import annotations

import json
import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..envs.core.errors import UserError
from .evaluate import Opened, Progress, Stage, keep, missing_agents, missing_batches, play_missing, rows_of
from .hindsight import NAME, Optima, WorldSolver, evaluate_with_hindsight
from .plan import Plan, Request, make_plan
from .sent_files import Files, collect_files, enter_copy
from .store import Store
from .workers import Crew, Processes, work_through

ALONE_SECONDS = 10.0
"""What one process has done by then needs no others, which take seconds to begin."""


_SENT = "files are sent there only if they are named by a path below the folder that the command runs in"


class Job(NamedTuple):
    """A plan and where its rows go."""

    plan: Plan
    store: Store


def play_jobs(
    jobs: Sequence[Job], workers: int | Crew, progress: Progress, alone: float = 0.0
) -> list[list[dict[str, Any]]]:
    """Play what the stores do not hold yet, and solve the worlds of plans with `hindsight`.

    Args:
        jobs: what to play, in this order, as far as there is work for all.
        workers: processes, of which 1 plays in this one; or a crew.
        progress: is told of every batch, and of every world that is solved.
        alone: seconds that this process plays before others begin.

    Returns:
        All rows of each job, as `evaluate_with_hindsight` returns them.

    Raises:
        UserError, ImpossibleResultError: see `evaluate_with_hindsight`; or workers died again and again.
    """
    if workers == 1:
        return [_play_here(job, progress) for job in jobs]
    until = time.monotonic() + alone
    for plan, store in jobs if alone else ():
        if plan.hindsight:
            WorldSolver(plan)  # what cannot be is said before anybody plays
        play_missing(plan, store, progress, lambda: time.monotonic() >= until)
    board = _Board(jobs, progress)
    crew = Processes(workers) if isinstance(workers, int) else workers
    requests = [plan.request for plan, _ in jobs]
    files = None if crew.sees_files else collect_files(text for request in requests for text in request.texts())
    work_through(board, crew, _Desk, requests, [plan.fingerprint for plan, _ in jobs], files)
    for _, store in jobs:
        store.flush()
    return [board.rows(number) for number in range(len(jobs))]


def _play_here(job: Job, progress: Progress) -> list[dict[str, Any]]:
    if job.plan.hindsight:
        return evaluate_with_hindsight(job.plan, job.store, progress)
    play_missing(job.plan, job.store, progress, lambda: False)
    return rows_of(job.plan, job.store)


# --- tasks ------------------------------------------------------------------------------------------------------------


class _Player(NamedTuple):
    """One agent in one variant of one job."""

    job: int
    variant: int
    agent: int


class _Open(NamedTuple):
    """Make an agent."""

    player: _Player


class _Play(NamedTuple):
    """Play a batch."""

    player: _Player
    first: int
    stop: int
    spent: float | None


class _CanSolve(NamedTuple):
    """See whether somebody solves worlds of a job."""

    job: int


class _Solve(NamedTuple):
    """Solve a world, from a schedule in it, which is JSON so that the task can be looked up."""

    job: int
    variant: int
    case: int
    start: str


_Task = _Open | _Play | _CanSolve | _Solve


class _Desk:
    """Where a worker plays: one variant at a time, with the agents made for it.

    Args:
        requests: of the jobs.
        fingerprints: of their plans.
        files: what the requests name, None where the worker sees the files themselves.
    """

    def __init__(self, requests: Sequence[Request], fingerprints: Sequence[str], files: Files | None) -> None:
        self._requests, self._fingerprints, self._is_elsewhere = requests, fingerprints, files is not None
        if files is not None:
            enter_copy(files)
        self._plan: tuple[int, Plan] | None = None
        self._stage: tuple[int, Stage] | None = None
        self._solver: tuple[int, WorldSolver] | None = None

    def do(self, task: _Task) -> Any:
        """The result of a task, as the board takes it."""
        match task:
            case _Open(player):
                return self._stage_of(player).open(player.agent)
            case _Play(player, first, stop, spent):
                stage = self._stage_of(player)
                stage.open(player.agent, spent)
                return stage.play(player.agent, range(first, stop))
            case _CanSolve(job):
                self._solver_of(job)
                return None
            case _Solve(job, variant, case, start):
                return self._solver_of(job).solve(variant, case, json.loads(start))
        raise TypeError(f"no such task: {task!r}")

    def _plan_of(self, job: int) -> Plan:
        if self._plan is None or self._plan[0] != job:
            self._leave()
            try:
                plan = make_plan(self._requests[job])
                if plan.fingerprint != self._fingerprints[job]:
                    raise UserError(f"files that {self._requests[job].command()!r} plays have changed meanwhile")
            except UserError as error:
                if not self._is_elsewhere:
                    raise
                raise UserError(f"{error}; on node {platform.node()}: {_SENT}") from None
            self._plan = job, plan
        return self._plan[1]

    def _stage_of(self, player: _Player) -> Stage:
        plan = self._plan_of(player.job)
        if self._stage is None or self._stage[0] != player.variant:
            self._leave()
            self._stage = player.variant, Stage(plan, player.variant)
        return self._stage[1]

    def _solver_of(self, job: int) -> WorldSolver:
        plan = self._plan_of(job)
        if self._solver is None or self._solver[0] != job:
            self._solver = job, WorldSolver(plan)
        return self._solver[1]

    def _leave(self) -> None:
        """Close what belongs to a variant: agents may hold much memory."""
        if self._stage is not None:
            self._stage[1].close()
        self._stage = None


# --- the board --------------------------------------------------------------------------------------------------------


class _Agenda:
    """What is to be played of one variant of one job: its agents are made before they play.

    A process goes on with the agent that it plays, else with one that it made and nobody plays, else with one that
    nobody plays, else where most is left: making agents and loading their code takes time.
    """

    def __init__(self, number: int, variant: int, job: Job) -> None:
        self._job = job
        agents = missing_agents(job.plan, variant, job.store)
        self._openings: list[_Task] = [_Open(_Player(number, variant, agent)) for agent in agents]
        if variant == 0 and job.plan.hindsight:
            self._openings.insert(0, _CanSolve(number))
        self._waiting: dict[_Player, list[_Play]] = {}
        self._made: dict[int, set[_Player]] = defaultdict(set)
        self._at: dict[int, _Player] = {}

    def take(self, worker: int) -> _Task | None:
        if self._openings:
            task = self._openings.pop(0)
            if isinstance(task, _Open):
                self._made[worker].add(task.player)
            return task
        if not self._waiting:
            return None
        player = self._at[worker] = self._choose(worker)
        tasks = self._waiting[player]
        task = tasks.pop(0)
        if not tasks:
            del self._waiting[player]
        return task

    def _choose(self, worker: int) -> _Player:
        mine = self._at.get(worker)
        if mine is not None and mine in self._waiting:
            return mine
        others = {player for other, player in self._at.items() if other != worker}
        free = [player for player in self._waiting if player not in others]
        made = [player for player in free if player in self._made[worker]]
        return next(iter(made or free), None) or max(self._waiting, key=lambda player: len(self._waiting[player]))

    def put_back(self, task: _Task) -> None:
        if isinstance(task, _Play):
            self._waiting.setdefault(task.player, []).insert(0, task)
        else:
            self._openings.insert(0, task)

    def opened(self, player: _Player, seen: Opened) -> None:
        """Cut what an agent has to play, now that it is known how much it plays at once."""
        plan, store = self._job
        cut = missing_batches(plan, player.variant, player.agent, seen.size, store)
        if cut:
            self._waiting[player] = [_Play(player, cases.start, cases.stop, seen.spent) for cases in cut]


class _Worlds:
    """The worlds of one job that are to be solved, once all agents have played them."""

    def __init__(self, number: int, job: Job) -> None:
        self._number, self._job = number, job
        self._optima: Optima | None = None
        self._waiting: list[_Solve] = []

    def take(self) -> _Solve | None:
        plan, store = self._job
        if len(store.rows) < len(plan.variants) * len(plan.agents) * len(plan.cases):
            return None
        if self._optima is None:
            store.flush()  # solvers begin from stored schedules
            self._waiting = [self._task(*world) for world in self.optima.missing()]
        return self._waiting.pop(0) if self._waiting else None

    def _task(self, variant: int, case: int) -> _Solve:
        return _Solve(self._number, variant, case, json.dumps(self.optima.start(variant, case)))

    @property
    def optima(self) -> Optima:
        if self._optima is None:
            self._optima = Optima(*self._job)
        return self._optima

    def put_back(self, task: _Solve) -> None:
        self._waiting.insert(0, task)


class _Board:
    """What is to be done of all jobs."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self._jobs, self._progress = jobs, progress
        self._agendas = [
            [_Agenda(number, variant, job) for variant in range(len(job.plan.variants))]
            for number, job in enumerate(jobs)
        ]
        self._worlds = [_Worlds(number, job) if job.plan.hindsight else None for number, job in enumerate(jobs)]

    def take(self, worker: int) -> _Task | None:
        for agendas, worlds in zip(self._agendas, self._worlds, strict=True):
            for agenda in agendas:
                if (task := agenda.take(worker)) is not None:
                    return self._begun(task)
            if worlds is not None and (task := worlds.take()) is not None:
                return self._begun(task)
        return None

    def _begun(self, task: _Task) -> _Task:
        if isinstance(task, _Play):
            self._progress(self._name(task.player), 0)
        elif isinstance(task, _Solve):
            self._progress(NAME, 0)
        return task

    def put_back(self, task: _Task) -> None:
        match task:
            case _Solve(job):
                self._of_worlds(job).put_back(task)
            case _CanSolve(job):
                self._agendas[job][0].put_back(task)
            case _Open(player) | _Play(player):
                self._agendas[player.job][player.variant].put_back(task)

    def done(self, task: _Task, result: Any) -> None:
        match task:
            case _Open(player):
                self._agendas[player.job][player.variant].opened(player, result)
            case _Play(player):
                self._progress(self._name(player), keep(self._jobs[player.job].store, result))
            case _Solve(job, variant, case):
                self._of_worlds(job).optima.add(variant, case, result)
                self._progress(NAME, 1)

    def rows(self, number: int) -> list[dict[str, Any]]:
        """All rows of a job that is done."""
        worlds = self._worlds[number]
        return rows_of(*self._jobs[number]) if worlds is None else worlds.optima.told()

    def _name(self, player: _Player) -> str:
        return self._jobs[player.job].plan.agents[player.agent]

    def _of_worlds(self, job: int) -> _Worlds:
        worlds = self._worlds[job]
        assert worlds is not None
        return worlds
