"""The compiled game beside the reference game over 100,000 random steps: masks, placements, rewards and run times."""

from __future__ import annotations

import random

import numpy as np
import pytest
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.env import make_engine
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate
from support.memory_game import ReferenceGame, played_plan
from support.memory_programs import looping_program, random_program


def play_both(seed: int, instance: MemoryInstance, backup: bool = True) -> tuple[int, int]:
    """Play one random game in both; returns its steps and its dead ends."""
    rng = random.Random(seed)
    supply, gaps = rng.choice(("contended", "elapsed", "either")), rng.choice(("best_fit", "first_fit"))
    objective = "judge" if supply == "either" else rng.choice(("judge", "proxy"))
    game = ReferenceGame(instance, supply, gaps, backup)
    dead_end = "backup" if backup else "terminate"
    engine = make_engine(1, instance, supply=supply, offsets=gaps, objective=objective, dead_end=dead_end)
    engine.reset(np.array([seed]))
    likes_cmem = rng.choice((1, 3, 20))
    busy = all(x.reads or x.writes for x in instance.instructions)
    total, paid, steps = 0.0, 0.0, 0
    while not game.done:
        actions = game.legal_actions()
        assert np.flatnonzero(engine.masks[0]).tolist() == actions, (seed, steps)
        action = rng.choices(actions, [1 if action == 2 else likes_cmem for action in actions])[0]
        total += float(engine.step([action]).reward[0])
        paid += float(game.step(action))
        steps += 1
        assert engine.schedule(0).placements == game.plan().placements, (seed, steps)
        if busy and not game.done:  # when an instruction without accesses is paid is left open
            assert total == pytest.approx(paid, abs=1e-9), (seed, steps)
    assert not engine.is_running()[0]
    plan = game.plan()
    if game.stuck:
        assert engine.metrics(0)["dead_end"]
        assert engine.objectives()[0] == 2 * instance.all_hbm_ps
        assert total == pytest.approx(paid, abs=1e-9)
        assert total == pytest.approx(-2, abs=1e-9)
        return steps, 1
    assert validate(plan) == []
    times = run_times(plan)
    run_time = times.judged_ps if objective == "judge" else times.proxy_ps
    assert engine.objectives()[0] == run_time
    assert -total * instance.all_hbm_ps == pytest.approx(run_time, rel=1e-9)
    metrics = engine.metrics(0)
    assert (metrics["proxy_ps"], metrics["judged_ps"]) == (times.proxy_ps, times.judged_ps)
    assert metrics["backups"] == game.backups
    return steps, game.backups


def test_both_games_are_the_same() -> None:
    dead_ends = 0
    for seed in range(60):
        dead_ends += play_both(seed, random_program(seed, 3 + seed % 10))[1]
    assert dead_ends > 20


def test_both_games_end_at_the_same_dead_ends() -> None:
    dead_ends = sum(play_both(seed, random_program(seed, 3 + seed % 10), backup=False)[1] for seed in range(40))
    assert dead_ends > 5


def test_both_games_are_the_same_where_loops_are_fetched_for() -> None:
    before = within = 0
    for seed in range(100):
        instance = looping_program(seed, 4 + seed % 8)
        play_both(seed, instance)
        for p in played_plan(instance, seed).placements:
            if p.copy is not None:
                across = instance.segment[p.start] != instance.segment[min(p.end, p.copy[1])]
                before, within = before + across, within + (not across)
    assert before > 20, before
    assert within > 20, within


SHIPPED = (
    "alexnet_b8_32m",
    "looplstm_b32_16m",
    "loopencoder_b16_16m",
    "unet_b4_16m:cmem=2",
    "looplstm_b128_16m:cmem=1",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_both_games_are_the_same_on_programs_that_ship(name: str) -> None:
    (instance,) = named(name)
    for seed in range(4):
        play_both(seed, instance)


@pytest.mark.slow
def test_both_games_are_the_same_over_a_hundred_thousand_steps() -> None:
    steps, dead_ends, seed = 0, 0, 10**6
    while steps < 100_000:
        played, met = play_both(seed, random_program(seed, 4 + seed % 27))
        steps, dead_ends, seed = steps + played, dead_ends + met, seed + 1
    assert dead_ends > 3_000
