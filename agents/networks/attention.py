"""Attention of action slots to each other and to the nodes of an observation, built from the spec alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.core.errors import UserError
from ...envs.core.spec import ObservationSpec
from .common import Embedding, Scaling, SlotNetwork, SlotReadout, Tensors, gather_nodes, masked_mean, module_name


@dataclass(frozen=True)
class AttentionConfig:
    """Size of an `AttentionNetwork`.

    Attributes:
        width: of every token.
        layers: rounds of attention.
        heads: parallel attentions; a divisor of the width.
    """

    width: int = 32
    layers: int = 2
    heads: int = 4


class _Attend(nn.Module):
    """Multi-head attention of queries [B, A, W] to tokens [B, N, W] with a bias [B, H, A, N] on the scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        batch, slots, width = queries.shape

        def split(x: Tensor) -> Tensor:
            return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        key, value = self.key_value(tokens).chunk(2, dim=-1)
        query = split(self.query(self.norm(queries)))
        mixed = functional.scaled_dot_product_attention(query, split(key), split(value), attn_mask=bias)
        return queries + self.out(mixed.transpose(1, 2).reshape(batch, slots, width))


class _Layer(nn.Module):
    """Slots attend to nodes, then to each other, then think."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.to_nodes = _Attend(width, heads)
        self.to_slots = _Attend(width, heads)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, slots: Tensor, nodes: Tensor, node_bias: Tensor, slot_bias: Tensor) -> Tensor:
        slots = self.to_nodes(slots, nodes, node_bias)
        slots = self.to_slots(slots, slots, slot_bias)
        return slots + self.think(slots)


class _RelationBias(nn.Module):
    """A learned score for each way in which a node can stand to a slot.

    A node may be one that the slot refers to, or the neighbour of such a one along an edge type, in either direction.
    """

    def __init__(self, spec: ObservationSpec, heads: int) -> None:
        super().__init__()
        self.nodes = [node.name for node in spec.nodes]
        # By the type of node that is looked at: (column of the reference, edge or None, whether the edge leads to it).
        self.relations: dict[str, list[tuple[int, str | None, bool]]] = {name: [] for name in self.nodes}
        for column, name in enumerate(spec.action_nodes):
            self.relations[name].append((column, None, True))
            for edge in spec.edges:
                if edge.source == name:
                    self.relations[edge.target].append((column, edge.name, True))
                if edge.target == name:
                    self.relations[edge.source].append((column, edge.name, False))
        self.weights = nn.ParameterDict(
            {
                module_name(name): nn.Parameter(torch.zeros(heads, len(found)))
                for name, found in self.relations.items()
                if found
            }
        )
        self.heads = heads

    def forward(self, references: Tensor, adjacency: Tensors, counts: dict[str, int]) -> Tensor:
        """Scores [B, H, A, N] over the nodes of all types in a row."""
        batch, slots, _ = references.shape
        parts = []
        for name in self.nodes:
            if self.relations[name]:
                stands = [
                    self._stands(references[..., column], edge, leads, adjacency, counts[name])
                    for column, edge, leads in self.relations[name]
                ]
                parts.append(torch.einsum("hr,rban->bhan", self.weights[module_name(name)], torch.stack(stands)))
            else:
                parts.append(torch.zeros(batch, self.heads, slots, counts[name], device=references.device))
        return torch.cat(parts, dim=-1)

    @staticmethod
    def _stands(reference: Tensor, edge: str | None, leads: bool, adjacency: Tensors, count: int) -> Tensor:
        """float [B, A, N]: 1 where a slot's reference is the node itself, or its neighbour along the edge type."""
        if edge is None:
            return functional.one_hot(reference.long() + 1, count + 1)[..., 1:].to(torch.float32)
        table = adjacency[edge] if leads else adjacency[edge].transpose(1, 2).contiguous()
        return gather_nodes(table, reference)


class AttentionNetwork(SlotNetwork):
    """Action slots are the tokens that think; they look at the nodes, whose tokens are computed once.

    A node's token holds its own features and the mean of its neighbours' along each edge type. Whether a slot refers
    to a node or to a neighbour of it biases the attention: that is how a slot tells the operations of its own job or
    machine from the others. Edge features, series and images are not looked at.

    Raises:
        UserError: the spec has no nodes.
    """

    def __init__(self, spec: ObservationSpec, config: AttentionConfig) -> None:
        super().__init__(spec)
        width = config.width
        self.heads = config.heads
        if not spec.nodes:
            raise UserError("network 'attention' needs an observation with nodes, and this one has none; try 'graph'")
        self.embeddings = nn.ModuleDict(
            {module_name(node.name): Embedding(node.features, width) for node in spec.nodes}
        )
        self.neighbours = nn.ModuleDict(
            {
                module_name(f"{edge.name}-{way}"): nn.Linear(width, width, bias=False)
                for edge in spec.edges
                for way in ("to", "from")
            }
        )
        self.globals = Embedding(spec.globals, width)
        self.scaling = Scaling(spec.action_features)
        self.slot = nn.Linear(len(spec.action_features) + width * (len(spec.action_nodes) + 1), width)
        self.relation_bias = _RelationBias(spec, config.heads)
        self.layers = nn.ModuleList([_Layer(width, config.heads) for _ in range(config.layers)])
        self.back = nn.Linear(width, width)
        self.readout = SlotReadout(spec, width, width * 2)

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        names = [node.name for node in self.spec.nodes]
        own = {
            name: self.embeddings[module_name(name)](observation[f"nodes/{name}"])
            * observation[f"node_mask/{name}"][..., None]
            for name in names
        }
        adjacency = self._adjacency(observation)
        tokens = self._tokens(own, adjacency)
        references = observation["actions/nodes"]
        legal = observation["action_mask"]
        present = torch.cat([observation[f"node_mask/{name}"] for name in names], dim=1)
        everything = torch.cat([tokens[name] for name in names], dim=1)
        summary = self.globals(observation["globals"])
        seen = [self.scaling(observation["actions/features"])]
        referred = [gather_nodes(tokens[name], references[..., k]) for k, name in enumerate(self.spec.action_nodes)]
        seen += referred
        seen.append(summary[:, None].expand(-1, references.shape[1], -1))
        slots = self.slot(torch.cat(seen, dim=-1))
        node_bias = self.relation_bias(references, adjacency, {name: own[name].shape[1] for name in names})
        node_bias = node_bias + _refuse(present)[:, None, None]
        slot_bias = _refuse(legal)[:, None, None].expand(-1, self.heads, slots.shape[1], -1)
        for layer in self.layers:
            slots = layer(slots, everything, node_bias, slot_bias)
        context = masked_mean(torch.relu(self.back(slots)), legal)
        # The readout adds what the slots found to the nodes' tokens it gathers anew.
        logits, value = self.readout(observation, referred, torch.cat([summary, context], dim=-1), slots)
        return logits, value

    def _adjacency(self, observation: Tensors) -> dict[str, Tensor]:
        """Dense adjacency [B, sources, targets] of every edge type."""
        dense = {}
        for edge in self.spec.edges:
            index = observation[f"edges/{edge.name}"].long()
            sources = observation[f"node_mask/{edge.source}"].shape[1]
            targets = observation[f"node_mask/{edge.target}"].shape[1]
            present = (index >= 0).all(1).to(torch.float32)
            flat = index[:, 0].clamp(min=0) * targets + index[:, 1].clamp(min=0)
            table = torch.zeros(index.shape[0], sources * targets, device=index.device)
            dense[edge.name] = table.scatter_reduce(1, flat, present, "amax").view(-1, sources, targets)
        return dense

    def _tokens(self, own: Tensors, adjacency: Tensors) -> Tensors:
        total = dict(own)
        for edge in self.spec.edges:
            table = adjacency[edge.name]
            for way, end, other, matrix in (
                ("to", edge.target, edge.source, table.transpose(1, 2)),
                ("from", edge.source, edge.target, table),
            ):
                mean = matrix @ own[other] / matrix.sum(2, keepdim=True).clamp(min=1.0)
                total[end] = total[end] + self.neighbours[module_name(f"{edge.name}-{way}")](mean)
        return total


def _refuse(mask: Tensor) -> Tensor:
    """0 where the mask is set, else a score so low that it is never attended to (finite: rows may be all masked)."""
    return (mask == 0).to(torch.float32) * -1e9
