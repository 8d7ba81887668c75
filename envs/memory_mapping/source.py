"""Where the programs come from: a fixed list, or a family of random ones, one for each episode's seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.errors import UserError
from ..core.names import parse_name, split_list
from ..core.random import uniform
from . import state as d
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

_STREAM_CHOICE = 9
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


@compiled
def choose_by_seed(seeds, count, chosen):
    for index in range(len(seeds)):
        chosen[index] = np.int64(count * uniform(seeds[index], _STREAM_CHOICE, 0))


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


class InstanceSource:
    """The programs that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
        sizes: numbers of accesses of a family of random programs; an episode's seed makes one. Exactly one of the two.

    Attributes:
        room: (instructions, tensors, accesses) of the largest.
    """

    def __init__(self, instances: Sequence[MemoryInstance] = (), sizes: Sequence[int] = ()) -> None:
        if bool(instances) == bool(sizes):
            raise ValueError("give either instances or the sizes of a random family")
        self._instances = list(instances)
        self._names = {instance.name: index for index, instance in enumerate(self._instances)}
        self._tables: dict[int, Tables] = {}
        self.sizes = tuple(sizes)
        self.size_table = np.array(self.sizes, dtype=np.int64)
        self._fixed = len(self._instances)
        shapes = [(x.num_instructions, x.num_tensors, x.num_accesses) for x in self._instances]
        shapes += [(size, size, size) for size in self.sizes]
        self.room: tuple[int, int, int] = tuple(max(column) for column in zip(*shapes, strict=True))  # type: ignore[assignment]

    @classmethod
    def parse(cls, given: str | MemoryInstance | Sequence[MemoryInstance]) -> InstanceSource:
        """Read the option `instance`: names, ranges, paths, ``random:size=100`` (a family; with ``count`` a list)."""
        if isinstance(given, MemoryInstance):
            return cls([given])
        if not isinstance(given, str):
            return cls(list(given))
        items = split_list(given)
        families = [name for item in items if (name := parse_name(item, "instance")).base == "random"]
        if len(families) == len(items) and not any({"count", "seed"} & set(name.options) for name in families):
            return cls(sizes=[size for name in families for size in parse_sizes(name)])
        return cls([instance for item in items for instance in resolve(item)])

    def choose(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the program that each episode plays, -1 for one made from the seed."""
        chosen = np.full(len(seeds), -1, dtype=np.int64)
        if not self.sizes:
            choose_by_seed(np.ascontiguousarray(seeds), self._fixed, chosen)
        return chosen

    def index(self, instance: str | MemoryInstance) -> int:
        """Index of an instance given by name or as an object; one that is new is kept for later."""
        if isinstance(instance, MemoryInstance):
            known = self._names.get(instance.name)
            if known is None or self._instances[known] is not instance:
                self._names[instance.name] = len(self._instances)
                self._instances.append(instance)
            return self._names[instance.name]
        if not isinstance(instance, str):
            raise UserError(f"instance is {instance!r}, expected a name, a path or a MemoryInstance")
        if instance not in self._names:
            found = resolve(instance)
            if len(found) != 1:
                raise UserError(f"instance {instance!r} names {len(found)} instances, expected one")
            self._names[instance] = len(self._instances)
            self._instances.append(found[0])
        return self._names[instance]

    def instance(self, index: int, seed: int = 0) -> MemoryInstance:
        """An instance by index, or the one made from the episode's seed."""
        return self._instances[index] if index >= 0 else random_instance(self.sizes, seed)

    def size_of(self, seed: int) -> int:
        """The size of the random program of an episode's seed."""
        return self.sizes[int(draw_size(np.uint64(random_key(seed)), len(self.sizes)))]

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
