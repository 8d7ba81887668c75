"""A run that is interrupted or killed and continued equals one that never stopped, bit for bit (CPU, one thread)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.checkpoint import load_checkpoint, parse_arrays
from makespan.training.books import Interrupted
from makespan.training.config import TrainConfig
from makespan.training.folder import OURS, STATE
from makespan.training.ppo import PPORun as Run
from makespan.training.progress import Progress
from makespan.training.run import train

Tiny = Callable[..., TrainConfig]


class Killed(BaseException):
    """As kill -9: nobody handles it, nothing is saved."""


class Hook(Progress):
    """Calls a function after every rollout and every validation."""

    def __init__(self, config: TrainConfig, rollout: Any = None, validation: Any = None) -> None:
        super().__init__(config, quiet=True)
        self._rollout, self._validation, self.rollouts = rollout, validation, 0

    def trained(self, steps: int, score: float | None) -> None:
        self.rollouts += 1
        if self._rollout is not None:
            self._rollout(self.rollouts)

    def validated(self, score: float) -> None:
        if self._validation is not None:
            self._validation(score)


def state_of(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and counters of a state; the seconds, which no two runs share, are left out."""
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    meta = json.loads(arrays.pop("meta").tobytes())
    meta.pop("seconds")
    return arrays, meta


def equal(broken: str, whole: str, validations: bool = True) -> None:
    """Weights, optimiser, random streams, environments, counters and the checkpoints."""
    (arrays, meta), (expected, expected_meta) = state_of(broken), state_of(whole)
    assert arrays.keys() == expected.keys()
    assert {name.split(".")[0] for name in arrays} >= {"network", "optimizer", "random"}
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype
        assert np.array_equal(array, expected[name]), name
    if not validations:
        for counters in (meta, expected_meta):
            counters["validations"] = counters["validations"][-1]
            counters.pop("best")
    assert meta == expected_meta
    for name in ("best", "last") if validations else ("last",):
        mine, _ = load_checkpoint(Path(broken) / name)
        theirs, _ = load_checkpoint(Path(whole) / name)
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs), name
    assert {path.name for path in Path(broken).iterdir()} == OURS


def run(config: TrainConfig, hook: Progress) -> None:
    Run(config, False, hook).train()


VARIANTS: dict[str, dict[str, Any]] = {
    "graph": {},
    "attention": {"agent": "attention-ppo"},
    "breakdowns": {"env": "makespan/JobShop-v0:law=bernoulli:p=0.01", "seed": 7, "gamma": 0.9},
    "imitation": {
        "env": "makespan/JobShop-v0:law=bernoulli:p=0.01",
        "imitate": "rollout:of=spt+mwkr:worlds=2",
        "imitate_steps": 128,
    },
    "imitation of a rule": {"imitate": "spt", "imitate_steps": 96},
    "mixed sizes": {"instances": "random:size=3x3+2x4"},
    "foresight": {
        "env": "makespan/JobShop-v0:law=bernoulli:p=0.02",
        "instances": "random:size=3x3+2x4",
        "foresight": "lrm+spt",
        "foresight_worlds": 2,
    },
    "imitation with foresight": {"foresight": "lrm", "imitate": "spt", "imitate_steps": 96},
}


# By default those that differ most from the rest.
_QUICK = ("attention", "imitation", "foresight")
_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS if name not in _QUICK]


@pytest.mark.parametrize("variant", [*_QUICK, *_SLOW])
def test_interrupted_and_killed_equals_unbroken(tiny: Tiny, variant: str) -> None:
    """Ctrl-C after two rollouts, a kill two later, another at once, then to the end."""
    changes = {"save_every": 0.0, "validate_every": 0.0, **VARIANTS[variant]}
    whole, broken = (tiny(out=tiny().out + name, **changes) for name in ("whole", "broken"))
    train(whole, quiet=True)

    def interrupt(rollout: int) -> None:
        if rollout == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def kill(rollout: int) -> None:
        if rollout == 2:
            raise Killed

    with pytest.raises(Interrupted, match="is saved; the same command goes on from there"):
        run(broken, Hook(broken, interrupt))
    assert state_of(broken.out)[1]["num_timesteps"] == 64, "it stops after the update"
    assert not state_of(broken.out)[1]["finished"]
    for _ in range(2):
        before = state_of(broken.out)[1]["num_timesteps"]
        with pytest.raises(Killed):
            run(broken, Hook(broken, kill))
        assert state_of(broken.out)[1]["num_timesteps"] == before + 32, "a kill loses what came since the last save"
    train(broken, quiet=True)
    equal(broken.out, whole.out)


def test_saving_rarely_loses_only_time(tiny: Tiny) -> None:
    """Killed before the first save: the run begins again and comes to the same."""
    whole, broken = (tiny(out=tiny().out + name) for name in ("whole", "broken"))
    train(whole, quiet=True)

    def kill(rollout: int) -> None:
        if rollout == 4:
            raise Killed

    with pytest.raises(Killed):
        run(broken, Hook(broken, kill))
    assert not (Path(broken.out) / STATE).exists()
    train(broken, quiet=True)
    equal(broken.out, whole.out)


def test_an_attempt_to_save_that_is_cut_off(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the state and the checkpoints, and between a checkpoint's two renames."""
    changes = {"save_every": 0.0, "validate_every": 0.0}
    whole, broken = (tiny(out=tiny().out + name, **changes) for name in ("whole", "broken"))
    train(whole, quiet=True)
    real = os.rename
    for number in range(1, 4):
        left = number

        def dying(*names: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            real(*names)

        monkeypatch.setattr(os, "rename", dying)
        with pytest.raises(Killed):
            run(broken, Hook(broken))
        monkeypatch.undo()
    train(broken, quiet=True)
    equal(broken.out, whole.out)


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Ctrl-C raises, also where the tests run in the background and would ignore it."""
    original = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, original)


@pytest.mark.usefixtures("heeds_interrupts")
def test_a_second_interrupt_stops_at_once(tiny: Tiny) -> None:
    whole, broken = (tiny(out=tiny().out + name, save_every=0.0) for name in ("whole", "broken"))
    train(whole, quiet=True)
    before = signal.getsignal(signal.SIGINT)

    def interrupt_twice(rollout: int) -> None:
        if rollout == 3:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)  # another thread may take the signal, and two that wait there become one

    with pytest.raises(KeyboardInterrupt) as caught:
        run(broken, Hook(broken, interrupt_twice))
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is before
    assert state_of(broken.out)[1]["num_timesteps"] == 64
    train(broken, quiet=True)
    equal(broken.out, whole.out)


def test_an_interrupt_while_the_end_is_saved_changes_nothing(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(steps=32)
    before = signal.getsignal(signal.SIGINT)
    real = Run.validate

    def interrupted(self: Run) -> float:
        if self.counters.finished:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    monkeypatch.setattr(Run, "validate", interrupted)
    train(config, quiet=True)
    assert state_of(config.out)[1]["finished"]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_means_what_it_meant_after_a_run_fails(tiny: Tiny) -> None:
    before = signal.getsignal(signal.SIGINT)

    def fail(_: int) -> None:
        raise RuntimeError("something else")

    config = tiny()
    with pytest.raises(RuntimeError, match="something else"):
        run(config, Hook(config, fail))
    assert signal.getsignal(signal.SIGINT) is before


def test_plain_environments_go_on_with_new_episodes(tiny: Tiny) -> None:
    """Their state cannot be saved; what they play after a resume is not what they began with."""
    config = tiny(env="test/Doors-v0", save_every=0.0)

    def kill(rollout: int) -> None:
        if rollout == 3:
            raise Killed

    first, second = (Hook(config, kill) for _ in range(2))
    one = Run(config, False, first)
    with pytest.raises(Killed):
        one.train()
    two = Run(config, False, second)
    assert two.model.num_timesteps == 64
    seeds = [bridge._seeds[0] for bridge in (one.bridge, two.bridge)]
    assert seeds[1] is not None
    assert seeds[1] != Run(tiny(env="test/Doors-v0", out=config.out + "2"), False, Hook(config)).bridge._seeds[0]
    train(config, quiet=True)
    assert state_of(config.out)[1]["num_timesteps"] == 160


# --- other processes --------------------------------------------------------------------------------------------------

_PROGRAM = """
import json, sys
from makespan.training.config import TrainConfig
from makespan.training.run import train
train(TrainConfig(**json.loads(sys.argv[1])), quiet=True)
"""


def start(config: TrainConfig) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", _PROGRAM, json.dumps(config.to_dict())]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE)


def wait_for_state(config: TrainConfig, process: subprocess.Popen[bytes], newer_than: float) -> None:
    path = Path(config.out) / STATE
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.stat().st_mtime > newer_than:
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_a_process_that_gets_ctrl_c_saves_and_can_be_continued(tiny: Tiny) -> None:
    whole, broken = (tiny(out=tiny().out + name, steps=3200, save_every=0.0) for name in ("whole", "broken"))
    train(whole, quiet=True)
    process = start(broken)
    wait_for_state(broken, process, 0.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGINT, None) or b"Interrupted" in errors
    assert b"is saved; the same command goes on from there" in errors
    steps = state_of(broken.out)[1]["num_timesteps"]
    assert 0 < steps < 3200
    assert json.loads((Path(broken.out) / "last" / "card.json").read_text())["training"]["decisions"] == steps
    train(broken, quiet=True)
    equal(broken.out, whole.out, validations=False)


@pytest.mark.slow
def test_a_process_killed_at_random_moments_loses_one_save_interval_at_most(tiny: Tiny) -> None:
    interval = 0.3
    whole, broken = (tiny(out=tiny().out + name, steps=6400, save_every=interval) for name in ("whole", "broken"))
    train(whole, quiet=True)
    rng = random.Random(0)
    kills, reached = 0, 0
    path = Path(broken.out) / STATE
    for _ in range(8):
        process = start(broken)
        wait_for_state(broken, process, path.stat().st_mtime if path.exists() else 0.0)
        time.sleep(rng.uniform(0.0, 1.0))
        if process.poll() is not None:
            break
        process.kill()
        now = time.time()
        process.communicate()
        kills += 1
        assert now - path.stat().st_mtime < interval + 2.0, "an iteration is short; the rest is a busy machine's grace"
        steps = state_of(broken.out)[1]["num_timesteps"]
        assert steps >= reached, "nothing that was saved is lost"
        reached = steps
        for name in ("best", "last"):
            load_checkpoint(Path(broken.out) / name)
    assert kills >= 3
    train(broken, quiet=True)
    equal(broken.out, whole.out)
