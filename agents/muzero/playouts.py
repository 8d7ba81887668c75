"""Search without a network: a state is worth what a rule or a scorer makes of it, all of it in compiled code.

The tree is open-loop: every simulation begins in a world imagined anew and goes down the tree by the actions that are
legal there, so that a node stands for the actions that led to it and not for one state. Where nothing is random it is
the usual tree.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import Kernels
from ...envs.core.errors import UserError
from ...envs.core.planned import NO_ACTION, plan_room
from ...envs.core.player import FEATURES, GLOBALS, MASK, NUM_FEATURES, NUM_GLOBALS, NUM_SLOTS, action_table, variant_of
from ..agent import Agent, Imagine
from ..planners.playouts import world_keys
from ..rules.choice import AT_RANDOM, KIND, choose_by_rule
from ..scorer.agent import ScorerAgent
from ..scorer.choice import _scratch, score_slot, see_state
from .halving import halving_table
from .kept import Best
from .search import Found, SearchConfig
from .tree import begin_root, choose_at_root, choose_below, conclude, expand_one, make_tree, note_edge

TEMPERATURE = 1.0
FAVOUR = 3.0  # by how much a rule's choice leads the other slots in the prior


@compiled
def prior_by_scorer(view, i, where, weights, key, decision, logits):
    """Write a scorer's scores of the legal slots."""
    memory = _scratch()  # pyright: ignore[reportCallIssue] (Numba hands over the typing context)
    width, count = where[NUM_FEATURES], where[NUM_GLOBALS]
    see_state(memory, width, view.floats[i], where[GLOBALS], count, weights)
    for a in range(where[NUM_SLOTS]):
        if view.bytes[i, where[MASK] + a] != 0:
            logits[a] = score_slot(memory, view.floats[i], where[FEATURES] + a * width, width, count, weights)


@compiled
def prior_by_rule(view, i, where, parameters, key, decision, logits):
    """Write logits in which the rule's choice leads; all equal for random play."""
    for a in range(where[NUM_SLOTS]):
        logits[a] = np.float32(0.0)
    if parameters[KIND] != AT_RANDOM:
        logits[choose_by_rule(view, i, where, parameters, key, decision)] = np.float32(FAVOUR)


@compiled
def weigh(view, i, where, temperature, legal, logits, weights):
    """Complete one state's logits (see `makespan.agents.muzero.tree.shift_logits`): legality, temperature, weights."""
    largest = np.float32(-np.inf)
    for a in range(len(logits)):
        legal[a] = view.bytes[i, where[MASK] + a]
        logits[a] = logits[a] / temperature if legal[a] != 0 else np.float32(-np.inf)
        largest = max(largest, logits[a])
    for a in range(len(logits)):
        weights[a] = np.float32(0.0)
        if legal[a] != 0:
            logits[a] -= largest
            weights[a] = np.exp(logits[a])


@cache
def make_search(kernels: Kernels, choose: Callable[..., Any], prior: Callable[..., Any]) -> Callable[..., None]:
    """The whole search on an engine with `lower_bound`.

    Args:
        kernels: of the engine.
        choose: the compiled choice that plays on, see `makespan.envs.core.player`.
        prior: compiled, takes what `choose` takes and writes logits of the legal slots.

    Returns:
        Compiled ``search_range(problem, state, view, where, parameters, rows, keys, temperature, tree, table, floor,
        most, legal, logits, weights, gumbel, noted, costs, plans, low, high)`` for the roots low .. high - 1 of n. Row
        s * n + b of the engine holds a fresh copy of root b for simulation s (0: the root itself). ``floor`` is a share
        of the root's value; ``legal``, ``logits``, ``weights`` [n, A] and ``noted`` int64 [n, P] are room to work in;
        ``costs`` float64 [n] and ``plans`` int64 [n, P] take the best plan played.
    """
    is_running, advance, write_actions = kernels.is_running, kernels.advance, kernels.write_actions
    cost_of, note = kernels.lower_bound, kernels.note_plan
    assert cost_of is not None
    lists = note is None
    note_plan = _nothing_to_note if note is None else note

    @compiled(variant=variant_of(kernels, choose, prior, choose_below), nogil=True)
    def search_range(
        problem, state, view, where, parameters, rows, keys, temperature, tree, table, floor, most,
        legal, logits, weights, gumbel, noted, costs, plans, low, high,
    ):  # fmt: skip
        count, room = noted.shape
        for b in range(low, high):
            costs[b] = np.inf
            for number in range(tree.links[b].shape[0]):
                i = number * count + b
                row = parameters[rows[i]]
                parent, action, fresh, decision = np.int64(-1), np.int64(0), False, 0
                chosen, node = np.int64(-1), np.int64(0)
                if number > 0:
                    chosen = np.int64(choose_at_root(tree, b, table, number - 1))
                while chosen >= 0:
                    parent, action, fresh = node, chosen, True
                    advance(problem, state, i, chosen)
                    if decision < room:
                        noted[b, decision] = chosen
                    decision += 1
                    if is_running(problem, state, i):
                        write_actions(problem, state, view, i)
                    node = np.int64(tree.child[b, node, chosen])
                    chosen = np.int64(-1)
                    if node < 0:
                        break
                    if is_running(problem, state, i):
                        note_edge(tree, b, node, 0.0, 1.0, view.bytes[i], where[MASK])
                        chosen = np.int64(choose_below(tree, b, node))
                    if chosen < 0:
                        parent, fresh = node, False
                if is_running(problem, state, i):
                    prior(view, i, where, row, keys[i], decision, logits[b])
                    weigh(view, i, where, temperature, legal[b], logits[b], weights[b])
                else:
                    for a in range(legal.shape[1]):
                        legal[b, a], weights[b, a] = 0, np.float32(0.0)
                while is_running(problem, state, i):
                    played = choose(view, i, where, row, keys[i], decision)
                    advance(problem, state, i, played)
                    write_actions(problem, state, view, i)
                    if decision < room:
                        noted[b, decision] = played
                    decision += 1
                cost = np.float64(cost_of(problem, state, i))
                if number == 0:
                    least = floor * abs(cost)
                    begin_root(tree, b, -cost, logits[b], weights[b], legal[b], gumbel[b], least, most)
                else:
                    expand_one(tree, b, number, parent, action, fresh, 0.0, 1.0, -cost, weights[b], legal[b])
                if cost < costs[b]:
                    costs[b] = cost
                    if lists:
                        for place in range(room):
                            plans[b, place] = noted[b, place] if place < decision else NO_ACTION
                    else:
                        note_plan(problem, state, i, plans[b])

    return search_range


@compiled
def _nothing_to_note(problem, state, i, plan):
    """A plan that is a list of actions is noted while it is played."""


class PlayoutSearch:
    """Searches whose leaves are worth what an agent makes of them.

    Values are minus the costs of whole episodes, what has passed included, and edges have no rewards: that shifts all
    values of a root alike.

    Args:
        base: a rule or a scorer, which plays on; a scorer's scores are the prior, a rule's choice leads in it.
        config: of the searches.
        temperature: that scores are divided by.

    Raises:
        UserError: the base does not play in compiled code.
    """

    def __init__(self, base: Agent, config: SearchConfig, temperature: float = TEMPERATURE) -> None:
        choice = base.compiled_choice(1)
        if choice is None or base.samples > 1:
            raise UserError(f"agent {base.name!r} cannot play on from the leaves of a search; rules and scorers can")
        self._base, self._config, self._temperature = base, config, np.float32(temperature)
        self._prior = prior_by_scorer if isinstance(base, ScorerAgent) else prior_by_rule
        self._table = halving_table(config.considered, config.simulations)

    def copies_of(self, root_bytes: int, memory: int) -> int:
        """How many roots can be searched at a time, when an engine's copy takes so many bytes."""
        return max(memory // (root_bytes * (self._config.simulations + 1)), 1)

    def search(
        self,
        imagine: Imagine,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        gumbel: NDArray[np.float64] | None = None,
    ) -> tuple[Found, Best]:
        """Search from the present of copies.

        Args:
            imagine: how to look ahead.
            copies: int64 [B].
            keys, decisions: uint64 and int64 [B], what imagined worlds are drawn from.
            gumbel: float64 [B, A], noise of the roots' logits; None for none.
        """
        count, nodes = len(copies), self._config.simulations + 1
        worlds = np.zeros((count, nodes), dtype=np.uint64)
        world_keys(keys, decisions, worlds)
        drawn = np.ascontiguousarray(worlds.T).ravel()
        engine = imagine(np.tile(copies, nodes), drawn)
        self._base.begin(np.arange(len(drawn), dtype=np.int64), [], drawn, None)
        choice = self._base.compiled_choice(len(drawn))
        assert choice is not None
        slots, room = engine.sizes.actions, plan_room(engine)
        tree = make_tree(count, nodes, slots, self._config.considered)
        noise = np.zeros((count, slots)) if gumbel is None else gumbel
        legal, logits = np.zeros((count, slots), dtype=np.int8), np.zeros((count, slots), dtype=np.float32)
        best = Best(np.zeros(count), np.zeros((count, room), dtype=np.int64))
        search_range = make_search(engine.kernels, choice.choose, self._prior)
        played = engine.problem, engine.state, engine.view, action_table(engine)
        by = choice.parameters, choice.rows, choice.keys, self._temperature
        rules = tree, self._table, self._config.floor, self._config.considered
        room_to_work = legal, logits, np.zeros_like(logits), noise, np.zeros_like(best.plans)
        search_range(*played, *by, *rules, *room_to_work, *best, 0, count)
        found = Found(np.zeros(count, dtype=np.int64), np.zeros((count, slots), dtype=np.float32), np.zeros(count))
        conclude(tree, *found)
        return found, best
