"""The static problem as compiled schedulers read it, the room that they work in, and the plans that they make."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.soc.instance import SocInstance
from ...envs.soc.measure import Graph, graph_of
from ...envs.soc.schedule import scaled_times


class Plan(NamedTuple):
    """Where and when each task of all jobs runs.

    Tasks are numbered job by job, in the order of ``instance.jobs``: task x of job j is ``offset[j] + x``.

    Attributes:
        pe, start, finish: int64 [N].
    """

    pe: NDArray[np.int64]
    start: NDArray[np.int64]
    finish: NDArray[np.int64]

    @property
    def makespan(self) -> int:
        """When the last task ends."""
        return int(self.finish.max())


class Problem(NamedTuple):
    """All jobs of an instance as one graph of N tasks.

    Attributes:
        graph: of all tasks, numbered as in `Plan`; it has as many components as the jobs have.
        arrival: int64 [N], of each task's job.
        position: int64 [N], place of each task in the topological order.
        link_bandwidth, link_count: int64 [K], the different bandwidths between distinct PEs, and how many ordered
            pairs have each.
    """

    graph: Graph
    arrival: NDArray[np.int64]
    position: NDArray[np.int64]
    link_bandwidth: NDArray[np.int64]
    link_count: NDArray[np.int64]


class Room(NamedTuple):
    """What a scheduler writes: the plan, the PEs' timelines, and scratch.

    Attributes:
        pe, start, finish: int64 [N], the plan.
        slot_start, slot_finish: int64 [P, N], each PE's tasks in the order of their times.
        filled: int64 [P], how many each has.
        missing, heap, list, chosen: int64 [N], scratch.
        priority, key: float64 [N], scratch.
        data: int64 [N, P], when data is there, scratch.
    """

    pe: NDArray[np.int64]
    start: NDArray[np.int64]
    finish: NDArray[np.int64]
    slot_start: NDArray[np.int64]
    slot_finish: NDArray[np.int64]
    filled: NDArray[np.int64]
    missing: NDArray[np.int64]
    heap: NDArray[np.int64]
    list: NDArray[np.int64]
    chosen: NDArray[np.int64]
    priority: NDArray[np.float64]
    key: NDArray[np.float64]
    data: NDArray[np.int64]

    @classmethod
    def of(cls, problem: Problem) -> Room:
        """Room for a problem's tasks and PEs."""
        tasks, pes = problem.graph.times.shape

        def integers(*shape: int) -> NDArray[np.int64]:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            pe=integers(tasks),
            start=integers(tasks),
            finish=integers(tasks),
            slot_start=integers(pes, tasks),
            slot_finish=integers(pes, tasks),
            filled=integers(pes),
            missing=integers(tasks),
            heap=integers(tasks),
            list=integers(tasks),
            chosen=integers(tasks),
            priority=np.zeros(tasks),
            key=np.zeros(tasks),
            data=integers(tasks, pes),
        )

    def plan(self) -> Plan:
        """A copy of the plan that stands here."""
        return Plan(self.pe.copy(), self.start.copy(), self.finish.copy())


def problem_of(instance: SocInstance, levels: tuple[int, ...] = ()) -> Problem:
    """The static problem of an instance.

    Args:
        levels: at which level the PEs of each kind run; empty: the highest.
    """
    platform = instance.platform
    graphs = [graph_of(application, platform) for application in instance.applications]
    times = [scaled_times(application, platform, levels) for application in instance.applications]
    jobs = instance.jobs.tolist()
    counts = np.array([len(times[a]) for a, _ in jobs], dtype=np.int64)
    edges = np.array([len(graphs[a].out_task) for a, _ in jobs], dtype=np.int64)
    offset, first_edge = counts.cumsum() - counts, edges.cumsum() - edges

    def join(name: str, shift: NDArray[np.int64] | None = None, keep: slice = slice(None)) -> NDArray[np.int64]:
        parts = [getattr(graphs[a], name)[keep] for a, _ in jobs]
        if shift is not None:
            parts = [part + by for part, by in zip(parts, shift, strict=True)]
        return np.concatenate(parts)

    order = join("order", offset)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    total_edges = int(edges.sum())
    graph = Graph(
        np.concatenate([times[a] for a, _ in jobs]),
        platform.bandwidth.copy(),
        order,
        np.append(join("first_out", first_edge, slice(-1)), total_edges),
        join("out_task", offset),
        join("out_volume"),
        np.append(join("first_in", first_edge, slice(-1)), total_edges),
        join("in_task", offset),
        join("in_volume"),
    )
    between = platform.bandwidth[~np.eye(platform.num_pes, dtype=np.bool_)]
    link_bandwidth, link_count = np.unique(between, return_counts=True)
    arrival = np.repeat(instance.jobs[:, 1], counts)
    return Problem(graph, arrival, position, link_bandwidth, link_count.astype(np.int64))
