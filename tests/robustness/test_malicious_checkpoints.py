"""Checkpoints made to harm whoever loads them: refused with one line, with nothing loaded, followed or filled up.

What is merely damaged is in ``tests/agents/test_checkpoint.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.checkpoint import CARD, WEIGHTS, load_checkpoint, save_checkpoint
from makespan.agents.learned import find_checkpoint
from makespan.cli.main import main
from makespan.envs.core.errors import UserError

CARD_DATA: dict[str, Any] = {
    "agent": "scorer",
    "network": {"kind": "scorer"},
    "spec_hash": "0123456789abcdef",
    "spec": {},
    "env": "makespan/JobShop-v0",
    "env_options": {},
}
LARGEST_MESSAGE = 500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "trap"
    save_checkpoint(place, {"a": np.arange(2, dtype=np.float32)}, CARD_DATA)
    return place


def put(folder: Path, content: bytes) -> None:
    """These weights, and a card that states their hash: whoever makes a trap does so, too."""
    card = json.loads((folder / CARD).read_text())
    (folder / WEIGHTS).write_bytes(content)
    (folder / CARD).write_text(json.dumps({**card, "weights_sha256": hashlib.sha256(content).hexdigest()}))


def refused(folder: Path, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < LARGEST_MESSAGE
    for part in parts:
        assert part in message, message


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of a header, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(first: int, last: int, shape: Any = (2,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [first, last]}


def bomb() -> bytes:
    """A zip of 64 MiB of zeros in 64 KiB."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("weights", bytes(64 * 2**20))
    return content.getvalue()


class Trap:
    """Sets a flag when it is unpickled."""

    sprung = False

    def __reduce__(self) -> Any:
        return setattr, (Trap, "sprung", True)


WEIGHTS_THAT_LIE: dict[str, Callable[[], bytes]] = {
    "overlapping": lambda: tensors({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
    "the same place twice": lambda: tensors({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8)),
    "negative": lambda: tensors({"a": entry(-8, 0)}, bytes(8)),
    "reversed": lambda: tensors({"a": entry(8, 0)}, bytes(8)),
    "beyond the end": lambda: tensors({"a": entry(0, 2**40, (2**38,))}, bytes(8)),
    "a hole": lambda: tensors({"a": entry(8, 16)}, bytes(16)),
    "more than is named": lambda: tensors({"a": entry(0, 8)}, bytes(16)),
    "a name twice": lambda: tensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(8),
    ),
    "a shape that overflows": lambda: tensors({"a": entry(0, 8, (2**33, 2**33))}, bytes(8)),
    "an endless shape of nothing": lambda: tensors({"a": entry(0, 0, (2**62, 0))}),
    "a negative side": lambda: tensors({"a": entry(0, 8, (-2,))}, bytes(8)),
    "a type that NumPy lacks": lambda: tensors({"a": entry(0, 4, (2,), "BF16")}, bytes(4)),
    "a huge header": lambda: tensors(b"{" + b" " * 10**8 + b"}"),
    "a header that is not there": lambda: tensors(b"{}", length=2**62),
    "a deep header": lambda: tensors(b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
    "a zip bomb": bomb,
    "a pickle": lambda: pickle.dumps(Trap()),
    "a pickle after a header": lambda: tensors({}, pickle.dumps(Trap())),
    "a name that climbs": lambda: tensors({"../../outside": entry(0, 8)}, bytes(8)),
    "a name of a place": lambda: tensors({"/outside": entry(0, 8)}, bytes(8)),
    "a name of two lines": lambda: tensors({"a\nb": entry(0, 8)}, bytes(8)),
    "a name that colours": lambda: tensors({"\x1b[31m": entry(0, 8)}, bytes(8)),
    "a malformed array with a name of two lines": lambda: tensors({"a\n\n\x1b[31mb": entry(8, 16)}, bytes(16)),
    "no name": lambda: tensors({"": entry(0, 8)}, bytes(8)),
    "a long name": lambda: tensors({"x" * 10**6: entry(0, 8)}, bytes(8)),
    "a malformed array with a long name": lambda: tensors({"x" * 10**6: entry(8, 16)}, bytes(16)),
    "NaN": lambda: tensors({"a": entry(0, 8)}, struct.pack("<ff", 1.0, float("nan"))),
    "infinity": lambda: tensors({"a": entry(0, 8)}, struct.pack("<ff", float("-inf"), 1.0)),
    "NaN in float64": lambda: tensors({"a": entry(0, 8, (1,), "F64")}, struct.pack("<d", float("nan"))),
    "NaN in float16": lambda: tensors({"a": entry(0, 4, (2,), "F16")}, struct.pack("<ee", float("nan"), 0.0)),
}


@pytest.mark.parametrize("kind", WEIGHTS_THAT_LIE)
def test_weights_under_a_card_that_states_their_hash(folder: Path, kind: str) -> None:
    content = WEIGHTS_THAT_LIE[kind]()
    put(folder, content)
    tracemalloc.start()
    refused(folder, WEIGHTS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(content) + 2**23, "no more is taken than what lies there"
    assert not Trap.sprung
    assert sorted(os.listdir(folder.parent)) == ["trap"]
    assert sorted(os.listdir(folder)) == [CARD, WEIGHTS]


def test_sound_weights_pass_the_same_way(folder: Path) -> None:
    """So that the cases above are refused for what they are."""
    put(folder, tensors({"a.b-c:1+x": entry(0, 8)}, struct.pack("<ff", 1.0, 2.0)))
    assert load_checkpoint(folder)[0]["a.b-c:1+x"].tolist() == [1.0, 2.0]


def test_weights_that_are_not_those_of_the_card(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(tensors({"a": entry(0, 8)}, bytes(8)))
    refused(folder, "SHA-256", "one of the two files was changed")


CARDS_THAT_LIE: dict[str, Any] = {
    "NaN": '{"network": NaN}',
    "infinity": '{"network": {"width": 1e999}}',
    "a long number": '{"version": ' + "9" * 10_000 + "}",
    "deep": '{"network": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "rather deep": '{"network": ' + '{"a": ' * 40 + "1" + "}" * 41,
    "a key twice": '{"agent": "scorer", "agent": "spt"}',
    "large": '{"notes": "' + "x" * (65 * 2**20) + '"}',
    "many keys": json.dumps({f"key {number}\n": number for number in range(10_000)}),
    "no text": b"\xff\xfe\x00{",
}


@pytest.mark.parametrize("kind", CARDS_THAT_LIE)
def test_cards(folder: Path, kind: str) -> None:
    content = CARDS_THAT_LIE[kind]
    (folder / CARD).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(folder, CARD)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
@pytest.mark.parametrize("kind", ["itself", "nowhere", "folder", "pipe", "device"])
def test_links_to_what_is_no_file(folder: Path, name: str, kind: str) -> None:
    """A link to a whole file is read as any: caches of models are made of links."""
    (folder.parent / "folder").mkdir()
    os.mkfifo(folder.parent / "pipe")
    targets = {"itself": name, "nowhere": "nowhere", "folder": "../folder", "pipe": "../pipe", "device": "/dev/zero"}
    (folder / name).unlink()
    (folder / name).symlink_to(targets[kind])
    refused(folder, f"has no file {name!r}")


def test_a_link_to_more_than_is_read(folder: Path) -> None:
    large = folder.parent / "large"
    with open(large, "wb") as file:
        file.truncate(2**40)  # takes no room
    for name in (CARD, WEIGHTS):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).symlink_to(large)
        refused(folder, "it holds more than")
        (folder / name).unlink()
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "name", ["checkpoints/../../outside", "checkpoints/..", "./\ud800", "./\x00", "a/" * 3000 + "b", "./two\nlines"]
)
def test_names_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "makespan/JobShop-v0", "--agents", name, "--instances", "random-2x2-s1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("makespan: error: ")
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_no_library_that_runs_what_it_loads_takes_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads a checkpoint does so without pickle at all."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    if "torch" in sys.modules:
        monkeypatch.setattr(sys.modules["torch"], "load", never)
    load_checkpoint(folder)
    put(folder, b"\x80\x04K\x01.")
    refused(folder, WEIGHTS)


def test_a_checkpoint_of_a_long_name_is_not_shipped() -> None:
    with pytest.raises(UserError, match="neither a folder nor shipped"):
        find_checkpoint("checkpoints/" + "a" * 5000)
