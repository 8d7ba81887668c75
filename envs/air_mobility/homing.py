"""What it costs to bring the fleet back to how it started: a transport problem between vertiports.

Flow by successive cheapest augmenting paths (Ahuja, Magnanti & Orlin, "Network Flows", 1993, section 9.7).
"""

from __future__ import annotations

from ..core.compile import compiled
from .state import AIRCRAFT, FIRST_AIRCRAFT, FIRST_PAIR, HOMING, INSTANCE, NEVER, NONE, PLACE, START_AT, VERTIPORTS


@compiled(when_plain=0)
def cost_of_homing(problem, state, i):
    """µ$ of the cheapest flights after which as many aircraft are at each vertiport as at the beginning.

    Where the option `home` is off it is not even compiled, see `AirOptions.plain`.
    """
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n = row[VERTIPORTS]
    flow, spare = state.flow[i], n * n  # units from v to w; then, of each vertiport, aircraft too many
    for word in range(n * n + n):
        flow[word] = 0
    for a in range(row[AIRCRAFT]):
        flow[spare + state.aircraft[i, a, PLACE]] += 1
        flow[spare + problem.start[row[FIRST_AIRCRAFT] + a, START_AT]] -= 1
    total = 0
    while True:
        sink = cheapest_ways(problem, state, i, row, n)
        if sink < 0:
            return total
        total += augment(problem, state, i, row, n, sink)


@compiled
def cheapest_ways(problem, state, i, row, n):
    """Find the cheapest ways from vertiports with aircraft too many (Bellman and Ford).

    Returns:
        The vertiport with too few that is reached most cheaply, -1 if none has too few.
    """
    flow, spare, dist, before = state.flow[i], n * n, n * n + n, n * n + 2 * n
    for v in range(n):
        flow[dist + v] = 0 if flow[spare + v] > 0 else NEVER
        flow[before + v] = NONE
    changed = True
    while changed:
        changed = False
        for v in range(n):
            if flow[dist + v] == NEVER:
                continue
            for w in range(n):
                cost = step_cost(problem, flow, row, n, v, w)
                if v != w and flow[dist + v] + cost < flow[dist + w]:
                    flow[dist + w], flow[before + w] = flow[dist + v] + cost, v
                    changed = True
    sink = NONE
    for v in range(n):
        if flow[spare + v] < 0 and (sink < 0 or flow[dist + v] < flow[dist + sink]):
            sink = v
    return sink


@compiled
def step_cost(problem, flow, row, n, v, w):
    """What one more aircraft from v to w costs: first such from w to v are called back."""
    if flow[w * n + v] > 0:
        return -problem.pair[row[FIRST_PAIR] + w * n + v, HOMING]
    return problem.pair[row[FIRST_PAIR] + v * n + w, HOMING]


@compiled
def augment(problem, state, i, row, n, sink):
    """Send one aircraft along the cheapest way to a vertiport that has too few. Returns what it costs."""
    flow, spare, dist, before = state.flow[i], n * n, n * n + n, n * n + 2 * n
    w = sink
    while flow[before + w] >= 0:
        v = flow[before + w]
        if flow[w * n + v] > 0:
            flow[w * n + v] -= 1
        else:
            flow[v * n + w] += 1
        w = v
    flow[spare + sink] += 1
    flow[spare + w] -= 1
    return flow[dist + sink]
