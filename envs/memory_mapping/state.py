"""The tables of memory mapping: what stays fixed during an episode, what changes, and the names of their columns.

All times are integers, picoseconds, all sizes bytes. The model is specified in
``docs/environments/memory_mapping.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled

NEVER = 2**61

COPY, NO_COPY, DROP, COPY_ELAPSED, NUM_ACTIONS = range(5)

# --- options, columns of Problem.options ------------------------------------------------------------------------------
OPT_SUPPLY, OPT_FIRST_FIT, OPT_TERMINATE, OPT_JUDGE, OPT_STATIC, OPT_SCALE, NUM_OPTIONS = range(7)
CONTENDED, ELAPSED, EITHER = range(3)  # values of OPT_SUPPLY

# --- columns of Problem.dims ------------------------------------------------------------------------------------------
# WORST is an objective that no episode of legal actions reaches.
DIM_INSTRUCTIONS, DIM_TENSORS, DIM_ACCESSES, DIM_CMEM, DIM_ALL_HBM, DIM_BEST, DIM_WORST, NUM_DIMS = range(8)

# --- columns of Problem.access ----------------------------------------------------------------------------------------
# From PREVIOUS on they are derived by `measure`. PREVIOUS and NEXT are the accesses of the same storage before and
# after this one, or -1; NEXT_WRITE is the instruction of the next write to the storage, or NEVER.
(
    INSTRUCTION,
    TENSOR,
    WRITES,
    BYTES,
    HBM,
    CMEM,
    CARRIED,
    PREVIOUS,
    NEXT,
    NEXT_WRITE,
    STORAGE,
    STATIC,
    NUM_ACCESS,
) = range(13)

# --- columns of Problem.tensor ----------------------------------------------------------------------------------------
# STORAGE_OF is the lowest number of the tensors that share its place, by which a storage goes; GROUPED whether it is in
# an alias group. VALID_FROM and FIRST_OF_STORAGE are of the storage of this number: -1 if HBM has its value from the
# start, else NEVER, and its first access.
SIZE, TRANSFER, KIND, STORAGE_OF, GROUPED, HBM_ONLY, VALID_FROM, FIRST_OF_STORAGE, NUM_TENSOR = range(9)
PARAM, INPUT, CONST, ACT, OUTPUT = range(5)

# --- columns of Problem.instruction -----------------------------------------------------------------------------------
# From ALL_HBM_MEMORY on they are derived: hbm_t with everything in HBM, e_t then (overhead included), the least memory
# time, the all-HBM run time up to and with this instruction, and its first access (that of the next ones if it has
# none).
(
    COMPUTE,
    OVERHEAD,
    TRIPS,
    FIRST,
    LAST,
    LOOP,
    ALL_HBM_MEMORY,
    ALL_HBM_TIME,
    LEAST_MEMORY,
    PASSED,
    FIRST_ACCESS,
    NUM_INSTRUCTION,
) = range(12)

# --- columns of Problem.worth, see `pricing` -------------------------------------------------------------------------
# SAVES is what serving the access by CMEM saves, FETCH the largest s of its fetch with the supply of everything in HBM
# (-2 for none). IF_IN and IF_OUT are what the accesses of the storage after it are worth net of rent if it is served by
# CMEM, or by HBM; IF_THROUGH the same as IF_IN if the strip comes from before the loop that the access is in, and the
# rent is paid to its end. LATER_BENEFIT sums up their static benefits, LATER counts them. DENSITY is the static benefit
# per byte and instruction that must be held, summed over the accesses before this one.
SAVES, FETCH, IF_IN, IF_THROUGH, IF_OUT, LATER_BENEFIT, LATER, DENSITY, NUM_WORTH = range(9)

# --- columns of Problem.scale -----------------------------------------------------------------------------------------
# 1 / mean time of an instruction, 1 / CMEM, 1 / all-HBM run time, log(1 + most live bytes / CMEM).
PER_TIME, PER_CMEM, PER_RUN, PRESSURE, NUM_SCALES = range(5)

# --- columns of State.clock -------------------------------------------------------------------------------------------
# POSITION is the access to be decided. SAVED is by how much the proxy run time has fallen below all-HBM; REACHABLE the
# proxy run time with undecided accesses at their best. PAID is what the rewards so far sum to, without the scale. From
# TOUCHED on they say what has changed since the observation was written: how many strips (`State.touched`), the first
# and last instruction whose supply did, and those at which other bytes are held.
(
    STATUS,
    POSITION,
    SEED,
    SAVED,
    REACHABLE,
    STATIC_SUM,
    PAID,
    WAITS,
    BACKUPS,
    COPIES,
    WRITE_BACKS,
    DROPS,
    STRIPS,
    TRANSFERS,
    HISTORY,
    TOUCHED,
    LEFT_FROM,
    LEFT_TO,
    HELD_FROM,
    HELD_TO,
    NUM_CLOCK,
) = range(21)

RUNNING, FINISHED, DEAD_END, ILLEGAL = range(4)

# --- columns of State.storage -----------------------------------------------------------------------------------------
# HELD_UNTIL is the last instruction at which CMEM holds it, or -1. SERVED is where its last access went: UNDECIDED if
# there was none, IN_HBM or IN_CMEM. VALID is the instruction from which on HBM has the value (-1 from the start, NEVER
# while it does not), WRITTEN the access that wrote the value and LATEST the last one decided (-1 for none).
HELD_UNTIL, STRIP, SERVED, VALID, WRITTEN, LATEST, NUM_STORAGE = range(7)
UNDECIDED, IN_HBM, IN_CMEM = -1, 0, 1

# --- columns of State.strip: blocks of CMEM ---------------------------------------------------------------------------
# OPENED is the access that it was opened for, FETCHED the instruction after which its fetch begins, or -2 for none.
BEGIN, END, BOTTOM, TOP, OPENED, FETCHED, NUM_STRIP = range(7)
NOT_FETCHED = -2
MOST_TOUCHED = 4

# --- columns of State.transfer ----------------------------------------------------------------------------------------
# ACCESS is the read that a fetch is for, or the write whose value is written back; OF the strip.
AFTER, BEFORE, ACCESS, OF, NUM_TRANSFER = range(5)

# --- columns of State.offer, a row for each action: what it would do now ----------------------------------------------
# The interval and offset to be held; OFFER_DUE is the instruction before which a fetch is done; WRITE_BACK the last
# instruction that a write-back needs (NONE if none is needed); ROOM what the gap has beyond the block. REFUSED says why
# it is illegal.
ALLOWED, OFFER_BEGIN, OFFER_DUE, OFFER_END, OFFER_BOTTOM, OFFER_ROOM, WRITE_BACK, REFUSED, NUM_OFFER = range(9)
NONE = -1
(
    NOT_REFUSED,
    FORCED,
    STAYS_IN_HBM,
    GROUP_IN_HBM,
    GROUP_IN_CMEM,
    IS_WRITE,
    IS_CARRIED,
    NO_SUPPLY,
    NOT_VALID,
    HELD,
    ACCESSED_SINCE,
    NO_GAP,
    STRIP_TAKEN,
    NOT_IN_CMEM,
    NO_WRITE_BACK,
    OTHER_SUPPLY,
) = range(16)


# --- columns of Problem.brief and Problem.about: what the window looks at, close together ----------------------------
# The instruction and the storage of an access, the storage's accesses before and after it, or -1, and how many follow.
BRIEF_INSTRUCTION, BRIEF_STORAGE, BRIEF_PREVIOUS, BRIEF_NEXT, BRIEF_LATER, NUM_BRIEF = range(6)
# Compute time and overhead, price of all of CMEM in units of the mean time, whether it is in a loop, log of the trips.
ABOUT_COMPUTE, ABOUT_OVERHEAD, ABOUT_PRICE, ABOUT_LOOP, ABOUT_TRIPS, NUM_ABOUT = range(6)

LOGS = 4096


class Problem(NamedTuple):
    """What stays fixed during an episode, for n copies of at most T instructions, V tensors and N accesses."""

    options: NDArray[np.int64]  # [NUM_OPTIONS], shared by all copies
    logs: NDArray[np.float32]  # [LOGS], log(1 + n), shared
    dims: NDArray[np.int64]  # [n, NUM_DIMS]
    access: NDArray[np.int64]  # [n, N, NUM_ACCESS]
    tensor: NDArray[np.int64]  # [n, V, NUM_TENSOR]
    instruction: NDArray[np.int64]  # [n, T, NUM_INSTRUCTION]
    worth: NDArray[np.float64]  # [n, N, NUM_WORTH]
    price: NDArray[np.float64]  # [n, T + 1]: what holding a byte is worth, in ps, summed over instructions 0 .. t - 1
    toll: NDArray[np.float64]  # [n, T + 1]: what all the supply of instructions 0 .. t - 1 is worth, in ps
    freed: NDArray[np.float64]  # [n, T + 1]: what these leave free of the HBM channel with everything in HBM, in ps
    timed: NDArray[np.float64]  # [n, T + 1]: e_t with everything in HBM, summed over instructions 0 .. t - 1
    scale: NDArray[np.float64]  # [n, NUM_SCALES]
    feature: NDArray[np.float32]  # [n, N, STATIC_COLUMNS], what an observation says of an access at any time
    brief: NDArray[np.int32]  # [n, N, NUM_BRIEF]
    about: NDArray[np.float32]  # [n, T, NUM_ABOUT]
    wanted: NDArray[np.float32]  # [n, N], the size over CMEM of what would gain by it, else 0


class State(NamedTuple):
    """What changes, for n copies."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    offer: NDArray[np.int64]  # [n, NUM_ACTIONS, NUM_OFFER]
    action: NDArray[np.int8]  # [n, N], what was played
    forced: NDArray[np.int8]  # [n, N], 1 where DROP is forced for ever
    hbm: NDArray[np.int64]  # [n, T], hbm_t with undecided accesses in HBM
    memory: NDArray[np.int64]  # [n, T], mem_t with undecided accesses in HBM
    least: NDArray[np.int64]  # [n, T], mem_t with undecided accesses at their best
    held: NDArray[np.int64]  # [n, T], bytes that are held
    left: NDArray[np.int64]  # [n, 3, T], supply left, see `channel_row`
    storage: NDArray[np.int64]  # [n, V, NUM_STORAGE], by storage
    strip: NDArray[np.int64]  # [n, N, NUM_STRIP]
    order: NDArray[np.int32]  # [n, N], strips from the lowest offset on
    touched: NDArray[np.int64]  # [n, MOST_TOUCHED], strips that have changed
    transfer: NDArray[np.int64]  # [n, N, NUM_TRANSFER]
    occupied: NDArray[np.float64]  # [n, T + 1], scratch of the prices
    gained: NDArray[np.float64]  # [n, T], scratch of the prices
    moved: NDArray[np.float64]  # [n, T + 1], scratch of the prices
    heads: NDArray[np.int32]  # [n, T + 1 + N], scratch of the judge
    queue: NDArray[np.int32]  # [n, N], scratch of the judge


@compiled
def is_running(problem, state, i):
    """Whether the episode of copy i goes on."""
    return state.clock[i, STATUS] == RUNNING


@compiled
def log_count(problem, count):
    """log(1 + count) of a number of things."""
    return problem.logs[min(max(count, 0), LOGS - 1)]


@compiled
def write_back_row(problem):
    """Row of `State.left` that write-backs use."""
    return 1 if problem.options[OPT_SUPPLY] == ELAPSED else 0


@compiled
def channel_row(problem):
    """Row of `State.left` that says what instructions and transfers leave free of the HBM channel.

    Under contended supply row 0 is that, and all supply. Else transfers use one row of elapsed time and that of the
    channel as far as it goes: row 0 is the supply for fetches and row 2 the channel under elapsed supply, the other way
    round under either; row 1 is the supply for write-backs.
    """
    return 2 if problem.options[OPT_SUPPLY] == ELAPSED else 0
