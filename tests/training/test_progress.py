"""What a person sees of a training run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from makespan.training.config import TrainConfig
from makespan.training.progress import Progress


@pytest.mark.parametrize(
    ("best", "rule", "expected"),
    [
        (90.0, 100.0, "90, 10.0% below the best rule edd 100"),
        (110.0, 100.0, "110, 10.0% above the best rule edd 100"),
        (-50.0, -100.0, "-50, 50.0% above the best rule edd -100"),
        (-150.0, -100.0, "-150, 50.0% below the best rule edd -100"),
        (50.0, -100.0, "50, 150.0% above the best rule edd -100"),
        (3.0, 0.0, "3, 3 above the best rule edd 0"),
        (-3.0, 0.0, "-3, 3 below the best rule edd 0"),
        (0.0, 0.0, "0, as the best rule edd 0"),
        (7.0, None, "best held-out score 7; checkpoint"),
    ],
)
def test_the_last_line_says_how_far_from_the_rule(
    best: float, rule: float | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    objective = {"name": "profit", "unit": "$", "sense": "max"}
    validation: Any = SimpleNamespace(
        setting=SimpleNamespace(objective=objective), rule=None if rule is None else "edd", rule_score=rule, worlds=8
    )
    run: Any = SimpleNamespace(
        counters=SimpleNamespace(best=best, seconds=3.0), validation=validation, decisions=64, folder=Path("x")
    )
    progress = Progress(TrainConfig("makespan/AirMobility-v0", "scorer", "x"), quiet=False)
    progress.begin(validation)
    progress.end(run)
    said = " ".join(capsys.readouterr().err.split())
    assert expected in said
    assert said.endswith("checkpoint: x/best")
