"""What is known of a fleet's day at a decision, read off an imagined copy of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility import state as d
from ...envs.air_mobility.instance import AirInstance
from ...envs.core.engine import BatchEngine


@dataclass(frozen=True)
class Present:
    """What an operator knows now; n vertiports, M aircraft. Times in s, energies in J.

    Attributes:
        now: the clock.
        place: int64 [M], where each aircraft is or flies to.
        ready: int64 [M], when it is expected to decide next.
        energy: int64 [M], that it is expected to have then.
        occupied: int64 [n], stands that are taken or reserved.
        leaves: rows (vertiport, time): whoever boards is expected to leave its stand then.
        closed_until: int64 [n * n], the announced end of a closure; 0 for open.
        waiting: n * n arrays: since when each passenger waits.
    """

    now: int
    place: NDArray[np.int64]
    ready: NDArray[np.int64]
    energy: NDArray[np.int64]
    occupied: NDArray[np.int64]
    leaves: list[tuple[int, int]]
    closed_until: NDArray[np.int64]
    waiting: list[NDArray[np.int64]]


def present_of(engine: BatchEngine, copy: int, instance: AirInstance, noise: float) -> Present:
    """The present of an imagined engine's copy.

    Nothing that `imagine` has drawn is read: whoever boards is expected to leave after the mean delay.

    Args:
        instance: that the copy plays.
        noise: the environment's factor of the uncertainty.
    """
    clock, state = engine.state.clock[copy], engine.state
    now, n, fleet = int(clock[d.TIME]), instance.num_vertiports, instance.num_aircraft
    aircraft = state.aircraft[copy, :fleet]
    vehicle = instance.vehicle
    place, phase = aircraft[:, d.PLACE].copy(), aircraft[:, d.PHASE]
    plugged = aircraft[:, d.SINCE] >= 0
    ready, leaves = np.where(phase == d.FLIES, aircraft[:, d.READY], aircraft[:, d.NEXT]), []
    for a in np.flatnonzero(phase == d.BOARDS).tolist():
        origin = int(aircraft[a, d.ORIGIN])
        delay = round(noise * int(instance.network.delay_mean[origin]))
        wished = int(aircraft[a, d.DECIDED]) + vehicle.board
        entry = max(wished + delay, int(aircraft[a, d.BEFORE]) + instance.separation, now)
        ready[a] = entry + instance.cruise[origin, place[a]] + vehicle.unload
        leaves.append((origin, entry))
    charging = np.where(plugged, np.maximum(ready - aircraft[:, d.SINCE], 0) * vehicle.charge_power, 0)
    pairs = state.pair[copy, : n * n]
    second = state.second[copy]
    return Present(
        now,
        place,
        ready,
        np.minimum(aircraft[:, d.STORED] + charging, vehicle.battery),
        state.vertiport[copy, :n, d.OCCUPIED].copy(),
        leaves,
        pairs[:, d.CLOSED_UNTIL].copy(),
        [second[head:tail].astype(np.int64) for head, tail in pairs[:, [d.HEAD, d.TAIL]].tolist()],
    )
