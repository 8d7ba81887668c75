"""Trees: what they choose, that it is the same everywhere, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.agent import Agent, Setting
from makespan.agents.arena import Arena, Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import save_checkpoint
from makespan.agents.rules.rule import rules_of
from makespan.agents.tree.agent import DasAgent, TreeAgent
from makespan.agents.tree.arrays import LEAF, Tree, read_tree, single_leaf
from makespan.agents.tree.inputs import input_names, join_inputs, slot_extremes, slot_inputs
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import Feature, ObservationSpec
from numpy.typing import NDArray

JOB_SHOP, SOC = "makespan/JobShop-v0", "makespan/SocDag-v0"
ENVS: list[tuple[str, dict[str, Any]]] = [
    (JOB_SHOP, {"instance": "random:size=4x3+3x5", "blocking": "swap", "law": "bernoulli", "p": 0.02}),
    (JOB_SHOP, {"instance": "random:size=4x3+3x5", "blocking": "none", "mode": "construct"}),
    (SOC, {"instance": "mix-train", "scale": 60, "horizon": 300, "warmup": 0}),
    (SOC, {"instance": "mix-train", "scale": 60, "horizon": 300, "warmup": 0, "hold": True}),
]


def arena_of(copies: int, number: int = 0) -> Arena:
    env_id, options = ENVS[number]
    return open_arena(env_id, copies, options)


def cases(numbers: Any) -> list[Case]:
    return [Case(None, int(number)) for number in numbers]


def some_tree(inputs: int, samples: NDArray[np.float32], seed: int, inner: int = 120) -> Tree:
    """A random tree whose thresholds are values that its inputs take, so that they are met exactly."""
    rng = np.random.default_rng(seed)
    varied = np.flatnonzero(samples.min(axis=0) < samples.max(axis=0))
    feature, threshold, left, right = [LEAF], [0.0], [LEAF], [LEAF]
    for _ in range(inner):
        node = int(rng.choice([node for node, kind in enumerate(feature) if kind == LEAF]))
        feature[node] = int(rng.choice(varied)) if rng.random() < 0.9 else int(rng.integers(inputs))
        threshold[node] = float(rng.choice(samples[:, feature[node]]))
        left[node], right[node] = len(feature), len(feature) + 1
        feature += [LEAF, LEAF]
        threshold += [0.0, 0.0]
        left += [LEAF, LEAF]
        right += [LEAF, LEAF]
    as_int = [np.array(values, dtype=np.int32) for values in (feature, left, right)]
    values = np.round(rng.normal(size=len(feature)), 1).astype(np.float32)
    return Tree(as_int[0], np.array(threshold, dtype=np.float32), as_int[1], as_int[2], values)


def plain_value(tree: Tree, inputs: NDArray[np.float32]) -> np.float32:
    node = 0
    while tree.feature[node] != LEAF:
        node = int((tree.left if inputs[tree.feature[node]] <= tree.threshold[node] else tree.right)[node])
    return tree.value[node]


def inputs_of(observation: Any, legal: NDArray[np.bool_], spec: ObservationSpec) -> NDArray[np.float32]:
    """The inputs of one copy's legal slots, worked out slot by slot."""
    features, state = observation
    ordinary = len(legal) - len(spec.special_actions)
    compared = np.flatnonzero(legal[:ordinary]) if legal[:ordinary].any() else np.flatnonzero(legal)
    rows = []
    for slot in np.flatnonzero(legal):
        own = features[slot]
        above = [own[f] - min(features[other][f] for other in compared) for f in range(len(own))]
        below = [max(features[other][f] for other in compared) - own[f] for f in range(len(own))]
        rows.append([*own, *above, *below, *state])
    return np.array(rows, dtype=np.float32)


def seen(number: int) -> NDArray[np.float32]:
    """Inputs that occur in an environment, without effort for their order."""
    arena = arena_of(4, number)
    arena.reset(cases(range(4)))
    random, rows = make_agent("random", arena.setting), []
    random.begin(np.arange(4), [], np.arange(4, dtype=np.uint64), None)
    for _ in range(40):
        if not (running := np.flatnonzero(arena.running())).size:
            break
        observation, legal = arena.observation(), arena.masks()[running] != 0
        features, state = observation["actions/features"][running], observation["globals"][running]
        least, greatest = slot_extremes(features, legal, len(arena.setting.spec.special_actions))
        decision = np.nonzero(legal)[0]
        rows.append(join_inputs(features[legal], least[decision], greatest[decision], state[decision]))
        arena.step(random.act(observation, arena.masks()))
    return np.concatenate(rows)


def tree_of(number: int, seed: int = 0) -> TreeAgent:
    setting = arena_of(1, number).setting
    return TreeAgent("t", some_tree(slot_inputs(setting.spec), seen(number), seed), setting)


def das_of(number: int, setting: Setting, seed: int = 0) -> DasAgent:
    rules = rules_of(setting.env_id)
    names = ("met", "min-min") if setting.env_id == SOC else ("spt", "mwkr")
    first = 3 * len(setting.spec.action_features)
    tree = some_tree(len(setting.spec.globals), seen(number)[:, first:], seed, inner=12)
    return DasAgent("d", tree, rules[names[0]], rules[names[1]], setting)


class ByObservation(Agent):
    """Another agent, of which nothing but `act` is used."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.name = agent, agent.name

    def act(self, observation: Any, mask: Any) -> NDArray[np.int64]:
        return self.agent.act(observation, mask)


def outcomes(arena: Arena, agent: Agent, worlds: list[Case]) -> list[Any]:
    return [(episode.objective, episode.decisions) for episode in play(arena, agent, worlds)]


# --- what they choose -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(ENVS)))
def test_the_legal_slot_of_which_the_tree_says_most(number: int) -> None:
    """On the states of random play, by a tree that is walked once more in plain Python; ties go to the lowest slot."""
    arena, agent = arena_of(4, number), tree_of(number)
    spec, tree = arena.setting.spec, agent.tree
    arena.reset(cases(range(10, 14)))
    rng, compared, ties, special = np.random.default_rng(0), 0, 0, 0
    width = len(spec.action_features)
    for _ in range(60):
        running = np.flatnonzero(arena.running())
        if not len(running):
            break
        observation, mask = arena.observation(), arena.masks()
        chosen = agent.act(observation, mask)
        assert chosen.dtype == np.int64
        for copy in running.tolist():
            legal = mask[copy] != 0
            rows = inputs_of((observation["actions/features"][copy], observation["globals"][copy]), legal, spec)
            values = np.array([plain_value(tree, row) for row in rows])
            assert chosen[copy] == np.flatnonzero(legal)[values.argmax()]
            compared += len(values) > 1
            ties += len(values) > 1 and (values == values.max()).sum() > 1
            special += bool(legal[len(legal) - len(spec.special_actions) :].any())
        arena.step(np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in mask]))
    kinds = {int(f) // width for f in tree.feature[tree.feature != LEAF]}
    assert kinds >= {0, 1, 2, 3}, "inputs of every kind are compared"
    assert compared > 50
    assert ties > 0
    assert special > 0 or number in (1, 2)


@pytest.mark.parametrize("number", range(len(ENVS)))
def test_inputs_say_how_a_slot_stands_among_the_others(number: int) -> None:
    arena = arena_of(3, number)
    spec = arena.setting.spec
    arena.reset(cases(range(3)))
    assert len(input_names(spec)) == slot_inputs(spec)
    rng, specials = np.random.default_rng(1), 0
    for _ in range(25):
        running = np.flatnonzero(arena.running())
        if not len(running):
            break
        observation, mask = arena.observation(), arena.masks()
        legal = mask[running] != 0
        features, state = observation["actions/features"][running], observation["globals"][running]
        least, greatest = slot_extremes(features, legal, len(spec.special_actions))
        decision = np.nonzero(legal)[0]
        found = join_inputs(features[legal], least[decision], greatest[decision], state[decision])
        expected = [inputs_of((features[d], state[d]), legal[d], spec) for d in range(len(running))]
        assert np.array_equal(found, np.concatenate(expected))
        specials += int(legal[:, mask.shape[1] - len(spec.special_actions) :].sum()) if spec.special_actions else 0
        arena.step(np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in mask]))
    assert specials > 0 or number in (1, 2)


@pytest.mark.parametrize("number", [0, 2])
def test_das_plays_the_rule_that_its_tree_names(number: int) -> None:
    arena = arena_of(4, number)
    agent = das_of(number, arena.setting)
    fast, slow = (make_agent(rule.name, arena.setting) for rule in agent.rules)
    arena.reset(cases(range(4)))
    slow_ones = fast_ones = 0
    while (running := np.flatnonzero(arena.running())).size:
        observation, mask = arena.observation(), arena.masks()
        chosen = agent.act(observation, mask)
        for copy in running.tolist():
            asks = plain_value(agent.tree, observation["globals"][copy]) > 0
            assert chosen[copy] == (slow if asks else fast).act(observation, mask)[copy]
            slow_ones, fast_ones = slow_ones + asks, fast_ones + (not asks)
        arena.step(chosen)
    assert min(slow_ones, fast_ones) > 5


def test_ended_copies_get_slot_zero() -> None:
    arena, agent = arena_of(3), tree_of(0)
    arena.reset(cases(range(3)))
    mask = arena.masks().copy()
    mask[1] = 0
    assert agent.act(arena.observation(), mask)[1] == 0


# --- the same everywhere ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(ENVS)))
def test_observations_and_compiled_play_say_the_same(number: int) -> None:
    arena, worlds = arena_of(6, number), cases(range(6))
    for agent in (tree_of(number), das_of(number, arena.setting)):
        compiled = outcomes(arena, agent, worlds)
        assert compiled == outcomes(arena, ByObservation(agent), worlds)
        assert len(set(compiled)) > 3
    assert outcomes(arena_of(1, number), tree_of(number), worlds[4:5]) == outcomes(arena, tree_of(number), worlds)[4:5]


def test_arrays_of_another_memory_layout() -> None:
    arena, agent = arena_of(4), tree_of(0)
    arena.reset(cases(range(4)))
    expected = agent.act(arena.observation(), arena.masks())
    turned = {key: np.asfortranarray(array) for key, array in arena.observation().items()}
    assert agent.act(turned, np.asfortranarray(arena.masks())).tolist() == expected.tolist()


def test_a_spec_without_features() -> None:
    """Every slot is as good; the tree may still look at the globals."""
    spec = ObservationSpec((), (), (Feature("room"),), (), (), ("stop",))
    setting = Setting("test/None-v0", spec, {"name": "cost", "unit": "1", "sense": "min"})
    leaf = single_leaf(1.0)
    split = Tree(
        np.array([0, -1, -1], np.int32),
        np.array([0.5, 0, 0], np.float32),
        np.array([1, -1, -1], np.int32),
        np.array([2, -1, -1], np.int32),
        np.array([0, 1, -1], np.float32),
    )
    observation = {"actions/features": np.zeros((2, 3, 0), np.float32), "globals": np.array([[0.0], [1.0]], np.float32)}
    mask = np.array([[0, 1, 1], [1, 0, 1]], dtype=np.int8)
    for tree in (leaf, split):
        assert TreeAgent("t", tree, setting).act(observation, mask).tolist() == [1, 0]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def card(setting: Setting, **network: Any) -> dict[str, Any]:
    spec = setting.spec
    return {
        "agent": network.get("kind", "tree"),
        "network": {"kind": "tree", **network},
        "spec_hash": spec.hash,
        "spec": spec.to_dict(),
        "env": setting.env_id,
        "env_options": {},
    }


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree called ``./x`` and a choice between rules called ``./d`` from where the test runs."""
    setting = arena_of(1).setting
    save_checkpoint(tmp_path / "x", tree_of(0).tree._asdict(), card(setting))
    das = card(setting, kind="das", fast="spt", slow="mwkr")
    save_checkpoint(tmp_path / "d", das_of(0, setting).tree._asdict(), das)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_checkpoint_plays_as_what_was_saved(saved: Path) -> None:
    arena, worlds = arena_of(4), cases(range(4))
    made = make_agent("./x", arena.setting)
    assert (made.name, made.samples, made.fixed_batch, made.follows_plan) == ("./x", 1, False, False)
    assert outcomes(arena, made, worlds) == outcomes(arena, tree_of(0), worlds)
    assert outcomes(arena, make_agent("./d", arena.setting), worlds) == outcomes(
        arena, das_of(0, arena.setting), worlds
    )
    for mine, theirs in zip(tree_of(0).tree, made.tree, strict=True):  # type: ignore[attr-defined]
        assert np.array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    larger = open_arena(JOB_SHOP, 1, {"instance": "random:size=9x6"})
    tree = TreeAgent("t", tree_of(0).tree, larger.setting)
    assert outcomes(larger, make_agent("./x", larger.setting), worlds[:1]) == outcomes(larger, tree, worlds[:1])


def test_a_rollout_goes_on_by_trees(saved: Path) -> None:
    """Without events it is no worse than the tree: going on as before is one of the plans that it compares."""
    arena, worlds = open_arena(JOB_SHOP, 8, {"instance": "random:size=4x3+3x5"}), cases(range(8))
    for path in ("./x", "./d"):
        alone = np.array([objective for objective, _ in outcomes(arena, make_agent(path, arena.setting), worlds)])
        ahead = make_agent(f"rollout:of={path}", arena.setting)
        better = np.array([objective for objective, _ in outcomes(arena, ahead, worlds)])
        assert (better <= alone).all()
        assert (better < alone).any()
    with pytest.raises(UserError, match="holds a tree, expected a scorer"):
        make_agent("gumbel:of=./x", arena.setting)


def test_trees_are_played_without_torch_and_scikit_learn(saved: Path) -> None:
    program = (
        "import sys\n"
        "from makespan.agents.arena import Case, open_arena, play\n"
        "from makespan.agents.catalogue import make_agent\n"
        f"arena = open_arena({JOB_SHOP!r}, 2, {{'instance': 'random:size=3x2'}})\n"
        "agents = [make_agent(name, arena.setting) for name in ('./x', './d', 'rollout:of=./x')]\n"
        "print([episode.objective for agent in agents for episode in play(arena, agent, [Case(None, 0)] * 2)])\n"
        "assert not {'torch', 'sklearn'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert len(json.loads(done.stdout)) == 6


@pytest.mark.parametrize("option", ["temperature=0.5", "samples=4", "beam=4", "simulations=4"])
def test_a_tree_takes_no_options(saved: Path, option: str) -> None:
    with pytest.raises(UserError, match=option.split("=")[0]):
        make_agent(f"./x:{option}", arena_of(1).setting)


GOOD = Tree(
    np.array([0, -1, 1, -1, -1], np.int32),
    np.array([0.5, 0, 0.25, 0, 0], np.float32),
    np.array([1, -1, 3, -1, -1], np.int32),
    np.array([2, -1, 4, -1, -1], np.int32),
    np.array([0, 1, 0, 2, 3], np.float32),
)


def damaged(name: str, node: int, value: Any) -> dict[str, NDArray[Any]]:
    arrays = {key: array.copy() for key, array in GOOD._asdict().items()}
    arrays[name][node] = value
    return arrays


def test_a_good_tree_is_read() -> None:
    tree = read_tree(GOOD._asdict(), 2, "here")
    assert (tree.leaves, tree.depth) == (3, 2)
    assert (single_leaf().leaves, single_leaf().depth) == (1, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (damaged("left", 2, 0), "left of node 2 is 0, expected a later node"),
        (damaged("right", 2, 2), "right of node 2 is 2, expected a later node"),
        (damaged("right", 0, 5), "right of node 0 is 5, expected a later node"),
        (damaged("left", 0, -1), "left of node 0 is -1, expected a later node"),
        (damaged("right", 2, 3), "node 3 of the tree has 2 parents, expected one|node 4 .* has 0 parents"),
        (damaged("right", 0, 3), "node 2 of the tree has 0 parents, expected one"),
        (damaged("left", 1, 3), "left of node 1 is 3, expected -1, as it is a leaf"),
        (damaged("feature", 2, 2), "feature of node 2 is 2, expected from -1 to 1"),
        (damaged("feature", 2, -2), "feature of node 2 is -2, expected from -1 to 1"),
        (damaged("threshold", 0, np.nan), "threshold of node 0 is nan, expected a finite number"),
        (damaged("value", 4, np.inf), "value of node 4 is inf, expected a finite number"),
        ({**GOOD._asdict(), "value": GOOD.value[:4]}, r"tensor 'value' is float32 of shape \(4,\)"),
        ({**GOOD._asdict(), "left": GOOD.left.astype(np.int64)}, "tensor 'left' is int64"),
        ({name: array[:0] for name, array in GOOD._asdict().items()}, "tensor 'feature' is int32 of shape"),
        ({**GOOD._asdict(), "feature": np.int32(3).reshape(())}, "tensor 'feature' is int32 of shape"),
        ({**GOOD._asdict(), "gain": GOOD.value}, "holds the unknown tensor 'gain'"),
        ({name: GOOD._asdict()[name] for name in ("left", "right")}, "lacks the tensor 'feature' of a tree"),
    ],
)
def test_damaged_trees_are_refused_in_one_line(arrays: dict[str, NDArray[Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_tree(arrays, 2, "here")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("checkpoint 'here'")


def test_damaged_checkpoints_are_refused_in_one_line(saved: Path) -> None:
    setting = arena_of(1).setting
    inputs = slot_inputs(setting.spec)
    tree = tree_of(0).tree
    bad = tree.feature.copy()
    bad[0] = inputs
    save_checkpoint(saved / "bad", {**tree._asdict(), "feature": bad}, card(setting))
    cards = {
        "nobody": {"kind": "das", "fast": "spt", "slow": "mwkx"},
        "none": {"kind": "das", "fast": "spt"},
        "globals": {"kind": "das", "fast": "spt", "slow": "mwkr"},
    }
    for name, network in cards.items():
        arrays = tree if name == "globals" else single_leaf()
        save_checkpoint(saved / name, arrays._asdict(), card(setting, **network))
    for name, message in (
        ("bad", f"feature of node 0 is {inputs}, expected from -1 to {inputs - 1}"),
        ("nobody", "unknown rule in network.slow of checkpoint 'nobody': 'mwkx'; did you mean 'mwkr'"),
        ("none", "network.slow is None, expected the name of a rule"),
        ("globals", "checkpoint 'globals': feature of node"),
    ):
        for agent in (f"./{name}", f"rollout:of=./{name}"):
            with pytest.raises(UserError, match=message) as caught:
                make_agent(agent, setting)
            assert "\n" not in str(caught.value)


def test_a_tree_of_other_observations_is_refused(saved: Path) -> None:
    with pytest.raises(UserError, match="was trained on the observations of"):
        make_agent("./x", arena_of(1, 2).setting)
