"""A learned order for the mapper as an agent: alone, with samples, and as the start of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.core.names import Name
from ...envs.core.random import combine
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from ..agent import Imagine, Report, Setting
from ..checkpoint import Arrays, load_checkpoint
from ..learned_order import read_options, read_row
from .agent import MappingAgent, search_grid
from .learned_order import HIDDEN, PASSES, OrderPlayer, weight_shapes
from .learned_search import LearnedSearch
from .outlook import FIXED, GENERAL, SEEN

MEMORY_MAPPING = "makespan/MemoryMapping-v0"
NOISE = 0.4
_SAMPLED = 8  # variants that samples are drawn by


def network_card() -> dict[str, Any]:
    """The card's description of the network, with the names of what it sees."""
    return {"kind": "mapper-order", "hidden": HIDDEN, "features": [*FIXED, *GENERAL, *SEEN]}


class OrderAgent(MappingAgent):
    """The mapper in orders that a network corrects pass after pass, by each variant of the options; the best counts.

    Args:
        setting: of the environment.
        row: float64 [P], see `makespan.agents.memory_mapping.learned_order`.
        samples: how often the program is ordered, all but the first time from noised scores and by the best variants.

    Attributes:
        row: the weights.
    """

    name = "mapper-order"
    improves = True

    def __init__(self, setting: Setting, row: NDArray[np.float64], samples: int = 1) -> None:
        super().__init__(setting)
        self.row, self._tries = row, samples

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        player = OrderPlayer(instance, self._comparable(search_grid()), self._score)
        costs = np.minimum(player.play(self.row, PASSES).min(axis=1), player.first)
        best = np.argsort(costs, kind="stable")[:_SAMPLED].astype(np.int64)
        for number in range(1, self._tries):
            player.play(self.row, PASSES, NOISE, int(combine(np.uint64(key), number)), best)
        return player.plan()

    def improve(
        self, instance: MemoryInstance, imagine: Imagine, seconds: float, report: Report, best: Any = None
    ) -> None:
        self._search(instance, self._setting.seed).run(seconds, None, report.found)

    def _search(self, instance: MemoryInstance, key: int) -> LearnedSearch:
        return LearnedSearch(instance, self._comparable(search_grid()), self._score, key, self.row)


class OrderSearchingAgent(OrderAgent):
    """The same, searching on for each program.

    Args:
        setting: of the environment.
        row: as for `OrderAgent`.
        seconds: wall time for each program; None: no limit.
        mappings: limit of another kind, how many orders are mapped; None: none.
    """

    def __init__(self, setting: Setting, row: NDArray[np.float64], seconds: float | None, mappings: int | None) -> None:
        super().__init__(setting, row)
        self._seconds, self._mappings = seconds, mappings

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        search = self._search(instance, key)
        search.run(self._seconds, self._mappings)
        return search.plan()


def load_order_agent(name: Name, folder: Path, setting: Setting) -> OrderAgent:
    """The agent of a checkpoint: ``checkpoints/memory_mapping_order[:samples=64|:time=T|:orders=N]``.

    Raises:
        UserError: the checkpoint is damaged or sees other features, an option is wrong or contradicts another, or the
            environment is another.
    """
    options = read_options(name, "learned order", "orders", tempered=False)
    if setting.env_id != MEMORY_MAPPING:
        raise UserError(f"agent {str(name)!r} cannot play {setting.env_id!r}: it orders storages of memory mapping")
    weights, card = load_checkpoint(folder)
    if card["network"] != network_card():
        raise UserError(f"checkpoint {str(folder)!r} holds a learned order of other features or another size")
    row = row_of(weights, str(folder))
    if options.searches:
        agent: OrderAgent = OrderSearchingAgent(setting, row, options.seconds, options.limit)
    else:
        agent = OrderAgent(setting, row, options.samples)
    agent.name = str(name)
    return agent


def row_of(weights: Arrays, source: str) -> NDArray[np.float64]:
    """A checkpoint's weights as a row.

    Raises:
        UserError: an array is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    return read_row(weights, weight_shapes(), source)
