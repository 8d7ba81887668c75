"""Sparse linear programs, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.core.extras import optional

FREE = float("inf")


class Rows:
    """Rows of a linear program, taken in block by block."""

    def __init__(self) -> None:
        self.count = 0
        self._row: list[NDArray[np.int64]] = []
        self._column: list[NDArray[np.int64]] = []
        self._value: list[NDArray[np.float64]] = []
        self._lower: list[NDArray[np.float64]] = []
        self._upper: list[NDArray[np.float64]] = []

    def block(self, lower: ArrayLike, upper: ArrayLike, size: int) -> int:
        """Open `size` rows within limits (numbers, or one for each). Returns the index of the first."""
        first = self.count
        self._lower.append(np.broadcast_to(np.asarray(lower, np.float64), (size,)))
        self._upper.append(np.broadcast_to(np.asarray(upper, np.float64), (size,)))
        self.count += size
        return first

    def add(self, row: ArrayLike, column: ArrayLike, value: ArrayLike) -> None:
        """Add entries; those at one place are summed up."""
        rows, columns, values = np.broadcast_arrays(np.asarray(row), np.asarray(column), np.asarray(value, np.float64))
        self._row.append(rows.ravel().astype(np.int64))
        self._column.append(columns.ravel().astype(np.int64))
        self._value.append(values.ravel())

    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper limits of all rows."""
        return np.concatenate(self._lower), np.concatenate(self._upper)

    def matrix(self, columns: int) -> Any:
        """All entries, as scipy's CSC matrix [rows, columns]."""
        from scipy.sparse import coo_matrix

        entries = (np.concatenate(self._value), (np.concatenate(self._row), np.concatenate(self._column)))
        return coo_matrix(entries, shape=(self.count, columns)).tocsc()


@dataclass(frozen=True)
class Solution:
    """What the solver came to.

    Attributes:
        value: objective of `x`.
        bound: no feasible point has a larger objective, up to the solver's tolerance.
        x: float64 [columns].
        duals: float64 [rows], by how much the objective would grow with each row's limit; empty for integer programs.
    """

    value: float
    bound: float
    x: NDArray[np.float64]
    duals: NDArray[np.float64]


class NoSolutionError(RuntimeError):
    """The solver stopped without a feasible point."""


def maximise(
    objective: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    rows: Rows,
    integer: NDArray[np.bool_] | None = None,
    method: str = "choose",
    seconds: float = FREE,
    gap: float = 1e-4,
) -> Solution:
    """Maximise objective . x over lower <= x <= upper within the rows' limits.

    Args:
        integer: bool [columns], which of x are whole numbers; None: none.
        method: of linear programs: "simplex", "ipm" or "choose".
        seconds: of wall time for an integer program, after which the best point so far counts.
        gap: relative, at which an integer program ends.

    Raises:
        NoSolutionError: there is no feasible point, or none was found in time.
        MissingExtraError: HiGHS is not installed.
    """
    highspy = load_highs()
    matrix = rows.matrix(len(objective))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(objective), rows.count
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_, program.col_lower_, program.col_upper_ = objective, lower, upper
    program.row_lower_, program.row_upper_ = rows.limits()
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
    program.a_matrix_.value_ = matrix.data
    if integer is not None:
        kinds = np.where(integer, int(highspy.HighsVarType.kInteger), int(highspy.HighsVarType.kContinuous))
        program.integrality_ = [highspy.HighsVarType(kind) for kind in kinds.tolist()]
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("solver", method)
    solver.setOptionValue("mip_rel_gap", gap)
    if integer is not None:
        solver.setOptionValue("time_limit", seconds)
    solver.passModel(program)
    solver.run()
    info, point = solver.getInfo(), solver.getSolution()
    if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
        raise NoSolutionError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
    bound = info.objective_function_value if integer is None else info.mip_dual_bound
    duals = np.zeros(0) if integer is not None else np.array(point.row_dual)
    return Solution(info.objective_function_value, bound, np.array(point.col_value), duals)


def load_highs() -> Any:
    """The solver.

    Raises:
        MissingExtraError: it is not installed.
    """
    with optional("planning flows", "exact", "highspy"):
        import highspy
    return highspy
