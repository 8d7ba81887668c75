"""Whittle's index of an arm, and whether it has one.

An arm alone pays a price in each epoch in which it is acted on. Whittle's index of a state is the price at which acting
and not acting are worth the same there; the arm is *indexable* if, in every state, not acting is best from that price
on and acting below it, so that the set of passive states only grows with the price (Whittle, J. Applied Probability
25A, 1988).

Values are linear in the price as long as the same actions are best. So the prices at which an action changes are found
one after the other, exactly, instead of on a grid that might step over an interval: at each of them policy iteration
compares values first, then their slopes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.core.errors import FieldError, UserError
from ...envs.restless_bandits.instance import BanditInstance

DISCOUNT = 0.99
_TIE = 1e-11  # of the largest price that matters
_MOST_CHANGES = 10_000

Interval = tuple[float, float]


@dataclass(frozen=True)
class WhittleArm:
    """What there is to say of one arm.

    Attributes:
        passive: for each state the intervals of prices at which not acting is best.
        index: float64 [S], the price from which on not acting is best throughout; Whittle's index where the arm is
            indexable.
    """

    passive: tuple[tuple[Interval, ...], ...]
    index: NDArray[np.float64]

    @property
    def indexable(self) -> bool:
        """Whether the passive set only grows with the price."""
        return all(len(intervals) == 1 for intervals in self.passive)


def whittle(transition: ArrayLike, reward: ArrayLike, discount: float) -> WhittleArm:
    """The passive intervals and indices of one arm.

    Args:
        transition: float [2, S, S], probabilities of the next state, passive and active.
        reward: float [2, S], expected reward of acting so in a state.
        discount: from 0 to below 1.

    Raises:
        UserError: the shapes do not fit, or the discount is 1 or above.
    """
    law, pays = np.asarray(transition, dtype=np.float64), np.asarray(reward, dtype=np.float64)
    if law.ndim != 3 or law.shape[0] != 2 or law.shape[1] != law.shape[2]:
        raise FieldError("transition: shape", law.shape, "(2, states, states): passive and active")
    if pays.shape != law.shape[:2]:
        raise FieldError("reward: shape", pays.shape, str(law.shape[:2]))
    if not 0.0 <= discount < 1.0:
        raise FieldError("discount", discount, "a number from 0 to below 1, for Whittle's index of an endless horizon")
    return _Walk(law, pays, discount).run()


class _Walk:
    """Goes from low prices to high ones."""

    def __init__(self, law: NDArray[np.float64], pays: NDArray[np.float64], discount: float) -> None:
        self._law, self._pays, self._discount = law, pays, discount
        self._states = np.arange(law.shape[1])
        # Beyond this price, up or down, one action is best everywhere.
        self._end = (float(np.ptp(pays)) + 1.0) / (1.0 - discount)
        self._tie = _TIE * (1.0 + self._end)

    def run(self) -> WhittleArm:
        price, active = -self._end, np.ones(len(self._states), dtype=np.bool_)
        since = np.full(len(self._states), np.nan)
        passive: list[list[Interval]] = [[] for _ in self._states]
        for _ in range(_MOST_CHANGES):
            active = self._best(price, active)
            for s in self._states:
                if not active[s] and np.isnan(since[s]):
                    since[s] = price
                elif active[s] and not np.isnan(since[s]):
                    passive[s].append((float(since[s]), price))
                    since[s] = np.nan
            following = self._next_change(price, active)
            if following >= self._end:
                break
            price = following
        for s in self._states:
            passive[s].append((float(since[s]), np.inf))
        return WhittleArm(tuple(tuple(one) for one in passive), since)

    def _best(self, price: float, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The actions that are best right above a price, from some that are best at or below it."""
        while True:
            value, slope = self._advantage(active)
            level = value + price * slope
            tied = np.abs(level) <= self._tie
            wished = np.where(tied, slope > self._tie, level > 0.0)
            # Of actions that stay worth the same, the one at hand is kept.
            wished = np.where(tied & (np.abs(slope) <= self._tie), active, wished)
            if np.array_equal(wished, active):
                return active
            active = wished

    def _next_change(self, price: float, active: NDArray[np.bool_]) -> float:
        """The next price above at which another action becomes as good; infinite for none."""
        value, slope = self._advantage(active)
        level = value + price * slope
        shrinks = np.where(active, slope < -self._tie, slope > self._tie) & (np.abs(level) > self._tie)
        if not shrinks.any():
            return np.inf
        return float((price - level[shrinks] / slope[shrinks]).min())

    def _advantage(self, active: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What acting once is worth beyond not acting where actions are such, as (value, slope) in the price."""
        choice = active.astype(np.int64)
        rows = self._law[choice, self._states]
        right = np.stack([self._pays[choice, self._states], -active.astype(np.float64)], axis=1)
        values = np.linalg.solve(np.eye(len(rows)) - self._discount * rows, right)
        once = self._discount * (self._law[1] - self._law[0]) @ values
        return once[:, 0] + self._pays[1] - self._pays[0], once[:, 1] - 1.0


def whittle_arms(instance: BanditInstance, discount: float = DISCOUNT) -> list[WhittleArm]:
    """Whittle's indices of an instance's arms by themselves; rewards of several arms together do not count.

    Raises:
        UserError: its arms have more than two levels, or elements act on several arms.
    """
    if instance.num_levels != 2 or instance.effect is not None:
        raise UserError(
            f"instance {instance.name!r}: Whittle's index is for arms that are acted on or not, one by one; "
            "this one's elements act at several levels"
        )
    reward = np.einsum("jkst,jt->jks", instance.transition, instance.reward)
    return [whittle(instance.transition[j], reward[j], discount) for j in range(instance.num_arms)]
