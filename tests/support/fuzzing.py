"""Fuzzing: readers are given spoilt files, and may accept them or refuse them in one line, and nothing else.

Every case follows from the reader's name and a number, so that it can be made again alone.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import makespan
from makespan.envs.core.errors import UserError

from .confinement import Escaped, confined
from .spoiling import BESIDE, PIPE, Tree, restate_hash, spoil_tree

SECONDS = 5.0
"""Of computing that one case may take."""
_PATIENCE = 24
GIBIBYTE = 2**20  # as ru_maxrss counts, in KiB
LONGEST_MESSAGE = 1200
_PACKAGE = Path(str(makespan.__file__)).parent


class TooLong(BaseException):
    """Nobody handles it."""


@dataclass(frozen=True)
class Reader:
    """What reads files.

    Attributes:
        name: of the reader.
        seeds: whole folders that it accepts, bytes by relative path.
        read: is given the folder; what it returns does not matter.
    """

    name: str
    seeds: Sequence[Mapping[str, bytes]]
    read: Callable[[Path], object]


@dataclass
class Tally:
    """What came of the cases of one reader."""

    name: str
    cases: int = 0
    accepted: int = 0
    slowest: float = 0.0
    defects: dict[str, str] = field(default_factory=dict)
    """Of each kind the first case, by what and where."""

    def note(self, kind: str, number: int, said: str) -> None:
        self.defects.setdefault(kind, f"{self.name} {number}: {said}")

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.cases} inputs, {self.accepted} accepted, {self.cases - self.accepted} refused, "
            f"slowest {self.slowest:.2f} s, {len(self.defects)} defects"
        )


def spoilt_tree(reader: Reader, number: int) -> Tree:
    """The folder of a case."""
    rng = random.Random(f"{reader.name} {number}")
    tree = spoil_tree(rng.choice(reader.seeds), rng)
    restate_hash(tree, rng)
    return tree


def write_tree(folder: Path, tree: Mapping[str, bytes | str | None]) -> None:
    """Make a folder of a tree's content; what was there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        elif content == PIPE:
            os.mkfifo(path)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def content_of(folder: Path) -> dict[str, bytes | str | None]:
    """What lies in a folder, as `write_tree` takes it; locks aside."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_fifo():
            found[name] = PIPE
        elif path.is_file() and path.name != ".lock":
            found[name] = path.read_bytes()
    return found


def unwhole(folder: Path, given: Mapping[str, bytes | str | None] | None = None) -> list[str]:
    """Files of a folder that are not whole: left half-written, or JSON that is none; those that were given aside."""
    wrong = []
    for name, content in content_of(folder).items():
        if given is not None and given.get(name) == content:
            continue
        if name.endswith(".tmp"):
            wrong.append(name)
        elif name.endswith(".json") and isinstance(content, bytes):
            try:
                json.loads(content, parse_constant=_refuse)
            except (ValueError, RecursionError):
                wrong.append(name)
    return wrong


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooLong` after so many seconds of computing, or many more of waiting: machines are busy."""

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop), signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let this process take so many KiB more, and no further: a reader that wants all memory there is gets an error."""
    pages = int(Path("/proc/self/statm").read_text().split()[5]) if Path("/proc/self/statm").exists() else 0
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if pages:
        resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + more * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def peak_memory() -> int:
    """Of this process so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def where(error: BaseException) -> str:
    """The kind of an error and the innermost line of ours in which it came up: what tells defects apart."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame
        for frame in frames
        if (path := Path(frame.filename)).is_relative_to(_PACKAGE) and "tests" not in path.parts
    ] or frames
    path = Path(ours[-1].filename)
    return f"{type(error).__name__} {path.parent.name}/{path.name}:{ours[-1].lineno}"


def judge(tally: Tally, number: int, read: Callable[[], Any], given: int = 0) -> None:
    """Run one case and note what is wrong with how it ends.

    Args:
        given: how many signs the user wrote: a message may quote them.
    """
    tally.cases += 1
    memory, began = peak_memory(), time.process_time()
    try:
        with memory_limit(3 * GIBIBYTE), time_limit(SECONDS):
            read()
        tally.accepted += 1
    except UserError as error:
        said = str(error)
        if "\n" in said or "\r" in said:
            tally.note(f"several lines {where(error)}", number, repr(said[:300]))
        elif not said or len(said) > LONGEST_MESSAGE + 8 * given:
            tally.note(f"{len(said)} characters {where(error)}", number, repr(said[:300]))
    except Escaped as error:
        tally.note(f"writes outside {where(error)}", number, str(error))
    except TooLong as error:
        tally.note(f"too long {where(error)}", number, "takes too long")
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        tally.note(where(error), number, last[:300])
    tally.slowest = max(tally.slowest, time.process_time() - began)
    if peak_memory() - memory > GIBIBYTE:
        tally.note("memory", number, f"took {(peak_memory() - memory) / GIBIBYTE:.1f} GiB")


def fuzz(reader: Reader, numbers: range, folder: Path) -> Tally:
    """Run the cases of these numbers, after the seeds themselves, which must be accepted (and compile what is needed).

    Args:
        folder: where the cases lie, one after the other. What they write must be in a folder ``copy`` beside it.
    """
    tally = Tally(reader.name)
    beside = folder / BESIDE
    folder.mkdir(parents=True, exist_ok=True)
    beside.write_text("{}")
    for seed in reader.seeds:  # not confined: libraries that are loaded now have caches of their own
        write_tree(folder, seed)
        reader.read(folder)
    with confined(folder, folder.parent / "copy"):
        for number in numbers:
            tree = spoilt_tree(reader, number)
            write_tree(folder, tree)
            before = content_of(folder)
            judge(tally, number, lambda: reader.read(folder))
            if content_of(folder) != before:
                tally.note("writes", number, "reading changes the folder")
    return tally
