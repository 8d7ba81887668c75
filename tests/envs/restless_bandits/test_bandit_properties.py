"""What holds for any restless bandit: of malformed ones what is said, of others how they move, what they are worth."""

from __future__ import annotations

import sys
from itertools import pairwise

import gymnasium
import makespan  # noqa: F401  registers the ids
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, MissingExtraError, UserError
from makespan.envs.restless_bandits.appointments import Appointments
from makespan.envs.restless_bandits.capacity import Capacity
from makespan.envs.restless_bandits.env import make_engine
from makespan.envs.restless_bandits.feasible import Cardinality, FeasibleSet, InfeasibleActionError, LinearSet
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.graphs import neighbours_of
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.known_cases import known_case
from makespan.envs.restless_bandits.program import NoSolutionError, solve_program
from makespan.envs.restless_bandits.walks import Walks
from support.bandit_cases import CHAINS, LISTED, play_randomly
from support.bandit_exact import solve

quick = settings(deadline=None, max_examples=40, derandomize=True)


# --- bad input --------------------------------------------------------------------------------------------------------


@quick
@given(st.data())
def test_a_row_that_does_not_sum_to_one_is_named_by_arm_level_and_state(data) -> None:
    arms, levels, states = CHAINS.transition.shape[:3]
    j, k, s = (data.draw(st.integers(0, size - 1)) for size in (arms, levels, states))
    by = data.draw(st.floats(1e-6, 0.5))
    table = CHAINS.transition.copy()
    table[j, k, s] *= 1.0 - by
    with pytest.raises(FieldError) as caught:
        _with(transition=table)
    assert f"arms[{j}].transition[level {k}][state {s}]: sum is " in str(caught.value)
    assert str(caught.value).endswith(", expected 1")
    table[j, k, s, data.draw(st.integers(0, states - 1))] = data.draw(st.sampled_from([-0.1, 1.5, np.nan, np.inf]))
    where = rf"arms\[{j}\]\.transition\[level {k}\]\[state {s}\]\[[0-9]\]"
    with pytest.raises(FieldError, match=rf"{where} is .*, expected a number from 0 to 1"):
        _with(transition=table)


def _with(**change) -> BanditInstance:
    given_ = {"transition": CHAINS.transition, "reward": CHAINS.reward, "start": CHAINS.start, "horizon": 3}
    return BanditInstance(name="x", feasible=CHAINS.feasible, **{**given_, **change})


@quick
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
def test_hours_that_admit_no_visit_are_refused_and_others_are_not(cost: list[int], hours: list[int]) -> None:
    _refused_if(min(cost) > max(hours), lambda: Capacity(cost, hours), "no action is possible, the least cost is")


@quick
@given(
    st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=3),
    st.booleans(),
)
def test_appointments_that_admit_no_visits_are_refused(arms, workers, distinct: bool) -> None:
    def pair(slots: set[int]) -> bool:
        found = [(i, s) for i, free in enumerate(workers) for s in free & slots]
        return any(a[0] != b[0] or (a[1] != b[1] and not distinct) for a in found for b in found)

    def make() -> FeasibleSet:
        return Appointments(list(map(sorted, arms)), list(map(sorted, workers)), 4, len(arms), distinct)

    _refused_if(not any(map(pair, arms)), make, "no arm shares 2 visits")


@quick
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(0, 3), min_size=3, max_size=3),
)
def test_rows_that_admit_no_element_are_refused(matrix, upper) -> None:
    table = np.array(matrix)
    fits = (table <= np.array(upper[: len(matrix)])[:, None]).all(axis=0)
    _refused_if(not fits.any(), lambda: LinearSet(table, upper[: len(matrix)]), "no action is possible")


@quick
@given(st.integers(2, 7), st.data())
def test_a_graph_is_refused_if_and_only_if_it_is_disconnected(size: int, data) -> None:
    pairs = [(u, v) for u in range(size) for v in range(u + 1, size)]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True, max_size=len(pairs)))
    depot = data.draw(st.integers(0, size - 1))
    near, reached = neighbours_of(size, edges), {depot}
    for _ in range(size):
        reached |= {v for u in reached for v in near[u]}
    lengths = data.draw(st.one_of(st.none(), st.just([3] * len(edges))))

    def make() -> FeasibleSet:
        return Walks(size, edges, depot, 6, size, lengths)

    cut_off = sorted(set(range(size)) - reached)
    words = f"the graph is disconnected, no path leads from the depot {depot} to arm {cut_off[0]}" if cut_off else ""
    _refused_if(bool(cut_off), make, words)


def _refused_if(refused: bool, make, words: str) -> None:
    if not refused:
        assert make().budget >= 1
        return
    with pytest.raises(UserError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["k2a", "k3", "k4b", "k5a", "k6a", "listed"])
def test_an_infeasible_vector_names_its_constraint_and_changes_nothing(name: str) -> None:
    instance = LISTED if name == "listed" else known_case(name)
    env = gymnasium.make(
        "makespan/RestlessBandits-v0", instance=instance, view="vector", on_illegal="raise", disable_env_checker=True
    )
    env.reset(seed=1)
    engine = env.unwrapped.engine  # type: ignore[attr-defined]
    size, rng = instance.num_elements, np.random.default_rng(0)
    actions = np.unique(rng.integers(0, 2, (40, size)), axis=0)
    refused = [a for a in actions if not instance.feasible.contains(a)]
    assert refused
    before = engine.snapshot()
    for action in refused:
        with pytest.raises(InfeasibleActionError) as caught:
            env.step(action.astype(np.int8))
        assert str(caught.value) == f"infeasible action: {instance.feasible.violations(action)[0]}"
    for mine, saved in zip(engine._arrays(), before.arrays, strict=True):
        assert np.array_equal(mine, saved)
    env.close()


@pytest.mark.parametrize("family", ["capacity", "schedule", "path"])
def test_a_missing_solver_is_named_with_what_to_install(family: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    instance = draw_instance(Size(family, 12), 0)
    with pytest.raises(MissingExtraError, match=r"needs 'highspy', which is not installed"):
        instance.feasible.solve_by_program(np.ones(12))
    engine = make_engine(1, instance=instance)  # playing needs no solver
    engine.reset([0])
    while engine.is_running().any():
        engine.step(play_randomly(engine, np.random.default_rng(1)))


def test_a_solver_without_time_finds_nothing_and_says_so() -> None:
    pytest.importorskip("highspy")
    instance = draw_instance(Size("capacity", 40), 0)
    with pytest.raises(NoSolutionError, match="HiGHS: "):
        solve_program(instance.feasible.linear_rows, np.random.default_rng(0).random(40), seconds=0.0)
    walks = draw_instance(Size("path", 20), 0).feasible
    best = walks.solve_by_program(np.random.default_rng(0).random(20), seconds=0.0)
    assert not best.proved
    assert best.action.any()  # the heuristic's, with a bound
    assert best.gap > 0.0
    walks.check(best.action)


# --- how they move, and what they are worth ---------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_arms_move_one_state_at_most_and_visits_are_counted(family: str) -> None:
    engine = make_engine(4, instance=[draw_instance(Size(family, 12), number) for number in range(3)], record=True)
    engine.reset(np.arange(4))
    rng = np.random.default_rng(2)
    while engine.is_running().any():
        engine.step(play_randomly(engine, rng))
    for copy in range(4):
        schedule = engine.schedule(copy)
        steps = np.abs(np.diff(schedule.states.astype(int), axis=0))
        assert steps.max() <= 1
        inside = (schedule.states[:-1] > 0) & (schedule.states[:-1] < 3)
        assert (steps[inside] == 1).all()  # no staying put in the middle
        counted = engine.state.visits[copy, : schedule.instance.num_arms]
        assert ((schedule.levels() > 0).sum(axis=0) == counted).all()
        assert all(schedule.instance.feasible.contains(action) for action in schedule.actions)


def _more(name: str) -> list[FeasibleSet]:
    """Sets of four arms, each within the next."""
    line = [(3, 1), (1, 2), (2, 0)]
    return {
        "budget": [Cardinality(4, budget) for budget in (1, 2, 3)],
        "hours": [Capacity([4, 3, 3, 2], hours) for hours in ([3], [5], [5, 4])],
        "workers": [
            Appointments([(0, 1), (0, 2), (1, 2), (0, 1)], [(0, 1), (2,)], 3, 2, distinct) for distinct in (True, False)
        ],
        "length": [Walks(4, line, 3, length, 4) for length in (2, 4, 6)],
        "short streets": [Walks(4, line, 3, 6, 4, lengths) for lengths in ([3, 1, 1], [2, 1, 1], [1, 1, 1])],
    }[name]


@pytest.mark.parametrize("name", ["budget", "hours", "workers", "length", "short streets"])
def test_more_of_what_is_scarce_never_lowers_the_optimum(name: str) -> None:
    base = known_case("k2a")
    sets = _more(name)
    values = [solve(base.with_feasible(feasible)).optimum for feasible in sets]
    assert values == sorted(values)
    assert values[0] < values[-1]
    for fewer, more in pairwise(sets):
        assert all(more.contains(action) for action in fewer.members)
