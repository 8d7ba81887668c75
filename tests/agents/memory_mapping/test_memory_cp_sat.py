"""The exact model of memory mapping against every game, and against every valid plan of tiny programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from random import Random
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.memory_mapping.cp_sat import solve_memory_mapping
from makespan.envs.core.errors import FieldError
from makespan.envs.memory_mapping.bounds import lp_bound
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.validity import validate
from support.memory_exhaustive import best_game
from support.memory_game import played_plan
from support.memory_hand_games import HAND_GAMES, hand_hardware, hand_program
from support.memory_programs import random_program

pytest.importorskip("ortools")

SUPPLIES = ("contended", "elapsed")


def small_program(seed: int, instructions: int = 6, loops: bool = True) -> MemoryInstance:
    """A random program of few accesses."""
    while True:
        instance = random_program(seed, instructions, loops=loops)
        if instance.num_accesses <= 13:
            return instance
        seed += 10_000


@pytest.mark.parametrize("supply", SUPPLIES)
@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_is_at_most_that_of_every_game(seed: int, supply: str) -> None:
    instance = small_program(seed)
    game, plan = best_game(instance, supply)
    assert validate(plan) == []
    result = solve_memory_mapping(instance, supply, 60, objective="proxy")
    assert result.proved
    assert result.objective <= game
    assert validate(result.plan) == []
    assert run_times(result.plan).proxy_ps == result.objective
    relaxed = lp_bound(instance, supply)
    assert relaxed is not None
    assert relaxed <= result.objective


@pytest.mark.parametrize("supply", SUPPLIES)
@pytest.mark.parametrize("seed", range(12))
def test_without_loops_and_pressure_the_optima_are_equal(seed: int, supply: str) -> None:
    # Room for everything at once and fetches that any single instruction can hide: no begin and no offset is a choice.
    drawn = small_program(100 + seed, 5, loops=False)
    rows = tuple(
        Instruction(x.op, x.reads, x.writes, 10_000 if t % 2 == 0 else x.compute_ps)
        for t, x in enumerate(drawn.instructions)
    )
    hardware = Hardware("roomy", 10**5, 1, 10**12, 4 * 10**12, 2 * 10**12, copy_latency_ps=0)
    instance = MemoryInstance(drawn.name, drawn.tensors, rows, hardware)
    result = solve_memory_mapping(instance, supply, 60, objective="proxy")
    assert result.proved
    assert result.objective == best_game(instance, supply)[0]


# --- tiny programs: every valid plan ----------------------------------------------------------------------------------


def tiny_program(seed: int) -> MemoryInstance:
    """Four instructions and three storages of one or two units in a CMEM of two."""
    rng = Random(seed)
    loop = rng.random() < 0.5
    kinds = [rng.choice(("param", "act", "output")) for _ in range(3)]
    group = 0 if rng.random() < 0.5 else None
    tensors = [Tensor(rng.choice((8, 8, 16)), kind) for kind in kinds]
    reads: list[list[int]] = [[] for _ in range(4)]
    writes: list[list[int]] = [[] for _ in range(4)]
    for v, kind in enumerate(kinds):
        since = -1 if kind == "param" else rng.randint(0, 2)
        if since >= 0:
            writes[since].append(v)
        for t in range(since + 1, 4):
            if rng.random() < 0.5:
                reads[t].append(v)
    if group is not None and kinds[0] != "output":
        tensors[0] = Tensor(tensors[0].bytes, kinds[0], 0)
        when = max([t for t in range(4) if 0 in reads[t] or 0 in writes[t]], default=0)
        when += 0 in writes[when]
        if when < 4:  # another value in place of tensor 0
            tensors.append(Tensor(tensors[0].bytes, "act", 0))
            writes[when].append(3)
            for t in range(when + 1, 4):
                reads[t].append(3)
    if not any(reads) and not any(writes):
        reads[3].append(0)
    rows = tuple(
        Instruction(
            f"op{t}",
            tuple((v, tensors[v].bytes) for v in reads[t]),
            tuple((v, tensors[v].bytes) for v in writes[t]),
            rng.choice((0, 6, 12, 20)),
        )
        for t in range(4)
    )
    hardware = Hardware("tiny", 16, 8, 10**12, 4 * 10**12, 2 * 10**12, copy_latency_ps=rng.choice((0, 2)))
    loops = ((rng.choice((0, 1)), rng.choice((2, 3)), 3),) if loop else ()
    return MemoryInstance(f"tiny-{seed}", tuple(tensors), rows, hardware, loops)


def strips(instance: MemoryInstance, storage: int) -> Iterator[tuple[Placement, ...]]:
    """Every set of strips of a storage that could stand in a plan, judged by the check alone."""
    members = [v for v in range(instance.num_tensors) if instance.storage[v] == storage]
    accesses = [
        (t, v)
        for t, x in enumerate(instance.instructions)
        for listed in (x.reads, x.writes)
        for v, _ in listed
        if v in members
    ]
    last = instance.num_instructions
    single = []
    for start in range(last):
        for end in range(start, last):
            inside = [(t, v) for t, v in accesses if start <= t <= end]
            if not inside:
                continue
            first, tensor = inside[0]
            copies = [None, *((start - 1, e) for e in range(start, first + 1))]
            writers = [t for t in range(start, end + 1) for v, _ in instance.instructions[t].writes if v in members]
            backs = [[None, *((d, e) for e in range(d + 1, end + 2))] for d in writers]
            for offset, copy, chosen in product((0, 8), copies, product(*backs)):
                if offset + instance.size[storage] <= 16:
                    single.append(
                        Placement(tensor, start, end, offset, copy, tuple(x for x in chosen if x is not None))
                    )
    yield ()
    for count in (1, 2):
        for placements in product(single, repeat=count):
            if all(a.end < b.start for a, b in pairwise(placements)):
                yield placements


def alone_possible(instance: MemoryInstance, placements: tuple[Placement, ...]) -> bool:
    return not validate(MemoryPlan(instance, placements, "unlimited"))


def best_plan(instance: MemoryInstance, options: list[list[tuple[Placement, ...]]], supply: str) -> int:
    """The least proxy run time of valid plans that take one of the options for each storage."""
    served = [[MemoryPlan(instance, placements).served for placements in option] for option in options]
    best = instance.all_hbm_ps
    for chosen in product(*(range(len(option)) for option in options)):
        in_cmem = np.logical_or.reduce([served[k][index] for k, index in enumerate(chosen)])
        proxy = int((instance.trips * instance.instruction_ps(in_cmem)).sum())
        if proxy < best:
            placements = [p for k, index in enumerate(chosen) for p in options[k][index]]
            if not validate(MemoryPlan(instance, tuple(placements), supply)):
                best = proxy
    return best


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_the_model_holds_every_valid_plan_of_a_tiny_program(seed: int) -> None:
    instance = tiny_program(seed)
    options = [
        [placements for placements in strips(instance, storage) if alone_possible(instance, placements)]
        for storage in sorted(set(instance.storage.tolist()))
    ]
    for supply in SUPPLIES:
        result = solve_memory_mapping(instance, supply, 60, objective="proxy")
        assert result.proved
        assert result.objective == best_plan(instance, options, supply)


def test_a_bound_and_the_best_by_the_judge_are_returned_when_time_is_short() -> None:
    instance = random_program(7, 40)
    start = played_plan(instance, 1)
    result = solve_memory_mapping(instance, "contended", 0.5, start=start)
    times = run_times(result.plan)
    assert validate(result.plan) == []
    assert result.objective == times.judged_ps <= run_times(start).judged_ps
    assert 0 <= result.bound <= times.proxy_ps <= times.judged_ps


def test_what_is_found_is_reported() -> None:
    class Log:
        def __init__(self) -> None:
            self.plans: list[MemoryPlan] = []
            self.bounds: list[float] = []

        def found(self, plan: MemoryPlan) -> None:
            self.plans.append(plan)

        def bounded(self, bound: float) -> None:
            self.bounds.append(bound)

    log = Log()
    result = solve_memory_mapping(small_program(3), "contended", 30, report=log)  # type: ignore[arg-type]
    assert log.plans[-1] == result.plan
    judged = [run_times(plan).judged_ps for plan in log.plans]
    assert judged == sorted(judged, reverse=True)
    assert not log.bounds, "by the judge a plan that does not fit the supply may be better"
    result = solve_memory_mapping(small_program(3), "contended", 30, objective="proxy", report=log)  # type: ignore[arg-type]
    assert max(log.bounds) >= result.bound


def test_plans_by_hand_are_found_from_nothing() -> None:
    for hand in HAND_GAMES:
        result = solve_memory_mapping(hand.instance, hand.supply, 30, objective="proxy")
        assert result.proved
        assert result.objective <= hand.proxy


def test_the_model_fetches_before_a_loop_what_it_reads_within() -> None:
    program = hand_program(
        [("param", 40)], [(90, [], []), (0, [0], []), (0, [0], [])], hand_hardware(), loops=((1, 2, 5),)
    )
    result = solve_memory_mapping(program, "contended", 30)
    assert result.plan.placements[0].copy is not None
    assert result.objective == 90 + 5 * 20 == best_game(program)[0]


@pytest.mark.parametrize(("name", "value"), [("supply", "unlimited"), ("objective", "shared")])
def test_what_the_model_does_not_know_is_refused(name: str, value: str) -> None:
    with pytest.raises(FieldError, match=f"{name} is '{value}'"):
        solve_memory_mapping(random_program(1), **{name: value})  # type: ignore[arg-type]


def played(agent: str, instance: MemoryInstance, **options: Any) -> Any:
    arena = open_arena("makespan/MemoryMapping-v0", 1, {"instance": [instance], **options})
    (episode,) = play(arena, make_agent(agent, arena.setting), [Case(instance, 0)])
    return episode


@pytest.mark.parametrize("options", [{}, {"objective": "proxy"}, {"objective": "proxy", "supply": "elapsed"}])
def test_the_agent_of_this_name_proposes_the_plan(options: dict[str, str]) -> None:
    instance = small_program(3)
    episode = played("cp-sat:time=30", instance, **options)
    assert validate(episode.schedule) == []
    result = solve_memory_mapping(
        instance, options.get("supply", "contended"), 30, objective=options.get("objective", "judge")
    )
    assert episode.objective <= result.objective
    if "objective" in options:
        assert episode.objective == run_times(episode.schedule).proxy_ps == result.objective == result.bound
    else:
        assert episode.objective == run_times(episode.schedule).judged_ps


def test_an_optimum_of_many_digits_is_proved() -> None:
    (instance,) = named("alexnet_b128_32m")
    result = solve_memory_mapping(instance, "contended", 60, objective="proxy")
    assert result.proved
    assert result.bound == run_times(result.plan).proxy_ps > 10**9


def test_with_a_warm_start_it_is_no_worse_than_the_mapper() -> None:
    (instance,) = named("dlrm_b8192_16m")
    assert (
        played("cp-sat:time=0.01", instance).objective <= played("xla-like", instance).objective < instance.all_hbm_ps
    )
    cold = played("cp-sat:time=0.01:warm=0", instance)
    assert cold.schedule.placements == ()
    assert cold.objective == instance.all_hbm_ps
