"""Elementary changes of a shop: jobs join queues, enter machines, complete operations, swap; the clock's sums.

Every function works on one copy ``i`` of a batch.
"""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    BLOCKED,
    BLOCKED_JOBS,
    CHANGED,
    CLASSICAL,
    DIM_JOBS,
    DIM_MACHINES,
    DONE,
    DURATION,
    END,
    FREE_MACHINES,
    HOLDER,
    INFINITY,
    JOB_FREE,
    JOB_STATUS,
    LEFT,
    LOG_BEGIN,
    LOG_END,
    LOG_FULL,
    LOG_JOB,
    LOG_KIND,
    LOG_MACHINE,
    LOG_OPERATION,
    LOG_PIECE,
    LOG_ROWS,
    LONGEST_WORK,
    MACHINE,
    MACHINE_FREE,
    MOST_WORK,
    NEXT_END,
    OPEN_MOVES,
    OPERATIONS_TO_COME,
    OPT_BLOCKING,
    OPT_BUSY_CLOCK,
    OUTSIDE,
    PIECE,
    POSITION,
    PROCESSING,
    PROCESSING_JOBS,
    QUEUE_COUNT,
    QUEUE_WORK,
    SINCE,
    SWAP,
    TIME,
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    WORK_TO_COME,
    is_up,
)
from .world import start_ageing, stop_ageing


@compiled
def append_log(state, i, kind, m, j, k, begin, end):
    """Record what machine m did from `begin` to `end`; note if there is no room left."""
    rows = state.clock[i, LOG_ROWS]
    if rows >= state.log.shape[1]:
        state.clock[i, LOG_FULL] = 1
        return
    row = state.log[i, rows]
    row[LOG_KIND] = kind
    row[LOG_MACHINE] = m
    row[LOG_JOB] = j
    row[LOG_PIECE] = state.job[i, j, PIECE] if j >= 0 else -1
    row[LOG_OPERATION] = k
    row[LOG_BEGIN] = begin
    row[LOG_END] = end
    state.clock[i, LOG_ROWS] = rows + 1


@compiled
def want(problem, state, i, j, k):
    """Job j's first operation not yet begun is now k, which may be past its last."""
    if k < problem.length[i, j]:
        state.job[i, j, WANTS] = problem.route[i, j, k]
        state.job[i, j, WANTS_TIME] = problem.time[i, j, k]
    else:
        state.job[i, j, WANTS] = -1
        state.job[i, j, WANTS_TIME] = 0


@compiled
def join_queue(state, i, j):
    """Job j now waits for its next machine."""
    m = state.job[i, j, WANTS]
    state.job[i, j, SINCE] = state.clock[i, TIME]
    state.machine[i, m, CHANGED] = 1
    state.machine[i, m, QUEUE_COUNT] += 1
    state.machine[i, m, QUEUE_WORK] += state.job[i, j, WANTS_TIME]


@compiled
def enter(problem, state, i, j):
    """Job j enters its next machine, which must be up and free for it, and starts at once; its old one is emptied."""
    clock, job, machine = state.clock[i], state.job[i], state.machine[i]
    t = clock[TIME]
    k = job[j, POSITION]
    m = job[j, WANTS]
    duration = job[j, WANTS_TIME]
    old = job[j, MACHINE]
    clock[FREE_MACHINES] -= 1
    if old >= 0:
        clock[BLOCKED_JOBS] -= 1
        machine[old, CHANGED] = 1
        if machine[old, HOLDER] == j:
            machine[old, HOLDER] = -1
            clock[FREE_MACHINES] += 1
            clock[OPEN_MOVES] += machine[old, QUEUE_COUNT]
    clock[OPEN_MOVES] -= machine[m, QUEUE_COUNT]
    machine[m, QUEUE_COUNT] -= 1
    machine[m, QUEUE_WORK] -= duration
    machine[m, HOLDER] = j
    machine[m, CHANGED] = 1
    clock[PROCESSING_JOBS] += 1
    clock[NEXT_END] = min(clock[NEXT_END], t + duration)
    job[j, MACHINE] = m
    job[j, JOB_STATUS] = PROCESSING
    job[j, END] = t + duration
    job[j, DURATION] = duration
    job[j, WORK_AHEAD] -= duration
    state.start[i, j, k] = t
    want(problem, state, i, j, k + 1)
    if problem.options[OPT_BUSY_CLOCK] == 1:
        start_ageing(problem, state, i, m)


@compiled(forceinline=True)
def complete(problem, state, i, j):
    """Job j's operation ends now: it leaves, goes to the buffer (classical), or stays and blocks."""
    job, machine = state.job[i], state.machine[i]
    k = job[j, POSITION]
    m = job[j, MACHINE]
    state.completion[i, j, k] = state.clock[i, TIME]
    machine[m, CHANGED] = 1
    machine[m, WORK_TO_COME] -= job[j, DURATION]
    machine[m, OPERATIONS_TO_COME] -= 1
    if problem.options[OPT_BUSY_CLOCK] == 1:
        stop_ageing(problem, state, i, m)
    job[j, POSITION] = k + 1
    job[j, END] = INFINITY
    job[j, DURATION] = 0
    leaves = job[j, WANTS] < 0
    if leaves or problem.options[OPT_BLOCKING] == CLASSICAL:
        job[j, JOB_STATUS] = LEFT if leaves else OUTSIDE
        job[j, MACHINE] = -1
        machine[m, HOLDER] = -1
    else:
        job[j, JOB_STATUS] = BLOCKED
    if leaves:
        state.clock[i, DONE] += 1
    else:
        join_queue(state, i, j)


@compiled
def survey(problem, state, i):
    """Sum up the jobs and the machines anew, after they have changed otherwise than by one job's entering a machine."""
    clock, job, machine = state.clock[i], state.job[i], state.machine[i]
    next_end = INFINITY
    processing = 0
    blocked = 0
    longest = 0
    for j in range(problem.dims[i, DIM_JOBS]):
        status = job[j, JOB_STATUS]
        next_end = min(next_end, job[j, END])
        longest = max(longest, job[j, WORK_AHEAD] + job[j, DURATION])
        processing += 1 if status == PROCESSING else 0
        blocked += 1 if status == BLOCKED else 0
    free = 0
    moves = 0
    most = 0
    for m in range(problem.dims[i, DIM_MACHINES]):
        most = max(most, machine[m, WORK_TO_COME])
        free += 1 if machine[m, HOLDER] < 0 else 0
        moves += machine[m, QUEUE_COUNT] if machine[m, HOLDER] < 0 else 0
    clock[NEXT_END] = next_end
    clock[PROCESSING_JOBS] = processing
    clock[BLOCKED_JOBS] = blocked
    clock[FREE_MACHINES] = free
    clock[OPEN_MOVES] = moves
    clock[LONGEST_WORK] = longest
    clock[MOST_WORK] = most


@compiled
def swap_from(problem, state, i, first):
    """Swap the cycle of blocked jobs that job `first` is in, if there is one whose machines are all up."""
    job, machine = state.job[i], state.machine[i]
    j = first
    for _ in range(problem.dims[i, DIM_JOBS]):
        if job[j, JOB_STATUS] != BLOCKED or not is_up(problem, state, i, job[j, MACHINE]):
            return False
        j = machine[job[j, WANTS], HOLDER]
        if j < 0:
            return False
        if j == first:
            break
    if j != first:
        return False
    while j >= 0:
        following = machine[job[j, WANTS], HOLDER]
        enter(problem, state, i, j)
        j = following  # -1 for the last one, whose target the first one has left
    return True


@compiled
def continue_and_swap(problem, state, i, low, high):
    """Same-machine continuations, then swaps, that the jobs low .. high - 1 take part in.

    Returns whether anything happened.
    """
    job = state.job[i]
    changed = False
    for j in range(low, high):
        if (
            job[j, JOB_STATUS] == BLOCKED
            and job[j, WANTS] == job[j, MACHINE]
            and is_up(problem, state, i, job[j, MACHINE])
        ):
            enter(problem, state, i, j)
            changed = True
    if problem.options[OPT_BLOCKING] == SWAP:
        for j in range(low, high):
            if job[j, JOB_STATUS] == BLOCKED and swap_from(problem, state, i, j):
                changed = True
    return changed


@compiled(when_plain=None)
def construct(problem, state, i, j):
    """Append job j's next operation at the earliest time its job and machine are free (offline, classical shop)."""
    job, machine = state.job, state.machine
    k = job[i, j, POSITION]
    m = job[i, j, WANTS]
    start = max(job[i, j, JOB_FREE], machine[i, m, MACHINE_FREE])
    end = start + problem.time[i, j, k]
    state.start[i, j, k] = start
    state.completion[i, j, k] = end
    machine[i, m, QUEUE_COUNT] -= 1
    machine[i, m, QUEUE_WORK] -= problem.time[i, j, k]
    machine[i, m, CHANGED] = 1
    machine[i, m, WORK_TO_COME] -= problem.time[i, j, k]
    machine[i, m, OPERATIONS_TO_COME] -= 1
    job[i, j, JOB_FREE] = end
    machine[i, m, MACHINE_FREE] = end
    job[i, j, POSITION] = k + 1
    state.clock[i, TIME] = max(state.clock[i, TIME], end)
    job[i, j, WORK_AHEAD] -= problem.time[i, j, k]
    want(problem, state, i, j, k + 1)
    if k + 1 == problem.length[i, j]:
        job[i, j, JOB_STATUS] = LEFT
        state.clock[i, DONE] += 1
    else:
        join_queue(state, i, j)
        job[i, j, SINCE] = end
