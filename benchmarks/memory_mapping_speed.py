"""How many decisions of memory mapping are made per second: the engine with full observations, and the public doors.

    python benchmarks/memory_mapping_speed.py             # a table, and benchmarks/results/memory_mapping_speed.json

Programs of about 400 accesses are played by random legal actions, dead ends, their Drop-backups and the making of
programs included. Round after round each case is measured for a moment, so that all meet the same state of the machine;
the median over rounds counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import makespan
import numpy as np
import tyro
from makespan.envs.core.player import play_out
from makespan.envs.memory_mapping.env import make_engine
from ours import choose_random
from speed import machine

HERE = Path(__file__).resolve().parent
ID = "makespan/MemoryMapping-v0"
STEPS = 100


@dataclass(frozen=True)
class Arguments:
    """Measure the speed of memory mapping.

    Attributes:
        accesses: of each program.
        rounds: how often every case is measured.
        seconds: at least how long, each time.
        out: where the JSON goes.
    """

    accesses: int = 400
    rounds: int = 5
    seconds: float = 1.0
    out: Path = HERE / "results" / "memory_mapping_speed.json"


def engine_chunk(instance: str, batch: int) -> Callable[[], int]:
    """The engine with full observations in its own buffers; ended copies begin a fresh random program."""
    engine = make_engine(batch, instance=instance)
    engine.reset(np.arange(batch))
    states, actions = np.arange(batch, dtype=np.uint64), np.zeros(batch, dtype=np.int64)
    next_seed = batch

    def chunk() -> int:
        nonlocal next_seed
        for _ in range(STEPS):
            choose_random(engine.masks, states, actions)
            outcome = engine.step(actions, check=False)
            ended = np.flatnonzero(outcome.terminated)
            if len(ended):
                engine.reset(np.arange(next_seed, next_seed + len(ended)), copies=ended)
                next_seed += len(ended)
        return STEPS * batch

    return chunk


def rule_chunk(instance: str, batch: int, rule: str) -> Callable[[], int]:
    """Whole episodes by a rule in compiled code, which writes no more of observations than rules read."""
    from makespan.agents.rules.choice import choose_by_rule, rule_parameters
    from makespan.agents.rules.rule import rules_of

    engine = make_engine(batch, instance=instance)
    engine.reset(np.arange(batch))
    begin = engine.snapshot()
    parameters = rule_parameters([rules_of(ID)[rule]], engine.spec)

    def chunk() -> int:
        engine.restore(begin)
        decisions = np.zeros(batch, dtype=np.int64)
        rows, keys = np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=np.uint64)
        play_out(engine, choose_by_rule, parameters, rows, keys, decisions, observe=False)
        return int(decisions.sum())

    return chunk


def vector_chunk(instance: str, batch: int) -> Callable[[], int]:
    """`VectorEnv.step` by random legal actions."""
    vector = gymnasium.make_vec(ID, num_envs=batch, instance=instance)
    masks = vector.reset(seed=0)[1]["action_mask"]
    states, actions = np.arange(batch, dtype=np.uint64), np.zeros(batch, dtype=np.int64)

    def chunk() -> int:
        nonlocal masks
        for _ in range(STEPS):
            choose_random(masks, states, actions)
            masks = vector.step(actions)[-1]["action_mask"]
        return STEPS * batch

    return chunk


def env_chunk(instance: str) -> Callable[[], int]:
    """`Env.step` by random legal actions."""
    env = gymnasium.make(ID, instance=instance).unwrapped
    mask = env.reset(seed=0)[1]["action_mask"]
    states, actions = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)

    def chunk() -> int:
        nonlocal mask
        for _ in range(STEPS):
            choose_random(mask[None, :], states, actions)
            _, _, terminated, _, info = env.step(int(actions[0]))
            mask = env.reset()[1]["action_mask"] if terminated else info["action_mask"]
        return STEPS

    return chunk


def measure(arguments: Arguments, chunks: dict[str, Callable[[], int]]) -> dict[str, list[dict[str, float]]]:
    """Decisions, CPU and wall seconds of every case, once per round."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in chunks}
    for chunk in chunks.values():
        chunk()
    for _ in range(arguments.rounds):
        for name, chunk in chunks.items():
            wall, cpu, decisions = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - wall < arguments.seconds:
                decisions += chunk()
            spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            rows[name].append({"decisions": float(decisions), **spent})
    return rows


def main(arguments: Arguments) -> None:
    instance = f"random:size={arguments.accesses}"
    chunks: dict[str, Any] = {f"engine, batch {n}": engine_chunk(instance, n) for n in (1, 16, 64, 256)}
    chunks["rule `rent` in compiled code, batch 256"] = rule_chunk(instance, 256, "rent")
    chunks["VectorEnv.step, batch 64"] = vector_chunk(instance, 64)
    chunks["Env.step"] = env_chunk(instance)
    rows = measure(arguments, chunks)
    print(f"{machine()}. Programs of {arguments.accesses} accesses.\n\n| what | decisions / CPU s | decisions / s |")
    print("|---|---:|---:|")
    for name, rounds in rows.items():
        rates = [median(one["decisions"] / one[clock] for one in rounds) for clock in ("cpu", "wall")]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    data = {"makespan": makespan.__version__, "machine": machine(), "accesses": arguments.accesses, "rows": rows}
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
