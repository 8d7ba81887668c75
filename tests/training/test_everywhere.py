"""Every generic agent trains on every environment of ours, from nothing but the environment's name, and plays there."""

from __future__ import annotations

from pathlib import Path

import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.registry import BUILT_IN
from makespan.training.config import TrainConfig
from makespan.training.run import train

IDS = tuple(env_id for env_id, *_ in BUILT_IN)
SMALL = {
    "makespan/JobShop-v0": "ft06",
    "makespan/MemoryMapping-v0": "random:size=12",
    "makespan/RestlessBandits-v0": "cardinality-j8-0",
    "makespan/SocDag-v0": "paper-wifi-tx",
    "makespan/StaticDag-v0": "topcuoglu",
    "makespan/AirMobility-v0": "random:size=4x6",
}
AGENTS = ("scorer", "graph-ppo", "attention-ppo", "slots-ppo", "muzero", "alphazero")
# One of each row and column is quick enough for every run of the tests.
SHORT = set(zip(IDS, ("attention-ppo", "graph-ppo", "muzero", "slots-ppo", "alphazero", "scorer"), strict=True))


def _cells() -> list:
    return [
        pytest.param(env_id, agent, marks=() if (env_id, agent) in SHORT else pytest.mark.slow)
        for env_id in IDS
        for agent in AGENTS
    ]


@pytest.mark.parametrize(("env_id", "agent"), _cells())
def test_it_trains_and_plays_without_special_cases(env_id: str, agent: str, tmp_path: Path) -> None:
    config = TrainConfig(
        env=env_id,
        agent=agent,
        out=str(tmp_path / "run"),
        instances=SMALL[env_id],
        steps=64,
        copies=4,
        rollout=8,
        batch=16,
        width=8,
        layers=1,
        simulations=2,
        evolve_directions=2,
        evolve_worlds=2,
        validation_worlds=2,
    )
    folder = train(config, quiet=True)
    arena = open_arena(env_id, 1, {"instance": SMALL[env_id]})
    (episode,) = play(arena, make_agent(str(folder / "last"), arena.setting), [Case(None, 7)])
    assert episode.decisions > 0
    assert episode.metrics.get("status", "finished") != "illegal"
