"""The compiled choices of trees: the legal slot of the greatest score, and the one of two rules that a tree names.

A tree is one row of int64 numbers, which holds the columns of which the least and the greatest value are needed, and
the nodes. Numbers that are float32 stand in it by their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import UserError
from ...envs.core.player import FEATURES, GLOBALS, MASK, NUM_FEATURES, NUM_SLOTS, NUM_SPECIAL
from ...envs.core.spec import ObservationSpec
from ..rules.choice import choose_by_rule
from .arrays import LEAF, Tree

# Columns of a row; from FIRST_COLUMN on the columns of the action features whose least, then whose greatest is needed.
ROOT, NUM_LEAST, NUM_GREATEST, RULES, RULE_WIDTH, FIRST_COLUMN = range(6)
# A node.
KIND, COLUMN, NUMBER, LEFT, RIGHT, NODE_WIDTH = range(6)
_LEAF, _OWN, _ABOVE_LEAST, _BELOW_GREATEST, _STATE = range(5)
ROOM = 512  # of columns whose least or greatest is needed
_ZERO, _INFINITY = np.float32(0.0), np.float32(np.inf)


@intrinsic
def _scratch(typing_context: Any) -> Any:
    """A float32 array [ROOM] in the function's frame: compiled code does not allocate."""
    kind = types.Array(types.float32, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.alloca_once(builder, ir.FloatType(), size=ir.Constant(ir.IntType(64), ROOM))
        array = context.make_array(kind)(context, builder)
        size = context.get_constant(types.intp, 4)
        shape = [context.get_constant(types.intp, ROOM)]
        arrayobj.populate_array(array, data=data, shape=shape, strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()

    return kind(), generate


@compiled
def number_of(bits):
    """The float32 that stands in a row by its bits."""
    return np.int32(bits).view(np.float32)


@compiled
def find_extremes(scratch, features, first, width, mask, first_mask, slots, special, row):
    """Fill `scratch` with the least, then the greatest values of the row's columns among the slots compared with."""
    least, greatest = row[NUM_LEAST], row[NUM_GREATEST]
    for k in range(least):
        scratch[k] = _INFINITY
    for k in range(least, least + greatest):
        scratch[k] = -_INFINITY
    compared = slots
    for a in range(slots - special):
        if mask[first_mask + a] != 0:
            compared = slots - special
    for a in range(compared):
        if mask[first_mask + a] == 0:
            continue
        at = first + a * width
        for k in range(least):
            scratch[k] = min(scratch[k], features[at + row[FIRST_COLUMN + k]])
        for k in range(least, least + greatest):
            scratch[k] = max(scratch[k], features[at + row[FIRST_COLUMN + k]])


@compiled
def say(scratch, features, first, state, at, row):
    """What the tree says of the slot whose features begin at `first`, after `find_extremes`."""
    node = row[ROOT]
    while row[node + KIND] != _LEAF:
        kind, column = row[node + KIND], row[node + COLUMN]
        if kind == _OWN:
            x = features[first + column]
        elif kind == _ABOVE_LEAST:
            x = features[first + row[FIRST_COLUMN + column]] - scratch[column]
        elif kind == _BELOW_GREATEST:
            x = scratch[column] - features[first + row[FIRST_COLUMN + column]]
        else:
            x = state[at + column]
        if x <= number_of(row[node + NUMBER]):
            node = row[node + LEFT]
        else:
            node = row[node + RIGHT]
    return number_of(row[node + NUMBER])


@compiled
def choose_slot(features, first, width, state, at, row, mask, first_mask, slots, special):
    """The legal slot of which the tree says most, ties to the lowest.

    Args:
        features: row of numbers that holds the slots' features from `first` on, `width` each.
        state: row of numbers that holds the globals from `at` on.
        row: the tree's.
        mask: row that holds the mask from `first_mask` on, `slots` of them, the last `special` of which are special.
    """
    scratch = _scratch()  # pyright: ignore[reportCallIssue] (Numba hands over the typing context)
    find_extremes(scratch, features, first, width, mask, first_mask, slots, special, row)
    chosen = -1
    best = _ZERO
    for a in range(slots):
        if mask[first_mask + a] != 0:
            value = say(scratch, features, first + a * width, state, at, row)
            if chosen < 0 or value > best:
                chosen, best = a, value
    return chosen


@compiled
def choose_by_tree(view, i, where, parameters, key, decision):
    """The choice (see `makespan.envs.core.player`) of the tree in `parameters`."""
    return choose_slot(
        view.floats[i],
        where[FEATURES],
        where[NUM_FEATURES],
        view.floats[i],
        where[GLOBALS],
        parameters,
        view.bytes[i],
        where[MASK],
        where[NUM_SLOTS],
        where[NUM_SPECIAL],
    )


@compiled
def choose_by_das(view, i, where, parameters, key, decision):
    """The choice (see `makespan.envs.core.player`) of the rule that the tree in `parameters` names."""
    value = say(view.floats[i], view.floats[i], 0, view.floats[i], where[GLOBALS], parameters)
    first = parameters[RULES]
    if value > _ZERO:
        first += parameters[RULE_WIDTH]
    rule = parameters[first : first + parameters[RULE_WIDTH]]
    return choose_by_rule(view, i, where, rule, key, decision)


@compiled
def choose_all(features, state, mask, special, row, chosen):
    """The tree's choice in each copy that has a legal action; 0 in the others.

    Args:
        features: float32 [n, A * F], the slots' features.
        state: float32 [n, G].
        mask: int8 [n, A].
        special: how many slots are special.
        row: the tree's.
        chosen: int64 [n], filled.
    """
    slots = mask.shape[1]
    width = features.shape[1] // slots
    for i in range(mask.shape[0]):
        chosen[i] = max(choose_slot(features[i], 0, width, state[i], 0, row, mask[i], 0, slots, special), 0)


@compiled
def say_all(state, row, values):
    """Fill `values` float32 [n] with what a tree over the globals says of the states float32 [n, G]."""
    for i in range(len(values)):
        values[i] = say(state[i], state[i], 0, state[i], 0, row)


def slot_row(tree: Tree, spec: ObservationSpec) -> NDArray[np.int64]:
    """The row of a tree over the inputs of a slot (see `makespan.agents.tree.inputs`): int64 [P].

    Raises:
        UserError: the tree compares slots in more features than compiled code has room for.
    """
    width = len(spec.action_features)
    kinds = np.where(tree.feature < 3 * width, _OWN + tree.feature // max(width, 1), _STATE)
    columns = tree.feature - width * (kinds - _OWN)
    kinds[tree.feature == LEAF] = _LEAF
    least, greatest = (np.unique(columns[kinds == kind]) for kind in (_ABOVE_LEAST, _BELOW_GREATEST))
    if len(least) + len(greatest) > ROOM:
        raise UserError(f"a tree compares slots in {len(least) + len(greatest)} ways, expected at most {ROOM}")
    columns = np.where(kinds == _ABOVE_LEAST, np.searchsorted(least, columns), columns)
    columns = np.where(kinds == _BELOW_GREATEST, len(least) + np.searchsorted(greatest, columns), columns)
    return _join(tree, kinds, columns, least, greatest)


def state_row(tree: Tree, rules: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of a tree over the globals that names one of two rules: int64 [P].

    Args:
        tree: says more than zero where the second rule is to be played.
        rules: int64 [2, P], see `makespan.agents.rules.choice.rule_parameters`.
    """
    nobody = np.zeros(0, dtype=np.int64)
    row = _join(tree, np.where(tree.feature == LEAF, _LEAF, _STATE), tree.feature, nobody, nobody)
    row[RULES], row[RULE_WIDTH] = len(row), rules.shape[1]
    return np.concatenate([row, rules.reshape(-1)])


def _join(
    tree: Tree, kinds: NDArray[Any], columns: NDArray[Any], least: NDArray[Any], greatest: NDArray[Any]
) -> NDArray[np.int64]:
    """Header, columns and nodes."""
    root = FIRST_COLUMN + len(least) + len(greatest)
    nodes = np.zeros((len(kinds), NODE_WIDTH), dtype=np.int64)
    nodes[:, KIND], nodes[:, COLUMN] = kinds, columns
    nodes[:, NUMBER] = np.where(tree.feature == LEAF, tree.value, tree.threshold).astype(np.float32).view(np.int32)
    nodes[:, LEFT], nodes[:, RIGHT] = root + NODE_WIDTH * tree.left, root + NODE_WIDTH * tree.right
    head = np.zeros(FIRST_COLUMN, dtype=np.int64)
    head[ROOT], head[NUM_LEAST], head[NUM_GREATEST] = root, len(least), len(greatest)
    return np.concatenate([head, least, greatest, nodes.reshape(-1)]).astype(np.int64)
