"""Rules and random play in an environment of plain Python, and how light the registry of rules is."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import known_agents, make_agent
from makespan.agents.rules import rule as registry
from makespan.agents.rules.rule import Rule, register_rules
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import Feature, ObservationSpec, Sizes

ENV_ID = "test/Line-v0"
JOBS = 5


class Line(gymnasium.Env[Any, np.int64]):
    """One machine, jobs with random times; the objective is the sum of completion times. The last slot idles."""

    observation_spec = ObservationSpec((), (), (Feature("time"),), (), (Feature("time"),), ("idle",))
    metadata = {"render_modes": [], "objective": {"name": "total completion time", "unit": "1", "sense": "min"}}

    def __init__(self) -> None:
        self.observation_space = self.observation_spec.space(Sizes({}, {}, JOBS + 1))
        self.action_space = gymnasium.spaces.Discrete(JOBS + 1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._times = np.random.default_rng(seed).random(JOBS)
        self._open = np.ones(JOBS, dtype=np.int8)
        self._clock, self._total = 0.0, 0.0
        return self._observation(), {"instance": "line", "seed": seed}

    def step(self, action: Any) -> Any:
        if action == JOBS:
            self._clock += 1.0
        else:
            self._open[action] = 0
            self._clock += self._times[action]
            self._total += self._clock
        done = not self._open.any()
        info = {"instance": "line", "objective": self._total, "metrics": {}} if done else {}
        return self._observation(), 0.0, done, False, info

    def _observation(self) -> dict[str, Any]:
        mask = np.append(self._open, np.int8(self._open.any()))
        features = np.append(self._times, 0.0).astype(np.float32)[:, None] * mask[:, None]
        return {
            "globals": np.zeros(1, dtype=np.float32),
            "actions/nodes": np.zeros((JOBS + 1, 0), dtype=np.int32),
            "actions/features": features,
            "action_mask": mask,
        }


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register(ENV_ID, lambda **_: Line())
    register_rules(ENV_ID, [Rule("longest", (("time", -1),), "ours"), Rule("shortest", (("time", 1),), "Smith 1956")])
    yield
    gymnasium.registry.pop(ENV_ID)
    registry._registered.pop(ENV_ID)


def test_rules_play() -> None:
    arena = open_arena(ENV_ID, 3)
    cases = [Case(None, seed) for seed in range(3)]
    best = [episode.objective for episode in play(arena, make_agent("shortest", arena.setting), cases)]
    for seed, objective in enumerate(best):
        times = np.sort(np.random.default_rng(seed).random(JOBS))
        assert objective == pytest.approx(np.cumsum(times).sum(), rel=1e-6)
    chosen = make_agent("best-rule", arena.setting)
    assert chosen.remark == "shortest"
    assert [episode.objective for episode in play(arena, chosen, cases)] == best
    hindsight = make_agent("best-rule:hindsight=1", arena.setting)
    assert [e.objective for e in play(open_arena(ENV_ID, 6), hindsight, cases)] == best


def test_random_play_does_not_depend_on_the_batch() -> None:
    arena = open_arena(ENV_ID, 3)
    agent = make_agent("random", arena.setting)
    together = [e.objective for e in play(arena, agent, [Case(None, seed) for seed in range(3)])]
    alone = open_arena(ENV_ID, 1)
    assert play(alone, make_agent("random", alone.setting), [Case(None, 2)])[0].objective == together[2]


def test_what_needs_an_engine_says_so() -> None:
    setting = open_arena(ENV_ID, 1).setting
    assert known_agents(setting) == ["longest", "shortest", "random", "best-rule"]
    with pytest.raises(UserError, match="plain Python"):
        make_agent("rollout", setting)


def test_registering_rules_imports_nothing_heavy() -> None:
    code = (
        "import sys; from makespan.agents.rules.rule import Rule, register_rules, rules_of;"
        "rules_of('makespan/JobShop-v0');"
        "register_rules('x/Y-v0', [Rule('a', (('b', 1),), 'c')]); import makespan.agents.catalogue;"
        "print([name for name in ('numba', 'torch', 'ortools') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
