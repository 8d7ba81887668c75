"""Policies of restless bandits against exact values of small instances, and against enumeration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.restless_bandits import policies
from makespan.agents.restless_bandits.lagrange import gains_from, lagrangian_gains
from makespan.agents.restless_bandits.model import KnownModel
from makespan.agents.restless_bandits.simulation import Simulation
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.known_cases import known_case
from makespan.envs.restless_bandits.program import solve_program
from support.bandit_exact import policy_value, solve

SEPARABLE = ["k0", "k1", "k2b", "k3", "k4b", "k5a", "k6a"]
MYOPIC = {"k0": 2.6979, "k1": 46.4977, "k2b": 75.8777, "k3": 91.7148, "k4b": 50.4426, "k5a": 75.3342, "k6a": 26.4651}


def value(policy: policies.Policy) -> float:
    """The exact expected return of a policy without randomness of its own."""
    rng = np.random.default_rng(0)
    return policy_value(policy.instance, lambda epoch, s: policy.decide(epoch, np.array(s), rng))


def small(family: str, number: int = 0) -> BanditInstance:
    return draw_instance(Size(family, 8), number)


@pytest.mark.parametrize("name", SEPARABLE)
def test_the_index_program_is_near_the_optimum(name: str) -> None:
    instance = known_case(name)
    optimum = solve(instance).optimum
    assert 0.97 * optimum <= value(policies.IndexProgram(instance)) <= optimum + 1e-6


@pytest.mark.parametrize("name", sorted(MYOPIC))
def test_the_myopic_policy_has_the_value_that_the_specification_states(name: str) -> None:
    assert value(policies.Myopic(known_case(name))) == pytest.approx(MYOPIC[name], abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_myopic_is_the_best_of_all_actions(family: str) -> None:
    instance = small(family)
    policy, rng = policies.Myopic(instance), np.random.default_rng(1)
    for _ in range(20):
        states = rng.integers(0, 4, instance.num_arms)
        members = instance.feasible.members
        best = max(instance.expected_reward(states, action) for action in members)
        assert instance.expected_reward(states, policy.decide(0, states, rng)) == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("family", ["zones", "corridor"])
def test_the_program_of_joint_rewards_is_the_best_of_all_actions(family: str) -> None:
    instance = small(family)
    policy, rng = policies.Myopic(instance), np.random.default_rng(2)
    for _ in range(20):
        states = rng.integers(0, 4, instance.num_arms)
        best = max(instance.expected_reward(states, action) for action in instance.feasible.members)
        assert instance.expected_reward(states, policy._by_program(states)) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_expected_rewards_of_many_actions_are_those_of_the_instance(family: str) -> None:
    instance = small(family)
    model = KnownModel(instance)
    rng = np.random.default_rng(3)
    for _ in range(5):
        states = rng.integers(0, 4, instance.num_arms)
        found = model.expected_rewards(states, instance.feasible.members)
        expected = [instance.expected_reward(states, action) for action in instance.feasible.members]
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_best_levels_by_program_are_those_of_enumeration() -> None:
    wide = draw_instance(Size("sigmoid", 40), 0)
    model, rng = KnownModel(wide), np.random.default_rng(4)
    assert wide.num_elements > 16
    small_one = KnownModel(draw_instance(Size("sigmoid", 20), 0))
    for _ in range(20):
        worth = rng.normal(size=(20, 4))
        rows, column = small_one.level_rows
        objective = np.zeros(rows.num_columns)
        relative = worth - worth[:, :1]
        np.add.at(objective, column[column >= 0], relative[column >= 0])
        by_program = solve_program(rows, objective)
        assert by_program.value == pytest.approx(small_one.best(worth).value, abs=1e-7)
    best = model.best(rng.normal(size=(40, 4)))
    assert wide.feasible.contains(best.action)
    assert best.proved


def test_levels_above_the_highest_count_as_the_highest() -> None:
    base = known_case("k6a")
    capped = BanditInstance(
        name="capped",
        transition=np.array(base.transition[:, :3]),
        reward=np.array(base.reward),
        start=np.array(base.start),
        horizon=3,
        feasible=base.feasible,
        effect=np.array(((2, 1, 1, 0), (1, 0, 0, 1), (0, 0, 0, 2))),
    )
    model, rng = KnownModel(capped), np.random.default_rng(5)
    rows, column = model.level_rows
    for _ in range(30):
        worth = rng.normal(size=(3, 3))
        objective = np.zeros(rows.num_columns)
        relative = worth - worth[:, :1]
        np.add.at(objective, column[column >= 0], relative[column >= 0])
        assert solve_program(rows, objective).value == pytest.approx(model.best(worth).value, abs=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_policy_plays_feasible_actions(family: str) -> None:
    instance = draw_instance(Size(family, 20), 0)
    rng = np.random.default_rng(6)
    made = [policies.RandomFeasible, policies.SampledBest, policies.Myopic]
    made += [policies.IndexProgram, policies.IndexGreedy]
    if instance.effect is None:
        made.append(policies.WhittleIndex)
    for one in made:
        policy = one(instance)
        for epoch in (19,):
            states = rng.integers(0, 4, instance.num_arms)
            instance.feasible.check(policy.decide(epoch, states, rng))


@pytest.mark.parametrize("name", ["k2b", "k3"])
def test_gains_that_are_solved_anew_play_as_well(name: str) -> None:
    instance = known_case(name)
    states = np.array([0, 1, 2, 3])
    fresh = gains_from(instance, 5, states)
    assert fresh.shape == (15, 4, 4, 2)
    policy, rng = policies.LpUpdate(instance), np.random.default_rng(0)
    instance.feasible.check(policy.decide(5, states, rng))


@pytest.mark.parametrize("name", ["k7a", "k7b", "k8a", "k8b"])
def test_rollout_is_no_worse_than_the_index_it_rolls_out(name: str) -> None:
    instance = replace(known_case(name), horizon=6)
    index, rollout = value(policies.IndexProgram(instance)), value(policies.IndexRollout(instance, 100))
    optimum = solve(instance).optimum
    assert index <= optimum + 1e-6
    assert rollout >= index - 0.01 * optimum
    assert rollout >= 0.95 * optimum


@pytest.mark.parametrize("family", ["cardinality", "corridor", "contagion"])
def test_simulated_returns_are_those_of_the_policy(family: str) -> None:
    """The compiled simulation against the exact value by dynamic programming."""
    instance = replace(draw_instance(Size(family, 4), 0), horizon=8)
    gain = lagrangian_gains(instance)
    policy = policies.IndexProgram(instance)
    exact = value(policy)
    simulation = Simulation.of(instance)
    assert simulation is not None
    found = simulation.score(gain[..., 1], 6000)
    assert found == pytest.approx(exact, rel=0.02)


def test_neighbours_are_one_change_away_and_within_the_budget() -> None:
    action = np.array([1, 0, 1, 0, 0], dtype=np.int8)
    near = policies.neighbours(action, 3)
    assert len({tuple(row) for row in near.tolist()}) == len(near) == 1 + 6 + 2 + 3
    assert (near.sum(axis=1) <= 3).all()
    assert (policies.neighbours(action, 2).sum(axis=1) <= 2).all()


def test_rollout_of_other_sets_is_refused_in_a_line() -> None:
    with pytest.raises(UserError, match="for sets of at most B arms"):
        policies.IndexRollout(known_case("k3"))


def test_a_program_that_is_cut_off_plays_the_best_walk_so_far_and_says_so() -> None:
    instance = draw_instance(Size("path", 100), 1)
    gain = np.random.default_rng(3).random((instance.horizon, instance.num_arms, instance.num_states, 2))
    gain[..., 0] = 0.0
    policy = policies.IndexProgram(instance, gain, seconds=1e-3)
    states = np.zeros(instance.num_arms, dtype=np.int64)
    action = policy.decide(0, states, np.random.default_rng(0))
    worth = gain[0, :, 0, 1]
    assert instance.feasible.contains(action)
    assert action @ worth >= instance.feasible.quick(worth) @ worth
    assert policy.remark == "1 of 1 programs ended without proof"
