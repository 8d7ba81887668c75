"""Beams guided by a policy: what they keep, what they find, and that draws are without replacement."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import makespan
import numpy as np
import pytest
import torch
from makespan.agents import policy_beam
from makespan.agents.arena import Case, EngineArena, Episode, open_arena, play
from makespan.agents.decoding import NetworkPolicy, PolicyAgent
from makespan.agents.learned import build
from makespan.agents.networks.common import SlotNetwork
from makespan.agents.policy_beam import DistinctPlansAgent, Draws, PolicyBeamAgent, extend
from makespan.agents.scorer.agent import ScorerAgent, ScorerPolicy
from makespan.agents.scorer.choice import join_row, weight_shapes
from makespan.envs.core.engine import BatchEngine
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.engine import JobShopEngine
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.observation import SPEC
from numpy.typing import NDArray

JOB_SHOP = "makespan/JobShop-v0"
AGENTS = [PolicyBeamAgent, DistinctPlansAgent]
CONSTRUCT = {"blocking": "none", "mode": "construct"}


def network(kind: str = "graph") -> SlotNetwork:
    torch.manual_seed(0)
    made = build({"kind": kind, "width": 8, "layers": 1}, SPEC)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.0, 0.3)
    return made


def scorer_row() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    shapes = weight_shapes(SPEC).items()
    return join_row({name: (rng.normal(size=shape) / 4).astype(np.float32) for name, shape in shapes}, SPEC)


def policy_of(kind: str) -> Any:
    return ScorerPolicy(scorer_row()) if kind == "scorer" else NetworkPolicy(network(kind))


def episodes(agent_of: Any, cases: list[Case], **options: Any) -> list[Episode]:
    arena = open_arena(JOB_SHOP, len(cases), {"instance": "random:size=4x3", **options}, device="cpu")
    return play(arena, agent_of(arena.setting), cases)


def objectives(agent: type[PolicyBeamAgent], kind: str, width: int, seeds: Any, **options: Any) -> list[float]:
    made = episodes(
        lambda setting: agent("x", policy_of(kind), setting, width), [Case(None, seed) for seed in seeds], **options
    )
    return [episode.objective for episode in made]


def without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job shop as a problem that knows neither bounds nor signatures."""
    bare = replace(JobShopEngine.kernels, lower_bound=None, signature=None)
    monkeypatch.setattr(JobShopEngine, "kernels", bare)


# --- what a beam keeps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", ["graph", "attention", "scorer"])
def test_a_beam_of_one_is_greedy_but_for_the_bounds(kind: str, bare: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if bare:
        without_bounds(monkeypatch)
    else:
        monkeypatch.setattr(policy_beam, "BOUND_UNIT", 1e300)
    cases = [Case(None, seed) for seed in range(5)]
    alone = ScorerAgent("x", scorer_row()[None]) if kind == "scorer" else PolicyAgent("x", network(kind))
    greedy = episodes(lambda _: alone, cases)
    beam = episodes(lambda setting: PolicyBeamAgent("x", policy_of(kind), setting, 1), cases)
    assert [episode.schedule.start.tolist() for episode in beam] == [e.schedule.start.tolist() for e in greedy]
    assert [episode.decisions for episode in beam] == [episode.decisions for episode in greedy]


def replayed(arena: EngineArena, seed: int, plan: list[int]) -> BatchEngine:
    arena.reset([Case(None, seed)])
    for action in plan:
        arena.step(np.array([action]))
    return arena.engine


def plain_beam(policy: Any, seed: int, width: int, **options: Any) -> float:
    """The same search once more, one plan after the other, every child measured."""
    arena = open_arena(JOB_SHOP, 1, options)
    assert isinstance(arena, EngineArena)
    kernels = arena.engine.kernels
    assert kernels.lower_bound is not None
    assert kernels.signature is not None
    engine = replayed(arena, seed, [])
    unit = policy_beam.BOUND_UNIT * kernels.lower_bound(engine.problem, engine.state, 0)
    beam: list[tuple[list[int], float]] = [([], 0.0)]
    best = np.inf
    while beam:
        children = []
        for plan, total in beam:
            engine = replayed(arena, seed, plan)
            scores = policy.scores(engine, np.ones(1, dtype=np.bool_), len(plan))
            joined = np.empty_like(scores)
            extend(scores, np.array([total]), 1.0, joined)
            for action in np.flatnonzero(np.isfinite(joined[0])).tolist():
                engine = replayed(arena, seed, [*plan, action])
                bound = kernels.lower_bound(engine.problem, engine.state, 0)
                if engine.is_running()[0]:
                    signature = int(kernels.signature(engine.problem, engine.state, 0))
                    children.append(
                        (joined[0, action] - bound / unit, bound, signature, [*plan, action], joined[0, action])
                    )
                else:
                    best = min(best, float(engine.objectives()[0]))
        children.sort(key=lambda child: -child[0])
        beam, seen = [], set()
        for _, bound, signature, plan, total in children:
            if bound < best and signature not in seen and len(beam) < width:
                seen.add(signature)
                beam.append((plan, float(total)))
    return best


@pytest.mark.parametrize("options", [{}, {"blocking": "no-swap"}, CONSTRUCT], ids=str)
def test_the_same_as_a_search_that_measures_everything(options: dict[str, Any]) -> None:
    options = {"instance": "random:size=3x3", **options}
    for width in (2, 5):
        expected = [plain_beam(policy_of("scorer"), seed, width, **options) for seed in range(3)]
        assert objectives(PolicyBeamAgent, "scorer", width, range(3), **options) == expected


@pytest.mark.parametrize("kind", ["graph", "scorer"])
@pytest.mark.parametrize("agent", AGENTS)
def test_a_wide_beam_finds_the_best_schedule_of_all(agent: Any, kind: str) -> None:
    """On 2x2 it holds every partial plan: its result is what trying every sequence gives."""
    options: dict[str, Any] = {"instance": "random:size=2x2", "allow_wait": False}
    assert objectives(agent, kind, 512, range(6), **options) == [exhaustive(seed, options) for seed in range(6)]


def exhaustive(seed: int, options: dict[str, Any]) -> float:
    arena = open_arena(JOB_SHOP, 1, options)
    assert isinstance(arena, EngineArena)
    best, stack = np.inf, [[]]
    while stack:
        plan: list[int] = stack.pop()
        engine = replayed(arena, seed, plan)
        if engine.is_running()[0]:
            stack += [[*plan, int(action)] for action in np.flatnonzero(engine.masks[0])]
        else:
            best = min(best, float(engine.objectives()[0]))
    return best


@pytest.mark.parametrize("kind", ["graph", "scorer"])
@pytest.mark.parametrize("agent", AGENTS)
def test_wider_beams_do_better_on_the_whole(agent: Any, kind: str) -> None:
    assert np.mean(objectives(agent, kind, 32, range(8))) < np.mean(objectives(agent, kind, 1, range(8)))


@pytest.mark.parametrize("agent", AGENTS)
def test_beams_of_several_groups_do_not_mix(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do equal worlds, whose plans have equal signatures."""
    seeds = [0, 1, 2, 0, 1, 5]
    together = objectives(agent, "scorer", 4, seeds)
    monkeypatch.setattr(policy_beam, "COPIES", 1)  # one world after the other
    assert objectives(agent, "scorer", 4, seeds) == together
    assert [objectives(agent, "scorer", 4, [seed])[0] for seed in seeds] == together
    assert len(set(together)) > 2


def test_a_beam_survives_deadlocks() -> None:
    """Without swaps a partial plan may end dead: that is an outcome with a finite objective, and a bad one."""
    for agent in AGENTS:
        made = objectives(agent, "graph", 8, range(6), blocking="no-swap")
        greedy = episodes(lambda _: PolicyAgent("x", network()), [Case(None, s) for s in range(6)], blocking="no-swap")
        assert np.isfinite(made).all()
        assert np.mean(made) <= np.mean([e.objective for e in greedy])


# --- without replacement ----------------------------------------------------------------------------------------------


class BySlot:
    """Scores slots by their number."""

    observes, fixed_batch = False, False

    def __init__(self, scores: list[float]) -> None:
        self._scores = np.array(scores)

    def scores(self, engine: BatchEngine, kept: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
        return np.where((engine.masks != 0) & kept[:, None], self._scores, -np.inf)


def drawn_plans(width: int, groups: int, policy: BySlot, temperature: float) -> list[list[tuple[int, ...]]]:
    """The plans that stay in each group, on one machine with three jobs: all orders of them, the first-ranked first."""
    shop = JobShopInstance.from_routes("line", [[1], [2], [3]], [[0], [0], [0]])
    arena = open_arena(JOB_SHOP, groups * width, {"instance": shop, **CONSTRUCT})
    assert isinstance(arena, EngineArena)
    arena.reset([Case(None, 0)] * (groups * width))
    beam = Draws(arena.engine, False, np.arange(groups, dtype=np.uint64), 1)
    while beam.running.any():
        scores = policy.scores(arena.engine, beam.running, 0)
        joined = np.empty_like(scores)
        extend(scores, beam.totals, temperature, joined)
        beam.go_on(joined)
    found: list[list[tuple[int, ...]]] = []
    for group in range(groups):
        found.append([])
        for place in range(group * width, (group + 1) * width):
            if beam.totals[place] > -np.inf:
                plan, copy = [], place
                for parents, actions in reversed(beam._levels):
                    plan.append(int(actions[copy]))
                    copy = int(parents[copy])
                found[-1].append(tuple(plan[::-1]))
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_plans_are_drawn_without_replacement(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is plan a with its probability p(a), the second then plan b with p(b) / (1 - p(a))."""
    without_bounds(monkeypatch)
    groups, logits = 6000, [0.0, 1.0, -0.5]
    found = drawn_plans(3, groups, BySlot([*logits, 0.0]), temperature)
    weights = np.exp(np.array(logits) / temperature)
    share = {}
    for plan in permutations(range(3)):
        left = np.cumsum(weights[list(plan)][::-1])[::-1]
        share[plan] = float(np.prod(weights[list(plan)] / left))
    assert all(len(set(plans)) == len(plans) == 3 for plans in found)
    for first in share:
        count = sum(plans[0] == first for plans in found)
        assert abs(count / groups - share[first]) < 4 * np.sqrt(share[first] / groups)
        for second in share.keys() - {first}:
            expected = share[first] * share[second] / (1 - share[first])
            both = sum((plans[0], plans[1]) == (first, second) for plans in found)
            assert abs(both / groups - expected) < 4 * np.sqrt(expected / groups)


def test_all_plans_are_drawn_where_there_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    without_bounds(monkeypatch)
    for plans in drawn_plans(8, 5, BySlot([0.0, 1.0, -0.5, 0.0]), 1.0):
        assert sorted(plans) == sorted(permutations(range(3)))


def test_draws_depend_on_the_key_and_on_nothing_else() -> None:
    arena = open_arena(JOB_SHOP, 6, {"instance": "random:size=6x5"})

    def found(keys: list[int]) -> list[list[int]]:
        arena.reset([Case(None, 3)] * 6)
        agent = DistinctPlansAgent("x", policy_of("scorer"), arena.setting, 2, 3.0)
        agent.begin(np.arange(len(keys)), [], np.array(keys, dtype=np.uint64), arena.imagine())
        return [agent._plans[copy] for copy in range(len(keys))]

    whole = found([1, 2, 3, 4, 5, 6])
    assert found([5, 1]) == [whole[4], whole[0]]
    assert len({tuple(plan) for plan in whole}) > 1


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", AGENTS)
def test_more_plans_than_memory(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makespan.agents.planners.beam.MOST_MEMORY", 1000)
    with pytest.raises(
        UserError, match=r"agent 'x': so many plans at a time take 0.0 GiB of memory, expected at"
    ) as caught:
        objectives(agent, "scorer", 100, [0])
    assert "\n" not in str(caught.value)


def test_a_beam_of_bounds_wider_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makespan.agents.planners.beam.MOST_MEMORY", 1000)
    with pytest.raises(UserError, match=r"agent 'beam': so many plans at a time take 0.0 GiB of memory, expected at"):
        makespan.solve("ft06", "beam:width=100", seconds=1)
