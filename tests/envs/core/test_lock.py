"""A folder has one writer at a time, and a dead one is no obstacle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.core.lock import LOCK, FolderLock

HOLD = """
import sys, time
from makespan.envs.core.lock import FolderLock
lock = FolderLock(sys.argv[1])
print(1, flush=True)
"""


def holder(folder: Path, then: str) -> subprocess.Popen[str]:
    """Another process that holds the folder."""
    program = HOLD + then
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    return process


def test_a_second_holder_is_refused_in_one_line(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "run"):
        with pytest.raises(UserError) as caught:
            FolderLock(tmp_path / "run")
        assert "another process" in str(caught.value)
        assert str(os.getpid()) in str(caught.value)
        assert "\n" not in str(caught.value)
        FolderLock(tmp_path / "other").release()


def test_what_was_only_held_is_gone_afterwards(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "deep" / "run"):
        assert (tmp_path / "deep" / "run" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
    with FolderLock(tmp_path / "deep" / "run"):
        (tmp_path / "deep" / "run" / "file").touch()
    assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["file"]
    with FolderLock(tmp_path):
        pass
    assert tmp_path.is_dir()


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path, "time.sleep(60)")
    with pytest.raises(UserError, match=str(process.pid)):
        FolderLock(tmp_path)
    process.kill()
    process.wait()
    assert (tmp_path / LOCK).exists()
    FolderLock(tmp_path).release()
    assert not (tmp_path / LOCK).exists()


def test_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened while another held it, locked after that one had gone: by then a third may hold a new file."""
    first = FolderLock(tmp_path)
    held = []

    from makespan.envs.core import lock as module

    try_lock = module._try_lock

    def late(descriptor: int) -> bool:
        if not held:
            held.append(descriptor)
            first.release()
        return try_lock(descriptor)

    monkeypatch.setattr(module, "_try_lock", late)
    second = FolderLock(tmp_path)
    with pytest.raises(UserError, match="another process"):
        FolderLock(tmp_path)
    second.release()


@pytest.mark.parametrize("name", ["file", "file/run", "a\0b"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        FolderLock(tmp_path / name)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("all of it")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".lock").symlink_to(kept)
    with pytest.raises(UserError, match="cannot write to"):
        FolderLock(folder)
    assert kept.read_text() == "all of it"
