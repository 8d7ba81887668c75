"""Passengers of one pair as a queue that flights serve at a price: a stochastic dynamic program of its own.

Cohorts are who arrived in the same slot; arrivals are Poisson; the oldest board. A queue holds few passengers, so its
states can be listed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled


class QueueStates(NamedTuple):
    """All queues of at most N passengers in C cohorts, numbered from the empty one: S, of them A without newest cohort.

    Attributes:
        waiting: int64 [S], passengers.
        served: int64 [S], the state when the oldest has boarded.
        joined: int64 [S, C], when one more of a cohort (0: the newest) waits; the same where there is no room.
        aged: int64 [S], a slot later: of the A states in which nobody is of the newest cohort.
        aged_waiting: int64 [A], passengers.
        grown: int64 [A, N + 1], with so many in the newest cohort.
    """

    waiting: NDArray[np.int64]
    served: NDArray[np.int64]
    joined: NDArray[np.int64]
    aged: NDArray[np.int64]
    aged_waiting: NDArray[np.int64]
    grown: NDArray[np.int64]


def queue_states(cohorts: int, most: int) -> QueueStates:
    """The states of queues of at most `most` passengers in so many cohorts."""
    states, aged = _counts(cohorts, most), _counts(cohorts - 1, most)
    number = {state: index for index, state in enumerate(states)}
    aged_number = {state: index for index, state in enumerate(aged)}
    served, joined = np.zeros(len(states), dtype=np.int64), np.zeros((len(states), cohorts), dtype=np.int64)
    for index, state in enumerate(states):
        for cohort in range(cohorts):
            more = (*state[:cohort], state[cohort] + 1, *state[cohort + 1 :])
            joined[index, cohort] = number.get(more, index)
            if state[cohort]:  # the last that holds is of the oldest
                served[index] = number[(*state[:cohort], state[cohort] - 1, *state[cohort + 1 :])]
    grown = np.zeros((len(aged), most + 1), dtype=np.int64)
    for index, state in enumerate(aged):
        for newest in range(most - sum(state) + 1):
            grown[index, newest] = number[(newest, *state)]
    return QueueStates(
        np.array([sum(state) for state in states]),
        served,
        joined,
        np.array([aged_number[state[:-1]] for state in states]),
        np.array([sum(state) for state in aged]),
        grown,
    )


def _counts(cohorts: int, most: int) -> list[tuple[int, ...]]:
    if cohorts == 0:
        return [()]
    return [(first, *rest) for first in range(most + 1) for rest in _counts(cohorts - 1, most - first)]


@compiled
def _arrive(states, rate, gift, value, rest):
    """Set rest [A] to what states are worth before a slot's arrivals, given `value` [S] of those after them.

    Whoever finds no room counts `gift`.
    """
    most = states.grown.shape[1] - 1
    for s in range(len(rest)):
        room = most - states.aged_waiting[s]
        chance, total, mean, worth = np.exp(-rate), 0.0, 0.0, 0.0
        for newest in range(room + 1):
            worth += chance * value[states.grown[s, newest]]
            total += chance
            mean += chance * newest
            chance *= rate / (newest + 1)
        left = max(0.0, 1.0 - total)
        rest[s] = worth + left * value[states.grown[s, room]] + gift * max(0.0, rate - mean - left * room)


@compiled
def _best(states, s, fare, price, seats, later):
    """The greatest worth of state s in a slot with flights at a price, and how many board for it."""
    best, board, left = later[states.aged[s]], 0, s
    for m in range(1, states.waiting[s] + 1):
        left = states.served[left]
        worth = m * fare - (m + seats - 1) // seats * price + later[states.aged[left]]
        if worth > best:
            best, board = worth, m
    return best, board


@compiled
def solve_queue(states, rate, gift, fare, price, allowed, seats, value, rest, later):
    """Solve a pair's program backwards.

    Args:
        states: `QueueStates`.
        rate, gift, fare, price, allowed: [T], of each slot: expected arrivals, $ of one for whom there is no room, $ of
            a passenger, $ of a flight, and whether there may be one.
        seats: of a flight.
        value, rest: float64 [S], [A], scratch.
        later: float64 [T, A], written: worth when a slot has ended, by the state a slot later without new arrivals.

    Returns:
        $ that the day's queue earns on the mean.
    """
    slots = len(rate)
    for s in range(later.shape[1]):
        later[slots - 1, s] = 0.0
    for t in range(slots - 1, -1, -1):
        for s in range(len(value)):
            value[s] = later[t, states.aged[s]]
            if allowed[t]:
                value[s], _ = _best(states, s, fare[t], price[t], seats, later[t])
        _arrive(states, rate[t], gift[t], value, later[t - 1] if t > 0 else rest)
    return rest[0]


@compiled
def serve_queue(states, rate, fare, price, allowed, seats, later, chance, aged_chance, flights):
    """Add to flights [T] how many there are in each slot on the mean, by a solved program.

    Args:
        chance, aged_chance: float64 [S], [A], scratch.
    """
    most = states.grown.shape[1] - 1
    for s in range(len(aged_chance)):
        aged_chance[s] = 0.0
    aged_chance[0] = 1.0
    for t in range(len(rate)):
        for s in range(len(chance)):
            chance[s] = 0.0
        for s in range(len(aged_chance)):
            room, mass, left = most - states.aged_waiting[s], np.exp(-rate[t]), 1.0
            for newest in range(room):
                chance[states.grown[s, newest]] += aged_chance[s] * mass
                left -= mass
                mass *= rate[t] / (newest + 1)
            chance[states.grown[s, room]] += aged_chance[s] * max(0.0, left)
            aged_chance[s] = 0.0
        for s in range(len(chance)):
            board = 0
            if allowed[t] and chance[s] > 0.0:
                _, board = _best(states, s, fare[t], price[t], seats, later[t])
            flights[t] += chance[s] * ((board + seats - 1) // seats)
            left = s
            for _ in range(board):
                left = states.served[left]
            aged_chance[states.aged[left]] += chance[s]
