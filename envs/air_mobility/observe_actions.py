"""Writes what rules and scorers look at: the action slots and the features of the whole."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .dynamics import INTERVAL, boardable, charged, cost_of, energy_now
from .observation import (
    ACTION_COLUMNS,
    AGE_UNIT,
    CHARGERS_UNIT,
    DELAY_UNIT,
    DEMAND_UNIT,
    FARE_UNIT,
    HOUR,
    HOUR_UNIT,
    K_ACTION_NODES,
    K_ACTIONS,
    K_GLOBALS,
    K_MASK,
    MONEY_UNIT,
    OUT_UNIT,
    PAIR_MILES,
    QUEUE_UNIT,
    RATE_UNIT,
    STANDS_UNIT,
    STAYS_UNIT,
    TOTAL_UNIT,
    WAITING_UNIT,
    share,
    signed,
    wide,
    worth_of,
)
from .state import (
    AIRBORNE,
    AIRCRAFT,
    BOARD,
    CHARGERS,
    CRUISE,
    DECIDER,
    DELAY_MEAN,
    DEMAND_LEVEL,
    DISTANCE,
    ENERGY,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    HEAD,
    HORIZON,
    INBOUND,
    INSTANCE,
    LEGAL,
    LEGAL_ACTION,
    NEED,
    NONE,
    OCCUPIED,
    PER_BATTERY,
    PLACE,
    PLUGGED,
    QUEUED,
    RUNNING,
    SEATS,
    SINCE,
    STANDING,
    STANDS,
    STATUS,
    STAY,
    STAYS,
    STORED,
    TAIL,
    TIME,
    UNLOAD,
    VERTIPORTS,
    WAITING,
    WAITING_OUT,
)

INTERVALS = 48
MICRO = 1e-6
TURN = 2.0 * np.pi / 43_200.0
_PER_MONEY, _PER_FARE = MICRO / MONEY_UNIT, MICRO / FARE_UNIT


@compiled
def value_of(problem, state, i, row, v, t):
    """$ that one more aircraft may earn at v in the hour from t on, shared with the aircraft that are or come there."""
    k = t // INTERVAL
    if k >= INTERVALS:
        return 0.0
    return problem.worth[row[FIRST_VERTIPORT] + v, k] / max(1, state.vertiport[i, v, OCCUPIED])


@compiled
def write_actions(problem, state, view, i):
    """The action slots and the global features of copy i."""
    clock, offsets = state.clock[i], view.offsets
    row = problem.instance[clock[INSTANCE]]
    room = state.reason.shape[1]
    if clock[STATUS] != RUNNING:
        for j in range(room):
            view.bytes[i, offsets[K_MASK] + j] = 0
            view.integers[i, offsets[K_ACTION_NODES] + 2 * j + 1] = NONE
        for word in range(offsets[K_ACTIONS], offsets[K_ACTIONS] + room * ACTION_COLUMNS):
            view.floats[i, word] = 0.0
        write_globals(problem, state, view, i, row, 0, 0.0, 0.0)
        return
    a, n = clock[DECIDER], row[VERTIPORTS]
    here = state.aircraft[i, a, PLACE]
    best = np.int64(0)
    k = clock[TIME] // INTERVAL
    for j in range(n):
        if state.reason[i, j] == LEGAL_ACTION and j != here:
            p = here * n + j
            data = row[FIRST_PAIR] + p
            best = max(best, boardable(problem, state, i, p) * problem.fare[data, k] - cost_of(problem, data, k))
    stay_value = value_of(problem, state, i, row, here, clock[TIME] + row[STAY])
    energy = energy_now(problem, state, i, a)
    for j in range(n):
        legal = state.reason[i, j] == LEGAL_ACTION
        view.bytes[i, offsets[K_MASK] + j] = legal
        view.integers[i, offsets[K_ACTION_NODES] + 2 * j + 1] = a
        at = offsets[K_ACTIONS] + j * ACTION_COLUMNS
        out = view.floats[i, at : at + ACTION_COLUMNS]
        if not legal:
            for column in range(ACTION_COLUMNS):
                out[column] = 0.0
        elif j == here:
            write_stay(problem, state, i, out, row, a, here, energy, best, stay_value)
        else:
            write_flight(problem, state, i, out, row, here, j, energy, best, stay_value)
    write_globals(problem, state, view, i, row, energy, best * _PER_MONEY, stay_value)


@compiled
def write_place(problem, state, i, out, row, v, coming):
    """What both kinds of slots tell of the vertiport where the aircraft will be.

    Args:
        coming: 1 if its stand must still be reserved, 0 if it stands there.
    """
    place, data = state.vertiport[i, v], problem.vertiport[row[FIRST_VERTIPORT] + v]
    per_stand = 1.0 / data[STANDS]
    out[12] = share((place[OCCUPIED] + coming) * per_stand)
    out[13] = wide((data[STANDS] - place[OCCUPIED]) / STANDS_UNIT)
    out[14] = share(place[INBOUND] * per_stand)
    out[15] = share(place[STANDING] * per_stand)
    out[16] = signed((data[CHARGERS] - place[PLUGGED] - place[QUEUED]) / CHARGERS_UNIT)
    out[17] = data[CHARGERS] > 0
    out[27] = wide(place[WAITING_OUT] / WAITING_UNIT)


@compiled
def write_demand(problem, state, i, out, row, v, t, value, stay_value):
    """What both kinds of slots tell of the demand at the vertiport where the aircraft will be at t."""
    k = min(t // INTERVAL, INTERVALS - 1)
    place = state.vertiport[i, v]
    expected = problem.out_rate[row[FIRST_VERTIPORT] + v, k]
    out[10] = worth_of(value)
    out[11] = worth_of(value - stay_value)
    out[25] = wide(expected / OUT_UNIT)
    out[29] = wide((place[WAITING_OUT] + expected) / (QUEUE_UNIT * row[SEATS] * max(1, place[OCCUPIED])))
    out[30] = share((row[HORIZON] - t) / 43_200.0)


@compiled
def write_stay(problem, state, i, out, row, a, here, energy, best, stay_value):
    """The slot of staying."""
    per_battery = problem.measure[state.clock[i, INSTANCE], PER_BATTERY]
    for column in range(ACTION_COLUMNS):
        out[column] = 0.0
    out[0] = 1.0
    out[9] = wide(best * _PER_MONEY)
    write_place(problem, state, i, out, row, here, 0)
    after, aircraft = energy, state.aircraft[i, a]
    if aircraft[SINCE] >= 0:
        after = charged(problem, row, aircraft[STORED], state.clock[i, TIME] + row[STAY] - aircraft[SINCE])
    out[18] = share(after * per_battery)
    own = problem.pair[row[FIRST_PAIR] + here * row[VERTIPORTS] + here]
    least = own[NEED] - own[ENERGY]  # reserve and escape
    out[19] = share((after - least) * per_battery)
    out[21] = row[STAY] / HOUR
    write_demand(problem, state, i, out, row, here, state.clock[i, TIME] + row[STAY], stay_value, stay_value)


@compiled
def write_flight(problem, state, i, out, row, here, j, energy, best, stay_value):
    """The slot of a legal flight from here to j."""
    n, now = row[VERTIPORTS], state.clock[i, TIME]
    p, q = row[FIRST_PAIR] + here * n + j, row[FIRST_PAIR] + j * n + here
    data, queue, back = problem.pair[p], state.pair[i, here * n + j], state.pair[i, j * n + here]
    per_battery = problem.measure[state.clock[i, INSTANCE], PER_BATTERY]
    k = now // INTERVAL
    waiting, fare, cost = queue[TAIL] - queue[HEAD], problem.fare[p, k], cost_of(problem, p, k)
    boarded = min(waiting, row[SEATS])
    profit = boarded * fare - cost
    arrival = now + row[BOARD] + data[CRUISE] + row[UNLOAD]
    later = min(arrival // INTERVAL, INTERVALS - 1)
    out[0] = 0.0
    out[1] = signed(profit * _PER_MONEY)
    out[2] = boarded / row[SEATS]
    out[3] = wide(waiting / QUEUE_UNIT)
    out[4] = share((now - state.second[i, queue[HEAD]]) / AGE_UNIT) if waiting > 0 else 0.0
    out[5] = wide(fare * _PER_FARE)
    out[6] = wide(problem.fare[p, min(k + 1, INTERVALS - 1)] * _PER_FARE)
    out[7] = wide(cost * _PER_FARE)
    out[8] = signed((row[SEATS] * fare - cost) * _PER_MONEY)
    out[9] = wide((best - profit) * _PER_MONEY)
    write_place(problem, state, i, out, row, j, 1)
    out[18] = share((energy - data[ENERGY]) * per_battery)
    out[19] = share((energy - data[NEED]) * per_battery)
    out[20] = wide(data[DISTANCE] / (100.0 * PAIR_MILES))
    out[21] = wide((arrival - now + problem.vertiport[row[FIRST_VERTIPORT] + here, DELAY_MEAN]) / HOUR)
    out[22] = wide(problem.rate[p, k] / RATE_UNIT)
    out[23] = wide(problem.hour_rate[p, k] / HOUR_UNIT)
    out[24] = wide(problem.hour_rate[q, later] / HOUR_UNIT)
    out[26] = wide(problem.fare[q, later] * _PER_FARE)
    out[28] = wide((back[TAIL] - back[HEAD]) / QUEUE_UNIT)
    value = value_of(problem, state, i, row, j, arrival)
    write_demand(problem, state, i, out, row, j, arrival, value, stay_value)


@compiled
def write_globals(problem, state, view, i, row, energy, best, stay_value):
    """The features of the whole."""
    clock, measure = state.clock[i], problem.measure[state.clock[i, INSTANCE]]
    out = view.floats[i, view.offsets[K_GLOBALS] :]
    n, now, a = row[VERTIPORTS], clock[TIME], clock[DECIDER]
    running = clock[STATUS] == RUNNING
    k = min(now // INTERVAL, INTERVALS - 1)
    expected = 0.0
    for v in range(n):
        expected += problem.out_rate[row[FIRST_VERTIPORT] + v, k]
    out[0] = share(now / 43_200.0)
    out[1] = np.sin(now * TURN)
    out[2] = np.cos(now * TURN)
    out[3] = share(energy * measure[PER_BATTERY])
    out[4] = wide(state.aircraft[i, a, STAYS] / STAYS_UNIT) if running else 0.0
    out[5] = share(clock[AIRBORNE] / row[AIRCRAFT])
    out[6] = wide(clock[WAITING] / TOTAL_UNIT)
    out[7] = clock[LEGAL] / n if running else 0.0
    out[8] = wide(measure[DEMAND_LEVEL])
    out[9] = wide(expected / (DEMAND_UNIT * row[AIRCRAFT]))
    out[10] = wide(best)
    out[11] = worth_of(stay_value)
    out[12] = 0.0
    out[13] = 0.0
    if running:
        here = state.aircraft[i, a, PLACE]
        data = problem.vertiport[row[FIRST_VERTIPORT] + here]
        out[12] = share(state.vertiport[i, here, OCCUPIED] / data[STANDS])
        out[13] = wide(data[DELAY_MEAN] / DELAY_UNIT)
