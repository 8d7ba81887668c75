"""How long a plan of memory mapping takes: by the proxy and by both judges.

Written from ``docs/environments/memory_mapping.md`` in plain Python, apart from the compiled game.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .schedule import MemoryPlan, due, segment_of
from .shared_judge import shared_run_time


@dataclass(frozen=True)
class Piece:
    """A stretch of time in which a transfer has the channel.

    Attributes:
        transfer: its number in `MemoryPlan.transfers`.
        instruction: during which it is moved, or before which if `waiting`; the segment's last one plus 1 at its end.
        waiting: whether that instruction waits meanwhile.
        begin, end: picoseconds of the wait, or of the time for which the instruction leaves the channel free.
    """

    transfer: int
    instruction: int
    waiting: bool
    begin: int
    end: int


@dataclass(frozen=True)
class RunTimes:
    """How long a plan takes, in picoseconds. A plan that places nothing takes `all_hbm_ps` by all of them.

    Attributes:
        all_hbm_ps: with everything in HBM.
        proxy_ps: without what transfers cost.
        judged_ps: with waits, where instructions have priority on HBM and transfers queue.
        shared_ps: with waits, where instructions and transfers share HBM equally.
        instruction_ps: int64 [T], e_t of each instruction, once.
        wait_ps: int64 [T], how long each instruction waits for transfers by the judge, once.
        end_wait_ps: int64 [K], how long the end of each segment waits, once.
        moved_ps: int64 [T], what transfers take of the channel during each instruction, once.
        supply_ps: int64 [T], what each instruction leaves them.
        pieces: when each transfer is moved by the judge, in order.
    """

    all_hbm_ps: int
    proxy_ps: int
    judged_ps: int
    shared_ps: int
    instruction_ps: NDArray[np.int64]
    wait_ps: NDArray[np.int64]
    end_wait_ps: NDArray[np.int64]
    moved_ps: NDArray[np.int64]
    supply_ps: NDArray[np.int64]
    pieces: tuple[Piece, ...]


def run_times(plan: MemoryPlan) -> RunTimes:
    """How long a well-formed plan takes. It need not be valid: transfers that fit nowhere are waited for."""
    instance = plan.instance
    instruction_ps = instance.instruction_ps(plan.served)
    supply = instruction_ps - hbm_traffic(plan)
    queue = _Queue(plan, supply.tolist())
    for k in range(len(instance.segments)):
        queue.run_segment(k)
    trips = np.array([trips for _, _, trips in instance.segments], dtype=np.int64)
    proxy = int((instance.trips * instruction_ps).sum())
    waits = int((instance.trips * queue.wait).sum() + (trips * queue.end_wait).sum())
    return RunTimes(
        instance.all_hbm_ps,
        proxy,
        proxy + waits,
        shared_run_time(plan),
        instruction_ps,
        queue.wait,
        queue.end_wait,
        queue.moved,
        supply,
        tuple(queue.pieces),
    )


def hbm_traffic(plan: MemoryPlan) -> NDArray[np.int64]:
    """int64 [T], how long each instruction uses HBM for the accesses that CMEM does not serve, picoseconds."""
    instance = plan.instance
    traffic = np.zeros(instance.num_instructions, dtype=np.int64)
    np.add.at(traffic, instance.access_instruction, np.where(plan.served, 0, instance.hbm_ps))
    return traffic


class _Queue:
    """The judge's queue of transfers, first come first served."""

    def __init__(self, plan: MemoryPlan, supply: list[int]) -> None:
        self._instance, self._supply = plan.instance, supply
        self._transfers = plan.transfers
        self._left = [transfer.work_ps for transfer in plan.transfers]
        self._due = [due(plan.instance, transfer) for transfer in plan.transfers]
        self._by_segment: list[list[int]] = [[] for _ in plan.instance.segments]
        for number, transfer in enumerate(plan.transfers):
            self._by_segment[segment_of(plan.instance, transfer)].append(number)
        self._coming: deque[int] = deque()
        self._waiting: deque[int] = deque()
        self.wait = np.zeros(plan.instance.num_instructions, dtype=np.int64)
        self.end_wait = np.zeros(len(plan.instance.segments), dtype=np.int64)
        self.moved = np.zeros(plan.instance.num_instructions, dtype=np.int64)
        self.pieces: list[Piece] = []

    def run_segment(self, number: int) -> None:
        """One trip through a segment; all of its transfers are done at its end."""
        first, last, _ = self._instance.segments[number]
        self._coming.extend(self._by_segment[number])
        for t in range(first, last + 1):
            self._admit(t)
            self.wait[t] = self._finish(t)
            self._work(t)
        self._admit(last + 1)
        self.end_wait[number] = self._finish(last + 1)

    def _admit(self, t: int) -> None:
        """Let those transfers queue that may begin once instruction t - 1 has ended."""
        while self._coming and self._transfers[self._coming[0]].after < t:
            self._waiting.append(self._coming.popleft())

    def _finish(self, t: int) -> int:
        """The time until all transfers that instruction t waits for are done, and those before them in the queue."""
        awaited = max((k for k, number in enumerate(self._waiting) if self._due[number] <= t), default=-1)
        now = 0
        for _ in range(awaited + 1):
            number = self._waiting.popleft()
            now = self._move(number, t, True, now, self._left[number])
        return now

    def _work(self, t: int) -> None:
        """Move what instruction t leaves the channel free for."""
        done = 0
        while self._waiting and done < self._supply[t]:
            number = self._waiting[0]
            done = self._move(number, t, False, done, min(self._supply[t] - done, self._left[number]))
            if self._left[number] == 0:
                self._waiting.popleft()
        self.moved[t] = done

    def _move(self, number: int, t: int, waiting: bool, begin: int, amount: int) -> int:
        """Give a transfer the channel; returns when it ends."""
        if amount > 0:
            self.pieces.append(Piece(number, t, waiting, begin, begin + amount))
        self._left[number] -= amount
        return begin + amount
