"""The engine's days played by numbered destinations, in compiled code."""

from __future__ import annotations

from ...envs.air_mobility.dynamics import INTERVAL, advance, boardable, cost_of, is_legal
from ...envs.air_mobility.state import DECIDER, FIRST_PAIR, INSTANCE, PLACE, STEPS, TIME, VERTIPORTS, is_running
from ...envs.core.compile import compiled


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
def most_profitable(problem, state, i):
    """The destination of the largest profit of the aircraft that decides; it stays where none earns anything."""
    clock = state.clock[i]
    row, k = problem.instance[clock[INSTANCE]], clock[TIME] // INTERVAL
    n, here = row[VERTIPORTS], state.aircraft[i, clock[DECIDER], PLACE]
    best, most = here, 0
    for j in range(n):
        if j == here or not is_legal(problem, state, i, j):
            continue
        data = row[FIRST_PAIR] + here * n + j
        profit = boardable(problem, state, i, here * n + j) * problem.fare[data, k] - cost_of(problem, data, k)
        if profit > most:
            best, most = j, profit
    return best


@compiled
def note_greedy(problem, state, i, destinations):
    """Play the greedy rule and note what is decided.

    Args:
        destinations: int64 [G], written as far as the day or the room goes.
    """
    for number in range(len(destinations)):
        if not is_running(problem, state, i):
            return
        destinations[number] = most_profitable(problem, state, i)
        advance(problem, state, i, destinations[number])
