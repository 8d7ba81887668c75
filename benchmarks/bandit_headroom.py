"""How much can be gained over index-MILP where arms are coupled? Exact dynamic programming over all joint states.

    python benchmarks/bandit_headroom.py        # a table, and benchmarks/results/bandit_headroom.json

For each instance the expected returns, from the beginning, of the best policy, of index-MILP, of what a rollout of it
comes to with endless luck to average over (the first action that is best if the index policy follows, in every epoch
anew), and of doing nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import makespan
import numpy as np
import tyro
from makespan.agents.restless_bandits.lagrange import lagrangian_gains
from makespan.agents.restless_bandits.model import KnownModel
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from numpy.typing import NDArray
from speed import machine

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Arguments:
    """Measure the head-room over index-MILP.

    Attributes:
        families: whose sets are "at most B arms".
        arms: six take 4096 joint states and a gigabyte at most.
        instances: of each family.
        out: where the JSON goes.
    """

    families: tuple[str, ...] = ("corridor", "zones", "contagion")
    arms: int = 6
    instances: int = 3
    out: Path = HERE / "results" / "bandit_headroom.json"


class Exact(NamedTuple):
    """Expected returns."""

    best: float
    by_index: float
    by_rollout: float
    null: float


def laws_of(instance: BanditInstance, states: NDArray[np.int64], actions: list[tuple[int, ...]]) -> list[NDArray]:
    """For each action the law of the next joint state, float32 [X, X]."""
    model = KnownModel(instance)
    each = np.array([model.laws(one) for one in states], dtype=np.float32)  # [X, J, K, S]
    made = []
    for action in actions:
        law = np.ones((len(states), 1), dtype=np.float32)
        for arm in range(instance.num_arms):
            law = (law[:, :, None] * each[:, arm, int(arm in action), None, :]).reshape(len(states), -1)
        made.append(law)
    return made


def solve(instance: BanditInstance) -> Exact:
    """Backward induction over all joint states."""
    arms, budget = np.arange(instance.num_arms), instance.feasible.budget
    states = np.array(list(product(range(instance.num_states), repeat=instance.num_arms)))
    pay = instance.reward[arms, states].sum(axis=1)
    for joint in instance.joint:
        pay = pay + joint.weight * (states[:, list(joint.arms)] >= joint.least).all(axis=1)
    actions = [chosen for count in range(budget + 1) for chosen in combinations(range(instance.num_arms), count)]
    number = {action: k for k, action in enumerate(actions)}
    laws, gains = laws_of(instance, states, actions), lagrangian_gains(instance)[..., 1]
    values, each = np.zeros((len(states), len(Exact._fields))), np.arange(len(states))
    for epoch in reversed(range(instance.horizon)):
        ahead = (values + pay[:, None]).astype(np.float32)
        quality = np.array([law @ ahead for law in laws])  # [A, X, policy]
        gain = gains[epoch, arms, states]
        order = np.argsort(-gain, axis=1, kind="stable")[:, :budget]
        played = [tuple(sorted(row[g[row] > 0].tolist())) for row, g in zip(order, gain, strict=True)]
        by_index = np.array([number[action] for action in played])
        values[:, 0] = quality[:, :, 0].max(axis=0)
        values[:, 1] = quality[by_index, each, 1]
        values[:, 2] = quality[quality[:, :, 1].argmax(axis=0), each, 2]
        values[:, 3] = quality[0, :, 3]
    start = np.ones(1)
    for arm in arms:
        start = np.kron(start, instance.start[arm])
    return Exact(*(start @ values).tolist())


def main(arguments: Arguments) -> None:
    print(f"{machine()}.\n\n| family | best over index-MILP: mean (range) | rollout over it |\n|---|---:|---:|")
    rows: dict[str, list[dict[str, float]]] = {}
    for family in arguments.families:
        found = [solve(draw_instance(Size(family, arguments.arms), 700 + k)) for k in range(arguments.instances)]
        more = [[one.best / one.by_index - 1.0, one.by_rollout / one.by_index - 1.0] for one in found]
        cells = [_range(column) for column in zip(*more, strict=True)]
        print(f"| {family}, {arguments.arms} arms | {cells[0]} | {cells[1]} |", flush=True)
        rows[family] = [one._asdict() for one in found]
    data = {"makespan": makespan.__version__, "machine": machine(), "rows": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _range(values: tuple[float, ...]) -> str:
    return f"{100 * np.mean(values):+.1f} % ({100 * min(values):+.1f} … {100 * max(values):+.1f})"


if __name__ == "__main__":
    main(tyro.cli(Arguments))
