"""Loops over all copies, made of a problem's kernels: what is alike in every engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from .compile import compiled
from .engine import Kernels
from .player import variant_of


class Loops(NamedTuple):
    """Compiled loops.

    Attributes:
        first_illegal: (problem, state, masks, actions) -> the first running copy whose action is illegal, or -1.
        write_objectives: (problem, state, values): the objective of every copy.
        redraw_hidden: (problem, state, keys): draw anew, for each copy by its key, what decision makers cannot know.
            None where nothing is hidden.
    """

    first_illegal: Callable[..., Any]
    write_objectives: Callable[..., Any]
    redraw_hidden: Callable[..., Any] | None


@compiled
def _is_offered(masks, i, action):
    return 0 <= action < masks.shape[1] and masks[i, action] == 1


@cache
def make_loops(kernels: Kernels) -> Loops:
    """The loops of an engine."""
    is_running, objective, imagine = kernels.is_running, kernels.objective, kernels.imagine
    is_legal = _is_offered if kernels.is_legal is None else kernels.is_legal
    by_mask = kernels.is_legal is None

    @compiled(variant=variant_of(kernels, is_running, is_legal))
    def first_illegal(problem, state, masks, actions):
        for i in range(len(actions)):
            if is_running(problem, state, i):
                legal = is_legal(masks, i, actions[i]) if by_mask else is_legal(problem, state, i, actions[i])
                if not legal:
                    return i
        return -1

    @compiled(variant=variant_of(kernels, objective))
    def write_objectives(problem, state, values):
        for i in range(len(values)):
            values[i] = objective(problem, state, i)

    if imagine is None:
        return Loops(first_illegal, write_objectives, None)

    @compiled(variant=variant_of(kernels, imagine))
    def redraw_hidden(problem, state, keys):
        for i in range(len(keys)):
            imagine(problem, state, i, keys[i])

    return Loops(first_illegal, write_objectives, redraw_hidden)
