"""What acting on an arm is worth when attention has a price: a Lagrangian relaxation with one price per instance.

Every arm plays its own H epochs and pays `price` for each level in each epoch; the price is the least at which all arms
together use no more levels than an epoch's action can give on average. Q(s, k) - Q(s, 0), without the price of the
epoch at hand, is the arm's *gain*: what rules, scorers and networks compare.

It is a guide for all families and exact for none: only the average number of elements of an action counts, and arms
that are coupled meet the others as they are on average, see `field`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from .capacity import Capacity
from .field import Separable, blend, is_coupled, respond
from .instance import LEAST_UNTREATED, BanditInstance, birth_death

_PRECISION = 1e-3
_ROUNDS = 6


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
        law: [T, J, K, S, S]; that of all epochs where T is 1.
        reward: [T, J, S], on the next state; likewise.
        value: written, [H + 1, J, S].
        gain: written, [H, J, S, K].
    """
    epochs, arms, states, levels = gain.shape
    for j in range(arms):
        for s in range(states):
            value[epochs, j, s] = 0.0
        for back in range(epochs):
            t = epochs - 1 - back
            u = min(t, len(law) - 1)
            for s in range(states):
                best, passive = 0.0, 0.0
                for k in range(levels):
                    total = 0.0
                    for after in range(states):
                        if law[u, j, k, s, after] > 0.0:
                            total += law[u, j, k, s, after] * (reward[u, j, after] + value[t + 1, j, after])
                    if k == 0:
                        passive = total
                    gain[t, j, s, k] = total - passive
                    if k == 0 or total - k * price > best:
                        best = total - k * price
                value[t, j, s] = best


@compiled
def levels_used(law, start, price, gain, share):
    """Expected levels that all arms use in all epochs, each by its best choice under the price.

    Args:
        start: [J, S], probabilities of the first state.
        share: written, [H, J, S, K], probabilities of states and levels.
    """
    epochs, arms, states, levels = gain.shape
    used = 0.0
    share[:] = 0.0
    for j in range(arms):
        for t in range(epochs):
            u = min(t - 1, len(law) - 1)
            for s in range(states):
                here = start[j, s]
                if t > 0:
                    here = 0.0
                    for before in range(states):
                        for k in range(levels):
                            if share[t - 1, j, before, k] > 0.0:
                                here += share[t - 1, j, before, k] * law[u, j, k, before, s]
                chosen = 0
                for k in range(1, levels):
                    if gain[t, j, s, k] - k * price > gain[t, j, s, chosen] - chosen * price:
                        chosen = k
                share[t, j, s, chosen] = here
                used += here * chosen
    return used


@compiled
def find_price(law, reward, start, supply, high, value, share, gain):
    """The least price, to a thousandth, at which no more levels than the supply are used; value, share and gain are
    its."""
    fill_gains(law, reward, 0.0, value, gain)
    if levels_used(law, start, 0.0, gain, share) <= supply:
        return 0.0
    low = 0.0
    while high - low > _PRECISION * high:
        middle = 0.5 * (low + high)
        fill_gains(law, reward, middle, value, gain)
        if levels_used(law, start, middle, gain, share) > supply:
            low = middle
        else:
            high = middle
    fill_gains(law, reward, high, value, gain)
    levels_used(law, start, high, gain, share)
    return high


def price_arms(instance: BanditInstance) -> Priced:
    """The gains of an instance under the price that balances them."""
    if not is_coupled(instance):
        return _balance(instance, instance.transition[None], instance.reward[None])[0]
    epochs = instance.horizon
    priced, share, value = _balance(instance, *_alone(instance))
    arms = Separable(
        np.broadcast_to(instance.transition, (epochs, *instance.transition.shape)),
        np.broadcast_to(instance.reward, (epochs, *instance.reward.shape)),
        instance.start,
    )
    for number in range(1, _ROUNDS + 1):
        field = respond(instance, arms, share, value)
        priced, new, value = _balance(instance, field.law, field.reward)
        share = blend(share, new, number)
    return priced


def _balance(
    instance: BanditInstance, law: NDArray[np.float64], reward: NDArray[np.float64]
) -> tuple[Priced, NDArray[np.float64], NDArray[np.float64]]:
    """(gains, probabilities of states and levels, values) of arms with laws [T, J, K, S, S] and rewards [T, J, S]."""
    epochs, arms, states = instance.horizon, instance.num_arms, instance.num_states
    gain = np.zeros((epochs, arms, states, instance.num_levels))
    value, share = np.zeros((epochs + 1, arms, states)), np.zeros_like(gain)
    supply = levels_per_epoch(instance) * epochs
    high = max(float(np.abs(reward).max()) * epochs, 1e-9)
    law, reward, start = (np.ascontiguousarray(array) for array in (law, reward, instance.start))
    price = find_price(law, reward, start.copy(), supply, high, value, share, gain)
    return Priced(gain, price), share, value


def levels_per_epoch(instance: BanditInstance) -> float:
    """How many levels an epoch's action gives, on average of the elements."""
    feasible = instance.feasible
    count = float(feasible.budget)
    if isinstance(feasible, Capacity):
        count = min(float(feasible.capacity.sum() / feasible.cost.mean()), count)
    return count if instance.effect is None else count * float(instance.effect.sum(axis=0).mean())


def _alone(instance: BanditInstance) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the mean field begins: joint rewards shared out evenly, half of an arm's neighbours sick; [1, ...] each."""
    law, reward = np.array(instance.transition), np.array(instance.reward)
    for joint in instance.joint:
        for arm in joint.arms:
            reward[arm, joint.least :] += joint.weight / len(joint.arms)
    if instance.contagion is not None:
        assert instance.up is not None
        passive = np.maximum(instance.up[:, :1] - 0.5 * instance.contagion.strength, LEAST_UNTREATED)
        law[:, :1] = birth_death(passive, instance.num_states)
    return law[None], reward[None]
