"""Instances: what they hold, their files (JSON and CSV), random ones, and the names by which users ask for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from makespan.envs.core.csv_table import read_csv
from makespan.envs.core.errors import FieldError, UnknownNameError
from makespan.envs.core.files import atomic_write, decode_text, read_bounded
from makespan.envs.core.instance import (
    HEADER,
    check_header,
    load_document,
    require_integer,
    require_keys,
    require_list,
    require_name,
)
from makespan.envs.core.names import Name, check_options, parse_name
from makespan.envs.core.random import uniform
from makespan.envs.core.source import InstanceSource

ROWS = ("times", "due_dates")
FORMAT, VERSION = "total-tardiness/instance", 1
MOST_JOBS, LONGEST_TIME, LATEST = 1000, 1_000_000, 10**9
TARDINESS_FACTORS, RANGES = (0.2, 0.4, 0.6, 0.8), (0.2, 0.4, 0.6, 0.8, 1.0)
_RANDOM_TIME = 100
_TIMES, _DUE_DATES, _CLASS = range(3)  # keys of random numbers


@dataclass(frozen=True)
class TotalTardinessInstance:
    """Jobs that are all there at time 0, for a machine that does one at a time.

    Attributes:
        name: how tables call it.
        times: processing time of each job, whole time units.
        due_dates: when each job should have ended.

    Raises:
        FieldError: a field holds something else than expected.
    """

    name: str
    times: tuple[int, ...]
    due_dates: tuple[int, ...]

    def __post_init__(self) -> None:
        require_name("name", self.name)
        require_integer("number of jobs", len(self.times), 1, MOST_JOBS)
        for job, time in enumerate(self.times):
            require_integer(f"times[{job}]", time, 1, LONGEST_TIME)
        require_integer("number of due dates", len(self.due_dates), len(self.times), len(self.times))
        for job, due in enumerate(self.due_dates):
            require_integer(f"due_dates[{job}]", due, 0, LATEST)

    def to_dict(self) -> dict[str, Any]:
        """The instance as plain JSON data."""
        rows = {"times": list(self.times), "due_dates": list(self.due_dates)}
        return {"format": FORMAT, "version": VERSION, "name": self.name, **rows}

    @classmethod
    def from_dict(cls, data: Any, source: str | None = None) -> TotalTardinessInstance:
        """The instance whose `to_dict` gave `data`.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        given = require_keys("the document", check_header(data, FORMAT, (VERSION,), source), (*HEADER, "name", *ROWS))
        return cls(given["name"], *(tuple(require_list(key, given[key], source)) for key in ROWS))

    def save(self, path: str | Path) -> None:
        """Write the instance as JSON, whole or not at all."""
        atomic_write(path, json.dumps(self.to_dict(), indent=1) + "\n")


def load(path: str | Path) -> TotalTardinessInstance:
    """Read an instance's file.

    Raises:
        UserError: it cannot be read, or is malformed.
    """
    return TotalTardinessInstance.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


def read_table(path: str | Path) -> TotalTardinessInstance:
    """Read a CSV of jobs: a row each, with the columns ``time`` and ``due``, and perhaps ``job``, its name.

    Raises:
        UserError: it cannot be read, or a cell is malformed; row and column are named.
    """
    source = str(path)
    rows = list(read_csv(decode_text(read_bounded(path), source), source, ("time", "due"), ("job",)))
    times = tuple(row.integer("time", 1, LONGEST_TIME) for row in rows)
    return TotalTardinessInstance(Path(path).stem, times, tuple(row.integer("due", 0, LATEST) for row in rows))


def names() -> list[str]:
    """Names of the instances that ship."""
    folder = resources.files(f"{__package__}.instances")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


@dataclass(frozen=True)
class Family:
    """Random instances of Potts & Van Wassenhove (A decomposition algorithm for the single machine total tardiness
    problem, Operations Research Letters 1, 1982): processing times from 1 to 100, of sum P, and due dates from
    P * (1 - tf - rdd / 2) to P * (1 - tf + rdd / 2), none below 0.

    Attributes:
        jobs: how many.
        tf: tardiness factor, the share of jobs that is late on the mean; None: one of 0.2, 0.4, 0.6, 0.8 by the seed.
        rdd: relative range of due dates; None: one of 0.2, 0.4, 0.6, 0.8, 1 by the seed.
    """

    jobs: int = 20
    tf: float | None = None
    rdd: float | None = None

    def __post_init__(self) -> None:
        require_integer("option jobs", self.jobs, 1, MOST_JOBS)
        for key, value in (("tf", self.tf), ("rdd", self.rdd)):
            if value is not None and (isinstance(value, bool | str) or not 0 <= value <= 1):
                raise FieldError(f"option {key}", value, "a number from 0 to 1")

    def instance(self, seed: int) -> TotalTardinessInstance:
        """The instance of a seed."""
        tf = _pick(TARDINESS_FACTORS, seed, 0) if self.tf is None else self.tf
        rdd = _pick(RANGES, seed, 1) if self.rdd is None else self.rdd
        times = [1 + int(_RANDOM_TIME * uniform(seed, _TIMES, job)) for job in range(self.jobs)]
        total = sum(times)
        low, high = (round(total * (1 - tf + side * rdd / 2)) for side in (-1, 1))
        due = [low + int((high - low + 1) * uniform(seed, _DUE_DATES, job)) for job in range(self.jobs)]
        name = f"random-{self.jobs}-t{tf:g}-r{rdd:g}-s{seed}"
        return TotalTardinessInstance(name, tuple(times), tuple(max(one, 0) for one in due))


def _pick(values: tuple[float, ...], seed: int, number: int) -> float:
    return values[int(len(values) * uniform(seed, _CLASS, number))]


def parse_sizes(name: Name) -> tuple[Family, ...]:
    """The family of ``random:jobs=50:tf=0.6:rdd=0.2``."""
    check_options(name, "instance", ("jobs", "tf", "rdd", "count", "seed"))
    given: dict[str, Any] = {key: name.options[key] for key in ("jobs", "tf", "rdd") if key in name.options}
    return (Family(**given),)


def resolve(text: str) -> list[TotalTardinessInstance]:
    """The instances that a name, a path (JSON or CSV) or ``random:jobs=50:tf=0.6:rdd=0.2:count=5:seed=0`` names.

    Raises:
        UserError: it names nothing, or a file is malformed.
    """
    name = parse_name(text, "instance")
    if name.base == "random":
        (family,) = parse_sizes(name)
        count = require_integer("option count", name.options.get("count", 1), 1, 10_000)
        first = require_integer("option seed", name.options.get("seed", 0), 0, 2**62)
        return [family.instance(first + index) for index in range(count)]
    check_options(name, "instance", ())
    if name.is_path:
        return [read_table(name.base) if name.base.endswith(".csv") else load(name.base)]
    if name.base not in names():
        raise UnknownNameError("instance", name.base, [*names(), "random"])
    return [load(str(resources.files(f"{__package__}.instances") / f"{name.base}.json"))]


def assignment_bound(instance: TotalTardinessInstance) -> int:
    """What no total tardiness is below: the k-th earliest end that is possible against the k-th due date."""
    ends = np.cumsum(np.sort(np.array(instance.times)))
    return int(np.maximum(ends - np.sort(np.array(instance.due_dates)), 0).sum())


class Source(InstanceSource[TotalTardinessInstance, Family]):
    """The instances that an environment plays: a fixed list, or random ones, a new one for each episode."""

    instance_type = TotalTardinessInstance
    _resolve = staticmethod(resolve)
    _parse_sizes = staticmethod(parse_sizes)

    def __init__(self, instances: Sequence[TotalTardinessInstance] = (), sizes: Sequence[Family] = ()) -> None:
        super().__init__(instances, sizes)
        self.most_jobs: int = max([*(len(one.times) for one in self.fixed), *(family.jobs for family in self.sizes)])

    def _random(self, seed: int) -> TotalTardinessInstance:
        return self.sizes[seed % len(self.sizes)].instance(seed)
