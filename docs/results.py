"""Fills the README's table of results from evaluations: ``python docs/results.py results/swap results/breakdowns``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from makespan.eval.publish import summarise

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def show(estimate: dict[str, Any]) -> str:
    """A share in per cent with its interval."""
    mean, low, high = (100.0 * estimate[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def table(entries: list[dict[str, Any]]) -> str:
    """One row per agent, two columns per evaluation; a dash where an agent does not play."""
    titles = []
    for entry in entries:
        options = ", ".join(f"{key}={value}" for key, value in entry["env_options"].items()) or "no breakdowns"
        titles.append(f"{options}: gap, %")
        titles.append(f"against {entry['reference']}, %")
    lines = [f"| agent | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(titles)]
    for agent in dict.fromkeys(agent for entry in entries for agent in entry["agents"]):
        cells = []
        for entry in entries:
            line = entry["agents"].get(agent)
            cells.append("–" if line is None else show(line["gap"]))
            own = agent == entry["reference"]
            cells.append("–" if line is None else "0" if own else show(line["relative"]))
        lines.append(f"| `{agent}` | {' | '.join(cells)} |")
    worlds = " and ".join(str(entry["worlds"]) for entry in entries)
    lines.append("")
    lines.append(
        f"Means over {worlds} worlds with 95 % bootstrap intervals; gaps are to proved optima without breakdowns."
    )
    return "\n".join(lines)


def main(folders: list[str]) -> None:
    """Rewrite the block between the marks."""
    entries = [entry for folder in folders for entry in summarise(Path(folder))]
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{table(entries)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
