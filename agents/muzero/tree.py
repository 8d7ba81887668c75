"""Search trees of many roots at once, in flat arrays that compiled code works on.

The rules are those of Danihelka, Guez, Schrittwieser & Silver, "Policy improvement by planning with Gumbel", ICLR 2022:
at the root sequential halving over the actions that are best by logit plus Gumbel noise, below it the action whose
share of the visits lags most behind the improved policy. An action's value before it is tried is the node's mixed
value (their appendix D). Every edge has its own reward and discount.

A tree's arrays are allocated once; node 0 is the root, and simulation s makes node s + 1. What is known of an edge
stands at the node that it leads to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.pack import Pack

VISITS, PARENT, ACTION, FIRST_CHILD, NEXT_SIBLING, NUM_LINKS = range(6)
Q, RAW_VALUE, REWARD, DISCOUNT, NUM_STATISTICS = range(5)
LOW, HIGH, MIXED, MOST_VISITS, ALL_VISITS, UNTRIED_MASS, NUM_SUMMARY = range(7)
NONE = -1
_BASE_VISITS, _VALUE_SCALE = 50.0, 0.1
_LEAST_RANGE = 1e-8
_LEAST_SHARE = float(np.finfo(np.float32).tiny)


class Tree(NamedTuple):
    """Trees of B roots with room for M nodes each and A action slots.

    Attributes:
        links: int32 [B, M, NUM_LINKS]: how often the edge to a node was taken (at the root: one more than simulations),
            its parent, the action that leads to it, its first child and the next child of its parent, -1 for none.
        statistics: float64 [B, M, NUM_STATISTICS]: the mean of what was found along the edge to a node (at the root: of
            its values), its value by the model, the sum of its weights, the reward and the discount of the edge.
        child: int32 [B, M, A], the node that an action leads to, -1 where it was not tried.
        weight: float32 [B, M, A], exp(logit - largest legal logit), 0 for illegal slots.
        legal: int8 [B, M, A].
        score: float64 [B, A], logit less the largest legal one, plus Gumbel noise, of the root's legal slots.
        logit: float64 [B, A], the root's legal logits less the largest.
        order: int32 [B, m], the considered actions of the root, highest score first.
        considered: int64 [B, 1], how many they are.
        floor: float64 [B, 1], the least range of values at a node that is stretched to [0, 1].
        summary: float64 [B, NUM_SUMMARY], of the node at hand: least and greatest value of an action, the mixed value,
            most and all visits of a child, the weights of the untried slots.
    """

    links: NDArray[np.int32]
    statistics: NDArray[np.float64]
    child: NDArray[np.int32]
    weight: NDArray[np.float32]
    legal: NDArray[np.int8]
    score: NDArray[np.float64]
    logit: NDArray[np.float64]
    order: NDArray[np.int32]
    considered: NDArray[np.int64]
    floor: NDArray[np.float64]
    summary: NDArray[np.float64]


def make_tree(roots: int, nodes: int, slots: int, considered: int) -> Pack:
    """An empty tree.

    Args:
        roots, nodes, slots: B, M and A.
        considered: actions that are tried at a root at most.
    """
    tree = Tree(
        np.zeros((roots, nodes, NUM_LINKS), dtype=np.int32),
        np.zeros((roots, nodes, NUM_STATISTICS)),
        np.full((roots, nodes, slots), NONE, dtype=np.int32),
        np.zeros((roots, nodes, slots), dtype=np.float32),
        np.zeros((roots, nodes, slots), dtype=np.int8),
        np.zeros((roots, slots)),
        np.zeros((roots, slots)),
        np.zeros((roots, considered), dtype=np.int32),
        np.zeros((roots, 1), dtype=np.int64),
        np.zeros((roots, 1)),
        np.zeros((roots, NUM_SUMMARY)),
    )
    return Pack(tree)


@compiled
def shift_logits(logits, legal, shifted):
    """Fill `shifted` float32 [B, A] with logits less the largest legal one, minus infinity for illegal slots.

    Their exponentials are the weights that nodes are made of; NumPy takes them of the whole batch, several at a time.
    """
    for b in range(logits.shape[0]):
        largest = np.float32(-np.inf)
        for a in range(logits.shape[1]):
            if legal[b, a] != 0 and logits[b, a] > largest:
                largest = logits[b, a]
        for a in range(logits.shape[1]):
            shifted[b, a] = logits[b, a] - largest if legal[b, a] != 0 else np.float32(-np.inf)


@compiled
def mix_prior(shifted, legal, share):
    """Give a share of the probability to all legal slots alike: changes shifted logits float32 [B, A] in place."""
    for b in range(shifted.shape[0]):
        total, count = 0.0, 0
        for a in range(shifted.shape[1]):
            if legal[b, a] != 0:
                total += np.exp(np.float64(shifted[b, a]))
                count += 1
        largest = np.float32(np.log((1.0 - share) / max(total, 1.0) + share / max(count, 1)))
        for a in range(shifted.shape[1]):
            if legal[b, a] != 0:
                mixed = (1.0 - share) * np.exp(np.float64(shifted[b, a])) / total + share / count
                shifted[b, a] = np.float32(np.log(mixed)) - largest


@compiled
def fill_node(tree, b, node, value, weights, legal):
    """Make a node of what the model says of its state.

    Args:
        value: float, of the state.
        weights: float32 [A], see `Tree`.
        legal: int8 [A]; all zero for a state without actions.
    """
    tree.links[b, node, FIRST_CHILD] = NONE
    tree.links[b, node, NEXT_SIBLING] = NONE
    tree.statistics[b, node, RAW_VALUE] = value
    child, weight, allowed = tree.child[b, node], tree.weight[b, node], tree.legal[b, node]
    for a in range(len(weights)):
        child[a] = NONE
        allowed[a] = legal[a]
        weight[a] = weights[a]


@compiled
def begin_root(tree, b, value, logits, weights, legal, gumbel, floor, most):
    """Make a root, and choose which of its actions are considered; one row of what `begin_search` takes."""
    fill_node(tree, b, 0, value, weights, legal)
    tree.links[b, 0, VISITS] = 1
    tree.links[b, 0, PARENT] = NONE
    tree.statistics[b, 0, Q] = value
    tree.floor[b, 0] = max(floor, _LEAST_RANGE)
    count = 0
    order, score, logit = tree.order[b], tree.score[b], tree.logit[b]
    for a in range(len(logits)):
        score[a] = -np.inf
        if legal[a] == 0:
            continue
        logit[a] = logits[a]
        score[a] = logit[a] + gumbel[a]
        # Insertion into the best so far; an equal score comes after those of lower slots.
        place = count
        while place > 0 and score[order[place - 1]] < score[a]:
            place -= 1
        if place >= most:
            continue
        count = min(count + 1, most)
        for later in range(count - 1, place, -1):
            order[later] = order[later - 1]
        order[place] = a
    tree.considered[b, 0] = count


@compiled
def begin_search(tree, values, logits, weights, legal, gumbel, floor, most):
    """Make all roots.

    Args:
        values: float32 [B].
        logits: float32 [B, A], shifted (see `shift_logits`).
        weights: float32 [B, A], their exponentials.
        legal: int8 [B, A].
        gumbel: float64 [B, A], the noise.
        floor: float64 [B], see `Tree`.
        most: how many actions are considered at most.
    """
    for b in range(len(values)):
        value = np.float64(values[b])
        begin_root(tree, b, value, logits[b], weights[b], legal[b], gumbel[b], floor[b], most)


@compiled
def summarise(tree, b, node):
    """Write the summary (see `Tree`) of a node; returns the untried legal slot of the largest weight, -1 for none.

    Children whose action is not legal now (the same actions may lead to other states where the world is random) do not
    count.
    """
    links, statistics, summary = tree.links[b], tree.statistics[b], tree.summary[b]
    child, weight, legal = tree.child[b, node], tree.weight[b, node], tree.legal[b, node]
    low, high, most, visits = np.inf, -np.inf, 0, 0
    tried, mean = 0.0, 0.0
    at = links[node, FIRST_CHILD]
    while at >= 0:
        action = links[at, ACTION]
        if legal[action] != 0:
            q = statistics[at, Q]
            low, high = min(low, q), max(high, q)
            most = max(most, links[at, VISITS])
            visits += links[at, VISITS]
            share = max(np.float64(weight[action]), _LEAST_SHARE)
            tried += share
            mean += share * q
        at = links[at, NEXT_SIBLING]
    best, heaviest, untried = NONE, np.float32(-1.0), 0.0
    for a in range(len(child)):
        if child[a] < 0 and legal[a] != 0:
            untried += np.float64(weight[a])
            if weight[a] > heaviest:
                best, heaviest = a, weight[a]
    mixed = statistics[node, RAW_VALUE]
    if visits > 0:
        mixed = (mixed + visits * mean / tried) / (1.0 + visits)
    if best >= 0:
        low, high = min(low, mixed), max(high, mixed)
    summary[LOW], summary[HIGH], summary[MIXED] = low, high, mixed
    summary[MOST_VISITS], summary[ALL_VISITS], summary[UNTRIED_MASS] = most, visits, untried
    return best


@compiled
def stretch(summary):
    """How much an action's value counts in units of the logits, after `summarise`."""
    return (_BASE_VISITS + summary[MOST_VISITS]) * _VALUE_SCALE


@compiled
def rescaled(summary, q, floor):
    """A value's place in the range of the node's values, greatest 0: at most 1 below it where the range has the floor's
    width."""
    return (q - summary[HIGH]) / max(summary[HIGH] - summary[LOW], floor)


@compiled
def choose_below(tree, b, node):
    """The action of a node below the root: the one whose visits lag most behind the improved policy; -1 where there is
    none."""
    best = summarise(tree, b, node)
    links, statistics, summary = tree.links[b], tree.statistics[b], tree.summary[b]
    if summary[ALL_VISITS] == 0.0:
        return best
    floor, factor = tree.floor[b, 0], stretch(summary)
    weight, legal = tree.weight[b, node], tree.legal[b, node]
    total = 0.0
    if best >= 0:
        total = summary[UNTRIED_MASS] * np.exp(factor * rescaled(summary, summary[MIXED], floor))
        lead_weight = np.float64(weight[best]) / max(summary[UNTRIED_MASS], _LEAST_SHARE) * total
    else:
        lead_weight = 0.0
    at = links[node, FIRST_CHILD]
    while at >= 0:
        action = links[at, ACTION]
        if legal[action] != 0:
            total += np.float64(weight[action]) * np.exp(factor * rescaled(summary, statistics[at, Q], floor))
        at = links[at, NEXT_SIBLING]
    total = max(total, _LEAST_SHARE)
    lead = lead_weight / total if best >= 0 else -np.inf
    at = links[node, FIRST_CHILD]
    while at >= 0:
        action = links[at, ACTION]
        if legal[action] != 0:
            share = np.float64(weight[action]) * np.exp(factor * rescaled(summary, statistics[at, Q], floor)) / total
            behind = share - links[at, VISITS] / (1.0 + summary[ALL_VISITS])
            if behind > lead or (behind == lead and action < best):
                best, lead = action, behind
        at = links[at, NEXT_SIBLING]
    return best


@compiled
def best_tried(tree, b, visits):
    """The root's action of the highest score plus value among those that were tried so often; call `summarise`
    before."""
    links, statistics, summary = tree.links[b], tree.statistics[b], tree.summary[b]
    floor, factor = tree.floor[b, 0], stretch(summary)
    score = tree.score[b]
    best, highest = NONE, -np.inf
    at = links[0, FIRST_CHILD]
    while at >= 0:
        if links[at, VISITS] == visits:
            action = links[at, ACTION]
            value = score[action] + factor * rescaled(summary, statistics[at, Q], floor)
            if best < 0 or value > highest or (value == highest and action < best):
                best, highest = action, value
        at = links[at, NEXT_SIBLING]
    return best


@compiled
def choose_at_root(tree, b, table, simulation):
    """The root's action in a simulation; -1 where the root has none.

    Args:
        table: int64 [m + 1, S]: with so many considered actions, how often the action of each simulation was tried
            before.
    """
    count = tree.considered[b, 0]
    if count == 0:
        return NONE
    wanted = table[count, simulation]
    if wanted == 0:  # untried actions have the same value, so that the scores decide
        return np.int64(tree.order[b, simulation])
    summarise(tree, b, 0)
    return np.int64(best_tried(tree, b, wanted))


@compiled(nogil=True)
def select(tree, table, simulation, parents, actions, fresh):
    """Go down each tree to the edge that is tried next.

    Args:
        table, simulation: see `choose_at_root`.
        parents, actions: int64 [B], filled: from which node, by which action; parents are -1 where the root has none.
        fresh: bool [B], filled: whether there is a new node to be made. Where not, `parents` is a state without
            actions.
    """
    for b in range(len(parents)):
        node = 0
        action = np.int64(choose_at_root(tree, b, table, simulation))
        parents[b], actions[b], fresh[b] = NONE if action < 0 else 0, max(action, 0), action >= 0
        while action >= 0:
            parents[b], actions[b] = node, action
            node = np.int64(tree.child[b, node, action])
            if node < 0:
                break
            action = np.int64(choose_below(tree, b, node))
            if action < 0:
                parents[b], actions[b], fresh[b] = node, 0, False


@compiled
def note_edge(tree, b, node, reward, discount, legal, offset):
    """What an edge came to this time, and which slots are legal now at the node that it leads to.

    Args:
        legal: int8, row that holds the mask from `offset` on.
    """
    tree.statistics[b, node, REWARD] = reward
    tree.statistics[b, node, DISCOUNT] = discount
    row = tree.legal[b, node]
    for a in range(len(row)):
        row[a] = legal[offset + a]


@compiled
def attach(tree, b, parent, node, action):
    """Make a node the child of another."""
    links = tree.links[b]
    links[node, VISITS] = 0
    links[node, PARENT] = parent
    links[node, ACTION] = action
    links[node, NEXT_SIBLING] = links[parent, FIRST_CHILD]
    links[parent, FIRST_CHILD] = node
    tree.child[b, parent, action] = node
    tree.statistics[b, node, Q] = 0.0


@compiled
def back_up(tree, b, node, value):
    """Add what was found at a node to all edges above it."""
    links, statistics = tree.links[b], tree.statistics[b]
    while node >= 0:
        if links[node, PARENT] >= 0:
            value = statistics[node, REWARD] + statistics[node, DISCOUNT] * value
        links[node, VISITS] += 1
        statistics[node, Q] += (value - statistics[node, Q]) / links[node, VISITS]
        node = links[node, PARENT]


@compiled
def expand_one(tree, b, node, parent, action, fresh, reward, discount, value, weights, legal):
    """Make a node of one tree's new edge, and back its value up; one row of what `expand` takes."""
    if fresh:
        fill_node(tree, b, node, value, weights, legal)
        attach(tree, b, parent, node, action)
        tree.statistics[b, node, REWARD] = reward
        tree.statistics[b, node, DISCOUNT] = discount
        back_up(tree, b, node, value)
    elif parent >= 0:
        back_up(tree, b, parent, value)


@compiled(nogil=True)
def expand(tree, node, parents, actions, fresh, rewards, discounts, values, weights, legal):
    """Make a node of each tree's new edge, and back its value up.

    Args:
        node: of every tree that has a new edge.
        parents, actions, fresh: as `select` filled them. Where there is no new edge, the parent's value is backed up.
        rewards, discounts, values: float32 [B].
        weights: float32 [B, A], see `Tree`.
        legal: int8 [B, A].
    """
    for b in range(len(parents)):
        reward, discount, value = np.float64(rewards[b]), np.float64(discounts[b]), np.float64(values[b])
        edge = np.int64(parents[b]), actions[b], fresh[b]
        expand_one(tree, b, node, edge[0], edge[1], edge[2], reward, discount, value, weights[b], legal[b])


@compiled
def conclude(tree, actions, policy, values):
    """What the searches come to.

    Args:
        actions: int64 [B], filled: the action to play, 0 where there is none.
        policy: float32 [B, A], filled: the improved policy, softmax of logits plus values, zeros where there is none.
        values: float64 [B], filled: the improved policy's, of the actions' values. (The mean of what was found would
            be that of the actions as halving tries them: half of the visits go to the second best.)
    """
    for b in range(len(actions)):
        actions[b] = 0
        values[b] = tree.statistics[b, 0, Q]
        summarise(tree, b, 0)
        summary, statistics, floor = tree.summary[b], tree.statistics[b], tree.floor[b, 0]
        if tree.considered[b, 0] == 0:
            for a in range(policy.shape[1]):
                policy[b, a] = np.float32(0.0)
            continue
        best = best_tried(tree, b, np.int64(summary[MOST_VISITS]))
        actions[b] = tree.order[b, 0] if best < 0 else best
        factor = stretch(summary)
        total, value = 0.0, 0.0
        for a in range(policy.shape[1]):
            share = 0.0
            if tree.legal[b, 0, a] != 0:
                at = tree.child[b, 0, a]
                q = summary[MIXED] if at < 0 else statistics[at, Q]
                share = np.exp(tree.logit[b, a] + factor * rescaled(summary, q, floor))
                value += share * q
            policy[b, a] = np.float32(share)
            total += share
        values[b] = value / total
        for a in range(policy.shape[1]):
            policy[b, a] = np.float32(np.float64(policy[b, a]) / total)
