"""The folder of a run: whose it is, and whether it may be written to."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from .. import __version__
from ..envs.core.errors import UserError
from ..envs.core.files import atomic_write
from ..envs.core.instance import load_document, require_keys
from .config import TrainConfig

FORMAT, VERSION = "makespan/training-run", 1
RUN = "run.json"
OURS = {RUN, "state.safetensors", "best", "last", "tensorboard"}


def read_config(folder: str | Path) -> TrainConfig:
    """The config of the run that a folder holds.

    Raises:
        UserError: it holds none, or a damaged one.
    """
    path = Path(folder) / RUN
    if not path.is_file():
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
    return TrainConfig.from_dict({**data["config"], "out": str(folder)})


def open_folder(folder: Path, config: TrainConfig, overwrite: bool) -> tuple[Path, bool]:
    """Make the folder or find this very run in it; returns the folder and whether the run is new.

    Raises:
        UserError: the folder holds something else, or a run with another config and `overwrite` is off; or it cannot
            be written.
    """
    try:
        content = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise UserError(f"cannot read folder {str(folder)!r}: {error.strerror}") from None
    if folder.exists() and not folder.is_dir():
        raise UserError(f"cannot write to {str(folder)!r}: it is a file, expected a folder")
    if RUN in content:
        there = read_config(folder)
        if there == config:
            return folder, False
        if not overwrite:
            raise UserError(
                f"folder {str(folder)!r} holds another run: {_difference(there, config)}; overwrite it or name another"
            )
        _empty(folder, content)
    elif content:
        raise UserError(
            f"folder {str(folder)!r} is not empty and holds no training run ({sorted(content)[0]!r}); name another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make folder {str(folder)!r}: {error.strerror}") from None
    data = {
        "format": FORMAT,
        "version": VERSION,
        "command": "train",
        "made": {"makespan": __version__, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
        "config": {key: value for key, value in config.to_dict().items() if key != "out"},
    }
    atomic_write(folder / RUN, json.dumps(data, indent=1) + "\n")
    return folder, True


def _empty(folder: Path, content: set[str]) -> None:
    """Remove a run, and nothing that is not ours."""
    strange = content - OURS
    if strange:
        raise UserError(f"folder {str(folder)!r} holds {sorted(strange)[0]!r} beside a run; it is not overwritten")
    try:
        for name in content:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise UserError(f"cannot empty folder {str(folder)!r}: {error.strerror}") from None


def _difference(there: TrainConfig, given: TrainConfig) -> str:
    mine: dict[str, Any] = given.to_dict()
    for key, value in there.to_dict().items():
        if mine[key] != value:
            return f"its {key} is {value!r}, not {mine[key]!r}"
    return "its config differs"
