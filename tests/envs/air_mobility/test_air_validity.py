"""Each rule of urban air mobility, broken once: the check names it, and lets what really happened pass."""

import copy
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from makespan.envs.air_mobility.schedule import AirSchedule, AirSettings
from makespan.envs.air_mobility.validity import validate
from support.air_bridge import as_schedule
from support.air_cases import CASES, tiny
from support.air_random import random_problem
from support.air_reference import (
    PlainDay,
    PlainFleet,
    PlainProblem,
    city,
    greedy_profit,
    lookahead,
    random_choice,
    realise,
    stay,
)

T, A, FROM, TO, BOARDED, ENTRY, CORRIDOR, READY, E0, E1, REWARD = range(11)


def small_day_is_valid(seed: int) -> None:
    """A random day, whole and so far at every seventh decision, has no violations, and its money adds up."""
    problem = random_problem(seed)
    fleet = PlainFleet(problem, realise(problem, seed, (0.0, 1.0, 2.0)[seed % 3]))
    choose = (random_choice(seed), lookahead(0.25, 6.0), greedy_profit)[seed // 3 % 3]
    while fleet.decider is not None:
        fleet.act(choose(fleet))
        if fleet.decisions % 7 == 0:
            assert validate(as_schedule(fleet)) == [], (seed, fleet.decisions)
    schedule = as_schedule(fleet)
    assert validate(schedule) == [], seed
    assert schedule.profit == fleet.profit
    assert schedule.metrics()["served"] == fleet.served
    assert schedule.metrics()["lost"] == fleet.lost


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_what_happens_is_valid(first):
    for seed in range(first, first + 20):
        small_day_is_valid(seed)


@pytest.mark.slow
def test_what_happens_on_a_thousand_small_days_is_valid():
    for seed in range(100, 1100):
        small_day_is_valid(seed)


@pytest.mark.parametrize("taper", [False, True])
@pytest.mark.parametrize("load,noise", [("low", 2.0), ("medium", 0.0), ("high", 1.0)])
@pytest.mark.parametrize("choose", [greedy_profit, lookahead(0.25, 6.0), random_choice(1), stay])
def test_whole_days_are_valid(load, noise, taper, choose):
    problem = city("la8", load, taper=taper)
    schedule = as_schedule(PlainFleet(problem, realise(problem, 4, noise)).play(choose))
    assert validate(schedule) == []
    if choose is stay:
        assert schedule.profit == 0


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_tiny_days_are_valid(case):
    schedule = as_schedule(PlainFleet(case.problem, case.day).play(greedy_profit))
    assert validate(schedule) == []
    assert schedule.profit == round(1e6 * case.greedy)


# --- one rule at a time -----------------------------------------------------------------------------------------------


def play(problem: PlainProblem, day: PlainDay, actions: list[int]) -> AirSchedule:
    """The given actions, then stays."""
    fleet = PlainFleet(problem, day)
    for j in actions:
        fleet.act(j)
    return as_schedule(fleet.play(stay))


def ferry() -> AirSchedule:
    """One aircraft, 10 miles: a stay, a flight to V1 with four passengers at 900, ready at 2104, then stays."""
    case = CASES["A"]
    return play(case.problem, case.day, [0, 1])


def two() -> AirSchedule:
    """Two aircraft at V0 fly to V1 at once by two corridors, ready at 1204; the next flight back is at 2104."""
    problem, day = tiny({(0, 1): 10}, [0, 0], {(0, 1): [0] * 7}, chargers=[0, 1], horizon=5400)
    return play(problem, day, [1, 1, 1, 1, 0])


def changed(schedule: AirSchedule, *cells: tuple[int, int, int], table: str = "decisions") -> AirSchedule:
    rows = getattr(schedule, table).copy()
    for row, column, value in cells:
        rows[row, column] = value
    return dataclasses.replace(schedule, **{table: rows})


def with_day(schedule: AirSchedule, **fields) -> AirSchedule:
    return dataclasses.replace(schedule, day=dataclasses.replace(schedule.day, **fields))


def with_instance(schedule: AirSchedule, **fields) -> AirSchedule:
    return dataclasses.replace(schedule, instance=dataclasses.replace(schedule.instance, **fields))


def with_network(schedule: AirSchedule, **fields) -> AirSchedule:
    """With a network that no instance would accept."""
    instance = copy.copy(schedule.instance)
    object.__setattr__(instance, "network", dataclasses.replace(instance.network, **fields))
    return dataclasses.replace(schedule, instance=instance)


def says(schedule: AirSchedule, *parts: str) -> None:
    found = validate(schedule)
    assert any(all(part in line for part in parts) for line in found), found


def test_the_logs_that_are_broken_are_valid_before():
    assert validate(ferry()) == []
    assert validate(two()) == []


def test_form():
    schedule = ferry()
    says(dataclasses.replace(schedule, decisions=schedule.decisions[:, :10]), "decisions is int64 [", "10]")
    says(dataclasses.replace(schedule, charges=schedule.charges.astype(np.int32)), "charges is int32")
    says(changed(schedule, (0, A, 1)), "log row 0", "no aircraft 1")
    says(changed(schedule, (1, TO, 2)), "log row 1", "no vertiport 2")
    says(changed(schedule, (0, T, -1)), "log row 0", "decision at -1 s")
    says(changed(schedule, (len(schedule.decisions) - 1, T, 7200)), "decision at 7200 s")
    says(changed(schedule, (1, BOARDED, 5)), "5 board, the aircraft has 4 seats")
    says(changed(schedule, (0, BOARDED, 1)), "log row 0: a stay")
    says(changed(schedule, (1, CORRIDOR, 2)), "corridor 2, a pair has 2")
    says(changed(schedule, (1, READY, 1200)), "these are no times")
    says(changed(schedule, (0, 3, 0), table="charges"), "charge row 0", "cannot be")
    says(dataclasses.replace(schedule, clock=7201), "the log ends at 7201 s")


def test_the_day_has_a_form():
    schedule = ferry()
    day = schedule.day
    says(with_day(schedule, arrivals=day.arrivals[:3]), "arrivals of 3 pairs, expected 4")
    says(with_day(schedule, delay=day.delay[:, :9]), "delay of the day is [2, 9]")
    says(with_day(schedule, delay=day.delay - 1), "delays of the day are from -1")
    unsorted = (*day.arrivals[:1], day.arrivals[1][::-1] + np.arange(4)[::-1], *day.arrivals[2:])
    says(with_day(schedule, arrivals=unsorted), "arrivals of V0-V1")
    says(with_day(schedule, arrivals=(np.array([3]), *day.arrivals[1:])), "passengers arrive for V0-V0")
    says(with_day(schedule, closures=np.array([[1, 0, 2, 1]])), "closure [1, 0, 2, 1]")
    says(with_day(schedule, downtime=day.downtime - 1), "a downtime of the day is negative")
    says(with_day(schedule, delay=day.delay + 1, noise=0.0), "the day has no noise, but delays")


def test_decisions_in_order():
    schedule = two()
    swapped = schedule.decisions.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    says(dataclasses.replace(schedule, decisions=swapped), "aircraft 0, 0 s", "logged after aircraft 1")


def test_every_due_decision_once():
    schedule = ferry()
    rows = schedule.decisions
    without = dataclasses.replace(schedule, decisions=np.delete(rows, 1, axis=0))
    says(without, "aircraft 0, 2104 s, stay at V1: its decision is due at 900 s")
    says(without, "stay at V1: it is at V0")
    says(dataclasses.replace(schedule, decisions=rows[:-1]), f"aircraft 0 does not decide at {rows[-1, T]} s")
    twice = dataclasses.replace(schedule, decisions=np.insert(rows, 1, rows[1], axis=0))
    says(twice, "decisions go by time")
    says(changed(schedule, (0, READY, 901)), "the stay ends at 901 s, expected 900")
    says(changed(schedule, (1, T, 901)), "its decision is due at 900 s")


def test_a_downtime_postpones_the_decision():
    schedule = ferry()
    down = schedule.day.downtime.copy()
    down[0, 0] = 3000
    says(with_day(schedule, downtime=down), "aircraft 0, 2104 s", "due at 5104 s")


def test_flyable():
    far = with_network(ferry(), distance=np.array([[0, 4000], [4000, 0]]))
    says(far, "flight from V0 to V1: the pair takes")


def test_closed_pairs():
    schedule = ferry()
    closed = with_day(schedule, closures=np.array([[0, 1, 0, 1]]))
    says(closed, "aircraft 0, 900 s, flight from V0 to V1: the pair is closed from 0 to 1800 s")
    assert validate(with_day(schedule, closures=np.array([[0, 1, 1, 3]]))) == []


def test_the_end_of_the_day():
    fleet = PlainFleet(CASES["A"].problem, CASES["A"].day)
    while fleet.now < 5400:
        fleet.act(0)
    fleet.act(1)
    schedule = as_schedule(fleet.play(stay))
    assert validate(schedule) == []
    late = with_instance(schedule, horizon=6300)
    kept = late.decisions[late.decisions[:, T] < 6300]
    cut = dataclasses.replace(late, decisions=kept, charges=late.charges[:0])
    says(cut, "it would be ready at 6604 s, after the end of the day at 6300")


def test_stands():
    schedule = two()
    narrow = with_network(schedule, stands=np.array([4, 1]))
    says(narrow, "aircraft 1, 0 s, flight from V0 to V1: 1 of 1 stands are taken there")
    says(with_network(schedule, stands=np.array([1, 3])), "V0: 2 aircraft start the day on 1 stands")


def test_a_stand_is_free_from_the_corridor_entry_on():
    """Case D: aircraft 1 leaves V1 at 0 and enters its corridor at 360; aircraft 0 comes at 900."""
    case = CASES["D"]
    fleet = PlainFleet(case.problem, case.day)
    fleet.act(0)
    assert fleet.why_not(0) == ""
    fleet.act(0)
    assert fleet.now == 900
    schedule = play(case.problem, case.day, [0, 0, 1])
    assert validate(schedule) == []
    assert schedule.decisions[2, [T, TO]].tolist() == [900, 1]
    says(changed(schedule, (1, ENTRY, 901)), "aircraft 0, 900 s", "1 of 1 stands are taken there")
    assert not any("stands" in line for line in validate(changed(schedule, (1, ENTRY, 900))))


def test_corridors():
    schedule = two()
    says(changed(schedule, (1, CORRIDOR, 0)), "takes corridor 0, expected 1, which is free first")
    says(changed(schedule, (1, CORRIDOR, 0)), "enters corridor 0 0 s after another, expected 180")
    says(changed(schedule, (0, ENTRY, 361)), "enters its corridor at 361 s, expected 360")
    says(with_day(schedule, delay=schedule.day.delay + 7), "enters its corridor at 360 s, expected 367")
    crowd = with_instance(changed(schedule, (1, CORRIDOR, 0)), corridors=1, separation=3000)
    says(crowd, "aircraft 1, 0 s", "no corridor is free before 3360 s, the request is dropped at 660")


def test_landing():
    schedule = ferry()
    later = changed(schedule, (1, READY, 2105), *[(r, T, int(schedule.decisions[r, T]) + 1) for r in range(2, 8)])
    later = changed(later, *[(r, READY, int(later.decisions[r, READY]) + 1) for r in range(2, 8)])
    says(later, "flight from V0 to V1: is ready at 2105 s, expected 2104")


def test_energy():
    schedule = two()
    row = 4  # the flight back
    assert schedule.decisions[row, FROM] == 1
    e0, e1 = (int(schedule.decisions[row, c]) for c in (E0, E1))
    says(changed(schedule, (row, E0, e0 + 1)), f"has {e0 + 1} J, expected {e0}")
    says(changed(schedule, (row, E1, e1 - 1)), f"has {e1 - 1} J afterwards, expected {e1}")
    says(changed(schedule, (0, E1, 5)), "aircraft 0, 0 s", "has 5 J afterwards")
    poor = with_instance(schedule, start_energy=np.array([396_000_000, 100_000_000]))
    says(poor, "aircraft 1, 0 s", "would land with 6400000 J, reserve and escape take 79200000")


def test_chargers_serve_who_was_ready_first():
    schedule = two()
    charges = schedule.charges
    assert charges[:2].tolist() == [[0, 1, 1204, 1828, 93_600_000], [1, 1, 1828, 2452, 93_600_000]]
    both = changed(schedule, (1, 2, 1204), (1, 3, 1828), table="charges")
    says(both, "aircraft 1 charges at V1 from 1204 to 1828 s, where it is not plugged in then")
    says(both, "aircraft 1 charges at V1 from 1828 to 2452 s, which is not in the log")
    says(changed(schedule, (0, 3, 1827), table="charges"), "from 1204 to 1827 s, expected at V1 until 1828 s")
    says(changed(schedule, (0, 1, 0), table="charges"), "aircraft 0 charges at V0", "expected at V1")
    says(changed(schedule, (0, 4, 7), table="charges"), "gains 7 J, expected 93600000")
    says(dataclasses.replace(schedule, charges=charges[:-1]), "which is not in the log")
    says(dataclasses.replace(schedule, settings=AirSettings(taper=True)), "expected")


def test_boarding():
    schedule = ferry()
    says(changed(schedule, (1, BOARDED, 3)), "3 board, expected 4 of 4 who wait")
    says(with_instance(schedule, patience=200), "4 board, expected 0 of 0 who wait")
    late = list(schedule.day.arrivals)
    late[1] = np.array([600, 600, 900, 901])
    says(with_day(schedule, arrivals=tuple(late)), "4 board, expected 3 of 3 who wait")
    twice = two()
    says(changed(twice, (1, BOARDED, 4)), "aircraft 1, 0 s", "4 board, expected 3 of 3")


def test_rewards():
    schedule = ferry()
    assert schedule.decisions[1, REWARD] == 19_400_000
    says(changed(schedule, (1, REWARD, 19_400_001)), "earns 19400001 micro-dollars, expected 19400000")
    says(changed(schedule, (0, REWARD, 1)), "stay at V0: earns 1 micro-dollars, expected 0")
    fare = schedule.instance.fare.copy()
    fare[0, 1, 1] += 1
    says(with_instance(schedule, fare=fare), "expected 19440000")


def test_other_rules():
    schedule = ferry()
    settings = schedule.settings
    peak = dataclasses.replace(schedule, settings=dataclasses.replace(settings, tariff="peak"))
    says(peak, "earns 19400000 micro-dollars, expected 20440000")  # a fifth of 5.20 $
    full = dataclasses.replace(schedule, settings=dataclasses.replace(settings, refill=True))
    says(full, "aircraft 0, 2104 s", "has 302400000 J, expected 396000000")
    says(full, "aircraft 0 charges at V1 from 2104", "where it is not plugged in then")


def test_landing_pads_serve_who_comes_first():
    schedule = two()  # both would touch down at 844 s, and unload until 1204 s
    assert schedule.flights[:2, READY].tolist() == [1204, 1204]
    one, both = (dataclasses.replace(schedule, settings=AirSettings(pads=pads)) for pads in (1, 2))
    says(one, "aircraft 1, 0 s", "is ready at 1204 s, expected 1564")
    assert validate(both) == []


def test_logs_so_far():
    case = CASES["A"]
    fleet = PlainFleet(case.problem, case.day)
    fleet.act(0)
    fleet.act(1)
    schedule = as_schedule(fleet)
    assert schedule.clock == 2104
    assert validate(schedule) == []
    says(dataclasses.replace(schedule, clock=None), "aircraft 0 does not decide at 2104 s")
    says(dataclasses.replace(schedule, clock=800), "a decision at 900 s")


def test_any_change_of_a_number_is_noticed():
    """No cell of a log is free: whatever is changed by one, something is said."""
    problem = city("la8", "high", fleet=16, horizon=14_400)
    schedule = as_schedule(PlainFleet(problem, realise(problem, 2)).play(random_choice(0)))
    assert validate(schedule) == []
    rng = np.random.default_rng(0)
    for table in ("decisions", "charges"):
        rows = getattr(schedule, table)
        for _ in range(60):
            row, column = int(rng.integers(len(rows))), int(rng.integers(rows.shape[1]))
            other = changed(schedule, (row, column, int(rows[row, column]) + int(rng.choice([-1, 1]))), table=table)
            assert validate(other), (table, row, column)


def test_nonsense_is_told_not_raised():
    """Whatever numbers stand in a log of the right form, the check ends with words."""
    problem = city("la8", "high", fleet=10, horizon=7200)
    schedule = as_schedule(PlainFleet(problem, realise(problem, 3)).play(random_choice(0)))
    draw = np.random.default_rng(1)
    values = [-(2**62), -1, 0, 1, 7, 8, 10, 360, 900, 7199, 7200, 43_200, 10**9, 2**62]
    for _ in range(300):
        cells = [(int(draw.integers(len(schedule.decisions))), int(draw.integers(11)), int(draw.choice(values)))]
        broken = changed(schedule, *cells, (0, int(draw.integers(11)), int(draw.choice(values))))
        if len(broken.charges):
            cell = (int(draw.integers(len(broken.charges))), int(draw.integers(5)), int(draw.choice(values)))
            broken = changed(broken, cell, table="charges")
        same = np.array_equal(broken.decisions, schedule.decisions) and np.array_equal(broken.charges, schedule.charges)
        assert bool(validate(broken)) != same


def test_nothing_compiled_is_needed():
    code = (
        "import sys, makespan.envs.air_mobility.validity, makespan.envs.air_mobility.schedule;"
        "sys.exit(any(name == 'numba' or name.endswith('air_mobility.dynamics') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
