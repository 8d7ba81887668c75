"""Writes the tables of the suite from the results in ``docs/data``: ``python docs/suite.py``; ``--check`` compares.

``python docs/suite.py results/full --note "two idle cores"`` first takes the results that ``makespan evaluate --suite
full --out results/full`` wrote, and what is to be said of the run. The README gets a table of scores by role,
``docs/suite_results.md`` a line for each agent.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from makespan.eval.report import markdown_table
from makespan.eval.statistics import Estimate
from makespan.eval.suite import BASELINE, load_suite
from makespan.eval.table import show_estimate, show_seconds
from tables import HERE, with_tables

LINES, ROLES, NOTE = (HERE / "data" / name for name in ("suite.csv", "suite_roles.csv", "suite_note.txt"))
WRITTEN = {LINES: "suite.csv", ROLES: "aggregate.csv"}

Row = Mapping[str, str]


def read(path: Path) -> list[Row]:
    """The rows of a file of results."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def estimate(row: Row, name: str) -> Estimate:
    """A mean with its interval; the count is not among what is told."""
    mean, low, high = (float(text) if (text := row[name + end]) else None for end in ("", "_low", "_high"))
    return Estimate(mean, low, high, 0)


def per_cent(row: Row, name: str, form: str = "{:.1f}") -> str:
    return show_estimate(estimate(row, name), form, " ", 100)


def command(suite: str) -> str:
    """How the results come about, and how they come here."""
    note = shlex.quote(NOTE.read_text(encoding="utf-8").strip())
    folder = f"results/{suite}"
    return f"```sh\nmakespan evaluate --suite {suite} --out {folder}\npython docs/suite.py {folder} --note {note}\n```"


def headline(lines: Sequence[Row], roles: Sequence[Row]) -> str:
    """Scores of roles on problems, and over all."""
    suite = roles[0]["suite"]
    played = [row["role"] for row in roles if row["role"] != BASELINE]
    table = []
    for _, group in groupby(lines, key=lambda row: row["problem"]):
        rows = list(group)
        by_role = {row["role"]: row for row in rows}
        title = f"{rows[0]['title']} ({rows[0]['worlds']})"
        table.append([title, *(per_cent(by_role[role], "score") if role in by_role else "–" for role in played)])
    for name, title in (
        ("interquartile_mean", "**interquartile mean**"),
        ("reference", "*`rule` on the same problems*"),
        ("improvement", "*better than `rule`*"),
    ):
        cells = [per_cent(row, name) for row in roles if row["role"] != BASELINE]
        table.append([title, *(cell.replace("-", "–") if cell == "-" else cell for cell in cells)])
    problems = ["problems", *(row["problems"] for row in roles if row["role"] != BASELINE)]
    titles = ["problem (worlds)", *played]
    text = "\n".join(markdown_table(titles, [*table, problems]))
    return f"{text}\n\n{_note(suite)}\n\n{command(suite)}\n"


def _note(suite: str) -> str:
    few = " Few instances: a look, no verdict." if suite == "quick" else ""
    return (
        f"**The {suite} suite, {NOTE.read_text(encoding='utf-8').strip()}.**{few} A *world* is an instance with a seed "
        "of its random events; all agents meet the same. A *score* says in per cent how far an agent gets from a "
        "baseline (0: random play; for memory mapping all in HBM) to a target (100: the best known objective or bound "
        "of the world, or where neither is known the best of these agents, which thus comes near 100 by construction). "
        "Brackets are 95 % bootstrap intervals over instances and worlds, not over training seeds. Columns cover "
        "different problems: compare each with `rule` on the same ones. *Better than `rule`*: probability of "
        "improvement."
    )


def agents(lines: Sequence[Row]) -> str:
    """A table for each problem, with a line for each agent."""
    suite = lines[0]["suite"]
    commands = {problem.name: problem.request.command() for problem in load_suite(suite).problems}
    titles = ["agent", "role", "score, %", "gap, %", "against `rule`, %", "wins, %", "a decision", "a world"]
    parts = [f"{_note(suite)}\n\n{command(suite)}\n"]
    for name, group in groupby(lines, key=lambda row: row["problem"]):
        rows = list(group)
        table = [
            [
                f"`{row['agent']}`",
                row["role"],
                per_cent(row, "score"),
                per_cent(row, "gap"),
                per_cent(row, "relative", "{:+.1f}"),
                per_cent(row, "win_rate", "{:.0f}"),
                *(show_seconds(float(row[key])) for key in ("seconds_per_decision", "seconds_per_world")),
            ]
            for row in rows
        ]
        first = rows[0]
        worlds = f"{first['worlds']} worlds, {first['instances']} instances; the target is {first['target']}."
        trouble = sum(int(row["unfinished"]) for row in rows)
        worlds += f" {trouble} episodes did not finish; their objectives are penalties." if trouble else ""
        parts.append(f"## {first['title']}\n\n```sh\n{commands[name]}\n```\n")
        parts.append("\n".join(markdown_table(titles, table)) + f"\n\n{worlds}\n")
    return "\n".join(parts)


def pages() -> dict[Path, dict[str, partial[str]]]:
    """The tables of each page, from the committed results."""
    lines, roles = read(LINES), read(ROLES)
    return {
        HERE.parent / "README.md": {"suite": partial(headline, lines, roles)},
        HERE / "suite_results.md": {"suite": partial(agents, lines)},
    }


def main() -> int:
    """Write the pages; with ``--check`` name those that differ and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--note", default="")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.folder is not None:
        if not given.note:
            parser.error("--note is missing: on what machine, and what else it had to do")
        for target, name in WRITTEN.items():
            target.write_bytes((given.folder / name).read_bytes())
        NOTE.write_text(given.note + "\n", encoding="utf-8")
    stale = []
    for path, tables in pages().items():
        old = path.read_text(encoding="utf-8")
        new = with_tables(old, dict(tables))
        if new != old:
            stale.append(path.name)
            if not given.check:
                path.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"{name} {'differs from the results: run python docs/suite.py' if given.check else 'written'}")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
