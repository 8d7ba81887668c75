"""What has happened in a copy of the engine, as a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import UserError
from . import state as d
from .dynamics import energy_now
from .schedule import AirSchedule
from .world import realise

if TYPE_CHECKING:
    from .engine import AirEngine


def read_schedule(engine: AirEngine, copy: int) -> AirSchedule:
    """What has happened in a copy so far.

    Raises:
        UserError: the engine does not record.
    """
    if not engine.record:
        raise UserError("the engine was made without record=True, so it has no schedule")
    state, instance = engine.state, engine.instance(copy)
    clock = state.clock[copy]
    now = int(clock[d.TIME])
    charges = state.charge[copy, : clock[d.CHARGES_LOGGED]].tolist()
    for a in range(instance.num_aircraft):
        aircraft = state.aircraft[copy, a]
        since = int(aircraft[d.SINCE])
        if 0 <= since < now:
            gained = int(energy_now(engine.problem, state, copy, a)) - int(aircraft[d.STORED])
            charges.append([a, int(aircraft[d.PLACE]), since, now, gained])
    return AirSchedule(
        instance,
        realise(instance, int(engine.seeds[copy]), engine.options.noise),
        state.log[copy, : clock[d.LOGGED]].copy(),
        np.array(sorted(charges, key=lambda row: (row[2], row[0])), dtype=np.int64).reshape(-1, d.NUM_CHARGE),
        engine.options.settings,
        None if int(clock[d.STATUS]) == d.FINISHED else now,
    )
