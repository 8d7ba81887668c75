"""The outcome of memory mapping as data: which tensor is held in CMEM when and where, and the transfers.

The model is specified in ``docs/environments/memory_mapping.md``; what may be in a plan is checked by ``validity``, how
long it takes is said by ``run_time``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write
from ..core.instance import check_header, load_document, require_integer, require_keys, require_list
from .instance import MAX_BYTES, MemoryInstance

FORMAT = "makespan/memory-plan"
VERSION = 1
SUPPLIES = ("elapsed", "contended", "unlimited")

_KEYS = ("format", "version", "supply", "instance", "placements")
_OPTIONAL_KEYS = ("decided",)
_PLACEMENT_KEYS = ("tensor", "start", "end", "offset")
_PLACEMENT_OPTIONAL = ("copy", "write_backs")


@dataclass(frozen=True)
class Placement:
    """A storage is held in CMEM during some instructions, at one offset; accesses of its tensors meanwhile use CMEM.

    Attributes:
        tensor: the first of its tensors that is accessed meanwhile.
        start, end: first and last instruction during which it is held, ends included.
        offset: bytes.
        copy: transfer (s, e) that fetches it: begins after instruction s = start - 1, done before e, which is at most
            the first access; None where the first access writes it.
        write_backs: transfers (d, e), sorted, each of which writes the value that instruction d wrote back to HBM:
            begins after d, done before e, which is at most end + 1. At most one for each value; only strips of alias
            groups hold several values, one after another.
    """

    tensor: int
    start: int
    end: int
    offset: int
    copy: tuple[int, int] | None = None
    write_backs: tuple[tuple[int, int], ...] = ()


class Transfer(NamedTuple):
    """A fetch from HBM or a write-back: begins when instruction `after` has ended, done before `before` begins.

    Attributes:
        tensor: whose value is moved.
        work_ps: what it takes of the HBM channel, picoseconds.
        is_fetch: from HBM to CMEM.
    """

    after: int
    before: int
    tensor: int
    work_ps: int
    is_fetch: bool

    def __str__(self) -> str:
        kind = "fetch" if self.is_fetch else "write-back"
        return f"the {kind} of tensor {self.tensor} ({self.after}, {self.before})"


def segment_of(instance: MemoryInstance, transfer: Transfer) -> int:
    """The segment that a transfer must stay within: of the first instruction of a fetch, of the writer otherwise."""
    first = transfer.after + 1 if transfer.is_fetch else transfer.after
    return int(instance.segment[min(first, instance.num_instructions - 1)])


def due(instance: MemoryInstance, transfer: Transfer) -> int:
    """The instruction that waits for a transfer; the segment's last one plus 1 where its end does."""
    return min(transfer.before, instance.segments[segment_of(instance, transfer)][1] + 1)


@dataclass(frozen=True)
class MemoryPlan:
    """A plan of memory mapping. Two plans are equal if they are of the same problem and hold the same.

    Attributes:
        instance: of what.
        placements: sorted by (start, offset), in whatever order they were given.
        supply: what the transfers are promised to fit: "elapsed", "contended", or "unlimited" (nothing is promised;
            the judge makes instructions wait).
        decided: how many accesses were decided, in their order, where a play ended before the last one or has not come
            to it; None for a plan of all of them.
    """

    instance: MemoryInstance
    placements: tuple[Placement, ...]
    supply: str = "contended"
    decided: int | None = None

    def __post_init__(self) -> None:
        ordered = [replace(p, write_backs=tuple(sorted(p.write_backs))) for p in self.placements]
        ordered.sort(key=lambda p: (p.start, p.offset, p.tensor, p.end))
        object.__setattr__(self, "placements", tuple(ordered))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoryPlan):
            return NotImplemented
        mine, theirs = ((x.placements, x.supply, x.decided) for x in (self, other))
        same = mine == theirs
        return same and (self.instance is other.instance or self.instance.same_as(other.instance))

    def __hash__(self) -> int:
        return hash((self.placements, self.supply, self.decided))

    @cached_property
    def served(self) -> NDArray[np.bool_]:
        """bool [N], the accesses that CMEM serves: those of a storage while it is held."""
        instance = self.instance
        held: dict[int, list[tuple[int, int]]] = {}
        for placement in self.placements:
            storage = int(instance.storage[placement.tensor])
            held.setdefault(storage, []).append((placement.start, placement.end))
        storages = instance.storage[instance.access_tensor].tolist()
        return np.array(
            [
                any(start <= t <= end for start, end in held.get(storage, ()))
                for t, storage in zip(instance.access_instruction.tolist(), storages, strict=True)
            ],
            dtype=np.bool_,
        )

    @cached_property
    def transfers(self) -> tuple[Transfer, ...]:
        """All fetches and write-backs in the order of the queue: by (after, before, tensor)."""
        instance = self.instance
        written = {
            (t, int(instance.storage[tensor])): tensor
            for t, instruction in enumerate(instance.instructions)
            for tensor, _ in instruction.writes
        }
        found = []
        for p in self.placements:
            work = int(instance.transfer_ps[p.tensor])
            if p.copy is not None:
                found.append(Transfer(*p.copy, p.tensor, work, True))
            for d, e in p.write_backs:
                tensor = written.get((d, int(instance.storage[p.tensor])), p.tensor)
                found.append(Transfer(d, e, tensor, work, False))
        return tuple(sorted(found))

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """The placements for a spreadsheet: a header, and a row each. Transfers read ``after-before``."""
        header = ["tensor", "name", "kind", "alias_group", "bytes", "start", "end", "offset", "fetch", "write_backs"]
        rows = []
        for p in self.placements:
            tensor = self.instance.tensors[p.tensor]
            group = "" if tensor.alias_group is None else tensor.alias_group
            fetch = "" if p.copy is None else f"{p.copy[0]}-{p.copy[1]}"
            backs = " ".join(f"{after}-{before}" for after, before in p.write_backs)
            named = [p.tensor, tensor.name, tensor.kind, group, tensor.bytes]
            rows.append([*named, p.start, p.end, p.offset, fetch, backs])
        return header, rows

    def trace(self) -> dict[str, Any]:
        """The plan in Chrome's trace event format, as plain data for JSON (see `trace.trace`)."""
        from .trace import trace

        return trace(self)

    def exports(self) -> dict[str, str]:
        """What other tools read, by names of files: hints for XLA where the program comes from there."""
        from .overrides import FILE, sort_order_overrides

        hints = sort_order_overrides(self)
        return {} if hints is None else {FILE: hints}

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The plan and its instance as plain data for JSON."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "supply": self.supply,
            "instance": self.instance.to_dict(),
            "placements": [_placement_dict(placement) for placement in self.placements],
        }
        return data if self.decided is None else {**data, "decided": self.decided}

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> MemoryPlan:
        """Read what `to_dict` wrote; `source` (a path) begins the messages.

        The form is checked here, the meaning by ``validity.validate``.

        Raises:
            UserError: a field is missing, unknown or malformed; the message names the placement and its tensor.
        """
        header = check_header(data, FORMAT, (VERSION,), source)
        document = require_keys("the plan", header, _KEYS, _OPTIONAL_KEYS, source)
        if document["supply"] not in SUPPLIES:
            raise FieldError("supply", document["supply"], f"one of {', '.join(SUPPLIES)}", source)
        instance = MemoryInstance.from_dict(document["instance"], source)
        rows = require_list("placements", document["placements"], source)
        placements = tuple(_read_placement(k, row, instance, source) for k, row in enumerate(rows))
        decided = document.get("decided")
        if "decided" in document:
            decided = require_integer("decided", decided, 0, instance.num_accesses - 1, source)
        return cls(instance, placements, document["supply"], decided)

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> MemoryPlan:
        """Read a file that `save` wrote.

        Raises:
            UserError: the file cannot be read or is not JSON, or a field is missing, unknown or malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


def _placement_dict(placement: Placement) -> dict[str, Any]:
    row: dict[str, Any] = {key: getattr(placement, key) for key in _PLACEMENT_KEYS}
    if placement.copy is not None:
        row["copy"] = list(placement.copy)
    if placement.write_backs:
        row["write_backs"] = [list(transfer) for transfer in placement.write_backs]
    return row


def _read_placement(number: int, row: object, instance: MemoryInstance, source: str | None) -> Placement:
    where = f"placements[{number}]"
    entry = require_keys(where, row, _PLACEMENT_KEYS, _PLACEMENT_OPTIONAL, source)
    tensor = require_integer(f"{where}.tensor", entry["tensor"], 0, instance.num_tensors - 1, source)
    where = f"{where} (tensor {tensor})"
    last = instance.num_instructions - 1
    start = require_integer(f"{where}.start", entry["start"], 0, last, source)
    end = require_integer(f"{where}.end", entry["end"], start, last, source)
    offset = require_integer(f"{where}.offset", entry["offset"], 0, MAX_BYTES, source)
    copy = None if "copy" not in entry else _read_transfer(f"{where}.copy", entry["copy"], -1, last + 1, source)
    write_backs = require_list(f"{where}.write_backs", entry.get("write_backs", []), source)
    read = (
        _read_transfer(f"{where}.write_backs[{k}]", pair, 0, last + 1, source) for k, pair in enumerate(write_backs)
    )
    return Placement(tensor, start, end, offset, copy, tuple(read))


def _read_transfer(where: str, pair: object, first: int, last: int, source: str | None) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise FieldError(where, pair, "two instructions [after, before]", source)
    after = require_integer(f"{where}[0]", pair[0], first, last - 1, source)
    return after, require_integer(f"{where}[1]", pair[1], after + 1, last, source)
