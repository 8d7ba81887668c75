"""What `benchmarks/speed.py` measures of makespan itself, as a process that answers cases (see `peers/worker.py`)."""

from __future__ import annotations

from typing import Any

import gymnasium
import makespan
import numpy as np
from makespan.envs.core.compile import compiled
from makespan.envs.core.random import mix
from makespan.envs.job_shop.env import make_engine
from peers.worker import Chunk, Count, serve

STEPS = 200
# Every decision of a shop in which nobody may wait puts an operation on a machine, as in the peers' shops.
SHOPS: dict[str, dict[str, Any]] = {
    "blocking with swaps": {"blocking": "swap"},
    "classical, no waiting": {"blocking": "none", "allow_wait": False},
    "blocking with swaps, breakdowns": {"blocking": "swap", "law": "bernoulli", "p": 0.005},
}


@compiled
def choose_random(masks, states, actions):
    """A random legal action for each copy; `states` (uint64 [n]) is the generator's. Returns how many are WAIT."""
    waits = 0
    for i in range(len(actions)):
        legal = 0
        for slot in range(masks.shape[1]):
            legal += masks[i, slot]
        actions[i] = 0
        if legal == 0:
            continue
        states[i] = mix(states[i])
        left = np.int64(states[i] % np.uint64(legal))
        for slot in range(masks.shape[1]):
            if masks[i, slot] == 1:
                if left == 0:
                    actions[i] = slot
                    break
                left -= 1
        if actions[i] == masks.shape[1] - 1:
            waits += 1
    return waits


def engine_chunk(shop: str, size: str, batch: int, threads: int) -> Chunk:
    """The engine with full observations in its own buffers; ended copies begin a fresh random instance."""
    engine = make_engine(batch, instance=f"random:size={size}", threads=threads, **SHOPS[shop])
    engine.reset(np.arange(batch))
    states = np.arange(batch, dtype=np.uint64)
    actions = np.zeros(batch, dtype=np.int64)
    next_seed = batch

    def chunk() -> Count:
        nonlocal next_seed
        waits = 0
        for _ in range(STEPS):
            waits += choose_random(engine.masks, states, actions)
            outcome = engine.step(actions, check=False)
            ended = np.flatnonzero(outcome.terminated | outcome.truncated)
            if len(ended):
                engine.reset(np.arange(next_seed, next_seed + len(ended)), copies=ended)
                next_seed += len(ended)
        steps = STEPS * batch
        return Count(steps, steps, steps - waits)

    return chunk


def vector_chunk(shop: str, size: str, batch: int) -> Chunk:
    """`VectorEnv.step` of recorded random actions: nothing else is timed but the reset at the begin."""
    vector = gymnasium.make_vec("makespan/JobShop-v0", num_envs=batch, instance=f"random:size={size}", **SHOPS[shop])
    _, info = vector.reset(seed=0)
    states = np.arange(batch, dtype=np.uint64)
    recorded = np.zeros((STEPS, batch), dtype=np.int64)
    waits = 0
    for actions in recorded:
        waits += choose_random(info["action_mask"], states, actions)
        *_, info = vector.step(actions)

    def chunk() -> Count:
        vector.reset(seed=0)
        for actions in recorded:
            vector.step(actions)
        return Count(recorded.size, recorded.size, recorded.size - waits)

    return chunk


def env_chunk(shop: str, size: str) -> Chunk:
    """`Env.step` of one recorded random episode."""
    env = gymnasium.make("makespan/JobShop-v0", instance=f"random:size={size}", **SHOPS[shop]).unwrapped
    _, info = env.reset(seed=0)
    states, chosen = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)
    recorded: list[int] = []
    waits, ended = 0, False
    while not ended:
        waits += choose_random(info["action_mask"][None, :], states, chosen)
        recorded.append(int(chosen[0]))
        _, _, terminated, truncated, info = env.step(recorded[-1])
        ended = terminated or truncated

    def chunk() -> Count:
        env.reset(seed=0)
        for action in recorded:
            env.step(action)
        return Count(len(recorded), len(recorded), len(recorded) - waits)

    return chunk


def rules_chunk(shop: str, instances: str) -> Chunk:
    """Every rule on a list of instances, from the reset to the schedules. A step is a decision."""
    from makespan.agents.arena import Case, open_arena, play
    from makespan.agents.catalogue import make_agent
    from makespan.agents.rules.rule import applicable_rules
    from makespan.envs.job_shop.generator import resolve

    cases = [Case(instance, 0) for instance in resolve(instances)]
    arena = open_arena("makespan/JobShop-v0", len(cases), {"instance": instances, **SHOPS[shop]})
    rules = applicable_rules(arena.setting.env_id, arena.setting.options)
    agents = [make_agent(name, arena.setting) for name in rules]

    def chunk() -> Count:
        steps, waits = 0, 0
        for agent in agents:
            for episode in play(arena, agent, cases):
                steps += episode.decisions
                waits += episode.metrics["waits"]
        return Count(steps, steps, steps - waits)

    return chunk


def make(case: str) -> Chunk:
    """Case "engine:SHOP:SIZE:BATCH:THREADS", "vector:SHOP:SIZE:BATCH", "env:SHOP:SIZE" or "rules:SHOP:INSTANCES"."""
    kind, shop, *rest = case.split(":")
    if kind == "engine":
        return engine_chunk(shop, rest[0], int(rest[1]), int(rest[2]))
    if kind == "vector":
        return vector_chunk(shop, rest[0], int(rest[1]))
    return env_chunk(shop, rest[0]) if kind == "env" else rules_chunk(shop, rest[0])


if __name__ == "__main__":
    serve(f"makespan {makespan.__version__}", make)
