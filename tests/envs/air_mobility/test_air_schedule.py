"""A day's log as data: what it comes to, who was served when, tables, files."""

import dataclasses
import json

import numpy as np
import pytest
from makespan.envs.air_mobility.schedule import (
    ARRIVED,
    DESTINATION,
    LEFT,
    ORIGIN,
    TAKEN,
    AirSchedule,
    AirSettings,
)
from makespan.envs.air_mobility.validity import validate
from makespan.envs.core.errors import UserError
from support.air_bridge import as_schedule
from support.air_cases import CASES, tiny
from support.air_random import random_problem
from support.air_reference import PlainFleet, greedy_profit, random_choice, realise, stay


def ferry() -> AirSchedule:
    """Case A as greed plays it: 0 to 1 at 900, back at 3004, four passengers each."""
    case = CASES["A"]
    return as_schedule(PlainFleet(case.problem, case.day).play(greedy_profit))


def test_what_a_day_comes_to():
    schedule = ferry()
    assert schedule.profit == schedule.objective == 38_800_000
    metrics = schedule.metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["profit_usd"] == pytest.approx(38.80)
    assert metrics["revenue_usd"] == pytest.approx(2 * 45.60)
    assert metrics["cost_usd"] == pytest.approx(2 * 26.20)
    assert (metrics["flights"], metrics["empty_flights"], metrics["served"], metrics["lost"]) == (2, 0, 8, 0)
    assert (metrics["served_share"], metrics["load_factor"]) == (1.0, 1.0)
    assert metrics["energy_kwh"] == 52.0
    assert metrics["charged_kwh"] == 52.0
    assert metrics["mean_wait"] == (4 * 300 + 4 * 4) / 8
    assert (metrics["mean_delay"], metrics["mean_hold"]) == (0.0, 0.0)
    assert metrics["airborne_share"] == pytest.approx(2 * 844 / 7200)
    assert metrics["charger_share"] == pytest.approx(2 * 624 / (7200 * 8))


def test_a_day_without_flights_has_metrics():
    case = CASES["B"]
    metrics = as_schedule(PlainFleet(case.problem, case.day).play(stay)).metrics()
    assert (metrics["profit_usd"], metrics["flights"], metrics["load_factor"], metrics["mean_wait"]) == (
        0,
        0,
        None,
        None,
    )
    assert (metrics["arrivals"], metrics["served"], metrics["lost"]) == (4, 0, 4)
    problem, day = tiny({(0, 1): 10}, [0], {}, horizon=1800)
    empty = as_schedule(PlainFleet(problem, day).play(stay)).metrics()
    assert (empty["arrivals"], empty["served_share"]) == (0, None)


def test_passengers_board_oldest_first():
    problem, day = tiny({(0, 1): 10}, [0, 0], {(0, 1): [0, 100, 200, 900, 900, 900, 1000]}, horizon=5400, patience=700)
    fleet = PlainFleet(problem, day)
    for j in [0, 0, 1, 0]:  # at 900 the first two have left
        fleet.act(j)
    schedule = as_schedule(fleet.play(stay))
    assert validate(schedule) == []
    columns = schedule.passengers[:, [ARRIVED, TAKEN, LEFT]].tolist()
    assert columns == [[0, -1, 700], [100, -1, 800], [200, 900, -1], *[[900, 900, -1]] * 3, [1000, -1, 1700]]


@pytest.mark.parametrize("seed", range(20))
def test_served_lost_and_waiting_are_all_who_came(seed):
    problem = random_problem(seed)
    fleet = PlainFleet(problem, realise(problem, seed))
    choose = random_choice(seed)
    while fleet.decider is not None:
        schedule = as_schedule(fleet)
        taken, left = schedule.passengers[:, TAKEN] >= 0, schedule.passengers[:, LEFT] >= 0
        assert not (taken & left).any()
        assert (int(taken.sum()), int(left.sum())) == (fleet.served, fleet.lost)
        wait = schedule.passengers[~taken & ~left][:, [ORIGIN, DESTINATION]].tolist()
        for pair, queue in fleet.waiting.items():
            assert wait.count(list(pair)) == len(queue)
        assert len(wait) == sum(map(len, fleet.waiting.values()))
        fleet.act(choose(fleet))


def test_stands():
    case = CASES["D"]
    fleet = PlainFleet(case.problem, case.day)
    for j in [0, 0, 1]:
        fleet.act(j)
    schedule = as_schedule(fleet.play(stay))
    assert [tuple(each) for each in schedule.stands] == [
        (0, 0, 0, 0, 1260),
        (0, 1, 900, 2104, None),
        (1, 1, 0, 0, 360),
        (1, 0, 0, 1204, None),
    ]


def test_the_objective_counts_who_waits_is_lost_and_must_go_home():
    problem, day = tiny({(0, 1): 10}, [0], {(0, 1): [0, 100, 3000], (1, 0): [1000, 5000]}, horizon=5400)
    fleet = PlainFleet(problem, day)
    fleet.act(1)  # one at 0; the next decision is at 1204
    schedule = as_schedule(fleet.play(stay))
    # 0 s for who boards, 1800 for each of three who are lost, 400 for who is still there
    assert schedule.profit == 11_400_000 - 26_200_000
    settings = AirSettings(lost_cost=1_000_000, wait_cost=3_600_000)
    assert dataclasses.replace(schedule, settings=settings).objective == schedule.profit - 3_000_000 - 5_800_000
    away = dataclasses.replace(schedule, settings=AirSettings(home=True))
    assert away.objective == schedule.profit - 26_200_000
    assert dataclasses.replace(away, clock=5000).objective == schedule.profit


def test_table():
    header, rows = ferry().table()
    assert len(header) == len(rows[0]) == 11
    assert rows[0] == [900, 0, "V0", "V1", 4, 1260, 0, 2104, 110.0, 84.0, 19.4]


def test_files(tmp_path):
    schedule = dataclasses.replace(ferry(), settings=AirSettings(taper=False), clock=7000)
    path = tmp_path / "day.json"
    schedule.save(path)
    again = AirSchedule.load(path)
    assert again.to_dict() == schedule.to_dict()
    assert np.array_equal(again.decisions, schedule.decisions)
    assert np.array_equal(again.charges, schedule.charges)
    assert (again.settings, again.clock, again.profit) == (schedule.settings, 7000, schedule.profit)
    assert again.decisions.dtype == np.int64


def test_files_name_landing_pads_only_where_they_are_few():
    schedule = ferry()
    assert "pads" not in schedule.to_dict()["settings"]
    few = dataclasses.replace(schedule, settings=AirSettings(pads=2))
    assert AirSchedule.from_dict(few.to_dict()).settings.pads == 2


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda d: d.pop("log"), "key 'log'"),
        (lambda d: d.update(version=2), "version is 2"),
        (lambda d: d.update(clock=7201), "clock is 7201, expected an integer from 0 to 7200"),
        (lambda d: d["settings"].update(taper=1), "settings.taper is 1"),
        (lambda d: d["settings"].update(pads=65), "settings.pads is 65, expected an integer from 0 to 64"),
        (lambda d: d["log"][1].__setitem__(0, "900"), r"log\[1\] t is '900'"),
        (lambda d: d["log"][0].pop(), r"log\[0\] is .*, expected a list of 11 integers: t, a, from"),
        (lambda d: d["charges"][0].__setitem__(4, 0.5), r"charges\[0\] J is 0.5"),
        (lambda d: d.update(charges={}), r"charges is \{\}, expected a list"),
        (lambda d: d["day"].update(start=[]), "number of aircraft is 0"),
    ],
)
def test_malformed_files_are_refused(tmp_path, change, message):
    data = ferry().to_dict()
    change(data)
    path = tmp_path / "day.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message) as error:
        AirSchedule.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
