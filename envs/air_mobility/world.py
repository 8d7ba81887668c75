"""What chance decides of a day, each event a pure function of the day's seed, whatever the fleet does.

Streams of `uniform`: 1 the pairs' factors of demand, 2 and 3 arrivals, 4 take-off delays, 5 and 6 closures, 7 and 8
downtimes. `noise` scales all uncertainty but that of the arrivals given the demand.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.random import uniform
from .demand import INTERVAL, INTERVALS
from .instance import DELAY_SLOTS, DOWNTIMES, HALF_HOURS, AirDay, AirInstance

SIGMA = 0.25
"""Spread of the factor by which a pair's demand differs from its forecast, at noise 1."""
MAX_DELAY = 1800
CLOSURE_CHANCE, LONGEST_CLOSURE = 0.01, 4
DOWN_CHANCE, LEAST_DOWN, DOWN_RANGE = 0.005, 2700, 4500


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
def draw_delay(seed, v, slot, mean, noise):
    """Delay of the take-offs that are decided at vertiport v in a slot of 300 s, s."""
    if noise <= 0.0:
        return np.int64(0)
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
    if landing >= DOWNTIMES or uniform(seed, 7, a, landing) >= DOWN_CHANCE * noise:
        return np.int64(0)
    return LEAST_DOWN + np.int64(DOWN_RANGE * uniform(seed, 8, a, landing))


@compiled
def draw_day(seed, noise, rate, seconds, begin, horizon):
    """Write all arrivals of a day.

    Args:
        rate: float64 [n * n, 48], expected.
        seconds: integers, filled pair by pair.
        begin: int64 [n * n + 1], where each pair's arrivals begin; written.

    Returns:
        Whether there was room for all.
    """
    pairs = len(rate)
    n = np.int64(np.sqrt(pairs))
    room, at = len(seconds), 0
    for p in range(pairs):
        begin[p] = at
        i, j = p // n, p % n
        factor = draw_factor(seed, i, j, noise)
        for k in range(INTERVALS):
            if rate[p, k] > 0.0 and k * INTERVAL < horizon:
                at += draw_arrivals(seed, i, j, k, rate[p, k] * factor, k * INTERVAL, INTERVAL, seconds, at, room - at)
        while at > begin[p] and seconds[at - 1] >= horizon:
            at -= 1
    begin[pairs] = at
    return at < room


def most_arrivals(instance: AirInstance, noise: float) -> int:
    """Room that the arrivals of practically every day fit in.

    Twelve standard deviations above the mean and, since lognormal factors have long tails, the largest pair's factor
    six standard deviations above its own.
    """
    if instance.day is not None:
        return sum(map(len, instance.day.arrivals)) + 1
    pairs = instance.forecast.sum(axis=2)
    variance = (SIGMA * noise) ** 2
    spread = math.sqrt(float((pairs + pairs**2 * math.expm1(variance)).sum()))
    tail = float(pairs.max()) * math.expm1(6.0 * math.sqrt(variance))
    return math.ceil(float(pairs.sum()) + 12.0 * spread + tail) + 64


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
    if not draw_day(np.int64(seed), float(noise), rate, seconds, begin, instance.horizon):
        raise MemoryError(f"seed {seed} has more arrivals than there is room for, {len(seconds)}")
    return seconds, begin


@compiled
def _fill_tables(seed, noise, delay_mean, delay, downtime):
    for v in range(delay.shape[0]):
        for slot in range(delay.shape[1]):
            delay[v, slot] = draw_delay(seed, v, slot, delay_mean[v], noise)
    for a in range(downtime.shape[0]):
        for landing in range(downtime.shape[1]):
            downtime[a, landing] = draw_downtime(seed, a, landing, noise)
