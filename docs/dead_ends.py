"""What dead ends cost without Drop-backup: ``python docs/dead_ends.py results/dead --page PAGE --table NAME``.

The folder holds an evaluation of memory mapping with ``--sweep dead_end=backup,terminate``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from makespan.eval.statistics import Bootstrap

from results import rewrite

Rows = list[dict[str, Any]]


def line(agent: str, backup: Rows, terminate: Rows) -> str:
    """A row of the table: how many end dead, gaps with intervals, and what Drop-backup did where plays would have."""
    dead = np.array([row["metrics"]["dead_end"] for row in terminate])
    gaps = {"backup": [row["gap"] for row in backup], "terminate": [row["gap"] for row in terminate]}
    bootstrap = Bootstrap([row["instance"] for row in backup])
    cells = [
        f"{100.0 * x.mean:.1f} [{100.0 * x.low:.1f}, {100.0 * x.high:.1f}]"
        if x.low is not None and x.high is not None
        else f"{100.0 * x.mean:.1f}"
        for x in bootstrap.estimates(gaps).values()
        if x.mean is not None
    ]
    backups = [row["metrics"]["backups"] for row in backup]
    decided = [
        row["metrics"]["decisions"] / whole["metrics"]["decisions"]
        for row, whole, ended in zip(terminate, backup, dead, strict=True)
        if ended
    ]
    after = f"{100.0 * float(np.mean(decided)):.0f} %" if decided else "–"
    return (
        f"| `{agent}` | {int(dead.sum())} of {len(dead)} | {after} | {cells[1]} | {cells[0]} | {np.mean(backups):.1f} |"
    )


def table(rows: Rows) -> str:
    """All agents of an evaluation."""
    lines = [
        "| agent | dead ends | decided by then | gap without, % | gap with Drop-backup, % | backups a program |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for agent in dict.fromkeys(row["agent"] for row in rows):
        mine = {
            how: [row for row in rows if row["agent"] == agent and row["env_options"]["dead_end"] == how]
            for how in ("backup", "terminate")
        }
        lines.append(line(agent, mine["backup"], mine["terminate"]))
    lines += [
        "",
        "Gaps to the best known plan, with 95 % bootstrap intervals; a dead end counts as twice the all-HBM run time.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Rewrite the block between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--table", required=True)
    given = parser.parse_args()
    rows = json.loads((given.folder / "results.json").read_text(encoding="utf-8"))
    rewrite(given.page, given.table, table(rows))


if __name__ == "__main__":
    main()
