"""The picture of a sweep: how the agents compare as an option of the environment changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..envs.core.names import OptionValue
from .pictures import new_figure
from .statistics import Estimate
from .table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito without yellow and black, which are faint or taken for axes: apart for colour-blind readers.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#4D4D4D")
_MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*", "<", ">", "p")
_WIDTH, _HEIGHT, _LINE_OF_LEGEND = 9.0, 3.6, 0.22


def swept_options(tables: Sequence[Table]) -> list[str]:
    """The options of which the tables' variants have several numbers, those with most of them first."""
    names = tables[0].variant.options.keys()
    values = {name: list(dict.fromkeys(table.variant.options[name] for table in tables)) for name in names}
    numeric = [name for name in names if len(values[name]) > 1 and all(_is_number(value) for value in values[name])]
    return sorted(numeric, key=lambda name: -len(values[name]))


def draw_sweep(tables: Sequence[Table], option: str) -> Figure:
    """A panel for each choice of the other options: a line per agent over the option, with its interval as a band.

    What is drawn is the mean difference to the reference over the same worlds, in per cent.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    panels: dict[tuple[tuple[str, OptionValue], ...], list[Table]] = {}
    for table in tables:
        others = tuple((key, value) for key, value in table.variant.options.items() if key != option)
        panels.setdefault(others, []).append(table)
    figure = new_figure(_WIDTH, len(panels) * _HEIGHT + _LINE_OF_LEGEND * len(tables[0].lines))
    figure.set_layout_engine("constrained")
    axes = None
    for number, (others, mine) in enumerate(panels.items()):
        axes = figure.add_subplot(len(panels), 1, number + 1)
        mine.sort(key=lambda table: float(table.variant.options[option]))  # pyright: ignore[reportArgumentType]
        _draw_panel(axes, mine, option)
        chosen = ", ".join(f"{key}={value}" for key, value in others)
        axes.set_title(f"{mine[0].variant.env_id} {chosen}", fontsize=9, loc="left")
    assert axes is not None
    axes.set_xlabel(option, fontsize=9)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", fontsize=8, frameon=False, ncols=1)
    return figure


def _draw_panel(axes: Axes, tables: list[Table], option: str) -> None:
    places = [float(table.variant.options[option]) for table in tables]  # pyright: ignore[reportArgumentType]
    for number, line in enumerate(tables[0].lines):
        colour = _COLOURS[number % len(_COLOURS)]
        estimates = [table.lines[number].relative for table in tables]
        kept = [(x, one) for x, one in zip(places, estimates, strict=True) if one.mean is not None]
        if not kept:
            continue
        xs = [x for x, _ in kept]
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(
            xs,
            [100.0 * _value(one.mean) for _, one in kept],
            marker=marker,
            markersize=5,
            color=colour,
            linewidth=1.4,
            label=line.agent,
        )
        low, high = ([100.0 * _bound(one, side) for _, one in kept] for side in ("low", "high"))
        axes.fill_between(xs, low, high, color=colour, alpha=0.12)
    axes.set_xticks(places, [f"{x:g}" for x in places])
    axes.grid(axis="y", linewidth=0.4, color="#CCCCCC")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    better = "smaller" if tables[0].sense == "min" else "larger"
    axes.set_ylabel(f"difference to {tables[0].reference}, %\n({better} is better)", fontsize=8)


def _value(number: float | None) -> float:
    assert number is not None
    return number


def _bound(estimate: Estimate, side: str) -> float:
    """An end of an interval; the mean where there is no interval."""
    end = getattr(estimate, side)
    return _value(estimate.mean) if end is None else float(end)


def _is_number(value: OptionValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
