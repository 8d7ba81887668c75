"""The occupancy program: stated bounds of the small instances, and that no policy is above it."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.restless_bandits.feasible import Cardinality
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.known_cases import NAMES, known_case
from makespan.envs.restless_bandits.occupancy import bound, separate, solve_occupancy
from support.bandit_exact import solve

# Value, digits that are stated, name.
STATED = {
    "k0": (3.0720, 4, "hull"),
    "k1": (60.4394, 4, "hull"),
    "k2a": (65.2952, 4, "hull"),
    "k2b": (105.1571, 4, "hull"),
    "k3": (118.6340, 4, "hull"),
    "k4a": (65.2952, 4, "hull"),
    "k4b": (51.1379, 4, "hull"),
    "k5a": (77.7496, 4, "hull"),
    "k5b": (105.1571, 4, "hull"),
    "k6a": (28.1922, 4, "hull"),
    "k6b": (54.3947, 4, "hull"),
    "k7a": (30.07, 2, "hull+blocks"),
    "k7b": (138.97, 2, "hull+blocks"),
    "k8a": (170.0, 1, "hull+healthy"),
    "k8b": (174.0, 1, "hull+healthy"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_known_case_has_the_bound_that_the_specification_states(name: str) -> None:
    value, digits, made = STATED[name]
    found = bound(known_case(name))
    assert found.name == made
    assert found.value == pytest.approx(value, abs=0.6 * 10.0**-digits)


def test_the_rows_of_capacity_are_as_good_as_its_hull() -> None:
    instance = known_case("k3")
    wide = _without_hull(instance)
    assert wide.name == "rows"
    assert wide.value == pytest.approx(118.6340, abs=1e-4)


@pytest.mark.parametrize("name", ["k3", "k4b", "k5a", "k6a", "k6b"])
def test_rows_bound_no_less_than_the_hull(name: str) -> None:
    instance = known_case(name)
    assert _without_hull(instance).value >= bound(instance).value - 1e-6


def _without_hull(instance: BanditInstance):
    from unittest.mock import patch

    with patch("makespan.envs.restless_bandits.occupancy._MOST_HULL", 0):
        return bound(instance)


@pytest.mark.parametrize("name", ["k7a", "k8a", "k2b"])
def test_probabilities_are_those_of_a_policy(name: str) -> None:
    instance = known_case(name)
    found = solve_occupancy(instance, separate(instance))
    np.testing.assert_allclose(found.share.sum(axis=(2, 3)), 1.0, atol=1e-7)
    assert (found.share >= -1e-9).all()
    assert (found.share[..., 1].sum(axis=(1, 2)) <= instance.feasible.budget + 1e-7).all()
    assert (found.price >= -1e-7).all()


@pytest.mark.parametrize("name", ["k1", "k2b", "k3", "k6a"])
def test_the_lagrangian_of_the_prices_is_the_bound(name: str) -> None:
    """V* <= sum_j V_j(price) + sum_t max over A of price . a, with equality for the program's prices."""
    instance = known_case(name)
    found = bound(instance)
    total = 0.0
    for j in range(instance.num_arms):
        value = np.zeros(instance.num_states)
        for t in reversed(range(instance.horizon)):
            quality = instance.transition[j] @ (instance.reward[j] + value) - found.price[t, j][:, None]
            value = quality.max(axis=0)
        total += float(instance.start[j] @ value)
    levels = np.array([instance.levels(action) for action in instance.feasible.members])
    arms = np.arange(instance.num_arms)
    for t in range(instance.horizon):
        total += max(float(found.price[t, arms, row].sum()) for row in levels)
    assert total == pytest.approx(found.value, abs=1e-4)


def test_without_a_constraint_the_bound_is_the_optimum() -> None:
    instance = known_case("k2b")
    free = instance.with_feasible(Cardinality(4, 4))
    assert bound(free).value == pytest.approx(solve(free).optimum, abs=1e-6)


def test_a_discount_bounds_discounted_returns() -> None:
    instance = known_case("k2b")
    optimum = solve(instance, 0.99).optimum
    assert optimum <= bound(instance, 0.99).value <= 1.01 * optimum


@pytest.mark.parametrize("family", FAMILIES)
def test_no_policy_of_a_small_instance_is_above_its_bound(family: str) -> None:
    for number in range(2):
        instance = draw_instance(Size(family, 4), number)
        assert solve(instance).optimum <= bound(instance).value + 1e-6


@pytest.mark.parametrize("family", ["zones", "corridor"])
def test_without_joint_probabilities_the_bound_is_looser_and_still_one(family: str) -> None:
    """Zones from 20 arms on and corridors from 40 have it, as joint probabilities would be too many."""
    instance = draw_instance(Size(family, 4), 0)
    least = solve_occupancy(instance, separate(instance), blocks=False)
    assert least.name == "hull+and"
    assert solve(instance).optimum <= bound(instance).value + 1e-6 <= least.value + 2e-6
