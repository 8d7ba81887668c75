"""Where a shop's instances come from: a fixed list, or a family of random ones, one for each episode's seed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import source as core
from ..core.compile import compiled
from ..core.random import mix
from . import state as d
from .generator import RANDOM_TAG, draw_size, fill_random, parse_sizes, random_instance, resolve
from .instance import JobShopInstance
from .measure import measure


@compiled
def load_copy(problem, i, times, routes, lengths, machines, windows):
    """Load one instance into copy i."""
    problem.route[i, :, :] = -1
    problem.time[i, :, :] = 0
    problem.length[i, :] = 0
    problem.windows[i, :, :, :] = d.INFINITY
    for j in range(len(lengths)):
        problem.length[i, j] = lengths[j]
        for k in range(lengths[j]):
            problem.route[i, j, k] = routes[j, k]
            problem.time[i, j, k] = times[j, k]
    for m in range(windows.shape[0]):
        for w in range(min(windows.shape[1], problem.windows.shape[2])):
            problem.windows[i, m, w, 0] = windows[m, w, 0]
            problem.windows[i, m, w, 1] = windows[m, w, 1]
    problem.dims[i, d.DIM_MACHINES] = machines
    measure(problem, i)


@compiled
def generate_copy(problem, i, seed, size_table):
    """Fill copy i with the random instance of its episode's seed."""
    key = mix(np.uint64(seed) ^ np.uint64(RANDOM_TAG))
    row = draw_size(key, size_table.shape[0])
    jobs, machines = size_table[row, 0], size_table[row, 1]
    route, time, length = problem.route[i], problem.time[i], problem.length[i]
    for j in range(len(length)):
        length[j] = machines if j < jobs else 0
        for k in range(route.shape[1]):
            route[j, k] = -1
            time[j, k] = 0
    fill_random(time, route, jobs, machines, key)
    problem.dims[i, d.DIM_MACHINES] = machines
    measure(problem, i)


class InstanceSource(core.InstanceSource[JobShopInstance, tuple[int, int]]):
    """The shops that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
        sizes: (jobs, machines) of a family of random instances; an episode's seed makes one. Exactly one of the two.
    """

    instance_type = JobShopInstance
    _resolve = staticmethod(resolve)
    _parse_sizes = staticmethod(parse_sizes)

    def __init__(self, instances: Sequence[JobShopInstance] = (), sizes: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(instances, sizes)
        self.size_table = np.array(self.sizes, dtype=np.int64).reshape(-1, 2)
        shapes = [(x.num_jobs, x.num_machines, x.times.shape[1]) for x in self._instances]
        shapes += [(jobs, machines, machines) for jobs, machines in self.sizes]
        self.room: tuple[int, int, int] = tuple(max(column) for column in zip(*shapes, strict=True))  # type: ignore[assignment]
        windows = [len(machine) for instance in self._instances for machine in instance.downtimes]
        self.most_windows = max(windows, default=0)
        self._bare: InstanceSource | None = None

    def _random(self, seed: int) -> JobShopInstance:
        return random_instance(self.sizes, seed)

    def without_windows(self) -> InstanceSource:
        """The same instances without their down-times, and as much room: what imagined worlds may hold."""
        if self._bare is None or len(self._bare._instances) != len(self._instances):
            self._bare = copy(self)
            self._bare._instances = [replace(instance, windows=()) for instance in self._instances]
            self._bare._names, self._bare._bare = dict(self._names), None
        return self._bare

    def all_sizes(self) -> list[tuple[int, int]]:
        """The different (jobs, machines) that may be played, sorted."""
        fixed = {(instance.num_jobs, instance.num_machines) for instance in self._instances[: self._fixed]}
        return sorted(fixed | set(self.sizes))

    def load(
        self, problem: Any, copies: NDArray[np.int64], chosen: NDArray[np.int64], previous: NDArray[np.int64]
    ) -> None:
        """Load the chosen instances into the given copies, leaving those alone that hold theirs already.

        Those made from a seed (-1) are left to `generate_copy`.
        """
        for i, index, old in zip(copies.tolist(), chosen.tolist(), previous.tolist(), strict=True):
            if index >= 0 and index != old:
                instance = self._instances[index]
                load_copy(
                    problem,
                    i,
                    instance.times,
                    instance.machines,
                    instance.lengths,
                    instance.num_machines,
                    _window_table(instance),
                )


def _window_table(instance: JobShopInstance) -> NDArray[np.int64]:
    windows = instance.downtimes
    most = max((len(machine) for machine in windows), default=0)
    table = np.full((len(windows), most, 2), d.INFINITY, dtype=np.int64)
    for m, machine in enumerate(windows):
        for w, window in enumerate(machine):
            table[m, w] = window
    return table
