"""The alternative graph of a job shop: what has to be ordered, and what an order means (Mascis & Pacciarelli 2002).

"Job-shop scheduling with blocking and no-wait constraints", European Journal of Operational Research 143(3). A node is
a *stay* of a job on a machine: one operation, or under blocking all those in a row on one machine, between which the
job cannot leave. Two stays x, y of different jobs on a machine are a pair: x first is the arc exit(x) -> y, y first is
exit(y) -> x. Under blocking exit(x) is the job's next stay, whose start sets the machine free, and the arc has length
zero; for a last stay, and in the classical shop, it is x itself, and the arc has the length of its time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import FieldError
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import BLOCKING, JobShopSchedule


class Shop(NamedTuple):
    """An alternative graph as compiled code reads it: N nodes, those of a job one after the other.

    Attributes:
        job, machine: int32 [N].
        position: int32 [N], of the node on its job's route, from 0.
        time: int64 [N], processing time of the stay.
        rest: int64 [N], processing time of the stay and of all that come after it on the job's route.
        last: bool [N], whether the job leaves the shop after it.
        exit: int32 [N], the node whose start (another node) or end (itself) sets the machine free.
        first: int32 [n + 1], the first node of each job; behind them N.
        first_on: int32 [n, m], the first node of a job on a machine, else -1.
        next_on: int32 [N], the next node of the same job on the same machine, else -1.
        swap: whether jobs may change places in a cycle of arcs of length zero.
    """

    job: NDArray[np.int32]
    machine: NDArray[np.int32]
    position: NDArray[np.int32]
    time: NDArray[np.int64]
    rest: NDArray[np.int64]
    last: NDArray[np.bool_]
    exit: NDArray[np.int32]
    first: NDArray[np.int32]
    first_on: NDArray[np.int32]
    next_on: NDArray[np.int32]
    swap: bool


class Orders(NamedTuple):
    """The order of the nodes of each machine, all pairs decided.

    Attributes:
        sequence: int32 [m, W], nodes in their order, -1 behind the last.
        place: int32 [N], of each node in its machine's sequence.
    """

    sequence: NDArray[np.int32]
    place: NDArray[np.int32]

    def copy(self) -> Orders:
        """A copy that shares nothing with this one."""
        return Orders(self.sequence.copy(), self.place.copy())


class AlternativeGraph:
    """The alternative graph of an instance, without down-times: whoever plans does not foresee them.

    Args:
        instance: routes may differ in length and visit machines again.
        blocking: "none" (classical), "swap" (BWS) or "no-swap" (BNS).

    Attributes:
        shop: the graph.
        members: of each machine its nodes, in the order of jobs.

    Raises:
        FieldError: blocking is something else.
    """

    def __init__(self, instance: JobShopInstance, blocking: str) -> None:
        if blocking not in BLOCKING:
            raise FieldError("blocking", blocking, f"one of {BLOCKING}")
        self.instance, self.blocking = instance, blocking
        self._heads = _first_operations(instance, blocking)  # (job, operation) of each node
        self.shop = self._make_shop()
        by_machine: list[list[int]] = [[] for _ in range(instance.num_machines)]
        for node, machine in enumerate(self.shop.machine.tolist()):
            by_machine[machine].append(node)
        self.members = by_machine

    @property
    def num_nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self._heads)

    def _make_shop(self) -> Shop:
        instance, heads = self.instance, self._heads
        job = np.array([j for j, _ in heads], dtype=np.int32)
        machine = np.array([instance.machines[head] for head in heads], dtype=np.int32)
        first = np.searchsorted(job, np.arange(instance.num_jobs + 1)).astype(np.int32)
        nodes = np.arange(len(heads), dtype=np.int32)
        last = nodes == first[job + 1] - 1
        ends = [instance.lengths[j] if last[v] else heads[v + 1][1] for v, (j, _) in enumerate(heads)]
        time = [instance.times[j, k:end].sum() for (j, k), end in zip(heads, ends, strict=True)]
        rest = [instance.times[j, k:].sum() for j, k in heads]
        first_on = np.full((instance.num_jobs, instance.num_machines), -1, dtype=np.int32)
        next_on = np.full(len(heads), -1, dtype=np.int32)
        for v in reversed(nodes.tolist()):
            next_on[v] = first_on[job[v], machine[v]]
            first_on[job[v], machine[v]] = v
        return Shop(
            job,
            machine,
            nodes - first[job],
            np.array(time, dtype=np.int64),
            np.array(rest, dtype=np.int64),
            last,
            nodes if self.blocking == "none" else np.where(last, nodes, nodes + 1).astype(np.int32),
            first,
            first_on,
            next_on,
            self.blocking == "swap",
        )

    def orders(self, key: NDArray[np.int64]) -> Orders:
        """Each machine's nodes by a key [N], ties by number."""
        width = max(len(members) for members in self.members)
        sequence = np.full((len(self.members), width), -1, dtype=np.int32)
        place = np.zeros(self.num_nodes, dtype=np.int32)
        for machine, members in enumerate(self.members):
            ordered = sorted(members, key=lambda v: (key[v], v))
            sequence[machine, : len(members)] = ordered
            place[ordered] = np.arange(len(members))
        return Orders(sequence, place)

    def orders_of(self, ranks: NDArray[np.int64]) -> Orders:
        """Each machine's nodes by the ranks of their first operations, [n, L] as a plan orders its moves."""
        return self.orders(np.array([ranks[head] for head in self._heads], dtype=np.int64))

    def schedule(self, heads: NDArray[np.int64]) -> JobShopSchedule:
        """The schedule in which each node starts at its head: int64 [N]."""
        instance = self.instance
        start = np.full(instance.times.shape, -1, dtype=np.int64)
        for head, (j, k) in zip(heads.tolist(), self._heads, strict=True):
            start[j, k] = head
        for j, length in enumerate(instance.lengths.tolist()):
            for k in range(1, length):
                if start[j, k] < 0:  # on the machine where its job stands
                    start[j, k] = start[j, k - 1] + instance.times[j, k - 1]
        completion = np.where(start >= 0, start + instance.times, -1)
        return JobShopSchedule(instance, self.blocking, start, completion)


def _first_operations(instance: JobShopInstance, blocking: str) -> list[tuple[int, int]]:
    """(job, operation) with which each stay begins."""
    machines = instance.machines
    return [
        (j, k)
        for j, length in enumerate(instance.lengths.tolist())
        for k in range(length)
        if k == 0 or blocking == "none" or machines[j, k] != machines[j, k - 1]
    ]
