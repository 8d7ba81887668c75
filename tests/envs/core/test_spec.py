"""The observation spec: its JSON form, its hash, its space, and where observations lie in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from makespan.envs.core.layout import Layout, ObservationBlock
from makespan.envs.core.pack import Pack
from makespan.envs.core.spec import EdgeType, Feature, Image, NodeType, ObservationSpec, Series, Sizes
from makespan.envs.job_shop.observation import SPEC as JOB_SHOP
from makespan.envs.job_shop.state import Problem

SPEC = ObservationSpec(
    nodes=(NodeType("arm", (Feature("mean"), Feature("slack", "hours", -2.0, 2.0))), NodeType("place", ())),
    edges=(EdgeType("at", "arm", "place", (Feature("distance", "km", 0.0, 9.0),)), EdgeType("near", "place", "place")),
    globals=(Feature("time", "days", 0.0, 4.0),),
    action_nodes=("arm", "place"),
    action_features=(Feature("cost"), Feature("gain")),
    special_actions=("stop",),
    series=(Series("demand", "place", 3, (Feature("calls", high=5.0),)),),
    images=(Image("map", 40, 36, 3),),
    time_scale=7.0,
    stochastic=True,
)
SIZES = Sizes(nodes={"arm": 3, "place": 2}, edges={"at": 3, "near": 5}, actions=4)


@pytest.mark.parametrize("spec", [SPEC, JOB_SHOP], ids=["made up", "job shop"])
def test_json_form_gives_the_spec_back(spec):
    again = ObservationSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.hash == spec.hash


@pytest.mark.parametrize(
    "changed",
    [
        replace(SPEC, globals=(Feature("date", "days", 0.0, 4.0),)),
        replace(SPEC, globals=(Feature("time", "hours", 0.0, 4.0),)),
        replace(SPEC, globals=(Feature("time", "days", 0.0, 5.0),)),
        replace(SPEC, globals=(Feature("time", "days", 0.0, 4.0, dynamic=False),)),
        replace(SPEC, nodes=SPEC.nodes[::-1]),
        replace(SPEC, action_features=SPEC.action_features[::-1]),
        replace(SPEC, special_actions=("wait",)),
        replace(SPEC, time_scale=8.0),
    ],
)
def test_hash_covers_names_units_bounds_and_order(changed):
    assert changed.hash != SPEC.hash


def test_space_has_the_documented_keys_shapes_and_bounds():
    space: Any = SPEC.space(SIZES)
    assert tuple(sorted(SPEC.keys())) == tuple(sorted(space.keys()))
    shapes = {key: (box.shape, box.dtype) for key, box in space.items()}
    assert shapes == {
        "nodes/arm": ((3, 2), np.float32),
        "node_mask/arm": ((3,), np.int8),
        "nodes/place": ((2, 0), np.float32),
        "node_mask/place": ((2,), np.int8),
        "edges/at": ((2, 3), np.int32),
        "edge_features/at": ((3, 1), np.float32),
        "edges/near": ((2, 5), np.int32),
        "series/demand": ((2, 3), np.float32),
        "images/map": ((40, 36, 3), np.uint8),
        "globals": ((1,), np.float32),
        "actions/nodes": ((4, 2), np.int32),
        "actions/features": ((4, 2), np.float32),
        "action_mask": ((4,), np.int8),
    }
    assert space["nodes/arm"].low[0].tolist() == [0.0, -2.0]
    assert space["edges/at"].low.min() == -1
    assert space["edges/at"].high.max() == 2


def test_action_column():
    assert SPEC.action_column("gain") == 1
    with pytest.raises(KeyError, match="loss"):
        SPEC.action_column("loss")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"nodes": (NodeType("arm", ()), NodeType("arm", ()))}, "not unique"),
        ({"edges": (EdgeType("at", "arm", "nowhere"),)}, "'nowhere' is referred to"),
        ({"action_nodes": ("nowhere",)}, "'nowhere' is referred to"),
        ({"images": (Image("map", 35, 99, 1),)}, "sides must be at least 36"),
        ({"globals": (Feature("time", high=np.inf),)}, "bounds must be finite"),
        ({"globals": (Feature("time", low=1.0, high=2.0),)}, "hold 0"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **change)


def test_views_of_a_block_share_no_memory():
    block = ObservationBlock(Layout(SPEC, SIZES), 2)
    for number, view in enumerate(block.views.values(), start=1):
        view[...] = number
    for number, (key, view) in enumerate(block.views.items(), start=1):
        assert (view == number).all(), key
        assert view.shape == (2, *block.layout.shapes[key])


def test_what_is_handed_out_is_a_copy():
    block = ObservationBlock(Layout(SPEC, SIZES), 1)
    before = block.single()
    for view in block.views.values():
        view[...] = 1
    for handed in (before, {key: array[0] for key, array in ObservationBlock(block.layout, 1).copies().items()}):
        assert all((array == 0).all() for array in handed.values())
    row = block.row(0)
    block.views["globals"][...] = 3
    assert (row["globals"] == 1).all()


def test_offsets_are_counted_in_items_of_the_key_and_rows_are_aligned():
    layout = Layout(SPEC, SIZES)
    block = ObservationBlock(layout, 2)
    block.views["actions/features"][1, 2, 1] = 5.0
    at = layout.offsets[layout.keys.index("actions/features")]
    assert block.floats[1, at + 2 * 2 + 1] == 5.0
    assert layout.row_bytes % 64 == 0


def test_a_pack_is_the_tuple_for_python():
    arrays: dict[str, Any] = {name: np.zeros((2, 3), dtype=np.int64) for name in Problem._fields}
    pack = Pack(Problem(**arrays))
    assert pack.route is arrays["route"]
    assert list(pack._asdict()) == list(Problem._fields)
    assert [array is arrays[name] for array, name in zip(pack, Problem._fields, strict=True)] == [True] * len(arrays)
    with pytest.raises(AttributeError):
        _ = pack.nothing


def test_a_pack_needs_contiguous_arrays():
    arrays: dict[str, Any] = {name: np.zeros((2, 3), dtype=np.int64) for name in Problem._fields}
    arrays["time"] = np.zeros((3, 2), dtype=np.int64).T
    with pytest.raises(ValueError, match="'time' is not C-contiguous"):
        Pack(Problem(**arrays))
