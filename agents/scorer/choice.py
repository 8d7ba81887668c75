"""The compiled choice of a scorer: a small network over each legal slot's features and the globals, the best one wins.

A scorer is one row of float32 numbers: how strongly its choices are noised, then the weights of a network of two hidden
layers of `HIDDEN` units, in the order of `weight_shapes`. Everything is float32, in one fixed order of operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.player import FEATURES, GLOBALS, MASK, NUM_FEATURES, NUM_GLOBALS, NUM_SLOTS
from ...envs.core.random import uniform
from ...envs.core.spec import ObservationSpec

HIDDEN = 16
TEMPERATURE = 0.6  # at which samples of a checkpoint are best; evolution scales its scores so
NOISE, FIRST_WEIGHT = range(2)
_STREAM_NOISE = 102
_SOFT = np.float32(0.25)
_ZERO, _ONE, _LEAK = np.float32(0.0), np.float32(1.0), np.float32(0.01)


def weight_shapes(spec: ObservationSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of weights, in the order in which a row holds them."""
    return {
        "slot": (len(spec.action_features), HIDDEN),
        "state": (len(spec.globals), HIDDEN),
        "first_bias": (HIDDEN,),
        "second": (HIDDEN, HIDDEN),
        "second_bias": (HIDDEN,),
        "score": (HIDDEN,),
    }


@intrinsic
def _scratch(typing_context: Any) -> Any:
    """A float32 array [3 * HIDDEN] in the function's frame: compiled code does not allocate."""
    kind = types.Array(types.float32, 1, "C")
    count = 3 * HIDDEN

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.alloca_once(builder, ir.FloatType(), size=ir.Constant(ir.IntType(64), count))
        array = context.make_array(kind)(context, builder)
        size = context.get_constant(types.intp, 4)
        shape = [context.get_constant(types.intp, count)]
        arrayobj.populate_array(array, data=data, shape=shape, strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()

    return kind(), generate


@compiled
def squash(x):
    """Monotone, and between -4 and 4: some features reach into the thousands."""
    return x / (_ONE + _SOFT * abs(x))


@compiled
def see_state(scratch, width, state, at, count, weights):
    """Fill the first HIDDEN numbers of `scratch` with what the globals give to the first hidden layer."""
    state_row = FIRST_WEIGHT + width * HIDDEN
    first_bias = state_row + count * HIDDEN
    for h in range(HIDDEN):
        scratch[h] = weights[first_bias + h]
    for g in range(count):
        x = squash(state[at + g])
        if x != _ZERO:
            for h in range(HIDDEN):
                scratch[h] += x * weights[state_row + g * HIDDEN + h]


@compiled
def score_slot(scratch, features, first, width, count, weights):
    """The score of the slot whose features begin at `first`, after `see_state`."""
    slot_row = FIRST_WEIGHT
    second_row = slot_row + (width + count + 1) * HIDDEN
    second_bias = second_row + HIDDEN * HIDDEN
    score_row = second_bias + HIDDEN
    for h in range(HIDDEN):
        scratch[HIDDEN + h] = scratch[h]
        scratch[2 * HIDDEN + h] = weights[second_bias + h]
    for f in range(width):
        x = squash(features[first + f])
        if x != _ZERO:
            for h in range(HIDDEN):
                scratch[HIDDEN + h] += x * weights[slot_row + f * HIDDEN + h]
    for j in range(HIDDEN):
        x = scratch[HIDDEN + j]
        if x < _ZERO:
            x *= _LEAK
        for h in range(HIDDEN):
            scratch[2 * HIDDEN + h] += x * weights[second_row + j * HIDDEN + h]
    score = _ZERO
    for h in range(HIDDEN):
        x = scratch[2 * HIDDEN + h]
        if x < _ZERO:
            x *= _LEAK
        score += x * weights[score_row + h]
    return score


@compiled
def score_slots(features, first, width, state, at, count, weights, mask, first_mask, slots, noise, key, decision):
    """Best of the legal slots by the scorer.

    Args:
        features: row of numbers that holds the slots' features from `first` on, `width` each.
        state: row of numbers that holds the `count` globals from `at` on.
        weights: the scorer's row.
        mask: row that holds the mask from `first_mask` on, `slots` of them.
        noise, key, decision: noise * Gumbel(key, decision, slot) is added to each score where noise is above zero.
    """
    scratch = _scratch()  # pyright: ignore[reportCallIssue] (Numba hands over the typing context)
    see_state(scratch, width, state, at, count, weights)
    chosen = -1
    best = 0.0
    for a in range(slots):
        if mask[first_mask + a] == 0:
            continue
        value = np.float64(score_slot(scratch, features, first + a * width, width, count, weights))
        if noise > _ZERO:
            u = uniform(key, _STREAM_NOISE, decision, np.int64(a))
            value -= noise * np.log(-np.log(min(max(u, 1e-300), 1.0 - 1e-16)))
        if chosen < 0 or value > best:
            chosen, best = a, value
    return chosen


@compiled
def write_scores(view, where, weights, kept, scores):
    """Fill `scores` float64 [n, A] with the scores of the legal slots of those copies that are `kept`, else -inf.

    The same numbers, bit for bit, as those that `score_slots` compares.

    Args:
        view, where: as for a choice (see `makespan.envs.core.player`).
        weights: the scorer's row.
        kept: bool [n].
    """
    scratch = _scratch()  # pyright: ignore[reportCallIssue] (Numba hands over the typing context)
    width, count = where[NUM_FEATURES], where[NUM_GLOBALS]
    for i in range(scores.shape[0]):
        if kept[i]:
            see_state(scratch, width, view.floats[i], where[GLOBALS], count, weights)
        for a in range(scores.shape[1]):
            scores[i, a] = -np.inf
            if kept[i] and view.bytes[i, where[MASK] + a] != 0:
                first = where[FEATURES] + a * width
                scores[i, a] = score_slot(scratch, view.floats[i], first, width, count, weights)


@compiled
def choose_by_scorer(view, i, where, parameters, key, decision):
    """The choice (see `makespan.envs.core.player`) of the scorer in `parameters`."""
    return score_slots(
        view.floats[i],
        where[FEATURES],
        where[NUM_FEATURES],
        view.floats[i],
        where[GLOBALS],
        where[NUM_GLOBALS],
        parameters,
        view.bytes[i],
        where[MASK],
        where[NUM_SLOTS],
        parameters[NOISE],
        key,
        decision,
    )


def join_row(
    weights: Mapping[str, NDArray[np.float32]], spec: ObservationSpec, noise: float = 0.0
) -> NDArray[np.float32]:
    """The row of a scorer: float32 [P].

    Args:
        weights: arrays of `weight_shapes`.
        spec: of the observation.
        noise: scale of the noise on its scores; 0 for none.
    """
    parts = [weights[name].reshape(-1) for name in weight_shapes(spec)]
    return np.concatenate([np.array([noise]), *parts]).astype(np.float32)


def split_row(row: NDArray[np.float32], spec: ObservationSpec) -> dict[str, NDArray[np.float32]]:
    """The arrays of weights in a scorer's row; `join_row` puts them together."""
    arrays, at = {}, FIRST_WEIGHT
    for name, shape in weight_shapes(spec).items():
        size = int(np.prod(shape))
        arrays[name] = row[at : at + size].reshape(shape).copy()
        at += size
    return arrays
