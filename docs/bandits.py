"""Tables of restless bandits from evaluations' folders.

``python docs/bandits.py results/ban-capacity-20 results/ban-capacity-40 --page docs/restless_bandits_results.md --table
families`` writes a table between the marks of that name: a row per agent, a column per folder, each with the mean score
between doing nothing and the bound, which is named below, and the mean difference to the reference on the same worlds,
in per cent of it.
``--claims`` writes, for each folder, what SEQUOIA gains on the best of the paper's baselines, and what training gains
instead. Runs are called by what they are: ``runs/capacity-iterative/best`` is "iterative DQN".
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from makespan.eval.statistics import Bootstrap

from results import rewrite

Rows = list[dict[str, Any]]
NAMES = {
    "sampled": "DQN on sampled actions",
    "iterative": "iterative DQN",
    "noindex": "SEQUOIA without the index",
    "sequoia": "SEQUOIA",
    "ppo": "PPO on the sequential view",
    "muzero": "MuZero-lite on the sequential view",
}
PAPER = ("null", "random-feasible", "sampled-best", "myopic-exact", NAMES["iterative"], NAMES["sampled"])
UNTRAINED, TRAINED = "index-milp", NAMES["sequoia"]


def called(agent: str) -> str:
    """How tables call an agent."""
    found = re.match(r"runs/[a-z]+-([a-z]+)", agent)
    if found:
        return NAMES.get(found[1], found[1]) + (", without search" if agent.endswith(":simulations=0") else "")
    if agent.startswith("checkpoints/"):
        return TRAINED if "sequoia" in agent else "scorer"
    return agent.removesuffix(":time=1")  # of programs on long walks


def read(folder: Path) -> dict[str, Rows]:
    """The rows of each agent, in the order of their worlds."""
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    agents: dict[str, Rows] = {}
    for row in sorted(rows, key=lambda row: (row["instance"], row["seed"])):
        agents.setdefault(called(row["agent"]), []).append(row)
    return agents


def bounds(folders: list[Path], read_all: list[dict[str, Rows]]) -> str:
    """How the folders' bounds were made: "Bounds: `hull` (sigmoid, J = 20), `rows` (sigmoid, J = 40)."."""
    names = [sorted({row["expected_bound_name"] for rows in agents.values() for row in rows}) for agents in read_all]
    made = ["`" + "` and `".join(one) + "`" for one in names]
    if len(set(made)) == 1:
        return f"Bound: {made[0]}."
    return f"Bounds: {', '.join(f'{one} ({_title(folder)})' for folder, one in zip(folders, made, strict=True))}."


def returns(rows: Rows) -> np.ndarray[Any, Any]:
    return np.array([row["objective"] for row in rows], dtype=np.float64)


def relative(mine: Rows, yours: Rows) -> str:
    """The mean of mine / yours - 1 over instances, in per cent, with its interval."""
    worlds = [(row["instance"], row["seed"]) for row in mine]
    if worlds != [(row["instance"], row["seed"]) for row in yours]:
        raise SystemExit(f"{mine[0]['agent']} and {yours[0]['agent']} met different worlds")
    instances = [row["instance"] for row in mine]
    theirs = {name: np.mean([row["objective"] for row in yours if row["instance"] == name]) for name in set(instances)}
    share = (returns(mine) - returns(yours)) / np.array([theirs[name] for name in instances])
    found = Bootstrap(instances).estimates({"": 100.0 * share})[""]
    return f"{found.mean:+.1f} % [{found.low:+.1f}, {found.high:+.1f}]"


def _title(folder: Path) -> str:
    """What a folder holds: ``ban-capacity-20`` is "capacity, J = 20"."""
    _, family, *rest = folder.name.split("-")
    return f"{family}, J = {rest[0]}" if rest and rest[0].isdecimal() else family


def by_agent(folders: list[Path], reference: str) -> list[str]:
    """A row per agent, a column per folder."""
    read_all = {folder: read(folder) for folder in folders}
    names = list(dict.fromkeys(name for agents in read_all.values() for name in agents))
    head = [_title(folder) for folder in folders]
    lines = ["| agent | " + " | ".join(head) + " |", "| --- |" + " --- |" * len(folders)]
    for name in names:
        cells = []
        for agents in read_all.values():
            if name not in agents:
                cells.append("–")
                continue
            score = 100 * np.mean([row["score"] for row in agents[name]])
            gain = "" if name == reference else f"; {relative(agents[name], agents[reference])}"
            cells.append(f"{score:.1f}{gain}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    worlds = ", ".join(str(len(agents[reference])) for agents in read_all.values())
    return [
        *lines,
        "",
        "Score in per cent of the way from doing nothing to the bound; difference of the return to "
        f"`{reference}` on the same worlds, over its mean on the instance, with its 95 % bootstrap interval over "
        f"instances. {worlds} worlds. {bounds(folders, list(read_all.values()))}",
    ]


def claims(folders: list[Path]) -> list[str]:
    """What SEQUOIA gains on the best of the paper's baselines, and what training gains."""
    lines = [
        "| | best of the paper's baselines | SEQUOIA over it | over the best that learns nothing "
        "| trained over untrained | without the index over untrained |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    gains, over_plain = [], []
    for folder in folders:
        agents = read(folder)
        there = [name for name in PAPER if name in agents]
        best = max(there, key=lambda name: returns(agents[name]).mean())
        plain = max((name for name in there if "DQN" not in name), key=lambda name: returns(agents[name]).mean())
        mine, index = agents[TRAINED], agents[UNTRAINED]
        without = agents.get(NAMES["noindex"])
        gains.append(returns(mine).mean() / returns(agents[best]).mean() - 1)
        over_plain.append(returns(mine).mean() / returns(agents[plain]).mean() - 1)
        lines.append(
            f"| {_title(folder)} | {best} | {relative(mine, agents[best])} | "
            f"{relative(mine, agents[plain])} ({plain}) | {relative(mine, index)} | "
            f"{'–' if without is None else relative(without, index)} |"
        )
    return [
        *lines,
        "",
        f"Means over the rows: {100 * np.mean(gains):+.1f} % over the best baseline, "
        f"{100 * np.mean(over_plain):+.1f} % over the best that learns nothing. Differences as above.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--reference", default=UNTRAINED)
    parser.add_argument("--claims", action="store_true")
    given = parser.parse_args()
    lines = claims(given.folders) if given.claims else by_agent(given.folders, given.reference)
    rewrite(given.page, given.table, "\n".join(lines))


if __name__ == "__main__":
    main()
