"""Checks of arrays that users give; messages name the field, the value and what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _first(field: str, array: NDArray[Any], wrong: NDArray[np.bool_], expected: str) -> FieldError:
    """The error that names the first wrong entry."""
    place = np.argwhere(wrong)[0].tolist()
    where = "".join(f"[{index}]" for index in place)
    return FieldError(f"{field}{where}", array[tuple(place)].item(), expected)


def _array(field: str, value: Any, shape: tuple[int, ...], kinds: str, what: str) -> NDArray[Any]:
    described = " x ".join(map(str, shape)) + f" {what}"
    try:
        array = np.asarray(value)
    except ValueError:
        raise FieldError(field, "rows of different lengths", described) from None
    if array.size == 0 and array.shape == shape:
        return array
    if array.dtype.kind not in kinds:
        raise FieldError(field, f"an array of {array.dtype}", described)
    if array.shape != shape:
        raise FieldError(field, " x ".join(map(str, array.shape)) + " numbers", described)
    return array


def integer_array(field: str, value: Any, shape: tuple[int, ...], low: int, high: int) -> NDArray[np.int64]:
    """A read-only copy as int64, of that shape and within bounds.

    Raises:
        FieldError: the value is something else.
    """
    array = _array(field, value, shape, "iu", "integers")
    wrong = (array < low) | (array > high)
    if wrong.any():
        raise _first(field, array, wrong, f"an integer from {low} to {high}")
    return _frozen(np.array(array, dtype=np.int64, order="C"))


def float_array(field: str, value: Any, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float64]:
    """A read-only copy as float64, of that shape and within bounds.

    Raises:
        FieldError: the value is something else.
    """
    array = _array(field, value, shape, "iuf", "numbers")
    wrong = ~((array >= low) & (array <= high))
    if wrong.any():
        raise _first(field, array, wrong, f"a number from {low:g} to {high:g}")
    return _frozen(np.array(array, dtype=np.float64, order="C"))


def check_sorted(field: str, value: Any, low: int, high: int) -> NDArray[np.int64]:
    """A read-only copy of a list of integers as int64, ascending and within bounds.

    Raises:
        FieldError: the value is something else.
    """
    length = len(value) if isinstance(value, list | tuple | np.ndarray) else -1
    if length < 0:
        raise FieldError(field, value, "a list of integers")
    array = integer_array(field, value, (length,), low, high)
    falls = np.flatnonzero(np.diff(array) < 0)
    if len(falls):
        k = int(falls[0]) + 1
        raise FieldError(f"{field}[{k}]", int(array[k]), f"at least {array[k - 1]}, the one before")
    return array


def in_range(field: str, value: Any, low: float, high: float) -> float:
    """The value as a float within bounds.

    Raises:
        FieldError: it is something else.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # what is no number is neither
        raise FieldError(field, value, f"a number from {low:g} to {high:g}")
    return float(value)
