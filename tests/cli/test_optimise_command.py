"""`makespan optimise`: its folder is whole at any moment, is continued by the same command, and survives interrupts."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.envs.core.files import atomic_write
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.eval import solution_folder
from makespan.eval.statistics import full

FILES = {"gantt.png", "operations.csv", "result.json", "run.json", "schedule.json", "trace.json"}


def optimise(*arguments: str) -> int:
    return main(["optimise", *arguments])


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_writes_the_best_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert optimise("ft06", "--env", "makespan/JobShop-v0:blocking=none", "--seconds", "20", "--out", str(folder)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "objective 55  bound 55  gap 0.0 %" in lines[-3]
    assert lines[-2].startswith("ft06: objective 55  bound 55  gap 0.0 % (instance), proved optimal, in ")
    assert lines[-1] == f"Written to {folder}."
    assert {path.name for path in folder.iterdir()} == FILES
    schedule = JobShopSchedule.load(folder / "schedule.json")
    assert schedule.makespan == 55
    assert validate(schedule) == []
    rows = list(csv.DictReader((folder / "operations.csv").open()))
    assert list(rows[0]) == ["job", "operation", "machine", "start", "end", "release"]
    assert len(rows) == 36
    assert max(int(row["end"]) for row in rows) == 55
    for row in rows:
        assert int(row["end"]) == schedule.completion[int(row["job"]), int(row["operation"])]
    result = result_of(folder)
    assert (result["objective"], result["bound"], result["optimal"], result["interrupted"]) == (55, 55, True, False)
    assert json.loads((folder / "trace.json").read_text())["traceEvents"]


def test_another_commands_folder_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.dumps({"format": "makespan/training-run", "version": 1, "config": {}})
    (tmp_path / "run.json").write_text(record)
    (tmp_path / "result.json").write_text("theirs")
    assert optimise("ft06", "--agent", "spt", "--overwrite", "--out", str(tmp_path)) == 2
    said = "run.json: format is 'makespan/training-run', expected 'makespan/optimise-run'"
    assert said in capsys.readouterr().err
    assert (tmp_path / "run.json").read_text() == record
    assert (tmp_path / "result.json").read_text() == "theirs"


def test_the_same_command_goes_on_and_is_never_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("la16", "--agent", "random", "--seconds", "0.3", "--out", str(tmp_path))
    assert optimise(*arguments) == 0
    first = result_of(tmp_path)
    for _ in range(2):
        assert optimise(*arguments) == 0
        assert f"Going on from objective {first['objective']}." in capsys.readouterr().out
        second = result_of(tmp_path)
        assert second["objective"] <= first["objective"]
        assert second["tries"] > first["tries"]
        assert JobShopSchedule.load(tmp_path / "schedule.json").makespan == second["objective"]
        first = second
    assert optimise("la16", "--agent", "random", "--seconds", "1", "--json", "--out", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["objective"] <= first["objective"]


def test_a_better_schedule_is_not_lost_by_a_worse_agent_run(tmp_path: Path) -> None:
    """What lies there counts even where the whole of the next search finds nothing as good."""
    arguments = ("ft06", "--agent", "spt", "--seconds", "5", "--out", str(tmp_path))
    assert optimise(*arguments) == 0
    worse = result_of(tmp_path)["objective"]
    best = next(iter((tmp_path / "schedule.json").parent.glob("schedule.json")))
    from makespan import solve

    solution = solve("ft06", "cp-sat", seconds=20)
    assert solution.objective < worse
    solution.schedule.save(best)
    assert optimise(*arguments) == 0
    assert result_of(tmp_path)["objective"] == solution.objective


def test_other_folders_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "sub").mkdir()
    assert optimise("ft06", "--agent", "spt", "--out", str(tmp_path)) == 2
    assert "holds other files" in capsys.readouterr().err
    assert optimise("ft06", "--agent", "spt", "--overwrite", "--out", str(tmp_path)) == 2
    folder = str(tmp_path / "sub")
    assert optimise("ft06", "--agent", "spt", "--out", folder) == 0
    assert optimise("ft06", "--agent", "lpt", "--out", folder) == 2
    assert "holds another search: agent is 'spt' there and 'lpt' here" in capsys.readouterr().err
    assert optimise("ft06", "--agent", "lpt", "--overwrite", "--out", folder) == 0
    assert optimise("ft06", "--agent", "lpt", "--out", str(tmp_path / "mine.txt")) == 2
    assert "which is a file" in capsys.readouterr().err
    (tmp_path / "sub" / "schedule.json").write_text("{}")
    assert optimise("ft06", "--agent", "lpt", "--out", folder) == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_another_file_of_the_same_name_is_another_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("job,machine,time\na,m,3\nb,m,2\n")
    assert optimise("./shop.csv", "--agent", "spt", "--out", "out") == 0
    Path("shop.csv").write_text("job,machine,time\na,m,3\nb,m,1\n")
    assert optimise("./shop.csv", "--agent", "spt", "--out", "out") == 2
    assert "begun with another instance of the same name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (["ft06", "--seconds", "0"], "option seconds is 0.0, expected seconds, above 0"),
        (["ft06", "--agent", "mwrk"], "did you mean 'mwkr'"),
        (["ft06", "--agent", "checkpoints/none"], "neither a folder nor shipped"),
        (["shop.csv"], "shop.csv: the header is 'job,machine', expected a column 'time'"),
        (["shop.json"], "shop.json: start.jobs[1].job is 0, expected another job"),
        (["ft06", "--start", "start.json"], "start.json: start.jobs[0].processing.machine is 9, expected an integer"),
        (
            ["resnet50_b64"],
            "unknown instance 'resnet50_b64'; it is one of makespan/MemoryMapping-v0: add --env makespan/",
        ),
        (["resnet50_b64:cmem=16"], "it is one of makespan/MemoryMapping-v0: add --env makespan/MemoryMapping-v0"),
        (
            ["program.json"],
            "program.json: format is 'makespan/memory-mapping', expected 'makespan/job-shop'; it is one of",
        ),
        (
            ["resnet50-b64"],
            "did you mean 'resnet50_b64' of makespan/MemoryMapping-v0 (--env makespan/MemoryMapping-v0)?",
        ),
        (
            ["ft06", "--env", "makespan/MemoryMapping-v0"],
            "it is one of makespan/JobShop-v0: add --env makespan/JobShop-v0",
        ),
        (["nonsense"], "unknown instance 'nonsense'; 162 are known, from 'abz5' to 'yn4'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("job,machine\na,m\n")
    twice = [{"job": 0, "finished": 1}, {"job": 0, "finished": 1}]
    data = {**named_instance("ft06").to_dict(), "start": {"time": 9, "jobs": twice}}
    Path("shop.json").write_text(json.dumps(data))
    program = MemoryInstance("p", (Tensor(64, "param"),), (Instruction(reads=((0, 64),)),))
    program.save("program.json")
    wrong = [{"job": 0, "finished": 0, "processing": {"machine": 9, "since": 8}}]
    Path("start.json").write_text(json.dumps({"time": 9, "jobs": wrong}))
    assert optimise(*arguments, "--out", "out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert problem in error
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "number, text",
    [
        (1060, "1060"),
        (12345, "12,345"),
        (734092811231, "734,092,811,231"),
        (734092811231.0, "734,092,811,231"),
        (10203.25, "10,203.25"),
        (0.000123456789, "0.000123457"),
        (-5.5, "-5.5"),
    ],
)
def test_objectives_are_shown_in_full(number: float, text: str) -> None:
    assert full(number) == text


def test_a_run_time_in_picoseconds_is_told_to_the_last_digit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, reads = (Tensor(2**26, "param"),), tuple(Instruction(reads=((0, 2**26),)) for _ in range(3))
    MemoryInstance("p", tensors, reads, Hardware(hbm_bps=3 * 10**6)).save(tmp_path / "p.json")
    options = ("--env", "makespan/MemoryMapping-v0", "--agent", "all-hbm", "--out", str(tmp_path / "out"))
    for _ in range(2):
        assert optimise(str(tmp_path / "p.json"), *options) == 0
    objective = result_of(tmp_path / "out")["objective"]
    assert objective == 3 * -(-(2**26) * 10**12 // (3 * 10**6))
    assert f"p: objective {objective:,}  bound 22,369,6" in (out := capsys.readouterr().out)
    assert f"Going on from objective {objective:,}." in out


def test_show_says_where_the_picture_of_a_search_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "shop")
    assert optimise("ft06", "--agent", "mwkr", "--seconds", "1", "--out", folder) == 0
    capsys.readouterr()
    assert main(["show", folder]) == 2
    assert "is the folder of optimise: its schedule is drawn in" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_schedule_that_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    write = atomic_write

    def fill(path: Path, data: str) -> None:
        if written.count("schedule.json") == 2 and path.name == "schedule.json":
            raise UserError(f"cannot write {str(path)!r}: No space left on device")
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(solution_folder, "atomic_write", fill)
    assert optimise("la16", "--seconds", "30", "--out", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    schedule = JobShopSchedule.load(tmp_path / "schedule.json")
    assert validate(schedule) == []
    assert schedule.makespan == result_of(tmp_path)["objective"]


def test_plans_from_a_start_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = {"time": 10, "jobs": [{"job": 0, "finished": 1}], "down": [{"machine": 3, "until": 60}]}
    (tmp_path / "start.json").write_text(json.dumps(start))
    out = tmp_path / "out"
    env = "makespan/JobShop-v0:blocking=none"
    arguments = ("ft06", "--env", env, "--start", str(tmp_path / "start.json"), "--seconds", "20", "--out", str(out))
    assert optimise(*arguments) == 0
    assert "proved optimal" in capsys.readouterr().out
    schedule = JobShopSchedule.load(out / "schedule.json")
    assert schedule.instance.start is not None
    assert schedule.windows(3) == ((10, 60),)
    assert schedule.start[schedule.start >= 0].min() >= 10
    assert validate(schedule) == []
    assert optimise(*arguments) == 0  # it goes on from a schedule with a past


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    "agent, number", [("cp-sat", signal.SIGINT), ("random", signal.SIGINT), ("portfolio", signal.SIGTERM)]
)
def test_an_interrupt_leaves_the_best_so_far(agent: str, number: int, tmp_path: Path) -> None:
    """In a process of its own, in the middle: after the first schedule has been written."""
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "makespan.cli.main", "optimise", "la36", "--agent", agent]
    process = subprocess.Popen(
        [*command, "--seconds", "600", "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have switched Ctrl-C off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    deadline = time.monotonic() + 120
    while not (folder / "result.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error == (
        f"makespan: error: interrupted: the best schedule so far is in {str(folder)!r}; "
        "the same command goes on from it\n"
    )
    assert {path.name for path in folder.iterdir()} == FILES
    schedule = JobShopSchedule.load(folder / "schedule.json")
    assert schedule.instance.same_as(JobShopInstance.from_dict(named_instance("la36").to_dict()))
    assert validate(schedule) == []
    result = result_of(folder)
    assert result["interrupted"]
    assert result["objective"] == schedule.makespan == result["history"][-1][1]
    assert f"objective {schedule.makespan}" in out.splitlines()[-2]


@pytest.mark.parametrize("name", ["result.json", "schedule.json", "gantt.png", "x.textproto"])
def test_links_in_the_folder_are_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    out, kept = tmp_path / "out", tmp_path / "kept"
    kept.write_text("all of it")
    command = ["optimise", "random-2x2-s1", "--agent", "spt", "--seconds", "0.05", "--out", str(out)]
    assert main(command) == 0
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(kept)
    for more in ([], ["--overwrite"]):
        assert main([*command, *more]) == 2
        assert "is a link" in capsys.readouterr().err
    assert kept.read_text() == "all of it"
