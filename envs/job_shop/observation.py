"""What a decision maker sees of a job shop: the dynamic disjunctive graph, and one row per action slot.

Operations that are finished are deleted with their edges (and come back when their piece is lost). Machines are nodes
of their own, so that an operation has one edge to its machine instead of one to every rival. Times are divided by the
instance's mean processing time, its mean job work or its lower bound, so that one set of weights plays any size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes
from .dynamics import (
    BLOCKED,
    CLASSICAL,
    DIM_JOBS,
    DIM_LONGEST_JOB,
    DIM_LOWER_BOUND,
    DIM_MACHINES,
    DONE,
    END,
    HOLDER,
    INFINITY,
    JOB_FREE,
    JOB_STATUS,
    LAW_BERNOULLI,
    LAW_EXPONENTIAL,
    LAW_NONE,
    LEFT,
    LEGAL,
    MACHINE,
    MACHINE_FREE,
    NEXT_DOWN,
    NEXT_UP,
    OPERATIONS_TO_COME,
    OPT_BLOCKING,
    OPT_BREAKDOWN,
    OPT_CONSTRUCT,
    OPT_KNOWN_WINDOWS,
    OPT_LAW,
    OPT_REPAIR_VISIBLE,
    PAUSED,
    POSITION,
    PROCESSING,
    QUEUE_COUNT,
    QUEUE_WORK,
    REMAINING,
    REPEAT,
    RUNNING,
    SCALE_BOUND,
    SCALE_JOB,
    SCALE_LENGTH,
    SCALE_TIME,
    SCRAP,
    SINCE,
    STATUS,
    SWAP,
    TIME,
    UP,
    WAIT_LEGAL,
    WORK_TO_COME,
    job_is_legal,
)

_TIME = "mean processing time"
_BOUND = "lower bound of the makespan"
_JOB = "mean work of a job"
_WIDE = 64.0


def _flag(name: str) -> Feature:
    return Feature(name)


def _amount(name: str, unit: str, dynamic: bool = True) -> Feature:
    return Feature(name, unit, 0.0, _WIDE, dynamic)


def _signed(name: str, unit: str) -> Feature:
    return Feature(name, unit, -_WIDE, _WIDE)


OPERATION_FEATURES = (
    _amount("processing_time", _TIME, dynamic=False),
    Feature("head", "work of the job", dynamic=False),
    Feature("tail", "work of the job", dynamic=False),
    _amount("work_remaining", _BOUND, dynamic=False),
    Feature("operations_remaining", "operations of the job", dynamic=False),
    _flag("unreleased"),
    _flag("waiting"),
    _flag("processing"),
    _flag("paused"),
    _flag("blocked"),
    _amount("remaining_time", _TIME),
    _amount("earliest_start", _BOUND),
    _amount("earliest_completion", _BOUND),
)
(
    OP_TIME,
    OP_HEAD,
    OP_TAIL,
    OP_WORK,
    OP_COUNT,
    OP_UNRELEASED,
    OP_WAITING,
    OP_PROCESSING,
    OP_PAUSED,
    OP_BLOCKED,
    OP_REMAINING,
    OP_START,
    OP_COMPLETION,
    OP_FEATURES,
) = range(14)

JOB_FEATURES = (
    _flag("waiting"),
    _flag("processing"),
    _flag("paused"),
    _flag("blocked"),
    _flag("done"),
    _flag("may_move"),
    _amount("remaining_time", _TIME),
    _amount("work_remaining", _JOB),
    _amount("operations_remaining", "mean operations of a job"),
    _amount("waiting_time", _TIME),
    _amount("next_processing_time", _TIME),
    _flag("next_machine_free"),
    _flag("next_machine_blocked"),
    _flag("next_machine_down"),
    Feature("chain_length", "jobs"),
    _flag("chain_closes"),
    _signed("slack", _BOUND),
)
JOB_COLUMNS = len(JOB_FEATURES)

MACHINE_FEATURES = (
    _flag("up"),
    _flag("free"),
    _flag("processing"),
    _flag("blocked"),
    _amount("remaining_repair", _TIME),
    _amount("elapsed_repair", _TIME),
    _amount("remaining_time", _TIME),
    Feature("queue_count", "jobs"),
    _amount("queue_work", _TIME),
    _amount("work_to_come", _BOUND),
    Feature("operations_to_come", "jobs", 0.0, _WIDE),
    _amount("time_to_known_window", _TIME),
    _amount("known_window_length", _TIME),
)
MACHINE_COLUMNS = len(MACHINE_FEATURES)

GLOBAL_FEATURES = (
    _amount("time", _BOUND),
    _flag("done_jobs"),
    _flag("blocked_jobs"),
    _flag("processing_jobs"),
    _flag("free_machines"),
    _flag("down_machines"),
    _flag("legal_moves"),
    _amount("time_to_next_completion", _TIME),
    _amount("time_to_next_repair", _TIME),
    _amount("longest_work_remaining", _BOUND),
    _amount("most_machine_work_to_come", _BOUND),
    _amount("jobs_per_machine", "machines"),
    Feature("log_jobs", "natural logarithm", 0.0, 12.0, False),
    Feature("log_machines", "natural logarithm", 0.0, 12.0, False),
    Feature("blocking", dynamic=False),
    Feature("swaps", dynamic=False),
    Feature("breakdown_rate", "per mean processing time", 0.0, _WIDE, False),
    Feature("mean_repair", _TIME, 0.0, _WIDE, False),
    Feature("repeats_after_breakdown", dynamic=False),
    Feature("loses_piece_at_breakdown", dynamic=False),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)

ACTION_FEATURES = (
    _amount("processing_time", _TIME),
    _amount("work_remaining", _JOB),
    _amount("work_remaining_after", _JOB),
    _amount("operations_remaining", "mean operations of a job"),
    Feature("waiting_time", _TIME, -4096.0, 4096.0),
    Feature("flow_per_work_remaining", "1", 0.0, 4096.0),
    Feature("time_times_total_work", "mean processing time x mean work of a job", 0.0, 4096.0),
    Feature("work_in_next_queue", _TIME, 0.0, 4096.0),
    _flag("next_machine_occupied"),
    _amount("work_remaining_unless_last", _JOB),
    Feature("critical_ratio", "1", -4096.0, 4096.0),
    _flag("is_last"),
    _flag("frees_a_machine"),
    Feature("waiting_for_freed_machine", "jobs"),
    Feature("rivals", "jobs"),
    _amount("next_processing_time", _TIME),
    _amount("next_machine_busy_time", _TIME),
    _flag("next_machine_blocked"),
    _flag("next_machine_down"),
    Feature("chain_length", "jobs"),
    _flag("closes_cycle"),
    _amount("machine_work_to_come", _BOUND),
    _amount("next_machine_work_to_come", _BOUND),
    _signed("slack", _BOUND),
    _amount("start_delay", _TIME),
    _amount("completion_delay", _TIME),
    _signed("job_free_minus_machine_free", _TIME),
    _amount("total_work", _JOB),
    _flag("progress"),
    _amount("known_window_conflict", _TIME),
    _flag("is_wait"),
    _amount("time_to_next_event", _TIME),
)
ACTION_COLUMNS = len(ACTION_FEATURES)

SPEC = ObservationSpec(
    nodes=(
        NodeType("operation", OPERATION_FEATURES),
        NodeType("job", JOB_FEATURES),
        NodeType("machine", MACHINE_FEATURES),
    ),
    edges=(
        EdgeType("precedes", "operation", "operation"),
        EdgeType("needs", "operation", "machine"),
        EdgeType("belongs_to", "operation", "job"),
        EdgeType("wants", "job", "machine", dynamic=True),
        EdgeType("holds", "job", "machine", dynamic=True),
        EdgeType("waits_for", "job", "job", dynamic=True),
    ),
    globals=GLOBAL_FEATURES,
    action_nodes=("job", "operation", "machine"),
    action_features=ACTION_FEATURES,
    special_actions=("wait",),
    time_scale=50.0,
    stochastic=True,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_OPERATION, K_OPERATION_MASK = _KEYS["nodes/operation"], _KEYS["node_mask/operation"]
K_JOB, K_JOB_MASK = _KEYS["nodes/job"], _KEYS["node_mask/job"]
K_MACHINE, K_MACHINE_MASK = _KEYS["nodes/machine"], _KEYS["node_mask/machine"]
K_PRECEDES, K_NEEDS, K_BELONGS = _KEYS["edges/precedes"], _KEYS["edges/needs"], _KEYS["edges/belongs_to"]
K_WANTS, K_HOLDS, K_WAITS = _KEYS["edges/wants"], _KEYS["edges/holds"], _KEYS["edges/waits_for"]
K_GLOBALS = _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]


def sizes(jobs: int, machines: int, operations: int) -> Sizes:
    """Room for `jobs` jobs of at most `operations` operations each, on `machines` machines."""
    total = jobs * operations
    return Sizes(
        nodes={"operation": total, "job": jobs, "machine": machines},
        edges={
            "precedes": total,
            "needs": total,
            "belongs_to": total,
            "wants": jobs,
            "holds": jobs,
            "waits_for": jobs,
        },
        actions=jobs + 1,
    )


# Columns of View.memo: what the operation rows of a job were written for.
MEMO_POSITION, MEMO_STATUS, MEMO_START, MEMO_COMPLETION, NUM_MEMO = range(5)


class View(NamedTuple):
    """Where the observations of n copies are written."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, J, NUM_MEMO]


@compiled
def clip(value, low, high):
    return min(max(value, low), high)


@compiled
def wide(value):
    return min(max(value, 0.0), _WIDE)


@compiled
def processing_end(problem, state, i, j):
    """Earliest completion, as far as is known, of the operation that job j has on a machine (processing or paused)."""
    job = state.job
    if job[i, j, JOB_STATUS] == PROCESSING:
        return job[i, j, END]
    back = state.clock[i, TIME] + 1
    if problem.options[OPT_REPAIR_VISIBLE] == 1:
        back = state.machine[i, job[i, j, MACHINE], NEXT_UP]
    return back + job[i, j, REMAINING]


@compiled
def earliest_entry(problem, state, i, j):
    """Lower bound of the time at which waiting job j can start its next operation, given the present occupancy."""
    k = state.job[i, j, POSITION]
    m = problem.route[i, j, k]
    if problem.options[OPT_CONSTRUCT] == 1:
        return max(state.job[i, j, JOB_FREE], state.machine[i, m, MACHINE_FREE])
    date = state.clock[i, TIME]
    if state.machine[i, m, UP] == 0:
        date = state.machine[i, m, NEXT_UP] if problem.options[OPT_REPAIR_VISIBLE] == 1 else date + 1
    holder = state.machine[i, m, HOLDER]
    if holder >= 0 and holder != j and state.job[i, holder, JOB_STATUS] != BLOCKED:
        date = max(date, processing_end(problem, state, i, holder))
    return date


# --- operations -------------------------------------------------------------------------------------------------------


@compiled
def write_static(problem, state, view, i):
    """Everything that an episode leaves as it is (operations until they are deleted), and a blank memo."""
    floats, integers, bytes_ = view.floats, view.integers, view.bytes
    floats[i, :] = 0.0
    longest = problem.route.shape[2]
    jobs_room, machines_room = state.job.shape[1], state.machine.shape[1]
    room = jobs_room * longest
    for key in (K_PRECEDES, K_NEEDS, K_BELONGS):
        integers[i, view.offsets[key] : view.offsets[key] + 2 * room] = -1
    for key in (K_WANTS, K_HOLDS, K_WAITS):
        integers[i, view.offsets[key] : view.offsets[key] + 2 * jobs_room] = -1
    at = view.offsets[K_ACTION_NODES]
    integers[i, at : at + 3 * (jobs_room + 1)] = -1
    for m in range(problem.dims[i, DIM_MACHINES]):
        bytes_[i, view.offsets[K_MACHINE_MASK] + m] = 1
    for j in range(problem.dims[i, DIM_JOBS]):
        bytes_[i, view.offsets[K_JOB_MASK] + j] = 1
        for k in range(problem.length[i, j]):
            write_operation(problem, view, i, j, k)
        view.memo[i, j, MEMO_POSITION] = 0
        view.memo[i, j, MEMO_STATUS] = -1
        view.memo[i, j, MEMO_START] = -1
    write_static_globals(problem, view, i)


@compiled
def write_static_globals(problem, view, i):
    at = view.offsets[K_GLOBALS] + 12
    floats = view.floats
    law = problem.options[OPT_LAW]
    floats[i, at] = np.log(problem.dims[i, DIM_JOBS])
    floats[i, at + 1] = np.log(problem.dims[i, DIM_MACHINES])
    floats[i, at + 2] = problem.options[OPT_BLOCKING] != CLASSICAL
    floats[i, at + 3] = problem.options[OPT_BLOCKING] == SWAP
    inverse = problem.scale[i, SCALE_TIME]
    if law == LAW_BERNOULLI:
        floats[i, at + 4] = wide(problem.law[0] / inverse) if inverse > 0 else 0.0
        floats[i, at + 5] = wide(30.0 * inverse)
    elif law == LAW_EXPONENTIAL:
        floats[i, at + 4] = wide(1.0 / (problem.law[0] * inverse)) if inverse > 0 else 0.0
        floats[i, at + 5] = wide(problem.law[1] * inverse)
    floats[i, at + 6] = law != LAW_NONE and problem.options[OPT_BREAKDOWN] == REPEAT
    floats[i, at + 7] = law != LAW_NONE and problem.options[OPT_BREAKDOWN] == SCRAP


@compiled
def write_operation(problem, view, i, j, k):
    """The static features, mask and edges of one operation."""
    longest = problem.route.shape[2]
    room = problem.route.shape[1] * longest
    o = j * longest + k
    length = problem.length[i, j]
    total = problem.head[i, j, length]
    share = 1.0 / max(total, 1)
    p = problem.time[i, j, k]
    head = problem.head[i, j, k]
    at = view.offsets[K_OPERATION] + o * OP_FEATURES
    floats, integers = view.floats, view.integers
    floats[i, at + OP_TIME] = wide(p * problem.scale[i, SCALE_TIME])
    floats[i, at + OP_HEAD] = head * share
    floats[i, at + OP_TAIL] = (total - head - p) * share
    floats[i, at + OP_WORK] = wide((total - head) * problem.scale[i, SCALE_BOUND])
    floats[i, at + OP_COUNT] = (length - k) / length
    floats[i, at + OP_UNRELEASED] = 1.0
    view.bytes[i, view.offsets[K_OPERATION_MASK] + o] = 1
    if k + 1 < length:
        integers[i, view.offsets[K_PRECEDES] + o] = o
        integers[i, view.offsets[K_PRECEDES] + room + o] = o + 1
    integers[i, view.offsets[K_NEEDS] + o] = o
    integers[i, view.offsets[K_NEEDS] + room + o] = problem.route[i, j, k]
    integers[i, view.offsets[K_BELONGS] + o] = o
    integers[i, view.offsets[K_BELONGS] + room + o] = j


@compiled
def delete_operation(problem, view, i, j, k):
    """Take a finished operation out of the graph with its edges."""
    longest = problem.route.shape[2]
    room = problem.route.shape[1] * longest
    o = j * longest + k
    at = view.offsets[K_OPERATION] + o * OP_FEATURES
    for column in range(OP_FEATURES):
        view.floats[i, at + column] = 0.0
    view.bytes[i, view.offsets[K_OPERATION_MASK] + o] = 0
    for key in (K_PRECEDES, K_NEEDS, K_BELONGS):
        view.integers[i, view.offsets[key] + o] = -1
        view.integers[i, view.offsets[key] + room + o] = -1


@compiled
def write_status(view, i, at, status):
    for column in range(OP_UNRELEASED, OP_BLOCKED + 1):
        view.floats[i, at + column] = 0.0
    view.floats[i, at + status] = 1.0


@compiled
def update_operations(problem, state, view, i, j):
    """Bring the operation rows of job j up to date, touching only what changed since they were written."""
    job, memo = state.job, view.memo
    status = job[i, j, JOB_STATUS]
    k = job[i, j, POSITION]
    longest = problem.route.shape[2]
    length = problem.length[i, j]
    base = view.offsets[K_OPERATION] + j * longest * OP_FEATURES
    if status != memo[i, j, MEMO_STATUS] or k != memo[i, j, MEMO_POSITION]:
        old = memo[i, j, MEMO_POSITION]
        if k < old:  # the piece was lost
            for q in range(length):
                write_operation(problem, view, i, j, q)
                write_status(view, i, base + q * OP_FEATURES, OP_UNRELEASED)
                view.floats[i, base + q * OP_FEATURES + OP_REMAINING] = 0.0
            old = 0
        kept = k - 1 if status == BLOCKED else k
        for q in range(max(old - 1, 0), kept):
            delete_operation(problem, view, i, j, q)
        if status == BLOCKED:
            write_status(view, i, base + kept * OP_FEATURES, OP_BLOCKED)
            view.floats[i, base + kept * OP_FEATURES + OP_REMAINING] = 0.0
            begin = state.start[i, j, kept] * problem.scale[i, SCALE_BOUND]
            view.floats[i, base + kept * OP_FEATURES + OP_START] = wide(begin)
            end = state.completion[i, j, kept] * problem.scale[i, SCALE_BOUND]
            view.floats[i, base + kept * OP_FEATURES + OP_COMPLETION] = wide(end)
        if k < length:
            column = OP_WAITING
            if status == PROCESSING:
                column = OP_PROCESSING
            elif status == PAUSED:
                column = OP_PAUSED
            write_status(view, i, base + k * OP_FEATURES, column)
            if column == OP_WAITING:  # also of a first operation whose piece was lost
                view.floats[i, base + k * OP_FEATURES + OP_REMAINING] = 0.0
        memo[i, j, MEMO_STATUS] = status
        memo[i, j, MEMO_POSITION] = k
        memo[i, j, MEMO_START] = -1
    if k >= length:
        return
    at = base + k * OP_FEATURES
    on_machine = status in (PROCESSING, PAUSED)
    if on_machine:
        start = state.start[i, j, k]
        completion = processing_end(problem, state, i, j)
        left = job[i, j, REMAINING] if status == PAUSED else completion - state.clock[i, TIME]
        view.floats[i, at + OP_REMAINING] = wide(left * problem.scale[i, SCALE_TIME])
    else:
        start = earliest_entry(problem, state, i, j)
        completion = start + problem.time[i, j, k]
    if start == memo[i, j, MEMO_START] and completion == memo[i, j, MEMO_COMPLETION]:
        return
    memo[i, j, MEMO_START] = start
    memo[i, j, MEMO_COMPLETION] = completion
    scale = problem.scale[i, SCALE_BOUND]
    view.floats[i, at + OP_START] = wide(start * scale)
    view.floats[i, at + OP_COMPLETION] = wide(completion * scale)
    for q in range(k + 1, length):
        at += OP_FEATURES
        view.floats[i, at + OP_START] = wide((completion + problem.head[i, j, q] - problem.head[i, j, k + 1]) * scale)
        view.floats[i, at + OP_COMPLETION] = wide(
            (completion + problem.head[i, j, q + 1] - problem.head[i, j, k + 1]) * scale
        )


# --- jobs and machines ------------------------------------------------------------------------------------------------


@compiled
def chain_ahead(problem, state, i, j, m):
    """Follow who waits for whom from machine m on. Returns (number of jobs ahead, whether the chain comes back to j)."""
    job, machine = state.job, state.machine
    count = 0
    holder = machine[i, m, HOLDER]
    while holder >= 0 and count <= problem.dims[i, DIM_JOBS]:
        if holder == j:
            return count, True
        count += 1
        k = job[i, holder, POSITION] + (0 if job[i, holder, JOB_STATUS] == BLOCKED else 1)
        if k >= problem.length[i, holder]:
            return count, False
        m = problem.route[i, holder, k]
        following = machine[i, m, HOLDER]
        if following == holder:
            return count, False
        holder = following
    return count, False


@compiled
def write_job(problem, state, view, i, j, legal):
    """The row of one job and its edges: what it wants, what it holds, whom it waits for."""
    job, machine, floats, integers = state.job, state.machine, view.floats, view.integers
    jobs_room = job.shape[1]
    status = job[i, j, JOB_STATUS]
    k = job[i, j, POSITION]
    t = state.clock[i, TIME]
    at = view.offsets[K_JOB] + j * JOB_COLUMNS
    for column in range(JOB_COLUMNS):
        floats[i, at + column] = 0.0
    floats[i, at + status] = 1.0
    wants, holds, waits = view.offsets[K_WANTS] + j, view.offsets[K_HOLDS] + j, view.offsets[K_WAITS] + j
    for key in (wants, holds, waits):
        integers[i, key] = -1
        integers[i, key + jobs_room] = -1
    if job[i, j, MACHINE] >= 0:
        integers[i, holds] = j
        integers[i, holds + jobs_room] = job[i, j, MACHINE]
    length = problem.length[i, j]
    if k >= length:
        return
    per_time = problem.scale[i, SCALE_TIME]
    left = 0
    work = problem.head[i, j, length] - problem.head[i, j, k]
    following = k
    if status in (PROCESSING, PAUSED):
        left = job[i, j, REMAINING] if status == PAUSED else job[i, j, END] - t
        work += left - problem.time[i, j, k]
        following = k + 1
    floats[i, at + 5] = legal
    floats[i, at + 6] = wide(left * per_time)
    floats[i, at + 7] = wide(work * problem.scale[i, SCALE_JOB])
    floats[i, at + 8] = wide((length - k) * problem.scale[i, SCALE_LENGTH])
    if following == k:
        floats[i, at + 9] = wide((t - job[i, j, SINCE]) * per_time)
    slack = problem.dims[i, DIM_LOWER_BOUND] - t - work
    floats[i, at + 16] = clip(slack * problem.scale[i, SCALE_BOUND], -_WIDE, _WIDE)
    if following >= length:
        return
    m = problem.route[i, j, following]
    holder = machine[i, m, HOLDER]
    floats[i, at + 10] = wide(problem.time[i, j, following] * per_time)
    floats[i, at + 11] = holder < 0
    floats[i, at + 12] = holder >= 0 and holder != j and job[i, holder, JOB_STATUS] == BLOCKED
    floats[i, at + 13] = machine[i, m, UP] == 0
    ahead, closes = chain_ahead(problem, state, i, j, m)
    floats[i, at + 14] = min(ahead / problem.dims[i, DIM_JOBS], 1.0)
    floats[i, at + 15] = closes and ahead > 0
    integers[i, wants] = j
    integers[i, wants + jobs_room] = m
    if holder >= 0 and holder != j:
        integers[i, waits] = j
        integers[i, waits + jobs_room] = holder


@compiled
def occupant_time(problem, state, i, m):
    """Processing time that the occupant of machine m still needs; 0 if there is none or it is blocked."""
    holder = state.machine[i, m, HOLDER]
    if holder < 0:
        return 0
    if state.job[i, holder, JOB_STATUS] == PROCESSING:
        return state.job[i, holder, END] - state.clock[i, TIME]
    return state.job[i, holder, REMAINING] if state.job[i, holder, JOB_STATUS] == PAUSED else 0


@compiled
def write_machine(problem, state, view, i, m):
    """The row of one machine."""
    machine, floats = state.machine, view.floats
    per_time = problem.scale[i, SCALE_TIME]
    per_bound = problem.scale[i, SCALE_BOUND]
    t = state.clock[i, TIME]
    at = view.offsets[K_MACHINE] + m * MACHINE_COLUMNS
    holder = machine[i, m, HOLDER]
    up = machine[i, m, UP] == 1
    blocked = holder >= 0 and state.job[i, holder, JOB_STATUS] == BLOCKED
    floats[i, at] = up
    floats[i, at + 1] = holder < 0
    floats[i, at + 2] = holder >= 0 and not blocked
    floats[i, at + 3] = blocked
    visible = not up and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[i, at + 4] = wide((machine[i, m, NEXT_UP] - t) * per_time) if visible else 0.0
    floats[i, at + 5] = 0.0 if up else wide((t - machine[i, m, NEXT_DOWN]) * per_time)
    floats[i, at + 6] = wide(occupant_time(problem, state, i, m) * per_time)
    per_jobs = 1.0 / problem.dims[i, DIM_JOBS]
    floats[i, at + 7] = machine[i, m, QUEUE_COUNT] * per_jobs
    floats[i, at + 8] = wide(machine[i, m, QUEUE_WORK] * per_time)
    floats[i, at + 9] = wide(machine[i, m, WORK_TO_COME] * per_bound)
    floats[i, at + 10] = wide(machine[i, m, OPERATIONS_TO_COME] * per_jobs)
    if problem.options[OPT_KNOWN_WINDOWS] == 1:
        known = up and machine[i, m, NEXT_DOWN] < INFINITY
        floats[i, at + 11] = wide((machine[i, m, NEXT_DOWN] - t) * per_time) if known else 0.0
        floats[i, at + 12] = wide((machine[i, m, NEXT_UP] - machine[i, m, NEXT_DOWN]) * per_time) if known else 0.0


@compiled
def write_globals(problem, state, view, i):
    """The features of the whole state that change."""
    job, machine, floats = state.job, state.machine, view.floats
    jobs, machines = problem.dims[i, DIM_JOBS], problem.dims[i, DIM_MACHINES]
    t = state.clock[i, TIME]
    completion = INFINITY
    mended = INFINITY
    blocked = 0
    processing = 0
    free = 0
    down = 0
    longest = 0
    most = 0
    for j in range(jobs):
        status = job[i, j, JOB_STATUS]
        if status != LEFT:
            longest = max(longest, problem.head[i, j, problem.length[i, j]] - problem.head[i, j, job[i, j, POSITION]])
        if status == BLOCKED:
            blocked += 1
        elif status == PROCESSING:
            processing += 1
            completion = min(completion, job[i, j, END])
    for m in range(machines):
        most = max(most, machine[i, m, WORK_TO_COME])
        if machine[i, m, HOLDER] < 0:
            free += 1
        if machine[i, m, UP] == 0:
            down += 1
            mended = min(mended, machine[i, m, NEXT_UP])
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    at = view.offsets[K_GLOBALS]
    floats[i, at] = wide(t * per_bound)
    floats[i, at + 1] = state.clock[i, DONE] / jobs
    floats[i, at + 2] = blocked / jobs
    floats[i, at + 3] = processing / jobs
    floats[i, at + 4] = free / machines
    floats[i, at + 5] = down / machines
    floats[i, at + 6] = state.clock[i, LEGAL] / jobs
    floats[i, at + 7] = wide((completion - t) * per_time) if completion < INFINITY else 0.0
    visible = mended < INFINITY and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[i, at + 8] = wide((mended - t) * per_time) if visible else 0.0
    floats[i, at + 9] = wide(longest * per_bound)
    floats[i, at + 10] = wide(most * per_bound)
    floats[i, at + 11] = wide((jobs - state.clock[i, DONE]) / machines)


# --- actions ----------------------------------------------------------------------------------------------------------


@compiled
def write_move(problem, state, view, i, j, least_start, least_completion):
    """The row of the legal action "job j enters its next machine"."""
    job, machine, floats = state.job, state.machine, view.floats
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    per_job = problem.scale[i, SCALE_JOB]
    jobs = problem.dims[i, DIM_JOBS]
    constructing = problem.options[OPT_CONSTRUCT] == 1
    k = job[i, j, POSITION]
    length = problem.length[i, j]
    m = problem.route[i, j, k]
    p = problem.time[i, j, k]
    total = problem.head[i, j, length]
    work = total - problem.head[i, j, k]
    start = earliest_entry(problem, state, i, j)
    t = least_start if constructing else state.clock[i, TIME]
    at = view.offsets[K_ACTIONS] + j * ACTION_COLUMNS
    floats[i, at] = wide(p * per_time)
    floats[i, at + 1] = wide(work * per_job)
    floats[i, at + 2] = wide((work - p) * per_job)
    floats[i, at + 3] = wide((length - k) * problem.scale[i, SCALE_LENGTH])
    floats[i, at + 4] = clip((t - job[i, j, SINCE]) * per_time, -4096.0, 4096.0)
    floats[i, at + 5] = min(problem.head[i, j, k + 1] / max(work, 1e-9), 4096.0)
    floats[i, at + 6] = min(p * total * per_time * per_job, 4096.0)
    earliest_due = problem.dims[i, DIM_LOWER_BOUND] * (total / max(problem.dims[i, DIM_LONGEST_JOB], 1))
    floats[i, at + 10] = clip((earliest_due - t) / max(work, 1e-9), -4096.0, 4096.0)
    old = job[i, j, MACHINE]
    floats[i, at + 12] = old >= 0
    floats[i, at + 13] = machine[i, old, QUEUE_COUNT] / jobs if old >= 0 else 0.0
    floats[i, at + 14] = (machine[i, m, QUEUE_COUNT] - 1) / jobs
    floats[i, at + 21] = wide(machine[i, m, WORK_TO_COME] * per_bound)
    slack = problem.dims[i, DIM_LOWER_BOUND] - t - work
    floats[i, at + 23] = clip(slack * per_bound, -_WIDE, _WIDE)
    floats[i, at + 24] = wide((start - least_start) * per_time)
    floats[i, at + 25] = wide((start + p - least_completion) * per_time)
    if constructing:
        lead = job[i, j, JOB_FREE] - machine[i, m, MACHINE_FREE]
        floats[i, at + 26] = clip(lead * per_time, -_WIDE, _WIDE)
    floats[i, at + 27] = wide(total * per_job)
    floats[i, at + 28] = k / length
    if problem.options[OPT_KNOWN_WINDOWS] == 1:
        floats[i, at + 29] = wide((start + p - machine[i, m, NEXT_DOWN]) * per_time)
    if k + 1 == length:
        floats[i, at + 11] = 1.0
        return
    write_next_machine(problem, state, view, i, j, at)


@compiled
def write_next_machine(problem, state, view, i, j, at):
    """The part of a move's row that speaks of the machine after the one that would be entered."""
    job, machine, floats = state.job, state.machine, view.floats
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    jobs = problem.dims[i, DIM_JOBS]
    k = job[i, j, POSITION]
    work = problem.head[i, j, problem.length[i, j]] - problem.head[i, j, k]
    target = problem.route[i, j, k]
    m = problem.route[i, j, k + 1]
    queue = machine[i, m, QUEUE_WORK] - (problem.time[i, j, k] if m == target else 0)
    holder = machine[i, m, HOLDER]
    busy = occupant_time(problem, state, i, m)
    floats[i, at + 7] = min((queue + busy) * per_time, 4096.0)
    floats[i, at + 8] = holder >= 0
    floats[i, at + 9] = wide(work * problem.scale[i, SCALE_JOB])
    floats[i, at + 15] = wide(problem.time[i, j, k + 1] * per_time)
    if machine[i, m, UP] == 0 and problem.options[OPT_REPAIR_VISIBLE] == 1:
        busy += machine[i, m, NEXT_UP] - state.clock[i, TIME]
    if problem.options[OPT_CONSTRUCT] == 1:
        busy = max(machine[i, m, MACHINE_FREE] - earliest_entry(problem, state, i, j) - problem.time[i, j, k], 0)
    floats[i, at + 16] = wide(busy * per_time)
    floats[i, at + 17] = holder >= 0 and job[i, holder, JOB_STATUS] == BLOCKED
    floats[i, at + 18] = machine[i, m, UP] == 0
    ahead, closes = chain_ahead(problem, state, i, j, m)
    floats[i, at + 19] = min(ahead / jobs, 1.0)
    floats[i, at + 20] = closes or chain_wants(problem, state, i, m, target)
    floats[i, at + 22] = wide(machine[i, m, WORK_TO_COME] * per_bound)


@compiled
def chain_wants(problem, state, i, m, target):
    """Whether the last job of the chain that begins at machine m wants machine `target`, so that entering it closes a
    cycle: a swap to come, or without swaps a deadlock."""
    job, machine = state.job, state.machine
    holder = machine[i, m, HOLDER]
    for _ in range(problem.dims[i, DIM_JOBS]):
        if holder < 0:
            return False
        k = job[i, holder, POSITION] + (0 if job[i, holder, JOB_STATUS] == BLOCKED else 1)
        if k >= problem.length[i, holder]:
            return False
        m = problem.route[i, holder, k]
        if m == target:
            return True
        if machine[i, m, HOLDER] == holder:
            return False
        holder = machine[i, m, HOLDER]
    return False


@compiled
def write_actions(problem, state, view, i):
    """Mask, node references and features of every action slot."""
    job, bytes_, integers = state.job, view.bytes, view.integers
    slots = job.shape[1]
    running = state.clock[i, STATUS] == RUNNING
    mask, nodes = view.offsets[K_MASK], view.offsets[K_ACTION_NODES]
    longest = problem.route.shape[2]
    least_start = INFINITY
    least_completion = INFINITY
    for j in range(problem.dims[i, DIM_JOBS]):
        legal = running and job_is_legal(problem, state, i, j)
        if bytes_[i, mask + j] == 1 and not legal:
            at = view.offsets[K_ACTIONS] + j * ACTION_COLUMNS
            for column in range(ACTION_COLUMNS):
                view.floats[i, at + column] = 0.0
            for reference in range(3):
                integers[i, nodes + 3 * j + reference] = -1
        bytes_[i, mask + j] = 1 if legal else 0
        if legal:
            start = earliest_entry(problem, state, i, j)
            least_start = min(least_start, start)
            least_completion = min(least_completion, start + problem.time[i, j, job[i, j, POSITION]])
    for j in range(problem.dims[i, DIM_JOBS]):
        if bytes_[i, mask + j] == 1:
            k = job[i, j, POSITION]
            integers[i, nodes + 3 * j] = j
            integers[i, nodes + 3 * j + 1] = j * longest + k
            integers[i, nodes + 3 * j + 2] = problem.route[i, j, k]
            # A row may hold another move's figures in the columns that only some moves have.
            at = view.offsets[K_ACTIONS] + j * ACTION_COLUMNS
            for column in range(ACTION_COLUMNS):
                view.floats[i, at + column] = 0.0
            write_move(problem, state, view, i, j, least_start, least_completion)
    can_wait = running and state.clock[i, WAIT_LEGAL] == 1
    bytes_[i, mask + slots] = 1 if can_wait else 0
    at = view.offsets[K_ACTIONS] + slots * ACTION_COLUMNS
    view.floats[i, at + 30] = 1.0 if can_wait else 0.0
    view.floats[i, at + 31] = time_to_known_event(problem, state, i) if can_wait else 0.0


@compiled
def time_to_known_event(problem, state, i):
    """Time until WAIT ends as far as the decision maker can tell, in mean processing times."""
    date = INFINITY
    for j in range(problem.dims[i, DIM_JOBS]):
        if state.job[i, j, JOB_STATUS] == PROCESSING:
            date = min(date, state.job[i, j, END])
    if problem.options[OPT_LAW] != LAW_NONE and problem.options[OPT_REPAIR_VISIBLE] == 1:
        for m in range(problem.dims[i, DIM_MACHINES]):
            if state.machine[i, m, UP] == 0:
                date = min(date, state.machine[i, m, NEXT_UP])
    if date >= INFINITY:
        return 0.0
    return wide((date - state.clock[i, TIME]) * problem.scale[i, SCALE_TIME])


@compiled
def update_observation(problem, state, view, i):
    """Rewrite what a step may have changed of copy i's observation."""
    write_actions(problem, state, view, i)
    mask = view.offsets[K_MASK]
    for j in range(problem.dims[i, DIM_JOBS]):
        update_operations(problem, state, view, i, j)
        write_job(problem, state, view, i, j, view.bytes[i, mask + j])
    for m in range(problem.dims[i, DIM_MACHINES]):
        write_machine(problem, state, view, i, m)
    write_globals(problem, state, view, i)


@compiled
def write_observation(problem, state, view, i):
    """Write the whole observation of copy i."""
    write_static(problem, state, view, i)
    update_observation(problem, state, view, i)
