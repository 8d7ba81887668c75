"""The options of `makespan/AirMobility-v0`, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..core.errors import FieldError, UnknownNameError
from .vehicles import VEHICLES

REWARD_SCALES = ("instance", "none")


@dataclass(frozen=True)
class AirOptions:
    """How urban air mobility is played.

    Attributes:
        noise: factor of the uncertainty; 0 for no delays, closures and downtimes, and demand as forecast on the mean.
        vehicle: the type of aircraft of all instances; default: each instance's own.
        fleet: the number of aircraft of all instances, demand in proportion; default: each instance's own.
        taper: whether charging slows down above a quarter of the battery.
        reward_scale: "instance" (rewards are divided by a constant of the instance) or "none" (dollars).
    """

    noise: float = 1.0
    vehicle: str | None = None
    fleet: int | None = None
    taper: bool = False
    reward_scale: str = "instance"

    def __post_init__(self) -> None:
        if isinstance(self.noise, bool) or not isinstance(self.noise, int | float) or not 0.0 <= self.noise <= 4.0:
            raise FieldError("option noise", self.noise, "a number from 0 to 4")
        object.__setattr__(self, "noise", float(self.noise))
        if self.vehicle is not None and self.vehicle not in VEHICLES:
            raise UnknownNameError("vehicle", str(self.vehicle), VEHICLES)
        if self.fleet is not None and (type(self.fleet) is not int or not 1 <= self.fleet <= 2000):
            raise FieldError("option fleet", self.fleet, "an integer from 1 to 2000")
        if self.taper not in (0, 1):
            raise FieldError("option taper", self.taper, "true or false")
        object.__setattr__(self, "taper", bool(self.taper))
        if self.reward_scale not in REWARD_SCALES:
            raise FieldError("option reward_scale", self.reward_scale, " or ".join(repr(one) for one in REWARD_SCALES))


def option_names() -> list[str]:
    """The options that a user may give."""
    return [field.name for field in fields(AirOptions)]
