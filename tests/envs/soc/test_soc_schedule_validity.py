"""Each rule of DAG scheduling, broken once: the check names it, and lets what really happened pass."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from makespan.envs.core.random import uniform
from makespan.envs.soc.instance import Application, Kind, Platform, SocInstance
from makespan.envs.soc.schedule import SocSchedule, SocSettings
from makespan.envs.soc.validity import _uniform, validate
from support.soc_reference import PlainChip, earliest_finish, random_choice, random_instance

OPTIONS = [
    {"static": True},
    {"static": True, "noise": 0.4, "mtbf": 40, "mttr": 15, "contention": "link", "insertion": False},
    {"static": True, "contention": "bus", "overhead_call": 3.0},
    {"horizon": 300},
    {"horizon": 300, "scale": "20+60", "noise": "0.1+0.5", "insertion": True, "queue_cap": 3, "prefill": True},
    {"horizon": 300, "arrivals": "back-to-back", "contention": "link", "noise": 0.3, "overhead_task": 0.4},
    {"horizon": 300, "arrivals": "fixed", "scale": 15, "contention": "bus", "mtbf": 50, "mttr": 20, "queue_cap": 2},
    {"horizon": 300, "memory": "shared", "dvfs": "powersave", "overhead_call": 2.5},
    {"horizon": 300, "release": "assigned", "insertion": True, "noise": 0.2, "contention": "link"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_what_happens_is_valid(options, seed):
    chip = PlainChip(random_instance(seed), seed, **options)
    partial = []

    def choose(chip: PlainChip) -> tuple[int, int]:
        if chip.decisions % 7 == 0:
            partial.extend(validate(chip.schedule()))
        return (earliest_finish if seed % 2 else random_choice(chip.decisions))(chip)

    chip.play(choose)
    assert validate(chip.schedule()) == []
    assert partial == []


# --- one rule at a time -----------------------------------------------------------------------------------------------


def chip_of_two() -> SocInstance:
    """Two PEs of one kind; a fork: task 0 sends 6 to 1 and 4 to 2, 2 units a tick; 3 takes no time and comes last."""
    kind = Kind("core", ((500, 800), (1000, 1000)), ((10, 20), (20, 40)), (1, 2))
    platform = Platform("two", (kind,), np.zeros(2, dtype=np.int64), np.full((2, 2), 2), np.array([2, 1]))
    times = np.array([[5, 8], [7, 9], [-1, 6], [0, 0]])
    edges = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    app = Application("fork", ("a", "b", "c", "d"), times, edges, np.array([6, 4, 0, 0]))
    return SocInstance("two", platform, (app,), jobs=np.array([[0, 0]]))


def valid() -> SocSchedule:
    return SocSchedule.from_plan(chip_of_two(), [0, 0, 1, 1], [0, 5, 7, 13])


def stream(**settings) -> SocSchedule:
    """Two jobs one after the other, by a scheduler that waits for predecessors to finish."""
    tasks = [
        [0, 0, 0, 0, 0, 0, 5],
        [0, 1, 0, 5, 5, 5, 12],
        [0, 2, 1, 5, 7, 7, 13],
        [0, 3, 1, 13, 13, 13, 13],
        [1, 0, 0, 13, 13, 13, 18],
        [1, 1, 0, 18, 18, 18, -1],
    ]
    given = {"horizon": 20, "release": "finished", "queue_cap": 1, **settings}
    return SocSchedule(chip_of_two(), np.array([[0, 0, 13], [0, 13, -1]]), np.array(tasks), SocSettings(**given))


def changed(schedule: SocSchedule, name: str, *cells: tuple[int, int, int]) -> SocSchedule:
    table = getattr(schedule, name).copy()
    for row, column, value in cells:
        table[row, column] = value
    return dataclasses.replace(schedule, **{name: table})


def with_settings(schedule: SocSchedule, **settings) -> SocSchedule:
    return dataclasses.replace(schedule, settings=dataclasses.replace(schedule.settings, **settings))


def says(schedule: SocSchedule, *parts: str) -> None:
    found = validate(schedule)
    assert any(all(part in line for part in parts) for line in found), found


def test_the_schedules_that_are_broken_are_valid_before():
    assert validate(valid()) == []
    assert validate(stream()) == []
    assert validate(contended()) == []
    assert validate(interrupted()) == []


def test_form():
    says(dataclasses.replace(valid(), tasks=np.zeros((4, 6), dtype=np.int64)), "tasks has shape (4, 6)")
    says(changed(valid(), "jobs", (0, 0, 1)), "job 0", "no application 1")
    says(changed(valid(), "tasks", (0, 0, 3)), "no job 3")
    says(changed(valid(), "tasks", (0, 1, 4)), "no task 4 of job 0")
    says(changed(valid(), "tasks", (0, 2, 2)), "task 0 (a) of job 0", "no PE 2")
    says(changed(valid(), "tasks", (0, 3, -1)), "assigned at -1")
    says(changed(valid(), "tasks", (1, 5, -1)), "task 1 (b) of job 0", "something is missing")
    says(changed(valid(), "tasks", (1, 6, 4)), "task 1 (b) of job 0", "these are no times")
    says(changed(stream(), "jobs", (1, 2, 12)), "job 1 is generated at 13 and finished at 12")
    says(with_settings(valid(), contention="ring"), "contention is 'ring'")
    says(with_settings(valid(), levels=(2,)), "levels are (2,)")
    says(with_settings(valid(), memory="shared"), "shared memory")


def test_each_task_once():
    says(changed(valid(), "tasks", (3, 1, 2)), "task 2 (c) of job 0 is assigned twice")
    short = dataclasses.replace(valid(), tasks=valid().tasks[:3])
    says(changed(short, "jobs", (0, 2, -1)), "task 3 (d) of job 0 is not finished")
    says(short, "job 0 is finished at 13, but its last task at -1")


def test_eligible():
    says(changed(valid(), "tasks", (2, 2, 0)), "task 2 (c) of job 0 is on PE 0, which cannot run it")


def test_no_overlap():
    overlapping = changed(valid(), "tasks", (1, 5, 4), (1, 6, 11))
    says(overlapping, "task 1 (b) of job 0 on PE 0 starts at 4, while task 0 of job 0 runs there")
    # a task of no length may touch others, but not lie within one
    within = changed(valid(), "tasks", (3, 2, 0), (3, 5, 10), (3, 6, 10))
    says(within, "task 3 (d) of job 0 on PE 0 starts at 10, while task 1 of job 0 runs there")
    # nothing starts where something that is not finished runs
    running = changed(stream(), "tasks", (4, 6, -1))
    says(running, "task 1 (b) of job 1 on PE 0 starts at 18, while task 0 of job 1 runs there")


def test_busy_no_longer_than_there_is_time():
    twice = changed(valid(), "tasks", (1, 5, 0), (1, 6, 13))
    says(twice, "PE 0 works for 18, longer than the 13 that there are")


def test_times():
    says(changed(valid(), "tasks", (1, 6, 11)), "task 1 (b) of job 0 on PE 0 runs from 5 to 11, but takes 7")
    says(with_settings(valid(), levels=(0,)), "task 0 (a) of job 0 on PE 0 runs from 0 to 5, but takes 10")
    says(changed(valid(), "tasks", (3, 6, 14)), "task 3 (d) of job 0 on PE 1", "takes 0")
    early = changed(stream(), "tasks", (5, 4, 11), (5, 5, 11))
    says(early, "task 1 (b) of job 1 on PE 0", "it should have finished at 18")


def test_noise_is_that_of_the_seed():
    chip = PlainChip(chip_of_two(), 11, static=True, noise=0.5)
    chip.play(earliest_finish)
    schedule = chip.schedule()
    assert validate(schedule) == []
    assert schedule.tasks[:, 6].tolist() != valid().tasks[:, 6].tolist()
    says(with_settings(schedule, seed=12), "but takes")
    says(with_settings(schedule, noise=0.1), "but takes")
    assert validate(with_settings(schedule, seed=None)) == []
    zero = changed(schedule, "tasks", (0, 6, int(schedule.tasks[0, 5])))
    says(with_settings(zero, seed=None), "task 0 (a) of job 0", "takes 0, expected at least 1")


def test_the_plain_random_numbers_are_those_of_the_suite():
    for seed in (0, 5, 2**62 + 12345):
        assert _uniform(seed, 3, 17, 4, 1) == uniform(seed, 3, 17, 4, 1)


def test_data_is_ready_when_it_has_arrived():
    says(changed(valid(), "tasks", (2, 4, 6)), "task 2 (c) of job 0 on PE 1 has its data at 6, expected at 7")
    says(changed(valid(), "tasks", (2, 4, 8), (2, 5, 8), (2, 6, 14)), "has its data at 8, expected at 7")
    says(changed(valid(), "tasks", (2, 5, 6), (2, 6, 12)), "starts at 6, before its data is there at 7")
    unfinished = changed(stream(), "tasks", (4, 6, -1), (4, 5, 15), (5, 5, -1))
    says(unfinished, "task 1 (b) of job 1", "has its data at 18, but its predecessor 0 is not finished")


def test_data_through_memory():
    chip = PlainChip(chip_of_two(), 0, memory="shared", horizon=80, arrivals="fixed", scale=50)
    chip.play(earliest_finish)
    schedule = chip.schedule()
    assert validate(schedule) == []
    row = next(r for r, x in enumerate(schedule.tasks.tolist()) if x[1] == 1)
    ready, assigned = int(schedule.tasks[row, 4]), int(schedule.tasks[row, 3])
    says(changed(schedule, "tasks", (row, 4, ready - 1)), f"has its data at {ready - 1}, expected at {ready}")
    early = changed(schedule, "tasks", (row, 3, assigned - 1))
    says(early, "before the data of task 0 can be had at")
    says(with_settings(schedule, memory="direct"), "has its data at")


def test_assigned_when_predecessors_are():
    says(changed(stream(), "tasks", (1, 3, 4)), "task 1 (b) of job 0", "before the data of task 0 can be had at 5")
    says(dataclasses.replace(stream(), tasks=stream().tasks[1:]), "task 1 (b) of job 0", "its predecessor 0 is not")
    unfinished = changed(stream(), "tasks", (4, 6, -1))
    says(unfinished, "task 1 (b) of job 1", "is assigned, but its predecessor 0 is not finished")
    says(changed(valid(), "tasks", (0, 3, 1)), "before its predecessor 0 at 1")
    says(changed(stream(), "tasks", (4, 3, 12)), "task 0 (a) of job 1", "before its job comes at 13")
    says(changed(stream(), "tasks", (4, 3, 14)), "task 0 (a) of job 1", "starts at 13, before it is assigned at 14")


def test_starts_after_the_job_comes():
    instance = dataclasses.replace(chip_of_two(), jobs=np.array([[0, 3]]))
    early = SocSchedule.from_plan(instance, [0, 0, 1, 1], [0, 5, 7, 13])
    says(early, "task 0 (a) of job 0 on PE 0 starts at 0, before its job comes at 3")
    assert validate(SocSchedule.from_plan(instance, [0, 0, 1, 1], [3, 8, 10, 16])) == []


def test_jobs_of_the_static_problem():
    says(changed(valid(), "jobs", (0, 1, 1)), "the jobs are not those of the static problem")


def test_jobs_are_numbered_as_they_come():
    says(changed(stream(), "jobs", (0, 1, 14), (0, 2, 14)), "job 1 is generated at 13, before job 0 at 14")


def test_jobs_are_done_with_their_last_task():
    says(changed(stream(), "jobs", (0, 2, 12)), "job 0 is finished at 12, but its last task at 13")
    says(changed(stream(), "jobs", (0, 2, -1)), "job 0 is finished at -1, but its last task at 13")
    says(changed(stream(), "jobs", (1, 2, 19)), "job 1 is finished at 19, but its last task at -1")


def test_the_cap():
    crowded = changed(stream(), "jobs", (1, 1, 12))
    says(crowded, "with job 1, generated at 12, 2 jobs are in the system, more than 1")
    assert validate(with_settings(crowded, queue_cap=2)) == [
        "task 0 (a) of job 1 on PE 0 has its data at 13, expected at 12"
    ]


def test_the_horizon():
    says(with_settings(stream(), horizon=17), "task 0 (a) of job 1 on PE 0 finishes at 18, after the end 17")
    says(with_settings(stream(), horizon=18), "task 1 (b) of job 1 on PE 0 starts at 18, not before the horizon 18")
    says(with_settings(stream(), horizon=13), "job 1 is generated at 13, not before the end 13")
    says(with_settings(stream(), horizon=25), "should have finished at 25")
    assert validate(with_settings(stream(), horizon=24)) == []


def test_partial_schedules():
    early = dataclasses.replace(stream(), clock=19)
    assert validate(early) == []
    assert validate(dataclasses.replace(with_settings(stream(), horizon=100), clock=19)) == []
    says(dataclasses.replace(stream(), clock=17), "starts at 18, after the end 17")
    begun = dataclasses.replace(valid(), tasks=valid().tasks[:1], clock=5)
    assert validate(changed(begun, "jobs", (0, 2, -1))) == []


def contended() -> SocSchedule:
    """Task 0's two transfers on one link, 3 and 2 long, one after the other."""
    tasks = [[0, 0, 0, 0, 0, 0, 5], [0, 1, 1, 5, 8, 8, 17], [0, 2, 1, 5, 10, 17, 23], [0, 3, 1, 23, 23, 23, 23]]
    settings = SocSettings(horizon=30, release="finished", contention="link")
    return SocSchedule(chip_of_two(), np.array([[0, 0, 23]]), np.array(tasks), settings)


def test_transfers_fit_their_links():
    both = changed(contended(), "tasks", (2, 4, 7))
    says(both, "the transfers of the link of PEs 0 and 1 do not fit: that from task 0 to task 1 of job 0")
    says(with_settings(both, contention="bus"), "the transfers of the bus do not fit")
    says(changed(contended(), "tasks", (1, 4, 7)), "has its data at 7, before its transfers can be over at 8")
    # the link is asked for when the consumer is assigned, not when the producer is finished
    says(changed(contended(), "tasks", (1, 3, 6)), "has its data at 8, before its transfers can be over at 9")
    assert any("expected at 7" in line for line in validate(with_settings(contended(), contention="none")))


def interrupted() -> SocSchedule:
    """One task of 7 on PE 0, which is down from 3 to 6."""
    kind = Kind("core", power_mw=((10,),))
    platform = Platform("one", (kind,), np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=np.int64), np.ones(1, int))
    app = Application("one", ("a",), np.array([[7]]), np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    instance = SocInstance("one", platform, (app,))
    settings = SocSettings(mtbf=9.0, mttr=4.0)
    tasks = np.array([[0, 0, 0, 0, 0, 0, 10]])
    return SocSchedule(instance, np.array([[0, 0, 10]]), tasks, settings, np.array([[0, 3, 6]]))


def test_pauses():
    says(changed(interrupted(), "tasks", (0, 6, 7)), "runs from 0 to 7", "pauses while its PE is down: expected to 10")
    late = changed(interrupted(), "tasks", (0, 5, 4), (0, 6, 13))
    says(late, "starts at 4, but its PE is down from 3 to 6")
    assert interrupted().busy.tolist() == [7]
    at_the_end = changed(changed(interrupted(), "downtimes", (0, 1, 7), (0, 2, 9)), "tasks", (0, 6, 7))
    assert validate(changed(at_the_end, "jobs", (0, 2, 7))) == []


def test_downtimes():
    says(with_settings(interrupted(), mtbf=0.0), "PE 0 is down, though none ever fails")
    says(changed(interrupted(), "downtimes", (0, 0, 1)), "no PE 1")
    says(changed(interrupted(), "downtimes", (0, 2, 3)), "down from 3 to 3")
    touching = dataclasses.replace(interrupted(), downtimes=np.array([[0, 3, 5], [0, 5, 6]]))
    says(touching, "not sorted and apart")


def test_downtimes_are_those_of_the_seed():
    chip = PlainChip(chip_of_two(), 4, horizon=100, mtbf=30, mttr=10)
    chip.play(earliest_finish)
    schedule = chip.schedule()
    begin, until = schedule.downtimes[0, 1:].tolist()
    assert validate(schedule) == []
    moved = changed(schedule, "downtimes", (0, 2, until + 1))
    says(moved, f"PE 0 is down from {begin} to {until + 1}, expected from {begin} to {until}")
    missing = dataclasses.replace(schedule, downtimes=schedule.downtimes[schedule.downtimes[:, 0] == 1])
    says(missing, f"PE 0 is down from {begin} to {until}, which is not in the schedule")


def test_bounds():
    # no schedule that is right in all else is below them: these are wrong in their times, too
    says(changed(valid(), "jobs", (0, 2, 10)), "job 0 takes 10, less than the bound 13 of fork")
    instance = dataclasses.replace(chip_of_two(), jobs=np.array([[0, 0]] * 3))
    quick = SocSchedule.from_plan(instance, [0, 0, 1, 1] * 3, [0, 5, 7, 13] * 3)
    says(quick, "the makespan is 13, but PEs [1] have work for 18")
    says(quick, "the makespan is 13, but PEs [0, 1] have work for 27")


def test_nothing_compiled_is_needed():
    code = (
        "import sys, makespan.envs.soc.validity, makespan.envs.soc.schedule;"
        "sys.exit(any(name == 'numba' or name.endswith(('soc.dynamics', 'soc.measure')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
