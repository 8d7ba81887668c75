"""Trained agents: found by name, loaded on any size, refused in one sentence where they do not fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, Arrays, load_checkpoint, save_checkpoint
from makespan.agents.decoding import PolicyAgent
from makespan.agents.learned import build, choose_device, find_checkpoint, load_network, weights_of
from makespan.agents.policy_beam import DistinctPlansAgent, PolicyBeamAgent
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import Feature
from makespan.envs.job_shop.observation import SPEC

JOB_SHOP = "makespan/JobShop-v0"
MEMORY_MAPPING = "makespan/MemoryMapping-v0"
NETWORK = {"kind": "graph", "width": 8, "layers": 1}


def card(**changes: Any) -> dict[str, Any]:
    usual = {
        "agent": "graph-ppo",
        "network": NETWORK,
        "spec_hash": SPEC.hash,
        "spec": SPEC.to_dict(),
        "env": JOB_SHOP,
        "env_options": {},
    }
    return {**usual, **changes}


def fresh(network: dict[str, Any] = NETWORK, seed: int = 0) -> Arrays:
    torch.manual_seed(seed)
    made = build(network, SPEC)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.0, 0.4)
    return weights_of(made)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Threads of networks this small would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint called ``./x`` from where the test runs."""
    save_checkpoint(tmp_path / "x", fresh(), card())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "x"


def test_weights_come_back_bit_for_bit(saved: Path) -> None:
    network, _, read = load_network(saved, SPEC)
    for name, array in fresh().items():
        assert np.array_equal(weights_of(network)[name], array)
    assert read["env"] == JOB_SHOP
    assert not network.training


@pytest.mark.parametrize("kind", ["graph", "attention"])
def test_one_checkpoint_plays_any_size(tmp_path: Path, kind: str) -> None:
    network = {"kind": kind, "width": 8, "layers": 1}
    save_checkpoint(tmp_path / "x", fresh(network), card(network=network))
    alone = open_arena(JOB_SHOP, 1, {"instance": "random:size=3x2"}, device="cpu")
    small = play(alone, make_agent(f"{tmp_path}/x", alone.setting), [Case(None, 5)])[0]
    assert small.decisions >= 6
    # The same instance again, in company and with more room.
    instances = [alone.instances()[0]]
    mixed = open_arena(JOB_SHOP, 3, {"instance": "random:size=7x5"}, device="cpu")
    mixed.reset([Case(None, seed) for seed in range(3)])
    instances += mixed.instances()[:2]
    cases = [Case(instance, 5) for instance in instances]
    episodes = play(mixed, make_agent(f"{tmp_path}/x", mixed.setting), cases)
    assert episodes[0].objective == small.objective
    assert np.array_equal(episodes[0].schedule.start, small.schedule.start)
    assert len({episode.objective for episode in episodes}) == 3


def test_finding(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_checkpoint("./x").resolve() == saved
    assert find_checkpoint(str(saved)) == saved
    for name in ("last", "best"):  # of a run's folder the best one, as soon as there is one
        save_checkpoint(tmp_path / "runs" / "a" / name, fresh(), card())
        assert find_checkpoint("runs/a") == Path("runs/a") / name
    os.rename("runs/a/best", "runs/a/.best.old")
    assert find_checkpoint("runs/a") == Path("runs/a/best"), "a save that was cut off does not demote it to the last"
    assert load_network(find_checkpoint("runs/a"), SPEC)[2]["env"] == JOB_SHOP
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_checkpoint("~/x") == saved


def test_what_ships_is_found_from_anywhere(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        @staticmethod
        def files(name: str) -> Path:
            assert name == "makespan.checkpoints"
            return tmp_path

    monkeypatch.setattr("makespan.agents.plugins.resources", Package)
    assert find_checkpoint("checkpoints/x") == tmp_path / "x"
    save_checkpoint(tmp_path / "checkpoints" / "x", fresh(), card())
    assert find_checkpoint("checkpoints/x") == Path("checkpoints/x"), "a path wins"


SHIPPED = sorted(path.parent for path in Path(str(resources.files("makespan.checkpoints"))).glob("*/card.json"))


UNSEEN = {
    JOB_SHOP: "random:size=7x6",
    MEMORY_MAPPING: "random:size=200:count=8:seed=7",
    "makespan/SocDag-v0": "mix-test-00,mix-test-01",
    "makespan/StaticDag-v0": "random:tasks=40:count=8:seed=77",
    "makespan/AirMobility-v0": "random:size=6x12:count=4:seed=77",
    "makespan/RestlessBandits-v0": "random:size=contagion-j20:count=4:seed=77",
}
AS_AT_RANDOM = {"soc_deepsocs"}
"""It orders tasks where no order counts: its card and docs/soc_results.md say so."""


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_ships_plays(folder: Path) -> None:
    """Better than at random on instances that it has not seen, with breakdowns where there are any; and it is small."""
    data = json.loads((folder / CARD).read_text())
    env = data["env"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 * 2**20
    trained = {**data["env_options"], "instance": UNSEEN[env]}
    breaks = env == JOB_SHOP and trained.get("mode") != "construct"
    for options in ({}, *([{"law": "bernoulli", "p": 0.01}] if breaks else [])):
        arena = open_arena(env, 8, {**trained, **options}, device="cpu")
        cases = [Case(None, seed) for seed in range(8)]
        names = (f"checkpoints/{folder.name}", "random")
        one, other = (
            np.mean([episode.objective for episode in play(arena, make_agent(name, arena.setting), cases)])
            for name in names
        )
        better = arena.setting.sign * (other - one)
        assert better > (-0.05 if folder.name in AS_AT_RANDOM else 0.05) * abs(other)


@pytest.mark.parametrize(
    "name",
    [
        "no/where",
        "checkpoints/nobody",
        "checkpoints/..",
        "checkpoints/../..",
        "~nobody/x",
        "x\0/y",
        "y" * 300 + "/y",
        "/",
    ],
)
def test_not_found(saved: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_network(find_checkpoint(name), SPEC)
    assert "\n" not in str(caught.value)


def test_another_spec(saved: Path) -> None:
    other = replace(SPEC, globals=(*SPEC.globals, Feature("luck")))
    with pytest.raises(UserError, match=rf"trained on the observations of {JOB_SHOP}.*{SPEC.hash}.*{other.hash}"):
        load_network(saved, other)


def lacking(weights: Arrays) -> None:
    del weights["globals.linear.bias"]


def unknown(weights: Arrays) -> None:
    weights["secret"] = np.zeros(1, dtype=np.float32)


def misshapen(weights: Arrays) -> None:
    weights["globals.linear.bias"] = weights["globals.linear.bias"][:-1]


def doubled(weights: Arrays) -> None:
    weights["globals.linear.bias"] = weights["globals.linear.bias"].astype(np.float64)


def infinite(weights: Arrays) -> None:
    weights["globals.linear.bias"] = np.full_like(weights["globals.linear.bias"], np.nan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacking, r"lacks the tensor 'globals.linear.bias', expected with shape \(8,\)"),
        (unknown, "holds the unknown tensor 'secret'"),
        (misshapen, r"'globals.linear.bias' is float32 of shape \(7,\), expected float32 of shape \(8,\)"),
        (doubled, "'globals.linear.bias' is float64 of shape"),
        (infinite, "'globals.linear.bias' holds what is no finite number"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, change: Callable[[Arrays], None], message: str) -> None:
    weights = fresh()
    change(weights)
    save_checkpoint(tmp_path / "x", weights, card())
    with pytest.raises(UserError, match=message):
        load_network(tmp_path / "x", SPEC)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({}, "unknown network ''"),
        ({"kind": ["graph"]}, "unknown network"),
        ({"kind": "graph", "width": 16, "layers": 1}, "expected float32 of shape"),
        ({"kind": "graph", "width": 8, "layers": 2}, "lacks the tensor"),
        ({"kind": "attention", "width": 8, "layers": 1}, "tensor"),
        ({"kind": "graph", "width": 8, "layers": 1, "surprise": 1}, "unknown option of network 'graph': 'surprise'"),
        # 64 layers of this width would take hundreds of gigabytes: nothing is made before the shapes are compared.
        ({"kind": "graph", "width": 4096, "layers": 64}, "tensor"),
    ],
)
def test_a_card_of_another_network(saved: Path, network: dict[str, Any], message: str) -> None:
    data = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps({**data, "network": network}))
    with pytest.raises(UserError, match=message) as caught:
        load_network(saved, SPEC)
    assert "\n" not in str(caught.value)


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    for device in ("", "tpu9", "meta", "cuda:99", "cpu:x"):
        with pytest.raises(UserError, match=f"device '{device}' cannot be used") as caught:
            choose_device(device)
        assert "\n" not in str(caught.value)


def setting(**options: Any) -> Any:
    return open_arena(JOB_SHOP, 1, {"instance": "random:size=3x2", **options}, device="cpu").setting


def test_options_of_a_name(saved: Path) -> None:
    here = setting()
    made = make_agent("./x", here)
    assert isinstance(made, PolicyAgent)
    assert (made.name, made.samples, made._temperature, made.fixed_batch) == ("./x", 1, 0.0, True)
    for name, samples, temperature in (
        ("./x:samples=8", 8, 1.0),
        ("./x:samples=8:temperature=2", 8, 2.0),
        ("./x:temperature=0.5", 1, 0.5),
        ("./x:greedy=false", 1, 1.0),
        ("./x:greedy=true", 1, 0.0),
    ):
        agent = make_agent(name, here)
        assert isinstance(agent, PolicyAgent)
        assert (agent.name, agent.samples, agent._temperature) == (name, samples, temperature)
    for name, kind, width, temperature in (
        ("./x:beam=4", PolicyBeamAgent, 4, 1.0),
        ("./x:beam=4:temperature=2", PolicyBeamAgent, 4, 2.0),
        ("./x:distinct=4:temperature=0.5", DistinctPlansAgent, 4, 0.5),
    ):
        planner = make_agent(name, here)
        assert type(planner) is kind
        assert (planner.name, planner.samples, planner.fixed_batch) == (name, 1, True)
        assert (planner._width, planner._temperature) == (width, temperature)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./x:sample=8", "unknown option of trained agent './x': 'sample'; did you mean 'samples'"),
        ("./x:samples=0", "option samples is 0, expected an integer from 1"),
        ("./x:samples=true", "option samples is True"),
        ("./x:samples=1.5", "option samples is 1.5"),
        ("./x:beam=-1", "option beam is -1"),
        ("./x:temperature=0", "option temperature is 0, expected a number above 0"),
        ("./x:temperature=hot", "option temperature is 'hot'"),
        ("./x:greedy=1", "option greedy is 1, expected true or false"),
        ("./x:samples=8:greedy=true", "greedy play is the same each time"),
        ("./x:distinct=0.5", "option distinct is 0.5"),
        ("./x:beam=4:samples=8", "beam takes no other option but temperature and worlds"),
        ("./x:beam=4:distinct=8", "beam takes no other option"),
        ("./x:distinct=4:greedy=false", "distinct takes no other option"),
        ("./y", "neither a folder nor shipped"),
    ],
)
def test_wrong_options(saved: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_agent(name, setting())


def test_a_beam_needs_a_world_that_can_be_foreseen(saved: Path) -> None:
    for name in ("./x:beam=4", "./x:distinct=4"):
        with pytest.raises(UserError, match=r"needs a world without random events.*reconsider:of=PATH"):
            make_agent(name, setting(law="bernoulli"))
    with pytest.raises(UserError, match="a beam needs an environment that can look ahead"):
        make_agent("./x:beam=4", replace(setting(), engine=None))


def test_the_card_is_readable_without_torch(saved: Path) -> None:
    """Reports read cards; they should not wait for torch."""
    import subprocess
    import sys

    program = (
        f"import sys; from makespan.agents.checkpoint import load_checkpoint; load_checkpoint({str(saved)!r}); "
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert load_checkpoint(saved)[1]["network"] == NETWORK
