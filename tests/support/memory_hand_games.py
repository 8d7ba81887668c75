"""Games of memory mapping worked by hand: what is played, what is legal then, and how long the program takes.

The hardware of all moves a byte per picosecond to and from HBM, four when CMEM is read and two when it is written, so
that 40 bytes take 40 in HBM, 10 read from CMEM and 20 written there. Transfers have no latency unless a game says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.envs.memory_mapping.schedule import Placement

C, N, D = 0, 1, 2  # COPY, NO_COPY, DROP


@dataclass(frozen=True)
class HandGame:
    """A game and what it must come to.

    Attributes:
        actions: one for each access, in order; those after a dead end are what is played after it.
        legal: for some steps the legal actions.
        placements: of the plan at the end, in order.
        all_hbm, proxy, judged, shared: run times.
        backups: dead ends met.
    """

    name: str
    instance: MemoryInstance
    actions: tuple[int, ...]
    placements: tuple[Placement, ...]
    all_hbm: int
    proxy: int
    judged: int
    shared: int
    supply: str = "contended"
    gaps: str = "best_fit"
    legal: dict[int, tuple[int, ...]] = field(default_factory=dict)
    backups: int = 0


def hand_hardware(cmem: int = 100, latency: int = 0, align: int = 1, overhead: int = 0) -> Hardware:
    """The hardware of all hand-worked games."""
    return Hardware(
        "hand",
        cmem_bytes=cmem,
        align=align,
        hbm_bps=10**12,
        cmem_read_bps=4 * 10**12,
        cmem_write_bps=2 * 10**12,
        copy_latency_ps=latency,
        overhead_ps=overhead,
    )


def hand_program(
    tensors: Sequence[tuple[str, int] | tuple[str, int, int]],
    instructions: Sequence[tuple[int, Sequence[int | tuple[int, int]], Sequence[int]]],
    hardware: Hardware | None = None,
    loops: tuple[tuple[int, int, int], ...] = (),
) -> MemoryInstance:
    """A program from (kind, bytes[, alias group]) and (compute, reads, writes); a read may say its bytes."""
    made = tuple(Tensor(x[1], x[0], x[2] if len(x) == 3 else None) for x in tensors)

    def moved(entry: int | tuple[int, int]) -> tuple[int, int]:
        return entry if isinstance(entry, tuple) else (entry, made[entry].bytes)

    rows = tuple(
        Instruction(f"op{t}", tuple(map(moved, reads)), tuple(map(moved, writes)), compute)
        for t, (compute, reads, writes) in enumerate(instructions)
    )
    return MemoryInstance("hand", made, rows, hardware or hand_hardware(), loops)


HAND_GAMES = (
    # Instruction 0 leaves the channel 100 - 10 = 90, enough for the 40 of tensor 1: held from 0 on. e = 100 and 40 / 4.
    HandGame(
        "a parameter is fetched while the instruction before computes",
        hand_program([("input", 10), ("param", 40)], [(100, [0], []), (0, [1], [])]),
        (D, C),
        (Placement(1, 0, 1, 0, copy=(-1, 1)),),
        all_hbm=140,
        proxy=110,
        judged=110,
        shared=110,
        legal={0: (D,), 1: (C, D)},
    ),
    # Instruction 0 leaves 60 - 10 = 50: once 40 are used, the second fetch of 40 does not fit. e = 60 and 10 + 40.
    HandGame(
        "the same supply is not used twice",
        hand_program([("input", 10), ("param", 40), ("param", 40)], [(60, [0], []), (0, [1, 2], [])]),
        (D, C, D),
        (Placement(1, 0, 1, 0, copy=(-1, 1)),),
        all_hbm=140,
        proxy=110,
        judged=110,
        shared=110,
        legal={1: (C, D), 2: (D,)},
    ),
    # The fetch for instruction 2 takes all 30 of instruction 1 and then 10 of the 50 of instruction 0, so that CMEM is
    # held from 0 on; the second one finds 40 in instruction 0, just enough.
    HandGame(
        "supply is used latest first, and CMEM held from the begin of the fetch",
        hand_program([("input", 10), ("param", 40), ("param", 40)], [(60, [0], []), (30, [], []), (0, [1, 2], [])]),
        (D, C, C),
        (Placement(1, 0, 2, 0, copy=(-1, 2)), Placement(2, 0, 2, 40, copy=(-1, 2))),
        all_hbm=60 + 30 + 80,
        proxy=60 + 30 + 20,
        judged=110,
        shared=110,
        legal={2: (C, D)},
    ),
    # Tensor 1 is written at 0 and read at 1: one strip. For a write-back in between there is no time. e = 10 + 20 and
    # 10.
    HandGame(
        "an activation stays where it is produced",
        hand_program([("input", 10), ("act", 40)], [(0, [0], [1]), (0, [1], [])]),
        (D, N, N),
        (Placement(1, 0, 1, 0),),
        all_hbm=50 + 40,
        proxy=30 + 10,
        judged=40,
        shared=40,
        legal={1: (N, D), 2: (N,)},
    ),
    # Tensor 1 leaves CMEM after instruction 0, since nothing reads it before 3 and the strip is blocked by tensor 2 at
    # 2. Its write-back uses 40 of the 50 of instruction 1, so that it is held up to 1 and valid in HBM from 1 on. At 3
    # it is read from HBM. e = 0 + 10 + 20 = 30, 50, 20, 40 + 10.
    HandGame(
        "a value that leaves CMEM is written back while it is held",
        hand_program(
            [("input", 10), ("act", 40), ("act", 40)],
            [(0, [0], [1]), (50, [], []), (0, [], [2]), (0, [1, 2], [])],
            hand_hardware(cmem=60),
        ),
        (D, N, N, D, N),
        (Placement(1, 0, 1, 0, write_backs=((0, 2),)), Placement(2, 2, 3, 0)),
        all_hbm=50 + 50 + 40 + 80,
        proxy=30 + 50 + 20 + 50,
        judged=150,
        shared=150,
        legal={3: (D,)},
    ),
    # As before, but fetched again: instruction 3 leaves 45 for the 40 of tensor 1.
    HandGame(
        "what was written back is fetched again",
        hand_program(
            [("input", 10), ("act", 40), ("act", 40)],
            [(0, [0], [1]), (50, [], []), (0, [], [2]), (45, [], []), (0, [1], [])],
            hand_hardware(cmem=60),
        ),
        (D, N, N, C),
        (
            Placement(1, 0, 1, 0, write_backs=((0, 2),)),
            Placement(2, 2, 2, 0),
            Placement(1, 3, 4, 0, copy=(2, 4)),
        ),
        all_hbm=50 + 50 + 40 + 45 + 40,
        proxy=30 + 50 + 20 + 45 + 10,
        judged=155,
        shared=155,
        legal={3: (C, D)},
    ),
    # Tensor 2 takes the place of tensor 1 at instruction 1, and nothing is left for a write-back there: at instruction
    # 2 tensor 1 can neither stay nor be written back. Its write is forced to HBM, tensor 2 stays as it was. e = 50, 20,
    # 40.
    HandGame(
        "Drop-backup: a blocked strip without a write-back",
        hand_program(
            [("input", 10), ("act", 40), ("act", 40)],
            [(0, [0], [1]), (0, [], [2]), (0, [1], [])],
            hand_hardware(cmem=60),
        ),
        (D, N, N, D),
        (Placement(2, 1, 1, 0),),
        all_hbm=50 + 40 + 40,
        proxy=50 + 20 + 40,
        judged=110,
        shared=110,
        legal={3: (D,)},
        backups=1,
    ),
    # An in-place update of a parameter: fetched at 1 (90 left by instruction 0), overwritten there, read at 2. Once it
    # is in CMEM none of its accesses can be dropped. e = 100, 10 + 20, 10.
    HandGame(
        "in place: an alias group shares the strip of its first access",
        hand_program([("input", 10), ("param", 40, 0), ("act", 40, 0)], [(100, [0], []), (0, [1], [2]), (0, [2], [])]),
        (D, C, N, N),
        (Placement(1, 0, 2, 0, copy=(-1, 1)),),
        all_hbm=100 + 80 + 40,
        proxy=100 + 30 + 10,
        judged=140,
        shared=140,
        legal={1: (C, D), 2: (N,), 3: (N,)},
    ),
    # The same group in HBM: the later ones have no choice either.
    HandGame(
        "an alias group whose first access is in HBM stays there",
        hand_program([("input", 10), ("param", 40, 0), ("act", 40, 0)], [(100, [0], []), (0, [1], [2]), (0, [2], [])]),
        (D, D, D, D),
        (),
        all_hbm=220,
        proxy=220,
        judged=220,
        shared=220,
        legal={2: (D,), 3: (D,)},
    ),
    # The loop carries the state: tensor 1 is read in it before tensor 2 is written. It enters from before and is held
    # to the loop's end. e = 100 (0 + 10 + 20 hidden), then five times max(5, 10 + 20), then five times 20, then 10.
    HandGame(
        "a loop carries a value in CMEM, held to the loop's end",
        hand_program(
            [("input", 10), ("act", 40, 0), ("act", 40, 0)],
            [(100, [0], [1]), (5, [1], [2]), (20, [], []), (0, [2], [])],
            loops=((1, 2, 5),),
        ),
        (D, N, N, N, N),
        (Placement(1, 0, 3, 0),),
        all_hbm=100 + 5 * (80 + 20) + 40,
        proxy=100 + 5 * (30 + 20) + 10,
        judged=360,
        shared=360,
        legal={2: (N,), 3: (N,), 4: (N,)},
    ),
    # The first access of the group lies in the loop that carries it: it is not fetched there, although instruction 1
    # would leave enough.
    HandGame(
        "what a loop carries is not fetched in it",
        hand_program(
            [("input", 10), ("param", 40, 0), ("act", 40, 0)],
            [(100, [0], []), (100, [], []), (5, [1], [2])],
            loops=((1, 2, 5),),
        ),
        (D, D, D),
        (),
        all_hbm=100 + 5 * 180,
        proxy=1000,
        judged=1000,
        shared=1000,
        legal={1: (D,)},
    ),
    # A parameter read in every round: the fetch does not begin before the loop, so that it uses instruction 1, in each
    # of the three rounds. e = 100, 3 * (50 + 10).
    HandGame(
        "a fetch stays within the loop and is made in every round",
        hand_program([("input", 10), ("param", 40)], [(100, [0], []), (50, [], []), (0, [1], [])], loops=((1, 2, 3),)),
        (D, C),
        (Placement(1, 1, 2, 0, copy=(0, 2)),),
        all_hbm=100 + 3 * 90,
        proxy=100 + 3 * 60,
        judged=280,
        shared=280,
        legal={1: (C, D)},
    ),
    # A parameter that the first instruction of a loop reads: there is no supply before it in the loop, but instruction
    # 0 leaves 90. One fetch for all rounds, held to the loop's end. e = 100, 3 * (10 + 50).
    HandGame(
        "what finds no supply in a loop is fetched before it and stays",
        hand_program([("input", 10), ("param", 40)], [(100, [0], []), (0, [1], []), (50, [], [])], loops=((1, 2, 3),)),
        (D, C),
        (Placement(1, 0, 2, 0, copy=(-1, 1)),),
        all_hbm=100 + 3 * 90,
        proxy=100 + 3 * 60,
        judged=280,
        shared=280,
        legal={1: (C, D)},
    ),
    # The loop reads it twice. Fetched before the loop it serves both reads; but once the first is left to HBM, the
    # second finds only the 20 of instruction 2. e = 100, twice (10 + 20 + 10) or (40 + 20 + 40).
    *(
        HandGame(
            f"a fetch before a loop is for the loop's first read of it: {('COPY', '', 'DROP')[action]}",
            hand_program(
                [("input", 10), ("param", 40)],
                [(100, [0], []), (0, [1], []), (20, [], []), (0, [1], [])],
                loops=((1, 3, 2),),
            ),
            (D, action, following),
            placements,
            all_hbm=100 + 2 * 100,
            proxy=run_time,
            judged=run_time,
            shared=run_time,
            legal={1: (C, D), 2: (following,)},
        )
        for action, following, placements, run_time in (
            (C, N, (Placement(1, 0, 3, 0, copy=(-1, 1)),), 100 + 2 * 40),
            (D, D, (), 300),
        )
    ),
    # Before the last loop lies a segment of 30, too little; what the loop before that leaves does not count.
    HandGame(
        "a fetch before a loop stays within the segment before it",
        hand_program(
            [("input", 10), ("param", 40)],
            [(100, [0], []), (30, [], []), (0, [1], [])],
            loops=((0, 0, 2), (2, 2, 3)),
        ),
        (D, D),
        (),
        all_hbm=2 * 100 + 30 + 3 * 40,
        proxy=350,
        judged=350,
        shared=350,
        legal={1: (D,)},
    ),
    # The segment before a loop may be a loop: the transfer is then made in each of its rounds. e = 2 * 100, 3 * 10.
    HandGame(
        "a fetch before a loop within another loop",
        hand_program([("input", 10), ("param", 40)], [(100, [0], []), (0, [1], [])], loops=((0, 0, 2), (1, 1, 3))),
        (D, C),
        (Placement(1, 0, 1, 0, copy=(-1, 1)),),
        all_hbm=2 * 100 + 3 * 40,
        proxy=2 * 100 + 3 * 10,
        judged=230,
        shared=230,
        legal={1: (C, D)},
    ),
    # Held from 1 on by its fetch, the parameter needs the place of tensor 2 at the loop's last instruction, where that
    # is written: one of them goes to HBM. Here tensor 2, e = 100, 5, 3 * (10 + 40).
    HandGame(
        "what is fetched before a loop holds its place in all of the loop",
        hand_program(
            [("input", 10), ("param", 40), ("act", 40)],
            [(100, [0], []), (45, [], []), (0, [1], []), (0, [], [2])],
            hand_hardware(cmem=60),
            loops=((2, 3, 3),),
        ),
        (D, C, D),
        (Placement(1, 1, 3, 0, copy=(0, 2)),),
        all_hbm=100 + 45 + 3 * 80,
        proxy=100 + 45 + 3 * 50,
        judged=295,
        shared=295,
        legal={1: (C, D), 2: (D,)},
    ),
    # An output is written back as soon as it can: 40 by instruction 1 (25) and 2 (15 of 60), so that it is held up to
    # 2. The last instruction leaves nothing behind it: its output cannot be produced in CMEM. e = 30, 25, 60, 40.
    HandGame(
        "an output in CMEM is written back at once, or goes to HBM",
        hand_program(
            [("input", 10), ("output", 40), ("output", 40)], [(0, [0], [1]), (25, [], []), (60, [], []), (0, [], [2])]
        ),
        (D, N, D),
        (Placement(1, 0, 2, 0, write_backs=((0, 3),)),),
        all_hbm=50 + 25 + 60 + 40,
        proxy=30 + 25 + 60 + 40,
        judged=155,
        shared=155,
        legal={1: (N, D), 2: (D,)},
    ),
    # A gather reads 20 of a table of 80 bytes; the fetch moves all 80. e = 100, 5.
    HandGame(
        "a gather: bytes read and bytes fetched differ",
        hand_program([("input", 10), ("param", 80)], [(100, [0], []), (0, [(1, 20)], [])]),
        (D, C),
        (Placement(1, 0, 1, 0, copy=(-1, 1)),),
        all_hbm=120,
        proxy=105,
        judged=105,
        shared=105,
        legal={1: (C, D)},
    ),
    # Two operands of 40, computation of 60: the first saves 80 - 60, the second nothing.
    HandGame(
        "the roofline: benefits do not add up",
        hand_program([("input", 10), ("param", 40), ("param", 40)], [(200, [0], []), (60, [1, 2], [])]),
        (D, C, C),
        (Placement(1, 0, 1, 0, copy=(-1, 1)), Placement(2, 0, 1, 40, copy=(-1, 1))),
        all_hbm=280,
        proxy=260,
        judged=260,
        shared=260,
    ),
    # Blocks of 30 at 0, 20 at 30, 25 at 50 and 10 at 75; tensors 1 and 3 are read at 1. The gaps for the 20 of tensor 4
    # are [0, 30) and [50, 75), and the space above 85 is too small: best fit takes the smaller one.
    *(
        HandGame(
            f"gaps: {rule}",
            hand_program(
                [("act", 30), ("act", 20), ("act", 25), ("act", 10), ("act", 20)],
                [(0, [], [0, 1, 2, 3]), (0, [1, 3], [4]), (0, [4], [])],
            ),
            (N, N, N, N, N, N, N, N),
            (
                Placement(0, 0, 0, 0),
                Placement(1, 0, 1, 30),
                Placement(2, 0, 0, 50),
                Placement(3, 0, 1, 75),
                Placement(4, 1, 2, offset),
            ),
            all_hbm=85 + 50 + 20,
            proxy=15 + 10 + 13 + 5 + 5 + 3 + 10 + 5,
            judged=66,
            shared=66,
            gaps=rule,
        )
        for rule, offset in (("best_fit", 50), ("first_fit", 0))
    ),
    # XLA's supply: instruction 0 reads 60 from HBM and takes 60, yet is counted as 60 of supply. The judge sees that
    # nothing is left, so that instruction 1 waits 40. Sharing: instruction 0 and the fetch side by side, the fetch done
    # at 80, instruction 0 at 100.
    HandGame(
        "elapsed supply counts bandwidth twice, and the judges see it",
        hand_program([("input", 60), ("param", 40)], [(0, [0], []), (0, [1], [])]),
        (D, C),
        (Placement(1, 0, 1, 0, copy=(-1, 1)),),
        all_hbm=100,
        proxy=70,
        judged=60 + 40 + 10,
        shared=100 + 10,
        supply="elapsed",
        legal={1: (C, D)},
    ),
    # The same under contention: nothing is left.
    HandGame(
        "contended supply refuses what the channel cannot carry",
        hand_program([("input", 60), ("param", 40)], [(0, [0], []), (0, [1], [])]),
        (D, D),
        (),
        all_hbm=100,
        proxy=100,
        judged=100,
        shared=100,
        legal={1: (D,)},
    ),
    # A transfer takes 5 more than its bytes: 45 do not fit into the 44 that instruction 1 leaves, so that it begins at
    # 0. Sizes are rounded up to 16: two blocks of 48. Overhead adds 2 to each instruction, and to what it leaves.
    HandGame(
        "latency, overhead and alignment",
        hand_program(
            [("input", 10), ("param", 40), ("act", 40)],
            [(50, [0], []), (42, [], []), (0, [1], [2])],
            hand_hardware(latency=5, overhead=2, align=16),
        ),
        (D, C, N),
        (Placement(1, 0, 2, 0, copy=(-1, 2)), Placement(2, 2, 2, 48)),
        all_hbm=52 + 44 + 82,
        proxy=52 + 44 + 32,
        judged=128,
        shared=128,
    ),
)
