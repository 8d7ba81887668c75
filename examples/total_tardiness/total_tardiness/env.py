"""`total-tardiness/TotalTardiness-v0`: the two doors, one copy and many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode
from makespan.envs.core.env import SchedulingEnv, SchedulingVectorEnv
from makespan.envs.core.instance import require_integer

from .engine import OBJECTIVE, TotalTardinessEngine
from .instance import MOST_JOBS, Source, TotalTardinessInstance, assignment_bound, names, resolve
from .schedule import Schedule

Given = str | TotalTardinessInstance | Sequence[str | TotalTardinessInstance]
QUICKLY_SOLVED = 100  # jobs
DEFAULT = "random:jobs=20"


def make_engine(
    num_copies: int, instance: Given = DEFAULT, max_jobs: int | None = None, record: bool = False, threads: int = 1
) -> TotalTardinessEngine:
    """Make the engine from the options of the registered id.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    source = Source.parse(instance)
    if max_jobs is not None:
        require_integer("option max_jobs", max_jobs, source.most_jobs, MOST_JOBS)
    return TotalTardinessEngine(num_copies, source, max_jobs, threads)


class TotalTardinessEnv(SchedulingEnv):
    """Jobs on one machine, which does one at a time: which next, so that they are late by as little as possible in sum?

    Args:
        instance: names, paths of files (JSON, CSV), or random:jobs=50:tf=0.6:rdd=0.2
        max_jobs: room for instances of so many jobs; default those at hand
        on_illegal: terminate (an illegal action ends the episode below every legal return) or raise
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4, "objective": OBJECTIVE}
    make_engine: ClassVar[Any] = staticmethod(make_engine)

    def __init__(
        self,
        render_mode: str | None = None,
        on_illegal: str = "terminate",
        instance: Given = DEFAULT,
        max_jobs: int | None = None,
    ) -> None:
        super().__init__(render_mode, on_illegal, instance=instance, max_jobs=max_jobs)

    # What follows may be missing: each method switches something on.

    def instances(self) -> list[str]:
        return names()

    resolve_instances = staticmethod(resolve)

    def bound(self, instance: TotalTardinessInstance | str) -> float | None:
        """What no total tardiness of an instance is below: earliest ends against due dates, both sorted."""
        if isinstance(instance, str):
            source = self.engine.source  # pyright: ignore[reportAttributeAccessIssue]
            instance = source.instance(source.index(instance))
        return float(assignment_bound(instance))

    def best_known(self, instance: TotalTardinessInstance | str) -> float | None:
        """The optimum, where it is quickly found: up to so many jobs that the exact program takes a second or less."""
        from .exact import optimum

        if isinstance(instance, str):
            source = self.engine.source  # pyright: ignore[reportAttributeAccessIssue]
            instance = source.instance(source.index(instance))
        return float(optimum(instance)[0]) if len(instance.times) <= QUICKLY_SOLVED else None

    def validate(self, schedule: Schedule) -> list[str]:
        """What is wrong with a schedule, in words; empty when it is valid."""
        return schedule.violations()

    def appraise(self, schedule: Schedule) -> tuple[float, dict[str, Any]]:
        """The objective and the metrics of a schedule, however it was made."""
        return self.engine.appraise(schedule)

    read_schedule = staticmethod(Schedule.from_dict)
    draw = staticmethod(Schedule.figure)
    ansi = staticmethod(Schedule.text)
    chart = staticmethod(Schedule.chart)

    def render(self) -> Any:
        """The schedule so far: an image [H, W, 3] or text, as `render_mode` says."""
        if self.render_mode is None:
            return None
        schedule = self.schedule()
        return schedule.text() if self.render_mode == "ansi" else schedule.image()


class TotalTardinessVectorEnv(SchedulingVectorEnv):
    """Many copies of `TotalTardinessEnv` in one engine; copies may play instances of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": OBJECTIVE,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
