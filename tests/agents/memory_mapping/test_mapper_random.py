"""The mapper on random programs: every plan is valid, and the compiled run times are those of the judges."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import ORDERS, order_of
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate
from support.memory_programs import random_program

SUPPLIES = ("elapsed", "contended", "unlimited")


def drawn(seed: int) -> MemoryInstance:
    return random_program(seed, instructions=4 + seed % 50)


def varied(seed: int, supply: str) -> MapperOptions:
    draw = np.random.default_rng(seed)
    return MapperOptions(
        supply,
        preferred=float(draw.choice([0.1, 1.0, 2.0, 4.0])),
        minimum=float(draw.choice([0.0, 0.5, 1.0])),
        maximum=float(draw.choice([0.2, 1.0, 8.0, 100.0])),
        fetches=int(draw.choice([1, 3, 40])),
        write_backs=int(draw.choice([1, 40])),
        repacks=int(draw.choice([0, 4, 1000])),
        tries=int(draw.choice([1, 2, 3])),
        fifo=bool(draw.integers(2)),
        pin_outputs=bool(draw.integers(2)),
    )


def test_programs_hold_what_they_should() -> None:
    programs = [drawn(seed) for seed in range(200)]
    assert sum(bool(program.loops) for program in programs) > 50
    assert sum(bool(program.carried) for program in programs) > 20
    assert sum(any(t.alias_group is not None for t in program.tensors) for program in programs) > 100


@pytest.mark.parametrize("supply", SUPPLIES)
def test_every_plan_is_valid_and_takes_what_the_judges_say(supply: str) -> None:
    placed = fetched = before_loops = written_back = waits = 0
    for seed in range(300):
        instance = drawn(seed)
        mapper = Mapper(instance, varied(seed, supply))
        order = np.random.default_rng(seed).permutation(mapper.program.num_storages)
        if seed % 3 == 0:
            order = order_of(mapper.program, ORDERS[seed % len(ORDERS)])
        mapper.map(order)
        plan = mapper.plan()
        assert validate(plan) == [], seed
        times = run_times(plan)
        assert mapper.run_times() == (times.proxy_ps, times.judged_ps), seed
        assert mapper.mapping.in_cmem.tolist() == plan.served.tolist(), seed
        placed += len(plan.placements)
        fetches = [p for p in plan.placements if p.copy is not None]
        fetched += len(fetches)
        firsts = {first for first, _, _ in instance.loops}
        before_loops += sum(p.copy[1] in firsts and p.start < p.copy[1] for p in fetches if p.copy)
        written_back += sum(len(p.write_backs) for p in plan.placements)
        waits += times.judged_ps > times.proxy_ps
    assert placed > 1000
    assert fetched > 200
    assert before_loops > 20, before_loops
    assert written_back > 60
    assert (waits > 20) == (supply != "contended")


def test_the_same_order_gives_the_same_plan_after_others() -> None:
    for seed, supply in product(range(20), SUPPLIES):
        mapper = Mapper(drawn(seed), varied(seed, supply))
        order = order_of(mapper.program, "priority")
        mapper.map(order)
        plan = mapper.plan()
        mapper.map(order[::-1])
        mapper.map(order)
        assert mapper.plan().placements == plan.placements
