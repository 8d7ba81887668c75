"""What may be chosen: the move rule, the banker's test, WAIT, and when nothing may be chosen any more."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    BLOCKED,
    DIM_JOBS,
    DIM_MACHINES,
    HOLDER,
    INFINITY,
    JOB_STATUS,
    LAW_NONE,
    LEFT,
    MACHINE,
    NEXT_DOWN,
    NEXT_END,
    OPEN_MOVES,
    OPT_ALLOW_WAIT,
    OPT_BANKER,
    OPT_BREAKDOWN,
    OPT_KNOWN_WINDOWS,
    OPT_LAW,
    OPT_UNLOAD,
    OUTSIDE,
    POSITION,
    SCRAP,
    UP,
    WANTS,
    constructs,
    has_breakdowns,
    is_plain,
    is_up,
)


@compiled
def can_enter(problem, state, i, j):
    """Whether job j may enter its next machine now without a swap."""
    job, machine = state.job[i], state.machine[i]
    status = job[j, JOB_STATUS]
    if status == BLOCKED:
        if problem.options[OPT_UNLOAD] == 0 and not is_up(problem, state, i, job[j, MACHINE]):
            return False
    elif status != OUTSIDE:
        return False
    m = job[j, WANTS]
    return is_up(problem, state, i, m) and machine[m, HOLDER] < 0


@compiled
def is_safe(problem, state, i, mover):
    """Banker's test of the position after `mover`'s move: the jobs on the floor can finish one after the other."""
    jobs = problem.dims[i, DIM_JOBS]
    target = state.job[i, mover, WANTS]
    held, holder = state.held, state.holder
    for m in range(problem.dims[i, DIM_MACHINES]):
        holder[i, m] = -1
    left = 0
    for j in range(jobs):
        m = target if j == mover else state.job[i, j, MACHINE]
        held[i, j] = m
        if m >= 0:
            holder[i, m] = j
            left += 1
    progress = True
    while progress and left > 0:
        progress = False
        for j in range(jobs):
            if held[i, j] < 0:
                continue
            free = True
            for k in range(state.job[i, j, POSITION], problem.length[i, j]):
                other = holder[i, problem.route[i, j, k]]
                if other >= 0 and other != j:
                    free = False
                    break
            if free:
                holder[i, held[i, j]] = -1
                held[i, j] = -1
                left -= 1
                progress = True
    return left == 0


@compiled(when_plain=False)
def job_is_legal(problem, state, i, j):
    """Whether action j is legal: the move rule, and the banker's test where that is asked for."""
    if constructs(problem):
        return state.job[i, j, JOB_STATUS] != LEFT
    if not can_enter(problem, state, i, j):
        return False
    return problem.options[OPT_BANKER] == 0 or is_safe(problem, state, i, j)


@compiled
def count_legal(problem, state, i):
    """How many moves are legal."""
    if is_plain(problem):
        return state.clock[i, OPEN_MOVES]
    legal = 0
    for j in range(problem.dims[i, DIM_JOBS]):
        legal += 1 if job_is_legal(problem, state, i, j) else 0
    return legal


@compiled
def wait_is_legal(problem, state, i):
    """Whether WAIT may be chosen: something that ends is going on, or a breakdown is announced."""
    if constructs(problem) or problem.options[OPT_ALLOW_WAIT] == 0:
        return False
    if state.clock[i, NEXT_END] < INFINITY:
        return True
    if has_breakdowns(problem):
        window = state.window[i]
        for m in range(problem.dims[i, DIM_MACHINES]):
            announced = problem.options[OPT_KNOWN_WINDOWS] == 1 and window[m, NEXT_DOWN] < INFINITY
            if window[m, UP] == 0 or announced:
                return True
    return False


@compiled(when_plain=False)
def is_deadlocked(problem, state, i):
    """BNS: a cycle of jobs on machines, each of whose next machine the following one holds.

    Such a cycle is inevitable even while some of its jobs process, unless a piece can be lost: then only cycles of
    blocked jobs count that are not processed again where they stand.
    """
    job, machine = state.job, state.machine
    jobs = problem.dims[i, DIM_JOBS]
    can_lose = problem.options[OPT_BREAKDOWN] == SCRAP and problem.options[OPT_LAW] != LAW_NONE
    for first in range(jobs):
        j = first
        for _ in range(jobs + 1):
            if job[i, j, MACHINE] < 0 or (can_lose and job[i, j, JOB_STATUS] != BLOCKED):
                break
            k = job[i, j, POSITION] + (0 if job[i, j, JOB_STATUS] == BLOCKED else 1)
            if k >= problem.length[i, j]:
                break
            if can_lose and problem.route[i, j, k] == job[i, j, MACHINE]:
                break
            # A run on one machine is left only for its last operation's successor.
            while k < problem.length[i, j] and problem.route[i, j, k] == job[i, j, MACHINE]:
                k += 1
            if k >= problem.length[i, j]:
                break
            j = machine[i, problem.route[i, j, k], HOLDER]
            if j < 0:
                break
            if j == first:
                return True
    return False
