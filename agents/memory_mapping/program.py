"""A program as flat arrays, the form in which compiled mappers read it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.memory_mapping.instance import PICOSECONDS, WRITTEN_KINDS, MemoryInstance


class Program(NamedTuple):
    """A memory-mapping instance for compiled code; times in picoseconds, sizes in bytes.

    Storages are numbered densely, in the order of their lowest tensors. N accesses, T instructions, S storages.

    Attributes:
        instruction, tensor, storage, hbm, cmem: int64 [N], of each access: instruction, tensor, storage, time in HBM
            and in CMEM.
        writes, output: bool [N], whether it writes, and whether it writes an output.
        carried: bool [N], whether it belongs to a value that the loop around it carries.
        compute, elapsed, trips: int64 [T], computation, all-HBM time, and rounds of the loop around.
        first, last: int64 [T], the segment around each instruction.
        in_loop: bool [T].
        begin: int64 [S + 1], where the accesses of each storage begin in `accesses`.
        accesses: int64 [N], accesses by storage, then in their order.
        size, transfer: int64 [S], bytes in CMEM and time of a transfer.
        grouped, outside, eligible: bool [S], whether it is an alias group, holds a value before the program starts,
            and may be in CMEM (not kept in HBM, and small enough).
        elapsed_until, looped_until: int64 [T + 1], all-HBM time of the instructions before, and of those of them that
            are in loops.
        overhead, cmem_bytes: of the hardware.
        whole_copy: time of a transfer that fills CMEM.
    """

    instruction: NDArray[np.int64]
    tensor: NDArray[np.int64]
    storage: NDArray[np.int64]
    hbm: NDArray[np.int64]
    cmem: NDArray[np.int64]
    writes: NDArray[np.bool_]
    output: NDArray[np.bool_]
    carried: NDArray[np.bool_]
    compute: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    trips: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    in_loop: NDArray[np.bool_]
    begin: NDArray[np.int64]
    accesses: NDArray[np.int64]
    size: NDArray[np.int64]
    transfer: NDArray[np.int64]
    grouped: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    eligible: NDArray[np.bool_]
    elapsed_until: NDArray[np.int64]
    looped_until: NDArray[np.int64]
    overhead: int
    cmem_bytes: int
    whole_copy: int

    @property
    def num_storages(self) -> int:
        """How many storages there are."""
        return len(self.size)


def program_of(instance: MemoryInstance) -> Program:
    """The arrays of an instance."""
    lowest, dense = np.unique(instance.storage, return_inverse=True)
    storage = dense.astype(np.int64)[instance.access_tensor]
    kinds = [tensor.kind for tensor in instance.tensors]
    outside = np.zeros(len(lowest), dtype=np.bool_)
    for number, kind in enumerate(kinds):
        outside[dense[number]] |= kind not in WRITTEN_KINDS
    output = np.array([kind == "output" for kind in kinds], dtype=np.bool_)
    hardware, segments = instance.hardware, instance.segments
    elapsed = instance.instruction_ps(np.zeros(instance.num_accesses, dtype=np.bool_))
    looped = {first for first, _, _ in instance.loops}
    of = instance.segment
    in_loop = np.array([segments[k][0] in looped for k in of.tolist()], dtype=np.bool_)
    carried = [
        (int(instance.storage[tensor]), int(of[t])) in instance.carried
        for t, tensor in zip(instance.access_instruction.tolist(), instance.access_tensor.tolist(), strict=True)
    ]
    return Program(
        instruction=instance.access_instruction,
        tensor=instance.access_tensor,
        storage=storage,
        hbm=instance.hbm_ps,
        cmem=instance.cmem_ps,
        writes=instance.access_writes,
        output=output[instance.access_tensor] & instance.access_writes,
        carried=np.array(carried, dtype=np.bool_),
        compute=instance.compute_ps,
        elapsed=elapsed,
        trips=instance.trips,
        first=np.array([segments[k][0] for k in of.tolist()], dtype=np.int64),
        last=np.array([segments[k][1] for k in of.tolist()], dtype=np.int64),
        in_loop=in_loop,
        begin=np.concatenate([[0], np.cumsum(np.bincount(storage, minlength=len(lowest)))]).astype(np.int64),
        accesses=np.argsort(storage, kind="stable").astype(np.int64),
        size=instance.size[lowest],
        transfer=instance.transfer_ps[lowest],
        grouped=np.array([instance.tensors[v].alias_group is not None for v in lowest.tolist()], dtype=np.bool_),
        outside=outside,
        eligible=np.array(
            [
                not instance.tensors[v].hbm_only and int(instance.size[v]) <= hardware.cmem_bytes
                for v in lowest.tolist()
            ],
            dtype=np.bool_,
        ),
        elapsed_until=_until(elapsed),
        looped_until=_until(np.where(in_loop, elapsed, 0)),
        overhead=hardware.overhead_ps,
        cmem_bytes=hardware.cmem_bytes,
        whole_copy=hardware.copy_latency_ps - (-hardware.cmem_bytes * PICOSECONDS // hardware.hbm_bps),
    )


def _until(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [T + 1], sums of all before."""
    return np.concatenate([[0], np.cumsum(values)]).astype(np.int64)
