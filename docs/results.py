"""Fills the README's table of results from evaluations: ``python docs/results.py results/swap results/breakdowns``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from makespan.eval.publish import summarise

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def per_cent(share: float) -> str:
    return f"{100.0 * share:.1f}"


def table(entries: list[dict[str, Any]]) -> str:
    """One row per agent, one column per evaluation; a dash where an agent does not play."""
    titles = [
        ", ".join(f"{key}={value}" for key, value in entry["env_options"].items() if key != "law") or "no breakdowns"
        for entry in entries
    ]
    lines = [f"| agent | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(titles)]
    for agent in dict.fromkeys(agent for entry in entries for agent in entry["agents"]):
        cells = [cell(entry["agents"].get(agent), agent == entry["reference"]) for entry in entries]
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


def main(folders: list[str]) -> None:
    """Rewrite the block between the marks."""
    entries = [entry for folder in folders for entry in summarise(Path(folder))]
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{table(entries)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
