"""The options of `makespan/AirMobility-v0`, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..core.errors import FieldError, UnknownNameError
from .instance import HORIZON
from .schedule import TARIFFS, AirSettings
from .vehicles import VEHICLES

MOST_PADS = 64
REWARD_SCALES = ("instance", "none")
FARES = ("surge", "2022")
MOST_COST = 1000
MICRO = 1_000_000
"""µ$ in a dollar."""


@dataclass(frozen=True)
class AirOptions:
    """How urban air mobility is played.

    Attributes:
        noise: factor of the uncertainty; 0 for no delays, closures and downtimes, and demand as forecast on the mean.
        vehicle: the type of aircraft of all instances; default: each instance's own.
        fleet: the number of aircraft of all instances, demand in proportion; default: each instance's own.
        taper: whether charging slows down above a quarter of the battery.
        refill: whether batteries are full as soon as an aircraft is ready, as in the public code of 2022.
        fares: "surge" (with the forecast demand) or "2022": whole dollars of 1.5 a mile.
        tariff: electricity costs the same all day ("flat"), or 80 % of it before 8:00 and 160 % from 16:00 ("peak").
        lost_cost: $ for each passenger who has waited in vain.
        wait_cost: $ for each hour that passengers wait.
        pads: landing pads of each vertiport: whoever finds none free waits in the air; 0: as many as are wanted.
        home: whether the cheapest flights that bring the fleet back to how it started are paid at the end.
        imagined: for how long imagined days go on, s.
        reward_scale: "instance" (rewards are divided by a constant of the instance) or "none" (dollars).
    """

    noise: float = 1.0
    vehicle: str | None = None
    fleet: int | None = None
    taper: bool = False
    refill: bool = False
    fares: str = "surge"
    tariff: str = "flat"
    lost_cost: float = 0.0
    wait_cost: float = 0.0
    pads: int = 0
    home: bool = False
    imagined: int = HORIZON
    reward_scale: str = "instance"

    def __post_init__(self) -> None:
        if isinstance(self.noise, bool) or not isinstance(self.noise, int | float) or not 0.0 <= self.noise <= 4.0:
            raise FieldError("option noise", self.noise, "a number from 0 to 4")
        object.__setattr__(self, "noise", float(self.noise))
        if self.vehicle is not None and self.vehicle not in tuple(VEHICLES):  # what cannot be a key is none of them
            raise UnknownNameError("vehicle", str(self.vehicle), VEHICLES)
        if self.fleet is not None and (type(self.fleet) is not int or not 1 <= self.fleet <= 2000):
            raise FieldError("option fleet", self.fleet, "an integer from 1 to 2000")
        if type(self.imagined) is not int or not 1 <= self.imagined <= HORIZON:
            raise FieldError("option imagined", self.imagined, f"an integer from 1 to {HORIZON}")
        if type(self.pads) is not int or not 0 <= self.pads <= MOST_PADS:
            raise FieldError("option pads", self.pads, f"an integer from 0 to {MOST_PADS}")
        for name in ("taper", "refill", "home"):
            value = getattr(self, name)
            if value not in (0, 1):
                raise FieldError(f"option {name}", value, "true or false")
            object.__setattr__(self, name, bool(value))
        object.__setattr__(self, "fares", str(self.fares))  # 2022 is read as a number
        for name, allowed in (("fares", FARES), ("tariff", TARIFFS), ("reward_scale", REWARD_SCALES)):
            if getattr(self, name) not in allowed:
                raise FieldError(f"option {name}", getattr(self, name), " or ".join(repr(one) for one in allowed))
        for name in ("lost_cost", "wait_cost"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= MOST_COST:
                raise FieldError(f"option {name}", value, f"a number from 0 to {MOST_COST}")
            object.__setattr__(self, name, float(value))

    @property
    def plain(self) -> bool:
        """Whether the fleet need not be brought home, as is usual: the code for that is left out."""
        return not self.home

    @property
    def settings(self) -> AirSettings:
        """What a day's log depends on."""
        return AirSettings(
            taper=self.taper,
            refill=self.refill,
            tariff=self.tariff,
            lost_cost=round(self.lost_cost * MICRO),
            wait_cost=round(self.wait_cost * MICRO),
            home=self.home,
            pads=self.pads,
        )


def option_names() -> list[str]:
    """The options that a user may give."""
    return [field.name for field in fields(AirOptions)]
