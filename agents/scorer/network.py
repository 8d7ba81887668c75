"""The scorer as a torch module, so that gradients can train it too; it is played in compiled code all the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.core.spec import ObservationSpec
from ..networks.common import SlotNetwork, Tensors
from .choice import weight_shapes


class ScorerNetwork(SlotNetwork):
    """The network of `makespan.agents.scorer.choice`; it does not value states: its values are zero.

    Args:
        spec: of the observation.
    """

    def __init__(self, spec: ObservationSpec) -> None:
        super().__init__(spec)
        for name, shape in weight_shapes(spec).items():
            spread = 0.0 if "bias" in name else 0.3 if name == "score" else max(shape[0], 1) ** -0.5
            self.register_parameter(name, nn.Parameter(spread * torch.randn(shape)))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        weights = dict(self.named_parameters())
        state = _squash(observation["globals"]) @ weights["state"] + weights["first_bias"]
        hidden = functional.leaky_relu(_squash(observation["actions/features"]) @ weights["slot"] + state[:, None])
        hidden = functional.leaky_relu(hidden @ weights["second"] + weights["second_bias"])
        return hidden @ weights["score"], torch.zeros(len(state), device=state.device)


def _squash(x: Tensor) -> Tensor:
    return x / (1.0 + 0.25 * x.abs())
