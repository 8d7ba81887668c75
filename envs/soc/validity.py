"""An independent check that a schedule of DAG scheduling could have happened.

Nothing here is shared with the engine: times, noise and downtimes are derived anew from the instance, the settings and
the seed. Whether a decision was good, or a task could have started sooner, is no question of validity.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from .instance import INELIGIBLE
from .options import CONTENTIONS, MEMORIES, RELEASES
from .schedule import (
    APPLICATION,
    JOB,
    TASK,
    SocSchedule,
    least_latency,
)

_MASK = 2**64 - 1
_NOISE, _DOWN = 3, 4  # first keys of the random streams
_UNKNOWN = -1

Windows = list[tuple[int, int]]


class _Task(NamedTuple):
    """An assigned task."""

    job: int
    task: int
    pe: int
    assigned: int
    ready: int
    start: int
    finish: int
    name: str

    def __str__(self) -> str:
        return f"task {self.task} ({self.name}) of job {self.job} on PE {self.pe}"


class _Edge(NamedTuple):
    """An edge of an application."""

    producer: int
    consumer: int
    volume: int


class _Facts:
    """What the checks look at."""

    def __init__(self, schedule: SocSchedule) -> None:
        self.schedule, self.instance, self.settings = schedule, schedule.instance, schedule.settings
        self.end = schedule.end
        self.jobs = [tuple(row) for row in schedule.jobs.tolist()]
        self.tasks = [
            _Task(*row, name=self.instance.applications[self.jobs[row[JOB]][0]].tasks[row[TASK]])
            for row in schedule.tasks.tolist()
        ]
        self.by_job: dict[int, dict[int, _Task]] = defaultdict(dict)
        for x in self.tasks:
            self.by_job[x.job][x.task] = x
        self.windows: dict[int, Windows] = defaultdict(list)
        for p, begin, until in schedule.downtimes.tolist():
            self.windows[p].append((begin, until))
        self.edges = [
            [_Edge(i, j, v) for (i, j), v in zip(app.edges.tolist(), app.volumes.tolist(), strict=True)]
            for app in self.instance.applications
        ]

    @cached_property
    def factors(self) -> list[tuple[int, int]]:
        """Of each PE the highest frequency and the one that it runs at."""
        found = []
        for number in self.instance.platform.kind.tolist():
            frequencies = [frequency for frequency, _ in self.instance.platform.kinds[number].levels]
            level = self.settings.levels[number] if self.settings.levels else len(frequencies) - 1
            found.append((frequencies[-1], frequencies[level]))
        return found

    def mean_time(self, x: _Task) -> int:
        """Of a task on its PE, at its level."""
        high, now = self.factors[x.pe]
        time = int(self.instance.applications[self.jobs[x.job][0]].times[x.task, x.pe])
        return -(-time * high // now)

    def true_time(self, x: _Task) -> int | None:
        """How long a task takes on its PE; None where that cannot be known."""
        mean, noise, seed = self.mean_time(x), self.settings.noise, self.settings.seed
        dummy = int(self.instance.applications[self.jobs[x.job][0]].times[x.task].max()) <= 0
        if noise == 0.0 or dummy:
            return mean
        if seed is None:
            return None
        u, v = (_uniform(seed, _NOISE, x.job, x.task, k) for k in (0, 1))
        z = math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)
        return max(round(mean * (1.0 + noise * z)), 1)

    def transfer(self, volume: int, p: int, q: int) -> int:
        """Time from PE to PE."""
        return 0 if p == q else volume // int(self.instance.platform.bandwidth[p, q])

    def to_memory(self, volume: int, p: int) -> int:
        """Time between a PE and the shared memory."""
        return volume // int(self.instance.platform.memory_bandwidth[p])


def validate(schedule: SocSchedule) -> list[str]:
    """Every rule of DAG scheduling that the schedule breaks, in words; an empty list for a valid schedule.

    Checked: the form; that each task is there once and, of a static problem, to its end; that PEs can run their tasks
    and run one at a time; that a task takes its time (its noise is drawn anew from the seed) and what it was paused;
    when tasks may be assigned, when their data is ready, and that nothing starts before; that transfers fit their
    links; that downtimes are those of the seed; that jobs come as the static problem says, or in a stream within the
    cap and the horizon, and are done with their last task; that no bound is beaten. A schedule that tells only up to
    some time is checked up to then.
    """
    form = list(_form_violations(schedule))
    if form:
        return form
    facts = _Facts(schedule)
    return [
        *_downtime_violations(facts),
        *_job_violations(facts),
        *_cap_violations(facts),
        *_time_violations(facts),
        *_start_violations(facts),
        *_edge_violations(facts),
        *_overlap_violations(facts),
        *_link_violations(facts),
        *_bound_violations(facts),
    ]


def _uniform(seed: int, *keys: int) -> float:
    """`makespan.envs.core.random.uniform` in plain Python: in [0, 1), by chained steps of splitmix64."""
    h = _mix(seed & _MASK)
    for key in keys:
        h = _mix(h ^ key)
    return (h >> 11) * 2.0**-53


def _mix(x: int) -> int:
    h = (x + 0x9E3779B97F4A7C15) & _MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _MASK
    return h ^ (h >> 31)


# --- form -------------------------------------------------------------------------------------------------------------


def _form_violations(schedule: SocSchedule) -> Iterator[str]:
    settings, platform = schedule.settings, schedule.instance.platform
    for name, choices in (("release", RELEASES), ("contention", CONTENTIONS), ("memory", MEMORIES)):
        if getattr(settings, name) not in choices:
            yield f"{name} is {getattr(settings, name)!r}, expected one of {choices}"
    if settings.memory == "shared" and (settings.contention != "none" or settings.release != "finished"):
        yield "shared memory goes with contention='none' and release='finished'"
    sizes = [len(kind.levels) for kind in platform.kinds]
    levels = settings.levels
    if levels and (len(levels) != len(sizes) or not all(0 <= x < n for x, n in zip(levels, sizes, strict=True))):
        yield f"levels are {levels}, expected one of each kind, which have {sizes}"
    for name, width in (("jobs", 3), ("tasks", 7), ("downtimes", 3)):
        table = getattr(schedule, name)
        if table.ndim != 2 or table.shape[1] != width:
            yield f"{name} has shape {table.shape}, expected [rows, {width}]"
            return
    jobs = list(_job_form_violations(schedule))
    yield from jobs
    if not jobs:
        yield from _task_form_violations(schedule)


def _job_form_violations(schedule: SocSchedule) -> Iterator[str]:
    applications = len(schedule.instance.applications)
    for j, (a, generated, finish) in enumerate(schedule.jobs.tolist()):
        if not 0 <= a < applications:
            yield f"job {j}: there is no application {a}, the instance has {applications}"
        if generated < 0 or (finish != _UNKNOWN and finish < generated):
            yield f"job {j} is generated at {generated} and finished at {finish}"
    for p, begin, until in schedule.downtimes.tolist():
        if not 0 <= p < schedule.instance.num_pes:
            yield f"downtimes: there is no PE {p}, the platform has {schedule.instance.num_pes}"
        if not 0 <= begin < until:
            yield f"PE {p} is down from {begin} to {until}"


def _task_form_violations(schedule: SocSchedule) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()
    for j, k, p, assigned, ready, start, finish in schedule.tasks.tolist():
        if not 0 <= j < len(schedule.jobs):
            yield f"tasks: there is no job {j}, the schedule has {len(schedule.jobs)}"
            continue
        application = schedule.instance.applications[int(schedule.jobs[j, APPLICATION])]
        if not 0 <= k < application.num_tasks:
            yield f"tasks: there is no task {k} of job {j}, {application.name} has {application.num_tasks}"
            continue
        name = f"task {k} ({application.tasks[k]}) of job {j}"
        if (j, k) in seen:
            yield f"{name} is assigned twice"
        seen.add((j, k))
        if not 0 <= p < schedule.instance.num_pes:
            yield f"{name}: there is no PE {p}, the platform has {schedule.instance.num_pes}"
        elif application.times[k, p] == INELIGIBLE:
            yield f"{name} is on PE {p}, which cannot run it"
        if assigned < 0:
            yield f"{name} is assigned at {assigned}"
        if (finish != _UNKNOWN and start == _UNKNOWN) or (start != _UNKNOWN and ready == _UNKNOWN):
            yield f"{name} has data at {ready}, starts at {start} and finishes at {finish}: something is missing"
        if min(ready, start, finish) < _UNKNOWN or (finish != _UNKNOWN and finish < start):
            yield f"{name} has data at {ready}, starts at {start} and finishes at {finish}: these are no times"


# --- jobs -------------------------------------------------------------------------------------------------------------


def _job_violations(facts: _Facts) -> Iterator[str]:
    schedule, settings = facts.schedule, facts.settings
    if schedule.is_static and schedule.jobs[:, :2].tolist() != facts.instance.jobs.tolist():
        yield "the jobs are not those of the static problem"
    for j, ((_, before, _), (_, generated, _)) in enumerate(pairwise(facts.jobs), 1):
        if generated < before:
            yield f"job {j} is generated at {generated}, before job {j - 1} at {before}"
    for j, (a, generated, finish) in enumerate(facts.jobs):
        if settings.horizon is not None and (generated >= settings.horizon or generated > facts.end):
            yield f"job {j} is generated at {generated}, not before the end {facts.end}"
        tasks = facts.by_job[j]
        count = facts.instance.applications[a].num_tasks
        done = len(tasks) == count and all(x.finish != _UNKNOWN for x in tasks.values())
        last = max(x.finish for x in tasks.values()) if done else _UNKNOWN
        if finish != last:
            yield f"job {j} is finished at {finish}, but its last task at {last}"
        if not done and schedule.is_static and schedule.clock is None:
            missing = min(set(range(count)) - {k for k, x in tasks.items() if x.finish != _UNKNOWN})
            name = facts.instance.applications[a].tasks[missing]
            yield f"task {missing} ({name}) of job {j} is not finished, though the schedule is static"


def _cap_violations(facts: _Facts) -> Iterator[str]:
    cap = facts.settings.queue_cap
    if cap is None:
        return
    finishes: list[int] = []
    for j, (_, generated, finish) in enumerate(facts.jobs):
        while finishes and finishes[0] <= generated:
            heapq.heappop(finishes)
        heapq.heappush(finishes, finish if finish != _UNKNOWN else facts.end + 1)
        if len(finishes) > cap:
            yield f"with job {j}, generated at {generated}, {len(finishes)} jobs are in the system, more than {cap}"


# --- tasks ------------------------------------------------------------------------------------------------------------


def _carried_out(start: int, time: int, windows: Windows) -> int:
    """When work of a length that starts then is done, if it pauses while its PE is down."""
    now, left = start, time
    for begin, until in windows:
        if until <= now:
            continue
        if now + left <= begin:
            break
        left -= max(begin - now, 0)
        now = until
    return now + left


def _paused(begin: int, end: int, windows: Windows) -> int:
    return sum(max(min(end, until) - max(begin, down), 0) for down, until in windows)


def _time_violations(facts: _Facts) -> Iterator[str]:
    """Each task takes its time."""
    for x in facts.tasks:
        if x.start == _UNKNOWN:
            continue
        time, windows = facts.true_time(x), facts.windows[x.pe]
        if x.finish == _UNKNOWN:
            if time is not None and (due := _carried_out(x.start, time, windows)) <= facts.end:
                yield f"{x} starts at {x.start} and takes {time}: it should have finished at {due}"
            continue
        if x.finish > facts.end:
            yield f"{x} finishes at {x.finish}, after the end {facts.end}"
        if time is None:
            worked = x.finish - x.start - _paused(x.start, x.finish, windows)
            if worked < 1:
                yield f"{x} takes {worked}, expected at least 1"
        elif x.finish != (due := _carried_out(x.start, time, windows)):
            pauses = " and pauses while its PE is down" if due - x.start != time else ""
            yield f"{x} runs from {x.start} to {x.finish}, but takes {time}{pauses}: expected to {due}"


def _start_violations(facts: _Facts) -> Iterator[str]:
    """Nothing starts before it is assigned, its data is there and its job has come, nor on a PE that is down."""
    for x in facts.tasks:
        generated = facts.jobs[x.job][1]
        if not facts.schedule.is_static and x.assigned < generated:
            yield f"{x} is assigned at {x.assigned}, before its job comes at {generated}"
        if x.start == _UNKNOWN:
            continue
        dates = {"it is assigned": x.assigned, "its data is there": x.ready, "its job comes": generated}
        for name, time in dates.items():
            if x.start < time:
                yield f"{x} starts at {x.start}, before {name} at {time}"
        if facts.settings.horizon is not None and x.start >= facts.settings.horizon:
            yield f"{x} starts at {x.start}, not before the horizon {facts.settings.horizon}"
        if x.start > facts.end:
            yield f"{x} starts at {x.start}, after the end {facts.end}"
        for begin, until in facts.windows[x.pe]:
            if begin <= x.start < until:
                yield f"{x} starts at {x.start}, but its PE is down from {begin} to {until}"


def _edge_violations(facts: _Facts) -> Iterator[str]:
    """When tasks may be assigned, and when their data is ready."""
    for j, (a, generated, _) in enumerate(facts.jobs):
        tasks = facts.by_job[j]
        incoming: dict[int, list[_Edge]] = defaultdict(list)
        for edge in facts.edges[a]:
            incoming[edge.consumer].append(edge)
        for x in tasks.values():
            edges = incoming[x.task]
            missing = [e.producer for e in edges if e.producer not in tasks]
            if missing:
                yield f"{x} is assigned, but its predecessor {missing[0]} is not"
                continue
            before = [(tasks[e.producer], e.volume) for e in edges]
            yield from _release_violations(facts, x, before)
            yield from _ready_violations(facts, x, before, generated)


def _release_violations(facts: _Facts, x: _Task, before: list[tuple[_Task, int]]) -> Iterator[str]:
    for y, volume in before:
        if facts.settings.release == "assigned":
            if x.assigned < y.assigned:
                yield f"{x} is assigned at {x.assigned}, before its predecessor {y.task} at {y.assigned}"
        elif y.finish == _UNKNOWN:
            yield f"{x} is assigned, but its predecessor {y.task} is not finished"
        else:
            there = y.finish + (facts.to_memory(volume, y.pe) if facts.settings.memory == "shared" else 0)
            if x.assigned < there:
                yield f"{x} is assigned at {x.assigned}, before the data of task {y.task} can be had at {there}"


def _ready_violations(facts: _Facts, x: _Task, before: list[tuple[_Task, int]], generated: int) -> Iterator[str]:
    """Data is ready when all transfers are over: to the letter, but for waiting under contention."""
    if x.ready == _UNKNOWN:
        return
    late = [y for y, _ in before if y.finish == _UNKNOWN]
    if late:
        yield f"{x} has its data at {x.ready}, but its predecessor {late[0].task} is not finished"
        return
    if facts.settings.memory == "shared" and before:
        there = max(y.finish + facts.to_memory(volume, y.pe) for y, volume in before)
        expected = max(there, x.assigned) + max(facts.to_memory(volume, x.pe) for _, volume in before)
    else:
        waits = x.assigned if facts.settings.contention != "none" else 0
        expected = generated
        for y, volume in before:
            time = facts.transfer(volume, y.pe, x.pe)
            expected = max(expected, (max(y.finish, waits) if time else y.finish) + time)
    if facts.settings.contention == "none" and x.ready != expected:
        yield f"{x} has its data at {x.ready}, expected at {expected}"
    if x.ready < expected:
        yield f"{x} has its data at {x.ready}, before its transfers can be over at {expected}"


def _overlap_violations(facts: _Facts) -> Iterator[str]:
    by_pe: dict[int, list[_Task]] = defaultdict(list)
    for x in facts.tasks:
        if x.start != _UNKNOWN:
            by_pe[x.pe].append(x)
    for p, tasks in sorted(by_pe.items()):
        ends = {id(x): facts.end + 1 if x.finish == _UNKNOWN else x.finish for x in tasks}
        tasks.sort(key=lambda x: (x.start, ends[id(x)], x.job, x.task))
        latest = tasks[0]
        for x in tasks[1:]:
            if x.start < ends[id(latest)]:
                yield f"{x} starts at {x.start}, while task {latest.task} of job {latest.job} runs there"
            if ends[id(x)] >= ends[id(latest)]:
                latest = x
        busy = sum(
            min(ends[id(x)], facts.end) - x.start - _paused(x.start, min(ends[id(x)], facts.end), facts.windows[p])
            for x in tasks
        )
        if busy > facts.end:
            yield f"PE {p} works for {busy}, longer than the {facts.end} that there are"


# --- links, downtimes, bounds -----------------------------------------------------------------------------------------


def _link_violations(facts: _Facts) -> Iterator[str]:
    """Under contention, the transfers of a link, from when they are asked for to when the data is ready, must fit it.

    They are let go earliest deadline first, interrupted at will: what does not fit so does not fit at all.
    """
    if facts.settings.contention == "none":
        return
    links: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
    for j, (a, _, _) in enumerate(facts.jobs):
        tasks = facts.by_job[j]
        for edge in facts.edges[a]:
            y, x = tasks.get(edge.producer), tasks.get(edge.consumer)
            if x is None or y is None or y.finish == _UNKNOWN or x.ready == _UNKNOWN:
                continue
            time = facts.transfer(edge.volume, y.pe, x.pe)
            if time == 0:
                continue
            between = f"the link of PEs {min(x.pe, y.pe)} and {max(x.pe, y.pe)}"
            link = "the bus" if facts.settings.contention == "bus" else between
            name = f"from task {edge.producer} to task {edge.consumer} of job {j}"
            links[link].append((max(y.finish, x.assigned), x.ready, time, name))
    for link, transfers in sorted(links.items()):
        late = _first_late(transfers)
        if late:
            yield f"the transfers of {link} do not fit: that {late} cannot be over in time"


def _first_late(transfers: list[tuple[int, int, int, str]]) -> str | None:
    """The first of (from, due, time, name) that is late, earliest deadline first; None if none is."""
    waiting: list[list] = []
    coming = sorted(transfers)
    now = place = 0
    while place < len(coming) or waiting:
        if not waiting:
            now = max(now, coming[place][0])
        while place < len(coming) and coming[place][0] <= now:
            _, due, time, name = coming[place]
            heapq.heappush(waiting, [due, name, time])
            place += 1
        due, name, left = waiting[0]
        until = min(now + left, coming[place][0]) if place < len(coming) else now + left
        if now + left > due:
            return name
        waiting[0][2] -= until - now
        now = until
        if waiting[0][2] == 0:
            heapq.heappop(waiting)
    return None


def _downtime_violations(facts: _Facts) -> Iterator[str]:
    settings = facts.settings
    if settings.mtbf == 0.0:
        for p in sorted(facts.windows):
            yield f"PE {p} is down, though none ever fails"
        return
    for p, windows in sorted(facts.windows.items()):
        for (_, until), (begin, _) in pairwise(windows):
            if begin <= until:
                yield f"the downtimes of PE {p} are not sorted and apart: {until} ends one, {begin} begins the next"
    if settings.seed is None:
        return
    for p in range(facts.instance.num_pes):
        windows, k, now = facts.windows[p], 0, 0
        while True:
            begin = now + _length(settings.mtbf, _uniform(settings.seed, _DOWN, p, k, 0))
            now = begin + _length(settings.mttr, _uniform(settings.seed, _DOWN, p, k, 1))
            if k >= len(windows):
                if begin < facts.end:
                    yield f"PE {p} is down from {begin} to {now}, which is not in the schedule"
                break
            if windows[k] != (begin, now):
                yield f"PE {p} is down from {windows[k][0]} to {windows[k][1]}, expected from {begin} to {now}"
                break
            k += 1


def _length(mean: float, u: float) -> int:
    return max(1, int(-mean * math.log(1.0 - u)))


def _bound_violations(facts: _Facts) -> Iterator[str]:
    """Without noise no job is faster than its optimistic costs, no static schedule than its work on any set of PEs."""
    settings, instance = facts.settings, facts.instance
    if settings.noise > 0.0:
        return
    least = [least_latency(app, instance.platform, settings.levels, settings.memory) for app in instance.applications]
    for j, (a, generated, finish) in enumerate(facts.jobs):
        if finish != _UNKNOWN and finish - generated < least[a]:
            name = instance.applications[a].name
            yield f"job {j} takes {finish - generated}, less than the bound {least[a]} of {name}"
    if not facts.schedule.is_static or any(finish == _UNKNOWN for _, _, finish in facts.jobs):
        return
    work: dict[frozenset[int], int] = defaultdict(int)
    for a, _, _ in facts.jobs:
        for row in instance.applications[a].times.tolist():
            able = frozenset(p for p, time in enumerate(row) if time != INELIGIBLE)
            work[able] += min(-(-row[p] * facts.factors[p][0] // facts.factors[p][1]) for p in able)
    first = min(generated for _, generated, _ in facts.jobs)
    for able in work:
        bound = -(-sum(time for other, time in work.items() if other <= able) // len(able))
        if facts.schedule.makespan - first < bound:
            yield f"the makespan is {facts.schedule.makespan}, but PEs {sorted(able)} have work for {first + bound}"
