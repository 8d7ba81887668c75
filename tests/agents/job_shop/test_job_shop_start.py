"""Exact solving from a state of the shop on: against a search over all moves that are left, and bad states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.agents.job_shop.start import StartState, expect_repairs, mean_repair_left, read_start
from makespan.envs.core.errors import FieldError
from makespan.envs.core.random import TYPICAL
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.options import JobShopOptions
from makespan.envs.job_shop.schedule import validate
from support.job_shop import MODES, engine_for, random_actions, shop, shops


def best_from_here(engine: Any) -> int | None:
    """Least makespan of all ways to go on in an engine of one copy, None where every one is a dead end."""
    best, seen = None, set()
    waiting = [engine.snapshot()]
    while waiting:
        here = waiting.pop()
        engine.restore(here)
        for action in np.flatnonzero(engine.masks[0]).tolist():
            engine.restore(here)
            engine.step([action])
            status, now = engine.metrics(0)["status"], int(engine.objectives()[0])
            if status == "finished":
                best = now if best is None else min(best, now)
            key = (now, engine.block.memory[0].tobytes())
            if engine.is_running()[0] and key not in seen and (best is None or now < best):
                seen.add(key)
                waiting.append(engine.snapshot())
    return best


@settings(max_examples=60, deadline=None)
@given(
    instance=shops(jobs=(2, 3), machines=(2, 3), least_time=0, most_time=4, windows=True),
    options=st.fixed_dictionaries(
        {
            "blocking": st.sampled_from(MODES),
            "on_breakdown": st.sampled_from(["resume", "repeat"]),
            "unload_when_down": st.booleans(),
        }
    ),
    moves=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_equals_the_search_from_there_on(instance: Any, options: dict[str, Any], moves: int, seed: int) -> None:
    """Jobs processed, paused, blocked and outside; machines up and down; windows to come."""
    options = {**options, "law": "windows", "known_windows": True}
    engine = engine_for(instance, **options)
    rng = np.random.default_rng(seed)
    for _ in range(moves):
        engine.step(random_actions(rng, engine.masks))
        assume(engine.is_running()[0])
    state = read_start(engine, 0, instance, JobShopOptions(**options))
    assert state is not None
    assert state.time == engine.metrics(0)["time"]
    best = best_from_here(engine)
    keywords = {"on_breakdown": options["on_breakdown"], "unload_when_down": options["unload_when_down"]}
    if best is None:
        with pytest.raises(FieldError, match="every job can be finished"):
            solve_job_shop(instance, options["blocking"], state=state, **keywords)
        return
    result = solve_job_shop(instance, options["blocking"], state=state, **keywords)
    assert result.proved
    assert result.objective == best
    assert result.schedule is not None
    begun = state.start >= 0
    assert (result.schedule.start[begun] == state.start[begun]).all()
    # With the down-times that are over the schedule is valid as a whole.
    assert validate(replace(result.schedule, downtime=instance.windows)) == []


def test_a_plan_made_in_time_is_a_warm_start_later() -> None:
    """From the middle of an optimal schedule the rest of it is a start, and nothing better is found."""
    instance = shop([[3, 2, 4], [4, 1, 3], [1, 4, 1]], [[1, 2, 0], [0, 1, 2], [2, 1, 0]])
    plan = solve_job_shop(instance, "swap").schedule
    assert plan is not None
    begun = plan.start == 0
    completion = np.where(begun, plan.completion, -1)
    state = StartState(2, np.where(begun, 0, -1), completion)
    assert solve_job_shop(instance, "swap", 0.0, start=plan, state=state).schedule is plan
    assert solve_job_shop(instance, "swap", state=state).objective == 11
    late = replace(state, time=6)
    with pytest.raises(FieldError, match="before 6"):
        solve_job_shop(instance, "swap", start=plan, state=late)
    other = replace(state, start=np.where(begun, 1, -1))
    with pytest.raises(FieldError, match="began at other times"):
        solve_job_shop(instance, "swap", start=plan, state=other)
    slower = replace(state, completion=np.where(begun, plan.completion + 1, -1))
    with pytest.raises(FieldError, match="other completions"):
        solve_job_shop(instance, "swap", start=plan, state=slower)


def test_what_has_begun_comes_before_an_operation_of_length_zero() -> None:
    """Job 1 has entered machine 0 at 0: job 0's first operation, of length zero, must wait for its end."""
    instance = shop([[0, 1], [1]], [[0, 1], [0]])
    begun = StartState(0, np.array([[-1, -1], [0, -1]]), np.array([[-1, -1], [1, -1]]))
    for blocking in MODES:
        assert solve_job_shop(instance, blocking, state=begun).objective == 2
        assert solve_job_shop(instance, blocking).objective == 1


def test_an_empty_shop_is_where_everything_starts() -> None:
    instance = shop([[3, 2], [3, 2]], [[1, 0], [1, 0]], [[(4, 8)], []])
    engine = engine_for(instance)
    state = read_start(engine, 0, instance, JobShopOptions(law="windows", known_windows=True))
    assert state is not None
    assert state.is_empty
    assert state.windows == instance.windows
    assert solve_job_shop(instance, "swap", state=state).objective == 11
    assert solve_job_shop(instance, "swap", state=StartState.empty(instance)).objective == 8


@pytest.mark.parametrize("visible", [True, False])
def test_a_repair_lasts_as_announced_or_as_expected(visible: bool) -> None:
    """What is read from an imagined copy is what whoever chooses may know."""
    chosen: dict[str, Any] = {"law": "bernoulli", "p": 0.02, "repair_visible": visible}
    options = JobShopOptions(**chosen)
    instance = named_instance("ft06")
    engine = engine_for(instance, **chosen)
    seen = 0
    while engine.is_running()[0]:
        imagined = engine.imagine([0], np.full(1, TYPICAL))
        expect_repairs(imagined, options)
        state = read_start(imagined, 0, instance, options)
        assert state is not None
        rows = engine.state.window[0]
        for m, known in enumerate(state.windows):
            for begin, end in known:
                true_begin, true_end = rows[m, 1:3]
                assert begin == true_begin <= state.time < end
                expected = state.time + mean_repair_left(options, state.time - begin)
                assert end == (true_end if visible else expected)
                seen += 1
        engine.step([int(engine.masks[0].argmax())])
    assert seen > 20


def test_the_mean_of_what_is_left_of_a_repair() -> None:
    bernoulli = JobShopOptions(law="bernoulli")
    for elapsed in range(50):
        longer = [length - elapsed for length in range(10, 51) if length > elapsed]
        assert abs(mean_repair_left(bernoulli, elapsed) - np.mean(longer)) <= 0.5
    for mttr in (0.1, 3.0, 30.0):
        lengths = np.arange(4000)
        mean = np.exp(-lengths / mttr).sum()  # the probabilities of lasting longer than 0, 1, 2, ...
        assert abs(mean_repair_left(JobShopOptions(law="exponential", mttr=mttr), 7) - mean) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    "start, completion, blocking, problem",
    [
        ([[0, -1]], [[3, -1]], "swap", "shape"),
        ([[0, -1], [-1, -1]], [[-1, -1], [-1, -1]], "swap", "a time for each operation that has begun"),
        ([[-1, 2], [-1, -1]], [[-1, 4], [-1, -1]], "swap", "the operation before has not begun"),
        ([[0, 2], [-1, -1]], [[3, 4], [-1, -1]], "swap", "3 or later"),
        ([[9, -1], [-1, -1]], [[12, -1], [-1, -1]], "swap", "up to now, 5"),
        ([[3, -1], [-1, -1]], [[2, -1], [-1, -1]], "swap", "3 or later"),
        ([[0, -1], [4, -1]], [[3, -1], [7, -1]], "swap", "one job at most"),
    ],
)
def test_states_that_contradict_themselves(start: Any, completion: Any, blocking: str, problem: str) -> None:
    instance = shop([[3, 2], [3, 2]], [[1, 0], [1, 0]])
    state = StartState(5, np.array(start), np.array(completion))
    with pytest.raises(FieldError, match=problem) as error:
        solve_job_shop(instance, blocking, state=state)
    assert "\n" not in str(error.value)


def test_a_buffer_holds_what_a_blocked_machine_cannot() -> None:
    """The last state above is none of the blocking shop's, but one of the classical shop's."""
    instance = shop([[3, 2], [3, 2]], [[1, 0], [1, 0]])
    state = StartState(5, np.array([[0, -1], [4, -1]]), np.array([[3, -1], [7, -1]]))
    assert solve_job_shop(instance, "none", state=state).objective == 9
