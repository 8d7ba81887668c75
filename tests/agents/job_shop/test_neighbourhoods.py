"""Large-neighbourhood search: never worse than where it begins, optimal on small shops, the same each time."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.neighbourhoods import NeighbourhoodSearch
from makespan.envs.core.errors import MissingExtraError
from makespan.envs.job_shop.generator import named_instance, random_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from support.job_shop import shops


def found(instance: JobShopInstance, iterations: int, seed: int = 0) -> JobShopSchedule:
    search = NeighbourhoodSearch(instance, seed=seed)
    makespans = []
    for _ in range(iterations):
        search.run(iterations=1)
        assert search.best is not None
        makespans.append(search.best.makespan)
    assert makespans == sorted(makespans, reverse=True)
    assert search.best is not None
    assert validate(search.best) == []
    return search.best


@settings(max_examples=25, deadline=None)
@given(instance=shops(jobs=(2, 4), machines=(2, 3), least_time=0), seed=st.integers(0, 2**63 - 1))
def test_small_shops_are_one_window(instance: JobShopInstance, seed: int) -> None:
    """Unequal routes, revisits and times of zero."""
    assert found(instance, 2, seed).makespan == solve_job_shop(instance, "none", 30.0).objective


@settings(max_examples=10, deadline=None)
@given(instance=shops(jobs=(6, 9), machines=(4, 6), least_time=0, most_time=9), seed=st.integers(0, 2**63 - 1))
def test_windows_fit_together(instance: JobShopInstance, seed: int) -> None:
    found(instance, 12, seed)


@pytest.mark.parametrize("name, optimum", [("ft06", 55), ("la01", 666)])
def test_known_optima(name: str, optimum: int) -> None:
    assert found(named_instance(name), 60).makespan == optimum


@pytest.mark.slow
def test_never_below_proved_optima() -> None:
    assert 945 <= found(named_instance("la16"), 300).makespan <= 1.03 * 945


def test_the_same_work_gives_the_same_schedule() -> None:
    instance = random_instance(((8, 5),), 3)
    first, again, other = (found(instance, 15, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.start, again.start)
    assert not np.array_equal(first.start, other.start)


def test_other_shops_and_a_missing_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = named_instance("ft06")
    with pytest.raises(ValueError, match="classical shop only"):
        NeighbourhoodSearch(instance, "swap")
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(MissingExtraError, match="exact"):
        NeighbourhoodSearch(instance)
