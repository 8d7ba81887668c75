"""Training of SEQUOIA: the two networks agree, a run learns what a rollout knows, stops, goes on, and is played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from makespan.agents.restless_bandits.q_network import weight_shapes
from makespan.agents.restless_bandits.sequoia import Sequoia
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.training.books import Interrupted
from makespan.training.config import TrainConfig
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

ENV = "makespan/RestlessBandits-v0"


def config(out: Path, **options) -> TrainConfig:
    given = {"instances": "corridor-j6-0", "steps": 40, "validation_worlds": 2, "batch": 16, **options}
    return TrainConfig(env=ENV, agent="sequoia", out=str(out), **given)


@pytest.mark.parametrize("family", ["corridor", "sigmoid"])
def test_torch_and_program_mean_the_same_network(family: str) -> None:
    import torch
    from makespan.training.sequoia import Course
    from makespan.training.sequoia_learner import QNetwork, join

    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape).astype(np.float32) / 4 for name, shape in weight_shapes().items()}
    course = Course(draw_instance(Size(family, 8), 0), "local", True)
    course.begin(rng)
    course.policy.weights = weights
    actions = course.instance.feasible.members
    net = course.policy.network(course.epoch, course.states)
    by_program = net.values(course.policy.climber.inputs_of(actions)) / course.unit
    with torch.no_grad():
        found = QNetwork(weights)(join([course.sample(actions)]), course.policy.outlook)[0].numpy()
    np.testing.assert_allclose(found - course.usual[0], by_program, rtol=1e-4, atol=1e-4)


def test_a_run_learns_stops_goes_on_and_is_played(tmp_path: Path) -> None:
    from makespan.agents.agent import Setting
    from makespan.agents.arena import open_arena
    from makespan.agents.catalogue import make_agent

    out = tmp_path / "run"
    folder = train(config(out), quiet=True)
    assert (folder / "best" / "card.json").is_file()
    assert (folder / "last" / "weights.safetensors").stat().st_size < 2**20
    assert train(config(out), quiet=True) == folder  # finished
    setting: Setting = open_arena(ENV, 1, {"instance": "corridor-j6-0"}).setting
    agent = make_agent(f"{folder / 'last'}:search=local", setting)
    assert agent.name.endswith("search=local")
    with pytest.raises(UserError, match="search"):
        make_agent(f"{folder / 'last'}:search=none", setting)


@pytest.mark.parametrize("search", ["sampled", "iterative"])
def test_the_comparisons_of_the_paper_train_and_are_played_as_they_were_trained(search: str, tmp_path: Path) -> None:
    from makespan.agents.arena import open_arena
    from makespan.agents.catalogue import make_agent
    from makespan.agents.checkpoint import load_checkpoint

    run = replace(config(tmp_path / "run", instances="capacity-j8-0"), agent=f"sequoia:index=0:search={search}")
    folder = train(run, quiet=True)
    card = load_checkpoint(folder / "last")[1]
    assert card["network"]["search"] == search
    assert card["network"]["index"] is False
    make_agent(str(folder / "last"), open_arena(ENV, 1, {"instance": "capacity-j8-0"}).setting)


def test_a_run_that_is_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    class Stop(Progress):
        def trained(self, steps: int, score: float | None) -> None:
            super().trained(steps, score)
            if steps == 50:
                raise Interrupted("enough", by_user=True)

    given = config(tmp_path / "run", steps=60)
    run = make_run(given, False, Stop(given, quiet=True))
    with pytest.raises(Interrupted):
        run.train()
    again = make_run(given, False, Progress(given, quiet=True))
    assert again.decisions == run.decisions == 50
    for name, array in run.weights().items():
        np.testing.assert_array_equal(array, again.weights()[name])
    again.train()
    assert again.decisions == 60
    damaged = tmp_path / "run" / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(UserError, match="truncated"):
        make_run(given, False, Progress(given, quiet=True))


def test_a_fit_moves_the_network_towards_simulated_returns() -> None:
    import torch
    from makespan.agents.restless_bandits.q_network import fresh_weights
    from makespan.training.sequoia import Course
    from makespan.training.sequoia_learner import QNetwork, join

    rng = np.random.default_rng(1)
    course = Course(draw_instance(Size("corridor", 6), 0), "local", True)
    assert course.simulation is not None
    samples, targets = [], []
    actions = course.instance.feasible.members
    for _ in range(12):
        if course.epoch >= 15:
            course.begin(rng)
        draws = course.simulation.draw(200, course.epoch, rng)
        values = course.simulation.play(course.policy.gain[..., 1], course.epoch, course.states, actions, draws)
        samples.append(course.sample(actions))
        targets.append((values.mean(axis=1) / course.unit).astype(np.float32))
        course.move(course.index_action(), rng)
    network, target = QNetwork(fresh_weights(rng)), torch.from_numpy(np.stack(targets))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        value = network(join(samples), course.policy.outlook)
        loss = (((value - value[:, :1]) - (target - target[:, :1])) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    policy = Sequoia(course.instance, network.arrays())
    assert policy.decide(0, course.states, rng).sum() <= course.instance.feasible.budget


def test_a_run_on_other_environments_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="instances"):
        train(config(tmp_path / "a", instances=None), quiet=True)
    with pytest.raises(UserError, match="plays bandits"):
        train(replace(config(tmp_path / "b"), env="makespan/JobShop-v0", instances="ft06"), quiet=True)
    with pytest.raises(UserError, match="with index=0 and search=sampled"):
        replace(config(tmp_path / "c"), agent="sequoia:depth=3")
