"""How many decisions of urban air mobility are made per second, and how the time of a day grows with the fleet.

    python benchmarks/air_mobility_speed.py    # tables, and benchmarks/results/air_mobility_speed.json

Days of `la8-medium` are played by random legal actions, the beginnings of days included.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from makespan.envs.air_mobility.dynamics import advance
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.state import LEGAL, LEGAL_ACTION, is_running
from makespan.envs.core.compile import compiled
from makespan.envs.core.random import mix
from ours import choose_random
from rounds import Case, Rows, engine_case, env_case, measure, rule_case, show, vector_case, write

HERE = Path(__file__).resolve().parent
ID = "makespan/AirMobility-v0"
INSTANCE = "la8-medium"
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


def bare_case(batch: int) -> Case:
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


def rule_days(batch: int, rule: str) -> Case:
    """Whole days by a rule in compiled code."""
    engine = make_engine(batch, INSTANCE)
    play = rule_case(engine, ID, rule)

    def days() -> int:
        engine.reset(np.arange(batch))
        return play()

    return days


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


def speeds(arguments: Arguments) -> Rows:
    """Measure and print decisions per second."""
    cases = {f"engine with observations, batch {n}": engine_case(make_engine(n, INSTANCE)) for n in (1, 16, 64, 256)}
    cases["bare engine, batch 256"] = bare_case(256)
    cases["rule `greedy-profit` in compiled code, batch 64"] = rule_days(64, "greedy-profit")
    cases["VectorEnv.step, batch 64"] = vector_case(ID, 64, instance=INSTANCE)
    cases["Env.step"] = env_case(ID, instance=INSTANCE)
    rows = measure(cases, arguments.rounds, arguments.seconds)
    show(rows, f"Days of {INSTANCE}.")
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
    write(arguments.out, rows=rows, scales=scales)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
