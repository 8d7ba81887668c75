"""Reading the fields of a saved schedule, each checked for its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from .instance import JobShopInstance


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


class FieldReader:
    """Takes fields out of parsed JSON one by one.

    Raises:
        FieldError: by every method, where the field is missing or malformed.
    """

    def __init__(self, data: Any, source: str | None) -> None:
        self._source = source
        if not isinstance(data, Mapping):
            raise self._error("schedule", data, "an object")
        self._data = dict(data)

    def _error(self, name: str, value: object, expected: str) -> FieldError:
        return FieldError(name, value, expected, self._source)

    def field(self, name: str, kind: type, expected: str) -> Any:
        """A field of some type, which is then read.

        Raises:
            FieldError: it is missing or of another type.
        """
        if name not in self._data:
            raise self._error(name, None, expected)
        value = self._data.pop(name)
        if not isinstance(value, kind):
            raise self._error(name, value, expected)
        return value

    def constant(self, name: str, expected: object) -> None:
        """A field that has one value only."""
        value = self._data.pop(name, None)
        if value != expected or isinstance(value, bool):
            raise self._error(name, value, repr(expected))

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """A field that is one of some texts."""
        value = self.field(name, str, f"one of {choices}")
        if value not in choices:
            raise self._error(name, value, f"one of {choices}")
        return value

    def _integers(self, name: str, value: object, length: int) -> list[int]:
        if not isinstance(value, list) or len(value) != length or not all(map(_is_integer, value)):
            raise self._error(name, value, f"a list of {length} integers")
        return value

    def table(self, name: str, instance: JobShopInstance) -> NDArray[np.int64]:
        """Times of all operations, int64 [jobs, most operations]; -1 where a job has fewer."""
        rows = self.field(name, list, f"a list of {instance.num_jobs} lists")
        if len(rows) != instance.num_jobs:
            raise self._error(name, rows, f"a list of {instance.num_jobs} lists, one per job")
        table = np.full(instance.times.shape, -1, dtype=np.int64)
        for j, row in enumerate(rows):
            length = int(instance.lengths[j])
            table[j, :length] = self._integers(f"{name}[{j}]", row, length)
        return table

    def downtime(self, machines: int) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Intervals (begin, end) of each machine; empty where none is given."""
        rows = self.field("downtime", list, "a list of lists")
        if len(rows) not in (0, machines):
            raise self._error("downtime", rows, f"no entry or {machines}, one per machine")
        result = []
        for m, row in enumerate(rows):
            if not isinstance(row, list):
                raise self._error(f"downtime[{m}]", row, "a list of [begin, end]")
            pairs = [self._integers(f"downtime[{m}][{w}]", pair, 2) for w, pair in enumerate(row)]
            result.append(tuple((begin, end) for begin, end in pairs))
        return tuple(result)

    def lost(self) -> NDArray[np.int64]:
        """Rows of pieces that were lost, int64 [rows, 6]."""
        rows = self.field("lost", list, "a list of rows")
        checked = [self._integers(f"lost[{r}]", row, 6) for r, row in enumerate(rows)]
        return np.array(checked, dtype=np.int64).reshape(-1, 6)

    def nothing_else(self) -> None:
        """Refuse fields that nobody has read."""
        for name, value in self._data.items():
            raise self._error(name, value, "no such field")
