"""What does destroy-and-insert lose against the exact walk? Time and value of both, on the index's own objectives.

    python benchmarks/bandit_walks.py           # a table, and benchmarks/results/bandit_walks.json

The objectives are Lagrangian gains in states that the index policy comes to. The program begins with the heuristic's
walk; where it is not proved in time, its bound says how much more there could be at most.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import makespan
import numpy as np
import tyro
from makespan.agents.restless_bandits.sequoia import Sequoia
from makespan.envs.restless_bandits.generator import Size, draw_instance
from speed import machine

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Arguments:
    """Compare the heuristic for walks with the program.

    Attributes:
        arms: sizes.
        instances: of each size.
        decisions: of each instance, evenly over an episode.
        seconds: that the program has for one of them.
        out: where the JSON goes.
    """

    arms: tuple[int, ...] = (20, 40, 60, 100)
    instances: int = 3
    decisions: int = 4
    seconds: float = 60.0
    out: Path = HERE / "results" / "bandit_walks.json"


def measure(given: Arguments, count: int) -> list[dict[str, float]]:
    """Value, bound and CPU time of each decision."""
    found = []
    for number in range(given.instances):
        instance = draw_instance(Size("path", count), number)
        policy, rng = Sequoia(instance, None, "local"), np.random.default_rng(number)
        states = np.zeros(count, dtype=np.int64)
        when = set(np.linspace(1, instance.horizon - 2, given.decisions).round().astype(int).tolist())
        for epoch in range(max(when) + 1):
            worth = policy.worth(epoch, states)
            gains = worth[:, 1] - worth[:, 0]
            began = time.process_time()
            action = instance.feasible.quick(gains)
            middle = time.process_time()
            if epoch in when:
                best = instance.feasible.solve_by_program(gains, given.seconds)
                found.append(
                    {
                        "quick": float(gains @ action),
                        "best": float(gains @ best.action),
                        "bound": best.bound,
                        "proved": best.proved,
                        "quick_seconds": middle - began,
                        "seconds": time.process_time() - middle,
                    }
                )
            law = policy.model.laws(states)[np.arange(count), policy.model.levels(action[None])[0]]
            states = (rng.random((count, 1)) >= np.cumsum(law, axis=1)[:, :-1]).sum(axis=1)
    return found


def main(given: Arguments) -> None:
    """Measure and print."""
    print("| arms | heuristic, ms | program, s | proved | loss against the optimum, proved ones | against the bound |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = {}
    for count in given.arms:
        found = rows[str(count)] = measure(given, count)
        quick, best, bound = (np.array([one[key] for one in found]) for key in ("quick", "best", "bound"))
        proved = np.array([one["proved"] for one in found], dtype=bool)
        loss = f"{100 * (1 - quick[proved] / best[proved]).mean():.2f} %" if proved.any() else ""
        times = [float(np.median([one[key] for one in found])) for key in ("quick_seconds", "seconds")]
        most = 100 * (1 - quick / bound).mean()
        cells = (count, f"{1000 * times[0]:.1f}", f"{times[1]:.2f}", f"{proved.sum()} of {len(found)}", loss)
        print("| " + " | ".join(str(cell) for cell in cells) + f" | {most:.2f} % |")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(
        json.dumps({"version": makespan.__version__, "machine": machine(), "rows": rows}, indent=1) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
