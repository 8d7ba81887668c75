"""The bound of the day's flow model: known answers, and no day beats it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.air_mobility.clairvoyant import day_bound, day_problem, tight_bound
from makespan.agents.air_mobility.flow import SlotModel
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility.catalogue import instance
from makespan.envs.air_mobility.instance import AirInstance
from makespan.envs.air_mobility.options import AirOptions
from makespan.envs.air_mobility.world import realise
from support.air_bridge import as_instance, case_instance
from support.air_cases import CASES
from support.air_random import random_problem
from support.air_reference import PlainDay, PlainFleet, PlainProblem, greedy_profit, lookahead, random_choice
from support.air_reference import realise as plain_realise

BOUNDED = [case for case in CASES.values() if case.bound is not None]
TOLERANCE = 1e-4


def _day_of(problem: PlainProblem, seed: int) -> PlainDay:
    return plain_realise(problem, seed, noise=random.Random(seed).choice([0.0, 1.0, 2.0]))


def _random_day(seed: int) -> tuple[PlainProblem, PlainDay, AirInstance]:
    problem = random_problem(seed)
    day = _day_of(problem, seed)
    return problem, day, as_instance(problem, day)


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.name)
def test_bounds_of_tiny_days(case):
    given = case_instance(case.name)
    assert given.day is not None
    assert day_bound(given, given.day) == pytest.approx(case.bound, abs=TOLERANCE)


def test_whole_flights_of_case_e():
    given = case_instance("E")
    assert given.day is not None
    plan = SlotModel(day_problem(given, given.day)).solve(whole_until=1000)
    assert plan.value == pytest.approx(46.80, abs=TOLERANCE)


def test_bound_of_a_quiet_day():
    la = instance("la8-low")
    assert day_bound(la, realise(la, 0)) == pytest.approx(3624.267, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "load, seed, bound",
    [("low", 1, 3344.693), ("medium", 0, 13448.171), ("medium", 1, 12873.752), ("high", 0, 34618.465)],
)
def test_bounds_of_busy_days(load: str, seed: int, bound: float):
    la = instance(f"la8-{load}")
    assert day_bound(la, realise(la, seed)) == pytest.approx(bound, abs=0.01)


@pytest.mark.parametrize(
    "load, seed, bound",
    [
        ("low", 0, 6377),
        pytest.param("low", 1, 6252, marks=pytest.mark.slow),
        pytest.param("medium", 0, 16147, marks=pytest.mark.slow),
        pytest.param("medium", 1, 15778, marks=pytest.mark.slow),
        pytest.param("high", 0, 36256, marks=pytest.mark.slow),
    ],
)
def test_bounds_where_flights_may_be_full_of_whoever_comes(load: str, seed: int, bound: int):
    """The specification's looser program: four seats of each flight, however few would wait for it."""
    la = instance(f"la8-{load}")
    problem = day_problem(la, realise(la, seed))
    seats = np.full_like(problem.seats, la.vehicle.seats)
    assert round(SlotModel(replace(problem, seats=seats)).solve(method="ipm").bound) == bound


def _check_that_no_play_beats(seed: int) -> None:
    problem, day, given = _random_day(seed)
    assert given.day is not None
    bound = tight_bound(given, given.day)
    assert bound <= day_bound(given, given.day) + TOLERANCE
    rules = [greedy_profit, lookahead(0.3, 6.0), *(random_choice(key) for key in range(4))]
    for choose in rules:
        earned = PlainFleet(problem, day).play(choose).profit
        assert earned * 1e-6 <= bound + TOLERANCE, f"seed {seed}"


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_no_play_beats_the_bound(first: int):
    for seed in range(first, first + 10):
        _check_that_no_play_beats(seed)


@pytest.mark.slow
def test_no_play_beats_the_bound_of_a_thousand_days():
    for seed in range(1000, 2000):
        _check_that_no_play_beats(seed)


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.name)
def test_tight_bounds_of_tiny_days(case):
    given = case_instance(case.name)
    assert given.day is not None
    assert case.optimum - TOLERANCE <= tight_bound(given, given.day) <= case.bound + TOLERANCE


def test_the_tight_bound_of_case_e_is_its_optimum():
    given = case_instance("E")
    assert given.day is not None
    assert tight_bound(given, given.day, rounds=20) == pytest.approx(46.80, abs=TOLERANCE)


@pytest.mark.parametrize("seed", range(4))
def test_the_tight_bound_is_above_whole_flights(seed: int):
    _, _, given = _random_day(seed)
    assert given.day is not None
    problem = day_problem(given, given.day)
    slots = problem.allowed.shape[1]
    held = (given.vehicle.board + given.day.delay[problem.pairs[:, 0], :slots]) // 300
    whole = SlotModel(replace(problem, release=held)).solve(whole_until=1000)
    assert whole.value <= tight_bound(given, given.day, rounds=20) + TOLERANCE


@pytest.mark.parametrize("seed", range(4))
def test_whole_flights_earn_no_more_than_parts_of_flights(seed: int):
    _, _, given = _random_day(seed)
    assert given.day is not None
    model = SlotModel(day_problem(given, given.day))
    assert model.solve(whole_until=1000).value <= model.solve().value + TOLERANCE


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("what", ["stands", "chargers", "battery"])
def test_more_of_everything_never_lowers_the_bound(seed: int, what: str):
    _, _, given = _random_day(seed)
    assert given.day is not None
    if what == "battery":
        more = replace(day_problem(given, given.day), battery=given.vehicle.battery / 3.6e6 + 5.0)
    else:
        # Vertiports without chargers stay without, or the escape would change, too.
        network = given.network
        some = getattr(network, what) + (network.chargers > 0)
        more = day_problem(replace(given, network=replace(network, **{what: some})), given.day)
    assert SlotModel(more).solve().value >= day_bound(given, given.day) - TOLERANCE


@pytest.mark.parametrize(
    "given_options", [{"tariff": "peak"}, {"refill": True}, {"lost_cost": 2.0, "home": True}, {"pads": 1}]
)
def test_bounds_hold_under_options(given_options):
    options = AirOptions(**given_options)
    for seed in (0, 13, 24):
        _, _, given = _random_day(seed)
        assert given.day is not None
        bound = tight_bound(given, given.day, options)
        arena = open_arena("makespan/AirMobility-v0", 4, {"instance": [given], **given_options})
        for text in ("greedy-profit", "random"):
            episodes = play(arena, make_agent(text, arena.setting), [Case(given, key) for key in range(4)])
            assert max(episode.objective for episode in episodes) * 1e-6 <= bound + TOLERANCE


def test_dear_electricity_lowers_the_bound_by_what_it_costs():
    given = case_instance("A")  # both flights before 8:00, when electricity is cheaper by a fifth
    assert given.day is not None
    cheaper = 2 * 0.2 * 26 * 0.20
    bound = day_bound(given, given.day, AirOptions(tariff="peak"))
    assert bound == pytest.approx(38.80 + cheaper, abs=TOLERANCE)
