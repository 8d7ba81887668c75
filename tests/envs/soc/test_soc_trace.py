"""A schedule as a trace: what PEs do, transfers, jobs."""

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from makespan.envs.soc.instance import Application, Platform, SocInstance
from makespan.envs.soc.schedule import SocSchedule
from support.soc_reference import PlainChip, earliest_finish, random_instance


def plan() -> SocSchedule:
    platform = Platform.of_one_kind("two", 2, 2)
    times, edges = np.array([[10, 9], [7, 7], [0, 0]]), np.array([[0, 1], [1, 2]])
    app = Application("chain", ("a", "b", "c"), times, edges, np.array([6, 0]))
    return SocSchedule.from_plan(SocInstance("chain", platform, (app,)), [0, 1, 1], [0, 13, 20])


def disturbed(seed: int) -> SocSchedule:
    chip = PlainChip(random_instance(seed), seed, horizon=300, noise=0.3, mtbf=30, mttr=10, insertion=True)
    chip.play(earliest_finish)
    return chip.schedule()


def events(schedule: SocSchedule, phase: str) -> list[dict[str, Any]]:
    document = json.loads(json.dumps(schedule.trace(), allow_nan=False))
    return [event for event in document["traceEvents"] if event["ph"] == phase]


def test_lanes_are_pes():
    names = {event["tid"]: event["args"]["name"] for event in events(plan(), "M") if event["name"] == "thread_name"}
    assert names == {1: "PE 0", 2: "PE 1"}
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in events(plan(), "X")] == [
        ("0.a", 1, 0, 10),
        ("0.b", 2, 13, 7),
        ("0.c", 2, 20, 0),
    ]
    assert events(plan(), "X")[1]["args"] == {
        "job": 0,
        "application": "chain",
        "task": 1,
        "assigned": 0,
        "data_ready": 13,
    }


def test_transfers_are_flows():
    (begin,), (end,) = events(plan(), "s"), events(plan(), "f")
    assert (begin["tid"], begin["ts"], end["tid"], end["ts"]) == (1, 10, 2, 13)
    assert begin["id"] == end["id"]
    assert begin["args"]["volume"] == 6


def test_jobs_are_counted():
    schedule = disturbed(1)
    counts = {event["ts"]: event["args"]["jobs"] for event in events(schedule, "C")}
    for time, count in counts.items():
        present = sum(g <= time and (f < 0 or f > time) for _, g, f in schedule.jobs.tolist())
        assert count == present
    begun, ended = events(schedule, "b"), events(schedule, "e")
    assert [event["id"] for event in begun] == [event["id"] for event in ended] == [*range(1, len(schedule.jobs) + 1)]


def test_events_of_a_pe_do_not_overlap_and_add_up():
    paused = 0
    for seed in range(6):
        schedule = disturbed(seed)
        lanes, worked, down = defaultdict(list), defaultdict(int), defaultdict(int)
        for event in events(schedule, "X"):
            lanes[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            kinds = worked if event["cat"] == "task" else down
            kinds[event["tid"] - 1] += event["dur"]
            paused += event["cat"] == "paused"
        for lane in lanes.values():
            lane.sort()
            assert all(end <= begin for (_, end), (begin, _) in pairwise(lane))
        for p in range(schedule.instance.num_pes):
            assert worked[p] == schedule.busy[p]
            windows = schedule.downtimes[schedule.downtimes[:, 0] == p, 1:]
            assert down[p] == sum(min(b, 300) - min(a, 300) for a, b in windows.tolist())
    assert paused > 0
