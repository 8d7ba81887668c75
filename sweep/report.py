"""What a sweep has found: the trials in their order, what is to be said of them, and the files."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.core.errors import MissingExtraError
from ..envs.core.files import atomic_write
from ..envs.core.objective import shown
from ..eval.pictures import save
from ..eval.publish import train_command
from ..eval.report import markdown_table
from ..eval.statistics import relative
from ..eval.table import counted, decimals, objective_note, show_estimate
from ..training.config import TrainConfig, with_preset
from .config import SweepConfig
from .folder import RUNS
from .halving import survivors
from .rescore import Fresh, Rescored
from .space import Setting
from .trials import BASELINE, Run, Trial

_DIGITS = 5
_PERCENT = "{:+.2f} %"


def ranking(config: SweepConfig, trials: Mapping[int, Trial]) -> list[Trial]:
    """Trials, the best first: who came to a higher budget, then the objective there; those that failed are last."""
    sign = 1.0 if config.sense == "min" else -1.0

    def key(trial: Trial) -> tuple[bool, int, float, int]:
        rank = trial.rank(config)
        if rank is None:
            return True, 0, 0.0, trial.number
        objective = trial.objective(rank, config.seeds)
        assert objective is not None
        return trial.problem is not None, -rank, sign * objective, trial.number

    return sorted(trials.values(), key=key)


def sound(config: SweepConfig, trials: Mapping[int, Trial]) -> list[Trial]:
    """Trials that came to a budget and did not fail, the best first."""
    return [one for one in ranking(config, trials) if one.problem is None and one.rank(config) is not None]


@dataclass(frozen=True)
class SweepReport:
    """A sweep that is done.

    Attributes:
        config: the sweep.
        out: its folder, as the user gave it.
        trials: the best first.
        rescored: what came of fresh worlds, None where nothing was played.
    """

    config: SweepConfig
    out: str
    trials: tuple[Trial, ...]
    rescored: Rescored | None

    @property
    def best(self) -> Trial:
        """The best by validation, the baseline not among them."""
        return next(trial for trial in self.trials if trial.number != BASELINE)

    @property
    def baseline(self) -> Trial | None:
        """The baseline, where there is one that did not fail."""
        found = (trial for trial in self.trials if trial.number == BASELINE and trial.problem is None)
        return next(found, None)

    def stopped(self, trial: Trial) -> str:
        """Why a trial's training ended."""
        config, rank = self.config, trial.rank(self.config)
        if trial.problem is not None:
            return f"failed: {trial.problem}"
        if rank is None:
            return "not trained"
        if rank == len(config.budget.rungs) - 1:
            return "whole budget"
        size = sum((other.rank(config) or 0) >= rank for other in self.trials if other.number != BASELINE)
        return f"not among the best {survivors(size, config.budget.eta)} of {size}"

    def objective(self, trial: Trial) -> float | None:
        """Validation objective at the highest budget that a trial came to."""
        rank = trial.rank(self.config)
        return None if rank is None else trial.objective(rank, self.config.seeds)

    def against_baseline(self, trial: Trial) -> float | None:
        """How far a trial's validation lies from the baseline's at the same budget, as a fraction of it."""
        rank, baseline = trial.rank(self.config), self.baseline
        if rank is None or baseline is None or trial.number == BASELINE:
            return None
        ours, theirs = (one.objective(rank, self.config.seeds) for one in (trial, baseline))
        if ours is None or theirs is None:
            return None
        share = float(relative([ours], [theirs])[0])
        return share if math.isfinite(share) else None

    @property
    def best_run(self) -> Run:
        """The run of the best trial whose validation is best: its checkpoint is what one would take."""
        trial, rank = self.best, self.best.rank(self.config)
        sign = 1.0 if self.config.sense == "min" else -1.0
        there = [one for one in trial.reached if one.rung == rank]
        return Run(trial.number, min(there, key=lambda one: (sign * one.objective, one.seed)).seed)

    @property
    def checkpoint(self) -> str:
        """The best run's best checkpoint."""
        return f"{self.out.rstrip('/')}/{RUNS}/{self.best_run.name}/best"

    @property
    def train_command(self) -> str:
        """The command that trains the best run anew."""
        run = self.best_run
        out = f"runs/{run.name}"
        config = self.config.training_of(self.best.settings, run.seed, out)
        usual = with_preset("quick", TrainConfig(config.env, config.agent, out), {})
        return train_command(config.to_dict(), out, usual.to_dict())

    @property
    def evaluate_command(self) -> str:
        """A command that compares its checkpoint on worlds of the user's."""
        config = self.config
        played = (config.training.get("held_out"), config.training.get("instances"))
        instances = next((str(one) for one in played if one is not None), None)
        words = ["makespan", "evaluate", config.env, "--agents", self.checkpoint]
        return shlex.join([*words, *(["--instances", instances] if instances else []), "--seeds", "0-99"])

    def notes(self) -> list[str]:
        """Sentences without which the table could be misread."""
        config = self.config
        tried = sum(trial.number != BASELINE for trial in self.trials)
        notes = [
            objective_note(config.objective),
            "Validation: mean objective of a run's best validation so far, on held-out worlds that are the same for "
            f"all trials{_over(len(config.seeds))}.",
            *self._rule_notes(),
            self._halving_note(tried),
            f"The best validation is that of {counted(tried, 'trial')} and of all their validations: a maximum over "
            "them, and so better than what is to be expected.",
        ]
        if config.sampler != "grid" and tried < config.trials:
            notes.append(f"No more settings were found than {tried} that differ and can be trained.")
        notes += [f"Trial {trial.number} {self.stopped(trial)}." for trial in self.trials if trial.problem is not None]
        if self.rescored is None:
            notes.append("Nothing was played on fresh worlds: set rescore_worlds to learn what the best is worth.")
        else:
            notes += _fresh_notes(self.rescored, self.best.number, config)
        return notes

    def _rule_notes(self) -> list[str]:
        """The best rule on the worlds of validation."""
        for trial in self.trials:
            for one in trial.reached:
                if one.best_rule is not None and one.best_rule_objective is not None:
                    told = _number(one.best_rule_objective, config=self.config)
                    return [f"The best rule on the worlds of validation is {one.best_rule}: {told}."]
        return []

    def _halving_note(self, tried: int) -> str:
        config = self.config
        ranks = [trial.rank(config) for trial in self.trials if trial.number != BASELINE]
        rungs = [
            f"{sum(rank is not None and rank >= rung for rank in ranks)} to {config.budget.text(rung)}"
            for rung in range(len(config.budget.rungs))
        ]
        if len(rungs) == 1:
            return f"All {tried} trials were trained for {config.budget.text(0)}."
        return f"Successive halving (Jamieson & Talwalkar 2016), eta {config.budget.eta:g}: {', '.join(rungs)} came."

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "config": self.config.to_data(),
            "objective": dict(self.config.objective),
            "trials": [self._trial(trial) for trial in self.trials],
            "best": {
                "trial": self.best.number,
                "checkpoint": self.checkpoint,
                "train": self.train_command,
                "evaluate": self.evaluate_command,
            },
            "fresh_worlds": None if self.rescored is None else self.rescored.to_dict(),
            "notes": self.notes(),
        }

    def _trial(self, trial: Trial) -> dict[str, Any]:
        config, rank = self.config, trial.rank(self.config)
        rungs = config.budget.rungs
        return {
            "trial": trial.number,
            "settings": dict(trial.settings),
            "budget": None if rank is None else rungs[rank],
            "validation": self.objective(trial),
            "against_baseline": self.against_baseline(trial),
            "at_budgets": [trial.objective(rung, config.seeds) for rung in range(len(rungs))],
            "stopped": self.stopped(trial),
            "runs": [f"{RUNS}/{Run(trial.number, seed).name}" for seed in config.seeds],
        }


# --- text -------------------------------------------------------------------------------------------------------------


def headings(report: SweepReport) -> list[str]:
    """Titles of the columns of `cells`."""
    unit = shown(report.config.objective)
    baseline = [] if report.baseline is None else ["against baseline"]
    return ["trial", *_options(report), "budget", unit.title("validation"), *baseline, "stopped"]


def cells(report: SweepReport) -> list[list[str]]:
    """The trials as text, a list each."""
    config, options = report.config, _options(report)
    lines = []
    for trial in report.trials:
        rank, share = trial.rank(config), report.against_baseline(trial)
        training = config.training_of(trial.settings, config.seeds[0], report.out)
        baseline = [] if report.baseline is None else ["-" if share is None else _PERCENT.format(100 * share)]
        lines.append(
            [
                "baseline" if trial.number == BASELINE else str(trial.number),
                *(_told(getattr(training, name)) for name in options),
                "-" if rank is None else config.budget.text(rank),
                _number(report.objective(trial), config),
                *baseline,
                "failed" if trial.problem is not None else report.stopped(trial),
            ]
        )
    return lines


def fresh_headings(report: SweepReport) -> list[str]:
    """Titles of the columns of `fresh_cells`."""
    assert report.rescored is not None
    unit = shown(report.config.objective)
    reference = _name(report.rescored.reference)
    return ["trial", "budget", unit.title("objective"), f"against {reference}", "win rate"]


def fresh_cells(report: SweepReport) -> list[list[str]]:
    """What came of fresh worlds as text, a list each."""
    assert report.rescored is not None
    config, factor = report.config, shown(report.config.objective).factor
    ranks = {trial.number: trial.rank(config) for trial in report.trials}
    lines = []
    for line in report.rescored.lines:
        rank = None if line.trial is None else ranks[line.trial]
        objective = line.objective.times(factor)
        compared = line.trial != report.rescored.reference
        lines.append(
            [
                _name(line.trial),
                "-" if rank is None else config.budget.text(rank),
                show_estimate(objective, decimals(objective.mean, _DIGITS), " "),
                show_estimate(line.relative, _PERCENT, " ", 100) if compared else "-",
                show_estimate(line.win_rate, "{:.0f} %", " ", 100) if compared else "-",
            ]
        )
    return lines


def _options(report: SweepReport) -> list[str]:
    """Names of the options that trials differ in."""
    baseline = report.config.baseline or {}
    return [*report.config.space.dimensions, *(name for name in baseline if name not in report.config.space.dimensions)]


def _fresh_notes(rescored: Rescored, best: int, config: SweepConfig) -> list[str]:
    notes = [f"Fresh worlds: {rescored.worlds}, {_FRESH}. {rescored.note}"]
    line = rescored.of(best)
    if line is not None and rescored.reference != best:
        notes.append(f"Trial {best} against {_name(rescored.reference)} on them: {_verdict(line, config)}.")
    return notes


_FRESH = "the same for all, seeds that no training and no validation uses; intervals are of 95 % and paired"


def _verdict(line: Fresh, config: SweepConfig) -> str:
    """What a paired comparison comes to. The difference decides: where references are 0 or below there is no share."""
    unit, difference = shown(config.objective), line.difference.times(shown(config.objective).factor)
    told = f"{show_estimate(difference, decimals(difference.mean, _DIGITS), ' ')} {unit.unit}"
    if line.relative.mean is not None:
        told = f"{told}, {show_estimate(line.relative, _PERCENT, ' ', 100)}"
    low, high = line.difference.low, line.difference.high
    if low is None or high is None:
        return f"{told}; without an interval"
    if low <= 0.0 <= high:
        return f"{told}; no difference can be told"
    return f"{told}; {'better' if (high < 0.0) == (config.sense == 'min') else 'WORSE'}"


def _name(trial: int | None) -> str:
    return "best-rule" if trial is None else "baseline" if trial == BASELINE else str(trial)


def _over(seeds: int) -> str:
    return "" if seeds == 1 else f", mean over {seeds} seeds of training"


def _number(value: float | None, config: SweepConfig) -> str:
    if value is None:
        return "-"
    told = value * shown(config.objective).factor
    return decimals(told, _DIGITS).format(told)


def _told(value: Setting) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


# --- files ------------------------------------------------------------------------------------------------------------


def write_report(folder: Path, report: SweepReport) -> list[str]:
    """Write ``sweep.json``, ``trials.csv``, ``summary.md`` and ``sweep.png``.

    Returns:
        Sentences about what could not be written.

    Raises:
        UserError: a file cannot be written.
    """
    remarks = []
    try:
        _draw(folder / "sweep.png", report)
    except MissingExtraError as error:
        remarks.append(f"No picture: {error}.")
    data = report.to_dict()
    atomic_write(folder / "sweep.json", json.dumps(data, indent=1, allow_nan=False) + "\n")
    rows = [_row(report, trial, line) for trial, line in zip(report.trials, data["trials"], strict=True)]
    atomic_write(folder / "trials.csv", _csv(rows))
    atomic_write(folder / "summary.md", _summary(report, remarks))
    return remarks


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A column for each key of any row; None is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _draw(path: Path, report: SweepReport) -> None:
    from .picture import draw_sweep

    drawn = [trial for trial in report.trials if trial.rank(report.config) is not None]
    save(draw_sweep(report.config, drawn, report.best.number), path)


def _row(report: SweepReport, trial: Trial, data: Mapping[str, Any]) -> dict[str, Any]:
    """A trial as one flat row."""
    plain = {key: data[key] for key in ("trial", "budget", "validation", "against_baseline", "stopped")}
    training = report.config.training_of(trial.settings, report.config.seeds[0], report.out)
    plain |= {name: getattr(training, name) for name in _options(report)}
    rungs = report.config.budget.rungs
    plain |= {f"validation at {budget:g}": value for budget, value in zip(rungs, data["at_budgets"], strict=True)}
    line = None if report.rescored is None else report.rescored.of(trial.number)
    for name, estimate in {} if line is None else {"fresh": line.objective, "difference": line.difference}.items():
        plain |= {f"{name} {key}": value for key, value in estimate.to_dict().items()}
    return plain


def _summary(report: SweepReport, remarks: Sequence[str]) -> str:
    config = report.config
    lines = [f"# {config.title}", "", f"{config.agent} on `{config.env}`", ""]
    lines += [*markdown_table(headings(report), cells(report)), ""]
    if report.rescored is not None:
        lines += ["On fresh worlds:", "", *markdown_table(fresh_headings(report), fresh_cells(report)), ""]
    lines += [f"- {note}" for note in [*report.notes(), *remarks]]
    lines += ["", "The best run again, and its checkpoint on worlds of yours:", "", "```sh"]
    lines += [report.train_command, report.evaluate_command, "```", ""]
    return "\n".join(lines)
