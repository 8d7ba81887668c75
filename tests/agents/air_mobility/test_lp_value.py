"""Prices of aircraft and values of queues: their programs by hand and by slopes, and how the agent plays by them."""

from __future__ import annotations

from dataclasses import replace
from math import comb, exp

import numpy as np
import pytest
from makespan.agents.air_mobility.prices import FleetRelaxation, block_law
from makespan.agents.air_mobility.queues import queue_states, serve_queue, solve_queue
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility.options import AirOptions
from support.air_bridge import as_instance
from support.air_random import random_problem

ENV = "makespan/AirMobility-v0"


def test_states_of_a_queue():
    states = queue_states(3, 4)
    assert len(states.waiting) == comb(3 + 4, 4)
    assert len(states.aged_waiting) == comb(2 + 4, 4)
    one_old = states.joined[0, 2]
    both = states.joined[one_old, 0]
    assert states.waiting[both] == 2
    assert states.served[both] == states.joined[0, 0]  # the oldest boards
    assert states.aged_waiting[states.aged[both]] == 1  # and would have left by the next slot
    assert states.grown[states.aged[states.joined[0, 0]], 0] == states.joined[0, 1]
    full = states.grown[0, 4]
    assert states.joined[full, 1] == full


def _solve(rate: list[float], fare: float, price: float, cohorts: int = 2, most: int = 4):
    states, slots = queue_states(cohorts, most), len(rate)
    later = np.zeros((slots, len(states.aged_waiting)))
    value, rest = np.zeros(len(states.waiting)), np.zeros(len(states.aged_waiting))
    given = (np.full(slots, fare), np.full(slots, price), np.ones(slots, dtype=np.bool_), 2)
    rates = np.array(rate)
    worth = solve_queue(states, rates, np.full(slots, fare), *given, value, rest, later)
    flights = np.zeros(slots)
    serve_queue(states, rates, *given, later, value, rest, flights)
    return worth, flights


def test_one_slot_by_hand():
    """Two seats at 10 $ for 15 $: it flies with two, and with four; a fifth passenger counts the fare."""
    rate = 1.5
    chance = [exp(-rate) * rate**k / [1, 1, 2, 6, 24, 120][k] for k in range(5)]
    more = 1.0 - sum(chance)
    overflow = rate - sum(k * p for k, p in enumerate(chance)) - 4 * more
    worth, flights = _solve([rate], 10.0, 15.0)
    assert worth == pytest.approx(5 * (chance[2] + chance[3]) + 10 * (chance[4] + more) + 10 * overflow)
    assert flights[0] == pytest.approx(chance[2] + chance[3] + 2 * (chance[4] + more))


def test_a_queue_waits_if_that_pays():
    """One passenger of the first slot is not flown at a small gain if a second will surely come."""
    alone, flights = _solve([1e-9, 3.0], 10.0, 5.0)
    assert flights[0] < 1e-6
    both, later = _solve([0.1, 3.0], 10.0, 5.0)
    assert both > alone
    assert later[0] < 0.02  # with one waiting: a seat of a later flight costs half


def test_chances_of_blocks():
    law = block_law(240.0, 1000)
    assert law.sum() == pytest.approx(1.0)
    assert law[3] == pytest.approx(1.0 - exp(-200 / 240))  # delays up to 199 s
    assert block_law(0.0, 1000)[:4].tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_slopes_of_the_relaxation(seed: int):
    problem = random_problem(seed, taper=False)
    relaxation = FleetRelaxation(as_instance(problem), AirOptions())
    slots = -(-problem.horizon // 300)
    rng = np.random.default_rng(seed)
    prices = rng.uniform(-5.0, 30.0, (problem.n, slots))
    step = rng.normal(size=prices.shape)
    value, slope = relaxation.evaluate(prices, 0.02)
    width = 1e-5
    ahead, behind = (relaxation.evaluate(prices + sign * width * step, 0.02)[0] for sign in (1, -1))
    assert (slope * step).sum() == pytest.approx((ahead - behind) / (2 * width), rel=1e-3)
    assert relaxation.evaluate(prices)[0] <= value


@pytest.mark.parametrize("seed", range(3))
def test_fitted_prices_are_better_than_none(seed: int):
    problem = random_problem(seed, taper=False)
    relaxation = FleetRelaxation(as_instance(problem), AirOptions())
    fitted = relaxation.fit()
    least, _ = relaxation.evaluate(fitted.aircraft)
    assert least < relaxation.evaluate(np.zeros_like(fitted.aircraft))[0] + 1.0


def _play(instance, text: str, seeds: range):
    arena = open_arena(ENV, len(seeds), {"instance": [instance]})
    return [one.objective for one in play(arena, make_agent(text, arena.setting), [Case(instance, s) for s in seeds])]


def test_plays_are_the_same_again_and_alone():
    instance = as_instance(replace(random_problem(5, taper=False), horizon=7200))
    together = _play(instance, "lp-value", range(3))
    assert together == _play(instance, "lp-value", range(3))
    assert together[1:2] == _play(instance, "lp-value", range(1, 2))


@pytest.mark.slow
def test_values_beat_the_rule_on_quiet_days():
    from makespan.envs.air_mobility.catalogue import instance

    la = instance("la8-low")
    assert sum(_play(la, "lp-value", range(8))) > sum(_play(la, "lookahead-greedy", range(8)))
