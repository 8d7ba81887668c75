"""The text form of XLA's HLO: computations of instructions with shapes, operands and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from ...core.errors import UserError

ELEMENT_BYTES = {  # what is smaller than a byte takes one
    "pred": 1, "s1": 1, "u1": 1, "s2": 1, "u2": 1, "s4": 1, "u4": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4,
    "u32": 4, "s64": 8, "u64": 8, "f4e2m1fn": 1, "f8e3m4": 1, "f8e4m3": 1, "f8e4m3b11fnuz": 1, "f8e4m3fn": 1,
    "f8e4m3fnuz": 1, "f8e5m2": 1, "f8e5m2fnuz": 1, "f8e8m0fnu": 1, "bf16": 2, "f16": 2, "f32": 4, "f64": 8, "c64": 8,
    "c128": 16, "token": 0,
}  # fmt: skip
_FLOATS = ("bf16", "f16", "f32", "f64", "f8", "f4")

_COMMENT = re.compile(r"/\*.*?\*/")
_HEAD = re.compile(r"(?P<entry>ENTRY\s+)?%?(?P<name>[\w.\-]+)\s*(\(.*\)\s*->\s*.*)?\{\s*\Z")
_INSTRUCTION = re.compile(r"(?P<root>ROOT\s+)?%?(?P<name>[\w.\-]+)\s*=\s*(?P<rest>.*)\Z", re.DOTALL)
_BEGINS = re.compile(r"(ROOT\s+)?%?[\w.\-]+\s=\s")
_ARRAY = re.compile(r"(?P<type>[a-z][a-z0-9]*)\[(?P<dims>[0-9,<=\s]*)\]")
_OPCODE = re.compile(r"\s*(?P<opcode>[\w\-]+)\(")
_OPERAND = re.compile(r"%?([\w.\-]+)\s*\Z")
_ALIAS = re.compile(r"\{([0-9,\s]*)\}\s*:\s*\(\s*([0-9]{1,9})\s*,\s*\{([0-9,\s]*)\}")
_OPENING, _CLOSING = "([{", ")]}"
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_MAX_DIGITS = 18
_MAX_DEPTH = 64  # of tuples in tuples, and of computations that call others
_MAX_STEPS = 2_000_000  # instructions, those of computations that are called counted at each call


@dataclass(frozen=True)
class Shape:
    """An array, a tuple of shapes, or a token.

    Attributes:
        type: of the elements; ``tuple`` or ``token``.
        dims: sides of an array.
        parts: shapes of a tuple.
    """

    type: str
    dims: tuple[int, ...] = ()
    parts: tuple[Shape, ...] = ()

    @property
    def elements(self) -> int:
        """Elements of all arrays in it."""
        if self.type == "tuple":
            return sum(part.elements for part in self.parts)
        return 0 if self.type == "token" else prod(self.dims)

    def bytes(self, float_bytes: int | None = None) -> int:
        """Size of an array; `float_bytes` is that of an element of floating point, None for that of its type."""
        if float_bytes is not None and self.type.startswith(_FLOATS):
            return self.elements * float_bytes
        return self.elements * ELEMENT_BYTES[self.type]


@dataclass(frozen=True)
class HloInstruction:
    """One line: ``name = shape opcode(operands), attributes``; `text` is what stands in the brackets."""

    name: str
    shape: Shape
    opcode: str
    operands: tuple[str, ...]
    text: str
    attributes: dict[str, str]


@dataclass
class Computation:
    """Instructions in their order, and the name of the one whose value is the result.

    Attributes:
        depth: computations that it calls, one within the other, itself included.
        steps: its instructions and those of what it calls, counted at each call.
    """

    name: str
    instructions: list[HloInstruction] = field(default_factory=list)
    root: str = ""
    depth: int = 1
    steps: int = 0

    def by_name(self) -> dict[str, HloInstruction]:
        """The instructions by their names."""
        return {instruction.name: instruction for instruction in self.instructions}

    def parameters(self) -> list[HloInstruction]:
        """By their numbers."""
        found = [x for x in self.instructions if x.opcode == "parameter"]
        return sorted(found, key=lambda x: int(x.text))


@dataclass
class HloModule:
    """A module.

    Attributes:
        name: of the module.
        scheduled: whether instructions stand in the order in which they run.
        computations: by name.
        entry: name of the one that is run.
        aliases: (index of an output, number of a parameter, index within it) of those that share their place.
    """

    name: str
    scheduled: bool
    computations: dict[str, Computation]
    entry: str
    aliases: list[tuple[tuple[int, ...], int, tuple[int, ...]]]


def parse_hlo(text: str, source: str) -> HloModule:
    """Read a module.

    Raises:
        UserError: the text is no HLO module; the message begins with `source` and names the line.
    """
    lines = list(_joined(text))
    number, header = next(((n, line) for n, line in lines if line.startswith("HloModule")), (0, ""))
    if not header:
        raise UserError(f"{source}: no line begins with HloModule, expected the text of an HLO module")
    module = HloModule(_module_name(header), "is_scheduled=true" in header, {}, "", _aliases(header))
    now: Computation | None = None
    marked = False
    for number, line in lines:
        where = f"{source}: line {number}"
        if now is None:
            if (match := _HEAD.match(line)) and not line.startswith("HloModule"):
                now, marked = Computation(match["name"]), False
                if match["entry"]:
                    module.entry = now.name
        elif line == "}":
            if not now.root:
                raise UserError(f"{where}: computation {now.name!r} has no instruction")
            _check(now, module, source)
            module.computations[now.name] = now
            now = None
        else:
            instruction, is_root = _instruction(line, where)
            now.instructions.append(instruction)
            if is_root or not marked:  # without a mark the last one is the root
                now.root, marked = instruction.name, is_root
    if now is not None:
        raise UserError(f"{source}: computation {now.name!r} has no end")
    if not module.entry:
        raise UserError(f"{source}: no computation is marked ENTRY")
    return module


def _check(computation: Computation, module: HloModule, source: str) -> None:
    """What an instruction uses and calls stands before it, so that nothing needs itself; calls are counted."""
    made: set[str] = set()
    computation.steps = len(computation.instructions)
    for instruction in computation.instructions:
        where = f"{source}: HLO instruction {instruction.name!r}"
        for name in instruction.operands:
            if name not in made:
                raise UserError(f"{where} uses {name!r}, which no instruction before it makes")
        for key in ("calls", "to_apply", "body", "condition"):
            name = instruction.attributes.get(key, "").lstrip("%")
            if name and name not in module.computations:
                raise UserError(f"{where} calls computation {name!r}, which is not there before it")
            if name:
                called = module.computations[name]
                computation.depth = max(computation.depth, called.depth + 1)
                computation.steps += called.steps
        if computation.depth > _MAX_DEPTH or computation.steps > _MAX_STEPS:
            limits = f"{_MAX_DEPTH} calls within each other and {_MAX_STEPS:,} instructions in all"
            raise UserError(f"{where} calls more than is read, at most {limits}")
        if instruction.name in made:
            raise UserError(f"{where} is there twice in computation {computation.name!r}")
        made.add(instruction.name)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments; what an open bracket of an instruction spans is one line."""
    pending: list[str] = []
    began = depth = 0
    quoted = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COMMENT.sub("", raw).strip()
        if pending and (line == "}" or _BEGINS.match(line)):  # the bracket is not closed at all
            yield began, " ".join(pending)
            pending = []
        if not pending:
            if not line:
                continue
            began, depth, quoted = number, 0, False
            if " = " not in line:
                yield number, line
                continue
        pending.append(line)
        depth, quoted = _depth(line, depth, quoted)
        if depth <= 0:
            yield began, " ".join(pending)
            pending = []
    if pending:
        yield began, " ".join(pending)


def _depth(line: str, depth: int, quoted: bool) -> tuple[int, bool]:
    """How many brackets are open after a line, and whether a quotation is; before it they were as given."""
    for before, char in zip(" " + line, line, strict=False):
        if char == '"' and before != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char in _OPENING) - (char in _CLOSING)
    return depth, quoted


def _module_name(header: str) -> str:
    return re.split(r"[\s,]", header.removeprefix("HloModule").strip(), maxsplit=1)[0]


def _aliases(header: str) -> list[tuple[tuple[int, ...], int, tuple[int, ...]]]:
    _, found, rest = header.partition("input_output_alias=")
    if not found:
        return []
    where = "the attribute input_output_alias"
    return [(_index(a, where), int(b), _index(c, where)) for a, b, c in _ALIAS.findall(rest[: _closing(rest, 0) + 1])]


def _index(text: str, where: str) -> tuple[int, ...]:
    parts = re.findall(r"[0-9]+", text)
    if any(len(part) > _MAX_DIGITS for part in parts):
        raise UserError(f"{where}: a number has more than {_MAX_DIGITS} digits")
    return tuple(map(int, parts))


def _instruction(line: str, where: str) -> tuple[HloInstruction, bool]:
    match = _INSTRUCTION.match(line)
    if not match:
        raise UserError(f"{where}: {line[:60]!r} is no instruction NAME = SHAPE OPCODE(...)")
    name, rest = match["name"], match["rest"]
    where = f"{where}: instruction {name!r}"
    shape, end = _shape(rest, 0, where)
    opcode = _OPCODE.match(rest, end)
    if not opcode:
        raise UserError(f"{where}: after the shape stands {rest[end : end + 40]!r}, expected an opcode with brackets")
    opened = opcode.end() - 1
    closed = _closing(rest, opened)
    if closed < 0:
        raise UserError(f"{where}: a bracket is not closed")
    inside = rest[opened + 1 : closed]
    operands: tuple[str, ...] = ()
    if opcode["opcode"] not in ("parameter", "constant"):
        operands = tuple(_operand(part, where) for part in _split(inside))
    attributes = dict(_attribute(part) for part in _split(rest[closed + 1 :].lstrip(", ")))
    if opcode["opcode"] == "parameter" and not _NUMBER.match(inside.strip()):
        raise UserError(f"{where}: its number is {inside[:40]!r}, expected an integer")
    return HloInstruction(name, shape, opcode["opcode"], operands, inside.strip(), attributes), bool(match["root"])


def _operand(text: str, where: str) -> str:
    match = _OPERAND.search(text)
    if not match:
        raise UserError(f"{where}: operand {text[:40]!r} is no name")
    return match[1]


def _attribute(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip()


def _shape(text: str, start: int, where: str, depth: int = 0) -> tuple[Shape, int]:
    """A shape and where it ends, its layout included."""
    if depth > _MAX_DEPTH:
        raise UserError(f"{where}: tuples are nested more than {_MAX_DEPTH} levels deep")
    position = start
    while position < len(text) and text[position] in " ,":
        position += 1
    if text.startswith("(", position):
        parts = []
        position += 1
        while True:
            while position < len(text) and text[position] in " ,":
                position += 1
            if text.startswith(")", position):
                return Shape("tuple", (), tuple(parts)), position + 1
            part, position = _shape(text, position, where, depth + 1)
            parts.append(part)
    match = _ARRAY.match(text, position)
    if not match:
        raise UserError(f"{where}: {text[position : position + 40]!r} is no shape such as f32[8,128]")
    if match["type"] not in ELEMENT_BYTES:
        raise UserError(
            f"{where}: element type {match['type']!r} is not known, expected one of {', '.join(ELEMENT_BYTES)}"
        )
    end = match.end()
    if text.startswith("{", end):
        closed = _closing(text, end)
        if closed < 0:
            raise UserError(f"{where}: a bracket is not closed")
        end = closed + 1
    return Shape(match["type"], _index(match["dims"], where)), end


def _closing(text: str, opened: int) -> int:
    """Where the bracket closes; -1 if it does not."""
    depth, quoted = 0, False
    for position in range(opened, len(text)):
        char = text[position]
        if char == '"' and text[position - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char in _OPENING) - (char in _CLOSING)
            if depth == 0 and char in _CLOSING:
                return position
    return -1


def _split(text: str) -> list[str]:
    """Split by commas outside brackets and quotes."""
    parts, begin, depth, quoted = [], 0, 0, False
    for position, char in enumerate(text):
        if char == '"' and (position == 0 or text[position - 1] != "\\"):
            quoted = not quoted
        elif quoted:
            continue
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    parts.append(text[begin:])
    return [part.strip() for part in parts if part.strip()]
