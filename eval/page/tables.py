"""The tables of a report: cells for people, and beside each what it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..statistics import Bootstrap, Estimate
from ..table import AgentLine, Table, decimals, show_estimate, show_objective, show_seconds
from .compare import Rows, target_counts, target_text
from .markup import Markup, tag

_DIGITS = 5


class Cell(NamedTuple):
    """What stands in a table.

    Attributes:
        text: for people.
        order: what the column is sorted by: a number or a text; None comes last.
        small: said below it, smaller, a line each.
    """

    text: object
    order: float | str | None
    small: tuple[str, ...] = ()


def sortable(caption: str, titles: Sequence[str], rows: Sequence[Sequence[Cell]], marked: int | None = None) -> Markup:
    """A table whose rows can be sorted by each column once scripts run; its first column names the rows.

    Args:
        caption: what it shows, for those who hear it.
        titles: of the columns.
        rows: their cells.
        marked: the row that the others are compared with.
    """
    numbers = [not any(isinstance(row[column].order, str) for row in rows) for column in range(len(titles))]
    heads = [
        tag("th", tag("button", title, type="button"), scope="col", aria_sort="none", class_=_class(number))
        for title, number in zip(titles, numbers, strict=True)
    ]
    body = [
        tag(
            "tr",
            [_cell(cell, column == 0, numbers[column]) for column, cell in enumerate(row)],
            class_="marked" if r == marked else None,
        )
        for r, row in enumerate(rows)
    ]
    head = tag("thead", tag("tr", heads))
    table = tag("table", tag("caption", caption), head, tag("tbody", body), class_="sortable")
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _class(is_number: bool) -> str | None:
    return "number" if is_number else None


def _cell(cell: Cell, is_heading: bool, is_number: bool) -> Markup:
    small = [tag("small", line) for line in cell.small if line]
    data = None if cell.order is None else cell.order if isinstance(cell.order, str) else repr(float(cell.order))
    if is_heading:
        return tag("th", cell.text, small, scope="row", data_order=data)
    return tag("td", cell.text, small, class_=_class(is_number), data_order=data)


def estimate_cell(estimate: Estimate, form: str, factor: float = 1.0) -> Cell:
    """A mean with its interval below it."""
    if estimate.mean is None:
        return Cell("–", None)
    text, _, interval = show_estimate(estimate, form, "\n", factor).partition("\n")
    return Cell(text, estimate.mean, (interval,))


def agent_table(table: Table, blocks: Sequence[Rows], caption: str) -> Markup:
    """A line per agent with everything that is measured of it."""
    better = "smaller" if table.sense == "min" else "larger"
    is_reference = [line.agent == table.reference for line in table.lines]
    columns = {
        "agent": [
            Cell(line.agent, line.agent, ("reference",) if known else ())
            for line, known in zip(table.lines, is_reference, strict=True)
        ],
        f"{table.shown.title('objective')}, {better} is better": [_objective(table, line) for line in table.lines],
        **_gaps(table, blocks),
        **differences(table, blocks),
        "win rate": [
            Cell("–", 0.5) if known else estimate_cell(line.win_rate, "{:.0f} %", 100)
            for line, known in zip(table.lines, is_reference, strict=True)
        ],
        "time per decision": [Cell(show_seconds(s), s) for s in (line.seconds_per_decision for line in table.lines)],
        "n": [_count(rows) for rows in blocks],
    }
    if any(line.invalid or line.unfinished for line in table.lines):
        columns["invalid"] = [Cell(line.invalid, line.invalid) for line in table.lines]
        columns["unfinished"] = [Cell(line.unfinished, line.unfinished) for line in table.lines]
    return sortable(caption, list(columns), list(zip(*columns.values(), strict=True)), is_reference.index(True))


def differences(table: Table, blocks: Sequence[Rows]) -> dict[str, list[Cell]]:
    """The column of paired differences to the reference, by its title.

    They are shares of the reference's objective; where that is not above 0 in every world shares would mislead, and
    they are in the objective's unit.
    """
    ours = [np.array([row["objective"] for row in rows], dtype=np.float64) for rows in blocks]
    theirs = next(values for values, line in zip(ours, table.lines, strict=True) if line.agent == table.reference)
    if (theirs > 0).all():
        title, found = "paired difference to the reference", [line.relative for line in table.lines]
        cells = [estimate_cell(one, "{:+.1f} %", 100) for one in found]
    else:
        title = f"paired difference to the reference ({table.shown.unit})"
        bootstrap = Bootstrap([row["instance"] or f"seed {row['seed']}" for row in blocks[0]])
        found = [bootstrap.estimate(values - theirs).times(table.shown.factor) for values in ours]
        cells = [estimate_cell(one, decimals(one.mean, _DIGITS).replace("{:", "{:+")) for one in found]
    pairs = zip(cells, table.lines, strict=True)
    return {title: [Cell("–", 0.0) if line.agent == table.reference else cell for cell, line in pairs]}


def _objective(table: Table, line: AgentLine) -> Cell:
    text, _, interval = show_objective(line.objective, table.shown, _DIGITS, "\n").partition("\n")
    return Cell(text, line.objective.mean, (interval,))


def _gaps(table: Table, blocks: Sequence[Rows]) -> dict[str, list[Cell]]:
    """The columns of distances to what is best, as far as there are any."""
    columns: dict[str, list[Cell]] = {}
    if any(line.gap.count for line in table.lines):
        cells = [estimate_cell(line.gap, "{:.1f} %", 100) for line in table.lines]
        counts = [target_counts(rows) for rows in blocks]
        title = f"gap to the {target_text([row for rows in blocks for row in rows])}"
        pairs = zip(cells, counts, strict=True)
        columns[title] = [Cell(cell.text, cell.order, (*cell.small, *count)) for cell, count in pairs]
    if any(line.score is not None for line in table.lines):
        columns["score"] = [_optional(line.score) for line in table.lines]
    if any(line.above_hindsight is not None for line in table.lines):
        columns["above the hindsight optimum"] = [_hindsight(line.above_hindsight) for line in table.lines]
    return columns


def _optional(estimate: Estimate | None) -> Cell:
    return Cell("–", None) if estimate is None else estimate_cell(estimate, "{:.1f} %", 100)


def _hindsight(estimate: Estimate | None) -> Cell:
    cell = _optional(estimate)
    return Cell(cell.text, cell.order, (*cell.small, f"{0 if estimate is None else estimate.count} proved"))


def _count(rows: Rows) -> Cell:
    instances = len({row["instance"] for row in rows})
    return Cell(len(rows), len(rows), (f"{instances} instance{'' if instances == 1 else 's'}",))
