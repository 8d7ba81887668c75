"""Instances as the tables that compiled code reads, and the room that they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import state as d
from .demand import INTERVALS, LOADS
from .instance import CENT, DELAY_SLOTS, DOWNTIMES, HALF_HOURS, AirInstance
from .networks import EARTH_RADIUS
from .observation import FARE_UNIT, MOST_SERIES, RATE_UNIT, SERIES_FEATURES, SERIES_STEPS
from .options import AirOptions
from .vehicles import WH
from .world import CLOSURE_CHANCE, most_arrivals

SERIES_ROOM = INTERVALS + SERIES_STEPS
"""Quarter hours that a pair's series is kept for: the last ones lie after the day and are zero."""
DOLLAR = 1e6
_TOLD = 100
"""A day's fares, if all passengers flew, come to so many units of reward."""
_FLEET = 40
CHEAP_UNTIL, CHEAP, DEAR_FROM, DEAR = 8, -20, 40, 60
"""The tariff "peak": quarter hours, and by how many per cent electricity is dearer."""
_NO_WAY = 10**10
"""µ$ of a way that there is not."""


class Room(NamedTuple):
    """What to have room for."""

    vertiports: int
    aircraft: int


def room_of(instance: AirInstance) -> Room:
    """What an instance needs."""
    return Room(instance.num_vertiports, instance.num_aircraft)


def most_room(instances: Sequence[AirInstance]) -> Room:
    """What the largest of some instances need."""
    return Room(*(max(values) for values in zip(*map(room_of, instances), strict=True)))


class Lengths(NamedTuple):
    """How long the lists of a copy's day may become.

    Attributes:
        corridors: of a pair.
        arrivals, closures: of a day.
        decisions: of a day.
    """

    corridors: int
    arrivals: int
    closures: int
    decisions: int


def lengths_of(instances: Sequence[AirInstance], noise: float) -> Lengths:
    """The longest that the days of some instances need."""
    found = [_lengths(one, noise) for one in instances]
    return Lengths(*(max(values) for values in zip(*found, strict=True)))


@lru_cache(maxsize=4096)  # planners make engines by the thousand
def _lengths(instance: AirInstance, noise: float) -> Lengths:
    decisions = instance.num_aircraft * (instance.horizon // _shortest(instance) + 2)
    return Lengths(instance.corridors, most_arrivals(instance, noise), _most_closures(instance, noise), decisions)


def _most_closures(instance: AirInstance, noise: float) -> int:
    """Twelve standard deviations above their mean, at most all."""
    if instance.day is not None:
        return len(instance.day.closures) + 1
    n = instance.num_vertiports
    every = n * (n - 1) // 2 * HALF_HOURS
    mean = min(CLOSURE_CHANCE * noise, 1.0) * every
    return min(every, math.ceil(mean + 12.0 * math.sqrt(mean))) + 16


def _shortest(instance: AirInstance) -> int:
    """The least time between two decisions of an aircraft, s."""
    vehicle = instance.vehicle
    return min(vehicle.stay, vehicle.board + vehicle.unload + int(instance.cruise[instance.flyable].min()))


def build(instances: Sequence[AirInstance], options: AirOptions) -> d.Problem:
    """The tables of instances under options."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in d.Problem._fields}
    counts: dict[str, int] = dict.fromkeys(
        ("vertiport", "pair", "aircraft", "begin", "second", "delay", "down", "closure"), 0
    )
    for instance in instances:
        _add(parts, counts, instance, options)
    parts["options"] = [_options(options)]
    parts["tariff"] = [tariff(options)]
    empty = {
        "given_begin": np.zeros(1, dtype=np.int64),
        "given_second": np.zeros(1, dtype=np.int64),
        "given_delay": np.zeros((1, DELAY_SLOTS), dtype=np.int64),
        "given_down": np.zeros((1, DOWNTIMES), dtype=np.int64),
        "given_closure": np.zeros((1, d.NUM_CLOSURE), dtype=np.int64),
    }
    for name, array in empty.items():  # compiled code wants arrays with a row at least
        parts[name].append(array)
    return d.Problem(**{name: np.ascontiguousarray(np.concatenate(rows)) for name, rows in parts.items()})


def _options(options: AirOptions) -> NDArray[np.int64]:
    row = np.zeros(d.NUM_OPTIONS, dtype=np.int64)
    settings = options.settings
    row[d.OPT_TAPER], row[d.OPT_REFILL], row[d.OPT_HOME] = settings.taper, settings.refill, settings.home
    row[d.OPT_LOST_COST], row[d.OPT_WAIT_COST] = settings.lost_cost, settings.wait_cost
    row[d.OPT_IMAGINED], row[d.OPT_PADS] = options.imagined, settings.pads
    row[d.OPT_SCALE] = options.reward_scale == "instance"
    return row


def _add(
    parts: dict[str, list[NDArray[Any]]], counts: dict[str, int], instance: AirInstance, options: AirOptions
) -> None:
    """Append the rows of an instance."""
    n, aircraft, network, vehicle = instance.num_vertiports, instance.num_aircraft, instance.network, instance.vehicle
    row = np.full(d.NUM_INSTANCE, d.NONE, dtype=np.int64)
    row[d.VERTIPORTS], row[d.AIRCRAFT] = n, aircraft
    row[d.FIRST_VERTIPORT], row[d.FIRST_PAIR] = counts["vertiport"], counts["pair"]
    row[d.FIRST_AIRCRAFT] = counts["aircraft"]
    row[d.HORIZON], row[d.CORRIDORS], row[d.SEPARATION] = instance.horizon, instance.corridors, instance.separation
    row[d.PATIENCE_CORRIDOR], row[d.PATIENCE] = instance.patience_corridor, instance.patience
    row[d.BATTERY], row[d.RESERVE], row[d.BOARD], row[d.UNLOAD] = (
        vehicle.battery,
        vehicle.reserve,
        vehicle.board,
        vehicle.unload,
    )
    row[d.SEATS], row[d.STAY], row[d.POWER] = vehicle.seats, vehicle.stay, vehicle.charge_power
    row[d.WORST], row[d.REWARD_SCALE] = _worst(instance, options), _reward_scale(instance)
    noise = options.noise
    if instance.day is not None:
        noise = instance.day.noise
        _add_day(parts, counts, row, instance)
    parts["instance"].append(row[None])
    level = instance.passengers / aircraft / (LOADS["medium"] / _FLEET)
    parts["measure"].append(np.array([[noise, 1.0 / vehicle.battery, level]]))
    parts["vertiport"].append(
        np.stack([network.stands, network.chargers, network.delay_mean, network.kind], axis=1).astype(np.int64)
    )
    parts["position"].append(positions(instance))
    pairs = (
        instance.flyable,
        instance.energy,
        instance.cruise,
        instance.cost,
        vehicle.reserve + instance.energy + instance.escape[None, :],
        network.distance,
        vehicle.electricity * instance.energy // WH,
        homing_costs(instance),
    )
    parts["pair"].append(np.stack([array.reshape(-1) for array in pairs], axis=1).astype(np.int64))
    rate = instance.forecast
    hourly = _coming_hour(rate)
    parts["worth"].append(worth(instance))
    parts["out_rate"].append(hourly.sum(axis=1))
    parts["rate"].append(rate.reshape(n * n, INTERVALS))
    parts["hour_rate"].append(hourly.reshape(n * n, INTERVALS))
    parts["fare"].append(CENT * instance.fare.reshape(n * n, INTERVALS))
    parts["series"].append(_series(instance))
    parts["start"].append(np.stack([instance.start_vertiport, instance.start_energy], axis=1))
    counts["vertiport"] += n
    counts["pair"] += n * n
    counts["aircraft"] += aircraft


def _add_day(
    parts: dict[str, list[NDArray[Any]]], counts: dict[str, int], row: NDArray[np.int64], instance: AirInstance
) -> None:
    """Append the realised day of an instance."""
    day = instance.day
    assert day is not None
    begin = np.cumsum([0, *map(len, day.arrivals)])
    closures = day.closures[np.argsort(day.closures[:, 2], kind="stable")]
    row[d.FIRST_BEGIN], row[d.FIRST_SECOND] = counts["begin"], counts["second"]
    row[d.FIRST_DELAY], row[d.FIRST_DOWN] = counts["delay"], counts["down"]
    row[d.FIRST_CLOSURE], row[d.CLOSURES] = counts["closure"], len(closures)
    added = {
        "begin": begin,
        "second": np.concatenate(day.arrivals),
        "delay": day.delay,
        "down": day.downtime,
        "closure": closures,
    }
    for name, array in added.items():
        parts[f"given_{name}"].append(np.asarray(array, dtype=np.int64))
        counts[name] += len(array)


def positions(instance: AirInstance) -> NDArray[np.float64]:
    """float64 [n, 2], miles east and north of the vertiports' centroid."""
    latitude, longitude = np.radians(instance.network.latitude), np.radians(instance.network.longitude)
    north, middle = latitude - latitude.mean(), longitude - longitude.mean()
    return EARTH_RADIUS * np.stack([middle * math.cos(float(latitude.mean())), north], axis=1)


def worth(instance: AirInstance) -> NDArray[np.float64]:
    """float64 [n, 48], $ that the coming hour's passengers from each vertiport pay beyond their share of the cost."""
    margin = np.maximum(CENT * instance.fare - instance.cost[:, :, None] / instance.vehicle.seats, 0.0) / DOLLAR
    return (margin * _coming_hour(instance.forecast)).sum(axis=1)


def _coming_hour(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, n, 48], the sum over the four quarter hours from each on."""
    padded = np.concatenate([rate, np.zeros((*rate.shape[:2], 3))], axis=2)
    return np.asarray(padded[:, :, :-3] + padded[:, :, 1:-2] + padded[:, :, 2:-1] + padded[:, :, 3:])


def _series(instance: AirInstance) -> NDArray[np.float32]:
    """float32 [n * n, 64 * 4], expected passengers of a pair both ways and from its destination, and its fare."""
    n, rate = instance.num_vertiports, instance.forecast
    values = np.zeros((n, n, SERIES_ROOM, len(SERIES_FEATURES)))
    values[:, :, :INTERVALS, 0] = rate / RATE_UNIT
    values[:, :, :INTERVALS, 1] = rate.transpose(1, 0, 2) / RATE_UNIT
    values[:, :, :INTERVALS, 2] = rate.sum(axis=1)[None] / RATE_UNIT
    values[:, :, :INTERVALS, 3] = instance.fare / (100.0 * FARE_UNIT)
    return np.minimum(values, MOST_SERIES).reshape(n * n, -1).astype(np.float32)


def tariff(options: AirOptions) -> NDArray[np.int64]:
    """int64 [48], by how many per cent electricity is dearer than flat in each quarter hour."""
    extra = np.zeros(INTERVALS, dtype=np.int64)
    if options.tariff == "peak":
        extra[:CHEAP_UNTIL], extra[DEAR_FROM:] = CHEAP, DEAR
    return extra


def homing_costs(instance: AirInstance) -> NDArray[np.int64]:
    """int64 [n, n], µ$ of the cheapest flights from a vertiport to another (Floyd and Warshall)."""
    cost = np.where(instance.flyable, instance.cost, _NO_WAY)
    np.fill_diagonal(cost, 0)
    for via in range(len(cost)):
        cost = np.minimum(cost, cost[:, via, None] + cost[None, via])
    return np.minimum(cost, _NO_WAY)


def _worst(instance: AirInstance, options: AirOptions) -> int:
    """A profit that no day of legal flights ends below.

    All aircraft always fly what costs most per time, empty, when electricity is dear; they return on the dearest ways;
    all passengers of a day that is as full as there is room for wait in vain.
    """
    vehicle, settings = instance.vehicle, options.settings
    length = vehicle.board + vehicle.unload + instance.cruise[instance.flyable]
    cost = instance.cost[instance.flyable] * (100 + DEAR) // 100
    rate, most = float((cost / length).max()), int(cost.max())
    each = math.ceil(rate * instance.horizon) + most
    if settings.home:
        each += int(homing_costs(instance).max())
    unserved = settings.lost_cost + settings.wait_cost * instance.patience // 3600 + 1
    return -instance.num_aircraft * each - unserved * most_arrivals(instance, options.noise)


def _reward_scale(instance: AirInstance) -> int:
    """µ$ that count as one unit of reward."""
    fares = float((instance.forecast * instance.fare).sum()) * CENT
    if fares == 0.0:  # nothing is forecast: the fares of full flights do
        fares = float(instance.fare.max()) * CENT * instance.vehicle.seats * instance.num_aircraft
    return max(round(fares / _TOLD), 1)
