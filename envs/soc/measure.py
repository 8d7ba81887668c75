"""What can be said of an application on a platform before anything is scheduled: ranks, levels and bounds.

Transfers follow ``docs/environments/soc.md``: ``volume // bandwidth`` between two PEs, nothing on the same one; the
mean transfer of an edge is the mean over distinct ordered pairs of PEs.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from .instance import Application, Platform


class Graph(NamedTuple):
    """An application as compiled code reads it.

    Attributes:
        times: int64 [T, P], −1 where a PE cannot run a task.
        bandwidth: int64 [P, P].
        order: int64 [T], a topological order: of the tasks whose predecessors stand already, the least number.
        first_out, first_in: int64 [T + 1]; task i's edges to successors are first_out[i] .. first_out[i + 1] - 1.
        out_task, in_task: int64 [E], the other task of each.
        out_volume, in_volume: int64 [E].
    """

    times: NDArray[np.int64]
    bandwidth: NDArray[np.int64]
    order: NDArray[np.int64]
    first_out: NDArray[np.int64]
    out_task: NDArray[np.int64]
    out_volume: NDArray[np.int64]
    first_in: NDArray[np.int64]
    in_task: NDArray[np.int64]
    in_volume: NDArray[np.int64]


class Measures(NamedTuple):
    """Of the tasks of an application.

    Attributes:
        mean_time, least_time, median_time: float64 [T], over the PEs that can run a task.
        upward_rank, downward_rank: float64 [T] (Topcuoglu, Hariri & Wu, IEEE TPDS 13(3), 2002).
        static_level: float64 [T], upward rank of median times without transfers (Sih & Lee, IEEE TPDS 4(2), 1993).
        oct: float64 [T, P], optimistic cost table (Arabnejad & Barbosa, IEEE TPDS 25(3), 2014).
        mean_oct: float64 [T], over the PEs that can run a task.
        tail: int64 [T, P], no schedule finishes all that follows a task on a PE sooner after it.
    """

    mean_time: NDArray[np.float64]
    least_time: NDArray[np.float64]
    median_time: NDArray[np.float64]
    upward_rank: NDArray[np.float64]
    downward_rank: NDArray[np.float64]
    static_level: NDArray[np.float64]
    oct: NDArray[np.float64]
    mean_oct: NDArray[np.float64]
    tail: NDArray[np.int64]


def graph_of(application: Application, platform: Platform) -> Graph:
    """The arrays of an application."""
    tasks, edges = application.num_tasks, application.edges
    by_in = np.lexsort((edges[:, 0], edges[:, 1]))
    first_out, first_in = (np.zeros(tasks + 1, dtype=np.int64) for _ in range(2))
    np.add.at(first_out, edges[:, 0] + 1, 1)
    np.add.at(first_in, edges[:, 1] + 1, 1)
    first_out, first_in = first_out.cumsum(), first_in.cumsum()
    by_out = np.lexsort((edges[:, 1], edges[:, 0]))
    graph = Graph(
        np.ascontiguousarray(application.times),
        np.ascontiguousarray(platform.bandwidth),
        np.zeros(tasks, dtype=np.int64),
        first_out,
        np.ascontiguousarray(edges[by_out, 1]),
        np.ascontiguousarray(application.volumes[by_out]),
        first_in,
        np.ascontiguousarray(edges[by_in, 0]),
        np.ascontiguousarray(application.volumes[by_in]),
    )
    graph.order[:] = _topological_order(first_out.tolist(), graph.out_task.tolist(), np.diff(first_in).tolist())
    return graph


def _topological_order(first_out: list[int], out_task: list[int], missing: list[int]) -> list[int]:
    """The tasks, each after its predecessors and else the least number first.

    Plain Python, for it is done once for each application: compiling this would take half a second of a first step.

    Args:
        missing: how many predecessors each task has; used up.
    """
    ready = [task for task, count in enumerate(missing) if count == 0]  # in order, and so a heap
    order = []
    while ready:
        task = heappop(ready)
        order.append(task)
        for other in out_task[first_out[task] : first_out[task + 1]]:
            missing[other] -= 1
            if missing[other] == 0:
                heappush(ready, other)
    return order


def measure(graph: Graph) -> Measures:
    """Ranks, levels and bounds of all tasks."""
    tasks, pes = graph.times.shape
    columns = [np.zeros(tasks) for _ in range(6)]
    result = Measures._make([*columns, np.zeros((tasks, pes)), np.zeros(tasks), np.zeros((tasks, pes), dtype=np.int64)])
    fill_measures(*graph, *result, np.zeros(pes, dtype=np.int64))
    return result


@compiled
def transfer(bandwidth, volume, p, q):
    """Time of a transfer from PE p to PE q."""
    return 0 if p == q else volume // bandwidth[p, q]


@compiled
def mean_transfer(bandwidth, volume):
    """Mean over distinct ordered pairs of PEs; 0 with a single PE."""
    pes = bandwidth.shape[0]
    if pes < 2:
        return 0.0
    total = 0
    for p in range(pes):
        for q in range(pes):
            if p != q:
                total += volume // bandwidth[p, q]
    return total / (pes * (pes - 1))


@compiled
def fill_measures(
    times,
    bandwidth,
    order,
    first_out,
    out_task,
    out_volume,
    first_in,
    in_task,
    in_volume,
    mean_time,
    least_time,
    median_time,
    upward_rank,
    downward_rank,
    static_level,
    oct,
    mean_oct,
    tail,
    sorted_times,
):
    """Fill `Measures` of a `Graph`; ``sorted_times`` int64 [P] is scratch."""
    tasks, pes = times.shape
    for i in range(tasks):
        count = 0
        total = 0
        for p in range(pes):
            time = times[i, p]
            if time >= 0:
                place = count
                while place > 0 and sorted_times[place - 1] > time:
                    sorted_times[place] = sorted_times[place - 1]
                    place -= 1
                sorted_times[place] = time
                total += time
                count += 1
        mean_time[i] = total / count
        least_time[i] = sorted_times[0]
        median_time[i] = 0.5 * (sorted_times[(count - 1) // 2] + sorted_times[count // 2])
    for number in range(tasks):
        i = order[number]
        downward_rank[i] = 0.0
        for e in range(first_in[i], first_in[i + 1]):
            k = in_task[e]
            downward_rank[i] = max(
                downward_rank[i], downward_rank[k] + mean_time[k] + mean_transfer(bandwidth, in_volume[e])
            )
    for number in range(tasks - 1, -1, -1):
        i = order[number]
        upward_rank[i] = 0.0
        static_level[i] = 0.0
        for p in range(pes):
            oct[i, p] = 0.0
            tail[i, p] = 0
        for e in range(first_out[i], first_out[i + 1]):
            j = out_task[e]
            between = mean_transfer(bandwidth, out_volume[e])
            upward_rank[i] = max(upward_rank[i], between + upward_rank[j])
            static_level[i] = max(static_level[i], static_level[j])
            for p in range(pes):
                expected, least = -1.0, -1
                for q in range(pes):
                    time = times[j, q]
                    if time >= 0:
                        here = oct[j, q] + time + (between if p != q else 0.0)
                        bound = tail[j, q] + time + transfer(bandwidth, out_volume[e], p, q)
                        if expected < 0.0 or here < expected:
                            expected = here
                        if least < 0 or bound < least:
                            least = bound
                oct[i, p] = max(oct[i, p], expected)
                tail[i, p] = max(tail[i, p], least)
        upward_rank[i] += mean_time[i]
        static_level[i] += median_time[i]
        count, total_oct = 0, 0.0
        for p in range(pes):
            if times[i, p] >= 0:
                total_oct += oct[i, p]
                count += 1
        mean_oct[i] = total_oct / count
