"""Pictures say what happened: the chip over time, a job's placement, text."""

import dataclasses
import sys

import numpy as np
import pytest
from makespan.envs.core.errors import FieldError, MissingExtraError
from makespan.envs.soc.instance import Application, Kind, Platform, SocInstance
from makespan.envs.soc.picture import (
    ansi,
    distinct_colours,
    draw,
    draw_placement,
    rgb_array,
    transfers,
)
from makespan.envs.soc.schedule import SocSchedule, SocSettings
from makespan.envs.soc.validity import validate
from matplotlib.collections import LineCollection, PathCollection
from support.soc_reference import PlainChip, earliest_finish, random_instance


def diamond() -> SocInstance:
    """One PE of kind "core", two of kind "fft"; a diamond with a dummy at its end."""
    kinds = (Kind("core"), Kind("fft", power_mw=((5, 9),)))
    platform = Platform("chip", kinds, np.array([0, 1, 1]), np.full((3, 3), 2), np.full(3, 4))
    times = np.array([[10, -1, -1], [20, 8, 8], [-1, 9, 9], [0, 0, 0]])
    edges = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    app = Application("diamond", ("split", "left", "right", "join"), times, edges, np.array([4, 6, 0, 2]))
    return SocInstance("diamond", platform, (app,))


def static() -> SocSchedule:
    return SocSchedule.from_plan(diamond(), [0, 0, 1, 0], [0, 10, 13, 30])


def stream(jobs: float = 20.0, horizon: int = 400, **options) -> SocSchedule:
    chip = PlainChip(diamond(), 1, horizon=horizon, scale=jobs, warmup=50, **options)
    chip.play(earliest_finish)
    return chip.schedule()


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure) -> list[str]:
    found = figure.axes[0].get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_rows_are_named_by_kind():
    names = [label.get_text() for label in draw(static()).axes[0].get_yticklabels()]
    assert names == ["core", "fft 1", "fft 2"]


def test_bars_say_job_and_task():
    assert labels(draw(static())) == ["0", "1", "2"]
    schedule = stream()
    assert len(schedule.jobs) > 3
    assert "0.0" in labels(draw(schedule, width=4000))


def test_transfers_are_where_data_moves():
    assert [tuple(move) for move in transfers(static())] == [(0, 0, 1, 10, 13), (0, 1, 0, 22, 23)]
    assert legend(draw(static())) == ["transfer"]
    assert "transfer" not in legend(draw(stream(5.0)))  # these would be too many


def test_transfers_that_wait_arrive_with_their_last_data():
    chip = PlainChip(diamond(), 0, static=True, contention="bus", insertion=False)
    chip.play(earliest_finish)
    schedule = chip.schedule()
    ready = {int(row[1]): int(row[4]) for row in schedule.tasks}
    assert {move.arrives for move in transfers(schedule)} <= set(ready.values())


def test_pixels_have_the_jobs_colours():
    schedule = static()
    picture = rgb_array(schedule, 900, 240)
    assert picture.shape == (240, 900, 3)
    assert picture.dtype == np.uint8
    figure = draw(schedule, 900, 240)
    figure.canvas.draw()
    column, row = figure.axes[0].transData.transform((13, 0.2)).round().astype(int)
    assert np.abs(picture[240 - row, column] - np.round(255 * np.array(distinct_colours(1)[0]))).max() <= 2
    column, row = figure.axes[0].transData.transform((5, 1.6)).round().astype(int)  # between bars
    assert picture[240 - row, column].min() > 220


def test_the_latency_of_a_stream_stands_below():
    schedule = stream()
    gantt, below, system = draw(schedule).axes
    points = np.asarray(below.collections[0].get_offsets())
    done = schedule.jobs[schedule.jobs[:, 2] >= 0]
    assert sorted(map(tuple, points.tolist())) == sorted((f, f - g) for _, g, f in done.tolist())
    assert below.get_ylabel() == "latency (us)"
    assert system.get_ylabel() == "in system"
    assert gantt.get_xlim() == below.get_xlim()
    assert len(draw(static()).axes) == 1


def test_many_jobs_are_told_apart_by_application():
    few, many = stream(), stream(20.0, 3000)
    assert legend(draw(few))[0] == "job generated" or legend(draw(few))[0].startswith("job 0")
    assert legend(draw(many))[0] == "diamond"
    assert "mean of 20 jobs" in legend(draw(many))


def test_pauses_and_downtimes_have_entries():
    schedule = stream(mtbf=60, mttr=20)
    assert {"paused", "PE down"} <= set(legend(draw(schedule)))
    assert not {"paused", "PE down"} & set(legend(draw(stream())))


def test_unfinished_and_unstarted_schedules():
    empty = SocSchedule(
        diamond(), np.array([[0, 0, -1]]), np.zeros((0, 7), dtype=np.int64), SocSettings(horizon=50), clock=0
    )
    assert validate(empty) == []
    assert rgb_array(empty).std() > 0
    assert "0 of 1 jobs completed, so far, at 0 us" in ansi(empty)
    nothing = dataclasses.replace(empty, jobs=np.zeros((0, 3), dtype=np.int64))
    assert rgb_array(nothing).std() > 0
    assert draw_placement(empty).axes[0].get_title(loc="left") == "diamond: job 0: not finished"
    assert legend(draw_placement(empty)) == ["not assigned"]


def test_every_small_problem_can_be_drawn():
    for seed in range(4):
        chip = PlainChip(random_instance(seed), seed, horizon=150, noise=0.3, mtbf=40, mttr=9, memory="shared")
        chip.play(earliest_finish)
        assert rgb_array(chip.schedule(), 500).std() > 0
        draw_placement(chip.schedule()).canvas.draw()


def test_placement_goes_from_left_to_right():
    figure = draw_placement(static())
    local, far, nodes = figure.axes[0].collections
    assert isinstance(local, LineCollection)
    assert isinstance(far, LineCollection)
    assert isinstance(nodes, PathCollection)
    (x0, _), (x1, y1), (x2, y2), (x3, _) = np.asarray(nodes.get_offsets()).tolist()
    assert x0 < x1 == x2 < x3
    assert y1 != y2
    colours = distinct_colours(2)
    fills = np.asarray(nodes.get_facecolor())
    assert [tuple(c[:3]) for c in fills] == [colours[0], colours[0], colours[1], colours[0]]
    assert legend(figure) == ["core", "fft"]
    assert {"0", "split\ncore", "right\nfft 1"} <= set(labels(figure))
    assert (len(local.get_segments()), len(far.get_segments())) == (2, 2)
    assert figure.axes[0].get_title(loc="left") == "diamond: job 0: latency 30 us"
    with pytest.raises(FieldError, match="job is 1"):
        draw_placement(static(), 1)


def test_text():
    lines = ansi(static(), 70).splitlines()
    assert lines[0] == "diamond: makespan 30 us"
    assert lines[1] == " core |" + "00" * 30 + "|"
    assert lines[2] == "fft 1 |" + ".." * 13 + "00" * 9 + ".." * 8 + "|"
    assert lines[3] == "fft 2 |" + ".." * 30 + "|"
    assert lines[4].endswith("30")
    assert all(len(line) <= 70 for line in lines)
    assert {"#", "~"} <= set("".join(ansi(stream(mtbf=60, mttr=20)).splitlines()[1:4]))
    with pytest.raises(FieldError, match="width"):
        ansi(static(), 20)


def test_colours_are_distinct():
    for count in (1, 7, 8, 15, 40):
        assert len(set(distinct_colours(count))) == count


def test_pyplot_is_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw(static())
    draw_placement(static())
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    for make in (draw, draw_placement):
        with pytest.raises(MissingExtraError, match="matplotlib"):
            make(static())
    assert ansi(static())
