"""A day as a trace: what aircraft do, who waits, which stands are taken."""

import json
from itertools import pairwise
from typing import Any

import pytest
from makespan.envs.air_mobility.schedule import AirSchedule
from support.air_bridge import as_schedule
from support.air_cases import CASES
from support.air_random import random_problem
from support.air_reference import PlainFleet, city, greedy_profit, random_choice, realise


def ferry() -> AirSchedule:
    case = CASES["A"]
    return as_schedule(PlainFleet(case.problem, case.day).play(greedy_profit))


def events(schedule: AirSchedule, phase: str) -> list[dict[str, Any]]:
    document = json.loads(json.dumps(schedule.trace(), allow_nan=False))
    return [event for event in document["traceEvents"] if event["ph"] == phase]


def test_lanes_are_aircraft():
    names = [(e["tid"], e["args"]["name"]) for e in events(ferry(), "M") if e["name"] == "thread_name"]
    assert names == [(1, "aircraft 0")]
    assert [(e["name"], e["cat"], e["ts"], e["dur"]) for e in events(ferry(), "X")][:4] == [
        ("boarding V0-V1", "boarding", 900, 360),
        ("V0-V1", "flight", 1260, 484),
        ("unloading V0-V1", "unloading", 1744, 360),
        ("boarding V1-V0", "boarding", 3004, 360),
    ]
    charging = [(e["name"], e["ts"], e["dur"]) for e in events(ferry(), "X") if e["cat"] == "charging"]
    assert charging == [("charging at V1", 2104, 624), ("charging at V0", 4208, 624)]
    assert ferry().trace()["otherData"]["profit_usd"] == pytest.approx(38.8)


def test_counters():
    counters = events(ferry(), "C")
    waiting = [(e["ts"], e["args"]["waiting"]) for e in counters if e["name"] == "V0: waiting"]
    assert waiting == [(600, 4), (900, 0)]
    taken = [(e["ts"], e["args"]["stands taken"]) for e in counters if e["name"] == "V1: stands taken"]
    assert taken == [(900, 1), (3364, 0)]


def no_events_overlap(schedule: AirSchedule) -> None:
    lanes: dict[int, list[tuple[int, int]]] = {}
    for event in events(schedule, "X"):
        lanes.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
        assert event["dur"] > 0
        assert lanes[event["tid"]][-1][1] <= schedule.end
    for spans in lanes.values():
        spans.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
    for event in events(schedule, "C"):
        assert all(value >= 0 for value in event["args"].values())


@pytest.mark.parametrize("seed", range(6))
def test_an_aircraft_does_one_thing_at_a_time(seed):
    problem = random_problem(seed)
    fleet, choose = PlainFleet(problem, realise(problem, seed, 2.0)), random_choice(seed)
    while fleet.decider is not None:
        if fleet.decisions % 9 == 0:
            no_events_overlap(as_schedule(fleet))
        fleet.act(choose(fleet))
    no_events_overlap(as_schedule(fleet))


def test_downtimes_are_there():
    problem = city("la8", "high", fleet=24)
    schedule = as_schedule(PlainFleet(problem, realise(problem, 1, 2.0)).play(greedy_profit))
    assert any(event["cat"] == "down" for event in events(schedule, "X"))
    no_events_overlap(schedule)
