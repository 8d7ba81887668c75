"""Tables and pictures of streams on a chip, from an evaluation's folder.

``python docs/chips.py results/soc --page docs/soc_results.md --table load`` writes a table between the marks of that
name: a row per agent and choice of the other swept options, a column per value of the first, each with the objective's
mean difference to the reference, the mean latency and the jobs completed; with ``--each`` for each instance by itself,
with ``--seeds 2`` for each two seeds that follow each other.
``--pareto docs/images/pareto.png`` draws mean latency against energy per completed job instead, a line per agent over
the levels of the sweep ``dvfs``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from makespan.eval.pictures import new_figure, save
from makespan.eval.statistics import Bootstrap, relative

from results import rewrite

Rows = list[dict[str, Any]]
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#4D4D4D")
_DAG = re.compile(r"random-[a-z-]+-(?P<tasks>[0-9]+)x[0-9]+-c[0-9.]+-b(?P<beta>[0-9.]+)-")
_MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*", "<", ">", "p")


def read(folder: Path) -> Rows:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def swept(rows: Rows) -> list[str]:
    """The options that differ between rows."""
    names = rows[0]["env_options"].keys()
    return [name for name in names if len({row["env_options"][name] for row in rows}) > 1]


def by(rows: Rows, options: list[str]) -> dict[tuple[Any, ...], dict[str, Rows]]:
    """Rows by the values of options, then by agent, each in the order in which they stand."""
    found: dict[tuple[Any, ...], dict[str, Rows]] = {}
    for row in rows:
        key = tuple(row["env_options"][name] for name in options)
        found.setdefault(key, defaultdict(list))[row["agent"]].append(row)
    return found


def mean(rows: Rows, name: str) -> float:
    """Of a metric, over the worlds that have one."""
    values = [row["metrics"][name] for row in rows if row["metrics"][name] is not None]
    return float(np.mean(values)) if values else float("nan")


def costs(rows: Rows) -> np.ndarray[Any, Any]:
    return np.array([row["objective"] for row in rows], dtype=np.float64)


def per_cent(share: float | None) -> str:
    return "–" if share is None else f"{100.0 * share:+.1f}"


def cell(rows: Rows, reference: Rows) -> str:
    """Difference to the reference with its interval; mean latency; completed jobs."""
    latency = mean(rows, "mean_latency")
    told = f"{'–' if np.isnan(latency) else f'{latency:.0f}'} / {mean(rows, 'completed'):.1f}"
    if rows[0]["agent"] == reference[0]["agent"]:
        return f"{told} (reference)"
    bootstrap = Bootstrap([row["instance"] for row in reference])
    found = bootstrap.estimates({"": relative(costs(rows), costs(reference))})[""]
    return f"{per_cent(found.mean)} [{per_cent(found.low)}, {per_cent(found.high)}]; {told}"


def table(rows: Rows, reference: str | None, agents: list[str]) -> str:
    """All agents: a column for each value of the first swept option, a block of rows for each choice of the others."""
    first, *others = swept(rows) or ["horizon"]
    columns = list(dict.fromkeys(row["env_options"].get(first) for row in rows))
    names = agents or list(dict.fromkeys(row["agent"] for row in rows))
    reference = reference or names[0]
    titles = [f"{first} {value}" for value in columns]
    lines = [f"| {', '.join([*others, 'agent'])} | {' | '.join(titles)} |", "| --- |" + " --- |" * len(titles)]
    for choice, block in by(rows, others).items():
        told = "".join(f"{value}, " for value in choice)
        for agent in names:
            cells = []
            for value in columns:
                mine, yours = (
                    [row for row in block[name] if row["env_options"].get(first) == value]
                    for name in (agent, reference)
                )
                cells.append(cell(mine, yours) if mine else "–")
            lines.append(f"| {told}`{agent}` | {' | '.join(cells)} |")
    worlds = len(rows) // len({(row["agent"], str(row["env_options"])) for row in rows})
    lines += [
        "",
        f"Per cent by which the sum of latencies differs from `{reference}` on the same {worlds} worlds, with 95 % "
        "bootstrap intervals; mean latency in µs of completed jobs after the warm-up / completed jobs.",
    ]
    return "\n".join(lines)


def plans(rows: Rows, reference: str | None, agents: list[str], times: bool) -> str:
    """A row per agent: its mean difference to the reference on all DAGs, by their tasks and by beta; time of a plan."""
    names = agents or list(dict.fromkeys(row["agent"] for row in rows))
    blocks = {name: [row for row in rows if row["agent"] == name] for name in names}
    yours = blocks[reference or names[0]]
    bootstrap = Bootstrap([row["instance"] for row in yours])
    kinds = [_DAG.match(row["instance"]) for row in yours]
    groups = [(name, value) for name in ("tasks", "beta") for value in sorted({float(k[name]) for k in kinds if k})]
    titles = [
        f"{'β ' if name == 'beta' else ''}{value:g}{' tasks' if name == 'tasks' else ''}" for name, value in groups
    ]
    heads = ["all", *titles, *["a plan"] * times]
    lines = [f"| agent | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for name, mine in blocks.items():
        shares = np.array(relative(costs(mine), costs(yours)), dtype=np.float64)
        every = bootstrap.estimates({"": shares})[""]
        cells = [f"{per_cent(every.mean)} [{per_cent(every.low)}, {per_cent(every.high)}]"]
        for group, value in groups:
            chosen = [bool(kind) and float(kind[group]) == value for kind in kinds]
            cells.append(per_cent(float(shares[chosen].mean())))
        if times:
            seconds = float(np.mean([row["seconds_per_decision"] * row["decisions"] for row in mine]))
            cells.append(f"{1e3 * seconds:.2g} ms")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += [
        "",
        f"Per cent by which makespans differ from those of `{yours[0]['agent']}`, on the mean of {len(yours)} DAGs, "
        "with 95 % bootstrap intervals.",
    ]
    return "\n".join(lines)


def pareto(rows: Rows, target: Path) -> None:
    """Mean latency against energy per completed job, a line per agent over the levels."""
    figure = new_figure(8.0, 5.0)
    axes = figure.add_subplot(1, 1, 1)
    blocks = by(rows, ["dvfs"])
    for number, agent in enumerate(next(iter(blocks.values()))):
        points = []
        for block in blocks.values():
            mine = block[agent]
            energy = np.mean([row["metrics"]["energy"] / max(row["metrics"]["completed"], 1) for row in mine]) / 1e3
            points.append((mean(mine, "mean_latency"), float(energy)))
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=agent,
            linewidth=1.2,
            markersize=6,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
        )
        if number == 0:
            for (x, y), (level,) in zip(points, blocks, strict=True):
                axes.annotate(f"dvfs={level}", (x, y), textcoords="offset points", xytext=(6, 6), fontsize=8)
    axes.set_xlabel("mean latency of completed jobs, µs")
    axes.set_ylabel("energy per completed job, µJ")
    axes.grid(linewidth=0.4, color="#CCCCCC")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    save(figure, target)


def main() -> None:
    """Write the table between the marks, or the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--table")
    parser.add_argument("--reference")
    parser.add_argument("--agents", default="")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--pareto", type=Path)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--times", action="store_true")
    given = parser.parse_args()
    rows = read(given.folder)
    if given.pareto:
        pareto(rows, given.pareto)
        return
    if given.each:
        for row in rows:
            row["env_options"]["instance"] = row["instance"]
    if given.seeds:
        for row in rows:
            first = row["seed"] // given.seeds * given.seeds
            row["env_options"]["seeds"] = f"seeds {first}-{first + given.seeds - 1}"
    agents = [name for name in given.agents.split(",") if name]
    text = plans(rows, given.reference, agents, given.times) if given.static else table(rows, given.reference, agents)
    if given.page:
        rewrite(given.page, given.table, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
