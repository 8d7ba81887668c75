"""The tables of DAG scheduling: what stays fixed during an episode, what changes, and the names of their columns.

All times are integers of the instance's unit. Programs of all instances lie in shared tables; a copy says which
instance it plays. The model is specified in ``docs/environments/soc.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled

NEVER = 2**60
NONE = -1

# --- options, columns of Problem.options ------------------------------------------------------------------------------
(
    OPT_STATIC,
    OPT_ORDER,
    OPT_ASSIGNED,
    OPT_INSERTION,
    OPT_WINDOW,
    OPT_ARRIVALS,
    OPT_CAP,
    OPT_PREFILL,
    OPT_HORIZON,
    OPT_WARMUP,
    OPT_NOISY,
    OPT_DOWN,
    OPT_CONTENTION,
    OPT_SHARED,
    OPT_OVERHEAD,
    OPT_OBJECTIVE,
    OPT_SCALE,
    OPT_IMAGINED,
    OPT_DRAIN,
    OPT_HOLD,
    NUM_OPTIONS,
) = range(21)
EXPONENTIAL, FIXED, BACK_TO_BACK = range(3)  # values of OPT_ARRIVALS
NO_CONTENTION, LINK, BUS = range(3)  # values of OPT_CONTENTION
LATENCY, MAKESPAN, ENERGY, EDP = range(4)  # values of OPT_OBJECTIVE
EDP_UNIT = 1000  # what the product of energy and latency is divided by

# --- columns of Problem.law (float64) ---------------------------------------------------------------------------------
# Scales are the columns from FIRST_SCALE on, NUM_SCALES_GIVEN of them; noises follow.
MTBF, MTTR, OVERHEAD_CALL, OVERHEAD_TASK, SCALES_GIVEN, NOISES_GIVEN, FIRST_LIST = range(7)

# --- columns of Problem.instance --------------------------------------------------------------------------------------
# FIRST_* are rows of the tables of that name. WORST is an objective that no episode of legal actions without random
# events reaches. IDLE_POWER is what all PEs leak, milliwatts.
(
    PES,
    GROUPS,
    KINDS,
    FIRST_PE,
    FIRST_KIND,
    FIRST_BAND,
    FIRST_APP,
    APPS,
    FIRST_JOB,
    JOBS,
    IDLE_POWER,
    WORST_TIME,
    WORST_POWER,
    REWARD_SCALE,
    NUM_INSTANCE,
) = range(15)

# --- columns of Problem.measure (float64), of an instance -------------------------------------------------------------
# 1 / mean task time, mean and total task time by the mix, mean power of a busy PE, log of tasks per job.
PER_TIME, MEAN_TIME, WORK, PER_POWER, LOG_TASKS, NUM_MEASURE = range(6)

# --- columns of Problem.pe, .kind -------------------------------------------------------------------------------------
# SORTED lists the PEs of group 0, then of group 1, …; GROUP_FIRST in row g is where group g begins in that list.
PE_KIND, PE_GROUP, PE_MEMORY, SORTED, GROUP_FIRST, GROUP_SIZE, NUM_PE_DATA = range(7)
FIRST_POWER, KIND_IDLE, KIND_SIZE, NUM_KIND = range(4)

# --- columns of Problem.app -------------------------------------------------------------------------------------------
FIRST_TASK, TASKS, FIRST_OUT_EDGE, EDGES, LEAST, NUM_APP = range(6)

# --- columns of Problem.task ------------------------------------------------------------------------------------------
# FIRST_OUT, OUT, FIRST_IN, IN: rows of the edge tables and their numbers. FASTEST is the least time, FAST_GROUP the
# first group that has it, ELIGIBLE a count of PEs, CRITICAL whether the task is on CPOP's critical path, PROCESSOR the
# PE of that path (-1 where it cannot run).
FIRST_OUT, OUT, FIRST_IN, IN, FASTEST, FAST_GROUP, ELIGIBLE, DUMMY, CRITICAL, PROCESSOR, NUM_TASK_DATA = range(11)

# --- columns of Problem.worth (float64), of a task --------------------------------------------------------------------
MEAN, LEAST_TIME, MEDIAN, UPWARD, DOWNWARD, LEVEL, MEAN_OCT, SPREAD, NUM_WORTH = range(9)

# --- columns of State.clock -------------------------------------------------------------------------------------------
# NEXT_ARRIVAL is hidden; WAITING says that the generator waits at the cap. EPOCH is when the present joint decision
# began, TOLD_AT when its tasks are told of, TAKEN how many of it are assigned. COST is the integral of the jobs in the
# system. END is the horizon of this copy. TOUCHED counts `State.touched`, UNASSIGNED tasks of the jobs in the system.
# HOLDS counts decisions to hold; WORK_LEFT adds up the least times of the tasks in the system that are not done.
(
    SEED,
    STATUS,
    TIME,
    STEPS,
    INSTANCE,
    NEXT_ARRIVAL,
    GENERATED,
    IN_SYSTEM,
    COMPLETED,
    OFFERED_COUNT,
    WAITING,
    EPOCH,
    TOLD_AT,
    TAKEN,
    COST,
    PAID,
    ENERGY_USED,
    POWER,
    END,
    LAST_FINISH,
    MEASURED,
    LATENCY_SUM,
    LATENCY_MAX,
    LOGGED,
    TOUCHED,
    UNASSIGNED,
    HOLDS,
    WORK_LEFT,
    NUM_CLOCK,
) = range(29)
RUNNING, FINISHED, ILLEGAL = range(3)  # values of STATUS

# --- columns of State.real (float64) ----------------------------------------------------------------------------------
GAP, NOISE, SLOWDOWN_SUM, NUM_REAL = range(4)

# --- columns of State.job ---------------------------------------------------------------------------------------------
# EXPECTED is the latest expected finish of its assigned tasks, JOB_WORK the least times of its tasks that are not done.
ACTIVE, APP, NUMBER, BORN, LEFT, EXPECTED, JOB_WORK, NUM_JOB = range(8)

# --- columns of State.task --------------------------------------------------------------------------------------------
# BLOCKERS counts unfinished predecessors, PENDING unassigned ones. READY is the earliest start that its job's arrival
# and the scheduler allow, DATA when all that is under way has arrived. START and FINISH are expected, true once they
# have happened. NEXT is the next of its PE's queue. RELEASE is when the inputs of a task are in shared memory. PAUSED
# is for how long a running task has been held up by repairs. The first eight fill one line of memory, the others
# begin the next.
PHASE, ON, BLOCKERS, READY, DATA, START, FINISH, NEXT, PENDING, RELEASE, ASSIGNED_AT, PAUSED = range(12)
NUM_TASK = 16
ABSENT, UNRELEASED, OFFERED, ASSIGNED, ACTIVE_NOW, DONE = range(6)  # values of PHASE

# --- columns of State.pe ----------------------------------------------------------------------------------------------
# RUNS is the running task, or -1; TRUE_END its hidden finish; FREE the expected end of everything assigned. CHANGE is
# when it next breaks down or is repaired (hidden), SINCE when it last did, WINDOW counts breakdowns.
RUNS, TRUE_END, HEAD, TAIL, QUEUED, FREE, UP, CHANGE, SINCE, WINDOW, BUSY, NUM_PE = range(12)

# --- columns of State.log ---------------------------------------------------------------------------------------------
LOG_JOB, LOG_TASK, LOG_PE, LOG_ASSIGNED, LOG_DATA, LOG_START, LOG_FINISH, LOG_APP, LOG_BORN, NUM_LOG = range(10)

BINS_PER_OCTAVE, BINS = 16, 640  # of the histogram of latencies

# --- columns of State.group -------------------------------------------------------------------------------------------
# DEMAND adds up the least times of the tasks in the system that are not assigned and fastest in this group; the others
# are scratch of whoever writes observations.
DEMAND, IDLE, SOONEST, WANTED, NUM_GROUP = range(5)


class Problem(NamedTuple):
    """What stays fixed; all of it is shared by the copies."""

    options: NDArray[np.int64]  # [NUM_OPTIONS]
    law: NDArray[np.float64]  # [FIRST_LIST + scales + noises]
    instance: NDArray[np.int64]  # [I, NUM_INSTANCE]
    measure: NDArray[np.float64]  # [I, NUM_MEASURE]
    pe: NDArray[np.int64]  # [PEs of all instances, NUM_PE_DATA]
    kind: NDArray[np.int64]  # [kinds of all instances, NUM_KIND]
    power: NDArray[np.int64]  # flat: of each kind the power with 0, 1, … active PEs, mW
    band: NDArray[np.int64]  # flat: of each instance [P, P]
    app: NDArray[np.int64]  # [applications, NUM_APP]
    mix: NDArray[np.float64]  # [applications], cumulative within an instance
    job_mean: NDArray[np.float64]  # [applications], mean time of their tasks
    pe_speed: NDArray[np.float64]  # [PEs of all instances], mean of least time over time there
    pe_share: NDArray[np.float64]  # [PEs of all instances], share of tasks that can run there
    job: NDArray[np.int64]  # [static jobs, 2]: application row, arrival
    task: NDArray[np.int64]  # [tasks, NUM_TASK_DATA]
    worth: NDArray[np.float64]  # [tasks, NUM_WORTH]
    time: NDArray[np.int64]  # [tasks, P], at the level that is played
    oct: NDArray[np.float64]  # [tasks, P]
    tail: NDArray[np.int64]  # [tasks, P]
    out_task: NDArray[np.int64]  # [edges], numbers within the application
    out_volume: NDArray[np.int64]
    in_task: NDArray[np.int64]
    in_volume: NDArray[np.int64]


class State(NamedTuple):
    """What changes, of n copies. A task slot x is s * T + k: task k of job slot s, T being the room for tasks."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    real: NDArray[np.float64]  # [n, NUM_REAL]
    pe: NDArray[np.int64]  # [n, P, NUM_PE]
    active: NDArray[np.int64]  # [n, K], active PEs of each kind
    job: NDArray[np.int64]  # [n, J, NUM_JOB]
    offered: NDArray[np.int64]  # [n, J * T], the first OFFERED_COUNT count
    arrive: NDArray[np.int64]  # [n, W, P], when the data of the offered tasks in the window would be on each PE
    first: NDArray[np.int64]  # [n, W, P], earliest expected finish of each
    task: NDArray[np.int64]  # [n, J * T, NUM_TASK]
    link: NDArray[np.int64]  # [n, L], when each link is free
    asked: NDArray[np.int8]  # [n, J * E or J], which edges' transfers have been asked for, where that matters
    group: NDArray[np.int64]  # [n, G, NUM_GROUP]
    touched: NDArray[np.int64]  # [n, J * T], task slots whose phase has changed since the observation was written
    flag: NDArray[np.int8]  # [n, J * T], whether a task slot is among them
    bins: NDArray[np.int32]  # [n, BINS], histogram of latencies
    log: NDArray[np.int64]  # [n, rows, NUM_LOG], finished tasks, where they are recorded


@compiled
def is_running(problem, state, i):
    """Whether the episode of copy i goes on."""
    return state.clock[i, STATUS] == RUNNING
