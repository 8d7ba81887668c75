"""Writes an evaluation: results.json, results.csv, summary.md and pictures; each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.core.errors import MissingExtraError
from ..envs.core.files import atomic_write
from ..envs.core.names import Name
from .evaluate import ROW_KEYS
from .plan import Plan
from .store import read_run
from .table import Table, cells, headings, make_notes, make_tables


@dataclass(frozen=True)
class Report:
    """An evaluation that is done.

    Attributes:
        plan: what was played.
        rows: by variant, agent and case.
        tables: one per variant.
        notes: sentences that belong to them.
    """

    plan: Plan
    rows: Sequence[dict[str, Any]]
    tables: Sequence[Table]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "rows": list(self.rows),
            "tables": [table.to_dict() for table in self.tables],
            "notes": list(self.notes),
        }


def report_of(plan: Plan, rows: Sequence[dict[str, Any]]) -> Report:
    """The report of a plan that is played."""
    tables = make_tables(plan, rows)
    return Report(plan, rows, tables, make_notes(plan, rows, tables))


def write_report(folder: Path, report: Report) -> list[str]:
    """Write everything into an evaluation's folder.

    Returns:
        Sentences about what could not be drawn.

    Raises:
        UserError: a file cannot be written.
    """
    atomic_write(folder / "results.json", _json_rows(report.rows))
    atomic_write(folder / "results.csv", csv_rows(report.rows, ROW_KEYS))
    try:
        from .pictures import draw_pictures

        pictures, remarks = draw_pictures(folder, report)
    except MissingExtraError as error:
        pictures, remarks = [], [f"No pictures: {error}"]
    sections = [(str(table.variant), headings(table), cells(table)) for table in report.tables]
    notes = [*report.notes, *remarks]
    atomic_write(folder / "summary.md", summary(read_run(folder), sections, notes, pictures))
    return remarks


def _json_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """A list with a row per line."""
    return "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n"


def csv_rows(rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> str:
    """The rows with a column per key and per metric; None is empty, options read as on the command line.

    Args:
        first: keys whose columns come before the others.
    """
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys([*(key for key in first if key != "metrics"), *(key for row in flat for key in row)]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in row.items() if key != "metrics"}
    found["env_options"] = str(Name("", row["env_options"])).removeprefix(":")
    found.update({f"metrics.{key}": _scalar(value) for key, value in row["metrics"].items()})
    return {key: _scalar(value) for key, value in found.items()}


def _scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, list | dict) else value


def summary(
    run: Mapping[str, Any],
    sections: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
    notes: Sequence[str],
    pictures: Sequence[str],
) -> str:
    """An evaluation as a page of Markdown.

    Args:
        run: the folder's record.
        sections: a table each: its title, the titles of its columns, its lines.
        notes: sentences that belong to them.
        pictures: paths within the folder.
    """
    lines = ["# Evaluation", "", "```", str(run["command"]), "```", ""]
    for title, columns, table in sections:
        lines += [f"## {title}", "", *markdown_table(columns, table), ""]
    lines += [f"- {note}" for note in notes]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines += ["", f"Begun {run['created']} on {run.get('machine', 'an unknown machine')} with {versions}.", ""]
    for picture in pictures:
        lines += [f"![{Path(picture).stem}]({picture})", ""]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, the first column to the left."""
    rows = [titles, ["---", *("---:" for _ in titles[1:])], *lines]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
