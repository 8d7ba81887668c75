"""The engine and the plain simulator play the same days, decision by decision, in all that may be varied."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from makespan.envs.air_mobility import state as d
from makespan.envs.air_mobility.dynamics import energy_now
from makespan.envs.air_mobility.engine import RULES, AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import as_instance, as_plain, as_schedule, plain_day
from support.air_random import random_problem
from support.air_reference import PlainFleet, greedy_profit, lookahead, random_choice, realise

RULES_OF_PLAY = (random_choice, lambda seed: lookahead(0.25, 6.0), lambda seed: greedy_profit)


def check_moment(engine: AirEngine, copy: int, fleet: PlainFleet) -> None:
    """All that both know of a moment is the same."""
    state, problem = engine.state, fleet.problem
    clock = state.clock[copy]
    n = problem.n
    assert fleet.decider is not None
    assert (int(clock[d.TIME]), int(clock[d.DECIDER])) == (fleet.now, fleet.decider)
    here = fleet.at[fleet.decider]
    why = [RULES[int(state.reason[copy, j])] for j in range(n)]
    assert why == ["legal" if j == here else fleet.why_not(j) or "legal" for j in range(n)]
    assert [j for j in range(n) if engine.masks[copy, j]] == fleet.legal()
    assert not engine.masks[copy, n:].any()
    fleet_size = len(problem.start)
    assert state.aircraft[copy, :fleet_size, d.PLACE].tolist() == fleet.at
    energies = [int(energy_now(engine.problem, state, copy, a)) for a in range(fleet_size)]
    assert energies == [fleet.energy(a) for a in range(fleet_size)]
    place = state.vertiport[copy, :n]
    assert place[:, d.OCCUPIED].tolist() == fleet.occupied
    assert place[:, d.PLUGGED].tolist() == [len(x) for x in fleet.plugged]
    assert place[:, d.QUEUED].tolist() == [len(x) for x in fleet.queue]
    pair = state.pair[copy, : n * n]
    waiting = (pair[:, d.TAIL] - pair[:, d.HEAD]).tolist()
    assert waiting == [len(fleet.waiting.get((p // n, p % n), [])) for p in range(n * n)]
    assert int(clock[d.LOST]) == fleet.lost


def check_end(engine: AirEngine, copy: int, fleet: PlainFleet, noise: float) -> None:
    """The engine's log is the plain one's, and valid; the profit is what the log says."""
    schedule, expected = engine.schedule(copy), as_schedule(fleet)
    assert np.array_equal(schedule.decisions, expected.decisions)
    assert sorted(schedule.charges.tolist()) == sorted(expected.charges.tolist())
    assert schedule.clock is None
    assert schedule.day.noise == noise
    day = plain_day(schedule.day)
    assert (day.arrivals, day.delay, day.downtime) == (fleet.day.arrivals, fleet.day.delay, fleet.day.downtime)
    assert sorted(day.closures) == sorted(fleet.day.closures)
    assert validate(schedule) == []
    assert schedule.profit == fleet.profit
    assert engine.objectives()[copy] == fleet.objective() == schedule.objective
    told, found = engine.metrics(copy), schedule.metrics()
    for name, value in found.items():
        assert told[name] == (None if value is None else pytest.approx(value)), name


def play_alike(problems, engine: AirEngine, seeds, noise: float, every: int = 1) -> None:
    """Play all copies of an engine to their ends beside plain fleets.

    Args:
        every: which decisions the whole moment is compared at.
    """
    fleets = [PlainFleet(p, realise(p, seed, noise)) for p, seed in zip(problems, seeds, strict=True)]
    chosen = [RULES_OF_PLAY[k % 3](k) for k in range(len(fleets))]
    rewards, totals = np.zeros(len(fleets)), np.zeros(len(fleets))
    plain = all(p.lost_cost == p.wait_cost == 0 and not p.home for p in problems)
    for step in range(100_000):
        actions = np.zeros(len(fleets), dtype=np.int64)
        running = engine.is_running()
        for copy, fleet in enumerate(fleets):
            assert bool(running[copy]) == (fleet.decider is not None)
            if fleet.decider is None:
                continue
            if step % every == 0:
                check_moment(engine, copy, fleet)
            actions[copy] = chosen[copy](fleet)
            rewards[copy] = fleet.act(int(actions[copy])) / engine.reward_scale(copy)
        if not running.any():
            break
        outcome = engine.step(actions, check=True)
        totals += outcome.reward
        if plain:  # else others earn or pay as well before the next decision
            assert outcome.reward[running] == pytest.approx(rewards[running], rel=1e-12)
    for copy, fleet in enumerate(fleets):
        assert totals[copy] * engine.reward_scale(copy) == pytest.approx(fleet.objective(), rel=1e-9, abs=1e-3)
        check_end(engine, copy, fleet, noise)


def play_random_days(first: int, count: int, noise: float, taper: bool, every: int = 1, **settings: Any) -> None:
    """Every second day is given to the engine, the others it draws from their seeds.

    Args:
        settings: as a log has them, costs in micro-dollars.
    """
    problems = [dataclasses.replace(random_problem(seed, taper), **settings) for seed in range(first, first + count)]
    options = {key: value / 1e6 if key.endswith("cost") else value for key, value in settings.items()}
    seeds = list(range(3 * first, 3 * first + count))
    instances = [
        as_instance(p, realise(p, seed, noise) if k % 2 else None, f"small-{first + k}", noise)
        for k, (p, seed) in enumerate(zip(problems, seeds, strict=True))
    ]
    engine = make_engine(count, instances, record=True, noise=noise, taper=taper, **options)
    engine.reset(seeds, instances=instances)
    play_alike(problems, engine, seeds, noise, every)


@pytest.mark.parametrize("noise,taper", [(0.0, False), (1.0, False), (2.0, False), (1.0, True)])
def test_small_days(noise, taper):
    play_random_days(0, 12, noise, taper)


@pytest.mark.parametrize(
    "settings",
    [
        {"refill": True},
        {"tariff": "peak"},
        {"lost_cost": 2_500_000},
        {"wait_cost": 7_000_001},
        {"home": True},
        {"pads": 1},
        {"pads": 2, "refill": True},
        {"refill": True, "tariff": "peak", "lost_cost": 1_000_000, "wait_cost": 3_000_000, "home": True},
    ],
    ids=lambda each: "-".join(each),
)
def test_small_days_by_other_rules(settings):
    play_random_days(60, 6, 1.0, False, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise,taper,days", [(0.0, False, 1000), (1.0, False, 300), (2.0, False, 300), (2.0, True, 300)]
)
def test_more_than_a_thousand_small_days(noise, taper, days):
    for first in range(1000, 1000 + days, 50):
        play_random_days(first, 50, noise, taper, every=5)


@pytest.mark.parametrize(
    "name,noise,settings",
    [
        ("la8-medium-tight", 2.0, {"tariff": "peak"}),
        ("rand6x15-high-s3", 1.0, {"taper": True}),
        ("dfw8-low:vehicle=evtol-2025", 1.0, {"wait_cost": 5_000_000}),
        ("la8-high", 1.0, {"pads": 1}),
    ],
)
def test_whole_days(name, noise, settings):
    options = {key: value / 1e6 if key.endswith("cost") else value for key, value in settings.items()}
    engine = make_engine(2, name, record=True, noise=noise, **options)
    engine.reset([5, 6])
    problems = [as_plain(engine.instance(copy), **settings) for copy in range(2)]
    play_alike(problems, engine, [5, 6], noise, every=101)
