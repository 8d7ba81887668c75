"""Trains the trials of a sweep in several processes, rung by rung."""

from __future__ import annotations

import itertools
import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..envs.core.errors import UserError
from ..envs.core.extras import optional
from ..envs.core.lock import FolderHeldError, FolderLock
from ..eval.sent_files import Files, collect_files, enter_copy
from ..eval.workers import Crew, Processes, work_through
from .config import SweepConfig
from .folder import RUN, SweepFolder
from .halving import promoted
from .proposals import Seen, propose
from .trials import BASELINE, Reached, Run, Trial

Progress = Callable[[str, int], None]
"""``progress(what, tasks)``: so many more tasks are done; 0 where one begins."""

_PATIENCE, _MOMENT = 60.0, 0.2


class Train(NamedTuple):
    """Bring a training run to a budget. Settings are JSON, so that the task can be looked up."""

    run: Run
    rung: int
    settings: str
    folder: Path

    def __str__(self) -> str:
        return f"training {self.run.name}"


class Failure(NamedTuple):
    """A run that cannot be trained, or diverged."""

    problem: str


class Desk:
    """Where a process trains.

    Args:
        config: the sweep.
        files: that it names, where the process does not see those of the command; None where it does.
    """

    def __init__(self, config: SweepConfig, files: Files | None = None) -> None:
        self._config = config
        if files is not None:
            enter_copy(files)

    def do(self, task: Train) -> Reached | Failure:
        """Train until the budget of the task's rung is spent; a run that is there already is only looked at.

        Raises:
            UserError: the run's folder cannot be written, or holds something else, or is another one on this node.
        """
        sweep = task.folder.parent.parent
        if not (sweep / RUN).is_file():
            raise UserError(f"node {platform.node()!r} does not see the folder {str(sweep)!r}; put it where all do")
        from ..training.folder import check_folder

        with optional("training", "train"):
            from ..training.base import DivergedError
            from ..training.progress import Progress as Silence
            from ..training.run import make_run

        config = self._config.training_of(json.loads(task.settings), task.run.seed, str(task.folder))
        with _hold(task.folder), Silence(config, quiet=True) as silence:
            check_folder(task.folder, config, overwrite=False)
            try:
                run = make_run(config, False, silence)
            except UserError as error:
                return Failure(str(error))
            run.pause = self._config.budget.pause(task.rung)
            try:
                run.train()
            except DivergedError as error:
                return Failure(str(error))
        validation, counters = run.validation, run.counters
        assert counters.best is not None
        rule = (None, None) if validation.rule is None else (validation.rule, validation.rule_score)
        return Reached(task.rung, task.run.seed, counters.best, run.decisions, round(counters.seconds, 1), *rule)


def _hold(folder: Path) -> FolderLock:
    """Keep others out of a run's folder. A process of a sweep that was killed may take a moment to go.

    Raises:
        UserError: another process keeps it, or it cannot be written to.
    """
    from ..training.folder import hold_folder

    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return hold_folder(folder)
        except FolderHeldError:
            if time.monotonic() > until:
                raise
            time.sleep(_MOMENT)


class Board:
    """What is to be trained: a rung after the other, the baseline beside the trials.

    Args:
        config: the sweep.
        folder: takes what comes of it.
        progress: is told of every run.
    """

    def __init__(self, config: SweepConfig, folder: SweepFolder, progress: Progress) -> None:
        self._config, self._folder, self._progress = config, folder, progress
        self._rung = 0
        self._entrants: list[int] = sorted(number for number in folder.trials if number != BASELINE)
        self._proposed_all = False
        self._running: set[Run] = set()
        if config.baseline is not None and BASELINE not in folder.trials:
            folder.keep(Trial(BASELINE, dict(config.baseline)))

    def take(self, worker: int) -> Train | None:
        """The next run; None while those that are running decide what comes next, and at the end."""
        while True:
            for number in self._here():
                if (task := self._missing(self._folder.trials[number])) is not None:
                    return task
            if self._rung == 0 and self._propose():
                continue
            if self._running or self._rung == len(self._config.budget.rungs) - 1:
                return None
            self._entrants = self.promote()
            self._rung += 1

    def promote(self) -> list[int]:
        """Who goes on from the rung that is done; none where all have failed on the way.

        Raises:
            UserError: none came to any rung.
        """
        config, trials = self._config, self._folder.trials
        there = {number: trials[number].objective(self._rung, config.seeds) for number in self._entrants}
        values = {number: value for number, value in there.items() if value is not None}
        if not values and self._rung == 0:
            raise UserError(f"every trial failed; the first: {_first_problem(trials)}")
        return promoted(values, len(self._entrants), config.budget.eta, config.sense)

    def put_back(self, task: Train) -> None:
        """Take back a run whose process died: it is missing as before."""
        self._running.discard(task.run)

    def done(self, task: Train, result: Reached | Failure) -> None:
        """Take what came of a run."""
        self._running.discard(task.run)
        trial = self._folder.trials[task.run.trial]
        if isinstance(result, Failure):
            self._folder.keep(trial.with_failure(result.problem, task.rung))
        else:
            self._folder.keep(trial.with_result(result))
        self._progress(self._told(task), 1)

    def _here(self) -> list[int]:
        """Trials of the rung, the baseline first."""
        return [BASELINE, *self._entrants] if self._config.baseline is not None else self._entrants

    def _missing(self, trial: Trial) -> Train | None:
        """A run of a trial that has not come to the rung and is not on its way."""
        for seed in trial.missing(self._rung, self._config.seeds):
            run = Run(trial.number, seed)
            if run not in self._running:
                self._running.add(run)
                place = self._folder.run(run).absolute()
                task = Train(run, self._rung, json.dumps(dict(trial.settings)), place)
                self._progress(self._told(task), 0)
                return task
        return None

    def _propose(self) -> bool:
        """Begin one more trial; whether there is one."""
        number = next(number for number in itertools.count(1) if number not in self._entrants)
        if self._proposed_all or number > self._config.trials:
            return False
        trials = self._folder.trials
        seen = [
            Seen(trials[one].settings, trials[one].objective(0, self._config.seeds)) for one in sorted(self._entrants)
        ]
        settings = propose(self._config, number, seen)
        if settings is None:
            self._proposed_all = True
            return False
        self._folder.keep(Trial(number, settings))
        self._entrants.append(number)
        return True

    def _told(self, task: Train) -> str:
        number = "baseline" if task.run.trial == BASELINE else f"trial {task.run.trial}"
        return f"{number}, {self._config.budget.text(task.rung)}"


def train_all(config: SweepConfig, folder: SweepFolder, workers: int | Crew, progress: Progress) -> None:
    """Train what the folder does not hold yet.

    Args:
        config: the sweep.
        folder: of the sweep; workers elsewhere must see it by the same path.
        workers: who trains; a number stands for so many processes of this machine.
        progress: is told of every run.

    Raises:
        UserError: every trial failed, something cannot be written, or processes died again and again.
    """
    crew = Processes(workers) if isinstance(workers, int) else workers
    files = None if crew.sees_files else collect_files(config.texts())
    work_through(Board(config, folder, progress), crew, Desk, config, files)


def number_of_tasks(config: SweepConfig, trials: Mapping[int, Trial]) -> tuple[int, int]:
    """Tasks of a sweep where none fails, and how many of them are done."""
    beside = config.baseline is not None
    total = sum(size + beside for size in config.sizes) * len(config.seeds)
    return total, sum(len(trial.reached) for trial in trials.values())


def _first_problem(trials: Mapping[int, Trial]) -> str:
    return next(trial.problem for _, trial in sorted(trials.items()) if trial.problem is not None)
