"""Partial selections of an alternative graph and their completion by AMCC, in compiled code.

Mascis & Pacciarelli, "Job-shop scheduling with blocking and no-wait constraints", European Journal of Operational
Research 143(3), 2002: "avoid maximum current Cmax" forbids the arc that would give the longest path of all, and selects
its mate. Before each such choice every arc that would close a cycle is forbidden ("immediate selection"). Where both
arcs of a pair are forbidden the selection has come to a dead end.

Lengths are times multiplied by more than the number of nodes, plus one for each arc that a cycle must not hold: cycles
of positive length are forbidden, in shops without swaps and with operations of length zero, too.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import UserError
from .graph import AlternativeGraph
from .insertion import draw

MOST_NODES = 4000  # a table of all paths then takes 128 MB
_NONE = -(2**62)  # the length of a path where there is none
OPEN, FIRST, SECOND = 0, 1, 2
"""What is decided of a pair (x, y): nothing, x goes first, y goes first."""


class Selection(NamedTuple):
    """A partial selection, and room for working on it.

    Attributes:
        base: int64 [N + 2, N + 2], lengths of the longest paths of jobs alone; node N is the start, N + 1 the end.
        longest: int64 [N + 2, N + 2], of the longest paths, pairs included.
        pairs: int32 [P, 2], nodes of different jobs on one machine.
        decided: int8 [P], see `OPEN`.
        open: int32 [P], numbers of the pairs that are to be decided.
        sources, targets: int32 [N + 2].
        unit: what a time is multiplied by.
    """

    base: NDArray[np.int64]
    longest: NDArray[np.int64]
    pairs: NDArray[np.int32]
    decided: NDArray[np.int8]
    open: NDArray[np.int32]
    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    unit: int

    @classmethod
    def empty(cls, graph: AlternativeGraph) -> Selection:
        """Nothing selected.

        Raises:
            UserError: the instance is too large for a table of all paths.
        """
        shop, nodes = graph.shop, graph.num_nodes
        unit = nodes + 2
        if nodes > MOST_NODES:
            raise UserError(
                f"instance {graph.instance.name!r} has {nodes} operations, too many for a table of all paths: expected "
                f"at most {MOST_NODES}"
            )
        pairs = [(x, y) for members in graph.members for x, y in combinations(members, 2) if shop.job[x] != shop.job[y]]
        base = np.full((nodes + 2, nodes + 2), _NONE, dtype=np.int64)
        np.fill_diagonal(base, 0)
        lengths = shop.time * unit + 1
        for first, behind in zip(shop.first[:-1].tolist(), shop.first[1:].tolist(), strict=True):
            starts = np.concatenate([[0], np.cumsum(lengths[first:behind])])
            inside = slice(first, behind)
            base[inside, inside] = np.where(
                np.tri(behind - first, dtype=np.bool_).T, starts[None, :-1] - starts[:-1, None], _NONE
            )
            base[nodes, inside] = starts[:-1]
            base[inside, nodes + 1] = starts[-1] - starts[:-1]
            base[nodes, nodes + 1] = max(base[nodes, nodes + 1], starts[-1])
        return cls(
            base,
            base.copy(),
            np.array(pairs, dtype=np.int32).reshape(-1, 2),
            np.zeros(len(pairs), dtype=np.int8),
            np.zeros(len(pairs), dtype=np.int32),
            np.zeros(nodes + 2, dtype=np.int32),
            np.zeros(nodes + 2, dtype=np.int32),
            unit,
        )


@compiled
def clear(selection):
    """Select nothing."""
    longest, base = selection.longest, selection.base
    for u in range(len(base)):
        for v in range(len(base)):
            longest[u, v] = base[u, v]
    for pair in range(len(selection.decided)):
        selection.decided[pair] = OPEN


@compiled
def arc_length(shop, selection, node):
    """Length of the arc from a node's exit to whatever comes after it on its machine."""
    if shop.exit[node] == node:
        return shop.time[node] * selection.unit + 1
    return np.int64(0 if shop.swap else 1)


@compiled
def connect(shop, selection, x, y):
    """Let x go before y: bring the longest paths up to date."""
    longest, sources, targets = selection.longest, selection.sources, selection.targets
    u, length = shop.exit[x], arc_length(shop, selection, x)
    if longest[u, y] >= length:
        return
    nodes = len(longest)
    num_sources = num_targets = 0
    for a in range(nodes):
        if longest[a, u] > _NONE and longest[a, u] + length > longest[a, y]:
            sources[num_sources] = a
            num_sources += 1
        if longest[y, a] > _NONE and longest[y, a] + length > longest[u, a]:
            targets[num_targets] = a
            num_targets += 1
    for i in range(num_sources):
        a = sources[i]
        reach = longest[a, u] + length
        for j in range(num_targets):
            b = targets[j]
            # The arc itself may lie on no other path to its end.
            longest[a, b] = max(longest[a, b], reach + longest[y, b])


@compiled
def decide(shop, selection, pair, what):
    """Select an arc of a pair."""
    x, y = selection.pairs[pair, 0], selection.pairs[pair, 1]
    selection.decided[pair] = what
    if what == FIRST:
        connect(shop, selection, x, y)
    else:
        connect(shop, selection, y, x)


@compiled
def is_forbidden(shop, selection, x, y):
    """Whether x before y would close a cycle."""
    back = selection.longest[y, shop.exit[x]]
    return back > _NONE and back + arc_length(shop, selection, x) > 0


@compiled
def select_forced(shop, selection, count):
    """Decide open pairs of which one arc is forbidden, until none is left; how many stay open, -1 at a dead end."""
    changed = True
    while changed:
        changed, kept = False, 0
        for i in range(count):
            pair = selection.open[i]
            x, y = selection.pairs[pair, 0], selection.pairs[pair, 1]
            first, second = is_forbidden(shop, selection, x, y), is_forbidden(shop, selection, y, x)
            if first and second:
                return -1
            if first or second:
                decide(shop, selection, pair, SECOND if first else FIRST)
                changed = True
            else:
                selection.open[kept] = pair
                kept += 1
        count = kept
    return count


@compiled
def path_through(shop, selection, x, y):
    """Length of the longest path through the arc that lets x go before y."""
    longest = selection.longest
    source, sink = len(longest) - 2, len(longest) - 1
    return longest[source, shop.exit[x]] + arc_length(shop, selection, x) + longest[y, sink]


@compiled
def complete(shop, selection, count, noise, random):
    """Decide the first `count` pairs of `open` by AMCC; whether it came to no dead end.

    Args:
        noise: paths compared are made longer by a random share up to this.
        random: uint64 [1], the random stream.
    """
    while True:
        count = select_forced(shop, selection, count)
        if count <= 0:
            return count == 0
        longest, chosen, what = -1.0, np.int32(0), FIRST
        for i in range(count):
            pair = selection.open[i]
            x, y = selection.pairs[pair, 0], selection.pairs[pair, 1]
            for mate in range(2):
                path = float(path_through(shop, selection, y, x) if mate else path_through(shop, selection, x, y))
                if noise > 0.0:
                    path *= 1.0 + noise * draw(random)
                if path > longest:
                    longest, chosen, what = path, pair, FIRST if mate else SECOND
        decide(shop, selection, chosen, what)


@compiled(nogil=True)
def try_all(shop, selection, noise, random):
    """AMCC from nothing; whether it came to no dead end."""
    clear(selection)
    for pair in range(len(selection.pairs)):
        selection.open[pair] = pair
    return complete(shop, selection, len(selection.pairs), noise, random)


@compiled(nogil=True)
def insert_jobs(shop, selection, rank, noise, random):
    """Insert job after job by AMCC, which comes to no dead end: see `insertion`.

    Args:
        rank: int64 [n], the place of each job in the order in which they are inserted.
    """
    clear(selection)
    for turn in range(len(rank)):
        count = 0
        for pair in range(len(selection.pairs)):
            first = rank[shop.job[selection.pairs[pair, 0]]]
            second = rank[shop.job[selection.pairs[pair, 1]]]
            if max(first, second) == turn:
                selection.open[count] = pair
                count += 1
        complete(shop, selection, count, noise, random)


@compiled
def read_orders(shop, selection, orders):
    """Fill the orders of a complete selection."""
    place = orders.place
    for v in range(len(place)):
        place[v] = 0
    for v in range(len(place)):
        u = shop.next_on[v]
        while u >= 0:
            place[u] += 1
            u = shop.next_on[u]
    for pair in range(len(selection.pairs)):
        place[selection.pairs[pair, 1 if selection.decided[pair] == FIRST else 0]] += 1
    for v in range(len(place)):
        orders.sequence[shop.machine[v], place[v]] = v
