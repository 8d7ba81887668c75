"""The form of an evaluation's rows, checked where they are read back: a damaged file must not become a wrong number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..envs.core.errors import FieldError, UserError

Form = Mapping[str, tuple[type, ...]]
"""What an object must hold, by the types that JSON gives."""

_NUMBER, _MAYBE = (int, float), (int, float, type(None))
_LARGEST = 1e300

RECORD: Form = {
    "command": (str,),
    "options": (dict,),
    "versions": (dict,),
    "created": (str,),
    "fingerprint": (str,),
}
"""What is said of an evaluation."""
_PLAYED: Form = {
    "env": (str,),
    "env_options": (dict,),
    "agent": (str,),
    "instance": (str, type(None)),
    "seed": (int,),
    "objective": _NUMBER,
    "metrics": (dict,),
    "best_known": _MAYBE,
    "bound": _MAYBE,
    "gap": _MAYBE,
    "valid": (bool, type(None)),
    "decisions": (int,),
    "hindsight": (bool,),
    "stochastic": (bool,),
}
ROW: Form = {**_PLAYED, "seconds_per_decision": _MAYBE, "batch": (int,)}
"""A row of a world that was played."""
_POINT: Form = {**_PLAYED, "option": (str, type(None)), "work": _MAYBE, "cpu_seconds": _NUMBER}
_SOMETIMES: Form = {
    "score": _MAYBE,
    "null_objective": _MAYBE,
    "expected_bound": _MAYBE,
    "expected_bound_name": (str,),
    "measured": (dict,),
    "remark": (str,),
    "problem": (str,),
    "schedule": (str,),
}


def check_fields(data: Mapping[str, Any], form: Form, source: str) -> None:
    """Check that an object holds every key of a form, each of one of its types, numbers finite.

    Raises:
        FieldError: it does not; the key is named.
    """
    for key, kinds in form.items():
        value = data.get(key)
        wrong = key not in data or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        if wrong or (isinstance(value, int | float) and not abs(value) <= _LARGEST):
            raise FieldError(key, value, "what evaluate wrote", source)


def check_row(row: Mapping[str, Any], source: str) -> None:
    """Check a stored row: of a world that was played, or the points of one that was played with more and more work.

    Raises:
        UserError: it has another form.
    """
    if "points" not in row:
        _check_played(row, ROW, source)
        return
    points = row["points"]
    if not isinstance(points, list) or not points:
        raise FieldError("points", points, "what evaluate wrote", source)
    for number, point in enumerate(points):
        where = f"{source}: points[{number}]"
        if not isinstance(point, Mapping):
            raise UserError(f"{where} is no object")
        _check_played(point, _POINT, where)


def _check_played(row: Mapping[str, Any], form: Form, source: str) -> None:
    check_fields(row, {**form, **{key: kinds for key, kinds in _SOMETIMES.items() if key in row}}, source)
