"""The rules about who plays an environment: each is broken by an environment or a registration made for it."""

import importlib.util
import re
import sys

import gymnasium
import makespan.agents.plugins as plugins
import makespan.agents.rules.rule as rule_module
import numpy as np
import pytest
from makespan.agents.agent import Agent
from makespan.agents.check import RULES, check_players
from makespan.agents.rules.rule import ConflictSet, Rule, Term, register_rules
from makespan.envs.core.errors import MissingExtraError, UserError
from makespan.envs.job_shop.env import JobShopEnv, JobShopVectorEnv
from support.weighted_tardiness import Good

SHOP, PLAIN = "test-players/Shop-v0", "test-players/Plain-v0"
OPTIONS = {"instance": "ft06"}


@pytest.fixture(autouse=True)
def ids(monkeypatch):
    gymnasium.register(id=SHOP, entry_point=JobShopEnv, vector_entry_point=JobShopVectorEnv)
    gymnasium.register(id=PLAIN, entry_point=Good)
    monkeypatch.setattr(plugins, "_agents", {})
    monkeypatch.setattr(plugins, "_checkpoints", [])
    monkeypatch.setattr(rule_module, "_registered", {})
    monkeypatch.setitem(sys.modules, "acme_check_agents", sys.modules[__name__])
    yield
    for env_id in (SHOP, PLAIN):
        del gymnasium.registry[env_id]


def findings(env_id=SHOP, options=OPTIONS):
    found = {finding.rule: finding for finding in check_players(env_id, options)}
    assert list(found) == [rule.name for rule in RULES]
    return found


class FirstSlot(Agent):
    name = "first-slot"

    def __init__(self, setting):
        pass

    def act(self, observation, mask):
        return np.argmax(mask, axis=1).astype(np.int64)


class Illegal(FirstSlot):
    def act(self, observation, mask):
        return np.argmin(mask, axis=1).astype(np.int64)


class Demanding(FirstSlot):
    def __init__(self, setting, depth):
        pass


class Refusing(FirstSlot):
    def __init__(self, setting):
        raise UserError("it is no shop of mine")


class Missing(FirstSlot):
    def __init__(self, setting):
        raise MissingExtraError("playing", "gold", "goldpkg")


def test_what_is_registered_plays():
    register_rules(SHOP, [Rule("spt", (("processing_time", 1),), "shortest first")])
    register_rules(PLAIN, [Rule("edd", (("due_date", 1),), "earliest first")])
    for env_id in (SHOP, PLAIN):
        plugins.register_agents(env_id, {"first-slot": "acme_check_agents:FirstSlot"})
    assert {rule: one.outcome for rule, one in findings().items()} == {
        "compiled play": "passed", "rules": "passed", "agents": "passed", "checkpoints": "skipped",
    }  # fmt: skip
    plain = findings(PLAIN, {})
    assert {rule: one.outcome for rule, one in plain.items()} == {
        "compiled play": "skipped", "rules": "passed", "agents": "passed", "checkpoints": "skipped",
    }  # fmt: skip
    assert "switches off" in plain["compiled play"].text


def test_where_nothing_is_registered_the_rules_say_what_that_switches_off():
    found = findings()
    assert {found[name].outcome for name in ("rules", "agents", "checkpoints")} == {"skipped"}
    assert "switches off best-rule" in found["rules"].text


@pytest.mark.parametrize(
    "rule, message",
    [
        (
            Rule("odd", (("no_such_feature", 1),), "x"),
            "rule 'odd': unknown action feature 'no_such_feature'",
        ),
        (
            Rule("odd", (("progress", 1),), "x", terms=(Term("nowhere", "w", ((0, 1.0),)),)),
            "unknown action feature 'nowhere'",
        ),
        (Rule("odd", (("progress", 1),), "x", level="nothing"), "depends on 'nothing'"),
        (
            Rule("odd", (("progress", 1),), "x", conflict_set=ConflictSet("progress", "progress", "tool")),
            "names 'tool', a node type",
        ),
    ],
)
def test_a_rule_of_features_that_nobody_shows_is_caught(rule, message):
    register_rules(SHOP, [rule])
    assert findings()["rules"].outcome == "failed"
    assert message in findings()["rules"].text


@pytest.mark.parametrize(
    "kind, outcome, message",
    [
        ("Illegal", "failed", "agent 'illegal' raised ValueError"),
        ("Demanding", "failed", "TypeError"),
        ("Refusing", "failed", "cannot be made without options: it is no shop of mine"),
        ("Nobody", "failed", "cannot be imported"),
        ("Missing", "skipped", "goldpkg"),
    ],
)
def test_an_agent_that_cannot_play_is_caught(kind, outcome, message):
    plugins.register_agents(SHOP, {kind.lower(): f"acme_check_agents:{kind}"})
    found = findings()["agents"]
    assert found.outcome == outcome
    assert message in found.text


def test_a_schedule_that_does_not_stand_is_caught():
    class Doubting(JobShopEnv):
        def validate(self, schedule):
            return ["machine 3 is on fire"]

    gymnasium.registry[SHOP].entry_point = Doubting
    found = findings()["compiled play"]
    assert found.outcome == "failed"
    assert "machine 3 is on fire" in found.text


def test_kernels_that_play_another_game_are_caught(monkeypatch):
    """Compiled play that ends elsewhere than steps do: the objective is one more after it."""
    import makespan.agents.arena as arena
    from makespan.envs.core.player import play_out as plain

    def astray(engine, *choice):
        plain(engine, *choice)
        monkeypatch.setattr(type(engine), "objectives", lambda self: np.arange(self.num_copies) + 1)

    monkeypatch.setattr(arena, "play_out", astray)
    found = findings()["compiled play"]
    assert found.outcome == "failed"
    assert re.search(r"in compiled code seed 3 came to 1\.0 .* step by step to", found.text)


def test_a_checkpoint_for_another_spec_is_caught(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    import json
    import shutil
    from pathlib import Path

    shipped = Path(str(importlib.util.find_spec("makespan.checkpoints").submodule_search_locations[0]))  # type: ignore[union-attr]
    folder = tmp_path / "acme_check_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    shutil.copytree(shipped / "job_shop_scorer", folder / "one")
    card = json.loads((folder / "one" / "card.json").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    plugins.register_checkpoints("acme_check_weights")
    for spec, outcome in ((card["spec_hash"], "passed"), ("0" * 16, "failed")):
        (folder / "one" / "card.json").write_text(json.dumps({**card, "env": SHOP, "spec_hash": spec}))
        found = findings()["checkpoints"]
        assert found.outcome == outcome, found
    assert "checkpoints/one does not fit" in found.text
