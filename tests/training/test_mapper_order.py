"""Learned orders of memory mapping: that they improve, that a run goes on after anything, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import load_checkpoint, parse_arrays
from makespan.agents.memory_mapping.order_agent import network_card
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.generator import random_instance
from makespan.training.config import TrainConfig
from makespan.training.folder import STATE
from makespan.training.mapper_order import MapperOrderRun, Programs
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

ENV = "makespan/MemoryMapping-v0"
PROGRAMS = "random:size=60+100:count=6:seed=3"


def config(out: Path, **changes: Any) -> TrainConfig:
    """A run that takes seconds."""
    usual: dict[str, Any] = {
        "env": ENV, "agent": "mapper-order", "out": str(out), "instances": PROGRAMS, "steps": 4000, "minutes": 1e6,
        "evolve_directions": 3, "evolve_worlds": 4, "validate_every": 1e9, "save_every": 1e9,
    }  # fmt: skip
    return TrainConfig(**{**usual, **changes})


def state_of(folder: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and numbers of a saved state."""
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    return arrays, json.loads(arrays["meta"].tobytes())


def test_a_short_training_improves_and_its_checkpoint_plays(tmp_path: Path) -> None:
    given = config(tmp_path / "run", evolve_directions=8, evolve_worlds=6, steps=60_000, validate_every=1.0)
    folder = train(given, quiet=True)
    _, numbers = state_of(folder)
    scores = [score for _, score in numbers["validations"]]
    assert len(scores) > 1
    assert min(scores) < scores[0] - 0.002, "by two thousandths of the reference's run time"
    assert numbers["best"] == min(scores)
    weights, card = load_checkpoint(folder / "best")
    assert card["agent"] == "mapper-order"
    assert card["network"] == network_card()
    validation = card["training"]["validation"]
    assert validation["mean_objective"] == min(scores)
    assert (validation["worlds"], validation["best_rule"], validation["best_rule_mean_objective"]) == (
        6,
        "reference",
        1,
    )
    program = random_instance((100,), 50)
    arena = open_arena(ENV, 1, {"instance": [program]})
    episode = play(arena, make_agent(str(folder), arena.setting), [Case(program, 0)])[0]
    tuned = play(arena, make_agent("tuned-xla", arena.setting), [Case(program, 0)])[0]
    assert episode.objective <= tuned.objective
    assert all(array.dtype == np.float32 for array in weights.values())


def test_what_ends_and_goes_on_equals_what_was_not_interrupted(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Killing(Progress):
        generations = 0

        def trained(self, steps: int, score: float | None) -> None:
            self.generations += 1
            if self.generations == 3:
                raise Killed

    whole, broken = (config(tmp_path / name, save_every=0.0) for name in ("whole", "broken"))
    train(whole, quiet=True)
    with pytest.raises(Killed):
        make_run(broken, False, Killing(broken, quiet=True)).train()
    assert state_of(broken.out)[1]["generation"] == 2
    train(broken, quiet=True)
    for name, array in state_of(whole.out)[0].items():
        if name != "meta":
            assert np.array_equal(array, state_of(broken.out)[0][name]), name
    other = config(tmp_path / "other", seed=1)
    train(other, quiet=True)
    assert not np.array_equal(state_of(other.out)[0]["mean"], state_of(whole.out)[0]["mean"])


def test_a_run_begins_from_a_checkpoint(tmp_path: Path) -> None:
    folder = train(config(tmp_path / "first"), quiet=True)
    again = make_run(
        config(tmp_path / "second", start=str(folder / "last")), False, Progress(config(folder), quiet=True)
    )
    weights, _ = load_checkpoint(folder / "last")
    assert all(np.array_equal(array, weights[name]) for name, array in again.weights().items())


def test_costs_are_logarithms_of_run_times_over_the_references(tmp_path: Path) -> None:
    programs = Programs("alexnet_b8_64m,resnet50_b32_32m")
    zero = np.zeros((1, len(np.concatenate([a.reshape(-1) for a in _weights(tmp_path).values()]))))
    costs = programs.costs([1, 0], zero)
    for place, k in enumerate((1, 0)):
        player = programs.players[k]
        assert np.exp(costs[place, 0, :, 0]) * programs.references[k] == pytest.approx(player.first.astype(float))


def _weights(tmp_path: Path) -> dict[str, Any]:
    run = make_run(config(tmp_path / "weights"), False, Progress(config(tmp_path), quiet=True))
    assert isinstance(run, MapperOrderRun)
    return run.weights()


def test_held_out_programs_are_what_is_validated(tmp_path: Path) -> None:
    given = config(tmp_path / "run", held_out="random:size=50:count=3:seed=9")
    run = make_run(given, False, Progress(given, quiet=True))
    assert run.validation.worlds == 3
    names = [player.mapper.instance.name for player in run.validation.instances.players]  # type: ignore[attr-defined]
    assert names == ["random-50-s9", "random-50-s10", "random-50-s11"]
    assert run.validation.score(run.player()) <= 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "makespan/JobShop-v0", "instances": "ft06"}, "option agent is 'mapper-order', expected another"),
        ({"instances": None}, "option instances is None, expected programs to train on"),
        ({"instances": "nobody"}, "nobody"),
        ({"held_out": "nobody"}, "nobody"),
        ({"imitate": "rent"}, "option imitate is 'rent', expected nothing by evolution"),
        ({"foresight": "rent"}, "option foresight is 'rent', expected nothing for agent 'mapper-order'"),
        ({"algorithm": "ppo"}, "option algorithm is 'ppo', expected 'es' for agent 'mapper-order'"),
        ({"start": "checkpoints/memory_mapping_scorer"}, "was trained on the observations|network of"),
        ({"held_out": 3}, "option held_out is 3, expected a text or nothing"),
    ],
    ids=str,
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(config(tmp_path / "run", **changes), quiet=True)
    assert not (tmp_path / "run").exists()
