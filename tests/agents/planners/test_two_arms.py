"""Two-armed traps: one choice is better in some lucky worlds and worse on average, and planners know the average.

The job shop's own is in tests/envs/job_shop/test_job_shop_imagine.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from makespan.agents.agent import Agent
from makespan.agents.arena import Arena, Case, open_arena
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility.catalogue import make
from makespan.envs.air_mobility.instance import AirInstance, AirNetwork
from makespan.envs.core.player import play_out
from makespan.envs.restless_bandits.feasible import Cardinality
from makespan.envs.restless_bandits.instance import BanditInstance
from numpy.typing import NDArray
from support import soc_graphs

COPIES = 60


@dataclass(frozen=True)
class Trap:
    """A decision between two actions.

    Attributes:
        before: actions that lead to it.
        safe: the action of the better mean.
        gamble: the one that luck may favour.
        rule: who goes on, in what is imagined and in truth.
    """

    env_id: str
    options: dict[str, Any]
    before: tuple[int, ...]
    safe: int
    gamble: int
    rule: str


def sure_or_lucky_arm() -> Trap:
    """One visit: arm 0 then pays 1 for sure; arm 1 pays 3, but only one time in five."""
    transition = np.zeros((2, 2, 2, 2))
    transition[:, 0, :, 0] = 1.0
    transition[0, 1, :, 1] = 1.0
    transition[1, 1, :] = 0.8, 0.2
    reward, start = np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    instance = BanditInstance("two-arms", transition, reward, start, 1, Cardinality(2, 1))
    return Trap("makespan/RestlessBandits-v0", {"instance": [instance]}, (), 0, 1, "index")


def short_queue_or_slow_core() -> Trap:
    """A task waits behind one of noisy length 20 to take 10, or takes 36 elsewhere, which is better if the other drags
    on: 30 against 36 on average."""
    instance = soc_graphs.instance([[20, -1], [10, 36]], [])
    return Trap("makespan/StaticDag-v0", {"instance": [instance], "noise": 0.3}, (2,), 0, 1, "heft")


def stay_or_fly_to_fetch() -> Trap:
    """An empty flight of $30 to where 0.15 passengers are expected, each of whom pays more than both flights."""
    network = AirNetwork(
        "two-pads", ("V0", "V1"), np.full(2, 34.0), -118.0 + np.array([0.0, 12.0]) / 57.0,
        np.full(2, 2), np.ones(2), np.full(2, 2), np.full(2, 4), np.full(2, 300), np.array([[0, 1200], [1200, 0]]),
    )  # fmt: skip
    made = make(network, "medium", fleet=1)
    fare, forecast = made.fare.copy(), np.zeros_like(made.forecast)
    fare[1, 0] *= 12
    forecast[1, 0, 2] = 0.15
    instance = AirInstance(
        "two-pads", network, made.vehicle, "none", 0.15, forecast, fare, np.zeros(1, dtype=np.int64), made.start_energy
    )
    return Trap("makespan/AirMobility-v0", {"instance": [instance], "noise": 0.0}, (), 0, 1, "greedy-profit")


TRAPS = [sure_or_lucky_arm, short_queue_or_slow_core, stay_or_fly_to_fetch]


def at_the_decision(trap: Trap) -> Arena:
    """Worlds of different seeds, at the decision."""
    arena = open_arena(trap.env_id, COPIES, trap.options)
    arena.reset([Case(None, seed) for seed in range(COPIES)])
    for action in trap.before:
        arena.step(np.full(COPIES, action))
    assert (arena.masks()[:, [trap.safe, trap.gamble]] == 1).all()
    return arena


def choices(trap: Trap, worlds: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What rollout with so many imagined worlds chooses."""
    arena = at_the_decision(trap)
    agent = make_agent(f"rollout:of={trap.rule}:worlds={worlds}", arena.setting)
    agent.begin(np.arange(COPIES), arena.instances(), keys, arena.imagine())
    return agent.act(arena.observation(), arena.masks())


def true_costs(trap: Trap, action: int) -> NDArray[np.float64]:
    """What an action comes to in each of the true worlds."""
    arena = at_the_decision(trap)
    arena.step(np.full(COPIES, action))
    rule: Agent = make_agent(trap.rule, arena.setting)
    rule.begin(np.arange(COPIES), [], np.zeros(COPIES, dtype=np.uint64), None)
    choice = rule.compiled_choice(COPIES)
    assert choice is not None
    assert arena.engine is not None
    play_out(arena.engine, *choice)
    return arena.setting.sign * arena.objectives()


@pytest.mark.parametrize("make_trap", TRAPS)
def test_many_imagined_worlds_find_the_better_mean_whatever_luck_the_true_one_has(make_trap: Any) -> None:
    trap = make_trap()
    lucky = true_costs(trap, trap.gamble) < true_costs(trap, trap.safe)
    assert 3 <= lucky.sum() <= COPIES // 3, "luck favours the gamble in some of the true worlds"
    keys = np.arange(COPIES, dtype=np.uint64)
    chosen = choices(trap, 256, keys)
    assert (chosen == trap.safe).all()


@pytest.mark.parametrize("make_trap", TRAPS)
def test_one_imagined_world_may_mislead_but_not_towards_the_true_one(make_trap: Any) -> None:
    """Else the trap would be none; and whoever falls into it does so by the world imagined, not by the one at hand."""
    trap = make_trap()
    keys = np.arange(COPIES, dtype=np.uint64)
    chosen = choices(trap, 1, keys)
    assert {trap.safe, trap.gamble} == set(chosen.tolist())
    by_key = choices(trap, 1, keys[::-1].copy())
    assert np.array_equal(by_key[::-1], chosen), "worlds that look alike and imagine by the same key choose alike"
