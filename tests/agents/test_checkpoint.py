"""Checkpoints: written whole or not at all, read with one clear sentence where they are not whole."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents import checkpoint
from makespan.agents.checkpoint import (
    CARD,
    WEIGHTS,
    checkpoint_place,
    dump_arrays,
    load_checkpoint,
    parse_arrays,
    save_checkpoint,
)
from makespan.envs.core.errors import UserError

OLD = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.zeros(0, dtype=np.float32)}
NEW = {"a": np.ones((2, 3), dtype=np.float32), "b.c": np.ones(1, dtype=np.float32)}


def card(**changes: Any) -> dict[str, Any]:
    usual = {
        "agent": "graph-ppo",
        "network": {"kind": "graph"},
        "spec_hash": "0123456789abcdef",
        "spec": {},
        "env": "makespan/JobShop-v0",
        "env_options": {"p": 0.005},
    }
    return {**usual, **changes}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "x"
    save_checkpoint(folder, OLD, card(notes="first"))
    weights, read = load_checkpoint(folder)
    assert same(weights, OLD)
    assert read["notes"] == "first"
    assert read["format"] == "makespan/checkpoint"
    assert sorted(path.name for path in folder.iterdir()) == [CARD, WEIGHTS]
    save_checkpoint(str(folder), NEW, card())
    assert same(load_checkpoint(str(folder))[0], NEW)
    assert os.listdir(tmp_path / "deep") == ["x"]


def test_arrays_keep_shape_and_type() -> None:
    arrays = {
        "none": np.zeros((), dtype=np.float32),
        "strided": np.arange(12, dtype=np.int32).reshape(3, 4).T,
        "bytes": np.arange(5, dtype=np.uint8),
    }
    read = parse_arrays(dump_arrays(arrays), "here")
    assert {name: (array.shape, array.dtype) for name, array in read.items()} == {
        name: (array.shape, array.dtype) for name, array in arrays.items()
    }
    assert same(read, arrays)


def test_what_is_no_checkpoint_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="it exists and is not a checkpoint"):
        save_checkpoint(folder, OLD, card())
    assert os.listdir(folder) == ["thesis.txt"]
    file = tmp_path / "y"
    file.write_text("a file")
    with pytest.raises(UserError, match="it exists and is not a checkpoint"):
        save_checkpoint(file, OLD, card())
    assert file.read_text() == "a file"
    with pytest.raises(UserError, match=r"cannot write checkpoint .*File exists|Not a directory"):
        save_checkpoint(file / "below", OLD, card())
    (tmp_path / "empty").mkdir()
    save_checkpoint(tmp_path / "empty", OLD, card())
    assert same(load_checkpoint(tmp_path / "empty")[0], OLD)


def test_through_a_link(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "real", OLD, card())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save_checkpoint(tmp_path / "link", NEW, card())
    assert (tmp_path / "link").is_symlink()
    assert same(load_checkpoint(tmp_path / "real")[0], NEW)
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


# --- cut off ----------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """Neither an error that can be handled nor one that anybody expects."""


def die_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int, error: type[BaseException]) -> None:
    """Let the n-th call of a function fail."""
    real: Callable[..., Any] = getattr(module, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, dying)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, Died])
@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (checkpoint, "atomic_write", 1),
        (checkpoint, "atomic_write", 2),
        (os, "rename", 1),
        (os, "rename", 2),
        (os, "fsync", 1),
        (os, "replace", 2),
    ],
)
def test_the_old_checkpoint_survives_every_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int, error: type[BaseException]
) -> None:
    folder = tmp_path / "x"
    save_checkpoint(folder, OLD, card())
    with monkeypatch.context() as patch:
        die_at(patch, module, name, call, error)
        with pytest.raises(UserError if error is OSError else error) as caught:
            save_checkpoint(folder, NEW, card())
    if error is OSError:
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert same(load_checkpoint(folder)[0], OLD)
    assert os.listdir(tmp_path) == ["x"]
    save_checkpoint(folder, NEW, card())
    assert same(load_checkpoint(folder)[0], NEW)


_KILLED = """
import os, sys
import numpy as np
from makespan.agents import checkpoint
where, stop = sys.argv[1], int(sys.argv[2])
calls = 0
def dying(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == stop:
            os._exit(9)  # as after kill -9: nobody cleans up
        return real(*args, **kwargs)
    return call
checkpoint.atomic_write = dying(checkpoint.atomic_write)
os.rename, os.replace, checkpoint.shutil.rmtree = dying(os.rename), dying(os.replace), dying(checkpoint.shutil.rmtree)
checkpoint.save_checkpoint(where, {"a": np.ones(3, dtype=np.float32)}, {card})
print(calls)
"""


def test_the_old_or_the_new_checkpoint_survives_a_kill_at_every_step(tmp_path: Path) -> None:
    old, new = {"a": np.zeros(3, dtype=np.float32)}, {"a": np.ones(3, dtype=np.float32)}
    program = _KILLED.replace("{card}", repr(card()))
    found = []
    for stop in range(1, 20):
        folder = tmp_path / str(stop) / "x"
        save_checkpoint(folder, old, card())
        done = subprocess.run([sys.executable, "-c", program, str(folder), str(stop)], check=False)
        weights, _ = load_checkpoint(folder)
        assert same(weights, old) or same(weights, new), stop
        found.append(same(weights, new))
        save_checkpoint(folder, new, card())
        assert same(load_checkpoint(folder)[0], new)
        assert os.listdir(folder.parent) == ["x"], "what was left behind is swept up by the next save"
        if done.returncode == 0:
            break
    else:
        pytest.fail("the save has more steps than were tried")
    assert found == sorted(found), "once it is new it stays new"
    assert len(found) > 8


def test_between_the_renames_the_old_one_is_read_and_then_put_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "x", OLD, card())
    os.rename(tmp_path / "x", tmp_path / ".x.old")
    assert checkpoint_place(tmp_path / "x") == tmp_path / ".x.old"
    assert same(load_checkpoint(tmp_path / "x")[0], OLD)
    assert os.listdir(tmp_path) == [".x.old"], "reading changes nothing"
    with pytest.raises(UserError, match="is not a folder"):
        load_checkpoint(tmp_path / "y")


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the system refuses to write on."""
    save_checkpoint(tmp_path / "x", OLD, card())
    program = (
        "import signal, sys, numpy as np\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from makespan.agents.checkpoint import save_checkpoint\n"
        "from makespan.envs.core.errors import UserError\n"
        "try:\n"
        f"    save_checkpoint(sys.argv[1], {{'a': np.ones(9999, dtype=np.float32)}}, {card()!r})\n"
        "except UserError as error:\n"
        "    print(error); sys.exit(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x")],
        preexec_fn=_limit_files,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("cannot write ")
    assert "File too large" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert os.listdir(tmp_path) == ["x"]
    assert same(load_checkpoint(tmp_path / "x")[0], OLD)


# --- damaged ----------------------------------------------------------------------------------------------------------


def refused(folder: Path, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "x"
    save_checkpoint(place, OLD, card())
    return place


def test_truncated_weights_at_every_length(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    for length in range(len(content)):
        (folder / WEIGHTS).write_bytes(content[:length])
        refused(folder, WEIGHTS)


def test_edited_weights_at_every_byte(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    for place in range(len(content)):
        edited = bytearray(content)
        edited[place] ^= 1
        (folder / WEIGHTS).write_bytes(bytes(edited))
        refused(folder, WEIGHTS)


def test_truncated_card_at_every_length(folder: Path) -> None:
    content = (folder / CARD).read_bytes().rstrip()
    for length in range(0, len(content)):
        (folder / CARD).write_bytes(content[:length])
        refused(folder, CARD)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"format": "makespan/job-shop"}, ("makespan/job-shop", "makespan/checkpoint")),
        ({"version": 99}, ("version", "99")),
        ({"agent": 5}, ("agent is 5, expected a name",)),
        ({"network": "graph"}, ("network is 'graph', expected an object",)),
        ({"spec_hash": None}, ("spec_hash is None, expected a hash",)),
        ({"env_options": []}, ("env_options is [], expected an object",)),
        ({"weights_sha256": "00"}, ("SHA-256", "one of the two files was changed")),
        ({"surprise": 1}, ("unknown key", "'surprise'")),
        ({"env": ...}, ("expected an object with the key 'env'",)),
    ],
)
def test_an_edited_card(folder: Path, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    data = {**json.loads((folder / CARD).read_text()), **changes}
    (folder / CARD).write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))
    refused(folder, CARD if "weights_sha256" not in changes else WEIGHTS, *parts)


@pytest.mark.parametrize("text", ["[]", "5", "null", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 500, "\x00", "\ud800"])
def test_a_card_that_is_something_else(folder: Path, text: str) -> None:
    (folder / CARD).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(folder, CARD)


def test_a_missing_file(folder: Path) -> None:
    for name in (WEIGHTS, CARD):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        refused(folder, f"has no file {name!r}")
        (folder / name).mkdir()
        refused(folder, f"has no file {name!r}")
        (folder / name).rmdir()
        (folder / name).write_bytes(content)


class Trap:
    """Sets a flag when it is unpickled."""

    sprung = False

    def __reduce__(self) -> Any:
        return setattr, (Trap, "sprung", True)


def test_a_pickle_by_another_name_is_not_loaded(folder: Path) -> None:
    pickle.loads(pickle.dumps(Trap()))
    assert Trap.sprung, "the trap works"
    Trap.sprung = False
    for name in (WEIGHTS, CARD):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(pickle.dumps(Trap()))
        refused(folder, name)
        (folder / name).write_bytes(content)
    assert not Trap.sprung


def test_the_source_never_unpickles() -> None:
    """torch.load and np.load are the two ways in which it would happen unnoticed."""
    root = Path(checkpoint.__file__).parents[1]
    for place in ("agents", "training"):
        for path in (root / place).rglob("*.py"):
            text = path.read_text()
            for word in ("pickle", "torch.load(", "np.load(", "allow_pickle", "joblib", "shelve"):
                assert word not in text, f"{path}: {word}"


def header(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40),
        header('{"a":{"dtype":"F32","shape":[1000000,1000000,1000000],"data_offsets":[0,4]}}') + bytes(4),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,800000000]}}') + bytes(8),
        header('{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}') + bytes(4),
        header('{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}') + bytes(4),
        header("[]"),
        header("{" * 100000),
    ],
    ids=range(9),
)
def test_weights_that_lie_about_themselves(folder: Path, content: bytes) -> None:
    (folder / WEIGHTS).write_bytes(content)
    refused(folder, WEIGHTS)


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with open(folder / WEIGHTS, "ab") as file:
        file.truncate(2**40)  # sparse: takes no room
    refused(folder, WEIGHTS, "it holds more than")
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "/proc/self/mem", "/dev/full", "nowhere/at/all"])
def test_strange_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_checkpoint(name)
    assert "\n" not in str(caught.value)
    if name not in ("", "nowhere/at/all"):
        with pytest.raises(UserError) as caught:
            save_checkpoint(name, OLD, card())
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []
