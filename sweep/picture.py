"""The picture of a sweep: what each trial had come to at each budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..envs.core.objective import shown
from ..eval.pictures import new_figure
from .config import SweepConfig
from .trials import BASELINE, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEST, _OTHERS, _STOPPED = "#0072B2", "#4D4D4D", "#A6A6A6"  # told apart by width, dashes and their numbers as well
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_WIDTH, _HEIGHT = 8.0, 5.0
_MOST_NAMES = 6
_LINE = 0.03  # height of a text, as a share of the axes'


def draw_sweep(config: SweepConfig, trials: list[Trial], best: int) -> Figure:
    """A line per trial over the budget, with its number at its end; the baseline is dashed, the best trial thick.

    Args:
        config: the sweep.
        trials: that came to a budget, in any order.
        best: number of the best.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(_WIDTH, _HEIGHT)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    last = len(config.budget.rungs) - 1
    for trial in sorted(trials, key=lambda trial: trial.number == best):
        _draw(axes, config, trial, trial.number == best, last)
    unit = shown(config.objective)
    if last:
        axes.set_xscale("log")
    axes.set_xticks(config.budget.rungs, [_budget(budget) for budget in config.budget.rungs])
    axes.minorticks_off()
    axes.margins(x=0.1)
    _number_ends(axes, config, trials)
    axes.grid(axis="y", linewidth=0.4, color="#CCCCCC")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(f"budget of training, {config.budget.unit}", fontsize=9)
    better = "smaller" if config.sense == "min" else "larger"
    title = unit.title(str(config.objective["name"]))
    axes.set_ylabel(f"{title}, best validation so far\n({better} is better)", fontsize=9)
    axes.set_title(f"{config.title}\n{config.agent} on {config.env}", fontsize=9, loc="left")
    axes.legend(loc="best", fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, config: SweepConfig, trial: Trial, is_best: bool, last: int) -> None:
    points = _points(config, trial)
    is_baseline = trial.number == BASELINE
    stopped = len(points) <= last
    colour = _BEST if is_best else "black" if is_baseline else _STOPPED if stopped else _OTHERS
    label = f"best, trial {trial.number}" if is_best else "baseline" if is_baseline else None
    axes.plot(
        *zip(*points, strict=True),
        color=colour,
        linewidth=2.4 if is_best else 1.6 if is_baseline else 1.0,
        linestyle="--" if is_baseline else "-",
        marker=_MARKERS[trial.number % len(_MARKERS)],
        markersize=6 if is_best else 4.5,
        markerfacecolor="white" if stopped else colour,
        label=label,
        zorder=3 if is_best or is_baseline else 2,
    )


def _points(config: SweepConfig, trial: Trial) -> list[tuple[float, float]]:
    """Budgets that a trial came to and its objectives there, in the unit that people are shown."""
    factor = shown(config.objective).factor
    there = [(budget, trial.objective(rung, config.seeds)) for rung, budget in enumerate(config.budget.rungs)]
    return [(budget, value * factor) for budget, value in there if value is not None]


def _number_ends(axes: Axes, config: SweepConfig, trials: list[Trial]) -> None:
    """Say which line is whose; lines that end at one point share the text, and texts do not lie on each other."""
    ends: dict[float, dict[float, list[str]]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        name = "baseline" if trial.number == BASELINE else str(trial.number)
        budget, value = _points(config, trial)[-1]
        ends.setdefault(budget, {}).setdefault(value, []).append(name)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # where texts stand depends on it
    for budget, at in ends.items():
        free = -math.inf
        for value, names in sorted(at.items()):
            told = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], "..."]
            free = place = max(value, free + _LINE * (high - low))
            axes.annotate(
                ", ".join(told), (budget, place), (7, 0), textcoords="offset points", fontsize=7.5, va="center"
            )


def _budget(budget: float) -> str:
    return f"{budget:,}" if isinstance(budget, int) else f"{budget:.3g}"
