"""Simulated episodes of a known instance under an index policy, compiled; where each epoch admits at most B arms.

Many actions are compared from one state on under the same luck: the same uniform number decides where an arm goes at
the same epoch of the same path, whatever has been done.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.restless_bandits.feasible import Cardinality
from ...envs.restless_bandits.instance import LEAST_UNTREATED, BanditInstance


class Tables(NamedTuple):
    """An instance for compiled code; J arms, S states, G joint rewards of M arms in all, E pairs of neighbours."""

    law: NDArray[np.float64]  # [J, 2, S, S], cumulative over the next state
    reward: NDArray[np.float64]  # [J, S]
    joint_first: NDArray[np.int64]  # [G + 1]
    joint_arm: NDArray[np.int64]  # [M]
    joint_least: NDArray[np.int64]  # [G]
    joint_weight: NDArray[np.float64]  # [G]
    near_first: NDArray[np.int64]  # [J + 1], all 0 without contagion
    near: NDArray[np.int64]  # [E]
    up: NDArray[np.float64]  # [J], chance of an untreated arm of a contagion with healthy neighbours
    rule: NDArray[np.float64]  # strength and state of a contagion, budget


class Scratch(NamedTuple):
    """Room of one episode."""

    now: NDArray[np.int64]  # [J]
    after: NDArray[np.int64]  # [J]
    treated: NDArray[np.int8]  # [J]
    worth: NDArray[np.float64]  # [J]


@compiled
def choose_best(worth, budget, treated):
    """Mark the `budget` largest positive worths; of equals the lowest arms."""
    for j in range(len(worth)):
        treated[j] = 0
    for _ in range(budget):
        best = -1
        for j in range(len(worth)):
            if treated[j] == 0 and worth[j] > 0.0 and (best < 0 or worth[j] > worth[best]):
                best = j
        if best < 0:
            break
        treated[best] = 1


@compiled
def move(tables, scratch, draws):
    """All arms move by their treatment and one uniform number each, [J]; returns what the epoch pays."""
    now, after, treated = scratch.now, scratch.after, scratch.treated
    states, total = tables.reward.shape[1], 0.0
    for j in range(len(now)):
        first, end = tables.near_first[j], tables.near_first[j + 1]
        if treated[j] == 0 and end > first:
            sick = 0
            for k in range(first, end):
                sick += now[tables.near[k]] <= tables.rule[1]
            up = max(tables.up[j] - tables.rule[0] * sick / (end - first), LEAST_UNTREATED)
            after[j] = min(now[j] + 1, states - 1) if draws[j] < up else max(now[j] - 1, 0)
        else:
            # Few uniform numbers mean high states, at any level: luck that is good for one level is so for others.
            s, u = 0, 1.0 - draws[j]
            while s < states - 1 and u > tables.law[j, treated[j], now[j], s]:
                s += 1
            after[j] = s
        total += tables.reward[j, after[j]]
    for j in range(len(now)):
        now[j] = after[j]
    for g in range(len(tables.joint_weight)):
        ready = True
        for k in range(tables.joint_first[g], tables.joint_first[g + 1]):
            ready = ready and now[tables.joint_arm[k]] >= tables.joint_least[g]
        if ready:
            total += tables.joint_weight[g]
    return total


@compiled
def play_actions(tables, scratch, gain, epoch, states, actions, draws, values):
    """Play each action [A, J] once, then the index policy, under all paths [P, T, J]; fills values [A, P].

    Args:
        gain: [H, J, S].
        states: int64 [P, J] or [1, J], of each path.
    """
    for a in range(len(actions)):
        for path in range(len(draws)):
            begin, total = path if len(states) > 1 else 0, 0.0
            for j in range(len(scratch.now)):
                scratch.now[j] = states[begin, j]
                scratch.treated[j] = actions[a, j]
            for t in range(draws.shape[1]):
                if t > 0 or actions[a, 0] < 0:  # -1: the index policy chooses at once
                    for j in range(len(scratch.now)):
                        scratch.worth[j] = gain[epoch + t, j, scratch.now[j]]
                    choose_best(scratch.worth, np.int64(tables.rule[2]), scratch.treated)
                total += move(tables, scratch, draws[path, t])
            values[a, path] = total


class Simulation:
    """Episodes of one instance.

    Args:
        instance: at most B of its arms are acted on, or not, in an epoch.
    """

    def __init__(self, instance: BanditInstance) -> None:
        self.instance = instance
        arms = instance.num_arms
        joint_first = np.cumsum([0, *(len(one.arms) for one in instance.joint)])
        near = [()] * arms if instance.contagion is None else instance.contagion.neighbours
        contagion = instance.contagion
        rule = (0.0, 0.0) if contagion is None else (contagion.strength, float(contagion.sick))
        self.tables = Tables(
            np.cumsum(instance.transition, axis=3),
            np.array(instance.reward),
            joint_first.astype(np.int64),
            np.array([arm for one in instance.joint for arm in one.arms], dtype=np.int64),
            np.array([one.least for one in instance.joint], dtype=np.int64),
            np.array([one.weight for one in instance.joint], dtype=np.float64),
            np.cumsum([0, *map(len, near)]).astype(np.int64),
            np.array([k for row in near for k in row], dtype=np.int64),
            np.zeros(arms) if contagion is None or instance.up is None else instance.up[:, 0].copy(),
            np.array([*rule, float(instance.feasible.budget)]),
        )
        now, after = np.zeros((2, arms), dtype=np.int64)
        self._scratch = Scratch(now, after, np.zeros(arms, dtype=np.int8), np.zeros(arms))

    @classmethod
    def of(cls, instance: BanditInstance) -> Simulation | None:
        """That of an instance; None where its set is no plain one of at most B arms."""
        feasible = instance.feasible
        plain = isinstance(feasible, Cardinality) and not feasible.exactly and instance.effect is None
        return cls(instance) if plain else None

    def draw(self, paths: int, epoch: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """float64 [P, T, J]: the luck of all epochs from one on."""
        return rng.random((paths, self.instance.horizon - epoch, self.instance.num_arms))

    def play(
        self,
        gain: NDArray[np.float64],
        epoch: int,
        states: NDArray[np.int64],
        actions: NDArray[np.int8],
        draws: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """float64 [A, P]: returns from an epoch on of actions [A, J], each followed by the index policy.

        Args:
            gain: float64 [H, J, S], what acting is worth.
            states: int64 [J], or [P, J] of each path.
            draws: see `draw`.
        """
        values = np.zeros((len(actions), len(draws)))
        play_actions(
            self.tables, self._scratch, np.ascontiguousarray(gain), epoch, np.atleast_2d(states), actions, draws, values
        )
        return values

    def score(self, gain: NDArray[np.float64], paths: int, seed: int = 0) -> float:
        """The mean return of the index policy from the beginning, in so many episodes."""
        rng = np.random.default_rng(seed)
        chance = np.cumsum(self.instance.start, axis=1)
        states = (rng.random((paths, self.instance.num_arms, 1)) >= chance[None, :, :-1]).sum(axis=2)
        index = np.full((1, self.instance.num_arms), -1, dtype=np.int8)
        return float(self.play(gain, 0, states.astype(np.int64), index, self.draw(paths, 0, rng)).mean())
