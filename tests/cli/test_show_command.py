"""`makespan show --format perfetto`: from an evaluation to a Chrome trace."""

from __future__ import annotations

import json

import pytest
from makespan.cli.main import main

SHOP = "makespan/JobShop-v0"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "x"
    given = [SHOP, "--agents", "spt,mwkr", "--instances", "ft06", "--seeds", "0"]
    assert main(["evaluate", *given, "--out", str(folder)]) == 0
    return folder


def test_a_row_becomes_a_trace(results, capsys, tmp_path):
    path = tmp_path / "x.json"
    assert main(["show", str(results), "--row", "1", "--format", "perfetto", "--out", str(path)]) == 0
    assert capsys.readouterr().out == ""
    trace = json.loads(path.read_text())
    row = json.loads((results / "results.json").read_text())[1]
    ends = [event["ts"] + event["dur"] for event in trace["traceEvents"] if event["ph"] == "X"]
    assert max(ends) == row["objective"]
    assert trace["otherData"]["schedule"].startswith("ft06, blocking with swaps")
    assert main(["show", str(results), "--row", "1", "--format", "perfetto"]) == 0
    assert json.loads(capsys.readouterr().out) == trace


def test_the_home_folder_is_known(results, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("home.json", "home.png", "home.txt"):
        assert main(["show", str(results), "--out", f"~/{name}"]) == 0
        assert (tmp_path / name).is_file()
    assert not (tmp_path / "~").exists()


def test_without_a_format_json_is_the_schedule(results, tmp_path):
    assert main(["show", str(results), "--out", str(tmp_path / "x.json")]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["format"] == "makespan/job-shop-schedule"


def test_an_unknown_format(results, capsys, tmp_path):
    assert main(["show", str(results), "--format", "perfeto", "--out", str(tmp_path / "x.json")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "perfeto" in error
    assert "perfetto" in error.replace("perfeto", "", 1)
    assert list(tmp_path.iterdir()) == []
