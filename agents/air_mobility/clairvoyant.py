"""The flow model of a whole day that is known beforehand, and the bound on what any fleet can earn on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import DELAY_SLOT, HALF_HOUR, AirDay, AirInstance
from .flow import SLOT, FlowProblem, SlotModel

KWH = 3_600_000
"""Joules in a kilowatt-hour."""
MICRO = 1e-6
"""$ in a µ$."""
INTERVAL = 900
"""Of forecast and fares, s."""


def day_problem(instance: AirInstance, day: AirDay) -> FlowProblem:
    """A relaxation of a day: each feasible day of the fleet is a point of it, with the same profit.

    Times are rounded down to slots, aircraft may wait by the slot, corridors never hold anybody up and nobody is ever
    down; batteries of one vertiport and slot are pooled.
    """
    slots = -(-instance.horizon // SLOT)
    vehicle = instance.vehicle
    pairs = np.argwhere(instance.flyable)
    origin, destination = pairs.T
    times = SLOT * np.arange(slots)
    delay = day.delay[origin][:, times // DELAY_SLOT]
    cruise = instance.cruise[origin, destination][:, None]
    in_time = times[None, :] + vehicle.board + cruise + vehicle.unload <= instance.horizon
    counts, most = _arrivals(instance, day, pairs, slots)
    cohort_pair, cohort_first = np.nonzero(counts)
    ready, ready_energy = np.zeros((2, instance.num_vertiports, slots))
    np.add.at(ready[:, 0], instance.start_vertiport, 1.0)
    np.add.at(ready_energy[:, 0], instance.start_vertiport, instance.start_energy / KWH)
    energy = instance.energy[origin, destination] / KWH
    return FlowProblem(
        pairs=pairs,
        block=(vehicle.board + delay + cruise + vehicle.unload) // SLOT,
        release=np.zeros((len(pairs), slots), dtype=np.int64),
        allowed=in_time & open_slots(day.closures, pairs, slots),
        fare=instance.fare[origin, destination][:, times // INTERVAL] / 100.0,
        seats=np.minimum(vehicle.seats, most).astype(np.float64),
        cost=instance.cost[origin, destination] * MICRO,
        energy=energy,
        need=energy + (vehicle.reserve + instance.escape[destination]) / KWH,
        battery=vehicle.battery / KWH,
        charge=vehicle.charge_power * SLOT / KWH,
        stands=instance.network.stands,
        chargers=instance.network.chargers,
        occupied=np.bincount(instance.start_vertiport, minlength=instance.num_vertiports),
        ready=ready,
        ready_energy=ready_energy,
        cohort_pair=cohort_pair,
        cohort_first=cohort_first,
        cohort_last=cohort_first - (-instance.patience // SLOT),
        cohort_size=counts[cohort_pair, cohort_first].astype(np.float64),
    )


def day_bound(instance: AirInstance, day: AirDay) -> float:
    """What no fleet earns more than on a day, not even with whoever knows it beforehand, $.

    Raises:
        MissingExtraError: HiGHS is not installed.
    """
    return SlotModel(day_problem(instance, day)).solve(method="ipm").bound


def open_slots(closures: NDArray[np.int64], pairs: NDArray[np.int64], slots: int) -> NDArray[np.bool_]:
    """bool [P, T], in which slots pairs are open."""
    result = np.ones((len(pairs), slots), dtype=np.bool_)
    half = HALF_HOUR // SLOT
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    for i, j, start, length in closures.tolist():
        result[(low == i) & (high == j), half * start : half * (start + length)] = False
    return result


def _arrivals(
    instance: AirInstance, day: AirDay, pairs: NDArray[np.int64], slots: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64 [P, T] twice: who arrives in each slot, and the most that wait at any second of it if nobody is served."""
    n = instance.num_vertiports
    counts, most = np.zeros((2, len(pairs), slots), dtype=np.int64)
    for p, (i, j) in enumerate(pairs.tolist()):
        seconds = day.arrivals[i * n + j]
        counts[p] = np.bincount(seconds // SLOT, minlength=slots)
        # The number that wait peaks at an arrival, or at the first second of a slot.
        moments = np.concatenate([seconds, SLOT * np.arange(slots)])
        waiting = np.searchsorted(seconds, moments, side="right") - np.searchsorted(
            seconds, moments - instance.patience
        )
        np.maximum.at(most[p], moments // SLOT, waiting)
    return counts, most
