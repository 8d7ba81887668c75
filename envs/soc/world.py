"""What happens by chance: arrivals, applications, noise and downtime, each a function of the episode's seed."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import TYPICAL, combine, uniform
from .state import (
    APP,
    APPS,
    CHANGE,
    DUMMY,
    END,
    EXPONENTIAL,
    FIRST_APP,
    FIRST_LIST,
    FIRST_TASK,
    GAP,
    GENERATED,
    INSTANCE,
    MTBF,
    MTTR,
    NEVER,
    NEXT_ARRIVAL,
    NOISE,
    NOISES_GIVEN,
    NUMBER,
    OPT_ARRIVALS,
    OPT_DOWN,
    OPT_DRAIN,
    OPT_IMAGINED,
    OPT_STATIC,
    PAUSED,
    PES,
    RUNS,
    SCALES_GIVEN,
    SEED,
    SINCE,
    START,
    STEPS,
    TIME,
    TRUE_END,
    UP,
    WAITING,
    WINDOW,
)

_STREAM_GAP, _STREAM_APP, _STREAM_NOISE, STREAM_DOWN, _STREAM_SCALE, _STREAM_LEVEL = 1, 2, 3, 4, 5, 6
_STREAM_AGAIN = 7
_TRIES = 32
TYPICAL_SEED = -1
"""Seed of the imagined world in which nothing unforeseen happens."""


@compiled
def draw_laws(problem, state, i):
    """Set which of the listed scales and noises the episode has."""
    law, real = problem.law, state.real[i]
    seed = state.clock[i, SEED]
    scales, noises = np.int64(law[SCALES_GIVEN]), np.int64(law[NOISES_GIVEN])
    real[GAP] = law[FIRST_LIST + np.int64(scales * uniform(seed, _STREAM_SCALE, 0))]
    real[NOISE] = law[FIRST_LIST + scales + np.int64(noises * uniform(seed, _STREAM_LEVEL, 0))]


@compiled
def draw_gap(problem, state, i, number):
    """Time between the generation of job number - 1 (or 0) and that of job `number`."""
    scale = state.real[i, GAP]
    if problem.options[OPT_ARRIVALS] != EXPONENTIAL or state.clock[i, SEED] == TYPICAL_SEED:
        return np.int64(scale)
    u = uniform(state.clock[i, SEED], _STREAM_GAP, number)
    return np.int64(-scale * np.log(1.0 - u))


@compiled
def draw_app(problem, state, i, number):
    """Row of the application of a job."""
    row = problem.instance[state.clock[i, INSTANCE]]
    first, count = row[FIRST_APP], row[APPS]
    seed = state.clock[i, SEED]
    u = uniform(np.int64(0) if seed == TYPICAL_SEED else seed, _STREAM_APP, number)
    for a in range(count - 1):
        if problem.mix[first + a] > u:
            return first + a
    return first + count - 1


@compiled
def noisy_time(mean, noise, u, v):
    """A task's time, max(round(mean (1 + noise z)), 1), z standard normal by two uniform numbers (Box and Muller)."""
    z = np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * np.pi * v)
    return max(np.int64(np.rint(mean * (1.0 + noise * z))), 1)


@compiled
def true_time(problem, state, i, number, k, dummy, mean):
    """How long task k of a job takes whose mean time is `mean`."""
    noise, seed = state.real[i, NOISE], state.clock[i, SEED]
    if noise == 0.0 or dummy == 1 or seed == TYPICAL_SEED:
        return mean
    return noisy_time(
        mean, noise, uniform(seed, _STREAM_NOISE, number, k, 0), uniform(seed, _STREAM_NOISE, number, k, 1)
    )


@compiled
def draw_change(problem, state, i, p, now):
    """Set when PE p, which is up or down now, changes: later than now."""
    pe = state.pe[i, p]
    seed = state.clock[i, SEED]
    pe[CHANGE] = NEVER
    if problem.options[OPT_DOWN] == 0 or (seed == TYPICAL_SEED and pe[UP] == 1):
        return
    mean = problem.law[MTBF] if pe[UP] == 1 else problem.law[MTTR]
    length = np.int64(mean)
    if seed != TYPICAL_SEED:
        length = np.int64(-mean * np.log(1.0 - uniform(seed, STREAM_DOWN, p, pe[WINDOW], 1 - pe[UP])))
        if pe[SINCE] < now:
            # The law has no memory; what has lasted beyond now lasts at least one more, and then as from the start.
            length += 1
    pe[CHANGE] = now + max(length, 1)


@compiled
def imagine(problem, state, i, key):
    """Draw anew, from `key`, what the decision maker cannot know of copy i, given what it has seen."""
    clock = state.clock[i]
    t = clock[TIME]
    clock[SEED] = TYPICAL_SEED if key == TYPICAL else np.int64(combine(key, clock[STEPS]) >> np.uint64(2))
    if problem.options[OPT_DRAIN] == 1:
        clock[NEXT_ARRIVAL], clock[END] = NEVER, NEVER
    elif problem.options[OPT_STATIC] == 0:
        if problem.options[OPT_IMAGINED] > 0:
            clock[END] = min(clock[END], t + problem.options[OPT_IMAGINED])
        if problem.options[OPT_ARRIVALS] == EXPONENTIAL and clock[WAITING] == 0:
            # Gaps have no memory; this instant's arrivals have been seen.
            clock[NEXT_ARRIVAL] = t + draw_gap(problem, state, i, clock[GENERATED]) + (clock[SEED] != TYPICAL_SEED)
    for p in range(problem.instance[clock[INSTANCE], PES]):
        pe = state.pe[i, p]
        if problem.options[OPT_DOWN] == 1:
            draw_change(problem, state, i, p, t)
        if pe[RUNS] >= 0:
            redraw_end(problem, state, i, p)


@compiled
def worked(state, i, p):
    """For how long the task that PE p runs has been worked at."""
    pe, now = state.pe[i, p], state.clock[i, TIME]
    task = state.task[i, pe[RUNS]]
    until = now if pe[UP] == 1 else max(pe[SINCE], task[START])
    return until - task[START] - task[PAUSED]


@compiled
def redraw_end(problem, state, i, p):
    """Draw anew when the task that PE p runs ends, later than now."""
    pe = state.pe[i, p]
    room = state.task.shape[1] // state.job.shape[1]
    job, k = state.job[i, pe[RUNS] // room], pe[RUNS] % room
    row = problem.app[job[APP], FIRST_TASK] + k
    mean = problem.time[row, p]
    noise, seed = state.real[i, NOISE], state.clock[i, SEED]
    passed = worked(state, i, p)
    length = max(mean, passed + 1)
    if noise > 0.0 and problem.task[row, DUMMY] == 0 and seed != TYPICAL_SEED:
        length = longer_time(mean, noise, passed, seed, job[NUMBER], k)
    task = state.task[i, pe[RUNS]]
    pe[TRUE_END] = task[START] + task[PAUSED] + length


@compiled
def longer_time(mean, noise, passed, seed, number, k):
    """A task's time, by the law of `noisy_time`, given that it is longer than what has passed.

    Far in the tail normal numbers beyond a bound are drawn by rejection from shifted exponential ones (Robert,
    "Simulation of truncated normal variables", Statistics and Computing 5, 1995).
    """
    bound = ((passed + 0.5) / max(mean, 1) - 1.0) / noise
    rate = 0.5 * (bound + np.sqrt(bound * bound + 4.0))
    for attempt in range(_TRIES):
        u = uniform(seed, _STREAM_AGAIN, number, k, 2 * attempt)
        v = uniform(seed, _STREAM_AGAIN, number, k, 2 * attempt + 1)
        if bound <= 0.0:
            drawn = noisy_time(mean, noise, u, v)
        else:
            z = bound - np.log(1.0 - u) / rate
            if v > np.exp(-0.5 * (z - rate) ** 2):
                continue
            drawn = np.int64(np.rint(mean * (1.0 + noise * z)))
        if drawn > passed:
            return drawn
    return passed + 1
