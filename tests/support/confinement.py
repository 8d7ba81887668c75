"""Keeps this process from changing anything outside a folder: what is spoilt at random may name any place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from makespan.envs.core.files import cache_folder

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of the interpreter that change files: which of their arguments are places, and which the open folders that
# these are seen from.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)), "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),),
    "os.link": ((0, 2), (1, 3)), "os.symlink": ((1, 2),), "shutil.rmtree": ((0, 1),),
    "os.chmod": ((0, 2),), "os.chown": ((0, 3),), "os.truncate": ((0, None),), "os.utime": ((0, 3),),
}  # fmt: skip
_FOLLOWING = ("open", "os.chmod", "os.chown", "os.truncate", "os.utime")
_allowed: tuple[str, ...] = ()
_installed = False


class Escaped(BaseException):
    """Something was about to be changed outside the folder; it was not. Nobody handles it."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _allowed:
        return
    if event == "open":
        place, _, flags = arguments
        if not isinstance(flags, int) or not flags & _WRITING or place == os.devnull:
            return
        _check(event, place, None)
    elif event in _CHANGES:
        for place, seen_from in _CHANGES[event]:
            folder = arguments[seen_from] if seen_from is not None and seen_from < len(arguments) else None
            _check(event, arguments[place], folder)


def _check(event: str, place: Any, folder: Any) -> None:
    if isinstance(place, int):  # an open file: how it was opened has been looked at
        return
    path = os.fsdecode(place)
    if isinstance(folder, int) and folder >= 0:
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    # What is renamed or removed is the name itself, not what a link of that name leads to.
    name = os.path.basename(path.rstrip(os.sep))
    plain = event in _FOLLOWING or name in ("", ".", "..")
    real = (
        os.path.realpath(path) if plain else os.path.join(os.path.realpath(os.path.dirname(path.rstrip(os.sep))), name)
    )
    if not any(real == root or real.startswith(root + os.sep) for root in _allowed):
        raise Escaped(f"{event} {real}")


@contextmanager
def confined(*folders: Path) -> Iterator[None]:
    """Let nothing outside these folders be opened for writing, made, renamed or removed by Python code.

    The cache of compiled code is free, and so is the null device.
    """
    global _allowed, _installed
    if not _installed:
        sys.addaudithook(_watch)
        _installed = True
    before, wrote = _allowed, sys.dont_write_bytecode
    _allowed = tuple(os.path.realpath(folder) for folder in (*folders, cache_folder()))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        _allowed, sys.dont_write_bytecode = before, wrote
