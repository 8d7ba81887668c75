"""The engine of urban air mobility: the specification's golden days, and the rules of the game."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from makespan.envs.air_mobility import state as d
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.observation import SPEC
from makespan.envs.air_mobility.validity import validate
from numpy.typing import NDArray

PROFIT, IS_STAY, BOARDABLE = (SPEC.action_column(name) for name in ("profit", "is_stay", "boardable"))

GOLDEN_DAYS = {
    "la8-low": (14371756, 1850, 103, 338, 1224),
    "la8-medium": (54102076, 1725, 261, 871, 2444),
    "la8-high": (167992448, 1566, 461, 1618, 4887),
    "sf8-medium": (57712900, 1704, 261, 869, 2366),
    "nyc8-medium": (62102816, 1694, 341, 1117, 2432),
    "dfw8-medium": (53389656, 1719, 246, 808, 2373),
}
"""Profit in units of 10^-4 $, decisions, flights, passengers served and arrived: greedy profit on day 0."""


def greedy_profit(engine: AirEngine) -> NDArray[np.int64]:
    """The flight that earns most, if it earns anything, else stay."""
    features = engine.block.views["actions/features"]
    value = np.where(engine.masks > 0, features[:, :, PROFIT], -np.inf)
    stay = features[:, :, IS_STAY].argmax(axis=1)
    return np.where(value.max(axis=1) > 0.0, value.argmax(axis=1), stay)


def stay(engine: AirEngine) -> NDArray[np.int64]:
    return engine.block.views["actions/features"][:, :, IS_STAY].argmax(axis=1)


def random_choice(seed: int) -> Callable[[AirEngine], NDArray[np.int64]]:
    draw = np.random.default_rng(seed)

    def choose(engine: AirEngine) -> NDArray[np.int64]:
        return np.where(engine.masks > 0, draw.random(engine.masks.shape), -1.0).argmax(axis=1)

    return choose


def play(engine: AirEngine, choose: Callable[[AirEngine], NDArray[np.int64]]) -> AirEngine:
    while engine.is_running().any():
        engine.step(choose(engine))
    return engine


def day(seed: int, choose: Callable[[AirEngine], NDArray[np.int64]], **options: Any) -> AirEngine:
    engine = make_engine(1, record=True, **options)
    engine.reset([seed])
    return play(engine, choose)


@pytest.mark.parametrize("name", GOLDEN_DAYS)
def test_greedy_profit_has_the_golden_days(name: str):
    engine = day(0, greedy_profit, instance=name)
    found = engine.metrics(0)
    profit = int(engine.objectives()[0])
    assert profit % 100 == 0
    counts = (found["decisions"], found["flights"], found["served"], found["arrivals"])
    assert (profit // 100, *counts) == GOLDEN_DAYS[name]


VARIANTS: list[dict[str, Any]] = [
    {},
    {"noise": 2.0},
    {"taper": True},
    {"instance": "nyc8-high-tight"},
    {"instance": "sf8-medium", "vehicle": "evtol-2025", "fleet": 30},
    {"refill": True, "fares": "2022"},
    {"tariff": "peak", "lost_cost": 1.5, "wait_cost": 0.7},
    {"home": True, "instance": "dfw8-high"},
    {"pads": 1, "instance": "nyc8-high"},
    {"home": True, "instance": "rand12x30-medium-s1", "lost_cost": 3.0},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_logs_of_random_days_are_valid_and_tell_the_same(options: dict[str, Any]):
    for seed in range(3):
        engine = day(seed, random_choice(seed), **options)
        schedule = engine.schedule(0)
        assert validate(schedule) == []
        assert schedule.objective == engine.objectives()[0]
        told, counted = schedule.metrics(), engine.metrics(0)
        assert {key: counted[key] for key in told} == pytest.approx(told)


@pytest.mark.parametrize(
    "options", [VARIANTS[0], {"tariff": "peak", "lost_cost": 2.0, "wait_cost": 1.0, "home": True}, {"pads": 1}]
)
def test_a_log_is_valid_at_every_time_of_the_day(options: dict[str, Any]):
    engine = make_engine(1, record=True, **options)
    engine.reset([3])
    choose = random_choice(3)
    for step in range(400):
        engine.step(choose(engine))
        if step % 20 == 0:
            schedule = engine.schedule(0)
            assert validate(schedule) == []
            assert schedule.objective == engine.objectives()[0]


def test_staying_all_day_earns_nothing():
    engine = day(1, stay)
    assert engine.objectives()[0] == 0
    assert engine.metrics(0)["flights"] == 0
    assert engine.metrics(0)["decisions"] == 40 * 48


@pytest.mark.parametrize("options", [{"noise": 2.0}, {"instance": "sf8-low", "taper": True}], ids=str)
def test_greed_never_loses(options: dict[str, Any]):
    engine = make_engine(4, reward_scale="none", **options)
    engine.reset([0, 1, 2, 3])
    while engine.is_running().any():
        assert (engine.step(greedy_profit(engine)).reward >= 0.0).all()
    assert (engine.objectives() > 0).all()


def test_the_day_does_not_depend_on_what_is_done():
    busy, idle = day(7, random_choice(0)), day(7, stay)
    for one, other in zip(busy.schedule(0).day.arrivals, idle.schedule(0).day.arrivals, strict=True):
        assert one.tolist() == other.tolist()
    assert busy.metrics(0)["arrivals"] == idle.metrics(0)["arrivals"]


def test_the_same_actions_make_the_same_log_in_any_batch():
    alone = day(5, greedy_profit)
    many = make_engine(4, record=True, instance=["sf8-high", "la8-medium", "la8-low"])
    many.reset([9, 5, 5, 2], instances=["la8-low", "la8-medium", "la8-medium", "sf8-high"])
    play(many, greedy_profit)
    for copy in (1, 2):
        np.testing.assert_array_equal(many.schedule(copy).decisions, alone.schedule(0).decisions)
        np.testing.assert_array_equal(many.schedule(copy).charges, alone.schedule(0).charges)


def test_counts_of_vertiports_and_aircraft_agree():
    engine = make_engine(3, instance="dfw8-high")
    engine.reset([0, 1, 2])
    choose = random_choice(4)
    while engine.is_running().any():
        engine.step(choose(engine))
        state, instance = engine.state, engine.instance(0)
        place, phase = state.aircraft[:, :, d.PLACE], state.aircraft[:, :, d.PHASE]
        for copy in range(3):
            grounded = (phase[copy] == d.STANDS_BY) | (phase[copy] == d.DOWN)
            at = [np.bincount(place[copy][chosen], minlength=8) for chosen in (grounded, ~grounded)]
            np.testing.assert_array_equal(state.vertiport[copy, :, d.STANDING], at[0])
            np.testing.assert_array_equal(state.vertiport[copy, :, d.INBOUND], at[1])
            leaving = np.bincount(state.aircraft[copy, phase[copy] == d.BOARDS, d.ORIGIN], minlength=8)
            np.testing.assert_array_equal(state.vertiport[copy, :, d.OCCUPIED], sum(at) + leaving)
            assert (state.vertiport[copy, :, d.OCCUPIED] <= instance.network.stands).all()
            assert (state.vertiport[copy, :, d.PLUGGED] <= instance.network.chargers).all()
            waiting = state.pair[copy, :, d.TAIL] - state.pair[copy, :, d.HEAD]
            assert waiting.min() >= 0
            assert waiting.sum() == state.clock[copy, d.WAITING]
            np.testing.assert_array_equal(state.vertiport[copy, :, d.WAITING_OUT], waiting.reshape(8, 8).sum(axis=1))
            np.testing.assert_array_equal(state.vertiport[copy, :, d.WAITING_IN], waiting.reshape(8, 8).sum(axis=0))


def test_energy_used_is_what_was_charged_or_stored_before():
    for seed in range(3):
        engine = day(seed, random_choice(seed))
        clock, stored = engine.state.clock[0], engine.state.aircraft[0, :, d.STORED]
        start = engine.instance(0).start_energy
        assert clock[d.ENERGY_USED] == clock[d.ENERGY_CHARGED] + int(start.sum() - stored.sum())


def test_no_noise_means_no_delay_and_no_downtime():
    engine = day(2, random_choice(2), noise=0.0)
    assert engine.metrics(0)["mean_delay"] == 0
    flights = engine.schedule(0).flights
    held = flights[:, 5] - flights[:, 0] - 360
    assert held.min() == 0


def test_illegal_actions_are_explained_and_change_nothing():
    engine = make_engine(1)
    engine.reset([0])
    choose = random_choice(1)
    seen = set()
    while engine.is_running()[0]:
        for action in np.flatnonzero(engine.masks[0] == 0).tolist():
            seen.add(int(engine.state.reason[0, action]))
            if len(seen) < 4:
                before = engine.snapshot()
                with pytest.raises(ValueError, match=f"action {action} is illegal: the flight from .* are legal"):
                    engine.step([action])
                for one, other in zip(before.arrays, engine.snapshot().arrays, strict=True):
                    np.testing.assert_array_equal(one, other)
        engine.step(choose(engine))
    assert {d.UNFLYABLE, d.LOW_ENERGY, d.LATE} <= seen


@pytest.mark.parametrize("options", [{}, {"lost_cost": 2.0, "wait_cost": 3.0, "home": True}], ids=str)
def test_rewards_sum_to_the_objective_and_times_to_the_day(options: dict[str, Any]):
    for scale in ("instance", "none"):
        engine = make_engine(2, reward_scale=scale, **options)
        engine.reset([0, 1])
        choose, total, elapsed = random_choice(0), np.zeros(2), np.zeros(2)
        while engine.is_running().any():
            outcome = engine.step(choose(engine))
            total += outcome.reward
            elapsed += outcome.elapsed
        assert elapsed.tolist() == [43_200.0, 43_200.0]
        assert SPEC.time_scale == 900  # what discounting counts by
        np.testing.assert_allclose(total * engine.reward_scale(0), engine.objectives(), atol=1.0)
    assert engine.reward_scale(0) == 1e6


def test_staying_costs_what_lost_and_waiting_passengers_do():
    engine = day(4, stay, lost_cost=2.0, wait_cost=3.0, noise=0.0)
    found, arrivals = engine.metrics(0), engine.schedule(0).day.arrivals
    seconds = np.concatenate(arrivals)
    waited = int(np.minimum(43_200 - seconds, 1800).sum())
    lost = int((seconds + 1800 < 43_200).sum())
    assert found["lost"] == lost
    assert engine.objectives()[0] == -2_000_000 * lost - 3_000_000 * waited // 3600


def test_the_old_rules_refill_at_once_and_charge_whole_dollars():
    engine = day(0, random_choice(0), refill=True, fares=2022)
    flights = engine.schedule(0).flights
    assert len(engine.schedule(0).charges) == 0
    battery = engine.instance(0).vehicle.battery
    assert set(flights[:, 8].tolist()) == {battery}
    la = engine.instance(0)
    assert la.fare[0, 1].tolist() == [800] * 48  # 5.64 miles


def test_dear_electricity_is_paid_from_four_o_clock():
    flat, peak = (day(0, greedy_profit, tariff=tariff, noise=0.0) for tariff in ("flat", "peak"))
    la = flat.instance(0)
    for engine in (flat, peak):
        for t, _, i, j, boarded, *_, reward in engine.schedule(0).flights.tolist():
            wh = int(la.energy[i, j]) // 3600
            price = 200 if engine is flat or 7200 <= t < 36_000 else 160 if t < 7200 else 320
            cost = 16_000 * int(la.network.distance[i, j]) + 5_000_000 + price * wh
            assert reward == boarded * int(la.fare[i, j, t // 900]) * 10_000 - cost


def test_a_fleet_that_comes_home_by_itself_pays_nothing():
    engine = day(0, stay, home=True)
    assert engine.metrics(0)["homing_usd"] == 0.0
    away = day(0, random_choice(1), home=True)
    assert away.metrics(0)["homing_usd"] > 0.0
    assert away.metrics(0)["profit_usd"] * 1e6 - away.objectives()[0] == pytest.approx(
        1e6 * away.metrics(0)["homing_usd"]
    )
