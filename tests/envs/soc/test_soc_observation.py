"""Observations of DAG scheduling: in their space, padded, the same as written from scratch, and right by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from makespan.envs.soc import state as d
from makespan.envs.soc.catalogue import named
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import make_static, make_stream
from makespan.envs.soc.measure import graph_of, measure
from makespan.envs.soc.observation import (
    ACTION_FEATURES,
    GLOBAL_FEATURES,
    JOB_FEATURES,
    PE_FEATURES,
    SPEC,
    TASK_FEATURES,
    WIDE,
)
from support.soc_graphs import instance as one_application
from support.soc_reference import random_instance
from support.soc_twins import PlainChip, able, meaning

MODEST = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**31)
STREAMS: list[dict[str, Any]] = [
    {},
    {"noise": 0.4, "mtbf": 40.0, "mttr": 9.0, "insertion": True},
    {"release": "assigned", "noise": 0.4},
    {"memory": "shared", "overhead_task": 0.7},
    {"contention": "link", "mode": "order"},
    {"hold": True, "noise": 0.3},
]
PLANS: list[dict[str, Any]] = [{}, {"insertion": False, "mode": "order"}, {"noise": 0.3, "mtbf": 30.0}]
NAMES = {
    "nodes/task": TASK_FEATURES,
    "nodes/pe": PE_FEATURES,
    "nodes/job": JOB_FEATURES,
    "globals": GLOBAL_FEATURES,
    "actions/features": ACTION_FEATURES,
}


def table(engine: SocEngine, key: str) -> dict[str, np.ndarray]:
    """A feature array of copy 0 as {feature name: column}."""
    array = engine.block.views[key][0]
    return {feature.name: array[..., column] for column, feature in enumerate(NAMES[key])}


def choose(rng: np.random.Generator, masks: np.ndarray) -> np.ndarray:
    """A random legal action for each row."""
    return np.where(masks > 0, rng.random(masks.shape), -1.0).argmax(axis=1)


@pytest.mark.parametrize("options", [*STREAMS, *PLANS], ids=str)
def test_rewriting_what_changed_equals_rewriting_everything(options: dict[str, Any]):
    copies = 6
    if options in PLANS:
        engine = make_static(copies, "random:tasks=8+20:count=9", **options)
    else:
        engine = make_stream(copies, [random_instance(1), random_instance(4)], scale=9.0, horizon=120, **options)
    engine.reset(np.arange(copies))
    rng = np.random.default_rng(3)
    next_seed = copies
    for _ in range(150):
        engine.step(choose(rng, engine.masks))
        written = engine.block.memory.copy()
        engine._write_all()
        for key, view in engine.block.views.items():
            begin, size = engine.layout.positions[key], view[0].nbytes
            assert np.array_equal(engine.block.memory[:, begin : begin + size], written[:, begin : begin + size]), key
        ended = np.flatnonzero(~engine.is_running())
        if len(ended):
            engine.reset(next_seed + np.arange(len(ended)), copies=ended)
            next_seed += len(ended)
    assert next_seed > 2 * copies


@pytest.mark.parametrize("options", STREAMS, ids=str)
def test_a_play_that_was_not_watched_is_seen_as_one_that_was(options: dict[str, Any]):
    one, other = (make_stream(3, "socrates", scale=30.0, **options) for _ in range(2))
    for engine in (one, other):
        engine.reset(np.arange(3))
    rng = np.random.default_rng(5)
    advance = other.kernels.advance
    for step in range(60):
        actions = choose(rng, one.masks)
        one.step(actions)
        if step % 9 == 8:
            other.step(actions)
            assert np.array_equal(one.block.memory, other.block.memory)
        else:
            for copy in range(3):
                advance(other.problem, other.state, copy, actions[copy])


@MODEST
@given(SEEDS, st.sampled_from([*STREAMS, *PLANS]))
def test_observations_lie_in_their_space_and_padding_is_zero(seed: int, options: dict[str, Any]):
    room: dict[str, Any] = {"max_jobs": 7, "max_tasks": 11, "max_edges": 70, "max_pes": 9, "max_groups": 8}
    if options in PLANS:
        engine = make_static(1, random_instance(seed), **options, **room)
    else:
        engine = make_stream(1, random_instance(seed), scale=9.0, horizon=60, queue_cap=4, window=5, **options, **room)
    engine.reset([seed % 1000])
    rng = np.random.default_rng(seed)
    while True:
        row = engine.block.row(0)
        assert engine.layout.space.contains(row)
        assert all(np.isfinite(array).all() for array in row.values())
        for node in SPEC.nodes:
            assert not row[f"nodes/{node.name}"][row[f"node_mask/{node.name}"] == 0].any()
        for edge in SPEC.edges:
            pairs = row[f"edges/{edge.name}"]
            there = pairs[0] >= 0
            assert np.array_equal(there, pairs[1] >= 0)
            assert row[f"node_mask/{edge.source}"][pairs[0, there]].all()
            assert row[f"node_mask/{edge.target}"][pairs[1, there]].all()
        assert not row["actions/features"][row["action_mask"] == 0].any()
        assert (row["actions/nodes"][row["action_mask"] == 0] == -1).all()
        assert row["action_mask"].any() == engine.is_running()[0]
        if not engine.is_running()[0]:
            return
        engine.step(choose(rng, engine.masks))


# --- against plain Python ---------------------------------------------------------------------------------------------


class Checker:
    """Computes features of a chip in plain Python and compares them with those of an engine."""

    def __init__(self, engine: SocEngine, chip: PlainChip) -> None:
        self.engine, self.chip = engine, chip
        instance, times = chip.instance, chip.times
        means = [[sum(t for t in row if t >= 0) / sum(t >= 0 for t in row) for row in table] for table in times]
        weights = instance.mix.tolist()
        work = sum(p * sum(row) for p, row in zip(weights, means, strict=True))
        tasks = sum(p * len(row) for p, row in zip(weights, means, strict=True))
        self.unit = max(work / tasks, 1e-3)
        self.measures = [measure(graph_of(a, instance.platform)) for a in instance.applications]
        self.compared = 0

    def time(self, value: float) -> float:
        return min(max(value / self.unit, 0.0), WIDE)

    def signed(self, value: float) -> float:
        return min(max(value / self.unit, -WIDE), WIDE)

    def check(self) -> None:
        self.check_actions()
        self.check_rest()

    def check_actions(self) -> None:
        engine, chip, now = self.engine, self.chip, self.chip.now
        features = table(engine, "actions/features")
        expected = chip.expected()
        free = {p: max([now, *(expected[x][1] for x in chip.queues[p])]) for p in chip.pes}
        for p in chip.pes:
            if chip.running[p] is not None:
                free[p] = max(free[p], expected[chip.running[p]][1])  # type: ignore[index]
        finishes = {
            w: {p: chip.place(chip.offered[w], p)[2] for p in able(chip, w)}
            for w in range(min(len(chip.offered), engine.options.window))
        }
        least_finish = min(min(of.values()) for of in finishes.values())
        for action in np.flatnonzero(engine.masks[0]):
            w, p = meaning(engine, chip, int(action))
            x, job = chip.offered[w], chip.jobs[chip.offered[w].job]
            measures, here = self.measures[job.application], chip.mean_time(x, p)
            finish, ordered = finishes[w][p], sorted(finishes[w].values())
            ready = chip._expected_ready(x, p, chip.told, expected)
            times = [t for t in chip.times[job.application][x.task] if t >= 0]
            tail = int(measures.tail[x.task, p])
            lonely = [
                k
                for k, edges in enumerate(chip.incoming[job.application])
                if x.task in [i for _, i, _ in edges] and sum(job.tasks[i].finish < 0 for _, i, _ in edges) == 1
            ]
            wanted = {
                "time": self.time(here),
                "mean_time": self.time(sum(times) / len(times)),
                "least_time": self.time(min(times)),
                "excess_time": self.time(here - min(times)),
                "fastest": float(here == min(times)),
                "start_delay": self.time(finish - here - now),
                "finish_delay": self.time(finish - now),
                "finish_over_best": self.time(finish - ordered[0]),
                "best_finish_delay": self.time(ordered[0] - now),
                "sufferage": self.time(ordered[1] - ordered[0]) if len(ordered) > 1 else WIDE,
                "data_delay": self.time(ready - now),
                "free_delay": self.time(free[p] - now),
                "log_queue": math.log1p(len(chip.queues[p]) + (chip.running[p] is not None)),
                "upward_rank": self.time(chip.ranks[job.application][x.task]),
                "downward_rank": self.time(measures.downward_rank[x.task]),
                "static_level": self.time(measures.static_level[x.task]),
                "dynamic_level": self.signed(
                    measures.static_level[x.task] - max(ready, free[p]) + now + measures.median_time[x.task] - here
                ),
                "mean_oct": self.time(measures.mean_oct[x.task]),
                "finish_plus_oct": self.time(finish - now + measures.oct[x.task, p]),
                "finish_plus_tail": self.time(finish - now + tail),
                "job_age": self.time(now - job.generated),
                "job_tasks_left": sum(t.finish < 0 for t in job.tasks) / len(job.tasks),
                "position": w / engine.options.window,
                "log_released": math.log1p(len(lonely)),
                "eligible_share": len(times) / len(chip.pes),
                "finish_over_least": self.time(finish - least_finish),
                "best_finish_over_least": self.time(ordered[0] - least_finish),
            }
            for name, value in wanted.items():
                assert features[name][action] == pytest.approx(value, rel=1e-5, abs=1e-5), (name, now, w, p)
                self.compared += 1

    def check_rest(self) -> None:
        engine, chip = self.engine, self.chip
        pes, everything = table(engine, "nodes/pe"), table(engine, "globals")
        for p in chip.pes:
            assert pes["up"][p] == chip.is_up(p)
            assert pes["active"][p] == (chip.running[p] is not None)
            assert pes["log_queue"][p] == pytest.approx(math.log1p(len(chip.queues[p])))
        assert everything["log_offered"] == pytest.approx(math.log1p(len(chip.offered)))
        assert everything["active_share"] == pytest.approx(sum(x is not None for x in chip.running) / len(chip.pes))
        tasks, room = table(engine, "nodes/task"), engine.room.tasks
        shown = {int(engine.state.job[0, s, d.NUMBER]): s for s in np.flatnonzero(engine.state.job[0, :, d.ACTIVE])}
        open_jobs = [j for j in range(len(chip.jobs)) if chip.options["static"] or chip.jobs[j].finish < 0]
        assert sorted(shown) == open_jobs
        runs_on = {int(a): int(b) for a, b in engine.block.row(0)["edges/runs_on"].T if a >= 0}
        for j in open_jobs:
            for k, x in enumerate(chip.jobs[j].tasks):
                slot = shown[j] * room + k
                assert tasks["done"][slot] == (x.finish >= 0)
                assert tasks["active"][slot] == (x.start >= 0 and x.finish < 0)
                assert tasks["assigned"][slot] == (x.pe >= 0 and x.start < 0)
                assert tasks["offered"][slot] == (x in chip.offered)
                assert runs_on.get(int(slot), -1) == x.pe
                incoming = chip.incoming[chip.jobs[j].application][k]
                missing = sum(chip.jobs[j].tasks[i].finish < 0 for _, i, _ in incoming)
                assert tasks["log_missing"][slot] == pytest.approx(math.log1p(missing))


@MODEST
@given(SEEDS, st.sampled_from([s for s in STREAMS if "hold" not in s]), st.booleans())
@example(622760, {}, False)  # a level below what the feature may be
def test_features_are_those_of_the_plain_chip(seed: int, options: dict[str, Any], static: bool):
    """Delays, sufferage, ranks, levels, data and what is said of tasks, jobs and PEs, along a random play."""
    instance = random_instance(seed)
    if static:
        options = {k: v for k, v in options.items() if k not in ("release", "memory")}
    else:
        options = {**options, "scale": 9.0, "horizon": 60, "queue_cap": 4, "warmup": 0}
    engine = (make_static if static else make_stream)(1, instance, window=64, **options)
    chip = PlainChip(instance, 5, static=static, **{k: v for k, v in options.items() if k != "mode"})
    engine.reset([5])
    checker = Checker(engine, chip)
    rng = np.random.default_rng(seed)

    def play(chip: PlainChip) -> tuple[int, int]:
        checker.check()
        action = int(choose(rng, engine.masks)[0])
        decided = meaning(engine, chip, action)
        engine.step([action])
        return decided

    chip.play(play)


def test_a_window_shows_the_first_of_many():
    engine = make_stream(1, one_application([[5, 9]] * 6, []), scale=1.0, window=4, max_groups=3)
    engine.reset([0])
    everything, features = table(engine, "globals"), table(engine, "actions/features")
    assert engine.state.clock[0, d.OFFERED_COUNT] >= 6
    assert everything["beyond_window"] == 1
    assert engine.masks[0].tolist() == [1, 1, 0] * 4 + [0]
    assert features["position"][:12].reshape(4, 3)[:, 0].tolist() == [0, 0.25, 0.5, 0.75]
    assert engine.block.row(0)["actions/nodes"][[0, 1, 3]].tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_all_features_move():
    """No feature has one value all over a long play of a varied stream, but those that say how it is played."""
    engine = make_stream(
        8, named("ds3-six"), scale="15+60", noise="0+0.3", mtbf=200.0, mttr=30.0, insertion=True, hold=True, window=5
    )
    engine.reset(np.arange(8))
    rng = np.random.default_rng(0)
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for _ in range(600):
        for key in NAMES:
            array = engine.block.views[key]
            flat = array.reshape(-1, array.shape[-1])
            low[key] = np.minimum(low[key], flat.min(axis=0)) if key in low else flat.min(axis=0)
            high[key] = np.maximum(high[key], flat.max(axis=0)) if key in high else flat.max(axis=0)
        engine.step(choose(rng, engine.masks))
    still = [
        f"{key}.{feature.name}"
        for key, features in NAMES.items()
        for column, feature in enumerate(features)
        if low[key][column] == high[key][column]
    ]
    assert set(still) <= {
        "globals.log_pes", "globals.log_tasks", "globals.static", "globals.assigned_release", "globals.insertion",
        "globals.told_delay",
    }, still  # fmt: skip
