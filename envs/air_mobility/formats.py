"""Files of urban air mobility that are shared: networks, realised days, and logs of days as JSON lines.

A network is an object ``{"format": "airmobility-net/1", "name", "vertiports", "d", "params"}``, a day one of
``airmobility-day/1`` with its network in it. Pairs and places are given by the vertiports' codes. See
``docs/environments/air_mobility.md``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError, UnknownNameError, UserError
from ..core.files import atomic_write, decode_text, read_bounded
from ..core.instance import parse_json, require_integer, require_keys, require_list
from .instance import DOWNTIMES, HORIZON, MAX_AIRCRAFT, AirDay, AirInstance, AirNetwork
from .vehicles import Vehicle

NETWORK_FORMAT, DAY_FORMAT = "airmobility-net/1", "airmobility-day/1"
LOG_KEYS = ("t", "a", "from", "to", "boarded", "entry", "corridor", "ready", "e0", "e1", "reward")
"""Of a decision: when, which aircraft, places, passengers, corridor entry and corridor (-1: stay), when it decides next
or is ready, J before and after, micro-dollars."""
CHARGE_KEYS = ("a", "v", "t0", "t1", "J")
"""Of a charge interval: which aircraft, where, from when to when, J gained."""

_PLACES = ("from", "to", "v")
_RULES = ("horizon", "corridors", "separation", "patience_corridor", "patience")
_NETWORK_KEYS = ("format", "name", "vertiports", "d", "params")
_DAY_KEYS = (
    "format", "net", "network", "name", "seed", "load", "passengers", "noise", "forecast", "fare_cents", "arrivals",
    "delay", "closures", "downtime", "start",
)  # fmt: skip
_MOST = 2**62
_MOST_DISTANCE = 1_000_000
_LONGEST_PLACE = 120

Made = TypeVar("Made")


class NetworkFile(NamedTuple):
    """What a network's file holds.

    Attributes:
        rules: horizon, corridors, separation and patiences, where the file gives them.
        aircraft: how many fly, where the file says so.
    """

    network: AirNetwork
    vehicle: Vehicle
    rules: dict[str, int]
    aircraft: int | None


def load(path: str | Path) -> AirInstance | NetworkFile:
    """Read a network, a day, or an instance in our form; the content says which.

    Raises:
        UserError: the file cannot be read, or something in it is malformed.
    """
    data, source = _parse(path), str(path)
    form = data.get("format") if isinstance(data, dict) else None
    if form == NETWORK_FORMAT:
        return read_network(data, source)
    return read_day(data, source) if form == DAY_FORMAT else AirInstance.from_dict(data, source)


# --- networks ---------------------------------------------------------------------------------------------------------


def network_document(network: AirNetwork, vehicle: Vehicle, **rules: int) -> dict[str, Any]:
    """A network as plain data for JSON.

    Args:
        rules: horizon, corridors, separation and patiences, where they are not the usual ones, and aircraft.
    """
    return {"format": NETWORK_FORMAT, **network.to_dict(), "params": {"vehicle": vehicle.to_dict(), **rules}}


def read_network(data: object, source: str | None = None) -> NetworkFile:
    """What `network_document` wrote; `source` (a path) begins the messages.

    Raises:
        UserError: a field is missing, unknown or malformed.
    """
    document = _document("the network", data, NETWORK_FORMAT, _NETWORK_KEYS, source)
    params = require_keys("params", document["params"], ("vehicle",), (*_RULES, "aircraft"), source)
    rows = require_list("vertiports", document["vertiports"], source)
    codes = [row.get("id") if isinstance(row, dict) else None for row in rows]
    for v, code in enumerate(codes):
        if isinstance(code, str) and "-" in code:
            raise FieldError(f"vertiports[{v}] id", code, "a code without '-', which stands between two", source)
    _check_distances(document["d"], codes, source)
    network = AirNetwork.from_dict({key: document[key] for key in ("name", "vertiports", "d")}, source)
    vehicle = Vehicle.from_dict(params.pop("vehicle"), source)
    aircraft = params.pop("aircraft", None)
    if aircraft is not None:
        aircraft = require_integer("params.aircraft", aircraft, 1, MAX_AIRCRAFT, source)
    rules = {name: require_integer(f"params.{name}", value, 0, HORIZON, source) for name, value in params.items()}
    return NetworkFile(network, vehicle, rules, aircraft)


def _check_distances(data: object, codes: Sequence[Any], source: str | None) -> None:
    """Every pair must have one, from a vertiport to itself it is 0."""
    rows = require_list("d", data, source)
    if len(rows) != len(codes):
        raise FieldError("d", f"{len(rows)} rows", f"{len(codes)}, one from each vertiport", source)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(codes):
            value = row if not isinstance(row, list) else f"{len(row)} distances"
            raise FieldError(f"d[{i}] (from {codes[i]})", value, f"{len(codes)}, one to each vertiport", source)
        for j, miles in enumerate(row):
            low, high = (0, 0) if i == j else (1, _MOST_DISTANCE)
            require_integer(f"d[{i}][{j}] ({codes[i]} to {codes[j]})", miles, low, high, source)


def save_network(network: AirNetwork, vehicle: Vehicle, path: str | Path, **rules: int) -> None:
    """Write a network's file, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    atomic_write(path, json.dumps(network_document(network, vehicle, **rules)) + "\n")


def network_hash(document: dict[str, Any]) -> str:
    """SHA-256 of a network's document as canonical JSON (sorted keys, no spaces, ASCII)."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# --- days -------------------------------------------------------------------------------------------------------------


def day_document(instance: AirInstance, day: AirDay) -> dict[str, Any]:
    """An instance with what a day brought to it, as plain data for JSON."""
    ids, n = instance.network.ids, instance.num_vertiports
    rules = {name: getattr(instance, name) for name in _RULES}
    network = network_document(instance.network, instance.vehicle, **rules)
    pairs = {f"{ids[p // n]}-{ids[p % n]}": times.tolist() for p, times in enumerate(day.arrivals) if p // n != p % n}
    down = [[a, k, int(day.downtime[a, k])] for a, k in np.argwhere(day.downtime).tolist()]
    start = zip(instance.start_vertiport.tolist(), instance.start_energy.tolist(), strict=True)
    return {
        "format": DAY_FORMAT,
        "net": {"name": instance.network.name, "sha256": network_hash(network)},
        "network": network,
        "name": instance.name,
        "seed": day.seed,
        "load": instance.load,
        "passengers": instance.passengers,
        "noise": day.noise,
        "forecast": instance.forecast.tolist(),
        "fare_cents": instance.fare.tolist(),
        "arrivals": pairs,
        "delay": day.delay.tolist(),
        "closures": [[ids[i], ids[j], first, length] for i, j, first, length in day.closures.tolist()],
        "downtime": down,
        "start": [[ids[v], energy] for v, energy in start],
    }


def read_day(data: object, source: str | None = None) -> AirInstance:
    """The instance, with its day, of `day_document`; `source` (a path) begins the messages.

    Raises:
        UserError: a field is missing, unknown or malformed, or the network is not the one that `net` names.
    """
    document = _document("the day", data, DAY_FORMAT, _DAY_KEYS, source)
    network, vehicle, rules, aircraft = read_network(document["network"], source)
    net = require_keys("net", document["net"], ("name", "sha256"), (), source)
    for key, found in (("name", network.name), ("sha256", network_hash(document["network"]))):
        if net[key] != found:
            raise FieldError(f"net.{key}", net[key], f"{found!r}, as the network in the file has", source)
    start = _rows("start", document["start"], 2, "[vertiport, J]", source)
    if aircraft not in (None, len(start)):
        raise FieldError("start", f"{len(start)} aircraft", f"{aircraft}, as the network's params.aircraft", source)
    at = [_place(f"start[{a}]", row[0], network.ids, source) for a, row in enumerate(start)]
    energy = [require_integer(f"start[{a}] J", row[1], 0, vehicle.battery, source) for a, row in enumerate(start)]
    day = AirDay(
        _read_arrivals(document["arrivals"], network.ids, source),
        document["delay"],
        _read_closures(document["closures"], network.ids, source),
        _read_downtime(document["downtime"], len(start), source),
        document["seed"],
        document["noise"],
    )
    return _located(
        source,
        lambda: AirInstance(
            document["name"],
            network,
            vehicle,
            document["load"],
            document["passengers"],
            document["forecast"],
            document["fare_cents"],
            np.array(at, dtype=np.int64),
            np.array(energy, dtype=np.int64),
            day=day,
            **rules,
        ),
    )


def save_day(instance: AirInstance, day: AirDay, path: str | Path) -> None:
    """Write a day's file, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    atomic_write(path, json.dumps(day_document(instance, day)) + "\n")


def _read_arrivals(data: object, ids: Sequence[str], source: str | None) -> tuple[Any, ...]:
    """By index i * n + j; every pair must be there."""
    n = len(ids)
    codes = {f"{ids[i]}-{ids[j]}": i * n + j for i in range(n) for j in range(n) if i != j}
    given = require_keys("arrivals", data, list(codes), (), source)
    found: list[Any] = [[] for _ in range(n * n)]
    for code, pair in codes.items():
        found[pair] = np.array(
            [
                require_integer(f"arrivals.{code}[{p}]", t, 0, HORIZON - 1, source)
                for p, t in enumerate(require_list(f"arrivals.{code}", given[code], source))
            ],
            dtype=np.int64,
        )
    return tuple(found)


def _read_closures(data: object, ids: Sequence[str], source: str | None) -> NDArray[np.int64]:
    form = "[vertiport, vertiport, first half hour, half hours]"
    rows = []
    for c, (i, j, first, length) in enumerate(_rows("closures", data, 4, form, source)):
        ends = sorted(_place(f"closures[{c}]", v, ids, source) for v in (i, j))
        begins = require_integer(f"closures[{c}] first half hour", first, 0, 23, source)
        rows.append([*ends, begins, require_integer(f"closures[{c}] half hours", length, 1, 24, source)])
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _read_downtime(data: object, fleet: int, source: str | None) -> NDArray[np.int64]:
    table = np.zeros((fleet, DOWNTIMES), dtype=np.int64)
    for c, (a, k, seconds) in enumerate(_rows("downtime", data, 3, "[aircraft, landing, seconds]", source)):
        where = (
            require_integer(f"downtime[{c}] aircraft", a, 0, fleet - 1, source),
            require_integer(f"downtime[{c}] landing", k, 0, DOWNTIMES - 1, source),
        )
        table[where] = require_integer(f"downtime[{c}] seconds", seconds, 0, HORIZON, source)
    return table


# --- logs -------------------------------------------------------------------------------------------------------------


def row_documents(table: NDArray[np.int64], keys: Sequence[str], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of decisions (`LOG_KEYS`) or of charges (`CHARGE_KEYS`) as plain data, places by their codes."""
    return [
        {key: ids[value] if key in _PLACES else value for key, value in zip(keys, row, strict=True)}
        for row in table.tolist()
    ]


def log_lines(decisions: NDArray[np.int64], charges: NDArray[np.int64], ids: Sequence[str]) -> str:
    """The log of a day, an object a line: the decisions in their order, then the charge intervals."""
    rows = [*row_documents(decisions, LOG_KEYS, ids), *row_documents(charges, CHARGE_KEYS, ids)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def read_log_lines(
    text: str, ids: Sequence[str], source: str = "the log"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decisions int64 [D, 11] and charges int64 [C, 5] of `log_lines`; `source` begins the messages.

    Raises:
        UserError: a line is malformed.
    """
    tables: tuple[list[list[int]], list[list[int]]] = ([], [])
    for number, line in _lines(text):
        where = f"line {number}"
        row = parse_json(line, f"{source}: {where}")
        is_charge = isinstance(row, dict) and "J" in row
        keys = CHARGE_KEYS if is_charge else LOG_KEYS
        tables[is_charge].append(_read_row(where, row, keys, ids, source))
    decisions, charges = tables
    return (
        np.array(decisions, dtype=np.int64).reshape(-1, len(LOG_KEYS)),
        np.array(charges, dtype=np.int64).reshape(-1, len(CHARGE_KEYS)),
    )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line


def _read_row(field: str, row: object, keys: Sequence[str], ids: Sequence[str], source: str | None) -> list[int]:
    entry = require_keys(field, row, keys, (), source)
    return [
        _place(f"{field}.{key}", entry[key], ids, source)
        if key in _PLACES
        else require_integer(f"{field}.{key}", entry[key], -_MOST, _MOST, source)
        for key in keys
    ]


# --- reading ----------------------------------------------------------------------------------------------------------


def _parse(path: str | Path) -> Any:
    source = str(path)
    text = decode_text(read_bounded(path), source)
    try:
        return parse_json(text, source)
    except UserError:
        for where, value in _not_finite(text):
            shown = where if len(where) <= _LONGEST_PLACE else f"...{where[3 - _LONGEST_PLACE :]}"
            raise FieldError(shown, value, "a finite number", source) from None
        raise


def _not_finite(text: str) -> Iterator[tuple[str, float]]:
    """Where in a text that is JSON but for its numbers there is NaN or infinity."""
    try:
        level: list[tuple[str, Any]] = [("", json.loads(text))]
    except (ValueError, RecursionError):
        return
    while level:
        where, value = level.pop()
        if isinstance(value, dict):
            level += [(f"{where}.{key}" if where else str(key), each) for key, each in reversed(value.items())]
        elif isinstance(value, list):
            level += [(f"{where}[{k}]", value[k]) for k in reversed(range(len(value)))]
        elif isinstance(value, float) and not math.isfinite(value):
            yield where, value


def _document(what: str, data: object, form: str, keys: Sequence[str], source: str | None) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise FieldError(what, data, "an object", source)
    if data.get("format") != form:
        raise FieldError("format", data.get("format"), repr(form), source)
    return require_keys(what, data, keys, (), source)


def _rows(field: str, data: object, width: int, form: str, source: str | None) -> list[list[Any]]:
    rows = require_list(field, data, source)
    for r, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            raise FieldError(f"{field}[{r}]", row, form, source)
    return rows


def _place(field: str, code: object, ids: Sequence[str], source: str | None) -> int:
    if not isinstance(code, str):
        raise FieldError(field, code, "a vertiport's code", source)
    if code not in ids:
        raise UnknownNameError(f"vertiport in {source + ': ' if source else ''}{field}:", code[:80], ids)
    return ids.index(code)


def _located(source: str | None, make: Callable[[], Made]) -> Made:
    """What `make` makes, with the file's name in its errors."""
    try:
        return make()
    except FieldError as error:
        raise FieldError(error.field, error.value, error.expected, error.source or source) from None
