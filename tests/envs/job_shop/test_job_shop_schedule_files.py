"""Files of schedules: written whole or not at all, and read with plain words for what is wrong."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from support.job_shop import case, engine_for, play_script


@pytest.fixture
def schedule():
    engine = engine_for(case("D"), record=True, on_breakdown="scrap", known_windows=False)
    play_script(engine, [0, 0])
    while engine.is_running()[0]:
        play_script(engine, [int(engine.masks[0].argmax())])
    schedule = engine.schedule(0)
    assert len(schedule.lost)
    return schedule


def test_a_file_gives_the_schedule_back(schedule, tmp_path):
    schedule.save(tmp_path / "schedule.json")
    again = JobShopSchedule.load(tmp_path / "schedule.json")
    assert again.to_dict() == schedule.to_dict()
    assert np.array_equal(again.start, schedule.start)
    assert validate(again) == []
    assert [path.name for path in tmp_path.iterdir()] == ["schedule.json"]


def test_an_old_file_stays_where_a_new_one_cannot_be_written(schedule, tmp_path, monkeypatch):
    schedule.save(tmp_path / "schedule.json")
    before = (tmp_path / "schedule.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write '.*schedule.json': No space left on device"):
        schedule.save(tmp_path / "schedule.json")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["schedule.json"]
    with pytest.raises(UserError, match="cannot write"):
        schedule.save(tmp_path / "nowhere" / "schedule.json")
    assert (tmp_path / "schedule.json").read_bytes() == before


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "the document is .*, expected an object"),
        (b'{"format": "makespan/job-shop"}', "format is 'makespan/job-shop', expected 'makespan/job-shop-schedule'"),
        (b'{"format": "makespan/job-shop-schedule", "version": 2}', "version is 2, expected one of 1"),
        (b'{"format": "makespan/job-shop-schedule", "version": 1, "version": 1}', "given twice"),
        (b'{"format": "makespan/job-shop-schedule", "version": 1}', "instance is None"),
        (b"[" * 100_000, "nested|not JSON"),
        (b'{"a": NaN}', "not a finite number"),
    ],
)
def test_what_is_wrong_with_a_file(content, message, tmp_path):
    path = tmp_path / "schedule.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        JobShopSchedule.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        JobShopSchedule.load(tmp_path / "nothing.json")
    with pytest.raises(UserError, match="not a regular file"):
        JobShopSchedule.load(tmp_path)


def test_an_unknown_field(schedule, tmp_path):
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(schedule.to_dict() | {"colour": "red"}))
    with pytest.raises(UserError, match="colour is 'red', expected no such field"):
        JobShopSchedule.load(path)
