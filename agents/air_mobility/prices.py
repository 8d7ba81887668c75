"""What an aircraft is worth at a vertiport and time: prices of a relaxation of the day, by its forecast alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.options import AirOptions
from ...envs.air_mobility.world import MAX_DELAY
from .flow import SLOT
from .present import Present
from .queues import QueueStates, queue_states, serve_queue, solve_queue
from .rolling import horizon_problem

STEPS = 25
"""Evaluations of the relaxation at most; more changed little."""
_KNOT = 6
"""Slots between the times at which prices are free; between them they run straight."""
_COHORTS = 6
"""Slots for which a passenger waits, at most: six are half an hour."""
_SOFT = 0.02
"""$ over which waiting for a rising price sets in while prices are searched, so that there are slopes to follow."""
_FIRST = 20.0
"""$ that an aircraft is worth in the morning where the search begins; it then falls evenly to 0."""


@dataclass(frozen=True)
class FleetValue:
    """The value of a fleet's state: so much for each aircraft, so much for each queue; n vertiports, P pairs, T slots.

    Attributes:
        pair: int64 [n, n], the number of a pair among the flyable ones, -1 for none.
        states: of queues.
        fare, cost: float64 [P, T], $ of a passenger and of a flight.
        aircraft: float64 [n, T], $ of one that is ready.
        landing: float64 [P, T], $ of one where and when a flight that is decided then is ready, on the mean.
        queue: float32 [P, T, A], $ of a queue when a slot has ended, see `solve_queue`.
    """

    pair: NDArray[np.int64]
    states: QueueStates
    fare: NDArray[np.float64]
    cost: NDArray[np.float64]
    aircraft: NDArray[np.float64]
    landing: NDArray[np.float64]
    queue: NDArray[np.float32]


class FleetRelaxation:
    """The day in which every pair's queue buys its flights: a Lagrangian relaxation of the fleet's balance.

    An aircraft that takes off is paid for at the price of its vertiport and slot, and sold at the mean price of where
    and when it is ready again. Then pairs have nothing to do with each other, and each is a dynamic program of its own
    (weakly coupled programs: Hawkins 2003; Adelman & Mersereau 2008). Where a price rises, all stands are filled with
    aircraft that wait for it; so prices below 0 keep aircraft away from where stands are scarce. Batteries, closures
    and repairs are left out.

    Args:
        instance: whose forecast counts.
        options: of the environment.
    """

    def __init__(self, instance: AirInstance, options: AirOptions) -> None:
        vehicle = instance.vehicle
        slots = -(-instance.horizon // SLOT)
        self._problem = problem = horizon_problem(instance, _morning(instance), options, slots)
        self._origin, self._destination = problem.pairs.T
        self._rate = np.diff(problem.come, axis=1, prepend=0.0)
        cohorts = min(_COHORTS, -(-instance.patience // SLOT))
        self._seats = vehicle.seats
        self.states = queue_states(cohorts, vehicle.seats + 2)
        ahead = np.minimum(np.add.outer(np.arange(slots), np.arange(cohorts)), slots - 1)
        self._gift = problem.fare[:, ahead].max(axis=2)
        rest = vehicle.board + instance.cruise[self._origin, self._destination] + vehicle.unload
        mean = options.noise * instance.network.delay_mean[self._origin]
        laws = [block_law(one, int(length)) for one, length in zip(mean, rest, strict=True)]
        self._law = np.zeros((len(laws), max(map(len, laws))))
        for row, law in zip(self._law, laws, strict=True):
            row[: len(law)] = law
        self._stands = instance.network.stands.astype(np.float64)
        self._start = np.bincount(instance.start_vertiport, minlength=instance.num_vertiports).astype(np.float64)
        self._later = np.zeros((slots, len(self.states.aged_waiting)))

    def landing(self, aircraft: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [P, T], the mean price of where and when a flight is ready; 0 after the day."""
        slots = aircraft.shape[1]
        result = np.zeros((len(self._law), slots))
        for block in range(min(self._law.shape[1], slots)):
            there = aircraft[self._destination, block:]
            result[:, : slots - block] += self._law[:, block, None] * there
        return result

    def evaluate(self, aircraft: NDArray[np.float64], soft: float = 0.0) -> tuple[float, NDArray[np.float64]]:
        """The relaxation at prices float64 [n, T], and its derivative by them.

        Args:
            aircraft: the prices.
            soft: $ over which waiting sets in; 0 for the relaxation itself, which is less.
        """
        problem = self._problem
        slots = problem.allowed.shape[1]
        price = problem.cost + aircraft[self._origin] - self.landing(aircraft)
        total, flights = self._solve_queues(price)
        # No more aircraft decide at a vertiport in a slot than it has stands, nor do more idle there.
        most = self._stands[self._origin][:, None] * (problem.allowed & (price < 0.0))
        flights = np.where(price > 0.0, flights, most)
        total -= float((most * price).sum())
        slope = np.zeros_like(aircraft)
        np.add.at(slope, self._origin, -flights)
        for block in range(min(self._law.shape[1], slots)):
            lands = self._law[:, block, None] * flights[:, : slots - block]
            np.add.at(slope[:, block:], self._destination, lands)
        rise = np.diff(aircraft, axis=1, append=0.0)
        length = np.hypot(rise, soft)
        total += float((self._stands[:, None] * (rise + length)).sum() / 2.0 + self._start @ aircraft[:, 0])
        share = np.divide(rise, length, out=np.zeros_like(rise), where=length > 0.0)
        idle = self._stands[:, None] * (1.0 + share) / 2.0
        slope -= idle
        slope[:, 1:] += idle[:, :-1]
        slope[:, 0] += self._start
        return total, slope

    def fit(self, steps: int = STEPS) -> FleetValue:
        """Search for the prices at which the relaxation is least.

        Args:
            steps: evaluations, at most.
        """
        from scipy.optimize import minimize

        problem = self._problem
        vertiports, slots = problem.ready.shape
        knots = max(1, slots // _KNOT)
        falls = _falls(slots, knots)
        best, least = np.full((vertiports, knots), _FIRST / knots), np.inf

        def evaluated(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            nonlocal best, least
            total, slope = self.evaluate(flat.reshape(vertiports, knots) @ falls, _SOFT)
            if total < least:
                best, least = flat.reshape(vertiports, knots).copy(), total
            return total, (slope @ falls.T).ravel()

        minimize(evaluated, best.ravel(), jac=True, method="L-BFGS-B", options={"maxfun": steps})
        aircraft = best @ falls
        landing = self.landing(aircraft)
        queue = np.zeros((*problem.allowed.shape, len(self.states.aged_waiting)), dtype=np.float32)
        self._solve_queues(problem.cost + aircraft[self._origin] - landing, queue)
        pair = np.full((vertiports, vertiports), -1, dtype=np.int64)
        pair[self._origin, self._destination] = np.arange(len(problem.pairs))
        return FleetValue(pair, self.states, problem.fare, problem.cost, aircraft, landing, queue)

    def _solve_queues(
        self, price: NDArray[np.float64], queue: NDArray[np.float32] | None = None
    ) -> tuple[float, NDArray[np.float64]]:
        """What all queues earn together, and float64 [P, T] their flights; prices below 0 count as 0."""
        problem, states = self._problem, self.states
        flights = np.zeros(price.shape)
        value, aged = np.zeros(len(states.waiting)), np.zeros(len(states.aged_waiting))
        total = 0.0
        for p in range(len(price)):
            paid = np.maximum(price[p], 0.0)
            given = (problem.fare[p], paid, problem.allowed[p], self._seats)
            total += solve_queue(states, self._rate[p], self._gift[p], *given, value, aged, self._later)
            if queue is None:
                serve_queue(states, self._rate[p], *given, self._later, value, aged, flights[p])
            else:
                queue[p] = self._later
        return total, flights


def block_law(mean: float, rest: int) -> NDArray[np.float64]:
    """The chance of each number of whole slots from a decision to being ready.

    Args:
        mean: of the take-off delay before it is cut off and rounded down, s.
        rest: the part of the time that is certain, s.
    """
    delay = np.arange(MAX_DELAY + 1)
    beyond = np.exp(-delay / mean) if mean > 0.0 else (delay < 1).astype(np.float64)
    chance = beyond - np.append(beyond[1:], 0.0)
    return np.bincount((rest + delay) // SLOT, weights=chance).astype(np.float64)


def _falls(slots: int, knots: int) -> NDArray[np.float64]:
    """float64 [knots, T]: prices when one unit is lost evenly between a knot and the next; 0 at the end of the day."""
    time = np.linspace(0.0, knots, slots, endpoint=False)
    return np.clip(np.arange(1, knots + 1)[:, None] - time, 0.0, 1.0)


def _morning(instance: AirInstance) -> Present:
    """The present in which a day begins."""
    n, fleet = instance.num_vertiports, instance.num_aircraft
    return Present(
        0,
        instance.start_vertiport,
        np.zeros(fleet, dtype=np.int64),
        instance.start_energy,
        np.bincount(instance.start_vertiport, minlength=n),
        [],
        np.zeros(n * n, dtype=np.int64),
        [np.zeros(0, dtype=np.int64)] * (n * n),
    )
