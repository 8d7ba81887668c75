"""`makespan/AirMobility-v0`: the doors to urban air mobility."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode

from ..core.env import SchedulingVectorEnv
from ..core.options import read_room, split_options
from ..core.pictured import PicturedEnv
from .card import DEFAULT_INSTANCE, ROOM
from .engine import AirEngine
from .instance import AirInstance
from .options import AirOptions, option_names
from .schedule import AirSchedule
from .source import InstanceSource
from .tables import Room, most_room

Given = str | AirInstance | Sequence[str | AirInstance]
ENV_ID = "makespan/AirMobility-v0"


def make_engine(
    num_copies: int, instance: Given = DEFAULT_INSTANCE, record: bool = False, threads: int = 1, **options: Any
) -> AirEngine:
    """Make the engine from the options of the registered id.

    Args:
        num_copies: n.
        instance: names, paths, ``random:...``, or instances.
        record: keep what every aircraft did.
        threads: threads that share a step of a large batch.
        options: fields of `AirOptions`, ``max_vertiports`` and ``max_aircraft`` for room.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    own, needed = split_options(ENV_ID, options, option_names(), ROOM)
    made = AirOptions(**own)
    source = InstanceSource.parse(instance, made)
    room = Room(*read_room(needed, most_room(source.fixed)))
    return AirEngine(num_copies, source, made, record, room, threads)


class AirMobilityEnv(PicturedEnv):
    """Urban air mobility: a fleet of electric aircraft flies passengers between vertiports through one day.

    ## Action space
    ``Discrete(n)``: slot j sends the aircraft that decides to vertiport j; its own vertiport means to stay.

    ## Observation space
    Vertiports, aircraft, pairs, and forecasts of demand and fares, see `makespan.envs.air_mobility.observation.SPEC`.

    ## Rewards
    The profit of the decision, over a constant of the instance; ``reward_scale="none"``: in dollars.

    ## Starting state
    06:00, batteries full, aircraft a at vertiport a mod n.

    ## Episode end
    Terminates when no decision falls due before 18:00, or at an illegal action (``on_illegal="terminate"``).

    ## Arguments
    ``instance``, ``on_illegal``, ``render_mode``, ``max_vertiports``, ``max_aircraft`` and the fields of
    `makespan.envs.air_mobility.options.AirOptions`.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": AirEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
    package: ClassVar[str] = str(__package__)
    schedule_type: ClassVar[Any] = AirSchedule

    def instances(self) -> list[str]:
        from .catalogue import names

        return names()

    def validate(self, schedule: AirSchedule) -> list[str]:
        """What is wrong with a day's log, in words; empty when it is valid. Shares no code with the dynamics."""
        from .validity import validate

        return validate(schedule)

    def resolve_instances(self, item: str) -> list[AirInstance]:
        """The instances that one item of a list names; the option `fleet` says how many fly on a network's file.

        Raises:
            UserError: it names nothing, or a file is malformed.
        """
        from .catalogue import resolve

        assert isinstance(self.engine, AirEngine)
        return resolve(item, self.engine.options.fleet)

    @staticmethod
    def animate(schedule: AirSchedule, path: str | Path) -> None:
        """Write the day as a GIF, the map every five minutes, whole or not at all.

        Raises:
            MissingExtraError: matplotlib is not installed.
            UserError: the file cannot be written.
        """
        from . import animation

        animation.save_animation(schedule, path)


class AirMobilityVectorEnv(SchedulingVectorEnv):
    """Many copies of `AirMobilityEnv` in one engine; copies may play instances of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": AirEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
