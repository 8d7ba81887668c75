"""Genetic algorithms over numbered destinations, by pymoo: for the whole day, or for the decisions that come next.

The comparator of Paul, Witter & Chowdhury (SAC 2024), whose operators are not known: ours are binary tournaments,
uniform crossover and random resetting. A gene is the destination of one decision, in the order of decisions; where it
is illegal the aircraft stays. Fitness is the mean profit on days that are imagined from the present.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility.dynamics import objective
from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.state import MICRO, STEPS
from ...envs.core.engine import BatchEngine
from ...envs.core.extras import optional
from ...envs.core.random import combine
from ..agent import Agent, Imagine, Observation, Setting
from .parts import PERIOD, read_time
from .plays import note_greedy, play_numbered

_CROSSOVER = 0.9


@dataclass(frozen=True)
class Budget:
    """How much is evolved.

    Attributes:
        population, generations: of individuals.
        days: imagined days that each is played on.
    """

    population: int
    generations: int
    days: int


DAY_BUDGET, BATCH_BUDGET = Budget(100, 100, 5), Budget(40, 30, 5)
BATCH = 60
"""Decisions that are planned at once."""


class DestinationEvolution:
    """Evolves the destinations of the next decisions.

    Args:
        days: 2 D copies of the present with imagined futures; the last D are for play.
        length: how many decisions to plan.
        budget: with D days.
        key: of the randomness.

    Attributes:
        evaluations: days played so far.
    """

    def __init__(self, days: BatchEngine, length: int, budget: Budget, key: int) -> None:
        self._pymoo = load_pymoo()
        self._days, self._length, self._budget, self._key = days, length, budget, key
        self._vertiports = days.instance(0).num_vertiports
        self._until = int(days.state.clock[0, STEPS]) + length
        self.evaluations = 0

    def run(self) -> NDArray[np.int64]:
        """int64 [length], the fittest destinations."""
        algorithm = self._begin()
        best, fittest = np.zeros(self._length, dtype=np.int64), -np.inf
        for _ in range(self._budget.generations):
            population = algorithm.ask()
            genes = population.get("X").astype(np.int64)
            fitness = np.array([self.fitness(row) for row in genes])
            known = self._pymoo.StaticProblem(algorithm.problem, F=-fitness[:, None])
            algorithm.evaluator.eval(known, population)
            algorithm.tell(infills=population)
            if fitness.max() > fittest:
                best, fittest = genes[fitness.argmax()].copy(), float(fitness.max())
        return best

    def _begin(self) -> Any:
        rng = np.random.default_rng(self._key)
        first = rng.integers(self._vertiports, size=(self._budget.population, self._length))
        first[0] = self._greedy()
        problem = self._pymoo.Problem(n_var=self._length, n_obj=1, xl=0, xu=self._vertiports - 1, vtype=int)
        algorithm = self._pymoo.GA(
            pop_size=self._budget.population,
            sampling=first,
            crossover=self._pymoo.UniformCrossover(prob=_CROSSOVER),
            mutation=_resetting(self._pymoo),
            eliminate_duplicates=False,
        )
        algorithm.setup(problem, termination=("n_gen", 10**9), seed=self._key % 2**31, verbose=False)
        return algorithm

    def _greedy(self) -> NDArray[np.int64]:
        """What the greedy rule does on the first imagined day."""
        genes, work = np.zeros(self._length, dtype=np.int64), self._budget.days
        self._days.copy([0], [work])
        note_greedy(self._days.problem, self._days.state, work, genes)
        return genes

    def fitness(self, genes: NDArray[np.int64]) -> float:
        """Mean profit of the planned decisions, $."""
        days, count = self._days, self._budget.days
        days.copy(np.arange(count), count + np.arange(count))
        total = 0
        for work in range(count, 2 * count):
            play_numbered(days.problem, days.state, work, genes, self._until)
            total += int(objective(days.problem, days.state, work))
        self.evaluations += count
        return total / count / MICRO


@dataclass
class _List:
    """The list that a copy follows.

    Attributes:
        key: of the randomness.
        length: of each list.
        genes: destinations; `at` is the next.
        next_solve: when the list is made anew, s.
    """

    key: int
    length: int
    genes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    at: int = 0
    next_solve: float = 0.0


class GeneticAgent(Agent):
    """Follows the fittest list of destinations that it has evolved.

    Args:
        setting: of the environment.
        budget: of each list.
        batch: decisions that a list holds; it is evolved anew every quarter hour. 0: one list for the whole day.

    Attributes:
        evaluations: days, or parts of days, played to evolve since days began last, for all of these together.
    """

    reads_instances = True
    follows_plan = True

    def __init__(self, setting: Setting, budget: Budget, batch: int = 0) -> None:
        load_pymoo()
        self.name = "batch-ga" if batch else "day-ga"
        self._budget, self._batch = budget, batch
        self._is_stay = setting.spec.action_column("is_stay")
        self._setting = setting
        self._imagine: Imagine | None = None
        self._lists: dict[int, _List] = {}
        self._begun = 0
        self.evaluations = 0

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._imagine = imagine
        self._begun, self.evaluations = len(copies), 0
        for copy, instance, key in zip(copies.tolist(), instances, keys.tolist(), strict=True):
            self._lists[copy] = _List(key, self._batch or _most_decisions(instance))

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            now, plan = read_time(self._setting, observation, copy), self._lists[copy]
            if now >= plan.next_solve or plan.at == len(plan.genes):
                self._evolve(copy, plan, now)
            action = int(plan.genes[plan.at])
            plan.at += 1
            if not mask[copy, action]:
                action = int(np.argmax(observation["actions/features"][copy, :, self._is_stay]))
            actions[copy] = action
        return actions

    def _evolve(self, copy: int, plan: _List, now: int) -> None:
        assert self._imagine is not None
        count = self._budget.days
        moment = np.uint64(combine(np.uint64(plan.key), now))
        worlds = np.array([combine(moment, w) for w in range(count)], dtype=np.uint64)
        days = self._imagine(np.full(2 * count, copy), np.tile(worlds, 2))
        key = int(combine(moment, count))
        evolution = DestinationEvolution(days, plan.length, self._budget, key)
        plan.genes, plan.at = evolution.run(), 0
        plan.next_solve = (now // PERIOD + 1) * PERIOD if self._batch else np.inf
        self.evaluations += evolution.evaluations
        what = "parts of days" if self._batch else "days"
        self.remark = f"{round(self.evaluations / self._begun)} {what} played to evolve each day"


def _most_decisions(instance: AirInstance) -> int:
    """Of a day."""
    vehicle = instance.vehicle
    flight = vehicle.board + int(instance.cruise[instance.flyable].min()) + vehicle.unload
    return instance.num_aircraft * (instance.horizon // min(vehicle.stay, flight) + 1)


def load_pymoo() -> SimpleNamespace:
    """What is needed of pymoo.

    Raises:
        MissingExtraError: it is not installed.
    """
    with optional("a genetic algorithm", "search", "pymoo"):
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.core.mutation import Mutation
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.ux import UniformCrossover
        from pymoo.problems.static import StaticProblem
    return SimpleNamespace(
        GA=GA, Mutation=Mutation, Problem=Problem, StaticProblem=StaticProblem, UniformCrossover=UniformCrossover
    )


def _resetting(pymoo: SimpleNamespace) -> Any:
    """The mutation that draws each gene anew with a chance of one in their number."""

    class Resetting(pymoo.Mutation):
        def _do(self, problem: Any, X: NDArray[Any], *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
            drawn = random_state.integers(int(problem.xl[0]), int(problem.xu[0]) + 1, size=X.shape)
            return np.where(random_state.random(X.shape) < 1.0 / problem.n_var, drawn, X)

    return Resetting()
