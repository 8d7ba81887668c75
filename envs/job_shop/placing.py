"""Puts a shop into a start state: writes the tables as they would be, had the shop come there by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from . import state as d
from .instance import JobShopInstance
from .options import JobShopOptions
from .start import ShopStart


def check_start(instance: JobShopInstance, options: JobShopOptions) -> None:
    """Raise where an instance has a start state in which an environment cannot begin.

    Raises:
        UserError: machines are down or break down, but not by the law "windows"; or see `ShopStart.check_blocking`.
    """
    start = instance.start
    if start is None:
        return
    if options.law not in ("none", "windows"):
        raise UserError(
            f"instance {instance.name!r} has a start state, which law={options.law!r} cannot go on from; "
            "use law=none or law=windows"
        )
    if start.down and options.law == "none":
        raise UserError(
            f"instance {instance.name!r}: machine {start.down[0][0]} is down at the start, but law='none' knows no "
            "down-times; use law=windows and known_windows=true"
        )
    start.check_blocking(instance, options.blocking)


def place(
    problem: Any, state: Any, copies: NDArray[np.int64], instance: JobShopInstance, options: JobShopOptions
) -> None:
    """Put copies, whose problem has been loaded and whose episode has begun, into the start state of their instance.

    The events of its time are still to happen.
    """
    start = instance.start
    assert start is not None
    jobs, steps = instance.times.shape
    problem.dims[copies, d.DIM_START] = start.time
    seed = state.clock[copies, d.SEED].copy()
    state.clock[copies] = 0
    state.clock[copies, d.SEED] = seed
    state.clock[copies, d.TIME] = start.time
    state.job[copies] = 0
    state.job[copies, :, d.MACHINE] = -1
    state.job[copies, :, d.WANTS] = -1
    state.job[copies, :, d.END] = d.INFINITY
    state.machine[copies] = 0
    state.machine[copies, :, d.HOLDER] = -1
    state.machine[copies, :, d.WORK_TO_COME] = problem.load[copies, :, d.LOAD_WORK]
    state.machine[copies, :, d.OPERATIONS_TO_COME] = problem.load[copies, :, d.LOAD_COUNT]
    begin, completion = start.dates(instance)
    state.start[copies, :jobs, :steps] = begin
    state.completion[copies, :jobs, :steps] = completion
    _place_machines(problem, state, copies, start.time)
    down = {m for m, row in enumerate(state.window[copies[0]].tolist()) if row[d.UP] == 0}
    for number in range(instance.num_jobs):
        row = _job_row(instance, start, number, completion, options, down)
        state.job[copies, number] = row
        _place_job(state, copies, instance, number, row, start.jobs[number].finished)
    if options.mode == "construct":
        _construct_begun(state, copies, instance, start)


def _place_machines(problem: Any, state: Any, copies: NDArray[np.int64], time: int) -> None:
    """The window of each machine that is under way, else the next one."""
    state.window[copies] = 0
    state.window[copies, :, d.UP] = 1
    state.window[copies, :, d.NEXT_DOWN : d.NEXT_UP + 1] = d.INFINITY
    if problem.options[d.OPT_LAW] != d.LAW_WINDOWS:
        return
    for m, windows in enumerate(problem.windows[copies[0]].tolist()):
        over = sum(end <= time for _, end in windows)
        state.window[copies, m, d.WINDOW] = over
        if over < len(windows) and windows[over][0] < d.INFINITY:
            begin, end = windows[over]
            state.window[copies, m, d.NEXT_DOWN] = begin
            state.window[copies, m, d.NEXT_UP] = end
            state.window[copies, m, d.REPAIR] = end - begin
            if begin < time:
                state.window[copies, m, d.UP] = 0
                state.clock[copies, d.BREAKDOWNS] += 1


def _job_row(
    instance: JobShopInstance,
    start: ShopStart,
    number: int,
    completion: NDArray[np.int64],
    options: JobShopOptions,
    down: set[int],
) -> NDArray[np.int64]:
    """A row of `State.job`.

    Args:
        down: the machines that have been down since before now.
    """
    job, length = start.jobs[number], int(instance.lengths[number])
    times, route = instance.times[number].tolist(), instance.machines[number].tolist()
    row = np.zeros(d.NUM_JOB, dtype=np.int64)
    row[d.POSITION] = job.finished
    row[d.MACHINE] = start.holder(number, instance, options.blocking)
    row[d.END] = d.INFINITY
    row[d.WANTS] = route[job.begun] if job.begun < length else -1
    row[d.WANTS_TIME] = times[job.begun] if job.begun < length else 0
    row[d.WORK_AHEAD] = sum(times[job.begun : length])
    row[d.SINCE] = completion[number, job.finished - 1] if job.finished else 0
    if job.since >= 0:
        row[d.DURATION] = times[job.finished]
        if row[d.MACHINE] in down:
            row[d.JOB_STATUS] = d.PAUSED
            row[d.REMAINING] = row[d.DURATION] if options.on_breakdown == "repeat" else job.remaining
        else:
            row[d.JOB_STATUS] = d.PROCESSING
            row[d.END] = start.time + job.remaining
    elif job.finished == length:
        row[d.JOB_STATUS] = d.LEFT
    else:
        row[d.JOB_STATUS] = d.BLOCKED if row[d.MACHINE] >= 0 else d.OUTSIDE
    return row


def _place_job(
    state: Any, copies: NDArray[np.int64], instance: JobShopInstance, number: int, row: NDArray[np.int64], finished: int
) -> None:
    """What a job's place means for the machines and the clock."""
    for k in range(finished):
        machine = int(instance.machines[number, k])
        state.machine[copies, machine, d.WORK_TO_COME] -= instance.times[number, k]
        state.machine[copies, machine, d.OPERATIONS_TO_COME] -= 1
    if row[d.MACHINE] >= 0:
        state.machine[copies, row[d.MACHINE], d.HOLDER] = number
    if row[d.JOB_STATUS] in (d.OUTSIDE, d.BLOCKED):
        state.machine[copies, row[d.WANTS], d.QUEUE_COUNT] += 1
        state.machine[copies, row[d.WANTS], d.QUEUE_WORK] += row[d.WANTS_TIME]
    state.clock[copies, d.DONE] += row[d.JOB_STATUS] == d.LEFT


def _construct_begun(state: Any, copies: NDArray[np.int64], instance: JobShopInstance, start: ShopStart) -> None:
    """Construct mode: what is in progress has been appended; machines and jobs are free when it ends, or now."""
    state.machine[copies, :, d.MACHINE_FREE] = start.time
    state.job[copies, :, d.JOB_FREE] = start.time
    for number, job in enumerate(start.jobs):
        if job.since < 0:
            continue
        end, machine = start.time + job.remaining, int(instance.machines[number, job.finished])
        leaves = job.begun == instance.lengths[number]
        state.completion[copies, number, job.finished] = end
        state.job[copies, number, d.POSITION] = job.begun
        state.job[copies, number, d.JOB_STATUS] = d.LEFT if leaves else d.OUTSIDE
        state.job[copies, number, d.MACHINE] = -1
        state.job[copies, number, d.END] = d.INFINITY
        state.job[copies, number, d.DURATION] = 0
        state.job[copies, number, d.JOB_FREE] = end
        state.job[copies, number, d.SINCE] = end
        state.machine[copies, machine, d.HOLDER] = -1
        state.machine[copies, machine, d.MACHINE_FREE] = end
        state.machine[copies, machine, d.WORK_TO_COME] -= instance.times[number, job.finished]
        state.machine[copies, machine, d.OPERATIONS_TO_COME] -= 1
        state.clock[copies, d.DONE] += leaves
        state.clock[copies, d.TIME] = np.maximum(state.clock[copies, d.TIME], end)
        if not leaves:
            wants = int(state.job[copies[0], number, d.WANTS])
            state.machine[copies, wants, d.QUEUE_COUNT] += 1
            state.machine[copies, wants, d.QUEUE_WORK] += state.job[copies[0], number, d.WANTS_TIME]
