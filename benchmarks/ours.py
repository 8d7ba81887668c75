"""What `benchmarks/speed.py` measures of makespan itself, as a process that answers cases (see `peers/worker.py`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import makespan
import numpy as np
from makespan.envs.core.compile import compiled
from makespan.envs.core.random import mix
from makespan.envs.job_shop.env import make_engine
from peers.worker import Chunk, Count, serve

STEPS = 200
EXAMPLES = Path(makespan.__file__).resolve().parent / "examples"
# Every decision of a shop in which nobody may wait puts an operation on a machine, as in the peers' shops.
SHOPS: dict[str, dict[str, Any]] = {
    "blocking with swaps": {"blocking": "swap"},
    "classical, no waiting": {"blocking": "none", "allow_wait": False},
    "blocking with swaps, breakdowns": {"blocking": "swap", "law": "bernoulli", "p": 0.005},
}
# The others, as their own pages measure them: what the case is called, the id, and the options.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "memory mapping": ("makespan/MemoryMapping-v0", {}),
    "stream": ("makespan/SocDag-v0", {"instance": "ds3-six", "scale": 60.0, "horizon": 5000}),
    "dag": ("makespan/StaticDag-v0", {"instance": "random:tasks=50:pes=8:count=100"}),
    "air mobility": ("makespan/AirMobility-v0", {"instance": "la8-medium"}),
    "restless bandits": ("makespan/RestlessBandits-v0", {"instance": "random:size=cardinality-j20"}),
    "tardiness": ("total-tardiness/TotalTardiness-v0", {"instance": "random:jobs=50"}),
    "tardiness, a list": ("total-tardiness/TotalTardiness-v0", {"instance": "random:jobs=50:count=100"}),
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


def setting(name: str, size: str = "") -> tuple[str, dict[str, Any]]:
    """The id and the options of what is played: a shop of a size, or one of the others."""
    if name in SHOPS:
        return "makespan/JobShop-v0", {"instance": f"random:size={size}", **SHOPS[name]}
    if name.startswith("tardiness"):  # a package of its own, which need not be installed for this
        sys.path.insert(0, str(EXAMPLES / "total_tardiness"))
        from total_tardiness import plugin  # pyright: ignore[reportMissingImports]

        if plugin.ENV_ID not in gymnasium.registry:
            plugin.register()
    return OTHERS[name]


def vector_chunk(name: str, size: str, batch: int) -> Chunk:
    """`VectorEnv.step` of recorded random actions: nothing else is timed but the reset at the begin."""
    env_id, options = setting(name, size)
    vector = gymnasium.make_vec(env_id, num_envs=batch, **options)
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
        return Count(recorded.size, recorded.size, recorded.size - (waits if name in SHOPS else 0))

    return chunk


def env_chunk(name: str, size: str) -> Chunk:
    """`Env.step` of one recorded random episode."""
    env_id, options = setting(name, size)
    env = gymnasium.make(env_id, **options).unwrapped
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
        return Count(len(recorded), len(recorded), len(recorded) - (waits if name in SHOPS else 0))

    return chunk


def heft_chunk(tasks: int) -> Chunk:
    """HEFT's schedule of a graph, as often as a chunk takes milliseconds."""
    from heft import layered, ours

    _, lists = ours(layered(tasks))
    often = max(1, 10_000 // tasks)

    def chunk() -> Count:
        for _ in range(often):
            lists.plan("heft")
        return Count(often * tasks, often * tasks, often * tasks)

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
    """Case "engine:SHOP:SIZE:BATCH:THREADS", "vector:WHAT:SIZE:BATCH", "env:WHAT:SIZE", "rules:SHOP:LIST" or "heft:N".

    WHAT is a shop, or one of the others, whose SIZE is empty.
    """
    kind, what, *rest = case.split(":")
    if kind == "engine":
        return engine_chunk(what, rest[0], int(rest[1]), int(rest[2]))
    if kind == "vector":
        return vector_chunk(what, rest[0], int(rest[1]))
    if kind == "heft":
        return heft_chunk(int(what))
    return env_chunk(what, rest[0]) if kind == "env" else rules_chunk(what, rest[0])


if __name__ == "__main__":
    serve(f"makespan {makespan.__version__}", make)
