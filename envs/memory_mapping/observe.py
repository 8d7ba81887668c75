"""Writes observations: all of one at the beginning of an episode, then what has changed."""

from __future__ import annotations

from ..core.compile import compiled
from .observation import (
    K_ACCESSES,
    K_ACTION_NODES,
    K_BELONGS,
    K_PRECEDES,
    MEMO_NUMBER,
    MEMO_POSITION,
    MEMO_WINDOW,
    NUM_MEMO,
    WINDOW,
)
from .observe_actions import write_actions
from .observe_image import write_image
from .observe_nodes import describe_accesses, describe_instructions
from .observe_window import write_window
from .pricing import price_program


@compiled
def describe_program(problem, state, i):
    """Everything that observations need of a program that has just been loaded; the state serves as scratch."""
    price_program(problem, i, state.occupied[i], state.gained[i], state.moved[i])
    describe_accesses(problem, i)
    describe_instructions(problem, i)


@compiled
def write_blank(problem, state, view, i):
    """An observation without anything, to be written from scratch."""
    integers, offsets = view.integers[i], view.offsets
    for word in range(len(integers)):
        integers[word] = 0
    for word in range(offsets[K_ACCESSES], offsets[K_ACCESSES] + 2 * WINDOW):
        integers[word] = -1
    for word in range(offsets[K_BELONGS], offsets[K_BELONGS] + 2 * WINDOW):
        integers[word] = -1
    for word in range(offsets[K_PRECEDES], offsets[K_PRECEDES] + 2 * WINDOW):
        integers[word] = -1
    for word in range(offsets[K_ACTION_NODES], offsets[K_ACTION_NODES] + 9):
        integers[word] = -1
    for column in range(NUM_MEMO):
        view.memo[i, column] = 0
    view.memo[i, MEMO_POSITION] = -1
    view.memo[i, MEMO_NUMBER], view.memo[i, MEMO_WINDOW] = -2, -1


@compiled
def update_observation(problem, state, view, i):
    """Bring copy i's observation up to date."""
    write_actions(problem, state, view, i)
    write_window(problem, state, view, i)
    write_image(problem, state, view, i)
