"""The space that a sweep searches: an option's values as a list, or a range of numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from ..envs.core.errors import FieldError, UnknownNameError
from ..training.config import TrainConfig, check_number

Setting = bool | int | float | str | None
"""A value of an option; None stands for "none" in a file: nothing, where an option may be nothing."""

_NOT_HERE = {
    "env": "the sweep's own env",
    "out": "the folder of the sweep",
    "seed": "the sweep's seeds",
    "steps": "the table [budget]",
    "minutes": "the table [budget]",
}
_WHAT_IS_PLAYED = ("instances", "held_out", "validation_worlds")
_DIGITS = 4
_NOTHING = "none"


class Choice(NamedTuple):
    """Some values."""

    values: tuple[Setting, ...]

    def to_data(self) -> Any:
        """As it stands in a file."""
        return [_NOTHING if value is None else value for value in self.values]


class Range(NamedTuple):
    """All numbers between two, both among them.

    Attributes:
        low, high: the ends; whole numbers where the option is one.
        log: whether their logarithms are even.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is one of whole numbers."""
        return isinstance(self.low, int)

    def tidy(self, value: float) -> float:
        """A number of the range as it is used and told: of four digits where it is not whole."""
        if self.whole:
            return int(value)
        rounded = float(f"{value:.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def to_data(self) -> Any:
        """As it stands in a file."""
        return dict(self._asdict())


Dimension = Choice | Range


class Space(NamedTuple):
    """Options and the values that they may take.

    Attributes:
        dimensions: by the option's name, in the file's order.
    """

    dimensions: Mapping[str, Dimension]

    @property
    def size(self) -> float:
        """How many settings it holds, infinite where a range of real numbers is among them."""
        return math.prod(
            len(one.values) if isinstance(one, Choice) else one.high - one.low + 1 if one.whole else math.inf
            for one in self.dimensions.values()
        )

    def settings(self) -> Iterator[dict[str, Setting]]:
        """All settings, the last option's values changing fastest; only where there are finitely many."""
        values = [
            one.values if isinstance(one, Choice) else range(int(one.low), int(one.high) + 1)
            for one in self.dimensions.values()
        ]
        for setting in itertools.product(*values):
            yield dict(zip(self.dimensions, setting, strict=True))

    def to_data(self) -> dict[str, Any]:
        """As it stands in a file."""
        return {name: one.to_data() for name, one in self.dimensions.items()}


def read_space(table: Mapping[str, Any], source: str) -> Space:
    """Read the table ``[space]``.

    Args:
        table: a list of values, or ``{low, high, log}``, for each option of a training run.
        source: what errors begin with.

    Raises:
        UserError: an option is unknown or not one to be searched, or its values are wrong.
    """
    if not table:
        raise FieldError("space", table, "a table with at least one option of a training run", source)
    return Space({name: _dimension(name, given, source) for name, given in table.items()})


def read_settings(where: str, table: Mapping[str, Any], source: str, fixed: bool) -> dict[str, Setting]:
    """Read a table of options and their values.

    Args:
        where: the table's name.
        table: what it holds.
        source: what errors begin with.
        fixed: whether these hold for all trials, and may so say what is played and validated on.

    Raises:
        UserError: an option is unknown or not one that may stand here, or its value is wrong.
    """
    return {name: _value(f"{where}.{name}", name, value, source, fixed) for name, value in table.items()}


def _dimension(name: str, given: Any, source: str) -> Dimension:
    field = f"space.{name}"
    _check_name(field, name, source, fixed=False)
    if isinstance(given, list):
        values = tuple(_value(f"{field}[{number}]", name, value, source, False) for number, value in enumerate(given))
        if not values or any(values.count(value) > 1 for value in values):
            raise FieldError(field, given, "at least one value, none of them twice", source)
        return Choice(values)
    if not isinstance(given, dict):
        raise FieldError(field, given, "a list of values or a range {low = ..., high = ..., log = ...}", source)
    return _range(field, name, given, source)


def _range(field: str, name: str, given: Mapping[str, Any], source: str) -> Range:
    for key in given:
        if key not in Range._fields:
            raise UnknownNameError(f"key of {source}, {field}:", key, Range._fields)
    if not {"low", "high"} <= given.keys():
        raise FieldError(field, given, "a range with low and high", source)
    if str in _kinds(name):
        raise FieldError(field, given, f"a list of texts, as {name} is no number", source)
    low, high = (_value(f"{field}.{end}", name, given[end], source, False) for end in ("low", "high"))
    for end, value in (("low", low), ("high", high)):
        if value is None:
            raise FieldError(f"{field}.{end}", _NOTHING, "a number", source)
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if not low < high:
        raise FieldError(f"{field}.low", low, f"a number below high, which is {high}", source)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise FieldError(f"{field}.log", log, "true or false", source)
    if log and low <= 0:
        raise FieldError(f"{field}.low", low, "a number above 0, as log is true", source)
    return Range(low, high, log)


def _value(field: str, name: str, value: Any, source: str, fixed: bool) -> Setting:
    """A value of an option, checked by itself; how it goes with the others is seen when a run is described."""
    _check_name(field, name, source, fixed)
    kinds = _kinds(name)
    if value == _NOTHING and NoneType in kinds:
        return None
    if str in kinds:
        if not isinstance(value, str) or not value:
            raise FieldError(field, value, "a text", source)
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    try:
        check_number(name, value)
    except FieldError as error:
        raise FieldError(field, value, error.expected, source) from None
    return value


def _check_name(field: str, name: str, source: str, fixed: bool) -> None:
    known = [item.name for item in fields(TrainConfig) if item.name not in _NOT_HERE]
    if name in _NOT_HERE:
        raise FieldError(field, name, f"another option: that is said by {_NOT_HERE[name]}", source)
    if name not in known:
        raise UnknownNameError(f"option of a training run in {source}, {field.partition('.')[0]}:", name, known)
    if not fixed and name in _WHAT_IS_PLAYED:
        expected = "another option: trials are compared on the same worlds, which [training] says"
        raise FieldError(field, name, expected, source)


def _kinds(name: str) -> tuple[Any, ...]:
    hint = get_type_hints(TrainConfig)[name]
    return get_args(hint) or (hint,)
