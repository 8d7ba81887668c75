"""The engine's days played by plans, in compiled code: numbered destinations, or each aircraft's own decisions."""

from __future__ import annotations

import numpy as np

from ...envs.air_mobility.dynamics import advance, boardable, cost_of, is_legal
from ...envs.air_mobility.state import (
    AIRCRAFT,
    BOARD,
    CRUISE,
    DECIDER,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    HEAD,
    HORIZON,
    INSTANCE,
    MICRO,
    OCCUPIED,
    PATIENCE,
    PLACE,
    SEATS,
    STAY,
    STEPS,
    TIME,
    UNLOAD,
    VERTIPORTS,
    is_running,
)
from ...envs.core.compile import compiled
from ...envs.core.random import uniform

INTERVAL = 900
PLAN_TIME, PLAN_FROM, PLAN_TO, PLAN_BOARDED, NUM_PLAN = range(5)
"""Columns of a plan's decisions."""
NOW_WEIGHT, NEXT_WEIGHT, STAY_BONUS, NOISE, NUM_WEIGHTS = range(5)
"""Of a repair: what a destination is worth by the forecast, what the best flight from there will earn, what a stay is
worth in $, spread in $ of what is added to scores by chance."""
UNTIL, FORCED_STEP, FORCED_TO, FREE_FROM, FREE_UNTIL, NUM_CHANGE = range(6)
"""Of a change: how many decisions to play up to, one decision that is forced (-1: none), and from when to when freed
aircraft do not follow their plan."""


@compiled
def play_numbered(problem, state, i, destinations, until):
    """Decision k of the day flies to destinations[k - first], first being the decisions made before; illegal: stays.

    Args:
        destinations: int64 [G]; whoever decides later stays.
        until: how many decisions to play up to.
    """
    clock = state.clock[i]
    first = clock[STEPS]
    while is_running(problem, state, i) and clock[STEPS] < until:
        here = state.aircraft[i, clock[DECIDER], PLACE]
        number = clock[STEPS] - first
        action = here
        if number < len(destinations) and is_legal(problem, state, i, destinations[number]):
            action = destinations[number]
        advance(problem, state, i, action)


@compiled
def count_until(second, begin, end, t):
    """How many of second[begin:end], which are sorted, are at most t."""
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if second[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low - begin


@compiled
def best_gain(problem, state, i, v, t):
    """$ of the best flight from v at t if nobody else takes passengers there; 0 if none earns anything."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, best = row[VERTIPORTS], np.int64(0)
    for j in range(n):
        p = v * n + j
        data = row[FIRST_PAIR] + p
        if j == v or t + row[BOARD] + problem.pair[data, CRUISE] + row[UNLOAD] > row[HORIZON]:
            continue
        head, end = state.pair[i, p, HEAD], state.begin[i, p + 1]
        lost = count_until(state.second[i], head, end, t - row[PATIENCE] - 1)
        waiting = count_until(state.second[i], head, end, t) - lost
        k = t // INTERVAL
        best = max(best, min(waiting, row[SEATS]) * problem.fare[data, k] - cost_of(problem, data, k))
    return best / MICRO


@compiled
def promise(problem, state, i, row, v, t, weights):
    """$ that standing at v at t is worth to a repair."""
    if t >= row[HORIZON]:
        return 0.0
    forecast = problem.worth[row[FIRST_VERTIPORT] + v, t // INTERVAL] / max(1, state.vertiport[i, v, OCCUPIED])
    return weights[NOW_WEIGHT] * forecast + weights[NEXT_WEIGHT] * best_gain(problem, state, i, v, t)


@compiled
def repair(problem, state, i, weights, key):
    """The destination of greatest gain and promise of the aircraft that decides, by what is known of the day's end."""
    clock = state.clock[i]
    row, now = problem.instance[clock[INSTANCE]], clock[TIME]
    n, here, step = row[VERTIPORTS], state.aircraft[i, clock[DECIDER], PLACE], clock[STEPS]
    spread = weights[NOISE]
    best = here
    value = promise(problem, state, i, row, here, now + row[STAY], weights) + weights[STAY_BONUS]
    value += spread * uniform(key, step, here)
    for j in range(n):
        if j == here or not is_legal(problem, state, i, j):
            continue
        data = row[FIRST_PAIR] + here * n + j
        k = now // INTERVAL
        gain = boardable(problem, state, i, here * n + j) * problem.fare[data, k] - cost_of(problem, data, k)
        arrival = now + row[BOARD] + problem.pair[data, CRUISE] + row[UNLOAD]
        score = gain / MICRO + promise(problem, state, i, row, j, arrival, weights) + spread * uniform(key, step, j)
        if score > value:
            best, value = j, score
    return best


@compiled
def note_greedy(problem, state, i, destinations, weights):
    """Repair the day without a plan and note what is decided.

    Args:
        destinations: int64 [G], written as far as the day or the room goes.
        weights: float64 [NUM_WEIGHTS], all zero for the greedy rule.
    """
    for number in range(len(destinations)):
        if not is_running(problem, state, i):
            return
        destinations[number] = repair(problem, state, i, weights, np.uint64(0))
        advance(problem, state, i, destinations[number])


@compiled
def play_changed(problem, state, i, plan, length, pointer, freed, change, weights, key):
    """Play on by each aircraft's plan where it can be followed to the letter, else by repair.

    It can where the aircraft decides at the planned time and place and as many passengers board.

    Args:
        plan: int64 [M, D, NUM_PLAN], each aircraft's decisions in order.
        length: int64 [M], how many there are.
        pointer: int64 [M], scratch.
        freed: bool [M], aircraft that do not follow their plan for some time.
        change: int64 [NUM_CHANGE].
        weights: float64 [NUM_WEIGHTS].
        key: uint64, of the repair's chance.
    """
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    for a in range(row[AIRCRAFT]):
        pointer[a] = 0
    while is_running(problem, state, i) and clock[STEPS] < change[UNTIL]:
        a, now = clock[DECIDER], clock[TIME]
        here = state.aircraft[i, a, PLACE]
        while pointer[a] < length[a] and plan[a, pointer[a], PLAN_TIME] < now:
            pointer[a] += 1
        action = -1
        if clock[STEPS] == change[FORCED_STEP]:
            if is_legal(problem, state, i, change[FORCED_TO]):
                action = change[FORCED_TO]
        elif not (freed[a] and change[FREE_FROM] <= now < change[FREE_UNTIL]) and pointer[a] < length[a]:
            step = plan[a, pointer[a]]
            to = step[PLAN_TO]
            fits = step[PLAN_TIME] == now and step[PLAN_FROM] == here and is_legal(problem, state, i, to)
            if fits and (to == here or boardable(problem, state, i, here * row[VERTIPORTS] + to) >= step[PLAN_BOARDED]):
                action = to
        if action < 0:
            action = repair(problem, state, i, weights, key)
        advance(problem, state, i, action)
