"""Walks: all chosen nodes lie on one closed walk from the depot of at most so many edges, or of at most such a length.

Repeats and waiting are allowed, and the depot itself may be chosen. The published time-expanded program gives every
node a loop of its own, which its visits count but its steps do not: its constraint is void. Here a walk is a tour in
hop distance, and the program chooses edges that form an Eulerian walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer, require_keys, require_list, require_name
from .feasible import MAX_SIZE, Action, Best, FeasibleSet, chosen, read_size
from .program import FREE, NoSolutionError, RowBuilder, Rows, solve_program

if TYPE_CHECKING:
    from .walk_growth import WalkGrowth

MAX_LENGTH = 10_000
_MOST_EXACT = 12  # stops up to which a shortest tour is found by dynamic programming (Held and Karp 1962)
_QUICK_RESTARTS = 3
_TRIES = 1000  # orders in which a tour is built
_MOST_BY_PROGRAM = 12  # nodes up to which the program begins with nothing
_FAR = 30_000  # above any walk's length
_LENGTH_ROW = "length of the walk"


class Walks(FeasibleSet):
    """Nodes of a graph that one closed walk from a depot visits.

    Args:
        size: N, the number of nodes.
        edges: pairs of nodes, undirected.
        depot: where the walk begins and ends.
        length: of the walk at most: its edges, or what they are long together.
        budget: no action has more nodes.
        lengths: whole numbers, how long each edge is, in the unit of `length`; None: an edge counts 1.
        unit: of lengths, in words ("minutes", say).

    Raises:
        FieldError: something is malformed.
        UserError: a node cannot be reached, or nothing can be chosen.
    """

    kind = "path"

    def __init__(
        self,
        size: int,
        edges: Sequence[Sequence[int]],
        depot: int,
        length: int,
        budget: int,
        lengths: Sequence[int] | None = None,
        unit: str = "edges",
    ) -> None:
        self.size = require_integer("size of the feasible set", size, 1, MAX_SIZE)
        self.edges = _edges(edges, self.size)
        self.depot = require_integer("feasible.depot", depot, 0, self.size - 1)
        self.length = require_integer("feasible.length", length, 0, MAX_LENGTH)
        self.budget = require_integer("feasible.budget", budget, 1, self.size)
        self.unit = require_name("feasible.unit", unit)
        self.lengths = None if lengths is None else _lengths(lengths, len(self.edges))
        hops = hop_distances(self.size, self.edges)
        away = np.flatnonzero(hops[self.depot] >= _FAR)
        if len(away):
            raise UserError(
                f"feasible set: the graph is disconnected, no path leads from the depot {self.depot} to arm {away[0]}"
            )
        self.distance = hops if self.lengths is None else distances(self.size, self.edges, self.lengths)

    def violations(self, action: ArrayLike) -> list[str]:
        if wrong := self.basic_violations(action):
            return wrong
        arms = [j for j in chosen(action) if j != self.depot]
        for j in arms:
            if 2 * self.distance[self.depot, j] > self.length:
                return [
                    f"arm {j} is {self.distance[self.depot, j]} {self.unit} from the depot {self.depot}, so no closed "
                    f"walk of at most {self.length} {self.unit} visits it"
                ]
        shortest = self.tour_length(arms)
        if shortest <= self.length:
            return []
        return [
            f"the shortest closed walk from the depot {self.depot} through the arms {arms} has {shortest} {self.unit}, "
            f"at most {self.length} are allowed"
        ]

    def tour_length(self, arms: Sequence[int]) -> int:
        """The length of a shortest closed walk from the depot through some nodes."""
        stops = [j for j in dict.fromkeys(arms) if j != self.depot]
        if len(stops) <= _MOST_EXACT:
            return shortest_tour(self.distance, self.depot, stops)[0]
        order = self._good_tour(stops)
        length = self._length_of(order)
        if length <= self.length:
            return length  # short enough, whether or not the shortest
        return self._by_edges(stops)

    def tour(self, action: ArrayLike) -> list[int]:
        """The nodes of a short closed walk through an action's nodes, edge by edge, the depot at both ends.

        A shortest one up to 12 nodes; above, one within the set's length for actions of the set.
        """
        stops = [j for j in chosen(action) if j != self.depot]
        order = shortest_tour(self.distance, self.depot, stops)[1] if len(stops) <= _MOST_EXACT else None
        if order is None:
            order = self._good_tour(stops)
        if self._length_of(order) > self.length:
            return self._edge_walk(stops)
        walk = [self.depot]
        for stop in [*order, self.depot]:
            while walk[-1] != stop:
                u, left = walk[-1], self.distance[walk[-1], stop]
                near = self.neighbours[u]
                walk.append(next(v for v in near if self.edge_lengths[u, v] + self.distance[v, stop] == left))
        return walk

    @cached_property
    def edge_lengths(self) -> dict[tuple[int, int], int]:
        """How long each edge is, both ways."""
        lengths = (1,) * len(self.edges) if self.lengths is None else self.lengths
        one_way = dict(zip(self.edges, lengths, strict=True))
        return one_way | {(v, u): length for (u, v), length in one_way.items()}

    @cached_property
    def _hops(self) -> list[list[int]]:
        """`distance` as lists, whose entries are quicker to read."""
        return self.distance.tolist()

    def _length_of(self, order: Sequence[int]) -> int:
        hops, at, total = self._hops, self.depot, 0
        for stop in order:
            total += hops[at][stop]
            at = stop
        return total + hops[at][self.depot]

    def _good_tour(self, stops: list[int]) -> list[int]:
        """A short tour: cheapest insertion in several orders, each improved as long as it is longer than allowed; then
        in many more, before anybody solves a program."""
        far_first = sorted(stops, key=lambda j: -self._hops[self.depot][j])
        best: list[int] = []
        for queue in (far_first, far_first[::-1], stops, stops[::-1]):
            order: list[int] = []
            for stop in queue:
                places = [(self._length_of([*order[:k], stop, *order[k:]]), k) for k in range(len(order) + 1)]
                order.insert(min(places)[1], stop)
            order = self._improved(order)
            if not best or self._length_of(order) < self._length_of(best):
                best = order
            if self._length_of(best) <= self.length:
                return best
        return best if len(stops) > self.budget else self._growth.tour(stops, _TRIES) or best

    def _improved(self, order: list[int]) -> list[int]:
        """Stretches are reversed or moved elsewhere (Or 1976) as long as that shortens a tour that is too long."""
        best, improved = self._length_of(order), True
        while improved and best > self.length:
            improved = False
            for other in self._changes(order):
                if (length := self._length_of(other)) < best:
                    order, best, improved = other, length, True
                    break
        return order

    @staticmethod
    def _changes(order: list[int]) -> Iterator[list[int]]:
        count = len(order)
        for a in range(count - 1):
            for b in range(a + 2, count + 1):
                yield order[:a] + order[a:b][::-1] + order[b:]
        for size in (1, 2, 3):
            for a in range(count - size + 1):
                moved, rest = order[a : a + size], order[:a] + order[a + size :]
                for b in range(len(rest) + 1):
                    if b != a:
                        yield rest[:b] + moved + rest[b:]
                        yield rest[:b] + moved[::-1] + rest[b:]

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """For each node those it shares an edge with."""
        near: list[list[int]] = [[] for _ in range(self.size)]
        for u, v in self.edges:
            near[u].append(v)
            near[v].append(u)
        return tuple(tuple(sorted(one)) for one in near)

    # --- programs -----------------------------------------------------------------------------------------------------

    def rows(self) -> Rows:
        """Columns: the action, for each edge how often it is walked (0, 1 or 2), half the degree of each node, flow.

        A walk has even degrees, and hangs together with the depot: it carries a unit of flow from there to each node
        that is chosen.
        """
        builder = RowBuilder(self.size)
        builder.row("budget", [(j, 1.0) for j in range(self.size)], -FREE, self.budget)
        walked = [builder.variable(2) for _ in self.edges]
        entries = [(column, float(self.edge_lengths[edge])) for edge, column in zip(self.edges, walked, strict=True)]
        builder.row(_LENGTH_ROW, entries, -FREE, self.length)
        halves = [builder.variable(len(near)) for near in self.neighbours]
        degrees: list[list[tuple[int, float]]] = [[(half, -2.0)] for half in halves]
        inflows: list[list[tuple[int, float]]] = [[(j, -1.0)] for j in range(self.size)]
        for (u, v), column in zip(self.edges, walked, strict=True):
            degrees[u].append((column, 1.0))
            degrees[v].append((column, 1.0))
            flows = [builder.variable(self.budget, integral=False) for _ in range(2)]
            for flow, (tail, head) in zip(flows, ((u, v), (v, u)), strict=True):
                inflows[head].append((flow, 1.0))
                inflows[tail].append((flow, -1.0))
            entries = [(flow, 1.0) for flow in flows]
            builder.row(f"flow on edge {u}-{v}", [*entries, (column, -float(self.budget))], -FREE, 0.0)
        for j in range(self.size):
            builder.row(f"degree of node {j}", degrees[j], 0.0, 0.0)
            if j == self.depot:
                continue
            builder.row(f"flow into node {j}", inflows[j], 0.0, 0.0)
            builder.row(f"node {j} on the walk", [(halves[j], 1.0), (j, -1.0)], 0.0, FREE)
            if 2 * self.distance[self.depot, j] > self.length:
                builder.forbid(j)
        return builder.build()

    def _fixed_rows(self, stops: Sequence[int]) -> Rows:
        """The rows with given nodes chosen and no limit on the walk's length."""
        rows = self.linear_rows
        lower, upper = rows.lower.copy(), rows.upper.copy()
        upper[rows.names.index(_LENGTH_ROW)] = FREE
        at = rows.names.index("budget")
        upper[at] = FREE
        matrix = rows.matrix.tolil()
        matrix[at, : self.size] = 0.0
        matrix[at, list(stops)] = 1.0
        lower[at] = len(stops)
        column_upper = rows.column_upper.copy()
        column_upper[: self.size] = 0.0
        column_upper[list(stops)] = 1.0
        return Rows(matrix.tocsr(), lower, upper, column_upper, rows.integral, rows.names)

    def _walked(self, stops: Sequence[int]) -> NDArray[np.int64]:
        """How often each edge lies on a shortest closed walk, by the program."""
        cost = np.zeros(self.size + len(self.edges))
        cost[self.size :] = [-self.edge_lengths[edge] for edge in self.edges]
        found = solve_program(self._fixed_rows(stops), cost)
        return np.rint(found.values[self.size : self.size + len(self.edges)]).astype(np.int64)

    def _by_edges(self, stops: Sequence[int]) -> int:
        return int(self._walked(stops) @ [self.edge_lengths[edge] for edge in self.edges])

    def _edge_walk(self, stops: Sequence[int]) -> list[int]:
        """A shortest closed walk, edge by edge (Hierholzer 1873)."""
        left: list[list[int]] = [[] for _ in range(self.size)]
        for (u, v), times in zip(self.edges, self._walked(stops).tolist(), strict=True):
            left[u] += [v] * times
            left[v] += [u] * times
        path, walk = [self.depot], []
        while path:
            u = path[-1]
            if left[u]:
                v = left[u].pop()
                left[v].remove(u)
                path.append(v)
            else:
                walk.append(path.pop())
        return walk

    def solve_by_program(self, weights: ArrayLike, seconds: float = FREE) -> Best:
        worth = self.check_weights(weights)
        start = None if self.size <= _MOST_BY_PROGRAM else self.search(worth)
        point = None if start is None else self.point(start)
        try:
            found = self.verified(worth, solve_program(self.linear_rows, worth, seconds, point))
        except NoSolutionError:
            if start is None:
                raise
            found = None
        if start is not None and (found is None or float(start @ worth) > found.value):
            value = float(start @ worth)
            bound = max(value, found.bound) if found else float(np.clip(worth, 0.0, None).sum())
            return Best(start, value, bound, False)
        assert found is not None
        return found

    def point(self, action: Action) -> NDArray[np.float64]:
        """An action's walk as a point of the rows."""
        rows = self.linear_rows
        point = np.zeros(rows.num_columns)
        point[: self.size] = action
        walk = self.tour(action)
        places = {edge: number for number, edge in enumerate(self.edges)}
        first_flow = 2 * self.size + len(self.edges)
        need = action.astype(np.int64)
        need[self.depot] = 0
        for step, (u, v) in enumerate(pairwise(walk)):
            edge = places[min(u, v), max(u, v)]
            point[self.size + edge] += 1
            # What is carried over this step: a unit for each chosen node that is first met from here on.
            met = set(walk[: step + 1])
            point[first_flow + 2 * edge + int(u > v)] += sum(int(need[w]) for w in set(walk[step + 1 :]) - met)
        for u, v in self.edges:
            times = point[self.size + places[u, v]]
            for node in (u, v):
                point[self.size + len(self.edges) + node] += times / 2
        return point

    @property
    def quick_to_check(self) -> bool:
        return self.budget <= _MOST_EXACT

    def sample(self, rng: np.random.Generator) -> Action:
        """A random feasible action: nodes join in random order while they fit. It is maximal to 13 nodes; above, a walk
        through more may be missed."""
        return self._growth.draw(rng)

    def extendable(self, action: ArrayLike) -> NDArray[np.bool_]:
        """bool [N]: which nodes may join an action. Exact to 13 nodes; above, a walk through more may be missed."""
        able = self._growth.extendable(self.bits(action), _TRIES)
        return super().extendable(action) if able is None else able

    @cached_property
    def _growth(self) -> WalkGrowth:
        from .walk_growth import WalkGrowth  # only here: it is compiled

        return WalkGrowth(self.distance, self.depot, self.length, self.budget)

    def quick(self, weights: ArrayLike) -> Action:
        worth = self.check_weights(weights)
        return self.maximise(worth) if self.size <= _MOST_BY_PROGRAM else self.search(worth, _QUICK_RESTARTS)

    def search(self, weights: ArrayLike, restarts: int = 10, rounds: int = 200, seed: int = 0) -> Action:
        """A good action by destroy-and-insert in hop distance, for graphs on which the program takes too long.

        Args:
            weights: float [N].
            restarts, rounds: each restart drops a random stretch of the tour `rounds` times, refills it by the noisy
                ratio of weight to detour, and keeps what is better.
            seed: of the noise.
        """
        from .walk_search import search  # only here: it is compiled

        worth = self.check_weights(weights)
        room = self.budget + 2
        best = np.zeros(self.size, dtype=np.int8)
        tours = np.zeros((2, room), dtype=np.int64)
        used = np.zeros(self.size, dtype=np.int64)
        search(
            self.distance, self.depot, self.length, self.budget, worth, restarts, rounds, np.int64(seed), tours, used,
            best,
        )  # fmt: skip
        return best

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "edges": [list(edge) for edge in self.edges],
            "depot": self.depot,
            "length": self.length,
            "budget": self.budget,
            **({} if self.lengths is None else {"lengths": list(self.lengths), "unit": self.unit}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int, source: str | None = None) -> Walks:
        """The set of `to_dict`'s data over `size` elements."""
        require_keys("feasible", data, ("kind", "edges", "depot", "length", "budget"), ("lengths", "unit"), source)
        edges = require_list("feasible.edges", data["edges"], source)
        lengths = require_list("feasible.lengths", data["lengths"], source) if "lengths" in data else None
        budget, unit = read_size(data, size, source), data.get("unit", "edges")
        return cls(size, edges, data["depot"], data["length"], budget, lengths, unit)


def _edges(value: Any, size: int) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list | tuple):
        raise FieldError("feasible.edges", value, "a list of pairs of nodes")
    found: dict[tuple[int, int], None] = {}
    for k, pair in enumerate(value):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise FieldError(f"feasible.edges[{k}]", pair, "a pair of nodes")
        u, v = (require_integer(f"feasible.edges[{k}][{side}]", pair[side], 0, size - 1) for side in range(2))
        if u == v:
            raise FieldError(f"feasible.edges[{k}]", pair, "two different nodes")
        if (min(u, v), max(u, v)) in found:
            raise FieldError(f"feasible.edges[{k}]", pair, "each edge once")
        found[min(u, v), max(u, v)] = None
    return tuple(found)


def _lengths(value: Any, count: int) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise FieldError("feasible.lengths", value, f"a list of {count} whole numbers, one for each edge")
    return tuple(require_integer(f"feasible.lengths[{k}]", one, 1, MAX_LENGTH) for k, one in enumerate(value))


def distances(size: int, edges: Sequence[tuple[int, int]], lengths: Sequence[int]) -> NDArray[np.int64]:
    """int64 [N, N]: how long a shortest path between two nodes is; 30000 where there is none, or none shorter."""
    distance = np.full((size, size), _FAR, dtype=np.int64)
    np.fill_diagonal(distance, 0)
    for (u, v), length in zip(edges, lengths, strict=True):
        distance[u, v] = distance[v, u] = length
    for middle in range(size):  # Floyd and Warshall (1962)
        np.minimum(distance, distance[:, middle, None] + distance[None, middle], out=distance)
    return distance


def hop_distances(size: int, edges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """int64 [N, N]: edges of a shortest path between two nodes; at least 30000 where there is none."""
    near: list[list[int]] = [[] for _ in range(size)]
    for u, v in edges:
        near[u].append(v)
        near[v].append(u)
    distance = np.full((size, size), _FAR, dtype=np.int64)
    for source in range(size):
        row, level, hops = distance[source], [source], 0
        row[source] = 0
        while level:
            hops += 1
            level = [v for v in dict.fromkeys(v for u in level for v in near[u]) if row[v] == _FAR]
            row[level] = hops
    return distance


def shortest_tour(distance: NDArray[np.int64], depot: int, stops: Sequence[int]) -> tuple[int, list[int]]:
    """A shortest closed tour from the depot through all stops, by dynamic programming over their subsets.

    Source: Held and Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10, 1962.

    Returns:
        (its length, the stops in its order).
    """
    count = len(stops)
    if count == 0:
        return 0, []
    between = distance[np.ix_(stops, stops)]
    home = distance[depot, list(stops)]
    # best[subset, last]: the shortest path from the depot through the subset that ends at `last`, one of it.
    best = np.full((2**count, count), _FAR * (count + 1), dtype=np.int64)
    for k in range(count):
        best[1 << k, k] = home[k]
    for subset in range(1, 2**count):
        inside = [k for k in range(count) if subset >> k & 1]
        if len(inside) > 1:
            for k in inside:
                best[subset, k] = (best[subset ^ (1 << k)] + between[:, k]).min()
    subset, last = 2**count - 1, int((best[-1] + home).argmin())
    length, order = int((best[-1] + home).min()), []
    while True:
        order.append(stops[last])
        rest = subset ^ (1 << last)
        if not rest:
            return length, order[::-1]
        last = int((best[rest] + between[:, last]).argmin())
        subset = rest
