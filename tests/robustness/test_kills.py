"""``kill -9`` at random moments of training and of optimising: files stay whole, and the same command loses nothing.

The long run has 56 kills, or as many of each command as MAKESPAN_KILLS says:

    MAKESPAN_KILLS=10 pytest -m slow -s tests/robustness/test_kills.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from makespan.agents.checkpoint import checkpoint_place, load_checkpoint, parse_arrays
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from support.killing import command, give_again, kill_again, left_over

KILLS = int(os.environ.get("MAKESPAN_KILLS", "8"))
STATE = "state.safetensors"
SHOP = "makespan/JobShop-v0"
TINY = [
    "--instances", "random:size=3x3", "--steps", "1000000000", "--minutes", "100000", "--save-every", "0",
    "--validate-every", "0.2", "--validation-worlds", "2", "--copies", "2", "--rollout", "4", "--batch", "8",
    "--epochs", "1", "--width", "4", "--layers", "1", "--device", "cpu", "--seed", "3",
]  # fmt: skip
RUNS: dict[str, list[str]] = {
    "scorer": [SHOP, "--agent", "scorer", *TINY, "--evolve-directions", "2", "--evolve-worlds", "2"],
    "slots-ppo": [SHOP, "--agent", "slots-ppo", *TINY],
    "self-label": [
        SHOP, "--agent", "slots-ppo", "--algorithm", "self-label", *TINY, "--label-worlds", "2", "--label-tries", "2",
    ],
    "alphazero": [
        SHOP, "--agent", "alphazero", "--encoder", "slots", *TINY, "--simulations", "2", "--unroll", "2",
        "--replay", "64",
    ],
    "tree": [SHOP, "--agent", "tree", "--imitate", "spt", *TINY, "--label-worlds", "2", "--tree-leaves", "8"],
    "sequoia": [
        "makespan/RestlessBandits-v0", "--agent", "sequoia", *TINY[2:], "--instances", "random:size=cardinality-j20",
        "--replay", "64",
    ],
}  # fmt: skip


def trained(out: Path) -> tuple[int, float]:
    """(decisions, updates and the like) of the state, and how good the best checkpoint is; all of it is whole."""
    meta: dict[str, Any] = {}
    if (out / STATE).exists():
        meta = json.loads(parse_arrays((out / STATE).read_bytes(), STATE)["meta"].tobytes())
    best = float("inf")
    for name in ("best", "last"):
        if os.path.isdir(checkpoint_place(out / name)):
            _, card = load_checkpoint(out / name)
            score = card["training"]["validation"]["mean_objective"]
            sign = -1 if "RestlessBandits" in card["env"] else 1
            best = sign * score if name == "best" else best
    done = [meta[key] for key in ("decisions", "num_timesteps", "rounds") if key in meta]
    assert len(done) <= 1
    return (done[0] if done else 0), best


def check_training(name: str, out: Path, kills: int, seed: int) -> None:
    words = ["train", *RUNS[name], "--out", str(out)]
    begun = (out / STATE).exists
    found = kill_again(words, out, kills, trained, lambda _: begun(), 1.0, random.Random(seed), grow=1.5)
    assert found.ended is None, found.said
    assert found.kills == kills
    steps = [steps for steps, _ in found.reached]
    best = [best for _, best in found.reached]
    print(f"{name}: {kills} kills, {steps[0]} ... {steps[-1]} of what the state counts")
    assert steps == sorted(steps), "nothing that was saved is lost"
    assert steps[-1] > 0
    assert best == sorted(best, reverse=True), "the best checkpoint never gets worse"
    interrupt(words, out, steps[-1])


def interrupt(words: list[str], out: Path, least: int) -> None:
    """The same command goes on, and ends by Ctrl-C with everything saved and nothing left over."""
    before = (out / STATE).stat().st_mtime_ns
    process = subprocess.Popen(command(words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and (out / STATE).stat().st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "the same command goes on from there" in errors
    assert trained(out)[0] > least
    assert left_over(out) == []
    assert {path.name for path in out.iterdir()} == {"run.json", STATE, "best", "last", "tensorboard"}


# --- optimise ---------------------------------------------------------------------------------------------------------

SEARCHES: dict[str, list[str]] = {
    "portfolio": ["la36", "--agent", "portfolio"],  # whose optimum nobody proves in that time
    "random": ["la16", "--agent", "random"],
    "classical": ["ta01", "--agent", "nextfree:samples=2", "--env", f"{SHOP}:blocking=none"],
}


def searched(out: Path) -> float:
    """The objective in the folder, of a schedule that is whole and valid."""
    if not (out / "schedule.json").exists():
        return float("inf")
    schedule = JobShopSchedule.from_dict(json.loads((out / "schedule.json").read_text()))
    assert validate(schedule) == []
    assert schedule.objective is not None
    if (out / "result.json").exists():
        result = json.loads((out / "result.json").read_text())
        assert result["objective"] >= schedule.objective, "the schedule is written before what is said of it"
    return schedule.objective


def check_search(name: str, out: Path, kills: int, seed: int) -> None:
    words = ["optimise", *SEARCHES[name], "--seconds", "30", "--out", str(out)]
    found = kill_again(
        words,
        out,
        kills,
        searched,
        lambda folder: (folder / "run.json").exists(),
        2.0,
        random.Random(seed),
        patience=8.0,
    )
    assert found.ended is None, found.said
    assert found.kills == kills
    print(f"{name}: {kills} kills, objective {found.reached[0]} ... {found.reached[-1]}")
    assert found.reached == sorted(found.reached, reverse=True), "what was found is never lost"
    words[words.index("--seconds") + 1] = "0.5"
    done = give_again(words)
    assert done.returncode == 0, done.stderr
    assert searched(out) <= found.reached[-1]
    result = json.loads((out / "result.json").read_text())
    assert result["objective"] == searched(out)
    objectives = [objective for _, objective, _ in result["history"]]
    assert objectives == sorted(objectives, reverse=True)


# --- short and long ---------------------------------------------------------------------------------------------------


def test_a_training_run_and_a_search_are_killed_now_and_then(tmp_path: Path) -> None:
    check_training("scorer", tmp_path / "run", 1, 0)
    check_search("random", tmp_path / "search", 2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_training_is_killed_again_and_again(tmp_path: Path, name: str) -> None:
    check_training(name, tmp_path / "run", KILLS, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_searches_are_killed_again_and_again(tmp_path: Path, name: str) -> None:
    check_search(name, tmp_path / "search", KILLS, 2)
