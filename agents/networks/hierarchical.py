"""DeepSoCS' network: tasks are embedded from the leaves of their graph upward, jobs by their tasks, all by the jobs.

Sung et al., "DeepSoCS: A Neural Scheduler for Heterogeneous System-on-Chip (SoC) Resource Scheduling", arXiv
2005.07666, after Decima (Mao et al., SIGCOMM 2019): e_v = x_v + g(sum over v's successors u of f(e_u)), a summary of
each job from its tasks, one of all jobs; each action slot is scored from its task, its job and that. Built from the
spec: the graph is the first edge type within one node type, a job what the first edge type from there leads to. Where
an observation lacks either, that step is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...envs.core.spec import ObservationSpec
from .common import Embedding, SlotNetwork, SlotReadout, Tensors, module_name
from .graph import live_edges, live_nodes, mean_by_copy, places_of, refer


@dataclass(frozen=True)
class HierarchicalConfig:
    """Size of a `HierarchicalNetwork`.

    Attributes:
        width: of every embedding.
        layers: how far a task sees along the graph.
    """

    width: int = 32
    layers: int = 2


class HierarchicalNetwork(SlotNetwork):
    """Tasks, jobs, everything; then the readout over action slots. Series and images are not looked at."""

    def __init__(self, spec: ObservationSpec, config: HierarchicalConfig) -> None:
        super().__init__(spec)
        width = config.width
        self._graph = next((edge for edge in spec.edges if edge.source == edge.target), None)
        inner = None if self._graph is None else self._graph.source
        self._belongs = next((x for x in spec.edges if x.source == inner and x.target != inner), None)
        self.embeddings = nn.ModuleDict(
            {module_name(node.name): Embedding(node.features, width) for node in spec.nodes}
        )
        if self._graph is not None:
            self.message = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            self.gather = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        if self._belongs is not None:
            self.member = nn.Linear(2 * width, width)
        self.whole = nn.ModuleDict({module_name(node.name): nn.Linear(width, width) for node in spec.nodes})
        self.globals = Embedding(spec.globals, width)
        self.layers = config.layers
        self.readout = SlotReadout(spec, width, width * (1 + len(spec.nodes)))

    def forward(self, observation: Tensors) -> tuple[Tensor, Tensor]:
        batch = observation["globals"].shape[0]
        live = {x.name: live_nodes(observation[f"node_mask/{x.name}"], self.steady) for x in self.spec.nodes}
        nodes = {
            x.name: self.embeddings[module_name(x.name)](
                observation[f"nodes/{x.name}"].flatten(0, 1).index_select(0, live[x.name].rows)
            )
            for x in self.spec.nodes
        }
        if self._graph is not None:
            task = self._graph.source
            own = nodes[task]
            nodes[task] = self._upward(
                own, live_edges(observation[f"edges/{self._graph.name}"], live[task], live[task])
            )
            if self._belongs is not None:
                job = self._belongs.target
                belongs = live_edges(observation[f"edges/{self._belongs.name}"], live[task], live[job])
                member = torch.relu(self.member(torch.cat([own, nodes[task]], dim=-1)))
                nodes[job] = nodes[job] + _mean_of_members(member, belongs, len(nodes[job]))
        state = [self.globals(observation["globals"])]
        state += [
            torch.relu(self.whole[module_name(name)](mean_by_copy(rows, live[name].copy, batch)))
            for name, rows in nodes.items()
        ]
        references = observation["actions/nodes"].long()
        referred = [
            refer(nodes[name], places_of(references[..., column], live[name]))
            for column, name in enumerate(self.spec.action_nodes)
        ]
        return self.readout(observation, referred, torch.cat(state, dim=-1))

    def _upward(self, own: Tensor, follows: Tensor) -> Tensor:
        """Rows [n, W] of tasks that see what follows them, along edges [2, E] from a task to its successor."""
        seen = own
        for _ in range(self.layers):
            sent = self.message(seen).index_select(0, follows[1])
            seen = own + self.gather(torch.zeros_like(own).index_add(0, follows[0], sent))
        return seen


def _mean_of_members(rows: Tensor, belongs: Tensor, count: int) -> Tensor:
    """Means [count, W] of the rows [n, W] that belong to each, by edges [2, n]; zeros where none does."""
    total = rows.new_zeros(count, rows.shape[1]).index_add(0, belongs[1], rows.index_select(0, belongs[0]))
    return total / torch.bincount(belongs[1], minlength=count).clamp(min=1)[:, None]
