"""The exact models against hand-made cases, known optima, and a search over all reachable states, unit by unit."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from makespan.agents.job_shop.cp_sat import solve_job_shop
from makespan.envs.core.errors import FieldError, MissingExtraError
from makespan.envs.job_shop.bounds import lower_bound
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import BLOCKING, ON_BREAKDOWN, JobShopSchedule, validate

MODES = ("none", "swap", "no-swap")


def optimum(instance, blocking, seconds=30.0, **options):
    result = solve_job_shop(instance, blocking, seconds, **options)
    assert result.proved
    assert result.schedule is not None
    assert result.objective is not None
    assert validate(result.schedule) == []
    assert result.schedule.makespan == result.objective == result.bound >= lower_bound(instance)
    return result.objective


def case(times, machines, **options):
    return JobShopInstance.from_routes("case", times, machines, **options)


@pytest.mark.parametrize(
    "times, machines, optima",
    [
        ([[3, 2], [2, 4]], [[0, 1], [1, 0]], (7, 7, 11)),
        ([[2, 3], [2, 1], [2, 2]], [[0, 1], [1, 2], [2, 0]], (5, 5, 7)),
        ([[3, 2, 4], [4, 1, 3], [1, 4, 1]], [[1, 2, 0], [0, 1, 2], [2, 1, 0]], (10, 11, 14)),
        ([[2, 3, 2], [3, 1, 1]], [[0, 1, 0], [0, 0, 1]], (8, 8, 11)),
    ],
    ids="ABCE",
)
def test_hand_made_cases(times, machines, optima):
    assert tuple(optimum(case(times, machines), blocking) for blocking in MODES) == optima


@pytest.mark.parametrize(
    "times, machines, windows, optima",
    [
        ([[3, 2], [3, 2]], [[1, 0], [1, 0]], [[(4, 8)], []], [(11, 12, 12), (11, 12, 13), (11, 12, 13)]),
        ([[2, 3], [1, 4]], [[0, 1], [0, 1]], [[(2, 6)], []], [(10, 11, 11)] * 3),
        ([[1, 6], [6, 5]], [[0, 1], [1, 0]], [[], [(8, 9)]], [(13, 15, 15), (13, 15, 15), (18, 18, 18)]),
        ([[4, 6], [5, 6]], [[0, 1], [1, 0]], [[], [(6, 10)]], [None, (15, 16, 16), None]),
    ],
    ids=["D", "F", "G", "scrap check"],
)
def test_hand_made_cases_with_windows(times, machines, windows, optima):
    for blocking, expected in zip(MODES, optima, strict=True):
        if expected is None:
            continue
        found = tuple(
            optimum(case(times, machines), blocking, windows=windows, on_breakdown=mode) for mode in ON_BREAKDOWN
        )
        assert found == expected


def test_windows_of_the_instance_are_the_default():
    instance = case([[3, 2], [3, 2]], [[1, 0], [1, 0]], windows=[[(4, 8)], []])
    assert optimum(instance, "swap", on_breakdown="repeat") == 12
    assert optimum(instance, "swap", on_breakdown="repeat", windows=()) == 8


def test_a_locked_machine_costs_time():
    """Job 1 ends on machine 0 at 2, when it breaks down: it goes on at once, or stands there until 6."""
    instance = case([[2, 3], [2, 4]], [[0, 1], [0, 1]])
    options = {"windows": [[(2, 6)], []], "on_breakdown": "resume"}
    assert optimum(instance, "swap", **options) == 11
    assert optimum(instance, "swap", unload_when_down=False, **options) == 13
    assert optimum(instance, "none", unload_when_down=False, **options) == 11


@pytest.mark.parametrize(
    "name, blocking, expected",
    [
        ("ft06", "none", 55),
        ("ft06", "swap", 63),
        ("ft06", "no-swap", 69),
        ("la03", "none", 597),
        ("la05", "swap", 664),
        ("la05", "no-swap", 732),
    ],
)
def test_known_optima(name, blocking, expected):
    assert optimum(named_instance(name), blocking) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, blocking, expected",
    [
        ("la01", "swap", 793),
        ("la02", "swap", 793),
        ("la03", "swap", 715),
        ("la04", "swap", 743),
        ("la17", "swap", 929),
        ("orb02", "swap", 1041),
        ("ft10", "none", 930),
    ],
)
def test_known_optima_that_take_longer(name, blocking, expected):
    assert optimum(named_instance(name), blocking, 600.0) == expected


# --- against a search over all reachable states -----------------------------------------------------------------------


def unit_by_unit(start, time, windows, mode):
    """Completion of one operation, None where its piece is lost."""
    now, done = start, 0
    while done < time:
        if any(b <= now < e for b, e in windows):
            if mode == "scrap":
                return None
            if mode == "repeat":
                done = 0
        else:
            done += 1
        now += 1
    return now


class Search:
    """All states that a shop can reach at each time; a state holds per job (operations begun, end of the last)."""

    def __init__(self, times, routes, blocking, windows, mode, unload):
        self.times, self.routes, self.blocking = times, routes, blocking
        self.windows, self.mode, self.unload = windows, mode, unload

    def optimum(self):
        states = {tuple((0, 0) for _ in self.routes)}
        for now in range(1000):
            # Ends that have passed no longer matter.
            states = {tuple((begun, max(end, now)) for begun, end in state) for state in states}
            states = self.reach(states, now)
            if any(self.done(state, now) for state in states):
                return now
        raise AssertionError("no schedule")

    def done(self, state, now):
        return all(b == len(r) and end <= now for (b, end), r in zip(state, self.routes, strict=True))

    def place(self, j, begun, end, now):
        if begun == 0 or (end <= now and (begun == len(self.routes[j]) or self.blocking == "none")):
            return None
        return self.routes[j][begun - 1]

    def reach(self, states, now):
        """Every state that moves at this time can lead to; jobs that must continue where they stand have done so."""
        seen, stack, settled = set(states), list(states), set()
        while stack:
            state = stack.pop()
            following, forced = self.steps(state, now)
            if not forced:
                settled.add(state)
            for other in following:
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        return settled

    def steps(self, state, now):
        places = [self.place(j, begun, end, now) for j, (begun, end) in enumerate(state)]
        wishes = {}
        for j, (begun, end) in enumerate(state):
            if begun < len(self.routes[j]) and end <= now:
                target = self.routes[j][begun]
                locked = places[j] not in (None, target) and self.down(places[j], now) and not self.unload
                if not self.down(target, now) and not locked:
                    wishes[j] = target
        for j, target in wishes.items():
            if places[j] == target:
                return [s for s in [self.move(state, [j], now)] if s], True
        groups = [[j] for j, target in wishes.items() if target not in places]
        if self.blocking == "swap":
            groups += self.cycles(wishes, places)
        return [s for s in (self.move(state, group, now) for group in groups) if s], False

    def cycles(self, wishes, places):
        found = []
        for first in wishes:
            path = [first]
            while len(path) <= len(wishes):
                holder = next((j for j in wishes if places[j] == wishes[path[-1]]), None)
                if holder == first and len(path) > 1:
                    found.append(path)
                if holder is None or holder in path:
                    break
                path.append(holder)
        return found

    def move(self, state, jobs, now):
        changed = list(state)
        for j in jobs:
            begun, _ = state[j]
            machine = self.routes[j][begun]
            end = unit_by_unit(now, self.times[j][begun], self.windows[machine], self.mode)
            if end is None:
                return None
            changed[j] = (begun + 1, end)
        return tuple(changed)

    def down(self, machine, now):
        return any(b <= now < e for b, e in self.windows[machine])


def random_case(rng, with_windows, least_time=0):
    jobs, operations = ((2, 2), (2, 3), (3, 2))[rng.integers(3)]
    count = [int(rng.integers(1, operations + 1)) if rng.integers(3) == 0 else operations for _ in range(jobs)]
    machines = int(rng.integers(2, 4))
    routes = [rng.integers(0, machines, length).tolist() for length in count]
    times = [rng.integers(least_time, 5, length).tolist() for length in count]
    windows = []
    for _ in range(machines):
        starts = np.sort(rng.choice(8, 2, replace=False) * 2)
        here = [(int(b), int(b + rng.integers(1, 2 if b + 2 in starts else 4))) for b in starts]
        windows.append(here[: rng.integers(3)] if with_windows else [])
    return times, routes, machines, windows


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_search_over_all_states(seed):
    """Revisits, same-machine successors, skipped machines and times of zero included."""
    times, routes, machines, _ = random_case(np.random.default_rng([seed, 0]), with_windows=False)
    instance = case(times, routes, num_machines=machines)
    optima = [optimum(instance, blocking) for blocking in MODES]
    assert optima == [Search(times, routes, b, [[]] * machines, "resume", True).optimum() for b in MODES]
    assert optima == sorted(optima)
    assert optima[-1] <= instance.times.sum()


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_search_with_windows(seed):
    rng = np.random.default_rng([seed, 1])
    times, routes, machines, windows = random_case(rng, with_windows=True)
    instance = case(times, routes, num_machines=machines)
    blocking, unload = MODES[seed % 3], bool(rng.integers(2))
    for mode in ON_BREAKDOWN:
        found = optimum(instance, blocking, windows=windows, on_breakdown=mode, unload_when_down=unload)
        assert found == Search(times, routes, blocking, windows, mode, unload).optimum()


@pytest.mark.parametrize("seed", range(4))
def test_relations_between_modes_and_reversal(seed):
    rng = np.random.default_rng([seed, 2])
    times = rng.integers(1, 20, (4, 4)).tolist()
    routes = [rng.permutation(4).tolist() for _ in range(4)]
    forward = [optimum(case(times, routes), blocking) for blocking in MODES]
    backward = [optimum(case([t[::-1] for t in times], [r[::-1] for r in routes]), blocking) for blocking in MODES]
    assert forward == sorted(forward) == backward
    assert forward[-1] <= sum(map(sum, times))


@pytest.mark.parametrize("seed", range(6))
def test_a_window_more_never_helps_and_time_scales(seed):
    times, routes, machines, windows = random_case(np.random.default_rng([seed, 3]), with_windows=True, least_time=1)
    blocking, mode = MODES[seed % 3], ON_BREAKDOWN[seed % 2]
    instance = case(times, routes, num_machines=machines)
    found = optimum(instance, blocking, windows=windows, on_breakdown=mode)
    for m, machine in enumerate(windows):
        for k in range(len(machine)):
            fewer = [*windows[:m], [*machine[:k], *machine[k + 1 :]], *windows[m + 1 :]]
            assert found >= optimum(instance, blocking, windows=fewer, on_breakdown=mode)
    tripled = case([[3 * time for time in row] for row in times], routes, num_machines=machines)
    longer = [[(3 * b, 3 * e) for b, e in machine] for machine in windows]
    assert optimum(tripled, blocking, windows=longer, on_breakdown=mode) == 3 * found


def test_zero_times_cannot_pass_through_an_occupied_machine():
    """Where no rank ordered the moves of one instant, job 1 would slip through machines 0 and 1 at 5."""
    times, routes = [[5, 5], [5, 0, 0, 1]], [[0, 1], [3, 0, 1, 2]]
    for blocking in ("swap", "no-swap"):
        found = optimum(case(times, routes), blocking)
        assert found == Search(times, routes, blocking, [[]] * 4, "resume", True).optimum() == 11
    assert optimum(case(times, routes), "none") == 10


# --- the call ---------------------------------------------------------------------------------------------------------


def test_a_start_is_kept_or_bettered():
    instance = named_instance("la17")
    first = solve_job_shop(instance, "swap", 20.0, work=0.3).schedule
    assert first is not None
    none_left = solve_job_shop(instance, "swap", 0.0, start=first)
    assert none_left.schedule is first
    assert none_left.bound >= lower_bound(instance)
    assert not none_left.proved
    more = solve_job_shop(instance, "swap", 20.0, work=0.3, start=first)
    assert more.objective is not None
    assert more.schedule is not None
    assert more.objective <= first.makespan
    assert validate(more.schedule) == []


def test_a_start_that_lost_a_piece():
    """The sheet's second scrap check, from its play without waiting, 21, to the optimum, 16."""
    instance = case([[4, 6], [5, 6]], [[0, 1], [1, 0]], windows=[[], [(6, 10)]])
    start = JobShopSchedule(
        instance,
        "swap",
        np.array([[11, 15], [0, 5]]),
        np.array([[15, 21], [5, 11]]),
        "scrap",
        downtime=((), ((6, 10),)),
        lost=np.array([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 6]]),
    )
    assert solve_job_shop(instance, "swap", 0.0, on_breakdown="scrap", start=start).objective == 21
    assert optimum(instance, "swap", on_breakdown="scrap", start=start) == 16


def test_no_time_no_schedule():
    result = solve_job_shop(named_instance("la17"), "no-swap", 0.0)
    assert (result.schedule, result.objective, result.proved) == (None, None, False)
    assert result.bound == lower_bound(named_instance("la17"))


def test_a_known_bound_proves():
    instance = named_instance("ft06")
    best = solve_job_shop(instance, "swap", 30.0).schedule
    result = solve_job_shop(instance, "swap", 0.0, start=best, known_bound=63)
    assert result.proved
    assert result.schedule is best


def test_same_work_same_schedule():
    runs = [solve_job_shop(named_instance("la02"), "swap", 60.0, work=0.2, seed=3) for _ in range(2)]
    assert runs[0].objective == runs[1].objective
    assert runs[0].schedule is not None
    assert runs[1].schedule is not None
    assert np.array_equal(runs[0].schedule.start, runs[1].schedule.start)


def test_arguments_that_do_not_fit():
    instance = case([[3, 2], [2, 4]], [[0, 1], [1, 0]])
    good = solve_job_shop(instance, "swap").schedule
    wrong = [
        {"blocking": "bws"},
        {"on_breakdown": "explode"},
        {"windows": [[(0, 1)]]},
        {"windows": [[(3, 2)], []]},
        {"windows": [[(1, 3), (3, 4)], []]},
        {"blocking": "no-swap", "start": good},
        {"blocking": "swap", "start": good, "windows": [[(3, 4)], []]},
        {"blocking": "swap", "start": solve_job_shop(case([[1, 1]], [[0, 1]]), "swap").schedule},
    ]
    for options in wrong:
        with pytest.raises(FieldError):
            solve_job_shop(instance, **options)


def test_without_ortools(monkeypatch):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(MissingExtraError, match="ortools"):
        solve_job_shop(case([[3, 2], [2, 4]], [[0, 1], [1, 0]]))


def test_every_mode_is_tested():
    assert set(MODES) == set(BLOCKING)
