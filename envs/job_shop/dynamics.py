"""State and transition of the job shop, compiled: classical, blocking (BNS) and blocking with swaps (BWS), breakdowns.

The model, its order of events and its streams are described in ``docs/environments/job_shop.md``. Every function works
on one copy ``i`` of a batch; all times are integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.random import combine, uniform

INFINITY = 2**61

# --- options, columns of Problem.options ------------------------------------------------------------------------------
(
    OPT_BLOCKING,
    OPT_LAW,
    OPT_BREAKDOWN,
    OPT_ALLOW_WAIT,
    OPT_BANKER,
    OPT_UNLOAD,
    OPT_EPOCH_ON_BREAKDOWN,
    OPT_REPAIR_VISIBLE,
    OPT_KNOWN_WINDOWS,
    OPT_BUSY_CLOCK,
    OPT_CONSTRUCT,
    OPT_RECORD,
    OPT_SCALE_REWARD,
    NUM_OPTIONS,
) = range(14)

CLASSICAL, SWAP, NO_SWAP = range(3)
LAW_NONE, LAW_BERNOULLI, LAW_EXPONENTIAL, LAW_WINDOWS = range(4)
RESUME, REPEAT, SCRAP = range(3)

# --- columns of Problem.dims ------------------------------------------------------------------------------------------
(
    DIM_JOBS,
    DIM_MACHINES,
    DIM_OPERATIONS,
    DIM_LOWER_BOUND,
    DIM_TOTAL,
    DIM_LONGEST_JOB,
    DIM_LONGEST_TIME,
    NUM_DIMS,
) = range(8)

# --- columns of Problem.scale -----------------------------------------------------------------------------------------
SCALE_TIME, SCALE_BOUND, SCALE_JOB, SCALE_LENGTH, NUM_SCALES = range(5)

# --- columns of Problem.load: what a machine has to do in all ---------------------------------------------------------
LOAD_WORK, LOAD_COUNT, LOAD_HEAD, LOAD_TAIL, NUM_LOAD = range(5)

# --- columns of State.clock -------------------------------------------------------------------------------------------
(
    TIME,
    SEED,
    STEPS,
    STATUS,
    DONE,
    WAITS,
    BREAKDOWNS,
    LOST,
    LEGAL,
    WAIT_LEGAL,
    LOG_ROWS,
    LOG_FULL,
    NUM_CLOCK,
) = range(13)

RUNNING, FINISHED, DEADLOCK, TRUNCATED, ILLEGAL = range(5)

# --- columns of State.job ---------------------------------------------------------------------------------------------
# POSITION is the operation being processed, or the next one to start; MACHINE the machine that holds the job, or -1.
# END is INFINITY unless the job is being processed. WANTS is the machine of the first operation not yet begun, or -1;
# WANTS_TIME that operation's processing time, WORK_AHEAD the work from it on; DURATION the processing time of the
# operation begun but not completed, or 0.
(
    POSITION,
    JOB_STATUS,
    MACHINE,
    END,
    REMAINING,
    SINCE,
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    DURATION,
    PIECE,
    JOB_FREE,
    NUM_JOB,
) = range(13)

OUTSIDE, PROCESSING, PAUSED, BLOCKED, LEFT = range(5)

# --- columns of State.machine -----------------------------------------------------------------------------------------
# NEXT_DOWN and NEXT_UP are the present window's begin and end when the machine is down, else the next window's.
(
    HOLDER,
    UP,
    QUEUE_COUNT,
    QUEUE_WORK,
    WORK_TO_COME,
    OPERATIONS_TO_COME,
    NEXT_DOWN,
    NEXT_UP,
    WINDOW,
    AGE,
    AGE_LIMIT,
    REPAIR,
    MACHINE_FREE,
    NUM_MACHINE,
) = range(14)

# --- columns of State.log (kept when recording): what the start and completion tables forget --------------------------
LOG_KIND, LOG_MACHINE, LOG_JOB, LOG_PIECE, LOG_OPERATION, LOG_BEGIN, LOG_END, NUM_LOG = range(8)
LOG_LOST, LOG_DOWNTIME = range(2)

_STREAM_BREAKDOWN = 1
STEP_CAP_PER_OPERATION = 50
# An operation that breakdowns make start over may never end while nothing else can be chosen.
MOST_BREAKDOWNS = 100_000


class Problem(NamedTuple):
    """What stays fixed during an episode, for n copies of at most J jobs, M machines, L operations per job."""

    options: NDArray[np.int64]  # [NUM_OPTIONS], shared by all copies
    law: NDArray[np.float64]  # [2]: p or MTBF, MTTR; shared
    dims: NDArray[np.int64]  # [n, NUM_DIMS]
    route: NDArray[np.int64]  # [n, J, L], -1 padded
    time: NDArray[np.int64]  # [n, J, L], 0 padded
    head: NDArray[np.int64]  # [n, J, L + 1]: work before operation k; [length] is the job's total
    length: NDArray[np.int64]  # [n, J], 0 padded
    windows: NDArray[np.int64]  # [n, M, W, 2], INFINITY padded
    load: NDArray[np.int64]  # [n, M, NUM_LOAD]: work, operations, least head and least tail of each machine
    scale: NDArray[np.float64]  # [n, NUM_SCALES]: 1/mean time, 1/lower bound, 1/mean job work, 1/mean job length


class State(NamedTuple):
    """What changes, for n copies."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    job: NDArray[np.int64]  # [n, J, NUM_JOB]
    machine: NDArray[np.int64]  # [n, M, NUM_MACHINE]
    start: NDArray[np.int64]  # [n, J, L], -1 where not started
    completion: NDArray[np.int64]  # [n, J, L], -1 where not completed
    log: NDArray[np.int64]  # [n, R, NUM_LOG], R = 0 unless recording
    held: NDArray[np.int64]  # [n, J], [n, 2 M]: scratch, of the banker's test machine by job and job by machine
    holder: NDArray[np.int64]


# --- breakdowns -------------------------------------------------------------------------------------------------------


@compiled
def up_length(problem, seed, machine, k):
    """Length of the up time before breakdown k >= 0 of a machine, at least 1."""
    u = uniform(seed, _STREAM_BREAKDOWN, machine, k, 0)
    if problem.options[OPT_LAW] == LAW_BERNOULLI:
        p = problem.law[0]
        if p <= 0.0:
            return INFINITY
        if p >= 1.0:
            return 1
        length = np.floor(np.log(1.0 - u) / np.log(1.0 - p))
        return 1 + np.int64(min(length, 1e15))
    return max(1, np.int64(min(np.ceil(-problem.law[0] * np.log(1.0 - u)), 1e15)))


@compiled
def down_length(problem, seed, machine, k, elapsed):
    """Length of breakdown k of a machine, conditioned on being longer than `elapsed` >= 0."""
    u = uniform(seed, _STREAM_BREAKDOWN, machine, k, 1)
    if problem.options[OPT_LAW] == LAW_BERNOULLI:
        low = max(10, elapsed + 1)
        return low + np.int64(np.floor((51 - low) * u))
    # The exponential law is memoryless, also when rounded up.
    return elapsed + max(1, np.int64(min(np.ceil(-problem.law[1] * np.log(1.0 - u)), 1e15)))


@compiled(when_plain=None)
def draw_window(problem, state, i, m, begin_of_up):
    """Set the next window of machine m, whose index stands in its WINDOW column, counted from `begin_of_up`."""
    machine = state.machine
    law = problem.options[OPT_LAW]
    k = machine[i, m, WINDOW]
    machine[i, m, NEXT_DOWN] = INFINITY
    machine[i, m, NEXT_UP] = INFINITY
    if law == LAW_WINDOWS:
        if k < problem.windows.shape[2]:
            machine[i, m, NEXT_DOWN] = problem.windows[i, m, k, 0]
            machine[i, m, NEXT_UP] = problem.windows[i, m, k, 1]
            machine[i, m, REPAIR] = problem.windows[i, m, k, 1] - problem.windows[i, m, k, 0]
    elif law != LAW_NONE:
        seed = state.clock[i, SEED]
        length = up_length(problem, seed, m, k)
        machine[i, m, REPAIR] = down_length(problem, seed, m, k, 0)
        machine[i, m, AGE] = 0
        machine[i, m, AGE_LIMIT] = length
        if problem.options[OPT_BUSY_CLOCK] == 0 and length < INFINITY:
            machine[i, m, NEXT_DOWN] = begin_of_up + length
            machine[i, m, NEXT_UP] = begin_of_up + length + machine[i, m, REPAIR]


@compiled(when_plain=None)
def start_ageing(problem, state, i, m):
    """Busy clock: the machine begins to process now, so its breakdown has a date."""
    machine = state.machine
    if machine[i, m, AGE_LIMIT] < INFINITY:
        machine[i, m, NEXT_DOWN] = state.clock[i, TIME] + machine[i, m, AGE_LIMIT] - machine[i, m, AGE]
        machine[i, m, NEXT_UP] = machine[i, m, NEXT_DOWN] + machine[i, m, REPAIR]


@compiled(when_plain=None)
def stop_ageing(problem, state, i, m):
    """Busy clock: the machine ceases to process now; a breakdown due at this very instant still happens."""
    machine = state.machine
    if machine[i, m, NEXT_DOWN] < INFINITY:
        left = machine[i, m, NEXT_DOWN] - state.clock[i, TIME]
        machine[i, m, AGE] = machine[i, m, AGE_LIMIT] - left
        if left > 0:
            machine[i, m, NEXT_DOWN] = INFINITY
            machine[i, m, NEXT_UP] = INFINITY


# --- loading ----------------------------------------------------------------------------------------------------------


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
    scale = problem.scale[i]
    scale[SCALE_TIME] = operations / max(total, 1)
    scale[SCALE_BOUND] = 1.0 / max(bound, 1)
    scale[SCALE_JOB] = jobs / max(total, 1)
    scale[SCALE_LENGTH] = jobs / operations


# --- elementary changes -----------------------------------------------------------------------------------------------


@compiled
def append_log(state, i, kind, m, j, k, begin, end):
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
    state.machine[i, m, QUEUE_COUNT] += 1
    state.machine[i, m, QUEUE_WORK] += state.job[i, j, WANTS_TIME]


@compiled
def enter(problem, state, i, j):
    """Job j enters its next machine, which must be up and free for it, and starts at once; its old one is emptied."""
    job, machine = state.job[i], state.machine[i]
    t = state.clock[i, TIME]
    k = job[j, POSITION]
    m = job[j, WANTS]
    duration = job[j, WANTS_TIME]
    old = job[j, MACHINE]
    if old >= 0 and machine[old, HOLDER] == j:
        machine[old, HOLDER] = -1
    machine[m, QUEUE_COUNT] -= 1
    machine[m, QUEUE_WORK] -= duration
    machine[m, HOLDER] = j
    job[j, MACHINE] = m
    job[j, JOB_STATUS] = PROCESSING
    job[j, END] = t + duration
    job[j, DURATION] = duration
    job[j, WORK_AHEAD] -= duration
    state.start[i, j, k] = t
    want(problem, state, i, j, k + 1)
    if problem.options[OPT_BUSY_CLOCK] == 1:
        start_ageing(problem, state, i, m)


@compiled
def complete(problem, state, i, j):
    """Job j's operation ends now: it leaves, goes to the buffer (classical), or stays and blocks."""
    job, machine = state.job[i], state.machine[i]
    k = job[j, POSITION]
    m = job[j, MACHINE]
    state.completion[i, j, k] = state.clock[i, TIME]
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
def lose_piece(problem, state, i, j):
    """Scrap: job j's work piece is lost; a fresh one waits outside at operation 0."""
    job = state.job
    m = job[i, j, MACHINE]
    last = job[i, j, POSITION]
    if problem.options[OPT_RECORD] == 1:
        for k in range(last + 1):
            end = state.clock[i, TIME] if k == last else state.completion[i, j, k]
            append_log(state, i, LOG_LOST, problem.route[i, j, k], j, k, state.start[i, j, k], end)
    for k in range(last + 1):
        state.start[i, j, k] = -1
        state.completion[i, j, k] = -1
        if k < last:
            state.machine[i, problem.route[i, j, k], WORK_TO_COME] += problem.time[i, j, k]
            state.machine[i, problem.route[i, j, k], OPERATIONS_TO_COME] += 1
    state.machine[i, m, HOLDER] = -1
    job[i, j, POSITION] = 0
    job[i, j, JOB_STATUS] = OUTSIDE
    job[i, j, MACHINE] = -1
    job[i, j, PIECE] += 1
    job[i, j, END] = INFINITY
    job[i, j, DURATION] = 0
    job[i, j, WORK_AHEAD] = problem.head[i, j, problem.length[i, j]]
    state.clock[i, LOST] += 1
    want(problem, state, i, j, 0)
    join_queue(state, i, j)


@compiled
def break_down(problem, state, i, m):
    """Machine m goes down now. Returns whether a piece was lost."""
    job, machine = state.job, state.machine
    t = state.clock[i, TIME]
    machine[i, m, UP] = 0
    state.clock[i, BREAKDOWNS] += 1
    # Other down-times follow from the seed or the instance.
    if problem.options[OPT_RECORD] == 1 and problem.options[OPT_BUSY_CLOCK] == 1:
        append_log(state, i, LOG_DOWNTIME, m, -1, -1, t, machine[i, m, NEXT_UP])
    j = machine[i, m, HOLDER]
    if j < 0 or job[i, j, JOB_STATUS] != PROCESSING:
        return False
    if problem.options[OPT_BREAKDOWN] == SCRAP:
        lose_piece(problem, state, i, j)
        return True
    job[i, j, JOB_STATUS] = PAUSED
    if problem.options[OPT_BREAKDOWN] == REPEAT:
        job[i, j, REMAINING] = job[i, j, DURATION]
    else:
        job[i, j, REMAINING] = job[i, j, END] - t
    job[i, j, END] = INFINITY
    return False


@compiled
def repair(problem, state, i, m):
    """Machine m is up again; a paused operation goes on without a decision."""
    job, machine = state.job, state.machine
    t = state.clock[i, TIME]
    machine[i, m, UP] = 1
    machine[i, m, WINDOW] += 1
    draw_window(problem, state, i, m, t)
    j = machine[i, m, HOLDER]
    if j >= 0 and job[i, j, JOB_STATUS] == PAUSED:
        job[i, j, JOB_STATUS] = PROCESSING
        job[i, j, END] = t + job[i, j, REMAINING]
        if problem.options[OPT_BUSY_CLOCK] == 1:
            start_ageing(problem, state, i, m)


@compiled
def swap_from(problem, state, i, first):
    """Swap the cycle of blocked jobs that job `first` is in, if there is one whose machines are all up."""
    job, machine = state.job[i], state.machine[i]
    j = first
    for _ in range(problem.dims[i, DIM_JOBS]):
        if job[j, JOB_STATUS] != BLOCKED or machine[job[j, MACHINE], UP] == 0:
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
    job, machine = state.job[i], state.machine[i]
    changed = False
    for j in range(low, high):
        if job[j, JOB_STATUS] == BLOCKED and job[j, WANTS] == job[j, MACHINE] and machine[job[j, MACHINE], UP] == 1:
            enter(problem, state, i, j)
            changed = True
    if problem.options[OPT_BLOCKING] == SWAP:
        for j in range(low, high):
            if job[j, JOB_STATUS] == BLOCKED and swap_from(problem, state, i, j):
                changed = True
    return changed


@compiled(when_plain=False)
def repairs_due(problem, state, i):
    """Repairs that end now. Returns whether there was one."""
    machine = state.machine[i]
    t = state.clock[i, TIME]
    happened = False
    for m in range(problem.dims[i, DIM_MACHINES]):
        if machine[m, UP] == 0 and machine[m, NEXT_UP] == t:
            repair(problem, state, i, m)
            happened = True
    return happened


@compiled(when_plain=(0, False))
def breakdowns_due(problem, state, i):
    """Breakdowns that start now. Returns (how many, whether a decision may be due)."""
    machine = state.machine[i]
    t = state.clock[i, TIME]
    count = 0
    happened = False
    for m in range(problem.dims[i, DIM_MACHINES]):
        if machine[m, UP] == 1 and machine[m, NEXT_DOWN] == t:
            lost = break_down(problem, state, i, m)
            count += 1
            if lost or problem.options[OPT_EPOCH_ON_BREAKDOWN] == 1:
                happened = True
    return count, happened


@compiled
def settle(problem, state, i):
    """Events of the present instant in their order, until nothing changes. Returns whether a decision may be due."""
    job = state.job[i]
    jobs = problem.dims[i, DIM_JOBS]
    breaks = problem.options[OPT_LAW] != LAW_NONE
    t = state.clock[i, TIME]
    happened = False
    while True:
        repaired = False
        broken = 0
        if breaks:
            repaired = repairs_due(problem, state, i)
        # Only a job that has just been blocked, or a repaired machine, can make a continuation or a swap possible.
        low, high = jobs, 0
        for j in range(jobs):
            if job[j, END] == t:
                complete(problem, state, i, j)
                low = min(low, j)
                high = j + 1
        if breaks:
            broken, told = breakdowns_due(problem, state, i)
            happened = happened or told
        happened = happened or repaired or high > 0
        if repaired:
            low, high = 0, jobs
        entered = False
        if high > low and problem.options[OPT_BLOCKING] != CLASSICAL:
            entered = continue_and_swap(problem, state, i, low, high)
        # Without breakdowns, only an operation that has just begun can end in this same instant.
        if not (entered or (breaks and (repaired or high > 0 or broken > 0))):
            return happened


@compiled
def next_event(problem, state, i):
    """Date of the next event after now, INFINITY if there is none."""
    job, machine = state.job[i], state.machine[i]
    date = INFINITY
    for j in range(problem.dims[i, DIM_JOBS]):
        date = min(date, job[j, END])
    if problem.options[OPT_LAW] != LAW_NONE:
        for m in range(problem.dims[i, DIM_MACHINES]):
            date = min(date, machine[m, NEXT_DOWN] if machine[m, UP] == 1 else machine[m, NEXT_UP])
    return date


# --- what may be chosen -----------------------------------------------------------------------------------------------


@compiled
def can_enter(problem, state, i, j):
    """Whether job j may enter its next machine now without a swap."""
    job, machine = state.job[i], state.machine[i]
    status = job[j, JOB_STATUS]
    if status == BLOCKED:
        if problem.options[OPT_UNLOAD] == 0 and machine[job[j, MACHINE], UP] == 0:
            return False
    elif status != OUTSIDE:
        return False
    m = job[j, WANTS]
    return machine[m, UP] == 1 and machine[m, HOLDER] < 0


@compiled
def is_safe(problem, state, i, mover):
    """Banker's test of the position after `mover`'s move: the jobs on the floor can finish one after the other."""
    jobs = problem.dims[i, DIM_JOBS]
    target = state.job[i, mover, WANTS]
    held, holder = state.held, state.holder
    for m in range(problem.dims[i, DIM_MACHINES]):
        holder[i, m] = -1
    left = 0
    for j in range(jobs):
        m = target if j == mover else state.job[i, j, MACHINE]
        held[i, j] = m
        if m >= 0:
            holder[i, m] = j
            left += 1
    progress = True
    while progress and left > 0:
        progress = False
        for j in range(jobs):
            if held[i, j] < 0:
                continue
            free = True
            for k in range(state.job[i, j, POSITION], problem.length[i, j]):
                other = holder[i, problem.route[i, j, k]]
                if other >= 0 and other != j:
                    free = False
                    break
            if free:
                holder[i, held[i, j]] = -1
                held[i, j] = -1
                left -= 1
                progress = True
    return left == 0


@compiled(when_plain=False)
def job_is_legal(problem, state, i, j):
    """Whether action j is legal: the move rule, and the banker's test where that is asked for."""
    if problem.options[OPT_CONSTRUCT] == 1:
        return state.job[i, j, JOB_STATUS] != LEFT
    if not can_enter(problem, state, i, j):
        return False
    return problem.options[OPT_BANKER] == 0 or is_safe(problem, state, i, j)


@compiled(when_plain=True)
def is_plain(problem):
    """Whether the options are plain, see `JobShopOptions.plain`."""
    return False


@compiled
def count_legal(problem, state, i):
    """How many moves are legal."""
    legal = 0
    if is_plain(problem):
        machine = state.machine[i]
        for m in range(problem.dims[i, DIM_MACHINES]):
            legal += machine[m, QUEUE_COUNT] if machine[m, HOLDER] < 0 else 0
    else:
        for j in range(problem.dims[i, DIM_JOBS]):
            legal += 1 if job_is_legal(problem, state, i, j) else 0
    return legal


@compiled
def wait_is_legal(problem, state, i):
    """Whether WAIT may be chosen: something that ends is going on, or a breakdown is announced."""
    if problem.options[OPT_CONSTRUCT] == 1 or problem.options[OPT_ALLOW_WAIT] == 0:
        return False
    job, machine = state.job[i], state.machine[i]
    first_end = INFINITY
    for j in range(problem.dims[i, DIM_JOBS]):
        first_end = min(first_end, job[j, END])
    if first_end < INFINITY:
        return True
    if problem.options[OPT_LAW] != LAW_NONE:
        for m in range(problem.dims[i, DIM_MACHINES]):
            announced = problem.options[OPT_KNOWN_WINDOWS] == 1 and machine[m, NEXT_DOWN] < INFINITY
            if machine[m, UP] == 0 or announced:
                return True
    return False


@compiled(when_plain=False)
def is_deadlocked(problem, state, i):
    """BNS: a cycle of jobs on machines, each of whose next machine the following one holds.

    Such a cycle is inevitable even while some of its jobs process, unless a piece can be lost: then only cycles of
    blocked jobs count that are not processed again where they stand.
    """
    job, machine = state.job, state.machine
    jobs = problem.dims[i, DIM_JOBS]
    can_lose = problem.options[OPT_BREAKDOWN] == SCRAP and problem.options[OPT_LAW] != LAW_NONE
    for first in range(jobs):
        j = first
        for _ in range(jobs + 1):
            if job[i, j, MACHINE] < 0 or (can_lose and job[i, j, JOB_STATUS] != BLOCKED):
                break
            k = job[i, j, POSITION] + (0 if job[i, j, JOB_STATUS] == BLOCKED else 1)
            if k >= problem.length[i, j]:
                break
            if can_lose and problem.route[i, j, k] == job[i, j, MACHINE]:
                break
            # A run on one machine is left only for its last operation's successor.
            while k < problem.length[i, j] and problem.route[i, j, k] == job[i, j, MACHINE]:
                k += 1
            if k >= problem.length[i, j]:
                break
            j = machine[i, problem.route[i, j, k], HOLDER]
            if j < 0:
                break
            if j == first:
                return True
    return False


# --- transition -------------------------------------------------------------------------------------------------------


@compiled
def reset_state(problem, state, i, seed):
    """Begin an episode of copy i, whose problem has been loaded."""
    clock, job, machine = state.clock[i], state.job[i], state.machine[i]
    for column in range(NUM_CLOCK):
        clock[column] = 0
    clock[SEED] = seed
    for m in range(machine.shape[0]):
        for column in range(NUM_MACHINE):
            machine[m, column] = 0
        machine[m, HOLDER] = -1
        machine[m, UP] = 1
        machine[m, WORK_TO_COME] = problem.load[i, m, LOAD_WORK]
        machine[m, OPERATIONS_TO_COME] = problem.load[i, m, LOAD_COUNT]
        machine[m, NEXT_DOWN] = INFINITY
        machine[m, NEXT_UP] = INFINITY
    if problem.options[OPT_LAW] != LAW_NONE:
        for m in range(problem.dims[i, DIM_MACHINES]):
            draw_window(problem, state, i, m, 0)
    for j in range(job.shape[0]):
        for column in range(NUM_JOB):
            job[j, column] = 0
        job[j, MACHINE] = -1
        job[j, WANTS] = -1
        job[j, END] = INFINITY
        for k in range(state.start.shape[2]):
            state.start[i, j, k] = -1
            state.completion[i, j, k] = -1
        if problem.length[i, j] > 0:
            job[j, WORK_AHEAD] = problem.head[i, j, problem.length[i, j]]
            want(problem, state, i, j, 0)
            join_queue(state, i, j)
    if problem.options[OPT_LAW] != LAW_NONE:
        settle(problem, state, i)
    run_to_decision(problem, state, i)


@compiled
def run_to_decision(problem, state, i):
    """Let time pass until something may be chosen or the episode ends."""
    clock = state.clock[i]
    while True:
        if clock[DONE] == problem.dims[i, DIM_JOBS]:
            clock[STATUS] = FINISHED
        elif problem.options[OPT_BLOCKING] == NO_SWAP and is_deadlocked(problem, state, i):
            clock[STATUS] = DEADLOCK
        elif clock[BREAKDOWNS] >= MOST_BREAKDOWNS:
            clock[STATUS] = TRUNCATED
        legal = 0
        if clock[STATUS] == RUNNING:
            legal = count_legal(problem, state, i)
            if legal == 0:
                date = next_event(problem, state, i)
                if date < INFINITY:
                    clock[TIME] = date
                    settle(problem, state, i)
                    continue
                clock[STATUS] = DEADLOCK
        clock[LEGAL] = legal
        clock[WAIT_LEGAL] = 1 if legal > 0 and wait_is_legal(problem, state, i) else 0
        return


@compiled
def wait(problem, state, i):
    """Let time pass to the next event that a decision maker is told of."""
    while True:
        state.clock[i, TIME] = next_event(problem, state, i)
        if settle(problem, state, i):
            return


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


@compiled
def advance(problem, state, i, action):
    """Play a legal action of copy i up to the next decision or the end of the episode."""
    clock = state.clock
    clock[i, STEPS] += 1
    if problem.options[OPT_CONSTRUCT] == 1:
        construct(problem, state, i, action)
    elif action == state.job.shape[1]:
        clock[i, WAITS] += 1
        wait(problem, state, i)
    else:
        ends_now = state.job[i, action, WANTS_TIME] == 0
        enter(problem, state, i, action)
        if ends_now or problem.options[OPT_LAW] != LAW_NONE:
            settle(problem, state, i)
    run_to_decision(problem, state, i)
    if clock[i, STATUS] == RUNNING and clock[i, STEPS] >= STEP_CAP_PER_OPERATION * problem.dims[i, DIM_OPERATIONS]:
        clock[i, STATUS] = TRUNCATED


@compiled
def objective(problem, state, i):
    """Makespan; for an episode that ended otherwise a figure that no finished one without breakdowns can reach.

    A dead end or a cut episode counts max(t, 2 * total work), an illegal action the total work on top.
    """
    t = state.clock[i, TIME]
    status = state.clock[i, STATUS]
    if status in (RUNNING, FINISHED):
        return t
    total = problem.dims[i, DIM_TOTAL]
    worst = max(t, 2 * total)
    return worst + max(total, 1) if status == ILLEGAL else worst


@compiled
def imagine(problem, state, i, key):
    """Draw anew, from `key`, every breakdown of copy i that the decision maker cannot know, given what it has seen."""
    clock, machine = state.clock, state.machine
    seed = np.int64(combine(key, clock[i, STEPS]) >> np.uint64(2))
    clock[i, SEED] = seed
    law = problem.options[OPT_LAW]
    if law == LAW_NONE:
        return
    known = problem.options[OPT_KNOWN_WINDOWS] == 1
    t = clock[i, TIME]
    for m in range(problem.dims[i, DIM_MACHINES]):
        k = machine[i, m, WINDOW]
        if law == LAW_WINDOWS:
            if not known:
                # There is no law to draw unannounced windows from: an imagined world has none but the present one.
                machine[i, m, WINDOW] = problem.windows.shape[2]
                if machine[i, m, UP] == 1:
                    machine[i, m, NEXT_DOWN] = INFINITY
                    machine[i, m, NEXT_UP] = INFINITY
                    machine[i, m, REPAIR] = 0
                    problem.windows[i, m, k:, :] = INFINITY
                else:
                    if problem.options[OPT_REPAIR_VISIBLE] == 0:
                        # Nor is there one for its length: it will last as long again as it has lasted.
                        machine[i, m, NEXT_UP] = t + max(t - machine[i, m, NEXT_DOWN], 1)
                        machine[i, m, REPAIR] = machine[i, m, NEXT_UP] - machine[i, m, NEXT_DOWN]
                        problem.windows[i, m, k : k + 1, 1] = machine[i, m, NEXT_UP]
                    problem.windows[i, m, k + 1 :, :] = INFINITY
            continue
        if machine[i, m, UP] == 0:
            if problem.options[OPT_REPAIR_VISIBLE] == 0:
                elapsed = t - machine[i, m, NEXT_DOWN]
                machine[i, m, REPAIR] = down_length(problem, seed, m, k, elapsed)
                machine[i, m, NEXT_UP] = machine[i, m, NEXT_DOWN] + machine[i, m, REPAIR]
        elif not known or (machine[i, m, NEXT_DOWN] == INFINITY and machine[i, m, AGE] == 0):
            # Under the busy clock a breakdown has no date, and is not announced, before its machine has processed.
            redraw_breakdown(problem, state, i, m)


@compiled
def redraw_breakdown(problem, state, i, m):
    """Redraw the next breakdown of a machine that is up: both laws are memoryless, so the up time starts anew now."""
    machine = state.machine
    t = state.clock[i, TIME]
    seed = state.clock[i, SEED]
    k = machine[i, m, WINDOW]
    length = up_length(problem, seed, m, k)
    machine[i, m, REPAIR] = down_length(problem, seed, m, k, 0)
    if problem.options[OPT_BUSY_CLOCK] == 0:
        machine[i, m, NEXT_DOWN] = min(t + length, INFINITY)
    else:
        age = machine[i, m, AGE]
        dated = machine[i, m, NEXT_DOWN] < INFINITY
        if dated:
            age = machine[i, m, AGE_LIMIT] - (machine[i, m, NEXT_DOWN] - t)
        machine[i, m, AGE_LIMIT] = min(age + length, INFINITY)
        machine[i, m, AGE] = age
        machine[i, m, NEXT_DOWN] = t + length if dated and length < INFINITY else INFINITY
    machine[i, m, NEXT_UP] = min(machine[i, m, NEXT_DOWN] + machine[i, m, REPAIR], INFINITY)
