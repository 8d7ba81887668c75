"""Families of random DAGs: their edges, and which of their tasks are of one class.

Tasks of one class do the same work (a kernel of a factorisation, a stage of a workflow) and so take the same times; in
families without such structure every task is a class of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.random import uniform


class Shape(NamedTuple):
    """A DAG without times.

    Attributes:
        edges: int64 [E, 2], (producer, consumer), no two alike; producers have the lower number.
        classes: int64 [T], the class of each task, numbered from 0.
    """

    edges: NDArray[np.int64]
    classes: NDArray[np.int64]


class Draws:
    """Uniform numbers of a key, in a fixed order."""

    def __init__(self, key: int, stream: int) -> None:
        self._key, self._stream, self._next = np.uint64(key), stream, 0

    def __call__(self, *shape: int) -> NDArray[np.float64]:
        """Of this shape, in [0, 1)."""
        values = np.zeros(shape)
        _fill_uniform(self._key, self._stream, self._next, values.reshape(-1))
        self._next += 1
        return values

    def integers(self, low: int, high: int, *shape: int) -> NDArray[np.int64]:
        """Of this shape, from `low` to `high`."""
        return low + np.floor((high - low + 1) * self(*shape)).astype(np.int64)


@compiled
def _fill_uniform(key, stream, number, values):
    for i in range(len(values)):
        values[i] = uniform(key, stream, number, i)


@dataclass(frozen=True)
class Family:
    """A family of DAGs.

    Attributes:
        make: a DAG of at most so many tasks, from (tasks, degree, alpha, draws).
        least: the fewest tasks that one has.
    """

    make: Callable[[int, int, float, Draws], Shape]
    least: int = 2


def _plain(tasks: int, edges: NDArray[np.int64]) -> Shape:
    """Every task a class of its own."""
    return Shape(np.unique(edges.reshape(-1, 2), axis=0), np.arange(tasks))


def _levels(tasks: int, alpha: float, draws: Draws, first: int = 0) -> list[NDArray[np.int64]]:
    """Tasks in levels of widths around alpha * sqrt(tasks), uniform from 1 on; the first has `first` of them."""
    most = max(1, round(2 * alpha * tasks**0.5) - 1)
    widths = draws.integers(1, most, tasks).tolist()
    levels, at = [], 0
    while at < tasks:
        width = first if first and not levels else widths[len(levels)]
        levels.append(np.arange(at, min(at + width, tasks)))
        at += width
    return levels


def _layered(tasks: int, degree: int, alpha: float, draws: Draws, first: int = 0) -> Shape:
    """Levels; each task follows 1 to `degree` tasks of the level before (Topcuoglu, Hariri & Wu 2002, section 5.1)."""
    levels = _levels(tasks, alpha, draws, first)
    edges = [np.zeros((0, 2), dtype=np.int64)]
    for before, level in pairwise(levels):
        counts = draws.integers(1, degree, len(level))
        order = np.argsort(draws(len(level), len(before)), axis=1, kind="stable")
        chosen = np.arange(len(before)) < counts[:, None]
        consumers = np.broadcast_to(level[:, None], chosen.shape)
        edges.append(np.stack([before[order[chosen]], consumers[chosen]], axis=1))
    return _plain(tasks, np.concatenate(edges))


def _random(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """Each task follows 0 to 2 · `degree` of all tasks before it."""
    counts = draws.integers(0, 2 * degree, tasks)
    consumers = np.repeat(np.arange(tasks), counts)
    producers = np.floor(draws(len(consumers)) * consumers).astype(np.int64)
    edges = np.stack([producers, consumers], axis=1)
    return _plain(tasks, edges[consumers > 0])


def _fork_join(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """A chain of forks and joins; the join of one is the fork of the next."""
    most = max(1, round(2 * alpha * tasks**0.5) - 1)
    widths = draws.integers(1, most, tasks).tolist()
    edges, fork, stage = [], 0, 0
    while fork < tasks - 1:
        width = min(widths[stage], tasks - fork - 2)
        join = fork + width + 1
        between = range(fork + 1, join)
        edges += [(fork, i) for i in between] + [(i, join) for i in between] if width else [(fork, join)]
        fork, stage = join, stage + 1
    return _plain(tasks, _array(edges))


def _out_tree(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """A tree from one root, in levels; parents are drawn from the level before."""
    return _layered(tasks, 1, alpha, draws, first=1)


def _in_tree(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """An out-tree turned round."""
    edges = _out_tree(tasks, degree, alpha, draws).edges
    return _plain(tasks, tasks - 1 - edges[:, ::-1])


def _gauss(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """Gaussian elimination of an m × m matrix, (m² + m − 2) / 2 tasks; pivots and updates of a column are classes."""
    m = _largest(lambda n: (n * n + n - 2) // 2, 2, tasks)
    named = _Named()
    for k in range(1, m):
        named.add(("pivot", k), k)
        for j in range(k + 1, m + 1):
            named.add(("update", k, j), m + k, [("pivot", k)])
            if k > 1:
                named.link(("update", k - 1, j), ("update", k, j))
        if k > 1:
            named.link(("update", k - 1, k), ("pivot", k))
    return named.shape()


def _fft(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """Fast Fourier transform of m = 2^k points, 2m − 1 recursive calls and m · k butterflies; levels are classes."""
    k = _largest(lambda n: 2 * 2**n - 1 + n * 2**n, 1, tasks)
    named = _Named()
    for level in range(k + 1):
        for i in range(2**level):
            named.add(("call", level, i), level, [("call", level - 1, i // 2)] if level else [])
    for level in range(1, k + 1):
        for i in range(2**k):
            others = (i, i ^ 2 ** (level - 1))
            before = [("call", k, j) if level == 1 else ("butterfly", level - 1, j) for j in others]
            named.add(("butterfly", level, i), k + level, before)
    return named.shape()


def _cholesky(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """Tiled Cholesky factorisation of b × b tiles, b (b + 1) (b + 2) / 6 tasks; the four kernels are classes."""
    b = _largest(lambda n: n * (n + 1) * (n + 2) // 6, 2, tasks)
    named = _Named()
    for k in range(b):
        named.add(("potrf", k), 0, [("syrk", k, k - 1)] if k else [])
        for i in range(k + 1, b):
            named.add(("trsm", i, k), 1, [("potrf", k), *([("gemm", i, k, k - 1)] if k else [])])
        for i in range(k + 1, b):
            named.add(("syrk", i, k), 2, [("trsm", i, k), *([("syrk", i, k - 1)] if k else [])])
            for j in range(k + 1, i):
                before = [("trsm", i, k), ("trsm", j, k), *([("gemm", i, j, k - 1)] if k else [])]
                named.add(("gemm", i, j, k), 3, before)
    return named.shape()


def _montage(tasks: int, degree: int, alpha: float, draws: Draws) -> Shape:
    """A mosaic of n images as Montage makes it, 4n + 3 tasks; its nine stages are classes.

    Images are projected, differences of each image and the next two are fitted, a background model of all is subtracted
    from each image, and the images are added, shrunk and written.
    """
    n = _largest(lambda count: 4 * count + 3, 2, tasks)
    named = _Named()
    for i in range(n):
        named.add(("project", i), 0)
    pairs = [(i, j) for i in range(n) for j in (i + 1, i + 2) if j < n]
    for i, j in pairs:
        named.add(("difference", i, j), 1, [("project", i), ("project", j)])
    named.add("concatenate", 2, [("difference", i, j) for i, j in pairs])
    named.add("model", 3, ["concatenate"])
    for i in range(n):
        named.add(("background", i), 4, [("project", i), "model"])
    images = [("background", i) for i in range(n)]
    named.add("table", 5, images)
    named.add("add", 6, ["table", *images])
    named.add("shrink", 7, ["add"])
    named.add("write", 8, ["shrink"])
    return named.shape()


FAMILIES = {
    "layered": Family(_layered),
    "random": Family(_random),
    "fork-join": Family(_fork_join),
    "in-tree": Family(_in_tree),
    "out-tree": Family(_out_tree),
    "gauss": Family(_gauss),
    "fft": Family(_fft, 5),
    "cholesky": Family(_cholesky, 4),
    "montage": Family(_montage, 11),
}


def most_edges(family: str, tasks: int, degree: int) -> int:
    """No DAG of the family has more edges."""
    per_task = {"layered": degree, "random": 2 * degree}.get(family, 3)
    return per_task * tasks


class _Named:
    """A DAG whose tasks have names while it is built; a task is added after those that it follows."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._classes: list[int] = []
        self._edges: list[tuple[int, int]] = []

    def add(self, name: object, kind: int, after: Iterable[object] = ()) -> None:
        self._numbers[name] = len(self._classes)
        self._classes.append(kind)
        for other in after:
            self.link(other, name)

    def link(self, producer: object, consumer: object) -> None:
        self._edges.append((self._numbers[producer], self._numbers[consumer]))

    def shape(self) -> Shape:
        classes = np.unique(np.array(self._classes), return_inverse=True)[1]
        return Shape(np.unique(_array(self._edges), axis=0), classes)


def _array(edges: list[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(edges, dtype=np.int64).reshape(-1, 2)


def _largest(count: Callable[[int], int], least: int, tasks: int) -> int:
    """The largest size, at least `least`, that has at most so many tasks."""
    size = least
    while count(size + 1) <= tasks:
        size += 1
    return size
