"""`makespan/SocDag-v0` and `makespan/StaticDag-v0`: the doors to DAG scheduling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gymnasium.vector import AutoresetMode

from ..core.env import SchedulingVectorEnv
from ..core.options import read_room, split_options
from ..core.pictured import PicturedEnv
from .card import ROOM, STATIC_INSTANCE, STREAM_INSTANCE
from .engine import SocEngine, StaticEngine
from .instance import SocInstance
from .options import STATIC_DEFAULTS, SocOptions, option_names
from .schedule import SocSchedule
from .source import InstanceSource
from .tables import Room, most_room

if TYPE_CHECKING:
    from .known import Bounds

Given = str | SocInstance | Sequence[str | SocInstance]


def _make(
    env_id: str,
    kind: type[SocEngine],
    num_copies: int,
    given: Given,
    record: bool,
    threads: int,
    options: dict[str, Any],
) -> SocEngine:
    """Make an engine from the options of a registered id."""
    static = kind is StaticEngine
    own, needed = split_options(env_id, options, option_names(static), ROOM)
    source = InstanceSource.parse(given)
    made = SocOptions(**{**(STATIC_DEFAULTS if static else {}), **own})
    room = Room(*read_room(needed, most_room(source.fixed, made)))
    return kind(num_copies, source, made, record, room, threads)


def make_stream(
    num_copies: int, instance: Given = STREAM_INSTANCE, record: bool = False, threads: int = 1, **options: Any
) -> SocEngine:
    """Make the engine of streams from the options of the registered id.

    Args:
        num_copies: n.
        instance: names, sets, paths, ``random:...``, or instances.
        record: keep what every task did.
        threads: threads that share a step of a large batch.
        options: fields of `SocOptions`, ``max_jobs`` … for room.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    return _make("makespan/SocDag-v0", SocEngine, num_copies, instance, record, threads, options)


def make_static(
    num_copies: int, instance: Given = STATIC_INSTANCE, record: bool = False, threads: int = 1, **options: Any
) -> SocEngine:
    """Make the engine of static problems, see `make_stream`."""
    return _make("makespan/StaticDag-v0", StaticEngine, num_copies, instance, record, threads, options)


class SocDagEnv(PicturedEnv):
    """DAG scheduling on a heterogeneous chip: a stream of jobs whose tasks are put on processing elements.

    ## Action space
    ``Discrete(window * groups)``: slot ``w * groups + g`` puts the w-th offered task on group g of processing elements;
    with ``mode="order"`` ``Discrete(window)``, and the element of least expected finish takes the task.

    ## Observation space
    The tasks of the jobs in the system, the jobs and the elements, see `makespan.envs.soc.observation.SPEC`.

    ## Rewards
    Minus the time that jobs spend in the system, over a constant of the instance.

    ## Starting state
    An empty chip, or with ``prefill`` a full one.

    ## Episode end
    Terminates at ``horizon``, or at an illegal action (``on_illegal="terminate"``).

    ## Arguments
    ``instance``, ``on_illegal``, ``render_mode``, ``max_jobs`` … and the fields of
    `makespan.envs.soc.options.SocOptions`.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": SocEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_stream)
    package: ClassVar[str] = str(__package__)
    schedule_type: ClassVar[Any] = SocSchedule

    def __init__(self, render_mode: str | None = None, on_illegal: str = "terminate", **options: Any) -> None:
        super().__init__(render_mode, on_illegal, **options)
        self.metadata = {**self.metadata, "objective": self.engine.objective}  # that of the options

    def instances(self) -> list[str]:
        from .catalogue import names

        return names()

    def validate(self, schedule: SocSchedule) -> list[str]:
        """What is wrong with a schedule, in words; empty when it is valid. Shares no code with the dynamics."""
        from .validity import validate

        return validate(schedule)

    def appraise(self, schedule: SocSchedule) -> tuple[float, dict[str, Any]]:
        """The objective and the metrics of a plan, however it was made."""
        return self.engine.appraise(schedule)

    @staticmethod
    def resolve_instances(item: str) -> list[SocInstance]:
        """The instances that one item of a list names.

        Raises:
            UserError: it names nothing, or a file is malformed.
        """
        from .generator import resolve

        return resolve(item)


class StaticDagEnv(SocDagEnv):
    """DAG scheduling on heterogeneous machines: all tasks of one DAG or several, planned at once.

    ## Action space
    ``Discrete(window * groups)``: slot ``w * groups + g`` puts the w-th offered task on group g of processing elements.

    ## Observation space
    See `makespan.envs.soc.observation.SPEC`.

    ## Rewards
    Minus what the expected makespan grows by, over a constant of the instance.

    ## Starting state
    All tasks unassigned; offered are those whose predecessors are assigned.

    ## Episode end
    Terminates when all is assigned and carried out, or at an illegal action (``on_illegal="terminate"``).

    ## Arguments
    ``instance``, ``on_illegal``, ``render_mode``, ``max_jobs`` … and the fields of
    `makespan.envs.soc.options.SocOptions` but those of streams.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": StaticEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_static)

    def bound(self, instance: SocInstance | str) -> float | None:
        """What no makespan of an instance is below; none where tasks may turn out shorter than they are on the mean."""
        options = self._soc.options
        if options.objective != "makespan" or options.noisy:
            return None
        return float(self._bounds(instance).lower)

    def best_known(self, instance: SocInstance | str) -> float | None:
        """The least makespan known of an instance, where nothing lengthens it."""
        options = self._soc.options
        plain = options.dvfs == "performance" and options.contention == "none" and not options.uncertain
        if options.objective != "makespan" or not plain or options.overhead_call or options.overhead_task:
            return None
        upper = self._bounds(instance).upper
        return None if upper is None else float(upper)

    def _bounds(self, instance: SocInstance | str) -> Bounds:
        from .known import bounds  # only here: it reads a file, and few ask for bounds

        if isinstance(instance, str):
            source = self._soc.source
            instance = source.instance(source.index(instance))
        return bounds(instance)

    @property
    def _soc(self) -> SocEngine:
        assert isinstance(self.engine, SocEngine)
        return self.engine


class SocDagVectorEnv(SchedulingVectorEnv):
    """Many copies of `SocDagEnv` in one engine; copies may play instances of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": SocEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_stream)

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        super().__init__(num_envs, **options)
        self.metadata = {**self.metadata, "objective": self.engine.objective}


class StaticDagVectorEnv(SocDagVectorEnv):
    """Many copies of `StaticDagEnv` in one engine."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": StaticEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_static)
