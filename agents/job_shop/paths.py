"""Longest paths in an alternative graph whose pairs are all decided, in compiled code.

Only neighbours in a machine's order need an arc, the others follow, so that each node has two arcs in at most and two
out. Cycles hold arcs of length zero only and are swaps: a node has one such arc in and one out, so that they are apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled

NO_LIMIT = 2**62


class Paths(NamedTuple):
    """Heads, and room for finding them.

    Attributes:
        head: int64 [N], the earliest start of each node.
        order: int32 [N], nodes so that each comes after those that it waits for.
        waiting: int32 [N], arcs into a node, or into its swap, that have not been followed.
        cycle: int32 [N], a node that stands for the swap in which a node is entered, -1 for none.
        mark: int32 [N].
    """

    head: NDArray[np.int64]
    order: NDArray[np.int32]
    waiting: NDArray[np.int32]
    cycle: NDArray[np.int32]
    mark: NDArray[np.int32]

    @classmethod
    def empty(cls, nodes: int) -> Paths:
        """Room for a graph of `nodes` nodes."""
        return cls(np.zeros(nodes, dtype=np.int64), *(np.zeros(nodes, dtype=np.int32) for _ in range(4)))


@compiled
def following(shop, orders, node):
    """The next node of a node's machine, -1 for none."""
    machine, place = shop.machine[node], orders.place[node] + 1
    if place == orders.sequence.shape[1]:
        return np.int32(-1)
    return orders.sequence[machine, place]


@compiled
def preceding(shop, orders, node):
    """The node before a node on its machine, -1 for none."""
    place = orders.place[node] - 1
    if place < 0:
        return np.int32(-1)
    return orders.sequence[shop.machine[node], place]


@compiled
def freed(shop, orders, node):
    """The node that takes over the machine which the job leaves at the start of this node, -1 for none."""
    if shop.position[node] == 0 or shop.exit[node - 1] != node:
        return np.int32(-1)
    return following(shop, orders, node - 1)


@compiled
def find_swaps(shop, orders, paths):
    """Fill `paths.cycle`."""
    cycle, mark = paths.cycle, paths.mark
    nodes = len(cycle)
    for v in range(nodes):
        cycle[v], mark[v] = -1, -1
    if not shop.swap:
        return
    for v in range(nodes):
        u = np.int32(v)
        while u >= 0 and mark[u] < 0:
            mark[u] = v
            u = freed(shop, orders, u)
        if u >= 0 and mark[u] == v:
            w = u
            while cycle[w] < 0:
                cycle[w] = u
                w = freed(shop, orders, w)


@compiled
def relax(shop, orders, paths, node, time, count):
    """Follow an arc into a node; returns how many nodes are in order."""
    head, order, waiting = paths.head, paths.order, paths.waiting
    swap = paths.cycle[node]
    entry = node if swap < 0 else swap
    head[entry] = max(head[entry], time)
    waiting[entry] -= 1
    if waiting[entry] > 0:
        return count
    order[count] = entry
    count += 1
    if swap >= 0:
        other = freed(shop, orders, entry)
        while other != entry:
            head[other] = head[entry]
            order[count] = other
            count += 1
            other = freed(shop, orders, other)
    return count


@compiled
def measure(shop, orders, paths, limit):
    """Fill the heads and the order of the nodes.

    Returns:
        The makespan; -1 where some pairs contradict each other; limit + 1 as soon as the makespan is seen to be above
        it, with the rest left undone.
    """
    head, order, waiting, cycle = paths.head, paths.order, paths.waiting, paths.cycle
    find_swaps(shop, orders, paths)
    nodes = len(head)
    for v in range(nodes):
        head[v], waiting[v] = 0, 0
    count = 0
    for v in range(nodes):
        if cycle[v] >= 0:  # entered from another machine, which the one behind it takes over
            waiting[cycle[v]] += 1
            continue
        waiting[v] = int(shop.position[v] > 0) + int(orders.place[v] > 0)
        if waiting[v] == 0:
            order[count] = v
            count += 1
    done, makespan = 0, np.int64(0)
    while done < count:
        v = order[done]
        done += 1
        if head[v] + shop.rest[v] > limit:
            return limit + 1
        end = head[v] + shop.time[v]
        if shop.last[v]:
            makespan = max(makespan, end)
        else:
            count = relax(shop, orders, paths, v + 1, end, count)
        if cycle[v] < 0:
            u = freed(shop, orders, v)
            if u >= 0:
                count = relax(shop, orders, paths, u, head[v], count)
        if shop.exit[v] == v:
            u = following(shop, orders, v)
            if u >= 0:
                count = relax(shop, orders, paths, u, end, count)
    return makespan if count == nodes else -1


@compiled
def measure_tails(shop, orders, paths, tails):
    """Fill `tails`, int64 [N]: the longest path from the end of each node to the end. For the classical shop.

    Args:
        paths: as `measure` has filled them.
    """
    for i in range(len(tails) - 1, -1, -1):
        v = paths.order[i]
        tail = np.int64(0)
        if not shop.last[v]:
            tail = shop.time[v + 1] + tails[v + 1]
        u = following(shop, orders, v)
        if u >= 0:
            tail = max(tail, shop.time[u] + tails[u])
        tails[v] = tail
