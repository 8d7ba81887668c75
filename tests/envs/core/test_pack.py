"""Arrays that compiled code receives as one pointer, and functions that a plain pack leaves out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from makespan.envs.core.compile import compiled
from makespan.envs.core.pack import Pack, prefetch
from numpy.typing import NDArray


class Arrays(NamedTuple):
    table: NDArray[np.int64]
    floats: NDArray[np.float32]
    flags: NDArray[np.bool_]


def arrays():
    return Arrays(
        np.arange(24, dtype=np.int64).reshape(2, 3, 4),
        np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
        np.zeros(3, dtype=np.bool_),
    )


@compiled
def read(pack, i, j, k):
    row = pack.table[i, j]
    plane = pack.table[i]
    return pack.table[i, j, k], row[k], plane[j, k], pack.table[i, j, :].sum(), pack.table.shape[1], len(row)


@compiled
def write(pack, i, j, value):
    pack.table[i, j, 0] = value
    pack.table[i][j, 1] += value
    pack.table[i, j, 2:] = value
    pack.floats[i, j] = value
    pack.flags[j] = value > 0


def test_compiled_code_reads_entries_rows_and_slices():
    given = arrays()
    pack: Any = Pack(given)
    expected = given.table[1, 2, 3]
    assert read(pack, 1, 2, 3) == (expected, expected, expected, given.table[1, 2].sum(), 3, 4)


def test_compiled_code_writes_entries_rows_and_slices():
    given, expected = arrays(), arrays()
    write(Pack(given), 1, 2, 7)
    expected.table[1, 2] = [7, expected.table[1, 2, 1] + 7, 7, 7]
    expected.floats[1, 2] = 7
    expected.flags[2] = True
    for mine, theirs in zip(given, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_rows_may_lie_apart():
    wide = np.zeros((2, 5, 4), dtype=np.int64)
    given, expected = arrays(), arrays()
    apart = wide[:, :3]
    apart[...] = given.table
    write(Pack(given._replace(table=apart)), 1, 2, 7)
    write(Pack(expected), 1, 2, 7)
    np.testing.assert_array_equal(apart, expected.table)
    assert not wide[:, 3:].any()
    value = expected.table[1, 2, 3]
    assert read(Pack(given._replace(table=apart)), 1, 2, 3) == (value, value, value, expected.table[1, 2].sum(), 3, 4)


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[:, :, :2]])
def test_a_row_that_is_not_contiguous_is_refused(cut):
    given = arrays()
    with pytest.raises(ValueError, match="'table' is not C-contiguous"):
        Pack(given._replace(table=given.table[cut]))


@compiled
def ask(pack, i, items):
    prefetch(pack.table, i, 0, items)
    return pack.table[i, 0, 0]


@pytest.mark.parametrize("items", [0, 12, 10**6])
def test_asking_for_what_is_not_there_is_no_error(items):
    assert ask(Pack(arrays()), 1, items) == 12


@compiled(when_plain=-1)
def rare(pack, i):
    return pack.table[i, 0, 0] + 100


@compiled
def common(pack, i):
    return pack.table[i, 0, 0] + rare(pack, i)


def test_calls_that_a_plain_pack_leaves_out_return_the_constant():
    given = arrays()
    assert common(Pack(given), 1) == 12 + 112
    assert common(Pack(given, plain=True), 1) == 12 - 1
    assert rare(Pack(given, plain=True), 1) == 112  # from Python it is the function itself


@compiled
def shift(x, by):
    return x + by


@compiled
def shift_twice(x):
    return shift(shift(x, 1), 2)


def test_a_function_serves_python_and_compiled_callers_in_one_version():
    assert shift(4, 3) == 7
    assert shift_twice(4) == 7
    assert len(shift._part.overloads) == 1
