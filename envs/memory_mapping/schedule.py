"""The outcome of memory mapping as data: which tensor is held in CMEM when and where, and the transfers.

The model is specified in ``docs/environments/memory_mapping.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from .instance import MemoryInstance

SUPPLIES = ("elapsed", "contended", "unlimited")


@dataclass(frozen=True)
class Placement:
    """A storage is held in CMEM during some instructions, at one offset; accesses of its tensors meanwhile use CMEM.

    Attributes:
        tensor: the first of its tensors that is accessed meanwhile.
        start, end: first and last instruction during which it is held, ends included.
        offset: bytes.
        copy: transfer (s, e) that fetches it: begins after instruction s = start - 1, done before e, which is at most
            the first access; None where the first access writes it.
        write_backs: transfers (d, e), sorted, each of which writes the value that instruction d wrote back to HBM: begins
            after d, done before e, which is at most end + 1. At most one for each value; only strips of alias groups
            hold several values, one after another.
    """

    tensor: int
    start: int
    end: int
    offset: int
    copy: tuple[int, int] | None = None
    write_backs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class MemoryPlan:
    """A plan of memory mapping.

    Attributes:
        instance: of what.
        placements: sorted by (start, offset).
        supply: what the transfers are promised to fit: "elapsed", "contended", or "unlimited" (nothing is promised;
            the judge makes instructions wait).
    """

    instance: MemoryInstance
    placements: tuple[Placement, ...]
    supply: str = "contended"
