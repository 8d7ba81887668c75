"""Rows of an evaluation as one line per agent, with intervals and a paired comparison, and what must be said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.core.objective import Shown, shown
from .plan import Plan, Variant
from .statistics import Bootstrap, Estimate, gap, relative, wins

_FEW_INSTANCES = 10


@dataclass(frozen=True)
class AgentLine:
    """One agent in one variant.

    Attributes:
        agent: its name.
        objective: mean objective.
        gap: mean gap, as a fraction.
        relative: mean of C_agent / C_reference - 1 over the same worlds.
        win_rate: how often it is better than the reference, ties half.
        seconds_per_decision: all its time over all its decisions.
        invalid: schedules that the validator refuses.
        unfinished: episodes that ended in another way than they should: deadlocks, truncations.
        remark: what is to be said of it.
        above_hindsight: how much worse than the optimum of the very world, as a fraction, over the worlds in which
            that is proved; None where nobody looked for it.
        score: where it lies between doing nothing and a bound on any policy's expected objective; None where the
            environment offers no such scale.
    """

    agent: str
    objective: Estimate
    gap: Estimate
    relative: Estimate
    win_rate: Estimate
    seconds_per_decision: float | None
    invalid: int
    unfinished: int
    remark: str
    above_hindsight: Estimate | None = None
    score: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        estimates = {name: getattr(self, name).to_dict() for name in ("objective", "gap", "relative", "win_rate")}
        if self.above_hindsight is not None:
            estimates["above_hindsight"] = self.above_hindsight.to_dict()
        if self.score is not None:
            estimates["score"] = self.score.to_dict()
        others = ("seconds_per_decision", "invalid", "unfinished", "remark")
        return {"agent": self.agent, **estimates, **{name: getattr(self, name) for name in others}}


@dataclass(frozen=True)
class Table:
    """The agents of one variant.

    Attributes:
        variant: the environment and its options.
        reference: the agent that the others are compared with.
        sense: "min" or "max".
        shown: in which unit people are shown objectives; the lines hold them in the environment's own.
        lines: one per agent, in the order asked for.
    """

    variant: Variant
    reference: str
    sense: str
    shown: Shown
    lines: tuple[AgentLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "env": self.variant.env_id,
            "env_options": dict(self.variant.options),
            "reference": self.reference,
            "sense": self.sense,
            "agents": [line.to_dict() for line in self.lines],
        }


def make_tables(plan: Plan, rows: Sequence[dict[str, Any]]) -> list[Table]:
    """A table for each variant of a plan.

    Args:
        plan: what was played.
        rows: all rows, by variant, agent and case, as `evaluate` returns them.
    """
    number, sense = len(plan.cases), plan.objective["sense"]
    tables = []
    for v, variant in enumerate(plan.variants):
        blocks = [rows[(v * len(plan.agents) + a) * number :][:number] for a in range(len(plan.agents))]
        reference = _objectives(blocks[plan.agents.index(plan.reference)])
        # The instance that a world has is the same for all agents.
        groups = [row["instance"] or f"seed {row['seed']}" for row in blocks[0]]
        bootstrap = Bootstrap(groups)
        lines = tuple(_line(a, b, reference, bootstrap, sense) for a, b in zip(plan.agents, blocks, strict=True))
        tables.append(Table(variant, plan.reference, sense, shown(plan.objective), lines))
    return tables


def _line(
    agent: str,
    rows: Sequence[dict[str, Any]],
    reference: NDArray[np.float64],
    bootstrap: Bootstrap,
    sense: str,
) -> AgentLine:
    objectives = _objectives(rows)
    values = {
        "objective": objectives,
        "gap": [np.nan if row["gap"] is None else row["gap"] for row in rows],
        "relative": relative(objectives, reference),
        "win_rate": wins(objectives, reference, sense),
    }
    if "hindsight_proved" in rows[0]:
        values["above_hindsight"] = [_above_hindsight(row, sense) for row in rows]
    if any(row.get("score") is not None for row in rows):
        values["score"] = [np.nan if row.get("score") is None else row["score"] for row in rows]
    estimates = bootstrap.estimates(values)
    timed = [row for row in rows if row["seconds_per_decision"] is not None]
    decisions = sum(row["decisions"] for row in timed)
    seconds = sum(row["decisions"] * row["seconds_per_decision"] for row in timed)
    return AgentLine(
        agent,
        **estimates,
        seconds_per_decision=seconds / decisions if decisions else None,
        invalid=sum(row["valid"] is False for row in rows),
        unfinished=sum(row["metrics"].get("finished") is False for row in rows),
        remark=rows[0].get("remark", ""),
    )


def _above_hindsight(row: dict[str, Any], sense: str) -> float:
    """How much worse than its world's proved optimum a row is; NaN where that is not known."""
    above = gap(row["objective"], row["hindsight_objective"], None, sense) if row["hindsight_proved"] else None
    return np.nan if above is None else above


def _objectives(rows: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    return np.array([row["objective"] for row in rows], dtype=np.float64)


# --- notes ------------------------------------------------------------------------------------------------------------


def make_notes(plan: Plan, rows: Sequence[dict[str, Any]], tables: Sequence[Table]) -> list[str]:
    """Sentences without which the tables could be misread."""
    objective = plan.objective
    instances = {row["instance"] for row in rows}
    notes = [
        objective_note(objective),
        f"Every agent met the same {len(plan.cases)} worlds: {counted(len(instances), 'instance')}, "
        f"seeds {plan.request.seeds}.",
        interval_note(plan, len(instances)),
        f"Reference: {plan.reference}"
        + ("" if plan.reference_given else " (chosen by default; name another with --reference)")
        + ". Relative is the mean of C_agent / C_reference - 1; the win rate counts ties as half.",
        _not_above_zero_note(rows, plan.reference),
        gap_note(rows),
        _score_note(rows),
        "Time per decision: the agent's own computing, all tries at a world together, over the decisions of the one "
        f"that counts, measured at batches of up to {max(row['batch'] for row in rows)}.",
    ]
    notes += [
        f"{line.agent}{f' under {table.variant}' if len(tables) > 1 else ''}: {line.remark}."
        for table in tables
        for line in table.lines
        if line.remark
    ]
    notes += _hindsight_optimum_notes(rows) + _hindsight_notes(plan, rows)
    notes += seed_notes(plan, rows)
    notes += trouble_notes(rows)
    return [note for note in notes if note]


def objective_note(objective: Mapping[str, Any]) -> str:
    """What the objective is, and which way is better."""
    unit = shown(objective).unit
    exact = "" if unit == objective["unit"] else f" The files of results hold it in {objective['unit']}."
    better = "smaller" if objective["sense"] == "min" else "larger"
    return f"Objective: {objective['name']} ({unit}), {better} is better.{exact}"


def interval_note(plan: Plan, instances: int) -> str:
    """What the intervals are over, and what they do not say."""
    if len(plan.cases) == 1:
        return "One world: there are no intervals, and nothing can be said of other worlds."
    if instances == 1:
        return "Intervals: 95 %, bootstrap over the worlds of the one instance; they say nothing of other instances."
    few = f" {instances} instances are few: take the intervals as rough." if instances < _FEW_INSTANCES else ""
    return f"Intervals: 95 %, bootstrap that draws instances first, then worlds within them.{few}"


def _hindsight_optimum_notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    worlds = {
        (str(row["env_options"]), row["instance"], row["seed"]): row["hindsight_proved"]
        for row in rows
        if "hindsight_proved" in row
    }
    if not worlds:
        return []
    return [
        "Hindsight optimum: the best schedule of each world as it turned out, for whoever had known every random "
        "event; nobody who decides online can be expected to reach it. "
        f"Proved in {sum(worlds.values())} of "
        f"{counted(len(worlds), 'world')}; the means are over those alone."
    ]


def _not_above_zero_note(rows: Sequence[dict[str, Any]], reference: str) -> str:
    none = sum(row["agent"] == reference and row["objective"] <= 0 for row in rows)
    if not none:
        return ""
    return f"{counted(none, 'world')} in which the reference is not above 0 are left out of the relative means."


def gap_note(rows: Sequence[dict[str, Any]]) -> str:
    """What gaps are measured against."""
    known = sum(row["best_known"] is not None for row in rows)
    bounded = sum(row["best_known"] is None and row["bound"] is not None for row in rows)
    none = len(rows) - known - bounded
    if none == len(rows):
        return "Gap: none, as neither a best known objective nor a bound is known."
    parts = [
        f"{number} rows {text}"
        for number, text in (
            (known, "against the best known objective"),
            (bounded, "against a proved bound, which the optimum may be far from"),
            (none, "without"),
        )
        if number
    ]
    return "Gap: a fraction of its target, " + ", ".join(parts) + "."


def _score_note(rows: Sequence[dict[str, Any]]) -> str:
    names = sorted({row["expected_bound_name"] for row in rows if row.get("score") is not None})
    if not names:
        return ""
    return (
        "Score: (objective - null) / (bound - null) of each instance, where null is the expected objective of doing "
        f"nothing and no policy's expected objective is above the bound ({', '.join(names)}); the optimum may be far "
        "below it, and single worlds may lie above."
    )


def _hindsight_notes(plan: Plan, rows: Sequence[dict[str, Any]]) -> list[str]:
    named = [agent for agent in plan.agents if any(row["hindsight"] and row["agent"] == agent for row in rows)]
    if not named:
        return []
    return [
        f"Hindsight: {', '.join(named)} played each world several times and the best try counts, although nobody knows "
        "the world beforehand; no online decision maker can do that."
    ]


def seed_notes(plan: Plan, rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line where seeds make no difference."""
    if plan.instances is None or len(plan.seeds) == 1 or any(row["stochastic"] for row in rows):
        return []
    return ["The worlds hold no random events under these options: seeds differ for agents that draw by chance alone."]


def trouble_notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each agent whose episodes ended badly."""
    notes = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        bad = [row for row in rows if row["agent"] == agent and row["metrics"].get("finished") is False]
        if bad:
            ends = Counter(str(row["metrics"].get("status", "unfinished")) for row in bad)
            each = ", ".join(f"{number} {status}" for status, number in sorted(ends.items()))
            notes.append(f"{agent}: {len(bad)} episodes did not finish ({each}); their objectives are penalties.")
    invalid = [row for row in rows if row["valid"] is False]
    if invalid:
        first = invalid[0]
        notes.append(
            f"INVALID: the validator refuses {counted(len(invalid), 'schedule')}; the first is that of "
            f"{first['agent']} on {first['instance']!r}, seed {first['seed']}: {first.get('problem')}"
        )
    unchecked = sum(row["valid"] is None for row in rows)
    if unchecked:
        notes.append(
            f"Schedules of {unchecked} rows were not checked: "
            "the environment offers no schedule() or no validate(schedule)."
        )
    return notes or ["Every episode finished, and the validator refuses no schedule."]


def counted(number: int, what: str) -> str:
    """A number with its noun, in the plural where it is not 1."""
    return f"{number} {what}{'' if number == 1 else 's'}"


# --- text -------------------------------------------------------------------------------------------------------------

HEADINGS = (
    "agent",
    "objective",
    "gap",
    "against {reference}",
    "win rate",
    "time per decision",
    "invalid",
    "unfinished",
)


_OBJECTIVE = HEADINGS.index("objective")
_AFTER_GAP = HEADINGS.index("gap") + 1


def headings(table: Table) -> list[str]:
    """Titles of the columns of `cells`."""
    found = [heading.format(reference=table.reference) for heading in HEADINGS]
    found[_OBJECTIVE] = table.shown.title(found[_OBJECTIVE])
    if table.lines[0].above_hindsight is not None:
        found.insert(_AFTER_GAP, "above hindsight optimum")
    if table.lines[0].score is not None:
        found.insert(_AFTER_GAP, "score")
    return found


def cells(table: Table, digits: int = 5, separator: str = " ") -> list[list[str]]:
    """The table as text, a list per agent.

    Args:
        table: the table.
        digits: significant digits of a mean objective.
        separator: stands between a mean and its interval.
    """
    return [_cells(table, line, digits, separator) for line in table.lines]


def _cells(table: Table, line: AgentLine, digits: int, separator: str) -> list[str]:
    is_reference = line.agent == table.reference
    found = [
        line.agent,
        show_objective(line.objective, table.shown, digits, separator),
        show_estimate(line.gap, "{:.1f} %", separator, 100),
        "-" if is_reference else show_estimate(line.relative, "{:+.1f} %", separator, 100),
        "-" if is_reference else show_estimate(line.win_rate, "{:.0f} %", separator, 100),
        show_seconds(line.seconds_per_decision),
        str(line.invalid),
        str(line.unfinished),
    ]
    if line.above_hindsight is not None:
        shown = show_estimate(line.above_hindsight, "{:.1f} %", separator, 100)
        found.insert(_AFTER_GAP, f"{shown}{separator}({line.above_hindsight.count} proved)")
    if line.score is not None:
        found.insert(_AFTER_GAP, show_estimate(line.score, "{:.1f} %", separator, 100))
    return found


def show_objective(estimate: Estimate, unit: Shown, digits: int, separator: str) -> str:
    """A mean objective with its interval in the unit that people are shown, of so many significant digits."""
    estimate = estimate.times(unit.factor)
    return show_estimate(estimate, decimals(estimate.mean, digits), separator)


def show_estimate(estimate: Estimate, form: str, separator: str, factor: float = 1.0) -> str:
    """An estimate and its interval as text; '-' where there is none."""
    if estimate.mean is None:
        return "-"
    text = form.format(estimate.mean * factor)
    if estimate.low is None or estimate.high is None:
        return text
    low, high = (form.format(end * factor).removesuffix(" %") for end in (estimate.low, estimate.high))
    return f"{text}{separator}[{low}, {high}]"


def decimals(mean: float | None, digits: int) -> str:
    """The format that shows a mean with so many significant digits, without an exponent; long ones with commas."""
    whole = len(str(int(abs(mean or 0.0))))
    return f"{{:{',' if whole > 4 else ''}.{max(0, digits - whole)}f}}"


def show_seconds(seconds: float | None) -> str:
    """A time with a unit that suits it: ``12 µs``."""
    if seconds is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
