"""The tables of restless bandits: what stays fixed during an episode, what changes, and the names of their columns.

Tables of instances are shared by all copies: a copy says in its clock which instance it plays. Arms move only when an
action is complete; until then a copy is in the middle of an epoch, with some elements picked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled

# --- options, columns of Problem.options ------------------------------------------------------------------------------
OPT_EXPECTED, OPT_SCALE, OPT_VISITS, NUM_OPTIONS = range(4)

# --- columns of Problem.dims ------------------------------------------------------------------------------------------
# CHAINS is 1 where arms are not birth-death chains; LINKS is how many edges couple arms, HITS how many pairs of element
# and arm there are. COVERS is how many parts of a partition of the arms are feasible actions, see `tables.cover`.
(
    ARMS,
    ELEMENTS,
    LEVELS,
    STATES,
    HORIZON,
    KIND,
    BUDGET,
    EXACTLY,
    CHAINS,
    JOINTS,
    INFECTS,
    ROWS,
    MOST_HOURS,
    SLOTS,
    WORKERS,
    DEPOT,
    LENGTH,
    MEMBERS,
    LINKS,
    HITS,
    COVERS,
    NUM_DIMS,
) = range(22)

# Values of KIND: how feasibility is decided.
PLAIN, PACKING, CAPACITY, VISITS, DISTINCT, WALK, LISTED, NUM_KINDS = range(8)

# --- columns of Problem.scale -----------------------------------------------------------------------------------------
# TOP is the largest reward of an arm or a group of arms, REWARD_SCALE what rewards are divided by, FLOOR an objective
# that no episode of legal actions falls to. PRICE is that of one level in an epoch, see `prices`.
# From PER_HORIZON on they are reciprocals, and QUARTERS four over the number of states.
(
    TOP,
    PER_TOP,
    REWARD_SCALE,
    FLOOR,
    PRICE,
    STRENGTH,
    SICK,
    PER_HORIZON,
    PER_LEVEL,
    PER_STATE,
    QUARTERS,
    NUM_SCALES,
) = range(12)
LEAST_USE = 0.05
"""Gains per use count a use below this share of the supply over the budget as this."""

TRUE, KNOWN = range(2)
"""Of the tables of transitions: what happens, and what whoever plans knows (the same without model error)."""

# --- columns of State.clock -------------------------------------------------------------------------------------------
# EPOCH counts actions that are complete, PICKED the elements of the one at hand, STEPS all steps. LAST is the element
# picked last, -1 after STOP. MODEL says whose transitions happen: TRUE, in imagined copies KNOWN. COVER is the part of
# the arms that must be visited now, -1 where none must, UNDECIDED where some part must.
STATUS, EPOCH, SEED, INSTANCE, PICKED, STEPS, LAST, MODEL, COVER, STOPS, NUM_CLOCK = range(11)
RUNNING, FINISHED, ILLEGAL = range(3)
NOT_FORCED, UNDECIDED = -1, -2

# --- columns of State.real --------------------------------------------------------------------------------------------
REALISED, EXPECTED, PAID, NUM_REAL = range(4)


class Problem(NamedTuple):
    """What stays fixed, for R instances of at most J arms, N elements, K levels, S states and H epochs; shared."""

    options: NDArray[np.int64]  # [NUM_OPTIONS]
    dims: NDArray[np.int64]  # [R, NUM_DIMS]
    scale: NDArray[np.float64]  # [R, NUM_SCALES]
    up: NDArray[np.float64]  # [R, 2, J, K], true and known, probability of going up; of chains that of a higher state
    tail: NDArray[np.float64]  # [R, 2, J', K, S, S], probability of a next state of this number or above; of chains
    reward: NDArray[np.float64]  # [R, J, S]
    start: NDArray[np.float64]  # [R, J, S], cumulative
    pay: NDArray[np.float64]  # [R, J, S, K], expected reward of an arm's next state by itself, as far as it is known
    gain: NDArray[np.float32]  # [R, H, J, S, K], what a level is worth beyond passivity, see `prices`
    hit_first: NDArray[np.int32]  # [R, N + 1], where an element's arms begin
    hit_arm: NDArray[np.int32]  # [R, M]
    hit_level: NDArray[np.int32]  # [R, M], by how many levels the arm is raised
    part_first: NDArray[np.int32]  # [R, J + 1], where the elements that act on an arm begin
    part: NDArray[np.int32]  # [R, M]
    joint_first: NDArray[np.int32]  # [R, G + 1], where a joint reward's arms begin
    joint_arm: NDArray[np.int32]  # [R, GM]
    joint_least: NDArray[np.int32]  # [R, G]
    joint_weight: NDArray[np.float64]  # [R, G]
    of_first: NDArray[np.int32]  # [R, J + 1], where an arm's joint rewards begin
    of_joint: NDArray[np.int32]  # [R, GM]
    near_first: NDArray[np.int32]  # [R, J + 1], where the arms that an arm suffers by begin
    near: NDArray[np.int32]  # [R, E]
    after_first: NDArray[np.int32]  # [R, J + 1], where the arms that suffer by an arm begin
    after: NDArray[np.int32]  # [R, E]
    link: NDArray[np.int32]  # [R, 2, L], edges that couple arms
    link_weight: NDArray[np.float32]  # [R, L]
    use: NDArray[np.float64]  # [R, N], how much of the scarce resource an element takes
    per_use: NDArray[np.float64]  # [R, N], supply over budget per use
    row: NDArray[np.float64]  # [R, rows, N], PACKING
    limit: NDArray[np.float64]  # [R, rows]
    hours: NDArray[np.int32]  # [R, most hours + 1], CAPACITY: how many workers have so many
    slots: NDArray[np.int64]  # [R, N], VISITS and DISTINCT: bits of the slots in which an arm is free
    free: NDArray[np.int32]  # [R, 2**slots], VISITS: workers free in the slots of a set
    worker: NDArray[np.int64]  # [R, W], DISTINCT: bits of the slots in which a worker is
    hops: NDArray[np.int16]  # [R, N', N'], WALK
    member: NDArray[np.int64]  # [R, M], LISTED: feasible actions as bits
    cover: NDArray[np.int32]  # [R, J], with min_visits: the part that an arm belongs to
    brief: NDArray[np.float32]  # [R, J, NUM_BRIEF], what an observation says of an arm at any time


# --- columns of Problem.brief -----------------------------------------------------------------------------------------
BRIEF_TREATED, BRIEF_BEST, BRIEF_JOINT, BRIEF_NEAR, NUM_BRIEF = range(5)


class State(NamedTuple):
    """What changes, for n copies."""

    clock: NDArray[np.int64]  # [n, NUM_CLOCK]
    real: NDArray[np.float64]  # [n, NUM_REAL]
    now: NDArray[np.int8]  # [n, J], states
    level: NDArray[np.int8]  # [n, J], by the elements picked
    picked: NDArray[np.int8]  # [n, N]
    can: NDArray[np.int8]  # [n, N], which elements may be picked
    sick: NDArray[np.int32]  # [n, J], how many neighbours are sick, of a contagion
    visits: NDArray[np.int32]  # [n, J]
    last: NDArray[np.int32]  # [n, J], epoch of the last visit, -1 for none
    need: NDArray[np.int32]  # [n, J], with min_visits: what each part still needs
    sums: NDArray[np.float64]  # [n, rows], PACKING: of the rows
    pile: NDArray[np.int32]  # [n, most hours + 1], CAPACITY: how many picked elements take so many hours
    stack: NDArray[np.int32]  # [n, room], CAPACITY: scratch of the search
    demand: NDArray[np.int32]  # [n, 2**slots], VISITS: visits asked for within each set of slots
    holder: NDArray[np.int32]  # [n, 2, W, slots], DISTINCT: who is visited, and a trial of it
    search: NDArray[np.int32]  # [n, 3, room], DISTINCT: scratch of the search
    stop: NDArray[np.int32]  # [n, room], WALK: the stops in the order of a good tour
    detour: NDArray[np.int32]  # [n, N], WALK: edges of a short walk with this element too
    edges: NDArray[np.int32]  # [n, 1], WALK: edges of the tour
    best: NDArray[np.int16]  # [n, 2**stops, stops], WALK: shortest paths through sets of stops
    seen: NDArray[np.int8]  # [n, rows, J], record: states before each epoch, and after the last
    done: NDArray[np.int8]  # [n, rows, N], record: actions


@compiled
def is_running(problem, state, i):
    """Whether the episode of copy i goes on."""
    return state.clock[i, STATUS] == RUNNING
