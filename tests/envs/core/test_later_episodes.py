"""Episodes after the first: both doors play the same, and each can be replayed from its seed."""

import numpy as np
import pytest
from makespan.envs.job_shop.env import JobShopEnv, JobShopVectorEnv


@pytest.mark.parametrize("options", [{}, {"instance": "ft06,la01-la03", "law": "bernoulli"}])
def test_a_copy_that_ends_alone_begins_the_episode_of_its_own_seed(options):
    """With one copy of several ending, its next random instance must come from its seed, not from a neighbour's."""
    many = JobShopVectorEnv(num_envs=3, **options)
    single = JobShopEnv(**options)
    observation, _ = many.reset(seed=11)
    rng = np.random.default_rng(0)
    begun = 0
    while begun < 6:
        actions = [rng.choice(np.flatnonzero(mask)) for mask in observation["action_mask"]]
        observation, _, terminated, truncated, _ = many.step(actions)
        for copy in np.flatnonzero(terminated | truncated).tolist():
            row, info = single.reset(seed=int(many.engine.seeds[copy]))
            assert info["instance"] == many.engine.instance_name(copy)
            for key, value in row.items():
                np.testing.assert_array_equal(observation[key][copy], value, err_msg=key)
            begun += 1
