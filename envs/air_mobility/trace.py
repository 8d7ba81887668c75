"""A day in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing open.

The fleet is a process whose threads are the aircraft. What an aircraft does is a complete event (``"ph": "X"``) with
times in ``ts`` and ``dur``; its ``cat`` is ``boarding``, ``flight``, ``unloading``, ``charging`` or ``down``. The
vertiports are another process, with counters of the stands that are taken and of the passengers who wait. One second of
the day is one microsecond of the trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .schedule import AIRCRAFT, ARRIVED, LEFT, ORIGIN, READY, TAKEN, AirSchedule

# Viewers take process 0 and thread 0 for the idle ones of an operating system.
_FLEET, _VERTIPORTS = 1, 2
_FIRST_THREAD = 1


def trace(schedule: AirSchedule) -> dict[str, Any]:
    """A day as a trace, up to the schedule's end.

    Args:
        schedule: a valid schedule, finished or not.

    Returns:
        ``{"traceEvents": [...], "otherData": {...}}``, plain data for JSON.
    """
    events = [*_names(schedule), *_flights(schedule), *_charges(schedule), *_counters(schedule)]
    facts = {"instance": schedule.instance.name, "profit_usd": schedule.profit / 1e6, "unit": "1 microsecond is 1 s"}
    return {"traceEvents": events, "otherData": facts}


def _names(schedule: AirSchedule) -> Iterator[dict[str, Any]]:
    """Metadata events: what the processes and threads are called, and in which order the threads are shown."""
    for process, name in ((_FLEET, "fleet"), (_VERTIPORTS, "vertiports")):
        yield {"ph": "M", "pid": process, "tid": _FIRST_THREAD, "name": "process_name", "args": {"name": name}}
    for a in range(schedule.instance.num_aircraft):
        thread = {"ph": "M", "pid": _FLEET, "tid": _FIRST_THREAD + a}
        yield {**thread, "name": "thread_name", "args": {"name": f"aircraft {a}"}}
        yield {**thread, "name": "thread_sort_index", "args": {"sort_index": a}}


def _event(
    schedule: AirSchedule, name: str, cat: str, a: int, begin: int, end: int, **args: Any
) -> Iterator[dict[str, Any]]:
    """A span of an aircraft, as far as the schedule tells; none where it is empty."""
    end = min(end, schedule.end)
    if begin < end:
        thread = {"pid": _FLEET, "tid": _FIRST_THREAD + a}
        yield {"name": name, "cat": cat, "ph": "X", **thread, "ts": begin, "dur": end - begin, "args": args}


def _flights(schedule: AirSchedule) -> Iterator[dict[str, Any]]:
    ids, unload = schedule.instance.network.ids, schedule.instance.vehicle.unload
    landings: dict[int, int] = defaultdict(int)
    down = schedule.day.downtime
    for t, a, i, j, boarded, entry, corridor, ready, before, after, reward in schedule.flights.tolist():
        pair = f"{ids[i]}-{ids[j]}"
        args = {"aboard": boarded, "corridor": corridor, "joules": before - after, "reward_usd": reward / 1e6}
        yield from _event(schedule, f"boarding {pair}", "boarding", a, t, entry, **args)
        yield from _event(schedule, pair, "flight", a, entry, ready - unload, **args)
        yield from _event(schedule, f"unloading {pair}", "unloading", a, ready - unload, ready, **args)
        k = landings[a]
        landings[a] += 1
        if k < down.shape[1]:
            yield from _event(schedule, "down", "down", a, ready, ready + int(down[a, k]), at=ids[j])


def _charges(schedule: AirSchedule) -> Iterator[dict[str, Any]]:
    """Charging, but for the time of being down, as events of one thread may not overlap."""
    ids = schedule.instance.network.ids
    for a, v, begin, end, joules in schedule.charges.tolist():
        for first, last in _apart_from_downtimes(schedule, a, begin, end):
            yield from _event(schedule, f"charging at {ids[v]}", "charging", a, first, last, joules=joules)


def _apart_from_downtimes(schedule: AirSchedule, a: int, begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of a span in which an aircraft is not down."""
    flights = schedule.flights[schedule.flights[:, AIRCRAFT] == a]
    parts = [(begin, end)]
    for k, row in enumerate(flights.tolist()[: schedule.day.downtime.shape[1]]):
        first, last = row[READY], row[READY] + int(schedule.day.downtime[a, k])
        parts = [p for x, y in parts for p in ((x, min(y, first)), (max(x, last), y)) if p[0] < p[1]]
    return parts


def _counters(schedule: AirSchedule) -> Iterator[dict[str, Any]]:
    """Of each vertiport the stands taken and the passengers who wait, at every change."""
    changes: dict[tuple[str, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for stand in schedule.stands:
        changes["stands taken", stand.vertiport][stand.begin] += 1
        if stand.end is not None:
            changes["stands taken", stand.vertiport][stand.end] -= 1
    for row in schedule.passengers.tolist():
        changes["waiting", row[ORIGIN]][row[ARRIVED]] += 1
        gone = row[TAKEN] if row[TAKEN] >= 0 else row[LEFT]
        if gone >= 0:
            changes["waiting", row[ORIGIN]][gone] -= 1
    for (what, v), times in sorted(changes.items()):
        count = 0
        for t in sorted(x for x in times if x <= schedule.end):
            count += times[t]
            name = f"{schedule.instance.network.ids[v]}: {what}"
            yield {"ph": "C", "pid": _VERTIPORTS, "name": name, "ts": t, "args": {what: count}}
