"""The instances of a source as the shared tables that compiled code reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from . import state as d
from .instance import INELIGIBLE, Application, Platform, SocInstance
from .measure import Graph, Measures, graph_of, measure
from .options import SocOptions

_MOST_TIME = 2**52


class Room(NamedTuple):
    """What copies need room for: jobs at a time, tasks and edges of an application, PEs, groups and kinds of them."""

    jobs: int
    tasks: int
    edges: int
    pes: int
    groups: int
    kinds: int


def room_of(instance: SocInstance, options: SocOptions) -> Room:
    """The room that an instance needs."""
    return Room(
        len(instance.jobs) if options.static else options.queue_cap,
        max(x.num_tasks for x in instance.applications),
        max(len(x.edges) for x in instance.applications),
        instance.num_pes,
        int(instance.groups.max()) + 1,
        len(instance.platform.kinds),
    )


def most_room(instances: Sequence[SocInstance], options: SocOptions) -> Room:
    """The room that the largest of some instances needs, in each respect."""
    return Room(*(max(column) for column in zip(*(room_of(x, options) for x in instances), strict=True)))


def at_level(application: Application, platform: Platform, options: SocOptions) -> Application:
    """An application with its times at the level that is played."""
    times = application.times
    factors = [(kind.levels[-1][0], kind.levels[options.level(len(kind.levels))][0]) for kind in platform.kinds]
    if all(high == now for high, now in factors):
        return application
    times = times.copy()
    for p, kind in enumerate(platform.kind.tolist()):
        high, now = factors[kind]
        times[:, p] = np.where(times[:, p] == INELIGIBLE, INELIGIBLE, -(-times[:, p] * high // now))
    return replace(application, times=times)


class Program(NamedTuple):
    """An application of an instance, measured."""

    application: Application
    graph: Graph
    measures: Measures
    critical: NDArray[np.int64]
    processor: int
    least: int


def critical_path(application: Application, graph: Graph, measures: Measures) -> tuple[NDArray[np.int64], int]:
    """CPOP's critical path, bool [T], and the PE that takes it (Topcuoglu, Hariri & Wu 2002, section 4.2).

    From the entry of greatest priority on (upward rank plus downward rank) the successor of greatest priority, of
    equals the first in topological order, which leaves out nothing of the path. The PE is the one that runs all of the
    path in the least time; where none can run all, the one that runs most of it.
    """
    priority = measures.upward_rank + measures.downward_rank
    position = np.argsort(graph.order)
    critical = np.zeros(application.num_tasks, dtype=np.int64)
    entries = np.flatnonzero(np.diff(graph.first_in) == 0)
    task = _first_greatest(entries, priority, position)
    while True:
        critical[task] = 1
        following = graph.out_task[graph.first_out[task] : graph.first_out[task + 1]]
        if len(following) == 0:
            break
        task = _first_greatest(following, priority, position)
    times = application.times[critical == 1]
    missing = (times == INELIGIBLE).sum(axis=0)
    total = np.where(times == INELIGIBLE, 0, times).sum(axis=0)
    return critical, int(np.lexsort((total, missing))[0])


def _first_greatest(tasks: NDArray[np.int64], priority: NDArray[np.float64], position: NDArray[np.int64]) -> int:
    """Of the tasks of greatest priority, up to rounding, the first in topological order."""
    greatest = tasks[priority[tasks] >= priority[tasks].max() - 1e-9]
    return int(greatest[np.argmin(position[greatest])])


def program_of(application: Application, platform: Platform) -> Program:
    """An application, measured."""
    graph = graph_of(application, platform)
    measures = measure(graph)
    critical, processor = critical_path(application, graph, measures)
    entries = np.flatnonzero(np.diff(graph.first_in) == 0)
    whole = np.where(graph.times == INELIGIBLE, _MOST_TIME, graph.times + measures.tail)
    return Program(application, graph, measures, critical, processor, int(whole[entries].min(axis=1).max()))


def build(instances: Sequence[SocInstance], options: SocOptions, room: Room) -> d.Problem:
    """The tables of some instances.

    Args:
        instances: at least one.
        options: of the environment; the level that PEs run at is part of the times.
        room: of the environment.

    Raises:
        UserError: what an episode may add up does not fit 52 bits.
    """
    rows: dict[str, list[NDArray]] = {name: [] for name in d.Problem._fields[2:]}
    counts: dict[str, int] = dict.fromkeys(("pe", "kind", "power", "band", "app", "job", "task", "edge"), 0)
    for instance in instances:
        _add(rows, counts, instance, options, room)
    given, law = options.compiled()
    arrays = {name: np.ascontiguousarray(np.concatenate(parts)) for name, parts in rows.items()}
    return d.Problem(given, law, **arrays)


@lru_cache(maxsize=4096)
def _programs(instance: SocInstance, level: str | int) -> list[Program]:
    options = SocOptions(dvfs=level)
    return [program_of(at_level(x, instance.platform, options), instance.platform) for x in instance.applications]


def _add(
    rows: dict[str, list[NDArray]], counts: dict[str, int], instance: SocInstance, options: SocOptions, room: Room
) -> None:
    """Append the rows of one instance."""
    platform, pes = instance.platform, instance.num_pes
    programs = _programs(instance, options.dvfs)
    row = np.zeros((1, d.NUM_INSTANCE), dtype=np.int64)
    row[0, d.PES], row[0, d.GROUPS], row[0, d.KINDS] = pes, instance.groups.max() + 1, len(platform.kinds)
    row[0, d.FIRST_PE], row[0, d.FIRST_KIND], row[0, d.FIRST_BAND] = counts["pe"], counts["kind"], counts["band"]
    row[0, d.FIRST_APP], row[0, d.APPS] = counts["app"], len(programs)
    row[0, d.FIRST_JOB], row[0, d.JOBS] = counts["job"], len(instance.jobs)
    busy_power = _add_kinds(rows, counts, row, platform, options)
    data = np.zeros((pes, d.NUM_PE_DATA), dtype=np.int64)
    data[:, d.PE_KIND], data[:, d.PE_GROUP] = platform.kind, instance.groups
    data[:, d.PE_MEMORY] = platform.memory_bandwidth
    data[:, d.SORTED] = np.argsort(instance.groups, kind="stable")
    sizes = np.bincount(instance.groups)
    data[: len(sizes), d.GROUP_FIRST], data[: len(sizes), d.GROUP_SIZE] = np.cumsum(sizes) - sizes, sizes
    rows["pe"].append(data)
    rows["band"].append(platform.bandwidth.reshape(-1))
    jobs = instance.jobs.copy()
    jobs[:, 0] += counts["app"]
    rows["job"].append(jobs)
    for program in programs:
        _add_program(rows, counts, program, room.pes, instance.groups)
    rows["mix"].append(_cumulative(instance.mix))
    rows["job_mean"].append(np.array([program.measures.mean_time.mean() for program in programs]))
    times = np.concatenate([program.graph.times for program in programs])
    least = np.concatenate([program.measures.least_time for program in programs])
    able = times != INELIGIBLE
    speed = np.where(able, (least[:, None] + 1.0) / (np.where(able, times, 0) + 1.0), 0.0)
    rows["pe_speed"].append(speed.sum(axis=0) / np.maximum(able.sum(axis=0), 1))
    rows["pe_share"].append(able.mean(axis=0))
    measures = _measure(instance, programs, busy_power)
    rows["measure"].append(measures[None])
    _check_length(instance, programs, options, row[0])
    mean = float(measures[d.WORK])
    scale = mean if options.static else mean * _expected_jobs(options)
    row[0, d.REWARD_SCALE] = _reward_scale(options, scale, float(1.0 / measures[d.PER_POWER]))
    rows["instance"].append(row)
    counts["pe"] += pes
    counts["band"] += pes * pes
    counts["job"] += len(jobs)


def _expected_jobs(options: SocOptions) -> float:
    """About how many jobs an episode of a stream has, for the scale of rewards."""
    scales = options.scales()
    return max(options.horizon / (sum(scales) / len(scales)), 1.0)


def _reward_scale(options: SocOptions, time: float, power: float) -> int:
    """What rewards are divided by: about what an episode costs if jobs run one task at a time."""
    energy = time * power
    product = max(energy, 1.0) * time / d.EDP_UNIT
    return max(round({"latency": time, "makespan": time, "energy": energy, "edp": product}[options.objective]), 1)


def _add_kinds(
    rows: dict[str, list[NDArray]], counts: dict[str, int], row: NDArray, platform: Platform, options: SocOptions
) -> float:
    """Append the kinds of a platform. Returns the mean power of a busy PE, milliwatts."""
    table = np.zeros((len(platform.kinds), d.NUM_KIND), dtype=np.int64)
    idle = worst = 0
    busy = []
    for number, kind in enumerate(platform.kinds):
        size = int((platform.kind == number).sum())
        level = options.level(len(kind.levels))
        given = [*kind.power_mw[level]]
        power = [0, *given[:size], *([given[-1]] * (size - len(given)))]
        table[number] = counts["power"], kind.idle_mw[level], size
        counts["power"] += len(power)
        rows["power"].append(np.array(power, dtype=np.int64))
        idle += size * kind.idle_mw[level]
        worst += max(power) + size * kind.idle_mw[level]
        busy += [power[1]] * size if size else []
    rows["kind"].append(table)
    counts["kind"] += len(table)
    row[0, d.IDLE_POWER], row[0, d.WORST_POWER] = idle, worst
    return float(np.mean(busy))


def _add_program(
    rows: dict[str, list[NDArray]], counts: dict[str, int], program: Program, room: int, groups: NDArray[np.int64]
) -> None:
    """Append an application with its tasks and edges."""
    graph, measures = program.graph, program.measures
    tasks, pes = graph.times.shape
    app = np.zeros((1, d.NUM_APP), dtype=np.int64)
    app[0] = counts["task"], tasks, counts["edge"], len(graph.out_task), program.least
    data = np.zeros((tasks, d.NUM_TASK_DATA), dtype=np.int64)
    data[:, d.FIRST_OUT], data[:, d.OUT] = counts["edge"] + graph.first_out[:-1], np.diff(graph.first_out)
    data[:, d.FIRST_IN], data[:, d.IN] = counts["edge"] + graph.first_in[:-1], np.diff(graph.first_in)
    able = graph.times != INELIGIBLE
    data[:, d.FASTEST] = measures.least_time
    data[:, d.FAST_GROUP] = groups[np.where(able, graph.times, _MOST_TIME).argmin(axis=1)]
    data[:, d.ELIGIBLE] = able.sum(axis=1)
    data[:, d.DUMMY] = ~((graph.times > 0).any(axis=1))
    data[:, d.CRITICAL] = program.critical
    can = (program.critical == 1) & able[:, program.processor]
    data[:, d.PROCESSOR] = np.where(can, program.processor, d.NONE)
    worth = np.zeros((tasks, d.NUM_WORTH))
    for column, values in (
        (d.MEAN, measures.mean_time),
        (d.LEAST_TIME, measures.least_time),
        (d.MEDIAN, measures.median_time),
        (d.UPWARD, measures.upward_rank),
        (d.DOWNWARD, measures.downward_rank),
        (d.LEVEL, measures.static_level),
        (d.MEAN_OCT, measures.mean_oct),
        (d.SPREAD, np.where(able, graph.times, 0).max(axis=1) - measures.least_time),
    ):
        worth[:, column] = values
    rows["app"].append(app)
    rows["task"].append(data)
    rows["worth"].append(worth)
    for name, table, fill in (
        ("time", graph.times, INELIGIBLE),
        ("oct", measures.oct, 0.0),
        ("tail", measures.tail, 0),
    ):
        wide = np.full((tasks, room), fill, dtype=table.dtype)
        wide[:, :pes] = table
        rows[name].append(wide)
    for name in ("out_task", "out_volume", "in_task", "in_volume"):
        rows[name].append(getattr(graph, name))
    counts["app"] += 1
    counts["task"] += tasks
    counts["edge"] += len(graph.out_task)


def _cumulative(mix: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(mix)
    total[-1] = 1.0
    return total


def _measure(instance: SocInstance, programs: Sequence[Program], busy_power: float) -> NDArray[np.float64]:
    """Means over the jobs that are played."""
    work = np.array([program.measures.mean_time.sum() for program in programs])
    tasks = np.array([program.application.num_tasks for program in programs])
    result = np.zeros(d.NUM_MEASURE)
    mean = max(float(instance.mix @ work) / float(instance.mix @ tasks), 1e-3)
    result[d.PER_TIME], result[d.MEAN_TIME] = 1.0 / mean, mean
    result[d.WORK] = max(float(instance.mix @ work), 1.0)
    result[d.PER_POWER] = 1.0 / max(busy_power, 1.0)
    result[d.LOG_TASKS] = np.log(float(instance.mix @ tasks))
    return result


def _check_length(
    instance: SocInstance, programs: Sequence[Program], options: SocOptions, row: NDArray[np.int64]
) -> None:
    """Set what no episode reaches, and refuse what does not fit."""
    slowest = np.array([np.where(x.graph.times == INELIGIBLE, 0, x.graph.times).max(axis=1).sum() for x in programs])
    least = max(int(instance.platform.bandwidth.min()), 1)
    moved = np.array([int((x.graph.out_volume // least).sum()) for x in programs])
    each = slowest + moved
    if options.static:
        jobs = instance.jobs
        tasks = sum(programs[a].application.num_tasks for a in jobs[:, 0].tolist())
        told = math.ceil(options.overhead_call + tasks * options.overhead_task)
        end = int(each[jobs[:, 0]].sum()) + max(int(jobs[:, 1].max()), told)
        worst = end if options.objective == "makespan" else end * len(jobs)
    else:
        end = options.horizon
        worst = end if options.objective == "makespan" else end * options.queue_cap
    energy = int(worst) * max(int(row[d.WORST_POWER]), 1)
    if options.objective == "edp":
        energy = energy // d.EDP_UNIT * int(worst)
    if energy > _MOST_TIME * 2**9 or int(each.max()) > _MOST_TIME:
        raise UserError(
            f"instance {instance.name!r} may take {worst} {instance.unit}, too long to be added up in 64 bits; "
            "give its times in a coarser unit"
        )
    row[d.WORST_TIME] = worst
