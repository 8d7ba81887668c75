"""Fills a table of a page, between the marks of its name, from evaluations.

``python docs/results.py results/p0 results/p0.01 --page docs/job_shop_results.md --table swap``; ``--agents a,b`` takes
these agents alone. Where jobs can block each other for good, a column says how often that ended an episode.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from makespan.eval.publish import summarise


def per_cent(share: float) -> str:
    return f"{100.0 * share:.1f}"


def table(entries: list[dict[str, Any]], agents: list[str]) -> str:
    """One row per agent, one column per evaluation and one of its deadlocks; a dash where an agent does not play."""
    titles = []
    for entry in entries:
        options = [f"{key}={value}" for key, value in entry["env_options"].items() if key != "law"]
        titles += [", ".join(options) or "no breakdowns", *(["deadlocks"] if entry["deadlocks"] is not None else [])]
    lines = [f"| agent | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(titles)]
    for agent in agents or dict.fromkeys(agent for entry in entries for agent in entry["agents"]):
        cells = []
        for entry in entries:
            cells.append(cell(entry["agents"].get(agent), agent == entry["reference"]))
            if entry["deadlocks"] is not None:
                cells.append(str(entry["deadlocks"][agent]) if agent in entry["agents"] else "–")
        lines.append(f"| `{agent}` | {' | '.join(cells)} |")
    reference = " and ".join(dict.fromkeys(entry["reference"] for entry in entries))
    worlds = ", ".join(str(entry["worlds"]) for entry in entries)
    lines.append("")
    lines.append(
        "Mean gap to the proved optimum without breakdowns, in per cent; in brackets the mean difference to "
        f"`{reference}` on the same worlds, with its 95 % bootstrap interval. {worlds} worlds."
    )
    return "\n".join(lines)


def cell(line: dict[str, Any] | None, is_reference: bool) -> str:
    """``36.8 (-11.3 [-13.0, -9.5])``: the gap and the difference to the reference."""
    if line is None:
        return "–"
    gap = per_cent(line["gap"]["mean"])
    if is_reference:
        return gap
    mean, low, high = (per_cent(line["relative"][name]) for name in ("mean", "low", "high"))
    return f"{gap} ({mean} [{low}, {high}])"


def read(folder: Path) -> list[dict[str, Any]]:
    """What an evaluation came to, with the deadlocks of each agent where there can be any."""
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    entries = summarise(folder)
    for entry in entries:
        mine = [row for row in rows if row["env_options"] == entry["env_options"]]
        dead = Counter(row["agent"] for row in mine if row["metrics"].get("deadlock"))
        entry["deadlocks"] = dead if entry["env_options"].get("blocking") == "no-swap" else None
    return entries


def rewrite(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of this name."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Rewrite the block between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--agents", default="")
    given = parser.parse_args()
    entries = [entry for folder in given.folders for entry in read(folder)]
    rewrite(given.page, given.table, table(entries, given.agents.split(",") if given.agents else []))


if __name__ == "__main__":
    main()
