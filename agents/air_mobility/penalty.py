"""Bounds on the mean profit of fleets that do not know the future: the clairvoyant program pays for what it foresees.

Information relaxation with a martingale penalty (Brown, Smith & Sun 2010): all is revealed when the day begins, and
from the profit is taken, slot by slot, by how much the value function of the state reached differs from its
expectation. Of whoever acts on the past alone that takes nothing on the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.instance import DELAY_SLOT, AirInstance
from ...envs.air_mobility.options import AirOptions
from ...envs.air_mobility.world import draw_factor, realise
from ...envs.core.errors import UserError
from .clairvoyant import day_problem
from .cuts import tighten
from .flow import SLOT, FlowProblem, SlotModel
from .parts import INTERVAL
from .prices import FleetRelaxation, block_law

_AFTER = 6
"""Slots after a flight in which its passengers would have been others."""


@dataclass(frozen=True)
class PenaltyPrices:
    """A value function of the fleet's state, linear in what chance adds: n vertiports, P pairs, T slots. Any is valid.

    Attributes:
        aircraft: float64 [n, T], $ of an aircraft that is ready.
        queue: float64 [P, T], $ of the square of the number of passengers who wait at the end of a slot.
        meeting: float64 [P, T], $ of each aircraft that idles at the origin into a slot with each passenger who waits.
        missed: float64 [P, T], $ of each flight of a slot with each passenger who comes in the half hour after it.
    """

    aircraft: NDArray[np.float64]
    queue: NDArray[np.float64]
    meeting: NDArray[np.float64]
    missed: NDArray[np.float64]


class PenalisedModel(SlotModel):
    """The day's flow with a penalty, which is linear in its columns.

    * A flight decided in slot t lands at a price that the delay decides; the penalty is by how much that price exceeds
      its mean. No delay of a slot is revealed before the slot ends: boarding takes as long at least.
    * w passengers wait at the end of slot t, a come in slot t + 1 while m are expected: the square of w + a exceeds its
      mean by 2 w (a - m), and a part that no decision moves and that is 0 on the mean (it is left out).
    * s aircraft idle at the origin from slot t on: s (a - m).
    * x flights were decided in slot t: x (a - m) of each of the six slots after it.

    Args:
        problem: of `day_problem`.
        prices: the value function.
        surprise: float64 [P, T], arrivals of each slot less their mean.
        luck: float64 [P, T], price where and when a flight lands less its mean.
    """

    def __init__(
        self,
        problem: FlowProblem,
        prices: PenaltyPrices,
        surprise: NDArray[np.float64],
        luck: NDArray[np.float64],
    ) -> None:
        super().__init__(problem)
        self._prices, self._surprise, self._luck = prices, surprise, luck

    def objective(self) -> NDArray[np.float64]:
        objective = super().objective()
        objective -= self.penalty()
        return objective

    def penalty(self) -> NDArray[np.float64]:
        """Of each column, besides the `constant`."""
        problem = self.problem
        result = np.zeros(self.columns)
        after = self._prices.missed * _coming(self._surprise)
        result[: self.u] = (self._luck + after)[self.flight_pair, self.flight_slot]
        ahead = np.zeros_like(self._surprise)
        ahead[:, :-1] = self._surprise[:, 1:]
        result[self.r : self.s] = -(2.0 * self._prices.queue * ahead).ravel()
        idle = np.zeros_like(problem.ready)
        np.add.at(idle, problem.pairs[:, 0], self._prices.meeting * ahead)
        result[self.s : self.e] = idle.ravel()
        return result

    @property
    def constant(self) -> float:
        """The penalty's part that belongs to no column: of passengers who have come."""
        return float((2.0 * self._prices.queue * self.problem.come)[:, :-1].ravel() @ self._surprise[:, 1:].ravel())


def penalty_prices(
    instance: AirInstance,
    options: AirOptions | None = None,
    aircraft: float = 1.0,
    queue: float = 0.0,
    meeting: float = 0.0,
    missed: float = 0.0,
) -> PenaltyPrices:
    """Prices of the forecast's day: of aircraft as `FleetRelaxation` fits them, of queues in proportion to the fare.

    Args:
        options: of the environment.
        aircraft: factor of the fitted prices.
        queue: of the fare, for the square of the passengers who wait.
        meeting: of the fare, for each aircraft that idles and each passenger who waits.
        missed: of the fare, for each flight and each passenger who comes after it.
    """
    fitted = FleetRelaxation(instance, options or AirOptions()).fit()
    fare = fitted.fare
    return PenaltyPrices(aircraft * fitted.aircraft, queue * fare, meeting * fare, missed * fare)


def penalised_model(
    instance: AirInstance, seed: int, prices: PenaltyPrices, options: AirOptions | None = None
) -> PenalisedModel:
    """The program of the day of a seed. Beside the day it reveals the factors of the demand, so that all arrivals of a
    slot, given what came before, are Poisson with a known mean.

    Raises:
        UserError: the instance is one day, of which nothing is left to chance.
    """
    if instance.day is not None:
        raise UserError(f"instance {instance.name!r} is one given day; a penalty needs a law of days")
    noise = (options or AirOptions()).noise
    day = realise(instance, seed, noise)
    problem = day_problem(instance, day, options)
    slots = problem.allowed.shape[1]
    delay = day.delay[problem.pairs[:, 0]][:, SLOT * np.arange(slots) // DELAY_SLOT]
    problem = replace(problem, release=(instance.vehicle.board + delay) // SLOT)
    surprise = _surprise(instance, seed, noise, problem)
    luck = _luck(instance, noise, problem, prices.aircraft)
    return PenalisedModel(problem, prices, surprise, luck)


def penalised_bound(
    instance: AirInstance, seed: int, prices: PenaltyPrices, options: AirOptions | None = None, rounds: int = 0
) -> float:
    """Of one day. Its mean over days is not below the mean profit of any agent that does not know the future, $.

    On a single day agents may earn more. With prices of 0 and without rounds it is the clairvoyant bound.

    Args:
        rounds: how often inequalities for whole flights are added and the program is solved anew.

    Raises:
        UserError: see `penalised_model`.
        MissingExtraError: HiGHS is not installed.
    """
    model = penalised_model(instance, seed, prices, options)
    plan = model.solve(method="ipm")
    for _ in range(rounds):
        if tighten(model, plan, -(-instance.patience // SLOT), instance.vehicle.seats) == 0:
            break
        plan = model.solve(method="ipm")
    return plan.bound - model.constant


def _surprise(instance: AirInstance, seed: int, noise: float, problem: FlowProblem) -> NDArray[np.float64]:
    """float64 [P, T], arrivals of each slot less their mean, the day's factors of demand being known."""
    begin = SLOT * np.arange(problem.allowed.shape[1])
    length = np.minimum(SLOT, instance.horizon - begin)
    origin, destination = problem.pairs.T
    factor = [draw_factor(np.int64(seed), int(i), int(j), noise) for i, j in problem.pairs]
    mean = instance.forecast[origin, destination][:, begin // INTERVAL] * (length / INTERVAL)
    return np.diff(problem.come, axis=1, prepend=0.0) - mean * np.array(factor)[:, None]


def _coming(surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [P, T], the surprises of the `_AFTER` slots after each."""
    slots = surprise.shape[1]
    total = np.concatenate([np.zeros((len(surprise), 1)), np.cumsum(surprise, axis=1)], axis=1)
    end = np.minimum(np.arange(slots) + 1 + _AFTER, slots)
    return total[:, end] - total[:, 1:]


def _luck(
    instance: AirInstance, noise: float, problem: FlowProblem, aircraft: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 [P, T], the price where and when a flight is ready less its mean; 0 where delays show within a slot."""
    slots, vehicle = aircraft.shape[1], instance.vehicle
    result = np.zeros((len(problem.pairs), slots))
    if vehicle.board < SLOT:
        return result
    time = np.arange(slots)
    for p, (i, j) in enumerate(problem.pairs.tolist()):
        rest = vehicle.board + int(instance.cruise[i, j]) + vehicle.unload
        law = block_law(noise * float(instance.network.delay_mean[i]), rest)
        after = np.concatenate([aircraft[j], np.zeros(max(len(law), int(problem.block[p].max())) + 1)])
        expected = sum(chance * after[time + block] for block, chance in enumerate(law))
        result[p] = after[time + problem.block[p]] - expected
    return result
