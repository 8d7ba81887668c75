"""A rollout buffer that discounts by simulated time: gamma ** (elapsed / time_scale)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from .bridge import Bridge


class ElapsedRolloutBuffer(MaskableDictRolloutBuffer):
    """Returns and advantages (GAE; Schulman et al., arXiv 1506.02438) with a discount for each step's simulated time.

    Most steps of a scheduling environment take no time, so that one discount per step would mean little. A truncated
    episode's last reward gets the discounted value of the state at which it was cut (`Bridge.bootstrap`).
    """

    def __init__(self, *args: Any, bridge: Bridge, time_scale: float, **kwargs: Any) -> None:
        self._bridge, self._time_scale = bridge, time_scale
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        self.discounts: NDArray[np.float32] = np.ones((self.buffer_size, self.n_envs), dtype=np.float32)
        super().reset()

    def add(self, *args: Any, **kwargs: Any) -> None:
        position = self.pos
        discount = self.gamma ** (self._bridge.elapsed / self._time_scale)
        super().add(*args, **kwargs)
        self.discounts[position] = discount
        self.rewards[position] += discount * self._bridge.bootstrap

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: NDArray[np.bool_]) -> None:
        following = last_values.clone().cpu().numpy().flatten()
        goes_on = 1.0 - dones.astype(np.float32)
        advantage = np.zeros(self.n_envs, dtype=np.float32)
        for step in reversed(range(self.buffer_size)):
            discount = self.discounts[step] * goes_on
            error = self.rewards[step] + discount * following - self.values[step]
            advantage = error + discount * self.gae_lambda * advantage
            self.advantages[step] = advantage
            following, goes_on = self.values[step], 1.0 - self.episode_starts[step]
        self.returns = self.advantages + self.values
