"""How many decisions of DAG scheduling are made per second: the engine with full observations, rules, and the doors.

    python benchmarks/soc_speed.py             # a table, and benchmarks/results/soc_speed.json

The six applications of DS3 at mean gaps of 60 µs are played by random legal actions, the beginnings of episodes
included. Then one episode of a million tasks, and how long the first step of a process takes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import make_static, make_stream
from rounds import Case, engine_case, env_case, measure, rule_case, show, vector_case, write

HERE = Path(__file__).resolve().parent
ID = "makespan/SocDag-v0"
STREAM: dict[str, Any] = {"instance": "ds3-six", "scale": 60.0, "horizon": 5000}
STATIC: dict[str, Any] = {"instance": "random:tasks=50:pes=8:count=100"}
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


def player(engine: SocEngine, rule: str) -> Callable[[Any], int]:
    """Plays episodes of given seeds by a rule; returns how many decisions they had."""
    play_on = rule_case(engine, ID, rule)

    def play(seeds: Any) -> int:
        engine.reset(seeds)
        return play_on()

    return play


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
    cases: dict[str, Case] = {}
    for n in (1, 16, 64, 256):
        cases[f"stream, engine, batch {n}"] = engine_case(make_stream(n, **STREAM))
    for n in (16, 256):
        cases[f"static, engine, batch {n}"] = engine_case(make_static(n, **STATIC))
    min_min = player(make_stream(64, **STREAM), "min-min")
    cases["stream, rule `min-min` in compiled code, batch 64"] = lambda: min_min(np.arange(64))
    cases["stream, VectorEnv.step, batch 64"] = vector_case(ID, 64, **STREAM)
    cases["stream, Env.step"] = env_case(ID, **STREAM)
    rows = measure(cases, arguments.rounds, arguments.seconds)
    show(rows)
    data: dict[str, Any] = {"rows": rows}
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
    write(arguments.out, **data)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
