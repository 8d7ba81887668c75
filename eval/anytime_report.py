"""What an anytime evaluation says: its tables, the sentences that belong to them, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.core.errors import MissingExtraError
from ..envs.core.files import atomic_write
from ..envs.core.objective import Shown, shown
from .anytime import Point
from .plan import Plan, Variant
from .report import csv_rows, summary
from .statistics import Bootstrap, Estimate
from .store import ANYTIME, read_run
from .table import (
    counted,
    gap_note,
    interval_note,
    objective_note,
    seed_notes,
    show_estimate,
    show_objective,
    trouble_notes,
)

_FIRST_COLUMNS = (
    "env",
    "instance",
    "seed",
    "agent",
    "option",
    "work",
    "cpu_seconds",
    "objective",
    "best_known",
    "bound",
    "gap",
    "valid",
    "env_options",
)


@dataclass(frozen=True)
class AnytimeLine:
    """One agent in one variant.

    Attributes:
        agent: its name.
        option: what was scaled, None for an agent with one point.
        hindsight: whether the best of several tries at a world counts that nobody knows beforehand.
        remark: what is to be said of it.
        at: for each budget the mean over all worlds of what was reached within it; None where some world has no point.
        curve: the same at the CPU seconds within which every world came to its first, second, ... and last point, and
            at the budgets between.
    """

    agent: str
    option: str | None
    hindsight: bool
    remark: str
    at: tuple[Estimate | None, ...]
    curve: tuple[tuple[float, Estimate], ...]

    @property
    def label(self) -> str:
        """The name, with what was scaled."""
        said = [*([self.option] if self.option else []), *(["hindsight"] if self.hindsight else [])]
        return f"{self.agent} ({', '.join(said)})" if said else self.agent

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "agent": self.agent,
            "option": self.option,
            "hindsight": self.hindsight,
            "remark": self.remark,
            "at": [None if estimate is None else estimate.to_dict() for estimate in self.at],
            "curve": [{"cpu_seconds": seconds, **estimate.to_dict()} for seconds, estimate in self.curve],
        }


@dataclass(frozen=True)
class AnytimeTable:
    """The agents of one variant.

    Attributes:
        variant: the environment and its options.
        metric: "gap" where every point has one, else "objective".
        sense: "min" or "max", of the metric.
        shown: in which unit people are shown objectives; the lines hold them in the environment's own.
        budgets: CPU seconds.
        lines: one per agent, in the order asked for.
    """

    variant: Variant
    metric: str
    sense: str
    shown: Shown
    budgets: tuple[float, ...]
    lines: tuple[AnytimeLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "env": self.variant.env_id,
            "env_options": dict(self.variant.options),
            "metric": self.metric,
            "sense": self.sense,
            "budgets": list(self.budgets),
            "agents": [line.to_dict() for line in self.lines],
        }


@dataclass(frozen=True)
class AnytimeReport:
    """An anytime evaluation that is done.

    Attributes:
        plan: what was played.
        points: by variant, agent, case and work.
        tables: one per variant.
        notes: sentences that belong to them.
    """

    plan: Plan
    points: Sequence[Point]
    tables: Sequence[AnytimeTable]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        tables = [table.to_dict() for table in self.tables]
        return {"tables": tables, "notes": list(self.notes), "points": list(self.points)}


def make_report(plan: Plan, worlds: Sequence[list[Point]]) -> AnytimeReport:
    """Sum up what `play_anytime` returned."""
    rest = iter(worlds)
    tables = [
        _table(plan, variant, {agent: [next(rest) for _ in plan.cases] for agent in plan.agents})
        for variant in plan.variants
    ]
    points = [point for world in worlds for point in world]
    return AnytimeReport(plan, points, tables, _notes(plan, [world[-1] for world in worlds], tables))


def _table(plan: Plan, variant: Variant, worlds: dict[str, list[list[Point]]]) -> AnytimeTable:
    everything = [point for block in worlds.values() for world in block for point in world]
    metric = "gap" if all(point["gap"] is not None for point in everything) else "objective"
    groups = [world[0]["instance"] or f"seed {world[0]['seed']}" for world in next(iter(worlds.values()))]
    bootstrap = Bootstrap(groups)
    lines = tuple(_line(agent, block, plan.budgets, metric, bootstrap) for agent, block in worlds.items())
    sense = "min" if metric == "gap" else plan.objective["sense"]
    return AnytimeTable(variant, metric, sense, shown(plan.objective), plan.budgets, lines)


def _line(
    agent: str, worlds: list[list[Point]], budgets: Sequence[float], metric: str, bootstrap: Bootstrap
) -> AnytimeLine:
    marks = _marks(worlds, budgets)
    reached = {seconds: _reached(worlds, seconds, metric) for seconds in (*budgets, *marks)}
    estimates = bootstrap.estimates({str(s): values for s, values in reached.items() if values is not None})
    found = {seconds: estimates.get(str(seconds)) for seconds in reached}
    curve = tuple((seconds, estimate) for seconds in marks if (estimate := found[seconds]) is not None)
    return AnytimeLine(
        agent,
        worlds[0][0]["option"],
        any(point["hindsight"] for world in worlds for point in world),
        worlds[0][0].get("remark", ""),
        tuple(found[budget] for budget in budgets),
        curve,
    )


def _marks(worlds: list[list[Point]], budgets: Sequence[float]) -> list[float]:
    """CPU seconds within which every world came to its first, second, ... and last point, and the budgets between."""
    numbered = zip(*worlds, strict=False)
    marks = {max(point["cpu_seconds"] for point in points) for points in numbered}
    marks.add(max(point["cpu_seconds"] for world in worlds for point in world))
    return sorted({*marks, *(budget for budget in budgets if min(marks) < budget < max(marks))})


def _reached(worlds: list[list[Point]], seconds: float, metric: str) -> NDArray[np.float64] | None:
    """For each world what the most work came to that fits so many CPU seconds; None where none does in some world."""
    values = []
    for world in worlds:
        within = [point[metric] for point in world if point["cpu_seconds"] <= seconds]
        if not within:
            return None
        values.append(within[-1])
    return np.array(values, dtype=np.float64)


# --- words ------------------------------------------------------------------------------------------------------------


def _notes(plan: Plan, last: Sequence[Point], tables: Sequence[AnytimeTable]) -> list[str]:
    """Sentences without which the tables could be misread; `last` holds the last point of each world of each agent."""
    instances = {point["instance"] for point in last}
    gaps = all(table.metric == "gap" for table in tables)
    notes = [
        objective_note(plan.objective)
        + ("" if gaps else " It stands where the gap would, since not every world has a target for one."),
        f"Every agent met the same {counted(len(plan.cases), 'world')}: {counted(len(instances), 'instance')}, "
        f"seeds {plan.request.seeds}. Each is played by itself, by an agent that remembers no other.",
        "CPU seconds: per world, measured, of the process while the agent plays, the simulation included; all threads, "
        "those of solvers and networks too, are added up. Making agents (best-rule is chosen then), loading and "
        "compiling do not count.",
        "A column holds what the most work came to that fits its CPU seconds in each world; - where some world has no "
        "point within them.",
        interval_note(plan, len(instances)),
        gap_note(last),
        _ladder_note(tables[0]),
    ]
    for table in tables:
        where = f" under {table.variant}" if len(tables) > 1 else ""
        notes += [f"{line.agent}{where}: {line.remark}." for line in table.lines if line.remark]
    notes += _hindsight_notes(tables) + seed_notes(plan, last) + trouble_notes(last)
    return [note for note in notes if note]


def _ladder_note(table: AnytimeTable) -> str:
    texts = {"time": "the limit of a solver", "samples": "tries, of which the best so far counts"}
    growing = [line for line in table.lines if line.option]
    parts = [
        f"{', '.join(line.agent for line in growing if line.option == option)} by {option}"
        + (f" ({texts[option]})" if option in texts else "")
        for option in dict.fromkeys(line.option for line in growing)
    ]
    still = [line.agent for line in table.lines if not line.option]
    parts += [f"{', '.join(still)} not at all (one point)"] if still else []
    return f"What grows with the budget: {'; '.join(parts)}."


def _hindsight_notes(tables: Sequence[AnytimeTable]) -> list[str]:
    named = dict.fromkeys(line.agent for table in tables for line in table.lines if line.hindsight)
    if not named:
        return []
    return [
        f"Hindsight: {', '.join(named)} played each world several times and the best try counts, although nobody knows "
        "the world beforehand; no online decision maker can do that. Compare them with each other alone."
    ]


def headings(table: AnytimeTable) -> list[str]:
    """Titles of the columns of `cells`."""
    metric = table.metric if table.metric == "gap" else table.shown.title(table.metric)
    return [f"agent: {metric} after", *(f"{budget:g} s" for budget in table.budgets)]


def cells(table: AnytimeTable, separator: str = " ") -> list[list[str]]:
    """The table as text, a list per agent; `separator` stands between a mean and its interval."""
    return [[line.label, *(_cell(table, estimate, separator) for estimate in line.at)] for line in table.lines]


def _cell(table: AnytimeTable, estimate: Estimate | None, separator: str) -> str:
    if estimate is None:
        return "-"
    if table.metric == "gap":
        return show_estimate(estimate, "{:.1f} %", separator, 100)
    return show_objective(estimate, table.shown, 5, separator)


# --- files ------------------------------------------------------------------------------------------------------------


def write_anytime_report(folder: Path, report: AnytimeReport) -> list[str]:
    """Write everything into an evaluation's folder.

    Returns:
        Sentences about what could not be drawn.

    Raises:
        UserError: a file cannot be written.
    """
    data, table, picture = ANYTIME
    atomic_write(folder / data, json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n")
    atomic_write(folder / table, csv_rows(report.points, _FIRST_COLUMNS))
    pictures, remarks = [], []
    try:
        from .anytime_picture import draw_anytime
        from .pictures import save

        save(draw_anytime(report), folder / picture)
        pictures.append(picture)
    except MissingExtraError as error:
        remarks.append(f"No picture: {error}")
    sections = [(str(table.variant), headings(table), cells(table)) for table in report.tables]
    notes = [*report.notes, *remarks]
    atomic_write(folder / "summary.md", summary(read_run(folder), sections, notes, pictures))
    return remarks
