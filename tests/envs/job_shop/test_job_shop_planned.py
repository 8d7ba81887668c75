"""Plans that are followed: the order that was played is kept, and delays only shift it to the right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena
from makespan.agents.catalogue import make_agent
from makespan.envs.core.planned import make_follower, plan_room, play_planned
from makespan.envs.core.random import TYPICAL
from makespan.envs.job_shop.state import INFINITY

ALWAYS = 2**62
COPIES = 40


def sample(options: dict[str, Any], until: int, plans: np.ndarray | None = None, world: int | None = None) -> Any:
    """Random play of forty shops, after following plans; (engine, first actions, plans, numbers of decisions)."""
    arena = open_arena("makespan/JobShop-v0", COPIES, {"instance": "random:size=5x4+6x3", **options})
    arena.reset([Case(None, seed) for seed in range(COPIES)])
    imagine = arena.imagine()
    assert imagine is not None
    copies = np.arange(COPIES)
    engine = imagine(copies, np.full(COPIES, TYPICAL) if world is None else (world + copies).astype(np.uint64))
    agent = make_agent("random:wait=1", arena.setting)
    agent.begin(copies, [], copies.astype(np.uint64), None)
    choice = agent.compiled_choice(COPIES)
    assert choice is not None
    if plans is None:
        plans = np.zeros((COPIES, plan_room(engine)), dtype=np.int64)
    return engine, *play_planned(engine, *choice[:4], plans, np.full(COPIES, until))


MODES = [
    {"blocking": "swap"},
    {"blocking": "none"},
    {"blocking": "none", "mode": "construct"},
    {"blocking": "no-swap", "deadlock": "banker"},
    {"blocking": "swap", "law": "bernoulli", "p": 0.01},
    {"blocking": "swap", "law": "bernoulli", "p": 0.01, "on_breakdown": "repeat"},
]


@pytest.mark.parametrize("options", MODES, ids=lambda options: "-".join(map(str, options.values())))
def test_a_plan_that_is_followed_where_it_was_made_is_never_longer(options: dict[str, Any]) -> None:
    engine, _, plans, _ = sample(options, 0)
    first = engine.objectives()
    assert (plans < INFINITY).any(axis=1).all()
    again, _, noted, _ = sample(options, ALWAYS, plans)
    if options.get("deadlock") == "banker":  # its test may refuse what is only safe in time
        assert np.mean(again.objectives() <= first) > 0.9
        return
    assert (again.objectives() <= first).all()
    if options.get("mode") != "construct":  # where nobody waits
        assert (again.objectives() < first).any()
    third, *_ = sample(options, ALWAYS, noted)
    assert (third.objectives() == again.objectives()).all()


@pytest.mark.parametrize("repair", ["resume", "repeat"])
def test_breakdowns_delay_a_plan_and_keep_its_order(repair: str) -> None:
    options = {"law": "bernoulli", "p": 0.01, "on_breakdown": repair}
    _, _, plans, _ = sample(options, 0)
    calm, _, planned, _ = sample(options, ALWAYS, plans)
    hit, _, kept, _ = sample(options, ALWAYS, planned, world=7)
    assert (hit.objectives() >= calm.objectives()).all()
    assert (hit.objectives() > calm.objectives()).mean() > 0.5
    route = hit.problem.route
    for copy in range(COPIES):
        jobs, steps = route.shape[1:]
        before, after = planned[copy].reshape(jobs, steps), kept[copy].reshape(jobs, steps)
        for machine in range(route.max() + 1):
            here = route[copy] == machine
            times, dates = before[here], after[here]
            assert (np.diff(dates[np.argsort(times, kind="stable")]) > 0).all()


def test_a_plan_is_followed_for_as_long_as_it_is_asked_for() -> None:
    _, first, plans, taken = sample({}, 0)
    _, again, _, _ = sample({}, 1, plans)
    _, followed, _, _ = sample({}, ALWAYS, plans)
    assert (again == followed).all()
    assert (first != again).any()  # random play begins with a WAIT here and there, which a plan has no need of
    assert (taken > 5).all()  # jobs that swap places enter without a decision


def test_following_by_observations_is_the_same() -> None:
    _, _, plans, _ = sample({}, 0)
    compiled, *_ = sample({}, ALWAYS, plans)
    arena = open_arena("makespan/JobShop-v0", COPIES, {"instance": "random:size=5x4+6x3"})
    arena.reset([Case(None, seed) for seed in range(COPIES)])
    assert arena.engine is not None
    follow_all, note_all = make_follower(arena.engine.kernels)
    actions = np.zeros(COPIES, dtype=np.int64)
    while arena.running().any():
        follow_all(arena.engine.problem, arena.engine.state, plans, 0, actions)
        assert (actions >= 0)[arena.running()].all()
        arena.step(np.maximum(actions, 0))
    assert (arena.objectives() == compiled.objectives()).all()
    noted = np.zeros_like(plans)
    note_all(arena.engine.problem, arena.engine.state, noted)
    again, *_ = sample({}, ALWAYS, noted)
    assert (again.objectives() == arena.objectives()).all()
