"""The two doors to air mobility: one engine, Gymnasium's rules, and mistakes told plainly."""

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
from makespan.envs.air_mobility.env import AirMobilityEnv, AirMobilityVectorEnv, make_engine
from support.trajectories import pick, traces

ENV = "makespan/AirMobility-v0"
SMALL: dict[str, Any] = {"instance": "random:size=4x5:load=high:count=3", "noise": 2.0}
OPTION_SETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "taper": {**SMALL, "taper": True, "reward_scale": "none"},
    "newer": {"instance": "rand3x4-low-tight-s1,rand5x6-medium-s2", "vehicle": "evtol-2025"},
}
DOORS = pytest.mark.parametrize("options", OPTION_SETS.values(), ids=OPTION_SETS)


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@DOORS
def test_both_doors_agree_step_for_step_through_later_episodes(options: dict[str, Any]):
    many = AirMobilityVectorEnv(num_envs=3, **options)
    singles = [AirMobilityEnv(**options) for _ in range(3)]
    observation, info = many.reset(seed=40)
    seen: list[Any] = [one.reset(seed=40 + copy) for copy, one in enumerate(singles)]
    assert info["seed"].tolist() == [40, 41, 42]
    seeds, steps, ended = [40, 41, 42], [0, 0, 0], 0
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


@DOORS
def test_a_trace_depends_on_its_seed_alone(options: dict[str, Any]):
    seeds = [3, 1, 4, 1, 5, 9, 2, 6]
    alone = [traces(make_engine, options, [seed])[0] for seed in seeds]
    assert traces(make_engine, options, seeds) == alone
    assert traces(make_engine, options, seeds, threads=4) == alone
    assert traces(make_engine, options, seeds, disturb=True) == alone


@pytest.mark.parametrize("options", [{}, SMALL], ids=["default", "small"])
def test_gymnasium_finds_nothing_to_complain_about(options: dict[str, Any]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*render.*")
        check_env(gymnasium.make(ENV, **options).unwrapped)


def test_stable_baselines_only_advises_to_flatten():
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sb3.check_env(gymnasium.make(ENV, **SMALL).unwrapped)
    assert [str(one.message) for one in told if not re.search("flatten", str(one.message))] == []


def test_the_end_of_an_episode_tells_profit_and_metrics():
    env = gymnasium.make(ENV, **SMALL)
    _, info = env.reset(seed=3)
    step, total = 0, 0.0
    while True:
        _, reward, ended, _, info = env.step(pick(3, step, info["action_mask"]))
        total, step = total + float(reward), step + 1
        if ended:
            break
    assert json.loads(json.dumps(info["metrics"], allow_nan=False))["finished"]
    assert info["objective"] == round(info["metrics"]["profit_usd"] * 1e6)
    assert total * info["reward_scale"] == pytest.approx(info["objective"], abs=1.0)
    named = {"name": "profit", "unit": "micro-dollars", "sense": "max", "shown_unit": "$", "shown_divisor": 1_000_000}
    assert env.unwrapped.metadata["objective"] == named


def test_an_illegal_action_ends_below_every_legal_day():
    env = gymnasium.make(ENV, instance="la8-low")
    env.reset(seed=0)
    _, _, ended, _, info = env.step(8) if env.action_space.contains(8) else env.step(7)
    step = 1
    while not ended:
        mask = info["action_mask"]
        action = int(np.flatnonzero(mask == 0)[0]) if (mask == 0).any() else pick(0, step, mask)
        _, _, ended, _, info = env.step(action)
        step += 1
    assert info["illegal_action"]
    assert info["metrics"]["status"] == "illegal"
    worst = 0
    for seed in range(3):
        engine = make_engine(1, "la8-low")
        engine.reset([seed])
        while engine.is_running()[0]:
            engine.step([int(np.flatnonzero(engine.masks[0])[-1])])
        worst = min(worst, int(engine.objectives()[0]))
    assert info["objective"] < worst


def test_rules_and_rollouts_play_it(capsys: pytest.CaptureFixture[str]):
    agents = "random,greedy-profit,rollout:of=greedy-profit:worlds=2"
    command = ["evaluate", f"{ENV}:instance=rand4x4-high-s1", "--agents", agents, "--seeds", "0-2"]
    assert main(command) == 0
    assert "greedy-profit" in capsys.readouterr().out
