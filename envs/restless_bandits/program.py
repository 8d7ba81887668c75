"""Linear rows of a feasible set, and the open solver (HiGHS) that maximises over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.extras import optional

FREE = float("inf")


class NoSolutionError(RuntimeError):
    """The solver stopped without a feasible point; whoever asked must count it, and never play nothing instead."""


@dataclass(frozen=True)
class Rows:
    """Linear rows over [action variables, auxiliary variables]; all variables are at least 0.

    Attributes:
        matrix: scipy CSR matrix [R, N + X]; the first N columns are the action's.
        lower, upper: float64 [R], limits of each row; infinite for none.
        column_upper: float64 [N + X], upper bounds of the variables, finite.
        integral: bool [N + X], which variables are whole numbers.
        names: of each row, for messages.
    """

    matrix: Any
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    column_upper: NDArray[np.float64]
    integral: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def num_columns(self) -> int:
        """N + X."""
        return len(self.column_upper)


class RowBuilder:
    """Takes rows in one by one.

    Args:
        size: N, the number of action variables (binary).
    """

    def __init__(self, size: int) -> None:
        self._column_upper = [1.0] * size
        self._integral = [True] * size
        self._entries: list[tuple[int, int, float]] = []
        self._lower: list[float] = []
        self._upper: list[float] = []
        self._names: list[str] = []

    def variable(self, upper: float, integral: bool = True) -> int:
        """Open an auxiliary variable of 0 .. upper. Returns its column."""
        self._column_upper.append(float(upper))
        self._integral.append(integral)
        return len(self._column_upper) - 1

    def forbid(self, column: int) -> None:
        """Fix a variable to 0."""
        self._column_upper[column] = 0.0

    def row(self, name: str, entries: list[tuple[int, float]], lower: float = -FREE, upper: float = FREE) -> None:
        """Add lower <= sum of value * variable <= upper, for entries (column, value); those of one column add up."""
        number = len(self._names)
        self._entries += [(number, column, value) for column, value in entries]
        self._lower.append(lower)
        self._upper.append(upper)
        self._names.append(name)

    def build(self) -> Rows:
        """All rows."""
        from scipy.sparse import coo_matrix  # only here: whoever only plays need not wait for it

        shape = (len(self._names), len(self._column_upper))
        rows, columns, values = zip(*self._entries, strict=True) if self._entries else ((), (), ())
        matrix = coo_matrix((np.array(values, dtype=np.float64), (rows, columns)), shape=shape).tocsr()
        return Rows(
            matrix,
            np.array(self._lower),
            np.array(self._upper),
            np.array(self._column_upper),
            np.array(self._integral, dtype=np.bool_),
            tuple(self._names),
        )


@dataclass(frozen=True)
class Solution:
    """What the solver came to.

    Attributes:
        values: float64 [columns].
        value: the objective there.
        bound: no feasible point has a larger objective.
        proved: whether the solver proved the point optimal.
    """

    values: NDArray[np.float64]
    value: float
    bound: float
    proved: bool

    @property
    def gap(self) -> float:
        """By how much the bound lies above the value, at least 0."""
        return 0.0 if self.proved else max(self.bound - self.value, 0.0)


def solve_program(rows: Rows, objective: ArrayLike, seconds: float = FREE, start: ArrayLike | None = None) -> Solution:
    """Maximise objective . x within the rows.

    Args:
        rows: the constraints.
        objective: float64, one coefficient per column; missing ones at the end are 0.
        seconds: of wall time, after which the best point so far counts.
        start: float64 [N + X], a feasible point to begin with.

    Raises:
        NoSolutionError: there is no feasible point, or none was found in time.
        MissingExtraError: HiGHS is not installed.
    """
    highspy = load_highs()
    cost = np.zeros(rows.num_columns)
    given = np.asarray(objective, dtype=np.float64)
    cost[: len(given)] = given
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = rows.num_columns, len(rows.names)
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, np.zeros(len(cost)), rows.column_upper
    program.row_lower_, program.row_upper_ = rows.lower, rows.upper
    columns = rows.matrix.tocsc()
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = columns.indptr, columns.indices
    program.a_matrix_.value_ = columns.data
    if rows.integral.any():
        kinds = {True: highspy.HighsVarType.kInteger, False: highspy.HighsVarType.kContinuous}
        program.integrality_ = [kinds[whole] for whole in rows.integral.tolist()]
    solver = highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-9)):
        solver.setOptionValue(name, value)
    solver.setOptionValue("time_limit", float(seconds))
    solver.passModel(program)
    if start is not None:
        point = highspy.HighsSolution()
        point.col_value = np.asarray(start, dtype=np.float64).tolist()
        solver.setSolution(point)
    solver.run()
    info, status = solver.getInfo(), solver.getModelStatus()
    if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
        raise NoSolutionError(f"HiGHS: {solver.modelStatusToString(status)}")
    value = float(info.objective_function_value)
    proved = status == highspy.HighsModelStatus.kOptimal
    bound = float(info.mip_dual_bound) if rows.integral.any() else value
    return Solution(np.array(solver.getSolution().col_value), value, bound, proved)


def load_highs() -> Any:
    """The solver.

    Raises:
        MissingExtraError: it is not installed.
    """
    with optional("maximising over this feasible set", "exact", "highspy"):
        import highspy
    return highspy
