"""Lower bounds on the makespan that need no search."""

from __future__ import annotations

import numpy as np

from .instance import JobShopInstance


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

    Holds in every mode and under every interruption, since blocking and down-times never shorten a schedule.
    """
    return max(job_bound(instance), machine_bound(instance))
