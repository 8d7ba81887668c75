"""CP-SAT as an agent: its plans replayed through the engine reach what the solver said."""

from dataclasses import replace
from typing import Any

import pytest
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.cp_sat_agent import CpSatAgent
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.generator import random_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import validate

JOB_SHOP = "makespan/JobShop-v0"


def replay(
    instances: list[JobShopInstance], name: str = "cp-sat:time=20", **options: Any
) -> tuple[CpSatAgent, list[Episode]]:
    arena = open_arena(JOB_SHOP, len(instances), {**options, "instance": tuple(instances)})
    agent = make_agent(name, arena.setting)
    assert isinstance(agent, CpSatAgent)
    return agent, play(arena, agent, [Case(instance, 0) for instance in instances])


@pytest.mark.parametrize(
    "options",
    [{}, {"blocking": "none"}, {"blocking": "no-swap"}, {"blocking": "none", "mode": "construct"}],
    ids=str,
)
def test_replay_reaches_the_proved_optimum(options: dict[str, Any]) -> None:
    instances = [random_instance(((4, 3), (3, 4)), seed) for seed in range(6)]
    agent, episodes = replay(instances, **options)
    for instance, episode in zip(instances, episodes, strict=True):
        result = agent.results[instance.name]
        assert result.proved
        assert episode.objective == result.objective == agent.bound(instance)
        assert validate(episode.schedule) == []


@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
def test_known_windows_in_the_classical_shop(on_breakdown: str) -> None:
    """Cases D and F of the model: a window on machine 0."""
    d = JobShopInstance.from_routes("case-d", [[3, 2], [3, 2]], [[1, 0], [1, 0]], 2, [[(4, 8)], []])
    options = {"law": "windows", "known_windows": True, "on_breakdown": on_breakdown, "blocking": "none"}
    agent, (episode,) = replay([d], **options)
    assert agent.results["case-d"].proved
    assert episode.objective == agent.results["case-d"].objective
    assert {"resume": 11, "repeat": 12, "scrap": 12}[on_breakdown] == episode.objective
    f = JobShopInstance.from_routes("case-f", [[2, 3], [1, 4]], [[0, 1], [0, 1]], 2, [[(2, 6)], []])
    agent, (episode,) = replay([f], **options)
    assert {"resume": 10, "repeat": 11, "scrap": 11}[on_breakdown] == episode.objective
    assert episode.metrics["lost_pieces"] == 0


def test_revisits_and_zero_times() -> None:
    routes = ([[2, 0, 2], [3, 1, 0], [0, 4, 1]], [[0, 1, 0], [0, 0, 1], [1, 0, 1]])
    for blocking in ("none", "swap", "no-swap"):
        agent, (episode,) = replay([JobShopInstance.from_routes("zeros", *routes)], blocking=blocking)
        assert episode.objective == agent.results["zeros"].objective
        assert validate(episode.schedule) == []


def test_a_warm_start_is_never_lost() -> None:
    """In next to no time the solver gives back the best rule's schedule."""
    arena = open_arena(JOB_SHOP, 1, {"instance": "la21"})
    agent = make_agent("cp-sat:time=0.001", arena.setting)
    (episode,) = play(arena, agent, [Case("la21", 0)])
    hindsight = make_agent("best-rule:hindsight=1", arena.setting)
    rules = open_arena(JOB_SHOP, hindsight.samples, {"instance": "la21"})
    (best,) = play(rules, hindsight, [Case("la21", 0)])
    assert episode.objective <= best.objective
    cold = make_agent("cp-sat:time=0.001:warm=false", arena.setting)
    with pytest.raises(UserError, match="no schedule of 'la21'"):
        play(arena, cold, [Case("la21", 0)])


def test_an_instance_is_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from makespan.agents.job_shop import cp_sat_agent as module

    solved = []

    def count(instance: JobShopInstance, *args: Any, **keywords: Any) -> Any:
        solved.append(instance.name)
        return solve(instance, *args, **keywords)

    solve = solve_job_shop
    monkeypatch.setattr(module, "solve_job_shop", count)
    first, other = random_instance(((3, 3),), 1), random_instance(((3, 3),), 2)
    same_name = replace(other, name=first.name)
    agent, _ = replay([first, first, other])
    arena = open_arena(JOB_SHOP, 1, {"instance": same_name})
    play(arena, agent, [Case(same_name, 0)])
    assert solved == [first.name, other.name, first.name]


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"law": "bernoulli"}, "law=none"),
        ({"law": "windows"}, "known_windows"),
        ({"allow_wait": False}, "allow_wait=true"),
        ({"blocking": "no-swap", "deadlock": "banker"}, "deadlock=end"),
    ],
)
def test_where_no_plan_can_be_kept(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        make_agent("cp-sat", open_arena(JOB_SHOP, 1, options).setting)


def test_other_environments_and_wrong_options() -> None:
    setting = open_arena(JOB_SHOP, 1).setting
    with pytest.raises(UserError, match="no job shop"):
        make_agent("cp-sat", replace(setting, env_id="test/Other-v0"))
    for option in ("time=0", "time=abc", "time=true", "workers=0", "warm=3"):
        with pytest.raises(UserError, match=f"option {option.split('=')[0]}"):
            make_agent(f"cp-sat:{option}", setting)
