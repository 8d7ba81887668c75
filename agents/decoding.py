"""How a network's scores become choices: greedily or by sampling; and what a beam needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..envs.core.compile import compiled
from ..envs.core.engine import BatchEngine
from ..envs.core.random import uniform
from .agent import Agent, Imagine, Observation
from .foresight import Foresight
from .networks.common import SlotNetwork, refuse_nan, to_tensors
from .streams import Streams

BATCH = 512
_LARGEST_TABLES = 2**27  # numbers that a batch's tables of nodes by nodes may hold: half a gibibyte


@compiled
def gumbel_noise(keys, counts, noise):
    """Fill noise [n, A] with standard Gumbel numbers; a copy's depend on its key and how often it chose before."""
    for i in range(noise.shape[0]):
        for a in range(noise.shape[1]):
            u = uniform(keys[i], counts[i], np.int64(a))
            noise[i, a] = -np.log(-np.log(min(max(u, 1e-300), 1.0 - 1e-16)))


def legal_scores(network: SlotNetwork, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.float32]:
    """Log-probabilities [n, A] of the legal slots, minus infinity elsewhere.

    Copies whose episode has ended are computed with the rest: products of matrices round differently with the number of
    rows, and a copy's scores must not depend on how many others are still running. At one size of the batch their last
    bits depend on the copy's place in it alone.

    Raises:
        UserError: the network computes what is no number.
    """
    scores = np.full(mask.shape, -np.inf, dtype=np.float32)
    running = np.asarray(mask.any(axis=1))
    device = next(network.parameters()).device
    nodes = sum(array.shape[1] for key, array in observation.items() if key.startswith("node_mask/"))
    batch = max(1, min(BATCH, _LARGEST_TABLES // max(nodes, 1) ** 2))
    for low in range(0, len(mask), batch):
        rows = slice(low, low + batch)
        if running[rows].any():
            tensors = to_tensors({key: array[rows] for key, array in observation.items()}, device)
            with torch.inference_mode(), _steady(network):
                logits, _ = network(tensors)
                logits = logits.masked_fill(torch.as_tensor(mask[rows] == 0, device=device), -torch.inf)
                found = torch.log_softmax(logits, dim=1).cpu().numpy()
            refuse_nan(network, found[mask[rows] != 0])
            scores[rows] = np.where(running[rows, None], found, -np.inf)
    return scores


@contextmanager
def _steady(network: SlotNetwork) -> Iterator[None]:
    """Steady work for a while (see `SlotNetwork`), on one thread: how sums are shared out changes their last bits, and
    networks this small are slower on several. Training goes on as before."""
    steady, threads = network.steady, torch.get_num_threads()
    network.steady = True
    torch.set_num_threads(1)
    try:
        yield
    finally:
        network.steady = steady
        torch.set_num_threads(threads)


class PolicyAgent(Agent):
    """Plays a network.

    Args:
        name: how tables call it.
        network: scores the slots.
        temperature: 0 takes the best slot, else slots are drawn from softmax(score / temperature).
        samples: how often each world is played.
        foresight: what the network sees besides the observation, None for nothing.
    """

    fixed_batch = True

    def __init__(
        self,
        name: str,
        network: SlotNetwork,
        temperature: float = 0.0,
        samples: int = 1,
        foresight: Foresight | None = None,
    ) -> None:
        self.name, self.samples = name, samples
        self._network = network.eval()
        self._temperature = temperature
        self._foresight = foresight
        self._imagine: Imagine | None = None
        self._streams = Streams()

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._streams.begin(copies, keys)
        self._imagine = imagine

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        keys, counts = self._streams.of(len(mask))
        if self._foresight is not None:
            assert self._imagine is not None
            found = self._foresight.look(self._imagine, observation, mask, keys, counts)
            observation = found.observation
        scores = legal_scores(self._network, observation, mask)
        if self._temperature > 0:
            noise = np.empty(scores.shape)
            gumbel_noise(keys, counts, noise)
            scores = scores / self._temperature + noise
        counts += 1
        return scores.argmax(axis=1).astype(np.int64)


class NetworkPolicy:
    """A network that scores the slots of imagined copies, see `makespan.agents.policy_beam`.

    Args:
        network: scores the slots.
        foresight: what it sees besides the observation, None for nothing.
    """

    observes = True
    fixed_batch = True

    def __init__(self, network: SlotNetwork, foresight: Foresight | None = None) -> None:
        self._network, self._foresight = network.eval(), foresight

    def scores(self, engine: BatchEngine, kept: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
        observation: Observation = engine.block.views
        mask = engine.masks * kept[:, None]
        if self._foresight is not None:
            keys = np.zeros(len(mask), dtype=np.uint64)  # nothing is hidden where a beam may be used
            depths = np.full(len(mask), depth, dtype=np.int64)
            observation = self._foresight.look(engine.imagine, observation, mask, keys, depths).observation
        return legal_scores(self._network, observation, mask).astype(np.float64)
