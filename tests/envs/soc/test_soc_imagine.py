"""Planning on imagined worlds: nothing of the true future is in them, and their future is that of fresh worlds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, EngineArena, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.engine import BatchEngine
from makespan.envs.core.random import TYPICAL
from makespan.envs.soc import state as d
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import make_static, make_stream
from numpy.typing import NDArray
from support import soc_graphs
from support.soc_reference import random_instance
from support.trajectories import pick

KEYS = np.arange(4000, dtype=np.uint64)
FRESH = 20_000
ONE_TASK = soc_graphs.instance([[20, 20, 20]], [])
EVERYTHING: dict[str, Any] = {"scale": 12.0, "queue_cap": 4, "noise": "0.3+0.6", "mtbf": 40.0, "mttr": 9.0}


def first_legal(engine: BatchEngine) -> NDArray[np.int64]:
    return engine.masks.argmax(axis=1)


def play_on(engine: BatchEngine) -> BatchEngine:
    """Play to the end by first legal actions."""
    while engine.is_running().any():
        engine.step(first_legal(engine), check=False)
    return engine


def shares(values: NDArray[np.int64], bounds: tuple[int, ...]) -> NDArray[np.float64]:
    return np.array([(values <= x).mean() for x in bounds])


def assert_alike(one: NDArray[np.int64], other: NDArray[np.int64], bounds: tuple[int, ...]) -> None:
    """Two samples whose shares below some bounds differ by no more than five standard errors."""
    assert min(len(one), len(other)) > 50
    a, b = shares(one, bounds), shares(other, bounds)
    mean = (a * len(one) + b * len(other)) / (len(one) + len(other))
    error = np.sqrt(mean * (1 - mean) * (1 / len(one) + 1 / len(other)))
    assert (abs(a - b) < 5 * error + 1e-3).all(), (a, b)


def imagined_of(engine: SocEngine, copies: NDArray[np.int64]) -> BatchEngine:
    """Worlds as the first of some copies of one history imagines them."""
    return engine.imagine(np.full(len(KEYS), copies[0]), KEYS)


# --- laws -------------------------------------------------------------------------------------------------------------


def test_the_next_arrival_is_that_of_fresh_worlds():
    """A job came, its first task took 7, and nothing has come since: the rest of the gap is memoryless."""
    instance = soc_graphs.instance([[7], [100_000]], [(0, 1, 0)])
    engine = make_stream(FRESH, instance, scale=5.0, queue_cap=3, window=3, imagined="horizon")
    engine.reset(np.arange(FRESH))
    born = engine.state.clock[:, d.TIME].copy()
    engine.step(first_legal(engine))
    clock = engine.state.clock
    same = np.flatnonzero((clock[:, d.TIME] == born + 7) & (clock[:, d.GENERATED] == 1))
    fresh = (clock[:, d.NEXT_ARRIVAL] - clock[:, d.TIME])[same]
    world = imagined_of(engine, same).state.clock
    found = world[:, d.NEXT_ARRIVAL] - world[:, d.TIME]
    assert_alike(found, fresh, (1, 2, 5, 12))
    np.testing.assert_allclose(shares(found, (1, 5)), 1 - np.exp(-np.array([1, 5]) / 5.0), atol=0.04)


Condition = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
PE_HISTORIES: dict[str, Condition] = {
    "up from the start": lambda pe: (pe[:, d.UP] == 1) & (pe[:, d.WINDOW] == 0),
    "mended before": lambda pe: (pe[:, d.UP] == 1) & (pe[:, d.WINDOW] == 1) & (pe[:, d.SINCE] < 40),
    "mended now": lambda pe: (pe[:, d.UP] == 1) & (pe[:, d.SINCE] == 40),
    "down": lambda pe: (pe[:, d.UP] == 0) & (pe[:, d.SINCE] < 40),
    "down from now": lambda pe: (pe[:, d.UP] == 0) & (pe[:, d.SINCE] == 40),
}


@pytest.mark.parametrize("history", PE_HISTORIES)
def test_breakdowns_and_repairs_are_those_of_fresh_worlds(history: str):
    """PE 2 stands idle until the second decision, at 40."""
    engine = make_stream(FRESH, ONE_TASK, scale=20.0, arrivals="fixed", mtbf=9.0, mttr=6.0, queue_cap=2, window=2)
    engine.reset(np.arange(FRESH))
    engine.step(first_legal(engine))
    assert (engine.state.clock[:, d.TIME] == 40).all()
    pe = engine.state.pe[:, 2]
    same = np.flatnonzero(PE_HISTORIES[history](pe))
    found = imagined_of(engine, same).state.pe[:, 2, d.CHANGE] - 40
    assert_alike(found, pe[same, d.CHANGE] - 40, (1, 2, 4, 9, 20))


@pytest.mark.parametrize("passed", [5, 20, 30, 45])
def test_a_running_task_ends_as_in_fresh_worlds(passed: int):
    """One that has run for longer than its mean too."""
    options: dict[str, Any] = {"scale": float(passed), "arrivals": "fixed", "noise": 0.5, "imagined": "horizon"}
    engine = make_stream(FRESH, ONE_TASK, queue_cap=3, window=3, horizon=400, **options)
    engine.reset(np.arange(FRESH))
    engine.step(first_legal(engine))
    state = engine.state
    assert (state.clock[:, d.TIME] == 2 * passed).all()
    same = np.flatnonzero(state.pe[:, 0, d.RUNS] >= 0)
    imagined = imagined_of(engine, same)
    found, fresh = (e.state.pe[:, 0, d.TRUE_END] - 2 * passed for e in (imagined, engine))
    assert found.min() > 0
    assert_alike(found, fresh[same], (1, 2, 3, 6, 10, 20))
    play_on(engine)
    play_on(imagined)
    one, other = imagined.objectives(), engine.objectives()[same]
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    assert abs(one.mean() - other.mean()) < 5 * error


def test_what_a_task_still_takes_counts_from_what_it_has_been_worked_on():
    """PE 0 works from 20 on and is down now and then: at 60 the imagined rest of its task is that of its work."""
    instance = soc_graphs.instance([[60, 60]], [])
    engine = make_stream(
        FRESH, instance, scale=20.0, arrivals="fixed", noise=0.2, mtbf=25.0, mttr=8.0, queue_cap=4, window=4
    )
    engine.reset(np.arange(FRESH))
    for _ in range(2):
        engine.step(first_legal(engine))
    state = engine.state
    assert (state.clock[:, d.TIME] == 60).all()
    on_zero = (state.pe[:, 0, d.RUNS] == 0) & (state.task[:, 0, d.START] == 20)
    history = state.task[:, 0, d.PAUSED] + 1000 * state.pe[:, 0, d.UP] + 10_000 * state.pe[:, 0, d.SINCE]
    history[~on_zero] = -1
    kinds, counts = np.unique(history[on_zero & (state.task[:, 0, d.PAUSED] > 5)], return_counts=True)
    same = np.flatnonzero(history == kinds[counts.argmax()])
    world = imagined_of(engine, same).state
    fresh = state.pe[same, 0, d.TRUE_END]
    assert len(same) > 20
    for values in (world.pe[:, 0, d.TRUE_END], fresh):
        assert values.min() > 60
    error = np.sqrt(fresh.var() / len(fresh))
    assert abs(world.pe[:, 0, d.TRUE_END].mean() - fresh.mean()) < 5 * error


# --- nothing of the seed ----------------------------------------------------------------------------------------------


def hidden_twins(options: dict[str, Any]) -> tuple[SocEngine, NDArray[np.int64]]:
    """An engine some of whose copies, of different seeds, have the same past, and those copies."""
    engine = make_stream(4000, ONE_TASK, window=3, queue_cap=3, imagined="horizon", **options)
    engine.reset(np.arange(4000))
    for _ in range(2):
        engine.step(first_legal(engine), check=False)
    seen: dict[bytes, list[int]] = {}
    pe, task = engine.state.pe.copy(), engine.state.task
    pe[:, :, [d.CHANGE, d.TRUE_END]] = 0
    clock = engine.state.clock.copy()
    clock[:, [d.SEED, d.NEXT_ARRIVAL]] = 0
    for copy in np.flatnonzero(engine.is_running()):
        past = b"".join(array[copy].tobytes() for array in (engine.block.memory, clock, pe, task))
        seen.setdefault(past, []).append(int(copy))
    return engine, np.array(max(seen.values(), key=len))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 3.0},
        {"scale": 30.0, "arrivals": "fixed", "noise": 0.4},
        {"scale": 15.0, "arrivals": "fixed", "noise": 0.4, "mtbf": 60.0, "mttr": 9.0},
        {"scale": 2.0, "noise": 0.05, "mtbf": 60.0, "mttr": 9.0},
    ],
    ids=str,
)
def test_nothing_of_the_hidden_seed_is_left(options: dict[str, Any]):
    engine, same = hidden_twins(options)
    assert len(same) > 3
    for key in (3, 4, TYPICAL):
        world = engine.imagine(same, np.full(len(same), key, dtype=np.uint64))
        for _ in range(30):
            for name, array in world.state._asdict().items():
                assert (array == array[:1]).all(), name
            assert (world.block.memory == world.block.memory[:1]).all()
            world.step(first_legal(world), check=False)


@pytest.mark.parametrize("agent", ["rollout:of=min-min+met:worlds=4", "rollout:of=heft:worlds=2"])
def test_a_plan_does_not_depend_on_the_hidden_future(agent: str):
    """The first decision of worlds that only differ in what is to come."""
    instance = soc_graphs.random_instance(np.random.default_rng(2), 6, 3)  # one application: all begin alike
    options = {"instance": instance, "prefill": True, "queue_cap": 3, "horizon": 120, **EVERYTHING, "noise": 0.6}
    chosen: dict[bytes, list[int]] = {}
    for seed in range(8):
        arena = open_arena("makespan/SocDag-v0", 1, options)
        player = make_agent(agent, arena.setting)
        arena.reset([Case(None, seed)])
        assert isinstance(arena, EngineArena)
        player.begin(np.arange(1), [None], np.array([9], dtype=np.uint64), arena.imagine())
        action = int(player.act(arena.observation(), arena.masks())[0])
        chosen.setdefault(arena.engine.block.memory.tobytes(), []).append(action)
    alike = max(chosen.values(), key=len)
    assert len(alike) > 4
    assert len(set(alike)) == 1


def test_an_imagined_world_is_a_function_of_its_key_and_leaves_the_true_one_alone():
    engine = make_stream(2, random_instance(5), horizon=150, **EVERYTHING)
    engine.reset([1, 2])
    for step in range(4):
        engine.step([pick(1, step, mask) for mask in engine.masks])
    before = engine.snapshot()
    worlds = [engine.imagine([0, 0, 1, 0], [5, 5, 5, 6]), engine.imagine([0], [5])]
    for world in worlds:
        play_on(world)
    assert worlds[0].metrics(0) == worlds[0].metrics(1) == worlds[1].metrics(0) != worlds[0].metrics(3)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, engine.snapshot().arrays, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_visible_stays_and_equals_a_full_rewrite(seed: int):
    engine = make_stream(3, random_instance(seed), horizon=100, imagined=20, insertion=seed % 2, **EVERYTHING)
    engine.reset(np.arange(3))
    step = 0
    while engine.is_running().all():
        world = engine.imagine([2, 0, 1], [step, step, step])
        for rewritten in (False, True):
            if rewritten:
                world._write_all()
            for mine, theirs in enumerate([2, 0, 1]):
                row, other = world.block.row(mine), engine.block.row(theirs)
                assert all(np.array_equal(row[key], other[key]) for key in row)
        engine.step([pick(7, step, mask) for mask in engine.masks])
        step += 1
    assert step > 3


# --- typical worlds, and how far imagination goes ---------------------------------------------------------------------


def test_in_a_typical_world_nothing_unforeseen_happens():
    engine = make_stream(2, random_instance(5), horizon=400, imagined="horizon", **EVERYTHING)
    engine.reset([1, 2])
    for step in range(6):
        engine.step([pick(1, step, mask) for mask in engine.masks])
    typical = engine.imagine([0, 0, 1], np.full(3, TYPICAL))
    down = (typical.state.pe[:, :, d.UP] == 0).copy()
    begun = typical.state.pe[:, :, d.WINDOW].copy()
    queued = typical.state.task[0, :, d.PHASE] == d.ASSIGNED
    slot = int(np.flatnonzero(queued)[0]) if queued.any() else -1
    born = typical.state.clock[:, d.NEXT_ARRIVAL] - typical.state.clock[:, d.TIME]
    assert born.tolist() == [12, 12, 12]
    play_on(typical)
    assert (typical.state.pe[:, :, d.WINDOW] - begun <= down).all()
    assert typical.metrics(0) == typical.metrics(1)
    assert slot < typical.state.task.shape[1]


def test_in_a_typical_world_tasks_take_their_mean():
    engine = make_static(1, "topcuoglu", noise=0.5, window=8)
    engine.reset([4])
    typical = engine.imagine([0], [TYPICAL])
    sure = make_static(1, "topcuoglu", window=8)
    sure.reset([4])
    step = 0
    while engine.is_running()[0]:
        action = pick(3, step, engine.masks[0])
        for one in (engine, typical, sure):
            one.step([action])
        step += 1
    assert typical.objectives() == sure.objectives() != engine.objectives()


@pytest.mark.parametrize("imagined, expected", [("horizon", 500), (50, 50), (10_000, 500)])
def test_imagined_worlds_end_at_their_horizon(imagined: str | int, expected: int):
    engine = make_stream(1, ONE_TASK, scale=40.0, horizon=500, imagined=imagined)
    engine.reset([0])
    now = int(engine.state.clock[0, d.TIME])
    world = engine.imagine([0], [1])
    play_on(world)
    assert world.state.clock[0, d.TIME] == (expected if expected == 500 else now + expected)
    play_on(engine)
    assert engine.state.clock[0, d.TIME] == 500


def test_by_default_nothing_more_arrives_and_imagined_worlds_end_with_the_last_job():
    engine = make_stream(1, ONE_TASK, scale=10.0, horizon=500, noise=0.3)
    engine.reset([0])
    for _ in range(5):
        engine.step(first_legal(engine))
    world = engine.imagine([0, 0], [1, 2])
    generated, cost = engine.metrics(0)["generated"], engine.metrics(0)["latency_sum"]
    play_on(world)
    for copy in range(2):
        found = world.metrics(copy)
        assert found["generated"] == found["completed"] == generated
        assert found["latency_sum"] > cost
    play_on(engine)
    assert engine.metrics(0)["generated"] > generated


# --- the same world for all who play ----------------------------------------------------------------------------------


def schedules(options: dict[str, Any], agents: tuple[str, ...]) -> list[Any]:
    found = []
    for name in agents:
        arena = open_arena("makespan/SocDag-v0", 1, options)
        (episode,) = play(arena, make_agent(name, arena.setting), [Case(None, 5)])
        found.append(episode.schedule)
    return found


def test_all_meet_the_same_arrivals_noise_and_downtime():
    """Where the cap does not bind. All PEs take the same time, so that lengths can be compared."""
    rng = np.random.default_rng(1)
    times = np.repeat(rng.integers(5, 40, size=(6, 1)), 3, axis=1).tolist()
    instance = soc_graphs.instance(times, [(0, 2, 9), (1, 2, 4), (2, 5, 30), (3, 4, 7)])
    options = {
        "instance": instance, "scale": 50.0, "queue_cap": 40, "horizon": 900, "noise": 0.5, "mtbf": 200.0, "mttr": 20.0,
    }  # fmt: skip
    first, *others = schedules(options, ("min-min", "random", "met", "max-min"))
    pauses = {tuple(row) for row in first.downtimes.tolist()}
    orders = {tuple(map(tuple, one.tasks[:, :4].tolist())) for one in (first, *others)}
    assert len(orders) > 1, "they play differently"
    for one in others:
        assert one.jobs[:, :2].tolist() == first.jobs[:, :2].tolist()
        assert {tuple(row) for row in one.downtimes.tolist()} == pauses
    # A task that meets no downtime takes the same time for all.
    lengths: dict[tuple[int, int], set[int]] = {}
    for one in (first, *others):
        for job, task, pe, _, _, start, finish in one.tasks.tolist():
            if finish >= 0 and not any(p == pe and begin < finish and end > start for p, begin, end in pauses):
                lengths.setdefault((job, task), set()).add(finish - start)
    assert len(lengths) > 50
    assert all(len(found) == 1 for found in lengths.values())
