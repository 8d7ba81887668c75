"""What XLA's own tests expect of memory space assignment and of its parts, restated as programs of ours, by hand.

The names in brackets are those of the upstream tests (memory_space_assignment_test.cc, heap_simulator_test.cc,
prefetch_interval_picker_test.cc, cost_analysis_test.cc, best_fit_repacker_test.cc) whose expectation is restated; no
code is taken. What does not apply here: bitcasts, tuples, conditionals, calls and fusions (there are only instructions
and tensors), sliced, window and cross-program prefetches, scoped memory, block prefetches, cost overrides by filters.

HBM moves 1 byte per picosecond, CMEM 10; transfers have no latency. An instruction without accesses is a filler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import boundedness, order_of
from makespan.agents.memory_mapping.program import program_of
from makespan.agents.memory_mapping.transfers import (
    FETCH,
    Transfers,
    are_in_time,
    find_place,
    insert_transfer,
    remove_transfers,
)
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate

Step = tuple[str, str, int]
"""(tensors that are read, tensors that are written, computation), tensors by letters."""


class Program:
    """A program written with letters for its tensors.

    Args:
        steps: a triple for each instruction, or a number for a filler.
        sizes: of the tensors, all read and written whole unless `accessed` says otherwise.
        kinds: of those that are no parameters or activations; "p", "q", "r" are parameters.
    """

    def __init__(
        self,
        steps: Sequence[Step | int],
        sizes: Mapping[str, int],
        cmem: int = 1000,
        kinds: Mapping[str, str] | None = None,
        groups: Mapping[str, int] | None = None,
        loops: Sequence[tuple[int, int, int]] = (),
        accessed: Mapping[str, int] | None = None,
        hbm_only: str = "",
        align: int = 1,
    ) -> None:
        self.names = list(sizes)
        tensors = [
            Tensor(
                size,
                (kinds or {}).get(name, "param" if name in "pqr" else "act"),
                (groups or {}).get(name),
                name in hbm_only,
            )
            for name, size in sizes.items()
        ]
        moved = {**sizes, **(accessed or {})}

        def instruction(step: Step | int) -> Instruction:
            reads, writes, compute = ("", "", step) if isinstance(step, int) else step
            rows = [tuple((self.names.index(name), moved[name]) for name in names) for names in (reads, writes)]
            return Instruction("", rows[0], rows[1], compute)

        hardware = Hardware("test", cmem, align, 10**12, 10**13, 10**13, copy_latency_ps=0)
        instructions = tuple(instruction(step) for step in steps)
        self.instance = MemoryInstance("test", tuple(tensors), instructions, hardware, tuple(loops))

    def map(self, order: str | None = None, **options: Any) -> dict[str, list[tuple[Any, ...]]]:
        """By tensor (start, end, offset, copy, write-backs) of each strip; `order` by letters, else XLA's."""
        mapper = Mapper(self.instance, MapperOptions(**options))
        if order is None:
            mapper.map(order_of(mapper.program, "priority"))
        else:
            lowest = sorted(set(self.instance.storage.tolist()))
            mapper.map([lowest.index(self.names.index(name)) for name in order])
        plan = mapper.plan()
        assert validate(plan) == []
        times = run_times(plan)
        assert mapper.run_times() == (times.proxy_ps, times.judged_ps)
        strips: dict[str, list[tuple[Any, ...]]] = {}
        for p in plan.placements:
            row = p.start, p.end, p.offset, p.copy, p.write_backs
            strips.setdefault(self.names[p.tensor], []).append(row)
        return strips


# --- placing values ---------------------------------------------------------------------------------------------------


def test_values_that_overlap_lie_side_by_side() -> None:  # [Simple]
    program = Program([("", "a", 100), ("a", "b", 100), ("b", "o", 100)], dict(a=50, b=50, o=50), kinds={"o": "output"})
    assert program.map("abo") == {"a": [(0, 1, 0, None, ())], "b": [(1, 2, 50, None, ())]}


def test_a_chain_reuses_the_place_of_what_is_dead() -> None:  # [NegateChain]
    steps = [("", "a", 10), ("a", "b", 10), ("b", "c", 10), ("c", "d", 10)]
    strips = Program(steps, dict(a=10, b=10, c=10, d=10), cmem=20).map("abcd")
    assert [rows[0][2] for rows in strips.values()] == [0, 10, 0, 10]
    assert strips["d"] == [(3, 3, 10, None, ())], "what nobody reads is held while it is written"


def test_parameters_begin_in_hbm_and_are_fetched_for_a_later_use() -> None:  # [NegateChain, prefetch]
    program = Program([("p", "", 0), 100, 100, 100, 100, ("p", "", 0)], dict(p=100))
    assert program.map() == {"p": [(3, 5, 0, (2, 5), ())]}


def test_outputs_are_written_to_hbm() -> None:  # [RequiredAssignments at the root]
    steps = [("", "o", 0), 100, 100, 100, ("o", "", 0)]
    program = Program(steps, dict(o=100), kinds={"o": "output"})
    assert program.map() == {"o": [(2, 4, 0, (1, 4), ())]}
    assert program.map(pin_outputs=False) == {"o": [(0, 4, 0, None, ((0, 5),))]}


def test_an_output_of_the_last_instruction_cannot_be_written_back() -> None:
    program = Program([100, ("", "o", 0)], dict(o=100), kinds={"o": "output"})
    assert program.map(pin_outputs=False) == {}


def test_values_larger_than_cmem_are_skipped() -> None:  # [buffers larger than the heap]
    program = Program([("", "ab", 0), ("ab", "", 0)], dict(a=101, b=100), cmem=100)
    assert program.map("ab") == {"b": [(0, 1, 0, None, ())]}


def test_cmem_is_filled_to_the_last_byte_and_no_further() -> None:
    program = Program([("", "abc", 0), ("abc", "", 0)], dict(a=60, b=40, c=1), cmem=100)
    assert program.map("abc", repacks=0) == {"a": [(0, 1, 0, None, ())], "b": [(0, 1, 60, None, ())]}


def test_sizes_are_aligned() -> None:  # [heap alignment]
    strips = Program([("", "ab", 0), ("ab", "", 0)], dict(a=100, b=100), align=64).map("ab")
    assert strips == {"a": [(0, 1, 0, None, ())], "b": [(0, 1, 128, None, ())]}


def test_what_must_stay_in_hbm_does() -> None:  # [DefaultMemory required]
    assert Program([("", "a", 0), ("a", "", 0)], dict(a=10), hbm_only="a").map() == {}


# --- leaving, evicting, fetching --------------------------------------------------------------------------------------


def test_a_fetched_value_stays_for_its_next_uses() -> None:  # [NoCopy after a prefetch]
    program = Program([100, 100, 100, ("p", "", 0), 50, ("p", "", 0)], dict(p=100))
    assert program.map() == {"p": [(1, 5, 0, (0, 3), ())]}


def evicted() -> Program:
    """Value a is written, read at once, and again after ten fillers of 100."""
    return Program([("", "a", 100), ("a", "", 100), *[100] * 10, ("a", "", 0)], dict(a=100), cmem=150)


def test_a_value_that_would_wait_too_long_is_evicted_and_fetched_again() -> None:  # [EvictAndPrefetch]
    # It may be held for 4 x 150. The eviction overlaps 150 at least, so to the end of instruction 2. The fetch would
    # overlap 150: of two fillers and one, which are equally near, the earlier start is taken.
    strips = evicted().map(preferred=1.5, maximum=4.0)
    assert strips == {"a": [(0, 2, 0, None, ((0, 3),)), (10, 12, 0, (9, 12), ())]}


def test_a_value_that_may_wait_is_left() -> None:
    assert evicted().map(preferred=1.5, maximum=8.0) == {"a": [(0, 12, 0, None, ())]}


def test_without_write_backs_all_of_the_value_is_uncommitted() -> None:  # [EvictAndPrefetchLimitAsyncCopies0]
    assert evicted().map(preferred=1.5, maximum=4.0, write_backs=0) == {}


def test_without_fetches_the_later_use_reads_hbm() -> None:  # [EvictAndPrefetchLimitAsyncCopies, prefetches]
    assert evicted().map(preferred=1.5, maximum=4.0, fetches=0) == {"a": [(0, 2, 0, None, ((0, 3),))]}


def test_what_hbm_still_has_is_not_written_back() -> None:  # [DontEvictWhenThereIsDefaultMemAllocation]
    program = Program([100, 100, 100, ("p", "", 0), *[100] * 9, ("p", "", 0)], dict(p=100), cmem=100)
    assert program.map(maximum=4.0) == {"p": [(1, 3, 0, (0, 3), ()), (11, 13, 0, (10, 13), ())]}


def test_only_so_many_fetches_are_under_way() -> None:  # [EvictAndPrefetchLimitAsyncCopies1]
    program = Program([*[100] * 5, ("pq", "", 0)], dict(p=50, q=50))
    assert set(program.map("pq", fetches=1)) == {"p"}
    assert set(program.map("qp", fetches=1)) == {"q"}
    assert set(program.map("pq", fetches=2)) == {"p", "q"}


def test_an_eviction_ends_earlier_where_its_place_is_taken() -> None:  # [eviction with a blocked strip]
    # preferred: held to instruction 5 for a transfer (0, 6); but b takes the place at 4
    steps: list[Step | int] = [("", "a", 100), ("a", "", 100), 100, 100, ("", "b", 100), ("b", "", 100), *[100] * 6]
    program = Program([*steps, ("a", "", 0)], dict(a=100, b=100), cmem=100)
    strips = program.map("ba", preferred=5.0, minimum=1.0, maximum=4.0)
    assert strips["b"] == [(4, 5, 0, None, ())]
    assert strips["a"][0] == (0, 3, 0, None, ((0, 4),))


def test_a_retry_gives_the_eviction_more_time() -> None:  # [retries, SetRetryNumber]
    # half a copy, 50, is one instruction of 60: too little supply for 100; the second try wants 150, three of them
    steps: list[Step | int] = [("", "a", 60), ("a", "", 60), *[60] * 7, ("a", "", 60)]
    program = Program(steps, dict(a=100), cmem=100, accessed={"a": 10})
    assert program.map(preferred=0.5, maximum=0.1, tries=1) == {}
    assert program.map(preferred=0.5, maximum=0.1, tries=2)["a"][0] == (0, 3, 0, None, ((0, 4),))


# --- when to fetch ----------------------------------------------------------------------------------------------------


def test_the_start_nearest_to_the_preferred_overlap_is_taken() -> None:  # [PrefetchIntervalOrder]
    program = Program([*[100] * 8, ("p", "", 0)], dict(p=100))
    starts = {preferred: program.map(preferred=preferred)["p"][0][3] for preferred in (1.0, 2.0, 3.4, 3.6, 99.0)}
    assert starts == {1.0: (6, 8), 2.0: (5, 8), 3.4: (4, 8), 3.6: (3, 8), 99.0: (-1, 8)}


def test_where_the_preferred_start_has_no_room_a_later_one_is_tried() -> None:  # [PrefetchIntervalOrder, OOM]
    steps: list[Step | int] = [("", "x", 100), 100, 100, ("x", "", 100), 100, 100, 100, ("p", "", 0)]
    program = Program(steps, dict(x=100, p=100), cmem=100)
    assert program.map("xp", preferred=4.0) == {"x": [(0, 3, 0, None, ())], "p": [(4, 7, 0, (3, 7), ())]}
    assert program.map("p", preferred=4.0) == {"p": [(3, 7, 0, (2, 7), ())]}


def test_where_the_preferred_start_has_no_supply_an_earlier_one_is_tried() -> None:  # [PrefetchIntervalOrderWithSupply]
    program = Program([100, 100, 100, 100, 100, 100, 10, ("p", "", 0)], dict(p=100))
    assert program.map(preferred=0.0, minimum=0.0) == {"p": [(5, 7, 0, (4, 7), ())]}


def test_a_fetch_must_overlap_enough_counting_what_its_use_gains() -> None:  # [PrefetchIntervalMinOverlap]
    bound = Program([50, ("p", "", 1000)], dict(p=100))
    waiting = Program([50, ("p", "", 0)], dict(p=100))
    fetched = {"p": [(0, 1, 0, (-1, 1), ())]}
    assert bound.map(supply="unlimited", preferred=1.0, minimum=1.0) == {}
    assert bound.map(supply="unlimited", preferred=1.0, minimum=0.5) == fetched
    assert waiting.map(supply="unlimited", preferred=1.0, minimum=1.0) == fetched, "it saves 90 of the 100"
    assert waiting.map(supply="unlimited", preferred=1.0, minimum=1.5) == {}


def test_a_fetch_must_not_begin_too_early() -> None:  # [PrefetchIntervalMaxOverlap]
    program = Program([*[100] * 9, ("p", "", 0)], dict(p=100), cmem=100)
    assert program.map(preferred=99.0, maximum=3.0) == {"p": [(6, 9, 0, (5, 9), ())]}


def test_in_order_no_fetch_overtakes_another() -> None:  # [enforce_prefetch_fifo_order]
    # p begins at 0 and is due last; q would begin at 2, with two fillers, and be due before p; it may begin with p
    program = Program([*[100] * 5, ("q", "", 0), 100, 100, 100, ("p", "", 0)], dict(p=100, q=28))
    free, ordered = (program.map("pq", preferred=7.0, fifo=fifo) for fifo in (False, True))
    assert (free["p"][0][3], free["q"][0][3]) == ((0, 9), (2, 5))
    assert (ordered["p"][0][3], ordered["q"][0][3]) == ((0, 9), (0, 5))


def test_a_fetch_that_another_would_make_late_begins_with_it() -> None:
    # p takes three and a half fillers from 2 on; q, behind it, would not be done before 5, but it may go first
    program = Program([*[100] * 5, ("q", "", 0), 100, 100, 100, ("p", "", 0)], dict(p=350, q=100))
    strips = program.map("pq", preferred=2.0)
    assert (strips["p"][0][3], strips["q"][0][3]) == ((1, 9), (1, 5))


# --- the supply -------------------------------------------------------------------------------------------------------


class Queue:
    """A queue whose instructions supply so much, transfers by hand."""

    def __init__(self, supply: Sequence[int], work: Sequence[int]) -> None:
        self.transfers = Transfers.empty(10, len(supply))
        self.transfers.until[1:] = np.cumsum(supply)
        self.work = np.array(work, dtype=np.int64)

    def add(self, storage: int, start: int, end: int) -> bool:
        place = find_place(self.transfers, 0, start, end)
        work = self.work[storage]
        if not are_in_time(self.transfers, self.work, 0, place, start, end, work):
            return False
        insert_transfer(self.transfers, self.work, 0, place, start, end, storage, FETCH)
        return True

    def remove(self, storage: int) -> None:
        remove_transfers(self.transfers, self.work, storage)


def test_a_transfer_uses_what_lies_between_its_ends() -> None:  # [AsynchronousCopyResourceTest.Simple]
    assert Queue([2, 3, 1, 3, 1, 4], [5]).add(0, -1, 2), "2 + 3"
    assert not Queue([2, 3, 1, 3, 1, 4], [6]).add(0, -1, 2)
    assert Queue([2, 3, 1, 3, 1, 4], [4]).add(0, 1, 4), "1 + 3"
    assert not Queue([2, 3, 1, 3, 1, 4], [1]).add(0, 2, 3), "both ends are excluded"


def test_transfers_share_what_there_is() -> None:  # [AsynchronousCopyResourceTest.Pipeline]
    queue = Queue([2, 2, 2, 2, 2], [3, 3, 3, 1])
    assert queue.add(0, -1, 2)
    assert queue.add(1, 0, 3), "behind the first, of 6 all is used"
    assert not queue.add(2, 0, 4), "8 are needed by then, as is 9"
    assert queue.add(3, 1, 4)


def test_a_transfer_is_refused_if_it_would_make_a_later_one_late() -> (
    None
):  # [AsynchronousCopyResourceTest.DelayedCopies]
    queue = Queue([2, 2, 2, 2, 2], [4, 3, 2])
    assert queue.add(0, 1, 4), "2 + 2 of instructions 2 and 3"
    assert queue.add(2, -1, 2), "done before it"
    assert not queue.add(1, 0, 5), "it would still be under way"


def test_what_is_removed_is_given_back() -> None:  # [AsynchronousCopyResourceTest.RemoveCopy]
    queue = Queue([2, 2, 2, 2], [4, 4])
    assert queue.add(0, -1, 2)
    assert not queue.add(1, -1, 3)
    queue.remove(0)
    assert queue.add(1, -1, 3)


def test_a_late_transfer_may_be_due_before_an_early_one() -> None:  # [AsynchronousCopyResourceTest.OutOfOrder]
    queue = Queue([2, 2, 2, 2], [1, 3])
    assert queue.add(0, -1, 4)
    assert queue.add(1, 0, 3), "the first is done at once"


def test_fetches_need_bandwidth_that_is_left_where_supply_is_contended() -> None:  # [MemoryBandwidthResource]
    # three instructions stream 100 each from HBM; XLA lets a copy use all of their time
    steps: list[Step | int] = [("q", "", 0), ("q", "", 0), ("q", "", 0), ("p", "", 0)]
    program = Program(steps, dict(p=100, q=100), hbm_only="q")
    assert set(program.map(supply="elapsed")) == {"p"}
    assert program.map(supply="contended") == {}


# --- priority ---------------------------------------------------------------------------------------------------------


def test_what_waits_for_memory_gains_and_gains_add_up() -> None:  # [MemoryBoundedness]
    sizes = dict(p=100, q=100, r=100)
    program = Program(
        [("p", "", 20), ("p", "", 30), ("q", "", 150), ("q", "", 170), ("r", "", 20), ("r", "", 150)], sizes
    )
    assert boundedness(program_of(program.instance)).tolist() == [180.0, -50.0, 90.0]


def test_gains_within_a_loop_count_five_times() -> None:  # [MemoryBoundedness in loops]
    program = Program([("p", "", 20), ("p", "", 20), ("q", "", 150)], dict(p=100, q=100), loops=[(1, 2, 3)])
    assert boundedness(program_of(program.instance)).tolist() == [90.0 + 450.0, -50.0]
    assert boundedness(program_of(program.instance), 1.0).tolist() == [180.0, -50.0]


def test_priority_divides_by_the_square_root_of_the_size() -> None:  # [BufferIntervalCompare]
    # gains 90 and 45 of sizes 400 and 64: 4.5 and 5.6; by the gain alone the larger comes first
    steps: list[Step | int] = [("p", "", 0), ("q", "", 0)]
    program = program_of(Program(steps, dict(p=400, q=64), accessed=dict(p=100, q=50)).instance)
    assert order_of(program, "priority").tolist() == [1, 0]
    assert order_of(program, "benefit").tolist() == [0, 1]


def test_ties_go_to_the_larger_then_to_the_longer() -> None:
    steps: list[Step | int] = [("pq", "", 9000), ("r", "", 9000), ("qr", "", 9000)]
    program = program_of(Program(steps, dict(p=100, q=100, r=200), accessed=dict(p=1, q=1, r=1)).instance)
    assert order_of(program, "size-desc").tolist() == [2, 1, 0]


# --- places -----------------------------------------------------------------------------------------------------------


def test_the_place_is_one_that_lasts_until_the_last_use() -> None:  # [FindBestChunkCandidate, latest use]
    # the gap below k fits exactly until y takes it at 5; above k there is room for good
    steps: list[Step | int] = [("", "kv", 9), 9, 9, ("v", "", 9), 9, ("", "y", 9), 9, 9, ("v", "", 9), ("ky", "", 9)]
    program = Program(steps, dict(k=40, v=20, y=20), cmem=100)
    strips = program.map("ykv")
    assert (strips["y"], strips["k"]) == ([(5, 9, 0, None, ())], [(0, 9, 20, None, ())])
    assert strips["v"] == [(0, 8, 60, None, ())]


def test_where_none_lasts_the_smallest_gap_is_taken() -> None:
    steps: list[Step | int] = [("", "kv", 9), 9, 9, ("v", "", 9), 9, ("", "y", 9), 9, 9, ("v", "", 9), ("ky", "", 9)]
    strips = Program(steps, dict(k=40, v=20, y=20), cmem=60).map("ykv", repacks=0)
    assert strips["v"][0][:3] == (0, 4, 0)


def fragmented() -> Program:
    """a, b and c are placed one upon another; when b is gone its gap and that at the top are too small for d."""
    steps: list[Step | int] = [("", "abc", 9), 9, ("b", "", 9), ("", "d", 9), 9, ("d", "", 9), 9, 9, 9, ("ac", "", 9)]
    return Program(steps, dict(a=40, b=20, c=40, d=40), cmem=120)


def test_repacking_makes_room() -> None:  # [Repack, MemorySpaceAssignmentBestFitRepackerTest.Simple]
    assert "d" not in fragmented().map("abcd", repacks=0)
    strips = fragmented().map("abcd", repacks=1)
    assert {name: rows[0][2] for name, rows in strips.items()} == {"a": 0, "c": 40, "b": 80, "d": 80}


def test_repacking_that_does_not_fit_changes_nothing() -> None:  # [RepackerTest, failure]
    steps: list[Step | int] = [("", "abc", 9), ("abc", "", 9)]
    strips = Program(steps, dict(a=40, b=40, c=40), cmem=100).map("abc", repacks=4)
    assert strips == {"a": [(0, 1, 0, None, ())], "b": [(0, 1, 40, None, ())]}


# --- groups and loops -------------------------------------------------------------------------------------------------


def test_values_updated_in_place_have_one_place() -> None:  # [InPlaceOp, colocations]
    steps: list[Step | int] = [("", "x", 9), ("x", "a", 9), ("a", "b", 9), ("b", "", 9)]
    program = Program(steps, dict(x=10, a=20, b=20), groups=dict(a=0, b=0))
    strips = program.map("xa")
    assert strips == {"x": [(0, 1, 0, None, ())], "a": [(1, 3, 10, None, ())]}


def test_a_group_with_an_access_that_must_be_in_hbm_is_in_hbm_altogether() -> None:  # [Colocations, required]
    steps: list[Step | int] = [100, 100, 100, ("p", "o", 9), ("o", "", 9), 100, 100]
    program = Program(steps, dict(p=20, o=20), groups=dict(p=0, o=0), kinds=dict(o="output"))
    assert program.map() == {}
    assert program.map(pin_outputs=False) == {"p": [(2, 5, 0, (1, 3), ((3, 6),))]}


def test_what_a_loop_carries_stays_in_its_place_all_through() -> None:  # [While]
    steps: list[Step | int] = [("", "a", 9), 9, ("a", "", 9), ("", "b", 9), 9, ("b", "", 9)]
    program = Program(steps, dict(a=20, b=20), groups=dict(a=0, b=0), loops=[(2, 3, 4)])
    assert program.map() == {"a": [(0, 5, 0, None, ())]}
    assert program.map(maximum=0.0) == {}, "it cannot be fetched there"


def test_what_enters_a_loop_is_held_to_its_end() -> None:  # [WhileAllocationBug]
    steps: list[Step | int] = [("", "a", 9), ("a", "", 9), 9, ("", "b", 9), ("b", "", 9)]
    program = Program(steps, dict(a=20, b=20), cmem=20, loops=[(1, 3, 2)])
    assert program.map("ab") == {"a": [(0, 3, 0, None, ())]}
    assert program.map("ba") == {"b": [(3, 4, 0, None, ())]}


def test_what_a_loop_reads_is_fetched_before_it_and_stays() -> None:  # [WhileAllocationBug, prefetch of an operand]
    steps: list[Step | int] = [100, 100, ("p", "", 9), 100, 100, ("p", "", 9)]
    assert Program(steps, dict(p=100), loops=[(2, 5, 2)]).map() == {"p": [(0, 5, 0, (-1, 2), ())]}


def test_what_cannot_stay_through_a_loop_is_fetched_in_every_round() -> None:  # [prefetches stay in one computation]
    steps: list[Step | int] = [100, 100, ("p", "", 9), ("", "b", 9), ("b", "", 9), 100, 100, ("p", "", 9)]
    program = Program(steps, dict(p=100, b=950), loops=[(2, 7, 2)])
    assert program.map("bp") == {"b": [(3, 4, 0, None, ())], "p": [(5, 7, 0, (4, 7), ())]}


def test_no_fetch_before_a_loop_is_squeezed_out_of_it() -> None:
    program = Program([("p", "", 9), 100, ("p", "", 9)], dict(p=100), loops=[(0, 2, 2)])
    assert program.map() == {"p": [(1, 2, 0, (0, 2), ())]}, "nothing lies before the loop"
    program = Program([9, ("p", "", 9)], dict(p=100), loops=[(1, 1, 50)])
    waited = {"p": [(0, 1, 0, (-1, 1), ())]}
    assert program.map(supply="unlimited") == waited, "waiting once is worth it, as all rounds gain"
    assert Program([9, ("p", "", 9)], dict(p=100)).map(supply="unlimited") == {}


def test_a_value_of_an_alias_group_is_fetched_to_its_offset_before_a_loop() -> None:
    steps: list[Step | int] = [("", "xa", 9), ("xa", "", 9), ("", "b", 9), ("b", "", 9), 200, 200, ("a", "", 9), 9]
    program = Program(steps, dict(x=50, a=100, b=950), groups=dict(a=0), loops=[(6, 7, 2)])
    strips = program.map("xba")
    assert strips["x"] == [(0, 1, 0, None, ())]
    assert strips["b"] == [(2, 3, 0, None, ())]
    assert strips["a"] == [(0, 1, 50, None, ((0, 2),)), (5, 7, 50, (4, 6), ())]


def test_time_in_a_loop_counts_by_its_factor_however_often_it_runs() -> None:  # [while_execution_count]
    program = Program([("", "a", 0), 1000, ("a", "", 0)], dict(a=100), loops=[(1, 2, 1000)])
    assert program.map(maximum=5.1) == {"a": [(0, 2, 0, None, ())]}
    assert program.map(maximum=5.0) == {"a": [(1, 2, 0, (0, 2), ())]}
    assert program.map(maximum=5.0, loop_factor=2.0) == {"a": [(0, 2, 0, None, ())]}


@pytest.mark.parametrize("field", ["preferred", "minimum", "maximum", "tries"])
def test_options_out_of_range_are_named(field: str) -> None:
    wrong: dict[str, Any] = {field: -1}
    with pytest.raises(ValueError, match=f"{field} is -1"):
        MapperOptions(**wrong)
