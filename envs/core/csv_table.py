"""Tables as CSV: a header with the columns in any order, then rows; what is malformed is named by row and column."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .errors import FieldError, UserError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_DIGITS = re.compile(r"([0-9]+)")
_MAX_LABEL = 120


class CsvRow(NamedTuple):
    """One row, its cells by column. Every method raises a FieldError where its cell is malformed.

    Attributes:
        cells: the text in each column, without space around it.
        number: counted from 1 as in a spreadsheet, the header included.
        source: the file's name.
    """

    cells: dict[str, str]
    number: int
    source: str

    def has(self, column: str) -> bool:
        """Whether there is such a column, and something in it."""
        return bool(self.cells.get(column))

    def label(self, column: str) -> str:
        """A name."""
        label = self.cells[column]
        if not 1 <= len(label) <= _MAX_LABEL or not label.isprintable():
            raise self.error(column, f"a name of 1 to {_MAX_LABEL} printable characters")
        return label

    def integer(self, column: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        cell = self.cells[column]
        if not _INTEGER.match(cell) or not low <= int(cell) <= high:
            raise self.error(column, f"an integer from {low} to {high}")
        return int(cell)

    def real(self, column: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        try:
            number = float(self.cells[column])
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise self.error(column, f"a number from {low:g} to {high:g}")
        return number

    def error(self, column: str, expected: str) -> FieldError:
        """The error that names this row and a column."""
        return FieldError(f"row {self.number}, column {column!r}", self.cells[column], expected, self.source)


def read_csv(text: str, source: str, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[CsvRow]:
    """The rows of a table below its header; empty lines are left out.

    Raises:
        UserError: the text is not CSV, a required column is missing, or one is unknown or there twice.
    """
    lines = _lines(text, source)
    _, header = next(lines, (1, []))
    columns = [cell.lower() for cell in header]
    known = (*required, *optional)
    for index, column in enumerate(columns):
        if column not in known or column in columns[:index]:
            expected = f"one of {', '.join(known)}, each once, separated by commas"
            raise FieldError(f"column {index + 1} of the header", header[index], expected, source)
    for column in required:
        if column not in columns:
            raise FieldError("the header", ",".join(header), f"a column {column!r}", source)
    for number, cells in lines:
        if len(cells) != len(columns):
            raise FieldError(f"row {number}", ",".join(cells), f"{len(columns)} cells, as the header has", source)
        yield CsvRow(dict(zip(columns, cells, strict=True)), number, source)


def _lines(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{source}: row {number} is not CSV: {error}") from None
        if any(cells):
            yield number, cells


def by_name(names: Iterable[str]) -> list[str]:
    """Names sorted, the numbers in them by value (M2 before M10)."""

    def key(name: str) -> tuple[list[str | int], str]:
        parts = _DIGITS.split(name)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], name

    return sorted(names, key=key)
