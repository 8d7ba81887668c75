"""`makespan/MemoryMapping-v0`: the two doors to memory mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from gymnasium.vector import AutoresetMode

from ..core.env import SchedulingVectorEnv
from ..core.options import read_room, split_options
from ..core.pictured import PicturedEnv
from .card import DEFAULT_INSTANCE
from .catalogue import names
from .engine import MemoryEngine
from .generator import resolve
from .instance import MemoryInstance
from .options import MemoryOptions
from .schedule import MemoryPlan
from .source import InstanceSource
from .validity import validate

if TYPE_CHECKING:
    from .known import Bounds


def make_engine(
    num_copies: int,
    instance: str | MemoryInstance | Sequence[str | MemoryInstance] = DEFAULT_INSTANCE,
    record: bool = False,
    threads: int = 1,
    max_instructions: int | None = None,
    max_tensors: int | None = None,
    max_accesses: int | None = None,
    **options: Any,
) -> MemoryEngine:
    """Make the engine from the options of the registered id.

    Args:
        num_copies: n.
        instance: names, paths or ``random:size=100`` (a fresh program for each episode), or instances and names.
        record: nothing more is kept with it: a plan can always be read off the state.
        threads: threads that share a step of a large batch.
        max_instructions, max_tensors, max_accesses: room; default that of the largest instance.
        options: fields of `MemoryOptions`.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    given = {"max_instructions": max_instructions, "max_tensors": max_tensors, "max_accesses": max_accesses}
    known = [field.name for field in fields(MemoryOptions)]
    own, needed = split_options("makespan/MemoryMapping-v0", {**options, **given}, known, tuple(given))
    source = InstanceSource.parse(instance)
    instructions, tensors, accesses = read_room(needed, source.room)
    return MemoryEngine(num_copies, source, MemoryOptions(**own), (instructions, tensors, accesses), threads)


class MemoryMappingEnv(PicturedEnv):
    """Memory mapping: which tensors of a program lie in fast on-chip memory, when and where.

    ## Action space
    ``Discrete(3)``: what is done with the access at hand: 0 COPY (fetch the tensor into CMEM), 1 NO_COPY (go on holding
    it, or produce it there), 2 DROP (leave the access to HBM).

    ## Observation space
    A window of the program around the present and an image of CMEM; see
    `makespan.envs.memory_mapping.observation.SPEC`.

    ## Rewards
    What the run time has fallen by, less the time of the instruction that is begun, over the all-HBM run time: the
    return is minus the run time over that. The last step also pays the waits for transfers (``objective="judge"``). A
    dead end (``dead_end="terminate"``) counts twice the all-HBM run time, an illegal action more than any episode of
    legal ones.

    ## Starting state
    Before the first access of the program, with CMEM empty.

    ## Episode end
    Terminates after one decision for each access, at a dead end (``dead_end="terminate"``), or at an illegal action
    (``on_illegal="terminate"``).

    ## Arguments
    ``instance``, ``max_instructions``, ``max_tensors``, ``max_accesses``, ``on_illegal``, ``render_mode`` and the
    fields of `makespan.envs.memory_mapping.options.MemoryOptions`.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": MemoryEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
    package: ClassVar[str] = str(__package__)
    schedule_type: ClassVar[Any] = MemoryPlan

    def instances(self) -> list[str]:
        return names()

    def validate(self, schedule: MemoryPlan) -> list[str]:
        """What is wrong with a plan, in words; empty when it is valid. Shares no code with the dynamics."""
        options = self._memory.options
        if options.objective == "proxy" and schedule.supply != options.supply:
            # To the proxy transfers that fit no supply are free.
            return [f"by the {options.supply} supply: {x}" for x in validate(replace(schedule, supply=options.supply))]
        return validate(schedule)

    def appraise(self, schedule: MemoryPlan) -> tuple[float, dict[str, Any]]:
        """The objective and the metrics of a plan, however it was made."""
        return self.engine.appraise(schedule)

    @staticmethod
    def resolve_instances(item: str) -> list[MemoryInstance]:
        """The instances that one item of a list names: a name, a set, a path, ``random:size=100:count=20:seed=7``.

        Raises:
            UserError: it names nothing, or a file is malformed.
        """
        return resolve(item)

    def bound(self, instance: MemoryInstance | str) -> float:
        """Best proved lower bound on the objective of an instance, whatever supply a plan promises to fit."""
        return float(self._bounds(instance, "unlimited").lower)

    def best_known(self, instance: MemoryInstance | str) -> float | None:
        """Objective of the best plan known, by the proxy among those that fit the environment's supply."""
        upper = self._bounds(instance, self._memory.options.promised).upper
        return None if upper is None else float(upper)

    def _bounds(self, instance: MemoryInstance | str, supply: str) -> Bounds:
        from .known import bounds  # only here: it reads a file, and few ask for bounds

        memory = self._memory
        if isinstance(instance, str):
            instance = memory.source.instance(memory.source.index(instance))
        return bounds(instance, memory.options.objective, supply)

    @property
    def _memory(self) -> MemoryEngine:
        assert isinstance(self.engine, MemoryEngine)
        return self.engine


class MemoryMappingVectorEnv(SchedulingVectorEnv):
    """Many copies of `MemoryMappingEnv` in one engine; copies may hold programs of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": MemoryEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
