"""Checkpoints that ship: copied from a run, with measured results in the card."""

from __future__ import annotations

from pathlib import Path

import pytest
from makespan.agents.checkpoint import load_checkpoint
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.eval.publish import add_results, publish, summarise
from makespan.training.config import TrainConfig
from makespan.training.run import train


def test_published_and_measured(tmp_path: Path) -> None:
    run, target, results = (tmp_path / name for name in ("run", "published", "results"))
    train(
        TrainConfig(
            "makespan/JobShop-v0", "graph-ppo", str(run), instances="random:size=3x3", steps=64, copies=4, rollout=8,
            batch=16, width=8, validation_worlds=4, threads=1, imitate="spt",
        ),
        quiet=True,
    )  # fmt: skip
    publish(run, target, "small")
    weights, card = load_checkpoint(target)
    assert card["name"] == "published"
    assert card["notes"] == "small"
    assert card["training"]["command"].startswith("makespan train makespan/JobShop-v0 --agent graph-ppo --out runs/x")
    assert "--instances random:size=3x3" in card["training"]["command"]
    assert str(tmp_path) not in str(card), "a card names no folder of one machine"
    agents = f"spt,best-rule:hindsight=1,{target}"
    arguments = ["makespan/JobShop-v0", "--agents", agents, "--instances", "ft06,la01", "--out", str(results)]
    assert main(["evaluate", *arguments]) == 0
    add_results(target, [results])
    again, card = load_checkpoint(target)
    assert all((again[name] == weights[name]).all() for name in weights)
    (entry,) = card["results"]
    assert entry["worlds"] == 2
    assert entry["reference"] == "best-rule:hindsight=1"
    assert entry["agents"]["best-rule:hindsight=1"]["relative"]["mean"] == 0
    assert entry["agents"]["spt"]["relative"]["mean"] >= 0
    assert entry["agents"][str(target)]["objective"]["count"] == 2


def test_no_results(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.json"):
        summarise(tmp_path)


def test_a_card_compares_with_what_the_command_did(tmp_path: Path) -> None:
    words = ["makespan/JobShop-v0", "--agents", "mwkr,spt", "--instances", "ft06", "--reference", "spt"]
    assert main(["evaluate", *words, "--out", str(tmp_path / "results")]) == 0
    (entry,) = summarise(tmp_path / "results")
    assert entry["reference"] == "spt"
    assert entry["agents"]["spt"]["relative"]["mean"] == 0
