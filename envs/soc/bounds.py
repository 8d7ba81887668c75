"""Lower bounds on the static makespan, and the least that an application can take by itself.

They hold for mean times at the highest level, without duplication of tasks; noise may break them, waiting never does.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .instance import INELIGIBLE, Application, Platform, SocInstance
from .measure import graph_of, measure

_MOST_PAIRS = 200_000
"""Of rows of times and PEs in the linear program; with more the mean load of least times has to do."""
_EXACT = 2**62


@lru_cache(maxsize=4096)
def least_latency(application: Application, platform: Platform) -> int:
    """No schedule finishes an application sooner after its arrival, on as many PEs of each kind as it likes.

    The recursion of PEFT's optimistic costs (Arabnejad & Barbosa 2014) with the transfer times of the pairs themselves;
    at least `critical_path`.
    """
    tail = measure(graph_of(application, platform)).tail
    whole = np.where(application.eligible, application.times + tail, np.iinfo(np.int64).max)
    return int(whole.min(axis=1).max())


def critical_path(application: Application, platform: Platform) -> int:
    """The longest path of least times, without transfers."""
    graph = graph_of(application, platform)
    least = np.where(application.eligible, application.times, np.iinfo(np.int64).max).min(axis=1)
    length = least.copy()
    for i in graph.order[::-1].tolist():
        after = graph.out_task[graph.first_out[i] : graph.first_out[i + 1]]
        length[i] += length[after].max(initial=0)
    return int(length.max())


def critical_path_bound(instance: SocInstance) -> int:
    """The latest that any job ends by its critical path alone."""
    return max(
        arrival + critical_path(instance.applications[a], instance.platform) for a, arrival in instance.jobs.tolist()
    )


def path_bound(instance: SocInstance) -> int:
    """The latest that any job ends by itself, transfers included."""
    return max(
        arrival + least_latency(instance.applications[a], instance.platform) for a, arrival in instance.jobs.tolist()
    )


def work_bound(instance: SocInstance) -> int:
    """The least load of the fullest PE if tasks could be split between PEs, from the first arrival on."""
    counts = np.bincount(instance.jobs[:, 0], minlength=len(instance.applications))
    played = np.flatnonzero(counts)
    times = np.concatenate([instance.applications[a].times for a in played])
    count = np.concatenate([np.full(instance.applications[a].num_tasks, counts[a]) for a in played])
    return int(instance.jobs[0, 1]) + fractional_load(times, count)


def lower_bound(instance: SocInstance) -> int:
    """No schedule of all jobs is shorter: the largest of the bounds."""
    return max(path_bound(instance), work_bound(instance))


def fractional_load(times: NDArray[np.int64], count: NDArray[np.int64]) -> int:
    """The least load of the fullest PE if tasks could be split between PEs, rounded up.

    Weights w of PEs that sum to 1 bound it by the sum over tasks of the least w_p · time on any PE p. The weights are
    the dual values of a linear program; the bound is computed from them in integers, so it holds whatever the solver's
    tolerance.

    Args:
        times: int64 [R, P], `INELIGIBLE` where a PE cannot run a task.
        count: int64 [R], how many tasks have these times.
    """
    rows, which = np.unique(times, axis=0, return_inverse=True)
    amount = np.bincount(which.reshape(-1), weights=count).astype(np.int64)
    largest = int((rows.max(axis=1) * amount).sum())
    weights = _dual_weights(rows, amount)
    scaled = np.floor(weights / weights.sum() * min(2.0**40, _EXACT // (largest + 1))).astype(np.int64)
    weighted = np.where(rows == INELIGIBLE, np.iinfo(np.int64).max, rows * scaled).min(axis=1)
    return -(-int((weighted * amount).sum()) // int(scaled.sum()))


def _dual_weights(rows: NDArray[np.int64], amount: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [P], the price of each PE's time; equal ones where the program is too large or not solved."""
    pes = rows.shape[1]
    task, pe = np.nonzero(rows != INELIGIBLE)
    if len(task) > _MOST_PAIRS:
        return np.ones(pes)
    from scipy.optimize import linprog  # only here: SciPy takes long to load
    from scipy.sparse import csr_matrix

    pairs = len(task)
    number = np.arange(pairs)
    scale = max(int(rows.max()), 1)
    columns = np.concatenate([number, np.full(pes, pairs)])
    values = np.concatenate([rows[task, pe] / scale, np.full(pes, -1.0)])
    load = csr_matrix((values, (np.concatenate([pe, np.arange(pes)]), columns)), shape=(pes, pairs + 1))
    whole = csr_matrix((np.ones(pairs), (task, number)), shape=(len(rows), pairs + 1))
    cost = np.zeros(pairs + 1)
    cost[-1] = 1.0
    found = linprog(cost, A_ub=load, b_ub=np.zeros(pes), A_eq=whole, b_eq=amount.astype(np.float64), method="highs")
    prices = -found.ineqlin.marginals if found.status == 0 else np.zeros(pes)
    prices = np.maximum(prices, 0.0)
    return prices if prices.sum() > 0 else np.ones(pes)
