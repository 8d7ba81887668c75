"""Writes the image of CMEM: a column for each instruction around the present, a row for each 64th of CMEM.

It moves on by STRIDE instructions at a time, since moving it costs more than all else; a global says where the present
is.

Channels: what is held; what the present access's storage holds; what is offered for it (the block of COPY, and, half
as bright, what NO_COPY would hold further); the supply left during each instruction, the same in all rows. Every block
adds the part of a pixel that it fills, rounded down, so that what is drawn step by step equals what is drawn at once.
"""

from __future__ import annotations

from ..core.compile import compiled
from .observation import (
    CHANNELS,
    COLUMNS,
    K_IMAGE,
    MEMO_COPY,
    MEMO_HOLD,
    MEMO_INSTRUCTION,
    MEMO_OWN,
    MEMO_POSITION,
    PAST,
    ROWS,
    STRIDE,
)
from .state import (
    ALL_HBM_TIME,
    ALLOWED,
    BEGIN,
    BOTTOM,
    COPY,
    DIM_ACCESSES,
    DIM_CMEM,
    DIM_INSTRUCTIONS,
    END,
    INSTRUCTION,
    LEFT_FROM,
    LEFT_TO,
    MOST_TOUCHED,
    NO_COPY,
    NONE,
    OFFER_BEGIN,
    OFFER_BOTTOM,
    OFFER_END,
    POSITION,
    RUNNING,
    SIZE,
    STATUS,
    STORAGE,
    STRIP,
    STRIPS,
    TENSOR,
    TOP,
    TOUCHED,
)

_HELD, _OWN, _OFFERED, _SUPPLY = range(CHANNELS)
_LINE = COLUMNS * CHANNELS


@compiled
def write_image(problem, state, view, i):
    """Bring the image up to date, by what has changed since it was written where that is known."""
    memo, clock = view.memo[i], state.clock[i]
    k = clock[POSITION]
    t = problem.access[i, min(k, problem.dims[i, DIM_ACCESSES] - 1), INSTRUCTION]
    t -= t % STRIDE
    shift = t - memo[MEMO_INSTRUCTION]
    if memo[MEMO_POSITION] >= 0 and clock[TOUCHED] <= MOST_TOUCHED and 0 <= shift < COLUMNS:
        for rectangle in (MEMO_OWN, MEMO_COPY, MEMO_HOLD):
            channel = _OWN if rectangle == MEMO_OWN else _OFFERED
            erase(problem, view, i, channel, memo[rectangle : rectangle + 4])
        if shift > 0:
            move_left(view, i, shift)
        memo[MEMO_INSTRUCTION] = t
        update_blocks(problem, state, view, i, t, shift)
        write_supply(problem, state, view, i, t, clock[LEFT_FROM], clock[LEFT_TO])
        write_supply(problem, state, view, i, t, t + COLUMNS - PAST - shift, t + COLUMNS - PAST - 1)
    else:
        write_all(problem, state, view, i, t)
    memo[MEMO_POSITION] = k
    clock[TOUCHED] = 0
    clock[LEFT_FROM], clock[LEFT_TO] = problem.dims[i, DIM_INSTRUCTIONS], -1
    draw_present(problem, state, view, i, k)


@compiled
def write_all(problem, state, view, i, t):
    """Draw everything but what is offered."""
    begin = view.offsets[K_IMAGE]
    pixels = view.pixels[i]
    for at in range(begin, begin + ROWS * _LINE):
        pixels[at] = 0
    view.memo[i, MEMO_INSTRUCTION] = t
    for number in range(state.clock[i, STRIPS]):
        strip = state.strip[i, number]
        draw(problem, view, i, _HELD, strip[BEGIN], strip[END], strip[BOTTOM], strip[TOP], 1)
        view.drawn[i, number] = strip[END]
    for number in range(state.clock[i, STRIPS], problem.dims[i, DIM_ACCESSES]):
        view.drawn[i, number] = -1
    write_supply(problem, state, view, i, t, t - PAST, t + COLUMNS - PAST - 1)


@compiled
def move_left(view, i, shift):
    """Move all columns to the left; new ones are blank."""
    begin = view.offsets[K_IMAGE]
    pixels = view.pixels[i]
    distance = shift * CHANNELS
    for at in range(begin, begin + ROWS * _LINE - distance):
        pixels[at] = pixels[at + distance]
    for row in range(ROWS):
        end = begin + (row + 1) * _LINE
        for at in range(end - distance, end):
            pixels[at] = 0


@compiled
def update_blocks(problem, state, view, i, t, shift):
    """Draw what new columns hold, and what changed blocks hold of the others."""
    strips = state.strip[i]
    new = t + COLUMNS - PAST - shift  # the first new column
    if shift > 0:
        for number in range(state.clock[i, STRIPS]):
            strip = strips[number]
            if strip[END] >= new and view.drawn[i, number] >= 0:
                draw(problem, view, i, _HELD, max(strip[BEGIN], new), strip[END], strip[BOTTOM], strip[TOP], 1)
    for place in range(state.clock[i, TOUCHED]):
        number = state.touched[i, place]
        strip = strips[number]
        begin = max(strip[BEGIN], view.drawn[i, number] + 1)
        end = strip[END] if view.drawn[i, number] < 0 else min(strip[END], new - 1)
        draw(problem, view, i, _HELD, begin, end, strip[BOTTOM], strip[TOP], 1)
        view.drawn[i, number] = strip[END]


@compiled
def draw_present(problem, state, view, i, k):
    """Draw the strip of the present access's storage, and what is offered."""
    memo = view.memo[i]
    memo[MEMO_OWN], memo[MEMO_OWN + 1] = 0, -1
    memo[MEMO_COPY], memo[MEMO_COPY + 1] = 0, -1
    memo[MEMO_HOLD], memo[MEMO_HOLD + 1] = 0, -1
    if state.clock[i, STATUS] != RUNNING:
        return
    access = problem.access[i, k]
    number = state.storage[i, access[STORAGE], STRIP]
    if number != NONE:
        strip = state.strip[i, number]
        note(memo, MEMO_OWN, strip[BEGIN], strip[END], strip[BOTTOM], strip[TOP])
        draw(problem, view, i, _OWN, strip[BEGIN], strip[END], strip[BOTTOM], strip[TOP], 1)
    size = problem.tensor[i, access[TENSOR], SIZE]
    for action in (NO_COPY, COPY):
        offer = state.offer[i, action]
        if offer[ALLOWED] == 1:
            rectangle = MEMO_HOLD if action == NO_COPY else MEMO_COPY
            bottom = offer[OFFER_BOTTOM]
            note(memo, rectangle, offer[OFFER_BEGIN], offer[OFFER_END], bottom, bottom + size)
            erase(problem, view, i, _OFFERED, memo[rectangle : rectangle + 4])
            divisor = 2 if action == NO_COPY else 1
            draw(problem, view, i, _OFFERED, offer[OFFER_BEGIN], offer[OFFER_END], bottom, bottom + size, divisor)


@compiled
def note(memo, at, begin, end, bottom, top):
    """Note a rectangle: instructions from begin to end, bytes from bottom to top."""
    memo[at], memo[at + 1], memo[at + 2], memo[at + 3] = begin, end, bottom, top


@compiled
def draw(problem, view, i, channel, begin, end, bottom, top, divisor):
    """Add to each pixel of a channel the part of it that a block fills."""
    cmem = problem.dims[i, DIM_CMEM]
    left = view.memo[i, MEMO_INSTRUCTION] - PAST
    first, last = max(begin - left, 0), min(end - left, COLUMNS - 1)
    if first > last:
        return
    pixels = view.pixels[i]
    for row in range(bottom * ROWS // cmem, (top * ROWS - 1) // cmem + 1):
        filled = min(top * ROWS, (row + 1) * cmem) - max(bottom * ROWS, row * cmem)
        value = 255 * filled // cmem // divisor
        if value > 0:
            at = view.offsets[K_IMAGE] + row * _LINE + channel
            for column in range(first, last + 1):
                pixels[at + column * CHANNELS] += value


@compiled
def erase(problem, view, i, channel, rectangle):
    """Blank the pixels of a channel that a block touches."""
    cmem = problem.dims[i, DIM_CMEM]
    left = view.memo[i, MEMO_INSTRUCTION] - PAST
    first, last = max(rectangle[0] - left, 0), min(rectangle[1] - left, COLUMNS - 1)
    if first > last:
        return
    pixels = view.pixels[i]
    for row in range(rectangle[2] * ROWS // cmem, (rectangle[3] * ROWS - 1) // cmem + 1):
        at = view.offsets[K_IMAGE] + row * _LINE + channel
        for column in range(first, last + 1):
            pixels[at + column * CHANNELS] = 0


@compiled
def write_supply(problem, state, view, i, t, first, last):
    """Draw the supply left during instructions first .. last."""
    pixels = view.pixels[i]
    begin, end = (
        max(max(first, t - PAST), 0),
        min(min(last, t + COLUMNS - PAST - 1), problem.dims[i, DIM_INSTRUCTIONS] - 1),
    )
    for u in range(begin, end + 1):
        time = problem.instruction[i, u, ALL_HBM_TIME]
        value = min(255 * state.left[i, 0, u] // time, 255) if time > 0 else 0
        at = view.offsets[K_IMAGE] + (u - t + PAST) * CHANNELS + _SUPPLY
        for row in range(ROWS):
            pixels[at + row * _LINE] = value
