"""Breakdowns as events of the world: when machines go down and for how long, by the seed or by the instance."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import TYPICAL, combine, uniform
from .state import (
    AGE,
    AGE_LIMIT,
    DIM_MACHINES,
    INFINITY,
    LAW_BERNOULLI,
    LAW_NONE,
    LAW_WINDOWS,
    NEXT_DOWN,
    NEXT_UP,
    OPT_BUSY_CLOCK,
    OPT_KNOWN_WINDOWS,
    OPT_LAW,
    OPT_REPAIR_VISIBLE,
    REPAIR,
    SEED,
    STEPS,
    TIME,
    UP,
    WINDOW,
)

_STREAM_BREAKDOWN = 1
TYPICAL_SEED = -1  # no machine that is up breaks down again


@compiled
def up_length(problem, seed, machine, k):
    """Length of the up time before breakdown k >= 0 of a machine, at least 1; endless in a typical world."""
    if seed == TYPICAL_SEED:
        return INFINITY
    u = uniform(seed, _STREAM_BREAKDOWN, machine, k, 0)
    if problem.options[OPT_LAW] == LAW_BERNOULLI:
        p = problem.law[0]
        if p <= 0.0:
            return INFINITY
        if p >= 1.0:
            return 1
        length = np.floor(np.log(1.0 - u) / np.log(1.0 - p))
        return 1 + np.int64(min(length, 1e15))
    return max(1, np.int64(min(np.ceil(-problem.law[0] * np.log(1.0 - u)), 1e15)))


@compiled
def down_length(problem, seed, machine, k, elapsed):
    """Length of breakdown k of a machine, conditioned on being longer than `elapsed` >= 0."""
    u = uniform(seed, _STREAM_BREAKDOWN, machine, k, 1)
    if problem.options[OPT_LAW] == LAW_BERNOULLI:
        low = max(10, elapsed + 1)
        return low + np.int64(np.floor((51 - low) * u))
    # The exponential law is memoryless, also when rounded up.
    return elapsed + max(1, np.int64(min(np.ceil(-problem.law[1] * np.log(1.0 - u)), 1e15)))


@compiled(when_plain=None)
def draw_window(problem, state, i, m, begin_of_up):
    """Set the next window of machine m, whose index stands in its WINDOW column, counted from `begin_of_up`."""
    window = state.window
    law = problem.options[OPT_LAW]
    k = window[i, m, WINDOW]
    window[i, m, NEXT_DOWN] = INFINITY
    window[i, m, NEXT_UP] = INFINITY
    if law == LAW_WINDOWS:
        if k < problem.windows.shape[2]:
            window[i, m, NEXT_DOWN] = problem.windows[i, m, k, 0]
            window[i, m, NEXT_UP] = problem.windows[i, m, k, 1]
            window[i, m, REPAIR] = problem.windows[i, m, k, 1] - problem.windows[i, m, k, 0]
    elif law != LAW_NONE:
        seed = state.clock[i, SEED]
        length = up_length(problem, seed, m, k)
        window[i, m, REPAIR] = down_length(problem, seed, m, k, 0)
        window[i, m, AGE] = 0
        window[i, m, AGE_LIMIT] = length
        if problem.options[OPT_BUSY_CLOCK] == 0 and length < INFINITY:
            window[i, m, NEXT_DOWN] = begin_of_up + length
            window[i, m, NEXT_UP] = begin_of_up + length + window[i, m, REPAIR]


@compiled(when_plain=None)
def start_ageing(problem, state, i, m):
    """Busy clock: the machine begins to process now, so its breakdown has a date."""
    window = state.window
    if window[i, m, AGE_LIMIT] < INFINITY:
        window[i, m, NEXT_DOWN] = state.clock[i, TIME] + window[i, m, AGE_LIMIT] - window[i, m, AGE]
        window[i, m, NEXT_UP] = window[i, m, NEXT_DOWN] + window[i, m, REPAIR]


@compiled(when_plain=None)
def stop_ageing(problem, state, i, m):
    """Busy clock: the machine ceases to process now; a breakdown due at this very instant still happens."""
    window = state.window
    if window[i, m, NEXT_DOWN] < INFINITY:
        left = window[i, m, NEXT_DOWN] - state.clock[i, TIME]
        window[i, m, AGE] = window[i, m, AGE_LIMIT] - left
        if left > 0:
            window[i, m, NEXT_DOWN] = INFINITY
            window[i, m, NEXT_UP] = INFINITY


@compiled
def imagine(problem, state, i, key):
    """Draw anew, from `key`, every breakdown of copy i that the decision maker cannot know, given what it has seen."""
    clock, window = state.clock, state.window
    seed = np.int64(combine(key, clock[i, STEPS]) >> np.uint64(2))
    clock[i, SEED] = TYPICAL_SEED if key == TYPICAL else seed
    law = problem.options[OPT_LAW]
    if law == LAW_NONE:
        return
    known = problem.options[OPT_KNOWN_WINDOWS] == 1
    t = clock[i, TIME]
    for m in range(problem.dims[i, DIM_MACHINES]):
        k = window[i, m, WINDOW]
        if law == LAW_WINDOWS:
            if not known:
                # There is no law to draw unannounced windows from: an imagined world has none but the present one.
                window[i, m, WINDOW] = problem.windows.shape[2]
                if window[i, m, UP] == 1:
                    window[i, m, NEXT_DOWN] = INFINITY
                    window[i, m, NEXT_UP] = INFINITY
                    window[i, m, REPAIR] = 0
                    problem.windows[i, m, k:, :] = INFINITY
                else:
                    if problem.options[OPT_REPAIR_VISIBLE] == 0:
                        # Nor is there one for its length: it will last as long again as it has lasted.
                        window[i, m, NEXT_UP] = t + max(t - window[i, m, NEXT_DOWN], 1)
                        window[i, m, REPAIR] = window[i, m, NEXT_UP] - window[i, m, NEXT_DOWN]
                        problem.windows[i, m, k : k + 1, 1] = window[i, m, NEXT_UP]
                    problem.windows[i, m, k + 1 :, :] = INFINITY
            continue
        if window[i, m, UP] == 0:
            if problem.options[OPT_REPAIR_VISIBLE] == 0:
                elapsed = t - window[i, m, NEXT_DOWN]
                window[i, m, REPAIR] = down_length(problem, seed, m, k, elapsed)
                window[i, m, NEXT_UP] = window[i, m, NEXT_DOWN] + window[i, m, REPAIR]
        elif not known or (window[i, m, NEXT_DOWN] == INFINITY and window[i, m, AGE] == 0):
            # Under the busy clock a breakdown has no date, and is not announced, before its machine has processed.
            redraw_breakdown(problem, state, i, m)


@compiled
def redraw_breakdown(problem, state, i, m):
    """Redraw the next breakdown of a machine that is up: both laws are memoryless, so the up time starts anew now."""
    window = state.window
    t = state.clock[i, TIME]
    seed = state.clock[i, SEED]
    k = window[i, m, WINDOW]
    length = up_length(problem, seed, m, k)
    window[i, m, REPAIR] = down_length(problem, seed, m, k, 0)
    if problem.options[OPT_BUSY_CLOCK] == 0:
        window[i, m, NEXT_DOWN] = min(t + length, INFINITY)
    else:
        age = window[i, m, AGE]
        dated = window[i, m, NEXT_DOWN] < INFINITY
        if dated:
            age = window[i, m, AGE_LIMIT] - (window[i, m, NEXT_DOWN] - t)
        window[i, m, AGE_LIMIT] = min(age + length, INFINITY)
        window[i, m, AGE] = age
        window[i, m, NEXT_DOWN] = t + length if dated and length < INFINITY else INFINITY
    window[i, m, NEXT_UP] = min(window[i, m, NEXT_DOWN] + window[i, m, REPAIR], INFINITY)
