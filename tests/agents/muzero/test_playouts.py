"""Search with playouts of rules and scorers at its leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent
from makespan.agents.muzero.playouts import PlayoutSearch
from makespan.agents.muzero.search import SearchConfig
from makespan.envs.core.errors import UserError
from makespan.envs.core.random import combine

ENV = "makespan/JobShop-v0"
SMALL = {"instance": "random:size=4x3"}
NOISY: dict[str, Any] = {**SMALL, "law": "bernoulli", "p": 0.05}


def _objectives(name: str, options: dict[str, Any], worlds: int = 8) -> list[float]:
    arena = open_arena(ENV, worlds, options, device="cpu")
    agent = make_agent(name, arena.setting)
    return [episode.objective for episode in play(arena, agent, [Case(None, seed) for seed in range(worlds)])]


@pytest.mark.parametrize("base", ["mwkr", "checkpoints/job_shop_scorer"])
def test_is_better_than_what_plays_on(base: str) -> None:
    searched, alone = _objectives(f"gumbel:of={base}:simulations=32", SMALL), _objectives(base, SMALL)
    assert all(ours <= theirs for ours, theirs in zip(searched, alone, strict=True))
    assert sum(searched) < sum(alone)


def test_under_breakdowns_it_is_better_in_the_mean() -> None:
    assert np.mean(_objectives("gumbel:of=mwkr", NOISY, 32)) < np.mean(_objectives("mwkr", NOISY, 32))


@pytest.mark.parametrize("options", [SMALL, NOISY])
def test_does_not_depend_on_the_batch(options: dict[str, Any]) -> None:
    arena = open_arena(ENV, 1, options, device="cpu")
    agent = make_agent("gumbel:of=mwkr:simulations=16", arena.setting)
    alone = [play(arena, agent, [Case(None, seed)])[0].objective for seed in range(8)]
    assert alone == _objectives("gumbel:of=mwkr:simulations=16", options)


def test_a_plan_does_not_know_the_hidden_future() -> None:
    """Worlds that differ in nothing but the hidden part look the same to the search."""
    arena = open_arena(ENV, 2, {"instance": "la01", "law": "bernoulli", "p": 0.05}, device="cpu")
    arena.reset([Case("la01", 1), Case("la01", 2)])
    search = PlayoutSearch(make_agent("mwkr", arena.setting), SearchConfig(32))
    imagine = arena.imagine()
    assert imagine is not None
    keys = np.full(2, combine(3, 4), dtype=np.uint64)
    found, _ = search.search(imagine, np.arange(2), keys, np.zeros(2, dtype=np.int64))
    np.testing.assert_array_equal(found.policy[0], found.policy[1])
    assert found.values[0] == found.values[1]


def test_the_best_plan_is_as_good_as_it_says() -> None:
    arena = open_arena(ENV, 4, SMALL, device="cpu")
    cases = [Case(None, seed) for seed in range(4)]
    arena.reset(cases)
    search = PlayoutSearch(make_agent("mwkr", arena.setting), SearchConfig(64))
    imagine = arena.imagine()
    assert imagine is not None
    none = np.zeros(4, dtype=np.uint64)
    _, best = search.search(imagine, np.arange(4), none, np.zeros(4, dtype=np.int64))
    played = _objectives("gumbel:of=mwkr:simulations=64", SMALL, 4)
    assert all(objective <= cost for objective, cost in zip(played, best.costs.tolist(), strict=True))


def test_mistakes_are_named() -> None:
    setting = open_arena(ENV, 1, SMALL).setting
    assert "gumbel" in known_agents(setting)
    for name, message in (
        ("gumbel:of=spt+mwkr", "one rule or one scorer"),
        ("gumbel:of=spt:simulations=x", "simulations"),
        ("gumbel:of=spt:temperature=0", "temperature"),
    ):
        with pytest.raises(UserError, match=message):
            make_agent(name, setting)
