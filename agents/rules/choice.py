"""The compiled choice of rules and of random play: one function for all, told by its parameters which rule it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import UserError
from ...envs.core.player import FEATURES, GLOBALS, MASK, NODES, NUM_FEATURES, NUM_NODES, NUM_SLOTS, NUM_SPECIAL
from ...envs.core.random import uniform
from ...envs.core.spec import ObservationSpec
from .rule import Rule

# Columns of a row of parameters; from FIRST_KEY on pairs (column of the action features, sign). FIRST_TERM says where
# what is added to the first key begins: for each term its column, the number of its weights, and that many pairs
# (level, weight), in millionths. LEVEL is the column of the globals that says the level.
KIND, INCLUDE_SPECIAL, COMPLETION, TIME, RESOURCE, LEVEL, NUM_TERMS, FIRST_TERM, NUM_KEYS, FIRST_KEY = range(10)
BY_KEYS, AT_RANDOM = range(2)
MILLION = 1_000_000
_NONE = -1

_STREAM_RANDOM = 101


def rule_parameters(rules: Sequence[Rule], spec: ObservationSpec) -> NDArray[np.int64]:
    """One row of parameters for each rule: int64 [R, P].

    Raises:
        UserError: a rule looks at something that the spec does not have.
    """
    rows = [_row(rule, spec) for rule in rules]
    table = np.full((len(rows), max(len(row) for row in rows)), _NONE, dtype=np.int64)
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = row
    return table


def _row(rule: Rule, spec: ObservationSpec) -> list[int]:
    """The parameters of one rule."""
    row = [_NONE] * FIRST_KEY
    row[KIND] = BY_KEYS
    row[INCLUDE_SPECIAL] = rule.special
    row[NUM_KEYS] = len(rule.keys)
    for name, sign in rule.keys:
        row += [_column(rule, spec, name), sign]
    row[NUM_TERMS], row[FIRST_TERM] = len(rule.terms), len(row)
    if rule.level:
        row[LEVEL] = _level_column(rule, spec)
    for term in rule.terms:
        row += [_column(rule, spec, term.feature), len(term.weights)]
        for level, weight in term.weights:
            row += [round(level * MILLION), round(weight * term.unit * MILLION)]
    if rule.conflict_set is not None:
        conflict = rule.conflict_set
        if conflict.resource not in spec.action_nodes:
            raise UserError(f"rule {rule.name!r}: no action refers to a node of type {conflict.resource!r}")
        row[COMPLETION] = _column(rule, spec, conflict.completion)
        row[TIME] = _column(rule, spec, conflict.time)
        row[RESOURCE] = spec.action_nodes.index(conflict.resource)
    return row


def _level_column(rule: Rule, spec: ObservationSpec) -> int:
    for column, feature in enumerate(spec.globals):
        if feature.name == rule.level:
            return column
    raise UserError(f"rule {rule.name!r} looks at the global feature {rule.level!r}, which the observation lacks")


def _column(rule: Rule, spec: ObservationSpec, name: str) -> int:
    try:
        return spec.action_column(name)
    except KeyError:
        raise UserError(
            f"rule {rule.name!r} compares the action feature {name!r}, which the observation lacks"
        ) from None


def random_parameters(include_special: bool) -> NDArray[np.int64]:
    """The row of parameters of random play: int64 [1, P]."""
    row = np.full((1, FIRST_KEY), _NONE, dtype=np.int64)
    row[0, KIND] = AT_RANDOM
    row[0, INCLUDE_SPECIAL] = include_special
    return row


@compiled
def random_slot(mask, number_of_special, include_special, key, decision):
    """A legal slot, uniformly by U(key, stream, decision); special ones only if asked for or nothing else is legal."""
    room = len(mask) if include_special else len(mask) - number_of_special
    legal = 0
    for a in range(room):
        legal += mask[a]
    if legal == 0:
        room = len(mask)
        for a in range(room):
            legal += mask[a]
    left = np.int64(uniform(key, _STREAM_RANDOM, decision) * legal)
    for a in range(room):
        if mask[a] == 1:
            if left == 0:
                return a
            left -= 1
    return 0


@compiled
def random_slots(mask, number_of_special, include_special, keys, decisions, chosen):
    """`random_slot` of every copy that has a legal action, counting its decisions; 0 for the others."""
    for i in range(len(mask)):
        chosen[i] = 0
        legal = False
        for a in range(mask.shape[1]):
            legal = legal or mask[i, a] == 1
        if legal:
            chosen[i] = random_slot(mask[i], number_of_special, include_special, keys[i], decisions[i])
            decisions[i] += 1


@compiled
def conflict_machine(view, i, where, parameters):
    """(slot of least completion, its resource) among the legal ordinary slots; (-1, -1) if there is none."""
    least = -1
    column = parameters[COMPLETION]
    best = 0.0
    for a in range(where[NUM_SLOTS] - where[NUM_SPECIAL]):
        if view.bytes[i, where[MASK] + a] == 1:
            value = view.floats[i, where[FEATURES] + a * where[NUM_FEATURES] + column]
            if least < 0 or value < best:
                least, best = a, value
    if least < 0:
        return -1, -1
    return least, view.integers[i, where[NODES] + least * where[NUM_NODES] + parameters[RESOURCE]]


@compiled
def in_conflict(view, i, where, parameters, a, least, resource):
    """Whether slot a competes for the resource of slot `least` and can start before that one's completion."""
    if view.integers[i, where[NODES] + a * where[NUM_NODES] + parameters[RESOURCE]] != resource:
        return False
    row = where[FEATURES] + a * where[NUM_FEATURES]
    completion = view.floats[i, row + parameters[COMPLETION]]
    earliest = view.floats[i, where[FEATURES] + least * where[NUM_FEATURES] + parameters[COMPLETION]]
    return completion == earliest or completion < view.floats[i, row + parameters[TIME]]


@compiled
def weight_of(parameters, term, level):
    """The weight of the term whose parameters begin at `term`, at a level of the state."""
    level = level * MILLION
    count = parameters[term + 1]
    first = term + 2
    above = 0
    while above < count and parameters[first + 2 * above] < level:
        above += 1
    if above == 0:
        return parameters[first + 1] / MILLION
    low = first + 2 * (above - 1)
    if above == count:
        return parameters[low + 1] / MILLION
    share = (level - parameters[low]) / (parameters[low + 2] - parameters[low])
    return (parameters[low + 1] + share * (parameters[low + 3] - parameters[low + 1])) / MILLION


@compiled
def first_key(view, i, where, parameters, a):
    """The first key of slot a with its terms: the least comes first."""
    row = where[FEATURES] + a * where[NUM_FEATURES]
    value = np.float64(view.floats[i, row + parameters[FIRST_KEY]])
    term = parameters[FIRST_TERM]
    for _ in range(parameters[NUM_TERMS]):
        level = 0.0
        if parameters[LEVEL] >= 0:
            level = np.float64(view.floats[i, where[GLOBALS] + parameters[LEVEL]])
        value += weight_of(parameters, term, level) * np.float64(view.floats[i, row + parameters[term]])
        term += 2 + 2 * parameters[term + 1]
    return parameters[FIRST_KEY + 1] * value


@compiled
def precedes(view, i, where, parameters, a, b):
    """Whether slot a comes before slot b by the rule's keys after the first."""
    row_a = where[FEATURES] + a * where[NUM_FEATURES]
    row_b = where[FEATURES] + b * where[NUM_FEATURES]
    for number in range(1, parameters[NUM_KEYS]):
        column = parameters[FIRST_KEY + 2 * number]
        sign = parameters[FIRST_KEY + 2 * number + 1]
        value_a = sign * view.floats[i, row_a + column]
        value_b = sign * view.floats[i, row_b + column]
        if value_a != value_b:
            return value_a < value_b
    return False


@compiled
def choose_by_rule(view, i, where, parameters, key, decision):
    """The choice (see `makespan.envs.core.player`) of the rule, or of random play, that `parameters` describes."""
    slots = where[NUM_SLOTS]
    mask = view.bytes[i, where[MASK] : where[MASK] + slots]
    if parameters[KIND] == AT_RANDOM:
        return random_slot(mask, where[NUM_SPECIAL], parameters[INCLUDE_SPECIAL] == 1, key, decision)
    least, resource = -1, -1
    if parameters[RESOURCE] >= 0:
        least, resource = conflict_machine(view, i, where, parameters)
    chosen = -1
    least_first = np.inf
    compared = slots if parameters[INCLUDE_SPECIAL] == 1 else slots - where[NUM_SPECIAL]
    for a in range(compared):
        if mask[a] == 0:
            continue
        if least >= 0 and not in_conflict(view, i, where, parameters, a, least, resource):
            continue
        first = first_key(view, i, where, parameters, a)
        if first < least_first or (first == least_first and precedes(view, i, where, parameters, a, chosen)):
            chosen, least_first = a, first
    if chosen < 0:
        for a in range(slots - where[NUM_SPECIAL], slots):
            if mask[a] == 1:
                return a
    return chosen
