"""Configs of training runs: what is refused, and in which words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from makespan.envs.core.errors import UserError
from makespan.training.config import PRESETS, TrainConfig, with_preset

Tiny = Callable[..., TrainConfig]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "graph_ppo"}, "unknown agent to train 'graph_ppo'; did you mean 'graph-ppo'"),
        ({"agent": "captian:capsules=0"}, "unknown agent to train 'captian'; did you mean 'captain'"),
        ({"agent": "captain:width=8"}, "option agent is 'captain:width=8', expected 'captain' without these options"),
        ({"agent": "graph-ppo:kind=slots"}, "expected 'graph-ppo' without these options"),
        ({"agent": "scorer:hidden=8"}, "option agent is 'scorer:hidden=8', expected 'scorer' without these options"),
        ({"agent": ["graph-ppo"]}, r"option agent is \['graph-ppo'\], expected a text"),
        ({"env": ""}, "option env is '', expected a text that is not empty"),
        ({"out": ""}, "option out is '', expected a text that is not empty"),
        ({"out": None}, "option out is None"),
        ({"imitate": 5}, "option imitate is 5, expected a text or nothing"),
        ({"algorithm": ["es"]}, r"option algorithm is \['es'\], expected a text or nothing"),
        ({"encoder": ["graph"]}, r"option encoder is \['graph'\], expected a text"),
        ({"steps": 0}, "option steps is 0, expected an integer from 1"),
        ({"steps": 1.5}, "option steps is 1.5, expected an integer"),
        ({"steps": True}, "option steps is True, expected an integer"),
        ({"minutes": float("nan")}, "option minutes is nan, expected a number from 0"),
        ({"minutes": float("inf")}, "option minutes is inf"),
        ({"minutes": "6"}, "option minutes is '6'"),
        ({"learning_rate": -1e-3}, "option learning_rate is -0.001"),
        ({"gamma": 1.01}, "option gamma is 1.01, expected a number from 0.0 to 1.0"),
        ({"copies": 2, "rollout": 4, "batch": 9}, "option batch is 9, expected at most copies x rollout = 8"),
        (
            {"copies": 5, "rollout": 5, "batch": 8},
            "option batch is 8, expected no divisor of copies x rollout - 1 = 24",
        ),
        ({"save_every": -1.0}, "option save_every is -1.0"),
    ],
)
def test_wrong_values(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        tiny(**changes)
    assert "\n" not in str(caught.value)


def test_round_trip_through_json(tiny: Tiny) -> None:
    config = tiny(imitate="spt", minutes=6)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False))) == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"widht": 8}, "unknown option of a training run 'widht'; did you mean 'width'"),
        ({"env": ...}, "an object with the key 'env'"),
        ({"width": 1}, "option width is 1"),
    ],
)
def test_damaged_data(tiny: Tiny, data: dict[str, Any], message: str) -> None:
    merged = {**tiny().to_dict(), **data}
    with pytest.raises(UserError, match=message):
        TrainConfig.from_dict({key: value for key, value in merged.items() if value is not ...})


def test_presets_fill_in_what_is_not_given(tiny: Tiny) -> None:
    plain = TrainConfig(env="makespan/JobShop-v0", agent="graph-ppo", out="x")
    for name, preset in PRESETS.items():
        config = with_preset(name, plain, {"copies": 7, "batch": 16})
        assert config.copies == 7
        for key, value in preset.values.items():
            if key not in ("copies", "batch"):
                assert getattr(config, key) == value
    assert PRESETS["quick"].values["minutes"] <= 6.0
    with pytest.raises(UserError, match="unknown preset 'quik'; did you mean 'quick'"):
        with_preset("quik", plain, {})


def test_the_config_is_light() -> None:
    program = (
        "import sys, makespan.training.config, makespan.training.folder as f; "
        "assert not {'torch', 'numba', 'stable_baselines3'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
