"""The static data of a DAG scheduling problem: a platform, applications, and what is played of them.

The model is specified in ``docs/environments/soc.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write, decode_text, read_bounded
from ..core.instance import (
    check_header,
    content_hash,
    parse_json,
    require_integer,
    require_keys,
    require_list,
    require_name,
)
from .checks import (
    INELIGIBLE,
    MAX_APPLICATIONS,
    MAX_EDGES,
    MAX_FILE_TASKS,
    MAX_PES,
    MAX_RATE,
    TIMES_KEY,
    as_table,
    check_acyclic,
    check_count,
    check_distinct,
    check_edges,
    check_jobs,
    check_range,
    check_shape,
    check_tasks,
    check_times,
    check_totals,
    check_twice,
    fixed,
    integer_array,
    integer_row,
    integer_rows,
    located,
    named_edges,
    read_mix,
)

FORMAT = "makespan/soc"
VERSION = 1

_KEYS = ("format", "version", "name", "platform", "applications")
_OPTIONAL_KEYS = ("mix", "jobs", "unit", "source")
_PLATFORM_KEYS = ("name", "kinds", "bandwidth")
_KIND_KEYS = ("name", "pes")
_KIND_OPTIONAL = ("levels", "power_mw", "idle_mw")
_APPLICATION_KEYS = ("name", "tasks", "edges")


@dataclass(frozen=True)
class Kind:
    """A kind of processing elements (PEs); checked when it is made.

    Attributes:
        name: for example "A7".
        levels: (frequency in MHz, voltage in mV) of each level, ascending; at least one.
        power_mw: for each level the power of the kind's PEs with 1, 2, … of them active, milliwatts.
        idle_mw: for each level what one idle PE leaks, milliwatts.

    Raises:
        FieldError: something is malformed.
    """

    name: str
    levels: tuple[tuple[int, int], ...] = ((1000, 1000),)
    power_mw: tuple[tuple[int, ...], ...] = ((1000,),)
    idle_mw: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        where = f"kind {require_name('name of a kind', self.name)!r}"
        levels = integer_rows(f"{where}: levels", self.levels, 1)
        for k, level in enumerate(levels):
            if len(level) != 2:
                raise FieldError(f"{where}: levels[{k}]", level, "(frequency in MHz, voltage in mV)")
            if k and level[0] <= levels[k - 1][0]:
                raise FieldError(f"{where}: levels[{k}]", level, "a higher frequency than that of the level before")
        powers = integer_rows(f"{where}: power_mw", self.power_mw, 0)
        idle = integer_row(f"{where}: idle_mw", self.idle_mw, 0)
        for name, rows in (("power_mw", powers), ("idle_mw", idle)):
            if len(rows) != len(levels):
                raise FieldError(f"{where}: {name}", rows, f"{len(levels)} entries, one per level")
        for name, value in (("levels", levels), ("power_mw", powers), ("idle_mw", idle)):
            object.__setattr__(self, name, value)

    def to_dict(self, pes: int) -> dict[str, Any]:
        """The JSON form, with the number of the platform's PEs that are of this kind."""
        return {
            "name": self.name,
            "pes": pes,
            "levels": [list(level) for level in self.levels],
            "power_mw": [list(row) for row in self.power_mw],
            "idle_mw": list(self.idle_mw),
        }


@dataclass(frozen=True, eq=False)
class Platform:
    """Processing elements and what joins them; checked when it is made, its arrays are copies and read-only.

    Attributes:
        name: how it is called.
        kinds: the kinds of PEs.
        kind: int64 [P], which kind each PE is of; PEs of a kind lie side by side.
        bandwidth: int64 [P, P], volume units per time unit; the diagonal is not looked at, and set to 1.
        memory_bandwidth: int64 [P], to and from the shared memory.

    Raises:
        FieldError: something is malformed.
    """

    name: str
    kinds: tuple[Kind, ...]
    kind: NDArray[np.int64]
    bandwidth: NDArray[np.int64]
    memory_bandwidth: NDArray[np.int64]

    def __post_init__(self) -> None:
        where = f"platform {require_name('name of the platform', self.name)!r}"
        object.__setattr__(self, "kinds", tuple(self.kinds))
        kind = integer_array(f"{where}: kind", as_table(self.kind), 1)
        pes = require_integer(f"{where}: number of PEs", len(kind), 1, MAX_PES)
        if not np.array_equal(np.unique(kind), np.arange(len(self.kinds))) or (np.diff(kind) < 0).any():
            expected = f"the kind of each PE, ascending, each of 0 to {len(self.kinds) - 1} at least once"
            raise FieldError(f"{where}: kind", kind.tolist(), expected)
        counts = np.bincount(kind)
        check_distinct(f"{where}: name of kinds", [each.name for each in self.kinds])
        for each, count in zip(self.kinds, counts.tolist(), strict=True):
            for k, row in enumerate(each.power_mw):
                if len(row) < count:
                    expected = f"{count} powers, of 1 to {count} active PEs"
                    raise FieldError(f"{where}: kind {each.name!r}: power_mw[{k}]", row, expected)
        bandwidth = integer_array(f"{where}: bandwidth", self.bandwidth, 2)
        check_shape(f"{where}: bandwidth", bandwidth, (pes, pes))
        np.fill_diagonal(bandwidth, 1)
        memory = integer_array(f"{where}: memory_bandwidth", self.memory_bandwidth, 1)
        check_shape(f"{where}: memory_bandwidth", memory, (pes,))
        check_range(f"{where}: bandwidth", bandwidth, 1, MAX_RATE)
        check_range(f"{where}: memory_bandwidth", memory, 1, MAX_RATE)
        for name, array in (("kind", kind), ("bandwidth", bandwidth), ("memory_bandwidth", memory)):
            object.__setattr__(self, name, fixed(array))

    @classmethod
    def of_one_kind(cls, name: str, pes: int, bandwidth: Any = 1) -> Platform:
        """PEs of a single kind and level, each of which draws 1 W when it is active.

        Args:
            bandwidth: between any two of them, one number or int64 [P, P].
        """
        powers = tuple(1000 * (active + 1) for active in range(pes))
        table = np.broadcast_to(np.asarray(bandwidth), (pes, pes))
        memory = np.full(pes, int(np.max(table)), dtype=np.int64)
        return cls(name, (Kind("PE", power_mw=(powers,)),), np.zeros(pes, dtype=np.int64), table, memory)

    @property
    def num_pes(self) -> int:
        """How many processing elements there are."""
        return len(self.kind)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        counts = np.bincount(self.kind).tolist()
        return {
            "name": self.name,
            "kinds": [kind.to_dict(count) for kind, count in zip(self.kinds, counts, strict=True)],
            "bandwidth": self.bandwidth.tolist(),
            "memory_bandwidth": self.memory_bandwidth.tolist(),
        }

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Platform:
        """Read the JSON form; without `memory_bandwidth` the shared memory takes no time for what has less than 10**12.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        entry = require_keys("platform", data, _PLATFORM_KEYS, ("memory_bandwidth",), source)
        kinds, kind = [], []
        for k, row in enumerate(require_list("platform.kinds", entry["kinds"], source)):
            fields = require_keys(f"platform.kinds[{k}]", row, _KIND_KEYS, _KIND_OPTIONAL, source)
            pes = require_integer(f"platform.kinds[{k}].pes", fields.pop("pes"), 1, MAX_PES, source)
            if "power_mw" not in fields and "levels" not in fields:
                fields["power_mw"] = [[1000 * (active + 1) for active in range(pes)]]
            kinds.append(located(source, lambda fields=fields: Kind(**fields)))
            kind += [k] * pes
        memory = entry.get("memory_bandwidth", [MAX_RATE] * len(kind))
        return located(source, lambda: cls(entry["name"], tuple(kinds), np.array(kind), entry["bandwidth"], memory))


@dataclass(frozen=True, eq=False)
class Application:
    """A DAG of tasks; checked when it is made, its arrays are copies and read-only.

    Attributes:
        name: how it is called.
        tasks: a name for each task, no two alike.
        times: int64 [T, P], mean time on each PE at the highest level, `INELIGIBLE` where it cannot run.
        edges: int64 [E, 2], (producer, consumer), no two alike; sorted when the application is made.
        volumes: int64 [E], in the order of the edges.

    Raises:
        FieldError: something is malformed; the message names the task.
        UserError: the edges form a cycle; the message names its tasks.
    """

    name: str
    tasks: tuple[str, ...]
    times: NDArray[np.int64]
    edges: NDArray[np.int64]
    volumes: NDArray[np.int64]

    def __post_init__(self) -> None:
        where = f"application {require_name('name of an application', self.name)!r}"
        tasks = tuple(self.tasks)
        check_tasks(where, tasks)
        object.__setattr__(self, "tasks", tasks)
        times = integer_array(f"{where}: times", self.times, 2)
        check_shape(f"{where}: times", times, (len(tasks), times.shape[1]))
        require_integer(f"{where}: number of PEs", times.shape[1], 1, MAX_PES)
        edges = integer_array(f"{where}: edges", as_table(self.edges, 2), 2)
        volumes = integer_array(f"{where}: volumes", as_table(self.volumes), 1)
        check_shape(f"{where}: edges", edges, (len(edges), 2))
        require_integer(f"{where}: number of edges", len(edges), 0, MAX_EDGES)
        check_shape(f"{where}: volumes", volumes, (len(edges),))
        check_times(where, tasks, times)
        check_edges(where, tasks, edges, volumes)
        order = np.lexsort((edges[:, 1], edges[:, 0]))
        for name, array in (("times", times), ("edges", edges[order]), ("volumes", volumes[order])):
            object.__setattr__(self, name, fixed(array))
        check_twice(where, tasks, self.edges)
        check_acyclic(where, tasks, self.edges)

    @property
    def num_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.tasks)

    @property
    def num_edges(self) -> int:
        """How many edges there are."""
        return len(self.edges)

    @cached_property
    def eligible(self) -> NDArray[np.bool_]:
        """bool [T, P], whether a PE can run a task."""
        return fixed(self.times != INELIGIBLE)

    @cached_property
    def dummy(self) -> NDArray[np.bool_]:
        """bool [T], whether a task takes no time on any PE that can run it."""
        return fixed(np.asarray((self.times <= 0).all(axis=1)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: edges are (producer, consumer, volume), by names."""
        rows = zip(self.tasks, self.times.tolist(), strict=True)
        edges = zip(self.edges.tolist(), self.volumes.tolist(), strict=True)
        return {
            "name": self.name,
            "tasks": [{"name": task, "times": times} for task, times in rows],
            "edges": [[self.tasks[i], self.tasks[j], volume] for (i, j), volume in edges],
        }

    @classmethod
    def from_dict(cls, data: object, number: int = 0, source: str | None = None) -> Application:
        """Read the JSON form.

        Args:
            number: place in the file's list of applications, for messages.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        where = f"applications[{number}]"
        entry = require_keys(where, data, _APPLICATION_KEYS, (), source)
        tasks, times = [], []
        for i, row in enumerate(require_list(f"{where}.tasks", entry["tasks"], source)):
            task = require_keys(f"{where}.tasks[{i}]", row, ("name", "times"), (), source)
            tasks.append(task["name"])
            times.append(integer_row(f"{where}.tasks[{i}].times", task["times"], None, source))
            if len(times[i]) != len(times[0]):
                expected = f"{len(times[0])} times, one per PE, as tasks[0] has"
                raise FieldError(f"{where}.tasks[{i}].times", task["times"], expected, source)
        located(source, lambda: check_tasks(where, tasks))
        rows = require_list(f"{where}.edges", entry["edges"], source)
        edges, volumes = named_edges(where, rows, tasks, source)
        return located(source, lambda: cls(entry["name"], tuple(tasks), np.array(times), edges, volumes))


@dataclass(frozen=True, eq=False)
class SocInstance:
    """What is played; checked when it is made, its arrays are copies and read-only.

    Attributes:
        name: how it is called.
        platform: what tasks run on.
        applications: A of them.
        mix: float64 [A], how likely each is in a stream, sums to 1; by default all are equally likely.
        jobs: int64 [J, 2], (application, arrival) of the static problem, sorted by arrival; by default each application
            once, at time 0.
        unit: of time, for tables.
        source: where it comes from; may be empty.

    Raises:
        FieldError: something is malformed.
    """

    name: str
    platform: Platform
    applications: tuple[Application, ...]
    mix: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    jobs: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    unit: str = "us"
    source: str = ""

    def __post_init__(self) -> None:
        require_name("name", self.name)
        require_name("unit", self.unit)
        if not isinstance(self.source, str):
            raise FieldError("source", self.source, "a text")
        object.__setattr__(self, "applications", tuple(self.applications))
        count = require_integer("number of applications", len(self.applications), 1, MAX_APPLICATIONS)
        check_distinct("name of applications", [each.name for each in self.applications])
        for each in self.applications:
            if each.times.shape[1] != self.num_pes:
                expected = f"{self.num_pes}, as platform {self.platform.name!r} has"
                raise FieldError(f"application {each.name!r}: number of PEs", each.times.shape[1], expected)
        object.__setattr__(self, "mix", fixed(read_mix(self.mix, count)))
        jobs = integer_array("jobs", as_table(self.jobs, 2), 2)
        if len(jobs) == 0:
            jobs = np.stack([np.arange(count), np.zeros(count, dtype=np.int64)], axis=1)
        check_jobs(jobs, count)
        object.__setattr__(self, "jobs", fixed(jobs[np.argsort(jobs[:, 1], kind="stable")]))
        check_totals(self)

    @property
    def num_pes(self) -> int:
        """How many processing elements there are."""
        return self.platform.num_pes

    @property
    def num_jobs(self) -> int:
        """Of the static problem."""
        return len(self.jobs)

    @property
    def num_tasks(self) -> int:
        """Of all jobs of the static problem."""
        return sum(self.applications[a].num_tasks for a in self.jobs[:, 0].tolist())

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """int64 [P], the group of each PE: PEs that are alike (kind, times, bandwidths), numbered by their first."""
        platform = self.platform
        found: list[int] = []
        result = np.zeros(platform.num_pes, dtype=np.int64)
        for p in range(platform.num_pes):
            for number, q in enumerate(found):
                if self._alike(p, q):
                    result[p] = number
                    break
            else:
                result[p] = len(found)
                found.append(p)
        return fixed(result)

    def _alike(self, p: int, q: int) -> bool:
        """Whether two PEs can be exchanged for each other."""
        platform = self.platform
        if platform.kind[p] != platform.kind[q] or platform.memory_bandwidth[p] != platform.memory_bandwidth[q]:
            return False
        others = [r for r in range(platform.num_pes) if r not in (p, q)]
        return bool(
            (platform.bandwidth[p, others] == platform.bandwidth[q, others]).all()
            and (platform.bandwidth[others, p] == platform.bandwidth[others, q]).all()
            and platform.bandwidth[p, q] == platform.bandwidth[q, p]
            and all((x.times[:, p] == x.times[:, q]).all() for x in self.applications)
        )

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: plain lists and numbers."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "source": self.source,
            "unit": self.unit,
            "platform": self.platform.to_dict(),
            "mix": self.mix.tolist(),
            "jobs": self.jobs.tolist(),
            "applications": [each.to_dict() for each in self.applications],
        }

    @cached_property
    def hash(self) -> str:
        """16 hex digits of the content, without name and source."""
        return content_hash({key: value for key, value in self.to_dict().items() if key not in ("name", "source")})

    def same_as(self, other: SocInstance) -> bool:
        """Whether both are the same problem; names and sources may differ."""
        return self.hash == other.hash

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> SocInstance:
        """Read the JSON form; `source` (a path) begins the messages.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        document = require_keys(
            "the instance", check_header(data, FORMAT, (VERSION,), source), _KEYS, _OPTIONAL_KEYS, source
        )
        rows = require_list("applications", document["applications"], source)
        platform = Platform.from_dict(document["platform"], source)
        applications = tuple(Application.from_dict(row, number, source) for number, row in enumerate(rows))
        for name in ("mix", "jobs"):
            require_list(name, document.get(name, []), source)
        given = {name: document[name] for name in _OPTIONAL_KEYS if name in document}
        return located(source, lambda: cls(document["name"], platform, applications, **given))

    def dumps(self) -> str:
        """The JSON form as text, one line per task and edge."""
        data = self.to_dict()
        applications = []
        for entry in data.pop("applications"):
            parts = [f'   "name": {json.dumps(entry["name"])}']
            for key in ("tasks", "edges"):
                rows = ",\n".join(f"    {json.dumps(row)}" for row in entry[key])
                parts.append(f'   "{key}": [\n{rows}\n   ]' if rows else f'   "{key}": []')
            applications.append("  {\n" + ",\n".join(parts) + "\n  }")
        head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
        return f'{{\n{head},\n "applications": [\n' + ",\n".join(applications) + "\n ]\n}\n"

    def save(self, path: str | Path) -> None:
        """Write the JSON form, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, self.dumps())

    @classmethod
    def load(cls, path: str | Path) -> SocInstance:
        """Read a file in the JSON form.

        Raises:
            UserError: the file cannot be read, or something in it is malformed.
        """
        source = str(path)
        text = decode_text(read_bounded(path), source)
        check_count(text, TIMES_KEY, MAX_FILE_TASKS, source)
        return cls.from_dict(parse_json(text, source), source)

    def renamed(self, name: str) -> SocInstance:
        """The same instance under another name."""
        return replace(self, name=name)
