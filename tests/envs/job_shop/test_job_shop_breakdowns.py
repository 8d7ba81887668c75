"""Breakdowns: their laws, the same world for every agent, and nothing of the future where it can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.job_shop.env import JobShopEnv
from support.job_shop import MODES, engine_for, machine_rows, play, random_actions, shop, visible
from support.plain_shop import lengths_of

LAWS = {
    "bernoulli": {"law": "bernoulli", "p": 0.02},
    "exponential": {"law": "exponential", "mtbf": 40.0, "mttr": 12.0},
}


def windows_of(law, seed, machine, count, p=0.005, mtbf=200.0, mttr=30.0):
    """The first windows of a machine by the sheet's formulas, calendar clock."""
    found, end = [], 0
    for k in range(count):
        up, down = lengths_of(law, seed, machine, k, p, mtbf, mttr)
        found.append((end + up, end + up + down))
        end += up + down
    return found


def test_the_listed_windows():
    engine = engine_for(shop([[500], [300]], [[0], [1]]), law="bernoulli", p=0.01, record=True)
    play(engine, lambda masks: [int(masks[0].argmax())])
    downtime = engine.schedule(0).downtime
    assert downtime[0][:3] == ((369, 379), (432, 470), (495, 542))
    assert downtime[1][:3] == ((50, 82), (128, 158), (297, 334))


@pytest.mark.parametrize("law", LAWS)
def test_what_is_observed_are_the_windows_of_the_formulas(law):
    """Machine 0 works all the time, machine 1 waits for a decision: what both show at each decision must be true."""
    engine = engine_for(shop([[1500], [400]], [[0], [1]]), epoch_on_breakdown=True, **LAWS[law])
    rules = {key: value for key, value in LAWS[law].items() if key != "law"}
    windows = [windows_of(law, 0, machine, 100, **rules) for machine in range(2)]
    engine.step([0])
    seen = 0
    while engine.is_running()[0] and engine.masks[0, 2]:
        now = engine.metrics(0)["time"]
        for machine, row in enumerate(machine_rows(engine)):
            present = [(b, e) for b, e in windows[machine] if b <= now < e]
            assert row["up"] == (not present)
            if present:
                seen += 1
                assert round(row["elapsed_repair"]) == now - present[0][0]
                assert round(row["remaining_repair"]) == present[0][1] - now
        engine.step([2])
    assert seen > 10


@pytest.mark.parametrize("law", LAWS)
def test_lengths_follow_their_law(law):
    """Means of the first up and down lengths of 2 000 worlds, within five standard errors."""
    engine = engine_for(shop([[600]], [[0]]), 2000, record=True, **LAWS[law])
    engine.step(np.zeros(2000, dtype=int))
    first = np.array([engine.schedule(copy).downtime[0][0] for copy in range(2000)])
    up, down = first[:, 0], first[:, 1] - first[:, 0]
    if law == "bernoulli":
        mean_up, mean_down = 1 / 0.02, 30.0
        assert (down.min(), down.max()) == (10, 50)
        assert np.bincount(down, minlength=51)[10:].min() > 2000 / 41 * 0.5
    else:
        mean_up, mean_down = 1 / (1 - np.exp(-1 / 40.0)), 1 / (1 - np.exp(-1 / 12.0))
        # Both are geometric: the share of lengths above x is exp(-x / mean).
        for values, mean in ((up, 40.0), (down, 12.0)):
            for x in (5, 20, 50):
                share = np.exp(-x / mean)
                assert abs((values > x).mean() - share) < 5 * np.sqrt(share * (1 - share) / 2000)
    assert up.min() >= 1
    for values, mean in ((up, mean_up), (down, mean_down)):
        assert abs(values.mean() - mean) < 5 * values.std() / np.sqrt(2000)
    assert abs(np.corrcoef(up, down)[0, 1]) < 0.06


def test_probability_zero_means_no_breakdown():
    engine = engine_for(shop([[5000]], [[0]]), law="bernoulli", p=0.0)
    engine.step([0])
    assert (engine.objectives()[0], engine.metrics(0)["breakdowns"]) == (5000, 0)


def shop_of_all_machines():
    rng = np.random.default_rng(5)
    times = rng.integers(3, 12, (6, 3)).tolist()
    return shop(times, [rng.permutation(3).tolist() for _ in range(6)])


def play_differently(copies, seed, **options):
    """The same world in every copy, random actions that differ."""
    engine = engine_for(shop_of_all_machines(), copies, record=True, **options)
    engine.reset(np.full(copies, seed))
    rng = np.random.default_rng(seed)
    play(engine, lambda masks: random_actions(rng, masks))
    return [engine.schedule(copy) for copy in range(copies)]


@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
@pytest.mark.parametrize("blocking", MODES)
def test_calendar_clock_breakdowns_are_the_same_whatever_the_agent_does(blocking, on_breakdown):
    options = {"law": "exponential", "mtbf": 30.0, "mttr": 8.0, "blocking": blocking, "on_breakdown": on_breakdown}
    schedules = play_differently(8, 11, **options)
    assert len({schedule.start.tobytes() for schedule in schedules}) > 1
    for machine in range(3):
        expected = windows_of("exponential", 11, machine, 500, mtbf=30.0, mttr=8.0)
        for schedule in schedules:
            assert list(schedule.downtime[machine]) == expected[: len(schedule.downtime[machine])]
            # All that began before the last event are there.
            assert len(schedule.downtime[machine]) >= sum(b < schedule.makespan for b, _ in expected)


def busy_ages(schedule, machine):
    """For each breakdown of a machine, how long it processed since the last, and how long it was down."""
    instance, windows = schedule.instance, schedule.downtime[machine]
    intervals = [
        (schedule.start[j, k], schedule.completion[j, k])
        for j in range(instance.num_jobs)
        for k in range(instance.lengths[j])
        if instance.machines[j, k] == machine and schedule.start[j, k] >= 0
    ]
    intervals += [(row[4], row[5]) for row in schedule.lost.tolist() if row[3] == machine]
    processed = lambda time: (  # noqa: E731
        sum(min(e, time) - min(s, time) for s, e in intervals) - sum(min(e, time) - min(b, time) for b, e in paused)
    )
    paused: list[tuple[int, int]] = []
    found, before = [], 0
    for begin, end in windows:
        age = processed(begin)
        found.append((age - before, end - begin))
        before = age
        if any(s < begin < e for s, e in intervals):
            paused.append((begin, end))
    return found


@pytest.mark.parametrize("on_breakdown", ["resume", "repeat", "scrap"])
@pytest.mark.parametrize("law", LAWS)
def test_busy_clock_ages_and_lengths_are_the_same_whatever_the_agent_does(law, on_breakdown):
    rules = {key: value for key, value in LAWS[law].items() if key != "law"}
    schedules = play_differently(8, 4, clock="busy", on_breakdown=on_breakdown, **LAWS[law])
    dates = set()
    for machine in range(3):
        expected = [lengths_of(law, 4, machine, k, **{"p": 0.0, "mtbf": 0.0, "mttr": 0.0, **rules}) for k in range(500)]
        for schedule in schedules:
            found = busy_ages(schedule, machine)
            assert found == expected[: len(found)]
            dates |= {(machine, window) for window in schedule.downtime[machine][:1]}
    assert len(dates) > 3  # the dates do depend on the agent


def test_an_idle_or_blocked_machine_does_not_age_on_the_busy_clock():
    """Job 0 is done on machine 0 at 3 and blocks it until 50; the up time of 20 is used up by job 2 then."""
    seed = next(
        s
        for s in range(10**6)
        if lengths_of("exponential", s, 0, 0, 0, 20.0, 5.0)[0] == 6
        and lengths_of("exponential", s, 1, 0, 0, 20.0, 5.0)[0] > 60
    )
    instance = shop([[3, 1], [50], [9]], [[0, 1], [1], [0]])
    engine = engine_for(instance, 1, seed, law="exponential", mtbf=20.0, mttr=5.0, clock="busy", record=True)
    for action in (0, 1, 0, 2):
        engine.step([action])
    assert engine.schedule(0).downtime[0][0][0] == 50 + 3


# --- nothing of the future --------------------------------------------------------------------------------------------


def assert_equal_until(engines, until, rng):
    """Play the same actions; until the clock reaches `until` in one of them all must look the same."""
    met = 0
    while all(engine.is_running()[0] for engine in engines):
        if max(engine.metrics(0)["time"] for engine in engines) >= until:
            break
        assert len({visible(engine) for engine in engines}) == 1
        met += 1
        actions = random_actions(rng, engines[0].masks, wait=0.2)
        outcomes = [tuple(float(array[0]) for array in engine.step(actions)) for engine in engines]
        if max(engine.metrics(0)["time"] for engine in engines) < until:
            assert len(set(outcomes)) == 1
    assert met > 5


@pytest.mark.parametrize("visible_repair", [False, True])
@pytest.mark.parametrize("blocking", MODES)
def test_worlds_with_one_past_look_the_same_whatever_comes(blocking, visible_repair):
    base = shop_of_all_machines()
    pasts = [[(7, 11)], [(20, 24)], []]
    futures = [[[(41, 50)], [], []], [[], [(45, 70)], [(43, 44)]], [[], [], []]]
    routes = base.machines.tolist()
    engines = []
    for future in futures:
        windows = [past + later for past, later in zip(pasts, future, strict=True)]
        instance = shop(base.times.tolist(), routes, windows, num_machines=3)
        options = {"known_windows": False, "repair_visible": visible_repair, "blocking": blocking, "law": "windows"}
        engines.append(engine_for(instance, deadlock="banker" if blocking == "no-swap" else "end", **options))
    assert_equal_until(engines, 41, np.random.default_rng(0))


@pytest.mark.parametrize("law", LAWS)
def test_seeds_with_one_past_look_the_same(law):
    def begins(seed):
        rules = {key: value for key, value in LAWS[law].items() if key != "law"}
        return min(windows_of(law, seed, machine, 1, **rules)[0][0] for machine in range(3))

    quiet = [seed for seed in range(3000) if begins(seed) > 45][:4]
    assert len(quiet) == 4
    engines = [engine_for(shop_of_all_machines(), 1, seed, **LAWS[law]) for seed in quiet]
    assert_equal_until(engines, min(map(begins, quiet)), np.random.default_rng(0))


def test_the_length_of_a_repair_is_hidden_where_that_is_asked_for():
    base = shop_of_all_machines()

    def engines(**options):
        return [
            engine_for(
                shop(base.times.tolist(), base.machines.tolist(), [[(3, end)], [], []], num_machines=3),
                known_windows=False, law="windows", blocking="none", **options,
            )
            for end in (60, 90)
        ]  # fmt: skip

    assert_equal_until(engines(repair_visible=False), 60, np.random.default_rng(3))
    with pytest.raises(AssertionError, match="== 1"):
        assert_equal_until(engines(repair_visible=True), 60, np.random.default_rng(3))


def test_announced_windows_are_seen():
    base = shop_of_all_machines()
    rows = [
        machine_rows(
            engine_for(
                shop(base.times.tolist(), base.machines.tolist(), [[(50, 60)], [], []], num_machines=3),
                known_windows=known, law="windows",
            )
        )[0]
        for known in (False, True)
    ]  # fmt: skip
    assert [round(row["time_to_known_window"]) for row in rows] == [0, 50]
    assert [round(row["known_window_length"]) for row in rows] == [0, 10]


def test_info_of_the_door_tells_nothing_of_the_future():
    infos = []
    for seed in (1, 2):
        env = JobShopEnv(instance=shop_of_all_machines(), law="bernoulli", p=0.0001)  # type: ignore[arg-type]
        _, info = env.reset(seed=seed)
        seen = [{key: value for key, value in info.items() if key != "seed"}]
        for _ in range(4):
            *_, info = env.step(int(env.action_masks().argmax()))
            seen.append(info)
        infos.append(repr(seen))
    assert infos[0] == infos[1]
