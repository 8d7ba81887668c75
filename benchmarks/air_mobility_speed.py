"""How many decisions of urban air mobility are made per second, and how the time of a day grows with the fleet.

    python benchmarks/air_mobility_speed.py    # tables, and benchmarks/results/air_mobility_speed.json

Days of `la8-medium` are played by random legal actions, the beginnings of days included. Round after round each case is
measured for a moment, so that all meet the same state of the machine; the median over rounds counts.
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
from makespan.agents.rules.choice import choose_by_rule, rule_parameters
from makespan.agents.rules.rule import rules_of
from makespan.envs.air_mobility.dynamics import advance
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.state import LEGAL, LEGAL_ACTION, is_running
from makespan.envs.core.compile import compiled
from makespan.envs.core.player import play_out
from makespan.envs.core.random import mix
from ours import choose_random
from speed import machine

HERE = Path(__file__).resolve().parent
ID = "makespan/AirMobility-v0"
INSTANCE = "la8-medium"
STEPS = 100
DAYS = 5
VERTIPORTS, FLEETS = (8, 16, 32, 50), (40, 125, 250, 500)


@dataclass(frozen=True)
class Arguments:
    """Measure the speed of urban air mobility.

    Attributes:
        rounds: how often every case is measured; 0 for the days of random networks alone.
        seconds: at least how long, each time.
        out: where the JSON goes.
    """

    rounds: int = 5
    seconds: float = 1.0
    out: Path = HERE / "results" / "air_mobility_speed.json"


@compiled
def play_days(problem, state, states, decisions):
    """Play every copy to the end of its day by random legal actions, without observations."""
    for i in range(len(decisions)):
        while is_running(problem, state, i):
            states[i] = mix(states[i])
            left = np.int64(states[i] % np.uint64(state.clock[i, LEGAL]))
            action = 0
            while state.reason[i, action] != LEGAL_ACTION or left > 0:
                left -= state.reason[i, action] == LEGAL_ACTION
                action += 1
            advance(problem, state, i, action)
            decisions[i] += 1


def engine_chunk(batch: int) -> Callable[[], int]:
    """The engine with full observations in its own buffers; ended copies begin anew."""
    engine = make_engine(batch, INSTANCE)
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


def bare_chunk(batch: int) -> Callable[[], int]:
    """Whole days by random legal actions in compiled code, without observations."""
    engine = make_engine(batch, INSTANCE)
    return lambda: bare_days(engine, np.arange(batch))[0]


def bare_days(engine: AirEngine, seeds: Any) -> tuple[int, float]:
    """Decisions and CPU seconds of whole days without observations."""
    engine.reset(seeds)
    decisions = np.zeros(engine.num_copies, dtype=np.int64)
    cpu = time.process_time()
    play_days(engine.problem, engine.state, np.asarray(seeds, dtype=np.uint64), decisions)
    return int(decisions.sum()), time.process_time() - cpu


def rule_chunk(batch: int, rule: str) -> Callable[[], int]:
    """Whole days by a rule in compiled code, which writes no more of observations than rules read."""
    engine = make_engine(batch, INSTANCE)
    parameters = rule_parameters([rules_of(ID)[rule]], engine.spec)

    def chunk() -> int:
        engine.reset(np.arange(batch))
        decisions = np.zeros(batch, dtype=np.int64)
        rows, keys = np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=np.uint64)
        play_out(engine, choose_by_rule, parameters, rows, keys, decisions, observe=False)
        return int(decisions.sum())

    return chunk


def vector_chunk(batch: int) -> Callable[[], int]:
    """`VectorEnv.step` by random legal actions."""
    vector = gymnasium.make_vec(ID, num_envs=batch, instance=INSTANCE)
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
    env = gymnasium.make(ID, instance=INSTANCE).unwrapped
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


def scale(size: str) -> dict[str, float]:
    """A day of a random network by random legal actions: its decisions, CPU seconds with and without observations.

    Means of `DAYS` days, which a first one precedes that loads the code.
    """
    engine = make_engine(1, f"random:size={size}:count=1")
    bare_days(engine, [DAYS])
    observed_day(engine, DAYS)
    bare = [bare_days(engine, [seed]) for seed in range(DAYS)]
    observed = [observed_day(engine, seed) for seed in range(DAYS)]
    return {
        "decisions": sum(count for count, _ in bare) / DAYS,
        "bare": sum(seconds for _, seconds in bare) / DAYS,
        "observed": sum(observed) / DAYS,
    }


def observed_day(engine: AirEngine, seed: int) -> float:
    """CPU seconds of a day with observations."""
    engine.reset([seed])
    states, actions, cpu = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.int64), time.process_time()
    while engine.is_running()[0]:
        choose_random(engine.masks, states, actions)
        engine.step(actions, check=False)
    return time.process_time() - cpu


def speeds(arguments: Arguments) -> dict[str, list[dict[str, float]]]:
    """Measure and print decisions per second."""
    chunks: dict[str, Any] = {f"engine with observations, batch {n}": engine_chunk(n) for n in (1, 16, 64, 256)}
    chunks["bare engine, batch 256"] = bare_chunk(256)
    chunks["rule `greedy-profit` in compiled code, batch 64"] = rule_chunk(64, "greedy-profit")
    chunks["VectorEnv.step, batch 64"] = vector_chunk(64)
    chunks["Env.step"] = env_chunk()
    rows = measure(arguments, chunks)
    print(f"{machine()}. Days of {INSTANCE}.\n\n| what | decisions / CPU s | decisions / s |\n|---|---:|---:|")
    for name, rounds in rows.items():
        rates = [median(one["decisions"] / one[clock] for one in rounds) for clock in ("cpu", "wall")]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")
    return rows


def main(arguments: Arguments) -> None:
    rows = speeds(arguments) if arguments.rounds else {}
    scales = {f"{n}x{fleet}": scale(f"{n}x{fleet}") for n in VERTIPORTS for fleet in FLEETS}
    print("\nA day of random networks at medium load, batch 1: CPU ms of the bare engine / with observations.\n")
    print("| | " + " | ".join(f"{fleet} aircraft" for fleet in FLEETS) + " |\n|---|" + "---:|" * len(FLEETS))
    for n in VERTIPORTS:
        days = [scales[f"{n}x{fleet}"] for fleet in FLEETS]
        print(
            f"| {n} vertiports | "
            + " | ".join(f"{1e3 * d['bare']:.1f} / {1e3 * d['observed']:.0f}" for d in days)
            + " |"
        )
    made = [scales[f"{VERTIPORTS[-1]}x{fleet}"]["decisions"] for fleet in FLEETS]
    print(f"| decisions (at {VERTIPORTS[-1]}) | " + " | ".join(f"{count:,.0f}" for count in made) + " |")
    data = {"makespan": makespan.__version__, "machine": machine(), "rows": rows, "scales": scales}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
