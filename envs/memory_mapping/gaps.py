"""What CMEM holds: strips, each an interval of instructions at an offset, and the gaps between them."""

from __future__ import annotations

from ..core.compile import compiled
from .state import BEGIN, BOTTOM, END, FETCHED, HELD_FROM, HELD_TO, MOST_TOUCHED, NONE, OPENED, STRIPS, TOP, TOUCHED


@compiled
def is_free(state, i, begin, end, bottom, top):
    """Whether nothing is held at bytes bottom .. top - 1 during any of the instructions begin .. end."""
    strips = state.strip[i]
    for number in range(state.clock[i, STRIPS]):
        if (
            (strips[number, BOTTOM] < top)
            & (strips[number, TOP] > bottom)
            & (strips[number, BEGIN] <= end)
            & (strips[number, END] >= begin)
        ):
            return False
    return True


@compiled
def find_gap(state, i, begin, end, size, cmem, first_fit):
    """(offset of the gap for a block that is held during begin .. end, its size); (NONE, 0) if there is none.

    Of the gaps below the highest block the smallest that is large enough, the lowest of equals (or simply the lowest:
    `first_fit`); the open space above it comes last.
    """
    strips, order = state.strip[i], state.order[i]
    top = 0
    best, best_size = NONE, cmem + 1
    for place in range(state.clock[i, STRIPS]):
        number = order[place]
        if strips[number, BEGIN] > end or strips[number, END] < begin:
            continue
        gap = strips[number, BOTTOM] - top
        if size <= gap < best_size:
            if first_fit:
                return top, gap
            best, best_size = top, gap
        top = max(top, strips[number, TOP])
    if best == NONE and top + size <= cmem:
        best, best_size = top, cmem - top
    return best, best_size if best != NONE else 0


@compiled
def open_strip(state, i, begin, end, bottom, size, access, fetched):
    """Hold a new block; returns its number."""
    strips, order = state.strip[i], state.order[i]
    number = state.clock[i, STRIPS]
    strip = strips[number]
    strip[BEGIN], strip[END], strip[BOTTOM], strip[TOP] = begin, end, bottom, bottom + size
    strip[OPENED], strip[FETCHED] = access, fetched
    place = number
    while place > 0 and strips[order[place - 1], BOTTOM] > bottom:
        order[place] = order[place - 1]
        place -= 1
    order[place] = number
    state.clock[i, STRIPS] = number + 1
    for t in range(begin, end + 1):
        state.held[i, t] += size
    touch(state, i, number, begin, end)
    return number


@compiled
def extend_strip(state, i, number, end):
    """Hold a block up to a later instruction."""
    strip = state.strip[i, number]
    for t in range(strip[END] + 1, end + 1):
        state.held[i, t] += strip[TOP] - strip[BOTTOM]
    touch(state, i, number, strip[END] + 1, end)
    strip[END] = end


@compiled
def touch(state, i, number, begin, end):
    """Note that a block is now held at instructions begin .. end."""
    clock = state.clock[i]
    count = clock[TOUCHED]
    if count < MOST_TOUCHED:
        state.touched[i, count] = number
    clock[TOUCHED] = count + 1
    clock[HELD_FROM], clock[HELD_TO] = min(clock[HELD_FROM], begin), max(clock[HELD_TO], end)
