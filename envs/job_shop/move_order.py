"""Whether the moves of one clock time can be carried out in some order, for the check of schedules under blocking."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple


class Mover(NamedTuple):
    """What one piece does at one clock time: the machines it enters one after the other.

    Attributes:
        source: machine it stands on before, -1 outside.
        targets: machines it enters.
        leaves: it completes its last operation at this time and is gone.
    """

    job: int
    source: int
    targets: list[int]
    leaves: bool


def order_moves(movers: list[Mover], swap: bool) -> tuple[list[list[int]], list[int]]:
    """An order of all moves of one clock time, and the movers that no order lets through.

    A single move enters an empty machine. A swap (only where `swap`) is a cycle of pieces, each wanting the machine of
    the next one, that all move together.

    Depth-first search over how many moves each mover has made. It branches only where a machine is entered more than
    once at this time, which takes operations of zero length.

    Returns:
        Steps, each the movers (indices) that move together, a swap's in the order of its cycle; and the stuck movers:
        none where the steps are complete, else those left in the furthest state that can be reached.
    """
    origin = tuple(0 for _ in movers)
    came_from: dict[tuple[int, ...], tuple[tuple[int, ...], list[int]]] = {}
    stack, furthest = [origin], origin
    while stack:
        made = stack.pop()
        if sum(made) > sum(furthest):
            furthest = made
        steps = _next_steps(movers, made, swap)
        if steps is None:
            break
        for step in steps:
            state = _advance(made, step)
            if state not in came_from:
                came_from[state] = made, step
                stack.append(state)
    order = []
    state = furthest
    while state != origin:
        state, step = came_from[state]
        order.append(step)
    return order[::-1], [i for i, mover in enumerate(movers) if furthest[i] < len(mover.targets)]


def _next_steps(movers: list[Mover], made: tuple[int, ...], swap: bool) -> list[list[int]] | None:
    """Single moves and swaps that are possible next; None where all moves are made.

    A swap, and a move into a machine that no other mover has yet to enter, can hinder nothing: it is then the only
    step returned.
    """
    pending = [i for i, mover in enumerate(movers) if made[i] < len(mover.targets)]
    if not pending:
        return None
    occupant = _occupants(movers, made)
    to_enter: dict[int, int] = defaultdict(int)
    for i in pending:
        for machine in set(movers[i].targets[made[i] :]):
            to_enter[machine] += 1
    steps = []
    for i in pending:
        target = movers[i].targets[made[i]]
        if target not in occupant:
            if to_enter[target] == 1:
                return [[i]]
            steps.append([i])
        elif swap:
            cycle = _cycle(movers, made, occupant, i)
            if cycle:
                return [cycle]
    return steps


def _occupants(movers: list[Mover], made: tuple[int, ...]) -> dict[int, int]:
    occupant = {}
    for i, mover in enumerate(movers):
        done = made[i] == len(mover.targets)
        if done and mover.leaves:
            continue
        machine = mover.targets[made[i] - 1] if made[i] else mover.source
        if machine >= 0:
            occupant[machine] = i
    return occupant


def _cycle(movers: list[Mover], made: tuple[int, ...], occupant: dict[int, int], first: int) -> list[int]:
    """Movers, from `first` on, each of which wants the machine of the next one, back to `first`; else empty."""
    cycle, i = [first], first
    while True:
        if made[i] == len(movers[i].targets):
            return []
        i = occupant.get(movers[i].targets[made[i]], -1)
        if i == first:
            return cycle
        if i < 0 or i in cycle:
            return []
        cycle.append(i)


def _advance(made: tuple[int, ...], movers: list[int]) -> tuple[int, ...]:
    return tuple(count + (i in movers) for i, count in enumerate(made))
