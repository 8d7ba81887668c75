"""A warm start: learn an agent's choices, and what they are worth, before reinforcement learning begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..agents.agent import Agent
from ..agents.networks.common import to_tensors
from ..envs.core.random import combine
from .bridge import Bridge
from .policy import SlotPolicy

_EPOCHS = 3


@dataclass
class Demonstrations:
    """Decisions of a teacher: observations [D, ...], actions [D] and what came after: returns [D]."""

    observations: dict[str, NDArray[Any]]
    actions: NDArray[np.int64]
    returns: NDArray[np.float32]


def demonstrate(bridge: Bridge, teacher: Agent, steps: int, seed: int, report: Callable[[int], None]) -> Demonstrations:
    """Let a teacher play the training environment for at least `steps` decisions; unfinished episodes are dropped.

    Args:
        bridge: the training environment, which is reset.
        teacher: any agent that can play it.
        steps: decisions to collect.
        seed: of the teacher's randomness.
        report: called with the number of decisions collected.
    """
    observation = bridge.reset()
    copies = np.arange(bridge.num_envs, dtype=np.int64)
    engine = getattr(bridge.env, "engine", None)
    episode = np.zeros(bridge.num_envs, dtype=np.int64)

    def begin(which: NDArray[np.int64]) -> None:
        instances = [engine.instance(copy) if engine is not None else "" for copy in which.tolist()]
        keys = np.array([combine(np.uint64(combine(seed, copy)), episode[copy]) for copy in which], dtype=np.uint64)
        teacher.begin(which, instances, keys, engine.imagine if engine is not None else None)

    begin(copies)
    seen: list[dict[str, NDArray[Any]]] = []
    taken: list[NDArray[np.int64]] = []
    rewards: list[NDArray[np.float32]] = []
    dones: list[NDArray[np.bool_]] = []
    while len(seen) * bridge.num_envs < steps or not np.all(np.any(dones, axis=0)):
        actions = teacher.act(observation, observation["action_mask"])
        seen.append(dict(observation))
        taken.append(actions)
        step: Any = bridge.step(actions)
        observation, reward, done, _ = step
        rewards.append(reward)
        dones.append(done)
        ended = np.flatnonzero(done)
        if len(ended):
            episode[ended] += 1
            begin(ended)
        report(len(seen) * bridge.num_envs)
    returns = np.zeros((len(seen), bridge.num_envs), dtype=np.float32)
    known = np.zeros((len(seen), bridge.num_envs), dtype=np.bool_)
    following = np.zeros(bridge.num_envs, dtype=np.float32)
    complete = np.zeros(bridge.num_envs, dtype=np.bool_)
    for step in reversed(range(len(seen))):
        following = rewards[step] + np.where(dones[step], 0.0, following)
        complete |= dones[step]
        returns[step], known[step] = following, complete
    bridge.take_finished()
    keep = known.reshape(-1)
    # Taken out of the rows as they are joined: these are most of the memory.
    observations = {key: np.concatenate([row.pop(key) for row in seen])[keep] for key in list(seen[0])}
    return Demonstrations(observations, np.concatenate(taken)[keep], returns.reshape(-1)[keep])


def imitate(policy: SlotPolicy, shown: Demonstrations, batch: int, report: Callable[[int, int, float], None]) -> float:
    """Fit the policy's scores to the actions (cross entropy) and its values to the returns.

    Undiscounted returns: where gamma is below 1 the values begin from a rough guess.

    Args:
        policy: trained in place, by its own optimiser.
        shown: what the teacher did.
        batch: decisions per gradient step.
        report: called with (gradient steps made, of how many, share of decisions where the policy agrees).

    Returns:
        The share of decisions of the last pass at which the policy's best slot was the teacher's.
    """
    count = len(shown.actions)
    steps_per_epoch = -(-count // batch)
    agreement = 0.0
    for epoch in range(_EPOCHS):
        hits = 0
        order = np.random.permutation(count)  # noqa: NPY002 (the stream that Stable-Baselines3 draws from, and we save)
        for number, low in enumerate(range(0, count, batch)):
            rows = order[low : low + batch]
            tensors = to_tensors({key: array[rows] for key, array in shown.observations.items()}, policy.device)
            actions = torch.as_tensor(shown.actions[rows], device=policy.device)
            returns = torch.as_tensor(shown.returns[rows], device=policy.device)
            logits, values = policy.network(tensors)
            logits = logits.masked_fill(tensors["action_mask"] == 0, -1e9)
            loss = functional.cross_entropy(logits, actions) + functional.mse_loss(values, returns)
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            policy.optimizer.step()
            hits += int((logits.argmax(dim=1) == actions).sum())
            report(epoch * steps_per_epoch + number + 1, _EPOCHS * steps_per_epoch, hits / (low + len(rows)))
        agreement = hits / count
    return agreement
