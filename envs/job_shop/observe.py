"""Writes observations: all of one at the beginning of an episode, then what has changed."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .observation import (
    K_ACTION_NODES,
    K_GLOBALS,
    K_JOB_MASK,
    K_MACHINE,
    K_MACHINE_MASK,
    K_PRECEDES,
    MACHINE_COLUMNS,
    MEMO_POSITION,
    MEMO_START,
    MEMO_STATUS,
    wide,
)
from .observe_actions import write_actions
from .observe_nodes import move_job, pass_time, write_breakdown, write_machine, write_ties
from .observe_operations import move_operations, update_operations, write_operations
from .state import (
    CHANGED,
    CLASSICAL,
    DIM_JOBS,
    DIM_MACHINES,
    JOB_STATUS,
    LAW_BERNOULLI,
    LAW_EXPONENTIAL,
    LAW_NONE,
    LEFT,
    OPT_BLOCKING,
    OPT_BREAKDOWN,
    OPT_LAW,
    POSITION,
    PROCESSING,
    REPEAT,
    SCALE_TIME,
    SCRAP,
    SWAP,
    TIME,
    has_breakdowns,
)


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
        state.machine[i, m, CHANGED] = 1
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
    """The globals that do not change during an episode."""
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
def update_observation(problem, state, view, i):
    """Rewrite what a step may have changed of copy i's observation."""
    job, machine, memo = state.job[i], state.machine[i], view.memo[i]
    t = state.clock[i, TIME]
    passed = view.written[i, 0] != t
    view.written[i, 0] = t
    write_actions(problem, state, view, i)
    for m in range(problem.dims[i, DIM_MACHINES]):
        if machine[m, CHANGED] == 1:
            machine[m, CHANGED] = 0
            write_machine(problem, state, view, i, m)
    for j in range(problem.dims[i, DIM_JOBS]):
        status = job[j, JOB_STATUS]
        moved = status != memo[j, MEMO_STATUS] or job[j, POSITION] != memo[j, MEMO_POSITION]
        if moved:
            move_operations(problem, state, view, i, j)
            move_job(problem, state, view, i, j)
        if status != LEFT:
            if moved or passed:
                pass_time(problem, state, view, i, j)
            # Without breakdowns an operation ends as foreseen when it began.
            if moved or status != PROCESSING or has_breakdowns(problem):
                update_operations(problem, state, view, i, j)
            write_ties(problem, state, view, i, j)
    if has_breakdowns(problem):
        for m in range(problem.dims[i, DIM_MACHINES]):
            write_breakdown(problem, state, view, i, m)
