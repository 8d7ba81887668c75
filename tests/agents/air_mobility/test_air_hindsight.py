"""The best day that is found when all is known: the optimum of tiny days, valid, and the same for the same key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.air_mobility.clairvoyant import tight_bound
from makespan.agents.air_mobility.hindsight import BEST, COPIES, CURRENT, DaySearch, air_hindsight
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.hindsight import find_hindsight
from makespan.envs.air_mobility import world
from makespan.envs.air_mobility.catalogue import resolve
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import as_instance, case_instance
from support.air_cases import CASES, best_day
from support.air_random import random_problem
from support.air_reference import realise

ENV = "makespan/AirMobility-v0"
SOLVED = [case for case in CASES.values() if case.optimum is not None]


def _known(instance, seconds: float, start=None):
    setting = open_arena(ENV, 1, {"instance": [instance]}).setting
    assert find_hindsight(setting) is air_hindsight
    return air_hindsight(setting, instance, 0, seconds, start)


def _search(instance, key: int = 0, start=None, **options) -> tuple[AirEngine, DaySearch]:
    arena = open_arena(ENV, COPIES, {"instance": [instance], **options})
    arena.reset([Case(instance, 0)] * COPIES)
    assert isinstance(arena.engine, AirEngine)
    return arena.engine, DaySearch(arena.engine, world.realise(instance, 0), key, start)


def _tiny(seed: int):
    """A small random problem and its day, delays, closures and downtimes included, few enough to be enumerated."""
    problem = random_problem(seed, taper=False)
    problem = replace(problem, start=problem.start[:2], horizon=min(problem.horizon, 5400))
    return problem, realise(problem, seed)


@pytest.mark.parametrize("case", SOLVED, ids=lambda case: case.name)
def test_the_best_of_tiny_days_is_found(case):
    assert case.optimum is not None
    assert case.bound is not None
    known = _known(case_instance(case.name), 0.5)
    assert known.objective == round(case.optimum * 1e6)
    assert known.objective <= known.bound <= case.bound * 1e6 * (1 + 1e-4)
    assert known.proved or case.name == "C"


def test_a_burst_of_passengers_leaves_in_full_aircraft():
    """Nobody can serve case F's 24 passengers with fewer than its six flights."""
    _, search = _search(case_instance("F"))
    search.run(tries=300)
    assert search.best == round(CASES["F"].greedy * 1e6)


@pytest.mark.parametrize("seed", [3, 13])
def test_no_sequence_of_decisions_is_better_on_tiny_random_days(seed):
    problem, day = _tiny(seed)
    optimum, _, _ = best_day(problem, day)
    engine, search = _search(as_instance(problem, day))
    search.run(tries=400)
    assert search.best == optimum > 0
    assert validate(engine.schedule(BEST)) == []


def test_a_given_day_is_improved_upon_and_the_result_is_valid():
    problem = replace(random_problem(5, taper=False), horizon=10_800)
    given = as_instance(problem, realise(problem, 5))
    arena = open_arena(ENV, 1, {"instance": [given]})
    (episode,) = play(arena, make_agent("random", arena.setting), [Case(given, 0)])
    known = _known(given, 1.0, episode.schedule)
    assert validate(known.schedule) == []
    assert known.schedule.objective == known.objective
    assert episode.objective < known.objective <= known.bound


def test_a_search_begins_with_the_given_day_and_never_falls_below_it():
    (instance,) = resolve("la8-medium")
    arena = open_arena(ENV, 1, {"instance": [instance]})
    (episode,) = play(arena, make_agent("greedy-profit", arena.setting), [Case(instance, 0)])
    engine, search = _search(instance, start=episode.schedule.decisions)
    assert search.best == episode.objective
    assert np.array_equal(engine.schedule(CURRENT).decisions, episode.schedule.decisions)
    search.run(tries=20)
    assert search.best > episode.objective


@pytest.mark.slow
def test_a_whole_day_stays_below_its_bound():
    (instance,) = resolve("la8-low")
    engine, search = _search(instance)
    search.run(tries=1500)
    assert validate(engine.schedule(BEST)) == []
    assert 2_300 < search.best / 1e6 <= tight_bound(instance, world.realise(instance, 0), rounds=1)


def test_a_key_and_a_number_of_tries_say_what_is_found():
    (instance,) = resolve("la8-low")
    found = []
    for key in (1, 1, 2):
        engine, search = _search(instance, key)
        search.run(tries=40)
        assert search.tries == 40
        assert search.best > 0
        found.append(engine.schedule(BEST).decisions)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    "options",
    [
        {"taper": True},
        {"refill": True},
        {"pads": 1},
        {"tariff": "peak", "lost_cost": 5.0, "wait_cost": 1.0},
        pytest.param({"home": True}, marks=pytest.mark.slow),  # homing is compiled apart
    ],
    ids=str,
)
def test_days_under_options_are_improved_and_valid(options):
    (instance,) = resolve("dfw8-medium")
    engine, search = _search(instance, **options)
    begun = search.best
    search.run(tries=40)
    schedule = engine.schedule(BEST)
    assert validate(schedule) == []
    assert begun < search.best == schedule.objective
