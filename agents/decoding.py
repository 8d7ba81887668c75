"""How a network's scores become choices: greedily, by sampling, or with a beam."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..envs.core.compile import compiled
from ..envs.core.engine import BatchEngine
from ..envs.core.errors import UserError
from ..envs.core.random import uniform
from .agent import Agent, Imagine, Observation, Setting
from .foresight import Foresight
from .networks.common import SlotNetwork, to_tensors
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


class PolicyBeamAgent(Agent):
    """Keeps the `width` partial plans of highest probability under the policy, and plays the best finished one.

    Only for worlds that can be foreseen: elsewhere a plan made once would be a plan for one imagined future.

    Raises:
        UserError: the setting is stochastic, or the environment cannot look ahead.
    """

    fixed_batch = True

    follows_plan = True

    def __init__(
        self, name: str, network: SlotNetwork, setting: Setting, width: int, foresight: Foresight | None = None
    ) -> None:
        if setting.stochastic:
            raise UserError(f"agent {name!r}: a beam needs a world without random events; sample instead (samples=N)")
        if setting.engine is None:
            raise UserError(f"agent {name!r}: a beam needs an environment that can look ahead (imagine)")
        self.name = name
        self._network, self._width, self._sign = network.eval(), width, setting.sign
        self._foresight = foresight
        self._plans: dict[int, list[int]] = {}

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        per_batch = max(1, 4 * BATCH // self._width)
        for low in range(0, len(copies), per_batch):
            chosen = copies[low : low + per_batch]
            engine = imagine(np.repeat(chosen, self._width), np.repeat(keys[low : low + per_batch], self._width))
            plans = self._search(engine, len(chosen))
            self._plans.update({int(copy): plan[::-1] for copy, plan in zip(chosen, plans, strict=True)})

    def _search(self, engine: BatchEngine, groups: int) -> list[list[int]]:
        """The best plan of each group of `width` equal copies."""
        width = self._width
        total = np.full((groups, width), -np.inf)
        total[:, 0] = 0.0
        plans: list[list[int]] = [[] for _ in range(groups * width)]
        best: list[tuple[float, list[int]]] = [(np.inf, []) for _ in range(groups)]
        depth = 0
        while np.isfinite(total).any():
            kept = np.isfinite(total).reshape(-1, 1)
            scores = self._scores(engine, engine.masks * kept, depth).astype(np.float64)
            depth += 1
            joined = (total.reshape(-1, 1) + scores).reshape(groups, -1)
            order = np.argsort(-joined, axis=1, kind="stable")[:, :width]
            total = np.take_along_axis(joined, order, axis=1)
            actions = order % scores.shape[1]
            parents = order // scores.shape[1] + np.arange(groups)[:, None] * width
            alive = np.isfinite(total).reshape(-1)
            engine.copy(parents.reshape(-1), np.arange(groups * width))
            chosen = np.where(alive, actions.reshape(-1), engine.masks.argmax(axis=1))
            plans = [[*plans[parent], int(action)] for parent, action in zip(parents.reshape(-1), chosen, strict=True)]
            engine.step(chosen)
            self._collect(engine, total, plans, best)
        return [plan for _, plan in best]

    def _scores(self, engine: BatchEngine, mask: NDArray[np.int8], depth: int) -> NDArray[np.float32]:
        observation: Observation = engine.block.views
        if self._foresight is not None:
            keys = np.zeros(len(mask), dtype=np.uint64)  # nothing is hidden where a beam may be used
            depths = np.full(len(mask), depth, dtype=np.int64)
            observation = self._foresight.look(engine.imagine, observation, mask, keys, depths).observation
        return legal_scores(self._network, observation, mask)

    def _collect(
        self,
        engine: BatchEngine,
        total: NDArray[np.float64],
        plans: list[list[int]],
        best: list[tuple[float, list[int]]],
    ) -> None:
        """Take finished plans out of the beam, and remember the best one of each group."""
        ended = np.isfinite(total) & ~engine.is_running().reshape(total.shape)
        costs = self._sign * engine.objectives().astype(np.float64)
        for group, member in np.argwhere(ended).tolist():
            copy = group * self._width + member
            if costs[copy] < best[group][0]:
                best[group] = costs[copy], plans[copy]
        total[ended] = -np.inf

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            actions[copy] = self._plans[copy].pop()
        return actions
