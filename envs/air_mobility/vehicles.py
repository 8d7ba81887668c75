"""Aircraft as data: `captain`, the default, and `evtol-2025`, near what makers have published.

Units: energy in J, time in s, distance in cmi (0.01 mile), money in µ$ (10⁻⁶ $).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..core.errors import FieldError, UnknownNameError
from ..core.instance import require_integer, require_keys, require_name

WH = 3600
"""Joules in a watt-hour."""
_MOST = 10**15


@dataclass(frozen=True)
class Vehicle:
    """A type of aircraft; checked when it is made.

    Attributes:
        name: how it is called.
        battery: capacity, J.
        reserve: what must be left after each landing, J.
        energy_flight: of each flight, J.
        energy_mile: of each cmi, J.
        cruise_numerator, cruise_denominator: cruise takes ceil(numerator * cmi / denominator) s.
        board: from the decision to the earliest take-off, s.
        unload: from the end of cruise to being ready, s.
        seats: passengers at most.
        stay: how long a stay lasts, s.
        charge_power: W.
        cost_mile: µ$ per cmi.
        landing_fee: µ$ per flight.
        electricity: µ$ per Wh.

    Raises:
        FieldError: a value is not an integer in its range.
    """

    name: str
    battery: int
    reserve: int
    energy_flight: int
    energy_mile: int
    cruise_numerator: int
    cruise_denominator: int
    board: int
    unload: int
    seats: int
    stay: int
    charge_power: int
    cost_mile: int
    landing_fee: int
    electricity: int

    def __post_init__(self) -> None:
        require_name("name of a vehicle", self.name)
        positive = {"battery", "cruise_numerator", "cruise_denominator", "seats", "stay", "charge_power"}
        limits = {"seats": 1000, "board": 86_400, "unload": 86_400, "stay": 86_400}
        for field in fields(self)[1:]:
            low = 1 if field.name in positive else 0
            high = limits.get(field.name, _MOST)
            value = require_integer(f"vehicle {self.name!r}: {field.name}", getattr(self, field.name), low, high)
            object.__setattr__(self, field.name, value)
        if self.reserve >= self.battery:
            raise FieldError(f"vehicle {self.name!r}: reserve", self.reserve, f"less than the battery, {self.battery}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any, source: str | None = None) -> Vehicle:
        """The vehicle of `to_dict`.

        Raises:
            UserError: a key is missing, unknown or malformed.
        """
        data = require_keys("vehicle", data, [field.name for field in fields(cls)], (), source)
        try:
            return cls(**data)
        except FieldError as error:
            raise FieldError(error.field, error.value, error.expected, source) from None


CAPTAIN = Vehicle(
    name="captain",
    battery=110_000 * WH,
    reserve=22_000 * WH,
    energy_flight=4_000 * WH,
    energy_mile=22 * WH,
    cruise_numerator=72,
    cruise_denominator=149,
    board=360,
    unload=360,
    seats=4,
    stay=900,
    charge_power=150_000,
    cost_mile=16_000,
    landing_fee=5_000_000,
    electricity=200,
)
"""Battery, range, speed, seats, times and tariff of Paul & Chowdhury's public code of 2022; the rest is ours."""

VEHICLES: Mapping[str, Vehicle] = {CAPTAIN.name: CAPTAIN}


def find_vehicle(name: str) -> Vehicle:
    """A vehicle by its name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in VEHICLES:
        raise UnknownNameError("vehicle", name, VEHICLES)
    return VEHICLES[name]
