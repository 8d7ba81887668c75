"""Plan and repair: hand-made cases, that it always finishes, what a new plan is worth, that nobody sees the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.arena import Case, EngineArena, Episode, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.cp_sat_agent import CpSatAgent
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.generator import random_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import validate
from support.job_shop import MODES, case, rules, shop, shops

JOB_SHOP = "makespan/JobShop-v0"
# Small shops are solved to the proved optimum well before the time is up.
SHIFT, RESOLVE = "cp-plan:time=30", "cp-plan:time=30:repair=resolve:retime=30"


def episodes(name: str, instances: Sequence[JobShopInstance], seeds: Sequence[int], **options: Any) -> list[Episode]:
    arena = open_arena(JOB_SHOP, len(instances), {**options, "instance": tuple(instances)})
    cases = [Case(instance, seed) for instance, seed in zip(instances, seeds, strict=True)]
    return play(arena, make_agent(name, arena.setting), cases)


def reached(name: str, instance: JobShopInstance, seed: int = 0, **options: Any) -> Episode:
    (episode,) = episodes(name, [instance], [seed], **options)
    return episode


@pytest.mark.parametrize("name", [SHIFT, RESOLVE])
@pytest.mark.parametrize(
    "letter, optima", [("D", [(11, 12, 12), (11, 12, 13), (11, 12, 13)]), ("F", [(10, 11, 11)] * 3)]
)
def test_a_breakdown_that_nobody_announced(name: str, letter: str, optima: list[tuple[int, int, int]]) -> None:
    """Cases D and F of the model: here the plan for no breakdown, shifted to the right, is as good as foresight."""
    for blocking, expected in zip(MODES, optima, strict=True):
        found = [
            reached(name, case(letter), law="windows", blocking=blocking, on_breakdown=mode).objective
            for mode in ("resume", "repeat", "scrap")
        ]
        assert tuple(found) == expected


def test_a_new_plan_goes_round_a_long_repair() -> None:
    """Job 0 is to be first on machine 1, but stands on machine 0 till 31: job 1 need not wait for it."""
    late = shop([[2, 3], [4, 4]], [[0, 1], [2, 1]], [[(1, 30)], [], []], num_machines=3)
    for blocking in MODES:
        assert reached(SHIFT, late, law="windows", blocking=blocking).objective == 31 + 3 + 4
        assert reached(RESOLVE, late, law="windows", blocking=blocking).objective == 31 + 3


def test_a_hidden_repair_is_expected_to_last_as_long_again() -> None:
    """At 4 machine 0 has been down for 3. Were it up at 7, job 0 had better stay first on machine 1."""
    times, machines = [[2, 3, 20], [4, 9, 15]], [[0, 1, 3], [2, 1, 4]]
    late = shop(times, machines, [[(1, 30)], [], [], [], []], num_machines=5)
    assert reached(RESOLVE, late, law="windows", repair_visible=False).objective == 34 + 9 + 15
    assert reached(RESOLVE, late, law="windows").objective == 34 + 20


@pytest.mark.parametrize("options", [{}, {"law": "bernoulli", "p": 0.0}, {"law": "windows"}], ids=str)
@pytest.mark.parametrize("blocking", MODES)
@pytest.mark.parametrize("name", [SHIFT, RESOLVE])
def test_where_nothing_breaks_down_it_is_cp_sat(name: str, blocking: str, options: dict[str, Any]) -> None:
    instances = [random_instance(((4, 3), (3, 4)), seed) for seed in range(4)]
    zeros = shop([[2, 0, 2], [3, 1, 0], [0, 4, 1]], [[0, 1, 0], [0, 0, 1], [1, 0, 1]], name="zeros")
    instances.append(zeros)
    found = episodes(name, instances, range(5), blocking=blocking, **options)
    exact = episodes("cp-sat:time=30", instances, range(5), blocking=blocking)
    assert [episode.objective for episode in found] == [episode.objective for episode in exact]


@pytest.mark.parametrize("name", [SHIFT, RESOLVE])
@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
def test_planned_maintenance_is_planned_for(name: str, on_breakdown: str) -> None:
    """With all windows known it is cp-sat, which plans round them."""
    options = {"law": "windows", "known_windows": True, "on_breakdown": on_breakdown}
    for letter in "DF":
        exact = reached("cp-sat:time=30", case(letter), **options).objective
        assert reached(name, case(letter), **options).objective == exact


def test_construct_mode() -> None:
    instance = case("C")
    assert reached(SHIFT, instance, blocking="none", mode="construct").objective == 10


@pytest.mark.parametrize("name", [SHIFT, RESOLVE])
def test_all_moves_of_one_instant_are_made_in_an_order_that_a_shop_without_swaps_allows(name: str) -> None:
    routes = [[0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    instance = shop([[0] * len(route) for route in routes], routes)
    assert reached(name, instance, blocking="no-swap").objective == 0
    assert reached(name, instance, blocking="no-swap", law="bernoulli").metrics["status"] == "finished"


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([SHIFT, RESOLVE]),
    instance=shops(jobs=(2, 4), machines=(2, 3), least_time=0, windows=True),
    options=rules(laws=("bernoulli", "exponential", "windows"), allow_wait=True, deadlock="end", p=0.03, mtbf=30.0),
    seed=st.integers(0, 10**6),
)
def test_it_always_finishes(name: str, instance: JobShopInstance, options: dict[str, Any], seed: int) -> None:
    if options["blocking"] != "no-swap":
        del options["deadlock"]
    if options["law"] != "windows":
        instance = replace(instance, windows=())
    episode = reached(name, instance, seed, **options)
    assert episode.metrics["status"] == "finished"
    assert validate(episode.schedule) == []


@settings(max_examples=40, deadline=None)
@given(
    instance=shops(jobs=(2, 4), machines=(2, 3)),
    window=st.tuples(st.integers(0, 8), st.integers(1, 12)),
    blocking=st.sampled_from(MODES),
    on_breakdown=st.sampled_from(["resume", "repeat", "scrap"]),
    unload=st.booleans(),
)
def test_of_one_breakdown_a_new_plan_makes_the_best(
    instance: JobShopInstance, window: tuple[int, int], blocking: str, on_breakdown: str, unload: bool
) -> None:
    """Until it is seen both do the same, then one does the best that there is: hindsight is no worse than foresight."""
    begin, length = window
    machines = instance.num_machines
    instance = replace(instance, windows=((((begin, begin + length),)), *(((),) * (machines - 1))))
    options = {"law": "windows", "blocking": blocking, "on_breakdown": on_breakdown, "unload_when_down": unload}
    shifted = reached(SHIFT, instance, **options).objective
    resolved = reached(RESOLVE, instance, **options).objective
    assert resolved <= shifted
    if on_breakdown != "scrap":
        exact = reached("cp-sat:time=30", instance, **options, known_windows=True).objective
        assert exact <= resolved


def moves(name: str, instance: JobShopInstance, **options: Any) -> list[tuple[int, int]]:
    """Every (time, action) of an agent."""
    arena = open_arena(JOB_SHOP, 1, {**options, "instance": instance})
    assert isinstance(arena, EngineArena)
    agent = make_agent(name, arena.setting)
    arena.reset([Case(instance, 0)])
    agent.begin(np.arange(1), arena.instances(), np.zeros(1, dtype=np.uint64), arena.imagine())
    made = []
    while arena.running().any():
        actions = agent.act(arena.observation(), arena.masks())
        made.append((int(arena.engine.metrics(0)["time"]), int(actions[0])))
        arena.step(actions)
    return made


@pytest.mark.parametrize("repair_visible", [True, False])
@pytest.mark.parametrize("name", [SHIFT, RESOLVE])
@pytest.mark.parametrize("blocking", MODES)
def test_what_is_to_come_changes_nothing_now(name: str, blocking: str, repair_visible: bool) -> None:
    """Two worlds that differ from 15 on, and by how long the repair lasts that began at 4, are alike to begin with."""
    times = [[6, 11, 9], [8, 5, 7], [7, 3, 7], [5, 7, 8]]
    routes = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0]]
    options = {"law": "windows", "blocking": blocking, "repair_visible": repair_visible}
    first = shop(times, routes, [[(4, 16)], [(40, 50)], []])
    ends = 16 if repair_visible else 35
    second = shop(times, routes, [[(4, ends), (36, 90)], [(15, 19)], [(17, 60)]])
    one, other = moves(name, first, **options), moves(name, second, **options)
    assert one != other
    assert [move for move in one if move[0] < 15] == [move for move in other if move[0] < 15]


def test_new_plans_are_made_where_a_breakdown_is_seen_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from makespan.agents.job_shop import cp_plan as module

    solve, planned = solve_job_shop, []

    def count(*args: Any, **keywords: Any) -> Any:
        planned.append((keywords["state"].time, keywords["state"].windows))
        return solve(*args, **keywords)

    monkeypatch.setattr(module, "solve_job_shop", count)
    instance = shop([[6, 5], [4, 9], [3, 8], [7], [7]], [[0, 1], [1, 0], [1, 0], [1], [1]], [[(2, 11), (14, 18)], []])
    reached(RESOLVE, instance, law="windows", blocking="none")
    assert planned == [(3, (((2, 11),), ())), (14, (((14, 18),), ()))]
    planned.clear()
    reached(SHIFT, instance, law="windows", blocking="none")
    assert not planned


def test_an_instance_is_planned_once() -> None:
    instance = random_instance(((4, 4),), 3)
    arena = open_arena(JOB_SHOP, 3, {"law": "bernoulli", "p": 0.01, "instance": instance})
    agent = make_agent(SHIFT, arena.setting)
    assert isinstance(agent, CpSatAgent)
    play(arena, agent, [Case(instance, seed) for seed in range(3)])
    result = agent.results[instance.name]
    play(arena, agent, [Case(instance, seed) for seed in range(3, 6)])
    assert agent.results[instance.name] is result
    assert agent.bound(instance) == result.objective


def test_the_batch_changes_nothing() -> None:
    instances = [random_instance(((4, 4), (3, 3)), seed) for seed in range(4)]
    options = {"law": "bernoulli", "p": 0.01}
    together = [episode.objective for episode in episodes(RESOLVE, instances, range(4), **options)]
    alone = [reached(RESOLVE, instance, seed, **options).objective for seed, instance in enumerate(instances)]
    assert together == alone


def test_wrong_options_and_where_no_plan_can_be_kept() -> None:
    setting = open_arena(JOB_SHOP, 1, {"law": "bernoulli"}).setting
    assert "cp-plan" in known_agents(setting)
    assert "cp-sat" not in known_agents(setting)
    for option, problem in (
        ("repair=redo", "option repair of agent 'cp-plan'.*'right-shift' or 'resolve'"),
        ("time=0", "option time"),
        ("repair=resolve:retime=0", "option retime"),
        ("retime=1", "needs repair=resolve"),
    ):
        with pytest.raises(UserError, match=problem):
            make_agent(f"cp-plan:{option}", setting)
    with pytest.raises(UserError, match="allow_wait=true"):
        make_agent("cp-plan", open_arena(JOB_SHOP, 1, {"law": "bernoulli", "allow_wait": False}).setting)
    banker = {"law": "bernoulli", "blocking": "no-swap", "deadlock": "banker"}
    with pytest.raises(UserError, match="deadlock=end"):
        make_agent("cp-plan", open_arena(JOB_SHOP, 1, banker).setting)
    with pytest.raises(UserError, match="no job shop"):
        make_agent("cp-plan", replace(setting, env_id="test/Other-v0"))
