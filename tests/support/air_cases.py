"""The specification's tiny days, whose best profits are known to the cent, and the search that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.air_reference import PlainDay, PlainFleet, PlainProblem, greedy_profit

INTERVALS = 48


@dataclass(frozen=True)
class Case:
    """A tiny problem and its day.

    Attributes:
        optimum, greedy: dollars; None where the specification has none.
        bound: dollars, of the flow LP over the day with perfect information.
    """

    name: str
    problem: PlainProblem
    day: PlainDay
    optimum: float | None
    greedy: float
    bound: float | None


def plain_fare(centimiles: int) -> int:
    """Cents, without surge."""
    return round(100 * (5 + 0.64 * centimiles / 100))


def tiny(
    miles: dict[tuple[int, int], int], start: list[int], groups: dict[tuple[int, int], list[int]], **given: Any
) -> tuple[PlainProblem, PlainDay]:
    """A problem without noise, with a charger and enough stands everywhere unless `given` says otherwise.

    Args:
        miles: by (i, j), i < j.
        start: where each aircraft is.
        groups: seconds at which passengers arrive, by pair.
    """
    n = max(j for _, j in miles) + 1
    distance = [[0] * n for _ in range(n)]
    for (i, j), each in miles.items():
        distance[i][j] = distance[j][i] = 100 * each
    fare = [[[plain_fare(distance[i][j])] * INTERVALS for j in range(n)] for i in range(n)]
    forecast = [[[0.0] * INTERVALS for _ in range(n)] for _ in range(n)]
    for (i, j), times in groups.items():
        for t in times:
            forecast[i][j][t // 900] += 1.0
    battery = 110_000 * 3600
    problem = PlainProblem(
        ["R"] * n,
        [1.0] * n,
        given.pop("stands", [len(start) + 1] * n),
        given.pop("chargers", [4] * n),
        [120] * n,
        distance,
        forecast,
        fare,
        [(v, battery) for v in start],
        **given,
    )
    arrivals = {(i, j): sorted(groups.get((i, j), [])) for i in range(n) for j in range(n) if i != j}
    return problem, PlainDay(arrivals, [[0] * 144 for _ in range(n)])


def _cases() -> list[Case]:
    four = [0] * 4
    ferry = tiny({(0, 1): 10}, [0], {(0, 1): [600] * 4, (1, 0): [3000] * 4}, horizon=7200)
    reposition = tiny({(0, 1): 30, (1, 2): 30, (0, 2): 5}, [2], {(0, 1): [1200] * 4}, horizon=7200)
    battery, late_battery = (
        tiny({(0, 1): 15}, [1], {(1, 0): four + [t] * 4, (0, 1): [600] * 4}, chargers=[0, 4], horizon=7200)
        for t in (2800, 2900)
    )
    stand = tiny({(0, 1): 10}, [0, 1], {(0, 1): four, (1, 0): [0, 0]}, stands=[2, 1], horizon=3600)
    parts = tiny({(0, 1): 10}, [0, 0], {(0, 1): [0] * 7, (1, 0): [1000] * 4 + [1800] * 2}, horizon=5400)
    corridor = tiny({(0, 1): 10}, [0] * 6, {(0, 1): [0] * 24}, stands=[6, 6], horizon=3600)
    return [
        Case("A", *ferry, 38.80, 38.80, 38.80),
        Case("B", *reposition, 13.80, 0.0, 13.80),
        Case("C", *battery, 44.00, 44.00, 66.00),
        Case("C'", *late_battery, 66.00, 66.00, 66.00),
        Case("D", *stand, 16.00, 0.0, 16.00),
        Case("E", *parts, 46.80, 46.80, 63.05),
        Case("F", *corridor, None, 116.40, None),
    ]


CASES = {case.name: case for case in _cases()}


def play(problem: PlainProblem, day: PlainDay, actions: list[int]) -> PlainFleet:
    """A day whose first actions are given."""
    fleet = PlainFleet(problem, day)
    for j in actions:
        fleet.act(j)
    return fleet


def best_day(problem: PlainProblem, day: PlainDay) -> tuple[int, list[int], int]:
    """Every sequence of legal actions: the largest profit in micro-dollars, its actions, and how many there are."""
    best, plan, count = -(10**18), list[int](), 0
    stack: list[list[int]] = [[]]
    while stack:
        actions = stack.pop()
        fleet = play(problem, day, actions)
        if fleet.decider is None:
            count += 1
            if fleet.profit > best:
                best, plan = fleet.profit, actions
            continue
        stack += [[*actions, j] for j in reversed(fleet.legal())]
    return best, plan, count


def greedy_day(case: Case) -> PlainFleet:
    return PlainFleet(case.problem, case.day).play(greedy_profit)
