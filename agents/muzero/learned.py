"""Search on the learned model: states are latent, actions lead on by the network's dynamics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..agent import Observation
from ..networks.common import SlotNetwork, refuse_nan, to_tensors
from .network import Latent, MuZeroNetwork
from .search import Evaluation, Model


@contextmanager
def evaluating(network: SlotNetwork) -> Iterator[None]:
    """No gradients, and steady work (see `SlotNetwork`) on one thread, for a while."""
    steady, threads, training = network.steady, torch.get_num_threads(), network.training
    network.steady = True
    network.eval()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        network.steady = steady
        network.train(training)
        torch.set_num_threads(threads)


class LearnedModel(Model):
    """The network's own idea of what actions lead to; deterministic, it predicts expectations.

    Which actions are legal is known at the root alone; below it the policy says which are likely.

    Args:
        network: with dynamics.
        observation: arrays [B, ...], of the roots.
        mask: int8 [B, A].
    """

    def __init__(self, network: MuZeroNetwork, observation: Observation, mask: NDArray[np.int8]) -> None:
        self._network, self._observation, self._mask = network, observation, mask
        self._device = next(network.parameters()).device
        self._every = np.ones_like(mask)

    def begin(self, nodes: int) -> Evaluation:
        latent = self._network.represent(to_tensors(self._observation, self._device))
        count = len(self._mask)
        self._rows = torch.arange(count, device=self._device)
        self._states = latent.state.new_empty(nodes * count, *latent.state.shape[1:])
        self._slots = latent.slots.new_empty(nodes * count, *latent.slots.shape[1:])
        nothing = np.zeros(count, dtype=np.float32)
        return self._evaluate(0, latent, nothing, nothing, self._mask)

    def expand(
        self, node: int, parents: NDArray[np.int64], actions: NDArray[np.int64], fresh: NDArray[np.bool_]
    ) -> Evaluation:
        before = self._tensor(np.maximum(parents, 0)) * len(parents) + self._rows
        latent = Latent(self._states.index_select(0, before), self._slots.index_select(0, before))
        step = self._network.step(latent, self._tensor(actions))
        rewards = self._network.support.mean(step.reward).cpu().numpy()
        discounts = torch.sigmoid(step.discount).cpu().numpy()
        return self._evaluate(node, step.latent, rewards, discounts, self._every)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=self._device)

    def _evaluate(
        self,
        node: int,
        latent: Latent,
        rewards: NDArray[np.float32],
        discounts: NDArray[np.float32],
        legal: NDArray[np.int8],
    ) -> Evaluation:
        count = len(rewards)
        self._states[node * count : (node + 1) * count] = latent.state
        self._slots[node * count : (node + 1) * count] = latent.slots
        logits, value = self._network.predict(latent)
        found = logits.cpu().numpy(), self._network.support.mean(value).cpu().numpy()
        refuse_nan(self._network, *found)
        return Evaluation(rewards, discounts, found[1], found[0], legal)
