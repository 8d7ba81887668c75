"""Whittle's indices: the specification's values, and random arms against the definition by value iteration."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.agents.restless_bandits.whittle import whittle, whittle_arms
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.known_cases import known_case

STATED = (
    (2.9036, 3.2325, 3.6480, 3.5316),
    (1.9927, 2.2763, 2.6671, 2.3089),
    (1.2458, 1.5309, 1.8508, 1.4485),
    (0.5965, 0.8409, 0.9843, 0.6195),
)


def test_the_base_arms_have_the_indices_that_the_specification_states() -> None:
    arms = whittle_arms(known_case("k2b"))
    assert all(arm.indexable for arm in arms)
    np.testing.assert_allclose([arm.index for arm in arms], STATED, atol=1e-4)


def test_an_arm_that_is_not_indexable_is_found_out_with_its_intervals() -> None:
    law = [[[0.2, 0.8, 0], [0.2, 0.8, 0], [0, 0, 1]], [[1, 0, 0], [0, 0.5, 0.5], [0, 0.8, 0.2]]]
    arm = whittle(law, [[1.5, 0, 4.5], [3.5, 0, 0]], 0.9)
    assert not arm.indexable
    assert len(arm.passive[1]) == 2
    np.testing.assert_allclose(arm.passive[1][0], (-6.3000, -3.1056), atol=1e-4)
    assert arm.passive[1][1][0] == pytest.approx(18.765, abs=1e-3)
    assert [len(arm.passive[s]) for s in (0, 2)] == [1, 1]
    np.testing.assert_allclose(arm.index[[0, 2]], (0.1003, -3.6777), atol=1e-4)


def test_arms_of_the_base_law_are_indexable() -> None:
    arms = [arm for k in range(5) for arm in whittle_arms(draw_instance(Size("cardinality", 20), k))]
    assert all(arm.indexable for arm in arms)


def random_arm(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    states = int(rng.integers(2, 6))
    law = rng.dirichlet(np.full(states, rng.choice([0.3, 1.0])), size=(2, states))
    return law, rng.uniform(-2.0, 2.0, (2, states)), float(rng.choice([0.5, 0.8, 0.9]))


def advantage(law: np.ndarray, reward: np.ndarray, discount: float, prices: np.ndarray) -> np.ndarray:
    """[prices, S]: what acting is worth beyond not acting, by value iteration at each price."""
    value = np.zeros((len(prices), law.shape[1]))
    charge = np.stack([np.zeros_like(prices), prices], axis=1)[:, :, None]
    while True:
        quality = reward - charge + discount * np.einsum("kst,pt->pks", law, value)
        best = quality.max(axis=1)
        if np.abs(best - value).max() < 1e-11:
            return quality[:, 1] - quality[:, 0]
        value = best


def compare(count: int, seed: int) -> tuple[int, int]:
    """Compare random arms with the definition; returns how many were indexable, and how many not."""
    rng = np.random.default_rng(seed)
    indexable = 0
    for _ in range(count):
        law, reward, discount = random_arm(rng)
        arm = whittle(law, reward, discount)
        end = (np.ptp(reward) + 1.0) / (1.0 - discount)
        grid = np.linspace(-end, end, 301)
        ends = np.array([x for one in arm.passive for interval in one for x in interval if np.isfinite(x)])
        prices = np.concatenate([grid, ends - 1e-5, ends + 1e-5])
        more = advantage(law, reward, discount, prices)
        for s, intervals in enumerate(arm.passive):
            said = np.zeros(len(prices), dtype=bool)
            for low, high in intervals:
                said |= (prices >= low) & (prices < high)
            far = np.abs(prices[:, None] - ends).min(axis=1) > 1e-6
            clear = far & (np.abs(more[:, s]) > 1e-8)
            assert (said[clear] == (more[clear, s] < 0)).all()
            at = advantage(law, reward, discount, np.array([arm.index[s]]))
            assert at[0, s] == pytest.approx(0.0, abs=1e-8)
        indexable += arm.indexable
    return indexable, count - indexable


def test_random_arms_have_the_passive_sets_of_the_definition() -> None:
    indexable, _ = compare(15, 1)
    assert indexable > 8


@pytest.mark.slow
def test_many_random_arms_have_the_passive_sets_of_the_definition() -> None:
    indexable, not_indexable = compare(600, 2)
    assert indexable > 400
    assert not_indexable > 0


def test_identical_actions_are_worth_the_price_zero() -> None:
    law = np.tile([[0.5, 0.5], [0.1, 0.9]], (2, 1, 1))
    arm = whittle(law, [[1.0, 2.0], [1.0, 2.0]], 0.9)
    assert arm.indexable
    np.testing.assert_allclose(arm.index, 0.0, atol=1e-9)


def test_bad_input_is_refused_in_a_line() -> None:
    with pytest.raises(UserError, match=r"discount is 1\.0, expected a number from 0 to below 1"):
        whittle(np.tile(np.eye(2), (2, 1, 1)), np.zeros((2, 2)), 1.0)
    with pytest.raises(UserError, match="several levels"):
        whittle_arms(known_case("k6a"))
