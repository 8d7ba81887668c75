"""What acting on an arm is worth when attention has a price: a Lagrangian relaxation with one price per instance.

Every arm plays its own H epochs and pays `price` for each level in each epoch; the price is the least at which all arms
together use no more levels than an epoch's action can give on average. Q(s, k) - Q(s, 0), without the price of the
epoch at hand, is the arm's *gain*: what rules, scorers and networks compare.

It is a guide for all families and exact for none: joint rewards are shared out evenly among their arms, an arm of a
contagion is taken to have half of its neighbours sick, and only the average number of elements of an action counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from .capacity import Capacity
from .instance import LEAST_UNTREATED, BanditInstance, birth_death

_PRECISION = 1e-3


class Priced(NamedTuple):
    """Attributes:
    gain: float64 [H, J, S, K], Q(s, k) - Q(s, 0) with future epochs' price paid.
    price: of a level in an epoch.
    """

    gain: NDArray[np.float64]
    price: float


@compiled
def fill_gains(law, reward, price, value, gain):
    """Backward induction of every arm by itself under a price.

    Args:
        law: [J, K, S, S].
        reward: [J, S], on the next state.
        value: scratch [2, S].
        gain: written, [H, J, S, K].
    """
    epochs, arms, states, levels = gain.shape
    for j in range(arms):
        for s in range(states):
            value[0, s] = 0.0
        for back in range(epochs):
            t = epochs - 1 - back
            for s in range(states):
                best, passive = 0.0, 0.0
                for k in range(levels):
                    total = 0.0
                    for after in range(states):
                        if law[j, k, s, after] > 0.0:
                            total += law[j, k, s, after] * (reward[j, after] + value[0, after])
                    if k == 0:
                        passive = total
                    gain[t, j, s, k] = total - passive
                    if k == 0 or total - k * price > best:
                        best = total - k * price
                value[1, s] = best
            for s in range(states):
                value[0, s] = value[1, s]


@compiled
def levels_used(law, start, price, gain, share):
    """Expected levels that all arms use in all epochs, each by its best choice under the price.

    Args:
        start: [J, S], probabilities of the first state.
        share: scratch [2, S].
    """
    epochs, arms, states, levels = gain.shape
    used = 0.0
    for j in range(arms):
        for s in range(states):
            share[0, s] = start[j, s]
        for t in range(epochs):
            for s in range(states):
                share[1, s] = 0.0
            for s in range(states):
                chosen = 0
                for k in range(1, levels):
                    if gain[t, j, s, k] - k * price > gain[t, j, s, chosen] - chosen * price:
                        chosen = k
                used += share[0, s] * chosen
                for after in range(states):
                    if law[j, chosen, s, after] > 0.0:
                        share[1, after] += share[0, s] * law[j, chosen, s, after]
            for s in range(states):
                share[0, s] = share[1, s]
    return used


@compiled
def find_price(law, reward, start, supply, high, scratch, gain):
    """The least price, to a thousandth, at which no more levels than the supply are used. The gains are its."""
    fill_gains(law, reward, 0.0, scratch, gain)
    if levels_used(law, start, 0.0, gain, scratch) <= supply:
        return 0.0
    low = 0.0
    while high - low > _PRECISION * high:
        middle = 0.5 * (low + high)
        fill_gains(law, reward, middle, scratch, gain)
        if levels_used(law, start, middle, gain, scratch) > supply:
            low = middle
        else:
            high = middle
    fill_gains(law, reward, high, scratch, gain)
    return high


def price_arms(instance: BanditInstance) -> Priced:
    """The gains of an instance under the price that balances them."""
    law, reward = _separate(instance)
    gain = np.zeros((instance.horizon, instance.num_arms, instance.num_states, instance.num_levels))
    scratch = np.zeros((2, instance.num_states))
    supply = levels_per_epoch(instance) * instance.horizon
    high = max(float(np.abs(reward).max()) * instance.horizon, 1e-9)
    return Priced(gain, find_price(law, reward, np.array(instance.start), supply, high, scratch, gain))


def levels_per_epoch(instance: BanditInstance) -> float:
    """How many levels an epoch's action gives, on average of the elements."""
    feasible = instance.feasible
    count = float(feasible.budget)
    if isinstance(feasible, Capacity):
        count = min(float(feasible.capacity.sum() / feasible.cost.mean()), count)
    return count if instance.effect is None else count * float(instance.effect.sum(axis=0).mean())


def _separate(instance: BanditInstance) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(law, reward) of arms on their own."""
    law, reward = np.array(instance.transition), np.array(instance.reward)
    for joint in instance.joint:
        for arm in joint.arms:
            reward[arm, joint.least :] += joint.weight / len(joint.arms)
    if instance.contagion is not None:
        assert instance.up is not None
        passive = np.maximum(instance.up[:, :1] - 0.5 * instance.contagion.strength, LEAST_UNTREATED)
        law[:, :1] = birth_death(passive, instance.num_states)
    return law, reward
