"""Where every aircraft is at a time of a day, and who waits where: what pictures of a day show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .schedule import (
    AIRCRAFT,
    ARRIVED,
    BOARDED,
    CHARGED_AIRCRAFT,
    DESTINATION,
    ENERGY_AFTER,
    ENERGY_BEFORE,
    ENTRY,
    FROM,
    JOULES,
    LEFT,
    ORIGIN,
    PLUGGED,
    READY,
    TAKEN,
    TIME,
    TO,
    UNPLUGGED,
    AirSchedule,
)

STANDING, BOARDING, FLYING, DOWN = range(4)
"""What an aircraft does: it waits for its next decision, for its corridor, is on its way, or is being repaired."""

_HALF_HOUR = 1800
_LANDINGS = 64


class Moment(NamedTuple):
    """A fleet and its passengers at one time.

    Attributes:
        time: s.
        phase: int64 [M], `STANDING` … `DOWN`.
        origin, destination: int64 [M], of the flight under way or about to begin; else both where it stands.
        progress: float64 [M], the share of the way flown.
        load: int64 [M], passengers aboard.
        energy: float64 [M], J.
        charging: bool [M].
        waiting: int64 [n, n].
        closed: int64 [C, 2], pairs i < j that are closed.
        profit: micro-dollars so far.
        served, lost: passengers so far.
    """

    time: int
    phase: NDArray[np.int64]
    origin: NDArray[np.int64]
    destination: NDArray[np.int64]
    progress: NDArray[np.float64]
    load: NDArray[np.int64]
    energy: NDArray[np.float64]
    charging: NDArray[np.bool_]
    waiting: NDArray[np.int64]
    closed: NDArray[np.int64]
    profit: int
    served: int
    lost: int


class Course:
    """A day that can be looked at at any time up to its end."""

    def __init__(self, schedule: AirSchedule) -> None:
        self.schedule, self.instance = schedule, schedule.instance
        fleet = range(self.instance.num_aircraft)
        self._flights = [schedule.flights[schedule.flights[:, AIRCRAFT] == a] for a in fleet]
        self._energy = [energy_trace(schedule, a) for a in fleet]

    def at(self, time: int) -> Moment:
        """The moment when all that happens at a time has happened."""
        instance, schedule = self.instance, self.schedule
        fleet, n = instance.num_aircraft, instance.num_vertiports
        phase, load = np.zeros(fleet, dtype=np.int64), np.zeros(fleet, dtype=np.int64)
        origin, destination = instance.start_vertiport.copy(), instance.start_vertiport.copy()
        progress, energy = np.zeros(fleet), np.zeros(fleet)
        for a in range(fleet):
            energy[a] = np.interp(time, *self._energy[a])
            row = self._last_flight(a, time)
            if row < 0:
                continue
            _, _, i, j, boarded, entry, _, ready, *_ = self._flights[a][row].tolist()
            origin[a], destination[a] = i, j
            down = int(schedule.day.downtime[a, row]) if row < _LANDINGS else 0
            if time >= ready:
                phase[a], origin[a] = (DOWN if time < ready + down else STANDING), j
                continue
            load[a], phase[a] = boarded, BOARDING if time < entry else FLYING
            cruise = max(ready - instance.vehicle.unload - entry, 1)
            progress[a] = min(max(time - entry, 0) / cruise, 1.0)
        charges = schedule.charges
        goes_on = (time < charges[:, UNPLUGGED]) | (charges[:, UNPLUGGED] == schedule.end)  # it is told up to the end
        charging = np.zeros(fleet, dtype=np.bool_)
        charging[charges[(charges[:, PLUGGED] <= time) & goes_on, CHARGED_AIRCRAFT]] = True
        charging &= energy < instance.vehicle.battery
        passengers = schedule.passengers
        come, taken, left = (passengers[:, column] for column in (ARRIVED, TAKEN, LEFT))
        gone = ((taken >= 0) & (taken <= time)) | ((left >= 0) & (left < time))
        waiting = np.zeros((n, n), dtype=np.int64)
        still = passengers[(come <= time) & ~gone]
        np.add.at(waiting, (still[:, ORIGIN], still[:, DESTINATION]), 1)
        decided = schedule.decisions[schedule.decisions[:, TIME] <= time]
        return Moment(
            time, phase, origin, destination, progress, load, energy, charging, waiting, self._closed(time),
            int(decided[:, -1].sum()), int(decided[:, BOARDED].sum()), int(((left >= 0) & (left < time)).sum()),
        )  # fmt: skip

    def longest_queue(self, step: int) -> int:
        """The most passengers who wait at one vertiport, of moments so many seconds apart."""
        passengers, longest = self.schedule.passengers, 0
        until = np.where(passengers[:, TAKEN] >= 0, passengers[:, TAKEN], self.schedule.end + 1)
        until = np.where(passengers[:, LEFT] >= 0, passengers[:, LEFT], until)
        for time in range(0, self.schedule.end + 1, step):
            here = passengers[(passengers[:, ARRIVED] <= time) & (time < until), ORIGIN]
            longest = max(longest, int(np.bincount(here, minlength=1).max()))
        return longest

    def _last_flight(self, a: int, time: int) -> int:
        return int(np.searchsorted(self._flights[a][:, TIME], time, "right")) - 1

    def _closed(self, time: int) -> NDArray[np.int64]:
        half = time // _HALF_HOUR
        rows = [(i, j) for i, j, first, length in self.schedule.day.closures.tolist() if first <= half < first + length]
        return np.array(sorted(set(rows)), dtype=np.int64).reshape(-1, 2)


def energy_trace(schedule: AirSchedule, a: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in s and energies in J of an aircraft, to be joined by lines: it is spent while cruising.

    Under tapered charging the lines bend only where something is decided.
    """
    energy = int(schedule.instance.start_energy[a])
    points = [(0, energy)]
    decisions = schedule.decisions[schedule.decisions[:, AIRCRAFT] == a]
    charges = schedule.charges[schedule.charges[:, CHARGED_AIRCRAFT] == a]
    events = [(row[PLUGGED], 0, row) for row in charges.tolist()] + [(row[TIME], 1, row) for row in decisions.tolist()]
    for time, is_decision, row in sorted(events):
        if not is_decision:
            points += [(time, energy), (row[UNPLUGGED], energy + row[JOULES])]
            energy += row[JOULES]
        elif row[FROM] == row[TO]:
            points.append((time, row[ENERGY_BEFORE]))
        else:
            energy = row[ENERGY_AFTER]
            points += [(time, row[ENERGY_BEFORE]), (row[ENTRY], row[ENERGY_BEFORE]), (row[READY], energy)]
    points.sort(key=lambda point: point[0])
    points.append((max(schedule.end, points[-1][0]), energy))
    times, energies = zip(*points, strict=True)
    return np.array(times, dtype=np.float64), np.array(energies, dtype=np.float64)
