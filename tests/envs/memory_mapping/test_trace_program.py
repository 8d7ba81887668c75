"""From values and operations to an instance: fusion, what is left out, what happens in place."""

from __future__ import annotations

import itertools

import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.tracing.fusion import fuse
from makespan.envs.memory_mapping.tracing.program import InPlace, Operation, Program, to_instance
from makespan.envs.memory_mapping.tracing.summary import peak_live_bytes, summary

KIB = 1024


def product(reads, out):
    return Operation("dot", dict.fromkeys(reads, KIB), {out: KIB}, mxu_flops=100)


def elementwise(name, reads, out):
    return Operation(name, dict.fromkeys(reads, KIB), {out: KIB}, 0, 10, [], True, frozenset(reads))


def values(program, count, kind="act"):
    return [program.add_value(KIB, kind, f"{kind}{k}") for k in range(count)]


def accesses(instance):
    names = [tensor.name for tensor in instance.tensors]
    return [
        (x.op, [(names[v], size) for v, size in x.reads], [(names[v], size) for v, size in x.writes])
        for x in instance.instructions
    ]


def test_elementwise_operations_join_what_makes_their_operands():
    program = Program()
    x, w, bias = values(program, 3, "param")
    a, b, c = values(program, 3)
    program.operations = [product([x, w], a), elementwise("add", [a, bias], b), elementwise("relu", [b], c)]
    program.values[c].is_output = True
    (instruction,) = to_instance(fuse(program), "p").instructions
    # b is needed by one elementwise operation only: the rectifier is computed with the sum, the sum with the product
    assert instruction.op == "dot+add+relu"
    assert (instruction.mxu_flops, instruction.vec_flops) == (100, 20)
    assert len(instruction.reads) == 3
    assert len(instruction.writes) == 1


def test_what_others_need_is_written_also_where_it_is_fused():
    program = Program()
    x, w = values(program, 2, "param")
    a, b, c = values(program, 3)
    program.operations = [product([x, w], a), elementwise("relu", [a], b), product([a, b], c)]
    program.values[c].is_output = True
    instance = to_instance(fuse(program), "p")
    assert [x.op for x in instance.instructions] == ["dot+relu", "dot"]
    assert len(instance.instructions[0].writes) == 2


def test_an_operation_with_one_operand_is_computed_again_where_it_is_needed():
    program = Program()
    x, w = values(program, 2, "param")
    a, b, c, d = values(program, 4)
    program.operations = [
        elementwise("exp", [x], a),
        product([x, w], b),
        elementwise("add", [b, a], c),
        elementwise("mul", [c, a], d),
    ]
    program.values[d].is_output = True
    (instruction,) = to_instance(fuse(program), "p").instructions
    assert instruction.vec_flops == 40
    assert len(instruction.writes) == 1


def test_the_last_producer_is_joined_so_that_the_order_holds():
    program = Program()
    x, w = values(program, 2, "param")
    a, b, c = values(program, 3)
    program.operations = [product([x, w], a), product([w, x], b), elementwise("add", [a, b], c)]
    program.values[c].is_output = True
    assert [x.op for x in to_instance(fuse(program), "p").instructions] == ["dot", "dot+add"]


def test_no_more_than_so_many_are_fused():
    program = Program()
    (x,) = values(program, 1, "param")
    chain = values(program, 7)
    program.operations = [product([x], chain[0])]
    for a, b in itertools.pairwise(chain):
        step = elementwise("add", [a, x], b)
        program.operations.append(step)
    program.values[chain[-1]].is_output = True
    assert [x.op.count("+") + 1 for x in fuse(program, most=4).operations] == [4, 3]


def test_elementwise_operations_that_one_other_needs_go_into_it():
    """Two products meet late: the sum with the earlier one is computed where the later one is added."""
    program = Program()
    x, w = values(program, 2, "param")
    half = values(program, 1)[0]
    program.values[half].bytes = 2 * KIB
    a, b, c = values(program, 3)
    slices = Operation("mul", {half: 2 * KIB}, {a: KIB}, 0, 10, [], True, frozenset())
    program.operations = [
        Operation("dot", {x: KIB}, {half: 2 * KIB}, 100),
        slices,
        product([w], b),
        elementwise("add", [a, b], c),
    ]
    program.values[c].is_output = True
    assert [x.op for x in fuse(program).operations] == ["dot", "mul+dot+add"]


def test_dead_operations_and_small_values_are_left_out():
    program = Program()
    x, w = values(program, 2, "param")
    a, b = values(program, 2)
    small = program.add_value(4, "param", "small")
    program.operations = [product([x, w], a), product([x, w, small], b)]
    program.values[b].is_output = True
    instance = to_instance(program, "p")
    assert accesses(instance) == [("dot", [("param0", KIB), ("param1", KIB)], [("act1", KIB)])]
    assert instance.tensors[-1].kind == "output"
    assert to_instance(program, "p", smallest_bytes=1).num_tensors == 4


def test_nothing_is_left():
    program = Program()
    with pytest.raises(UserError, match=r"'p' accesses no tensor of 1024 bytes"):
        to_instance(program, "p")


def update(old, new, size=64):
    return Operation("update", {}, {}, in_place=[InPlace(new, old, size)])


def test_a_part_of_a_donated_buffer_changes_in_place():
    program = Program()
    (old,) = values(program, 1, "param")
    program.values[old].donated = True
    new, out = values(program, 2)
    program.operations = [update(old, new), product([new], out)]
    program.values[new].is_output = program.values[out].is_output = True
    instance = to_instance(program, "p")
    # the buffer must be where it is changed, so it is accessed there, but nothing of it is read
    assert accesses(instance)[0] == ("update", [("param0", 0)], [("act0", 64)])
    assert [tensor.alias_group for tensor in instance.tensors] == [0, 0, None]
    assert instance.tensors[1].kind == "output"


@pytest.mark.parametrize("why", ["not donated", "read later", "an output", "another size"])
def test_a_copy_is_changed_where_in_place_is_wrong(why):
    program = Program()
    (old,) = values(program, 1, "param")
    program.values[old].donated = why != "not donated"
    new, out = values(program, 2)
    program.operations = [update(old, new), product([new, *([old] if why == "read later" else [])], out)]
    program.values[out].is_output = True
    if why == "an output":
        program.values[old].is_output = True
    if why == "another size":
        program.values[new].bytes = 2 * KIB
    instance = to_instance(program, "p")
    size = 2 * KIB if why == "another size" else KIB
    assert accesses(instance)[0] == ("update", [("param0", size)], [("act0", size)])
    assert all(tensor.alias_group is None for tensor in instance.tensors)


def test_an_update_joins_no_operation_before_a_reader_of_what_it_overwrites():
    program = Program()
    param, x = values(program, 2, "param")
    program.values[param].donated = True
    gradient, other, new = values(program, 3)
    program.operations = [
        product([x], gradient),
        product([param, x], other),
        elementwise("sub", [param, gradient], new),
    ]
    program.operations[-1].in_place = [InPlace(new, param)]
    program.values[new].is_output = program.values[other].is_output = True
    instance = to_instance(fuse(program), "p")
    assert [x.op for x in instance.instructions] == ["dot", "dot", "sub"]
    assert sum(tensor.alias_group is not None for tensor in instance.tensors) == 2


def test_peak_live_bytes_by_hand():
    program = Program()
    (x,) = values(program, 1, "input")
    a, b, c = values(program, 3)
    program.operations = [product([x], a), product([a], b), product([b, x], c)]
    program.values[c].is_output = True
    instance = to_instance(program, "p")
    assert peak_live_bytes(instance) == 3 * KIB  # x, a, b at the second; x, b, c at the third
    facts = summary(instance)
    assert (facts["instructions"], facts["accesses"], facts["loops"]) == (3, 7, 0)
    assert facts["infinite_cmem_ps"] < facts["all_hbm_ps"] == instance.all_hbm_ps


def test_what_a_loop_needs_is_live_during_all_of_it():
    program = Program()
    (x,) = values(program, 1, "input")
    a, b, c, d = values(program, 4)
    program.operations = [product([x], a), product([a], b), product([b], c), product([c, a], d)]
    program.values[d].is_output = True
    assert peak_live_bytes(to_instance(program, "p")) == 3 * KIB
    program.loops = [(1, 2, 5)]
    assert peak_live_bytes(to_instance(program, "p")) == 3 * KIB  # a was live to the end anyway
    program.operations[3] = product([c], d)
    instance = to_instance(program, "p")
    assert instance.loops == ((1, 2, 5),)
    assert peak_live_bytes(instance) == 3 * KIB  # a, b, c: a is read in the next round, c is made before it is left
