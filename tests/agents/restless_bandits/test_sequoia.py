"""SEQUOIA: untrained it is the index, program and search agree with enumeration, failures are counted."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from makespan.agents.restless_bandits.policies import IndexProgram, Myopic
from makespan.agents.restless_bandits.q_network import checked_weights, fresh_weights, weight_shapes
from makespan.agents.restless_bandits.sequoia import Sequoia
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.program import NoSolutionError, Solution


def trained_weights(seed: int) -> dict[str, np.ndarray]:
    """Weights none of which is 0."""
    rng = np.random.default_rng(seed)
    scale = {name: np.sqrt(1.0 / shape[0]) for name, shape in weight_shapes().items()}
    return {name: (scale[name] * rng.normal(size=shape)).astype(np.float32) for name, shape in weight_shapes().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_untrained_it_is_the_index_action_by_action(family: str) -> None:
    instance = draw_instance(Size(family, 8 if family == "path" else 20), 0)
    rng = np.random.default_rng(0)
    index = IndexProgram(instance)
    made = [Sequoia(instance), Sequoia(instance, fresh_weights(rng)), Sequoia(instance, fresh_weights(rng), "local")]
    for epoch in (0, 10, 19):
        states = rng.integers(0, 4, instance.num_arms)
        expected = index.decide(epoch, states, rng)
        for policy in made:
            np.testing.assert_array_equal(policy.decide(epoch, states, rng), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_plays_the_best_of_all_actions(family: str) -> None:
    instance = draw_instance(Size(family, 8), 1)
    rng = np.random.default_rng(1)
    for number in range(4):
        policy = Sequoia(instance, trained_weights(number), tighten=bool(number % 2))
        states, epoch = rng.integers(0, 4, instance.num_arms), int(rng.integers(0, 20))
        net = policy.network(epoch, states)
        values = net.values(policy.climber.inputs_of(instance.feasible.members))
        action = policy.decide(epoch, states, rng)
        assert net.values(policy.climber.inputs_of(action[None]))[0] == pytest.approx(values.max(), rel=1e-6)
        assert policy.effort.solved == policy.effort.proved == 1
        assert policy.effort.failed == 0


@pytest.mark.parametrize("family", ["capacity", "corridor", "sigmoid"])
def test_local_search_stays_feasible_and_never_gets_worse(family: str) -> None:
    instance = draw_instance(Size(family, 20), 2)
    rng = np.random.default_rng(2)
    policy = Sequoia(instance, trained_weights(7), "local")
    index = IndexProgram(instance)
    for epoch in (0, 7):
        states = rng.integers(0, 4, instance.num_arms)
        net = policy.network(epoch, states)
        actions = np.array([index.decide(epoch, states, rng), policy.decide(epoch, states, rng)])
        before, after = net.values(policy.climber.inputs_of(actions))
        assert after >= before
        instance.feasible.check(actions[1])


def test_a_solver_that_fails_is_counted_and_nothing_is_never_played_for_it() -> None:
    instance = draw_instance(Size("cardinality", 8), 3)
    rng = np.random.default_rng(3)
    policy = Sequoia(instance, trained_weights(1))
    states = np.zeros(8, dtype=np.int64)
    with patch.object(policy, "_solve", side_effect=NoSolutionError("HiGHS: time limit")):
        action = policy.decide(0, states, rng)
    assert policy.failures == policy.effort.failed == 1
    assert action.any()
    assert "1 found nothing" in policy.remark
    assert policy.decide(0, states, rng).any()
    assert policy.failures == 1


def test_a_bound_that_a_known_action_is_above_counts_as_no_proof() -> None:
    instance = draw_instance(Size("cardinality", 8), 3)
    rng, policy = np.random.default_rng(3), Sequoia(instance, trained_weights(1), "milp")
    states = np.zeros(8, dtype=np.int64)
    nothing = np.zeros(8)

    def wrong(*given):
        return Solution(nothing, -100.0, -100.0, True)

    with patch.object(policy, "_solve", wrong):
        action = policy.decide(0, states, rng)
    assert action.any()
    assert (policy.effort.solved, policy.effort.proved) == (1, 0)
    assert "1 were not proved" in policy.remark


@pytest.mark.parametrize("family", FAMILIES)
def test_local_search_ends_where_no_feasible_change_is_better(family: str) -> None:
    instance = draw_instance(Size(family, 12), 5)
    policy, rng = Sequoia(instance, trained_weights(6), "local"), np.random.default_rng(5)
    members = instance.feasible.members
    for epoch in (2, 15):
        states = rng.integers(0, 4, instance.num_arms)
        net = policy.network(epoch, states)
        action = policy.climber.climb(net, instance.feasible.sample(rng))
        values = net.values(policy.climber.inputs_of(members))
        more, less = ((members != action) & (members == one) for one in (1, 0))
        near = (more.sum(axis=1) <= 1) & (less.sum(axis=1) <= 1)
        assert near.sum() > 5
        assert values[near].max() == pytest.approx(policy.climber.value(net, action), rel=1e-6)


def test_a_walk_that_is_known_outlives_a_solver_without_time() -> None:
    instance = draw_instance(Size("path", 20), 1)
    policy, rng = Sequoia(instance, trained_weights(4), "milp", seconds=1e-3), np.random.default_rng(4)
    states = rng.integers(0, 4, 20)
    net = policy.network(3, states)
    known = policy.climber.climb(net, policy.start(3, states))
    action = policy.decide(3, states, rng)
    assert policy.effort.failed == policy.failures == 0
    assert policy.effort.solved == 1
    assert policy.climber.value(net, action) >= policy.climber.value(net, known)


def test_walks_of_many_stops_are_searched_and_not_programmed() -> None:
    instance = draw_instance(Size("path", 60), 0)
    policy, rng = Sequoia(instance, trained_weights(3)), np.random.default_rng(3)
    states = rng.integers(0, 4, 60)
    action = policy.decide(4, states, rng)
    instance.feasible.check(action)
    net = policy.network(4, states)
    assert policy.effort.solved == 0
    assert policy.climber.value(net, action) > policy.climber.value(net, policy.start(4, states))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_searches_of_the_comparisons_are_feasible_and_what_they_say(family: str) -> None:
    instance = draw_instance(Size(family, 8), 6)
    states, rng = np.random.default_rng(6).integers(0, 4, 8), np.random.default_rng(6)
    sampled, iterative = (
        Sequoia(instance, trained_weights(8), search, index=False) for search in ("sampled", "iterative")
    )
    net = sampled.network(5, states)
    looked_at = np.array([instance.feasible.sample(np.random.default_rng(9)) for _ in range(1)])
    action = sampled.decide(5, states, np.random.default_rng(9))
    instance.feasible.check(action)
    assert sampled.climber.value(net, action) >= sampled.climber.value(net, looked_at[0])
    action = iterative.decide(5, states, rng)
    instance.feasible.check(action)
    more = np.array([action + np.eye(len(action), dtype=np.int8)[k] for k in np.flatnonzero(action == 0)])
    fits = [one for one in more if instance.feasible.contains(one)]
    for one in fits if instance.feasible.may_stop(action) else []:
        assert iterative.climber.value(net, one) <= iterative.climber.value(net, action) + 1e-9


def test_without_the_index_it_begins_as_the_myopic_policy() -> None:
    instance = draw_instance(Size("capacity", 20), 7)
    states, rng = np.random.default_rng(7).integers(0, 4, 20), np.random.default_rng(7)
    expected = Myopic(instance).decide(3, states, rng)
    policy = Sequoia(instance, fresh_weights(rng), "local", index=False)
    np.testing.assert_array_equal(policy.decide(3, states, rng), expected)


def test_relabelling_arms_relabels_the_network() -> None:
    from dataclasses import replace

    instance = draw_instance(Size("cardinality", 8), 4)
    order = np.random.default_rng(4).permutation(8)
    other = replace(
        instance,
        transition=instance.transition[order],
        reward=instance.reward[order],
        start=instance.start[order],
        group=tuple(instance.group[j] for j in order),
    )
    weights = trained_weights(2)
    mine, theirs = Sequoia(instance, weights), Sequoia(other, weights)
    theirs.gain = mine.gain[:, order]  # prices of the program are not unique
    theirs.outlook.gain = theirs.gain
    states = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    actions = instance.feasible.members
    first = mine.network(3, states).values(mine.climber.inputs_of(actions))
    second = theirs.network(3, states[order]).values(theirs.climber.inputs_of(actions[:, order]))
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_damaged_weights_are_refused_in_a_line() -> None:
    weights = trained_weights(5)
    weights["embed"][0, 0] = np.nan
    with pytest.raises(UserError, match="x: weights 'embed' hold something that is not a finite number"):
        checked_weights(weights, "x")
    del weights["embed"]
    with pytest.raises(UserError, match="expected"):
        checked_weights(weights, "x")
