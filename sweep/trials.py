"""Trials: a setting, what its training came to at each budget, and their files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import atomic_write
from ..envs.core.instance import load_document, require_integer, require_keys, require_list
from .config import SweepConfig
from .space import Setting

FORMAT, VERSION = "makespan/sweep-trial", 1
BASELINE = 0
"""The number of the baseline; other trials begin at 1."""

_MOST = 2**62


class Run(NamedTuple):
    """One training run of a trial.

    Attributes:
        trial: number of the trial.
        seed: of training.
    """

    trial: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.trial:04d}-seed{self.seed}"


@dataclass(frozen=True)
class Reached:
    """Where one run stands at a budget.

    Attributes:
        rung: which budget, from 0.
        seed: of training.
        objective: mean objective of the best validation so far; the checkpoint ``best`` is of that.
        decisions: made in training.
        seconds: of training.
        best_rule: the rule that is best on the same worlds, None where the environment has none.
        best_rule_objective: its mean objective.
    """

    rung: int
    seed: int
    objective: float
    decisions: int
    seconds: float
    best_rule: str | None
    best_rule_objective: float | None


@dataclass(frozen=True)
class Trial:
    """One setting and what came of it.

    Attributes:
        number: from 1; 0 is the baseline.
        settings: option by option.
        reached: where its runs stood at the budgets.
        problem: why it failed; None where it did not.
        failed_at: on the way to which rung; None where it did not fail.
    """

    number: int
    settings: Mapping[str, Setting]
    reached: tuple[Reached, ...] = field(default=())
    problem: str | None = None
    failed_at: int | None = None

    def has_failed(self, rung: int) -> bool:
        """Whether it failed on the way to a rung."""
        return self.failed_at is not None and self.failed_at <= rung

    def missing(self, rung: int, seeds: tuple[int, ...]) -> list[int]:
        """Seeds of the runs that have not come to a budget; none where the trial failed."""
        if self.has_failed(rung):
            return []
        there = {one.seed for one in self.reached if one.rung == rung}
        return [seed for seed in seeds if seed not in there]

    def objective(self, rung: int, seeds: tuple[int, ...]) -> float | None:
        """Mean over the seeds at a budget; None where a run is not there, or the trial failed before."""
        if self.has_failed(rung) or self.missing(rung, seeds):
            return None
        found = {one.seed: one.objective for one in self.reached if one.rung == rung}
        return math.fsum(found[seed] for seed in seeds) / len(seeds)

    def rank(self, config: SweepConfig) -> int | None:
        """The highest rung that it came to with all its runs; None where it came to none."""
        rungs = range(len(config.budget.rungs))
        return max((rung for rung in rungs if self.objective(rung, config.seeds) is not None), default=None)

    def with_failure(self, problem: str, rung: int) -> Trial:
        """The trial with a failure; the first one counts."""
        return self if self.problem is not None else replace(self, problem=problem, failed_at=rung)

    def with_result(self, result: Reached) -> Trial:
        """The trial with what a run came to."""
        kept = [one for one in self.reached if (one.rung, one.seed) != (result.rung, result.seed)]
        return replace(self, reached=(*kept, result))


def write_trial(folder: Path, trial: Trial) -> None:
    """Write a trial's file.

    Raises:
        UserError: it cannot be written; the old one is untouched.
    """
    data = {"format": FORMAT, "version": VERSION, **asdict(trial)}
    atomic_write(folder / f"{trial.number:04d}.json", json.dumps(data, indent=1, allow_nan=False) + "\n")


def read_trials(folder: Path, config: SweepConfig) -> dict[int, Trial]:
    """The trials that a folder holds, by number.

    Raises:
        UserError: a file is damaged, or of another sweep.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        trial = _read(path, config)
        if path.name != f"{trial.number:04d}.json":
            raise FieldError("number", trial.number, f"that of the file's name {path.name!r}", str(path))
        found[trial.number] = trial
    return found


def _read(path: Path, config: SweepConfig) -> Trial:
    source = str(path)
    keys = ("format", "version", "number", "settings", "reached", "problem", "failed_at")
    data = require_keys("the trial", load_document(path, FORMAT, (VERSION,)), keys, (), source)
    number = require_integer("number", data["number"], 0, config.trials, source)
    settings, problem = data["settings"], data["problem"]
    if not isinstance(settings, dict) or (number != BASELINE and [*settings] != [*config.space.dimensions]):
        raise FieldError("settings", settings, f"values of {', '.join(config.space.dimensions)}", source)
    if (wrong := config.problem_of(settings)) is not None:
        raise UserError(f"{source}: settings: {wrong}")
    if not isinstance(problem, str | None):
        raise FieldError("problem", problem, "a text or null", source)
    failed_at = data["failed_at"]
    if problem is not None or failed_at is not None:
        failed_at = require_integer("failed_at", failed_at, 0, len(config.budget.rungs) - 1, source)
    reached = [
        _reached(f"reached[{i}]", one, config, source)
        for i, one in enumerate(require_list("reached", data["reached"], source))
    ]
    return Trial(number, settings, tuple(reached), problem, failed_at)


def _reached(name: str, data: Any, config: SweepConfig, source: str) -> Reached:
    given = require_keys(name, data, tuple(Reached.__dataclass_fields__), (), source)
    require_integer(f"{name}.rung", given["rung"], 0, len(config.budget.rungs) - 1, source)
    require_integer(f"{name}.decisions", given["decisions"], 0, _MOST, source)
    if given["seed"] not in config.seeds:
        raise FieldError(f"{name}.seed", given["seed"], f"one of {', '.join(map(str, config.seeds))}", source)
    if not isinstance(given["best_rule"], str | None):
        raise FieldError(f"{name}.best_rule", given["best_rule"], "a text or null", source)
    for key in ("objective", "seconds", "best_rule_objective"):
        value = given[key]
        if value is None and key == "best_rule_objective":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FieldError(f"{name}.{key}", value, "a finite number", source)
    return Reached(**given)
