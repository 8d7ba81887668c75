"""What a fleet leaves to one aircraft of it on a known day: passengers, corridors, stands and chargers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.dynamics import DELAY_SLOT, HALF_HOUR, INTERVAL, cost_of
from ...envs.air_mobility.instance import AirDay, AirInstance
from ...envs.air_mobility.state import (
    AIRCRAFT,
    BOARD,
    CHARGE_AIRCRAFT,
    CHARGE_AT,
    CHARGE_BEGIN,
    CHARGE_END,
    CHARGERS,
    CHARGES_LOGGED,
    CORRIDORS,
    FIRST_AIRCRAFT,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    HORIZON,
    INSTANCE,
    LOG_AIRCRAFT,
    LOG_ENTRY,
    LOG_FROM,
    LOG_TIME,
    LOG_TO,
    LOGGED,
    NEVER,
    OPT_LOST_COST,
    PATIENCE,
    PATIENCE_CORRIDOR,
    SEATS,
    SEPARATION,
    STANDS,
    START_AT,
    VERTIPORTS,
)
from ...envs.air_mobility.world import MAX_DELAY
from ...envs.core.compile import compiled

BIN = 300
"""Seconds for which one entry of `Known.come` stands."""
TIME, WHO, BOARDED, HEAD, ENTRY, CORRIDOR, LAST = range(7)
"""Columns of `Traffic.flight`. HEAD is the first passenger who is still there afterwards, LAST the first of the columns
that say when each corridor was last entered before."""


class Known(NamedTuple):
    """What chance decides of a day, n vertiports and P = n * n pairs."""

    second: NDArray[np.int64]  # [A + 1], when each passenger arrives, pair by pair
    begin: NDArray[np.int64]  # [P + 1], where each pair's passengers begin
    come: NDArray[np.int64]  # [P, bins], the first passenger of each pair who arrives in a bin or later
    delay: NDArray[np.int64]  # [n, 144], of take-offs, s
    down: NDArray[np.int64]  # [M, 64], for how long aircraft are down after each landing, s
    closed: NDArray[np.int64]  # [P, half hours], 1 where a pair is closed


class Traffic(NamedTuple):
    """The flights of a fleet and what they take, second by second up to the horizon H."""

    flights: NDArray[np.int64]  # [P], how many of each pair
    flight: NDArray[np.int64]  # [P, F, LAST + corridors], by time and aircraft
    last: NDArray[np.int64]  # [2, corridors], scratch
    taken: NDArray[np.int16]  # [n, H + 1], by how many the stands taken become more
    plugged: NDArray[np.int16]  # [n, H + 1], by how many the aircraft that charge become more
    full: NDArray[np.int32]  # [n, H + 1], from each second on, when all stands are taken next; H if never
    free: NDArray[np.int32]  # [n, H + 1], from each second on, when a charger is free next; H if never


def known_day(instance: AirInstance, day: AirDay) -> Known:
    """The tables of a day."""
    n, horizon = instance.num_vertiports, instance.horizon
    begin = np.cumsum([0, *map(len, day.arrivals)])
    bins = BIN * np.arange(-(-horizon // BIN) + 1)
    come = np.stack([np.searchsorted(seconds, bins) for seconds in day.arrivals]) + begin[:-1, None]
    closed = np.zeros((n, n, -(-horizon // HALF_HOUR)), dtype=np.int64)
    for i, j, start, length in day.closures.tolist():
        closed[i, j, start : start + length] = closed[j, i, start : start + length] = 1
    return Known(
        np.concatenate([*day.arrivals, [horizon]]).astype(np.int64),
        begin.astype(np.int64),
        np.ascontiguousarray(come, dtype=np.int64),
        np.ascontiguousarray(day.delay, dtype=np.int64),
        np.ascontiguousarray(day.downtime, dtype=np.int64),
        closed.reshape(n * n, -1),
    )


def no_traffic(instance: AirInstance, decisions: int) -> Traffic:
    """Room for the flights of a day.

    Args:
        decisions: of the fleet at most.
    """
    n, horizon, corridors = instance.num_vertiports, instance.horizon, instance.corridors
    room = decisions
    if instance.separation > 0:  # entries into a corridor lie apart, and none is later than the horizon by more
        room = min(
            decisions, corridors * ((horizon + max(MAX_DELAY, instance.patience_corridor)) // instance.separation + 2)
        )
    second = (n, horizon + 1)
    return Traffic(
        np.zeros(n * n, dtype=np.int64),
        np.zeros((n * n, room, LAST + corridors), dtype=np.int64),
        np.zeros((2, corridors), dtype=np.int64),
        np.zeros(second, dtype=np.int16),
        np.zeros(second, dtype=np.int16),
        np.zeros(second, dtype=np.int32),
        np.zeros(second, dtype=np.int32),
    )


# --- passengers and corridors -----------------------------------------------------------------------------------------


@compiled
def come_by(known, p, t):
    """The first passenger of pair p who arrives after t."""
    if t < 0:
        return known.begin[p]
    at, end = known.come[p, t // BIN], known.begin[p + 1]
    while at < end and known.second[at] <= t:
        at += 1
    return at


@compiled
def first_waiting(known, row, p, head, t):
    """The first passenger of pair p who waits at t, if those before `head` have left."""
    return max(head, come_by(known, p, t - row[PATIENCE] - 1))


@compiled
def oldest(last, corridors):
    """The corridor that was entered longest ago."""
    best = 0
    for c in range(1, corridors):
        if last[c] < last[best]:
            best = c
    return best


@compiled
def entries_before(row, traffic, p, f, last):
    """Write into `last` when each corridor of pair p was last entered before its flight number f is decided."""
    if f == 0:
        for c in range(row[CORRIDORS]):
            last[c] = -NEVER
        return
    before = traffic.flight[p, f - 1]
    for c in range(row[CORRIDORS]):
        last[c] = before[LAST + c]
    last[before[CORRIDOR]] = before[ENTRY]


@compiled
def enter(row, known, p, t, last):
    """Let a flight of pair p that is decided at t choose its corridor. Returns it and the entry, -1 if illegal."""
    c = oldest(last, row[CORRIDORS])
    if last[c] + row[SEPARATION] > t + row[BOARD] + row[PATIENCE_CORRIDOR]:
        return c, np.int64(-1)
    wished = t + row[BOARD] + known.delay[p // row[VERTIPORTS], t // DELAY_SLOT]
    return c, max(wished, last[c] + row[SEPARATION])


@compiled
def run_pair(row, known, traffic, p, first):
    """Find anew who boards pair p's flights from number `first` on, and when they enter their corridors."""
    head = known.begin[p] if first == 0 else traffic.flight[p, first - 1, HEAD]
    for f in range(first, traffic.flights[p]):
        one = traffic.flight[p, f]
        t = one[TIME]
        head = first_waiting(known, row, p, head, t)
        one[BOARDED] = min(row[SEATS], come_by(known, p, t) - head)
        head += one[BOARDED]
        one[HEAD] = head
        last = traffic.last[0]
        entries_before(row, traffic, p, f, last)
        for c in range(row[CORRIDORS]):
            one[LAST + c] = last[c]
        one[CORRIDOR], one[ENTRY] = enter(row, known, p, t, last)


@compiled
def place_of(traffic, p, t, a):
    """How many flights of pair p are decided before aircraft a decides at t."""
    low, high = 0, traffic.flights[p]
    while low < high:
        middle = (low + high) // 2
        time = traffic.flight[p, middle, TIME]
        if time < t or (time == t and traffic.flight[p, middle, WHO] < a):
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def entry_of(row, known, traffic, p, f, t):
    """When one more flight of pair p, its number f, enters its corridor; -1 if it may not or puts off others."""
    last = traffic.last[1]
    entries_before(row, traffic, p, f, last)
    corridor, entry = enter(row, known, p, t, last)
    if entry < 0:
        return entry
    last[corridor] = entry
    for later in range(f, traffic.flights[p]):
        other = traffic.flight[p, later]
        at_hand = True
        for c in range(row[CORRIDORS]):
            at_hand &= last[c] + row[SEPARATION] <= other[TIME] + row[BOARD]
        if at_hand:
            break
        corridor, shifted = enter(row, known, p, other[TIME], last)
        if shifted != other[ENTRY]:
            return np.int64(-1)
        last[corridor] = shifted
    return entry


@compiled
def worth_of(problem, row, p, t, boarded):
    """What passengers of pair p who board at t bring, µ$: the fares, and that they are not lost."""
    return boarded * (problem.fare[row[FIRST_PAIR] + p, t // INTERVAL] + problem.options[OPT_LOST_COST])


@compiled
def gain_of(problem, row, known, traffic, p, f, t):
    """µ$ that one more flight of pair p, its number f, brings to the fleet: later flights find fewer passengers."""
    head = known.begin[p] if f == 0 else traffic.flight[p, f - 1, HEAD]
    head = first_waiting(known, row, p, head, t)
    boarded = min(row[SEATS], come_by(known, p, t) - head)
    gain = worth_of(problem, row, p, t, boarded) - cost_of(problem, row[FIRST_PAIR] + p, t // INTERVAL)
    head += boarded
    if boarded == 0:
        return gain
    for later in range(f, traffic.flights[p]):
        other = traffic.flight[p, later]
        head = first_waiting(known, row, p, head, other[TIME])
        fewer = min(row[SEATS], come_by(known, p, other[TIME]) - head)
        head += fewer
        gain += worth_of(problem, row, p, other[TIME], fewer - other[BOARDED])
        if head == other[HEAD]:
            break
    return gain


@compiled
def profit_of(problem, row, traffic):
    """µ$ that all flights bring."""
    total = np.int64(0)
    for p in range(row[VERTIPORTS] * row[VERTIPORTS]):
        for f in range(traffic.flights[p]):
            one = traffic.flight[p, f]
            total += worth_of(problem, row, p, one[TIME], one[BOARDED])
            total -= cost_of(problem, row[FIRST_PAIR] + p, one[TIME] // INTERVAL)
    return total


# --- who is there -----------------------------------------------------------------------------------------------------


@compiled
def occupy(changes, v, begin, end, horizon):
    """Note that something is taken at v from one second to before another."""
    if begin < min(end, horizon):
        changes[v, begin] += 1
        changes[v, min(end, horizon)] -= 1


@compiled
def add_flight(row, known, traffic, p, t, a):
    """Add a flight of pair p. Returns when it enters its corridor."""
    f = place_of(traffic, p, t, a)
    for later in range(traffic.flights[p], f, -1):
        for column in range(LAST + row[CORRIDORS]):
            traffic.flight[p, later, column] = traffic.flight[p, later - 1, column]
    traffic.flights[p] += 1
    traffic.flight[p, f, TIME], traffic.flight[p, f, WHO] = t, a
    run_pair(row, known, traffic, p, f)
    return traffic.flight[p, f, ENTRY]


@compiled
def take_day(problem, state, i, known, traffic, freed):
    """Take the traffic of copy i's whole day, but for what some aircraft do from some second on.

    Args:
        freed: int64 [M], the seconds at which the aircraft decide and vanish; `NEVER`: not at all.
    """
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, horizon = row[VERTIPORTS], row[HORIZON]
    for v in range(n):
        for t in range(horizon + 1):
            traffic.taken[v, t] = traffic.plugged[v, t] = 0
    for p in range(n * n):
        traffic.flights[p] = 0
    for a in range(row[AIRCRAFT]):
        occupy(traffic.taken, problem.start[row[FIRST_AIRCRAFT] + a, START_AT], 0, freed[a], horizon)
    for at in range(clock[LOGGED]):
        one = state.log[i, at]
        v, w, t, end = one[LOG_FROM], one[LOG_TO], one[LOG_TIME], freed[one[LOG_AIRCRAFT]]
        if v == w or t >= end:
            continue
        # Whoever was to stay at v for ever leaves it, and is to stay at w for ever.
        if one[LOG_ENTRY] < min(horizon, end):
            traffic.taken[v, one[LOG_ENTRY]] -= 1
            traffic.taken[v, min(horizon, end)] += 1
        occupy(traffic.taken, w, t, end, horizon)
        p = v * n + w
        f = traffic.flights[p]
        traffic.flight[p, f, TIME], traffic.flight[p, f, WHO] = t, one[LOG_AIRCRAFT]
        traffic.flights[p] += 1
    for p in range(n * n):
        run_pair(row, known, traffic, p, 0)
    for at in range(clock[CHARGES_LOGGED]):
        one = state.charge[i, at]
        end = min(one[CHARGE_END], freed[one[CHARGE_AIRCRAFT]])
        occupy(traffic.plugged, one[CHARGE_AT], one[CHARGE_BEGIN], end, horizon)


@compiled
def look_ahead(problem, row, traffic, first):
    """Find when stands are full and chargers are free, from a second on."""
    horizon = row[HORIZON]
    for v in range(row[VERTIPORTS]):
        place = problem.vertiport[row[FIRST_VERTIPORT] + v]
        taken, plugged = np.int64(0), np.int64(0)
        for t in range(first):
            taken += traffic.taken[v, t]
            plugged += traffic.plugged[v, t]
        for t in range(first, horizon):
            taken += traffic.taken[v, t]
            plugged += traffic.plugged[v, t]
            traffic.full[v, t] = taken >= place[STANDS]
            traffic.free[v, t] = plugged < place[CHARGERS]
        traffic.full[v, horizon] = traffic.free[v, horizon] = horizon
        full, free = np.int32(horizon), np.int32(horizon)
        for t in range(horizon - 1, first - 1, -1):
            full = np.int32(t) if traffic.full[v, t] else full
            free = np.int32(t) if traffic.free[v, t] else free
            traffic.full[v, t], traffic.free[v, t] = full, free
