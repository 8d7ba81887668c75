"""Start states: a shop put there goes on as one that came there by itself, and what contradicts itself is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.job_shop import state as d
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from support.job_shop import MODES, engine_for, random_actions, shop, shops

OPTIONS = st.fixed_dictionaries(
    {
        "blocking": st.sampled_from(MODES),
        "on_breakdown": st.sampled_from(["resume", "repeat"]),
        "unload_when_down": st.booleans(),
    }
)


def start_of(engine: Any, instance: JobShopInstance, dates: bool = True) -> dict[str, Any]:
    """Where copy 0 of an engine stands, as a user would write it."""
    now, jobs = int(engine.state.clock[0, d.TIME]), []
    for j, length in enumerate(instance.lengths.tolist()):
        row = engine.state.job[0, j]
        begin, end = (table[0, j, :length].tolist() for table in (engine.state.start, engine.state.completion))
        finished = [[b, e] for b, e in zip(begin, end, strict=True) if e >= 0]
        entry: dict[str, Any] = {"job": j, "finished": finished if dates else len(finished)}
        if row[d.JOB_STATUS] in (d.PROCESSING, d.PAUSED):
            left = row[d.END] - now if row[d.JOB_STATUS] == d.PROCESSING else row[d.REMAINING]
            where = {"machine": int(row[d.MACHINE]), "remaining": int(left)}
            entry["processing"] = {**where, "since": begin[len(finished)]} if dates else where
        elif row[d.JOB_STATUS] == d.BLOCKED:
            entry["blocked"] = {"machine": int(row[d.MACHINE])}
        elif row[d.JOB_STATUS] == d.OUTSIDE:
            entry["waiting"] = {"operation": len(finished)}
        jobs.append(entry)
    return {"time": now, "jobs": jobs}


def played(instance: JobShopInstance, moves: int, seed: int, **options: Any) -> Any:
    """An engine after some random moves; the example is dropped where the episode has ended by then."""
    engine = engine_for(instance, **options)
    rng = np.random.default_rng(seed)
    for _ in range(moves):
        assume(engine.is_running()[0])
        engine.step(random_actions(rng, engine.masks))
    assume(engine.is_running()[0])
    return engine


@settings(max_examples=150)
@given(
    instance=shops(jobs=(2, 4), machines=(2, 3), least_time=0, most_time=4, windows=True),
    options=OPTIONS,
    known=st.booleans(),
    moves=st.integers(1, 10),
    seed=st.integers(0, 1000),
)
def test_goes_on_like_a_shop_that_came_there(
    instance: Any, options: dict[str, Any], known: bool, moves: int, seed: int
) -> None:
    law: dict[str, Any] = {"law": "windows", "known_windows": known} if any(instance.windows) else {"law": "none"}
    engine = played(instance, moves, seed, **options, **law)
    there = engine_for(instance.starting_from(start_of(engine, instance)), **options, **law)
    rng = np.random.default_rng(seed)
    while engine.is_running()[0]:
        for key, array in engine.block.views.items():
            assert np.array_equal(array, there.block.views[key]), key
        sums = slice(d.NEXT_END, d.NUM_CLOCK)
        assert np.array_equal(engine.state.clock[0, sums], there.state.clock[0, sums])
        actions = random_actions(rng, engine.masks)
        engine.step(actions)
        there.step(actions)
        if there.state.clock[0, d.STEPS] > 1 and not engine.metrics(0)["deadlock"]:
            assert np.array_equal(engine.outcome.reward, there.outcome.reward)
    assert np.array_equal(engine.is_running(), there.is_running())
    mine, other = engine.metrics(0), there.metrics(0)
    assert mine["status"] == other["status"]
    for name in ("start", "completion"):
        assert np.array_equal(getattr(engine.state, name), getattr(there.state, name))
    if mine["finished"]:
        there.record = True
        assert validate(there.schedule(0)) == []


@settings(max_examples=60)
@given(
    instance=shops(jobs=(2, 4), machines=(2, 3), least_time=0, most_time=4),
    blocking=st.sampled_from(MODES),
    moves=st.integers(1, 10),
    seed=st.integers(0, 1000),
)
def test_dates_need_not_be_known(instance: Any, blocking: str, moves: int, seed: int) -> None:
    """The future is the same, and the schedule is valid."""
    engine = played(instance, moves, seed, blocking=blocking)
    there = engine_for(instance.starting_from(start_of(engine, instance, dates=False)), blocking=blocking)
    rng = np.random.default_rng(seed)
    while engine.is_running()[0]:
        assert np.array_equal(engine.masks, there.masks)
        actions = random_actions(rng, engine.masks)
        engine.step(actions)
        there.step(actions)
    assert engine.metrics(0)["status"] == there.metrics(0)["status"]
    assert np.array_equal(engine.objectives(), there.objectives()) or not engine.metrics(0)["finished"]
    assert validate(there.schedule(0)) == []


def test_construct_mode_appends_to_what_has_begun() -> None:
    """Job 0 is done on machine 0 and is on machine 1 until 9; job 1 has machine 0 from now on."""
    instance = shop([[3, 5], [2, 2]], [[0, 1], [0, 1]]).starting_from(
        {"time": 7, "jobs": [{"job": 0, "finished": 1, "processing": {"machine": 1, "since": 4}}]}
    )
    engine = engine_for(instance, blocking="none", mode="construct")
    for _ in range(2):
        engine.step([1])
    schedule = engine.schedule(0)
    assert schedule.completion[:, 1].tolist() == [9, 11]
    assert schedule.start[1].tolist() == [7, 9]
    assert engine.objectives().tolist() == [11]
    assert validate(schedule) == []


def test_a_machine_that_breaks_down_now() -> None:
    """Machine 0 breaks down at 2, in the middle of job 0's first operation, which ends 4 later than it would have."""
    bare = shop([[3, 2], [4, 1]], [[0, 1], [1, 0]])
    going = [
        {"job": 0, "finished": 0, "processing": {"machine": 0, "since": 0}},
        {"job": 1, "finished": 0, "processing": {"machine": 1, "since": 0}},
    ]
    instance = bare.starting_from({"time": 2, "jobs": going, "down": [{"machine": 0, "until": 6}]})
    options = {"law": "windows", "known_windows": True}
    for on_breakdown, end in (("resume", 7), ("repeat", 9)):
        engine = engine_for(instance, on_breakdown=on_breakdown, **options)
        while engine.is_running()[0]:
            engine.step([int(engine.masks[0].argmax())])
        engine.record = True
        schedule = engine.schedule(0)
        assert schedule.completion[0, 0] == end
        assert schedule.downtime[0] == ((2, 6),)
        assert validate(schedule) == []
    with pytest.raises(UserError, match="machine 0 is down at the start, but law='none'"):
        engine_for(instance)
    with pytest.raises(UserError, match="law='bernoulli' cannot go on from"):
        engine_for(instance, law="bernoulli")


def test_swaps_that_wait_at_the_start_are_made() -> None:
    """Both jobs have finished their first operation, and each wants the other's machine."""
    bare = shop([[3, 2], [2, 4]], [[0, 1], [1, 0]])
    instance = bare.starting_from({"time": 5, "jobs": [{"job": 0, "finished": 1}, {"job": 1, "finished": 1}]})
    engine = engine_for(instance, blocking="swap")
    assert not engine.is_running()[0]
    assert engine.objectives().tolist() == [9]
    assert validate(engine.schedule(0)) == []
    assert engine_for(instance, blocking="no-swap").metrics(0)["deadlock"]


def test_resets_in_a_batch_and_again() -> None:
    """Copies with and without a start state, in any order, and again on another instance."""
    bare = shop([[3, 2], [2, 4]], [[0, 1], [1, 0]], name="bare")
    going = [{"job": 0, "finished": 0, "processing": {"machine": 0, "remaining": 1}}]
    begun = JobShopInstance.from_dict({**bare.to_dict(), "name": "begun", "start": {"time": 4, "jobs": going}})
    engine = engine_for([bare, begun], copies=3)
    for order in ([0, 1, 0], [1, 1, 0], [0, 0, 1]):
        engine.reset([0, 0, 0], instances=[(bare, begun)[index] for index in order])
        assert engine.state.clock[:, d.TIME].tolist() == [4 * index for index in order]
        assert engine.state.job[:, 0, d.MACHINE].tolist() == [index - 1 for index in order]


def test_the_file_holds_the_start() -> None:
    bare = shop([[3, 2], [2, 4], [1, 1]], [[0, 1], [1, 0], [0, 1]])
    start = {
        "time": 9,
        "jobs": [
            {"job": 0, "finished": [[0, 3]], "processing": {"machine": 1, "since": 8, "remaining": 1}},
            {"job": 2, "finished": 1, "waiting": {"machine": 1}},
        ],
        "down": [{"machine": 0, "since": 8, "until": 12}],
    }
    instance = bare.starting_from(start)
    again = JobShopInstance.from_dict(instance.to_dict())
    assert again.start == instance.start
    assert again.same_as(instance)
    assert not again.same_as(bare)
    assert again.downtimes == (((8, 12),), ())
    assert again.to_dict()["start"] == start


def test_names_of_a_csv_are_kept(tmp_path: Path) -> None:
    """In the JSON form, in the table of a schedule, and in a start state."""
    (tmp_path / "shop.csv").write_text("job,machine,time\nb10,mill,3\nb2,saw,2\nb10,saw,4\n")
    bare = JobShopInstance.load(tmp_path / "shop.csv")
    assert (bare.job_names, bare.machine_names) == (("b2", "b10"), ("mill", "saw"))
    bare.save(tmp_path / "shop.json")
    again = JobShopInstance.load(tmp_path / "shop.json")
    assert (again.job_names, again.machine_names) == (bare.job_names, bare.machine_names)
    going = [{"job": "b10", "finished": 0, "processing": {"machine": "mill", "since": 1}}]
    begun = again.starting_from({"time": 2, "jobs": going, "down": [{"machine": "saw", "until": 9}]})
    assert begun.start == bare.starting_from({**begun.to_dict()["start"]}).start
    assert begun.start is not None
    assert (begun.start.jobs[1].remaining, begun.start.down) == (2, ((1, 2, 9),))
    schedule = JobShopSchedule(bare, "none", np.array([[4, -1], [0, 6]]), np.array([[6, -1], [3, 10]]))
    header, rows = schedule.table()
    assert header == ["job", "operation", "machine", "start", "end", "release"]
    assert rows == [["b10", 0, "mill", 0, 3, 3], ["b2", 0, "saw", 4, 6, 6], ["b10", 1, "saw", 6, 10, 10]]
    with pytest.raises(FieldError, match=r"start.jobs\[0\].processing.machine is 'lathe', expected one of mill, saw"):
        again.starting_from(
            {"time": 2, "jobs": [{"job": "b10", "finished": 0, "processing": {"machine": "lathe", "since": 1}}]}
        )
    with pytest.raises(FieldError, match=r"job_names\[1\] is 'a', expected a name that no other has"):
        replace(bare, job_names=("a", "a"))
    with pytest.raises(FieldError, match="machine_names is '1 names', expected none, or 2"):
        replace(bare, machine_names=("a",))


def test_a_table_leaves_out_what_is_not_known() -> None:
    """Job 0 is blocked on machine 0 until 6; when it was processed there nobody has said."""
    instance = shop([[3, 2], [2, 4]], [[0, 1], [1, 0]]).starting_from(
        {
            "time": 4,
            "jobs": [
                {"job": 0, "finished": 1},
                {"job": 1, "finished": 0, "processing": {"machine": 1, "remaining": 2}},
            ],
        }
    )
    engine = engine_for(instance)
    while engine.is_running()[0]:
        engine.step([int(engine.masks[0].argmax())])
    rows = engine.schedule(0).table()[1]
    assert sorted(rows, key=lambda row: row[:2]) == [
        [0, 0, 0, "", "", 6],
        [0, 1, 1, 6, 8, 8],
        [1, 0, 1, 4, 6, 6],
        [1, 1, 0, 6, 10, 10],
    ]


GOING = {"job": 0, "finished": 0, "processing": {"machine": 0, "since": 9}}


@pytest.mark.parametrize(
    "jobs, down, problem",
    [
        ([GOING, GOING], [], "job 0 has an entry and is in one place"),
        ([{**GOING, "blocked": {"machine": 1}}], [], "job 0 is in one place"),
        ([GOING, {"job": 2, "finished": 0, "processing": {"machine": 0, "since": 9}}], [], "job 0 is there"),
        (
            [{"job": 0, "finished": 1, "waiting": {"operation": 0}}],
            [],
            "1, of job 0 the first one that is",
        ),
        ([{"job": 0, "finished": 0, "processing": {"machine": 1, "since": 9}}], [], "0, the machine of operation 0"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 7, "since": 9}}], [], "an integer from 0 to 1"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 0, "since": 6}}], [], "7 or later: operation 0 of job 0"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 0, "since": 11}}], [], "an integer from 0 to 10"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 0, "remaining": 4}}], [], "0 to 3, the time of"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 0, "since": 9, "remaining": 1}}], [], "2 or more"),
        ([{"job": 0, "finished": 0, "processing": {"machine": 0}}], [], "since or remaining"),
        ([{"job": 0, "finished": 3}], [], "an integer from 0 to 2"),
        ([{"job": 0, "finished": 2, "processing": {"machine": 0, "since": 9}}], [], "which has 2 of which 2 are"),
        ([{"job": 0, "finished": 0, "blocked": {"machine": 0}}], [], "which has 2 of which 0 are finished"),
        ([{"job": 0, "finished": [[0, 2]]}], [], "at least 3 from begin to end"),
        ([{"job": 0, "finished": [[0, 11]]}], [], "an integer from 0 to 10"),
        ([{"job": 0, "finished": [[0, 3], [2, 5]]}], [], "3 or later, the end of operation 0"),
        ([{"job": 5, "finished": 0}], [], "an integer from 0 to 2"),
        ([{"job": j, "finished": 2} for j in range(3)], [], "at least one operation that is left"),
        ([], [{"machine": 0, "until": 10}], "a time after now, 10"),
        ([], [{"machine": 0, "until": 12, "since": 11}], "a time up to now, 10"),
        ([], [{"machine": 2, "until": 12}], "an integer from 0 to 1"),
        ([], [{"machine": 0, "until": 12}, {"machine": 0, "until": 13}], "not listed before"),
    ],
)
def test_contradictions_are_named(jobs: Any, down: Any, problem: str) -> None:
    instance = shop([[3, 2], [2, 4], [1, 1]], [[0, 1], [1, 0], [0, 1]])
    with pytest.raises(FieldError, match=problem) as error:
        instance.starting_from({"time": 10, "jobs": jobs, "down": down})
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("start.")


@pytest.mark.parametrize(
    "jobs, blocking, problem",
    [
        ([{"job": 0, "finished": 1, "blocked": {"machine": 0}}], "none", "leaves its machine"),
        ([{"job": 0, "finished": 1, "waiting": {"machine": 1}}], "swap", "blocked on machine 0"),
        ([{"job": 0, "finished": 1}, {"job": 2, "finished": 1}], "swap", "job 0 is there, and job 2 cannot have left"),
    ],
)
def test_states_of_other_shops_are_refused(jobs: Any, blocking: str, problem: str) -> None:
    bare = shop([[3, 2], [2, 4], [1, 1]], [[0, 1], [1, 0], [0, 1]])
    instance = bare.starting_from({"time": 10, "jobs": jobs})
    with pytest.raises(FieldError, match=problem):
        engine_for(instance, blocking=blocking)
    engine_for(instance, blocking="swap" if blocking == "none" else "none")


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"start": (1, 0, 3)}, "before now, 4"),
        ({"start": (0, 0, 3)}, "the start state says 2 to"),
        ({"completion": (0, 0, 6)}, "it is completed at 5"),
        ({"start": (1, 0, 4)}, "holds"),
        ({"start": (0, 0, -1), "completion": (0, 0, -1)}, "has begun by the start state"),
    ],
)
def test_the_validator_knows_the_start(change: dict[str, tuple[int, int, int]], problem: str) -> None:
    """Job 0 is on machine 0 from 2 to 5; job 1 begins there at 5."""
    bare = shop([[3, 2], [2, 4]], [[0, 1], [0, 1]])
    going = [{"job": 0, "finished": 0, "processing": {"machine": 0, "since": 2}}]
    instance = bare.starting_from({"time": 4, "jobs": going})
    tables = {"start": np.array([[2, 5], [5, 7]]), "completion": np.array([[5, 7], [7, 11]])}

    def violations() -> list[str]:
        return validate(JobShopSchedule(instance, "none", tables["start"], tables["completion"]))

    assert violations() == []
    for name, (job, operation, value) in change.items():
        tables[name][job, operation] = value
    assert any(problem in violation for violation in violations())
