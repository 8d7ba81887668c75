"""Whom health workers visit each week, and who is left out.

    python examples/health_outreach/outreach.py --out results/outreach

Writes the instance (`outreach.json`, which `makespan evaluate` plays by its path), a picture of one episode and two
tables: who is visited with and without `min_visits`, and what is lost where transition probabilities are estimates.

Every beneficiary of a maternal-health programme has one of three states of engagement with its weekly calls: *lost
cause*, *persuadable*, *self-motivated*, which pay 0, 0.5 and 1. The states, their rewards, the shares of three types of
beneficiaries and the probabilities below are those of the ARMMAN domain of Killian, Xu, Biswas and Tambe, "Restless and
Uncertain: Robust Policies for Restless Bandits via Deep Multi-Agent Reinforcement Learning", UAI 2022 (arXiv
2107.01689), as its public code states them (github.com/killian-34/RobustRMAB, robust_rmab/environments/
bandit_env_robust.py, class ARMMANRobustEnv: ranges for the persuadable, nominal values for the others). The states come
from Biswas, Aggarwal, Varakantham and Tambe, IJCAI 2021 (arXiv 2105.07965).

Synthetic: the beneficiaries. Each one's own probabilities are drawn evenly from the published ranges; how many there
are, how long a visit takes, and how many workers there are for how many hours is made up.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import makespan  # noqa: F401  registers the environment
import numpy as np
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.files import atomic_write
from makespan.envs.restless_bandits.capacity import Capacity
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.picture import draw

ENV_ID = "makespan/RestlessBandits-v0"
LOST, PERSUADABLE, MOTIVATED = range(3)
PAYS = (0.0, 0.5, 1.0)


class Type(NamedTuple):
    """Published figures of one type of beneficiaries."""

    share: float
    fades: tuple[float, float]  # a persuadable one who is not visited is lost, range over beneficiaries
    responds: tuple[float, float]  # a persuadable one who is visited becomes self-motivated, range
    stays: float  # a self-motivated one stays so, visited or not, else becomes persuadable


TYPES = {
    "type-a": Type(0.2, (0.50, 1.00), (0.50, 1.00), 0.1),
    "type-b": Type(0.2, (0.35, 0.85), (0.15, 0.65), 0.9),
    "type-c": Type(0.6, (0.35, 0.85), (0.00, 0.50), 0.1),
}
RETURNS = 0.4  # a lost one becomes persuadable again, visited or not

WEEKS, BENEFICIARIES = 12, 60  # from here on made up
HOURS_OF_VISIT = (1, 2, 3)
HOURS_OF_WORKERS = (6, 6, 6)
SEED = 0

PLANNERS = ("myopic-exact", "whittle", "index-milp")
AGENTS = ("null", "random-feasible", "longest-unvisited", *PLANNERS)
LEAST_VISITS = (0, 1)
OBSERVED = (0, 100, 30, 10, 3, 1)
"""Observed transitions per arm, level and state; 0 stands for the true probabilities."""


def make_outreach(beneficiaries: int = BENEFICIARIES, weeks: int = WEEKS, seed: int = SEED) -> BanditInstance:
    """The instance.

    Args:
        beneficiaries: how many, in the published shares of types.
        weeks: epochs; in each the workers' hours are packed with visits.
        seed: of all that is drawn.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    counts = [round(one.share * beneficiaries) for one in TYPES.values()]
    counts[-1] += beneficiaries - sum(counts)
    group = [name for name, count in zip(TYPES, counts, strict=True) for _ in range(count)]
    transition = np.zeros((beneficiaries, 2, 3, 3))
    for j, name in enumerate(group):
        kind = TYPES[name]
        fades, responds = rng.uniform(*kind.fades), rng.uniform(*kind.responds)
        transition[j, :, LOST] = 1.0 - RETURNS, RETURNS, 0.0
        transition[j, 0, PERSUADABLE] = fades, 1.0 - fades, 0.0
        transition[j, 1, PERSUADABLE] = 0.0, 1.0 - responds, responds
        transition[j, :, MOTIVATED] = 0.0, 1.0 - kind.stays, kind.stays
    return BanditInstance(
        name="outreach",
        transition=transition,
        reward=np.tile(PAYS, (beneficiaries, 1)),
        start=np.full((beneficiaries, 3), 1.0 / 3.0),
        horizon=weeks,
        feasible=Capacity(rng.choice(HOURS_OF_VISIT, beneficiaries), HOURS_OF_WORKERS),
        family="outreach",
        group=tuple(group),
    )


def played(
    instance: BanditInstance, agents: Sequence[str], seeds: int, options: dict[str, Any]
) -> dict[str, list[Episode]]:
    """What agents come to in the same worlds."""
    cases = [Case(instance, seed) for seed in range(seeds)]
    arena = open_arena(ENV_ID, seeds, {"instance": instance, **options})
    return {name: play(arena, make_agent(name, arena.setting), cases) for name in agents}


def _mean(episodes: Sequence[Episode], metric: str) -> float:
    return float(np.mean([episode.metrics[metric] for episode in episodes]))


def left_out(instance: BanditInstance, seeds: int) -> list[str]:
    """A table of who is visited, with and without least visits."""
    groups = [f"visits_of/{name}" for name in TYPES]
    headings = ["min_visits", "agent", "return", "never visited", "Gini", *(f"visits of {name}" for name in TYPES)]
    lines = [
        f"| {' | '.join(headings)} |",
        "| --- | --- " + "| ---: " * (3 + len(groups)) + "|",
    ]
    for least in LEAST_VISITS:
        for name, episodes in played(instance, AGENTS, seeds, {"min_visits": least}).items():
            shares = f"{_mean(episodes, 'never_visited'):.0%} | {_mean(episodes, 'visits_gini'):.2f}"
            visits = " | ".join(f"{_mean(episodes, group):.1f}" for group in groups)
            lines.append(f"| {least} | `{name}` | {_mean(episodes, 'return'):.1f} | {shares} | {visits} |")
    return lines


def estimated(instance: BanditInstance, seeds: int) -> list[str]:
    """A table of returns where planners know estimated probabilities."""
    lines = [
        f"| observed from each state | {' | '.join(f'`{name}`' for name in PLANNERS)} |",
        "| --- " + "| ---: " * len(PLANNERS) + "|",
    ]
    for observed in OBSERVED:
        found = played(instance, PLANNERS, seeds, {"model_error": observed * instance.num_states})
        known = str(observed) if observed else "all (true probabilities)"
        lines.append(f"| {known} | " + " | ".join(f"{_mean(found[name], 'return'):.1f}" for name in PLANNERS) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what is written")
    parser.add_argument("--seeds", type=int, default=30, help="worlds, from seed 0 on")
    given = parser.parse_args()
    instance = make_outreach()
    given.out.mkdir(parents=True, exist_ok=True)
    instance.save(given.out / "outreach.json")
    tables = [*left_out(instance, given.seeds), "", *estimated(instance, given.seeds)]
    print("\n".join(tables))
    atomic_write(given.out / "tables.md", "\n".join(tables) + "\n")
    episode = played(instance, ["index-milp"], 1, {})["index-milp"][0]
    draw(episode.schedule).savefig(given.out / "outreach.png")


if __name__ == "__main__":
    main()
