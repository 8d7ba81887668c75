"""Searches: their schedules are valid in every mode, optimal on small shops, and the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.graph import AlternativeGraph
from makespan.agents.job_shop.iterated_greedy import IteratedGreedy
from makespan.agents.job_shop.job_insertion import JobInsertion, orders_of
from makespan.agents.job_shop.paths import NO_LIMIT, Paths, measure
from makespan.envs.core.errors import FieldError
from makespan.envs.job_shop.generator import named_instance, random_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, swaps, validate
from support.job_shop import CASES, MODES, case, shop, shops

SEARCHES: list[Any] = [JobInsertion, IteratedGreedy]
each_search = pytest.mark.parametrize("search_class", SEARCHES)


def found(
    search_class: Any, instance: JobShopInstance, blocking: str, iterations: int, **options: Any
) -> JobShopSchedule:
    search = search_class(instance, blocking, **options)
    search.run(iterations=iterations)
    assert search.best is not None
    assert validate(search.best) == []
    return search.best


@each_search
@pytest.mark.parametrize("letter", "ABCE")
def test_hand_made_cases(search_class: Any, letter: str) -> None:
    optima = {"A": (7, 7, 11), "B": (5, 5, 7), "C": (10, 11, 14), "E": (8, 8, 11)}[letter]
    assert tuple(found(search_class, case(letter), blocking, 300).makespan for blocking in MODES) == optima


@settings(max_examples=60, deadline=None)
@given(
    search_class=st.sampled_from(SEARCHES),
    instance=shops(jobs=(2, 4), machines=(2, 3)),
    blocking=st.sampled_from(MODES),
)
def test_small_shops_are_solved_to_the_optimum(search_class: Any, instance: JobShopInstance, blocking: str) -> None:
    """Routes of unequal length, revisits included. Hot enough to leave any dead end of so small a shop."""
    exact = solve_job_shop(instance, blocking, 30.0)
    assert exact.proved
    assert found(search_class, instance, blocking, 3000, temperature=2.0).makespan == exact.objective


@settings(max_examples=100, deadline=None)
@given(
    search_class=st.sampled_from(SEARCHES),
    instance=shops(jobs=(2, 5), machines=(1, 4), least_time=0),
    blocking=st.sampled_from(MODES),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_move_leads_to_a_schedule(search_class: Any, instance: JobShopInstance, blocking: str, seed: int) -> None:
    """So hot that every move is made: the orders it ends with are those of a valid schedule, times of zero included."""
    search = search_class(instance, blocking, seed, temperature=1e9)
    for _ in range(20):
        search.run(iterations=1)
        assert search.best is not None
        assert validate(search.best) == []
        paths = Paths.empty(len(search._current.place))
        makespan = measure(search._graph.shop, search._current, paths, NO_LIMIT)
        assert makespan == search._makespans[0] >= 0
        assert validate(search._graph.schedule(paths.head)) == []


@pytest.mark.parametrize("search_class, iterations", [(JobInsertion, 200_000), (IteratedGreedy, 3000)])
@pytest.mark.parametrize(
    "name, blocking, optimum",
    [("ft06", "none", 55), ("ft06", "swap", 63), ("ft06", "no-swap", 69), ("la05", "swap", 664)],
)
def test_known_optima(search_class: Any, iterations: int, name: str, blocking: str, optimum: int) -> None:
    assert found(search_class, named_instance(name), blocking, iterations).makespan == optimum


@pytest.mark.slow
@pytest.mark.parametrize("search_class, iterations", [(JobInsertion, 1_000_000), (IteratedGreedy, 10_000)])
@pytest.mark.parametrize(
    "name, blocking, optimum",
    [
        ("la01", "swap", 793),
        ("la16", "swap", 1060),
        ("la01", "no-swap", 881),
        ("la16", "none", 945),
        ("ft10", "swap", 1068),
    ],
)
def test_never_below_proved_optima(search_class: Any, iterations: int, name: str, blocking: str, optimum: int) -> None:
    assert optimum <= found(search_class, named_instance(name), blocking, iterations).makespan <= 1.04 * optimum


@each_search
@pytest.mark.parametrize("blocking", MODES)
def test_the_same_work_gives_the_same_schedule_however_it_is_cut(search_class: Any, blocking: str) -> None:
    instance = random_instance(((8, 5),), 3)
    whole = search_class(instance, blocking, seed=5)
    whole.run(iterations=500)
    parts = search_class(instance, blocking, seed=5)
    for iterations in (1, 99, 400):
        parts.run(iterations=iterations)
    assert whole.best is not None
    assert parts.best is not None
    assert np.array_equal(whole.best.start, parts.best.start)


@each_search
def test_another_seed_is_another_search(search_class: Any) -> None:
    searches = [search_class(named_instance("la01"), "swap", seed) for seed in (0, 1)]
    for search in searches:
        search.run(iterations=50)
    assert not np.array_equal(searches[0]._current.sequence, searches[1]._current.sequence)


@each_search
def test_it_tells_of_everything_better_once(search_class: Any) -> None:
    told: list[int] = []
    search = search_class(named_instance("la05"), "swap")
    search.run(found=lambda schedule: told.append(schedule.makespan), iterations=1000)
    assert search.best is not None
    assert len(told) > 2
    assert told == sorted(set(told), reverse=True)
    assert told[-1] == search.best.makespan
    assert search.iterations == 1000


@each_search
@pytest.mark.parametrize("blocking", MODES)
def test_it_begins_from_the_orders_of_a_schedule(search_class: Any, blocking: str) -> None:
    instance = random_instance(((6, 4),), 2)
    start = found(search_class, instance, blocking, 300)
    again = search_class(instance, blocking, start=start).best
    assert again is not None
    assert np.array_equal(again.start, start.start)
    assert orders_of(AlternativeGraph(instance, blocking), start).sequence.shape == (4, 6)


@each_search
def test_swaps_are_found(search_class: Any) -> None:
    best = found(search_class, shop(*CASES["B"]), "swap", 300)
    assert [len(swap.jobs) for swap in swaps(best)] == [3]


@each_search
def test_it_stops_at_the_trivial_bound(search_class: Any) -> None:
    search = search_class(case("B"), "swap")
    search.run(iterations=10**6)
    assert search.best is not None
    assert search.is_proved
    assert search.iterations < 10**6


def test_wrong_arguments() -> None:
    instance = case("A")
    with pytest.raises(FieldError, match="blocking"):
        JobInsertion(instance, "buffers")
    with pytest.raises(ValueError, match="seconds or iterations"):
        JobInsertion(instance, "swap").run()
