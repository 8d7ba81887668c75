"""What other packages add: agents by name, and folders of checkpoints."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import makespan.agents.plugins as plugins
import numpy as np
import pytest
from makespan.agents.agent import Agent
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent, options_of
from makespan.agents.learned import find_checkpoint
from makespan.cli.main import main
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.names import parse_name
from makespan.eval.portfolio import fitting_checkpoints

SHOP, BANDITS = "makespan/JobShop-v0", "makespan/RestlessBandits-v0"
OWN = "test-plugins/Own-v0"
SHIPPED = Path(str(importlib.import_module("makespan.checkpoints").__path__[0]))


class LastJob(Agent):
    """Takes the legal slot that is `steps` before the last one."""

    def __init__(self, setting, steps: int = 0, time: float = 1.0):
        if steps not in (0, 1):
            raise FieldError("option steps of agent 'last-job'", steps, "0 or 1")
        self.env_id, self.steps, self.time = setting.env_id, steps, time

    def act(self, observation, mask):
        return np.array([np.flatnonzero(row)[-1 - min(self.steps, row.sum() - 1)] if row.any() else 0 for row in mask])


def no_agent(setting):
    return 3


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(plugins, "_agents", {})
    monkeypatch.setattr(plugins, "_checkpoints", [])
    monkeypatch.setitem(sys.modules, "acme_test_agents", sys.modules[__name__])


@pytest.fixture
def setting():
    return open_arena(SHOP, 2, {"instance": "ft06"}).setting


def test_an_agent_plays_where_it_is_registered(setting):
    plugins.register_agents(SHOP, {"last-job": "acme_test_agents:LastJob"})
    agent = make_agent("last-job:steps=1:samples=2", setting)
    assert (agent.steps, agent.samples, agent.name) == (1, 2, "last-job:steps=1:samples=2")  # type: ignore[attr-defined]
    (episode,) = play(open_arena(SHOP, 2, {"instance": "ft06"}), agent, [Case(None, 0)])
    assert episode.metrics["finished"]
    assert "last-job" in known_agents(setting)
    elsewhere = open_arena(BANDITS, 1).setting
    assert "last-job" not in known_agents(elsewhere)
    with pytest.raises(UnknownNameError, match="'last-job'"):
        make_agent("last-job", elsewhere)


def test_an_agent_can_be_registered_for_every_environment(setting):
    plugins.register_agents("*", {"last-job": "acme_test_agents:LastJob"})
    assert make_agent("last-job", setting).env_id == SHOP  # type: ignore[attr-defined]
    assert make_agent("last-job", open_arena(BANDITS, 1).setting).env_id == BANDITS  # type: ignore[attr-defined]


def test_options_are_those_of_the_creator(setting):
    plugins.register_agents(SHOP, {"last-job": "acme_test_agents:LastJob"})
    assert options_of(parse_name("last-job")) == ("steps", "time")
    with pytest.raises(UnknownNameError, match="'step'; did you mean 'steps'"):
        make_agent("last-job:step=1", setting)
    with pytest.raises(FieldError, match="steps of agent 'last-job' is 7"):
        make_agent("last-job:steps=7", setting)


@pytest.mark.parametrize(
    "entry_point, message",
    [
        ("acme_missing.agents:Agent", "cannot be imported: No module named 'acme_missing'"),
        ("acme_test_agents:Missing", "cannot be imported"),
        ("acme_test_agents:no_agent", "made a int, expected a makespan Agent"),
    ],
)
def test_an_agent_that_cannot_be_made_is_named_when_it_is_used(entry_point, message, setting):
    plugins.register_agents(SHOP, {"odd": entry_point})
    assert "odd" in known_agents(setting)  # nothing is loaded for a list
    with pytest.raises(UserError, match=message) as error:
        make_agent("odd", setting)
    assert "'odd'" in str(error.value)


def test_names_of_ours_that_play_there_are_refused_and_others_are_free(setting):
    plugins.register_agents(SHOP, {"mwkr": "acme_test_agents:LastJob", "whittle": "acme_test_agents:LastJob"})
    with pytest.raises(UserError, match="'mwkr' is registered as 'acme_test_agents:LastJob', but it is ours"):
        make_agent("mwkr", setting)
    assert isinstance(make_agent("whittle", setting), LastJob)  # ours plays restless bandits only


@pytest.mark.parametrize(
    "name, entry_point, message",
    [
        ("Upper", "a.b:C", "a-z, 0-9"),
        ("a/b", "a.b:C", "a-z, 0-9"),
        ("a:b=1", "a.b:C", "a-z, 0-9"),
        ("a", "a.b", "expected 'package.module:Class'"),
        ("a", LastJob, "expected 'package.module:Class'"),
    ],
)
def test_malformed_registrations_are_refused(name, entry_point, message):
    with pytest.raises(UserError, match=message):
        plugins.register_agents(OWN, {name: entry_point})


def test_a_name_is_registered_once():
    plugins.register_agents(OWN, {"exact": "a.b:C"})
    plugins.register_agents(OWN, {"exact": "a.b:C"})
    with pytest.raises(UserError, match="registered twice"):
        plugins.register_agents(OWN, {"exact": "a.b:D"})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that ships a copy of one of our checkpoints under another name."""
    folder = tmp_path / "acme_test_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    shutil.copytree(SHIPPED / "job_shop_scorer", folder / "acme_scorer")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # a path wins over what ships
    yield folder
    sys.modules.pop("acme_test_weights", None)


def test_checkpoints_of_other_packages_are_found_by_name(package, setting):
    pytest.importorskip("safetensors")
    with pytest.raises(UserError, match="neither a folder nor shipped"):
        find_checkpoint("checkpoints/acme_scorer")
    plugins.register_checkpoints("acme_test_weights")
    assert find_checkpoint("checkpoints/acme_scorer") == package / "acme_scorer"
    assert find_checkpoint("checkpoints/job_shop_scorer") == SHIPPED / "job_shop_scorer"
    assert make_agent("checkpoints/acme_scorer", setting).name == "checkpoints/acme_scorer"
    assert "checkpoints/acme_scorer" in [stage.agent for stage in fitting_checkpoints(SHOP, {})]


def test_a_checkpoint_that_two_packages_ship_is_refused(package):
    (package / "acme_scorer").rename(package / "job_shop_scorer")
    plugins.register_checkpoints("acme_test_weights")
    with pytest.raises(UserError, match="'checkpoints/job_shop_scorer' is shipped twice"):
        find_checkpoint("checkpoints/job_shop_scorer")


def test_a_package_of_checkpoints_that_is_missing_is_named():
    plugins.register_checkpoints("acme_missing.checkpoints")
    with pytest.raises(UserError, match=r"'acme_missing.checkpoints' cannot be found"):
        find_checkpoint("checkpoints/any")
    for wrong in ("no/package", "", 3):
        with pytest.raises(UserError, match="expected the name of a package"):
            plugins.register_checkpoints(wrong)  # type: ignore[arg-type]


def test_a_damaged_card_is_named(package):
    (package / "acme_scorer" / "card.json").write_text("[]")
    plugins.register_checkpoints("acme_test_weights")
    with pytest.raises(UserError, match=r"card\.json: expected a checkpoint's card"):
        list(plugins.shipped_cards())


def test_envs_lists_who_plays(package, capsys):
    plugins.register_agents(SHOP, {"last-job": "acme_missing:Agent"})
    plugins.register_checkpoints("acme_test_weights")
    assert main(["envs", "--json"]) == 0
    (row,) = (row for row in json.loads(capsys.readouterr().out) if row["id"] == SHOP)
    assert row["agents"] == ["last-job"]
    assert "mwkr" in row["rules"]
    assert {"checkpoints/acme_scorer", "checkpoints/job_shop_scorer"} <= set(row["checkpoints"])
