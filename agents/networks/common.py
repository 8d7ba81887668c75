"""Parts that the networks share: tensors of an observation, embeddings, the readout over action slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...envs.core.errors import UserError
from ...envs.core.spec import Feature, ObservationSpec

Tensors = dict[str, Tensor]


def to_tensors(observation: Mapping[str, NDArray[Any]], device: torch.device | str) -> Tensors:
    """The observation's arrays [B, ...] on a device; the memory is shared where the device is the CPU."""
    return {key: torch.as_tensor(np.ascontiguousarray(array), device=device) for key, array in observation.items()}


def module_name(name: str) -> str:
    """A spec's name as the key of a torch `ModuleDict`, which takes neither dots nor names of its own methods."""
    return "of_" + name.replace("%", "%25").replace(".", "%2E")


class SlotNetwork(nn.Module):
    """A network that scores action slots and values the state; subclasses are built from the spec alone.

    No parameter's shape depends on a count of nodes, edges or slots.

    Attributes:
        steady: work with arrays whose shapes depend on nothing but the batch's, so that a copy's scores are the same
            bit for bit whatever the other copies hold. Training does without, which is faster.
        source: the checkpoint that its weights come from; empty for one that was not loaded.
    """

    steady = False
    source = ""

    def __init__(self, spec: ObservationSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        """Logits [B, A] of all slots, legal or not, and values [B] in units of the reward."""
        raise NotImplementedError  # abstract: torch modules and ABCs do not mix well


def refuse_nan(network: SlotNetwork, *found: NDArray[Any]) -> None:
    """Look at what a network has computed.

    Raises:
        UserError: something is no number. Its weights are finite, so that they are too large to be computed with.
    """
    if any(np.isnan(array).any() for array in found):
        largest = max((float(weights.detach().abs().max()) for weights in network.parameters()), default=0.0)
        where = f"checkpoint {network.source!r}" if network.source else "a network"
        raise UserError(
            f"{where}: its scores are no numbers: its largest weight, {largest:.3g}, is too large to compute with"
        )


class Scaling(nn.Module):
    """Compress features of wide range: x -> sign(x) log(1 + |x|) where bounds exceed 1, else x.

    Features are already relative to the instance, but some reach 64 or 4096; the logarithm keeps the rare large values
    from drowning the rest.
    """

    wide: Tensor

    def __init__(self, features: tuple[Feature, ...]) -> None:
        super().__init__()
        wide = [max(abs(feature.low), abs(feature.high)) > 2.0 for feature in features]
        self.register_buffer("wide", torch.tensor(wide, dtype=torch.bool), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.wide, torch.sign(x) * torch.log1p(x.abs()), x)


class Embedding(nn.Module):
    """Features -> `width` numbers: scaling, one linear layer, rectifier."""

    def __init__(self, features: tuple[Feature, ...], width: int) -> None:
        super().__init__()
        self.scaling = Scaling(features)
        self.linear = nn.Linear(len(features), width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.linear(self.scaling(x)))


def gather_nodes(nodes: Tensor, references: Tensor) -> Tensor:
    """Rows of nodes [B, N, W] named by references [B, A] (-1: zeros) -> [B, A, W]."""
    batch, count, width = nodes.shape
    present = references >= 0
    offset = torch.arange(batch, device=nodes.device)[:, None] * count
    index = (references.clamp(min=0) + offset).reshape(-1)
    rows = nodes.reshape(-1, width).index_select(0, index).view(batch, -1, width)
    return rows * present[..., None]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over axis 1 of x [B, N, W] where mask [B, N] is not zero; zeros where it is zero everywhere."""
    weight = mask.to(x.dtype)[..., None]
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over axis 1 of x [B, N, W] >= 0 where mask [B, N] is not zero; zeros where it is zero everywhere."""
    return (x * mask.to(x.dtype)[..., None]).amax(1)


class SlotReadout(nn.Module):
    """Scores each action slot from its own features, its nodes and all legal slots together, and values the state.

    Args:
        spec: of the observation.
        width: of node embeddings and of everything here.
        state_width: of the summary of the state.
    """

    def __init__(self, spec: ObservationSpec, width: int, state_width: int) -> None:
        super().__init__()
        self.scaling = Scaling(spec.action_features)
        seen = len(spec.action_features) + width * len(spec.action_nodes)
        self.slot = nn.Linear(seen, width)
        self.state = nn.Linear(state_width, width)
        self.context = nn.Linear(3 * width, width)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        nn.init.orthogonal_(self.score.weight, 0.01)
        nn.init.zeros_(self.score.bias)

    def forward(
        self, observation: Tensors, referred: list[Tensor], state: Tensor, found: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits [B, A] and values [B].

        Args:
            observation: as the environment gives it.
            referred: for each column of ``actions/nodes`` the embeddings [B, A, width] of the nodes that slots refer
                to, zeros where there is none.
            state: a summary [B, state_width].
            found: what each slot knows already, [B, A, width], or None.
        """
        mask = observation["action_mask"]
        seen = [self.scaling(observation["actions/features"]), *referred]
        summary = torch.relu(self.state(state))
        slots = self.slot(torch.cat(seen, dim=-1))
        slots = torch.relu(slots if found is None else slots + found)
        around = torch.cat([summary, masked_mean(slots, mask), masked_max(slots, mask)], dim=-1)
        hidden = torch.relu(self.hidden(slots) + self.context(around)[:, None])
        return self.score(hidden).squeeze(-1), self.value(around).squeeze(-1)
