"""The flow model of a whole day that is known beforehand, and the bound on what any fleet can earn on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import DELAY_SLOT, HALF_HOUR, AirDay, AirInstance
from ...envs.air_mobility.options import AirOptions
from .cuts import tighten
from .flow import SLOT, FlowProblem, SlotModel
from .parts import KWH, in_time, instance_parts

CUT_ROUNDS = 5


def day_problem(instance: AirInstance, day: AirDay, options: AirOptions | None = None) -> FlowProblem:
    """A relaxation of a day: each feasible day of the fleet is a point of it, with the same profit.

    Times are rounded down to slots, aircraft may wait by the slot, corridors never hold anybody up and nobody is ever
    down; the batteries of one vertiport and slot are pooled; waiting, losing and homing cost nothing.
    """
    slots, vehicle = -(-instance.horizon // SLOT), instance.vehicle
    times = SLOT * np.arange(slots)
    parts = instance_parts(instance, options or AirOptions(), times)
    pairs = parts["pairs"]
    origin, destination = pairs.T
    delay = day.delay[origin][:, times // DELAY_SLOT]
    cruise = instance.cruise[origin, destination][:, None]
    counts, most = _arrivals(instance, day, pairs, slots)
    come = np.cumsum(counts, axis=1).astype(np.float64)
    gone, patience = np.zeros_like(come), -(-instance.patience // SLOT)
    gone[:, patience:] = come[:, : max(slots - patience, 0)]
    ready, ready_energy = np.zeros((2, instance.num_vertiports, slots))
    np.add.at(ready[:, 0], instance.start_vertiport, 1.0)
    np.add.at(ready_energy[:, 0], instance.start_vertiport, instance.start_energy / KWH)
    return FlowProblem(
        **parts,
        block=(vehicle.board + delay + cruise + vehicle.unload) // SLOT,
        release=np.zeros((len(pairs), slots), dtype=np.int64),
        allowed=in_time(instance, pairs, times) & open_slots(day.closures, pairs, slots),
        seats=np.minimum(vehicle.seats, most).astype(np.float64),
        occupied=np.bincount(instance.start_vertiport, minlength=instance.num_vertiports),
        freed=np.zeros_like(ready),
        ready=ready,
        ready_energy=ready_energy,
        come=come,
        gone=gone,
    )


def day_bound(instance: AirInstance, day: AirDay, options: AirOptions | None = None) -> float:
    """What no fleet earns more than on a day, not even with whoever knows it beforehand, $: the linear program's value.

    Raises:
        MissingExtraError: HiGHS is not installed.
    """
    return SlotModel(day_problem(instance, day, options)).solve(method="ipm").bound


def tight_bound(
    instance: AirInstance, day: AirDay, options: AirOptions | None = None, rounds: int = CUT_ROUNDS
) -> float:
    """As `day_bound`, and lower: stands stay taken up to the corridor's entry, and flights are whole to some degree.

    Args:
        rounds: how often inequalities for whole flights are added and the program is solved anew.
    """
    problem = day_problem(instance, day, options)
    slots = problem.allowed.shape[1]
    delay = day.delay[problem.pairs[:, 0]][:, SLOT * np.arange(slots) // DELAY_SLOT]
    model = SlotModel(replace(problem, release=(instance.vehicle.board + delay) // SLOT))
    plan = model.solve(method="ipm")
    for _ in range(rounds):
        if tighten(model, plan, -(-instance.patience // SLOT), instance.vehicle.seats) == 0:
            break
        plan = model.solve(method="ipm")
    return plan.bound


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
