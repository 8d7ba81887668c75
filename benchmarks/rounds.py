"""What is measured alike of every environment: cases, rounds over them, and how they are told.

A case is a function that makes some decisions and returns how many. Round after round each is measured for a moment, so
that all meet the same state of the machine; the median over rounds counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import makespan
import numpy as np
from makespan.agents.rules.choice import choose_by_rule, rule_parameters
from makespan.agents.rules.rule import rules_of
from makespan.envs.core.engine import BatchEngine
from makespan.envs.core.player import play_out
from ours import choose_random
from speed import machine

Case = Callable[[], int]
Rows = dict[str, list[dict[str, float]]]
STEPS = 100


def engine_case(engine: BatchEngine) -> Case:
    """Random legal actions with full observations in the engine's buffers; ended copies begin anew."""
    batch = next_seed = engine.num_copies
    engine.reset(np.arange(batch))
    states, actions = np.arange(batch, dtype=np.uint64), np.zeros(batch, dtype=np.int64)

    def play() -> int:
        nonlocal next_seed
        for _ in range(STEPS):
            choose_random(engine.masks, states, actions)
            outcome = engine.step(actions, check=False)
            ended = np.flatnonzero(outcome.terminated)
            if len(ended):
                engine.reset(np.arange(next_seed, next_seed + len(ended)), copies=ended)
                next_seed += len(ended)
        return STEPS * batch

    return play


def rule_case(engine: BatchEngine, env_id: str, rule: str) -> Case:
    """A rule in compiled code, which writes no more of observations than rules read, to the end of what copies hold."""
    parameters = rule_parameters([rules_of(env_id)[rule]], engine.spec)
    batch = engine.num_copies

    def play() -> int:
        decisions = np.zeros(batch, dtype=np.int64)
        rows, keys = np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=np.uint64)
        play_out(engine, choose_by_rule, parameters, rows, keys, decisions, observe=False)
        return int(decisions.sum())

    return play


def vector_case(env_id: str, batch: int, **options: Any) -> Case:
    """`VectorEnv.step` by random legal actions."""
    vector = gymnasium.make_vec(env_id, num_envs=batch, **options)
    masks = vector.reset(seed=0)[1]["action_mask"]
    states, actions = np.arange(batch, dtype=np.uint64), np.zeros(batch, dtype=np.int64)

    def play() -> int:
        nonlocal masks
        for _ in range(STEPS):
            choose_random(masks, states, actions)
            masks = vector.step(actions)[-1]["action_mask"]
        return STEPS * batch

    return play


def env_case(env_id: str, **options: Any) -> Case:
    """`Env.step` by random legal actions."""
    env = gymnasium.make(env_id, **options).unwrapped
    mask = env.reset(seed=0)[1]["action_mask"]
    states, actions = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)

    def play() -> int:
        nonlocal mask
        for _ in range(STEPS):
            choose_random(mask[None, :], states, actions)
            _, _, terminated, _, info = env.step(int(actions[0]))
            mask = env.reset()[1]["action_mask"] if terminated else info["action_mask"]
        return STEPS

    return play


def measure(cases: Mapping[str, Case], rounds: int, seconds: float) -> Rows:
    """Decisions, CPU and wall seconds of every case, once per round of at least so many seconds each."""
    rows: Rows = {name: [] for name in cases}
    for play in cases.values():  # compiles
        play()
    for _ in range(rounds):
        for name, play in cases.items():
            wall, cpu, decisions = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - wall < seconds:
                decisions += play()
            spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            rows[name].append({"decisions": float(decisions), **spent})
    return rows


def show(rows: Rows, what: str = "") -> None:
    """Print a table of medians."""
    print(f"{machine()}.{' ' + what if what else ''}\n\n| what | decisions / CPU s | decisions / s |\n|---|---:|---:|")
    for name, rounds in rows.items():
        rates = [median(one["decisions"] / one[clock] for one in rounds) for clock in ("cpu", "wall")]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")


def write(path: Path, **data: Any) -> None:
    """Write what was measured, and where, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"makespan": makespan.__version__, "machine": machine(), **data}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
