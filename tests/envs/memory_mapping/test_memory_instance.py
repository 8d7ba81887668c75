"""Instances of memory mapping as files: what is malformed is refused in one line that says where."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor

PROGRAM = MemoryInstance(
    "small",
    (Tensor(64, "param"), Tensor(32, "act", 0), Tensor(32, "output", 0)),
    (
        Instruction("load", reads=((0, 64),), writes=((1, 32),)),
        Instruction("add", reads=((0, 64), (1, 32)), writes=((2, 32),)),
        Instruction("look", reads=((0, 64), (2, 32))),
    ),
    loops=((1, 2, 3),),
)


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The program's JSON form with another value at a place."""
    data = json.loads(PROGRAM.dumps())
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return data


def test_the_program_survives_its_file(tmp_path):
    PROGRAM.save(tmp_path / "small.json")
    assert MemoryInstance.load(tmp_path / "small.json").to_dict() == PROGRAM.to_dict()


@pytest.mark.parametrize(
    "data, says",
    [
        (changed("hardware", "cmem", to=1), "key of FILE: hardware: 'cmem'; did you mean 'cmem_bytes'?"),
        (changed("hardware", "zzz", to=1), "hardware: 'zzz'; known: align, cmem_bytes, cmem_read_bps, cmem_write_bps"),
        (changed("hardware", "align", to=0), "FILE: hardware.align is 0, expected an integer from 1 to"),
        (changed("tensors", 1, "size", to=1), "key of FILE: tensors[1]: 'size'"),
        (
            changed("instructions", 1, "reads", to=[[0, 64], 1]),
            "instructions[1].reads[1] is 1, expected [tensor, bytes]",
        ),
        (changed("instructions", 1, "reads", 1, 0, to=9), "instructions[1].reads[1]: tensor is 9, expected an integer"),
        (
            changed("instructions", 1, "reads", 1, 0, to=0),
            "instructions[1].reads[1]: tensor is 0, expected a tensor that",
        ),
        (
            changed("instructions", 0, "reads", to=[[0, 64], [1, 32]]),
            "instructions[0].reads[1]: tensor is 1, expected a tensor that was written before",
        ),
        (
            changed("instructions", 2, "reads", 1, 0, to=1),
            "instructions[2].reads[1]: tensor is 1, expected a value that is still there, but instruction 1 wrote "
            "tensor 2 in its place",
        ),
        (
            changed("tensors", 1, "kind", to="output"),
            "tensors[1].kind is 'output', expected act: instruction 1 writes tensor 2 of alias group 0 in its place",
        ),
        (
            changed("instructions", 2, "writes", to=[[0, 64]]),
            "instructions[2].writes[0]: tensor is 0, expected an act or an output, but it is of kind param",
        ),
        (
            changed("instructions", 2, "writes", to=[[1, 32]]),
            "instructions[2].writes[0]: tensor is 1, expected a tensor that no one wrote before, but instruction 0 did",
        ),
        (
            changed("instructions", 0, "writes", to=[[1, 32], [2, 32]]) | {"loops": []},
            "instructions[1].writes[0]: tensor is 2, expected a tensor that no one wrote before, but instruction 0 did",
        ),
        (changed("loops", to=3), "FILE: loops is 3, expected a list"),
        (changed("loops", to=[0, 1, 3]), "FILE: loops[0] is 0, expected [first, last, trips]"),
        (changed("loops", to=[[0, 0, 2], [1, 2]]), "FILE: loops[1] is [1, 2], expected [first, last, trips]"),
        (changed("loops", to=[[0, 1, 2], [1, 2, 2]]), "FILE: loops[1].first is 1, expected an integer from 2 to 2"),
        (changed("loops", to=[[0, 1, 2], [2, 3, 2]]), "FILE: loops[1].last is 3, expected an integer from 2 to 2"),
        (changed("loops", to=[[0, 1, "two"]]), "FILE: loops[0].trips is 'two', expected an integer from 1 to 1000000"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, data, says):
    path = tmp_path / "program.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError) as caught:
        MemoryInstance.load(path)
    message = str(caught.value).replace(str(path), "FILE")
    assert says in message
    assert "FILE" in message
    assert "\n" not in message


def test_one_instruction_writes_an_alias_group_once():
    first = replace(PROGRAM.instructions[0], writes=((1, 32), (2, 32)))
    with pytest.raises(FieldError, match=r"instructions\[0\]\.writes\[1\]: tensor is 2, expected one write to alias"):
        replace(PROGRAM, instructions=(first, Instruction("look", reads=((2, 32),))), loops=())


LISTED_WRONGLY = Instruction(reads=(0,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change, says",
    [
        ({"loops": (3,)}, r"loops\[0\] is 3, expected \[first, last, trips\]"),
        ({"instructions": (LISTED_WRONGLY,)}, r"instructions\[0\]\.reads\[0\] is 0, expected \[tensor, bytes\]"),
    ],
)
def test_objects_are_checked_as_files_are(change, says):
    with pytest.raises(FieldError, match=says):
        replace(PROGRAM, **change)


def test_hardware_alone():
    assert Hardware.from_dict({"name": "mine", "align": 8}) == Hardware("mine", align=8)
    with pytest.raises(UserError, match=r"^unknown key of chip\.json: hardware: 'hbm'; did you mean 'hbm_bps'"):
        Hardware.from_dict({"hbm": 1}, "chip.json")
