"""The rows of operations in an observation, and their edges."""

from __future__ import annotations

from ..core.compile import compiled
from .forecast import earliest_entry, processing_end
from .observation import (
    K_BELONGS,
    K_NEEDS,
    K_OPERATION,
    K_OPERATION_MASK,
    K_PRECEDES,
    MEMO_COMPLETION,
    MEMO_POSITION,
    MEMO_START,
    MEMO_STATUS,
    OP_BLOCKED,
    OP_COMPLETION,
    OP_COUNT,
    OP_FEATURES,
    OP_HEAD,
    OP_PAUSED,
    OP_PROCESSING,
    OP_REMAINING,
    OP_START,
    OP_TAIL,
    OP_TIME,
    OP_UNRELEASED,
    OP_WAITING,
    OP_WORK,
    wide,
)
from .state import BLOCKED, JOB_STATUS, LEFT, PAUSED, POSITION, PROCESSING, SCALE_BOUND, SCALE_TIME, WANTS_TIME


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
    """One-hot status of an operation."""
    floats = view.floats[i]
    for column in range(OP_UNRELEASED, OP_BLOCKED + 1):
        floats[at + column] = 1.0 if column == status else 0.0


@compiled
def move_operations(problem, state, view, i, j):
    """Job j has changed its place since its operations' rows were written."""
    memo, floats = view.memo[i], view.floats[i]
    at = view.offsets[K_OPERATION] + j * problem.route.shape[2] * OP_FEATURES
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


@compiled(forceinline=True)
def update_operations(problem, state, view, i, j):
    """Bring the dates in the operation rows of job j, which is in the shop, up to date where they have changed."""
    job, memo, floats, head = state.job[i], view.memo[i], view.floats[i], problem.head[i]
    status = job[j, JOB_STATUS]
    k = job[j, POSITION]
    if status in (PROCESSING, PAUSED):
        start = state.start[i, j, k]
        completion = processing_end(problem, state, i, j)
    else:
        start = earliest_entry(problem, state, i, j)
        completion = start + job[j, WANTS_TIME]
    if start == memo[j, MEMO_START] and completion == memo[j, MEMO_COMPLETION]:
        return
    memo[j, MEMO_START] = start
    memo[j, MEMO_COMPLETION] = completion
    scale = problem.scale[i, SCALE_BOUND]
    at = view.offsets[K_OPERATION] + (j * problem.route.shape[2] + k) * OP_FEATURES
    floats[at + OP_START] = wide(start * scale)
    shift = completion - head[j, k + 1]
    for q in range(k + 1, problem.length[i, j]):
        date = wide((shift + head[j, q]) * scale)  # the one before is completed, this one can start
        floats[at + OP_COMPLETION] = date
        at += OP_FEATURES
        floats[at + OP_START] = date
    floats[at + OP_COMPLETION] = wide((shift + head[j, problem.length[i, j]]) * scale)
