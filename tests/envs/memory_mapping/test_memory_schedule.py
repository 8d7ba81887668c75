"""Plans of memory mapping: their file, and what the independent check finds in those that could not be carried out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.memory_mapping.instance import Tensor
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.validity import validate
from support.memory_game import played_plan
from support.memory_hand_games import HAND_GAMES, hand_hardware, hand_program
from support.memory_programs import random_program

# Two parameters, an activation that is read twice, an output, a computation that hides every transfer. Segments:
# before, a loop of two instructions, after.
PROGRAM = hand_program(
    [("param", 40), ("param", 30), ("act", 20), ("output", 10), ("act", 20, 0), ("act", 20, 0)],
    [
        (100, [], [2]),
        (100, [0], [4]),
        (100, [1, 2], []),
        (100, [4], [5]),
        (100, [5, 0], [3]),
        (100, [2, 1], []),
        (100, [], []),
    ],
    hand_hardware(cmem=100),
    loops=((2, 3, 4),),
)
P0 = Placement(0, 0, 1, 60, copy=(-1, 1))
P1 = Placement(1, 4, 5, 0, copy=(3, 5))
ACT = Placement(2, 0, 5, 40, write_backs=((0, 2),))
OUT = Placement(3, 4, 6, 30, write_backs=((4, 6),))
GROUP = Placement(4, 1, 4, 0)


def plan_of(*placements: Placement, supply: str = "contended") -> MemoryPlan:
    return MemoryPlan(PROGRAM, placements, supply)


def test_a_full_plan_is_valid_and_survives_its_file(tmp_path: Path) -> None:
    whole = plan_of(P0, replace(P1, start=5, offset=0, copy=(4, 5)), ACT, OUT, GROUP, supply="unlimited")
    assert validate(whole) == []
    whole.save(tmp_path / "plan.json")
    again = MemoryPlan.load(tmp_path / "plan.json")
    assert again == whole
    assert again.placements == whole.placements
    assert again.to_dict() == whole.to_dict()
    assert hash(again) == hash(whole)
    assert again != plan_of(P0, supply="unlimited")


def test_placements_and_write_backs_are_sorted() -> None:
    shuffled = plan_of(ACT, replace(GROUP, write_backs=((3, 4), (1, 2))), P0)
    assert [p.tensor for p in shuffled.placements] == [2, 0, 4]
    assert shuffled.placements[2].write_backs == ((1, 2), (3, 4))


@pytest.mark.parametrize(
    ("placements", "words"),
    [
        ((replace(P0, tensor=9),), "there is no tensor 9"),
        ((replace(P0, end=7),), "the program has instructions 0..6"),
        ((replace(P0, start=2),), "the program has instructions"),
        ((replace(P0, offset=61),), "40 bytes at offset 61 do not lie within the 100 bytes of CMEM"),
        ((replace(P0, offset=-1),), "at offset -1"),
        ((replace(P0, copy=(-2, 1)),), "no transfer (-2, 1)"),
        ((replace(P0, copy=(1, 1)),), "no transfer (1, 1)"),
        ((P0, replace(ACT, offset=50)), "overlaps tensor 2 during 0..5 at bytes [60, 70)"),
        ((replace(P0, end=4), replace(P0, start=3, end=4, copy=(2, 4))), "overlaps tensor 0"),
        ((replace(P0, end=4), replace(P0, start=3, end=4, offset=0, copy=(2, 4))), "its storage is held until 4"),
        (
            (replace(GROUP, end=3),),
            "instruction 4 accesses tensor 5 of alias group 0 in HBM, but instruction 1 tensor 4 in",
        ),
        ((replace(P0, end=0),), "nothing accesses it meanwhile"),
        ((replace(GROUP, tensor=5),), "the first that is accessed meanwhile is tensor 4, in instruction 1"),
        ((replace(ACT, end=2),), "enters the loop 2..3 and must be held to its end"),
        ((replace(P0, copy=None),), "instruction 1 reads tensor 0 that was neither written there nor fetched"),
        ((replace(GROUP, start=0),), "held from 0 on, but first written by instruction 1"),
        ((replace(GROUP, start=0, copy=(-1, 1)),), "it is fetched, but instruction 1 writes it before it is read"),
        ((replace(P0, copy=(0, 1)),), "begins after instruction 0, not after -1"),
        ((replace(P0, copy=(-1, 2)),), "done before instruction 2, but instruction 1 reads it"),
        ((Placement(1, 1, 4, 0, copy=(0, 4)),), "goes beyond its segment, instructions 0..1"),
        ((replace(ACT, write_backs=((1, 2),)),), "of a value that instruction 1 does not write there"),
        ((replace(ACT, write_backs=((0, 1), (0, 2))),), "the second one of what instruction 0 writes"),
        ((replace(OUT, write_backs=((4, 7),), end=5),), "goes on after instruction 5"),
        ((replace(ACT, write_backs=((0, 3),)),), "goes beyond its segment, instructions 0..1"),
        ((replace(ACT, end=0, write_backs=()),), "instruction 2 reads tensor 2 in HBM, where its value never is"),
        ((replace(ACT, end=3, write_backs=()), Placement(2, 4, 5, 0, copy=(3, 5))), "but in HBM its value never is"),
        ((replace(OUT, write_backs=()),), "output tensor 3 is not in HBM at the end"),
        ((replace(ACT, write_backs=((0, 1),)),), "the write-back of tensor 2 (0, 1) does not fit the contended supply"),
    ],
)
def test_what_cannot_be_carried_out_is_found(placements: tuple[Placement, ...], words: str) -> None:
    messages = validate(plan_of(*placements))
    assert any(words in message for message in messages), messages
    assert all("\n" not in message for message in messages)


def test_what_stays_in_hbm_is_not_placed() -> None:
    tensors = (replace(PROGRAM.tensors[0], hbm_only=True), *PROGRAM.tensors[1:])
    instance = replace(PROGRAM, tensors=tensors)
    assert validate(MemoryPlan(instance, (P0,))) == [
        "tensor 0 in CMEM during instructions 0..1: the tensor must stay in HBM"
    ]


def test_an_alias_group_has_one_offset() -> None:
    program = hand_program([("param", 20, 0)], [(50, [], []), (50, [0], []), (50, [], []), (50, [0], [])])
    strips = [Placement(0, 0, 1, 0, copy=(-1, 1)), Placement(0, 2, 3, 0, copy=(1, 3))]
    assert validate(MemoryPlan(program, tuple(strips))) == []
    moved = MemoryPlan(program, (strips[0], replace(strips[1], offset=20)))
    assert validate(moved) == [
        "tensor 0 in CMEM during instructions 2..3: at offset 20, but alias group 0 is at 0 from instruction 0 on"
    ]


def test_what_a_loop_carries_is_not_fetched_within_it() -> None:
    program = hand_program(
        [("param", 20, 0), ("act", 20, 0)], [(90, [], []), (90, [], []), (90, [0], [1])], loops=((1, 2, 3),)
    )
    within = MemoryPlan(program, (Placement(0, 1, 2, 0, copy=(0, 2)),))
    assert validate(within) == [
        "tensor 0 in CMEM during instructions 1..2: the loop 1..2 carries it, so that it cannot be fetched within"
    ]
    assert validate(MemoryPlan(program, (Placement(0, 0, 2, 0, copy=(-1, 1)),))) == []


def test_a_value_is_not_overwritten_while_it_is_written_back() -> None:
    program = hand_program(
        [("act", 20, 0), ("act", 20, 0), ("param", 10)],
        [(50, [], [0]), (50, [], []), (50, [0], [1]), (50, [1], [])],
    )
    strip = Placement(0, 0, 3, 0, write_backs=((0, 3),))
    assert "under way when instruction 2 writes another value" in validate(MemoryPlan(program, (strip,)))[0]
    assert validate(MemoryPlan(program, (replace(strip, write_backs=((0, 2), (2, 4))),))) == []


@pytest.mark.parametrize("supply", ["contended", "elapsed"])
def test_interrupted_transfers_fit_if_any_order_of_them_does(supply: str) -> None:
    # Tensor 0 may use instructions 0 to 2, tensor 1 only instruction 1: first come first served would be late.
    program = hand_program([("param", 55), ("param", 30)], [(30, [], []), (30, [], []), (30, [1], []), (0, [0], [])])
    placements = (Placement(0, 0, 3, 0, copy=(-1, 3)), Placement(1, 1, 2, 55, copy=(0, 2)))
    plan = MemoryPlan(program, placements, supply)
    assert validate(plan) == []
    tensors = (Tensor(61 if supply == "elapsed" else 53 + 10, "param"), program.tensors[1])
    more = replace(program, tensors=tensors, hardware=hand_hardware(cmem=200))
    moved = (placements[0], replace(placements[1], offset=100))
    # Instructions 0 and 2 leave 30 and, contended, 30 with the read in CMEM.
    assert validate(MemoryPlan(more, moved, supply)) == [
        f"the fetch of tensor 0 (-1, 3) does not fit the {supply} supply: {tensors[0].bytes - 60} of "
        f"{tensors[0].bytes} ps are left"
    ]
    assert validate(MemoryPlan(more, moved, "unlimited")) == []


def test_elapsed_supply_counts_fetches_and_write_backs_apart() -> None:
    program = hand_program([("param", 30), ("output", 30)], [(0, [], [1]), (30, [], []), (30, [0], [])])
    placements = (Placement(1, 0, 1, 0, write_backs=((0, 2),)), Placement(0, 1, 2, 30, copy=(0, 2)))
    assert validate(MemoryPlan(program, placements, "elapsed")) == []
    assert "does not fit the contended supply" in validate(MemoryPlan(program, placements, "contended"))[0]


@pytest.mark.parametrize("seed", range(40))
def test_damaged_plans_of_games_are_found(seed: int) -> None:
    """A strip that is moved, shortened or begun later than it was is no strip that the game could have left."""
    plan = played_plan(random_program(seed, 8), seed)
    assert validate(plan) == []
    for k, p in enumerate(plan.placements):
        others = plan.placements[:k] + plan.placements[k + 1 :]
        cmem = plan.instance.hardware.cmem_bytes
        damaged = [replace(p, offset=cmem - int(plan.instance.size[p.tensor]) + 1)]
        if p.start > 0:
            damaged.append(replace(p, start=p.start - 1))
        if p.copy is not None:
            damaged += [replace(p, copy=None), replace(p, copy=(p.copy[0], p.copy[1] + 1))]
        if p.write_backs:
            d, e = p.write_backs[0]
            damaged += [replace(p, write_backs=((d, p.end + 2),)), replace(p, write_backs=((d - 1, e),))]
        for change in damaged:
            assert validate(MemoryPlan(plan.instance, (*others, change), plan.supply)), change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version is 2, expected one of 1"),
        ({"supply": "some"}, "supply is 'some', expected one of elapsed, contended, unlimited"),
        ({"placements": {}}, "placements is {}, expected a list"),
        ({"placements": [{"tensor": 0}]}, "'start'"),
        ({"placements": [{"tensor": 99, "start": 0, "end": 1, "offset": 0}]}, "placements[0].tensor is 99"),
        ({"placements": [{"tensor": 0, "start": 2, "end": 1, "offset": 0}]}, "placements[0] (tensor 0).end is 1"),
        ({"placements": [{"tensor": 0, "start": 0, "end": 1, "offset": -5}]}, "placements[0] (tensor 0).offset is -5"),
        ({"placements": [{"tensor": 0, "start": 0, "end": 1, "offset": 0, "copy": [1]}]}, "(tensor 0).copy is [1]"),
        ({"placements": [{"tensor": 0, "start": 0, "end": 1, "offset": 0, "copy": [1, 1]}]}, "(tensor 0).copy[1] is 1"),
        (
            {"placements": [{"tensor": 0, "start": 0, "end": 1, "offset": 0, "write_backs": [[-1, 1]]}]},
            "(tensor 0).write_backs[0][0] is -1",
        ),
        ({"placements": [{"tensor": 0, "start": 0, "end": 1, "offset": 0, "colour": 1}]}, "colour"),
        ({"comment": "none"}, "comment"),
    ],
)
def test_malformed_files_are_refused_in_one_line(change: dict[str, object], words: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**plan_of(P0).to_dict(), **change}))
    with pytest.raises(UserError) as caught:
        MemoryPlan.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_of_another_format_is_refused() -> None:
    with pytest.raises(FieldError, match="makespan/memory-plan"):
        MemoryPlan.from_dict(PROGRAM.to_dict())


def test_all_plans_by_hand_survive_their_files() -> None:
    for hand in HAND_GAMES:
        plan = MemoryPlan(hand.instance, hand.placements, hand.supply)
        assert MemoryPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
