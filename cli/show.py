"""``makespan show``: draws a row's schedule again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import atomic_write, user_path
from ..eval.show import animate, figure_of, read_row, read_schedule, text_of, trace_of

_SUFFIXES = {".txt": "ansi", ".json": "json", ".png": "png", ".gif": "gif", ".svg": "svg", ".pdf": "pdf"}
_TEXTS = ("ansi", "json", "perfetto")


def run(results: str, number: int, agent: str | None, out: str | None, format: str | None) -> int:
    """Draw a schedule to the terminal or into a file.

    Raises:
        UserError: there is no such row, the environment cannot draw it so, or the file cannot be written.
    """
    chosen = _format(out, format)
    path = None if out is None else user_path(out)
    if path is not None and chosen not in _TEXTS and path.suffix.lower() != f".{chosen}":
        raise FieldError("option out", out, f"a name that ends in .{chosen}, as the format says")
    row = read_row(results, number, agent)
    data = read_schedule(results, row)
    if chosen in _TEXTS:
        text = _text(chosen, row, data)
        if path is None:
            print(text)
        else:
            atomic_write(path, text + "\n")
        return 0
    assert path is not None, "pictures have a file"
    if chosen == "gif":
        animate(row, data, path)
    else:
        from ..eval.pictures import save

        save(figure_of(row, data), path)
    return 0


def _text(format: str, row: dict[str, Any], data: Any) -> str:
    if format == "ansi":
        return text_of(row, data)
    return json.dumps(trace_of(row, data) if format == "perfetto" else data, allow_nan=False)


def _format(out: str | None, format: str | None) -> str:
    if out is None:
        if format not in (None, *_TEXTS):
            raise UserError(f"option format is {format!r}, which the terminal cannot show; give a file with --out")
        return format or "ansi"
    if format is not None:
        return format
    suffix = Path(out).suffix.lower()
    if suffix not in _SUFFIXES:
        raise FieldError("option out", out, f"a name that ends in one of {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix]
