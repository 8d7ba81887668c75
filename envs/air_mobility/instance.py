"""The static data of a fleet's day: vertiports, aircraft, forecast demand and fares, and a realised day if given.

Units: time in s (0 is 06:00), energy in J, distance in cmi (0.01 mile), money in µ$ unless a fare in cents is named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write, decode_text, read_bounded
from ..core.instance import (
    check_header,
    content_hash,
    parse_json,
    require_integer,
    require_keys,
    require_list,
    require_name,
)
from .checks import check_sorted, float_array, in_range, integer_array
from .demand import INTERVALS
from .vehicles import WH, Vehicle

FORMAT = "makespan/air-mobility"
VERSION = 1
HORIZON, HALF_HOUR, DELAY_SLOT = 43_200, 1800, 300
HALF_HOURS, DELAY_SLOTS, DOWNTIMES = HORIZON // HALF_HOUR, HORIZON // DELAY_SLOT, 64
MAX_VERTIPORTS, MAX_AIRCRAFT, MAX_RATE = 100, 2000, 500.0
MAX_ARRIVALS = 1_000_000
KINDS = ("A", "B", "R")
CENT = 10_000
"""µ$ in a cent."""
NEVER = 2**60

_VERTIPORT_KEYS = ("id", "lat", "lon", "type", "mass", "stands", "chargers", "delay_mean")
_NETWORK_KEYS = ("name", "vertiports", "d")
_DAY_KEYS = ("seed", "noise", "arrivals", "delay", "closures", "downtime")
_KEYS = ("format", "version", "name", "network", "vehicle", "load", "passengers", "forecast", "fare_cents", "start")
_OPTIONAL_KEYS = ("horizon", "corridors", "separation", "patience_corridor", "patience", "day")
RULES = {
    "horizon": (1, HORIZON),
    "corridors": (1, 16),
    "separation": (0, 3600),
    "patience_corridor": (0, 3600),
    "patience": (0, HORIZON),
}
"""Fields of an instance that are numbers of the model, and their bounds."""


class FleetError(FieldError):
    """A network has too few stands for a fleet."""


@dataclass(frozen=True, eq=False)
class AirNetwork:
    """Vertiports and how far they are apart; checked when it is made, its arrays are copies and read-only.

    Attributes:
        name: how it is called.
        ids: the vertiports' names.
        latitude, longitude: float64 [n], degrees.
        kind: int64 [n], 0 airport, 1 business, 2 residential.
        mass: float64 [n], weight of a vertiport in the demand.
        stands, chargers: int64 [n].
        delay_mean: int64 [n], mean take-off delay, s.
        distance: int64 [n, n], cmi.

    Raises:
        FieldError: something is malformed.
    """

    name: str
    ids: tuple[str, ...]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    kind: NDArray[np.int64]
    mass: NDArray[np.float64]
    stands: NDArray[np.int64]
    chargers: NDArray[np.int64]
    delay_mean: NDArray[np.int64]
    distance: NDArray[np.int64]

    def __post_init__(self) -> None:
        require_name("name of a network", self.name)
        ids = tuple(require_name(f"ids[{v}]", one) for v, one in enumerate(self.ids))
        n = len(ids)
        if not 2 <= n <= MAX_VERTIPORTS:
            raise FieldError("number of vertiports", n, f"2 to {MAX_VERTIPORTS}")
        if len(set(ids)) < n:
            twice = next(one for one in ids if ids.count(one) > 1)
            raise FieldError("ids", twice, "each name once")
        fixed: dict[str, Any] = {
            "ids": ids,
            "latitude": float_array("latitude", self.latitude, (n,), -90.0, 90.0),
            "longitude": float_array("longitude", self.longitude, (n,), -180.0, 180.0),
            "kind": integer_array("kind", self.kind, (n,), 0, len(KINDS) - 1),
            "mass": float_array("mass", self.mass, (n,), 0.0, 1e6),
            "stands": integer_array("stands", self.stands, (n,), 1, 100_000),
            "chargers": integer_array("chargers", self.chargers, (n,), 0, 100_000),
            "delay_mean": integer_array("delay_mean", self.delay_mean, (n,), 0, 3600),
            "distance": integer_array("distance", self.distance, (n, n), 0, 1_000_000),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        for i in range(n):
            for j in range(n):
                if (self.distance[i, j] == 0) != (i == j):
                    expected = "0 from a vertiport to itself" if i == j else "at least 1"
                    raise FieldError(f"distance[{i}][{j}]", int(self.distance[i, j]), expected)
        if not self.chargers.any():
            raise FieldError("chargers", self.chargers.tolist(), "a charger at one vertiport at least")

    @property
    def size(self) -> int:
        """n, the number of vertiports."""
        return len(self.ids)

    def energy(self, vehicle: Vehicle) -> NDArray[np.int64]:
        """int64 [n, n], J that a flight takes."""
        return vehicle.energy_flight + vehicle.energy_mile * self.distance

    def escape(self, vehicle: Vehicle) -> NDArray[np.int64]:
        """int64 [n], J to the nearest other vertiport with chargers; 0 where there are chargers."""
        energy = np.where(self.chargers[None, :] > 0, self.energy(vehicle), NEVER)
        np.fill_diagonal(energy, NEVER)
        return np.where(self.chargers > 0, 0, energy.min(axis=1))

    def flyable(self, vehicle: Vehicle) -> NDArray[np.bool_]:
        """bool [n, n], whether a full battery lasts for the flight, the escape from there and the reserve."""
        need = vehicle.reserve + self.energy(vehicle) + self.escape(vehicle)[None, :]
        return (need <= vehicle.battery) & ~np.eye(self.size, dtype=np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` reads it back."""
        columns = (
            self.ids,
            self.latitude.tolist(),
            self.longitude.tolist(),
            [KINDS[k] for k in self.kind],
            self.mass.tolist(),
            self.stands.tolist(),
            self.chargers.tolist(),
            self.delay_mean.tolist(),
        )
        rows = [dict(zip(_VERTIPORT_KEYS, row, strict=True)) for row in zip(*columns, strict=True)]
        return {"name": self.name, "vertiports": rows, "d": self.distance.tolist()}

    @classmethod
    def from_dict(cls, data: Any, source: str | None = None) -> AirNetwork:
        """The network of `to_dict`.

        Raises:
            UserError: a key is missing, unknown or malformed.
        """
        data = require_keys("network", data, _NETWORK_KEYS, (), source)
        rows = require_list("vertiports", data["vertiports"], source)
        rows = [require_keys(f"vertiports[{v}]", row, _VERTIPORT_KEYS, (), source) for v, row in enumerate(rows)]
        for v, row in enumerate(rows):
            if row["type"] not in KINDS:
                raise FieldError(f"vertiports[{v}] type", row["type"], "'A', 'B' or 'R'", source)
        columns = {key: [row[key] for row in rows] for key in _VERTIPORT_KEYS}
        kind = [KINDS.index(one) for one in columns.pop("type")]
        ids, latitude, longitude = columns.pop("id"), columns.pop("lat"), columns.pop("lon")
        try:
            return cls(data["name"], tuple(ids), latitude, longitude, kind, distance=data["d"], **columns)  # pyright: ignore[reportArgumentType]
        except FieldError as error:
            raise FieldError(error.field, error.value, error.expected, source) from None


@dataclass(frozen=True, eq=False)
class AirDay:
    """A realised day: all that chance decides, whatever the fleet does; checked by the instance that holds it.

    Attributes:
        arrivals: n * n arrays of int64; that of index i * n + j holds the sorted seconds at which passengers arrive at
            i to fly to j.
        delay: int64 [n, 144], take-off delay of decisions in each 300 s, s.
        closures: int64 [C, 4], rows (i, j, first half hour, half hours), i < j, closing both directions.
        downtime: int64 [M, 64], s that an aircraft is down after its k-th landing; 0 for none.
        seed: it was drawn from.
        noise: it was drawn with.
    """

    arrivals: tuple[NDArray[np.int64], ...]
    delay: NDArray[np.int64]
    closures: NDArray[np.int64]
    downtime: NDArray[np.int64]
    seed: int = 0
    noise: float = 1.0

    def checked(self, n: int, aircraft: int, horizon: int) -> AirDay:
        """A copy with checked, read-only arrays.

        Raises:
            FieldError: something is malformed.
        """
        if len(self.arrivals) != n * n:
            raise FieldError("arrivals", f"{len(self.arrivals)} lists", f"{n * n}, one per ordered pair")
        arrivals = tuple(
            check_sorted(f"arrivals[{p // n}-{p % n}]", one, 0, horizon - 1) for p, one in enumerate(self.arrivals)
        )
        if sum(map(len, arrivals)) > MAX_ARRIVALS:
            raise FieldError("arrivals", sum(map(len, arrivals)), f"at most {MAX_ARRIVALS} passengers")
        rows = np.asarray(self.closures)
        closures = integer_array(
            "closures", rows if rows.size else np.zeros((0, 4), np.int64), (len(rows), 4), 0, MAX_VERTIPORTS
        )
        for c, (i, j, start, length) in enumerate(closures.tolist()):
            if not (i < j < n and start < HALF_HOURS and 1 <= length <= HALF_HOURS):
                raise FieldError(
                    f"closures[{c}]", [i, j, start, length], "[i, j > i, half hour 0 to 23, length 1 to 24]"
                )
        return replace(
            self,
            arrivals=arrivals,
            delay=integer_array("delay", self.delay, (n, DELAY_SLOTS), 0, 7200),
            closures=closures,
            downtime=integer_array("downtime", self.downtime, (aircraft, DOWNTIMES), 0, HORIZON),
            seed=require_integer("seed of the day", self.seed, 0, 2**63 - 1),
            noise=in_range("noise of the day", self.noise, 0.0, 10.0),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` reads it back."""
        n = len(self.delay)
        return {
            "seed": self.seed,
            "noise": self.noise,
            "arrivals": {f"{p // n}-{p % n}": one.tolist() for p, one in enumerate(self.arrivals) if len(one)},
            "delay": self.delay.tolist(),
            "closures": self.closures.tolist(),
            "downtime": [
                [int(a), int(k), int(self.downtime[a, k])] for a, k in zip(*np.nonzero(self.downtime), strict=True)
            ],
        }

    @classmethod
    def from_dict(cls, data: Any, n: int, aircraft: int, source: str | None = None) -> AirDay:
        """The day of `to_dict`, for a network of n vertiports and a fleet.

        Raises:
            UserError: a key is missing, unknown or malformed.
        """
        data = require_keys("day", data, _DAY_KEYS, (), source)
        pairs = {f"{i}-{j}" for i in range(n) for j in range(n) if i != j}
        given = require_keys("arrivals", data["arrivals"], (), pairs, source)
        downtime = np.zeros((aircraft, DOWNTIMES), dtype=np.int64)
        for c, row in enumerate(require_list("downtime", data["downtime"], source)):
            if not isinstance(row, list) or len(row) != 3:
                raise FieldError(f"downtime[{c}]", row, "[aircraft, landing, seconds]", source)
            a = require_integer(f"downtime[{c}] aircraft", row[0], 0, aircraft - 1, source)
            k = require_integer(f"downtime[{c}] landing", row[1], 0, DOWNTIMES - 1, source)
            downtime[a, k] = require_integer(f"downtime[{c}] seconds", row[2], 0, HORIZON, source)
        closures = require_list("closures", data["closures"], source)
        for c, row in enumerate(closures):
            if not isinstance(row, list) or len(row) != 4:
                raise FieldError(f"closures[{c}]", row, "[i, j > i, half hour 0 to 23, length 1 to 24]", source)
            for value in row:
                require_integer(f"closures[{c}]", value, 0, MAX_VERTIPORTS, source)
        arrivals = tuple(given.get(f"{i}-{j}", []) for i in range(n) for j in range(n))
        table = np.array(closures, dtype=np.int64).reshape(-1, 4)
        return cls(arrivals, data["delay"], table, downtime, data["seed"], data["noise"])


@dataclass(frozen=True, eq=False)
class AirInstance:
    """What is known of a day when it begins; checked when it is made, its arrays are copies and read-only.

    Attributes:
        name: how it is called in tables.
        network: the vertiports.
        vehicle: the type of aircraft.
        load: how the demand level is called.
        passengers: expected in a day.
        forecast: float64 [n, n, 48], expected passengers of each ordered pair and quarter hour.
        fare: int64 [n, n, 48], cents.
        start_vertiport, start_energy: int64 [M], where each aircraft stands at time 0, and J in its battery.
        horizon: when the day ends, s.
        corridors: of each ordered pair.
        separation: between entries into a corridor, s.
        patience_corridor: longest wait for a corridor that is accepted, s.
        patience: for how long a passenger waits, s.
        day: what happens; None where it is drawn from the episode's seed.

    Raises:
        UserError: something is malformed, or the fleet could jam.
    """

    name: str
    network: AirNetwork
    vehicle: Vehicle
    load: str
    passengers: float
    forecast: NDArray[np.float64]
    fare: NDArray[np.int64]
    start_vertiport: NDArray[np.int64]
    start_energy: NDArray[np.int64]
    horizon: int = HORIZON
    corridors: int = 2
    separation: int = 180
    patience_corridor: int = 300
    patience: int = 1800
    day: AirDay | None = None

    def __post_init__(self) -> None:
        n = self.network.size
        aircraft = len(np.atleast_1d(self.start_vertiport))
        if not 1 <= aircraft <= MAX_AIRCRAFT:
            raise FieldError("number of aircraft", aircraft, f"1 to {MAX_AIRCRAFT}")
        fixed: dict[str, Any] = {
            "name": require_name("name", self.name),
            "load": require_name("load", self.load),
            "passengers": in_range("passengers", self.passengers, 0.0, 1e7),
            "forecast": float_array("forecast", self.forecast, (n, n, INTERVALS), 0.0, MAX_RATE),
            "fare": integer_array("fare", self.fare, (n, n, INTERVALS), 0, 10_000_000),
            "start_vertiport": integer_array("start vertiport", self.start_vertiport, (aircraft,), 0, n - 1),
            "start_energy": integer_array("start energy", self.start_energy, (aircraft,), 0, self.vehicle.battery),
        }
        for name, (low, high) in RULES.items():
            fixed[name] = require_integer(name, getattr(self, name), low, high)
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        self._check_stands(aircraft)
        self._check_demand()
        if self.day is not None:
            object.__setattr__(self, "day", self.day.checked(n, aircraft, self.horizon))

    def _check_stands(self, aircraft: int) -> None:
        network = self.network
        charged = int(network.stands[network.chargers > 0].sum())
        if charged <= aircraft:
            raise FleetError("stands at vertiports with chargers", charged, f"more than the fleet of {aircraft}")
        standing = np.bincount(self.start_vertiport, minlength=network.size)
        for v in range(network.size):
            if standing[v] > network.stands[v]:
                raise FleetError(
                    f"aircraft that start at {network.ids[v]}",
                    int(standing[v]),
                    f"at most {network.stands[v]}, its stands",
                )

    def _check_demand(self) -> None:
        wrong = np.argwhere((self.forecast > 0.0) & ~self.flyable[:, :, None])
        if len(wrong):
            i, j, k = wrong[0].tolist()
            expected = "0: the battery does not last for this flight"
            raise FieldError(f"forecast[{i}][{j}][{k}]", float(self.forecast[i, j, k]), expected)
        if not self.flyable.any():
            raise FieldError("distance", int(self.network.distance.max()), "a pair that the battery lasts for")

    # --- what follows -------------------------------------------------------------------------------------------------

    @property
    def num_vertiports(self) -> int:
        """n."""
        return self.network.size

    @property
    def num_aircraft(self) -> int:
        """M."""
        return len(self.start_vertiport)

    @cached_property
    def energy(self) -> NDArray[np.int64]:
        """int64 [n, n], J of a flight."""
        return self.network.energy(self.vehicle)

    @cached_property
    def cruise(self) -> NDArray[np.int64]:
        """int64 [n, n], s from the corridor's entry to the arrival."""
        vehicle = self.vehicle
        return -(-vehicle.cruise_numerator * self.network.distance // vehicle.cruise_denominator)

    @cached_property
    def cost(self) -> NDArray[np.int64]:
        """int64 [n, n], µ$ of a flight."""
        vehicle = self.vehicle
        electricity = vehicle.electricity * self.energy // WH
        return vehicle.cost_mile * self.network.distance + vehicle.landing_fee + electricity

    @cached_property
    def escape(self) -> NDArray[np.int64]:
        """int64 [n], J that must be left to reach a charger."""
        return self.network.escape(self.vehicle)

    @cached_property
    def flyable(self) -> NDArray[np.bool_]:
        """bool [n, n], the pairs that a full battery lasts for."""
        return self.network.flyable(self.vehicle)

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; `from_dict` reads it back."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "network": self.network.to_dict(),
            "vehicle": self.vehicle.to_dict(),
            "load": self.load,
            "passengers": self.passengers,
            "forecast": self.forecast.tolist(),
            "fare_cents": self.fare.tolist(),
            "start": [[int(v), int(e)] for v, e in zip(self.start_vertiport, self.start_energy, strict=True)],
            **{name: getattr(self, name) for name in RULES},
        }
        if self.day is not None:
            data["day"] = self.day.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Any, source: str | None = None) -> AirInstance:
        """The instance of `to_dict`.

        Raises:
            UserError: a key is missing, unknown or malformed.
        """
        check_header(data, FORMAT, (VERSION,), source)
        data = require_keys("the document", data, _KEYS, _OPTIONAL_KEYS, source)
        network = AirNetwork.from_dict(data["network"], source)
        vehicle = Vehicle.from_dict(data["vehicle"], source)
        start = []
        for a, row in enumerate(require_list("start", data["start"], source)):
            if not isinstance(row, list) or len(row) != 2:
                raise FieldError(f"start[{a}]", row, "[vertiport, energy]", source)
            where = require_integer(f"start[{a}] vertiport", row[0], 0, network.size - 1, source)
            start.append((where, require_integer(f"start[{a}] energy", row[1], 0, vehicle.battery, source)))
        day = data.get("day")
        try:
            return cls(
                data["name"],
                network,
                vehicle,
                data["load"],
                data["passengers"],
                data["forecast"],
                data["fare_cents"],
                np.array([vertiport for vertiport, _ in start], dtype=np.int64),
                np.array([energy for _, energy in start], dtype=np.int64),
                day=None if day is None else AirDay.from_dict(day, network.size, len(start), source),
                **{name: data[name] for name in RULES if name in data},
            )
        except FieldError as error:
            raise FieldError(error.field, error.value, error.expected, source) from None

    def save(self, path: str | Path) -> None:
        """Write the JSON form.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict(), separators=(",", ":")) + "\n")

    @classmethod
    def load_file(cls, path: str | Path) -> AirInstance:
        """Read a file that `save` wrote.

        Raises:
            UserError: the file cannot be read, or something in it is malformed.
        """
        data = parse_json(decode_text(read_bounded(path), str(path)), str(path))
        return cls.from_dict(data, str(path))

    @cached_property
    def hash(self) -> str:
        """Hash of all the data."""
        return content_hash(self.to_dict())


def without_day(instance: AirInstance) -> AirInstance:
    """The instance as it is known when a day begins."""
    return instance if instance.day is None else replace(instance, day=None)
