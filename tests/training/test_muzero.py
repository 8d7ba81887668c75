"""Training by search: that runs learn, end in checkpoints that play, and go on after anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.agent import Setting
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import load_checkpoint
from makespan.agents.foresight import PRIOR
from makespan.agents.learned import find_checkpoint
from makespan.agents.muzero.agent import NetworkSearchAgent
from makespan.agents.muzero.network import make_muzero
from makespan.envs.core.errors import UserError
from makespan.training.books import Interrupted
from makespan.training.config import TrainConfig
from makespan.training.muzero import MuZeroRun
from makespan.training.muzero_learner import fit
from makespan.training.muzero_replay import Batch
from makespan.training.progress import Progress
from makespan.training.run import make_run, train
from support.control import CART_POLE, LOCK, SHORT_LOCK, register

Tiny = Callable[..., TrainConfig]
JOB_SHOP = "makespan/JobShop-v0"
SMALL: dict[str, Any] = {"encoder": "slots", "simulations": 4, "unroll": 2, "bootstrap": 3, "reanalysis": 0.5}


def _setting(options: dict[str, Any] | None = None) -> Setting:
    return open_arena(JOB_SHOP, 1, {"instance": "random:size=3x3", **(options or {})}, device="cpu").setting


@pytest.mark.parametrize("encoder", ["graph", "attention", "slots"])
def test_gradient_steps_fit_a_batch(encoder: str) -> None:
    arena = open_arena(JOB_SHOP, 8, {"instance": "random:size=3x3"}, device="cpu")
    arena.reset([Case(None, seed) for seed in range(8)])
    rng = np.random.default_rng(0)
    mask, unroll = arena.masks(), 2
    policy = rng.random((8, unroll + 1, mask.shape[1])).astype(np.float32) * mask[:, None]
    ones = np.ones((8, unroll + 1), dtype=np.float32)
    batch = Batch(
        np.arange(8),
        {key: array.copy() for key, array in arena.observation().items()},
        rng.integers(0, mask.shape[1], (8, unroll)),
        rng.normal(size=(8, unroll)).astype(np.float32),
        np.ones((8, unroll), dtype=np.float32),
        policy / policy.sum(axis=2, keepdims=True),
        rng.normal(size=(8, unroll + 1)).astype(np.float32),
        ones,
        ones,
        np.ones(8, dtype=np.float32),
        np.arange(8) % (unroll + 1),
        {key: np.roll(array, 1, axis=0) for key, array in arena.observation().items()},
    )
    torch.manual_seed(0)
    network = make_muzero(arena.setting.spec, {"encoder": encoder, "width": 32})
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = [fit(network, optimizer, batch, 10.0) for _ in range(80)]
    assert losses[-1].value < 0.7 * losses[0].value
    assert losses[-1].reward < 0.6 * losses[0].reward
    assert losses[-1].policy < losses[0].policy
    assert np.abs(losses[-1].errors).mean() < 0.8 * np.abs(losses[0].errors).mean()
    usual = [float(np.abs(one.errors).mean()) for one in losses]
    kept = sum(0.01 * 0.99 ** (len(usual) - 1 - place) * error for place, error in enumerate(usual))
    assert float(network.value_error) == pytest.approx(kept, rel=1e-3)
    assert losses[-1].consistency < 0.5  # more than 1 where nothing holds what actions lead to to what is seen there


@pytest.mark.parametrize("agent", ["muzero", "alphazero"])
@pytest.mark.parametrize("law", ["none", "bernoulli"])
def test_a_run_ends_in_a_checkpoint_that_plays(tiny: Tiny, agent: str, law: str) -> None:
    env = JOB_SHOP if law == "none" else f"{JOB_SHOP}:law=bernoulli:p=0.02"
    folder = train(tiny(env=env, agent=agent, **SMALL), quiet=True)
    card = json.loads((folder / "best" / "card.json").read_text())
    assert card["network"]["kind"] == "muzero"
    assert card["network"]["dynamics"] == (agent == "muzero")
    options = {"instance": "random:size=4x3"} | ({} if law == "none" else {"law": law, "p": 0.02})
    arena = open_arena(JOB_SHOP, 3, options, device="cpu")
    models = ["learned", "engine"] if agent == "muzero" else ["engine"]
    names = [f"{folder}:simulations=0", f"{folder}:simulations=0:greedy=true", f"{folder}"]
    names += [f"{folder}:simulations=5:model={model}" for model in models]
    for name in names:
        played = play(arena, make_agent(name, arena.setting), [Case(None, seed) for seed in range(3)])
        assert all(np.isfinite(episode.objective) for episode in played)


@pytest.mark.parametrize("law", ["none", "bernoulli"])
def test_a_run_with_foresight_ends_in_a_checkpoint_that_plays(tiny: Tiny, law: str) -> None:
    env = JOB_SHOP if law == "none" else f"{JOB_SHOP}:law=bernoulli:p=0.02"
    given: dict[str, Any] = {"env": env, "agent": "alphazero", "foresight": "lrm+spt", "foresight_worlds": 0}
    folder = train(tiny(**given, **SMALL), quiet=True)
    card = json.loads((folder / "best" / "card.json").read_text())
    assert card["foresight"] == {"of": ["lrm", "spt"], "worlds": 0}
    assert card["network"]["prior"] == PRIOR
    options = {"instance": "random:size=4x3"} | ({} if law == "none" else {"law": law, "p": 0.02})
    arena = open_arena(JOB_SHOP, 3, options, device="cpu")
    for more in ("simulations=0", "simulations=5", "simulations=5:worlds=1"):
        played = play(arena, make_agent(f"{folder}:{more}", arena.setting), [Case(None, seed) for seed in range(3)])
        assert all(np.isfinite(episode.objective) for episode in played)


def test_foresight_s_policy_is_at_first_the_best_guess(tiny: Tiny) -> None:
    """A fresh network plays as the rollout of the same rules, and its validation shows that."""
    config = tiny(agent="alphazero", foresight="lrm+spt", minutes=0.0, validation_worlds=32, **SMALL)
    run = make_run(config, False, Progress(config, quiet=True))
    rollout = make_agent("rollout:of=lrm+spt", run.validation.setting)
    assert run.validation.score(run.player()) == pytest.approx(run.validation.score(rollout), rel=0.03)


def test_learns_doors(tiny: Tiny) -> None:
    """MuZero on a plain Python environment in which at random three of four steps hurt."""
    config = tiny(env="test/Doors-v0", agent="muzero", **{**SMALL, "encoder": "graph", "simulations": 8})
    changes: dict[str, Any] = {"steps": 1600, "learning_rate": 5e-3, "epochs": 8, "width": 16, "batch": 32}
    run = make_run(TrainConfig.from_dict({**config.to_dict(), **changes}), False, Progress(config, quiet=True))
    before = run.validation.score(run.player())
    run.train()
    assert run.validation.score(run.player()) < 0.6 * before


@pytest.mark.parametrize("agent", ["muzero", "alphazero"])
def test_only_who_learns_a_model_strays_from_the_search(tiny: Tiny, agent: str) -> None:
    """Of the copies the first never does, the last in half of its decisions at most; all remains legal."""
    config = tiny(agent=agent, **{**SMALL, "reanalysis": 0.0, "simulations": 1})
    config = TrainConfig.from_dict({**config.to_dict(), "copies": 4, "rollout": 40})
    run = make_run(config, False, Progress(config, quiet=True))
    run.train()
    assert isinstance(run, MuZeroRun)
    strays = run._replays[0]._kept.strays[:40]
    assert not strays[:, 0].any()
    assert strays[:, 3].any() == (agent == "muzero")
    assert strays.mean() < 0.4


def test_what_is_not_known_yet_is_not_shown(tiny: Tiny) -> None:
    progress = Progress(tiny(agent="muzero", **SMALL), quiet=True)
    progress.phase("training")
    shown = []
    for score in (None, 12.5, None):
        progress.trained(64, score)
        shown.append(progress._bar.tasks[0].fields["state"])
    assert shown == ["64 decisions", "64 decisions | training 12.5", "64 decisions | training 12.5"]


@pytest.mark.parametrize("agent", ["muzero", "alphazero"])
def test_goes_on_after_an_interruption(tiny: Tiny, agent: str) -> None:
    class Stop(Progress):
        def trained(self, steps: int, score: float | None) -> None:
            super().trained(steps, score)
            if steps >= 64:
                raise Interrupted("enough", by_user=True)

    config = tiny(agent=agent, **SMALL)
    run = make_run(config, False, Stop(config, quiet=True))
    with pytest.raises(Interrupted):
        run.train()
    again = make_run(config, False, Progress(config, quiet=True))
    assert isinstance(again, MuZeroRun)
    assert isinstance(run, MuZeroRun)
    assert again.decisions == run.decisions == 64
    for name, array in run.weights().items():
        np.testing.assert_array_equal(array, again.weights()[name])
    again.train()
    assert again.decisions == config.steps
    damaged = Path(config.out) / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(UserError, match="truncated"):
        make_run(config, False, Progress(config, quiet=True))


def test_goes_on_with_the_scorers_that_it_began_with(tiny: Tiny, tmp_path: Path) -> None:
    class Stop(Progress):
        def trained(self, steps: int, score: float | None) -> None:
            if steps >= 64:
                raise Interrupted("enough", by_user=True)

    scorer = shutil.copytree(find_checkpoint("checkpoints/job_shop_scorer"), tmp_path / "scorer")
    config = tiny(agent="alphazero", foresight=f"lrm+{scorer}", foresight_worlds=0, **SMALL)
    with pytest.raises(Interrupted):
        make_run(config, False, Stop(config, quiet=True)).train()
    shutil.rmtree(scorer)
    again = make_run(config, False, Progress(config, quiet=True))
    again.train()
    assert again.decisions == config.steps
    weights, _ = load_checkpoint(Path(config.out) / "last")
    shipped, _ = load_checkpoint(find_checkpoint("checkpoints/job_shop_scorer"))
    for name, array in shipped.items():
        np.testing.assert_array_equal(weights[f"foresight.scorer.{name}"], array)


def test_the_same_run_is_the_same(tiny: Tiny, tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        config = tiny(agent="alphazero", out=str(tmp_path / name), **SMALL)
        run = make_run(config, False, Progress(config, quiet=True))
        run.train()
        runs.append(run.weights())
    for name, array in runs[0].items():
        np.testing.assert_array_equal(array, runs[1][name])


def test_mistakes_are_named(tiny: Tiny) -> None:
    def refused(message: str, **changes: Any) -> None:
        with pytest.raises(UserError, match=message):
            train(tiny(**{**SMALL, **changes}), quiet=True)

    refused("plain Python", agent="alphazero", env="test/Doors-v0")
    refused("encoder", agent="muzero", encoder="grpah")
    refused("imitate", agent="muzero", imitate="spt")
    refused("foresight", agent="muzero", foresight="spt")
    refused("algorithm", agent="muzero", algorithm="ppo")
    refused("algorithm", agent="graph-ppo", algorithm="search")
    refused("simulations", agent="muzero", simulations=0)


def test_options_of_a_checkpoint_that_contradict(tiny: Tiny) -> None:
    folder = train(tiny(agent="alphazero", **SMALL), quiet=True)
    setting = _setting()
    for options, message in (
        ("simulations=-1", "simulations"),
        ("simulations=4:samples=8", "no other option"),
        ("simulations=4:model=learned", "without dynamics"),
        ("simulations=4:model=magic", "model"),
    ):
        with pytest.raises(UserError, match=message):
            make_agent(f"{folder}:{options}", setting)
    with pytest.raises(UserError, match="gumbel"):
        make_agent("checkpoints/job_shop_scorer:simulations=4", setting)
    with pytest.raises(UserError, match="worlds"):
        make_agent(f"{folder}:simulations=4:worlds=2", setting)


# --- the algorithm itself ---------------------------------------------------------------------------------------------

CONTROL: dict[str, Any] = {
    "agent": "muzero",
    "instances": None,
    "encoder": "slots",
    "width": 32,
    "copies": 64,
    "rollout": 8,
    "batch": 256,
    "epochs": 8,
    "simulations": 16,
    "replay": 16_384,
    "reanalysis": 1.0,
    "learning_rate": 2e-3,
    "gradient_norm": 5.0,
    "validation_worlds": 16,
    "validate_every": 3.0,
    "steps": 10**12,
}


class UntilGood(Progress):
    """Ends a run as soon as its network is good enough on held-out worlds, as a policy alone and by search."""

    run: MuZeroRun

    def __init__(self, config: TrainConfig, goal: float) -> None:
        super().__init__(config, quiet=True)
        self._goal = goal
        self._arena = open_arena(config.env, 32, {}, device="cpu")

    def validated(self, score: float) -> None:
        if score < self._goal:
            return
        agent = NetworkSearchAgent("search", self.run._self_play.network_search, True)
        played = play(self._arena, agent, [Case(None, seed) for seed in range(1000, 1032)])
        if np.mean([episode.objective for episode in played]) >= self._goal:
            raise Interrupted("good enough", by_user=False)


def _learned(config: TrainConfig, goal: float) -> float:
    """Mean objective of the agent of a run, which searches its model as it does by default, on worlds that had no part
    in choosing when the run ends."""
    register()
    until = UntilGood(config, goal)
    run = make_run(config, False, until)
    assert isinstance(run, MuZeroRun)
    until.run = run
    run.train()
    arena = open_arena(config.env, 100, {}, device="cpu")
    played = play(arena, make_agent(f"{config.out}/last", arena.setting), [Case(None, seed) for seed in range(100)])
    return float(np.mean([episode.objective for episode in played]))


def test_opens_a_short_lock(tiny: Tiny) -> None:
    """1.07 is the mean of the best sequences; who takes what pays at once comes to 0.4."""
    changes = {"layers": 1, "simulations": 8, "unroll": 2, "batch": 128, "minutes": 1e6, "steps": 50_000}
    assert _learned(tiny(env=SHORT_LOCK, **{**CONTROL, **changes}), 0.8) >= 0.7


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_keeps_the_pole_up(tiny: Tiny, seed: int) -> None:
    """CartPole-v1, solved from 475 steps on; takes two minutes on a free core, and has a quarter of an hour."""
    changes = {"gamma": 0.99, "layers": 1, "bootstrap": 50, "minutes": 15.0}
    config = tiny(env=CART_POLE, seed=seed, **{**CONTROL, **changes})
    assert _learned(config, 485.0) >= 475.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_opens_the_lock(tiny: Tiny, seed: int) -> None:
    """2.1 is the mean of the best sequences; who takes what pays at once comes to 0.7."""
    assert _learned(tiny(env=LOCK, seed=seed, layers=2, minutes=15.0, **CONTROL), 2.0) >= 1.9
