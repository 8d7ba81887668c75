"""The optimum of a world as it turned out: what whoever knew every random event beforehand could have reached.

A measure for others, and no agent: it reads the world's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..envs.core.errors import UserError
from .agent import Setting


class KnownWorld(Protocol):
    """What a solver found that was told the world."""

    @property
    def objective(self) -> int | None:
        """Of the best valid schedule; None where none was found in time."""
        ...

    @property
    def bound(self) -> int:
        """No schedule is better."""
        ...

    @property
    def proved(self) -> bool:
        """Whether objective == bound."""
        ...


Hindsight = Callable[[Setting, Any, int, float, Any], KnownWorld]
"""``hindsight(setting, instance, seed, seconds, start)``: what a solver comes to in so many seconds that is told the
world; it may begin from a valid schedule of this world, or None."""


def find_hindsight(setting: Setting) -> Hindsight:
    """Who finds the optimum of worlds of an environment, or comes near it.

    Raises:
        UserError: nobody can under these options.
    """
    if setting.env_id == "makespan/AirMobility-v0":
        from .air_mobility.hindsight import air_hindsight

        return air_hindsight
    if setting.env_id == "makespan/JobShop-v0":
        from .job_shop.hindsight import hindsight_of

        return hindsight_of(setting)
    raise UserError(f"option hindsight: nobody solves worlds of {setting.env_id!r} to their optimum")
