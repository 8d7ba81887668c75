"""What SEQUOIA's network sees of arms at each level, of all of them together, and of pairs that are coupled.

Worths are over the largest reward of the instance, so that one set of weights plays any instance and any size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .model import KnownModel

ARM = (
    "first_quarter", "second_quarter", "third_quarter", "last_quarter", "state", "reward_now", "passive_reward",
    "reward_gain", "rise", "best_reward", "gain", "margin", "is_index", "level", "time", "left", "joint_weight",
    "joint_ready", "near_state", "near_margin", "near_index", "near_rise", "sick_near", "infects", "infects_reward",
    "budget",
)  # fmt: skip
"""Of an arm at a level above 0. `gain` is Lagrangian, `margin` by how much it is above that of the first arm that the
budget leaves out, `rise` how much higher the next state is than untreated. ``near_`` are means over arms that are
coupled with it by joint rewards or a contagion, weighted."""
GENERAL = ("time", "left", "budget", "mean_state", "top_share")
PAIR = ("weight", "infects")

_QUARTERS = 4
_CLIP = 8.0
_USUAL = 20.0


class Outlook:
    """Features of one instance.

    Args:
        model: of the instance.
        gain: float64 [H, J, S, K], Lagrangian gains.

    Attributes:
        unit: what worths are divided by.
        pairs: int64 [P, 2], coupled arms.
        pair_features: float32 [P, len(PAIR)].
    """

    def __init__(self, model: KnownModel, gain: NDArray[np.float64]) -> None:
        instance = model.instance
        self.model, self.gain = model, gain
        self.unit = max(float(np.abs(instance.reward).max()), *(abs(one.weight) for one in instance.joint), 1e-9)
        count = instance.num_arms
        joint, infects = np.zeros((count, count)), np.zeros((count, count))
        for one in instance.joint:
            for u in one.arms:
                for v in one.arms:
                    joint[u, v] += (u != v) * one.weight / self.unit
        if instance.contagion is not None:
            for j, near in enumerate(instance.contagion.neighbours):
                infects[j, list(near)] = 1.0 / max(len(near), 1)
        self._joint, self._infects = joint, infects
        near = joint + infects + infects.T
        self._near = near / np.maximum(near.sum(axis=1, keepdims=True), 1e-9)
        self.pairs = np.argwhere(np.triu(joint != 0)) if instance.effect is None else np.zeros((0, 2), dtype=np.int64)
        self.pair_features = np.array(
            [(joint[u, v], infects[u, v] + infects[v, u]) for u, v in self.pairs], dtype=np.float32
        ).reshape(-1, len(PAIR))
        self._best = instance.reward.max(axis=1) / self.unit
        self._least = np.full(count, instance.num_states - 1)
        for one in instance.joint:
            self._least[list(one.arms)] = one.least

    def arms(self, epoch: int, states: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [J, K - 1, len(ARM)]."""
        instance, model, unit = self.model.instance, self.model, self.unit
        count, levels, top = instance.num_arms, instance.num_levels, max(instance.num_states - 1, 1)
        each = np.arange(count)
        laws = model.laws(states)
        own = np.einsum("jks,js->jk", laws, instance.reward) / unit
        height = laws @ np.arange(instance.num_states) / top
        gain = self.gain[epoch, each, states] / unit
        budget = min(instance.feasible.budget, count - 1)
        best = gain[:, 1:].max(axis=1)
        margin = best - np.sort(best)[count - 1 - budget]
        is_index = (margin > 0).astype(np.float64)
        level_now = states / top
        columns = np.zeros((count, levels - 1, len(ARM)), dtype=np.float32)
        quarter = np.minimum(states * _QUARTERS // (top + 1), _QUARTERS - 1)
        columns[each, :, quarter] = 1.0
        rise = height[:, 1:] - height[:, :1]
        by_arm = {
            "state": level_now,
            "reward_now": instance.reward[each, states] / unit,
            "passive_reward": own[:, 0],
            "best_reward": self._best,
            "margin": margin,
            "is_index": is_index,
            "time": np.full(count, epoch / instance.horizon),
            "left": np.full(count, (instance.horizon - epoch) / _USUAL),
            "joint_weight": self._joint.sum(axis=1),
            "joint_ready": self._joint @ (states >= self._least),
            "near_state": self._near @ level_now,
            "near_margin": self._near @ margin,
            "near_index": self._near @ is_index,
            "near_rise": self._near @ rise[:, 0],
            "budget": np.full(count, budget / count),
        }
        if instance.contagion is not None:
            sick = states <= instance.contagion.sick
            by_arm["sick_near"] = self._infects @ sick
            by_arm["infects"] = self._infects.sum(axis=0) * sick
            by_arm["infects_reward"] = self._infects.T @ self._best
        for name, values in by_arm.items():
            columns[:, :, ARM.index(name)] = values[:, None]
        columns[:, :, ARM.index("reward_gain")] = own[:, 1:] - own[:, :1]
        columns[:, :, ARM.index("rise")] = rise
        columns[:, :, ARM.index("gain")] = gain[:, 1:]
        columns[:, :, ARM.index("level")] = np.arange(1, levels) / max(levels - 1, 1)
        return np.clip(columns, -_CLIP, _CLIP)

    def general(self, epoch: int, states: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [len(GENERAL)]."""
        instance = self.model.instance
        top = max(instance.num_states - 1, 1)
        return np.array(
            [
                epoch / instance.horizon,
                (instance.horizon - epoch) / _USUAL,
                instance.feasible.budget / instance.num_elements,
                states.mean() / top,
                (states == top).mean(),
            ],
            dtype=np.float32,
        )
