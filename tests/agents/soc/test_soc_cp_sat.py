"""CP-SAT on static DAG scheduling: proved optima, exhaustive search, bounds; and no list rule beats an optimum."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.agents.soc.bounds import lower_bound, path_bound, work_bound
from makespan.agents.soc.lists import RULES, Lists
from makespan.agents.soc.problem import problem_of
from makespan.envs.core.errors import FieldError
from makespan.envs.soc import catalogue
from makespan.envs.soc.instance import Application, Platform, SocInstance
from support.soc_exhaustive import optimum
from support.soc_graphs import instance, peft, random_instance, topcuoglu
from support.soc_plans import faults

pytest.importorskip("ortools")

from makespan.agents.soc.cp_sat import SocResult, solve_soc


def solved(of: SocInstance, seconds: float = 60.0, **options) -> SocResult:
    result = solve_soc(of, seconds, **options)
    assert faults(of, result.plan) == []
    assert lower_bound(problem_of(of)) <= result.bound <= result.plan.makespan
    return result


@pytest.mark.parametrize("of, expected", [(topcuoglu(), 73), (peft(), 113)])
def test_published_graphs(of, expected):
    result = solved(of)
    assert result.proved
    assert (result.plan.makespan, result.status) == (expected, "optimal")


@pytest.mark.parametrize(
    "name, expected",
    [
        ("wifi-tx", 69),
        ("paper-wifi-tx", 69),
        ("wifi-rx", 288),
        ("paper-wifi-rx", 288),
        ("range-detection", 176),
        ("single-carrier-rx", 153),
        ("temporal-mitigation", 79),
    ],
)
def test_applications_of_ds3(name, expected):
    result = solved(catalogue.instance(name))
    assert result.proved
    assert result.plan.makespan == expected


def tiny(rng: np.random.Generator) -> SocInstance:
    """With pairs that cannot be, unequal links, zero times, now and then several jobs."""
    jobs = int(rng.integers(1, 3))
    tasks = int(rng.integers(1, 6)) if jobs == 1 else int(rng.integers(1, 4))
    equal = bool(rng.random() < 0.3)
    return random_instance(
        rng, tasks, int(rng.integers(1, 4)), jobs=jobs, unequal_links=not equal, arrivals=6, ineligible=0.25
    )


def alike(rng: np.random.Generator) -> SocInstance:
    """With PEs that are alike, twice two."""
    of = random_instance(rng, int(rng.integers(2, 6)), 2, unequal_links=False, volume=6)
    bandwidth = np.ones((4, 4), dtype=np.int64)
    bandwidth[:2, 2:], bandwidth[2:, :2] = rng.integers(1, 4, 2)
    app = of.applications[0]
    app = Application(app.name, app.tasks, app.times[:, [0, 0, 1, 1]], app.edges, app.volumes)
    of = SocInstance("alike", Platform.of_one_kind("chip", 4, bandwidth), (app,))
    assert of.groups[0] == of.groups[1]
    assert of.groups[2] == of.groups[3]
    return of


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("draw", [tiny, alike])
def test_the_optimum_is_that_of_exhaustive_search(draw, count):
    rng = np.random.default_rng(count)
    for _ in range(count):
        of = draw(rng)
        result = solved(of)
        assert result.proved
        assert result.plan.makespan == optimum(of)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_rule_beats_the_optimum_and_no_bound_exceeds_it(count):
    rng = np.random.default_rng(count)
    for _ in range(count):
        of = random_instance(rng, int(rng.integers(1, 5)), int(rng.integers(1, 4)), ineligible=0.25)
        best, lists = optimum(of), Lists(of)
        assert lower_bound(lists.problem) <= best
        for name, rule in RULES.items():
            for insertion in (None,) if rule.appends else (True, False):
                assert lists.plan(name, insertion).makespan >= best, name


@pytest.mark.slow
def test_no_rule_beats_a_proved_optimum_of_larger_graphs():
    rng = np.random.default_rng(4)
    for _ in range(300):
        of = random_instance(rng, 12, 3, edges=0.25, longest=20, volume=20)
        result, lists = solved(of, 10.0), Lists(of)
        assert all(lists.plan(name).makespan >= result.bound for name in RULES)


def test_bounds_by_hand():
    chain = instance([[2, 4], [5, -1], [3, 3]], [(0, 1, 4), (1, 2, 6)])
    assert path_bound(problem_of(chain)) == 10  # all on the first PE
    apart = instance([[6, 6]] * 3, [])
    assert path_bound(problem_of(apart)) == 6
    assert work_bound(problem_of(apart)) == 9
    assert solved(apart).plan.makespan == 12


def test_a_later_arrival_moves_the_bounds():
    of = instance([[6, 6]] * 3, [])
    later = SocInstance("later", of.platform, of.applications, jobs=np.array([[0, 5], [0, 7]]))
    problem = problem_of(later)
    assert path_bound(problem) == 13
    assert work_bound(problem) == 23
    assert solved(later).plan.start.min() == 5


def test_it_begins_from_the_plan_given_and_tells_of_what_it_finds():
    of = topcuoglu()
    start = Lists(of).plan("random")
    plans, bounds = [start.makespan], [0]
    result = solved(of, start=start, found=lambda plan: plans.append(plan.makespan), bounded=bounds.append)
    assert result.proved
    assert plans == sorted(set(plans), reverse=True)
    assert bounds == sorted(bounds)
    assert (plans[-1], bounds[-1]) == (73, 73)


def test_without_time_the_plan_is_that_to_begin_from():
    of = catalogue.instance("wifi-rx-x4")
    start = Lists(of).plan("heft")
    result = solved(of, 0.0, start=start)
    assert result.status == "unknown"
    assert result.plan.makespan <= start.makespan
    assert not result.proved


def test_a_plan_of_something_else_is_refused():
    with pytest.raises(FieldError, match="start is 10"):
        solve_soc(catalogue.instance("wifi-rx"), start=Lists(topcuoglu()).plan("heft"))


def test_slower_levels_take_longer():
    of = catalogue.instance("wifi-tx")
    slow = solve_soc(of, 20.0, levels=(0,) * len(of.platform.kinds))
    assert slow.plan.makespan > 69
