"""What a learned list scheduler sees of a task before anything is placed, from the front and from the back.

A DAG can be scheduled from its ends: the same problem with all edges turned around, whose plans, read backwards in
time, are plans of the problem itself where all jobs are there from the start. Everything is relative to the instance,
so that weights play any size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.soc.measure import Graph, fill_measures
from .lists import quick_mean_transfer, rank_upward
from .problem import Problem, Room

FIXED = (
    "upward_rank", "downward_rank", "path", "static_level", "mean_oct", "oct_range", "mean_time", "least_time",
    "time_range", "time_spread", "predecessors", "successors", "sent", "most_sent", "received", "most_received",
    "depth", "height", "width", "only_child", "last_parent",
)  # fmt: skip
"""Of each task. Ranks, levels and depths are shares of the greatest, times and transfers are in mean task times."""

PLAYERS = 4
GENERAL = (
    "one", "tasks", "pes", "tasks_per_pe", "ccr", "heterogeneity", "parallelism", "edges", "length",
    "first", "backward", "late", *(f"player_{number}" for number in range(PLAYERS)),
)  # fmt: skip
"""Of the instance, then of the pass: whether it is the first, goes backward, which share of the passes is done, who
plays."""

_MOST = 5.0
"""No feature of a task is further from zero."""

FIRST_OF_PASS, FIRST_PLAYER = GENERAL.index("first"), GENERAL.index("player_0")


class View(NamedTuple):
    """A problem from one side.

    Attributes:
        problem: with its edges as they are seen from there.
        oct: float64 [N, P], optimistic cost table.
        rank: float64 [N], upward ranks.
        fixed: float64 [N, len(FIXED)].
        link: int64 [P, P], 0 on the diagonal, else 1 + which of the problem's bandwidths is between two PEs.
        out_time, in_time: int64 [E, 1 + K], how long each edge takes by `link`.
    """

    problem: Problem
    oct: NDArray[np.float64]
    rank: NDArray[np.float64]
    fixed: NDArray[np.float64]
    link: NDArray[np.int64]
    out_time: NDArray[np.int64]
    in_time: NDArray[np.int64]


class Outlook(NamedTuple):
    """A problem from both sides.

    Attributes:
        front, back: the views.
        general: float64 [len(GENERAL)], of the instance; what is of a pass stands at zero.
        unit: float64 [1], mean time of a task.
    """

    front: View
    back: View
    general: NDArray[np.float64]
    unit: NDArray[np.float64]


def outlook_of(problem: Problem) -> Outlook:
    """Look at a problem from both sides."""
    front, back = _empty_view(problem), _empty_view(_turned(problem))
    outlook = Outlook(front, back, np.zeros(len(GENERAL)), np.zeros(1))
    tasks, pes = problem.graph.times.shape
    fill_outlook(outlook, Room.of(problem), np.zeros((tasks, 10)), np.zeros((tasks, pes), dtype=np.int64))
    return outlook


def _empty_view(problem: Problem) -> View:
    tasks, pes = problem.graph.times.shape
    graph = problem.graph
    link = 1 + np.searchsorted(problem.link_bandwidth, graph.bandwidth)
    np.fill_diagonal(link, 0)

    def times(volume: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.ascontiguousarray(np.insert(volume[:, None] // problem.link_bandwidth, 0, 0, axis=1))

    return View(
        problem, np.zeros((tasks, pes)), np.zeros(tasks), np.zeros((tasks, len(FIXED))), link.astype(np.int64),
        times(graph.out_volume), times(graph.in_volume),
    )  # fmt: skip


def _turned(problem: Problem) -> Problem:
    """The problem with its edges turned around; all jobs are there from the start."""
    graph = problem.graph
    return Problem(
        Graph(
            graph.times, np.ascontiguousarray(graph.bandwidth.T), graph.order[::-1].copy(),
            graph.first_in, graph.in_task, graph.in_volume, graph.first_out, graph.out_task, graph.out_volume,
        ),
        np.zeros_like(problem.arrival),
        len(problem.position) - 1 - problem.position,
        problem.link_bandwidth,
        problem.link_count,
    )  # fmt: skip


# --- compiled ---------------------------------------------------------------------------------------------------------

# Columns of scratch.
_MEAN, _LEAST, _MEDIAN, _UP, _DOWN, _LEVEL, _MEAN_OCT, _DEPTH, _HEIGHT, _AT_DEPTH = range(10)


@compiled
def fill_outlook(outlook, room, columns, tail):
    """Fill both views and what is said of the instance.

    Args:
        room: scratch. columns: float64 [N, 10], scratch. tail: int64 [N, P], scratch.
    """
    front, back = outlook.front, outlook.back
    graph = front.problem.graph
    tasks, pes = graph.times.shape
    _measure(front, columns, tail, room)
    unit, spread, transfers, longest, length = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(tasks):
        unit += columns[i, _MEAN] / tasks
        spread += _spread(graph.times, i, columns[i, _MEAN]) / tasks
        longest = max(longest, columns[i, _UP])
        length = max(length, columns[i, _DEPTH])
    for e in range(len(graph.out_volume)):
        transfers += quick_mean_transfer(front.problem, graph.out_volume[e])
    unit = max(unit, 1.0)
    edges = max(len(graph.out_volume), 1)
    outlook.unit[0] = unit
    general = outlook.general
    general[0] = 1.0
    general[1] = math.log(tasks) / 3.0 - 1.3
    general[2] = math.log(pes) / 2.0 - 0.8
    general[3] = math.log(tasks / pes) / 3.0 - 0.7
    general[4] = math.log(transfers / edges / unit + 0.03) / 2.0
    general[5] = 2.0 * spread
    general[6] = math.log(tasks * unit / max(longest, 1.0)) / 2.0 - 0.5
    general[7] = math.log(edges / tasks + 0.1)
    general[8] = math.log((length + 1.0) / tasks) / 2.0 + 0.6
    _describe(front, columns, unit, longest)
    _measure(back, columns, tail, room)
    longest = 0.0
    for i in range(tasks):
        longest = max(longest, columns[i, _UP])
    _describe(back, columns, unit, longest)


@compiled
def _measure(view, columns, tail, room):
    """Fill ranks, the optimistic cost table, and the columns of scratch."""
    g = view.problem.graph
    fill_measures(
        g.times, g.bandwidth, g.order, g.first_out, g.out_task, g.out_volume, g.first_in, g.in_task, g.in_volume,
        columns[:, _MEAN], columns[:, _LEAST], columns[:, _MEDIAN], columns[:, _UP], columns[:, _DOWN],
        columns[:, _LEVEL], view.oct, columns[:, _MEAN_OCT], tail, room.filled,
    )  # fmt: skip
    rank_upward(view.problem, view.rank)  # which differs from `measure`'s in its last bits, as HEFT's does
    tasks = len(view.rank)
    for number in range(tasks):
        i = g.order[number]
        depth = 0.0
        for e in range(g.first_in[i], g.first_in[i + 1]):
            depth = max(depth, columns[g.in_task[e], _DEPTH] + 1.0)
        columns[i, _DEPTH] = depth
        columns[i, _AT_DEPTH] = 0.0
    for number in range(tasks - 1, -1, -1):
        i = g.order[number]
        height = 0.0
        for e in range(g.first_out[i], g.first_out[i + 1]):
            height = max(height, columns[g.out_task[e], _HEIGHT] + 1.0)
        columns[i, _HEIGHT] = height
        columns[int(columns[i, _DEPTH]), _AT_DEPTH] += 1.0


@compiled
def _spread(times, i, mean):
    """Mean deviation of a task's times from their mean, over their mean."""
    total, count = 0.0, 0
    for p in range(times.shape[1]):
        if times[i, p] >= 0:
            total += abs(times[i, p] - mean)
            count += 1
    return total / count / max(mean, 1.0)


@compiled
def _log(x):
    return math.log(x + 0.1) / 2.0


@compiled
def _describe(view, columns, unit, longest):
    """Fill `FIXED`."""
    problem, fixed = view.problem, view.fixed
    graph = problem.graph
    times = graph.times
    longest = max(longest, 1.0)
    highest, most, deepest = 1.0, 1.0, 1.0
    for i in range(len(view.rank)):
        highest = max(highest, columns[i, _LEVEL])
        most = max(most, columns[i, _MEAN_OCT])
        deepest = max(deepest, columns[i, _DEPTH])
    for i in range(len(view.rank)):
        mean = columns[i, _MEAN]
        least_oct, most_oct, most_time = -1.0, 0.0, 0.0
        for p in range(times.shape[1]):
            if times[i, p] >= 0:
                least_oct = view.oct[i, p] if least_oct < 0.0 else min(least_oct, view.oct[i, p])
                most_oct = max(most_oct, view.oct[i, p])
                most_time = max(most_time, float(times[i, p]))
        sent, most_sent, received, most_received, only, last = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for e in range(graph.first_out[i], graph.first_out[i + 1]):
            under_way, j = quick_mean_transfer(problem, graph.out_volume[e]), graph.out_task[e]
            sent, most_sent = sent + under_way, max(most_sent, under_way)
            only = max(only, 1.0 / (graph.first_in[j + 1] - graph.first_in[j]))
        for e in range(graph.first_in[i], graph.first_in[i + 1]):
            under_way, k = quick_mean_transfer(problem, graph.in_volume[e]), graph.in_task[e]
            received, most_received = received + under_way, max(most_received, under_way)
            last = max(last, 1.0 / (graph.first_out[k + 1] - graph.first_out[k]))
        row = fixed[i]
        row[0] = 2.0 * view.rank[i] / longest - 1.0
        row[1] = 2.0 * columns[i, _DOWN] / longest - 1.0
        row[2] = 4.0 * (view.rank[i] + columns[i, _DOWN]) / longest - 3.0
        row[3] = 2.0 * columns[i, _LEVEL] / highest - 1.0
        row[4] = 2.0 * columns[i, _MEAN_OCT] / most - 1.0
        row[5] = min((most_oct - least_oct) / unit, 10.0) / 2.0
        row[6] = mean / unit - 1.0
        row[7] = columns[i, _LEAST] / unit - 1.0
        row[8] = (most_time - columns[i, _LEAST]) / unit
        row[9] = (most_time - columns[i, _LEAST]) / max(mean, 1.0)
        row[10] = math.log(1.0 + graph.first_in[i + 1] - graph.first_in[i]) - 1.0
        row[11] = math.log(1.0 + graph.first_out[i + 1] - graph.first_out[i]) - 1.0
        row[12], row[13] = _log(sent / unit), _log(most_sent / unit)
        row[14], row[15] = _log(received / unit), _log(most_received / unit)
        row[16] = 2.0 * columns[i, _DEPTH] / deepest - 1.0
        row[17] = 2.0 * columns[i, _HEIGHT] / deepest - 1.0
        row[18] = math.log(columns[int(columns[i, _DEPTH]), _AT_DEPTH] / times.shape[1])
        row[19], row[20] = only, last
        for f in range(len(FIXED)):
            row[f] = min(max(row[f], -_MOST), _MOST)
