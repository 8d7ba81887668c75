"""Search at play: at each decision of an episode a Gumbel search from the present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.random import TYPICAL
from ..agent import Agent, Imagine, Observation, Setting
from ..planners.playouts import MEMORY
from ..streams import Streams
from .kept import Best, KeptPlans
from .playouts import PlayoutSearch
from .search import Found, Searcher

if TYPE_CHECKING:
    from ..foresight import Foresight
    from ..networks.common import SlotNetwork


class PlayoutSearchAgent(Agent):
    """Searches with playouts at the leaves (see `PlayoutSearch`).

    Where nothing is random the best plan that was ever played is kept and followed (see `KeptPlans`).

    Args:
        search: how.
        setting: of the environment; needs an engine.
    """

    def __init__(self, search: PlayoutSearch, setting: Setting) -> None:
        self.name = "gumbel"
        self._searcher, self._stochastic = search, setting.stochastic
        self._imagine: Imagine | None = None
        self._streams = Streams()
        self._kept = KeptPlans()
        self._room = 1

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        self._imagine = imagine
        self._streams.begin(copies, keys)
        present = imagine(copies[:1], np.full(1, TYPICAL))
        self._room = self._searcher.copies_of(present.copy_bytes, MEMORY)
        self._kept.begin(copies, imagine)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions: NDArray[np.int64] = mask.argmax(axis=1).astype(np.int64)
        keys, decisions = self._streams.of(len(mask))
        choosing = np.flatnonzero(mask.sum(axis=1) > 1)
        for low in range(0, len(choosing), self._room):
            copies = choosing[low : low + self._room]
            actions[copies] = self._search(copies, keys[copies], decisions[copies])
        running = np.flatnonzero(mask.any(axis=1))
        decisions[running] += 1
        self._kept.advance(running)
        return actions

    def _search(
        self, copies: NDArray[np.int64], keys: NDArray[np.uint64], decisions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The actions of copies that have a choice."""
        assert self._imagine is not None
        found, best = self._searcher.search(self._imagine, copies, keys, decisions)
        if self._stochastic:
            return found.actions
        self._kept.improve(copies, best)
        return self._kept.follow(copies, self._imagine)


class NetworkSearch:
    """Searches whose leaves a network values.

    Args:
        network: a `MuZeroNetwork` with dynamics where its own model is searched, else any.
        searcher: which makes the searches.
        setting: of the environment.
        learned: whether to search the network's own model, or the imagined engine.
        gamma: discount per `time_scale` of simulated time.
        foresight: what the network sees besides the observation, None for nothing; not with its own model.
    """

    def __init__(
        self,
        network: SlotNetwork,
        searcher: Searcher,
        setting: Setting,
        learned: bool,
        gamma: float = 1.0,
        foresight: Foresight | None = None,
    ) -> None:
        self.network, self._searcher, self._learned, self._gamma = network, searcher, learned, gamma
        self._foresight = foresight
        typical = foresight is not None and foresight.worlds == 0
        self._stochastic = setting.stochastic
        self._open_loop = setting.stochastic and not typical

    @property
    def finds_plans(self) -> bool:
        """Whether searches find whole plans that can be kept: with foresight, in worlds without chance."""
        return self._foresight is not None and not self._open_loop

    def renew(self, kept: KeptPlans, imagine: Imagine, copies: NDArray[np.int64]) -> None:
        """Work out anew what the plans of copies come to, where something unforeseen may have happened."""
        known = copies[np.isfinite(kept.costs[copies])]
        if self._stochastic and len(known):
            assert self._foresight is not None
            kept.renew(known, Best(*self._foresight.follow(imagine, known, kept.plans[known])))

    def search(
        self,
        observation: Observation,
        mask: NDArray[np.int8],
        imagine: Imagine | None,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        gumbel: NDArray[np.float64] | None = None,
        explore: float = 0.0,
        kept: KeptPlans | None = None,
    ) -> Found:
        """Search from the present of copies.

        Args:
            observation, mask: arrays [B, ...] of the copies.
            imagine: how to look ahead from `copies`, int64 [B]; None where the network's own model is searched.
            keys, decisions: uint64 and int64 [B], what imagined worlds are drawn from.
            gumbel: float64 [B, A], noise of the roots' logits; None for none.
            explore: see `Searcher.search`.
            kept: plans of all copies, which better ones replace; None: they are not looked for.
        """
        from .imagined import ImaginedModel, OpenLoopModel
        from .learned import LearnedModel, evaluating
        from .network import MuZeroNetwork

        network = self.network
        if self._learned:
            model = LearnedModel(network, observation, mask)  # pyright: ignore[reportArgumentType]
        else:
            assert imagine is not None
            kind = OpenLoopModel if self._open_loop else ImaginedModel
            model = kind(network, imagine, copies, keys, decisions, self._gamma, self._foresight)
        with evaluating(network):
            if isinstance(network, MuZeroNetwork):
                scale, noise = float(network.value_scale), float(network.value_error)
            else:
                scale, noise = 1.0, 0.0
            found = self._searcher.search(model, gumbel, scale, noise, explore)
        if kept is not None:
            assert isinstance(model, ImaginedModel)
            better = np.flatnonzero(model.costs < kept.costs[copies])
            if len(better):
                kept.improve(copies[better], model.plans(better))
        return found

    def roots_at_once(self, copy_bytes: int) -> int:
        """How many roots can be searched at a time, when an engine's copy takes so many bytes."""
        if self._learned or self._open_loop:
            return 2**30
        return max(MEMORY // (copy_bytes * (self._searcher.config.simulations + 1)), 1)


class NetworkSearchAgent(Agent):
    """Plays a network by search; follows the best plan that was found, where plans are found (see `KeptPlans`).

    Args:
        name: how tables call it.
        search: how.
        learned: whether it searches the network's own model, and so needs no engine.
    """

    fixed_batch = True

    def __init__(self, name: str, search: NetworkSearch, learned: bool) -> None:
        self.name = name
        self._search, self._learned = search, learned
        self._imagine: Imagine | None = None
        self._streams = Streams()
        self._kept = KeptPlans() if search.finds_plans else None
        self._room = 2**30

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._streams.begin(copies, keys)
        self._imagine = imagine
        if not self._learned:
            assert imagine is not None
            self._room = self._search.roots_at_once(imagine(copies[:1], np.full(1, TYPICAL)).copy_bytes)
        if self._kept is not None:
            assert imagine is not None
            self._kept.begin(copies, imagine)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions: NDArray[np.int64] = mask.argmax(axis=1).astype(np.int64)
        keys, decisions = self._streams.of(len(mask))
        choosing = np.flatnonzero(mask.sum(axis=1) > 1)
        if self._kept is not None:
            assert self._imagine is not None
            self._search.renew(self._kept, self._imagine, choosing)
        # All copies together, as policies are played (see `legal_scores`), except where nobody has a choice.
        for low in range(0, len(mask), self._room):
            rows = slice(low, low + self._room)
            if (mask[rows].sum(axis=1) > 1).any():
                seen = {key: array[rows] for key, array in observation.items()}
                copies = np.arange(len(mask), dtype=np.int64)[rows]
                given = seen, mask[rows], self._imagine, copies, keys[rows], decisions[rows]
                actions[rows] = self._search.search(*given, kept=self._kept).actions
        decisions += 1
        if self._kept is not None:
            assert self._imagine is not None
            if len(choosing):
                actions[choosing] = self._kept.follow(choosing, self._imagine)
            self._kept.advance(np.flatnonzero(mask.any(axis=1)))
        return actions
