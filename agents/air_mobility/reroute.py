"""A fleet's day changed: some aircraft vanish and come back one by one on their best routes; and played as planned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.dynamics import advance, is_legal, objective
from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.state import (
    AIRCRAFT,
    DECIDER,
    INSTANCE,
    LOG_AIRCRAFT,
    LOG_BEFORE,
    LOG_FROM,
    LOG_TIME,
    LOG_TO,
    LOGGED,
    NEVER,
    PLACE,
    STAY,
    TIME,
    is_running,
)
from ...envs.core.compile import compiled
from .route import (
    FLIES_AT,
    FLIES_FROM,
    FLIES_TO,
    LANDED,
    NUM_HOP,
    NUM_LABEL,
    SINCE,
    STORED,
    WHEN,
    WHERE,
    Labels,
    add_route,
    find_route,
    plugged_from,
)
from .traffic import look_ahead, profit_of, take_day


class Plan(NamedTuple):
    """The flights of M aircraft in order, and what belongs to a change of them."""

    hop: NDArray[np.int64]  # [M, D, NUM_HOP]
    length: NDArray[np.int64]  # [M], how many there are
    pointer: NDArray[np.int64]  # [M], scratch
    order: NDArray[np.int64]  # [M], aircraft that vanish, in the order in which they come back
    begin: NDArray[np.int64]  # [M, NUM_LABEL], their first decisions that are changed
    freed: NDArray[np.int64]  # [M], when these are due; `NEVER` where nothing is changed


def no_plan(instance: AirInstance, labels: Labels) -> Plan:
    """Room for the plan of a fleet."""
    aircraft = instance.num_aircraft
    return Plan(
        np.zeros((aircraft, len(labels.hop), NUM_HOP), dtype=np.int64),
        np.zeros(aircraft, dtype=np.int64),
        np.zeros(aircraft, dtype=np.int64),
        np.zeros(aircraft, dtype=np.int64),
        np.zeros((aircraft, NUM_LABEL), dtype=np.int64),
        np.zeros(aircraft, dtype=np.int64),
    )


@compiled
def append_hop(plan, a, t, v, w):
    """Add a flight to an aircraft's plan."""
    hop = plan.hop[a, plan.length[a]]
    hop[FLIES_AT], hop[FLIES_FROM], hop[FLIES_TO] = t, v, w
    plan.length[a] += 1


@compiled
def plan_day(state, i, row, plan, count, since):
    """Plan what aircraft did on copy i's day, but for some from some second on.

    Args:
        plan: its `order` says who is freed; all else is written.
        count: how many are.
        since: the second.
    """
    for a in range(row[AIRCRAFT]):
        plan.length[a], plan.freed[a] = 0, NEVER
    for k in range(count):
        plan.freed[plan.order[k]] = NEVER - 1
    for at in range(state.clock[i, LOGGED]):
        one = state.log[i, at]
        a, t, v, w = one[LOG_AIRCRAFT], one[LOG_TIME], one[LOG_FROM], one[LOG_TO]
        if plan.freed[a] == NEVER - 1 and t >= since:
            begin = plan.begin[a]
            begin[WHEN], begin[WHERE], begin[STORED], begin[LANDED] = t, v, one[LOG_BEFORE], plan.length[a]
            plan.freed[a] = t
        if v != w and t < plan.freed[a]:
            append_hop(plan, a, t, v, w)


@compiled
def reroute(problem, state, i, known, traffic, labels, plan, count, since):
    """Change copy i's day: some aircraft vanish from some second on and come back one by one on their best routes.

    Args:
        plan: its `order` says who they are; the plan of the changed day is written.
        count: how many they are.
        since: the second.

    Returns:
        What the changed day is to bring, µ$; `-NEVER` if there is no stand for somebody.
    """
    row = problem.instance[state.clock[i, INSTANCE]]
    plan_day(state, i, row, plan, count, since)
    take_day(problem, state, i, known, traffic, plan.freed)
    for k in range(count):
        a = plan.order[k]
        if plan.freed[a] >= NEVER - 1:  # it decides nothing any more
            continue
        begin = plan.begin[a]
        look_ahead(problem, row, traffic, begin[WHEN])
        begin[SINCE] = plugged_from(problem, row, traffic, begin[WHERE], begin[WHEN], begin[STORED])
        gain, flights = find_route(problem, row, known, traffic, labels, a, begin)
        if gain <= -NEVER:
            return gain
        add_route(problem, row, known, traffic, labels, flights, a, begin)
        for f in range(flights - 1, -1, -1):
            hop = labels.hop[f]
            append_hop(plan, a, hop[FLIES_AT], hop[FLIES_FROM], hop[FLIES_TO])
    return profit_of(problem, row, traffic)


@compiled
def play_plan(problem, state, i, plan):
    """Play copy i to the end by a plan. Returns the objective, µ$.

    A flight begins at the decision that is next to when it is planned, or at the one after if it is illegal then; if
    that fails, or the aircraft is elsewhere, it is left out.
    """
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    for a in range(row[AIRCRAFT]):
        plan.pointer[a] = 0
    while is_running(problem, state, i):
        a, now = clock[DECIDER], clock[TIME]
        here = state.aircraft[i, a, PLACE]
        at, length = plan.pointer[a], plan.length[a]
        while at < length and (plan.hop[a, at, FLIES_FROM] != here or plan.hop[a, at, FLIES_AT] + row[STAY] < now):
            at += 1
        action = here
        if at < length and 2 * plan.hop[a, at, FLIES_AT] < 2 * now + row[STAY]:
            to = plan.hop[a, at, FLIES_TO]
            if is_legal(problem, state, i, to):
                action = to
                at += 1
        plan.pointer[a] = at
        advance(problem, state, i, action)
    return objective(problem, state, i)
