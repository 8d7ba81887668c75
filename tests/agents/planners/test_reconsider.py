"""Step and reconsider: what it finds, that plans are followed, and that it never sees the future."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.agent import Agent
from makespan.agents.arena import Case, EngineArena, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.decoding import PolicyAgent
from makespan.agents.job_shop.plan import PlanFollower
from makespan.agents.learned import build
from makespan.agents.planners import reconsider as module
from makespan.agents.planners.reconsider import Plans, ReconsiderAgent
from makespan.agents.rules.agent import RandomAgent
from makespan.agents.scorer.agent import ScorerAgent
from makespan.agents.scorer.choice import join_row, weight_shapes
from makespan.envs.core.errors import UserError
from makespan.envs.core.planned import plan_room
from makespan.envs.core.random import TYPICAL
from makespan.envs.job_shop.engine import JobShopEngine
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.observation import SPEC
from makespan.envs.job_shop.options import JobShopOptions
from numpy.typing import NDArray

JOB_SHOP = "makespan/JobShop-v0"
MODES: list[dict[str, Any]] = [
    {"blocking": "swap"},
    {"blocking": "no-swap"},
    {"blocking": "none"},
    {"blocking": "none", "mode": "construct"},
]
BREAKDOWNS = {"law": "bernoulli", "p": 0.02}


def arena_of(copies: int, **options: Any) -> EngineArena:
    arena = open_arena(JOB_SHOP, copies, {"instance": "random:size=5x4", **options}, device="cpu")
    assert isinstance(arena, EngineArena)
    return arena


def scorer(noise: float) -> ScorerAgent:
    rng = np.random.default_rng(0)
    shapes = weight_shapes(SPEC).items()
    weights = {name: (rng.normal(size=shape) / 4).astype(np.float32) for name, shape in shapes}
    return ScorerAgent("s", join_row(weights, SPEC, noise)[None])


def network(temperature: float) -> PolicyAgent:
    torch.manual_seed(0)
    made = build({"kind": "graph", "width": 4, "layers": 1}, SPEC)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.0, 0.3)
    return PolicyAgent("n", made, temperature)


def objectives(arena: EngineArena, agent: Agent, seeds: Any) -> list[float]:
    return [episode.objective for episode in play(arena, agent, [Case(None, int(seed)) for seed in seeds])]


def reconsidered(sampler: Any, seeds: Any, tries: int = 8, worlds: int = 0, **options: Any) -> list[float]:
    arena = arena_of(len(seeds), **options)
    made: Any = sampler(arena) if callable(sampler) else sampler
    return objectives(arena, ReconsiderAgent([made], arena.setting, tries, None, worlds), seeds)


def without_plan_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job shop as a problem that does not say what a plan is."""
    bare = replace(JobShopEngine.kernels, plan_size=None, note_plan=None, follow_plan=None)
    monkeypatch.setattr(JobShopEngine, "kernels", bare)


# --- what it finds ----------------------------------------------------------------------------------------------------


def first_tries(arena: EngineArena, sampler: Agent, seeds: range, tries: int) -> NDArray[np.float64]:
    """Costs [n, 1 + tries] of what is played and sampled at the first decision."""
    n, copies = len(seeds), np.arange(len(seeds))
    arena.reset([Case(None, seed) for seed in seeds])
    watched: list[Any] = []

    class Watching(Plans):
        def play(self, *given: Any) -> Any:  # pyright: ignore
            watched.append(super().play(*given))
            return watched[-1]

    agent = ReconsiderAgent([sampler], arena.setting, tries)
    agent._plans = Watching([sampler], arena.setting)
    agent.begin(copies, [], keys_of(arena, seeds), arena.imagine())
    agent.act(arena.observation(), arena.masks())
    return np.concatenate([watched[0].costs[:, None], watched[1].costs.reshape(tries, n).T], axis=1)


def keys_of(arena: EngineArena, seeds: range) -> NDArray[np.uint64]:
    from makespan.agents.arena import _key

    return np.array([_key(arena.setting.seed, Case(None, seed), 0) for seed in seeds], dtype=np.uint64)


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("options", MODES, ids=str)
def test_it_is_never_worse_than_the_best_of_its_first_tries(
    options: dict[str, Any], lists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lists:
        without_plan_kernels(monkeypatch)
    arena = arena_of(12, **options)
    best = first_tries(arena, scorer(1.0), range(12), 4).min(axis=1)
    found = objectives(arena, ReconsiderAgent([scorer(1.0)], arena.setting, 4), range(12))
    assert (found <= best).all()
    assert (found < best).any(), "later tries find better plans"


def test_more_tries_do_better_on_the_whole() -> None:
    few, many = (np.mean(reconsidered(scorer(1.0), range(12), tries)) for tries in (1, 32))
    assert many < few


@pytest.mark.parametrize("options", [*MODES, BREAKDOWNS], ids=str)
def test_a_greedy_sampler_goes_on_as_ever(options: dict[str, Any]) -> None:
    """Without noise each try is the sampler's own play, so that nothing better is found where nothing breaks down."""
    arena = arena_of(6, **options)
    found = objectives(arena, ReconsiderAgent([scorer(0.0)], arena.setting, 1), range(6))
    alone = objectives(arena, scorer(0.0), range(6))
    if "law" in options:
        assert np.isfinite(found).all()
    else:
        assert (np.array(found) <= alone).all()  # the order of its plan may allow for earlier starts


@pytest.mark.parametrize("options", [{}, BREAKDOWNS], ids=str)
@pytest.mark.parametrize("lists", [False, True])
def test_networks_and_random_play_sample_too(
    options: dict[str, Any], lists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lists:
        without_plan_kernels(monkeypatch)
    for sampler in (lambda arena: network(1.0), lambda arena: RandomAgent(arena.setting, wait=False)):
        one, many = (np.mean(reconsidered(sampler, range(4), tries, **options)) for tries in (1, 8))
        assert many <= 1.02 * one


class ByObservation(Agent):
    """Another agent, of which nothing but `begin` and `act` is used."""

    name = "by-observation"

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def begin(self, copies: Any, instances: Any, keys: Any, imagine: Any) -> None:
        self._agent.begin(copies, instances, keys, imagine)

    def act(self, observation: Any, mask: Any) -> NDArray[np.int64]:
        return self._agent.act(observation, mask)


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("options", [*MODES, BREAKDOWNS], ids=str)
def test_observations_and_compiled_play_say_the_same(
    options: dict[str, Any], lists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lists:
        without_plan_kernels(monkeypatch)
    compiled = reconsidered(scorer(1.0), range(5), 5, **options)
    assert reconsidered(ByObservation(scorer(1.0)), range(5), 5, **options) == compiled


# --- the same everywhere ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, BREAKDOWNS], ids=str)
@pytest.mark.parametrize("worlds", [0, 3])
def test_alone_in_company_and_in_pieces(options: dict[str, Any], worlds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the batch nor the memory changes anything, also where one copy's tries do not fit into it."""
    together = reconsidered(scorer(1.0), range(6), 7, worlds, **options)
    assert [reconsidered(scorer(1.0), [seed], 7, worlds, **options)[0] for seed in range(6)] == together
    size = arena_of(1, **options).engine.copy_bytes
    for copies in (0, 3, 20):
        most: list[int] = []

        class Watching(Plans):
            def play(self, *given: Any, most: list[int] = most) -> Any:  # pyright: ignore
                most.append(len(given[2]))
                return super().play(*given)

        with monkeypatch.context() as patched:
            patched.setattr(module, "MEMORY", copies * size)
            patched.setattr(module, "Plans", Watching)
            assert reconsidered(scorer(1.0), range(6), 7, worlds, **options) == together
        assert max(most) <= max(copies, 1) * 1.1 + 1


def test_an_agent_may_go_on_in_another_shop() -> None:
    small, large = arena_of(2), arena_of(3, instance="random:size=6x5")
    agent = ReconsiderAgent([scorer(1.0)], small.setting, 4)
    first, other = objectives(small, agent, range(2)), objectives(large, agent, range(3))
    assert objectives(small, agent, range(2)) == first
    assert other == objectives(large, ReconsiderAgent([scorer(1.0)], large.setting, 4), range(3))


# --- breakdowns -------------------------------------------------------------------------------------------------------


def test_the_plan_does_not_depend_on_the_hidden_future() -> None:
    """Worlds that differ in what is still hidden are played alike until they show it."""
    times = [[6, 11, 90], [16, 5, 80], [12, 13, 70], [9, 7, 8]]
    machines = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0]]
    shops = [
        JobShopInstance.from_routes("shop", times, machines, windows=windows)
        for windows in ([[(100, 5000)], [], []], [[], [(100, 1000)], [(110, 900)]], [[], [], []])
    ]
    played = []
    for shop in shops:
        arena = arena_of(1, instance=shop, law="windows")
        arena.reset([Case(None, 0)])
        agent = ReconsiderAgent([scorer(1.0)], arena.setting, 6, None, 2)
        agent.begin(np.arange(1), [], np.array([7], dtype=np.uint64), arena.imagine())
        actions: list[tuple[int, list[int]]] = []
        while arena.running()[0] and arena.engine.metrics(0)["time"] < 100:
            chosen = agent.act(arena.observation(), arena.masks())
            actions.append((int(chosen[0]), agent._known[0].tolist()))
            arena.step(chosen)
        played.append(actions)
    assert len(played[0]) > 3
    assert played[0] == played[1] == played[2]


class Following(Agent):
    """Follows the plan that reconsidering knows, without sampling others."""

    name = "following"

    def __init__(self, plans: NDArray[np.int64], arena: EngineArena) -> None:
        self._plans, self._arena = plans, arena

    def act(self, observation: Any, mask: Any) -> NDArray[np.int64]:
        follow = self._arena.engine.kernels.follow_plan
        assert follow is not None
        engine = self._arena.engine
        actions = mask.argmax(axis=1)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            action = int(follow(engine.problem, engine.state, copy, self._plans[copy], 0))
            actions[copy] = action if action >= 0 else actions[copy]
        return actions


class ByFollower(Agent):
    """The exact planners' follower of a schedule."""

    name = "by-follower"

    def __init__(self, arena: EngineArena, schedules: list[Any], options: dict[str, Any]) -> None:
        self._follower = PlanFollower(arena.setting, JobShopOptions(**options))
        for copy, schedule in enumerate(schedules):
            self._follower.follow(copy, schedule)

    def act(self, observation: Any, mask: Any) -> NDArray[np.int64]:
        return self._follower.act(observation, mask)


@pytest.mark.parametrize("on_breakdown", ["resume", "repeat"])
@pytest.mark.parametrize("options", MODES, ids=str)
def test_plans_are_followed_in_order(options: dict[str, Any], on_breakdown: str) -> None:
    """By right shift, as a solver's schedule is: nothing lengthens a play but the breakdowns."""
    cautious = {"deadlock": "banker"} if options["blocking"] == "no-swap" else {}
    calm = arena_of(8, **options, **cautious)
    schedules = [e.schedule for e in play(calm, scorer(1.0), [Case(None, seed) for seed in range(8)])]
    shops = [schedule.instance for schedule in schedules] * 3
    windy = options if "mode" in options else {**options, **BREAKDOWNS, "on_breakdown": on_breakdown}
    arena = open_arena(JOB_SHOP, len(shops), {"instance": shops[:8], **windy})
    assert isinstance(arena, EngineArena)
    cases = [Case(shop, seed) for seed, shop in enumerate(shops)]
    room = plan_room(arena.engine)
    plans = np.full((len(shops), room), 2**40, dtype=np.int64)
    for copy, schedule in enumerate(schedules * 3):
        plans[copy] = schedule.start.ravel()
    arena.reset(cases)
    by_plan = play(arena, Following(plans, arena), cases)
    by_follower = play(arena, ByFollower(arena, schedules * 3, windy), cases)
    assert [e.schedule.start.tolist() for e in by_plan] == [e.schedule.start.tolist() for e in by_follower]
    assert sum(e.metrics["breakdowns"] for e in by_plan) > 0 or "mode" in options, "there are none in construct mode"
    assert all(e.metrics["finished"] for e in by_plan)


# --- time -------------------------------------------------------------------------------------------------------------


def test_seconds_are_kept_within_a_round() -> None:
    arena = arena_of(1, instance="la16")
    agent = ReconsiderAgent([scorer(1.0)], arena.setting, 16, 1e-9)
    objectives(arena, agent, [0])
    began = time.process_time()
    objectives(arena, agent, [0])
    least = time.process_time() - began  # one round at each decision
    for seconds in (3 * least, 6 * least):
        agent = ReconsiderAgent([scorer(1.0)], arena.setting, 16, seconds)
        began = time.process_time()
        objectives(arena, agent, [0])
        assert 0.7 * seconds < time.process_time() - began < 1.3 * seconds + 0.1


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reconsider:tries=0", "option tries of agent 'reconsider' is 0, expected an integer from 1"),
        ("reconsider:time=0", "option time of agent 'reconsider' is 0, expected seconds, above 0"),
        ("reconsider:of=sptt", "unknown agent 'sptt'; did you mean 'spt'"),
        ("reconsider:of=./nobody", "checkpoint './nobody' is neither a folder nor shipped"),
        ("reconsider:of=checkpoints/job_shop_scorer:temperature=0", "option temperature is 0, expected a number above"),
        ("reconsider:of=random:temperature=9", "option temperature is for checkpoints, and of names none"),
        ("reconsider:of=checkpoints/job_shop_scorer@simulations=2", "simulations"),
        ("reconsider:try=3", "unknown option of agent 'reconsider': 'try'"),
        ("reconsider:worlds=2", "option worlds is for worlds with random events, and here are none"),
        ("reconsider:planning=2", "option planning is the time of the first plan; it needs plan"),
    ],
)
def test_wrong_options(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        make_agent(name, arena_of(1).setting)
    assert "\n" not in str(caught.value)


def test_samplers_may_have_options_of_their_own() -> None:
    arena = arena_of(1)
    for of in ("checkpoints/job_shop_scorer@temperature=0.3+random", "checkpoints/job_shop_alphazero@simulations=0"):
        agent = make_agent(f"reconsider:of={of}:tries=2", arena.setting)
        assert objectives(arena, agent, [0])[0] > 0


def test_typical_worlds_are_what_is_imagined() -> None:
    """One may rely on it: the engine says so, and its typical world has no breakdowns that are not seen already."""
    arena = arena_of(1, **BREAKDOWNS)
    arena.reset([Case(None, 0)])
    imagined = arena.engine.imagine(np.zeros(1, dtype=np.int64), np.full(1, TYPICAL))
    while imagined.is_running()[0]:
        imagined.step(imagined.masks.argmax(axis=1))
    assert imagined.metrics(0)["breakdowns"] == 0
