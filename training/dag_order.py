"""A training run by evolution strategies on learned list schedulers of static DAGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent
from ..agents.checkpoint import Arrays
from ..agents.soc.learned_list import TRAINING_PASSES, Planner, fresh_row, split_row
from ..agents.soc.order_agent import STATIC_DAG, DagOrderAgent, network_card, row_of
from ..agents.soc.problem import problem_of
from ..envs.core.names import split_list
from ..envs.soc.generator import resolve
from .order_run import Ordered, OrderRun


class Graphs(Ordered):
    """DAGs on which learned lists are compared with HEFT, all PEs at their highest level.

    Args:
        text: a list of instances, as the environment's option ``instance`` takes it.

    Attributes:
        planners: of each DAG.
    """

    reference = "heft"

    def __init__(self, text: str) -> None:
        instances = [instance for item in split_list(text) for instance in resolve(item)]
        self.planners = [Planner(problem_of(instance)) for instance in instances]

    def __len__(self) -> int:
        return len(self.planners)

    def costs(self, chosen: Sequence[int], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The variants are the players."""
        planners = [self.planners[k] for k in chosen]
        return np.log(np.array([planner.play(rows, TRAINING_PASSES) / planner.first for planner in planners]))

    def score(self, row: NDArray[np.float64]) -> float:
        logs = self.costs(range(len(self)), row[None]).min(axis=(1, 2, 3))
        return float(np.exp(np.minimum(logs, 0.0).mean()))


class DagOrderRun(OrderRun):
    """One run on learned lists; its decisions are plans."""

    plays, purpose = STATIC_DAG, "plans static DAGs"
    share_of_all = 0.3
    examples = "DAGs to train on, for example random:tasks=20+50:count=400:seed=11"

    @property
    def network(self) -> dict[str, Any]:
        return network_card()

    def load(self, text: str) -> Ordered:
        return Graphs(text)

    def fresh_row(self, rng: np.random.Generator) -> NDArray[np.float64]:
        return fresh_row(rng)

    def split(self, row: NDArray[np.float64]) -> Mapping[str, NDArray[np.float32]]:
        return split_row(row)

    def join(self, weights: Arrays, source: str) -> NDArray[np.float64]:
        return row_of(weights, source)

    def agent(self, row: NDArray[np.float64]) -> Agent:
        return DagOrderAgent(self.validation.setting, row)
