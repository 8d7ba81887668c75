"""The outcome of DAG scheduling as data: which jobs came, which task ran where and when.

The model is specified in ``docs/environments/soc.md``; what may be in a schedule is checked by ``validity``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write
from ..core.instance import check_header, load_document, require_integer, require_keys, require_list
from .instance import INELIGIBLE, Application, Platform, SocInstance
from .options import CONTENTIONS, MEMORIES, OBJECTIVES, RELEASES

FORMAT = "makespan/soc-schedule"
VERSION = 1

APPLICATION, GENERATED, JOB_FINISH = range(3)
"""Columns of `SocSchedule.jobs`."""
JOB, TASK, PE, ASSIGNED, READY, START, FINISH = range(7)
"""Columns of `SocSchedule.tasks`."""

_EDP_UNIT = 1000
_THROUGHPUT_TIME = 1000
_MOST = 2**62
_KEYS = ("format", "version", "instance", "settings", "jobs", "tasks", "downtimes", "clock")


@dataclass(frozen=True)
class SocSettings:
    """What an episode was played under, as far as a schedule can be held to it.

    Attributes:
        horizon: when the episode of a stream ends; None where all jobs are there at once.
        release: a task is offered when its predecessors are "finished" or "assigned".
        noise: standard deviation of a task's time over its mean.
        levels: at which level the PEs of each kind run, from 0, the lowest; empty: all at the highest.
        contention: transfers share nothing ("none"), each "link", or one "bus".
        memory: data goes from PE to PE ("direct") or through a "shared" memory.
        mtbf, mttr: mean time between failures of a PE (0: none), and to repair.
        warmup: jobs generated before count in the objective, not in the mean latency.
        queue_cap: jobs in the system at most; None: no bound.
        seed: of the episode, by which noise and downtime can be checked; None: not known.
        objective: "latency", "makespan", "energy" or "edp".
    """

    horizon: int | None = None
    release: str = "assigned"
    noise: float = 0.0
    levels: tuple[int, ...] = ()
    contention: str = "none"
    memory: str = "direct"
    mtbf: float = 0.0
    mttr: float = 0.0
    warmup: int = 0
    queue_cap: int | None = None
    seed: int | None = None
    objective: str = "makespan"


class Stretch(NamedTuple):
    """A stretch of time in which a PE works on a task, or is stopped in the midst of it.

    Attributes:
        row: of `SocSchedule.tasks`.
    """

    row: int
    pe: int
    begin: int
    end: int
    paused: bool


@dataclass(frozen=True, eq=False)
class SocSchedule:
    """What happened on a chip, up to the end of the episode or to some time before.

    Attributes:
        instance: the problem.
        jobs: int64 [J, 3], rows (application, generated at, finish or -1) in the order of generation; row j is job j.
        tasks: int64 [M, 7], rows (job, task, PE, assigned at, data ready at or -1, start or -1, finish or -1) of the
            tasks that have been assigned. A task counts as assigned when the scheduler has told of it; its data is
            ready when all of it has arrived at its PE.
        settings: what the episode was played under.
        downtimes: int64 [D, 3], rows (PE, from, to) in which a PE was down, by PE and time, at least up to the end.
        clock: up to when it tells; None: to the end of the episode.
    """

    instance: SocInstance
    jobs: NDArray[np.int64]
    tasks: NDArray[np.int64]
    settings: SocSettings = SocSettings()
    downtimes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    clock: int | None = None

    @classmethod
    def from_plan(
        cls, instance: SocInstance, pe: ArrayLike, start: ArrayLike, settings: SocSettings | None = None
    ) -> SocSchedule:
        """The schedule of a plan of the static problem that is carried out to the letter.

        Args:
            pe, start: int [M], where and when each task starts, jobs one after the other as in ``instance.jobs``.
            settings: without noise, downtime and contention; by default all PEs run at their highest level.

        Raises:
            FieldError: there are more or fewer tasks, or a PE is not there or cannot run its task.
        """
        settings = settings or SocSettings()
        pe, start = np.asarray(pe, dtype=np.int64), np.asarray(start, dtype=np.int64)
        for name, array in (("pe", pe), ("start", start)):
            if array.shape != (instance.num_tasks,):
                raise FieldError(name, list(array.shape), f"one entry for each of {instance.num_tasks} tasks")
        jobs = np.column_stack([instance.jobs, np.full(instance.num_jobs, -1)])
        tasks = np.zeros((len(pe), 7), dtype=np.int64)
        tasks[:, PE], tasks[:, START] = pe, start
        first = 0
        for j, (a, arrival) in enumerate(instance.jobs.tolist()):
            application = instance.applications[a]
            rows = tasks[first : first + application.num_tasks]
            rows[:, JOB], rows[:, TASK] = j, np.arange(len(rows))
            for k, p in enumerate(rows[:, PE].tolist()):
                if not 0 <= p < instance.num_pes or application.times[k, p] == INELIGIBLE:
                    expected = f"a PE that can run task {application.tasks[k]!r} of job {j}"
                    raise FieldError(f"pe[{first + k}]", p, expected)
            times = scaled_times(application, instance.platform, settings.levels)
            rows[:, FINISH] = rows[:, START] + times[rows[:, TASK], rows[:, PE]]
            rows[:, READY] = data_ready(instance, a, rows[:, PE], rows[:, FINISH], arrival, settings.memory)
            jobs[j, JOB_FINISH] = rows[:, FINISH].max()
            first += len(rows)
        return cls(instance, jobs, tasks, settings)

    # --- what it comes to ---------------------------------------------------------------------------------------------

    @property
    def is_static(self) -> bool:
        """Whether all jobs were there at once."""
        return self.settings.horizon is None

    @property
    def makespan(self) -> int:
        """The last finish of a task, 0 where none is finished."""
        return max(int(self.tasks[:, FINISH].max(initial=0)), 0)

    @property
    def end(self) -> int:
        """Up to when it tells: the clock, the horizon, or the last time that it knows of."""
        if self.clock is not None:
            return self.clock
        if self.settings.horizon is not None:
            return self.settings.horizon
        return max(self.makespan, int(self.tasks[:, START].max(initial=0)), int(self.jobs[:, GENERATED].max(initial=0)))

    @cached_property
    def latencies(self) -> NDArray[np.int64]:
        """int64 [J], from generation to finish, or to the end where a job is not finished; 0 if it is yet to come."""
        finish = np.where(self.jobs[:, JOB_FINISH] < 0, self.end, self.jobs[:, JOB_FINISH])
        return np.maximum(np.minimum(finish, self.end) - self.jobs[:, GENERATED], 0)

    @property
    def objective(self) -> int:
        """What an episode with these settings that ends so must report."""
        return self.value_of(self.settings.objective)

    def value_of(self, name: str) -> int:
        """What an episode that ends so must report: "latency", "makespan", "energy" or "edp"."""
        if name == "latency":
            return int(self.latencies.sum())
        if name == "makespan":
            return self.makespan
        if name == "energy":
            return self.energy
        if name == "edp":
            return self.energy * int(self.latencies.sum()) // _EDP_UNIT
        raise FieldError("objective", name, f"one of {', '.join(OBJECTIVES)}")

    @cached_property
    def energy(self) -> int:
        """Nanojoules up to the end, where the unit of time is the microsecond: of active PEs, and what others leak."""
        platform, total = self.instance.platform, 0
        for number, kind in enumerate(platform.kinds):
            level = self._level(number)
            size = int((platform.kind == number).sum())
            changes = [
                change
                for s in self.stretches
                if not s.paused and platform.kind[s.pe] == number
                for change in ((s.begin, 1), (s.end, -1))
            ]
            now = active = 0
            for time, change in [*sorted(changes), (self.end, 0)]:
                power = kind.power_mw[level][active - 1] if active else 0
                total += (time - now) * (power + (size - active) * kind.idle_mw[level])
                now, active = time, active + change
        return total

    def _level(self, kind: int) -> int:
        return (
            self.settings.levels[kind] if self.settings.levels else len(self.instance.platform.kinds[kind].levels) - 1
        )

    @cached_property
    def busy(self) -> NDArray[np.int64]:
        """int64 [P], for how long each PE has worked, pauses left out."""
        total = np.zeros(self.instance.num_pes, dtype=np.int64)
        for s in self.stretches:
            total[s.pe] += 0 if s.paused else s.end - s.begin
        return total

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Work and pauses of all tasks that have begun, up to the end; by row, then by time. None is empty."""
        windows: dict[int, list[tuple[int, int]]] = {}
        for p, begin, until in self.downtimes.tolist():
            windows.setdefault(p, []).append((begin, until))
        found = []
        for row, (_, _, p, _, _, start, finish) in enumerate(self.tasks.tolist()):
            if start < 0:
                continue
            now, end = start, finish if finish >= 0 else self.end
            for begin, until in windows.get(p, ()):
                if until <= now or begin >= end:
                    continue
                found.append(Stretch(row, p, now, begin, False))
                found.append(Stretch(row, p, begin, min(until, end), True))
                now = min(until, end)
            found.append(Stretch(row, p, now, end, False))
        return [s for s in found if s.begin < s.end]

    def metrics(self) -> dict[str, Any]:
        """What tables show beside the objective; see "The course of a stream" of the specification.

        What is said of measured jobs is None where there is none. Throughput is in completed jobs per 1000 units of
        time, utilisation the mean over PEs of the share of the time that they work.
        """
        done = self.jobs[:, JOB_FINISH] >= 0
        counted = done & (self.jobs[:, GENERATED] >= self.settings.warmup)
        latency = self.latencies[counted]
        platform, levels = self.instance.platform, self.settings.levels
        least = np.array([least_latency(each, platform, levels) for each in self.instance.applications])
        slowdown = latency / np.maximum(least[self.jobs[counted, APPLICATION]], 1)
        end = max(self.end, 1)
        return {
            "mean_latency": float(latency.mean()) if len(latency) else None,
            "latency_p95": float(np.percentile(latency, 95)) if len(latency) else None,
            "latency_max": int(latency.max()) if len(latency) else None,
            "mean_slowdown": float(slowdown.mean()) if len(latency) else None,
            "measured": len(latency),
            "generated": len(self.jobs),
            "completed": int(done.sum()),
            "unfinished": int((~done).sum()),
            "throughput": int(done.sum()) * _THROUGHPUT_TIME / end,
            "makespan": self.makespan,
            "latency_sum": self.value_of("latency"),
            "energy": self.energy,
            "edp": self.value_of("edp"),
            "utilisation": float(self.busy.mean()) / end,
        }

    # --- for spreadsheets and viewers ---------------------------------------------------------------------------------

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """The assigned tasks by start, for a spreadsheet: a header, and a row each; unknown times are empty."""
        header = ["job", "application", "task", "name", "pe", "kind", "assigned", "data_ready", "start", "finish"]
        platform, rows = self.instance.platform, []
        for j, k, p, *times in sorted(self.tasks.tolist(), key=lambda r: (r[START] < 0, r[START], r[FINISH], r[:3])):
            application = self.instance.applications[int(self.jobs[j, APPLICATION])]
            kind = platform.kinds[int(platform.kind[p])].name
            known = ["" if time < 0 else time for time in times]
            rows.append([j, application.name, k, application.tasks[k], p, kind, *known])
        return header, rows

    def trace(self) -> dict[str, Any]:
        """The schedule in Chrome's trace event format, as plain data for JSON (see `trace.trace`)."""
        from .trace import trace

        return trace(self)

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The schedule and its instance as plain data for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "instance": self.instance.to_dict(),
            "settings": {**asdict(self.settings), "levels": list(self.settings.levels)},
            "jobs": self.jobs.tolist(),
            "tasks": self.tasks.tolist(),
            "downtimes": self.downtimes.tolist(),
            "clock": self.clock,
        }

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> SocSchedule:
        """Read what `to_dict` wrote; `source` (a path) begins the messages.

        The form is checked here, the meaning by ``validity.validate``.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        document = require_keys("the schedule", check_header(data, FORMAT, (VERSION,), source), _KEYS, (), source)
        instance = SocInstance.from_dict(document["instance"], source)
        settings = _read_settings(document["settings"], instance.platform, source)
        jobs, tasks, downtimes = (
            _read_rows(name, document[name], width, source)
            for name, width in (("jobs", 3), ("tasks", 7), ("downtimes", 3))
        )
        clock = _read_bound("clock", document["clock"], 0, source)
        return cls(instance, jobs, tasks, settings, downtimes, clock)

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> SocSchedule:
        """Read a file that `save` wrote.

        Raises:
            UserError: the file cannot be read or is not JSON, or a field is missing, unknown or malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


# --- times and transfers ----------------------------------------------------------------------------------------------


def scaled_times(application: Application, platform: Platform, levels: Sequence[int] = ()) -> NDArray[np.int64]:
    """int64 [T, P], mean times at the levels that are played, `INELIGIBLE` where a PE cannot run a task.

    Args:
        levels: of each kind; empty: the highest.
    """
    times = application.times.copy()
    if not levels:
        return times
    for p, number in enumerate(platform.kind.tolist()):
        frequencies = [frequency for frequency, _ in platform.kinds[number].levels]
        high, now = frequencies[-1], frequencies[levels[number]]
        times[:, p] = np.where(times[:, p] == INELIGIBLE, INELIGIBLE, -(-times[:, p] * high // now))
    return times


def transfer_times(platform: Platform, volume: int, memory: str = "direct") -> NDArray[np.int64]:
    """int64 [P, P], how long the data of an edge is under way from one PE to another that is told of in time."""
    if memory == "shared":
        each = volume // platform.memory_bandwidth
        return each[:, None] + each[None, :]
    times = volume // platform.bandwidth
    np.fill_diagonal(times, 0)
    return times


def data_ready(
    instance: SocInstance,
    application: int,
    pe: NDArray[np.int64],
    finish: NDArray[np.int64],
    generated: int,
    memory: str = "direct",
) -> NDArray[np.int64]:
    """int64 [T], when the data of each task of a job is at its PE, if all is assigned at 0 and transfers never wait."""
    platform, app = instance.platform, instance.applications[application]
    ready = np.full(app.num_tasks, generated, dtype=np.int64)
    if len(app.edges) == 0:
        return ready
    i, j = app.edges.T
    p, q = pe[i], pe[j]
    if memory == "shared":  # to memory one by one, from there all at once when the last is there
        np.maximum.at(ready, j, finish[i] + app.volumes // platform.memory_bandwidth[p])
        longest = np.zeros_like(ready)
        np.maximum.at(longest, j, app.volumes // platform.memory_bandwidth[q])
        return ready + longest
    under_way = np.where(p == q, 0, app.volumes // platform.bandwidth[p, q])
    np.maximum.at(ready, j, finish[i] + under_way)
    return ready


def least_latency(
    application: Application, platform: Platform, levels: Sequence[int] = (), memory: str = "direct"
) -> int:
    """A bound on the latency of a job: the optimistic cost table with the transfer times of the pairs themselves."""
    times = scaled_times(application, platform, levels)
    never = np.iinfo(np.int64).max // 4
    tail = np.zeros_like(times)
    entry = np.ones(application.num_tasks, dtype=np.bool_)
    entry[application.edges[:, 1]] = False
    for i in reversed(topological_order(application)):
        for e in range(*np.searchsorted(application.edges[:, 0], [i, i + 1]).tolist()):
            j = int(application.edges[e, 1])
            after = np.where(times[j] == INELIGIBLE, never, times[j] + tail[j])
            under_way = transfer_times(platform, int(application.volumes[e]), memory)
            tail[i] = np.maximum(tail[i], (under_way + after[None, :]).min(axis=1))
    whole = np.where(times == INELIGIBLE, never, times + tail)
    return int(whole[entry].min(axis=1).max())


def topological_order(application: Application) -> list[int]:
    """The tasks, each after its predecessors."""
    missing = [0] * application.num_tasks
    successors: list[list[int]] = [[] for _ in missing]
    for i, j in application.edges.tolist():
        missing[j] += 1
        successors[i].append(j)
    order = [i for i, count in enumerate(missing) if count == 0]
    for i in order:  # grows while it is walked through
        for j in successors[i]:
            missing[j] -= 1
            if missing[j] == 0:
                order.append(j)
    return order


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_rows(name: str, rows: object, width: int, source: str | None) -> NDArray[np.int64]:
    table = np.zeros((len(require_list(name, rows, source)), width), dtype=np.int64)
    for r, row in enumerate(require_list(name, rows, source)):
        if not isinstance(row, list) or len(row) != width:
            raise FieldError(f"{name}[{r}]", row, f"a list of {width} integers", source)
        for column, value in enumerate(row):
            table[r, column] = require_integer(f"{name}[{r}][{column}]", value, -1, _MOST, source)
    return table


def _read_bound(name: str, value: object, low: int, source: str | None) -> int | None:
    return None if value is None else require_integer(name, value, low, _MOST, source)


def _read_number(name: str, value: object, source: str | None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise FieldError(name, value, "a number of at least 0", source)
    return float(value)


def _read_settings(data: object, platform: Platform, source: str | None) -> SocSettings:
    entry = require_keys("settings", data, [each.name for each in fields(SocSettings)], (), source)
    for name, choices in (
        ("release", RELEASES),
        ("contention", CONTENTIONS),
        ("memory", MEMORIES),
        ("objective", OBJECTIVES),
    ):
        if entry[name] not in choices:
            raise FieldError(f"settings.{name}", entry[name], f"one of {', '.join(choices)}", source)
    levels = require_list("settings.levels", entry["levels"], source)
    if len(levels) not in (0, len(platform.kinds)):
        raise FieldError("settings.levels", levels, f"none or {len(platform.kinds)} levels, one per kind", source)
    for k, level in enumerate(levels):
        require_integer(f"settings.levels[{k}]", level, 0, len(platform.kinds[k].levels) - 1, source)
    numbers = {name: _read_number(f"settings.{name}", entry[name], source) for name in ("noise", "mtbf", "mttr")}
    bounds = {
        name: _read_bound(f"settings.{name}", entry[name], low, source)
        for name, low in (("horizon", 1), ("queue_cap", 1), ("seed", 0))
    }
    warmup = require_integer("settings.warmup", entry["warmup"], 0, _MOST, source)
    return SocSettings(**{**entry, **numbers, **bounds, "levels": tuple(levels), "warmup": warmup})
