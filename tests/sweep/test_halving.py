"""Successive halving against examples worked by hand."""

from __future__ import annotations

import pytest
from makespan.sweep.halving import budgets, promoted, sizes, survivors


@pytest.mark.parametrize(
    "first, last, eta, expected",
    [
        (1.0, 9.0, 3, [1.0, 3.0, 9.0]),
        (1, 81, 3, [1, 3, 9, 27, 81]),
        (100, 1000, 3, [111, 333, 1000]),  # anchored at the last: 1000 / 9 is no less than 100, 1000 / 27 is
        (0.1, 0.3, 3, [pytest.approx(0.1), 0.3]),  # 0.3 / 3 is a little below 0.1
        (5.0, 5.0, 3, [5.0]),
        (4.0, 9.0, 3, [9.0]),
        (1.0, 8.0, 2, [1.0, 2.0, 4.0, 8.0]),
        (1.0, 2.25, 1.5, [1.0, 1.5, 2.25]),
    ],
)
def test_budgets(first: float, last: float, eta: float, expected: list[float]) -> None:
    found = budgets(first, last, eta)
    assert found == expected
    assert all(isinstance(one, type(last)) for one in found)


def test_how_many_go_on() -> None:
    """Of 27 by a factor of three 9, 3 and 1 (Jamieson & Talwalkar's n / eta^k), of few one at least."""
    assert sizes(27, 4, 3) == [27, 9, 3, 1]
    assert sizes(10, 4, 3) == [10, 3, 1, 1]
    assert sizes(16, 5, 2) == [16, 8, 4, 2, 1]
    assert sizes(2, 2, 3) == [2, 1]
    assert survivors(9, 1.5) == 6
    assert survivors(7, 2.5) == 2


# Nine trials by a factor of three; objectives at the first and at the second budget.
AT_FIRST = {1: 50.0, 2: 40.0, 3: 70.0, 4: 40.0, 5: 45.0, 6: 90.0, 7: 41.0, 8: 60.0, 9: 55.0}
AT_SECOND = {2: 39.0, 4: 30.0, 7: 35.0}


def test_the_best_go_on_worked_by_hand() -> None:
    assert promoted(AT_FIRST, 9, 3, "min") == [2, 4, 7]
    assert promoted(AT_SECOND, 3, 3, "min") == [4]
    assert promoted(AT_FIRST, 9, 3, "max") == [3, 6, 8]
    assert promoted(AT_SECOND, 3, 3, "max") == [2]


def test_ties_go_to_the_lower_number() -> None:
    assert promoted({1: 5.0, 2: 5.0, 3: 5.0}, 3, 3, "min") == [1]
    assert promoted({9: 5.0, 2: 5.0, 3: 5.0}, 3, 3, "max") == [2]


def test_those_that_failed_count_as_entrants_and_do_not_go_on() -> None:
    left = {number: value for number, value in AT_FIRST.items() if number not in (2, 4)}
    assert promoted(left, 9, 3, "min") == [1, 5, 7]
    assert promoted({5: 45.0}, 9, 3, "min") == [5]
    assert promoted({}, 9, 3, "min") == []
