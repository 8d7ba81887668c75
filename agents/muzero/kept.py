"""The best plan that a search has found: unless something unforeseen happens, no worse one need be followed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.planned import make_follower, plan_room
from ...envs.core.random import TYPICAL
from ..agent import Imagine


class Best(NamedTuple):
    """The best plans that a search has played.

    Attributes:
        costs: float64 [B].
        plans: int64 [B, P], see `makespan.envs.core.planned`; they mean something where nothing is random.
    """

    costs: NDArray[np.float64]
    plans: NDArray[np.int64]


class KeptPlans:
    """The best plan of each copy's episode (fortified rollout; Bertsekas, Tsitsiklis & Wu, Journal of Heuristics 3,
    1997).

    Attributes:
        costs: float64 [n], of the plans; infinite where there is none yet.
        plans: int64 [n, P], see `makespan.envs.core.planned`.
    """

    def __init__(self) -> None:
        self.costs = np.zeros(0)
        self.plans = np.zeros((0, 0), dtype=np.int64)
        self._lists = False

    def begin(self, copies: NDArray[np.int64], imagine: Imagine) -> None:
        """Forget the plans of copies that begin an episode."""
        present = imagine(copies[:1], np.full(1, TYPICAL))
        missing = max(int(copies.max()) + 1 - len(self.costs), 0)
        room = plan_room(present)
        if self.plans.shape[1] != room:  # another environment: nothing goes on from before
            self.plans = np.zeros((len(self.costs), room), dtype=np.int64)
        self.plans = np.concatenate([self.plans, np.zeros((missing, room), dtype=np.int64)])
        self.costs = np.append(self.costs, np.zeros(missing))
        self.costs[copies] = np.inf
        self._lists = present.kernels.follow_plan is None

    def improve(self, copies: NDArray[np.int64], best: Best) -> None:
        """Take up what a search from the present of copies has found, where it is no worse."""
        better = best.costs <= self.costs[copies]
        self.costs[copies[better]], self.plans[copies[better]] = best.costs[better], best.plans[better]

    def renew(self, copies: NDArray[np.int64], now: Best) -> None:
        """Take up what the plans of copies have become since something may have happened."""
        self.costs[copies], self.plans[copies] = now

    def follow(self, copies: NDArray[np.int64], imagine: Imagine) -> NDArray[np.int64]:
        """What the plans of copies do now."""
        present = imagine(copies, np.full(len(copies), TYPICAL))
        follow, _ = make_follower(present.kernels)
        actions = np.zeros(len(copies), dtype=np.int64)
        follow(present.problem, present.state, self.plans[copies], 0, actions)
        return actions

    def advance(self, running: NDArray[np.int64]) -> None:
        """The running copies have made a decision."""
        if self._lists:
            self.plans[running, :-1] = self.plans[running, 1:]
