"""A teacher: an agent that says, in whatever state the learner has come to, what it would do there."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent, Observation
from ..agents.arena import look_ahead
from ..envs.core.engine import BatchEngine
from ..envs.core.random import combine
from .bridge import Bridge


class Teacher:
    """Labels the states that the learner visits (Ross, Gordon & Bagnell, "A reduction of imitation learning and
    structured prediction to no-regret online learning", AISTATS 2011).

    A planner that estimates what each action costs teaches more than its choice: actions that are as good as the best
    one share the probability, softmax(-cost / temperature) with costs in units of the reward. Other agents put all
    of it on their choice.

    Args:
        agent: any agent that can play the training environment.
        bridge: the training environment.
        temperature: cost, in units of the reward, by which an action's share falls to 1/e.
        seed: of the agent's own randomness.

    Attributes:
        targets: float32 [n, A] for each state labelled since `restart`.
    """

    def __init__(self, agent: Agent, bridge: Bridge, temperature: float, seed: int) -> None:
        self._agent, self._bridge, self._temperature, self._seed = agent, bridge, temperature, seed
        self._engine = cast("BatchEngine | None", getattr(bridge.env, "engine", None))
        self._scales = np.ones(bridge.num_envs)
        self._number = np.uint64(0)
        self.targets: list[NDArray[np.float32]] = []

    @property
    def insists(self) -> bool:
        """Whether only the agent's own actions may be played, since it follows a plan made at the start."""
        return self._agent.follows_plan

    def restart(self, number: int) -> None:
        """Forget what was labelled; `number` says which rollout begins, so that one can go on after an interruption."""
        self._number = np.uint64(number)
        self.targets = []
        if not self.insists or number == 0:
            self._begin(np.arange(self._bridge.num_envs, dtype=np.int64))

    def _begin(self, copies: NDArray[np.int64]) -> None:
        engine = self._engine
        stream = np.uint64(combine(np.uint64(combine(self._seed, self._number)), np.uint64(len(self.targets))))
        keys = np.array([combine(stream, copy) for copy in copies], dtype=np.uint64)
        instances = [engine.known_instance(copy) if engine is not None else "" for copy in copies.tolist()]
        self._agent.begin(copies, instances, keys, look_ahead(engine) if engine is not None else None)
        if engine is not None:
            self._scales[copies] = [engine.reward_scale(copy) for copy in copies.tolist()]

    def label(self, observation: Observation) -> NDArray[np.int64]:
        """What the agent does now, [n]; the targets are kept."""
        ended = np.flatnonzero(self._bridge.ended)
        if len(ended) and (self.targets or self.insists):
            self._begin(ended)
        mask = observation["action_mask"]
        costs = self._agent.action_costs(observation, mask)
        if costs is None:
            actions = self._agent.act(observation, mask)
            target = np.zeros(mask.shape, dtype=np.float32)
            target[np.arange(len(mask)), actions] = 1.0
        else:
            actions = costs.argmin(axis=1)
            regret = (costs - costs.min(axis=1, keepdims=True)) / self._scales[:, None]
            share = np.exp(-regret / self._temperature)
            target = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
        self.targets.append(target)
        return actions
