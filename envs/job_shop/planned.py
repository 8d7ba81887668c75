"""Plans of a shop: when each operation begins, of which only the order on each machine is kept (right shift)."""

from __future__ import annotations

from ..core.compile import compiled
from . import state as d
from .legality import can_enter, is_safe


def plan_size(state: d.State) -> int:
    """Numbers in a plan: one for each operation."""
    return state.start.shape[1] * state.start.shape[2]


@compiled
def note_plan(problem, state, i, plan):
    """Write when each operation of copy i has begun; operations that never did come last."""
    steps = state.start.shape[2]
    for j in range(state.start.shape[1]):
        for k in range(steps):
            begun = state.start[i, j, k]
            plan[j * steps + k] = begun if begun >= 0 else d.INFINITY


@compiled
def may_begin(problem, state, i, j):
    """Whether action j is legal, for a job that wants a machine."""
    if d.constructs(problem):
        return True
    return can_enter(problem, state, i, j) and (problem.options[d.OPT_BANKER] == 0 or is_safe(problem, state, i, j))


@compiled
def follow_plan(problem, state, i, plan, decision):
    """The earliest of the plan's operations that may begin, each machine's own next one alone; else WAIT, else none."""
    job, steps = state.job, state.start.shape[2]
    earliest = state.holder[i]
    for m in range(problem.dims[i, d.DIM_MACHINES]):
        earliest[m] = d.INFINITY
    for j in range(problem.dims[i, d.DIM_JOBS]):
        if job[i, j, d.JOB_STATUS] == d.LEFT:
            continue
        begun = job[i, j, d.JOB_STATUS] in (d.PROCESSING, d.PAUSED)
        for k in range(job[i, j, d.POSITION] + begun, problem.length[i, j]):
            m = problem.route[i, j, k]
            earliest[m] = min(earliest[m], plan[j * steps + k])
    action, soonest = -1, d.INFINITY
    for j in range(problem.dims[i, d.DIM_JOBS]):
        m = job[i, j, d.WANTS]
        if m < 0:
            continue
        begins = plan[j * steps + job[i, j, d.POSITION]]
        if begins < soonest and begins <= earliest[m] and may_begin(problem, state, i, j):
            action, soonest = j, begins
    if action < 0 and state.clock[i, d.WAIT_LEGAL] == 1:
        return job.shape[1]
    return action
