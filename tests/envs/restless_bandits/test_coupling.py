"""What observations say of arms that are coupled, against the instance; gains in a mean field."""

from __future__ import annotations

import gymnasium
import makespan  # noqa: F401
import numpy as np
import pytest
from makespan.envs.restless_bandits.generator import Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.observation import SPEC
from makespan.envs.restless_bandits.prices import price_arms
from numpy.typing import NDArray

NAMES = [feature.name for feature in SPEC.action_features]


def expected(instance: BanditInstance, epoch: int, states: NDArray, picked: NDArray) -> dict[str, NDArray]:
    """The coupled features of all arms, by definition."""
    arms = instance.num_arms
    gain = price_arms(instance).gain[epoch, np.arange(arms), states, 1]
    top = max(float(np.abs(instance.reward).max()), *(joint.weight for joint in instance.joint), 0.0)
    weight, outlook = np.zeros((arms, arms)), np.zeros(arms)
    for joint in instance.joint:
        for u in joint.arms:
            others = [v for v in joint.arms if v != u]
            weight[u, others] += joint.weight / top
            way = [min(states[v] + picked[v], joint.least) / joint.least for v in others]
            outlook[u] += joint.weight / top * np.prod(way)
    if instance.contagion is not None:
        for j, near in enumerate(instance.contagion.neighbours):
            weight[list(near), j] += 1.0 / len(near)
    return {
        "joint_outlook": outlook,
        "coupled_gain": weight @ (gain / top * (picked == 0)),
        "coupled_gain_picked": weight @ (gain / top * (picked > 0)),
        "coupled_state": weight @ (states / (instance.num_states - 1)),
    }


@pytest.mark.parametrize("family", ["zones", "corridor", "contagion"])
def test_coupled_features_are_what_they_say(family: str) -> None:
    instance, rng = draw_instance(Size(family, 20), 0), np.random.default_rng(0)
    env = gymnasium.make("makespan/RestlessBandits-v0", instance=instance)
    observation, info = env.reset(seed=3)
    looked, seen, ended = 0, set(), False
    while not ended:
        epoch = round(float(observation["globals"][0]) * instance.horizon)
        states = np.rint(observation["nodes/arm"][:, 4] * (instance.num_states - 1)).astype(np.int64)
        picked = observation["nodes/element"][:, 0]
        for name, values in expected(instance, epoch, states, picked).items():
            shown = observation["actions/features"][:20, NAMES.index(name)]
            np.testing.assert_allclose(shown[picked == 0], values[picked == 0], rtol=1e-4, atol=1e-5, err_msg=name)
            seen |= {name} if np.abs(shown).max() > 0 else set()
        looked += 1
        observation, _, ended, _, info = env.step(rng.choice(np.flatnonzero(info["action_mask"])))
    assert looked > 60
    assert seen >= {"coupled_gain", "coupled_gain_picked", "coupled_state"}
    assert ("joint_outlook" in seen) == bool(instance.joint)


@pytest.mark.parametrize("family", ["zones", "corridor", "contagion"])
def test_a_mean_field_makes_a_better_index(family: str) -> None:
    from makespan.agents.restless_bandits.simulation import Simulation
    from makespan.envs.restless_bandits import prices

    shared, met = [], []
    for number in range(4):
        instance = draw_instance(Size(family, 20), number)
        simulation = Simulation.of(instance)
        assert simulation is not None
        alone = prices._balance(instance, *prices._alone(instance))[0].gain
        shared.append(simulation.score(alone[..., 1], 200))
        met.append(simulation.score(price_arms(instance).gain[..., 1], 200))
    assert np.mean(met) > 1.03 * np.mean(shared)
