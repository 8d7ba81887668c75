"""What transfers may use of the instructions' time: fetches the latest, write-backs the earliest."""

from __future__ import annotations

from ..core.compile import compiled
from .state import FIRST, INSTRUCTION, LAST, LEFT_FROM, LEFT_TO, NEXT_WRITE, NONE, write_back_row

NO_START = -2


@compiled
def fetch_start(problem, state, i, t, work):
    """The largest s for which the supply left in s+1 .. t-1, within t's segment, is at least `work`, or NO_START."""
    left = state.left[i]
    total = 0
    for u in range(t - 1, problem.instruction[i, t, FIRST] - 1, -1):
        total += left[0, u]
        if total >= work:
            return u - 1
    return NO_START


@compiled
def use_for_fetch(state, i, t, work):
    """Use supply for a fetch for instruction t, latest first."""
    left = state.left[i]
    u = t - 1
    while work > 0:
        used = min(left[0, u], work)
        left[0, u] -= used
        work -= used
        u -= 1
    note_supply(state, i, u + 1, t - 1)


@compiled
def write_back_end(problem, state, i, access, work, limit):
    """The last instruction that writing back what a write wrote uses, if begun now; NONE if it is beyond `limit`."""
    left = state.left[i]
    row = write_back_row(problem)
    d = problem.access[i, access, INSTRUCTION]
    last = min(problem.instruction[i, d, LAST], problem.access[i, access, NEXT_WRITE] - 1)
    total = 0
    for u in range(d + 1, min(last, limit) + 1):
        total += left[row, u]
        if total >= work:
            return u
    return NONE


@compiled
def use_for_write_back(problem, state, i, access, work):
    """Use supply for a write-back, earliest first."""
    left = state.left[i]
    row = write_back_row(problem)
    u = problem.access[i, access, INSTRUCTION] + 1
    while work > 0:
        used = min(left[row, u], work)
        left[row, u] -= used
        work -= used
        u += 1
    if row == 0:
        note_supply(state, i, problem.access[i, access, INSTRUCTION] + 1, u - 1)


@compiled
def note_supply(state, i, first, last):
    """Note that the supply of instructions first .. last has changed."""
    clock = state.clock[i]
    clock[LEFT_FROM] = min(clock[LEFT_FROM], first)
    clock[LEFT_TO] = max(clock[LEFT_TO], last)
