"""Jackson's preemptive bound against all subsets of a machine's operations, and against proved optima."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.envs.job_shop.bounds import jackson, lower_bound, preemptive_bound
from support.job_shop import MODES, shop, shops


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=1, max_size=6))
def test_the_preemptive_schedule_is_the_best_of_all_subsets(rows: list[tuple[int, int, int]]) -> None:
    """Carlier's theorem: the largest of least head + work + least tail over the subsets of operations."""
    best = 0
    for size in range(1, len(rows) + 1):
        for chosen in combinations(rows, size):
            heads, times, tails = zip(*chosen, strict=True)
            best = max(best, min(heads) + sum(times) + min(tails))
    assert jackson(rows) == best


def test_a_machine_without_operations_needs_no_time() -> None:
    assert jackson([]) == 0


def test_interruptions_are_seen_where_the_simple_bound_sees_none() -> None:
    """On machine 0 one operation can begin at 0 and has no tail, two come at 4 with tails of 4: 4 + 6 + 4 = 14."""
    instance = shop([[1], [4, 3, 4], [4, 3, 4]], [[0], [1, 0, 2], [2, 0, 1]])
    assert lower_bound(instance) == 11
    assert preemptive_bound(instance) == 14


@pytest.mark.parametrize("blocking", MODES)
def test_never_above_the_optimum_nor_below_the_simple_bound(blocking: str) -> None:
    rng, better = np.random.default_rng(8), 0
    for _ in range(20):
        jobs, machines = (int(size) for size in rng.integers(2, 6, 2))
        times: Any = rng.integers(1, 20, (jobs, machines)).tolist()
        instance = shop(times, [rng.permutation(machines).tolist() for _ in range(jobs)])
        result = solve_job_shop(instance, blocking, 30.0)
        assert result.proved
        assert result.objective is not None
        assert lower_bound(instance) <= preemptive_bound(instance) <= result.objective
        better += lower_bound(instance) < preemptive_bound(instance)
    assert better > 0


@settings(max_examples=30, deadline=None)
@given(shops(least_time=0, windows=True), st.sampled_from(MODES), st.sampled_from(["resume", "repeat", "scrap"]))
def test_holds_where_machines_are_down_and_routes_are_odd(instance: Any, blocking: str, on_breakdown: str) -> None:
    """Revisits, skipped machines, times of zero, windows."""
    result = solve_job_shop(instance, blocking, 30.0, on_breakdown=on_breakdown)
    assert result.proved
    assert result.objective is not None
    assert lower_bound(instance) <= preemptive_bound(instance) <= result.objective
