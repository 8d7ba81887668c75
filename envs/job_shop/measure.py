"""What follows from an instance: sizes, heads, machine loads, the lower bound of the makespan, and scales."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    DIM_JOBS,
    DIM_LONGEST_JOB,
    DIM_LONGEST_TIME,
    DIM_LOWER_BOUND,
    DIM_MACHINES,
    DIM_OPERATIONS,
    DIM_START,
    DIM_TOTAL,
    INFINITY,
    LOAD_COUNT,
    LOAD_HEAD,
    LOAD_TAIL,
    LOAD_WORK,
    SCALE_BOUND,
    SCALE_JOB,
    SCALE_LENGTH,
    SCALE_TIME,
)


@compiled
def measure(problem, i):
    """Derive copy i's sizes, heads, machine loads, lower bound and scales from its route, time and length tables."""
    route, time, length, head = problem.route[i], problem.time[i], problem.length[i], problem.head[i]
    load, dims = problem.load[i], problem.dims[i]
    for m in range(load.shape[0]):
        load[m, LOAD_WORK] = 0
        load[m, LOAD_COUNT] = 0
        load[m, LOAD_HEAD] = INFINITY
        load[m, LOAD_TAIL] = INFINITY
    jobs = 0
    operations = 0
    total = 0
    longest_job = 0
    longest_time = 0
    for j in range(length.shape[0]):
        if length[j] == 0:
            continue
        jobs = j + 1
        head[j, 0] = 0
        for k in range(length[j]):
            longest_time = max(longest_time, time[j, k])
            head[j, k + 1] = head[j, k] + time[j, k]
        sum_job = head[j, length[j]]
        for k in range(length[j]):
            m = route[j, k]
            load[m, LOAD_WORK] += time[j, k]
            load[m, LOAD_COUNT] += 1
            load[m, LOAD_HEAD] = min(load[m, LOAD_HEAD], head[j, k])
            load[m, LOAD_TAIL] = min(load[m, LOAD_TAIL], sum_job - head[j, k + 1])
        operations += length[j]
        total += sum_job
        longest_job = max(longest_job, sum_job)
    bound = longest_job
    for m in range(dims[DIM_MACHINES]):
        if load[m, LOAD_COUNT] > 0:
            bound = max(bound, load[m, LOAD_HEAD] + load[m, LOAD_WORK] + load[m, LOAD_TAIL])
    dims[DIM_JOBS] = jobs
    dims[DIM_OPERATIONS] = operations
    dims[DIM_LOWER_BOUND] = bound
    dims[DIM_TOTAL] = total
    dims[DIM_LONGEST_JOB] = longest_job
    dims[DIM_LONGEST_TIME] = longest_time
    dims[DIM_START] = 0
    scale = problem.scale[i]
    scale[SCALE_TIME] = operations / max(total, 1)
    scale[SCALE_BOUND] = 1.0 / max(bound, 1)
    scale[SCALE_JOB] = jobs / max(total, 1)
    scale[SCALE_LENGTH] = jobs / operations
