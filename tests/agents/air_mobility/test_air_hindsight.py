"""The best day that is found when all is known: the optimum of tiny days, and valid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.air_mobility.hindsight import COPIES, CURRENT, DaySearch, air_hindsight
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.exact.hindsight import find_hindsight
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import as_instance, case_instance
from support.air_cases import CASES
from support.air_random import random_problem
from support.air_reference import realise

ENV = "makespan/AirMobility-v0"
SOLVED = [case for case in CASES.values() if case.optimum is not None]


def _known(instance, seconds: float, start=None):
    setting = open_arena(ENV, 1, {"instance": [instance]}).setting
    assert find_hindsight(setting) is air_hindsight
    return air_hindsight(setting, instance, 0, seconds, start)


@pytest.mark.parametrize("case", SOLVED, ids=lambda case: case.name)
def test_the_best_of_tiny_days_is_found(case):
    assert case.optimum is not None
    assert case.bound is not None
    known = _known(case_instance(case.name), 1.0)
    assert known.objective == round(case.optimum * 1e6)
    assert known.objective <= known.bound <= case.bound * 1e6 * (1 + 1e-4)
    assert known.proved or case.name == "C"


def test_a_given_day_is_improved_upon_and_the_result_is_valid():
    problem = replace(random_problem(5, taper=False), horizon=10_800)
    given = as_instance(problem, realise(problem, 5))
    arena = open_arena(ENV, 1, {"instance": [given]})
    (episode,) = play(arena, make_agent("random", arena.setting), [Case(given, 0)])
    known = _known(given, 1.0, episode.schedule)
    assert validate(known.schedule) == []
    assert known.schedule.objective == known.objective
    assert episode.objective < known.objective <= known.bound


def test_a_search_begins_with_the_given_day():
    problem = replace(random_problem(5, taper=False), horizon=10_800)
    given = as_instance(problem, realise(problem, 5))
    known = _known(given, 1.0)
    engines = open_arena(ENV, COPIES, {"instance": [given]})
    engines.reset([Case(given, 0)] * COPIES)
    assert isinstance(engines.engine, AirEngine)
    search = DaySearch(engines.engine, 0, known.schedule.decisions)
    assert search.best == known.objective
    assert np.array_equal(engines.engine.schedule(CURRENT).decisions, known.schedule.decisions)
