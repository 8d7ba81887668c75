"""`makespan evaluate --hindsight`, from the command line to the files."""

import csv
import json

import pytest
from makespan.cli.main import main

SHOP = "makespan/JobShop-v0:law=bernoulli:p=0.01"
SMALL = ["evaluate", SHOP, "--agents", "spt,random", "--instances", "random:size=3x3:count=2:seed=1", "--seeds", "0-1"]


def test_it_can_be_added_to_an_evaluation(tmp_path, capsys):
    folder = tmp_path / "x"
    assert main([*SMALL, "--out", str(folder)]) == 0
    before = json.loads((folder / "results.json").read_text())
    assert main([*SMALL, "--hindsight", "60", "--out", str(folder)]) == 0
    assert "(4 proved)" in capsys.readouterr().out
    rows = json.loads((folder / "results.json").read_text())
    added = ("hindsight_objective", "hindsight_bound", "hindsight_proved")
    assert [{key: value for key, value in row.items() if key not in added} for row in rows] == before
    with open(folder / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["hindsight_objective"]) for row in table] == [row["hindsight_objective"] for row in rows]
    assert {row["hindsight_proved"] for row in table} == {"true"}
    assert "above hindsight optimum" in (folder / "summary.md").read_text()


@pytest.mark.parametrize(
    "given, message",
    [
        (["--hindsight", "0"], "option hindsight is 0.0"),
        (["--hindsight", "soon"], "hindsight"),
        (["--hindsight", "9", "--anytime", "1"], "cannot be given together"),
    ],
)
def test_mistakes_are_one_line(given, message, capsys):
    assert main([*SMALL, *given]) == 2
    error = capsys.readouterr().err
    assert error.startswith("makespan: error: ")
    assert message in error
    assert error.count("\n") == 1
