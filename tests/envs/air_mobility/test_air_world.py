"""A day's chances: the specification's check values, and what must hold of every day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.envs.air_mobility.catalogue import instance, resolve
from makespan.envs.air_mobility.networks import NETWORKS
from makespan.envs.air_mobility.world import most_arrivals, realise
from makespan.envs.core.random import mix, uniform

DISTANCES = {"la8": (564, 1173), "sf8": (1101, 3211), "nyc8": (1069, 368), "dfw8": (1140, 3048)}
UNFLYABLE = {"la8": 7, "sf8": 8, "nyc8": 5, "dfw8": 10}
ARRIVALS = {
    "la8-low": 1224,
    "la8-medium": 2444,
    "la8-high": 4887,
    "sf8-medium": 2366,
    "nyc8-medium": 2432,
    "dfw8-medium": 2373,
}


def test_the_generator_has_its_check_values():
    assert int(mix(np.uint64(0))) == 0xE220A8397B1DCDAF
    assert int(mix(np.uint64(1))) == 0x910A2DEC89025CC1
    assert uniform(0, 1, 0, 1, 0) == 0.4111075658296648
    assert uniform(7, 4, 3, 10) == 0.9491625407247779


@pytest.mark.parametrize("name", NETWORKS)
def test_distances_and_range(name: str):
    given = instance(f"{name}-medium")
    assert (given.network.distance[0, 1], given.network.distance[6, 7]) == DISTANCES[name]
    assert 56 - int(given.flyable.sum()) == UNFLYABLE[name]
    assert given.forecast[~given.flyable].max() == 0.0


def test_flights_between_lax_and_smo():
    la = instance("la8-medium")
    assert la.network.ids == ("LAX", "SMO", "BUR", "VNY", "LGB", "SNA", "EMT", "DTLA")
    assert (la.network.distance[0, 1], la.cruise[0, 1], la.energy[0, 1] // 3600) == (564, 273, 16_408)
    assert la.cost[0, 1] == 17_305_600
    assert la.flyable[7, 5]
    assert not la.flyable[5, 7]


def test_forecast_and_fare_at_the_morning_peak():
    la = instance("la8-medium")
    assert la.forecast[3, 7, 8] == pytest.approx(4.736487, abs=5e-7)
    assert la.fare[3, 7, 8] == 3087
    assert la.forecast.sum() == pytest.approx(2400.0)
    used = la.fare[la.flyable]
    assert (used.min(), used.max()) == (861, 3090)


@pytest.mark.parametrize("name", ARRIVALS)
def test_arrivals_of_day_0(name: str):
    assert sum(map(len, realise(instance(name), 0, 1.0).arrivals)) == ARRIVALS[name]


def test_day_0_of_los_angeles():
    day = realise(instance("la8-medium"), 0, 1.0)
    assert day.delay[0, :6].tolist() == [321, 113, 134, 117, 190, 149]
    assert day.arrivals[1][:4].tolist() == [336, 1328, 3036, 4215]
    closed = {tuple(row) for row in day.closures.tolist()}
    assert closed == {(3, 7, 9, 3), (4, 5, 11, 1)}
    assert day.downtime[24, 2] == 5950


def test_no_noise_leaves_only_the_arrivals_to_chance():
    day = realise(instance("la8-medium"), 5, 0.0)
    assert not day.delay.any()
    assert not len(day.closures)
    assert not day.downtime.any()
    assert 2100 < sum(map(len, day.arrivals)) < 2700


def test_more_noise_means_more_of_everything():
    mild, wild = (realise(instance("la8-medium"), 1, noise) for noise in (1.0, 2.0))
    assert wild.delay.sum() > 1.5 * mild.delay.sum()
    assert len(wild.closures) > len(mild.closures)
    assert (wild.downtime > 0).sum() > (mild.downtime > 0).sum()


def test_arrivals_are_as_forecast_on_the_mean():
    given = instance("la8-low")
    days = np.array([[len(one) for one in realise(given, seed, 1.0).arrivals] for seed in range(200)])
    expected = given.forecast.sum(axis=2).reshape(-1)
    error = np.sqrt((expected + expected**2 * 0.0645) / 200)
    assert np.all(np.abs(days.mean(axis=0) - expected) <= 4.5 * error + 1e-12)


def test_random_networks_serve_all_their_vertiports():
    for given in resolve("random:size=12x60:count=3:seed=4"):
        apart = given.network.distance[~np.eye(12, dtype=bool)]
        assert apart.min() >= 400
        charged = given.network.chargers > 0
        assert (~charged).sum() == 3
        assert given.flyable[:, charged].any(axis=1).all()
        assert given.flyable[charged].any(axis=0).all()
        assert given.passengers == 3600
        assert resolve(given.name)[0].hash == given.hash


def test_a_network_of_fifty_vertiports():
    (given,) = resolve("random:size=50x500:load=high")
    assert given.num_aircraft == 500
    assert given.network.stands.min() == 16
    assert set(given.network.chargers.tolist()) == {0, 8}
    assert sum(map(len, realise(given, 0, 1.0).arrivals)) == pytest.approx(60_000, rel=0.05)


def test_a_given_day_leaves_room_for_imagined_futures():
    """Imagination draws what is still to come from the forecast, beside whom the given day has brought."""
    (drawn,) = resolve("la8-low")
    day = realise(drawn, 3)
    come = sum(map(len, day.arrivals))
    assert most_arrivals(replace(drawn, day=day), 1.0) > come + drawn.forecast.sum()
