"""No plan beats a bound, and the linear programs are worth their name."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from makespan.envs.memory_mapping import relaxation as module
from makespan.envs.memory_mapping.bounds import infinite_bound, lower_bound, lp_bound
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.validity import validate
from scipy.optimize import linprog
from scipy.sparse import csr_matrix
from support.memory_game import played_plan
from support.memory_hand_games import HAND_GAMES, hand_hardware, hand_program
from support.memory_programs import random_program


def check_no_plan_is_below(instance: MemoryInstance, games: int) -> None:
    contended, elapsed = lp_bound(instance), lp_bound(instance, "elapsed")
    assert contended is not None
    assert elapsed is not None
    assert infinite_bound(instance) <= lower_bound(instance, contended=False) <= min(lower_bound(instance), elapsed)
    assert lower_bound(instance) <= contended
    for seed in range(games):
        for supply in ("contended", "elapsed"):
            plan = played_plan(instance, seed, supply)
            times = run_times(plan)
            assert contended <= min(times.judged_ps, times.shared_ps)
            assert times.proxy_ps >= (elapsed if supply == "elapsed" else contended)
            hasty = begun_late(plan)
            assert contended <= min(run_times(hasty).judged_ps, run_times(hasty).shared_ps)
            assert lower_bound(instance, contended=False) <= run_times(hasty).proxy_ps


def begun_late(plan: MemoryPlan) -> MemoryPlan:
    """The plan with each fetch and write-back as short as can be: instructions wait for all of it."""
    placements = []
    for p in plan.placements:
        if p.copy is not None and p.start < p.copy[1]:
            p = replace(p, start=p.copy[1], copy=(p.copy[1] - 1, p.copy[1]))
        placements.append(replace(p, write_backs=tuple((d, d + 1) for d, _ in p.write_backs)))
    hasty = MemoryPlan(plan.instance, tuple(placements), "unlimited")
    assert validate(hasty) == []
    return hasty


@pytest.mark.parametrize("seed", range(40))
def test_no_game_beats_a_bound(seed: int) -> None:
    check_no_plan_is_below(random_program(seed, 4 + seed % 8), games=4)


@pytest.mark.slow
def test_no_game_beats_a_bound_in_many_programs() -> None:
    for seed in range(1000, 1600):
        check_no_plan_is_below(random_program(seed, 3 + seed % 12), games=6)


def test_no_game_by_hand_beats_a_bound() -> None:
    for hand in HAND_GAMES:
        bound = lp_bound(hand.instance, hand.supply)
        assert bound is not None
        assert bound <= (hand.judged if hand.supply == "contended" else hand.proxy)


def test_bounds_by_hand() -> None:
    # 30 + 10 of CMEM time at the least; 10 and 50 of channel for the inputs in any plan, in HBM or by a fetch.
    program = hand_program([("input", 10), ("param", 50), ("act", 40)], [(0, [0], [2]), (0, [2, 1], [])])
    assert program.all_hbm_ps == 50 + 90
    assert infinite_bound(program) == (3 + 20) + (10 + 13)
    assert lower_bound(program, contended=False) == infinite_bound(program)
    assert lower_bound(program) == 60
    # Tensor 1 is fetched during 20 of CMEM time and 40 of waiting at most; in HBM it takes 50 beside 10 of tensor 2.
    plans = [
        MemoryPlan(program, (Placement(2, 0, 1, 0),), "unlimited"),
        MemoryPlan(program, (Placement(2, 0, 1, 0), Placement(1, 0, 1, 40, copy=(-1, 1))), "unlimited"),
    ]
    best = min(run_times(plan).judged_ps for plan in plans)
    assert best == 30 + 30 + 23
    bound = lp_bound(program)
    assert bound is not None
    assert 60 < bound <= best


def test_the_knapsack_counts_what_fits_at_once() -> None:
    # Tensors of 60 and 60 save 45 each in a CMEM of 80: one, and a third of the other.
    program = hand_program([("act", 60), ("act", 60)], [(500, [], [0, 1]), (0, [0, 1], [])], hand_hardware(cmem=80))
    assert infinite_bound(program) == 500 + 30
    assert lower_bound(program, contended=False) == 500 + 120 - 60


def test_where_cmem_is_large_and_transfers_are_hidden_the_bound_is_reached() -> None:
    program = hand_program([("param", 40), ("act", 40)], [(200, [], [1]), (0, [0, 1], [])])
    plan = MemoryPlan(program, (Placement(1, 0, 1, 0), Placement(0, 0, 1, 40, copy=(-1, 1))))
    assert validate(plan) == []
    assert run_times(plan).judged_ps == lp_bound(program) == lp_bound(program, "elapsed") == 220


def test_what_enters_a_loop_is_held_throughout_also_in_the_bound() -> None:
    # Each of 100 rounds reads tensor 0, then writes and reads tensor 1; either fills CMEM. Held from before, tensor 0
    # saves 75 a round, but keeps tensor 1 out, which saves 50 + 75. A bound that let the strip go and have it back in
    # the next round for nothing would count both.
    program = hand_program(
        [("param", 100), ("act", 100)],
        [(500, [], []), (0, [0], []), (0, [], [1]), (0, [1], [])],
        hand_hardware(cmem=100),
        loops=((1, 3, 100),),
    )
    held = run_times(MemoryPlan(program, (Placement(0, 0, 3, 0, copy=(-1, 1)),)))
    produced = run_times(MemoryPlan(program, (Placement(1, 2, 3, 0),)))
    assert held.judged_ps == 500 + 100 * (25 + 100 + 100)
    assert produced.judged_ps == 500 + 100 * (100 + 50 + 25) == lp_bound(program)


@pytest.mark.parametrize("seed", range(20))
def test_any_dual_values_give_a_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = csr_matrix(rng.integers(-3, 4, (6, 5)) * rng.random((6, 5)))
    z = rng.random(5)
    right = matrix @ z + rng.random(6)
    cost = rng.normal(size=5)
    for _ in range(50):
        duals = -rng.random(6) * rng.integers(0, 2, 6)
        assert module._safe_value(cost, matrix, right, np.zeros(5), np.ones(5), duals) <= cost @ z


def test_a_bound_that_is_not_found_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "linprog", lambda *_, **__: {"status": 1, "x": None})
    assert lp_bound(random_program(1)) is None


def test_useless_dual_values_cost_tightness_only(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = random_program(3)

    def disturbed(*args: object, **options: object) -> object:
        result = linprog(*args, **options)  # type: ignore[arg-type]
        noise = random.Random(1)
        result["ineqlin"]["marginals"] = np.array([x + noise.uniform(-1, 1) for x in result["ineqlin"]["marginals"]])
        return result

    good = lp_bound(instance)
    monkeypatch.setattr(module, "linprog", disturbed)
    bad = lp_bound(instance)
    assert good is not None
    assert bad is not None
    assert lower_bound(instance) <= bad <= good
