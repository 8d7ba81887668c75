"""What search, its model and reanalysis bring: ``python benchmarks/muzero_ablations.py --out FOLDER --minutes 5``.

Networks are trained by search on the learned model and on the imagined engine, with reanalysis and without, and each is
played as a policy alone and with searches of several sizes on the models that it has. Runs that are finished and rows
that are measured already are not repeated: the same command goes on after an interruption, and others add rows. The
table of ``docs/muzero.md`` is from here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from makespan.agents.agent import Setting
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.rules.rule import applicable_rules
from makespan.envs.core.files import atomic_write
from makespan.envs.core.names import parse_name
from makespan.training.config import TrainConfig
from makespan.training.run import train

PROBLEMS = {
    "job-shop": ("makespan/JobShop-v0", "random:size=6x6"),
    "breakdowns": ("makespan/JobShop-v0:law=bernoulli:p=0.01", "random:size=6x6"),
    "memory": ("makespan/MemoryMapping-v0", "random:size=50"),
}
"""Environment and instances of each problem; where machines break down, search on the engine is open-loop."""


@dataclass(frozen=True)
class Options:
    """What is trained, and how it is played.

    Attributes:
        out: folder of the runs and of ``rows.json``.
        problems: of those above.
        agents: who is trained.
        minutes: wall time of each training.
        steps: decisions of each training at most.
        seeds: of the trainings.
        reanalysis: kept states that are searched anew for every new decision.
        simulations: of the searches at play; the policy alone is played in any case.
        worlds: on which each agent plays once, the same for all.
        copies: of training.
        rollout: decisions per copy between updates.
    """

    out: Path
    problems: tuple[str, ...] = tuple(PROBLEMS)
    agents: tuple[str, ...] = ("alphazero", "muzero")
    minutes: float = 5.0
    steps: int = 10**12
    seeds: tuple[int, ...] = (0,)
    reanalysis: tuple[float, ...] = (0.0, 1.0)
    simulations: tuple[int, ...] = (8, 16, 32, 64, 128)
    worlds: int = 32
    copies: int = 32
    rollout: int = 16


def setup(problem: str) -> tuple[str, dict[str, Any]]:
    """Id and options of a problem's environment."""
    env, instances = PROBLEMS[problem]
    name = parse_name(env)
    return name.base, {**name.options, "instance": instances}


def trained(problem: str, agent: str, reanalysis: float, seed: int, options: Options) -> Path:
    """The folder of a finished run."""
    env, instances = PROBLEMS[problem]
    folder = options.out / f"{problem}-{agent}-{reanalysis:g}-{seed}"
    config = TrainConfig(
        env,
        agent,
        str(folder),
        seed,
        instances=instances,
        steps=options.steps,
        minutes=options.minutes,
        encoder="slots",
        reanalysis=reanalysis,
        replay=16_384,
        copies=options.copies,
        rollout=options.rollout,
        batch=256,
        epochs=8,
        learning_rate=2e-3,
        gradient_norm=5.0,
        validate_every=30.0,
        validation_worlds=32,
        device="cpu",
    )
    return train(config, quiet=True)


def played(problem: str, name: str, worlds: int) -> tuple[list[float], float]:
    """(objectives, milliseconds of CPU per decision and world) of an agent."""
    env_id, options = setup(problem)
    arena = open_arena(env_id, worlds, options, device="cpu")
    agent = make_agent(name, arena.setting)
    began = time.process_time()
    episodes = play(arena, agent, [Case(None, seed) for seed in range(worlds)])
    spent = time.process_time() - began
    return [episode.objective for episode in episodes], 1e3 * spent / sum(episode.decisions for episode in episodes)


def best_rule(problem: str, worlds: int) -> tuple[str, list[float]]:
    """The rule that is best on these worlds, and its objectives."""
    env_id, options = setup(problem)
    setting: Setting = open_arena(env_id, 1, options, device="cpu").setting
    rules = applicable_rules(env_id, setting.options)
    found = {rule: played(problem, rule, worlds)[0] for rule in rules}
    best = min(found, key=lambda rule: setting.sign * float(np.mean(found[rule])))
    return best, found[best]


def measure(options: Options) -> list[dict[str, Any]]:
    """A row for each way to train and play; written after each, with those that are there already."""
    target = options.out / "rows.json"
    rows: list[dict[str, Any]] = json.loads(target.read_text()) if target.is_file() else []
    for problem in options.problems:
        rule, reference = best_rule(problem, options.worlds)
        for agent in options.agents:
            for reanalysis in options.reanalysis:
                for seed in options.seeds:
                    folder = trained(problem, agent, reanalysis, seed, options)
                    # The best by validation may be the network before training, and then says nothing of it.
                    folder = folder / "last"
                    decisions = json.loads((folder / "card.json").read_text())["training"]["decisions"]
                    models = ("engine", "learned") if agent == "muzero" else ("engine",)
                    ways = [("policy", 0, f"{folder}:simulations=0")]
                    ways += [
                        (model, count, f"{folder}:model={model}:simulations={count}")
                        for model in models
                        for count in options.simulations
                    ]
                    for way, count, name in ways:
                        row = {"problem": problem, "rule": rule, "agent": agent, "reanalysis": reanalysis}
                        row |= {"seed": seed, "decisions": decisions, "model": way, "simulations": count}
                        if any(row.items() <= done.items() for done in rows):
                            continue
                        objectives, milliseconds = played(problem, name, options.worlds)
                        ratio = float(np.mean(np.asarray(objectives) / np.asarray(reference))) - 1.0
                        rows.append({**row, "ratio": ratio, "milliseconds": milliseconds})
                        atomic_write(target, json.dumps(rows, indent=1).encode())
    return rows


def table(rows: list[dict[str, Any]], simulations: tuple[int, ...]) -> str:
    """Markdown: by how many percent objectives lie above the best rule's, means over seeds, and milliseconds per
    decision."""
    head = ["problem", "trained by", "reanalysis", "decisions", "search on", "policy alone", *map(str, simulations)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    kinds = ("problem", "agent", "reanalysis")

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return list(PROBLEMS).index(row["problem"]), row["agent"], row["reanalysis"]

    for kind, group in groupby(sorted(rows, key=order), key=lambda row: tuple(row[key] for key in kinds)):
        mine = list(group)
        decisions = float(np.mean([row["decisions"] for row in mine]))
        for model in dict.fromkeys(row["model"] for row in mine if row["model"] != "policy"):
            cells = []
            for count in (0, *simulations):
                chosen = [row for row in mine if row["simulations"] == count and row["model"] in ("policy", model)]
                ratio, milliseconds = (
                    float(np.mean([row[key] for row in chosen])) for key in ("ratio", "milliseconds")
                )
                cells.append(f"{100.0 * ratio:+.1f} % ({milliseconds:.1f} ms)")
            lines.append(" | ".join([kind[0], kind[1], f"{kind[2]:g}", f"{decisions:,.0f}", model, *cells]))
    return "\n".join(f"| {line} |" for line in lines)


def main(options: Options) -> None:
    """Train, play, and print the table."""
    print(table(measure(options), options.simulations))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
