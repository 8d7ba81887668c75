"""Gantt charts: what is drawn where, in pixels and in letters."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from makespan.envs.core.errors import FieldError, MissingExtraError
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.picture import ansi, draw, job_colours, rgb_array, save_picture, segments
from makespan.envs.job_shop.schedule import JobShopSchedule, validate


def swapping():
    """Case A: job 1 is blocked from 2 to 3, both swap at 3."""
    instance = JobShopInstance.from_routes("A", [[3, 2], [2, 4]], [[0, 1], [1, 0]])
    return JobShopSchedule(instance, "swap", np.array([[0, 3], [0, 3]]), np.array([[3, 5], [2, 7]]))


def interrupted(mode, completion, second):
    """Case D: job 0 is cut on machine 0 at 4."""
    instance = JobShopInstance.from_routes("D", [[3, 2], [3, 2]], [[1, 0], [1, 0]])
    start = np.array([[0, 3], [3, second]])
    end = np.array([[3, completion], [6, second + 2]])
    return JobShopSchedule(instance, "swap", start, end, mode, downtime=(((4, 8),), ()))


def scrapped():
    instance = JobShopInstance.from_routes("scrap", [[4, 6], [5, 6]], [[0, 1], [1, 0]])
    lost = np.array([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 6]])
    start, end = np.array([[11, 15], [0, 5]]), np.array([[15, 21], [5, 11]])
    return JobShopSchedule(instance, "swap", start, end, "scrap", downtime=((), ((6, 10),)), lost=lost)


def unstarted():
    nothing = np.full((2, 2), -1)
    return dataclasses.replace(swapping(), start=nothing, completion=nothing, finished=False)


def large():
    """100 jobs on 20 machines, each operation appended where job and machine are free."""
    rng = np.random.default_rng(0)
    times = rng.integers(1, 100, (100, 20))
    routes = np.array([rng.permutation(20) for _ in range(100)])
    job_free, machine_free, start = np.zeros(100), np.zeros(20), np.zeros((100, 20), dtype=np.int64)
    for k in range(20):
        for j in range(100):
            start[j, k] = max(job_free[j], machine_free[routes[j, k]])
            job_free[j] = machine_free[routes[j, k]] = start[j, k] + times[j, k]
    instance = JobShopInstance.from_routes("large", times.tolist(), routes.tolist())
    return JobShopSchedule(instance, "none", start, start + times)


def texts(schedule):
    return [text.get_text() for text in draw(schedule).axes[0].texts]


def legend(schedule):
    box = draw(schedule).axes[0].get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def test_the_examples_are_valid():
    for schedule in (swapping(), interrupted("resume", 9, 9), interrupted("repeat", 10, 10), scrapped(), large()):
        assert validate(schedule) == []


def test_segments_of_a_swap():
    assert [tuple(s) for s in segments(swapping())] == [
        ("processing", 0, 0, 0, 3),
        ("processing", 0, 1, 3, 5),
        ("processing", 1, 1, 0, 2),
        ("blocked", 1, 1, 2, 3),
        ("processing", 1, 0, 3, 7),
    ]


@pytest.mark.parametrize("mode, completion, before", [("resume", 9, "processing"), ("repeat", 10, "lost work")])
def test_segments_of_an_interruption(mode, completion, before):
    schedule = interrupted(mode, completion, completion)
    cut = [tuple(s) for s in segments(schedule) if s.machine == 0 and s.job == 0]
    assert cut == [(before, 0, 0, 3, 4), ("paused", 0, 0, 4, 8), ("processing", 0, 0, 8, completion)]


def test_segments_add_up_to_the_work():
    schedule = large()
    assert sum(s.end - s.begin for s in segments(schedule)) == schedule.instance.times.sum()


def test_text():
    lines = ansi(swapping(), width=24).splitlines()
    assert lines[0] == "A, blocking with swaps: makespan 7"
    assert lines[1:3] == ["0 |00000011111111|", "1 |1111--0000....|"]
    assert "swap at 3: job 0 to 1, job 1 to 0" in "\n".join(lines)
    assert (
        ansi(interrupted("resume", 9, 9), 60).splitlines()[1]
        == "0 |" + 15 * "." + 5 * "0" + 20 * "~" + 5 * "0" + 10 * "1" + "|"
    )
    assert "xxxx" in ansi(scrapped())
    assert "####" in ansi(scrapped())


def test_text_keeps_its_width():
    for width in (20, 33, 100):
        rows = ansi(large(), width).splitlines()[1:21]
        assert {len(row) for row in rows} == {width}
    with pytest.raises(FieldError, match="width"):
        ansi(large(), 10)


def test_labels_and_legend():
    assert sorted(texts(swapping())) == ["0", "0", "1", "1"]
    assert legend(swapping()) == ["job 0", "job 1", "blocked", "swap", "makespan 7"]
    expected = ["job 0", "job 1", "blocked", "paused", "lost work", "machine down", "makespan 12"]
    assert legend(interrupted("repeat", 10, 10)) == expected
    assert texts(large()) == []
    assert legend(large()) == ["makespan 7434"]


def test_pixels_have_the_jobs_colours():
    schedule = swapping()
    picture = rgb_array(schedule, 900, 300)
    assert picture.shape == (300, 900, 3)
    assert picture.dtype == np.uint8
    figure = draw(schedule, 900, 300)
    figure.canvas.draw()
    to_pixel = figure.axes[0].transData.transform
    for job, machine, time in ((0, 0, 0.5), (0, 1, 3.5), (1, 1, 0.5), (1, 0, 6.5)):
        column, row = to_pixel((time, machine)).round().astype(int)
        expected = np.round(255 * np.array(job_colours(2)[job]))
        assert np.abs(picture[300 - row, column] - expected).max() <= 2


def test_unfinished_and_unstarted_schedules():
    assert validate(unstarted()) == []
    assert rgb_array(unstarted()).std() > 0
    assert "so far 0" in ansi(unstarted())
    assert set(ansi(unstarted()).splitlines()[1]) <= set("0 |.")
    running = dataclasses.replace(
        swapping(), start=np.array([[0, -1], [0, -1]]), completion=np.array([[-1, -1], [2, -1]]), finished=False
    )
    assert validate(running) == []
    assert [tuple(s) for s in segments(running)] == [("processing", 0, 0, 0, 2), ("processing", 1, 1, 0, 2)]
    assert legend(running) == ["job 0", "job 1", "now 2"]


def test_colours_are_distinct():
    for jobs in (1, 7, 8, 15, 100):
        assert len(set(job_colours(jobs))) == jobs


def test_saved(tmp_path):
    for name, begin in (("gantt.png", b"\x89PNG"), ("gantt.svg", b"<?xml"), ("gantt.pdf", b"%PDF")):
        save_picture(swapping(), tmp_path / name, title="a title")
        assert (tmp_path / name).read_bytes().startswith(begin)
    with pytest.raises(FieldError, match="png"):
        save_picture(swapping(), tmp_path / "gantt.xyz")


def test_pyplot_is_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw(swapping())
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        draw(swapping())
    assert ansi(swapping())
