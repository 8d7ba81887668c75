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
from .graph import AlternativeGraph, Orders
from .insertion import draw

MOST_NODES = 4000  # a table of all paths then takes 128 MB
NONE, _SOME = -(2**61), -(2**60)  # the length of a path where there is none, in the beginning, and of any that is
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
        base = np.full((nodes + 2, nodes + 2), NONE, dtype=np.int64)
        np.fill_diagonal(base, 0)
        lengths = shop.time * unit + 1
        for first, behind in zip(shop.first[:-1].tolist(), shop.first[1:].tolist(), strict=True):
            starts = np.concatenate([[0], np.cumsum(lengths[first:behind])])
            inside = slice(first, behind)
            base[inside, inside] = np.where(
                np.tri(behind - first, dtype=np.bool_).T, starts[None, :-1] - starts[:-1, None], NONE
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
        if longest[a, u] > _SOME and longest[a, u] + length > longest[a, y]:
            sources[num_sources] = a
            num_sources += 1
        if longest[y, a] > _SOME and longest[y, a] + length > longest[u, a]:
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
    return back > _SOME and back + arc_length(shop, selection, x) > 0


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
def noisy(path, noise, random):
    """A length made longer by a random share up to `noise`."""
    return path * (1.0 + noise * draw(random)) if noise > 0.0 else float(path)


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
                path = path_through(shop, selection, y, x) if mate else path_through(shop, selection, x, y)
                path = noisy(path, noise, random)
                if path > longest:
                    longest, chosen, what = path, pair, FIRST if mate else SECOND
        decide(shop, selection, chosen, what)


@compiled(nogil=True)
def try_all(shop, selection, count, noise, random):
    """AMCC from nothing on the first `count` pairs; whether it came to no dead end."""
    clear(selection)
    for pair in range(count):
        selection.open[pair] = pair
    return complete(shop, selection, count, noise, random)


class Gaps(NamedTuple):
    """Orders that lack some jobs, and where one of these may be inserted.

    Attributes:
        orders: of the nodes that are there; their sequences have no holes.
        size: int32 [m], how many these are.
        low, high: int32 [N], the first and last place at which a node of the job may be inserted.
    """

    orders: Orders
    size: NDArray[np.int32]
    low: NDArray[np.int32]
    high: NDArray[np.int32]

    @classmethod
    def empty(cls, graph: AlternativeGraph) -> Gaps:
        """Room for the orders of a graph."""
        nodes, machines = graph.num_nodes, graph.instance.num_machines
        zeros = [np.zeros(count, dtype=np.int32) for count in (machines, nodes, nodes)]
        return cls(graph.orders(np.zeros(nodes, dtype=np.int64)), *zeros)


@compiled
def settle(shop, selection, gaps, job):
    """Narrow the gaps of a job's nodes until both of their ends are free to choose.

    What must not come behind a node keeps those in front of it from doing so, too, and likewise the other way round.
    """
    changed = True
    while changed:
        changed = False
        for k in range(shop.first[job], shop.first[job + 1]):
            row = gaps.orders.sequence[shop.machine[k]]
            low, high = gaps.low[k], gaps.high[k]
            while low < high and is_forbidden(shop, selection, k, row[low]):
                low += 1
            if low > gaps.low[k]:
                gaps.low[k], changed = low, True
                connect(shop, selection, row[low - 1], k)
            while low < high and is_forbidden(shop, selection, row[high - 1], k):
                high -= 1
            if high < gaps.high[k]:
                gaps.high[k], changed = high, True
                connect(shop, selection, k, row[high])


@compiled
def insert_job(shop, selection, gaps, job, noise, random):
    """Insert a job by AMCC among those that are there, which comes to no dead end: see `insertion`.

    Of all open arcs those at the ends of the gaps give the longest paths.
    """
    for k in range(shop.first[job], shop.first[job + 1]):
        gaps.low[k], gaps.high[k] = 0, gaps.size[shop.machine[k]]
    while True:
        settle(shop, selection, gaps, job)
        longest, chosen, late = -1.0, -1, False
        for k in range(shop.first[job], shop.first[job + 1]):
            if gaps.low[k] == gaps.high[k]:
                continue
            row = gaps.orders.sequence[shop.machine[k]]
            path = noisy(path_through(shop, selection, k, row[gaps.low[k]]), noise, random)
            if path > longest:
                longest, chosen, late = path, k, True
            path = noisy(path_through(shop, selection, row[gaps.high[k] - 1], k), noise, random)
            if path > longest:
                longest, chosen, late = path, k, False
        if chosen < 0:
            break
        row = gaps.orders.sequence[shop.machine[chosen]]
        if late:
            gaps.low[chosen] += 1
            connect(shop, selection, row[gaps.low[chosen] - 1], chosen)
        else:
            gaps.high[chosen] -= 1
            connect(shop, selection, chosen, row[gaps.high[chosen]])
    for k in range(shop.first[job + 1] - 1, shop.first[job] - 1, -1):
        put_in(shop, gaps, k)


@compiled
def put_in(shop, gaps, node):
    """Put a node into its gap, of which one place is left."""
    machine = shop.machine[node]
    row, place = gaps.orders.sequence[machine], gaps.orders.place
    for i in range(gaps.size[machine], gaps.low[node], -1):
        row[i] = row[i - 1]
        place[row[i]] = i
    row[gaps.low[node]], place[node] = node, gaps.low[node]
    gaps.size[machine] += 1


@compiled(nogil=True)
def insert_jobs(shop, selection, gaps, jobs, noise, random):
    """Insert all jobs, in the order given."""
    clear(selection)
    for machine in range(len(gaps.size)):
        gaps.size[machine] = 0
    for job in jobs:
        insert_job(shop, selection, gaps, job, noise, random)


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
