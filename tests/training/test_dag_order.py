"""Learned list schedulers: that they improve, that a run goes on after anything, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import REQUIRED, load_checkpoint, parse_arrays, save_checkpoint
from makespan.agents.soc.learned_list import fresh_row
from makespan.agents.soc.order_agent import network_card
from makespan.envs.core.errors import UserError
from makespan.envs.soc.generator import resolve
from makespan.training.config import TrainConfig
from makespan.training.dag_order import Graphs
from makespan.training.folder import STATE
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

ENV = "makespan/StaticDag-v0"
GRAPHS = "random:tasks=20+30:count=24:seed=3"


def config(out: Path, **changes: Any) -> TrainConfig:
    """A run that takes seconds."""
    usual: dict[str, Any] = {
        "env": ENV, "agent": "dag-order", "out": str(out), "instances": GRAPHS, "steps": 4000, "minutes": 1e6,
        "evolve_directions": 3, "evolve_worlds": 8, "evolve_sigma": 0.1, "evolve_rate": 0.03,
        "validate_every": 1e9, "save_every": 1e9,
    }  # fmt: skip
    return TrainConfig(**{**usual, **changes})


def state_of(folder: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and numbers of a saved state."""
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    return arrays, json.loads(arrays["meta"].tobytes())


def test_a_short_training_improves_and_its_checkpoint_plays(tmp_path: Path) -> None:
    nothing = train(config(tmp_path / "nothing"), quiet=True) / "last"
    weights, card = load_checkpoint(nothing)
    weights["direct"][:] = weights["output"][:] = 0.0  # so that there is much to learn
    save_checkpoint(nothing, weights, {key: card[key] for key in REQUIRED[2:-1]})
    given = config(
        tmp_path / "run", start=str(nothing), evolve_directions=8, evolve_worlds=16, evolve_sigma=0.2, evolve_rate=0.1,
        steps=150_000, validate_every=1.0,
    )  # fmt: skip
    folder = train(given, quiet=True)
    scores = [score for _, score in state_of(folder)[1]["validations"]]
    assert len(scores) > 1
    assert min(scores) < scores[0] - 0.005, "by half a hundredth of HEFT's makespan"
    weights, card = load_checkpoint(folder / "best")
    assert (card["agent"], card["network"]) == ("dag-order", network_card())
    validation = card["training"]["validation"]
    assert validation["mean_objective"] == min(scores)
    assert (validation["worlds"], validation["best_rule"], validation["best_rule_mean_objective"]) == (24, "heft", 1)
    assert all(array.dtype == np.float32 for array in weights.values())
    cases = [Case(of, 0) for of in resolve("random:tasks=40:count=10:seed=70")]
    arena = open_arena(ENV, 10, {"instance": [case.instance for case in cases]})
    mine, heft = (
        [episode.objective for episode in play(arena, make_agent(agent, arena.setting), cases)]
        for agent in (str(folder), "list")
    )
    assert np.log(np.array(mine) / np.array(heft)).mean() < -0.03


def test_what_ends_and_goes_on_equals_what_was_not_interrupted(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Killing(Progress):
        generations = 0

        def trained(self, steps: int, score: float | None) -> None:
            self.generations += 1
            if self.generations == 2:
                raise Killed

    whole, broken = (config(tmp_path / name, save_every=0.0) for name in ("whole", "broken"))
    train(whole, quiet=True)
    with pytest.raises(Killed):
        make_run(broken, False, Killing(broken, quiet=True)).train()
    assert state_of(broken.out)[1]["generation"] == 1
    train(broken, quiet=True)
    for name, array in state_of(whole.out)[0].items():
        if name != "meta":
            assert np.array_equal(array, state_of(broken.out)[0][name]), name


def test_a_run_begins_from_a_checkpoint(tmp_path: Path) -> None:
    folder = train(config(tmp_path / "first"), quiet=True)
    given = config(tmp_path / "second", start=str(folder / "last"))
    again = make_run(given, False, Progress(given, quiet=True))
    weights, _ = load_checkpoint(folder / "last")
    assert all(np.array_equal(array, weights[name]) for name, array in again.weights().items())


def test_costs_are_logarithms_of_makespans_over_hefts() -> None:
    graphs = Graphs("topcuoglu,peft")
    length = len(fresh_row(np.random.default_rng(0)))
    costs = graphs.costs([1, 0], np.zeros((1, length)))
    assert [graph.first for graph in graphs.planners] == [80, 133]
    assert costs[:, 0, 0, 0].tolist() == [0.0, 0.0], "without weights a first pass is HEFT"
    best = [min(0.0, costs[place].min()) for place in range(2)]
    assert graphs.score(np.zeros(length)) == pytest.approx(np.exp(np.mean(best)))


def test_held_out_graphs_are_what_is_validated(tmp_path: Path) -> None:
    given = config(tmp_path / "run", held_out="random:tasks=20:count=3:seed=9")
    run = make_run(given, False, Progress(given, quiet=True))
    assert run.validation.worlds == 3
    assert [len(planner.desk.best_pe) for planner in run.validation.instances.planners] == [20, 20, 20]  # type: ignore[attr-defined]
    assert run.validation.score(run.player()) <= 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "makespan/JobShop-v0", "instances": "ft06"}, "option agent is 'dag-order', expected another"),
        ({"instances": None}, "option instances is None, expected DAGs to train on"),
        ({"instances": "nobody"}, "nobody"),
        ({"held_out": "nobody"}, "nobody"),
        ({"imitate": "heft"}, "option imitate is 'heft', expected nothing by evolution"),
        ({"algorithm": "ppo"}, "option algorithm is 'ppo', expected 'es' for agent 'dag-order'"),
        ({"start": "checkpoints/dag_scorer"}, "was trained on the observations|network of"),
    ],
    ids=str,
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(config(tmp_path / "run", **changes), quiet=True)
    assert not (tmp_path / "run").exists()
