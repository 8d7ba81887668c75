"""The examples of restless bandits: whom health workers visit, and a patrol on a list of streets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from makespan.cli.main import main
from makespan.envs.restless_bandits.env import make_engine
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.source import resolve
from makespan.envs.restless_bandits.streets import read_places, read_streets
from makespan.envs.restless_bandits.walks import Walks

EXAMPLES = Path(__file__).parents[2] / "examples"
OUTREACH = EXAMPLES / "health_outreach" / "outreach.py"
STREETS, PLACES = EXAMPLES / "patrol" / "streets.csv", EXAMPLES / "patrol" / "places.csv"
PATROL = f"{STREETS}:depot=station:length=60:budget=8:horizon=6:places={PLACES}"


@pytest.fixture(scope="module")
def outreach():
    spec = importlib.util.spec_from_file_location("outreach", OUTREACH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_beneficiaries_have_the_published_shares_and_probabilities(outreach) -> None:
    instance = outreach.make_outreach(200, 5, seed=3)
    assert [instance.group.count(name) for name in outreach.TYPES] == [40, 40, 120]
    assert instance.reward[7].tolist() == [0.0, 0.5, 1.0]
    for j, name in enumerate(instance.group):
        kind, law = outreach.TYPES[name], instance.transition[j]
        assert kind.fades[0] <= law[0, outreach.PERSUADABLE, outreach.LOST] <= kind.fades[1]
        assert kind.responds[0] <= law[1, outreach.PERSUADABLE, outreach.MOTIVATED] <= kind.responds[1]
        for level in (0, 1):
            assert law[level, outreach.MOTIVATED].tolist() == [0.0, 1.0 - kind.stays, kind.stays]
            assert law[level, outreach.LOST].tolist() == pytest.approx([0.6, 0.4, 0.0])
    assert outreach.make_outreach(200, 5, seed=3).hash == instance.hash


def test_tables_say_who_is_left_out_and_what_estimates_cost(outreach, monkeypatch) -> None:
    pytest.importorskip("highspy")
    monkeypatch.setattr(outreach, "AGENTS", ("null", "random-feasible", "myopic-exact", "index-milp"))
    instance = outreach.make_outreach(20, 8)
    lines = outreach.left_out(instance, 3)
    assert len(lines) == 2 + 4 * 2
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines[2:]]
    never = {(row[0], row[1]): row[3] for row in rows}
    assert never["0", "null"] == "100%"
    assert {never["1", agent] for agent in outreach.AGENTS} == {"0%"}
    returns = {row[1]: float(row[2]) for row in rows if row[0] == "0"}
    assert returns["null"] < returns["random-feasible"] < returns["index-milp"]
    monkeypatch.setattr(outreach, "OBSERVED", (0, 2))
    monkeypatch.setattr(outreach, "PLANNERS", ("myopic-exact",))
    assert [line.split("|")[1].strip() for line in outreach.estimated(instance, 2)[2:]] == [
        "all (true probabilities)",
        "2",
    ]


@pytest.mark.slow
def test_the_outreach_command_writes_tables_an_instance_and_a_picture(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(OUTREACH), "--out", str(tmp_path / "out"), "--seeds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "tables.md").read_text() == done.stdout
    assert (tmp_path / "out" / "outreach.png").stat().st_size > 10_000
    assert BanditInstance.load(tmp_path / "out" / "outreach.json").num_arms == 60


def test_every_place_of_the_patrol_is_described_and_some_are_beyond_a_walk() -> None:
    streets = read_streets(STREETS)
    described = read_places(PLACES, streets)
    assert all(set(described[column]) == set(streets.places) for column in ("x", "y", "value", "group"))
    (instance,) = resolve(PATROL)
    assert isinstance(instance.feasible, Walks)
    beyond = 2 * instance.feasible.distance[instance.feasible.depot] > instance.feasible.length
    assert 0 < beyond.sum() < instance.num_arms / 4
    assert set(instance.group) == {"centre", "north", "east", "south", "west"}


def test_the_patrol_is_evaluated_by_its_list_of_streets(tmp_path, capsys) -> None:
    pytest.importorskip("highspy")
    out = tmp_path / "patrol"
    arguments = ["evaluate", "makespan/RestlessBandits-v0", "--agents", "null,index-per-use", "--instances", PATROL]
    assert main([*arguments, "--seeds", "0-3", "--out", str(out)]) == 0
    capsys.readouterr()
    rows = json.loads((out / "results.json").read_text())
    assert {row["instance"] for row in rows} == {"streets-station-60"}
    means = {
        agent: np.mean([row["objective"] for row in rows if row["agent"] == agent])
        for agent in ("null", "index-per-use")
    }
    assert means["index-per-use"] > 2 * means["null"]
    assert all(row["valid"] for row in rows)
    assert rows[-1]["metrics"]["visits_of/centre"] > 0
    pytest.importorskip("matplotlib")
    picture = tmp_path / "patrol.png"
    assert main(["show", str(out), "--agent", "index-per-use", "--out", str(picture)]) == 0
    assert picture.stat().st_size > 10_000


def test_places_beyond_a_walk_are_never_acted_on() -> None:
    (instance,) = resolve(PATROL)
    assert isinstance(instance.feasible, Walks)
    engine = make_engine(1, instance=instance)
    engine.reset([0])
    beyond = 2 * instance.feasible.distance[instance.feasible.depot] > instance.feasible.length
    assert not engine.masks[0, :-1][beyond].any()
    assert engine.masks[0, :-1][~beyond].all()
