"""Intervals against published and exact values, and how often they hold the truth."""

import itertools

import numpy as np
import pytest
from makespan.eval.statistics import Bootstrap, gap, relative, wins

# Treatment group of the mouse data of Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), table 2.1.
MICE = np.array([94, 197, 16, 38, 99, 141, 23], dtype=float)


def exact_quantiles(values, tails):
    """Quantiles of the mean over all resamples of a small sample, each enumerated."""
    means = np.array([np.mean(chosen) for chosen in itertools.product(values, repeat=len(values))])
    return np.quantile(means, tails)


def test_the_mouse_data_have_the_published_mean_and_spread():
    estimate = Bootstrap(range(7), resamples=40_000, level=0.6827).estimate(MICE)
    assert estimate.mean == pytest.approx(86.86, abs=0.005)
    assert estimate.low is not None
    assert estimate.high is not None
    # Ideal bootstrap estimate of the standard error: 23.36 (table 2.2); half the central 68.27 % is close to it.
    assert (estimate.high - estimate.low) / 2 == pytest.approx(23.36, rel=0.03)


def test_with_one_world_per_instance_it_is_the_exact_bootstrap():
    low, high = exact_quantiles(MICE[:6], (0.05, 0.95))
    estimate = Bootstrap(range(6), resamples=60_000, level=0.9).estimate(MICE[:6])
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=0.02)


def test_with_one_instance_it_is_the_exact_bootstrap_over_its_worlds():
    low, high = exact_quantiles(MICE[:6], (0.05, 0.95))
    estimate = Bootstrap(["la01"] * 6, resamples=60_000, level=0.9).estimate(MICE[:6])
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=0.02)


def test_two_stages_have_the_variance_of_theory():
    """Davison & Hinkley (1997), section 3.8: between the a group means, plus within a group over its b members."""
    random = np.random.default_rng(5)
    table = random.normal(0, 1, (12, 1)) + random.normal(0, 2, (12, 5))
    groups = np.repeat(np.arange(12), 5)
    means = table.mean(axis=1)
    between = ((means - means.mean()) ** 2).mean() / 12
    within = ((table - means[:, None]) ** 2).mean() / 60
    level = 0.6827
    estimate = Bootstrap(groups.tolist(), resamples=60_000, level=level).estimate(table.ravel())
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.high - estimate.low) / 2 == pytest.approx(np.sqrt(between + within), rel=0.03)


def test_worlds_of_one_instance_are_no_substitute_for_instances():
    """Twenty worlds of each of five instances that differ much: the interval is that of five instances."""
    random = np.random.default_rng(3)
    level = random.normal(0, 1, 5)
    values = (level[:, None] + random.normal(0, 0.01, (5, 20))).ravel()
    grouped = Bootstrap(np.repeat(np.arange(5), 20).tolist()).estimate(values)
    instances = Bootstrap(range(5)).estimate(level)
    naive = Bootstrap(range(100)).estimate(values)
    width = [x.high - x.low for x in (grouped, instances, naive) if x.low is not None and x.high is not None]
    assert width[0] == pytest.approx(width[1], rel=0.03)
    assert width[2] < 0.5 * width[0]


@pytest.mark.parametrize("instances, worlds", [(30, 1), (30, 4)])
def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(instances, worlds):
    random = np.random.default_rng(11)
    groups = np.repeat(np.arange(instances), worlds).tolist()
    bootstrap = Bootstrap(groups, resamples=500)
    trials = 400
    tables = random.exponential(1.0, (trials, instances, 1)) + random.normal(0, 1, (trials, instances, worlds))
    found = bootstrap.estimates({str(i): table.ravel() for i, table in enumerate(tables)})
    covered = np.mean([e.low <= 1.0 <= e.high for e in found.values() if e.low is not None and e.high is not None])
    # Two standard errors of 400 trials are 0.022; the percentile bootstrap of 30 skew values falls short by about 0.02.
    assert 0.90 <= covered <= 0.985


def test_cases_without_a_value_do_not_count():
    groups = ["a", "a", "b", "c"]
    values = [1.0, np.nan, 3.0, np.nan]
    estimate = Bootstrap(groups).estimate(values)
    assert (estimate.mean, estimate.count) == (2.0, 2)
    assert estimate.low == 1.0
    assert estimate.high == 3.0
    nothing = Bootstrap(groups).estimate([np.nan] * 4)
    assert (nothing.mean, nothing.low, nothing.high, nothing.count) == (None, None, None, 0)


def test_one_case_has_no_interval():
    estimate = Bootstrap(["a"]).estimate([5.0])
    assert (estimate.mean, estimate.low, estimate.high) == (5.0, None, None)


def test_ragged_groups_weigh_as_their_cases():
    estimate = Bootstrap(["a", "a", "a", "b"], resamples=20_000).estimate([0.0, 0.0, 0.0, 1.0])
    assert estimate.mean == 0.25
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_the_same_results_give_the_same_interval_whatever_stands_beside_them():
    random = np.random.default_rng(0)
    values = random.normal(size=50)
    groups = np.repeat(np.arange(10), 5).tolist()
    alone = Bootstrap(groups).estimate(values)
    beside = Bootstrap(groups).estimates({"other": values**2, "this": values})["this"]
    assert (alone.low, alone.high) == pytest.approx((beside.low, beside.high), rel=1e-12)


def test_many_cases_are_resampled_in_blocks():
    values = np.arange(20_000) % 7
    estimate = Bootstrap(range(20_000), resamples=300).estimate(values)
    assert estimate.low is not None
    assert estimate.high is not None
    # Standard error of the mean: 2 / sqrt(20000) = 0.0141.
    assert (estimate.high - estimate.low) / 4 == pytest.approx(0.0141, rel=0.15)


def test_relative_is_the_mean_of_ratios():
    assert relative([90, 110], [100, 100]).tolist() == pytest.approx([-0.1, 0.1])
    assert np.isnan(relative([1.0, 1.0], [0.0, -2.0])).all()
    assert relative([-1.0], [2.0])[0] == -1.5


@pytest.mark.parametrize("sense, expected", [("min", [1.0, 0.5, 0.0]), ("max", [0.0, 0.5, 1.0])])
def test_wins_halve_ties(sense, expected):
    assert wins([1, 2, 3], [2, 2, 2], sense).tolist() == expected


@pytest.mark.parametrize(
    "objective, best_known, bound, sense, expected",
    [
        (110, 100, 90, "min", 0.1),
        (99, 90, None, "min", 0.1),
        (99, None, 90, "min", 0.1),
        (95, 100, 90, "min", -0.05),
        (90, 100, 120, "max", 0.1),
        (90, None, 120, "max", 0.25),
        (5, None, None, "min", None),
        (0, 0, None, "min", 0.0),
        (3, 0, None, "min", None),
        (-90, -100, None, "min", 0.1),
    ],
)
def test_gap_is_against_the_best_known_else_the_bound(objective, best_known, bound, sense, expected):
    found = gap(objective, best_known, bound, sense)
    assert found == (None if expected is None else pytest.approx(expected))
