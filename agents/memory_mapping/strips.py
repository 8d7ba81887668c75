"""Strips of CMEM in compiled code: which storage is held when and at which offset, and where there is room.

After XLA's ``GlobalDecreasingSizeBestFitHeap`` (heap_simulator.cc): the smallest gap that is free during the whole
interval, the lowest of equals; the open space above counts as infinite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.memory_mapping.allocation import find_gap


class Strips(NamedTuple):
    """Strips sorted by their offsets, and room to place them anew; int64 each.

    Attributes:
        filled: [1], how many there are.
        start, end, offset, size, storage: [room], first and last instruction (both included), bytes, storage.
        order, length: [room], room for `repack`.
        new_start, new_end, new_offset, new_size, new_storage: [room], room for `repack`.
    """

    filled: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    storage: NDArray[np.int64]
    order: NDArray[np.int64]
    length: NDArray[np.int64]
    new_start: NDArray[np.int64]
    new_end: NDArray[np.int64]
    new_offset: NDArray[np.int64]
    new_size: NDArray[np.int64]
    new_storage: NDArray[np.int64]

    @classmethod
    def empty(cls, room: int) -> Strips:
        """Room for `room` strips, none of them taken."""
        return cls(np.zeros(1, dtype=np.int64), *(np.zeros(room, dtype=np.int64) for _ in range(12)))


@compiled
def find_room(strips, capacity, start, end, size):
    """Offset of the smallest gap for `size` bytes during start .. end, -1 for none."""
    filled = strips.filled[0]
    return find_gap(strips.start, strips.end, strips.offset, strips.size, filled, capacity, start, end, size, False)


@compiled
def is_free(strips, start, end, offset, size):
    """Whether nothing is held in offset .. offset + size during start .. end."""
    for k in range(strips.filled[0]):
        if strips.offset[k] >= offset + size:
            return True
        if strips.start[k] <= end and strips.end[k] >= start and strips.offset[k] + strips.size[k] > offset:
            return False
    return True


@compiled
def insert_strip(strips, start, end, offset, size, storage):
    """Add a strip; returns its place, which stands until the next is added or some are removed."""
    place = strips.filled[0]
    while place > 0 and strips.offset[place - 1] > offset:
        strips.start[place] = strips.start[place - 1]
        strips.end[place] = strips.end[place - 1]
        strips.offset[place] = strips.offset[place - 1]
        strips.size[place] = strips.size[place - 1]
        strips.storage[place] = strips.storage[place - 1]
        place -= 1
    strips.start[place], strips.end[place] = start, end
    strips.offset[place], strips.size[place], strips.storage[place] = offset, size, storage
    strips.filled[0] += 1
    return place


@compiled
def remove_strips(strips, storage):
    """Remove all strips of a storage."""
    kept = 0
    for k in range(strips.filled[0]):
        if strips.storage[k] != storage:
            strips.start[kept], strips.end[kept] = strips.start[k], strips.end[k]
            strips.offset[kept], strips.size[kept] = strips.offset[k], strips.size[k]
            strips.storage[kept] = strips.storage[k]
            kept += 1
    strips.filled[0] = kept


@compiled
def repack(strips, grouped, capacity):
    """Place all strips anew: longest first, then largest, then lowest; strips of an alias group at one offset.

    Returns:
        Whether they fit; if not, all stay where they are.
    """
    count = strips.filled[0]
    for k in range(count):
        strips.order[k] = k
        strips.length[k] = 0
        for other in range(count) if grouped[strips.storage[k]] else range(k, k + 1):
            if strips.storage[other] == strips.storage[k]:
                strips.length[k] += strips.end[other] - strips.start[other] + 1
    _sort(strips)
    placed = 0
    for j in range(count):
        k = strips.order[j]
        if k < 0:
            continue
        offset = _common_gap(strips, grouped, capacity, k, placed)
        if offset < 0:
            return False
        for i in range(j, count):
            other = strips.order[i]
            if other == k or (other >= 0 and grouped[strips.storage[k]] and strips.storage[other] == strips.storage[k]):
                _insert_new(strips, placed, other, offset)
                placed += 1
                strips.order[i] = -1
    for k in range(count):
        strips.start[k], strips.end[k] = strips.new_start[k], strips.new_end[k]
        strips.offset[k], strips.size[k] = strips.new_offset[k], strips.new_size[k]
        strips.storage[k] = strips.new_storage[k]
    return True


@compiled
def _comes_before(strips, a, b):
    """Whether `repack` places a before b."""
    if strips.length[a] != strips.length[b]:
        return strips.length[a] > strips.length[b]
    if strips.size[a] != strips.size[b]:
        return strips.size[a] > strips.size[b]
    return a < b


@compiled
def _sort(strips):
    """Sort `strips.order` (Shell's sort)."""
    order, count = strips.order, strips.filled[0]
    step = count // 2
    while step > 0:
        for i in range(step, count):
            item, j = order[i], i
            while j >= step and _comes_before(strips, item, order[j - step]):
                order[j] = order[j - step]
                j -= step
            order[j] = item
        step = step // 2


@compiled
def _overlaps(strips, grouped, k, start, end):
    """Whether strip k, or another of its alias group, is held during a part of start .. end."""
    if not grouped[strips.storage[k]]:
        return strips.start[k] <= end and strips.end[k] >= start
    for other in range(strips.filled[0]):
        if strips.storage[other] == strips.storage[k] and strips.start[other] <= end and strips.end[other] >= start:
            return True
    return False


@compiled
def _common_gap(strips, grouped, capacity, k, placed):
    """As `find_room` among the strips placed anew, for strip k and all of its alias group."""
    size = strips.size[k]
    top, best, found = np.int64(0), capacity + 1, np.int64(-1)
    for other in range(placed):
        if _overlaps(strips, grouped, k, strips.new_start[other], strips.new_end[other]):
            gap = strips.new_offset[other] - top
            if size <= gap < best:
                best, found = gap, top
            top = max(top, strips.new_offset[other] + strips.new_size[other])
    if found < 0 and top + size <= capacity:
        return top
    return found


@compiled
def _insert_new(strips, placed, k, offset):
    """Add strip k to those placed anew."""
    place = placed
    while place > 0 and strips.new_offset[place - 1] > offset:
        strips.new_start[place] = strips.new_start[place - 1]
        strips.new_end[place] = strips.new_end[place - 1]
        strips.new_offset[place] = strips.new_offset[place - 1]
        strips.new_size[place] = strips.new_size[place - 1]
        strips.new_storage[place] = strips.new_storage[place - 1]
        place -= 1
    strips.new_start[place], strips.new_end[place] = strips.start[k], strips.end[k]
    strips.new_offset[place], strips.new_size[place] = offset, strips.size[k]
    strips.new_storage[place] = strips.storage[k]
