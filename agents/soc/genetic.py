"""A genetic algorithm over priority lists, by pymoo.

An individual is a priority for each task; tasks are placed as by HEFT.
Real-coded ("random keys", Bean, ORSA Journal on Computing 6(2), 1994), with pymoo's single-objective GA (simulated
binary crossover, polynomial mutation). The first population holds the orders of the list rules' plans.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.extras import optional
from ...envs.soc.instance import SocInstance
from .bounds import lower_bound
from .lists import EARLIEST_FINISH, NO_TABLE, NONE, RULES, Lists, order_by_priority, schedule_list
from .problem import Plan

POPULATION = 60


class GeneticSearch:
    """Evolves priority lists.

    Args:
        instance: whose jobs are scheduled.
        levels: at which level the PEs of each kind run; empty: the highest.
        key: of the randomness.

    Raises:
        MissingExtraError: pymoo is not installed.
    """

    def __init__(self, instance: SocInstance, levels: tuple[int, ...] = (), key: int = 0) -> None:
        self._pymoo = load_pymoo()
        self._lists = Lists(instance, levels)
        self._key = key
        self.bound = lower_bound(self._lists.problem, self._lists.measures.tail)
        self._first = self._ranks()
        makespans = self._evaluate(self._first)
        self.best, self._best_priority = int(makespans.min()), self._first[makespans.argmin()]

    def plan(self) -> Plan:
        """The best plan so far."""
        self._lists.by_priority(self._best_priority)
        return self._lists.room.plan()

    def run(
        self,
        seconds: float | None = None,
        generations: int | None = None,
        found: Callable[[Plan], None] | None = None,
    ) -> None:
        """Evolve a population until a limit is reached, or the lower bound.

        Args:
            seconds: wall time, without that in which code is compiled.
            generations: limit of another kind.
            found: is told of each plan that is better than all before.

        Raises:
            ValueError: neither limit is given.
        """
        if seconds is None and generations is None:
            raise ValueError("run needs a limit: seconds or generations")
        began, done = time.perf_counter(), 0
        algorithm = self._begin()
        while (
            self.best > self.bound
            and (seconds is None or time.perf_counter() - began < seconds)
            and (generations is None or done < generations)
        ):
            population = algorithm.ask()
            priorities = population.get("X")
            makespans = self._evaluate(priorities)
            known = self._pymoo.StaticProblem(algorithm.problem, F=makespans[:, None].astype(np.float64))
            algorithm.evaluator.eval(known, population)
            algorithm.tell(infills=population)
            least = int(makespans.argmin())
            if makespans[least] < self.best:
                self.best, self._best_priority = int(makespans[least]), priorities[least].copy()
                if found is not None:
                    found(self.plan())
            done += 1

    def _begin(self) -> Any:
        """pymoo's algorithm on keys between 0 and 1."""
        tasks, rng = len(self._lists.problem.arrival), np.random.default_rng(self._key)
        first = np.concatenate([self._first, rng.random((POPULATION - len(self._first), tasks))])
        problem = self._pymoo.Problem(n_var=tasks, n_obj=1, xl=0.0, xu=1.0)
        algorithm = self._pymoo.GA(pop_size=POPULATION, sampling=first, eliminate_duplicates=True)
        algorithm.setup(problem, termination=("n_gen", 10**9), seed=self._key % 2**31, verbose=False)
        return algorithm

    def _ranks(self) -> NDArray[np.float64]:
        """float64 [R, N], from 0 to 1: what HEFT orders by, and the order in which each rule's plan starts tasks."""
        lists = self._lists
        rank = lists.measures.upward_rank
        rows = [rank / max(rank.max(), 1.0)]
        for name in RULES:
            plan = lists.plan(name, key=self._key)
            row = np.empty(len(rank))
            row[np.lexsort((lists.problem.position, plan.finish, plan.start))] = np.linspace(1.0, 0.0, len(rank))
            rows.append(row)
        lists.room.chosen[:] = NONE
        return np.array(rows)

    def _evaluate(self, priorities: NDArray[np.float64]) -> NDArray[np.int64]:
        """int64 [n], the makespans of some individuals."""
        makespans = np.zeros(len(priorities), dtype=np.int64)
        rows = np.ascontiguousarray(priorities)
        evaluate(self._lists.problem, self._lists.room, NO_TABLE, rows, makespans)
        return makespans


def load_pymoo() -> SimpleNamespace:
    """What is needed of pymoo.

    Raises:
        MissingExtraError: it is not installed.
    """
    with optional("agent 'dag-ga'", "search", "pymoo"):
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.core.problem import Problem
        from pymoo.problems.static import StaticProblem
    return SimpleNamespace(GA=GA, Problem=Problem, StaticProblem=StaticProblem)


@compiled
def evaluate(problem, room, table, priorities, makespans):
    """Fill the makespans of priorities, a row for each individual; ``room.chosen`` must be NONE."""
    for row in range(priorities.shape[0]):
        for i in range(priorities.shape[1]):
            room.priority[i] = priorities[row, i]
        order_by_priority(problem, room)
        makespans[row] = schedule_list(problem, room, table, EARLIEST_FINISH, True)
