"""An independent check that a plan of memory mapping could be carried out.

Nothing here is shared with the game: what CMEM holds, which values HBM has and whether the transfers fit is derived
from the plan alone. A plan may hold more than the game can play: transfers that begin at other times, offsets that no
rule for gaps would choose, a fetch in front of a loop where one within it would do.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from .instance import WRITTEN_KINDS, MemoryInstance
from .schedule import SUPPLIES, MemoryPlan, Placement, Transfer

_NEVER = 2**62


def validate(plan: MemoryPlan) -> list[str]:
    """Every rule of memory mapping that the plan breaks, in words; an empty list for a valid plan.

    Checked: the form; that blocks lie within CMEM and never overlap, in time and space, ends included; that tensors
    which stay in HBM do; that an alias group is in CMEM with all its accesses and at one offset, or not at all; that
    each strip begins with a write or with a fetch of a value which HBM has by then; that reads in HBM find their value
    there, and outputs at the end; that what enters a loop is held to its end, and what a loop carries is not fetched
    within it; that transfers stay within a segment, that a value is held until it is written back, and that all
    transfers fit what `plan.supply` promises, interrupted at will.

    A plan that is not finished (`MemoryPlan.decided`) is checked for the accesses that were decided.

    Offsets need not be multiples of `align`: sizes are, and no rule of the model asks for more.
    """
    form = list(_form_violations(plan))
    if form:
        return form
    accesses = _accesses_by_storage(plan.instance)
    overlaps = [*_overlaps(plan), *_held_twice(plan)]
    violations = [
        *overlaps,
        *_group_violations(plan),
        *(message for p in plan.placements for message in _placement_violations(plan, p, accesses)),
    ]
    if not violations:  # what HBM has is not to be told of a plan that contradicts itself
        violations += _value_violations(plan)
        violations += _supply_violations(plan)
    return violations


def _name(placement: Placement) -> str:
    return f"tensor {placement.tensor} in CMEM during instructions {placement.start}..{placement.end}"


def _form_violations(plan: MemoryPlan) -> Iterator[str]:
    instance = plan.instance
    if plan.supply not in SUPPLIES:
        yield f"supply is {plan.supply!r}, expected one of {SUPPLIES}"
    if plan.decided is not None and not 0 <= plan.decided < instance.num_accesses:
        yield f"decided is {plan.decided}, expected one of 0..{instance.num_accesses - 1}, or None for all accesses"
    for p in plan.placements:
        if not 0 <= p.tensor < instance.num_tensors:
            yield f"there is no tensor {p.tensor}: the program has {instance.num_tensors}"
            continue
        if not 0 <= p.start <= p.end < instance.num_instructions:
            yield f"{_name(p)}: the program has instructions 0..{instance.num_instructions - 1}"
            continue
        size, cmem = int(instance.size[p.tensor]), instance.hardware.cmem_bytes
        if p.offset < 0 or p.offset + size > cmem:
            yield f"{_name(p)}: {size} bytes at offset {p.offset} do not lie within the {cmem} bytes of CMEM"
        for after, before in (*((p.copy,) if p.copy else ()), *p.write_backs):
            if not -1 <= after < before <= instance.num_instructions:
                yield f"{_name(p)}: there is no transfer ({after}, {before})"


def _accesses_by_storage(instance: MemoryInstance) -> dict[int, list[tuple[int, int, bool]]]:
    """(instruction, tensor, whether it writes) of the accesses of each storage, in their order."""
    found: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    for t, instruction in enumerate(instance.instructions):
        for writes, listed in ((False, instruction.reads), (True, instruction.writes)):
            for tensor, _ in listed:
                found[int(instance.storage[tensor])].append((t, tensor, writes))
    return found


def _decided(plan: MemoryPlan) -> Iterator[tuple[bool, bool, int, int]]:
    """(whether CMEM serves it, whether it writes, instruction, tensor) of each access that was decided, in order."""
    instance = plan.instance
    rows = zip(
        plan.served.tolist(),
        instance.access_writes.tolist(),
        instance.access_instruction.tolist(),
        instance.access_tensor.tolist(),
        strict=True,
    )
    yield from islice(rows, plan.decided)


def _overlaps(plan: MemoryPlan) -> Iterator[str]:
    """Pairs of blocks that overlap in time and space."""
    live: list[tuple[int, int, Placement]] = []
    for p in plan.placements:  # sorted by start
        top = p.offset + int(plan.instance.size[p.tensor])
        live = [entry for entry in live if entry[2].end >= p.start]
        for bottom, other_top, other in live:
            if bottom < top and p.offset < other_top:
                where = f"[{max(bottom, p.offset)}, {min(other_top, top)})"
                yield f"{_name(p)} overlaps tensor {other.tensor} during {other.start}..{other.end} at bytes {where}"
        live.append((p.offset, top, p))


def _held_twice(plan: MemoryPlan) -> Iterator[str]:
    """Storages that are held at two offsets at one time: it would be open which of them an access uses."""
    last: dict[int, Placement] = {}
    for p in plan.placements:
        storage = int(plan.instance.storage[p.tensor])
        before = last.get(storage)
        if before is not None and before.end >= p.start and before.offset != p.offset:
            yield f"{_name(p)}: its storage is held until {before.end} at offset {before.offset}"
        if before is None or p.end > before.end:
            last[storage] = p


def _group_violations(plan: MemoryPlan) -> Iterator[str]:
    instance = plan.instance
    first: dict[int, tuple[bool, int, int]] = {}
    for served, _, t, tensor in _decided(plan):
        group = instance.tensors[tensor].alias_group
        if group is None:
            continue
        begin = first.setdefault(group, (served, t, tensor))
        if begin[0] != served:
            here, there = ("CMEM", "HBM") if served else ("HBM", "CMEM")
            yield (
                f"instruction {t} accesses tensor {tensor} of alias group {group} in {here}, "
                f"but instruction {begin[1]} tensor {begin[2]} in {there}"
            )
    offsets: dict[int, Placement] = {}
    for p in plan.placements:
        group = instance.tensors[p.tensor].alias_group
        if group is not None and offsets.setdefault(group, p).offset != p.offset:
            other = offsets[group]
            expected = f"alias group {group} is at {other.offset} from instruction {other.start} on"
            yield f"{_name(p)}: at offset {p.offset}, but {expected}"


def _placement_violations(
    plan: MemoryPlan, p: Placement, accesses: dict[int, list[tuple[int, int, bool]]]
) -> Iterator[str]:
    instance = plan.instance
    if instance.tensors[p.tensor].hbm_only:
        yield f"{_name(p)}: the tensor must stay in HBM"
    storage = int(instance.storage[p.tensor])
    within = [access for access in accesses[storage] if p.start <= access[0] <= p.end]
    if not within:
        yield f"{_name(p)}: nothing accesses it meanwhile"
        return
    t, tensor, _ = within[0]
    if tensor != p.tensor:
        yield f"{_name(p)}: the first that is accessed meanwhile is tensor {tensor}, in instruction {t}"
        return
    for first, last, _ in instance.loops:
        if p.start < first <= p.end < last:
            yield f"{_name(p)}: it enters the loop {first}..{last} and must be held to its end"
    yield from _beginning_violations(instance, p, within[0])
    yield from _write_back_violations(instance, p, within)


def _beginning_violations(instance: MemoryInstance, p: Placement, first: tuple[int, int, bool]) -> Iterator[str]:
    """A strip begins with a write, or with a fetch of what is read first."""
    t, tensor, writes = first
    if p.copy is None:
        if not writes:
            yield f"{_name(p)}: instruction {t} reads tensor {tensor} that was neither written there nor fetched"
        elif t != p.start:
            yield f"{_name(p)}: held from {p.start} on, but first written by instruction {t}"
        return
    s, e = p.copy
    if writes:
        yield f"{_name(p)}: it is fetched, but instruction {t} writes it before it is read"
    if s != p.start - 1:
        yield f"{_name(p)}: its fetch ({s}, {e}) begins after instruction {s}, not after {p.start - 1}"
        return
    if e > t:
        yield f"{_name(p)}: its fetch ({s}, {e}) is done before instruction {e}, but instruction {t} reads it"
    segment = int(instance.segment[p.start])
    first_of, last_of, _ = instance.segments[segment]
    if e > last_of + 1:
        yield f"{_name(p)}: its fetch ({s}, {e}) goes beyond its segment, instructions {first_of}..{last_of}"
    if (int(instance.storage[tensor]), segment) in instance.carried:
        yield f"{_name(p)}: the loop {first_of}..{last_of} carries it, so that it cannot be fetched within"


def _write_back_violations(
    instance: MemoryInstance, p: Placement, within: Sequence[tuple[int, int, bool]]
) -> Iterator[str]:
    writers = [t for t, _, writes in within if writes]
    seen: set[int] = set()
    for d, e in p.write_backs:
        what = f"{_name(p)}: its write-back ({d}, {e})"
        if d not in writers:
            yield f"{what} is of a value that instruction {d} does not write there"
            continue
        if d in seen:
            yield f"{what} is the second one of what instruction {d} writes"
        seen.add(d)
        if e > p.end + 1:
            yield f"{what} goes on after instruction {p.end}, the last one that it is held in"
        first_of, last_of, _ = instance.segments[int(instance.segment[d])]
        if e > last_of + 1:
            yield f"{what} goes beyond its segment, instructions {first_of}..{last_of}"
        for other in writers:
            if d < other < e:
                yield f"{what} is under way when instruction {other} writes another value in its place"


def _value_violations(plan: MemoryPlan) -> Iterator[str]:
    """Reads in HBM, fetches and outputs of values that HBM does not have by then."""
    instance = plan.instance
    valid = _valid_from(plan)
    for served, writes, t, tensor in _decided(plan):
        if not served and not writes and valid[tensor] >= t:
            yield f"instruction {t} reads tensor {tensor} in HBM, where {_since(valid[tensor])}"
    for p in plan.placements:
        if p.copy is not None and valid[p.tensor] > p.copy[0]:
            yield (
                f"{_name(p)}: its fetch {p.copy} begins after instruction {p.copy[0]}, "
                f"but in HBM {_since(valid[p.tensor])}"
            )
    written = {tensor for _, writes, _, tensor in _decided(plan) if writes}
    for number, tensor in enumerate(instance.tensors):
        if tensor.kind == "output" and number in written and valid[number] == _NEVER:
            yield f"output tensor {number} is not in HBM at the end: it was written to CMEM and not written back"


def _since(valid: int) -> str:
    return "its value never is" if valid == _NEVER else f"its value is only from instruction {valid} on"


def _valid_from(plan: MemoryPlan) -> list[int]:
    """For each tensor the instruction from which on its value is in HBM."""
    instance = plan.instance
    valid = [_NEVER if tensor.kind in WRITTEN_KINDS else -1 for tensor in instance.tensors]
    written_back = {(int(instance.storage[p.tensor]), d): e - 1 for p in plan.placements for d, e in p.write_backs}
    for served, writes, t, tensor in _decided(plan):
        if writes:
            valid[tensor] = written_back.get((int(instance.storage[tensor]), t), _NEVER) if served else t
    return valid


def _supply_violations(plan: MemoryPlan) -> Iterator[str]:
    """Transfers that do not fit, if those that must be done first go first and any can be interrupted."""
    instance = plan.instance
    if plan.supply == "unlimited":
        return
    if plan.supply == "elapsed":
        supply = instance.instruction_ps(np.zeros(instance.num_accesses, dtype=np.bool_))
        pools = [[x for x in plan.transfers if x.is_fetch], [x for x in plan.transfers if not x.is_fetch]]
    else:
        in_hbm = np.zeros(instance.num_instructions, dtype=np.int64)
        np.add.at(in_hbm, instance.access_instruction, np.where(plan.served, 0, instance.hbm_ps))
        supply = instance.instruction_ps(plan.served) - in_hbm
        pools = [list(plan.transfers)]
    for pool in pools:
        late = _first_late(pool, supply.tolist())
        if late is not None:
            transfer, left = late
            yield f"{transfer} does not fit the {plan.supply} supply: {left} of {transfer.work_ps} ps are left"


def _first_late(transfers: Sequence[Transfer], supply: Sequence[int]) -> tuple[Transfer, int] | None:
    """The first transfer that is not done in time and what is left of it, with the most urgent one always first.

    Transfers can be interrupted, so that this order is late only where every order is.
    """
    waiting: list[list[int]] = []  # [before, number, work left]
    coming = 0
    for t, available in enumerate(supply):
        while coming < len(transfers) and transfers[coming].after < t:
            entry = transfers[coming]
            heapq.heappush(waiting, [entry.before, coming, entry.work_ps])
            coming += 1
        if waiting and waiting[0][0] <= t:
            return transfers[waiting[0][1]], waiting[0][2]
        while waiting and available > 0:
            done = min(available, waiting[0][2])
            available -= done
            waiting[0][2] -= done
            if waiting[0][2] == 0:
                heapq.heappop(waiting)
    for number in range(coming, len(transfers)):
        return transfers[number], transfers[number].work_ps
    return (transfers[waiting[0][1]], waiting[0][2]) if waiting else None
