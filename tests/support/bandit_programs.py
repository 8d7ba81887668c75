"""Other programs for the sets of restless bandits, as published or as first written down, to compare with."""

from __future__ import annotations

import numpy as np
from makespan.envs.restless_bandits.capacity import Capacity
from makespan.envs.restless_bandits.program import FREE, RowBuilder, solve_program
from makespan.envs.restless_bandits.walks import Walks
from numpy.typing import NDArray


def best_by_time(walks: Walks, weights: NDArray[np.float64]) -> float:
    """The best walk by a network unrolled over time, in which only the depot may be waited at."""
    builder = RowBuilder(walks.size)
    builder.row("budget", [(j, 1.0) for j in range(walks.size)], -FREE, walks.budget)
    arcs = [pair for u, v in walks.edges for pair in ((u, v), (v, u))] + [(walks.depot, walks.depot)]
    flow = [{arc: builder.variable(1) for arc in arcs} for _ in range(walks.length)]

    def into(t: int, node: int) -> list[tuple[int, float]]:
        return [(column, 1.0) for (_, v), column in flow[t].items() if v == node]

    def out_of(t: int, node: int) -> list[tuple[int, float]]:
        return [(column, -1.0) for (u, _), column in flow[t].items() if u == node]

    for node in range(walks.size):
        at_depot = float(node == walks.depot)
        builder.row(f"begin {node}", out_of(0, node), -at_depot, -at_depot)
        builder.row(f"end {node}", into(walks.length - 1, node), at_depot, at_depot)
        for t in range(1, walks.length):
            builder.row(f"node {node} at {t}", into(t - 1, node) + out_of(t, node), 0.0, 0.0)
        visits = [(column, -1.0) for t in range(walks.length) for column, _ in into(t, node)]
        builder.row(f"visit {node}", [(node, 1.0), *visits], -FREE, at_depot)
    return solve_program(builder.build(), weights).value


def best_by_assignment(capacity: Capacity, weights: NDArray[np.float64]) -> float:
    """The best packing by a variable for each worker and arm."""
    builder = RowBuilder(capacity.size)
    given = [[builder.variable(1) for _ in range(capacity.size)] for _ in capacity.capacity]
    for columns, hours in zip(given, capacity.capacity.tolist(), strict=True):
        builder.row(
            "hours", [(column, float(c)) for column, c in zip(columns, capacity.cost, strict=True)], -FREE, hours
        )
    for j in range(capacity.size):
        builder.row(f"arm {j}", [(j, 1.0), *((columns[j], -1.0) for columns in given)], -FREE, 0.0)
    return solve_program(builder.build(), weights).value
