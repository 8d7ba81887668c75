"""Rules and random play as agents: what they choose, and that both ways of playing agree bit for bit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.arena import Case, EngineArena, _key, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent, make_agents
from makespan.agents.rules.rule import Rule, register_rules, rules_of
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.job_shop.known import bounds

JOB_SHOP = "makespan/JobShop-v0"
SETTINGS: list[dict[str, Any]] = [
    {},
    {"blocking": "none"},
    {"blocking": "no-swap", "deadlock": "banker"},
    {"law": "bernoulli", "p": 0.02, "on_breakdown": "repeat", "repair_visible": False},
    {"law": "exponential", "mtbf": 300.0, "on_breakdown": "scrap", "clock": "busy"},
    {"blocking": "none", "mode": "construct"},
]


def by_steps(options: Mapping[str, Any], name: str, cases: list[Case], instance: str) -> list[Any]:
    """Episodes of an agent that is asked for every action."""
    arena = open_arena(JOB_SHOP, len(cases), {**options, "instance": instance})
    agent = make_agent(name, arena.setting)
    agent.finish = lambda engine: False  # type: ignore[method-assign]
    return play(arena, agent, cases)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_finish_equals_act(options: dict[str, Any]) -> None:
    instance = "random:size=4x3+6x5"
    cases = [Case(None, seed) for seed in range(5)]
    arena = open_arena(JOB_SHOP, len(cases), {**options, "instance": instance})
    for name in known_agents(arena.setting):
        if name in rules_of(JOB_SHOP) or name == "random":
            stepped = by_steps(options, name, cases, instance)
            for episode, other in zip(play(arena, make_agent(name, arena.setting), cases), stepped, strict=True):
                assert episode.metrics == other.metrics, name
                assert episode.objective == other.objective
                assert np.array_equal(episode.schedule.start, other.schedule.start), name


def test_observations_are_right_after_finish() -> None:
    arena = open_arena(JOB_SHOP, 3, {"instance": "random:size=5x4"})
    assert isinstance(arena, EngineArena)
    play(arena, make_agent("random", arena.setting), [Case(None, seed) for seed in range(3)])
    after = arena.engine.block.memory.copy()
    arena.engine._write_all()
    assert np.array_equal(after, arena.engine.block.memory)
    assert not arena.masks().any()


@given(seed=st.integers(0, 2**62), place=st.integers(0, 6), wait=st.booleans())
@settings(max_examples=25, deadline=None)
def test_random_play_does_not_depend_on_the_batch(seed: int, place: int, wait: bool) -> None:
    name = f"random:wait={str(wait).lower()}"
    options = {"law": "bernoulli", "p": 0.01, "instance": "random:size=4x4"}
    alone = open_arena(JOB_SHOP, 1, options)
    (expected,) = play(alone, make_agent(name, alone.setting), [Case(None, seed)])
    cases = [Case(None, other) for other in range(7)]
    cases[place] = Case(None, seed)
    batch = open_arena(JOB_SHOP, 7, options, threads=2)
    found = play(batch, make_agent(name, batch.setting), cases)[place]
    assert found.metrics == expected.metrics
    assert np.array_equal(found.schedule.start, expected.schedule.start)


def test_random_play_is_uniform() -> None:
    tries = 6000
    arena = open_arena(JOB_SHOP, 1, {"instance": "la01"})
    agent = make_agent("random", arena.setting)
    arena.reset([Case(None, 0)])
    mask = np.repeat(arena.masks(), tries, axis=0)
    keys = np.array([_key(3, Case("la01", 0), number) for number in range(tries)], dtype=np.uint64)
    agent.begin(np.arange(tries), [None] * tries, keys, None)
    features = np.repeat(arena.observation()["actions/features"], tries, axis=0)
    for _ in range(3):
        counts = np.bincount(agent.act({"actions/features": features}, mask), minlength=mask.shape[1])
        expected = tries / mask[0, :-1].sum()
        assert counts[-1] == 0
        assert (abs(counts[:-1][mask[0, :-1] == 1] - expected) < 5 * np.sqrt(expected)).all()


def test_random_waits_only_when_asked() -> None:
    cases = [Case(None, seed) for seed in range(4)]
    arena = open_arena(JOB_SHOP, 4, {"instance": "random:size=6x6"})
    waits = {
        name: sum(e.metrics["waits"] for e in play(arena, make_agent(name, arena.setting), cases))
        for name in ("random", "random:wait=true")
    }
    assert waits["random"] == 0
    assert waits["random:wait=true"] > 0


BENCHMARK = [f"la{number:02d}" for number in (1, 2, 3, 4, 5, 16, 17, 18, 19, 20)]


def episodes(name: str, instances: list[str], **options: Any) -> list[Any]:
    """An agent's episodes on some instances."""
    options["instance"] = ",".join(instances)
    agent = make_agent(name, open_arena(JOB_SHOP, 1, options).setting)
    arena = open_arena(JOB_SHOP, len(instances) * agent.samples, options)
    return play(arena, agent, [Case(instance, 0) for instance in instances])


def gaps(name: str) -> tuple[float, float]:
    """Mean gap to the BWS optimum on la01-05 and la16-20, in percent."""
    optima = [bounds(instance, "swap").lower for instance in BENCHMARK]
    found = [100 * (e.objective / best - 1) for e, best in zip(episodes(name, BENCHMARK), optima, strict=True)]
    return sum(found[:5]) / 5, sum(found[5:]) / 5


FOURTEEN = tuple(list(rules_of(JOB_SHOP))[:14])


def test_published_behaviour_of_the_rules_under_blocking() -> None:
    found = {name: gaps(name) for name in FOURTEEN}
    small, large = zip(*found.values(), strict=True)
    assert (round(min(small)), round(max(small))) == (35, 49)
    assert (round(min(large)), round(max(large))) == (47, 60)
    assert min(found, key=lambda name: found[name][0]) == "nextfree"
    assert min(found, key=lambda name: found[name][1]) == "lrm"
    # CR, EST and ECT are not among the fourteen, but win no instance that the others lose.
    assert [round(gap, 1) for gap in gaps("best-rule:hindsight=1")] == [28.1, 32.5]


# Mean gaps to the best known makespan, in percent, 15x15 to 100x20.
IN_THE_CLASSICAL_SHOP = {
    "mwkr": (19.2, 23.4, 21.8, 23.9, 25.2, 16.9, 17.9, 8.3),
    "fdd-mwkr": (17.7, 21.3, 19.9, 21.7, 24.1, 15.3, 16.3, 7.6),
    "lrm": (19.5, 20.0, 17.7, 20.3, 23.8, 14.3, 15.2, 6.5),
}


@pytest.mark.parametrize("name", IN_THE_CLASSICAL_SHOP)
def test_published_behaviour_of_the_rules_in_the_classical_shop(name: str) -> None:
    """Taillard's eight classes, event by event; 0.06 is left for a best known makespan that falls."""
    for size, expected in enumerate(IN_THE_CLASSICAL_SHOP[name]):
        instances = [f"ta{10 * size + number:02d}" for number in range(1, 11)]
        found = []
        for instance, episode in zip(instances, episodes(name, instances, blocking="none"), strict=True):
            best = bounds(instance, "none").upper
            assert best is not None
            found.append(100 * (episode.objective / best - 1))
        assert sum(found) / 10 == pytest.approx(expected, abs=0.06), instances[0]


def test_without_swaps_every_rule_comes_to_a_deadlock_but_for_the_banker() -> None:
    """14 rules, 10 of 10 instances; with the banker none."""
    for name in FOURTEEN:
        for deadlock in ("end", "banker"):
            played = episodes(name, BENCHMARK, blocking="no-swap", deadlock=deadlock)
            assert {episode.metrics["deadlock"] for episode in played} == {deadlock == "end"}, name


def test_published_behaviour_of_random_play_under_blocking() -> None:
    small, large = gaps("random:samples=64")
    assert small == pytest.approx(16.7, abs=3)
    assert large == pytest.approx(24.8, abs=3)


@pytest.mark.parametrize("name", ["mwkr", "lrm", "nextfree", "winq", "cr"])
def test_rules_do_not_depend_on_the_hidden_world(name: str) -> None:
    """Same past, other future: the same choice at the first decision after the futures were redrawn."""
    arena = open_arena(JOB_SHOP, 1, {"law": "bernoulli", "p": 0.02, "instance": "la01"})
    agent = make_agent(name, arena.setting)
    arena.reset([Case("la01", 5)])
    for _ in range(12):
        assert isinstance(arena, EngineArena)
        worlds = arena.engine.imagine(np.zeros(8, dtype=np.int64), np.arange(8, dtype=np.uint64))
        actions = agent.act(worlds.block.views, worlds.masks)
        chosen = agent.act(arena.observation(), arena.masks())
        assert (actions == chosen[0]).all()
        arena.step(chosen)


def test_best_rule_is_chosen_on_training_instances() -> None:
    arena = open_arena(JOB_SHOP, 1, {"instance": "la16"})
    agent = make_agent("best-rule", arena.setting)
    again = make_agent("best-rule", open_arena(JOB_SHOP, 1, {"instance": "la17"}).setting)
    assert agent.rules == again.rules  # type: ignore[attr-defined]
    assert agent.name == "best-rule"


def test_names() -> None:
    setting = open_arena(JOB_SHOP, 1).setting
    assert [agent.name for agent in make_agents("mwkr,random:samples=8", setting)] == ["mwkr", "random:samples=8"]
    assert make_agent("spt:samples=3", setting).samples == 3
    with pytest.raises(UserError, match="twice"):
        make_agents("mwkr,mwkr", setting)
    with pytest.raises(UnknownNameError, match="did you mean 'fdd-mwkr'"):
        make_agent("fdd_mwkr", setting)
    with pytest.raises(UnknownNameError, match="did you mean 'samples'"):
        make_agent("random:sample=3", setting)
    with pytest.raises(UserError, match=r"samples .* is 0"):
        make_agent("random:samples=0", setting)
    with pytest.raises(UserError, match=r"wait.*true or false"):
        make_agent("random:wait=2", setting)
    with pytest.raises(UserError, match=r"gt-spt.*mode=construct"):
        make_agent("gt-spt", setting)
    with pytest.raises(UserError, match="samples"):
        make_agent("best-rule:hindsight=1:samples=3", setting)
    assert "gt-spt" not in known_agents(setting)
    assert "gt-spt" in known_agents(open_arena(JOB_SHOP, 1, {"mode": "construct", "blocking": "none"}).setting)


def test_registered_rules() -> None:
    setting = open_arena(JOB_SHOP, 1).setting
    before = rules_of("test/Nothing-v0")
    register_rules("test/Nothing-v0", [Rule("soonest", (("processing_time", 1),), "ours")])
    assert before == {}
    assert list(rules_of("test/Nothing-v0")) == ["soonest"]
    with pytest.raises(UserError, match="registered twice"):
        register_rules("test/Nothing-v0", [Rule("soonest", (("processing_time", -1),), "ours")])
    with pytest.raises(UserError, match="-1"):
        Rule("odd", (("processing_time", 2),), "ours")
    register_rules(JOB_SHOP, [Rule("test-lacking", (("colour", 1),), "ours")])
    try:
        with pytest.raises(UserError, match="colour"):
            make_agent("test-lacking", setting)
    finally:
        from makespan.agents.rules import rule

        del rule._registered[JOB_SHOP]
