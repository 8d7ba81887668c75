"""A learned order for the mapper: a small network corrects the scores by which XLA's order sorts storages.

For each of a few variants of the mapper's options, the program is first mapped in XLA's order. Then, in each of a few
passes, the network looks at every storage and at what has become of it, moves its score, and the program is mapped in
the new order. The best mapping of all counts. A network whose last weights are zero leaves XLA's order as it is.

A player is one row of float64 numbers: the weights of a network of one hidden layer of `HIDDEN` units, in the order of
`weight_shapes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.random import uniform
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from .. import learned_order as rows
from .mapper import Mapper, MapperOptions
from .mapping import judged_time
from .outlook import FIRST_OPTION, FIXED, GENERAL, SEEN, look_at, outlook_of
from .search import map_by_row, table_of

HIDDEN = 16
PASSES, TRAINING_PASSES = 4, 2
TRAINING_VARIANTS = (
    MapperOptions("contended", minimum=0.0, pin_outputs=False),
    MapperOptions("elapsed", preferred=4.0, minimum=0.0, pin_outputs=False),
    MapperOptions("contended", preferred=4.0, maximum=2.0, pin_outputs=False),
    MapperOptions("unlimited", preferred=4.0, minimum=0.0, pin_outputs=False),
)
"""Of the mapper's options, those that are best together in XLA's order on programs for training."""
_LEAK = 0.01
_WORST = 2**62


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of weights, in the order in which a row holds them."""
    return {
        "fixed": (len(FIXED), HIDDEN),
        "general": (len(GENERAL), HIDDEN),
        "seen": (len(SEEN), HIDDEN),
        "bias": (HIDDEN,),
        "score": (HIDDEN,),
    }


def join_row(weights: MappingOf[str, NDArray[Any]]) -> NDArray[np.float64]:
    """A row from arrays by name."""
    return rows.join_row(weights, weight_shapes())


def split_row(row: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """Arrays by name from a row."""
    return rows.split_row(row, weight_shapes())


def fresh_row(rng: np.random.Generator) -> NDArray[np.float64]:
    """A row that leaves XLA's order as it is, with random weights before the last."""
    fan = len(FIXED) + len(GENERAL) + len(SEEN)
    spread = {"fixed": 1.5, "general": 1.5, "seen": 1.5, "bias": 0.5, "score": 0.0}
    parts = []
    for name, shape in weight_shapes().items():
        scale = spread[name] / np.sqrt(fan) if len(shape) == 2 else spread[name]
        parts.append(scale * rng.normal(size=shape).reshape(-1))
    return np.concatenate(parts)


class Room(NamedTuple):
    """Room for ordering in compiled code.

    Attributes:
        scores: float64 [S]. sums: float64 [S, 6]. seen: float64 [S, len(SEEN)].
        ground: float64 [S, HIDDEN], what the hidden units get from all that does not change.
        order: int64 [S], dense numbers. ranks: int64 [S], places in XLA's order.
    """

    scores: NDArray[np.float64]
    sums: NDArray[np.float64]
    seen: NDArray[np.float64]
    ground: NDArray[np.float64]
    order: NDArray[np.int64]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, count: int) -> Room:
        """Room for `count` storages."""
        return cls(
            np.zeros(count), np.zeros((count, 6)), np.zeros((count, len(SEEN))), np.zeros((count, HIDDEN)),
            np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64),
        )  # fmt: skip


class OrderPlayer:
    """Orders one program by learned scores, again and again.

    Args:
        instance: the program.
        variants: of the mapper's options, each of which has its turn.
        score: "judge" or "proxy".

    Attributes:
        first: int64 [variants], run times in XLA's order.
        best: the best run time so far, picoseconds.
        row: of the variant that it was mapped by.
        order: int64 [S], the order.
    """

    def __init__(self, instance: MemoryInstance, variants: Sequence[MapperOptions], score: str) -> None:
        self.mapper, self.variants = Mapper(instance, variants[0]), tuple(variants)
        self.outlook = outlook_of(self.mapper.program)
        self._table, self._by_judge = table_of(variants), score == "judge"
        count = self.mapper.program.num_storages
        self._room = Room.of(count)
        self.order = self.outlook.order.copy()
        self.first = np.empty(len(variants), dtype=np.int64)
        self._seen = np.empty((len(variants), count, len(SEEN)))
        map_first(
            self.mapper.program, self._table, self.outlook, self.mapper.mapping, self._room, self._by_judge,
            self.first, self._seen,
        )  # fmt: skip
        row = int(self.first.argmin())
        self._best = np.array([self.first[row], row], dtype=np.int64)

    @property
    def best(self) -> int:
        """The best run time so far, picoseconds."""
        return int(self._best[0])

    @property
    def row(self) -> int:
        """Which player reached it."""
        return int(self._best[1])

    def costs(self, rows: NDArray[np.float64], passes: int) -> NDArray[np.int64]:
        """Run times of players, int64 [players, variants, passes]."""
        return np.array([self.play(row, passes) for row in rows])

    def play(
        self,
        row: NDArray[np.float64],
        passes: int,
        noise: float = 0.0,
        key: int = 0,
        variants: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Let a player order the program for some variants, all by default, from scores with Gumbel noise on.

        Returns:
            int64 [variants, passes], the run times.
        """
        mapper = self.mapper
        chosen = np.arange(len(self._table), dtype=np.int64) if variants is None else variants
        costs = np.empty((len(chosen), passes), dtype=np.int64)
        play_variants(
            mapper.program, self._table, chosen, self.outlook, row, mapper.mapping, self._room, self._seen, self.first,
            noise, np.uint64(key), self._by_judge, costs, self._best, self.order,
        )  # fmt: skip
        return costs

    def plan(self) -> MemoryPlan:
        """The best plan so far."""
        self.mapper.set_options(self.variants[self.row])
        self.mapper.map(self.order)
        return self.mapper.plan()


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def map_first(program, table, outlook, mapping, room, by_judge, first, seen):
    """Map a program in XLA's order by each variant; fills the run times, [variants], and what is seen of each."""
    for row in range(table.shape[0]):
        first[row] = map_by_row(program, table, row, mapping, outlook.order, by_judge)
        if not by_judge:
            judged_time(program, mapping)  # which notes who waits
        look_at(program, outlook, mapping, outlook.base, room.sums, 1.0, seen[row])


@compiled
def play_variants(
    program, table, variants, outlook, weights, mapping, room, seen, first, noise, key, by_judge, costs, best, order
):
    """Order a program for some variants in some passes, from what was seen in XLA's order on; see `OrderPlayer`.

    Args:
        variants: int64, which.
        noise: of the scores (Gumbel's, by `key`).
        costs: int64 [variants, passes], filled with the run times.
        best: int64 [2], the least run time and its variant; made better, and `order` with it.
    """
    count, passes = len(room.scores), costs.shape[1]
    for n in range(len(variants)):
        row = variants[n]
        _set_options(outlook.general, table, row)
        _see_ground(outlook, weights, room.ground)
        for k in range(count):
            room.ranks[k] = k
            room.scores[k] = outlook.base[k]
            if noise > 0:
                draw = max(uniform(key, np.int64(row), np.int64(k)), 1e-300)
                room.scores[k] -= noise * math.log(-math.log(draw))
        move_scores(room, seen[row], weights)
        for number in range(passes):
            sort_by_score(room.ranks, room.scores)
            for k in range(count):
                room.order[k] = outlook.order[room.ranks[k]]
            cost = map_by_row(program, table, row, mapping, room.order, by_judge)
            costs[n, number] = cost
            if cost < best[0]:
                best[0], best[1] = cost, row
                for k in range(count):
                    order[k] = room.order[k]
            if number + 1 < passes:
                if not by_judge:
                    judged_time(program, mapping)
                outcome = float(cost) / first[row]
                look_at(program, outlook, mapping, room.scores, room.sums, outcome, room.seen)
                move_scores(room, room.seen, weights)


@compiled
def _set_options(general, table, row):
    """Tell the network by which of the mapper's options it is asked."""
    general[FIRST_OPTION] = table[row, 0]
    general[FIRST_OPTION + 1] = table[row, 1]
    general[FIRST_OPTION + 2] = math.log(max(table[row, 2], 0.01)) / 2.0


@compiled
def _see_ground(outlook, weights, ground):
    """Fill `ground` with what hidden units get from whatever does not change from pass to pass."""
    first = len(FIXED) * HIDDEN
    bias = first + (len(GENERAL) + len(SEEN)) * HIDDEN
    for h in range(HIDDEN):
        common = weights[bias + h]
        for g in range(len(GENERAL)):
            common += outlook.general[g] * weights[first + g * HIDDEN + h]
        for k in range(len(ground)):
            ground[k, h] = common
    for k in range(len(ground)):
        for f in range(len(FIXED)):
            x = outlook.fixed[k, f]
            for h in range(HIDDEN):
                ground[k, h] += x * weights[f * HIDDEN + h]


@compiled
def move_scores(room, seen, weights):
    """Move each score by what the network says."""
    seen_row = (len(FIXED) + len(GENERAL)) * HIDDEN
    score_row = seen_row + (len(SEEN) + 1) * HIDDEN
    for k in range(len(room.scores)):
        for h in range(HIDDEN):
            x = room.ground[k, h]
            for f in range(len(SEEN)):
                x += seen[k, f] * weights[seen_row + f * HIDDEN + h]
            room.scores[k] += max(x, _LEAK * x) * weights[score_row + h]


@compiled
def sort_by_score(ranks, scores):
    """Sort places in XLA's order by falling scores, equals by place; an insertion sort, since most are sorted."""
    for n in range(1, len(ranks)):
        k = ranks[n]
        at = n
        while at > 0 and (
            scores[ranks[at - 1]] < scores[k] or (scores[ranks[at - 1]] == scores[k] and ranks[at - 1] > k)
        ):
            ranks[at] = ranks[at - 1]
            at -= 1
        ranks[at] = k
