"""Moving a job in a complete selection, in compiled code: the neighbours of Gröflin and Klinkert.

A pair on the longest path is turned round and one of its two jobs, J, is inserted anew: what the turned arc forces
is turned, too, everything else stays. With the order of the other jobs fixed, every cycle that J closes holds one that
enters J once and leaves it once (Gröflin & Klinkert, "A new neighborhood and tabu search for the blocking job shop",
Discrete Applied Mathematics 157(17), 2009). What one arc into J forces are therefore further arcs into J, and likewise
out of it; putting J behind, or in front of, everybody else is always possible, so that every such move leads to a
schedule, in the shop without swaps and in the classical shop, too.

A label says where on J's route a path from a node enters (or to a node leaves): twice the position, and one more or
less where the path has length zero, as it may where jobs swap. A node z with an entry at or before the place where J
would leave to z would close a cycle, and z has to go first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.random import mix
from .paths import following, measure, preceding

_U11 = np.uint64(11)
_UNIT = 2.0**-53


class Moves(NamedTuple):
    """Room for making moves.

    Attributes:
        label: int32 [N].
        queue: int32 [N], a ring of nodes whose label has to be passed on.
        queued: bool [N].
        partner: int32 [N], of J's nodes the furthest one that they have to pass, -1 for none.
        arcs: int32 [N], nodes on the longest path that wait for the one before them on their machine.
    """

    label: NDArray[np.int32]
    queue: NDArray[np.int32]
    queued: NDArray[np.bool_]
    partner: NDArray[np.int32]
    arcs: NDArray[np.int32]

    @classmethod
    def empty(cls, nodes: int) -> Moves:
        """Room for a graph of `nodes` nodes."""

        def room() -> NDArray[np.int32]:
            return np.zeros(nodes, dtype=np.int32)

        return cls(room(), room(), np.zeros(nodes, dtype=np.bool_), room(), room())


@compiled
def draw(random):
    """The next number in [0, 1) of a stream, uint64 [1]."""
    random[0] = mix(random[0])
    return (random[0] >> _U11) * _UNIT


@compiled
def find_arcs(shop, orders, paths, makespan, moves, random):
    """Fill `moves.arcs` with the pairs of different jobs on a longest path, ties at random; returns how many."""
    head = paths.head
    count, v = 0, -1
    ends = 0
    for u in range(len(head)):
        if shop.last[u] and head[u] + shop.time[u] == makespan:
            ends += 1
            if ends == 1 or draw(random) * ends < 1.0:
                v = u
    while head[v] > 0:
        by_job = shop.position[v] > 0 and head[v - 1] + shop.time[v - 1] == head[v]
        before = preceding(shop, orders, v)
        by_machine = False
        if before >= 0:
            left = shop.exit[before]
            by_machine = head[left] + (shop.time[before] if left == before else 0) == head[v]
        # In a swap the way round the cycle leads nowhere.
        if by_job and (not by_machine or paths.cycle[v] >= 0 or draw(random) < 0.5):
            v -= 1
            continue
        if shop.job[before] != shop.job[v]:
            moves.arcs[count] = v
            count += 1
        v = shop.exit[before]
    return count


@compiled
def others_before(shop, orders, node, job):
    """The node before a node on its machine that is not of the given job, -1 for none."""
    u = preceding(shop, orders, node)
    while u >= 0 and shop.job[u] == job:
        u = preceding(shop, orders, u)
    return u


@compiled
def others_behind(shop, orders, node, job):
    """The node behind a node on its machine that is not of the given job, -1 for none."""
    u = following(shop, orders, node)
    while u >= 0 and shop.job[u] == job:
        u = following(shop, orders, u)
    return u


@compiled
def put(moves, node, tail):
    """Queue a node; returns the end of the queue."""
    if moves.queued[node]:
        return tail
    moves.queued[node] = True
    moves.queue[tail] = node
    return tail + 1 if tail + 1 < len(moves.queue) else 0


@compiled
def lower(shop, head, moves, job, node, label, tail):
    """A node has a path into J with this label."""
    # What J has to let go first now comes behind the node before the entry, or a later one of J.
    k = shop.first[job] + max(label // 2 - 1, 0)
    if label >= moves.label[node] or head[node] < head[k] + shop.time[k]:
        return tail
    moves.label[node] = label
    return put(moves, node, tail)


@compiled
def raise_(shop, head, moves, job, node, label, tail):
    """A node has a path out of J with this label."""
    # What J has to pass now comes before the node at which J leaves, or an earlier one of J.
    if label <= moves.label[node] or head[node] > head[shop.first[job] + label // 2]:
        return tail
    moves.label[node] = label
    return put(moves, node, tail)


@compiled
def go_first(shop, orders, head, moves, other, node, tail):
    """`other` has to come before `node` of J on their machine."""
    partner = moves.partner[node]
    if orders.place[other] > orders.place[node] and (partner < 0 or orders.place[partner] < orders.place[other]):
        moves.partner[node] = other
    left = shop.exit[other]
    zero = left != other and shop.swap
    return lower(shop, head, moves, shop.job[node], left, 2 * shop.position[node] + zero, tail)


@compiled
def go_behind(shop, orders, head, moves, other, node, tail):
    """`other` has to come after `node` of J on their machine."""
    partner = moves.partner[node]
    if orders.place[other] < orders.place[node] and (partner < 0 or orders.place[partner] > orders.place[other]):
        moves.partner[node] = other
    left = shop.exit[node]
    zero = left != node and shop.swap
    return raise_(shop, head, moves, shop.job[node], other, 2 * shop.position[left] + 1 - zero, tail)


@compiled
def begin(shop, moves, job, label):
    """Give all nodes the label they have before the search, and the job's nodes no partner."""
    for v in range(len(moves.label)):
        moves.label[v], moves.queued[v] = label, False
    for v in range(shop.first[job], shop.first[job + 1]):
        moves.partner[v] = -1


@compiled
def turn_late(shop, orders, head, moves, node, other):
    """Turn all pairs of the node's job that have to be turned for `other` to come before `node`."""
    job = shop.job[node]
    begin(shop, moves, job, np.int32(2**30))
    nodes = len(moves.label)
    front, tail = 0, go_first(shop, orders, head, moves, other, node, 0)
    while front != tail or moves.queued[moves.queue[front]]:
        v = moves.queue[front]
        moves.queued[v] = False
        front = front + 1 if front + 1 < nodes else 0
        label = moves.label[v]
        k = shop.first_on[job, shop.machine[v]]
        while k >= 0:
            # Left at the next node's start, J must not be entered before it, nor there on a path of some length.
            if label <= 2 * shop.position[k] + (2 if shop.exit[k] != k else 1):
                tail = go_first(shop, orders, head, moves, v, k, tail)
            k = shop.next_on[k]
        if shop.position[v] > 0:
            tail = lower(shop, head, moves, job, v - 1, label & ~1, tail)
        u = others_before(shop, orders, v, job)
        if u >= 0:
            left = shop.exit[u]
            tail = lower(shop, head, moves, job, left, label if left != u else label & ~1, tail)


@compiled
def turn_early(shop, orders, head, moves, node, other):
    """Turn all pairs of the node's job that have to be turned for `other` to come after `node`."""
    job = shop.job[node]
    begin(shop, moves, job, np.int32(-1))
    nodes = len(moves.label)
    front, tail = 0, go_behind(shop, orders, head, moves, other, node, 0)
    while front != tail or moves.queued[moves.queue[front]]:
        v = moves.queue[front]
        moves.queued[v] = False
        front = front + 1 if front + 1 < nodes else 0
        label = moves.label[v]
        if shop.exit[v] == v:
            tail = enter_later(shop, orders, head, moves, job, v, label | 1, tail)
            u = others_behind(shop, orders, v, job)
            if u >= 0:
                tail = raise_(shop, head, moves, job, u, label | 1, tail)
        if shop.position[v] > 0 and shop.exit[v - 1] == v:
            zero = label if shop.swap else label | 1
            tail = enter_later(shop, orders, head, moves, job, np.int32(v - 1), zero, tail)
            u = others_behind(shop, orders, v - 1, job)
            if u >= 0:
                tail = raise_(shop, head, moves, job, u, label, tail)
        if not shop.last[v]:
            tail = raise_(shop, head, moves, job, v + 1, label | 1, tail)


@compiled
def enter_later(shop, orders, head, moves, job, other, label, tail):
    """`other`, which a path out of J with this label makes wait, must not come before J's nodes that J leaves by it."""
    k = shop.first_on[job, shop.machine[other]]
    while k >= 0:
        if 2 * shop.position[k] + 1 <= label:
            tail = go_behind(shop, orders, head, moves, other, k, tail)
        k = shop.next_on[k]
    return tail


@compiled
def move_late(shop, orders, moves, job):
    """Put each node of a job right behind its partner."""
    sequence, place = orders.sequence, orders.place
    for v in range(shop.first[job + 1] - 1, shop.first[job] - 1, -1):
        if moves.partner[v] < 0:
            continue
        row = sequence[shop.machine[v]]
        target = place[moves.partner[v]]
        for i in range(place[v], target):
            row[i] = row[i + 1]
            place[row[i]] = i
        row[target], place[v] = v, target


@compiled
def move_early(shop, orders, moves, job):
    """Put each node of a job right in front of its partner."""
    sequence, place = orders.sequence, orders.place
    for v in range(shop.first[job], shop.first[job + 1]):
        if moves.partner[v] < 0:
            continue
        row = sequence[shop.machine[v]]
        target = place[moves.partner[v]]
        for i in range(place[v], target, -1):
            row[i] = row[i - 1]
            place[row[i]] = i
        row[target], place[v] = v, target


@compiled
def assign(target, source):
    """Copy orders."""
    for i in range(source.sequence.shape[0]):
        for j in range(source.sequence.shape[1]):
            target.sequence[i, j] = source.sequence[i, j]
    for v in range(len(source.place)):
        target.place[v] = source.place[v]


@compiled(nogil=True)
def anneal(shop, current, trial, best, paths, trial_paths, moves, random, values, iterations, temperature):
    """Move jobs; a move to a makespan that is longer by d is kept with probability exp(-d / temperature).

    Metropolis, Rosenbluth, Rosenbluth, Teller & Teller, "Equation of state calculations by fast computing machines",
    Journal of Chemical Physics 21(6), 1953.

    Args:
        current, trial, best: orders; the first to be gone on from, the last the best ones so far.
        paths, trial_paths: those of `current` and room for those of others.
        random: uint64 [1], the random stream.
        values: int64 [2], makespans of `current` and `best`.
    """
    for _ in range(iterations):
        count = find_arcs(shop, current, paths, values[0], moves, random)
        if count == 0:
            return
        v = moves.arcs[np.int64(draw(random) * count)]
        u = preceding(shop, current, v)
        assign(trial, current)
        if draw(random) < 0.5:
            turn_late(shop, current, paths.head, moves, u, v)
            move_late(shop, trial, moves, shop.job[u])
        else:
            turn_early(shop, current, paths.head, moves, v, u)
            move_early(shop, trial, moves, shop.job[v])
        limit = values[0] + np.int64(-temperature * np.log(1.0 - draw(random)))
        makespan = measure(shop, trial, trial_paths, limit)
        if makespan > limit:
            continue
        assign(current, trial)
        for i in range(len(paths.head)):
            paths.head[i], paths.cycle[i] = trial_paths.head[i], trial_paths.cycle[i]
        values[0] = makespan
        if makespan < values[1]:
            values[1] = makespan
            assign(best, current)
