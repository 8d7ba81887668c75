"""The search over plays: its plans are plays of the game, valid, as good as it says, and better with time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makespan.agents.memory_mapping.game_search import FETCH, LEAVE, GameSearch, wishes_of
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import order_of
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.env import make_engine
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.envs.memory_mapping.validity import validate
from support.memory_hand_games import HAND_GAMES
from support.memory_programs import random_program

COPY, NO_COPY, DROP = range(3)


def greedy(instance: MemoryInstance, **options: Any) -> int:
    """The objective of a play that leaves what it can, else fetches it, else drops it."""
    engine = make_engine(1, instance=[instance], **options)
    engine.reset([0])
    while engine.is_running()[0]:
        mask = engine.masks[0]
        engine.step(np.array([next(action for action in (NO_COPY, COPY, DROP) if mask[action])]))
    return int(engine.objectives()[0])


def test_a_fetch_before_a_loop_is_wished_for_at_the_first_read_in_it() -> None:
    (hand,) = [hand for hand in HAND_GAMES if hand.name.startswith("what finds no supply in a loop")]
    mapper = Mapper(hand.instance, MapperOptions("contended", preferred=1.0))
    mapper.map(order_of(mapper.program, "priority"))
    assert mapper.plan().placements == hand.placements
    assert wishes_of(mapper).tolist() == [LEAVE, FETCH]


@pytest.mark.parametrize("supply", ["contended", "elapsed"])
def test_plans_are_valid_plays(supply: str) -> None:
    better = 0
    for seed in range(40):
        instance = random_program(seed, instructions=4 + seed % 30)
        search = GameSearch(instance, {"supply": supply}, seed)
        search.run(plays=60)
        plan = search.plan()
        assert validate(plan) == []
        assert search.best == run_times(plan).judged_ps
        engine = make_engine(1, instance=[instance], supply=supply)
        engine.reset([0])
        for action in search.actions.tolist():
            engine.step(np.array([action]))
        assert int(engine.objectives()[0]) == search.best, "its actions are a play without Drop-backups"
        assert engine.metrics(0)["backups"] == 0
        least = greedy(instance, supply=supply)
        assert search.best <= least
        better += search.best < least
    assert better > 10


def test_the_proxy_is_searched_where_it_is_the_objective() -> None:
    instance = named("dlrm_b8192_32m")[0]
    search = GameSearch(instance, {"objective": "proxy", "supply": "elapsed"}, 0)
    search.run(plays=200)
    assert search.best == run_times(search.plan()).proxy_ps


def test_a_search_is_the_same_each_time_and_in_parts() -> None:
    instance = named("dlrm_b8192_16m")[0]
    variants = [MapperOptions(supply="contended")]
    one, other = (GameSearch(instance, {}, 7, variants) for _ in range(2))
    one.run(plays=300)
    for plays in (100, 200):
        other.run(plays=plays)
    assert one.plays == other.plays == 300
    assert one.best == other.best
    assert one.actions.tolist() == other.actions.tolist()


def test_whatever_is_better_is_told() -> None:
    instance = named("dlrm_b8192_16m")[0]
    told: list[MemoryPlan] = []
    search = GameSearch(instance, {}, 0)
    search.run(plays=500, found=told.append)
    times = [run_times(plan).judged_ps for plan in told]
    assert times == sorted(set(times), reverse=True)
    assert times[-1] == search.best


def test_a_run_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="needs a limit"):
        GameSearch(random_program(0), {}, 0).run()
