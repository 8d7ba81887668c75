"""The mapper, searches and hybrids by their names in `makespan evaluate`."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.memory_mapping.search import RandomOrders
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.generator import random_instance
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate

ENV = "makespan/MemoryMapping-v0"


@pytest.fixture(scope="module")
def program() -> MemoryInstance:
    return named("alexnet_b8_64m")[0]


def played(agent: str, program: MemoryInstance, **options: Any) -> Any:
    tries = int(agent.partition("samples=")[2] or 1)
    arena = open_arena(ENV, tries, {"instance": [program], **options})
    (episode,) = play(arena, make_agent(agent, arena.setting), [Case(program, 0)])
    return episode


@pytest.mark.parametrize("supply", ["elapsed", "contended"])
@pytest.mark.parametrize(
    "agent",
    [
        "xla-like", "xla-like:supply=contended", "xla-like:order=size-asc:preferred=0.5:minimum=0", "tuned-xla",
        "best-of-orders:orders=10", "order-search:orders=50", "game-search:plays=50", "keep-first", "rent",
        "trained-xla",
    ],
)  # fmt: skip
def test_every_plan_passes_the_checker_and_takes_what_the_judge_says(
    agent: str, supply: str, program: MemoryInstance
) -> None:
    episode = played(agent, program, supply=supply)
    assert validate(episode.schedule) == []
    assert episode.objective == run_times(episode.schedule).judged_ps
    assert episode.objective > 0
    assert played(agent, program, supply=supply).objective == episode.objective, "limits by counts repeat"


def test_search_is_no_worse_than_what_it_begins_from(program: MemoryInstance) -> None:
    best = min(played(f"xla-like:supply={supply}", program).objective for supply in ("elapsed", "contended"))
    assert played("tuned-xla", program).objective <= best
    assert played("order-search:orders=100", program).objective <= best
    assert played("game-search:plays=200", program).objective <= played("keep-first", program).objective


@pytest.mark.parametrize("supply", ["elapsed", "contended"])
@pytest.mark.parametrize(
    "agent",
    [
        "xla-like", "trained-xla", "tuned-xla", "best-of-orders:orders=20", "order-search:orders=300",
        "game-search:plays=50", "hybrid:of=xla-like+keep-first",
    ],
)  # fmt: skip
def test_the_proxy_is_made_small_within_the_supply_at_hand(agent: str, supply: str, program: MemoryInstance) -> None:
    """Transfers that fit no supply are free to the proxy."""
    episode = played(agent, program, supply=supply, objective="proxy")
    assert episode.schedule.supply == supply
    assert validate(episode.schedule) == []
    assert episode.objective == run_times(episode.schedule).proxy_ps


def test_plays_are_searched_under_every_supply_that_may_compete() -> None:
    """Where each layer's weights are read at every step there is no time to fetch them but what transfers wait for."""
    program = named("lstm_b32_16m")[0]
    elapsed, contended = (played("keep-first", program, supply=supply) for supply in ("elapsed", "contended"))
    assert elapsed.objective < contended.objective
    found = played("game-search:plays=20", program, supply="contended")
    assert found.objective <= elapsed.objective
    assert found.schedule.supply == "elapsed"
    assert played("game-search:plays=20", program, supply="contended", objective="proxy").schedule.supply == "contended"


def test_by_the_proxy_a_plan_must_fit_the_supply_at_hand(program: MemoryInstance) -> None:
    plan = played("xla-like", program, supply="elapsed", objective="proxy").schedule
    strict, lenient = (
        gymnasium.make(ENV, instance=program, supply="contended", objective=objective).unwrapped
        for objective in ("proxy", "judge")
    )
    assert lenient.validate(plan) == []  # type: ignore[attr-defined]
    assert "by the contended supply: " in strict.validate(plan)[0]  # type: ignore[attr-defined]


def test_searches_propose_whole_plans_where_plays_may_die(program: MemoryInstance) -> None:
    tight = random_instance((100,), 4)
    dead = played("keep-first", tight, dead_end="terminate")
    assert dead.metrics["dead_end"]
    episode = played("game-search:plays=20", tight, dead_end="terminate")
    assert validate(episode.schedule) == []
    assert episode.objective < tight.all_hbm_ps
    with pytest.raises(UserError, match="plays may end there before their schedule is whole; use dead_end=backup"):
        played("hybrid:of=keep-first+xla-like", tight, dead_end="terminate")


def test_a_hybrid_is_the_better_of_its_parts(program: MemoryInstance) -> None:
    parts = ["xla-like", "keep-first", "all-hbm"]
    objectives = [played(part, program).objective for part in parts]
    assert len(set(objectives)) == 3
    assert played(f"hybrid:of={'+'.join(parts)}", program).objective == min(objectives)


def test_the_parts_of_a_hybrid_do_what_they_do_alone(program: MemoryInstance) -> None:
    for part in ("random", "best-of-orders:orders=3", "xla-like:supply=contended:order=size-asc"):
        alone = played(part, program)
        assert played(f"hybrid:of={part.replace(':', '@')}+all-hbm", program).objective == alone.objective, part
    arena = open_arena(ENV, 1, {"instance": [program]})
    agent = make_agent("hybrid:of=random@samples=8", arena.setting)
    assert play(arena, agent, [Case(program, 0)])[0].objective < played("random", program).objective


def test_each_try_of_the_best_of_orders_is_an_order(program: MemoryInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped: list[int | None] = []
    run = RandomOrders.run

    def counted(self: RandomOrders, seconds: float | None, mappings: int | None) -> None:
        run(self, seconds, mappings)
        mapped.append(self.mappings)

    monkeypatch.setattr(RandomOrders, "run", counted)
    arena = open_arena(ENV, 5, {"instance": [program]})
    (episode,) = play(arena, make_agent("best-of-orders:samples=5", arena.setting), [Case(program, 0)])
    assert mapped == [2] * 5, "by either supply"
    assert episode.objective == arena.objectives().min()
    mapped.clear()
    assert played("best-of-orders", program).objective <= episode.objective
    assert mapped == [2 * 60]


def test_hybrids_need_schedules_that_are_appraised() -> None:
    for options, problem in (
        ({}, "count only if they are played"),
        ({"law": "bernoulli", "p": 0.01}, "nobody can foresee"),
    ):
        with pytest.raises(UserError, match=problem):
            make_agent("hybrid:of=spt+mwkr", open_arena("makespan/JobShop-v0", 1, options).setting)


@pytest.mark.parametrize(
    ("agent", "problem"),
    [
        ("xla-like:supply=none", "option supply of agent 'xla-like' is 'none'"),
        ("xla-like:preferred=-1", "option preferred of agent 'xla-like' is -1, expected a number from 0"),
        ("order-search:orders=5:time=1", "option orders and option time exclude each other"),
        ("game-search:time=0", "option time of agent 'game-search' is 0"),
        ("hybrid", "needs option of"),
        ("hybrid:of=xla-like+nobody", "unknown agent 'nobody'"),
        ("reconsider:plan=xla-like", "agent 'xla-like' proposes whole schedules and does not play"),
        ("reconsider:of=tuned-xla", "agent 'tuned-xla' proposes whole schedules and does not play"),
        ("hybrid:of=xla-like@supply=none", "option supply of agent 'xla-like' is 'none'"),
        ("hybrid:of=all-hbm+all-hbm", "name an agent twice"),
    ],
)
def test_wrong_options_are_named(agent: str, problem: str, program: MemoryInstance) -> None:
    with pytest.raises(UserError, match=problem):
        played(agent, program)
    with pytest.raises(UserError, match="it is no memory mapping"):
        make_agent("xla-like", open_arena("makespan/JobShop-v0", 1).setting)


def test_by_the_proxy_no_other_supply_may_be_asked_for(program: MemoryInstance) -> None:
    with pytest.raises(UserError, match="only plans for the environment's supply 'contended' compare"):
        played("xla-like:supply=elapsed", program, objective="proxy")
