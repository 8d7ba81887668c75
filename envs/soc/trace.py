"""A chip's schedule in Chrome's trace event format, which Perfetto and chrome://tracing show.

Source: Google, *Trace Event Format* (the "JSON Object Format"). The chip is a process with a thread for each PE. Work
on a task is a complete event (``"ph": "X"``), cut where its PE is down; an event's ``cat`` is ``task``, ``paused`` or
``down``. Data that goes from one PE to another is a flow (``"s"`` to ``"f"``) from the end of its producer to the start
of its consumer. Jobs are another process: each is an asynchronous event (``"b"`` to ``"e"``) from its generation to its
finish, and a counter says how many are in the system. One unit of time is one microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .picture import describe, name_of_pe
from .schedule import APPLICATION, ASSIGNED, FINISH, JOB, PE, READY, START, TASK, SocSchedule, Stretch

# Viewers take process 0 and thread 0 for the idle ones of an operating system.
_CHIP, _JOBS = 1, 2
_FIRST_THREAD = 1


def trace(schedule: SocSchedule) -> dict[str, Any]:
    """A schedule as a trace, up to its end.

    Args:
        schedule: a valid schedule, finished or not.

    Returns:
        ``{"traceEvents": [...], "otherData": {...}}``, plain data for JSON.
    """
    events = [*_names(schedule), *_work(schedule), *_downtimes(schedule), *_flows(schedule), *_jobs(schedule)]
    unit = f"1 microsecond is 1 {schedule.instance.unit}"
    return {"traceEvents": events, "otherData": {"schedule": describe(schedule), "unit": unit}}


def _names(schedule: SocSchedule) -> Iterator[dict[str, Any]]:
    """Metadata events: what the processes and threads are called, and in which order the threads are shown."""
    for process, name in ((_CHIP, schedule.instance.platform.name), (_JOBS, "jobs")):
        yield {"ph": "M", "pid": process, "tid": _FIRST_THREAD, "name": "process_name", "args": {"name": name}}
    for p in range(schedule.instance.num_pes):
        thread = {"ph": "M", "pid": _CHIP, "tid": _FIRST_THREAD + p}
        yield {**thread, "name": "thread_name", "args": {"name": name_of_pe(schedule, p)}}
        yield {**thread, "name": "thread_sort_index", "args": {"sort_index": p}}


def _event(name: str, cat: str, pe: int, begin: int, end: int, args: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "cat": cat,
        "ph": "X",
        "pid": _CHIP,
        "tid": _FIRST_THREAD + pe,
        "ts": begin,
        "dur": end - begin,
        "args": args,
    }


def _work(schedule: SocSchedule) -> Iterator[dict[str, Any]]:
    """What PEs do; tasks without length are there, too."""
    rows = schedule.tasks.tolist()
    dummies = [
        Stretch(r, row[PE], row[START], row[START], False)
        for r, row in enumerate(rows)
        if row[START] >= 0 and row[START] == row[FINISH]
    ]
    for s in [*schedule.stretches, *dummies]:
        row = rows[s.row]
        application = schedule.instance.applications[int(schedule.jobs[row[JOB], APPLICATION])]
        args = {
            "job": row[JOB],
            "application": application.name,
            "task": row[TASK],
            "assigned": row[ASSIGNED],
            "data_ready": row[READY],
        }
        name = f"{row[JOB]}.{application.tasks[row[TASK]]}"
        yield _event(name, "paused" if s.paused else "task", s.pe, s.begin, s.end, args)


def _downtimes(schedule: SocSchedule) -> Iterator[dict[str, Any]]:
    """When PEs are down and no task pauses there: a pause lasts as long, and events of one thread must not overlap."""
    paused = {(s.pe, s.begin) for s in schedule.stretches if s.paused}
    for p, begin, until in schedule.downtimes.tolist():
        if begin < schedule.end and (p, begin) not in paused:
            yield _event("down", "down", p, begin, min(until, schedule.end), {"pe": p})


def _flows(schedule: SocSchedule) -> Iterator[dict[str, Any]]:
    """Data that goes from PE to PE, where its consumer has started."""
    placed = {(row[JOB], row[TASK]): row for row in schedule.tasks.tolist()}
    number = 0
    for j, (a, _, _) in enumerate(schedule.jobs.tolist()):
        application = schedule.instance.applications[a]
        for (i, k), volume in zip(application.edges.tolist(), application.volumes.tolist(), strict=True):
            producer, consumer = placed.get((j, i)), placed.get((j, k))
            if producer is None or consumer is None or consumer[START] < 0 or producer[PE] == consumer[PE]:
                continue
            number += 1
            common = {"name": "transfer", "cat": "transfer", "id": number, "pid": _CHIP, "args": {"volume": volume}}
            yield {**common, "ph": "s", "tid": _FIRST_THREAD + producer[PE], "ts": producer[FINISH]}
            yield {**common, "ph": "f", "bp": "e", "tid": _FIRST_THREAD + consumer[PE], "ts": consumer[START]}


def _jobs(schedule: SocSchedule) -> Iterator[dict[str, Any]]:
    """Each job from generation to finish, or to the end, and how many are in the system."""
    changes: dict[int, int] = {}
    for j, (a, generated, finish) in enumerate(schedule.jobs.tolist()):
        if generated > schedule.end:
            continue
        application = schedule.instance.applications[a].name
        common = {"name": f"job {j}: {application}", "cat": "job", "id": j + 1, "pid": _JOBS, "tid": _FIRST_THREAD}
        last = schedule.end if finish < 0 else finish
        yield {**common, "ph": "b", "ts": generated, "args": {"job": j, "application": application}}
        yield {**common, "ph": "e", "ts": last, "args": {"finished": finish >= 0}}
        changes[generated] = changes.get(generated, 0) + 1
        if finish >= 0:
            changes[finish] = changes.get(finish, 0) - 1
    count = 0
    for time in sorted(changes):
        count += changes[time]
        yield {"ph": "C", "pid": _JOBS, "name": "jobs in the system", "ts": time, "args": {"jobs": count}}
