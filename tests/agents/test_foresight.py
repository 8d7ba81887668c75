"""Foresight: what it shows is what rollouts find, nothing of the hidden future, and checkpoints hold all it needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from makespan.agents import foresight as foresight_module
from makespan.agents import policy_beam
from makespan.agents.arena import Case, EngineArena, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, Arrays, load_checkpoint, save_checkpoint
from makespan.agents.decoding import PolicyAgent
from makespan.agents.foresight import PRIOR, UNIT, Foresight, foresight_spec, make_foresight, restore_foresight
from makespan.agents.learned import build, load_network, weights_of
from makespan.agents.planners import playouts as playouts_module
from makespan.agents.scorer.choice import HIDDEN, weight_shapes
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.observation import SPEC
from numpy.typing import NDArray

JOB_SHOP = "makespan/JobShop-v0"
TAG = np.uint64(int.from_bytes(b"foresee", "big"))
OPTIONS: list[dict[str, Any]] = [
    {"law": "bernoulli", "p": 0.02},
    {"blocking": "none", "mode": "construct"},
    {"blocking": "no-swap"},
]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Threads of networks this small would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arena_of(copies: int, **options: Any) -> EngineArena:
    arena = open_arena(JOB_SHOP, copies, {"instance": "random:size=4x3", **options}, device="cpu")
    assert isinstance(arena, EngineArena)
    return arena


def seeds(numbers: Any) -> list[Case]:
    return [Case(None, int(number)) for number in numbers]


def some_scorer(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) / 3 for name, shape in weight_shapes(SPEC).items()}


def card(**changes: Any) -> dict[str, Any]:
    usual = {
        "agent": "graph-ppo",
        "network": {"kind": "graph", "width": 8, "layers": 1, "prior": PRIOR},
        "spec_hash": SPEC.hash,
        "spec": SPEC.to_dict(),
        "env": JOB_SHOP,
        "env_options": {},
    }
    return {**usual, **changes}


@pytest.fixture
def scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scorer called ``./s`` from where the test runs."""
    network = {"kind": "scorer", "hidden": HIDDEN}
    save_checkpoint(tmp_path / "s", some_scorer(), card(agent="scorer", network=network))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s"


def walk(arena: EngineArena, cases: list[Case]) -> Any:
    """The steps of a random play: before each one its number is given."""
    rng = np.random.default_rng(0)
    arena.reset(cases)
    step = 0
    while arena.running().any():
        yield step
        arena.step(np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in arena.masks()]))
        step += 1


def look(made: Foresight, arena: EngineArena, keys: NDArray[np.uint64], step: int) -> foresight_module.Foreseen:
    imagine = arena.imagine()
    assert imagine is not None
    return made.look(imagine, arena.observation(), arena.masks(), keys, np.full(len(keys), step, dtype=np.int64))


# --- what it shows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_features_are_what_rollouts_find(scorer: Path, options: dict[str, Any]) -> None:
    """The regret of each action under each base, and under the best, from the same imagined worlds."""
    arena = arena_of(3, **options)
    made = make_foresight("lrm+./s+spt", 2, arena.setting)
    planners = [make_agent(f"rollout:of={of}:worlds=2", arena.setting) for of in ("lrm", "./s", "spt", "lrm+./s+spt")]
    keys = np.array([5, 6, 7], dtype=np.uint64)
    own, compared, best = len(SPEC.action_features), 0, np.zeros(0)
    for step in walk(arena, seeds([1, 2, 3])):
        if step == 0:
            for planner in planners:
                planner.begin(np.arange(3), [], keys ^ TAG, arena.imagine())
        found, mask = look(made, arena, keys, step), arena.masks()
        assert np.array_equal(found.observation["actions/features"][..., :own], arena.observation()["actions/features"])
        assert np.array_equal(found.observation["globals"][:, :-1], arena.observation()["globals"])
        several = mask.sum(axis=1) > 1  # elsewhere the planner has nothing to find out
        for number, planner in enumerate(planners):
            costs = planner.action_costs(arena.observation(), mask)
            assert costs is not None
            best = costs  # in the end those of all bases together
            regret = found.observation["actions/features"][..., own + number]
            assert (regret[mask == 0] == 0).all()
            for copy in np.flatnonzero(several).tolist():
                legal = mask[copy] == 1
                scale = arena.engine.reward_scale(copy)
                assert found.scales[copy] == scale
                expected = (costs[copy] - costs[copy].min())[legal] / (UNIT * scale)
                np.testing.assert_allclose(regret[copy, legal], np.minimum(expected, 64), rtol=1e-6)
                compared += 1
        for copy in np.flatnonzero(several).tolist():
            assert found.costs[copy] == best[copy].min()
            total = found.observation["globals"][copy, -1]
            np.testing.assert_allclose(total, best[copy].min() / arena.engine.reward_scale(copy), rtol=1e-6)
    assert compared > 40


def test_where_one_action_is_left_its_cost_is_foreseen_all_the_same() -> None:
    """At the end of an episode without events the foreseen cost is what the episode costs."""
    arena = arena_of(1, blocking="none", mode="construct")
    made = make_foresight("lrm", 1, arena.setting)
    last = 0.0
    single = False
    for step in walk(arena, seeds([4])):
        last = float(look(made, arena, np.zeros(1, dtype=np.uint64), step).costs[0])
        single = single or arena.masks().sum() == 1
    assert single
    assert last == arena.objectives()[0]


def test_ended_copies_are_not_looked_at() -> None:
    """Whether all or some have ended: zeros, and no warning about numbers that are none."""
    arena = arena_of(3)
    made = make_foresight("lrm", 1, arena.setting)
    lengths = [episode.decisions for episode in play(arena, make_agent("lrm", arena.setting), seeds(range(3)))]
    assert len(set(lengths)) > 1
    arena.reset(seeds(range(3)))
    keys = np.zeros(3, dtype=np.uint64)
    agent = make_agent("lrm", arena.setting)
    ended = 0
    with np.errstate(all="raise"):
        while True:
            found = look(made, arena, keys, 0)
            over = ~arena.running()
            assert (found.costs[over] == 0).all()
            assert (found.scales[over] == 1).all()
            assert (found.observation["actions/features"][over, :, len(SPEC.action_features) :] == 0).all()
            assert (found.observation["globals"][over, -1] == 0).all()
            assert (found.costs[~over] > 0).all()
            ended += over.sum()
            if over.all():
                break
            arena.step(agent.act(arena.observation(), arena.masks()))
    assert ended > 3


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_spec_space_and_observation_agree(options: dict[str, Any]) -> None:
    env: Any = gymnasium.make_vec(JOB_SHOP, num_envs=2, instance="random:size=4x3", **options)
    arena = arena_of(2, **options)
    made = make_foresight("lrm+spt", 1, arena.setting)
    space = made.space(env.single_observation_space)
    assert set(space) == set(env.single_observation_space)
    names = [feature.name for feature in made.spec.action_features]
    assert names == [*(f.name for f in SPEC.action_features), "regret_under_lrm", "regret_under_spt", PRIOR]
    assert [feature.name for feature in made.spec.globals][-1] == "foreseen_cost"
    assert made.spec == foresight_spec(SPEC, ["lrm", "spt"])
    assert made.spec.hash != SPEC.hash
    assert replace(made.spec, action_features=SPEC.action_features, globals=SPEC.globals) == SPEC
    for step in walk(arena, seeds(range(2))):
        found = look(made, arena, np.zeros(2, dtype=np.uint64), step).observation
        assert tuple(found) == made.spec.keys()
        for copy in range(2):
            assert space.contains({key: array[copy] for key, array in found.items()})
        blind = made.blind({key: array[0] for key, array in arena.observation().items()})
        assert space.contains(blind)
        assert (blind["actions/features"][:, len(SPEC.action_features) :] == 0).all()
    env.close()


def test_features_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """In units that small all that is not best is beyond the bounds."""
    arena = arena_of(2)
    arena.reset(seeds(range(2)))
    keys, best = (
        np.zeros(2, dtype=np.uint64),
        look(make_foresight("spt", 1, arena.setting), arena, np.zeros(2, np.uint64), 0),
    )
    monkeypatch.setattr(foresight_module, "UNIT", 1e-6)
    monkeypatch.setattr(type(arena.engine), "reward_scale", lambda engine, copy: 1e-3)
    found = look(make_foresight("spt", 1, arena.setting), arena, keys, 0).observation
    regret = found["actions/features"][..., -1]
    assert set(np.unique(regret)) == {0.0, 64.0}
    assert ((regret == 0) == (best.observation["actions/features"][..., -1] == 0)).all()
    assert (found["globals"][:, -1] == 64.0).all()


def test_it_does_not_depend_on_the_batch_or_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"law": "bernoulli", "p": 0.02}
    together, alone = arena_of(4, **options), arena_of(1, **options)
    together.reset(seeds([5, 6, 7, 8]))
    alone.reset(seeds([7]))
    keys = np.arange(4, dtype=np.uint64)
    found = look(make_foresight("spt+lrm", 3, together.setting), together, keys, 2)
    again = look(make_foresight("spt+lrm", 3, together.setting), together, keys, 2)
    monkeypatch.setattr(playouts_module, "MEMORY", 1)
    single = look(make_foresight("spt+lrm", 3, alone.setting), alone, keys[2:3], 2)
    for key, array in found.observation.items():
        assert np.array_equal(array, again.observation[key])
        assert np.array_equal(array[2:3], single.observation[key])
    other = look(make_foresight("spt+lrm", 3, together.setting), together, keys + np.uint64(9), 2)
    later = look(make_foresight("spt+lrm", 3, together.setting), together, keys, 3)
    for different in (other, later):
        assert not np.array_equal(different.costs, found.costs), "each key and each decision has its own worlds"


def test_the_typical_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """No world at all stands for the one in which nothing unforeseen happens: whatever the key and the decision."""
    arena = arena_of(3, law="bernoulli", p=0.05)
    made, planner = make_foresight("lrm", 0, arena.setting), make_agent("rollout:of=lrm:worlds=0", arena.setting)
    for step in walk(arena, seeds([1, 2, 3])):
        if step == 0:
            planner.begin(np.arange(3), [], np.arange(3, dtype=np.uint64), arena.imagine())
        found = look(made, arena, np.arange(3, dtype=np.uint64), step)
        other = look(made, arena, np.arange(7, 10, dtype=np.uint64), step + 1)
        assert all(np.array_equal(array, other.observation[key]) for key, array in found.observation.items())
        costs = planner.action_costs(arena.observation(), arena.masks())
        assert costs is not None
        several = arena.masks().sum(axis=1) > 1
        assert (found.costs[several] == costs[several].min(axis=1)).all()
    monkeypatch.setattr(type(arena.engine), "imagines_typical", False)
    with pytest.raises(UserError, match=r"option worlds is 0, expected an integer from 1, since .* has no typical"):
        make_foresight("lrm", 0, arena.setting)


def test_it_does_not_depend_on_the_hidden_world(scorer: Path) -> None:
    """Copies with one past and different futures: the same features."""
    arena = arena_of(1, law="bernoulli", p=0.02, instance="la01")
    made = make_foresight("spt+./s", 2, arena.setting)
    futures = np.zeros(5, dtype=np.int64)
    outcomes = set()
    for step in walk(arena, [Case("la01", 5)]):
        if step % 6:
            continue
        several = arena.engine.imagine(futures, np.arange(5, dtype=np.uint64))
        masks, numbers = several.masks, np.full(5, step, dtype=np.int64)
        found = made.look(several.imagine, several.block.views, masks, np.full(5, 9, dtype=np.uint64), numbers)
        for array in (*found.observation.values(), found.costs, found.scales):
            assert (array == array[:1]).all()
        several.step(np.repeat(masks[0].argmax(), 5))
        outcomes.add(several.metrics(0)["time"] != several.metrics(1)["time"])
    assert True in outcomes, "the futures do differ"


# --- checkpoints ------------------------------------------------------------------------------------------------------


def save_policy(folder: Path, of: str, worlds: int = 1) -> None:
    """A policy of random weights that sees some bases' foresight."""
    made = make_foresight(of, worlds, arena_of(1).setting)
    torch.manual_seed(0)
    network = build(card()["network"], made.spec)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0.0, 0.4)
    save_checkpoint(folder, {**weights_of(network), **made.arrays()}, card(foresight=made.described()))


def save_rollout(folder: Path, of: str, multiple: float) -> None:
    """A policy that sees nothing but the regret under the best base: softmax(-softplus(multiple) x regret)."""
    made = make_foresight(of, 1, arena_of(1).setting)
    weights = {name: np.zeros_like(array) for name, array in weights_of(build(card()["network"], made.spec)).items()}
    weights["multiple"][...] = multiple
    save_checkpoint(folder, {**weights, **made.arrays()}, card(foresight=made.described()))


def outcomes(name: str, copies: int = 6, **options: Any) -> list[Any]:
    """(objective, starts) of each world; nobody waits, since random weights would wait for ever."""
    arena = arena_of(copies, **{"allow_wait": False, **options})
    agent = make_agent(name, arena.setting)
    episodes = play(arena, agent, seeds(range(copies)))
    return [(episode.objective, episode.schedule.start.tolist()) for episode in episodes]


def test_a_checkpoint_holds_the_scorers_that_it_looks_ahead_with(scorer: Path, tmp_path: Path) -> None:
    second = tmp_path / "t"
    save_checkpoint(second, some_scorer(1), card(agent="scorer", network={"kind": "scorer"}))
    save_policy(tmp_path / "p", "./s+lrm+./t")
    arrays, read = load_checkpoint(tmp_path / "p")
    assert read["foresight"] == {"of": ["scorer", "lrm", "scorer-2"], "worlds": 1}
    for number, name in ((0, "scorer"), (1, "scorer-2")):
        for key, array in some_scorer(number).items():
            assert np.array_equal(arrays[f"foresight.{name}.{key}"], array)
    before = outcomes("./p", law="bernoulli")
    shutil.rmtree(scorer)
    shutil.rmtree(second)
    assert outcomes("./p", law="bernoulli") == before
    setting = arena_of(1).setting
    restored = restore_foresight(read["foresight"], arrays, 1, setting, "here")
    assert restored.described() == read["foresight"]
    assert restored.arrays().keys() == {name for name in arrays if name.startswith("foresight.")}


def test_policies_see_it(scorer: Path, tmp_path: Path) -> None:
    """Blind to all but the prior, a policy is the rollout."""
    save_rollout(tmp_path / "p", "lrm+./s", 10.0)
    assert outcomes("./p") == outcomes("rollout:of=lrm+./s")
    # In batches of any size and company, with whatever was played before.
    arena = arena_of(3, allow_wait=False)
    agent = make_agent("./p", arena.setting)
    first = [episode.objective for episode in play(arena, agent, seeds([0, 1, 2]))]
    assert [episode.objective for episode in play(arena, agent, seeds([2, 1, 0]))] == first[::-1]


def test_worlds(scorer: Path, tmp_path: Path) -> None:
    save_policy(tmp_path / "p", "lrm", worlds=3)
    arena = arena_of(4, law="bernoulli", p=0.03, allow_wait=False)
    trained, more = make_agent("./p", arena.setting), make_agent("./p:worlds=8", arena.setting)
    assert isinstance(trained, PolicyAgent)
    assert isinstance(more, PolicyAgent)
    played = []
    for agent, worlds in ((trained, 3), (more, 8)):
        assert agent._foresight is not None
        assert agent._foresight.described() == {"of": ["lrm"], "worlds": worlds}
        played.append([episode.objective for episode in play(arena, agent, seeds(range(4)))])
    assert played[0] == [objective for objective, _ in outcomes("./p:worlds=3", copies=4, law="bernoulli", p=0.03)]
    assert played[0] != played[1]
    for name in ("./p:worlds=-1", "./p:worlds=true", "./p:worlds=1.5"):
        with pytest.raises(UserError, match=r"option worlds is .*, expected an integer from 0"):
            make_agent(name, arena.setting)
    save_checkpoint(
        tmp_path / "q",
        weights_of(build({"kind": "graph", "width": 8}, SPEC)),
        card(network={"kind": "graph", "width": 8}),
    )
    with pytest.raises(UserError, match="option worlds is for policies with foresight, which this one has not"):
        make_agent("./q:worlds=2", arena.setting)


def test_a_beam_sees_it_too(scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_policy(tmp_path / "p", "lrm+./s")
    with monkeypatch.context() as patched:
        patched.setattr(policy_beam, "BOUND_UNIT", 1e300)
        assert outcomes("./p:beam=1") == outcomes("./p"), "of width one it is greedy play, but for the bounds"
    save_rollout(tmp_path / "q", "lrm+./s", -2.0)
    wide, greedy = (outcomes(name, copies=3, instance="random:size=6x5") for name in ("./q:beam=16", "./q"))
    assert wide == outcomes("./q:beam=16:worlds=1", copies=3, instance="random:size=6x5")
    assert sum(objective for objective, _ in wide) < sum(objective for objective, _ in greedy)
    with pytest.raises(UserError, match="a beam needs a world without random events"):
        make_agent("./p:beam=8", arena_of(1, law="bernoulli").setting)


def lacking(arrays: Arrays) -> None:
    del arrays["foresight.scorer.score"]


def misshapen(arrays: Arrays) -> None:
    arrays["foresight.scorer.score"] = arrays["foresight.scorer.score"][:-1]


def infinite(arrays: Arrays) -> None:
    arrays["foresight.scorer.score"] = np.full(HIDDEN, np.nan, dtype=np.float32)


def unknown(arrays: Arrays) -> None:
    arrays["foresight.scorer.secret"] = np.zeros(1, dtype=np.float32)


def nobodys(arrays: Arrays) -> None:
    arrays["foresight.scorer-2.score"] = np.zeros(HIDDEN, dtype=np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacking, "lacks the tensor 'score'"),
        (misshapen, "tensor 'score' is float32 of shape"),
        (infinite, "'[a-z.]*score' holds what is no finite number"),
        (unknown, "holds the unknown tensor 'secret'"),
        (nobodys, "holds the unknown tensor 'scorer-2.score'"),
    ],
)
def test_arrays_that_do_not_fit(scorer: Path, tmp_path: Path, change: Callable[[Arrays], None], message: str) -> None:
    save_policy(tmp_path / "p", "./s")
    arrays, read = load_checkpoint(tmp_path / "p")
    change(arrays)
    save_checkpoint(tmp_path / "q", arrays, {key: read[key] for key in (*card(), "foresight")})
    with pytest.raises(UserError, match=message) as caught:
        make_agent("./q", arena_of(1).setting)
    assert "\n" not in str(caught.value)


def test_a_network_without_foresight_holds_none(scorer: Path, tmp_path: Path) -> None:
    network = {"kind": "graph", "width": 8}
    arrays = {**weights_of(build(network, SPEC)), "foresight.scorer.score": np.zeros(1, dtype=np.float32)}
    save_checkpoint(tmp_path / "q", arrays, card(network=network))
    with pytest.raises(UserError, match=r"holds the unknown tensor 'foresight\.scorer\.score'"):
        load_network(tmp_path / "q", SPEC)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({}, "foresight of is None, expected a list of names"),
        ({"of": []}, r"foresight of is \[\]"),
        ({"of": "lrm"}, "foresight of is 'lrm'"),
        ({"of": [3]}, r"foresight of is \[3\]"),
        ({"of": ["lrn"]}, "unknown rule in .*: 'lrn'; did you mean 'lrm'"),
        ({"of": ["scorer-2"]}, "lacks the tensor 'slot'"),
        ({"of": ["scorer", "lrm"]}, "tensor"),
        ({"of": ["scorer"], "worlds": -1}, "option worlds is -1"),
        ({"of": ["scorer"], "worlds": "many"}, "option worlds is 'many'"),
        ([], r"foresight is \[\], expected an object"),
    ],
)
def test_a_card_that_was_edited(scorer: Path, tmp_path: Path, described: Any, message: str) -> None:
    save_policy(tmp_path / "p", "./s")
    data = json.loads((tmp_path / "p" / CARD).read_text())
    (tmp_path / "p" / CARD).write_text(json.dumps({**data, "foresight": described}))
    with pytest.raises(UserError, match=message) as caught:
        make_agent("./p", arena_of(1).setting)
    assert "\n" not in str(caught.value)


def test_a_rule_without_meaning_here(scorer: Path, tmp_path: Path) -> None:
    """Trained in construct mode with a rule that exists nowhere else."""
    made = make_foresight("gt-lrm", 1, arena_of(1, mode="construct", blocking="none").setting)
    network = {"kind": "graph", "width": 8, "prior": PRIOR}
    save_checkpoint(
        tmp_path / "p", weights_of(build(network, made.spec)), card(network=network, foresight=made.described())
    )
    assert outcomes("./p", copies=1, mode="construct", blocking="none")
    with pytest.raises(UserError, match=r"unknown rule in .*: 'gt-lrm'") as caught:
        make_agent("./p", arena_of(1).setting)
    assert "\n" not in str(caught.value)


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("lrn", "unknown rule in foresight: 'lrn'; did you mean 'lrm'"),
        ("", "unknown rule in foresight: ''"),
        ("lrm+", "unknown rule in foresight: ''"),
        ("lrm+lrm", r"foresight names somebody twice: lrm\+lrm"),
        ("./s+./s", "foresight names somebody twice"),
        ("gt-lrm", "unknown rule in foresight: 'gt-lrm'"),
        ("best-rule", "unknown rule in foresight: 'best-rule'"),
        ("./nobody", "checkpoint './nobody' is neither a folder nor shipped"),
        ("./s:samples=4", "unknown option of scorer './s': 'samples'"),
        ("./s:temperature=2", "unknown option of scorer './s': 'temperature'"),
        ("./s:", "not of the form key=value"),
    ],
)
def test_wrong_names(scorer: Path, of: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_foresight(of, 1, arena_of(1).setting)
    assert "\n" not in str(caught.value)


def test_rewards_that_are_not_scaled(scorer: Path, tmp_path: Path) -> None:
    save_policy(tmp_path / "p", "lrm")
    setting = arena_of(1, reward_scale="none").setting
    message = "option reward_scale is 'none', expected 'instance', where foresight is used"
    with pytest.raises(UserError, match=message):
        make_foresight("lrm", 1, setting)
    with pytest.raises(UserError, match=message):
        make_agent("./p", setting)


def test_environments_that_cannot_look_ahead(scorer: Path, tmp_path: Path) -> None:
    save_policy(tmp_path / "p", "lrm+./s")
    plain = replace(arena_of(1).setting, engine=None)
    for attempt in (lambda: make_foresight("lrm+./s", 1, plain), lambda: make_agent("./p", plain)):
        with pytest.raises(UserError, match=r"foresight needs an environment that can look ahead \(imagine\)"):
            attempt()
    nowhere = replace(plain, env_id="somebody/Else-v0")  # of whose rules nobody has heard
    with pytest.raises(UserError, match=r"foresight needs an environment that can look ahead \(imagine\)"):
        make_foresight("lrm", 1, nowhere)
