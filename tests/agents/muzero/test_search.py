"""Gumbel search against a slow reference, and against mctx where it is installed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from makespan.agents.muzero.halving import considered_visits, halving_table
from makespan.agents.muzero.search import SearchConfig, Searcher
from support.gumbel_reference import ReferenceSearch, World, WorldModel, random_world


def _compare(world: World, roots: np.ndarray, config: SearchConfig, gumbel: np.ndarray) -> None:
    found = Searcher(config).search(WorldModel(world, roots), gumbel)
    for b, root in enumerate(roots.tolist()):
        reference = ReferenceSearch(world, config.simulations, config.considered, config.floor)
        action, policy, value = reference.search(root, gumbel[b])
        expected = np.array([policy.get(a, 0.0) for a in range(world.logits.shape[1])])
        np.testing.assert_allclose(found.policy[b], expected, atol=2e-5)
        assert found.actions[b] == action
        assert found.values[b] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("endings", [False, True])
@pytest.mark.parametrize(
    "actions, simulations, considered, floor",
    [(50, 32, 16, 0.0), (5, 64, 16, 0.0), (7, 20, 4, 0.5), (2, 9, 16, 0.01), (1, 5, 16, 0.01), (30, 8, 16, 0.0)],
)
def test_agrees_with_the_reference(
    masked: bool, endings: bool, actions: int, simulations: int, considered: int, floor: float
) -> None:
    world = random_world(1, 400, actions, masked, endings)
    living = np.flatnonzero(world.legal.any(axis=1))[:24]
    gumbel = np.random.default_rng(2).gumbel(size=(len(living), actions))
    _compare(world, living, SearchConfig(simulations, considered, floor), gumbel)


def test_without_simulations_the_noisy_policy_is_played() -> None:
    world = random_world(3, 50, 6, masked=True)
    roots = np.arange(50)
    gumbel = np.random.default_rng(4).gumbel(size=(50, 6))
    found = Searcher(SearchConfig(0)).search(WorldModel(world, roots), gumbel)
    scores = np.where(world.legal != 0, world.logits + gumbel, -np.inf)
    np.testing.assert_array_equal(found.actions, scores.argmax(axis=1))
    prior = np.exp(np.where(world.legal != 0, world.logits, -np.inf))
    np.testing.assert_allclose(found.policy, prior / prior.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found.values, world.values)


def test_a_root_without_actions_is_left_alone() -> None:
    world = random_world(5, 100, 6, masked=True, endings=True)
    dead = int(np.flatnonzero(~world.legal.any(axis=1))[0])
    alive = int(np.flatnonzero(world.legal.any(axis=1))[0])
    found = Searcher(SearchConfig(16)).search(WorldModel(world, np.array([dead, alive])))
    alone = Searcher(SearchConfig(16)).search(WorldModel(world, np.array([alive])))
    assert found.policy[0].sum() == 0
    assert found.actions[1] == alone.actions[0]
    np.testing.assert_array_equal(found.policy[1], alone.policy[0])


def test_illegal_actions_are_never_played_and_padding_changes_nothing() -> None:
    world = random_world(6, 200, 8, masked=True)
    names = ("logits", "rewards", "discounts", "legal", "following")
    padded = replace(world, **{name: np.pad(getattr(world, name), ((0, 0), (0, 5))) for name in names})
    roots = np.arange(60)
    gumbel = np.random.default_rng(7).gumbel(size=(60, 13))
    narrow = Searcher(SearchConfig(24)).search(WorldModel(world, roots), gumbel[:, :8])
    wide = Searcher(SearchConfig(24)).search(WorldModel(padded, roots), gumbel)
    assert world.legal[roots, narrow.actions].all()
    np.testing.assert_array_equal(narrow.actions, wide.actions)
    np.testing.assert_array_equal(narrow.policy, wide.policy[:, :8])


def test_a_searcher_forgets_the_search_before() -> None:
    world = random_world(8, 200, 6, masked=False)
    searcher = Searcher(SearchConfig(16))
    first = searcher.search(WorldModel(world, np.arange(9)))
    searcher.search(WorldModel(world, np.arange(50, 59)))
    again = searcher.search(WorldModel(world, np.arange(9)))
    np.testing.assert_array_equal(first.policy, again.policy)


def test_the_floor_keeps_noise_from_being_stretched() -> None:
    """Values that differ by a thousandth leave the policy as it is; without the floor they overrule it."""
    world = random_world(9, 300, 10, masked=False, spread=1e-4)
    world.logits[:] = 0.0
    with_floor = Searcher(SearchConfig(32, floor=0.01)).search(WorldModel(world, np.arange(20)))
    without = Searcher(SearchConfig(32, floor=0.0)).search(WorldModel(world, np.arange(20)))
    assert np.abs(with_floor.policy - 0.1).max() < 0.05
    assert without.policy.max(axis=1).mean() > 0.4


def test_what_the_model_is_wrong_by_is_noise() -> None:
    world = random_world(9, 300, 10, masked=False)
    world.logits[:] = 0.0
    sure, unsure = (Searcher(SearchConfig(32)).search(WorldModel(world, np.arange(20)), noise=x) for x in (0.0, 100.0))
    assert sure.policy.max(axis=1).mean() > 0.4
    assert unsure.policy.max() < 0.2


def test_the_value_is_that_of_the_improved_policy() -> None:
    """One good action among bad ones, of which halving tries some as often as the good one."""
    world = random_world(10, 60, 8, masked=False)
    world.discounts[:] = 0.0
    world.rewards[:] = -1.0
    world.rewards[:, 3] = 1.0
    world.values[:] = 0.0
    world.logits[:] = 0.0
    found = Searcher(SearchConfig(32)).search(WorldModel(world, np.arange(20)))
    assert found.policy[:, 3].min() > 0.9
    np.testing.assert_allclose(found.values, 2.0 * found.policy[:, 3] - 1.0, atol=0.1)


@pytest.mark.parametrize("actions", [1, 2, 3, 5, 16])
def test_every_simulation_of_the_table_can_be_carried_out(actions: int) -> None:
    """Whenever the table says n, there is an action that was tried n times."""
    for simulations in (1, 7, 32, 100):
        visits = [0] * actions
        for wanted in considered_visits(actions, simulations):
            assert wanted in visits
            visits[visits.index(wanted)] += 1
    assert halving_table(actions, 8).shape == (actions + 1, 8)


# --- mctx ---------------------------------------------------------------------------------------------------------


def _mctx_search(mctx: Any, world: World, roots: np.ndarray, config: SearchConfig, gumbel: np.ndarray) -> Any:
    """What mctx comes to on a world, from the same Gumbel numbers."""
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    tables = {name: jnp.asarray(getattr(world, name)) for name in ("values", "rewards", "discounts", "following")}
    logits = jnp.asarray(np.where(world.legal != 0, world.logits, -1e9).astype(np.float32))

    def recurrent(params: Any, key: Any, action: Any, state: Any) -> Any:
        after = tables["following"][state, action]
        output = mctx.RecurrentFnOutput(
            reward=tables["rewards"][state, action],
            discount=tables["discounts"][state, action],
            prior_logits=logits[after],
            value=tables["values"][after],
        )
        return output, after

    states = jnp.asarray(roots)
    root = mctx.RootFnOutput(prior_logits=logits[states], value=tables["values"][states], embedding=states)
    drawn = jax.random.gumbel
    try:
        jax.random.gumbel = lambda *_, **__: jnp.asarray(gumbel, dtype=jnp.float32)
        return mctx.gumbel_muzero_policy(
            params=(),
            rng_key=jax.random.PRNGKey(0),
            root=root,
            recurrent_fn=recurrent,
            num_simulations=config.simulations,
            invalid_actions=jnp.asarray(1 - world.legal[roots]),
            max_num_considered_actions=config.considered,
            gumbel_scale=1.0,
        )
    finally:
        jax.random.gumbel = drawn


@pytest.mark.parametrize(
    "actions, simulations, masked", [(50, 32, False), (50, 32, True), (6, 50, False), (18, 100, False)]
)
def test_agrees_with_mctx(actions: int, simulations: int, masked: bool) -> None:
    """Actions and improved policies of 250 trees each, 1000 in all. mctx's range of values takes in an illegal action's
    mixed value even where all legal ones were tried; with half of 50 legal none is."""
    mctx = pytest.importorskip("mctx")
    world = random_world(actions + simulations, 5000, actions, masked)
    roots = np.arange(250)
    gumbel = np.random.default_rng(simulations).gumbel(size=(250, actions))
    config = SearchConfig(simulations, 16, floor=0.0)
    ours = Searcher(config).search(WorldModel(world, roots), gumbel)
    theirs = _mctx_search(mctx, world, roots, config, gumbel)
    np.testing.assert_array_equal(ours.actions, np.asarray(theirs.action))
    np.testing.assert_allclose(ours.policy, np.asarray(theirs.action_weights), atol=1e-4)
    assert math.isclose(float(ours.policy.sum()), 250.0, rel_tol=1e-5)
