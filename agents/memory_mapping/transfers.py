"""Transfers that share a supply, in compiled code: first come first served, as XLA's ``AsynchronousCopyResource``.

A transfer (s, e) uses the supply of instructions s + 1 .. e - 1. With ``until[t]`` the supply before instruction t,
a queue that is served in order ends its k-th transfer when ``max(ends[k - 1], until[s_k + 1]) + work_k`` of supply has
passed; the transfer is in time if that is at most ``until[e_k]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled

FETCH, WRITE_BACK = 0, 1


class Transfers(NamedTuple):
    """Two queues of transfers, sorted by (s, e); int64 each. Where the supply is shared the second stays empty.

    Attributes:
        filled: [2], how many there are.
        start, end, storage, kind: [2, room], s, e, whose, and FETCH or WRITE_BACK.
        ends: [2, room], supply that has passed when it is complete.
        until: [T + 1], supply before each instruction.
    """

    filled: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    storage: NDArray[np.int64]
    kind: NDArray[np.int64]
    ends: NDArray[np.int64]
    until: NDArray[np.int64]

    @classmethod
    def empty(cls, room: int, instructions: int) -> Transfers:
        """Room for `room` transfers in each direction, none of them made."""
        start, end, storage, kind, ends = (np.zeros((2, room), dtype=np.int64) for _ in range(5))
        filled, until = np.zeros(2, dtype=np.int64), np.zeros(instructions + 1, dtype=np.int64)
        return cls(filled, start, end, storage, kind, ends, until)


@compiled
def find_place(transfers, queue, start, end):
    """Where a transfer comes in its queue."""
    begin, finish = transfers.start[queue], transfers.end[queue]
    place, high = np.int64(0), transfers.filled[queue]
    while place < high:
        middle = (place + high) // 2
        if begin[middle] < start or (begin[middle] == start and finish[middle] <= end):
            place = middle + 1
        else:
            high = middle
    return place


@compiled
def are_in_time(transfers, work, queue, place, start, end, added):
    """Whether a transfer of `added` work can be inserted at its place so that it and all others are in time."""
    begin, finish, ends, until = transfers.start[queue], transfers.end[queue], transfers.ends[queue], transfers.until
    now = until[start + 1] if place == 0 else max(ends[place - 1], until[start + 1])
    now += added
    if now > until[end]:
        return False
    for k in range(place, transfers.filled[queue]):
        now = max(now, until[begin[k] + 1]) + work[transfers.storage[queue, k]]
        if now == ends[k]:
            return True
        if now > until[finish[k]]:
            return False
    return True


@compiled
def insert_transfer(transfers, work, queue, place, start, end, storage, kind):
    """Insert a transfer at the place that `find_place` found."""
    for k in range(transfers.filled[queue], place, -1):
        transfers.start[queue, k] = transfers.start[queue, k - 1]
        transfers.end[queue, k] = transfers.end[queue, k - 1]
        transfers.storage[queue, k] = transfers.storage[queue, k - 1]
        transfers.kind[queue, k] = transfers.kind[queue, k - 1]
    transfers.start[queue, place], transfers.end[queue, place] = start, end
    transfers.storage[queue, place], transfers.kind[queue, place] = storage, kind
    transfers.filled[queue] += 1
    serve_queue(transfers, work, queue, place)


@compiled
def serve_queue(transfers, work, queue, place):
    """Work out when transfers are complete, from a place on."""
    now = np.int64(0) if place == 0 else transfers.ends[queue, place - 1]
    for k in range(place, transfers.filled[queue]):
        start = transfers.start[queue, k]
        now = max(now, transfers.until[start + 1]) + work[transfers.storage[queue, k]]
        transfers.ends[queue, k] = now


@compiled
def remove_transfers(transfers, work, storage):
    """Remove all transfers of a storage."""
    for queue in range(2):
        kept = 0
        for k in range(transfers.filled[queue]):
            if transfers.storage[queue, k] != storage:
                transfers.start[queue, kept] = transfers.start[queue, k]
                transfers.end[queue, kept] = transfers.end[queue, k]
                transfers.storage[queue, kept] = transfers.storage[queue, k]
                transfers.kind[queue, kept] = transfers.kind[queue, k]
                kept += 1
        transfers.filled[queue] = kept
        serve_queue(transfers, work, queue, 0)


@compiled
def under_way(transfers, queue, kind, start, end):
    """How many transfers of a kind overlap with start .. end."""
    found = 0
    for k in range(transfers.filled[queue]):
        if transfers.start[queue, k] > end:
            break
        if transfers.kind[queue, k] == kind and transfers.end[queue, k] >= start:
            found += 1
    return found


@compiled
def overtakes(transfers, queue, kind, start, end):
    """Whether one of a kind would begin later and be due earlier than another."""
    for k in range(transfers.filled[queue]):
        if transfers.kind[queue, k] == kind:
            begin, finish = transfers.start[queue, k], transfers.end[queue, k]
            if (begin < start and finish > end) or (begin > start and finish < end):
                return True
    return False
