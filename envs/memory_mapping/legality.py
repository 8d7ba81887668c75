"""What may be done with the access at hand, and what it would take: the rows of `State.offer`."""

from __future__ import annotations

from ..core.compile import compiled
from .gaps import find_gap, is_free
from .state import (
    ACCESSED_SINCE,
    ALLOWED,
    BEGIN,
    BOTTOM,
    CARRIED,
    COPY,
    COPY_ELAPSED,
    DIM_CMEM,
    DROP,
    EITHER,
    FIRST,
    FORCED,
    GROUP_IN_CMEM,
    GROUP_IN_HBM,
    GROUPED,
    HBM_ONLY,
    HELD,
    HELD_UNTIL,
    IN_CMEM,
    IN_HBM,
    INSTRUCTION,
    IS_CARRIED,
    IS_WRITE,
    KIND,
    LAST,
    LOOP,
    NEVER,
    NO_COPY,
    NO_GAP,
    NO_SUPPLY,
    NO_WRITE_BACK,
    NONE,
    NOT_IN_CMEM,
    NOT_REFUSED,
    NOT_VALID,
    NUM_ACTIONS,
    OFFER_BEGIN,
    OFFER_BOTTOM,
    OFFER_DUE,
    OFFER_END,
    OFFER_ROOM,
    OPT_FIRST_FIT,
    OPT_SUPPLY,
    OTHER_SUPPLY,
    OUTPUT,
    PREVIOUS,
    REFUSED,
    SERVED,
    SIZE,
    STAYS_IN_HBM,
    STORAGE,
    STRIP,
    STRIP_TAKEN,
    TENSOR,
    TOP,
    TRANSFER,
    UNDECIDED,
    VALID,
    WRITE_BACK,
    WRITES,
    WRITTEN,
)
from .supply import NO_START, elapsed_window, fetch_window, write_back_end


@compiled
def assess(problem, state, i, k):
    """Write what each action would do with access k. Returns how many are legal."""
    offer = state.offer[i]
    for a in range(NUM_ACTIONS):
        offer[a, ALLOWED] = 0
        offer[a, WRITE_BACK] = NONE
    if state.forced[i, k] == 1:
        offer[COPY, REFUSED] = FORCED
        offer[COPY_ELAPSED, REFUSED] = FORCED
        offer[NO_COPY, REFUSED] = FORCED
    elif problem.tensor[i, problem.access[i, k, TENSOR], HBM_ONLY] == 1:
        offer[COPY, REFUSED] = STAYS_IN_HBM
        offer[COPY_ELAPSED, REFUSED] = STAYS_IN_HBM
        offer[NO_COPY, REFUSED] = STAYS_IN_HBM
    else:
        offer[COPY, REFUSED] = assess_copy(problem, state, i, k, COPY)
        offer[COPY_ELAPSED, REFUSED] = OTHER_SUPPLY
        if problem.options[OPT_SUPPLY] == EITHER:
            offer[COPY_ELAPSED, REFUSED] = assess_copy(problem, state, i, k, COPY_ELAPSED)
        offer[NO_COPY, REFUSED] = assess_no_copy(problem, state, i, k)
    offer[DROP, REFUSED] = assess_drop(problem, state, i, k)
    legal = 0
    for a in range(NUM_ACTIONS):
        if offer[a, REFUSED] == NOT_REFUSED:
            offer[a, ALLOWED] = 1
            legal += 1
    return legal


@compiled
def late_write_back(problem, state, i, storage, limit):
    """The last instruction of the write-back by which HBM gets the value of a storage by `limit`; NONE if it cannot."""
    row = state.storage[i, storage]
    written = row[WRITTEN]
    work = problem.tensor[i, problem.access[i, written, TENSOR], TRANSFER]
    last = write_back_end(problem, state, i, written, work, limit)
    if last != NONE and last > row[HELD_UNTIL]:
        strip = state.strip[i, row[STRIP]]
        if not is_free(state, i, row[HELD_UNTIL] + 1, last, strip[BOTTOM], strip[TOP]):
            return NONE
    return last


@compiled
def assess_copy(problem, state, i, k, action):
    """Fill the offer of COPY or COPY_ELAPSED. Returns why it is illegal."""
    access, offer = problem.access[i, k], state.offer[i, action]
    storage = access[STORAGE]
    row = state.storage[i, storage]
    tensor = problem.tensor[i, access[TENSOR]]
    t = access[INSTRUCTION]
    if access[WRITES] == 1:
        return IS_WRITE
    grouped = tensor[GROUPED] == 1
    if grouped and row[SERVED] == IN_HBM:
        return GROUP_IN_HBM
    if access[CARRIED] == 1:
        return IS_CARRIED
    if row[HELD_UNTIL] >= t:
        return HELD
    start, due, end = fetch_window(problem, state, i, t, tensor[TRANSFER])
    if action == COPY_ELAPSED:
        same = start, due
        start, due, end = elapsed_window(problem, state, i, t, tensor[TRANSFER])
        if same == (start, due):
            return OTHER_SUPPLY
    if start == NO_START:
        return NO_SUPPLY
    if row[HELD_UNTIL] > start:
        return HELD
    if access[PREVIOUS] >= 0 and problem.access[i, access[PREVIOUS], INSTRUCTION] > start:
        return ACCESSED_SINCE
    if row[VALID] == NEVER:
        last = late_write_back(problem, state, i, storage, start)
        if last == NONE:
            return NO_WRITE_BACK
        offer[WRITE_BACK] = last
    elif row[VALID] > start:
        return NOT_VALID
    offer[OFFER_BEGIN], offer[OFFER_DUE], offer[OFFER_END] = start + 1, due, end
    return place_block(problem, state, i, k, offer, grouped and row[SERVED] == IN_CMEM)


@compiled
def place_block(problem, state, i, k, offer, fixed):
    """Find an offset for an offered block, at the last strip's offset if it is fixed. Returns why there is none."""
    access = problem.access[i, k]
    size = problem.tensor[i, access[TENSOR], SIZE]
    if fixed:
        bottom = state.strip[i, state.storage[i, access[STORAGE], STRIP], BOTTOM]
        if not is_free(state, i, offer[OFFER_BEGIN], offer[OFFER_END], bottom, bottom + size):
            return NO_GAP
        room = 0
    else:
        first_fit = problem.options[OPT_FIRST_FIT] == 1
        cmem = problem.dims[i, DIM_CMEM]
        bottom, gap = find_gap(state, i, offer[OFFER_BEGIN], offer[OFFER_END], size, cmem, first_fit)
        if bottom == NONE:
            return NO_GAP
        room = gap - size
    offer[OFFER_BOTTOM], offer[OFFER_ROOM] = bottom, room
    return NOT_REFUSED


@compiled
def assess_no_copy(problem, state, i, k):
    """Fill the offer of NO_COPY. Returns why it is illegal."""
    access, offer = problem.access[i, k], state.offer[i, NO_COPY]
    row = state.storage[i, access[STORAGE]]
    tensor = problem.tensor[i, access[TENSOR]]
    t = access[INSTRUCTION]
    begins = access[WRITES] == 1 and row[SERVED] == UNDECIDED
    if not begins and row[SERVED] != IN_CMEM:
        return GROUP_IN_HBM if tensor[GROUPED] == 1 and row[SERVED] == IN_HBM else NOT_IN_CMEM
    end = t
    if not begins:
        here = problem.instruction[i, t]
        if here[LOOP] == 1 and state.strip[i, row[STRIP], BEGIN] < here[FIRST]:
            end = here[LAST]
        end = max(end, row[HELD_UNTIL])
    if access[WRITES] == 1 and tensor[KIND] == OUTPUT:
        last = write_back_end(problem, state, i, k, tensor[TRANSFER], NEVER)
        if last == NONE:
            return NO_WRITE_BACK
        offer[WRITE_BACK] = last
        end = max(end, last)
    offer[OFFER_END] = end
    if begins:
        offer[OFFER_BEGIN] = t
        return place_block(problem, state, i, k, offer, False)
    strip = state.strip[i, row[STRIP]]
    offer[OFFER_ROOM] = 0
    offer[OFFER_BEGIN], offer[OFFER_BOTTOM] = row[HELD_UNTIL] + 1, strip[BOTTOM]
    if end > row[HELD_UNTIL] and not is_free(state, i, row[HELD_UNTIL] + 1, end, strip[BOTTOM], strip[TOP]):
        return STRIP_TAKEN
    return NOT_REFUSED


@compiled
def assess_drop(problem, state, i, k):
    """Fill the offer of DROP. Returns why it is illegal."""
    access = problem.access[i, k]
    row = state.storage[i, access[STORAGE]]
    t = access[INSTRUCTION]
    if problem.tensor[i, access[TENSOR], GROUPED] == 1 and row[SERVED] == IN_CMEM:
        return GROUP_IN_CMEM
    if access[WRITES] == 1:
        return NOT_REFUSED
    if row[HELD_UNTIL] >= t:
        return HELD
    if row[VALID] == NEVER:
        last = late_write_back(problem, state, i, access[STORAGE], t - 1)
        if last == NONE:
            return NO_WRITE_BACK
        state.offer[i, DROP, WRITE_BACK] = last
    elif row[VALID] >= t:
        return NOT_VALID
    return NOT_REFUSED
