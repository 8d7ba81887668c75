"""What interactive pictures of schedules show: data that cannot be malformed, and every environment's schedules."""

from __future__ import annotations

from typing import Any

import gymnasium
import makespan  # noqa: F401 - registers the ids
import numpy as np
import pytest
from makespan.envs.core.chart import Bar, Bars, Chart, Grid, Line, Lines, Mark, Panel, Point, Points
from makespan.envs.core.errors import FieldError

IDS = {
    "makespan/JobShop-v0": {"instance": "ft06", "law": "bernoulli", "p": 0.01},
    "makespan/MemoryMapping-v0": {"instance": "random:size=60"},
    "makespan/SocDag-v0": {"horizon": 600, "mtbf": 300.0, "mttr": 30.0},
    "makespan/StaticDag-v0": {"instance": "topcuoglu"},
    "makespan/AirMobility-v0": {"instance": "la8-low"},
    "makespan/RestlessBandits-v0": {"instance": "capacity-j20-0"},
}


def played(env_id: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    env: Any = gymnasium.make(env_id, on_illegal="raise", **options).unwrapped
    env.reset(seed=3)
    random, ended, info = np.random.default_rng(0), False, dict[str, Any]()
    while not ended:
        action = random.choice(np.flatnonzero(env.action_masks()))
        _, _, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    return env, info


def bars_of(chart: Chart, *kinds: str) -> list[Bar]:
    return [bar for mark in chart.marks() if isinstance(mark, Bars) and mark.kind in kinds for bar in mark.bars]


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_describes_its_schedules(env_id):
    env, _ = played(env_id, **IDS[env_id])
    schedule = env.read_schedule(env.schedule().to_dict())
    chart = env.chart(schedule)
    assert isinstance(chart, Chart)
    assert chart == env.chart(schedule)
    assert any(
        getattr(mark, "bars", None) or getattr(mark, "lines", None) or isinstance(mark, Grid) for mark in chart.marks()
    )
    for mark in chart.marks():
        for bar in mark.bars if isinstance(mark, Bars) else ():
            assert bar.begin <= bar.end
            assert bar.height > 0
            assert bar.name


def test_a_gantt_chart_tells_what_ran_where_and_when():
    env, info = played("makespan/JobShop-v0", instance="ft06")
    schedule = env.schedule()
    chart = env.chart(schedule)
    bars = bars_of(chart, "processing")
    assert sorted((bar.group, bar.lane, bar.begin, bar.end) for bar in bars) == sorted(
        (job, int(schedule.instance.machines[job, k]), int(schedule.start[job, k]), int(schedule.completion[job, k]))
        for job in range(6)
        for k in range(6)
    )
    assert {bar.name for bar in bars} == {f"job {job}, operation {k}" for job in range(6) for k in range(6)}
    assert chart.moments == ((info["objective"], f"makespan {info['objective']}"),)
    assert [panel.lanes for panel in chart.panels] == [[str(m) for m in range(6)]]


def test_breakdowns_are_shown_and_work_goes_on_after_them():
    env, _ = played("makespan/JobShop-v0", **IDS["makespan/JobShop-v0"])
    chart, instance = env.chart(env.schedule()), env.schedule().instance
    assert bars_of(chart, "machine down")
    assert bars_of(chart, "paused")
    worked = np.zeros(instance.times.shape, dtype=np.int64)
    for bar in bars_of(chart, "processing"):
        worked[bar.group, int(bar.name.split()[-1])] += int(bar.end - bar.begin)
    assert (worked == instance.times).all()


def test_a_chip_shows_every_task_and_every_finished_job():
    env, info = played("makespan/SocDag-v0", **IDS["makespan/SocDag-v0"])
    schedule, chart = env.schedule(), env.chart(env.schedule())
    begun = {(row[0], row[1]) for row in schedule.tasks.tolist() if row[5] >= 0}
    points = [mark for mark in chart.marks() if isinstance(mark, Points)]
    shown = {bar.name for bar in bars_of(chart, "task")}
    shown |= {point.name for mark in points if mark.kind == "task without length" for point in mark.points}
    assert len(shown) == len(begun)
    finished = [point for mark in points if mark.kind == "finished job" for point in mark.points]
    assert len(finished) == info["metrics"]["completed"]
    assert sum(point.y for point in finished) == schedule.latencies[schedule.jobs[:, 2] >= 0].sum()


def test_a_static_plan_has_a_bar_per_task_and_its_makespan():
    env, info = played("makespan/StaticDag-v0", instance="topcuoglu")
    chart = env.chart(env.schedule())
    bars = bars_of(chart, "task")
    assert len(bars) == len({bar.label for bar in bars}) == 10
    assert max(bar.end for bar in bars) == info["objective"] == chart.moments[0][0]


def test_a_map_of_memory_has_a_strip_per_placement_at_its_offset():
    env, _ = played("makespan/MemoryMapping-v0", **IDS["makespan/MemoryMapping-v0"])
    plan = env.schedule()
    assert plan.placements
    memory = env.chart(plan).panels[0]
    strips = [
        bar for mark in memory.marks if isinstance(mark, Bars) and mark.kind != "being fetched" for bar in mark.bars
    ]
    unit = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[memory.title.split("(")[1].rstrip(")")]
    assert sorted((bar.lane - bar.height / 2) * unit for bar in strips) == pytest.approx(
        sorted(placement.offset for placement in plan.placements)
    )


def test_a_day_in_the_air_has_a_line_per_flight_between_its_vertiports():
    env, info = played("makespan/AirMobility-v0", **IDS["makespan/AirMobility-v0"])
    chart = env.chart(env.schedule())
    lanes = chart.panels[0].lanes
    lines = [line for mark in chart.panels[0].marks if isinstance(mark, Lines) for line in mark.lines]
    assert info["metrics"]["flights"] - 60 <= len(lines) <= info["metrics"]["flights"]
    for line in lines:
        begin = line.detail.split(" to ")[0]
        assert lanes[int(line.y[0])] == begin
        assert sorted(line.x) == list(line.x)
    assert chart.day_starts == 6 * 3600


def test_arms_are_a_grid_of_states_with_the_arms_acted_on():
    env, info = played("makespan/RestlessBandits-v0", **IDS["makespan/RestlessBandits-v0"])
    schedule, chart = env.schedule(), env.chart(env.schedule())
    grid, acted = chart.panels[0].marks
    assert isinstance(grid, Grid)
    assert isinstance(acted, Points)
    assert (np.array(grid.values) == schedule.states.T).all()
    assert len(acted.points) == info["metrics"]["visits"]


def panel(*marks: Mark, lanes: tuple[str, ...] = ()) -> Panel:
    return Panel("machine", marks, lanes)


BROKEN = {
    "no panel": (lambda: Chart("x", ()), "at least one panel"),
    "a lane too many": (lambda: panel(Bars("b", (Bar(2, 0, 1, "x"),)), lanes=("a", "b")), "0 to 1"),
    "a lane below 0": (lambda: panel(Bars("b", (Bar(-1, 0, 1, "x"),)), lanes=("a", "b")), "0 to 1"),
    "no number": (lambda: Bars("b", (Bar(0, 0, float("nan"), "x"),)), "finite"),
    "infinite": (lambda: Points("p", (Point(0, float("inf"), "x"),)), "finite"),
    "a pattern": (lambda: Bars("b", (), pattern="zigzag"), "one of"),
    "a dash": (lambda: Lines("b", (), dash="morse"), "one of"),
    "a symbol": (lambda: Points("b", (), symbol="duck"), "one of"),
    "too few y": (lambda: Lines("b", (Line((0, 1), (0,), "x"),)), "as many as x"),
    "a ragged grid": (lambda: Grid("g", ((0, 1), (0,))), "one length"),
    "a grid of other lanes": (lambda: panel(Grid("g", ((0, 1),)), lanes=("a", "b")), "one for each lane"),
}


@pytest.mark.parametrize("make, said", BROKEN.values(), ids=BROKEN)
def test_what_is_malformed_is_said_in_one_line(make, said):
    with pytest.raises(FieldError, match=said) as error:
        make()
    assert "\n" not in str(error.value)
