"""Where a shop stands when it is planned from now on: what has begun and goes on, and which machines are down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...envs.core.engine import BatchEngine
from ...envs.core.errors import FieldError, UserError
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.options import JobShopOptions
from ...envs.job_shop.schedule import completion_time
from ...envs.job_shop.state import (
    END,
    INFINITY,
    JOB_STATUS,
    MACHINE,
    NEXT_DOWN,
    NEXT_UP,
    PAUSED,
    POSITION,
    PROCESSING,
    REMAINING,
    TIME,
    UP,
)

WindowList = list[tuple[int, int]]
WindowTable = tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, eq=False)
class StartState:
    """A shop at a time, as a plan from there on needs it.

    Attributes:
        time: now; what has not begun starts at this time at the earliest.
        start: int64 [n, L], when each operation that has begun did so; -1 for all others.
        completion: int64 [n, L], when each operation that has begun was or will be completed, by the down-times that
            are known; -1 for all others.
        windows: per machine the down-times ``(begin, end)`` known now that end after `time`, sorted and apart: a repair
            under way, and what is announced. Empty where there are none.
    """

    time: int
    start: NDArray[np.int64]
    completion: NDArray[np.int64]
    windows: WindowTable = ()

    @classmethod
    def empty(cls, instance: JobShopInstance, windows: WindowTable = ()) -> StartState:
        """The shop at time 0, before anything has begun."""
        nothing = np.full(instance.times.shape, -1, dtype=np.int64)
        return cls(0, nothing, nothing, windows)

    @classmethod
    def of(cls, instance: JobShopInstance, options: JobShopOptions) -> StartState:
        """The shop where an instance begins, with the down-times to plan for.

        Raises:
            UserError: a breakdown will destroy a piece that is being processed: no plan can say what follows.
        """
        windows = instance.downtimes if options.law == "windows" else ()
        now = instance.start
        if now is None:
            return cls.empty(instance, windows)
        windows = tuple(tuple(window for window in machine if window[1] > now.time) for machine in windows)
        start, completion = now.dates(instance)
        for j, job in enumerate(now.jobs):
            if job.since < 0:
                continue
            machine = int(instance.machines[j, job.finished])
            resumes, left, ahead = now.time, job.remaining, list(windows[machine]) if windows else []
            time = int(instance.times[j, job.finished])
            if ahead and ahead[0][0] < now.time:  # it is interrupted
                resumes, left = ahead.pop(0)[1], time if options.on_breakdown == "repeat" else left
            end, lost = expected_end(resumes, left, time, ahead, options.on_breakdown)
            if lost:
                raise UserError(
                    f"instance {instance.name!r}: a breakdown of machine {machine} destroys the piece of job {j} at "
                    f"{end}, so that no plan can be made at the start"
                )
            completion[j, job.finished] = end
        return cls(now.time, start, completion, windows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has begun."""
        return bool((self.start < 0).all())

    def has_begun(self, operation: tuple[int, int]) -> bool:
        """Whether an operation (job, step) began before this state."""
        return bool(self.start[operation] >= 0)

    def check(self, instance: JobShopInstance, blocking: str) -> None:
        """Raise where the state contradicts itself or its instance.

        Args:
            blocking: "none", "swap" or "no-swap".

        Raises:
            FieldError: a table has another shape; an operation has begun before the one ahead of it is completed; or a
                machine holds two jobs.
        """
        for name, table in (("start", self.start), ("completion", self.completion)):
            if table.shape != instance.times.shape:
                raise FieldError(f"state.{name}", table.shape, f"a table of shape {instance.times.shape}")
        if not np.array_equal(self.start >= 0, self.completion >= 0):
            raise FieldError("state.completion", "a table", "a time for each operation that has begun, else -1")
        held: dict[int, int] = {}
        for job, length in enumerate(instance.lengths.tolist()):
            self._check_route(job, length)
            last = int((self.start[job] >= 0).sum()) - 1
            if last < 0 or (self.completion[job, last] <= self.time and (blocking == "none" or last == length - 1)):
                continue
            machine = int(instance.machines[job, last])
            if machine in held:
                raise FieldError(f"state, machine {machine}", f"jobs {held[machine]} and {job}", "one job at most")
            held[machine] = job

    def _check_route(self, job: int, length: int) -> None:
        for k in range(length):
            begin = int(self.start[job, k])
            if begin < 0:
                continue
            if begin > self.time:
                raise FieldError(f"state.start[{job}][{k}]", begin, f"a time up to now, {self.time}")
            if self.completion[job, k] < begin:
                raise FieldError(f"state.completion[{job}][{k}]", int(self.completion[job, k]), f"{begin} or later")
        for k, following in pairwise(range(length)):
            begin, ready = int(self.start[job, following]), int(self.completion[job, k])
            if begin >= 0 and not 0 <= ready <= begin:
                expected = "-1, since the operation before has not begun" if ready < 0 else f"-1, or {ready} or later"
                raise FieldError(f"state.start[{job}][{following}]", begin, expected)


def read_start(engine: BatchEngine, copy: int, instance: JobShopInstance, options: JobShopOptions) -> StartState | None:
    """The present of an engine's copy, imagined ones included, as far as whoever chooses knows it.

    Args:
        engine: of job shops; a repair under way must end when it is expected to (see `expect_repairs`).
        instance: that the copy plays, as far as it is known.

    Returns:
        None where an announced breakdown will destroy a piece that is being processed: no plan can say what follows.
    """
    n, steps = instance.times.shape
    now = int(engine.state.clock[copy, TIME])
    windows = _known_windows(engine, copy, instance, options)
    start = engine.state.start[copy, :n, :steps].copy()
    completion = engine.state.completion[copy, :n, :steps].copy()
    for j, row in enumerate(engine.state.job[copy, :n].tolist()):
        if row[JOB_STATUS] not in (PROCESSING, PAUSED):
            continue
        k, m = row[POSITION], row[MACHINE]
        resumes, remaining = now, row[END] - now
        if row[JOB_STATUS] == PAUSED:
            resumes, remaining = int(engine.state.window[copy, m, NEXT_UP]), row[REMAINING]
        ahead = [window for window in windows[m] if window[0] >= resumes] if windows else []
        time = int(instance.times[j, k])
        completion[j, k], lost = expected_end(resumes, remaining, time, ahead, options.on_breakdown)
        if lost:
            return None
    return StartState(now, start, completion, windows)


def expected_end(resumes: int, remaining: int, time: int, ahead: WindowList, on_breakdown: str) -> tuple[int, bool]:
    """When an operation that has begun ends, and whether its piece is lost then.

    Args:
        resumes: when it goes on.
        remaining: processing time that it needs then.
        time: its processing time in all.
        ahead: down-times of its machine from then on.
    """
    if on_breakdown == "repeat":  # what is cut starts over, not from when it resumes
        resumes, remaining = resumes + remaining - time, time
    return completion_time(resumes, remaining, ahead, on_breakdown)


def expect_repairs(engine: BatchEngine, options: JobShopOptions) -> None:
    """Where the length of a repair is hidden let every one under way last as long as the mean, in an imagined engine.

    Given how long it has lasted. Where the instance holds the breakdowns there is no mean, and the world as imagined
    stands.
    """
    if options.repair_visible or options.law in ("none", "windows"):
        return
    for copy in range(engine.num_copies):
        now = int(engine.state.clock[copy, TIME])
        for row in engine.state.window[copy]:
            if row[UP] == 0:
                row[NEXT_UP] = now + mean_repair_left(options, now - int(row[NEXT_DOWN]))


def mean_repair_left(options: JobShopOptions, elapsed: int) -> int:
    """Mean time that a repair still takes after `elapsed`, rounded, at least 1; laws "bernoulli" and "exponential"."""
    if options.law == "bernoulli":  # uniform on 10..50
        mean = (max(10, elapsed + 1) + 50) / 2 - elapsed
    else:  # the exponential law rounded up is memoryless
        mean = -1.0 / math.expm1(-1.0 / options.mttr)
    return max(round(mean), 1)


def _known_windows(engine: BatchEngine, copy: int, instance: JobShopInstance, options: JobShopOptions) -> WindowTable:
    now = int(engine.state.clock[copy, TIME])
    rows = engine.state.window[copy, : instance.num_machines].tolist()
    if options.law == "windows" and options.known_windows:
        listed = instance.downtimes or ((),) * instance.num_machines
        return tuple(tuple((b, e) for b, e in machine if e > now) for machine in listed)
    # Under the busy clock a breakdown has no date before its machine has processed.
    announced = options.known_windows and options.clock == "calendar"
    known = [row[UP] == 0 or (announced and row[NEXT_DOWN] < INFINITY) for row in rows]
    return tuple(((row[NEXT_DOWN], row[NEXT_UP]),) if shown else () for row, shown in zip(rows, known, strict=True))
