"""What a program is like, in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bounds import infinite_bound
from ..instance import MemoryInstance


def summary(instance: MemoryInstance) -> dict[str, Any]:
    """Counts, sizes in bytes and run times in picoseconds, as plain data."""
    return {
        "name": instance.name,
        "instructions": instance.num_instructions,
        "tensors": instance.num_tensors,
        "accesses": instance.num_accesses,
        "alias_groups": len({x.alias_group for x in instance.tensors if x.alias_group is not None}),
        "loops": len(instance.loops),
        "parameter_bytes": sum(x.bytes for x in instance.tensors if x.kind == "param"),
        "peak_live_bytes": peak_live_bytes(instance),
        "cmem_bytes": instance.hardware.cmem_bytes,
        "all_hbm_ps": instance.all_hbm_ps,
        "infinite_cmem_ps": infinite_bound(instance),
        "hash": instance.hash,
    }


def peak_live_bytes(instance: MemoryInstance) -> int:
    """The most that all storages take at one instruction, each from its first access to its last.

    One that is accessed within a loop and outside it, or is carried by it, counts during the whole loop.
    """
    first = np.full(instance.num_tensors, instance.num_instructions, dtype=np.int64)
    last = np.full(instance.num_tensors, -1, dtype=np.int64)
    storage = instance.storage[instance.access_tensor]
    np.minimum.at(first, storage, instance.access_instruction)
    np.maximum.at(last, storage, instance.access_instruction)
    for begin, end, _ in instance.loops:
        inside = (instance.access_instruction >= begin) & (instance.access_instruction <= end)
        held = np.unique(storage[inside])
        carried = np.array([(int(s), int(instance.segment[begin])) in instance.carried for s in held], dtype=np.bool_)
        wide = held[carried | (first[held] < begin) | (last[held] > end)]
        first[wide] = np.minimum(first[wide], begin)
        last[wide] = np.maximum(last[wide], end)
    change = np.zeros(instance.num_instructions + 1, dtype=np.int64)
    used = np.flatnonzero(last >= 0)
    np.add.at(change, first[used], instance.size[used])
    np.add.at(change, last[used] + 1, -instance.size[used])
    return int(np.cumsum(change).max())
