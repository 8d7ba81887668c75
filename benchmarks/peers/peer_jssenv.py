"""JSSEnv: one job shop, a step is a decision (a job, or to wait); its own dominance rules restrict what is legal."""

# pyright: reportMissingImports=false
from __future__ import annotations

import random
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from JSSEnv.envs import JssEnv
from worker import Chunk, Count, serve


def instance_text(jobs: int, machines: int, longest: int) -> str:
    """A random instance in the standard format: times U(1, longest), machine orders random permutations."""
    lines = [f"{jobs} {machines}"]
    for _ in range(jobs):
        order = random.sample(range(machines), machines)
        lines.append(" ".join(f"{machine} {random.randint(1, longest)}" for machine in order))
    return "\n".join(lines) + "\n"


def make(case: str) -> Chunk:
    """Case "JOBSxMACHINES:longest time"."""
    size, longest = case.split(":")
    jobs, machines = map(int, size.split("x"))
    random.seed(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "instance"
        path.write_text(instance_text(jobs, machines, int(longest)))
        env = JssEnv({"instance_path": path})

    def chunk() -> Count:
        observation, steps, waits, done = env.reset(), 0, 0, False
        while not done:
            action = random.choice(observation["action_mask"].nonzero()[0])
            observation, _, done, _, _ = env.step(action)
            steps += 1
            waits += int(action == jobs)
        return Count(steps, steps, steps - waits)

    return chunk


serve(f"JSSEnv {version('JSSEnv')}", make)
