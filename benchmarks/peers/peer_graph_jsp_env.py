"""graph-jsp-env: one job shop as a disjunctive graph of networkx; a step appends an operation to its machine."""

# pyright: reportMissingImports=false
from __future__ import annotations

import random
from importlib.metadata import version

import numpy as np
from worker import Chunk, Count, serve


def make(case: str) -> Chunk:
    """Case "JOBSxMACHINES:longest time"."""
    # It prints its name where it is imported: not before `serve` keeps stdout for replies.
    from graph_jsp_env.disjunctive_graph_jsp_env import DisjunctiveGraphJspEnv

    size, longest = case.split(":")
    jobs, machines = map(int, size.split("x"))
    rng = np.random.default_rng(0)
    orders = [rng.permutation(machines) for _ in range(jobs)]
    env = DisjunctiveGraphJspEnv(np.array([orders, rng.integers(1, int(longest) + 1, (jobs, machines))]))
    random.seed(0)

    def chunk() -> Count:
        env.reset()
        steps, done = 0, False
        while not done:
            _, _, done, _, _ = env.step(random.choice(env.valid_action_list()))
            steps += 1
        return Count(steps, steps, steps)

    return chunk


serve(f"graph-jsp-env {version('graph-jsp-env')}", make)
