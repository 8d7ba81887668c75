"""The transition of urban air mobility: aircraft charge, decide, board, fly and land; passengers come and go.

Every function works on one copy ``i`` of a batch. Events at equal times happen in the order of their kinds (battery
full, corridor entry, ready, decision), then of the aircraft.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .homing import cost_of_homing
from .state import (
    AIR_TIME,
    AIRBORNE,
    AIRCRAFT,
    ARRIVALS,
    BATTERY,
    BATTERY_FULL,
    BEFORE,
    BOARD,
    BOARDS,
    CHARGE_AIRCRAFT,
    CHARGE_AT,
    CHARGE_BEGIN,
    CHARGE_END,
    CHARGE_ENERGY,
    CHARGE_TIME,
    CHARGERS,
    CHARGES_LOGGED,
    CLOSED,
    CLOSED_UNTIL,
    CLOSES_AT,
    CLOSES_FOR,
    CLOSES_FROM,
    CLOSES_TO,
    CLOSURE_COUNT,
    CORRIDOR,
    CORRIDOR_ENTRY,
    CORRIDORS,
    COST,
    CRUISE,
    DECIDED,
    DECIDER,
    DECIDES,
    DELAY,
    DELAY_MEAN,
    DOWN,
    DRAWN_DELAY,
    DRAWN_SLOT,
    EARNED,
    ELECTRIC,
    EMPTY_FLIGHTS,
    END,
    ENERGY,
    ENERGY_CHARGED,
    ENERGY_USED,
    ENTRY,
    FINISHED,
    FIRST_AIRCRAFT,
    FIRST_DELAY,
    FIRST_DOWN,
    FIRST_PAIR,
    FIRST_VERTIPORT,
    FLIES,
    FLIGHTS,
    FLYABLE,
    FULL,
    GIVEN,
    HEAD,
    HOLD_SUM,
    HOMING_COST,
    HORIZON,
    INBOUND,
    INSTANCE,
    IS_READY,
    LANDINGS,
    LATE,
    LEGAL,
    LEGAL_ACTION,
    LOG_AFTER,
    LOG_AIRCRAFT,
    LOG_BEFORE,
    LOG_BOARDED,
    LOG_CORRIDOR,
    LOG_ENTRY,
    LOG_FROM,
    LOG_READY,
    LOG_REWARD,
    LOG_TIME,
    LOG_TO,
    LOGGED,
    LOST,
    LOW_ENERGY,
    MASKED_FIRST,
    NEED,
    NEVER,
    NEXT,
    NEXT_ARRIVAL,
    NEXT_CLOSURE,
    NEXT_LOSS,
    NO_CORRIDOR,
    NO_STAND,
    NOISE,
    NONE,
    NUM_CLOCK,
    NUM_KINDS,
    NUM_PAIR,
    NUM_VERTIPORT,
    OCCUPIED,
    OPT_HOME,
    OPT_LOST_COST,
    OPT_PADS,
    OPT_REFILL,
    OPT_TAPER,
    OPT_WAIT_COST,
    ORIGIN,
    PASSED,
    PATIENCE,
    PATIENCE_CORRIDOR,
    PHASE,
    PLACE,
    PLUGGED,
    POWER,
    PROFIT,
    QUEUED,
    READY,
    RUNNING,
    SEATS,
    SEED,
    SEPARATION,
    SERVED,
    SINCE,
    STANDING,
    STANDS,
    STANDS_BY,
    START_AT,
    START_ENERGY,
    STATUS,
    STAY,
    STAYS,
    STEPS,
    STORED,
    TAIL,
    TICKET,
    TICKETS,
    TIME,
    UNFLYABLE,
    UNLOAD,
    VERTIPORTS,
    WAIT_LEFT,
    WAIT_SUM,
    WAITING,
    WAITING_IN,
    WAITING_OUT,
    WORST,
)
from .world import draw_delay, draw_downtime, draw_world, tell_flight

INTERVAL, HALF_HOUR, DELAY_SLOT = 900, 1800, 300
TAPER_POWER, TAPER_BATTERY = 198_000, 396_000_000
"""Tapered charging fills at most 198 kW times the free share of a battery of 110 kWh, others in proportion."""


# --- energy -----------------------------------------------------------------------------------------------------------


@compiled
def charged(problem, row, energy, seconds):
    """Energy of a battery that has been charged for some time."""
    battery, power = row[BATTERY], row[POWER]
    if problem.options[OPT_TAPER] == 0:
        return min(battery, energy + power * seconds)
    slope = TAPER_POWER * battery / TAPER_BATTERY
    knee = battery * (1.0 - power / slope)
    straight = max(0.0, (knee - energy) / power)
    if seconds <= straight:
        return energy + power * seconds
    return np.int64(battery - (battery - max(knee, energy)) * np.exp(-slope / battery * (seconds - straight)))


@compiled
def energy_now(problem, state, i, a):
    """Energy of an aircraft, J; of one that flies what it lands with."""
    aircraft = state.aircraft[i, a]
    if aircraft[SINCE] < 0:
        return aircraft[STORED]
    clock = state.clock[i]
    return charged(problem, problem.instance[clock[INSTANCE]], aircraft[STORED], clock[TIME] - aircraft[SINCE])


@compiled
def set_due(state, i, a):
    """Note an aircraft's next event."""
    aircraft = state.aircraft[i, a]
    kind = DECIDES
    if aircraft[PHASE] == BOARDS:
        kind = CORRIDOR_ENTRY
    elif aircraft[PHASE] == FLIES:
        kind = IS_READY
    state.due[i, a] = min(NUM_KINDS * aircraft[NEXT] + kind, NUM_KINDS * aircraft[FULL] + BATTERY_FULL)


@compiled
def plug_in(problem, state, i, a):
    """Connect an aircraft to a charger that is free."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = problem.instance[clock[INSTANCE]]
    aircraft[SINCE], aircraft[TICKET] = clock[TIME], NONE
    aircraft[FULL] = NEVER
    if problem.options[OPT_TAPER] == 0:
        missing = row[BATTERY] - aircraft[STORED]
        aircraft[FULL] = clock[TIME] + (missing + row[POWER] - 1) // row[POWER]
    state.vertiport[i, aircraft[PLACE], PLUGGED] += 1
    set_due(state, i, a)


@compiled
def ask_for_charger(problem, state, i, a):
    """Plug in, or queue where no charger is free."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = problem.instance[clock[INSTANCE]]
    v = aircraft[PLACE]
    chargers = problem.vertiport[row[FIRST_VERTIPORT] + v, CHARGERS]
    if chargers == 0 or aircraft[STORED] >= row[BATTERY]:
        return
    if state.vertiport[i, v, PLUGGED] < chargers:
        plug_in(problem, state, i, a)
    else:
        aircraft[TICKET] = clock[TICKETS]
        clock[TICKETS] += 1
        state.vertiport[i, v, QUEUED] += 1


@compiled
def leave_charger(problem, state, i, a):
    """Unplug, or leave the queue; whoever is first in the queue takes a charger that is free then."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    v = aircraft[PLACE]
    if aircraft[TICKET] >= 0:
        aircraft[TICKET] = NONE
        state.vertiport[i, v, QUEUED] -= 1
        return
    if aircraft[SINCE] < 0:
        return
    end_charge(problem, state, i, a)
    state.vertiport[i, v, PLUGGED] -= 1
    if state.vertiport[i, v, QUEUED] > 0:
        first, ticket = NONE, NEVER
        for other in range(problem.instance[clock[INSTANCE], AIRCRAFT]):
            one = state.aircraft[i, other]
            if one[PLACE] == v and 0 <= one[TICKET] < ticket:
                first, ticket = other, one[TICKET]
        state.vertiport[i, v, QUEUED] -= 1
        plug_in(problem, state, i, first)


@compiled
def end_charge(problem, state, i, a):
    """Store what a plugged-in aircraft has charged."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    energy = energy_now(problem, state, i, a)
    length = clock[TIME] - aircraft[SINCE]
    clock[ENERGY_CHARGED] += energy - aircraft[STORED]
    clock[CHARGE_TIME] += length
    if state.charge.shape[1] > 0 and length > 0:
        row = state.charge[i, clock[CHARGES_LOGGED]]
        row[CHARGE_AIRCRAFT], row[CHARGE_AT], row[CHARGE_BEGIN] = a, aircraft[PLACE], aircraft[SINCE]
        row[CHARGE_END], row[CHARGE_ENERGY] = clock[TIME], energy - aircraft[STORED]
        clock[CHARGES_LOGGED] += 1
    aircraft[STORED], aircraft[SINCE], aircraft[FULL] = energy, NONE, NEVER


# --- what happens by itself -------------------------------------------------------------------------------------------


@compiled
def let_passengers_come_and_go(problem, state, i):
    """Bring the queues up to the clock: who arrives now waits, who has waited for longer than the patience is lost."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, now, count = row[VERTIPORTS], clock[TIME], clock[ARRIVALS]
    at = clock[NEXT_ARRIVAL]
    while at < count and state.when[i, at] <= now:
        p = state.order[i, at]
        state.pair[i, p, TAIL] += 1
        state.vertiport[i, p // n, WAITING_OUT] += 1
        state.vertiport[i, p % n, WAITING_IN] += 1
        at += 1
    clock[WAITING] += at - clock[NEXT_ARRIVAL]
    clock[NEXT_ARRIVAL] = at
    out = clock[NEXT_LOSS]
    while out < at and state.when[i, out] + row[PATIENCE] < now:
        p = state.order[i, out]
        pair = state.pair[i, p]
        if pair[HEAD] <= pair[PASSED]:
            pair[HEAD] = pair[PASSED] + 1
            state.vertiport[i, p // n, WAITING_OUT] -= 1
            state.vertiport[i, p % n, WAITING_IN] -= 1
            clock[WAITING] -= 1
            clock[LOST] += 1
        pair[PASSED] += 1
        out += 1
    clock[NEXT_LOSS] = out


@compiled
def let_pairs_close(problem, state, i):
    """Bring the closures up to the clock: their ends are announced when they begin."""
    clock = state.clock[i]
    n = problem.instance[clock[INSTANCE], VERTIPORTS]
    while clock[NEXT_CLOSURE] < clock[CLOSURE_COUNT]:
        row = state.closure[i, clock[NEXT_CLOSURE]]
        if row[CLOSES_AT] * HALF_HOUR > clock[TIME]:
            return
        until = np.int64(row[CLOSES_AT] + row[CLOSES_FOR]) * HALF_HOUR
        there, back = row[CLOSES_FROM] * n + row[CLOSES_TO], row[CLOSES_TO] * n + row[CLOSES_FROM]
        state.pair[i, there, CLOSED_UNTIL] = max(state.pair[i, there, CLOSED_UNTIL], until)
        state.pair[i, back, CLOSED_UNTIL] = max(state.pair[i, back, CLOSED_UNTIL], until)
        clock[NEXT_CLOSURE] += 1


@compiled
def delay_of(problem, state, i, v):
    """Take-off delay of what is decided at vertiport v now: the same for all in a slot of 300 s."""
    clock, place = state.clock[i], state.vertiport[i, v]
    row = problem.instance[clock[INSTANCE]]
    slot = clock[TIME] // DELAY_SLOT
    if place[DRAWN_SLOT] != slot:
        place[DRAWN_SLOT] = slot
        if clock[GIVEN] == 1:
            place[DRAWN_DELAY] = problem.given_delay[row[FIRST_DELAY] + v, slot]
        else:
            mean = problem.vertiport[row[FIRST_VERTIPORT] + v, DELAY_MEAN]
            place[DRAWN_DELAY] = draw_delay(clock[SEED], v, slot, mean, problem.measure[clock[INSTANCE], NOISE])
    return place[DRAWN_DELAY]


@compiled
def downtime_of(problem, state, i, a):
    """For how long an aircraft is down that has just landed."""
    clock = state.clock[i]
    landing = state.aircraft[i, a, LANDINGS]
    if clock[GIVEN] == 1:
        if landing >= problem.given_down.shape[1]:
            return np.int64(0)
        return problem.given_down[problem.instance[clock[INSTANCE], FIRST_DOWN] + a, landing]
    return draw_downtime(clock[SEED], a, landing, problem.measure[clock[INSTANCE], NOISE])


@compiled
def land(problem, state, i, a):
    """An aircraft is ready after its flight: it decides now, or once it is repaired."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    place = state.vertiport[i, aircraft[PLACE]]
    place[INBOUND] -= 1
    place[STANDING] += 1
    down = downtime_of(problem, state, i, a)
    aircraft[LANDINGS] += 1
    aircraft[PHASE] = DOWN if down > 0 else STANDS_BY
    aircraft[NEXT] = clock[TIME] + down
    if problem.options[OPT_REFILL] == 1:
        aircraft[STORED] = problem.instance[clock[INSTANCE], BATTERY]
    ask_for_charger(problem, state, i, a)
    set_due(state, i, a)


@compiled
def take_pad(problem, state, i, a):
    """An aircraft comes down on the landing pad that is free first, first come, first served; until then it waits."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = problem.instance[clock[INSTANCE]]
    pads = state.pad[i, aircraft[PLACE]]
    best = 0
    for p in range(1, problem.options[OPT_PADS]):
        if pads[p] < pads[best]:
            best = p
    ready = max(clock[TIME], pads[best]) + row[UNLOAD]
    clock[HOLD_SUM] += ready - aircraft[READY]
    clock[AIR_TIME] += min(ready, row[HORIZON]) - min(aircraft[READY], row[HORIZON])
    if state.log.shape[1] > 0 and ready > aircraft[READY]:
        k = clock[LOGGED] - 1
        while state.log[i, k, LOG_AIRCRAFT] != a:  # its last decision is this flight
            k -= 1
        state.log[i, k, LOG_READY] = ready
    pads[best] = aircraft[READY] = aircraft[NEXT] = ready
    set_due(state, i, a)


@compiled
def go_on(problem, state, i):
    """Let happen what happens until an aircraft has to decide or the day is over."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    fleet, horizon = row[AIRCRAFT], clock[END]
    while True:
        a, first = 0, state.due[i, 0]
        for other in range(1, fleet):
            if state.due[i, other] < first:
                a, first = other, state.due[i, other]
        t, kind = first // NUM_KINDS, first % NUM_KINDS
        if t >= horizon:
            end_day(problem, state, i, horizon)
            return
        clock[TIME] = t
        if kind == DECIDES:
            let_passengers_come_and_go(problem, state, i)
            let_pairs_close(problem, state, i)
            clock[DECIDER] = a
            state.aircraft[i, a, PHASE] = STANDS_BY
            find_legal(problem, state, i, a)
            return
        if kind == BATTERY_FULL:
            leave_charger(problem, state, i, a)
            set_due(state, i, a)
        elif kind == CORRIDOR_ENTRY:
            aircraft = state.aircraft[i, a]
            state.vertiport[i, aircraft[ORIGIN], OCCUPIED] -= 1
            aircraft[PHASE], aircraft[NEXT] = FLIES, aircraft[READY]
            if problem.options[OPT_PADS] > 0:
                aircraft[NEXT] -= row[UNLOAD]
            clock[AIRBORNE] += 1
            set_due(state, i, a)
        elif t < state.aircraft[i, a, READY]:
            take_pad(problem, state, i, a)
        else:
            clock[AIRBORNE] -= 1
            land(problem, state, i, a)


@compiled
def end_day(problem, state, i, horizon):
    """Bring all up to the end of the day."""
    clock = state.clock[i]
    clock[TIME], clock[STATUS], clock[DECIDER] = horizon, FINISHED, NONE
    let_passengers_come_and_go(problem, state, i)
    let_pairs_close(problem, state, i)
    for a in range(problem.instance[clock[INSTANCE], AIRCRAFT]):
        if state.aircraft[i, a, SINCE] >= 0:
            end_charge(problem, state, i, a)
    for p in range(problem.instance[clock[INSTANCE], VERTIPORTS] ** 2):
        for passenger in range(state.pair[i, p, HEAD], state.pair[i, p, TAIL]):
            clock[WAIT_LEFT] += horizon - state.second[i, passenger]
    if problem.options[OPT_HOME] == 1:
        clock[HOMING_COST] = cost_of_homing(problem, state, i)


# --- decisions --------------------------------------------------------------------------------------------------------


@compiled
def find_legal(problem, state, i, a):
    """Set for each destination why aircraft a may not fly there now; to stay is always legal."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    n, here, now = row[VERTIPORTS], state.aircraft[i, a, PLACE], clock[TIME]
    energy = energy_now(problem, state, i, a)
    latest_entry = now + row[BOARD] + row[PATIENCE_CORRIDOR] - row[SEPARATION]
    latest_cruise = row[HORIZON] - now - row[BOARD] - row[UNLOAD]
    legal = 0
    for j in range(n):
        p = here * n + j
        pair = problem.pair[row[FIRST_PAIR] + p]
        if j == here:
            reason = LEGAL_ACTION
        elif pair[FLYABLE] == 0:
            reason = UNFLYABLE
        elif energy < pair[NEED]:
            reason = LOW_ENERGY
        elif state.vertiport[i, j, OCCUPIED] >= problem.vertiport[row[FIRST_VERTIPORT] + j, STANDS]:
            reason = NO_STAND
        elif state.pair[i, p, CLOSED_UNTIL] > now:
            reason = CLOSED
        elif state.last[i, p, free_corridor(state, i, p, row[CORRIDORS])] > latest_entry:
            reason = NO_CORRIDOR
        elif pair[CRUISE] > latest_cruise:
            reason = LATE
        else:
            reason = LEGAL_ACTION
        state.reason[i, j] = reason
        clock[MASKED_FIRST + reason] += j != here
        legal += reason == LEGAL_ACTION
    clock[LEGAL] = legal


@compiled
def cost_of(problem, data, k):
    """Cost of a flight of the pair in row `data` in a quarter hour, µ$."""
    pair = problem.pair[data]
    return pair[COST] + pair[ELECTRIC] * problem.tariff[k] // 100


@compiled
def free_corridor(state, i, p, corridors):
    """The corridor of pair p that was entered longest ago."""
    best = 0
    for c in range(1, corridors):
        if state.last[i, p, c] < state.last[i, p, best]:
            best = c
    return best


@compiled
def boardable(problem, state, i, p):
    """How many passengers of pair p would board now."""
    waiting = state.pair[i, p, TAIL] - state.pair[i, p, HEAD]
    return min(waiting, problem.instance[state.clock[i, INSTANCE], SEATS])


@compiled
def log_decision(state, i, a, to, boarded, entry, corridor, ready, before, after, reward):
    """Record a decision, where decisions are recorded."""
    if state.log.shape[1] == 0:
        return
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = state.log[i, clock[LOGGED]]
    row[LOG_TIME], row[LOG_AIRCRAFT], row[LOG_FROM], row[LOG_TO] = clock[TIME], a, aircraft[PLACE], to
    row[LOG_BOARDED], row[LOG_ENTRY], row[LOG_CORRIDOR], row[LOG_READY] = boarded, entry, corridor, ready
    row[LOG_BEFORE], row[LOG_AFTER], row[LOG_REWARD] = before, after, reward
    clock[LOGGED] += 1


@compiled
def stay(problem, state, i, a):
    """The aircraft decides again after the length of a stay."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    aircraft[NEXT] = clock[TIME] + problem.instance[clock[INSTANCE], STAY]
    aircraft[STAYS] += 1
    energy = energy_now(problem, state, i, a)
    log_decision(state, i, a, aircraft[PLACE], 0, NONE, NONE, aircraft[NEXT], energy, energy, 0)
    set_due(state, i, a)


@compiled
def fly(problem, state, i, a, j):
    """The aircraft takes passengers to j: the oldest who wait board, the stand stays taken until corridor entry."""
    clock, aircraft = state.clock[i], state.aircraft[i, a]
    row = problem.instance[clock[INSTANCE]]
    here, now, n = aircraft[PLACE], clock[TIME], row[VERTIPORTS]
    p = here * n + j
    data = problem.pair[row[FIRST_PAIR] + p]
    leave_charger(problem, state, i, a)
    before = aircraft[STORED]
    boarded = board(problem, state, i, p)
    revenue = boarded * problem.fare[row[FIRST_PAIR] + p, now // INTERVAL]
    profit = revenue - cost_of(problem, row[FIRST_PAIR] + p, now // INTERVAL)
    c = free_corridor(state, i, p, row[CORRIDORS])
    aircraft[BEFORE] = state.last[i, p, c]
    delay = delay_of(problem, state, i, here)
    entry = max(now + row[BOARD] + delay, state.last[i, p, c] + row[SEPARATION])
    state.last[i, p, c] = entry
    ready = entry + data[CRUISE] + row[UNLOAD]
    log_decision(state, i, a, j, boarded, entry, c, ready, before, before - data[ENERGY], profit)
    aircraft[STORED] = before - data[ENERGY]
    aircraft[ORIGIN], aircraft[PLACE], aircraft[PHASE], aircraft[STAYS] = here, j, BOARDS, 0
    aircraft[ENTRY], aircraft[READY], aircraft[NEXT] = entry, ready, entry
    aircraft[DECIDED], aircraft[CORRIDOR], aircraft[DELAY] = now, c, delay
    state.vertiport[i, here, STANDING] -= 1
    state.vertiport[i, j, OCCUPIED] += 1
    state.vertiport[i, j, INBOUND] += 1
    set_due(state, i, a)
    clock[PROFIT] += profit
    clock[EARNED] += revenue
    clock[FLIGHTS] += 1
    clock[EMPTY_FLIGHTS] += boarded == 0
    clock[ENERGY_USED] += data[ENERGY]
    tell_flight(problem, state, i, a, now + row[BOARD], 1)


@compiled
def board(problem, state, i, p):
    """The oldest passengers of pair p who wait board. Returns how many."""
    clock, pair = state.clock[i], state.pair[i, p]
    n = problem.instance[clock[INSTANCE], VERTIPORTS]
    boarded = boardable(problem, state, i, p)
    for passenger in range(pair[HEAD], pair[HEAD] + boarded):
        clock[WAIT_SUM] += clock[TIME] - state.second[i, passenger]
    pair[HEAD] += boarded
    state.vertiport[i, p // n, WAITING_OUT] -= boarded
    state.vertiport[i, p % n, WAITING_IN] -= boarded
    clock[WAITING] -= boarded
    clock[SERVED] += boarded
    return boarded


@compiled
def advance(problem, state, i, action):
    """Play a legal action of copy i up to the next decision or the end of the day."""
    clock = state.clock[i]
    a = clock[DECIDER]
    clock[STEPS] += 1
    if action == state.aircraft[i, a, PLACE]:
        stay(problem, state, i, a)
    else:
        fly(problem, state, i, a, action)
    go_on(problem, state, i)


@compiled
def is_legal(problem, state, i, action):
    """Whether a running copy may play an action."""
    n = problem.instance[state.clock[i, INSTANCE], VERTIPORTS]
    return 0 <= action < n and state.reason[i, action] == LEGAL_ACTION


# --- the beginning of a day -------------------------------------------------------------------------------------------


@compiled
def reset_state(problem, state, i, seed, instance):
    """Begin the day of a seed."""
    clock, row = state.clock[i], problem.instance[instance]
    for column in range(NUM_CLOCK):
        clock[column] = 0
    clock[SEED], clock[STATUS], clock[INSTANCE] = seed, RUNNING, instance
    clock[GIVEN], clock[END] = row[FIRST_DELAY] >= 0, row[HORIZON]
    n = row[VERTIPORTS]
    for v in range(n):
        for column in range(NUM_VERTIPORT):
            state.vertiport[i, v, column] = 0
        state.vertiport[i, v, DRAWN_SLOT] = NONE
        state.reason[i, v] = LEGAL_ACTION
        for p in range(problem.options[OPT_PADS]):
            state.pad[i, v, p] = 0
    for p in range(n * n):
        for column in range(NUM_PAIR):
            state.pair[i, p, column] = 0
        for c in range(row[CORRIDORS]):
            state.last[i, p, c] = -NEVER
    draw_world(problem, state, i)
    for p in range(n * n):
        state.pair[i, p, HEAD] = state.pair[i, p, TAIL] = state.pair[i, p, PASSED] = state.begin[i, p]
    for a in range(row[AIRCRAFT]):
        aircraft, start = state.aircraft[i, a], problem.start[row[FIRST_AIRCRAFT] + a]
        aircraft[PLACE], aircraft[STORED] = start[START_AT], start[START_ENERGY]
        aircraft[PHASE], aircraft[SINCE], aircraft[TICKET], aircraft[FULL] = STANDS_BY, NONE, NONE, NEVER
        aircraft[NEXT] = aircraft[LANDINGS] = aircraft[STAYS] = aircraft[DECIDED] = 0
        aircraft[ORIGIN], aircraft[CORRIDOR] = start[START_AT], NONE
        aircraft[ENTRY] = aircraft[READY] = 0
        state.vertiport[i, aircraft[PLACE], OCCUPIED] += 1
        state.vertiport[i, aircraft[PLACE], STANDING] += 1
        set_due(state, i, a)
        ask_for_charger(problem, state, i, a)
    go_on(problem, state, i)


@compiled
def objective(problem, state, i):
    """The profit, µ$, less what lost and waiting passengers cost; after an illegal action less than any legal day's."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    if clock[STATUS] > FINISHED:
        return row[WORST]
    waited = clock[WAIT_SUM] + clock[LOST] * row[PATIENCE] + clock[WAIT_LEFT]
    unserved = problem.options[OPT_LOST_COST] * clock[LOST]
    return clock[PROFIT] - unserved - problem.options[OPT_WAIT_COST] * waited // 3600 - clock[HOMING_COST]
