"""The warm start: what is watched and how well it is learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.catalogue import make_agent
from makespan.envs.core.errors import UserError
from makespan.training.config import TrainConfig
from makespan.training.imitation import demonstrate, imitate
from makespan.training.progress import Progress
from makespan.training.run import Run, train

Tiny = Callable[..., TrainConfig]


def quiet(config: TrainConfig) -> Run:
    return Run(config, False, Progress(config, quiet=True))


def nothing(*_: Any) -> None:
    pass


def test_demonstrations_are_whole_episodes_with_their_returns(tiny: Tiny) -> None:
    run = quiet(tiny())
    seen: list[int] = []
    shown = demonstrate(run.bridge, make_agent("spt", run.validation.setting), 100, 0, seen.append)
    count = len(shown.actions)
    assert 100 - 4 * 30 < count <= seen[-1]
    assert seen == sorted(seen)
    assert shown.observations["action_mask"].shape[0] == count == len(shown.returns)
    # The rule again, on what was shown.
    again = make_agent("spt", run.validation.setting).act(shown.observations, shown.observations["action_mask"])
    assert np.array_equal(again, shown.actions)
    # An episode's reward is minus its makespan over the lower bound, so no return is above zero or below the whole.
    assert shown.returns.max() <= 0
    first = shown.returns[shown.observations["globals"][:, 0] == 0]
    assert -4 < first.min() <= first.max() <= -0.99
    assert run.bridge.take_finished() == []


def test_returns_are_sums_of_what_follows(tiny: Tiny) -> None:
    """In the plain environment rewards are 0 or -1, so that an episode's returns count its bumps."""
    run = quiet(tiny(env="test/Doors-v0"))
    shown = demonstrate(run.bridge, make_agent("random", run.validation.setting), 200, 0, nothing)
    assert len(shown.actions) % 5 == 0, "five decisions an episode, and only whole ones"
    doors = shown.observations["nodes/door"][:, :, 0].argmax(axis=1)
    bumps = (doors != shown.actions).astype(np.float32)
    left = np.rint(shown.observations["globals"][:, 0] * 5).astype(int)
    returns = shown.returns.reshape(-1, 4)  # steps x copies
    by_step = bumps.reshape(-1, 4)
    for copy in range(4):
        for step in range(len(by_step)):
            steps = left.reshape(-1, 4)[step, copy]
            assert returns[step, copy] == -by_step[step : step + steps, copy].sum()


@pytest.mark.parametrize("agent", ["graph-ppo", "attention-ppo"])
def test_a_rule_is_learnt(tiny: Tiny, agent: str) -> None:
    run = quiet(tiny(agent=agent, width=16, copies=8, batch=64, learning_rate=0.01))
    shown = demonstrate(run.bridge, make_agent("mwkr", run.validation.setting), 3000, 0, nothing)
    reports: list[tuple[int, int, float]] = []
    agreement = imitate(run.policy, shown, 64, lambda *report: reports.append(report))
    assert agreement > 0.9
    assert reports[-1][0] == reports[-1][1]
    assert reports[-1][2] == agreement
    # And it plays like it, on worlds it has not seen.
    rule = run.validation._score(make_agent("mwkr", run.validation.setting))
    assert run.validation.score(run.policy.network) == pytest.approx(rule, rel=0.1)


def test_a_run_that_imitates(tiny: Tiny) -> None:
    config = tiny(imitate="spt", imitate_steps=64, steps=32)
    folder = train(config, quiet=True)
    run = Run(config, False, Progress(config, quiet=True))
    assert run.counters.imitated
    assert run.counters.finished
    assert run.model.num_timesteps == 32, "watching does not count as deciding"
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
