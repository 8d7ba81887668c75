"""What a search needs to know of a partial schedule: a bound on what can come of it, and which ones are the same."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import mix
from . import state as d
from .dynamics import objective


@compiled
def machine_free(problem, state, i, m):
    """Lower bound of the time at which machine m can take its next job."""
    job, machine = state.job, state.machine
    if problem.options[d.OPT_CONSTRUCT] == 1:
        return machine[i, m, d.MACHINE_FREE]
    date = state.clock[i, d.TIME]
    holder = machine[i, m, d.HOLDER]
    if holder >= 0 and job[i, holder, d.JOB_STATUS] in (d.PROCESSING, d.PAUSED):
        date = current_end(state, i, holder)
    if not d.is_up(problem, state, i, m) and problem.options[d.OPT_REPAIR_VISIBLE] == 1:
        date = max(date, state.window[i, m, d.NEXT_UP])
    return date


@compiled
def current_end(state, i, j):
    """Lower bound of the completion of the operation that job j has on a machine (processing or paused)."""
    if state.job[i, j, d.JOB_STATUS] == d.PROCESSING:
        return state.job[i, j, d.END]
    return state.clock[i, d.TIME] + state.job[i, j, d.REMAINING]


@compiled
def first_unstarted(problem, state, i, j):
    """(first operation of job j that has not started, lower bound of its start); j must not have left."""
    job = state.job
    k = job[i, j, d.POSITION]
    if job[i, j, d.JOB_STATUS] in (d.PROCESSING, d.PAUSED):
        return k + 1, current_end(state, i, j)
    start = machine_free(problem, state, i, problem.route[i, j, k])
    return k, max(start, job[i, j, d.JOB_FREE])


@compiled
def lower_bound(problem, state, i):
    """Bound on the makespan that copy i can still reach: longest job, and busiest machine with its heads and tails.

    Each unstarted operation has as its head the earliest start that the present occupancy and its job allow, as its
    tail the work of its job after it. A job needs head + work; a machine the later of its own release and its least
    head, all its unstarted work, and its least tail. Breakdowns to come and blocking can only add to this. Exact once
    the episode has ended.
    """
    if state.clock[i, d.STATUS] != d.RUNNING:
        return objective(problem, state, i)
    machines = state.machine.shape[1]
    least_head, least_tail = state.holder[i, :machines], state.holder[i, machines:]
    least_head[:] = d.INFINITY
    least_tail[:] = d.INFINITY
    bound = state.clock[i, d.TIME]
    for j in range(problem.dims[i, d.DIM_JOBS]):
        if state.job[i, j, d.JOB_STATUS] == d.LEFT:
            continue
        first, head = first_unstarted(problem, state, i, j)
        total = problem.head[i, j, problem.length[i, j]]
        bound = max(bound, head + total - problem.head[i, j, first])
        for k in range(first, problem.length[i, j]):
            m = problem.route[i, j, k]
            least_head[m] = min(least_head[m], head + problem.head[i, j, k] - problem.head[i, j, first])
            least_tail[m] = min(least_tail[m], total - problem.head[i, j, k + 1])
    for m in range(problem.dims[i, d.DIM_MACHINES]):
        if least_head[m] < d.INFINITY:
            release = max(least_head[m], machine_free(problem, state, i, m))
            bound = max(bound, release + unstarted_work(problem, state, i, m) + least_tail[m])
    return bound


@compiled(when_plain=-1)
def rewarded_bound(problem, state, i):
    """What the rewards follow: the bound, where they are its fall; -1 where they follow time."""
    if problem.options[d.OPT_REWARD_BOUND] == 0:
        return -1
    return lower_bound(problem, state, i)


@compiled
def unstarted_work(problem, state, i, m):
    """Processing time of the operations of machine m that have not started."""
    work = state.machine[i, m, d.WORK_TO_COME]
    holder = state.machine[i, m, d.HOLDER]
    if holder >= 0 and state.job[i, holder, d.JOB_STATUS] in (d.PROCESSING, d.PAUSED):
        work -= problem.time[i, holder, state.job[i, holder, d.POSITION]]
    return work


@compiled
def absorb(signature, value):
    """Mix a value into a signature."""
    return mix(signature ^ np.uint64(value))


@compiled
def signature(problem, state, i):
    """Hash of everything that the future of copy i depends on, so of no start or completion in the past."""
    job, machine = state.job, state.machine
    h = absorb(np.uint64(state.clock[i, d.STATUS]), state.clock[i, d.TIME])
    for j in range(problem.dims[i, d.DIM_JOBS]):
        status = job[i, j, d.JOB_STATUS]
        h = absorb(h, job[i, j, d.POSITION])
        h = absorb(h, status)
        h = absorb(h, job[i, j, d.MACHINE] + 1)
        h = absorb(h, job[i, j, d.JOB_FREE])
        if status == d.PROCESSING:
            h = absorb(h, job[i, j, d.END])
        elif status == d.PAUSED:
            h = absorb(h, job[i, j, d.REMAINING])
    for m in range(problem.dims[i, d.DIM_MACHINES]):
        h = absorb(h, machine[i, m, d.MACHINE_FREE])
        if problem.options[d.OPT_LAW] != d.LAW_NONE:
            for column in (d.UP, d.NEXT_DOWN, d.NEXT_UP, d.WINDOW, d.AGE, d.AGE_LIMIT):
                h = absorb(h, state.window[i, m, column])
    return h
