"""Writes the window: which accesses, storages and instructions have a row, and which rows have changed.

Access n has row n modulo WINDOW for as long as it is in the window, instruction u row u modulo WINDOW, so that a step
replaces one row and leaves the others where they are. A storage has the row of the access that stands for it: the first
to come in the window, or else the last in it.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .observation import (
    AHEAD,
    BEFORE,
    BUFFER_COLUMNS,
    INSTRUCTION_COLUMNS,
    K_ACCESSES,
    K_BELONGS,
    K_BUFFER,
    K_BUFFER_MASK,
    K_INSTRUCTION,
    K_INSTRUCTION_MASK,
    K_PRECEDES,
    K_TENSOR,
    K_TENSOR_MASK,
    MEMO_NUMBER,
    MEMO_WINDOW,
    TENSOR_COLUMNS,
    WINDOW,
)
from .observe_nodes import clear_row, write_buffer, write_buffer_now, write_instruction, write_tensor
from .state import (
    BRIEF_INSTRUCTION,
    BRIEF_NEXT,
    BRIEF_PREVIOUS,
    DIM_ACCESSES,
    DIM_INSTRUCTIONS,
    HELD_FROM,
    HELD_TO,
    LEFT_FROM,
    LEFT_TO,
    MOST_TOUCHED,
    NONE,
    POSITION,
    TOUCHED,
)


@compiled
def write_window(problem, state, view, i):
    """Bring all nodes and edges up to date."""
    clock, memo = state.clock[i], view.memo[i]
    k, accesses = clock[POSITION], problem.dims[i, DIM_ACCESSES]
    t = problem.brief[i, min(k, accesses - 1), BRIEF_INSTRUCTION]
    # After one decision that did not go back, few accesses look otherwise.
    moved = memo[MEMO_WINDOW] != t
    if memo[MEMO_NUMBER] == k - 1 and clock[TOUCHED] <= MOST_TOUCHED:
        move_on(problem, state, view, i, k, t)
        if moved:
            for slot in range(WINDOW):
                number = in_window(slot, k - BEFORE)
                if 0 <= number < accesses:
                    refresh(problem, state, view, i, number, k, t)
    else:
        for slot in range(WINDOW):
            number = in_window(slot, k - BEFORE)
            if 0 <= number < accesses:
                write_buffer(problem, view, i, slot, number)
                refresh(problem, state, view, i, number, k, t)
            else:
                clear_access(view, i, slot)
    write_instructions(problem, state, view, i, t)
    memo[MEMO_NUMBER] = k


@compiled
def in_window(slot, first):
    """The number from `first` on whose row this is."""
    return first + (slot - first) % WINDOW


@compiled
def clear_access(view, i, slot):
    """Blank the row of an access, and of the storage that it stood for."""
    integers, offsets = view.integers[i], view.offsets
    clear_row(view, i, K_BUFFER, K_BUFFER_MASK, slot, BUFFER_COLUMNS)
    clear_row(view, i, K_TENSOR, K_TENSOR_MASK, slot, TENSOR_COLUMNS)
    for key in (K_ACCESSES, K_BELONGS):
        integers[offsets[key] + slot] = -1
        integers[offsets[key] + WINDOW + slot] = -1


@compiled
def move_on(problem, state, view, i, k, t):
    """Let the next access into the window in place of the first, and rewrite what a decision has changed."""
    brief, accesses = problem.brief[i], problem.dims[i, DIM_ACCESSES]
    gone, came = k - BEFORE - 1, k + AHEAD - 1
    if came < accesses:
        write_buffer(problem, view, i, came % WINDOW, came)
        refresh_storage(problem, state, view, i, came, k, t)
    else:
        clear_access(view, i, came % WINDOW)
    if gone >= 0:
        after = np.int64(brief[gone, BRIEF_NEXT])  # as wide as other numbers: else all that follows is compiled twice
        if after != NONE and after < k + AHEAD:
            refresh_storage(problem, state, view, i, after, k, t)
    refresh_storage(problem, state, view, i, k - 1, k, t)
    if k < accesses:
        refresh(problem, state, view, i, k, k, t)


@compiled
def refresh_storage(problem, state, view, i, number, k, t):
    """Rewrite what may change of all accesses of a storage in the window, given one of them."""
    brief = problem.brief[i]
    while brief[number, BRIEF_PREVIOUS] >= max(k - BEFORE, 0):
        number = brief[number, BRIEF_PREVIOUS]
    while number != NONE and number < k + AHEAD:
        refresh(problem, state, view, i, number, k, t)
        number = brief[number, BRIEF_NEXT]


@compiled
def stands_for(brief, number, k):
    """The access in the window that stands for the storage of another in it."""
    if number >= k:
        while brief[number, BRIEF_PREVIOUS] >= k:
            number = brief[number, BRIEF_PREVIOUS]
        return number
    while number < k:
        after = brief[number, BRIEF_NEXT]
        if after == NONE or after >= k + AHEAD:
            return number
        number = after
    return number


@compiled
def refresh(problem, state, view, i, number, k, t):
    """Rewrite what may change of an access in the window: what it says now, its edges, and the storage's row."""
    integers, offsets = view.integers[i], view.offsets
    brief, slot = problem.brief[i], number % WINDOW
    write_buffer_now(problem, state, view, i, slot, number, k, t)
    other = stands_for(brief, number, k)
    if other == number:
        write_tensor(problem, state, view, i, slot, number, k, t)
    else:
        clear_row(view, i, K_TENSOR, K_TENSOR_MASK, slot, TENSOR_COLUMNS)
    integers[offsets[K_ACCESSES] + slot] = slot
    integers[offsets[K_ACCESSES] + WINDOW + slot] = other % WINDOW
    u = brief[number, BRIEF_INSTRUCTION]
    inside = t - BEFORE <= u < t + AHEAD
    integers[offsets[K_BELONGS] + slot] = slot if inside else -1
    integers[offsets[K_BELONGS] + WINDOW + slot] = u % WINDOW if inside else -1


@compiled
def write_instructions(problem, state, view, i, t):
    """Bring the rows of the instructions up to date."""
    clock, memo = state.clock[i], view.memo[i]
    before, count = memo[MEMO_WINDOW], problem.dims[i, DIM_INSTRUCTIONS]
    # What was decided since changed the times of the instructions from the one that was present on.
    first = min(min(clock[LEFT_FROM], clock[HELD_FROM]), before)
    last = max(max(clock[LEFT_TO], clock[HELD_TO]), t)
    if before == t:
        for u in range(max(first, t - BEFORE), min(last, min(t + AHEAD, count) - 1) + 1):
            write_instruction(problem, state, view, i, u % WINDOW, u, t)
    else:
        for slot in range(WINDOW):
            u = in_window(slot, t - BEFORE)
            link(view, i, slot, 0 <= u < count - 1 and u < t + AHEAD - 1)
            if u < 0 or u >= count:
                clear_row(view, i, K_INSTRUCTION, K_INSTRUCTION_MASK, slot, INSTRUCTION_COLUMNS)
            elif before < 0 or u >= before + AHEAD or first <= u <= last:
                write_instruction(problem, state, view, i, slot, u, t)
            else:
                at = view.offsets[K_INSTRUCTION] + slot * INSTRUCTION_COLUMNS
                view.floats[i, at] = u == t
                view.floats[i, at + 1] = (u - t) * (1.0 / AHEAD)
    memo[MEMO_WINDOW] = t
    clock[HELD_FROM], clock[HELD_TO] = count, -1


@compiled
def link(view, i, slot, there):
    """Write the edge from the instruction of a row to the next one."""
    integers, at = view.integers[i], view.offsets[K_PRECEDES] + slot
    integers[at] = slot if there else -1
    integers[at + WINDOW] = (slot + 1) % WINDOW if there else -1
