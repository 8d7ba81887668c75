"""Instances of DAG scheduling for tests: published examples, small cases with known answers, and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from makespan.envs.soc.instance import Application, Platform, SocInstance

TOPCUOGLU_TIMES = [
    [14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
    [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16],
]  # fmt: skip
TOPCUOGLU_EDGES = [
    (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
    (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
]  # fmt: skip
"""The example of Topcuoglu, Hariri & Wu, IEEE TPDS 13(3), 2002, figure 2."""

PEFT_TIMES = [
    [22, 21, 36], [22, 18, 18], [32, 27, 43], [7, 10, 4], [29, 27, 35],
    [26, 17, 24], [14, 25, 30], [29, 23, 36], [15, 21, 8], [13, 16, 33],
]  # fmt: skip
PEFT_EDGES = [
    (0, 1, 17), (0, 2, 31), (0, 3, 29), (0, 4, 13), (0, 5, 7), (1, 7, 3), (1, 8, 30), (2, 6, 16),
    (3, 7, 11), (3, 8, 7), (4, 8, 57), (5, 7, 5), (6, 9, 9), (7, 9, 42), (8, 9, 7),
]  # fmt: skip
"""The example of Arabnejad & Barbosa, IEEE TPDS 25(3), 2014."""

Edge = tuple[int, int, int]


def application(name: str, times: Sequence[Sequence[int]], edges: Sequence[Edge]) -> Application:
    """An application whose tasks are called by their numbers."""
    table = np.array(edges, dtype=np.int64).reshape(-1, 3)
    names = tuple(f"t{i}" for i in range(len(times)))
    return Application(name, names, np.array(times, dtype=np.int64), table[:, :2], table[:, 2])


def instance(times: Sequence[Sequence[int]], edges: Sequence[Edge], bandwidth: object = 1) -> SocInstance:
    """One application on PEs of one kind (their times may differ)."""
    platform = Platform.of_one_kind("chip", len(times[0]), bandwidth)
    return SocInstance("instance", platform, (application("app", times, edges),))


def topcuoglu() -> SocInstance:
    return instance(TOPCUOGLU_TIMES, TOPCUOGLU_EDGES)


def peft() -> SocInstance:
    return instance(PEFT_TIMES, PEFT_EDGES)


def random_instance(
    rng: np.random.Generator,
    tasks: int,
    pes: int,
    *,
    jobs: int = 1,
    edges: float = 0.4,
    ineligible: float = 0.2,
    longest: int = 9,
    volume: int = 9,
    unequal_links: bool = True,
    arrivals: int = 0,
) -> SocInstance:
    """A random instance, with zero times and zero volumes now and then.

    Args:
        tasks: per job.
        edges: probability of an edge between two tasks.
        ineligible: probability that a PE cannot run a task.
        arrivals: the latest arrival of a job.
    """
    bandwidth = rng.integers(1, 4, (pes, pes)) if unequal_links else np.ones((pes, pes), dtype=np.int64)
    applications = []
    for job in range(jobs):
        times = rng.integers(0, longest + 1, (tasks, pes))
        forbidden = rng.random((tasks, pes)) < ineligible
        forbidden[np.arange(tasks), rng.integers(0, pes, tasks)] = False
        times[forbidden] = -1
        pairs = [(i, j) for i in range(tasks) for j in range(i + 1, tasks) if rng.random() < edges]
        relabelled = rng.permutation(tasks).tolist()
        listed = [(relabelled[i], relabelled[j], int(rng.integers(0, volume + 1))) for i, j in pairs]
        applications.append(application(f"app{job}", times.tolist(), listed))
    rows = [(job, int(rng.integers(0, arrivals + 1))) for job in range(jobs)]
    platform = Platform.of_one_kind("chip", pes, bandwidth)
    return SocInstance("random", platform, tuple(applications), jobs=np.array(rows))
