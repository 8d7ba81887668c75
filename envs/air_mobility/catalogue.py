"""The instances that names stand for: named networks at three loads, random ones, and files."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np

from ..core.errors import FieldError, UnknownNameError, UserError
from ..core.files import named_files
from ..core.instance import require_integer
from ..core.names import Name, check_options, parse_name
from . import demand, formats
from .instance import MAX_AIRCRAFT, RULES, AirInstance, AirNetwork, FleetError
from .networks import CHARGERS, NETWORKS, STANDS, network, random_network
from .options import AirOptions
from .vehicles import CAPTAIN, VEHICLES, Vehicle, find_vehicle

FLEET = 40
TIGHT_STANDS, TIGHT_SEPARATION = 7, 360
"""Of the variant `tight`, which has one corridor of each ordered pair."""
MAX_COUNT = 10_000
MAX_RANDOM_VERTIPORTS = 60

_VEHICLE = "(?P<vehicle>" + "".join(f"|-{name}" for name in VEHICLES) + ")"
_NAMED = re.compile(r"(?P<network>[a-z0-9]+)-(?P<load>low|medium|high)(?P<tight>-tight)?" + _VEHICLE + r"\Z")
_RANDOM = re.compile(
    r"rand(?P<size>[0-9]{1,4}x[0-9]{1,5})-(?P<load>low|medium|high)(?P<tight>-tight)?-s(?P<seed>[0-9]{1,19})"
    + _VEHICLE
    + r"\Z"
)
_RANDOM_OPTIONS = ("size", "load", "tight", "count", "seed", "vehicle")
_DEFAULT_SIZE = "8x40"


def make(
    net: AirNetwork, load: str, vehicle: Vehicle = CAPTAIN, fleet: int = FLEET, tight: bool = False, name: str = ""
) -> AirInstance:
    """A day's instance on a network: aircraft a starts at vertiport a mod n with a full battery.

    Args:
        load: "low", "medium" or "high": 1200, 2400 or 4800 passengers a day for 40 aircraft.
        fleet: number of aircraft; demand is in proportion.
        tight: one corridor of each ordered pair with 360 s between entries.

    Raises:
        UserError: the load is unknown, or the fleet does not fit.
    """
    if load not in demand.LOADS:
        raise UnknownNameError("load", load, demand.LOADS)
    passengers = demand.LOADS[load] * fleet / FLEET
    rate = demand.forecast(passengers, net.mass, net.kind, net.distance, net.flyable(vehicle))
    return AirInstance(
        name=name or f"{net.name}-{load}",
        network=net,
        vehicle=vehicle,
        load=load,
        passengers=passengers,
        forecast=rate,
        fare=demand.fares(rate, net.distance),
        start_vertiport=np.arange(fleet, dtype=np.int64) % net.size,
        start_energy=np.full(fleet, vehicle.battery, dtype=np.int64),
        corridors=1 if tight else 2,
        separation=TIGHT_SEPARATION if tight else 180,
    )


def names() -> list[str]:
    """The instances that ship: ``la8-low``, ``la8-medium``, ...

    ``-tight`` may be appended to each, and then ``-evtol-2025``.
    """
    return [f"{net}-{load}" for net in NETWORKS for load in demand.LOADS]


@cache
def instance(name: str, vehicle: Vehicle | None = None) -> AirInstance:
    """An instance that ships.

    Args:
        name: see `names`.
        vehicle: the type of aircraft; default: that which the name says, else captain's.

    Raises:
        UnknownNameError: there is none of this name.
    """
    match = _NAMED.match(name)
    if not match or match["network"] not in NETWORKS:
        raise UnknownNameError("instance", name, [*names(), "random"])
    tight = match["tight"] is not None
    net = network(match["network"], TIGHT_STANDS if tight else STANDS)
    flown = vehicle or _vehicle_of(match)
    return make(net, match["load"], flown, tight=tight, name=name.removesuffix(match["vehicle"]) + _suffix(flown))


def random_instance(
    vertiports: int, aircraft: int, load: str, seed: int, vehicle: Vehicle = CAPTAIN, tight: bool = False
) -> AirInstance:
    """The random instance of a seed, see `networks.random_network`.

    Stands are max(8, 1.2 aircraft / vertiports with chargers, rounded up), chargers half of that.
    """
    charged = vertiports - vertiports // 4
    stands = max(STANDS, math.ceil(1.2 * aircraft / charged), math.ceil(aircraft / vertiports))
    chargers = max(stands // 2, CHARGERS)
    if tight:
        stands = max(stands - 1, math.ceil((aircraft + 1) / charged))
    net = random_network(vertiports, seed, stands, chargers, vehicle)
    name = f"rand{vertiports}x{aircraft}-{load}{'-tight' * tight}-s{seed}{_suffix(vehicle)}"
    return make(net, load, vehicle, aircraft, tight, name)


def resolve(text: str, fleet: int | None = None) -> list[AirInstance]:
    """The instances that one item of a list of instances names.

    * ``la8-medium``, ``la8-medium-tight``, ``la8-medium:vehicle=evtol-2025``: a named network;
    * ``la8``: a named network at all three loads;
    * ``random:size=8x40:load=medium:count=20:seed=7``: random networks of the seeds 7 to 26;
      ``rand8x40-medium-s7``: one by the name it bears;
    * ``folder/*.json``: files of instances and of realised days, sorted; ``net.json:load=high:fleet=12``: a network's
      file (see `formats`), at the load given, by default medium, with so many aircraft, by default those that it
      names, else 40.

    Args:
        text: the item.
        fleet: the number of aircraft on a network's file, whatever the file says.

    Raises:
        UserError: the item names nothing, an option is malformed, or a file is.
    """
    name = parse_name(text, "instance")
    if name.base == "random":
        return _random(name)
    if name.is_path:
        check_options(name, "instance", ("load", "fleet"))
        return [_from_file(str(file), name, fleet) for file in named_files(name.base)]
    check_options(name, "instance", ("vehicle",))
    vehicle = _vehicle(name) if "vehicle" in name.options else None
    if match := _RANDOM.match(name.base):
        size = _size(match["size"])
        seed = require_integer("seed of the instance", int(match["seed"]), 0, 2**62)
        tight = match["tight"] is not None
        return [random_instance(*size, match["load"], seed, vehicle or _vehicle_of(match), tight)]
    if name.base in NETWORKS:
        return [instance(f"{name.base}-{load}", vehicle) for load in demand.LOADS]
    return [instance(name.base, vehicle)]


def _vehicle_of(match: re.Match[str]) -> Vehicle:
    """The vehicle that a name ends in."""
    return find_vehicle(match["vehicle"].removeprefix("-") or CAPTAIN.name)


def _suffix(vehicle: Vehicle) -> str:
    """What the name of an instance ends in."""
    return "" if vehicle.name == CAPTAIN.name else f"-{vehicle.name}"


def _vehicle(name: Name) -> Vehicle:
    return find_vehicle(str(name.options.get("vehicle", CAPTAIN.name)))


def _random(name: Name) -> list[AirInstance]:
    check_options(name, "instance", _RANDOM_OPTIONS)
    given = name.options
    load, tight = str(given.get("load", "medium")), given.get("tight", False)
    if load not in demand.LOADS:
        raise UnknownNameError("load", load, demand.LOADS)
    if not isinstance(tight, bool):
        raise FieldError("option tight", tight, "true or false")
    vertiports, aircraft = _size(str(given.get("size", _DEFAULT_SIZE)))
    count = require_integer("option count", given.get("count", 1), 1, MAX_COUNT)
    first = require_integer("option seed", given.get("seed", 0), 0, 2**62)
    vehicle = _vehicle(name)
    return [random_instance(vertiports, aircraft, load, first + k, vehicle, tight) for k in range(count)]


def _size(text: str) -> tuple[int, int]:
    """(vertiports, aircraft) of ``8x40``."""
    match = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,5})", text)
    if not match or not 3 <= int(match[1]) <= MAX_RANDOM_VERTIPORTS or not 1 <= int(match[2]) <= MAX_AIRCRAFT:
        expected = f"vertiports x aircraft, such as 8x40, from 3x1 to {MAX_RANDOM_VERTIPORTS}x{MAX_AIRCRAFT}"
        raise FieldError("option size", text, expected)
    return int(match[1]), int(match[2])


def _from_file(path: str, name: Name, fleet: int | None) -> AirInstance:
    """The instance of a file; a network alone gets the load and the aircraft that are asked for."""
    found = formats.load(path)
    if isinstance(found, AirInstance):
        for key, value in name.options.items():
            raise FieldError(f"option {key}", value, f"none: {path!r} has a demand of its own")
        return found
    asked = [fleet, name.options.get("fleet"), found.aircraft, FLEET]
    aircraft = require_integer("option fleet", next(x for x in asked if x is not None), 1, MAX_AIRCRAFT, path)
    try:
        made = make(found.network, str(name.options.get("load", "medium")), found.vehicle, aircraft)
        return replace(made, **found.rules)
    except FieldError as error:
        hint = f"; for fewer aircraft name it {path}:fleet=N" if isinstance(error, FleetError) else ""
        raise FieldError(error.field, error.value, error.expected + hint, path) from None


@lru_cache(maxsize=4096)  # so that an instance that is given again is the same one
def adapted(given: AirInstance, options: AirOptions | None) -> AirInstance:
    """An instance with the vehicle, the fleet and the fares that options ask for; demand is forecast anew.

    Raises:
        UserError: the day of the instance is given, or the fleet does not fit.
    """
    if options is None:
        return given
    if options.fares == "2022":
        given = replace(given, fare=demand.fares_of_2022(given.network.distance))
    if options.vehicle is None and options.fleet is None:
        return given
    vehicle = given.vehicle if options.vehicle is None else find_vehicle(options.vehicle)
    fleet = given.num_aircraft if options.fleet is None else options.fleet
    if vehicle == given.vehicle and fleet == given.num_aircraft:
        return given
    if given.day is not None or given.load not in demand.LOADS:
        what = "vehicle" if options.vehicle is not None else "fleet"
        raise UserError(f"option {what} is given, but instance {given.name!r} has a demand of its own")
    made = make(given.network, given.load, vehicle, fleet, name=given.name)
    if options.fares == "2022":
        made = replace(made, fare=given.fare)
    return replace(made, **{rule: getattr(given, rule) for rule in RULES})
