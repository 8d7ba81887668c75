"""Everybody plans from a start state: the exact solver to the optimum that a search over all moves finds."""

from __future__ import annotations

from typing import Any

import makespan
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.start import StartState
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.job_shop.bounds import lower_bound, preemptive_bound
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.options import JobShopOptions
from makespan.envs.job_shop.schedule import validate
from support.job_shop import MODES, engine_for, play, random_actions, shop, shops


def walked(instance: Any, options: dict[str, Any], moves: int, seed: int) -> Any:
    """An engine after some random moves."""
    engine = engine_for(instance, **options)
    rng = np.random.default_rng(seed)
    for _ in range(moves):
        if engine.is_running()[0]:
            engine.step(random_actions(rng, engine.masks))
    return engine


def stand(engine: Any, instance: Any, dates: bool) -> dict[str, Any]:
    """Where copy 0 of an engine stands, from its schedule and its clock alone."""
    engine.record = True
    schedule, now, jobs = engine.schedule(0), engine.metrics(0)["time"], []
    for j, length in enumerate(instance.lengths.tolist()):
        begin, end = schedule.start[j, :length].tolist(), schedule.completion[j, :length].tolist()
        finished = [[b, e] for b, e in zip(begin, end, strict=True) if e >= 0]
        entry: dict[str, Any] = {"job": j, "finished": finished if dates else len(finished)}
        k = len(finished)
        if k < length and begin[k] >= 0:
            machine = int(instance.machines[j, k])
            windows = schedule.windows(machine)
            passed = sum(all(not b <= t < e for b, e in windows) for t in range(begin[k], now))
            left = int(instance.times[j, k]) - passed
            entry["processing"] = {"machine": machine, "since": begin[k], "remaining": left}
        jobs.append(entry)
    down = [
        {"machine": m, "since": b, "until": e}
        for m in range(instance.num_machines)
        for b, e in schedule.windows(m)
        if b <= now < e
    ]
    return {"time": now, "jobs": jobs, "down": down}


def best_from_here(engine: Any) -> int | None:
    """Least makespan of all ways to go on, None where every one is a dead end."""
    best, seen, waiting = None, set(), [engine.snapshot()]
    while waiting:
        here = waiting.pop()
        engine.restore(here)
        for action in np.flatnonzero(engine.masks[0]).tolist():
            engine.restore(here)
            engine.step([action])
            now = int(engine.objectives()[0])
            if engine.metrics(0)["finished"]:
                best = now if best is None else min(best, now)
            key = (now, engine.block.memory[0].tobytes())
            if engine.is_running()[0] and key not in seen and (best is None or now < best):
                seen.add(key)
                waiting.append(engine.snapshot())
    return best


@settings(max_examples=60)
@given(
    instance=shops(jobs=(2, 3), machines=(2, 3), least_time=0, most_time=4, windows=True),
    blocking=st.sampled_from(MODES),
    moves=st.integers(1, 8),
    seed=st.integers(0, 1000),
    dates=st.booleans(),
)
def test_the_exact_solver_equals_the_search_over_all_moves(
    instance: Any, blocking: str, moves: int, seed: int, dates: bool
) -> None:
    options: dict[str, Any] = {"blocking": blocking, "law": "windows", "known_windows": True}
    engine = walked(instance, options, moves, seed)
    assume(engine.is_running()[0])
    begun = instance.starting_from(stand(engine, instance, dates))
    state = StartState.of(begun, JobShopOptions(**options))
    best = best_from_here(engine)
    if best is None:
        with pytest.raises(FieldError, match="every job can be finished"):
            solve_job_shop(begun, blocking, state=state)
        return
    result = solve_job_shop(begun, blocking, state=state)
    assert result.proved
    assert result.objective == best >= preemptive_bound(begun) >= lower_bound(begun)
    assert result.schedule is not None
    assert validate(result.schedule) == []


@pytest.mark.parametrize("agent", ["portfolio", "cp-sat", "mwkr", "random", "rollout", "beam:width=4"])
@pytest.mark.parametrize("blocking", ["none", "swap"])
def test_every_agent_plans_from_the_start(agent: str, blocking: str) -> None:
    instance = shop([[3, 2, 4], [4, 1, 3], [1, 4, 1]], [[1, 2, 0], [0, 1, 2], [2, 1, 0]])
    begun = instance.starting_from(stand(walked(instance, {"blocking": blocking}, 3, 1), instance, dates=True))
    seconds = 10 if agent in ("portfolio", "cp-sat") else 0.5
    solution = makespan.solve(begun, agent, seconds, blocking=blocking)
    known = begun.start.dates(begun)[0]
    assert (solution.schedule.start[known >= 0] == known[known >= 0]).all()
    assert solution.bound is not None
    assert solution.objective >= solution.bound >= preemptive_bound(begun)
    if agent in ("portfolio", "cp-sat"):
        assert solution.optimal


def test_a_machine_that_is_down_needs_no_option() -> None:
    """ft06 at 20, when machine 2 breaks down until 40: the schedule knows it, and is later than without."""
    engine = engine_for(named_instance("ft06"), blocking="none")
    while engine.metrics(0)["time"] < 20:
        engine.step([int(engine.masks[0].argmax())])
    start = stand(engine, named_instance("ft06"), True)
    before = makespan.solve("ft06", "cp-sat", 10, start=start, blocking="none")
    broken = {**start, "down": [{"machine": 2, "until": start["time"] + 40}]}
    after = makespan.solve("ft06", "cp-sat", 10, start=broken, blocking="none")
    assert before.optimal
    assert after.optimal
    assert after.objective > before.objective
    assert after.schedule.windows(2) == ((start["time"], start["time"] + 40),)
    with pytest.raises(UserError, match="law='none' knows no down-times"):
        makespan.solve("ft06", "mwkr", 1, start=broken, law="none")


def test_rules_play_the_start_of_a_batch() -> None:
    """What `evaluate` does: many copies of one instance, all from its start."""
    instance = shop([[3, 2], [4, 1]], [[0, 1], [1, 0]]).starting_from(
        {"time": 5, "jobs": [{"job": 0, "finished": 1}, {"job": 1, "finished": 0}]}
    )
    engine = engine_for(instance, copies=4, blocking="none")
    play(engine, lambda masks: masks.argmax(axis=1))
    assert engine.objectives().tolist() == [12] * 4
