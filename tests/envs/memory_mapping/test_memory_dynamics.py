"""The compiled game: games worked by hand, the reference game step for step, and the laws that every play keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.memory_mapping import state as d
from makespan.envs.memory_mapping.engine import MemoryEngine
from makespan.envs.memory_mapping.env import make_engine
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.envs.memory_mapping.state import COPY, COPY_ELAPSED, DROP
from makespan.envs.memory_mapping.validity import validate
from support.memory_game import ReferenceGame
from support.memory_hand_games import HAND_GAMES, HandGame
from support.memory_programs import random_program

MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)
SUPPLIES = st.sampled_from(["contended", "elapsed"])
OFFSETS = st.sampled_from(["best_fit", "first_fit"])


def engine_for(instance: MemoryInstance, copies: int = 1, **options: Any) -> MemoryEngine:
    """An engine whose copies have begun an instance."""
    engine = make_engine(copies, instance, **options)
    engine.reset(np.arange(copies))
    return engine


def legal(engine: MemoryEngine, copy: int = 0) -> tuple[int, ...]:
    return tuple(np.flatnonzero(engine.masks[copy]).tolist())


def choose(rng: np.random.Generator, masks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A random legal action for each row, by the weights of the actions; 0 where none is legal."""
    noise = rng.random(masks.shape) ** (1 / weights)
    return np.where(masks > 0, noise, -1.0).argmax(axis=1)


def play_out(engine: MemoryEngine, seed: int) -> np.ndarray:
    """Play all copies to their end at random, copies with different likings; returns the returns."""
    rng = np.random.default_rng(seed)
    weights = rng.random(engine.masks.shape) ** 2 + 0.02
    total = np.zeros(engine.num_copies)
    while engine.is_running().any():
        assert engine.masks[engine.is_running()].any(axis=1).all()
        total += engine.step(choose(rng, engine.masks, weights)).reward
    return total


# --- either supply ----------------------------------------------------------------------------------------------------


@MODEST
@given(SEEDS)
def test_either_supply_offers_the_copies_of_both(seed: int):
    """Where nothing has been fetched yet, a fetch has the same window as under one supply or the other."""
    instance = random_program(seed, 12)
    engines = {supply: engine_for(instance, supply=supply) for supply in ("contended", "elapsed", "either")}
    offers = {supply: engine.state.offer[0] for supply, engine in engines.items()}
    while engines["either"].is_running()[0]:
        k = int(engines["either"].state.clock[0, d.POSITION])
        t = int(instance.access_instruction[k])
        here = {supply: legal(engine) for supply, engine in engines.items()}
        either = offers["either"]
        assert (COPY in here["either"]) == (COPY in here["contended"])
        if COPY in here["either"]:
            assert either[COPY].tolist() == offers["contended"][COPY].tolist()
        if not any(first <= t <= last for first, last, _ in instance.loops):
            if COPY_ELAPSED in here["either"]:
                assert either[COPY_ELAPSED].tolist() == offers["elapsed"][COPY].tolist()
            elif COPY in here["elapsed"]:
                assert either[COPY].tolist() == offers["elapsed"][COPY].tolist()
        if DROP not in here["either"]:
            break
        for engine in engines.values():
            engine.step([DROP])


# --- games worked by hand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hand", HAND_GAMES, ids=lambda hand: hand.name)
def test_hand_worked_games(hand: HandGame):
    engine = engine_for(hand.instance, supply=hand.supply, offsets=hand.gaps)
    total = 0.0
    for step, action in enumerate(hand.actions):
        if step in hand.legal:
            assert legal(engine) == hand.legal[step], step
        total += float(engine.step([action]).reward[0])
    metrics = engine.metrics(0)
    assert engine.schedule(0).placements == hand.placements
    assert (metrics["status"], metrics["backups"]) == ("finished", hand.backups)
    assert (metrics["all_hbm_ps"], metrics["proxy_ps"], metrics["judged_ps"]) == (
        hand.all_hbm,
        hand.proxy,
        hand.judged,
    )
    assert engine.objectives()[0] == hand.judged
    assert total * hand.all_hbm == pytest.approx(-hand.judged)


def test_a_dead_end_may_end_the_game():
    (hand,) = [hand for hand in HAND_GAMES if hand.backups]
    engine = engine_for(hand.instance, dead_end="terminate")
    rewards = [float(engine.step([action]).reward[0]) for action in hand.actions[:3]]
    assert engine.metrics(0)["status"] == "dead_end"
    assert not engine.masks.any()
    assert engine.outcome.terminated[0]
    assert engine.objectives()[0] == 2 * hand.all_hbm
    assert sum(rewards) == pytest.approx(-2.0)


def test_what_was_decided_before_a_dead_end_is_a_valid_plan_that_is_not_finished():
    (hand,) = [hand for hand in HAND_GAMES if hand.backups]
    engine = engine_for(hand.instance, dead_end="terminate")
    for action in hand.actions[:3]:
        engine.step([action])
    plan = engine.schedule(0)
    assert plan.decided == engine.state.clock[0, d.POSITION] == 3
    assert validate(plan) == []
    objective, metrics = engine.appraise(plan)
    assert (objective, metrics["status"], metrics["finished"]) == (2 * hand.all_hbm, "dead_end", False)
    again = MemoryPlan.from_dict(plan.to_dict())
    assert (again, again.decided) == (plan, 3)
    whole = replace(plan, decided=None)
    assert whole != plan
    assert any("reads tensor" in problem for problem in validate(whole))


# --- the reference game -----------------------------------------------------------------------------------------------


@MODEST
@given(SEEDS, SUPPLIES)
def test_plans_are_valid_at_every_moment_of_a_play(seed: int, supply: str):
    instance = random_program(seed, 8)
    engine = engine_for(instance, supply=supply, dead_end="terminate")
    rng = np.random.default_rng(seed)
    while engine.is_running()[0]:
        plan = engine.schedule(0)
        assert plan.decided == engine.state.clock[0, d.POSITION]
        assert validate(plan) == []
        engine.step(choose(rng, engine.masks, np.ones(engine.masks.shape)))
    plan = engine.schedule(0)
    assert (plan.decided is None) == engine.metrics(0)["finished"]
    assert validate(plan) == []
    assert engine.appraise(plan)[0] == engine.objectives()[0]


@MODEST
@given(SEEDS, st.integers(3, 12), SUPPLIES, OFFSETS, st.booleans())
def test_the_reference_game_is_the_same(seed: int, instructions: int, supply: str, offsets: str, backup: bool):
    instance = random_program(seed, instructions)
    reference = ReferenceGame(instance, supply, offsets, backup)
    engine = engine_for(
        instance, supply=supply, offsets=offsets, dead_end="backup" if backup else "terminate", objective="proxy"
    )
    rng = np.random.default_rng(seed)
    weights = rng.random((1, 3)) ** 2 + 0.02
    total, paid = 0.0, 0.0
    while not reference.done:
        assert legal(engine) == tuple(a for a, allowed in enumerate(reference.legal()) if allowed)
        action = int(choose(rng, engine.masks, weights)[0])
        total += float(engine.step([action]).reward[0])
        paid += float(reference.step(action))
        if all(x.reads or x.writes for x in instance.instructions):
            assert total == pytest.approx(paid, abs=1e-9)
    assert not engine.is_running()[0]
    assert total == pytest.approx(paid, abs=1e-9)
    assert engine.metrics(0)["backups"] == reference.backups
    assert engine.metrics(0)["dead_end"] == reference.stuck
    assert engine.schedule(0) == reference.plan()
    accesses = instance.num_accesses
    assert np.flatnonzero(engine.state.forced[0, :accesses]).tolist() == sorted(reference.forced)


# --- laws of every play -----------------------------------------------------------------------------------------------


@settings(MODEST, max_examples=12)
@given(SEEDS, SUPPLIES, OFFSETS, st.sampled_from(["judge", "proxy"]), st.sampled_from(["instance", "none"]))
def test_every_plan_is_valid_and_the_rewards_sum_to_its_run_time(
    seed: int, supply: str, offsets: str, objective: str, reward_scale: str
):
    engine = make_engine(
        8, "random:size=20+60+120", supply=supply, offsets=offsets, objective=objective, reward_scale=reward_scale
    )
    engine.reset(seed + np.arange(8))
    total = play_out(engine, seed)
    for copy in range(8):
        plan, metrics = engine.schedule(copy), engine.metrics(copy)
        assert validate(plan) == []
        times = run_times(plan)
        assert (times.all_hbm_ps, times.proxy_ps, times.judged_ps) == (
            metrics["all_hbm_ps"],
            metrics["proxy_ps"],
            metrics["judged_ps"],
        )
        expected = times.judged_ps if objective == "judge" else times.proxy_ps
        assert engine.objectives()[copy] == expected
        assert total[copy] * engine.reward_scale(copy) == pytest.approx(-expected, rel=1e-9)
        assert metrics["decisions"] == engine.instance(copy).num_accesses


@pytest.mark.slow
def test_a_hundred_thousand_steps_agree_with_the_check():
    steps = 0
    for number in range(24):
        options: dict[str, Any] = {
            "supply": ("contended", "elapsed")[number % 2],
            "offsets": ("best_fit", "first_fit")[number // 2 % 2],
        }
        engine = make_engine(32, "random:size=50+100+300", **options)
        engine.reset(10_000 + 32 * number + np.arange(32))
        play_out(engine, number)
        for copy in range(32):
            plan, metrics = engine.schedule(copy), engine.metrics(copy)
            assert validate(plan) == []
            times = run_times(plan)
            assert (times.proxy_ps, times.judged_ps) == (metrics["proxy_ps"], metrics["judged_ps"])
            steps += metrics["decisions"]
    assert steps >= 100_000
