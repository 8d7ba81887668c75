"""Which stops fit a walk, in compiled code: exact to 12 stops by dynamic programming, above by a tour that is improved.

A walk through many stops may be missed; what is found is always a walk, so that no infeasible action passes.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .state import DEPOT, ELEMENTS, INSTANCE, LENGTH

FAR = 30_000
_MOST_ROUNDS = 50


@compiled(when_plain=None)
def clear_tour(problem, state, i):
    """No stops yet: state.stop holds their number, then the stops in the order of the tour, then in that of picking."""
    state.stop[i, 0] = 0
    state.edges[i, 0] = 0


@compiled
def _picked_at(state, i, k):
    """The k-th stop in the order of picking."""
    return state.stop[i, (state.stop.shape[1] - 1) // 2 + 1 + k]


@compiled
def is_exact(state, i, count):
    """Whether shortest paths through so many stops are tabulated."""
    return count <= state.best.shape[2]


@compiled
def insertion(problem, state, i, j):
    """(edges of the tour with stop j inserted where it adds fewest, that place)."""
    r = state.clock[i, INSTANCE]
    hops, depot = problem.hops[r], problem.dims[r, DEPOT]
    stop = state.stop[i]
    least, place, total = np.int64(2**40), 1, np.int64(0)
    before = np.int64(depot)
    for k in range(1, stop[0] + 2):
        after = np.int64(stop[k]) if k <= stop[0] else np.int64(depot)
        direct = np.int64(hops[before, after])
        total += direct
        more = np.int64(hops[before, j]) + np.int64(hops[j, after]) - direct
        if more < least:
            least, place = more, k
        before = after
    return total + least, place


@compiled(when_plain=None)
def add_stop(problem, state, i, j):
    """Make j a stop of the tour."""
    r = state.clock[i, INSTANCE]
    if j == problem.dims[r, DEPOT]:
        return
    stop = state.stop[i]
    _, place = insertion(problem, state, i, j)
    count = np.int64(stop[0])
    for k in range(count + 1, place, -1):
        stop[k] = stop[k - 1]
    stop[place] = j
    stop[0] = count + 1
    stop[(len(stop) - 1) // 2 + 1 + count] = j
    if is_exact(state, i, count + 1):
        _tabulate(problem, state, i, count)
        _read_order(problem, state, i, count + 1)
    else:
        _improve(problem.hops[r], problem.dims[r, DEPOT], stop)
    state.edges[i, 0] = _tour_edges(problem.hops[r], problem.dims[r, DEPOT], stop)


@compiled
def _tabulate(problem, state, i, new):
    """Shortest paths from the depot through every set of stops that holds the new one, by their last stop.

    Held and Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10, 1962.
    """
    r = state.clock[i, INSTANCE]
    hops, depot, best = problem.hops[r], problem.dims[r, DEPOT], state.best[i]
    bit = np.int64(1) << new
    fresh = _picked_at(state, i, new)
    for rest in range(bit):
        subset = rest | bit
        for last in range(new + 1):
            if (subset >> last) & 1 == 0:
                continue
            here = _picked_at(state, i, last) if last < new else fresh
            before = subset ^ (np.int64(1) << last)
            if before == 0:
                best[subset, last] = hops[depot, here]
                continue
            least = np.int64(FAR)
            for u in range(new + 1):
                if (before >> u) & 1 == 1:
                    least = min(least, np.int64(best[before, u]) + np.int64(hops[_picked_at(state, i, u), here]))
            best[subset, last] = min(least, FAR)


@compiled
def _read_order(problem, state, i, count):
    """Write the order of a shortest tour."""
    r = state.clock[i, INSTANCE]
    hops, depot, best, stop = problem.hops[r], problem.dims[r, DEPOT], state.best[i], state.stop[i]
    subset = (np.int64(1) << count) - 1
    after = np.int64(depot)
    for place in range(count, 0, -1):
        least, last = np.int64(2**40), 0
        for u in range(count):
            if (subset >> u) & 1 == 1:
                length = np.int64(best[subset, u]) + np.int64(hops[_picked_at(state, i, u), after])
                if length < least:
                    least, last = length, u
        after = np.int64(_picked_at(state, i, last))
        stop[place] = after
        subset ^= np.int64(1) << last


@compiled
def _path_to(problem, state, i, subset, j):
    """The shortest path from the depot through a set of stops to j."""
    r = state.clock[i, INSTANCE]
    hops = problem.hops[r]
    if subset == 0:
        return np.int64(hops[problem.dims[r, DEPOT], j])
    least = np.int64(2**40)
    for u in range(np.int64(state.stop[i, 0])):
        if (subset >> u) & 1 == 1:
            least = min(least, np.int64(state.best[i, subset, u]) + np.int64(hops[_picked_at(state, i, u), j]))
    return least


@compiled
def _fits_exactly(problem, state, i, j, length):
    """Whether a tour through all stops and j has at most so many edges."""
    everything = (np.int64(1) << np.int64(state.stop[i, 0])) - 1
    for subset in range(everything + 1):
        if subset > everything - subset:  # a tour and its reverse are as long
            break
        there = _path_to(problem, state, i, subset, j)
        if there < length and there + _path_to(problem, state, i, everything - subset, j) <= length:
            return True
    return False


@compiled
def _tour_edges(hops, depot, stop):
    at, total = np.int64(depot), np.int64(0)
    for k in range(1, stop[0] + 1):
        total += hops[at, stop[k]]
        at = np.int64(stop[k])
    return total + hops[at, depot]


@compiled
def _improve(hops, depot, stop):
    """Reverse stretches of the tour as long as that shortens it (2-opt, Croes 1958)."""
    count = np.int64(stop[0])
    for _ in range(_MOST_ROUNDS):
        improved = False
        for a in range(1, count):
            before = stop[a - 1] if a > 1 else depot
            for b in range(a + 1, count + 1):
                after = stop[b + 1] if b < count else depot
                old = np.int64(hops[before, stop[a]]) + np.int64(hops[stop[b], after])
                new = np.int64(hops[before, stop[b]]) + np.int64(hops[stop[a], after])
                if new < old:
                    low, high = a, b
                    while low < high:
                        stop[low], stop[high] = stop[high], stop[low]
                        low += 1
                        high -= 1
                    improved = True
        if not improved:
            return


@compiled
def walk_with(problem, state, i, j):
    """(whether a closed walk through all stops and j is found that fits, edges of it; else of one that is too long)."""
    r = state.clock[i, INSTANCE]
    dims, hops, stop = problem.dims[r], problem.hops[r], state.stop[i]
    length, depot = np.int64(dims[LENGTH]), dims[DEPOT]
    if j == depot:
        return True, np.int64(state.edges[i, 0])
    inserted, _ = insertion(problem, state, i, j)
    if inserted <= length:
        return True, inserted
    if 2 * np.int64(hops[depot, j]) > length or not is_exact(state, i, np.int64(stop[0])):
        return False, inserted
    for k in range(1, stop[0] + 1):
        u = stop[k]
        if np.int64(hops[depot, j]) + np.int64(hops[j, u]) + np.int64(hops[u, depot]) > length:
            return False, inserted
    if _fits_exactly(problem, state, i, j, length):
        return True, length
    return False, inserted


@compiled(when_plain=None)
def mark_walks(problem, state, i):
    """Write which elements fit the walk beside those picked, and how long a walk with each is."""
    dims = problem.dims[state.clock[i, INSTANCE]]
    for j in range(dims[ELEMENTS]):
        if state.picked[i, j] == 1:
            continue
        fits, edges = walk_with(problem, state, i, j)
        state.detour[i, j] = edges
        if not fits:
            state.can[i, j] = 0
