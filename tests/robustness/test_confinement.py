"""What keeps the other tests here from harming the machine they run on: nothing outside a folder can be changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from makespan.cli.main import _keep_caches_together
from makespan.envs.core.files import atomic_write, cache_folder
from support.confinement import Escaped, confined

ATTEMPTS: dict[str, Callable[[Path, Path], object]] = {
    "write": lambda inside, outside: (outside / "file").write_text("x"),
    "append": lambda inside, outside: open(outside / "file", "a"),  # noqa: SIM115
    "open": lambda inside, outside: os.open(outside / "new", os.O_WRONLY | os.O_CREAT),
    "atomic write": lambda inside, outside: atomic_write(outside / "file", "x"),
    "atomic write of something new": lambda inside, outside: atomic_write(outside / "new", "x"),
    "write through a link": lambda inside, outside: (inside / "link").write_text("x"),
    "atomic write through a link": lambda inside, outside: atomic_write(inside / "link", "x"),
    "write through a folder's link": lambda inside, outside: (inside / "way" / "file").write_text("x"),
    "rename out": lambda inside, outside: os.rename(inside / "mine", outside / "file"),
    "replace out": lambda inside, outside: os.replace(inside / "mine", outside / "file"),
    "rename in": lambda inside, outside: os.rename(outside / "file", inside / "stolen"),
    "remove": lambda inside, outside: (outside / "file").unlink(),
    "remove upwards": lambda inside, outside: os.remove(inside / ".." / "outside" / "file"),
    "make a folder": lambda inside, outside: (outside / "folder").mkdir(),
    "remove a folder": lambda inside, outside: (outside / "empty").rmdir(),
    "remove a tree": lambda inside, outside: shutil.rmtree(outside),
    "remove the tree above": lambda inside, outside: shutil.rmtree(inside.parent),
    "link": lambda inside, outside: (outside / "l").symlink_to("file"),
    "chmod": lambda inside, outside: (outside / "file").chmod(0),
    "truncate": lambda inside, outside: os.truncate(outside / "file", 0),
    "replace a pipe": lambda inside, outside: os.replace(inside / "mine", outside / "pipe"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_outside_changes(tmp_path: Path, attempt: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside, outside / "empty"):
        folder.mkdir()
    (outside / "file").write_text("kept")
    os.mkfifo(outside / "pipe")
    (inside / "mine").write_text("mine")
    (inside / "link").symlink_to(outside / "file")
    (inside / "way").symlink_to(outside)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(Escaped), confined(inside):
        ATTEMPTS[attempt](inside, outside)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert (outside / "file").read_text() == "kept"
    assert (outside / "file").stat().st_mode & 0o400


def test_everything_inside_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dangling").symlink_to("/nowhere/at/all")
    with confined(tmp_path):
        atomic_write("a.txt", "x")
        os.rename("a.txt", "b.txt")
        (tmp_path / "folder" / "deep").mkdir(parents=True)
        atomic_write(tmp_path / "folder" / "deep" / "c.txt", "x")
        shutil.rmtree("folder")
        (tmp_path / "dangling").unlink()
        with open(os.devnull, "w") as nowhere:
            nowhere.write("x")
    assert os.listdir(tmp_path) == ["b.txt"]
    (tmp_path.parent / "free again").write_text("")


def test_libraries_keep_their_places_where_the_cache_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch fails where it cannot make its folder, and our own cache does without."""
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    for cache in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("MAKESPAN_CACHE", str(cache))
        _keep_caches_together()
        assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


TINY = (
    "--instances random:size=3x3 --steps 8 --copies 2 --rollout 4 --batch 8 --epochs 1 --width 4 --layers 1 "
    "--validation-worlds 2 --device cpu --out run"
)
COMMANDS = (
    f"train makespan/JobShop-v0 --agent graph-ppo {TINY}",
    "evaluate makespan/JobShop-v0 --agents spt,run/best --instances ft06 --seeds 0 --out results",
    "report results",
    "show results --row 0 --out shop.png",
)


def test_commands_write_to_their_folders_and_the_cache_alone(tmp_path: Path) -> None:
    """Libraries, too: neither the user's folder nor that of temporary files is touched."""
    home, temporary, work = (tmp_path / name for name in ("home", "temporary", "work"))
    for folder in (home, temporary, work):
        folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL", "TORCH"))}
    places = {"HOME": str(home), "TMPDIR": str(temporary), "MAKESPAN_CACHE": str(cache_folder())}
    for words in COMMANDS:
        command = [sys.executable, "-m", "makespan.cli.main", *words.split()]
        done = subprocess.run(command, cwd=work, env=kept | places, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
    assert sorted(os.listdir(work)) == ["results", "run", "shop.png"]
