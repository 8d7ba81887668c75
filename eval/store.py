"""The folder of an evaluation: written as results come, whole at any moment, continued by the same command."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import library_versions, provenance
from ..envs.core.files import atomic_write, refuse_links, user_path
from ..envs.core.instance import load_document, require_integer, require_list
from ..envs.core.lock import LOCK, FolderLock
from .rows import RECORD, check_fields, check_row

RUN_FORMAT = "makespan/evaluation-run"
PART_FORMAT = "makespan/evaluation-part"
VERSION = 1

RUN, PARTS = "run.json", "schedules"
ANYTIME = ("anytime.json", "anytime.csv", "anytime.png")
HINDSIGHT = "hindsight.json"
PAGE = "report.html"
OURS = (RUN, "results.json", "results.csv", HINDSIGHT, *ANYTIME, "summary.md", PAGE, PARTS, "pictures")

_ROWS_PER_PART = 64
_SECONDS_PER_PART = 3.0
_LARGEST_FILE = 2**30
# What does not change the rows may differ between the command and its continuation.
_FREE = ("reference", "hindsight")


class Key(NamedTuple):
    """Which row: numbers of the variant, the agent and the case in the plan."""

    variant: int
    agent: int
    case: int


class Entry(NamedTuple):
    """One row and its schedule (JSON data or None)."""

    key: Key
    row: dict[str, Any]
    schedule: Any


class Store:
    """Where rows go and from where they come back.

    Args:
        folder: None keeps everything in memory, without schedules.
        lock: on the folder, held until `close`.
        begun: whether the folder was begun just now.
    """

    def __init__(self, folder: Path | None, lock: FolderLock | None = None, begun: bool = False) -> None:
        self.folder, self._lock, self._begun = folder, lock, begun
        self.rows: dict[Key, dict[str, Any]] = {}
        self._waiting: list[Entry] = []
        self._written = time.monotonic()
        self._parts = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep rows. They reach the disk with a file's fill of others, or after seconds: what a kill loses at most.

        Raises:
            UserError: they cannot be written; nothing of the last file is left then.
        """
        self.rows.update((entry.key, entry.row) for entry in entries)
        self._waiting += entries
        while len(self._waiting) >= _ROWS_PER_PART:
            self._write(self._waiting[:_ROWS_PER_PART])
        if time.monotonic() - self._written > _SECONDS_PER_PART:
            self.flush()

    def flush(self) -> None:
        """Bring what waits to the disk.

        Raises:
            UserError: it cannot be written; nothing of the last file is left then.
        """
        if self._waiting:
            self._write(self._waiting)

    def abandon(self) -> None:
        """Leave a folder that was begun just now, and has no row, to another evaluation."""
        if self.folder is not None and self._begun and not self.rows:
            _clear(self.folder)

    def close(self) -> None:
        """Let others write to the folder."""
        if self._lock is not None:
            self._lock.release()

    def _write(self, entries: Sequence[Entry]) -> None:
        if self.folder is not None:
            name = f"{PARTS}/part-{self._parts:06d}.json"
            lines = []
            for index, entry in enumerate(entries):
                if entry.schedule is not None:
                    entry.row["schedule"] = f"{name}#{index}"
                lines.append(
                    json.dumps({"key": entry.key, "row": entry.row, "schedule": entry.schedule}, allow_nan=False)
                )
            head = f'{{"format": "{PART_FORMAT}", "version": {VERSION}, "entries": [\n'
            atomic_write(self.folder / name, head + ",\n".join(lines) + "\n]}\n")
            self._parts += 1
        self._waiting = self._waiting[len(entries) :]
        self._written = time.monotonic()

    def read_parts(self) -> None:
        """Take up what is on disk.

        Raises:
            UserError: a file is damaged.
        """
        assert self.folder is not None
        for path in sorted((self.folder / PARTS).glob("part-*.json")):
            for index, entry in enumerate(read_part(path)):
                where = f"{path}: entries[{index}]"
                key = _key(entry, f"{where}.key")
                check_row(entry["row"], f"{where}.row")
                self.rows.setdefault(key, entry["row"])
            number = path.stem.removeprefix("part-")
            if not number.isdecimal() or len(number) > 18:
                raise UserError(f"{path}: its name is not that of a part, expected part-NUMBER.json")
            self._parts = int(number) + 1


def open_store(folder: str | Path | None, record: Mapping[str, Any], overwrite: bool = False) -> Store:
    """Begin a folder, or continue the one that the same request began; it is locked until `Store.close`.

    Args:
        folder: None to keep results in memory.
        record: ``{"command", "options", "fingerprint"}`` of the evaluation, plain data.
        overwrite: remove what another evaluation left. Files that are not an evaluation's stay.

    Raises:
        UserError: the folder cannot be written, holds something else (another command's ``run.json``, too), or is
            being written to by another process.
    """
    if folder is None:
        return Store(None)
    path = user_path(folder)
    if not str(folder).strip():
        raise FieldError("option out", str(folder), "the name of a folder")
    if path.exists() and not path.is_dir():
        raise UserError(f"option out is {str(folder)!r}, which is a file, expected a folder")
    lock = FolderLock(path)
    try:
        store = Store(path, lock, _claim(path, str(folder), record, overwrite))
        store.read_parts()
    except BaseException:
        lock.release()
        raise
    return store


def _claim(path: Path, name: str, record: Mapping[str, Any], overwrite: bool) -> bool:
    """Make the folder that of an evaluation, or find it to be so; whether it was begun."""
    try:
        refuse_links(path, OURS)
        if overwrite:
            _clear(path)
        begun = (overwrite and not (path / RUN).exists()) or all(file.name == LOCK for file in path.iterdir())
        if begun:
            _begin(path, record)
        elif (path / RUN).exists():
            _check_same(path, record)
        else:
            raise UserError(f"option out is {name!r}, which holds other files; take another folder or --overwrite")
        (path / PARTS).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {name!r}: {error.strerror or error}") from None
    return begun


def read_part(path: Path) -> list[dict[str, Any]]:
    """The entries ``{"key", "row", "schedule"}`` of one file.

    Raises:
        UserError: it is missing or damaged.
    """
    document = load_document(path, PART_FORMAT, (VERSION,), _LARGEST_FILE)
    entries = require_list("entries", document.get("entries"), str(path))
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("row"), dict) or "schedule" not in entry:
            raise UserError(f"{path}: entries[{number}] has not the form of a row with its schedule")
    return entries


def read_run(folder: Path) -> dict[str, Any]:
    """The record of a folder.

    Raises:
        UserError: it is missing or damaged.
    """
    record = _header(folder)
    check_fields(record, RECORD, str(folder / RUN))
    return record


def _header(folder: Path) -> dict[str, Any]:
    """The record, known for an evaluation's. Training, searches and sweeps have a file of the same name."""
    return load_document(folder / RUN, RUN_FORMAT, (VERSION,), _LARGEST_FILE)


def _begin(path: Path, record: Mapping[str, Any]) -> None:
    document = {"format": RUN_FORMAT, "version": VERSION, **record, **provenance()}
    (path / PARTS).mkdir(exist_ok=True)
    atomic_write(path / RUN, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _check_same(path: Path, record: Mapping[str, Any]) -> None:
    before = read_run(path)
    advice = "take another folder or --overwrite"
    old, new = before["options"], record["options"]
    for name in (*new, *(name for name in old if name not in new)):
        if name not in _FREE and old.get(name) != new.get(name):
            raise UserError(
                f"option out is {str(path)!r}, which holds another evaluation: {name} is {old.get(name)!r} there and "
                f"{new.get(name)!r} here; {advice}"
            )
    if before["fingerprint"] != record["fingerprint"]:
        raise UserError(f"{str(path)!r} was begun with other instance files or checkpoints of the same names; {advice}")
    theirs, ours = before["versions"].get("makespan"), library_versions().get("makespan")
    if theirs != ours:
        raise UserError(f"{str(path)!r} was begun with makespan {theirs}, this is {ours}; {advice}")


def _clear(path: Path) -> None:
    """Remove an evaluation's files, the record last: what is half removed is still known as an evaluation's.

    Raises:
        UserError: the record is not an evaluation's; nothing is removed.
    """
    if not (path / RUN).exists():
        return
    _header(path)
    for name in reversed(OURS):
        target = path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


def _key(entry: Mapping[str, Any], field: str) -> Key:
    numbers = require_list(field, entry.get("key"))
    if len(numbers) != len(Key._fields):
        raise UserError(f"{field} has {len(numbers)} entries, expected {len(Key._fields)}")
    return Key(*(require_integer(field, number, 0, 2**62) for number in numbers))
