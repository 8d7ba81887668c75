"""The outcome of a day of urban air mobility as data: what was decided, who flew and charged when, and who was served.

The model is specified in ``docs/environments/air_mobility.md``; what may be in a schedule is checked by ``validity``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.files import atomic_write
from ..core.instance import check_header, load_document, require_integer, require_keys, require_list
from .formats import CHARGE_KEYS, LOG_KEYS, day_document, log_lines, read_day
from .instance import AirDay, AirInstance

FORMAT = "makespan/air-mobility-schedule"
VERSION = 1

TIME, AIRCRAFT, FROM, TO, BOARDED, ENTRY, CORRIDOR, READY, ENERGY_BEFORE, ENERGY_AFTER, REWARD = range(11)
"""Columns of `AirSchedule.decisions`."""
CHARGED_AIRCRAFT, CHARGED_AT, PLUGGED, UNPLUGGED, JOULES = range(5)
"""Columns of `AirSchedule.charges`."""
ORIGIN, DESTINATION, ARRIVED, TAKEN, LEFT = range(5)
"""Columns of `AirSchedule.passengers`."""

TARIFFS = ("flat", "peak")
_INTERVAL, _CENT, _NO_WAY = 900, 10_000, 10**10
_DELAY_SLOT = 300
_KWH = 3_600_000
_MOST, _MOST_PADS = 2**62, 64
_KEYS = ("format", "version", "day", "settings", "log", "charges", "clock")


@dataclass(frozen=True)
class AirSettings:
    """The options that a day was played under, as far as its log and its objective depend on them.

    Attributes:
        taper: charging slows down above 24 % of the battery.
        refill: batteries are full as soon as an aircraft is ready.
        tariff: of electricity, "flat" or "peak".
        lost_cost: micro-dollars for each passenger who has waited in vain.
        wait_cost: micro-dollars for each hour that passengers wait.
        home: the cheapest flights that bring the fleet back to how it started are paid at the end.
        pads: landing pads of each vertiport; 0: as many as are wanted.
    """

    taper: bool = False
    refill: bool = False
    tariff: str = "flat"
    lost_cost: int = 0
    wait_cost: int = 0
    home: bool = False
    pads: int = 0


class Stand(NamedTuple):
    """A stand that an aircraft takes, from the decision to fly there until it has entered the corridor that leads away.

    Attributes:
        begin, end: s; `end` is None where it still stands at the end.
        landed: when it was ready there; 0 where it started the day there.
    """

    aircraft: int
    vertiport: int
    begin: int
    landed: int
    end: int | None


@dataclass(frozen=True, eq=False)
class AirSchedule:
    """What happened on a day, up to its end or to some time before.

    Attributes:
        instance: the problem.
        day: what the day brought.
        decisions: int64 [D, 11] in the order in which they were made: (time s, aircraft, from, to, boarded, corridor
            entry s, corridor, ready s, energy before J, after J, reward in micro-dollars). To stay is a decision whose
            `to` is its `from`, without corridor (entry and corridor are -1), ready when it decides again.
        charges: int64 [C, 5], (aircraft, vertiport, plugged in at, unplugged at, J), none of length 0; one that goes on
            is told up to the end.
        settings: the options.
        clock: up to when it tells; None: the whole day.
    """

    instance: AirInstance
    day: AirDay
    decisions: NDArray[np.int64]
    charges: NDArray[np.int64]
    settings: AirSettings = AirSettings()
    clock: int | None = None

    # --- what it comes to ---------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """Up to when it tells, in s."""
        return self.instance.horizon if self.clock is None else self.clock

    @property
    def profit(self) -> int:
        """Micro-dollars."""
        return int(self.decisions[:, REWARD].sum())

    @property
    def objective(self) -> int:
        """What an episode that ends so must report: profit less the cost of lost and waiting passengers and homing."""
        settings = self.settings
        if settings.lost_cost == settings.wait_cost == 0 and not settings.home:
            return self.profit
        arrived, taken, left = self.passengers[:, ARRIVED], self.passengers[:, TAKEN], self.passengers[:, LEFT]
        until = np.maximum(taken, left)  # those who are still there pay when the day ends
        until[until < 0] = self.end if self.clock is None else arrived[until < 0]
        unserved = settings.lost_cost * int((left >= 0).sum())
        return self.profit - unserved - settings.wait_cost * int((until - arrived).sum()) // 3600 - self._homing_cost()

    def _homing_cost(self) -> int:
        """What the cheapest flights that bring the fleet back cost, once the day has ended."""
        if not self.settings.home or self.clock is not None:
            return 0
        from scipy.optimize import linear_sum_assignment  # only here: few ask for it, and it takes long to import
        from scipy.sparse.csgraph import shortest_path

        instance = self.instance
        cost = np.where(instance.flyable, instance.cost, _NO_WAY)
        np.fill_diagonal(cost, 0)
        cost = shortest_path(cost.astype(np.float64), method="D")
        place = instance.start_vertiport.copy()
        for row in self.flights.tolist():
            place[row[AIRCRAFT]] = row[TO]
        ways = np.minimum(cost, _NO_WAY)[np.ix_(place, instance.start_vertiport)]
        return round(float(ways[linear_sum_assignment(ways)].sum()))

    @cached_property
    def flights(self) -> NDArray[np.int64]:
        """int64 [F, 11], the decisions to fly."""
        return self.decisions[self.decisions[:, FROM] != self.decisions[:, TO]]

    @cached_property
    def stands(self) -> list[Stand]:
        """Every stand that is taken, by aircraft and time; those reserved for an aircraft that still flies as well."""
        found = []
        for a in range(self.instance.num_aircraft):
            at, begin, landed = int(self.instance.start_vertiport[a]), 0, 0
            for row in self.flights[self.flights[:, AIRCRAFT] == a].tolist():
                found.append(Stand(a, at, begin, landed, row[ENTRY]))
                at, begin, landed = row[TO], row[TIME], row[READY]
            found.append(Stand(a, at, begin, landed, None))
        return found

    @cached_property
    def passengers(self) -> NDArray[np.int64]:
        """int64 [P, 5], (from, to, arrived at, boarded at or -1, left unserved at or -1) of those who came by the end.

        By pair and arrival. Who waits at the end has two -1.
        """
        n, patience = self.instance.num_vertiports, self.instance.patience
        rows: list[tuple[int, int, int, int, int]] = []
        for i in range(n):
            for j in range(n):
                times = self.day.arrivals[i * n + j]
                times = times[times <= self.end].tolist()
                flights = self.flights[(self.flights[:, FROM] == i) & (self.flights[:, TO] == j)]
                taken, first = [-1] * len(times), 0
                for t, boarded in flights[:, [TIME, BOARDED]].tolist():
                    while first < len(times) and times[first] + patience < t:
                        first += 1
                    for p in range(first, min(first + boarded, len(times))):
                        taken[p] = t
                    first += boarded
                for arrived, boarded_at in zip(times, taken, strict=True):
                    gone = arrived + patience
                    rows.append((i, j, arrived, boarded_at, gone if boarded_at < 0 and gone < self.end else -1))
        return np.array(rows, dtype=np.int64).reshape(-1, 5)

    def metrics(self) -> dict[str, Any]:
        """What tables show beside the profit, all from the log; what is said of flights is None where there is none."""
        instance, flights, passengers = self.instance, self.flights, self.passengers
        served, count = int(flights[:, BOARDED].sum()), len(flights)
        waits = (passengers[:, TAKEN] - passengers[:, ARRIVED])[passengers[:, TAKEN] >= 0]
        origin, t = flights[:, FROM], flights[:, TIME]
        delay = self.day.delay[origin, t // _DELAY_SLOT]
        hold = flights[:, ENTRY] - t - instance.vehicle.board - delay
        way = instance.cruise[origin, flights[:, TO]] + instance.vehicle.unload
        hold = hold + flights[:, READY] - flights[:, ENTRY] - way  # for a corridor, and for a landing pad
        air = np.minimum(flights[:, READY], self.end) - np.minimum(flights[:, ENTRY], self.end)
        fare = instance.fare[origin, flights[:, TO], t // _INTERVAL]
        revenue = _CENT * int((flights[:, BOARDED] * fare).sum())
        end = max(self.end, 1)
        return {
            "profit_usd": self.profit / 1e6,
            "revenue_usd": revenue / 1e6,
            "cost_usd": (revenue - self.profit) / 1e6,
            "arrivals": len(passengers),
            "served": served,
            "lost": int((passengers[:, LEFT] >= 0).sum()),
            "served_share": served / len(passengers) if len(passengers) else None,
            "flights": count,
            "empty_flights": int((flights[:, BOARDED] == 0).sum()),
            "load_factor": served / (instance.vehicle.seats * count) if count else None,
            "energy_kwh": float((flights[:, ENERGY_BEFORE] - flights[:, ENERGY_AFTER]).sum() / _KWH),
            "charged_kwh": float(self.charges[:, JOULES].sum() / _KWH),
            "mean_wait": float(waits.mean()) if len(waits) else None,
            "mean_delay": float(delay.mean()) if count else None,
            "mean_hold": float(hold.mean()) if count else None,
            "airborne_share": float(air.sum() / (end * instance.num_aircraft)),
            "charger_share": self._charger_share(end),
            "decisions": len(self.decisions),
        }

    def _charger_share(self, end: int) -> float | None:
        chargers = int(self.instance.network.chargers.sum())
        used = int((self.charges[:, UNPLUGGED] - self.charges[:, PLUGGED]).sum())
        return used / (end * chargers) if chargers else None

    # --- for spreadsheets and viewers ---------------------------------------------------------------------------------

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """The flights in the order of decision, for a spreadsheet: a header, and a row each."""
        header = [
            "decided",
            "aircraft",
            "from",
            "to",
            "boarded",
            "entry",
            "corridor",
            "ready",
            "kwh_before",
            "kwh_after",
        ]
        ids, rows = self.instance.network.ids, []
        for t, a, i, j, boarded, entry, corridor, ready, before, after, reward in self.flights.tolist():
            energy = [round(before / _KWH, 3), round(after / _KWH, 3)]
            rows.append([t, a, ids[i], ids[j], boarded, entry, corridor, ready, *energy, reward / 1e6])
        return [*header, "reward_usd"], rows

    def trace(self) -> dict[str, Any]:
        """The day in Chrome's trace event format, as plain data for JSON (see `trace.trace`)."""
        from .trace import trace

        return trace(self)

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The schedule, its network and its day as plain data for JSON; rows of the tables as lists."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "day": day_document(self.instance, self.day),
            "settings": _settings_document(self.settings),
            "log": self.decisions.tolist(),
            "charges": self.charges.tolist(),
            "clock": self.clock,
        }

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> AirSchedule:
        """Read what `to_dict` wrote; `source` (a path) begins the messages.

        The form is checked here, the meaning by ``validity.validate``.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        document = require_keys("the schedule", check_header(data, FORMAT, (VERSION,), source), _KEYS, (), source)
        instance = read_day(document["day"], source)
        assert instance.day is not None
        decisions = _read_rows("log", document["log"], LOG_KEYS, source)
        charges = _read_rows("charges", document["charges"], CHARGE_KEYS, source)
        clock = document["clock"]
        if clock is not None:
            clock = require_integer("clock", clock, 0, instance.horizon, source)
        settings = _read_settings(document["settings"], source)
        return cls(instance, instance.day, decisions, charges, settings, clock)

    def save_log(self, path: str | Path) -> None:
        """Write the log alone as JSON lines, the decisions and then the charge intervals, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, log_lines(self.decisions, self.charges, self.instance.network.ids))

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> AirSchedule:
        """Read a file that `save` wrote.

        Raises:
            UserError: the file cannot be read or is not JSON, or a field is missing, unknown or malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))


def _read_rows(field: str, data: object, columns: Sequence[str], source: str | None) -> NDArray[np.int64]:
    rows = require_list(field, data, source)
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for r, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise FieldError(f"{field}[{r}]", row, f"a list of {len(columns)} integers: {', '.join(columns)}", source)
        for c, value in enumerate(row):
            table[r, c] = require_integer(f"{field}[{r}] {columns[c]}", value, -_MOST, _MOST, source)
    return table


def _settings_document(settings: AirSettings) -> dict[str, Any]:
    """As a file has them; of landing pads it says nothing where they are not few, as before there were any."""
    document = asdict(settings)
    if settings.pads == 0:
        del document["pads"]
    return document


def _read_settings(data: object, source: str | None) -> AirSettings:
    needed = [each.name for each in fields(AirSettings) if each.name != "pads"]
    entry = require_keys("settings", data, needed, ("pads",), source)
    for name in ("taper", "refill", "home"):
        if not isinstance(entry[name], bool):
            raise FieldError(f"settings.{name}", entry[name], "true or false", source)
    if entry["tariff"] not in TARIFFS:
        raise FieldError("settings.tariff", entry["tariff"], "'flat' or 'peak'", source)
    for name in ("lost_cost", "wait_cost"):
        require_integer(f"settings.{name}", entry[name], 0, _MOST, source)
    if "pads" in entry:
        require_integer("settings.pads", entry["pads"], 0, _MOST_PADS, source)
    return AirSettings(**entry)
