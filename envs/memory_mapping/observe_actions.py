"""Writes the action slots and the globals: all that a rule or a scorer reads."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .observation import (
    ACTION_COLUMNS,
    K_ACTION_NODES,
    K_ACTIONS,
    K_GLOBALS,
    K_MASK,
    STRIDE,
    WINDOW,
    clip,
    log_of,
    signed,
    wide,
)
from .pricing import rent, toll_of_fetch, worth_inside
from .state import (
    ALLOWED,
    BACKUPS,
    BEGIN,
    BOTTOM,
    BRIEF_INSTRUCTION,
    BRIEF_PREVIOUS,
    BRIEF_STORAGE,
    CMEM,
    COMPUTE,
    CONTENDED,
    COPY,
    COPY_ELAPSED,
    DENSITY,
    DIM_ACCESSES,
    DIM_ALL_HBM,
    DIM_BEST,
    DIM_CMEM,
    DIM_INSTRUCTIONS,
    DROP,
    EITHER,
    ELAPSED,
    END,
    FETCH,
    FIRST,
    GROUPED,
    HBM,
    HELD_UNTIL,
    IF_OUT,
    IN_CMEM,
    INSTRUCTION,
    LATER,
    LATER_BENEFIT,
    LATEST,
    LOOP,
    NEVER,
    NEXT,
    NO_COPY,
    NONE,
    NUM_ACTIONS,
    OFFER_BEGIN,
    OFFER_BOTTOM,
    OFFER_DUE,
    OFFER_END,
    OFFER_ROOM,
    OPENED,
    OPT_FIRST_FIT,
    OPT_SUPPLY,
    OPT_TERMINATE,
    PASSED,
    PER_CMEM,
    PER_RUN,
    PER_TIME,
    POSITION,
    PRESSURE,
    REACHABLE,
    RUNNING,
    SAVED,
    SERVED,
    SIZE,
    STATUS,
    STORAGE,
    STRIP,
    STRIPS,
    TENSOR,
    TOP,
    TRANSFER,
    TRIPS,
    UNDECIDED,
    VALID,
    WRITE_BACK,
    WRITES,
    WRITTEN,
    channel_row,
    log_count,
)
from .supply import sum_left, wait_for_fetch, wait_for_write_back

_NEAR, _FAR = 8, 32  # accesses whose bytes make up the pressure ahead


@compiled
def write_actions(problem, state, view, i):
    """Mask, node references and features of the three slots, and the globals."""
    running = state.clock[i, STATUS] == RUNNING
    near, far = pressure(problem, state, i) if running else (0.0, 0.0)
    write_globals(problem, state, view, i, near, far)
    bytes_, mask = view.bytes[i], view.offsets[K_MASK]
    slots = NUM_ACTIONS if problem.options[OPT_SUPPLY] == EITHER else COPY_ELAPSED
    for a in range(slots):
        legal = running and state.offer[i, a, ALLOWED] == 1
        bytes_[mask + a] = legal
        clear_slot(view, i, a)
        if legal:
            write_slot(problem, state, view, i, a, near)


@compiled
def clear_slot(view, i, a):
    """An action slot that does not exist."""
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + a * ACTION_COLUMNS
    for column in range(ACTION_COLUMNS):
        floats[at + column] = 0.0
    for column in range(3):
        view.integers[i, view.offsets[K_ACTION_NODES] + 3 * a + column] = -1


@compiled
def pressure(problem, state, i):
    """Bytes of the storages of accesses to come that would gain by CMEM and are not held, over CMEM.

    Returns that of the next `_NEAR` accesses and that of the next `_FAR`.
    """
    k = state.clock[i, POSITION]
    near, total = 0.0, 0.0
    brief, wanted = problem.brief[i], problem.wanted[i]
    for later in range(k, min(k + _FAR, problem.dims[i, DIM_ACCESSES])):
        if later == k + _NEAR:
            near = total
        # Each storage once, at its first access from now on.
        if wanted[later] > 0.0 and brief[later, BRIEF_PREVIOUS] < k:
            until = state.storage[i, brief[later, BRIEF_STORAGE], HELD_UNTIL]
            if until < brief[later, BRIEF_INSTRUCTION]:
                total += wanted[later]
    if problem.dims[i, DIM_ACCESSES] <= k + _NEAR:
        near = total
    return near, total


@compiled
def write_globals(problem, state, view, i, near, far):
    """The features of the whole state."""
    floats, at = view.floats[i], view.offsets[K_GLOBALS]
    clock, dims, scale = state.clock[i], problem.dims[i], problem.scale[i]
    k, accesses, instructions = clock[POSITION], dims[DIM_ACCESSES], dims[DIM_INSTRUCTIONS]
    t = problem.access[i, min(k, accesses - 1), INSTRUCTION]
    held = state.held[i, t] * scale[PER_CMEM]
    passed = problem.instruction[i, t - 1, PASSED] if t > 0 else 0
    floats[at] = k / accesses
    floats[at + 1] = passed * scale[PER_RUN]
    floats[at + 2] = held
    floats[at + 3] = 1.0 - held
    floats[at + 4] = wide(near)
    floats[at + 5] = wide(far)
    floats[at + 6] = share_left(problem, state, i, max(t - 16, 0), t)
    floats[at + 7] = share_left(problem, state, i, t, min(t + 16, instructions))
    floats[at + 8] = clip(clock[SAVED] * scale[PER_RUN], -1.0, 1.0)
    may = dims[DIM_ALL_HBM] - clock[SAVED] - clock[REACHABLE]
    floats[at + 9] = clip(may * scale[PER_RUN], -1.0, 1.0)
    floats[at + 10] = min(clock[BACKUPS] / 16.0, 1.0)
    floats[at + 11] = min(np.log(accesses), 16.0)
    floats[at + 12] = min(np.log(instructions), 16.0)
    floats[at + 13] = min(scale[PRESSURE], 16.0)
    floats[at + 14] = clip(dims[DIM_BEST] * scale[PER_RUN], 0.0, 1.0)
    supply = problem.options[OPT_SUPPLY]
    floats[at + 15] = 1.0 if supply == CONTENDED else 0.0 if supply == ELAPSED else 0.5
    floats[at + 16] = problem.options[OPT_FIRST_FIT] == 1
    floats[at + 17] = problem.options[OPT_TERMINATE] == 1
    floats[at + 18] = (t % STRIDE) / STRIDE


@compiled
def share_left(problem, state, i, begin, end):
    """Which share of the time of instructions begin .. end - 1 transfers can still use."""
    left = sum_left(state.left[i, 0], begin, end)
    time = problem.timed[i, end] - problem.timed[i, begin]
    return min(left / time, 1.0) if time > 0 else 0.0


@compiled
def write_slot(problem, state, view, i, a, near):
    """The features of a legal action."""
    floats, integers, offsets = view.floats[i], view.integers[i], view.offsets
    clock, _dims, scale = state.clock[i], problem.dims[i], problem.scale[i]
    k = clock[POSITION]
    access, worth = problem.access[i, k], problem.worth[i, k]
    tensor, row = problem.tensor[i, access[TENSOR]], state.storage[i, access[STORAGE]]
    t = access[INSTRUCTION]
    instruction = problem.instruction[i, t]
    per_time, per_cmem = scale[PER_TIME], scale[PER_CMEM]
    at = offsets[K_ACTIONS] + a * ACTION_COLUMNS
    nodes = offsets[K_ACTION_NODES] + 3 * a
    integers[nodes], integers[nodes + 1], integers[nodes + 2] = k % WINDOW, k % WINDOW, t % WINDOW
    floats[at + (COPY if a == COPY_ELAPSED else a)] = 1.0
    size, memory = tensor[SIZE], state.memory[i, t]
    floats[at + 5] = wide(size * per_cmem)
    floats[at + 18] = wide(worth[LATER_BENEFIT] * per_time)
    floats[at + 19] = log_count(problem, np.int64(worth[LATER]))
    after = access[NEXT]
    if after != NONE:
        then = problem.access[i, after, INSTRUCTION]
        floats[at + 20] = log_count(problem, then - t)
        waiting = problem.instruction[i, then, PASSED] - instruction[PASSED]
        floats[at + 21] = log_of(waiting * per_time)
        floats[at + 30] = problem.worth[i, after, FETCH] >= t
    else:
        floats[at + 20], floats[at + 21] = 16.0, 16.0
    floats[at + 27] = tensor[GROUPED]
    floats[at + 26] = tensor[GROUPED] == 1 and row[SERVED] == UNDECIDED
    floats[at + 28] = row[VALID] < t
    floats[at + 29] = access[WRITES]
    floats[at + 32] = instruction[LOOP]
    bound = max(max(instruction[COMPUTE], memory), 1)
    floats[at + 33] = clip((memory - instruction[COMPUTE]) / bound, -1.0, 1.0)
    floats[at + 34] = wide(near)
    floats[at + 35] = 1.0 - state.held[i, t] * per_cmem
    last, wait = state.offer[i, a, WRITE_BACK], 0.0
    if last != NONE:
        written = k if a == NO_COPY else row[WRITTEN]
        floats[at + 24] = 1.0
        floats[at + 25] = log_count(problem, last - problem.access[i, written, INSTRUCTION])
        wait = wait_for_write_back(problem, state, i, written, last) * per_time
    if a == DROP:
        floats[at + 16] = signed(worth[IF_OUT] * per_time)
        floats[at + 17] = signed(worth[IF_OUT] * per_time - wait)
        floats[at + 39] = wide(wait)
    else:
        write_hold(problem, state, view, i, a, k, at, wait)


@compiled
def write_hold(problem, state, view, i, a, k, at, wait):
    """What serving an access by CMEM gains and takes, its write-back's `wait` included."""
    floats = view.floats[i]
    _clock, _dims, scale, offer = state.clock[i], problem.dims[i], problem.scale[i], state.offer[i, a]
    access = problem.access[i, k]
    tensor, row = problem.tensor[i, access[TENSOR]], state.storage[i, access[STORAGE]]
    t = access[INSTRUCTION]
    instruction = problem.instruction[i, t]
    per_time, per_cmem = scale[PER_TIME], scale[PER_CMEM]
    size, memory, compute = tensor[SIZE], state.memory[i, t], instruction[COMPUTE]
    gain = access[HBM] - access[CMEM]
    saving = instruction[TRIPS] * (max(compute, memory) - max(compute, memory - gain)) * per_time
    begin, end = offer[OFFER_BEGIN], offer[OFFER_END]
    length = max(end - begin + 1, 0)
    strip_begin = begin
    if a == NO_COPY and row[STRIP] != NONE:
        strip_begin = state.strip[i, row[STRIP], BEGIN]
    fullest = 0
    for u in range(begin, end + 1):
        fullest = max(fullest, state.held[i, u])
    toll = 0.0
    area = size * per_cmem * length
    paid = rent(problem, i, begin, end, size) * per_time if length > 0 else 0.0
    later = worth_inside(problem, i, k, strip_begin) * per_time
    floats[at + 3] = signed(saving)
    floats[at + 4] = signed(instruction[TRIPS] * gain * per_time)
    if a in (COPY, COPY_ELAPSED):
        floats[at + 6] = wide(tensor[TRANSFER] * per_time)
        due = offer[OFFER_DUE]
        left = sum_left(state.left[i, 0], begin, due)
        free = sum_left(state.left[i, channel_row(problem)], begin, due)
        wait += wait_for_fetch(problem, state, i, begin, due, tensor[TRANSFER]) * per_time
        toll = toll_of_fetch(problem, i, begin, due, tensor[TRANSFER]) * per_time
        floats[at + 7] = min(tensor[TRANSFER] / max(left, 1), 1.0)
        floats[at + 38] = min(tensor[TRANSFER] / max(free, 1), 1.0)
    floats[at + 8] = log_count(problem, length)
    floats[at + 9] = log_count(problem, end - strip_begin + 1)
    floats[at + 10] = wide(area)
    density = max(saving, 0.0) / max(area, size * per_cmem * 0.25)
    floats[at + 11] = log_of(density)
    floats[at + 12] = log_ratio(density, coming_density(problem, i, k))
    floats[at + 14], floats[at + 15] = wide(paid), wide(toll)
    floats[at + 16] = signed(later)
    blocked, only_copies = 0.0, 0
    if length > 0:
        bottom = offer[OFFER_BOTTOM]
        blocked, only_copies = blocked_worth(problem, state, i, access[STORAGE], begin, end, bottom, bottom + size)
    blocked *= per_time
    floats[at + 13] = log_ratio(max(saving + max(later, 0.0), 0.0), paid + toll + blocked + wait)
    floats[at + 17] = signed(saving - paid - toll + later - blocked - wait)
    floats[at + 39] = wide(wait)
    floats[at + 36], floats[at + 37] = wide(blocked), min(only_copies / 8.0, 1.0)
    floats[at + 22] = min((fullest + size) * per_cmem, 1.0)
    floats[at + 23] = clip(offer[OFFER_ROOM] * per_cmem, 0.0, 1.0)
    floats[at + 31] = end > t and instruction[LOOP] == 1 and strip_begin < instruction[FIRST]


@compiled
def blocked_worth(problem, state, i, storage, begin, end, bottom, top):
    """What a block takes from storages that it keeps from being held on: (their worth, how many lose their only copy).

    Those are the storages whose strip ends before the block does, at some of its bytes, and that are accessed again
    after it begins.
    """
    strips, access, worth = state.strip[i], problem.access[i], problem.worth[i]
    total, only_copies = 0.0, 0
    for number in range(state.clock[i, STRIPS]):
        strip = strips[number]
        if (strip[BOTTOM] >= top) | (strip[TOP] <= bottom) | (strip[END] >= end):
            continue
        other = access[strip[OPENED], STORAGE]
        row = state.storage[i, other]
        if other == storage or row[STRIP] != number or row[SERVED] != IN_CMEM:
            continue
        after = access[row[LATEST], NEXT]
        if after == NONE or access[after, INSTRUCTION] < begin:
            continue
        inside = worth_inside(problem, i, row[LATEST], strip[BEGIN])
        total += max(inside - worth[row[LATEST], IF_OUT], 0.0)
        only_copies += row[VALID] == NEVER
    return total, only_copies


@compiled
def coming_density(problem, i, k):
    """The mean static benefit of the next accesses per CMEM and instruction that they would need."""
    count = min(_FAR, problem.dims[i, DIM_ACCESSES] - 1 - k)
    if count <= 0:
        return 0.0
    total = problem.worth[i, k + count, DENSITY] - problem.worth[i, k + 1, DENSITY]
    return total / count * problem.dims[i, DIM_CMEM] * problem.scale[i, PER_TIME]


@compiled
def log_ratio(one, other):
    """log(one / other), bounded; 0 where both are nothing."""
    return clip(np.log((one + 1e-6) / (other + 1e-6)), -16.0, 16.0)
