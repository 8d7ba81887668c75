"""Planning on imagined days: nothing of the true future is in them, and their future is that of fresh days."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.air_mobility import state as d
from makespan.envs.air_mobility.catalogue import make
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.instance import AirInstance, AirNetwork
from makespan.envs.air_mobility.observation import SPEC
from makespan.envs.core.engine import BatchEngine
from makespan.envs.core.random import TYPICAL
from numpy.typing import NDArray
from support.trajectories import pick

IS_STAY = SPEC.action_column("is_stay")
FRESH = 8000
KEYS = np.arange(4000, dtype=np.uint64)


def line(miles: list[int], fleet: int, passengers: float = 0.0, chargers: int = 4) -> AirInstance:
    """Vertiports in a row, so many miles from the first one; no demand but what is given."""
    n = len(miles)
    distance = 100 * np.abs(np.subtract.outer(miles, miles))
    network = AirNetwork(
        "line", tuple(f"V{v}" for v in range(n)), np.full(n, 34.0), -118.0 + np.array(miles) / 57.0,
        np.full(n, 2), np.ones(n), np.full(n, fleet + 1), np.full(n, chargers), np.full(n, 300), distance,
    )  # fmt: skip
    made = make(network, "medium", fleet=fleet)
    scale = passengers / made.passengers
    return AirInstance(
        "line", network, made.vehicle, "none", passengers, made.forecast * scale, made.fare,
        np.zeros(fleet, dtype=np.int64), made.start_energy,
    )  # fmt: skip


def stay(engine: BatchEngine) -> NDArray[np.int64]:
    return engine.block.views["actions/features"][:, :, IS_STAY].argmax(axis=1)


def assert_alike(one: NDArray[np.int64], other: NDArray[np.int64], shares: tuple[float, ...] = (0.1, 0.3, 0.6, 0.9)):
    """Two samples whose shares below some quantiles of both differ by no more than five standard errors."""
    assert min(len(one), len(other)) > 50
    bounds = np.unique(np.quantile(np.concatenate([one, other]), shares).astype(np.int64))
    a, b = (np.array([(values <= x).mean() for x in bounds]) for values in (one, other))
    mean = (a * len(one) + b * len(other)) / (len(one) + len(other))
    error = np.sqrt(mean * (1 - mean) * (1 / len(one) + 1 / len(other)))
    assert (abs(a - b) < 5 * error + 2e-3).all(), (a, b)


def arrivals(engine: BatchEngine, copy: int, pair: int, after: int, until: int) -> int:
    """How many passengers of a pair arrive after one time and by another."""
    state = engine.state
    second = state.second[copy, state.begin[copy, pair] : state.begin[copy, pair + 1]]
    return int(((second > after) & (second <= until)).sum())


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
def test_later_passengers_are_those_of_fresh_days_with_the_same_past(noise: float):
    """What has come by 9:30 tells of the pair's factor."""
    engine = make_engine(FRESH, line([0, 12], 1, 300.0), noise=noise)
    engine.reset(np.arange(FRESH))
    for _ in range(14):
        engine.step(stay(engine), check=False)
    now = int(engine.state.clock[0, d.TIME])
    seen = np.array([arrivals(engine, copy, 1, -1, now) for copy in range(FRESH)])
    later = np.array([arrivals(engine, copy, 1, now, now + 10_000) for copy in range(FRESH)])
    low, middle, high = np.quantile(seen, (0.1, 0.5, 0.9)).astype(int)
    means = []
    for count in (low, middle, high):
        same = np.flatnonzero(abs(seen - count) <= 1)
        worlds = engine.imagine(np.resize(same, 2000), KEYS[:2000])
        found = np.array([arrivals(worlds, copy, 1, now, now + 10_000) for copy in range(2000)])
        assert_alike(found, later[same])
        again = worlds.imagine(np.arange(2000), KEYS[2000:])
        assert_alike(np.array([arrivals(again, copy, 1, now, now + 10_000) for copy in range(2000)]), found)
        means.append(found.mean())
    assert noise == 0.0 or means[0] < means[1] < means[2]


def test_who_waits_goes_on_waiting():
    engine = make_engine(3, line([0, 12, 20], 2, 900.0))
    engine.reset(np.arange(3))
    for step in range(30):
        engine.step([pick(1, step, mask) for mask in engine.masks])
    worlds = engine.imagine([0, 1, 2, 2], KEYS[:4])
    for mine, theirs in enumerate([0, 1, 2, 2]):
        for pair in range(9):
            queues = [
                one.state.second[copy, one.state.pair[copy, pair, d.HEAD] : one.state.pair[copy, pair, d.TAIL]].tolist()
                for one, copy in ((worlds, mine), (engine, theirs))
            ]
            assert queues[0] == queues[1]


@pytest.mark.parametrize("held", [False, True])
def test_who_boards_enters_its_corridor_as_on_fresh_days(held: bool):
    """Aircraft 0 has boarded since 0 and has not entered by 900; `held`: aircraft 1 follows it in its corridor."""
    fleet = 4 if held else 2
    instance = line([0, 12, 20], fleet)
    instance = AirInstance(**{**vars_of(instance), "corridors": 1, "patience_corridor": 3000})
    engine = make_engine(FRESH, instance)
    engine.reset(np.arange(FRESH))
    for _ in range(1 + held):  # on days when the pair is closed the engine ends
        engine.step(np.ones(FRESH, dtype=np.int64), check=False)
    for _ in range(fleet - 1 - held):
        engine.step(stay(engine), check=False)
    boards = engine.is_running() & (engine.state.aircraft[:, 0, d.PHASE] == d.BOARDS)
    same = np.flatnonzero(boards)
    assert (engine.state.clock[same, d.TIME] == 900).all()
    worlds = engine.imagine(np.full(len(KEYS), same[0]), KEYS)
    for a in (0, 1) if held else (0,):
        found, fresh = worlds.state.aircraft[:, a, d.ENTRY], engine.state.aircraft[same, a, d.ENTRY]
        assert min(found.min(), fresh.min()) > 900
        assert_alike(found, fresh)


def test_delays_to_come_are_drawn_anew_and_are_one_for_a_slot():
    engine = make_engine(1, line([0, 12, 20], 2))
    engine.reset([0])
    engine.step([1])
    worlds = engine.imagine(np.zeros(len(KEYS), dtype=np.int64), KEYS)
    worlds.step(np.full(len(KEYS), 2))
    delay = worlds.state.aircraft[:, :, d.DELAY]
    np.testing.assert_array_equal(delay[:, 0], delay[:, 1])
    assert delay[:, 0].mean() == pytest.approx(300, rel=0.08)


def test_closures_and_downtimes_to_come_are_those_of_fresh_days():
    instance = line([0, 8, 14, 20], 1)
    engine = make_engine(FRESH, instance, noise=4.0)
    engine.reset(np.arange(FRESH))
    fresh_closures = engine.state.clock[:, d.CLOSURE_COUNT]
    begun = [
        int((engine.state.closure[copy, :, d.CLOSES_AT][: fresh_closures[copy]] == 0).sum()) for copy in range(FRESH)
    ]
    worlds = engine.imagine(np.zeros(len(KEYS), dtype=np.int64), KEYS)
    found = worlds.state.clock[:, d.CLOSURE_COUNT]
    assert found.mean() == pytest.approx((fresh_closures - np.array(begun)).mean(), rel=0.05)
    assert (worlds.state.closure[0, : found[0], d.CLOSES_AT] > 0).all()
    downs = np.zeros(len(KEYS), dtype=np.bool_)
    worlds.step(np.ones(len(KEYS), dtype=np.int64), check=False)
    downs = worlds.state.clock[:, d.TIME] > worlds.state.aircraft[:, 0, d.READY]
    assert downs.mean() == pytest.approx(0.02, abs=0.01)


# --- nothing of the seed ----------------------------------------------------------------------------------------------


def vars_of(instance: AirInstance) -> dict[str, object]:
    return {name: getattr(instance, name) for name in instance.__dataclass_fields__}


def used(engine: BatchEngine, copy: int) -> dict[str, list[int]]:
    """All of a copy's state that has a meaning."""
    state, clock = engine.state, engine.state.clock[copy]
    lengths = {"closure": clock[d.CLOSURE_COUNT], "when": clock[d.ARRIVALS], "order": clock[d.ARRIVALS]}
    lengths["second"] = clock[d.ARRIVALS]
    skipped = ("bins", "log", "charge")
    return {
        name: array[copy][: lengths.get(name)].reshape(-1).tolist()
        for name, array in state._asdict().items()
        if name not in skipped
    }


def test_nothing_of_the_hidden_seed_is_left():
    """Days of no demand whose first hours were the same."""
    engine = make_engine(2000, line([0, 12, 20], 3), noise=1.0)
    engine.reset(np.arange(2000))
    engine.step(np.ones(2000, dtype=np.int64), check=False)
    engine.step(np.full(2000, 2), check=False)
    engine.step(stay(engine), check=False)
    seen: dict[bytes, list[int]] = {}
    for copy in np.flatnonzero(engine.is_running()):
        seen.setdefault(engine.block.memory[copy].tobytes(), []).append(int(copy))
    same = np.array(max(seen.values(), key=len))
    same = same[:40]
    assert (engine.state.aircraft[same, 0, d.PHASE] == d.BOARDS).all()
    assert (engine.state.clock[same, d.TIME] == 900).all()
    assert len(same) > 3
    for key in (3, 4, int(TYPICAL)):
        world = engine.imagine(same, np.full(len(same), key, dtype=np.uint64))
        for _ in range(30):
            first = used(world, 0)
            for copy in range(1, len(same)):
                assert used(world, copy) == first
            world.step(stay(world), check=False)


def test_an_imagined_world_is_a_function_of_its_key_and_leaves_the_true_one_alone():
    engine = make_engine(2, "la8-high", noise=2.0)
    engine.reset([1, 2])
    for step in range(300):
        engine.step([pick(1, step, mask) for mask in engine.masks])
    before = engine.snapshot()
    worlds = [engine.imagine([0, 0, 1, 0], [5, 5, 5, 6]), engine.imagine([0], [5])]
    for world in worlds:
        step = 0
        while world.is_running().any():
            world.step([pick(2, step, mask) if mask.any() else 0 for mask in world.masks])
            step += 1
    assert worlds[0].metrics(0) == worlds[0].metrics(1) == worlds[1].metrics(0) != worlds[0].metrics(3)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, engine.snapshot().arrays, strict=True))


def test_what_is_visible_stays():
    engine = make_engine(3, "sf8-high")
    engine.reset(np.arange(3))
    for step in range(0, 500):
        if step % 50 == 0:
            world = engine.imagine([2, 0, 1], [step, step, step])
            for rewritten in (False, True):
                if rewritten:
                    world._write_all()
                for mine, theirs in enumerate([2, 0, 1]):
                    row, other = world.block.row(mine), engine.block.row(theirs)
                    assert all(np.array_equal(row[key], other[key]) for key in row)
        engine.step([pick(7, step, mask) for mask in engine.masks])


def test_imagined_days_of_the_same_past_end_like_fresh_ones():
    """Profit of a fixed kind of play from the morning on, against fresh days with nothing known."""
    engine = make_engine(100, "la8-medium")
    engine.reset(np.arange(100))
    worlds = engine.imagine(np.arange(100), np.arange(100) + 1000)
    for one in (engine, worlds):
        draw = np.random.default_rng(0)
        while one.is_running().any():
            one.step(np.where(one.masks > 0, draw.random(one.masks.shape), -1.0).argmax(axis=1), check=False)
    a, b = engine.objectives() / 1e6, worlds.objectives() / 1e6
    assert abs(a.mean() - b.mean()) < 5 * np.sqrt((a.var() + b.var()) / 100)
    assert b.std() == pytest.approx(a.std(), rel=0.4)


@pytest.mark.parametrize("imagined, at", [(3600, 3600 + 5400), (43_200, 43_200)])
def test_imagined_days_end_when_they_are_told_to(imagined: int, at: int):
    engine = make_engine(1, "la8-low", imagined=imagined)
    engine.reset([0])
    while engine.state.clock[0, d.TIME] < 5400:
        engine.step(stay(engine))
    world = engine.imagine([0], [3])
    for one, end in ((world, at), (engine, 43_200)):
        while one.is_running().any():
            one.step(stay(one))
        assert one.state.clock[0, d.TIME] == end


# --- the typical day --------------------------------------------------------------------------------------------------


def test_on_a_typical_day_what_is_expected_happens():
    engine = make_engine(4, "la8-high", noise=2.0)
    engine.reset(np.arange(4))
    forecast = engine.instance(0).forecast.reshape(64, 48)
    worlds = engine.imagine(np.arange(4), np.full(4, TYPICAL))
    for copy in range(4):
        came = [arrivals(worlds, copy, pair, 0, 43_200) for pair in range(64)]
        np.testing.assert_allclose(came, forecast.sum(axis=1), atol=1.01)
        morning = sum(arrivals(worlds, copy, pair, 0, 9000) for pair in range(64))
        assert morning == pytest.approx(forecast[:, :10].sum(), abs=40)
        assert worlds.state.clock[copy, d.CLOSURE_COUNT] == 0
    draw = np.random.default_rng(0)
    while worlds.is_running().any():
        worlds.step(np.where(worlds.masks > 0, draw.random(worlds.masks.shape), -1.0).argmax(axis=1), check=False)
    assert (worlds.state.aircraft[:, :, d.PHASE] != d.DOWN).all()
    flown = worlds.state.aircraft[:, :, d.LANDINGS] > 0
    assert set(worlds.state.aircraft[:, :, d.DELAY][flown].tolist()) == {240, 480}


def test_a_busy_morning_promises_a_busy_day():
    engine = make_engine(400, line([0, 12], 1, 300.0), noise=2.0)
    engine.reset(np.arange(400))
    for _ in range(14):
        engine.step(stay(engine), check=False)
    now = int(engine.state.clock[0, d.TIME])
    seen = np.array([arrivals(engine, copy, 1, -1, now) for copy in range(400)])
    later = np.array([arrivals(engine, copy, 1, now, 43_200) for copy in range(400)])
    worlds = engine.imagine(np.arange(400), np.full(400, TYPICAL))
    expected = np.array([arrivals(worlds, copy, 1, now, 43_200) for copy in range(400)])
    assert np.corrcoef(expected, seen)[0, 1] > 0.95
    assert np.corrcoef(expected, later)[0, 1] > 0.8
    assert later.mean() == pytest.approx(expected.mean(), rel=0.06)
