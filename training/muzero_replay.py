"""The memory of self-play: the latest steps of every copy, and what searches said of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Imagine
from ..agents.arena import look_ahead
from ..envs.core.engine import BatchEngine

Observation = Mapping[str, NDArray[Any]]
MEMORY = 2**31
"""Bytes of states that are kept at most."""
FORESEEN = ("actions/features", "globals")
"""What foresight widens of an observation."""
_LEAST_PRIORITY = 1e-3
_PRIORITY_POWER, _CORRECTION = 0.6, 0.4


class States(ABC):
    """States of n copies at T moments, in rows moment * n + copy."""

    @abstractmethod
    def put(self, moment: int, observation: Observation) -> None:
        """Keep the present of all copies."""

    @abstractmethod
    def observation(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Arrays [k, ...]."""

    def imagine(self) -> Imagine | None:
        """How to look ahead from rows; None where only observations are kept."""
        return None


class ObservedStates(States):
    """Observations alone.

    Args:
        like: arrays [n, ...]; what else is in an observation is not kept.
        moments: T.
        copies: n.
    """

    def __init__(self, like: Observation, moments: int, copies: int) -> None:
        self._copies = copies
        self._arrays = {key: np.zeros((moments * len(x), *x.shape[1:]), dtype=x.dtype) for key, x in like.items()}

    def put(self, moment: int, observation: Observation) -> None:
        rows = slice(moment * self._copies, (moment + 1) * self._copies)
        for key, array in self._arrays.items():
            array[rows] = observation[key]

    def observation(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return {key: array[rows] for key, array in self._arrays.items()}


class EngineStates(States):
    """Copies of an engine, from which one can go on; the hidden future is drawn anew for whoever looks ahead.

    Args:
        engine: whose states are kept.
        moments: T.
        foreseen: of an observation, arrays [n, ...] that foresight has widened, which are kept beside the engine's.
    """

    def __init__(self, engine: BatchEngine, moments: int, foreseen: Observation) -> None:
        self._engine = engine
        self._kept = engine._empty_like(engine.num_copies * moments)
        self._foreseen = ObservedStates(foreseen, moments, engine.num_copies)

    def put(self, moment: int, observation: Observation) -> None:
        copies = self._engine.num_copies
        rows = slice(moment * copies, (moment + 1) * copies)
        pairs = zip(self._engine._arrays(recorded=False), self._kept._arrays(recorded=False), strict=True)
        for mine, kept in pairs:
            kept[rows] = mine
        self._foreseen.put(moment, observation)

    def observation(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        own = {key: array[rows] for key, array in self._kept.block.views.items()}
        return own | self._foreseen.observation(rows)

    def imagine(self) -> Imagine:
        return look_ahead(self._kept)


class Step(NamedTuple):
    """What n copies did at a moment.

    Attributes:
        actions: int64 [n].
        rewards, discounts: float32 [n]; the discount is 0 where the episode terminated.
        strays: bool [n], whether the action was tried against the search, to see what comes of it.
        ended: bool [n], whether an episode ended, of itself or cut.
        tails: float32 [n], the value of the state at which an episode was cut, else 0.
        policy: float32 [n, A], of the search.
        values: float32 [n], of the search.
    """

    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    discounts: NDArray[np.float32]
    strays: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    tails: NDArray[np.float32]
    policy: NDArray[np.float32]
    values: NDArray[np.float32]


class Batch(NamedTuple):
    """What is learned from at a time: B states and the K actions after each.

    Attributes:
        rows: int64 [B], of the states.
        observation: arrays [B, ...] of the states.
        actions: int64 [B, K].
        rewards, discounts: float32 [B, K], of these actions.
        policy: float32 [B, K + 1, A], of the states that they lead to.
        values: float32 [B, K + 1], what the states turned out to be worth.
        known: float32 [B, K + 1], 1 where there is such a state, or the episode's end (worth nothing, no policy).
        lives: float32 [B, K + 1], 1 where there is such a state.
        weights: float32 [B], of the losses: correct for states that are drawn more often.
        after: int64 [B], how many of the actions lead from each state to its `later` one, drawn from 1 .. K; 0 where no
            such state is known.
        later: arrays [B, ...].
    """

    rows: NDArray[np.int64]
    observation: dict[str, NDArray[Any]]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    discounts: NDArray[np.float32]
    policy: NDArray[np.float32]
    values: NDArray[np.float32]
    known: NDArray[np.float32]
    lives: NDArray[np.float32]
    weights: NDArray[np.float32]
    after: NDArray[np.int64]
    later: dict[str, NDArray[Any]]


class Replay:
    """The latest T moments of n copies.

    Args:
        states: where the states are kept.
        moments: T.
        copies: n.
        slots: A.
        bootstrap: after how many steps the value of a search stands for the rest.
    """

    def __init__(self, states: States, moments: int, copies: int, slots: int, bootstrap: int) -> None:
        self.states, self._moments, self._copies, self._bootstrap = states, moments, copies, bootstrap
        shape = (moments, copies)
        self._kept = Step(
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.float32),
            np.zeros(shape, dtype=np.float32),
            np.zeros(shape, dtype=np.bool_),
            np.zeros(shape, dtype=np.bool_),
            np.zeros(shape, dtype=np.float32),
            np.zeros((*shape, slots), dtype=np.float32),
            np.zeros(shape, dtype=np.float32),
        )
        self._priority = np.zeros(shape)
        self._count = 0

    @property
    def size(self) -> int:
        """How many states are kept."""
        return min(self._count, self._moments) * self._copies

    @property
    def next_moment(self) -> int:
        """Where the next moment's states are to be kept."""
        return self._count % self._moments

    def put(self, step: Step) -> None:
        """Keep what was done at the present moment, whose states are kept already."""
        moment = self.next_moment
        for kept, new in zip(self._kept, step, strict=True):
            kept[moment] = new
        self._priority[moment] = max(float(self._priority.max()), 1.0)
        self._count += 1

    def cut(self) -> None:
        """What comes next does not follow what is kept: nothing more is known of the latest moment than its search."""
        if self._count:
            latest = (self._count - 1) % self._moments
            self._kept.strays[latest] = True
            self._kept.ended[latest] |= self._kept.discounts[latest] > 0

    def renew(self, rows: NDArray[np.int64], policy: NDArray[np.float32], values: NDArray[np.float64]) -> None:
        """Replace what searches said of rows."""
        self._kept.policy.reshape(-1, policy.shape[1])[rows] = policy
        self._kept.values.reshape(-1)[rows] = values

    def prioritise(self, rows: NDArray[np.int64], errors: NDArray[np.float32]) -> None:
        """Draw states more often the more wrong their values are."""
        self._priority.reshape(-1)[rows] = np.abs(errors) + _LEAST_PRIORITY

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Rows of states, each as likely as any other."""
        return rng.integers(0, self.size, count)

    def sample(self, rng: np.random.Generator, count: int, unroll: int) -> Batch:
        """States by their priority, with K = `unroll` actions after each."""
        kept = self._kept
        chances = self._priority.reshape(-1)[: self.size] ** _PRIORITY_POWER
        chances /= chances.sum()
        rows = rng.choice(self.size, count, p=chances)
        weights = (self.size * chances[rows]) ** -_CORRECTION
        moment, copy = rows // self._copies, rows % self._copies
        age = (self.next_moment - 1 - moment) % self._moments  # moments from then to the latest
        actions = np.zeros((count, unroll), dtype=np.int64)
        rewards, discounts = np.zeros((2, count, unroll), dtype=np.float32)
        policy = np.zeros((count, unroll + 1, kept.policy.shape[2]), dtype=np.float32)
        values, known, lives = np.zeros((3, count, unroll + 1), dtype=np.float32)
        living, seen = np.ones(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
        for k in range(unroll + 1):
            here = (moment + k) % self._moments
            seen &= ~living | (k <= age)
            living &= seen
            policy[living, k] = kept.policy[here, copy][living]
            values[:, k] = np.where(living, self._returns(here, copy, age - k, living), 0.0)
            known[:, k], lives[:, k] = seen, living
            if k < unroll:
                actions[:, k] = np.where(living, kept.actions[here, copy], rng.integers(0, policy.shape[2], count))
                rewards[:, k] = np.where(living, kept.rewards[here, copy], 0.0)
                discounts[:, k] = np.where(living, kept.discounts[here, copy], 0.0)
                # A cut episode goes on where nobody has looked: nothing is known of what follows.
                cut = living & kept.ended[here, copy] & (kept.discounts[here, copy] > 0)
                living &= ~kept.ended[here, copy]
                seen &= ~cut
        observation = self.states.observation(rows)
        after, later = np.zeros(count, dtype=np.int64), observation
        if unroll:
            after = rng.integers(1, unroll + 1, count)
            after[lives[np.arange(count), after] == 0] = 0
            later = self.states.observation((moment + after) % self._moments * self._copies + copy)
        scaled = (weights / weights.max()).astype(np.float32)
        return Batch(rows, observation, actions, rewards, discounts, policy, values, known, lives, scaled, after, later)

    def _returns(
        self, moment: NDArray[np.int64], copy: NDArray[np.int64], age: NDArray[np.int64], living: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What states turned out to be worth: rewards of some steps, then the value that a search gave.

        No return goes on over a step that strays from what the search chose (as Watkins's): it is not what play comes
        to.
        """
        kept = self._kept
        total, factor = np.zeros(len(moment)), np.ones(len(moment))
        open_ = living.copy()
        for step in range(self._bootstrap + 1):
            here = (moment + step) % self._moments
            ended = kept.ended[here, copy]
            stop = open_ & ((step == self._bootstrap) | kept.strays[here, copy] | (~ended & (step >= age)))
            total += np.where(stop, factor * kept.values[here, copy], 0.0)
            open_ &= ~stop
            total += np.where(open_, factor * kept.rewards[here, copy], 0.0)
            factor = np.where(open_, factor * kept.discounts[here, copy], factor)
            total += np.where(open_ & ended, factor * kept.tails[here, copy], 0.0)
            open_ &= ~ended
        return total
