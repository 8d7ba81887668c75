"""Feasible sets: membership against brute force, best actions against enumeration, and what is said of bad ones."""

from __future__ import annotations

import pickle
from itertools import combinations, pairwise, permutations, product

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.appointments import Appointments
from makespan.envs.restless_bandits.capacity import Capacity, packs
from makespan.envs.restless_bandits.feasible import Cardinality, FeasibleSet, InfeasibleActionError, LinearSet
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.sets import read_set
from makespan.envs.restless_bandits.walks import Walks, shortest_tour
from support.bandit_programs import best_by_assignment, best_by_time

pytest.importorskip("highspy")


def random_set(kind: str, rng: np.random.Generator, size: int) -> FeasibleSet:
    """A small random set that something can be chosen from."""
    budget = int(rng.integers(1, size))
    while True:
        try:
            if kind == "cardinality":
                return Cardinality(size, budget, bool(rng.integers(2)))
            if kind == "capacity":
                return Capacity(rng.integers(2, 7, size), rng.integers(2, 8, rng.integers(1, 4)))
            if kind in ("schedule", "distinct"):
                arms = [rng.choice(4, 2, replace=False).tolist() for _ in range(size)]
                workers = [rng.choice(4, rng.integers(1, 4), replace=False).tolist() for _ in range(2)]
                return Appointments(arms, workers, 4, budget, kind == "distinct")
            if kind == "path":
                edges = [(u, v) for u, v in combinations(range(size), 2) if rng.random() < 0.4]
                return Walks(size, edges, int(rng.integers(size)), int(rng.integers(2, size + 2)), budget)
            rows = rng.integers(0, 4, (2, size))
            return LinearSet(rows, rng.integers(2, 8, 2))
        except UserError:
            continue


KINDS = ("cardinality", "capacity", "schedule", "distinct", "path", "linear")


def brute_force(feasible: FeasibleSet) -> set[tuple[int, ...]]:
    """The members of a set by a test that shares nothing with it."""
    test = {
        Cardinality: _by_count,
        Capacity: _by_assignment,
        Appointments: _by_visits,
        Walks: _by_tours,
        LinearSet: lambda s, a: bool((s.matrix @ np.array(a) <= s.upper + 1e-9).all()),
    }[type(feasible)]
    return {a for a in product((0, 1), repeat=feasible.size) if test(feasible, a)}


def _by_count(feasible: Cardinality, a: tuple[int, ...]) -> bool:
    return sum(a) == feasible.budget if feasible.exactly else sum(a) <= feasible.budget


def _by_assignment(feasible: Capacity, a: tuple[int, ...]) -> bool:
    costs = [int(c) for c, bit in zip(feasible.cost, a, strict=True) if bit]

    def place(k: int, left: list[int]) -> bool:
        return k == len(costs) or any(
            left[i] >= costs[k] and place(k + 1, [x - costs[k] * (i == n) for n, x in enumerate(left)])
            for i in range(len(left))
        )

    return place(0, feasible.capacity.tolist())


def _by_visits(feasible: Appointments, a: tuple[int, ...]) -> bool:
    arms = [j for j, bit in enumerate(a) if bit]
    pairs = [(i, s) for i, slots in enumerate(feasible.worker_slots) for s in slots]

    def place(k: int, left: frozenset[tuple[int, int]]) -> bool:
        if k == len(arms):
            return True
        able = [pair for pair in left if pair[1] in feasible.arm_slots[arms[k]]]
        return any(
            place(k + 1, left - {one, two})
            for one, two in combinations(able, 2)
            if one[0] != two[0] or not feasible.distinct_workers
        )

    return len(arms) <= feasible.budget and place(0, frozenset(pairs))


def _by_tours(feasible: Walks, a: tuple[int, ...]) -> bool:
    """Nodes visited by walks of so many edges, by breadth-first search over (node, what was seen)."""
    wanted = frozenset(j for j, bit in enumerate(a) if bit)
    if len(wanted) > feasible.budget:
        return False
    states = {(feasible.depot, frozenset({feasible.depot}) & wanted)}
    for _ in range(feasible.length):
        if (feasible.depot, wanted) in states:
            return True
        states |= {(v, seen | ({v} & wanted)) for u, seen in states for v in feasible.neighbours[u]}
    return (feasible.depot, wanted) in states


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_has_the_members_that_its_definition_says(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        feasible = random_set(kind, rng, int(rng.integers(3, 7)))
        expected = brute_force(feasible)
        assert set(map(tuple, feasible.members.tolist())) == expected
        for a in product((0, 1), repeat=feasible.size):
            assert feasible.contains(a) == (a in expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_program_finds_the_best_action(kind: str, count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(count):
        feasible = random_set(kind, rng, int(rng.integers(3, 8)))
        weights = np.round(rng.normal(0.5, 1.0, feasible.size), 3)
        best = feasible.solve_by_program(weights)
        expected = (feasible.members @ weights).max()
        assert best.proved
        assert best.value == pytest.approx(expected, abs=1e-9)
        assert best.value == pytest.approx(float(best.action @ weights), abs=1e-9)
        assert feasible.maximise(weights) @ weights == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_of_feasible_actions_are_feasible(family: str) -> None:
    rng = np.random.default_rng(10)
    feasible = draw_instance(Size(family, 20), 3).feasible
    nothing = np.zeros(feasible.size, dtype=np.int8)
    assert feasible.contains(nothing) == (family != "sigmoid")
    assert feasible.down_closed == (family != "sigmoid")
    for _ in range(20):
        action = feasible.sample(rng)
        assert feasible.contains(action)
        assert not any(feasible.admits(action, j) for j in range(feasible.size))
        part = action * (rng.random(feasible.size) < 0.5)
        assert feasible.contains(part) or not feasible.down_closed


def test_more_of_what_is_scarce_never_lowers_the_best_value() -> None:
    rng = np.random.default_rng(11)
    for _ in range(10):
        weights = rng.random(7)
        walks = random_set("path", rng, 7)
        assert isinstance(walks, Walks)
        longer = Walks(7, walks.edges, walks.depot, walks.length + 1, walks.budget)
        more = Walks(7, walks.edges, walks.depot, walks.length, min(walks.budget + 1, 7))
        hours = random_set("capacity", rng, 7)
        assert isinstance(hours, Capacity)
        fuller = Capacity(hours.cost, [*hours.capacity.tolist(), 3])
        visits = random_set("schedule", rng, 7)
        assert isinstance(visits, Appointments)
        helped = Appointments(visits.arm_slots, [*visits.worker_slots, (0, 1)], visits.slots, visits.budget)
        for less, larger in ((walks, longer), (walks, more), (hours, fuller), (visits, helped)):
            assert larger.solve(weights).value >= less.solve(weights).value - 1e-12
            assert set(map(tuple, less.members.tolist())) <= set(map(tuple, larger.members.tolist()))


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_join_is_what_can_be_completed(kind: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(15):
        feasible = random_set(kind, rng, int(rng.integers(3, 8)))
        partial = feasible.members[rng.integers(len(feasible.members))].copy()
        partial[rng.random(feasible.size) < 0.5] = 0
        can = [
            bool(partial[j] == 0 and (feasible.members >= np.maximum(partial, np.eye(feasible.size)[j])).all(1).any())
            for j in range(feasible.size)
        ]
        assert feasible.extendable(partial).tolist() == can
        assert feasible.may_stop(partial) == feasible.contains(partial)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_and_repairs_are_feasible(kind: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(15):
        feasible = random_set(kind, rng, int(rng.integers(3, 8)))
        assert feasible.contains(feasible.sample(rng))
        wanted = rng.integers(0, 2, feasible.size)
        repaired = feasible.repair(wanted)
        assert feasible.contains(repaired)
        differ = np.abs(feasible.members - wanted).sum(axis=1).min()
        assert np.abs(repaired - wanted).sum() == differ
        if feasible.down_closed:
            assert (repaired <= wanted).all()


@pytest.mark.parametrize("kind", KINDS)
def test_sets_are_read_back_from_their_data(kind: str) -> None:
    feasible = random_set(kind, np.random.default_rng(5), 6)
    again = read_set(feasible.to_dict(), 6)
    assert again.to_dict() == feasible.to_dict()
    assert again.members.tolist() == feasible.members.tolist()


def test_two_different_workers_are_never_more_than_any_two() -> None:
    rng = np.random.default_rng(6)
    for _ in range(10):
        strict = random_set("distinct", rng, 5)
        assert isinstance(strict, Appointments)
        loose = Appointments(strict.arm_slots, strict.worker_slots, strict.slots, strict.budget)
        assert set(map(tuple, strict.members.tolist())) <= set(map(tuple, loose.members.tolist()))


def test_an_appointment_plan_keeps_its_promises() -> None:
    rng = np.random.default_rng(7)
    for kind in ("schedule", "distinct"):
        for _ in range(10):
            feasible = random_set(kind, rng, 6)
            assert isinstance(feasible, Appointments)
            for action in feasible.members:
                plan = feasible.plan(action)
                assert plan is not None
                assert sorted(plan) == np.flatnonzero(action).tolist()
                pairs = [pair for visits in plan.values() for pair in visits]
                assert len(set(pairs)) == len(pairs) == 2 * int(action.sum())
                for arm, visits in plan.items():
                    assert all(s in feasible.worker_slots[i] and s in feasible.arm_slots[arm] for i, s in visits)
                    assert kind == "schedule" or visits[0][0] != visits[1][0]


def test_tours_are_shortest_and_walk_along_edges() -> None:
    rng = np.random.default_rng(8)
    for _ in range(10):
        feasible = random_set("path", rng, 7)
        assert isinstance(feasible, Walks)
        stops = [j for j in range(5) if j != feasible.depot]
        length, order = shortest_tour(feasible.distance, feasible.depot, stops)
        lengths = [
            sum(feasible.distance[u, v] for u, v in zip((feasible.depot, *p), (*p, feasible.depot), strict=True))
            for p in permutations(stops)
        ]
        assert length == min(lengths)
        assert sorted(order) == stops
        for action in feasible.members[:: max(len(feasible.members) // 10, 1)]:
            walk = feasible.tour(action)
            assert walk[0] == walk[-1] == feasible.depot
            assert len(walk) - 1 <= feasible.length
            assert set(np.flatnonzero(action).tolist()) <= set(walk)
            assert all(v in feasible.neighbours[u] for u, v in pairwise(walk))


def test_a_longer_walk_than_dynamic_programming_takes_is_decided_by_edges() -> None:
    ring = Walks(16, [(j, (j + 1) % 16) for j in range(16)], 0, 16, 16)
    assert ring.contains(np.ones(16, dtype=int))
    star = Walks(15, [(0, j) for j in range(1, 15)], 0, 27, 15)
    assert "28 edges, at most 27" in star.violations(np.ones(15, dtype=int))[0]
    assert len(Walks(15, star.edges, 0, 28, 15).tour(np.ones(15, dtype=int))) == 29


def test_drawn_walks_are_maximal_and_those_that_growing_node_by_node_gives() -> None:
    rng = np.random.default_rng(11)
    for trial in range(60):
        feasible = random_set("path", rng, 6 + trial % 8)
        assert isinstance(feasible, Walks)
        order = np.random.default_rng(trial)
        grown = FeasibleSet.sample(feasible, np.random.default_rng(trial))
        assert np.array_equal(feasible.sample(order), grown)
        assert feasible.contains(grown)
        assert not feasible.extendable(grown).any()
        part = grown * order.integers(0, 2, feasible.size).astype(np.int8)
        assert np.array_equal(feasible.extendable(part), FeasibleSet.extendable(feasible, part))
        beyond = np.ones(feasible.size, dtype=np.int8)
        assert np.array_equal(feasible.extendable(beyond), FeasibleSet.extendable(feasible, beyond))


def test_long_walks_are_drawn_within_their_length_and_copied_sets_draw_the_same() -> None:
    feasible = draw_instance(Size("path", 60), 4).feasible
    assert isinstance(feasible, Walks)
    for trial in range(20):
        action = feasible.sample(np.random.default_rng(trial))
        assert len(feasible.tour(action)) - 1 <= feasible.length
        assert action.sum() > 5
        assert not feasible.extendable(action)[action == 1].any()
        shorter = action.copy()
        shorter[np.flatnonzero(action)[trial % 3]] = 0
        joins = feasible.extendable(shorter)
        assert joins.any()
        assert all(feasible.contains(shorter + np.eye(60, dtype=np.int8)[j]) for j in np.flatnonzero(joins))
        assert np.array_equal(pickle.loads(pickle.dumps(feasible)).sample(np.random.default_rng(trial)), action)


def test_heuristic_walks_are_feasible_and_near_the_best() -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        feasible = random_set("path", rng, 8)
        assert isinstance(feasible, Walks)
        weights = rng.random(8)
        found = feasible.search(weights)
        assert feasible.contains(found)
        assert found @ weights >= 0.9 * (feasible.members @ weights).max()


@pytest.mark.parametrize(
    ("feasible", "action", "words"),
    [
        (Cardinality(3, 1), [1, 0, 1], "2 elements are chosen, the budget is 1"),
        (Cardinality(3, 2, exactly=True), [1, 0, 0], "expected exactly 2"),
        (Cardinality(3, 1), [1, 0], r"shape \(2,\)"),
        (Cardinality(3, 1), [0, 2, 0], "element 1 of the action is 2"),
        (Capacity([4, 3, 3, 2], [5, 4]), [1, 1, 1, 0], "arm 2 is the first that finds no worker"),
        (Capacity([4, 9], [5]), [0, 1], "arm 1 takes 9"),
        (Appointments([[0, 1], [0, 1]], [[0, 1]], 2, 2), [1, 1], r"arm 1 does not get 2 visits beside the arms \[0\]"),
        (Appointments([[0, 1], [0, 2]], [[0, 1], [2]], 3, 2, True), [1, 0], "arm 0 does not get 2 different workers"),
        (Walks(4, [(3, 1), (1, 2), (2, 0)], 3, 4, 2), [1, 0, 0, 0], "arm 0 is 3 edges from the depot 3"),
        (LinearSet([[1.0, 1.0]], [1.0], names=("nurse",)), [1, 1], "nurse is 2 by the elements"),
    ],
)
def test_an_infeasible_action_names_what_it_violates(feasible: FeasibleSet, action: list[int], words: str) -> None:
    with pytest.raises(InfeasibleActionError, match=words):
        feasible.check(action)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cardinality(3, 0), "feasible.budget is 0, expected an integer from 1 to 3"),
        (lambda: Cardinality(3, 4, exactly=True), "feasible.budget is 4"),
        (lambda: Capacity([4, 6], [3, 2]), r"the least cost is 4 \(arm 0\), the largest capacity of a worker 3"),
        (lambda: Appointments([[0]], [[1]], 2, 1), "no arm shares 2 visits"),
        (lambda: Walks(3, [(0, 1)], 0, 4, 1), "disconnected, no path leads from the depot 0 to arm 2"),
        (lambda: LinearSet([[2.0, 3.0]], [1.0], names=("van",)), "no element fits the rows van"),
        (lambda: LinearSet([[1.0, 1.0]], [5.0], [3.0]), "contradict each other"),
        (lambda: LinearSet([[1.0, float("nan")]], [1.0]), "feasible.matrix"),
        (lambda: Cardinality(2, 1).maximise([1.0, float("nan")]), r"weights\[1\] is nan"),
        (lambda: read_set({"kind": "capcity"}, 3), "did you mean 'capacity'"),
    ],
)
def test_a_malformed_set_is_refused_in_one_line(make, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_ties_go_to_the_fewest_then_the_lowest_elements() -> None:
    assert Cardinality(4, 2).maximise([1, 1, 1, 0]).tolist() == [1, 1, 0, 0]
    assert Capacity([1, 1, 1], [2]).maximise([1, 1, 1]).tolist() == [1, 1, 0]
    assert Capacity([1, 1, 1], [2]).maximise([0, 1, 0]).tolist() == [0, 1, 0]
    assert Cardinality(4, 2, exactly=True).maximise([-1, -1, -1, -2]).tolist() == [1, 1, 0, 0]


def test_packing_is_exact_where_greedy_fails() -> None:
    assert packs([4, 4, 3, 3, 3, 3], [10, 10])
    assert packs([3, 3, 2, 2, 2], [6, 6])
    assert not packs([4, 4, 4], [7, 5])
    assert packs([], [])


def test_other_programs_for_walks_and_packings_find_the_same_values() -> None:
    rng = np.random.default_rng(12)
    for _ in range(12):
        walks, hours = random_set("path", rng, 6), random_set("capacity", rng, 7)
        assert isinstance(walks, Walks)
        assert isinstance(hours, Capacity)
        weights = rng.normal(0.5, 1.0, 7)
        assert walks.solve_by_program(weights[:6]).value == pytest.approx(best_by_time(walks, weights[:6]), abs=1e-7)
        assert hours.solve_by_program(weights).value == pytest.approx(best_by_assignment(hours, weights), abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_elements_of_a_kind_stand_in_for_each_other(kind: str) -> None:
    rng, swapped = np.random.default_rng(11), 0
    for _ in range(6):
        feasible = random_set(kind, rng, 6)
        members = {tuple(row) for row in feasible.enumerate().tolist()}
        for one, other in combinations(range(6), 2):
            if feasible.kinds[one] != feasible.kinds[other]:
                continue
            order = np.arange(6)
            order[[one, other]] = other, one
            swapped += 1
            assert {tuple(np.array(member)[order].tolist()) for member in members} == members
    assert swapped > 0 or kind in ("path", "linear")


def test_a_good_action_comes_quickly_where_the_best_takes_long() -> None:
    rng = np.random.default_rng(12)
    walks = draw_instance(Size("path", 60), 0).feasible
    weights = rng.uniform(0.0, 1.0, 60)
    action = walks.quick(weights)
    walks.check(action)
    assert isinstance(walks, Walks)
    assert action @ weights > 0.9 * (walks.search(weights, 20) @ weights)
    small = draw_instance(Size("capacity", 20), 0).feasible
    assert small.quick(weights[:20]) @ weights[:20] == pytest.approx(small.solve(weights[:20]).value)
