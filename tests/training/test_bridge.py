"""The bridge to Stable-Baselines3 and the rollout buffer that discounts by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from makespan.envs.core.env import SchedulingVectorEnv
from makespan.envs.core.errors import UserError
from makespan.training.bridge import Bridge, make_vector_env, training_seed
from makespan.training.buffer import ElapsedRolloutBuffer
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

JOB_SHOP = "makespan/JobShop-v0"
ENVS: list[tuple[str, dict[str, Any]]] = [
    (JOB_SHOP, {"instance": "random:size=3x2", "law": "bernoulli", "p": 0.01}),
    ("test/Doors-v0", {}),
    ("test/Doors-v0", {"limit": 3}),
]


def play(bridge: Bridge, steps: int, seed: int = 0) -> list[Any]:
    """(observation, actions, masks, outcome) of random legal play."""
    rng = np.random.default_rng(seed)
    bridge.seed(11)
    observation: Any = bridge.reset()
    rows = []
    for _ in range(steps):
        masks = bridge.action_masks()
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        outcome: Any = bridge.step(actions)
        rows.append((observation, actions, masks, outcome))
        observation = outcome[0]
    return rows


@pytest.mark.parametrize(("env_id", "options"), ENVS, ids=str)
def test_rules_of_a_vec_env(env_id: str, options: dict[str, Any]) -> None:
    bridge = Bridge(make_vector_env(env_id, 3, options))
    assert is_masking_supported(bridge)
    rows = play(bridge, 40)
    ends = np.stack([row[3][2] for row in rows])
    assert ends.any(axis=0).all(), "every copy has begun again"
    for number, (observation, _, masks, (following, reward, done, infos)) in enumerate(rows):
        assert bridge.observation_space.contains({key: array[0] for key, array in observation.items()})
        assert np.array_equal(masks, observation["action_mask"].astype(np.bool_))
        assert reward.shape == done.shape == (3,)
        assert reward.dtype == np.float32
        assert done.dtype == np.bool_
        for copy in range(3):
            assert ("final_observation" in infos[copy]) == bool(done[copy])
            # What Stable-Baselines3 would bootstrap from by itself, discounting by steps.
            assert not {"terminal_observation", "TimeLimit.truncated"} & infos[copy].keys()
            if done[copy]:
                final = infos[copy]["final_observation"]
                assert any(not np.array_equal(final[key], following[key][copy]) for key in final)
        if number + 1 < len(rows):
            assert rows[number + 1][0] is following
    assert np.array_equal(get_action_masks(bridge), bridge.action_masks())
    assert bridge.env_method("action_masks", indices=[1])[0].tolist() == bridge.action_masks()[1].tolist()
    assert len(bridge.take_finished()) == ends.sum()
    assert bridge.take_finished() == []
    bridge.close()


def test_what_an_engine_is_given_is_what_it_plays() -> None:
    """The same worlds, actions and rewards as in the environment itself."""
    env = make_vector_env(JOB_SHOP, 3, {"instance": "random:size=3x2"})
    assert isinstance(env, SchedulingVectorEnv)
    rows = play(Bridge(env), 30)
    other = make_vector_env(JOB_SHOP, 3, {"instance": "random:size=3x2"})
    observation, _ = other.reset(seed=11)
    for expected, actions, _, (_, reward, done, _) in rows:
        assert all(np.array_equal(expected[key], observation[key]) for key in observation)
        observation, other_reward, terminated, truncated, _ = other.step(actions)
        assert np.array_equal(reward, other_reward.astype(np.float32))
        assert np.array_equal(done, terminated | truncated)


@pytest.mark.parametrize(("limit", "length"), [(3, 3), (6, 5)])
def test_elapsed_and_truncation_of_plain_environments(limit: int, length: int) -> None:
    bridge = Bridge(make_vector_env("test/Doors-v0", 3, {"limit": limit}))
    bridge.seed(0)
    bridge.reset()
    for step in range(1, 14):
        _, _, done, infos = bridge.step(bridge.action_masks().argmax(axis=1))
        place = (step - 1) % length + 1
        assert bridge.elapsed.tolist() == [float(place)] * 3
        assert done.tolist() == [place == length] * 3
        assert bridge.truncated.tolist() == [place == length and limit < 5] * 3
        if place == length:
            assert infos[0]["final_observation"]["globals"][0] == pytest.approx(1 - length / 5)


def test_training_plays_seeds_that_nobody_types() -> None:
    seeds = {training_seed(seed, decisions) for seed in range(50) for decisions in (0, 64, 128)}
    assert len(seeds) == 150
    assert min(seeds) >= 2**62
    assert max(seeds) + 65_536 < 2**63
    assert training_seed(3) == training_seed(3, 0)


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("makespan/JobShop-v1", {}, "unknown environment 'makespan/JobShop-v1'; did you mean"),
        (JOB_SHOP, {"mod": "event"}, "unknown option of makespan/JobShop-v0 'mod'; did you mean 'mode'"),
        (JOB_SHOP, {"num_envs": 3}, "option 'num_envs' of makespan/JobShop-v0 cannot be given to training"),
        (JOB_SHOP, {"on_illegal": "terminate"}, "option 'on_illegal' of .* cannot be given to training"),
        (JOB_SHOP, {"wrappers": 1}, "option 'wrappers' of .* cannot be given to training"),
        ("test/Doors-v0", {"limits": 1}, "unknown option of test/Doors-v0 'limits'; did you mean 'limit'"),
        ("test/Doors-v0", {"id": "x"}, "option 'id' of .* cannot be given to training"),
    ],
)
def test_wrong_environments(env_id: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_vector_env(env_id, 2, options)


# --- the buffer -------------------------------------------------------------------------------------------------------


def reference(
    rewards: Any,
    values: Any,
    last: Any,
    ends: Any,
    elapsed: Any,
    bootstrap: Any,
    gamma: float,
    decay: float,
    scale: float,
) -> Any:
    """Advantages of one copy straight from the definition: sums of discounted temporal differences, step by step."""
    steps = len(rewards)
    advantages = []
    for start in range(steps):
        total, weight = 0.0, 1.0
        for step in range(start, steps):
            discount = gamma ** (elapsed[step] / scale)
            following = last if step + 1 == steps else values[step + 1]
            if ends[step]:
                following = bootstrap[step]  # 0 unless the episode was cut
            total += weight * (rewards[step] + discount * following - values[step])
            weight *= discount * decay
            if ends[step]:
                break
        advantages.append(total)
    return np.array(advantages)


@pytest.mark.parametrize("gamma", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("decay", [1.0, 0.95, 0.0])
def test_returns_equal_a_plain_reference(gamma: float, decay: float) -> None:
    rng = np.random.default_rng(int(100 * gamma + decay))
    bridge = Bridge(make_vector_env("test/Doors-v0", 3, {}))
    steps, scale = 25, 7.0
    buffer = ElapsedRolloutBuffer(
        steps, bridge.observation_space, bridge.action_space, "cpu", decay, gamma, 3, bridge=bridge, time_scale=scale
    )
    bridge.seed(0)
    observation = bridge.reset()
    rewards, values = rng.normal(size=(steps, 3)), rng.normal(size=(steps, 3))
    ends = rng.random((steps, 3)) < 0.25
    elapsed = rng.integers(0, 12, (steps, 3)) * (rng.random((steps, 3)) < 0.6)
    bootstrap = rng.normal(size=(steps, 3)) * (ends & (rng.random((steps, 3)) < 0.5))
    last = rng.normal(size=3)
    for _ in range(2):  # a second time in the same buffer
        buffer.reset()
        starts = np.ones(3, dtype=np.bool_)
        for step in range(steps):
            bridge.elapsed, bridge.bootstrap = elapsed[step].astype(np.float64), bootstrap[step]
            value = torch.as_tensor(values[step])
            buffer.add(
                observation, np.zeros((3, 1)), rewards[step].copy(), starts, value, torch.zeros(3),
                action_masks=np.ones((3, 4)),
            )  # fmt: skip
            starts = ends[step]
        buffer.compute_returns_and_advantage(torch.as_tensor(last), ends[-1])
        for copy in range(3):
            column = (rewards, values, ends, elapsed, bootstrap)
            r, v, e, t, b = (array[:, copy] for array in column)
            expected = reference(r, v, last[copy], e, t, b, gamma, decay, scale)
            np.testing.assert_allclose(buffer.advantages[:, copy], expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(buffer.returns[:, copy], expected + v, rtol=1e-4, atol=1e-4)
