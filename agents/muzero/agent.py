"""Search at play: at each decision of an episode a Gumbel search from the present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.planned import make_follower, plan_room
from ...envs.core.random import TYPICAL
from ..agent import Agent, Imagine, Observation, Setting
from ..planners.playouts import MEMORY
from ..streams import Streams
from .playouts import PlayoutSearch


class PlayoutSearchAgent(Agent):
    """Searches with playouts at the leaves (see `PlayoutSearch`).

    Where nothing is random the best plan that was ever played is kept, and no worse one is followed (fortified rollout;
    Bertsekas, Tsitsiklis & Wu, Journal of Heuristics 3, 1997).

    Args:
        search: how.
        setting: of the environment; needs an engine.
    """

    def __init__(self, search: PlayoutSearch, setting: Setting) -> None:
        self.name = "gumbel"
        self._searcher, self._stochastic = search, setting.stochastic
        self._imagine: Imagine | None = None
        self._streams = Streams()
        self._costs = np.zeros(0)
        self._plans = np.zeros((0, 0), dtype=np.int64)
        self._room = 1
        self._lists = False

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
        missing = max(int(copies.max()) + 1 - len(self._costs), 0)
        room = plan_room(present)
        if self._plans.shape[1] != room:  # another environment: nothing goes on from before
            self._plans = np.zeros((len(self._costs), room), dtype=np.int64)
        self._plans = np.concatenate([self._plans, np.zeros((missing, room), dtype=np.int64)])
        self._costs = np.append(self._costs, np.zeros(missing))
        self._costs[copies] = np.inf
        self._lists = present.kernels.follow_plan is None

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions: NDArray[np.int64] = mask.argmax(axis=1).astype(np.int64)
        keys, decisions = self._streams.of(len(mask))
        choosing = np.flatnonzero(mask.sum(axis=1) > 1)
        for low in range(0, len(choosing), self._room):
            copies = choosing[low : low + self._room]
            actions[copies] = self._search(copies, keys[copies], decisions[copies])
        running = np.flatnonzero(mask.any(axis=1))
        decisions[running] += 1
        if self._lists:
            self._plans[running, :-1] = self._plans[running, 1:]
        return actions

    def _search(
        self, copies: NDArray[np.int64], keys: NDArray[np.uint64], decisions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The actions of copies that have a choice."""
        assert self._imagine is not None
        found, best = self._searcher.search(self._imagine, copies, keys, decisions)
        if self._stochastic:
            return found.actions
        better = best.costs <= self._costs[copies]
        self._costs[copies[better]], self._plans[copies[better]] = best.costs[better], best.plans[better]
        present = self._imagine(copies, np.full(len(copies), TYPICAL))
        follow, _ = make_follower(present.kernels)
        actions = np.zeros(len(copies), dtype=np.int64)
        follow(present.problem, present.state, self._plans[copies], 0, actions)
        return actions
