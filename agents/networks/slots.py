"""A network that sees the action slots' features and the globals alone: no graph, and many times faster for it.

Slots know of each other by the mean and the maximum over the legal ones (Zaheer et al., "Deep sets", NeurIPS 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...envs.core.spec import ObservationSpec
from .common import Embedding, Scaling, SlotNetwork, Tensors, masked_max, masked_mean


@dataclass(frozen=True)
class SlotsConfig:
    """Size of a `SlotsNetwork`.

    Attributes:
        width: of every vector.
        layers: times that slots look at all legal ones.
    """

    width: int = 32
    layers: int = 2


class SlotsNetwork(SlotNetwork):
    """Slots and globals, then scores of the slots and the value of the state."""

    def __init__(self, spec: ObservationSpec, config: SlotsConfig) -> None:
        super().__init__(spec)
        width = config.width
        self.scaling = Scaling(spec.action_features)
        self.slot = nn.Linear(len(spec.action_features), width)
        self.globals = Embedding(spec.globals, width)
        self.own = nn.ModuleList([nn.Linear(width, width) for _ in range(config.layers)])
        self.around = nn.ModuleList([nn.Linear(3 * width, width) for _ in range(config.layers)])
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        nn.init.orthogonal_(self.score.weight, 0.01)
        nn.init.zeros_(self.score.bias)

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        mask = observation["action_mask"]
        state = self.globals(observation["globals"])
        slots = torch.relu(self.slot(self.scaling(observation["actions/features"])))
        for own, around in zip(self.own, self.around, strict=True):
            slots = slots + torch.relu(own(slots) + around(_summary(state, slots, mask))[:, None])
        return self.score(slots).squeeze(-1), self.value(_summary(state, slots, mask)).squeeze(-1)


def _summary(state: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """[B, 3 W]: the globals, and the mean and the maximum over legal slots, which are not negative."""
    return torch.cat([state, masked_mean(slots, mask), masked_max(slots, mask)], dim=-1)
