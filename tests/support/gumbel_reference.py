"""Gumbel search in plain Python, one root at a time, as the formulas of the paper say; slow, and no code of ours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from makespan.agents.muzero.search import Evaluation, Model
from numpy.typing import NDArray


@dataclass
class World:
    """A random world of states, the same for all who play it; states are numbers.

    Attributes:
        values: [S].
        logits, rewards, discounts, legal, following: [S, A].
    """

    values: NDArray[np.float32]
    logits: NDArray[np.float32]
    rewards: NDArray[np.float32]
    discounts: NDArray[np.float32]
    legal: NDArray[np.int8]
    following: NDArray[np.int64]


def random_world(
    seed: int, states: int, actions: int, masked: bool, endings: bool = False, spread: float = 1.0
) -> World:
    """A world by its seed; `masked`: some actions are illegal, at least one legal; `endings`: some states end all."""
    rng = np.random.default_rng(seed)
    legal = np.ones((states, actions), dtype=np.int8)
    if masked:
        legal = (rng.random((states, actions)) < 0.5).astype(np.int8)
        legal[np.arange(states), rng.integers(0, actions, states)] = 1
    following = rng.integers(0, states, (states, actions))
    discounts = rng.uniform(0.8, 1.0, (states, actions))
    values = spread * rng.normal(size=states)
    if endings:
        ended = rng.random(states) < 0.3
        ended[0] = False
        legal[ended] = 0
        values[ended] = 0.0
        discounts[ended[following]] = 0.0
    return World(
        values.astype(np.float32),
        (2.0 * rng.normal(size=(states, actions))).astype(np.float32),
        (0.5 * spread * rng.normal(size=(states, actions))).astype(np.float32),
        discounts.astype(np.float32),
        legal,
        following,
    )


class WorldModel(Model):
    """A world as our search's model of B roots in given states."""

    def __init__(self, world: World, roots: NDArray[np.int64]) -> None:
        self._world, self._roots = world, roots

    def begin(self, nodes: int) -> Evaluation:
        self._states = np.zeros((len(self._roots), nodes), dtype=np.int64)
        self._states[:, 0] = self._roots
        return self._evaluate(self._roots, np.zeros(len(self._roots)), np.ones(len(self._roots)))

    def expand(self, node: int, parents: Any, actions: Any, fresh: Any) -> Evaluation:
        before = self._states[np.arange(len(parents)), np.maximum(parents, 0)]
        after = np.where(fresh, self._world.following[before, actions], before)
        self._states[:, node] = after
        return self._evaluate(after, self._world.rewards[before, actions], self._world.discounts[before, actions])

    def _evaluate(self, states: Any, rewards: Any, discounts: Any) -> Evaluation:
        world = self._world
        return Evaluation(
            rewards.astype(np.float32),
            discounts.astype(np.float32),
            world.values[states],
            world.logits[states],
            world.legal[states],
        )


@dataclass
class _Node:
    state: int
    value: float
    prior: dict[int, float]
    logits: dict[int, float]
    children: dict[int, _Node] = field(default_factory=dict)
    visits: dict[int, int] = field(default_factory=dict)
    returns: dict[int, list[float]] = field(default_factory=dict)

    def q(self, action: int) -> float:
        return sum(self.returns[action]) / len(self.returns[action])


class ReferenceSearch:
    """One search from one state of a world."""

    def __init__(self, world: World, simulations: int, considered: int, floor: float) -> None:
        self.world, self.simulations, self.considered, self.floor = world, simulations, considered, floor

    def _make(self, state: int) -> _Node:
        legal = [a for a in range(self.world.logits.shape[1]) if self.world.legal[state, a]]
        logits = {a: float(self.world.logits[state, a]) for a in legal}
        total = sum(math.exp(x) for x in logits.values())
        prior = {a: math.exp(x) / total for a, x in logits.items()}
        return _Node(state, float(self.world.values[state]), prior, logits)

    def _mixed(self, node: _Node) -> float:
        """v_mix, of actions that were not tried."""
        visited = [a for a in node.prior if node.visits.get(a, 0) > 0]
        if not visited:
            return node.value
        count = sum(node.visits[a] for a in visited)
        mean = sum(node.prior[a] * node.q(a) for a in visited) / sum(node.prior[a] for a in visited)
        return (node.value + count * mean) / (1 + count)

    def _advantage(self, node: _Node) -> dict[int, float]:
        """sigma(completed q) of every legal action."""
        visited = [a for a in node.prior if node.visits.get(a, 0) > 0]
        mixed = self._mixed(node)
        completed = {a: node.q(a) if a in visited else mixed for a in node.prior}
        low, high = min(completed.values()), max(completed.values())
        width = max(high - low, self.floor, 1e-8)
        scale = (50 + max((node.visits[a] for a in visited), default=0)) * 0.1
        return {a: scale * (q - low) / width for a, q in completed.items()}

    def _improved(self, node: _Node) -> dict[int, float]:
        advantage = self._advantage(node)
        scores = {a: node.logits[a] + advantage[a] for a in node.prior}
        largest = max(scores.values())
        total = sum(math.exp(x - largest) for x in scores.values())
        return {a: math.exp(x - largest) / total for a, x in scores.items()}

    def _simulate(self, node: _Node, action: int) -> float:
        """Take an action from a node; returns what was found along its edge."""
        world = self.world
        if action not in node.children:
            node.children[action] = self._make(int(world.following[node.state, action]))
            value = node.children[action].value
        else:
            child = node.children[action]
            value = child.value if not child.prior else self._simulate(child, self._below(child))
        value = float(world.rewards[node.state, action]) + float(world.discounts[node.state, action]) * value
        node.visits[action] = node.visits.get(action, 0) + 1
        node.returns.setdefault(action, []).append(value)
        return value

    def _below(self, node: _Node) -> int:
        improved = self._improved(node)
        count = sum(node.visits.values())
        return max(node.prior, key=lambda a: improved[a] - node.visits.get(a, 0) / (1 + count))

    def search(self, state: int, gumbel: NDArray[np.float64]) -> tuple[int, dict[int, float], float]:
        """(action, improved policy, its value) of a root."""
        root = self._make(state)
        noisy = {a: root.logits[a] + float(gumbel[a]) for a in root.prior}
        kept = sorted(root.prior, key=lambda a: -noisy[a])[: self.considered]
        values = [root.value]
        left, phases, level = len(kept), max(math.ceil(math.log2(len(kept))), 1), 0
        while len(values) <= self.simulations:
            for _ in range(max(1, self.simulations // (phases * left))):
                for _ in range(left):
                    if len(values) <= self.simulations:
                        advantage = self._advantage(root)
                        candidates = [a for a in kept if root.visits.get(a, 0) == level]
                        values.append(self._simulate(root, max(candidates, key=lambda a: noisy[a] + advantage[a])))
                level += 1
            left = max(min(2, len(kept)), left // 2)
        most = max(root.visits.values(), default=0)
        advantage = self._advantage(root)
        best = [a for a in root.prior if root.visits.get(a, 0) == most]
        action = max(best, key=lambda a: noisy[a] + advantage[a])
        policy = self._improved(root)
        mixed = self._mixed(root)
        value = sum(share * (root.q(a) if root.visits.get(a, 0) else mixed) for a, share in policy.items())
        return action, policy, value
