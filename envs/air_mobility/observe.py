"""Writes observations: all of one at the beginning of an episode, then what may have changed."""

from __future__ import annotations

from ..core.compile import compiled
from .dynamics import INTERVAL, energy_now
from .observation import (
    AGE_UNIT,
    AIRCRAFT_COLUMNS,
    CHARGERS_UNIT,
    CLOSURE_UNIT,
    COUNT_UNIT,
    DELAY_UNIT,
    FARE_UNIT,
    HOUR,
    HOUR_UNIT,
    K_ACTION_NODES,
    K_ACTIONS,
    K_AIRCRAFT,
    K_AIRCRAFT_MASK,
    K_AT,
    K_PAIR,
    K_PAIRS,
    K_SERIES,
    K_VERTIPORT,
    K_VERTIPORT_MASK,
    MILES_UNIT,
    PAIR_COLUMNS,
    PAIR_MILES,
    QUEUE_UNIT,
    SERIES_FEATURES,
    SERIES_STEPS,
    STANDS_UNIT,
    VERTIPORT_COLUMNS,
    WAITING_UNIT,
    WRITTEN_INTERVAL,
    share,
    signed,
    wide,
)
from .observe_actions import INTERVALS, MICRO, write_actions
from .state import (
    AIRCRAFT,
    BOARD,
    BOARDS,
    CHARGERS,
    CLOSED_UNTIL,
    CLOSURE_SHOWN,
    DECIDED,
    DECIDER,
    DELAY_MEAN,
    DISTANCE,
    ENERGY,
    ENTRY,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    FLIES,
    FLYABLE,
    HEAD,
    INBOUND,
    INSTANCE,
    KIND,
    LANDINGS,
    NEXT,
    NONE,
    OCCUPIED,
    ORIGIN,
    PER_BATTERY,
    PHASE,
    PLACE,
    PLUGGED,
    QUEUE_SHOWN,
    QUEUED,
    READY,
    RUNNING,
    SHOWN,
    SINCE,
    STANDING,
    STANDS,
    STANDS_BY,
    STATUS,
    TAIL,
    TICKET,
    TIME,
    VERTIPORTS,
    WAITING_IN,
    WAITING_OUT,
)

SERIES_WIDTH = len(SERIES_FEATURES)


@compiled
def write_blank(problem, state, view, i):
    """An observation with nothing but what never changes."""
    integers, offsets = view.integers[i], view.offsets
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, room, fleet_room = row[VERTIPORTS], state.reason.shape[1], state.due.shape[1]
    for word in range(len(integers)):
        integers[word] = 0
    for word in range(offsets[K_PAIRS], offsets[K_PAIRS] + 2 * room * room):
        integers[word] = NONE
    for word in range(offsets[K_AT], offsets[K_AT] + 2 * fleet_room):
        integers[word] = NONE
    for word in range(offsets[K_ACTION_NODES], offsets[K_ACTIONS]):
        integers[word] = NONE
    for v in range(n):
        view.bytes[i, offsets[K_VERTIPORT_MASK] + v] = 1
        integers[offsets[K_ACTION_NODES] + 2 * v] = v
        at = offsets[K_VERTIPORT] + v * VERTIPORT_COLUMNS
        out, data = view.floats[i, at : at + VERTIPORT_COLUMNS], problem.vertiport[row[FIRST_VERTIPORT] + v]
        out[0] = signed(problem.position[row[FIRST_VERTIPORT] + v, 0] / MILES_UNIT)
        out[1] = signed(problem.position[row[FIRST_VERTIPORT] + v, 1] / MILES_UNIT)
        out[2 + data[KIND]] = 1.0
        out[5] = wide(data[STANDS] / STANDS_UNIT)
        out[6] = wide(data[CHARGERS] / CHARGERS_UNIT)
        out[7] = wide(data[DELAY_MEAN] / DELAY_UNIT)
        for w in range(n):
            if v != w:
                write_new_pair(problem, state, view, i, row, v, w)
    for a in range(row[AIRCRAFT]):
        view.bytes[i, offsets[K_AIRCRAFT_MASK] + a] = 1
        integers[offsets[K_AT] + a] = a
    view.memo[i, WRITTEN_INTERVAL] = NONE


@compiled
def write_new_pair(problem, state, view, i, row, v, w):
    """What never changes of the edge from v to w."""
    room, offsets = state.reason.shape[1], view.offsets
    slot = v * room + w
    state.pair[i, v * row[VERTIPORTS] + w, SHOWN] = 0
    view.integers[i, offsets[K_PAIRS] + slot] = v
    view.integers[i, offsets[K_PAIRS] + room * room + slot] = w
    at = offsets[K_PAIR] + slot * PAIR_COLUMNS
    out, data = view.floats[i, at : at + PAIR_COLUMNS], problem.pair[row[FIRST_PAIR] + v * row[VERTIPORTS] + w]
    out[0] = data[FLYABLE]
    out[1] = wide(data[DISTANCE] / (100.0 * PAIR_MILES))
    out[2] = wide(data[ENERGY] * problem.measure[state.clock[i, INSTANCE], PER_BATTERY])
    out[3] = 1.0


@compiled
def update_observation(problem, state, view, i):
    """Bring copy i's observation up to date."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    write_actions(problem, state, view, i)
    write_vertiports(problem, state, view, i, row)
    write_pairs(problem, state, view, i, row)
    write_aircraft(problem, state, view, i, row)
    write_series(problem, state, view, i, row)


@compiled
def write_vertiports(problem, state, view, i, row):
    """What changes of the vertiports."""
    clock = state.clock[i]
    here = state.aircraft[i, clock[DECIDER], PLACE] if clock[STATUS] == RUNNING else NONE
    for v in range(row[VERTIPORTS]):
        place, data = state.vertiport[i, v], problem.vertiport[row[FIRST_VERTIPORT] + v]
        at = view.offsets[K_VERTIPORT] + v * VERTIPORT_COLUMNS
        out, per_stand = view.floats[i, at : at + VERTIPORT_COLUMNS], 1.0 / data[STANDS]
        out[8] = share(place[OCCUPIED] * per_stand)
        out[9] = share(place[STANDING] * per_stand)
        out[10] = share(place[INBOUND] * per_stand)
        out[11] = share(place[PLUGGED] / max(1, data[CHARGERS]))
        out[12] = wide(place[QUEUED] / CHARGERS_UNIT)
        out[13] = wide(place[WAITING_OUT] / WAITING_UNIT)
        out[14] = wide(place[WAITING_IN] / WAITING_UNIT)
        out[15] = v == here


@compiled
def write_pairs(problem, state, view, i, row):
    """What changes of the edges between vertiports: queues and closures; with the quarter hour forecast and fare."""
    clock, room, n = state.clock[i], state.reason.shape[1], row[VERTIPORTS]
    now = clock[TIME]
    k = min(now // INTERVAL, INTERVALS - 1)
    if view.memo[i, WRITTEN_INTERVAL] != k:
        view.memo[i, WRITTEN_INTERVAL] = k
        write_prices(problem, view, i, row, room, k)
    for p in range(n * n):
        pair = state.pair[i, p]
        waiting, left, shown = pair[TAIL] - pair[HEAD], pair[CLOSED_UNTIL] - now, pair[SHOWN]
        if waiting == 0 and left <= 0 and shown == 0:
            continue
        at = view.offsets[K_PAIR] + (p // n * room + p % n) * PAIR_COLUMNS
        out = view.floats[i, at : at + PAIR_COLUMNS]
        pair[SHOWN] = 0
        if waiting > 0:
            out[5] = wide(waiting / QUEUE_UNIT)
            out[6] = share((now - state.second[i, pair[HEAD]]) / AGE_UNIT)
            pair[SHOWN] += QUEUE_SHOWN
        elif shown & QUEUE_SHOWN:
            out[5] = 0.0
            out[6] = 0.0
        if left > 0:
            out[3] = 0.0
            out[4] = wide(left / CLOSURE_UNIT)
            pair[SHOWN] += CLOSURE_SHOWN
        elif shown & CLOSURE_SHOWN:
            out[3] = 1.0
            out[4] = 0.0


@compiled
def write_prices(problem, view, i, row, room, k):
    """Fares and forecasts of a quarter hour."""
    n = row[VERTIPORTS]
    for v in range(n):
        for w in range(n):
            if v != w:
                data = row[FIRST_PAIR] + v * n + w
                at = view.offsets[K_PAIR] + (v * room + w) * PAIR_COLUMNS
                view.floats[i, at + 7] = wide(problem.fare[data, k] * (MICRO / FARE_UNIT))
                view.floats[i, at + 8] = wide(problem.hour_rate[data, k] / HOUR_UNIT)


@compiled
def write_aircraft(problem, state, view, i, row):
    """The aircraft, and where they are."""
    clock, offsets, fleet_room = state.clock[i], view.offsets, state.due.shape[1]
    now = clock[TIME]
    decider = clock[DECIDER] if clock[STATUS] == RUNNING else NONE
    per_battery = problem.measure[clock[INSTANCE], PER_BATTERY]
    for a in range(row[AIRCRAFT]):
        one = state.aircraft[i, a]
        at = offsets[K_AIRCRAFT] + a * AIRCRAFT_COLUMNS
        out, phase, place = view.floats[i, at : at + AIRCRAFT_COLUMNS], one[PHASE], one[PLACE]
        view.integers[i, offsets[K_AT] + fleet_room + a] = place
        out[0] = signed(problem.position[row[FIRST_VERTIPORT] + place, 0] / MILES_UNIT)
        out[1] = signed(problem.position[row[FIRST_VERTIPORT] + place, 1] / MILES_UNIT)
        out[2] = share(energy_now(problem, state, i, a) * per_battery)
        for kind in range(4):
            out[3 + kind] = phase == STANDS_BY + kind
        out[7] = one[SINCE] >= 0
        out[8] = one[TICKET] >= 0
        due = one[READY] if phase == FLIES else one[NEXT]
        if phase == BOARDS:
            mean = problem.vertiport[row[FIRST_VERTIPORT] + one[ORIGIN], DELAY_MEAN]
            due = max(now, one[DECIDED] + row[BOARD] + mean) + one[READY] - one[ENTRY]
        out[9] = wide((due - now) / HOUR)
        out[10] = wide(one[LANDINGS] / COUNT_UNIT)
        out[11] = a == decider


@compiled
def write_series(problem, state, view, i, row):
    """Forecasts and fares of the coming hours, of each vertiport as seen from the decider's."""
    clock, n = state.clock[i], row[VERTIPORTS]
    width = SERIES_STEPS * SERIES_WIDTH
    out = view.floats[i, view.offsets[K_SERIES] :]
    if clock[STATUS] != RUNNING:
        for word in range(n * width):
            out[word] = 0.0
        return
    here, first = state.aircraft[i, clock[DECIDER], PLACE], clock[TIME] // INTERVAL * SERIES_WIDTH
    for j in range(n):
        pair = row[FIRST_PAIR] + here * n + j
        for word in range(width):
            out[j * width + word] = problem.series[pair, first + word]
