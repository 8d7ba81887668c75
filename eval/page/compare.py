"""Pictures that compare agents: gaps world by world, and the share of worlds within each gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..aggregate import Aggregate, Task
from ..table import Table, show_seconds
from .charts import number_text
from .markup import plot_text
from .style import INK_COLOUR, MUTED, SURFACE, axis, layout, look, pale

OPTIMUM, BEST_KNOWN, BOUND, NONE = "optimum", "best known", "proved bound", "none"

_MOST_DOTS = 400
_STEPS = 200
_ROW = 52  # pixels per agent
_SPREAD = 0.22  # of a row, over which dots lie
_FAR_BEHIND = 2.0  # times the distance of the last but one

Rows = Sequence[dict[str, Any]]


def kind_of_target(row: dict[str, Any]) -> str:
    """What a row's gap is to: a proved optimum, the best objective that is known, or a bound that is proved."""
    best, bound = row["best_known"], row["bound"]
    if best is None:
        return NONE if bound is None else BOUND
    return OPTIMUM if best == bound else BEST_KNOWN


def target_text(rows: Rows) -> str:
    """What the gaps of rows are to, in words."""
    kinds = Counter(kind_of_target(row) for row in rows)
    kinds.pop(NONE, None)
    names = [kind for kind in (OPTIMUM, BEST_KNOWN, BOUND) if kinds[kind]]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0] if names else NONE


def target_counts(rows: Rows) -> tuple[str, ...]:
    """To how many rows' gaps what is the target, where that differs: ``optimum: 12``, ``best known: 3``."""
    kinds = Counter(kind_of_target(row) for row in rows)
    found = tuple(f"{kind}: {kinds[kind]}" for kind in (OPTIMUM, BEST_KNOWN, BOUND, NONE) if kinds[kind])
    return found if len(found) > 1 else ()


def gap_figure(table: Table, blocks: Sequence[Rows]) -> dict[str, Any]:
    """Each agent's gaps as dots, their mean and its interval; objectives where some row has no gap.

    Args:
        table: the agents' estimates.
        blocks: the rows of each agent.
    """
    by_gap = all(row["gap"] is not None for rows in blocks for row in rows)
    factor = 100.0 if by_gap else table.shown.factor
    data = list[dict[str, Any]]()
    for number, (line, rows) in enumerate(zip(table.lines, blocks, strict=True)):
        shown = _spaced(rows, "gap" if by_gap else "objective")
        values = [row["gap" if by_gap else "objective"] * factor for row in shown]
        found = look(number)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": values,
                "y": [number + _SPREAD * (1 + k % 4) / 4 for k in range(len(values))],
                "marker": {"color": pale(found.colour, 0.7), "size": 6, "symbol": found.symbol},
                "text": [_told(row, table) for row in shown],
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": False,
            }
        )
        estimate = (line.gap if by_gap else line.objective).times(factor)
        if estimate.mean is None:
            continue
        errors = {}
        if estimate.low is not None and estimate.high is not None:
            ends = {"array": [estimate.high - estimate.mean], "arrayminus": [estimate.mean - estimate.low]}
            errors = {"error_x": {"type": "data", "symmetric": False, **ends, "color": INK_COLOUR, "thickness": 2}}
        interval = "" if not errors else f"<br>95 % interval {estimate.low:,.4g} to {estimate.high:,.4g}"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [estimate.mean],
                "y": [number],
                "marker": {"color": found.colour, "size": 12, "symbol": found.symbol, "line": _EDGE},
                "text": [
                    f"<b>{plot_text(line.agent)}</b><br>mean {estimate.mean:,.4g}{interval}<br>n {estimate.count}"
                ],
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": False,
                **errors,
            }
        )
    every = [row for rows in blocks for row in rows]
    title = f"gap to the {target_text(every)} (%)" if by_gap else f"objective ({table.shown.unit})"
    names = [
        {
            "x": 0, "xref": "paper", "xanchor": "left", "y": number, "yref": "y", "yanchor": "bottom", "yshift": 7,
            "text": f"<b>{plot_text(_short(line.agent))}</b>{' (reference)' if line.agent == table.reference else ''}",
            "showarrow": False, "font": {"size": 12},
        }
        for number, line in enumerate(table.lines)
    ]  # fmt: skip
    agents = len(table.lines)
    horizontal = axis(plot_text(title), zeroline=by_gap, zerolinecolor=MUTED, zerolinewidth=2)
    if by_gap:
        horizontal["rangemode"] = "tozero"
    vertical = axis(range=[agents - 0.4, -0.75], visible=False, fixedrange=True)
    return {"data": data, "layout": layout(70 + _ROW * agents, xaxis=horizontal, yaxis=vertical, annotations=names)}


_EDGE = {"color": SURFACE, "width": 1.5}


class Distances(NamedTuple):
    """How far agents are from what is best, world by world.

    Attributes:
        values: for each agent float [worlds].
        target: what they are to.
        unit: in which they are shown.
        factor: what makes one of that unit of a value.
    """

    values: list[NDArray[np.float64]]
    target: str
    unit: str
    factor: float


def distances(table: Table, blocks: Sequence[Rows]) -> Distances:
    """The gaps; where some row has none, the gaps to the best of these agents in the same world.

    Where the best of some world is not above 0 shares of it would mislead: then the differences to it.
    """
    gaps = [[row["gap"] for row in rows] for rows in blocks]
    if all(value is not None for values in gaps for value in values):
        target = target_text([row for rows in blocks for row in rows])
        return Distances([np.array(values, dtype=np.float64) for values in gaps], target, "%", 100.0)
    objectives = np.array([[row["objective"] for row in rows] for rows in blocks], dtype=np.float64)
    best = objectives.min(axis=0) if table.sense == "min" else objectives.max(axis=0)
    worse = np.abs(objectives - best)
    if (best > 0).all():
        return Distances(list(worse / best), "best of these agents", "%", 100.0)
    return Distances(list(worse), "best of these agents", table.shown.unit, table.shown.factor)


def profile_figure(table: Table, blocks: Sequence[Rows]) -> tuple[dict[str, Any], str]:
    """The share of worlds in which each agent comes within each distance; and what the distances are to.

    Dolan and Moré, "Benchmarking optimization software with performance profiles", Mathematical Programming 91, 2002.
    """
    found = distances(table, blocks)
    groups = tuple(row["instance"] or f"seed {row['seed']}" for row in blocks[0])
    scores = {line.agent: -values for line, values in zip(table.lines, found.values, strict=True)}
    aggregate = Aggregate([Task(str(table.variant), groups, scores)])
    levels = np.unique(np.concatenate([np.zeros(1), *(values[values > 0] for values in found.values)]))
    if len(levels) > _STEPS:
        levels = np.quantile(levels, np.linspace(0, 1, _STEPS), method="higher")
    # A profile counts scores above a threshold; what reaches it counts, too.
    thresholds = np.nextafter(-levels[::-1], -np.inf)
    data = list[dict[str, Any]]()
    for number, line in enumerate(table.lines):
        profile = aggregate.profile(line.agent, thresholds)
        ends = None if profile.lows is None or profile.highs is None else (profile.lows[::-1], profile.highs[::-1])
        told = f"%{{y:.0f}} % of the worlds within %{{x:.4~g}} {plot_text(found.unit)}%{{text}}"
        x, y = (found.factor * levels).tolist(), (100 * profile.shares[::-1]).tolist()
        data.append(_profile(number, line.agent, x, y, ends, told, "hv"))
    horizontal = axis(f"gap to the {found.target} ({plot_text(found.unit)})", rangemode="tozero", zeroline=False)
    if (end := end_of_view([found.factor * float(values.max()) for values in found.values])) is not None:
        horizontal["range"] = [0.0, end]
    vertical = axis("worlds within that gap (%)", range=[-3, 103], zeroline=False, fixedrange=True)
    return {"data": data, "layout": layout(380, xaxis=horizontal, yaxis=vertical)}, found.target


def end_of_view(most: Sequence[float]) -> float | None:
    """Where a profile is cut off at first, given each agent's largest distance; None where all of it is shown.

    One agent that is far behind (random play, often) would squeeze all others into a corner.
    """
    *_, second, last = [0.0, *sorted(most)]
    return 1.1 * second if len(most) > 2 and 0.0 < second < last / _FAR_BEHIND else None


def _profile(
    number: int, name: str, x: list[float], y: list[float], ends: Any, told: str, shape: str
) -> dict[str, Any]:
    """One line of a profile; `ends` are those of its intervals, as shares."""
    found, texts = look(number), [""] * len(x)
    if ends is not None:
        pairs = zip(*ends, strict=True)
        texts = [f"<br>95 % interval {100 * low:.0f} to {100 * high:.0f} %" for low, high in pairs]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plot_text(_short(name)),
        "x": x,
        "y": [round(share, 3) for share in y],
        "line": {"color": found.colour, "dash": found.dash, "width": 2, "shape": shape},
        "marker": {"color": found.colour, "symbol": found.symbol, "size": 8, "maxdisplayed": 9},
        "text": texts,
        "hovertemplate": f"{told}<extra>%{{fullData.name}}</extra>",
    }


def suite_profile(profiles: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The share of worlds in which each role scores above each threshold, from what a suite's folder holds of it."""
    data = list[dict[str, Any]]()
    for number, profile in enumerate(profiles):
        x, y = ([100 * value for value in profile[name]] for name in ("thresholds", "shares"))
        ends = None if profile["lows"] is None else (profile["lows"], profile["highs"])
        told = "%{y:.0f} % of the worlds above %{x:.0f} %%{text}"
        data.append(_profile(number, profile["agent"], x, y, ends, told, "linear"))
    vertical = axis("worlds above that score (%)", range=[-3, 103], zeroline=False, fixedrange=True)
    return {"data": data, "layout": layout(380, xaxis=axis("score (%)", zeroline=False), yaxis=vertical)}


def _spaced(rows: Rows, key: str) -> list[dict[str, Any]]:
    """Rows in the order of a value; of many some, evenly over their ranks."""
    ordered = sorted(rows, key=lambda row: row[key])
    if len(ordered) <= _MOST_DOTS:
        return ordered
    return [ordered[round(k * (len(ordered) - 1) / (_MOST_DOTS - 1))] for k in range(_MOST_DOTS)]


def _told(row: dict[str, Any], table: Table) -> str:
    objective = number_text(row["objective"] * table.shown.factor)
    lines = [
        f"<b>{plot_text(row['agent'])}</b>",
        plot_text(f"{row['instance'] or 'generated instance'}, seed {row['seed']}"),
        plot_text(f"objective {objective} {table.shown.unit}"),
    ]
    if row["gap"] is not None:
        target = row["bound"] if row["best_known"] is None else row["best_known"]
        told = number_text(target * table.shown.factor)
        lines.append(plot_text(f"gap {100 * row['gap']:.1f} % to the {kind_of_target(row)}, {told}"))
    lines.append(f"{show_seconds(row['seconds_per_decision'])} per decision")
    return "<br>".join(lines)


def _short(agent: str, most: int = 44) -> str:
    return agent if len(agent) <= most else f"{agent[: most // 2 - 1]}…{agent[-(most // 2) :]}"
