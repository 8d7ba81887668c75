"""The engine of restless bandits: what may be picked, what moves by which luck, what is paid, what is seen."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.core.random import uniform
from makespan.envs.restless_bandits.engine import BanditEngine
from makespan.envs.restless_bandits.env import make_engine
from makespan.envs.restless_bandits.feasible import InfeasibleActionError, LinearSet
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance, Joint
from makespan.envs.restless_bandits.known_cases import NAMES, known_case
from makespan.envs.restless_bandits.program import NoSolutionError
from makespan.envs.restless_bandits.validity import uniform as plain_uniform
from makespan.envs.restless_bandits.validity import validate
from support.bandit_cases import CHAINS, LISTED, PACKING, chains, play_randomly
from support.trajectories import pick, traces

INSTANCES = [*NAMES, *(f"{family}-j20-1" for family in FAMILIES), PACKING, LISTED, CHAINS]


@pytest.mark.parametrize("given", INSTANCES, ids=str)
def test_masks_let_through_what_can_be_completed_and_nothing_else(given) -> None:
    rng = np.random.default_rng(1)
    engine = make_engine(2, instance=given, record=True)
    engine.reset([3, 4])
    while engine.is_running().any():
        for copy in np.flatnonzero(engine.is_running()).tolist():
            if rng.random() < 0.2:
                _expect_mask(engine, copy)
        engine.step(play_randomly(engine, rng))
    for copy in range(2):
        assert validate(engine.schedule(copy)) == []


def test_masks_of_schedules_with_distinct_workers() -> None:
    rng = np.random.default_rng(2)
    engine = make_engine(2, instance="schedule-j20-1", distinct_workers=True)
    engine.reset([3, 4])
    assert engine.instance(0).feasible.to_dict()["distinct_workers"]
    for _ in range(60):
        _expect_mask(engine, int(rng.integers(2)))
        engine.step(play_randomly(engine, rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["capacity-j40-1", "schedule-j40-1", "path-j40-0", "sigmoid-j40-2"])
def test_masks_of_larger_instances(name: str) -> None:
    rng = np.random.default_rng(3)
    engine = make_engine(1, instance=name)
    engine.reset([3])
    while engine.is_running().any():
        if rng.random() < 0.1:
            _expect_mask(engine, 0)
        engine.step(play_randomly(engine, rng))


def _expect_mask(engine: BanditEngine, copy: int) -> None:
    instance, mask = engine.instance(copy), engine.masks[copy] != 0
    picked = engine.state.picked[copy, : instance.num_elements]
    assert mask[: instance.num_elements].tolist() == instance.feasible.extendable(picked).tolist()
    assert bool(mask[-1]) == instance.feasible.may_stop(picked)


def test_a_walk_of_many_stops_never_lets_an_infeasible_action_pass() -> None:
    rng = np.random.default_rng(4)
    engine = make_engine(1, instance="path-j100-0", record=True)
    engine.reset([0])
    while engine.is_running().any() and engine.state.clock[0, 1] < 3:
        mask = engine.masks[0].astype(float)
        mask[-1] *= 1e-3
        engine.step([int(rng.choice(len(mask), p=mask / mask.sum()))])
    schedule = engine.schedule(0)
    assert schedule.actions.sum(axis=1).max() > 12
    assert all(schedule.instance.feasible.contains(action) for action in schedule.actions)


def test_luck_is_the_suite_s_function_of_seed_epoch_and_arm() -> None:
    assert plain_uniform(0, 1, 0, 1, 0) == 0.4111075658296648
    assert plain_uniform(7, 4, 3, 10) == float(uniform(7, 4, 3, 10))
    instance = draw_instance(Size("cardinality", 20), 0)
    engine = make_engine(1, instance=instance, record=True)
    engine.reset([12])
    stop = engine.sizes.actions - 1
    before = engine.state.now[0].copy()
    assert before.tolist() == [int(plain_uniform(12, 2, j) >= 0.8) for j in range(20)]
    engine.step([stop])
    up = [plain_uniform(12, 1, 0, j) < instance.transition[j, 0, 0, 1] for j in range(20)]
    expected = np.where(up, np.minimum(before + 1, 3), np.maximum(before - 1, 0))
    assert engine.state.now[0].tolist() == expected.tolist()


def test_two_policies_meet_the_same_luck_arm_by_arm() -> None:
    engines = [make_engine(1, instance="cardinality-j20-0", record=True) for _ in range(2)]
    stop = engines[0].sizes.actions - 1
    for engine, first in zip(engines, (range(5), range(3, 8)), strict=True):
        engine.reset([5])
        while engine.is_running().any():
            for e in first:
                engine.step([e])
            engine.step([stop])
    seen = [engine.schedule(0).states for engine in engines]
    same = [j for j in range(20) if j not in (0, 1, 2, 5, 6, 7)]
    assert np.array_equal(seen[0][:, same], seen[1][:, same])
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("name", ["capacity-j20-1", "corridor-j20-1", "path-j20-1", "contagion-j20-0", "k6b"])
def test_a_trace_depends_on_nothing_but_its_seed(name: str) -> None:
    options = {"instance": name}
    alone = [traces(make_engine, options, [seed])[0] for seed in (0, 1, 2)]
    assert traces(make_engine, options, [0, 1, 2]) == alone
    assert traces(make_engine, options, [2, 0, 1], threads=2) == [alone[2], alone[0], alone[1]]
    assert traces(make_engine, options, [0, 1, 2], disturb=True) == alone


@pytest.mark.parametrize("given", [*(f"{family}-j20-0" for family in FAMILIES), LISTED, CHAINS], ids=str)
def test_what_is_rewritten_equals_what_is_written_from_scratch(given) -> None:
    engine = make_engine(2, instance=given)
    engine.reset([1, 2])
    for step in range(40):
        engine.step([pick(copy, step, mask) if mask.any() else 0 for copy, mask in enumerate(engine.masks)])
        shown = engine.block.memory.copy()
        engine._write_all()
        assert np.array_equal(shown, engine.block.memory)


@pytest.mark.parametrize("name", ["k3", "capacity-j20-0", "k6b", "zones-j20-0"])
def test_whole_actions_pay_what_their_elements_do_one_by_one(name: str) -> None:
    rng = np.random.default_rng(5)
    slow, fast = make_engine(1, instance=name), make_engine(1, instance=name, view="vector")
    for engine in (slow, fast):
        engine.reset([9])
    size, stop = slow.room.elements, slow.sizes.actions - 1
    while slow.is_running().any():
        action = slow.instance(0).feasible.sample(rng)
        assert action.shape == (size,)
        total = sum(float(slow.step([int(e)]).reward[0]) for e in rng.permutation(np.flatnonzero(action)))
        total += float(slow.step([stop]).reward[0])
        assert float(fast.step(action[None]).reward[0]) == pytest.approx(total, abs=1e-12)
        assert np.array_equal(slow.state.now, fast.state.now)
    assert fast.objectives()[0] == slow.objectives()[0]
    assert fast.metrics(0)["visits"] == slow.metrics(0)["visits"]


def test_an_infeasible_vector_is_refused_by_name_and_changes_nothing() -> None:
    engine = make_engine(2, instance="k3", view="vector")
    engine.reset([0, 1])
    before = engine.snapshot()
    with pytest.raises(InfeasibleActionError, match="copy 1: infeasible action: arms"):
        engine.step(np.array([[1, 1, 0, 1], [1, 1, 1, 0]]))
    for mine, saved in zip(engine._arrays(), before.arrays, strict=True):
        assert np.array_equal(mine, saved)
    engine.step(np.array([[1, 1, 0, 1], [1, 1, 1, 0]]), check=False)
    assert engine.is_running().tolist() == [True, False]
    assert engine.metrics(1)["status"] == "illegal"


def test_costs_play_the_best_feasible_action() -> None:
    pytest.importorskip("highspy")
    rng = np.random.default_rng(6)
    engine = make_engine(1, instance="k3", view="cost", record=True)
    engine.reset([0])
    weights = rng.normal(size=(20, 4))
    for row in weights:
        engine.step(row[None])
    members = engine.instance(0).feasible.members
    for row, action in zip(weights, engine.schedule(0).actions, strict=True):
        assert row @ action == pytest.approx((members @ row).max())
    engine.reset([0])
    with pytest.raises(UserError, match=r"weights\[2\] is nan"):
        engine.step(np.array([[0.0, 0.0, np.nan, 0.0]]))
    feasible = engine.instance(0).feasible
    with (
        patch.object(type(feasible), "maximise", side_effect=NoSolutionError("HiGHS: time limit")),
        pytest.raises(UserError, match="no action of its capacity set was found: HiGHS: time limit"),
    ):
        engine.step(np.ones((1, 4)))
    assert not engine.state.now.any()


@pytest.mark.parametrize("given", ["k2b", "k6b", "k7b", "k8b", CHAINS], ids=str)
def test_expected_and_realised_rewards_have_the_same_mean(given) -> None:
    engine = make_engine(4000, instance=given)
    engine.reset(np.arange(4000))
    step = 0
    while engine.is_running().any():
        engine.step([pick(7, step, mask) if mask.any() else 0 for mask in engine.masks])
        step += 1
    realised, expected = engine.state.real[:, 0], engine.state.real[:, 1]
    error = realised - expected
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))
    assert error.std() > 0


@pytest.mark.parametrize("name", ["k2b", "k6b", "k7b", "k8b"])
def test_expected_rewards_are_those_of_the_law(name: str) -> None:
    engine = make_engine(3, instance=name, reward="expected", record=True)
    engine.reset([0, 1, 2])
    step = 0
    while engine.is_running().any():
        engine.step([pick(copy, step, mask) if mask.any() else 0 for copy, mask in enumerate(engine.masks)])
        step += 1
    for copy in range(3):
        schedule = engine.schedule(copy)
        pairs = zip(schedule.states[:-1], schedule.actions, strict=True)
        total = sum(schedule.instance.expected_reward(*pair) for pair in pairs)
        assert engine.objectives()[copy] == pytest.approx(total)
        assert validate(schedule) == []


def test_relabelling_arms_permutes_everything() -> None:
    instance = draw_instance(Size("corridor", 12), 3)
    order = np.random.default_rng(7).permutation(12)
    place = np.argsort(order)

    other = replace(
        instance,
        transition=instance.transition[order],
        reward=instance.reward[order],
        start=instance.start[order],
        joint=tuple(replace(one, arms=tuple(int(place[j]) for j in one.arms)) for one in instance.joint),
    )
    now = np.random.default_rng(8).integers(0, 4, 12)
    action = np.zeros(12, dtype=int)
    action[[2, 5, 7]] = 1
    assert instance.expected_reward(now, action) == pytest.approx(other.expected_reward(now[order], action[order]))
    engines = [make_engine(1, instance=one) for one in (instance, other)]
    for engine in engines:
        engine.reset([0])
    for engine, states in zip(engines, (now, now[order]), strict=True):
        engine.state.now[0] = states
        engine._write_all()
    slots = [engine.block.views["actions/features"][0, :12] for engine in engines]
    np.testing.assert_allclose(slots[0][order], slots[1], atol=1e-6)


def test_imagined_copies_know_nothing_of_the_world_and_have_its_law() -> None:
    worlds = [make_engine(1, instance="k2b") for _ in range(2)]
    for engine, seed in zip(worlds, (0, 1), strict=True):
        engine.reset([seed])
    assert np.array_equal(worlds[0].block.memory, worlds[1].block.memory)
    keys = np.arange(3000, dtype=np.uint64)
    imagined = [engine.imagine(np.zeros(3000, dtype=np.int64), keys) for engine in worlds]
    stop = imagined[0].sizes.actions - 1
    for engine in imagined:
        for action in (0, 1, stop):
            engine.step(np.full(3000, action))
    assert np.array_equal(imagined[0].state.now, imagined[1].state.now)
    up = (imagined[0].state.now == 1).mean(axis=0)
    expected = (0.75, 0.83, 0.15, 0.20)
    assert np.abs(up - expected).max() < 4 * np.sqrt(0.25 / 3000)


def test_a_model_error_is_in_what_is_known_and_not_in_the_world() -> None:
    engine = make_engine(2000, instance="cardinality-j20-0", model_error=3)
    engine.reset(np.arange(2000))
    known, true = engine.known_instance(0), engine.instance(0)
    assert known.up is not None
    assert true.up is not None
    assert set(np.unique(np.round(known.up * 3, 9))) <= {0.0, 1.0, 2.0, 3.0}
    assert not np.allclose(known.up, true.up, atol=0.05)
    assert np.array_equal(known.transition, true.estimated(3).transition)
    now = engine.state.now.copy()
    imagined = engine.imagine(np.arange(2000), np.arange(2000, dtype=np.uint64))
    assert np.array_equal(imagined.instance(0).transition, known.transition)
    stop = np.full(2000, engine.sizes.actions - 1)
    for played, law in ((engine, true.up[:, 0]), (imagined, known.up[:, 0])):
        played.step(stop)
        rose = (played.state.now > now).mean(axis=0)
        assert np.abs(rose - law).max() < 4 * 0.5 / np.sqrt(2000)
    exact = true.estimated(10**9)
    assert exact.up is not None
    assert np.abs(exact.up - true.up).max() < 1e-3


def test_every_arm_gets_its_least_visits() -> None:
    rng = np.random.default_rng(9)
    for name, least in (("cardinality-j20-0", 4), ("capacity-j20-0", 3), ("schedule-j20-0", 2)):
        engine = make_engine(4, instance=name, min_visits=least, record=True)
        engine.reset(np.arange(4))
        while engine.is_running().any():
            engine.step(play_randomly(engine, rng, stop=0.5))
        for copy in range(4):
            assert engine.metrics(copy)["visits_min"] >= least
            assert validate(engine.schedule(copy)) == []


def test_least_visits_hold_for_whole_actions_and_costs() -> None:
    engine = make_engine(1, instance="k2a", view="vector", min_visits=5)
    engine.reset([0])
    engine.step([[1, 0, 0, 0]])
    for _ in range(3):  # then 16 visits are missing, and 16 epochs are left
        engine.step([[0, 1, 0, 0]])
    with pytest.raises(InfeasibleActionError, match=r"arm 2 still needs 5 visits of min_visits=5"):
        engine.step([[0, 0, 0, 0]])
    costs = make_engine(1, instance="k2a", view="cost", min_visits=5)
    costs.reset([0])
    while costs.is_running().any():
        costs.step([[1.0, 0.0, 0.0, 0.0]])
    assert costs.metrics(0)["visits_min"] == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"instance": "k2a", "min_visits": 6}, "visiting every arm once takes 4 epochs, 6 times 24"),
        ({"instance": "k6a", "min_visits": 1}, "min_visits needs a set of arms"),
        ({"instance": "k5a", "min_visits": 1}, "arm 0 is in no feasible action"),
        ({"instance": "k9"}, "unknown instance 'k9'"),
        ({"instance": "capacity-j3-0"}, "number of arms of capacity is 3"),
        ({"instance": "random:size=capacity"}, "option size is 'capacity', expected FAMILY-jJ"),
        ({"view": "sequence"}, "option view is 'sequence'"),
        ({"model_error": -1}, "option model_error is -1"),
        ({"budget": 3}, "unknown option of makespan/RestlessBandits-v0 'budget'"),
    ],
)
def test_bad_options_are_told_in_one_line(options, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        make_engine(1, **options)
    assert "\n" not in str(caught.value)


def test_an_instance_that_cannot_be_played_is_refused_and_the_episode_goes_on() -> None:
    engine = make_engine(1, instance="k2a,k3", min_visits=2)
    engine.reset([0], instances=["k2a"])
    engine.step([1])
    before = engine.snapshot()
    for name, words in (
        ("cardinality-j20-0", "needs room for 20 arms, but the environment has room for 4"),
        ("k0", "visiting every arm once takes 2 epochs, 2 times 4"),
    ):
        with pytest.raises(UserError, match=words):
            engine.reset([1], instances=[name])
        for mine, saved in zip(engine._arrays(), before.arrays, strict=True):
            assert np.array_equal(mine, saved)
    engine.reset([1], instances=["k2b"])
    assert engine.instance_name(0) == "k2b"
    assert engine.instance(0).feasible.budget == 2
    engine.step([0])


def test_an_illegal_action_is_explained() -> None:
    engine = make_engine(1, instance="k3")
    engine.reset([0])
    engine.step([0])
    engine.step([1])
    for action, words in (
        (0, "element 0 is picked already"),
        (2, "arm 2 is the first that finds no worker"),
        (9, "actions are 0 to 4"),
    ):
        with pytest.raises(ValueError, match=words):
            engine.step([action])
    exact = make_engine(1, instance="k6a")
    exact.reset([0])
    with pytest.raises(ValueError, match="STOP, but 0 elements are chosen, expected exactly 2"):
        exact.step([4])


def test_a_set_that_cannot_be_looked_through_is_refused() -> None:
    rows = np.ones((1, 20))
    instance = draw_instance(Size("cardinality", 20), 0).with_feasible(LinearSet(-rows, [-3.0]))
    with pytest.raises(UserError, match="negative coefficients or lower limits"):
        make_engine(1, instance=instance)


def test_instances_of_different_sizes_play_in_one_batch_as_alone() -> None:
    names = ["k0", "capacity-j20-0", "path-j40-0", "k6b", "contagion-j20-0"]
    together = make_engine(5, instance=",".join(names), record=True)
    together.reset(np.arange(5), instances=names)
    alone = [make_engine(1, instance=name, record=True) for name in names]
    for seed, engine in enumerate(alone):
        engine.reset([seed])
    rng = np.random.default_rng(10)
    stop = together.sizes.actions - 1
    while together.is_running().any():
        actions = play_randomly(together, rng)
        for copy, engine in enumerate(alone):
            if engine.is_running()[0]:
                last = engine.sizes.actions - 1
                engine.step([last if actions[copy] == stop else actions[copy]])
        together.step(actions)
    for copy, engine in enumerate(alone):
        assert together.objectives()[copy] == engine.objectives()[0]
        assert together.metrics(copy) == engine.metrics(0)


def test_chains_follow_their_rows() -> None:
    instance = chains()
    engine = make_engine(6000, instance=instance)
    engine.reset(np.arange(6000))
    now = engine.state.now.copy()
    engine.step(np.full(6000, 0))
    engine.step(np.full(6000, engine.sizes.actions - 1))
    for j, level in ((0, 1), (1, 0)):
        for s in range(instance.num_states):
            mine = now[:, j] == s
            if mine.sum() > 500:
                share = np.bincount(engine.state.now[mine, j], minlength=instance.num_states) / mine.sum()
                assert np.abs(share - instance.transition[j, level, s]).max() < 4 * 0.5 / np.sqrt(mine.sum())


def test_the_largest_known_case_is_found_by_the_engine_s_own_law() -> None:
    """The myopic action's gain in a slot is the difference of the law's expected rewards."""
    for name in ("k2b", "k7b", "k8b", "k6a"):
        instance = known_case(name)
        engine = make_engine(1, instance=instance)
        engine.reset([0])
        rng = np.random.default_rng(11)
        for _ in range(5):
            now = rng.integers(0, 4, instance.num_arms)
            engine.reset([0])
            engine.state.now[0] = now
            from makespan.envs.restless_bandits.dynamics import begin_epoch

            begin_epoch(engine.problem, engine.state, 0)
            engine._write_all()
            column = engine.spec.action_column("myopic_gain")
            nothing = np.zeros(instance.num_elements)
            top = float(engine.problem.scale[0, 0])
            for e in range(instance.num_elements):
                one = np.eye(instance.num_elements)[e]
                gain = instance.expected_reward(now, one) - instance.expected_reward(now, nothing)
                shown = engine.block.views["actions/features"][0, e, column]
                assert shown == pytest.approx(gain / top, abs=1e-6)


def test_training_instances_are_of_the_families_at_hand() -> None:
    assert make_engine(1, instance="capacity-j20-0,path-j20-1").training_instances() == (
        "random:size=capacity-j20+path-j20"
    )
    assert isinstance(BanditInstance.from_dict(known_case("k3").to_dict()), BanditInstance)


def test_an_instance_that_is_coupled_may_follow_one_that_is_not() -> None:
    """Compiled code for plain instances leaves out what couples arms; another instance brings the whole."""
    alone = replace(known_case("k2a"), name="joined", joint=(Joint((0,), 2.0, 3),))
    engine, whole = make_engine(1, instance="k2a"), make_engine(1, instance=alone)
    engine.reset([5])
    engine.step([0])
    assert "plain" in engine.problem._numba_type.name
    assert "plain" not in whole.problem._numba_type.name
    engine.reset([7], instances=[alone])
    whole.reset([7])
    while whole.is_running().any():
        action = 0 if whole.masks[0, 0] else 4
        assert np.array_equal(engine.block.memory, whole.block.memory)
        engine.step([action])
        whole.step([action])
    assert engine.objectives() == whole.objectives() > 0
