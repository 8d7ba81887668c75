"""Observations of air mobility: in their space, padded, the same as written from scratch, and right by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.observation import (
    ACTION_FEATURES,
    AIRCRAFT_FEATURES,
    GLOBAL_FEATURES,
    PAIR_FEATURES,
    SERIES_FEATURES,
    SPEC,
    VERTIPORT_FEATURES,
)
from numpy.typing import NDArray
from support.air_bridge import as_plain
from support.air_reference import PlainFleet, realise

OPTIONS: list[dict[str, Any]] = [
    {},
    {"instance": ["la8-high", "nyc8-low-tight", "rand5x9-medium-s1"], "noise": 2.0},
    {"instance": "dfw8-high", "taper": True},
]
NAMES = {
    "nodes/vertiport": VERTIPORT_FEATURES,
    "nodes/aircraft": AIRCRAFT_FEATURES,
    "edge_features/pairs": PAIR_FEATURES,
    "globals": GLOBAL_FEATURES,
    "actions/features": ACTION_FEATURES,
}


def table(engine: AirEngine, key: str) -> dict[str, NDArray[Any]]:
    """A feature array of copy 0 as {feature name: column}."""
    array = engine.block.views[key][0]
    return {feature.name: array[..., column] for column, feature in enumerate(NAMES[key])}


def choose(rng: np.random.Generator, masks: NDArray[Any]) -> NDArray[np.int64]:
    return np.where(masks > 0, rng.random(masks.shape), -1.0).argmax(axis=1)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rewriting_what_changed_equals_rewriting_everything(options: dict[str, Any]):
    engine = make_engine(6, **options)
    engine.reset(np.arange(6))
    rng, next_seed = np.random.default_rng(3), 6
    for step in range(2600):
        engine.step(choose(rng, engine.masks))
        if step % 13 == 0:
            written = engine.block.memory.copy()
            engine._write_all()
            for key, view in engine.block.views.items():
                begin, size = engine.layout.positions[key], view[0].nbytes
                assert np.array_equal(engine.block.memory[:, begin : begin + size], written[:, begin : begin + size]), (
                    key
                )
        ended = np.flatnonzero(~engine.is_running())
        if len(ended):
            engine.reset(next_seed + np.arange(len(ended)), copies=ended)
            next_seed += len(ended)
    assert next_seed >= 12


def test_a_play_that_was_not_watched_is_seen_as_one_that_was():
    one, other = (make_engine(3, "la8-high") for _ in range(2))
    for engine in (one, other):
        engine.reset(np.arange(3))
    rng, advance = np.random.default_rng(5), other.kernels.advance
    for step in range(300):
        actions = choose(rng, one.masks)
        one.step(actions)
        if step % 9 == 8:
            other.step(actions)
            assert np.array_equal(one.block.memory, other.block.memory)
        else:
            for copy in range(3):
                advance(other.problem, other.state, copy, actions[copy])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_observations_lie_in_their_space_and_padding_is_zero(options: dict[str, Any]):
    engine = make_engine(1, max_vertiports=11, max_aircraft=43, **options)
    for seed in range(3):
        engine.reset([seed])
        rng = np.random.default_rng(seed)
        step = 0
        while engine.is_running()[0]:
            if step % 50 == 0:
                check_row(engine)
            engine.step(choose(rng, engine.masks))
            step += 1
        check_row(engine)


def check_row(engine: AirEngine) -> None:
    row = engine.block.row(0)
    assert engine.layout.space.contains(row)
    assert all(np.isfinite(array).all() for array in row.values())
    for node in SPEC.nodes:
        assert not row[f"nodes/{node.name}"][row[f"node_mask/{node.name}"] == 0].any()
    for edge in SPEC.edges:
        pairs = row[f"edges/{edge.name}"]
        there = pairs[0] >= 0
        assert np.array_equal(there, pairs[1] >= 0)
        assert row[f"node_mask/{edge.source}"][pairs[0, there]].all()
        assert row[f"node_mask/{edge.target}"][pairs[1, there]].all()
        if edge.features:
            assert not row[f"edge_features/{edge.name}"][~there].any()
    assert not row["series/vertiport"][row["node_mask/vertiport"] == 0].any()
    assert not row["actions/features"][row["action_mask"] == 0].any()
    assert row["action_mask"].any() == engine.is_running()[0]
    n = engine.instance(0).num_vertiports
    assert row["actions/nodes"][:n, 0].tolist() == list(range(n))
    assert (row["actions/nodes"][:n, 1] >= 0).all() == engine.is_running()[0]
    assert (row["actions/nodes"][n:] == -1).all()


# --- against plain Python ---------------------------------------------------------------------------------------------


def expected_hour(problem: Any, i: int, j: int, t: int) -> float:
    return sum(problem.forecast[i][j][t // 900 : t // 900 + 4]) if t < 43_200 else 0.0


def check_actions(engine: AirEngine, fleet: PlainFleet) -> None:
    problem, t = fleet.problem, fleet.now
    assert fleet.decider is not None
    i, n, vehicle = fleet.at[fleet.decider], fleet.problem.n, fleet.problem.vehicle
    features, energy = table(engine, "actions/features"), fleet.energy(fleet.decider)
    gains = {j: fleet.gain(j) for j in fleet.legal() if j != i}
    best = max([0, *gains.values()])

    def worth(v: int, at: int) -> float:
        if at >= 43_200:
            return 0.0
        total = 0.0
        for m in range(n):
            margin = problem.fare[v][m][at // 900] / 100 - problem.cost(v, m) / 1e6 / vehicle.seats
            if problem.flyable(v, m):
                total += max(0.0, margin) * expected_hour(problem, v, m, at)
        return total / max(1, fleet.occupied[v])

    for j in fleet.legal():
        stays = j == i
        arrival = t + vehicle.stay if stays else t + vehicle.board + problem.cruise(i, j) + vehicle.unload
        k, later = t // 900, min(arrival // 900, 47)
        queue = [] if stays else fleet.waiting[i, j]
        out = sum(len(fleet.waiting[j, m]) for m in range(n) if m != j)
        coming = sum(expected_hour(problem, j, m, later * 900) for m in range(n) if m != j)
        wanted = {
            "is_stay": float(stays),
            "profit": 0.0 if stays else gains[j] / 20e6,
            "boardable": 0.0 if stays else fleet.boardable(j) / vehicle.seats,
            "waiting": len(queue) / 8,
            "oldest_wait": (t - queue[0]) / 1800 if queue else 0.0,
            "fare": 0.0 if stays else problem.fare[i][j][k] / 3000,
            "cost": 0.0 if stays else problem.cost(i, j) / 30e6,
            "profit_below_best": (best - (0 if stays else gains[j])) / 20e6,
            "value": worth(j, arrival) / 20,
            "value_gain": (worth(j, arrival) - worth(i, t + vehicle.stay)) / 20,
            "occupied_after": (fleet.occupied[j] + (not stays)) / problem.stands[j],
            "free_stands": (problem.stands[j] - fleet.occupied[j]) / 10,
            "spare_chargers": (problem.chargers[j] - len(fleet.plugged[j]) - len(fleet.queue[j])) / 4,
            "has_chargers": float(problem.chargers[j] > 0),
            "distance": problem.distance[i][j] / 4000,
            "forecast_out": coming / 40,
            "waiting_out": out / 20,
            "demand_per_seat": (out + coming) / (8 * vehicle.seats * max(1, fleet.occupied[j])),
            "time_left": max(0, 43_200 - arrival) / 43_200,
        }
        if not stays:
            after = energy - problem.energy(i, j)
            wanted |= {
                "full_profit": (vehicle.seats * problem.fare[i][j][k] / 100 - problem.cost(i, j) / 1e6) / 20,
                "charge_after": after / vehicle.battery,
                "charge_margin": (after - vehicle.reserve - problem.escape(j)) / vehicle.battery,
                "duration": (arrival - t + problem.delay_mean[i]) / 3600,
                "forecast": problem.forecast[i][j][k] / 5,
                "forecast_hour": expected_hour(problem, i, j, t) / 20,
                "forecast_back": expected_hour(problem, j, i, later * 900) / 20,
                "fare_back": problem.fare[j][i][later] / 3000,
                "waiting_back": len(fleet.waiting[j, i]) / 8,
                "next_fare": problem.fare[i][j][min(k + 1, 47)] / 3000,
            }
        for name, value in wanted.items():
            assert features[name][j] == pytest.approx(value, rel=1e-5, abs=1e-5), (name, t, i, j)


def check_rest(engine: AirEngine, fleet: PlainFleet) -> None:
    problem, t = fleet.problem, fleet.now
    assert fleet.decider is not None
    n, here = problem.n, fleet.at[fleet.decider]
    vertiports, everything = table(engine, "nodes/vertiport"), table(engine, "globals")
    pairs, aircraft = table(engine, "edge_features/pairs"), table(engine, "nodes/aircraft")
    total = sum(len(queue) for queue in fleet.waiting.values())
    assert everything["waiting"] == pytest.approx(total / 100)
    assert everything["charge"] == pytest.approx(fleet.energy(fleet.decider) / problem.vehicle.battery)
    assert everything["day_sine"] == pytest.approx(math.sin(2 * math.pi * t / 43_200), abs=1e-6)
    assert everything["legal_share"] == pytest.approx(len(fleet.legal()) / n)
    for v in range(n):
        inbound = sum(fleet.flying[a] and fleet.at[a] == v for a in range(len(fleet.at)))
        standing = sum(not fleet.flying[a] and fleet.at[a] == v for a in range(len(fleet.at)))
        assert vertiports["occupied"][v] == pytest.approx(fleet.occupied[v] / problem.stands[v])
        assert vertiports["inbound"][v] == pytest.approx(inbound / problem.stands[v])
        assert vertiports["standing"][v] == pytest.approx(standing / problem.stands[v])
        assert vertiports["chargers_in_use"][v] == pytest.approx(len(fleet.plugged[v]) / max(1, problem.chargers[v]))
        assert vertiports["charger_queue"][v] == len(fleet.queue[v]) / 4
        assert vertiports["is_here"][v] == (v == here)
        for w in range(n):
            slot = v * n + w
            if v == w:
                continue
            queue, until = fleet.waiting[v, w], fleet.day.closed_until(v, w, t)
            assert pairs["flyable"][slot] == problem.flyable(v, w)
            assert pairs["open"][slot] == (until == 0)
            assert pairs["closure_left"][slot] == pytest.approx(max(0, until - t) / 7200)
            assert pairs["waiting"][slot] == len(queue) / 8
            assert pairs["oldest_wait"][slot] == pytest.approx((t - queue[0]) / 1800 if queue else 0.0)
            assert pairs["fare"][slot] == pytest.approx(problem.fare[v][w][t // 900] / 3000)
            assert pairs["forecast_hour"][slot] == pytest.approx(expected_hour(problem, v, w, t) / 20, abs=1e-6)
    for a in range(len(fleet.at)):
        assert aircraft["charge"][a] == pytest.approx(fleet.energy(a) / problem.vehicle.battery)
        assert aircraft["standing"][a] + aircraft["down"][a] == (not fleet.flying[a])
        assert aircraft["is_decider"][a] == (a == fleet.decider)
        assert aircraft["queued"][a] == (a in fleet.queue[fleet.at[a]])
        assert aircraft["charging"][a] == (a in fleet.plugged[fleet.at[a]])
        assert aircraft["landings"][a] == pytest.approx(fleet.landings[a] / 20)
    assert engine.block.views["edges/at"][0, 1].tolist() == fleet.at
    series = engine.block.views["series/vertiport"][0].reshape(n, 16, len(SERIES_FEATURES))
    for step in (0, 5, 15):
        k = t // 900 + step
        for j in range(n):
            wanted = [0.0] * 4
            if k < 48:
                out = sum(problem.forecast[j][m][k] for m in range(n))
                wanted = [problem.forecast[here][j][k] / 5, problem.forecast[j][here][k] / 5, out / 5]
                wanted += [problem.fare[here][j][k] / 3000 if j != here else 0.0]
            assert series[j, step].tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["la8-medium", "dfw8-high", "rand5x9-high-tight-s2"])
def test_features_are_those_of_the_plain_simulator(name: str):
    engine = make_engine(1, name, noise=2.0)
    engine.reset([6])
    problem = as_plain(engine.instance(0))
    fleet = PlainFleet(problem, realise(problem, 6, 2.0))
    rng, step = np.random.default_rng(1), 0
    while fleet.decider is not None:
        if step % 23 == 0:
            check_actions(engine, fleet)
        if step % 61 == 0:
            check_rest(engine, fleet)
        action = int(choose(rng, engine.masks)[0])
        engine.step([action])
        fleet.act(action)
        step += 1
    assert step > 250


def test_all_features_move():
    """No feature has one value all over some days of several networks."""
    engine = make_engine(8, ["la8-high", "nyc8-low", "random:size=6x20:count=2"], noise=2.0)
    engine.reset(np.arange(8))
    rng = np.random.default_rng(0)
    low: dict[str, NDArray[Any]] = {}
    high: dict[str, NDArray[Any]] = {}
    while engine.is_running().all():
        for key in NAMES:
            array = engine.block.views[key]
            flat = array.reshape(-1, array.shape[-1])
            low[key] = np.minimum(low[key], flat.min(axis=0)) if key in low else flat.min(axis=0)
            high[key] = np.maximum(high[key], flat.max(axis=0)) if key in high else flat.max(axis=0)
        engine.step(choose(rng, engine.masks))
    still = [
        f"{key}.{feature.name}"
        for key, features in NAMES.items()
        for column, feature in enumerate(features)
        if low[key][column] == high[key][column]
    ]
    assert still == []
    large = [
        f"{key}.{feature.name}"
        for key, features in NAMES.items()
        for column, feature in enumerate(features)
        if high[key][column] > 12.0
    ]
    assert set(large) <= {"actions/features.value", "actions/features.value_gain", "globals.value_here"}
