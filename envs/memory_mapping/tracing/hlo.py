"""Scheduled XLA programs (HLO text) as instances.

The entry computation's instructions in their order; a fusion is one instruction. Loops are flattened: their bodies run
a number of times, and what they carry from one round to the next shares one place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from ...core.errors import FieldError, UserError
from ...core.files import decode_text, read_bounded
from ...core.instance import require_integer
from ..instance import Hardware, MemoryInstance
from .hlo_cost import COMPUTED, called_by, flops, touched
from .hlo_text import Computation, HloInstruction, HloModule, Shape, parse_hlo
from .program import MAX_OP_NAME, SMALLEST_BYTES, InPlace, Operation, Program, Value, last_needed, to_instance

DTYPES = {"own": None, "bf16": 2, "f16": 2, "f32": 4}  # bytes of an element of floating point
MAX_TRIPS = 10**6
_MOST_LEAVES = 100_000  # of a tuple: one that holds another twice, and so on, would be without end

Tree = int | list["Tree"] | None  # a value, a tuple of them, or something that takes no memory

_SAME_VALUE = frozenset({"bitcast", "reshape", "optimization-barrier", "copy-start", "copy-done", "domain"})
_NOTHING = frozenset({"after-all", "partition-id", "replica-id"})
_TRIPS = re.compile(r'"?known_trip_count"?\s*:\s*\{\s*"?n"?\s*:\s*"?([0-9]+)')
_OP_NAME = re.compile(r'op_name="((?:[^"\\]|\\.)*)"')
_NOT_NAME = re.compile(r"[^a-z0-9._-]+")


def read_hlo(
    path: str | Path,
    name: str | None = None,
    dtype: str = "own",
    trips: int | None = None,
    hardware: Hardware | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> MemoryInstance:
    """The instance of a file of HLO text; see `hlo_instance`.

    Raises:
        UserError: the file cannot be read, or what `hlo_instance` raises.
    """
    text = decode_text(read_bounded(path), str(path))
    return hlo_instance(text, name, str(path), dtype, trips, hardware, smallest_bytes)


def hlo_instance(
    text: str,
    name: str | None = None,
    source: str = "the text",
    dtype: str = "own",
    trips: int | None = None,
    hardware: Hardware | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> MemoryInstance:
    """The instance of the text of a scheduled HLO module, for example ``jit(f).lower(...).compile().as_text()`` of JAX.

    Tuples, bitcasts and calls are folded. Updates of slices, values that loops carry and outputs that share their place
    with a parameter (``input_output_alias``) happen in place where they can; where they cannot, a copy is made, as XLA
    does.

    Args:
        text: with ``is_scheduled=true`` in its header.
        name: what the instance is called; default the module's name.
        source: what messages begin with.
        dtype: one of `DTYPES`: how numbers of floating point are stored; ``own`` for their types in the text.
        trips: how often a loop runs whose number of rounds the text does not tell.
        hardware: what it runs on.
        smallest_bytes: smaller tensors are left out.

    Raises:
        UserError: the text is malformed or holds something that is not supported; the instruction is named.
    """
    if dtype not in DTYPES:
        raise FieldError("dtype", dtype, " or ".join(DTYPES))
    if trips is not None:
        require_integer("trips", trips, 1, MAX_TRIPS)
    module = parse_hlo(text, source)
    if not module.scheduled:
        raise UserError(f"{source}: module {module.name!r} is not scheduled, expected is_scheduled=true in its header")
    try:
        program = _Reader(module, DTYPES[dtype], trips).read()
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    title = name or _NOT_NAME.sub("_", module.name.lower())[:100]
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    origin = {"kind": "xla-hlo", "model": module.name, "dtype": dtype, "sha256": digest}
    return to_instance(program, title, hardware, origin, smallest_bytes)


@dataclass
class _Segment:
    """A loop's body (`trips` > 0) or a stretch between loops.

    Attributes:
        operations: in their order.
        trips: how often a loop runs; 0 for a stretch that runs once.
        carries: (value in the body, value before the loop) of what changes from round to round.
    """

    operations: list[Operation] = field(default_factory=list)
    trips: int = 0
    carries: list[tuple[int, int]] = field(default_factory=list)


class _Reader:
    def __init__(self, module: HloModule, float_bytes: int | None, trips: int | None) -> None:
        self._module, self._float_bytes, self._default_trips = module, float_bytes, trips
        self._program = Program()
        self._segments = [_Segment()]
        self._same: dict[int, int] = {}  # value in a body -> the value before the loop, where it does not change

    def read(self) -> Program:
        entry = self._module.computations[self._module.entry]
        parameters = [self._parameter(x) for x in entry.parameters()]
        result = self._walk(entry, parameters)
        self._finish(result, parameters)
        return self._program

    @property
    def _values(self) -> list[Value]:
        return self._program.values

    def _parameter(self, instruction: HloInstruction) -> Tree:
        label = _OP_NAME.search(instruction.attributes.get("metadata", ""))
        name = (label[1] if label else instruction.name).replace("\\", "")
        return self._new(instruction.shape, "param", name, instruction.name)

    def _new(
        self, shape: Shape, kind: str, name: str, definition: str | None = None, index: tuple[int, ...] = ()
    ) -> Tree:
        """Values of a shape, at an index within what the instruction called `definition` defines."""
        if shape.type == "tuple":
            return [self._new(part, kind, f"{name}.{k}", definition, (*index, k)) for k, part in enumerate(shape.parts)]
        size = shape.bytes(self._float_bytes)
        if not size:
            return None
        value = self._program.add_value(size, kind, name)
        self._values[value].position = None if definition is None else (definition, index)
        return value

    # --- computations -------------------------------------------------------------------------------------------------

    def _walk(self, computation: Computation, arguments: list[Tree]) -> Tree:
        """Run through a computation; its result."""
        known: dict[str, Tree] = {}
        for instruction in computation.instructions:
            if instruction.opcode == "parameter":
                if int(instruction.text) >= len(arguments):
                    raise UserError(f"HLO instruction {instruction.name!r} is a parameter that no one gives")
                known[instruction.name] = arguments[int(instruction.text)]
                continue
            operands = [known[name] for name in instruction.operands]
            try:
                known[instruction.name] = self._step(instruction, operands, computation)
            except UserError:
                raise
            except (LookupError, ArithmeticError, ValueError):  # too few operands, a side that is not there
                raise _malformed(instruction) from None
        return known[computation.root]

    def _step(self, instruction: HloInstruction, operands: list[Tree], computation: Computation) -> Tree:
        opcode = instruction.opcode
        if opcode == "constant":
            return self._new(instruction.shape, "const", instruction.name, instruction.name)
        if opcode == "tuple":
            if sum(1 for _ in islice(_leaves(operands), _MOST_LEAVES + 1)) > _MOST_LEAVES:
                raise UserError(f"HLO instruction {instruction.name!r} holds more than {_MOST_LEAVES:,} values")
            return operands
        if opcode == "get-tuple-element":
            return self._element(instruction, operands[0])
        if opcode == "copy-start":
            return [operands[0], operands[0], None]
        if opcode == "copy-done":
            return operands[0][0] if isinstance(operands[0], list) else operands[0]
        if opcode in _SAME_VALUE:
            return operands[0]
        if opcode in _NOTHING:
            return None
        if opcode == "call":
            return self._walk(called_by(instruction, self._module), operands)
        if opcode == "while":
            return self._loop(instruction, operands[0])
        if opcode != "fusion" and opcode not in COMPUTED:
            raise UserError(f"HLO instruction {instruction.name!r}: operation {opcode!r} is not supported")
        return self._compute(instruction, operands, computation)

    def _element(self, instruction: HloInstruction, operand: Tree) -> Tree:
        index = instruction.attributes.get("index", "")
        if not isinstance(operand, list) or not index.isdecimal() or int(index) >= len(operand):
            raise UserError(f"HLO instruction {instruction.name!r} takes element {index} of what is no such tuple")
        return operand[int(index)]

    def _compute(self, instruction: HloInstruction, operands: list[Tree], computation: Computation) -> Tree:
        result = self._new(instruction.shape, "act", instruction.name, instruction.name)
        label = re.sub(r"[._][0-9.]+$", "", instruction.name) if instruction.opcode == "fusion" else instruction.opcode
        operation = Operation(label[:MAX_OP_NAME])
        operation.mxu_flops, operation.vec_flops = flops(instruction, computation, self._module)
        touch = touched(instruction, computation, self._module)
        results = list(_flat(result))
        for value, update in zip(_leaves(result), touch.updates, strict=False):
            old = operands[update[0]] if update else None
            if value is None:
                continue
            if update and isinstance(old, int) and self._values[old].bytes == self._values[value].bytes:
                changed = self._part(update[1], computation, instruction.operands[update[0]])
                operation.in_place.append(InPlace(value, old, changed))
            else:
                operation.writes[value] = self._values[value].bytes
        for name, operand, elements in zip(instruction.operands, operands, touch.reads, strict=False):
            for value in _flat(operand):
                whole = self._values[value].bytes
                size = whole if elements is None else self._part(elements, computation, name)
                if size:
                    operation.reads[value] = min(whole, operation.reads.get(value, 0) + size)
        if results:
            self._segments[-1].operations.append(operation)
        return result

    def _part(self, elements: int, computation: Computation, operand: str) -> int:
        """Bytes of a number of an operand's elements."""
        shape = computation.by_name()[operand].shape
        return replace(shape, dims=(elements,)).bytes(self._float_bytes) if shape.type != "tuple" else 0

    # --- loops --------------------------------------------------------------------------------------------------------

    def _loop(self, instruction: HloInstruction, initial: Tree) -> Tree:
        if self._segments[-1].trips:
            raise UserError(f"HLO instruction {instruction.name!r}: a loop within a loop is not supported; unroll one")
        trips = self._trips(instruction)
        body = called_by(instruction, self._module, "body")
        if trips == 0:
            return initial
        inside = self._new(body.parameters()[0].shape, "act", f"{instruction.name}.carry")
        self._segments.append(_Segment(trips=trips))
        result = self._walk(body, [inside])
        carried = list(_leaves(inside)), list(_leaves(initial)), list(_leaves(result))
        if len(set(map(len, carried))) > 1:
            raise _malformed(instruction)
        after = self._carry_all(self._segments[-1], list(zip(*carried, strict=True)))
        self._segments.append(_Segment())
        return _shaped(inside, iter(after))

    def _trips(self, instruction: HloInstruction) -> int:
        known = _TRIPS.search(instruction.attributes.get("backend_config", ""))
        trips = int(known[1]) if known else self._default_trips
        if trips is None:
            raise UserError(
                f"HLO instruction {instruction.name!r}: the text does not tell how often it runs; give --trips N"
            )
        if trips > MAX_TRIPS:
            raise UserError(f"HLO instruction {instruction.name!r} runs {trips} times, expected at most {MAX_TRIPS}")
        return trips

    def _carry_all(self, segment: _Segment, leaves: list[tuple[int | None, int | None, int | None]]) -> list[Tree]:
        """What there is after a loop, of what it carries: (in the body, before the loop, at the end of a round)."""
        changing = {now for now, _, end in leaves if now != end}
        ends: list[int | None] = []
        for now, _, end in leaves:
            if end is not None and end != now and end in changing:  # values change places: one is kept aside
                kept: list[Operation] = []
                end = self._copy(end, kept)
                segment.operations[:0] = kept
            ends.append(end)
        claimed: set[int] = set()
        after: list[Tree] = []
        for (now, begin, _), end in zip(leaves, ends, strict=True):
            if now is None or begin is None or end is None:
                after.append(end)
            elif now == end:
                self._same[now] = begin
                after.append(begin)
            else:
                others = {x for x in ends if x is not None and x != end}
                after.append(self._carry(segment.operations, now, end, claimed, others))
                segment.carries.append((now, begin))
        return after

    def _carry(self, operations: list[Operation], carried: int, end: int, claimed: set[int], others: set[int]) -> int:
        """Let a round's last value of something take the place of its first; if it cannot, a copy of it does."""
        maker = {value: i for i, operation in enumerate(operations) for value in operation.makes()}
        chain = self._chain(operations, maker, carried, end)
        needed = last_needed(operations)
        fits = chain and all(
            new not in claimed
            and old not in others
            and needed.get(old, -1) <= maker[new]
            and maker.get(old, -1) < maker[new]
            for new, old in chain
        )
        if not fits:
            end = self._copy(end, operations)
            operations[-1].in_place.append(InPlace(end, carried, None, True))
            return end
        for new, old in chain:
            claimed.add(new)
            operation = operations[maker[new]]
            wish = next((x for x in operation.in_place if x.new == new), None) or InPlace(new, old)
            operation.in_place = [x for x in operation.in_place if x.new != new] + [replace(wish, carried=True)]
        return end

    def _chain(
        self, operations: list[Operation], maker: dict[int, int], carried: int, end: int
    ) -> list[tuple[int, int]]:
        """(new, old) of the updates in place that lead from what is carried to its last value; empty if none do."""
        chain: list[tuple[int, int]] = []
        now = end
        while now != carried:
            if now not in maker:
                return []
            wish = next((x for x in operations[maker[now]].in_place if x.new == now), None)
            if wish is None:
                return [*chain, (now, carried)] if not chain else []
            chain.append((now, wish.old))
            now = wish.old
        return chain

    def _copy(self, value: int, operations: list[Operation]) -> int:
        size = self._values[value].bytes
        copy = self._program.add_value(size, "act", f"{self._values[value].name}.copy")
        operations.append(Operation("copy", {value: size}, {copy: size}))
        return copy

    # --- the end ------------------------------------------------------------------------------------------------------

    def _finish(self, result: Tree, parameters: list[Tree]) -> None:
        """Outputs, what they replace, and what loops begin with; then all segments one after the other."""
        for value in _flat(result):
            self._values[self._origin(value)].is_output = True
        self._alias_outputs(result, parameters)
        for place, segment in enumerate(self._segments):
            if segment.trips:
                self._begin(place)
        for segment in self._segments:
            first = len(self._program.operations)
            self._program.operations += [self._renamed(operation) for operation in segment.operations]
            if segment.trips and segment.operations:
                self._program.loops.append((first, len(self._program.operations) - 1, segment.trips))

    def _alias_outputs(self, result: Tree, parameters: list[Tree]) -> None:
        makers = {
            value: operation
            for segment in self._segments
            for operation in segment.operations
            for value in operation.makes()
        }
        for output, number, index in self._module.aliases:
            new = _at(result, output)
            old = _at(parameters[number] if number < len(parameters) else None, index)
            if new is not None and old is not None:
                self._values[old].donated = True
                maker = makers.get(self._origin(new))
                if maker is not None and all(wish.new != new for wish in maker.in_place):
                    maker.in_place.append(InPlace(new, old))

    def _begin(self, place: int) -> None:
        """What a loop changes must not be needed otherwise: a copy is made of what is, and of what is not ours."""
        segment = self._segments[place]
        begun: set[int] = set()
        for carried, begin in segment.carries:
            first = self._origin(begin)
            value = self._values[first]
            kept = value.is_output or (value.kind != "act" and not value.donated) or first in begun
            if kept or self._needed_later(first, place):
                first = self._copy(first, self._segments[place - 1].operations)
            begun.add(first)
            self._same[carried] = first

    def _needed_later(self, value: int, place: int) -> bool:
        return any(
            self._origin(x) == value
            for segment in self._segments[place:]
            for operation in segment.operations
            for x in operation.needs()
        ) or any(self._origin(begin) == value for later in self._segments[place + 1 :] for _, begin in later.carries)

    def _origin(self, value: int) -> int:
        while value in self._same:
            value = self._same[value]
        return value

    def _renamed(self, operation: Operation) -> Operation:
        """The same operation on the values that bodies know by other names."""
        reads: dict[int, int] = {}
        for value, size in operation.reads.items():
            origin = self._origin(value)
            reads[origin] = min(self._values[origin].bytes, reads.get(origin, 0) + size)
        wishes = [replace(wish, old=self._origin(wish.old)) for wish in operation.in_place]
        return replace(operation, reads=reads, in_place=wishes)


def _malformed(instruction: HloInstruction) -> UserError:
    what = f"its operands or attributes do not fit {instruction.opcode!r}"
    return UserError(f"HLO instruction {instruction.name!r} is malformed: {what}")


def _leaves(tree: Tree) -> Iterator[int | None]:
    if isinstance(tree, list):
        for part in tree:
            yield from _leaves(part)
    else:
        yield tree


def _flat(tree: Tree) -> Iterator[int]:
    return (leaf for leaf in _leaves(tree) if leaf is not None)


def _shaped(tree: Tree, leaves: Iterator[Tree]) -> Tree:
    """The leaves in the shape of a tree."""
    return [_shaped(part, leaves) for part in tree] if isinstance(tree, list) else next(leaves)


def _at(tree: Tree, index: tuple[int, ...]) -> int | None:
    for k in index:
        if not isinstance(tree, list) or k >= len(tree):
            return None
        tree = tree[k]
    return tree if isinstance(tree, int) else None
