"""What a learned order sees of a program's storages: before anything is placed, and after a mapping.

All features are shares of the program's own sizes and times, so that one set of weights orders any program.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from .orders import boundedness, order_of
from .program import Program
from .transfers import FETCH

FIXED = (
    "standing",  # the score that XLA's priority comes to, from the program's median
    "rank",  # of XLA's order, 0 for the first
    "size",  # log, of CMEM
    "gain",  # log, what all its accesses save in CMEM, rounds of loops counted, of the run time per storage
    "bounded",  # share of that gain where instructions wait for memory
    "length",  # of its live range, of the run time
    "begin",  # of its live range, of the run time
    "accesses",  # log
    "looped",  # share of its accesses in loops
    "longest_gap",  # between accesses, in copies of the whole of CMEM
    "outside",  # holds a value before the program starts
    "output",
    "grouped",
    "carried",
    "written_first",
    "density",  # log, gain by size and length, from the program's median
    "crowd",  # log, mean of what storages before it in XLA's order take of CMEM during its live range
    "peak",  # log, the most of it
    "load",  # log, mean of what all take
    "transfer",  # log, time of a copy of the elapsed time before its first access
    "queue",  # log, copies of storages before it that are due by then, of the elapsed time
    "idle_queue",  # log, the same of the time that HBM is idle
)
GENERAL = (
    "demand",  # log, mean of what all storages take of CMEM
    "peak_demand",  # log, the most of it
    "idle",  # share of the time in which HBM is idle
    "looped",  # share of the time in loops
    "instructions",  # log
    "storages",  # log
    "copies",  # log, all copies of what is outside, of the run time
    "contended",  # the mapper's options
    "limited",
    "preferred",  # log
)
SEEN = (
    "kept",  # share of the gain that the mapping has
    "served",  # share of accesses in CMEM
    "missing",  # log, what one access after another would save now, of the run time
    "worth",  # log, what would be lost without it now, of the run time
    "waits",  # log, of instructions for its transfers, of the run time
    "held",  # log, of CMEM by the run time
    "useless",  # share of what it has that saves nothing as things are
    "moved",  # by how much its score is above XLA's
    "outcome",  # log, the mapping's run time by that of the first
)
FIRST_OPTION = len(GENERAL) - 3
_FLOOR = 1e-3  # of the median priority: those below, and negative ones, are told apart no more by their logarithm
_LEAST = 1e-4  # of the run time: what is less than this is little


class Outlook(NamedTuple):
    """A program's storages in XLA's order, for compiled code.

    Attributes:
        order: int64 [S], dense numbers in XLA's order.
        place: int64 [S], of each dense number in it.
        base: float64 [S], scores that sort them so, never rising.
        fixed: float64 [S, len(FIXED)], general: float64 [len(GENERAL)].
        total: all-HBM run time, picoseconds.
    """

    order: NDArray[np.int64]
    place: NDArray[np.int64]
    base: NDArray[np.float64]
    fixed: NDArray[np.float64]
    general: NDArray[np.float64]
    total: float


def outlook_of(program: Program) -> Outlook:
    """What is to be seen of a program before anything is placed."""
    order = order_of(program, "priority")
    base = _standing(boundedness(program) / np.sqrt(program.size))
    total = float(program.trips @ program.elapsed)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    fixed, general = _features(program, base, order, place, total)
    return Outlook(
        order, place, base[order], np.ascontiguousarray(fixed[order]), np.append(general, np.zeros(3)), total
    )


def _standing(priority: NDArray[np.float64]) -> NDArray[np.float64]:
    """A score that rises with XLA's priority, like its logarithm where it counts."""
    positive = priority[priority > 0]
    scale = _FLOOR * float(np.median(positive)) if len(positive) else 1.0
    return np.arcsinh(priority / scale)


def _features(
    program: Program,
    base: NDArray[np.float64],
    order: NDArray[np.int64],
    place: NDArray[np.int64],
    total: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(fixed [S, F] by dense number, general without the options)."""
    count, instructions = program.num_storages, len(program.compute)
    of, t = program.storage, program.instruction
    used = np.maximum(np.bincount(of, minlength=count), 1)

    def summed(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(of, weights=values, minlength=count)

    def some(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return summed(flags) > 0

    memory = np.bincount(t, weights=program.hbm, minlength=instructions)
    slack = np.maximum(memory - program.compute, 0.0)
    saved = (program.hbm - program.cmem).astype(np.float64)
    gain, bounded = summed(saved * program.trips[t]), summed(np.minimum(saved, slack[t]) * program.trips[t])
    first, last = np.zeros(count, dtype=np.int64), np.full(count, -1)
    gap, writes_first = np.zeros(count), np.zeros(count, dtype=np.bool_)
    until = program.elapsed_until.astype(np.float64)
    for s in range(count):
        accesses = program.accesses[program.begin[s] : program.begin[s + 1]]
        if len(accesses):
            at = t[accesses]
            first[s], last[s] = at[0], at[-1]
            gap[s] = np.max(until[at[1:]] - until[at[:-1]], initial=0.0)
            writes_first[s] = program.writes[accesses[0]]
    length = until[last + 1] - until[first]
    idle = np.concatenate([[0.0], np.cumsum(np.maximum(program.elapsed - memory, 0.0))])
    elapsed = max(until[-1], 1.0)
    size = program.size / program.cmem_bytes
    crowd, peak, load, demand = _crowding(size, first, last, np.diff(until), order)
    copies = np.where(program.outside, program.transfer, 0).astype(np.float64)
    queued = np.array([copies[(first <= first[s]) & (place <= place[s])].sum() for s in range(count)])
    before, idle_before = until[first] + 1e-3 * elapsed, idle[first] + 1e-3 * elapsed
    standard = elapsed / max(count, 1)
    density = np.log((np.maximum(gain, 0.0) + _LEAST * standard) / (size * (length + _LEAST * elapsed)))
    fixed = np.stack(
        [
            (base - np.median(base)) / 2.0,
            2.0 * place / max(count - 1, 1) - 1.0,
            np.log(size) / 3.0,
            np.log((np.maximum(gain, 0.0) + _LEAST * total) / total * count) / 3.0,
            np.clip(bounded / np.maximum(gain, 1.0), -1.0, 1.0),
            length / elapsed,
            until[first] / elapsed,
            np.log(used) / 2.0,
            summed(program.in_loop[t].astype(np.float64)) / used,
            np.minimum(gap / program.whole_copy / 8.0, 2.0),
            program.outside,
            some(program.output),
            program.grouped,
            some(program.carried),
            writes_first,
            (density - np.median(density)) / 3.0,
            np.log1p(crowd),
            np.log1p(peak),
            np.log1p(load),
            np.where(program.outside, np.log(program.transfer / before) / 3.0, 0.0),
            np.where(program.outside, np.log(queued / before + 1e-3) / 3.0, 0.0),
            np.where(program.outside, np.log(queued / idle_before + 1e-3) / 3.0, 0.0),
        ],
        axis=1,
    )
    general = np.array(
        [
            np.log1p(float(demand @ np.diff(until)) / elapsed),
            np.log1p(float(demand.max(initial=0.0))),
            idle[-1] / elapsed,
            float(program.looped_until[-1]) / elapsed,
            np.log(instructions) / 5.0,
            np.log(count) / 5.0,
            np.log1p(float(copies.sum()) / elapsed),
        ]
    )
    return fixed.astype(np.float64), general


def _crowding(
    size: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    elapsed: NDArray[np.float64],
    order: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(mean and most of what storages before it in the order take, mean of what all take; what all take when)."""
    count = len(size)
    crowd, peak, load, demand = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(len(elapsed))
    for s in order.tolist():
        held = slice(first[s], last[s] + 1)
        weights = elapsed[held] + 1.0
        if last[s] >= first[s]:
            crowd[s] = demand[held] @ weights / weights.sum()
            peak[s] = demand[held].max()
        demand[held] += size[s]
    for s in order.tolist():
        held = slice(first[s], last[s] + 1)
        weights = elapsed[held] + 1.0
        if last[s] >= first[s]:
            load[s] = demand[held] @ weights / weights.sum()
    return crowd, peak, load, demand


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def look_at(program, outlook, mapping, scores, sums, outcome, seen):
    """Fill `seen` [S, len(SEEN)] with what a judged mapping has come to.

    Args:
        scores: float64 [S], in XLA's order, by which it was made.
        sums: float64 [S, 6], room.
        outcome: its run time by that of the mapping in XLA's order.
    """
    count, total, place = len(scores), outlook.total, outlook.place
    for k in range(count):
        for j in range(6):
            sums[k, j] = 0.0
    for a in range(len(mapping.in_cmem)):
        t = program.instruction[a]
        k, saved, trips = place[program.storage[a]], float(program.hbm[a] - program.cmem[a]), program.trips[t]
        now = max(program.compute[t], mapping.memory[t])
        sums[k, 0] += saved * trips
        if mapping.in_cmem[a]:
            sums[k, 1] += saved * trips
            sums[k, 2] += (max(float(program.compute[t]), mapping.memory[t] + saved) - now) * trips
        else:
            sums[k, 3] += (now - max(float(program.compute[t]), mapping.memory[t] - saved)) * trips
    strips, transfers = mapping.strips, mapping.transfers
    for n in range(strips.filled[0]):
        time = program.elapsed_until[strips.end[n] + 1] - program.elapsed_until[strips.start[n]]
        sums[place[strips.storage[n]], 4] += float(time) * strips.size[n] / program.cmem_bytes
    for queue in range(2):
        for n in range(transfers.filled[queue]):
            start, end = transfers.start[queue, n], transfers.end[queue, n]
            first = program.first[start + 1 if transfers.kind[queue, n] == FETCH else start]
            t = min(end, program.last[first])
            sums[place[transfers.storage[queue, n]], 5] += float(mapping.waits[t]) * program.trips[first]
    elapsed, little = float(program.elapsed_until[-1]), _LEAST * total
    for k in range(count):
        begin = program.begin[outlook.order[k]]
        accesses = program.begin[outlook.order[k] + 1] - begin
        served = 0
        for n in range(accesses):
            served += mapping.in_cmem[program.accesses[begin + n]]
        kept = sums[k, 1]
        seen[k, 0] = kept / max(sums[k, 0], 1.0)
        seen[k, 1] = served / max(accesses, 1)
        seen[k, 2] = math.log1p(max(sums[k, 3], 0.0) / little) / 3.0
        seen[k, 3] = math.log1p(max(sums[k, 2], 0.0) / little) / 3.0
        seen[k, 4] = math.log1p(sums[k, 5] / little) / 3.0
        seen[k, 5] = math.log1p(1000.0 * sums[k, 4] / elapsed) / 3.0
        seen[k, 6] = max(kept - sums[k, 2], 0.0) / max(kept, 1.0)
        seen[k, 7] = (scores[k] - outlook.base[k]) / 2.0
        seen[k, 8] = 5.0 * math.log(outcome)
