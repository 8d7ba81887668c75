"""A network that begins as a rule: it adds to what an action feature already says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.core.errors import UnknownNameError
from ...envs.core.spec import ObservationSpec
from .common import SlotNetwork, Tensors


class PriorNetwork(SlotNetwork):
    """Logits of a network less a learned multiple of an action feature that counts a cost.

    The scores of a fresh network are nearly zero (see `SlotReadout`), so that the policy is at first
    softmax(-multiple x cost) and training improves on that (residual policy learning; Silver, Allen, Tenenbaum &
    Kaelbling, arXiv 1812.06298).

    Args:
        inner: the network.
        feature: name of the action feature.

    Raises:
        UnknownNameError: the spec has no such action feature.
    """

    def __init__(self, inner: SlotNetwork, feature: str) -> None:
        super().__init__(inner.spec)
        self._column = feature_column(inner.spec, feature)
        self.inner = inner
        self.multiple = nn.Parameter(torch.tensor(10.0))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        self.inner.steady = self.steady
        logits, values = self.inner(observation)
        cost = observation["actions/features"][..., self._column]
        return logits - functional.softplus(self.multiple) * cost, values


def feature_column(spec: ObservationSpec, feature: str) -> int:
    """The column of the action feature that is a network's prior.

    Raises:
        UnknownNameError: the spec has no such action feature.
    """
    try:
        return spec.action_column(feature)
    except KeyError:
        known = [one.name for one in spec.action_features]
        raise UnknownNameError("action feature of the option network prior:", feature, known) from None
