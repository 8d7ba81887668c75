"""Schedules as Chrome traces: what stands where in time, in which category, and that no thread does two things."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from makespan.envs.job_shop.env import JobShopEnv
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, swaps, validate


def swapping():
    """Case A: job 1 is blocked from 2 to 3, both swap at 3."""
    instance = JobShopInstance.from_routes("A", [[3, 2], [2, 4]], [[0, 1], [1, 0]])
    return JobShopSchedule(instance, "swap", np.array([[0, 3], [0, 3]]), np.array([[3, 5], [2, 7]]))


def complete(schedule):
    return [event for event in schedule.trace()["traceEvents"] if event["ph"] == "X"]


def short(schedule, machine):
    """(name, cat, begin, end) of one machine's complete events."""
    events = [event for event in complete(schedule) if event["tid"] == machine + 1]
    return [(event["name"], event["cat"], event["ts"], event["ts"] + event["dur"]) for event in events]


def duration(schedule, category):
    return sum(event["dur"] for event in complete(schedule) if category in event["cat"].split(","))


def assert_no_overlap(schedule):
    threads = defaultdict(list)
    for event in complete(schedule):
        assert event["dur"] >= 0
        threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for events in threads.values():
        for (_, end), (begin, _) in pairwise(events):
            assert begin >= end


def test_a_swap_by_hand():
    schedule = swapping()
    assert short(schedule, 0) == [("job 0", "processing", 0, 3), ("job 1", "processing", 3, 7)]
    assert short(schedule, 1) == [
        ("job 1", "processing", 0, 2),
        ("job 1", "blocked", 2, 3),
        ("job 0", "processing", 3, 5),
    ]
    trace = schedule.trace()
    (instant,) = [event for event in trace["traceEvents"] if event["ph"] == "i"]
    assert (instant["name"], instant["cat"], instant["ts"], instant["s"]) == ("swap", "swap", 3, "p")
    assert dict(zip(instant["args"]["jobs"], instant["args"]["machines"], strict=True)) == {0: 1, 1: 0}
    assert trace["otherData"]["schedule"] == "A, blocking with swaps: makespan 7"
    assert complete(schedule)[0]["args"] == {"job": 0, "piece": 0, "operation": 0, "machine": 0}


def test_one_process_and_a_named_thread_per_machine():
    events = swapping().trace()["traceEvents"]
    assert {event["pid"] for event in events} == {1}
    names = {(event["name"], event["tid"]): event["args"] for event in events if event["ph"] == "M"}
    assert names["process_name", 1] == {"name": "A, blocking with swaps: makespan 7"}
    assert names["thread_name", 1] == {"name": "machine 0"}
    assert names["thread_name", 2] == {"name": "machine 1"}
    assert names["thread_sort_index", 2] == {"sort_index": 1}
    assert {event["tid"] for event in events} == {1, 2}


@pytest.mark.parametrize("mode, completion, before", [("resume", 9, "processing"), ("repeat", 10, "lost")])
def test_an_interruption_by_hand(mode, completion, before):
    """Case D: job 0 is cut on machine 0, down at [4, 8)."""
    instance = JobShopInstance.from_routes("D", [[3, 2], [3, 2]], [[1, 0], [1, 0]])
    start, end = np.array([[0, 3], [3, completion]]), np.array([[3, completion], [6, completion + 2]])
    schedule = JobShopSchedule(instance, "swap", start, end, mode, downtime=(((4, 8), (90, 99)), ()))
    assert validate(schedule) == []
    assert short(schedule, 0) == [
        ("job 0", before, 3, 4),
        ("job 0", "paused,down", 4, 8),
        ("job 0", "processing", 8, completion),
        ("job 1", "processing", completion, completion + 2),
    ]


def test_a_lost_piece_by_hand():
    instance = JobShopInstance.from_routes("scrap", [[4, 6], [5, 6]], [[0, 1], [1, 0]])
    lost = np.array([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 6]])
    start, end = np.array([[11, 15], [0, 5]]), np.array([[15, 21], [5, 11]])
    schedule = JobShopSchedule(instance, "swap", start, end, "scrap", downtime=((), ((6, 10),)), lost=lost)
    assert validate(schedule) == []
    assert short(schedule, 1) == [
        ("job 1", "processing", 0, 5),
        ("job 0", "lost", 5, 6),
        ("down", "down", 6, 10),
        ("job 0", "processing", 15, 21),
    ]
    assert short(schedule, 0) == [
        ("job 0", "lost", 0, 4),
        ("job 0", "lost", 4, 5),
        ("job 1", "processing", 5, 11),
        ("job 0", "processing", 11, 15),
    ]
    assert [event["args"]["piece"] for event in complete(schedule) if event["name"] == "job 0"] == [0, 0, 1, 0, 1]


def test_a_job_blocked_on_a_machine_that_goes_down():
    """Job 0 is done on machine 0 at 1 and can enter machine 1 at 6; machine 0 is down in [2, 4)."""
    instance = JobShopInstance.from_routes("blocked", [[1, 1], [6]], [[0, 1], [1]])
    start, end = np.array([[0, 6], [0, -1]]), np.array([[1, 7], [6, -1]])
    schedule = JobShopSchedule(instance, "no-swap", start, end, downtime=(((2, 4),), ()))
    assert validate(schedule) == []
    assert short(schedule, 0) == [
        ("job 0", "processing", 0, 1),
        ("job 0", "blocked", 1, 2),
        ("job 0", "blocked,down", 2, 4),
        ("job 0", "blocked", 4, 6),
    ]


def test_an_operation_without_length_is_an_event_without_length():
    instance = JobShopInstance.from_routes("zero", [[2, 0], [2]], [[0, 1], [1]])
    start, end = np.array([[0, 2], [0, -1]]), np.array([[2, 2], [2, -1]])
    schedule = JobShopSchedule(instance, "none", start, end)
    assert validate(schedule) == []
    assert short(schedule, 1) == [("job 1", "processing", 0, 2), ("job 0", "processing", 2, 2)]


def test_unfinished_and_unstarted_schedules_end_where_they_are():
    nothing = np.full((2, 2), -1)
    unstarted = dataclasses.replace(swapping(), start=nothing, completion=nothing, finished=False)
    assert complete(unstarted) == []
    running = dataclasses.replace(
        swapping(), start=np.array([[0, -1], [0, -1]]), completion=np.array([[-1, -1], [2, -1]]), finished=False
    )
    assert short(running, 0) == [("job 0", "processing", 0, 2)]
    assert short(running, 1) == [("job 1", "processing", 0, 2)]


@pytest.mark.parametrize("blocking", ["swap", "no-swap", "none"])
@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
def test_times_are_those_of_played_schedules(blocking, on_breakdown):
    """Against the tables of the schedule alone, in episodes with many breakdowns."""
    env = JobShopEnv(
        instance="random:size=6x4", blocking=blocking, law="bernoulli", p=0.01, on_breakdown=on_breakdown,
        deadlock="banker" if blocking == "no-swap" else "end",
    )  # fmt: skip
    rng = np.random.default_rng(3)
    for seed in range(5):
        env.reset(seed=seed)
        done = False
        while not done:
            _, _, terminated, truncated, _ = env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))
            done = terminated or truncated
        schedule = env.schedule()
        assert env.validate(schedule) == []
        assert_no_overlap(schedule)
        assert json.loads(json.dumps(schedule.trace(), allow_nan=False)) == schedule.trace()
        check_operations(schedule)
        assert duration(schedule, "down") == sum(
            min(end, schedule.makespan) - min(begin, schedule.makespan)
            for windows in schedule.downtime
            for begin, end in windows
        )
        instants = [event for event in schedule.trace()["traceEvents"] if event["ph"] == "i"]
        assert [(event["ts"], event["args"]["jobs"]) for event in instants] == [
            (swap.time, list(swap.jobs)) for swap in swaps(schedule)
        ]
        assert max(event["ts"] + event["dur"] for event in complete(schedule)) == schedule.makespan


def check_operations(schedule):
    """Each operation of a surviving piece begins, ends, blocks and takes as long as the schedule says."""
    stays = defaultdict(list)
    for event in complete(schedule):
        if "job" in event["args"]:
            stays[event["args"]["job"], event["args"]["operation"], event["args"]["piece"]].append(event)
    instance = schedule.instance
    last_piece = {job: max(piece for j, _, piece in stays if j == job) for job in range(instance.num_jobs)}
    for job, length in enumerate(instance.lengths.tolist()):
        for k in range(length):
            events = stays[job, k, last_piece[job]]
            blocked = [event for event in events if "blocked" in event["cat"].split(",")]
            worked = [event for event in events if event not in blocked]
            assert {event["tid"] for event in events} == {instance.machines[job, k] + 1}
            assert worked[0]["ts"] == schedule.start[job, k]
            assert worked[-1]["ts"] + worked[-1]["dur"] == schedule.completion[job, k]
            assert sum(event["dur"] for event in blocked) == schedule.release(job, k) - schedule.completion[job, k]
            processing = sum(event["dur"] for event in events if event["cat"] == "processing")
            assert processing == instance.times[job, k]
