"""The folder of a run: whose it is, and whether it may be written to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..agents.checkpoint import CARD, WEIGHTS
from ..envs.core.errors import UserError
from ..envs.core.extras import provenance
from ..envs.core.files import atomic_write, is_unfinished, refuse_links, user_path
from ..envs.core.instance import load_document, require_keys
from ..envs.core.lock import LOCK, FolderLock
from .config import TrainConfig

FORMAT, VERSION = "makespan/training-run", 1
RUN, STATE, BEST, LAST, TENSORBOARD = "run.json", "state.safetensors", "best", "last", "tensorboard"
OURS = {RUN, STATE, BEST, LAST, TENSORBOARD}
# What a killed process may leave: files and folders that were still being written, and a checkpoint between two names.
_HALFWAY = {f".{BEST}.new", f".{LAST}.new"}
_PUT_ASIDE = {f".{BEST}.old", f".{LAST}.old"}


def read_config(folder: str | Path) -> TrainConfig:
    """The config of the run that a folder holds.

    Raises:
        UserError: it holds none, or a damaged one.
    """
    path = user_path(folder) / RUN
    if not os.path.isfile(path):
        raise UserError(f"folder {str(folder)!r} holds no training run (no {RUN})")
    data = require_keys(
        "the run",
        load_document(path, FORMAT, (VERSION,)),
        ("format", "version", "command", "config"),
        ("made",),
        str(path),
    )
    if not isinstance(data["config"], dict):
        raise UserError(f"{path}: config is {data['config']!r}, expected an object")
    try:
        return TrainConfig.from_dict({**data["config"], "out": str(folder)})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def hold_folder(folder: Path) -> FolderLock:
    """Keep other processes out of a run's folder.

    Raises:
        UserError: the path is a file, another process has the folder, or it cannot be made.
    """
    _names(folder)  # says so where it is a file's
    return FolderLock(folder)


def check_folder(folder: Path, config: TrainConfig, overwrite: bool) -> bool:
    """Whether the folder is free for a new run (True) or holds this very one (False). Nothing is written.

    Raises:
        UserError: the path is a file; or the folder cannot be read, holds something else, or holds a run with another
            config and `overwrite` is off or would delete what is not of that run.
    """
    content = {name for name in _names(folder) if not _is_left_over(name)}
    refuse_links(folder, sorted(content & (OURS - {TENSORBOARD} | _PUT_ASIDE)))  # logs replace nothing
    if RUN not in content:
        if content:
            raise UserError(
                f"folder {str(folder)!r} is not empty and holds no training run ({min(content)!r}); name another"
            )
        return True
    difference = _difference(read_config(folder), replace(config, out=str(folder)))
    if difference is None:
        return False
    if not overwrite:
        raise UserError(f"folder {str(folder)!r} holds another run: {difference}; overwrite it or name another")
    strange = _strange(folder, content)
    if strange:
        raise UserError(f"folder {str(folder)!r} holds {strange!r} beside a run; it is not overwritten")
    return True


def claim_folder(folder: Path, config: TrainConfig) -> None:
    """Make the folder, empty it of the run that it holds, and write down whose it is now.

    Must follow `check_folder`.

    Raises:
        UserError: it cannot be made, emptied or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The run's own name last: a folder that was emptied halfway is still known as a run's.
        for name in sorted(_names(folder), key=lambda name: name == RUN):
            _remove(folder / name)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(f"cannot make or empty folder {str(folder)!r}: {reason}") from None
    data = {
        "format": FORMAT,
        "version": VERSION,
        "command": "train",
        "made": provenance(),
        "config": {key: value for key, value in config.to_dict().items() if key != "out"},
    }
    atomic_write(folder / RUN, json.dumps(data, indent=1, allow_nan=False) + "\n")


def _is_left_over(name: str) -> bool:
    return name in _HALFWAY or is_unfinished(name)


def sweep_folder(folder: Path) -> None:
    """Remove what a killed process was still writing."""
    for name in _names(folder):
        if _is_left_over(name):
            with contextlib.suppress(OSError):  # who cannot write here learns it from the next save
                _remove(folder / name)


def _names(folder: Path) -> set[str]:
    """What lies in a folder, without the lock."""
    if "\0" in str(folder) or (os.path.lexists(folder) and not os.path.isdir(folder)):
        raise UserError(f"cannot write to {str(folder)!r}: it is no folder's name, or that of a file")
    try:
        return {path.name for path in folder.iterdir() if path.name != LOCK} if folder.is_dir() else set()
    except OSError as error:
        raise UserError(f"cannot read folder {str(folder)!r}: {error.strerror}") from None


def _strange(folder: Path, content: set[str]) -> str | None:
    """Something in a run's folder that a run does not write."""
    for name in sorted(content - OURS - _PUT_ASIDE):
        return name
    for name, known in ((BEST, {CARD, WEIGHTS}), (LAST, {CARD, WEIGHTS}), (TENSORBOARD, None)):
        for inner in sorted(_names(folder / name)):
            ours = inner.startswith("events.out.tfevents.") if known is None else inner in known
            if not ours:
                return f"{name}/{inner}"
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _difference(there: TrainConfig, given: TrainConfig) -> str | None:
    """The first field that differs, in words."""
    mine: dict[str, Any] = given.to_dict()
    for key, value in there.to_dict().items():
        if mine[key] != value:
            return f"its {key} is {value!r}, not {mine[key]!r}"
    return None
