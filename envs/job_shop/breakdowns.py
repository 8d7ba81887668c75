"""What a breakdown and a repair change."""

from __future__ import annotations

from ..core.compile import compiled
from .moves import append_log, join_queue, want
from .state import (
    BREAKDOWNS,
    CHANGED,
    DIM_MACHINES,
    DURATION,
    END,
    HOLDER,
    INFINITY,
    JOB_STATUS,
    LOG_DOWNTIME,
    LOG_LOST,
    LOST,
    MACHINE,
    NEXT_DOWN,
    NEXT_UP,
    OPERATIONS_TO_COME,
    OPT_BREAKDOWN,
    OPT_BUSY_CLOCK,
    OPT_EPOCH_ON_BREAKDOWN,
    OPT_RECORD,
    OUTSIDE,
    PAUSED,
    PIECE,
    POSITION,
    PROCESSING,
    REMAINING,
    REPEAT,
    SCRAP,
    TIME,
    UP,
    WINDOW,
    WORK_AHEAD,
    WORK_TO_COME,
)
from .world import draw_window, start_ageing


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
            state.machine[i, problem.route[i, j, k], CHANGED] = 1
            state.machine[i, problem.route[i, j, k], WORK_TO_COME] += problem.time[i, j, k]
            state.machine[i, problem.route[i, j, k], OPERATIONS_TO_COME] += 1
    state.machine[i, m, CHANGED] = 1
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
    job, machine, window = state.job, state.machine, state.window
    t = state.clock[i, TIME]
    window[i, m, UP] = 0
    machine[i, m, CHANGED] = 1
    state.clock[i, BREAKDOWNS] += 1
    # Other down-times follow from the seed or the instance.
    if problem.options[OPT_RECORD] == 1 and problem.options[OPT_BUSY_CLOCK] == 1:
        append_log(state, i, LOG_DOWNTIME, m, -1, -1, t, window[i, m, NEXT_UP])
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
    job, machine, window = state.job, state.machine, state.window
    t = state.clock[i, TIME]
    window[i, m, UP] = 1
    machine[i, m, CHANGED] = 1
    window[i, m, WINDOW] += 1
    draw_window(problem, state, i, m, t)
    j = machine[i, m, HOLDER]
    if j >= 0 and job[i, j, JOB_STATUS] == PAUSED:
        job[i, j, JOB_STATUS] = PROCESSING
        job[i, j, END] = t + job[i, j, REMAINING]
        if problem.options[OPT_BUSY_CLOCK] == 1:
            start_ageing(problem, state, i, m)


@compiled(when_plain=False)
def repairs_due(problem, state, i):
    """Repairs that end now. Returns whether there was one."""
    window = state.window
    t = state.clock[i, TIME]
    happened = False
    for m in range(problem.dims[i, DIM_MACHINES]):
        if window[i, m, UP] == 0 and window[i, m, NEXT_UP] == t:
            repair(problem, state, i, m)
            happened = True
    return happened


@compiled(when_plain=(0, False))
def breakdowns_due(problem, state, i):
    """Breakdowns that start now. Returns (how many, whether a decision may be due)."""
    window = state.window
    t = state.clock[i, TIME]
    count = 0
    happened = False
    for m in range(problem.dims[i, DIM_MACHINES]):
        if window[i, m, UP] == 1 and window[i, m, NEXT_DOWN] == t:
            lost = break_down(problem, state, i, m)
            count += 1
            if lost or problem.options[OPT_EPOCH_ON_BREAKDOWN] == 1:
                happened = True
    return count, happened
