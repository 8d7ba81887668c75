"""The outcome as data, its check, which shares no code with the dynamics, and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from makespan.envs.core.chart import Bar, Bars, Chart, Panel
from makespan.envs.core.errors import MissingExtraError
from makespan.envs.core.instance import require_integer, require_keys, require_list

from .instance import TotalTardinessInstance

_LATEST = 2**62


@dataclass(frozen=True)
class Schedule:
    """When each job starts; -1 where it has not.

    Raises:
        FieldError: there is not one start for each job, or it is no date.
    """

    instance: TotalTardinessInstance
    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        jobs = len(self.instance.times)
        require_integer("number of starts", len(self.starts), jobs, jobs)
        for job, start in enumerate(self.starts):
            require_integer(f"starts[{job}]", start, -1, _LATEST)

    @property
    def completions(self) -> list[int]:
        """When each started job ends."""
        rows = zip(self.starts, self.instance.times, strict=True)
        return [start + time for start, time in rows if start >= 0]

    @property
    def objective(self) -> int | None:
        """Total tardiness; None where a job is missing."""
        return sum(self.tardiness) if min(self.starts) >= 0 else None

    @property
    def tardiness(self) -> list[int]:
        """By how much each started job is late."""
        rows = zip(self.starts, self.instance.times, self.instance.due_dates, strict=True)
        return [max(start + time - due, 0) for start, time, due in rows if start >= 0]

    @property
    def tardy_jobs(self) -> int:
        """How many started jobs are late."""
        return sum(late > 0 for late in self.tardiness)

    @property
    def maximum_tardiness(self) -> int:
        """By how much the latest one is late."""
        return max(self.tardiness, default=0)

    @property
    def makespan(self) -> int:
        """When the last started job ends."""
        return max(self.completions, default=0)

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
        return {"instance": self.instance.to_dict(), "starts": list(self.starts), "objective": self.objective}

    @classmethod
    def from_dict(cls, data: Any) -> Schedule:
        """The schedule whose `to_dict` gave `data`; what it says of its objective is not believed.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        given = require_keys("the schedule", data, ("instance", "starts"), ("objective",))
        starts = tuple(require_list("starts", given["starts"]))
        return cls(TotalTardinessInstance.from_dict(given["instance"]), starts)

    def text(self) -> str:
        """One line per job in the order of the starts."""
        rows = sorted((start, job) for job, start in enumerate(self.starts) if start >= 0)
        lines = [
            f"{start:6d}-{start + self.instance.times[job]:<6d} job {job:<4d} due {self.instance.due_dates[job]:<6d}"
            f"{' late' * self.is_late(job)}"
            for start, job in rows
        ]
        return "\n".join([f"{self.instance.name}: {self._title()}", *lines])

    def _title(self) -> str:
        return "not complete" if self.objective is None else f"total tardiness {self.objective}"

    def is_late(self, job: int) -> bool:
        """Whether a started job ends after its due date."""
        return self.starts[job] + self.instance.times[job] > self.instance.due_dates[job]

    def figure(self) -> Any:
        """A Gantt chart: orange where a job is late.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("drawing", "plot", "matplotlib") from None
        figure = Figure(figsize=(10, 2))
        axes = figure.add_subplot(xlabel="time", yticks=[], title=f"{self.instance.name}: {self._title()}")
        for job, start in enumerate(self.starts):
            if start >= 0:
                color = "#E69F00" if self.is_late(job) else "#0072B2"
                axes.barh(0, self.instance.times[job], left=start, color=color, edgecolor="white")
                axes.text(start + self.instance.times[job] / 2, 0, str(job), ha="center", va="center", color="white")
        figure.tight_layout()
        return figure

    def chart(self) -> Chart:
        """The Gantt chart for interactive pictures: jobs that are late are hatched."""
        late, timely = list[Bar](), list[Bar]()
        for job, start in enumerate(self.starts):
            if start >= 0:
                detail = f"due {self.instance.due_dates[job]}"
                bar = Bar(0, start, start + self.instance.times[job], f"job {job}", label=str(job), detail=detail)
                (late if self.is_late(job) else timely).append(bar)
        marks = [Bars("in time", timely, by_group=False), Bars("late", late, "/", by_group=False, colour=1)]
        panel = Panel("machine", marks, ["machine 0"])
        return Chart(
            f"{self.instance.name}: {self._title()}", [panel], lane="machine", note="Numbers in bars are jobs."
        )

    def image(self) -> np.ndarray:
        """The Gantt chart as uint8 [H, W, 3]."""
        figure = self.figure()
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
