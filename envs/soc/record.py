"""What has happened in a copy of the engine, as a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from ..core.random import uniform
from . import state as d
from .schedule import SocSchedule, SocSettings
from .world import STREAM_DOWN

if TYPE_CHECKING:
    from .engine import SocEngine


def read_schedule(engine: SocEngine, copy: int) -> SocSchedule:
    """What has happened in a copy so far.

    Raises:
        UserError: more tasks were done than are recorded.
    """
    clock = engine.state.clock[copy]
    options, state = engine.options, engine.state
    instance = engine.instance(copy)
    logged, running = int(clock[d.LOGGED]), int(clock[d.STATUS]) == d.RUNNING
    jobs: dict[int, list[int]] = {}
    rows: list[list[int]] = []
    first_app = int(engine.problem.instance[int(clock[d.INSTANCE]), d.FIRST_APP])
    if not options.static:
        if logged > state.log.shape[1]:
            raise UserError(f"{logged} tasks were done, and {state.log.shape[1]} are recorded: play a shorter episode")
        for row in state.log[copy, :logged].tolist():
            job = jobs.setdefault(row[d.LOG_JOB], [row[d.LOG_APP] - first_app, row[d.LOG_BORN], -1])
            job[2] = max(job[2], row[d.LOG_FINISH])
            rows.append(
                [
                    row[x]
                    for x in (d.LOG_JOB, d.LOG_TASK, d.LOG_PE, d.LOG_ASSIGNED, d.LOG_DATA, d.LOG_START, d.LOG_FINISH)
                ]
            )
    room = engine.room.tasks
    for s in range(engine.room.jobs):
        job = state.job[copy, s]
        if not job[d.ACTIVE]:
            continue
        done = options.static and job[d.LEFT] == 0
        entry = [int(job[d.APP]) - first_app, int(job[d.BORN]), -1]
        for k in range(int(engine.problem.app[int(job[d.APP]), d.TASKS])):
            task = state.task[copy, s * room + k]
            if done:
                entry[2] = max(entry[2], int(task[d.FINISH]))
            if task[d.PHASE] >= d.ASSIGNED and (options.static or task[d.PHASE] != d.DONE):
                rows.append([int(job[d.NUMBER]), k, *_dates(task, _is_asked_for(engine, copy, s, k))])
        jobs[int(job[d.NUMBER])] = entry
    found = np.array([jobs[number] for number in sorted(jobs)], dtype=np.int64).reshape(-1, 3)
    tasks = np.array(sorted(rows), dtype=np.int64).reshape(-1, 7)
    return SocSchedule(
        instance,
        found,
        tasks,
        _settings(engine, copy),
        _downtimes(engine, copy),
        int(clock[d.TIME]) if running else None,
    )


def _dates(task: NDArray[np.int64], asked: bool) -> list[int]:
    """(PE, assigned, data ready, start, finish) of a task, -1 for what is not known.

    Args:
        asked: whether all transfers to it have been asked for.
    """
    phase = int(task[d.PHASE])
    ready = int(task[d.DATA]) if asked and task[d.BLOCKERS] == 0 else -1
    start = int(task[d.START]) if phase in (d.ACTIVE_NOW, d.DONE) else -1
    finish = int(task[d.FINISH]) if phase == d.DONE else -1
    return [int(task[d.ON]), int(task[d.ASSIGNED_AT]), ready, start, finish]


def _is_asked_for(engine: SocEngine, copy: int, s: int, k: int) -> bool:
    """Whether all transfers to task k of job slot s are under way or done, which is in question under contention."""
    if engine.options.contention == "none":
        return True
    problem, state = engine.problem, engine.state
    app = problem.app[state.job[copy, s, d.APP]]
    task = problem.task[app[d.FIRST_TASK] + k]
    first = s * (state.asked.shape[1] // state.job.shape[1]) + int(task[d.FIRST_IN] - app[d.FIRST_OUT_EDGE])
    return bool(state.asked[copy, first : first + int(task[d.IN])].all())


def _settings(engine: SocEngine, copy: int) -> SocSettings:
    options, kinds = engine.options, engine.instance(copy).platform.kinds
    static = options.static
    return SocSettings(
        None if static else options.horizon,
        options.release,
        float(engine.state.real[copy, d.NOISE]),
        tuple(options.level(len(kind.levels)) for kind in kinds),
        options.contention,
        options.memory,
        options.mtbf,
        options.mttr if options.mtbf else 0.0,
        0 if static else options.warmup,
        None if static else options.queue_cap,
        int(engine.seeds[copy]),
        options.objective,
    )


def _downtimes(engine: SocEngine, copy: int) -> NDArray[np.int64]:
    """Rows (PE, from, to), as the episode's seed has them, up to now."""
    options, now = engine.options, int(engine.state.clock[copy, d.TIME])
    rows: list[tuple[int, int, int]] = []
    if options.mtbf > 0.0:
        seed = int(engine.seeds[copy])
        for p in range(engine.instance(copy).num_pes):
            end, number = 0, 0
            while end <= now:
                begin = end + _length(seed, p, number, 0, options.mtbf)
                end = begin + _length(seed, p, number, 1, options.mttr)
                rows.append((p, begin, end))
                number += 1
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _length(seed: int, p: int, number: int, side: int, mean: float) -> int:
    u = uniform(np.int64(seed), np.int64(STREAM_DOWN), np.int64(p), np.int64(number), np.int64(side))
    return max(int(-mean * np.log(1.0 - u)), 1)
