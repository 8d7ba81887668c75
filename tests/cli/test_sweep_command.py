"""``makespan sweep``: whole, continued, killed, refused."""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.checkpoint import load_checkpoint
from makespan.cli import train as training
from makespan.cli.main import main
from makespan.eval import pictures
from makespan.eval.judge import Judge
from makespan.eval.ray_crew import RayCrew
from makespan.eval.workers import Processes
from makespan.sweep import work
from support.killing import command as process_of
from support.killing import give_again, kill_again, left_over

TINY = """
title = "Tiny sweep"
env = "makespan/JobShop-v0"
agent = "scorer"
sampler = "tpe"
seed = 1
trials = 4
rescore_worlds = 8
rescore_top = 2

[budget]
unit = "steps"
first = 300
last = 900
eta = 3

[training]
instances = "random:size=2x2"
evolve_worlds = 4
validation_worlds = 4
save_every = 0
device = "cpu"

[space]
evolve_directions = [2, 4]
evolve_rate = { low = 0.01, high = 0.3, log = true }

[baseline]
"""
COMMAND = ["sweep", "tiny.toml", "--out", "x"]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


class Here:
    """Works through a board in this process, and counts what it does."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def __call__(self, board: Any, number: int, make_desk: Any, *arguments: Any) -> None:
        desk = make_desk(*arguments)
        while (task := board.take(0)) is not None:
            self.tasks.append(task)
            board.done(task, desk.do(task))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """Training takes place in this process, and schedules are not drawn: that is what takes seconds."""
    found = Here()
    monkeypatch.setattr(pictures, "draw_pictures", lambda folder, report: ([], []))
    monkeypatch.setattr(work, "work_through", found)
    return found


def contents(folder: Path) -> dict[str, Any]:
    """What a sweep has found, without times, and without who of two seeds came to a budget first."""
    found: dict[str, Any] = {"sweep": json.loads((folder / "sweep.json").read_text())}
    for path in sorted((folder / "trials").iterdir()):
        trial = json.loads(path.read_text())
        for one in trial["reached"]:
            del one["seconds"]
        trial["reached"].sort(key=json.dumps)
        found[path.name] = trial
    for path in sorted((folder / "runs").glob("*/*/weights.safetensors")):
        arrays, _ = load_checkpoint(path.parent)
        found[str(path.relative_to(folder))] = {name: array.tolist() for name, array in arrays.items()}
    return found


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.name != ".lock"}


def test_a_sweep_is_told_of_and_not_done_again(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMAND) == 0
    # Four at first, one of them to the end, and the baseline each time.
    assert [(task.run.trial, task.rung) for task in here.tasks] == [
        *((number, 0) for number in range(5)),
        (0, 1),
        (here.tasks[-1].run.trial, 1),
    ]
    first, before = contents(tiny / "x"), times(tiny / "x")
    capsys.readouterr()
    assert main([*COMMAND, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first["sweep"]
    assert len(here.tasks) == 7
    assert contents(tiny / "x") == first
    assert times(tiny / "x") == before

    found = first["sweep"]
    best = found["trials"][0] if found["trials"][0]["trial"] else found["trials"][1]
    assert best["trial"] == here.tasks[-1].run.trial == found["best"]["trial"]
    assert best["stopped"] == "whole budget"
    assert {trial["stopped"] for trial in found["trials"]} == {"whole budget", "not among the best 1 of 4"}
    assert [line["trial"] for line in found["fresh_worlds"]["trials"]][:2] == [0, best["trial"]]
    assert found["fresh_worlds"]["reference"] == 0
    with open(tiny / "x" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [trial["trial"] for trial in found["trials"]]
    assert next(row for row in rows if row["trial"] == "0")["evolve_rate"] == "0.06"
    # Every trial is an ordinary training run, the evaluation an ordinary one, the best checkpoint an agent.
    assert main(["show", "x/rescore", "--row", "3"]) == 0
    again = shlex.split(json.loads((tiny / "x" / "rescore" / "run.json").read_text())["command"])
    assert main([*again[1:], "--workers", "1"]) == 0
    assert main(shlex.split(found["best"]["evaluate"].replace("0-99", "0-1"))[1:]) == 0


def test_fresh_worlds_are_those_of_no_training_and_no_validation(tiny: Path, here: Here) -> None:
    """And the figures are those of the checkpoints there."""
    assert main(COMMAND) == 0
    rows = json.loads((tiny / "x" / "rescore" / "results.json").read_text())
    seeds = {row["seed"] for row in rows}
    assert seeds == set(range(10**9, 10**9 + 8))
    fresh = json.loads((tiny / "x" / "sweep.json").read_text())["fresh_worlds"]["trials"]
    for line in fresh:
        name = "best-rule" if line["trial"] is None else f"x/runs/{line['trial']:04d}-seed0/best"
        mine = np.array([row["objective"] for row in rows if row["agent"] == name])
        theirs = np.array([row["objective"] for row in rows if row["agent"] == "x/runs/0000-seed0/best"])
        assert line["objective"]["mean"] == pytest.approx(mine.mean())
        assert line["relative"]["mean"] == pytest.approx((mine / theirs - 1).mean())
        assert line["objective"]["low"] <= line["objective"]["mean"] <= line["objective"]["high"]


def test_the_command_that_is_told_trains_the_best_run(tiny: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that very run: the whole one, whose beginnings were the rungs."""
    assert main(COMMAND) == 0
    best = json.loads((tiny / "x" / "sweep.json").read_text())["best"]
    words = shlex.split(best["train"])
    assert main(words[1:]) == 0
    out = words.index("--out") + 1
    mine, theirs = (load_checkpoint(Path(path))[0] for path in (f"{words[out]}/last", f"{best['checkpoint']}/../last"))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    seen = []
    monkeypatch.setattr(training, "_train", lambda: lambda config, *_: seen.append(config) or Path(config.out))
    assert main([*words[1:out], "elsewhere", *words[out + 1 :]]) == 0
    card = json.loads((Path(best["checkpoint"]) / "card.json").read_text())
    assert {**seen[0].to_dict(), "out": ""} == card["training"]["config"]


def test_ctrl_c_and_on(
    tiny: Path, here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted after each task in turn, it comes to what an unbroken one comes to."""
    assert main([*COMMAND[:-1], "whole"]) == 0
    whole = contents(tiny / "whole")
    keep = work.Board.done
    left = [0]

    def stop_after(board: Any, task: Any, result: Any) -> None:
        keep(board, task, result)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(work.Board, "done", stop_after)
    for done in range(1, 8):
        left[0] = 1
        capsys.readouterr()
        assert main(COMMAND) == 130
        assert f"interrupted: {done} runs have come to a budget, the same command continues" in capsys.readouterr().err
    assert main(COMMAND) == 0
    broken = contents(tiny / "x")
    for found in (whole, broken):  # these name the folder
        del found["sweep"]["best"], found["sweep"]["fresh_worlds"]["command"]
    assert broken == whole


def measure(folder: Path) -> int:
    """How many runs have come to a budget: whatever lies there can be read."""
    found = 0
    for path in (folder / "trials").glob("*.json"):
        found += len(json.loads(path.read_text())["reached"])
    return found


def killed_and_given_again(tiny: Path, kills: int, wait: float, workers: str) -> str:
    """Killed in processes of its own, it comes to what an unbroken one comes to here; returns what it told at last."""
    command = [*COMMAND, "--workers", workers]
    killing = kill_again(command, tiny / "x", kills, measure, lambda out: measure(out) > 0, wait, random.Random(5))
    assert killing.reached == sorted(killing.reached)
    done = give_again(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert left_over(tiny / "x") == []
    assert main([*COMMAND[:-1], "whole"]) == 0
    whole, broken = contents(tiny / "whole"), contents(tiny / "x")
    for found in (whole, broken):  # these name the folder
        del found["sweep"]["best"], found["sweep"]["fresh_worlds"]["command"]
    assert broken == whole
    return done.stdout


# Of random settings nothing depends on who ends first.
RANDOM = TINY.replace('"tpe"', '"random"')


def test_killed_and_given_again(tiny: Path, here: Here) -> None:
    (tiny / "tiny.toml").write_text(RANDOM)
    told = killed_and_given_again(tiny, 1, 0.2, "2")
    for words in ("Tiny sweep", "On fresh worlds", "a maximum over", "makespan train makespan/JobShop-v0", "to x."):
        assert words in told
    names = {"run.json", "sweep.json", "trials.csv", "summary.md", "sweep.png", "trials", "runs", "rescore"}
    assert {path.name for path in (tiny / "x").iterdir()} == names
    assert (tiny / "x" / "sweep.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_killed_again_and_again(tiny: Path, here: Here) -> None:
    killed_and_given_again(tiny, 6, 0.5, "1")


@pytest.mark.slow
def test_killed_again_and_again_in_two_processes(tiny: Path, here: Here) -> None:
    (tiny / "tiny.toml").write_text(RANDOM.replace("rescore_top", 'seeds = "0-1"\nrescore_top'))
    killed_and_given_again(tiny, 6, 0.5, "2")


@pytest.mark.slow
def test_on_a_cluster_the_same_is_trained(tiny: Path) -> None:
    """With random settings; one of its nodes is killed, and what it did is done again."""
    pytest.importorskip("ray")
    from support.ray_nodes import nodes

    (tiny / "tiny.toml").write_text(RANDOM)
    assert give_again([*COMMAND[:-1], "whole"]).returncode == 0
    with nodes(head_cpus=1, count=1) as cluster:
        command = subprocess.Popen(process_of([*COMMAND, "--ray", cluster.address]), stderr=subprocess.PIPE, text=True)
        while command.poll() is None and not ((tiny / "x" / "trials").is_dir() and measure(tiny / "x")):
            time.sleep(0.05)
        cluster.kill()
        _, said = command.communicate()
        assert command.returncode == 0, said
    whole, broken = contents(tiny / "whole"), contents(tiny / "x")
    for found in (whole, broken):
        del found["sweep"]["best"], found["sweep"]["fresh_worlds"]["command"]
    assert broken == whole


def test_a_cluster_works_where_it_is_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    given: list[Any] = []

    def stop(board: Any, crew: Any, *rest: Any) -> None:
        given.append(crew)
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "work_through", stop)
    assert main([*COMMAND, "--ray", "auto"]) == 130
    assert main([*COMMAND, "--workers", "3"]) == 130
    assert isinstance(given[0], RayCrew)
    assert isinstance(given[1], Processes)


def error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0].removeprefix("makespan: error: ")


def test_what_is_refused(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot read 'none.toml': no such file" in error(capsys, "sweep", "none.toml", "--out", "x")
    assert error(capsys, *COMMAND, "--workers", "0") == "option workers is 0, expected an integer from 1 to 1024"
    assert error(capsys, *COMMAND[:-1], " ") == "option out is ' ', expected the name of a folder"
    assert "which is a file" in error(capsys, *COMMAND[:-1], "tiny.toml")
    assert "option out is 'a:b', expected a name without ','" in error(capsys, *COMMAND[:-1], "a:b")
    (tiny / "full").mkdir()
    (tiny / "full" / "mine.txt").write_text("mine")
    assert "'full', which holds other files" in error(capsys, *COMMAND[:-1], "full")
    assert "'full', which holds other files" in error(capsys, *COMMAND[:-1], "full", "--overwrite")
    assert (tiny / "full" / "mine.txt").read_text() == "mine"
    assert not (tiny / "x").exists()
    assert here.tasks == []


def test_another_sweep_in_the_folder(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMAND) == 0
    (tiny / "x" / "notes.txt").write_text("mine")
    tasks = len(here.tasks)
    (tiny / "tiny.toml").write_text(TINY.replace("high = 0.3", "high = 0.4"))
    said = error(capsys, *COMMAND)
    assert said.startswith("option out is 'x', which holds another sweep: space.evolve_rate.high is 0.3 there and 0.4")
    assert len(here.tasks) == tasks
    assert main([*COMMAND, "--overwrite"]) == 0
    assert json.loads((tiny / "x" / "run.json").read_text())["config"]["space"]["evolve_rate"]["high"] == 0.4
    assert (tiny / "x" / "notes.txt").read_text() == "mine"
    assert len(here.tasks) == 2 * tasks
    # An evaluation's folder has a run.json, too.
    shutil.copytree("x/rescore", "y")
    assert "y/run.json" in error(capsys, *COMMAND[:-1], "y")
    assert "y/run.json" in error(capsys, *COMMAND[:-1], "y", "--overwrite")
    assert (tiny / "y" / "results.json").is_file()


def test_where_every_trial_fails(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY.replace('"scorer"', '"tree"').replace("evolve_worlds = 4", 'imitate = "sptt"')
    text = re.sub(r"\[space\].*", "[space]\ntree_depth = [2, 3, 4, 5]\n", text, flags=re.DOTALL)
    (tiny / "tiny.toml").write_text(text)
    said = error(capsys, *COMMAND)
    assert said.startswith("every trial failed; the first: ")
    assert "sptt" in said


def test_without_optuna(tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    said = error(capsys, *COMMAND)
    assert said == "sweeping needs 'optuna', which is not installed: pip install 'makespan[sweep]'"
    assert not (tiny / "x").exists()


def test_without_optuna_or_baseline_a_grid(
    tiny: Path, here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    text = TINY.replace('"tpe"', '"grid"').replace("trials = 4\n", "").replace("[baseline]", "")
    text = text.replace("{ low = 0.01, high = 0.3, log = true }", "[0.03, 0.1]").replace("first = 300", "first = 900")
    (tiny / "tiny.toml").write_text(text.replace("rescore_worlds = 8", 'seeds = "3,4"\nrescore_worlds = 4'))
    assert main([*COMMAND, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(task.run.trial, task.run.seed) for task in here.tasks] == [(n, s) for n in range(1, 5) for s in (3, 4)]
    assert [tuple(one["settings"].values()) for one in sorted(found["trials"], key=lambda one: one["trial"])] == [
        *((2, 0.03), (2, 0.1), (4, 0.03), (4, 0.1)),
    ]
    assert found["fresh_worlds"]["reference"] is None  # the best rule
    assert found["trials"][0]["runs"] == [f"runs/{found['best']['trial']:04d}-seed{seed}" for seed in (3, 4)]
    assert any("mean over 2 seeds" in note for note in found["notes"])
    assert any("against best-rule" in note for note in found["notes"])


def test_where_large_objectives_are_good(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY.replace("makespan/JobShop-v0", "makespan/RestlessBandits-v0").replace("random:size=2x2", "k2b")
    (tiny / "tiny.toml").write_text(text)
    assert main([*COMMAND, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = {one["trial"]: one["at_budgets"][0] for one in found["trials"] if one["trial"]}
    assert found["best"]["trial"] == max(first, key=lambda number: (first[number], -number))
    assert any("larger is better" in note for note in found["notes"])
    assert found["fresh_worlds"]["note"].startswith("Their random events are fresh; their 1 instance may be")


def test_schedules_that_a_validator_refuses_are_told_of(
    tiny: Path, here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = Judge.judge

    def refuse(judge: Judge, episode: Any) -> Any:
        return replace(judged(judge, episode), valid=False, problem="made up")

    monkeypatch.setattr(Judge, "judge", refuse)
    assert main(COMMAND) == 1
    said = capsys.readouterr().err
    assert re.search(r"error: the validators refuse [0-9]+ schedules; see x/rescore\n", said)


def test_without_fresh_worlds(tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny / "tiny.toml").write_text(TINY.replace("rescore_worlds = 8", "rescore_worlds = 0"))
    assert main([*COMMAND[:-1], "a,b"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Nothing was played on fresh worlds: set rescore_worlds" in told
    assert not (tiny / "a,b" / "rescore").exists()


def test_instances_that_are_not_fresh_are_said_to_be_so(
    tiny: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "tiny.toml").write_text(TINY.replace('"random:size=2x2"', '"random:size=2x2:count=3:seed=1"'))
    assert main([*COMMAND, "--json"]) == 0
    note = json.loads(capsys.readouterr().out)["fresh_worlds"]["note"]
    assert note.startswith("They are NOT fresh: 3 instances without random events")
    other = 'rescore_instances = "random:size=2x2:count=4:seed=2"\nrescore_top'
    text = (tiny / "tiny.toml").read_text().replace("rescore_top", other)
    (tiny / "tiny.toml").write_text(text)
    assert main([*COMMAND, "--json", "--overwrite"]) == 0
    fresh = json.loads(capsys.readouterr().out)["fresh_worlds"]
    assert (fresh["worlds"], fresh["note"]) == (8, "They are of the 4 instances of rescore_instances.")


def test_the_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "sweep" in capsys.readouterr().out
