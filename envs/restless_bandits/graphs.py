"""Graphs that families of restless bandits are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walks import hop_distances

EDGES_PER_NODE = 1.35

_TUBE_20 = (
    "0-4 0-12 0-15 0-19 1-3 1-5 1-7 1-8 1-18 2-12 2-15 3-6 3-14 3-16 4-10 4-11 4-13 5-8 6-14 6-17 7-16 9-18 9-19 "
    "10-13 10-14 11-19 12-13 12-17 13-17"
)


class Graph(NamedTuple):
    """A graph with a depot.

    Attributes:
        edges: pairs of nodes.
        depot: its centre.
        positions: float64 [N, 2], where the nodes lie; None where that is not known.
    """

    edges: tuple[tuple[int, int], ...]
    depot: int
    positions: NDArray[np.float64] | None


def tube_20() -> Graph:
    """A piece of London's underground with 20 stations and 29 edges, as published with the paper's code."""
    edges = [tuple(map(int, pair.split("-"))) for pair in _TUBE_20.split()]
    return Graph(tuple((u, v) for u, v in edges), 0, None)


def street_graph(size: int, rng: np.random.Generator) -> Graph:
    """The relative-neighbourhood graph of uniform points, plus the shortest further edges up to 1.35 per node.

    It hangs together, as it holds a shortest spanning tree. The depot is the first of its centres, the nodes whose
    farthest node is nearest.
    """
    points = rng.random((size, 2))
    length = np.linalg.norm(points[:, None] - points[None], axis=2)
    # u and v are relative neighbours if no third point is nearer to both than they are to each other.
    near = np.maximum(length[:, None, :], length[None, :, :])
    third = np.arange(size)
    near[third, :, third], near[:, third, third] = np.inf, np.inf
    blocked = (near < length[:, :, None]).any(axis=2)
    pairs = [(u, v) for u in range(size) for v in range(u + 1, size)]
    edges = [pair for pair in pairs if not blocked[pair]]
    others = sorted((pair for pair in pairs if blocked[pair]), key=lambda pair: length[pair])
    edges += others[: max(round(EDGES_PER_NODE * size) - len(edges), 0)]
    farthest = hop_distances(size, edges).max(axis=1)
    return Graph(tuple(sorted(edges)), int(farthest.argmin()), points)


def ring_neighbours(size: int, reach: int) -> tuple[tuple[int, ...], ...]:
    """For each node of a ring those up to `reach` places away."""
    steps = [step for k in range(1, reach + 1) for step in (-k, k)]
    return tuple(tuple(sorted({(j + step) % size for step in steps} - {j})) for j in range(size))


def neighbours_of(size: int, edges: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """For each node those it shares an edge with."""
    near: list[set[int]] = [set() for _ in range(size)]
    for u, v in edges:
        near[u].add(v)
        near[v].add(u)
    return tuple(tuple(sorted(one)) for one in near)
