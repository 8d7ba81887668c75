"""Instances and schedules of one machine: data, an independent check, and pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from makespan.envs.core.errors import MissingExtraError
from makespan.envs.core.instance import require_integer, require_keys, require_list, require_name

_LARGEST = 2**40


@dataclass(frozen=True)
class Instance:
    """Jobs that are all there at time 0, for a machine that does one at a time: whole time units and weights."""

    name: str
    times: tuple[int, ...]
    weights: tuple[int, ...]
    due_dates: tuple[int, ...]


# name: (instance, least total weighted tardiness), proved by trying every order (tests/test_optima.py).
NAMED = {
    "tiny5": (Instance("tiny5", (4, 2, 6, 3, 5), (3, 1, 4, 2, 5), (5, 4, 12, 8, 9)), 48),
    "tiny7": (Instance("tiny7", (9, 4, 7, 2, 8, 5, 3), (2, 7, 4, 1, 6, 3, 5), (12, 6, 15, 5, 20, 18, 9)), 113),
}


def random_instance(jobs: int, seed: int) -> Instance:
    """Crauwels, Potts & Van Wassenhove, INFORMS J. Computing 10, 1998: p in 1..100, w in 1..10, due dates around
    P * (1 - tardiness factor) with a width of P * range, P the sum of p, both factors from 0.2, 0.4, ..., 1."""
    rng = np.random.default_rng(seed)
    times, weights = rng.integers(1, 101, jobs), rng.integers(1, 11, jobs)
    tardiness, width = rng.integers(1, 6, 2) / 5
    ends = int(times.sum()) * (1 - tardiness + width * np.array([-0.5, 0.5]))
    due_dates = np.maximum(rng.integers(int(ends[0]), int(ends[1]) + 1, jobs), 0)
    rows = [tuple(int(value) for value in row) for row in (times, weights, due_dates)]
    return Instance(f"random-{jobs}-s{seed}", *rows)


def _row(field: str, value: Any, count: int, low: int) -> tuple[int, ...]:
    """As many whole numbers as there are jobs."""
    require_integer(f"length of {field}", len(require_list(field, value)), count, count)
    return tuple(require_integer(f"{field}[{job}]", one, low, _LARGEST) for job, one in enumerate(value))


@dataclass(frozen=True)
class Schedule:
    """When each job starts; -1 where it has not."""

    instance: Instance
    starts: tuple[int, ...]

    @property
    def objective(self) -> int | None:
        """Total weighted tardiness; None where a job is missing."""
        if min(self.starts) < 0:
            return None
        rows = zip(self.starts, self.instance.times, self.instance.weights, self.instance.due_dates, strict=True)
        return sum(weight * max(start + time - due, 0) for start, time, weight, due in rows)

    def violations(self) -> list[str]:
        """What is wrong with it, in words."""
        found = [f"job {job} never starts" for job, start in enumerate(self.starts) if start < 0]
        order = sorted((start, job) for job, start in enumerate(self.starts) if start >= 0)
        for (start, job), (following, other) in pairwise(order):
            if following < start + self.instance.times[job]:
                found.append(f"job {other} starts at {following}, before job {job} ends")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"instance": asdict(self.instance), "starts": list(self.starts)}

    @classmethod
    def from_dict(cls, data: Any) -> Schedule:
        """The schedule whose `to_dict` gave `data`.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        given = require_keys("the schedule", data, ("instance", "starts"))
        jobs = require_keys("instance", given["instance"], ("name", "times", "weights", "due_dates"))
        count = len(require_list("instance.times", jobs["times"]))
        require_integer("number of jobs", count, 1, _LARGEST)
        rows = [_row(f"instance.{key}", jobs[key], count, 1) for key in ("times", "weights")]
        rows.append(_row("instance.due_dates", jobs["due_dates"], count, 0))
        return cls(
            Instance(require_name("instance.name", jobs["name"]), *rows), _row("starts", given["starts"], count, -1)
        )

    def text(self) -> str:
        """One line per job in the order of the starts."""
        rows = sorted((start, job) for job, start in enumerate(self.starts) if start >= 0)
        lines = [f"{start:6d}-{start + self.instance.times[job]:<6d} job {job}" for start, job in rows]
        return "\n".join([f"{self.instance.name}: total weighted tardiness {self.objective}", *lines])

    def figure(self) -> Any:
        """A Gantt chart: orange where a job ends after its due date."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("drawing", "plot", "matplotlib") from None
        figure = Figure(figsize=(10, 2))
        axes = figure.add_subplot(xlabel="time", yticks=[], title=self.text().partition("\n")[0])
        for job, start in enumerate(self.starts):
            if start >= 0:
                time = self.instance.times[job]
                late = start + time > self.instance.due_dates[job]
                axes.barh(0, time, left=start, color="#E69F00" if late else "#0072B2", edgecolor="white")
                axes.text(start + time / 2, 0, str(job), ha="center", va="center", color="white")
        figure.tight_layout()
        return figure
