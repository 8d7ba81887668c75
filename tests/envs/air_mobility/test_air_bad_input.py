"""What may be wrong with a user's network or day: one line that names field and value, exit code 2, nothing written."""

import json

import numpy as np
import pytest
from makespan.cli.main import main
from makespan.envs.air_mobility.catalogue import resolve
from makespan.envs.air_mobility.env import AirMobilityEnv
from makespan.envs.air_mobility.formats import day_document, network_document, network_hash
from makespan.envs.core.errors import UserError
from support.air_bridge import as_instance
from support.air_reference import city, realise

ENV = "makespan/AirMobility-v0"


def day() -> dict:
    """A day of la8 with 8 aircraft as plain data."""
    problem = city("la8", "medium", fleet=8)
    instance = as_instance(problem, realise(problem, 0), "la8")
    assert instance.day is not None
    return json.loads(json.dumps(day_document(instance, instance.day)))


def network() -> dict:
    instance = as_instance(city("la8", "medium", fleet=8), name="la8")
    return json.loads(json.dumps(network_document(instance.network, instance.vehicle)))


def with_vertiport(data: dict, v: int, **fields) -> None:
    data["vertiports"][v].update(fields)


def far_apart(data: dict) -> None:
    data["d"] = (np.array(data["d"]) * 20).tolist()


def without_chargers(data: dict) -> None:
    for row in data["vertiports"]:
        row["chargers"] = 0


def few_stands(data: dict) -> None:
    for row in data["vertiports"]:
        row["stands"] = 5


NETWORKS = {
    "missing row": (lambda d: d["d"].pop(), "d is '7 rows', expected 8"),
    "missing pair": (lambda d: d["d"][3].pop(), "d[3] (from VNY) is '7 distances', expected 8"),
    "no distance of a pair": (lambda d: d["d"][0].__setitem__(1, None), "d[0][1] (LAX to SMO) is None"),
    "negative distance": (lambda d: d["d"][0].__setitem__(1, -564), "d[0][1] (LAX to SMO) is -564"),
    "distance of 0": (lambda d: d["d"][2].__setitem__(1, 0), "d[2][1] (BUR to SMO) is 0, expected an integer from 1"),
    "distance to itself": (lambda d: d["d"][1].__setitem__(1, 5), "d[1][1] (SMO to SMO) is 5"),
    "unknown type": (lambda d: with_vertiport(d, 1, type="H"), "vertiports[1] type is 'H'"),
    "latitude": (lambda d: with_vertiport(d, 2, lat=340.0), "latitude[2] is 340.0"),
    "code twice": (lambda d: with_vertiport(d, 1, id="LAX"), "ids is 'LAX'"),
    "code with a dash": (lambda d: with_vertiport(d, 1, id="S-MO"), "vertiports[1] id is 'S-MO'"),
    "NaN mass": (lambda d: with_vertiport(d, 4, mass=float("nan")), "vertiports[4].mass is nan, expected a finite"),
    "range that no battery reaches": (far_apart, "distance", "the battery lasts"),
    "no charger anywhere": (without_chargers, "chargers is [0, 0, 0, 0, 0, 0, 0, 0]", "a charger"),
    "more aircraft than parking": (few_stands, "stands at vertiports with chargers is 30", "more than the fleet of 40",
        "for fewer aircraft name it", "file.json:fleet=N"),
    "as many aircraft as parking": (lambda d: d["params"].update(aircraft=48), "with chargers is 48", "fleet of 48"),
    "no aircraft": (lambda d: d["params"].update(aircraft=0), "params.aircraft is 0"),
    "half an aircraft": (lambda d: d["params"].update(aircraft=8.5), "params.aircraft is 8.5"),
    "reserve": (lambda d: d["params"]["vehicle"].update(reserve=396_000_000), "reserve is 396000000"),
    "unknown parameter": (lambda d: d["params"].update(speed=3), "params", "'speed'"),
    "missing key": (lambda d: d.pop("vertiports"), "'vertiports'"),
    "format": (lambda d: d.update(format="airmobility-net/2"), "format is 'airmobility-net/2'"),
}  # fmt: skip

DAYS = {
    "missing pair": (lambda d: d["arrivals"].pop("LAX-SMO"), "arrivals", "'LAX-SMO'"),
    "unknown airport in arrivals": (lambda d: d["arrivals"].update({"LAX-SFO": [3]}), "arrivals", "'LAX-SFO'"),
    "unknown airport in closures": (lambda d: d["closures"].append(["LAX", "JFK", 3, 1]), "closures[", "'JFK'"),
    "unknown airport in start": (lambda d: d["start"].__setitem__(0, ["XXX", 5]), "start[0]", "'XXX'"),
    "time after the day": (lambda d: d["arrivals"]["LAX-SMO"].append(43_200), "arrivals.LAX-SMO[", "is 43200"),
    "time before the day": (lambda d: d["arrivals"]["LAX-SMO"].insert(0, -1), "arrivals.LAX-SMO[0] is -1"),
    "times not sorted": (lambda d: d["arrivals"]["LAX-SMO"].reverse(), "arrivals"),
    "closure after the day": (lambda d: d["closures"].append(["LAX", "SMO", 24, 1]), "first half hour is 24"),
    "delay": (lambda d: d["delay"][0].__setitem__(5, -7), "delay[0][5] is -7"),
    "delays of too few slots": (lambda d: [row.pop() for row in d["delay"]], "delay", "8 x 143"),
    "downtime of no aircraft": (lambda d: d["downtime"].append([8, 0, 3000]), "aircraft is 8"),
    "downtime of landing 64": (lambda d: d["downtime"].append([7, 64, 3000]), "landing is 64"),
    "NaN demand": (lambda d: d["forecast"][0][1].__setitem__(7, float("nan")), "forecast[0][1][7] is nan"),
    "no demand": (lambda d: d["forecast"][0][1].__setitem__(7, None), "forecast"),
    "infinite demand": (lambda d: d["forecast"][0][1].__setitem__(7, float("inf")), "forecast[0][1][7] is inf"),
    "negative demand": (lambda d: d["forecast"][0][1].__setitem__(7, -1.0), "forecast[0][1][7] is -1.0"),
    "demand where no battery lasts": (lambda d: d["forecast"][5][7].__setitem__(0, 1.0), "forecast[5][7][0] is 1.0"),
    "fare": (lambda d: d["fare_cents"][0][1].__setitem__(3, 8.5), "fare"),
    "energy": (lambda d: d["start"].__setitem__(2, ["BUR", 10**9]), "start[2] J is 1000000000"),
    "more aircraft than parking": (lambda d: d.update(start=[["SMO", 10**8]] * 9), "SMO is 9, expected at most 8"),
    "noise": (lambda d: d.update(noise="x"), "noise of the day is 'x'"),
    "other network": (lambda d: d["network"]["d"][0].__setitem__(1, 999), "net.sha256 is"),
}  # fmt: skip


def write(folder, data: dict):
    path = folder / "file.json"
    path.write_text(json.dumps(data))
    return path


def check_refused(path, parts) -> None:
    with pytest.raises(UserError) as error:
        resolve(str(path))
    message = str(error.value)
    assert "\n" not in message
    assert "file.json" in message
    assert len(message) < 400
    for part in parts:
        assert part in message, message


def test_what_is_broken_is_accepted_before(tmp_path):
    assert resolve(str(write(tmp_path, network())))[0].network.name == "la8"
    assert resolve(str(write(tmp_path, day())))[0].num_aircraft == 8


@pytest.mark.parametrize("what", NETWORKS)
def test_networks(tmp_path, what):
    data = network()
    change, *parts = NETWORKS[what]
    change(data)
    check_refused(write(tmp_path, data), parts)


@pytest.mark.parametrize("what", DAYS)
def test_days(tmp_path, what):
    data = day()
    change, *parts = DAYS[what]
    change(data)
    check_refused(write(tmp_path, data), parts)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (["x", 1], "start[1] vertiport is 'x'"),
        ([[0], 1], "start[1] vertiport is [0]"),
        ([0, [1, 2]], "start[1] energy is [1, 2]"),
        ([8, 1], "start[1] vertiport is 8, expected an integer from 0 to 7"),
        ([0, None], "start[1] energy is None"),
        (5, "start[1] is 5"),
    ],
)
def test_where_aircraft_start_in_our_form(tmp_path, row, part):
    problem = city("la8", "medium", fleet=8)
    data = json.loads(json.dumps(as_instance(problem, realise(problem, 0), "la8").to_dict()))
    assert resolve(str(write(tmp_path, data)))[0].num_aircraft == 8
    data["start"][1] = row
    check_refused(write(tmp_path, data), [part])


@pytest.mark.parametrize("row", [[0, 1, 2], [0, 1, [2], 3], "0123", {}, [0, 1, 2.5, 1], [0, 1, 10**30, 1], None])
def test_closures_in_our_form(tmp_path, row):
    problem = city("la8", "medium", fleet=8)
    data = json.loads(json.dumps(as_instance(problem, realise(problem, 0), "la8").to_dict()))
    data["day"]["closures"] = [[0, 1, 3, 1], row]
    check_refused(write(tmp_path, data), ["closures[1] is"])


def test_a_number_that_is_none_deep_in_a_file(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("[" * 900 + "NaN" + "]" * 900)
    check_refused(path, ["[0][0][0] is nan, expected a finite number"])


def test_a_day_has_the_aircraft_that_its_network_names(tmp_path):
    data = day()
    data["network"]["params"]["aircraft"] = 8
    data["net"]["sha256"] = network_hash(data["network"])
    assert resolve(str(write(tmp_path, data)))[0].num_aircraft == 8
    data["start"].pop()
    check_refused(write(tmp_path, data), ["start is '7 aircraft', expected 8, as the network's params.aircraft"])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "airmobility-day/1"}', "NaN", '{"a": 1, "a": 2}'])
def test_what_is_no_such_file(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    check_refused(path, [])


def test_a_load_and_a_fleet_are_for_networks(tmp_path):
    check_refused(f"{write(tmp_path, day())}:load=high", ["option load is 'high'"])
    check_refused(f"{write(tmp_path, day())}:fleet=9", ["option fleet is 9"])
    assert resolve(f"{write(tmp_path, network())}:load=high")[0].load == "high"


def small_city(folder, **params):
    """A network's file of three vertiports with four stands each, two with chargers: seven aircraft at most."""
    data = network()
    keep = [0, 2, 3]
    data["vertiports"] = [{**data["vertiports"][v], "stands": 4} for v in keep]
    data["d"] = [[data["d"][i][j] for j in keep] for i in keep]
    data["vertiports"][1]["chargers"] = 0
    data["params"].update(params)
    return write(folder, data)


def test_a_small_city_is_played_with_a_small_fleet(tmp_path, capsys):
    path = str(small_city(tmp_path))
    check_refused(path, ["stands at vertiports with chargers is 8", "more than the fleet of 40", "file.json:fleet=N"])
    check_refused(f"{path}:fleet=8", ["stands at vertiports with chargers is 8", "more than the fleet of 8"])
    check_refused(f"{small_city(tmp_path, aircraft=7)}:fleet=9", ["more than the fleet of 9"])
    check_refused(f"{path}:fleet=none", ["option fleet is 'none'"])
    (named,) = resolve(f"{path}:fleet=7")
    assert (named.num_aircraft, named.passengers) == (7, 2400 * 7 / 40)
    (told,) = resolve(str(small_city(tmp_path, aircraft=6)))
    assert told.num_aircraft == 6
    path = str(small_city(tmp_path))
    for env in (AirMobilityEnv(instance=path, fleet=5), AirMobilityEnv(fleet=5)):
        env.reset(seed=0, options={"instance": path})
        assert env.engine.instance(0).num_aircraft == 5
    assert main(["evaluate", f"{ENV}:fleet=5", "--agents", "greedy-profit", "--instances", path]) == 0
    assert "greedy-profit" in capsys.readouterr().out
    assert main(["evaluate", ENV, "--agents", "greedy-profit", "--instances", path]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "make,change,part",
    [
        (network, lambda d: d["d"][0].__setitem__(1, -564), "d[0][1] (LAX to SMO) is -564"),
        (day, lambda d: d["arrivals"].pop("LAX-SMO"), "'LAX-SMO'"),
        (day, lambda d: d["forecast"][0][1].__setitem__(7, float("nan")), "forecast[0][1][7] is nan"),
    ],
)
def test_the_command_line(tmp_path, capsys, make, change, part):
    data = make()
    change(data)
    path, out = write(tmp_path, data), tmp_path / "out"
    command = ["evaluate", ENV, "--agents", "random", "--instances", str(path), "--out", str(out)]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert part in printed.err
    assert printed.err.count("\n") == 1
    assert not out.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.json"]


@pytest.mark.parametrize(
    "name,message",
    [
        ("lax8-medium", "unknown instance 'lax8-medium'; did you mean"),
        ("la8-huge", "unknown instance 'la8-huge'; did you mean"),
        ("la8-low:vehicle=helicopter", "unknown vehicle 'helicopter'"),
        ("random:size=2x4", "option size is '2x4'"),
        ("random:size=8x40:load=none", "unknown load 'none'"),
        ("./none/*.json", "matches no file"),
    ],
)
def test_names(name, message):
    with pytest.raises(UserError, match=message) as error:
        resolve(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e300, "x", None, True])
def test_passengers_in_our_form(tmp_path, value):
    problem = city("la8", "medium", fleet=8)
    data = json.loads(json.dumps(as_instance(problem, name="la8").to_dict()))
    data["passengers"] = value
    check_refused(write(tmp_path, data), ["passengers is"])
