"""Rules of restless bandits: what they pick, on small instances and against exact values."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.rules.agent import RuleAgent
from makespan.agents.rules.restless_bandits import RULES
from makespan.envs.restless_bandits.feasible import Cardinality
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.known_cases import known_case
from makespan.envs.restless_bandits.prices import price_arms
from makespan.envs.restless_bandits.schedule import BanditSchedule
from support.bandit_exact import policy_value, solve

CASES = [Case(None, seed) for seed in (3, 4)]


def greedy(instance: BanditInstance, gains: np.ndarray) -> np.ndarray:
    """Elements by greatest gain while they fit and pay; of equal ones the lowest."""
    action = np.zeros(instance.num_elements, dtype=np.int8)
    while True:
        able = np.flatnonzero(instance.feasible.extendable(action))
        if not len(able) or gains[able].max() < 0:
            return action
        action[able[int(gains[able].argmax())]] = 1


@pytest.mark.parametrize("name", ["cardinality-j20-0", "capacity-j20-3", "path-j20-1"])
def test_the_index_rule_packs_the_gains_greedily(name: str) -> None:
    (rule,) = [rule for rule in RULES if rule.name == "index"]
    arena = open_arena("makespan/RestlessBandits-v0", 2, {"instance": name})
    (schedule, _) = (episode.schedule for episode in play(arena, RuleAgent([rule], arena.setting), CASES))
    assert isinstance(schedule, BanditSchedule)
    gain = price_arms(schedule.instance).gain.astype(np.float32)
    arms = np.arange(schedule.instance.num_arms)
    for t, action in enumerate(schedule.actions):
        expected = greedy(schedule.instance, gain[t, arms, schedule.states[t], 1])
        assert action.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["k1", "k2a", "k2b", "k3", "k5a"])
def test_the_index_is_worth_nearly_the_optimum_on_small_cases(name: str) -> None:
    instance = known_case(name)
    gain = price_arms(instance).gain
    arms = np.arange(instance.num_arms)
    value = policy_value(instance, lambda t, s: greedy(instance, gain[t, arms, list(s), 1]))
    exact = solve(instance)
    assert value <= exact.optimum + 1e-9
    assert value >= 0.9 * exact.optimum
    assert value > exact.myopic or name == "k5a"


def test_the_price_balances_supply_and_use() -> None:
    instance = draw_instance(Size("cardinality", 20), 0)
    priced = price_arms(instance)
    free = price_arms(instance.with_feasible(Cardinality(20, 20)))
    assert priced.price > 0.0
    assert free.price == 0.0
    assert priced.gain.shape == (20, 20, 4, 2)
    assert (priced.gain[..., 0] == 0.0).all()
    # In the last epoch only the next reward counts.
    assert instance.up is not None
    lift = instance.up[:, 1] - instance.up[:, 0]
    difference = instance.reward[:, [1, 2, 3, 3]] - instance.reward[:, [0, 0, 1, 2]]
    np.testing.assert_allclose(priced.gain[-1, :, :, 1], lift[:, None] * difference, atol=1e-12)
