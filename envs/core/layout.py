"""Observations of a batch in one block of memory: compiled code writes them, copies are handed out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arena import LINE, aligned_rows
from .spec import ObservationSpec, Sizes


class Layout:
    """Where each key of an observation lies in a row of memory; a row is one copy's observation.

    Attributes:
        space: Gymnasium space of one observation.
        keys: its keys in the order of `ObservationSpec.keys`.
        offsets: int64 [number of keys], each key's position in a row, counted in items of the key's own type.
        row_bytes: length of a row.
    """

    def __init__(self, spec: ObservationSpec, sizes: Sizes) -> None:
        self.space = spec.space(sizes)
        self.keys = spec.keys()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, np.dtype[Any]] = {}
        self.positions: dict[str, int] = {}
        position = 0
        for key in self.keys:
            box = self.space[key]
            assert box.shape is not None
            assert box.dtype is not None
            self.shapes[key], self.dtypes[key], self.positions[key] = box.shape, np.dtype(box.dtype), position
            position += -(-int(np.prod(box.shape)) * self.dtypes[key].itemsize // 4) * 4
        self.row_bytes = max(-(-position // LINE) * LINE, LINE)
        self.offsets = np.array([self.positions[key] // self.dtypes[key].itemsize for key in self.keys], dtype=np.int64)


_known: dict[str, Layout] = {}


def layout_of(spec: ObservationSpec, sizes: Sizes) -> Layout:
    """The layout for a spec and sizes, made once: planners make engines by the thousand, and spaces take long."""
    key = f"{spec.hash} {sorted(sizes.nodes.items())} {sorted(sizes.edges.items())} {sizes.actions}"
    if key not in _known:
        _known[key] = Layout(spec, sizes)
    return _known[key]


class ObservationBlock:
    """The observations of n copies.

    Attributes:
        floats, integers, bytes: the same memory as float32, int32 and int8, [n, row]; what compiled writers get.
        views: every key as an array [n, ...] that shares the memory: for whoever copies by itself.
    """

    def __init__(self, layout: Layout, copies: int) -> None:
        self.layout = layout
        self.memory = aligned_rows(copies, layout.row_bytes)
        self.floats: NDArray[np.float32] = self.memory.view(np.float32)
        self.integers: NDArray[np.int32] = self.memory.view(np.int32)
        self.bytes: NDArray[np.int8] = self.memory.view(np.int8)
        self.views: dict[str, NDArray[Any]] = {key: self._view(key) for key in layout.keys}
        self._single = [(key, view[0]) for key, view in self.views.items()] if copies == 1 else []

    def _view(self, key: str) -> NDArray[Any]:
        layout = self.layout
        dtype, shape = layout.dtypes[key], layout.shapes[key]
        inner = np.empty(shape, dtype=dtype).strides
        return np.ndarray(
            (len(self.memory), *shape), dtype, self.memory, layout.positions[key], (layout.row_bytes, *inner)
        )

    def copies(self) -> dict[str, NDArray[Any]]:
        """Every key as a new array [n, ...]: what a user receives is theirs."""
        return {key: view.copy() for key, view in self.views.items()}

    def single(self) -> dict[str, NDArray[Any]]:
        """The observation of the only copy, as new arrays without the leading axis."""
        return {key: view.copy() for key, view in self._single}

    def row(self, copy: int) -> dict[str, NDArray[Any]]:
        """The observation of one copy of many, as new arrays without the leading axis."""
        return {key: view[copy].copy() for key, view in self.views.items()}
