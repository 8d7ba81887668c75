"""`Arena`: the arrays of n copies, laid out so that all rows of one copy lie side by side.

A step works on one copy after the other and on a dozen small arrays of each. With an array of its own for each of them,
every row would lie on another page; side by side they take two or three, which come from memory in one go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE = 64  # bytes that come from memory at once


class Field(NamedTuple):
    """What an array [n, *shape] of an arena is."""

    shape: tuple[int, ...]
    dtype: DTypeLike = np.int64
    fill: Any = 0


def aligned_rows(copies: int, row_bytes: int) -> NDArray[np.uint8]:
    """Zeros [copies, row_bytes] that begin at a cache line."""
    memory = np.zeros(copies * row_bytes + LINE, dtype=np.uint8)
    begin = -memory.ctypes.data % LINE
    return memory[begin : begin + copies * row_bytes].reshape(copies, row_bytes)


class Arena:
    """Arrays [n, ...] by name.

    Args:
        copies: n.
        fields: what the arrays are, in the order in which their rows lie: those used most first.

    Attributes:
        memory: uint8 [n, bytes], all of them.
        arrays: each of them, a view of the memory.
        positions: where each array's row begins in a copy's, in bytes.
    """

    def __init__(self, copies: int, fields: dict[str, Field]) -> None:
        self.positions: dict[str, int] = {}
        position = 0
        for name, field in fields.items():
            item = np.dtype(field.dtype).itemsize
            position = -(-position // item) * item
            self.positions[name] = position
            position += int(np.prod(field.shape)) * item
        self.memory = aligned_rows(copies, -(-position // LINE) * LINE)
        self.arrays: dict[str, NDArray[Any]] = {}
        for name, field in fields.items():
            inner = np.empty(field.shape, dtype=field.dtype).strides
            strides = (self.memory.strides[0], *inner)
            array: NDArray[Any] = np.ndarray(
                (copies, *field.shape), field.dtype, self.memory, self.positions[name], strides
            )
            array[...] = field.fill
            self.arrays[name] = array
