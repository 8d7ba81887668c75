"""Genetic algorithms for a fleet's day: fitter than what they begin with, and blind to what is hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.air_mobility.genetic import Budget, DestinationEvolution, GeneticAgent
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility.instance import AirInstance
from makespan.envs.air_mobility.state import LOG_FROM, LOG_TIME, LOG_TO
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import as_instance
from support.air_random import random_problem
from support.air_reference import realise

ENV = "makespan/AirMobility-v0"
AGENTS = ("day-ga:population=8:generations=4:days=2", "batch-ga:population=6:generations=3:days=2:decisions=12")


def _instance(seed: int, factor: float = 1.0) -> AirInstance:
    problem = replace(random_problem(seed, taper=False), horizon=7200)
    busy = [[[factor * rate for rate in row] for row in rows] for rows in problem.forecast]
    return as_instance(problem, realise(replace(problem, forecast=busy), seed))


def _play(text: str, instance: AirInstance):
    arena = open_arena(ENV, 1, {"instance": [instance]})
    agent = make_agent(text, arena.setting)
    (episode,) = play(arena, agent, [Case(instance, 0)])
    return agent, episode


@pytest.mark.parametrize("text", AGENTS)
def test_days_are_valid_and_evaluations_counted(text: str):
    agent, episode = _play(text, _instance(2))
    assert isinstance(agent, GeneticAgent)
    assert validate(episode.schedule) == []
    assert agent.evaluations > 0
    if text.startswith("day"):
        assert agent.evaluations == 8 * 4 * 2


@pytest.mark.parametrize("text, what", [(AGENTS[0], "days"), (AGENTS[1], "parts of days")])
def test_what_a_day_took_to_evolve_does_not_hold_the_days_before(text: str, what: str):
    given = _instance(2)
    arena = open_arena(ENV, 1, {"instance": [given]})
    agent = make_agent(text, arena.setting)
    assert isinstance(agent, GeneticAgent)
    counts = []
    for _ in range(2):
        play(arena, agent, [Case(given, 0)])
        counts.append(agent.evaluations)
        assert agent.remark == f"{agent.evaluations} {what} played to evolve each day"
    assert counts[0] == counts[1] > 0


def test_days_that_are_played_at_once_share_what_they_took_to_evolve():
    given = _instance(2)
    arena = open_arena(ENV, 3, {"instance": [given]})
    agent = make_agent(AGENTS[0], arena.setting)
    play(arena, agent, [Case(given, seed) for seed in range(3)])
    assert agent.remark == "64 days played to evolve each day"


@pytest.mark.parametrize("text", AGENTS)
def test_nothing_that_is_hidden_moves_a_list(text: str):
    since = 2400
    given = _instance(0, 3.0)
    day = given.day
    assert day is not None
    last = max(one[-1] for one in day.arrivals if len(one))
    arrivals = tuple(np.where(one < since, one, last) for one in day.arrivals)
    delay = day.delay.copy()
    delay[:, since // 300 :] = 0
    other = replace(given, day=replace(day, arrivals=arrivals, delay=delay, closures=day.closures[:0]))
    logs = [_play(text, one)[1].schedule.decisions for one in (given, other)]
    before = [log[log[:, LOG_TIME] < since][:, [LOG_TIME, LOG_FROM, LOG_TO]] for log in logs]
    assert len(before[0]) > 3
    assert np.array_equal(*before)


def test_evolution_is_fitter_than_the_greedy_rule():
    given = _instance(24, 3.0)
    arena = open_arena(ENV, 1, {"instance": [given]})
    arena.reset([Case(given, 0)])
    imagine = arena.imagine()
    assert imagine is not None
    keys = np.tile(np.arange(3, dtype=np.uint64), 2)

    def fittest(generations: int) -> float:
        evolution = DestinationEvolution(imagine(np.zeros(6, dtype=np.int64), keys), 60, Budget(12, generations, 3), 5)
        return evolution.fitness(evolution.run())

    assert fittest(12) > fittest(1)
