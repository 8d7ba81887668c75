"""Greedy rules of air mobility: the golden days of the specification, to the micro-dollar where it gives them."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent
from makespan.agents.rules.rule import rules_of
from makespan.envs.core.errors import UserError

AIR = "makespan/AirMobility-v0"


def days(
    instance: str, agent: str, seeds: tuple[int, ...] = (0,), by_steps: bool = False, **options: Any
) -> list[Episode]:
    arena = open_arena(AIR, len(seeds), {"instance": instance, **options})
    made = make_agent(agent, arena.setting)
    if by_steps:
        made.compiled_choice = lambda copies: None  # type: ignore[method-assign]
    return play(arena, made, [Case(instance, seed) for seed in seeds])


def profits(instance: str, agent: str, seeds: tuple[int, ...] = (0,), **options: Any) -> list[float]:
    """In dollars."""
    return [episode.objective / 1e6 for episode in days(instance, agent, seeds, **options)]


@pytest.mark.parametrize(
    ("instance", "profit", "decisions", "flights", "served"),
    [
        ("la8-low", 1437.1756, 1850, 103, 338),
        ("la8-medium", 5410.2076, 1725, 261, 871),
        ("la8-high", 16799.2448, 1566, 461, 1618),
        ("sf8-medium", 5771.29, 1704, 261, 869),
        ("nyc8-medium", 6210.2816, 1694, 341, 1117),
        ("dfw8-medium", 5338.9656, 1719, 246, 808),
    ],
)
def test_greedy_profit_plays_the_golden_days(
    instance: str, profit: float, decisions: int, flights: int, served: int
) -> None:
    (day,) = days(instance, "greedy-profit")
    assert round(day.objective / 1e6, 4) == profit
    assert day.decisions == decisions
    assert (day.metrics["flights"], day.metrics["served"]) == (flights, served)


def test_lookahead_with_the_weights_of_each_load() -> None:
    assert [round(one) for one in profits("la8-low", "lookahead-greedy")] == [1852]
    assert [round(one) for one in profits("la8-medium", "lookahead-greedy", (0, 1))] == [7011, 7022]
    assert [round(one) for one in profits("la8-high", "lookahead-greedy")] == [18048]


@pytest.mark.parametrize(
    ("load", "demand", "threshold"), [("low", -5941, 1428), ("medium", -1279, 5793), ("high", 10128, 16794)]
)
def test_means_of_other_rules_lie_where_they_were_measured(load: str, demand: float, threshold: float) -> None:
    """Over the twenty days of the specification, which gives them rounded to dollars."""
    seeds = tuple(range(20))
    for agent, mean in (("greedy-demand", demand), ("threshold-greedy", threshold)):
        found = profits(f"la8-{load}", agent, seeds)
        assert sum(found) / len(found) == pytest.approx(mean, abs=1.0), agent


@pytest.mark.parametrize(
    ("instance", "agent", "mean", "deviation"),
    [
        ("la8-low", "greedy-profit", 1372, 214),
        ("la8-medium", "greedy-profit", 5628, 511),
        ("la8-high", "greedy-profit", 16241, 919),
        ("la8-low", "lookahead-greedy", 1816, 220),
        ("la8-medium", "lookahead-greedy", 6654, 473),
        ("la8-high", "lookahead-greedy", 17136, 781),
    ],
)
def test_the_twenty_days_of_the_specification(instance: str, agent: str, mean: int, deviation: int) -> None:
    found = profits(instance, agent, tuple(range(20)))
    assert (round(statistics.mean(found)), round(statistics.stdev(found))) == (mean, deviation)


@pytest.mark.parametrize(("noise", "mean"), [(0.0, 6035), (1.0, 5486), (2.0, 4992)])
def test_greedy_profit_under_more_and_less_noise(noise: float, mean: int) -> None:
    """Over the ten days of the specification."""
    assert round(statistics.mean(profits("la8-medium", "greedy-profit", tuple(range(10)), noise=noise))) == mean


@pytest.mark.parametrize(("network", "mean"), [("sf8", 6349), ("nyc8", 5735), ("dfw8", 5525)])
def test_greedy_profit_on_other_networks(network: str, mean: int) -> None:
    """Over the six days of the specification."""
    assert round(statistics.mean(profits(f"{network}-medium", "greedy-profit", tuple(range(6))))) == mean


def test_weights_may_be_given() -> None:
    assert profits("la8-high", "lookahead-greedy:kappa=0.1:theta=6") == profits("la8-high", "lookahead-greedy")
    assert profits("la8-medium", "lookahead-greedy:kappa=0:theta=0") == profits("la8-medium", "greedy-profit")
    thresholds = [
        profits("la8-medium", name) for name in ("threshold-greedy:theta=9", "lookahead-greedy:kappa=0:theta=9")
    ]
    assert thresholds[0] == thresholds[1]
    assert profits("la8-medium", "lookahead-greedy:kappa=0.3") != profits("la8-medium", "lookahead-greedy")


@pytest.mark.parametrize("agent", rules_of(AIR))
def test_asked_step_by_step_they_choose_the_same(agent: str) -> None:
    instance = "random:size=5x9:count=1:seed=3"
    stepped, whole = (days(instance, agent, (0, 1, 2), by_steps) for by_steps in (True, False))
    assert [day.objective for day in stepped] == [day.objective for day in whole]
    assert [day.metrics for day in stepped] == [day.metrics for day in whole]


def test_no_greedy_flight_loses_money() -> None:
    for agent in ("greedy-profit", "threshold-greedy"):
        assert min(profits("la8-low", agent, (0, 1, 2))) >= 0


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("lookahead-greedy:kapa=1", "kapa"),
        ("lookahead-greedy:kappa=x", "option kappa of agent 'lookahead-greedy' is 'x', expected a number from"),
        ("threshold-greedy:theta=true", "option theta of agent 'threshold-greedy' is True, expected a number"),
        ("greedy-profit:theta=1", "theta"),
    ],
)
def test_wrong_weights(agent: str, message: str) -> None:
    arena = open_arena(AIR, 1, {"instance": "la8-low"})
    with pytest.raises(UserError, match=message) as caught:
        make_agent(agent, arena.setting)
    assert "\n" not in str(caught.value)


def test_generic_agents_know_the_environment() -> None:
    arena = open_arena(AIR, 1, {"instance": "la8-low"})
    names = known_agents(arena.setting)
    assert {*rules_of(AIR), "random", "best-rule", "rollout"} <= set(names)


@pytest.mark.parametrize("options", [{}, {"noise": 0}, {"vehicle": "evtol-2025"}, {"taper": True}])
def test_looking_ahead_pays(options: dict[str, Any]) -> None:
    means = []
    for agent in ("greedy-profit", "lookahead-greedy"):
        means.append(statistics.mean(profits("la8-medium", agent, tuple(range(20)), **options)))
    assert means[1] > 1.05 * means[0]
