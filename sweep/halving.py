"""Successive halving: many settings get a little, the best of them more, and fewer ever more.

Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016, and, with
a factor eta instead of two, Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, "Hyperband: A Novel Bandit-Based Approach
to Hyperparameter Optimization", JMLR 18(185), 2018. Synchronous: a rung is decided when all of it are there, so that
who goes on does not depend on how many processes train (the asynchronous rule, ASHA, of Li et al., "A System for
Massively Parallel Hyperparameter Tuning", MLSys 2020, keeps more processes busy and promotes some by chance).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

_SLACK = 1e-9  # budgets are quotients: 9 / 3 / 3 should be no less than 1

Sense = Literal["min", "max"]


def budgets(first: float, last: float, eta: float) -> list[float]:
    """Budgets of the rungs, growing: last, last / eta, last / eta^2, ... as far as they are not below first.

    Whole where `last` is whole.
    """
    found = [last]
    while (smaller := last / eta ** len(found)) >= first * (1.0 - _SLACK):
        found.append(round(smaller) if isinstance(last, int) else smaller)
    return found[::-1]


def survivors(entrants: int, eta: float) -> int:
    """How many of a rung go on: a share 1 / eta, rounded down, but one at least."""
    return max(1, int(entrants / eta * (1.0 + _SLACK)))


def promoted(values: Mapping[int, float], entrants: int, eta: float, sense: Sense) -> list[int]:
    """Who goes on to the next rung: the best, ties by number. Fewer than `survivors` where more have failed.

    Args:
        values: mean objective of each trial of the rung that did not fail, by its number.
        entrants: trials of the rung, those that failed among them.
        eta: the share that goes on is 1 / eta.
        sense: "min" where small values are good, "max" where large ones are.
    """
    sign = 1.0 if sense == "min" else -1.0
    best = sorted(values, key=lambda number: (sign * values[number], number))
    return sorted(best[: survivors(entrants, eta)])


def sizes(trials: int, rungs: int, eta: float) -> list[int]:
    """How many trials each rung has where none fails."""
    found = [trials]
    while len(found) < rungs:
        found.append(survivors(found[-1], eta))
    return found
