"""Searches as agents: their plans are replayed in every mode, under breakdowns too, and reported as they come."""

from __future__ import annotations

from typing import Any

import pytest
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent
from makespan.agents.job_shop.planning import PlanningAgent
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.job_shop.generator import random_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import validate
from support.job_shop import MODES, shop

JOB_SHOP = "makespan/JobShop-v0"
NAMES = ("amcc", "amcc:restarts=5:noise=0.5", "iterated-greedy:iterations=50", "job-insertion:iterations=500")


def replay(name: str, instances: list[JobShopInstance], **options: Any) -> tuple[PlanningAgent, list[Episode]]:
    arena = open_arena(JOB_SHOP, len(instances), {**options, "instance": tuple(instances)})
    agent = make_agent(name, arena.setting)
    assert isinstance(agent, PlanningAgent)
    return agent, play(arena, agent, [Case(instance, 0) for instance in instances])


def small_shops() -> list[JobShopInstance]:
    zeros = shop([[2, 0, 2], [3, 1, 0], [0, 4, 1]], [[0, 1, 0], [0, 0, 1], [1, 0, 1]], name="zeros")
    return [*(random_instance(((5, 3), (3, 4)), seed) for seed in range(4)), zeros]


def names_for(blocking: str) -> tuple[str, ...]:
    return (*NAMES, "lns:iterations=5") if blocking == "none" else NAMES


@pytest.mark.parametrize("blocking", MODES)
def test_a_plan_comes_to_what_was_found(blocking: str) -> None:
    for name in names_for(blocking):
        agent, episodes = replay(name, small_shops(), blocking=blocking)
        for episode in episodes:
            assert episode.metrics["status"] == "finished"
            assert validate(episode.schedule) == []
            assert episode.objective <= planned(agent, episode)


def planned(agent: PlanningAgent, episode: Episode) -> int:
    makespan = agent.results[episode.schedule.instance.name].objective
    assert makespan is not None
    return makespan


def test_construct_mode() -> None:
    for name in names_for("none"):
        agent, episodes = replay(name, small_shops(), blocking="none", mode="construct")
        for episode in episodes:
            assert episode.objective <= planned(agent, episode)


@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
@pytest.mark.parametrize("blocking", MODES)
def test_under_breakdowns_the_plan_is_shifted(blocking: str, on_breakdown: str) -> None:
    for name in names_for(blocking):
        options = {"blocking": blocking, "law": "bernoulli", "p": 0.002, "on_breakdown": on_breakdown}
        _, episodes = replay(name, small_shops(), **options)
        for episode in episodes:
            assert episode.metrics["status"] == "finished"
            assert validate(episode.schedule) == []


def test_planned_maintenance_is_not_planned_for() -> None:
    down = shop([[3, 2], [3, 2]], [[1, 0], [1, 0]], [[(4, 8)], []])
    for name in NAMES:
        _, (episode,) = replay(name, [down], law="windows", known_windows=True)
        assert validate(episode.schedule) == []


def test_searches_are_never_worse_than_the_rules_they_begin_from() -> None:
    instances = [random_instance(((8, 6),), seed) for seed in range(3)]
    arena = open_arena(JOB_SHOP, 1, {})
    hindsight = make_agent("best-rule:hindsight=1", arena.setting)
    rules = open_arena(JOB_SHOP, 3 * hindsight.samples, {"instance": tuple(instances)})
    bars = play(rules, hindsight, [Case(instance, 0) for instance in instances])
    for name in ("iterated-greedy:iterations=1", "job-insertion:iterations=1"):
        for episode, bar in zip(replay(name, instances)[1], bars, strict=True):
            assert episode.objective <= bar.objective


class _Reports:
    def __init__(self) -> None:
        self.makespans: list[int] = []

    def found(self, schedule: Any) -> None:
        assert validate(schedule) == []
        self.makespans.append(schedule.makespan)

    def bounded(self, bound: float) -> None:
        raise AssertionError("nothing is proved")


@pytest.mark.parametrize("name", ["amcc", "iterated-greedy", "job-insertion"])
def test_improve_reports_what_it_finds(name: str) -> None:
    instance = random_instance(((8, 6),), 1)
    arena = open_arena(JOB_SHOP, 1, {"instance": instance})
    arena.reset([Case(instance, 0)])
    imagine, agent, reports = arena.imagine(), make_agent(name, arena.setting), _Reports()
    assert imagine is not None
    assert agent.improves
    agent.improve(instance, imagine, 0.3, reports)
    assert reports.makespans
    assert reports.makespans == sorted(set(reports.makespans), reverse=True)


def test_options() -> None:
    setting = open_arena(JOB_SHOP, 1, {"blocking": "none"}).setting
    assert {"amcc", "iterated-greedy", "job-insertion", "lns"} <= set(known_agents(setting))
    for name in ("amcc:noise=2", "amcc:restarts=-1", "iterated-greedy:iterations=0", "lns:time=0", "lns:workers=0"):
        with pytest.raises(UserError, match=f"option {name.split(':')[1].split('=')[0]}"):
            make_agent(name, setting)
    with pytest.raises(UserError, match="exclude each other"):
        make_agent("iterated-greedy:time=1:iterations=5", setting)
    with pytest.raises(UnknownNameError, match="time"):
        make_agent("amcc:time=3", setting)


@pytest.mark.parametrize("options", [{"allow_wait": False}, {"blocking": "no-swap", "deadlock": "banker"}], ids=str)
def test_where_no_plan_can_be_kept(options: dict[str, Any]) -> None:
    setting = open_arena(JOB_SHOP, 1, options).setting
    for name in NAMES:
        with pytest.raises(UserError, match="cannot play"):
            make_agent(name, setting)


def test_windows_are_planned_in_the_classical_shop_only() -> None:
    with pytest.raises(UserError, match="blocking=none"):
        make_agent("lns", open_arena(JOB_SHOP, 1, {}).setting)


def test_shops_in_which_work_has_begun_are_refused() -> None:
    instance = shop([[3, 2], [2, 4]], [[0, 1], [1, 0]])
    begun = instance.starting_from(
        {"time": 1, "jobs": [{"job": 0, "finished": 0, "processing": {"machine": 0, "since": 0}}]}
    )
    with pytest.raises(UserError, match="work has begun"):
        replay("iterated-greedy:iterations=5", [begun])
