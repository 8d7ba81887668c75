"""Lower bounds on the makespan of the static problem."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from ...envs.soc.measure import measure
from .problem import Problem

_ROUNDING = 1e-6  # of a solver, relative to the bound


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
    """The longest that any job takes by itself from its arrival on, on as many PEs as it likes.

    The recursion of PEFT's optimistic costs with the transfer times of the pairs themselves; at least the longest path
    of least times.

    Args:
        tail: of `makespan.envs.soc.measure.measure`, where it is known.
    """
    graph = problem.graph
    tail = measure(graph).tail if tail is None else tail
    whole = np.where(graph.times >= 0, problem.arrival[:, None] + graph.times + tail, np.iinfo(np.int64).max)
    return int(whole.min(axis=1).max())


def work_bound(problem: Problem) -> int:
    """The least load of the fullest PE if tasks could be split between PEs, from the first arrival on.

    A linear program; tasks with the same times are one row of it.
    """
    times, count = np.unique(problem.graph.times, axis=0, return_counts=True)
    rows, columns = np.nonzero(times >= 0)
    amounts = times[rows, columns].astype(np.float64)
    pairs, pes = len(rows), times.shape[1]
    number = np.arange(pairs)
    load = np.zeros((pes, pairs + 1))
    load[columns, number] = amounts
    load[:, -1] = -1.0
    whole = np.zeros((len(times), pairs + 1))
    whole[rows, number] = 1.0
    cost = np.zeros(pairs + 1)
    cost[-1] = 1.0
    found = linprog(cost, A_ub=load, b_ub=np.zeros(pes), A_eq=whole, b_eq=count.astype(np.float64))
    if not found.success:  # then nothing is known
        return 0
    return int(problem.arrival.min()) + math.ceil(found.fun * (1.0 - _ROUNDING) - _ROUNDING)


def lower_bound(problem: Problem) -> int:
    """No plan is shorter."""
    return max(path_bound(problem), work_bound(problem))
