"""Graphs of tasks that every package with HEFT can express, and SAGA's form of them."""

# pyright: reportMissingImports=false
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SPEEDS = (1, 1, 2, 2, 2, 3, 3, 4, 4, 6)


@dataclass(frozen=True)
class Graph:
    """A graph that all can express: costs [N], edges [(from, to, volume)]."""

    costs: list[int]
    edges: list[tuple[int, int, int]]

    def paths(self) -> int:
        """How many paths lead from the entry to the exit."""
        count = [1] + [0] * (len(self.costs) - 1)
        for i, j, _ in sorted(self.edges):
            count[j] += count[i]
        return count[-1]


def layered(tasks: int, seed: int = 0) -> Graph:
    """Layers of about √N tasks, each with up to three predecessors in the layer before; one entry, one exit."""
    rng = np.random.default_rng(seed)
    layers = max(round(math.sqrt(tasks)), 3)
    layer = [0, *sorted(rng.integers(1, layers - 1, tasks - 2).tolist()), layers - 1]
    edges: set[tuple[int, int]] = set()
    for j in range(1, tasks):
        before = max(layer[i] for i in range(j) if layer[i] < layer[j])
        candidates = [i for i in range(j) if layer[i] == before]
        edges |= {(int(i), j) for i in rng.choice(candidates, min(3, len(candidates)), replace=False)}
    edges |= {(i, tasks - 1) for i in range(tasks - 1) if all(a != i for a, _ in edges)}
    unit = math.lcm(*SPEEDS)
    costs = (unit * rng.integers(1, 100, tasks)).tolist()
    return Graph(costs, [(i, j, int(rng.integers(0, unit * 50))) for i, j in sorted(edges)])


def saga_problem(graph: Graph, speeds: Sequence[int]) -> tuple[Any, Any]:
    """SAGA's network, whose links are alike, and task graph."""
    import saga  # where it is installed

    pes = [f"p{p}" for p in range(len(speeds))]
    network = saga.Network.create(
        nodes=[(pe, float(speed)) for pe, speed in zip(pes, speeds, strict=True)],
        edges=[(p, q, 1.0) for k, p in enumerate(pes) for q in pes[k + 1 :]] + [(p, p, math.inf) for p in pes],
    )
    tasks = saga.TaskGraph.create(
        tasks=[(f"t{i}", float(cost)) for i, cost in enumerate(graph.costs)],
        dependencies=[(f"t{i}", f"t{j}", float(volume)) for i, j, volume in graph.edges],
    )
    return network, tasks
