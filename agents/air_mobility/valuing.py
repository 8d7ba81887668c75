"""Flies where immediate profit and the value of the fleet's state afterwards are greatest: prices instead of plans."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.state import DECIDER, HEAD, PLACE, TAIL, TIME
from ...envs.core.compile import compiled
from ..agent import Agent, Imagine, Observation, Setting
from .flow import SLOT
from .parts import options_of
from .prices import FleetRelaxation, FleetValue

_KEPT = 0.7
"""Share of the loss that a queue takes by a flight that counts: not every slot finds an aircraft that may decide."""
_BONUS = 3.0
"""$ by which a flight must be better than a stay. Both are ours, tuned on training days of la8."""


@compiled
def _best_destination(here, now, mask, pair, second, pairs, states, seats, fare, cost, aircraft, landing, queue, out):
    """Write to out[0] where the aircraft that decides flies, its own vertiport for a stay.

    Args:
        here, now: its vertiport, and the clock, s.
        mask: int8 [n], legal destinations.
        pair, second: of the engine's state: who waits.
        pairs, ..., queue: see `FleetValue`; aircraft: float64 [n], $ of one there after a stay.
    """
    n, slot, cohorts = len(aircraft), now // SLOT, states.joined.shape[1]
    best = aircraft[here] + _BONUS
    out[0] = here
    for j in range(n):
        p = pairs[here, j]
        if p < 0 or mask[j] == 0:
            continue
        state, head, tail = 0, pair[here * n + j, HEAD], pair[here * n + j, TAIL]
        for at in range(head, tail):
            state = states.joined[state, min(slot - second[at] // SLOT, cohorts - 1)]
        left, board = state, min(seats, tail - head)
        for _ in range(board):
            left = states.served[left]
        lost = queue[p, slot, states.aged[state]] - queue[p, slot, states.aged[left]]
        score = board * fare[p, slot] - cost[p, slot] + landing[p, slot] - _KEPT * lost
        if score > best:
            best, out[0] = score, j


class ValueAgent(Agent):
    """Takes the flight after which profit so far and `FleetValue` together are greatest, or stays.

    The value is fitted when a day begins, from its forecast. Nothing is learned beforehand.
    """

    reads_instances = True

    def __init__(self, setting: Setting) -> None:
        self.name = "lp-value"
        self._options = options_of(setting)
        self._imagine: Imagine | None = None
        self._known: WeakValueDictionary[bytes, FleetValue] = WeakValueDictionary()
        self._values: dict[int, tuple[AirInstance, FleetValue]] = {}
        self._keys: dict[int, np.uint64] = {}

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._imagine = imagine
        for copy, instance, key in zip(copies.tolist(), instances, keys, strict=True):
            known = _fingerprint(instance)
            value = self._known.get(known)
            if value is None:
                value = FleetRelaxation(instance, self._options).fit()
                self._known[known] = value
            self._values[copy] = instance, value
            self._keys[copy] = key

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        assert self._imagine is not None
        actions, chosen = np.zeros(len(mask), dtype=np.int64), np.zeros(1, dtype=np.int64)
        running = np.flatnonzero(mask.any(axis=1))
        if len(running) == 0:
            return actions
        keys = np.array([self._keys[copy] for copy in running.tolist()], dtype=np.uint64)
        state = self._imagine(running, keys).state
        for row, copy in enumerate(running.tolist()):
            instance, value = self._values[copy]
            now = int(state.clock[row, TIME])
            here = int(state.aircraft[row, state.clock[row, DECIDER], PLACE])
            stayed = (now + instance.vehicle.stay) // SLOT
            slots = value.aircraft.shape[1]
            aircraft = value.aircraft[:, stayed] if stayed < slots else np.zeros(instance.num_vertiports)
            _best_destination(
                here,
                now,
                mask[copy],
                state.pair[row],
                state.second[row],
                value.pair,
                value.states,
                instance.vehicle.seats,
                value.fare,
                value.cost,
                np.ascontiguousarray(aircraft),
                value.landing,
                value.queue,
                chosen,
            )
            actions[copy] = chosen[0]
        return actions


def _fingerprint(instance: AirInstance) -> bytes:
    """The same for instances of the same forecast, fares, network, vehicle and start."""
    digest = hashlib.sha256(repr((instance.vehicle, instance.horizon, instance.patience)).encode())
    network = instance.network
    arrays = (instance.forecast, instance.fare, instance.cost, instance.start_vertiport, instance.start_energy)
    for array in (*arrays, network.stands, network.chargers, network.delay_mean, network.distance):
        digest.update(array.tobytes())
    return digest.digest()
