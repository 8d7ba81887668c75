"""Destroy-and-insert: good walks where a program takes too long, see `walks.Walks.search`."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import uniform

_STREAM_NOISE, _STREAM_CUT = 1, 2
_CURRENT, _CANDIDATE = 0, 1
_NOISE = 0.6  # a ratio of weight to detour is multiplied by 1 +- this


@compiled
def _length(distance, depot, tour):
    """Hops of a tour: its number of stops, then the stops."""
    at, total = depot, 0
    for k in range(1, tour[0] + 1):
        total += distance[at, tour[k]]
        at = tour[k]
    return total + distance[at, depot]


@compiled
def _detour(distance, depot, tour, j):
    """(hops that stop j adds where it adds fewest, the place there)."""
    least, place = np.int64(2**40), 1
    before = depot
    for k in range(1, tour[0] + 2):
        after = tour[k] if k <= tour[0] else depot
        more = distance[before, j] + distance[j, after] - distance[before, after]
        if more < least:
            least, place = more, k
        before = after
    return least, place


@compiled
def _refill(distance, depot, length, budget, worth, seed, count, tour, used):
    """Insert stops by the noisy ratio of weight to detour while any fits. Returns the counter of random numbers."""
    hops = _length(distance, depot, tour)
    while tour[0] < budget:
        best_score, best_arm, best_place, best_more = 0.0, -1, 0, 0
        for j in range(len(worth)):
            if used[j] == 1 or worth[j] <= 0.0:
                continue
            more, place = _detour(distance, depot, tour, j)
            if hops + more > length:
                continue
            noise = 1.0 + _NOISE * (2.0 * uniform(seed, _STREAM_NOISE, count) - 1.0)
            count += 1
            score = worth[j] * noise / (more + 0.5)
            if score > best_score:
                best_score, best_arm, best_place, best_more = score, j, place, more
        if best_arm < 0:
            break
        for k in range(tour[0] + 1, best_place, -1):
            tour[k] = tour[k - 1]
        tour[best_place] = best_arm
        tour[0] += 1
        used[best_arm] = 1
        hops += best_more
    return count


@compiled
def _drop(tour, used, begin, end):
    """Take the stops begin .. end - 1 out of a tour."""
    gap = end - begin
    for k in range(begin, end):
        used[tour[k]] = 0
    for k in range(end, tour[0] + 1):
        tour[k - gap] = tour[k]
    tour[0] -= gap


@compiled
def _value(worth, tour):
    total = 0.0
    for k in range(1, tour[0] + 1):
        total += worth[tour[k]]
    return total


@compiled
def search(distance, depot, length, budget, worth, restarts, rounds, seed, tours, used, best):
    """The best action found, written into `best`; `tours` [2, budget + 2] and `used` [N] are scratch."""
    current, candidate = tours[_CURRENT], tours[_CANDIDATE]
    best_value, count = 0.0, 0
    for _ in range(restarts):
        current[0] = 0
        used[:] = 0
        count = _refill(distance, depot, length, budget, worth, seed, count, current, used)
        value = _value(worth, current)
        for turn in range(rounds + 1):
            if value > best_value:
                best_value = value
                best[:] = 0
                for k in range(1, current[0] + 1):
                    best[current[k]] = 1
            if turn == rounds or current[0] == 0:
                break
            used[:] = 0
            candidate[0] = current[0]
            for k in range(1, current[0] + 1):
                candidate[k] = current[k]
                used[candidate[k]] = 1
            begin = 1 + np.int64(uniform(seed, _STREAM_CUT, count) * current[0])
            size = 1 + np.int64(uniform(seed, _STREAM_CUT, count + 1) * current[0] * 0.5)
            count += 2
            _drop(candidate, used, begin, min(begin + size, current[0] + 1))
            count = _refill(distance, depot, length, budget, worth, seed, count, candidate, used)
            other = _value(worth, candidate)
            if other >= value:
                value = other
                current[0] = candidate[0]
                for k in range(1, candidate[0] + 1):
                    current[k] = candidate[k]
    return best_value
