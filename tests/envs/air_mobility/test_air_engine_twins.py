"""The engine against the slow, plain simulator, decision for decision; the specification's tiny days."""

from __future__ import annotations

import random

import numpy as np
import pytest
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.instance import AirInstance
from makespan.envs.air_mobility.observation import SPEC
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import CHARGE, LOG, as_instance, as_plain
from support.air_cases import CASES, best_day
from support.air_random import random_problem
from support.air_reference import PlainDay, PlainFleet, PlainProblem, greedy_profit, realise

PROFIT, BOARDABLE, WAITING = (SPEC.action_column(name) for name in ("profit", "boardable", "waiting"))


def compare(engine: AirEngine, fleet: PlainFleet) -> None:
    """What may be chosen and what it earns is the same."""
    assert fleet.decider is not None
    n = fleet.problem.n
    mask, features = engine.masks[0], engine.block.views["actions/features"][0]
    assert np.flatnonzero(mask).tolist() == fleet.legal()
    for j in fleet.legal():
        if j != fleet.at[fleet.decider]:
            assert features[j, PROFIT] == pytest.approx(fleet.gain(j) / 20e6, abs=1e-6)
            assert features[j, BOARDABLE] == pytest.approx(fleet.boardable(j) / fleet.problem.vehicle.seats)
            assert features[j, WAITING] == len(fleet.waiting[fleet.at[fleet.decider], j]) / 8
    assert engine.block.views["nodes/vertiport"][0, :n, -1].argmax() == fleet.at[fleet.decider]


def play_twins(instance: AirInstance, problem: PlainProblem, day: PlainDay, seed: int, noise: float = 1.0) -> None:
    """A random play of both, the plain one telling what the engine has to do and to log."""
    draw, fleet = random.Random(seed), PlainFleet(problem, day)
    engine = make_engine(1, instance, record=True, taper=problem.taper, noise=noise, reward_scale="none")
    engine.reset([seed])
    while fleet.decider is not None:
        assert engine.is_running()[0]
        compare(engine, fleet)
        action = draw.choice(fleet.legal())
        reward = fleet.act(action)
        assert engine.step([action]).reward[0] == pytest.approx(reward / 1e6)
    assert not engine.is_running()[0]
    found = engine.schedule(0)
    assert engine.objectives()[0] == fleet.profit
    assert found.decisions.tolist() == [[row[key] for key in LOG] for row in fleet.log]
    assert sorted(found.charges.tolist()) == sorted([row[key] for key in CHARGE] for row in fleet.charging_so_far())
    counted = engine.metrics(0)
    assert (counted["served"], counted["lost"]) == (fleet.served, fleet.lost)
    assert validate(found) == []


@pytest.mark.parametrize("seed", range(40))
def test_small_days_go_as_in_the_plain_simulator(seed: int):
    """Given days, and the same days drawn by the engine from their seed."""
    problem = random_problem(seed)
    noise = (0.0, 1.0, 2.0)[seed % 3]
    day = realise(problem, seed, noise)
    play_twins(as_instance(problem, day), problem, day, seed, noise)
    play_twins(as_instance(problem), problem, day, seed, noise)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 1040))
def test_a_thousand_small_days_go_as_in_the_plain_simulator(seed: int):
    problem = random_problem(seed)
    day = realise(problem, seed, 2.0)
    play_twins(as_instance(problem), problem, day, seed, 2.0)


@pytest.mark.parametrize("name", ["la8-high", "nyc8-medium-tight", "rand12x30-high-s3"])
def test_whole_days_go_as_in_the_plain_simulator(name: str):
    engine = make_engine(1, name)
    engine.reset([0])
    instance = engine.instance(0)
    problem = as_plain(instance)
    play_twins(instance, problem, realise(problem, 11, 2.0), 11, 2.0)


@pytest.mark.parametrize("name", CASES)
def test_tiny_days_earn_what_they_must(name: str):
    """By the plain simulator's best actions and by greedy profit."""
    case = CASES[name]
    instance = as_instance(case.problem, case.day)
    best = best_day(case.problem, case.day)[1] if case.optimum is not None else None
    greedy = PlainFleet(case.problem, case.day).play(greedy_profit)
    for actions, expected in ((best, case.optimum), ([row["to"] for row in greedy.log], case.greedy)):
        if actions is None or expected is None:
            continue
        engine = make_engine(1, instance, record=True)
        engine.reset([0])
        for action in actions:
            engine.step([action])
        assert not engine.is_running()[0]
        assert engine.objectives()[0] == round(expected * 1e6)
        assert validate(engine.schedule(0)) == []


def test_the_fifth_departure_at_once_finds_no_corridor():
    case = CASES["F"]
    engine = make_engine(1, as_instance(case.problem, case.day), record=True)
    engine.reset([0])
    for _ in range(4):
        assert engine.masks[0, 1] == 1
        engine.step([1])
    assert engine.masks[0, 1] == 0
    assert "no corridor is free in time" in engine.explain_illegal(0, 1)
    entries = engine.schedule(0).decisions[:, 5].tolist()
    assert entries == [360, 360, 540, 540]
