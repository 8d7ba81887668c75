"""A row of an evaluation and its schedule, read back and drawn by the environment that it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.files import decode_text, read_bounded, user_path
from ..envs.core.ids import make_single
from ..envs.core.instance import parse_json
from .solution_folder import PICTURE
from .solutions import RESULT
from .store import ANYTIME, RUN, read_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..envs.core.chart import Chart

_LARGEST_FILE = 2**30


def read_rows(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of an evaluation's results.json.

    Raises:
        UserError: the folder is not that of a finished evaluation.
    """
    path = user_path(folder) / "results.json"
    if not path.is_file():
        if (path.parent / ANYTIME[0]).is_file():
            raise UserError(f"{str(folder)!r} holds an anytime evaluation, which has points and no rows to draw")
        if (path.parent / RESULT).is_file():
            drawn = path.parent / PICTURE
            raise UserError(f"{str(folder)!r} is the folder of optimise: its schedule is drawn in {str(drawn)!r}")
        if (path.parent / RUN).is_file():
            raise UserError(f"{str(folder)!r} holds an unfinished evaluation; give its command again to finish it")
        raise UserError(f"{str(folder)!r} is not the folder of an evaluation: it holds no results.json")
    rows = parse_json(decode_text(read_bounded(path, _LARGEST_FILE), str(path)), str(path))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: not a list of rows")
    return rows


def read_row(folder: str | Path, number: int, agent: str | None = None) -> dict[str, Any]:
    """Row `number` (from 0) of an evaluation's results.json, or of those of its rows that are an agent's.

    Raises:
        UserError: the folder is not that of a finished evaluation, or has no such row.
    """
    path, rows = user_path(folder) / "results.json", read_rows(folder)
    if agent is not None:
        played = {str(row.get("agent")) for row in rows}
        if agent not in played:
            raise UnknownNameError(f"agent of {str(folder)!r}", agent, played)
        rows = [row for row in rows if row.get("agent") == agent]
    if not 0 <= number < len(rows):
        of_agent = "" if agent is None else f" of agent {agent!r}"
        raise FieldError("option row", number, f"0 to {len(rows) - 1}, the rows{of_agent} in {path}")
    row = rows[number]
    for key, kind in (("env", str), ("env_options", dict)):
        if not isinstance(row.get(key), kind):
            raise FieldError(f"rows[{number}].{key}", row.get(key), "what evaluate wrote", str(path))
    return row


def read_schedule(folder: str | Path, row: dict[str, Any]) -> Any:
    """The schedule of a row as JSON data.

    Raises:
        UserError: the row has none, or its file is missing or damaged.
    """
    where = row.get("schedule")
    if where is None:
        raise UserError(f"the row holds no schedule: environment {row['env']!r} offers none, or it was not stored")
    name, hash_sign, index = str(where).partition("#")
    inside = Path(name).parts[:1] == ("schedules",) and ".." not in Path(name).parts
    if not (inside and hash_sign and index.isdecimal()):
        raise FieldError("schedule", where, "a file of the folder 'schedules' with '#' and a number")
    entries = read_part(user_path(folder) / name)
    if int(index) >= len(entries):
        raise FieldError("schedule", where, f"a number below {len(entries)}, the entries of the file")
    return entries[int(index)]["schedule"]


def figure_of(row: dict[str, Any], data: Any) -> Figure:
    """A schedule's picture, as the environment's ``draw(schedule)`` makes it.

    Raises:
        UserError: the environment cannot draw, or the schedule is malformed.
        MissingExtraError: matplotlib is not installed.
    """
    env = _env(row)
    if not hasattr(env, "draw"):
        raise UserError(f"environment {row['env']!r} cannot draw: it offers no draw(schedule)")
    return env.draw(_schedule(env, data))


def chart_of(row: dict[str, Any], data: Any) -> Chart:
    """What an interactive picture of a schedule shows, as the environment's ``chart(schedule)`` describes it.

    Raises:
        UserError: the environment describes none, or the schedule is malformed.
    """
    env = _env(row)
    if not hasattr(env, "chart"):
        raise UserError(f"environment {row['env']!r} has no interactive pictures: it offers no chart(schedule)")
    return env.chart(_schedule(env, data))


def animate(row: dict[str, Any], data: Any, path: str | Path) -> None:
    """Write a schedule as a GIF, as the environment's ``animate(schedule, path)`` does.

    Raises:
        UserError: the environment cannot animate, the schedule is malformed, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    env = _env(row)
    if not hasattr(env, "animate"):
        raise UserError(f"environment {row['env']!r} has no animation: it offers no animate(schedule, path)")
    env.animate(_schedule(env, data), path)


def text_of(row: dict[str, Any], data: Any) -> str:
    """A schedule as text: what the environment's ``ansi(schedule)`` makes of it, else its data.

    Raises:
        UserError: the schedule is malformed.
    """
    env = _env(row)
    return env.ansi(_schedule(env, data)) if hasattr(env, "ansi") else json.dumps(data, indent=1, allow_nan=False)


def trace_of(row: dict[str, Any], data: Any) -> Any:
    """A schedule in Chrome's trace event format: what the ``trace()`` of the environment's schedule gives.

    Raises:
        UserError: the environment's schedules have no trace, or this one is malformed.
    """
    schedule = _schedule(_env(row), data)
    if not hasattr(schedule, "trace"):
        raise UserError(f"environment {row['env']!r} has no trace: its schedules offer no trace()")
    return schedule.trace()


def _env(row: dict[str, Any]) -> Any:
    return make_single(row["env"], row["env_options"]).unwrapped


def _schedule(env: Any, data: Any) -> Any:
    """The environment's schedule: what ``read_schedule(data)`` gives, else the data themselves."""
    return env.read_schedule(data) if hasattr(env, "read_schedule") else data
