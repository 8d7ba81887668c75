"""Files that a request names, sent to workers that do not see those of this machine."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..envs.core.errors import UserError
from ..envs.core.files import cache_folder, read_bounded
from .named_files import checkpoint_files, find_named

Files = Mapping[str, bytes]
"""Contents by paths below the folder in which a command runs, in slashes."""

_MOST_BYTES = 2**30
_OF_FOLDERS = (".json", ".safetensors")  # what a checkpoint is made of


def collect_files(texts: Iterable[str]) -> dict[str, bytes]:
    """The files that texts of the command line name by paths below the current folder.

    Files are named by a word with a slash, or a pattern. A checkpoint, or a training run, stands for the files that are
    played by, another folder for all that might be a checkpoint's. What lies elsewhere is not sent: it must be at the
    same path wherever it is read.

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
    return sorted({path for text in texts for path in find_named(text, _below)})


def _below(word: str) -> list[Path] | None:
    """Files below the current folder that a path or a pattern stands for; None where there is nothing."""
    if os.path.isabs(word) or ".." in Path(word).parts:
        return None
    if glob.has_magic(word):
        return [path for match in glob.glob(word, recursive=True) for path in _files(Path(match))] or None
    return _files(Path(word), checkpoint_files(word)) or None


def _files(path: Path, played: Sequence[Path] | None = None) -> list[Path]:
    """A file, or those of a folder: what agents play by, where it is that of a checkpoint."""
    if os.path.isfile(path):
        return [path]
    if played is not None:  # what ships lies elsewhere, and on every machine
        here = Path.cwd()
        return [Path(os.path.relpath(file)) for file in played if (here / file).is_relative_to(here)]
    return [file for file in path.rglob("*") if file.suffix in _OF_FOLDERS and file.is_file()]


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
