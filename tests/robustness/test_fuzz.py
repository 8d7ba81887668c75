"""Whatever a file, a folder, a name or a command line holds: it is read, or refused in one line, in time and in memory.

The short runs take the first cases of each reader. The long ones are of any number, from any case on:

    MAKESPAN_FUZZ_CASES=3000 MAKESPAN_FUZZ_FIRST=0 pytest -m slow -s tests/robustness/test_fuzz.py

Every case follows from its reader's name and its number; a defect names both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from support.fuzz_commands import LINES, fuzz_lines, workplace
from support.fuzz_files import file_readers, players
from support.fuzz_folders import PLAYED, RUNS, folder_readers, learned_reader, resumed_reader
from support.fuzz_names import fuzz_names, name_tests
from support.fuzzing import Reader, Tally, fuzz

FILES = {reader.name: reader for reader in file_readers()}
NAMES = (
    "grammar", "environments", "seeds", "budgets", "agents", "instances of job shop", "instances of soc",
    "instances of memory", "instances of air", "instances of bandits",
)  # fmt: skip
FOLDERS = (
    "evaluation shown", "evaluation continued", "evaluation parts", "search continued", "training run.json",
    "checkpoint",
)  # fmt: skip
SHORT_FOLDERS = ("evaluation shown", "evaluation parts", "search continued", "training run.json", "checkpoint")
SHORT_LINES = ("evaluate", "optimise a file", "show", "certify", "trace", "new")
SHORT = range(200)
SHORTER = range(12)
"""Of what takes milliseconds, and of what takes tenths of seconds."""


def asked() -> range:
    """The cases of a long run."""
    first = int(os.environ.get("MAKESPAN_FUZZ_FIRST", "0"))
    return range(first, first + int(os.environ.get("MAKESPAN_FUZZ_CASES", "2000")))


def check(tally: Tally) -> None:
    print(tally)
    said = [f"{kind}: {first}" for kind, first in tally.defects.items()]
    assert not said, "\n".join(["", *said])


@cache
def place(trained: bool) -> Mapping[str, bytes]:
    return workplace(trained)


@cache
def folders() -> dict[str, Reader]:
    return {reader.name: reader for reader in folder_readers()}


@cache
def names() -> dict[str, tuple[list[str], Callable[[str], object]]]:
    return name_tests()


def of_names(name: str, numbers: range, folder: Path) -> Tally:
    texts, read = names()[name]
    return fuzz_names(name, texts, read, numbers, folder)


# --- short ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    check(fuzz(FILES[name], SHORT, tmp_path / "case"))


@pytest.mark.parametrize("name", SHORT_FOLDERS)
def test_folders(tmp_path: Path, name: str) -> None:
    check(fuzz(folders()[name], SHORTER, tmp_path / "case"))


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path: Path, name: str) -> None:
    check(of_names(name, SHORTER, tmp_path))


@pytest.mark.parametrize("name", SHORT_LINES)
def test_command_lines(tmp_path: Path, name: str) -> None:
    check(fuzz_lines(name, place(False), range(4), tmp_path / "case"))


# --- long -------------------------------------------------------------------------------------------------------------

# A kind of case, the share of the cases asked for that it takes (some are a hundred times slower), and how it is run.
LONG: dict[str, tuple[float, Callable[[range, Path], Tally]]] = {
    **{name: (1.0, lambda numbers, place, name=name: fuzz(FILES[name], numbers, place)) for name in FILES},
    **{reader.name: (0.2, lambda numbers, place, reader=reader: fuzz(reader, numbers, place)) for reader in players()},
    **{
        name: (
            0.1 if name == "evaluation continued" else 0.5,
            lambda numbers, place, name=name: fuzz(folders()[name], numbers, place),
        )
        for name in FOLDERS
    },
    **{
        f"play {name}": (0.1, lambda numbers, place, name=name: fuzz(learned_reader(name), numbers, place))
        for name in PLAYED
    },
    **{
        f"resume {name}": (0.05, lambda numbers, place, name=name: fuzz(resumed_reader(name), numbers, place))
        for name in RUNS
    },
    **{f"names: {name}": (0.5, lambda numbers, place, name=name: of_names(name, numbers, place)) for name in NAMES},
    **{
        f"command {name}": (0.1, lambda numbers, folder, name=name: fuzz_lines(name, place(True), numbers, folder))
        for name in LINES
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long(tmp_path: Path, name: str) -> None:
    share, run = LONG[name]
    numbers = asked()
    check(run(range(numbers.start, numbers.start + max(1, round(share * len(numbers)))), tmp_path / "case"))
