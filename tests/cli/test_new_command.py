"""``makespan new``: what it writes keeps the contract at once, and what it refuses leaves nothing behind."""

import json
import os
import subprocess
import sys

import pytest
from makespan.cli import new
from makespan.cli.main import main
from makespan.envs.core.errors import FieldError, UserError
from support.workplace import Workplace, install

NAME, ENV_ID = "paint_shop2", "paint-shop2/PaintShop2-v0"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A new package under another name than the skeleton's, installed."""
    root = tmp_path_factory.mktemp("new")
    assert main(["new", NAME, "--out", str(root / "package")]) == 0
    return install(root / "package", root)


def test_a_new_package_passes_its_own_tests_which_check_the_contract(workplace):
    workplace.own_tests()


def test_a_new_package_offers_all_of_the_contract(workplace):
    report = json.loads(workplace.makespan("check", ENV_ID, "--json"))
    assert report["ok"]
    skipped = {row["rule"] for row in report["findings"] if row["outcome"] == "skipped"}
    assert skipped <= {"sb3 check_env", "agents", "checkpoints"}


def test_generic_agents_play_a_new_package(workplace):
    workplace.makespan("evaluate", ENV_ID, "--agents", "spt,lpt,rollout:of=lpt", "--instances",
                       "tiny5,tiny8", "--out", "results/new")  # fmt: skip
    rows = json.loads((workplace.folder / "results" / "new" / "results.json").read_text())
    assert [(row["valid"], row["gap"]) for row in rows if row["agent"] == "spt"] == [(True, 0.0)] * 2
    assert all(row["gap"] > 0 for row in rows if row["agent"] == "lpt")
    assert "total completion time" in workplace.makespan("show", "results/new", "--row", "0")


def test_nothing_is_left_of_the_skeletons_names(workplace):
    for path in workplace.source.rglob("*"):
        assert "my_problem" not in path.name
        if path.is_file():
            text = path.read_text()
            assert not [old for old in ("my_problem", "my-problem", "MyProblem") if old in text], path


def test_a_new_package_is_clean_python(workplace):
    pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
        done = subprocess.run(words, cwd=workplace.source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name, message",
    [
        ("my-problem", "expected an identifier"),
        ("MyProblem", "expected an identifier"),
        ("2d", "expected an identifier"),
        ("", "expected an identifier"),
        ("a" * 41, "at most 40 characters"),
        ("ende_", "expected an identifier"),
        ("../x", "expected an identifier"),
        ("x\n", "expected an identifier"),
        ("class", "no keyword"),
        ("match", "no keyword"),
        ("json", "Python's library"),
        ("makespan", "of makespan"),
    ],
)
def test_names_that_no_package_can_have_are_refused_in_one_line(name, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", name]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_package_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "numpy"]) == 2
    assert "a package 'numpy' is installed already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_never_touched(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "my_shop"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    assert main(["new", "my_shop"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["my_shop"]
    assert kind != "file" or place.read_text() == "mine"


@pytest.mark.parametrize("out", ["no/such/folder", "file/inside", "zero\0byte"])
def test_where_nothing_can_be_written_is_said_in_one_line(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        new.run("my_shop", out)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def fail(text, name):
        written.append(text)
        if len(written) > 8:
            raise OSError(28, os.strerror(28))
        return text

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new, "renamed", fail)
    with pytest.raises(UserError, match="No space left"):
        new.run("my_shop", None)
    assert list(tmp_path.iterdir()) == []


def test_names_are_derived_from_the_packages():
    assert (new.namespace("a__b_c"), new.class_name("single_machine2")) == ("a-b-c", "SingleMachine2")
    with pytest.raises(FieldError, match="name is '_x'"):
        new.check_name("_x")
