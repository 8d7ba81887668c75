"""The picture of an anytime evaluation: what each agent has reached after how many CPU seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .anytime_report import AnytimeReport, AnytimeTable
from .pictures import new_figure
from .statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito without yellow and black, which are faint or taken for axes: apart for colour-blind readers.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#4D4D4D")
_MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*", "<", ">", "p")
_WIDTH, _HEIGHT = 10.0, 4.6
_LINE_OF_LEGEND = 0.25


def draw_anytime(report: AnytimeReport) -> Figure:
    """A panel per variant: a line per agent over CPU seconds (logarithmic), with its interval as a band.

    Markers stand where every world came to its next point, and at budgets; in between and beyond, what is reached is
    what was reached before.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    tables = report.tables
    figure = new_figure(_WIDTH, len(tables) * _HEIGHT + _LINE_OF_LEGEND * len(tables[0].lines))
    figure.set_layout_engine("constrained")
    request = report.plan.request
    played = f"{request.instances or 'instances by the seed'}, seeds {request.seeds}"
    axes = None
    for number, table in enumerate(tables):
        axes = figure.add_subplot(len(tables), 1, number + 1)
        _draw_table(axes, table)
        what = "gap" if table.metric == "gap" else f"{report.plan.objective['name']} ({table.shown.unit})"
        axes.set_title(f"{what} over CPU time: {table.variant}\n{played}", fontsize=9, loc="left")
        better = "smaller" if table.sense == "min" else "larger"
        axes.set_ylabel(f"{what}, mean and 95 % interval\n({better} is better)", fontsize=8)
    assert axes is not None
    axes.set_xlabel("CPU seconds per world, measured, all threads added up", fontsize=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", fontsize=8, frameon=False, ncols=1)
    return figure


def _draw_table(axes: Axes, table: AnytimeTable) -> None:
    axes.set_xscale("log")
    first = min(table.budgets[0], *(line.curve[0][0] for line in table.lines))
    axes.set_xlim(first / 1.5, table.budgets[-1] * 1.5)
    for budget in table.budgets:
        axes.axvline(budget, color="#999999", linewidth=0.6, linestyle=":", zorder=0)
    for number, line in enumerate(table.lines):
        factor = 1.0 if table.metric == "gap" else table.shown.factor
        curve = [(seconds, estimate.times(factor)) for seconds, estimate in line.curve]
        _draw_line(axes, line.label, curve, number, table.budgets[-1] * 1.5)
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    if table.metric == "gap":
        axes.yaxis.set_major_formatter(lambda value, position: f"{100 * value:g} %")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", linewidth=0.4, color="#CCCCCC")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_line(axes: Axes, label: str, curve: list[tuple[float, Estimate]], number: int, end: float) -> None:
    colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
    seconds = np.array([mark for mark, _ in curve])
    means, lows, highs = (
        np.array([getattr(estimate, name) for _, estimate in curve], dtype=np.float64)
        for name in ("mean", "low", "high")
    )
    style = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "drawstyle": "steps-post"}
    axes.plot(seconds, means, label=label, **style)
    axes.plot([seconds[-1], end], [means[-1]] * 2, color=colour, linewidth=1.0, linestyle=(0, (4, 3)), alpha=0.7)
    # Without intervals the ends are NaN, which nothing is drawn for.
    axes.fill_between(seconds, lows, highs, step="post", color=colour, alpha=0.12, linewidth=0)
    axes.plot([seconds[-1]] * 2, [lows[-1], highs[-1]], color=colour, linewidth=1.0, alpha=0.7)
