"""A learned order for the mapper as an agent, alone, with samples, and as the start of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import FieldError, UserError
from ...envs.core.names import Name, check_options
from ...envs.core.random import combine
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.schedule import MemoryPlan
from ..agent import Setting
from ..checkpoint import Arrays, load_checkpoint
from .agent import MappingAgent, search_grid
from .learned_order import HIDDEN, PASSES, OrderPlayer, join_row, weight_shapes
from .outlook import FIXED, GENERAL, SEEN

MEMORY_MAPPING = "makespan/MemoryMapping-v0"
NOISE = 0.4
_MOST = 100_000
_LONGEST = 1_000_000


def network_card() -> dict[str, Any]:
    """The card's description of the network, with the names of what it sees."""
    return {"kind": "mapper-order", "hidden": HIDDEN, "features": [*FIXED, *GENERAL, *SEEN]}


class OrderAgent(MappingAgent):
    """The mapper in orders that a network corrects pass after pass, by each variant of the options; the best counts.

    Args:
        setting: of the environment.
        row: float64 [P], see `makespan.agents.memory_mapping.learned_order`.
        samples: how often the program is ordered, all but the first time from noised scores.

    Attributes:
        row: the weights.
    """

    name = "mapper-order"

    def __init__(self, setting: Setting, row: NDArray[np.float64], samples: int = 1) -> None:
        super().__init__(setting)
        self.row, self._tries = row, samples

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        player = OrderPlayer(instance, self._comparable(search_grid()), self._score)
        player.play(self.row, PASSES)
        for number in range(1, self._tries):
            player.play(self.row, PASSES, NOISE, int(combine(np.uint64(key), number)))
        return player.plan()


def load_order_agent(name: Name, folder: Path, setting: Setting) -> OrderAgent:
    """The agent of a checkpoint: ``checkpoints/memory_mapping_order[:samples=64]``.

    Raises:
        UserError: the checkpoint is damaged or sees other features, an option is wrong, or the environment is another.
    """
    check_options(name, "learned order", ("samples",))
    if setting.env_id != MEMORY_MAPPING:
        raise UserError(f"agent {str(name)!r} cannot play {setting.env_id!r}: it orders storages of memory mapping")
    samples = name.options.get("samples", 1)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= _MOST:
        raise FieldError("option samples", samples, f"an integer from 1 to {_MOST}")
    weights, card = load_checkpoint(folder)
    if card["network"] != network_card():
        raise UserError(f"checkpoint {str(folder)!r} holds a learned order of other features or another size")
    agent = OrderAgent(setting, row_of(weights, str(folder)), samples)
    agent.name = str(name)
    return agent


def row_of(weights: Arrays, source: str) -> NDArray[np.float64]:
    """A checkpoint's weights as a row.

    Raises:
        UserError: an array is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    from ..learned import check_arrays

    check_arrays({key: (shape, "float32") for key, shape in weight_shapes().items()}, weights, source)
    return join_row(weights)
