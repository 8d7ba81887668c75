"""The folder of an evaluation: continued by its own command, closed to others, whole at any moment."""

import json

import pytest
from makespan.envs.core.errors import UserError
from makespan.eval import store as module
from makespan.eval.store import Entry, Key, Store, read_part, read_run

RECORD = {
    "command": "makespan evaluate x",
    "options": {"env": "x", "seeds": "0-4", "reference": None},
    "fingerprint": "f",
}


_open: list[Store] = []


def open_store(folder, record, overwrite=False):
    """A store, after those before it have been closed, as the ends of their processes would do."""
    while _open:
        _open.pop().close()
    _open.append(module.open_store(folder, record, overwrite))
    return _open[-1]


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _open:
        _open.pop().close()


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    store = open_store(tmp_path, RECORD)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="another process"):
            module.open_store(tmp_path, RECORD, overwrite)
    store.add(entries(64))
    assert len(open_store(tmp_path, RECORD).rows) == 64


def test_a_refused_folder_is_free_again(tmp_path):
    open_store(tmp_path, RECORD)
    for _ in range(2):
        with pytest.raises(UserError, match="holds another evaluation"):
            open_store(tmp_path, {**RECORD, "options": {}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "schedules"]


def row(case):
    return {
        "env": "x",
        "env_options": {},
        "agent": "spt",
        "instance": None,
        "seed": case,
        "objective": case,
        "metrics": {},
        "best_known": None,
        "bound": None,
        "gap": None,
        "valid": True,
        "decisions": 1,
        "hindsight": False,
        "stochastic": False,
        "seconds_per_decision": 0.5,
        "batch": 4,
    }


def entries(count, first=0):
    return [Entry(Key(0, 1, case), row(case), {"order": [case]}) for case in range(first, first + count)]


def test_rows_come_back_and_point_to_their_schedules(tmp_path):
    store = open_store(tmp_path / "deep" / "run", RECORD)
    store.add(entries(150))
    store.flush()
    again = open_store(tmp_path / "deep" / "run", RECORD)
    assert list(again.rows) == [Key(0, 1, case) for case in range(150)]
    assert again.rows == store.rows
    last = again.rows[Key(0, 1, 149)]
    name, _, index = last["schedule"].partition("#")
    assert read_part(tmp_path / "deep" / "run" / name)[int(index)]["schedule"] == {"order": [149]}


def test_a_continued_folder_writes_new_files(tmp_path):
    open_store(tmp_path, RECORD).add(entries(64))
    store = open_store(tmp_path, RECORD)
    store.add(entries(64, 64))
    assert sorted(path.name for path in (tmp_path / "schedules").iterdir()) == ["part-000000.json", "part-000001.json"]
    assert len(open_store(tmp_path, RECORD).rows) == 128


def test_rows_reach_the_disk_after_a_while(tmp_path, monkeypatch):
    store = open_store(tmp_path, RECORD)
    store.add(entries(2))
    assert list((tmp_path / "schedules").iterdir()) == []
    monkeypatch.setattr(module, "_SECONDS_PER_PART", 0.0)
    store.add(entries(1, 2))
    assert len(open_store(tmp_path, RECORD).rows) == 3


def test_the_record_says_what_was_run(tmp_path):
    open_store(tmp_path, RECORD)
    run = read_run(tmp_path)
    assert run["command"] == "makespan evaluate x"
    assert {"python", "makespan", "numpy"} <= set(run["versions"])
    assert "processors" in run["machine"]
    assert run["created"].endswith("+00:00")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"options": {**RECORD["options"], "seeds": "0-5"}}, "seeds is '0-4' there and '0-5' here"),
        ({"options": {**RECORD["options"], "more": 1}}, "more is None there and 1 here"),
        ({"fingerprint": "g"}, "other instance files or checkpoints"),
    ],
)
def test_another_evaluation_is_not_continued(tmp_path, change, message):
    open_store(tmp_path, RECORD).add(entries(64))
    with pytest.raises(UserError) as caught:
        open_store(tmp_path, {**RECORD, **change})
    assert message in str(caught.value)
    assert len(open_store(tmp_path, RECORD).rows) == 64
    (tmp_path / "mine.txt").write_text("keep")
    assert open_store(tmp_path, {**RECORD, **change}, overwrite=True).rows == {}
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_another_version_does_not_continue(tmp_path, monkeypatch):
    open_store(tmp_path, RECORD)
    monkeypatch.setattr(module, "library_versions", lambda: {"makespan": "99.0"})
    with pytest.raises(UserError, match=r"begun with makespan \S+, this is 99.0"):
        open_store(tmp_path, RECORD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"versions": {}}, "begun with makespan None"),
        ({"versions": "1.0"}, "versions is '1.0'"),
        ({"command": ...}, "command is None"),
        ({"created": 5}, "created is 5"),
        ({"options": []}, r"options is \[\]"),
        ({"fingerprint": None}, "fingerprint is None"),
    ],
)
def test_a_damaged_record_does_not_continue(tmp_path, change, message):
    open_store(tmp_path, RECORD)
    run = {**json.loads((tmp_path / "run.json").read_text()), **change}
    (tmp_path / "run.json").write_text(json.dumps({key: value for key, value in run.items() if value is not ...}))
    with pytest.raises(UserError, match=message):
        open_store(tmp_path, RECORD)


def test_a_part_that_bears_no_number_is_named(tmp_path):
    open_store(tmp_path, RECORD).add(entries(64))
    part = tmp_path / "schedules" / "part-000000.json"
    part.rename(part.with_name("part-old.json"))
    with pytest.raises(UserError, match=r"part-old\.json: its name is not that of a part"):
        open_store(tmp_path, RECORD)


def test_another_reference_may_be_asked_for(tmp_path):
    open_store(tmp_path, RECORD).add(entries(64))
    changed = {**RECORD, "options": {**RECORD["options"], "reference": "spt"}}
    assert len(open_store(tmp_path, changed).rows) == 64


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files"):
        open_store(tmp_path, RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    open_store(tmp_path, RECORD, overwrite=True).add(entries(64))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert len(open_store(tmp_path, RECORD).rows) == 64


def test_another_commands_folder_is_not_overwritten(tmp_path):
    record = json.dumps({"format": "makespan/training-run", "version": 1, "config": {}})
    (tmp_path / "run.json").write_text(record)
    (tmp_path / "results.json").write_text("theirs")
    with pytest.raises(UserError, match=r"format is .makespan/training-run., expected .makespan/evaluation-run."):
        open_store(tmp_path, RECORD, overwrite=True)
    assert (tmp_path / "run.json").read_text() == record
    assert (tmp_path / "results.json").read_text() == "theirs"


def test_nothing_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="option out is ''"):
        open_store("", RECORD)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"which is a file|cannot write"):
            open_store(path, RECORD)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"key": [0, 1, 3]', '"key": [0, 1]'),
        lambda text: text.replace('"key": [0, 1, 3]', '"key": [0, 1, -3]'),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"row"', '"raw"'),
        lambda text: text.replace('"objective": 3,', '"objective": "\\ud800",'),
        lambda text: text.replace('"objective": 3,', '"objective": 1' + "0" * 400 + ","),
        lambda text: text.replace('"objective": 3,', '"objective": true,'),
        lambda text: text.replace('"objective": 3,', ""),
        lambda text: text.replace('"valid": true,', '"valid": 1,', 1),
        lambda text: text.replace('"metrics": {},', '"metrics": [],', 1),
        lambda text: text.replace('"batch": 4,', '"batch": 4, "score": [],', 1),
        lambda text: text.replace('"env": "x",', '"points": [], "env": "x",', 1),
        lambda text: text.replace('"env": "x",', '"points": [{}], "env": "x",', 1),
        lambda text: text.replace('"env": "x",', '"points": [5], "env": "x",', 1),
        lambda text: "[]",
        lambda text: "",
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    open_store(tmp_path, RECORD).add(entries(64))
    path = tmp_path / "schedules" / "part-000000.json"
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))
    with pytest.raises(UserError, match=r"part-000000\.json"):
        open_store(tmp_path, RECORD)


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    store = open_store(tmp_path, RECORD)
    (tmp_path / "schedules").rmdir()
    (tmp_path / "schedules").write_text("a file in its place")
    with pytest.raises(UserError, match="cannot write"):
        store.add(entries(64))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "run.json", "schedules"]


def test_without_a_folder_rows_stay_in_memory():
    store = open_store(None, RECORD)
    store.add(entries(100))
    store.flush()
    assert len(store.rows) == 100
    assert "schedule" not in store.rows[Key(0, 1, 0)]
    assert isinstance(store, Store)


def test_rows_hold_no_nan(tmp_path):
    store = open_store(tmp_path, RECORD)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.add([Entry(Key(0, 0, case), {"gap": float("nan")}, None) for case in range(64)])
    assert list((tmp_path / "schedules").iterdir()) == []
    json.loads((tmp_path / "run.json").read_text())


@pytest.mark.parametrize("place", ["results.json", "summary.md", "schedules/part-000001.json", "pictures"])
def test_links_in_the_folder_are_not_followed(tmp_path, place):
    folder, kept = tmp_path / "folder", tmp_path / "kept"
    kept.write_text("all of it")
    open_store(folder, RECORD).add(entries(64))
    (folder / place).symlink_to(kept)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="is a link"):
            open_store(folder, RECORD, overwrite)
    assert kept.read_text() == "all of it"
