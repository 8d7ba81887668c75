"""The two doors to memory mapping: one engine, Gymnasium's rules, and mistakes told plainly."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from makespan.envs.core.check import RULES, run_rule
from makespan.envs.core.check_play import Subject
from makespan.envs.core.errors import UserError
from makespan.envs.core.ids import find_env
from makespan.envs.memory_mapping.env import MemoryMappingEnv, MemoryMappingVectorEnv, make_engine
from makespan.envs.memory_mapping.generator import random_instance
from makespan.envs.memory_mapping.schedule import MemoryPlan
from support.memory_hand_games import HAND_GAMES
from support.trajectories import pick, traces

ID = "makespan/MemoryMapping-v0"
SIZE = "random:size=20+40"
OPTION_SETS: dict[str, dict[str, Any]] = {
    "plain": {"instance": SIZE},
    "elapsed": {"instance": SIZE, "supply": "elapsed", "offsets": "first_fit", "objective": "proxy"},
    "either": {"instance": SIZE, "supply": "either"},
    "terminate": {"instance": SIZE, "dead_end": "terminate", "reward_scale": "none"},
    "static": {"instance": SIZE, "reward": "static"},
}
OPTIONS = pytest.mark.parametrize("options", OPTION_SETS.values(), ids=OPTION_SETS)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@OPTIONS
def test_both_doors_agree_step_for_step_through_later_episodes(options):
    many = MemoryMappingVectorEnv(num_envs=3, **options)
    singles = [MemoryMappingEnv(**options) for _ in range(3)]
    observation, info = many.reset(seed=40)
    seen = [env.reset(seed=40 + copy) for copy, env in enumerate(singles)]
    assert info["seed"].tolist() == [40, 41, 42]
    seeds, steps, ended = [40, 41, 42], [0, 0, 0], 0
    for _ in range(100):
        for copy in range(3):
            assert same({key: value[copy] for key, value in observation.items()}, seen[copy][0])
        actions = [pick(seeds[c], steps[c], observation["action_mask"][c]) for c in range(3)]
        observation, reward, terminated, truncated, info = many.step(np.array(actions))
        for copy, env in enumerate(singles):
            mine = env.step(actions[copy])
            steps[copy] += 1
            assert (reward[copy], bool(terminated[copy]), bool(truncated[copy])) == mine[1:4]
            assert info["elapsed"][copy] == mine[4]["elapsed"] == 1.0
            seen[copy] = (mine[0], mine[4])
            if mine[2]:
                ended += 1
                assert same(info["final_obs"][copy], mine[0])
                for key in ("objective", "seed", "instance", "reward_scale"):
                    assert info["final_info"][key][copy] == mine[4][key], key
                seen[copy] = env.reset()
                seeds[copy], steps[copy] = seen[copy][1]["seed"], 0
                assert seeds[copy] >= 2**62
    assert ended > 4


@OPTIONS
def test_a_trace_depends_on_nothing_but_its_seed(options):
    seeds = list(range(100, 132))
    together = traces(make_engine, options, seeds)
    assert [traces(make_engine, options, [seed])[0] for seed in seeds[:4]] == together[:4]
    assert traces(make_engine, options, seeds[::-1])[::-1] == together
    assert traces(make_engine, options, seeds, threads=2) == together
    assert traces(make_engine, options, seeds[:4], disturb=True) == together[:4]
    assert len(set(together)) == 32


def test_programs_of_different_sizes_play_in_one_batch_as_alone():
    instances = [random_instance((size,), seed) for seed, size in enumerate((12, 90, 40))]
    together = make_engine(3, instances)
    together.reset([0, 0, 0], instances=instances)
    alone = [make_engine(1, instance) for instance in instances]
    for engine in alone:
        engine.reset([0])
    step = 0
    while together.is_running().any():
        actions = [pick(copy, step, mask) if mask.any() else 0 for copy, mask in enumerate(together.masks)]
        for copy, engine in enumerate(alone):
            assert same(together.block.row(copy), engine.block.row(0))
            engine.step(actions[copy : copy + 1])
        together.step(actions)
        step += 1
    assert together.objectives().tolist() == [int(engine.objectives()[0]) for engine in alone]


@OPTIONS
def test_imagined_copies_go_on_as_the_real_one(options):
    engine = make_engine(2, **options)
    engine.reset([3, 4])
    for step in range(7):
        engine.step([pick(9, step, mask) for mask in engine.masks])
    imagined = engine.imagine([1, 0, 1], [7, 8, 9])
    for step in range(30):
        for mine, theirs in ((1, 0), (0, 1), (1, 2)):
            assert np.array_equal(engine.block.memory[mine], imagined.block.memory[theirs])
        actions = [pick(5, step, mask) if mask.any() else 0 for mask in engine.masks]
        engine.step(actions)
        imagined.step([actions[1], actions[0], actions[1]])
    assert not engine.stochastic


# --- what environments promise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [OPTION_SETS["plain"], OPTION_SETS["terminate"]], ids=["plain", "terminate"])
def test_gymnasium_finds_nothing_to_say(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, **options).unwrapped)


def test_stable_baselines_says_no_more_than_that_boxes_should_be_flat():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(gymnasium.make(ID, instance=SIZE).unwrapped)
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert [text for text in said if "recommend you to flatten" not in text] == []


def test_a_static_return_is_the_sum_of_static_benefits():
    instance = random_instance((60,), 5)
    engine = make_engine(1, instance, reward="static", reward_scale="none")
    engine.reset([0])
    total, step = 0.0, 0
    while engine.is_running()[0]:
        total += float(engine.step([pick(1, step, engine.masks[0])]).reward[0])
        step += 1
    served = engine.schedule(0).served
    none = np.zeros(instance.num_accesses, dtype=np.bool_)
    expected = 0
    for access in np.flatnonzero(served):
        alone = none.copy()
        alone[access] = True
        expected += int((instance.trips * (instance.instruction_ps(none) - instance.instruction_ps(alone))).sum())
    assert total == pytest.approx(expected)
    assert expected > 0


@pytest.mark.parametrize(
    "options", [{}, {"reward": "static"}, {"supply": "elapsed"}], ids=["plain", "static", "elapsed"]
)
def test_an_illegal_action_returns_less_than_any_episode_of_legal_ones(options):
    engine = make_engine(16, SIZE, **options)
    engine.reset(np.arange(16))
    total = np.zeros(16)
    step = 0
    while engine.is_running().any():
        total += engine.step([pick(2, step, mask) if mask.any() else 0 for mask in engine.masks]).reward
        step += 1
    env = MemoryMappingEnv(instance=SIZE, **options)
    for seed in range(16):
        env.reset(seed=seed)
        *_, terminated, _, info = env.step(0)  # COPY of an input that the first instruction reads has no supply
        assert terminated
        assert info["illegal_action"]
        assert info["objective"] > 2 * info["metrics"]["all_hbm_ps"]
        assert -info["objective"] / info["reward_scale"] < total[seed]


def test_a_plan_that_was_played_is_appraised_as_it_was_played():
    for objective in ("judge", "proxy"):
        engine = make_engine(1, random_instance((80,), 3), objective=objective)
        engine.reset([0])
        step = 0
        while engine.is_running()[0]:
            engine.step([pick(4, step, engine.masks[0])])
            step += 1
        value, metrics = engine.appraise(engine.schedule(0))
        played = engine.metrics(0)
        assert value == engine.objectives()[0]
        for key in ("proxy_ps", "judged_ps", "all_hbm_ps", "waits_ps", "copies", "write_backs", "drops"):
            assert metrics[key] == played[key], key


@pytest.mark.parametrize("objective", ["judge", "proxy"])
def test_the_bound_holds_for_plays_under_either_supply(objective):
    instances = [random_instance((60,), seed) for seed in range(8)]
    room = MemoryMappingEnv(instance=instances, objective=objective)
    for supply in ("contended", "elapsed"):
        engine = make_engine(8, instances, supply=supply, objective=objective)
        engine.reset(np.arange(8), instances=instances)
        step = 0
        while engine.is_running().any():
            engine.step([pick(step, 6, mask) if mask.any() else 0 for mask in engine.masks])
            step += 1
        for copy, instance in enumerate(instances):
            bound = room.bound(instance)
            assert room.bound(instance.name) == bound
            assert 0 < bound <= engine.objectives()[copy]
            assert bound < instance.all_hbm_ps


def test_plans_are_stored_read_and_checked():
    env = MemoryMappingEnv(instance=SIZE)
    _, info = env.reset(seed=0)
    ended, step = False, 0
    while not ended:
        *_, ended, _, info = env.step(pick(0, step, info["action_mask"]))
        step += 1
    plan = env.schedule()
    assert isinstance(plan, MemoryPlan)
    assert env.validate(plan) == []
    assert env.read_schedule(plan.to_dict()) == plan


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_illegal_action_is_refused_in_words_and_changes_nothing():
    (hand,) = [hand for hand in HAND_GAMES if hand.name == "the same supply is not used twice"]
    env = MemoryMappingEnv(instance=hand.instance, on_illegal="raise")
    env.reset(seed=0)
    env.step(hand.actions[0])
    env.step(hand.actions[1])
    before = env.engine.snapshot()
    expected = {
        0: "COPY of tensor 2, which instruction 1 reads: too little supply is left for the transfer",
        1: "NO_COPY of tensor 2, which instruction 1 reads: the access of the tensor before this one is not in CMEM",
        3: "actions are 0 to 2",
        -1: "actions are 0 to 2",
    }
    for action, reason in expected.items():
        with pytest.raises(ValueError, match=f"^action {action} is illegal: {reason}; 1 actions are legal$"):
            env.step(action)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"suply": "elapsed"}, "unknown option of makespan/MemoryMapping-v0 'suply'; did you mean 'supply'?"),
        ({"supply": "unlimited"}, "option supply is 'unlimited', expected 'contended' or 'elapsed' or 'either'"),
        (
            {"supply": "either", "objective": "proxy"},
            "option objective is 'proxy', expected 'judge' with supply='either'",
        ),
        ({"offsets": "worst_fit"}, "option offsets is 'worst_fit', expected 'best_fit' or 'first_fit'"),
        ({"dead_end": "stop"}, "option dead_end is 'stop', expected 'backup' or 'terminate'"),
        ({"objective": "time"}, "option objective is 'time', expected 'judge' or 'proxy'"),
        ({"reward": "sparse"}, "option reward is 'sparse', expected 'marginal' or 'static'"),
        ({"reward_scale": 1}, "option reward_scale is 1, expected 'instance' or 'none'"),
        ({"max_accesses": 100}, "option max_accesses is 100, expected an integer of at least 200"),
        ({"max_tensors": True}, "option max_tensors is True, expected an integer"),
        ({"instance": "resnet51"}, "unknown instance 'resnet51'; did you mean"),
        ({"instance": "random:size=7"}, "option size is 7, expected numbers of accesses from 8"),
        ({"instance": "random:size=5x5"}, "option size is '5x5', expected numbers of accesses"),
        ({"instance": "random"}, "instance 'random' has no size, expected for example random:size=100"),
        ({"instance": "./nowhere.json"}, "no such file"),
    ],
)
def test_bad_options_are_told_in_one_line(options, message):
    for door in (MemoryMappingEnv, MemoryMappingVectorEnv):
        with pytest.raises(UserError) as caught:
            door(**options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_instance_that_is_too_large_is_refused_and_the_episode_goes_on():
    env = MemoryMappingEnv(instance=SIZE, on_illegal="raise")
    env.reset(seed=4)
    before = env.engine.snapshot()
    with pytest.raises(UserError, match="has 78 accesses, but the environment has room for 40; make it with max_acc"):
        env.reset(options={"instance": random_instance((80,), 4)})
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))
    large = MemoryMappingEnv(instance=SIZE, max_accesses=80, max_tensors=80, max_instructions=80)
    _, info = large.reset(seed=0, options={"instance": random_instance((80,), 4)})
    assert info["instance"] == "random-80-s4"


def test_instances_by_names_and_objects_in_a_list():
    program = random_instance((20,), 1)
    engine = make_engine(3, ["unet_b4_16m", program, "alexnet_b8_64m"])
    engine.reset([0, 0, 0], instances=["alexnet_b8_64m", program, "unet_b4_16m"])
    assert [engine.instance_name(copy) for copy in range(3)] == ["alexnet_b8_64m", program.name, "unet_b4_16m"]


@pytest.mark.parametrize("given", [5, None, [], ["unet_b4_16m", 7]])
def test_what_is_no_instance_is_named(given):
    with pytest.raises(UserError, match=r"option instance.* expected a name, a path, a MemoryInstance or a list"):
        make_engine(1, given)


def test_rules_are_chosen_on_programs_for_training():
    assert make_engine(1, "unet_b4_16m").training_instances() == "mm-train"
    assert make_engine(1, "random:size=20+50").training_instances() == "random:size=20+50"


def test_a_play_that_leaves_all_in_hbm_is_not_held_against_the_validator():
    """Of so empty a plan no number can be wrong: the checker goes on to other episodes."""
    subject = Subject(find_env("makespan/MemoryMapping-v0"), {"dead_end": "terminate"})
    rule = next(rule for rule in RULES if rule.name == "malformed schedules")
    assert run_rule(rule, subject).outcome == "passed"
