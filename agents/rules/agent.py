"""Rules and random play as agents: on batches of observations anywhere, and whole episodes in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.core.spec import ObservationSpec
from ..agent import Agent, CompiledChoice, Imagine, Observation, Setting
from ..streams import Streams
from .choice import (
    FIRST_KEY,
    FIRST_TERM,
    LEVEL,
    NUM_TERMS,
    choose_by_rule,
    random_parameters,
    random_slots,
    rule_parameters,
    weight_of,
)
from .rule import ConflictSet, Rule


def within_conflict_set(
    conflict_set: ConflictSet,
    spec: ObservationSpec,
    features: NDArray[np.float32],
    nodes: NDArray[np.int32],
    candidates: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Those of the candidates [n, A] that belong to their row's conflict set.

    Args:
        conflict_set: what to look at.
        spec: of the observation.
        features, nodes: its ``actions/features`` [n, A, F] and ``actions/nodes`` [n, A, K].
        candidates: bool [n, A], ordinary actions.
    """
    completion = features[:, :, spec.action_column(conflict_set.completion)]
    time = features[:, :, spec.action_column(conflict_set.time)]
    resource = nodes[:, :, spec.action_nodes.index(conflict_set.resource)]
    masked = np.where(candidates, completion, np.inf)
    least = masked.argmin(axis=1)[:, None]
    same = resource == np.take_along_axis(resource, least, axis=1)
    earliest = np.take_along_axis(completion, least, axis=1)
    return candidates & same & ((completion == earliest) | (completion < time))


class RuleAgent(Agent):
    """Plays rules: copy i of the batch by rule i modulo their number.

    With one rule that is the rule. With several and ``samples = len(rules)`` each world is played by each rule and the
    best try counts: the best rule in hindsight.

    Args:
        rules: at least one.
        setting: of the environment.
        samples: tries at each world.

    Raises:
        UserError: a rule has no meaning here or looks at a feature that the observation lacks.
    """

    def __init__(self, rules: Sequence[Rule], setting: Setting, samples: int = 1) -> None:
        for rule in rules:
            obstacle = rule.obstacle(setting.options)
            if obstacle is not None:
                raise UserError(obstacle)
        self.rules = tuple(rules)
        self.name = "+".join(rule.name for rule in rules)
        self.samples = samples
        self._spec = setting.spec
        self._parameters = rule_parameters(rules, setting.spec)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        features, nodes, state = (observation[key] for key in ("actions/features", "actions/nodes", "globals"))
        actions = np.zeros(len(mask), dtype=np.int64)
        for number, rule in enumerate(self.rules):
            rows = slice(number, None, len(self.rules))
            first = self._first_key(number, features[rows], state[rows])
            actions[rows] = self._choose(rule, first, features[rows], nodes[rows], mask[rows])
        return actions

    def _first_key(self, number: int, features: NDArray[np.float32], state: NDArray[np.float32]) -> NDArray[np.float64]:
        """The first key, with its terms, of each slot of n rows by rule `number`, [n, A]: the least comes first."""
        parameters = self._parameters[number]
        value = features[:, :, parameters[FIRST_KEY]].astype(np.float64)
        level = state[:, parameters[LEVEL]].astype(np.float64) if parameters[LEVEL] >= 0 else np.zeros(len(state))
        term = parameters[FIRST_TERM]
        for _ in range(parameters[NUM_TERMS]):
            weight = np.array([weight_of(parameters, term, one) for one in level.tolist()])
            value += weight[:, None] * features[:, :, parameters[term]].astype(np.float64)
            term += 2 + 2 * parameters[term + 1]
        return parameters[FIRST_KEY + 1] * value

    def _choose(
        self,
        rule: Rule,
        first: NDArray[np.float64],
        features: NDArray[np.float32],
        nodes: NDArray[np.int32],
        mask: NDArray[np.int8],
    ) -> NDArray[np.int64]:
        """The rule's action in each of n rows, given the first key [n, A]; any where nothing is legal."""
        ordinary = mask.shape[1] - len(self._spec.special_actions)
        open_ = mask.astype(np.bool_)
        # Special actions stay only where nothing else is legal; among them the lowest slot wins.
        candidates = open_ & (np.arange(mask.shape[1]) < (mask.shape[1] if rule.special else ordinary))
        only_special = ~candidates.any(axis=1)
        if rule.conflict_set is not None:
            candidates = within_conflict_set(rule.conflict_set, self._spec, features, nodes, candidates)
        later = [sign * features[:, :, self._spec.action_column(name)] for name, sign in rule.keys[1:]]
        for key in (first, *later):
            values = np.where(candidates, key, np.inf)
            candidates &= values == values.min(axis=1, keepdims=True)
        candidates[only_special] = open_[only_special]
        return candidates.argmax(axis=1).astype(np.int64)

    def compiled_choice(self, copies: int) -> CompiledChoice:
        rows = np.arange(copies, dtype=np.int64) % len(self.rules)
        keys, decisions = np.zeros(copies, dtype=np.uint64), np.zeros(copies, dtype=np.int64)
        return CompiledChoice(choose_by_rule, self._parameters, rows, keys, decisions)


class RandomAgent(Agent):
    """Uniform over the legal actions, from a counter: decision k of a copy is a function of its key and k alone.

    Args:
        setting: of the environment.
        wait: whether special actions (WAIT) may be drawn while others are legal.
    """

    def __init__(self, setting: Setting, wait: bool = False) -> None:
        self.name = "random"
        self._wait = wait
        self._special = len(setting.spec.special_actions)
        self._streams = Streams()

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._streams.begin(copies, keys)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        random_slots(np.ascontiguousarray(mask), self._special, self._wait, *self._streams.of(len(mask)), actions)
        return actions

    def compiled_choice(self, copies: int) -> CompiledChoice:
        rows = np.zeros(copies, dtype=np.int64)
        return CompiledChoice(choose_by_rule, random_parameters(self._wait), rows, *self._streams.of(copies))
