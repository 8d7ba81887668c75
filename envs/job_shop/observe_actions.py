"""The action slots of an observation (mask, references, features), and the globals: all that rules and scorers read."""

from __future__ import annotations

from ..core.compile import compiled
from .forecast import chain, earliest_entry, link_machines, time_left
from .legality import job_is_legal
from .observation import ACTION_COLUMNS, K_ACTION_NODES, K_ACTIONS, K_GLOBALS, K_MASK, WIDE, clip, wide
from .state import (
    BLOCKED,
    BLOCKED_JOBS,
    DIM_JOBS,
    DIM_LONGEST_JOB,
    DIM_LOWER_BOUND,
    DIM_MACHINES,
    DONE,
    FREE_MACHINES,
    HOLDER,
    INFINITY,
    JOB_FREE,
    JOB_STATUS,
    LEGAL,
    LONGEST_WORK,
    MACHINE,
    MACHINE_FREE,
    MOST_WORK,
    NEXT_DOWN,
    NEXT_END,
    NEXT_UP,
    OPT_KNOWN_WINDOWS,
    OPT_REPAIR_VISIBLE,
    OUTSIDE,
    POSITION,
    PROCESSING_JOBS,
    QUEUE_COUNT,
    QUEUE_WORK,
    RUNNING,
    SCALE_BOUND,
    SCALE_JOB,
    SCALE_LENGTH,
    SCALE_TIME,
    SINCE,
    STATUS,
    TIME,
    UP,
    WAIT_LEGAL,
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    WORK_TO_COME,
    constructs,
    has_breakdowns,
    is_plain,
    is_up,
)


@compiled
def write_globals(problem, state, view, i):
    """The features of the whole state that change. Returns the date of the next event that is known of, or INFINITY."""
    clock, window, floats = state.clock[i], state.window[i], view.floats[i]
    jobs, machines = problem.dims[i, DIM_JOBS], problem.dims[i, DIM_MACHINES]
    t, done, completion = clock[TIME], clock[DONE], clock[NEXT_END]
    mended = INFINITY
    down = 0
    if has_breakdowns(problem):
        for m in range(machines):
            if window[m, UP] == 0:
                down += 1
                mended = min(mended, window[m, NEXT_UP])
    per_time, per_bound = problem.scale[i, SCALE_TIME], problem.scale[i, SCALE_BOUND]
    at = view.offsets[K_GLOBALS]
    floats[at] = wide(t * per_bound)
    floats[at + 1] = done / jobs
    floats[at + 2] = clock[BLOCKED_JOBS] / jobs
    floats[at + 3] = clock[PROCESSING_JOBS] / jobs
    floats[at + 4] = clock[FREE_MACHINES] / machines
    floats[at + 5] = down / machines
    floats[at + 6] = clock[LEGAL] / jobs
    floats[at + 7] = wide((completion - t) * per_time) if completion < INFINITY else 0.0
    visible = mended < INFINITY and problem.options[OPT_REPAIR_VISIBLE] == 1
    floats[at + 8] = wide((mended - t) * per_time) if visible else 0.0
    floats[at + 9] = wide(clock[LONGEST_WORK] * per_bound)
    floats[at + 10] = wide(clock[MOST_WORK] * per_bound)
    floats[at + 11] = wide((jobs - done) / machines)
    return min(completion, mended) if visible else completion


@compiled
def write_move(problem, state, view, i, j, least_start, least_completion):
    """The row of the legal action "job j enters its next machine"."""
    job, machine, scale = state.job[i], state.machine[i], problem.scale[i]
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    per_time, per_bound, per_job = scale[SCALE_TIME], scale[SCALE_BOUND], scale[SCALE_JOB]
    jobs = problem.dims[i, DIM_JOBS]
    bound = problem.dims[i, DIM_LOWER_BOUND]
    constructing = constructs(problem)
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
    floats[at + 23] = clip((bound - t - work) * per_bound, -WIDE, WIDE)
    floats[at + 24] = wide((start - least_start) * per_time)
    floats[at + 25] = wide((start + p - least_completion) * per_time)
    if constructing:
        lead = job[j, JOB_FREE] - machine[m, MACHINE_FREE]
        floats[at + 26] = clip(lead * per_time, -WIDE, WIDE)
    floats[at + 27] = wide(total * per_job)
    floats[at + 28] = k / length
    if has_breakdowns(problem) and problem.options[OPT_KNOWN_WINDOWS] == 1:
        floats[at + 29] = wide((start + p - state.window[i, m, NEXT_DOWN]) * per_time)
    if k + 1 == length:
        floats[at + 11] = 1.0
    else:
        write_next_machine(problem, state, view, i, j, at, start + p)


@compiled(forceinline=True)
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
    if not is_up(problem, state, i, m) and problem.options[OPT_REPAIR_VISIBLE] == 1:
        busy += state.window[i, m, NEXT_UP] - state.clock[i, TIME]
    if constructs(problem):
        busy = max(machine[m, MACHINE_FREE] - completion, 0)
    floats[at + 16] = wide(busy * per_time)
    floats[at + 17] = holder >= 0 and job[holder, JOB_STATUS] == BLOCKED
    floats[at + 18] = not is_up(problem, state, i, m)
    # A chain that ends at the machine to be entered closes: a swap to come, or without swaps a deadlock.
    ahead, closes = chain(state, i, job[j, MACHINE], m, target, jobs)
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


@compiled(forceinline=True)
def write_mask(problem, state, view, i):
    """Which jobs may move. Returns the least start and the least completion among their moves."""
    job, machine, bytes_ = state.job[i], state.machine[i], view.bytes[i]
    running = state.clock[i, STATUS] == RUNNING
    plain = is_plain(problem)
    constructing = constructs(problem)
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
    link_machines(problem, state, i)
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
