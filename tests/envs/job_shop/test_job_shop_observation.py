"""What is observed: in its bounds, padded with zeros, blind to names, and right where it can be read off by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.envs.job_shop.observation import SPEC
from support.job_shop import case, engine_for, machine_rows, play_script, random_actions, rules, shop, shops

MODEST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**62)


def table(engine, key, copy=0):
    """A feature array as {feature name: column}."""
    kinds = {f"nodes/{node.name}": node.features for node in SPEC.nodes}
    kinds |= {"globals": SPEC.globals, "actions/features": SPEC.action_features}
    array = engine.block.views[key][copy]
    return {feature.name: array[..., column] for column, feature in enumerate(kinds[key])}


@MODEST
@given(shops(jobs=(1, 4), machines=(1, 4), least_time=0, windows=True), rules(), SEEDS)
def test_observations_lie_in_their_space_and_padding_is_zero(instance, options, seed):
    room = {"max_jobs": 5, "max_machines": 5, "max_operations": 6}
    engine = engine_for(instance, 2, seed, **room, **options)
    rng = np.random.default_rng(seed)
    n, m = instance.num_jobs, instance.num_machines
    while True:
        for copy in range(2):
            row = engine.block.row(copy)
            assert engine.layout.space.contains(row)
            assert all(np.isfinite(array).all() for array in row.values())
            assert not row["nodes/job"][n:].any()
            assert not row["nodes/machine"][m:].any()
            assert row["node_mask/job"].tolist() == [1] * n + [0] * (5 - n)
            assert row["node_mask/machine"].tolist() == [1] * m + [0] * (5 - m)
            assert not row["nodes/operation"][row["node_mask/operation"] == 0].any()
            assert not row["actions/features"][row["action_mask"] == 0].any()
            assert (row["actions/nodes"][row["action_mask"] == 0] == -1).all()
            assert not row["action_mask"][n:-1].any()
            # At least one action is legal unless the episode has ended.
            assert row["action_mask"].any() == engine.is_running()[copy]
            for edge in SPEC.edges:
                check_edges(row, edge)
        if not engine.is_running().any():
            break
        engine.step(random_actions(rng, engine.masks))


def check_edges(row, edge):
    pairs = row[f"edges/{edge.name}"]
    there = pairs[0] >= 0
    assert np.array_equal(there, pairs[1] >= 0)
    assert row[f"node_mask/{edge.source}"][pairs[0, there]].all()
    assert row[f"node_mask/{edge.target}"][pairs[1, there]].all()


@MODEST
@given(shops(jobs=(2, 4), machines=(2, 3), least_time=0, windows=True), rules(), SEEDS)
def test_static_features_stay_until_their_operation_is_deleted(instance, options, seed):
    engine = engine_for(instance, 1, seed, **options)
    static = {
        key: [column for column, feature in enumerate(features) if not feature.dynamic]
        for key, features in [("globals", SPEC.globals), ("nodes/operation", SPEC.nodes[0].features)]
    }
    rng = np.random.default_rng(seed)
    first = {key: engine.block.views[key][0][..., columns].copy() for key, columns in static.items()}
    while engine.is_running()[0]:
        engine.step(random_actions(rng, engine.masks))
        kept = engine.block.views["node_mask/operation"][0] == 1
        now = {key: engine.block.views[key][0][..., columns] for key, columns in static.items()}
        assert np.array_equal(now["globals"], first["globals"])
        assert np.array_equal(now["nodes/operation"][kept], first["nodes/operation"][kept])


@MODEST
@given(shops(jobs=(2, 4), machines=(2, 4), least_time=0), st.sampled_from(["none", "swap", "no-swap"]), SEEDS)
def test_relabelling_jobs_and_machines_permutes_observations_and_keeps_results(instance, blocking, seed):
    rng = np.random.default_rng(seed)
    n, m = instance.num_jobs, instance.num_machines
    jobs, machines = rng.permutation(n), rng.permutation(m)  # new names
    order = np.argsort(jobs)
    routes = [machines[instance.machines[j, : instance.lengths[j]]].tolist() for j in order]
    times = [instance.times[j, : instance.lengths[j]].tolist() for j in order]
    mine, theirs = (engine_for(x, blocking=blocking) for x in (instance, shop(times, routes, num_machines=m)))
    slots = np.append(jobs, n)
    while mine.is_running()[0]:
        a, b = mine.block.row(0), theirs.block.row(0)
        assert np.array_equal(a["action_mask"], b["action_mask"][slots])
        assert np.array_equal(a["actions/features"], b["actions/features"][slots])
        assert np.array_equal(a["nodes/job"], b["nodes/job"][jobs])
        assert np.array_equal(a["nodes/machine"], b["nodes/machine"][machines])
        assert np.array_equal(a["globals"], b["globals"])
        shape = (n, -1, a["nodes/operation"].shape[1])
        assert np.array_equal(a["nodes/operation"].reshape(shape), b["nodes/operation"].reshape(shape)[jobs])
        action = int(random_actions(rng, mine.masks)[0])
        mine.step([action])
        theirs.step([slots[action]])
    assert not theirs.is_running()[0]
    assert mine.objectives()[0] == theirs.objectives()[0]
    assert mine.metrics(0) == theirs.metrics(0)


@MODEST
@given(st.lists(shops(jobs=(1, 4), machines=(1, 4), windows=True), min_size=2, max_size=3), rules(), SEEDS)
def test_mixed_sizes_in_one_batch_equal_runs_alone(instances, options, seed):
    for index, instance in enumerate(instances):
        object.__setattr__(instance, "name", f"shop {index}")
    together = engine_for(instances, len(instances), **options)
    together.reset(seed + np.arange(len(instances)), instances=instances)
    alone = [engine_for(instance, 1, seed + index, **options) for index, instance in enumerate(instances)]
    while together.is_running().any():
        actions = np.zeros(len(instances), dtype=int)
        for copy, engine in enumerate(alone):
            assert_same_up_to_padding(together, copy, engine)
            if engine.is_running()[0]:
                rng = np.random.default_rng(seed + engine.metrics(0)["decisions"])
                action = int(random_actions(rng, engine.masks)[0])
                engine.step([action])
                actions[copy] = action if action < engine.instance(0).num_jobs else together.sizes.actions - 1
        together.step(actions)
    assert [int(engine.objectives()[0]) for engine in alone] == together.objectives().tolist()


def assert_same_up_to_padding(together, copy, engine):
    large, small = together.block.row(copy), engine.block.row(0)
    n, m = engine.instance(0).num_jobs, engine.instance(0).num_machines
    slots = [*range(n), -1]
    assert np.array_equal(large["action_mask"][slots], small["action_mask"])
    assert np.array_equal(large["actions/features"][slots], small["actions/features"])
    assert np.array_equal(large["nodes/job"][:n], small["nodes/job"])
    assert np.array_equal(large["nodes/machine"][:m], small["nodes/machine"])
    assert np.array_equal(large["globals"], small["globals"])
    columns = small["nodes/operation"].shape[1]
    mine = large["nodes/operation"].reshape(together.room[0], together.room[2], columns)
    assert np.array_equal(mine[:n, : engine.room[2]].reshape(-1, columns), small["nodes/operation"])


def test_case_a_by_hand():
    """Both jobs begin at 0; at 3, after the swap, both process. Mean time 11/4, bound 7, mean work 5.5."""
    engine = engine_for(case("A"))
    mean, bound, work = 11 / 4, 7, 5.5
    actions = table(engine, "actions/features")
    assert actions["processing_time"][:2] == pytest.approx([3 / mean, 2 / mean])
    assert actions["work_remaining"][:2] == pytest.approx([5 / work, 6 / work])
    assert actions["work_remaining_after"][:2] == pytest.approx([2 / work, 4 / work])
    assert actions["operations_remaining"][:2].tolist() == [1.0, 1.0]
    assert actions["flow_per_work_remaining"][:2] == pytest.approx([3 / 5, 2 / 6])
    assert actions["time_times_total_work"][:2] == pytest.approx([3 * 5 / mean / work, 2 * 6 / mean / work])
    assert actions["work_in_next_queue"][:2] == pytest.approx([2 / mean, 3 / mean])
    assert actions["total_work"][:2] == pytest.approx([5 / work, 6 / work])
    assert engine.block.views["actions/nodes"][0].tolist() == [[0, 0, 0], [1, 2, 1], [-1, -1, -1]]
    play_script(engine, [0])
    operations, jobs = table(engine, "nodes/operation"), table(engine, "nodes/job")
    assert operations["processing"].tolist() == [1, 0, 0, 0]
    assert operations["remaining_time"][0] == pytest.approx(3 / mean)
    assert operations["earliest_start"] == pytest.approx([0, 3 / bound, 0, 2 / bound])
    assert operations["earliest_completion"] == pytest.approx([3 / bound, 5 / bound, 2 / bound, 6 / bound])
    assert jobs["processing"].tolist() == [1, 0]
    assert jobs["waiting"].tolist() == [0, 1]
    actions = table(engine, "actions/features")
    assert actions["is_wait"].tolist() == [0, 0, 1]
    assert actions["time_to_next_event"][2] == pytest.approx(3 / mean)
    assert actions["next_machine_occupied"][1] == 1
    assert engine.block.views["edges/holds"][0].tolist() == [[0, -1], [0, -1]]
    assert engine.block.views["edges/wants"][0].tolist() == [[0, 1], [1, 1]]
    assert [row["free"] for row in machine_rows(engine)] == [0, 1]


def test_a_finished_operation_is_deleted_and_comes_back_when_its_piece_is_lost():
    instance = shop([[2, 4], [9, 1]], [[0, 1], [2, 0]], [[], [(4, 6)], []])
    engine = engine_for(instance, on_breakdown="scrap", known_windows=False)
    play_script(engine, [0, 1])
    mask = engine.block.views["node_mask/operation"][0]
    assert (engine.metrics(0)["time"], mask.tolist()) == (2, [1, 1, 1, 1])  # blocked: still there
    play_script(engine, [0])
    assert engine.metrics(0)["time"] == 4
    assert mask.tolist() == [1, 1, 1, 1]
    assert table(engine, "nodes/operation")["waiting"].tolist() == [1, 0, 0, 0]
    assert table(engine, "nodes/operation")["remaining_time"][0] == 0.0
    assert engine.metrics(0)["lost_pieces"] == 1


def test_a_piece_lost_in_its_first_operation_leaves_no_remaining_time():
    engine = engine_for(shop([[5], [9]], [[0], [1]], [[(3, 4)], []]), on_breakdown="scrap", known_windows=False)
    play_script(engine, [0, 2])
    assert engine.metrics(0)["lost_pieces"] == 1
    assert table(engine, "nodes/operation")["remaining_time"].tolist() == [0.0, 0.0]


def test_construct_mode_appends_at_the_earliest_time():
    engine = engine_for(shop([[3, 2], [2, 4]], [[0, 1], [1, 0]]), blocking="none", mode="construct")
    assert engine.masks[0].tolist() == [1, 1, 0]
    assert "no WAIT in mode='construct'" in engine.describe_illegal(0, 2)
    actions = table(engine, "actions/features")
    assert actions["start_delay"].tolist() == [0, 0, 0]
    play_script(engine, [0, 0])
    actions = table(engine, "actions/features")
    assert engine.masks[0].tolist() == [0, 1, 0]
    assert actions["job_free_minus_machine_free"][1] == pytest.approx(-5 / (11 / 4))
    play_script(engine, [1, 1])
    assert engine.objectives()[0] == 11
    assert engine.schedule(0).start.tolist() == [[0, 3], [5, 7]]
