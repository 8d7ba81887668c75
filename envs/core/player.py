"""The player: an engine's copies played to their end by a compiled choice, without leaving compiled code.

A *choice* is a compiled function ``(view, i, where, parameters, key, decision) -> action``:

* ``view``: the engine's view. ``view.bytes[i, where[MASK] + a]`` says whether slot a is legal,
  ``view.floats[i, where[FEATURES] + a * where[NUM_FEATURES] + f]`` is feature f of slot a,
  ``view.integers[i, where[NODES] + a * where[NUM_NODES] + k]`` the node that its column k refers to, and
  ``view.floats[i, where[GLOBALS] + g]`` a global feature.
* ``where``: int64, the positions and counts above, `NUM_SLOTS` and `NUM_SPECIAL` (special actions, the last slots).
* ``parameters``: one row of the array that the player is given: the rule's columns, a network's weights, ...
* ``key``: uint64, of this copy's randomness; ``decision``: how many decisions came before in the episode.

At least one slot is legal whenever a choice is called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import compiled, source_hash
from .engine import BatchEngine, Kernels

(
    MASK,
    FEATURES,
    NODES,
    GLOBALS,
    NUM_SLOTS,
    NUM_SPECIAL,
    NUM_FEATURES,
    NUM_NODES,
    NUM_GLOBALS,
    NUM_WHERE,
) = range(10)


def action_table(engine: BatchEngine) -> NDArray[np.int64]:
    """Where the engine's view holds what a choice looks at: int64 [NUM_WHERE]."""
    layout, spec = engine.layout, engine.spec
    where = np.zeros(NUM_WHERE, dtype=np.int64)
    for column, key in ((MASK, "action_mask"), (FEATURES, "actions/features"), (NODES, "actions/nodes")):
        where[column] = layout.offsets[layout.keys.index(key)]
    where[GLOBALS] = layout.offsets[layout.keys.index("globals")]
    where[NUM_SLOTS] = engine.sizes.actions
    where[NUM_SPECIAL] = len(spec.special_actions)
    where[NUM_FEATURES] = len(spec.action_features)
    where[NUM_NODES] = len(spec.action_nodes)
    where[NUM_GLOBALS] = len(spec.globals)
    return where


def variant_of(kernels: Kernels, *functions: Callable[..., Any]) -> str:
    """Names what a closure over an engine's kernels and other compiled functions holds, for its cache.

    Holds the hash of their sources: the cache of this file would otherwise miss an edit of theirs.
    """
    parts = [kernels.key, source_hash(_file(kernels.advance))]
    for function in functions:
        parts += [f"{function.__module__}.{function.__qualname__}", source_hash(_file(function))]
    return "-".join(parts)


def _file(function: Any) -> str:
    """The source file of a compiled function, also where the compiler is switched off."""
    return getattr(function, "py_func", function).__code__.co_filename


@cache
def make_player(kernels: Kernels, choose: Callable[..., Any]) -> Callable[..., None]:
    """The loop that plays copies to their end by a choice.

    Args:
        kernels: of the engine.
        choose: the compiled choice, see above.

    Returns:
        Compiled ``play_range(problem, state, view, where, parameters, rows, keys, decisions, low, high)``: plays the
        copies low .. high - 1. ``parameters`` [R, P] and ``rows`` int64 [n] say which row each copy chooses by,
        ``keys`` uint64 [n] its randomness; ``decisions`` int64 [n] is counted on. Of the observation only the action
        slots (mask, references, features) and what `Kernels.write_actions` writes with them are kept current.
    """
    is_running, advance, write_actions = kernels.is_running, kernels.advance, kernels.write_actions

    @compiled(variant=variant_of(kernels, choose), nogil=True)
    def play_range(problem, state, view, where, parameters, rows, keys, decisions, low, high):
        for i in range(low, high):
            if is_running(problem, state, i):
                write_actions(problem, state, view, i)
            while is_running(problem, state, i):
                action = choose(view, i, where, parameters[rows[i]], keys[i], decisions[i])
                advance(problem, state, i, action)
                write_actions(problem, state, view, i)
                decisions[i] += 1

    return play_range


def play_out(
    engine: BatchEngine,
    choose: Callable[..., Any],
    parameters: NDArray[Any],
    rows: NDArray[np.int64],
    keys: NDArray[np.uint64],
    decisions: NDArray[np.int64],
    observe: bool = True,
) -> None:
    """Play every running copy of an engine to its end by a compiled choice.

    Args:
        choose, parameters, rows, keys, decisions: see `make_player`.
        observe: bring the observations up to date afterwards; a planner that throws the engine away need not.
    """
    play_range = make_player(engine.kernels, choose)
    where = action_table(engine)

    def play(low: int, high: int) -> None:
        play_range(engine.problem, engine.state, engine.view, where, parameters, rows, keys, decisions, low, high)

    engine.over_ranges(play)
    if observe:
        engine._write_all()
