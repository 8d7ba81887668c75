"""The counter-based random numbers against the check values of the model sheets and against plain Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makespan.envs.core.random import combine, episode_seed, mix, uniform
from support.plain_shop import plain_uniform, splitmix

SEEDS = st.integers(0, 2**63 - 1)


def test_check_values_of_splitmix():
    assert int(mix(0)) == 0xE220A8397B1DCDAF
    assert int(mix(1)) == 0x910A2DEC89025CC1


@pytest.mark.parametrize(
    "seed, keys, value",
    [
        (0, (1, 0, 0, 0), 0.9752873302169826),
        (0, (1, 0, 0, 1), 0.0029887481482393508),
        (7, (1, 3, 2, 0), 0.44933526345902286),
        (0, (1, 0, 1, 0), 0.4111075658296648),
        (7, (4, 3, 10), 0.9491625407247779),
    ],
)
def test_check_values_of_uniform(seed, keys, value):
    assert uniform(seed, *keys) == value
    assert plain_uniform(seed, *keys) == value


@given(st.integers(0, 2**64 - 1))
def test_mix_is_splitmix(x):
    assert int(mix(np.uint64(x))) == splitmix(x)


@given(SEEDS, st.lists(st.integers(0, 2**62), min_size=1, max_size=5))
def test_uniform_is_the_recipe_and_lies_in_the_unit_interval(seed, keys):
    u = uniform(seed, *keys)
    assert u == plain_uniform(seed, *keys)
    assert 0.0 <= u < 1.0


def test_the_type_of_the_seed_does_not_matter():
    values = {uniform(kind(41), 1, 2) for kind in (int, np.int64, np.uint64, np.int32)}
    assert len(values) == 1


@given(SEEDS, SEEDS)
def test_combine(seed, key):
    assert int(combine(np.uint64(seed), np.uint64(key))) == splitmix(splitmix(seed) ^ key)


@given(SEEDS, st.integers(1, 10**9))
def test_later_episodes_lie_above_every_seed_that_is_typed(seed, episode):
    later = int(episode_seed(seed, episode))
    assert later == 2**62 + (splitmix(splitmix(seed) ^ episode) >> 2)
    assert 2**62 <= later < 2**63
    assert int(episode_seed(seed, 0)) == seed


def test_uniform_numbers_are_spread_evenly():
    """A chi-squared test on 100 cells; fixed keys, so it cannot fail by chance."""
    u = np.array([uniform(3, 1, machine, k, w) for machine in range(20) for k in range(500) for w in range(2)])
    counts = np.bincount((u * 100).astype(int), minlength=100)
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 150.0
    # Neighbouring keys are as if independent.
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.03
