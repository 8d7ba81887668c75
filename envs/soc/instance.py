"""The static data of a DAG scheduling problem: a platform, applications, and what is played of them.

The model is specified in ``docs/environments/soc.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

INELIGIBLE = -1
"""Entry of `Application.times` where a processing element cannot run a task."""


@dataclass(frozen=True)
class Kind:
    """A kind of processing elements (PEs).

    Attributes:
        name: for example "A7".
        levels: (frequency in MHz, voltage in mV) of each level, ascending; at least one.
        power_mw: for each level the power of the kind's PEs with 1, 2, … of them active, milliwatts.
        idle_mw: for each level what one idle PE leaks, milliwatts.
    """

    name: str
    levels: tuple[tuple[int, int], ...] = ((1000, 1000),)
    power_mw: tuple[tuple[int, ...], ...] = ((1000,),)
    idle_mw: tuple[int, ...] = (0,)


@dataclass(frozen=True, eq=False)
class Platform:
    """Processing elements and what joins them.

    Attributes:
        name: how it is called.
        kinds: the kinds of PEs.
        kind: int64 [P], which kind each PE is of; PEs of a kind lie side by side.
        bandwidth: int64 [P, P], volume units per time unit; the diagonal is not looked at.
        memory_bandwidth: int64 [P], to and from the shared memory.
    """

    name: str
    kinds: tuple[Kind, ...]
    kind: NDArray[np.int64]
    bandwidth: NDArray[np.int64]
    memory_bandwidth: NDArray[np.int64]

    @property
    def num_pes(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, eq=False)
class Application:
    """A DAG of tasks.

    Attributes:
        name: how it is called.
        tasks: a name for each task, no two alike.
        times: int64 [T, P], mean time on each PE at the highest level, `INELIGIBLE` where it cannot run.
        edges: int64 [E, 2], (producer, consumer), sorted, no two alike.
        volumes: int64 [E].
    """

    name: str
    tasks: tuple[str, ...]
    times: NDArray[np.int64]
    edges: NDArray[np.int64]
    volumes: NDArray[np.int64]

    @property
    def num_tasks(self) -> int:
        return len(self.tasks)


@dataclass(frozen=True, eq=False)
class SocInstance:
    """What is played.

    Attributes:
        name: how it is called.
        platform: what tasks run on.
        applications: A of them.
        mix: float64 [A], how likely each is in a stream, sums to 1.
        jobs: int64 [J, 2], (application, arrival) of the static problem, sorted by arrival; by default each application
            once, at time 0.
        unit: of time, for tables.
        source: where it comes from; may be empty.
    """

    name: str
    platform: Platform
    applications: tuple[Application, ...]
    mix: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    jobs: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    unit: str = "us"
    source: str = ""

    @property
    def num_pes(self) -> int:
        return self.platform.num_pes

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """int64 [P], the group of each PE: PEs that are alike (kind, times, bandwidths), numbered by their first."""
        platform = self.platform
        found: list[int] = []
        result = np.zeros(platform.num_pes, dtype=np.int64)
        for p in range(platform.num_pes):
            for number, q in enumerate(found):
                if self._alike(p, q):
                    result[p] = number
                    break
            else:
                result[p] = len(found)
                found.append(p)
        return result

    def _alike(self, p: int, q: int) -> bool:
        """Whether two PEs can be exchanged for each other."""
        platform = self.platform
        others = [r for r in range(platform.num_pes) if r not in (p, q)]
        return bool(
            platform.kind[p] == platform.kind[q]
            and platform.memory_bandwidth[p] == platform.memory_bandwidth[q]
            and (platform.bandwidth[p, others] == platform.bandwidth[q, others]).all()
            and (platform.bandwidth[others, p] == platform.bandwidth[others, q]).all()
            and platform.bandwidth[p, q] == platform.bandwidth[q, p]
            and all((x.times[:, p] == x.times[:, q]).all() for x in self.applications)
        )
