"""The parts of a report: its summary, a section for each evaluation, its suites and its training runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...envs.core.errors import UserError
from ...envs.core.objective import Shown
from ..show import chart_of, read_schedule
from ..statistics import Estimate
from ..table import AgentLine, Table
from .charts import end_of, figure, number_text
from .compare import gap_figure, profile_figure, suite_profile
from .curves import BEST_RULE, OBJECTIVE, TrainingRun, curve_figure, unit_of
from .document import Document
from .markup import Markup, bullets, tag
from .read import Evaluation
from .tables import Cell, agent_table, differences, estimate_cell, sortable

_MOST_TAGS = 12
_HOW = (
    "Point at a bar, a line or a cell, or touch it, for what it is, its start, its end and where. Drag, or the "
    "buttons, look closer; a double click shows all again."
)


def best_line(table: Table) -> AgentLine:
    """The agent with the best mean objective."""
    better = min if table.sense == "min" else max
    return better(table.lines, key=lambda line: line.objective.mean or 0.0)


# --- summary ----------------------------------------------------------------------------------------------------------


def summary(evaluations: Sequence[Evaluation]) -> Markup:
    """A line for each environment: who is best, and by how much."""
    rows = []
    for number, evaluation in enumerate(evaluations):
        for v, table in enumerate(evaluation.report.tables):
            best = best_line(table)
            link = tag("a", table.variant, href=f"#evaluation-{number}")
            worlds = len(evaluation.report.plan.cases)
            ((title, cells),) = differences(table, evaluation.blocks(v)).items()
            against = cells[table.lines.index(best)]
            if title.endswith(")"):  # not a share, so not to be compared with other lines
                against = Cell(f"{against.text} {table.shown.unit}", None, against.small)
            found = Cell(best.agent, best.agent), estimate_cell(best.gap, "{:.1f} %", 100), against
            last = Cell(table.reference, table.reference), Cell(worlds, worlds)
            rows.append([Cell(link, str(table.variant)), *found, *last])
    titles = ["environment", "best mean objective", "its gap", "its difference to the reference", "reference", "worlds"]
    return tag(
        "section", tag("h2", "Summary"), sortable("The best agent of each environment", titles, rows), id="summary"
    )


# --- an evaluation ----------------------------------------------------------------------------------------------------


def evaluation_section(document: Document, number: int, evaluation: Evaluation, schedules: int) -> Markup:
    """Tables, comparisons, schedules and provenance of one evaluation.

    Args:
        document: takes the pictures.
        number: of the evaluation in the report.
        evaluation: what is told.
        schedules: how many agents' schedules are shown in each variant.
    """
    report = evaluation.report
    several = len(report.tables) > 1
    heading = tag("h2", report.plan.variants[0].env_id, tag("small", f"from {evaluation.folder}"))
    parts = [_variant(document, evaluation, v, table, schedules, several) for v, table in enumerate(report.tables)]
    notes = tag("h3", "What must be said of it"), bullets(report.notes, class_="notes")
    return tag("section", heading, parts, notes, _provenance(evaluation), id=f"evaluation-{number}")


def _variant(
    document: Document, evaluation: Evaluation, v: int, table: Table, schedules: int, several: bool
) -> list[Markup]:
    blocks, name = evaluation.blocks(v), str(table.variant)
    parts = [tag("h3", name)] if several or table.variant.options else []
    parts.append(agent_table(table, blocks, f"Agents on {name}"))
    parts += _comparisons(document, table, blocks)
    parts += _schedules(document, evaluation, table, blocks, schedules)
    return parts


def _comparisons(document: Document, table: Table, blocks: Sequence[Any]) -> list[Markup]:
    name = str(table.variant)
    found = gap_figure(table, blocks)
    gapped = all(row["gap"] is not None for rows in blocks for row in rows)
    what = "Gaps" if gapped else "Objectives"
    parts = [
        tag("h3", f"{what}, world by world"),
        tag("p", "Small marks are single worlds; large ones means, with their 95 % intervals as lines.", class_="hint"),
        document.figure(f"{what} of the agents on {name}; the table above holds the means and intervals", found),
    ]
    if len(blocks[0]) == 1:
        return parts
    profile, target = profile_figure(table, blocks)
    parts.append(tag("h3", "Performance profile"))
    said = (
        f"The share of worlds in which an agent comes within a gap to the {target}. Higher and further left is better."
    )
    if "range" in profile["layout"]["xaxis"]:
        said += " One agent is far behind the others; a double click shows all of its line."
    return [
        *parts,
        tag("p", said, class_="hint"),
        document.figure(f"Performance profile of the agents on {name}", profile),
    ]


def _schedules(
    document: Document, evaluation: Evaluation, table: Table, blocks: Sequence[Any], most: int
) -> list[Markup]:
    """Pictures of the first world: of the best agent over all worlds, the reference, the best there, and others."""
    if most == 0:
        return []
    rows = {rows[0]["agent"]: rows[0] for rows in blocks}
    sign = 1 if table.sense == "min" else -1
    best_there = min(rows.values(), key=lambda row: sign * row["objective"])["agent"]
    names = dict.fromkeys((best_line(table).agent, table.reference, best_there, *rows))
    chosen = [rows[name] for name in list(names)[:most]]
    world = f"{chosen[0]['instance'] or 'a generated instance'}, seed {chosen[0]['seed']}"
    heading = tag("h3", f"Schedules of the first world: {world}")
    charts, problems = [], []
    for row in chosen:
        try:
            playable = {**row, "env_options": table.variant.plain_options}
            charts.append((row, chart_of(playable, read_schedule(evaluation.folder, row))))
        except UserError as error:
            problems.append(f"No picture of a schedule of {row['agent']}: {error}.")
    if not charts:
        return [heading, tag("p", problems[0], class_="hint")]
    end = max(end_of(chart) for _, chart in charts)
    parts = [heading, tag("p", _HOW, class_="hint")]
    for place, (row, chart) in enumerate(charts):
        data, notes = figure(chart, end)
        objective = number_text(row["objective"] * table.shown.factor)
        title = f"{row['agent']}: {objective} {table.shown.unit}"
        picture = document.figure(f"Schedule of {title} on {world}", data, can_go=True)
        about = [tag("p", text, class_="hint") for text in (chart.title, chart.note, *notes) if text]
        parts.append(tag("details", tag("summary", tag("strong", title)), about, picture, open=place < 2))
    left = len(rows) - len(chosen)
    if left:
        problems.append(f"{left} more agents' schedules can be shown with --schedules {len(rows)}.")
    return [*parts, *(tag("p", text, class_="hint") for text in problems)]


def _provenance(evaluation: Evaluation) -> list[Markup]:
    run, plan = evaluation.run, evaluation.report.plan
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    facts = {
        "seeds of the worlds": plan.request.seeds,
        "seed of the agents": plan.request.agent_seed,
        "instances": plan.request.instances or "chosen by the environment from the seed",
        "fingerprint": f"{run['fingerprint']} (of instances and checkpoints)",
        "begun": run["created"],
        "versions": versions,
        "machine": run.get("machine", "not recorded"),
    }
    heading = tag("h3", "How it was made")
    return [heading, tag("pre", run["command"]), tag("dl", [(tag("dt", key), tag("dd", facts[key])) for key in facts])]


# --- suites -----------------------------------------------------------------------------------------------------------


def suite_section(document: Document, number: int, record: dict[str, Any], aggregate: dict[str, Any]) -> Markup:
    """Aggregates over the problems of a suite."""
    improvements = aggregate["probability_of_improvement"]
    names = ("interquartile_mean", "median", "mean", "optimality_gap")
    rows = []
    for line in aggregate["summaries"]:
        numbers = [estimate_cell(Estimate(**line[name]), "{:.1f} %", 100) for name in names]
        better = improvements.get(line["agent"])
        last = Cell("–", None) if better is None else estimate_cell(Estimate(**better), "{:.0f} %", 100)
        rows.append([Cell(line["agent"], line["agent"]), *numbers, last, Cell(len(line["tasks"]), len(line["tasks"]))])
    titles = [
        "role",
        "interquartile mean",
        "median",
        "mean",
        "optimality gap",
        f"better than {aggregate['reference']}",
        "problems",
    ]
    targets = [f"{one['title']}: {one['worlds']} worlds; 100 % is {one['target']}" for one in aggregate["problems"]]
    return tag(
        "section",
        tag("h2", f"Suite {aggregate['suite']}: all problems together"),
        tag("p", "Scores: 0 % is as good as the baseline, 100 % reaches the target of the world.", class_="hint"),
        sortable("Roles over all problems", titles, rows),
        tag("h3", "Performance profile"),
        tag(
            "p",
            "The share of worlds in which a role scores above a threshold, each problem having the same weight.",
            class_="hint",
        ),
        document.figure("Performance profiles of the roles", suite_profile(aggregate["profiles"])),
        bullets(targets, class_="notes"),
        tag("pre", record["command"]),
        id=f"suite-{number}",
    )


# --- training ---------------------------------------------------------------------------------------------------------


def training_section(document: Document, runs: Sequence[TrainingRun]) -> Markup:
    """Curves and facts of training runs, those of one environment together."""
    parts = [tag("h2", "Training")]
    for env in dict.fromkeys(run.env for run in runs):
        together = [run for run in runs if run.env == env]
        unit = unit_of(env)
        parts += [tag("h3", env or "environment unknown"), _training_table(together, unit)]
        parts += _curves(document, env, together, unit)
        for run in together:
            if run.command:
                parts.append(tag("details", tag("summary", f"Command of {run.name}"), tag("pre", run.command)))
    return tag("section", parts, id="training")


def _training_table(runs: Sequence[TrainingRun], unit: Shown) -> Markup:
    rows = []
    for run in runs:
        score, rule = (
            run.fact("training", "validation", key) for key in ("mean_objective", "best_rule_mean_objective")
        )
        rule_name = run.fact("training", "validation", "best_rule")
        cells = [Cell(run.name, run.name), Cell(run.agent, run.agent)]
        cells += [_number(score, factor=unit.factor), _number(rule, str(rule_name or ""), unit.factor)]
        cells += [_number(run.fact("training", "validation", "worlds")), _number(run.fact("training", "decisions"))]
        seconds = run.fact("training", "seconds")
        minutes = round(seconds / 60, 1) if isinstance(seconds, int | float) else None
        device = str(run.fact("training", "device") or "")
        cells += [_number(minutes, device), _number(run.fact("training", "config", "seed"))]
        rows.append(cells)
    titles = [
        "run",
        "agent",
        "best validation objective",
        "best rule",
        "validation worlds",
        "decisions",
        "minutes",
        "seed",
    ]
    return sortable("Training runs", titles, rows)


def _number(value: Any, small: str = "", factor: float = 1.0) -> Cell:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(number_text(value * factor), float(value), (small,)) if known else Cell("–", None)


def _curves(document: Document, env: str, runs: Sequence[TrainingRun], unit: Shown) -> list[Markup]:
    """The validation objective, and whatever else was logged behind a fold."""
    parts = [
        tag("p", f"{run.name} holds no training logs: its card is all that is known.", class_="hint")
        for run in runs
        if not run.curves
    ]
    logged = [run for run in runs if run.curves]
    names = sorted(
        {name for run in logged for name in run.curves} - {BEST_RULE}, key=lambda name: (name != OBJECTIVE, name)
    )
    pictures = []
    for name in names[:_MOST_TAGS]:
        shown = unit if name.endswith("/objective") else Shown("", 1)
        found = curve_figure([run for run in logged if name in run.curves], name, shown)
        pictures.append(document.figure(f"{name} of the training runs on {env}", found))
    if names[:1] == [OBJECTIVE]:
        parts.append(pictures.pop(0))
    if pictures:
        parts.append(tag("details", tag("summary", "What else was logged"), pictures))
    left = names[_MOST_TAGS:]
    return [*parts, tag("p", f"Not shown: {', '.join(left)}.", class_="hint")] if left else parts
