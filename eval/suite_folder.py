"""The folder of a suite: what was asked for, and an ordinary evaluation's folder for each problem."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import library_versions, provenance
from ..envs.core.files import atomic_write, user_path
from ..envs.core.instance import load_document
from ..envs.core.lock import LOCK, FolderLock
from .parallel import Job
from .plan import Plan
from .store import Store, open_store
from .suite import Suite

SUITE = "suite.json"
FORMAT, VERSION = "makespan/suite-run", 1
_LARGEST_FILE = 2**24


class SuiteFolder:
    """Where a suite's evaluations are kept; others may not write to it until `close`.

    Args:
        folder: None keeps rows in memory.
        name: of the suite, as it was given: the record's command must find it again.
        suite: what is played.
        plans: of its problems.
        overwrite: replace what another suite left.

    Raises:
        UserError: the folder cannot be written, holds something else, or is being written to by another process.
    """

    def __init__(self, folder: str | None, name: str, suite: Suite, plans: list[Plan], overwrite: bool) -> None:
        self.path = None if folder is None else user_path(folder)
        self._lock: FolderLock | None = None
        self.jobs: list[Job] = []
        self._begun = False
        if folder is None or self.path is None:
            self.jobs = [Job(plan, Store(None)) for plan in plans]
            return
        if not folder.strip():
            raise FieldError("option out", folder, "the name of a folder")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"option out is {folder!r}, which is a file, expected a folder")
        self._lock = FolderLock(self.path)
        try:
            self._claim(folder, name, suite, overwrite)
            for problem, plan in zip(suite.problems, plans, strict=True):
                place = f"{folder.rstrip('/')}/{problem.name}"
                self.jobs.append(Job(plan, open_store(place, plan.record(place), overwrite)))
        except BaseException:
            self.close()
            raise

    def abandon(self) -> None:
        """Leave what was begun just now, and has no row, to others."""
        for job in self.jobs:
            job.store.abandon()
        if self.path is not None and self._begun and not any(job.store.rows for job in self.jobs):
            (self.path / SUITE).unlink(missing_ok=True)

    def close(self) -> None:
        """Let others write to the folder."""
        for job in self.jobs:
            job.store.close()
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def _claim(self, folder: str, name: str, suite: Suite, overwrite: bool) -> None:
        assert self.path is not None
        command = shlex.join(["makespan", "evaluate", "--suite", name, "--out", folder])
        record = {"command": command, "suite": suite.to_dict()}
        known = self.path / SUITE
        if known.exists() and not overwrite:
            _check_same(known, record)
            return
        if not overwrite and any(file.name != LOCK for file in self.path.iterdir()):
            raise UserError(f"option out is {folder!r}, which holds other files; take another folder or --overwrite")
        document = {"format": FORMAT, "version": VERSION, **record, **provenance()}
        atomic_write(known, json.dumps(document, indent=1, allow_nan=False) + "\n")
        self._begun = True


def read_suite(folder: Path) -> dict[str, Any]:
    """The record of a suite's folder.

    Raises:
        UserError: it is missing or damaged.
    """
    return load_document(folder / SUITE, FORMAT, (VERSION,), _LARGEST_FILE)


def _check_same(path: Path, record: dict[str, Any]) -> None:
    before = read_suite(path.parent)
    advice = "take another folder or --overwrite"
    if before.get("suite") != record["suite"]:
        raise UserError(f"{str(path.parent)!r} holds another suite, or the suite has changed since; {advice}")
    theirs, ours = (versions.get("makespan") for versions in (before.get("versions", {}), library_versions()))
    if theirs != ours:
        raise UserError(f"{str(path.parent)!r} was begun with makespan {theirs}, this is {ours}; {advice}")
