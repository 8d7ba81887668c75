"""What happens on a chip for interactive pictures: a lane per PE; below it latencies and jobs of a stream."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ..core.chart import INK, Bar, Bars, Chart, Line, Lines, Mark, Panel, Point, Points
from .picture import describe, name_of_pe
from .schedule import APPLICATION, ASSIGNED, FINISH, GENERATED, JOB, JOB_FINISH, PE, READY, START, TASK, SocSchedule


def chart(schedule: SocSchedule) -> Chart:
    """The chip over time, up to the schedule's end."""
    unit = schedule.instance.unit
    lanes = [name_of_pe(schedule, pe) for pe in range(schedule.instance.num_pes)]
    panels = [Panel("processing element", _work(schedule), lanes, weight=max(len(lanes), 6))]
    moments, alone = [], len(schedule.jobs) == 1
    note = "Names in bars are tasks." if alone else "Numbers in bars are jobs; a job has one colour on all PEs."
    if schedule.is_static:
        moments.append((schedule.makespan, f"makespan {schedule.makespan}"))
    else:
        panels += [
            Panel(f"latency ({unit})", _latencies(schedule), weight=4),
            Panel("jobs", _system(schedule), weight=3),
        ]
        if 0 < schedule.settings.warmup <= schedule.end:
            moments.append((schedule.settings.warmup, "warm-up ends"))
    return Chart(describe(schedule), panels, f"time ({unit})", "PE", moments=moments, note=note)


def _work(schedule: SocSchedule) -> list[Mark]:
    """When PEs are down, what they work on, and tasks that take no time."""
    working, paused, instant = list[Bar](), list[Bar](), list[Point]()
    rows, alone = schedule.tasks.tolist(), len(schedule.jobs) == 1
    texts = [_texts(schedule, row) for row in rows]
    for s in schedule.stretches:
        name, detail, task = texts[s.row]
        row = rows[s.row]
        # Jobs are told apart; of one job alone, its tasks.
        group, label = (row[TASK], task) if alone else (row[JOB], str(row[JOB]))
        height = 0.4 if s.paused else 0.76
        bar = Bar(s.pe, s.begin, s.end, name, group, "" if s.paused else label, detail, height)
        (paused if s.paused else working).append(bar)
    for row, (name, detail, _) in zip(rows, texts, strict=True):
        if row[START] >= 0 and row[START] == row[FINISH]:
            instant.append(Point(row[START], row[PE], name, detail))
    down = [
        Bar(pe, begin, min(until, schedule.end), "down", height=0.96)
        for pe, begin, until in schedule.downtimes.tolist()
        if begin < schedule.end
    ]
    marks: list[Mark] = [Bars("PE down", down, "\\", "neutral")] if down else []
    marks.append(Bars("task", working))
    if paused:
        marks.append(Bars("paused", paused, ".", "pale"))
    if instant:
        marks.append(Points("task without length", instant, colour=INK, symbol="diamond", size=5))
    return marks


def _texts(schedule: SocSchedule, row: list[int]) -> tuple[str, str, str]:
    """A task's name in full, what else is to be said of it, and its name in the job."""
    application = schedule.instance.applications[int(schedule.jobs[row[JOB], APPLICATION])]
    task = application.tasks[row[TASK]]
    detail = f"{application.name}\nassigned {row[ASSIGNED]}, data ready {row[READY]}"
    return f"job {row[JOB]}, task {task}", detail, task


def _latencies(schedule: SocSchedule) -> list[Mark]:
    apps, latency = schedule.instance.applications, schedule.latencies.tolist()
    points = [
        Point(finish, latency[j], f"job {j}: {apps[a].name}", f"generated {generated}, finished {finish}")
        for j, (a, generated, finish) in enumerate(schedule.jobs.tolist())
        if finish >= 0
    ]
    return [Points("finished job", points)]


def _system(schedule: SocSchedule) -> list[Mark]:
    """How many jobs are there, at every change."""
    end, jobs = schedule.end, schedule.jobs
    done = jobs[:, JOB_FINISH][jobs[:, JOB_FINISH] >= 0].tolist()
    events = sorted([(t, 1) for t in jobs[:, GENERATED].tolist() if t <= end] + [(t, -1) for t in done])
    times = np.array([0, *(t for t, _ in events), end]).tolist()
    counts = [0, *accumulate(change for _, change in events)]
    line = Line(times, [*counts, counts[-1]], "jobs in the system")
    return [Lines("jobs in the system", [line], colour=1, steps=True, filled=True)]
