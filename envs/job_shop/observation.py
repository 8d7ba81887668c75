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
    DURATION,
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
    OUTSIDE,
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
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    WORK_TO_COME,
    is_plain,
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
    job = state.job[i]
    if job[j, JOB_STATUS] == PROCESSING:
        return job[j, END]
    back = state.clock[i, TIME] + 1
    if problem.options[OPT_REPAIR_VISIBLE] == 1:
        back = state.machine[i, job[j, MACHINE], NEXT_UP]
    return back + job[j, REMAINING]


@compiled
def earliest_entry(problem, state, i, j):
    """Lower bound of the time at which waiting job j can start its next operation, given the present occupancy."""
    job, machine = state.job[i], state.machine[i]
    m = job[j, WANTS]
    if problem.options[OPT_CONSTRUCT] == 1:
        return max(job[j, JOB_FREE], machine[m, MACHINE_FREE])
    date = state.clock[i, TIME]
    if machine[m, UP] == 0:
        date = machine[m, NEXT_UP] if problem.options[OPT_REPAIR_VISIBLE] == 1 else date + 1
    holder = machine[m, HOLDER]
    if holder >= 0 and holder != j and job[holder, JOB_STATUS] != BLOCKED:
        date = max(date, processing_end(problem, state, i, holder))
    return date


@compiled
def time_left(state, i, j):
    """Processing time that the operation of job j on a machine still needs; 0 if it is on none or blocked."""
    job = state.job[i]
    status = job[j, JOB_STATUS]
    if status == PROCESSING:
        return job[j, END] - state.clock[i, TIME]
    return job[j, REMAINING] if status == PAUSED else 0


@compiled
def chain(state, i, j, m, target, jobs):
    """Follow who waits for whom from machine m on.

    Returns (number of jobs ahead, whether the chain comes back to job j or to machine `target`).
    """
    job, machine = state.job[i], state.machine[i]
    count = 0
    holder = machine[m, HOLDER]
    while holder >= 0 and count <= jobs:
        if holder == j:
            return count, True
        count += 1
        wanted = job[holder, WANTS]
        if wanted < 0:
            break
        if wanted == target:
            return count, True
        following = machine[wanted, HOLDER]
        if following == holder:
            break
        holder = following
    return count, False


# --- operations -------------------------------------------------------------------------------------------------------


@compiled
def write_static(problem, state, view, i):
    """Everything that an episode leaves as it is (operations until they are deleted), and a blank memo."""
    floats, integers, bytes_, offsets = view.floats[i], view.integers[i], view.bytes[i], view.offsets
    memo = view.memo[i]
    for word in range(len(integers)):
        integers[word] = 0
    jobs_room = state.job.shape[1]
    room = jobs_room * problem.route.shape[2]
    first = offsets[K_PRECEDES]
    for word in range(first, first + 6 * room + 6 * jobs_room):
        integers[word] = -1  # all six kinds of edges, which follow one another
    first = offsets[K_ACTION_NODES]
    for word in range(first, first + 3 * (jobs_room + 1)):
        integers[word] = -1
    for m in range(problem.dims[i, DIM_MACHINES]):
        bytes_[offsets[K_MACHINE_MASK] + m] = 1
        floats[offsets[K_MACHINE] + m * MACHINE_COLUMNS] = 1.0  # up: written again only where there are breakdowns
    for j in range(problem.dims[i, DIM_JOBS]):
        bytes_[offsets[K_JOB_MASK] + j] = 1
        write_operations(problem, view, i, j)
        memo[j, MEMO_POSITION] = 0
        memo[j, MEMO_STATUS] = -1
        memo[j, MEMO_START] = -1
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
def write_operations(problem, view, i, j):
    """Features, mask and edges of all operations of job j, none of which is begun."""
    floats, integers, bytes_, offsets = view.floats[i], view.integers[i], view.bytes[i], view.offsets
    route, time, head = problem.route[i], problem.time[i], problem.head[i]
    longest = route.shape[1]
    room = route.shape[0] * longest
    length = problem.length[i, j]
    total = head[j, length]
    share = 1.0 / max(total, 1)
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    precedes, needs, belongs = offsets[K_PRECEDES], offsets[K_NEEDS], offsets[K_BELONGS]
    for k in range(length):
        o = j * longest + k
        at = offsets[K_OPERATION] + o * OP_FEATURES
        before, after = head[j, k], total - head[j, k]
        floats[at + OP_TIME] = wide(time[j, k] * per_time)
        floats[at + OP_HEAD] = before * share
        floats[at + OP_TAIL] = (after - time[j, k]) * share
        floats[at + OP_WORK] = wide(after * per_bound)
        floats[at + OP_COUNT] = (length - k) / length
        write_status(view, i, at, OP_UNRELEASED)
        floats[at + OP_REMAINING] = 0.0
        bytes_[offsets[K_OPERATION_MASK] + o] = 1
        if k + 1 < length:
            integers[precedes + o] = o
            integers[precedes + room + o] = o + 1
        integers[needs + o] = o
        integers[needs + room + o] = route[j, k]
        integers[belongs + o] = o
        integers[belongs + room + o] = j


@compiled
def delete_operation(problem, view, i, j, k):
    """Take a finished operation out of the graph with its edges."""
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    longest = problem.route.shape[2]
    room = problem.route.shape[1] * longest
    o = j * longest + k
    at = offsets[K_OPERATION] + o * OP_FEATURES
    for column in range(OP_FEATURES):
        floats[at + column] = 0.0
    view.bytes[i, offsets[K_OPERATION_MASK] + o] = 0
    for half in range(6):  # both ends of precedes, needs and belongs_to, which follow one another
        integers[offsets[K_PRECEDES] + half * room + o] = -1


@compiled
def write_status(view, i, at, status):
    floats = view.floats[i]
    for column in range(OP_UNRELEASED, OP_BLOCKED + 1):
        floats[at + column] = 1.0 if column == status else 0.0


@compiled
def move_operations(problem, state, view, i, j, at):
    """Job j has changed its place since its operations' rows were written, the first of which begins at `at`."""
    memo, floats = view.memo[i], view.floats[i]
    status, k = state.job[i, j, JOB_STATUS], state.job[i, j, POSITION]
    # A blocked job's last operation stays, since it is still on its machine.
    old = memo[j, MEMO_POSITION] - (1 if memo[j, MEMO_STATUS] == BLOCKED else 0)
    if k < memo[j, MEMO_POSITION]:  # the piece was lost
        write_operations(problem, view, i, j)
        old = 0
    kept = k - 1 if status == BLOCKED else k
    for q in range(old, kept):
        delete_operation(problem, view, i, j, q)
    if status == BLOCKED:
        blocked_at = at + kept * OP_FEATURES
        per_bound = problem.scale[i, SCALE_BOUND]
        write_status(view, i, blocked_at, OP_BLOCKED)
        floats[blocked_at + OP_REMAINING] = 0.0
        floats[blocked_at + OP_START] = wide(state.start[i, j, kept] * per_bound)
        floats[blocked_at + OP_COMPLETION] = wide(state.completion[i, j, kept] * per_bound)
    if status != LEFT:
        column = OP_WAITING
        if status == PROCESSING:
            column = OP_PROCESSING
        elif status == PAUSED:
            column = OP_PAUSED
        write_status(view, i, at + k * OP_FEATURES, column)
        if column == OP_WAITING:  # also of a first operation whose piece was lost
            floats[at + k * OP_FEATURES + OP_REMAINING] = 0.0
    memo[j, MEMO_STATUS] = status
    memo[j, MEMO_POSITION] = k
    memo[j, MEMO_START] = -1


@compiled
def update_operations(problem, state, view, i, j):
    """Bring the operation rows of job j up to date, touching only what changed since they were written."""
    job, memo, floats = state.job[i], view.memo[i], view.floats[i]
    head = problem.head[i]
    status = job[j, JOB_STATUS]
    k = job[j, POSITION]
    at = view.offsets[K_OPERATION] + j * problem.route.shape[2] * OP_FEATURES
    if status != memo[j, MEMO_STATUS] or k != memo[j, MEMO_POSITION]:
        move_operations(problem, state, view, i, j, at)
    if status == LEFT:
        return
    at += k * OP_FEATURES
    if status in (PROCESSING, PAUSED):
        start = state.start[i, j, k]
        completion = processing_end(problem, state, i, j)
        floats[at + OP_REMAINING] = wide(time_left(state, i, j) * problem.scale[i, SCALE_TIME])
    else:
        start = earliest_entry(problem, state, i, j)
        completion = start + job[j, WANTS_TIME]
    if start == memo[j, MEMO_START] and completion == memo[j, MEMO_COMPLETION]:
        return
    memo[j, MEMO_START] = start
    memo[j, MEMO_COMPLETION] = completion
    scale = problem.scale[i, SCALE_BOUND]
    floats[at + OP_START] = wide(start * scale)
    shift = completion - head[j, k + 1]
    for q in range(k + 1, problem.length[i, j]):
        date = wide((shift + head[j, q]) * scale)  # the one before is completed, this one can start
        floats[at + OP_COMPLETION] = date
        at += OP_FEATURES
        floats[at + OP_START] = date
    floats[at + OP_COMPLETION] = wide((shift + head[j, problem.length[i, j]]) * scale)


# --- jobs and machines ------------------------------------------------------------------------------------------------


@compiled
def write_job(problem, state, view, i, j):
    """The row of one job and the edges to what it holds and wants; `write_ties` writes what depends on other jobs."""
    job, scale = state.job[i], problem.scale[i]
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    jobs_room = state.job.shape[1]
    status = job[j, JOB_STATUS]
    held, wanted = job[j, MACHINE], job[j, WANTS]
    t = state.clock[i, TIME]
    at = offsets[K_JOB] + j * JOB_COLUMNS
    for column in range(JOB_COLUMNS):
        floats[at + column] = 0.0
    floats[at + status] = 1.0
    holds, wants = offsets[K_HOLDS] + j, offsets[K_WANTS] + j
    integers[holds] = j if held >= 0 else -1
    integers[holds + jobs_room] = held
    integers[wants] = j if wanted >= 0 else -1
    integers[wants + jobs_room] = wanted
    if status == LEFT:
        return
    left = time_left(state, i, j)
    work = job[j, WORK_AHEAD] + left
    floats[at + 6] = wide(left * scale[SCALE_TIME])
    floats[at + 7] = wide(work * scale[SCALE_JOB])
    floats[at + 8] = wide((problem.length[i, j] - job[j, POSITION]) * scale[SCALE_LENGTH])
    if status in (OUTSIDE, BLOCKED):
        floats[at + 9] = wide((t - job[j, SINCE]) * scale[SCALE_TIME])
    floats[at + 10] = wide(job[j, WANTS_TIME] * scale[SCALE_TIME])
    slack = problem.dims[i, DIM_LOWER_BOUND] - t - work
    floats[at + 16] = clip(slack * scale[SCALE_BOUND], -_WIDE, _WIDE)


@compiled
def write_ties(problem, state, view, i, j):
    """Whether job j may move, whom it waits for, and what stands in its way."""
    job, machine = state.job[i], state.machine[i]
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    jobs, jobs_room = problem.dims[i, DIM_JOBS], state.job.shape[1]
    wanted = job[j, WANTS]
    at = offsets[K_JOB] + j * JOB_COLUMNS
    holder = -1
    blocked = False
    ahead = 0
    closes = False
    if wanted >= 0:
        holder = machine[wanted, HOLDER]
        floats[at + 11] = holder < 0
        floats[at + 13] = machine[wanted, UP] == 0
    if holder == j:
        holder = -1
    if holder >= 0:
        blocked = job[holder, JOB_STATUS] == BLOCKED
        ahead, closes = chain(state, i, j, wanted, -1, jobs)
    floats[at + 5] = view.bytes[i, offsets[K_MASK] + j]
    floats[at + 12] = blocked
    floats[at + 14] = min(ahead / jobs, 1.0)
    floats[at + 15] = closes
    waits = offsets[K_WAITS] + j
    integers[waits] = j if holder >= 0 else -1
    integers[waits + jobs_room] = holder


@compiled
def write_machine(problem, state, view, i, m):
    """The row of one machine."""
    machine, floats, scale = state.machine[i], view.floats[i], problem.scale[i]
    per_time, per_bound = scale[SCALE_TIME], scale[SCALE_BOUND]
    at = view.offsets[K_MACHINE] + m * MACHINE_COLUMNS
    holder = machine[m, HOLDER]
    blocked = False
    left = 0
    if holder >= 0:
        blocked = state.job[i, holder, JOB_STATUS] == BLOCKED
        left = time_left(state, i, holder)
    floats[at + 1] = holder < 0
    floats[at + 2] = holder >= 0 and not blocked
    floats[at + 3] = blocked
    floats[at + 6] = wide(left * per_time)
    per_jobs = 1.0 / problem.dims[i, DIM_JOBS]
    floats[at + 7] = machine[m, QUEUE_COUNT] * per_jobs
    floats[at + 8] = wide(machine[m, QUEUE_WORK] * per_time)
    floats[at + 9] = wide(machine[m, WORK_TO_COME] * per_bound)
    floats[at + 10] = wide(machine[m, OPERATIONS_TO_COME] * per_jobs)


@compiled(when_plain=None)
def write_breakdown(problem, state, view, i, m):
    """What the row of one machine says of its breakdowns."""
    machine, floats, per_time = state.machine[i], view.floats[i], problem.scale[i, SCALE_TIME]
    t = state.clock[i, TIME]
    at = view.offsets[K_MACHINE] + m * MACHINE_COLUMNS
    up = machine[m, UP] == 1
    down_at, up_at = machine[m, NEXT_DOWN], machine[m, NEXT_UP]
    floats[at] = up
    visible = not up and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[at + 4] = wide((up_at - t) * per_time) if visible else 0.0
    floats[at + 5] = 0.0 if up else wide((t - down_at) * per_time)
    known = problem.options[OPT_KNOWN_WINDOWS] == 1 and up and down_at < INFINITY
    floats[at + 11] = wide((down_at - t) * per_time) if known else 0.0
    floats[at + 12] = wide((up_at - down_at) * per_time) if known else 0.0


@compiled
def write_globals(problem, state, view, i):
    """The features of the whole state that change. Returns the date of the next event that is known of, or INFINITY."""
    job, machine, floats = state.job[i], state.machine[i], view.floats[i]
    jobs, machines = problem.dims[i, DIM_JOBS], problem.dims[i, DIM_MACHINES]
    t, done = state.clock[i, TIME], state.clock[i, DONE]
    completion = INFINITY
    mended = INFINITY
    blocked = 0
    processing = 0
    free = 0
    down = 0
    longest = 0
    most = 0
    for j in range(jobs):
        status = job[j, JOB_STATUS]
        longest = max(longest, job[j, WORK_AHEAD] + job[j, DURATION])
        blocked += 1 if status == BLOCKED else 0
        processing += 1 if status == PROCESSING else 0
        completion = min(completion, job[j, END])
    for m in range(machines):
        most = max(most, machine[m, WORK_TO_COME])
        free += 1 if machine[m, HOLDER] < 0 else 0
    if problem.options[OPT_LAW] != LAW_NONE:
        for m in range(machines):
            if machine[m, UP] == 0:
                down += 1
                mended = min(mended, machine[m, NEXT_UP])
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    at = view.offsets[K_GLOBALS]
    floats[at] = wide(t * per_bound)
    floats[at + 1] = done / jobs
    floats[at + 2] = blocked / jobs
    floats[at + 3] = processing / jobs
    floats[at + 4] = free / machines
    floats[at + 5] = down / machines
    floats[at + 6] = state.clock[i, LEGAL] / jobs
    floats[at + 7] = wide((completion - t) * per_time) if completion < INFINITY else 0.0
    visible = mended < INFINITY and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[at + 8] = wide((mended - t) * per_time) if visible else 0.0
    floats[at + 9] = wide(longest * per_bound)
    floats[at + 10] = wide(most * per_bound)
    floats[at + 11] = wide((jobs - done) / machines)
    return min(completion, mended) if visible else completion


# --- actions ----------------------------------------------------------------------------------------------------------


@compiled
def write_move(problem, state, view, i, j, least_start, least_completion):
    """The row of the legal action "job j enters its next machine"."""
    job, machine, scale = state.job[i], state.machine[i], problem.scale[i]
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    per_time, per_bound, per_job = scale[SCALE_TIME], scale[SCALE_BOUND], scale[SCALE_JOB]
    jobs = problem.dims[i, DIM_JOBS]
    bound = problem.dims[i, DIM_LOWER_BOUND]
    constructing = problem.options[OPT_CONSTRUCT] == 1
    k = job[j, POSITION]
    length = problem.length[i, j]
    m = job[j, WANTS]
    p = job[j, WANTS_TIME]
    work = job[j, WORK_AHEAD]
    total = problem.head[i, j, length]
    old = job[j, MACHINE]
    start = earliest_entry(problem, state, i, j)
    t = least_start if constructing else state.clock[i, TIME]
    nodes = offsets[K_ACTION_NODES] + 3 * j
    integers[nodes] = j
    integers[nodes + 1] = j * problem.route.shape[2] + k
    integers[nodes + 2] = m
    # A row may hold another move's figures in the columns that only some moves have.
    at = offsets[K_ACTIONS] + j * ACTION_COLUMNS
    for column in range(ACTION_COLUMNS):
        floats[at + column] = 0.0
    floats[at] = wide(p * per_time)
    floats[at + 1] = wide(work * per_job)
    floats[at + 2] = wide((work - p) * per_job)
    floats[at + 3] = wide((length - k) * scale[SCALE_LENGTH])
    floats[at + 4] = clip((t - job[j, SINCE]) * per_time, -4096.0, 4096.0)
    floats[at + 5] = min((total - work + p) / max(work, 1e-9), 4096.0)
    floats[at + 6] = min(p * total * per_time * per_job, 4096.0)
    earliest_due = bound * (total / max(problem.dims[i, DIM_LONGEST_JOB], 1))
    floats[at + 10] = clip((earliest_due - t) / max(work, 1e-9), -4096.0, 4096.0)
    if old >= 0:
        floats[at + 12] = 1.0
        floats[at + 13] = machine[old, QUEUE_COUNT] / jobs
    floats[at + 14] = (machine[m, QUEUE_COUNT] - 1) / jobs
    floats[at + 21] = wide(machine[m, WORK_TO_COME] * per_bound)
    floats[at + 23] = clip((bound - t - work) * per_bound, -_WIDE, _WIDE)
    floats[at + 24] = wide((start - least_start) * per_time)
    floats[at + 25] = wide((start + p - least_completion) * per_time)
    if constructing:
        lead = job[j, JOB_FREE] - machine[m, MACHINE_FREE]
        floats[at + 26] = clip(lead * per_time, -_WIDE, _WIDE)
    floats[at + 27] = wide(total * per_job)
    floats[at + 28] = k / length
    if problem.options[OPT_KNOWN_WINDOWS] == 1:
        floats[at + 29] = wide((start + p - machine[m, NEXT_DOWN]) * per_time)
    if k + 1 == length:
        floats[at + 11] = 1.0
    else:
        write_next_machine(problem, state, view, i, j, at, start + p)


@compiled
def write_next_machine(problem, state, view, i, j, at, completion):
    """The part of a move's row that speaks of the machine after the one that would be entered."""
    job, machine, floats, scale = state.job[i], state.machine[i], view.floats[i], problem.scale[i]
    per_time = scale[SCALE_TIME]
    jobs = problem.dims[i, DIM_JOBS]
    k = job[j, POSITION]
    target = job[j, WANTS]
    m = problem.route[i, j, k + 1]
    queue = machine[m, QUEUE_WORK] - (job[j, WANTS_TIME] if m == target else 0)
    holder = machine[m, HOLDER]
    busy = time_left(state, i, holder) if holder >= 0 else 0
    floats[at + 7] = min((queue + busy) * per_time, 4096.0)
    floats[at + 8] = holder >= 0
    floats[at + 9] = floats[at + 1]
    floats[at + 15] = wide(problem.time[i, j, k + 1] * per_time)
    if machine[m, UP] == 0 and problem.options[OPT_REPAIR_VISIBLE] == 1:
        busy += machine[m, NEXT_UP] - state.clock[i, TIME]
    if problem.options[OPT_CONSTRUCT] == 1:
        busy = max(machine[m, MACHINE_FREE] - completion, 0)
    floats[at + 16] = wide(busy * per_time)
    floats[at + 17] = holder >= 0 and job[holder, JOB_STATUS] == BLOCKED
    floats[at + 18] = machine[m, UP] == 0
    # A chain that ends at the machine to be entered closes: a swap to come, or without swaps a deadlock.
    ahead, closes = chain(state, i, j, m, target, jobs)
    floats[at + 19] = min(ahead / jobs, 1.0)
    floats[at + 20] = closes
    floats[at + 22] = wide(machine[m, WORK_TO_COME] * scale[SCALE_BOUND])


@compiled
def clear_move(view, i, j):
    """Blank the row of an action that is no longer legal."""
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    at = offsets[K_ACTIONS] + j * ACTION_COLUMNS
    for column in range(ACTION_COLUMNS):
        floats[at + column] = 0.0
    for reference in range(3):
        integers[offsets[K_ACTION_NODES] + 3 * j + reference] = -1


@compiled
def write_mask(problem, state, view, i):
    """Which jobs may move. Returns the least start and the least completion among their moves."""
    job, machine, bytes_ = state.job[i], state.machine[i], view.bytes[i]
    running = state.clock[i, STATUS] == RUNNING
    plain = is_plain(problem)
    constructing = problem.options[OPT_CONSTRUCT] == 1
    mask = view.offsets[K_MASK]
    t = state.clock[i, TIME]
    least_start = INFINITY
    least_completion = INFINITY
    for j in range(problem.dims[i, DIM_JOBS]):
        legal = False
        if running:
            if plain:
                status = job[j, JOB_STATUS]
                waits = (status == OUTSIDE) | (status == BLOCKED)
                legal = waits & (machine[max(job[j, WANTS], 0), HOLDER] < 0)
            else:
                legal = job_is_legal(problem, state, i, j)
        if bytes_[mask + j] == 1 and not legal:
            clear_move(view, i, j)
        bytes_[mask + j] = 1 if legal else 0
        if legal:
            start = earliest_entry(problem, state, i, j) if constructing else t
            least_start = min(least_start, start)
            least_completion = min(least_completion, start + job[j, WANTS_TIME])
    return least_start, least_completion


@compiled
def write_actions(problem, state, view, i):
    """Mask, node references and features of every action slot, and the globals: all that a rule or a scorer reads."""
    bytes_, floats = view.bytes[i], view.floats[i]
    least_start, least_completion = write_mask(problem, state, view, i)
    mask = view.offsets[K_MASK]
    for j in range(problem.dims[i, DIM_JOBS]):
        if bytes_[mask + j] == 1:
            write_move(problem, state, view, i, j, least_start, least_completion)
    event = write_globals(problem, state, view, i)
    slots = state.job.shape[1]
    can_wait = state.clock[i, STATUS] == RUNNING and state.clock[i, WAIT_LEGAL] == 1
    bytes_[mask + slots] = 1 if can_wait else 0
    at = view.offsets[K_ACTIONS] + slots * ACTION_COLUMNS
    floats[at + 30] = 1.0 if can_wait else 0.0
    # Time until WAIT ends as far as the decision maker can tell.
    soon = wide((event - state.clock[i, TIME]) * problem.scale[i, SCALE_TIME])
    floats[at + 31] = soon if can_wait and event < INFINITY else 0.0


@compiled
def update_observation(problem, state, view, i):
    """Rewrite what a step may have changed of copy i's observation."""
    write_actions(problem, state, view, i)
    for j in range(problem.dims[i, DIM_JOBS]):
        if state.job[i, j, JOB_STATUS] != LEFT or view.memo[i, j, MEMO_STATUS] != LEFT:
            update_operations(problem, state, view, i, j)
            write_job(problem, state, view, i, j)
            write_ties(problem, state, view, i, j)
    for m in range(problem.dims[i, DIM_MACHINES]):
        write_machine(problem, state, view, i, m)
    if problem.options[OPT_LAW] != LAW_NONE:
        for m in range(problem.dims[i, DIM_MACHINES]):
            write_breakdown(problem, state, view, i, m)


@compiled
def update_after_move(problem, state, view, i, mover, left_machine):
    """`update_observation` where nothing has happened but that `mover` entered a machine, and the clock stood still.

    `left_machine` is the machine that it came from, or -1.
    """
    job = state.job[i]
    entered = job[mover, MACHINE]
    write_actions(problem, state, view, i)
    write_job(problem, state, view, i, mover)
    for j in range(problem.dims[i, DIM_JOBS]):
        if job[j, JOB_STATUS] != LEFT:
            if j == mover or job[j, WANTS] == entered:
                update_operations(problem, state, view, i, j)
            write_ties(problem, state, view, i, j)
    write_machine(problem, state, view, i, entered)
    if left_machine >= 0:
        write_machine(problem, state, view, i, left_machine)
