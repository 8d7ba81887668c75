"""What a decision maker sees of restless bandits: arms with their states, elements that may be picked, what couples.

Rewards are divided by the largest one of an arm or a group of arms, so that one set of weights plays any instance.
Everything is known but the moves to come; with a model error, probabilities are those that were estimated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes
from .state import NUM_KINDS

_TOP = "largest reward of an arm or a group of arms"
WIDE = 64.0


def _amount(name: str, unit: str = "1", dynamic: bool = True) -> Feature:
    return Feature(name, unit, 0.0, WIDE, dynamic)


def _signed(name: str, unit: str = _TOP, dynamic: bool = True) -> Feature:
    return Feature(name, unit, -WIDE, WIDE, dynamic)


ARM_FEATURES = (
    Feature("in_first_quarter_of_states"),
    Feature("in_second_quarter_of_states"),
    Feature("in_third_quarter_of_states"),
    Feature("in_last_quarter_of_states"),
    Feature("state", "highest state"),
    _signed("reward_now"),
    _signed("expected_passive"),
    _signed("expected_as_picked"),
    _signed("gain_of_next_level"),
    Feature("level", "highest level"),
    Feature("visits", "horizon"),
    Feature("since_visit", "horizon"),
    Feature("chance_up_passive"),
    Feature("chance_up_treated", dynamic=False),
    _signed("best_reward", dynamic=False),
    _signed("joint_reward", dynamic=False),
    Feature("joint_ready", "other arms of its joint rewards"),
    Feature("sick_neighbours", "neighbours"),
    _amount("reward_of_those_it_infects", _TOP, dynamic=False),
    Feature("visits_needed", "least visits"),
)
ARM_COLUMNS = len(ARM_FEATURES)

ELEMENT_FEATURES = (
    Feature("picked"),
    Feature("may_be_picked"),
    Feature("use", "supply of an epoch"),
    Feature("arms", "8 arms", dynamic=False),
)
ELEMENT_COLUMNS = len(ELEMENT_FEATURES)

GLOBAL_FEATURES = (
    Feature("epochs_passed", "horizon"),
    Feature("epochs_left", "20 epochs", 0.0, WIDE),
    Feature("picked", "budget"),
    Feature("supply_used"),
    Feature("price", _TOP, 0.0, WIDE, False),
    Feature("mean_state", "highest state"),
    Feature("arms_at_the_top"),
    Feature("must_visit"),
    Feature("log_arms", "natural logarithm", 0.0, 16.0, False),
    Feature("budget", "arms", dynamic=False),
    Feature("log_horizon", "natural logarithm", 0.0, 16.0, False),
    Feature("levels", "16 levels", dynamic=False),
    Feature("exactly", dynamic=False),
    *(
        Feature(f"set_is_{name}", dynamic=False)
        for name in ("plain", "packing", "capacity", "schedule", "schedule_distinct", "path", "listed")
    ),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)
FIRST_KIND = GLOBAL_COLUMNS - NUM_KINDS

# Of an element that acts on several arms, sums of rewards and means of all else over them.
ACTION_FEATURES = (
    Feature("is_stop"),
    Feature("in_first_quarter_of_states"),
    Feature("in_second_quarter_of_states"),
    Feature("in_third_quarter_of_states"),
    Feature("in_last_quarter_of_states"),
    _signed("reward_now"),
    _signed("myopic_gain"),
    _signed("joint_gain"),
    _signed("index_gain"),
    _signed("net_gain"),
    _signed("index_gain_per_use", f"{_TOP} per supply over budget"),
    _signed("myopic_gain_per_use", f"{_TOP} per supply over budget"),
    Feature("use", "supply of an epoch"),
    Feature("visits", "horizon"),
    Feature("since_visit", "horizon"),
    Feature("level", "highest level"),
    Feature("chance_lost_to_neighbours"),
    Feature("joint_ready", "other arms of its joint rewards"),
    Feature("joint_picked", "other arms of its joint rewards"),
    Feature("sick_neighbours", "neighbours"),
    Feature("visits_needed", "least visits"),
    _signed("joint_outlook"),
    _signed("coupled_gain"),
    _signed("coupled_gain_picked"),
    _signed("coupled_state", "1"),
    Feature("chance_up_untreated", dynamic=False),
    Feature("chance_up_treated", dynamic=False),
    _signed("best_reward", dynamic=False),
    _signed("joint_reward", dynamic=False),
    _amount("reward_of_those_it_infects", _TOP, dynamic=False),
    Feature("arms", "8 arms", dynamic=False),
)
ACTION_COLUMNS = len(ACTION_FEATURES)
IS_STOP, QUARTER = 0, 1
(
    REWARD_NOW,
    MYOPIC_GAIN,
    JOINT_GAIN,
    INDEX_GAIN,
    NET_GAIN,
    INDEX_PER_USE,
    MYOPIC_PER_USE,
    USE,
    VISITS_MADE,
    SINCE_VISIT,
    LEVEL,
    CHANCE_LOST,
    JOINT_READY,
    JOINT_PICKED,
    SICK_NEIGHBOURS,
    VISITS_NEEDED,
    JOINT_OUTLOOK,
    COUPLED_GAIN,
    COUPLED_PICKED,
    COUPLED_STATE,
    UP_UNTREATED,
    UP_TREATED,
    BEST_REWARD,
    JOINT_REWARD,
    INFECTS_REWARD,
    ARMS_HIT,
) = range(5, ACTION_COLUMNS)
FIRST_FIXED = UP_UNTREATED
"""From this column on features are fixed for the episode."""

SPEC = ObservationSpec(
    nodes=(NodeType("arm", ARM_FEATURES), NodeType("element", ELEMENT_FEATURES)),
    edges=(
        EdgeType("acts_on", "element", "arm", (Feature("levels", "16 levels", dynamic=False),)),
        EdgeType("couples", "arm", "arm", (Feature("weight", "largest", -WIDE, WIDE, False),)),
    ),
    globals=GLOBAL_FEATURES,
    action_nodes=("element",),
    action_features=ACTION_FEATURES,
    special_actions=("stop",),
    time_scale=1.0,
    stochastic=True,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_ARM, K_ARM_MASK = _KEYS["nodes/arm"], _KEYS["node_mask/arm"]
K_ELEMENT, K_ELEMENT_MASK = _KEYS["nodes/element"], _KEYS["node_mask/element"]
K_ACTS, K_ACTS_FEATURES = _KEYS["edges/acts_on"], _KEYS["edge_features/acts_on"]
K_COUPLES, K_COUPLES_FEATURES = _KEYS["edges/couples"], _KEYS["edge_features/couples"]
K_GLOBALS = _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]


def sizes(arms: int, elements: int, hits: int, links: int) -> Sizes:
    """Room of an observation."""
    return Sizes(
        nodes={"arm": arms, "element": elements}, edges={"acts_on": hits, "couples": links}, actions=elements + 1
    )


# --- columns of View.memo: of which step the slots and the nodes are, -1 for none ------------------------------------
MEMO_SLOTS, MEMO_NODES, NUM_MEMO = range(3)


class View(NamedTuple):
    """The observations of n copies as compiled writers see them."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, NUM_MEMO]


@compiled
def signed(value):
    """A value cut at `WIDE` on both sides."""
    return min(max(value, -WIDE), WIDE)


@compiled
def share(value):
    """A value cut to 0 … 1."""
    return min(max(value, 0.0), 1.0)
