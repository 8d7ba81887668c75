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

EVTOL_2025 = Vehicle(
    name="evtol-2025",
    battery=142_000 * WH,
    reserve=28_400 * WH,
    energy_flight=12_000 * WH,
    energy_mile=10 * WH,
    cruise_numerator=6,
    cruise_denominator=25,
    board=300,
    unload=300,
    seats=4,
    stay=900,
    charge_power=180_000,
    cost_mile=16_000,
    landing_fee=5_000_000,
    electricity=200,
)
"""An aircraft like those that makers announced for 2025; `EVTOL_2025_SOURCES` says where each number comes from."""

EVTOL_2025_SOURCES: Mapping[str, str] = {
    "battery": "142 kWh, Archer Midnight (announced on 16 November 2022; autoevolution.com, 2022-11-18)",
    "reserve": "assumed: 20 % of the battery, as for captain",
    "energy_flight": "assumed: 12 kWh for hover, climb and landing; with energy_mile 10 miles take 22 kWh, where an "
    "independent analysis of the Joby S4 of 2023 has about 25",
    "energy_mile": "assumed: 1.0 kWh a mile, so that the battery less its reserve lasts for 102 miles; both makers "
    "announce 100 (Archer Midnight, 2022; Joby S4 with reserves, evtol.news)",
    "cruise_numerator": "150 mph, Archer Midnight (the same announcement); 3600 s / 150 / 100 = 6 / 25 s per cmi",
    "cruise_denominator": "see cruise_numerator",
    "board": "half of the 10 minutes between flights that Archer announced for Midnight",
    "unload": "half of the 10 minutes between flights that Archer announced for Midnight",
    "seats": "4 passengers beside the pilot, Archer Midnight and Joby S4",
    "stay": "the model's, as for captain",
    "charge_power": "180 kW: what 20 miles take, 32 kWh, in the 10 to 12 minutes that Archer announced",
    "cost_mile": "assumed: as for captain",
    "landing_fee": "assumed: as for captain",
    "electricity": "assumed: as for captain",
}

VEHICLES: Mapping[str, Vehicle] = {one.name: one for one in (CAPTAIN, EVTOL_2025)}


def find_vehicle(name: str) -> Vehicle:
    """A vehicle by its name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in VEHICLES:
        raise UnknownNameError("vehicle", name, VEHICLES)
    return VEHICLES[name]
