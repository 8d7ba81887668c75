"""The outcome of a job shop as data: who ran where and when, and an independent check that it could have happened.

Nothing here is shared with the simulator: `validate` re-derives every completion time from the start times and the
down-times, and replays the moves of every clock time on its own.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.files import atomic_write
from ..core.instance import load_document
from .bounds import job_bound, lower_bound, machine_bound
from .instance import JobShopInstance
from .move_order import Mover, order_moves
from .schedule_file import FieldReader
from .schedule_start import dates_known, end_in_progress, has_begun, is_in_progress, past_violations, without_past

FORMAT = "makespan/job-shop-schedule"
VERSION = 1
BLOCKING = ("swap", "no-swap", "none")
ON_BREAKDOWN = ("resume", "repeat", "scrap")

Windows = Sequence[tuple[int, int]]


class Visit(NamedTuple):
    """One operation as it was carried out by one piece of a job.

    Attributes:
        piece: 0 for the first piece of a job; a job that lost q pieces ends with piece q.
        end: completion, or the time of the cut where `cut`; -1 while it is in progress.
        release: when the piece left the machine; -1 while it stands there.
        cut: the piece was lost at `end`.
    """

    job: int
    piece: int
    operation: int
    machine: int
    start: int
    end: int
    release: int
    cut: bool

    def __str__(self) -> str:
        piece = f", piece {self.piece}" if self.piece else ""
        return f"operation {self.operation} of job {self.job}{piece}"


class Swap(NamedTuple):
    """Jobs that exchange machines: at `time` jobs[i] enters machines[i], which jobs[i + 1] leaves, cyclically."""

    time: int
    jobs: tuple[int, ...]
    machines: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class JobShopSchedule:
    """What happened in a job shop, complete or up to some time.

    Attributes:
        instance: the problem.
        blocking: "none" (classical, unlimited buffers), "swap" (BWS) or "no-swap" (BNS).
        start: int64 [n, L], start of operation (j, k) of each job's surviving piece; -1 where not started or padded.
        completion: int64 [n, L], its completion; -1 where not completed or padded.
        on_breakdown: what a breakdown does to the operation on the machine: "resume", "repeat" or "scrap".
        unload_when_down: whether a blocked job may leave a machine that is down.
        downtime: per machine the windows ``(begin, end)`` in which it was down, sorted and apart, at least up to the
            makespan. Empty where no machine ever was.
        lost: int64 [R, 6], rows (job, piece, operation, machine, start, end): every operation begun by a piece that
            was scrapped later. Pieces count from 0 per job; the last row of a piece is the one that was cut.
        finished: whether every job has left.
    """

    instance: JobShopInstance
    blocking: str
    start: NDArray[np.int64]
    completion: NDArray[np.int64]
    on_breakdown: str = "resume"
    unload_when_down: bool = True
    downtime: tuple[tuple[tuple[int, int], ...], ...] = ()
    lost: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 6), dtype=np.int64))
    finished: bool = True

    @property
    def makespan(self) -> int:
        """Latest completion so far, 0 where nothing is completed."""
        return max(int(self.completion.max()), 0)

    @property
    def objective(self) -> int | None:
        """What an episode that ends so must report; None where not every job has left."""
        return self.makespan if self.finished else None

    def release(self, job: int, operation: int) -> int:
        """When the surviving piece left the machine of (job, operation); -1 where it stands there or never came.

        Classical shops and last operations: the completion. Otherwise the start of the successor.
        """
        if self.blocking == "none" or operation == self.instance.lengths[job] - 1:
            return int(self.completion[job, operation])
        return int(self.start[job, operation + 1])

    def windows(self, machine: int) -> tuple[tuple[int, int], ...]:
        """Down-times of one machine."""
        return self.downtime[machine] if self.downtime else ()

    def pieces(self) -> Iterator[list[Visit]]:
        """For every piece of every job, lost ones first, the operations that it began, in route order."""
        rows: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
        for row in self.lost.tolist():
            rows[row[0], row[1]].append(row)
        lost_pieces = dict.fromkeys(range(self.instance.num_jobs), 0)
        for (job, piece), visits in sorted(rows.items()):
            lost_pieces[job] = piece + 1
            yield self._lost_piece(sorted(visits, key=lambda row: row[2]))
        for job, piece in lost_pieces.items():
            visits = [
                Visit(
                    job,
                    piece,
                    k,
                    int(self.instance.machines[job, k]),
                    int(self.start[job, k]),
                    int(self.completion[job, k]),
                    self.release(job, k),
                    False,
                )
                for k in range(int(self.instance.lengths[job]))
                if self.start[job, k] >= 0
            ]
            if visits:
                yield visits

    def _lost_piece(self, rows: list[list[int]]) -> list[Visit]:
        visits = []
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            release = row[5] if following is None or self.blocking == "none" else following[4]
            visits.append(Visit(*row, release=release, cut=following is None))
        return visits

    def to_dict(self) -> dict[str, Any]:
        """The schedule and its instance as plain data for JSON; rows are cut to the jobs' lengths."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "instance": self.instance.to_dict(),
            "blocking": self.blocking,
            "on_breakdown": self.on_breakdown,
            "unload_when_down": self.unload_when_down,
            "finished": self.finished,
            "start": _ragged(self.start, self.instance.lengths),
            "completion": _ragged(self.completion, self.instance.lengths),
            "downtime": [[[int(b), int(e)] for b, e in machine] for machine in self.downtime],
            "lost": self.lost.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str | None = None) -> JobShopSchedule:
        """Read what `to_dict` wrote. The form is checked here, the meaning by `validate`.

        Raises:
            FieldError: a field is missing, unknown or malformed.
        """
        reader = FieldReader(data, source)
        reader.constant("format", FORMAT)
        reader.constant("version", VERSION)
        instance = JobShopInstance.from_dict(reader.field("instance", Mapping, "an instance"), source)
        schedule = cls(
            instance,
            reader.choice("blocking", BLOCKING),
            reader.table("start", instance),
            reader.table("completion", instance),
            reader.choice("on_breakdown", ON_BREAKDOWN),
            reader.field("unload_when_down", bool, "true or false"),
            reader.downtime(instance.num_machines),
            reader.lost(),
            reader.field("finished", bool, "true or false"),
        )
        reader.nothing_else()
        return schedule

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """The surviving pieces' operations by start, for a spreadsheet: a header, and a row per operation.

        Jobs and machines are given by name where the instance has names; dates that a start state does not know are
        empty.
        """
        header = ["job", "operation", "machine", "start", "end", "release"]
        visits = [visit for visits in self.pieces() for visit in visits if not visits[-1].cut]
        visits.sort(key=lambda visit: (visit.start, visit.machine, visit.job, visit.operation))
        jobs = self.instance.job_names or range(self.instance.num_jobs)
        machines = self.instance.machine_names or range(self.instance.num_machines)
        start = self.instance.start
        return header, [
            [jobs[v.job], v.operation, machines[v.machine], *dates_known(start, v, (v.start, v.end, v.release))]
            for v in visits
        ]

    def trace(self) -> dict[str, Any]:
        """The schedule in Chrome's trace event format, as plain data for JSON (see `trace.trace`)."""
        from .trace import trace

        return trace(self)

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> JobShopSchedule:
        """Read a file that `save` wrote.

        Raises:
            UserError: the file cannot be read or is not JSON, or a field is missing, unknown or malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


def _ragged(table: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(table, lengths, strict=True)]


def completion_time(start: int, processing_time: int, windows: Windows, on_breakdown: str) -> tuple[int, bool]:
    """When an operation that starts at `start` ends, and whether its piece is lost then.

    Args:
        windows: the machine's down-times, sorted and apart; `start` lies in none of them.
        on_breakdown: "resume" keeps the remaining time, "repeat" starts over, "scrap" loses the piece at the begin.
    """
    now, remaining = start, processing_time
    for begin, end in windows:
        if end <= start:
            continue
        if now + remaining <= begin:
            break
        if on_breakdown == "scrap":
            return begin, True
        remaining = remaining - (begin - now) if on_breakdown == "resume" else processing_time
        now = end
    return now + remaining, False


def first_up(time: int, windows: Windows) -> int:
    """Earliest time from `time` on at which the machine is up."""
    for begin, end in windows:
        if begin <= time < end:
            time = end
    return time


def is_down(time: int, windows: Windows) -> bool:
    """Whether the machine is down at `time`: begin <= time < end for one of its windows."""
    return any(begin <= time < end for begin, end in windows)


def validate(schedule: JobShopSchedule) -> list[str]:
    """Every rule of the job shop that the schedule breaks, in words; an empty list for a valid schedule.

    Checked: the form of the data; route order; every completion and every loss of a piece against the down-times; no
    start on a machine that is down; no leaving of one under ``unload_when_down=False``; one piece per machine at a
    time, from entering to leaving; under blocking, that the moves of each clock time can be ordered (single moves into
    empty machines, and swaps in "swap" only) and that a second operation on the same machine follows at once; the
    trivial bounds. An unfinished schedule is checked for what was carried out.

    Where the instance has a start state, what had begun by then must be in the schedule as it is given there, and
    counts as carried out; all else must begin from then on, and fit where jobs and machines stand.

    Whether a swap or a move came as early as it could is no question of validity.
    """
    form = list(_form_violations(schedule))
    if form:
        return form
    pieces = list(schedule.pieces())
    past = list(past_violations(schedule, pieces))
    if past:
        return past
    pieces = without_past(schedule, pieces)
    violations = [
        *_completeness_violations(schedule),
        *_succession_violations(schedule, pieces),
        *_machine_time_violations(schedule, pieces),
    ]
    occupancy = list(_occupancy_violations(pieces, schedule.blocking != "none"))
    if schedule.blocking != "none":
        violations += _continuation_violations(schedule, pieces)
        # Where two pieces share a machine no order of moves can be right; one message is enough.
        if not occupancy and not violations:
            violations += _move_violations(schedule, pieces)
    return [*violations, *occupancy, *_bound_violations(schedule)]


def _form_violations(schedule: JobShopSchedule) -> Iterator[str]:
    instance = schedule.instance
    if schedule.blocking not in BLOCKING:
        yield f"blocking is {schedule.blocking!r}, expected one of {BLOCKING}"
    if schedule.on_breakdown not in ON_BREAKDOWN:
        yield f"on_breakdown is {schedule.on_breakdown!r}, expected one of {ON_BREAKDOWN}"
    if schedule.lost.ndim != 2 or schedule.lost.shape[1] != 6:
        yield f"lost has shape {schedule.lost.shape}, expected [rows, 6]"
    else:
        yield from _lost_form_violations(schedule)
    for name, table in (("start", schedule.start), ("completion", schedule.completion)):
        if table.shape != instance.times.shape:
            yield f"{name} has shape {table.shape}, expected {instance.times.shape}"
            continue
        padded = np.arange(table.shape[1])[None, :] >= instance.lengths[:, None]
        if (table[padded] != -1).any():
            yield f"{name} holds times behind the last operation of a job"
        if (table < -1).any():
            yield f"{name} holds a negative time"
    if len(schedule.downtime) not in (0, instance.num_machines):
        yield f"downtime has {len(schedule.downtime)} entries, expected none or {instance.num_machines}"
    for machine, windows in enumerate(schedule.downtime):
        bounds = [bound for window in windows for bound in window]
        if any(late <= early for early, late in zip([-1, *bounds], bounds, strict=False)):
            yield f"down-times of machine {machine} are not sorted and apart: {windows}"


def _lost_form_violations(schedule: JobShopSchedule) -> Iterator[str]:
    if len(schedule.lost) and schedule.on_breakdown != "scrap":
        yield f"pieces are lost although on_breakdown is {schedule.on_breakdown!r}"
    instance = schedule.instance
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for job, piece, operation, machine, start, end in schedule.lost.tolist():
        if not 0 <= job < instance.num_jobs or not 0 <= operation < instance.lengths[job]:
            yield f"lost: there is no operation {operation} of job {job}"
            continue
        expected = int(instance.machines[job, operation])
        if machine != expected:
            yield f"lost: operation {operation} of job {job} stands on machine {machine}, its route says {expected}"
        if not 0 <= start <= end:
            yield f"lost: operation {operation} of job {job} runs from {start} to {end}"
        seen[job].append((piece, operation))
    for job, rows in seen.items():
        allowed = [(0, 0)]
        for row in sorted(rows):
            if row not in allowed:
                yield f"lost: job {job} has piece {row[0]}, operation {row[1]}, where one of {allowed} must follow"
                break
            allowed = [(row[0], row[1] + 1), (row[0] + 1, 0)]


def _completeness_violations(schedule: JobShopSchedule) -> Iterator[str]:
    complete = True
    for j, length in enumerate(schedule.instance.lengths.tolist()):
        for k in range(length):
            if schedule.completion[j, k] >= 0 > schedule.start[j, k]:
                yield f"operation {k} of job {j} is completed at {schedule.completion[j, k]} but never started"
            if schedule.completion[j, k] < 0:
                complete = False
                if schedule.finished:
                    yield f"operation {k} of job {j} is not completed, though the schedule is finished"
    if complete and not schedule.finished:
        yield "every operation is completed, though the schedule is not finished"


def _succession_violations(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> Iterator[str]:
    """Route order within a piece, and one piece of a job after the other."""
    lost_at: dict[int, int] = {}
    for visits in pieces:
        first = visits[0]
        if first.start < lost_at.get(first.job, 0):
            yield f"{first} starts at {first.start}, before the piece before it was lost at {lost_at[first.job]}"
        expected = _first_left(schedule, first)
        for visit in visits:
            if visit.operation != expected:
                yield f"{visit} is started, but operation {expected} before it is not"
            expected = visit.operation + 1
        for visit, following in pairwise(visits):
            if visit.end < 0:
                yield f"{following} starts at {following.start}, but operation {visit.operation} is not completed"
            elif following.start < visit.end:
                yield (
                    f"{following} starts at {following.start}, before operation {visit.operation} "
                    f"is completed at {visit.end}"
                )
        if visits[-1].cut:
            lost_at[first.job] = visits[-1].end


def _first_left(schedule: JobShopSchedule, first: Visit) -> int:
    """The operation with which a piece must begin, as far as it is not past."""
    start = schedule.instance.start
    if start is None or first.piece > 0:
        return 0
    return first.operation if has_begun(start, first) else start.jobs[first.job].begun


def _machine_time_violations(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> Iterator[str]:
    """Starts, ends and leaving against the down-times.

    A swap enters each machine of its cycle, so that these must be up is the same as for any start.
    """
    recorded = [int(schedule.start.max()), int(schedule.completion.max()), *schedule.lost[:, 5].tolist()]
    now = max(recorded)
    for visits in pieces:
        for visit in visits:
            windows = schedule.windows(visit.machine)
            if has_begun(schedule.instance.start, visit):
                if is_in_progress(schedule.instance.start, visit):
                    yield from _end_violations(schedule, visit, now)
            elif is_down(visit.start, windows):
                yield f"{visit} starts at {visit.start} on machine {visit.machine}, which is down then"
            else:
                yield from _end_violations(schedule, visit, now)
        if schedule.blocking == "none" or schedule.unload_when_down:
            continue
        for visit, following in pairwise(visits):
            if following.machine != visit.machine and is_down(visit.release, schedule.windows(visit.machine)):
                yield f"{visit} leaves machine {visit.machine} at {visit.release}, which is down then and locks it"


def _end_violations(schedule: JobShopSchedule, visit: Visit, now: int) -> Iterator[str]:
    processing_time = int(schedule.instance.times[visit.job, visit.operation])
    windows = schedule.windows(visit.machine)
    start = schedule.instance.start
    if start is not None and is_in_progress(start, visit):
        due, lost = end_in_progress(start, visit, processing_time, windows, schedule.on_breakdown)
    else:
        due, lost = completion_time(visit.start, processing_time, windows, schedule.on_breakdown)
    what = "is lost" if lost else "is completed"
    if visit.end < 0:
        if due <= now and not schedule.finished:
            yield f"{visit} is still in progress at {now}, but {what} at {due}"
    elif (visit.end, visit.cut) != (due, lost):
        said = "is lost" if visit.cut else "is completed"
        yield (
            f"{visit} {said} at {visit.end}, but started at {visit.start} with processing time {processing_time} "
            f"it {what} at {due}"
        )


def _occupancy_violations(pieces: list[list[Visit]], blocking: bool) -> Iterator[str]:
    """Intervals from entering to leaving may touch; one of length zero lies at an end of another, not inside."""
    by_machine: dict[int, list[tuple[float, float, Visit]]] = defaultdict(list)
    for visits in pieces:
        for _, stay in groupby(enumerate(visits), key=lambda item: item[1].machine if blocking else item[0]):
            # Under blocking a job does not leave between operations on one machine.
            run = [visit for _, visit in stay]
            release = run[-1].release if run[-1].release >= 0 else math.inf
            by_machine[run[0].machine].append((run[0].start, release, run[0]))
    for machine, stays in sorted(by_machine.items()):
        stays.sort()
        _, held_until, holder = stays[0]
        for start, release, visit in stays[1:]:
            if start < held_until:
                yield f"machine {machine} holds {holder} until {held_until}, but {visit} enters at {start}"
            if release >= held_until:
                holder, held_until = visit, release


def _continuation_violations(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> Iterator[str]:
    """Under blocking an operation on the machine where its job stands starts as soon as the machine is up."""
    for visits in pieces:
        for visit, following in pairwise(visits):
            if visit.machine != following.machine or visit.end < 0:
                continue
            start = schedule.instance.start
            ready = visit.end if start is None else max(visit.end, start.time)
            due = first_up(ready, schedule.windows(visit.machine))
            if following.start > due:
                yield f"{following} starts at {following.start} on the machine where its job stands, not at {due}"


def _move_violations(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> Iterator[str]:
    swap = schedule.blocking == "swap"
    for time, movers in sorted(_movers(schedule, pieces).items()):
        _, stuck = order_moves(movers, swap)
        if stuck:
            jobs = ", ".join(str(job) for job in sorted({movers[i].job for i in stuck}))
            rule = "empty machine or a swap" if swap else "empty machine: without swaps this is a deadlock"
            yield f"at time {time} no order lets every move of jobs {jobs} find an {rule}"


def swaps(schedule: JobShopSchedule) -> list[Swap]:
    """Every instant of a valid schedule at which two or more jobs exchanged machines in a cycle."""
    if schedule.blocking != "swap":
        return []
    found = []
    for time, movers in sorted(_movers(schedule, list(schedule.pieces())).items()):
        made = [0] * len(movers)
        for step in order_moves(movers, swap=True)[0]:
            if len(step) > 1:
                entered = tuple(movers[i].targets[made[i]] for i in step)
                found.append(Swap(time, tuple(movers[i].job for i in step), entered))
            for i in step:
                made[i] += 1
    return found


def _movers(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> dict[int, list[Mover]]:
    """Movers of every clock time at which a machine is entered."""
    movers: dict[int, list[Mover]] = defaultdict(list)
    for visits in pieces:
        source = -1
        targets: dict[int, list[int]] = {}
        sources: dict[int, int] = {}
        for visit in visits:
            if has_begun(schedule.instance.start, visit):
                source = visit.machine
            elif visit.machine != source:  # on the same machine a job continues without a move
                sources.setdefault(visit.start, source)
                targets.setdefault(visit.start, []).append(visit.machine)
                source = visit.machine
        last = visits[-1]
        is_last_operation = last.operation == schedule.instance.lengths[last.job] - 1
        for time, machines in targets.items():
            leaves = is_last_operation and last.end == time
            movers[time].append(Mover(last.job, sources[time], machines, leaves))
    return movers


def _bound_violations(schedule: JobShopSchedule) -> Iterator[str]:
    if not schedule.finished:
        return
    instance = schedule.instance
    if instance.start is not None:
        if schedule.makespan < lower_bound(instance):
            yield f"makespan {schedule.makespan} is below what is left to do from the start, {lower_bound(instance)}"
        return
    for name, bound in (("longest job", job_bound(instance)), ("machine bound", machine_bound(instance))):
        if schedule.makespan < bound:
            yield f"makespan {schedule.makespan} is below the {name}, {bound}"
    total = int(instance.times.sum())
    if schedule.makespan > total and not any(schedule.downtime):
        yield f"makespan {schedule.makespan} is above the total work {total}: at times nothing is done, nothing is down"
