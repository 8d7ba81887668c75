"""What chance decides of a day, each event a pure function of the day's seed, whatever the fleet does.

Streams of `uniform`: 1 the pairs' factors of demand, 2 and 3 arrivals, 4 take-off delays, 5 and 6 closures, 7 and 8
downtimes. `noise` scales all uncertainty but that of the arrivals given the demand.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.random import TYPICAL, combine, uniform
from .demand import INTERVAL, INTERVALS
from .instance import DELAY_SLOT, DELAY_SLOTS, DOWNTIMES, HALF_HOUR, HALF_HOURS, AirDay, AirInstance
from .state import (
    AIR_TIME,
    AIRCRAFT,
    ARRIVALS,
    BEFORE,
    BINS,
    BOARD,
    BOARDS,
    CLOSES_AT,
    CLOSES_FOR,
    CLOSES_FROM,
    CLOSES_TO,
    CLOSURE_COUNT,
    CLOSURES,
    CORRIDOR,
    CORRIDOR_ENTRY,
    DECIDED,
    DELAY,
    DELAY_MEAN,
    DELAY_SUM,
    DRAWN_DELAY,
    DRAWN_SLOT,
    END,
    ENTRY,
    FIRST_BEGIN,
    FIRST_CLOSURE,
    FIRST_PAIR,
    FIRST_SECOND,
    FIRST_VERTIPORT,
    FLIES,
    GIVEN,
    HEAD,
    HOLD_SUM,
    HORIZON,
    INSTANCE,
    LEFT_OUT,
    NEVER,
    NEXT,
    NEXT_ARRIVAL,
    NEXT_CLOSURE,
    NEXT_LOSS,
    NOISE,
    NONE,
    NUM_CLOSURE,
    NUM_KINDS,
    OPT_IMAGINED,
    ORIGIN,
    PASSED,
    PHASE,
    PLACE,
    READY,
    ROOM_LACKED,
    SEED,
    SEPARATION,
    STEPS,
    TAIL,
    TIME,
    VERTIPORTS,
)

SIGMA = 0.25
"""Spread of the factor by which a pair's demand differs from its forecast, at noise 1."""
MAX_DELAY = 1800
CLOSURE_CHANCE, LONGEST_CLOSURE = 0.01, 4
DOWN_CHANCE, LEAST_DOWN, DOWN_RANGE = 0.005, 2700, 4500
_NEWTON_STEPS = 5
_STREAM_TYPICAL = 9
TYPICAL_SEED = -1
"""Seed of the imagined day on which nothing unforeseen happens."""


@compiled
def draw_factor(seed, i, j, noise):
    """Factor of the demand from i to j: lognormal of mean 1."""
    sigma = SIGMA * noise
    z = np.sqrt(-2.0 * np.log(1.0 - uniform(seed, 1, i, j, 0))) * np.cos(2.0 * np.pi * uniform(seed, 1, i, j, 1))
    return np.exp(sigma * z - 0.5 * sigma * sigma)


@compiled
def poisson(mean, u):
    """The least c with u < P(X <= c), X being Poisson: inversion."""
    if mean <= 0.0:
        return 0
    chance = np.exp(-mean)
    total, count = chance, 0
    while u >= total and chance > 0.0:
        count += 1
        chance *= mean / count
        total += chance
    return count


@compiled
def draw_arrivals(seed, i, j, k, mean, begin, length, seconds, at, room):
    """Write the sorted seconds of a pair's arrivals in part of a quarter hour from seconds[at] on.

    Args:
        mean: expected number of them.
        begin, length: the part, s.
        room: how many can be written.

    Returns:
        Their number, at most `room`.
    """
    count = min(poisson(mean, uniform(seed, 2, i, j, k)), room)
    for q in range(count):
        second = begin + np.int64(length * uniform(seed, 3, i, j, k, q))
        place = at + q
        while place > at and seconds[place - 1] > second:
            seconds[place] = seconds[place - 1]
            place -= 1
        seconds[place] = second
    return count


@compiled
def expect_arrivals(due, mean, begin, length, seconds, at, room):
    """Write the seconds at which the expected number of arrivals reaches whole numbers in part of a quarter hour.

    Args:
        due: its fraction at the beginning, in [0, 1).

    Returns:
        Their number, at most `room`.
    """
    count = min(np.int64(due + mean), room)
    for q in range(count):
        seconds[at + q] = begin + min(length - 1, np.int64(length * (q + 1.0 - due) / mean))
    return count


@compiled
def draw_delay(seed, v, slot, mean, noise):
    """Delay of the take-offs that are decided at vertiport v in a slot of 300 s, s."""
    if noise <= 0.0:
        return np.int64(0)
    if seed == TYPICAL_SEED:
        return min(MAX_DELAY, np.int64(mean * noise))
    return min(MAX_DELAY, np.int64(-mean * noise * np.log(1.0 - uniform(seed, 4, v, slot))))


@compiled
def draw_closure(seed, i, j, half_hour, noise):
    """For how many half hours the corridors between i < j close at the beginning of one; 0 for not at all."""
    if uniform(seed, 5, i, j, half_hour) >= CLOSURE_CHANCE * noise:
        return np.int64(0)
    return 1 + np.int64(LONGEST_CLOSURE * uniform(seed, 6, i, j, half_hour))


@compiled
def draw_downtime(seed, a, landing, noise):
    """For how long aircraft a is down after a landing (they count from 0), s; 0 for not at all."""
    if seed == TYPICAL_SEED or landing >= DOWNTIMES or uniform(seed, 7, a, landing) >= DOWN_CHANCE * noise:
        return np.int64(0)
    return LEAST_DOWN + np.int64(DOWN_RANGE * uniform(seed, 8, a, landing))


@compiled
def draw_passengers(seed, noise, rate, first, n, seconds, begin, horizon):
    """Write all arrivals of a day.

    Args:
        rate: float64 [.., 48], expected, from row `first` on those of the n * n pairs.
        seconds: integers, filled pair by pair.
        begin: integers [n * n + 1], where each pair's arrivals begin; written.

    Returns:
        Whether there was room for all.
    """
    room, at = len(seconds), 0
    for p in range(n * n):
        begin[p] = at
        i, j = p // n, p % n
        factor = draw_factor(seed, i, j, noise)
        for k in range(INTERVALS):
            mean = rate[first + p, k] * factor
            if mean > 0.0 and k * INTERVAL < horizon:
                at += draw_arrivals(seed, i, j, k, mean, k * INTERVAL, INTERVAL, seconds, at, room - at)
        while at > begin[p] and seconds[at - 1] >= horizon:
            at -= 1
    begin[n * n] = at
    return at < room


def most_arrivals(instance: AirInstance, noise: float) -> int:
    """Room that the arrivals of practically every day fit in.

    Twelve standard deviations above the mean and, since lognormal factors have long tails, the largest pair's factor
    six standard deviations above its own. Imagined days of a given one hold who waits in it and a future by forecast.
    """
    given = 0 if instance.day is None else sum(map(len, instance.day.arrivals)) + 1
    pairs = instance.forecast.sum(axis=2)
    variance = (SIGMA * noise) ** 2
    spread = math.sqrt(float((pairs + pairs**2 * math.expm1(variance)).sum()))
    tail = float(pairs.max()) * math.expm1(6.0 * math.sqrt(variance))
    return given + math.ceil(float(pairs.sum()) + 12.0 * spread + tail) + 64


def realise(instance: AirInstance, seed: int, noise: float = 1.0) -> AirDay:
    """The day of an instance and a seed; the instance's own day where it has one.

    Args:
        noise: factor of the uncertainty, 0 for no delays, closures and downtimes and demand as forecast on the mean.
    """
    if instance.day is not None:
        return instance.day
    n, aircraft = instance.num_vertiports, instance.num_aircraft
    seconds, begin = _all_arrivals(instance, seed, noise)
    delay = np.zeros((n, DELAY_SLOTS), dtype=np.int64)
    downtime = np.zeros((aircraft, DOWNTIMES), dtype=np.int64)
    _fill_tables(np.int64(seed), noise, instance.network.delay_mean, delay, downtime)
    closures = [
        (i, j, s, length)
        for s in range(HALF_HOURS)
        for i in range(n)
        for j in range(i + 1, n)
        if (length := int(draw_closure(np.int64(seed), i, j, s, noise)))
    ]
    return AirDay(
        tuple(seconds[begin[p] : begin[p + 1]].copy() for p in range(n * n)),
        delay,
        np.array(closures, dtype=np.int64).reshape(-1, 4),
        downtime,
        int(seed),
        float(noise),
    ).checked(n, aircraft, instance.horizon)


def _all_arrivals(instance: AirInstance, seed: int, noise: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Seconds pair by pair, and where each pair's begin."""
    n = instance.num_vertiports
    rate = np.ascontiguousarray(instance.forecast.reshape(n * n, INTERVALS))
    seconds = np.zeros(most_arrivals(instance, noise), dtype=np.int64)
    begin = np.zeros(n * n + 1, dtype=np.int64)
    if not draw_passengers(np.int64(seed), float(noise), rate, 0, n, seconds, begin, instance.horizon):
        raise MemoryError(f"seed {seed} has more arrivals than there is room for: {len(seconds)}")
    return seconds, begin


@compiled
def _fill_tables(seed, noise, delay_mean, delay, downtime):
    for v in range(delay.shape[0]):
        for slot in range(delay.shape[1]):
            delay[v, slot] = draw_delay(seed, v, slot, delay_mean[v], noise)
    for a in range(downtime.shape[0]):
        for landing in range(downtime.shape[1]):
            downtime[a, landing] = draw_downtime(seed, a, landing, noise)


# --- the day of a copy of the engine ----------------------------------------------------------------------------------


@compiled
def draw_world(problem, state, i):
    """Set the passengers and the closures of copy i's day."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n = row[VERTIPORTS]
    if clock[GIVEN] == 1:
        for p in range(n * n + 1):
            state.begin[i, p] = problem.given_begin[row[FIRST_BEGIN] + p]
        for at in range(state.begin[i, n * n]):
            state.second[i, at] = problem.given_second[row[FIRST_SECOND] + at]
        for c in range(row[CLOSURES]):
            for column in range(NUM_CLOSURE):
                state.closure[i, c, column] = problem.given_closure[row[FIRST_CLOSURE] + c, column]
        clock[CLOSURE_COUNT] = row[CLOSURES]
    else:
        noise = problem.measure[clock[INSTANCE], NOISE]
        if not draw_passengers(
            clock[SEED], noise, problem.rate, row[FIRST_PAIR], n, state.second[i], state.begin[i], row[HORIZON]
        ):
            clock[ROOM_LACKED] = 1
        draw_closures(problem, state, i, 0)
    sort_arrivals(problem, state, i)


@compiled
def draw_closures(problem, state, i, first):
    """Set the closures that begin in the half hour `first` or later, by their beginning."""
    clock = state.clock[i]
    row, noise = problem.instance[clock[INSTANCE]], problem.measure[clock[INSTANCE], NOISE]
    n, count = row[VERTIPORTS], 0
    if noise > 0.0 and clock[SEED] != TYPICAL_SEED:
        for half_hour in range(first, (row[HORIZON] + HALF_HOUR - 1) // HALF_HOUR):
            for v in range(n):
                for w in range(v + 1, n):
                    length = draw_closure(clock[SEED], v, w, half_hour, noise)
                    if length > 0 and count < state.closure.shape[1]:
                        one = state.closure[i, count]
                        one[CLOSES_FROM], one[CLOSES_TO], one[CLOSES_AT], one[CLOSES_FOR] = v, w, half_hour, length
                        count += 1
    clock[ROOM_LACKED] = max(clock[ROOM_LACKED], np.int64(count == state.closure.shape[1]))
    clock[CLOSURE_COUNT] = count


@compiled
def sort_arrivals(problem, state, i):
    """List all passengers by their arrival: into bins first, then by insertion."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, horizon = row[VERTIPORTS], row[HORIZON]
    count = state.begin[i, n * n]
    clock[ARRIVALS] = count
    bins, order, when = state.bins[i], state.order[i], state.when[i]
    for b in range(BINS + 1):
        bins[b] = 0
    for at in range(count):
        bins[np.int64(state.second[i, at]) * BINS // horizon + 1] += 1
    for b in range(BINS):
        bins[b + 1] += bins[b]
    for p in range(n * n):
        for at in range(state.begin[i, p], state.begin[i, p + 1]):
            second = state.second[i, at]
            b = np.int64(second) * BINS // horizon
            place = np.int64(bins[b])
            when[place], order[place] = second, p
            bins[b] += 1
    for at in range(1, count):
        second, p, place = when[at], order[at], at
        while place > 0 and when[place - 1] > second:
            when[place], order[place] = when[place - 1], order[place - 1]
            place -= 1
        when[place], order[place] = second, p


# --- the hidden future drawn anew -------------------------------------------------------------------------------------


@compiled
def imagine(problem, state, i, key):
    """Draw anew, from `key`, what the decision maker cannot know of copy i, given what it has seen.

    Hidden is every passenger yet to come, every closure yet to begin, the delays of whoever has not entered its
    corridor yet, and delays and downtimes to come. What is known of the pairs' factors of demand is their posterior.
    With the key `TYPICAL` nothing unforeseen happens: as many passengers come as are expected, at equal distances, no
    pair closes, nobody is down, delays are as on the mean.
    """
    clock = state.clock[i]
    clock[SEED] = TYPICAL_SEED if key == TYPICAL else np.int64(combine(key, clock[STEPS]) >> np.uint64(2))
    clock[GIVEN] = 0
    clock[END] = min(clock[END], clock[TIME] + problem.options[OPT_IMAGINED])
    redraw_passengers(problem, state, i)
    clock[NEXT_CLOSURE] = 0
    draw_closures(problem, state, i, clock[TIME] // HALF_HOUR + 1)
    redraw_entries(problem, state, i)


@compiled
def redraw_passengers(problem, state, i):
    """Keep the passengers who wait and draw those who come later than now."""
    clock = state.clock[i]
    row, noise = problem.instance[clock[INSTANCE]], problem.measure[clock[INSTANCE], NOISE]
    n, now = row[VERTIPORTS], clock[TIME]
    second, kept, room = state.second[i], state.when[i], state.second.shape[1]
    last = min(INTERVALS, (clock[END] + INTERVAL - 1) // INTERVAL)  # quarter hours beyond need no passengers
    moved = 0
    for p in range(n * n):
        for at in range(state.pair[i, p, HEAD], state.pair[i, p, TAIL]):
            kept[moved] = second[at]
            moved += 1
    at, moved = 0, 0
    for p in range(n * n):
        pair = state.pair[i, p]
        pair[LEFT_OUT] += pair[HEAD] - state.begin[i, p]
        waiting = pair[TAIL] - pair[HEAD]
        state.begin[i, p] = pair[HEAD] = pair[PASSED] = at
        for place in range(waiting):
            second[at + place] = kept[moved + place]
        at, moved = at + waiting, moved + waiting
        pair[TAIL] = at
        factor = likely_factor(problem, state, i, row[FIRST_PAIR] + p, p // n, p % n, pair[LEFT_OUT] + waiting, noise)
        due = uniform(0, _STREAM_TYPICAL, p, 0)  # so that not all pairs' passengers come at once
        for k in range((now + 1) // INTERVAL, last):
            begin = max(now + 1, k * INTERVAL)
            length = (k + 1) * INTERVAL - begin
            mean = problem.rate[row[FIRST_PAIR] + p, k] * factor * length / INTERVAL
            if mean <= 0.0 or begin >= row[HORIZON]:
                continue
            if clock[SEED] == TYPICAL_SEED:
                at += expect_arrivals(due, mean, begin, length, second, at, room - at)
                due = (due + mean) % 1.0
            else:
                at += draw_arrivals(clock[SEED], p // n, p % n, k, mean, begin, length, second, at, room - at)
        while at > pair[TAIL] and second[at - 1] >= row[HORIZON]:
            at -= 1
    state.begin[i, n * n] = at
    sort_arrivals(problem, state, i)
    clock[NEXT_ARRIVAL], clock[NEXT_LOSS] = moved, 0


@compiled
def likely_factor(problem, state, i, data, v, w, arrived, noise):
    """A factor of the demand from v to w, given how many have arrived by now.

    With z standard normal and factor exp(s z - s s / 2) the posterior of z is log-concave: the normal distribution at
    its mode with its curvature there stands for it.
    """
    clock = state.clock[i]
    sigma, now = SIGMA * noise, clock[TIME]
    if sigma <= 0.0:
        return 1.0
    expected = 0.0
    for k in range(min(now // INTERVAL, INTERVALS - 1) + 1):
        expected += problem.rate[data, k] * min(1.0, (now + 1 - k * INTERVAL) / INTERVAL)
    z, curvature = 0.0, 1.0
    for _ in range(_NEWTON_STEPS):
        told = expected * np.exp(sigma * z - 0.5 * sigma * sigma)
        curvature = 1.0 + sigma * sigma * told
        z += (sigma * (arrived - told) - z) / curvature
    if clock[SEED] == TYPICAL_SEED:  # the mean
        return np.exp(sigma * z - 0.5 * sigma * sigma * (1.0 - 1.0 / curvature))
    u0, u1 = uniform(clock[SEED], 1, v, w, 0), uniform(clock[SEED], 1, v, w, 1)
    z += np.sqrt(-2.0 * np.log(1.0 - u0) / curvature) * np.cos(2.0 * np.pi * u1)
    return np.exp(sigma * z - 0.5 * sigma * sigma)


@compiled
def redraw_entries(problem, state, i):
    """Draw anew when those who board will enter their corridors: later than now."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, fleet, now = row[VERTIPORTS], row[AIRCRAFT], clock[TIME]
    for v in range(n):
        state.vertiport[i, v, DRAWN_SLOT], state.vertiport[i, v, DRAWN_DELAY] = NONE, 0
    for a in range(fleet):
        aircraft = state.aircraft[i, a]
        if aircraft[PHASE] == BOARDS and aircraft[BEFORE] <= now:
            state.last[i, aircraft[ORIGIN] * n + aircraft[PLACE], aircraft[CORRIDOR]] = aircraft[BEFORE]
    decided, who = NONE, NONE
    while True:  # in the order of their decisions
        next_decided, next_who = NEVER, NONE
        for a in range(fleet):
            aircraft = state.aircraft[i, a]
            if aircraft[PHASE] != BOARDS or aircraft[DECIDED] >= next_decided:
                continue
            if aircraft[DECIDED] > decided or (aircraft[DECIDED] == decided and a > who):
                next_decided, next_who = aircraft[DECIDED], a
        if next_who < 0:
            return
        decided, who = next_decided, next_who
        redraw_entry(problem, state, i, who)


@compiled
def redraw_entry(problem, state, i, a):
    """Draw anew when aircraft a, which boards, will enter its corridor."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = problem.instance[clock[INSTANCE]]
    p = aircraft[ORIGIN] * row[VERTIPORTS] + aircraft[PLACE]
    delay = likely_delay(problem, state, i, aircraft[ORIGIN], aircraft[DECIDED] // DELAY_SLOT)
    wished = aircraft[DECIDED] + row[BOARD]
    tell_flight(problem, state, i, a, wished, -1)
    flight = aircraft[READY] - aircraft[ENTRY]
    aircraft[BEFORE] = state.last[i, p, aircraft[CORRIDOR]]
    aircraft[DELAY] = delay
    entry = max(wished + delay, aircraft[BEFORE] + row[SEPARATION])
    aircraft[ENTRY] = aircraft[NEXT] = state.last[i, p, aircraft[CORRIDOR]] = entry
    aircraft[READY] = entry + flight
    tell_flight(problem, state, i, a, wished, 1)
    state.due[i, a] = NUM_KINDS * entry + CORRIDOR_ENTRY  # it is not plugged in
    slot = aircraft[DECIDED] // DELAY_SLOT
    if slot == clock[TIME] // DELAY_SLOT:  # the others of this slot will have the same
        place = state.vertiport[i, aircraft[ORIGIN]]
        place[DRAWN_SLOT], place[DRAWN_DELAY] = slot, delay


@compiled
def tell_flight(problem, state, i, a, wished, sign):
    """Count (or with sign -1 count no longer) delay, hold and time in the air of an aircraft's flight.

    Args:
        wished: when it would take off without delay and hold.
    """
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    horizon = problem.instance[clock[INSTANCE], HORIZON]
    clock[DELAY_SUM] += sign * aircraft[DELAY]
    clock[HOLD_SUM] += sign * (aircraft[ENTRY] - wished - aircraft[DELAY])
    clock[AIR_TIME] += sign * (min(aircraft[READY], horizon) - min(aircraft[ENTRY], horizon))


@compiled
def likely_delay(problem, state, i, v, slot):
    """The delay at v of a slot, which some who board there wait for: known if one of the slot has entered already.

    Else it exceeds what has passed for whoever is held back by nothing else; beyond that its law has no memory.
    """
    clock = state.clock[i]
    row, now = problem.instance[clock[INSTANCE]], clock[TIME]
    passed = np.int64(0)
    for a in range(row[AIRCRAFT]):
        aircraft = state.aircraft[i, a]
        if aircraft[ORIGIN] != v or aircraft[DECIDED] // DELAY_SLOT != slot:
            continue
        if aircraft[PHASE] == FLIES:
            return aircraft[DELAY]
        if aircraft[PHASE] == BOARDS and aircraft[BEFORE] + row[SEPARATION] <= now:
            passed = max(passed, now + 1 - aircraft[DECIDED] - row[BOARD])
    mean = problem.vertiport[row[FIRST_VERTIPORT] + v, DELAY_MEAN]
    noise = problem.measure[clock[INSTANCE], NOISE]
    return min(max(passed, MAX_DELAY), passed + draw_delay(clock[SEED], v, slot, mean, noise))
