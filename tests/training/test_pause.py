"""A run that pauses and goes on is the run that never did, as far as it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from makespan.agents.checkpoint import load_checkpoint
from makespan.training.base import DivergedError, Run
from makespan.training.books import Pause
from makespan.training.config import TrainConfig
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

Tiny = Callable[..., TrainConfig]
SMALL = {"instances": "random:size=2x2", "evolve_directions": 2, "evolve_worlds": 4}


def train_to(config: TrainConfig, pause: Pause | None) -> Run:
    with Progress(config, quiet=True) as progress:
        run = make_run(config, False, progress)
        run.pause = pause
        run.train()
    return run


@pytest.mark.parametrize("agent", ["scorer", "slots-ppo"])
def test_a_paused_run_goes_on_as_the_whole_one(tiny: Tiny, agent: str) -> None:
    paused, whole = (tiny(out=tiny().out + name, agent=agent, steps=300, **SMALL) for name in ("paused", "whole"))
    train(whole, quiet=True)
    seen = [train_to(paused, Pause(steps=steps)) for steps in (60, 60, 180)]
    for run, least in zip(seen, (60, 60, 180), strict=True):
        assert least <= run.decisions < 300
        assert not run.counters.finished
        assert run.counters.validations[-1][0] == run.decisions  # it was validated where it stopped
    assert seen[0].decisions == seen[1].decisions  # whoever is there already does nothing
    assert train_to(paused, None).counters.finished
    mine, theirs = (load_checkpoint(Path(config.out) / "last")[0] for config in (paused, whole))
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_a_pause_by_the_clock_leaves_the_rest_of_the_budget(tiny: Tiny) -> None:
    config = tiny(agent="scorer", steps=10**9, minutes=0.05, **SMALL)
    run = train_to(config, Pause(minutes=0.01))
    assert 0.0 < run.counters.seconds <= 1.5  # one generation beyond, at most
    assert not run.counters.finished
    run = train_to(config, None)
    assert 1.5 < run.counters.seconds <= 3.5
    assert run.counters.finished


def test_a_pause_beyond_the_budget_changes_nothing(tiny: Tiny) -> None:
    assert train_to(tiny(agent="scorer", steps=60, **SMALL), Pause(steps=10**6, minutes=1e3)).counters.finished


def test_divergence_has_a_name(tiny: Tiny) -> None:
    config = tiny(agent="slots-ppo", learning_rate=1.0, gradient_norm=1e6, steps=10**5, instances="random:size=2x2")
    with Progress(config, quiet=True) as progress:
        run = make_run(config, False, progress)
        run.is_finite = lambda: False  # type: ignore[method-assign]
        with pytest.raises(DivergedError, match="training diverged: after 0 decisions"):
            run.train()
