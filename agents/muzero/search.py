"""Gumbel search over a batch of roots: one evaluation of the model for all of them in each simulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.pack import Pack
from .halving import halving_table
from .tree import begin_search, conclude, expand, make_tree, mix_prior, select, shift_logits

CONSIDERED = 16
FLOOR = 0.01


class Evaluation(NamedTuple):
    """What a model says of one state for each of B roots, and of the step that led to it.

    Attributes:
        rewards: float32 [B], of the step.
        discounts: float32 [B], what later rewards count for: the discount of the time that the step takes, 0 where the
            episode has ended.
        values: float32 [B], of the state, in units of the reward.
        logits: float32 [B, A].
        legal: int8 [B, A], all zero where the episode has ended.
    """

    rewards: NDArray[np.float32]
    discounts: NDArray[np.float32]
    values: NDArray[np.float32]
    logits: NDArray[np.float32]
    legal: NDArray[np.int8]


class Simulation(NamedTuple):
    """One simulation of a search.

    Attributes:
        tree: the trees.
        table: see `select`.
        number: which simulation; it makes node number + 1.
        parents, actions: int64 [B], filled: from which node, by which action the trees are left; parents are -1 where
            the root has no action.
        fresh: bool [B], filled: whether that makes a new node. Where not, `parents` is a state without actions that is
            met again.
    """

    tree: Pack
    table: NDArray[np.int64]
    number: int
    parents: NDArray[np.int64]
    actions: NDArray[np.int64]
    fresh: NDArray[np.bool_]


class Model(ABC):
    """Knows states by their node: 0 is the root, simulation s makes node s + 1."""

    @abstractmethod
    def begin(self, nodes: int) -> Evaluation:
        """The roots (rewards and discounts of no meaning), with room for so many nodes."""

    def simulate(self, simulation: Simulation) -> Evaluation:
        """Choose where the trees are left, and say what state is there.

        Where actions lead to other states each time, a model overrides this and goes down the trees by itself.
        """
        chosen = simulation.parents, simulation.actions, simulation.fresh
        select(simulation.tree, simulation.table, simulation.number, *chosen)
        return self.expand(simulation.number + 1, *chosen)

    @abstractmethod
    def expand(
        self, node: int, parents: NDArray[np.int64], actions: NDArray[np.int64], fresh: NDArray[np.bool_]
    ) -> Evaluation:
        """The states that actions lead to from the parents' states; they become `node` of each root.

        Args:
            node: of the new states.
            parents, actions, fresh: see `Simulation`. Where there is no new state, the value of the parent's counts.
        """


@dataclass(frozen=True)
class SearchConfig:
    """How a search is made.

    Attributes:
        simulations: evaluations for each root; 0 plays the policy alone.
        considered: actions that are tried at the root at most.
        floor: the least range of the values at a node that is stretched to [0, 1], as a share of the value scale;
            scheduling actions are often nearly equal, and stretching noise misleads. 0 for none.
    """

    simulations: int = 32
    considered: int = CONSIDERED
    floor: float = FLOOR


class Found(NamedTuple):
    """What searches come to.

    Attributes:
        actions: int64 [B], 0 where there is none.
        policy: float32 [B, A], the improved policy; zeros where there is no action.
        values: float64 [B], of the improved policy; the model's own where nothing was simulated.
    """

    actions: NDArray[np.int64]
    policy: NDArray[np.float32]
    values: NDArray[np.float64]


class Searcher:
    """Searches from batches of roots; keeps the trees' memory from one search to the next.

    Args:
        config: how.
    """

    def __init__(self, config: SearchConfig) -> None:
        self.config = config
        self._table = halving_table(config.considered, config.simulations)
        self._shape = (0, 0)

    def _make_room(self, roots: int, slots: int) -> None:
        if self._shape == (roots, slots):
            return
        self._shape = roots, slots
        self._tree = make_tree(roots, self.config.simulations + 1, slots, self.config.considered)
        self._parents, self._actions = np.zeros(roots, dtype=np.int64), np.zeros(roots, dtype=np.int64)
        self._fresh = np.zeros(roots, dtype=np.bool_)
        self._weights = np.zeros((roots, slots), dtype=np.float32)

    def search(
        self,
        model: Model,
        gumbel: NDArray[np.float64] | None = None,
        value_scale: float | None = 1.0,
        noise: float = 0.0,
        explore: float = 0.0,
    ) -> Found:
        """Search from every root of a model.

        Args:
            model: which knows the roots.
            gumbel: float64 [B, A], noise of the root's logits; None for none, which is how one plays to win.
            value_scale: what values of states usually amount to; the floor is a share of it. None: what they amount to
                at the root.
            noise: by how much the model's values are usually wrong; the floor is no less.
            explore: share of the root's prior that all legal actions divide evenly among them, so that what a network
                once thought hopeless is tried again.
        """
        simulations = self.config.simulations
        root = model.begin(simulations + 1)
        self._make_room(*root.logits.shape)
        roots = len(root.values)
        drawn = np.zeros(root.logits.shape) if gumbel is None else np.asarray(gumbel, dtype=np.float64)
        scale = np.abs(root.values).astype(np.float64) if value_scale is None else np.full(roots, value_scale)
        floor = np.maximum(self.config.floor * scale, noise)
        shifted = np.zeros_like(root.logits)
        shift_logits(root.logits, root.legal, shifted)
        if explore:
            mix_prior(shifted, root.legal, explore)
        weights, most = np.exp(shifted), self.config.considered
        begin_search(self._tree, root.values, shifted, weights, root.legal, drawn, floor, most)
        chosen = self._parents, self._actions, self._fresh
        for simulation in range(simulations):
            found = model.simulate(Simulation(self._tree, self._table, simulation, *chosen))
            shift_logits(found.logits, found.legal, self._weights)
            np.exp(self._weights, out=self._weights)
            told = found.rewards, found.discounts, found.values, self._weights, found.legal
            expand(self._tree, simulation + 1, *chosen, *told)
        actions, values = np.zeros(roots, dtype=np.int64), np.zeros(roots)
        policy = np.zeros(root.logits.shape, dtype=np.float32)
        conclude(self._tree, actions, policy, values)
        return Found(actions, policy, values)
