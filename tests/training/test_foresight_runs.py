"""Policies trained with foresight: their rewards, what they begin from, and that a run goes on after anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import Arrays, load_checkpoint, parse_arrays, save_checkpoint
from makespan.agents.foresight import PRIOR, Foresight, make_foresight, training_keys
from makespan.agents.scorer.choice import HIDDEN, weight_shapes
from makespan.envs.core.env import SchedulingVectorEnv
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.observation import SPEC
from makespan.training.books import Interrupted
from makespan.training.bridge import Bridge, make_vector_env
from makespan.training.config import TrainConfig
from makespan.training.folder import STATE
from makespan.training.ppo import PPORun
from makespan.training.progress import Progress
from makespan.training.run import make_run, train
from makespan.training.teacher import Teacher

JOB_SHOP = "makespan/JobShop-v0"
BREAKDOWNS: dict[str, Any] = {"law": "bernoulli", "p": 0.02}
Tiny = Callable[..., TrainConfig]


def some_scorer(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) / 3 for name, shape in weight_shapes(SPEC).items()}


def save_scorer(folder: Path, seed: int = 0) -> str:
    card = {
        "agent": "scorer",
        "network": {"kind": "scorer", "hidden": HIDDEN},
        "spec_hash": SPEC.hash,
        "spec": SPEC.to_dict(),
        "env": JOB_SHOP,
        "env_options": {},
    }
    save_checkpoint(folder, some_scorer(seed), card)
    return str(folder)


# --- rewards ----------------------------------------------------------------------------------------------------------


def foreseeing(copies: int, of: str = "spt+lrm", worlds: int = 2, **options: Any) -> tuple[Bridge, Foresight, Any]:
    """A bridge with foresight, another foresight that is equal, and the engine."""
    options = {"instance": "random:size=3x3+2x4", **options}
    made, twin = (make_foresight(of, worlds, open_arena(JOB_SHOP, 1, options).setting) for _ in range(2))
    env = make_vector_env(JOB_SHOP, copies, options)
    bridge = Bridge(env)
    bridge.foresee(made, 1, 5)
    bridge.seed(11)
    return bridge, twin, cast(SchedulingVectorEnv, env).engine


@pytest.mark.parametrize("options", [{}, BREAKDOWNS, {"blocking": "no-swap"}], ids=str)
def test_rewards_are_what_turns_out_better_than_foreseen(options: dict[str, Any]) -> None:
    """Each is the fall of the foreseen cost; an episode's sum is the cost foreseen at its start less what it had."""
    bridge, twin, engine = foreseeing(3, **options)
    rng = np.random.default_rng(0)

    def look() -> tuple[Any, Any]:
        keys = training_keys(5, 3, bridge.steps)
        found = twin.look(engine.imagine, engine.block.views, engine.masks, keys, np.zeros(3, dtype=np.int64))
        return found.costs, found.scales

    observation: Any = bridge.reset()
    costs, scales = look()
    begun, total, episodes, mixed = costs.copy(), np.zeros(3), 0, set()
    for _ in range(60):
        assert np.array_equal(observation["globals"][:, -1], (costs / scales).astype(np.float32))
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in bridge.action_masks()])
        observation, reward, done, _ = cast(Any, bridge.step(actions))
        before, scale = costs, scales
        costs, scales = look()
        ends = bridge.take_finished()
        after = costs.copy()
        after[done] = ends
        assert np.array_equal(reward, ((before - after) / scale).astype(np.float32))
        total += (before - after) / scale
        for copy, objective in zip(np.flatnonzero(done).tolist(), ends, strict=True):
            assert total[copy] == pytest.approx((begun[copy] - objective) / scale[copy], abs=1e-12)
            total[copy], begun[copy] = 0.0, costs[copy]
            episodes += 1
            mixed.add(scale[copy])
    assert episodes > 6
    assert len(mixed) > 3, "instances of different scales"


def test_the_best_that_can_be_foreseen_earns_what_it_gains() -> None:
    """Without events, following the base costs what was foreseen: nothing is earned after the first step."""
    bridge, _, _ = foreseeing(4, of="lrm", worlds=1)
    lrm = make_agent("lrm", open_arena(JOB_SHOP, 1, {"instance": "random:size=3x3+2x4"}).setting)
    first: Any = bridge.reset()
    actions = lrm.act(first, first["action_mask"])
    regret = first["actions/features"][np.arange(4), actions, -1]
    observation, reward, _, _ = cast(Any, bridge.step(actions))
    np.testing.assert_allclose(reward, -0.05 * regret, atol=1e-6)
    for _ in range(4):
        actions = lrm.act(observation, observation["action_mask"])
        ahead = observation["actions/features"][np.arange(4), actions, -1]
        observation, reward, _, _ = cast(Any, bridge.step(actions))
        np.testing.assert_allclose(reward, -0.05 * ahead, atol=1e-6)


@pytest.mark.parametrize("options", [{}, BREAKDOWNS], ids=str)
def test_what_learners_receive_lies_in_the_space(options: dict[str, Any]) -> None:
    bridge, twin, engine = foreseeing(3, **options)
    assert bridge.observation_space == twin.space(cast(Any, bridge.env).single_observation_space)
    rng = np.random.default_rng(0)
    observation: Any = bridge.reset()
    ended = 0
    for _ in range(40):
        for copy in range(3):
            assert bridge.observation_space.contains({key: array[copy] for key, array in observation.items()})
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in bridge.action_masks()])
        observation, _, done, infos = cast(Any, bridge.step(actions))
        for copy in np.flatnonzero(done).tolist():
            assert bridge.observation_space.contains(infos[copy]["final_observation"])
            ended += 1
    assert ended > 3
    for key, array in bridge.observation.items():
        assert np.array_equal(array, engine.block.views[key]), "as the environment gave it"


def test_a_cut_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an episode that is cut would have cost nobody knows; its last state's value is added by the buffer."""
    bridge, _, _ = foreseeing(3, **BREAKDOWNS)
    real = bridge.env.step

    def cut(actions: Any) -> Any:
        observation, reward, terminated, truncated, info = real(actions)
        return observation, reward, np.zeros_like(terminated), terminated | truncated, info

    monkeypatch.setattr(bridge.env, "step", cut)
    rng = np.random.default_rng(0)
    bridge.reset()
    ended = 0
    for _ in range(40):
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in bridge.action_masks()])
        _, reward, done, _ = cast(Any, bridge.step(actions))
        assert (reward[done] == 0).all()
        assert np.array_equal(bridge.truncated, done)
        ended += int(done.sum())
    assert ended > 3


def test_the_worlds_of_training() -> None:
    """A key for each copy and step of each seed."""
    keys = [training_keys(seed, 4, moment) for seed in range(3) for moment in range(5)]
    assert len(set(np.concatenate(keys).tolist())) == 60
    assert np.array_equal(training_keys(2, 4, 3), training_keys(2, 4, 3))
    assert np.array_equal(training_keys(2, 4, 3)[:2], training_keys(2, 2, 3))


# --- runs -------------------------------------------------------------------------------------------------------------


def begin(config: TrainConfig) -> PPORun:
    return PPORun(config, False, Progress(config, quiet=True))


def test_it_begins_as_the_rollout(tiny: Tiny) -> None:
    """A fresh network adds nearly nothing to the regret that is foreseen."""
    config = tiny(foresight="lrm+spt", minutes=0.0, validation_worlds=32, instances="random:size=4x4")
    folder = train(config, quiet=True)
    run = begin(config)
    setting = run.validation.setting
    (_, first), *_ = run.counters.validations
    planner = run.validation.score(make_agent("rollout:of=lrm+spt", setting))
    assert first == pytest.approx(planner, rel=0.01)
    assert planner < 0.97 * run.validation.rule_score
    assert load_checkpoint(folder / "best")[1]["network"]["prior"] == PRIOR


def test_what_a_run_leaves(tiny: Tiny, tmp_path: Path) -> None:
    scorer = save_scorer(tmp_path / "s")
    config = tiny(env=f"{JOB_SHOP}:law=bernoulli:p=0.02", foresight=f"lrm+{scorer}", foresight_worlds=2, steps=64)
    folder = train(config, quiet=True)
    weights, card = load_checkpoint(folder / "best")
    assert card["foresight"] == {"of": ["lrm", "scorer"], "worlds": 2}
    assert card["spec_hash"] == SPEC.hash, "the environment's; what is foreseen comes with the policy"
    for name, array in some_scorer().items():
        assert np.array_equal(weights[f"foresight.scorer.{name}"], array)
    shutil.rmtree(scorer)
    run = begin(config)
    arena = open_arena(JOB_SHOP, 4, {"instance": "random:size=3x3", **BREAKDOWNS}, device="cpu")
    episodes = play(arena, make_agent(str(folder), arena.setting), run.validation._cases)
    assert np.mean([episode.objective for episode in episodes]) == run.counters.best
    assert len(play(arena, make_agent(f"{folder}:worlds=3", arena.setting), [Case(None, 1)] * 4)) == 4


@pytest.mark.parametrize("what", [pytest.param("deleted", marks=pytest.mark.slow), "trained further"])
def test_a_run_goes_on_with_the_scorer_that_it_began_with(tiny: Tiny, tmp_path: Path, what: str) -> None:
    """While it is interrupted somebody deletes the scorer, or goes on training it: as if nothing had happened."""
    scorer = tmp_path / "s"
    given = {"foresight": f"spt+{save_scorer(scorer)}", "save_every": 0.0, "validate_every": 0.0, "steps": 96}
    whole, broken = (tiny(out=tiny().out + name, **given) for name in ("whole", "broken"))
    train(whole, quiet=True)

    class Stop(Progress):
        def trained(self, steps: int, score: float | None) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        PPORun(broken, False, Stop(broken, quiet=True)).train()
    if what == "deleted":
        shutil.rmtree(scorer)
    else:
        save_scorer(scorer, seed=1)
    train(broken, quiet=True)
    one, other = (parse_arrays((Path(config.out) / STATE).read_bytes(), STATE) for config in (broken, whole))
    assert one.keys() == other.keys()
    for name in one.keys() - {"meta"}:
        assert np.array_equal(one[name], other[name]), name
    metas = [json.loads(arrays["meta"].tobytes()) for arrays in (one, other)]
    assert metas[0]["validations"] == metas[1]["validations"]
    for name in ("best", "last"):
        mine, theirs = (load_checkpoint(Path(config.out) / name)[0] for config in (broken, whole))
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("kind", ["scorer", "graph", "rule", pytest.param("foreseeing graph", marks=pytest.mark.slow)])
def test_whoever_teaches_sees_the_environment_as_it_is(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What the pupil foresees is not in the teacher's observation, whose weights have no place for it."""
    teacher = "spt" if kind == "rule" else str(tmp_path / "teacher")
    if kind == "scorer":
        save_scorer(Path(teacher))
    elif kind != "rule":
        train(tiny(out=teacher, steps=32, foresight="lrm" if kind == "foreseeing graph" else None), quiet=True)
    labels: list[tuple[Any, Any]] = []
    real = Teacher.label

    def spy(self: Teacher, observation: Any) -> Any:
        actions = real(self, observation)
        labels.append(({key: array.copy() for key, array in observation.items()}, actions.copy()))
        return actions

    monkeypatch.setattr(Teacher, "label", spy)
    config = tiny(foresight="lrm", imitate=teacher, imitate_steps=64, steps=96)
    train(config, quiet=True)
    assert len(labels) == 16
    setting = open_arena(JOB_SHOP, 4, {"instance": "random:size=3x3"}, device="cpu").setting
    for observation, actions in labels:
        assert observation["actions/features"].shape[-1] == len(SPEC.action_features)
        assert observation["globals"].shape[-1] == len(SPEC.globals)
        assert (observation["action_mask"][np.arange(4), actions] == 1).all()
        if kind in ("scorer", "rule"):
            agent = make_agent(teacher, setting)
            agent.begin(np.arange(4), [], np.zeros(4, dtype=np.uint64), None)
            assert np.array_equal(agent.act(observation, observation["action_mask"]), actions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"foresight": "lrn"}, "unknown rule in foresight: 'lrn'; did you mean 'lrm'"),
        ({"foresight": "lrm+lrm"}, "foresight names somebody twice"),
        ({"foresight": "no/where"}, "checkpoint 'no/where' is neither a folder nor shipped"),
        ({"foresight": "lrm", "env": "test/Doors-v0"}, r"foresight needs an environment that can look ahead"),
        ({"foresight": "lrm", "env": f"{JOB_SHOP}:reward_scale=none"}, "option reward_scale is 'none', expected 'inst"),
    ],
)
def test_what_is_refused_leaves_nothing(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    config = tiny(**changes)
    with pytest.raises(UserError, match=message) as caught:
        make_run(config, False, Progress(config, quiet=True))
    assert "\n" not in str(caught.value)
    assert not Path(config.out).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"foresight": 3}, "option foresight is 3, expected a text or nothing"),
        ({"foresight": "lrm", "gamma": 0.99}, "option gamma is 0.99, expected 1 with foresight"),
        ({"foresight": "lrm", "foresight_worlds": -1}, "option foresight_worlds is -1, expected an integer from 0"),
        ({"foresight": "lrm", "foresight_worlds": 1.5}, "option foresight_worlds is 1.5, expected an integer"),
    ],
)
def test_wrong_values(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        tiny(**changes)
    assert "\n" not in str(caught.value)
