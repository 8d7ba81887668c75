"""What people see at the command line: dollars in tables, micro-dollars in files, a day as text, picture and GIF."""

from __future__ import annotations

import csv
import json

import pytest
from makespan.cli.main import main
from makespan.envs.air_mobility import animation
from PIL import Image

AIR = "makespan/AirMobility-v0"
GOLDEN_DAYS = {
    "la8-medium": 5_410_207_600,
    "la8-low": 1_437_175_600,
    "la8-high": 16_799_244_800,
    "sf8-medium": 5_771_290_000,
    "nyc8-medium": 6_210_281_600,
    "dfw8-medium": 5_338_965_600,
}
"""What the agent `greedy-profit` earns on day 0, in micro-dollars."""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "air"
    given = [AIR, "--agents", "greedy-profit", "--instances", ",".join(GOLDEN_DAYS), "--seeds", "0"]
    assert main(["evaluate", *given, "--out", str(folder)]) == 0
    return folder


def test_tables_show_dollars_and_files_hold_microdollars(evaluated):
    summary = (evaluated / "summary.md").read_text()
    assert "| agent | objective ($) |" in summary
    mean = sum(GOLDEN_DAYS.values()) / len(GOLDEN_DAYS) / 1e6
    assert f"| greedy-profit | {mean:.1f} [" in summary
    assert "Objective: profit ($), larger is better. The files of results hold it in micro-dollars." in summary
    with (evaluated / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["instance"]: row["objective"] for row in rows} == {name: str(x) for name, x in GOLDEN_DAYS.items()}
    assert [float(row["metrics.profit_usd"]) for row in rows] == [profit / 1e6 for profit in GOLDEN_DAYS.values()]
    rows = json.loads((evaluated / "results.json").read_text())
    assert [row["objective"] for row in rows] == list(GOLDEN_DAYS.values())
    assert all(row["valid"] for row in rows)


def test_environments_are_listed_with_both_units(capsys):
    assert main(["envs"]) == 0
    assert "objective: profit (micro-dollars, shown in $), maximised" in capsys.readouterr().out


def test_a_day_is_shown_as_text_picture_and_animation(evaluated, tmp_path, capsys, monkeypatch):
    assert main(["show", str(evaluated)]) == 0
    assert capsys.readouterr().out.startswith("la8-medium, 18:00: profit $5,410; 871 served,")
    assert main(["show", str(evaluated), "--out", str(tmp_path / "day.png")]) == 0
    with Image.open(tmp_path / "day.png") as picture:
        assert picture.size == (1150, 1000)
    # A picture each two hours instead of each three minutes: the same code, quicker.
    monkeypatch.setattr(animation.save_animation, "__defaults__", (0, None, 7200, 12, 360, 320))
    assert main(["show", str(evaluated), "--format", "gif", "--out", str(tmp_path / "day.gif")]) == 0
    with Image.open(tmp_path / "day.gif") as gif:
        assert gif.n_frames == 7  # pyright: ignore[reportAttributeAccessIssue]
