"""The occupancy program: a bound on the expected return of any policy, and what acting on each arm costs in prices.

Each arm moves by itself; only on average must what all arms do together be within the feasible set. The variables are
the probabilities x_jt(s, k) that arm j is in state s and acted on at level k in epoch t. Minimising the Lagrangian over
a price for each arm, epoch and level is the dual of this program (Adelman and Mersereau, Operations Research 56(3),
2008), and so the program's value is a bound wherever the constraints hold of every feasible action:

* ``hull``: the actions' levels lie in the convex hull of those of all feasible actions;
* ``rows``: in the linear relaxation of the set's rows, see `feasible.FeasibleSet.rows`.

Rewards that arms earn together are bounded by joint probabilities of all arms of a reward where that is not too much
(``blocks``), else by the least of their probabilities (``and``). Arms of a contagion are taken to have healthy
neighbours (``healthy``): as chances only rise by that, it is a bound for rewards that rise with the state, and others
are replaced by the largest reward up to a state.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from .feasible import MOST_ENUMERATED, Cardinality
from .field import Separable
from .instance import BanditInstance
from .program import FREE, NoSolutionError

_MOST_HULL = 500  # different level vectors of which a hull is made
_MOST_JOINT = 30_000  # variables of joint probabilities; twice as many take a minute


@dataclass(frozen=True)
class Occupancy:
    """A solved program.

    Attributes:
        value: its optimum.
        share: float64 [T, J, S, K], the probabilities x.
        price: float64 [T, J, K], what level k of an arm costs in an epoch, worth of that epoch; 0 at level 0.
        bonus: float64 [T, J, S], the share of joint rewards that falls to an arm if it moves to a state; all 0 with
            ``blocks``.
        name: how the bound was made, for tables.
    """

    value: float
    share: NDArray[np.float64]
    price: NDArray[np.float64]
    bonus: NDArray[np.float64]
    name: str


def separate(instance: BanditInstance, epoch: int = 0, start: NDArray[np.float64] | None = None) -> Separable:
    """An instance's arms by themselves, those of a contagion with healthy neighbours; joint rewards are left out.

    Args:
        epoch: from which on.
        start: float64 [J, S], probabilities of the states then; default: those of the beginning.
    """
    epochs = instance.horizon - epoch
    reward = instance.reward
    if instance.contagion is not None:
        reward = np.maximum.accumulate(reward, axis=1)
    return Separable(
        np.broadcast_to(instance.transition, (epochs, *instance.transition.shape)),
        np.broadcast_to(reward, (epochs, *reward.shape)),
        instance.start if start is None else start,
    )


def bound(instance: BanditInstance, discount: float = 1.0) -> Occupancy:
    """A bound on the expected return of any policy, the best that is not too much work.

    Raises:
        NoSolutionError: the solver failed.
    """
    size = instance.num_states * instance.num_levels
    joint = sum(size ** len(one.arms) for one in instance.joint) * instance.horizon
    return solve_occupancy(instance, separate(instance), discount, blocks=joint <= _MOST_JOINT)


def solve_occupancy(
    instance: BanditInstance, arms: Separable, discount: float = 1.0, blocks: bool = False, joint: bool = True
) -> Occupancy:
    """Solve the program for some arms under an instance's feasible set.

    Args:
        instance: whose set and joint rewards count.
        arms: what they do by themselves, over the epochs to plan for.
        discount: of an epoch.
        blocks: whether joint rewards count by joint probabilities.
        joint: whether joint rewards count at all; not where `arms` holds them already.

    Raises:
        NoSolutionError: the solver failed.
    """
    program = _Program(instance, arms, discount)
    names = [program.couple()]
    if joint and instance.joint:
        names.append(program.add_blocks() if blocks else program.add_least())
    if instance.contagion is not None:
        names.append("healthy")
    return program.solve("+".join(names))


class _Rows:
    """Rows and columns of a program in the making; columns have the lower bound 0."""

    def __init__(self) -> None:
        self.objective: list[NDArray[np.float64]] = []
        self.upper: list[NDArray[np.float64]] = []
        self.columns = 0
        self.entries: dict[bool, list[tuple[Any, Any, Any]]] = {True: [], False: []}
        self.right: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
        self.count = {True: 0, False: 0}

    def add_columns(self, objective: NDArray[np.float64], upper: float | NDArray[np.float64] = FREE) -> NDArray[Any]:
        """New columns of an objective's shape; returns their numbers in that shape."""
        numbers = self.columns + np.arange(objective.size).reshape(objective.shape)
        self.columns += objective.size
        self.objective.append(np.ravel(objective))
        self.upper.append(np.broadcast_to(upper, objective.shape).ravel())
        return numbers

    def add_rows(self, equal: bool, right: NDArray[np.float64]) -> NDArray[Any]:
        """New rows, equal to or at most `right`; returns their numbers in its shape."""
        numbers = self.count[equal] + np.arange(right.size).reshape(right.shape)
        self.count[equal] += right.size
        self.right[equal].append(np.ravel(right))
        return numbers

    def put(self, equal: bool, rows: Any, columns: Any, values: Any) -> None:
        """Entries, broadcast against each other."""
        arrays = np.broadcast_arrays(rows, columns, values)
        self.entries[equal].append(tuple(np.ravel(array) for array in arrays))  # pyright: ignore[reportArgumentType]

    def matrix(self, equal: bool) -> Any:
        """Scipy CSR matrix of one kind of rows; None for none."""
        if not self.count[equal]:
            return None
        rows, columns, values = (np.concatenate(part) for part in zip(*self.entries[equal], strict=True))
        return csr_matrix((values, (rows, columns)), shape=(self.count[equal], self.columns))


class _Program:
    def __init__(self, instance: BanditInstance, arms: Separable, discount: float) -> None:
        self._instance, self._arms = instance, arms
        epochs, count, levels, states, _ = arms.law.shape
        self._shape = epochs, count, states, levels
        self._weight = discount ** np.arange(epochs)
        self._rows = _Rows()
        pays = np.einsum("tjksn,tjn->tjsk", arms.law, arms.reward) * self._weight[:, None, None, None]
        self._x = self._rows.add_columns(pays)
        self._add_flow()
        self._link: NDArray[Any] = np.zeros(0)
        self._least: list[tuple[int, int, NDArray[Any]]] = []
        self._has_blocks = False

    def _add_flow(self) -> None:
        """Who is in a state was there at the beginning or came from another."""
        epochs, count, states, _ = self._shape
        right = np.zeros((epochs, count, states))
        right[0] = self._arms.start
        rows = self._rows.add_rows(True, right)
        self._rows.put(True, rows[..., None], self._x, 1.0)
        moved = np.moveaxis(self._arms.law[:-1], 2, 3)  # [t, j, s, k, s']
        self._rows.put(True, rows[1:, :, None, None, :], self._x[:-1, ..., None], -moved)

    # --- the feasible set ---------------------------------------------------------------------------------------------

    def couple(self) -> str:
        """Tie levels in each epoch to the feasible set; returns how."""
        epochs, count, _, levels = self._shape
        self._link = self._rows.add_rows(True, np.zeros((epochs, count, levels - 1)))
        for k in range(1, levels):
            self._rows.put(True, self._link[:, :, k - 1, None], self._x[..., k], 1.0)
        instance = self._instance
        plain = isinstance(instance.feasible, Cardinality) and instance.effect is None
        if not plain and instance.num_elements <= MOST_ENUMERATED:
            found = np.unique(np.array([instance.levels(a) for a in instance.feasible.members]), axis=0)
            if len(found) <= _MOST_HULL:
                self._couple_hull(found)
                return "hull"
        self._couple_rows()
        return "hull" if plain else "rows"

    def _couple_hull(self, found: NDArray[np.int64]) -> None:
        epochs, _, _, levels = self._shape
        weights = self._rows.add_columns(np.zeros((epochs, len(found))))
        total = self._rows.add_rows(True, np.ones(epochs))
        self._rows.put(True, total[:, None], weights, 1.0)
        for k in range(1, levels):
            vector, arm = np.nonzero(found == k)
            self._rows.put(True, self._link[:, arm, k - 1], weights[:, vector], -1.0)

    def _couple_rows(self) -> None:
        epochs = self._shape[0]
        rows = self._instance.feasible.linear_rows
        upper = rows.column_upper.copy()
        size = self._instance.num_elements
        upper[:size] = np.where(upper[:size] > 0, FREE if self._instance.effect is None else 1.0, 0.0)
        columns = self._rows.add_columns(np.zeros((epochs, rows.num_columns)), upper)
        matrix = rows.matrix.tocoo()
        same = rows.lower == rows.upper
        for equal, chosen, right, sign in (
            (True, same, rows.upper, 1.0),
            (False, ~same & np.isfinite(rows.upper), rows.upper, 1.0),
            (False, ~same & np.isfinite(rows.lower), -rows.lower, -1.0),
        ):
            place = np.cumsum(chosen) - 1
            numbers = self._rows.add_rows(equal, np.tile(right[chosen], (epochs, 1)))
            inside = chosen[matrix.row]
            if inside.any():
                at, column, value = matrix.row[inside], matrix.col[inside], matrix.data[inside]
                self._rows.put(equal, numbers[:, place[at]], columns[:, column], sign * value)
        actions = columns[:, :size]
        if self._instance.effect is None:
            self._rows.put(True, self._link[:, :, 0], actions, -1.0)
        else:
            self._couple_levels(self._instance.effect, actions)

    def _couple_levels(self, effect: NDArray[np.int64], actions: NDArray[Any]) -> None:
        """Arms that the same elements act on have one level, whose mean is what the elements give."""
        epochs, _, _, levels = self._shape
        for row in np.unique(effect, axis=0):
            group = np.flatnonzero((effect == row).all(axis=1))
            most = min(int(row.sum()), levels - 1)
            chance = self._rows.add_columns(np.zeros((epochs, levels)), (np.arange(levels) <= most).astype(np.float64))
            total = self._rows.add_rows(True, np.ones(epochs))
            self._rows.put(True, total[:, None], chance, 1.0)
            self._rows.put(True, self._link[:, group], chance[:, None, 1:], -1.0)
            whole = int(row.sum()) <= levels - 1
            given = self._rows.add_rows(whole, np.zeros(epochs))
            self._rows.put(whole, given[:, None], chance, np.arange(levels, dtype=np.float64))
            self._rows.put(whole, given[:, None], actions, -row.astype(np.float64))

    # --- joint rewards ------------------------------------------------------------------------------------------------

    def _ready(self, arm: int, least: int) -> NDArray[np.float64]:
        """float64 [T, S, K]: the probability that an arm moves to a state `least` or above."""
        return np.moveaxis(self._arms.law[:, arm, :, :, least:].sum(axis=-1), 1, 2)

    def add_least(self) -> str:
        """All arms are ready at most as often as each of them; at least as often as their sum leaves no other way."""
        epochs = self._shape[0]
        for joint in self._instance.joint:
            both = self._rows.add_columns(joint.weight * self._weight)
            if joint.weight >= 0:
                for arm in joint.arms:
                    rows = self._rows.add_rows(False, np.zeros(epochs))
                    self._rows.put(False, rows, both, 1.0)
                    self._rows.put(False, rows[:, None, None], self._x[:, arm], -self._ready(arm, joint.least))
                    self._least.append((arm, joint.least, rows))
            else:
                rows = self._rows.add_rows(False, np.full(epochs, len(joint.arms) - 1.0))
                self._rows.put(False, rows, both, -1.0)
                for arm in joint.arms:
                    self._rows.put(False, rows[:, None, None], self._x[:, arm], self._ready(arm, joint.least))
        return "and"

    def add_blocks(self) -> str:
        """Arms of a joint reward have joint probabilities, whose marginals are those of the arms."""
        epochs, _, states, levels = self._shape
        self._has_blocks = True
        for joint in self._instance.joint:
            arms, count = joint.arms, len(joint.arms)
            ready = [self._ready(arm, joint.least) for arm in arms]
            # Axes: t, then (s, k) of each arm as one.
            both = self._weight.copy()
            for one in ready:
                both = both[..., None] * one.reshape(epochs, *(1,) * (both.ndim - 1), states * levels)
            columns = self._rows.add_columns(joint.weight * both, self._possible(arms))
            start = np.ones(1)
            for arm in arms:
                start = np.multiply.outer(start, self._arms.start[arm]).ravel()
            right = np.zeros((epochs, states**count))
            right[0] = start
            rows = self._rows.add_rows(True, right)
            place = np.array([np.ravel_multi_index([c // levels for c in cell], (states,) * count)
                              for cell in product(range(states * levels), repeat=count)])  # fmt: skip
            flat = columns.reshape(epochs, -1)
            self._rows.put(True, rows[:, place], flat, 1.0)
            for t in range(epochs - 1):
                law = np.ones((1, 1))
                for arm in arms:
                    one = np.moveaxis(self._arms.law[t, arm], 0, 1).reshape(states * levels, states)
                    law = np.einsum("ab,cd->acbd", law, one).reshape(law.shape[0] * len(one), -1)
                cell, after = np.nonzero(law)
                self._rows.put(True, rows[t + 1, after], flat[t, cell], -law[cell, after])
            for number, arm in enumerate(arms):
                same = self._rows.add_rows(True, np.zeros((epochs, states * levels)))
                self._rows.put(True, same, self._x[:, arm].reshape(epochs, -1), -1.0)
                moved = np.moveaxis(columns, 1 + number, 1).reshape(epochs, states * levels, -1)
                self._rows.put(True, same[..., None], moved, 1.0)
        return "blocks"

    def _possible(self, arms: tuple[int, ...]) -> NDArray[np.float64]:
        """[S K, ...]: infinite where arms may be acted on at such levels together, else 0."""
        _, count, states, levels = self._shape
        possible = np.full((states * levels,) * len(arms), FREE)
        instance = self._instance
        if instance.effect is not None or not instance.feasible.down_closed:
            return possible
        for cell in product(range(levels), repeat=len(arms)):
            action = np.zeros(count, dtype=np.int8)
            action[list(arms)] = cell
            if not instance.feasible.contains(action):
                possible[np.ix_(*(np.arange(states) * levels + k for k in cell))] = 0.0
        return possible

    # --- solution -----------------------------------------------------------------------------------------------------

    def solve(self, name: str) -> Occupancy:
        rows = self._rows
        right = {equal: np.concatenate(part) if part else None for equal, part in rows.right.items()}
        found = linprog(
            -np.concatenate(rows.objective),
            A_ub=rows.matrix(False),
            b_ub=right[False] if rows.count[False] else None,
            A_eq=rows.matrix(True),
            b_eq=right[True],
            bounds=np.stack([np.zeros(rows.columns), np.concatenate(rows.upper)], axis=1),
            # By far the faster one where marginals of many joint probabilities must agree.
            method="highs-ipm" if self._has_blocks else "highs",
        )
        if found.status != 0:
            raise NoSolutionError(f"occupancy program of instance {self._instance.name!r}: {found.message}")
        epochs, count, states, levels = self._shape
        price = np.zeros((epochs, count, levels))
        # A right-hand side above 0 is a level for nothing.
        price[..., 1:] = -found.eqlin.marginals[self._link] / np.maximum(self._weight, 1e-300)[:, None, None]
        bonus = np.zeros((epochs, count, states))
        for arm, least, numbers in self._least:
            worth = -found.ineqlin.marginals[numbers] / np.maximum(self._weight, 1e-300)
            bonus[:, arm, least:] += worth[:, None]
        return Occupancy(float(-found.fun), found.x[self._x], price, bonus, name)
