"""Where a job shop stands when it is to be planned from now on: the key ``start`` of an instance's file.

::

    "start": {
     "time": 75,
     "jobs": [
      {"job": 0, "finished": 2},
      {"job": 1, "finished": 1, "processing": {"machine": 2, "since": 70}},
      {"job": 2, "finished": 0, "processing": {"machine": 0, "remaining": 4}},
      {"job": 3, "finished": 2, "blocked": {"machine": 1}},
      {"job": 4, "finished": [[0, 3], [10, 14]], "waiting": {"machine": 3, "operation": 2}}
     ],
     "down": [{"machine": 1, "until": 120}]
    }

``finished`` says how many operations of a job are completed, or when each of them began and ended. Jobs that are not
listed have not begun. A job that is not ``processing`` waits for its next machine: outside, or, where there are no
buffers, on the machine of its last operation. ``blocked`` and ``waiting`` only say so again, to be checked. ``since``
gives the begin of what goes on, ``remaining`` the processing time that it still needs (where it was interrupted, both).
A machine is ``down`` from ``since`` (default: now) until ``until``. Jobs and machines are named by their numbers, or by
the instance's names for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import decode_text, read_bounded, user_path
from ..core.instance import parse_json, require_integer, require_keys, require_list

if TYPE_CHECKING:
    from .instance import JobShopInstance

MAX_CLOCK = 2**53
_PLACES = ("processing", "blocked", "waiting")
_FEW = 24  # names that a message can list


@dataclass(frozen=True)
class JobStart:
    """Where one job stands.

    Attributes:
        finished: how many operations are completed.
        history: begin and end of each of them; None where that is not known.
        since: begin of the operation in progress, -1 where none is.
        remaining: processing time that it still needs.
        place: "blocked" or "waiting" where the state says so, "processing" where `since` is given, else "".
    """

    finished: int = 0
    history: tuple[tuple[int, int], ...] | None = None
    since: int = -1
    remaining: int = 0
    place: str = ""

    @property
    def begun(self) -> int:
        """How many operations have begun."""
        return self.finished + (self.since >= 0)


@dataclass(frozen=True)
class ShopStart:
    """Where a shop stands.

    Attributes:
        time: now.
        jobs: one entry per job.
        down: ``(machine, since, until)`` of each machine that is down, since <= time < until.
    """

    time: int
    jobs: tuple[JobStart, ...]
    down: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def read(cls, given: Any, instance: JobShopInstance) -> ShopStart:
        """A start state of an instance, from what a user gives: an object, JSON data, or the path of a file of it.

        Raises:
            UserError: the file cannot be read, or something contradicts itself or the instance.
        """
        if isinstance(given, ShopStart):
            return cls.from_dict(given.to_dict(instance), instance)
        if isinstance(given, str | os.PathLike):
            source = str(user_path(given))
            return cls.from_dict(parse_json(decode_text(read_bounded(source), source), source), instance, source)
        return cls.from_dict(given, instance)

    @classmethod
    def from_dict(cls, data: object, instance: JobShopInstance, source: str | None = None) -> ShopStart:
        """Read the JSON form; `source` (a path) begins the messages.

        Raises:
            UserError: a field is missing, unknown or malformed, or contradicts another one or the instance.
        """
        return _Reader(instance, source).read(data)

    def to_dict(self, instance: JobShopInstance) -> dict[str, Any]:
        """The JSON form."""
        jobs = []
        for number, job in enumerate(self.jobs):
            if job == JobStart():
                continue
            finished = job.finished if job.history is None else [list(dates) for dates in job.history]
            entry: dict[str, Any] = {"job": number, "finished": finished}
            if job.since >= 0:
                machine = int(instance.machines[number, job.finished])
                entry["processing"] = {"machine": machine, "since": job.since, "remaining": job.remaining}
            elif job.place:
                operation = job.finished - (job.place == "blocked")
                entry[job.place] = {"machine": int(instance.machines[number, operation])}
            jobs.append(entry)
        data: dict[str, Any] = {"time": self.time, "jobs": jobs}
        if self.down:
            data["down"] = [{"machine": m, "since": since, "until": until} for m, since, until in self.down]
        return data

    def dates(self, instance: JobShopInstance) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When operations began and ended: two tables [n, L], -1 for what has not happened yet.

        What is not known is taken to have happened at once, just before what is known next of the job: when its
        operation in progress began, else now.
        """
        start = np.full(instance.times.shape, -1, dtype=np.int64)
        completion = start.copy()
        for number, job in enumerate(self.jobs):
            unknown = job.since if job.since >= 0 else self.time
            dates = job.history if job.history is not None else ((unknown, unknown),) * job.finished
            for k, (begin, end) in enumerate(dates):
                start[number, k], completion[number, k] = begin, end
            if job.since >= 0:
                start[number, job.finished] = job.since
        return start, completion

    def holder(self, number: int, instance: JobShopInstance, blocking: str) -> int:
        """The machine that a job stands on, -1 where it waits outside or has left."""
        job = self.jobs[number]
        if job.since >= 0:
            return int(instance.machines[number, job.finished])
        inside = blocking != "none" and 0 < job.finished < instance.lengths[number]
        return int(instance.machines[number, job.finished - 1]) if inside else -1

    def check_blocking(self, instance: JobShopInstance, blocking: str) -> None:
        """Raise where the state cannot be one of a shop with or without buffers.

        Args:
            blocking: "none" (with buffers), "swap" or "no-swap".

        Raises:
            FieldError: a job is blocked although there are buffers, or waits outside although there are none; or, for
                the same reason, two jobs are on one machine.
        """
        held: dict[int, int] = {}
        for number, job in enumerate(self.jobs):
            where = f"start, job {number} of {instance.name!r}"
            if blocking == "none" and job.place == "blocked":
                raise FieldError(where, "blocked", "waiting: with blocking='none' it leaves its machine")
            machine = self.holder(number, instance, blocking)
            if job.place == "waiting" and machine >= 0:
                expected = f"blocked on machine {machine}: with blocking={blocking!r} there is no buffer to wait in"
                raise FieldError(where, "waiting", expected)
            if machine in held:
                expected = f"one job: job {held[machine]} is there, and job {number} cannot have left it"
                raise FieldError(f"start, machine {machine} of {instance.name!r}", 2, f"{expected} (no buffers)")
            if machine >= 0:
                held[machine] = number


class _Reader:
    """Reads a start state of an instance."""

    def __init__(self, instance: JobShopInstance, source: str | None) -> None:
        self._instance, self._source = instance, source
        self._time = 0
        self._on: dict[int, int] = {}

    def read(self, data: object) -> ShopStart:
        document = require_keys("start", data, ("time", "jobs"), ("down",), self._source)
        self._time = self._integer("start.time", document["time"], MAX_CLOCK)
        down = self._down(require_list("start.down", document.get("down", []), self._source))
        jobs: dict[int, JobStart] = {}
        for index, entry in enumerate(require_list("start.jobs", document["jobs"], self._source)):
            field = f"start.jobs[{index}]"
            row = require_keys(field, entry, ("job", "finished"), _PLACES, self._source)
            number = self._which(f"{field}.job", row["job"], self._instance.job_names, self._instance.num_jobs)
            if number in jobs:
                raise self._error(f"{field}.job", number, f"another job: job {number} has an entry and is in one place")
            jobs[number] = self._job(field, number, row)
        start = ShopStart(self._time, tuple(jobs.get(n, JobStart()) for n in range(self._instance.num_jobs)), down)
        if all(job.finished == length for job, length in zip(start.jobs, self._instance.lengths, strict=True)):
            raise self._error("start.jobs", "every job finished", "at least one operation that is left to plan")
        return start

    def _error(self, field: str, value: object, expected: str) -> FieldError:
        return FieldError(field, value, expected, self._source)

    def _integer(self, field: str, value: object, high: int, low: int = 0) -> int:
        return require_integer(field, value, low, high, self._source)

    def _machine(self, field: str, value: object) -> int:
        return self._which(field, value, self._instance.machine_names, self._instance.num_machines)

    def _which(self, field: str, value: object, names: Sequence[str], count: int) -> int:
        """A job or a machine by its name or its number."""
        if not isinstance(value, str) or not names:
            return self._integer(field, value, count - 1)
        if value not in names:
            raise self._error(
                field, value, f"one of {', '.join(names)}" if len(names) <= _FEW else "a name that is known"
            )
        return names.index(value)

    def _down(self, rows: list[Any]) -> tuple[tuple[int, int, int], ...]:
        found: dict[int, tuple[int, int, int]] = {}
        for index, entry in enumerate(rows):
            field = f"start.down[{index}]"
            row = require_keys(field, entry, ("machine", "until"), ("since",), self._source)
            machine = self._machine(f"{field}.machine", row["machine"])
            if machine in found:
                raise self._error(f"{field}.machine", machine, "a machine that is not listed before")
            until = self._integer(f"{field}.until", row["until"], MAX_CLOCK)
            if until <= self._time:
                raise self._error(f"{field}.until", until, f"a time after now, {self._time}")
            since = self._integer(f"{field}.since", row.get("since", self._time), MAX_CLOCK)
            if since > self._time:
                raise self._error(f"{field}.since", since, f"a time up to now, {self._time}; later: 'windows'")
            found[machine] = machine, since, until
        return tuple(found[machine] for machine in sorted(found))

    def _job(self, field: str, number: int, row: dict[str, Any]) -> JobStart:
        history = self._history(f"{field}.finished", number, row["finished"])
        length = int(self._instance.lengths[number])
        count = len(history) if history is not None else self._integer(f"{field}.finished", row["finished"], length)
        given = [place for place in _PLACES if place in row]
        if len(given) > 1:
            raise self._error(field, " and ".join(given), f"one of them: job {number} is in one place")
        if not given:
            return JobStart(count, history)
        place = given[0]
        here = f"{field}.{place}"
        keys = ("since", "remaining") if place == "processing" else ()
        required = () if place == "waiting" else ("machine",)
        inner = require_keys(here, row[place], required, (*keys, "machine", "operation"), self._source)
        operation = count - 1 if place == "blocked" else count
        if not 0 <= operation < length or (place == "blocked" and count == length):
            expected = f"an operation of job {number} for it, which has {length} of which {count} are finished"
            raise self._error(here, row[place], expected)
        self._check_operation(here, number, operation, inner, place)
        if place != "processing":
            return JobStart(count, history, place=place)
        earliest = history[-1][1] if history else 0
        since, remaining = self._progress(here, number, operation, inner, earliest)
        return JobStart(count, history, since, remaining, place)

    def _check_operation(self, field: str, number: int, operation: int, inner: dict[str, Any], place: str) -> None:
        """The operation and the machine that a place names, against the route; and nobody else stands there."""
        if "operation" in inner and inner["operation"] != operation:
            what = "the last one that is finished" if place == "blocked" else "the first one that is not finished"
            raise self._error(f"{field}.operation", inner["operation"], f"{operation}, of job {number} {what}")
        if "machine" not in inner:
            return
        machine = self._machine(f"{field}.machine", inner["machine"])
        route = int(self._instance.machines[number, operation])
        if machine != route:
            expected = f"{route}, the machine of operation {operation} of job {number}"
            raise self._error(f"{field}.machine", machine, expected)
        if place == "waiting":
            return
        if machine in self._on:
            expected = f"a machine that holds no other job; job {self._on[machine]} is there"
            raise self._error(f"{field}.machine", machine, expected)
        self._on[machine] = number

    def _history(self, field: str, number: int, value: object) -> tuple[tuple[int, int], ...] | None:
        if not isinstance(value, list):
            return None
        length = int(self._instance.lengths[number])
        if len(value) > length:
            raise self._error(field, f"{len(value)} operations", f"at most {length}, those of job {number}")
        dates: list[tuple[int, int]] = []
        for k, entry in enumerate(value):
            row = require_list(f"{field}[{k}]", entry, self._source)
            if len(row) != 2:
                raise self._error(f"{field}[{k}]", row, "[begin, end]")
            begin, end = (self._integer(f"{field}[{k}][{side}]", row[side], self._time) for side in (0, 1))
            time = int(self._instance.times[number, k])
            if end - begin < time:
                raise self._error(f"{field}[{k}]", row, f"at least {time} from begin to end, the operation's time")
            dates.append((begin, end))
        for k, (before, after) in enumerate(pairwise(dates)):
            if after[0] < before[1]:
                expected = f"{before[1]} or later, the end of operation {k}"
                raise self._error(f"{field}[{k + 1}][0]", after[0], expected)
        return tuple(dates)

    def _progress(
        self, field: str, number: int, operation: int, inner: Mapping[str, Any], earliest: int
    ) -> tuple[int, int]:
        """(begin, processing time left) of an operation in progress."""
        time = int(self._instance.times[number, operation])
        what = f"operation {operation} of job {number}"
        if "since" not in inner and "remaining" not in inner:
            raise self._error(field, dict(inner), "since or remaining")
        left = None
        if "remaining" in inner:
            left = inner["remaining"]
            if isinstance(left, bool) or not isinstance(left, int) or not 0 <= left <= time:
                raise self._error(f"{field}.remaining", left, f"0 to {time}, the time of {what}")
        if "since" not in inner:
            assert left is not None
            return max(earliest, self._time - (time - left)), left
        since = self._integer(f"{field}.since", inner["since"], self._time)
        if since < earliest:
            raise self._error(f"{field}.since", since, f"{earliest} or later, the end of the operation before")
        passed = self._time - since
        if left is None:
            if passed > time:
                expected = f"{self._time - time} or later: {what} takes {time}, and it is {self._time}"
                hint = "; where it was interrupted, give remaining, too"
                raise self._error(f"{field}.since", since, expected + hint)
            left = time - passed
        elif passed < time - left:
            expected = f"{time - passed} or more: {what} takes {time}, and {passed} have passed since {since}"
            raise self._error(f"{field}.remaining", left, expected)
        return since, left
