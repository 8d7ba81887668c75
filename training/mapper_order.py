"""A training run by evolution strategies on the order in which memory mapping's mapper places storages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent
from ..agents.checkpoint import Arrays
from ..agents.memory_mapping.agent import REFERENCE
from ..agents.memory_mapping.learned_order import (
    TRAINING_PASSES,
    TRAINING_VARIANTS,
    OrderPlayer,
    fresh_row,
    split_row,
)
from ..agents.memory_mapping.order_agent import MEMORY_MAPPING, OrderAgent, network_card, row_of
from ..envs.core.names import split_list
from ..envs.memory_mapping.generator import resolve
from .order_run import Ordered, OrderRun


class Programs(Ordered):
    """Programs on which orders are compared, and the run times of the reference on them.

    Args:
        text: a list of instances, as the environment's option ``instance`` takes it.

    Attributes:
        players: of each program.
        references: float64 [programs], the best judged run time of the reference, picoseconds.
    """

    reference = "reference"

    def __init__(self, text: str) -> None:
        instances = [instance for item in split_list(text) for instance in resolve(item)]
        self.players = [OrderPlayer(instance, TRAINING_VARIANTS, "judge") for instance in instances]
        self.references = np.array(
            [min(x.all_hbm_ps, OrderPlayer(x, REFERENCE, "judge").best) for x in instances], dtype=np.float64
        )

    def __len__(self) -> int:
        return len(self.players)

    def costs(self, chosen: Sequence[int], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The variants are of the mapper's options."""
        return np.log(np.array([self.players[k].costs(rows, TRAINING_PASSES) / self.references[k] for k in chosen]))

    def score(self, row: NDArray[np.float64]) -> float:
        logs = self.costs(range(len(self)), row[None]).min(axis=(1, 2, 3))
        first = np.log([player.first.min() for player in self.players]) - np.log(self.references)
        return float(np.exp(np.minimum(logs, first).mean()))


class MapperOrderRun(OrderRun):
    """One run on the mapper's order; its decisions are mappings."""

    plays, purpose = MEMORY_MAPPING, "maps memory"
    share_of_all = 0.1
    examples = "programs to train on, for example mm-train"

    @property
    def network(self) -> dict[str, Any]:
        return network_card()

    def load(self, text: str) -> Ordered:
        return Programs(text)

    def fresh_row(self, rng: np.random.Generator) -> NDArray[np.float64]:
        return fresh_row(rng)

    def split(self, row: NDArray[np.float64]) -> Mapping[str, NDArray[np.float32]]:
        return split_row(row)

    def join(self, weights: Arrays, source: str) -> NDArray[np.float64]:
        return row_of(weights, source)

    def agent(self, row: NDArray[np.float64]) -> Agent:
        return OrderAgent(self.validation.setting, row)
