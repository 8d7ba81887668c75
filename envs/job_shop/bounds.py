"""Lower bounds on the makespan that need no search."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

import numpy as np

from .instance import JobShopInstance
from .start import ShopStart


def job_bound(instance: JobShopInstance) -> int:
    """Longest job: max over j of the sum of its processing times."""
    return int(instance.times.sum(axis=1).max())


def machine_bound(instance: JobShopInstance) -> int:
    """Max over machines of (least head + work on the machine + least tail).

    The head of an operation is its job's work before it, the tail the work after it. No operation of a machine starts
    before its least head and at least its least tail follows the last of them, also where jobs revisit machines.
    """
    times = instance.times
    after = times.sum(axis=1, keepdims=True) - np.cumsum(times, axis=1)
    before = np.cumsum(times, axis=1) - times
    bound = 0
    for machine in range(instance.num_machines):
        here = instance.machines == machine
        if here.any():
            bound = max(bound, int(before[here].min() + times[here].sum() + after[here].min()))
    return bound


def lower_bound(instance: JobShopInstance) -> int:
    """Larger of the job bound and the machine bound, in the instance's time unit.

    Holds in every mode and under every interruption, since blocking and down-times never shorten a schedule. Of an
    instance with a start state only what is left counts, from then on.
    """
    if instance.start is not None:
        return _bound_from(instance, instance.start)
    return max(job_bound(instance), machine_bound(instance))


def preemptive_bound(instance: JobShopInstance) -> int:
    """The lower bound, and for each machine the best that its operations allow if they might interrupt each other.

    Holds wherever `lower_bound` does, is never below it, and takes n log n for n operations. That one scales rewards
    and observations; this one is what gaps are measured against where nothing better is known.
    """
    if instance.start is not None:
        by_machine = _rows_from(instance, instance.start)[0]
    else:
        by_machine = {}
        for j, length in enumerate(instance.lengths.tolist()):
            times = instance.times[j, :length].tolist()
            head, tail = 0, sum(times)
            for machine, time in zip(instance.machines[j, :length].tolist(), times, strict=True):
                tail -= time
                by_machine.setdefault(machine, []).append((head, time, tail))
                head += time
    return max([lower_bound(instance), *map(jackson, by_machine.values())])


def jackson(rows: Iterable[tuple[int, int, int]]) -> int:
    """Least time by which one machine's operations and all that follows them can have ended, with preemption.

    Jackson's preemptive schedule: of what is ready the longest tail goes first (J. Carlier, The one-machine sequencing
    problem, European Journal of Operational Research 11(1), 1982, 42-47).

    Args:
        rows: (head, time, tail) of each operation: it cannot begin before its head, and its tail follows it.
    """
    end = now = 0
    ready: list[list[int]] = []  # [-tail, time left]

    def work(until: float) -> None:
        nonlocal end, now
        while ready and now < until:
            tail, left = ready[0]
            spent = min(left, until - now)
            now += int(spent)
            if spent < left:
                ready[0][1] -= int(spent)
            else:
                heappop(ready)
                end = max(end, now - tail)

    for head, time, tail in sorted(rows):
        work(head)
        now = max(now, head)
        heappush(ready, [-tail, time])
    work(float("inf"))
    return end


def _bound_from(instance: JobShopInstance, start: ShopStart) -> int:
    """The job and the machine bound of what has not begun by a start state, and the ends of what has."""
    by_machine, bound = _rows_from(instance, start)
    for rows in by_machine.values():
        heads, times, tails = zip(*rows, strict=True)
        bound = max(bound, min(heads) + sum(times) + min(tails))
    return bound


def _rows_from(instance: JobShopInstance, start: ShopStart) -> tuple[dict[int, list[tuple[int, int, int]]], int]:
    """(head, time and tail of what has not begun by a start state, by machine; the latest end of a job by itself).

    Machines that are down then take nobody before they are repaired.
    """
    free = np.full(instance.num_machines, start.time)
    for machine, _, until in start.down:
        free[machine] = until
    ready = []
    for j, job in enumerate(start.jobs):
        ready.append(start.time)
        if job.since >= 0:
            machine = int(instance.machines[j, job.finished])
            ready[j] = int(free[machine]) + job.remaining if job.remaining else start.time
            free[machine] = max(free[machine], ready[j])
    bound = 0
    by_machine: dict[int, list[tuple[int, int, int]]] = {}
    for j, job in enumerate(start.jobs):
        head, length = ready[j], int(instance.lengths[j])
        tail = int(instance.times[j, job.begun : length].sum())
        for k in range(job.begun, length):
            machine, time = int(instance.machines[j, k]), int(instance.times[j, k])
            head, tail = max(head, int(free[machine])), tail - time
            by_machine.setdefault(machine, []).append((head, time, tail))
            head += time
        if job.finished < length:
            bound = max(bound, head)
    return by_machine, bound
