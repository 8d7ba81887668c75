"""CapTAIN's network: graph capsules over each type of nodes, a transformer over their series, a pointer to a node.

Paul, Witter & Chowdhury, "Graph Learning-based Fleet Scheduling for Urban Air Mobility under Operational Constraints,
Varying Demand & Uncertainties", SAC 2024, arXiv 2401.04851; what the paper's text leaves open is as in
docs/captain.md. Each part can be left out for an ablation.

Built from the spec: an action slot points at the node that the first column of ``actions/nodes`` names (a destination);
those of the other columns (who decides) are the query, with the mean of each graph and the globals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.core.errors import FieldError
from ...envs.core.spec import ObservationSpec, Series
from .capsules import GraphCapsules, GraphConvolution, Weights
from .common import Embedding, Scaling, SlotNetwork, Tensors, gather_nodes, masked_mean, module_name

_CLIP = 10.0  # of a pointer's scores
_BIAS_WIDTH = 32
_ROOM = 2**23  # numbers of series that are remembered


@dataclass(frozen=True)
class CaptainConfig:
    """Size of a `CaptainNetwork`.

    Attributes:
        width: of every embedding but the series', which have half of it.
        layers: of the transformer.
        heads: parallel attentions, of the transformer and the pointer; twice them divide the width.
        capsules: moments of the graph capsules; 0: plain graph convolutions instead.
        hops: how far each moment is spread over the graph.
        series: 1: a transformer over the time steps of each series; 0: the mean of their embeddings.
        decoder: 1: a pointer by attention; 0: a perceptron for each slot.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    capsules: int = field(default=3, metadata={"range": (0, 8)})
    hops: int = field(default=2, metadata={"range": (1, 8)})
    series: int = field(default=1, metadata={"range": (0, 1)})
    decoder: int = field(default=1, metadata={"range": (0, 1)})


class CaptainNetwork(SlotNetwork):
    """Series, graphs, pointer. Images and edges between node types are not looked at."""

    def __init__(self, spec: ObservationSpec, config: CaptainConfig) -> None:
        super().__init__(spec)
        width = config.width
        if width % (2 * config.heads):
            raise FieldError("network heads", config.heads, f"twice it a divisor of the width {width}")
        encoder = SeriesTransformer if config.series else SeriesMean
        self.series = nn.ModuleDict({module_name(series.name): encoder(series, config) for series in spec.series})
        self.graphs = nn.ModuleDict({module_name(node.name): _Graph(spec, node.name, config) for node in spec.nodes})
        self.globals = Embedding(spec.globals, width)
        known = width * (1 + len(spec.nodes) + len(spec.action_nodes[1:]))
        self.query = nn.Linear(known, width)
        if not spec.action_nodes:
            self.slot = Embedding(spec.action_features, width)
        self.decoder = Pointer(spec, config) if config.decoder else Perceptron(spec, config)
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        series = {
            series.name: self.series[module_name(series.name)](observation[f"series/{series.name}"])
            for series in self.spec.series
        }
        nodes = {node.name: self.graphs[module_name(node.name)](observation, series) for node in self.spec.nodes}
        mask, references = observation["action_mask"], observation["actions/nodes"]
        known = [self.globals(observation["globals"])]
        known += [masked_mean(nodes[name], observation[f"node_mask/{name}"]) for name in nodes]
        referred = [gather_nodes(nodes[name], references[..., k]) for k, name in enumerate(self.spec.action_nodes)]
        known += [masked_mean(rows, mask) for rows in referred[1:]]
        slots = referred[0] if referred else self.slot(observation["actions/features"])
        query = self.query(torch.cat(known, dim=-1))
        logits, glimpse = self.decoder(query, slots, observation["actions/features"], mask)
        return logits, self.value(torch.relu(glimpse)).squeeze(-1)


class _Graph(nn.Module):
    """The nodes of one type: their features with their series', embedded, then spread over their graph."""

    def __init__(self, spec: ObservationSpec, name: str, config: CaptainConfig) -> None:
        super().__init__()
        features = next(node.features for node in spec.nodes if node.name == name)
        self._name = name
        self._series = [series.name for series in spec.series if series.node == name]
        self.scaling = Scaling(features)
        self.embedding = nn.Linear(len(features) + config.width // 2 * len(self._series), config.width)
        self.weights = Weights(spec, name)
        self.layer = (
            GraphCapsules(config.width, config.capsules, config.hops)
            if config.capsules
            else GraphConvolution(config.width)
        )

    def forward(self, observation: Tensors, series: Tensors) -> Tensor:
        """Embeddings [B, N, W], zeros in rows that hold no node."""
        seen = [self.scaling(observation[f"nodes/{self._name}"]), *(series[name] for name in self._series)]
        rows = self.layer(self.embedding(torch.cat(seen, dim=-1)), self.weights(observation))
        return rows * observation[f"node_mask/{self._name}"][..., None]


class SeriesMean(nn.Module):
    """A series [B, N, T F] -> [B, N, W / 2]: the mean over time of the steps' linear embeddings."""

    def __init__(self, series: Series, config: CaptainConfig) -> None:
        super().__init__()
        self.steps = series.steps
        self.scaling = Scaling(series.features)
        self.embedding = nn.Linear(len(series.features), config.width // 2)

    def forward(self, series: Tensor) -> Tensor:
        batch, count, _ = series.shape
        return self.embedding(self.scaling(series.view(batch, count, self.steps, -1))).mean(2)


class SeriesTransformer(nn.Module):
    """A series [B, N, T F] -> [B, N, W / 2]: a transformer's encoder over the steps, with sinusoidal positions.

    Vaswani et al., "Attention is all you need", NeurIPS 2017; the mean over time of what comes out.

    What is forecast changes rarely, and is the same for many copies. So rows that are alike are worked out once in
    training; and while weights do not change, what was worked out for a copy's series is remembered.
    """

    positions: Tensor

    def __init__(self, series: Series, config: CaptainConfig) -> None:
        super().__init__()
        width = config.width // 2
        self.steps = series.steps
        self.scaling = Scaling(series.features)
        self.embedding = nn.Linear(len(series.features), width)
        self.register_buffer("positions", sinusoids(series.steps, width), persistent=False)
        layer = nn.TransformerEncoderLayer(width, config.heads, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self._remembered: dict[bytes, Tensor] = {}
        self._versions: list[int] = []

    def forward(self, series: Tensor) -> Tensor:
        if series.device.type != "cpu":
            return self._encode(series.flatten(0, 1)).view(*series.shape[:2], -1)
        if torch.is_grad_enabled():
            rows, place = distinct_rows(series.flatten(0, 1))
            found = self._encode(rows)
            return (found if place is None else found.index_select(0, place)).view(*series.shape[:2], -1)
        return self._recall(series)

    def _encode(self, rows: Tensor) -> Tensor:
        """Rows [n, T F] -> [n, W / 2]."""
        tokens = self.embedding(self.scaling(rows.view(len(rows), self.steps, -1))) + self.positions
        return self.encoder(tokens).mean(1)

    def _recall(self, series: Tensor) -> Tensor:
        """The same copy by copy, so that whatever the others hold changes not a bit of it."""
        versions = [weight._version for weight in self.parameters()]
        if versions != self._versions or len(self._remembered) * series[0].numel() > _ROOM:
            self._remembered, self._versions = {}, versions
        found = []
        for number, block in enumerate(series.numpy()):
            key = block.tobytes()
            if key not in self._remembered:
                self._remembered[key] = self._encode(series[number])
            found.append(self._remembered[key])
        return torch.stack(found)


def sinusoids(steps: int, width: int) -> Tensor:
    """Positions [T, W]: sines and cosines whose wavelengths grow from 2 pi to 10000 x 2 pi."""
    pairs = torch.arange(0, width, 2)
    angle = torch.arange(steps)[:, None] * torch.exp(-math.log(1e4) * pairs / width)
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)[:, :width]


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Rows [n, F] without repetition, and the place of each row among them; (rows, None) where nothing is gained."""
    # Rows are told apart by one number each, which sorts much faster than rows; that it confuses no two is checked.
    direction = torch.linspace(1.0, 2.0, rows.shape[1], dtype=torch.float64, device=rows.device).sqrt()
    _, place = torch.unique((rows.double() * direction).sum(1), return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if 2 * count >= len(rows):
        return rows, None
    first = torch.empty(count, dtype=torch.int64, device=rows.device)
    first[place] = torch.arange(len(rows), device=rows.device)
    distinct = rows.index_select(0, first)
    if not torch.equal(distinct.index_select(0, place), rows):
        return rows, None
    return distinct, place


class _Decoder(nn.Module):
    """Scores slots, and sums up what was looked at, for the value of the state."""

    def __init__(self, spec: ObservationSpec, config: CaptainConfig) -> None:
        super().__init__()
        self.scaling = Scaling(spec.action_features)
        self.own = nn.Linear(len(spec.action_features), _BIAS_WIDTH)
        self.given = nn.Linear(config.width, _BIAS_WIDTH, bias=False)
        self.last = nn.Linear(_BIAS_WIDTH, 1)
        nn.init.orthogonal_(self.last.weight, 0.01)
        nn.init.zeros_(self.last.bias)

    def bias(self, query: Tensor, features: Tensor) -> Tensor:
        """What a slot's own features [B, A, F] add to its score [B, A], given the query [B, W]."""
        hidden = self.own(self.scaling(features)) + self.given(query)[:, None]
        return self.last(torch.relu(hidden)).squeeze(-1)

    def forward(self, query: Tensor, slots: Tensor, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [B, A] of slots, and a summary [B, W].

        Args:
            query: [B, W].
            slots: [B, A, W], what each slot points at.
            features: of the slots [B, A, F].
            mask: int8 [B, A], which are legal.
        """
        raise NotImplementedError  # abstract: torch modules and ABCs do not mix well


class Pointer(_Decoder):
    """Multi-head attention to the legal slots, then a clipped product of what was found with each slot's key.

    Kool, van Hoof & Welling, "Attention, learn to solve routing problems!", ICLR 2019, and a bias by each slot's own
    features, whose weight may depend on the state: how much what lies ahead is worth depends on the load.
    """

    def __init__(self, spec: ObservationSpec, config: CaptainConfig) -> None:
        super().__init__(spec, config)
        self.heads = config.heads
        self.projections = nn.Linear(config.width, 3 * config.width, bias=False)
        self.glimpse = nn.Linear(config.width, config.width)
        with torch.no_grad():
            self.projections.weight[2 * config.width :] *= 0.01  # the pointer's keys: no preference at first

    def forward(self, query: Tensor, slots: Tensor, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        batch, width = query.shape
        key, value, pointed = self.projections(slots).chunk(3, dim=-1)

        def split(x: Tensor) -> Tensor:
            return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        refused = (mask == 0).to(query.dtype) * -1e9
        mixed = functional.scaled_dot_product_attention(
            split(query), split(key), split(value), attn_mask=refused[:, None, None]
        )
        glimpse = query + self.glimpse(mixed.transpose(1, 2).reshape(batch, width))
        scores = (pointed * glimpse[:, None]).sum(-1) / math.sqrt(width)
        return _CLIP * torch.tanh(scores) + self.bias(query, features), glimpse


class Perceptron(_Decoder):
    """A perceptron for each slot, which sees the query and what the slot points at: no attention."""

    def __init__(self, spec: ObservationSpec, config: CaptainConfig) -> None:
        super().__init__(spec, config)
        self.query = nn.Linear(config.width, 2 * config.width)
        self.slot = nn.Linear(config.width, 2 * config.width, bias=False)
        self.score = nn.Linear(2 * config.width, 1, bias=False)
        nn.init.orthogonal_(self.score.weight, 0.01)

    def forward(self, query: Tensor, slots: Tensor, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.query(query)[:, None] + self.slot(slots))
        return self.score(hidden).squeeze(-1) + self.bias(query, features), query
