"""How long SEQUOIA's decisions take, how many are proved, and what local search misses, family by family.

    python benchmarks/bandit_decisions.py        # a table, and benchmarks/results/bandit_decisions.json
    python benchmarks/bandit_decisions.py --families capacity=runs/sequoia-capacity/best path

States are those of episodes that the index policy plays. Each is decided by local search and by the program, with the
same network: that of a checkpoint, or, without one, of random weights with which the network is worth about as much as
the rewards of an epoch. CPU seconds of one core, the state's features and the start by the index included.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import makespan
import numpy as np
import tyro
from makespan.agents.checkpoint import load_checkpoint
from makespan.agents.restless_bandits.q_network import Weights, checked_weights, weight_shapes
from makespan.agents.restless_bandits.sequoia import Sequoia
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from numpy.typing import NDArray
from speed import machine

HERE = Path(__file__).resolve().parent
FAMILIES = ("cardinality", "capacity", "schedule", "sigmoid", "path")
_SCALE = 0.3  # of random last layers, over the largest reward
_LAST = ("correct", "output", "base", "pair_output")


@dataclass(frozen=True)
class Arguments:
    """Measure SEQUOIA's decisions.

    Attributes:
        families: FAMILY, with a network of random weights, or FAMILY=CHECKPOINT.
        arms: sizes.
        instances: of each family and size.
        decisions: of each instance.
        seconds: that a program may take.
        tighten: whether limits of the second layer are tightened by linear programs.
        most_program: arms of a path above which no program is asked.
        out: where the JSON goes.
    """

    families: tuple[str, ...] = FAMILIES
    arms: tuple[int, ...] = (20, 100)
    instances: int = 3
    decisions: int = 10
    seconds: float = 10.0
    tighten: bool = False
    most_program: int = 40
    out: Path = HERE / "results" / "bandit_decisions.json"


class Decision(NamedTuple):
    """CPU seconds of both ways; whether the program's action is proved; the value of the start, and what the others
    add to it. Of the program None where it was not asked."""

    local: float
    program: float | None
    proved: bool | None
    start: float
    added: float
    added_by_program: float | None
    infeasible: bool


def random_weights(seed: int) -> Weights:
    """Weights none of which is 0."""
    rng, made = np.random.default_rng(seed), {}
    for name, shape in weight_shapes().items():
        scale = (_SCALE if name in _LAST else 1.0) / np.sqrt(shape[0])
        made[name] = (scale * rng.normal(size=shape)).astype(np.float32)
    return made


def states_met(instance: BanditInstance, policy: Sequoia, count: int, seed: int) -> Iterator[tuple[int, NDArray]]:
    """(epoch, states) of an episode that the index plays, at most `count`, evenly over it."""
    rng, arms = np.random.default_rng(seed), np.arange(instance.num_arms)
    kept = set(np.linspace(0, instance.horizon - 1, count).astype(int).tolist())
    states = (rng.random((len(arms), 1)) >= np.cumsum(instance.start, axis=1)[:, :-1]).sum(axis=1)
    for epoch in range(instance.horizon):
        if epoch in kept:
            yield epoch, states
        levels = policy.model.levels(policy.start(epoch, states)[None])[0]
        law = policy.model.laws(states)[arms, levels]
        states = (rng.random((len(arms), 1)) >= np.cumsum(law, axis=1)[:, :-1]).sum(axis=1)


def decide(arguments: Arguments, instance: BanditInstance, weights: Weights, seed: int) -> Iterator[Decision]:
    """Decisions of one instance, both ways."""
    options: dict[str, Any] = {"seconds": arguments.seconds, "tighten": arguments.tighten}
    local, program = (Sequoia(instance, weights, search, **options) for search in ("local", "milp"))
    asked = instance.feasible.quick_to_check or instance.num_arms <= arguments.most_program
    rng = np.random.default_rng(seed)
    for epoch, states in states_met(instance, local, arguments.decisions, seed):
        began = time.process_time()
        action = local.decide(epoch, states, rng)
        spent, other, proved = time.process_time() - began, None, None
        net = local.network(epoch, states)
        start = local.climber.value(net, local.start(epoch, states))
        added = local.climber.value(net, action) - start
        added_by_program = None
        if asked:
            before, began = program.effort.proved, time.process_time()
            best = program.decide(epoch, states, rng)
            other, proved = time.process_time() - began, program.effort.proved > before
            added_by_program = program.climber.value(net, best) - start
        feasible = instance.feasible.contains(action)
        yield Decision(spent, other, proved, start, added, added_by_program, not feasible)


def row(made: list[Decision]) -> dict[str, float | None]:
    """What the table says of decisions."""
    local = np.array([one.local for one in made])
    known = [one for one in made if one.program is not None]
    told: dict[str, float | None] = {
        "decisions": len(made),
        "local_median": float(np.median(local)),
        "local_p95": float(np.quantile(local, 0.95)),
        "program_median": None,
        "program_p95": None,
        "proved": None,
        "missed": None,
        "missed_mean": None,
        "infeasible": float(np.mean([one.infeasible for one in made])),
    }
    if known:
        times = np.array([one.program for one in known], dtype=np.float64)
        ours = np.array([one.added for one in known])
        best = np.array([one.added_by_program for one in known], dtype=np.float64)
        start = np.array([one.start for one in known])
        told |= {
            "program_median": float(np.median(times)),
            "program_p95": float(np.quantile(times, 0.95)),
            "proved": float(np.mean([bool(one.proved) for one in known])),
            "missed": float(np.mean(best - ours > 1e-6 * np.maximum(np.abs(start + best), 1.0))),
            "missed_mean": float(np.sum(best - ours) / np.sum(np.abs(start + best))),
        }
    return told


def main(arguments: Arguments) -> None:
    print(f"{machine()}.\n")
    print("| family, arms | network | local search, ms: median (p95) | program, ms: median (p95) | proved | ", end="")
    print("local search below it: decisions, mean loss |\n|---|---|---:|---:|---:|---:|")
    rows: dict[str, Any] = {}
    for item in arguments.families:
        family, _, folder = item.partition("=")
        weights = checked_weights(load_checkpoint(Path(folder))[0], folder) if folder else random_weights(0)
        for arms in arguments.arms:
            made: list[Decision] = []
            for number in range(arguments.instances):
                instance = draw_instance(Size(family, arms), 5000 + number)
                list(decide(Arguments(decisions=1), instance, weights, number)) if not number else None  # compiles
                made += decide(arguments, instance, weights, number)
            told = rows[f"{family}-j{arms}"] = {"network": folder or "random", **row(made)}
            missed = f"{_share(told['missed'])}, {_share(told['missed_mean'], 4)}"
            cells = [f"{family}, {arms}", folder or "random", _times(told, "local"), _times(told, "program")]
            print("|", " | ".join([*cells, _share(told["proved"]), missed]), "|", flush=True)
    data = {"makespan": makespan.__version__, "machine": machine(), "rows": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _times(told: dict[str, Any], way: str) -> str:
    if told[f"{way}_median"] is None:
        return "–"
    return f"{1e3 * told[f'{way}_median']:.1f} ({1e3 * told[f'{way}_p95']:.1f})"


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


if __name__ == "__main__":
    main(tyro.cli(Arguments))
