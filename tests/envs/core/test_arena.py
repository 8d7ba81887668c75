"""Arrays whose rows lie side by side, copy after copy."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.core.arena import LINE, Arena, Field

FIELDS = {
    "first": Field((3,)),
    "flags": Field((2, 3), np.int8, 1),
    "shares": Field((2,), np.float64, 0.5),
    "none": Field((0, 4)),
    "last": Field((2, 2), fill=-1),
}


@pytest.mark.parametrize("copies", [1, 5])
def test_arrays_are_filled_and_have_their_shapes(copies):
    arrays = Arena(copies, FIELDS).arrays
    for name, field in FIELDS.items():
        np.testing.assert_array_equal(arrays[name], np.full((copies, *field.shape), field.fill, dtype=field.dtype))
        assert arrays[name].dtype == field.dtype


def test_arrays_share_no_memory_and_a_copy_lies_in_one_row():
    arena = Arena(3, FIELDS)
    for number, array in enumerate(arena.arrays.values()):
        array[1] = number + 2
    for number, array in enumerate(arena.arrays.values()):
        assert (array[1] == number + 2).all()
    arena.memory[2] = arena.memory[1]
    for array in arena.arrays.values():
        np.testing.assert_array_equal(array[1], array[2])


def test_rows_begin_at_cache_lines():
    arena = Arena(3, FIELDS)
    assert arena.memory.ctypes.data % LINE == 0
    assert arena.memory.strides[0] % LINE == 0
    for name, array in arena.arrays.items():
        assert array.ctypes.data % array.itemsize == 0
        assert arena.positions[name] == array.ctypes.data - arena.memory.ctypes.data
