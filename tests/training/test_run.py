"""Training runs: that they learn, what they leave, and what they refuse."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, load_checkpoint, parse_arrays, save_checkpoint
from makespan.envs.core.errors import UserError
from makespan.training.bridge import make_vector_env
from makespan.training.config import TrainConfig
from makespan.training.folder import OURS, STATE
from makespan.training.ppo import PPORun as Run
from makespan.training.progress import Progress
from makespan.training.run import train

Tiny = Callable[..., TrainConfig]
LEARNS: dict[str, Any] = {
    "steps": 8192,
    "copies": 16,
    "rollout": 16,
    "batch": 64,
    "epochs": 4,
    "learning_rate": 0.01,
    "width": 16,
    "validation_worlds": 20,
}


class Hook(Progress):
    """Calls a function after every rollout."""

    def __init__(self, config: TrainConfig, action: Callable[[int], None]) -> None:
        super().__init__(config, quiet=True)
        self._action, self.rollouts = action, 0

    def trained(self, steps: int, score: float | None) -> None:
        super().trained(steps, score)
        self.rollouts += 1
        self._action(self.rollouts)


def card_of(folder: Path, name: str) -> dict[str, Any]:
    """A card, read by a parser that takes no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    return json.loads((folder / name / CARD).read_text(), parse_constant=refuse)


def meta_of(folder: Path) -> dict[str, Any]:
    return json.loads(parse_arrays((folder / STATE).read_bytes(), STATE)["meta"].tobytes())


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "agent", ["graph-ppo", "captain:heads=2", pytest.param("attention-ppo", marks=pytest.mark.slow)]
)
def test_it_learns_what_is_easy(tiny: Tiny, agent: str) -> None:
    """Blind play bumps into 3.3 of 5 doors; which door is open stands at a node that the slots refer to."""
    config = tiny(env="test/Doors-v0", agent=agent, **LEARNS)
    train(config, quiet=True)
    arena = open_arena("test/Doors-v0", 20, device="cpu")
    cases = [Case(None, seed) for seed in range(20)]
    blind = np.mean([episode.objective for episode in play(arena, make_agent("random", arena.setting), cases)])
    assert blind > 2.5
    trained = [episode.objective for episode in play(arena, make_agent(config.out, arena.setting), cases)]
    assert np.mean(trained) < 0.3


def test_it_learns_to_maximise_and_keeps_the_best(tiny: Tiny) -> None:
    config = tiny(env="test/BestDoors-v0:limit=4", seed=3, gamma=0.95, validate_every=0.0, **{**LEARNS, "steps": 5120})
    folder = train(config, quiet=True)
    validations = meta_of(folder)["validations"]
    scores = [score for _, score in validations]
    assert [steps for steps, _ in validations] == list(range(0, 5121, 256))
    assert scores[0] < 3.0
    assert max(scores) > 3.7, "four steps are played, and four doors can be passed"
    assert card_of(folder, "best")["training"]["validation"]["mean_objective"] == max(scores)
    assert card_of(folder, "best")["training"]["decisions"] == validations[scores.index(max(scores))][0]
    assert card_of(folder, "last")["training"]["validation"]["mean_objective"] == scores[-1]


@pytest.mark.slow
def test_it_learns_the_job_shop(tiny: Tiny) -> None:
    config = tiny(
        instances="random:size=4x4", steps=60_000, copies=32, rollout=32, batch=256, epochs=3, learning_rate=3e-3,
        width=16, validate_every=5.0, validation_worlds=64,
    )  # fmt: skip
    folder = train(config, quiet=True)
    run = Run(config, False, Progress(config, quiet=True))
    scores = [score for _, score in run.counters.validations]
    assert run.counters.best is not None
    assert run.counters.best < 0.9 * scores[0]
    assert run.counters.best < 1.1 * run.validation.rule_score
    assert card_of(folder, "best")["training"]["validation"]["best_rule"] == run.validation.rule


# --- what it leaves ---------------------------------------------------------------------------------------------------


def test_what_a_finished_run_leaves(tiny: Tiny) -> None:
    config = tiny(env="makespan/JobShop-v0:law=bernoulli:p=0.01", steps=150)
    folder = train(config, quiet=True)
    assert {path.name for path in folder.iterdir()} == OURS
    meta = meta_of(folder)
    assert meta["finished"]
    assert meta["num_timesteps"] == 160, "whole rollouts"
    assert meta["seconds"] > 0
    for name in ("best", "last"):
        card = card_of(folder, name)
        assert card["env"] == "makespan/JobShop-v0"
        assert card["env_options"] == {"law": "bernoulli", "p": 0.01, "instance": "random:size=3x3"}
        assert card["training"]["config"]["seed"] == 0
        assert math.isfinite(card["training"]["validation"]["best_rule_mean_objective"])
        assert {"makespan", "torch", "python", "numpy"} <= card["versions"].keys()
    assert card_of(folder, "last")["training"]["decisions"] == 160
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert train(config, quiet=True) == folder
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_checkpoint_plays_as_validation_said(tiny: Tiny) -> None:
    config = tiny()
    folder = train(config, quiet=True)
    run = Run(config, False, Progress(config, quiet=True))
    arena = open_arena("makespan/JobShop-v0", 4, {"instance": "random:size=3x3"}, device="cpu")
    episodes = play(arena, make_agent(str(folder / "best"), arena.setting), run.validation._cases)
    assert np.mean([episode.objective for episode in episodes]) == run.counters.best


def test_options_of_the_network_stand_in_its_card(tiny: Tiny) -> None:
    folder = train(tiny(agent="captain:capsules=0:decoder=0"), quiet=True)
    network = load_checkpoint(folder / "best")[1]["network"]
    assert network == {"kind": "captain", "width": 8, "layers": 1, "capsules": 0, "decoder": 0}
    arena = open_arena("makespan/JobShop-v0", 2, {"instance": "random:size=3x3"}, device="cpu")
    assert play(arena, make_agent(str(folder / "best"), arena.setting), [Case(None, 0), Case(None, 1)])


def test_tensorboard_files(tiny: Tiny) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(tiny(validate_every=0.0), quiet=True)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {
        "validation/objective",
        "validation/best_rule_objective",
        "rollout/objective",
        "train/loss",
        "train/learning_rate",
        "time/decisions_per_second",
    } <= scalars
    assert [event.step for event in events.Scalars("validation/objective")] == [0, 32, 64, 96, 128, 160]


def test_best_rule_stands_beside_the_score(tiny: Tiny) -> None:
    """Paired: the same held-out worlds, none of which training meets or a user types."""
    run = Run(tiny(), False, Progress(tiny(), quiet=True))
    rule, cases = run.validation.rule, run.validation._cases
    assert rule is not None
    assert all(case.seed >= 2**62 for case in cases)
    arena = open_arena("makespan/JobShop-v0", 4, {"instance": "random:size=3x3"})
    scores = {}
    for name in (rule, "spt", "mwkr", "fifo", "lpt"):
        scores[name] = np.mean([e.objective for e in play(arena, make_agent(name, arena.setting), cases)])
    assert run.validation.rule_score == scores[rule] == min(scores.values())
    assert run.validation.is_better(1.0, 2.0)
    doors = tiny(env="test/BestDoors-v0", out=f"{tiny().out}2")
    plain = Run(doors, False, Progress(doors, quiet=True))
    assert plain.validation.rule is None
    assert plain.validation.is_better(2.0, 1.0)


# --- budget and schedule ----------------------------------------------------------------------------------------------


def test_the_learning_rate_falls_by_steps(tiny: Tiny) -> None:
    config = tiny(steps=320, learning_rate=0.01)
    shares: list[float] = []
    hook = Hook(config, lambda _: shares.append((1 - run.learning_rate / 0.01) / 0.9))
    run = Run(config, False, hook)
    run.train()
    assert shares == pytest.approx([done / 320 for done in range(0, 320, 32)])
    assert run.model.policy.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * (1 - 0.9 * 288 / 320))


def test_minutes_end_a_run(tiny: Tiny) -> None:
    config = tiny(steps=10**9, minutes=2.5 / 60, learning_rate=0.01)
    folder = train(config, quiet=True)
    meta = meta_of(folder)
    assert meta["finished"]
    assert meta["num_timesteps"] > 0
    assert 1.0 < meta["seconds"] < 2.6, "it stops before the iteration that would be too long"
    run = Run(config, False, Progress(config, quiet=True))
    assert run.counters.finished


@pytest.mark.parametrize("minutes", [0.0, 1e-9])
def test_no_time_at_all(tiny: Tiny, minutes: float) -> None:
    folder = train(tiny(minutes=minutes), quiet=True)
    assert meta_of(folder)["num_timesteps"] == 0
    assert meta_of(folder)["finished"]
    assert load_checkpoint(folder / "best")[1]["training"]["decisions"] == 0


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "makespan/JobShp-v0"}, "unknown environment 'makespan/JobShp-v0'; did you mean 'makespan/JobShop-v0'"),
        ({"env": "makespan/JobShop-v0:law=maybe"}, "option law is 'maybe'"),
        ({"env": "makespan/JobShop-v0:instance=la01"}, "instances are given twice"),
        ({"env": "makespan/JobShop-v0:threads=2"}, "option 'threads' .* cannot be given to training"),
        ({"instances": "la99"}, "la99"),
        ({"device": "tpu9"}, "device 'tpu9' cannot be used"),
        ({"agent": "attention-ppo", "width": 9}, "network heads is 4, expected a divisor of the width 9"),
        ({"agent": "captain:capsule=0"}, "unknown option of network 'captain': 'capsule'; did you mean 'capsules'"),
        ({"imitate": "sptt"}, "unknown agent 'sptt'"),
        ({"env": "test/Doors-v0:broken=true"}, "ended with objective nan, expected a finite number"),
    ],
)
def test_a_wrong_config_leaves_no_folder(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    config = tiny(**changes)
    with pytest.raises(UserError, match=message) as caught:
        train(config, quiet=True)
    assert "\n" not in str(caught.value)
    if "broken" not in config.env:  # that comes to light only when an episode ends
        assert not os.path.exists(config.out)


def test_another_run_and_overwriting(tiny: Tiny) -> None:
    folder = train(tiny(steps=32), quiet=True)
    with pytest.raises(UserError, match="holds another run: its seed is 0, not 1"):
        train(tiny(steps=32, seed=1), quiet=True)
    train(tiny(steps=32, seed=1), overwrite=True, quiet=True)
    assert card_of(folder, "last")["training"]["config"]["seed"] == 1
    assert len(list((folder / "tensorboard").iterdir())) == 1


def test_numbers_that_are_none_never_reach_a_file(tiny: Tiny) -> None:
    config = tiny(save_every=0.0)

    def poison(rollout: int) -> None:
        if rollout == 3:
            with torch.no_grad():
                next(run.policy.parameters()).fill_(math.inf)

    run = Run(config, False, Hook(config, poison))
    with pytest.raises(UserError, match="training diverged: after 96 decisions the weights are not finite; try a lea"):
        run.train()
    weights, _ = load_checkpoint(Path(config.out) / "last")
    assert all(np.isfinite(array).all() for array in weights.values())
    assert meta_of(Path(config.out))["num_timesteps"] == 64


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_truncated_state(tiny: Tiny, length: int) -> None:
    config = tiny(steps=32)
    path = train(config, quiet=True) / STATE
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"state.safetensors: not a whole safetensors file") as caught:
        train(config, quiet=True)
    assert "\n" not in str(caught.value)


def edit_state(path: Path, **changes: Any) -> None:
    from makespan.agents.checkpoint import dump_arrays

    arrays = {**parse_arrays(path.read_bytes(), STATE), **changes}
    path.write_bytes(dump_arrays({name: array for name, array in arrays.items() if array is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": None}, "not the state of such a run"),
        ({"meta": np.frombuffer(b"{", dtype=np.uint8)}, "not the state of such a run"),
        ({"meta": np.frombuffer(b"[]", dtype=np.uint8)}, "not the state of such a run"),
        ({"random.torch": np.zeros(3, dtype=np.uint8)}, "not the state of such a run"),
        ({"env.engine00": np.zeros(3)}, "not the state of such a run"),
        ({"env.seeds": None}, "not the state of such a run"),
        ({"network.globals.linear.bias": None}, "lacks the tensor 'globals.linear.bias'"),
        ({"optimizer.0.exp_avg": None}, "not the state of such a run"),
        ({"optimizer.0.exp_avg": np.zeros(2, dtype=np.float32)}, "not the state of such a run"),
    ],
)
def test_an_edited_state(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    config = tiny(steps=32)
    path = train(config, quiet=True) / STATE
    edit_state(path, **changes)
    with pytest.raises(UserError, match=message) as caught:
        train(config, quiet=True)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_strange_counters(tiny: Tiny) -> None:
    config = tiny(steps=32)
    folder = train(config, quiet=True)
    meta = {**meta_of(folder), "luck": 1}
    edit_state(folder / STATE, meta=np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8))
    with pytest.raises(UserError, match=r"its counters are .*'luck'"):
        train(config, quiet=True)


def test_the_folder_has_the_last_word_on_the_best(tiny: Tiny) -> None:
    """A kill between a validation and the next save must not let a worse checkpoint take the better one's place."""
    config = tiny(steps=32)
    folder = train(config, quiet=True)
    weights, card = load_checkpoint(folder / "best")
    card["training"]["validation"]["mean_objective"] = 1.5
    given = {key: value for key, value in card.items() if key not in ("format", "version", "weights_sha256")}
    save_checkpoint(folder / "best", weights, given)
    assert Run(config, False, Progress(config, quiet=True)).counters.best == 1.5
    os.rename(folder / "best", folder / ".best.old")
    assert Run(config, False, Progress(config, quiet=True)).counters.best == 1.5
    (folder / ".best.old" / CARD).write_text("{")
    assert Run(config, False, Progress(config, quiet=True)).counters.best is None


def test_a_folder_that_cannot_be_written(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(save_every=0.0)

    def fill_the_disk(rollout: int) -> None:
        if rollout == 2:
            monkeypatch.setattr(os, "fsync", full)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    run = Run(config, False, Hook(config, fill_the_disk))
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device") as caught:
        run.train()
    monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert meta_of(run.folder)["num_timesteps"] == 32
    assert {path.name for path in run.folder.iterdir()} == OURS
    assert load_checkpoint(run.folder / "best")[0]
    train(config, quiet=True)
    assert meta_of(run.folder)["num_timesteps"] == 160


def test_the_environment_is_the_one_asked_for(tiny: Tiny) -> None:
    config = tiny(env="makespan/JobShop-v0:blocking=no-swap:deadlock=banker", seed=5)
    run = Run(config, False, Progress(config, quiet=True))
    assert run.env_options == {"blocking": "no-swap", "deadlock": "banker", "instance": "random:size=3x3"}
    other: Any = make_vector_env("makespan/JobShop-v0", 4, run.env_options)
    assert other.engine.options == run.bridge.env.engine.options  # type: ignore[attr-defined]
