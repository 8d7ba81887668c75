"""The rows of jobs and machines in an observation, and the edges between them."""

from __future__ import annotations

from ..core.compile import compiled
from .forecast import chain, time_left
from .observation import (
    JOB_COLUMNS,
    K_HOLDS,
    K_JOB,
    K_MACHINE,
    K_MASK,
    K_OPERATION,
    K_WAITS,
    K_WANTS,
    MACHINE_COLUMNS,
    OP_FEATURES,
    OP_REMAINING,
    WIDE,
    clip,
    wide,
)
from .state import (
    BLOCKED,
    DIM_JOBS,
    DIM_LOWER_BOUND,
    HOLDER,
    INFINITY,
    JOB_STATUS,
    LEFT,
    MACHINE,
    NEXT_DOWN,
    NEXT_UP,
    OPERATIONS_TO_COME,
    OPT_KNOWN_WINDOWS,
    OPT_REPAIR_VISIBLE,
    PAUSED,
    POSITION,
    PROCESSING,
    QUEUE_COUNT,
    QUEUE_WORK,
    SCALE_BOUND,
    SCALE_JOB,
    SCALE_LENGTH,
    SCALE_TIME,
    SINCE,
    TIME,
    UP,
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    WORK_TO_COME,
    is_up,
)


@compiled(forceinline=True)
def move_job(problem, state, view, i, j):
    """The row of a job that has changed its place, and the edges to what it holds and wants.

    `pass_time` and `write_ties` write what depends on the clock and on other jobs.
    """
    job, floats, integers, offsets = state.job[i], view.floats[i], view.integers[i], view.offsets
    jobs_room = state.job.shape[1]
    status = job[j, JOB_STATUS]
    held, wanted = job[j, MACHINE], job[j, WANTS]
    at = offsets[K_JOB] + j * JOB_COLUMNS
    for column in range(JOB_COLUMNS):
        floats[at + column] = 0.0
    floats[at + status] = 1.0
    holds, wants, waits = offsets[K_HOLDS] + j, offsets[K_WANTS] + j, offsets[K_WAITS] + j
    integers[holds] = j if held >= 0 else -1
    integers[holds + jobs_room] = held
    integers[wants] = j if wanted >= 0 else -1
    integers[wants + jobs_room] = wanted
    integers[waits] = -1
    integers[waits + jobs_room] = -1
    if status != LEFT:
        floats[at + 8] = wide((problem.length[i, j] - job[j, POSITION]) * problem.scale[i, SCALE_LENGTH])
        floats[at + 10] = wide(job[j, WANTS_TIME] * problem.scale[i, SCALE_TIME])


@compiled(forceinline=True)
def pass_time(problem, state, view, i, j):
    """What changes with the clock in the rows of job j, which is in the shop, its operation and its machine."""
    job, floats, offsets = state.job[i], view.floats[i], view.offsets
    per_time = problem.scale[i, SCALE_TIME]
    status = job[j, JOB_STATUS]
    t = state.clock[i, TIME]
    at = offsets[K_JOB] + j * JOB_COLUMNS
    work = job[j, WORK_AHEAD]
    if status in (PROCESSING, PAUSED):
        left = time_left(state, i, j)
        work += left
        time = wide(left * per_time)
        operation = j * problem.route.shape[2] + job[j, POSITION]
        floats[offsets[K_OPERATION] + operation * OP_FEATURES + OP_REMAINING] = time
        floats[offsets[K_MACHINE] + job[j, MACHINE] * MACHINE_COLUMNS + 6] = time
        floats[at + 6] = time
    else:
        floats[at + 9] = wide((t - job[j, SINCE]) * per_time)
    floats[at + 7] = wide(work * problem.scale[i, SCALE_JOB])
    slack = problem.dims[i, DIM_LOWER_BOUND] - t - work
    floats[at + 16] = clip(slack * problem.scale[i, SCALE_BOUND], -WIDE, WIDE)


@compiled(forceinline=True)
def write_ties(problem, state, view, i, j):
    """Whether job j, which is in the shop, may move, whom it waits for, and what stands in its way."""
    job, machine = state.job[i], state.machine[i]
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    jobs, jobs_room = problem.dims[i, DIM_JOBS], state.job.shape[1]
    wanted = job[j, WANTS]
    if wanted < 0:
        return
    at = offsets[K_JOB] + j * JOB_COLUMNS
    holder = machine[wanted, HOLDER]
    floats[at + 5] = view.bytes[i, offsets[K_MASK] + j]
    floats[at + 11] = holder < 0
    floats[at + 13] = not is_up(problem, state, i, wanted)
    if holder == j:
        holder = -1
    blocked = False
    ahead = 0
    closes = False
    if holder >= 0:
        blocked = job[holder, JOB_STATUS] == BLOCKED
        ahead, closes = chain(state, i, job[j, MACHINE], wanted, -1, jobs)
    floats[at + 12] = blocked
    floats[at + 14] = min(ahead / jobs, 1.0)
    floats[at + 15] = closes
    waits = offsets[K_WAITS] + j
    integers[waits] = j if holder >= 0 else -1
    integers[waits + jobs_room] = holder


@compiled(forceinline=True)
def write_machine(problem, state, view, i, m):
    """The row of one machine; see `write_breakdown` for the rest."""
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
    window, floats, per_time = state.window[i], view.floats[i], problem.scale[i, SCALE_TIME]
    t = state.clock[i, TIME]
    at = view.offsets[K_MACHINE] + m * MACHINE_COLUMNS
    up = window[m, UP] == 1
    down_at, up_at = window[m, NEXT_DOWN], window[m, NEXT_UP]
    floats[at] = up
    visible = not up and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[at + 4] = wide((up_at - t) * per_time) if visible else 0.0
    floats[at + 5] = 0.0 if up else wide((t - down_at) * per_time)
    known = problem.options[OPT_KNOWN_WINDOWS] == 1 and up and down_at < INFINITY
    floats[at + 11] = wide((down_at - t) * per_time) if known else 0.0
    floats[at + 12] = wide((up_at - down_at) * per_time) if known else 0.0
