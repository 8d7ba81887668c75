"""Run times of plans: the queue of the judge and the equal shares of the second one, by hand and against slow twins."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement, Transfer
from support.memory_game import played_plan
from support.memory_hand_games import hand_hardware, hand_program
from support.memory_programs import random_program


def test_nothing_placed_takes_the_time_of_hbm_by_all() -> None:
    for seed in range(50):
        instance = random_program(seed)
        times = run_times(MemoryPlan(instance, ()))
        expected = instance.all_hbm_ps
        assert (times.all_hbm_ps, times.proxy_ps, times.judged_ps, times.shared_ps) == (expected,) * 4
        assert not times.wait_ps.any()
        assert not times.pieces


def test_the_queue_is_first_come_first_served() -> None:
    # Both fetches fit: 50 of tensor 0 until instruction 3, 20 of tensor 1 until 2. But tensor 0 came first: it uses all
    # 30 of instruction 0 and 20 of instruction 1, which leaves 10 there, so that instruction 2 waits 10.
    program = hand_program([("param", 50), ("param", 20)], [(30, [], []), (30, [], []), (30, [1], []), (0, [0], [])])
    plan = MemoryPlan(program, (Placement(0, 0, 3, 0, copy=(-1, 3)), Placement(1, 1, 2, 50, copy=(0, 2))))
    times = run_times(plan)
    assert times.wait_ps.tolist() == [0, 0, 10, 0]
    assert times.moved_ps.tolist() == [30, 30, 0, 0]
    assert times.supply_ps.tolist() == [30, 30, 30, 13]
    assert (times.proxy_ps, times.judged_ps) == (30 + 30 + 30 + 13, 113)
    assert [(p.transfer, p.instruction, p.waiting, p.begin, p.end) for p in times.pieces] == [
        (0, 0, False, 0, 30),
        (0, 1, False, 0, 20),
        (1, 1, False, 20, 30),
        (1, 2, True, 0, 10),
    ]


def test_who_waits_takes_what_is_before_it_in_the_queue_along() -> None:
    # Nothing is left during instruction 0. Instruction 1 waits for tensor 1 (10), and so for tensor 0 (40) before it.
    program = hand_program([("param", 40), ("param", 10), ("input", 20)], [(0, [2], []), (0, [1], []), (0, [0], [])])
    plan = MemoryPlan(program, (Placement(0, 0, 2, 0, copy=(-1, 2)), Placement(1, 0, 1, 40, copy=(-1, 1))), "unlimited")
    # (-1, 1) stands before (-1, 2): only 10 at instruction 1; the 40 then find 3 of instruction 1, and 37 before 2.
    assert run_times(plan).wait_ps.tolist() == [0, 10, 37]
    late = MemoryPlan(program, (replace(plan.placements[0]), Placement(1, 1, 1, 40, copy=(0, 1))), "unlimited")
    assert run_times(late).wait_ps.tolist() == [0, 50, 0]


def test_waits_count_in_every_round_and_transfers_end_with_their_segment() -> None:
    # In each of 3 rounds the fetch finds 5 in instruction 1 and waits 35; the write-back of what the loop's last
    # instruction writes is waited for at its end, 20 each time.
    program = hand_program(
        [("param", 40), ("act", 20)],
        [(7, [], []), (5, [], []), (0, [0], [1]), (9, [], []), (0, [1], [])],
        loops=((1, 2, 3),),
    )
    plan = MemoryPlan(
        program, (Placement(0, 1, 2, 0, copy=(0, 2)), Placement(1, 2, 2, 40, write_backs=((2, 3),))), "unlimited"
    )
    times = run_times(plan)
    assert times.wait_ps.tolist() == [0, 0, 35, 0, 0]
    assert times.end_wait_ps.tolist() == [0, 20, 0]
    assert times.proxy_ps == 7 + 3 * (5 + 10 + 10) + 9 + 20
    assert times.judged_ps == times.proxy_ps + 3 * 55


def test_a_fetch_and_a_write_back_at_the_border_of_segments_belong_to_their_own() -> None:
    program = hand_program(
        [("param", 40), ("output", 20)], [(0, [], [1]), (0, [0], []), (3, [], [])], loops=((1, 2, 4),)
    )
    plan = MemoryPlan(
        program, (Placement(1, 0, 0, 0, write_backs=((0, 1),)), Placement(0, 1, 1, 20, copy=(0, 1))), "unlimited"
    )
    times = run_times(plan)
    assert times.end_wait_ps.tolist() == [20, 0]
    assert times.wait_ps.tolist() == [0, 40, 0]
    assert times.judged_ps == (10 + 20) + 4 * (40 + 10 + 3)


def test_equal_shares_by_hand() -> None:
    # Instruction 0 reads 60, two fetches of 30 and 60 begin beside it: each has a third. At 90 the first fetch is done
    # (30 each). Then two: at 150 instruction 0 and the other fetch are done. Instruction 1 takes 8, instruction 2 15.
    program = hand_program([("input", 60), ("param", 30), ("param", 60)], [(0, [0], []), (0, [1], []), (0, [2], [])])
    plan = MemoryPlan(program, (Placement(1, 0, 1, 0, copy=(-1, 1)), Placement(2, 0, 2, 30, copy=(-1, 2))), "unlimited")
    assert run_times(plan).shared_ps == 150 + 8 + 15
    # By the queue: instruction 0 takes 60, instruction 1 waits 30 and leaves 8; instruction 2 waits 52.
    assert run_times(plan).judged_ps == 60 + 30 + 8 + 52 + 15


def test_an_instruction_shares_before_its_cmem_traffic_and_beside_its_computation() -> None:
    # Instruction 0 reads 40 from HBM beside the fetch of 100: until 80, then writes CMEM until 100, computes until 130.
    program = hand_program(
        [("input", 40), ("param", 100), ("act", 40)],
        [(130, [0], [2]), (0, [1, 2], [])],
        hand_hardware(cmem=200, overhead=5),
    )
    plan = MemoryPlan(program, (Placement(1, 0, 1, 0, copy=(-1, 1)), Placement(2, 0, 1, 100)), "unlimited")
    # The fetch has had 40 at 80 and the remaining 60 at 140, past the 5 of overhead: instruction 1 waits 5.
    assert run_times(plan).shared_ps == 140 + 25 + 10 + 5


@pytest.mark.parametrize("seed", range(60))
def test_both_judges_agree_with_their_slow_twins(seed: int) -> None:
    instance = random_program(seed, 5 + seed % 6)
    for supply in ("contended", "elapsed"):
        plan = delayed(played_plan(instance, seed, supply), seed)
        times = run_times(plan)
        assert times.judged_ps == slow_queue(plan)
        assert abs(times.shared_ps - slow_shares(plan)) <= sum(trips for _, _, trips in instance.segments)
        assert times.proxy_ps <= times.judged_ps
        assert times.proxy_ps <= times.shared_ps + 1
        moved = np.bincount([p.transfer for p in times.pieces], [p.end - p.begin for p in times.pieces])
        assert moved.tolist() == [transfer.work_ps for transfer in plan.transfers]


def delayed(plan: MemoryPlan, seed: int) -> MemoryPlan:
    """The plan without its promise, some fetches begun as late as can be: so that there is something to wait for."""
    rng = random.Random(seed)
    placements = []
    for p in plan.placements:
        late = p.copy is not None and p.end == p.copy[1] and rng.random() < 0.5
        placements.append(replace(p, start=p.end, copy=(p.end - 1, p.end)) if late else p)
    return MemoryPlan(plan.instance, tuple(placements), "unlimited")


def parts(plan: MemoryPlan) -> list[tuple[int, int, int, list[Transfer]]]:
    """(first, last, trips) of each segment and its transfers."""
    found = []
    for first, last, trips in plan.instance.segments:
        inside = [x for x in plan.transfers if first <= (x.after + 1 if x.is_fetch else x.after) <= last]
        found.append((first, last, trips, inside))
    return found


def traffic(plan: MemoryPlan, t: int) -> tuple[int, int]:
    """What an instruction takes of HBM and of CMEM."""
    x = plan.instance
    accesses = [i for i in range(x.num_accesses) if x.access_instruction[i] == t]
    hbm = sum(int(x.hbm_ps[i]) for i in accesses if not plan.served[i])
    return hbm, sum(int(x.cmem_ps[i]) for i in accesses if plan.served[i])


def slow_queue(plan: MemoryPlan) -> int:
    """The judge, a picosecond at a time."""
    x, total = plan.instance, 0
    for first, last, trips, transfers in parts(plan):
        queue, coming, time = [], sorted(transfers), 0
        for t in range(first, last + 2):
            queue += [[y.before, y.work_ps] for y in coming if y.after < t]
            coming = [y for y in coming if y.after >= t]
            while any(before <= t or t == last + 1 for before, _ in queue):
                queue[0][1] -= 1
                time += 1
                queue = [entry for entry in queue if entry[1] > 0]
            if t > last:
                break
            hbm, cmem = traffic(plan, t)
            length = max(int(x.compute_ps[t]), hbm + cmem) + x.hardware.overhead_ps
            for _ in range(length - hbm):
                if queue:
                    queue[0][1] -= 1
                    queue = [entry for entry in queue if entry[1] > 0]
            time += length
        total += trips * time
    return total


def slow_shares(plan: MemoryPlan) -> Fraction:
    """The second judge, exactly: from event to event, each one's rest in a list."""
    x, total = plan.instance, Fraction(0)
    for first, last, trips, transfers in parts(plan):
        under_way: list[list[Fraction]] = []  # [before, rest]
        time = Fraction(0)

        def move(until: Fraction | None, own: list[Fraction] | None, under_way=under_way) -> Fraction:
            """Move on by one event, at most until a time; returns what has passed."""
            users = under_way + ([own] if own else [])
            least = min((rest for _, rest in users), default=None)
            passed = until if least is None else least * len(users) if until is None else min(until, least * len(users))
            assert passed is not None
            for entry in users:
                entry[1] -= passed / len(users)
            under_way[:] = [entry for entry in under_way if entry[1] > 0]
            return passed

        for t in range(first, last + 2):
            under_way += [[Fraction(y.before), Fraction(y.work_ps)] for y in transfers if y.after == t - 1]
            while any(before <= t or t == last + 1 for before, _ in under_way):
                time += move(None, None)
            if t > last:
                break
            hbm, cmem = traffic(plan, t)
            begin, own = time, [Fraction(0), Fraction(hbm)]
            while own[1] > 0:
                time += move(None, own)
            end = max(time + cmem, begin + int(x.compute_ps[t])) + x.hardware.overhead_ps
            while time < end:
                time += move(end - time, None)
        total += trips * time
    return total
