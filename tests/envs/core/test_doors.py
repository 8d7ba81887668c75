"""The two doors: both are the same engine, keep Gymnasium's rules, and speak plainly of mistakes."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.random import episode_seed
from makespan.envs.job_shop.env import JobShopEnv, JobShopVectorEnv, make_engine
from support.job_shop import engine_for, shop
from support.trajectories import pick, traces

ID = "makespan/JobShop-v0"
OPTION_SETS = {
    "plain": {"instance": "random:size=3x3+4x2"},
    "no-swap": {"instance": "random:size=4x3", "blocking": "no-swap"},
    "bernoulli": {"instance": "random:size=3x3", "law": "bernoulli", "p": 0.004, "on_breakdown": "scrap"},
    "exponential": {
        "instance": "random:size=3x3", "law": "exponential", "mtbf": 300.0, "mttr": 20.0, "clock": "busy",
        "repair_visible": False, "epoch_on_breakdown": True, "on_breakdown": "repeat",
    },
    "construct": {"instance": "random:size=3x4", "blocking": "none", "mode": "construct"},
}  # fmt: skip
OPTIONS = pytest.mark.parametrize("options", OPTION_SETS.values(), ids=OPTION_SETS)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


# --- both doors are one engine ----------------------------------------------------------------------------------------


@OPTIONS
def test_both_doors_agree_step_for_step_through_later_episodes(options):
    many = JobShopVectorEnv(num_envs=3, **options)
    singles = [JobShopEnv(**options) for _ in range(3)]
    observation, info = many.reset(seed=40)
    seen = [env.reset(seed=40 + copy) for copy, env in enumerate(singles)]
    assert info["seed"].tolist() == [40, 41, 42]
    seeds, steps, ended = [40, 41, 42], [0, 0, 0], 0
    for _ in range(90):
        for copy in range(3):
            assert same({key: value[copy] for key, value in observation.items()}, seen[copy][0])
        actions = [pick(seeds[c], steps[c], observation["action_mask"][c]) for c in range(3)]
        observation, reward, terminated, truncated, info = many.step(np.array(actions))
        for copy, env in enumerate(singles):
            mine = env.step(actions[copy])
            steps[copy] += 1
            assert (reward[copy], bool(terminated[copy]), bool(truncated[copy])) == mine[1:4]
            assert info["elapsed"][copy] == mine[4]["elapsed"]
            seen[copy] = (mine[0], mine[4])
            if mine[2] or mine[3]:
                ended += 1
                check_final(info, copy, mine)
                seen[copy] = env.reset()
                seeds[copy], steps[copy] = seen[copy][1]["seed"], 0
                assert seeds[copy] >= 2**62
        assert info["action_mask"].tolist() == observation["action_mask"].tolist()
    assert ended > 4


def check_final(info, copy, mine):
    """What the vector door leaves of an ended episode is what the single door reports."""
    assert info["_final_obs"][copy]
    assert info["_final_info"][copy]
    assert same(info["final_obs"][copy], mine[0])
    final = info["final_info"]
    for key in ("objective", "seed", "instance", "reward_scale", "illegal_action", "elapsed"):
        assert final[key][copy] == mine[4][key], key
    assert {key: value[copy] for key, value in final["metrics"].items() if not key.startswith("_")} == mine[4][
        "metrics"
    ]


@OPTIONS
def test_any_later_episode_can_be_replayed_alone(options):
    many = JobShopVectorEnv(num_envs=2, **options)
    observation, _ = many.reset(seed=5)
    seeds, steps, scripts, found = [5, 6], [0, 0], [[], []], []
    while len(found) < 5 or int(episode_seed(5, 1)) not in {seed for seed, *_ in found}:
        actions = [pick(seeds[c], steps[c], observation["action_mask"][c]) for c in range(2)]
        observation, _, terminated, truncated, info = many.step(actions)
        for copy in range(2):
            scripts[copy].append(actions[copy])
            steps[copy] += 1
            if terminated[copy] or truncated[copy]:
                final = info["final_info"]
                found.append((int(final["seed"][copy]), int(final["objective"][copy]), scripts[copy]))
                number = sum(1 for seed, *_ in found if seed == seeds[copy])
                assert number == 1
                scripts[copy], steps[copy] = [], 0
                seeds[copy] = int(many.engine.seeds[copy])
    for seed, objective, script in found:
        env = JobShopEnv(**options)
        _, info = env.reset(seed=seed)
        for action in script:
            *_, info = env.step(action)
        assert (info["objective"], info["seed"]) == (objective, seed)


@OPTIONS
def test_the_seeds_of_a_vector_reset(options):
    many = JobShopVectorEnv(num_envs=3, **options)
    _, info = many.reset(seed=[7, None, 9])
    assert info["seed"][[0, 2]].tolist() == [7, 9]
    _, info = many.reset()
    assert info["seed"].tolist() == [int(episode_seed(seed, 1)) for seed in (7, many._seeds[1], 9)]  # type: ignore[index]
    _, info = many.reset(seed=np.int64(3))  # type: ignore[arg-type]
    assert info["seed"].tolist() == [3, 4, 5]


# --- bit identity -----------------------------------------------------------------------------------------------------


@OPTIONS
def test_a_trace_depends_on_nothing_but_its_seed(options):
    seeds = list(range(100, 164))
    together = traces(make_engine, options, seeds)
    assert [traces(make_engine, options, [seed])[0] for seed in seeds[:6]] == together[:6]
    assert traces(make_engine, options, seeds[::-1])[::-1] == together
    assert traces(make_engine, options, seeds, threads=2) == together
    assert traces(make_engine, options, seeds[:5], disturb=True) == together[:5]
    assert len(set(together)) == 64


@pytest.mark.slow
@OPTIONS
def test_one_copy_and_1024_copies(options):
    seeds = list(range(1024))
    together = traces(make_engine, options, seeds)
    assert traces(make_engine, options, seeds, threads=2) == together
    assert [traces(make_engine, options, [seed])[0] for seed in seeds] == together


@OPTIONS
def test_a_copy_goes_on_as_its_source_does(options):
    engine = make_engine(4, record=True, **options)
    engine.reset([1, 2, 3, 4])
    for step in range(5):
        engine.step([pick(9, step, mask) if mask.any() else 0 for mask in engine.masks])
    engine.copy([0], [2])
    engine.copy([1], [3])
    assert engine.instance_name(2) == engine.instance_name(0)
    step = 0
    while engine.is_running().any():
        assert np.array_equal(engine.block.memory[:2], engine.block.memory[2:])
        engine.step([pick(9, step, mask) if mask.any() else 0 for mask in engine.masks])
        step += 1
    for copy in range(2):
        assert engine.metrics(copy) == engine.metrics(copy + 2)
        assert engine.schedule(copy).to_dict() == engine.schedule(copy + 2).to_dict()


# --- Gymnasium's and Stable-Baselines3's rules ------------------------------------------------------------------------


@OPTIONS
def test_gymnasium_finds_nothing_to_say(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, **options).unwrapped)


def test_stable_baselines_says_no_more_than_that_boxes_should_be_flat():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(gymnasium.make(ID).unwrapped)
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert [text for text in said if "recommend you to flatten" not in text] == []


@OPTIONS
def test_the_classic_loop_runs(options):
    env = gymnasium.make(ID, **options)
    env.action_space.seed(0)
    env.reset(seed=0)
    ends = {True: 0, False: 0}
    for _ in range(400):
        *_, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert isinstance(reward, float)
        if terminated or truncated:
            ends[info["illegal_action"]] += 1
            env.reset()
    assert ends[True] > 20


def test_masked_sampling_plays_to_the_end():
    env = gymnasium.make(ID)
    shop_env = env.unwrapped
    assert isinstance(shop_env, JobShopEnv)
    observation, info = env.reset(seed=0)
    env.action_space.seed(0)
    assert observation["action_mask"].tolist() == info["action_mask"].tolist() == shop_env.action_masks().tolist()
    terminated = truncated = False
    total = 0.0
    while not (terminated or truncated):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
        total += float(reward)
    assert info["illegal_action"] is False
    assert total * info["reward_scale"] == pytest.approx(-info["objective"])
    assert shop_env.validate(shop_env.schedule()) == []


def test_what_is_received_is_not_written_again():
    for env in (JobShopEnv(), JobShopVectorEnv(num_envs=2)):
        observation, _ = env.reset(seed=0)
        kept = {key: value.copy() for key, value in observation.items()}
        env.step(0) if isinstance(env, JobShopEnv) else env.step([0, 0])
        env.reset(seed=1)
        assert same(kept, observation)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_illegal_action_is_refused_in_words_and_changes_nothing():
    env = JobShopEnv(instance=shop([[3, 2], [2, 4], [9]], [[0, 1], [0, 1], [2]]), on_illegal="raise")  # type: ignore[arg-type]
    env.reset(seed=0)
    env.step(0)
    before = env.engine.snapshot()
    for action, reason in [(1, "holds job 0"), (0, "until its operation 0"), (5, "actions are 0 to 3"), (-1, "0 to 3")]:
        with pytest.raises(ValueError, match=f"^action {action} is illegal: .*{reason}.*; 2 actions are legal$"):
            env.step(action)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))


def test_the_vector_door_names_the_copy():
    env = JobShopVectorEnv(num_envs=3, on_illegal="raise")
    env.reset(seed=0)
    before = env.engine.snapshot()
    with pytest.raises(ValueError, match=r"^copy 1: action 6 is illegal: WAIT needs .*; 6 actions are legal$"):
        env.step([0, 6, 0])
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(3,\)"):
        env.step([0, 0])


def test_an_illegal_action_ends_the_episode_where_that_is_asked_for():
    env = JobShopEnv(reward_scale="none")
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(6)
    assert (terminated, truncated, info["illegal_action"]) == (True, False, True)
    work = int(env.engine.instance(0).times.sum())
    assert (reward, info["objective"]) == (-3.0 * work, 3 * work)


def test_step_needs_a_reset():
    for env in (JobShopEnv(), JobShopVectorEnv(num_envs=1)):
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step([0])  # type: ignore[arg-type]
    env = JobShopEnv()
    env.reset(seed=0)
    before = env.engine.snapshot()
    env.step(6)
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode has ended"):
        env.step(0)
    env.engine.restore(before)
    assert not env.step(0)[2]


def test_a_snapshot_of_an_ended_episode_has_ended_in_another_copy_too():
    ended, fresh = JobShopEnv(), JobShopEnv()
    ended.reset(seed=0)
    running = ended.snapshot()
    ended.step(6)
    saved = ended.snapshot()
    fresh.restore(saved)
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode has ended"):
        fresh.step(0)
    fresh.restore(running)
    assert not fresh.step(0)[2]
    fresh.restore(saved)
    assert fresh.reset()[1]["seed"] == int(episode_seed(0, 1))


@pytest.mark.parametrize("on_illegal", ["raise", "terminate"])
@pytest.mark.parametrize(
    "action", [1.9, 1.0, "1", None, [1.0], np.float32(1), np.bool_(True), [0, 1], 2**70, float("nan")], ids=repr
)
def test_an_action_is_an_integer_or_refused_in_words(on_illegal: str, action: Any) -> None:
    env = JobShopEnv(on_illegal=on_illegal)
    env.reset(seed=0)
    before = env.engine.snapshot()
    with pytest.raises(FieldError, match=r"^action is .*, expected an integer$"):
        env.step(action)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))
    for fine in (1, np.int32(1), np.array(1), np.array([1])):
        env.engine.restore(before)
        assert env.step(fine)[4]["elapsed"] >= 0  # type: ignore[arg-type]


@pytest.mark.parametrize("on_illegal", ["raise", "terminate"])
@pytest.mark.parametrize("actions", [[1.9, 0], [True, False], np.array([1.0, 0.0]), ["1", "0"], [None, 0], [2**70, 0]])
def test_actions_are_integers_or_refused_in_words(on_illegal: str, actions: Any) -> None:
    many = JobShopVectorEnv(num_envs=2, on_illegal=on_illegal)
    many.reset(seed=0)
    before = many.engine.snapshot()
    with pytest.raises(FieldError, match=r"^actions is .*, expected integers"):
        many.step(actions)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, many.engine.snapshot().arrays, strict=True))
    given: list[Any] = [[1, 0], (np.int8(1), 0), np.array([1, 0], dtype=np.uint8), np.array([[1, 9], [0, 9]])[:, 0]]
    for fine in given:
        many.engine.restore(before)
        assert many.step(fine)[0]["globals"].shape[0] == 2


@pytest.mark.parametrize("seed", [1.7, True, np.float64(2), "3", np.bool_(True), -1, 2**63, 2**70])
def test_a_seed_is_an_integer_or_refused_in_words(seed: Any) -> None:
    env, many = JobShopEnv(), JobShopVectorEnv(num_envs=2)
    for door in (env, many):
        with pytest.raises(FieldError, match=r"^seed is .*, expected (an integer from 0 to|one seed, or a list of 2)"):
            door.reset(seed=seed)
    with pytest.raises(FieldError, match=r"^seed is .*, expected an integer from 0 to"):
        many.reset(seed=[0, seed])
    assert env.reset(seed=np.int64(5))[1]["seed"] == 5  # type: ignore[arg-type]
    assert many.reset(seed=[7, None])[1]["seed"][0] == 7
    for given in (np.int32(5), [5, 6], np.array([5, 6]), np.array(5)):
        assert many.reset(seed=given)[1]["seed"].tolist() == [5, 6]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"blokking": "swap"}, "unknown option of makespan/JobShop-v0 'blokking'; did you mean 'blocking'?"),
        ({"on_ilegal": "raise"}, "did you mean 'on_illegal'?"),
        ({"on_illegal": "ignore"}, "option on_illegal is 'ignore', expected 'terminate' or 'raise'"),
        ({"blocking": "swop"}, "option blocking is 'swop', expected 'none' or 'swap' or 'no-swap'"),
        ({"p": 1.0}, "option p is 1.0, expected a probability"),
        ({"p": True}, "option p is True, expected a number"),
        ({"p": float("nan")}, "option p is nan, expected a probability"),
        ({"mtbf": 0}, "option mtbf is 0, expected a mean time"),
        ({"allow_wait": 1}, "option allow_wait is 1, expected true or false"),
        ({"mode": "construct"}, "option mode is 'construct', which needs blocking='none'"),
        ({"deadlock": "banker"}, "option deadlock is 'banker', which needs blocking='no-swap', but it is 'swap'"),
        ({"law": "windows", "clock": "busy"}, "needs clock='calendar'"),
        ({"max_jobs": 5}, "option max_jobs is 5, expected an integer of at least 6"),
        ({"max_machines": 6.0}, "option max_machines is 6.0, expected an integer"),
        ({"instance": "ft99"}, "unknown instance 'ft99'; did you mean"),
        ({"instance": "random:size=6"}, "option size is 6, expected sizes JOBSxMACHINES"),
        ({"instance": "./nowhere.json"}, "no such file"),
        ({"render_mode": "human"}, "option render_mode is 'human', expected"),
    ],
)
def test_bad_options_are_told_in_one_line(options, message):
    for door in (JobShopEnv, JobShopVectorEnv):
        with pytest.raises(UserError) as caught:
            door(**options)
        text = str(caught.value)
        assert message in text or (door is JobShopVectorEnv and "render_mode" in options)
        assert "\n" not in text


def test_bad_arguments_of_reset_leave_the_episode_as_it_is():
    env = JobShopEnv(on_illegal="raise")
    env.reset(seed=4)
    many = JobShopVectorEnv(num_envs=2)
    many.reset(seed=4)
    before = env.engine.snapshot(), many.engine.snapshot()
    with pytest.raises(UnknownNameError, match="unknown reset option 'instanse'; did you mean 'instance'"):
        env.reset(options={"instanse": "ft06"})
    with pytest.raises(
        UserError, match="'ft10' has 10 jobs, but the environment has room for 6; make it with max_jobs"
    ):
        env.reset(seed=5, options={"instance": "ft10"})
    with pytest.raises(UserError, match="unknown instance 'ft07'"):
        env.reset(options={"instance": "ft07"})
    with pytest.raises(UserError, match="names 2 instances, expected one"):
        env.reset(options={"instance": "la01-la02"})
    with pytest.raises(UserError, match="expected a name, a path or a JobShopInstance"):
        env.reset(options={"instance": 6})
    with pytest.raises(FieldError, match="a list of 2"):
        many.reset(options={"instance": ["ft06"]})
    with pytest.raises(FieldError, match="one seed, or a list of 2"):
        many.reset(seed=[1])
    with pytest.raises(FieldError, match="seed is -1"):
        many.reset(seed=[3, -1])
    for engine, snapshot in zip((env.engine, many.engine), before, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(snapshot.arrays, engine.snapshot().arrays, strict=True))
    env.step(0)
    # The next episodes are those that would have come.
    assert env.reset()[1]["seed"] == int(episode_seed(4, 1))
    assert many.reset()[1]["seed"].tolist() == [int(episode_seed(4, 1)), int(episode_seed(5, 1))]


# --- instances --------------------------------------------------------------------------------------------------------


def names(option: Any, seeds: Any = range(30), **options: Any) -> set[str]:
    env = JobShopEnv(instance=option, **options)
    return {str(env.reset(seed=seed)[1]["instance"]) for seed in seeds}


def test_the_option_instance_in_all_its_forms(tmp_path):
    assert names("ft06") == {"ft06"}
    assert names("la01-la03") == {"la01", "la02", "la03"}
    assert names("ft06,la01") == {"ft06", "la01"}
    mine = shop([[1], [2]], [[0], [0]], name="mine")
    mine.save(tmp_path / "mine.json")
    assert names(str(tmp_path / "mine.json")) == names(str(tmp_path / "*.json")) == {"mine"}
    assert names(mine) == {"mine"}
    assert names([mine, shop([[3]], [[0]], name="other")]) == {"mine", "other"}
    family = names("random:size=2x3+4x2")
    assert len(family) == 30
    assert {name.split("-s")[0] for name in family} == {"random-2x3", "random-4x2"}
    assert len(names("random:size=3x3:count=4:seed=7")) == 4
    assert names("random:size=2x2", seeds=[11]) == {"random-2x2-s11"}


def test_a_generated_instance_is_the_one_of_its_name():
    env = JobShopEnv(instance="random:size=3x4+5x2")
    for seed in (0, 5, 2**62 + 12345):
        _, info = env.reset(seed=seed)
        instance = env.engine.instance(0)
        assert instance.name == info["instance"]
        _, again = env.reset(options={"instance": info["instance"]})
        assert again["instance"] == info["instance"]
        assert env.engine.instance(0).same_as(instance)


def test_room_and_an_instance_at_reset():
    env = JobShopEnv(instance="ft06", max_jobs=10, max_machines=12, max_operations=10)
    assert env.action_space.n == 11
    _, info = env.reset(seed=0, options={"instance": "ft10"})
    assert info["instance"] == "ft10"
    assert env.reset()[1]["instance"] == "ft06"
    many = JobShopVectorEnv(num_envs=2, instance="ft06,la01")
    many.reset(seed=0, options={"instance": ["la01", "ft06"]})
    assert [many.engine.instance_name(copy) for copy in range(2)] == ["la01", "ft06"]


def test_windows_need_room_of_their_own():
    calm, busy = (shop([[3]], [[0]], [windows], name=name) for name, windows in (("calm", []), ("busy", [(1, 2)])))
    env = JobShopEnv(instance=calm, law="windows")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="'busy' has 1 windows on a machine, but the environment has room for 0"):
        env.reset(options={"instance": busy})
    env = JobShopEnv(instance=[calm, busy], law="windows")  # type: ignore[arg-type]
    ends = {}
    for instance in (busy, calm, busy):
        env.reset(seed=0, options={"instance": instance})
        ends.setdefault(instance.name, set()).add(env.step(0)[4]["objective"])
    assert ends == {"busy": {4}, "calm": {3}}


def test_known_bounds():
    env = JobShopEnv(instance="ft06")
    assert (env.bound("ft06"), env.best_known("ft06")) == (63, 63)
    classical = JobShopEnv(instance="ft06", blocking="none", law="bernoulli")
    assert (classical.bound("ft06"), classical.best_known("ft06")) == (55, None)
    assert {"ft06", "la40", "ta80"} <= set(env.instances())


def test_pictures():
    env = JobShopEnv(render_mode="ansi")
    env.reset(seed=0)
    assert isinstance(env.render(), str)
    pytest.importorskip("matplotlib")
    env = JobShopEnv(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.dtype == np.uint8
    assert JobShopEnv().render() is None


def test_imagine_at_the_single_door_in_later_episodes():
    env = JobShopEnv(law="exponential", mtbf=20.0)
    env.reset(seed=3)
    for _ in range(3):
        env.reset()
        env.step(0)
        worlds = env.imagine([1, 2, 1])
        assert worlds.num_copies == 3
        for copy in range(3):
            assert np.array_equal(worlds.block.memory[copy], env.engine.block.memory[0])
            assert worlds.instance(copy).same_as(env.engine.instance(0))
            assert worlds.instance_name(copy) == env.engine.known_instance(0).name != env.engine.instance_name(0)


def test_engine_needs_a_copy():
    with pytest.raises(ValueError, match="num_copies is 0"):
        engine_for(shop([[1]], [[0]]), 0)


def test_spaces_are_not_shared() -> None:
    """Layouts are; but whoever seeds one environment's space must not seed another's."""
    first, second = (gymnasium.make("makespan/JobShop-v0") for _ in range(2))
    first.observation_space.seed(0)
    second.observation_space.seed(0)
    drawn = first.observation_space.sample()["globals"]
    first.observation_space.sample()
    assert (second.observation_space.sample()["globals"] == drawn).all()


def test_what_copies_tell_is_kept_whatever_the_first_one_told():
    many = JobShopVectorEnv(num_envs=4)
    told: dict[str, Any] = {}
    for copy, value in ((0, 3), (1, None), (3, 3.7)):
        told = many._add_info(told, {"metrics": {"mixed": value, "all": copy}}, copy)
    assert told["metrics"]["mixed"].tolist() == [3, None, None, 3.7]
    assert told["metrics"]["_mixed"].tolist() == [True, True, False, True]
    assert told["metrics"]["all"].tolist() == [0, 1, 0, 3]
    assert told["metrics"]["all"].dtype == np.int64
    for values, expected in (
        ((3, 3.7), [3.0, 3.7]),
        ((3.7, 3), [3.7, 3.0]),
        ((1.5, None), [1.5, None]),
        ((True, 7), [1, 7]),
        ((None, 2), [None, 2]),
        ((1, "a"), [1, "a"]),
        ((2**62, 1), [2**62, 1]),
    ):
        told = {}
        for copy, value in enumerate(values):
            told = many._add_info(told, {"x": value}, copy)
        assert told["x"].tolist()[:2] == expected, values
