"""Plans made anew every quarter hour over a receding horizon, from what an operator knows: rolling LP and MILP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.options import AirOptions
from ..agent import Agent, Imagine, Observation, Setting
from .flow import SLOT, FlowProblem, StayModel
from .linear import NoSolutionError, load_highs
from .parts import INTERVAL, KWH, PERIOD, in_time, instance_parts, options_of, read_time
from .present import Present, present_of

SLOTS = 18
"""Planned ahead: 90 minutes."""
_GAP = 0.01
_HALF = 0.5 - 1e-6


def horizon_problem(instance: AirInstance, present: Present, options: AirOptions, slots: int) -> FlowProblem:
    """What lies ahead: passengers who wait and are forecast, at mean delays; slot 0 is that of the present.

    Args:
        instance: as it is known.
        options: of the environment.
        slots: to plan for.
    """
    vehicle = instance.vehicle
    first = present.now // SLOT
    slots = min(slots, -(-instance.horizon // SLOT) - first)
    times = SLOT * (first + np.arange(slots))
    parts = instance_parts(instance, options, times)
    pairs = parts["pairs"]
    origin, destination = pairs.T
    flat = origin * instance.num_vertiports + destination
    delay = np.rint(options.noise * instance.network.delay_mean[origin])
    length = vehicle.board + delay + instance.cruise[origin, destination] + vehicle.unload
    block, release = (np.maximum(np.rint(part / SLOT), 1).astype(np.int64) for part in (length, vehicle.board + delay))

    ready, ready_energy, freed = np.zeros((3, instance.num_vertiports, slots))
    enters = present.ready // SLOT - first
    within = enters < slots
    at = (present.place[within], np.maximum(enters[within], 0))
    np.add.at(ready, at, 1.0)
    np.add.at(ready_energy, at, present.energy[within] / KWH)
    for v, time in present.leaves:
        if time // SLOT - first < slots:
            freed[v, time // SLOT - first] += 1.0

    come, gone = _passengers(instance, present, flat, first, slots)
    is_open = times[None, :] + SLOT > present.closed_until[flat][:, None]
    return FlowProblem(
        **parts,
        block=np.repeat(block[:, None], slots, axis=1),
        release=np.repeat(release[:, None], slots, axis=1),
        allowed=in_time(instance, pairs, np.maximum(times, present.now)) & is_open,
        seats=np.full((len(pairs), slots), float(vehicle.seats)),
        occupied=present.occupied,
        freed=freed,
        ready=ready,
        ready_energy=ready_energy,
        come=come,
        gone=gone,
    )


def _passengers(
    instance: AirInstance, present: Present, flat: NDArray[np.int64], first: int, slots: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 [P, T] twice: who waits or is forecast to come by the end of each slot, and whose patience has ended."""
    begin = np.maximum(SLOT * (first + np.arange(slots)), present.now)
    length = SLOT * (first + np.arange(slots) + 1) - begin
    rate = instance.forecast.reshape(-1, instance.forecast.shape[2])[flat]
    come = np.cumsum(rate[:, begin // INTERVAL] * length / INTERVAL, axis=1)
    gone, patience = np.zeros_like(come), instance.patience // SLOT
    gone[:, patience:] = come[:, : max(slots - patience, 0)]
    for p, index in enumerate(flat.tolist()):
        since = present.waiting[index]
        come[p] += len(since)
        last = np.sort(since + instance.patience) // SLOT - first
        gone[p] += np.searchsorted(last, np.arange(slots), side="right")
    return come, gone


@dataclass
class _Course:
    """A plan that a copy follows.

    Attributes:
        instance: that it plays.
        next_solve: when the plan is made anew, s.
        first: slot of the day in which the plan begins.
        planned: float64 [n, n, T], flights decided by the end of each slot since then.
        flown: int64 [n, n], decided so far.
    """

    instance: AirInstance
    next_solve: int
    first: int
    planned: NDArray[np.float64]
    flown: NDArray[np.int64]


class RollingAgent(Agent):
    """Follows the flows of a plan that is made anew every quarter hour.

    An aircraft flies where most of the plan's flights up to now are left, if that is half a flight at least and legal;
    of equals where it earns most at once; else it stays.

    Args:
        setting: of the environment.
        whole: whether flights are whole numbers in the slots before the next solve (MILP).
        slots: that are planned ahead, of 300 s.
        seconds: wall time of a solve with whole flights, after which its best plan so far is taken.
    """

    reads_instances = True
    follows_plan = True

    def __init__(self, setting: Setting, whole: bool, slots: int, seconds: float = 10.0) -> None:
        load_highs()
        self.name = "rolling-milp" if whole else "rolling-lp"
        self._whole, self._slots, self._seconds = whole, slots, seconds
        self._setting, self._options = setting, options_of(setting)
        self._is_stay = setting.spec.action_column("is_stay")
        self._profit = setting.spec.action_column("profit")
        self._courses: dict[int, _Course] = {}
        self._imagine: Imagine | None = None
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
            n = instance.num_vertiports
            self._courses[copy] = _Course(instance, 0, 0, np.zeros((n, n, 1)), np.zeros((n, n), dtype=np.int64))
            self._keys[copy] = key

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            now = read_time(self._setting, observation, copy)
            course = self._courses[copy]
            if now >= course.next_solve:
                self._solve(copy, course, now)
            features = observation["actions/features"][copy]
            here = int(np.argmax(features[:, self._is_stay]))
            actions[copy] = _follow(course, now, here, mask[copy].astype(np.bool_), features[:, self._profit])
        return actions

    def _solve(self, copy: int, course: _Course, now: int) -> None:
        assert self._imagine is not None
        engine = self._imagine(np.array([copy]), np.array([self._keys[copy]], dtype=np.uint64))
        present = present_of(engine, 0, course.instance, self._options.noise)
        plan = self._plan(course.instance, present)
        course.next_solve = (now // PERIOD + 1) * PERIOD
        course.first = now // SLOT
        course.planned = np.cumsum(plan, axis=2)
        course.flown[:] = 0

    def _plan(self, instance: AirInstance, present: Present) -> NDArray[np.float64]:
        """float64 [n, n, T], flights decided in each slot from that of the present on."""
        problem = horizon_problem(instance, present, self._options, self._slots)
        model = StayModel(problem, instance.vehicle.stay // SLOT)
        if self._whole:
            try:
                plan = model.solve(PERIOD // SLOT, seconds=self._seconds, gap=_GAP)
            except NoSolutionError:  # none was found in time
                plan = model.solve(method="ipm")
        else:
            plan = model.solve(method="ipm")
        n, slots = problem.ready.shape
        flights = np.zeros((n, n, slots))
        flights[problem.pairs[:, 0], problem.pairs[:, 1]] = plan.flights
        return flights


def _follow(course: _Course, now: int, here: int, legal: NDArray[np.bool_], profit: NDArray[np.float32]) -> int:
    """Where an aircraft flies that stands here, or that it stays; counts the flight."""
    slot = min(now // SLOT - course.first, course.planned.shape[2] - 1)
    n = len(course.flown)
    left = course.planned[here, :, slot] - course.flown[here]
    left[~legal[:n]] = 0.0
    left[here] = 0.0
    if left.max() < _HALF:
        return here
    best = np.flatnonzero(left > left.max() - 1e-6)
    chosen = int(best[np.argmax(profit[best])])
    course.flown[here, chosen] += 1
    return chosen
