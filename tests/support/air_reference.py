"""Urban air mobility once more, in plain Python and without an eye on speed; it shares no code with the engine.

Written from the specification's sections 1 to 4 and 7. Seconds, joules, centimiles, micro-dollars; fares in cents.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FULL, ENTRY, READY, TOUCH, DECISION = range(5)
"""Kinds of events, in the order in which they are handled at equal times."""

INTERVAL, HALF_HOUR, DELAY_SLOT = 900, 1800, 300
NEVER = -(10**9)
_MASK = 2**64 - 1
_TAPER_WATTS, _TAPER_BATTERY = 198_000, 396_000_000  # 198 kW times the free share of 110 kWh, others in proportion

# --- chance -----------------------------------------------------------------------------------------------------------


def mix(x: int) -> int:
    """splitmix64's step."""
    h = (x + 0x9E3779B97F4A7C15) & _MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _MASK
    return h ^ (h >> 31)


def uniform(seed: int, *keys: int) -> float:
    """U(seed, k1, k2, ...) of the specification."""
    h = mix(seed & _MASK)
    for key in keys:
        h = mix(h ^ key)
    return (h >> 11) * 2.0**-53


def poisson(mean: float, u: float) -> int:
    """The least c with u < cdf(c)."""
    c, term = 0, math.exp(-mean)
    cdf = term
    while u >= cdf and c < 1000:
        c += 1
        term *= mean / c
        cdf += term
    return c


# --- the problem ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlainVehicle:
    """Captain's, by default."""

    battery: int = 110_000 * 3600
    reserve: int = 22_000 * 3600
    energy_flight: int = 4_000 * 3600
    energy_mile: int = 22 * 3600  # J per centimile
    cruise: tuple[int, int] = (72, 149)
    board: int = 360
    unload: int = 360
    seats: int = 4
    stay: int = 900
    power: int = 150_000
    cost_mile: int = 16_000  # per centimile
    landing_fee: int = 5_000_000
    electricity: int = 200  # per Wh


@dataclass(frozen=True)
class PlainProblem:
    """A network, a fleet and what is expected of a day.

    Attributes:
        kind: "A", "B" or "R" of each vertiport.
        distance: centimiles.
        forecast, fare: [i][j][k], passengers per interval and cents.
        start: (vertiport, energy) of each aircraft.
        refill: batteries are full as soon as an aircraft is ready.
        tariff: "flat" or "peak": electricity is 20 % cheaper before 8:00 and 60 % dearer from 16:00 on.
        lost_cost, wait_cost: micro-dollars for each passenger lost, and for each hour that one waits.
        home: the cheapest flights that bring the fleet back to how it started are paid at the end.
        pads: landing pads of each vertiport; 0: as many as are wanted.
    """

    kind: list[str]
    mass: list[float]
    stands: list[int]
    chargers: list[int]
    delay_mean: list[int]
    distance: list[list[int]]
    forecast: list[list[list[float]]]
    fare: list[list[list[int]]]
    start: list[tuple[int, int]]
    vehicle: PlainVehicle = PlainVehicle()
    horizon: int = 43_200
    corridors: int = 2
    separation: int = 180
    patience_corridor: int = 300
    patience: int = 1800
    taper: bool = False
    refill: bool = False
    tariff: str = "flat"
    lost_cost: int = 0
    wait_cost: int = 0
    home: bool = False
    pads: int = 0

    @property
    def n(self) -> int:
        return len(self.kind)

    def energy(self, i: int, j: int) -> int:
        return self.vehicle.energy_flight + self.vehicle.energy_mile * self.distance[i][j]

    def cruise(self, i: int, j: int) -> int:
        over, under = self.vehicle.cruise
        return -(-over * self.distance[i][j] // under)

    def cost(self, i: int, j: int, t: int = 7200) -> int:
        """Of a flight that is decided at t; by default when electricity costs what it usually does."""
        v = self.vehicle
        electricity = v.electricity * self.energy(i, j) // 3600
        if self.tariff == "peak" and not 7200 <= t < 36_000:
            electricity += electricity * (-20 if t < 7200 else 60) // 100
        return v.cost_mile * self.distance[i][j] + v.landing_fee + electricity

    def homing_cost(self, at: list[int]) -> int:
        """Of the cheapest flights after which as many aircraft are at each vertiport as at the start, by trying all."""
        n = self.n
        way = [[0 if i == j else self.cost(i, j) if self.flyable(i, j) else 10**10 for j in range(n)] for i in range(n)]
        for via in range(n):
            for i in range(n):
                for j in range(n):
                    way[i][j] = min(way[i][j], way[i][via] + way[via][j], 10**10)
        ends = set(itertools.permutations(v for v, _ in self.start))
        return min(sum(way[i][j] for i, j in zip(at, end, strict=True)) for end in ends)

    def escape(self, j: int) -> int:
        if self.chargers[j]:
            return 0
        return min(self.energy(j, k) for k in range(self.n) if k != j and self.chargers[k])

    def flyable(self, i: int, j: int) -> bool:
        return i != j and self.vehicle.reserve + self.energy(i, j) + self.escape(j) <= self.vehicle.battery


@dataclass
class PlainDay:
    """What happens on a day, whatever is decided.

    Attributes:
        arrivals: sorted seconds by (i, j).
        delay: [v][slot].
        closures: (i, j, first half hour, half hours), i < j.
        downtime: s by (aircraft, landing).
    """

    arrivals: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    delay: list[list[int]] = field(default_factory=list)
    closures: list[tuple[int, int, int, int]] = field(default_factory=list)
    downtime: dict[tuple[int, int], int] = field(default_factory=dict)

    def closed_until(self, i: int, j: int, t: int) -> int:
        """The announced end of the closure of a pair, 0 if it is open."""
        half, a, b = t // HALF_HOUR, min(i, j), max(i, j)
        ends = [s + length for x, y, s, length in self.closures if (x, y) == (a, b) and s <= half]
        return HALF_HOUR * max(ends, default=0) if max(ends, default=0) > half else 0

    def is_open(self, i: int, j: int, t: int) -> bool:
        return self.closed_until(i, j, t) == 0

    def delay_at(self, v: int, t: int) -> int:
        return self.delay[v][t // DELAY_SLOT] if self.delay else 0


# (id, kind, mass, latitude, longitude, has chargers), down the left columns of the tables, then the right.
NETWORKS: dict[str, list[tuple[str, str, float, float, float, bool]]] = {
    "la8": [
        ("LAX", "A", 1.2, 33.9425, -118.4080, True),
        ("SMO", "B", 1.0, 34.0158, -118.4513, False),
        ("BUR", "R", 0.8, 34.2007, -118.3587, True),
        ("VNY", "R", 0.9, 34.2098, -118.4900, True),
        ("LGB", "R", 0.8, 33.8179, -118.1519, True),
        ("SNA", "B", 0.7, 33.6757, -117.8682, True),
        ("EMT", "R", 0.7, 34.0860, -118.0348, True),
        ("DTLA", "B", 1.3, 34.0560, -118.2365, False),
    ],
    "sf8": [
        ("SFO", "A", 1.2, 37.6188, -122.3754, True),
        ("OAK", "A", 0.7, 37.7213, -122.2212, True),
        ("SJC", "B", 0.9, 37.3630, -121.9286, True),
        ("PAO", "B", 1.0, 37.4611, -122.1150, False),
        ("HWD", "R", 0.7, 37.6589, -122.1217, True),
        ("CCR", "R", 0.8, 37.9897, -122.0569, True),
        ("LVK", "R", 0.6, 37.6934, -121.8204, True),
        ("EMB", "B", 1.4, 37.7955, -122.3937, False),
    ],
    "nyc8": [
        ("JFK", "A", 1.3, 40.6399, -73.7787, True),
        ("LGA", "A", 0.8, 40.7772, -73.8726, True),
        ("EWR", "A", 1.0, 40.6925, -74.1687, True),
        ("TEB", "R", 0.7, 40.8501, -74.0608, True),
        ("HPN", "R", 0.8, 41.0670, -73.7076, True),
        ("FRG", "R", 0.8, 40.7293, -73.4134, True),
        ("JRB", "B", 1.4, 40.7012, -74.0090, False),
        ("JRA", "B", 1.3, 40.7545, -74.0070, False),
    ],
    "dfw8": [
        ("DFW", "A", 1.3, 32.8972, -97.0377, True),
        ("DAL", "A", 0.8, 32.8459, -96.8509, True),
        ("ADS", "B", 0.8, 32.9686, -96.8365, False),
        ("FTW", "B", 0.8, 32.8198, -97.3624, True),
        ("AFW", "R", 0.6, 32.9903, -97.3194, True),
        ("GKY", "R", 0.8, 32.6639, -97.0943, True),
        ("TKI", "R", 0.8, 33.1771, -96.5888, True),
        ("49T", "B", 1.3, 32.7732, -96.8003, False),
    ],
}
LOADS = {"low": 1200.0, "medium": 2400.0, "high": 4800.0}
_PEAKS = {
    "RB": (2.5, 0.5), "BR": (0.5, 2.5), "RA": (1.2, 0.6), "AR": (0.6, 1.2), "BA": (0.6, 1.4), "AB": (1.4, 0.6),
}  # fmt: skip
_RADIUS = 3958.7613
_SURGE_FROM = 2.0


def haversine(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Miles between two places (latitude, longitude)."""
    (p, x), (q, y) = ((math.radians(lat), math.radians(lon)) for lat, lon in (a, b))
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin((y - x) / 2) ** 2
    return 2 * _RADIUS * math.asin(math.sqrt(h))


def forecast_of(kind: list[str], mass: list[float], distance: list[list[int]], flyable: Any, passengers: float) -> Any:
    """[i][j][k]: passengers expected in each interval, `passengers` in all."""
    n, total = len(kind), 0.0
    raw = [[[0.0] * 48 for _ in range(n)] for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if not flyable(i, j):
                continue
            miles = distance[i][j] / 100
            weight = mass[i] * mass[j] * miles * math.exp(-miles / 12)
            a, b = _PEAKS.get(kind[i] + kind[j], (0.8, 0.8))
            for k in range(48):
                h = 6 + (k + 0.5) / 4
                g = 0.4 + a * math.exp(-0.5 * (h - 8) ** 2) + b * math.exp(-0.5 * ((h - 16.5) / 1.25) ** 2)
                raw[i][j][k] = weight * g
                total += weight * g
    return [[[passengers * x / total for x in row] for row in rows] for rows in raw]


def fare_cents(distance: int, expected: float) -> int:
    """Of one passenger, where `expected` are forecast in the interval."""
    quarter = 4 * expected
    surge = max(math.log(quarter / _SURGE_FROM), 1.0) if quarter > 0 else 1.0
    return round(100 * (5 + 0.64 * distance / 100 * surge))


def city(name: str, load: str, fleet: int = 40, **changes: Any) -> PlainProblem:
    """One of the four networks at a load, as the specification's tables have it."""
    places = NETWORKS[name]
    kind, mass = [row[1] for row in places], [row[2] for row in places]
    at = [(row[3], row[4]) for row in places]
    distance = [[0 if p is q else round(100 * haversine(p, q)) for q in at] for p in at]
    n, vehicle = len(places), changes.get("vehicle", PlainVehicle())
    bare = PlainProblem(
        kind,
        mass,
        changes.pop("stands", [8] * n),
        [4 if row[5] else 0 for row in places],
        [240 if row[1] == "A" else 120 for row in places],
        distance,
        [],
        [],
        [(a % n, vehicle.battery) for a in range(fleet)],
        **changes,
    )
    forecast = forecast_of(kind, mass, distance, bare.flyable, LOADS[load])
    fare = [[[fare_cents(distance[i][j], x) for x in forecast[i][j]] for j in range(n)] for i in range(n)]
    return PlainProblem(**{**vars(bare), "forecast": forecast, "fare": fare})


def realise(problem: PlainProblem, seed: int, noise: float = 1.0) -> PlainDay:
    """The day of a seed."""
    n, fleet = problem.n, len(problem.start)
    day = PlainDay(delay=[[0] * 144 for _ in range(n)])
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            u, v = uniform(seed, 1, i, j, 0), uniform(seed, 1, i, j, 1)
            sigma = 0.25 * noise
            factor = math.exp(sigma * math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v) - sigma * sigma / 2)
            found = []
            for k in range(48):
                count = poisson(problem.forecast[i][j][k] * factor, uniform(seed, 2, i, j, k))
                found += [INTERVAL * k + int(INTERVAL * uniform(seed, 3, i, j, k, q)) for q in range(count)]
            day.arrivals[i, j] = sorted(t for t in found if t < problem.horizon)
    for v in range(n):
        for s in range(144):
            day.delay[v][s] = min(1800, int(-problem.delay_mean[v] * noise * math.log(1 - uniform(seed, 4, v, s))))
    for i in range(n):
        for j in range(i + 1, n):
            for s in range(24):
                if uniform(seed, 5, i, j, s) < 0.01 * noise:
                    day.closures.append((i, j, s, 1 + int(4 * uniform(seed, 6, i, j, s))))
    for a in range(fleet):
        for k in range(64):
            if uniform(seed, 7, a, k) < 0.005 * noise:
                day.downtime[a, k] = 2700 + int(4500 * uniform(seed, 8, a, k))
    return day


# --- the day ----------------------------------------------------------------------------------------------------------


class PlainFleet:
    """One day. Whoever plays asks `legal` and calls `act` until `decider` is None.

    Attributes:
        now, decider: the clock, and which aircraft decides (None: the day is over).
        at: where each aircraft is, or flies to.
        occupied: stands taken or reserved at each vertiport.
        waiting: arrival seconds of who waits, oldest first, by (i, j).
        profit: micro-dollars.
        log, charges: rows as the specification's log has them.
    """

    def __init__(self, problem: PlainProblem, day: PlainDay) -> None:
        self.problem, self.day = problem, day
        n, fleet = problem.n, len(problem.start)
        self.now, self.decider = 0, None
        self.at = [v for v, _ in problem.start]
        self._stored = [e for _, e in problem.start]  # as of _since, while plugged in
        self._since: list[int | None] = [None] * fleet
        self.flying = [False] * fleet  # boarding included
        self.landings = [0] * fleet
        self.occupied = [self.at.count(v) for v in range(n)]
        self.queue: list[list[int]] = [[] for _ in range(n)]
        self.on_pad = [0] * n
        self.holding: list[list[int]] = [[] for _ in range(n)]  # in the air, for a landing pad
        self.plugged: list[list[int]] = [[] for _ in range(n)]
        self.last = {(i, j): [NEVER] * problem.corridors for i in range(n) for j in range(n) if i != j}
        self.come = {pair: 0 for pair in self.last}  # how many have arrived
        self.waiting: dict[tuple[int, int], list[int]] = {pair: [] for pair in self.last}
        self.served = self.lost = self.flights = self.decisions = self.profit = 0
        self.waited = 0  # seconds, of all who were served or lost
        self.log: list[dict[str, int]] = []
        self.charges: list[dict[str, int]] = []
        self._events: list[tuple[int, int, int, int]] = []
        for a in range(fleet):
            self._plug_or_queue(a)
            self._push(0, DECISION, a)
        self._advance()

    # --- energy -------------------------------------------------------------------------------------------------------

    def energy(self, a: int) -> int:
        since = self._since[a]
        return self._stored[a] if since is None else self._charged(self._stored[a], self.now - since)

    def _charged(self, energy: int, seconds: int) -> int:
        battery, power = self.problem.vehicle.battery, self.problem.vehicle.power
        if not self.problem.taper:
            return min(battery, energy + power * seconds)
        slope = _TAPER_WATTS * battery / _TAPER_BATTERY
        knee = battery * (1 - power / slope)
        straight = max(0.0, (knee - energy) / power)
        if seconds <= straight:
            return energy + power * seconds
        return int(battery - (battery - max(knee, energy)) * math.exp(-slope / battery * (seconds - straight)))

    def _plug_or_queue(self, a: int) -> None:
        v = self.at[a]
        if self._stored[a] >= self.problem.vehicle.battery or self.problem.chargers[v] == 0:
            return
        if len(self.plugged[v]) < self.problem.chargers[v]:
            self._plug(a)
        else:
            self.queue[v].append(a)

    def _plug(self, a: int) -> None:
        self.plugged[self.at[a]].append(a)
        self._since[a] = self.now
        missing = self.problem.vehicle.battery - self._stored[a]
        if not self.problem.taper:
            self._push(self.now - (-missing // self.problem.vehicle.power), FULL, a)

    def _unplug(self, a: int) -> None:
        """Also leaves the queue; whoever is first in it takes the charger."""
        v, since = self.at[a], self._since[a]
        if a in self.queue[v]:
            self.queue[v].remove(a)
        if since is None:
            return
        if since < self.now:
            self.charges.append(self._charge(a, since))
        self._stored[a], self._since[a] = self.energy(a), None
        self.plugged[v].remove(a)
        if self.queue[v]:
            self._plug(self.queue[v].pop(0))

    # --- events -------------------------------------------------------------------------------------------------------

    def _push(self, t: int, kind: int, a: int, what: int = 0) -> None:
        heapq.heappush(self._events, (t, kind, a, what))

    def _advance(self) -> None:
        self.decider = None
        while self._events:
            t, kind, a, what = heapq.heappop(self._events)
            if t >= self.problem.horizon:
                self._push(t, kind, a, what)
                break  # the day is told up to its horizon
            if kind == FULL and not self._is_full_at(a, t):
                continue  # it left before
            self.now = t
            if kind == FULL:
                self._unplug(a)
            elif kind == ENTRY:
                self.occupied[what] -= 1
            elif kind == TOUCH:
                self.holding[self.at[a]].append(a)
                self._let_down(self.at[a])
            elif kind == READY:
                if self.problem.pads:
                    self.on_pad[self.at[a]] -= 1
                    self._let_down(self.at[a])
                self._land(a)
            else:
                self._let_passengers_come_and_go()
                self.decider = a
                return
        while any(self.holding):  # it is known when those who have come will be down
            self.now, kind, a, _ = heapq.heappop(self._events)
            if kind == READY:
                self.on_pad[self.at[a]] -= 1
                self._let_down(self.at[a])
        self.now = self.problem.horizon
        self._let_passengers_come_and_go()

    def charging_so_far(self) -> list[dict[str, int]]:
        """The charge intervals, those that go on up to now."""
        rows = list(self.charges)
        for a, since in enumerate(self._since):
            if since is not None and since < self.now:
                rows.append(self._charge(a, since))
        return rows

    def _charge(self, a: int, since: int) -> dict[str, int]:
        return {"a": a, "v": self.at[a], "t0": since, "t1": self.now, "J": self.energy(a) - self._stored[a]}

    def _is_full_at(self, a: int, t: int) -> bool:
        since = self._since[a]
        return since is not None and self._charged(self._stored[a], t - since) >= self.problem.vehicle.battery

    def _let_down(self, v: int) -> None:
        """Whoever has waited longest takes a landing pad that is free. What the log says is put right by then."""
        while self.holding[v] and self.on_pad[v] < self.problem.pads:
            self.on_pad[v] += 1
            a = self.holding[v].pop(0)
            ready = self.now + self.problem.vehicle.unload
            next(row for row in reversed(self.log) if row["a"] == a)["ready"] = ready
            self._push(ready, READY, a)

    def _land(self, a: int) -> None:
        self.flying[a] = False
        if self.problem.refill:
            self._stored[a] = self.problem.vehicle.battery
        self._plug_or_queue(a)
        down = self.day.downtime.get((a, self.landings[a]), 0)
        self.landings[a] += 1
        self._push(self.now + down, DECISION, a)

    def _let_passengers_come_and_go(self) -> None:
        for pair, times in self.day.arrivals.items():
            queue = self.waiting[pair]
            while self.come[pair] < len(times) and times[self.come[pair]] <= self.now:
                queue.append(times[self.come[pair]])
                self.come[pair] += 1
            while queue and queue[0] + self.problem.patience < self.now:
                queue.pop(0)
                self.lost += 1
                self.waited += self.problem.patience

    # --- decisions ----------------------------------------------------------------------------------------------------

    def why_not(self, j: int) -> str:
        """Which rule masks a flight of the decider to j; empty: none."""
        problem, a, t = self.problem, self.decider, self.now
        assert a is not None
        i, vehicle = self.at[a], problem.vehicle
        if not problem.flyable(i, j):
            return "unflyable"
        if self.energy(a) - problem.energy(i, j) < vehicle.reserve + problem.escape(j):
            return "energy"
        if self.occupied[j] >= problem.stands[j]:
            return "stands"
        if not self.day.is_open(i, j, t):
            return "closed"
        if min(self.last[i, j]) + problem.separation > t + vehicle.board + problem.patience_corridor:
            return "corridors"
        if t + vehicle.board + problem.cruise(i, j) + vehicle.unload > problem.horizon:
            return "late"
        return ""

    def legal(self) -> list[int]:
        """Destinations, staying included, in order."""
        assert self.decider is not None
        here = self.at[self.decider]
        return [j for j in range(self.problem.n) if j == here or not self.why_not(j)]

    def boardable(self, j: int) -> int:
        assert self.decider is not None
        return min(self.problem.vehicle.seats, len(self.waiting[self.at[self.decider], j]))

    def gain(self, j: int) -> int:
        """Of a flight of the decider to j now."""
        assert self.decider is not None
        i = self.at[self.decider]
        fare = 10_000 * self.problem.fare[i][j][self.now // INTERVAL]
        return self.boardable(j) * fare - self.problem.cost(i, j, self.now)

    def act(self, j: int) -> int:
        """Play a legal action. Returns the reward."""
        problem, a, t = self.problem, self.decider, self.now
        assert a is not None
        i, vehicle = self.at[a], problem.vehicle
        row = {"t": t, "a": a, "from": i, "to": j, "e0": self.energy(a)}
        self.decisions += 1
        if i == j:
            self.log.append(
                {
                    **row,
                    "boarded": 0,
                    "entry": -1,
                    "corridor": -1,
                    "ready": t + vehicle.stay,
                    "e1": row["e0"],
                    "reward": 0,
                }
            )
            self._push(t + vehicle.stay, DECISION, a)
            self._advance()
            return 0
        assert not self.why_not(j), self.why_not(j)
        self._unplug(a)
        boarded, reward = self.boardable(j), self.gain(j)
        self.waited += sum(t - arrived for arrived in self.waiting[i, j][:boarded])
        del self.waiting[i, j][:boarded]
        self.served += boarded
        self.flights += 1
        self.profit += reward
        self._stored[a] -= problem.energy(i, j)
        self.occupied[j] += 1
        corridors = self.last[i, j]
        c = corridors.index(min(corridors))
        entry = max(t + vehicle.board + self.day.delay_at(i, t), corridors[c] + problem.separation)
        corridors[c] = entry
        ready = entry + problem.cruise(i, j) + vehicle.unload
        self.at[a], self.flying[a] = j, True
        self._push(entry, ENTRY, a, i)
        if problem.pads:
            self._push(ready - vehicle.unload, TOUCH, a)
        else:
            self._push(ready, READY, a)
        self.log.append(
            {
                **row,
                "boarded": boarded,
                "entry": entry,
                "corridor": c,
                "ready": ready,
                "e1": self._stored[a],
                "reward": reward,
            }
        )
        self._advance()
        return reward

    def objective(self) -> int:
        """Of a day that has ended, micro-dollars."""
        assert self.decider is None
        problem = self.problem
        still = sum(self.now - arrived for queue in self.waiting.values() for arrived in queue)
        homing = problem.homing_cost(self.at) if problem.home else 0
        return self.profit - problem.lost_cost * self.lost - problem.wait_cost * (self.waited + still) // 3600 - homing

    def play(self, choose: Callable[[PlainFleet], int]) -> PlainFleet:
        while self.decider is not None:
            self.act(choose(self))
        return self


# --- rules ------------------------------------------------------------------------------------------------------------


def stay(fleet: PlainFleet) -> int:
    assert fleet.decider is not None
    return fleet.at[fleet.decider]


def greedy_profit(fleet: PlainFleet, least: float = 0.0) -> int:
    """The largest gain above `least` dollars, else stay; the lowest index of equals."""
    best, value = stay(fleet), least * 1e6
    for j in fleet.legal():
        if j != stay(fleet) and fleet.gain(j) > value:
            best, value = j, fleet.gain(j)
    return best


def lookahead(kappa: float, theta: float) -> Callable[[PlainFleet], int]:
    """Gain plus what the destination promises, against staying with a bonus of `theta` dollars."""

    def promise(fleet: PlainFleet, v: int, t: int) -> float:
        problem, k = fleet.problem, t // INTERVAL
        if t >= problem.horizon:
            return 0.0
        total = 0.0
        for j in range(problem.n):
            margin = problem.fare[v][j][k] / 100 - problem.cost(v, j) / 4e6
            if j != v and margin > 0:
                total += margin * sum(problem.forecast[v][j][k : k + 4])
        return total / max(1, fleet.occupied[v])

    def choose(fleet: PlainFleet) -> int:
        here, t, vehicle = stay(fleet), fleet.now, fleet.problem.vehicle
        best, value = here, kappa * promise(fleet, here, t + vehicle.stay) + theta
        for j in fleet.legal():
            if j == here:
                continue
            there = t + vehicle.board + fleet.problem.cruise(here, j) + vehicle.unload
            score = fleet.gain(j) / 1e6 + kappa * promise(fleet, j, there)
            if score > value:
                best, value = j, score
        return best

    return choose


def random_choice(seed: int) -> Callable[[PlainFleet], int]:
    """Uniform over the legal actions, by the number of the decision."""

    def choose(fleet: PlainFleet) -> int:
        legal = fleet.legal()
        return legal[int(len(legal) * uniform(seed, 99, fleet.decisions))]

    return choose
