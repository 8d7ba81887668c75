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
from ..streams import Streams
from .playouts import Playouts, check_worlds, draw_worlds


class RolloutAgent(Agent):
    """At each decision plays every legal action and then every rule to the end, in worlds imagined anew.

    All actions of a decision meet the same worlds. An action counts by the best, over those who go on, of the mean
    objective over the worlds; ties go to the lowest slot.

    Args:
        agents: who go on after the action, see `Playouts`.
        setting: of the environment; needs an engine.
        worlds: imagined worlds at each decision, K; 0 for the one in which nothing unforeseen happens.
        wait: whether special actions (WAIT) are tried as well; they always are where nothing else is legal.

    Raises:
        UserError: an agent does not play in compiled code.
    """

    def __init__(self, agents: Sequence[Agent], setting: Setting, worlds: int, wait: bool) -> None:
        self.name = "rollout"
        self._playouts = Playouts(agents, setting)
        self._special = len(setting.spec.special_actions)
        check_worlds(worlds, setting)
        self._num_worlds = worlds
        self._wait = wait
        self._imagine: Imagine | None = None
        self._streams = Streams()

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        self._streams.begin(copies, keys)
        self._imagine = imagine

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        return self.action_costs(observation, mask).argmin(axis=1)

    def action_costs(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.float64]:
        legal = mask.astype(np.bool_)
        tried = legal.copy()
        if self._special and not self._wait:
            tried[:, -self._special :] &= ~legal[:, : -self._special].any(axis=1, keepdims=True)
        keys, decisions = self._streams.of(len(mask))
        worlds = draw_worlds(keys, decisions, self._num_worlds)
        decisions += legal.any(axis=1)
        # Where only one action may be tried there is nothing to find out.
        copies, actions = np.nonzero(tried & (tried.sum(axis=1, keepdims=True) > 1))
        values = np.full(mask.shape, np.inf)
        values[tried] = 0.0
        if len(copies):
            assert self._imagine is not None
            costs = self._playouts.costs(self._imagine, copies, actions, worlds)
            values[copies, actions] = costs.mean(axis=2).min(axis=1)
        return values
