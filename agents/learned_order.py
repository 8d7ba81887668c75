"""What learned orders have in common: weights as one row of numbers, and the options of their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..envs.core.errors import FieldError, UserError
from ..envs.core.names import Name, check_options
from .checkpoint import Arrays

Shapes = Mapping[str, tuple[int, ...]]
"""Name and shape of each array of weights, in the order in which a row holds them."""

_MOST = 10**9
_LONGEST = 1_000_000
_HOTTEST = 100.0


def join_row(weights: Mapping[str, NDArray[Any]], shapes: Shapes) -> NDArray[np.float64]:
    """A row from arrays by name."""
    return np.concatenate([np.asarray(weights[name], dtype=np.float64).reshape(-1) for name in shapes])


def split_row(row: NDArray[np.float64], shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    """Arrays by name from a row."""
    arrays, at = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        arrays[name] = row[at : at + size].reshape(shape).astype(np.float32)
        at += size
    return arrays


def read_row(weights: Arrays, shapes: Shapes, source: str) -> NDArray[np.float64]:
    """A checkpoint's weights as a row.

    Raises:
        UserError: an array is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    from .learned import check_arrays

    check_arrays({key: (shape, "float32") for key, shape in shapes.items()}, weights, source)
    return join_row(weights, shapes)


class OrderOptions(NamedTuple):
    """How an order is to be played.

    Attributes:
        samples: how often, all but the first time with noise.
        temperature: of that noise, None for the agent's own.
        seconds, limit: of a search from the order on, both None where there is none.
    """

    samples: int = 1
    temperature: float | None = None
    seconds: float | None = None
    limit: int | None = None

    @property
    def searches(self) -> bool:
        """Whether anything is searched."""
        return self.seconds is not None or self.limit is not None


def read_options(name: Name, what: str, limit: str, tempered: bool) -> OrderOptions:
    """Read ``samples``, ``temperature``, ``time`` and the limit of another kind.

    Args:
        what: is named, in errors.
        limit: name of the other limit, a count.
        tempered: whether a temperature may be given with samples.

    Raises:
        UserError: an option is unknown or wrong, or contradicts another.
    """
    ways = ("samples", "time", limit)
    check_options(name, what, (*ways, "temperature") if tempered else ways)
    given = [key for key in name.options if key != "temperature"]
    if len(given) > 1:
        raise UserError(f"agent {str(name)!r}: options {' and '.join(given)} exclude each other")
    if "temperature" in name.options and given != ["samples"]:
        raise UserError(f"agent {str(name)!r}: option temperature needs option samples")
    return OrderOptions(
        samples=_count(name, "samples") or 1,
        temperature=_number(name, "temperature", "a number", _HOTTEST),
        seconds=_number(name, "time", "seconds,", _LONGEST),
        limit=_count(name, limit),
    )


def _count(name: Name, key: str) -> int | None:
    value = name.options.get(key)
    if key in name.options and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST):
        raise FieldError(f"option {key}", value, f"an integer from 1 to {_MOST}")
    return value  # pyright: ignore[reportReturnType]


def _number(name: Name, key: str, kind: str, most: float) -> float | None:
    if key not in name.options:
        return None
    value = name.options[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise FieldError(f"option {key}", value, f"{kind} above 0 and at most {most:g}")
    return float(value)
