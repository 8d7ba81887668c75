"""The judge: how long instructions wait for transfers, which queue for what instructions leave of the HBM channel."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    ACCESS,
    AFTER,
    BEFORE,
    COMPUTE,
    DIM_INSTRUCTIONS,
    LAST,
    OVERHEAD,
    TENSOR,
    TRANSFER,
    TRANSFERS,
    TRIPS,
)


@compiled
def line_up(problem, state, i):
    """Write the transfers into `State.queue` in the order of (s, e, tensor)."""
    transfers = state.transfer[i]
    count, lists = state.clock[i, TRANSFERS], problem.dims[i, DIM_INSTRUCTIONS] + 1
    # Lists of the transfers with the same s: their heads, then what comes after each transfer.
    queue, heads = state.queue[i], state.heads[i]
    for s in range(lists):
        heads[s] = -1
    for number in range(count):
        at = transfers[number, AFTER] + 1
        while heads[at] >= 0 and comes_before(problem, i, transfers, heads[at], number):
            at = lists + heads[at]
        heads[lists + number] = heads[at]
        heads[at] = number
    place = 0
    for s in range(lists):
        number = heads[s]
        while number >= 0:
            queue[place] = number
            place += 1
            number = heads[lists + number]


@compiled
def comes_before(problem, i, transfers, one, other):
    """Whether of two transfers with the same s one comes before the other."""
    if transfers[one, BEFORE] != transfers[other, BEFORE]:
        return transfers[one, BEFORE] < transfers[other, BEFORE]
    access = problem.access[i]
    return access[transfers[one, ACCESS], TENSOR] < access[transfers[other, ACCESS], TENSOR]


@compiled
def judge(problem, state, i):
    """The time that instructions and ends of segments wait for transfers, all trips together."""
    line_up(problem, state, i)
    queue, transfers, instruction = state.queue[i], state.transfer[i], problem.instruction[i]
    count = state.clock[i, TRANSFERS]
    first, arrived = 0, 0  # the queue are those from the first not done to the last arrived
    left = transfer_work(problem, i, transfers[queue[0]]) if count > 0 else 0
    total = 0
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        while arrived < count and transfers[queue[arrived], AFTER] < t:
            arrived += 1
        awaited = first
        for place in range(first, arrived):
            if transfers[queue[place], BEFORE] <= t:
                awaited = place + 1
        wait = 0
        while first < awaited:
            wait += left
            first += 1
            left = transfer_work(problem, i, transfers[queue[first]]) if first < count else 0
        free = max(instruction[t, COMPUTE], state.memory[i, t]) + instruction[t, OVERHEAD] - state.hbm[i, t]
        while first < arrived and free > 0:
            done = min(free, left)
            free -= done
            left -= done
            if left == 0:
                first += 1
                left = transfer_work(problem, i, transfers[queue[first]]) if first < count else 0
        if instruction[t, LAST] == t:  # the segment's end waits for all
            while first < arrived:
                wait += left
                first += 1
                left = transfer_work(problem, i, transfers[queue[first]]) if first < count else 0
        total += wait * instruction[t, TRIPS]
    return total


@compiled
def transfer_work(problem, i, transfer):
    """Work of a logged transfer: that of its tensor."""
    return problem.tensor[i, problem.access[i, transfer[ACCESS], TENSOR], TRANSFER]
