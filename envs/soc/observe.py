"""Writes observations: all of one at the beginning of an episode, then what has changed."""

from __future__ import annotations

from ..core.compile import compiled
from .observation import (
    FIRST_DYNAMIC,
    JOB_COLUMNS,
    K_ACTION_NODES,
    K_ACTIONS,
    K_BELONGS,
    K_JOB,
    K_JOB_MASK,
    K_PE,
    K_PE_MASK,
    K_PRECEDES,
    K_RUNS,
    K_TASK,
    K_TASK_MASK,
    NUM_MEMO,
    PE_COLUMNS,
    PES_WRITTEN,
    TASK_COLUMNS,
    log_count,
    signed,
    wide,
)
from .observe_actions import write_actions
from .state import (
    ABSENT,
    ACTIVE,
    APP,
    ASSIGNED,
    BLOCKERS,
    BORN,
    CRITICAL,
    DOWNWARD,
    DUMMY,
    ELIGIBLE,
    EXPECTED,
    FASTEST,
    FIRST_KIND,
    FIRST_OUT,
    FIRST_PE,
    FIRST_POWER,
    FIRST_TASK,
    FREE,
    GROUP_SIZE,
    IN,
    INSTANCE,
    JOB_WORK,
    LEAST,
    LEFT,
    MEAN,
    NONE,
    NUMBER,
    ON,
    OUT,
    PE_GROUP,
    PE_KIND,
    PER_POWER,
    PER_TIME,
    PES,
    PHASE,
    QUEUED,
    RUNS,
    SPREAD,
    TASKS,
    TIME,
    TOUCHED,
    UNRELEASED,
    UP,
    UPWARD,
)
from .timeline import task_row


@compiled
def write_blank(problem, state, view, i):
    """An observation without anything, to be written from scratch."""
    integers, offsets = view.integers[i], view.offsets
    slots, jobs = state.task.shape[1], state.job.shape[1]
    for word in range(len(integers)):
        integers[word] = 0
    for word in range(offsets[K_PRECEDES], offsets[K_PRECEDES] + 2 * edge_room(view)):
        integers[word] = NONE
    for word in range(offsets[K_BELONGS], offsets[K_BELONGS] + 2 * slots):
        integers[word] = NONE
    for word in range(offsets[K_RUNS], offsets[K_RUNS] + 2 * slots):
        integers[word] = NONE
    for word in range(offsets[K_ACTION_NODES], offsets[K_ACTIONS]):
        integers[word] = NONE
    for column in range(NUM_MEMO):
        view.memo[i, column] = 0
    for s in range(jobs):
        view.owner[i, s] = NONE
    for x in range(slots):
        state.flag[i, x] = 0
    state.clock[i, TOUCHED] = 0
    for x in range(slots):
        if state.task[i, x, PHASE] != ABSENT:
            write_task(problem, state, view, i, x)


@compiled
def edge_room(view):
    """Edges that an observation has room for."""
    return (view.offsets[K_BELONGS] - view.offsets[K_PRECEDES]) // 2


@compiled
def update_observation(problem, state, view, i):
    """Bring copy i's observation up to date."""
    write_actions(problem, state, view, i)
    for place in range(state.clock[i, TOUCHED]):
        x = state.touched[i, place]
        state.flag[i, x] = 0
        write_task(problem, state, view, i, x)
    state.clock[i, TOUCHED] = 0
    for s in range(state.job.shape[1]):
        write_job(problem, state, view, i, s)
    write_pes(problem, state, view, i)


@compiled
def write_task(problem, state, view, i, x):
    """The row of task slot x, and its edges to its job and its PE."""
    slots, offsets = state.task.shape[1], view.offsets
    one = state.task[i, x]
    at = offsets[K_TASK] + x * TASK_COLUMNS
    out = view.floats[i, at : at + TASK_COLUMNS]
    s, runs = x // (slots // state.job.shape[1]), offsets[K_RUNS] + x
    if one[PHASE] == ABSENT:
        view.bytes[i, offsets[K_TASK_MASK] + x] = 0
        for column in range(TASK_COLUMNS):
            out[column] = 0.0
        belongs = offsets[K_BELONGS] + x
        view.integers[i, belongs] = view.integers[i, belongs + slots] = NONE
        view.integers[i, runs] = view.integers[i, runs + slots] = NONE
        return
    row = task_row(problem, state, i, x)
    if view.bytes[i, offsets[K_TASK_MASK] + x] == 0 or view.owner[i, s] != state.job[i, s, NUMBER]:
        write_new_task(problem, state, view, i, x, row)
    out[FIRST_DYNAMIC] = log_count(one[BLOCKERS])
    for phase in range(5):
        out[FIRST_DYNAMIC + 1 + phase] = one[PHASE] == UNRELEASED + phase
    placed = one[PHASE] >= ASSIGNED
    per_time = problem.measure[state.clock[i, INSTANCE], PER_TIME]
    out[16] = wide(problem.time[row, one[ON]] * per_time) if placed else 0.0
    view.integers[i, runs] = x if placed else NONE
    view.integers[i, runs + slots] = one[ON] if placed else NONE


@compiled
def write_new_task(problem, state, view, i, x, row):
    """What does not change of task slot x while its job stays."""
    slots, offsets = state.task.shape[1], view.offsets
    at = offsets[K_TASK] + x * TASK_COLUMNS
    out = view.floats[i, at : at + TASK_COLUMNS]
    per_time = problem.measure[state.clock[i, INSTANCE], PER_TIME]
    task, worth = problem.task[row], problem.worth[row]
    view.bytes[i, offsets[K_TASK_MASK] + x] = 1
    out[0] = wide(worth[MEAN] * per_time)
    out[1] = wide(task[FASTEST] * per_time)
    out[2] = wide(worth[SPREAD] * per_time)
    out[3] = wide(worth[UPWARD] * per_time)
    out[4] = wide(worth[DOWNWARD] * per_time)
    out[5] = task[ELIGIBLE] / problem.instance[state.clock[i, INSTANCE], PES]
    out[6] = task[CRITICAL]
    out[7] = task[DUMMY]
    out[8] = log_count(task[IN])
    out[9] = log_count(task[OUT])
    belongs = offsets[K_BELONGS] + x
    view.integers[i, belongs] = x
    view.integers[i, belongs + slots] = x // (slots // state.job.shape[1])


@compiled
def write_job(problem, state, view, i, s):
    """The row of job slot s; its edges, where another job has come there."""
    job, offsets, clock = state.job[i, s], view.offsets, state.clock[i]
    owner = job[NUMBER] if job[ACTIVE] == 1 else NONE
    room = state.task.shape[1] // state.job.shape[1]
    edges = edge_room(view)
    each = edges // state.job.shape[1]
    at_row = offsets[K_JOB] + s * JOB_COLUMNS
    out = view.floats[i, at_row : at_row + JOB_COLUMNS]
    if owner != view.owner[i, s]:
        view.owner[i, s] = owner
        view.bytes[i, offsets[K_JOB_MASK] + s] = owner >= 0
        at = offsets[K_PRECEDES] + s * each
        for e in range(each):
            view.integers[i, at + e] = view.integers[i, at + edges + e] = NONE
        for column in range(JOB_COLUMNS):
            out[column] = 0.0
        if owner >= 0:
            app, per_time = problem.app[job[APP]], problem.measure[clock[INSTANCE], PER_TIME]
            out[1] = wide(app[LEAST] * per_time)
            out[4] = wide(problem.job_mean[job[APP]] * per_time)
            out[5] = log_count(app[TASKS])
            e = 0
            for k in range(app[TASKS]):
                task = problem.task[app[FIRST_TASK] + k]
                for out_edge in range(task[FIRST_OUT], task[FIRST_OUT] + task[OUT]):
                    view.integers[i, at + e] = s * room + k
                    view.integers[i, at + edges + e] = s * room + problem.out_task[out_edge]
                    e += 1
    if owner < 0:
        return
    per_time, now = problem.measure[clock[INSTANCE], PER_TIME], clock[TIME]
    out[0] = wide((now - job[BORN]) * per_time)
    out[2] = job[LEFT] / problem.app[job[APP], TASKS]
    out[3] = wide(job[JOB_WORK] * per_time)
    out[6] = signed((job[EXPECTED] - now) * per_time)


@compiled
def write_pes(problem, state, view, i):
    """The rows of the PEs."""
    clock, offsets = state.clock[i], view.offsets
    row, measure = problem.instance[clock[INSTANCE]], problem.measure[clock[INSTANCE]]
    now = clock[TIME]
    for p in range(row[PES]):
        pe = state.pe[i, p]
        at = offsets[K_PE] + p * PE_COLUMNS
        out = view.floats[i, at : at + PE_COLUMNS]
        out[0] = pe[UP]
        out[1] = pe[RUNS] >= 0
        out[2] = wide((pe[FREE] - now) * measure[PER_TIME])
        out[3] = log_count(pe[QUEUED])
        if view.memo[i, PES_WRITTEN] == 0:
            view.bytes[i, offsets[K_PE_MASK] + p] = 1
            data = problem.pe[row[FIRST_PE] + p]
            kind = problem.kind[row[FIRST_KIND] + data[PE_KIND]]
            out[4] = wide(problem.pe_speed[row[FIRST_PE] + p])
            out[5] = problem.pe_share[row[FIRST_PE] + p]
            out[6] = wide(problem.power[kind[FIRST_POWER] + 1] * measure[PER_POWER])
            out[7] = problem.pe[row[FIRST_PE] + data[PE_GROUP], GROUP_SIZE] / row[PES]
    view.memo[i, PES_WRITTEN] = 1
