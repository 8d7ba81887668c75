"""Exact dynamic programming of small restless bandits, from the specification alone: all joint states, all actions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Values(NamedTuple):
    """Expected returns from the start by the best policy, the myopic one, one uniform over A, and passivity."""

    optimum: float
    myopic: float
    uniform: float
    null: float
    first: tuple[int, ...]  # an optimal first action from the likeliest start


def solve(instance, discount: float = 1.0) -> Values:
    """Values of an instance with at most a few thousand joint states.

    Args:
        instance: read by its public fields only: transition, reward, joint, contagion, effect, feasible.members.
    """
    actions = instance.feasible.members
    arms, _, states, _ = instance.transition.shape
    joint_states = list(product(range(states), repeat=arms))
    pays = np.array([_reward(instance, s) for s in joint_states])
    nothing = np.zeros(actions.shape[1], dtype=int)
    laws = np.array([[_law(instance, s, a) for s in joint_states] for a in [*actions, nothing]])
    at_once = laws @ pays  # [A + 1, X], expected reward of the next state
    myopic = at_once[:-1].argmax(axis=0)
    each = np.arange(len(joint_states))
    best, by_myopic, by_uniform, by_null = (np.zeros(len(joint_states)) for _ in range(4))
    choice = np.zeros(len(joint_states), dtype=int)
    for _ in range(instance.horizon):
        quality = at_once[:-1] + discount * (laws[:-1] @ best)
        best, choice = quality.max(axis=0), quality.argmax(axis=0)
        by_myopic = (at_once[:-1] + discount * (laws[:-1] @ by_myopic))[myopic, each]
        by_uniform = (at_once[:-1] + discount * (laws[:-1] @ by_uniform)).mean(axis=0)
        by_null = at_once[-1] + discount * (laws[-1] @ by_null)
    start = np.array([np.prod([instance.start[j, s[j]] for j in range(arms)]) for s in joint_states])
    first = actions[choice[int(start.argmax())]]
    return Values(
        float(start @ best),
        float(start @ by_myopic),
        float(start @ by_uniform),
        float(start @ by_null),
        tuple(first.tolist()),
    )


def policy_value(instance, policy: Callable[[int, tuple[int, ...]], NDArray[np.int8]], discount: float = 1.0) -> float:
    """Expected return of ``policy(epoch, states) -> action`` from the start."""
    arms, _, states, _ = instance.transition.shape
    joint_states = list(product(range(states), repeat=arms))
    pays = np.array([_reward(instance, s) for s in joint_states])
    value = np.zeros(len(joint_states))
    for epoch in reversed(range(instance.horizon)):
        value = np.array([_law(instance, s, policy(epoch, s)) @ (pays + discount * value) for s in joint_states])
    start = np.array([np.prod([instance.start[j, s[j]] for j in range(arms)]) for s in joint_states])
    return float(start @ value)


def _reward(instance, now: tuple[int, ...]) -> float:
    total = sum(float(instance.reward[j, s]) for j, s in enumerate(now))
    return total + sum(one.weight for one in instance.joint if min(now[j] for j in one.arms) >= one.least)


def _law(instance, now: tuple[int, ...], action) -> NDArray[np.float64]:
    """Probability of each joint state after an action: the arms' own laws, one after the other."""
    arms, levels, states, _ = instance.transition.shape
    joint = np.ones(1)
    for j in range(arms):
        level = int(action[j]) if instance.effect is None else int(instance.effect[j] @ action)
        row = instance.transition[j, min(level, levels - 1), now[j]]
        if instance.contagion is not None and level == 0:
            near = instance.contagion.neighbours[j]
            share = sum(now[k] <= 1 for k in near) / len(near)
            ceiling = instance.transition[j, 0, 0, 1]
            up = min(max(ceiling - 0.85 * share, 0.02), 1.0)
            row = np.zeros(states)
            row[min(now[j] + 1, states - 1)] += up
            row[max(now[j] - 1, 0)] += 1.0 - up
        joint = np.multiply.outer(joint, row).ravel()
    return joint
