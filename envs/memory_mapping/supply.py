"""What transfers may use of the instructions' time: fetches the latest, write-backs the earliest."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    CONTENDED,
    EITHER,
    ELAPSED,
    FIRST,
    INSTRUCTION,
    LAST,
    LEFT_FROM,
    LEFT_TO,
    LOOP,
    NEXT_WRITE,
    NONE,
    OPT_SUPPLY,
    TENSOR,
    TRANSFER,
    TRIPS,
    channel_row,
    write_back_row,
)

NO_START = -2


@compiled
def fetch_window(problem, state, i, t, work):
    """(s, e, last instruction held) of a fetch for a read at t; s is NO_START where too little supply is left.

    Within t's segment, or else within the one before the loop that t is in, to be held all through the loop. Within a
    loop nothing may have to wait for it, since that would be in every round.
    """
    here = problem.instruction[i, t]
    first = here[FIRST]
    start = fetch_start(state, i, 0, first, t, work)
    if here[LOOP] == 1 and start != NO_START and wait_for_fetch(problem, state, i, start + 1, t, work) > 0:
        start = NO_START
    if start != NO_START or here[LOOP] == 0 or first == 0:
        return start, t, t
    return fetch_start(state, i, 0, problem.instruction[i, first - 1, FIRST], first, work), first, here[LAST]


@compiled
def elapsed_window(problem, state, i, t, work):
    """The same by the time that elapses, where supply is "either": in a loop always before it."""
    here = problem.instruction[i, t]
    first = here[FIRST]
    if here[LOOP] == 0:
        return fetch_start(state, i, 2, first, t, work), t, t
    if first == 0:
        return NO_START, t, t
    return fetch_start(state, i, 2, problem.instruction[i, first - 1, FIRST], first, work), first, here[LAST]


@compiled
def fetch_start(state, i, row, first, end, work):
    """The largest s >= first - 1 for which a row of `State.left` has `work` in s+1 .. end-1, or NO_START."""
    left = state.left[i, row]
    total = 0
    for u in range(end - 1, first - 1, -1):
        total += left[u]
        if total >= work:
            return u - 1
    return NO_START


@compiled
def use_for_fetch(problem, state, i, begin, end, work):
    """Use supply for a fetch during instructions begin .. end - 1, latest first."""
    use_latest_first(state.left[i, 0], begin, end, work)
    if problem.options[OPT_SUPPLY] != CONTENDED:
        use_latest_first(state.left[i, 2], begin, end, work)
    note_supply(state, i, begin, end - 1)


@compiled
def use_latest_first(left, begin, end, work):
    """Take work from what is left, the latest instructions first."""
    for u in range(end - 1, begin - 1, -1):
        used = min(left[u], work)
        left[u] -= used
        work -= used


@compiled
def wait_for_fetch(problem, state, i, begin, end, work):
    """How long instruction `end` waits for such a fetch, as far as can be seen now, all trips together."""
    lacking = work - sum_left(state.left[i, channel_row(problem)], begin, end)
    return max(lacking, 0) * problem.instruction[i, begin, TRIPS]


@compiled
def sum_left(left, begin, end):
    """What instructions begin .. end - 1 leave."""
    total = 0
    for u in range(begin, end):
        total += left[u]
    return total


@compiled
def write_back_end(problem, state, i, access, work, limit):
    """The last instruction that writing back what a write wrote uses, if begun now; NONE if it is beyond `limit`."""
    d = problem.access[i, access, INSTRUCTION]
    last = min(problem.instruction[i, d, LAST], problem.access[i, access, NEXT_WRITE] - 1, limit)
    end = first_end(state.left[i, write_back_row(problem)], d + 1, last, work)
    if end == NONE and problem.options[OPT_SUPPLY] == EITHER:
        end = first_end(state.left[i, 1], d + 1, last, work)
    return end


@compiled
def first_end(left, begin, last, work):
    """The first u <= last for which begin .. u leave `work`, or NONE."""
    total = 0
    for u in range(begin, last + 1):
        total += left[u]
        if total >= work:
            return u
    return NONE


@compiled
def use_for_write_back(problem, state, i, access, last, work):
    """Use supply for a write-back up to instruction `last`, earliest first."""
    begin = problem.access[i, access, INSTRUCTION] + 1
    use_earliest_first(state.left[i, channel_row(problem)], begin, last, work)
    if problem.options[OPT_SUPPLY] != CONTENDED:
        use_earliest_first(state.left[i, 1], begin, last, work)
    if problem.options[OPT_SUPPLY] != ELAPSED:
        note_supply(state, i, begin, last)


@compiled
def use_earliest_first(left, begin, last, work):
    """Take work from what is left, the earliest instructions first."""
    for u in range(begin, last + 1):
        used = min(left[u], work)
        left[u] -= used
        work -= used


@compiled
def wait_for_write_back(problem, state, i, access, last):
    """How long the instruction after `last` waits for a write-back, as far as can be seen now, all trips together."""
    row = problem.access[i, access]
    work = problem.tensor[i, row[TENSOR], TRANSFER]
    lacking = work - sum_left(state.left[i, channel_row(problem)], row[INSTRUCTION] + 1, last + 1)
    return max(lacking, 0) * problem.instruction[i, row[INSTRUCTION], TRIPS]


@compiled
def note_supply(state, i, first, last):
    """Note that the supply of instructions first .. last has changed."""
    clock = state.clock[i]
    clock[LEFT_FROM] = min(clock[LEFT_FROM], first)
    clock[LEFT_TO] = max(clock[LEFT_TO], last)
