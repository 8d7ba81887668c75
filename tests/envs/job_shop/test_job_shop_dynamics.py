"""The engine against a slow plain shop that ticks through time, and the order of events by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.schedule import validate
from support.job_shop import (
    MODES,
    engine_for,
    follow,
    play,
    play_script,
    random_actions,
    rules,
    shop,
    shops,
    starts,
)
from support.plain_shop import PlainShop

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**62)


def assert_same(engine, plain):
    metrics = engine.metrics(0)
    assert (metrics["status"], metrics["time"], engine.masks[0].tolist(), int(engine.objectives()[0])) == (
        plain.status,
        plain.time,
        plain.mask(),
        plain.objective(),
    )


def play_both(instance, options, seed, actions):
    """Play the same random actions in both; they must agree at every decision and in the schedule."""
    engine, plain = engine_for(instance, 1, seed, record=True, **options), PlainShop(instance, seed, **options)
    rng = np.random.default_rng(actions)
    assert_same(engine, plain)
    while engine.is_running()[0]:
        action = int(random_actions(rng, engine.masks)[0])
        engine.step([action])
        plain.step(action)
        assert_same(engine, plain)
    schedule = engine.schedule(0)
    assert validate(schedule) == []
    assert schedule.lost.tolist() == plain.lost
    assert [list(machine) for machine in schedule.downtime] == plain.downtime
    for j, job in enumerate(plain.jobs):
        assert schedule.start[j, : len(job.starts)].tolist() == job.starts
        assert schedule.completion[j, : len(job.ends)].tolist() == job.ends
    return engine


@SETTINGS
@given(shops(jobs=(1, 4), machines=(1, 4), least_time=0, most_time=7, windows=True), rules(), SEEDS, SEEDS)
def test_the_engine_plays_as_the_plain_shop_does(instance, options, seed, actions):
    play_both(instance, options, seed, actions)


@pytest.mark.slow
@settings(SETTINGS, max_examples=3000)
@given(shops(jobs=(1, 5), machines=(1, 5), least_time=0, most_time=9, windows=True), rules(), SEEDS, SEEDS)
def test_the_engine_plays_as_the_plain_shop_does_very_often(instance, options, seed, actions):
    play_both(instance, options, seed, actions)


@SETTINGS
@given(shops(jobs=(2, 4), machines=(2, 4), least_time=0), st.sampled_from(MODES), st.booleans(), SEEDS)
def test_without_breakdowns_a_finished_episode_takes_no_longer_than_the_total_work(instance, blocking, wait, seed):
    engine = engine_for(instance, 8, blocking=blocking, allow_wait=wait)
    rng = np.random.default_rng(seed)
    play(engine, lambda masks: random_actions(rng, masks))
    for copy in range(8):
        metrics = engine.metrics(copy)
        schedule = engine.schedule(copy)
        assert validate(schedule) == []
        if metrics["finished"]:
            assert schedule.makespan == engine.objectives()[copy] == metrics["time"] <= instance.times.sum()
            if not wait:
                assert_never_idle(schedule)


def assert_never_idle(schedule):
    """Some operation is processed at every time before the makespan."""
    busy = np.zeros(schedule.makespan, dtype=bool)
    for start, end in zip(schedule.start.ravel(), schedule.completion.ravel(), strict=True):
        busy[max(start, 0) : max(end, 0)] = True
    assert busy.all()


# --- the order of events ----------------------------------------------------------------------------------------------


def windowed(times, routes, windows, **options):
    return engine_for(shop(times, routes, windows), record=True, **options)


def test_an_operation_that_ends_as_the_machine_breaks_down_counts():
    for on_breakdown in ("resume", "repeat", "scrap"):
        engine = windowed([[3]], [[0]], [[(3, 9)]], on_breakdown=on_breakdown)
        play_script(engine, [0])
        assert engine.objectives()[0] == 3
        assert engine.metrics(0)["lost_pieces"] == 0


@pytest.mark.parametrize("on_breakdown, end", [("resume", 10), ("repeat", 13), ("scrap", 13)])
def test_an_operation_that_is_cut(on_breakdown, end):
    """Time 4 from 0; the machine is down in [3, 9)."""
    engine = windowed([[4]], [[0]], [[(3, 9)]], on_breakdown=on_breakdown)
    play_script(engine, [0])
    assert engine.metrics(0)["breakdowns"] == 1
    if on_breakdown == "scrap":
        assert engine.metrics(0) | {"time": 9, "lost_pieces": 1, "status": "running"} == engine.metrics(0)
        assert engine.masks[0].tolist() == [1, 0]
        play_script(engine, [0])
        assert engine.schedule(0).lost.tolist() == [[0, 0, 0, 0, 0, 3]]
    assert engine.objectives()[0] == end


def test_a_start_is_forbidden_when_the_window_begins_and_allowed_when_it_ends():
    # Machine 1 is down in [2, 5); job 0 comes free for it at 2; job 2 on machine 2 keeps decisions coming.
    engine = windowed([[2, 1], [9]], [[0, 1], [2]], [[], [(2, 5)], []])
    play_script(engine, [0])
    play_script(engine, [2])  # WAIT: nothing but job 1 could start before 2
    assert engine.metrics(0)["time"] == 2
    assert engine.masks[0].tolist() == [0, 1, 1]
    assert "machine 1, the next of job 0, is down" in engine.describe_illegal(0, 0)
    play_script(engine, [2])
    assert engine.metrics(0)["time"] == 5
    assert engine.masks[0].tolist() == [1, 1, 0] or engine.masks[0].tolist() == [1, 1, 1]
    play_script(engine, [0, 1])
    assert starts(engine) == [[0, 5], [5]]


def test_time_before_the_first_decision_is_paid_for():
    """The only machine is down in [0, 4): the first decision is at 4, and the rewards sum to minus the makespan."""
    engine = windowed([[3]], [[0]], [[(0, 4)]], reward_scale="none")
    assert engine.metrics(0)["time"] == 4
    outcome = engine.step([0])
    assert (outcome.reward[0], outcome.elapsed[0], outcome.terminated[0]) == (-7.0, 7.0, True)


def test_a_job_continues_at_once_on_its_machine_and_nobody_comes_between():
    for blocking in ("swap", "no-swap"):
        engine = engine_for(shop([[2, 3], [1]], [[0, 0], [0]]), blocking=blocking)
        play_script(engine, [0, 1])
        assert starts(engine) == [[0, 2], [5]]
    # The classical job rejoins the queue.
    engine = engine_for(shop([[2, 3], [1]], [[0, 0], [0]]), blocking="none")
    play_script(engine, [0])
    assert engine.masks[0].tolist() == [1, 1, 0]
    play_script(engine, [1, 0])
    assert starts(engine) == [[0, 3], [2]]


def test_a_continuation_waits_for_the_repair_of_its_machine():
    engine = windowed([[2, 3]], [[0, 0]], [[(2, 6)]])
    play_script(engine, [0])
    assert starts(engine) == [[0, 6]]
    assert engine.objectives()[0] == 9


@pytest.mark.parametrize("length", [2, 3, 4, 7])
def test_swaps_of_any_length(length):
    routes = [[j, (j + 1) % length] for j in range(length)]
    engine = engine_for(shop([[2 + j, 3] for j in range(length)], routes), blocking="swap")
    play_script(engine, range(length))
    last = length + 1
    assert starts(engine) == [[0, last]] * length
    assert engine.objectives()[0] == last + 3


def test_a_swap_needs_every_machine_up():
    """Both are blocked from 2; machine 1 is down in [1, 5): its operation is cut to 6, the swap comes then."""
    engine = windowed([[2, 1], [2, 1]], [[0, 1], [1, 0]], [[], [(2, 5)]], unload_when_down=True)
    play_script(engine, [0, 1])
    assert starts(engine) == [[0, 5], [0, 5]]


def test_a_swap_and_a_chain_at_one_instant():
    """At 2 jobs 0 and 1 swap; job 2 goes on to the empty machine 3 and job 3 follows it into machine 2."""
    times = [[2, 1], [2, 1], [2, 4], [2, 5]]
    routes = [[0, 1], [1, 0], [2, 3], [4, 2]]
    engine = engine_for(shop(times, routes), blocking="swap", allow_wait=False)
    play_script(engine, [0, 1, 2, 3])
    assert engine.metrics(0)["time"] == 2
    assert starts(engine)[:2] == [[0, 2], [0, 2]]
    assert engine.masks[0].tolist() == [0, 0, 1, 0, 0]
    play_script(engine, [2])
    assert engine.metrics(0)["time"] == 2
    assert engine.masks[0].tolist() == [0, 0, 0, 1, 0]
    play_script(engine, [3])
    assert starts(engine)[2:] == [[0, 2], [0, 2]]
    assert validate(engine.schedule(0)) == []


def test_a_move_that_completes_a_cycle_is_followed_by_the_swap_at_the_same_time():
    """Job 1's zero-time first operation makes it blocked as soon as it enters."""
    engine = engine_for(shop([[1, 1], [0, 1]], [[0, 1], [1, 0]]), blocking="swap")
    play_script(engine, [0, 1])
    assert starts(engine) == [[0, 1], [0, 1]]
    engine = engine_for(shop([[0, 1], [0, 1]], [[0, 1], [1, 0]]), blocking="swap")
    play_script(engine, [0, 1])
    assert starts(engine) == [[0, 0], [0, 0]]
    assert engine.objectives()[0] == 1


def test_zero_processing_times_end_at_once():
    for blocking in MODES:
        engine = engine_for(shop([[0, 0], [0, 0]], [[0, 1], [1, 0]]), blocking=blocking)
        play_script(engine, [0, 0, 1, 1])
        assert engine.metrics(0)["finished"]
        assert engine.objectives()[0] == 0


def test_a_locked_job_leaves_after_the_repair_only():
    routes, times, windows = [[0, 1], [2]], [[2, 3], [9]], [[(2, 6)], [], []]
    engine = windowed(times, routes, windows, unload_when_down=True)
    play_script(engine, [0, 2])
    assert engine.metrics(0)["time"] == 2
    assert engine.masks[0, 0] == 1
    engine = windowed(times, routes, windows, unload_when_down=False)
    play_script(engine, [0, 2])
    assert engine.metrics(0)["time"] == 2
    assert engine.masks[0, 0] == 0
    assert "locked in machine 0, which is down" in engine.describe_illegal(0, 0)
    follow(engine, [(0, 6), (6,)])
    assert starts(engine) == [[0, 6], [6]]


def test_the_begin_of_a_breakdown_ends_wait_where_that_is_asked_for():
    times, routes, windows = [[9], [4]], [[0], [1]], [[(3, 5)], []]
    dates = {}
    for epoch in (False, True):
        engine = windowed(times, routes, windows, epoch_on_breakdown=epoch, known_windows=False)
        play_script(engine, [0])
        dates[epoch] = []
        while engine.metrics(0)["time"] < 11:
            play_script(engine, [2])
            dates[epoch].append(engine.metrics(0)["time"])
    assert dates == {False: [5, 11], True: [3, 5, 11]}


def test_wait_is_legal_while_something_is_processed_or_repaired():
    engine = engine_for(shop([[2], [2]], [[0], [0]]))
    assert engine.masks[0].tolist() == [1, 1, 0]
    engine = engine_for(shop([[2], [2]], [[0], [1]]))
    play_script(engine, [0])
    assert engine.masks[0].tolist() == [0, 1, 1]
    engine = engine_for(shop([[2], [2]], [[0], [1]]), allow_wait=False)
    play_script(engine, [0])
    assert engine.masks[0].tolist() == [0, 1, 0]
    # Machine 1 under repair at 0.
    engine = windowed([[2], [2]], [[0], [1]], [[], [(0, 4)]], known_windows=False)
    assert engine.masks[0].tolist() == [1, 0, 1]
    # Announced windows are events: waiting for the end of one may be best.
    engine = windowed([[2], [2]], [[0], [1]], [[], [(3, 4)]], known_windows=True)
    assert engine.masks[0].tolist() == [1, 1, 1]
    play_script(engine, [2])
    assert engine.metrics(0)["time"] == 4
    engine = windowed([[2], [2]], [[0], [1]], [[], [(3, 4)]], known_windows=False)
    assert engine.masks[0].tolist() == [1, 1, 0]


def test_unequal_routes_skipped_machines_and_revisits():
    instance = shop([[1, 2, 3, 1], [4], [2, 2]], [[0, 2, 0, 3], [3], [2, 0]], num_machines=5)
    for blocking in MODES:
        engine = engine_for(instance, 16, blocking=blocking)
        rng = np.random.default_rng(0)
        play(engine, lambda masks, rng=rng: random_actions(rng, masks))
        statuses = {engine.metrics(copy)["status"] for copy in range(16)}
        assert "finished" in statuses
        assert statuses <= {"finished", "deadlock"}
        assert all(validate(engine.schedule(copy)) == [] for copy in range(16))


# --- ends of episodes -------------------------------------------------------------------------------------------------


def test_an_episode_is_cut_after_fifty_steps_per_operation():
    """Scrap with short up times: pieces are lost again and again."""
    engine = engine_for(
        shop([[9], [9]], [[0], [1]]), law="exponential", mtbf=1.0, mttr=1.0, on_breakdown="scrap", allow_wait=False,
        record=True,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    outcomes = []
    while engine.is_running()[0]:
        outcome = engine.step(random_actions(rng, engine.masks))
        outcomes.append((bool(outcome.terminated[0]), bool(outcome.truncated[0])))
    assert engine.metrics(0)["status"] == "truncated"
    assert len(outcomes) == engine.metrics(0)["decisions"] == 50 * 2
    assert outcomes[-1] == (False, True)
    assert engine.objectives()[0] == max(engine.metrics(0)["time"], 2 * 18)
    assert len(engine.schedule(0).lost) == engine.metrics(0)["lost_pieces"] > 50
    assert validate(engine.schedule(0)) == []


def test_an_operation_that_would_start_over_for_ever_is_cut():
    """One operation of 1000 with breakdowns after 2 on average: it never survives, and nothing can be chosen."""
    engine = engine_for(shop([[1000]], [[0]]), law="exponential", mtbf=2.0, mttr=1.0, on_breakdown="repeat")
    outcome = engine.step([0])
    assert outcome.truncated[0]
    assert not outcome.terminated[0]
    assert engine.metrics(0)["status"] == "truncated"
    assert engine.metrics(0)["breakdowns"] >= 100_000
    assert engine.objectives()[0] == engine.metrics(0)["time"]


def test_the_schedule_of_a_long_disturbed_episode_is_complete():
    """Thousands of breakdowns, far more than there are operations."""
    instance = shop([[20_000], [30_000]], [[0], [1]])
    options = {"law": "exponential", "mtbf": 5.0, "mttr": 5.0}
    engine = engine_for(instance, record=True, **options)
    play_script(engine, [0, 1])
    schedule = engine.schedule(0)
    assert engine.metrics(0)["breakdowns"] > 5000
    assert sum(map(len, schedule.downtime)) == engine.metrics(0)["breakdowns"]
    assert validate(schedule) == []


def test_a_schedule_under_breakdowns_needs_a_record():
    engine = engine_for(shop([[2]], [[0]]), law="bernoulli")
    with pytest.raises(ValueError, match="record=True"):
        engine.schedule(0)
    assert engine_for(shop([[2]], [[0]])).schedule(0).start.tolist() == [[-1]]


@pytest.mark.parametrize("scale", ["none", "instance"])
@SETTINGS
@given(
    shops(jobs=(2, 4), machines=(2, 4), least_time=0, windows=True),
    rules(),
    SEEDS,
    st.sampled_from([None, 0, 3]),
)
def test_the_return_is_minus_the_objective(scale, instance, options, seed, illegal_at):
    engine = engine_for(instance, 4, seed, reward_scale=scale, **options)
    rng = np.random.default_rng(seed)
    total, elapsed, step = np.zeros(4), np.zeros(4), 0
    while engine.is_running().any():
        actions = random_actions(rng, engine.masks)
        if step == illegal_at:
            actions[0] = int(np.argmin(engine.masks[0]))
        outcome = engine.step(actions, check=False)
        total += outcome.reward
        elapsed += outcome.elapsed
        step += 1
    for copy in range(4):
        objective = engine.objectives()[copy]
        assert total[copy] * engine.reward_scale(copy) == pytest.approx(-objective, rel=1e-12)
        if scale == "none":
            assert total[copy] == -objective
        assert elapsed[copy] == engine.metrics(copy)["time"]


@pytest.mark.parametrize("scale", ["none", "instance"])
@SETTINGS
@given(
    shops(jobs=(2, 4), machines=(2, 4), least_time=0, windows=True),
    rules(),
    SEEDS,
    st.sampled_from([None, 0, 3]),
)
def test_the_rewards_of_the_bound_sum_to_minus_the_objective(scale, instance, options, seed, illegal_at):
    """And each copy gets the same alone; time that passes is the same as with the reward of time."""
    engine = engine_for(instance, 3, seed, reward="bound", reward_scale=scale, **options)
    usual = engine_for(instance, 3, seed, reward_scale=scale, **options)
    alone = engine_for(instance, 1, seed + 1, reward="bound", reward_scale=scale, **options)
    rng = np.random.default_rng(seed)
    total, step = np.zeros(3), 0
    while engine.is_running().any():
        actions = random_actions(rng, engine.masks)
        if step == illegal_at:
            actions[0] = int(np.argmin(engine.masks[0]))
        running = engine.is_running()[1]
        outcome, other = engine.step(actions, check=False), usual.step(actions, check=False)
        assert (outcome.elapsed == other.elapsed).all()
        if running:
            assert alone.step(actions[1:2]).reward[0] == outcome.reward[1]
        total += outcome.reward
        step += 1
    assert (engine.block.memory == usual.block.memory).all()
    for copy in range(3):
        expected = -engine.objectives()[copy]
        assert total[copy] * engine.reward_scale(copy) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_a_reward_of_the_bound():
    """Job 0 has the longer way to go, 6 units; letting job 1 onto machine 0 first, for 2, is paid for at once."""
    engine = engine_for(shop([[1, 5], [2]], [[0, 1], [0]]), reward="bound", reward_scale="none")
    assert [engine.step([action]).reward[0] for action in (1, 0, 0)] == [-8.0, 0.0, 0.0]
    assert engine.objectives()[0] == 8


def test_construct_mode_is_rewarded_by_the_bound():
    """The classical form of this reward: L2D's."""
    engine = engine_for(named_instance("ft06"), blocking="none", mode="construct", reward="bound", reward_scale="none")
    total = 0.0
    while engine.is_running()[0]:
        reward = engine.step([int(engine.masks[0].argmax())]).reward[0]
        assert reward <= 0.0
        total += reward
    assert total == -engine.objectives()[0]


@SETTINGS
@given(shops(jobs=(2, 4), machines=(2, 3), least_time=0), st.sampled_from(MODES), SEEDS, st.integers(0, 6))
def test_an_illegal_action_costs_more_than_any_legal_episode(instance, blocking, seed, when):
    engine = engine_for(instance, 16, blocking=blocking)
    rng = np.random.default_rng(seed)
    step = 0
    while engine.is_running().any():
        actions = random_actions(rng, engine.masks)
        if step == when:
            actions[:4] = np.argmin(engine.masks[:4], axis=1)
        engine.step(actions, check=False)
        step += 1
    objectives = engine.objectives()
    illegal = np.array([engine.metrics(copy)["status"] == "illegal" for copy in range(16)])
    if illegal.any():
        assert objectives[illegal].min() > objectives[~illegal].max()


def test_copies_that_have_ended_stay_as_they_are():
    engine = engine_for(shop([[1], [4]], [[0], [0]]), 2)
    engine.step([0, 1])
    engine.step([1, 0])
    assert not engine.is_running().any()
    before = engine.block.memory.copy(), engine.metrics(0), engine.metrics(1)
    assert not any(array.any() for array in engine.step([0, 99]))
    assert np.array_equal(engine.block.memory, before[0])
    assert (engine.metrics(0), engine.metrics(1)) == before[1:]
    assert engine.objectives().tolist() == [5, 5]
    assert not engine.masks.any()
