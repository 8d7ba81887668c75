"""Message passing over the typed graph of an observation, built from the spec alone (PyTorch Geometric)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from ...envs.core.spec import EdgeType, ObservationSpec
from .common import Embedding, SlotNetwork, SlotReadout, Tensors, module_name


@dataclass(frozen=True)
class GraphConfig:
    """Size of a `GraphNetwork`.

    Attributes:
        width: of every embedding.
        layers: rounds of message passing.
    """

    width: int = 32
    layers: int = 2


class EdgeLinks(NamedTuple):
    """Edges of one type in one direction, of all copies.

    Attributes:
        edges: int64 [2, E] into the nodes of the two types, all copies in a row.
        share: float [targets, 1], one over the number of edges that reach a node; None where that is one at most, so
            that sums are means.
    """

    edges: Tensor
    share: Tensor | None


Links = dict[tuple[str, bool], EdgeLinks]  # by edge type, and whether along its direction


class _Relation(nn.Module):
    """Mean messages of one edge type in one direction.

    The linear map is applied on the side that has fewer nodes: both orders give the same.
    """

    def __init__(self, edge: EdgeType, along: bool, width: int) -> None:
        super().__init__()
        self.key = edge.name, along
        self.source, self.target = (edge.source, edge.target) if along else (edge.target, edge.source)
        self.linear = nn.Linear(width, width, bias=False)

    def forward(self, nodes: dict[str, Tensor], links: Links, count: int) -> Tensor:
        edges, share = links[self.key]
        rows = nodes[self.source]
        first = rows.shape[0] <= count
        sent = (self.linear(rows) if first else rows).index_select(0, edges[0])
        received = scatter(sent, edges[1], dim=0, dim_size=count, reduce="sum")
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

    def forward(self, nodes: dict[str, Tensor], links: Links, updated: dict[str, Tensor]) -> dict[str, Tensor]:
        """New rows of the nodes in `updated` (rows of `nodes`, which the links' targets count)."""
        total = {name: self.own[module_name(name)](rows) for name, rows in updated.items()}
        for relation in self.relations:
            name = cast(str, relation.target)
            if name in updated:
                total[name] = total[name] + relation(nodes, links, len(updated[name]))
        return {name: rows + torch.relu(total[name]) for name, rows in updated.items()}


class Live(NamedTuple):
    """The nodes of one type that are not masked, of all copies in a row; the rest costs nothing.

    Attributes:
        rows: int64 [n], their positions among the B * N places of the observation.
        place: int64 [B * N + 1], position among the live nodes, -1 for masked places and for the last (no place).
        copy: int64 [n], whose node it is; B for nobody's.
        size: N.
    """

    rows: Tensor
    place: Tensor
    copy: Tensor
    size: int


class GraphNetwork(SlotNetwork):
    """Node embeddings by message passing, then the readout over action slots.

    The last round is worked out for those nodes alone that slots refer to; the state is summed up before it. Edge
    features, series and images are not looked at.
    """

    def __init__(self, spec: ObservationSpec, config: GraphConfig) -> None:
        super().__init__(spec)
        self.embeddings = nn.ModuleDict(
            {module_name(node.name): Embedding(node.features, config.width) for node in spec.nodes}
        )
        self.layers = nn.ModuleList([_Layer(spec, config.width) for _ in range(config.layers)])
        self.globals = Embedding(spec.globals, config.width)
        self.readout = SlotReadout(spec, config.width, config.width * (1 + len(spec.nodes)))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        names = [node.name for node in self.spec.nodes]
        live = {name: live_nodes(observation[f"node_mask/{name}"], self.steady) for name in names}
        nodes = {
            name: self.embeddings[module_name(name)](
                observation[f"nodes/{name}"].flatten(0, 1).index_select(0, live[name].rows)
            )
            for name in names
        }
        links: Links = {}
        for edge in self.spec.edges:
            index = live_edges(observation[f"edges/{edge.name}"], live[edge.source], live[edge.target])
            links[edge.name, True] = link_edges(index, len(live[edge.target].rows))
            links[edge.name, False] = link_edges(index.flip(0), len(live[edge.source].rows))
        for layer in self.layers[:-1]:
            nodes = layer(nodes, links, nodes)
        batch = observation["globals"].shape[0]
        state = [self.globals(observation["globals"])]
        state += [mean_by_copy(nodes[name], live[name].copy, batch) for name in names]
        referred = self._last_round(observation, nodes, live, links)
        return self.readout(observation, referred, torch.cat(state, dim=-1))

    def _last_round(
        self, observation: Tensors, nodes: dict[str, Tensor], live: dict[str, Live], links: Links
    ) -> list[Tensor]:
        """Embeddings [B, A, W] of the nodes that each column of references names."""
        references = observation["actions/nodes"].long()
        columns = list(enumerate(self.spec.action_nodes))
        places = [places_of(references[..., column], live[name]) for column, name in columns]
        tables = {}
        kept = {}
        for name in set(self.spec.action_nodes):
            named = [place.reshape(-1) for place, (_, other) in zip(places, columns, strict=True) if other == name]
            chosen = torch.unique(torch.cat(named))
            every = torch.arange(len(nodes[name]), device=references.device)
            kept[name] = every if self.steady else chosen[chosen >= 0]
            # The last entry is for references to no node.
            tables[name] = torch.full((len(nodes[name]) + 1,), -1, dtype=torch.int64, device=references.device)
            tables[name][kept[name]] = torch.arange(len(kept[name]), device=references.device)
        narrow = {}
        for edge in self.spec.edges:
            for along, target in ((True, edge.target), (False, edge.source)):
                if target in kept:
                    source, end = links[edge.name, along].edges
                    end = tables[target][end]
                    here = (end >= 0).nonzero().squeeze(1)
                    narrow[edge.name, along] = link_edges(torch.stack([source[here], end[here]]), len(kept[target]))
        updated = {name: nodes[name].index_select(0, rows) for name, rows in kept.items()}
        rows = self.layers[-1](nodes, narrow, updated)
        return [refer(rows[name], tables[name][place]) for place, (_, name) in zip(places, columns, strict=True)]


def live_nodes(mask: Tensor, steady: bool) -> Live:
    """The nodes that mask [B, N] keeps; in steady work all, of which the others are nobody's and have no place."""
    flat = mask.reshape(-1) != 0
    kept = flat.nonzero().squeeze(1)
    rows = torch.arange(len(flat), device=mask.device) if steady else kept
    place = torch.full((len(flat) + 1,), -1, dtype=torch.int64, device=mask.device)
    place[kept] = kept if steady else torch.arange(len(kept), device=mask.device)
    copy = rows // max(mask.shape[1], 1)
    if steady:
        copy = torch.where(flat, copy, mask.shape[0])
    return Live(rows, place, copy, mask.shape[1])


def places_of(index: Tensor, live: Live) -> Tensor:
    """Positions among the live nodes of indices [B, K] into each copy's own nodes; -1 for none."""
    copy = torch.arange(index.shape[0], device=index.device)[:, None]
    flat = torch.where(index >= 0, index + copy * live.size, len(live.place) - 1)
    return live.place[flat]


def live_edges(edges: Tensor, source: Live, target: Live) -> Tensor:
    """Edges [B, 2, E] (-1 padded) between live nodes as one edge index [2, *]."""
    edges = edges.long()
    ends = torch.stack([places_of(edges[:, 0], source).reshape(-1), places_of(edges[:, 1], target).reshape(-1)])
    return ends[:, (ends >= 0).all(0).nonzero().squeeze(1)]


def mean_by_copy(rows: Tensor, copy: Tensor, batch: int) -> Tensor:
    """Mean of each copy's rows, [B, W]; zeros for a copy without any. Rows of copy B are left out."""
    total = torch.zeros(batch + 1, rows.shape[1], dtype=rows.dtype, device=rows.device).index_add(0, copy, rows)
    return (total / torch.bincount(copy, minlength=batch + 1).clamp(min=1)[:, None])[:batch]


def refer(rows: Tensor, place: Tensor) -> Tensor:
    """Rows at places [B, A], [B, A, W]; zeros where the place is -1."""
    if len(rows) == 0:
        return torch.zeros(*place.shape, rows.shape[1], dtype=rows.dtype, device=rows.device)
    found = rows.index_select(0, place.clamp(min=0).reshape(-1)).view(*place.shape, -1)
    return found * (place >= 0)[..., None]


def link_edges(edges: Tensor, count: int) -> EdgeLinks:
    """Edges [2, E] to `count` nodes, with one over the number that reaches each."""
    received = torch.bincount(edges[1], minlength=count)
    if count == 0 or int(received.max()) <= 1:
        return EdgeLinks(edges, None)
    return EdgeLinks(edges, 1.0 / received.clamp(min=1)[:, None])
