"""A job shop's schedule in Chrome's trace event format, which Perfetto and chrome://tracing show.

Source: Google, *Trace Event Format* (the "JSON Object Format"). The shop is a process and each machine a thread. What a
job does on a machine is a complete event (``"ph": "X"``), a swap an instant event (``"i"``). One time unit of the
instance is one microsecond. An event's ``cat`` lists by commas what holds throughout: ``processing``, ``blocked``,
``paused``, ``lost`` (whatever a piece did that was scrapped, and work that a breakdown undid) and ``down``, so that the
durations with ``down`` add up to the machine's down-time, whether a job stood there or not. Events of one thread never
overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from .picture import BLOCKED, DOWN, LOST, PAUSED, PROCESSING, describe, last_time, visit_segments
from .schedule import JobShopSchedule, Visit, Windows, swaps

_CATEGORIES = {PROCESSING: "processing", BLOCKED: "blocked", PAUSED: "paused", LOST: "lost", DOWN: "down"}
# Viewers take process 0 and thread 0 for the idle ones of an operating system.
_PROCESS = 1
_FIRST_THREAD = 1


class _Stay(NamedTuple):
    begin: int
    end: int
    kind: str
    visit: Visit


def trace(schedule: JobShopSchedule) -> dict[str, Any]:
    """A schedule as a trace, up to the latest time that it knows of.

    Args:
        schedule: a valid schedule, finished or not.

    Returns:
        ``{"traceEvents": [...], "otherData": {...}}``, plain data for JSON. An event's ``args`` hold the job, its
        piece, the operation and the machine; those of a swap the jobs and the machine that each of them enters.
    """
    stays = _stays_by_machine(schedule)
    now = last_time(schedule)
    events = list(_names(schedule))
    for machine in range(schedule.instance.num_machines):
        events += _machine_events(machine, stays[machine], schedule.windows(machine), now)
    events += [_swap(swap.time, swap.jobs, swap.machines) for swap in swaps(schedule)]
    unit = "1 microsecond is 1 time unit of the instance"
    return {"traceEvents": events, "otherData": {"schedule": describe(schedule), "unit": unit}}


def _names(schedule: JobShopSchedule) -> Iterator[dict[str, Any]]:
    """Metadata events: what the process and its threads are called, and in which order the threads are shown."""
    common = {"ph": "M", "pid": _PROCESS}
    yield {**common, "name": "process_name", "tid": _FIRST_THREAD, "args": {"name": describe(schedule)}}
    for machine in range(schedule.instance.num_machines):
        thread = {**common, "tid": _FIRST_THREAD + machine}
        yield {**thread, "name": "thread_name", "args": {"name": f"machine {machine}"}}
        yield {**thread, "name": "thread_sort_index", "args": {"sort_index": machine}}


def _stays_by_machine(schedule: JobShopSchedule) -> dict[int, list[_Stay]]:
    """What jobs did on each machine, sorted; an operation without length has a stay without length."""
    now = last_time(schedule)
    stays: dict[int, list[_Stay]] = defaultdict(list)
    for visits in schedule.pieces():
        for visit in visits:
            found = [_Stay(s.begin, s.end, s.kind, visit) for s in visit_segments(schedule, visits, visit, now)]
            if visit.start == (visit.end if visit.end >= 0 else now):
                found.append(_Stay(visit.start, visit.start, LOST if visits[-1].cut else PROCESSING, visit))
            stays[visit.machine] += found
    return {
        machine: sorted(stays[machine], key=lambda stay: stay[:2]) for machine in range(schedule.instance.num_machines)
    }


def _machine_events(machine: int, stays: list[_Stay], windows: Windows, now: int) -> Iterator[dict[str, Any]]:
    """Complete events of one machine in the order of time, cut where it goes down or up."""
    free_from = 0
    for stay in stays:
        yield from _down_events(machine, free_from, stay.begin, windows)
        yield from _stay_events(machine, stay, windows)
        free_from = stay.end
    yield from _down_events(machine, free_from, now, windows)


def _down_events(machine: int, begin: int, end: int, windows: Windows) -> Iterator[dict[str, Any]]:
    """A machine that is down while no job stands there."""
    for first, last, down in _cut(begin, end, windows):
        if down:
            yield _event("down", _CATEGORIES[DOWN], machine, first, last, {"machine": machine})


def _stay_events(machine: int, stay: _Stay, windows: Windows) -> Iterator[dict[str, Any]]:
    visit = stay.visit
    args = {"job": visit.job, "piece": visit.piece, "operation": visit.operation, "machine": machine}
    category = _CATEGORIES[stay.kind]
    if stay.begin == stay.end:
        yield _event(f"job {visit.job}", category, machine, stay.begin, stay.end, args)
    for first, last, down in _cut(stay.begin, stay.end, windows):
        cat = f"{category},{_CATEGORIES[DOWN]}" if down else category
        yield _event(f"job {visit.job}", cat, machine, first, last, args)


def _cut(begin: int, end: int, windows: Windows) -> Iterator[tuple[int, int, bool]]:
    """The parts of a stretch of time, and whether each lies in one of the windows; no part is empty."""
    for down, up in windows:
        if up <= begin:
            continue
        if down >= end:
            break
        if begin < down:
            yield begin, down, False
        yield max(begin, down), min(up, end), True
        begin = up
    if begin < end:
        yield begin, end, False


def _event(name: str, cat: str, machine: int, begin: int, end: int, args: dict[str, int]) -> dict[str, Any]:
    return {
        "name": name,
        "cat": cat,
        "ph": "X",
        "pid": _PROCESS,
        "tid": _FIRST_THREAD + machine,
        "ts": begin,
        "dur": end - begin,
        "args": args,
    }


def _swap(time: int, jobs: tuple[int, ...], machines: tuple[int, ...]) -> dict[str, Any]:
    """A swap on the thread of its first machine, drawn through all threads of the process (scope "p")."""
    return {
        "name": "swap",
        "cat": "swap",
        "ph": "i",
        "s": "p",
        "pid": _PROCESS,
        "tid": _FIRST_THREAD + machines[0],
        "ts": time,
        "args": {"jobs": list(jobs), "machines": list(machines)},
    }
