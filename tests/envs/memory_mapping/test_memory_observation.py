"""Observations of memory mapping: within their space, padded, the same as written from scratch, and right by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.memory_mapping import state as d
from makespan.envs.memory_mapping.env import make_engine
from makespan.envs.memory_mapping.observation import (
    BEFORE,
    BUFFER_FEATURES,
    COLUMNS,
    GLOBAL_FEATURES,
    INSTRUCTION_FEATURES,
    PAST,
    ROWS,
    SPEC,
    STATIC_COLUMNS,
    STRIDE,
    TENSOR_FEATURES,
)
from support.memory_hand_games import HAND_GAMES, hand_hardware, hand_program
from support.memory_programs import random_program

MODEST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"supply": "elapsed", "offsets": "first_fit"},
    {"dead_end": "terminate", "objective": "proxy"},
]
NAMES = {
    "nodes/buffer": BUFFER_FEATURES,
    "nodes/tensor": TENSOR_FEATURES,
    "nodes/instruction": INSTRUCTION_FEATURES,
    "globals": GLOBAL_FEATURES,
    "actions/features": SPEC.action_features,
}


def choose(rng: np.random.Generator, masks: np.ndarray) -> np.ndarray:
    """A random legal action for each row, CMEM preferred."""
    weights = np.array([1.0, 1.0, 0.3])
    return np.where(masks > 0, rng.random(masks.shape) ** (1 / weights), -1.0).argmax(axis=1)


def table(engine: Any, key: str, copy: int = 0) -> dict[str, np.ndarray]:
    """A feature array as {feature name: column}."""
    array = engine.block.views[key][copy]
    return {feature.name: array[..., column] for column, feature in enumerate(NAMES[key])}


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "elapsed", "terminate"])
def test_rewriting_what_changed_equals_rewriting_everything(options: dict[str, Any]):
    copies = 8
    engine = make_engine(copies, "random:size=12+60+300", **options)
    engine.reset(np.arange(copies))
    rng = np.random.default_rng(3)
    next_seed = copies
    for _ in range(330):
        engine.step(choose(rng, engine.masks))
        written = engine.block.memory.copy()
        engine._write_all()
        for key, view in engine.block.views.items():
            begin = engine.layout.positions[key]
            size = view[0].nbytes
            assert np.array_equal(engine.block.memory[:, begin : begin + size], written[:, begin : begin + size]), key
        ended = np.flatnonzero(~engine.is_running())
        if len(ended):
            engine.reset(next_seed + np.arange(len(ended)), copies=ended)
            next_seed += len(ended)
    assert next_seed > 2 * copies
    assert engine.state.clock[:, d.BACKUPS].any() or options.get("dead_end") == "terminate"


def test_a_play_that_was_not_watched_is_seen_as_one_that_was():
    one, other = (make_engine(4, "random:size=150") for _ in range(2))
    for engine in (one, other):
        engine.reset(np.arange(4))
    rng = np.random.default_rng(5)
    advance = other.kernels.advance
    for step in range(100):
        actions = choose(rng, one.masks)
        one.step(actions)
        if step % 9 == 8:
            other.step(actions)
            assert np.array_equal(one.block.memory, other.block.memory)
        else:
            for copy in range(4):
                advance(other.problem, other.state, copy, actions[copy])


@MODEST
@given(SEEDS, st.integers(2, 14), st.sampled_from(OPTIONS))
def test_observations_lie_in_their_space_and_padding_is_zero(seed: int, instructions: int, options: dict[str, Any]):
    engine = make_engine(1, random_program(seed, instructions), **options)
    engine.reset([0])
    rng = np.random.default_rng(seed)
    while True:
        row = engine.block.row(0)
        assert engine.layout.space.contains(row)
        assert all(np.isfinite(array).all() for array in row.values())
        for node in SPEC.nodes:
            assert not row[f"nodes/{node.name}"][row[f"node_mask/{node.name}"] == 0].any()
        for edge in SPEC.edges:
            pairs = row[f"edges/{edge.name}"]
            there = pairs[0] >= 0
            assert np.array_equal(there, pairs[1] >= 0)
            assert row[f"node_mask/{edge.source}"][pairs[0, there]].all()
            assert row[f"node_mask/{edge.target}"][pairs[1, there]].all()
        assert not row["actions/features"][row["action_mask"] == 0].any()
        assert (row["actions/nodes"][row["action_mask"] == 0] == -1).all()
        assert row["action_mask"].any() == engine.is_running()[0]
        if not engine.is_running()[0]:
            return
        engine.step(choose(rng, engine.masks))


@MODEST
@given(SEEDS, st.sampled_from([12, 60, 150]))
def test_the_window_says_what_the_state_does(seed: int, size: int):
    engine = make_engine(1, f"random:size={size}")
    engine.reset([seed])
    rng = np.random.default_rng(seed)
    instance = engine.instance(0)
    for _ in range(int(rng.integers(0, instance.num_accesses))):
        engine.step(choose(rng, engine.masks))
    k = engine.metrics(0)["decisions"]
    row, buffers, tensors = engine.block.row(0), table(engine, "nodes/buffer"), table(engine, "nodes/tensor")
    t = int(instance.access_instruction[k])
    served = engine.schedule(0).served
    storages: dict[int, int] = {}
    slots = {int(a): int(b) for a, b in row["edges/accesses"].T if a >= 0}
    for slot in range(48):
        access = k - BEFORE + (slot - k + BEFORE) % 48
        assert row["node_mask/buffer"][slot] == (0 <= access < instance.num_accesses)
        if not row["node_mask/buffer"][slot]:
            continue
        tensor = int(instance.access_tensor[access])
        assert buffers["size"][slot] == pytest.approx(instance.size[tensor] / instance.hardware.cmem_bytes, rel=1e-5)
        assert buffers["writes"][slot] == instance.access_writes[access]
        assert buffers["decided"][slot] == (access < k)
        if access < k:
            assert buffers["served_by_cmem"][slot] == served[access]
        assert buffers["present"][slot] == (access == k)
        storage = int(instance.storage[tensor])
        assert storages.setdefault(storage, slots[slot]) == slots[slot]
        held = any(p.end >= t for p in engine.schedule(0).placements if int(instance.storage[p.tensor]) == storage)
        assert buffers["storage_held"][slot] == tensors["held"][slots[slot]] == held
    assert len(set(storages.values())) == len(storages) == row["node_mask/tensor"].sum()
    expected = [[k % 48, k % 48, t % 48]] * int(row["action_mask"].sum())
    assert row["actions/nodes"][row["action_mask"] == 1].tolist() == expected
    assert table(engine, "nodes/instruction")["present"][t % 48] == 1


@MODEST
@given(SEEDS, st.sampled_from([20, 90, 250]))
def test_the_image_shows_what_is_held(seed: int, size: int):
    """Drawn by hand: each block fills its share of each pixel, rounded down."""
    engine = make_engine(1, f"random:size={size}")
    engine.reset([seed])
    rng = np.random.default_rng(seed)
    instance = engine.instance(0)
    for _ in range(int(rng.integers(0, instance.num_accesses))):
        engine.step(choose(rng, engine.masks))
    image = engine.block.views["images/memory"][0]
    assert image.shape == (ROWS, COLUMNS, 4)
    present = int(instance.access_instruction[engine.metrics(0)["decisions"]])
    t = present // STRIDE * STRIDE
    assert table(engine, "globals")["present_in_image"] == (present - t) / STRIDE
    cmem = instance.hardware.cmem_bytes
    expected = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    for p in engine.schedule(0).placements:
        top = p.offset + int(instance.size[p.tensor])
        filled = [min(64 * top, (r + 1) * cmem) - max(64 * p.offset, r * cmem) for r in range(ROWS)]
        for u in range(max(p.start, t - PAST), min(p.end, t + COLUMNS - PAST - 1) + 1):
            expected[:, u - t + PAST] += [255 * max(x, 0) // cmem for x in filled]
    assert np.array_equal(image[:, :, 0], expected)
    times = instance.instruction_ps(np.zeros(instance.num_accesses, dtype=np.bool_))
    for column in range(COLUMNS):
        u = t - PAST + column
        supply = 0
        if 0 <= u < instance.num_instructions:
            supply = min(255 * int(engine.state.left[0, 0, u]) // int(times[u]), 255)
        assert (image[:, column, 3] == supply).all()


def test_the_slots_of_a_game_worked_by_hand():
    """Instruction 0 computes 100 and reads 10 of input 0; instruction 1 reads the 40 bytes of parameter 1.

    All in HBM that takes 100 + 40, 70 on the mean. A copy takes 40 of the 90 that instruction 0 leaves, holds 40 of 100
    bytes for two instructions, and saves 40 - 10 = 30.
    """
    (hand,) = [hand for hand in HAND_GAMES if hand.name.startswith("a parameter is fetched")]
    engine = make_engine(1, hand.instance)
    engine.reset([0])
    engine.step([2])
    actions = table(engine, "actions/features")
    assert engine.masks[0].tolist() == [1, 0, 1]
    assert [actions[name].tolist() for name in ("is_copy", "is_no_copy", "is_drop")] == [
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert actions["saving"][[0, 2]] == pytest.approx([30 / 70, 0])
    assert actions["size"][0] == pytest.approx(0.4)
    assert actions["transfer_time"][0] == pytest.approx(40 / 70)
    assert actions["supply_used"][0] == pytest.approx(40 / 90)
    assert actions["log_instructions_held"][0] == pytest.approx(np.log(3))
    assert actions["area"][0] == pytest.approx(0.8)
    assert actions["log_density"][0] == pytest.approx(np.log1p(30 / 70 / 0.8))
    assert actions["fullest"][0] == pytest.approx(0.4)
    assert actions["room_in_gap"][0] == pytest.approx(0.6)
    assert actions["net_worth"][[0, 2]] == pytest.approx([30 / 70, 0])
    everything = table(engine, "globals")
    assert everything["decided_accesses"] == pytest.approx(0.5)
    assert everything["passed_time"] == pytest.approx(100 / 140)
    assert everything["may_still_save"] == pytest.approx(30 / 140)
    assert everything["supply_left_lately"] == pytest.approx(0.9)
    image = engine.block.views["images/memory"][0]
    assert image[:26, PAST : PAST + 2, 2].all()  # 40 of 100 bytes are 25.6 of 64 rows
    assert not image[26:, :, 2].any()
    assert not image[:, :, 0].any()
    engine.step([0])
    image = engine.block.views["images/memory"][0]
    assert (image[:25, PAST : PAST + 2, 0] == 255).all()
    assert (image[25, PAST : PAST + 2, 0] == 255 * 6 // 10).all()
    assert not image[:, :, 1:3].any()


@MODEST
@given(SEEDS)
def test_the_wait_of_a_lone_copy_is_what_the_judge_finds(seed: int):
    engine = make_engine(1, "random:size=40", supply="elapsed")
    engine.reset([seed])
    instance, rng = engine.instance(0), np.random.default_rng(seed)
    wanted = int(rng.integers(0, instance.num_accesses))
    expected = 0.0
    for k in range(instance.num_accesses):
        action = 2
        alone = instance.tensors[int(instance.access_tensor[k])].alias_group is None
        if k >= wanted and alone and engine.metrics(0)["copies"] == 0 and engine.masks[0, 0]:
            action = 0
            mean = instance.all_hbm_ps / instance.num_instructions
            expected = float(table(engine, "actions/features")["wait"][0]) * mean
        engine.step([action if engine.masks[0, action] else int(np.flatnonzero(engine.masks[0])[0])])
    found = engine.metrics(0)
    if found["copies"] == 1 and found["write_backs"] == 0:
        assert found["waits_ps"] == pytest.approx(expected, rel=1e-5, abs=1.0)


def test_the_slot_of_a_copy_before_a_loop():
    """Instruction 0 computes 100 and reads 10 of input 0; the loop's first reads 40 of parameter 1, three times.

    All in HBM that takes 370. A copy takes 40 of the 90 that instruction 0 leaves, holds 40 of 100 bytes for the three
    instructions to the loop's end, and saves 3 * (40 - 10).
    """
    (hand,) = [hand for hand in HAND_GAMES if hand.name.startswith("what finds no supply in a loop")]
    engine = make_engine(1, hand.instance)
    engine.reset([0])
    engine.step([2])
    actions, mean = table(engine, "actions/features"), 370 / 3
    assert actions["saving"][0] == pytest.approx(3 * 30 / mean)
    assert actions["supply_used"][0] == pytest.approx(40 / 90)
    assert actions["log_instructions_held"][0] == pytest.approx(np.log(4))
    assert actions["area"][0] == pytest.approx(1.2)
    assert actions["held_through_loop"][0] == 1
    assert table(engine, "nodes/buffer")["fetch_fits"][1] == 1
    engine.step([0])
    assert table(engine, "nodes/instruction")["supply_left"].sum() == pytest.approx((50 + 10 + 50) / mean)


def test_a_strip_that_enters_a_loop_pays_rent_to_its_end_and_no_more_then():
    """Two parameters of 40, of which CMEM has room for one, are read twice in a loop that leaves fetches nothing."""
    program = hand_program(
        [("input", 10), ("param", 40), ("param", 40)],
        [(100, [0], []), (0, [1, 2], []), (20, [], []), (0, [1, 2], []), (20, [], [])],
        hand_hardware(cmem=60),
        loops=((1, 4, 5),),
    )
    engine = make_engine(1, program)
    engine.reset([0])
    price, worth = engine.problem.price[0], engine.problem.worth[0]
    assert 40 * (price[4] - price[1]) > 100, "room in the loop is dear"
    for first, second in ((1, 3), (2, 4)):
        assert worth[[first, second], d.FETCH].tolist() == [-1, d.NOT_FETCHED]
        later = worth[second, d.SAVES]
        assert worth[first, d.IF_THROUGH] == later
        assert worth[first, d.IF_IN] == pytest.approx(max(later - 40 * (price[4] - price[2]), 0.0))
    engine.step([2])
    actions = table(engine, "actions/features")
    rent, toll = 40 * (price[5] - price[0]), engine.problem.toll[0][1] * 40 / 90
    per_time = 5 / program.all_hbm_ps
    assert actions["rent"][0] == pytest.approx(rent * per_time)
    assert actions["worth_later"][0] == pytest.approx(worth[1, d.IF_THROUGH] * per_time)
    net = 5 * (40 - 10) - rent - toll + worth[1, d.IF_THROUGH]
    assert actions["net_worth"][0] == pytest.approx(net * per_time)


def test_every_legal_slot_has_features_and_bounds_hold_in_extremes():
    """Programs with tensors larger than CMEM, of long loops, and with one instruction."""
    for seed in range(40):
        engine = make_engine(1, random_program(seed, 1 + seed % 3))
        engine.reset([0])
        rng = np.random.default_rng(seed)
        while engine.is_running()[0]:
            assert engine.layout.space.contains(engine.block.row(0))
            engine.step(choose(rng, engine.masks))


def test_what_is_static_of_an_access_has_the_columns_that_the_table_has():
    assert BUFFER_FEATURES[STATIC_COLUMNS].name == "decided"
    assert make_engine(1, "random:size=20").problem.feature.shape[2] == STATIC_COLUMNS
