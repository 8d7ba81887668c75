"""Checkpoints: a folder of ``weights.safetensors`` and ``card.json``. Nothing that could run code is ever loaded."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.core.errors import FieldError, MissingExtraError, UserError
from ..envs.core.files import atomic_write, read_bounded
from ..envs.core.instance import load_document, require_keys

FORMAT = "makespan/checkpoint"
VERSION = 1
WEIGHTS, CARD = "weights.safetensors", "card.json"
MAX_WEIGHTS_BYTES = 256 * 2**20
REQUIRED = ("format", "version", "agent", "network", "spec_hash", "spec", "env", "env_options", "weights_sha256")
OPTIONAL = ("training", "versions", "results", "licence", "notes", "name")

Arrays = dict[str, NDArray[Any]]


def dump_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays in the safetensors format."""
    return _safetensors().save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def parse_arrays(content: bytes, source: str) -> Arrays:
    """Read the safetensors format.

    Raises:
        UserError: the content is truncated or malformed; the message begins with `source`.
    """
    numpy_format = _safetensors()
    try:
        return numpy_format.load(content)
    except Exception as error:  # the library raises its own type, but KeyError for types that NumPy lacks
        raise UserError(f"{source}: not a whole safetensors file ({error}); it may be truncated") from None


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError("a checkpoint", "train", "safetensors") from None
    return safetensors.numpy


def save_checkpoint(folder: str | Path, weights: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> None:
    """Write a checkpoint so that the folder holds the old one or the new one, whole.

    Args:
        folder: replaced if it is a checkpoint already.
        weights: arrays by name.
        card: everything in `REQUIRED` but format, version and weights_sha256, which are added.

    Raises:
        UserError: it cannot be written, or the folder holds something else.
    """
    target = Path(folder)
    if target.exists() and not _is_replaceable(target):
        raise UserError(f"cannot write checkpoint {str(folder)!r}: it exists and is not a checkpoint")
    content = dump_arrays(weights)
    full = {"format": FORMAT, "version": VERSION, **card, "weights_sha256": hashlib.sha256(content).hexdigest()}
    require_keys("the card", full, REQUIRED, OPTIONAL)
    mark = secrets.token_hex(4)
    aside, old = (target.parent / f".{target.name}.{mark}.{what}" for what in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        try:
            atomic_write(aside / WEIGHTS, content)
            atomic_write(aside / CARD, json.dumps(full, indent=1, allow_nan=False) + "\n")
            if target.exists():
                os.rename(target, old)
            os.rename(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write checkpoint {str(folder)!r}: {error.strerror or error}") from None


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {WEIGHTS, CARD}


def load_checkpoint(folder: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Read a checkpoint: its weights and its card.

    Raises:
        UserError: a file is missing, truncated, malformed, or the weights are not those of the card.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UserError(f"checkpoint {str(folder)!r} is not a folder")
    for name in (CARD, WEIGHTS):
        if not (place / name).is_file():
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
    ):
        if not isinstance(card[key], kind):
            raise FieldError(key, card[key], expected, source)
    content = read_bounded(place / WEIGHTS, MAX_WEIGHTS_BYTES)
    weights = parse_arrays(content, str(place / WEIGHTS))
    digest = hashlib.sha256(content).hexdigest()
    if digest != card["weights_sha256"]:
        raise UserError(
            f"{place / WEIGHTS}: its SHA-256 begins with {digest[:12]}, the card says {card['weights_sha256'][:12]!r}: "
            "one of the two files was changed"
        )
    return weights, card
