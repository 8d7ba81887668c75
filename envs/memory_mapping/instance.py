"""The static data of one memory-mapping problem: a program of instructions that access tensors, and the hardware.

The model is specified in ``docs/environments/memory_mapping.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write
from ..core.instance import (
    check_header,
    content_hash,
    load_document,
    require_integer,
    require_keys,
    require_list,
    require_name,
)

FORMAT = "makespan/memory-mapping"
VERSION = 1

KINDS = ("param", "input", "const", "act", "output")
WRITTEN_KINDS = ("act", "output")
MAX_INSTRUCTIONS = 100_000
MAX_TENSORS = 200_000
MAX_ACCESSES = 400_000
MAX_BYTES = 2**45
MAX_PS = 10**15  # a quarter of an hour
PICOSECONDS = 10**12

_KEYS = ("format", "version", "name", "hardware", "tensors", "instructions")
_OPTIONAL_KEYS = ("source", "loops")
_TENSOR_KEYS = ("bytes", "kind")
_TENSOR_OPTIONAL = ("id", "alias_group", "hbm_only", "name")
_INSTRUCTION_OPTIONAL = ("t", "op", "mxu_flops", "vec_flops", "compute_ps", "reads", "writes")


@dataclass(frozen=True)
class Hardware:
    """What a program runs on; the defaults are those of ``tpuv4i`` (bandwidths of CMEM are no official figures).

    Attributes:
        name: how it is called.
        cmem_bytes: size of CMEM.
        align: sizes in CMEM are rounded up to a multiple of it, bytes.
        hbm_bps, cmem_read_bps, cmem_write_bps: bandwidths, bytes per second.
        mxu_flops, vec_flops: rates of matrix and vector operations, per second.
        copy_latency_ps: what each transfer takes beside its bytes, picoseconds.
        overhead_ps: what each instruction takes beside the roofline, picoseconds.

    Raises:
        FieldError: a number is no integer in its range.
    """

    name: str = "tpuv4i"
    cmem_bytes: int = 128 * 2**20
    align: int = 1024
    hbm_bps: int = 614 * 10**9
    cmem_read_bps: int = 2339 * 10**9
    cmem_write_bps: int = 1121 * 10**9
    mxu_flops: int = 138 * 10**12
    vec_flops: int = 2_150 * 10**9
    copy_latency_ps: int = 555_000
    overhead_ps: int = 0

    def __post_init__(self) -> None:
        require_name("hardware.name", self.name)
        limits = {
            "cmem_bytes": (1, MAX_BYTES),
            "align": (1, 2**30),
            "copy_latency_ps": (0, MAX_PS),
            "overhead_ps": (0, MAX_PS),
        }
        for entry in fields(self):
            if entry.name != "name":
                low, high = limits.get(entry.name, (1, 10**18))
                number = require_integer(f"hardware.{entry.name}", getattr(self, entry.name), low, high)
                object.__setattr__(self, entry.name, number)

    def scaled(self, cmem: float = 1.0, hbm: float = 1.0, size: float = 1.0) -> Hardware:
        """The same with other bandwidths of CMEM and HBM and another size of CMEM, as factors."""
        return replace(
            self,
            cmem_bytes=max(1, round(self.cmem_bytes * size)),
            hbm_bps=max(1, round(self.hbm_bps * hbm)),
            cmem_read_bps=max(1, round(self.cmem_read_bps * cmem)),
            cmem_write_bps=max(1, round(self.cmem_write_bps * cmem)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Hardware:
        """Read the JSON form; what is missing has its default.

        Raises:
            UserError: a field is unknown or malformed.
        """
        entry = require_keys("hardware", data, (), [x.name for x in fields(cls)], source)
        return _located(source, lambda: cls(**entry))


@dataclass(frozen=True)
class Tensor:
    """One tensor of a program.

    Attributes:
        bytes: its size.
        kind: one of `KINDS`.
        alias_group: number of the group whose members share one place; None for a place of its own.
        hbm_only: whether it must stay in HBM.
        name: what it is called where it comes from; may be empty.
    """

    bytes: int
    kind: str
    alias_group: int | None = None
    hbm_only: bool = False
    name: str = ""


@dataclass(frozen=True)
class Instruction:
    """One instruction of a program.

    Attributes:
        op: what it does, for pictures.
        reads, writes: (tensor, bytes) of each access, each tensor at most once in each.
        compute_ps: computation beside what the operations below take, picoseconds; the largest of the three counts.
        mxu_flops, vec_flops: matrix and vector operations.
    """

    op: str = ""
    reads: tuple[tuple[int, int], ...] = ()
    writes: tuple[tuple[int, int], ...] = ()
    compute_ps: int = 0
    mxu_flops: int = 0
    vec_flops: int = 0


@dataclass(frozen=True, eq=False)
class MemoryInstance:
    """A program and its hardware; checked when it is made.

    Attributes:
        name: how reports call it.
        tensors: V tensors, by their number.
        instructions: T instructions in their order.
        hardware: what it runs on.
        loops: (first, last, trips) of disjoint ranges of instructions that run `trips` times, sorted.
        source: where the program comes from (kind, model, hash, ...), plain JSON data.

    Raises:
        FieldError: something is malformed; the field reads as in a file: ``instructions[3].reads[0]: tensor``.
    """

    name: str
    tensors: tuple[Tensor, ...]
    instructions: tuple[Instruction, ...]
    hardware: Hardware = field(default_factory=Hardware)
    loops: tuple[tuple[int, int, int], ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tensors", "instructions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "loops", tuple(_loop(k, loop) for k, loop in enumerate(self.loops)))
        validate(self)

    # --- counts and tables --------------------------------------------------------------------------------------------

    @property
    def num_tensors(self) -> int:
        """How many tensors there are."""
        return len(self.tensors)

    @property
    def num_instructions(self) -> int:
        """How many instructions there are."""
        return len(self.instructions)

    @property
    def num_accesses(self) -> int:
        """How many accesses, and so decisions, there are."""
        return len(self.access_tensor)

    @cached_property
    def access_instruction(self) -> NDArray[np.int64]:
        """int64 [N], the instruction of each access, in the order of decisions."""
        return _fixed([t for t, _, _, _ in self._accesses])

    @cached_property
    def access_tensor(self) -> NDArray[np.int64]:
        """int64 [N], the tensor of each access."""
        return _fixed([tensor for _, tensor, _, _ in self._accesses])

    @cached_property
    def access_writes(self) -> NDArray[np.bool_]:
        """bool [N], whether each access writes."""
        return _fixed([writes for _, _, _, writes in self._accesses], np.bool_)

    @cached_property
    def access_bytes(self) -> NDArray[np.int64]:
        """int64 [N], bytes that each access moves."""
        return _fixed([size for _, _, size, _ in self._accesses])

    @cached_property
    def _accesses(self) -> list[tuple[int, int, int, bool]]:
        return [
            (t, tensor, size, writes)
            for t, instruction in enumerate(self.instructions)
            for writes, accesses in ((False, instruction.reads), (True, instruction.writes))
            for tensor, size in accesses
        ]

    @cached_property
    def hbm_ps(self) -> NDArray[np.int64]:
        """int64 [N], what each access takes in HBM, picoseconds."""
        return _fixed([_duration(size, self.hardware.hbm_bps) for size in self.access_bytes.tolist()])

    @cached_property
    def cmem_ps(self) -> NDArray[np.int64]:
        """int64 [N], what each access takes in CMEM, picoseconds."""
        read, write = self.hardware.cmem_read_bps, self.hardware.cmem_write_bps
        rows = zip(self.access_bytes.tolist(), self.access_writes.tolist(), strict=True)
        return _fixed([_duration(size, write if writes else read) for size, writes in rows])

    @cached_property
    def compute_ps(self) -> NDArray[np.int64]:
        """int64 [T], computation of each instruction, picoseconds."""
        mxu, vec = self.hardware.mxu_flops, self.hardware.vec_flops
        return _fixed(
            [max(x.compute_ps, _duration(x.mxu_flops, mxu), _duration(x.vec_flops, vec)) for x in self.instructions]
        )

    @cached_property
    def transfer_ps(self) -> NDArray[np.int64]:
        """int64 [V], what a transfer of each tensor takes of the HBM channel, picoseconds."""
        hardware = self.hardware
        return _fixed([hardware.copy_latency_ps + _duration(x.bytes, hardware.hbm_bps) for x in self.tensors])

    @cached_property
    def size(self) -> NDArray[np.int64]:
        """int64 [V], what each tensor takes in CMEM, bytes."""
        align = self.hardware.align
        return _fixed([-(-tensor.bytes // align) * align for tensor in self.tensors])

    @cached_property
    def storage(self) -> NDArray[np.int64]:
        """int64 [V], the storage of each tensor: the lowest number of the tensors that share it."""
        first: dict[int, int] = {}
        return _fixed(
            [
                number if tensor.alias_group is None else first.setdefault(tensor.alias_group, number)
                for number, tensor in enumerate(self.tensors)
            ]
        )

    @cached_property
    def segments(self) -> tuple[tuple[int, int, int], ...]:
        """(first, last, trips) of the loops and of the stretches between them, in order; they cover the program."""
        parts: list[tuple[int, int, int]] = []
        now = 0
        for first, last, trips in self.loops:
            if first > now:
                parts.append((now, first - 1, 1))
            parts.append((first, last, trips))
            now = last + 1
        if now < self.num_instructions:
            parts.append((now, self.num_instructions - 1, 1))
        return tuple(parts)

    @cached_property
    def segment(self) -> NDArray[np.int64]:
        """int64 [T], the number of each instruction's segment."""
        return _fixed([k for k, (first, last, _) in enumerate(self.segments) for _ in range(first, last + 1)])

    @cached_property
    def trips(self) -> NDArray[np.int64]:
        """int64 [T], how often each instruction runs."""
        return _fixed([self.segments[k][2] for k in self.segment.tolist()])

    @cached_property
    def carried(self) -> frozenset[tuple[int, int]]:
        """(storage, segment) of values that a loop carries: read in it before they are written in it."""
        found, read = set(), set()
        for t, tensor, _, writes in self._accesses:
            first, last, trips = self.segments[int(self.segment[t])]
            key = int(self.storage[tensor]), int(self.segment[t])
            if (first, last, trips) in self.loops and not writes:
                read.add(key)
            elif writes and key in read:
                found.add(key)
        return frozenset(found)

    @cached_property
    def all_hbm_ps(self) -> int:
        """The run time with everything in HBM, picoseconds; the two judges agree with it, since nothing is copied."""
        return int((self.trips * self.instruction_ps(np.zeros(self.num_accesses, dtype=np.bool_))).sum())

    def instruction_ps(self, in_cmem: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64 [T], e_t(C) for the accesses bool [N] that CMEM serves, picoseconds."""
        memory = np.zeros(self.num_instructions, dtype=np.int64)
        np.add.at(memory, self.access_instruction, np.where(in_cmem, self.cmem_ps, self.hbm_ps))
        return np.maximum(self.compute_ps, memory) + self.hardware.overhead_ps

    # --- files --------------------------------------------------------------------------------------------------------

    def on(self, hardware: Hardware, name: str | None = None) -> MemoryInstance:
        """The same program on other hardware."""
        return replace(self, hardware=hardware, name=self.name if name is None else name)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: plain lists and integers."""
        data: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "source": dict(self.source),
            "hardware": self.hardware.to_dict(),
            "tensors": [_tensor_dict(number, tensor) for number, tensor in enumerate(self.tensors)],
            "instructions": [_instruction_dict(t, x) for t, x in enumerate(self.instructions)],
        }
        if self.loops:
            data["loops"] = [list(loop) for loop in self.loops]
        return data

    @cached_property
    def hash(self) -> str:
        """16 hex digits of the content, without name and source."""
        return content_hash({key: value for key, value in self.to_dict().items() if key not in ("name", "source")})

    def same_as(self, other: MemoryInstance) -> bool:
        """Whether both are the same problem; names and sources may differ."""
        return self.hash == other.hash

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> MemoryInstance:
        """Read the JSON form; `source` (a path) begins the messages.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        document = require_keys(
            "the instance", check_header(data, FORMAT, (VERSION,), source), _KEYS, _OPTIONAL_KEYS, source
        )
        origin = document.get("source", {})
        if not isinstance(origin, dict):
            raise FieldError("source", origin, "an object", source)
        name = require_name("name", document["name"], source)
        hardware = Hardware.from_dict(document["hardware"], source)
        tensors = [_read_tensor(v, row, source) for v, row in enumerate(_rows("tensors", document, source))]
        instructions = [
            _read_instruction(t, row, source) for t, row in enumerate(_rows("instructions", document, source))
        ]
        loops = _rows("loops", document, source)
        return _located(source, lambda: cls(name, tuple(tensors), tuple(instructions), hardware, tuple(loops), origin))

    def dumps(self) -> str:
        """The JSON form as text, one line per tensor and instruction."""
        data = self.to_dict()
        lists = {key: data.pop(key) for key in ("tensors", "instructions")}
        parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items()]
        for key, rows in lists.items():
            lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
            parts.append(f' "{key}": [\n{lines}\n ]')
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def save(self, path: str | Path) -> None:
        """Write the JSON form, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, self.dumps())

    @classmethod
    def load(cls, path: str | Path) -> MemoryInstance:
        """Read a file in the JSON form.

        Raises:
            UserError: the file cannot be read, or something in it is malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


def validate(instance: MemoryInstance) -> None:
    """Check everything that the classes document.

    Raises:
        FieldError: something is malformed; the message names the instruction and the tensor.
    """
    require_name("name", instance.name)
    _check_count("tensors", len(instance.tensors), MAX_TENSORS)
    _check_count("instructions", len(instance.instructions), MAX_INSTRUCTIONS)
    for number, tensor in enumerate(instance.tensors):
        _check_tensor(f"tensors[{number}]", tensor)
    accesses = 0
    for t, instruction in enumerate(instance.instructions):
        _check_instruction(f"instructions[{t}]", instruction, instance)
        accesses += len(instruction.reads) + len(instruction.writes)
    if not 1 <= accesses <= MAX_ACCESSES:
        raise FieldError("number of accesses", accesses, f"1 to {MAX_ACCESSES}")
    _check_loops(instance)
    _check_order(instance)
    _check_groups(instance)


def _loop(k: int, loop: Any) -> tuple[Any, Any, Any]:
    if not isinstance(loop, Sequence) or len(loop) != 3:
        raise FieldError(f"loops[{k}]", loop, "[first, last, trips]")
    return loop[0], loop[1], loop[2]


def _check_count(field: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise FieldError(f"number of {field}", count, f"1 to {most}")


def _check_tensor(where: str, tensor: Tensor) -> None:
    require_integer(f"{where}.bytes", tensor.bytes, 1, MAX_BYTES)
    if tensor.kind not in KINDS:
        raise FieldError(f"{where}.kind", tensor.kind, " or ".join(KINDS))
    if tensor.alias_group is not None:
        require_integer(f"{where}.alias_group", tensor.alias_group, 0, MAX_TENSORS)
    if not isinstance(tensor.hbm_only, bool):
        raise FieldError(f"{where}.hbm_only", tensor.hbm_only, "true or false")
    if not isinstance(tensor.name, str):
        raise FieldError(f"{where}.name", tensor.name, "a text")


def _check_instruction(where: str, instruction: Instruction, instance: MemoryInstance) -> None:
    if not isinstance(instruction.op, str):
        raise FieldError(f"{where}.op", instruction.op, "a text")
    require_integer(f"{where}.compute_ps", instruction.compute_ps, 0, MAX_PS)
    for name, rate in (("mxu_flops", instance.hardware.mxu_flops), ("vec_flops", instance.hardware.vec_flops)):
        require_integer(f"{where}.{name}", getattr(instruction, name), 0, rate * MAX_PS // PICOSECONDS)
    for name in ("reads", "writes"):
        seen: set[int] = set()
        for k, access in enumerate(getattr(instruction, name)):
            entry = f"{where}.{name}[{k}]"
            if not isinstance(access, Sequence) or len(access) != 2:
                raise FieldError(entry, access, "[tensor, bytes]")
            tensor, size = access
            require_integer(f"{entry}: tensor", tensor, 0, instance.num_tensors - 1)
            require_integer(f"{entry}: bytes", size, 0, MAX_BYTES)
            if tensor in seen:
                raise FieldError(f"{entry}: tensor", tensor, "a tensor that is listed once; add up its bytes")
            seen.add(tensor)


def _check_loops(instance: MemoryInstance) -> None:
    now = 0
    for k, loop in enumerate(instance.loops):
        first = require_integer(f"loops[{k}].first", loop[0], now, instance.num_instructions - 1)
        now = require_integer(f"loops[{k}].last", loop[1], first, instance.num_instructions - 1) + 1
        require_integer(f"loops[{k}].trips", loop[2], 1, 10**6)


def _check_order(instance: MemoryInstance) -> None:
    """Activations are written by one instruction, before they are read; nothing else is written."""
    written: dict[int, int] = {}
    for t, instruction in enumerate(instance.instructions):
        for k, (tensor, _) in enumerate(instruction.reads):
            if instance.tensors[tensor].kind in WRITTEN_KINDS and tensor not in written:
                raise FieldError(f"instructions[{t}].reads[{k}]: tensor", tensor, "a tensor that was written before")
        for k, (tensor, _) in enumerate(instruction.writes):
            where = f"instructions[{t}].writes[{k}]: tensor"
            kind = instance.tensors[tensor].kind
            if kind not in WRITTEN_KINDS:
                raise FieldError(where, tensor, f"an act or an output, but it is of kind {kind}")
            if tensor in written:
                expected = f"a tensor that no one wrote before, but instruction {written[tensor]} did"
                raise FieldError(where, tensor, expected)
            written[tensor] = t
    for number, tensor in enumerate(instance.tensors):
        if tensor.kind in WRITTEN_KINDS and number not in written:
            raise FieldError(f"tensors[{number}].kind", tensor.kind, "param, input or const: no instruction writes it")


def _check_groups(instance: MemoryInstance) -> None:
    """Members of an alias group have one size, follow one another, and at most one comes from outside."""
    groups: dict[int, list[int]] = {}
    for number, tensor in enumerate(instance.tensors):
        if tensor.alias_group is not None:
            groups.setdefault(tensor.alias_group, []).append(number)
    for members in groups.values():
        first = instance.tensors[members[0]]
        for number in members:
            tensor, where = instance.tensors[number], f"tensors[{number}]"
            if tensor.bytes != first.bytes:
                raise FieldError(f"{where}.bytes", tensor.bytes, f"{first.bytes}, as tensor {members[0]} of its group")
            if tensor.hbm_only != first.hbm_only:
                raise FieldError(f"{where}.hbm_only", tensor.hbm_only, f"the same as tensor {members[0]} of its group")
        outside = [number for number in members if instance.tensors[number].kind not in WRITTEN_KINDS]
        if len(outside) > 1:
            expected = f"another group than that of tensor {outside[0]}: both are there before the program starts"
            raise FieldError(f"tensors[{outside[1]}].alias_group", first.alias_group, expected)
    _check_overwritten(instance, groups)


def _check_overwritten(instance: MemoryInstance, groups: Mapping[int, Sequence[int]]) -> None:
    """No member of an alias group is read after a later one was written, and only the last one is there at the end."""
    latest: dict[int, tuple[int, int]] = {}
    for members in groups.values():
        for number in members:
            if instance.tensors[number].kind not in WRITTEN_KINDS:
                latest[instance.tensors[number].alias_group] = number, -1  # type: ignore[index]
    for t, instruction in enumerate(instance.instructions):
        for k, (tensor, _) in enumerate(instruction.reads):
            group = instance.tensors[tensor].alias_group
            if group is not None and latest[group][0] != tensor:
                later, when = latest[group]
                expected = f"a value that is still there, but instruction {when} wrote tensor {later} in its place"
                raise FieldError(f"instructions[{t}].reads[{k}]: tensor", tensor, expected)
        for k, (tensor, _) in enumerate(instruction.writes):
            group = instance.tensors[tensor].alias_group
            if group is not None:
                if group in latest and latest[group][1] == t:
                    expected = f"one write to alias group {group}, but tensor {latest[group][0]} is written there too"
                    raise FieldError(f"instructions[{t}].writes[{k}]: tensor", tensor, expected)
                latest[group] = tensor, t
    for group, members in groups.items():
        later, when = latest[group]
        for number in members:
            if instance.tensors[number].kind == "output" and number != later:
                expected = f"act: instruction {when} writes tensor {later} of alias group {group} in its place"
                raise FieldError(f"tensors[{number}].kind", "output", expected)


def _tensor_dict(number: int, tensor: Tensor) -> dict[str, Any]:
    row: dict[str, Any] = {"id": number, "bytes": tensor.bytes, "kind": tensor.kind}
    if tensor.alias_group is not None:
        row["alias_group"] = tensor.alias_group
    if tensor.hbm_only:
        row["hbm_only"] = True
    if tensor.name:
        row["name"] = tensor.name
    return row


def _instruction_dict(t: int, instruction: Instruction) -> dict[str, Any]:
    row: dict[str, Any] = {"t": t, "op": instruction.op}
    for name in ("compute_ps", "mxu_flops", "vec_flops"):
        if getattr(instruction, name):
            row[name] = getattr(instruction, name)
    for name in ("reads", "writes"):
        row[name] = [list(access) for access in getattr(instruction, name)]
    return row


def _rows(key: str, document: Mapping[str, Any], source: str | None) -> list[Any]:
    return require_list(key, document.get(key, []), source)


def _read_tensor(number: int, row: object, source: str | None) -> Tensor:
    where = f"tensors[{number}]"
    entry = require_keys(where, row, _TENSOR_KEYS, _TENSOR_OPTIONAL, source)
    if entry.pop("id", number) != number:
        raise FieldError(f"{where}.id", row["id"], f"{number}, its place in the list", source)  # type: ignore[index]
    return Tensor(**entry)


def _read_instruction(t: int, row: object, source: str | None) -> Instruction:
    where = f"instructions[{t}]"
    entry = require_keys(where, row, (), _INSTRUCTION_OPTIONAL, source)
    if entry.pop("t", t) != t:
        raise FieldError(f"{where}.t", row["t"], f"{t}, its place in the list", source)  # type: ignore[index]
    for name in ("reads", "writes"):
        accesses = require_list(f"{where}.{name}", entry.get(name, []), source)
        entry[name] = tuple(tuple(access) if isinstance(access, list) else access for access in accesses)
    return Instruction(**entry)


def _located(source: str | None, make: Any) -> Any:
    """What `make` makes; its errors begin with the source."""
    try:
        return make()
    except FieldError as error:
        if source is None or error.source is not None:
            raise
        raise FieldError(error.field, error.value, error.expected, source) from None


def _fixed(values: Sequence[Any], dtype: Any = np.int64) -> NDArray[Any]:
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _duration(amount: int, rate: int) -> int:
    """Picoseconds for an amount at a rate per second, rounded up."""
    return -(-amount * PICOSECONDS // rate)
