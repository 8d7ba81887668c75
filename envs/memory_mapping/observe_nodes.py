"""Writes the rows of accesses, storages and instructions; `observe_window` says which and when."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .observation import (
    AHEAD,
    BUFFER_COLUMNS,
    INSTRUCTION_COLUMNS,
    K_BUFFER,
    K_BUFFER_MASK,
    K_INSTRUCTION,
    K_INSTRUCTION_MASK,
    K_TENSOR,
    K_TENSOR_MASK,
    STATIC_COLUMNS,
    TENSOR_COLUMNS,
    WIDE,
    clip,
    log_of,
    signed,
    wide,
)
from .pricing import rent
from .state import (
    ABOUT_COMPUTE,
    ABOUT_LOOP,
    ABOUT_OVERHEAD,
    ABOUT_PRICE,
    ABOUT_TRIPS,
    ALL_HBM_MEMORY,
    BOTTOM,
    BRIEF_INSTRUCTION,
    BRIEF_LATER,
    BRIEF_NEXT,
    BRIEF_PREVIOUS,
    BRIEF_STORAGE,
    BYTES,
    CARRIED,
    CMEM,
    COMPUTE,
    CONST,
    DIM_ACCESSES,
    DIM_INSTRUCTIONS,
    DROP,
    FETCH,
    GROUPED,
    HBM,
    HBM_ONLY,
    HELD_UNTIL,
    IF_IN,
    IF_OUT,
    IN_CMEM,
    IN_HBM,
    INPUT,
    INSTRUCTION,
    KIND,
    LATER,
    LATER_BENEFIT,
    LOOP,
    NEXT,
    NONE,
    NOT_FETCHED,
    OUTPUT,
    OVERHEAD,
    PARAM,
    PASSED,
    PER_CMEM,
    PER_TIME,
    PREVIOUS,
    SAVES,
    SERVED,
    SIZE,
    STATIC,
    STORAGE,
    STRIP,
    TENSOR,
    TRANSFER,
    TRIPS,
    UNDECIDED,
    VALID,
    WRITES,
    log_count,
)


@compiled
def describe_accesses(problem, i):
    """Fill what observations say of each access at any time."""
    scale = problem.scale[i]
    per_time, per_cmem = scale[PER_TIME], scale[PER_CMEM]
    for k in range(problem.dims[i, DIM_ACCESSES]):
        access, worth, row = problem.access[i, k], problem.worth[i, k], problem.feature[i, k]
        tensor, instruction = problem.tensor[i, access[TENSOR]], problem.instruction[i, access[INSTRUCTION]]
        size, memory, compute = tensor[SIZE], instruction[ALL_HBM_MEMORY], instruction[COMPUTE]
        time = max(max(memory, compute), 1)
        row[0] = wide(size * per_cmem)
        row[1] = min(access[BYTES] / size, 1.0)
        row[2] = wide(access[HBM] * per_time)
        row[3] = signed((access[HBM] - access[CMEM]) * per_time)
        row[4] = signed(access[STATIC] * per_time)
        row[5] = access[HBM] / time
        row[6] = clip((memory - compute) / time, -1.0, 1.0)
        row[7] = access[WRITES]
        write_kind(row, 8, tensor[KIND])
        row[12], row[13] = tensor[GROUPED], tensor[HBM_ONLY]
        row[14], row[15] = instruction[LOOP], access[CARRIED]
        row[16] = min(np.log(instruction[TRIPS]), 16.0)
        row[17] = wide(tensor[TRANSFER] * per_time)
        row[18] = worth[FETCH] != NOT_FETCHED
        row[19], row[20] = 16.0, 16.0
        brief = problem.brief[i, k]
        brief[BRIEF_INSTRUCTION], brief[BRIEF_STORAGE] = access[INSTRUCTION], access[STORAGE]
        brief[BRIEF_PREVIOUS], brief[BRIEF_NEXT] = access[PREVIOUS], access[NEXT]
        brief[BRIEF_LATER] = np.int64(worth[LATER])
        problem.wanted[i, k] = size * per_cmem if access[HBM] > access[CMEM] else 0.0
        if access[NEXT] != NONE:
            then = problem.access[i, access[NEXT], INSTRUCTION]
            row[19] = log_count(problem, then - access[INSTRUCTION])
            row[20] = log_of((problem.instruction[i, then, PASSED] - instruction[PASSED]) * per_time)
        row[21] = log_count(problem, np.int64(worth[LATER]))
        row[22] = wide(worth[LATER_BENEFIT] * per_time)
        row[23] = 0.0
        if access[PREVIOUS] != NONE:
            begin = problem.access[i, access[PREVIOUS], INSTRUCTION] + 1
            row[23] = signed(rent(problem, i, begin, access[INSTRUCTION], size) * per_time)
        row[24] = signed(worth[SAVES] * per_time)
        row[25], row[26] = signed(worth[IF_IN] * per_time), signed(worth[IF_OUT] * per_time)


@compiled
def write_kind(row, at, kind):
    """One-hot kind of a tensor."""
    row[at] = kind == PARAM
    row[at + 1] = kind in (INPUT, CONST)
    row[at + 2] = kind > CONST and kind != OUTPUT
    row[at + 3] = kind == OUTPUT


@compiled
def describe_instructions(problem, i):
    """Fill what observations say of each instruction at any time."""
    scale = problem.scale[i]
    per_time = scale[PER_TIME]
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        instruction, row = problem.instruction[i, t], problem.about[i, t]
        row[ABOUT_COMPUTE], row[ABOUT_OVERHEAD] = instruction[COMPUTE] * per_time, instruction[OVERHEAD] * per_time
        row[ABOUT_PRICE] = wide((problem.price[i, t + 1] - problem.price[i, t]) / scale[PER_CMEM] * per_time)
        row[ABOUT_LOOP] = instruction[LOOP]
        row[ABOUT_TRIPS] = min(np.log(instruction[TRIPS]), 16.0)


@compiled
def clear_row(view, i, key, mask_key, slot, columns):
    """Blank a row, unless it is."""
    mask = view.offsets[mask_key] + slot
    if view.bytes[i, mask] == 1:
        at = view.offsets[key] + slot * columns
        for column in range(columns):
            view.floats[i, at + column] = 0.0
        view.bytes[i, mask] = 0


@compiled
def write_buffer(problem, view, i, slot, number):
    """What the row of an access says at any time."""
    floats = view.floats[i]
    at = view.offsets[K_BUFFER] + slot * BUFFER_COLUMNS
    feature = problem.feature[i, number]
    for column in range(STATIC_COLUMNS):
        floats[at + column] = feature[column]
    view.bytes[i, view.offsets[K_BUFFER_MASK] + slot] = 1


@compiled
def write_buffer_now(problem, state, view, i, slot, number, k, t):
    """What the row of an access says now, with access k of instruction t to be decided."""
    floats = view.floats[i]
    brief = problem.brief[i, number]
    row = state.storage[i, brief[BRIEF_STORAGE]]
    at = view.offsets[K_BUFFER] + slot * BUFFER_COLUMNS + STATIC_COLUMNS
    floats[at] = number < k
    floats[at + 1] = number < k and state.action[i, number] != DROP
    floats[at + 2] = row[HELD_UNTIL] >= t
    floats[at + 3] = row[VALID] < t
    floats[at + 4] = number == k
    floats[at + 5] = signed((brief[BRIEF_INSTRUCTION] - t) * (1.0 / AHEAD))


@compiled
def write_tensor(problem, state, view, i, slot, number, k, t):
    """The row of a storage, seen from the access that stands for it."""
    floats = view.floats[i]
    at = view.offsets[K_TENSOR] + slot * TENSOR_COLUMNS
    feature, brief = problem.feature[i, number], problem.brief[i, number]
    row = state.storage[i, brief[BRIEF_STORAGE]]
    floats[at] = feature[0]
    for column in range(5):
        floats[at + 1 + column] = feature[8 + column]
    floats[at + 6] = row[SERVED] == UNDECIDED
    floats[at + 7] = row[SERVED] == IN_HBM
    floats[at + 8] = row[SERVED] == IN_CMEM
    floats[at + 9] = row[HELD_UNTIL] >= t
    floats[at + 10], floats[at + 11] = 0.0, 0.0
    if row[STRIP] != NONE:
        floats[at + 10] = signed((row[HELD_UNTIL] - t) * (1.0 / AHEAD))
        floats[at + 11] = state.strip[i, row[STRIP], BOTTOM] * problem.scale[i, PER_CMEM]
    floats[at + 12] = row[VALID] < t
    if number >= k:
        floats[at + 13] = log_count(problem, brief[BRIEF_INSTRUCTION] - t)
        floats[at + 14] = log_count(problem, 1 + brief[BRIEF_LATER])
        floats[at + 15] = min(feature[22] + max(feature[4], 0.0), WIDE)
    else:
        after = brief[BRIEF_NEXT]
        then = problem.brief[i, after, BRIEF_INSTRUCTION] if after != NONE else 0
        floats[at + 13] = log_count(problem, then - t) if after != NONE else 16.0
        floats[at + 14] = feature[21]
        floats[at + 15] = feature[22]
    floats[at + 16] = signed(feature[25] - feature[26])
    view.bytes[i, view.offsets[K_TENSOR_MASK] + slot] = 1


@compiled
def write_instruction(problem, state, view, i, slot, u, t):
    """The row of instruction u."""
    floats, offsets = view.floats[i], view.offsets
    at = offsets[K_INSTRUCTION] + slot * INSTRUCTION_COLUMNS
    about, scale = problem.about[i, u], problem.scale[i]
    per_time = scale[PER_TIME]
    compute, memory = about[ABOUT_COMPUTE], state.memory[i, u] * per_time
    floats[at] = u == t
    floats[at + 1] = (u - t) * (1.0 / AHEAD)
    floats[at + 2] = wide(max(compute, memory) + about[ABOUT_OVERHEAD])
    floats[at + 3] = wide(compute)
    floats[at + 4] = wide(state.hbm[i, u] * per_time)
    floats[at + 5] = signed(memory - compute)
    floats[at + 6] = wide(state.left[i, 0, u] * per_time)
    floats[at + 7] = min(state.held[i, u] * scale[PER_CMEM], 1.0)
    floats[at + 8] = about[ABOUT_PRICE]
    floats[at + 9] = about[ABOUT_LOOP]
    floats[at + 10] = about[ABOUT_TRIPS]
    view.bytes[i, offsets[K_INSTRUCTION_MASK] + slot] = 1
