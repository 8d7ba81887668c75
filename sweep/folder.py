"""The folder of a sweep: what was asked for, a file for each trial, their runs; whole at any moment."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import library_versions, provenance
from ..envs.core.files import atomic_write, is_unfinished, refuse_links, user_path
from ..envs.core.instance import load_document
from ..envs.core.lock import LOCK, FolderLock
from ..training.folder import sweep_folder
from .config import SweepConfig, difference
from .trials import Run, Trial, read_trials, write_trial

RUN, TRIALS, RUNS, RESCORE = "run.json", "trials", "runs", "rescore"
RESULTS = ("sweep.json", "trials.csv", "sweep.png", "summary.md")
OURS = (RUN, *RESULTS, TRIALS, RUNS, RESCORE)
FORMAT, VERSION = "makespan/sweep", 1
_ADVICE = "take another folder or --overwrite"


class SweepFolder:
    """Where a sweep is kept; others may not write to it until `close`.

    Args:
        name: of the folder, as the user gave it.
        config: the sweep.
        command: that asked for it.
        overwrite: whether another sweep in the folder may be replaced. Files that are no sweep's stay.

    Raises:
        UserError: the folder cannot be written, holds something else, or is being written to by another process.

    Attributes:
        path: of the folder.
        trials: by their numbers; `keep` changes them.
    """

    def __init__(self, name: str, config: SweepConfig, command: str, overwrite: bool) -> None:
        if not name.strip():
            raise FieldError("option out", name, "the name of a folder")
        self.path = user_path(name)
        if "\0" in name or (self.path.exists() and not self.path.is_dir()):
            raise UserError(f"option out is {name!r}, which is a file, expected a folder")
        self._lock = FolderLock(self.path)
        try:
            self._claim(name, config, command, overwrite)
            self.trials: dict[int, Trial] = read_trials(self.path / TRIALS, config)
        except BaseException:
            self.close()
            raise

    def keep(self, trial: Trial) -> None:
        """Write a trial down.

        Raises:
            UserError: it cannot be written.
        """
        write_trial(self.path / TRIALS, trial)
        self.trials[trial.number] = trial

    def run(self, run: Run) -> Path:
        """The folder of a training run."""
        return self.path / RUNS / run.name

    def close(self) -> None:
        """Let others write to the folder."""
        self._lock.release()

    def _claim(self, name: str, config: SweepConfig, command: str, overwrite: bool) -> None:
        try:
            refuse_links(self.path, OURS)
            cleared = overwrite and _clear(self.path)
            if (self.path / RUN).exists():
                _check_same(self.path, config)
            elif not cleared and any(
                file.name != LOCK and not is_unfinished(file.name) for file in self.path.iterdir()
            ):
                raise UserError(f"option out is {name!r}, which holds other files; {_ADVICE}")
            else:
                _begin(self.path, config, command)
            for inner in (TRIALS, RUNS):
                (self.path / inner).mkdir(exist_ok=True)
            for place in (self.path, self.path / TRIALS):
                sweep_folder(place)
        except OSError as error:
            raise UserError(f"cannot write to {name!r}: {error.strerror or error}") from None


def read_record(folder: Path) -> dict[str, Any]:
    """What a folder says of its sweep.

    Raises:
        UserError: it holds none, or something damaged.
    """
    record = load_document(folder / RUN, FORMAT, (VERSION,))
    for key in ("config", "versions"):
        if not isinstance(record.get(key), dict):
            raise FieldError(key, record.get(key), "an object", str(folder / RUN))
    return record


def _begin(path: Path, config: SweepConfig, command: str) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "config": config.to_data(),
        **provenance(),
        "versions": _versions(),
    }
    atomic_write(path / RUN, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _versions() -> dict[str, str]:
    try:
        return {**library_versions(), "optuna": version("optuna")}
    except PackageNotFoundError:  # the grid needs none
        return library_versions()


def _check_same(path: Path, config: SweepConfig) -> None:
    before = read_record(path)
    if (different := difference(before["config"], json.loads(json.dumps(config.to_data())))) is not None:
        raise UserError(f"option out is {str(path)!r}, which holds another sweep: {different}; {_ADVICE}")
    theirs, ours = before["versions"].get("makespan"), library_versions()["makespan"]
    if theirs != ours:
        raise UserError(f"{str(path)!r} was begun with makespan {theirs}, this is {ours}; {_ADVICE}")


def _clear(path: Path) -> bool:
    """Remove a sweep's files, the record last: what is half removed is still known as a sweep's; whether there was one.

    Raises:
        UserError: the record is not a sweep's.
    """
    if not (path / RUN).exists():
        return False
    read_record(path)
    for name in reversed(OURS):
        target = path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    return True
