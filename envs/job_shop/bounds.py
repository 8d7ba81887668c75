"""Lower bounds on the makespan that need no search."""

from __future__ import annotations

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


def _bound_from(instance: JobShopInstance, start: ShopStart) -> int:
    """The job and the machine bound of what has not begun by a start state, and the ends of what has."""
    end = {j: start.time + (job.remaining if job.since >= 0 else 0) for j, job in enumerate(start.jobs)}
    free = np.full(instance.num_machines, start.time)
    for j, job in enumerate(start.jobs):
        if job.since >= 0:
            free[instance.machines[j, job.finished]] = end[j]
    bound = 0
    by_machine: dict[int, list[tuple[int, int, int]]] = {}
    for j, job in enumerate(start.jobs):
        length, ready = int(instance.lengths[j]), end[j]
        rest = instance.times[j, job.begun : length].tolist()
        if job.finished < length:
            bound = max(bound, ready + sum(rest))
        for k, time in enumerate(rest):
            machine = int(instance.machines[j, job.begun + k])
            head, tail = ready + sum(rest[:k]), sum(rest[k + 1 :])
            by_machine.setdefault(machine, []).append((head, time, tail))
    for machine, rows in by_machine.items():
        heads, times, tails = zip(*rows, strict=True)
        bound = max(bound, max(min(heads), int(free[machine])) + sum(times) + min(tails))
    return bound
