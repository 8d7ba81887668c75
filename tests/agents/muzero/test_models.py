"""What networks are searched on: the imagined engine and the learned model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.arena import Case, EngineArena, open_arena, play
from makespan.agents.foresight import PRIOR, Foresight, make_foresight
from makespan.agents.muzero.agent import NetworkSearch, NetworkSearchAgent
from makespan.agents.muzero.imagined import ImaginedModel, OpenLoopModel
from makespan.agents.muzero.learned import LearnedModel, evaluating
from makespan.agents.muzero.network import ENCODERS, MuZeroNetwork, Support, make_muzero
from makespan.agents.muzero.search import SearchConfig, Searcher, Simulation
from makespan.agents.muzero.tree import ACTION, PARENT, RAW_VALUE
from makespan.agents.networks.common import to_tensors
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import Image, ObservationSpec

ENV = "makespan/JobShop-v0"
SMALL = {"instance": "random:size=4x3"}
NOISY: dict[str, Any] = {**SMALL, "law": "bernoulli", "p": 0.05}


def _network(spec: ObservationSpec, encoder: str = "slots", seed: int = 0) -> MuZeroNetwork:
    """A network with strong opinions of its own."""
    torch.manual_seed(seed)
    network = make_muzero(spec, {"encoder": encoder, "width": 16})
    with torch.no_grad():
        for parameter in network.parameters():
            if (parameter == 0).all():
                parameter.normal_(std=0.5)
    return network.eval()


def _opened(copies: int, options: dict[str, Any]) -> EngineArena:
    arena = open_arena(ENV, copies, options, device="cpu")
    assert isinstance(arena, EngineArena)
    arena.reset([Case(None, seed) for seed in range(copies)])
    return arena


class _Recorded(ImaginedModel):
    """Remembers where simulations went."""

    last: Simulation

    def simulate(self, simulation: Simulation) -> Any:
        self.last = simulation
        return super().simulate(simulation)


def test_nodes_hold_the_states_that_their_actions_lead_to() -> None:
    arena = _opened(3, SMALL)
    imagine = arena.imagine()
    assert imagine is not None
    nothing = np.zeros(3, dtype=np.int64)
    model = _Recorded(_network(arena.setting.spec), imagine, np.arange(3), nothing.astype(np.uint64), nothing)
    with evaluating(model._network):
        found = Searcher(SearchConfig(20)).search(model)
    links = model.last.tree.links
    for copy in range(3):
        for node in range(1, 21):
            path, at = [], node
            while at > 0:
                path.append(int(links[copy, at, ACTION]))
                at = int(links[copy, at, PARENT])
            again = _opened(3, SMALL).engine
            for action in reversed(path):
                played = again.masks.argmax(axis=1).astype(np.int64)
                played[copy] = action
                again.step(played)
            np.testing.assert_array_equal(again.block.memory[copy], model._pool.block.memory[node * 3 + copy])
    assert arena.masks()[np.arange(3), found.actions].all()


@pytest.mark.parametrize("options", [SMALL, NOISY])
def test_open_loop_plays_legal_actions_and_does_not_know_the_future(options: dict[str, Any]) -> None:
    arena = open_arena(ENV, 2, {**options, "instance": "la01"}, device="cpu")
    assert isinstance(arena, EngineArena)
    arena.reset([Case("la01", 1), Case("la01", 2)])
    imagine = arena.imagine()
    assert imagine is not None
    same, none = np.full(2, 77, dtype=np.uint64), np.zeros(2, dtype=np.int64)
    model = OpenLoopModel(_network(arena.setting.spec), imagine, np.arange(2), same, none)
    with evaluating(model._network):
        found = Searcher(SearchConfig(24)).search(model)
    np.testing.assert_allclose(found.policy[0], found.policy[1], atol=1e-5)
    assert arena.masks()[np.arange(2), found.actions].all()


def test_open_loop_is_the_usual_tree_where_nothing_is_random() -> None:
    arena = _opened(4, SMALL)
    imagine = arena.imagine()
    assert imagine is not None
    network, none = _network(arena.setting.spec), np.zeros(4, dtype=np.int64)
    found = []
    for kind in (ImaginedModel, OpenLoopModel):
        model = kind(network, imagine, np.arange(4), none.astype(np.uint64), none)
        with evaluating(network):
            found.append(Searcher(SearchConfig(24)).search(model))
    np.testing.assert_array_equal(found[0].actions, found[1].actions)
    np.testing.assert_allclose(found[0].policy, found[1].policy, atol=1e-6)
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-6)


# --- with foresight ---------------------------------------------------------------------------------------------------


def _foreseeing(arena: EngineArena, of: str = "lrm+spt") -> tuple[MuZeroNetwork, Foresight]:
    """A network that adds nothing to what is foreseen but its prior."""
    foresight = make_foresight(of, 1, arena.setting)
    config = {"encoder": "slots", "width": 16, "dynamics": 0, "prior": PRIOR}
    return make_muzero(foresight.spec, config).eval(), foresight


def test_states_are_worth_what_they_are_foreseen_to_cost_less_than_the_root() -> None:
    """At every node, ends of episodes among them, by playing to it anew and looking ahead from there."""
    options = {"instance": "random:size=2x2"}
    arena = _opened(3, options)
    imagine = arena.imagine()
    assert imagine is not None
    network, foresight = _foreseeing(arena)
    none = np.zeros(3, dtype=np.int64)
    model = _Recorded(network, imagine, np.arange(3), none.astype(np.uint64), none, foresight=foresight)
    with evaluating(network):
        Searcher(SearchConfig(40)).search(model)
    tree, ends, least = model.last.tree, 0, np.full(3, np.inf)
    keys = none.astype(np.uint64)
    root = foresight.look(imagine, arena.observation(), arena.masks(), keys, none)
    for copy in range(3):
        nodes, front = [0], 0
        while front < len(nodes):
            nodes += [child for child in tree.child[copy, nodes[front]].tolist() if child >= 0]
            front += 1
        for node in nodes:
            path, at = [], node
            while at > 0:
                path.append(int(tree.links[copy, at, ACTION]))
                at = int(tree.links[copy, at, PARENT])
            again = _opened(3, options)
            for action in reversed(path):
                played = again.masks().argmax(axis=1).astype(np.int64)
                played[copy] = action
                again.step(played)
            if again.masks()[copy].any():
                look = again.imagine()
                assert look is not None
                cost = foresight.look(look, again.observation(), again.masks(), keys, none).costs[copy]
            else:
                cost, ends = again.objectives()[copy], ends + 1
            worth = (root.costs[copy] - cost) / root.scales[copy]
            assert tree.statistics[copy, node, RAW_VALUE] == pytest.approx(worth, abs=1e-5)
            least[copy] = min(least[copy], cost)
    assert ends > 3
    np.testing.assert_array_equal(model.costs, least)


def test_open_loop_is_the_usual_tree_with_foresight_too() -> None:
    arena = _opened(4, SMALL)
    imagine = arena.imagine()
    assert imagine is not None
    network, foresight = _foreseeing(arena)
    none, found = np.zeros(4, dtype=np.int64), []
    for kind in (ImaginedModel, OpenLoopModel):
        model = kind(network, imagine, np.arange(4), none.astype(np.uint64), none, foresight=foresight)
        with evaluating(network):
            found.append(Searcher(SearchConfig(24)).search(model))
    np.testing.assert_array_equal(found[0].actions, found[1].actions)
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-6)


@pytest.mark.parametrize(
    ("env", "options", "of"),
    [
        (ENV, {"instance": "random:size=4x4"}, "lrm+spt"),
        ("makespan/MemoryMapping-v0", {"instance": "random:size=40"}, "keep-first"),
    ],
)
def test_the_best_plan_that_was_found_is_followed(env: str, options: dict[str, Any], of: str) -> None:
    """Episodes cost what the best plan was to cost, which is no more than what any search has foreseen."""
    arena = open_arena(env, 5, options, device="cpu")
    assert isinstance(arena, EngineArena)
    network, foresight = _foreseeing(arena, of)
    search = NetworkSearch(network, Searcher(SearchConfig(6)), arena.setting, False, 1.0, foresight)
    agent = NetworkSearchAgent("search", search, False)
    arena.reset([Case(None, seed) for seed in range(5)])
    copies = np.arange(5, dtype=np.int64)
    agent.begin(copies, [], copies.astype(np.uint64), arena.imagine())
    kept = agent._kept
    assert kept is not None
    before, falls = np.full(5, np.inf), 0
    while arena.running().any():
        actions = agent.act(arena.observation(), arena.masks())
        assert (kept.costs <= before).all()
        falls += int(((kept.costs < before) & np.isfinite(before)).sum())
        before = kept.costs.copy()
        arena.step(actions)
    np.testing.assert_array_equal(arena.setting.sign * arena.objectives(), kept.costs)
    assert falls > 0, "later searches find better plans"


def test_under_breakdowns_the_plan_is_followed_that_is_best_if_nothing_more_happens() -> None:
    """What it costs is worked out anew at each decision, and no action is foreseen to cost less."""
    arena = open_arena(ENV, 4, {**NOISY, "instance": "random:size=4x4"}, device="cpu")
    assert isinstance(arena, EngineArena)
    foresight = make_foresight("lrm+spt", 0, arena.setting)
    network = make_muzero(foresight.spec, {"encoder": "slots", "width": 16, "dynamics": 0, "prior": PRIOR}).eval()
    search = NetworkSearch(network, Searcher(SearchConfig(4)), arena.setting, False, 1.0, foresight)
    agent = NetworkSearchAgent("search", search, False)
    arena.reset([Case(None, seed) for seed in range(4)])
    copies, none = np.arange(4, dtype=np.int64), np.zeros(4, dtype=np.int64)
    agent.begin(copies, [], copies.astype(np.uint64), arena.imagine())
    kept, rises = agent._kept, 0
    assert kept is not None
    while arena.running().any():
        imagine, mask = arena.imagine(), arena.masks().copy()
        assert imagine is not None
        before = kept.costs.copy()
        foreseen = foresight.look(imagine, arena.observation(), mask, none.astype(np.uint64), none).costs
        actions = agent.act(arena.observation(), mask)
        choosing = np.flatnonzero(mask.sum(axis=1) > 1)
        assert (kept.costs[choosing] <= foreseen[choosing]).all()
        assert mask[choosing, actions[choosing]].all()
        known, _ = foresight.follow(imagine, choosing, kept.plans[choosing])
        assert (known <= kept.costs[choosing]).all(), "an order, begun anew, may lose time that was wasted"
        rises += int((kept.costs[choosing] > before[choosing]).sum())
        arena.step(actions)
    assert rises > 0, "breakdowns delay plans"


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_learned_model_follows_the_network(encoder: str) -> None:
    """The values and logits that a search sees are those of unrolling the network by hand."""
    arena = _opened(2, SMALL)
    network = _network(arena.setting.spec, encoder)
    model = LearnedModel(network, arena.observation(), arena.masks())
    with evaluating(network):
        root = model.begin(3)
        action = root.legal.argmax(axis=1).astype(np.int64)
        first = model.expand(1, np.zeros(2, dtype=np.int64), action, np.ones(2, dtype=np.bool_))
        second = model.expand(2, np.ones(2, dtype=np.int64), action, np.ones(2, dtype=np.bool_))
        latent = network.represent(to_tensors(arena.observation(), "cpu"))
        step = network.step(latent, torch.from_numpy(action))
        again = network.step(step.latent, torch.from_numpy(action))
        logits, value = network.predict(again.latent)
    np.testing.assert_allclose(second.logits, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(second.values, network.support.mean(value).numpy(), atol=1e-4)
    np.testing.assert_allclose(first.rewards, network.support.mean(step.reward).numpy(), atol=1e-4)


@pytest.mark.parametrize("unit", [1.0, 0.05])
def test_numbers_survive_the_support(unit: float) -> None:
    support = Support(unit)
    x = unit * torch.tensor([0.0, -1.3, 0.004, 250.0, -2000.0, 1.0])
    spread = support.spread(x)
    assert torch.allclose(spread.sum(-1), torch.ones(6))
    assert torch.allclose(support.mean(torch.log(spread + 1e-30)), x, rtol=1e-3, atol=1e-4)


def test_images_are_seen() -> None:
    spec = ObservationSpec((), (), (), (), (), images=(Image("map", 40, 36, 2),))
    network = make_muzero(spec, {"encoder": "graph"})
    observation = {
        "globals": torch.zeros(2, 0),
        "actions/features": torch.zeros(2, 3, 0),
        "actions/nodes": torch.zeros(2, 3, 0, dtype=torch.int32),
        "action_mask": torch.ones(2, 3, dtype=torch.int8),
        "images/map": torch.zeros(2, 40, 36, 2, dtype=torch.uint8),
    }
    observation["images/map"][1] = 200
    state = network.represent(observation).state
    assert not torch.allclose(state[0], state[1])


@pytest.mark.parametrize("learned", [False, True])
def test_plays_to_the_end(learned: bool) -> None:
    arena = open_arena(ENV, 4, SMALL, device="cpu")
    search = NetworkSearch(_network(arena.setting.spec), Searcher(SearchConfig(8)), arena.setting, learned)
    played = play(arena, NetworkSearchAgent("search", search, learned), [Case(None, seed) for seed in range(4)])
    assert all(np.isfinite(episode.objective) for episode in played)


def test_sizes_that_make_no_sense() -> None:
    spec = open_arena(ENV, 1, SMALL).setting.spec
    wrong: list[dict[str, Any]] = [{"encoder": "grpah"}, {"width": 0}, {"depth": 3}, {"dynamics": True}]
    wrong += [{"prior": 3}, {"prior": PRIOR, "dynamics": 0}, {"prior": "remaining_work"}]
    for given in wrong:
        with pytest.raises(UserError):
            make_muzero(spec, given)
