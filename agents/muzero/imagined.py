"""Search on the imagined engine (as AlphaZero's): the engine says what actions lead to, a network what that is worth.

Silver et al., "A general reinforcement learning algorithm that masters chess, shogi, and Go through self-play", Science
362, 2018. Where nothing is random every node holds a copy of the engine. Where the world is random the tree is
open-loop: each simulation goes down it in a world imagined anew, and a node stands for the actions that led to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import BatchEngine, Outcome
from ..agent import Imagine, Observation
from ..foresight import Foreseen, Foresight
from ..networks.common import SlotNetwork, refuse_nan, to_tensors
from ..planners.playouts import draw_worlds, world_keys
from .kept import Best
from .search import Evaluation, Model, Simulation
from .tree import choose_at_root, choose_below, note_edge


def evaluate(
    network: SlotNetwork, observation: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits [B, A] and values [B] of observations.

    Raises:
        UserError: the network computes what is no number.
    """
    logits, values = network(to_tensors(observation, next(network.parameters()).device))
    found = logits.to(torch.float32).cpu().numpy(), values.to(torch.float32).cpu().numpy()
    refuse_nan(network, *found)
    return found


class ImaginedModel(Model):
    """States are copies of an engine: row s * B + b of a pool holds node s of root b.

    For worlds without chance, and for foresight in the one in which nothing unforeseen happens: search is there, too.

    Args:
        network: values states and scores slots.
        imagine: how to look ahead.
        copies: int64 [B], whose present the roots are.
        keys: uint64 [B], what imagined worlds are drawn from.
        decisions: int64 [B], how many came before.
        gamma: discount per `time_scale` of simulated time; 1 with foresight.
        foresight: what the network sees besides the observation, and what its values are relative to; None for nothing.
    """

    def __init__(
        self,
        network: SlotNetwork,
        imagine: Imagine,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        gamma: float = 1.0,
        foresight: Foresight | None = None,
    ) -> None:
        self._network, self._imagine, self._copies = network, imagine, copies
        self._keys, self._decisions, self._gamma = keys, decisions, gamma
        self._foresight = foresight
        self._root: Foreseen | None = None
        self.costs = np.full(len(copies), np.inf)
        self._best = np.zeros((2, len(copies)), dtype=np.int64)  # at which node it was foreseen, with which action

    def begin(self, nodes: int) -> Evaluation:
        count = len(self._copies)
        typical = self._foresight is not None and self._foresight.worlds == 0
        worlds = draw_worlds(self._keys, self._decisions, 0 if typical else 1)
        roots = self._imagine(self._copies, worlds[:, 0])
        # The rows of later nodes are written when their parents' are copied there.
        self._pool = roots._empty_like(count * nodes)
        for root, row in zip(roots._arrays(recorded=False), self._pool._arrays(recorded=False), strict=True):
            row[:count] = root
        self._played = np.zeros(count * nodes, dtype=np.int64)
        self._rows = np.arange(count)
        self._came = np.full((nodes, 2, count), -1, dtype=np.int64)  # from which node, by which action
        nothing = np.zeros(count, dtype=np.float32)
        return self._look(self._pool, 0, nothing, nothing)

    def expand(
        self, node: int, parents: NDArray[np.int64], actions: NDArray[np.int64], fresh: NDArray[np.bool_]
    ) -> Evaluation:
        pool, count = self._pool, len(parents)
        low, high = node * count, (node + 1) * count
        pool.copy(np.maximum(parents, 0) * count + self._rows, np.arange(low, high))
        self._played[low:high] = actions
        self._came[node] = parents, actions
        pool._step_range(self._played, low, high)
        outcome = Outcome._make(array[low:high] for array in pool.outcome)
        discounts = self._gamma ** (outcome.elapsed / pool.spec.time_scale) * ~outcome.terminated
        return self._look(pool, low, outcome.reward.astype(np.float32), discounts.astype(np.float32))

    def _look(
        self, engine: BatchEngine, low: int, rewards: NDArray[np.float32], discounts: NDArray[np.float32]
    ) -> Evaluation:
        """What there is to say of an engine's copies from `low` on, to which steps have led."""
        rows = slice(low, low + len(rewards))
        seen = {key: array[rows] for key, array in engine.block.views.items()}
        if self._foresight is not None:
            return self._foresee(self._foresight, engine, low, seen)
        legal = seen["action_mask"]
        logits, values = evaluate(self._network, seen)
        live = legal.any(axis=1) | engine.outcome.truncated[rows]
        return Evaluation(rewards, discounts, np.where(live, values, 0), logits, legal)

    def _foresee(self, foresight: Foresight, engine: BatchEngine, low: int, seen: Observation) -> Evaluation:
        """The same with foresight."""
        legal = seen["action_mask"]
        count = len(legal)

        def imagine(copies: NDArray[np.int64], keys: NDArray[np.uint64]) -> BatchEngine:
            return engine.imagine(copies + low, keys)

        scales = None if self._root is None else self._root.scales
        found = foresight.look(imagine, seen, legal, self._keys, self._decisions, scales)
        root = self._root = self._root or found
        logits, values = evaluate(self._network, found.observation)
        running = legal.any(axis=1)
        costs = np.where(running, found.costs, foresight.sign * engine.objectives()[low : low + count])
        better = np.flatnonzero(costs < self.costs)
        self.costs[better] = costs[better]
        self._best[0, better], self._best[1, better] = low // count, foresight.best_action(found.observation)[better]
        worth = (root.costs - costs) / root.scales + np.where(running, values, 0)
        nothing = np.zeros(count, dtype=np.float32)
        return Evaluation(nothing, nothing + 1, worth.astype(np.float32), logits, legal)

    def plans(self, roots: NDArray[np.int64]) -> Best:
        """The best plans that were foreseen from chosen roots: played once more, to note them."""
        assert self._foresight is not None
        nodes, actions = self._best[:, roots]
        rows = nodes * len(self._copies) + roots
        costs, plans = self._foresight.note(self._pool.imagine, rows, actions)
        if self._pool.kernels.follow_plan is None:  # lists of actions: those that led to the node come first
            for row, (root, node) in enumerate(zip(roots, nodes, strict=True)):
                path: list[int] = []
                while node > 0:
                    node, action = self._came[node, :, root]
                    path.insert(0, int(action))
                plans[row] = np.concatenate([path, plans[row]])[: plans.shape[1]]
        return Best(costs, plans)


@compiled
def first_steps(tree, table, simulation, walking, nodes, actions):
    """Begin at the roots: `walking` bool [B], `nodes` and `actions` int64 [B] are filled."""
    for b in range(len(nodes)):
        action = np.int64(choose_at_root(tree, b, table, simulation))
        walking[b], nodes[b], actions[b] = action >= 0, 0, max(action, 0)


@compiled
def further_steps(tree, walking, nodes, actions, rewards, discounts, mask, fresh, stopped):
    """Go on after every tree that is walked has taken its action.

    Args:
        rewards, discounts: float64 [B], of the action.
        mask: int8 [B, A], which actions are legal then.
        fresh: bool [B], filled where a walk ends: whether at a new edge.
        stopped: bool [B], filled: whose walk ends now.
    """
    for b in range(len(nodes)):
        stopped[b] = False
        if not walking[b]:
            continue
        node = np.int64(tree.child[b, nodes[b], actions[b]])
        if node < 0:
            walking[b], stopped[b], fresh[b] = False, True, True
            continue
        note_edge(tree, b, node, rewards[b], discounts[b], mask[b], 0)
        action = np.int64(choose_below(tree, b, node))
        nodes[b], actions[b] = node, max(action, 0)
        if action < 0:
            walking[b], stopped[b], fresh[b] = False, True, False


class OpenLoopModel(ImaginedModel):
    """Each simulation plays from the roots in worlds of its own. For worlds with chance."""

    def begin(self, nodes: int) -> Evaluation:
        count = len(self._copies)
        self._worlds = np.zeros((count, nodes), dtype=np.uint64)
        world_keys(self._keys, self._decisions, self._worlds)
        nothing = np.zeros(count, dtype=np.float32)
        return self._look(self._fresh_worlds(0), 0, nothing, nothing)

    def _fresh_worlds(self, number: int) -> BatchEngine:
        return self._imagine(self._copies, np.ascontiguousarray(self._worlds[:, number]))

    def simulate(self, simulation: Simulation) -> Evaluation:
        engine = self._fresh_worlds(simulation.number + 1)
        tree, table, number, nodes, actions, fresh = simulation
        count = len(nodes)
        walking, stopped = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        first_steps(tree, table, number, walking, nodes, actions)
        nodes[~walking], fresh[:] = -1, False
        leaves = engine._empty_like(count)
        rewards, discounts = np.zeros(count), np.ones(count)
        stopped[:] = True
        _keep(engine, leaves, stopped)
        while walking.any():
            # Copies whose walk has ended play on, to no purpose: the engine steps all of them.
            played = np.where(walking, actions, engine.masks.argmax(axis=1))
            outcome = engine.step(played, check=False)
            if self._foresight is None:
                passed = self._gamma ** (outcome.elapsed / engine.spec.time_scale) * ~outcome.terminated
                rewards[walking], discounts[walking] = outcome.reward[walking], passed[walking]
            further_steps(tree, walking, nodes, actions, rewards, discounts, engine.masks, fresh, stopped)
            _keep(engine, leaves, stopped)
        return self._look(leaves, 0, rewards.astype(np.float32), discounts.astype(np.float32))


def _keep(engine: BatchEngine, kept: BatchEngine, chosen: NDArray[np.bool_]) -> None:
    """Keep the present of the chosen copies in another engine of as many."""
    for now, then in zip(engine._arrays(recorded=False), kept._arrays(recorded=False), strict=True):
        then[chosen] = now[chosen]
