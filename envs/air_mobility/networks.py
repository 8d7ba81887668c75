"""The four named networks, random ones, and how far vertiports are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UnknownNameError
from ..core.random import mix, uniform
from .demand import AIRPORT, BUSINESS, RESIDENTIAL
from .instance import AirNetwork
from .vehicles import CAPTAIN, Vehicle

EARTH_RADIUS = 3958.7613
"""Miles."""
STANDS, CHARGERS = 8, 4
DELAY_AIRPORT, DELAY_ELSEWHERE = 240, 120
"""Mean take-off delay, s."""

_KINDS = {"A": AIRPORT, "B": BUSINESS, "R": RESIDENTIAL}
# id, kind, mass, latitude, longitude; a star marks a vertiport without chargers. Coordinates from the public-domain
# data that PyPI's `airportsdata` collects (MIT); those of DTLA, EMB, JRB, JRA and 49T are approximate.
_PLACES: Mapping[str, tuple[tuple[str, str, float, float, float], ...]] = {
    "la8": (
        ("LAX", "A", 1.2, 33.9425, -118.4080),
        ("SMO*", "B", 1.0, 34.0158, -118.4513),
        ("BUR", "R", 0.8, 34.2007, -118.3587),
        ("VNY", "R", 0.9, 34.2098, -118.4900),
        ("LGB", "R", 0.8, 33.8179, -118.1519),
        ("SNA", "B", 0.7, 33.6757, -117.8682),
        ("EMT", "R", 0.7, 34.0860, -118.0348),
        ("DTLA*", "B", 1.3, 34.0560, -118.2365),
    ),
    "sf8": (
        ("SFO", "A", 1.2, 37.6188, -122.3754),
        ("OAK", "A", 0.7, 37.7213, -122.2212),
        ("SJC", "B", 0.9, 37.3630, -121.9286),
        ("PAO*", "B", 1.0, 37.4611, -122.1150),
        ("HWD", "R", 0.7, 37.6589, -122.1217),
        ("CCR", "R", 0.8, 37.9897, -122.0569),
        ("LVK", "R", 0.6, 37.6934, -121.8204),
        ("EMB*", "B", 1.4, 37.7955, -122.3937),
    ),
    "nyc8": (
        ("JFK", "A", 1.3, 40.6399, -73.7787),
        ("LGA", "A", 0.8, 40.7772, -73.8726),
        ("EWR", "A", 1.0, 40.6925, -74.1687),
        ("TEB", "R", 0.7, 40.8501, -74.0608),
        ("HPN", "R", 0.8, 41.0670, -73.7076),
        ("FRG", "R", 0.8, 40.7293, -73.4134),
        ("JRB*", "B", 1.4, 40.7012, -74.0090),
        ("JRA*", "B", 1.3, 40.7545, -74.0070),
    ),
    "dfw8": (
        ("DFW", "A", 1.3, 32.8972, -97.0377),
        ("DAL", "A", 0.8, 32.8459, -96.8509),
        ("ADS*", "B", 0.8, 32.9686, -96.8365),
        ("FTW", "B", 0.8, 32.8198, -97.3624),
        ("AFW", "R", 0.6, 32.9903, -97.3194),
        ("GKY", "R", 0.8, 32.6639, -97.0943),
        ("TKI", "R", 0.8, 33.1771, -96.5888),
        ("49T*", "B", 1.3, 32.7732, -96.8003),
    ),
}
NETWORKS = tuple(_PLACES)


def distances(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [n, n], great-circle distances in cmi."""
    phi, theta = np.radians(latitude), np.radians(longitude)
    half = np.sin((phi[:, None] - phi[None, :]) / 2.0) ** 2
    half = half + np.cos(phi)[:, None] * np.cos(phi)[None, :] * np.sin((theta[:, None] - theta[None, :]) / 2.0) ** 2
    return np.rint(200.0 * EARTH_RADIUS * np.arcsin(np.sqrt(half))).astype(np.int64)


@cache
def network(name: str, stands: int = STANDS) -> AirNetwork:
    """A named network.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in _PLACES:
        raise UnknownNameError("network", name, NETWORKS)
    rows = _PLACES[name]
    latitude, longitude = np.array([row[3] for row in rows]), np.array([row[4] for row in rows])
    kind = np.array([_KINDS[row[1]] for row in rows], dtype=np.int64)
    return AirNetwork(
        name=name,
        ids=tuple(row[0].rstrip("*") for row in rows),
        latitude=latitude,
        longitude=longitude,
        kind=kind,
        mass=np.array([row[2] for row in rows]),
        stands=np.full(len(rows), stands, dtype=np.int64),
        chargers=np.array([0 if row[0].endswith("*") else CHARGERS for row in rows], dtype=np.int64),
        delay_mean=np.where(kind == AIRPORT, DELAY_AIRPORT, DELAY_ELSEWHERE),
        distance=distances(latitude, longitude),
    )


# --- random networks --------------------------------------------------------------------------------------------------

RANDOM_TAG = 0x6169726D6F62
SIDE, LEAST_APART = 40.0, 400
"""Of the square that random vertiports lie in, miles; how far they are apart at least, cmi."""
_CENTRE = (34.0, -118.0)
_STREAM_X, _STREAM_Y, _STREAM_KIND, _STREAM_MASS, _STREAM_CHARGER = range(5)
_TRIES = 10_000


def random_network(size: int, seed: int, stands: int, chargers: int, vehicle: Vehicle = CAPTAIN) -> AirNetwork:
    """A random network: vertiports uniform in a square, drawn anew until the vehicle can serve all of them.

    Every two are 4 miles apart or more, each reaches a charger and is reached from one; the chances of the kinds are
    0.2, 0.3 and 0.5, with a business and a residential one at least; masses are uniform in [0.6, 1.4]; a quarter of
    them, rounded down, has no chargers.
    """
    key = int(mix(np.uint64(seed) ^ np.uint64(RANDOM_TAG)))
    for attempt in range(_TRIES):
        made = _draw_network(f"rand{size}-{seed}", size, key, attempt, stands, chargers)
        if made is not None and serves(made, vehicle):
            return made
    raise AssertionError(f"no network of {size} vertiports found")  # the checks of sizes leave none such


def serves(made: AirNetwork, vehicle: Vehicle) -> bool:
    """Whether a vehicle can fly from every vertiport to one with chargers and back, and within `flyable`."""
    fly = made.flyable(vehicle)
    charged = made.chargers > 0
    return bool(fly[:, charged].any(axis=1).all() and fly[charged].any(axis=0).all())


def _draw_network(name: str, size: int, key: int, attempt: int, stands: int, chargers: int) -> AirNetwork | None:
    def drawn(stream: int, index: int, again: int = 0) -> float:
        return float(uniform(np.uint64(key), attempt, stream, index, again))

    latitude, longitude = np.zeros(size), np.zeros(size)
    for v in range(size):
        for again in range(200):
            x, y = SIDE * drawn(_STREAM_X, v, again), SIDE * drawn(_STREAM_Y, v, again)
            latitude[v] = round(_CENTRE[0] + math.degrees(y / EARTH_RADIUS), 4)
            longitude[v] = round(
                _CENTRE[1] + math.degrees(x / EARTH_RADIUS) / math.cos(math.radians(_CENTRE[0] + 0.3)), 4
            )
            if v == 0 or distances(latitude[: v + 1], longitude[: v + 1])[v, :v].min() >= LEAST_APART:
                break
        else:
            return None
    pick = np.array([drawn(_STREAM_KIND, v) for v in range(size)])
    kind = np.where(pick < 0.2, AIRPORT, np.where(pick < 0.5, BUSINESS, RESIDENTIAL))
    if not (BUSINESS in kind and RESIDENTIAL in kind):
        return None
    without = np.argsort([drawn(_STREAM_CHARGER, v) for v in range(size)])[: size // 4]
    plugs = np.full(size, chargers, dtype=np.int64)
    plugs[without] = 0
    return AirNetwork(
        name=name,
        ids=tuple(f"V{v:02d}" for v in range(size)),
        latitude=latitude,
        longitude=longitude,
        kind=kind.astype(np.int64),
        mass=np.array([round(0.6 + 0.8 * drawn(_STREAM_MASS, v), 2) for v in range(size)]),
        stands=np.full(size, stands, dtype=np.int64),
        chargers=plugs,
        delay_mean=np.where(kind == AIRPORT, DELAY_AIRPORT, DELAY_ELSEWHERE),
        distance=distances(latitude, longitude),
    )
