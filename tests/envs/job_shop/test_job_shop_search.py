"""Exhaustive search over the engine's actions: the hand-checkable cases, the exact models, and laws of the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.envs.job_shop.bounds import lower_bound
from makespan.envs.job_shop.schedule import ON_BREAKDOWN, swaps, validate
from support.job_shop import CASES, MODES, Search, case, engine_for, follow, shop, shops, starts

FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

WITHOUT_WINDOWS = {"A": (7, 7, 11), "B": (5, 5, 7), "C": (10, 11, 14), "E": (8, 8, 11)}
WITH_WINDOWS = {  # resume, repeat, scrap for each mode
    "D": ((11, 12, 12), (11, 12, 13), (11, 12, 13)),
    "F": ((10, 11, 11), (10, 11, 11), (10, 11, 11)),
    "G": ((13, 15, 15), (13, 15, 16), (18, 18, 18)),
    "scrap": (None, (15, 16, 16), None),
}


def optimum(instance: Any, blocking: str, **options: Any) -> Any:
    return Search(instance, blocking=blocking, **options).optimum


@pytest.mark.parametrize("name", WITHOUT_WINDOWS)
def test_optima_of_the_cases(name):
    assert tuple(optimum(case(name), blocking) for blocking in MODES) == WITHOUT_WINDOWS[name]


@pytest.mark.parametrize("name", WITH_WINDOWS)
def test_optima_of_the_cases_with_known_windows(name):
    for blocking, expected in zip(MODES, WITH_WINDOWS[name], strict=True):
        if expected is not None:
            found = tuple(optimum(case(name), blocking, on_breakdown=mode) for mode in ON_BREAKDOWN)
            assert found == expected, blocking


def test_play_without_wait():
    assert [optimum(case("C"), blocking, allow_wait=False) for blocking in MODES] == [11, 12, None]
    assert optimum(case("A"), "no-swap", allow_wait=False) is None
    assert optimum(case("scrap"), "swap", on_breakdown="scrap", allow_wait=False) == 21


@pytest.mark.parametrize(
    "name, blocking, plan, options",
    [
        ("A", "swap", [(0, 3), (0, 3)], {}),
        ("B", "swap", [(0, 2), (0, 2), (0, 2)], {}),
        ("B", "no-swap", [(0, 2), (0, 2), (3, 5)], {}),
        ("C", "none", [(0, 3, 5), (0, 4, 5), (0, 5, 9)], {}),
        ("C", "swap", [(0, 3, 5), (0, 4, 6), (5, 6, 10)], {}),
        ("C", "no-swap", [(5, 8, 10), (6, 10, 11), (0, 1, 5)], {}),
        ("D", "swap", [(0, 3), (3, 9)], {"on_breakdown": "resume"}),
        ("D", "swap", [(0, 3), (3, 10)], {"on_breakdown": "repeat"}),
        ("D", "swap", [(0, 8), (8, 11)], {"on_breakdown": "scrap"}),
        ("E", "swap", [(0, 2, 6), (2, 5, 6)], {}),
        ("F", "swap", [(0, 2), (6, 7)], {}),
        ("F", "swap", [(0, 6), (6, 9)], {"unload_when_down": False}),
    ],
)
def test_described_trajectories_happen(name, blocking, plan, options):
    engine = engine_for(case(name), blocking=blocking, record=True, **options)
    follow(engine, plan)
    schedule = engine.schedule(0)
    assert starts(engine) == [list(row) for row in plan]
    assert engine.metrics(0)["finished"]
    assert validate(schedule) == []
    times = CASES[name][0]
    if engine.options.law != "windows":
        ends = [row[-1] + t[-1] for row, t in zip(plan, times, strict=True)]
        assert schedule.makespan == engine.objectives()[0] == max(ends)


def test_the_swaps_of_the_cases():
    expected = {"A": [(3, {0, 1})], "B": [(2, {0, 1, 2})], "C": [(6, {1, 2})], "E": [(6, {0, 1})]}
    plans = {
        "A": [(0, 3), (0, 3)],
        "B": [(0, 2), (0, 2), (0, 2)],
        "C": [(0, 3, 5), (0, 4, 6), (5, 6, 10)],
        "E": [(0, 2, 6), (2, 5, 6)],
    }
    for name, plan in plans.items():
        engine = engine_for(case(name), blocking="swap")
        follow(engine, plan)
        assert [(swap.time, set(swap.jobs)) for swap in swaps(engine.schedule(0))] == expected[name]


def random_shop(rng, windows=False):
    """2-3 jobs on 2-3 machines as in job shops: each job visits every machine once, times 1 .. 6."""
    n, m = rng.integers(2, 4), rng.integers(2, 4)
    down = []
    for _ in range(m if windows else 0):
        bounds = np.cumsum([rng.integers(-1, 7), *rng.integers(1, 7, 2 * rng.integers(0, 3))]).tolist()[1:]
        down.append(list(zip(bounds[::2], bounds[1::2], strict=True)))
    times = rng.integers(1, 7, (n, m)).tolist()
    return shop(times, [rng.permutation(m).tolist() for _ in range(n)], down, int(m))


def assert_equals_cp_sat(instance, blocking, **options):
    result = solve_job_shop(instance, blocking, 30.0, **options)
    assert result.proved
    assert optimum(instance, blocking, **options) == result.objective


@pytest.mark.parametrize("blocking", MODES)
def test_search_equals_the_exact_model(blocking):
    rng = np.random.default_rng(1)
    for _ in range(10):
        assert_equals_cp_sat(random_shop(rng), blocking)


@pytest.mark.parametrize("blocking", MODES)
@pytest.mark.parametrize("on_breakdown", ["resume", "repeat"])
def test_search_equals_the_exact_model_with_windows(blocking, on_breakdown):
    rng = np.random.default_rng(2)
    for _ in range(6):
        assert_equals_cp_sat(random_shop(rng, windows=True), blocking, on_breakdown=on_breakdown)


@pytest.mark.slow
@pytest.mark.parametrize("blocking", MODES)
def test_search_equals_the_exact_model_in_full(blocking):
    rng = np.random.default_rng(3)
    for _ in range(60):
        assert_equals_cp_sat(random_shop(rng), blocking)
    for _ in range(120):
        on_breakdown = ON_BREAKDOWN[rng.integers(0, 2)]
        assert_equals_cp_sat(random_shop(rng, windows=True), blocking, on_breakdown=on_breakdown)


@FEW
@given(shops())
def test_each_mode_costs_at_least_what_a_freer_one_costs(instance):
    total = int(instance.times.sum())
    optima = [optimum(instance, blocking) for blocking in MODES]
    assert lower_bound(instance) <= optima[0] <= optima[1] <= optima[2] <= total


@FEW
@given(shops(windows=True), st.integers(2, 4), st.sampled_from(["resume", "repeat"]))
def test_scaling_times_and_windows_scales_the_optimum(instance, factor, on_breakdown):
    routes = [row[:n].tolist() for row, n in zip(instance.machines, instance.lengths, strict=True)]
    times = [(factor * row[:n]).tolist() for row, n in zip(instance.times, instance.lengths, strict=True)]
    windows = [[(factor * b, factor * e) for b, e in machine] for machine in instance.windows]
    scaled = shop(times, routes, windows, instance.num_machines)
    for blocking in MODES:
        options = {"law": "windows", "known_windows": True, "on_breakdown": on_breakdown}
        assert optimum(scaled, blocking, **options) == factor * optimum(instance, blocking, **options)


@FEW
@given(shops(plain=True))
def test_reversing_all_routes_keeps_the_optimum(instance):
    routes = [row[:n][::-1].tolist() for row, n in zip(instance.machines, instance.lengths, strict=True)]
    times = [row[:n][::-1].tolist() for row, n in zip(instance.times, instance.lengths, strict=True)]
    mirrored = shop(times, routes, num_machines=instance.num_machines)
    for blocking in MODES:
        assert optimum(mirrored, blocking) == optimum(instance, blocking)


def with_one_window_less(windows):
    """The same windows without one of them, for each."""
    for m, machine in enumerate(windows):
        for k in range(len(machine)):
            yield [*windows[:m], [*machine[:k], *machine[k + 1 :]], *windows[m + 1 :]]


@FEW
@given(shops(windows=True).filter(lambda instance: any(instance.windows)), st.sampled_from(["resume", "repeat"]))
def test_a_window_more_never_helps(instance, on_breakdown):
    routes = [row[:n].tolist() for row, n in zip(instance.machines, instance.lengths, strict=True)]
    times = [row[:n].tolist() for row, n in zip(instance.times, instance.lengths, strict=True)]
    options = {"on_breakdown": on_breakdown, "law": "windows", "known_windows": True}
    for blocking in MODES:
        disturbed = optimum(instance, blocking, **options)
        for fewer in with_one_window_less([list(machine) for machine in instance.windows]):
            assert optimum(shop(times, routes, fewer, instance.num_machines), blocking, **options) <= disturbed
