"""Files of networks, days and logs: what is written is read back; what is wrong is named."""

import json

import numpy as np
import pytest
from makespan.envs.air_mobility.catalogue import resolve
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.formats import (
    LOG_KEYS,
    NetworkFile,
    day_document,
    load,
    log_lines,
    network_document,
    network_hash,
    read_day,
    read_log_lines,
    save_day,
    save_network,
)
from makespan.envs.air_mobility.instance import AirInstance
from makespan.envs.core.errors import UserError
from support.air_bridge import as_instance, as_schedule, plain_day
from support.air_cases import CASES
from support.air_reference import PlainFleet, city, random_choice, realise

RULES = {"horizon": 43_200, "corridors": 2, "separation": 180, "patience_corridor": 300, "patience": 1800}


@pytest.fixture(scope="module")
def la8() -> AirInstance:
    problem = city("la8", "medium", fleet=8)
    return as_instance(problem, realise(problem, 0), "la8")


def test_networks(la8, tmp_path):
    save_network(la8.network, la8.vehicle, tmp_path / "la8.json", corridors=1)
    found = load(tmp_path / "la8.json")
    assert isinstance(found, NetworkFile)
    assert found.network.to_dict() == la8.network.to_dict()
    assert (found.vehicle, found.rules, found.aircraft) == (la8.vehicle, {"corridors": 1}, None)


def test_the_form_of_a_network(la8):
    document = network_document(la8.network, la8.vehicle)
    assert document["format"] == "airmobility-net/1"
    assert set(document) == {"format", "name", "vertiports", "d", "params"}
    first = {"id": "LAX", "lat": 33.9425, "lon": -118.408, "type": "A", "mass": 1.2}
    assert document["vertiports"][0] == {**first, "stands": 8, "chargers": 4, "delay_mean": 240}
    assert document["d"][0][1] == 564


def test_days(la8, tmp_path):
    save_day(la8, la8.day, tmp_path / "day.json")
    again = load(tmp_path / "day.json")
    assert isinstance(again, AirInstance)
    assert again.to_dict() == la8.to_dict()
    assert again.day is not None
    assert la8.day is not None
    assert plain_day(again.day) == plain_day(la8.day)


def test_the_form_of_a_day(la8):
    document = day_document(la8, la8.day)
    assert document["format"] == "airmobility-day/1"
    assert document["net"] == {"name": "la8", "sha256": network_hash(document["network"])}
    assert len(document["net"]["sha256"]) == 64
    assert document["arrivals"]["LAX-SMO"][:4] == [336, 1328, 3036, 4215]
    assert len(document["arrivals"]) == 56
    assert document["delay"][0][:6] == [321, 113, 134, 117, 190, 149]
    assert ["VNY", "DTLA", 9, 3] in document["closures"]
    assert document["start"][1] == ["SMO", 396_000_000]
    assert document["fare_cents"][3][7][8] == la8.fare[3, 7, 8]


def test_a_day_plays_as_it_was_played(la8, tmp_path):
    problem = city("la8", "medium", fleet=8)
    save_day(la8, la8.day, tmp_path / "day.json")
    again = load(tmp_path / "day.json")
    assert isinstance(again, AirInstance)
    day = again.day
    assert day is not None
    one, two = (PlainFleet(problem, each).play(random_choice(0)) for each in (realise(problem, 0), plain_day(day)))
    assert one.log == two.log


def test_instances_in_our_form_are_read_too(la8, tmp_path):
    la8.save(tmp_path / "instance.json")
    again = load(tmp_path / "instance.json")
    assert isinstance(again, AirInstance)
    assert again.to_dict() == la8.to_dict()


def test_logs():
    case = CASES["E"]
    schedule = as_schedule(PlainFleet(case.problem, case.day).play(random_choice(3)))
    text = log_lines(schedule.decisions, schedule.charges, schedule.instance.network.ids)
    assert tuple(json.loads(text.splitlines()[0])) == LOG_KEYS
    decisions, charges = read_log_lines(text, schedule.instance.network.ids)
    assert np.array_equal(decisions, schedule.decisions)
    assert np.array_equal(charges, schedule.charges)


def test_an_empty_log():
    decisions, charges = read_log_lines("\n", ("V0", "V1"))
    assert (decisions.shape, charges.shape) == ((0, 11), (0, 5))


def test_a_log_file(tmp_path):
    case = CASES["A"]
    schedule = as_schedule(PlainFleet(case.problem, case.day).play(random_choice(3)))
    schedule.save_log(tmp_path / "log.jsonl")
    ids = schedule.instance.network.ids
    decisions, _ = read_log_lines((tmp_path / "log.jsonl").read_text(), ids)
    assert np.array_equal(decisions, schedule.decisions)


@pytest.mark.parametrize(
    "line,message",
    [
        ('{"t": 0}', "log.jsonl|line 1"),
        ("nonsense", "line 1: not JSON"),
        ('{"a": 0, "v": "LAX", "t0": 0, "t1": 5, "J": 1}', r"vertiport in log: line 1.v: 'LAX'"),
        ('{"a": 0, "v": "V0", "t0": 0.5, "t1": 5, "J": 1}', "line 1.t0 is 0.5, expected an integer"),
        ("[1]", r"line 1 is \[1\], expected an object"),
    ],
)
def test_malformed_logs_are_refused(line, message):
    with pytest.raises(UserError, match=message) as error:
        read_log_lines(line, ("V0", "V1"), "log")
    assert "\n" not in str(error.value)


def test_a_day_of_another_network_is_refused(la8):
    document = day_document(la8, la8.day)
    document["network"]["d"][0][1] += 1
    with pytest.raises(UserError, match=r"net\.sha256 is"):
        read_day(document)
    document = day_document(la8, la8.day)
    document["net"]["name"] = "sf8"
    with pytest.raises(UserError, match=r"net\.name is 'sf8', expected 'la8'"):
        read_day(document)


def test_a_drawn_day_is_saved_shared_and_played_again(tmp_path):
    """What the engine drew from a seed goes to a file; whoever has the file plays the same day, whatever the seed."""
    engine = make_engine(1, "sf8-low", record=True, noise=2.0)
    engine.reset([4])
    draw = np.random.default_rng(0)
    while engine.is_running()[0]:
        engine.step([draw.choice(np.flatnonzero(engine.masks[0]))])
    schedule = engine.schedule(0)
    save_day(schedule.instance, schedule.day, tmp_path / "day.json")
    (instance,) = resolve(str(tmp_path / "day.json"))
    again = make_engine(1, instance, record=True)
    again.reset([99])
    for action in schedule.decisions[:, 3]:
        again.step([action])
    assert not again.is_running()[0]
    assert np.array_equal(again.schedule(0).decisions, schedule.decisions)
    assert again.objectives()[0] == schedule.profit
    day = instance.day
    assert day is not None
    assert (day.seed, day.noise) == (4, 2.0)
