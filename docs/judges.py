"""Compares agents on memory mapping by both judges: ``python docs/judges.py results/mm --page PAGE --table NAME``.

Plans are read from the evaluation's folder and judged anew. The first agent is the reference; what is not a tenth of a
per cent better or worse is a tie. Of several folders with the same reference all rows are put into one table, and a
column says the folder's name.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.eval.show import read_schedule
from makespan.eval.statistics import Bootstrap, relative

from results import rewrite

_TIE = 0.001


def judged(folder: Path) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The instances, and for each agent its run times by the queue and by equal shares, and its seconds a program."""
    rows = defaultdict(list)
    for row in json.loads((folder / "results.json").read_text(encoding="utf-8")):
        rows[row["agent"]].append(row)
    found = {}
    for agent, block in rows.items():
        times = [run_times(MemoryPlan.from_dict(read_schedule(folder, row))) for row in block]
        found[agent] = {
            "queue": np.array([x.judged_ps for x in times], dtype=np.float64),
            "shares": np.array([x.shared_ps for x in times], dtype=np.float64),
            "seconds": np.mean([row["seconds_per_decision"] * row["decisions"] for row in block]),
        }
    return [row["instance"] for row in next(iter(rows.values()))], found


def per_cent(share: float | None) -> str:
    """With its sign; a dash where there are too few programs for an interval."""
    return "–" if share is None else f"{100.0 * share:+.1f}"


def line(agent: str, times: dict[str, Any], reference: dict[str, Any], bootstrap: Bootstrap) -> str:
    """A row of the table."""
    differences = {judge: relative(times[judge], reference[judge]) for judge in ("queue", "shares")}
    cells = [
        f"{per_cent(x.mean)} [{per_cent(x.low)}, {per_cent(x.high)}]" for x in bootstrap.estimates(differences).values()
    ]
    queue = differences["queue"]
    won, lost = int((queue < -_TIE).sum()), int((queue > _TIE).sum())
    return (
        f"| `{agent}` | {cells[0]} | {won}/{len(queue) - won - lost}/{lost} | {cells[1]} | {times['seconds']:.2g} s |"
    )


def table(folders: Sequence[Path]) -> str:
    """All agents of one evaluation or of several."""
    several = len(folders) > 1
    head = ["agent", "run time by the queue, %", "won/tied/lost", "run time by equal shares, %", "a program"]
    lines = ["| on " * several + f"| {' | '.join(head)} |", "| --- " * several + "| --- | ---: | ---: | ---: | ---: |"]
    references, numbers = [], []
    for folder in folders:
        instances, found = judged(folder)
        bootstrap = Bootstrap(instances)
        reference, *others = found
        rows = [line(agent, found[agent], found[reference], bootstrap) for agent in others]
        lines += [f"| `{folder.name}` {row}" if several else row for row in rows]
        references.append(reference)
        numbers.append(len(instances))
    (reference,), (number,) = dict.fromkeys(references), dict.fromkeys(numbers)
    lines += [
        "",
        f"Mean differences to the reference `{reference}` on {number} programs, with 95 % bootstrap intervals.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Rewrite the block between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--table", required=True)
    given = parser.parse_args()
    rewrite(given.page, given.table, table(given.folders))


if __name__ == "__main__":
    main()
