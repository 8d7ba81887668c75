"""The second judge: an instruction's HBM traffic and all transfers under way share the channel equally.

Processor sharing: with n of them under way each moves at the n-th part of the channel's speed. A clock of *service*,
what each one under way has had, says when each is done, so that an event costs the logarithm of their number.
"""

from __future__ import annotations

import heapq

import numpy as np

from .schedule import MemoryPlan, Transfer, due, segment_of


def shared_run_time(plan: MemoryPlan) -> int:
    """How long a plan takes by the judge of equal shares, picoseconds.

    Sharing makes fractions of a picosecond, in floating point; each segment's time is rounded.
    """
    instance = plan.instance
    hbm = np.zeros(instance.num_instructions, dtype=np.int64)
    cmem = np.zeros(instance.num_instructions, dtype=np.int64)
    np.add.at(hbm, instance.access_instruction, np.where(plan.served, 0, instance.hbm_ps))
    np.add.at(cmem, instance.access_instruction, np.where(plan.served, instance.cmem_ps, 0))
    by_segment: list[list[Transfer]] = [[] for _ in instance.segments]
    for transfer in plan.transfers:
        by_segment[segment_of(instance, transfer)].append(transfer)
    total = 0
    for (first, last, trips), transfers in zip(instance.segments, by_segment, strict=True):
        channel = _Channel()
        pending = list(reversed(transfers))
        dues: dict[int, list[int]] = {}
        for t in range(first, last + 2):
            while pending and pending[-1].after < t:
                transfer = pending.pop()
                dues.setdefault(due(instance, transfer), []).append(channel.add(transfer.work_ps))
            for number in dues.pop(t, ()):
                channel.run_until_done(number)
            if t <= last:
                _run_instruction(channel, int(hbm[t]), int(cmem[t]), int(instance.compute_ps[t]))
                channel.run_for(instance.hardware.overhead_ps)
        total += trips * round(channel.now)
    return total


def _run_instruction(channel: _Channel, hbm: int, cmem: int, compute: int) -> None:
    """Its HBM traffic, then its CMEM traffic, beside the computation."""
    begin = channel.now
    if hbm:
        channel.run_until_done(channel.add(hbm))
    channel.run_for(cmem)
    channel.run_for(begin + compute - channel.now)


class _Channel:
    """A channel that those under way share equally."""

    def __init__(self) -> None:
        self.now = 0.0
        self._service = 0.0  # what each one that has been under way since the begin has had
        self._ends: list[tuple[float, int]] = []  # heap: service at which each one is done
        self._done: list[bool] = []

    def add(self, work: int) -> int:
        """Begin to move something now; returns its number."""
        heapq.heappush(self._ends, (self._service + work, len(self._done)))
        self._done.append(False)
        return len(self._done) - 1

    def run_for(self, time: float) -> None:
        """Let time pass."""
        until = self.now + max(time, 0.0)
        while self._ends:
            ready = self.now + (self._ends[0][0] - self._service) * len(self._ends)
            if ready > until:
                break
            self._finish_first(ready)
        if self._ends:
            self._service += (until - self.now) / len(self._ends)
        self.now = until

    def run_until_done(self, number: int) -> None:
        """Let time pass until something is done; at once if it is."""
        while not self._done[number]:
            self._finish_first(self.now + (self._ends[0][0] - self._service) * len(self._ends))

    def _finish_first(self, when: float) -> None:
        self._service, number = heapq.heappop(self._ends)
        self._done[number] = True
        self.now = when
