"""Rules that add weighted features to their first key: by steps, in compiled code, and by a plain formula."""

from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.rules.agent import RuleAgent
from makespan.agents.rules.choice import FIRST_TERM, rule_parameters, weight_of
from makespan.agents.rules.rule import Rule, Term
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.observation import SPEC

JOB_SHOP = "makespan/JobShop-v0"
CASES = [Case(None, seed) for seed in range(12)]
OPTIONS: dict[str, Any] = {"instance": "random:size=6x5", "blocking": "none"}
WORK = Term("work_remaining", "alpha", ((0.2, -1.0), (0.6, 3.0)))
NEXT = Term("next_processing_time", "beta", ((0.0, 0.5),), unit=2.0)
PLAIN = Rule("plain", (("processing_time", 1),), "test")
SUMMED = Rule("summed", (("processing_time", 1),), "test", terms=(WORK, NEXT), level="time")


def episodes(rule: Rule, by_steps: bool = False) -> list[Episode]:
    arena = open_arena(JOB_SHOP, len(CASES), OPTIONS)
    agent = RuleAgent([rule], arena.setting)
    if by_steps:
        agent.compiled_choice = lambda copies: None  # type: ignore[method-assign]
    return play(arena, agent, CASES)


@pytest.mark.parametrize("rule", [SUMMED, SUMMED.weighted({"alpha": 0.7}), SUMMED.weighted({"alpha": -0.3, "beta": 1})])
def test_both_ways_of_playing_agree(rule: Rule) -> None:
    compiled, stepped = episodes(rule), episodes(rule, by_steps=True)
    assert [episode.objective for episode in compiled] == [episode.objective for episode in stepped]
    assert [episode.objective for episode in compiled] != [episode.objective for episode in episodes(PLAIN)]


def test_weights_of_nought_add_nothing() -> None:
    nothing = SUMMED.weighted({"alpha": 0.0, "beta": 0.0})
    assert [e.objective for e in episodes(nothing)] == [e.objective for e in episodes(PLAIN)]


def test_weights_between_and_beyond_levels() -> None:
    row = rule_parameters([PLAIN, SUMMED], SPEC)[1]
    term = row[FIRST_TERM]
    levels = np.array([-1.0, 0.0, 0.2, 0.3, 0.5, 0.6, 0.61, 9.0])
    found = [weight_of(row, term, level) for level in levels]
    np.testing.assert_allclose(found, np.interp(levels, (0.2, 0.6), (-1.0, 3.0)), atol=1e-12)
    assert weight_of(row, term + 2 + 4, 7.0) == 1.0  # 0.5 in a unit of 2


def test_choices_are_those_of_the_sum() -> None:
    arena = open_arena(JOB_SHOP, len(CASES), OPTIONS)
    agent = RuleAgent([SUMMED], arena.setting)
    arena.reset(CASES)
    random = np.random.default_rng(0)
    for _ in range(8):
        seen, mask = arena.observation(), arena.masks()
        features, state = seen["actions/features"].astype(np.float64), seen["globals"].astype(np.float64)
        time = state[:, [feature.name for feature in SPEC.globals].index("time")]
        score = features[..., SPEC.action_column("processing_time")] + features[
            ..., SPEC.action_column("work_remaining")
        ] * np.interp(time, (0.2, 0.6), (-1.0, 3.0)).reshape(-1, 1)
        score += features[..., SPEC.action_column("next_processing_time")]
        score = np.where(mask == 1, score, np.inf)
        score[:, -1] = np.where(np.isfinite(score[:, :-1]).any(axis=1), np.inf, score[:, -1])
        actions = agent.act(seen, mask)
        chosen = np.take_along_axis(score, actions[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(chosen, score.min(axis=1), rtol=1e-6)
        arena.step(np.array([random.choice(np.flatnonzero(row)) for row in mask]))


@pytest.mark.parametrize(
    "rule, message",
    [
        (Rule("a", (("processing_time", 1),), "", terms=(Term("flow", "k", ((0.0, 1.0),)),)), "'flow'"),
        (Rule("a", (("processing_time", 1),), "", terms=(NEXT,), level="load"), "global feature 'load'"),
    ],
)
def test_what_the_observation_lacks(rule: Rule, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rule_parameters([rule], SPEC)
