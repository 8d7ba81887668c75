"""The demand that is forecast for each pair of vertiports and quarter hour, and the fare that follows from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INTERVALS, INTERVAL = 48, 900
"""Quarter hours of a day, and their length in s; the day begins at 06:00."""
LOADS = {"low": 1200, "medium": 2400, "high": 4800}
"""Passengers a day of 40 aircraft."""
AIRPORT, BUSINESS, RESIDENTIAL = range(3)

_SCALE_MILES = 12.0
_BASE = 0.4
_MORNING, _MORNING_WIDTH, _EVENING, _EVENING_WIDTH = 8.0, 1.0, 16.5, 1.25
_FIRST_HOUR = 6.0
# Height of the morning and the evening peak by the kinds of origin and destination.
_PEAKS = {
    (RESIDENTIAL, BUSINESS): (2.5, 0.5),
    (BUSINESS, RESIDENTIAL): (0.5, 2.5),
    (RESIDENTIAL, AIRPORT): (1.2, 0.6),
    (AIRPORT, RESIDENTIAL): (0.6, 1.2),
    (BUSINESS, AIRPORT): (0.6, 1.4),
    (AIRPORT, BUSINESS): (1.4, 0.6),
}
_EQUAL_PEAKS = (0.8, 0.8)

_FARE_BASE, _FARE_MILE, _FARE_DEMAND = 5.0, 0.64, 2.0


def profile(origin: int, destination: int) -> NDArray[np.float64]:
    """float64 [48], how demand between two kinds of vertiports varies through the day."""
    morning, evening = _PEAKS.get((origin, destination), _EQUAL_PEAKS)
    hour = _FIRST_HOUR + (np.arange(INTERVALS) + 0.5) * INTERVAL / 3600.0
    first = morning * np.exp(-0.5 * ((hour - _MORNING) / _MORNING_WIDTH) ** 2)
    return _BASE + first + evening * np.exp(-0.5 * ((hour - _EVENING) / _EVENING_WIDTH) ** 2)


def forecast(
    passengers: float,
    mass: NDArray[np.float64],
    kind: NDArray[np.int64],
    distance: NDArray[np.int64],
    flyable: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """float64 [n, n, 48], expected passengers of each ordered pair and quarter hour.

    Gravity with a distance scale of 12 miles times a profile by kinds, scaled to `passengers` a day.

    Args:
        passengers: a day, of all pairs.
        mass, kind: [n], of each vertiport.
        distance: [n, n], cmi.
        flyable: [n, n]; other pairs have no demand.
    """
    n = len(mass)
    miles = distance / 100.0
    weight = np.where(flyable, mass[:, None] * mass[None, :] * miles * np.exp(-miles / _SCALE_MILES), 0.0)
    shape = np.array([[profile(int(kind[i]), int(kind[j])) for j in range(n)] for i in range(n)])
    raw = weight[:, :, None] * shape
    total = float(raw.sum())
    return passengers * raw / total if total > 0.0 else raw


def fares(rate: NDArray[np.float64], distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n, n, 48], fare of each ordered pair and quarter hour in cents.

    5 $ + 0.64 $ a mile times max(ln(Q / 2), 1), Q being the forecast passengers per hour.
    """
    hourly = 4.0 * rate
    surge = np.maximum(np.log(np.maximum(hourly, 1e-300) / _FARE_DEMAND), 1.0)
    dollars = _FARE_BASE + _FARE_MILE * (distance / 100.0)[:, :, None] * surge
    cents = np.rint(100.0 * dollars).astype(np.int64)
    cents[np.arange(len(rate)), np.arange(len(rate))] = 0
    return cents


def fares_of_2022(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n, n, 48], cents: 1.5 $ a mile in whole dollars, as in Paul & Chowdhury's public code of 2022."""
    cents = 100 * (3 * distance // 200)
    return np.repeat(cents[:, :, None], INTERVALS, axis=2)
