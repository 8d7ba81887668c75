"""What an observation of urban air mobility holds, and where.

The aircraft that decides stands at vertiport i; action slot j is to fly to vertiport j, slot i to stay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, NodeType, ObservationSpec, Series, Sizes

WIDE, MOST_VALUE = 64.0, 4096.0
MILES_UNIT, PAIR_MILES = 20.0, 40.0
MONEY_UNIT, FARE_UNIT = 20.0, 30.0
RATE_UNIT, HOUR_UNIT, OUT_UNIT = 5.0, 20.0, 40.0
QUEUE_UNIT, WAITING_UNIT, TOTAL_UNIT = 8.0, 20.0, 100.0
AGE_UNIT, CLOSURE_UNIT, HOUR = 1800.0, 7200.0, 3600.0
DEMAND_UNIT = 4.0
STANDS_UNIT, CHARGERS_UNIT, DELAY_UNIT, COUNT_UNIT, STAYS_UNIT = 10.0, 4.0, 600.0, 20.0, 8.0
SERIES_STEPS, MOST_SERIES = 16, 64.0
TIME_SCALE = 900.0


def _flag(name: str, dynamic: bool = True) -> Feature:
    return Feature(name, "", 0.0, 1.0, dynamic)


def _share(name: str, unit: str) -> Feature:
    return Feature(name, unit, 0.0, 1.0)


def _amount(name: str, unit: str, dynamic: bool = True) -> Feature:
    return Feature(name, unit, 0.0, WIDE, dynamic)


def _signed(name: str, unit: str, dynamic: bool = True) -> Feature:
    return Feature(name, unit, -WIDE, WIDE, dynamic)


VERTIPORT_FEATURES = (
    _signed("east", "20 miles from the centroid", False),
    _signed("north", "20 miles from the centroid", False),
    _flag("airport", False),
    _flag("business", False),
    _flag("residential", False),
    _amount("stands", "10", False),
    _amount("chargers", "4", False),
    _amount("mean_delay", "600 s", False),
    _share("occupied", "stands"),
    _share("standing", "stands"),
    _share("inbound", "stands"),
    _share("chargers_in_use", "chargers"),
    _amount("charger_queue", "4"),
    _amount("waiting_out", "20 passengers from here"),
    _amount("waiting_in", "20 passengers to here"),
    _flag("is_here"),
)
VERTIPORT_COLUMNS = len(VERTIPORT_FEATURES)

AIRCRAFT_FEATURES = (
    _signed("east", "20 miles from the centroid; of the destination in flight"),
    _signed("north", "20 miles from the centroid; of the destination in flight"),
    _share("charge", "battery; after landing in flight"),
    _flag("standing"),
    _flag("boarding"),
    _flag("flying"),
    _flag("down"),
    _flag("charging"),
    _flag("queued"),
    _amount("time_to_decision", "3600 s, with the mean delay while boarding"),
    _amount("landings", "20"),
    _flag("is_decider"),
)
AIRCRAFT_COLUMNS = len(AIRCRAFT_FEATURES)

PAIR_FEATURES = (
    _flag("flyable", False),
    _amount("distance", "40 miles", False),
    _amount("energy", "battery", False),
    _flag("open"),
    _amount("closure_left", "7200 s"),
    _amount("waiting", "8 passengers"),
    _share("oldest_wait", "1800 s"),
    _amount("fare", "30 $"),
    _amount("forecast_hour", "20 passengers"),
)
PAIR_COLUMNS = len(PAIR_FEATURES)

SERIES_FEATURES = (
    Feature("forecast", "5 passengers, from the decider's vertiport", 0.0, MOST_SERIES),
    Feature("forecast_back", "5 passengers, to the decider's vertiport", 0.0, MOST_SERIES),
    Feature("forecast_out", "5 passengers, from here to all", 0.0, MOST_SERIES),
    Feature("fare", "30 $, from the decider's vertiport", 0.0, MOST_SERIES),
)

GLOBAL_FEATURES = (
    _share("day_passed", "43200 s"),
    Feature("day_sine", "sin(2 pi t / 43200)", -1.0, 1.0),
    Feature("day_cosine", "cos(2 pi t / 43200)", -1.0, 1.0),
    _share("charge", "battery"),
    _amount("stays", "8 in a row"),
    _share("airborne", "aircraft"),
    _amount("waiting", "100 passengers"),
    _share("legal_share", "vertiports"),
    _amount("demand_level", "60 passengers a day and aircraft", False),
    _amount("demand_now", "4 passengers of the coming hour and aircraft"),
    _amount("best_profit", "20 $, of the legal flights"),
    Feature("value_here", "20 $, of one more aircraft here after a stay", 0.0, MOST_VALUE),
    _share("occupied_here", "stands"),
    _amount("mean_delay", "600 s, here"),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)

ACTION_FEATURES = (
    _flag("is_stay"),
    _signed("profit", "20 $"),
    _share("boardable", "seats"),
    _amount("waiting", "8 passengers"),
    _share("oldest_wait", "1800 s"),
    _amount("fare", "30 $"),
    _amount("next_fare", "30 $, of the next quarter hour"),
    _amount("cost", "30 $"),
    _signed("full_profit", "20 $, with all seats taken"),
    _amount("profit_below_best", "20 $"),
    Feature("value", "20 $, of one more aircraft there on arrival", 0.0, MOST_VALUE),
    Feature("value_gain", "20 $, value over that of a stay", -MOST_VALUE, MOST_VALUE),
    _share("occupied_after", "stands there"),
    _amount("free_stands", "10, before"),
    _share("inbound", "stands there"),
    _share("standing", "stands there"),
    _signed("spare_chargers", "4, less those in the queue"),
    _flag("has_chargers"),
    _share("charge_after", "battery"),
    _share("charge_margin", "battery, beyond reserve and escape"),
    _amount("distance", "40 miles"),
    _amount("duration", "3600 s, with the mean delay"),
    _amount("forecast", "5 passengers in this quarter hour"),
    _amount("forecast_hour", "20 passengers"),
    _amount("forecast_back", "20 passengers in the hour from arrival"),
    _amount("forecast_out", "40 passengers from there in the hour from arrival"),
    _amount("fare_back", "30 $, on arrival"),
    _amount("waiting_out", "20 passengers there"),
    _amount("waiting_back", "8 passengers"),
    _amount("demand_per_seat", "8 passengers waiting or expected there per seat of its aircraft"),
    _share("time_left", "43200 s, on arrival"),
)
ACTION_COLUMNS = len(ACTION_FEATURES)

SPEC = ObservationSpec(
    nodes=(NodeType("vertiport", VERTIPORT_FEATURES), NodeType("aircraft", AIRCRAFT_FEATURES)),
    edges=(
        EdgeType("pairs", "vertiport", "vertiport", PAIR_FEATURES),
        EdgeType("at", "aircraft", "vertiport", dynamic=True),
    ),
    series=(Series("vertiport", "vertiport", SERIES_STEPS, SERIES_FEATURES),),
    globals=GLOBAL_FEATURES,
    action_nodes=("vertiport", "aircraft"),
    action_features=ACTION_FEATURES,
    time_scale=TIME_SCALE,
    stochastic=True,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_VERTIPORT, K_VERTIPORT_MASK = _KEYS["nodes/vertiport"], _KEYS["node_mask/vertiport"]
K_AIRCRAFT, K_AIRCRAFT_MASK = _KEYS["nodes/aircraft"], _KEYS["node_mask/aircraft"]
K_PAIRS, K_PAIR, K_AT = _KEYS["edges/pairs"], _KEYS["edge_features/pairs"], _KEYS["edges/at"]
K_SERIES, K_GLOBALS = _KEYS["series/vertiport"], _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]

# --- columns of View.memo ---------------------------------------------------------------------------------------------
# What the observation was written for: the quarter hour, the decider and its vertiport, the last end of a closure.
WRITTEN_INTERVAL, WRITTEN_DECIDER, WRITTEN_CLOSURES, NUM_MEMO = range(4)


def sizes(vertiports: int, aircraft: int) -> Sizes:
    """Room for so many vertiports and aircraft; the slot of the edge from i to j is i * vertiports + j."""
    return Sizes(
        nodes={"vertiport": vertiports, "aircraft": aircraft},
        edges={"pairs": vertiports * vertiports, "at": aircraft},
        actions=vertiports,
    )


class View(NamedTuple):
    """The observations of n copies as compiled writers see them."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, NUM_MEMO]


@compiled
def wide(value):
    """A value of at least 0, cut at `WIDE`."""
    return min(max(value, 0.0), WIDE)


@compiled
def signed(value):
    """A value cut at `WIDE` on both sides."""
    return min(max(value, -WIDE), WIDE)


@compiled
def worth_of(value):
    """A value of being somewhere in its unit, which may be large where few aircraft share much demand."""
    return min(max(value / MONEY_UNIT, -MOST_VALUE), MOST_VALUE)


@compiled
def share(value):
    """A value cut to 0 … 1."""
    return min(max(value, 0.0), 1.0)
