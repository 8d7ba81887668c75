"""Random walks, by the compiled code that says which stops fit a walk, see `walks.Walks.sample`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.pack import Pack
from .feasible import Action
from .state import BUDGET, DEPOT, INSTANCE, LENGTH, NUM_CLOCK, NUM_DIMS
from .tables import MOST_EXACT_STOPS
from .tours import add_stop, clear_tour, walk_with


class Graph(NamedTuple):
    """What is read of a problem's arrays (`state.Problem`), for one set."""

    dims: NDArray[np.int32]  # [1, NUM_DIMS]
    hops: NDArray[np.int16]  # [1, N, N]


class Tour(NamedTuple):
    """What is read and written of a state's arrays (`state.State`), for one walk."""

    clock: NDArray[np.int64]  # [1, NUM_CLOCK]
    stop: NDArray[np.int32]  # [1, 1 + 2 * stops]
    edges: NDArray[np.int32]  # [1, 1]
    best: NDArray[np.int16]  # [1, 2**exact, exact]


class WalkDraws:
    """Draws from one set of walks.

    Args:
        distance: int [N, N] between nodes.
        depot: where walks begin and end.
        length: of a walk at most.
        budget: nodes of an action at most.
    """

    def __init__(self, distance: NDArray[np.int64], depot: int, length: int, budget: int) -> None:
        self._set = distance, depot, length, budget
        dims = np.zeros((1, NUM_DIMS), dtype=np.int32)
        dims[0, [DEPOT, LENGTH, BUDGET]] = depot, length, budget
        exact = min(budget, MOST_EXACT_STOPS)
        self._graph = Pack(Graph(dims, np.ascontiguousarray(distance[None], dtype=np.int16)))
        self._tour = Pack(
            Tour(
                np.zeros((1, NUM_CLOCK), dtype=np.int64),
                np.zeros((1, 1 + 2 * budget), dtype=np.int32),
                np.zeros((1, 1), dtype=np.int32),
                np.zeros((1, 2**exact, exact), dtype=np.int16),
            )
        )

    def __reduce__(self) -> tuple[Any, ...]:  # packs hold addresses, which mean nothing elsewhere
        return WalkDraws, self._set

    def draw(self, rng: np.random.Generator) -> Action:
        """A random action, int8 [N]."""
        order = rng.permutation(self._graph.hops.shape[1])
        action = np.zeros(len(order), dtype=np.int8)
        _join(self._graph, self._tour, order, action)
        return action


@compiled
def _join(problem, state, order, action):
    """Nodes join an action in the given order while they fit a walk."""
    clear_tour(problem, state, 0)
    left = problem.dims[state.clock[0, INSTANCE], BUDGET]
    for j in order:
        if left == 0:
            break
        if walk_with(problem, state, 0, j) >= 0:
            add_stop(problem, state, 0, j)
            action[j] = 1
            left -= 1
