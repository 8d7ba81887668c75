"""Feasible sets: which actions, vectors of N zeros and ones, may be played together in one epoch.

A set says whether it contains an action and names what is violated, finds the best action for given weights, draws,
lists and repairs actions, and says which element may join a partial one. A user adds one by its linear rows alone
(`LinearSet`); `capacity`, `appointments` and `walks` hold those of the paper that need more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer, require_keys, require_list
from .program import FREE, NoSolutionError, RowBuilder, Rows, Solution, solve_program

MAX_SIZE = 100_000
MOST_ENUMERATED = 16
_SMALL = 8  # elements up to which the best action is looked up in the list of all
_TOLERANCE = 1e-9

Action = NDArray[np.int8]


@dataclass(frozen=True)
class Best:
    """The best action found for given weights.

    Attributes:
        action: int8 [N].
        value: the sum of its weights.
        bound: no feasible action is worth more.
        proved: whether the action is proved to be optimal.
    """

    action: Action
    value: float
    bound: float
    proved: bool

    @property
    def gap(self) -> float:
        """By how much the bound lies above the value, at least 0."""
        return 0.0 if self.proved else max(self.bound - self.value, 0.0)


class InfeasibleActionError(UserError):
    """An action lies outside the feasible set; the message names the arm and the constraint."""


class FeasibleSet(ABC):
    """Actions a in {0, 1}^N.

    Attributes:
        kind: names the family of sets in files.
        size: N.
        budget: no action has more elements.
    """

    kind: ClassVar[str]
    down_closed: ClassVar[bool] = True
    """Whether every part of a feasible action is feasible, and so the empty one is."""

    size: int
    budget: int

    @abstractmethod
    def violations(self, action: ArrayLike) -> list[str]:
        """The constraints that an action violates, one sentence each that names arm, worker, slot or tour."""

    @abstractmethod
    def rows(self) -> Rows:
        """The set as linear rows: its actions are the first N entries of the feasible integer points."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The set as plain JSON data; `sets.read_set` reads it back."""

    def contains(self, action: ArrayLike) -> bool:
        """Whether an action is feasible."""
        return not self.violations(action)

    def check(self, action: ArrayLike) -> Action:
        """The action as int8 [N].

        Raises:
            InfeasibleActionError: it is not in the set.
        """
        wrong = self.violations(action)
        if wrong:
            raise InfeasibleActionError(f"infeasible action: {wrong[0]}")
        return np.asarray(action).astype(np.int8)

    def maximise(self, weights: ArrayLike, seconds: float = FREE) -> Action:
        """The feasible action with the largest sum of weights, see `solve`.

        Where the set is small or needs no program, ties go to the fewest elements, then to the lowest.
        """
        return self.solve(weights, seconds).action

    def solve(self, weights: ArrayLike, seconds: float = FREE) -> Best:
        """The best action for given weights, with a bound.

        Args:
            weights: float [N], finite.
            seconds: of wall time; afterwards the best action so far counts.

        Raises:
            NoSolutionError: the solver found nothing in time.
            MissingExtraError: it is not installed, and the set needs it.
        """
        worth = self.check_weights(weights)
        if self.size <= _SMALL:
            return self._look_up(worth)
        return self.solve_by_program(worth, seconds)

    @property
    def quick_to_check(self) -> bool:
        """Whether `contains` takes well below a millisecond."""
        return True

    def quick(self, weights: ArrayLike) -> Action:
        """A good action for given weights, the best one wherever that takes a moment.

        Raises:
            NoSolutionError: the solver found nothing.
        """
        return self.maximise(weights)

    def point(self, action: Action) -> NDArray[np.float64] | None:
        """An action as a point of `rows` to begin a program with; None where that saves no time."""
        return None

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """int64 [N]: elements of equal kind may stand in for each other in any action; numbered from 0."""
        return np.arange(self.size)

    def solve_by_program(self, weights: ArrayLike, seconds: float = FREE) -> Best:
        """The best action by the set's rows and the solver; what it says is rounded and then checked.

        Raises:
            NoSolutionError: it found nothing in time, or something that is not in the set.
        """
        worth = self.check_weights(weights)
        return self.verified(worth, solve_program(self.linear_rows, worth, seconds))

    def verified(self, worth: NDArray[np.float64], found: Solution) -> Best:
        """A solver's point as an action, rounded to whole numbers and then checked.

        Raises:
            NoSolutionError: it is not in the set.
        """
        action = np.rint(found.values[: self.size]).astype(np.int8)
        wrong = self.violations(action)
        if wrong:
            raise NoSolutionError(f"the solver's action is infeasible: {wrong[0]}")
        value = float(action @ worth)
        return Best(action, value, max(found.bound, value), found.proved)

    @cached_property
    def linear_rows(self) -> Rows:
        """`rows`, made once."""
        return self.rows()

    def _look_up(self, worth: NDArray[np.float64]) -> Best:
        values = self.members @ worth
        top = values.max()
        equal = np.flatnonzero(values >= top - _TOLERANCE * max(1.0, abs(top)))
        at = int(equal[np.argmin(self.members[equal].sum(axis=1))])
        return Best(self.members[at].copy(), float(values[at]), float(top), True)

    @cached_property
    def members(self) -> NDArray[np.int8]:
        """`enumerate`, made once."""
        return self.enumerate()

    def enumerate(self) -> NDArray[np.int8]:
        """All feasible actions, int8 [M, N], those with the lowest elements first.

        Raises:
            UserError: N is above 16.
        """
        if self.size > MOST_ENUMERATED:
            raise UserError(f"a set over {self.size} elements is not enumerated, at most {MOST_ENUMERATED} can be")
        found = [action for action in self._candidates() if self.contains(action)]
        # Lowest elements first: descending as binary numbers whose first digit is element 0.
        return np.array(sorted(map(tuple, found), reverse=True), dtype=np.int8).reshape(-1, self.size)

    def _candidates(self) -> Iterator[Action]:
        """Every action that may be feasible."""
        for number in range(2**self.size):
            if number.bit_count() <= self.budget:
                yield np.array([number >> j & 1 for j in range(self.size)], dtype=np.int8)

    def sample(self, rng: np.random.Generator) -> Action:
        """A random feasible action: elements join in random order while they can. It is maximal, so far stronger than
        one uniform over the set."""
        action = np.zeros(self.size, dtype=np.int8)
        for j in rng.permutation(self.size).tolist():
            if self.admits(action, j):
                action[j] = 1
        return action

    def repair(self, action: ArrayLike) -> Action:
        """The feasible action that differs in the fewest elements; of a down-closed set it is a part of the action."""
        return self.maximise(2.0 * (self.bits(action) != 0) - 1.0)

    def admits(self, action: Action, element: int) -> bool:
        """Whether an element that is not in a partial action may join it, so that it can still be completed."""
        if action[element]:
            return False
        joined = action.copy()
        joined[element] = 1
        return self.contains(joined)

    def extendable(self, action: ArrayLike) -> NDArray[np.bool_]:
        """bool [N]: which elements may join a partial action, so that it can still be completed."""
        bits = self.bits(action)
        return np.array([self.admits(bits, j) for j in range(self.size)], dtype=np.bool_)

    def may_stop(self, action: ArrayLike) -> bool:
        """Whether a partial action may be played as it is."""
        return self.contains(action)

    def bits(self, action: ArrayLike) -> Action:
        """The action as int8 [N].

        Raises:
            FieldError: it has another shape.
        """
        bits = np.asarray(action)
        if bits.shape != (self.size,):
            raise FieldError("action: shape", bits.shape, f"({self.size},)")
        return bits.astype(np.int8)

    def check_weights(self, weights: ArrayLike) -> NDArray[np.float64]:
        """The weights as float64 [N].

        Raises:
            FieldError: there is another number of them, or one is not finite.
        """
        worth = np.asarray(weights, dtype=np.float64)
        if worth.shape != (self.size,):
            raise FieldError("weights: shape", worth.shape, f"({self.size},)")
        if not np.isfinite(worth).all():
            at = int(np.argmin(np.isfinite(worth)))
            raise FieldError(f"weights[{at}]", float(worth[at]), "a finite number")
        return worth

    def shape_violations(self, action: ArrayLike) -> list[str]:
        """What is wrong with an action whatever the set: its shape or its entries."""
        given = np.asarray(action)
        if given.shape != (self.size,) or given.dtype.kind not in "biuf":
            return [f"the action has shape {given.shape} of {given.dtype}, expected ({self.size},) of 0 and 1"]
        wrong = np.flatnonzero((given != 0) & (given != 1))
        if len(wrong):
            return [f"element {wrong[0]} of the action is {given[wrong[0]]}, expected 0 or 1"]
        return []

    def basic_violations(self, action: ArrayLike) -> list[str]:
        """What is wrong with an action's shape or its number of elements."""
        wrong = self.shape_violations(action)
        if not wrong and (count := int(np.sum(action))) > self.budget:
            wrong = [f"{count} elements are chosen, the budget is {self.budget}"]
        return wrong


def chosen(action: ArrayLike) -> list[int]:
    """The elements of an action."""
    return np.flatnonzero(np.asarray(action)).tolist()


def read_size(data: Mapping[str, Any], size: int, source: str | None) -> int:
    """The budget of a set over `size` elements."""
    return require_integer("feasible.budget", data.get("budget"), 1, size, source)


class Cardinality(FeasibleSet):
    """At most `budget` elements, or exactly so many.

    Args:
        size: N.
        budget: B, from 1 to N.
        exactly: whether an action has exactly B elements (the paper's sigmoid family); no other is feasible then.

    Raises:
        FieldError: the budget admits no action.
    """

    kind = "cardinality"

    def __init__(self, size: int, budget: int, exactly: bool = False) -> None:
        self.size = require_integer("size of the feasible set", size, 1, MAX_SIZE)
        self.budget = require_integer("feasible.budget", budget, 1, self.size)
        self.exactly = bool(exactly)
        self.down_closed = not self.exactly  # pyright: ignore[reportAttributeAccessIssue]

    def violations(self, action: ArrayLike) -> list[str]:
        wrong = self.basic_violations(action)
        if not wrong and self.exactly and (count := int(np.sum(action))) != self.budget:
            wrong = [f"{count} elements are chosen, expected exactly {self.budget}"]
        return wrong

    def solve(self, weights: ArrayLike, seconds: float = FREE) -> Best:
        worth = self.check_weights(weights)
        order = np.argsort(-worth, kind="stable")[: self.budget]
        if not self.exactly:
            order = order[worth[order] > 0.0]
        action = np.zeros(self.size, dtype=np.int8)
        action[order] = 1
        value = float(action @ worth)
        return Best(action, value, value, True)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        return np.zeros(self.size, dtype=np.int64)

    def rows(self) -> Rows:
        builder = RowBuilder(self.size)
        builder.row("budget", [(j, 1.0) for j in range(self.size)], self.budget if self.exactly else -FREE, self.budget)
        return builder.build()

    def admits(self, action: Action, element: int) -> bool:
        return not action[element] and int(action.sum()) < self.budget

    def extendable(self, action: ArrayLike) -> NDArray[np.bool_]:
        bits = self.bits(action)
        return (bits == 0) & bool(bits.sum() < self.budget)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "budget": self.budget, **({"exactly": True} if self.exactly else {})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int, source: str | None = None) -> Cardinality:
        """The set of `to_dict`'s data over `size` elements."""
        require_keys("feasible", data, ("kind", "budget"), ("exactly",), source)
        exactly = data.get("exactly", False)
        if not isinstance(exactly, bool):
            raise FieldError("feasible.exactly", exactly, "true or false", source)
        return cls(size, read_size(data, size, source), exactly)


class LinearSet(FeasibleSet):
    """Actions within linear rows: lower <= A a <= upper. What a user gives to add a family.

    Args:
        matrix: float [R, N].
        upper: float [R], `inf` for none.
        lower: float [R], `-inf` for none; None: none at all.
        names: of the rows, for messages; default ``row 0``, ``row 1``, ...

    Raises:
        FieldError: the arrays do not fit, or hold NaN.
        UserError: nothing but the empty action, or nothing at all, is feasible.
    """

    kind = "linear"

    def __init__(
        self, matrix: ArrayLike, upper: ArrayLike, lower: ArrayLike | None = None, names: tuple[str, ...] | None = None
    ) -> None:
        table = np.array(matrix, dtype=np.float64)
        if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
            raise FieldError("feasible.matrix", f"an array of shape {table.shape}", "finite numbers [rows, elements]")
        count, size = table.shape
        self.size = require_integer("size of the feasible set", size, 1, MAX_SIZE)
        self.matrix = table
        self.upper = _limits("feasible.upper", upper, count)
        self.lower = np.full(count, -FREE) if lower is None else _limits("feasible.lower", lower, count)
        self.names = tuple(f"row {r}" for r in range(count)) if names is None else tuple(names)
        if len(self.names) != count:
            raise FieldError("feasible.names", self.names, f"{count} names, one for each row")
        crossed = np.flatnonzero(self.lower > self.upper)
        if len(crossed):
            r = int(crossed[0])
            raise FieldError(
                f"feasible.lower[{r}] ({self.names[r]})", self.lower[r], f"at most upper[{r}], {self.upper[r]}"
            )
        self.down_closed = bool((table >= 0).all() and (self.lower <= 0).all())  # pyright: ignore[reportAttributeAccessIssue]
        self.budget = self._most()
        if self.budget < 1:
            raise UserError(
                f"feasible set: no element fits the rows {', '.join(self.names[:4])}; no action is possible"
            )

    def _most(self) -> int:
        """How many elements an action may have at most."""
        if self.down_closed:
            fits = (self.matrix <= self.upper[:, None] + _TOLERANCE).all(axis=0)
            most = int(fits.sum())
            for row, limit in zip(self.matrix, self.upper, strict=True):
                sums = np.cumsum(np.sort(row[fits]))
                most = min(most, int((sums <= limit + _TOLERANCE).sum()))
            return most
        self.budget = self.size
        try:
            return int(self.solve_by_program(np.ones(self.size)).action.sum())
        except NoSolutionError:
            raise UserError(
                f"feasible set: the rows {', '.join(self.names[:4])} contradict each other; no action is possible"
            ) from None

    def violations(self, action: ArrayLike) -> list[str]:
        given = np.asarray(action)
        if wrong := self.shape_violations(given):
            return wrong
        sums = self.matrix @ given
        for r in np.flatnonzero((sums > self.upper + _TOLERANCE) | (sums < self.lower - _TOLERANCE)).tolist():
            limit = f"at most {self.upper[r]:g}" if sums[r] > self.upper[r] else f"at least {self.lower[r]:g}"
            arms = [j for j in chosen(given) if self.matrix[r, j]]
            wrong.append(f"{self.names[r]} is {sums[r]:g} by the elements {arms}, expected {limit}")
        return wrong

    def rows(self) -> Rows:
        builder = RowBuilder(self.size)
        for r, name in enumerate(self.names):
            entries = [(j, float(self.matrix[r, j])) for j in np.flatnonzero(self.matrix[r]).tolist()]
            builder.row(name, entries, float(self.lower[r]), float(self.upper[r]))
        return builder.build()

    def admits(self, action: Action, element: int) -> bool:
        if self.down_closed:
            return super().admits(action, element)
        if action[element]:
            return False
        joined = action.copy()
        joined[element] = 1
        return self._completes(joined)

    def _completes(self, partial: Action) -> bool:
        """Whether some feasible action holds all of a partial one."""
        if self.size <= MOST_ENUMERATED:
            return bool((self.members >= partial).all(axis=1).any())
        worth = self.size * partial.astype(np.float64)
        try:
            return bool((self.solve_by_program(worth).action >= partial).all())
        except NoSolutionError:
            return False

    def sample(self, rng: np.random.Generator) -> Action:
        if self.down_closed:
            return super().sample(rng)
        return self.maximise(rng.standard_normal(self.size))  # of actions that no growing reaches: a random direction's

    def to_dict(self) -> dict[str, Any]:
        def limits(values: NDArray[np.float64]) -> list[float | None]:
            return [value if np.isfinite(value) else None for value in values.tolist()]

        return {
            "kind": self.kind,
            "matrix": self.matrix.tolist(),
            "upper": limits(self.upper),
            "lower": limits(self.lower),
            "names": list(self.names),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int, source: str | None = None) -> LinearSet:
        """The set of `to_dict`'s data over `size` elements."""
        require_keys("feasible", data, ("kind", "matrix", "upper"), ("lower", "names"), source)
        table = require_list("feasible.matrix", data["matrix"], source)
        for r, row in enumerate(table):
            if not isinstance(row, list) or len(row) != size:
                raise FieldError(f"feasible.matrix[{r}]", row, f"a list of {size} numbers", source)
        names = tuple(map(str, require_list("feasible.names", data["names"], source))) if "names" in data else None
        upper = _read_limits("feasible.upper", data["upper"], FREE, source)
        lower = _read_limits("feasible.lower", data["lower"], -FREE, source) if "lower" in data else None
        try:
            return cls(table, upper, lower, names)
        except (TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise FieldError("feasible.matrix", table, "rows of numbers", source) from None


def _limits(field: str, value: ArrayLike, count: int) -> NDArray[np.float64]:
    limits = np.array(value, dtype=np.float64)
    if limits.shape != (count,) or np.isnan(limits).any():
        raise FieldError(field, value, f"{count} numbers, one for each row of the matrix")
    return limits


def _read_limits(field: str, value: Any, free: float, source: str | None) -> list[float]:
    limits = []
    for r, one in enumerate(require_list(field, value, source)):
        if one is not None and (isinstance(one, bool) or not isinstance(one, int | float)):
            raise FieldError(f"{field}[{r}]", one, "a number, or null for none", source)
        limits.append(free if one is None else float(one))
    return limits
