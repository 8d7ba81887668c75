"""`makespan evaluate --anytime`, from the command line to the files."""

import csv
import json

import pytest
from makespan.cli.main import main

SHOP = "makespan/JobShop-v0"
SMALL = ["evaluate", SHOP, "--agents", "spt,random", "--instances", "ft06,la01", "--anytime", "0.01,0.05"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anytime") / "x"
    assert main([*SMALL, "--out", str(folder)]) == 0
    return folder


def test_everything_is_written(results):
    assert {path.name for path in results.iterdir()} == {
        "run.json",
        "anytime.json",
        "anytime.csv",
        "anytime.png",
        "summary.md",
        "schedules",
    }
    data = json.loads((results / "anytime.json").read_text())
    assert data["tables"][0]["budgets"] == [0.01, 0.05]
    assert [line["agent"] for line in data["tables"][0]["agents"]] == ["spt", "random"]
    with open(results / "anytime.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cpu_seconds"]) for row in rows] == [point["cpu_seconds"] for point in data["points"]]
    assert {row["agent"] for row in rows} == {"spt", "random"}
    assert (results / "anytime.png").stat().st_size > 5000
    text = (results / "summary.md").read_text()
    assert f"makespan evaluate {SHOP} --agents spt,random --instances ft06,la01 --anytime 0.01,0.05 --out " in text
    assert "| agent: gap after | 0.01 s | 0.05 s |" in text
    assert "![anytime](anytime.png)" in text


def test_the_same_command_plays_nothing_again(results, capsys):
    before = (results / "anytime.csv").read_bytes()
    assert main([*SMALL, "--out", str(results)]) == 0
    assert (results / "anytime.csv").read_bytes() == before
    assert "CPU seconds: per world, measured" in " ".join(capsys.readouterr().out.split())


def test_another_command_is_refused(results, capsys):
    assert main([*SMALL[:-2], "--out", str(results)]) == 2
    assert "anytime is '0.01,0.05' there and None here" in capsys.readouterr().err


def test_there_is_no_row_to_show(results, capsys):
    assert main(["show", str(results)]) == 2
    assert "holds an anytime evaluation, which has points and no rows" in capsys.readouterr().err


def test_overwriting_leaves_nothing_of_it(tmp_path, results):
    folder = tmp_path / "x"
    assert main([*SMALL, "--out", str(folder)]) == 0
    assert main([*SMALL[:-2], "--out", str(folder), "--overwrite"]) == 0
    assert not list(folder.glob("anytime*"))


def test_without_budgets_there_are_four(capsys):
    assert main([*SMALL[:-2], "--anytime", "--agents", "spt", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["tables"][0]["budgets"] == [0.1, 1, 10, 60]
    assert len(data["points"]) == 2


@pytest.mark.parametrize("given", ["--anytime=0", "--anytime=", "--anytime=1,0.1", "--anytime=1,fast"])
def test_budgets_that_are_none(given, capsys):
    assert main([*SMALL[:-2], given]) == 2
    error = capsys.readouterr().err
    assert error.startswith("makespan: error: option anytime")
    assert error.count("\n") == 1
