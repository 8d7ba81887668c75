"""A day of urban air mobility for interactive pictures: flights in space and time, passengers, profit, batteries."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..core.chart import INK, Bar, Bars, Chart, Line, Lines, Mark, Panel
from .map_picture import clock_of, dollars, headline
from .picture import cumulative_profit, demand_by_quarter, vertical_order
from .picture_moment import Course, energy_trace
from .schedule import ENTRY, AirSchedule

_DAY_STARTS, _QUARTER, _KWH = 6 * 3600, 900, 3_600_000
_MOST_TRACES = 12
_NOTE = "Lines are flights from vertiport to vertiport, the wider the fuller."


def chart(schedule: AirSchedule) -> Chart:
    """The day up to the schedule's end."""
    instance = schedule.instance
    order = vertical_order(schedule)[::-1]  # from the top
    lanes = [instance.network.ids[v] for v in order]
    panels = (
        Panel("vertiport", _flights(schedule, order), lanes, weight=7),
        Panel("passengers per quarter hour", _demand(schedule), weight=3),
        Panel("profit so far ($)", _profit(schedule), weight=2),
        Panel("battery (kWh)", _batteries(schedule), weight=2),
    )
    title = headline(schedule, Course(schedule).at(schedule.end))
    return Chart(title, panels, "time of day", "vertiport", day_starts=_DAY_STARTS, note=_NOTE)


def _flights(schedule: AirSchedule, order: list[int]) -> list[Mark]:
    """A line for each flight that has entered its corridor, by how many are aboard."""
    ids, unload = schedule.instance.network.ids, schedule.instance.vehicle.unload
    lane = {v: row for row, v in enumerate(order)}
    by_load = defaultdict[int, list[Line]](list)
    flown = schedule.flights[schedule.flights[:, ENTRY] < schedule.end]
    for t, aircraft, i, j, boarded, entry, _, ready, before, after, reward in flown.tolist():
        arrival = ready - unload
        share = min((schedule.end - entry) / max(arrival - entry, 1), 1.0)  # no further than the schedule tells
        # A point in the middle, too, so that there is something to point at.
        x = [entry, entry + share * (arrival - entry) / 2, entry + share * (arrival - entry)]
        y = [lane[i] + part * (lane[j] - lane[i]) for part in (0.0, share / 2, share)]
        detail = (
            f"{ids[i]} to {ids[j]}, {boarded} aboard\ndecided {clock_of(t)}, start {clock_of(entry)}, "
            f"end {clock_of(arrival)}\n{(before - after) / _KWH:.1f} kWh, earns {dollars(reward / 1e6)}"
        )
        by_load[boarded].append(Line(x, y, f"flight of aircraft {aircraft}", detail))
    return [
        Lines(f"{load} aboard", by_load[load], load - 1, "solid", width=0.8 + 0.7 * load)
        if load
        else Lines("empty flight", by_load[0], INK, "dot", width=1.0)
        for load in sorted(by_load)
    ]


def _demand(schedule: AirSchedule) -> list[Mark]:
    """Per quarter hour of arrival who was served, lost or still waits, on top of each other, and what was forecast."""
    marks, bottom = list[Mark](), np.zeros(48)
    kinds = (("served", "", 2), ("lost", "x", 5), ("still waiting", ".", 3))
    for (kind, pattern, colour), counts in zip(kinds, demand_by_quarter(schedule), strict=True):
        bars = [
            Bar(bottom[q] + n / 2, q * _QUARTER, (q + 1) * _QUARTER, kind, detail=f"{n} passengers", height=float(n))
            for q, n in enumerate(counts.tolist())
            if n
        ]
        if bars:
            marks.append(Bars(kind, bars, pattern, by_group=False, colour=colour))
        bottom = bottom + counts
    expected = schedule.instance.forecast.sum(axis=(0, 1)).tolist()
    times = [q * _QUARTER for q in range(len(expected) + 1)]
    marks.append(Lines("forecast", [Line(times, [*expected, expected[-1]], "forecast")], INK, "dash", steps=True))
    return marks


def _profit(schedule: AirSchedule) -> list[Mark]:
    times, profits = cumulative_profit(schedule)
    line = Line(times.tolist(), profits.tolist(), "profit so far")
    return [Lines("profit so far", [line], colour=0, dash="solid", steps=True)]


def _batteries(schedule: AirSchedule) -> list[Mark]:
    """Energy aboard each aircraft; of many the median and the middle 80 %; and the reserve."""
    instance, end = schedule.instance, schedule.end
    traces = [energy_trace(schedule, a) for a in range(instance.num_aircraft)]
    marks = list[Mark]()
    if len(traces) <= _MOST_TRACES:
        for a, (times, energies) in enumerate(traces):
            told = [*times[times < end].tolist(), end]
            known = (np.interp(told, times, energies) / _KWH).tolist()
            marks.append(Lines(f"aircraft {a}", [Line(told, known, f"aircraft {a}")], colour=a))
    else:
        grid = np.linspace(0, end, 289)
        table = np.array([np.interp(grid, times, energies) for times, energies in traces]) / _KWH
        kinds = (("a tenth has less", 10, "dot"), ("median", 50, "solid"), ("a tenth has more", 90, "dash"))
        for kind, percent, dash in kinds:
            row = np.percentile(table, percent, axis=0).tolist()
            marks.append(Lines(f"battery: {kind}", [Line(grid.tolist(), row, kind)], colour=4, dash=dash))
    reserve = instance.vehicle.reserve / _KWH
    line = Line([0, end], [reserve, reserve], "reserve")
    marks.append(Lines("battery: reserve", [line], colour=INK, dash="longdash", width=1.0))
    return marks
