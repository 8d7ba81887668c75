"""The best rest of one aircraft's day among the others' flights, by labels in order of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.dynamics import HALF_HOUR, charged
from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.state import (
    BATTERY,
    BOARD,
    CHARGERS,
    CRUISE,
    ENERGY,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    FLYABLE,
    HORIZON,
    NEED,
    NEVER,
    NONE,
    OPT_REFILL,
    STAY,
    UNLOAD,
    VERTIPORTS,
)
from ...envs.core.compile import compiled
from .traffic import add_flight, entry_of, gain_of, occupy, place_of

BUCKET = 120
"""Seconds within which labels of a vertiport are compared, at most."""
KEEP = 2
"""Labels of a vertiport and bucket that are kept."""
WHEN, WHERE, STORED, SINCE, LANDED, GAIN, PARENT, NUM_LABEL = range(8)
"""Columns of a label, a decision that falls due: time, vertiport, energy in the battery as of SINCE, when it is plugged
in (`NEVER`: not), landings so far, what has been gained since the first label, µ$, the label before it (`NONE`)."""
FLIES_AT, FLIES_FROM, FLIES_TO, NUM_HOP = range(4)
"""Columns of a flight of a route."""


class Labels(NamedTuple):
    """Room for the labels of one aircraft's day."""

    filled: NDArray[np.int64]  # [vertiports * buckets], how many, bucket by bucket
    label: NDArray[np.int64]  # [vertiports * buckets * KEEP, NUM_LABEL]
    hop: NDArray[np.int64]  # [landings, NUM_HOP], the route found, its last flight first
    width: NDArray[np.int64]  # [1], seconds of a bucket: no decision falls into the bucket of the one before


def no_labels(instance: AirInstance) -> Labels:
    """Room for the labels of an instance."""
    vehicle = instance.vehicle
    shortest = max(1, vehicle.board + vehicle.unload + int(instance.cruise[instance.flyable].min()))
    bucket = min(BUCKET, shortest, vehicle.stay)
    cells = instance.num_vertiports * (instance.horizon // bucket + 1)
    return Labels(
        np.zeros(cells, dtype=np.int64),
        np.zeros((cells * KEEP, NUM_LABEL), dtype=np.int64),
        np.zeros((instance.horizon // shortest + 2, NUM_HOP), dtype=np.int64),
        np.full(1, bucket, dtype=np.int64),
    )


@compiled
def energy_at(problem, row, stored, since, t):
    """Energy at t of a battery that has been charged since some second."""
    return stored if t <= since else charged(problem, row, stored, t - since)


@compiled
def plugged_from(problem, row, traffic, v, t, stored):
    """When an aircraft that is ready at v at t begins to charge; `NEVER` if it does not."""
    if t >= row[HORIZON] or stored >= row[BATTERY] or problem.vertiport[row[FIRST_VERTIPORT] + v, CHARGERS] == 0:
        return np.int64(NEVER)
    return np.int64(traffic.free[v, t])


@compiled
def add_label(problem, row, labels, n, t, v, stored, since, landed, gain, parent):
    """Add a label, unless another of its vertiport and bucket is better; labels that are worse than it make room."""
    cell = t // labels.width[0] * n + v
    first, count = cell * KEEP, labels.filled[cell]
    energy = energy_at(problem, row, stored, since, t)
    kept, poorest, least = np.int64(0), NONE, gain
    for k in range(first, first + count):
        other = labels.label[k]
        has = energy_at(problem, row, other[STORED], other[SINCE], other[WHEN])
        if other[GAIN] >= gain and has >= energy:
            return
        if other[GAIN] <= gain and has <= energy:
            continue
        if kept < k - first:
            for column in range(NUM_LABEL):
                labels.label[first + kept, column] = other[column]
        if other[GAIN] < least:
            poorest, least = first + kept, other[GAIN]
        kept += 1
    place = first + kept
    if kept == KEEP:
        if poorest < 0:
            labels.filled[cell] = kept
            return
        place, kept = poorest, kept - 1
    labels.filled[cell] = kept + 1
    one = labels.label[place]
    one[WHEN], one[WHERE], one[STORED], one[SINCE], one[LANDED] = t, v, stored, since, landed
    one[GAIN], one[PARENT] = gain, parent


@compiled
def leg_of(problem, row, known, traffic, a, landed, energy, v, j, t):
    """One more flight, of aircraft a from v to j, decided at t.

    Returns:
        When it is ready, -1 if it may not fly, when it decides next, and µ$ that the fleet gains.
    """
    none = np.int64(-1), np.int64(-1), np.int64(0)
    horizon, p = row[HORIZON], v * row[VERTIPORTS] + j
    pair = problem.pair[row[FIRST_PAIR] + p]
    if pair[FLYABLE] == 0 or energy < pair[NEED] or known.closed[p, t // HALF_HOUR] != 0:
        return none
    nominal = t + row[BOARD] + pair[CRUISE] + row[UNLOAD]
    if nominal > horizon or traffic.full[j, t] < nominal:
        return none
    f = place_of(traffic, p, t, a)
    entry = entry_of(row, known, traffic, p, f, t)
    if entry < 0 or traffic.full[v, t] < min(entry, horizon):
        return none
    ready = entry + pair[CRUISE] + row[UNLOAD]
    due = ready + (known.down[a, landed] if landed < known.down.shape[1] else 0)
    if traffic.full[j, t] < min(due, horizon):
        return none
    return ready, due, gain_of(problem, row, known, traffic, p, f, t)


@compiled
def find_route(problem, row, known, traffic, labels, a, begin):
    """Find the best rest of aircraft a's day.

    Args:
        labels: their `hop` is written.
        begin: int64 [NUM_LABEL], its first decision.

    Returns:
        What it gains, µ$ (`-NEVER`: there is no stand for it), and the number of flights.
    """
    n, horizon = row[VERTIPORTS], row[HORIZON]
    first, end = begin[WHEN] // labels.width[0] * n, (horizon // labels.width[0] + 1) * n
    for cell in range(first, end):
        labels.filled[cell] = 0
    add_label(problem, row, labels, n, begin[WHEN], begin[WHERE], begin[STORED], begin[SINCE], begin[LANDED], 0, NONE)
    best, last, last_to = np.int64(-NEVER), np.int64(NONE), np.int64(NONE)
    for cell in range(first, end):
        for k in range(cell * KEEP, cell * KEEP + labels.filled[cell]):
            one = labels.label[k]
            t, v, landed, gain = one[WHEN], one[WHERE], one[LANDED], one[GAIN]
            until = traffic.full[v, t]
            if until >= horizon and gain > best:
                best, last, last_to = gain, k, v
            again = t + row[STAY]
            if again < horizon and until >= again:
                add_label(problem, row, labels, n, again, v, one[STORED], one[SINCE], landed, gain, k)
            energy = energy_at(problem, row, one[STORED], one[SINCE], t)
            for j in range(n):
                if j == v:
                    continue
                ready, due, more = leg_of(problem, row, known, traffic, a, landed, energy, v, j, t)
                if ready < 0:
                    continue
                if due >= horizon:
                    if gain + more > best:
                        best, last, last_to = gain + more, k, j
                    continue
                stored = energy - problem.pair[row[FIRST_PAIR] + v * n + j, ENERGY]
                if problem.options[OPT_REFILL] == 1:
                    stored = row[BATTERY]
                since = plugged_from(problem, row, traffic, j, ready, stored)
                add_label(problem, row, labels, n, due, j, stored, since, landed + 1, gain + more, k)
    return best, read_route(labels, last, last_to)


@compiled
def read_route(labels, last, last_to):
    """Write the flights that lead to a label and from it to a last vertiport. Returns how many they are."""
    flights, to, k = np.int64(0), last_to, last
    while k >= 0:
        one = labels.label[k]
        if one[WHERE] != to:
            hop = labels.hop[flights]
            hop[FLIES_AT], hop[FLIES_FROM], hop[FLIES_TO] = one[WHEN], one[WHERE], to
            flights += 1
        to, k = one[WHERE], one[PARENT]
    return flights


@compiled
def add_route(problem, row, known, traffic, labels, flights, a, begin):
    """Let an aircraft fly the route that was found: add what it takes to the traffic."""
    horizon, n = row[HORIZON], row[VERTIPORTS]
    at, v, stored, since, landed = begin[WHEN], begin[WHERE], begin[STORED], begin[SINCE], begin[LANDED]
    for k in range(flights - 1, -1, -1):
        t, to = labels.hop[k, FLIES_AT], labels.hop[k, FLIES_TO]
        p = v * n + to
        pair = problem.pair[row[FIRST_PAIR] + p]
        entry = add_flight(row, known, traffic, p, t, a)
        occupy(traffic.taken, v, at, entry, horizon)
        charge(problem, row, traffic, v, stored, since, t)
        at, ready = t, entry + pair[CRUISE] + row[UNLOAD]
        stored = energy_at(problem, row, stored, since, t) - pair[ENERGY]
        if problem.options[OPT_REFILL] == 1:
            stored = row[BATTERY]
        v, since, landed = to, plugged_from(problem, row, traffic, to, ready, stored), landed + 1
    occupy(traffic.taken, v, at, horizon, horizon)
    charge(problem, row, traffic, v, stored, since, horizon)


@compiled
def charge(problem, row, traffic, v, stored, since, end):
    """Note that an aircraft charges at v until it is full or leaves."""
    if since < end:
        low, high = since, end  # the first second at which the battery is full
        while low < high:
            middle = (low + high) // 2
            if energy_at(problem, row, stored, since, middle) >= row[BATTERY]:
                high = middle
            else:
                low = middle + 1
        occupy(traffic.plugged, v, since, low, row[HORIZON])
