"""Means, their bootstrap intervals and paired comparisons, where worlds lie within instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 4000
LEVEL = 0.95
_SEED = 20240229
_FEWEST = 2
_BLOCK = 4_000_000  # weights held at once


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        mean: over the cases that have a value; None where none has.
        low, high: ends of the bootstrap interval; None where there is only one case.
        count: cases that have a value.
    """

    mean: float | None
    low: float | None
    high: float | None
    count: int

    def to_dict(self) -> dict[str, float | int | None]:
        """As JSON."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "count": self.count}

    def times(self, factor: float) -> Estimate:
        """The same in another unit; the factor is above 0."""
        mean, low, high = (None if one is None else one * factor for one in (self.mean, self.low, self.high))
        return Estimate(mean, low, high, self.count)


class Bootstrap:
    """Hierarchical percentile bootstrap over cases that are grouped by instance.

    Each resample draws as many instances as there are, with replacement, and for each drawn instance as many of its
    worlds as it has, with replacement (Davison & Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8,
    strategy 2: two stages with replacement). The same resamples serve every quantity, so that intervals of paired
    comparisons are paired as well. With one world per instance this is Efron's bootstrap over instances; with one
    instance it speaks of that instance's worlds only.

    Args:
        groups: for each case which instance it belongs to (any hashable).
        resamples: how many.
        level: coverage of the interval, 0.95 for 95 %.
        seed: of the resampling, fixed so that the same results give the same table.
        stratum: bootstraps of different numbers are independent of each other.
    """

    def __init__(
        self,
        groups: Sequence[object],
        resamples: int = RESAMPLES,
        level: float = LEVEL,
        seed: int = _SEED,
        stratum: int = 0,
    ) -> None:
        self.size = len(groups)
        self.resamples = resamples
        self._level = level
        self._seed = (seed, stratum) if stratum else seed
        members: dict[object, list[int]] = {}
        for case, group in enumerate(groups):
            members.setdefault(group, []).append(case)
        self._members = [np.array(cases, dtype=np.int64) for cases in members.values()]

    def estimates(self, values: Mapping[str, ArrayLike]) -> dict[str, Estimate]:
        """Mean and interval of several quantities.

        Args:
            values: per quantity float [cases]; NaN where a case has no value, which counts as not there.
        """
        if not values:
            return {}
        table = np.stack([np.asarray(column, dtype=np.float64) for column in values.values()], axis=1)
        present = np.isfinite(table)
        filled = np.where(present, table, 0.0)
        counts = present.sum(axis=0)
        means = filled.sum(axis=0) / np.maximum(counts, 1)
        resampled = np.concatenate([_ratio(weights @ filled, weights @ present) for weights in self.weights()])
        found = {}
        for column, name in enumerate(values):
            count = int(counts[column])
            low = high = None
            if count >= _FEWEST:
                low, high = percentile_interval(resampled[:, column], self._level)
            found[name] = Estimate(float(means[column]) if count else None, low, high, count)
        return found

    def estimate(self, values: ArrayLike) -> Estimate:
        """Mean and interval of one quantity, float [cases]."""
        return self.estimates({"": values})[""]

    def weights(self) -> Iterator[NDArray[np.float64]]:
        """How often each resample holds each case: float [some resamples, cases], the same at every call."""
        random = np.random.default_rng(self._seed)
        number = len(self._members)
        step = max(1, _BLOCK // max(self.size, 1))
        for first in range(0, self.resamples, step):
            rows = min(step, self.resamples - first)
            weights = np.zeros((rows, self.size))
            drawn = random.multinomial(number, np.full(number, 1 / number), size=rows)
            for cases, columns in self._by_size:
                count = cases.shape[1]
                totals = drawn[:, columns] * count
                weights[:, cases] = random.multinomial(totals, np.full(count, 1 / count))
            yield weights

    @cached_property
    def _by_size(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Instances with equally many worlds together: their cases [instances, worlds], and which they are."""
        sizes = np.array([len(cases) for cases in self._members])
        return [
            (np.stack([self._members[i] for i in np.flatnonzero(sizes == size)]), np.flatnonzero(sizes == size))
            for size in np.unique(sizes)
        ]


def percentile_interval(resampled: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """Ends of the percentile interval of a quantity.

    Args:
        resampled: float [resamples]; NaN where a resample holds none of the cases that have a value: it says nothing.
        level: coverage, 0.95 for 95 %.
    """
    low, high = np.quantile(resampled[np.isfinite(resampled)], ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def _ratio(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def relative(values: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """value / reference - 1 for each case: -0.1 where a value is 10 % below its reference.

    NaN where the reference is not above 0: of a loss there is no share.
    """
    ours, theirs = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    return np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1.0) - 1, np.nan)


def wins(values: ArrayLike, reference: ArrayLike, sense: str) -> NDArray[np.float64]:
    """For each case 1 where a value is better than its reference, 0.5 at a tie, 0 where it is worse.

    Args:
        sense: "min" where small values are good, "max" where large ones are.
    """
    difference = np.asarray(reference, dtype=np.float64) - np.asarray(values, dtype=np.float64)
    return 0.5 + 0.5 * np.sign(difference if sense == "min" else -difference)


def full(value: float) -> str:
    """A number in full: whole ones to the last digit, others to six, with commas where they are long."""
    comma = "," if abs(value) >= 10_000 else ""
    if float(value).is_integer():
        return f"{int(value):{comma}}"
    return f"{value:{comma}.2f}" if comma else f"{value:.6g}"


def gap(objective: float, best_known: float | None, bound: float | None, sense: str) -> float | None:
    """How much worse an objective is than the best known one, else than the bound, as a fraction; None without both.

    Negative where it is better than the best known. A target of 0 gives 0 where it is met, else None.

    Args:
        sense: "min" or "max".
    """
    target = bound if best_known is None else best_known
    if target is None:
        return None
    worse = objective - target if sense == "min" else target - objective
    if target == 0:
        return 0.0 if worse == 0 else None
    return worse / abs(target)
