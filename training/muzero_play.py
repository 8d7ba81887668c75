"""Self-play of MuZero and AlphaZero: one search for each copy of the environment at each decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..agents.agent import Imagine, Observation, Setting
from ..agents.arena import look_ahead
from ..agents.foresight import Foresight
from ..agents.muzero.agent import NetworkSearch
from ..agents.muzero.imagined import evaluate
from ..agents.muzero.learned import evaluating
from ..agents.muzero.network import MuZeroNetwork
from ..agents.muzero.search import Found, SearchConfig, Searcher
from ..envs.core.env import SchedulingVectorEnv
from .bridge import Bridge
from .config import TrainConfig
from .muzero_replay import Step

EXPLORE = 0.1  # share of a root's prior that all actions divide among them in training
STRAY = 0.5  # share of its actions that the most adventurous copy draws evenly, where a model is learned


class SelfPlay:
    """Copies of an environment that play against themselves.

    Args:
        config: of the run.
        setting: of the environment.
        bridge: the copies.
        network: plays; its weights may be replaced between two decisions.
        foresight: that the bridge was given.

    Attributes:
        observation: where the copies stand, arrays [n, ...], once they are reset.
        network_search: the search.
        engine: that the copies share, None where they are plain Python.
        slots: A.
    """

    observation: Observation

    def __init__(
        self,
        config: TrainConfig,
        setting: Setting,
        bridge: Bridge,
        network: MuZeroNetwork,
        foresight: Foresight | None = None,
    ) -> None:
        self._config, self._bridge, self._network = config, bridge, network
        self._learned = config.agent == "muzero"
        self._time_scale = setting.spec.time_scale
        searcher = Searcher(SearchConfig(config.simulations))
        self.network_search = NetworkSearch(network, searcher, setting, self._learned, config.gamma, foresight)
        self.slots = int(cast(spaces.Discrete, bridge.action_space).n)
        self.engine = bridge.env.engine if isinstance(bridge.env, SchedulingVectorEnv) else None

    def reset(self, seed: int) -> None:
        """Begin new episodes in all copies, the first of which has this seed."""
        self._bridge.seed(seed)
        self.observation = self._bridge.reset()

    def searched(
        self,
        observation: Mapping[str, NDArray[Any]],
        imagine: Imagine | None,
        copies: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Found:
        """Searches from the present of copies, with noise."""
        mask = observation["action_mask"]
        keys = rng.integers(0, 2**63, len(copies), dtype=np.uint64)
        gumbel = rng.gumbel(size=mask.shape)
        room = 2**30 if self.engine is None else self.network_search.roots_at_once(self.engine.copy_bytes)
        parts = []
        for low in range(0, len(copies), room):
            rows = slice(low, low + room)
            seen = {key: array[rows] for key, array in observation.items()}
            none = np.zeros(len(copies[rows]), dtype=np.int64)
            given = copies[rows], keys[rows], none, gumbel[rows], EXPLORE
            parts.append(self.network_search.search(seen, mask[rows], imagine, *given))
        return Found._make(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def search(self, rng: np.random.Generator) -> Found:
        """Search in every copy."""
        imagine = None if self._learned or self.engine is None else look_ahead(self.engine)
        return self.searched(self.observation, imagine, np.arange(self._config.copies), rng)

    def act(self, found: Found, rng: np.random.Generator) -> Step:
        """Play what was found, or something else where the copy strays."""
        config, bridge = self._config, self._bridge
        actions = self._stray(found.actions, rng) if self._learned else found.actions
        observation, reward, ended, infos = bridge.step(actions)
        self.observation = cast("dict[str, NDArray[Any]]", observation)
        cut = bridge.truncated
        discounts = config.gamma ** (bridge.elapsed / self._time_scale) * ~(ended & ~cut)
        tails = self._tails(cut, infos)
        rewards = np.asarray(reward, dtype=np.float32)
        values = found.values.astype(np.float32)
        strays = actions != found.actions
        return Step(actions, rewards, discounts.astype(np.float32), strays, ended, tails, found.policy, values)

    def take_finished(self) -> list[float]:
        """Objectives of the episodes that ended since the last call."""
        return self._bridge.take_finished()

    def _stray(self, actions: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Actions of which some are drawn evenly from the legal ones, the more the later the copy.

        A learned model is wrong about what is never tried, and the search that believes it never tries it.
        """
        copies = self._config.copies
        drawn = np.where(self.observation["action_mask"] != 0, rng.random((copies, self.slots)), -1.0).argmax(axis=1)
        return np.where(rng.random(copies) < np.linspace(0.0, STRAY, copies), drawn, actions)

    def _tails(self, cut: NDArray[np.bool_], infos: list[dict[str, Any]]) -> NDArray[np.float32]:
        """Values [n] of the states at which copies were cut, 0 for the others."""
        tails = np.zeros(len(cut), dtype=np.float32)
        chosen = np.flatnonzero(cut)
        if len(chosen):
            last = [infos[copy]["final_observation"] for copy in chosen]
            with evaluating(self._network):
                tails[chosen] = evaluate(self._network, {key: np.stack([x[key] for x in last]) for key in last[0]})[1]
        return tails
