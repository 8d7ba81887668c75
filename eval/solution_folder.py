"""The folder of one search: its best schedule so far, whole at any moment, continued by the same command."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from ..envs.core.errors import FieldError, MissingExtraError, UserError
from ..envs.core.extras import provenance
from ..envs.core.files import atomic_write, decode_text, read_bounded, refuse_links, user_path
from ..envs.core.ids import make_single
from ..envs.core.instance import load_document, parse_json, require_integer, require_list
from ..envs.core.lock import LOCK, FolderLock
from .judge import plain
from .optimise import Improvement, Solution, Task
from .solutions import RESULT, RESULT_FORMAT, RUN, RUN_FORMAT, SCHEDULE, VERSION

OPERATIONS = "operations.csv"
PICTURE, TRACE = "gantt.png", "trace.json"
# In the order in which they are removed: the record last, so that what is half removed is still known for what it is.
EXPORTED = "*.textproto"  # what schedules export for other tools
OURS = (PICTURE, TRACE, OPERATIONS, RESULT, SCHEDULE, RUN)

_LARGEST_FILE = 2**30


class SolutionFolder:
    """Where the results of a search go; locked until `close`.

    Args:
        name: of the folder, which is made where it is missing.
        task: what is solved.
        command: how it was asked for, for the record.
        overwrite: remove what another search left. Files that are not a search's are never removed.

    Attributes:
        before: what the same search has come to earlier, None where it begins.

    Raises:
        UserError: the folder cannot be written, holds something else, or is being written to by another process.
    """

    def __init__(self, name: str, task: Task, command: str, overwrite: bool = False) -> None:
        self._folder = user_path(name)
        self._env: Any = make_single(task.env_id, task.arena_options(task.options)).unwrapped
        if not name.strip():
            raise FieldError("option out", name, "the name of a folder")
        if self._folder.exists() and not self._folder.is_dir():
            raise UserError(f"option out is {name!r}, which is a file, expected a folder")
        self._lock = FolderLock(self._folder)
        try:
            self.before = self._claim(task, command, overwrite)
        except OSError as error:
            self._lock.release()
            raise UserError(f"cannot write to {name!r}: {error.strerror or error}") from None
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let others write to the folder."""
        self._lock.release()
        self._env.close()

    def _claim(self, task: Task, command: str, overwrite: bool) -> Solution | None:
        content = {path.name for path in self._folder.iterdir()} - {LOCK}
        refuse_links(self._folder, [*OURS, *(path.name for path in self._folder.glob(EXPORTED))])
        if RUN in content and not overwrite:
            self._check_same(task)
            return self._read(task)
        if content and not (RUN in content and overwrite):
            raise UserError(f"option out is {str(self._folder)!r}, which holds other files; take another folder")
        if RUN in content:
            self._record()  # before anything is removed: training, evaluations and sweeps have a run.json, too
        for ours in (*OURS, *(path.name for path in self._folder.glob(EXPORTED))):
            (self._folder / ours).unlink(missing_ok=True)
        document = {
            "format": RUN_FORMAT,
            "version": VERSION,
            "command": command,
            "options": _options(task),
            "fingerprint": _fingerprint(task),
            **provenance(),
        }
        self._write(RUN, json.dumps(document, indent=1, allow_nan=False) + "\n")
        return None

    def _check_same(self, task: Task) -> None:
        record = self._record()
        there, here, advice = record.get("options"), _options(task), "take another folder or --overwrite"
        if not isinstance(there, Mapping):
            raise FieldError("options", there, "an object", str(self._folder / RUN))
        for name, value in here.items():
            if there.get(name) != value:
                raise UserError(
                    f"option out is {str(self._folder)!r}, which holds another search: {name} is {there.get(name)!r} "
                    f"there and {value!r} here; {advice}"
                )
        if record.get("fingerprint") != _fingerprint(task):
            raise UserError(f"{str(self._folder)!r} was begun with another instance of the same name; {advice}")

    def _record(self) -> dict[str, Any]:
        return load_document(self._folder / RUN, RUN_FORMAT, (VERSION,), _LARGEST_FILE)

    def _read(self, task: Task) -> Solution | None:
        """What is there of an earlier search.

        Raises:
            UserError: a file is damaged, or the schedule is not valid.
        """
        path = self._folder / RESULT
        if not path.is_file():
            return None
        data = load_document(path, RESULT_FORMAT, (VERSION,), _LARGEST_FILE)
        schedule, objective = self._read_schedule(), _number(data, "objective", str(path))
        stated = _stated(schedule)
        bound = data.get("bound")
        return Solution(
            str(data.get("instance", "")),
            schedule,
            objective if stated is None else stated,
            None if bound is None else _number(data, "bound", str(path)),
            str(data.get("bound_source", "")),
            None,
            False,
            task.agent,
            _number(data, "seconds", str(path)),
            require_integer("tries", data.get("tries"), 0, 2**62, str(path)),
            tuple(_improvement(row, f"history[{i}]", str(path)) for i, row in enumerate(_history(data, str(path)))),
        )

    def _read_schedule(self) -> Any:
        path = self._folder / SCHEDULE
        if not path.is_file():
            return None
        data = parse_json(decode_text(read_bounded(path, _LARGEST_FILE), str(path)), str(path))
        schedule = self._env.read_schedule(data) if hasattr(self._env, "read_schedule") else data
        problems = self._env.validate(schedule) if hasattr(self._env, "validate") else []
        if problems:
            raise UserError(f"{path}: the schedule is not valid: {problems[0]}; --overwrite begins anew")
        return schedule

    def write(self, solution: Solution) -> None:
        """Keep a solution: each file whole, the schedule first.

        Raises:
            UserError: a file cannot be written; the old one stays.
        """
        if solution.schedule is not None:
            self._write(SCHEDULE, json.dumps(plain(solution.schedule), allow_nan=False) + "\n")
            if hasattr(solution.schedule, "table"):
                self._write(OPERATIONS, _csv(*solution.schedule.table()))
        self._write(RESULT, json.dumps(result_data(solution), indent=1, allow_nan=False) + "\n")

    def finish(self, solution: Solution) -> list[str]:
        """Draw what can be drawn.

        Returns:
            Sentences about what cannot.

        Raises:
            UserError: a file cannot be written.
        """
        schedule, remarks = solution.schedule, []
        if schedule is None:
            return ["The environment makes no schedules, so that only the objective is known."]
        if hasattr(schedule, "trace"):
            self._write(TRACE, json.dumps(schedule.trace(), allow_nan=False) + "\n")
        if hasattr(schedule, "exports"):
            for name, text in schedule.exports().items():
                self._write(name, text)
        if hasattr(self._env, "draw"):
            from .pictures import save

            try:
                save(self._env.draw(schedule), self._folder / PICTURE)
            except MissingExtraError as error:
                remarks.append(f"No picture: {error}.")
        return remarks

    def _write(self, name: str, text: str) -> None:
        atomic_write(self._folder / name, text)


def result_data(solution: Solution) -> dict[str, Any]:
    """A solution without its schedule, as plain data for JSON."""
    return {
        "format": RESULT_FORMAT,
        "version": VERSION,
        "instance": solution.instance,
        "agent": solution.agent,
        "objective": solution.objective,
        "bound": solution.bound,
        "bound_source": solution.bound_source,
        "gap": solution.gap,
        "optimal": solution.optimal,
        "seconds": solution.seconds,
        "tries": solution.tries,
        "interrupted": solution.interrupted,
        "history": [list(improvement) for improvement in solution.history],
    }


def _options(task: Task) -> dict[str, Any]:
    """What must be the same for a search to be continued; the time may differ."""
    return {
        "env": task.env_id,
        "env_options": plain(dict(task.options)),
        "instance": None if task.instance is None else str(getattr(task.instance, "name", task.instance)),
        "agent": task.agent,
        "seed": task.seed,
    }


def _fingerprint(task: Task) -> str:
    """Hash of the instance's content, which its name does not fix."""
    data = task.instance.to_dict() if hasattr(task.instance, "to_dict") else str(task.instance)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _stated(schedule: Any) -> float | None:
    """The objective that a schedule states itself."""
    return schedule.get("objective") if isinstance(schedule, Mapping) else getattr(schedule, "objective", None)


def _history(data: Mapping[str, Any], source: str) -> list[Any]:
    return require_list("history", data.get("history"), source)


def _improvement(row: Any, field: str, source: str) -> Improvement:
    if not isinstance(row, list) or len(row) != len(Improvement._fields) or not isinstance(row[2], str):
        raise FieldError(field, row, "[seconds, objective, agent]", source)
    return Improvement(*row)


def _number(data: Mapping[str, Any], field: str, source: str) -> float:
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(field, value, "a number", source)
    return value


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
