"""Aggregates over environments against published examples, scipy, and a bootstrap written out."""

import numpy as np
import pytest
from makespan.eval.aggregate import (
    Aggregate,
    Task,
    interquartile_mean,
    normalised,
    optimality_gap,
    probability_of_improvement,
)
from makespan.eval.statistics import RESAMPLES
from scipy.stats import mannwhitneyu, trim_mean


def task(name, scores, groups=None):
    columns = {agent: np.asarray(values, dtype=float) for agent, values in scores.items()}
    return Task(name, tuple(groups or range(len(next(iter(columns.values()))))), columns)


@pytest.fixture
def uneven():
    """Two tasks of 8 and 40 worlds, on which two agents differ."""
    random = np.random.default_rng(11)
    return [
        task("small", {"a": random.normal(0.8, 0.3, 8), "b": random.normal(0.5, 0.3, 8)}),
        task("large", {"a": random.normal(0.4, 0.2, 40), "b": random.normal(0.5, 0.2, 40)}),
    ]


# --- published examples -----------------------------------------------------------------------------------------------


def test_the_interquartile_mean_of_the_textbook_example():
    """Wikipedia, "Interquartile mean": twelve numbers, and nine of which two count in part."""
    assert interquartile_mean([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6]) == pytest.approx(6.5)
    assert interquartile_mean([1, 3, 5, 7, 9, 11, 13, 15, 17]) == pytest.approx(9.0)


def test_the_probability_of_improvement_of_tortoises_over_hares():
    """Wikipedia, "Mann-Whitney U test": the race T H H H H H T T T T T H, where U is 11 of 36 for tortoises."""
    places = {animal: [-place for place, who in enumerate("THHHHHTTTTTH") if who == animal] for animal in "TH"}
    assert probability_of_improvement(places["T"], places["H"]) == pytest.approx(11 / 36)
    assert probability_of_improvement(places["H"], places["T"]) == pytest.approx(25 / 36)


def test_the_optimality_gap_counts_nothing_above_the_threshold():
    assert optimality_gap([0.5, 1.0, 3.0]) == pytest.approx(0.5 / 3)
    assert optimality_gap([0.5, 1.0, 3.0], threshold=2.0) == pytest.approx((1.5 + 1.0) / 3)


# --- against scipy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 20, 400])
def test_the_interquartile_mean_is_scipys_trimmed_mean(size):
    scores = np.random.default_rng(size).exponential(size=size)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25))


def test_a_weight_is_as_good_as_so_many_scores():
    random = np.random.default_rng(2)
    scores, weights = random.normal(size=17), random.integers(0, 5, 17)
    repeated = np.repeat(scores, 4 * weights)
    assert interquartile_mean(scores, weights) == pytest.approx(trim_mean(repeated, 0.25))


def test_the_probability_of_improvement_is_mann_whitneys_statistic():
    random = np.random.default_rng(3)
    ours, theirs = random.integers(0, 9, 30), random.integers(2, 11, 20)
    expected = mannwhitneyu(ours, theirs).statistic / (30 * 20)
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)


# --- over tasks -------------------------------------------------------------------------------------------------------


def test_with_equally_many_worlds_aggregates_are_those_of_the_pooled_scores():
    """As in the paper, whose scores are an array [tasks, runs]."""
    scores = np.random.default_rng(4).normal(0.5, 0.4, (6, 10))
    summary = Aggregate([task(f"t{m}", {"a": row}) for m, row in enumerate(scores)]).summary("a")
    assert summary.interquartile_mean.mean == pytest.approx(trim_mean(scores.ravel(), 0.25))
    assert summary.mean.mean == pytest.approx(scores.mean())
    assert summary.median.mean == pytest.approx(np.median(scores.mean(axis=1)))
    assert summary.optimality_gap.mean == pytest.approx(1 - np.minimum(scores, 1).mean())
    assert summary.mean.count == 60


def test_each_task_has_the_same_weight_however_many_worlds_it_has(uneven):
    small, large = (each.scores["a"] for each in uneven)
    summary = Aggregate(uneven).summary("a")
    assert summary.mean.mean == pytest.approx((small.mean() + large.mean()) / 2)
    pooled = np.concatenate([np.repeat(small, 40), np.repeat(large, 8)])
    assert summary.interquartile_mean.mean == pytest.approx(trim_mean(pooled, 0.25))
    improvement = Aggregate(uneven).improvement("a", "b")
    each = [probability_of_improvement(one.scores["a"], one.scores["b"]) for one in uneven]
    assert improvement.mean == pytest.approx(np.mean(each))


def test_intervals_are_those_of_a_stratified_bootstrap_written_out(uneven):
    """Worlds drawn with replacement within each task, every statistic computed from the drawn scores themselves."""
    random = np.random.default_rng(5)
    drawn = {"iqm": [], "mean": [], "median": [], "gap": [], "improvement": [], "above": []}
    for _ in range(RESAMPLES):
        chosen = [random.integers(0, len(one.groups), len(one.groups)) for one in uneven]
        ours = [one.scores["a"][picks] for one, picks in zip(uneven, chosen, strict=True)]
        theirs = [one.scores["b"][picks] for one, picks in zip(uneven, chosen, strict=True)]
        pooled = np.concatenate([np.repeat(ours[0], 5), ours[1]])
        drawn["iqm"].append(trim_mean(pooled, 0.25))
        drawn["mean"].append(pooled.mean())
        drawn["median"].append(np.median([one.mean() for one in ours]))
        drawn["gap"].append(1 - np.minimum(pooled, 1).mean())
        drawn["above"].append((pooled > 0.5).mean())
        drawn["improvement"].append(
            np.mean([(a[:, None] > b[None, :]).mean() for a, b in zip(ours, theirs, strict=True)])
        )
    expected = {name: np.quantile(values, (0.025, 0.975)) for name, values in drawn.items()}
    aggregate = Aggregate(uneven)
    summary, profile = aggregate.summary("a"), aggregate.profile("a", [0.5])
    assert profile.lows is not None
    assert profile.highs is not None
    improvement = aggregate.improvement("a", "b")
    found = {
        "iqm": (summary.interquartile_mean.low, summary.interquartile_mean.high),
        "mean": (summary.mean.low, summary.mean.high),
        "median": (summary.median.low, summary.median.high),
        "gap": (summary.optimality_gap.low, summary.optimality_gap.high),
        "above": (profile.lows[0], profile.highs[0]),
        "improvement": (improvement.low, improvement.high),
    }
    for name, interval in found.items():
        assert interval == pytest.approx(tuple(expected[name]), abs=0.015), name


def test_the_interval_of_the_mean_has_the_width_of_theory(uneven):
    """Variance of the mean over strata: a quarter of the sum of the variances of the two means."""
    summary = Aggregate(uneven, level=0.6827, resamples=40_000).summary("a")
    variance = sum(one.scores["a"].var() / len(one.groups) for one in uneven) / 4
    assert summary.mean.low is not None
    assert summary.mean.high is not None
    assert (summary.mean.high - summary.mean.low) / 2 == pytest.approx(np.sqrt(variance), rel=0.03)


def test_worlds_of_one_instance_are_no_substitute_for_instances():
    random = np.random.default_rng(6)
    scores = np.repeat(random.normal(0.5, 0.3, 5), 20)
    groups = np.repeat(np.arange(5), 20).tolist()
    grouped, alone = (Aggregate([task("t", {"a": scores}, by)]).summary("a").mean for by in (groups, None))
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)  # type: ignore[operator]


def test_a_profile_falls_from_all_worlds_to_none(uneven):
    profile = Aggregate(uneven).profile("b", np.linspace(-2, 3, 41))
    assert profile.shares[0] == pytest.approx(1.0)
    assert profile.shares[-1] == 0.0
    assert (np.diff(profile.shares) <= 1e-12).all()
    assert profile.lows is not None
    assert profile.highs is not None
    assert (profile.lows <= profile.shares + 1e-12).all()
    assert (profile.shares <= profile.highs + 1e-12).all()


def test_an_agent_counts_in_the_tasks_that_it_plays_alone(uneven):
    third = Task("third", (0, 1), {"a": [0.1, 0.2]})  # plain lists will do
    aggregate = Aggregate([*uneven, third])
    assert aggregate.summary("b").tasks == ("small", "large")
    assert aggregate.summary("a").tasks == ("small", "large", "third")
    assert aggregate.improvement("a", "b").mean == Aggregate(uneven).improvement("a", "b").mean
    assert aggregate.agents == ["a", "b"]
    with pytest.raises(KeyError, match="nobody"):
        aggregate.summary("nobody")
    with pytest.raises(KeyError, match="no task in common"):
        Aggregate([third, task("x", {"c": [1.0, 2.0]})]).improvement("a", "c")


def test_one_world_of_a_task_gives_no_interval():
    aggregate = Aggregate([task("t", {"a": [0.4]}), task("u", {"a": [0.4, 0.6]})])
    summary = aggregate.summary("a")
    assert summary.mean.mean == pytest.approx(0.45)
    assert summary.mean.low is None
    assert aggregate.profile("a", [0.5]).lows is None


def test_the_same_scores_give_the_same_numbers(uneven):
    assert Aggregate(uneven).summary("a") == Aggregate(uneven).summary("a")


def test_wrong_scores_are_refused(uneven):
    with pytest.raises(ValueError, match="'t': scores of 'a'"):
        task("t", {"a": [0.1, np.nan]})
    with pytest.raises(ValueError, match="'t': scores of 'a'"):
        task("t", {"a": [0.1, 0.2]}, groups=["only"])
    with pytest.raises(ValueError, match="no worlds"):
        task("t", {"a": []})
    with pytest.raises(ValueError, match="different names"):
        Aggregate([uneven[0], uneven[0]])


# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_score_is_1_at_the_target_and_0_at_the_mean_baseline_in_either_sense():
    groups = ["x", "x", "y"]
    zero, target = [100.0, 130.0, 50.0], [60.0, 80.0, 40.0]
    assert normalised(target, zero, target, groups).tolist() == [1.0, 1.0, 1.0]
    scores = normalised(zero, zero, target, groups)
    assert scores == pytest.approx([1 - 40 / 45, 1 - 50 / 45, 0.0])
    assert scores[:2].mean() == pytest.approx(0.0)
    negative = [[-value for value in values] for values in ([69, 98, 47], zero, target)]
    assert normalised(negative[0], negative[1], negative[2], groups) == pytest.approx([1 - 9 / 45, 1 - 18 / 45, 0.3])


def test_scores_of_an_instance_average_to_the_ratio_of_its_means():
    random = np.random.default_rng(7)
    zero, objective = random.normal(100, 10, 50), random.normal(80, 10, 50)
    target = random.normal(60, 20, 50)
    scores = normalised(objective, zero, target, ["x"] * 50)
    assert scores.mean() == pytest.approx((objective.mean() - zero.mean()) / (target.mean() - zero.mean()))


def test_where_nothing_is_to_be_gained_or_no_target_is_known_there_is_no_score():
    scores = normalised([10, 9, 7], [10, 9, 8], [10, 9, np.nan], ["x", "x", "y"])
    assert np.isnan(scores).all()
