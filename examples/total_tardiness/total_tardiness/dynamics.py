"""The state of n copies, and what an action does: compiled, without Python objects.

A copy i is row i of every array. Compiled functions take (problem, state, i): `problem` is fixed for an episode,
`state` changes. They call one another freely, allocate nothing and raise nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from makespan.envs.core.compile import compiled
from makespan.envs.core.random import combine
from numpy.typing import NDArray

# Columns of Problem.dims and State.clock, and values of STATUS.
JOBS, TOTAL, SCALE, WORST, NUM_DIMS = range(5)
STATUS, TIME, LEFT, COST, SEED, NUM_CLOCK = range(6)
RUNNING, FINISHED, ILLEGAL = range(3)
NOT_STARTED = -1


class Problem(NamedTuple):
    """What stays fixed during an episode, for n copies of at most J jobs."""

    dims: NDArray[np.int64]  # [n, NUM_DIMS]: number of jobs, their total time, what rewards are divided by, worst cost
    time: NDArray[np.int64]  # [n, J], 0 padded
    due: NDArray[np.int64]  # [n, J]
    by_time: NDArray[np.int64]  # [n, J]: the jobs, shortest first
    by_due: NDArray[np.int64]  # [n, J]: the jobs, earliest due date first


class State(NamedTuple):
    """What changes."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    start: NDArray[np.int64]  # [n, J]: when each job began


@compiled
def is_running(problem, state, i):
    """Whether the episode goes on."""
    return state.clock[i, STATUS] == RUNNING


@compiled
def episode_seed(state, i):
    """The world's key."""
    return state.clock[i, SEED]


@compiled
def is_legal(problem, state, i, action):
    """Whether a running copy may play an action: the job waits."""
    return 0 <= action < problem.dims[i, JOBS] and state.start[i, action] == NOT_STARTED


@compiled
def begin(problem, state, i, seed):
    """Begin an episode on the instance at hand."""
    clock = state.clock[i]
    clock[STATUS], clock[TIME], clock[COST], clock[SEED] = RUNNING, 0, 0, seed
    clock[LEFT] = problem.dims[i, JOBS]
    for job in range(state.start.shape[1]):
        state.start[i, job] = NOT_STARTED


@compiled
def advance(problem, state, i, action):
    """Play a legal action: the machine does this job next."""
    clock = state.clock[i]
    state.start[i, action] = clock[TIME]
    clock[TIME] += problem.time[i, action]
    clock[COST] += max(clock[TIME] - problem.due[i, action], 0)
    clock[LEFT] -= 1
    if clock[LEFT] == 0:
        clock[STATUS] = FINISHED


@compiled
def objective(problem, state, i):
    """The objective as it stands; after an illegal action worse than that of any order."""
    if state.clock[i, STATUS] == ILLEGAL:
        return problem.dims[i, WORST] + 1
    return state.clock[i, COST]


@compiled
def scale(problem, i):
    """The constant of the instance that rewards are divided by."""
    return np.float64(problem.dims[i, SCALE])


@compiled
def lower_bound(problem, state, i):
    """What the objective cannot be below: the cost so far, and the k-th earliest end that is possible set against the
    k-th due date of the jobs that wait. Exact once all are done.

    Sorted against sorted is the cheapest way to pair ends with due dates, and shortest-first makes every end earliest.
    """
    jobs, end, cost, place = problem.dims[i, JOBS], state.clock[i, TIME], state.clock[i, COST], 0
    for k in range(jobs):
        job = problem.by_time[i, k]
        if state.start[i, job] == NOT_STARTED:
            end += problem.time[i, job]
            while state.start[i, problem.by_due[i, place]] != NOT_STARTED:
                place += 1
            cost += max(end - problem.due[i, problem.by_due[i, place]], 0)
            place += 1
    return cost


@compiled
def signature(problem, state, i):
    """Equal for states in which the same jobs are done at the same cost: what remains is then the same, too."""
    found = combine(np.uint64(state.clock[i, COST]), 0)
    for job in range(problem.dims[i, JOBS]):
        if state.start[i, job] != NOT_STARTED:
            found += combine(np.uint64(job), 1)
    return found


@compiled
def step(problem, state, outcome, i, action):
    """Play an action in copy i, if it is running, and report what came of it. Returns whether it was."""
    outcome.reward[i], outcome.elapsed[i] = 0.0, 0.0
    outcome.terminated[i], outcome.truncated[i] = False, False
    if not is_running(problem, state, i):
        return False
    clock = state.clock[i]
    before, time = objective(problem, state, i), clock[TIME]
    if is_legal(problem, state, i, action):
        advance(problem, state, i, action)
    else:
        clock[STATUS] = ILLEGAL
    outcome.reward[i] = (before - objective(problem, state, i)) / scale(problem, i)
    outcome.elapsed[i] = clock[TIME] - time
    outcome.terminated[i] = clock[STATUS] != RUNNING
    return True
