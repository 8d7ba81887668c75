"""The transition of restless bandits: elements are picked one by one; STOP plays them, and every arm moves.

Every function works on one copy ``i``. What happens by chance is a function of the episode's seed: arm j moves after
epoch t by U(seed, 1, t, j) and begins by U(seed, 2, j), whatever is done to it and to others.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import combine, mix
from .instance import LEAST_UNTREATED
from .legality import join, mark, restart
from .state import (
    ARMS,
    CHAINS,
    COVER,
    ELEMENTS,
    EPOCH,
    EXPECTED,
    FINISHED,
    FLOOR,
    HORIZON,
    ILLEGAL,
    INFECTS,
    INSTANCE,
    JOINTS,
    KNOWN,
    LAST,
    LEVELS,
    MODEL,
    NOT_FORCED,
    OPT_EXPECTED,
    PICKED,
    REALISED,
    RUNNING,
    SEED,
    SICK,
    STATES,
    STATUS,
    STEPS,
    STOPS,
    STRENGTH,
    TRUE,
)

_STREAM_MOVE, _STREAM_START = 1, 2
_UNIT = 2.0**-53


@compiled
def event_key(seed, stream):
    """The beginning of U(seed, stream, ...), see `core.random.uniform`."""
    return mix(mix(np.uint64(seed)) ^ np.uint64(stream))


@compiled
def draw(key, index):
    """The end of U(..., index) from its beginning."""
    return (mix(key ^ np.uint64(index)) >> np.uint64(11)) * _UNIT


@compiled
def reset_state(problem, state, i, seed, r):
    """Begin an episode of instance r."""
    clock, dims = state.clock[i], problem.dims[r]
    for column in range(len(clock)):
        clock[column] = 0
    clock[STATUS], clock[SEED], clock[INSTANCE], clock[MODEL] = RUNNING, seed, r, TRUE
    clock[LAST], clock[COVER] = -1, NOT_FORCED
    for column in range(state.real.shape[1]):
        state.real[i, column] = 0.0
    key = event_key(seed, _STREAM_START)
    for j in range(dims[ARMS]):
        u, s = draw(key, j), 0
        while s < dims[STATES] - 1 and u >= problem.start[r, j, s]:
            s += 1
        state.now[i, j] = s
        state.visits[i, j], state.last[i, j] = 0, -1
    begin_epoch(problem, state, i)


@compiled
def begin_epoch(problem, state, i):
    """No element is picked, and arms know how many of their neighbours are sick."""
    clock = state.clock[i]
    r = clock[INSTANCE]
    dims = problem.dims[r]
    clock[PICKED] = 0
    for j in range(dims[ARMS]):
        state.level[i, j] = 0
    if dims[INFECTS] == 1:
        sick = problem.scale[r, SICK]
        for j in range(dims[ARMS]):
            count = 0
            for k in range(problem.near_first[r, j], problem.near_first[r, j + 1]):
                count += state.now[i, problem.near[r, k]] <= sick
            state.sick[i, j] = count
    restart(problem, state, i)
    mark(problem, state, i)


@compiled
def advance(problem, state, i, action):
    """Play a legal action: an element's number, or STOP, the last slot."""
    clock = state.clock[i]
    clock[STEPS] += 1
    if action < state.picked.shape[1]:
        pick(problem, state, i, action)
        clock[LAST] = action
        mark(problem, state, i)
    else:
        play(problem, state, i)


@compiled
def pick(problem, state, i, e):
    """An element joins the action."""
    r = state.clock[i, INSTANCE]
    state.clock[i, PICKED] += 1
    for k in range(problem.hit_first[r, e], problem.hit_first[r, e + 1]):
        j = problem.hit_arm[r, k]
        state.level[i, j] = min(state.level[i, j] + problem.hit_level[r, k], problem.dims[r, LEVELS] - 1)
    join(problem, state, i, e)


@compiled
def play(problem, state, i):
    """The elements picked are played: every arm moves, and the epoch pays."""
    clock, real = state.clock[i], state.real[i]
    r = clock[INSTANCE]
    dims, t = problem.dims[r], clock[EPOCH]
    note(problem, state, i, t)
    real[EXPECTED] += expected_reward(problem, state, i, clock[MODEL])
    key = mix(event_key(clock[SEED], _STREAM_MOVE) ^ np.uint64(t))
    for j in range(dims[ARMS]):
        if state.level[i, j] > 0:
            state.visits[i, j] += 1
            state.last[i, j] = t
        state.now[i, j] = next_state(problem, state, i, j, draw(key, j))
        real[REALISED] += problem.reward[r, j, state.now[i, j]]
    for g in range(dims[JOINTS]):
        if all_ready(problem, state, i, g):
            real[REALISED] += problem.joint_weight[r, g]
    clock[EPOCH] += 1
    clock[STOPS] += 1
    clock[LAST] = -1
    if clock[EPOCH] == dims[HORIZON]:
        clock[STATUS] = FINISHED
        note(problem, state, i, t + 1)
    begin_epoch(problem, state, i)


@compiled
def note(problem, state, i, t):
    """Record the states before epoch t and its action, where anybody asks for that."""
    if t >= state.seen.shape[1]:
        return
    dims = problem.dims[state.clock[i, INSTANCE]]
    for j in range(dims[ARMS]):
        state.seen[i, t, j] = state.now[i, j]
    for e in range(dims[ELEMENTS]):
        state.done[i, t, e] = state.picked[i, e]


@compiled
def next_state(problem, state, i, j, u):
    """Where arm j goes: up where u is below its probability; of chains the largest state whose tail is above u."""
    clock = state.clock[i]
    r, s, k = clock[INSTANCE], np.int64(state.now[i, j]), np.int64(state.level[i, j])
    states = problem.dims[r, STATES]
    if problem.dims[r, CHAINS] == 1:
        after = states - 1
        while after > 0 and u >= problem.tail[r, clock[MODEL], j, k, s, after]:
            after -= 1
        return after
    if u < chance_up(problem, state, i, clock[MODEL], j, k):
        return min(s + 1, states - 1)
    return max(s - 1, 0)


@compiled
def chance_up(problem, state, i, model, j, k):
    """Probability that birth-death arm j goes up at level k."""
    r = state.clock[i, INSTANCE]
    p = problem.up[r, model, j, k]
    if k == 0 and problem.dims[r, INFECTS] == 1:
        near = problem.near_first[r, j + 1] - problem.near_first[r, j]
        p = max(p - problem.scale[r, STRENGTH] * state.sick[i, j] / max(near, 1), LEAST_UNTREATED)
    return p


@compiled
def chance_at_least(problem, state, i, model, j, k, least):
    """Probability that arm j's next state is `least` or above, if acted on at level k."""
    r, s = state.clock[i, INSTANCE], np.int64(state.now[i, j])
    if problem.dims[r, CHAINS] == 1:
        return problem.tail[r, model, j, k, s, least]
    p = chance_up(problem, state, i, model, j, k)
    up = 1.0 if min(s + 1, problem.dims[r, STATES] - 1) >= least else 0.0
    down = 1.0 if max(s - 1, 0) >= least else 0.0
    return p * up + (1.0 - p) * down


@compiled
def expected_of_arm(problem, state, i, model, j, k):
    """Expected reward of arm j's next state by itself, if acted on at level k."""
    r, s = state.clock[i, INSTANCE], np.int64(state.now[i, j])
    states = problem.dims[r, STATES]
    if problem.dims[r, CHAINS] == 1:
        total = 0.0
        for after in range(states):
            above = problem.tail[r, model, j, k, s, after + 1] if after + 1 < states else 0.0
            total += (problem.tail[r, model, j, k, s, after] - above) * problem.reward[r, j, after]
        return total
    p = chance_up(problem, state, i, model, j, k)
    return p * problem.reward[r, j, min(s + 1, states - 1)] + (1.0 - p) * problem.reward[r, j, max(s - 1, 0)]


@compiled(when_plain=1.0)
def chance_of_joint(problem, state, i, model, g, without):
    """Probability that all arms of a joint reward but one (-1: none left out) are ready next, by their levels."""
    r = state.clock[i, INSTANCE]
    chance = 1.0
    for k in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
        j = np.int64(problem.joint_arm[r, k])
        if j != without:
            level, least = np.int64(state.level[i, j]), np.int64(problem.joint_least[r, g])
            chance *= chance_at_least(problem, state, i, model, j, level, least)
    return chance


@compiled
def expected_reward(problem, state, i, model):
    """Expected reward of the next states, by the levels at hand."""
    r, total = state.clock[i, INSTANCE], 0.0
    for j in range(problem.dims[r, ARMS]):
        total += expected_of_arm(problem, state, i, model, j, np.int64(state.level[i, j]))
    for g in range(problem.dims[r, JOINTS]):
        total += problem.joint_weight[r, g] * chance_of_joint(problem, state, i, model, g, -1)
    return total


@compiled(when_plain=False)
def all_ready(problem, state, i, g):
    """Whether all arms of a joint reward are in its least state or above."""
    r = state.clock[i, INSTANCE]
    for k in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
        if state.now[i, problem.joint_arm[r, k]] < problem.joint_least[r, g]:
            return False
    return True


@compiled
def objective(problem, state, i):
    """What the episode has paid so far; after an illegal action less than any episode of legal ones."""
    if state.clock[i, STATUS] == ILLEGAL:
        return problem.scale[state.clock[i, INSTANCE], FLOOR]
    return state.real[i, EXPECTED if problem.options[OPT_EXPECTED] == 1 else REALISED]


@compiled
def imagine(problem, state, i, key):
    """Draw the future anew: what is hidden are the moves to come, and whose transitions they follow."""
    clock = state.clock[i]
    clock[SEED] = np.int64(combine(key, clock[STEPS]) >> np.uint64(2))
    clock[MODEL] = KNOWN
