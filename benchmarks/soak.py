"""Millions of random legal steps per environment; resident memory before and after, which must stay flat.

    python benchmarks/soak.py --steps 10000000
    python benchmarks/soak.py --steps 200000 --envs makespan/JobShop-v0 --copies 64

Steps go through the vector door (`gymnasium.make_vec`), so that episodes end and begin anew, with new instances where
the environment makes them. Each environment has a process of its own. Memory is read ten times, first after a tenth of
the steps, when all is compiled and every buffer has its room; what is told as growth is the difference of the largest
of the last three and the largest of the first three.
Exits with 1 where memory grows by more than 1 MiB for each million steps, and by more than 16 MiB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
from makespan.envs.registry import contract_ids

_MIB = 2**20
_SAMPLES = 10
_ALLOWED, _ALLOWED_PER_MILLION = 16.0, 1.0  # MiB


def resident() -> float:
    """MiB of this process that lie in memory (Linux)."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / _MIB


def soak(env_id: str, steps: int, copies: int, seed: int) -> dict[str, Any]:
    """Step an environment at random.

    Returns:
        ``{"env", "steps", "episodes", "steps_per_second", "resident_mib": [...], "growth_mib"}``.
    """
    env = gymnasium.make_vec(env_id, num_envs=copies, on_illegal="raise")
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    calls = max(_SAMPLES + 2, -(-steps // copies))
    marks = set(np.linspace(calls // 10, calls - 1, _SAMPLES).astype(int).tolist())
    memory: list[float] = []
    episodes, began = 0, time.perf_counter()
    for call in range(calls):
        mask = info["action_mask"]
        actions = (rng.random(mask.shape, dtype=np.float32) * (mask > 0)).argmax(axis=1)
        _, _, terminated, truncated, info = env.step(actions)
        episodes += int((terminated | truncated).sum())
        if call in marks:
            memory.append(round(resident(), 1))
    seconds = time.perf_counter() - began
    env.close()
    return {
        "env": env_id,
        "steps": calls * copies,
        "episodes": episodes,
        "steps_per_second": round(calls * copies / seconds),
        "resident_mib": memory,
        "growth_mib": round(max(memory[-3:]) - max(memory[:3]), 1),
    }


def is_flat(found: dict[str, Any]) -> bool:
    """Whether memory did not grow, but for what an allocator keeps."""
    return found["growth_mib"] <= max(_ALLOWED, _ALLOWED_PER_MILLION * found["steps"] / 1e6)


def main() -> int:
    parser = argparse.ArgumentParser(description="Resident memory over millions of random steps.")
    parser.add_argument("--steps", type=int, default=1_000_000, help="of each environment")
    parser.add_argument("--copies", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--envs", default=",".join(contract_ids()), help="ids by commas; default all")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args()
    results = []
    context = multiprocessing.get_context("spawn")
    for env_id in given.envs.split(","):
        with context.Pool(1) as pool:
            found = pool.apply(soak, (env_id, given.steps, given.copies, given.seed))
        results.append(found)
        first, last = found["resident_mib"][0], found["resident_mib"][-1]
        print(
            f"{env_id}: {found['steps']:,} steps, {found['episodes']:,} episodes, "
            f"{found['steps_per_second']:,} steps/s, resident {first:.1f} MiB, then {last:.1f} MiB, "
            f"growth {found['growth_mib']:+.1f} MiB",
            flush=True,
        )
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(map(is_flat, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
