"""The warm start: what the teacher says in the states that the learner visits, and how well it is learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from makespan.agents.catalogue import make_agent
from makespan.envs.core.errors import UserError
from makespan.envs.core.player import play_out
from makespan.training.config import TrainConfig
from makespan.training.ppo import PPORun as Run
from makespan.training.progress import Progress
from makespan.training.run import train
from makespan.training.teacher import Teacher

Tiny = Callable[..., TrainConfig]


def quiet(config: TrainConfig) -> Run:
    return Run(config, False, Progress(config, quiet=True))


def test_a_rule_puts_everything_on_its_choice(tiny: Tiny) -> None:
    run = quiet(tiny())
    observation = run.bridge.reset()
    teacher = Teacher(make_agent("spt", run.validation.setting), run.bridge, 0.01, 0)
    teacher.restart(0)
    actions = teacher.label(observation)
    expected = make_agent("spt", run.validation.setting).act(observation, observation["action_mask"])
    assert np.array_equal(actions, expected)
    (target,) = teacher.targets
    assert np.array_equal(target.argmax(axis=1), expected)
    assert np.array_equal(target.max(axis=1), np.ones(len(target)))
    assert np.array_equal(target.sum(axis=1), np.ones(len(target)))


def test_a_planner_shares_by_cost(tiny: Tiny) -> None:
    run = quiet(tiny())
    observation = run.bridge.reset()
    teacher = Teacher(make_agent("rollout:of=spt", run.validation.setting), run.bridge, 0.02, 0)
    teacher.restart(0)
    teacher.label(observation)
    engine = run.bridge.env.engine  # type: ignore[attr-defined]
    spt = make_agent("spt", run.validation.setting)
    shared = 0
    for copy in range(run.bridge.num_envs):
        legal = np.flatnonzero(observation["action_mask"][copy])
        costs = []
        for action in legal:  # the slow way: one imagined copy for each action, played out by the rule
            imagined = engine.imagine(np.array([copy]), np.array([1], dtype=np.uint64))
            imagined.step(np.array([action]))
            choice = spt.compiled_choice(imagined.num_copies)
            assert choice is not None
            play_out(imagined, *choice)
            costs.append(int(imagined.objectives()[0]))
        share = np.exp(-(np.array(costs) - min(costs)) / engine.reward_scale(copy) / 0.02)
        target = teacher.targets[0][copy]
        assert target[legal] == pytest.approx(share / share.sum(), abs=1e-5)
        assert target.sum() == pytest.approx(1, abs=1e-5)
        shared += int((target > 0.01).sum() > 1)
    assert shared, "somewhere several actions are about as good"


def test_a_plan_is_followed_to_its_end(tiny: Tiny) -> None:
    """A beam's choices make sense only in the states that it foresaw, so they are the ones that are played."""
    config = tiny(imitate="beam:width=4:wait=false", imitate_steps=10_000, imitate_share=1.0, steps=256)
    train(config, quiet=True)  # a choice out of place would be illegal sooner or later, which raises
    run = Run(config, False, Progress(config, quiet=True))
    assert run.counters.finished
    assert not run.counters.imitated


@pytest.mark.parametrize("agent", ["graph-ppo", "attention-ppo"])
def test_a_rule_is_learnt(tiny: Tiny, agent: str) -> None:
    config = tiny(
        agent=agent,
        width=16,
        copies=16,
        rollout=8,
        batch=32,
        steps=4096,
        imitate="mwkr",
        imitate_steps=4096,
        imitate_share=1.0,
        imitate_rate=0.01,
    )
    train(config, quiet=True)
    run = Run(config, False, Progress(config, quiet=True))
    run.bridge.reset()
    rule = make_agent("mwkr", run.validation.setting)
    agreed = []
    network = run.policy.network
    from makespan.agents.decoding import PolicyAgent

    pupil = PolicyAgent("pupil", network)
    for _ in range(20):
        observation = run.bridge.observation
        mask = observation["action_mask"]
        copies = np.arange(len(mask), dtype=np.int64)
        pupil.begin(copies, [], np.zeros(len(mask), dtype=np.uint64), None)
        actions = rule.act(observation, mask)
        agreed.append((pupil.act(observation, mask) == actions).mean())
        run.bridge.step(actions)
    assert np.mean(agreed) > 0.85
    # And it plays like it, on worlds it has not seen.
    assert run.validation.score(run.player()) == pytest.approx(run.validation.score(rule), rel=0.1)


def test_a_run_that_imitates_first(tiny: Tiny) -> None:
    config = tiny(imitate="spt", imitate_steps=64, steps=128)
    folder = train(config, quiet=True)
    run = Run(config, False, Progress(config, quiet=True))
    assert run.counters.imitated
    assert run.counters.finished
    assert run.model.num_timesteps == 128, "decisions of the warm start count"
    assert folder == Path(config.out)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("sptt", "unknown agent 'sptt'; did you mean 'spt'"),
        ("random:samples=3", "tries each world 3 times, so it cannot be imitated"),
        ("best-rule:hindsight=1", "so it cannot be imitated"),
        ("no/where", "neither a folder nor shipped"),
    ],
)
def test_teachers_that_cannot_be_imitated(tiny: Tiny, teacher: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(tiny(imitate=teacher), quiet=True)
