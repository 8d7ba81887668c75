"""What every reader makes of a model, values and operations in order, and how an instance is made of it.

Readers say which value *may* take another's place; whether it can is decided here, when the order is final.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import UserError
from ..instance import WRITTEN_KINDS, Hardware, Instruction, MemoryInstance, Tensor

SMALLEST_BYTES = 1024  # smaller values live in registers and scalar memory, whatever the mapping
TRANSCENDENTAL_OPS = 4  # vector operations that an exponential, a root or a tangent counts as
MAX_OP_NAME = 60


@dataclass
class Value:
    """A result, a parameter or an input.

    Attributes:
        bytes: its size.
        kind: ``param``, ``input``, ``const``, or ``act`` for what an operation writes.
        name: what it is called where it comes from.
        is_output: whether it must be in HBM at the end.
        donated: whether a parameter or an input may be overwritten; what operations write always may.
        position: the instruction of the source that defines it and the index within its result, where there is one.
    """

    bytes: int
    kind: str
    name: str = ""
    is_output: bool = False
    donated: bool = False
    position: tuple[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class InPlace:
    """A wish: `new` takes the place of `old`.

    Attributes:
        new, old: values of one size; the operation that holds the wish writes `new`.
        bytes: where only a part of `old` is overwritten, how much; None where `new` is written whole. The operation
            lists a partly written value neither in `reads` nor in `writes`.
        carried: whether `old` is what a loop carried into its body and `new` what it carries to the next round.
    """

    new: int
    old: int
    bytes: int | None = None
    carried: bool = False


@dataclass
class Operation:
    """One step of a program.

    Attributes:
        op: what it does.
        reads, writes: value -> bytes.
        mxu_flops, vec_flops: matrix and vector operations.
        in_place: wishes.
        elementwise: whether it makes its elements one by one, so that it can be computed where they are needed.
        through: the values whose elements, all of them, it so reads one by one: it can be computed where they are made.
    """

    op: str
    reads: dict[int, int] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)
    mxu_flops: int = 0
    vec_flops: int = 0
    in_place: list[InPlace] = field(default_factory=list)
    elementwise: bool = False
    through: frozenset[int] = frozenset()

    def needs(self) -> set[int]:
        """Values that must be there before."""
        return {*self.reads, *(wish.old for wish in self.in_place if wish.bytes is not None)}

    def makes(self) -> set[int]:
        """Values that are there afterwards."""
        return {*self.writes, *(wish.new for wish in self.in_place)}


@dataclass
class Program:
    """Values, operations in their order, and loops over ranges of operations (first, last, trips)."""

    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    loops: list[tuple[int, int, int]] = field(default_factory=list)

    def add_value(self, size: int, kind: str, name: str = "") -> int:
        """The number of a new value."""
        self.values.append(Value(size, kind, name))
        return len(self.values) - 1


def to_instance(
    program: Program,
    name: str,
    hardware: Hardware | None = None,
    source: Mapping[str, Any] | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> MemoryInstance:
    """The instance that a program is.

    Operations whose results nobody needs are left out, so are values of less than `smallest_bytes` and operations that
    touch no other value. Wishes are granted in the order of the operations, where the rules of alias groups allow.

    Raises:
        UserError: nothing is left.
    """
    program = without_dead(program)
    storage = _grant(program)
    accessed = [_accesses(operation, program.values, storage) for operation in program.operations]

    def large(access: Mapping[int, int]) -> list[tuple[int, int]]:
        return [(value, size) for value, size in access.items() if program.values[value].bytes >= smallest_bytes]

    kept = [
        (number, operation, large(reads), large(writes))
        for number, (operation, (reads, writes)) in enumerate(zip(program.operations, accessed, strict=True))
        if large(reads) or large(writes)
    ]
    if not kept:
        raise UserError(f"program {name!r} accesses no tensor of {smallest_bytes} bytes or more")
    order = list(dict.fromkeys(value for _, _, reads, writes in kept for value, _ in (*reads, *writes)))
    numbers = {value: number for number, value in enumerate(order)}
    instructions = [
        Instruction(
            operation.op,
            tuple((numbers[value], size) for value, size in reads),
            tuple((numbers[value], size) for value, size in writes),
            0,
            operation.mxu_flops,
            operation.vec_flops,
        )
        for _, operation, reads, writes in kept
    ]
    tensors = tuple(_tensors([program.values[value] for value in order], [storage[value] for value in order]))
    loops = tuple(_loops(program.loops, [number for number, *_ in kept]))
    origin = dict(source or {})
    positions = [program.values[value].position for value in order]
    if any(positions):
        origin["positions"] = [None if x is None else [x[0], list(x[1])] for x in positions]
    return MemoryInstance(name, tensors, tuple(instructions), hardware or Hardware(), loops, origin)


def without_dead(program: Program) -> Program:
    """The same program without operations and written values whose results nobody needs; values keep their numbers."""
    needed = {number for number, value in enumerate(program.values) if value.is_output}
    for first, last, _ in program.loops:  # the next round may need what this one makes
        needed.update(value for operation in program.operations[first : last + 1] for value in operation.needs())
        needed.update(
            wish.new
            for operation in program.operations[first : last + 1]
            for wish in operation.in_place
            if wish.carried
        )
    alive = [False] * len(program.operations)
    for i in range(len(program.operations) - 1, -1, -1):
        operation = program.operations[i]
        if needed & operation.makes():
            alive[i] = True
            operation.writes = {value: size for value, size in operation.writes.items() if value in needed}
            operation.in_place = [wish for wish in operation.in_place if wish.new in needed]
            needed |= operation.needs()
    before = [0]
    for kept in alive:
        before.append(before[-1] + kept)
    operations = [operation for operation, kept in zip(program.operations, alive, strict=True) if kept]
    loops = [
        (before[first], before[last + 1] - 1, trips)
        for first, last, trips in program.loops
        if before[last + 1] > before[first]
    ]
    return Program(program.values, operations, loops)


def last_needed(operations: Iterable[Operation]) -> dict[int, int]:
    """The last operation that needs each value."""
    return {value: i for i, operation in enumerate(operations) for value in operation.needs()}


def _grant(program: Program) -> list[int]:
    """The storage of each value: the number of the first value in its place."""
    storage = list(range(len(program.values)))
    latest = list(range(len(program.values)))  # of each storage
    needed = last_needed(program.operations)
    written = {value: i for i, operation in enumerate(program.operations) for value in operation.makes()}
    for i, operation in enumerate(program.operations):
        for wish in operation.in_place:
            old, new = program.values[wish.old], program.values[wish.new]
            place = storage[wish.old]
            if (
                storage[wish.new] == wish.new
                and latest[place] == wish.old
                and old.bytes == new.bytes
                and not old.is_output
                and (old.donated or old.kind == "act")
                and needed.get(wish.old, -1) <= i
                and written.get(wish.old, -1) < i
                and (wish.carried or _loop_of(program, i) == _loop_of(program, written.get(wish.old, -1)))
            ):
                storage[wish.new] = place
                latest[place] = wish.new
    return storage


def _loop_of(program: Program, i: int) -> int | None:
    return next((k for k, (first, last, _) in enumerate(program.loops) if first <= i <= last), None)


def _accesses(operation: Operation, values: list[Value], storage: list[int]) -> tuple[dict[int, int], dict[int, int]]:
    """What an operation reads and writes, given what happens in place."""
    reads, writes = dict(operation.reads), dict(operation.writes)
    for wish in operation.in_place:
        if wish.bytes is None:
            continue
        if storage[wish.new] != storage[wish.old]:  # a copy is changed
            reads[wish.old] = writes[wish.new] = values[wish.new].bytes
        else:
            writes[wish.new] = wish.bytes
            if values[wish.old].kind not in WRITTEN_KINDS:  # it must be where it is changed: fetched, if that is CMEM
                reads.setdefault(wish.old, 0)
    return reads, writes


def _tensors(values: list[Value], storage: list[int]) -> Iterator[Tensor]:
    groups: dict[int, int] = {}
    members = Counter(storage)
    for value, place in zip(values, storage, strict=True):
        group = groups.setdefault(place, len(groups)) if members[place] > 1 else None
        kind = "output" if value.is_output and value.kind == "act" else value.kind
        yield Tensor(value.bytes, kind, group, name=value.name)


def _loops(loops: list[tuple[int, int, int]], kept: list[int]) -> Iterator[tuple[int, int, int]]:
    """Loops over what was kept of the operations."""
    for first, last, trips in loops:
        inside = [t for t, number in enumerate(kept) if first <= number <= last]
        if inside:
            yield inside[0], inside[-1], trips
