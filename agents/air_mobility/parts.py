"""What flow models take from an instance as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import HORIZON, AirInstance
from ...envs.air_mobility.options import AirOptions, option_names
from ...envs.air_mobility.tables import tariff
from ...envs.air_mobility.vehicles import WH
from ..agent import Observation, Setting
from .flow import SLOT

PERIOD = 900
"""Between two plans of whoever plans anew during the day, s."""
KWH = 3_600_000
"""Joules in a kilowatt-hour."""
MICRO = 1e-6
"""$ in a µ$."""
INTERVAL = 900
"""Of forecast, fares and tariff, s."""


def options_of(setting: Setting) -> AirOptions:
    """The environment's options that a setting was made with."""
    known = option_names()
    given: dict[str, Any] = {key: value for key, value in setting.options.items() if key in known}
    return AirOptions(**given)


def read_time(setting: Setting, observation: Observation, copy: int) -> int:
    """The clock of a copy, s."""
    column = [feature.name for feature in setting.spec.globals].index("day_passed")
    return round(float(observation["globals"][copy, column]) * HORIZON)


def instance_parts(instance: AirInstance, options: AirOptions, times: NDArray[np.int64]) -> dict[str, Any]:
    """Fields of `FlowProblem` that depend on nothing else.

    Costs of passengers who wait or are lost, and of bringing the fleet home, are left out.

    Args:
        options: of the environment.
        times: int64 [T], s, when the slots begin.
    """
    vehicle, network = instance.vehicle, instance.network
    pairs = np.argwhere(instance.flyable)
    origin, destination = pairs.T
    quarter = times // INTERVAL
    energy = instance.energy[origin, destination]
    need = energy + vehicle.reserve + instance.escape[destination]
    if options.refill:  # then a battery lasts for every flyable pair, always
        energy, need = np.zeros((2, len(pairs)), dtype=np.int64)
    dearer = (vehicle.electricity * instance.energy[origin, destination] // WH)[:, None] * tariff(options)[quarter]
    return {
        "pairs": pairs,
        "fare": instance.fare[origin, destination][:, quarter] / 100.0,
        "cost": (instance.cost[origin, destination][:, None] + dearer // 100) * MICRO,
        "energy": energy / KWH,
        "need": need / KWH,
        "battery": vehicle.battery / KWH,
        "charge": vehicle.charge_power * SLOT / KWH,
        "stands": network.stands,
        "chargers": network.chargers,
    }


def in_time(instance: AirInstance, pairs: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [P, T], whether flights that are decided then end within the day."""
    vehicle = instance.vehicle
    length = vehicle.board + instance.cruise[pairs[:, 0], pairs[:, 1]] + vehicle.unload
    return times[None, :] + length[:, None] <= instance.horizon
