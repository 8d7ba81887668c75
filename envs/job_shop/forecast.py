"""What can be told of the near future by who stands where: dates at the earliest, and who waits for whom."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    BLOCKED,
    DIM_MACHINES,
    END,
    HOLDER,
    JOB_FREE,
    JOB_STATUS,
    MACHINE,
    MACHINE_FREE,
    NEXT_UP,
    OPT_REPAIR_VISIBLE,
    PAUSED,
    PROCESSING,
    REMAINING,
    TIME,
    WANTS,
    constructs,
    is_up,
)

FREE, NOWHERE = -1, -2


@compiled
def processing_end(problem, state, i, j):
    """Earliest completion, as far as is known, of the operation that job j has on a machine (processing or paused)."""
    job = state.job[i]
    if job[j, JOB_STATUS] == PROCESSING:
        return job[j, END]
    back = state.clock[i, TIME] + 1
    if problem.options[OPT_REPAIR_VISIBLE] == 1:
        back = state.window[i, job[j, MACHINE], NEXT_UP]
    return back + job[j, REMAINING]


@compiled(forceinline=True)
def earliest_entry(problem, state, i, j):
    """Lower bound of the time at which waiting job j can start its next operation, given the present occupancy."""
    job, machine = state.job[i], state.machine[i]
    m = job[j, WANTS]
    if constructs(problem):
        return max(job[j, JOB_FREE], machine[m, MACHINE_FREE])
    date = state.clock[i, TIME]
    if not is_up(problem, state, i, m):
        date = state.window[i, m, NEXT_UP] if problem.options[OPT_REPAIR_VISIBLE] == 1 else date + 1
    holder = machine[m, HOLDER]
    if holder >= 0 and holder != j and job[holder, JOB_STATUS] != BLOCKED:
        date = max(date, processing_end(problem, state, i, holder))
    return date


@compiled(forceinline=True)
def time_left(state, i, j):
    """Processing time that the operation of job j on a machine still needs; 0 if it is on none or blocked."""
    job = state.job[i]
    status = job[j, JOB_STATUS]
    if status == PROCESSING:
        return job[j, END] - state.clock[i, TIME]
    return job[j, REMAINING] if status == PAUSED else 0


@compiled(forceinline=True)
def link_machines(problem, state, i):
    """Who waits for whom: for each machine the one that its holder wants next, kept in `State.holder`.

    FREE where there is no holder, NOWHERE where it wants no other machine.
    """
    job, machine, link = state.job[i], state.machine[i], state.holder[i]
    for m in range(problem.dims[i, DIM_MACHINES]):
        holder = machine[m, HOLDER]
        wanted = job[max(holder, 0), WANTS]
        following = wanted if (wanted >= 0) & (wanted != m) else NOWHERE
        link[m] = following if holder >= 0 else FREE


@compiled(forceinline=True)
def chain(state, i, own, m, target, jobs):
    """Follow the links of `link_machines` from machine m on, for a job that holds machine `own` (or none, -1).

    Returns (number of jobs ahead, whether the chain comes back to the job's own machine or to machine `target`).
    """
    link = state.holder[i]
    count = 0
    while count <= jobs:
        following = link[m]
        if following == FREE:
            break
        if m == own:
            return count, True
        count += 1
        if following == NOWHERE:
            break
        if following == target:
            return count, True
        m = following
    return count, False
