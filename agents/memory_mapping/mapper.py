"""A mapper after XLA's memory space assignment (memory_space_assignment.cc, prefetch_interval_picker.cc, May 2023).

Storages are placed one after another, in an order that is an input. Between consecutive accesses of a value it tries,
in this order: to leave it where it is in CMEM; to write it back, if CMEM alone has it; to fetch it. What a loop reads
is fetched before it and held to its end, as XLA does with the operands of a while loop, or else fetched in every round.
What differs from XLA follows from the problem: copies stay within segments, a fetch begins after the access before, an
alias group is in CMEM for all of its accesses or for none, and a strip that enters a loop is held to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import FieldError
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import SUPPLIES, MemoryPlan, Placement
from .mapping import Mapping, clear, judged_time, move_access, proxy_time, release
from .program import Program, program_of
from .strips import find_room, insert_strip, is_free, repack
from .transfers import FETCH, WRITE_BACK, are_in_time, find_place, insert_transfer, overtakes, under_way

_NEVER = 2**62
_EXPLORED_EARLIER = 100.0  # how many earlier starts are tried once no later ones are left (prefetch_interval_picker.cc)

_PLACED, _UNCOMMIT, _OUT_OF_MEMORY = range(3)
_NOWHERE, _NO_ROOM = -1, -2


@dataclass(frozen=True)
class MapperOptions:
    """How the mapper maps; the defaults are XLA's for CMEM.

    Attributes:
        supply: what transfers must fit: "elapsed", as XLA counts; "contended", what instructions leave of HBM; or
            "unlimited", nothing, so that instructions wait for them.
        preferred, minimum: time of the instructions that a fetch should, and must, overlap, in copies of the tensor.
        maximum: time for which a value may be held without an access, in copies of the whole of CMEM.
        fetches, write_backs: how many may be under way at a time.
        repacks: how often all strips may be placed anew where one does not fit, at most once for each storage.
        tries: how often a storage is tried that could not be written back.
        fifo: whether no fetch may begin later and be due earlier than another.
        pin_outputs: whether outputs are written to HBM, as by XLA, and never to CMEM first.
        loop_factor: by how much more the time of a loop's instructions counts, in the priority what is gained by them,
            and for how long a value is held.

    Raises:
        FieldError: a value is not in its range.
    """

    supply: str = "elapsed"
    preferred: float = 2.0
    minimum: float = 1.0
    maximum: float = 8.0
    fetches: int = 40
    write_backs: int = 40
    repacks: int = 4
    tries: int = 2
    fifo: bool = False
    pin_outputs: bool = True
    loop_factor: float = 5.0

    def __post_init__(self) -> None:
        if self.supply not in SUPPLIES:
            raise FieldError("supply", self.supply, " or ".join(repr(supply) for supply in SUPPLIES))
        for name in ("preferred", "minimum", "maximum", "loop_factor", "fetches", "write_backs", "repacks", "tries"):
            least = 1 if name == "tries" else 0
            if not getattr(self, name) >= least:
                raise FieldError(name, getattr(self, name), f"a number of at least {least}")


class Knobs(NamedTuple):
    """The options for compiled code; see `MapperOptions`."""

    contended: bool
    limited: bool
    preferred: float
    minimum: float
    maximum: float
    fetches: int
    write_backs: int
    repacks: int
    tries: int
    fifo: bool
    pin_outputs: bool
    loop_factor: float


def knobs_of(options: MapperOptions) -> Knobs:
    """The options for compiled code."""
    return Knobs(
        options.supply == "contended",
        options.supply != "unlimited",
        float(options.preferred),
        float(options.minimum),
        float(options.maximum),
        int(options.fetches),
        int(options.write_backs),
        int(options.repacks),
        int(options.tries),
        bool(options.fifo),
        bool(options.pin_outputs),
        float(options.loop_factor),
    )


class Mapper:
    """Maps one program again and again.

    Args:
        instance: the program.
        options: how.

    Attributes:
        program: its arrays.
        mapping: the last result.
    """

    def __init__(self, instance: MemoryInstance, options: MapperOptions | None = None) -> None:
        self.instance = instance
        self.program: Program = program_of(instance)
        self.mapping = Mapping.empty(self.program)
        self.set_options(options or MapperOptions())

    def set_options(self, options: MapperOptions) -> None:
        """Map with these options from now on."""
        self.options, self.knobs = options, knobs_of(options)

    def map(self, order: Sequence[int] | NDArray[np.int64]) -> None:
        """Place the storages of an order, dense numbers; the others stay in HBM."""
        map_program(self.program, self.knobs, self.mapping, np.asarray(order, dtype=np.int64))

    def run_times(self) -> tuple[int, int]:
        """(proxy, judged) run time of the last result, picoseconds."""
        return int(proxy_time(self.program, self.mapping)), int(judged_time(self.program, self.mapping))

    def plan(self) -> MemoryPlan:
        """The last result as data."""
        return plan_of(self.instance, self.program, self.mapping, self.options.supply)


def plan_of(instance: MemoryInstance, program: Program, mapping: Mapping, supply: str) -> MemoryPlan:
    """A mapping as data."""
    strips, transfers = mapping.strips, mapping.transfers
    fetched: dict[tuple[int, int], tuple[int, int]] = {}
    written: dict[int, list[tuple[int, int]]] = {}
    for queue in range(2):
        for k in range(int(transfers.filled[queue])):
            storage = int(transfers.storage[queue, k])
            transfer = int(transfers.start[queue, k]), int(transfers.end[queue, k])
            if transfers.kind[queue, k] == FETCH:
                fetched[storage, transfer[0] + 1] = transfer
            else:
                written.setdefault(storage, []).append(transfer)
    placements: list[Placement] = []
    for k in range(int(strips.filled[0])):
        storage, start, end = int(strips.storage[k]), int(strips.start[k]), int(strips.end[k])
        accesses = program.accesses[program.begin[storage] : program.begin[storage + 1]]
        first = next(int(a) for a in accesses if int(program.instruction[a]) >= start)
        backs = tuple(sorted(transfer for transfer in written.get(storage, []) if start <= transfer[0] <= end))
        copy = fetched.get((storage, start))
        placements.append(Placement(int(program.tensor[first]), start, end, int(strips.offset[k]), copy, backs))
    placements.sort(key=lambda strip: (strip.start, strip.offset))
    return MemoryPlan(instance, tuple(placements), supply)


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def knobs_of_row(table, row):
    """The options that a row of numbers holds, in the order of `Knobs`."""
    contended, limited, preferred, minimum, maximum, fetches = table[row, :6]
    write_backs, repacks, tries, fifo, pinned, looped = table[row, 6:]
    return Knobs(
        contended > 0,
        limited > 0,
        preferred,
        minimum,
        maximum,
        int(fetches),
        int(write_backs),
        int(repacks),
        int(tries),
        fifo > 0,
        pinned > 0,
        looped,
    )


@compiled
def map_program(program, knobs, mapping, order):
    """Place the storages of an order into CMEM, each wholly, in part, or not at all."""
    clear(program, mapping, knobs.contended)
    for n in range(len(order)):
        storage = order[n]
        if not program.eligible[storage] or (knobs.pin_outputs and _shares_with_output(program, storage)):
            continue
        tried, repacked = 0, False
        while tried < knobs.tries:
            result = _place_storage(program, knobs, mapping, storage, tried)
            if result == _PLACED:
                break
            may_repack = not repacked and mapping.counters[0] < knobs.repacks
            if result == _OUT_OF_MEMORY and not may_repack and not program.grouped[storage]:
                break
            release(program, mapping, knobs.contended, storage)
            if result == _OUT_OF_MEMORY and may_repack:
                mapping.counters[0] += 1
                repacked = True
                if repack(mapping.strips, program.grouped, program.cmem_bytes):
                    continue
            tried += 1


@compiled
def _shares_with_output(program, storage):
    """Whether a storage is an alias group with an output in it."""
    if program.grouped[storage]:
        for k in range(program.begin[storage], program.begin[storage + 1]):
            if program.output[program.accesses[k]]:
                return True
    return False


@compiled
def _place_storage(program, knobs, mapping, storage, tried):
    """Place a storage, access by access.

    Returns:
        _PLACED, the best that can be done; _OUT_OF_MEMORY, where more room would have helped; or _UNCOMMIT. An alias
        group that is not _PLACED must be released, and so must everything else after _UNCOMMIT.
    """
    begin, stop, grouped = program.begin[storage], program.begin[storage + 1], program.grouped[storage]
    valid = np.int64(-1) if program.outside[storage] else np.int64(_NEVER)  # since when HBM has the value
    strip = np.int64(_NOWHERE)  # place of the strip that serves the access before
    held_until, defined, before, offset = np.int64(-1), np.int64(-1), np.int64(-1), np.int64(-1)
    wants_room = False
    for k in range(begin, stop):
        a = program.accesses[k]
        t = program.instruction[a]
        found = np.int64(_NOWHERE)
        if strip >= 0:
            found = _extend(program, knobs, mapping, strip, before, t)
        if found < 0 and program.writes[a]:
            if k == begin and not (program.output[a] and knobs.pin_outputs):
                found = _produce(program, knobs, mapping, k, stop)
        elif found < 0:
            if valid == _NEVER:
                valid = _write_back(program, knobs, mapping, strip, defined, t, tried)
                if valid == _NEVER:
                    return _UNCOMMIT
            if not program.carried[a]:
                earliest = max(max(valid, before), held_until)
                place = _fetch(program, knobs, mapping, k, stop, earliest, offset)
                found = place if place >= 0 else min(place, found)
        wants_room = wants_room or found == _NO_ROOM
        if found < 0 and grouped:
            return _OUT_OF_MEMORY if wants_room else _UNCOMMIT
        strip = found
        if strip >= 0:
            held_until = mapping.strips.end[strip]
            if grouped:
                offset = mapping.strips.offset[strip]
            move_access(program, mapping, knobs.contended, a, True)
        if program.writes[a]:
            defined, valid = t, np.int64(_NEVER) if strip >= 0 else t
            if strip >= 0 and program.output[a]:
                until = _next_write(program, k + 1, stop)
                valid = _write_back(program, knobs, mapping, strip, defined, until, tried)
                if valid == _NEVER:
                    return _UNCOMMIT
        before = t
    return _OUT_OF_MEMORY if wants_room else _PLACED


@compiled
def _next_write(program, k, stop):
    """The instruction of the first write among the accesses k .. stop - 1 of a storage, _NEVER without one."""
    for j in range(k, stop):
        if program.writes[program.accesses[j]]:
            return program.instruction[program.accesses[j]]
    return np.int64(_NEVER)


@compiled
def _time_between(program, start, end):
    """All-HBM time of the instructions between two, ends excluded, each once."""
    return program.elapsed_until[end] - program.elapsed_until[start + 1]


@compiled
def _time_held(program, knobs, start, end):
    """The same, but if they are of several segments, a loop's instructions count by the loop's factor."""
    time = _time_between(program, start, end)
    if program.first[start] == program.first[end]:
        return float(time)
    return time + (knobs.loop_factor - 1.0) * (program.looped_until[end] - program.looped_until[start + 1])


@compiled
def _held_end(program, start, t):
    """Until when a strip is held that begins at `start` and serves instruction t."""
    return program.last[t] if program.in_loop[t] and start < program.first[t] else t


@compiled
def _extend(program, knobs, mapping, strip, before, t):
    """Leave a value where it is until t; returns the strip's place, _NOWHERE or _NO_ROOM."""
    strips = mapping.strips
    end = _held_end(program, strips.start[strip], t)
    if end <= strips.end[strip]:
        return strip
    if _time_held(program, knobs, before, t) >= knobs.maximum * program.whole_copy:
        return np.int64(_NOWHERE)
    if not is_free(strips, strips.end[strip] + 1, end, strips.offset[strip], strips.size[strip]):
        return np.int64(_NO_ROOM)
    strips.end[strip] = end
    return strip


@compiled
def _find_lasting_room(program, strips, k, stop, start):
    """Offset of a gap from `start` to access k, and if it can be to a later one: the latest there is a gap for.

    Like XLA: by bisection, as if a gap for a longer time were always one for a shorter time in the same manner.
    """
    size = program.size[program.storage[program.accesses[k]]]
    low, high = k, stop
    found = np.int64(-1)
    while low < high:
        middle = k if found < 0 else (low + high) // 2
        end = _held_end(program, start, program.instruction[program.accesses[middle]])
        offset = find_room(strips, program.cmem_bytes, start, end, size)
        if offset >= 0:
            found, low = offset, middle + 1
        elif found < 0:
            break
        else:
            high = middle
    return found


@compiled
def _produce(program, knobs, mapping, k, stop):
    """Have a value written to CMEM; returns the strip's place, _NOWHERE or _NO_ROOM."""
    strips = mapping.strips
    a = program.accesses[k]
    start = program.instruction[a]
    following = min(k + 1, stop - 1)
    until = program.instruction[program.accesses[following]]
    if until > start and _time_held(program, knobs, start, until) >= knobs.maximum * program.whole_copy:
        return np.int64(_NOWHERE)
    offset = _find_lasting_room(program, strips, following, stop, start)
    if offset < 0:
        return np.int64(_NO_ROOM)
    return insert_strip(
        strips, start, _held_end(program, start, until), offset, program.size[program.storage[a]], program.storage[a]
    )


@compiled
def _write_back(program, knobs, mapping, strip, defined, until, tried):
    """Write a value back before instruction `until`; returns since when HBM has it, _NEVER if that is impossible.

    The strip is held for the preferred time, as far as it is free, but at least as long as it serves accesses.
    """
    strips, transfers = mapping.strips, mapping.transfers
    storage = strips.storage[strip]
    size, work, queue = program.size[storage], program.transfer[storage], 0 if knobs.contended else 1
    limit = min(until, program.last[defined] + 1)
    wanted = (1.0 + 2.0 * tried) * knobs.preferred * work
    preferred = defined + 1
    while preferred < limit and _time_between(program, defined, preferred) < wanted:
        preferred += 1
    least = min(strips.end[strip] + 1, limit)
    end = max(preferred, least)
    while end > least and not is_free(strips, strips.end[strip] + 1, end - 1, strips.offset[strip], size):
        end -= 1
    if under_way(transfers, queue, WRITE_BACK, defined, end) >= knobs.write_backs:
        return np.int64(_NEVER)
    place = find_place(transfers, queue, defined, end)
    if knobs.limited and not are_in_time(transfers, program.transfer, queue, place, defined, end, work):
        return np.int64(_NEVER)
    insert_transfer(transfers, program.transfer, queue, place, defined, end, storage, WRITE_BACK)
    strips.end[strip] = max(strips.end[strip], end - 1)
    return end - 1


@compiled
def _saved(program, a):
    """By how much an instruction is shorter if this access alone is served by CMEM."""
    t = program.instruction[a]
    busy = program.elapsed[t] - program.overhead
    if busy <= program.compute[t]:
        return np.int64(0)
    return busy - max(program.compute[t], busy - program.hbm[a] + program.cmem[a])


@compiled
def _fetch(program, knobs, mapping, k, stop, earliest, offset):
    """Fetch a value for access k, not before `earliest`; at an offset unless that is -1.

    Before the loop around it if that can be, else within its segment.

    Returns:
        The new strip's place, _NOWHERE or _NO_ROOM.
    """
    t = program.instruction[program.accesses[k]]
    first, result = program.first[t], np.int64(_NOWHERE)
    if program.in_loop[t] and first > 0:
        begin = max(earliest, program.first[first - 1] - 1)
        result = _fetch_before(program, knobs, mapping, k, stop, begin, first - 2, first, offset)
    if result < 0:
        place = _fetch_before(program, knobs, mapping, k, stop, max(earliest, first - 1), t - 1, t, offset)
        result = place if place >= 0 else min(place, result)
    return result


@compiled
def _fetch_before(program, knobs, mapping, k, stop, earliest, latest, due, offset):
    """As `_fetch`, with a transfer that begins after one of earliest .. latest and is done before `due`.

    Starts are tried from the preferred one on, by turns an earlier and a later one (prefetch_interval_picker.cc).
    """
    a = program.accesses[k]
    work = program.transfer[program.storage[a]]
    saved = _saved(program, a) * (program.trips[program.instruction[a]] // program.trips[latest + 1])
    while latest >= earliest and knobs.minimum * work > _time_between(program, latest, due) + saved:
        latest -= 1
    if latest < earliest:
        return np.int64(_NOWHERE)
    while earliest < latest and knobs.maximum * program.whole_copy < _time_between(program, earliest, due):
        earliest += 1
    wanted, preferred = knobs.preferred * work, earliest
    for start in range(earliest + 1, latest + 1):
        if abs(wanted - _time_between(program, start, due)) < abs(wanted - _time_between(program, preferred, due)):
            preferred = start
    longest = float(_time_between(program, earliest, due))
    earlier, later, go_later = preferred, preferred + 1, False
    result = np.int64(_NOWHERE)
    while earlier >= earliest or later <= latest:
        if go_later:
            start = later
            later += 1
            go_later = earlier < earliest
        else:
            start = earlier
            earlier -= 1
            go_later = later <= latest
            if not go_later:
                skip = _time_between(program, start, due) + longest / _EXPLORED_EARLIER
                while earlier >= earliest and _time_between(program, earlier, due) < skip:
                    earlier -= 1
        place = _fetch_from(program, knobs, mapping, k, stop, start, due, offset)
        if place >= 0:
            return place
        result = min(result, place)
    return result


@compiled
def _fetch_from(program, knobs, mapping, k, stop, start, due, offset):
    """Fetch a value for access k with the transfer (start, due); as `_fetch`."""
    strips, transfers = mapping.strips, mapping.transfers
    a = program.accesses[k]
    storage, end = program.storage[a], _held_end(program, start + 1, program.instruction[a])
    if under_way(transfers, 0, FETCH, start, due) >= knobs.fetches:
        return np.int64(_NOWHERE)
    if knobs.fifo and overtakes(transfers, 0, FETCH, start, due):
        return np.int64(_NOWHERE)
    place, work = find_place(transfers, 0, start, due), program.transfer[storage]
    if knobs.limited and not are_in_time(transfers, program.transfer, 0, place, start, due, work):
        return np.int64(_NOWHERE)
    if offset < 0:
        offset = _find_lasting_room(program, strips, k, stop, start + 1)
    elif not is_free(strips, start + 1, end, offset, program.size[storage]):
        offset = np.int64(-1)
    if offset < 0:
        return np.int64(_NO_ROOM)
    insert_transfer(transfers, program.transfer, 0, place, start, due, storage, FETCH)
    return insert_strip(strips, start + 1, end, offset, program.size[storage], storage)
