"""`makespan evaluate` and `makespan show`, from the command line to the files and back."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from makespan.cli.main import main
from makespan.eval.evaluate import ROW_KEYS

SHOP = "makespan/JobShop-v0"
SMALL = ["evaluate", SHOP, "--agents", "spt,mwkr,random:samples=2", "--instances", "ft06,la01", "--seeds", "0-1"]


def timeless(path: Path):
    rows = json.loads((path / "results.json").read_text())
    return [
        {key: value for key, value in row.items() if key not in ("seconds_per_decision", "schedule")} for row in rows
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "x"
    assert main([*SMALL, "--out", str(folder)]) == 0
    return folder


def test_everything_is_written(results):
    assert {path.name for path in results.iterdir()} == {
        "run.json",
        "results.json",
        "results.csv",
        "summary.md",
        "schedules",
        "pictures",
    }
    rows = json.loads((results / "results.json").read_text())
    assert len(rows) == 12
    assert all(list(row)[: len(ROW_KEYS)] == list(ROW_KEYS) for row in rows)
    with open(results / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["agent"] for row in table] == [row["agent"] for row in rows]
    assert [int(row["objective"]) for row in table] == [row["objective"] for row in rows]
    assert [row["metrics.finished"] for row in table] == ["true"] * 12
    assert {path.suffix for path in (results / "pictures").iterdir()} == {".png"}
    assert all(path.stat().st_size > 2000 for path in (results / "pictures").iterdir())


def test_the_summary_stands_alone(results):
    text = (results / "summary.md").read_text()
    command = f"makespan evaluate {SHOP} --agents spt,mwkr,random:samples=2 --instances ft06,la01 --seeds 0-1 --out "
    assert command in text
    assert "| spt |" in text
    assert "Reference: spt (chosen by default" in text
    assert "Every agent met the same 4 worlds: 2 instances, seeds 0-1." in text
    assert "numpy" in text
    for line in text.splitlines():
        if line.startswith("!["):
            assert (results / line.partition("(")[2].rstrip(")")).is_file()


def test_the_same_command_plays_nothing_again(results, capsys):
    before = {path: path.read_bytes() for path in (results / "schedules").iterdir()}
    rows = (results / "results.json").read_bytes()
    assert main([*SMALL, "--out", str(results)]) == 0
    assert {path: path.read_bytes() for path in (results / "schedules").iterdir()} == before
    assert (results / "results.json").read_bytes() == rows
    assert f"Written to {results}." in capsys.readouterr().out


def test_another_command_is_refused(results, capsys):
    before = (results / "results.json").read_bytes()
    assert main([*SMALL[:-1], "0-2", "--out", str(results)]) == 2
    assert "seeds is '0-1' there and '0-2' here" in capsys.readouterr().err
    assert (results / "results.json").read_bytes() == before


def test_a_refused_command_claims_no_folder(capsys, tmp_path):
    folder = tmp_path / "x"
    command = ["evaluate", "makespan/JobShop-v0", "--instances", "ft06", "--out", str(folder), "--agents"]
    assert main([*command, "mwkr,lns"]) == 2
    assert "agent 'lns' cannot play" in capsys.readouterr().err
    assert main([*command, "mwkr,spt"]) == 0
    assert main([*command, "mwkr,lns"]) == 2
    assert "holds another evaluation" in capsys.readouterr().err
    assert (folder / "results.json").is_file(), "what was there before stays"


def test_without_a_folder_it_only_prints(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(SMALL) == 0
    captured = capsys.readouterr()
    assert "against" in captured.out
    assert "Intervals: 95 %" in captured.out
    assert captured.err == ""
    assert list(tmp_path.iterdir()) == []


def test_json_for_scripts(capsys):
    assert main([*SMALL, "--sweep", "blocking=swap,none", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [table["env_options"] for table in data["tables"]] == [{"blocking": "swap"}, {"blocking": "none"}]
    assert len(data["rows"]) == 24
    line = data["tables"][0]["agents"][1]
    assert line["agent"] == "mwkr"
    assert line["relative"]["low"] <= line["relative"]["mean"] <= line["relative"]["high"]


def test_a_row_is_drawn_again(results, capsys, tmp_path):
    row = json.loads((results / "results.json").read_text())[5]
    assert main(["show", str(results), "--row", "5"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{row['instance']}, blocking with swaps: makespan {row['objective']}\n")
    assert main(["show", str(results), "--agent", "mwkr", "--row", "1"]) == 0
    assert capsys.readouterr().out == text
    for name, start in (
        ("x.png", b"\x89PNG"),
        ("x.svg", b"<?xml"),
        ("x.txt", b"la01" if "la" in text[:2] else b"ft06"),
    ):
        assert main(["show", str(results), "--row", "5", "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert main(["show", str(results), "--row", "5", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["instance"]["name"] == row["instance"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--row", "12"], "option row is 12, expected 0 to 11"),
        (["--row", "-1"], "option row is -1"),
        (["--agent", "mwkrr"], "did you mean 'mwkr'?"),
        (["--agent", "mwkr", "--row", "4"], "expected 0 to 3, the rows of agent 'mwkr'"),
        (["--out", "x.gif"], "has no animation"),
        (["--out", "x.bmp"], "ends in one of .txt, .json, .png"),
        (["--out", "x.svg", "--format", "png"], "ends in .png"),
        (["--format", "png"], "give a file with --out"),
        (["--out", "nowhere/x.png"], "cannot write 'nowhere/x.png': No such file or directory"),
    ],
)
def test_rows_and_pictures_that_are_not(results, arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", str(results), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_there_are_no_pictures_and_a_sentence(capsys, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*SMALL, "--out", str(tmp_path / "x")]) == 0
    sentence = "No pictures: drawing results needs 'matplotlib', which is not installed: pip install 'makespan[plot]'"
    assert sentence in (tmp_path / "x" / "summary.md").read_text()
    assert not (tmp_path / "x" / "pictures").exists()
    capsys.readouterr()
    assert main(["show", str(tmp_path / "x"), "--out", str(tmp_path / "x.png")]) == 2
    assert "pip install 'makespan[plot]'" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be(below, capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert main([*SMALL, "--out", str(tmp_path / "file" / below)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


# --- what ends a run early --------------------------------------------------------------------------------------------

LONG = ["evaluate", SHOP, "--agents", "random", "--instances", "random:size=20x20:count=40:seed=1", "--seeds", "0-9"]


def heed_interrupts():
    """Whoever runs the tests in the background may have switched Ctrl-C off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(*arguments, preexec_fn=heed_interrupts):
    command = [sys.executable, "-m", "makespan.cli.main", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=preexec_fn)


def wait_for_part(folder: Path, process):
    until = time.monotonic() + 60
    while not list((folder / "schedules").glob("part-*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "x"
    assert main([*LONG, "--out", str(folder)]) == 0
    return timeless(folder)


def test_a_killed_evaluation_goes_on_to_the_same_results(tmp_path, unbroken):
    folder = tmp_path / "x"
    process = start(*LONG, "--out", str(folder))
    wait_for_part(folder, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "results.json").exists()
    kept = {path: path.read_bytes() for path in (folder / "schedules").glob("part-*.json")}
    assert len(kept) > 0
    assert main([*LONG, "--out", str(folder)]) == 0
    assert timeless(folder) == unbroken
    assert {path: path.read_bytes() for path in kept} == kept


def test_an_interrupted_evaluation_says_so_and_goes_on(tmp_path, unbroken, capsys):
    folder = tmp_path / "x"
    process = start(*LONG, "--out", str(folder))
    wait_for_part(folder, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.startswith("makespan: error: interrupted: ")
    assert err.endswith("rows are stored, the same command continues\n")
    assert err.count("\n") == 1
    assert not (folder / "results.json").exists()
    assert main(["show", str(folder)]) == 2
    assert "unfinished evaluation" in capsys.readouterr().err
    assert main([*LONG, "--out", str(folder)]) == 0
    assert timeless(folder) == unbroken


def test_a_full_disk(tmp_path, unbroken):
    """A limit on file sizes stands for the full disk: run.json fits, the first file of schedules does not."""
    folder = tmp_path / "x"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = start(*LONG, "--out", str(folder), preexec_fn=limit)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert out == ""
    lines = [line for line in err.splitlines() if "compiled code cannot be cached" not in line and "warn" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("makespan: error: cannot write ")
    assert sorted(path.name for path in folder.rglob("*")) == ["run.json", "schedules"]
    assert main([*LONG, "--out", str(folder)]) == 0
    assert timeless(folder) == unbroken
