"""The specification's tiny days by exhaustive play of the environment, and what must be true of any day."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from makespan.envs.air_mobility.catalogue import instance as named_instance
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.instance import AirDay, AirInstance
from makespan.envs.air_mobility.validity import validate
from makespan.envs.air_mobility.world import realise
from support.air_bridge import as_instance, case_instance
from support.air_cases import CASES
from support.air_random import random_problem
from support.air_reference import PlainFleet, greedy_profit
from support.air_reference import realise as plain_realise

FROM, TO, ENTRY, REWARD = 2, 3, 5, 10


def best_of(engine: AirEngine) -> tuple[int, int]:
    """The largest profit of all sequences of legal actions from here on, and how many there are."""
    if not engine.is_running()[0]:
        return int(engine.objectives()[0]), 1
    here, best, count = engine.snapshot(), -(10**18), 0
    for action in np.flatnonzero(engine.masks[0]):
        engine.step([action])
        value, ways = best_of(engine)
        best, count = max(best, value), count + ways
        engine.restore(here)
    return best, count


@pytest.mark.parametrize("name", [name for name in CASES if name != "F"])
def test_the_best_of_all_days(name):
    engine = make_engine(1, case_instance(name))
    engine.reset([0])
    best, count = best_of(engine)
    optimum = CASES[name].optimum
    assert optimum is not None
    assert best == round(1e6 * optimum)
    assert 11 <= count <= 400


def played(instance: AirInstance, actions: list[int]) -> AirEngine:
    """The engine after a day of given actions."""
    engine = make_engine(1, instance, record=True)
    engine.reset([0])
    for action in actions:
        engine.step([action])
    assert not engine.is_running()[0]
    return engine


@pytest.mark.parametrize("name", CASES)
def test_greed_earns_what_it_must(name):
    case = CASES[name]
    greedy = PlainFleet(case.problem, case.day).play(greedy_profit)
    engine = played(case_instance(name), [row["to"] for row in greedy.log])
    assert engine.objectives()[0] == round(1e6 * case.greedy)
    assert validate(engine.schedule(0)) == []


def test_the_fifth_departure_at_once_finds_no_corridor():
    engine = make_engine(1, case_instance("F"), record=True)
    engine.reset([0])
    for _ in range(4):
        assert engine.masks[0, 1] == 1
        engine.step([1])
    assert engine.masks[0, 1] == 0
    assert "no corridor is free in time" in engine.explain_illegal(0, 1)
    assert engine.schedule(0).decisions[:, ENTRY].tolist() == [360, 360, 540, 540]


def random_actions(instance: AirInstance, seed: int) -> list[int]:
    """A day's random legal actions."""
    engine, draw, actions = make_engine(1, instance), np.random.default_rng(seed), []
    engine.reset([0])
    while engine.is_running()[0]:
        actions.append(int(draw.choice(np.flatnonzero(engine.masks[0]))))
        engine.step([actions[-1]])
    return actions


def days() -> list[AirInstance]:
    """Days of all sizes, each given."""
    small = [random_problem(seed, taper=False) for seed in (3, 8, 12)]
    found = [as_instance(p, plain_realise(p, seed, 2.0), f"small-{seed}") for seed, p in enumerate(small)]
    whole = named_instance("la8-high")
    return [*found, dataclasses.replace(whole, day=realise(whole, 5, 1.0))]


@pytest.mark.parametrize("instance", days(), ids=lambda each: each.name)
def test_twice_the_fares_and_costs_are_twice_the_profit(instance):
    actions = random_actions(instance, 1)
    vehicle = instance.vehicle
    costs = {name: 2 * getattr(vehicle, name) for name in ("cost_mile", "landing_fee", "electricity")}
    dear = dataclasses.replace(instance, fare=2 * instance.fare, vehicle=dataclasses.replace(vehicle, **costs))
    once, twice = played(instance, actions), played(dear, actions)
    assert twice.objectives()[0] == 2 * once.objectives()[0]
    assert once.schedule(0).flights.size


def relabelled(instance: AirInstance, order: np.ndarray) -> AirInstance:
    """The instance with vertiport order[v] in the place of v."""
    network, day, n = instance.network, instance.day, instance.num_vertiports
    assert day is not None
    columns = {
        name: getattr(network, name)[order]
        for name in ("latitude", "longitude", "kind", "mass", "stands", "chargers", "delay_mean")
    }
    place = np.argsort(order)
    closures = np.array([[*sorted((place[i], place[j])), s, length] for i, j, s, length in day.closures.tolist()])
    other = AirDay(
        tuple(day.arrivals[order[p // n] * n + order[p % n]] for p in range(n * n)),
        day.delay[order],
        closures.reshape(-1, 4),
        day.downtime,
        day.seed,
        day.noise,
    )
    pairs = np.ix_(order, order)
    return dataclasses.replace(
        instance,
        network=dataclasses.replace(
            network, ids=tuple(network.ids[v] for v in order), distance=network.distance[pairs], **columns
        ),
        forecast=instance.forecast[pairs],
        fare=instance.fare[pairs],
        start_vertiport=place[instance.start_vertiport],
        day=other,
    )


@pytest.mark.parametrize("instance", days(), ids=lambda each: each.name)
def test_other_labels_make_no_other_day(instance):
    n = instance.num_vertiports
    order = np.random.default_rng(n).permutation(n)
    place = np.argsort(order)
    one, two = (make_engine(1, each, record=True) for each in (instance, relabelled(instance, order)))
    for engine in (one, two):
        engine.reset([0])
    for action in random_actions(instance, 2):
        assert np.array_equal(one.masks[0, order], two.masks[0])
        for key in ("actions/features", "nodes/vertiport", "nodes/aircraft", "globals"):
            first, second = one.block.views[key][0], two.block.views[key][0]
            rows = order if key in ("actions/features", "nodes/vertiport") else slice(None)
            assert np.abs(first[rows] - second).max() < 1e-5, key
        one.step([action])
        two.step([place[action]])
    first, second = one.schedule(0), two.schedule(0)
    assert validate(second) == []
    moved = first.decisions.copy()
    moved[:, [FROM, TO]] = place[moved[:, [FROM, TO]]]
    assert np.array_equal(moved, second.decisions)
    charges = first.charges.copy()
    charges[:, 1] = place[charges[:, 1]]
    assert np.array_equal(charges, second.charges)
