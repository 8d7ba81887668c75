"""Agents over several environments at once: normalised scores and what the field makes of them.

After Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep reinforcement learning at the edge of the statistical
precipice", NeurIPS 2021 (arXiv 2108.13264): interquartile mean, mean, median, optimality gap, performance profiles and
probability of improvement, with intervals from a bootstrap that is stratified by task. Here a *task* is an environment
under its options, and a *run* is a world. Two things differ. Tasks may have different numbers of worlds, so each task
has the same weight in all, shared equally by its worlds; with equal numbers this is the paper's. And worlds of one
instance are alike, so within a task instances are drawn first, then worlds within them; with one world for each
instance this is the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .statistics import LEVEL, RESAMPLES, Bootstrap, Estimate, percentile_interval

Floats = NDArray[np.float64]

TRIMMED = 0.25
"""Share that the interquartile mean leaves out at either end."""

_FEWEST = 2


# --- normalised scores ------------------------------------------------------------------------------------------------


def normalised(objectives: ArrayLike, zeros: ArrayLike, targets: ArrayLike, groups: Sequence[object]) -> Floats:
    """Score of each world: 1 reaches the world's target, 0 is as good as the baseline; float [worlds].

    1 less the world's distance to its target, over the mean distance from baseline to target in the world's instance:
    single worlds have distances near 0 that would blow up what chance has done. So the mean score of an instance is
    (mean objective - mean baseline) / (mean target - mean baseline), whatever the sense of the objective; no score is
    above 1 where nobody is better than the target; and the baseline's scores are 0 on the mean of each instance.
    NaN in the worlds of an instance in which baseline and target are equally good: nothing can be told there.

    Args:
        objectives: of the agent, float [worlds].
        zeros: of the baseline in the same worlds.
        targets: the best known objective or a bound in the same worlds; NaN where there is none.
        groups: the instance of each world.
    """
    objective, zero, target = (np.asarray(values, dtype=np.float64) for values in (objectives, zeros, targets))
    names: dict[object, int] = {}
    index = np.array([names.setdefault(group, len(names)) for group in groups], dtype=np.int64)
    counts = np.bincount(index, minlength=len(names))
    room = (np.bincount(index, target - zero, minlength=len(names)) / counts)[index]
    return np.where(room != 0, 1 - (target - objective) / np.where(room == 0, 1.0, room), np.nan)


@dataclass(frozen=True)
class Task:
    """What agents scored in the worlds of one environment.

    Attributes:
        name: of the environment, for people.
        groups: the instance of each world.
        scores: for each agent float [worlds], finite. All agents met the same worlds.

    Raises:
        ValueError: there is no world, or the scores of an agent are not as many or not finite.
    """

    name: str
    groups: tuple[object, ...]
    scores: Mapping[str, ArrayLike]

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError(f"task {self.name!r} has no worlds, expected at least one")
        for agent, scores in self.scores.items():
            if np.shape(scores) != (len(self.groups),) or not np.isfinite(scores).all():
                expected = f"expected {len(self.groups)} finite numbers"
                raise ValueError(f"task {self.name!r}: scores of {agent!r} are {scores!r}, {expected}")


# --- aggregates of weighted scores ------------------------------------------------------------------------------------


def interquartile_mean(scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of the middle half of the scores.

    With weights, or where the number of scores is no multiple of four, those at the quartiles count in part. With equal
    weights and a multiple of four it is ``scipy.stats.trim_mean(scores, 0.25)``, as in the paper.

    Args:
        scores: float [n].
        weights: float [n], not negative; default equal.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    given = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    order = np.argsort(values, kind="stable")
    return float(_trimmed(values[order], given[None, order] / given.sum())[0])


def optimality_gap(scores: ArrayLike, threshold: float = 1.0) -> float:
    """By how much scores fall short of a threshold in the mean; what lies above it counts as reaching it."""
    return float(np.mean(_shortfall(np.asarray(scores, dtype=np.float64), threshold)))


def probability_of_improvement(scores: ArrayLike, others: ArrayLike) -> float:
    """Probability that a random score is better than a random one of another agent, ties counting half.

    The Mann-Whitney statistic over the number of pairs, in one task (the paper's equation 2).

    Args:
        scores: float [n].
        others: float [k].
    """
    return float(np.mean(_better(np.asarray(scores, dtype=np.float64), np.asarray(others, dtype=np.float64))))


def _trimmed(values: Floats, weights: Floats) -> Floats:
    """Interquartile means: values ascending [n], weights [rows, n] that add to 1 -> [rows]."""
    reached = np.cumsum(weights, axis=1).clip(TRIMMED, 1 - TRIMMED)
    kept = np.diff(reached, axis=1, prepend=TRIMMED)
    return kept @ values / (1 - 2 * TRIMMED)


def _shortfall(scores: Floats, threshold: float) -> Floats:
    return threshold - np.minimum(scores, threshold)


def _better(ours: Floats, theirs: Floats) -> Floats:
    """1 where ours[i] is better than theirs[j], 0.5 where they are equal, 0 elsewhere."""
    return 0.5 + 0.5 * np.sign(ours[:, None] - theirs[None, :])


# --- over tasks, with intervals ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What an agent comes to over tasks.

    Attributes:
        agent: its name.
        tasks: names of the tasks that it plays and that its numbers are of.
        interquartile_mean: of its scores.
        mean: of its scores.
        median: over tasks of its mean scores.
        optimality_gap: mean shortfall below a score of 1.
    """

    agent: str
    tasks: tuple[str, ...]
    interquartile_mean: Estimate
    mean: Estimate
    median: Estimate
    optimality_gap: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = ("interquartile_mean", "mean", "median", "optimality_gap")
        numbers = {name: getattr(self, name).to_dict() for name in names}
        return {"agent": self.agent, "tasks": list(self.tasks), **numbers}


@dataclass(frozen=True)
class Profile:
    """Share of worlds in which an agent scores above each threshold, each task having the same weight.

    Attributes:
        agent: its name.
        thresholds: float [n], ascending.
        shares: float [n].
        lows, highs: ends of the pointwise intervals, float [n]; None where a task has one world alone.
    """

    agent: str
    thresholds: Floats
    shares: Floats
    lows: Floats | None
    highs: Floats | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        columns = {name: getattr(self, name) for name in ("thresholds", "shares", "lows", "highs")}
        return {
            "agent": self.agent,
            **{name: None if column is None else column.tolist() for name, column in columns.items()},
        }


class Aggregate:
    """Agents over tasks.

    An agent's numbers are over the tasks that it plays, and comparisons of two over those that both play. The same
    draws serve every quantity and agent, so that intervals of comparisons are paired. Where a task has one world, there
    are no intervals.

    Args:
        tasks: with the scores of the agents that play them.
        resamples: of the bootstrap.
        level: coverage of intervals, 0.95 for 95 %.

    Raises:
        ValueError: two tasks have the same name.
    """

    def __init__(self, tasks: Sequence[Task], resamples: int = RESAMPLES, level: float = LEVEL) -> None:
        if len({task.name for task in tasks}) != len(tasks):
            raise ValueError(f"tasks are called {[task.name for task in tasks]}, expected different names")
        self.tasks = tuple(tasks)
        self._resamples, self._level = resamples, level

    @property
    def agents(self) -> list[str]:
        """All agents, in the order in which tasks name them."""
        return list(dict.fromkeys(agent for task in self.tasks for agent in task.scores))

    def summary(self, agent: str) -> Summary:
        """An agent's aggregates.

        Raises:
            KeyError: no task knows the agent.
        """
        numbers = self._played(agent)
        scores, weights, drawn = self._pooled(agent, numbers)
        order = np.argsort(scores, kind="stable")
        short = _shortfall(scores, 1.0)
        ours, theirs = self._task_means(agent, numbers)
        return Summary(
            agent,
            tuple(self.tasks[number].name for number in numbers),
            self._estimate(numbers, *(_trimmed(scores[order], table[:, order]) for table in (weights, drawn))),
            self._estimate(numbers, weights @ scores, drawn @ scores),
            self._estimate(numbers, np.median(ours, axis=1), np.median(theirs, axis=1)),
            self._estimate(numbers, weights @ short, drawn @ short),
        )

    def profile(self, agent: str, thresholds: ArrayLike) -> Profile:
        """An agent's performance profile.

        Args:
            agent: who.
            thresholds: ascending scores, float [n].

        Raises:
            KeyError: no task knows the agent.
        """
        numbers = self._played(agent)
        scores, weights, drawn = self._pooled(agent, numbers)
        levels = np.asarray(thresholds, dtype=np.float64)
        above = (scores[:, None] > levels[None, :]).astype(np.float64)
        lows = highs = None
        if self._has_intervals(numbers):
            lows, highs = np.quantile(drawn @ above, ((1 - self._level) / 2, (1 + self._level) / 2), axis=0)
        return Profile(agent, levels, (weights @ above)[0], lows, highs)

    def improvement(self, agent: str, other: str) -> Estimate:
        """Probability that an agent scores better than another in a task, averaged over the tasks that both play.

        Raises:
            KeyError: they have no task in common.
        """
        numbers = [n for n in range(len(self.tasks)) if {agent, other} <= set(self.tasks[n].scores)]
        if not numbers:
            raise KeyError(f"{agent!r} and {other!r} have no task in common")
        means, drawn = np.zeros(1), np.zeros(self._resamples)
        for number in numbers:
            task = self.tasks[number]
            better = _better(*(np.asarray(task.scores[who], dtype=np.float64) for who in (agent, other)))
            weights = self._draws[number]
            means += better.mean()
            drawn += np.einsum("ri,ri->r", weights @ better, weights)
        return self._estimate(numbers, means / len(numbers), drawn / len(numbers))

    def _played(self, agent: str) -> list[int]:
        numbers = [number for number, task in enumerate(self.tasks) if agent in task.scores]
        if not numbers:
            raise KeyError(f"no task knows the agent {agent!r}")
        return numbers

    @cached_property
    def _draws(self) -> list[Floats]:
        """Weight of each world in each resample of its task, float [resamples, worlds]; a row adds to 1."""
        draws = []
        for number, task in enumerate(self.tasks):
            bootstrap = Bootstrap(task.groups, self._resamples, stratum=number + 1)
            draws.append(np.concatenate(list(bootstrap.weights())))
        return [weights / weights.sum(axis=1, keepdims=True) for weights in draws]

    def _pooled(self, agent: str, numbers: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Scores in all tasks [n], their weights [1, n], and their weights in each resample [resamples, n]."""
        scores = [np.asarray(self.tasks[number].scores[agent], dtype=np.float64) for number in numbers]
        equal = [np.full(len(values), 1 / (len(values) * len(numbers))) for values in scores]
        drawn = [self._draws[number] / len(numbers) for number in numbers]
        return np.concatenate(scores), np.concatenate(equal)[None, :], np.concatenate(drawn, axis=1)

    def _task_means(self, agent: str, numbers: Sequence[int]) -> tuple[Floats, Floats]:
        """Mean score in each task [1, tasks], and in each resample [resamples, tasks]."""
        scores = [np.asarray(self.tasks[number].scores[agent], dtype=np.float64) for number in numbers]
        drawn = [self._draws[number] @ values for number, values in zip(numbers, scores, strict=True)]
        return np.array([[values.mean() for values in scores]]), np.stack(drawn, axis=1)

    def _has_intervals(self, numbers: Sequence[int]) -> bool:
        return min(len(self.tasks[number].groups) for number in numbers) >= _FEWEST

    def _estimate(self, numbers: Sequence[int], value: Floats, drawn: Floats) -> Estimate:
        low = high = None
        if self._has_intervals(numbers):
            low, high = percentile_interval(drawn, self._level)
        return Estimate(float(value[0]), low, high, sum(len(self.tasks[number].groups) for number in numbers))
