"""Agents of restless bandits in evaluations: they play the sequential view, and tables know the scale."""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.restless_bandits.agent import _next_element
from makespan.agents.restless_bandits.model import KnownModel
from makespan.envs.core.errors import MissingExtraError, UserError
from makespan.envs.restless_bandits.known_cases import known_case
from makespan.envs.restless_bandits.program import NoSolutionError
from makespan.eval.evaluate import evaluate
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import Store
from makespan.eval.table import headings, make_notes, make_tables

ENV = "makespan/RestlessBandits-v0"


def test_a_table_says_where_agents_lie_between_nothing_and_the_bound() -> None:
    plan = make_plan(Request(ENV, "null,index-milp,lp-update", "k0,k2b", "0-1"))
    rows = evaluate(plan, Store(None))
    tables = make_tables(plan, rows)
    assert "score" in headings(tables[0])
    for row in rows:
        width = row["expected_bound"] - row["null_objective"]
        assert row["score"] == pytest.approx((row["objective"] - row["null_objective"]) / width)
    assert rows[0]["expected_bound"] == pytest.approx(3.0720, abs=1e-4)
    assert rows[0]["null_objective"] == pytest.approx(0.9120, abs=1e-4)
    null, index = (line.score for line in tables[0].lines[:2])
    assert null is not None
    assert index is not None
    assert (index.mean or 0.0) > (null.mean or 0.0)
    assert any(note.startswith("Score: ") and "hull" in note for note in make_notes(plan, rows, tables))


@pytest.mark.parametrize(
    ("agent", "instance"),
    [("index-rollout:paths=8", "k7b"), ("myopic-exact", "k3"), ("sampled-best:tries=5", "k6a"), ("whittle", "k5a"),
     ("index-greedy", "k4b"), ("random-feasible", "k6b")],
)  # fmt: skip
def test_every_policy_plays_the_sequential_view(agent: str, instance: str) -> None:
    arena = open_arena(ENV, 3, {"instance": instance})
    cases = [Case(known_case(instance), seed) for seed in range(3)]
    episodes = list(play(arena, make_agent(agent, arena.setting), cases))
    assert all(episode.metrics["finished"] for episode in episodes)


def test_the_action_that_is_decided_is_the_one_that_is_played() -> None:
    """The myopic agent's expected return is that of the best expected rewards along its own path."""
    instance = known_case("k3")
    arena = open_arena(ENV, 1, {"instance": "k3"})
    episode = next(iter(play(arena, make_agent("myopic-exact", arena.setting), [Case(instance, 5)])))
    schedule = episode.schedule
    model = KnownModel(instance)
    if schedule is None:
        pytest.skip("the arena keeps no schedule")
    states, actions = np.asarray(schedule.states), np.asarray(schedule.actions)
    for now, action in zip(states[:-1], actions, strict=True):
        values = model.expected_rewards(now, instance.feasible.members)
        assert model.expected_rewards(now, action[None])[0] == pytest.approx(values.max())


def test_visits_that_must_be_kept_are() -> None:
    arena = open_arena(ENV, 2, {"instance": "k2a", "min_visits": 2})
    cases = [Case(known_case("k2a"), seed) for seed in range(2)]
    for episode in play(arena, make_agent("index-milp", arena.setting), cases):
        assert episode.metrics["finished"]


def test_what_is_decided_waits_for_arms_that_must_join_first() -> None:
    waiting = [0, 2]
    legal = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]], dtype=np.int8)
    assert [_next_element(waiting, row) for row in legal] == [1, 2, 0, 3]


def test_a_solver_that_finds_nothing_is_counted_and_something_is_played() -> None:
    arena = open_arena(ENV, 1, {"instance": "k3"})
    agent = make_agent("index-milp", arena.setting)
    with patch.object(KnownModel, "best", side_effect=NoSolutionError("HiGHS: time limit")):
        episode = next(iter(play(arena, agent, [Case(known_case("k3"), 0)])))
    assert agent.remark == "solvers found nothing 20 times, and a greedy action was played"
    assert episode.metrics["finished"]
    assert episode.metrics["visits"] > 0


def test_other_environments_are_refused_in_a_line() -> None:
    arena = open_arena("makespan/JobShop-v0", 1, {"instance": "ft06"})
    with pytest.raises(UserError, match="no restless bandit"):
        make_agent("index-milp", arena.setting)


@pytest.mark.parametrize("agent", ["index-milp", "sequoia", "checkpoints/restless_bandits_contagion_sequoia"])
def test_an_agent_whose_solver_is_missing_says_what_to_install(agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    arena = open_arena(ENV, 1, {"instance": "k3"})
    with pytest.raises(MissingExtraError, match="needs 'highspy', which is not installed"):
        make_agent(agent, arena.setting)
