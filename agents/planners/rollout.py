"""Rollout: try every action in imagined worlds, play rules to the end of each, take the action with the best mean.

Tesauro & Galperin, "On-line policy improvement using Monte-Carlo search", NIPS 1996; Bertsekas & Castanon, "Rollout
algorithms for stochastic scheduling problems", Journal of Heuristics 5(1), 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.player import play_out
from ...envs.core.random import combine
from ..agent import Agent, Imagine, Observation, Setting
from ..rules.choice import choose_by_rule, rule_parameters
from ..rules.rule import Rule

MEMORY = 2**28  # bytes of imagined copies at a time


@compiled
def world_keys(keys, decisions, worlds):
    """Fill `worlds` [n, K] with the keys of the worlds that n copies imagine at their present decision."""
    for i in range(len(keys)):
        present = combine(keys[i], decisions[i])
        for world in range(worlds.shape[1]):
            worlds[i, world] = combine(present, world)


class RolloutAgent(Agent):
    """At each decision plays every legal action and then every rule to the end, in worlds imagined anew.

    All actions of a decision meet the same worlds. An action counts by the best, over the rules, of the mean objective
    over the worlds; ties go to the lowest slot.

    Args:
        rules: played after the action.
        setting: of the environment; needs an engine.
        worlds: imagined worlds at each decision, K.
        wait: whether special actions (WAIT) are tried as well; they always are where nothing else is legal.

    Raises:
        UserError: a rule looks at a feature that the observation lacks.
    """

    def __init__(self, rules: Sequence[Rule], setting: Setting, worlds: int, wait: bool) -> None:
        self.name = "rollout"
        self.rules = tuple(rules)
        self._parameters = rule_parameters(rules, setting.spec)
        self._sign = setting.sign
        self._special = len(setting.spec.special_actions)
        self._num_worlds = worlds
        self._wait = wait
        self._imagine: Imagine | None = None
        self._keys = np.zeros(0, dtype=np.uint64)
        self._decisions = np.zeros(0, dtype=np.int64)
        self._room = 1

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        missing = int(copies.max()) + 1 - len(self._keys)
        if missing > 0:
            self._keys = np.append(self._keys, np.zeros(missing, dtype=np.uint64))
            self._decisions = np.append(self._decisions, np.zeros(missing, dtype=np.int64))
        self._keys[copies] = keys
        self._decisions[copies] = 0
        self._imagine = imagine
        self._room = max(MEMORY // imagine(copies[:1], keys[:1]).copy_bytes, 1)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        return self.action_costs(observation, mask).argmin(axis=1)

    def action_costs(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.float64]:
        legal = mask.astype(np.bool_)
        tried = legal.copy()
        if self._special and not self._wait:
            tried[:, -self._special :] &= ~legal[:, : -self._special].any(axis=1, keepdims=True)
        worlds = np.zeros((len(mask), self._num_worlds), dtype=np.uint64)
        world_keys(self._keys, self._decisions, worlds)
        self._decisions[: len(mask)] += legal.any(axis=1)
        # Where only one action may be tried there is nothing to find out.
        copies, actions = np.nonzero(tried & (tried.sum(axis=1, keepdims=True) > 1))
        values = np.full(mask.shape, np.inf)
        values[tried] = 0.0
        if len(copies):
            costs = self._costs(copies, actions, worlds)
            values[copies, actions] = costs.mean(axis=2).min(axis=1)
        return values

    def _costs(
        self, copies: NDArray[np.int64], actions: NDArray[np.int64], worlds: NDArray[np.uint64]
    ) -> NDArray[np.float64]:
        """Final costs of actions of copies: float64 [pairs, rules, worlds]."""
        shape = (len(copies), len(self.rules), self._num_worlds)
        pairs, rules, numbers = (index.ravel() for index in np.indices(shape))
        costs = np.empty(len(pairs))
        for first in range(0, len(pairs), self._room):
            part = slice(first, first + self._room)
            pair = pairs[part]
            keys = worlds[copies[pair], numbers[part]]
            costs[part] = self._play(copies[pair], actions[pair], rules[part], keys)
        return costs.reshape(shape)

    def _play(
        self,
        copies: NDArray[np.int64],
        actions: NDArray[np.int64],
        rules: NDArray[np.int64],
        keys: NDArray[np.uint64],
    ) -> NDArray[np.float64]:
        """Costs of one imagined world each: the action, then the rule to the end."""
        assert self._imagine is not None
        engine = self._imagine(copies, keys)
        engine.step(actions, check=False)
        decisions = np.zeros(len(copies), dtype=np.int64)
        play_out(engine, choose_by_rule, self._parameters, rules, keys, decisions, observe=False)
        return self._sign * engine.objectives().astype(np.float64)
