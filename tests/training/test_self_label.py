"""Self-labelling: that scorers and networks learn from their own best plans, and that a run goes on after anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.arena import Case, open_arena, play_to_end
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import parse_arrays
from makespan.agents.learned import weights_of
from makespan.agents.scorer.agent import ScorerAgent
from makespan.agents.scorer.choice import join_row
from makespan.agents.scorer.network import ScorerNetwork
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.envs.core.files import cache_folder
from makespan.training.books import Interrupted
from makespan.training.bridge import training_seed
from makespan.training.config import TrainConfig
from makespan.training.folder import STATE
from makespan.training.progress import Progress
from makespan.training.run import make_run, train
from makespan.training.self_label import SelfLabelRun

Tiny = Callable[..., TrainConfig]
SMALL: dict[str, Any] = {
    "agent": "scorer",
    "algorithm": "self-label",
    "instances": "random:size=3x3",
    "label_worlds": 4,
    "label_tries": 4,
    "steps": 200,
    "imitate": None,
    "foresight": None,
}


class Hook(Progress):
    """Calls a function after every round."""

    def __init__(self, config: TrainConfig, action: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(config, quiet=True)
        self._action, self.rounds = action, 0

    def trained(self, steps: int, score: float | None) -> None:
        super().trained(steps, score)
        self.rounds += 1
        self._action(self.rounds)


def state_of(folder: str | Path) -> dict[str, np.ndarray]:
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    arrays.pop("meta")
    return arrays


def test_the_module_scores_as_the_compiled_choice_does() -> None:
    arena = open_arena("makespan/JobShop-v0", 16, {"instance": "random:size=6x4"})
    torch.manual_seed(3)
    module = ScorerNetwork(arena.setting.spec)
    agent = ScorerAgent("scorer", join_row(weights_of(module), arena.setting.spec)[None])
    arena.reset([Case(None, seed) for seed in range(16)])
    agent.begin(np.arange(16), [], np.arange(16, dtype=np.uint64), None)
    compared = 0
    while arena.running().any():
        observation, mask = arena.observation(), arena.masks()
        tensors = {key: torch.as_tensor(np.array(array)) for key, array in observation.items()}
        scores = module(tensors)[0].masked_fill(tensors["action_mask"] == 0, -torch.inf)
        actions = agent.act(observation, mask)
        running = arena.running()
        assert (scores.argmax(dim=1).numpy() == actions)[running].all()
        compared += int(running.sum())
        arena.step(actions)
    assert compared > 200


@pytest.mark.parametrize("options", [{}, {"law": "bernoulli", "p": 0.005}])
def test_a_scorer_learns_the_job_shop(tiny: Tiny, options: dict[str, Any]) -> None:
    env = ":".join(["makespan/JobShop-v0", *(f"{key}={value}" for key, value in options.items())])
    given = {**SMALL, "instances": "random:size=4x4", "label_worlds": 16, "label_tries": 16, "steps": 6_000}
    config = tiny(env=env, **given, learning_rate=0.01, validation_worlds=64, epochs=4)
    train(config, quiet=True)
    run = make_run(config, False, Progress(config, True))
    (_, first), *_, (_, last) = run.counters.validations
    chance = run.validation.score(make_agent("random", run.validation.setting))
    assert last < 0.97 * min(first, chance)


def test_a_network_learns_a_plain_environment(tiny: Tiny) -> None:
    # The best of eight tries at five doors bumps into few: what it did is worth learning.
    config = tiny(
        env="test/Doors-v0", agent="graph-ppo", algorithm="self-label", steps=4_000, label_worlds=32, label_tries=16,
        learning_rate=0.01, width=16, validation_worlds=64, imitate=None, instances=None, epochs=2, seed=5,
    )  # fmt: skip
    train(config, quiet=True)
    run = make_run(config, False, Progress(config, True))
    (_, first), *_, (_, last) = run.counters.validations
    assert first > 2  # a network that knows nothing may bump into nearly all five
    assert last < 0.5 * first


def test_a_run_that_is_interrupted_ends_as_an_unbroken_one(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(**SMALL)
    whole = replace(config, out=str(tmp_path / "whole"))
    train(whole, quiet=True)

    def stop(number: int) -> None:
        if number == 2:
            raise Interrupted("", by_user=True)

    with pytest.raises(Interrupted):
        SelfLabelRun(config, False, Hook(config, stop)).train()
    train(config, quiet=True)
    mine, theirs = state_of(config.out), state_of(whole.out)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_labels_are_decisions_where_there_was_a_choice(tiny: Tiny) -> None:
    config = tiny(**SMALL)
    run = SelfLabelRun(config, False, Hook(config))
    labels, costs = run._label()
    assert len(costs) == 4
    assert (labels.observation["action_mask"].sum(axis=1) > 1).all()
    assert (labels.observation["action_mask"][np.arange(len(labels.actions)), labels.actions] == 1).all()


def test_a_warm_start_watches_another_agent(tiny: Tiny) -> None:
    config = tiny(**{**SMALL, "imitate": "lrm"}, imitate_share=1.0)
    run = SelfLabelRun(config, False, Hook(config))
    _, costs = run._label()
    arena = open_arena("makespan/JobShop-v0", 4, {"instance": "random:size=3x3"})
    first = training_seed(config.seed, 0)
    played = play_to_end(arena, make_agent("lrm", arena.setting), [Case(None, first + number) for number in range(4)])
    assert costs.tolist() == played.costs.tolist()


def test_a_teacher_plays_each_world_once(tiny: Tiny) -> None:
    config = tiny(**{**SMALL, "agent": "graph-ppo", "imitate": "lrm"}, imitate_share=1.0)
    run = SelfLabelRun(config, False, Hook(config))
    labels, costs = run._label()
    assert len(costs) == config.label_worlds
    assert len(labels.actions) <= run.decisions < 2 * config.label_worlds * 9 * 2  # not `label_tries` times as many


def test_where_nobody_can_look_ahead_a_scorer_can_still_imitate(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no world without chance can be imagined, labels can come from another alone."""
    monkeypatch.setattr("makespan.envs.air_mobility.engine.AirEngine.imagines_typical", False)
    day = {**SMALL, "env": "makespan/AirMobility-v0:noise=0", "instances": "random:size=4x3:count=2", "steps": 2000}
    with pytest.raises(UserError, match="imitate-share 1"):
        train(tiny(**day), quiet=True)
    config = tiny(**{**day, "imitate": "greedy-profit"}, imitate_share=1.0)
    train(config, quiet=True)
    assert json.loads((Path(config.out) / "best" / "card.json").read_text())["agent"] == "scorer"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "sel-label"}, "did you mean 'self-label'"),
        ({"algorithm": "ppo"}, "'es' or 'self-label' for agent 'scorer'"),
        ({"agent": "graph-ppo", "algorithm": "es"}, "'ppo' or 'self-label' for agent 'graph-ppo'"),
        ({"agent": "graph-ppo", "foresight": "lrm"}, "foresight"),
        ({"imitate": "random:samples=4"}, "cannot be imitated"),
        ({"label_tries": 0}, "an integer from 1"),
    ],
)
def test_what_does_not_fit_is_refused(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(tiny(**{**SMALL, **changes}), quiet=True)


def test_a_damaged_state_is_refused(tiny: Tiny) -> None:
    config = tiny(**SMALL)
    train(config, quiet=True)
    path = Path(config.out) / STATE
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=STATE):
        make_run(config, False, Progress(config, True))


def test_the_command_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAKESPAN_CACHE", str(cache_folder()))  # compiled code stays where it is
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    code = main(
        ["train", "makespan/JobShop-v0", "--agent", "scorer", "--algorithm", "self-label", "--out=~/run",
         "--instances", "random:size=3x3", "--steps", "200", "--label-worlds", "4", "--label-tries", "4", "--json"]
    )  # fmt: skip
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert main(["train", "--resume", "--out=~/run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n}\n")[0] + "}")["out"] == str(out)
    card = json.loads((out / "last" / "card.json").read_text())
    assert card["training"]["config"]["algorithm"] == "self-label"
    assert card["training"]["decisions"] >= 200
