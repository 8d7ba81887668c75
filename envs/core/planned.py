"""Whole plans: copies of an engine follow a plan for a while, then a compiled choice, and note what they have played.

What a plan is says the problem, by two of its `Kernels`: `note_plan` reads one off an ended copy, `follow_plan` says
what comes next in it. A good one keeps an order and not dates, so that it can still be followed when something
unforeseen has happened. For a problem that says nothing a plan is the list of actions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import compiled
from .engine import BatchEngine, Kernels
from .player import MASK, action_table, variant_of

NO_ACTION = -1
_ACTIONS = 512  # room of a list of actions; actions that it cannot hold are not planned


def plan_room(engine: BatchEngine) -> int:
    """How many numbers a plan takes."""
    size = engine.kernels.plan_size
    return _ACTIONS if size is None else size(engine.state)


@compiled
def _listed(problem, state, i, plan, decision):
    """The next action of a list of actions."""
    return plan[decision] if decision < len(plan) else NO_ACTION


@compiled
def _not_noted(problem, state, i, plan):
    """A list of actions has been noted while it was played."""


@cache
def make_planned(kernels: Kernels, choose: Callable[..., Any]) -> Callable[..., None]:
    """The loop that plays copies to their end by a plan, then by a choice, and notes plans of what was played.

    Args:
        kernels: of the engine.
        choose: the compiled choice, see `makespan.envs.core.player`.

    Returns:
        Compiled ``play_planned(problem, state, view, where, parameters, rows, keys, plans, until, first, noted, taken,
        low, high)``, as `make_player`'s, from decision 0 on. ``plans`` int64 [n, P] is followed for ``until`` int64 [n]
        decisions, or until it says nothing that is legal; ``first`` int64 [n] takes the first action, ``noted`` int64
        [n, P] the plan of all, and ``taken`` int64 [n] their number.
    """
    is_running, advance, write_actions = kernels.is_running, kernels.advance, kernels.write_actions
    follow = _listed if kernels.follow_plan is None else kernels.follow_plan
    note = _not_noted if kernels.note_plan is None else kernels.note_plan
    lists = kernels.follow_plan is None

    @compiled(variant=variant_of(kernels, choose, follow, note), nogil=True)
    def play_planned(problem, state, view, where, parameters, rows, keys, plans, until, first, noted, taken, low, high):
        for i in range(low, high):
            planned, decision = until[i], 0
            if lists:
                for place in range(noted.shape[1]):
                    noted[i, place] = NO_ACTION
            while is_running(problem, state, i):
                action = NO_ACTION
                if decision < planned:
                    action = np.int64(follow(problem, state, i, plans[i], decision))
                    if lists:
                        write_actions(problem, state, view, i)
                        if action >= 0 and view.bytes[i, where[MASK] + action] == 0:
                            action = NO_ACTION
                    if action < 0:
                        planned = 0
                if action < 0:
                    write_actions(problem, state, view, i)
                    action = choose(view, i, where, parameters[rows[i]], keys[i], decision)
                if decision == 0:
                    first[i] = action
                if lists and decision < noted.shape[1]:
                    noted[i, decision] = action
                advance(problem, state, i, action)
                decision += 1
            taken[i] = decision
            note(problem, state, i, noted[i])

    return play_planned


@cache
def make_follower(kernels: Kernels) -> tuple[Callable[..., None], Callable[..., None]]:
    """For whoever plays by observations: compiled ``(follow_all, note_all)``.

    ``follow_all(problem, state, plans, decision, actions)`` writes the plans' next actions, NO_ACTION where they say
    none; ``note_all(problem, state, noted)`` notes ended copies where a plan is no list of actions.
    """
    follow = _listed if kernels.follow_plan is None else kernels.follow_plan
    note = _not_noted if kernels.note_plan is None else kernels.note_plan
    is_running = kernels.is_running
    variant = variant_of(kernels, follow, note)

    @compiled(variant=variant, nogil=True)
    def follow_all(problem, state, plans, decision, actions):
        for i in range(len(actions)):
            actions[i] = NO_ACTION
            if is_running(problem, state, i):
                actions[i] = follow(problem, state, i, plans[i], decision)

    @compiled(variant=variant, nogil=True)
    def note_all(problem, state, noted):
        for i in range(len(noted)):
            note(problem, state, i, noted[i])

    return follow_all, note_all


def play_planned(
    engine: BatchEngine,
    choose: Callable[..., Any],
    parameters: NDArray[Any],
    rows: NDArray[np.int64],
    keys: NDArray[np.uint64],
    plans: NDArray[np.int64],
    until: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Play every copy of an engine to its end, see `make_planned`; the observations are not kept up to date.

    Returns:
        (first actions int64 [n], noted plans int64 [n, P], numbers of actions int64 [n]).
    """
    first, taken = (np.zeros(engine.num_copies, dtype=np.int64) for _ in range(2))
    noted = np.zeros_like(plans)
    loop = make_planned(engine.kernels, choose)
    given = engine.problem, engine.state, engine.view, action_table(engine), parameters, rows, keys, plans, until
    engine.over_ranges(lambda low, high: loop(*given, first, noted, taken, low, high))
    return first, noted, taken
