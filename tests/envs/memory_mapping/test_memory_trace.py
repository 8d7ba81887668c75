"""Plans as traces and as tables."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import pytest
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.timeline import Timeline
from support.memory_game import played_plan
from support.memory_hand_games import HAND_GAMES, hand_program
from support.memory_programs import random_program


@pytest.mark.parametrize("seed", range(20))
def test_events_of_a_thread_never_overlap_and_last_as_long_as_they_take(seed: int) -> None:
    plan = played_plan(random_program(seed, 10), seed, ("contended", "elapsed")[seed % 2])
    data = plan.trace()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    threads = defaultdict(list)
    for event in data["traceEvents"]:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in threads.values():
        spans.sort()
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(spans))
    total = sum(end - begin for begin, end in threads[1, 1]) * 10**6
    assert total == pytest.approx(Timeline(plan).total)
    moved = sum(x["dur"] * x["args"]["share"] for x in data["traceEvents"] if x.get("cat") in ("fetch", "write-back"))
    assert moved * 10**6 == pytest.approx(sum(transfer.work_ps for transfer in plan.transfers))
    if not plan.instance.loops:
        assert total == pytest.approx(run_times(plan).judged_ps)


def test_a_trace_by_hand() -> None:
    (hand,) = [hand for hand in HAND_GAMES if hand.name.startswith("elapsed supply")]
    events = MemoryPlan(hand.instance, hand.placements, "elapsed").trace()["traceEvents"]
    spans = {(e["cat"], e["name"]): (round(e["ts"] * 10**6), round(e["dur"] * 10**6)) for e in events if e["ph"] == "X"}
    assert spans == {
        ("instruction", "op0"): (0, 60),
        ("wait", "wait"): (60, 40),
        ("fetch", "fetch 1"): (60, 40),
        ("instruction", "op1"): (100, 10),
        ("param", "tensor 1"): (0, 110),
    }
    assert [e["args"]["bytes"] for e in events if e["ph"] == "C"] == [40, 40]


def test_the_table_has_a_row_for_each_placement() -> None:
    program = hand_program([("input", 10), ("act", 40, 0)], [(0, [0], [1]), (50, [], []), (0, [1], [])])
    strip = Placement(1, 0, 2, 0, write_backs=((0, 2),))
    header, rows = MemoryPlan(program, (strip, Placement(0, 0, 0, 40, copy=(-1, 0))), "unlimited").table()
    assert header == [
        "tensor",
        "name",
        "kind",
        "alias_group",
        "bytes",
        "start",
        "end",
        "offset",
        "fetch",
        "write_backs",
    ]
    assert rows == [
        [1, "", "act", 0, 40, 0, 2, 0, "", "0-2"],
        [0, "", "input", "", 10, 0, 0, 40, "-1-0", ""],
    ]
