"""Scorers: what they choose, that it is the same everywhere, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from makespan.agents.agent import Agent
from makespan.agents.arena import Arena, Case, EngineArena, open_arena, play, play_to_end
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, WEIGHTS, Arrays, save_checkpoint
from makespan.agents.learned import build, load_scorer, scorer_agent, weights_of
from makespan.agents.scorer.agent import ScorerAgent, ScorerPolicy
from makespan.agents.scorer.choice import HIDDEN, NOISE, join_row, split_row, weight_shapes
from makespan.envs.core.errors import UserError
from makespan.envs.core.names import parse_name
from makespan.envs.core.spec import Feature, ObservationSpec, Sizes
from makespan.envs.job_shop.observation import SPEC
from numpy.typing import NDArray

JOB_SHOP = "makespan/JobShop-v0"
MODES: list[dict[str, Any]] = [
    {"blocking": "swap", "law": "bernoulli", "p": 0.02},
    {"blocking": "no-swap", "deadlock": "banker"},
    {"blocking": "none"},
    {"blocking": "none", "mode": "construct"},
]


def some_weights(spec: ObservationSpec = SPEC, seed: int = 0) -> Arrays:
    """Weights all of which matter."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}
    for name, shape in weight_shapes(spec).items():
        arrays[name] = (rng.normal(size=shape) / np.sqrt(max(shape[0], 1))).astype(np.float32)
    return arrays


def scorer(seed: int = 0, noise: float = 0.0, spec: ObservationSpec = SPEC) -> ScorerAgent:
    return ScorerAgent("s", join_row(some_weights(spec, seed), spec, noise)[None])


class ByObservation(Agent):
    """Another agent, of which nothing but `begin` and `act` is used."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.name, self.samples = agent, agent.name, agent.samples

    def begin(self, copies: Any, instances: Any, keys: Any, imagine: Any) -> None:
        self.agent.begin(copies, instances, keys, imagine)

    def act(self, observation: Any, mask: Any) -> NDArray[np.int64]:
        return self.agent.act(observation, mask)


def arena_of(copies: int, threads: int = 1, **options: Any) -> EngineArena:
    arena = open_arena(JOB_SHOP, copies, {"instance": "random:size=4x3+3x5", **options}, threads=threads)
    assert isinstance(arena, EngineArena)
    return arena


def seeds(numbers: Any) -> list[Case]:
    return [Case(None, int(number)) for number in numbers]


# --- what it chooses --------------------------------------------------------------------------------------------------


def squash(x: NDArray[Any]) -> NDArray[np.float64]:
    return x.astype(np.float64) / (1 + 0.25 * np.abs(x.astype(np.float64)))


def leaky(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x < 0, 0.01 * x, x)


def plain_scores(weights: Arrays, features: NDArray[Any], state: NDArray[Any]) -> NDArray[np.float64]:
    """The network once more, in matrices of float64: features [n, A, F] and globals [n, G] -> [n, A]."""
    first = squash(features) @ weights["slot"] + (squash(state) @ weights["state"])[:, None] + weights["first_bias"]
    second = leaky(first) @ weights["second"] + weights["second_bias"]
    return leaky(second) @ weights["score"]


@pytest.mark.parametrize("options", MODES, ids=str)
def test_the_best_legal_slot_of_the_network(options: dict[str, Any]) -> None:
    """On the states of random play: there a scorer comes to more of them than by itself."""
    arena = arena_of(6, **options)
    arena.reset(seeds(range(6)))
    weights, agent, rng = some_weights(), scorer(), np.random.default_rng(0)
    agent.begin(np.arange(6), [], np.zeros(6, dtype=np.uint64), None)
    clear = compared = special = 0
    while (running := arena.running()).any():
        observation, mask = arena.observation(), arena.masks()
        chosen = agent.act(observation, mask)
        assert chosen.dtype == np.int64
        expected = plain_scores(weights, observation["actions/features"], observation["globals"])
        expected[mask == 0] = -np.inf
        for copy in np.flatnonzero(running).tolist():
            best = np.sort(expected[copy])[::-1]
            assert mask[copy, chosen[copy]] == 1
            assert expected[copy, chosen[copy]] >= best[0] - 1e-4
            if best[0] - best[1] > 1e-4:
                assert chosen[copy] == expected[copy].argmax()
                clear += 1
            compared += mask[copy].sum() > 1
            special += chosen[copy] == mask.shape[1] - 1
        arena.step(np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in mask]))
    assert clear > 0.9 * compared > 30
    assert special > 0 or options.get("mode") == "construct", "WAIT is scored like any other slot"


def test_scores_are_those_that_choices_compare() -> None:
    """Without the best slot the second best is chosen, and so on: the choices are the order of the scores."""
    arena = arena_of(6)
    arena.reset(seeds(range(6)))
    agent, rng, compared = scorer(), np.random.default_rng(0), 0
    agent.begin(np.arange(6), [], np.zeros(6, dtype=np.uint64), None)
    while (running := arena.running()).any():
        scores = ScorerPolicy(scorer()._table[0]).scores(arena.engine, running, 0)
        mask = arena.masks().copy()
        assert np.array_equal(np.isfinite(scores), mask != 0)
        expected = plain_scores(some_weights(), arena.observation()["actions/features"], arena.observation()["globals"])
        assert np.abs((scores - expected)[mask != 0]).max() < 1e-4
        while mask.any():
            chosen = agent.act(arena.observation(), mask)
            assert np.array_equal(chosen, np.where(mask != 0, scores, -np.inf).argmax(axis=1))
            compared += int((mask.sum(axis=1) > 1).sum())
            mask[np.arange(6), chosen] = 0
        arena.step(np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in arena.masks()]))
    assert compared > 50


def test_ties_go_to_the_lowest_slot() -> None:
    features, state = np.zeros((1, 5, len(SPEC.action_features)), np.float32), np.zeros((1, len(SPEC.globals)))
    agent = scorer()
    agent.begin(np.arange(1), [], np.zeros(1, dtype=np.uint64), None)
    for legal in ([0, 1, 1, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]):
        observation = {"actions/features": features, "globals": state.astype(np.float32)}
        assert agent.act(observation, np.array([legal], dtype=np.int8)).tolist() == [legal.index(1)]


def test_ended_copies_are_left_alone() -> None:
    """They get slot 0, and their decisions are not counted: the noise of whoever goes on stays the same."""
    arena = arena_of(3)
    arena.reset(seeds(range(3)))
    agent = scorer(noise=5.0)
    agent.begin(np.arange(3), [], np.arange(3, dtype=np.uint64), None)
    mask = arena.masks().copy()
    mask[1] = 0
    assert agent.act(arena.observation(), mask)[1] == 0
    assert agent.compiled_choice(3).decisions.tolist() == [1, 0, 1]


# --- the same everywhere ----------------------------------------------------------------------------------------------


def outcomes(arena: Arena, agent: Agent, cases: list[Case]) -> list[Any]:
    """(objective, decisions, starts) of each world."""
    episodes = play(arena, agent, cases)
    return [(episode.objective, episode.decisions, episode.schedule.start.tolist()) for episode in episodes]


@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("options", MODES, ids=str)
def test_observations_and_compiled_play_say_the_same(options: dict[str, Any], noise: float) -> None:
    arena, cases = arena_of(8, **options), seeds(range(8))
    compiled = outcomes(arena, scorer(noise=noise), cases)
    assert compiled == outcomes(arena, ByObservation(scorer(noise=noise)), cases)
    assert len({objective for objective, *_ in compiled}) > 3


def test_alone_in_company_in_any_order_and_on_two_threads() -> None:
    options = {"law": "bernoulli", "p": 0.02}
    together = outcomes(arena_of(64, **options), scorer(noise=0.5), seeds(range(64)))
    order = np.random.default_rng(0).permutation(64)
    shuffled = outcomes(arena_of(64, **options), scorer(noise=0.5), seeds(order))
    assert shuffled == [together[number] for number in order]
    alone = arena_of(1, **options)
    for number in (0, 17, 63):
        assert outcomes(alone, scorer(noise=0.5), seeds([number])) == [together[number]]
        assert outcomes(alone, ByObservation(scorer(noise=0.5)), seeds([number])) == [together[number]]
    assert outcomes(arena_of(64, threads=2, **options), scorer(noise=0.5), seeds(range(64))) == together


def test_an_agent_that_has_played_plays_the_same_again() -> None:
    """In a larger arena, then in a smaller one: nothing is left of earlier episodes."""
    agent = scorer(noise=0.5)
    small, large = arena_of(2), arena_of(5)
    first = outcomes(small, agent, seeds([3, 4]))
    later = outcomes(large, agent, seeds([9, 8, 7, 3, 4]))
    assert later[3:] == first
    assert outcomes(small, agent, seeds([3, 4])) == first


def test_several_scorers_share_the_copies_in_blocks() -> None:
    """Copy i of n plays by row i * R // n, on observations and in compiled code."""
    rows = np.stack([join_row(some_weights(seed=seed), SPEC) for seed in range(3)])
    arena, cases = arena_of(6), seeds([5, 6] * 3)
    alone = [outcomes(arena_of(2), scorer(seed), seeds([5, 6])) for seed in range(3)]
    expected = [row for pair in alone for row in pair]
    assert outcomes(arena, ScorerAgent("s", rows), cases) == expected
    assert outcomes(arena, ByObservation(ScorerAgent("s", rows)), cases) == expected
    assert len({repr(row) for row in alone}) == 3


def test_arrays_of_another_memory_layout() -> None:
    """Plain environments stack their observations as they like."""
    arena = arena_of(4)
    arena.reset(seeds(range(4)))
    agent = scorer()
    agent.begin(np.arange(4), [], np.zeros(4, dtype=np.uint64), None)
    expected = agent.act(arena.observation(), arena.masks())
    turned = {key: np.asfortranarray(array) for key, array in arena.observation().items()}
    assert agent.act(turned, np.asfortranarray(arena.masks())).tolist() == expected.tolist()


# --- noise ------------------------------------------------------------------------------------------------------------


def test_noise_draws_from_the_softmax_of_the_scores() -> None:
    """Gumbel noise of scale T on the scores picks slot a with probability softmax(score / T)."""
    n, temperature = 40_000, 0.5
    rng = np.random.default_rng(1)
    features = rng.uniform(-2, 2, (1, 4, len(SPEC.action_features))).astype(np.float32)
    state = rng.uniform(-2, 2, (1, len(SPEC.globals))).astype(np.float32)
    mask = np.array([[1, 0, 1, 1]], dtype=np.int8)
    scores = plain_scores(some_weights(), features, state)[0, mask[0] == 1] / temperature
    share = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert share.min() > 0.02, "a case that tells something"
    observation = {"actions/features": np.repeat(features, n, axis=0), "globals": np.repeat(state, n, axis=0)}
    agent = scorer(noise=temperature)
    agent.begin(np.arange(n), [], np.arange(n, dtype=np.uint64), None)
    draws = np.stack([agent.act(observation, np.repeat(mask, n, axis=0)) for _ in range(2)])
    for chosen in draws:  # by keys
        counts = np.bincount(chosen, minlength=4)[mask[0] == 1]
        assert np.abs(counts / n - share).max() < 5 * np.sqrt(share * (1 - share) / n).max()
    # By decisions: the second draw of a key does not depend on the first.
    same = (draws[0] == draws[1]).mean()
    assert abs(same - (share**2).sum()) < 5 * np.sqrt(0.25 / n)


def test_samples_differ_and_can_be_repeated() -> None:
    worlds, tries = 3, 16
    arena = arena_of(worlds * tries)
    weights = some_weights()

    def costs(temperature: float, seed: int = 0) -> NDArray[np.float64]:
        agent = scorer_agent("s", weights, SPEC, "here", temperature, tries)
        assert agent.samples == tries
        arena.setting = type(arena.setting)(**{**vars(arena.setting), "seed": seed})
        return play_to_end(arena, agent, seeds(range(worlds))).costs.reshape(worlds, tries)

    drawn = costs(1.0)
    assert all(len(set(row.tolist())) > 3 for row in drawn)
    assert np.array_equal(drawn, costs(1.0))
    assert not np.array_equal(drawn, costs(1.0, seed=1))
    assert all(len(set(row.tolist())) == 1 for row in costs(0.0)), "without noise all tries are the same"
    tiny = costs(1e-6)
    assert np.array_equal(tiny, costs(0.0)), "noise counts by its scale"


# --- rows and checkpoints ---------------------------------------------------------------------------------------------


def test_rows_and_weights_are_the_same_thing() -> None:
    weights = some_weights()
    row = join_row(weights, SPEC, 0.25)
    assert row.dtype == np.float32
    assert row[NOISE] == 0.25
    assert len(row) == 1 + sum(array.size for array in weights.values())
    back = split_row(row, SPEC)
    assert back.keys() == weights.keys()
    for name, array in weights.items():
        assert np.array_equal(back[name], array)
        assert back[name].dtype == np.float32
        assert not np.shares_memory(back[name], row)
    assert np.array_equal(join_row(back, SPEC, 0.25), row)
    backwards = {name: weights[name] for name in reversed(weights)}
    assert np.array_equal(join_row(backwards, SPEC, 0.25), row), "in the order of `weight_shapes`, not of the mapping"


def card(spec: ObservationSpec = SPEC, **changes: Any) -> dict[str, Any]:
    usual = {
        "agent": "scorer",
        "network": {"kind": "scorer", "hidden": HIDDEN},
        "spec_hash": spec.hash,
        "spec": spec.to_dict(),
        "env": JOB_SHOP,
        "env_options": {},
    }
    return {**usual, **changes}


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scorer called ``./x`` and a graph network called ``./graph`` from where the test runs."""
    save_checkpoint(tmp_path / "x", some_weights(), card())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "x"


def save_network(folder: Path) -> None:
    network = {"kind": "graph", "width": 8, "layers": 1}
    save_checkpoint(folder, weights_of(build(network, SPEC)), card(agent="graph-ppo", network=network))


def test_a_checkpoint_plays_as_what_was_saved(saved: Path) -> None:
    arena, cases = arena_of(4, law="bernoulli"), seeds(range(4))
    made = make_agent("./x", arena.setting)
    assert (made.name, made.samples, made.fixed_batch, made.follows_plan) == ("./x", 1, False, False)
    expected = outcomes(arena, scorer(), cases)
    assert outcomes(arena, made, cases) == expected
    assert outcomes(arena, make_agent("./x:greedy=true", arena.setting), cases) == expected
    weights, agent = load_scorer(parse_name("./x"), arena.setting)
    assert all(np.array_equal(weights[name], array) for name, array in some_weights().items())
    assert outcomes(arena, agent, cases) == expected
    # Other sizes, too: no array's shape depends on a count.
    larger = open_arena(JOB_SHOP, 1, {"instance": "random:size=9x6"})
    assert outcomes(larger, make_agent("./x", larger.setting), seeds([1])) == outcomes(larger, scorer(), seeds([1]))


@pytest.mark.parametrize(
    ("name", "samples", "noise"),
    [
        ("./x:samples=4", 4, 1.0),
        ("./x:samples=4:temperature=0.3", 4, 0.3),
        ("./x:temperature=2", 1, 2.0),
        ("./x:greedy=false", 1, 1.0),
    ],
)
def test_sampling(saved: Path, name: str, samples: int, noise: float) -> None:
    arena = arena_of(2 * samples)
    made = make_agent(name, arena.setting)
    assert (made.name, made.samples) == (name, samples)
    other = scorer_agent("other", some_weights(), SPEC, "here", noise, samples)
    assert outcomes(arena, made, seeds([1, 2])) == outcomes(arena, other, seeds([1, 2]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./x:beam=8:samples=2", "beam takes no other option but temperature"),
        ("./x:worlds=2", "agent './x:worlds=2': option worlds is not for scorers"),
        ("./x:samples=0", "option samples is 0, expected an integer from 1"),
        ("./x:temperature=0", "option temperature is 0, expected a number above 0"),
        ("./x:samples=8:greedy=true", "greedy play is the same each time"),
        ("./x:width=8", "unknown option of trained agent './x': 'width'"),
    ],
)
def test_wrong_options(saved: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_agent(name, arena_of(1).setting)
    assert "\n" not in str(caught.value)


def lacking(weights: Arrays) -> None:
    del weights["second_bias"]


def unknown(weights: Arrays) -> None:
    weights["third"] = np.zeros(1, dtype=np.float32)


def misshapen(weights: Arrays) -> None:
    weights["slot"] = weights["slot"][:-1]


def turned(weights: Arrays) -> None:
    weights["slot"] = np.ascontiguousarray(weights["slot"].T)


def doubled(weights: Arrays) -> None:
    weights["score"] = weights["score"].astype(np.float64)


def infinite(weights: Arrays) -> None:
    weights["score"][3] = np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacking, rf"lacks the tensor 'second_bias', expected with shape \({HIDDEN},\)"),
        (unknown, "holds the unknown tensor 'third'"),
        (misshapen, "tensor 'slot' is float32 of shape"),
        (turned, "tensor 'slot' is float32 of shape"),
        (doubled, "tensor 'score' is float64 of shape"),
        (infinite, "'[a-z.]*score' holds what is no finite number"),
    ],
)
def test_tensors_that_do_not_fit(saved: Path, change: Callable[[Arrays], None], message: str) -> None:
    weights = some_weights()
    change(weights)
    save_checkpoint(saved, weights, card())
    for name in ("./x", "./x:samples=4", "rollout:of=./x"):
        with pytest.raises(UserError, match=message) as caught:
            make_agent(name, arena_of(1).setting)
        assert "\n" not in str(caught.value)


def test_files_that_are_damaged(saved: Path) -> None:
    setting = arena_of(1).setting
    whole = (saved / WEIGHTS).read_bytes()
    (saved / WEIGHTS).write_bytes(whole[:-3])
    with pytest.raises(UserError, match="it may be truncated"):
        make_agent("./x", setting)
    (saved / WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="one of the two files was changed"):
        make_agent("./x", setting)
    (saved / WEIGHTS).write_bytes(whole)
    data = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps({**data, "network": {}}))
    with pytest.raises(UserError, match="unknown network ''"):
        make_agent("./x", setting)
    (saved / CARD).write_text(json.dumps({**data, "network": {"kind": "graph", "width": 8, "layers": 1}}))
    with pytest.raises(UserError, match="tensor"):
        make_agent("./x", setting)


def test_another_environment(saved: Path) -> None:
    other = ObservationSpec((), (), (Feature("time"),), (), (Feature("cost"),))
    save_checkpoint(saved, some_weights(other), card(other, env="other/Env-v0"))
    for name in ("./x", "rollout:of=./x"):
        with pytest.raises(UserError, match=rf"observations of other/Env-v0 with spec '{other.hash}'.*'{SPEC.hash}'"):
            make_agent(name, arena_of(1).setting)


def test_a_scorer_is_played_without_torch(saved: Path) -> None:
    program = (
        "import sys\n"
        "from makespan.agents.arena import Case, open_arena, play\n"
        "from makespan.agents.catalogue import make_agent\n"
        f"arena = open_arena({JOB_SHOP!r}, 2, {{'instance': 'random:size=3x2'}})\n"
        "agents = [make_agent(name, arena.setting) for name in ('./x', 'rollout:of=./x', './x:beam=4')]\n"
        "print([episode.objective for agent in agents for episode in play(arena, agent, [Case(None, 0)] * 2)])\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert len(json.loads(done.stdout)) == 6


# --- who goes on in a rollout -----------------------------------------------------------------------------------------


def test_a_rollout_that_goes_on_by_a_scorer(saved: Path) -> None:
    """Without events it is no worse than the scorer: going on as before is one of the plans that it compares."""
    arena, cases = arena_of(12), seeds(range(12))
    alone = np.array([objective for objective, *_ in outcomes(arena, scorer(), cases)])
    better = [objective for objective, *_ in outcomes(arena, make_agent("rollout:of=./x", arena.setting), cases)]
    assert (better <= alone).all()
    assert (better < alone).any()
    both = make_agent("rollout:of=lrm+./x", arena.setting)
    assert outcomes(arena, both, cases) == outcomes(arena, both, cases)


def test_a_rollout_where_there_are_no_rules(saved: Path) -> None:
    """A scorer goes on as well in an environment that has an engine but no rules."""
    shop = gymnasium.registry[JOB_SHOP]
    gymnasium.register(id="test/Shop-v0", entry_point=shop.entry_point, vector_entry_point=shop.vector_entry_point)
    try:
        arena, cases = open_arena("test/Shop-v0", 3, {"instance": "random:size=4x3+3x5"}), seeds(range(3))
        found = outcomes(arena, make_agent("rollout:of=./x", arena.setting), cases)
        usual = arena_of(3)
        assert found == outcomes(usual, make_agent("rollout:of=./x", usual.setting), cases)
        with pytest.raises(
            UserError, match="agent 'rollout' needs option of, the path of a scorer, where an environment has"
        ):
            make_agent("rollout", arena.setting)
    finally:
        del gymnasium.registry["test/Shop-v0"]


def test_what_cannot_go_on_in_a_rollout(saved: Path, tmp_path: Path) -> None:
    save_network(tmp_path / "graph")
    setting = arena_of(1).setting
    for name, message in (
        ("rollout:of=./graph", "checkpoint 'graph' holds a graph-ppo, expected a scorer"),
        ("rollout:of=spt+./graph", "checkpoint 'graph' holds a graph-ppo, expected a scorer"),
        ("rollout:of=./nobody", "checkpoint './nobody' is neither a folder nor shipped"),
        ("rollout:of=./x+./x", "names somebody twice"),
        ("rollout:of=random", "unknown rule in option of of agent 'rollout': 'random'"),
        ("rollout:of=x", "unknown rule in option of of agent 'rollout': 'x'"),
        ("rollout:of=7", "unknown rule in option of of agent 'rollout': '7'"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            make_agent(name, setting)
        assert "\n" not in str(caught.value)


# --- plain Python environments ----------------------------------------------------------------------------------------


PLAIN_SPEC = ObservationSpec((), (), (Feature("room"),), (), (Feature("value"), Feature("weight")), ("stop",))
BARE_SPEC = ObservationSpec((), (), (), (), (), ("stop",))


class Knapsack(gymnasium.Env[Any, Any]):
    """Take items until STOP; the value is to be large. `bare` shows nothing but the mask."""

    metadata: dict[str, Any] = {"render_modes": [], "objective": {"name": "value", "unit": "1", "sense": "max"}}

    def __init__(self, bare: bool = False) -> None:
        self.observation_spec = BARE_SPEC if bare else PLAIN_SPEC
        self.observation_space = self.observation_spec.space(Sizes({}, {}, 6))
        self.action_space = spaces.Discrete(6)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(2**62, 2**63)) if seed is None else seed
        rng = np.random.default_rng(self._seed)
        self._value, self._weight = rng.integers(1, 10, 5), rng.integers(1, 6, 5)
        self._taken = np.zeros(5, dtype=np.bool_)
        return self._observe(), {}

    def action_masks(self) -> NDArray[np.bool_]:
        return np.append((self._weight <= 10 - self._weight @ self._taken) & ~self._taken, True)

    def _observe(self) -> Any:
        features = np.zeros((6, len(self.observation_spec.action_features)), dtype=np.float32)
        if features.size:
            features[:-1] = np.stack([self._value / 10, self._weight / 10], axis=1)
        room = np.full(len(self.observation_spec.globals), 1 - self._weight @ self._taken / 10, dtype=np.float32)
        nodes, mask = np.zeros((6, 0), dtype=np.int32), self.action_masks().astype(np.int8)
        return {"globals": room, "actions/nodes": nodes, "actions/features": features, "action_mask": mask}

    def step(self, action: Any) -> Any:
        stop = bool(action == 5)
        if not stop:
            self._taken[action] = True
        info: dict[str, Any] = {}
        if stop:
            info = {"objective": int(self._value @ self._taken), "metrics": {}, "seed": self._seed, "instance": ""}
        return self._observe(), 0.0 if stop else float(self._value[action]), stop, False, info


@pytest.fixture
def knapsack() -> Any:
    gymnasium.register(id="test/Knapsack-v0", entry_point=Knapsack)  # type: ignore[arg-type]
    yield "test/Knapsack-v0"
    del gymnasium.registry["test/Knapsack-v0"]


def test_plain_environments_are_played_too(tmp_path: Path, knapsack: str) -> None:
    """One that likes worth and dislikes stopping fills the sack; one the other way round stops at once."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(PLAIN_SPEC).items()}
    weights["slot"][0, 0] = weights["second"][0, 0] = weights["score"][0] = 1.0
    save_checkpoint(tmp_path / "greedy", weights, card(PLAIN_SPEC, env=knapsack))
    save_checkpoint(tmp_path / "idle", {**weights, "score": -weights["score"]}, card(PLAIN_SPEC, env=knapsack))
    arena, cases = open_arena(knapsack, 10), seeds(range(10))
    values = {}
    for name in ("greedy", "idle"):
        episodes = play(arena, make_agent(f"{tmp_path}/{name}", arena.setting), cases)
        values[name] = [episode.objective for episode in episodes]
    for seed, value in enumerate(values["greedy"]):
        rng = np.random.default_rng(seed)
        worth, weight = rng.integers(1, 10, 5), rng.integers(1, 6, 5)
        room, total = 10, 0
        for item in np.argsort(-worth, kind="stable"):
            if weight[item] <= room:
                room, total = room - weight[item], total + worth[item]
        assert value == total
    assert values["idle"] == [0.0] * 10


@pytest.mark.filterwarnings("error")
def test_nothing_to_look_at(knapsack: str) -> None:
    """A spec without action features and globals is allowed; every slot is as good."""
    arena = open_arena(knapsack, 3, {"bare": True})
    agent = ScorerAgent("s", join_row(some_weights(BARE_SPEC), BARE_SPEC)[None])
    assert [episode.decisions > 1 for episode in play(arena, agent, seeds(range(3)))] == [True] * 3
