"""Checkpoints: a folder of ``weights.safetensors`` and ``card.json``. Nothing that could run code is ever loaded.

A folder is replaced by two renames, since no system can exchange two folders in one portable call. Whoever dies between
them leaves the old checkpoint as ``.NAME.old`` beside the place where it belongs: there it is read, and put back by the
next save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import optional
from ..envs.core.files import atomic_write, read_bounded
from ..envs.core.instance import load_document, require_keys

FORMAT = "makespan/checkpoint"
VERSION = 1
WEIGHTS, CARD = "weights.safetensors", "card.json"
MAX_WEIGHTS_BYTES = 256 * 2**20
REQUIRED = ("format", "version", "agent", "network", "spec_hash", "spec", "env", "env_options", "weights_sha256")
OPTIONAL = ("foresight", "training", "versions", "results", "licence", "notes", "name")

_LONGEST_REASON, _LONGEST_NAME = 200, 300
_TENSOR_NAME = re.compile(rf"[A-Za-z0-9_.:+=-]{{1,{_LONGEST_NAME}}}\Z")

Arrays = dict[str, NDArray[Any]]


def dump_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays in the safetensors format."""
    whole = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in arrays.items()}
    return _safetensors().save(whole)


def parse_arrays(content: bytes, source: str) -> Arrays:
    """Read the safetensors format.

    Raises:
        UserError: the content is truncated or malformed; the message begins with `source`.
    """
    numpy_format = _safetensors()
    try:
        arrays = numpy_format.load(content)
    except Exception as error:  # the library raises its own type, but KeyError for types that NumPy lacks
        # It shows names as they are: long, on several lines, and with what a terminal obeys.
        said = "".join(sign if sign.isprintable() else "?" for sign in str(error)[:_LONGEST_REASON])
        raise UserError(f"{source}: not a whole safetensors file ({said}); it may be truncated") from None
    for name in arrays:
        if not _TENSOR_NAME.match(name):
            expected = f"names of at most {_LONGEST_NAME} letters, digits and '_.:+-='"
            raise FieldError("the name of an array", name, expected, source)
    return arrays


def _safetensors() -> ModuleType:
    with optional("a checkpoint", "train", "safetensors"):
        import safetensors.numpy
    return safetensors.numpy


def save_checkpoint(folder: str | Path, weights: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> None:
    """Write a checkpoint so that `load_checkpoint` finds the old one or the new one, whole, whenever this is cut off.

    Args:
        folder: replaced if it is a checkpoint already; written by one process at a time.
        weights: arrays by name.
        card: everything in `REQUIRED` but format, version and weights_sha256, which are added.

    Raises:
        UserError: it cannot be written (the old one is untouched then), or the folder holds something else.
    """
    content = dump_arrays(weights)
    full = {"format": FORMAT, "version": VERSION, **card, "weights_sha256": hashlib.sha256(content).hexdigest()}
    require_keys("the card", full, REQUIRED, OPTIONAL)
    text = json.dumps(full, indent=1, allow_nan=False) + "\n"
    try:
        target = Path(os.path.realpath(folder))
        if target.exists() and not _is_replaceable(target):
            raise UserError(f"cannot write checkpoint {str(folder)!r}: it exists and is not a checkpoint")
        target.parent.mkdir(parents=True, exist_ok=True)
        _put_back(target)
        aside = _beside(target, "new")
        try:
            shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
            aside.mkdir()
            atomic_write(aside / WEIGHTS, content)
            atomic_write(aside / CARD, text)
            _exchange(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise UserError(f"cannot write checkpoint {str(folder)!r}: {_reason(error)}") from None


def _exchange(aside: Path, target: Path) -> None:
    """Put a new folder in the place of an old one."""
    old = _beside(target, "old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(aside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            _put_back(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _put_back(target: Path) -> None:
    """Undo the first of the two renames where the second did not follow."""
    old = _beside(target, "old")
    if not target.exists() and old.is_dir():
        os.rename(old, target)


def _beside(target: Path, what: str) -> Path:
    return target.parent / f".{target.name}.{what}"


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {WEIGHTS, CARD}


def checkpoint_place(folder: str | Path) -> Path:
    """Where a folder's checkpoint lies: in the folder, or beside it where a save was cut off between its renames."""
    if not os.path.lexists(folder):
        old = _beside(Path(os.path.abspath(folder)), "old")
        if os.path.isdir(old):
            return old
    return Path(folder)


def load_checkpoint(folder: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Read a checkpoint: its weights and its card.

    Raises:
        UserError: a file is missing, truncated, malformed, holds a weight that is no finite number, or the weights are
            not those of the card.
    """
    # os.path says "no" where pathlib raises: names that are too long, folders that may not be entered.
    if "\0" in str(folder) or not os.path.isdir(place := checkpoint_place(folder)):
        raise UserError(f"checkpoint {str(folder)!r} is not a folder")
    for name in (CARD, WEIGHTS):
        if not os.path.isfile(place / name):
            raise UserError(f"checkpoint {str(folder)!r} has no file {name!r}")
    source = str(place / CARD)
    card = require_keys("the card", load_document(place / CARD, FORMAT, (VERSION,)), REQUIRED, OPTIONAL, source)
    for key, kind, expected in (
        ("agent", str, "a name"),
        ("network", dict, "an object"),
        ("spec_hash", str, "a hash"),
        ("spec", dict, "an object"),
        ("env", str, "an id"),
        ("env_options", dict, "an object"),
        ("weights_sha256", str, "a hash"),
        ("foresight", dict, "an object"),
    ):
        if key in card and not isinstance(card[key], kind):
            raise FieldError(key, card[key], expected, source)
    content = read_bounded(place / WEIGHTS, MAX_WEIGHTS_BYTES)
    weights = parse_arrays(content, str(place / WEIGHTS))
    digest = hashlib.sha256(content).hexdigest()
    if digest != card["weights_sha256"]:
        raise UserError(
            f"{place / WEIGHTS}: its SHA-256 begins with {digest[:12]}, the card says {card['weights_sha256'][:12]!r}: "
            "one of the two files was changed"
        )
    for name, array in weights.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{place / WEIGHTS}: array {name!r} holds what is no finite number")
    return weights, card
