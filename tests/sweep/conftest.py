"""Sweeps that are worked through by hand: what training comes to is a function of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from makespan.sweep.config import SweepConfig, parse_sweep
from makespan.sweep.folder import SweepFolder
from makespan.sweep.trials import BASELINE, Reached
from makespan.sweep.work import Board, Failure, Train

Objective = Callable[[int, dict[str, Any], int, int], float | str]
"""Of a trial's number, its settings, a seed and a rung; a text is why it fails."""


def document(**changes: Any) -> dict[str, Any]:
    """A sweep on the job shop, of which nothing is trained; `...` takes a field away."""
    usual = {
        "env": "makespan/JobShop-v0",
        "agent": "scorer",
        "sampler": "random",
        "trials": 9,
        "budget": {"unit": "steps", "first": 100, "last": 900, "eta": 3},
        "space": {"evolve_rate": {"low": 0.01, "high": 0.5, "log": True}, "evolve_directions": [2, 4, 8]},
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not ...}


class Hand:
    """A sweep in a folder, worked through by hand."""

    def __init__(self, config: SweepConfig, folder: SweepFolder, objective: Objective) -> None:
        self.config, self.folder = config, folder
        self._objective = objective
        self.told: list[tuple[str, int]] = []
        self.board = Board(config, folder, lambda what, tasks: self.told.append((what, tasks)))
        self.done: list[tuple[int, int, int]] = []

    def take(self, worker: int = 0) -> Train | None:
        return self.board.take(worker)

    def finish(self, task: Train) -> None:
        number, rung, seed = task.run.trial, task.rung, task.run.seed
        self.done.append((number, rung, seed))
        value = self._objective(number, json.loads(task.settings), seed, rung)
        if isinstance(value, str):
            self.board.done(task, Failure(value))
        else:
            self.board.done(task, Reached(rung, seed, value, 100, 1.0, "spt", 50.0))

    def work(self, tasks: int = 10**6) -> None:
        """One process, until there is nothing left, or so many tasks are done."""
        while tasks and (task := self.take()) is not None:
            self.finish(task)
            tasks -= 1

    def settings(self) -> dict[int, dict[str, Any]]:
        return {number: dict(trial.settings) for number, trial in sorted(self.folder.trials.items())}

    def came_to(self, rung: int) -> list[int]:
        found = [n for n, t in self.folder.trials.items() if t.objective(rung, self.config.seeds) is not None]
        return sorted(number for number in found if number != BASELINE)


@pytest.fixture
def by_hand(tmp_path: Path) -> Callable[..., Any]:
    """Opens a sweep in a folder of that name."""

    @contextmanager
    def open_hand(objective: Objective, name: str = "sweep", **changes: Any) -> Iterator[Hand]:
        config = parse_sweep(document(**changes), "x")
        folder = SweepFolder(str(tmp_path / name), config, "makespan sweep", overwrite=False)
        try:
            yield Hand(config, folder, objective)
        finally:
            folder.close()

    return open_hand
