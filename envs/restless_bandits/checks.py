"""Checks of what a restless bandit is made of: numbers, tables by arms, probabilities; arm and state are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError

_SUM_TOLERANCE = 1e-9


def check_number(where: str, value: Any, low: float, high: float) -> float:
    """A finite number in a range.

    Raises:
        FieldError: it is something else.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # what is no number is neither
        raise FieldError(where, value, f"a number from {low:g} to {high:g}")
    return float(value)


def _place(name: str, at: Sequence[int], labels: Sequence[str]) -> str:
    """Where an entry of a table by arms stands, in words: ``arms[3].transition[level 1][state 2]``."""
    inner = "".join(f"[{label}{index}]" for label, index in zip(labels, at[1:], strict=False))
    rest = "".join(f"[{index}]" for index in at[1 + len(labels) :])
    return f"arms[{at[0]}].{name}{inner}{rest}"


def check_table(
    name: str, value: Any, shape: tuple[int, ...], low: float, high: float, labels: Sequence[str] = ()
) -> NDArray[np.float64]:
    """A read-only copy of a table by arms whose numbers must lie in a range; labels say what its further axes are.

    Raises:
        FieldError: it has another shape, or a number is out of the range.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape != shape:
        raise FieldError(name, f"{array.dtype} of shape {array.shape}", f"numbers of shape {shape}")
    wrong = ~((array >= low) & (array <= high))
    if wrong.any():
        at = np.argwhere(wrong)[0].tolist()
        raise FieldError(_place(name, at, labels), array[tuple(at)].item(), f"a number from {low:g} to {high:g}")
    table = np.array(array, dtype=np.float64, order="C")
    table.setflags(write=False)
    return table


def check_stochastic(name: str, value: Any, shape: tuple[int, ...], labels: Sequence[str]) -> NDArray[np.float64]:
    """A table whose last axis holds probabilities that sum to one.

    Raises:
        FieldError: it has another shape, or something is no probability; or a row does not sum to one.
    """
    table = check_table(name, value, shape, 0.0, 1.0, labels)
    sums = table.sum(axis=-1)
    wrong = np.abs(sums - 1.0) > _SUM_TOLERANCE
    if wrong.any():
        at = np.argwhere(wrong)[0].tolist()
        raise FieldError(f"{_place(name, at, labels)}: sum", float(sums[tuple(at)]), "1")
    return table


def check_effect(value: Any, arms: int, levels: int, size: int) -> NDArray[np.int64]:
    """By how many levels each element raises each arm, a read-only copy.

    Raises:
        FieldError: it has another shape, or a level is out of range.
    """
    expected = f"integers of shape ({arms}, {size}): arms x elements of the feasible set"
    try:
        array = np.asarray(value)
    except ValueError:
        raise FieldError("effect", "rows of different lengths", expected) from None
    if array.dtype.kind not in "iu" or array.shape != (arms, size):
        raise FieldError("effect", f"{array.dtype} of shape {array.shape}", expected)
    wrong = (array < 0) | (array >= levels)
    if wrong.any():
        j, i = np.argwhere(wrong)[0].tolist()
        raise FieldError(f"effect[{j}][{i}]", int(array[j, i]), f"an integer from 0 to {levels - 1}, the highest level")
    table = np.array(array, dtype=np.int64, order="C")
    table.setflags(write=False)
    return table
