"""The engine of DAG scheduling against the slow, plain chip, step for step; the course of streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.soc.catalogue import named
from support import soc_graphs
from support.soc_reference import random_instance
from support.soc_twins import play_twins

STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("ds3-six", {"scale": 60.0}),
    "noise": ("ds3-six", {"scale": 60.0, "noise": "0.2+0.5"}),
    "full": ("socrates", {"scale": 25.0, "queue_cap": 3, "prefill": True, "insertion": True}),
    "full-noise": ("socrates", {"scale": 25.0, "queue_cap": 3, "prefill": True, "insertion": True, "noise": 0.3}),
    "down": ("ds3-six", {"scale": 80.0, "mtbf": 300.0, "mttr": 60.0}),
    "down-noise": ("socrates", {"scale": 40.0, "mtbf": 200.0, "mttr": 40.0, "noise": 0.3, "insertion": True}),
    "overhead": ("ds3-six", {"scale": 80.0, "overhead_call": 3.0, "overhead_task": 1.5}),
    "link": ("socrates", {"scale": 40.0, "contention": "link", "queue_cap": 4}),
    "bus-noise": ("socrates", {"scale": 60.0, "contention": "bus", "queue_cap": 4, "noise": 0.2}),
    "bus-overhead": ("socrates", {"scale": 60.0, "contention": "bus", "queue_cap": 4, "overhead_call": 2.0}),
    "link-down-insertion": (
        "socrates",
        {"scale": 60.0, "contention": "link", "queue_cap": 4, "mtbf": 150.0, "mttr": 30.0, "insertion": True},
    ),
    "shared": ("ds3-six", {"scale": 80.0, "memory": "shared"}),
    "shared-overhead": ("socrates", {"scale": 80.0, "memory": "shared", "overhead_task": 1.0}),
    "assigned": ("socrates", {"scale": 80.0, "release": "assigned"}),
    "assigned-insertion": ("socrates", {"scale": 40.0, "release": "assigned", "insertion": True, "noise": 0.2}),
    "assigned-down": (
        "socrates",
        {"scale": 40.0, "release": "assigned", "mtbf": 200.0, "noise": 0.2, "overhead_call": 2.0},
    ),
    "back-to-back": ("ds3-six", {"arrivals": "back-to-back", "prefill": True, "queue_cap": 5}),
    "back-to-back-one": ("ds3-six", {"arrivals": "back-to-back"}),
    "fixed": ("ds3-six", {"arrivals": "fixed", "scale": 70.0}),
    "energy": ("ds3-six", {"dvfs": "powersave", "objective": "energy"}),
    "product": ("ds3-six", {"dvfs": 1, "objective": "edp"}),
    "order": ("socrates", {"mode": "order", "scale": 40.0}),
}
PLANS: dict[str, dict[str, Any]] = {
    "plain": {},
    "appended": {"insertion": False},
    "noise": {"noise": 0.3},
    "down": {"mtbf": 50.0, "mttr": 10.0},
    "overhead": {"overhead_task": 1.0},
    "link": {"contention": "link"},
    "latency": {"objective": "latency"},
    "order": {"mode": "order", "objective": "energy"},
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_as_on_the_plain_chip(name: str):
    instance, options = STREAMS[name]
    engine = play_twins(named(instance)[0], 3, horizon=300, warmup=50, **options)
    assert engine.metrics(0)["decisions"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", STREAMS)
def test_long_streams_go_as_on_the_plain_chip(name: str, seed: int):
    instance, options = STREAMS[name]
    play_twins(named(instance)[0], seed, horizon=1500, warmup=100, **options)


@pytest.mark.parametrize("options", PLANS.values(), ids=PLANS)
def test_a_plan_comes_to_what_it_does_on_the_plain_chip(options: dict[str, Any]):
    for seed in range(3):
        play_twins(named("topcuoglu")[0], seed, static=True, **options)
        instance = soc_graphs.random_instance(np.random.default_rng(seed), 5, 3, jobs=3, arrivals=20)
        play_twins(instance, seed, static=True, **options)


@st.composite
def stream_options(draw: st.DrawFn) -> dict[str, Any]:
    """Options of a stream, all that go together."""
    options: dict[str, Any] = {
        "scale": draw(st.sampled_from([3.0, 15.0, 40.0, "5+30"])),
        "arrivals": draw(st.sampled_from(["exponential", "fixed", "back-to-back"])),
        "queue_cap": draw(st.integers(1, 5)),
        "prefill": draw(st.booleans()),
        "horizon": draw(st.integers(1, 150)),
        "warmup": draw(st.integers(0, 30)),
        "memory": draw(st.sampled_from(["direct", "direct", "shared"])),
    }
    if options["memory"] == "direct":
        options["release"] = draw(st.sampled_from(["finished", "assigned"]))
    return options | draw(common_options(options["memory"] == "direct"))


@st.composite
def common_options(draw: st.DrawFn, contended: bool = True) -> dict[str, Any]:
    """Options of both ids."""
    options: dict[str, Any] = {
        "mode": draw(st.sampled_from(["pairs", "order"])),
        "insertion": draw(st.booleans()),
        "noise": draw(st.sampled_from([0.0, 0.4, "0+0.8"])),
        "dvfs": draw(st.sampled_from(["performance", "powersave", 1])),
        "objective": draw(st.sampled_from(["latency", "makespan", "energy", "edp"])),
        "overhead_call": draw(st.sampled_from([0.0, 0.0, 0.7, 2.0])),
        "overhead_task": draw(st.sampled_from([0.0, 0.0, 1.3])),
        "reward_scale": draw(st.sampled_from(["instance", "none"])),
    }
    if draw(st.booleans()):
        options["mtbf"], options["mttr"] = draw(st.sampled_from([10.0, 60.0])), draw(st.sampled_from([1.0, 15.0]))
    if contended:
        options["contention"] = draw(st.sampled_from(["none", "none", "link", "bus"]))
    return options


def test_a_transfer_whose_producer_has_just_finished_is_expected_before_it_is_asked_for():
    options = {"scale": 3.0, "queue_cap": 4, "prefill": True, "release": "assigned", "insertion": True}
    play_twins(random_instance(1), 1, horizon=65, noise=0.4, contention="link", **options)


@pytest.mark.parametrize("contention", ["none", "link"])
def test_a_schedule_says_when_data_was_ready_also_of_the_last_that_were_told_of(contention: str):
    instance = soc_graphs.instance([[0]], [])
    engine = play_twins(instance, 0, static=True, overhead_call=0.7, contention=contention)
    assert engine.schedule(0).tasks.tolist() == [[0, 0, 0, 1, 0, 1, 1]]
    # The horizon comes before anything is told of.
    play_twins(random_instance(1), 0, scale=3.0, horizon=4, prefill=True, overhead_call=9.0, contention=contention)


SEEDS = st.integers(0, 2**31)


def either_instance(seed: int) -> Any:
    """A small instance by either of two makers."""
    if seed % 2:
        return random_instance(seed)
    random = np.random.default_rng(seed)
    tasks, pes, jobs = (int(x) for x in random.integers([1, 1, 1], [7, 5, 4]))
    return soc_graphs.random_instance(random, tasks, pes, jobs=jobs, arrivals=12)


def _stream(seed: int, options: dict[str, Any]) -> None:
    play_twins(either_instance(seed), seed % 1000, **options)


def _plan(seed: int, options: dict[str, Any]) -> None:
    play_twins(either_instance(seed), seed % 1000, static=True, **options)


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
MANY = settings(max_examples=1500, deadline=None, suppress_health_check=SLOW, print_blob=True)
FEW = settings(MANY, max_examples=25)


@FEW
@given(SEEDS, stream_options())
def test_small_streams_of_any_options(seed: int, options: dict[str, Any]):
    _stream(seed, options)


@FEW
@given(SEEDS, common_options())
def test_small_plans_of_any_options(seed: int, options: dict[str, Any]):
    _plan(seed, options)


@pytest.mark.slow
@MANY
@given(SEEDS, stream_options())
def test_many_small_streams_of_any_options(seed: int, options: dict[str, Any]):
    _stream(seed, options)


@pytest.mark.slow
@MANY
@given(SEEDS, common_options())
def test_many_small_plans_of_any_options(seed: int, options: dict[str, Any]):
    _plan(seed, options)
