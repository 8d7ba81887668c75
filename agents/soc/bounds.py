"""Lower bounds on the makespan of the static problem, as `makespan.envs.soc.bounds`, at any level of the PEs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.soc.bounds import fractional_load
from ...envs.soc.measure import measure
from .problem import Problem


def heads(problem: Problem) -> NDArray[np.int64]:
    """int64 [N, P], no schedule starts a task on a PE before; what `Measures.tail` is, seen from the front."""
    graph, times = problem.graph, problem.graph.times
    result = np.repeat(problem.arrival[:, None], times.shape[1], axis=1)
    for i in graph.order.tolist():
        for e in range(graph.first_in[i], graph.first_in[i + 1]):
            k = graph.in_task[e]
            under_way = graph.in_volume[e] // graph.bandwidth
            np.fill_diagonal(under_way, 0)
            runs = times[k] >= 0
            arrives = (result[k] + times[k])[runs, None] + under_way[runs]
            result[i] = np.maximum(result[i], arrives.min(axis=0))
    return result


def path_bound(problem: Problem, tail: NDArray[np.int64] | None = None) -> int:
    """The latest that any job ends by itself, on as many PEs as it likes.

    Args:
        tail: of `makespan.envs.soc.measure.measure`, where it is known.
    """
    graph = problem.graph
    tail = measure(graph).tail if tail is None else tail
    whole = np.where(graph.times >= 0, problem.arrival[:, None] + graph.times + tail, np.iinfo(np.int64).max)
    return int(whole.min(axis=1).max())


def work_bound(problem: Problem) -> int:
    """The least load of the fullest PE if tasks could be split between PEs, from the first arrival on."""
    times = problem.graph.times
    return int(problem.arrival.min()) + fractional_load(times, np.ones(len(times), dtype=np.int64))


def lower_bound(problem: Problem, tail: NDArray[np.int64] | None = None) -> int:
    """No plan is shorter."""
    return max(path_bound(problem, tail), work_bound(problem))
