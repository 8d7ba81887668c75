"""Files that a request names, sent to workers that do not see those of this machine."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..envs.core.errors import UserError
from ..envs.core.files import cache_folder, read_bounded

Files = Mapping[str, bytes]
"""Contents by paths below the folder in which a command runs, in slashes."""

_MOST_BYTES = 2**30
_OF_FOLDERS = (".json", ".safetensors")  # what a checkpoint is made of


def collect_files(texts: Iterable[str]) -> dict[str, bytes]:
    """The files that texts of the command line name by paths below the current folder.

    Files are named by a word with a slash, or a pattern; a folder (a checkpoint) stands for its files. What lies
    elsewhere is not sent: it must be at the same path wherever it is read.

    Raises:
        UserError: one cannot be read, or they are too large together.
    """
    found: dict[str, bytes] = {}
    room = _MOST_BYTES
    for path in _paths(texts):
        content = found[path.as_posix()] = read_bounded(path, _MOST_BYTES)
        room -= len(content)
        if room < 0:
            raise UserError(f"files to be sent to the workers come to more than {_MOST_BYTES // 2**30} GiB; share them")
    return found


def _paths(texts: Iterable[str]) -> list[Path]:
    words = {word.strip() for text in texts for word in re.split(r"[,:=+]", text)}
    paths: set[Path] = set()
    for word in sorted(words):
        if "/" not in word or "\0" in word or os.path.isabs(word) or ".." in Path(word).parts:
            continue
        for match in map(Path, glob.glob(word, recursive=True) if glob.has_magic(word) else [word]):
            if os.path.isfile(match):
                paths.add(match)
            elif os.path.isdir(match):
                paths |= {path for path in match.rglob("*") if path.suffix in _OF_FOLDERS and path.is_file()}
    return sorted(paths)


def enter_copy(files: Files) -> None:
    """Make a folder that holds these files the current one, as if the command had been run there.

    It lies in ``sent`` of the cache folder, named by its content, and is made once on each machine.

    Raises:
        UserError: it cannot be written.
    """
    place = cache_folder() / "sent" / _digest(files)
    try:
        if not place.is_dir():
            _write(files, place)
        os.chdir(place)
    except OSError as error:
        raise UserError(f"cannot write {str(place)!r}: {error.strerror or error}") from None


def _digest(files: Files) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode(), files[path]):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def _write(files: Files, place: Path) -> None:
    """Whole or not at all: others may be at it at the same time."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        for path, content in files.items():
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        try:
            aside.rename(place)
        except OSError:
            if not place.is_dir():  # else another was first
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
