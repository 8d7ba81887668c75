"""What the instance files of all problems share: JSON with a format and a version, and checks that name the field.

A file is an object such as ``{"format": "makespan/job-shop", "version": 1, ...}``.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .errors import FieldError, UnknownNameError, UserError
from .files import MAX_BYTES, decode_text, read_bounded

MAX_DEPTH = 32
HEADER = ("format", "version")


def load_document(path: str | Path, format: str, versions: Collection[int], limit: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON object and check its format and version.

    Args:
        path: the file, of at most `limit` bytes.
        format: what its key ``format`` must hold, for example ``makespan/job-shop``.
        versions: the versions that can be read.

    Raises:
        UserError: the file cannot be read, is not such an object, or is of another format or version.
    """
    data = parse_json(decode_text(read_bounded(path, limit), str(path)), str(path))
    return check_header(data, format, versions, str(path))


def parse_json(text: str, source: str) -> Any:
    """Parse strict JSON: finite numbers, no key twice, at most `MAX_DEPTH` levels.

    Raises:
        UserError: the text is something else; the message begins with `source`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in pairs:
            if key in data:
                raise UserError(f"{source}: key {key[:80]!r} is given twice in one object")
            data[key] = value
        return data

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise UserError(f"{source}: {number[:40]} is not a finite number")
        return value

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite)
    except UserError:
        raise
    except json.JSONDecodeError as error:
        raise UserError(f"{source}: not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep(source) from None
    except ValueError:  # Python refuses to convert integers of thousands of digits
        raise UserError(f"{source}: a number is too long") from None
    _check_depth(data, source)
    return data


def check_header(data: object, format: str, versions: Collection[int], source: str | None = None) -> dict[str, Any]:
    """Check that parsed JSON is an object of the format and of one of the versions.

    Raises:
        FieldError: it is not.
    """
    if not isinstance(data, dict):
        raise FieldError("the document", data, "an object", source)
    if data.get("format") != format:
        raise FieldError("format", data.get("format"), repr(format), source)
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version not in versions:
        raise FieldError("version", version, f"one of {', '.join(map(str, sorted(versions)))}", source)
    return data


def require_integer(field: str, value: object, low: int, high: int, source: str | None = None) -> int:
    """Return `value` as an int if it is an integer (not a bool, not a float) from `low` to `high`.

    Raises:
        FieldError: it is not.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        if number is not None and number.bit_length() > 256:
            value = "an integer of more than 256 bits"
        raise FieldError(field, value, f"an integer from {low} to {high}", source)
    return number


def require_list(field: str, value: object, source: str | None = None) -> list[Any]:
    """Return `value` if it is a list.

    Raises:
        FieldError: it is not.
    """
    if not isinstance(value, list):
        raise FieldError(field, value, "a list", source)
    return value


def require_keys(
    field: str, value: object, required: Collection[str], optional: Collection[str] = (), source: str | None = None
) -> dict[str, Any]:
    """Return `value` if it is an object that has the required keys and none but these and the optional ones.

    Raises:
        FieldError: it is not an object, or a key is missing.
        UnknownNameError: it has another key.
    """
    if not isinstance(value, Mapping):
        raise FieldError(field, value, "an object", source)
    for key in required:
        if key not in value:
            raise FieldError(field, sorted(map(str, value)), f"an object with the key {key!r}", source)
    for key in value:
        if key not in required and key not in optional:
            where = f"key of {source + ': ' if source else ''}{field}:"
            raise UnknownNameError(where, str(key)[:80], [*required, *optional])
    return dict(value)


def require_name(field: str, value: object, source: str | None = None) -> str:
    """Return `value` if it can name an instance in tables and file names.

    Raises:
        FieldError: it is not 1 to 120 printable characters without slashes and without space at its ends.
    """
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= 120
        or not value.isprintable()
        or value != value.strip()
        or "/" in value
        or "\\" in value
    ):
        raise FieldError(field, value, "a name of 1 to 120 printable characters without slashes", source)
    return value


def content_hash(data: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON (sorted keys, no spaces, ASCII)."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _check_depth(data: object, source: str) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep(source)


def _too_deep(source: str) -> UserError:
    return UserError(f"{source}: nested more than {MAX_DEPTH} levels deep")
