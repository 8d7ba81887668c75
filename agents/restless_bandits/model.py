"""One step of an instance as whoever plans knows it: next laws, expected rewards of many actions, and the best action
for worths of arms at levels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.restless_bandits.feasible import FREE, MOST_ENUMERATED, Action, Best
from ...envs.restless_bandits.instance import LEAST_UNTREATED, BanditInstance
from ...envs.restless_bandits.program import NoSolutionError, RowBuilder, Rows, solve_program


class LevelRows(NamedTuple):
    """The rows of a feasible set, with a column that is 1 where an arm is acted on at a level.

    Attributes:
        rows: over [action, the set's auxiliary variables, levels].
        column: int64 [J, K], the column of each arm and level, -1 where an arm is never acted on at that level, and
            at level 0.
    """

    rows: Rows
    column: NDArray[np.int64]


class KnownModel:
    """An instance, and what follows from it at one step.

    Args:
        instance: as whoever plans knows it.
    """

    def __init__(self, instance: BanditInstance) -> None:
        self.instance = instance
        self._arms = np.arange(instance.num_arms)
        near = () if instance.contagion is None else instance.contagion.neighbours
        self._near = np.zeros((len(near), instance.num_arms))
        for j, others in enumerate(near):
            self._near[j, list(others)] = 1.0 / max(len(others), 1)

    # --- one step -----------------------------------------------------------------------------------------------------

    def laws(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [J, K, S]: each arm's next law at each level."""
        instance = self.instance
        laws = instance.transition[self._arms, :, states]
        if instance.contagion is None:
            return laws
        assert instance.up is not None
        share = self._near @ (states <= instance.contagion.sick)
        up = np.maximum(instance.up[:, 0] - instance.contagion.strength * share, LEAST_UNTREATED)
        laws = laws.copy()
        laws[:, 0] = 0.0
        laws[self._arms, 0, np.minimum(states + 1, instance.num_states - 1)] += up
        laws[self._arms, 0, np.maximum(states - 1, 0)] += 1.0 - up
        return laws

    def own_rewards(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [J, K]: the expected reward of each arm's next state by itself, at each level."""
        return np.einsum("jks,js->jk", self.laws(states), self.instance.reward)

    def expected_rewards(self, states: NDArray[np.int64], actions: NDArray[np.int8]) -> NDArray[np.float64]:
        """float64 [M]: the expected reward of the next states, for each of some actions [M, N]."""
        laws, levels = self.laws(states), self.levels(actions)
        own = np.einsum("jks,js->jk", laws, self.instance.reward)
        total = own[self._arms, levels].sum(axis=1)
        for joint in self.instance.joint:
            ready = laws[:, :, joint.least :].sum(axis=2)
            chances = [ready[arm, levels[:, arm]] for arm in joint.arms]
            total += joint.weight * np.prod(chances, axis=0)
        return total

    def levels(self, actions: NDArray[np.int8]) -> NDArray[np.int64]:
        """int64 [M, J]: the level of each arm under each of some actions [M, N]."""
        raised = actions.astype(np.int64)
        if self.instance.effect is not None:
            raised = raised @ self.instance.effect.T
        return np.minimum(raised, self.instance.num_levels - 1)

    # --- best actions -------------------------------------------------------------------------------------------------

    def best(self, worth: NDArray[np.float64], seconds: float = FREE) -> Best:
        """The feasible action with the largest sum of worths [J, K] of the arms' levels.

        Raises:
            NoSolutionError: the solver found nothing in time.
        """
        instance = self.instance
        if instance.effect is None:
            return instance.feasible.solve(worth[:, 1] - worth[:, 0], seconds)
        relative = worth - worth[:, :1]
        if instance.num_elements <= MOST_ENUMERATED:
            values = relative[self._arms, self._member_levels].sum(axis=1)
            at = int(values.argmax())
            return Best(instance.feasible.members[at].copy(), float(values[at]), float(values[at]), True)
        rows, column = self.level_rows
        objective = np.zeros(rows.num_columns)
        used = column >= 0
        np.add.at(objective, column[used], relative[used])
        found = solve_program(rows, objective, seconds)
        action = self.checked(found.values)
        value = float(relative[self._arms, self.levels(action[None])[0]].sum())
        return Best(action, value, max(found.bound, value), found.proved)

    def checked(self, point: ArrayLike) -> Action:
        """The action of a solver's point, rounded to whole numbers and then checked.

        Raises:
            NoSolutionError: it is not feasible.
        """
        action = np.rint(np.asarray(point)[: self.instance.num_elements]).astype(np.int8)
        wrong = self.instance.feasible.violations(action)
        if wrong:
            raise NoSolutionError(f"the solver's action is infeasible: {wrong[0]}")
        return action

    def greedy(self, worth: NDArray[np.float64]) -> Action:
        """The best element that fits joins the action, again and again, while it adds worth [J, K] or must be."""
        return self.grow(lambda actions: worth[self._arms, self.levels(actions)].sum(axis=1))

    def grow(self, value: Callable[[NDArray[np.int8]], NDArray[np.float64]]) -> Action:
        """The element with which `value` of the action is largest joins it, while it rises or must."""
        feasible = self.instance.feasible
        action = np.zeros(feasible.size, dtype=np.int8)
        each = np.eye(feasible.size, dtype=np.int8)
        while True:
            able = np.flatnonzero(feasible.extendable(action))
            if not len(able):
                return action
            now, *then = value(np.concatenate([action[None], action + each[able]]))
            at = int(np.argmax(then))
            if then[at] <= now and feasible.may_stop(action):
                return action
            action[able[at]] = 1

    @cached_property
    def _member_levels(self) -> NDArray[np.int64]:
        return self.levels(self.instance.feasible.members)

    @cached_property
    def level_rows(self) -> LevelRows:
        """The feasible set with columns for the arms' levels."""
        instance, rows = self.instance, self.instance.feasible.linear_rows
        column = np.full((instance.num_arms, instance.num_levels), -1)
        if instance.effect is None:
            column[:, 1] = self._arms
            return LevelRows(rows, column)
        builder = reopened(rows, instance.num_elements)
        top = instance.num_levels - 1
        for row in np.unique(instance.effect, axis=0):
            group = np.flatnonzero((instance.effect == row).all(axis=1))
            most = int(row.sum())
            if most == 0:
                continue
            columns = [builder.variable(1) for _ in range(min(most, top))]
            for k, own in enumerate(columns, start=1):
                column[group, k] = own
            given = [(i, float(row[i])) for i in np.flatnonzero(row).tolist()]
            said = [(own, -float(k)) for k, own in enumerate(columns, start=1)]
            where = f"level of arm {group[0]}"
            builder.row(f"{where}: one at most", [(own, 1.0) for own in columns], -FREE, 1.0)
            builder.row(f"{where}: not more than is given", given + said, 0.0, FREE)
            said[-1] = (columns[-1], -float(most))  # what lies beyond the highest level counts for nothing
            builder.row(f"{where}: not less than is given", given + said, -FREE, 0.0)
        return LevelRows(builder.build(), column)


def reopened(rows: Rows, size: int) -> RowBuilder:
    """A builder that holds the rows of a set over `size` elements already."""
    builder, matrix = RowBuilder(size), rows.matrix
    for column in range(size):
        if rows.column_upper[column] == 0.0:
            builder.forbid(column)
    for column in range(size, rows.num_columns):
        builder.variable(float(rows.column_upper[column]), bool(rows.integral[column]))
    for number, name in enumerate(rows.names):
        row = matrix[number]
        entries = list(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        builder.row(name, entries, float(rows.lower[number]), float(rows.upper[number]))
    return builder
