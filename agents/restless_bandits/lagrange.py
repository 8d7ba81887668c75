"""Lagrangian gains: what acting on each arm is worth beyond not acting, when the future pays the prices of attention.

Where arms earn rewards together or infect each other no prices make them independent. There the arms' laws and rewards
are replaced by what they are on average under the last solution, again and again, and the gains that play best in
simulated episodes are taken (a mean field).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.restless_bandits.field import Separable, blend, is_coupled, respond
from ...envs.restless_bandits.instance import BanditInstance
from ...envs.restless_bandits.occupancy import separate, solve_occupancy
from .simulation import Simulation

_ROUNDS = 6
_PATHS = 200
_MOST_KEPT = 512
_kept: dict[tuple[str, float], NDArray[np.float64]] = {}


class Induced(NamedTuple):
    """Backward induction of arms by themselves under prices.

    Attributes:
        gain: float64 [T, J, S, K], Q(s, k) - Q(s, 0); the price of the epoch at hand is not paid, those of later ones
            are.
        passive: float64 [T, J, S], Q(s, 0).
        value: float64 [T + 1, J, S], of the best levels, all prices paid.
    """

    gain: NDArray[np.float64]
    passive: NDArray[np.float64]
    value: NDArray[np.float64]


def induce(arms: Separable, price: NDArray[np.float64], discount: float = 1.0) -> Induced:
    """What levels are worth to arms that pay prices [T, J, K]."""
    epochs, count, levels, states, _ = arms.law.shape
    gain = np.zeros((epochs, count, states, levels))
    passive = np.zeros((epochs, count, states))
    value = np.zeros((epochs + 1, count, states))
    for t in reversed(range(epochs)):
        quality = np.einsum("jksn,jn->jsk", arms.law[t], arms.reward[t] + discount * value[t + 1])
        passive[t] = quality[:, :, 0]
        gain[t] = quality - passive[t][:, :, None]
        value[t] = (quality - price[t][:, None, :]).max(axis=2)
    return Induced(gain, passive, value)


def immediate_gains(instance: BanditInstance) -> NDArray[np.float64]:
    """What levels add to an arm's own expected next reward, as if nobody infected it; float64 [H, J, S, K]."""
    quality = np.einsum("jksn,jn->jsk", instance.transition, instance.reward)
    return np.broadcast_to(quality - quality[:, :, :1], (instance.horizon, *quality.shape))


def lagrangian_gains(instance: BanditInstance, discount: float = 1.0) -> NDArray[np.float64]:
    """The gains of an instance, float64 [H, J, S, K], read-only; kept, since many an agent begins with them.

    Raises:
        NoSolutionError: the occupancy program was not solved.
    """
    key = instance.hash, discount
    if key not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        gain = _gains(instance, discount)
        gain.setflags(write=False)
        _kept[key] = gain
    return _kept[key]


def _gains(instance: BanditInstance, discount: float) -> NDArray[np.float64]:
    arms = separate(instance)
    if not is_coupled(instance):
        return induce(arms, solve_occupancy(instance, arms, discount).price, discount).gain
    candidates = _mean_fields(instance, arms, discount)
    simulation = Simulation.of(instance)
    if simulation is None:
        return candidates[-1]
    scores = [simulation.score(gain[..., 1], _PATHS) for gain in candidates]
    return candidates[int(np.argmax(scores))]


def gains_from(
    instance: BanditInstance, epoch: int, states: NDArray[np.int64], discount: float = 1.0
) -> NDArray[np.float64]:
    """float64 [T, J, S, K]: the gains by a program that is solved anew from given states on (Gast, Gaujal and Yan,
    Mathematics of Operations Research 49, 2024)."""
    start = np.zeros((instance.num_arms, instance.num_states))
    start[np.arange(instance.num_arms), states] = 1.0
    arms = separate(instance, epoch, start)
    if not is_coupled(instance):
        return induce(arms, solve_occupancy(instance, arms, discount).price, discount).gain
    return _mean_fields(instance, arms, discount)[-1]


def _mean_fields(instance: BanditInstance, arms: Separable, discount: float) -> list[NDArray[np.float64]]:
    """Gains of the arms by themselves with joint rewards shared out by the program's duals, then of mean fields."""
    found = solve_occupancy(instance, arms, discount)
    alone = arms._replace(reward=arms.reward + found.bonus)
    induced = induce(alone, found.price, discount)
    gains, share = [induced.gain], found.share
    for number in range(1, _ROUNDS + 1):
        field = respond(instance, arms, share, induced.value, discount)
        found = solve_occupancy(instance, field, discount, joint=False)
        induced = induce(field, found.price, discount)
        gains.append(induced.gain)
        share = blend(share, found.share, number)
    return gains
