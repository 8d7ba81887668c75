"""The plain simulator that the engine is held against plays the specification's golden days and tiny cases exactly."""

import math

import pytest
from support.air_cases import CASES, best_day, greedy_day
from support.air_reference import (
    PlainFleet,
    city,
    greedy_profit,
    lookahead,
    mix,
    random_choice,
    realise,
    stay,
    uniform,
)

# profit, decisions, flights, served, arrivals
GOLDEN = {
    ("la8", "low"): (1437_175_600, 1850, 103, 338, 1224),
    ("la8", "medium"): (5410_207_600, 1725, 261, 871, 2444),
    ("la8", "high"): (16799_244_800, 1566, 461, 1618, 4887),
    ("sf8", "medium"): (5771_290_000, 1704, 261, 869, 2366),
    ("nyc8", "medium"): (6210_281_600, 1694, 341, 1117, 2432),
    ("dfw8", "medium"): (5338_965_600, 1719, 246, 808, 2373),
}
DISTANCES = {"la8": (564, 1173), "sf8": (1101, 3211), "nyc8": (1069, 368), "dfw8": (1140, 3048)}
UNFLYABLE = {"la8": 7, "sf8": 8, "nyc8": 5, "dfw8": 10}


def test_random_numbers():
    assert (mix(0), mix(1)) == (0xE220A8397B1DCDAF, 0x910A2DEC89025CC1)
    assert uniform(0, 1, 0, 1, 0) == 0.4111075658296648
    assert uniform(7, 4, 3, 10) == 0.9491625407247779


@pytest.mark.parametrize("network", DISTANCES)
def test_networks(network):
    problem = city(network, "medium")
    assert (problem.distance[0][1], problem.distance[6][7]) == DISTANCES[network]
    pairs = [(i, j) for i in range(8) for j in range(8) if i != j]
    assert sum(not problem.flyable(i, j) for i, j in pairs) == UNFLYABLE[network]
    assert sum(sum(problem.forecast[i][j]) for i, j in pairs) == pytest.approx(2400)


def test_the_numbers_of_la8():
    problem = city("la8", "medium")
    assert (problem.cruise(0, 1), problem.energy(0, 1), problem.cost(0, 1)) == (273, 16408 * 3600, 17_305_600)
    assert problem.flyable(7, 5)
    assert not problem.flyable(5, 7)
    assert problem.forecast[3][7][8] == pytest.approx(4.736487, abs=5e-7)
    assert problem.fare[3][7][8] == 3087
    day = realise(problem, 0)
    assert day.delay[0][:6] == [321, 113, 134, 117, 190, 149]
    assert day.arrivals[0, 1][:4] == [336, 1328, 3036, 4215]
    assert (3, 7, 9, 3) in day.closures
    assert (4, 5, 11, 1) in day.closures
    assert day.downtime[24, 2] == 5950


@pytest.mark.parametrize("network,load", GOLDEN)
def test_golden_days(network, load):
    problem = city(network, load)
    day = realise(problem, 0)
    fleet = PlainFleet(problem, day).play(greedy_profit)
    arrivals = sum(map(len, day.arrivals.values()))
    assert (fleet.profit, fleet.decisions, fleet.flights, fleet.served, arrivals) == GOLDEN[network, load]


@pytest.mark.parametrize("load,kappa,dollars", [("low", 0.5, 1852), ("medium", 0.25, 7011), ("high", 0.1, 18048)])
def test_lookahead_on_day_0(load, kappa, dollars):
    problem = city("la8", load)
    fleet = PlainFleet(problem, realise(problem, 0)).play(lookahead(kappa, 6.0))
    assert round(fleet.profit / 1e6) == dollars


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.optimum is not None], ids=lambda case: case.name
)
def test_tiny_days_by_enumeration(case):
    best, _, count = best_day(case.problem, case.day)
    assert best == round(1e6 * case.optimum)
    assert 11 <= count <= 400


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_tiny_days_by_greed(case):
    assert greedy_day(case).profit == round(1e6 * case.greedy)


def test_corridors_take_four_at_once():
    case = CASES["F"]
    fleet = PlainFleet(case.problem, case.day)
    for _ in range(4):
        assert fleet.legal() == [0, 1]
        fleet.act(1)
    assert [row["entry"] for row in fleet.log] == [360, 360, 540, 540]
    assert fleet.now == 0
    assert fleet.why_not(1) == "corridors"
    fleet.play(greedy_profit)
    assert (fleet.flights, fleet.served) == (6, 24)


def test_what_is_always_true():
    problem = city("la8", "high", horizon=14_400)
    day = realise(problem, 5, 2.0)
    fleet = PlainFleet(problem, day)
    choose = random_choice(3)
    arrived = sum(t <= problem.horizon for times in day.arrivals.values() for t in times)
    while fleet.decider is not None:
        assert all(0 <= x <= k for x, k in zip(fleet.occupied, problem.stands, strict=True))
        assert all(len(x) <= c for x, c in zip(fleet.plugged, problem.chargers, strict=True))
        fleet.act(choose(fleet))
    waiting = sum(map(len, fleet.waiting.values()))
    assert fleet.served + fleet.lost + waiting == arrived
    used = sum(row["e0"] - row["e1"] for row in fleet.log)
    charged = sum(row["J"] for row in fleet.charging_so_far())
    started = sum(energy for _, energy in problem.start)
    assert used == charged + started - sum(fleet.energy(a) for a in range(len(problem.start)))
    assert PlainFleet(problem, day).play(stay).profit == 0


def test_no_noise_is_no_noise():
    problem = city("la8", "low")
    day = realise(problem, 3, 0.0)
    assert not any(map(any, day.delay))
    assert not day.closures
    assert not day.downtime


def test_tapered_charging():
    """Constant below 24.24 %, then what is missing decays; it is never full."""
    problem = city("la8", "low", taper=True)
    fleet = PlainFleet(problem, realise(problem, 0))
    battery = problem.vehicle.battery
    assert fleet._charged(0, 100) == 15_000_000
    knee = battery * (1 - 150 / 198)
    assert fleet._charged(int(knee), 3600) == pytest.approx(battery - (battery - knee) * math.exp(-1.8), abs=2)
    assert fleet._charged(battery - 5, 10_000) < battery
