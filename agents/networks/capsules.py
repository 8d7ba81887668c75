"""Graph capsules: node embeddings from several moments of features, each spread by powers of the Laplacian.

Of CapTAIN's kind (Paul, Witter & Chowdhury, "Graph Learning-based Fleet Scheduling for Urban Air Mobility under
Operational Constraints, Varying Demand & Uncertainties", SAC 2024, arXiv 2401.04851), after Verma & Zhang, "Graph
Capsule Convolutional Neural Networks", arXiv 1805.08090. The Laplacian is normalised, and features are brought to one
scale before they are raised to a power: the moments of large ones would drown the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...envs.core.spec import EdgeType, ObservationSpec
from .common import Scaling, Tensors

_OPEN = ("flyable", "open")  # features of edges that say whether one may be passed
_DISTANCE = "distance"
_DECAY = 4.0  # an edge of length 1 (40 miles between vertiports) counts 1 / (1 + _DECAY)


class Weights(nn.Module):
    """How near the nodes of a type are to each other, [B, N, N], symmetric.

    By the first edge type within the node type: half the sum of both directions, each 1, or, where edges have features
    of these names, `flyable` x `open` / (1 + 4 `distance`). Without such edges exp(-|x - y|^2 / 2) of the nodes'
    features.

    Args:
        spec: of the observation.
        node: name of the node type.
    """

    def __init__(self, spec: ObservationSpec, node: str) -> None:
        super().__init__()
        self._node = node
        self._edge = next((edge for edge in spec.edges if edge.source == edge.target == node), None)
        self.scaling = Scaling(next(x.features for x in spec.nodes if x.name == node))

    def forward(self, observation: Tensors) -> Tensor:
        if self._edge is None:
            x = self.scaling(observation[f"nodes/{self._node}"])
            norm = x.square().sum(-1)
            weights = torch.exp(x @ x.transpose(1, 2) - 0.5 * (norm[:, :, None] + norm[:, None]))
        else:
            weights = self._of_edges(self._edge, observation)
        present = observation[f"node_mask/{self._node}"].to(weights.dtype)
        weights = weights * present[:, :, None] * present[:, None]
        return weights - torch.diag_embed(weights.diagonal(dim1=1, dim2=2))

    def _of_edges(self, edge: EdgeType, observation: Tensors) -> Tensor:
        index = observation[f"edges/{edge.name}"].long()
        weight = (index >= 0).all(1).to(torch.float32)
        for column, feature in enumerate(edge.features):
            value = observation[f"edge_features/{edge.name}"][..., column]
            if feature.name in _OPEN:
                weight = weight * value
            elif feature.name == _DISTANCE:
                weight = weight / (1.0 + _DECAY * value)
        count = observation[f"node_mask/{self._node}"].shape[1]
        flat = index[:, 0].clamp(min=0) * count + index[:, 1].clamp(min=0)
        table = torch.zeros(len(index), count * count, device=index.device)
        # The greatest of edges that lie side by side; padding points at the first pair and weighs nothing.
        table = table.scatter_reduce(1, flat, weight, "amax").view(-1, count, count)
        return 0.5 * (table + table.transpose(1, 2))


def _by_degree(weights: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of weights A [B, N, N] with degrees D; nodes without neighbours have zeros."""
    degree = weights.sum(-1)
    root = torch.where(degree > 0, degree.clamp(min=1e-12).rsqrt(), 0.0)
    return root[:, :, None] * weights * root[:, None]


class GraphCapsules(nn.Module):
    """f_p = tanh([F^p, L F^p, ..., L^K F^p] W_p + b_p) for the powers p = 1 ... P, then tanh([f_1, ..., f_P] W_F).

    L = I - D^-1/2 A D^-1/2. With W_p = [W_p0; ...; W_pK] the product is worked out from the inside,
    F^p W_p0 + L (F^p W_p1 + L (...)).

    Args:
        width: of what goes in, F, and of what comes out.
        moments: P.
        hops: K.
    """

    def __init__(self, width: int, moments: int, hops: int) -> None:
        super().__init__()
        self.hops = hops
        self.norm = nn.LayerNorm(width)
        self.spread = nn.ModuleList([nn.Linear(width, (hops + 1) * width, bias=False) for _ in range(moments)])
        self.bias = nn.Parameter(torch.zeros(moments, width))
        self.join = nn.Linear(moments * width, width)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """New embeddings [B, N, W] of nodes [B, N, W] with weights [B, N, N] between them."""
        near = _by_degree(weights)
        first = self.norm(nodes)
        moment, found = first, []
        for linear, bias in zip(self.spread, self.bias, strict=True):
            inner, *outer = reversed(linear(moment).chunk(self.hops + 1, dim=-1))
            for part in outer:
                inner = torch.baddbmm(part + inner, near, inner, alpha=-1)  # part + L inner
            found.append(torch.tanh(inner + bias))
            moment = moment * first
        return torch.tanh(self.join(torch.cat(found, dim=-1)))


class GraphConvolution(nn.Module):
    """Two plain graph convolutions, as many weights as `GraphCapsules` of 3 moments and 2 hops have.

    Kipf & Welling, "Semi-supervised classification with graph convolutional networks", ICLR 2017: tanh(A' X W) with
    A' = (D + I)^-1/2 (A + I) (D + I)^-1/2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 6 * width)
        self.outer = nn.Linear(6 * width, width)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """As `GraphCapsules`."""
        near = _by_degree(weights + torch.eye(weights.shape[1], device=weights.device))
        inner = torch.tanh(self.inner(near @ self.norm(nodes)))
        return torch.tanh(near @ self.outer(inner))
