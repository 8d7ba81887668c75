"""The static data of one job shop: routes, processing times, down-times; its checks and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write, decode_text, read_bounded
from ..core.instance import check_header, parse_json, require_integer, require_keys, require_list, require_name
from .formats import MAX_JOBS, MAX_MACHINES, parse_text
from .start import MAX_CLOCK, ShopStart

FORMAT = "makespan/job-shop"
VERSION = 1

MAX_OPERATIONS = 200_000
MAX_TIME = 10**9
MAX_FILE_BYTES = 16 * 2**20
# Routes and down-times are stored as tables padded to the longest row: a single long row must not fill the memory.
MAX_TABLE = 2_000_000

_KEYS = ("format", "version", "name", "machines", "jobs")
_OPTIONAL_KEYS = ("recirculation", "windows", "job_names", "machine_names", "start")
_SEEN_BEFORE = 'a machine that the job has not visited before, unless "recirculation" is true'


@dataclass(frozen=True, eq=False)
class JobShopInstance:
    """n jobs on m machines; job j is a sequence of operations (j, k), k = 0 .. lengths[j] - 1.

    Checked when it is made, by `validate`; the arrays are copies and read-only.

    Attributes:
        name: how reports call it.
        times: int64 [n, L], processing time of operation (j, k) in the instance's time unit, 0 where padded.
        machines: int32 [n, L], machine of operation (j, k), -1 where padded. Routes may skip or revisit machines.
        lengths: int64 [n], operations per job, each at least 1.
        num_machines: m.
        windows: per machine the planned or recorded down-times ``(begin, end)``: down at begin <= t < end, sorted,
            disjoint and not touching. Empty where there are none.
        job_names, machine_names: what they are called where they come from; empty where they have no names.
        start: where the shop stands when it is to be planned from now on; None for one in which nothing has begun.

    Raises:
        FieldError: a field holds something else.
    """

    name: str
    times: NDArray[np.int64]
    machines: NDArray[np.int32]
    lengths: NDArray[np.int64]
    num_machines: int
    windows: tuple[tuple[tuple[int, int], ...], ...] = field(default=())
    start: ShopStart | None = None
    job_names: tuple[str, ...] = ()
    machine_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Wide integers first, so that no value wraps before it is checked.
        for name, dimensions in (("times", 2), ("machines", 2), ("lengths", 1)):
            object.__setattr__(self, name, _integer_array(name, getattr(self, name), dimensions))
        num_machines = require_integer("number of machines", self.num_machines, 1, MAX_MACHINES)
        object.__setattr__(self, "num_machines", num_machines)
        object.__setattr__(self, "windows", _windows(self.windows))
        validate(self)
        for name, count in (("job_names", self.num_jobs), ("machine_names", self.num_machines)):
            object.__setattr__(self, name, _names(name, getattr(self, name), count))
        object.__setattr__(self, "machines", self.machines.astype(np.int32))
        for array in (self.times, self.machines, self.lengths):
            array.setflags(write=False)

    @property
    def num_jobs(self) -> int:
        """How many jobs there are."""
        return len(self.lengths)

    @classmethod
    def from_routes(
        cls,
        name: str,
        times: Sequence[Sequence[int]],
        machines: Sequence[Sequence[int]],
        num_machines: int | None = None,
        windows: Sequence[Sequence[tuple[int, int]]] = (),
    ) -> JobShopInstance:
        """Build an instance from ragged lists, one per job.

        Args:
            name: how reports call it.
            times: processing times of each job's operations.
            machines: their machines, from 0.
            num_machines: m; None takes one more than the largest machine.
            windows: per machine the down-times (begin, end); or nothing.

        Raises:
            FieldError: something is malformed; the field reads as in a file, for example ``jobs[3].times[2]``.
        """
        _check_counts(times, machines)
        lengths = np.array([len(route) for route in machines], dtype=np.int64)
        time_table = np.zeros((len(lengths), int(lengths.max())), dtype=np.int64)
        machine_table = np.full(time_table.shape, -1, dtype=np.int32)
        for job, (job_times, job_machines) in enumerate(zip(times, machines, strict=True)):
            time_table[job, : lengths[job]] = _integer_row(f"jobs[{job}].times", job_times, MAX_TIME)
            machine_table[job, : lengths[job]] = _integer_row(f"jobs[{job}].machines", job_machines, MAX_MACHINES - 1)
        if num_machines is None:
            num_machines = int(machine_table.max()) + 1
        return cls(name, time_table, machine_table, lengths, num_machines, _windows(windows))

    @property
    def downtimes(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """The windows, and those in which machines are down at the start; in the form of `windows`."""
        if self.start is None or not self.start.down:
            return self.windows
        table = [list(machine) for machine in self.windows or ((),) * self.num_machines]
        for machine, since, until in self.start.down:
            table[machine] = _joined([*table[machine], (since, until)])
        return tuple(map(tuple, table))

    def starting_from(self, start: Any) -> JobShopInstance:
        """The same shop where it stands now: a `ShopStart`, its JSON data, or the path of a file of them.

        Raises:
            UserError: the file cannot be read, or something contradicts itself or the shop.
        """
        return replace(self, start=ShopStart.read(start, self))

    @property
    def recirculates(self) -> bool:
        """Whether a job visits a machine twice."""
        return _first_revisit(self) is not None

    def same_as(self, other: JobShopInstance) -> bool:
        """Whether both are the same problem: equal routes, times, machine counts, down-times and starts.

        Names may differ.
        """
        mine, others = ([list(machine) for machine in x.windows if any(x.windows)] for x in (self, other))
        return mine == others and self.start == other.start and self.same_routes(other)

    def same_routes(self, other: JobShopInstance) -> bool:
        """Whether both have equal routes, times and machine counts; names, down-times and starts may differ."""
        return (
            self.num_machines == other.num_machines
            and np.array_equal(self.lengths, other.lengths)
            and self.to_dict()["jobs"] == other.to_dict()["jobs"]
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: plain lists and integers."""
        rows = zip(self.machines.tolist(), self.times.tolist(), self.lengths.tolist(), strict=True)
        data: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "machines": self.num_machines,
            "jobs": [{"machines": machines[:length], "times": times[:length]} for machines, times, length in rows],
        }
        if self.recirculates:
            data["recirculation"] = True
        if any(self.windows):
            data["windows"] = [[list(window) for window in machine] for machine in self.windows]
        for key in ("job_names", "machine_names"):
            if getattr(self, key):
                data[key] = list(getattr(self, key))
        if self.start is not None:
            data["start"] = self.start.to_dict(self)
        return data

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> JobShopInstance:
        """Read the JSON form; `source` (a path) begins the messages.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        document = require_keys(
            "the instance", check_header(data, FORMAT, (VERSION,), source), _KEYS, _OPTIONAL_KEYS, source
        )
        recirculation = document.get("recirculation", False)
        if not isinstance(recirculation, bool):
            raise FieldError("recirculation", recirculation, "true or false", source)
        jobs = [
            require_keys(f"jobs[{job}]", entry, ("machines", "times"), (), source)
            for job, entry in enumerate(require_list("jobs", document["jobs"], source))
        ]
        for job, entry in enumerate(jobs):
            for key in ("machines", "times"):
                require_list(f"jobs[{job}].{key}", entry[key], source)
        num_machines = require_integer("machines", document["machines"], 1, MAX_MACHINES, source)
        instance = _from_source(
            source,
            recirculation,
            require_name("name", document["name"], source),
            [entry["times"] for entry in jobs],
            [entry["machines"] for entry in jobs],
            num_machines,
            document.get("windows", ()),
        )
        for key in ("job_names", "machine_names"):
            if key in document:
                instance = _named(instance, source, **{key: tuple(require_list(key, document[key], source))})
        if "start" not in document:
            return instance
        return replace(instance, start=ShopStart.from_dict(document["start"], instance, source))

    def dumps(self) -> str:
        """The JSON form as text, one line per job."""
        data = self.to_dict()
        jobs = ",\n".join(f"  {json.dumps(job)}" for job in data.pop("jobs"))
        head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
        return f'{{\n{head},\n "jobs": [\n{jobs}\n ]\n}}\n'

    def save(self, path: str | Path) -> None:
        """Write the JSON form, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, self.dumps())

    @classmethod
    def load(cls, path: str | Path, recirculation: bool = False) -> JobShopInstance:
        """Read a file in our JSON form, in the standard format or in Taillard's; the content says which.

        Args:
            path: the file. The text formats hold no name: the instance is called as the file is, without its suffix.
            recirculation: whether a route in a text format may visit a machine twice (JSON files say so themselves).

        Raises:
            UserError: the file cannot be read, or something in it is malformed.
        """
        source = str(path)
        text = decode_text(read_bounded(path, MAX_FILE_BYTES), source)
        if text.lstrip()[:1] in ("{", "["):
            return cls.from_dict(parse_json(text, source), source)
        routes = parse_text(text, source)
        name = require_name("name of the file", Path(path).stem, source)
        instance = _from_source(source, recirculation, name, *routes[:3])
        return _named(instance, source, job_names=routes.job_names, machine_names=routes.machine_names)


def validate(instance: JobShopInstance, recirculation: bool = True) -> None:
    """Check everything that the class documents, and the limits of size.

    At most `MAX_JOBS` jobs, `MAX_MACHINES` machines, `MAX_OPERATIONS` operations of at most `MAX_TIME` time units each;
    all work together is so below 2**53. Zero times are legal.

    Args:
        instance: the instance, its arrays of any integer type.
        recirculation: whether a route may visit a machine twice.

    Raises:
        FieldError: something is malformed; the field reads as in a file, for example ``jobs[3].times[2]``.
    """
    require_name("name", instance.name)
    _check_shapes(instance)
    inside = np.arange(instance.times.shape[1]) < instance.lengths[:, None]
    _check_table(instance.times, inside, "times", MAX_TIME, 0)
    _check_table(instance.machines, inside, "machines", instance.num_machines - 1, -1)
    revisit = None if recirculation else _first_revisit(instance)
    if revisit is not None:
        job, k = revisit
        raise FieldError(f"jobs[{job}].machines[{k}]", int(instance.machines[job, k]), _SEEN_BEFORE)
    _check_windows(instance.windows, instance.num_machines)


def _check_shapes(instance: JobShopInstance) -> None:
    num_jobs = len(instance.lengths)
    require_integer("number of jobs", num_jobs, 1, MAX_JOBS)
    for name in ("times", "machines"):
        shape = getattr(instance, name).shape
        if shape != instance.times.shape or shape[0] != num_jobs:
            raise FieldError(f"shape of {name}", shape, f"({num_jobs}, L), the same for times and machines")
    longest = instance.times.shape[1]
    for job, length in enumerate(instance.lengths.tolist()):
        require_integer(f"number of operations of jobs[{job}]", length, 1, longest)
    require_integer("number of operations", int(instance.lengths.sum()), 1, MAX_OPERATIONS)
    _check_padded("jobs", num_jobs, longest)


def _check_table(table: NDArray[Any], inside: NDArray[np.bool_], name: str, high: int, padding: int) -> None:
    wrong = np.argwhere(np.where(inside, (table < 0) | (table > high), table != padding))
    if len(wrong):
        job, k = wrong[0].tolist()
        value = int(table[job, k])
        if not inside[job, k]:
            raise FieldError(f"{name}[{job}, {k}]", value, f"{padding}, the padding after the job's last operation")
        require_integer(f"jobs[{job}].{name}[{k}]", value, 0, high)


def _first_revisit(instance: JobShopInstance) -> tuple[int, int] | None:
    for job, (route, length) in enumerate(zip(instance.machines.tolist(), instance.lengths.tolist(), strict=True)):
        visited = set()
        for k, machine in enumerate(route[:length]):
            if machine in visited:
                return job, k
            visited.add(machine)
    return None


def _check_windows(windows: tuple[tuple[tuple[int, int], ...], ...], num_machines: int) -> None:
    if len(windows) not in (0, num_machines):
        raise FieldError("windows", windows, f"no entry or {num_machines}, one per machine")
    for m, machine in enumerate(windows):
        free_from = 0
        for w, (begin, end) in enumerate(machine):
            here = f"windows[{m}][{w}]"
            if end <= begin:
                raise FieldError(here, (begin, end), "a window (begin, end) with begin < end")
            if w and begin <= free_from:
                raise FieldError(here, (begin, end), f"a window that begins after {free_from}, the end of the last")
            free_from = end
    _check_padded("windows", len(windows), max((len(machine) for machine in windows), default=0))


def _check_padded(what: str, rows: int, longest: int) -> None:
    if rows * longest > MAX_TABLE:
        raise FieldError(
            f"table of {what}", f"{rows} x {longest}", f"at most {MAX_TABLE} entries, rows padded to the longest"
        )


def _check_counts(times: Sequence[Sequence[int]], machines: Sequence[Sequence[int]]) -> None:
    """Check the shape of ragged lists before tables are made of them."""
    require_integer("number of jobs", len(machines), 1, MAX_JOBS)
    if len(times) != len(machines):
        raise FieldError("times", f"{len(times)} jobs", f"{len(machines)} jobs, as machines has")
    for job, (job_times, job_machines) in enumerate(zip(times, machines, strict=True)):
        if len(job_machines) == 0:
            raise FieldError(f"jobs[{job}].machines", [], "at least one operation")
        if len(job_times) != len(job_machines):
            raise FieldError(f"jobs[{job}].times", job_times, f"{len(job_machines)} times, one per operation")
    longest = max(len(route) for route in machines)
    require_integer("number of operations", sum(len(route) for route in machines), 1, MAX_OPERATIONS)
    _check_padded("jobs", len(machines), longest)


def _integer_row(field: str, row: Sequence[int], high: int) -> list[int]:
    return [require_integer(f"{field}[{k}]", value, 0, high) for k, value in enumerate(row)]


def _integer_array(name: str, value: object, dimensions: int) -> NDArray[np.int64]:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != dimensions:
        found = f"{array.dtype} array with {array.ndim} dimensions"
        raise FieldError(name, found, f"an integer array with {dimensions} dimensions")
    return np.array(array, dtype=np.int64, order="C")


def _windows(windows: Sequence[Sequence[tuple[int, int]]]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Check the form of the down-times and make them tuples of plain integers."""
    table = []
    for m, machine in enumerate(_require_sequence("windows", windows, "a list per machine")):
        for w, window in enumerate(_require_sequence(f"windows[{m}]", machine, "a list of windows [begin, end]")):
            if len(_require_sequence(f"windows[{m}][{w}]", window, "a window [begin, end]")) != 2:
                raise FieldError(f"windows[{m}][{w}]", window, "a window [begin, end]")
            for side, value in enumerate(window):
                require_integer(f"windows[{m}][{w}][{side}]", value, 0, MAX_CLOCK)
        table.append(tuple((int(begin), int(end)) for begin, end in machine))
    return tuple(table)


def _names(field: str, names: Any, count: int) -> tuple[str, ...]:
    found = tuple(_require_sequence(field, names, "a list of names"))
    if len(found) not in (0, count):
        raise FieldError(field, f"{len(found)} names", f"none, or {count}")
    for index, name in enumerate(found):
        if not isinstance(name, str) or not name or not name.isprintable() or name in found[:index]:
            raise FieldError(f"{field}[{index}]", name, "a name that no other has, of printable characters")
    return found


def _named(instance: JobShopInstance, source: str | None, **names: tuple[str, ...]) -> JobShopInstance:
    """The instance with these names; `source` begins the messages."""
    try:
        return replace(instance, **names)
    except FieldError as error:
        raise FieldError(error.field, error.value, error.expected, source) from None


def _joined(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Windows that overlap or touch as one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(windows):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined


def _require_sequence(field: str, value: Any, expected: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise FieldError(field, value, expected)
    return value


def _from_source(source: str | None, recirculation: bool, name: str, *routes: Any) -> JobShopInstance:
    """Build and check what was read from a source, whose name begins the messages."""
    try:
        instance = JobShopInstance.from_routes(name, *routes)
        if not recirculation:
            validate(instance, recirculation=False)
    except FieldError as error:
        raise FieldError(error.field, error.value, error.expected, source) from None
    return instance
