"""Message passing over the typed graph of an observation, built from the spec alone (PyTorch Geometric)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from ...envs.core.spec import EdgeType, ObservationSpec
from .common import Embedding, SlotNetwork, SlotReadout, Tensors, masked_max, masked_mean, module_name


@dataclass(frozen=True)
class GraphConfig:
    """Size of a `GraphNetwork`.

    Attributes:
        width: of every embedding.
        layers: rounds of message passing.
    """

    width: int = 32
    layers: int = 2


class _Sum(MessagePassing):
    """Sum of the neighbours' rows."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, rows: Tensor, edges: Tensor, targets: int) -> Tensor:
        return self.propagate(edges, x=rows, size=(rows.shape[0], targets))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


class _Links(NamedTuple):
    """Edges of one type in one direction, of all copies.

    Attributes:
        edges: int64 [2, E] into the nodes of the two types, all copies in a row.
        share: float [targets, 1], one over the number of edges that reach a node; None where that is one at most, so
            that sums are means.
    """

    edges: Tensor
    share: Tensor | None


class _Relation(nn.Module):
    """Mean messages of one edge type in one direction.

    The linear map is applied on the side that has fewer nodes: both orders give the same.
    """

    def __init__(self, edge: EdgeType, along: bool, width: int) -> None:
        super().__init__()
        self.key = edge.name, along
        self.source, self.target = (edge.source, edge.target) if along else (edge.target, edge.source)
        self.linear = nn.Linear(width, width, bias=False)
        self.sum = _Sum()

    def forward(self, nodes: dict[str, Tensor], links: dict[tuple[str, bool], _Links]) -> Tensor:
        edges, share = links[self.key]
        rows, count = nodes[self.source], nodes[self.target].shape[0]
        first = rows.shape[0] <= count
        received = self.sum(self.linear(rows) if first else rows, edges, count)
        if share is not None:
            received = received * share
        return received if first else self.linear(received)


class _Layer(nn.Module):
    """One round: every node takes in its neighbours along every edge type, in both directions."""

    def __init__(self, spec: ObservationSpec, width: int) -> None:
        super().__init__()
        relations = [_Relation(edge, way, width) for edge in spec.edges for way in (True, False)]
        self.relations = nn.ModuleList(relations)
        self.own = nn.ModuleDict({module_name(node.name): nn.Linear(width, width) for node in spec.nodes})

    def forward(self, nodes: dict[str, Tensor], links: dict[tuple[str, bool], _Links]) -> dict[str, Tensor]:
        total = {name: self.own[module_name(name)](rows) for name, rows in nodes.items()}
        for relation in self.relations:
            total[relation.target] = total[relation.target] + relation(nodes, links)  # type: ignore[index]
        return {name: rows + torch.relu(total[name]) for name, rows in nodes.items()}


class GraphNetwork(SlotNetwork):
    """Node embeddings by message passing, then the readout over action slots.

    Edge features, series and images are not looked at.
    """

    def __init__(self, spec: ObservationSpec, config: GraphConfig) -> None:
        super().__init__(spec)
        self.embeddings = nn.ModuleDict(
            {module_name(node.name): Embedding(node.features, config.width) for node in spec.nodes}
        )
        self.layers = nn.ModuleList([_Layer(spec, config.width) for _ in range(config.layers)])
        self.globals = Embedding(spec.globals, config.width)
        self.readout = SlotReadout(spec, config.width, config.width * (1 + 2 * len(spec.nodes)))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        names = [node.name for node in self.spec.nodes]
        masks = {name: observation[f"node_mask/{name}"] for name in names}
        counts = {name: masks[name].shape[1] for name in names}
        batch = observation["globals"].shape[0]
        nodes = {
            name: (self.embeddings[module_name(name)](observation[f"nodes/{name}"]) * masks[name][..., None]).flatten(
                0, 1
            )
            for name in names
        }
        links: dict[tuple[str, bool], _Links] = {}
        for edge in self.spec.edges:
            index = _flat_edges(observation[f"edges/{edge.name}"], counts[edge.source], counts[edge.target])
            links[edge.name, True] = _Links(index, _share(index[1], batch * counts[edge.target]))
            links[edge.name, False] = _Links(index.flip(0), _share(index[0], batch * counts[edge.source]))
        for layer in self.layers:
            nodes = layer(nodes, links)
        by_copy = {name: rows.view(batch, counts[name], -1) for name, rows in nodes.items()}
        state = [self.globals(observation["globals"])]
        for name in names:
            state += [masked_mean(by_copy[name], masks[name]), masked_max(by_copy[name], masks[name])]
        return self.readout(observation, by_copy, torch.cat(state, dim=-1))


def _flat_edges(edges: Tensor, sources: int, targets: int) -> Tensor:
    """Edges [B, 2, E] (-1 padded) as one edge index [2, *] into the nodes of all copies in a row."""
    batch = edges.shape[0]
    copy = torch.arange(batch, device=edges.device)[:, None]
    present = (edges >= 0).all(1).reshape(-1).nonzero().squeeze(1)
    source = (edges[:, 0].long() + copy * sources).reshape(-1)[present]
    target = (edges[:, 1].long() + copy * targets).reshape(-1)[present]
    return torch.stack([source, target])


def _share(targets: Tensor, count: int) -> Tensor | None:
    """One over the number of edges that reach each of `count` nodes, [count, 1]; None where that is one at most."""
    received = torch.bincount(targets, minlength=count)
    return None if int(received.max()) <= 1 else 1.0 / received.clamp(min=1)[:, None]
