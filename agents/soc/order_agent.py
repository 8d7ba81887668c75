"""Learned list schedulers as an agent: alone, with samples, and as the start of a search."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.core.names import Name
from ...envs.core.random import combine
from ...envs.soc.instance import SocInstance
from ..agent import Setting
from ..checkpoint import Arrays, load_checkpoint
from ..learned_order import OrderOptions, read_options, read_row
from .agent import SearchingDagAgent, time_left
from .learned_list import HIDDEN, SEEN, TERMS, Planner, weight_shapes
from .plan_outlook import FIXED, GENERAL
from .problem import Plan, problem_of

STATIC_DAG = "makespan/StaticDag-v0"
NOISE = 1.2
"""Usual temperature of samples: noise of the first pass's priorities, in mean task times."""


def network_card() -> dict[str, Any]:
    """The card's description of the network, with the names of what it sees and says."""
    return {"kind": "dag-order", "hidden": HIDDEN, "features": [*FIXED, *GENERAL, *SEEN], "terms": list(TERMS)}


class DagOrderAgent(SearchingDagAgent):
    """The best plan of a few learned list schedulers, each in a few passes; HEFT's where that is shorter.

    Args:
        setting: of the environment.
        row: float64 [W], see `makespan.agents.soc.learned_list`.
        options: how it plays; the limit of its search counts changes of a plan.

    Attributes:
        row: the weights.
    """

    name = "dag-order"

    def __init__(self, setting: Setting, row: NDArray[np.float64], options: OrderOptions | None = None) -> None:
        self._how = options or OrderOptions()
        super().__init__(setting, self._how.seconds, self._how.limit)
        self.row = row

    def _search(
        self,
        instance: SocInstance,
        key: int,
        start: Plan | None,
        seconds: float | None,
        steps: int | None,
        found: Callable[[Plan], None] | None,
    ) -> Plan:
        from .search import PlanSearch

        began, levels = time.perf_counter(), self._levels(instance)
        planner = Planner(problem_of(instance, levels))
        planner.play(self.row[None])
        noise = NOISE if self._how.temperature is None else self._how.temperature
        for number in range(1, self._how.samples):
            planner.play(self.row[None], noise=noise, key=int(combine(np.uint64(key), number)))
        plan = planner.plan()
        if start is not None and start.makespan < plan.makespan:
            plan = start
        if seconds is None and steps is None:
            return plan
        if found is not None:
            found(plan)
        search = PlanSearch(instance, levels, key, plan)
        search.run(time_left(seconds, began), steps, found)
        return search.plan()


def load_dag_order_agent(name: Name, folder: Path, setting: Setting) -> DagOrderAgent:
    """The agent of a checkpoint: ``checkpoints/dag_order[:samples=64[:temperature=X]|:time=T|:changes=N]``.

    Raises:
        UserError: the checkpoint is damaged or sees other features, an option is wrong or contradicts another, or
            plans cannot be carried out to the letter in the environment.
    """
    from ..catalogue import without_makespan

    options = read_options(name, "learned list scheduler", "changes", tempered=True)
    if obstacle := without_makespan(setting):
        raise UserError(f"agent {str(name)!r} cannot play {setting.env_id!r}: {obstacle}")
    weights, card = load_checkpoint(folder)
    if card["network"] != network_card():
        raise UserError(f"checkpoint {str(folder)!r} holds a learned list scheduler of other features or another size")
    agent = DagOrderAgent(setting, row_of(weights, str(folder)), options)
    agent.name = str(name)
    return agent


def row_of(weights: Arrays, source: str) -> NDArray[np.float64]:
    """A checkpoint's weights as a row.

    Raises:
        UserError: see `read_row`.
    """
    return read_row(weights, weight_shapes(), source)
