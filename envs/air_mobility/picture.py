"""Pictures of a day: space and time, batteries, demand, profits; drawn with matplotlib or typed as text.

The map and its animation are in ``map_picture`` and ``animation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .map_picture import (
    CHARGING,
    CLOSED,
    EMPTY,
    INK,
    PALE,
    QUEUE_INK,
    clock_of,
    dollars,
    headline,
    load_colour,
    positions,
    rgb_array,
)
from .picture_moment import BOARDING, DOWN, FLYING, Course, Moment, energy_trace
from .schedule import (
    ARRIVED,
    BOARDED,
    ENTRY,
    FROM,
    LEFT,
    READY,
    REWARD,
    TAKEN,
    TIME,
    TO,
    AirSchedule,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ansi", "cumulative_profit", "demand_by_quarter", "draw", "draw_profits", "rgb_array"]

_DPI = 100
_QUARTER, _HOUR, _FIRST_HOUR = 900, 3600, 6
_KWH = 3_600_000
_SERVED, _LOST, _WAITING, _STANDS = "#4C9F70", "#E3A79B", "#C9B6DB", "#D8E3EA"
_MANY_TRACES = 12
_LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6B4E9B", "#404040")


def draw(schedule: AirSchedule, width: int = 1150, height: int = 1000, title: str | None = None) -> Figure:
    """A day at a glance: flights in space and time, passengers and profit, batteries.

    Args:
        width, height: in pixels.
        title: the default says what it has come to.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(width, height)
    flights, demand, batteries = figure.subplots(3, 1, sharex=True, height_ratios=(5, 2, 2))
    moment = Course(schedule).at(schedule.end)
    flights.set_title(
        title if title is not None else headline(schedule, moment), fontsize=11, loc="left", color=INK, pad=22
    )
    draw_space_time(flights, schedule)
    draw_demand(demand, schedule)
    draw_batteries(batteries, schedule)
    _draw_hours(batteries, schedule)
    for axes in (flights, demand, batteries):
        axes.set_xlim(0, max(schedule.instance.horizon, 1))
    return figure


def draw_profits(days: Mapping[str, AirSchedule], bound: float | None = None, width: int = 900) -> Figure:
    """Cumulative profit of several methods on one day.

    Args:
        days: by the methods' names.
        bound: what no profit is above, in dollars.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(width, 420)
    axes = figure.subplots()
    _bare(axes)
    for k, (name, schedule) in enumerate(days.items()):
        times, profits = cumulative_profit(schedule)
        colour = _LINE_COLOURS[k % len(_LINE_COLOURS)]
        line = "-" if k < len(_LINE_COLOURS) else "--"
        label = f"{name}: {dollars(profits[-1])}"
        axes.step(times, profits, where="post", color=colour, linestyle=line, linewidth=1.5, label=label)
        _draw_hours(axes, schedule)
    if bound is not None:
        axes.axhline(bound, color=INK, linestyle=":", linewidth=1.2, label=f"bound: {dollars(bound)}")
    axes.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    axes.set_ylabel("profit so far", fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, position: dollars(value))
    axes.tick_params(labelsize=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=3, loc="outside upper left")
    return figure


def cumulative_profit(schedule: AirSchedule) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times in s, and dollars from each of them on; begins at 0 and ends where the schedule does."""
    flights = schedule.flights
    times = np.concatenate([[0], flights[:, TIME], [schedule.end]])
    profits = np.concatenate([[0], np.cumsum(flights[:, REWARD])])
    return times, np.concatenate([profits, profits[-1:]]) / 1e6


def _figure(width: int, height: int) -> Figure:
    """An empty figure, out of reach of pyplot's global state."""
    with optional("drawing days", "plot", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_hours(axes: Axes, schedule: AirSchedule) -> None:
    horizon = schedule.instance.horizon
    step = _HOUR if horizon > 2 * _HOUR else _QUARTER
    ticks = range(0, horizon + 1, step)
    axes.set_xticks(ticks, [clock_of(t) for t in ticks], fontsize=8)


# --- flights ----------------------------------------------------------------------------------------------------------


def vertical_order(schedule: AirSchedule) -> list[int]:
    """The vertiports along the direction in which the network is longest, from the south: neighbours stand close."""
    place = positions(schedule.instance)
    _, _, directions = np.linalg.svd(place - place.mean(axis=0))
    along = place @ directions[0] * (1 if directions[0, 1] >= 0 else -1)
    return np.argsort(along, kind="stable").tolist()


def draw_space_time(axes: Axes, schedule: AirSchedule) -> None:
    """A row per vertiport with a band as high as its taken stands; flights go from row to row, dark where full."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    instance, order = schedule.instance, vertical_order(schedule)
    row_of = {v: row for row, v in enumerate(order)}
    _bare(axes)
    axes.spines["left"].set_visible(False)
    for v, row in row_of.items():
        axes.axhline(row, color=PALE, linewidth=0.6, zorder=0)
        _draw_stands(axes, schedule, v, row)
    vehicle = instance.vehicle
    flights = schedule.flights[schedule.flights[:, ENTRY] < schedule.end]
    flights = flights[np.argsort(flights[:, BOARDED], kind="stable")]
    lines = []
    for i, j, entry, ready in flights[:, [FROM, TO, ENTRY, READY]].tolist():
        arrival = ready - vehicle.unload
        share = min((schedule.end - entry) / max(arrival - entry, 1), 1.0)  # no further than the schedule tells
        end = (entry + share * (arrival - entry), row_of[i] + share * (row_of[j] - row_of[i]))
        lines.append([(entry, row_of[i]), end])
    colours = [load_colour(load, vehicle.seats) for load in flights[:, BOARDED].tolist()]
    thin = 1.3 if len(lines) <= 600 else 0.7
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=thin, alpha=0.9, zorder=3), autolim=False)
    axes.set_yticks(range(len(order)), [instance.network.ids[v] for v in order], fontsize=9 if len(order) <= 20 else 6)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.35, len(order) - 0.3)
    handles: list[Any] = [Line2D([], [], color=EMPTY, linewidth=1.6, label="empty flight")]
    loads = sorted({load_colour(n, vehicle.seats): n for n in range(1, vehicle.seats + 1)}.items(), key=lambda x: x[1])
    handles += [Line2D([], [], color=colour, linewidth=1.6, label=f"{n} aboard") for colour, n in loads]
    handles.append(Patch(facecolor=_STANDS, label="stands taken"))
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "ncols": len(handles), "handlelength": 1.4}
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.1, **style)


def _draw_stands(axes: Axes, schedule: AirSchedule, v: int, row: int) -> None:
    """How many stands of a vertiport are taken, as a band above its row, full at two thirds of the way to the next."""
    changes: dict[int, int] = {}
    for stand in schedule.stands:
        if stand.vertiport == v:
            changes[stand.begin] = changes.get(stand.begin, 0) + 1
            if stand.end is not None:
                changes[stand.end] = changes.get(stand.end, 0) - 1
    times = sorted(t for t in changes if t < schedule.end)
    taken = np.cumsum([changes[t] for t in times]) if times else np.zeros(0)
    share = np.append(taken, taken[-1:]) / int(schedule.instance.network.stands[v])
    steps = [*times, schedule.end][: len(share)]
    axes.fill_between(steps, row, row + 0.62 * share, step="post", color=_STANDS, linewidth=0, zorder=1)


# --- passengers and batteries -----------------------------------------------------------------------------------------


def demand_by_quarter(schedule: AirSchedule) -> NDArray[np.int64]:
    """int64 [3, 48], who came in each quarter hour and was served, lost, or still waits at the end."""
    passengers = schedule.passengers
    quarter = passengers[:, ARRIVED] // _QUARTER
    served, lost = passengers[:, TAKEN] >= 0, passengers[:, LEFT] >= 0
    kinds = (served, lost, ~served & ~lost)
    return np.array([np.bincount(quarter[kind], minlength=48)[:48] for kind in kinds])


def draw_demand(axes: Axes, schedule: AirSchedule) -> None:
    """Per quarter hour of arrival: served, lost, still waiting, and what was forecast; the profit so far beside it."""
    _bare(axes)
    counts = demand_by_quarter(schedule)
    at, bottom = np.arange(48) * _QUARTER, np.zeros(48)
    labels = ("served", "lost", "still waiting")
    for row, colour, label in zip(counts, (_SERVED, _LOST, _WAITING), labels, strict=True):
        if row.any():
            axes.bar(at, row, width=_QUARTER * 0.86, bottom=bottom, align="edge", color=colour, label=label, zorder=2)
            bottom = bottom + row
    expected = schedule.instance.forecast.sum(axis=(0, 1))
    axes.step(at, expected, where="post", color=INK, linewidth=0.9, linestyle="--", label="forecast", zorder=3)
    axes.set_ylabel("passengers per\nquarter hour", fontsize=8)
    axes.set_ylim(0, max(float(bottom.max()), float(expected.max()), 1.0) * 1.3)
    axes.tick_params(labelsize=8)
    money = axes.twinx()
    money.spines["top"].set_visible(False)
    times, profits = cumulative_profit(schedule)
    money.step(times, profits, where="post", color=QUEUE_INK, linewidth=1.4)
    money.set_ylabel("profit so far ($)", fontsize=8, color=QUEUE_INK)
    money.tick_params(labelsize=8, colors=QUEUE_INK)
    low, high = min(float(profits.min()), 0.0), max(float(profits.max()), 1.0)
    money.set_ylim(low - 0.05 * (high - low), high + 0.3 * (high - low))
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper left", borderaxespad=0.1, handlelength=1.4)


def draw_batteries(axes: Axes, schedule: AirSchedule) -> None:
    """Energy aboard each aircraft; of many their median and their middle 80 %, too, with the reserve."""
    instance = schedule.instance
    _bare(axes)
    traces = [energy_trace(schedule, a) for a in range(instance.num_aircraft)]
    many = len(traces) > _MANY_TRACES
    for a, (times, energies) in enumerate(traces):
        told = [*times[times < schedule.end], schedule.end]
        energies = np.interp(told, times, energies)
        colour = "#7C93A3" if many else _LINE_COLOURS[a % len(_LINE_COLOURS)]
        axes.plot(told, energies / _KWH, color=colour, linewidth=0.6 if many else 1.2, alpha=0.3 if many else 0.9)
    if many:
        grid = np.linspace(0, schedule.end, 289)
        table = np.array([np.interp(grid, times, energies) for times, energies in traces]) / _KWH
        low, middle, high = np.percentile(table, (10, 50, 90), axis=0)
        axes.fill_between(grid, low, high, color=CHARGING, alpha=0.18, linewidth=0, label="80 % of the fleet")
        axes.plot(grid, middle, color=CHARGING, linewidth=1.8, label="median")
    reserve = instance.vehicle.reserve / _KWH
    axes.axhline(reserve, color=CLOSED, linewidth=1.0, linestyle="--", label="reserve")
    axes.set_ylim(0, instance.vehicle.battery / _KWH * 1.05)
    axes.set_ylabel("battery (kWh)", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", borderaxespad=0.1, handlelength=1.4)


# --- text -------------------------------------------------------------------------------------------------------------


def ansi(schedule: AirSchedule, width: int = 100) -> str:
    """The moment up to which a schedule tells, as text: a line per vertiport, and who flies where.

    On a stand: C charging, S standing, B boarding or unloading, X down, : reserved, . free.

    Args:
        width: columns of a line at most, at least 60.

    Raises:
        FieldError: the width is too small.
    """
    if width < 60:
        raise FieldError("width", width, "at least 60 columns")
    moment, instance = Course(schedule).at(schedule.end), schedule.instance
    ids, margin = instance.network.ids, max(map(len, instance.network.ids))
    lines = [headline(schedule, moment)]
    for v, code in enumerate(ids):
        stands, out = int(instance.network.stands[v]), int(moment.waiting[v].sum())
        signs = _stand_signs(moment, v, stands)
        queues = ", ".join(f"{n} to {ids[j]}" for j, n in enumerate(moment.waiting[v].tolist()) if n)
        lines.append(f"{code:>{margin}} |{signs}| {out:>3} waiting{': ' + queues if queues else ''}"[:width])
    aloft = np.flatnonzero((moment.phase == FLYING) & (moment.progress < 1.0)).tolist()
    pairs: dict[str, int] = {}
    for a in aloft:
        pair = f"{ids[moment.origin[a]]}-{ids[moment.destination[a]]}"
        pairs[pair] = pairs.get(pair, 0) + 1
    flights = ", ".join(pair if n == 1 else f"{pair} ×{n}" for pair, n in sorted(pairs.items()))
    lines.append(f"{len(aloft)} aloft{': ' + flights if flights else ''}"[:width])
    closed = ", ".join(f"{ids[i]}-{ids[j]}" for i, j in moment.closed.tolist())
    lines.append(f"closed: {closed or 'none'}"[:width])
    return "\n".join(lines)


def _stand_signs(moment: Moment, v: int, stands: int) -> str:
    here = (moment.origin == v) & (moment.phase != FLYING)
    signs = ["C" if charging else "S" for charging in moment.charging[here].tolist()]
    for k, phase in enumerate(moment.phase[here].tolist()):
        signs[k] = {BOARDING: "B", DOWN: "X"}.get(phase, signs[k])
    coming = (moment.destination == v) & ((moment.phase == FLYING) | (moment.phase == BOARDING))
    landed = int((coming & (moment.progress == 1.0)).sum())
    signs = sorted(signs + ["B"] * landed, key="CSXB".index) + [":"] * (int(coming.sum()) - landed)
    return "".join(signs).ljust(stands, ".")
