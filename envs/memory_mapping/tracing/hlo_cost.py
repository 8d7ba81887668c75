"""What instructions of HLO compute and touch, estimated from shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from ...core.errors import UserError
from .hlo_text import Computation, HloInstruction, HloModule
from .program import TRANSCENDENTAL_OPS

TRANSCENDENTAL = frozenset(
    {"exponential", "exponential-minus-one", "log", "log-plus-one", "logistic", "tanh", "tan", "sine", "cosine", "sqrt",
     "rsqrt", "cbrt", "power", "atan2", "erf", "divide"}
)  # fmt: skip
ELEMENTWISE = frozenset(
    {"abs", "add", "and", "ceil", "clamp", "clz", "compare", "complex", "floor", "imag", "is-finite",
     "maximum", "minimum", "multiply", "negate", "not", "or", "popcnt", "real", "reduce-precision", "remainder",
     "round-nearest-afz", "round-nearest-even", "select", "shift-left", "shift-right-arithmetic",
     "shift-right-logical", "sign", "stochastic-convert", "subtract", "xor", "map", "rng", "rng-bit-generator"}
)  # fmt: skip
MOVES = frozenset(
    {"bitcast-convert", "broadcast", "concatenate", "convert", "copy", "dynamic-slice", "dynamic-update-slice",
     "gather", "iota", "pad", "reshape", "reverse", "scatter", "slice", "transpose"}
)  # fmt: skip
REDUCTIONS = frozenset({"reduce", "reduce-window", "select-and-scatter", "sort", "batch-norm-inference", "topk"})
PRODUCTS = frozenset({"dot", "convolution"})
FREE = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast"})
COMPUTED = ELEMENTWISE | TRANSCENDENTAL | MOVES | REDUCTIONS | PRODUCTS

_LOOK_THROUGH = frozenset({"bitcast", "convert", "copy", "reshape", "bitcast-convert"})
_PARTIAL_READS = frozenset({"slice", "dynamic-slice", "gather"})
_PARTIAL_WRITES = {"dynamic-update-slice": 1, "scatter": 2}  # opcode -> place of the change among the operands
_WINDOW = re.compile(r"size=([0-9]+(?:x[0-9]+)*)")
_DILATION = re.compile(r"lhs_dilate=([0-9]+(?:x[0-9]+)*)")


def flops(instruction: HloInstruction, computation: Computation, module: HloModule) -> tuple[int, int]:
    """Matrix and vector operations of an instruction, those of a fusion added up.

    Raises:
        UserError: an operation is not supported; the instruction is named.
    """
    opcode = instruction.opcode
    if opcode in ("fusion", "call"):
        called = called_by(instruction, module)
        parts = [flops(x, called, module) for x in called.instructions]
        return sum(mxu for mxu, _ in parts), sum(vec for _, vec in parts)
    if opcode in FREE:
        return 0, 0
    if opcode not in COMPUTED:
        raise UserError(f"HLO instruction {instruction.name!r}: operation {opcode!r} is not supported")
    known = computation.by_name()
    operands = [known[name].shape for name in instruction.operands]
    if opcode == "dot":
        left, _ = operands[0], operands[1]
        sides = [left.dims[d] for d in _dims(instruction, "lhs_contracting_dims")]
        return 2 * instruction.shape.elements * prod(sides), 0
    if opcode == "convolution":
        return _convolution(instruction, operands[1].dims), 0
    if opcode in MOVES:
        return 0, 0
    if opcode == "reduce-window":
        window = _WINDOW.search(instruction.attributes.get("window", ""))
        return 0, instruction.shape.elements * (prod(map(int, window[1].split("x"))) if window else 1)
    if opcode == "sort":
        longest = max(operands[0].dims, default=1)
        return 0, operands[0].elements * max(1, (longest - 1).bit_length())
    elements = max([instruction.shape.elements, *(shape.elements for shape in operands)])
    return 0, elements * (TRANSCENDENTAL_OPS if opcode in TRANSCENDENTAL else 1)


def _convolution(instruction: HloInstruction, kernel: tuple[int, ...]) -> int:
    """Two operations per element of the result and of the kernel of one output feature."""
    labels = instruction.attributes.get("dim_labels", "").partition("_")[2].partition("->")[0]
    if len(labels) != len(kernel) or "o" not in labels:
        raise UserError(f"HLO instruction {instruction.name!r}: its dim_labels do not fit its kernel")
    dilation = _DILATION.search(instruction.attributes.get("window", ""))
    holes = prod(map(int, dilation[1].split("x"))) if dilation else 1
    return 2 * instruction.shape.elements * prod(kernel) // kernel[labels.index("o")] // holes


def called_by(instruction: HloInstruction, module: HloModule, attribute: str = "") -> Computation:
    """The computation that an instruction calls.

    Raises:
        UserError: there is none.
    """
    keys = (attribute,) if attribute else ("calls", "to_apply")
    name = next((instruction.attributes[key] for key in keys if key in instruction.attributes), "").lstrip("%")
    if name not in module.computations:
        raise UserError(f"HLO instruction {instruction.name!r} calls computation {name!r}, which is not there")
    return module.computations[name]


def _dims(instruction: HloInstruction, key: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", instruction.attributes.get(key, ""))]


@dataclass(frozen=True)
class Touch:
    """What an instruction touches of its operands and results, in elements.

    Attributes:
        reads: per operand the elements that it reads, None for all of them.
        updates: per result (in the order of the leaves) the operand that it is, but for a number of elements that
            change; None for a result that is new.
    """

    reads: tuple[int | None, ...]
    updates: tuple[tuple[int, int] | None, ...]


def touched(instruction: HloInstruction, computation: Computation, module: HloModule) -> Touch:
    """What an instruction touches: slices and gathers read a part, updates of slices write a part."""
    if instruction.opcode == "fusion":
        called = called_by(instruction, module)
        known = called.by_name()
        root = known[called.root]
        roots = [known[name] for name in root.operands] if root.opcode == "tuple" else [root] * len(leaves_of(root))
        updates = tuple(_update(x, known) for x in roots)
        taken = {update[0] for update in updates if update is not None}
        reads = tuple(_read(x, k in taken, called) for k, x in enumerate(called.parameters()))
        return Touch(reads, updates)
    count = len(instruction.operands)
    if instruction.opcode in _PARTIAL_READS:
        return Touch((instruction.shape.elements, *(None for _ in range(count - 1))), (None,))
    if instruction.opcode in _PARTIAL_WRITES and instruction.shape.type != "tuple":
        change = computation.by_name()[instruction.operands[_PARTIAL_WRITES[instruction.opcode]]]
        kept = change.shape.elements if instruction.opcode == "scatter" else 0  # which combines old and new
        return Touch((kept, *(None for _ in range(count - 1))), ((0, change.shape.elements),))
    return Touch((None,) * count, (None,) * len(leaves_of(instruction)))


def leaves_of(instruction: HloInstruction) -> list[tuple[int, ...]]:
    """The indices of the arrays in an instruction's shape; a fusion's tuples are not nested."""
    shape = instruction.shape
    return [(k,) for k in range(len(shape.parts))] if shape.type == "tuple" else [()]


def _update(root: HloInstruction, known: dict[str, HloInstruction]) -> tuple[int, int] | None:
    """(parameter, elements) if a result is a parameter of which a part is overwritten."""
    last = _through(root, known)
    if root.shape.type == "tuple" or last.opcode not in _PARTIAL_WRITES:
        return None
    first = _through(known[last.operands[0]], known)
    if first.opcode != "parameter" or first.shape.elements != root.shape.elements:
        return None
    return int(first.text), known[last.operands[_PARTIAL_WRITES[last.opcode]]].shape.elements


def _through(instruction: HloInstruction, known: dict[str, HloInstruction]) -> HloInstruction:
    while instruction.opcode in _LOOK_THROUGH:
        instruction = known[instruction.operands[0]]
    return instruction


def _read(parameter: HloInstruction, updated: bool, computation: Computation) -> int | None:
    """Elements of a fusion's parameter that it reads; None for all. What an update keeps is not read."""
    elements, names, known = 0, [parameter.name], computation.by_name()
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        for user in computation.instructions:
            for place, operand in enumerate(user.operands):
                if operand != name:
                    continue
                if user.opcode in _LOOK_THROUGH:
                    names.append(user.name)
                elif user.opcode in _PARTIAL_READS and place == 0:
                    elements += user.shape.elements
                elif not (updated and user.opcode in _PARTIAL_WRITES and place == 0):
                    return None
                elif user.opcode == "scatter":  # which combines old and new
                    elements += known[user.operands[_PARTIAL_WRITES["scatter"]]].shape.elements
        if name == computation.root and not updated:
            return None
    return min(elements, parameter.shape.elements)
