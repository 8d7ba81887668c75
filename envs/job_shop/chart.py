"""A job shop's schedule for interactive pictures: a lane per machine, a bar for each thing a job does there."""

from __future__ import annotations

from collections import defaultdict

from ..core.chart import INK, Bar, Bars, Chart, Mark, Panel, Point, Points
from .picture import BLOCKED, DOWN, LOST, PAUSED, PROCESSING, describe, last_time, visit_segments
from .schedule import JobShopSchedule, swaps

_NOTE = "Numbers in bars are jobs; a job has one colour on all machines."
_LOOKS = {PROCESSING: ("", "solid"), BLOCKED: ("/", "pale"), PAUSED: (".", "pale"), LOST: ("x", "pale")}


def chart(schedule: JobShopSchedule) -> Chart:
    """The Gantt chart, up to the latest time that the schedule knows of."""
    now, marks = last_time(schedule), list[Mark]()
    windows = [
        Bar(machine, begin, min(until, now), "down", height=0.98)
        for machine in range(schedule.instance.num_machines)
        for begin, until in schedule.windows(machine)
        if begin < now
    ]
    if windows:
        marks.append(Bars(DOWN, windows, "\\", "neutral"))
    found = _bars(schedule)
    marks += [Bars(kind, found[kind], *look) for kind, look in _LOOKS.items() if found[kind]]
    exchanges = [
        Point(swap.time, machine, "swap", f"job {job} enters machine {machine}")
        for swap in swaps(schedule)
        for job, machine in zip(swap.jobs, swap.machines, strict=True)
    ]
    if exchanges:
        marks.append(Points("swap", exchanges, symbol="diamond", colour=INK))
    lanes = [str(machine) for machine in range(schedule.instance.num_machines)]
    moment = (now, f"{'makespan' if schedule.finished else 'now'} {now}")
    return Chart(describe(schedule), (Panel("machine", marks, lanes),), lane="machine", moments=(moment,), note=_NOTE)


def _bars(schedule: JobShopSchedule) -> dict[str, list[Bar]]:
    """What jobs did on machines, by its kind."""
    now, found = last_time(schedule), defaultdict[str, list[Bar]](list)
    times = schedule.instance.times
    for visits in schedule.pieces():
        for visit in visits:
            name = f"job {visit.job}, operation {visit.operation}"
            piece = f"\npiece {visit.piece}" if visit.piece else ""
            detail = f"processing time {times[visit.job, visit.operation]}{piece}"
            for s in visit_segments(schedule, visits, visit, now):
                label = str(visit.job) if s.kind in (PROCESSING, LOST) else ""
                height = 0.5 if s.kind == PAUSED else 0.76
                found[s.kind].append(Bar(s.machine, s.begin, s.end, name, visit.job, label, detail, height))
    return found
