"""The tables of urban air mobility: what stays fixed during an episode, what changes, and the names of their columns.

Units: time in s, energy in J, money in µ$, all of them integers. Vertiports, pairs and aircraft of all instances lie in
shared tables; a copy says which instance it plays. The model is specified in ``docs/environments/air_mobility.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled

NEVER = 2**60
MICRO = 1_000_000
"""µ$ in a dollar."""
NONE = -1

# --- columns of Problem.options ---------------------------------------------------------------------------------------
(
    OPT_TAPER,
    OPT_SCALE,
    OPT_LOST_COST,
    OPT_WAIT_COST,
    OPT_TARIFF,
    OPT_HOME,
    OPT_REFILL,
    OPT_IMAGINED,
    OPT_PADS,
    NUM_OPTIONS,
) = range(10)

# --- columns of Problem.instance --------------------------------------------------------------------------------------
# FIRST_* are rows of the tables of that name; those of a realised day are -1 where the day is drawn from the seed.
# WORST is a profit that no episode of legal actions ends below.
(
    VERTIPORTS,
    AIRCRAFT,
    FIRST_VERTIPORT,
    FIRST_PAIR,
    FIRST_AIRCRAFT,
    HORIZON,
    CORRIDORS,
    SEPARATION,
    PATIENCE_CORRIDOR,
    PATIENCE,
    BATTERY,
    RESERVE,
    BOARD,
    UNLOAD,
    SEATS,
    STAY,
    POWER,
    WORST,
    REWARD_SCALE,
    FIRST_BEGIN,
    FIRST_SECOND,
    FIRST_DELAY,
    FIRST_DOWN,
    FIRST_CLOSURE,
    CLOSURES,
    NUM_INSTANCE,
) = range(26)

# --- columns of Problem.measure (float64), of an instance -------------------------------------------------------------
# Factor of the uncertainty; 1 / battery; passengers over 60 per aircraft, 1 at medium load.
NOISE, PER_BATTERY, DEMAND_LEVEL, NUM_MEASURE = range(4)

# --- columns of Problem.vertiport -------------------------------------------------------------------------------------
STANDS, CHARGERS, DELAY_MEAN, KIND, NUM_VERTIPORT_DATA = range(5)

# --- columns of Problem.pair ------------------------------------------------------------------------------------------
# NEED is what the battery must hold before the flight: its energy, the escape from the destination, the reserve.
# ELECTRIC is the part of COST that is electricity, HOMING the cost of the cheapest way, if need be by other vertiports.
FLYABLE, ENERGY, CRUISE, COST, NEED, DISTANCE, ELECTRIC, HOMING, NUM_PAIR_DATA = range(9)

# --- columns of Problem.start -----------------------------------------------------------------------------------------
START_AT, START_ENERGY = range(2)

# --- columns of State.clock -------------------------------------------------------------------------------------------
# SEED keys what is still hidden. END is when this copy ends: at the horizon, or before where it is imagined.
# NEXT_ARRIVAL, NEXT_LOSS and NEXT_CLOSURE say how far the day's lists are worked off. GIVEN says that delays and
# downtimes are those of the instance's own day. PAID is the profit that rewards have told. EARNED is the revenue.
# WAIT_SUM is for how long those have waited who boarded, WAIT_LEFT those who are there when the day ends. The last ones
# add up what `metrics` tells, MASKED_FIRST + r what rule r has masked.
(
    SEED,
    STATUS,
    TIME,
    END,
    STEPS,
    INSTANCE,
    DECIDER,
    PROFIT,
    PAID,
    ARRIVALS,
    NEXT_ARRIVAL,
    NEXT_LOSS,
    CLOSURE_COUNT,
    NEXT_CLOSURE,
    GIVEN,
    TICKETS,
    WAITING,
    AIRBORNE,
    LEGAL,
    ROOM_LACKED,
    LOGGED,
    CHARGES_LOGGED,
    SERVED,
    LOST,
    FLIGHTS,
    EMPTY_FLIGHTS,
    EARNED,
    ENERGY_USED,
    ENERGY_CHARGED,
    WAIT_SUM,
    WAIT_LEFT,
    HOMING_COST,
    DELAY_SUM,
    HOLD_SUM,
    AIR_TIME,
    CHARGE_TIME,
    MASKED_FIRST,
) = range(37)
LEGAL_ACTION, UNFLYABLE, LOW_ENERGY, NO_STAND, CLOSED, NO_CORRIDOR, LATE, NUM_REASONS = range(8)
"""Values of State.reason: why a destination may not be flown to."""
NUM_CLOCK = MASKED_FIRST + NUM_REASONS
RUNNING, FINISHED, ILLEGAL = range(3)  # values of STATUS

# --- columns of State.vertiport ---------------------------------------------------------------------------------------
# OCCUPIED counts stands that are taken or reserved, STANDING aircraft on the ground that do not board, INBOUND those
# that fly or are about to fly here. DRAWN_SLOT is the last slot of 300 s whose delay was drawn, DRAWN_DELAY this delay.
OCCUPIED, STANDING, INBOUND, PLUGGED, QUEUED, WAITING_OUT, WAITING_IN, DRAWN_SLOT, DRAWN_DELAY, NUM_VERTIPORT = range(
    10
)

# --- columns of State.aircraft ----------------------------------------------------------------------------------------
# PLACE is where an aircraft stands or flies to, ORIGIN where it comes from. STORED is its energy as of SINCE, when it
# was plugged in, and as it is where SINCE is -1. TICKET is its place in the queue for a charger, -1 outside. NEXT is
# when it enters its corridor, is ready or decides, as PHASE says; where landing pads are few, also when it would touch
# down, before that is decided: then it is before READY. FULL is when its battery is full, if it is plugged in.
# STAYS counts decisions to stay in a row. Of the last flight: DECIDED says when, DELAY by how much it was put off
# (hidden until it has entered its corridor), BEFORE the entry into its corridor before its own.
(
    PLACE,
    PHASE,
    STORED,
    SINCE,
    TICKET,
    NEXT,
    FULL,
    LANDINGS,
    STAYS,
    ORIGIN,
    ENTRY,
    READY,
    DECIDED,
    CORRIDOR,
    DELAY,
    BEFORE,
    NUM_AIRCRAFT,
) = range(17)
STANDS_BY, BOARDS, FLIES, DOWN = range(4)  # values of PHASE

# --- kinds of events, in the order in which they happen at equal times ------------------------------------------------
BATTERY_FULL, CORRIDOR_ENTRY, IS_READY, DECIDES = range(4)
NUM_KINDS = 4

# --- columns of State.pair --------------------------------------------------------------------------------------------
# The passengers who wait are those from HEAD to TAIL - 1 of State.second; up to PASSED - 1 none has patience left.
# LEFT_OUT counts those who had come and gone when the list was last drawn anew. SHOWN says what the observation shows:
# someone who waits (QUEUE_SHOWN), a closure (CLOSURE_SHOWN).
HEAD, TAIL, PASSED, CLOSED_UNTIL, LEFT_OUT, SHOWN, NUM_PAIR = range(7)
QUEUE_SHOWN, CLOSURE_SHOWN = 1, 2

# --- columns of State.closure, State.log, State.charge ----------------------------------------------------------------
CLOSES_FROM, CLOSES_TO, CLOSES_AT, CLOSES_FOR, NUM_CLOSURE = range(5)
(
    LOG_TIME,
    LOG_AIRCRAFT,
    LOG_FROM,
    LOG_TO,
    LOG_BOARDED,
    LOG_ENTRY,
    LOG_CORRIDOR,
    LOG_READY,
    LOG_BEFORE,
    LOG_AFTER,
    LOG_REWARD,
    NUM_LOG,
) = range(12)
CHARGE_AIRCRAFT, CHARGE_AT, CHARGE_BEGIN, CHARGE_END, CHARGE_ENERGY, NUM_CHARGE = range(6)

BINS = 720
"""Of the day, when arrivals are sorted."""


class Problem(NamedTuple):
    """What stays fixed; all of it is shared by the copies."""

    options: NDArray[np.int64]  # [NUM_OPTIONS]
    instance: NDArray[np.int64]  # [I, NUM_INSTANCE]
    measure: NDArray[np.float64]  # [I, NUM_MEASURE]
    vertiport: NDArray[np.int64]  # [vertiports of all instances, NUM_VERTIPORT_DATA]
    position: NDArray[np.float64]  # [vertiports, 2], miles east and north of their centroid
    worth: NDArray[np.float64]  # [vertiports, 48], $ that one more aircraft may earn in the coming hour
    out_rate: NDArray[np.float64]  # [vertiports, 48], expected passengers of the coming hour from here
    pair: NDArray[np.int64]  # [pairs, NUM_PAIR_DATA], pair i * n + j of an instance
    rate: NDArray[np.float64]  # [pairs, 48], expected passengers of each quarter hour
    hour_rate: NDArray[np.float64]  # [pairs, 48], of the hour that begins with it
    fare: NDArray[np.int64]  # [pairs, 48], µ$
    tariff: NDArray[np.int64]  # [48], by how many per cent electricity is dearer
    series: NDArray[np.float32]  # [pairs, 64 * 4], as observations show it
    start: NDArray[np.int64]  # [aircraft of all instances, 2]
    given_begin: NDArray[np.int64]  # flat: of each instance with a day, where each pair's arrivals begin
    given_second: NDArray[np.int64]  # flat: the arrivals
    given_delay: NDArray[np.int64]  # [vertiports of instances with a day, 144]
    given_down: NDArray[np.int64]  # [aircraft of instances with a day, 64]
    given_closure: NDArray[np.int64]  # [closures, NUM_CLOSURE], by their beginning


class State(NamedTuple):
    """What changes, of n copies with room for N vertiports and M aircraft."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    due: NDArray[np.int64]  # [n, M], each aircraft's next event: NUM_KINDS * time + kind
    reason: NDArray[np.int64]  # [n, N], why a destination is masked, of the decision at hand
    vertiport: NDArray[np.int64]  # [n, N, NUM_VERTIPORT]
    aircraft: NDArray[np.int64]  # [n, M, NUM_AIRCRAFT]
    pair: NDArray[np.int64]  # [n, N * N, NUM_PAIR], pair i * n + j of the instance
    last: NDArray[np.int64]  # [n, N * N, corridors], last entry into each corridor
    pad: NDArray[np.int64]  # [n, N, pads], when each landing pad is free again, where they are few
    closure: NDArray[np.int32]  # [n, rows, NUM_CLOSURE], closures of the day by their beginning
    second: NDArray[np.int32]  # [n, A], when each passenger arrives, pair by pair
    order: NDArray[np.int32]  # [n, A], pairs of the passengers by arrival
    when: NDArray[np.int32]  # [n, A], their seconds
    bins: NDArray[np.int32]  # [n, BINS + 1], scratch of sorting
    begin: NDArray[np.int64]  # [n, N * N + 1], where each pair's passengers begin
    flow: NDArray[np.int64]  # [n, N * N + 3 * N] where aircraft return at the end of the day: scratch
    log: NDArray[np.int64]  # [n, rows, NUM_LOG], decisions, where they are recorded
    charge: NDArray[np.int64]  # [n, rows, NUM_CHARGE], ended charges, where they are recorded


@compiled
def is_running(problem, state, i):
    """Whether the episode of copy i goes on."""
    return state.clock[i, STATUS] == RUNNING
