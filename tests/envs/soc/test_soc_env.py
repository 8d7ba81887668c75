"""The two doors to DAG scheduling: one engine, Gymnasium's rules, and mistakes told plainly."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.envs.soc import state as d
from makespan.envs.soc.catalogue import named
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import (
    SocDagEnv,
    SocDagVectorEnv,
    StaticDagEnv,
    StaticDagVectorEnv,
    make_static,
    make_stream,
)
from makespan.envs.soc.generator import resolve
from support.soc_graphs import instance as one_application
from support.soc_reference import random_instance
from support.trajectories import pick, traces

STREAM, STATIC = "makespan/SocDag-v0", "makespan/StaticDag-v0"
SHORT: dict[str, Any] = {"horizon": 250, "scale": 50.0, "warmup": 50}
FULL: dict[str, Any] = {"instance": "socrates", "scale": 25.0, "queue_cap": 3, "prefill": True, "horizon": 100}
SMALL = "random:tasks=6+10:pes=3:count=5"
OPTION_SETS: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "stream": (SocDagEnv, SocDagVectorEnv, make_stream, SHORT),
    "uncertain": (
        SocDagEnv,
        SocDagVectorEnv,
        make_stream,
        {**FULL, "noise": "0.1+0.5", "mtbf": 60.0, "mttr": 9.0, "insertion": True, "hold": True},
    ),
    "contended": (SocDagEnv, SocDagVectorEnv, make_stream, {**FULL, "contention": "link", "overhead_task": 0.5}),
    "shared": (SocDagEnv, SocDagVectorEnv, make_stream, {**FULL, "memory": "shared", "mode": "order"}),
    "assigned": (SocDagEnv, SocDagVectorEnv, make_stream, {**FULL, "release": "assigned", "reward_scale": "none"}),
    "static": (StaticDagEnv, StaticDagVectorEnv, make_static, {"instance": SMALL}),
    "static-uncertain": (
        StaticDagEnv,
        StaticDagVectorEnv,
        make_static,
        {"instance": SMALL, "noise": 0.3, "mtbf": 80.0, "objective": "latency"},
    ),
}
DOORS = pytest.mark.parametrize("env, vector, make, options", OPTION_SETS.values(), ids=OPTION_SETS)


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@DOORS
def test_both_doors_agree_step_for_step_through_later_episodes(env, vector, make, options):
    many = vector(num_envs=3, **options)
    singles = [env(**options) for _ in range(3)]
    observation, info = many.reset(seed=40)
    seen = [one.reset(seed=40 + copy) for copy, one in enumerate(singles)]
    assert info["seed"].tolist() == [40, 41, 42]
    seeds, steps, ended, passed = [40, 41, 42], [0, 0, 0], 0, 0.0
    while ended < 6:
        for copy in range(3):
            assert same({key: value[copy] for key, value in observation.items()}, seen[copy][0])
        actions = [pick(seeds[c], steps[c], observation["action_mask"][c]) for c in range(3)]
        observation, reward, terminated, truncated, info = many.step(np.array(actions))
        for copy, one in enumerate(singles):
            mine = one.step(actions[copy])
            steps[copy] += 1
            assert (reward[copy], bool(terminated[copy]), bool(truncated[copy])) == mine[1:4]
            assert info["elapsed"][copy] == mine[4]["elapsed"]
            passed += mine[4]["elapsed"]
            seen[copy] = (mine[0], mine[4])
            if mine[2]:
                ended += 1
                assert same(info["final_obs"][copy], mine[0])
                for key in ("objective", "seed", "instance", "reward_scale"):
                    assert info["final_info"][key][copy] == mine[4][key], key
                assert one.validate(one.schedule()) == []
                seen[copy] = one.reset()
                seeds[copy], steps[copy] = seen[copy][1]["seed"], 0
                assert seeds[copy] >= 2**62
    assert passed > 0


@pytest.mark.parametrize(
    "env_id, chosen, name, unit",
    [
        (STREAM, None, "latency", "microseconds, summed over jobs"),
        (STREAM, "makespan", "makespan", "microseconds"),
        (STREAM, "energy", "energy", "nanojoules"),
        (STREAM, "edp", "edp", "nanojoules times milliseconds"),
        (STATIC, None, "makespan", "time units"),
        (STATIC, "latency", "latency", "time units, summed over jobs"),
        (STATIC, "energy", "energy", "milliwatts times time units"),
    ],
)
def test_both_doors_name_the_objective_that_is_played_for(env_id: str, chosen: str | None, name: str, unit: str):
    options: dict[str, Any] = {"instance": "topcuoglu" if env_id == STATIC else "wifi"}
    if chosen is not None:
        options["objective"] = chosen
    told = {"name": name, "unit": unit, "sense": "min"}
    single, many = gymnasium.make(env_id, **options), gymnasium.make_vec(env_id, num_envs=2, **options)
    for door in (single, single.unwrapped, many):
        assert door.metadata["objective"] == told
        engine: Any = door.unwrapped
        assert engine.engine.objective == told
    assert gymnasium.make(env_id).metadata["objective"] == type(single.unwrapped).metadata["objective"]


def test_tables_name_the_objective_that_was_played_for(tmp_path, capsys):
    command = ["evaluate", f"{STREAM}:objective=energy:horizon=200:warmup=0", "--agents", "heft,met", "--seeds", "0"]
    assert main([*command, "--instances", "wifi", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "energy (nanojoules)" in told
    assert "latency (" not in told
    rows = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [row["objective"] for row in rows] == [row["metrics"]["energy"] for row in rows]


@DOORS
def test_a_trace_depends_on_nothing_but_its_seed(env, vector, make, options):
    seeds = list(range(100, 112))
    together = traces(make, options, seeds)
    assert [traces(make, options, [seed])[0] for seed in seeds[:2]] == together[:2]
    assert traces(make, options, seeds[::-1])[::-1] == together
    assert traces(make, options, seeds, threads=2) == together
    assert traces(make, options, seeds[:4], disturb=True) == together[:4]
    assert len(set(together)) == len(seeds)


@pytest.mark.parametrize("static", [False, True], ids=["stream", "static"])
def test_chips_of_different_sizes_play_in_one_batch_as_alone(static: bool):
    instances = [random_instance(seed) for seed in (1, 4, 9, 12)]
    options: dict[str, Any] = {} if static else {"scale": 9.0, "horizon": 100}
    make = make_static if static else make_stream
    together = make(4, instances, **options)
    together.reset([7] * 4, instances=instances)
    names = ("max_jobs", "max_tasks", "max_edges", "max_pes", "max_groups", "max_kinds")
    room = dict(zip(names, together.room, strict=True))
    alone = [make(1, one, **options, **room) for one in instances]
    for engine in alone:
        engine.reset([7])
    step = 0
    while together.is_running().any():
        actions = [pick(copy, step, mask) if mask.any() else 0 for copy, mask in enumerate(together.masks)]
        for copy, engine in enumerate(alone):
            assert same(together.block.row(copy), engine.block.row(0))
            engine.step(actions[copy : copy + 1])
        together.step(actions)
        step += 1
    assert together.objectives().tolist() == [int(engine.objectives()[0]) for engine in alone]


# --- what environments promise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id, options", [(STREAM, SHORT), (STREAM, {**FULL, "mode": "order"}), (STATIC, {})])
def test_gymnasium_finds_nothing_to_say(env_id: str, options: dict[str, Any]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, **options).unwrapped)


@pytest.mark.parametrize("env_id", [STREAM, STATIC])
def test_stable_baselines_says_no_more_than_that_boxes_should_be_flat(env_id: str):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(gymnasium.make(env_id).unwrapped)
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert [text for text in said if "recommend you to flatten" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("env_id", [STREAM, STATIC])
def test_the_contract_holds(env_id: str, capsys: pytest.CaptureFixture[str]):
    assert main(["check", env_id]) == 0
    assert "broken" not in capsys.readouterr().out


LEGAL: list[tuple[Any, dict[str, Any]]] = [
    *((make_stream, {**SHORT, "objective": objective}) for objective in ("latency", "makespan", "energy", "edp")),
    (make_stream, {**FULL, "objective": "edp", "dvfs": "powersave"}),
    *((make_static, {"instance": SMALL, "objective": name}) for name in ("latency", "makespan", "energy", "edp")),
    (make_static, {"instance": SMALL, "overhead_call": 1e5, "overhead_task": 700.0}),
    (make_static, {"instance": SMALL, "contention": "bus", "insertion": False}),
]


@pytest.mark.parametrize("make, options", LEGAL, ids=lambda given: getattr(given, "__name__", str(given)))
def test_an_illegal_action_returns_less_than_any_episode_of_legal_ones(make: Any, options: dict[str, Any]):
    engine = make(8, **options)
    engine.reset(np.arange(8))
    total = np.zeros(8)
    step = 0
    while engine.is_running().any():
        # The last legal action: the slowest elements of the chips at hand.
        total += engine.step([int(np.flatnonzero(m)[-1]) if m.any() else 0 for m in engine.masks]).reward
        step += 1
    env = (SocDagEnv if make is make_stream else StaticDagEnv)(**options)
    for seed in range(8):
        env.reset(seed=seed)
        *_, reward, terminated, _, info = env.step(env.action_space.n - 1)  # type: ignore[attr-defined]
        assert terminated
        assert info["illegal_action"]
        assert reward == pytest.approx(-info["objective"] / info["reward_scale"])
        assert reward < total[seed]


def test_rewards_sum_to_minus_the_objective():
    for make, options in LEGAL:
        engine = make(4, **options)
        engine.reset(np.arange(4))
        total, step = np.zeros(4), 0
        while engine.is_running().any():
            total += engine.step([pick(2, step, m) if m.any() else 0 for m in engine.masks]).reward
            step += 1
        scale = np.array([engine.reward_scale(copy) for copy in range(4)])
        np.testing.assert_allclose(-total * scale, engine.objectives(), rtol=1e-9)


def test_metrics_are_those_of_the_schedule():
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (SocDagEnv, {"horizon": 1500, "warmup": 100}),
        (StaticDagEnv, {"instance": SMALL}),
    ]
    for env, options in kinds:
        one = env(**options)
        _, info = one.reset(seed=3)
        ended, step = False, 0
        while not ended:
            *_, ended, _, info = one.step(pick(3, step, info["action_mask"]))
            step += 1
        schedule = one.schedule()
        metrics, expected = info["metrics"], schedule.metrics()
        for name, value in expected.items():
            # A histogram of sixteenths of octaves stands for a stream's latencies.
            tolerance = 0.05 if name == "latency_p95" else 1e-9
            assert metrics[name] == pytest.approx(value, rel=tolerance), name
        assert metrics["decisions"] == step
        assert isinstance(one.engine, SocEngine)
        assert one.engine.utilisation(0).mean() == pytest.approx(metrics["utilisation"])
        assert schedule.value_of(one.engine.options.objective) == info["objective"]
        assert one.read_schedule(schedule.to_dict()).to_dict() == schedule.to_dict()


def test_what_is_said_of_measured_jobs_is_nothing_where_there_is_none():
    engine = make_stream(1, "wifi-rx", scale=200.0, horizon=150, warmup=0)
    engine.reset([0])
    while engine.is_running()[0]:
        engine.step([int(engine.masks[0].argmax())])
    metrics = engine.metrics(0)
    assert metrics["measured"] == metrics["completed"] == 0
    names = ("mean_latency", "latency_p95", "latency_max", "mean_slowdown")
    assert [metrics[name] for name in names] == [None] * 4


def test_a_plan_that_was_played_is_appraised_as_it_was_played():
    for objective in ("makespan", "latency", "energy", "edp"):
        engine = make_static(1, SMALL, objective=objective)
        engine.reset([0])
        step = 0
        while engine.is_running()[0]:
            engine.step([pick(4, step, engine.masks[0])])
            step += 1
        value, metrics = engine.appraise(engine.schedule(0))
        assert value == engine.objectives()[0]
        for key in ("makespan", "latency_sum", "energy", "edp", "mean_latency", "utilisation"):
            assert metrics[key] == pytest.approx(engine.metrics(0)[key]), key


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_illegal_action_is_refused_in_words_and_changes_nothing():
    chip = one_application([[5, -1], [7, 3]], [(0, 1, 1)])
    env = SocDagEnv(instance=chip, on_illegal="raise", window=2)
    env.reset(seed=0)
    before = env.engine.snapshot()
    expected = {
        1: "no PE can run the offered task 0",
        2: "only 1 tasks are offered",
        4: "HOLD is switched off (hold=False)",
        5: "actions are 0 to 4",
        -1: "actions are 0 to 4",
    }
    for action, reason in expected.items():
        with pytest.raises(ValueError, match=f"^action {action} is illegal: {re.escape(reason)}; 1 actions are legal$"):
            env.step(action)
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))
    many = SocDagVectorEnv(num_envs=2, instance=chip, on_illegal="raise")
    many.reset(seed=0)
    with pytest.raises(ValueError, match="copy 1: action 1 is illegal"):
        many.step(np.array([0, 1]))


@pytest.mark.parametrize(
    "static, options, message",
    [
        (False, {"scal": 40}, "unknown option of makespan/SocDag-v0 'scal'; did you mean 'scale'?"),
        (True, {"scale": 40}, "unknown option of makespan/StaticDag-v0 'scale'"),
        (False, {"mode": "pair"}, "option mode is 'pair', expected 'pairs' or 'order'"),
        (False, {"scale": 0}, "option scale is 0, expected a number from 1 to"),
        (False, {"scale": "40+x"}, "option scale is '40+x', expected numbers of at least 1, joined by +"),
        (False, {"noise": -0.1}, "option noise is -0.1, expected a number from 0 to"),
        (False, {"noise": "nan"}, "option noise is 'nan', expected numbers of at least 0, joined by +"),
        (False, {"window": 0}, "option window is 0, expected an integer from 1 to 256"),
        (False, {"queue_cap": 2.5}, "option queue_cap is 2.5, expected an integer from 1 to 4096"),
        (False, {"horizon": True}, "option horizon is True, expected an integer from 1 to"),
        (False, {"insertion": "yes"}, "option insertion is 'yes', expected true or false"),
        (False, {"mttr": 0.5}, "option mttr is 0.5, expected a number from 1 to"),
        (False, {"dvfs": "turbo"}, "option dvfs is 'turbo', expected 'performance', 'powersave' or a number from 0"),
        (False, {"imagined": 0}, "option imagined is 0, expected 'drain', 'horizon' or an integer from 1 to"),
        (
            False,
            {"memory": "shared", "release": "assigned"},
            "option memory is 'shared', expected 'direct' with release='assigned'",
        ),
        (
            False,
            {"memory": "shared", "contention": "bus"},
            "option contention is 'bus', expected 'none' with memory='shared'",
        ),
        (False, {"max_tasks": 3}, "option max_tasks is 3, expected an integer of at least"),
        (True, {"max_pes": True}, "option max_pes is True, expected an integer of at least"),
        (False, {"instance": "ds3-sixx"}, "unknown instance 'ds3-sixx'; did you mean 'ds3-six'?"),
        (True, {"instance": "random:tasks=0"}, "option tasks is '0', expected an integer from 2"),
        (True, {"instance": "./nowhere.json"}, "no such file"),
        (True, {"instance": 5}, "option instance"),
        (True, {"instance": []}, "option instance"),
    ],
)
def test_bad_options_are_told_in_one_line(static: bool, options: dict[str, Any], message: str):
    for door in (StaticDagEnv, StaticDagVectorEnv) if static else (SocDagEnv, SocDagVectorEnv):
        with pytest.raises(UserError) as caught:
            door(**options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_instance_that_is_too_large_is_refused_and_the_episode_goes_on():
    env = StaticDagEnv(instance="topcuoglu", on_illegal="raise")
    env.reset(seed=4)
    before = env.engine.snapshot()
    with pytest.raises(UserError, match="has 27 tasks, but the environment has room for 10; make it with max_tasks=27"):
        env.reset(options={"instance": "wifi-tx"})
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.engine.snapshot().arrays, strict=True))
    large = StaticDagEnv(
        instance="topcuoglu", max_tasks=30, max_edges=40, max_pes=16, max_groups=8, max_kinds=5, on_illegal="raise"
    )
    _, info = large.reset(seed=0, options={"instance": "wifi-tx"})
    assert info["instance"] == "wifi-tx"
    large.step(pick(0, 0, info["action_mask"]))


def test_instances_by_names_and_objects_in_a_list():
    mine = random_instance(3)
    engine = make_static(3, ["topcuoglu", mine, "wifi-tx"])
    engine.reset([0, 0, 0], instances=["wifi-tx", mine, "topcuoglu"])
    assert [engine.instance_name(copy) for copy in range(3)] == ["wifi-tx", mine.name, "topcuoglu"]
    assert engine.instance(0) == named("wifi-tx")[0]
    drawn = make_static(2, "random:tasks=6:pes=3")
    drawn.reset([0, 1])
    assert len(drawn.source.fixed) == 100
    assert [one.name for one in resolve("random:tasks=6:pes=3:count=2")] == [one.name for one in drawn.source.fixed[:2]]


def test_room_may_be_larger_than_needed():
    env = SocDagEnv(**SHORT, max_jobs=20, max_tasks=50, max_pes=30)
    assert isinstance(env.engine, SocEngine)
    assert env.engine.room[:2] == (20, 50)
    _, info = env.reset(seed=1)
    plain = SocDagEnv(**SHORT)
    plain.reset(seed=1)
    ended, step = False, 0
    while not ended:
        action = pick(1, step, info["action_mask"])
        *_, ended, _, info = env.step(action)
        plain.step(action)
        step += 1
    assert info["objective"] == plain.engine.objectives()[0]


def test_the_queue_cap_holds_generation_back_and_loses_nothing():
    engine = make_stream(1, one_application([[50]], []), scale=1.0, queue_cap=3, horizon=400, warmup=0)
    engine.reset([0])
    while engine.is_running()[0]:
        assert engine.state.clock[0, d.IN_SYSTEM] <= 3
        engine.step([0])
    metrics = engine.metrics(0)
    assert metrics["generated"] == metrics["completed"] + metrics["unfinished"]
    assert metrics["unfinished"] in (2, 3)
    assert metrics["utilisation"] > 0.98


def test_copies_of_which_some_have_no_measured_job_end_together():
    """What nothing is said of in one copy, and a number in another, is both in one array."""
    many = gymnasium.make_vec("makespan/SocDag-v0", num_envs=32, horizon=250, warmup=20, mtbf=300.0, mttr=40.0)
    rng = np.random.default_rng(0)
    _, info = many.reset(seed=0)
    mixed = 0
    for _ in range(600):
        actions = (rng.random(info["action_mask"].shape) * info["action_mask"]).argmax(axis=1)
        _, _, terminated, _, info = many.step(actions)
        if terminated.any():
            for key, told in info["final_info"]["metrics"].items():
                if key[0] != "_":
                    kinds = {type(value) for value in told[info["_final_info"]].tolist()}
                    mixed += type(None) in kinds and len(kinds) > 1
                    assert not any(value != value for value in told[info["_final_info"]].tolist()), key
    assert mixed > 0
