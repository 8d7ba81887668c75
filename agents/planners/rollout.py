"""Rollout: try every action in imagined worlds, play rules to the end of each, take the action with the best mean.

Tesauro & Galperin, "On-line policy improvement using Monte-Carlo search", NIPS 1996; Bertsekas & Castanon, "Rollout
algorithms for stochastic scheduling problems", Journal of Heuristics 5(1), 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agent import Agent, Imagine, Observation, Setting
from .playouts import Playouts, world_keys


class RolloutAgent(Agent):
    """At each decision plays every legal action and then every rule to the end, in worlds imagined anew.

    All actions of a decision meet the same worlds. An action counts by the best, over those who go on, of the mean
    objective over the worlds; ties go to the lowest slot.

    Args:
        agents: who go on after the action, see `Playouts`.
        setting: of the environment; needs an engine.
        worlds: imagined worlds at each decision, K.
        wait: whether special actions (WAIT) are tried as well; they always are where nothing else is legal.

    Raises:
        UserError: an agent does not play in compiled code.
    """

    def __init__(self, agents: Sequence[Agent], setting: Setting, worlds: int, wait: bool) -> None:
        self.name = "rollout"
        self._playouts = Playouts(agents, setting)
        self._special = len(setting.spec.special_actions)
        self._num_worlds = worlds
        self._wait = wait
        self._imagine: Imagine | None = None
        self._keys = np.zeros(0, dtype=np.uint64)
        self._decisions = np.zeros(0, dtype=np.int64)

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
            assert self._imagine is not None
            costs = self._playouts.costs(self._imagine, copies, actions, worlds)
            values[copies, actions] = costs.mean(axis=2).min(axis=1)
        return values
