"""What a suite came to: a line for each agent on each problem, aggregates for each role, and the folder of it all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.core.files import atomic_write
from .aggregate import Aggregate, Profile, Summary, Task, normalised
from .plan import Plan
from .report import markdown_table
from .statistics import Bootstrap, Estimate, gap, relative, wins
from .suite import BASELINE, Problem, Suite
from .table import show_estimate, show_seconds

Floats = NDArray[np.float64]

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(25))
"""Scores at which performance profiles are told of: 0 to 1.2."""

_FILES = ("suite.csv", "aggregate.csv", "aggregate.json", "summary.md")
_TARGETS = {
    "hindsight_objective": "the best schedule known of the very world",
    "best_known": "the best known objective",
    "expected_bound": "a bound on the expected objective",
    "bound": "a proved bound",
}
_NO_TARGET = "the best of the agents in the same world"


@dataclass(frozen=True)
class Line:
    """One agent on one problem.

    Attributes:
        problem: name of the problem.
        role: which it plays there, empty for none.
        agent: its name.
        gap: to the target, as a fraction.
        score: 0 as the baseline, 1 as the target.
        relative: mean of C_agent / C_reference - 1 over the same worlds.
        win_rate: how often it is better than the reference, ties half.
        seconds_per_decision: CPU time.
        seconds_per_world: CPU time.
        invalid: schedules that the validator refuses.
        unfinished: episodes that ended in another way than they should.
    """

    problem: str
    role: str
    agent: str
    gap: Estimate
    score: Estimate
    relative: Estimate
    win_rate: Estimate
    seconds_per_decision: float | None
    seconds_per_world: float | None
    invalid: int
    unfinished: int


class Played:
    """A problem that is played.

    Args:
        problem: of a suite.
        plan: made from its request.
        rows: all of its rows.
        reference: the role that others are compared with.
    """

    def __init__(self, problem: Problem, plan: Plan, rows: Sequence[dict[str, Any]], reference: str) -> None:
        self.problem, self._rows = problem, rows
        self.sense = str(plan.objective["sense"])
        self.agents = plan.agents
        self._reference = problem.roles.get(reference, problem.baseline)
        number = len(plan.cases)
        # The order of rows: variant, agent, case. A world is a variant and a case.
        self._blocks = {
            agent: [
                row for v in range(len(plan.variants)) for row in rows[(v * len(plan.agents) + a) * number :][:number]
            ]
            for a, agent in enumerate(plan.agents)
        }
        first = self._blocks[self.agents[0]]
        self.drawn = [row["instance"] or f"seed {row['seed']}" for row in first]
        self._scales = [(str(row["env_options"]), drawn) for row, drawn in zip(first, self.drawn, strict=True)]

    @property
    def worlds(self) -> int:
        """How many worlds were played."""
        return len(self.drawn)

    @property
    def instances(self) -> int:
        """How many instances they are of."""
        return len(set(self.drawn))

    def objectives(self, agent: str) -> Floats:
        """Objective in each world, float [worlds]."""
        return np.array([row["objective"] for row in self._blocks[agent]], dtype=np.float64)

    @cached_property
    def targets(self) -> tuple[list[str], Floats]:
        """What the target of each world is, and the target, float [worlds]."""
        kinds, values = [], []
        for world in range(self.worlds):
            rows = [self._blocks[agent][world] for agent in self.agents]
            kind = next((key for key in _TARGETS if rows[0].get(key) is not None), "")
            best = min if self.sense == "min" else max
            kinds.append(kind)
            values.append(rows[0][kind] if kind else best(row["objective"] for row in rows))
        return kinds, np.array(values, dtype=np.float64)

    @property
    def target_note(self) -> str:
        """What the targets are, in words."""
        return "; ".join(_TARGETS.get(kind, _NO_TARGET) for kind in dict.fromkeys(self.targets[0]))

    @cached_property
    def scores(self) -> dict[str, Floats]:
        """Score in each world by agent; NaN in worlds of instances in which baseline and target are equally good."""
        zeros, targets = self.objectives(self.problem.baseline), self.targets[1]
        return {agent: normalised(self.objectives(agent), zeros, targets, self._scales) for agent in self.agents}

    def lines(self) -> list[Line]:
        """A line for each agent."""
        bootstrap = Bootstrap(self.drawn)  # under all options: those of one instance are no two draws
        return [self._line(agent, bootstrap) for agent in self.agents]

    def _line(self, agent: str, bootstrap: Bootstrap) -> Line:
        rows, ours, theirs = self._blocks[agent], self.objectives(agent), self.objectives(self._reference)
        gaps = [gap(one, target, None, self.sense) for one, target in zip(ours, self.targets[1], strict=True)]
        estimates = bootstrap.estimates(
            {
                "gap": [np.nan if one is None else one for one in gaps],
                "score": self.scores[agent],
                "relative": relative(ours, theirs),
                "win_rate": wins(ours, theirs, self.sense),
            }
        )
        timed = [row for row in rows if row["seconds_per_decision"] is not None]
        seconds = sum(row["decisions"] * row["seconds_per_decision"] for row in timed)
        decisions = sum(row["decisions"] for row in timed)
        return Line(
            self.problem.name,
            BASELINE if agent == self.problem.baseline else self.problem.role_of(agent),
            agent,
            **estimates,
            seconds_per_decision=seconds / decisions if decisions else None,
            seconds_per_world=seconds / len(timed) if timed else None,
            invalid=sum(row["valid"] is False for row in rows),
            unfinished=sum(row["metrics"].get("finished") is False for row in rows),
        )

    def task(self) -> Task | None:
        """Scores by role, in the worlds that have any; None where none has."""
        told = np.isfinite(self.scores[self.problem.baseline])
        if not told.any():
            return None
        cast = {BASELINE: self.problem.baseline, **self.problem.roles}
        groups = tuple(drawn for drawn, kept in zip(self.drawn, told, strict=True) if kept)
        return Task(self.problem.name, groups, {role: self.scores[agent][told] for role, agent in cast.items()})


@dataclass(frozen=True)
class SuiteReport:
    """A suite that is played.

    Attributes:
        suite: what was played.
        played: its problems.
    """

    suite: Suite
    played: Sequence[Played]

    @cached_property
    def lines(self) -> list[Line]:
        """A line for each agent on each problem."""
        return [line for one in self.played for line in one.lines()]

    @cached_property
    def aggregate(self) -> Aggregate:
        """Roles over problems."""
        return Aggregate([task for one in self.played if (task := one.task()) is not None])

    @cached_property
    def roles(self) -> list[str]:
        """The roles that somebody plays, the baseline first."""
        known = set(self.aggregate.agents)
        return [role for role in (BASELINE, *self.suite.roles) if role in known]

    @cached_property
    def summaries(self) -> list[Summary]:
        """Aggregates of each role."""
        return [self.aggregate.summary(role) for role in self.roles]

    @cached_property
    def beside(self) -> dict[str, Estimate]:
        """Interquartile mean of the reference over the problems that a role plays: roles play different ones."""
        reference, found = self.suite.reference, {}
        for role in self.roles:
            shared = [task for task in self.aggregate.tasks if {role, reference} <= set(task.scores)]
            if shared and role != reference:
                found[role] = Aggregate(shared).summary(reference).interquartile_mean
        return found

    @cached_property
    def profiles(self) -> list[Profile]:
        """Performance profile of each role."""
        return [self.aggregate.profile(role, THRESHOLDS) for role in self.roles]

    @cached_property
    def improvements(self) -> dict[str, Estimate]:
        """Probability that a role scores better than the reference, over the problems that both play."""
        reference = self.suite.reference
        together = {role for task in self.aggregate.tasks if reference in task.scores for role in task.scores}
        return {
            role: self.aggregate.improvement(role, reference)
            for role in self.roles
            if role != reference and role in together
        }

    def to_dict(self) -> dict[str, Any]:
        """Aggregates as plain data for JSON."""
        return {
            "suite": self.suite.name,
            "reference": self.suite.reference,
            "problems": [
                {
                    "name": one.problem.name,
                    "title": one.problem.title,
                    "worlds": one.worlds,
                    "instances": one.instances,
                    "target": one.target_note,
                    "scored_worlds": 0 if (task := one.task()) is None else len(task.groups),
                }
                for one in self.played
            ],
            "summaries": [summary.to_dict() for summary in self.summaries],
            "profiles": [profile.to_dict() for profile in self.profiles],
            "probability_of_improvement": {role: one.to_dict() for role, one in self.improvements.items()},
        }


# --- files ------------------------------------------------------------------------------------------------------------


def write_suite_report(folder: Path, report: SuiteReport, versions: Mapping[str, str]) -> None:
    """Write what a suite came to beside the folders of its evaluations.

    Raises:
        UserError: a file cannot be written.
    """
    texts = {
        "suite.csv": lines_csv(report),
        "aggregate.csv": aggregate_csv(report),
        "aggregate.json": json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n",
        "summary.md": _summary(report, versions),
    }
    for name in _FILES:
        atomic_write(folder / name, texts[name])


def lines_csv(report: SuiteReport) -> str:
    """A row for each agent on each problem."""
    rows = []
    for one in report.played:
        shared = {"suite": report.suite.name, "title": one.problem.title, "env": str(one.problem.request.env)}
        for line in one.lines():
            columns: dict[str, Any] = {"problem": line.problem, **shared, "role": line.role, "agent": line.agent}
            columns |= {"worlds": one.worlds, "instances": one.instances, "target": one.target_note}
            for name in ("gap", "score", "relative", "win_rate"):
                columns |= _columns(name, getattr(line, name))
            for name in ("seconds_per_decision", "seconds_per_world"):
                columns[name] = _digits(getattr(line, name))
            rows.append({**columns, "invalid": line.invalid, "unfinished": line.unfinished})
    return _csv(rows)


def aggregate_csv(report: SuiteReport) -> str:
    """A row for each role."""
    rows = []
    for summary in report.summaries:
        columns: dict[str, Any] = {"suite": report.suite.name, "role": summary.agent, "problems": len(summary.tasks)}
        columns["worlds"] = summary.mean.count
        for name in ("interquartile_mean", "mean", "median", "optimality_gap"):
            columns |= _columns(name, getattr(summary, name))
        nothing = Estimate(None, None, None, 0)
        columns |= _columns("improvement", report.improvements.get(summary.agent, nothing))
        columns |= _columns("reference", report.beside.get(summary.agent, nothing))
        rows.append(columns)
    return _csv(rows)


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: _digits(estimate.mean), f"{name}_low": _digits(estimate.low), f"{name}_high": _digits(estimate.high)}


def _digits(value: float | None) -> float | None:
    """Six significant digits: what is beyond them differs between processors."""
    return None if value is None else float(f"{value:.6g}")


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# --- text -------------------------------------------------------------------------------------------------------------

_PER_CENT = "{:.1f} %"


def role_table(report: SuiteReport) -> tuple[list[str], list[list[str]]]:
    """Titles and lines of the table of roles."""
    titles = ["role", "problems", "interquartile mean", "median", "mean", "optimality gap"]
    titles += [f"{report.suite.reference} on the same problems", f"better than {report.suite.reference}"]
    lines = []
    for summary in report.summaries:
        numbers = (summary.interquartile_mean, summary.median, summary.mean, summary.optimality_gap)
        shown = [show_estimate(number, _PER_CENT, " ", 100) for number in numbers]
        beside = report.beside.get(summary.agent)
        shown.append("-" if beside is None else show_estimate(beside, _PER_CENT, " ", 100))
        improvement = report.improvements.get(summary.agent)
        better = "-" if improvement is None else show_estimate(improvement, "{:.0f} %", " ", 100)
        lines.append([summary.agent, str(len(summary.tasks)), *shown, better])
    return titles, lines


def problem_table(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """Titles and lines of the table of one problem's agents."""
    titles = ["agent", "role", "score", "gap", "against the reference", "time per decision", "time per world"]
    shown = [
        [
            line.agent,
            line.role,
            show_estimate(line.score, _PER_CENT, " ", 100),
            show_estimate(line.gap, _PER_CENT, " ", 100),
            show_estimate(line.relative, "{:+.1f} %", " ", 100),
            show_seconds(line.seconds_per_decision),
            show_seconds(line.seconds_per_world),
        ]
        for line in lines
    ]
    return titles, shown


def notes(report: SuiteReport) -> list[str]:
    """Sentences without which the tables could be misread."""
    invalid, unfinished = (sum(getattr(line, name) for line in report.lines) for name in ("invalid", "unfinished"))
    told = [
        "Score: 1 less an agent's distance to the target of the world, over the mean distance of the baseline in the "
        "instance: 1 is the target, 0 the baseline. What the targets are stands with each problem.",
        "Aggregates: each problem has the same weight; intervals 95 %, bootstrap stratified by problem that draws "
        "instances first, then worlds within them. A role's numbers are over the problems in which somebody plays it.",
        "Times: CPU time, the agent's own computing alone.",
    ]
    if unfinished:
        told.append(f"{unfinished} episodes did not finish; their objectives are penalties.")
    told.append(
        f"INVALID: the validators refuse {invalid} schedules." if invalid else "The validators refuse no schedule."
    )
    return told


def _summary(report: SuiteReport, versions: Mapping[str, str]) -> str:
    lines = [f"# {report.suite.title}", "", *markdown_table(*role_table(report)), ""]
    lines += [f"- {note}" for note in notes(report)]
    for one in report.played:
        lines += ["", f"## {one.problem.title}", "", "```", one.problem.request.command(), "```", ""]
        lines += markdown_table(*problem_table(one.lines()))
        lines += ["", f"{one.worlds} worlds, {one.instances} instances; target: {one.target_note}."]
    lines += ["", ", ".join(f"{name} {version}" for name, version in versions.items())]
    return "\n".join(lines) + "\n"
