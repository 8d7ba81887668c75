"""The state of a mapping in compiled code: what is in CMEM, what instructions then take, and the run times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from .program import Program
from .strips import Strips, remove_strips
from .transfers import FETCH, Transfers, remove_transfers, serve_queue


class Mapping(NamedTuple):
    """What has been placed.

    Attributes:
        in_cmem: bool [N], accesses that CMEM serves.
        memory, hbm: int64 [T], what each instruction's accesses take together, and those in HBM.
        strips: what is held.
        transfers: what is moved.
        due, arrived, ordered: int64 [T], room for the judge.
        waits: int64 [T], how long each instruction waits for transfers, and the last of a segment after it too: by the
            judge, when it was last asked.
        counters: int64 [1], repacks so far.
    """

    in_cmem: NDArray[np.bool_]
    memory: NDArray[np.int64]
    hbm: NDArray[np.int64]
    strips: Strips
    transfers: Transfers
    due: NDArray[np.int64]
    arrived: NDArray[np.int64]
    ordered: NDArray[np.int64]
    waits: NDArray[np.int64]
    counters: NDArray[np.int64]

    @classmethod
    def empty(cls, program: Program) -> Mapping:
        """A mapping of a program that holds nothing yet."""
        accesses, instructions = len(program.instruction), len(program.compute)
        memory, hbm, due, arrived, ordered, waits = (np.zeros(instructions, dtype=np.int64) for _ in range(6))
        strips, transfers = Strips.empty(accesses), Transfers.empty(2 * accesses, instructions)
        in_cmem, counters = np.zeros(accesses, dtype=np.bool_), np.zeros(1, dtype=np.int64)
        return cls(in_cmem, memory, hbm, strips, transfers, due, arrived, ordered, waits, counters)


@compiled
def clear(program, mapping, contended):
    """Everything into HBM."""
    for t in range(len(mapping.hbm)):
        mapping.memory[t] = mapping.hbm[t] = 0
    for a in range(len(mapping.in_cmem)):
        mapping.in_cmem[a] = False
        mapping.memory[program.instruction[a]] += program.hbm[a]
        mapping.hbm[program.instruction[a]] += program.hbm[a]
    mapping.strips.filled[0] = 0
    mapping.transfers.filled[0] = mapping.transfers.filled[1] = 0
    mapping.counters[0] = 0
    until = mapping.transfers.until
    for t in range(len(mapping.hbm)):
        supply = program.elapsed[t] - mapping.hbm[t] if contended else program.elapsed[t]
        until[t + 1] = until[t] + supply


@compiled
def duration(program, mapping, t):
    """What instruction t takes."""
    return max(program.compute[t], mapping.memory[t]) + program.overhead


@compiled
def move_access(program, mapping, contended, a, into_cmem):
    """Serve an access by CMEM, or by HBM again."""
    t = program.instruction[a]
    before = duration(program, mapping, t) - mapping.hbm[t]
    sign = 1 if into_cmem else -1
    mapping.in_cmem[a] = into_cmem
    mapping.hbm[t] -= sign * program.hbm[a]
    mapping.memory[t] += sign * (program.cmem[a] - program.hbm[a])
    if contended:
        more = duration(program, mapping, t) - mapping.hbm[t] - before
        if more != 0:
            until = mapping.transfers.until
            for u in range(t + 1, len(until)):
                until[u] += more
            serve_queue(mapping.transfers, program.transfer, 0, 0)


@compiled
def release(program, mapping, contended, storage):
    """Move a storage back to HBM altogether."""
    remove_strips(mapping.strips, storage)
    remove_transfers(mapping.transfers, program.transfer, storage)
    for k in range(program.begin[storage], program.begin[storage + 1]):
        a = program.accesses[k]
        if mapping.in_cmem[a]:
            move_access(program, mapping, contended, a, False)


@compiled
def proxy_time(program, mapping):
    """The proxy run time, picoseconds."""
    total = np.int64(0)
    for t in range(len(mapping.hbm)):
        total += program.trips[t] * duration(program, mapping, t)
    return total


@compiled
def judged_time(program, mapping):
    """The run time with waits for transfers, by the judge `fifo`, picoseconds."""
    due, arrived, ordered = mapping.due, mapping.arrived, mapping.ordered
    instructions, total, first = len(mapping.hbm), np.int64(0), 0
    _line_up(program, mapping)
    while first < instructions:
        last = program.last[first]
        work = done = must = np.int64(0)
        for t in range(first, last + 1):
            work = max(work, arrived[t])
            must = max(must, due[t])
            mapping.waits[t] = max(must - done, 0)
            done += mapping.waits[t]
            instruction = duration(program, mapping, t)
            done = min(work, done + instruction - mapping.hbm[t])
            total += program.trips[t] * (instruction + mapping.waits[t])
        mapping.waits[last] += ordered[first] - done
        total += program.trips[first] * (ordered[first] - done)
        first = last + 1
    return total


@compiled
def _line_up(program, mapping):
    """Add up the work that each segment's queue is given.

    Counted from the segment's start, ``arrived[t]`` is what has come before instruction t begins and ``due[t]`` what
    must be done by then; ``ordered`` of the segment's first instruction is all, which must be done at its end.
    """
    due, arrived, ordered, transfers = mapping.due, mapping.arrived, mapping.ordered, mapping.transfers
    for t in range(len(due)):
        due[t] = arrived[t] = ordered[t] = 0
    i = j = 0
    while True:
        queue = _next_queue(transfers, i, j)
        if queue < 0:
            return
        k = i if queue == 0 else j
        i, j = i + (queue == 0), j + (queue == 1)
        start, end = transfers.start[queue, k], transfers.end[queue, k]
        first = program.first[start + 1 if transfers.kind[queue, k] == FETCH else start]
        last = program.last[first]
        ordered[first] += program.transfer[transfers.storage[queue, k]]
        if start < last:
            arrived[start + 1] = ordered[first]
        if end <= last:
            due[end] = max(due[end], ordered[first])


@compiled
def _next_queue(transfers, i, j):
    """Which of the two queues holds the next transfer, the first by (s, e); -1 for none."""
    more_0, more_1 = i < transfers.filled[0], j < transfers.filled[1]
    if not more_0 and not more_1:
        return -1
    if not more_1:
        return 0
    if not more_0:
        return 1
    if transfers.start[0, i] != transfers.start[1, j]:
        return 0 if transfers.start[0, i] < transfers.start[1, j] else 1
    return 0 if transfers.end[0, i] <= transfers.end[1, j] else 1
