"""How many decisions of DAG scheduling are made per second: the engine with full observations, rules, and the doors.

    python benchmarks/soc_speed.py             # a table, and benchmarks/results/soc_speed.json

The six applications of DS3 at mean gaps of 60 µs are played by random legal actions, the beginnings of episodes
included. Round after round each case is measured for a moment, so that all meet the same state of the machine; the
median over rounds counts. Then one episode of a million tasks, and how long the first step of a process takes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
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
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import make_static, make_stream
from ours import choose_random
from speed import machine

HERE = Path(__file__).resolve().parent
ID = "makespan/SocDag-v0"
STREAM: dict[str, Any] = {"instance": "ds3-six", "scale": 60.0, "horizon": 5000}
STATIC: dict[str, Any] = {"instance": "random:tasks=50:pes=8:count=100"}
STEPS = 100
FIRST_STEP = (
    "import time, gymnasium, makespan; env = gymnasium.make({id!r}); "
    "mask = env.reset(seed=0)[1]['action_mask']; env.step(int(mask.argmax())); print(time.process_time())"
)


@dataclass(frozen=True)
class Arguments:
    """Measure the speed of DAG scheduling.

    Attributes:
        rounds: how often every case is measured.
        seconds: at least how long, each time.
        tasks: of the long stream; 0 leaves it out.
        first: whether the first step of a process is timed.
        out: where the JSON goes.
    """

    rounds: int = 5
    seconds: float = 1.0
    tasks: int = 1_000_000
    first: bool = True
    out: Path = HERE / "results" / "soc_speed.json"


def engine_chunk(make: Callable[..., SocEngine], batch: int, options: dict[str, Any]) -> Callable[[], int]:
    """The engine with full observations in its own buffers; ended copies begin anew."""
    engine = make(batch, **options)
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


def rule_chunk(batch: int, rule: str) -> Callable[[], int]:
    """Whole episodes by a rule in compiled code, which writes no more of observations than rules read."""
    play = player(make_stream(batch, **STREAM), rule)
    return lambda: play(np.arange(batch))


def player(engine: SocEngine, rule: str) -> Callable[[Any], int]:
    """Plays episodes of given seeds by a rule; returns how many decisions they had."""
    from makespan.agents.rules.choice import choose_by_rule, rule_parameters
    from makespan.agents.rules.rule import rules_of

    parameters = rule_parameters([rules_of(ID)[rule]], engine.spec)
    batch = engine.num_copies

    def play(seeds: Any) -> int:
        engine.reset(seeds)
        decisions = np.zeros(batch, dtype=np.int64)
        rows, keys = np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=np.uint64)
        play_out(engine, choose_by_rule, parameters, rows, keys, decisions, observe=False)
        return int(decisions.sum())

    return play


def vector_chunk(batch: int) -> Callable[[], int]:
    """`VectorEnv.step` by random legal actions."""
    vector = gymnasium.make_vec(ID, num_envs=batch, **STREAM)
    masks = vector.reset(seed=0)[1]["action_mask"]
    states, actions = np.arange(batch, dtype=np.uint64), np.zeros(batch, dtype=np.int64)

    def chunk() -> int:
        nonlocal masks
        for _ in range(STEPS):
            choose_random(masks, states, actions)
            masks = vector.step(actions)[-1]["action_mask"]
        return STEPS * batch

    return chunk


def env_chunk() -> Callable[[], int]:
    """`Env.step` by random legal actions."""
    env = gymnasium.make(ID, **STREAM).unwrapped
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


def long_stream(tasks: int) -> dict[str, float]:
    """One episode of so many tasks by Min-Min: its decisions, CPU seconds, and what memory it took beside, in MB."""
    per_task = 60.0 / 15.0  # µs: a job of some 15 tasks each 60
    engine = make_stream(1, **{**STREAM, "horizon": round(tasks * per_task)})
    play = player(engine, "min-min")
    before, cpu = _resident(), time.process_time()
    decisions = play([0])
    found = {"decisions": float(decisions), "cpu": time.process_time() - cpu, "more_mb": _resident() - before}
    return {**found, "completed": float(engine.metrics(0)["completed"])}


def _resident() -> float:
    """The most memory that the process has taken, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def first_steps() -> dict[str, list[float]]:
    """CPU seconds of import, make, reset and step in a new process: with an empty cache, then with the cache."""
    found: dict[str, list[float]] = {}
    for env_id in (ID, "makespan/StaticDag-v0"):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "MAKESPAN_CACHE": folder}
            command = [sys.executable, "-c", FIRST_STEP.format(id=env_id)]
            found[env_id] = [
                float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
                for _ in range(3)
            ]
    return found


def main(arguments: Arguments) -> None:
    chunks: dict[str, Any] = {
        f"stream, engine, batch {n}": engine_chunk(make_stream, n, STREAM) for n in (1, 16, 64, 256)
    }
    chunks |= {f"static, engine, batch {n}": engine_chunk(make_static, n, STATIC) for n in (16, 256)}
    chunks["stream, rule `min-min` in compiled code, batch 64"] = rule_chunk(64, "min-min")
    chunks["stream, VectorEnv.step, batch 64"] = vector_chunk(64)
    chunks["stream, Env.step"] = env_chunk()
    rows = measure(arguments, chunks)
    print(f"{machine()}.\n\n| what | decisions / CPU s | decisions / s |\n|---|---:|---:|")
    for name, rounds in rows.items():
        rates = [median(one["decisions"] / one[clock] for one in rounds) for clock in ("cpu", "wall")]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")
    data: dict[str, Any] = {"makespan": makespan.__version__, "machine": machine(), "rows": rows}
    if arguments.tasks:
        data["long"] = found = long_stream(arguments.tasks)
        print(
            f"\nOne stream of {found['decisions']:,.0f} tasks, {found['completed']:,.0f} jobs: "
            f"{found['cpu']:.1f} CPU s, "
            f"{found['more_mb']:.1f} MB more memory at its end than before."
        )
    if arguments.first:
        data["first"] = first_steps()
        for env_id, (cold, *warm) in data["first"].items():
            print(f"Import, make, reset and step of {env_id}: {cold:.1f} CPU s cold, {min(warm):.1f} with the cache.")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
