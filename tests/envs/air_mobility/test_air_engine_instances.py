"""Instances of air mobility: names, variants, vehicles, files, and what is wrong with them, in one line."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from makespan.envs.air_mobility import instance as air
from makespan.envs.air_mobility.catalogue import instance, names, resolve
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.instance import AirInstance, AirNetwork
from makespan.envs.air_mobility.vehicles import EVTOL_2025, EVTOL_2025_SOURCES, Vehicle
from makespan.envs.air_mobility.world import realise
from makespan.envs.core.errors import FieldError, UserError


def changed(given: AirInstance, **network: Any) -> AirInstance:
    """An instance with another network of the same size."""
    return replace(given, network=replace(given.network, **network))


def test_names_are_those_of_the_specification():
    assert names() == [f"{net}-{load}" for net in ("la8", "sf8", "nyc8", "dfw8") for load in ("low", "medium", "high")]
    assert [one.name for one in resolve("sf8")] == ["sf8-low", "sf8-medium", "sf8-high"]
    tight = instance("la8-medium-tight")
    assert (tight.corridors, tight.separation, set(tight.network.stands.tolist())) == (1, 360, {7})
    assert instance("la8-low").passengers == 1200
    assert resolve("random:size=8x40:load=high:count=2:seed=3")[1].name == "rand8x40-high-s4"


@pytest.mark.parametrize(
    "name, same",
    [
        ("la8-low:vehicle=evtol-2025", "la8-low-evtol-2025"),
        ("dfw8-high-tight:vehicle=evtol-2025", "dfw8-high-tight-evtol-2025"),
        ("random:size=5x8:vehicle=evtol-2025:seed=3", "rand5x8-medium-s3-evtol-2025"),
        ("rand5x8-low-tight-s9:vehicle=captain", "rand5x8-low-tight-s9"),
        ("la8-low-evtol-2025:vehicle=captain", "la8-low"),
    ],
)
def test_names_say_which_vehicle_flies(name: str, same: str):
    (one,), (other,) = resolve(name), resolve(same)
    assert one.name == other.name == same
    assert one.hash == other.hash
    assert (one.vehicle == EVTOL_2025) == same.endswith("evtol-2025")


@pytest.mark.parametrize(
    "name, said",
    [
        ("la9-low", "unknown instance 'la9-low'; did you mean 'la8-low'"),
        ("random:size=2x40", "option size is '2x40', expected vertiports x aircraft"),
        ("random:load=huge", "unknown load 'huge'"),
        ("random:fleet=3", "unknown option"),
        ("la8-low:vehicle=boeing", "unknown vehicle 'boeing'"),
        ("./none.json", "no such file"),
    ],
)
def test_mistakes_in_names_are_told(name: str, said: str):
    with pytest.raises(UserError, match=said):
        make_engine(1, name)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"noise": -1}, "option noise is -1, expected a number from 0 to 4"),
        ({"vehicle": "x"}, "unknown vehicle 'x'"),
        ({"pads": -1}, "option pads is -1, expected an integer from 0 to 64"),
        ({"pads": True}, "option pads is True, expected an integer from 0 to 64"),
        ({"fleet": 0}, "option fleet is 0, expected an integer from 1 to 2000"),
        ({"fleet": 60}, "stands at vertiports with chargers is 48, expected more than the fleet of 60"),
        ({"taper": "yes"}, "option taper is 'yes', expected true or false"),
        ({"nose": 1}, "unknown option of makespan/AirMobility-v0 'nose'; did you mean 'noise'"),
        ({"max_aircraft": 10}, "option max_aircraft is 10, expected an integer of at least 40"),
    ],
)
def test_mistakes_in_options_are_told(options: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        make_engine(1, **options)


def test_every_number_of_the_newer_vehicle_has_a_source():
    assert set(EVTOL_2025_SOURCES) == {field.name for field in fields(Vehicle)} - {"name"}
    usable = EVTOL_2025.battery - EVTOL_2025.reserve - EVTOL_2025.energy_flight
    assert 95 <= usable / EVTOL_2025.energy_mile / 100 <= 105, "miles"
    mph = 3600 * EVTOL_2025.cruise_denominator / EVTOL_2025.cruise_numerator / 100
    assert mph == 150


def test_a_vehicle_and_a_fleet_for_all_instances():
    engine = make_engine(2, "la8-medium,sf8-low", vehicle="evtol-2025", fleet=20, max_aircraft=40)
    engine.reset([0, 1])
    for copy in range(2):
        played = engine.instance(copy)
        assert played.vehicle == EVTOL_2025
        assert played.num_aircraft == 20
        assert played.forecast.sum() == pytest.approx(played.passengers)
        assert int(played.flyable.sum()) == 56
    assert {one.passengers for one in engine.source.fixed} == {1200, 600}
    engine.reset([3], copies=np.array([0]), instances=["nyc8-high"])
    assert engine.instance(0).vehicle == EVTOL_2025
    for seed in range(3):  # is not adapted anew each time
        engine.reset([seed], copies=np.array([0]), instances=[instance("dfw8-high")])
        assert engine.instance(0).num_aircraft == 20
        assert len(engine.source.instances) == 4
    short = replace(instance("la8-low"), horizon=20_000, patience=900, corridors=1)
    (played,) = make_engine(1, short, vehicle="evtol-2025").source.fixed
    assert (played.horizon, played.patience, played.corridors) == (20_000, 900, 1)
    given = replace(instance("la8-low"), day=realise(instance("la8-low"), 0))
    with pytest.raises(UserError, match="option vehicle is given, but instance 'la8-low' has a demand of its own"):
        make_engine(1, given, vehicle="evtol-2025")


@pytest.mark.parametrize("vehicle", [[], {}, 3])
def test_a_vehicle_that_is_no_name_is_refused(vehicle):
    with pytest.raises(UserError, match="unknown vehicle"):
        make_engine(1, "la8-low", vehicle=vehicle)


def test_an_instance_may_come_later_if_it_fits():
    engine, other = make_engine(2, "la8-low", record=True), make_engine(1, "la8-low", record=True)
    engine.reset([0, 5])
    other.reset([0])
    for _ in range(50):
        engine.step(np.array([int(np.flatnonzero(mask)[-1]) for mask in engine.masks]))
        other.step([int(np.flatnonzero(other.masks[0])[-1])])
    engine.reset([1], copies=np.array([1]), instances=["la8-high"])
    while engine.is_running()[0]:
        np.testing.assert_array_equal(engine.block.memory[0], other.block.memory[0])
        actions = np.array([int(np.flatnonzero(mask)[-1]) if mask.any() else 0 for mask in engine.masks])
        engine.step(actions)
        other.step(actions[:1])
    np.testing.assert_array_equal(engine.schedule(0).decisions, other.schedule(0).decisions)
    assert engine.metrics(1)["arrivals"] > 4000
    with pytest.raises(UserError, match="has 12 vertiports, but the environment has room for 8"):
        engine.reset([1, 1], instances=["rand12x60-low-s0"] * 2)


def test_files_are_read_back(tmp_path):
    given = instance("dfw8-high-tight")
    for one in (given, replace(given, day=realise(given, 3, 2.0))):
        path = tmp_path / "one.json"
        one.save(path)
        again = AirInstance.load_file(path)
        assert again.hash == one.hash
        assert (again.day is None) == (one.day is None)
        engine = make_engine(1, str(path))
        engine.reset([0])
        assert engine.instance(0).hash == one.hash


def test_a_given_day_is_the_same_world_as_its_seed():
    given = instance("la8-medium")
    drawn, fixed = (
        make_engine(1, given, record=True),
        make_engine(1, replace(given, day=realise(given, 9, 1.0)), record=True),
    )
    drawn.reset([9])
    fixed.reset([1234])
    while drawn.is_running()[0]:
        np.testing.assert_array_equal(drawn.block.memory, fixed.block.memory)
        action = int(np.flatnonzero(drawn.masks[0])[-1])
        drawn.step([action])
        fixed.step([action])
    np.testing.assert_array_equal(drawn.schedule(0).decisions, fixed.schedule(0).decisions)


def _network(**changes: Any) -> AirNetwork:
    return replace(instance("la8-medium").network, **changes)


def _distance(i: int, j: int, value: Any) -> Any:
    table = instance("la8-medium").network.distance.astype(type(value)).copy()
    table[i, j] = value
    return table


def _forecast(value: float, i: int = 0, j: int = 1) -> Any:
    table = instance("la8-medium").forecast.copy()
    table[i, j, 3] = value
    return table


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: _network(distance=_distance(0, 1, -5)), r"distance\[0\]\[1\] is -5, expected an integer from 0"),
        (lambda: _network(distance=_distance(2, 3, 0)), r"distance\[2\]\[3\] is 0, expected at least 1"),
        (lambda: _network(distance=_distance(2, 3, 1.5)), "distance is 'an array of float64', expected 8 x 8 integers"),
        (lambda: _network(chargers=np.zeros(8, dtype=int)), "chargers is .*, expected a charger at one vertiport"),
        (lambda: _network(ids=("A",) * 8), "ids is 'A', expected each name once"),
        (lambda: _network(latitude=np.full(8, np.nan)), r"latitude\[0\] is nan"),
        (lambda: _network(stands=np.ones(7, dtype=int)), "stands is '7 numbers', expected 8 integers"),
        (
            lambda: changed(instance("la8-medium"), stands=np.full(8, 6)),
            "stands at vertiports with chargers is 36, expected more than the fleet of 40",
        ),
        (
            lambda: changed(instance("la8-medium"), distance=instance("la8-medium").network.distance * 40),
            "expected 0: the battery does not last for this flight",
        ),
        (lambda: replace(instance("la8-medium"), forecast=_forecast(np.nan)), r"forecast\[0\]\[1\]\[3\] is nan"),
        (lambda: replace(instance("la8-medium"), forecast=_forecast(-1.0)), r"forecast\[0\]\[1\]\[3\] is -1.0"),
        (lambda: replace(instance("la8-medium"), horizon=50_000), "horizon is 50000, expected an integer from 1"),
        (
            lambda: replace(instance("la8-medium"), start_vertiport=np.zeros(40, dtype=int)),
            "aircraft that start at LAX is 40, expected at most 8, its stands",
        ),
        (lambda: replace(EVTOL_2025, reserve=EVTOL_2025.battery), "reserve is .*, expected less than the battery"),
        (lambda: replace(EVTOL_2025, seats=0), "seats is 0, expected an integer from 1"),
    ],
)
def test_what_is_wrong_with_data_is_told_in_one_line(make: Any, said: str):
    with pytest.raises(FieldError, match=said) as told:
        make()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda data: data.pop("forecast"), "expected an object with the key 'forecast'"),
        (lambda data: data["network"]["vertiports"][2].update(type="X"), r"vertiports\[2\] type is 'X'"),
        (lambda data: data["network"]["d"][1].pop(), "distance is 'rows of different lengths'"),
        (lambda data: data.update(start=[[0]]), r"start\[0\] is \[0\], expected \[vertiport, energy\]"),
        (lambda data: data["day"]["arrivals"].update({"0-1": [50, 40]}), r"arrivals\[0-1\]\[1\] is 40"),
        (lambda data: data["day"]["arrivals"].update({"0-9": [50]}), "unknown key of .*arrivals"),
        (lambda data: data["day"]["closures"].append([3, 1, 0, 1]), r"closures\[\d+\] is \[3, 1, 0, 1\]"),
        (lambda data: data["day"]["downtime"].append([40, 0, 1]), r"downtime\[\d+\] aircraft is 40"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_name(change: Any, said: str):
    given = instance("la8-low")
    data = replace(given, day=realise(given, 0)).to_dict()
    change(data)
    with pytest.raises(UserError, match=said) as told:
        AirInstance.from_dict(data, "some.json")
    assert "some.json" in str(told.value)


def test_formats_are_named():
    assert (air.FORMAT, air.VERSION) == ("makespan/air-mobility", 1)
