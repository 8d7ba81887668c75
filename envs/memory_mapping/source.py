"""Where the programs come from: a fixed list, or a family of random ones, one for each episode's seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import source as core
from ..core.compile import compiled
from ..core.errors import UserError
from . import state as d
from .catalogue import suite
from .generator import (
    KIND_NAMES,
    LARGEST,
    SMALLEST,
    draw_size,
    fill_random,
    parse_sizes,
    random_instance,
    random_key,
    resolve,
)
from .instance import MemoryInstance
from .measure import measure

_MOST_PS = 2**60


class Tables(NamedTuple):
    """A program as the rows that a copy holds; what `measure` derives is 0."""

    dims: NDArray[np.int64]  # [NUM_DIMS]
    access: NDArray[np.int64]  # [N, NUM_ACCESS]
    tensor: NDArray[np.int64]  # [V, NUM_TENSOR]
    instruction: NDArray[np.int64]  # [T, NUM_INSTRUCTION]


@compiled
def load_copy(problem, i, dims, access, tensor, instruction):
    """Load one program into copy i."""
    for column in range(len(dims)):
        problem.dims[i, column] = dims[column]
    for table, rows in (
        (problem.access[i], access),
        (problem.tensor[i], tensor),
        (problem.instruction[i], instruction),
    ):
        for row in range(rows.shape[0]):
            for column in range(rows.shape[1]):
                table[row, column] = rows[row, column]
    measure(problem, i)


@compiled
def generate_copy(problem, state, i, seed, sizes):
    """Fill copy i with the random program of its episode's seed; its blocks and transfers serve as scratch."""
    key = random_key(seed)
    size = sizes[draw_size(key, len(sizes))]
    fill_random(
        problem.access[i],
        problem.tensor[i],
        problem.instruction[i],
        problem.dims[i],
        state.strip[i],
        state.clock[i],
        size,
        key,
    )
    measure(problem, i)


def tables_of(instance: MemoryInstance) -> Tables:
    """The rows of a program.

    Raises:
        UserError: its run time is too long for 64 bits.
    """
    dims = np.zeros(d.NUM_DIMS, dtype=np.int64)
    dims[d.DIM_INSTRUCTIONS], dims[d.DIM_TENSORS] = instance.num_instructions, instance.num_tensors
    dims[d.DIM_ACCESSES], dims[d.DIM_CMEM] = instance.num_accesses, instance.hardware.cmem_bytes
    access = np.zeros((instance.num_accesses, d.NUM_ACCESS), dtype=np.int64)
    access[:, d.INSTRUCTION], access[:, d.TENSOR] = instance.access_instruction, instance.access_tensor
    access[:, d.WRITES], access[:, d.BYTES] = instance.access_writes, instance.access_bytes
    access[:, d.HBM], access[:, d.CMEM] = instance.hbm_ps, instance.cmem_ps
    tensor = np.zeros((instance.num_tensors, d.NUM_TENSOR), dtype=np.int64)
    tensor[:, d.SIZE], tensor[:, d.TRANSFER] = instance.size, instance.transfer_ps
    tensor[:, d.STORAGE_OF] = instance.storage
    tensor[:, d.KIND] = [KIND_NAMES.index(x.kind) for x in instance.tensors]
    tensor[:, d.GROUPED] = [x.alias_group is not None for x in instance.tensors]
    tensor[:, d.HBM_ONLY] = [x.hbm_only for x in instance.tensors]
    instruction = np.zeros((instance.num_instructions, d.NUM_INSTRUCTION), dtype=np.int64)
    instruction[:, d.COMPUTE], instruction[:, d.OVERHEAD] = instance.compute_ps, instance.hardware.overhead_ps
    instruction[:, d.TRIPS] = instance.trips
    for first, last, _ in instance.segments:
        instruction[first : last + 1, d.FIRST], instruction[first : last + 1, d.LAST] = first, last
    for first, last, _ in instance.loops:
        instruction[first : last + 1, d.LOOP] = 1
    _check_length(instance)
    return Tables(dims, access, tensor, instruction)


def _check_length(instance: MemoryInstance) -> None:
    """Everything that a play adds up, waits included, must fit 64 bits."""
    trips = instance.trips.tolist()
    total = sum(
        n * (c + instance.hardware.overhead_ps) for n, c in zip(trips, instance.compute_ps.tolist(), strict=True)
    )
    rows = zip(
        instance.access_instruction.tolist(),
        instance.access_tensor.tolist(),
        instance.hbm_ps.tolist(),
        instance.cmem_ps.tolist(),
        strict=True,
    )
    total += sum(trips[t] * (hbm + cmem + int(instance.transfer_ps[v])) for t, v, hbm, cmem in rows)
    if total > _MOST_PS:
        raise UserError(f"instance {instance.name!r} may run for {total} ps, at most {_MOST_PS} can be played")


class InstanceSource(core.InstanceSource[MemoryInstance, int]):
    """The programs that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
        sizes: numbers of accesses of a family of random programs; an episode's seed makes one. Exactly one of the two.

    Attributes:
        room: (instructions, tensors, accesses) of the largest.
    """

    instance_type = MemoryInstance
    _resolve = staticmethod(resolve)
    _parse_sizes = staticmethod(parse_sizes)

    def __init__(self, instances: Sequence[MemoryInstance] = (), sizes: Sequence[int] = ()) -> None:
        super().__init__(instances, sizes)
        self._tables: dict[int, Tables] = {}
        self.size_table = np.array(self.sizes, dtype=np.int64)
        shapes = [(x.num_instructions, x.num_tensors, x.num_accesses) for x in self._instances]
        shapes += [(size, size, size) for size in self.sizes]
        self.room: tuple[int, int, int] = tuple(max(column) for column in zip(*shapes, strict=True))  # type: ignore[assignment]

    def _random(self, seed: int) -> MemoryInstance:
        return random_instance(self.sizes, seed)

    def size_of(self, seed: int) -> int:
        """The size of the random program of an episode's seed."""
        return self.sizes[int(draw_size(np.uint64(random_key(seed)), len(self.sizes)))]

    @property
    def of_suite(self) -> bool:
        """Whether a program of the suite may be played."""
        return not suite().keys().isdisjoint(self._names)

    def training_sizes(self) -> list[int]:
        """Sizes of random programs like those that may be played, sorted."""
        fixed = {min(max(x.num_accesses, SMALLEST), LARGEST) for x in self._instances[: self._fixed]}
        return sorted(fixed | set(self.sizes))

    def tables(self, index: int) -> Tables:
        """The rows of an instance, made once.

        Raises:
            UserError: its run time is too long for 64 bits.
        """
        if index not in self._tables:
            self._tables[index] = tables_of(self._instances[index])
        return self._tables[index]
