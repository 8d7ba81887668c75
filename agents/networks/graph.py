"""Message passing over the typed graph of an observation, built from the spec alone (PyTorch Geometric)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from ...envs.core.spec import EdgeType, ObservationSpec
from .common import Embedding, SlotNetwork, SlotReadout, Tensors, masked_max, masked_mean


@dataclass(frozen=True)
class GraphConfig:
    """Size of a `GraphNetwork`.

    Attributes:
        width: of every embedding.
        layers: rounds of message passing.
    """

    width: int = 32
    layers: int = 2


class _Mean(MessagePassing):
    """Mean of the neighbours' rows."""

    def __init__(self) -> None:
        super().__init__(aggr="mean")

    def forward(self, rows: Tensor, edges: Tensor, targets: int) -> Tensor:
        return self.propagate(edges, x=rows, size=(rows.shape[0], targets))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


class _Relation(nn.Module):
    """Messages of one edge type in one direction.

    The linear map is applied on the side that has fewer nodes: both orders give the same sum.
    """

    def __init__(self, edge: EdgeType, forward_direction: bool, width: int) -> None:
        super().__init__()
        self.edge = edge.name
        self.direction = forward_direction
        self.source, self.target = (edge.source, edge.target) if forward_direction else (edge.target, edge.source)
        self.linear = nn.Linear(width, width, bias=False)
        self.mean = _Mean()

    def forward(self, nodes: dict[str, Tensor], edges: dict[str, Tensor]) -> Tensor:
        index = edges[self.edge] if self.direction else edges[self.edge].flip(0)
        rows, count = nodes[self.source], nodes[self.target].shape[0]
        if rows.shape[0] <= count:
            return self.mean(self.linear(rows), index, count)
        return self.linear(self.mean(rows, index, count))


class _Layer(nn.Module):
    """One round: every node takes in its neighbours along every edge type, in both directions."""

    def __init__(self, spec: ObservationSpec, width: int) -> None:
        super().__init__()
        relations = [_Relation(edge, way, width) for edge in spec.edges for way in (True, False)]
        self.relations = nn.ModuleList(relations)
        self.own = nn.ModuleDict({node.name: nn.Linear(width, width) for node in spec.nodes})

    def forward(self, nodes: dict[str, Tensor], edges: dict[str, Tensor]) -> dict[str, Tensor]:
        total = {name: self.own[name](rows) for name, rows in nodes.items()}
        for relation in self.relations:
            total[relation.target] = total[relation.target] + relation(nodes, edges)  # type: ignore[index]
        return {name: rows + torch.relu(total[name]) for name, rows in nodes.items()}


class GraphNetwork(SlotNetwork):
    """Node embeddings by message passing, then the readout over action slots.

    Edge features, series and images are not looked at.
    """

    def __init__(self, spec: ObservationSpec, config: GraphConfig) -> None:
        super().__init__(spec)
        self.embeddings = nn.ModuleDict({node.name: Embedding(node.features, config.width) for node in spec.nodes})
        self.layers = nn.ModuleList([_Layer(spec, config.width) for _ in range(config.layers)])
        self.globals = Embedding(spec.globals, config.width)
        self.readout = SlotReadout(spec, config.width, config.width * (1 + 2 * len(spec.nodes)))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        names = [node.name for node in self.spec.nodes]
        masks = {name: observation[f"node_mask/{name}"] for name in names}
        counts = {name: masks[name].shape[1] for name in names}
        batch = observation["globals"].shape[0]
        nodes = {
            name: (self.embeddings[name](observation[f"nodes/{name}"]) * masks[name][..., None]).flatten(0, 1)
            for name in names
        }
        edges = {
            edge.name: _flat_edges(observation[f"edges/{edge.name}"], counts[edge.source], counts[edge.target])
            for edge in self.spec.edges
        }
        for layer in self.layers:
            nodes = layer(nodes, edges)
        by_copy = {name: rows.view(batch, counts[name], -1) for name, rows in nodes.items()}
        state = [self.globals(observation["globals"])]
        for name in names:
            state += [masked_mean(by_copy[name], masks[name]), masked_max(by_copy[name], masks[name])]
        return self.readout(observation, by_copy, torch.cat(state, dim=-1))


def _flat_edges(edges: Tensor, sources: int, targets: int) -> Tensor:
    """Edges [B, 2, E] (-1 padded) as one edge index [2, *] into the nodes of all copies in a row."""
    batch = edges.shape[0]
    copy = torch.arange(batch, device=edges.device)[:, None]
    present = (edges[:, 0] >= 0).reshape(-1).nonzero().squeeze(1)
    source = (edges[:, 0].long() + copy * sources).reshape(-1)[present]
    target = (edges[:, 1].long() + copy * targets).reshape(-1)[present]
    return torch.stack([source, target])
