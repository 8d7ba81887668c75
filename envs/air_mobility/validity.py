"""An independent check that the log of a day of urban air mobility could have happened.

Nothing here is shared with the engine: of network, vehicle, fares and the realised day, everything else is derived anew
in integers. The day is not played again, it is swept once per kind of thing: stands, corridors, chargers, passengers.
Whether a decision was good is no question of validity.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .schedule import AirSchedule

_INTERVAL, _HALF_HOUR, _DELAY_SLOT = 900, 1800, 300
_DELAY_SLOTS, _HALF_HOURS, _LANDINGS = 144, 24, 64
_CENT = 10_000
_PEAK_CHEAP_UNTIL, _PEAK_DEAR_FROM = 7200, 36_000
_WH = 3600
_FULL, _READY, _DECIDES = 0, 2, 3  # kinds of events in the order in which they happen at equal times
_MOST_CRUISE_DELAY = 1800
_TAPER_WATTS, _TAPER_BATTERY = 198_000, 396_000_000  # 198 kW times the free share of 110 kWh, others in proportion

_Order = tuple[int, int, int]
"""When something happens: time, kind, aircraft."""


class _Decision(NamedTuple):
    """A row of the log.

    Attributes:
        landing: how many flights of this aircraft came before.
        ids: codes of the vertiports, for messages.
    """

    row: int
    t: int
    a: int
    i: int
    j: int
    boarded: int
    entry: int
    corridor: int
    ready: int
    before: int
    after: int
    reward: int
    landing: int
    ids: tuple[str, str]

    @property
    def flies(self) -> bool:
        return self.i != self.j

    def __str__(self) -> str:
        what = f"flight from {self.ids[0]} to {self.ids[1]}" if self.flies else f"stay at {self.ids[0]}"
        return f"aircraft {self.a}, {self.t} s, {what}"


@dataclass
class _Visit:
    """An aircraft at a vertiport, from being ready to its next flight decision.

    Attributes:
        ready: when it may plug in; 0 where it starts the day here.
        flight: the decision to fly away; None: it is still here at the end.
        stays: decisions to stay.
    """

    a: int
    v: int
    ready: int
    flight: _Decision | None
    stays: list[_Decision]


class _Facts:
    """What the sweeps look at, with the tables of the network."""

    def __init__(self, schedule: AirSchedule) -> None:
        self.schedule, self.instance, self.day = schedule, schedule.instance, schedule.day
        network, self.vehicle, self.end = schedule.instance.network, schedule.instance.vehicle, schedule.end
        self.ids, self.n, self.fleet = network.ids, len(network.ids), len(schedule.instance.start_vertiport)
        self.stands, self.chargers = network.stands.tolist(), network.chargers.tolist()
        self.distance: list[list[int]] = network.distance.tolist()
        self.fare: list[list[list[int]]] = schedule.instance.fare.tolist()
        self.delay: list[list[int]] = schedule.day.delay.tolist()
        self.downtime: list[list[int]] = schedule.day.downtime.tolist()
        self.start_at: list[int] = schedule.instance.start_vertiport.tolist()
        self.start_energy: list[int] = schedule.instance.start_energy.tolist()
        landings = [0] * self.fleet
        self.decisions: list[_Decision] = []
        self.of_aircraft: list[list[_Decision]] = [[] for _ in range(self.fleet)]
        for r, row in enumerate(schedule.decisions.tolist()):
            d = _Decision(r, *row, landing=landings[row[1]], ids=(self.ids[row[2]], self.ids[row[3]]))
            landings[d.a] += d.flies
            self.decisions.append(d)
            self.of_aircraft[d.a].append(d)
        self.flights = [d for d in self.decisions if d.flies]

    def energy(self, i: int, j: int) -> int:
        return self.vehicle.energy_flight + self.vehicle.energy_mile * self.distance[i][j]

    def cruise(self, i: int, j: int) -> int:
        return -(-self.vehicle.cruise_numerator * self.distance[i][j] // self.vehicle.cruise_denominator)

    def cost(self, i: int, j: int, t: int) -> int:
        vehicle, miles = self.vehicle, self.distance[i][j]
        electricity = vehicle.electricity * self.energy(i, j) // _WH
        if self.schedule.settings.tariff == "peak":
            electricity += electricity * (-20 if t < _PEAK_CHEAP_UNTIL else 60 if t >= _PEAK_DEAR_FROM else 0) // 100
        return vehicle.cost_mile * miles + vehicle.landing_fee + electricity

    def escape(self, j: int) -> int:
        """What it takes to get from j to the nearest charger."""
        if self.chargers[j] > 0:
            return 0
        return min(self.energy(j, k) for k in range(self.n) if k != j and self.chargers[k] > 0)

    def charged(self, energy: int, seconds: int) -> int:
        """The energy of an aircraft that has been plugged in for some time."""
        battery, power = self.vehicle.battery, self.vehicle.charge_power
        if not self.schedule.settings.taper:
            return min(battery, energy + power * seconds)
        slope = _TAPER_WATTS * battery / _TAPER_BATTERY
        knee = battery * (1.0 - power / slope)
        straight = max(0.0, (knee - energy) / power)
        if seconds <= straight:
            return energy + power * seconds
        left = (battery - max(knee, energy)) * math.exp(-slope / battery * (seconds - straight))
        return math.floor(battery - left)

    def full_after(self, energy: int) -> int | None:
        """Seconds until the battery is full; None: it never is."""
        if self.schedule.settings.taper:
            return None
        return -((energy - self.vehicle.battery) // self.vehicle.charge_power)

    def down(self, a: int, landing: int) -> int:
        row = self.downtime[a]
        return row[landing] if landing < len(row) else 0


def validate(schedule: AirSchedule) -> list[str]:
    """Every rule of urban air mobility that the log breaks, in words; an empty list for a valid log.

    Checked: the form of log and day; that each aircraft decides when a decision is due, where it is, every due decision
    once, in the order of time and aircraft; that flights are flyable, fit the battery, its reserve and the way to the
    next charger, find a stand, an open pair and a corridor in time and land by the end of the day; corridor entries and
    landings; who boards, oldest first, none before arrival or after losing patience; energies and charge intervals, by
    first come, first served chargers; rewards, in integers. A log up to some time is checked up to then.
    """
    form = list(_form_violations(schedule)) + list(_day_violations(schedule))
    if form:
        return form
    facts = _Facts(schedule)
    itinerary = list(_order_violations(facts)) + list(_itinerary_violations(facts))
    if itinerary:  # who is where is not known: all else would be wrong, too
        return itinerary
    return [
        *_flyable_violations(facts),
        *_stand_violations(facts),
        *_corridor_violations(facts),
        *_landing_violations(facts),
        *_energy_violations(facts),
        *_boarding_violations(facts),
        *_reward_violations(facts),
    ]


# --- form -------------------------------------------------------------------------------------------------------------


def _form_violations(schedule: AirSchedule) -> Iterator[str]:
    instance = schedule.instance
    for name, width in (("decisions", 11), ("charges", 5)):
        table = getattr(schedule, name)
        if table.ndim != 2 or table.shape[1] != width or table.dtype != np.int64:
            yield f"{name} is {table.dtype} {list(table.shape)}, expected int64 [rows, {width}]"
            return
    if not 0 <= schedule.end <= instance.horizon:
        yield f"the log ends at {schedule.end} s, expected a time from 0 to {instance.horizon}"
    n, fleet, end = len(instance.network.ids), len(instance.start_vertiport), schedule.end
    for r, (t, a, i, j, boarded, entry, corridor, ready, *_) in enumerate(schedule.decisions.tolist()):
        where = f"log row {r}"
        if not 0 <= a < fleet:
            yield f"{where}: there is no aircraft {a}, the fleet has {fleet}"
        for v in (i, j):
            if not 0 <= v < n:
                yield f"{where}: there is no vertiport {v}, the network has {n}"
        if not (0 <= t < instance.horizon and t <= end):
            yield f"{where}: a decision at {t} s, the log has none from {min(end, instance.horizon)} s on"
        if not 0 <= boarded <= instance.vehicle.seats:
            yield f"{where}: {boarded} board, the aircraft has {instance.vehicle.seats} seats"
        if i == j and (boarded, entry, corridor) != (0, -1, -1):
            yield f"{where}: a stay with boarded, entry, corridor {(boarded, entry, corridor)}, expected (0, -1, -1)"
        if i != j and not 0 <= corridor < instance.corridors:
            yield f"{where}: corridor {corridor}, a pair has {instance.corridors}"
        if ready <= t or (i != j and not t <= entry <= ready):
            yield f"{where}: decided at {t}, entry at {entry}, ready at {ready} s: these are no times"
    for r, (a, v, begin, until, _) in enumerate(schedule.charges.tolist()):
        if not (0 <= a < fleet and 0 <= v < n and 0 <= begin < until <= end):
            yield f"charge row {r}: aircraft {a} at vertiport {v} from {begin} to {until} s cannot be"


def _day_violations(schedule: AirSchedule) -> Iterator[str]:
    day, n, fleet = schedule.day, len(schedule.instance.network.ids), len(schedule.instance.start_vertiport)
    if len(day.arrivals) != n * n:
        yield f"the day has arrivals of {len(day.arrivals)} pairs, expected {n * n}"
        return
    for name, table, shape in (
        ("delay", day.delay, (n, _DELAY_SLOTS)),
        ("downtime", day.downtime, (fleet, _LANDINGS)),
        ("closures", day.closures, (len(day.closures), 4)),
    ):
        if table.shape != shape:
            yield f"{name} of the day is {list(table.shape)}, expected {list(shape)}"
            return
    for pair, times in enumerate(day.arrivals):
        codes = "-".join(schedule.instance.network.ids[v] for v in divmod(pair, n))
        if pair // n == pair % n and len(times):
            yield f"passengers arrive for {codes}"
        if len(times) and (times[0] < 0 or np.any(times[1:] < times[:-1])):
            yield f"arrivals of {codes} are negative or not sorted"
    if (day.delay < 0).any() or (day.delay > _MOST_CRUISE_DELAY).any():
        yield f"delays of the day are from {day.delay.min()} to {day.delay.max()}, expected 0 to {_MOST_CRUISE_DELAY}"
    if (day.downtime < 0).any():
        yield "a downtime of the day is negative"
    for i, j, first, length in day.closures.tolist():
        if not (0 <= i < j < n and 0 <= first < _HALF_HOURS and length >= 1):
            yield f"closure {[i, j, first, length]} of the day is none of a pair i < j, from a half hour on, for some"
    if day.noise == 0.0 and (day.delay.any() or day.downtime.any() or len(day.closures)):
        yield "the day has no noise, but delays, closures or downtimes"


# --- who decides when -------------------------------------------------------------------------------------------------


def _order_violations(facts: _Facts) -> Iterator[str]:
    for x, y in pairwise(facts.decisions):
        if (y.t, y.a) <= (x.t, x.a):
            yield f"{y}: logged after aircraft {x.a} at {x.t} s; decisions go by time, then by aircraft"


def _itinerary_violations(facts: _Facts) -> Iterator[str]:
    """Each aircraft decides where it is: at 0, when ready and repaired, and when a stay is over."""
    for a, decisions in enumerate(facts.of_aircraft):
        due, at = 0, facts.start_at[a]
        for d in decisions:
            if d.t != due:
                yield f"{d}: its decision is due at {due} s"
            if d.i != at:
                yield f"{d}: it is at {facts.ids[at]}"
            if d.flies:
                due = d.ready + facts.down(a, d.landing)
            else:
                due = d.t + facts.vehicle.stay
                if d.ready != due:
                    yield f"{d}: the stay ends at {d.ready} s, expected {due}"
            at = d.j
        if due < facts.end:
            yield f"aircraft {a} does not decide at {due} s, when it is due at {facts.ids[at]}"


# --- what is legal ----------------------------------------------------------------------------------------------------


def _flyable_violations(facts: _Facts) -> Iterator[str]:
    """Of the pair, the battery it takes, closures, and the end of the day; the energy aboard comes later."""
    vehicle = facts.vehicle
    closed: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for i, j, first, length in facts.day.closures.tolist():
        closed[i, j].append((first * _HALF_HOUR, (first + length) * _HALF_HOUR))
    for d in facts.flights:
        least = vehicle.reserve + facts.energy(d.i, d.j) + facts.escape(d.j)
        if least > vehicle.battery:
            yield f"{d}: the pair takes {least} J with reserve and escape, a battery holds {vehicle.battery}"
        for begin, until in closed[min(d.i, d.j), max(d.i, d.j)]:
            if begin <= d.t < until:
                yield f"{d}: the pair is closed from {begin} to {until} s"
        nominal = d.t + vehicle.board + facts.cruise(d.i, d.j) + vehicle.unload
        if nominal > facts.instance.horizon:
            yield f"{d}: it would be ready at {nominal} s, after the end of the day at {facts.instance.horizon}"


def _stand_violations(facts: _Facts) -> Iterator[str]:
    """A stand is taken from the decision to fly there until the corridor that leads away is entered."""
    begins: list[list[tuple[int, int]]] = [[] for _ in range(facts.n)]
    ends: list[list[int]] = [[] for _ in range(facts.n)]
    for a, v in enumerate(facts.start_at):
        insort(begins[v], (-1, a))
    for v, taken in enumerate(begins):
        if len(taken) > facts.stands[v]:
            yield f"{facts.ids[v]}: {len(taken)} aircraft start the day on {facts.stands[v]} stands"
    for d in facts.flights:
        taken = bisect_left(begins[d.j], (d.t, d.a)) - bisect_right(ends[d.j], d.t)
        if taken >= facts.stands[d.j]:
            yield f"{d}: {taken} of {facts.stands[d.j]} stands are taken there"
        insort(begins[d.j], (d.t, d.a))
        insort(ends[d.i], d.entry)


def _corridor_violations(facts: _Facts) -> Iterator[str]:
    """Entries, by the corridor that was entered longest ago."""
    instance, vehicle = facts.instance, facts.vehicle
    entered: dict[tuple[int, int], list[int | None]] = defaultdict(lambda: [None] * instance.corridors)
    for d in facts.flights:
        corridors = entered[d.i, d.j]
        free = [-1 if last is None else last + instance.separation for last in corridors]
        c = min(range(instance.corridors), key=free.__getitem__)
        latest = d.t + vehicle.board + instance.patience_corridor
        if free[c] > latest:
            yield f"{d}: no corridor is free before {free[c]} s, the request is dropped at {latest}"
        if d.corridor != c:
            yield f"{d}: takes corridor {d.corridor}, expected {c}, which is free first"
        off = d.t + vehicle.board + facts.delay[d.i][d.t // _DELAY_SLOT]
        expected = max(off, free[c])
        if d.entry != expected:
            yield f"{d}: enters its corridor at {d.entry} s, expected {expected}"
        last = corridors[d.corridor]
        if last is not None and d.entry - last < instance.separation:
            yield f"{d}: enters corridor {d.corridor} {d.entry - last} s after another, expected {instance.separation}"
        corridors[d.corridor] = d.entry


def _landing_violations(facts: _Facts) -> Iterator[str]:
    """Where landing pads are few, whoever comes first takes the one that is free first."""
    schedule, unload = facts.schedule, facts.vehicle.unload
    pads = [[0] * schedule.settings.pads for _ in range(facts.n)]
    for touch, _, d in sorted((d.entry + facts.cruise(d.i, d.j), d.a, d) for d in facts.flights):
        ready = touch + unload
        if schedule.settings.pads and touch <= schedule.end and touch < facts.instance.horizon and unload:
            pads[d.j].sort()
            pads[d.j][0] = ready = max(touch, pads[d.j][0]) + unload
        if d.ready != ready:
            yield f"{d}: is ready at {d.ready} s, expected {ready}"


# --- energy -----------------------------------------------------------------------------------------------------------


def _visits(facts: _Facts) -> list[_Visit]:
    """Who is where from when to when, by time of being ready."""
    found: list[_Visit] = []
    for a, decisions in enumerate(facts.of_aircraft):
        visit = _Visit(a, facts.start_at[a], 0, None, [])
        for d in decisions:
            if d.flies:
                visit.flight = d
                found.append(visit)
                visit = _Visit(a, d.j, d.ready, None, [])
            else:
                visit.stays.append(d)
        found.append(visit)
    return sorted((x for x in found if x.ready < facts.end), key=lambda x: (x.ready, x.a))


def _energy_violations(facts: _Facts) -> Iterator[str]:
    """Chargers serve in the order in which aircraft are ready; whoever flies away leaves charger or queue.

    A visit takes the charger that is free first. Visits go by time, so that an aircraft's energy on landing is known.
    """
    stored = list(facts.start_energy)
    free: list[list[_Order]] = [[(-1, _FULL, -1)] * c for c in facts.chargers]
    expected: dict[tuple[int, int], tuple[int, int, int]] = {}  # of (aircraft, plugged in at): where, until, J
    for visit in _visits(facts):
        a, v, flight, energy = visit.a, visit.v, visit.flight, stored[visit.a]
        leaves: _Order = (facts.end + 1, _FULL, -1) if flight is None else (flight.t, _DECIDES, a)
        plugged: int | None = None
        unplugged = 0
        if energy < facts.vehicle.battery and free[v]:
            begins = max(free[v][0], (visit.ready, _READY, a))
            if begins < leaves:
                full = facts.full_after(energy)
                ends = leaves if full is None else min(leaves, (begins[0] + full, _FULL, a))
                heapq.heapreplace(free[v], ends)
                plugged, unplugged = begins[0], min(ends[0], facts.end)
        if plugged is not None and plugged < unplugged:
            expected[a, plugged] = (v, unplugged, facts.charged(energy, unplugged - plugged) - energy)
        for d in [*visit.stays, *([flight] if flight else [])]:
            now = energy
            if plugged is not None:
                now = facts.charged(energy, min(d.t, max(unplugged, plugged)) - plugged) if d.t > plugged else energy
            yield from _energy_of_decision(facts, d, now)
            stored[a] = now
        if flight is not None:
            stored[a] -= facts.energy(flight.i, flight.j)
            if facts.schedule.settings.refill:  # by the time it is ready
                stored[a] = facts.vehicle.battery
    yield from _charge_violations(facts, expected)


def _energy_of_decision(facts: _Facts, d: _Decision, now: int) -> Iterator[str]:
    used = facts.energy(d.i, d.j) if d.flies else 0
    if d.before != now:
        yield f"{d}: has {d.before} J, expected {now}"
    if d.after != now - used:
        yield f"{d}: has {d.after} J afterwards, expected {now - used}"
    if d.flies and now - used < facts.vehicle.reserve + facts.escape(d.j):
        needs = facts.vehicle.reserve + facts.escape(d.j)
        yield f"{d}: would land with {now - used} J, reserve and escape take {needs}"


def _charge_violations(facts: _Facts, expected: dict[tuple[int, int], tuple[int, int, int]]) -> Iterator[str]:
    """The charge intervals are those that the sweep has found."""
    left = dict(expected)
    for a, v, begin, until, gained in facts.schedule.charges.tolist():
        what = f"aircraft {a} charges at {facts.ids[v]} from {begin} to {until} s"
        found = left.pop((a, begin), None)
        if found is None:
            yield f"{what}, where it is not plugged in then"
        elif (v, until) != found[:2]:
            yield f"{what}, expected at {facts.ids[found[0]]} until {found[1]} s"
        elif gained != found[2]:
            yield f"{what} and gains {gained} J, expected {found[2]}"
    for (a, begin), (v, until, _) in left.items():
        yield f"aircraft {a} charges at {facts.ids[v]} from {begin} to {until} s, which is not in the log"


# --- passengers and money ---------------------------------------------------------------------------------------------


def _boarding_violations(facts: _Facts) -> Iterator[str]:
    """The oldest who wait board, as many as there are seats."""
    next_of: dict[tuple[int, int], int] = defaultdict(int)
    for d in facts.flights:
        times = facts.day.arrivals[d.i * facts.n + d.j]
        first = max(next_of[d.i, d.j], int(np.searchsorted(times, d.t - facts.instance.patience, "left")))
        waiting = int(np.searchsorted(times, d.t, "right")) - first
        if d.boarded != min(waiting, facts.vehicle.seats):
            yield f"{d}: {d.boarded} board, expected {min(waiting, facts.vehicle.seats)} of {waiting} who wait"
        next_of[d.i, d.j] = first + d.boarded


def _reward_violations(facts: _Facts) -> Iterator[str]:
    for d in facts.decisions:
        expected = 0
        if d.flies:
            expected = d.boarded * facts.fare[d.i][d.j][d.t // _INTERVAL] * _CENT - facts.cost(d.i, d.j, d.t)
        if d.reward != expected:
            yield f"{d}: earns {d.reward} micro-dollars, expected {expected}"
