"""Searches over orders: what they say is what the judge says, limits by counts repeat, and better plans are told."""

from __future__ import annotations

import pytest
from makespan.agents.memory_mapping.agent import search_grid
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import order_of
from makespan.agents.memory_mapping.search import OrderSearch, OrderSearchBase, RandomOrders, best_variant
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.envs.memory_mapping.validity import validate
from support.memory_programs import random_program

VARIANTS = (MapperOptions(supply="elapsed"), MapperOptions(supply="contended"), MapperOptions(supply="unlimited"))


@pytest.mark.parametrize("search_class", [RandomOrders, OrderSearch])
@pytest.mark.parametrize("score", ["judge", "proxy"])
def test_the_best_plan_takes_what_the_search_says(search_class: type[OrderSearchBase], score: str) -> None:
    for seed in range(25):
        search = search_class(random_program(seed, instructions=20), VARIANTS, score, seed)
        search.run(mappings=40)
        plan = search.plan()
        times = run_times(plan)
        assert validate(plan) == []
        assert search.best == (times.judged_ps if score == "judge" else times.proxy_ps)


@pytest.mark.parametrize("search_class", [RandomOrders, OrderSearch])
def test_limits_by_counts_repeat_and_better_plans_are_told(search_class: type[OrderSearchBase]) -> None:
    instance = named("resnet50_b32_32m")[0]
    told: list[MemoryPlan] = []
    one, other = (search_class(instance, VARIANTS, "judge", 3) for _ in range(2))
    one.run(mappings=300, found=told.append)
    for mappings in (100, 200):
        other.run(mappings=mappings)
    assert one.mappings == other.mappings
    assert one.plan().placements == other.plan().placements
    times = [run_times(plan).judged_ps for plan in told]
    assert times == sorted(set(times), reverse=True)
    assert times[-1] == one.best
    assert len(times) > 1


def test_local_search_begins_from_the_best_variant_and_improves() -> None:
    instance = named("resnet50_b32_32m")[0]
    row, plan = best_variant(instance, search_grid(), "priority", "judge")
    search = OrderSearch(instance, search_grid(), "judge", 0)
    search.run(mappings=1)
    assert search.mappings == 1, "the variants count, too"
    search.run(mappings=len(search_grid()) - 1)
    assert search.best == run_times(plan).judged_ps
    mapper = Mapper(instance, search_grid()[row])
    mapper.map(order_of(mapper.program, "priority"))
    assert mapper.plan().placements == plan.placements
    search.run(mappings=500)
    assert search.best < run_times(plan).judged_ps


def test_a_run_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="needs a limit"):
        OrderSearch(random_program(0), VARIANTS, "judge", 0).run()
