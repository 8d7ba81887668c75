"""Plans as hints for XLA: text that its message parses, values by their definitions, in the order of what they save."""

from __future__ import annotations

import re
from typing import Any

import pytest
from makespan.envs.memory_mapping.generator import random_instance
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.overrides import FILE, sort_order_overrides
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.tracing.hlo import hlo_instance
from makespan.envs.memory_mapping.validity import validate

TEXT = """HloModule jit_f, is_scheduled=true

ENTRY %main (x: f32[64,64]) -> f32[64,64] {
  %x = f32[64,64]{1,0} parameter(0), metadata={op_name="params['w']"}
  %fusion.1 = (f32[64,64]{1,0}, f32[64,64]{1,0}) sort(%x, %x), dimensions={1}, to_apply=%c
  %a = f32[64,64]{1,0} get-tuple-element(%fusion.1), index=0
  %b = f32[64,64]{1,0} get-tuple-element(%fusion.1), index=1
  %dot.7 = f32[64,64]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %exp.2 = f32[64,64]{1,0} exponential(%dot.7)
}
"""


@pytest.fixture
def program() -> MemoryInstance:
    parts = "%c (p: f32[], q: f32[]) -> pred[] {\n  %p = f32[] parameter(0)\n  %q = f32[] parameter(1)\n"
    parts += "  ROOT %lt = pred[] compare(%p, %q), direction=LT\n}\n"
    return hlo_instance(TEXT.replace("\nENTRY", f"\n{parts}\nENTRY"))


def parsed(text: str) -> Any:
    """The message, by a descriptor that is built here from the names, numbers and types of the fields."""
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    types = descriptor_pb2.FieldDescriptorProto
    fields: dict[str, list[tuple[str, int, int, str]]] = {
        "TupleShapeIndex": [("index", 1, types.TYPE_INT64, "")],
        "HloPositionMatcher": [
            ("instruction_name_regex", 2, types.TYPE_STRING, ""),
            ("tuple_index", 3, types.TYPE_MESSAGE, "TupleShapeIndex"),
        ],
        "MsaSortOrderOverrideOptions": [
            ("assign_first", 1, types.TYPE_BOOL, ""),
            ("assign_last", 2, types.TYPE_BOOL, ""),
            ("assign_value", 3, types.TYPE_INT64, ""),
        ],
        "MsaSortOrderOverride": [
            ("hlo_position_matcher", 1, types.TYPE_MESSAGE, "HloPositionMatcher"),
            ("override_options", 2, types.TYPE_MESSAGE, "MsaSortOrderOverrideOptions"),
        ],
        "MsaSortOrderOverrides": [("overrides", 1, types.TYPE_MESSAGE, "MsaSortOrderOverride")],
    }
    file = descriptor_pb2.FileDescriptorProto(name="msa.proto", package="msa", syntax="proto2")
    for message, rows in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind, of in rows:
            repeated = name in ("index", "overrides")
            label = types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
            field = described.field.add(name=name, number=number, type=kind, label=label)
            if of:
                field.type_name = f".msa.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("msa.MsaSortOrderOverrides"))
    return text_format.Parse(text, message())


def test_values_come_in_the_order_of_what_they_save(program: MemoryInstance) -> None:
    names = [tensor.name for tensor in program.tensors]
    assert names == ["params['w']", "fusion.1.0", "fusion.1.1", "dot.7", "exp.2"]
    dot, second = names.index("dot.7"), names.index("fusion.1.1")
    plan = MemoryPlan(program, (Placement(dot, 1, 2, 0), Placement(second, 0, 1, 65536)), "unlimited")
    assert validate(plan) == []
    found = parsed(plan.exports()[FILE])
    rows = [
        (
            x.hlo_position_matcher.instruction_name_regex,
            list(x.hlo_position_matcher.tuple_index.index),
            x.override_options.assign_value if x.override_options.HasField("assign_value") else None,
            x.override_options.assign_last,
        )
        for x in found.overrides
    ]
    first, then = ((r"^fusion\.1$", [1]), (r"^dot\.7$", []))
    assert {rows[0][:2] == first or rows[0][:2] == then, rows[0][2] == 0, rows[1][2] == 1} == {True}
    assert [(x[0], x[1], x[3]) for x in rows[2:]] == [
        ("^x$", [], True),
        (r"^fusion\.1$", [0], True),
        (r"^exp\.2$", [], True),
    ]
    assert re.fullmatch(rows[0][0].strip("^$"), "fusion.1" if rows[0][1] else "dot.7")


def test_programs_from_elsewhere_have_no_such_hints() -> None:
    plan = MemoryPlan(random_instance((30,), 1), ())
    assert sort_order_overrides(plan) is None
    assert plan.exports() == {}


@pytest.mark.parametrize("positions", [5, [], [["x"]], [[1, []]] * 5, [["x", ["1 } overrides {"]]] * 5])
def test_a_source_that_says_something_else_has_none(program: MemoryInstance, positions: Any) -> None:
    program.source["positions"] = positions  # type: ignore[index]
    assert sort_order_overrides(MemoryPlan(program, ())) is None
