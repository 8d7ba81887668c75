"""``makespan evaluate --suite``: whole, continued, killed, refused."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from makespan.cli.main import main
from makespan.eval.show import read_schedule

TINY = """
title = "Tiny suite"
reference = "rule"
roles = ["rule", "planner", "learned"]

[[problem]]
name = "shop"
title = "Blocking job shop"
env = "makespan/JobShop-v0:law=bernoulli:p=0.01"
instances = "random:size=4x3:count=2:seed=5"
seeds = "0-2"
batch = 2
hindsight = 60
baseline = "random"
[problem.roles]
rule = "best-rule"
planner = "rollout"
learned = "checkpoints/job_shop_scorer"

[[problem]]
name = "dag"
title = "One DAG"
env = "makespan/StaticDag-v0"
instances = "random:tasks=20:count=6:seed=9100"
batch = 2
baseline = "random"
[problem.roles]
rule = "heft"
planner = "lookahead-heft"
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def command(out: str, *more: str) -> list[str]:
    return ["evaluate", "--suite", "./tiny.toml", "--out", out, *more]


def results(folder: Path, timeless: bool = True) -> dict[str, list[dict[str, Any]]]:
    """The rows of each evaluation, with their schedules; without times where runs are compared."""
    found = {}
    for name in ("shop", "dag"):
        rows = json.loads((folder / name / "results.json").read_text())
        for row in rows:
            row["schedule"] = read_schedule(folder / name, row)
            if timeless:
                del row["seconds_per_decision"]
        found[name] = rows
    return found


def stored(folder: Path) -> dict[str, dict[tuple[int, ...], dict[str, Any]]]:
    """The rows on disk by their keys, of which none is there twice."""
    found: dict[str, dict[tuple[int, ...], dict[str, Any]]] = {}
    for name in ("shop", "dag"):
        entries = [
            (tuple(entry["key"]), entry["row"])
            for part in sorted((folder / name / "schedules").glob("part-*.json"))
            for entry in json.loads(part.read_text())["entries"]
        ]
        assert len(dict(entries)) == len(entries), "a row was played twice"
        found[name] = dict(entries)
    return found


def test_a_suite_is_played_told_of_and_not_played_again(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("x", "--workers", "1")) == 0
    told = capsys.readouterr().out
    for words in ("Blocking job shop", "One DAG", "Tiny suite", "interquartile", "Written to x."):
        assert words in told
    for name in ("suite.json", "suite.csv", "aggregate.csv", "aggregate.json", "summary.md", "dag/run.json"):
        assert (tiny / "x" / name).is_file()
    before = results(tiny / "x", timeless=False)
    parts = {path: path.read_bytes() for path in (tiny / "x").rglob("part-*.json")}
    assert main(command("x", "--workers", "2")) == 0
    assert results(tiny / "x", timeless=False) == before
    assert {path: path.read_bytes() for path in (tiny / "x").rglob("part-*.json")} == parts
    # Each folder is an ordinary evaluation's: its own command goes on with it, and other readers read it.
    ordinary = json.loads((tiny / "x" / "dag" / "run.json").read_text())["command"]
    assert main([*ordinary.split()[1:], "--workers", "1"]) == 0
    assert main(["show", "x/dag", "--row", "7"]) == 0
    assert results(tiny / "x", timeless=False) == before


def test_what_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: str) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "did you mean 'quick'" in error("evaluate", "--suite", "quik")
    assert "leave seeds out" in error("evaluate", "--suite", "quick", "--seeds", "0-3")
    assert "leave env out" in error("evaluate", "makespan/JobShop-v0", "--suite", "quick")
    assert "option workers is 0, expected" in error("evaluate", "--suite", "quick", "--workers", "0")
    assert "ENV is missing" in error("evaluate")
    assert "--agents is missing" in error("evaluate", "makespan/JobShop-v0")
    (tiny / "y").mkdir()
    (tiny / "y" / "mine.txt").write_text("dear to me")
    assert "holds other files" in error(*command("y"))
    assert (tiny / "y" / "mine.txt").read_text() == "dear to me"
    assert "which is a file" in error(*command("tiny.toml"))
    (tiny / "tiny.toml").write_text(TINY.replace("rollout", "rolout"))
    assert "did you mean 'rollout'" in error(*command("z", "--workers", "1"))
    assert not (tiny / "z" / "suite.json").exists(), "nothing was begun"


def test_its_command_runs_again(tiny: Path) -> None:
    (tiny / "my suite.toml").write_text(TINY[: TINY.index("[[problem]]")] + TINY[TINY.rindex("[[problem]]") :])
    given = ["evaluate", "--suite", "./my suite.toml", "--out", "s 1"]
    assert main([*given, "--workers", "1"]) == 0
    recorded = json.loads((tiny / "s 1" / "suite.json").read_text())["command"]
    assert shlex.split(recorded) == ["makespan", *given]
    assert main([*shlex.split(recorded)[1:], "--workers", "1"]) == 0


def test_another_suite_is_no_continuation(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = TINY[: TINY.index("[[problem]]")] + TINY[TINY.index('[[problem]]\nname = "dag"') :]
    (tiny / "tiny.toml").write_text(short)
    assert main(command("x", "--workers", "1")) == 0
    (tiny / "tiny.toml").write_text(short.replace("count=6", "count=4"))
    assert main(command("x", "--workers", "1")) == 2
    assert "holds another suite, or the suite has changed" in capsys.readouterr().err
    assert main(command("x", "--workers", "1", "--overwrite")) == 0
    assert len(json.loads((tiny / "x" / "dag" / "results.json").read_text())) == 4 * 3


# --- kills ------------------------------------------------------------------------------------------------------------


def begin(folder: Path, out: str) -> subprocess.Popen[bytes]:
    """The command in a session of its own, so that everybody in it can be counted."""
    return subprocess.Popen(
        [sys.executable, "-m", "makespan.cli.main", *command(out, "--workers", "2")],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def await_end_of(session: int) -> None:
    """Nobody of a session is left, though only its first process was killed."""
    until = time.monotonic() + 60
    while True:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < until, "workers outlive who began them"
        time.sleep(0.05)


# What Python says in a process that is being begun when its parent is killed: nothing more comes of what it is sent.
_ORPHAN = re.compile(
    r'Traceback \(most recent call last\):\n  File "<string>", line 1, in <module>\n'
    r"(  .*\n)+EOFError: Ran out of input\n"
)


def kill_again_and_again(folder: Path, kills: int, seed: int) -> None:
    """Kill the command at random moments of its work, begin it again, and compare with one that was never killed."""
    began = time.monotonic()
    assert begin(folder, "whole").wait() == 0
    longest = time.monotonic() - began
    expected = results(folder / "whole")
    chance = random.Random(seed)
    done, ends = 0, 0
    while done < kills or ends == 0:
        before = stored(folder / "x") if (folder / "x" / "dag").is_dir() else {}
        process = begin(folder, "x")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 1.1 * longest) if done < kills else None)
        killed = process.poll() is None
        if killed:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT]))
            done += 1
        errors = process.communicate()[1].decode()
        await_end_of(process.pid)
        if process.returncode == -signal.SIGINT and ", in main\n" not in errors:
            continue  # Ctrl-C came while Python itself began: nothing of ours had
        assert process.returncode in (-signal.SIGKILL, 130, 0), errors
        if process.returncode == -signal.SIGKILL:
            errors = _ORPHAN.sub("", errors)
        assert "Traceback" not in errors
        if (folder / "x" / "dag" / "schedules").is_dir() and (folder / "x" / "shop" / "schedules").is_dir():
            after = stored(folder / "x")
            for name, rows in before.items():
                assert {key: after[name][key] for key in rows} == rows, "what was stored stays, its time included"
        if process.returncode == 0:
            assert results(folder / "x") == expected
            shutil.rmtree(folder / "x")
            ends += 1
    assert ends > 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_a_few_times_it_ends_as_if_it_never_had_been(tiny: Path) -> None:
    kill_again_and_again(tiny, kills=3, seed=1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_fifty_times_it_ends_as_if_it_never_had_been(tiny: Path) -> None:
    kill_again_and_again(tiny, kills=50, seed=2)
