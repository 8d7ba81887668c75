"""When everything happens in a plan of memory mapping, by the judge, with each loop run through once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .run_time import Piece, run_times
from .schedule import MemoryPlan, Placement, Transfer, segment_of


class Move(NamedTuple):
    """A stretch of time in which a transfer has the HBM channel, picoseconds.

    While an instruction uses the channel as well, `begin` and `end` are stretched over its whole length, and the
    transfer has the `share` of it that the instruction leaves free.
    """

    transfer: Transfer
    begin: float
    end: float
    share: float


class Timeline:
    """The dates of a plan, picoseconds from the begin of the program.

    Attributes:
        plan: whose.
        times: how long what takes.
        begin, end: int64 [T], of each instruction, without the wait before it.
        waits: (begin, end) of each wait for transfers, in order.
        total: the end of the program, each loop run through once.
    """

    def __init__(self, plan: MemoryPlan) -> None:
        self.plan = plan
        self.times = times = run_times(plan)
        instance = plan.instance
        lasts = {last: k for k, (_, last, _) in enumerate(instance.segments)}
        self.begin = np.zeros(instance.num_instructions, dtype=np.int64)
        self.end = np.zeros(instance.num_instructions, dtype=np.int64)
        self.waits: list[tuple[int, int]] = []
        self._end_wait: dict[int, int] = {}
        now = 0
        for t, (length, wait) in enumerate(zip(times.instruction_ps.tolist(), times.wait_ps.tolist(), strict=True)):
            now = self._pass_wait(now, wait)
            self.begin[t], self.end[t] = now, now + length
            now += length
            if t in lasts:
                self._end_wait[lasts[t]] = now
                now = self._pass_wait(now, int(times.end_wait_ps[lasts[t]]))
        self.total = now

    def _pass_wait(self, now: int, wait: int) -> int:
        if wait > 0:
            self.waits.append((now, now + wait))
        return now + wait

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """When each transfer has the channel, in order."""
        transfers = self.plan.transfers
        return tuple(self._move(piece, transfers[piece.transfer]) for piece in self.times.pieces)

    def _move(self, piece: Piece, transfer: Transfer) -> Move:
        t = piece.instruction
        if not piece.waiting:
            supply = int(self.times.supply_ps[t])
            length = int(self.end[t] - self.begin[t])
            start, stretch = int(self.begin[t]), length / supply
            return Move(transfer, start + piece.begin * stretch, start + piece.end * stretch, supply / length)
        segment = segment_of(self.plan.instance, transfer)
        if t > self.plan.instance.segments[segment][1]:
            start = self._end_wait[segment]
        else:
            start = int(self.begin[t] - self.times.wait_ps[t])
        return Move(transfer, float(start + piece.begin), float(start + piece.end), 1.0)

    def held(self, placement: Placement) -> tuple[int, int]:
        """From when to when a strip is held: from the begin of its fetch, if it has one."""
        return int(self._free_from(placement.start)), int(self.end[placement.end])

    def arrives(self, placement: Placement) -> int:
        """When the first access finds the strip in CMEM: before that it is being fetched."""
        if placement.copy is None:
            return self.held(placement)[0]
        before = placement.copy[1]
        return int(self.begin[before]) if before < len(self.begin) else self.total

    def _free_from(self, t: int) -> int:
        """The end of the instruction before."""
        return int(self.end[t - 1]) if t > 0 else 0

    @cached_property
    def ideal_ps(self) -> NDArray[np.int64]:
        """int64 [T], how long each instruction would take with every access where it is faster."""
        instance = self.plan.instance
        return instance.instruction_ps(instance.cmem_ps < instance.hbm_ps)

    @cached_property
    def missed(self) -> NDArray[np.float64]:
        """float64 [T], the share of each instruction's length that accesses left to HBM cost."""
        length = np.maximum(self.times.instruction_ps, 1)
        return np.clip((self.times.instruction_ps - self.ideal_ps) / length, 0.0, 1.0)
