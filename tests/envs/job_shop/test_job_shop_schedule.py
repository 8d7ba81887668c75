"""The check of schedules against hand-made cases, deliberate damage, and a replay unit by unit of time."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.job_shop.bounds import job_bound, lower_bound, machine_bound
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule, completion_time, swaps, validate


def unit_by_unit(start, time, windows, mode):
    """Completion of one operation and whether it is lost, one unit of time after the other."""
    now, done = start, 0
    while done < time:
        if any(b <= now < e for b, e in windows):
            if mode == "scrap":
                return now, True
            if mode == "repeat":
                done = 0
        else:
            done += 1
        now += 1
    return now, False


def build(times, machines, starts, blocking, windows=(), mode="resume", **fields):
    instance = JobShopInstance.from_routes("case", times, machines, len(windows) or None)
    start = np.full(instance.times.shape, -1, dtype=np.int64)
    completion = start.copy()
    for j, row in enumerate(starts):
        for k, begin in enumerate(row):
            start[j, k] = begin
            down = windows[machines[j][k]] if windows else ()
            completion[j, k] = unit_by_unit(begin, times[j][k], down, mode)[0]
    downtime = tuple(tuple(machine) for machine in windows)
    return JobShopSchedule(instance, blocking, start, completion, mode, downtime=downtime, **fields)


CASE_A = ([[3, 2], [2, 4]], [[0, 1], [1, 0]])
CASE_B = ([[2, 3], [2, 1], [2, 2]], [[0, 1], [1, 2], [2, 0]])
CASE_C = ([[3, 2, 4], [4, 1, 3], [1, 4, 1]], [[1, 2, 0], [0, 1, 2], [2, 1, 0]])
CASE_D = ([[3, 2], [3, 2]], [[1, 0], [1, 0]])
CASE_E = ([[2, 3, 2], [3, 1, 1]], [[0, 1, 0], [0, 0, 1]])
CASE_F = ([[2, 3], [1, 4]], [[0, 1], [0, 1]])
CASE_G = ([[1, 6], [6, 5]], [[0, 1], [1, 0]])
DOWN_D = [[(4, 8)], []]
DOWN_F = [[(2, 6)], []]
DOWN_G = [[], [(8, 9)]]


@pytest.mark.parametrize(
    "case, starts, blocking, windows, mode, makespan",
    [
        (CASE_A, [(0, 3), (0, 3)], "none", (), "resume", 7),
        (CASE_A, [(0, 3), (0, 3)], "swap", (), "resume", 7),
        (CASE_A, [(0, 3), (5, 7)], "no-swap", (), "resume", 11),
        (CASE_B, [(0, 2), (0, 2), (0, 2)], "swap", (), "resume", 5),
        (CASE_B, [(0, 2), (0, 2), (3, 5)], "no-swap", (), "resume", 7),
        (CASE_C, [(0, 3, 5), (0, 4, 5), (0, 5, 9)], "none", (), "resume", 10),
        (CASE_C, [(0, 3, 5), (0, 4, 6), (5, 6, 10)], "swap", (), "resume", 11),
        (CASE_C, [(5, 8, 10), (6, 10, 11), (0, 1, 5)], "no-swap", (), "resume", 14),
        (CASE_D, [(0, 3), (3, 9)], "swap", DOWN_D, "resume", 11),
        (CASE_D, [(0, 3), (3, 10)], "swap", DOWN_D, "repeat", 12),
        (CASE_D, [(0, 8), (8, 11)], "swap", DOWN_D, "scrap", 13),
        (CASE_E, [(0, 2, 6), (2, 5, 6)], "swap", (), "resume", 8),
        (CASE_F, [(0, 2), (6, 7)], "swap", DOWN_F, "resume", 11),
        (CASE_F, [(1, 7), (0, 1)], "swap", DOWN_F, "resume", 10),
        (CASE_G, [(0, 9), (0, 9)], "swap", DOWN_G, "scrap", 15),
        (CASE_G, [(0, 6), (0, 6)], "swap", DOWN_G, "resume", 13),
        (CASE_G, [(0, 6), (0, 6)], "swap", DOWN_G, "repeat", 15),
    ],
)
def test_hand_made_schedules_are_valid(case, starts, blocking, windows, mode, makespan):
    times, machines = case
    schedule = build(times, machines, starts, blocking, windows, mode)
    assert validate(schedule) == []
    assert schedule.makespan == makespan


def test_release_and_pieces():
    schedule = build(*CASE_A, [(0, 3), (0, 3)], "swap")
    assert [schedule.release(j, k) for j in range(2) for k in range(2)] == [3, 5, 3, 7]
    classical = dataclasses.replace(schedule, blocking="none")
    assert [classical.release(j, k) for j in range(2) for k in range(2)] == [3, 5, 2, 7]


def test_swaps_are_found():
    assert swaps(build(*CASE_A, [(0, 3), (0, 3)], "none")) == []
    (swap,) = swaps(build(*CASE_B, [(0, 2), (0, 2), (0, 2)], "swap"))
    assert swap.time == 2
    assert dict(zip(swap.jobs, swap.machines, strict=True)) == {0: 1, 1: 2, 2: 0}


def scrapped():
    """Job 0 swaps onto machine 1 at 5, is lost there at 6 and begins again at 11."""
    lost = np.array([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 6]])
    return build(
        [[4, 6], [5, 6]],
        [[0, 1], [1, 0]],
        [(11, 15), (0, 5)],
        "swap",
        [[], [(6, 10)]],
        "scrap",
        lost=lost,
    )


def test_a_scrapped_piece():
    """The sheet's second scrap check: 21 without waiting, blocking with swaps."""
    schedule = scrapped()
    assert validate(schedule) == []
    assert schedule.makespan == 21
    lost, second, other = schedule.pieces()
    assert [(v.piece, v.start, v.end, v.release, v.cut) for v in lost] == [(0, 0, 4, 5, False), (0, 5, 6, 6, True)]
    assert [v.piece for v in second] == [1, 1]
    assert [v.job for v in other] == [1, 1]
    assert [(swap.time, swap.jobs) for swap in swaps(schedule)] == [(5, (0, 1))]


def test_a_locked_machine():
    """Case F: job 0 ends exactly when machine 0 breaks down; it may leave only if unloading is allowed."""
    early = build(*CASE_F, [(0, 2), (6, 7)], "swap", DOWN_F)
    assert validate(early) == []
    (message,) = validate(dataclasses.replace(early, unload_when_down=False))
    assert "leaves machine 0 at 2, which is down" in message
    assert validate(build(*CASE_F, [(0, 6), (6, 9)], "swap", DOWN_F, unload_when_down=False)) == []
    assert validate(dataclasses.replace(early, blocking="none", unload_when_down=False)) == []


def test_zero_times_pass_through_one_after_the_other():
    times, machines = [[0, 0, 2], [0, 0, 2]], [[0, 1, 2], [1, 0, 3]]
    assert validate(build(times, machines, [(0, 0, 0), (0, 0, 0)], "no-swap")) == []
    assert validate(build(times, machines, [(0, 0, 0), (0, 0, 0)], "swap")) == []


def test_zero_times_cannot_pass_an_occupied_machine():
    """At 5 job 1 would have to pass machine 0 after job 0 left it, and machine 1 before job 0 enters it."""
    times, machines = [[5, 5], [5, 0, 0, 1]], [[0, 1], [3, 0, 1, 2]]
    starts = [(0, 5), (0, 5, 5, 5)]
    for blocking in ("swap", "no-swap"):
        (message,) = validate(build(times, machines, starts, blocking))
        assert "at time 5 no order" in message
    assert validate(build(times, machines, starts, "none")) == []
    assert validate(build(times, machines, [(0, 5), (5, 10, 10, 10)], "no-swap")) == []


def test_an_unfinished_schedule():
    start = np.array([[0, -1], [0, -1]])
    completion = np.array([[3, -1], [2, -1]])
    instance = JobShopInstance.from_routes("A", *CASE_A)
    deadlock = JobShopSchedule(instance, "no-swap", start, completion, finished=False)
    assert validate(deadlock) == []
    assert deadlock.makespan == 3
    assert deadlock.release(0, 0) == -1
    running = JobShopSchedule(instance, "swap", start, np.array([[-1, -1], [2, -1]]), finished=False)
    assert validate(running) == []
    empty = JobShopSchedule(instance, "swap", np.full((2, 2), -1), np.full((2, 2), -1), finished=False)
    assert validate(empty) == []
    assert empty.makespan == 0


def change(schedule, **tables):
    """A copy with single entries changed: start={(0, 1): 5}; other fields are replaced."""
    fields = {}
    for name, value in tables.items():
        if name in ("start", "completion") and isinstance(value, dict):
            table = getattr(schedule, name).copy()
            for place, entry in value.items():
                table[place] = entry
            value = table
        fields[name] = value
    return dataclasses.replace(schedule, **fields)


def swap_a():
    return build(*CASE_A, [(0, 3), (0, 3)], "swap")


def classical_c():
    return build(*CASE_C, [(0, 3, 5), (0, 4, 5), (0, 5, 9)], "none")


def resumed():
    return build(*CASE_D, [(0, 3), (3, 9)], "swap", DOWN_D)


def revisit():
    return build(*CASE_E, [(0, 2, 6), (2, 5, 6)], "swap")


def with_lost(rows):
    return change(scrapped(), lost=np.array(rows, dtype=np.int64))


BROKEN = {
    "unknown blocking": (lambda: change(swap_a(), blocking="maybe"), "blocking is 'maybe'"),
    "unknown breakdown": (lambda: change(swap_a(), on_breakdown="explode"), "on_breakdown is 'explode'"),
    "wrong shape": (lambda: change(swap_a(), start=np.zeros((2, 3), dtype=np.int64)), r"start has shape \(2, 3\)"),
    "wrong shape of lost": (lambda: change(swap_a(), lost=np.zeros((1, 5))), r"lost has shape \(1, 5\)"),
    "negative time": (lambda: change(swap_a(), start={(0, 0): -3}), "start holds a negative time"),
    "times in padding": (
        lambda: change(build([[1, 1], [1]], [[0, 1], [2]], [(0, 1), (0,)], "none"), completion={(1, 1): 4}),
        "completion holds times behind the last operation",
    ),
    "down-times of too few machines": (lambda: change(swap_a(), downtime=((),)), "downtime has 1 entries"),
    "overlapping down-times": (
        lambda: change(resumed(), downtime=(((4, 8), (7, 9)), ())),
        "down-times of machine 0 are not sorted and apart",
    ),
    "never started": (
        lambda: change(swap_a(), start={(0, 1): -1}),
        "operation 1 of job 0 is completed at 5 but never started",
    ),
    "not completed": (lambda: change(swap_a(), completion={(1, 1): -1}), "operation 1 of job 1 is not completed"),
    "finished after all": (lambda: change(swap_a(), finished=False), "though the schedule is not finished"),
    "predecessor missing": (
        lambda: change(swap_a(), start={(0, 0): -1}, completion={(0, 0): -1}, finished=False),
        "operation 1 of job 0 is started, but operation 0 before it is not",
    ),
    "predecessor running": (
        lambda: change(swap_a(), completion={(0, 0): -1}, finished=False),
        "operation 1 of job 0 starts at 3, but operation 0 is not completed",
    ),
    "overdue": (
        lambda: change(swap_a(), completion={(0, 1): -1}, finished=False),
        "operation 1 of job 0 is still in progress at 7, but is completed at 5",
    ),
    "route order": (
        lambda: change(swap_a(), start={(0, 1): 2}, completion={(0, 1): 4}),
        "operation 1 of job 0 starts at 2, before operation 0 is completed at 3",
    ),
    "too short": (
        lambda: change(swap_a(), completion={(1, 1): 6}),
        "completed at 6, but started at 3 with .* 4 it .* 7",
    ),
    "too long": (
        lambda: change(swap_a(), completion={(1, 1): 8}),
        "completed at 8, but started at 3 with .* 4 it .* 7",
    ),
    "pause ignored": (lambda: change(resumed(), completion={(0, 1): 5}), "completed at 5, .* it is completed at 9"),
    "repeat called resume": (lambda: change(resumed(), on_breakdown="repeat"), "at 9, .* it is completed at 10"),
    "survived a loss": (lambda: change(resumed(), on_breakdown="scrap"), "at 9, .* it is lost at 4"),
    "start while down": (
        lambda: change(resumed(), start={(0, 1): 4}, completion={(0, 1): 10}),
        "operation 1 of job 0 starts at 4 on machine 0, which is down",
    ),
    "swap into a machine that is down": (
        lambda: change(swap_a(), downtime=(((3, 4),), ())),
        "operation 1 of job 1 starts at 3 on machine 0, which is down",
    ),
    "overlap": (
        lambda: change(classical_c(), start={(1, 2): 4}, completion={(1, 1): 4, (1, 2): 7}),
        "machine 2 holds operation 1 of job 0 until 5, but operation 2 of job 1 enters at 4",
    ),
    "blocking ignored": (
        lambda: change(classical_c(), blocking="swap"),
        "machine 2 holds operation 0 of job 2 until 5, but operation 1 of job 0 enters at 3",
    ),
    "zero length inside another": (
        lambda: build([[4], [0]], [[0], [0]], [(0,), (2,)], "none"),
        "machine 0 holds operation 0 of job 0 until 4, but operation 0 of job 1 enters at 2",
    ),
    "stands there for good": (
        lambda: JobShopSchedule(
            JobShopInstance.from_routes("A", *CASE_A),
            "swap",
            np.array([[0, -1], [0, 3]]),
            np.array([[3, -1], [2, 7]]),
            finished=False,
        ),
        "machine 0 holds operation 0 of job 0 until inf, but operation 1 of job 1 enters at 3",
    ),
    "swap without swaps": (
        lambda: change(swap_a(), blocking="no-swap"),
        "at time 3 no order lets every move of jobs 0, 1 find an empty machine: without swaps",
    ),
    "cycle of three without swaps": (
        lambda: build(*CASE_B, [(0, 2), (0, 2), (0, 2)], "no-swap"),
        "at time 2 no order lets every move of jobs 0, 1, 2",
    ),
    "continuation late": (
        lambda: build([[1, 1], [3]], [[0, 0], [1]], [(0, 2), (0,)], "swap"),
        "operation 1 of job 0 starts at 2 on the machine where its job stands, not at 1",
    ),
    "another passes a continuing job": (
        lambda: build([[1, 1], [0]], [[0, 0], [0]], [(0, 1), (1,)], "swap"),
        "machine 0 holds operation 0 of job 0 until 2, but operation 0 of job 1 enters at 1",
    ),
    "revisit overlaps": (
        lambda: change(revisit(), start={(0, 2): 5}, completion={(0, 2): 7}),
        "machine 0 holds operation 0 of job 1 until 6, but operation 2 of job 0 enters at 5",
    ),
    "lost although resumed": (
        lambda: change(scrapped(), on_breakdown="resume"),
        "lost although on_breakdown is 'resume'",
    ),
    "lost by an unknown job": (lambda: with_lost([[5, 0, 0, 0, 0, 4]]), "there is no operation 0 of job 5"),
    "lost on another machine": (
        lambda: with_lost([[0, 0, 0, 0, 0, 4], [0, 0, 1, 0, 5, 6]]),
        "operation 1 of job 0 stands on machine 0, its route says 1",
    ),
    "lost backwards": (
        lambda: with_lost([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 3]]),
        "operation 1 of job 0 runs from 5 to 3",
    ),
    "lost pieces miscounted": (
        lambda: with_lost([[0, 1, 0, 0, 0, 4], [0, 1, 1, 1, 5, 6]]),
        "job 0 has piece 1, operation 0, where one of",
    ),
    "lost too late": (
        lambda: with_lost([[0, 0, 0, 0, 0, 4], [0, 0, 1, 1, 5, 7]]),
        "operation 1 of job 0 is lost at 7, but started at 5 .* it is lost at 6",
    ),
    "lost for no reason": (
        lambda: with_lost([[0, 0, 0, 0, 0, 4]]),
        "operation 0 of job 0 is lost at 4, .* it is completed at 4",
    ),
    "lost out of route order": (
        lambda: with_lost([[0, 0, 0, 0, 2, 6], [0, 0, 1, 1, 5, 6]]),
        "operation 1 of job 0 starts at 5, before operation 0 is completed at 6",
    ),
    "new piece before the loss": (
        lambda: change(scrapped(), start={(0, 0): 5, (0, 1): 15}, completion={(0, 0): 9}),
        "operation 0 of job 0, piece 1 starts at 5, before the piece before it was lost at 6",
    ),
    "below the bounds": (lambda: change(swap_a(), completion={(1, 1): 5}), "makespan 5 is below the machine bound, 7"),
    "nothing done for a while": (
        lambda: build(*CASE_A, [(5, 8), (10, 12)], "swap"),
        "makespan 16 is above the total work 11",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_schedules_are_named(kind):
    make, expected = BROKEN[kind]
    messages = validate(make())
    assert any(re.search(expected, message) for message in messages), messages


def test_the_base_of_every_broken_schedule_is_valid():
    for base in (swap_a(), classical_c(), resumed(), revisit(), scrapped()):
        assert validate(base) == []


# --- against a replay unit by unit ------------------------------------------------------------------------------------


@st.composite
def shops(draw):
    jobs = draw(st.integers(2, 3))
    routes = [draw(st.lists(st.integers(0, 2), min_size=1, max_size=3)) for _ in range(jobs)]
    times = [[draw(st.integers(0, 3)) for _ in route] for route in routes]
    windows = []
    for _ in range(3):
        begin = draw(st.integers(1, 9))
        windows.append([(begin, begin + draw(st.integers(1, 3)))] if draw(st.booleans()) else [])
    return times, routes, windows if any(windows) else ()


class PieceLost(Exception):
    """The replay knows no second pieces."""


class Floor:
    """A shop in which the test moves jobs by hand, one unit of time after the other."""

    def __init__(self, times, routes, windows, blocking, mode, unload):
        self.times, self.routes, self.windows = times, routes, windows or [[]] * 3
        self.blocking, self.mode, self.unload = blocking, mode, unload
        self.now = 0
        self.at = [None] * len(routes)  # machine of each job
        self.next = [0] * len(routes)  # its next operation
        self.ends = [0] * len(routes)  # when the operation that it began last ends

    def down(self, machine):
        return any(b <= self.now < e for b, e in self.windows[machine])

    def clear(self):
        """Jobs that are completed leave for the buffer or for good."""
        for j, route in enumerate(self.routes):
            gone = self.next[j] == len(route) or self.blocking == "none"
            if self.at[j] is not None and gone and self.ends[j] <= self.now:
                self.at[j] = None

    def may_go(self, j):
        if self.next[j] == len(self.routes[j]) or self.ends[j] > self.now:
            return False
        target = self.routes[j][self.next[j]]
        locked = self.at[j] not in (None, target) and self.down(self.at[j]) and not self.unload
        return not self.down(target) and not locked

    def steps(self):
        """Groups of jobs that may move next; a job that continues where it stands has to."""
        ready = [j for j in range(len(self.routes)) if self.may_go(j)]
        target = {j: self.routes[j][self.next[j]] for j in ready}
        staying = [[j] for j in ready if self.at[j] == target[j]]
        if staying:
            return staying[:1]
        single = [[j] for j in ready if target[j] not in self.at]
        cycles = []
        if self.blocking == "swap":
            for size in range(2, len(ready) + 1):
                for group in permutations(ready, size):
                    if all(target[a] == self.at[b] for a, b in zip(group, group[1:] + group[:1], strict=True)):
                        cycles.append(list(group))
        return single + cycles

    def do(self, group):
        for j in group:
            machine, time = self.routes[j][self.next[j]], self.times[j][self.next[j]]
            self.at[j] = machine
            self.ends[j], lost = unit_by_unit(self.now, time, self.windows[machine], self.mode)
            if lost:
                raise PieceLost
            self.next[j] += 1
        self.clear()

    def state(self):
        return self.at[:], self.next[:], self.ends[:]

    def restore(self, state):
        self.at, self.next, self.ends = (part[:] for part in state)

    def done(self):
        return all(n == len(r) for n, r in zip(self.next, self.routes, strict=True))


def random_schedule(floor, draw_number):
    starts = [[-1] * len(route) for route in floor.routes]
    while not floor.done():
        assume(floor.now < 60)
        floor.clear()
        while options := floor.steps():
            staying = floor.at[options[0][0]] == floor.routes[options[0][0]][floor.next[options[0][0]]]
            if not staying and draw_number(4) == 0:
                break
            group = options[draw_number(len(options))]
            for j in group:
                starts[j][floor.next[j]] = floor.now
            floor.do(group)
        floor.now += 1
    return starts


def replays(floor, starts):
    """Whether some order of the moves at each time gives exactly these starts."""

    def moves_of_now():
        wanted = [j for j, s in enumerate(starts) if floor.next[j] < len(s) and s[floor.next[j]] == floor.now]
        if not wanted:
            return True
        for group in floor.steps():
            if all(j in wanted for j in group):
                state = floor.state()
                floor.do(group)
                if moves_of_now():
                    return True
                floor.restore(state)
        return False

    for now in range(1 + max(time for row in starts for time in row)):
        floor.now = now
        floor.clear()
        if not moves_of_now():
            return False
        # A continuation that could happen now and is not wanted now makes the schedule wrong.
        if floor.blocking != "none" and any(
            floor.may_go(j) and floor.at[j] == floor.routes[j][floor.next[j]] for j in range(len(starts))
        ):
            return False
    return floor.done()


@settings(max_examples=300, deadline=None)
@given(
    shop=shops(),
    blocking=st.sampled_from(["swap", "no-swap", "none"]),
    mode=st.sampled_from(["resume", "repeat", "scrap"]),
    unload=st.booleans(),
    data=st.data(),
)
def test_validate_agrees_with_a_replay(shop, blocking, mode, unload, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    times, routes, windows = shop
    rules = (windows, blocking, mode, unload)
    try:
        starts = random_schedule(Floor(times, routes, *rules), lambda n: int(rng.integers(n)))
    except PieceLost:
        reject()

    def violations(starts):
        schedule = build(times, routes, starts, blocking, windows, mode, unload_when_down=unload)
        # Waiting for no reason breaks only the upper bound, of which the replay knows nothing.
        return [message for message in validate(schedule) if "above the total work" not in message]

    assert violations(starts) == []
    for _ in range(3):
        damaged = [list(row) for row in starts]
        j = int(rng.integers(len(routes)))
        k = int(rng.integers(len(routes[j])))
        damaged[j][k] = max(damaged[j][k] + int(rng.integers(-3, 4)), 0)
        try:
            expected = replays(Floor(times, routes, *rules), damaged)
        except PieceLost:
            expected = False
        assert (violations(damaged) == []) == expected, (damaged, violations(damaged))


@given(
    start=st.integers(0, 12),
    time=st.integers(0, 8),
    gaps=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), max_size=4),
    mode=st.sampled_from(["resume", "repeat", "scrap"]),
)
def test_completion_time_equals_unit_by_unit(start, time, gaps, mode):
    windows, now = [], 0
    for up, down in gaps:
        windows.append((now + up, now + up + down))
        now += up + down
    assume(not any(b <= start < e for b, e in windows))
    # Past the last window every gap is long enough, so that `repeat` ends.
    assert completion_time(start, time, windows, mode) == unit_by_unit(start, time, windows, mode)


# --- files ------------------------------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path):
    schedule = scrapped()
    schedule.save(tmp_path / "schedule.json")
    loaded = JobShopSchedule.load(tmp_path / "schedule.json")
    assert loaded.to_dict() == schedule.to_dict()
    for name in ("start", "completion", "lost"):
        assert np.array_equal(getattr(loaded, name), getattr(schedule, name))
        assert getattr(loaded, name).dtype == np.int64
    assert loaded.downtime == schedule.downtime
    assert validate(loaded) == []


@pytest.mark.parametrize(
    "field, value, named",
    [
        ("format", "makespan/other", "format"),
        ("version", 2, "version"),
        ("version", True, "version"),
        ("blocking", "sometimes", "blocking"),
        ("on_breakdown", 3, "on_breakdown"),
        ("unload_when_down", 1, "unload_when_down"),
        ("finished", "yes", "finished"),
        ("start", [[0, 1]], "start"),
        ("start", [[0, 1], [0]], r"start\[1\]"),
        ("completion", [[0, 1], [0, 1.5]], r"completion\[1\]"),
        ("downtime", [[]], "downtime"),
        ("downtime", [[], [[6]]], r"downtime\[1\]\[0\]"),
        ("lost", [[0, 0, 0, 0, 0]], r"lost\[0\]"),
        ("colour", "red", "colour"),
    ],
)
def test_malformed_files_are_named(field, value, named):
    data = scrapped().to_dict() | {field: value}
    with pytest.raises(FieldError, match=named):
        JobShopSchedule.from_dict(data, "plan.json")


def test_missing_fields_and_no_json(tmp_path):
    data = scrapped().to_dict()
    for field in data:
        rest = {name: value for name, value in data.items() if name != field}
        with pytest.raises(FieldError, match=field):
            JobShopSchedule.from_dict(rest)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(data)[:-5])
    with pytest.raises(UserError, match=r"broken\.json"):
        JobShopSchedule.load(path)
    path.write_text("[]")
    with pytest.raises(FieldError, match="the document"):
        JobShopSchedule.load(path)


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_bounds_by_hand():
    instance = JobShopInstance.from_routes("C", *CASE_C)
    assert job_bound(instance) == 9
    # Machines 0 to 2: heads 0, tails 0, work 9; heads 0, tails 1, work 8; heads 0, tails 0, work 6.
    assert machine_bound(instance) == 9
    # Machine 0: least head 2, work 3 + 4, least tail 1; job bound 2 + 4 + 1.
    tailed = JobShopInstance.from_routes("tailed", [[2, 3, 1], [2, 4, 1]], [[1, 0, 2], [3, 0, 2]])
    assert (job_bound(tailed), machine_bound(tailed), lower_bound(tailed)) == (7, 10, 10)
