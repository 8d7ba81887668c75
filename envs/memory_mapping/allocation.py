"""Offsets for buffers whose life times are known: the part of memory mapping that public challenges are about.

A challenge is a list of buffers, each live during [lower, upper) with a size; buffers that live at the same time must
not overlap in memory. Here are the CSV format of Google's minimalloc, the greedy placements that compilers use, and an
exact search for a placement within a capacity.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.csv_table import read_csv
from ..core.files import decode_text, read_bounded
from ..core.instance import require_integer

COLUMNS = ("id", "lower", "upper", "size")
PLACEMENTS = ("size", "duration", "usmp-size", "usmp-conflicts")
UNLIMITED = 2**60
_LARGEST = 2**50
_MOST_BUFFERS = 100_000


@dataclass(frozen=True, eq=False)
class Challenge:
    """Buffers to be placed; all int64 [n].

    Attributes:
        names: what the buffers are called.
        lower, upper: each lives during [lower, upper).
        size: bytes, or any other unit.
    """

    names: tuple[str, ...]
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[int, int, int]]) -> Challenge:
        """Of (lower, upper, size) of each buffer, named by their numbers."""
        lower, upper, size = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return cls(tuple(str(k) for k in range(len(rows))), lower.copy(), upper.copy(), size.copy())

    @classmethod
    def load(cls, path: str | Path) -> Challenge:
        """Read a file with the header ``id,lower,upper,size``.

        Raises:
            UserError: it cannot be read, or a row is malformed; the message names row and column.
        """
        source = str(path)
        rows: dict[str, tuple[int, int, int]] = {}
        for row in read_csv(decode_text(read_bounded(path), source), source, COLUMNS):
            name = row.label("id")
            if name in rows:
                raise row.error("id", "another one than the rows above have")
            lower = row.integer("lower", 0, _LARGEST - 1)
            rows[name] = (lower, row.integer("upper", lower + 1, _LARGEST), row.integer("size", 1, _LARGEST))
        require_integer("number of buffers", len(rows), 1, _MOST_BUFFERS, source)
        numbers = cls.from_rows(list(rows.values()))
        return cls(tuple(rows), numbers.lower, numbers.upper, numbers.size)

    @property
    def num_buffers(self) -> int:
        """How many buffers there are."""
        return len(self.size)

    @cached_property
    def sections(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(first, stop) int64 [n]: the stretches of time between any beginnings or ends during which each lives."""
        times = np.unique(np.concatenate([self.lower, self.upper]))
        return np.searchsorted(times, self.lower), np.searchsorted(times, self.upper)

    @cached_property
    def section_load(self) -> NDArray[np.int64]:
        """What is live during each section."""
        first, stop = self.sections
        change = np.zeros(int(stop.max()) + 1, dtype=np.int64)
        np.add.at(change, first, self.size)
        np.add.at(change, stop, -self.size)
        return np.cumsum(change)[:-1]

    @property
    def peak(self) -> int:
        """What is live at most: no placement is lower."""
        return int(self.section_load.max())

    def height(self, offsets: NDArray[np.int64]) -> int:
        """The memory that a placement needs.

        Raises:
            ValueError: two buffers overlap.
        """
        first, stop = self.sections
        order = np.argsort(offsets, kind="stable")
        top = np.zeros(len(self.section_load), dtype=np.int64)
        for k in order.tolist():
            live = slice(first[k], stop[k])
            if offsets[k] < 0 or (top[live] > offsets[k]).any():
                raise ValueError(f"buffer {self.names[k]!r} overlaps with another")
            top[live] = offsets[k] + self.size[k]
        return int(top.max())


# --- greedy placements ------------------------------------------------------------------------------------------------


def place(challenge: Challenge, how: str) -> NDArray[np.int64]:
    """Offsets int64 [n] by a greedy placement.

    Args:
        challenge: the buffers.
        how: "size" or "duration", the best fit of XLA's heap simulator in the order of size, then duration, or the
            other way round; "usmp-size" or "usmp-conflicts", the lowest fit in the order of size, or of the number of
            buffers that live at the same time, as in TVM's unified static memory planner.
    """
    duration = challenge.upper - challenge.lower
    keys = {
        "size": (challenge.size, duration),
        "duration": (duration, challenge.size),
        "usmp-size": (challenge.size, duration),
        "usmp-conflicts": (conflicts(challenge), challenge.size),
    }[how]
    order = np.lexsort((-keys[1], -keys[0]))
    return place_in_order(challenge, order, lowest=how.startswith("usmp"))


def place_in_order(challenge: Challenge, order: NDArray[np.int64], lowest: bool = False) -> NDArray[np.int64]:
    """Offsets int64 [n]: each buffer in its turn into the smallest gap that is large enough, or the lowest one."""
    n = challenge.num_buffers
    placed = np.zeros((4, n), dtype=np.int64)
    offsets = np.zeros(n, dtype=np.int64)
    place_all(challenge.lower, challenge.upper - 1, challenge.size, order.astype(np.int64), lowest, placed, offsets)
    return offsets


def conflicts(challenge: Challenge) -> NDArray[np.int64]:
    """int64 [n], how many others live at the same time as each."""
    begins, ends = np.sort(challenge.lower), np.sort(challenge.upper)
    begun = np.searchsorted(begins, challenge.upper, side="left")
    return begun - np.searchsorted(ends, challenge.lower, side="right") - 1


@compiled
def find_gap(start, end, offset, size, filled, capacity, first, last, wanted, lowest):
    """Offset of the smallest gap, or the lowest one, that is large enough; the lowest of equals; -1 for none.

    Args:
        start, end, offset, size: int64 [>= filled], blocks sorted by offset, held from `start` to `end`, both included.
        filled: how many blocks there are.
        capacity: of the memory; the open space above the blocks counts as infinite.
        first, last: when the gap is needed, both included.
        wanted: how large it must be.
        lowest: whether to take the lowest.
    """
    top, best, found = np.int64(0), capacity + 1, np.int64(-1)
    for k in range(filled):
        if start[k] <= last and end[k] >= first:
            gap = offset[k] - top
            if wanted <= gap < best:
                if lowest:
                    return top
                best, found = gap, top
            top = max(top, offset[k] + size[k])
    if found < 0 and top + wanted <= capacity:
        return top
    return found


@compiled
def place_all(start, end, size, order, lowest, placed, offsets):
    """Fill `offsets`; `placed` int64 [4, n] is room for the blocks sorted by offset."""
    for n in range(len(order)):
        k = order[n]
        offset = find_gap(
            placed[0], placed[1], placed[2], placed[3], n, np.int64(UNLIMITED), start[k], end[k], size[k], lowest
        )
        offsets[k] = offset
        spot = n
        while spot > 0 and placed[2, spot - 1] > offset:
            for row in range(4):
                placed[row, spot] = placed[row, spot - 1]
            spot -= 1
        placed[0, spot], placed[1, spot], placed[2, spot], placed[3, spot] = start[k], end[k], offset, size[k]


# --- exact search -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packing:
    """What a search for a placement within a capacity came to.

    Attributes:
        offsets: int64 [n]; None where none was found.
        proved: whether, where none was found, there is none.
        nodes: how many placements of a buffer were tried.
        seconds: wall time.
    """

    offsets: NDArray[np.int64] | None
    proved: bool
    nodes: int
    seconds: float


_OPEN, _SOLVED, _IMPOSSIBLE, _GAVE_UP = range(4)
_ORDERS = 3
_NODES = 20_000  # of the first try; the tries grow by a half


def pack(challenge: Challenge, capacity: int, seconds: float, seed: int = 0) -> Packing:
    """Search for a placement within a capacity.

    Depth first over *canonical* placements, those in which no buffer can be moved down, buffer by buffer upwards:
    Moffitt, "MiniMalloc: a lightweight memory allocator for hardware-accelerated machine learning" (ASPLOS 2023).
    Written from the idea: what is unplaced falls apart into stretches of time that are searched one by one; a stretch
    fails as soon as somewhere what is unplaced does not fit above the lowest place that it can still have. Tries that
    take too long are given up for another order of equally low buffers.

    Args:
        challenge: the buffers.
        capacity: of the memory.
        seconds: wall time, without that in which code is compiled.
        seed: of the orders after the first few.
    """
    first, stop = (x.astype(np.int64) for x in challenge.sections)
    order = np.argsort(first, kind="stable")  # so that a stretch of time is a range of buffers
    first, stop, size = first[order], stop[order], challenge.size[order]
    room = _Room.empty(challenge, int(conflicts(challenge).sum()))
    arguments = first, stop, size, challenge.section_load, np.int64(capacity)
    search(*arguments, _ranks(challenge, order, 0, seed), 0, room)
    began, nodes, limit, number = time.perf_counter(), 0, _NODES, 0
    while True:
        status, tried = search(*arguments, _ranks(challenge, order, number, seed), limit, room)
        nodes, spent = nodes + int(tried), time.perf_counter() - began
        if status == _SOLVED:
            offsets = np.zeros(challenge.num_buffers, dtype=np.int64)
            offsets[order] = room.low
            return Packing(offsets, False, nodes, spent)
        if status == _IMPOSSIBLE or spent > seconds:
            return Packing(None, status == _IMPOSSIBLE, nodes, spent)
        number += 1
        limit += limit // 2 if number % _ORDERS == 0 else 0


def _ranks(challenge: Challenge, order: NDArray[np.int64], number: int, seed: int) -> NDArray[np.int64]:
    """int64 [n], which of equally low buffers is tried first in a try.

    Long, large (in area) or crowded buffers first, in three orders of these keys; from the fourth try on the keys are
    multiplied by random factors.
    """
    first, stop = challenge.sections
    crowd = [int(challenge.section_load[a:b].max()) for a, b in zip(first.tolist(), stop.tolist(), strict=True)]
    duration = challenge.upper - challenge.lower
    keys = np.array([duration, duration * challenge.size, crowd], dtype=np.float64)[:, order]
    if number >= _ORDERS:
        keys *= np.random.default_rng([seed, number]).uniform(1.0, 1.5, keys.shape)
    a, b, c = ((0, 1, 2), (2, 1, 0), (2, 0, 1))[number % _ORDERS]
    ranks = np.zeros(len(order), dtype=np.int64)
    ranks[np.lexsort((-keys[c], -keys[b], -keys[a]))] = np.arange(len(order))
    return ranks


# Columns of a frame: its stretch of time, as sections and buffers; offset and rank of what was placed before; how many
# changes there were; offset and rank of what has been tried; whether that is alone; the stretches that are left.
(
    _SECTION,
    _SECTION_STOP,
    _BUFFER,
    _BUFFER_STOP,
    _FLOOR,
    _FLOOR_RANK,
    _MARK,
    _TRIED,
    _TRIED_RANK,
    _ALONE,
    _NEXT,
    _END,
    _COLUMNS,
) = range(13)
_LOW, _FLOOR_OF, _PLACED = range(3)


class _Room(NamedTuple):
    """What `search` works with; int64 each. Buffers are sorted by their first section.

    Attributes:
        low: [n], the lowest offset of each buffer that is above all that lies under it; final once it is placed.
        placed: [n], whether it is.
        floor, unplaced, bottom: [sections], top of what is placed, size of what is not, and a bound on how low the
            latter can lie.
        undo: [changes, 3], what to undo: a table, a row, and what it held.
        stretch: [2 n + 2, 4], stretches of time that are still to be searched: sections from .. to, buffers from .. to.
        frame: [n + 2, _COLUMNS], the buffers that are being placed, one upon another.
    """

    low: NDArray[np.int64]
    placed: NDArray[np.int64]
    floor: NDArray[np.int64]
    unplaced: NDArray[np.int64]
    bottom: NDArray[np.int64]
    undo: NDArray[np.int64]
    stretch: NDArray[np.int64]
    frame: NDArray[np.int64]

    @classmethod
    def empty(cls, challenge: Challenge, pairs: int) -> _Room:
        n, sections = challenge.num_buffers, len(challenge.section_load)
        first, stop = challenge.sections
        changes = int((stop - first).sum()) + pairs + n
        lengths = (n, n, sections, sections, sections)
        low, placed, floor, unplaced, bottom = (np.zeros(length, dtype=np.int64) for length in lengths)
        undo, stretch = np.zeros((changes, 3), dtype=np.int64), np.zeros((2 * n + 2, 4), dtype=np.int64)
        return cls(low, placed, floor, unplaced, bottom, undo, stretch, np.zeros((n + 2, _COLUMNS), dtype=np.int64))


@compiled
def search(first, stop, size, load, capacity, rank, limit, room):
    """Search for a placement within a capacity; (status, number of placements tried). `_Room.low` holds it."""
    n, sections = len(size), len(load)
    low, frame, stretch = room.low, room.frame, room.stretch
    for i in range(n):
        low[i] = room.placed[i] = 0
    for s in range(sections):
        room.floor[s], room.unplaced[s] = 0, load[s]
        if load[s] > capacity:
            return _IMPOSSIBLE, 0
    # Frame 0 places nothing: the stretches below it are those of the whole challenge.
    depth, changes, nodes = 0, 0, 0
    frame[0, _NEXT], frame[0, _END] = 0, split(first, stop, room, 0, n, 0)
    frame[0, _TRIED], frame[0, _TRIED_RANK], frame[0, _MARK], frame[0, _ALONE] = 0, -1, 0, 1
    descend = True
    while True:
        if descend:
            if frame[depth, _NEXT] == frame[depth, _END]:
                if depth == 0:
                    return _SOLVED, nodes
                depth -= 1
                continue
            part = frame[depth, _NEXT]
            frame[depth, _NEXT] += 1
            depth += 1
            for column in range(4):
                frame[depth, column] = stretch[part, column]
            frame[depth, _FLOOR], frame[depth, _FLOOR_RANK] = frame[depth - 1, _TRIED], frame[depth - 1, _TRIED_RANK]
            frame[depth, _TRIED] = frame[depth, _TRIED_RANK] = -1
            frame[depth, _MARK], frame[depth, _ALONE] = changes, 0
        else:
            changes = take_back(first, stop, size, room, changes, frame[depth, _MARK])
        chosen = -1
        if frame[depth, _ALONE] == 0:
            chosen = choose(size, rank, room, depth)
        if chosen < 0:
            if depth == 0:
                return _IMPOSSIBLE, nodes
            depth -= 1
            descend = False
            continue
        if nodes >= limit:
            return _GAVE_UP, nodes
        nodes += 1
        frame[depth, _TRIED], frame[depth, _TRIED_RANK] = low[chosen], rank[chosen]
        changes = put(first, stop, size, room, chosen, depth, changes)
        descend = fits(first, stop, size, capacity, room, depth)
        if descend:
            begin = frame[depth - 1, _END]
            frame[depth, _NEXT] = begin
            frame[depth, _END] = split(first, stop, room, frame[depth, _BUFFER], frame[depth, _BUFFER_STOP], begin)


@compiled
def split(first, stop, room, begin, end, count):
    """List the stretches of time that the unplaced ones of buffers begin .. end - 1 fall apart into; the list's end."""
    reach = -1
    for i in range(begin, end):
        if room.placed[i] == 0:
            if first[i] >= reach:
                if reach >= 0:
                    count += 1
                room.stretch[count, _BUFFER], room.stretch[count, _SECTION] = i, first[i]
                reach = stop[i]
            reach = max(reach, stop[i])
            room.stretch[count, _BUFFER_STOP], room.stretch[count, _SECTION_STOP] = i + 1, reach
    return count if reach < 0 else count + 1


@compiled
def choose(size, rank, room, depth):
    """The next buffer to be tried, the lowest first, then by rank; -1 for none.

    A placement is built upwards. A buffer must not lie so high that another would fit below it.
    """
    frame, low = room.frame, room.low
    below = np.int64(UNLIMITED)
    begin, end = frame[depth, _BUFFER], frame[depth, _BUFFER_STOP]
    for i in range(begin, end):
        if room.placed[i] == 0:
            below = min(below, low[i] + size[i])
    floor, floor_rank = frame[depth, _FLOOR], frame[depth, _FLOOR_RANK]
    tried, tried_rank = frame[depth, _TRIED], frame[depth, _TRIED_RANK]
    chosen, at, by = -1, below, np.int64(0)
    for i in range(begin, end):
        if room.placed[i] == 0:
            offset, mine = low[i], rank[i]
            reached = offset > floor or (offset == floor and mine > floor_rank)
            fresh = offset > tried or (offset == tried and mine > tried_rank)
            if reached and fresh and (offset < at or (offset == at and chosen >= 0 and mine < by)):
                chosen, at, by = i, offset, mine
    return chosen


@compiled
def put(first, stop, size, room, chosen, depth, changes):
    """Place a buffer as low as it can be; returns how many changes there are to be undone.

    One that has no unplaced one above itself is alone: where that fails nothing else can help.
    """
    frame, undo, low = room.frame, room.undo, room.low
    begin, end, top = first[chosen], stop[chosen], low[chosen] + size[chosen]
    room.placed[chosen] = 1
    undo[changes, 0], undo[changes, 1] = _PLACED, chosen
    changes += 1
    for s in range(begin, end):
        undo[changes, 0], undo[changes, 1], undo[changes, 2] = _FLOOR_OF, s, room.floor[s]
        changes += 1
        room.floor[s] = top
        room.unplaced[s] -= size[chosen]
    alone = 1
    for i in range(frame[depth, _BUFFER], frame[depth, _BUFFER_STOP]):
        if room.placed[i] == 0 and first[i] < end and stop[i] > begin:
            alone = 0
            if low[i] < top:
                undo[changes, 0], undo[changes, 1], undo[changes, 2] = _LOW, i, low[i]
                changes += 1
                low[i] = top
    frame[depth, _ALONE] = alone
    return changes


@compiled
def take_back(first, stop, size, room, changes, mark):
    """Undo changes down to a mark; returns the mark."""
    undo = room.undo
    while changes > mark:
        changes -= 1
        row = undo[changes, 1]
        if undo[changes, 0] == _LOW:
            room.low[row] = undo[changes, 2]
        elif undo[changes, 0] == _FLOOR_OF:
            room.floor[row] = undo[changes, 2]
        else:
            room.placed[row] = 0
            for s in range(first[row], stop[row]):
                room.unplaced[s] += size[row]
    return mark


@compiled
def fits(first, stop, size, capacity, room, depth):
    """Whether the unplaced ones of a stretch can still fit: above the lowest that any of a section's can lie."""
    frame, low, bottom = room.frame, room.low, room.bottom
    floor = frame[depth, _TRIED]
    for s in range(frame[depth, _SECTION], frame[depth, _SECTION_STOP]):
        bottom[s] = UNLIMITED
    for i in range(frame[depth, _BUFFER], frame[depth, _BUFFER_STOP]):
        if room.placed[i] == 0:
            least = max(low[i], floor)
            if least + size[i] > capacity:
                return False
            for s in range(first[i], stop[i]):
                bottom[s] = min(bottom[s], least)
    for s in range(frame[depth, _SECTION], frame[depth, _SECTION_STOP]):
        if room.unplaced[s] > 0 and bottom[s] + room.unplaced[s] > capacity:
            return False
    return True
