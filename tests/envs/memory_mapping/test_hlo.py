"""Scheduled HLO text as an instance: what is folded, counted, carried, written in place, refused."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.tracing.hlo import hlo_instance, read_hlo
from makespan.envs.memory_mapping.tracing.hlo_text import parse_hlo

HEADER = "HloModule jit_f, is_scheduled=true, entry_computation_layout={(f32[8,8]{1,0})->f32[8,8]{1,0}}\n\n"


def module(*lines, parts="", header=HEADER, parameters="x: f32[8,8]"):
    body = "\n".join(f"  {line}" for line in lines)
    return f"{header}{parts}\nENTRY %main ({parameters}) -> f32[8,8] {{\n{body}\n}}\n"


def instance(*lines, **options):
    parts = {key: options.pop(key) for key in ("parts", "header") if key in options}
    return hlo_instance(module(*lines, **parts), smallest_bytes=options.pop("smallest_bytes", 1), **options)


def rows(found):
    names = [tensor.name for tensor in found.tensors]
    return [
        (x.op, {names[v]: size for v, size in x.reads}, {names[v]: size for v, size in x.writes})
        for x in found.instructions
    ]


def groups(found):
    table = {}
    for tensor in found.tensors:
        if tensor.alias_group is not None:
            table.setdefault(tensor.alias_group, set()).add(tensor.name)
    return sorted(map(sorted, table.values()))


X = "%x = f32[8,8]{1,0} parameter(0), metadata={op_name=\"params[\\'w\\'](0)\" stack_frame_id=3}"


def test_a_program_by_hand():
    found = instance(
        X,
        "%c = f32[8,16]{1,0:T(8,128)} constant({...})",
        "%dot.1 = f32[8,16]{1,0} dot(%x, %c), lhs_contracting_dims={1}, rhs_contracting_dims={0}",
        "%b = f32[16,8]{1,0} bitcast(%dot.1)",
        "ROOT %exp = f32[16,8]{1,0} exponential(f32[16,8]{1,0} %b)  /*index=5*/",
    )
    assert rows(found) == [
        ("dot", {"params['w'](0)": 256, "c": 512}, {"dot.1": 512}),
        ("exponential", {"dot.1": 512}, {"exp": 512}),
    ]
    assert [x.kind for x in found.tensors] == ["param", "const", "act", "output"]
    assert [x.mxu_flops for x in found.instructions] == [2 * 8 * 16 * 8, 0]
    assert [x.vec_flops for x in found.instructions] == [0, 4 * 128]
    assert found.source["kind"] == "xla-hlo"
    assert found.source["model"] == found.name == "jit_f"
    assert len(found.source["sha256"]) == 16


def test_how_floating_point_is_stored():
    found = instance(X, "ROOT %y = f32[8,8]{1,0} negate(%x)", dtype="bf16")
    assert [x.bytes for x in found.tensors] == [128, 128]


def test_small_tensors_are_left_out():
    text = module(X, "%s = f32[]{} constant(1)", "ROOT %y = f32[8,8]{1,0} add(%x, %s)")
    assert hlo_instance(text, smallest_bytes=256).num_tensors == 2


def test_a_convolution_counts_the_kernel_of_one_output():
    found = instance(
        "%x = f32[2,16,16,4]{3,2,1,0} parameter(0)",
        "%k = f32[3,3,4,32]{3,2,1,0} constant({...})",
        "ROOT %y = f32[2,16,16,32]{3,2,1,0} convolution(%x, %k), window={size=3x3 pad=1_1x1_1}, "
        "dim_labels=b01f_01io->b01f",
    )
    assert found.instructions[0].mxu_flops == 2 * (2 * 16 * 16 * 32) * (3 * 3 * 4)


FUSED = """
%fused (p0: f32[8,8], p1: f32[32,8], p2: s32[]) -> f32[8,8] {
  %p0 = f32[8,8]{1,0} parameter(0)
  %p1 = f32[32,8]{1,0} parameter(1)
  %p2 = s32[] parameter(2)
  %zero = s32[] constant(0)
  %ds = f32[8,8]{1,0} dynamic-slice(%p1, %p2, %zero), dynamic_slice_sizes={8,8}
  %d = f32[8,8]{1,0} dot(%p0, %ds), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %t = f32[8,8]{1,0} tanh(%d)
}
"""


def test_a_fusion_is_one_instruction_and_reads_the_slice_alone():
    found = instance(
        X,
        "%w = f32[32,8]{1,0} parameter(1)",
        "%i = s32[] parameter(2)",
        "ROOT %f.1 = f32[8,8]{1,0} fusion(%x, %w, %i), kind=kLoop, calls=%fused",
        parts=FUSED,
        smallest_bytes=16,
    )
    assert rows(found) == [("f", {"params['w'](0)": 256, "w": 256}, {"f.1": 256})]
    assert found.tensors[1].bytes == 1024
    assert found.instructions[0].mxu_flops == 2 * 8 * 8 * 8
    assert found.instructions[0].vec_flops == 4 * 64


CALLED = """
%called (p: f32[8,8]) -> f32[8,8] {
  %p = f32[8,8]{1,0} parameter(0)
  ROOT %n = f32[8,8]{1,0} negate(%p)
}
"""


def test_calls_and_tuples_are_folded():
    found = instance(
        X,
        "%c = f32[8,8]{1,0} call(%x), to_apply=%called",
        "%t = (f32[8,8]{1,0}, f32[8,8]{1,0}) tuple(%c, %x)",
        "%g = f32[8,8]{1,0} get-tuple-element(%t), index=1",
        "%h = f32[8,8]{1,0} get-tuple-element(%t), index=0",
        "ROOT %y = f32[8,8]{1,0} add(%g, %h)",
        parts=CALLED,
    )
    assert [x[0] for x in rows(found)] == ["negate", "add"]
    assert rows(found)[1][1] == {"params['w'](0)": 256, "n": 256}


DONATED = "HloModule jit_f, is_scheduled=true, input_output_alias={ {0}: (0, {}, may-alias) }\n\n"
UPDATE = (
    "%u = f32[1,8]{1,0} slice(%x), slice={[0:1], [0:8]}",
    "%i = s32[] constant(3)",
    "%new = f32[8,8]{1,0} dynamic-update-slice(%x, %u, %i, %i)",
    "%sum = f32[8,8]{1,0} add(%new, %new)",
    "ROOT %t = (f32[8,8]{1,0}, f32[8,8]{1,0}) tuple(%new, %sum)",
)


def test_a_donated_parameter_is_updated_in_place():
    found = instance(X, *UPDATE, header=DONATED, smallest_bytes=16)
    assert rows(found)[1] == ("dynamic-update-slice", {"u": 32, "params['w'](0)": 0}, {"new": 32})
    assert groups(found) == [["new", "params['w'](0)"]]
    assert [x.kind for x in found.tensors if x.name in ("new", "sum")] == ["output", "output"]


def test_a_parameter_that_is_not_donated_is_copied():
    found = instance(X, *UPDATE, smallest_bytes=16)
    assert rows(found)[1] == ("dynamic-update-slice", {"u": 32, "params['w'](0)": 256}, {"new": 256})
    assert groups(found) == []


IN_PLACE_FUSION = """
%fused (p0: f32[8,8], p1: f32[1,8], p2: s32[]) -> f32[8,8] {
  %p0 = f32[8,8]{1,0} parameter(0)
  %p1 = f32[1,8]{1,0} parameter(1)
  %p2 = s32[] parameter(2)
  %n = f32[1,8]{1,0} negate(%p1)
  ROOT %dus = f32[8,8]{1,0} dynamic-update-slice(%p0, %n, %p2, %p2)
}
"""


def test_a_fusion_that_ends_in_an_update_is_in_place():
    found = instance(
        X,
        "%u = f32[1,8]{1,0} slice(%x), slice={[0:1], [0:8]}",
        "%i = s32[] constant(3)",
        "ROOT %f = f32[8,8]{1,0} fusion(%x, %u, %i), kind=kLoop, calls=%fused",
        parts=IN_PLACE_FUSION,
        header=DONATED.replace("{0}: (0", "{}: (0"),
        smallest_bytes=16,
    )
    assert rows(found)[1] == ("f", {"u": 32, "params['w'](0)": 0}, {"f": 32})


# --- loops ------------------------------------------------------------------------------------------------------------

CONDITION = """
%condition (c: (s32[], f32[8,8], f32[8,8])) -> pred[] {
  %c = (s32[], f32[8,8]{1,0}, f32[8,8]{1,0}) parameter(0)
  %k = s32[] get-tuple-element(%c), index=0
  %end = s32[] constant(5)
  ROOT %lt = pred[] compare(%k, %end), direction=LT
}
"""
TUPLE = "(s32[], f32[8,8]{1,0}, f32[8,8]{1,0})"
TRIPS = 'backend_config={"known_trip_count":{"n":"5"},"known_init_step":{"init":"0","step":"1"}}'


def loop(
    *body: str,
    root: str,
    trips: str = TRIPS,
    after: tuple[str, ...] = ("ROOT %y = f32[8,8]{1,0} get-tuple-element(%w), index=1",),
    first: str = "%z",
) -> str:
    """A loop that carries a counter, h (from zeros or what `first` says) and m (the parameter)."""
    lines = "\n".join(f"  {line}" for line in body)
    parts = f"""{CONDITION}
%body (c: (s32[], f32[8,8], f32[8,8])) -> (s32[], f32[8,8], f32[8,8]) {{
  %c = {TUPLE} parameter(0)
  %k = s32[] get-tuple-element(%c), index=0
  %h = f32[8,8]{{1,0}} get-tuple-element(%c), index=1
  %m = f32[8,8]{{1,0}} get-tuple-element(%c), index=2
  %one = s32[] constant(1)
  %next = s32[] add(%k, %one)
{lines}
  ROOT %r = {TUPLE} tuple(%next, {root})
}}
"""
    return module(
        X,
        "%zero = s32[] constant(0)",
        "%nought = f32[] constant(0)",
        "%z = f32[8,8]{1,0} broadcast(%nought), dimensions={}",
        f"%t = {TUPLE} tuple(%zero, {first}, %x)",
        f"%w = {TUPLE} while(%t), condition=%condition, body=%body, {trips}".rstrip(", "),
        *after,
        parts=parts,
    )


STEP = "%step = f32[8,8]{1,0} dot(%h, %m), lhs_contracting_dims={1}, rhs_contracting_dims={0}"


def test_a_loop_is_flattened_and_carries_in_place():
    found = hlo_instance(loop(STEP, root="%step, %m"), smallest_bytes=16)
    assert found.loops == ((1, 1, 5),)
    assert rows(found) == [
        ("broadcast", {}, {"z": 256}),
        ("dot", {"z": 256, "params['w'](0)": 256}, {"step": 256}),
    ]
    assert groups(found) == [["step", "z"]]
    assert found.carried == {(0, 1)}
    assert found.tensors[-1].kind == "output"


def test_what_is_needed_after_its_successor_is_made_is_copied_at_the_end_of_a_round():
    late = "%late = f32[8,8]{1,0} add(%step, %h)"
    found = hlo_instance(loop(STEP, late, root="%step, %late"), smallest_bytes=16)
    assert [x[0] for x in rows(found)] == ["broadcast", "copy", "dot", "add", "copy"]
    assert groups(found) == [["late", "params['w'](0).copy"], ["step.copy", "z"]]
    assert found.loops == ((2, 4, 5),)


def test_values_that_change_places_are_copied():
    """Of the parameter, which stays; then each round three copies, as for any two places whose contents change."""
    found = hlo_instance(loop(root="%m, %h"), smallest_bytes=16)
    assert [x[0] for x in rows(found)] == ["broadcast", *["copy"] * 4]
    assert sorted(map(len, groups(found))) == [2, 2]
    assert found.loops == ((2, 4, 5),)


def test_a_loop_that_begins_with_a_parameter_changes_a_copy_of_it():
    found = hlo_instance(loop(STEP, root="%step, %m", first="%x"), smallest_bytes=16)
    assert rows(found)[0] == ("copy", {"params['w'](0)": 256}, {"params['w'](0).copy": 256})
    assert groups(found) == [["params['w'](0).copy", "step"]]


def test_a_loop_that_begins_with_what_is_needed_later_changes_a_copy_of_it():
    after = ("%y = f32[8,8]{1,0} get-tuple-element(%w), index=1", "ROOT %e = f32[8,8]{1,0} add(%y, %z)")
    found = hlo_instance(loop(STEP, root="%step, %m", after=after), smallest_bytes=16)
    assert [x[0] for x in rows(found)] == ["broadcast", "copy", "dot", "add"]
    assert rows(found)[3][1] == {"step": 256, "z": 256}


def test_an_update_of_a_carried_buffer_is_in_place():
    body = ("%row = f32[1,8]{1,0} slice(%m), slice={[0:1], [0:8]}",)
    update = "%up = f32[8,8]{1,0} dynamic-update-slice(%h, %row, %k, %k)"
    found = hlo_instance(loop(*body, update, root="%up, %m"), smallest_bytes=16)
    assert rows(found)[2] == ("dynamic-update-slice", {"row": 32}, {"up": 32})
    assert groups(found) == [["up", "z"]]


def test_a_value_and_its_update_that_are_both_passed_on():
    row = "%row = f32[1,8]{1,0} slice(%x0), slice={[0:1], [0:8]}"
    made = "%x0 = f32[8,8]{1,0} add(%h, %m)"
    update = "%up = f32[8,8]{1,0} dynamic-update-slice(%x0, %row, %k, %k)"
    found = hlo_instance(loop(made, row, update, root="%x0, %up"), smallest_bytes=16)
    assert groups(found) == [["params['w'](0).copy", "up.copy"], ["x0", "z"]]
    changed = next(x for x in rows(found) if x[0] == "dynamic-update-slice")
    assert changed[2] == {"up": 256}


def test_an_update_that_no_round_passes_on_is_of_a_copy():
    update = "%up = f32[8,8]{1,0} dynamic-update-slice(%h, %h, %k, %k)"
    step = "%step = f32[8,8]{1,0} dot(%up, %m), lhs_contracting_dims={1}, rhs_contracting_dims={0}"
    found = hlo_instance(loop(update, step, root="%h, %step", first="%z"), smallest_bytes=16)
    changed = next(x for x in rows(found) if x[0] == "dynamic-update-slice")
    assert changed[1] == {"z": 256}
    assert changed[2] == {"up": 256}


def test_rounds_that_the_text_does_not_tell():
    text = loop(STEP, root="%step, %m", trips="")
    with pytest.raises(UserError, match="instruction 'w': the text does not tell how often it runs; give --trips N"):
        hlo_instance(text)
    assert hlo_instance(text, trips=7, smallest_bytes=16).loops == ((1, 1, 7),)
    assert hlo_instance(loop(STEP, root="%step, %m"), trips=7, smallest_bytes=16).loops == ((1, 1, 5),)
    with pytest.raises(UserError, match="trips is 0, expected an integer from 1"):
        hlo_instance(text, trips=0)


def test_a_loop_that_runs_more_often_costs_more():
    one, two = (
        hlo_instance(loop(STEP, root="%step, %m", trips=""), trips=trips, smallest_bytes=16) for trips in (1, 3)
    )
    step = one.instruction_ps(np.zeros(one.num_accesses, dtype=np.bool_))[1]
    assert two.all_hbm_ps - one.all_hbm_ps == 2 * step


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, says",
    [
        ("nothing", "no line begins with HloModule"),
        ("HloModule m\n", "no computation is marked ENTRY"),
        (HEADER + "ENTRY %e () -> f32[] {\n", "computation 'e' has no end"),
        (HEADER + "ENTRY %e () -> f32[] {\n}\n", "line 4: computation 'e' has no instruction"),
        (module("%x = f32[8,8]{1,0} parameter(a)"), "line 5: instruction 'x': its number is 'a'"),
        (module("x"), "line 5: 'x' is no instruction NAME = SHAPE OPCODE"),
        (
            module(X, "ROOT %y = q7[8,8]{1,0} convert(%x)"),
            "line 6: instruction 'y': element type 'q7' is not known, expected one of pred, ",
        ),
        (
            module("%x = (f32[8], (opaque[])) parameter(0)"),
            "line 5: instruction 'x': element type 'opaque' is not known",
        ),
        (module("%x = f32 add()"), "instruction 'x': 'f32 add()' is no shape"),
        (module("%x = f32[8] 3"), "after the shape stands ' 3'"),
        (module("%x = f32[8] add(%a"), "a bracket is not closed"),
        (module(X, "ROOT %y = f32[8,8]{1,0} all-reduce(%x)"), "instruction 'y': operation 'all-reduce' is not"),
        (module(X, "ROOT %y = f32[8,8]{1,0} custom-call(%x)"), "instruction 'y': operation 'custom-call' is not"),
        (module(X, "ROOT %y = f32[8,8]{1,0} negate(%z)"), "'y' uses 'z', which no instruction before it makes"),
        (module(X, "ROOT %y = f32[8,8]{1,0} fusion(%x), calls=%no"), "'y' calls computation 'no', which is not there"),
        (module(X, "ROOT %y = f32[8,8]{1,0} call(%x), to_apply=%main"), "'y' calls computation 'main', which is not"),
        (
            module(X, "%x2 = f32[8,8] parameter(3)", "ROOT %y = f32[8,8] add(%x, %x2)"),
            "'x2' is a parameter that no one",
        ),
        (module(X, "ROOT %y = f32[8,8]{1,0} dot(%x)"), "'y' is malformed: its operands or attributes do not fit 'dot'"),
        (module(X, "ROOT %y = f32[8,8]{1,0} dynamic-update-slice(%x)"), "'y' is malformed"),
        (module(X, "ROOT %y = f32[8,8] dot(%x, %x), lhs_contracting_dims={7}"), "'y' is malformed"),
        (module(X, "ROOT %y = f32[8,8]{1,0} get-tuple-element(%x), index=0"), "'y' takes element 0 of what is no"),
        (
            module(X, header=HEADER.replace("is_scheduled=true", "is_scheduled=false")),
            "module 'jit_f' is not scheduled, expected is_scheduled=true",
        ),
    ],
)
def test_what_is_refused_says_where_in_one_line(text, says):
    with pytest.raises(UserError) as caught:
        hlo_instance(text, source="f.hlo")
    message = str(caught.value)
    assert message.startswith("f.hlo: ")
    assert says in message
    assert "\n" not in message


def test_a_loop_within_a_loop_is_refused():
    inner = f"%inner = {TUPLE} while(%c), condition=%condition, body=%same, {TRIPS}"
    text = loop(inner, root="%h, %m")
    same = f"%same (c: s32[]) -> s32[] {{\n  ROOT %c = {TUPLE} parameter(0)\n}}\n\n"
    with pytest.raises(UserError, match="instruction 'inner': a loop within a loop is not supported"):
        hlo_instance(text.replace("%body (c:", f"{same}%body (c:"))


@pytest.mark.parametrize(
    "kind, size", [("pred", 1), ("u4", 1), ("f4e2m1fn", 1), ("f8e4m3b11fnuz", 1), ("s16", 2), ("f64", 8), ("c128", 16)]
)
def test_sizes_of_elements(kind, size):
    x = f"%x = {kind}[8,8]{{1,0}} parameter(0)"
    found = instance(x, f"ROOT %y = {kind}[8,8]{{1,0}} copy(%x)")
    assert {tensor.bytes for tensor in found.tensors} == {64 * size}
    narrow = instance(x, f"ROOT %y = {kind}[8,8]{{1,0}} copy(%x)", dtype="bf16")
    assert {tensor.bytes for tensor in narrow.tensors} == {128 if kind.startswith("f") else 64 * size}


def test_tokens_take_no_memory():
    found = instance(X, "%t = token[] after-all()", "ROOT %y = f32[8,8]{1,0} negate(%x)")
    assert [tensor.bytes for tensor in found.tensors] == [256, 256]


def test_a_file(tmp_path):
    path = tmp_path / "f.hlo"
    path.write_text(module(X, "ROOT %y = f32[8,8]{1,0} negate(%x)"))
    assert read_hlo(path, "mine", smallest_bytes=1).name == "mine"
    with pytest.raises(UserError, match="no such file"):
        read_hlo(tmp_path / "g.hlo")


def test_a_constant_over_several_lines():
    text = module("%x = f32[2,2]{1,0} constant({\n  { 1, 2 },\n  { 3, 4 }\n})", "ROOT %y = f32[2,2]{1,0} negate(%x)")
    assert [x.opcode for x in parse_hlo(text, "f").computations["main"].instructions] == ["constant", "negate"]


# --- texts made to exhaust whoever reads them -------------------------------------------------------------------------


def called(levels: int, calls: int) -> str:
    """Computations that each call the one before, so often."""
    parts = ["%c0 (p: f32[8,8]) -> f32[8,8] {\n  ROOT %p = f32[8,8] parameter(0)\n}\n"]
    for level in range(1, levels):
        lines = ["  %p = f32[8,8] parameter(0)"]
        lines += [f"  %y{k} = f32[8,8] call(%p), to_apply=%c{level - 1}" for k in range(calls)]
        parts.append(f"%c{level} (p: f32[8,8]) -> f32[8,8] {{\n" + "\n".join(lines) + "\n}\n")
    return "".join(parts)


def doubled(levels: int) -> list[str]:
    """Tuples that each hold the one before twice."""
    lines = ["%t0 = (f32[8,8], f32[8,8]) tuple(%x, %x)"]
    lines += [f"%t{k} = ((), ()) tuple(%t{k - 1}, %t{k - 1})" for k in range(1, levels)]
    return [*lines, f"ROOT %y = f32[8,8] get-tuple-element(%t{levels - 1}), index=0"]


COPIES = "".join(f"  %a{k + 1} = f32[8,8] copy(%a{k}, %a{k})\n" for k in range(60))
COPYING = f"%f (a: f32[8,8]) -> f32[8,8] {{\n  %a0 = f32[8,8] parameter(0)\n{COPIES}}}\n"
LAST = "ROOT %y = f32[8,8] call(%x), to_apply="


@pytest.mark.parametrize(
    "text, says",
    [
        (module("%x = f32[8,8]{1,0 parameter(0)"), "a bracket is not closed"),
        (module("%x = (f32[8], f32[8]{0, parameter(0)"), "a bracket is not closed"),
        (module("%x = " + "(" * 5000), "tuples are nested more than 64 levels deep"),
        (module(f"%x = f32[{'9' * 5000}] parameter(0)"), "a number has more than 18 digits"),
        (module("%x = f32[8] parameter(\u00b2)"), "expected an integer"),
        (module(f"%x = f32[8] parameter({'9' * 5000})"), "expected an integer"),
        (module(X, "%t = (f32[8]) tuple(%x)", "ROOT %y = f32[8] get-tuple-element(%t), index=\u00b2"), "takes element"),
        (module(X, LAST + "%c63", parts=called(64, 1)), "calls more than is read, at most 64 calls within each other"),
        (module(X, LAST + "%c29", parts=called(30, 2)), "calls more than is read"),
        (module(X, *doubled(40)), "holds more than 100,000 values"),
        (module(X, f"ROOT %y = f32[8,8] reduce-window(%x), window={{size={'9' * 5000}}}"), "'y' is malformed"),
    ],
)
def test_bombs_are_refused_in_one_line(text, says):
    with pytest.raises(UserError) as error:
        hlo_instance(text, smallest_bytes=1)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_an_instruction_of_many_lines_and_copies_of_copies_are_read_at_once():
    constant = "%c = f32[8,8] constant({\n" + "{ 1, 2, 3, 4, 5, 6, 7, 8 },\n" * 20_000 + "})"
    fusion = "ROOT %y = f32[8,8] fusion(%x), kind=kLoop, calls=%f"
    found = hlo_instance(module(X, constant, fusion, parts=COPYING), smallest_bytes=1)
    assert [x.op for x in found.instructions] == ["y"]
