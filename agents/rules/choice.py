"""The compiled choice of rules and of random play: one function for all, told by its parameters which rule it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.errors import UserError
from ...envs.core.player import FEATURES, MASK, NODES, NUM_FEATURES, NUM_NODES, NUM_SLOTS, NUM_SPECIAL
from ...envs.core.random import uniform
from ...envs.core.spec import ObservationSpec
from .rule import Rule

# Columns of a row of parameters; from FIRST_KEY on pairs (column of the action features, sign).
KIND, INCLUDE_SPECIAL, COMPLETION, TIME, RESOURCE, NUM_KEYS, FIRST_KEY = range(7)
BY_KEYS, AT_RANDOM = range(2)
_NONE = -1

_STREAM_RANDOM = 101


def rule_parameters(rules: Sequence[Rule], spec: ObservationSpec) -> NDArray[np.int64]:
    """One row of parameters for each rule: int64 [R, P].

    Raises:
        UserError: a rule looks at something that the spec does not have.
    """
    table = np.full((len(rules), FIRST_KEY + 2 * max(len(rule.keys) for rule in rules)), _NONE, dtype=np.int64)
    table[:, KIND] = BY_KEYS
    for row, rule in zip(table, rules, strict=True):
        row[NUM_KEYS] = len(rule.keys)
        row[INCLUDE_SPECIAL] = rule.special
        for number, (name, sign) in enumerate(rule.keys):
            row[FIRST_KEY + 2 * number] = _column(rule, spec, name)
            row[FIRST_KEY + 2 * number + 1] = sign
        conflict = rule.conflict_set
        if conflict is not None:
            if conflict.resource not in spec.action_nodes:
                raise UserError(f"rule {rule.name!r}: no action refers to a node of type {conflict.resource!r}")
            row[COMPLETION] = _column(rule, spec, conflict.completion)
            row[TIME] = _column(rule, spec, conflict.time)
            row[RESOURCE] = spec.action_nodes.index(conflict.resource)
    return table


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
def precedes(view, i, where, parameters, a, b):
    """Whether slot a comes before slot b by the rule's keys."""
    row_a = where[FEATURES] + a * where[NUM_FEATURES]
    row_b = where[FEATURES] + b * where[NUM_FEATURES]
    for number in range(parameters[NUM_KEYS]):
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
    compared = slots if parameters[INCLUDE_SPECIAL] == 1 else slots - where[NUM_SPECIAL]
    for a in range(compared):
        if mask[a] == 0:
            continue
        if least >= 0 and not in_conflict(view, i, where, parameters, a, least, resource):
            continue
        if chosen < 0 or precedes(view, i, where, parameters, a, chosen):
            chosen = a
    if chosen < 0:
        for a in range(slots - where[NUM_SPECIAL], slots):
            if mask[a] == 1:
                return a
    return chosen
