"""Plain Python environments that offer no more than they must are played, compared and trained on like any other."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from makespan.agents.arena import Case, PlainArena, has_engine, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.check import check_contract
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.core.spec import Feature, ObservationSpec, Sizes

ENV_ID = "test-plain/Knapsack-v0"
SPEC = ObservationSpec(
    nodes=(),
    edges=(),
    globals=(Feature("room"),),
    action_nodes=(),
    action_features=(Feature("value"), Feature("weight")),
    special_actions=("stop",),
)


class Knapsack(gymnasium.Env):
    """Take items until STOP: something to be made large, without nodes, edges, instances or schedules."""

    metadata = {"render_modes": [], "objective": {"name": "value", "unit": "1", "sense": "max"}}
    observation_spec = SPEC

    def __init__(self, items: int = 5):
        if isinstance(items, bool) or not isinstance(items, int) or not 1 <= items <= 1000:
            raise ValueError(f"items is {items!r}, expected an integer from 1 to 1000")
        self.items = items
        self.observation_space = SPEC.space(Sizes(nodes={}, edges={}, actions=items + 1))
        self.action_space = spaces.Discrete(items + 1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(2**62, 2**63)) if seed is None else seed
        rng = np.random.default_rng(self._seed)
        self._value, self._weight = rng.integers(1, 10, self.items), rng.integers(1, 6, self.items)
        self._taken = np.zeros(self.items, dtype=np.bool_)
        observation = self._observe()
        return observation, {"action_mask": observation["action_mask"]}

    def action_masks(self):
        fits = self._weight <= 10 - self._weight @ self._taken
        return np.append(fits & ~self._taken, True)

    def _observe(self):
        room = (10 - self._weight @ self._taken) / 10
        features = np.zeros((self.items + 1, 2), dtype=np.float32)
        features[:-1] = np.stack([self._value / 10, self._weight / 10], axis=1)
        return {
            "globals": np.array([room], dtype=np.float32),
            "actions/nodes": np.zeros((self.items + 1, 0), dtype=np.int32),
            "actions/features": features,
            "action_mask": self.action_masks().astype(np.int8),
        }

    def step(self, action):
        stop = bool(not self.action_masks()[action] or action == self.items)
        reward = 0.0 if stop else float(self._value[action])
        if not stop:
            self._taken[action] = True
        observation = self._observe()
        info = {"action_mask": observation["action_mask"]}
        if stop:
            info |= {"objective": int(self._value @ self._taken), "metrics": {}, "seed": self._seed, "instance": ""}
        return observation, reward, stop, False, info


def own_vector_door(num_envs, **options):
    makers = [lambda: Knapsack(**options) for _ in range(num_envs)]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.fixture(params=["without a vector door", "with one of its own"])
def env_id(request):
    door = own_vector_door if request.param == "with one of its own" else None
    gymnasium.register(
        id=ENV_ID,
        entry_point=Knapsack,  # type: ignore[arg-type]
        vector_entry_point=door,
    )
    yield ENV_ID
    del gymnasium.registry[ENV_ID]


def test_it_keeps_the_contract(env_id):
    assert [finding for finding in check_contract(env_id) if finding.outcome == "failed"] == []


def test_it_is_played_by_objects_one_by_one(env_id):
    assert not has_engine(env_id)
    arena = open_arena(env_id, 6, {"items": 7})
    assert isinstance(arena, PlainArena)
    assert arena.setting.sign == -1
    episodes = play(arena, make_agent("random", arena.setting), [Case(None, seed) for seed in range(6)])
    assert [episode.seed for episode in episodes] == list(range(6))
    for episode in episodes:
        assert (episode.instance, episode.schedule) == ("", None)
        assert episode.objective >= 0
        assert episode.decisions >= 1


def test_the_largest_of_several_tries_counts(env_id):
    """Where the objective is to be large, the best try is the largest, and more tries are never worse."""
    values = []
    for samples in (1, 8, 64):
        arena = open_arena(env_id, 4 * samples)
        agent = make_agent(f"random:samples={samples}", arena.setting)
        values.append([episode.objective for episode in play(arena, agent, [Case(None, seed) for seed in range(4)])])
    few, more, many = np.array(values)
    assert np.all(few <= more)
    assert np.all(more <= many)
    assert np.any(few < many)


def test_an_illegal_action_is_refused_for_it(env_id):
    arena = open_arena(env_id, 2)
    arena.reset([Case(None, 0), Case(None, 1)])
    with pytest.raises(ValueError, match="copy 1: action 99 is illegal"):
        arena.step(np.array([0, 99]))


def test_what_needs_more_says_so(env_id):
    arena = open_arena(env_id, 1)
    assert arena.imagine() is None
    with pytest.raises(UserError):
        make_agent("rollout", arena.setting)
    with pytest.raises(UserError):
        make_agent("best-rule", arena.setting)


def test_options_that_it_does_not_take_are_named(env_id):
    with pytest.raises(UnknownNameError, match="'item'; did you mean 'items'"):
        open_arena(env_id, 1, {"item": 3})


def test_the_bridge_trains_on_it(env_id):
    pytest.importorskip("sb3_contrib")
    from makespan.training.bridge import Bridge, make_vector_env

    bridge = Bridge(make_vector_env(env_id, 3, {"items": 4}))
    bridge.seed(0)
    observation = bridge.reset()
    rng = np.random.default_rng(0)
    for _ in range(40):
        masks = bridge.action_masks()
        np.testing.assert_array_equal(masks, observation["action_mask"] != 0)
        bridge.step_async(np.array([rng.choice(np.flatnonzero(mask)) for mask in masks]))
        observation, _, _, _ = bridge.step_wait()
        np.testing.assert_array_equal(bridge.elapsed, 1.0)  # without a clock every decision is one unit
    assert len(bridge.take_finished()) > 5
