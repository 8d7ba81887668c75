"""The command line itself: quick to start, one line and an exit code for every mistake."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from makespan.cli import commands
from makespan.cli.main import main
from makespan.training.config import AGENTS

SHOP = "makespan/JobShop-v0"
HEAVY = ("torch", "torch_geometric", "stable_baselines3", "sb3_contrib", "ortools", "matplotlib", "numba", "scipy")


def makespan(*arguments, **options):
    command = [sys.executable, "-m", "makespan.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["envs"], ["train", "--help"], ["evaluate", "--help"]])
def test_what_only_talks_loads_nothing_heavy(arguments):
    script = (
        "import sys\nfrom makespan.cli.main import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_it_starts_in_under_a_second():
    """Processor time of the child, which other work on the machine does not lengthen; the best of three."""

    def seconds():
        before = os.times()
        assert makespan("envs").returncode == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 1.0


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("makespan: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["evalute", "x"], "unknown command 'evalute'; did you mean 'evaluate'?"),
        ([], "Missing subcommand"),
        (["evaluate", SHOP], "--agents"),
        (["evaluate", SHOP, "--agents", "spt", "--seds", "1"], "Perhaps you meant: --seeds"),
        (["evaluate", SHOP, "--agents", "spt", "--batch", "many"], "Error parsing --batch"),
        (["evaluate", "makespan/JobShip-v0", "--agents", "spt"], "did you mean 'makespan/JobShop-v0'?"),
        (["evaluate", SHOP + ":bloking=swap", "--agents", "spt"], "did you mean 'blocking'?"),
        (["evaluate", SHOP + ":blocking=none:law", "--agents", "spt"], "not of the form key=value"),
        (["evaluate", SHOP, "--agents", "sptt"], "unknown agent 'sptt'; did you mean 'spt'?"),
        (["evaluate", SHOP, "--agents", "random:sample=4"], "did you mean 'samples'?"),
        (["evaluate", SHOP, "--agents", "random:samples=0"], "option samples of agent 'random' is 0"),
        (["evaluate", SHOP, "--agents", "checkpoints/none"], "checkpoint 'checkpoints/none' is neither"),
        (["evaluate", SHOP, "--agents", "spt,"], "has an empty item"),
        (["evaluate", SHOP, "--agents", "spt", "--instances", "la411"], "unknown instance 'la411'; did you mean"),
        (["evaluate", SHOP, "--agents", "spt", "--instances", "la05-la01"], "runs backwards"),
        (["evaluate", SHOP, "--agents", "spt", "--instances", "random:size=3x3:count=0"], "option count is 0"),
        (["evaluate", SHOP, "--agents", "spt", "--instances", "./none/*.json"], "matches no file"),
        (["evaluate", SHOP, "--agents", "spt", "--seeds", "0..4"], "'0..4' is neither"),
        (["evaluate", SHOP, "--agents", "spt", "--seeds", "9-3"], "runs backwards"),
        (["evaluate", SHOP, "--agents", "spt", "--reference", "stp"], "did you mean 'spt'?"),
        (["evaluate", SHOP, "--agents", "spt", "--sweep", "p"], "option sweep is 'p'"),
        (["show", "/nowhere"], "is not the folder of an evaluation"),
        (["show", "/nowhere", "--format", "bmp"], "invalid choice 'bmp'"),
        (["show", "/nowhere", "--format", "gif"], "option format is 'gif', which the terminal cannot show"),
        (["certify"], "name at least one solution"),
        (["trace", "f.hlo", "--out", "x.json", "--dtype", "f64"], "Expected one of ('own', 'bf16', 'f16', 'f32')"),
        (["trace", "f.hlo", "--out", "x.json", "--dtype", "None"], "invalid choice 'None'"),
        (["trace", "f.hlo", "--out", "x.json", "--train", "rms"], "Expected one of ('sgd', 'momentum', 'adam')"),
        (["train", SHOP, "--out", "x", "--preset", "quik"], "Expected one of ('quick', 'full')"),
        (["check", "makespan/JobShip-v0"], "did you mean 'makespan/JobShop-v0'?"),
        (["train", "--out", "x"], "train needs an environment"),
        (["train", SHOP, "--out", "x", "--agent", "graph-ppp"], "did you mean 'graph-ppo'?"),
        (["train", SHOP, "--out", "x", "--steps", "0"], "option steps is 0"),
        (["train", SHOP, "--out", "x", "--preset", "quik"], "invalid choice 'quik'"),
        (["train", "--resume", "--out", "/nowhere"], "holds no training run"),
        (["train", SHOP, "--resume", "--overwrite", "--out", "x"], "give one of them"),
        (["train", "makespan/JobShip-v0", "--out", "x"], "did you mean 'makespan/JobShop-v0'?"),
        (["train", SHOP, "--agent", "scorer", "--instances", "la411", "--out", "x"], "unknown instance 'la411'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_instance_file_is_named(capsys, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{"format": "makespan/job-shop", "version": 1, "name": "x", "machines": 2, "jobs": []}')
    assert main(["evaluate", SHOP, "--agents", "spt", "--instances", str(path)]) == 2
    line = one_line(capsys)
    assert "broken.json: number of jobs is 0" in line


def test_help_is_no_mistake(capsys):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--help"])
    assert end.value.code == 0
    assert "--instances" in capsys.readouterr().out


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_help_says_what_can_be_given(capsys):
    shown = {name: help_of(name, capsys) for name in ("train", "evaluate", "show", "certify", "report")}
    assert not [name for name, text in shown.items() if "(default: )" in text]
    assert [name for name in AGENTS if name not in shown["train"]] == []
    assert "decisions to train for (default: no limit)" in shown["train"]
    assert "hours" not in shown["evaluate"]
    assert "pdf,gif}" in shown["show"]


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("makespan ")


def test_interruption_is_one_line(capsys, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt("the run is saved")

    monkeypatch.setattr(commands, "envs", interrupted)
    assert main(["envs"]) == 130
    assert capsys.readouterr().err == "makespan: error: interrupted: the run is saved\n"


def test_too_little_memory_is_one_line(capsys, monkeypatch):
    def greedy(**_):
        np.zeros((2**20, 2**40), dtype=np.uint8)

    monkeypatch.setattr(commands, "envs", greedy)
    assert main(["envs"]) == 2
    assert "not enough memory" in one_line(capsys)


def test_bugs_keep_their_traceback(monkeypatch):
    def broken(**_):
        raise ValueError("ours")

    monkeypatch.setattr(commands, "envs", broken)
    with pytest.raises(ValueError, match="ours"):
        main(["envs"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "makespan.cli.main", "envs"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "makespan: error: cannot read or write: No space left on device\n"


def test_a_reader_who_leaves_is_no_news():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "makespan.cli.main", "envs"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_envs_lists_options_defaults_and_objective(capsys):
    assert main(["envs", "--json"]) == 0
    shop = next(row for row in json.loads(capsys.readouterr().out) if row["id"] == SHOP)
    assert shop["objective"]["name"] == "makespan"
    options = {option["name"]: option for option in shop["options"]}
    assert options["blocking"]["default"] == "swap"
    assert "unlimited buffers" in options["blocking"]["description"]
    assert main(["envs"]) == 0
    assert "on_breakdown" in capsys.readouterr().out


def test_a_missing_extra_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("makespan.training.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["train", SHOP, "--out", str(tmp_path / "run")]) == 2
    line = one_line(capsys)
    assert "pip install 'makespan[train]'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["evaluate", SHOP, "--agents", "spt", "--instances", "ft06"], ["train", SHOP, "--seed", "0"]],
    ids=["evaluate", "train"],
)
def test_a_second_process_is_kept_out_of_a_folder(arguments, tmp_path, capsys):
    from makespan.envs.core.lock import FolderLock

    with FolderLock(tmp_path / "out"):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
        assert f"is being written to by another process ({os.getpid()})" in one_line(capsys)
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("module", ["gymnasium", "tyro", "makespan.cli.commands"])
def test_interrupted_while_it_loads(module, tmp_path):
    """Ctrl-C in the first half second: the import of a module is where it arrives."""
    hook = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    script = tmp_path / "makespan"  # as an installer writes it
    script.write_text(f"{hook}from makespan.cli.main import main\nsys.exit(main())\n")
    done = subprocess.run(
        [sys.executable, str(script), "envs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "makespan: error: interrupted\n")


def test_whoever_imports_the_package_gets_the_interrupt(tmp_path):
    (tmp_path / "gymnasium.py").write_text("raise KeyboardInterrupt\n")
    program = "try:\n    import makespan\nexcept KeyboardInterrupt:\n    print('mine')\n"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "mine\n"


def test_training_needs_the_name_of_a_folder(capsys):
    assert main(["train", SHOP, "--out", ""]) == 2
    assert "option out is ''" in one_line(capsys)


def test_a_word_out_of_place_is_told_of_in_a_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal of ASCII alone, too, where the parser draws its frames with other signs."""
    words = ["evaluate", "makespan/JobShop-v0", "--nothing", *[f"--option-{k}=value" for k in range(200)]]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("makespan: error: Unrecognized")
    assert said.count("\n") == 1
    assert len(said) < 500
    assert "---" not in said.replace("--option", "")
