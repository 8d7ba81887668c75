"""Small random problems of urban air mobility, in all that may be varied."""

from __future__ import annotations

import math
import random

from support.air_reference import PlainProblem, PlainVehicle, fare_cents


def random_problem(seed: int, taper: bool | None = None) -> PlainProblem:
    """2 to 5 vertiports, 1 to 6 aircraft, 1 to 3 hours; at least one pair can be flown, and no jam is possible."""
    draw = random.Random(seed)
    while True:
        problem = _draw(draw, taper)
        pairs = [(i, j) for i in range(problem.n) for j in range(problem.n) if i != j]
        charged = sum(k for k, c in zip(problem.stands, problem.chargers, strict=True) if c)
        if any(problem.flyable(i, j) for i, j in pairs) and charged > len(problem.start):
            return _with_demand(draw, problem)


def _draw(draw: random.Random, taper: bool | None) -> PlainProblem:
    n, fleet = draw.randint(2, 5), draw.randint(1, 6)
    places = [(draw.uniform(0, 20), draw.uniform(0, 20)) for _ in range(n)]
    distance = [[0 if p is q else max(100, round(100 * math.dist(p, q))) for q in places] for p in places]
    if draw.random() < 0.3:  # roads of the air need not be symmetric
        distance[0][1] += 300
    chargers = [draw.choice([0, 1, 1, 2]) for _ in range(n)]
    chargers[draw.randrange(n)] = draw.randint(1, 2)
    battery = draw.choice([110_000, 80_000, 60_000]) * 3600
    vehicle = PlainVehicle(
        battery=battery,
        reserve=draw.choice([22_000, 10_000, 0]) * 3600,
        seats=draw.choice([4, 4, 1]),
        power=draw.choice([150_000, 140_007, 50_000]),
        stay=draw.choice([900, 900, 600]),
    )
    at = [draw.randrange(n) for _ in range(fleet)]
    stands = [max(at.count(v), draw.randint(1, 3)) for v in range(n)]
    kind = [draw.choice("ABR") for _ in range(n)]
    low = vehicle.reserve
    start = [(v, draw.choice([battery, draw.randint(low, battery)])) for v in at]
    return PlainProblem(
        kind,
        [1.0] * n,
        stands,
        chargers,
        [240 if k == "A" else 120 for k in kind],
        distance,
        [],
        [],
        start,
        vehicle,
        horizon=draw.choice([3600, 5400, 7200, 10_800]),
        corridors=draw.choice([1, 2, 2, 3]),
        separation=draw.choice([180, 360]),
        patience_corridor=draw.choice([300, 0, 600]),
        patience=draw.choice([1800, 600]),
        taper=draw.random() < 0.3 if taper is None else taper,
    )


def _with_demand(draw: random.Random, problem: PlainProblem) -> PlainProblem:
    n, mean = problem.n, draw.choice([0.3, 1.0, 3.0])
    forecast = [
        [[draw.uniform(0, 2 * mean) if problem.flyable(i, j) else 0.0 for _ in range(48)] for j in range(n)]
        for i in range(n)
    ]
    fare = [[[fare_cents(problem.distance[i][j], x) for x in forecast[i][j]] for j in range(n)] for i in range(n)]
    return PlainProblem(**{**vars(problem), "forecast": forecast, "fare": fare})
