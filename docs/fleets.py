"""Tables of air mobility from an evaluation's folder, in dollars.

``python docs/fleets.py results/air --page docs/air_mobility_results.md --table networks`` writes a table between the
marks of that name: a row per instance, a column per agent, each with the mean profit of a day and the mean difference
to the reference on the same days. With ``--days`` a block of rows for each instance instead: profit, difference, what
is closed of the way from a random dispatcher to the bound, shares of the best day known in hindsight and of the bound
(where the evaluation looked for them, ``--hindsight``), and what the days were like. With ``--by-seed`` runs that
differ by the number at the end of their name share a column.
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
_DOLLAR = 1e6  # micro-dollars


def read(folders: list[Path]) -> Rows:
    """Rows of evaluations by seed, of a day that several played the first; instances are named with swept options."""
    rows = [row for folder in folders for row in json.loads((folder / "results.json").read_text(encoding="utf-8"))]
    swept = [name for name in rows[0]["env_options"] if len({row["env_options"][name] for row in rows}) > 1]
    for row in rows:
        row["instance"] += "".join(f", {name} {row['env_options'][name]}" for name in swept)
    first: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in rows:
        first.setdefault((row["agent"], row["instance"], row["seed"]), row)
    return sorted(first.values(), key=lambda row: row["seed"])


def profits(rows: Rows) -> np.ndarray[Any, Any]:
    return np.array([row["objective"] for row in rows], dtype=np.float64) / _DOLLAR


def mean(rows: Rows, name: str) -> float:
    return float(np.mean([row["metrics"][name] for row in rows]))


def difference(mine: Rows, yours: Rows) -> str:
    """Mean difference in dollars on the same days, with its interval."""
    if [row["seed"] for row in mine] != [row["seed"] for row in yours]:
        raise SystemExit(f"{mine[0]['agent']} and {yours[0]['agent']} played different days of {mine[0]['instance']}")
    return interval(profits(mine) - profits(yours), yours)


def interval(differences: np.ndarray[Any, Any], rows: Rows) -> str:
    """Mean of a difference in dollars on the days of some rows, with its interval."""
    found = Bootstrap([row["instance"] for row in rows]).estimates({"": differences})[""]
    if found.low is None:  # a single day
        return f"{found.mean:+,.0f}"
    return f"{found.mean:+,.0f} [{found.low:+,.0f}, {found.high:+,.0f}]"


def chosen(rows: Rows, agent: str, instance: str) -> Rows:
    return [row for row in rows if row["agent"] == agent and row["instance"] == instance]


def seeds(rows: Rows, reference: str, agents: list[str], instances: list[str]) -> str:
    """A row per instance, a column per agent; runs that differ by a number at the end of their name are one agent."""
    groups: dict[str, list[str]] = {}
    for agent in agents:
        groups.setdefault(re.sub(r"-\d+$", "", agent), []).append(agent)
    lines = [f"| | {' | '.join(f'`{group}`' for group in groups)} |", "| --- |" + " ---: |" * len(groups)]
    for instance in instances:
        yours, cells = chosen(rows, reference, instance), []
        for members in groups.values():
            each = [chosen(rows, agent, instance) for agent in members]
            played = np.array([profits(mine) for mine in each])
            told = "" if members == [reference] else f"; {interval(played.mean(axis=0) - profits(yours), yours)}"
            spread = f" ({', '.join(f'{profit:,.0f}' for profit in played.mean(axis=1))})" if len(members) > 1 else ""
            cells.append(f"{played.mean():,.0f}{spread}{told}")
        lines.append(f"| {instance} | {' | '.join(cells)} |")
    days = len(chosen(rows, reference, instances[0]))
    lines += [
        "",
        f"Mean profit of a day in dollars over the seeds (and of each); mean difference to `{reference}` on the same "
        f"{days} days, with 95 % bootstrap intervals over days.",
    ]
    return "\n".join(lines)


def networks(rows: Rows, reference: str, agents: list[str], instances: list[str]) -> str:
    """A row per instance, a column per agent."""
    lines = [f"| | {' | '.join(f'`{agent}`' for agent in agents)} |", "| --- |" + " ---: |" * len(agents)]
    for instance in instances:
        yours, cells = chosen(rows, reference, instance), []
        for agent in agents:
            mine = chosen(rows, agent, instance)
            told = "" if agent == reference or not mine else f"; {difference(mine, yours)}"
            cells.append(f"{profits(mine).mean():,.0f}{told}" if mine else "–")
        lines.append(f"| {instance} | {' | '.join(cells)} |")
    days = len(chosen(rows, reference, instances[0]))
    lines += [
        "",
        f"Mean profit of a day in dollars; mean difference to `{reference}` on the same {days} days, with 95 % "
        "bootstrap intervals over days.",
    ]
    return "\n".join(lines)


def share(parts: np.ndarray[Any, Any], wholes: np.ndarray[Any, Any] | None) -> str:
    """Mean of the parts over that of the wholes; a single day's whole may be next to nothing."""
    return "–" if wholes is None else f"{100 * parts.mean() / wholes.mean():.0f} %"


def milliseconds(seconds: float) -> str:
    """Two digits, and all those before the point."""
    return f"{1e3 * seconds:.0f} ms" if seconds >= 0.01 else f"{1e3 * seconds:.2g} ms"


def known(rows: Rows, name: str) -> np.ndarray[Any, Any] | None:
    """A figure of each day in dollars; None where a day lacks it."""
    values = [row.get(name) for row in rows]
    return None if None in values else np.array(values, dtype=np.float64) / _DOLLAR


def days(rows: Rows, reference: str, agents: list[str], instances: list[str]) -> str:
    """A block of rows per instance."""
    lines = [
        "| instance, agent | profit, $ | difference, $ | gap closed | of the hindsight day | of the bound | served "
        "| empty flights | MWh | a decision |",
        "| --- |" + " ---: |" * 9,
    ]
    for instance in instances:
        yours, chance = chosen(rows, reference, instance), chosen(rows, "random", instance)
        best, bound = known(yours, "hindsight_objective"), known(yours, "hindsight_bound")
        least = profits(chance) if chance else None
        if best is not None and bound is not None:
            closed = "–" if least is None else share(best - least, bound - least)
            lines.append(
                f"| {instance}, *hindsight day* | {best.mean():,.0f} | – | {closed} | 100 % | {share(best, bound)} "
                "| | | | |"
            )
        for agent in agents:
            mine = chosen(rows, agent, instance)
            if not mine:
                continue
            profit = profits(mine)
            closed = "–" if least is None or bound is None else share(profit - least, bound - least)
            served = 100 * mean(mine, "served_share")
            empty = 100 * mean(mine, "empty_flights") / max(mean(mine, "flights"), 1e-9)
            seconds = float(np.mean([row["seconds_per_decision"] for row in mine]))
            told = "(reference)" if agent == reference else difference(mine, yours)
            lines.append(
                f"| {instance}, `{agent}` | {profit.mean():,.0f} | {told} | {closed} | {share(profit, best)} "
                f"| {share(profit, bound)} | {served:.0f} % | {empty:.0f} % | {mean(mine, 'energy_kwh') / 1e3:.1f} "
                f"| {milliseconds(seconds)} |"
            )
    counts = {len(chosen(rows, reference, instance)) for instance in instances}
    lines += [
        "",
        f"Means of {' or '.join(map(str, sorted(counts)))} days each; differences to `{reference}` on the same days "
        "with 95 % bootstrap intervals. Gap closed: (profit - random) / (bound - random) of the means.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--agents", default="")
    parser.add_argument("--instances", default="")
    parser.add_argument("--reference", default="lookahead-greedy")
    parser.add_argument("--days", action="store_true")
    parser.add_argument("--by-seed", action="store_true")
    given = parser.parse_args()
    rows = read(given.folders)
    agents = [name for name in given.agents.split(",") if name] or list(dict.fromkeys(row["agent"] for row in rows))
    instances = [n for n in given.instances.split(",") if n] or list(dict.fromkeys(row["instance"] for row in rows))
    make = days if given.days else seeds if given.by_seed else networks
    rewrite(given.page, given.table, make(rows, given.reference, agents, instances))


if __name__ == "__main__":
    main()
