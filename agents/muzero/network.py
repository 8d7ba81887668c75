"""The network of MuZero and AlphaZero, built from an observation's spec: representation, prediction and dynamics.

Schrittwieser et al., "Mastering Atari, Go, chess and shogi by planning with a learned model", Nature 588, 2020. A state
is a latent vector and one vector for each action slot: how many slots there are, and what they mean, the observation
says, and the dynamics changes the slot that is chosen. Both are normalised at every step, so that they do not grow as
a search goes deeper than training unrolls. Values and rewards are categorical over a fixed support.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.core.errors import FieldError, UnknownNameError
from ...envs.core.spec import Image, ObservationSpec
from ..foresight import UNIT
from ..networks.build import build_network
from ..networks.common import Embedding, Scaling, SlotNetwork, Tensors, masked_max, masked_mean, module_name
from ..networks.prior import feature_column

ENCODERS = ("graph", "attention", "slots")
BINS, REACH = 129, 8.0
_MULTIPLE = 3.0  # of the prior's cost at first: softer than PPO's, so that a search tries more than the best guess


class Support(nn.Module):
    """A categorical distribution over numbers: bins at equal distances of symlog(x) = sign(x) log(1 + |x|), up to
    e^REACH - 1 in size.

    A number is a distribution over the two bins beside it whose mean, in symlog, is the number (Hafner et al.,
    "Mastering diverse domains through world models", arXiv 2301.04104).

    Args:
        unit: that numbers are counted in.
    """

    bins: Tensor

    def __init__(self, unit: float = 1.0) -> None:
        super().__init__()
        self.unit = unit
        self.register_buffer("bins", torch.linspace(-REACH, REACH, BINS), persistent=False)

    def spread(self, x: Tensor) -> Tensor:
        """Numbers [...] as distributions [..., BINS]."""
        place = (torch.sign(x) * torch.log1p(x.abs() / self.unit)).clamp(-REACH, REACH)
        place = (place + REACH) * ((BINS - 1) / (2.0 * REACH))
        low = place.floor().clamp(max=BINS - 2)
        share = (place - low)[..., None]
        index = low.long()
        lower = functional.one_hot(index, BINS).to(x.dtype)
        upper = functional.one_hot(index + 1, BINS).to(x.dtype)
        return lower * (1.0 - share) + upper * share

    def mean(self, logits: Tensor) -> Tensor:
        """Numbers [...] of distributions [..., BINS], given as logits."""
        place = (torch.softmax(logits, dim=-1) * self.bins).sum(-1)
        return self.unit * torch.sign(place) * torch.expm1(place.abs())


class Latent(NamedTuple):
    """States as the network sees them.

    Attributes:
        state: [B, W].
        slots: [B, A, W], what is known of each action slot.
    """

    state: Tensor
    slots: Tensor


class Step(NamedTuple):
    """What the dynamics says of an action.

    Attributes:
        latent: the states that it leads to.
        reward: logits [B, BINS].
        discount: logits [B] of what later rewards count for: 0 where the episode ends.
    """

    latent: Latent
    reward: Tensor
    discount: Tensor


@dataclass(frozen=True)
class MuZeroConfig:
    """Size and parts of a `MuZeroNetwork`.

    Attributes:
        encoder: what looks at the observation: "graph" (message passing), "attention", or "slots", which sees the
            features of the action slots and the globals alone and is many times faster. Images are seen by a tower of
            convolutions in any case.
        width: of every vector.
        layers: of the encoder.
        dynamics: 1 with a learned model, 0 without: for search on the imagined engine.
        prior: an action feature that counts a cost, in `UNIT` of the reward; None for none. The policy is at first
            softmax(-multiple x cost), and training improves on that (see `PriorNetwork`); values are counted in the
            same unit. Not with a learned model, which knows no features of the states that it imagines.
    """

    encoder: str = "graph"
    width: int = 32
    layers: int = 2
    dynamics: int = 1
    prior: str | None = None


class _Slots(nn.Module):
    """What an encoder hands over in place of scores: what it knows of each slot, and of the state."""

    def __init__(self, spec: ObservationSpec, width: int, state_width: int) -> None:
        super().__init__()
        self.scaling = Scaling(spec.action_features)
        self.slot = nn.Linear(len(spec.action_features) + width * len(spec.action_nodes), width)
        self.state = nn.Linear(state_width, width)

    def forward(
        self, observation: Tensors, referred: list[Tensor], state: Tensor, found: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        slots = self.slot(torch.cat([self.scaling(observation["actions/features"]), *referred], dim=-1))
        return torch.relu(slots if found is None else slots + found), torch.relu(self.state(state))


class _SlotEncoder(SlotNetwork):
    """Sees the action slots' features and the globals alone."""

    def __init__(self, spec: ObservationSpec, width: int, layers: int) -> None:
        super().__init__(spec)
        self.scaling = Scaling(spec.action_features)
        self.slot = nn.Linear(len(spec.action_features), width)
        self.globals = Embedding(spec.globals, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
        self.mix = nn.Linear(width, width)

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        state = self.globals(observation["globals"])
        slots = torch.relu(self.slot(self.scaling(observation["actions/features"])) + self.mix(state)[:, None])
        for layer in self.layers:
            slots = slots + torch.relu(layer(slots))
        return slots, state


class _Tower(nn.Module):
    """Convolutions over an image, each halving it, then the mean and the maximum over what is left."""

    def __init__(self, image: Image, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(before, after, 3, stride=2, padding=1)
                for before, after in ((image.channels, 16), (16, 32), (32, 32))
            ]
        )
        self.out = nn.Linear(64, width)

    def forward(self, image: Tensor) -> Tensor:
        x = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
        return torch.relu(self.out(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=-1)))


class MuZeroNetwork(SlotNetwork):
    """Representation, prediction and, where there is one, dynamics.

    Args:
        spec: of the observation.
        config: sizes.

    Attributes:
        value_scale: float [], what values usually amount to; training keeps it.
        value_error: float [], by how much values are usually wrong in training, their mean absolute error.
    """

    value_scale: Tensor
    value_error: Tensor

    def __init__(self, spec: ObservationSpec, config: MuZeroConfig) -> None:
        super().__init__(spec)
        self.register_buffer("value_scale", torch.ones(()))
        self.register_buffer("value_error", torch.zeros(()))
        width = config.width
        if config.encoder == "slots":
            self.encoder: SlotNetwork = _SlotEncoder(spec, width, config.layers)
        else:
            self.encoder = build_network(config.encoder, spec, {"width": width, "layers": config.layers})
            seen = width * (1 + len(spec.nodes)) if config.encoder == "graph" else 2 * width
            self.encoder.readout = _Slots(spec, width, seen)
        self.towers = nn.ModuleDict({module_name(image.name): _Tower(image, width) for image in spec.images})
        self.state = nn.Linear(width * (3 + len(spec.images)), width)
        self.state_norm = nn.LayerNorm(width)
        self.slot_norm = nn.LayerNorm(width)
        self.slot_policy = nn.Linear(width, width)
        self.state_policy = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, BINS))
        self._prior: int | None = None
        if config.prior is not None:
            self._prior = feature_column(spec, config.prior)
            self.multiple = nn.Parameter(torch.tensor(_MULTIPLE))
        self.support = Support(1.0 if config.prior is None else UNIT)
        fresh = [self.score, self.value[-1]]
        self.has_dynamics = bool(config.dynamics)
        if self.has_dynamics:
            self.moved = nn.Linear(2 * width, 2 * width)
            self.next_state = nn.Linear(2 * width, width)
            self.next_norm = nn.LayerNorm(width)
            self.next_slot = nn.Linear(2 * width, width)
            self.next_slot_norm = nn.LayerNorm(width)
            self.reward = nn.Linear(2 * width, BINS)
            self.discount = nn.Linear(2 * width, 1)
            fresh += [self.reward]
        for layer in fresh:  # at first all actions are alike, and values and rewards nothing
            nn.init.zeros_(layer.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def represent(self, observation: Tensors) -> Latent:
        """States of observations."""
        self.encoder.steady = self.steady
        slots, state = self.encoder(observation)
        mask = observation["action_mask"]
        seen = [state, masked_mean(slots, mask), masked_max(slots, mask)]
        seen += [
            self.towers[module_name(image.name)](observation[f"images/{image.name}"]) for image in self.spec.images
        ]
        return Latent(self.state_norm(self.state(torch.cat(seen, dim=-1))), self.slot_norm(slots))

    def predict(self, latent: Latent) -> tuple[Tensor, Tensor]:
        """Logits [B, A] of the slots, and of the value [B, BINS]."""
        hidden = torch.relu(self.slot_policy(latent.slots) + self.state_policy(latent.state)[:, None])
        return self.score(hidden).squeeze(-1), self.value(latent.state)

    def lead(self, observation: Tensors) -> Tensor:
        """What the prior adds to the logits [B, A] of observed states."""
        features = observation["actions/features"]
        if self._prior is None:
            return torch.zeros_like(features[..., 0])
        return -functional.softplus(self.multiple) * features[..., self._prior]

    def step(self, latent: Latent, actions: Tensor) -> Step:
        """What actions [B] lead to."""
        rows = torch.arange(len(actions), device=actions.device)
        chosen = latent.slots[rows, actions]
        moved = torch.relu(self.moved(torch.cat([latent.state, chosen], dim=-1)))
        state = self.next_norm(latent.state + self.next_state(moved))
        slots = latent.slots.index_put((rows, actions), self.next_slot_norm(chosen + self.next_slot(moved)))
        return Step(Latent(state, slots), self.reward(moved), self.discount(moved).squeeze(-1))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        logits, value = self.predict(self.represent(observation))
        return logits + self.lead(observation), self.support.mean(value)


def muzero_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The full configuration, defaults filled in.

    Raises:
        UserError: a key is unknown, or a value is wrong.
    """
    names = [item.name for item in fields(MuZeroConfig)]
    for key, value in given.items():
        if key not in names:
            raise UnknownNameError("option of network 'muzero':", key, names)
        if key == "encoder":
            if value not in ENCODERS:
                raise UnknownNameError("network encoder", str(value), ENCODERS)
        elif key == "prior":
            if not isinstance(value, str | None):
                raise FieldError("network prior", value, "the name of an action feature, or nothing")
        elif isinstance(value, bool) or not isinstance(value, int) or not (key != "dynamics") <= value <= 4096:
            raise FieldError(f"network {key}", value, "an integer from 1 to 4096, dynamics from 0")
    config = asdict(MuZeroConfig(**given))
    if config["prior"] is not None and config["dynamics"]:
        raise FieldError("network prior", config["prior"], "nothing for a network with dynamics")
    return config


def make_muzero(spec: ObservationSpec, given: Mapping[str, Any]) -> MuZeroNetwork:
    """A fresh network for an observation spec.

    Raises:
        UserError: see `muzero_config`.
    """
    return MuZeroNetwork(spec, MuZeroConfig(**muzero_config(given)))
