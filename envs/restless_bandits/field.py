"""A mean field: each arm meets the others as they are on average, where joint rewards or a contagion couple them.

No prices make such arms independent. So their laws and rewards are replaced by what they come to if all the others
behave on average as they did in the last solution, again and again (Lasry and Lions, Japanese Journal of Mathematics
2, 2007), with steps that shrink as by Frank and Wolfe.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .instance import LEAST_UNTREATED, BanditInstance, birth_death


class Separable(NamedTuple):
    """Arms by themselves, from an epoch on: what remains of an instance without what couples them.

    Attributes:
        law: float64 [T, J, K, S, S].
        reward: float64 [T, J, S], on the next state.
        start: float64 [J, S].
    """

    law: NDArray[np.float64]
    reward: NDArray[np.float64]
    start: NDArray[np.float64]


def is_coupled(instance: BanditInstance) -> bool:
    """Whether arms earn together or infect each other."""
    return bool(instance.joint) or instance.contagion is not None


def blend(share: NDArray[np.float64], new: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Probabilities of states and levels after the step of round `number`, from 1 on."""
    return share + (new - share) / (1 + 0.5 * number)


def respond(
    instance: BanditInstance,
    arms: Separable,
    share: NDArray[np.float64],
    value: NDArray[np.float64],
    discount: float = 1.0,
) -> Separable:
    """The arms as each meets the others on average.

    Args:
        arms: by themselves, without joint rewards.
        share: float64 [T, J, S, K], probabilities of states and levels by which the others behave.
        value: float64 [T + 1, J, S], what states are worth to the arms, prices paid.
        discount: of an epoch.
    """
    now = share.sum(axis=3)  # [T, J, S]
    last = np.einsum("jsk,jksn->jn", share[-1], arms.law[-1])
    after = np.concatenate([now[1:], last[None]])
    reward, law = np.array(arms.reward), arms.law
    for joint in instance.joint:
        ready = after[:, list(joint.arms), joint.least :].sum(axis=2)
        for number, arm in enumerate(joint.arms):
            others = np.prod(np.delete(ready, number, axis=1), axis=1)
            reward[:, arm, joint.least :] += joint.weight * others[:, None]
    if instance.contagion is not None:
        law = np.array(arms.law)
        up, worth = _infected(instance, share, now, value, discount)
        law[:, :, 0] = birth_death(up[..., None], instance.num_states)[:, :, 0]
        reward[:-1, :, instance.contagion.sick + 1 :] += worth[1:, :, None] * discount
    return Separable(law, reward, arms.start)


def _infected(
    instance: BanditInstance,
    share: NDArray[np.float64],
    now: NDArray[np.float64],
    value: NDArray[np.float64],
    discount: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[T, J] twice: chance of an untreated arm to go up, and what it is worth to its neighbours that an arm is well."""
    contagion = instance.contagion
    assert contagion is not None
    assert instance.up is not None
    sick = now[:, :, : contagion.sick + 1].sum(axis=2)
    up = np.zeros(sick.shape)
    worth = np.zeros(sick.shape)
    states = np.arange(instance.num_states)
    above, below = np.minimum(states + 1, instance.num_states - 1), np.maximum(states - 1, 0)
    ahead = instance.reward + discount * value[1:]
    rise = ahead[:, :, above] - ahead[:, :, below]
    for j, near in enumerate(contagion.neighbours):
        others = list(near)
        mean = sick[:, others].mean(axis=1) if others else np.zeros(len(sick))
        up[:, j] = np.maximum(instance.up[j, 0] - contagion.strength * mean, LEAST_UNTREATED)
        for k in others:
            worth[:, k] += contagion.strength / len(others) * (share[:, j, :, 0] * rise[:, j]).sum(axis=1)
    return up, worth
