"""Reads an episode off an engine that records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import UserError
from . import state as d
from .schedule import BanditSchedule

if TYPE_CHECKING:
    from .engine import BanditEngine


def read_schedule(engine: BanditEngine, copy: int) -> BanditSchedule:
    """What has happened in a copy so far; elements that are picked but not played yet are left out.

    Raises:
        UserError: the engine does not record.
    """
    if not engine.record:
        raise UserError("the episode is not recorded: make the environment with record=True")
    instance, clock = engine.instance(copy), engine.state.clock[copy]
    epochs, arms = int(clock[d.EPOCH]), instance.num_arms
    states = np.zeros((epochs + 1, arms), dtype=np.int8)
    states[:epochs] = engine.state.seen[copy, :epochs, :arms]
    states[epochs] = engine.state.now[copy, :arms]
    actions = engine.state.done[copy, :epochs, : instance.num_elements].copy()
    return BanditSchedule(
        instance,
        states,
        actions,
        float(engine.objectives()[copy]),
        engine.options.reward,
        int(engine.seeds[copy]),
        engine.options.min_visits,
    )
