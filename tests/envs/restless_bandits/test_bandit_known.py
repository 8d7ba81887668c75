"""The small instances k0 to k8: values that the specification states, by exact dynamic programming over all states."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.restless_bandits.known_cases import NAMES, SETS, known_case
from support.bandit_exact import solve

# optimum, optimum with gamma = .99, myopic, uniform on A, null
KNOWN = {
    "k0": (2.9282, None, 2.6979, 1.1385, 0.9120),
    "k1": (60.0531, 53.9124, 46.4977, 12.6594, 6.1380),
    "k2a": (64.8659, 58.2877, 49.2413, 15.2928, 10.9329),
    "k2b": (104.9004, 94.2536, 75.8777, 25.9414, 10.9329),
    "k3": (118.3982, 106.4003, 91.7148, 33.9212, 10.9329),
    "k4a": (64.8659, 58.2877, 49.2413, 15.2928, 10.9329),
    "k4b": (50.9967, 45.9391, 50.4426, 18.2140, 10.9329),
    "k5a": (77.6989, 69.9359, 75.3342, 27.1239, 10.9329),
    "k5b": (104.9004, 94.2535, 77.4443, 26.1994, 10.9329),
    "k6a": (28.1591, None, 26.4651, 11.8145, 8.0103),
    "k6b": (54.3914, None, 54.2965, 35.6795, 8.0103),
    "k7a": (27.7980, None, None, None, 0.1409),
    "k7b": (108.6061, None, None, None, 0.1409),
    "k8a": (137.3913, None, None, None, 0.1803),
    "k8b": (164.0887, None, None, None, 0.1803),
}
COUNTS = {"k0": 3, "k1": 3, "k2a": 5, "k2b": 11, "k3": 14, "k4a": 5, "k4b": 3, "k5a": 7, "k5b": 10}
FIRST = {"k2b": (1, 1, 0, 0), "k3": (1, 1, 0, 1), "k5a": (0, 1, 1, 0)}


@pytest.mark.parametrize("name", NAMES)
def test_a_known_case_has_the_values_that_the_specification_states(name: str) -> None:
    instance = known_case(name)
    optimum, discounted, myopic, uniform, null = KNOWN[name]
    found = solve(instance)
    assert found.optimum == pytest.approx(optimum, abs=1e-4)
    for value, expected in ((found.myopic, myopic), (found.uniform, uniform), (found.null, null)):
        if expected is not None:
            assert value == pytest.approx(expected, abs=1e-4)
    if discounted is not None:
        assert solve(instance, 0.99).optimum == pytest.approx(discounted, abs=1e-4)
    if name in FIRST:
        assert found.first == FIRST[name]
    if name in COUNTS:
        assert len(instance.feasible.members) == COUNTS[name]


def test_the_levels_of_k6_have_the_probabilities_that_the_specification_states() -> None:
    up = known_case("k6a").up
    assert up is not None
    np.testing.assert_allclose(up[0], (0.01, 0.022922, 0.579360, 0.887925), atol=1e-6)
    np.testing.assert_allclose(up[1, :3], (0.01, 0.249847, 0.293951), atol=1e-6)
    np.testing.assert_allclose(up[2, :2], (0.01, 0.189886), atol=1e-6)


def test_a_number_names_all_of_its_cases() -> None:
    assert SETS["k2"] == ("k2a", "k2b")
    assert SETS["k0"] == ("k0",)
    assert {name for names in SETS.values() for name in names} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_instance_says_what_the_plain_law_says(name: str) -> None:
    """`next_law`, `expected_reward` and `realised_reward` against the joint law."""
    from support.bandit_exact import _law, _reward

    instance = known_case(name)
    rng = np.random.default_rng(0)
    states = [tuple(rng.integers(0, 4, instance.num_arms).tolist()) for _ in range(6)]
    for now in states:
        assert instance.realised_reward(now) == pytest.approx(_reward(instance, now))
        for action in instance.feasible.members:
            joint = np.ones(1)
            for row in instance.next_law(now, action):
                joint = np.multiply.outer(joint, row).ravel()
            expected = _law(instance, now, action)
            np.testing.assert_allclose(joint, expected, atol=1e-12)
            shape = (4,) * instance.num_arms
            pays = np.array([_reward(instance, tuple(int(k) for k in s)) for s in np.ndindex(*shape)])
            assert instance.expected_reward(now, action) == pytest.approx(float(expected @ pays))
