"""Walks that grow node by node, by the compiled code that says which stops fit a walk, see `walks.Walks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.pack import Pack
from ..core.random import uniform
from .feasible import Action
from .state import BUDGET, DEPOT, INSTANCE, LENGTH, NUM_CLOCK, NUM_DIMS
from .tables import MOST_EXACT_STOPS
from .tours import add_stop, clear_tour, walk_with

_STREAM_SHUFFLE = 1


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


class WalkGrowth:
    """What may join walks of one set.

    Args:
        distance: int [N, N] between nodes.
        depot: where walks begin and end.
        length: of a walk at most.
        budget: nodes of an action at most.
    """

    def __init__(self, distance: NDArray[np.int64], depot: int, length: int, budget: int) -> None:
        self._set = distance, depot, length, budget
        self._depot, self._budget = depot, budget
        dims = np.zeros((1, NUM_DIMS), dtype=np.int32)
        dims[0, [DEPOT, LENGTH, BUDGET]] = depot, length, budget
        self._graph = Pack(Graph(dims, np.ascontiguousarray(distance[None], dtype=np.int16)))
        self._tour = _room(budget, min(budget, MOST_EXACT_STOPS))
        self._loose = _room(budget, 0)  # for tours that are nowhere exact

    def __reduce__(self) -> tuple[Any, ...]:  # packs hold addresses, which mean nothing elsewhere
        return WalkGrowth, self._set

    def tour(self, stops: Sequence[int], tries: int) -> list[int] | None:
        """The stops in the order of a tour that is short enough; None where none is found.

        Args:
            stops: at most as many as an action has.
            tries: orders in which they are inserted, each where it adds fewest edges, and improved by reversals.
        """
        order = np.array(stops, dtype=np.int64)
        if not _find(self._graph, self._loose, order, tries):
            return None
        return self._loose.stop[0, 1 : len(order) + 1].tolist()

    def draw(self, rng: np.random.Generator) -> Action:
        """A random action, int8 [N]."""
        order = rng.permutation(self._graph.hops.shape[1])
        action = np.zeros(len(order), dtype=np.int8)
        _join(self._graph, self._tour, order, action)
        return action

    def extendable(self, action: Action, tries: int) -> NDArray[np.bool_] | None:
        """bool [N]: which nodes may join an action; None where no walk through it is found that is short enough.

        Args:
            action: int8 [N].
            tries: see `tour`; where nodes that are inserted one after the other make too long a walk.
        """
        able = np.zeros(len(action), dtype=np.bool_)
        if int((action == 1).sum()) > self._budget:  # more than there is room for, in any walk
            return able
        tour = self._tour
        if not _insert(self._graph, tour, action):
            if self.tour([j for j in np.flatnonzero(action).tolist() if j != self._depot], tries) is None:
                return None
            tour = self._loose
        _mark(self._graph, tour, action, able)
        return able


def _room(budget: int, exact: int) -> Pack:
    """Room for a walk of so many stops, of which so many at most are put in the best order."""
    return Pack(
        Tour(
            np.zeros((1, NUM_CLOCK), dtype=np.int64),
            np.zeros((1, 1 + 2 * budget), dtype=np.int32),
            np.zeros((1, 1), dtype=np.int32),
            np.zeros((1, 2**exact, exact), dtype=np.int16),
        )
    )


@compiled
def _find(problem, state, stops, tries):
    """Insert stops in one shuffled order after the other. Returns whether a tour became short enough."""
    length = problem.dims[state.clock[0, INSTANCE], LENGTH]
    for turn in range(tries):
        for k in range(len(stops) - 1, 0, -1):
            other = np.int64(uniform(turn, _STREAM_SHUFFLE, k) * (k + 1))
            stops[k], stops[other] = stops[other], stops[k]
        clear_tour(problem, state, 0)
        for j in stops:
            add_stop(problem, state, 0, j)
        if state.edges[0, 0] <= length:
            return True
    return False


@compiled
def _insert(problem, state, action):
    """Make a tour of an action's nodes. Returns whether it is short enough."""
    clear_tour(problem, state, 0)
    for j in range(len(action)):
        if action[j] == 1:
            add_stop(problem, state, 0, j)
    return state.edges[0, 0] <= problem.dims[state.clock[0, INSTANCE], LENGTH]


@compiled
def _mark(problem, state, action, able):
    """Write which nodes may join an action whose tour the state holds."""
    left = np.int64(problem.dims[state.clock[0, INSTANCE], BUDGET])
    for j in range(len(action)):
        left -= action[j] == 1
    for j in range(len(action)):
        able[j] = left > 0 and action[j] == 0 and walk_with(problem, state, 0, j)[0]


@compiled
def _join(problem, state, order, action):
    """Nodes join an action in the given order while they fit a walk."""
    clear_tour(problem, state, 0)
    left = problem.dims[state.clock[0, INSTANCE], BUDGET]
    for j in order:
        if left == 0:
            break
        if walk_with(problem, state, 0, j)[0]:
            add_stop(problem, state, 0, j)
            action[j] = 1
            left -= 1
