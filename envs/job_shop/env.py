"""`makespan/JobShop-v0`: the two doors to the job shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode

from ..core.env import SchedulingVectorEnv
from ..core.options import read_room, split_options
from ..core.pictured import PicturedEnv
from .card import DEFAULT_INSTANCE
from .engine import JobShopEngine
from .generator import instance_names, resolve
from .instance import JobShopInstance
from .known import Bounds, bounds
from .options import JobShopOptions
from .schedule import JobShopSchedule, validate
from .source import InstanceSource


def make_engine(
    num_copies: int,
    instance: str | JobShopInstance | Sequence[str | JobShopInstance] = DEFAULT_INSTANCE,
    record: bool = False,
    threads: int = 1,
    max_jobs: int | None = None,
    max_machines: int | None = None,
    max_operations: int | None = None,
    **options: Any,
) -> JobShopEngine:
    """Make the engine from the options of the registered id.

    Args:
        num_copies: n.
        instance: names, ranges, paths or ``random:size=6x6`` (a fresh instance for each episode), or instances.
        record: keep what a schedule under breakdowns needs.
        threads: threads that share a step of a large batch.
        max_jobs, max_machines, max_operations: room; default that of the largest instance.
        options: fields of `JobShopOptions`.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    given = {"max_jobs": max_jobs, "max_machines": max_machines, "max_operations": max_operations}
    known = [field.name for field in fields(JobShopOptions)]
    own, needed = split_options("makespan/JobShop-v0", {**options, **given}, known, tuple(given))
    source = InstanceSource.parse(instance)
    jobs, machines, operations = read_room(needed, source.room)
    return JobShopEngine(num_copies, source, JobShopOptions(**own), record, (jobs, machines, operations), threads)


class JobShopEnv(PicturedEnv):
    """Blocking job shop with swaps and machine interruptions.

    ## Action space
    ``Discrete(jobs + 1)``: action j < jobs lets job j enter its next machine now; the last action is WAIT. One move a
    step with the clock standing still, until WAIT or until no move is legal; then time passes by itself.

    ## Observation space
    A dictionary that describes the dynamic disjunctive graph; see `makespan.envs.job_shop.observation.SPEC`.

    ## Rewards
    Minus the time that passed, divided by the root lower bound (``reward_scale="instance"``): the return is minus the
    makespan over the bound. With ``reward="bound"`` minus the rise of a lower bound that knows who is where, from 0 at
    the first step: the return is the same. A deadlock counts max(t, 2 * total work), an illegal
    action the total work on top, which is below the return of any legal episode without breakdowns.

    ## Starting state
    All jobs wait outside at time 0; machines are empty and up. Or that of the instance, if it has one.

    ## Episode end
    Terminates when the last job leaves, at a deadlock (``blocking="no-swap"``), or at an illegal action
    (``on_illegal="terminate"``). Truncates after 50 steps per operation, or 100 000 breakdowns.

    ## Arguments
    ``instance``, ``max_jobs``, ``max_machines``, ``max_operations``, ``on_illegal``, ``render_mode`` and the fields of
    `makespan.envs.job_shop.options.JobShopOptions`.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": JobShopEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
    package: ClassVar[str] = str(__package__)
    schedule_type: ClassVar[Any] = JobShopSchedule

    def instances(self) -> list[str]:
        return instance_names()

    @staticmethod
    def resolve_instances(item: str) -> list[JobShopInstance]:
        """The instances that one item of a list names: a name, a range, a path, ``random:size=15x15:count=100:seed=7``.

        Raises:
            UserError: it names nothing, or a file is malformed.
        """
        return resolve(item)

    @staticmethod
    def options_for(instance: JobShopInstance, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options that an instance asks for where no law of breakdowns is given: its down-times are known."""
        return {"law": "windows", "known_windows": True} if "law" not in given and any(instance.downtimes) else {}

    def validate(self, schedule: JobShopSchedule) -> list[str]:
        """What is wrong with a schedule, in words; empty when it is valid. Shares no code with the dynamics."""
        options = self._job_shop.options
        strange = [
            f"{name} is {getattr(schedule, name)!r}, but the environment's is {getattr(options, name)!r}"
            for name in ("blocking", "on_breakdown", "unload_when_down")
            if getattr(schedule, name) != getattr(options, name)
        ]
        return [*strange, *self._strange_downtimes(schedule), *validate(schedule)]

    def _strange_downtimes(self, schedule: JobShopSchedule) -> list[str]:
        """Down-times that are not those of the instance, as far as the options say that there are no others."""
        options, start = self._job_shop.options, schedule.instance.start
        if options.law not in ("none", "windows"):
            return []
        expected = schedule.instance.downtimes if options.law == "windows" else ()
        now = 0 if start is None else start.time

        def played(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
            return [(begin, end) for begin, end in windows if begin < schedule.makespan and end > now]

        return [
            f"machine {m} is down in {played(schedule.windows(m))}, but in the instance in {played(windows)}"
            for m, windows in enumerate(expected or ((),) * schedule.instance.num_machines)
            if schedule.finished and played(schedule.windows(m)) != played(windows)
        ]

    def bound(self, instance: JobShopInstance | str) -> float | None:
        """Best proved lower bound on the makespan of an instance without breakdowns (they only lengthen it)."""
        return self._bounds(instance).lower

    def best_known(self, instance: JobShopInstance | str) -> float | None:
        """Best makespan known for an instance without breakdowns, None under breakdowns."""
        return self._bounds(instance).upper if self._job_shop.options.law == "none" else None

    def _bounds(self, instance: JobShopInstance | str) -> Bounds:
        engine = self._job_shop
        if isinstance(instance, str):
            instance = engine.source.instance(engine.source.index(instance))
        return bounds(instance, engine.options.blocking)

    @property
    def _job_shop(self) -> JobShopEngine:
        assert isinstance(self.engine, JobShopEngine)
        return self.engine


class JobShopVectorEnv(SchedulingVectorEnv):
    """Many copies of `JobShopEnv` in one engine; copies may hold instances of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": JobShopEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
