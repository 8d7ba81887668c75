"""Prints hashes of what every environment shows and does under given actions, as JSON: needs Python and the core alone.

    python tests/support/trace_hashes.py

A hash covers every byte of every observation, and what is told at the end. Whoever runs this under another version of
Python, with the same NumPy and Numba, gets the same hashes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import makespan  # noqa: F401

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.trajectories import pick, traces

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "job shop": ("makespan/JobShop-v0", {"instance": "random:size=3x3+4x2"}),
    "job shop with breakdowns": (
        "makespan/JobShop-v0",
        {"instance": "random:size=3x3", "law": "exponential", "mtbf": 90.0, "mttr": 15.0, "on_breakdown": "repeat"},
    ),
    "memory mapping": ("makespan/MemoryMapping-v0", {"instance": "random:size=30"}),
    "stream of DAGs": ("makespan/SocDag-v0", {"horizon": 500, "warmup": 20, "noise": 0.3, "mtbf": 300.0, "mttr": 40.0}),
    "static DAGs": ("makespan/StaticDag-v0", {"instance": "random:tasks=15+20", "noise": 0.2}),
    "air mobility": ("makespan/AirMobility-v0", {"instance": "rand3x4-medium-s7"}),
    "restless bandits": ("makespan/RestlessBandits-v0", {"instance": "corridor-j20-1"}),
    "restless bandits, contagion": ("makespan/RestlessBandits-v0", {"instance": "contagion-j20-0"}),
}
SEEDS = (3, 10, 11)


def engine_maker(env_id: str) -> Any:
    """What makes the environment's batch engine."""
    from makespan.envs.core.ids import find_env, single_creator

    return single_creator(find_env(env_id)).make_engine


def shown(observation: Mapping[str, Any]) -> bytes:
    """An observation's bytes."""
    return b"".join(key.encode() + array.tobytes() for key, array in sorted(observation.items()))


def of_single(env_id: str, options: Mapping[str, Any], seed: int) -> str:
    """A hash of an episode at the single door."""
    env = gymnasium.make(env_id, disable_env_checker=True, **options)
    observation, info = env.reset(seed=seed)
    digest, step, ended = hashlib.sha256(), 0, False
    while not ended:
        digest.update(shown(observation))
        observation, reward, terminated, truncated, info = env.step(pick(seed, step, observation["action_mask"]))
        digest.update(repr((reward, bool(terminated), bool(truncated), float(info["elapsed"]))).encode())
        ended = terminated or truncated
        step += 1
    digest.update(
        shown(observation) + repr(info["objective"]).encode() + repr(sorted(info["metrics"].items())).encode()
    )
    env.close()
    return digest.hexdigest()[:16]


def of_engine(env_id: str, options: Mapping[str, Any], **how: Any) -> list[str]:
    """Hashes of the episodes of `SEEDS`, side by side in one engine."""
    return [hashlib.sha256(trace).hexdigest()[:16] for trace in traces(engine_maker(env_id), options, SEEDS, **how)]


def all_hashes() -> dict[str, dict[str, Any]]:
    """Of every case."""
    return {
        name: {"engine": of_engine(*case), "single": [of_single(*case, seed) for seed in SEEDS]}
        for name, case in CASES.items()
    }


if __name__ == "__main__":
    print(json.dumps(all_hashes()))
