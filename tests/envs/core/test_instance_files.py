"""Files written whole or not at all; strict JSON; checks that name the field."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.files import (
    atomic_write,
    decode_text,
    named_files,
    read_bounded,
    refuse_links,
    suggest_path,
    user_path,
)
from makespan.envs.core.instance import (
    MAX_DEPTH,
    check_header,
    content_hash,
    load_document,
    parse_json,
    require_integer,
    require_keys,
    require_list,
    require_name,
)

GOOD = '{"format": "makespan/test", "version": 1, "jobs": [1, 2.5]}'


def load(path):
    return load_document(path, "makespan/test", (1, 2))


def test_reading_takes_no_more_memory_than_the_file(tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 10)
    tracemalloc.start()
    assert read_bounded(tmp_path / "small", 2**40) == b"x" * 10
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_names_of_files_and_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.json", "a.json", "[1].json"):
        (tmp_path / name).write_text("{}")
    assert named_files("./*.json") == [Path("./[1].json"), Path("./a.json"), Path("./b.json")]
    assert named_files("./[1].json") == [Path("./[1].json")], "a file of this name wins over the pattern"
    assert named_files("./missing") == [Path("./missing")]
    for name, problem in ((".", "is a folder"), ("./*.csv", "matches no file"), ("./*\0", "matches no file")):
        with pytest.raises(UserError, match=problem):
            named_files(name)
    with pytest.raises(UserError, match=r"write './a.json'"):
        suggest_path("a.json")


@pytest.mark.parametrize("name", ["a" * 5000, "~nobody/x", "\0", "\ud800", "~\ud800/x", "~a\0/x", "~", "~" * 300])
def test_names_that_pathlib_refuses_are_names_of_no_file(name):
    suggest_path(name)
    assert isinstance(user_path(name), Path)
    for path in named_files(f"./{name}"):
        with pytest.raises(UserError, match="cannot read"):
            read_bounded(path)


# Writing


def test_write_new_and_over(tmp_path):
    path = tmp_path / "a.json"
    atomic_write(path, "erste Fassung: ä\n")
    assert path.read_bytes() == "erste Fassung: ä\n".encode()
    atomic_write(str(path), b"\x00\r\n\xff")
    assert path.read_bytes() == b"\x00\r\n\xff"
    assert os.listdir(tmp_path) == ["a.json"]


def test_write_keeps_permissions_and_respects_the_umask(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("x")
    old.chmod(0o640)
    mask = os.umask(0o027)
    try:
        atomic_write(old, "y")
        atomic_write(new, "y")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    old.chmod(0o604)
    atomic_write(old, "z")
    assert stat.S_IMODE(old.stat().st_mode) == 0o604


def test_write_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    atomic_write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_nothing_but_a_file_is_replaced(tmp_path):
    """As root, a device would be gone for everybody."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name, what in (
        ("pipe", "it is no regular file"),
        ("link", "it is no regular file"),
        ("folder", "it is a directory"),
    ):
        with pytest.raises(UserError, match=f"cannot write .*{name}': {what}"):
            atomic_write(tmp_path / name, "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


def test_links_in_a_folder_that_is_written_to_again(tmp_path):
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "elsewhere").symlink_to("/nowhere")
    refuse_links(tmp_path, ["run.json", "parts", "missing"])
    for place in ("parts/deep/file", "parts/folder", "results.json"):
        link = tmp_path / place
        link.symlink_to(tmp_path)
        with pytest.raises(UserError, match=f"{place}' is a link"):
            refuse_links(tmp_path, ["run.json", "results.json", "parts"])
        link.unlink()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(UserError, match=r"cannot write '.*a\.json': No space left on device"):
        atomic_write(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a.json", "new")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="limits of file size are POSIX's")
def test_a_full_disk_for_real(tmp_path):
    """The kernel refuses to write more than 1000 bytes."""
    (tmp_path / "a").write_text("old")
    program = f"""
        import resource
        from makespan.envs.core.errors import UserError
        from makespan.envs.core.files import atomic_write
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        atomic_write({str(tmp_path / "small")!r}, b"x" * 1000)
        try:
            atomic_write({str(tmp_path / "a")!r}, b"x" * 100_000)
        except UserError as error:
            print(error)
        """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "cannot write" in run.stdout
    assert "too large" in run.stdout
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a", "small"]


@pytest.mark.parametrize(
    "name, data, reason",
    [
        ("none/a", "x", "No such file or directory"),
        ("file/a", "x", "Not a directory"),
        ("folder", "x", "directory"),
        ("nul\0l", "x", "null"),
        ("a" * 300, "x", "too long"),
        ("a", "\ud800", "surrogates"),
    ],
)
def test_unwritable(tmp_path, name, data, reason):
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot write") as caught:
        atomic_write(tmp_path / name, data)
    assert reason in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        atomic_write(tmp_path / "a", "x")


# Reading


def test_read_bounded(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(UserError, match="more than 4 bytes"):
        read_bounded(path, 4)
    for wrong, reason in [(tmp_path / "b", "no such file"), (tmp_path, "not a regular file"), ("nul\0l", "nul.*")]:
        with pytest.raises(UserError, match=f"cannot read .*{reason}"):
            read_bounded(wrong)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        read_bounded(tmp_path / "pipe")


def test_decode_text():
    assert decode_text("\ufeffä".encode(), "f") == "ä"
    with pytest.raises(UserError, match=r"f: byte 2 is not UTF-8 text"):
        decode_text(b"ab\xff", "f")


def test_load_document(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(GOOD)
    assert load(path) == {"format": "makespan/test", "version": 1, "jobs": [1, 2.5]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not JSON"),
        ("{", "not JSON: .* in line 1"),
        ('{"format": "makespan/test",\n "version": 1,}', "not JSON: .* in line 2"),
        (GOOD + "x", "not JSON: Extra data in line 1, column"),
        ("[1]", r"the document is \[1\], expected an object"),
        ("null", "the document is None"),
        ("{}", "format is None, expected 'makespan/test'"),
        (GOOD.replace("makespan/test", "makespan/other"), "format is 'makespan/other', expected 'makespan/test'"),
        ('{"format": "makespan/test"}', "version is None, expected one of 1, 2"),
        (GOOD.replace('"version": 1', '"version": 3'), "version is 3, expected one of 1, 2"),
        (GOOD.replace('"version": 1', '"version": true'), "version is True"),
        (GOOD.replace('"version": 1', '"version": 1.0'), r"version is 1\.0"),
        (GOOD.replace('"version": 1', '"version": [1]'), r"version is \[1\]"),
        (GOOD.replace("2.5", "NaN"), "NaN is not a finite number"),
        (GOOD.replace("2.5", "-Infinity"), "-Infinity is not a finite number"),
        (GOOD.replace("2.5", "1e400"), "1e400 is not a finite number"),
        (GOOD.replace("2.5", "9" * 5000), "a number is too long"),
        (GOOD.replace("2.5", "[" * 100_000), "nested more than"),
        (GOOD.replace("2.5", "[" * 500 + "]" * 500), "nested more than"),
        (GOOD.replace("2.5", '{"a": 1, "b": 2, "a": 3}'), "key 'a' is given twice"),
    ],
)
def test_malformed_documents(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_depth_limit_is_exact():
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f")
    with pytest.raises(UserError, match="nested"):
        parse_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "f")


def test_size_limit_comes_before_parsing(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 101)
    with pytest.raises(UserError, match="more than 100 bytes"):
        load_document(path, "makespan/test", (1,), limit=100)
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(UserError, match="more than 67,108,864 bytes"):
        load(path)


# Checks


@pytest.mark.parametrize("value", [0, 5, np.int32(3), np.uint64(5)])
def test_integers(value):
    number = require_integer("x", value, 0, 5)
    assert number == value
    assert type(number) is int


@pytest.mark.parametrize(
    "value", [-1, 6, 2.0, True, np.bool_(True), "3", None, [1], 10**5000, -(10**5000)], ids=lambda x: type(x).__name__
)
def test_not_integers(value):
    with pytest.raises(FieldError, match=r"^file: jobs\[3\] is .*, expected an integer from 0 to 5$") as caught:
        require_integer("jobs[3]", value, 0, 5, "file")
    assert caught.value.field == "jobs[3]"


def test_lists_keys_and_headers():
    assert require_list("x", [1]) == [1]
    with pytest.raises(FieldError, match=r"^x is \{\}, expected a list"):
        require_list("x", {})
    assert require_keys("x", {"a": 1, "b": 2}, ["a"], ["b"]) == {"a": 1, "b": 2}
    with pytest.raises(UnknownNameError, match=r"^unknown key of f: x: 'tmes'; did you mean 'times'\?"):
        require_keys("x", {"times": 1, "tmes": 2}, ["times"], (), "f")
    with pytest.raises(FieldError, match="the key 'a'"):
        require_keys("x", {"b": 2}, ["a"], ["b"])
    with pytest.raises(FieldError, match="an object"):
        require_keys("x", [], ["a"])
    with pytest.raises(FieldError, match=r"^version is 2, expected one of 1$"):
        check_header({"format": "f", "version": 2}, "f", (1,))


@pytest.mark.parametrize("name", ["ft06", "Werk 3, Halle ä", "x" * 120])
def test_names(name):
    assert require_name("name", name) == name


@pytest.mark.parametrize("name", ["", " a", "a\n", "a/b", "a\\b", "x" * 121, "\ud800", "\0", None, 3])
def test_not_names(name):
    with pytest.raises(FieldError, match=r"name is .*printable"):
        require_name("name", name)


def test_content_hash():
    # Independent: printf '{"a":[1,2],"b":"\u00e4"}' | sha256sum, with the escape written out.
    assert content_hash({"b": "ä", "a": [1, 2]}) == content_hash({"a": [1, 2], "b": "ä"}) == "0fb2e6639e3a0887"
    assert content_hash({"a": 1}) != content_hash({"a": 2})
    with pytest.raises(ValueError):
        content_hash({"a": float("nan")})
