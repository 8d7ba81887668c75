"""A network of rectified units inside a mixed-integer program: the best feasible action by its value, with proof.

A unit y = max(z, 0) with l <= z <= u is y >= z, y >= 0, y <= u d, y <= z - l (1 - d) for a binary d (Tjeng, Xiao and
Tedrake, ICLR 2019); units that are always off or always on need none. The limits come from the feasible set: an action
has at most so many elements, so that no sum of weights exceeds that of its largest (interval); limits of the second
layer are then tightened over the program's own linear relaxation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix, csr_matrix

from ...envs.core.errors import UserError
from ...envs.restless_bandits.program import FREE, NoSolutionError, Rows, Solution, load_highs, solve_program

_SLACK = 1e-7  # added to limits, for the solver's own tolerance


class ReluNet(NamedTuple):
    """value(h) = constant + direct . h + output . relu(second relu(first h + first_bias) + second_bias).

    h holds n zeros and ones: the arms' levels, then products of pairs of them.
    """

    direct: NDArray[np.float64]  # [n]
    first: NDArray[np.float64]  # [H1, n]
    first_bias: NDArray[np.float64]  # [H1]
    second: NDArray[np.float64]  # [H2, H1]
    second_bias: NDArray[np.float64]  # [H2]
    output: NDArray[np.float64]  # [H2]
    constant: float = 0.0

    def values(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [M] of rows of inputs [M, n]."""
        first = np.maximum(inputs @ self.first.T + self.first_bias, 0.0)
        second = np.maximum(first @ self.second.T + self.second_bias, 0.0)
        return self.constant + inputs @ self.direct + second @ self.output

    def check(self) -> ReluNet:
        """Itself.

        Raises:
            UserError: a weight is not finite.
        """
        for name, array in self._asdict().items():
            if not np.isfinite(array).all():
                raise UserError(f"network: {name} holds a weight that is not a finite number")
        return self


class Inputs(NamedTuple):
    """What a network's inputs are in a program.

    Attributes:
        rows: the feasible set's, with a column for every input.
        column: int64 [n], of each input.
        unit: int64 [n], inputs of one unit exclude each other: the levels of an arm.
        most: so many units at most are not 0.
    """

    rows: Rows
    column: NDArray[np.int64]
    unit: NDArray[np.int64]
    most: int


def solve_by_scipy(
    rows: Rows, objective: NDArray[np.float64], seconds: float = FREE, start: NDArray[np.float64] | None = None
) -> Solution:
    """As `program.solve_program`, by `scipy.optimize.milp`, which takes no point to begin with."""
    cost = np.zeros(rows.num_columns)
    cost[: len(objective)] = objective
    columns: Any = (np.zeros(len(cost)), rows.column_upper)
    sums: Any = (rows.lower, rows.upper)
    options = {} if seconds == FREE else {"time_limit": float(seconds)}
    found = milp(
        -cost,
        integrality=rows.integral.astype(np.int64),
        bounds=Bounds(*columns),
        constraints=LinearConstraint(rows.matrix, *sums),
        options={**options, "mip_rel_gap": 0.0},
    )
    if found.x is None:
        raise NoSolutionError(f"scipy: {found.message}")
    bound = -found.fun if found.mip_dual_bound is None else -float(found.mip_dual_bound)
    return Solution(found.x, -float(found.fun), bound, found.status == 0)


Solve = Callable[..., Solution]
SOLVERS: dict[str, Solve] = {"highs": solve_program, "scipy": solve_by_scipy}


class Limits(NamedTuple):
    """Bounds of what units get, [H] each."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def unstable(self) -> NDArray[np.bool_]:
        """Units that are on for some actions and off for others."""
        return (self.low < 0.0) & (self.high > 0.0)


@dataclass
class Effort:
    """What the programs of a network took; counted on.

    Attributes:
        solved: programs. proved: of those, solved to proof. failed: programs without any feasible point.
        unstable: units that needed a binary. gap: sum of the gaps that were left.
    """

    solved: int = 0
    proved: int = 0
    failed: int = 0
    unstable: int = 0
    gap: float = 0.0


def largest_sums(weights: NDArray[np.float64], inputs: Inputs) -> NDArray[np.float64]:
    """float64 [H]: no action's inputs have a larger sum of weights, [H, n], than this; at least 0."""
    # Inputs that share a column, those of arms that the same elements act on, are on together.
    _, first, same = np.unique(inputs.column, return_index=True, return_inverse=True)
    summed = np.zeros((len(first), len(weights)))
    np.add.at(summed, same, weights.T)
    count = int(inputs.unit.max()) + 1 if len(inputs.unit) else 0
    best = np.zeros((count, len(weights)))
    np.maximum.at(best, inputs.unit[first], summed)
    if inputs.most >= count:
        return best.sum(axis=0)
    return -np.partition(-best, inputs.most - 1, axis=0)[: inputs.most].sum(axis=0)


def first_limits(net: ReluNet, inputs: Inputs) -> Limits:
    """Interval limits of the first layer."""
    return Limits(
        net.first_bias - largest_sums(-net.first, inputs) - _SLACK,
        net.first_bias + largest_sums(net.first, inputs) + _SLACK,
    )


def second_limits(net: ReluNet, first: Limits) -> Limits:
    """Interval limits of the second layer."""
    low, high = np.maximum(first.low, 0.0), np.maximum(first.high, 0.0)
    rising, falling = np.maximum(net.second, 0.0), np.minimum(net.second, 0.0)
    return Limits(
        net.second_bias + rising @ low + falling @ high - _SLACK,
        net.second_bias + rising @ high + falling @ low + _SLACK,
    )


class EmbeddedProgram:
    """The program of one network over one feasible set; made anew for each state.

    Args:
        net: as it is at that state.
        inputs: of the set.
        tighten: whether limits of the second layer are tightened by linear programs.
    """

    def __init__(self, net: ReluNet, inputs: Inputs, tighten: bool = False) -> None:
        self.net, self.inputs = net.check(), inputs
        self._columns = inputs.rows.num_columns
        matrix = inputs.rows.matrix.tocoo()
        self._entries = [(matrix.row, matrix.col, matrix.data)]
        self._count = matrix.shape[0]
        self._lower, self._upper = [inputs.rows.lower], [inputs.rows.upper]
        self._column_upper, self._integral = [inputs.rows.column_upper], [inputs.rows.integral]
        self.first = first_limits(net, inputs)
        first = self._layer(self.first, inputs.column, net.first, net.first_bias)
        self.second = second_limits(net, self.first)
        if tighten:
            self.second = self._tightened(first)
        self._second = self._layer(self.second, first, net.second, net.second_bias)

    @property
    def unstable(self) -> int:
        """How many binaries the network needs."""
        return int(self.first.unstable.sum() + self.second.unstable.sum())

    def solve(
        self, solve: Solve = solve_program, seconds: float = FREE, start: NDArray[np.float64] | None = None
    ) -> Solution:
        """The best point; its `value` and `bound` are those of the network.

        Args:
            start: float64 [set's columns], the set's part of a feasible point to begin with.

        Raises:
            NoSolutionError: nothing feasible was found in time.
        """
        objective = np.zeros(self._columns)
        np.add.at(objective, self.inputs.column, self.net.direct)
        used = self._second >= 0
        np.add.at(objective, self._second[used], self.net.output[used])
        found = solve(self._rows(), objective, seconds, None if start is None else self._completed(start))
        constant = self.net.constant
        return Solution(found.values, found.value + constant, found.bound + constant, found.proved)

    def _layer(
        self, limits: Limits, below: NDArray[np.int64], weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Columns of a layer's units, -1 for those that are always off; `below` are those of its inputs."""
        on, unstable = limits.low >= 0.0, limits.unstable
        live = np.flatnonzero(on | unstable)
        column = np.full(len(bias), -1)
        column[live] = self._add_columns(np.maximum(limits.high[live], 0.0), False)
        used = below >= 0
        at = np.flatnonzero(unstable)
        switch = self._add_columns(np.ones(len(at)), True)
        fixed = np.flatnonzero(on)
        self._add_rows(fixed, column[fixed], weights, below, used, bias[fixed], bias[fixed])
        self._add_rows(at, column[at], weights, below, used, bias[at], np.full(len(at), FREE))
        # y <= u d, and y - z - l d <= -l.
        rows = self._add_rows(at, column[at], None, below, used, np.full(len(at), -FREE), np.zeros(len(at)))
        self._entries.append((rows, switch, -limits.high[at]))
        upper = bias[at] - limits.low[at]
        rows = self._add_rows(at, column[at], weights, below, used, np.full(len(at), -FREE), upper)
        self._entries.append((rows, switch, -limits.low[at]))
        return column

    def _add_columns(self, upper: NDArray[np.float64], integral: bool) -> NDArray[np.int64]:
        numbers = self._columns + np.arange(len(upper))
        self._columns += len(upper)
        self._column_upper.append(upper)
        self._integral.append(np.full(len(upper), integral))
        return numbers

    def _add_rows(
        self,
        units: NDArray[np.int64],
        column: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
        below: NDArray[np.int64],
        used: NDArray[np.bool_],
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Rows lower <= y - weights . inputs <= upper of some units."""
        rows = self._count + np.arange(len(units))
        self._count += len(units)
        self._lower.append(lower)
        self._upper.append(upper)
        self._entries.append((rows, column, np.ones(len(units))))
        if weights is not None:
            table = weights[units][:, used]
            at, which = np.nonzero(table)
            self._entries.append((rows[at], below[used][which], -table[at, which]))
        return rows

    def _rows(self) -> Rows:
        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = coo_matrix((value, (row, column)), shape=(self._count, self._columns)).tocsr()
        more = self._count - len(self.inputs.rows.names)
        return Rows(
            matrix,
            np.concatenate(self._lower),
            np.concatenate(self._upper),
            np.concatenate(self._column_upper),
            np.concatenate(self._integral),
            (*self.inputs.rows.names, *("network",) * more),
        )

    def _completed(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """A point of the set with the network's columns."""
        point = np.zeros(self._columns)
        point[: len(start)] = start
        inputs = point[self.inputs.column]
        at = len(start)
        values = inputs
        for limits, weights, bias in (
            (self.first, self.net.first, self.net.first_bias),
            (self.second, self.net.second, self.net.second_bias),
        ):
            z = weights @ values + bias
            values = np.maximum(z, 0.0)
            live, unstable = (limits.low >= 0.0) | limits.unstable, limits.unstable
            point[at : at + live.sum()] = values[live]
            at += int(live.sum())
            point[at : at + unstable.sum()] = z[unstable] > 0.0
            at += int(unstable.sum())
        return point

    def _tightened(self, first: NDArray[np.int64]) -> Limits:
        """Limits of the second layer over the linear relaxation of the set and the first layer."""
        low, high = self.second.low.copy(), self.second.high.copy()
        rows = self._rows()
        relaxed = _Relaxation(rows)
        used = first >= 0
        for unit in np.flatnonzero(self.second.unstable):
            objective = np.zeros(rows.num_columns)
            objective[first[used]] = self.net.second[unit][used]
            most = relaxed.largest(objective)
            high[unit] = min(high[unit], self.net.second_bias[unit] + most + _SLACK)
            if high[unit] > 0.0:
                least = -relaxed.largest(-objective)
                low[unit] = max(low[unit], self.net.second_bias[unit] + least - _SLACK)
        return Limits(low, high)


class _Relaxation:
    """The linear relaxation of rows, for many objectives one after the other: each begins where the last ended."""

    def __init__(self, rows: Rows) -> None:
        highspy = load_highs()
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = rows.num_columns, len(rows.names)
        program.sense_ = highspy.ObjSense.kMaximize
        program.col_cost_ = np.zeros(rows.num_columns)
        program.col_lower_, program.col_upper_ = np.zeros(rows.num_columns), rows.column_upper
        program.row_lower_, program.row_upper_ = rows.lower, rows.upper
        columns: csr_matrix = rows.matrix.tocsc()
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_, program.a_matrix_.index_ = columns.indptr, columns.indices
        program.a_matrix_.value_ = columns.data
        self._solver: Any = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            self._solver.setOptionValue(name, value)
        self._solver.passModel(program)
        self._optimal = highspy.HighsModelStatus.kOptimal
        self._numbers = np.arange(rows.num_columns, dtype=np.int32)

    def largest(self, objective: NDArray[np.float64]) -> float:
        """The largest value of an objective; infinite where the solver failed."""
        self._solver.changeColsCost(len(objective), self._numbers, objective)
        self._solver.run()
        if self._solver.getModelStatus() != self._optimal:
            return FREE
        return float(self._solver.getInfo().objective_function_value)
