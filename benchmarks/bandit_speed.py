"""How many steps of restless bandits are made per second, family by family and as the number of arms grows.

    python benchmarks/bandit_speed.py        # a table, and benchmarks/results/bandit_speed.json

A step picks an element or plays STOP, with full observations in the engine's buffers, in copies that play random
legal actions; beside it whole epochs (`view="vector"`: one action, one observation), random packings that were checked
before. Round after round each case is measured for a moment, the median over rounds counts; CPU seconds of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tyro
from makespan.envs.restless_bandits.engine import BanditEngine
from makespan.envs.restless_bandits.env import make_engine
from makespan.envs.restless_bandits.generator import FAMILIES
from ours import choose_random
from rounds import write
from speed import machine

HERE = Path(__file__).resolve().parent
GROWTH = {20: 1024, 40: 512, 100: 256, 300: 64, 1000: 16}
"""Number of arms, and copies."""
_PACKINGS = 64


@dataclass(frozen=True)
class Arguments:
    """Measure the speed of restless bandits.

    Attributes:
        rounds: how often every case is measured.
        families: measured at 20 arms and 1024 copies.
        growth: numbers of arms at which cardinality is measured, with fewer copies the more there are.
        out: where the JSON goes.
    """

    rounds: int = 5
    families: tuple[str, ...] = FAMILIES
    growth: tuple[int, ...] = tuple(GROWTH)
    out: Path = HERE / "results" / "bandit_speed.json"


def steps(engine: BanditEngine) -> Callable[[], tuple[int, float]]:
    """Episodes of random legal steps: how many, and CPU seconds of the engine alone."""
    copies = engine.num_copies
    states, actions = np.arange(copies, dtype=np.uint64), np.zeros(copies, dtype=np.int64)

    def chunk() -> tuple[int, float]:
        engine.reset(np.arange(copies))
        count, spent = 0, 0.0
        while (running := int(engine.is_running().sum())) > 0:
            choose_random(engine.masks, states, actions)
            began = time.process_time()
            engine.step(actions, check=False)
            spent += time.process_time() - began
            count += running
        return count, spent

    return chunk


def epochs(engine: BanditEngine) -> Callable[[], tuple[int, float]]:
    """Episodes of whole actions: how many epochs, and CPU seconds of the engine, looking up that they are feasible
    included."""
    copies, rng = engine.num_copies, np.random.default_rng(0)
    packings = np.stack([engine.instance(0).feasible.sample(rng) for _ in range(_PACKINGS)])

    def chunk() -> tuple[int, float]:
        engine.reset(np.arange(copies))
        count, spent = 0, 0.0
        while engine.is_running().any():
            actions = packings[rng.integers(_PACKINGS, size=copies)]
            began = time.process_time()
            engine.step(actions)
            spent += time.process_time() - began
            count += copies
        return count, spent

    return chunk


def main(arguments: Arguments) -> None:
    cases: dict[str, Callable[[], tuple[int, float]]] = {}
    for family in arguments.families:
        cases[f"{family}, 20 arms, 1024 copies: steps"] = steps(make_engine(1024, f"{family}-j20-0"))
        cases[f"{family}, 20 arms, 1024 copies: epochs"] = epochs(make_engine(1024, f"{family}-j20-0", view="vector"))
    for arms in arguments.growth:
        engine = make_engine(GROWTH.get(arms, 16), f"cardinality-j{arms}-0")
        cases[f"cardinality, {arms} arms, {engine.num_copies} copies: steps"] = steps(engine)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for chunk in cases.values():
        chunk()
    for _ in range(arguments.rounds):
        for name, chunk in cases.items():
            count, spent = chunk()
            rows[name].append({"steps": float(count), "cpu": spent})
    print(f"{machine()}.\n\n| what | per CPU s, median | best round |\n|---|---:|---:|")
    for name, rounds in rows.items():
        rates = [one["steps"] / one["cpu"] for one in rounds]
        print(f"| {name} | {median(rates):,.0f} | {max(rates):,.0f} |")
    write(arguments.out, rows=rows)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
