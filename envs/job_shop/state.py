"""The tables of the job shop: what stays fixed during an episode, what changes, and the names of their columns.

All times are integers. The model, its order of events and its streams are described in
``docs/environments/job_shop.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled

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
    OPT_REWARD_BOUND,
    NUM_OPTIONS,
) = range(15)

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
    DIM_START,
    NUM_DIMS,
) = range(9)

# --- columns of Problem.scale -----------------------------------------------------------------------------------------
SCALE_TIME, SCALE_BOUND, SCALE_JOB, SCALE_LENGTH, NUM_SCALES = range(5)

# --- columns of Problem.load: what a machine has to do in all ---------------------------------------------------------
LOAD_WORK, LOAD_COUNT, LOAD_HEAD, LOAD_TAIL, NUM_LOAD = range(5)

# --- columns of State.clock -------------------------------------------------------------------------------------------
# From NEXT_END on they sum up the jobs and the machines (see `moves.survey`), so that nobody need look at all of them:
# the least END of all jobs, how many jobs and machines are in a state, how many jobs wait for a machine that is free,
# and the largest work ahead of a job (the operation begun included) and to come at a machine.
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
    NEXT_END,
    PROCESSING_JOBS,
    BLOCKED_JOBS,
    FREE_MACHINES,
    OPEN_MOVES,
    LONGEST_WORK,
    MOST_WORK,
    NUM_CLOCK,
) = range(20)

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
# CHANGED is 1 where what an observation says of the machine, but for its breakdowns and the time left of what it
# processes, may have changed since it was written.
(
    HOLDER,
    QUEUE_COUNT,
    QUEUE_WORK,
    WORK_TO_COME,
    OPERATIONS_TO_COME,
    MACHINE_FREE,
    CHANGED,
    NUM_MACHINE,
) = range(8)

# --- columns of State.window: the breakdowns of a machine -------------------------------------------------------------
# NEXT_DOWN and NEXT_UP are the present window's begin and end when the machine is down, else the next window's.
UP, NEXT_DOWN, NEXT_UP, WINDOW, AGE, AGE_LIMIT, REPAIR, NUM_WINDOW = range(8)

# --- columns of State.log (kept when recording): what the start and completion tables forget --------------------------
LOG_KIND, LOG_MACHINE, LOG_JOB, LOG_PIECE, LOG_OPERATION, LOG_BEGIN, LOG_END, NUM_LOG = range(8)
LOG_LOST, LOG_DOWNTIME = range(2)

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
    window: NDArray[np.int64]  # [n, M, NUM_WINDOW]
    start: NDArray[np.int64]  # [n, J, L], -1 where not started
    completion: NDArray[np.int64]  # [n, J, L], -1 where not completed
    log: NDArray[np.int64]  # [n, R, NUM_LOG], R = 0 unless recording
    held: NDArray[np.int64]  # [n, J]: scratch, of the banker's test the machine by job
    holder: NDArray[np.int64]  # [n, 2 M]: scratch, of the banker's test the job by machine


# --- what the options leave out ---------------------------------------------------------------------------------------


@compiled(when_plain=True)
def is_plain(problem):
    """Whether the options are plain, see `JobShopOptions.plain`."""
    return False


@compiled(when_plain=False)
def has_breakdowns(problem):
    """Whether machines break down under these options."""
    return problem.options[OPT_LAW] != LAW_NONE


@compiled(when_plain=False)
def constructs(problem):
    """Whether operations are appended at their earliest time instead of played through time."""
    return problem.options[OPT_CONSTRUCT] == 1


@compiled(when_plain=True)
def is_up(problem, state, i, m):
    """Whether machine m is not broken down."""
    return state.window[i, m, UP] == 1


@compiled
def is_running(problem, state, i):
    """Whether the episode of copy i goes on."""
    return state.clock[i, STATUS] == RUNNING
