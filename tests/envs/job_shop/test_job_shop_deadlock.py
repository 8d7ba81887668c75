"""Deadlocks of the shop without swaps: found when they are there, avoided by the banker's test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from support.job_shop import Search, case, engine_for, play, play_script, random_actions, shop, shops, starts

MODEST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def stays(instance):
    """The machines that each job visits, one after the other, stays on one machine taken together."""
    rows = [row[:n].tolist() for row, n in zip(instance.machines, instance.lengths, strict=True)]
    return [[machine for machine, _ in itertools.groupby(row)] for row in rows]


def positions(engine, copy):
    """For each job the number of its present stay: -1 outside, the number of stays when it has left."""
    schedule = engine.schedule(copy)
    found = []
    for j, length in enumerate(schedule.instance.lengths.tolist()):
        begun = int((schedule.start[j, :length] >= 0).sum())
        row = schedule.instance.machines[j, :begun].tolist()
        left = schedule.completion[j, length - 1] >= 0
        found.append(len(list(itertools.groupby(row))) - (0 if left else 1))
    return tuple(found)


def can_finish(routes, state, known):
    """Whether all jobs can leave from these positions, times aside: by search over single moves."""
    if state in known:
        return known[state]
    if all(p == len(route) for p, route in zip(state, routes, strict=True)):
        return True
    known[state] = False
    held = {route[p] for p, route in zip(state, routes, strict=True) if 0 <= p < len(route)}
    for j, (p, route) in enumerate(zip(state, routes, strict=True)):
        if p < len(route) and (p + 1 == len(route) or route[p + 1] not in held):
            following = (*state[:j], p + 1, *state[j + 1 :])
            if can_finish(routes, following, known):
                known[state] = True
                break
    return known[state]


@MODEST
@given(shops(jobs=(2, 4), machines=(2, 3)), st.integers(0, 2**32))
def test_what_is_called_a_deadlock_is_one(instance, seed):
    """Against reachability: from a deadlock nobody can finish; an episode that can no longer finish ends in one."""
    engine = engine_for(instance, 16, blocking="no-swap")
    rng = np.random.default_rng(seed)
    routes, known = stays(instance), {}
    doomed = np.zeros(16, dtype=bool)
    while engine.is_running().any():
        engine.step(random_actions(rng, engine.masks))
        for copy in range(16):
            hopeful = can_finish(routes, positions(engine, copy), known)
            status = engine.metrics(copy)["status"]
            assert not (status == "deadlock" and hopeful)
            doomed[copy] |= not hopeful
    for copy in range(16):
        assert engine.metrics(copy)["status"] == ("deadlock" if doomed[copy] else "finished")


@MODEST
@given(
    shops(jobs=(3, 5), machines=(2, 4), least_time=0, windows=True),
    st.booleans(),
    st.sampled_from(["none", "windows", "exponential"]),
    st.sampled_from(["resume", "repeat", "scrap"]),
    st.integers(0, 2**32),
)
def test_the_banker_is_never_stuck(instance, wait, law, on_breakdown, seed):
    options = {"law": law, "mtbf": 30.0, "mttr": 4.0, "on_breakdown": on_breakdown, "allow_wait": wait}
    engine = engine_for(instance, 8, seed, blocking="no-swap", deadlock="banker", **options)
    rng = np.random.default_rng(seed)
    play(engine, lambda masks: random_actions(rng, masks))
    assert {engine.metrics(copy)["status"] for copy in range(8)} == {"finished"}


@pytest.mark.slow
def test_what_the_banker_costs():
    """The page's figures: 200 shops of 3-4 jobs on 3-4 machines, times 1 to 9, by search over all states."""
    rng, lost, stuck = np.random.default_rng(0), [], 0
    for _ in range(200):
        jobs, machines = rng.integers(3, 5, 2).tolist()
        times = rng.integers(1, 10, (jobs, machines)).tolist()
        instance = shop(times, [rng.permutation(machines).tolist() for _ in range(jobs)])
        best = solve_job_shop(instance, "no-swap", 60.0)
        assert best.proved
        assert best.objective is not None
        safe = Search(instance, blocking="no-swap", deadlock="banker").optimum
        assert safe is not None
        if safe > best.objective:
            lost.append(safe / best.objective - 1)
        stuck += Search(instance, blocking="no-swap", allow_wait=False).optimum is None
        assert Search(instance, blocking="no-swap", deadlock="banker", allow_wait=False).optimum is not None
    assert (len(lost), round(100 * np.mean(lost)), stuck) == (176, 31, 151)


def test_the_banker_refuses_what_can_only_end_in_a_deadlock():
    engine = engine_for(case("A"), blocking="no-swap", deadlock="banker")
    engine.step([0])
    # Job 1 must not enter, so time passes until job 0 can go on.
    assert engine.metrics(0)["time"] == 3
    assert engine.masks[0].tolist() == [1, 0, 0]
    assert "may lead to a deadlock (deadlock='banker')" in engine.describe_illegal(0, 1)
    search = Search(case("A"), blocking="no-swap", deadlock="banker")
    assert (search.optimum, search.ends["deadlock"]) == (11, 0)


def test_a_deadlock_ends_the_episode_at_once():
    """Case A: both enter at 0; though both still process, none can ever leave. Objective 2 * 11."""
    engine = engine_for(case("A"), blocking="no-swap", reward_scale="none")
    engine.step([0])
    outcome = engine.step([1])
    assert (outcome.reward[0], outcome.terminated[0], outcome.truncated[0]) == (-22.0, True, False)
    assert engine.metrics(0) == {
        "status": "deadlock",
        "finished": False,
        "deadlock": True,
        "time": 0,
        "decisions": 2,
        "waits": 0,
        "breakdowns": 0,
        "lost_pieces": 0,
    }
    assert engine.objectives()[0] == 22
    assert not engine.masks.any()
    assert not engine.schedule(0).finished


def test_a_stay_of_several_operations_counts_as_one():
    """Job 0 has two operations on machine 0 before it wants machine 1."""
    engine = engine_for(shop([[1, 1, 1], [1, 1]], [[0, 0, 1], [1, 0]]), blocking="no-swap")
    play_script(engine, [0, 1])
    assert engine.metrics(0)["deadlock"]
    engine = engine_for(shop([[1, 1], [1, 1]], [[0, 0], [1, 0]]), blocking="no-swap")
    play_script(engine, [0, 1, 1])
    assert starts(engine) == [[0, 1], [0, 2]]


@pytest.mark.parametrize("windows, finished", [([(6, 8)], True), ([], False)])
def test_where_a_piece_can_be_lost_a_cycle_with_work_to_do_is_no_deadlock(windows, finished):
    """Job 0's second operation on machine 0 waits for the repair [2, 5); the next breakdown scraps it."""
    instance = shop([[2, 3, 1], [1, 1]], [[0, 0, 1], [1, 0]], [[(2, 5), *windows], []])
    engine = engine_for(instance, blocking="no-swap", on_breakdown="scrap", known_windows=False, record=True)
    play_script(engine, [0, 1])
    if finished:
        assert engine.metrics(0) | {"status": "running", "time": 8, "lost_pieces": 1} == engine.metrics(0)
        play_script(engine, [1, 0, 0])
    assert engine.metrics(0)["status"] == ("finished" if finished else "deadlock")
