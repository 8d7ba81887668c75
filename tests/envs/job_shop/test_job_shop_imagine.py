"""Planning on imagined worlds: nothing of the true future is in them, and their future is that of fresh worlds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.core.random import TYPICAL
from makespan.envs.job_shop import state as d
from support.job_shop import engine_for, machine_rows, play, random_actions, rules, shop, shops, visible
from support.plain_shop import lengths_of

MODEST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
LAWS = {
    "bernoulli": {"law": "bernoulli", "p": 0.03},
    "exponential": {"law": "exponential", "mtbf": 33.0, "mttr": 12.0},
}
# Machine 0 works for long; machine 1 gives a decision at 7; job 2 waits for machine 2, so that WAIT is a choice.
HISTORY = shop([[100_000], [7], [5]], [[0], [1], [2]], name="history")
KEYS = np.arange(4000, dtype=np.uint64)


def law_numbers(law):
    return {"p": 0.0, "mtbf": 0.0, "mttr": 0.0, **{key: v for key, v in LAWS[law].items() if key != "law"}}


def seeds_where(law, condition, count):
    """Seeds whose first up and down lengths of the machines 0, 1, 2 satisfy a condition."""
    numbers, found = law_numbers(law), []
    for seed in range(10**6):
        if condition([lengths_of(law, seed, machine, 0, **numbers) for machine in range(3)]):
            found.append(seed)
            if len(found) == count:
                return found
    raise AssertionError("no such seeds")


def after_seven(law, seed, **options):
    """The shop of HISTORY at time 7, jobs 0 and 1 begun."""
    engine = engine_for(HISTORY, 1, seed, epoch_on_breakdown=True, **LAWS[law], **options)
    for action in (0, 1, 3):
        engine.step([action])
    return engine


@MODEST
@given(shops(jobs=(2, 4), machines=(2, 3), least_time=0, most_time=9, windows=True), rules(), st.integers(0, 2**62))
def test_what_is_visible_stays_and_equals_a_full_rewrite(instance, options, seed):
    """Written anew, imagined copies show the same: the incremental writer against the full one."""
    engine = engine_for(instance, 3, seed, **options)
    rng = np.random.default_rng(seed)
    while engine.is_running().any():
        imagined = engine.imagine([2, 0, 1, 0], rng.integers(0, 2**62, 4))
        for rewritten in (False, True):
            if rewritten:
                imagined._write_all()
            for mine, theirs in enumerate([2, 0, 1, 0]):
                assert visible(imagined, mine) == visible(engine, theirs)
                assert imagined.metrics(mine) == engine.metrics(theirs)
        engine.step(random_actions(rng, engine.masks))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("repair_visible", [True, False])
@pytest.mark.parametrize("clock", ["calendar", "busy"])
def test_in_a_typical_world_no_machine_that_is_up_breaks_down(law, repair_visible, clock):
    times = [[20, 30, 25], [30, 20, 15], [25, 25, 20], [10, 40, 30], [35, 5, 10], [15, 25, 35]]
    routes = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0]]
    engine = engine_for(
        shop(times, routes, name="typical"), 1, 3, repair_visible=repair_visible, clock=clock, **LAWS[law]
    )
    rng = np.random.default_rng(0)
    seen = 0
    while engine.is_running().any():
        typical = engine.imagine([0, 0], np.full(2, TYPICAL))
        down = typical.state.window[:, :, d.UP] == 0
        seen += int(down[0].sum())
        begun = typical.state.window[:, :, d.WINDOW].copy()
        while typical.is_running().any():
            typical.step(random_actions(np.random.default_rng(1), typical.masks))
        # Those that were down have been mended at most once; nobody else has gone down.
        assert (typical.state.window[:, :, d.WINDOW] - begun <= down).all()
        engine.step(random_actions(rng, engine.masks))
    assert seen > 0


@MODEST
@given(shops(jobs=(2, 4), machines=(2, 3), windows=True), rules(), st.integers(0, 2**62))
def test_an_imagined_world_is_a_function_of_its_key(instance, options, seed):
    engine = engine_for(instance, 2, seed, **options)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        engine.step(random_actions(rng, engine.masks), check=False)
    worlds = [engine.imagine([0, 0, 1], [5, 5, 5]), engine.imagine([0], [5])]
    before = engine.snapshot()
    for world in worlds:
        while world.is_running()[0]:
            world.step(np.full(world.num_copies, world.masks[0].argmax()), check=False)
    assert visible(worlds[0], 0) == visible(worlds[0], 1) == visible(worlds[1], 0)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, engine.snapshot().arrays, strict=True))


@pytest.mark.parametrize("law", LAWS)
def test_nothing_of_the_hidden_seed_is_left(law):
    """Two seeds, the same past: the same keys imagine the same futures."""
    seeds = seeds_where(law, lambda lengths: all(up > 12 for up, _ in lengths), 2)
    engines = [after_seven(law, seed) for seed in seeds]
    assert visible(engines[0]) == visible(engines[1])
    assert_same_futures(engines)


@pytest.mark.parametrize("law", LAWS)
def test_nothing_of_a_hidden_repair_is_left(law):
    """Two seeds with one breakdown at 4 of different lengths, the length unannounced: the same futures."""

    def condition(lengths):
        (up, down), *others = lengths
        return up == 4 and down > 9 and all(u > 12 for u, _ in others)

    numbers = law_numbers(law)
    seeds = seeds_where(law, condition, 6)
    assert len({lengths_of(law, seed, 0, 0, **numbers)[1] for seed in seeds}) > 1
    engines = []
    for seed in seeds:
        engine = engine_for(HISTORY, 1, seed, epoch_on_breakdown=True, repair_visible=False, **LAWS[law])
        for action in (0, 1, 3, 3):
            engine.step([action])
        assert engine.metrics(0)["time"] == 7
        engines.append(engine)
    assert len({visible(engine) for engine in engines}) == 1
    assert_same_futures(engines)


@pytest.mark.parametrize("visible_repair", [False, True])
def test_nothing_of_unannounced_windows_is_left(visible_repair):
    """There is no law to draw them from: imagined worlds have none but the present one."""
    engines = []
    for first_end, later in ((30, [(50, 60)]), (30 if visible_repair else 45, [])):
        windows = [[(4, first_end), *later], [], [(9, 12)] if later else []]
        times, routes = HISTORY.times.tolist(), HISTORY.machines.tolist()
        instance = shop(times, routes, windows, num_machines=3)
        engine = engine_for(instance, known_windows=False, repair_visible=visible_repair, law="windows")
        for action in (0, 1, 3):
            engine.step([action])
        assert engine.metrics(0)["time"] == 7
        engines.append(engine)
    assert visible(engines[0]) == visible(engines[1])
    assert_same_futures(engines)
    imagined = engines[0].imagine([0], [1])
    imagined.step([2])
    imagined.step([3]) if imagined.masks[0, 3] else None
    end = 30 if visible_repair else 7 + 3
    assert imagined.objectives()[0] == 100_000 + end - 4


def test_nothing_is_left_of_a_breakdown_that_has_no_date_to_announce_yet():
    """Busy clock, breakdowns announced: before a machine has processed there is nothing to announce."""
    instance = shop([[50, 9], [50, 9], [30, 9]], [[0, 1], [1, 0], [0, 1]])
    options = {"law": "exponential", "mtbf": 20.0, "clock": "busy", "known_windows": True}
    engines = [engine_for(instance, 1, seed, **options) for seed in (1, 2)]
    assert visible(engines[0]) == visible(engines[1])
    assert_same_futures(engines)


def assert_same_futures(engines):
    rows = np.zeros(50, dtype=int)
    worlds = [engine.imagine(rows, KEYS[:50]) for engine in engines]
    rng = np.random.default_rng(0)
    for _ in range(40):
        assert len({world.block.memory.tobytes() for world in worlds}) == 1
        assert len({world.objectives().tobytes() for world in worlds}) == 1
        actions = random_actions(rng, worlds[0].masks, wait=0.8)
        for world in worlds:
            world.step(actions, check=False)


def test_announced_windows_are_kept():
    windows = [[(9, 20)], [(30, 40)], []]
    instance = shop([[10], [7], [5]], [[0], [1], [2]], windows)
    engine = engine_for(instance, known_windows=True)
    engine.step([0])
    imagined = engine.imagine([0, 0], [1, 2])
    assert visible(imagined, 0) == visible(engine)
    imagined.step([3, 3])
    imagined.step([1, 1])
    assert imagined.objectives().tolist() == [engine_after(engine, (3, 1))] * 2


def engine_after(engine, actions):
    for action in actions:
        engine.step([action])
    return int(engine.objectives()[0])


def long_operation(time):
    """Classical: job 0 works on machine 0; job 1 rejoins the queue of machine 1 at 7, which is a decision."""
    return shop([[time], [7, 1]], [[0], [1, 1]], name="long operation")


def at_seven(time, law, copies, seed, **options):
    """The shop of `long_operation` at 7, unless something was disturbed before."""
    engine = engine_for(long_operation(time), copies, seed, blocking="none", **LAWS[law], **options)
    for action in (0, 1):
        engine.step(np.full(copies, action), check=False)
    return engine


def ends_of(engine):
    """Makespans after job 1 goes on: its second operation cannot be cut, so they are the completions of job 0."""
    engine.step(np.ones(engine.num_copies, dtype=int), check=False)
    return engine.objectives()


@pytest.mark.parametrize("law", LAWS)
def test_an_announced_breakdown_is_kept_and_the_later_ones_are_drawn_anew(law):
    """Job 0 is cut with 1 left, or with 500 left: only then there is room for another breakdown."""
    (seed,) = seeds_where(law, lambda rows: 8 < rows[0][0] < 40 and rows[1][0] > 8, 1)
    up, down = lengths_of(law, seed, 0, 0, **law_numbers(law))
    ends = {}
    for left in (1, 500):
        engine = at_seven(up + left, law, 1, seed, known_windows=True)
        assert round(machine_rows(engine)[0]["time_to_known_window"]) == up - 7
        ends[left] = ends_of(engine.imagine(np.zeros(50, dtype=int), KEYS[:50]))
    assert set(ends[1].tolist()) == {up + down + 1}
    assert len(set(ends[500].tolist())) > 40


@pytest.mark.parametrize("clock", ["calendar", "busy"])
@pytest.mark.parametrize("law", LAWS)
def test_the_time_to_the_next_breakdown_is_that_of_fresh_worlds(law, clock):
    """Machine 0 is up at 7 after no breakdown: both laws have no memory, so that the up time starts anew.

    Job 0 needs x more units; it ends at 7 + x unless a breakdown comes before. The share of 4 000 imagined worlds in
    which it does, against the law and against fresh worlds with the same history, within five standard errors.
    """
    (seed,) = seeds_where(law, lambda rows: rows[0][0] > 12 and rows[1][0] > 12, 1)
    stay = 1 - 0.03 if law == "bernoulli" else np.exp(-1 / 33.0)
    for x in (2, 6, 16, 41, 101):
        engine = at_seven(7 + x, law, 1, seed, clock=clock)
        assert engine.metrics(0)["time"] == 7
        ends = ends_of(engine.imagine(np.zeros(len(KEYS), dtype=int), KEYS))
        share = stay ** (x - 1)
        error = np.sqrt(share * (1 - share) / len(KEYS))
        assert abs((ends == 7 + x).mean() - share) < 5 * error
        fresh = at_seven(7 + x, law, 3000, 10**6, clock=clock)
        same = [copy for copy in range(3000) if visible(fresh, copy) == visible(engine)]
        assert len(same) > 1000
        assert abs((ends_of(fresh)[same] == 7 + x).mean() - share) < 5 * np.sqrt(share * (1 - share) / len(same))


@pytest.mark.parametrize("law", LAWS)
def test_the_next_repair_lasts_as_in_fresh_worlds(law):
    """Job 0 needs 2 more units at 7: a breakdown at 8 delays it by just the repair."""
    (seed,) = seeds_where(law, lambda rows: rows[0][0] > 12 and rows[1][0] > 12, 1)
    keys = np.arange(40_000, dtype=np.uint64)
    ends = ends_of(at_seven(9, law, 1, seed).imagine(np.zeros(len(keys), dtype=int), keys))
    repairs = ends[ends > 9] - 9
    assert len(repairs) > 800
    mean = 30.0 if law == "bernoulli" else 1 / (1 - np.exp(-1 / 12.0))
    assert abs(repairs.mean() - mean) < 5 * repairs.std() / np.sqrt(len(repairs))
    assert repairs.min() == (10 if law == "bernoulli" else 1)


@pytest.mark.parametrize("law", LAWS)
def test_a_hidden_repair_lasts_as_in_fresh_worlds(law):
    """Machine 0 went down at 4 with 1 unit of job 0 left; its repair is unannounced and goes on at 7."""
    (seed,) = seeds_where(law, lambda rows: rows[0][0] == 4 and rows[0][1] > 9 and rows[1][0] > 12, 1)
    engine = at_seven(5, law, 1, seed, repair_visible=False)
    assert engine.metrics(0)["time"] == 7
    assert machine_rows(engine)[0]["up"] == 0
    repairs = ends_of(engine.imagine(np.zeros(len(KEYS), dtype=int), KEYS)) - 5
    if law == "bernoulli":  # uniform on 10 .. 50, whatever has passed
        assert (repairs.min(), repairs.max()) == (10, 50)
        cases = {x: (x - 9) / 41 for x in (15, 30, 45)}
    else:  # longer than 3, and from there on without memory
        assert repairs.min() == 4
        cases = {3 + x: 1 - np.exp(-x / 12.0) for x in (1, 5, 12, 30)}
    for x, share in cases.items():
        assert abs((repairs <= x).mean() - share) < 5 * np.sqrt(share * (1 - share) / len(KEYS))


def test_two_arms():
    """A planner that looks one step ahead in many imagined worlds takes the better mean, not the true world's luck.

    Two jobs want machine 0 first. The one with the long tail should go first on average; where the true machine breaks
    down during its operation, which then starts over, the other order is better in hindsight.
    """
    instance = shop([[25, 30], [12, 3]], [[0, 1], [0, 1]])
    options = {"law": "bernoulli", "p": 0.02, "blocking": "none", "on_breakdown": "repeat"}
    chosen, truly_better = [], []
    for seed in range(16):
        engine = engine_for(instance, 1, seed, **options)
        keys = np.arange(200, dtype=np.uint64)
        means = []
        for action in (0, 1):
            world = engine.imagine(np.zeros(200, dtype=int), keys)
            world.step(np.full(200, action))
            play(world, lambda masks: masks.argmax(axis=1))
            means.append(world.objectives().mean())
        chosen.append(int(np.argmin(means)))
        ends = []
        for action in (0, 1):
            engine.reset([seed])
            engine.step([action])
            play(engine, lambda masks: masks.argmax(axis=1))
            ends.append(int(engine.objectives()[0]))
        truly_better.append(int(ends[1] < ends[0]))
    assert chosen == [0] * 16
    assert sum(truly_better) > 0, "in some of the worlds luck must favour the other arm"


def test_imagined_copies_share_no_memory_with_the_true_ones():
    engine = engine_for(HISTORY, 2, law="bernoulli", p=0.1)
    imagined = engine.imagine([1], [9])
    before = engine.block.memory.copy()
    imagined.step([0])
    assert np.array_equal(engine.block.memory, before)
    with pytest.raises(ValueError, match="record=True"):
        imagined.schedule(0)
