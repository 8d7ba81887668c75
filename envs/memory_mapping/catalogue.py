"""The programs that ship, the sets that they form, and instance files: whatever a name of an instance may mean.

A *program* (``resnet50_b64``) was traced once, see ``benchmarks/memory_mapping_suite.py``. An *instance* of the suite
(``resnet50_b64_32m``) is a program with a size of CMEM; it belongs to a family, and its family to one split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from ..core.errors import FieldError, UnknownNameError
from ..core.files import named_files, suggest_path
from ..core.instance import check_header, parse_json
from ..core.names import Name, OptionValue, check_options, parse_name
from . import instances
from .instance import MAX_BYTES, MemoryInstance

SUITE_FORMAT = "makespan/memory-mapping-suite"
SUITE_VERSION = 1
SUITE_FILE = "suite.json"
SPLITS = ("train", "validation", "test")
OPTIONS = ("cmem", "hbm", "cmem_bw")

_MIB = 2**20
_LEAST_FACTOR, _MOST_FACTOR = 0.001, 1000.0


@dataclass(frozen=True)
class Entry:
    """One instance of the suite.

    Attributes:
        program: the program that is mapped.
        cmem: size of CMEM, MiB.
        family: the kind of model; all instances of a family are in one split.
        split: one of `SPLITS`.
        hash: of the instance (`MemoryInstance.hash`).
    """

    program: str
    cmem: int
    family: str
    split: str
    hash: str


@cache
def suite() -> Mapping[str, Entry]:
    """The instances of the suite by name, in alphabetical order."""
    text = resources.files(instances).joinpath(SUITE_FILE).read_text(encoding="utf-8")
    document = check_header(parse_json(text, SUITE_FILE), SUITE_FORMAT, (SUITE_VERSION,), SUITE_FILE)
    keys = ("program", "cmem", "family", "split", "hash")
    entries = {row["name"]: Entry(*(row[key] for key in keys)) for row in document["instances"]}
    return dict(sorted(entries.items()))


@cache
def programs() -> tuple[str, ...]:
    """The programs that ship, in alphabetical order."""
    files = resources.files(instances).iterdir()
    return tuple(
        sorted(x.name.removesuffix(".json") for x in files if x.name.endswith(".json") and x.name != SUITE_FILE)
    )


def sets() -> Mapping[str, tuple[str, ...]]:
    """The sets of instances: ``mm-train``, ``mm-validation``, ``mm-test`` and ``mm-all``, by name."""
    found = {f"mm-{split}": tuple(name for name, entry in suite().items() if entry.split == split) for split in SPLITS}
    return {**found, "mm-all": tuple(suite())}


def names() -> list[str]:
    """The instances of the suite, in alphabetical order."""
    return list(suite())


def named(text: str) -> list[MemoryInstance]:
    """The instances that one item of a list of instances names.

    * ``resnet50_b64_32m``: an instance of the suite;
    * ``mm-train``, ``mm-validation``, ``mm-test``, ``mm-all``: a set of them;
    * ``resnet50_b64``: a program, with the hardware's own 128 MiB;
    * ``folder/*.json``, ``./mine.json``: files, sorted.

    Each takes options: ``cmem=64``, the size of CMEM in MiB, and the factors ``hbm=0.5`` and ``cmem_bw=2`` for the
    bandwidths of HBM and CMEM.

    Raises:
        UserError: the item names nothing, an option is malformed, or a file is.
    """
    name = parse_name(text, "instance")
    check_options(name, "instance", OPTIONS)
    found = _from_files(name) if name.is_path else [_shipped(base) for base in _members(name.base)]
    return [_changed(instance, name.options) for instance in found]


def program(name: str) -> MemoryInstance:
    """A program that ships, with the hardware that it was written with.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in programs():
        raise UnknownNameError("program", name, programs())
    return _read(name)


@cache
def _read(name: str) -> MemoryInstance:
    file = resources.files(instances).joinpath(f"{name}.json")
    return MemoryInstance.from_dict(parse_json(file.read_text(encoding="utf-8"), file.name), file.name)


def _members(base: str) -> tuple[str, ...]:
    known = sets()
    if base in known:
        return known[base]
    if base in suite() or base in programs():
        return (base,)
    suggest_path(base)
    raise UnknownNameError("instance", base, [*known, *suite(), *programs()])


def _shipped(name: str) -> MemoryInstance:
    if name not in suite():
        return _read(name)
    entry = suite()[name]
    base = _read(entry.program)
    return base.on(replace(base.hardware, cmem_bytes=entry.cmem * _MIB), name)


def _changed(instance: MemoryInstance, options: Mapping[str, OptionValue]) -> MemoryInstance:
    """The same program on the hardware that the options ask for; its name says which."""
    if not options:
        return instance
    hardware = instance.hardware.scaled(_factor(options, "cmem_bw"), _factor(options, "hbm"))
    if "cmem" in options:
        size = options["cmem"]
        if isinstance(size, bool) or not isinstance(size, int | float) or not 1 <= size * _MIB <= MAX_BYTES:
            raise FieldError("option cmem", size, f"a size in MiB, up to {MAX_BYTES // _MIB}")
        hardware = replace(hardware, cmem_bytes=round(size * _MIB))
    suffix = "".join(f"_{key}{options[key]}" for key in OPTIONS if key in options)
    return instance.on(hardware, instance.name + suffix)


def _factor(options: Mapping[str, OptionValue], key: str) -> float:
    value = options.get(key, 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST_FACTOR <= value <= _MOST_FACTOR:
        raise FieldError(f"option {key}", value, f"a factor from {_LEAST_FACTOR:g} to {_MOST_FACTOR:g}")
    return float(value)


def _from_files(name: Name) -> list[MemoryInstance]:
    return [MemoryInstance.load(file) for file in named_files(name.base)]
