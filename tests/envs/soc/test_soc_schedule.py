"""A schedule as data: what it comes to, files, tables."""

import dataclasses
import json

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.soc.instance import Application, Kind, Platform, SocInstance
from makespan.envs.soc.measure import graph_of, measure
from makespan.envs.soc.options import OBJECTIVES
from makespan.envs.soc.schedule import SocSchedule, SocSettings, least_latency
from makespan.envs.soc.validity import validate
from support.soc_reference import PlainChip, earliest_finish, random_choice, random_instance


def two_kinds() -> SocInstance:
    """Two PEs of different kinds, a chain of two tasks; the second job comes at 5."""
    kinds = (
        Kind("slow", ((500, 800), (1000, 1000)), ((50,), (100,)), (1, 2)),
        Kind("fast", ((1000, 1000),), ((300,),), (4,)),
    )
    platform = Platform("pair", kinds, np.array([0, 1]), np.array([[1, 2], [2, 1]]), np.array([5, 10]))
    app = Application("chain", ("read", "write"), np.array([[10, 4], [6, -1]]), np.array([[0, 1]]), np.array([9]))
    return SocInstance("pair", platform, (app,), jobs=np.array([[0, 0], [0, 5]]))


def plan(levels: tuple[int, ...] = ()) -> SocSchedule:
    return SocSchedule.from_plan(two_kinds(), [1, 0, 0, 0], [0, 8, 14, 24], SocSettings(levels=levels))


def test_a_plan_becomes_a_schedule():
    schedule = plan()
    assert schedule.tasks.tolist() == [
        [0, 0, 1, 0, 0, 0, 4],
        [0, 1, 0, 0, 8, 8, 14],
        [1, 0, 0, 0, 5, 14, 24],
        [1, 1, 0, 0, 24, 24, 30],
    ]
    assert schedule.jobs.tolist() == [[0, 0, 14], [0, 5, 30]]
    assert validate(schedule) == []
    assert schedule.latencies.tolist() == [14, 25]


def test_what_a_schedule_comes_to():
    schedule = plan()
    assert schedule.makespan == schedule.value_of("makespan") == 30
    assert schedule.value_of("latency") == 39
    # 22 of work on the slow one and 4 on the fast one, and what they leak else
    assert schedule.value_of("energy") == 22 * 100 + 8 * 2 + 4 * 300 + 26 * 4
    assert schedule.value_of("edp") == schedule.energy * 39 // 1000
    assert schedule.busy.tolist() == [22, 4]
    with pytest.raises(UserError, match="objective"):
        schedule.value_of("speed")


def test_levels_stretch_times_and_change_power():
    schedule = SocSchedule.from_plan(two_kinds(), [1, 0, 0, 0], [0, 8, 20, 40], SocSettings(levels=(0, 0)))
    assert schedule.tasks[:, 6].tolist() == [4, 20, 40, 52]
    assert schedule.energy == 44 * 50 + 8 * 1 + 4 * 300 + 48 * 4
    assert validate(schedule) == []
    assert any("takes 12" in line for line in validate(dataclasses.replace(plan(), settings=schedule.settings)))


def test_a_plan_that_goes_through_memory():
    settings = SocSettings(release="finished", memory="shared")
    # 9 units to memory from PE 1 in 0, from there to PE 0 in 1; from PE 0 in 1, back to it in 1
    schedule = SocSchedule.from_plan(two_kinds(), [1, 0, 0, 0], [0, 5, 11, 23], settings)
    assert schedule.tasks[:, 4].tolist() == [0, 5, 5, 23]


def test_metrics_count_completed_jobs_after_the_warmup():
    schedule = dataclasses.replace(plan(), settings=SocSettings(horizon=40, warmup=5, release="assigned"))
    metrics = schedule.metrics()
    assert (metrics["generated"], metrics["completed"], metrics["unfinished"]) == (2, 2, 0)
    assert metrics["mean_latency"] == metrics["latency_p95"] == metrics["latency_max"] == 25
    assert metrics["mean_slowdown"] == 25 / 14
    assert metrics["throughput"] == 2 * 1000 / 40
    assert metrics["utilisation"] == 13 / 40
    late = dataclasses.replace(schedule, settings=SocSettings(horizon=40, warmup=6)).metrics()
    assert (late["mean_latency"], late["measured"]) == (None, 0)
    assert json.loads(json.dumps(late, allow_nan=False)) == late


def test_unfinished_jobs_count_up_to_the_horizon():
    cut = plan()
    tasks, jobs = cut.tasks.copy(), cut.jobs.copy()
    tasks[2:, 3] = 5
    tasks[2, 6] = tasks[3, 4] = tasks[3, 5] = tasks[3, 6] = jobs[1, 2] = -1
    cut = SocSchedule(cut.instance, jobs, tasks, SocSettings(horizon=20))
    assert validate(cut) == []
    assert cut.value_of("latency") == 14 + 15
    assert cut.makespan == 14
    assert cut.busy.tolist() == [12, 4]
    assert cut.metrics()["unfinished"] == 1


def test_the_least_latency_is_the_optimistic_cost_with_the_links_own_transfers():
    for seed in range(30):
        instance = random_instance(seed)
        for app in instance.applications:
            graph = graph_of(app, instance.platform)
            tail = measure(graph).tail
            entries = np.flatnonzero(np.diff(graph.first_in) == 0)
            whole = np.where(graph.times < 0, 10**9, graph.times + tail)
            assert least_latency(app, instance.platform) == whole[entries].min(axis=1).max()


@pytest.mark.parametrize("choose", [earliest_finish, random_choice(0)])
@pytest.mark.parametrize("options", [{"static": True}, {"horizon": 400, "mtbf": 60, "mttr": 20, "noise": 0.3}])
def test_objectives_are_those_of_a_clock_that_ticks(choose, options):
    for seed in range(5):
        chip = PlainChip(random_instance(seed), seed, dvfs="powersave", **options)
        chip.play(choose)
        schedule = chip.schedule()
        assert {name: schedule.value_of(name) for name in OBJECTIVES} == {n: chip.objective(n) for n in OBJECTIVES}
        assert schedule.busy.tolist() == chip.busy


def test_plans_of_the_wrong_form_are_refused():
    instance = two_kinds()
    with pytest.raises(UserError, match="start"):
        SocSchedule.from_plan(instance, [1, 0, 0, 0], [0, 8, 14])
    with pytest.raises(UserError, match=r"pe\[3\] is 1, expected a PE that can run task 'write' of job 1"):
        SocSchedule.from_plan(instance, [1, 0, 0, 1], [0, 8, 14, 24])
    with pytest.raises(UserError, match=r"pe\[0\] is 2"):
        SocSchedule.from_plan(instance, [2, 0, 0, 0], [0, 8, 14, 24])


def test_the_table_is_by_start_and_names_things():
    header, rows = plan().table()
    assert header == ["job", "application", "task", "name", "pe", "kind", "assigned", "data_ready", "start", "finish"]
    assert rows[0] == [0, "chain", 0, "read", 1, "fast", 0, 0, 0, 4]
    assert [row[8] for row in rows] == [0, 8, 14, 24]
    chip = PlainChip(random_instance(3), 1, horizon=60)
    chip.play(earliest_finish)
    rows = chip.schedule().table()[1]
    assert rows[-1][-1] == ""  # still running or waiting at the horizon


def test_files(tmp_path):
    chip = PlainChip(random_instance(2), 5, horizon=300, noise=0.2, mtbf=50, mttr=9, dvfs=0)
    chip.play(random_choice(1))
    for schedule in (chip.schedule(), dataclasses.replace(plan(), clock=7)):
        path = tmp_path / "schedule.json"
        schedule.save(path)
        again = SocSchedule.load(path)
        assert again.to_dict() == schedule.to_dict()
        assert again.settings == schedule.settings
        assert again.instance.same_as(schedule.instance)
        assert validate(again) == validate(schedule)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.pop("tasks"), "'tasks'"),
        (lambda d: d.update(extra=1), "extra"),
        (lambda d: d.update(version=2), "version is 2"),
        (lambda d: d["tasks"][1].pop(), r"tasks\[1\] is .*expected a list of 7 integers"),
        (lambda d: d["tasks"][1].__setitem__(3, 0.5), r"tasks\[1\]\[3\] is 0.5"),
        (lambda d: d["jobs"][0].__setitem__(1, -2), r"jobs\[0\]\[1\] is -2"),
        (lambda d: d.update(downtimes={}), "downtimes is {}"),
        (lambda d: d.update(clock=-1), "clock is -1"),
        (lambda d: d["settings"].update(contention="ring"), "settings.contention is 'ring'"),
        (lambda d: d["settings"].update(noise=-0.1), "settings.noise is -0.1"),
        (lambda d: d["settings"].update(horizon=0), "settings.horizon is 0"),
        (lambda d: d["settings"].update(levels=[0]), "settings.levels"),
        (lambda d: d["settings"].update(levels=[2, 0]), r"settings.levels\[0\] is 2"),
        (lambda d: d["settings"].pop("seed"), "'seed'"),
        (lambda d: d["instance"].pop("platform"), "'platform'"),
    ],
)
def test_malformed_files_are_named(change, message):
    data = json.loads(json.dumps(plan().to_dict()))
    change(data)
    with pytest.raises(UserError, match=message) as error:
        SocSchedule.from_dict(data, "plan.json")
    assert "\n" not in str(error.value)
    assert "plan.json" in str(error.value)
