"""RL4CO's scheduling environments (torch, batched): a job shop, and total weighted tardiness on one machine.

A step of either puts one job's next operation on a machine; nobody waits. Actions are drawn uniformly among the legal
ones; an ended batch draws fresh instances.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from importlib.metadata import version

import torch
from rl4co.envs import JSSPEnv, SMTWTPEnv
from worker import Chunk, Count, serve

torch.set_num_threads(1)


def make(case: str) -> Chunk:
    """Case "job-shop:JOBSxMACHINES:longest time:batch" or "tardiness:JOBS:batch"."""
    kind, *rest = case.split(":")
    if kind == "job-shop":
        jobs, machines = map(int, rest[0].split("x"))
        law = {
            "num_jobs": jobs,
            "num_machines": machines,
            "min_processing_time": 1,
            "max_processing_time": int(rest[1]),
        }
        env, batch = JSSPEnv(generator_params=law), int(rest[2])
    else:
        env, batch = SMTWTPEnv(generator_params={"num_job": int(rest[0])}, check_solution=False), int(rest[1])
    torch.manual_seed(0)

    def chunk() -> Count:
        state, steps = env.reset(batch_size=[batch]), 0
        with torch.inference_mode():
            while not state["done"].all():
                state["action"] = torch.multinomial(state["action_mask"].float(), 1).squeeze(-1)
                state = env.step(state)["next"]
                steps += batch
        return Count(steps, steps, steps)

    return chunk


serve(f"RL4CO {version('rl4co')} (torch {torch.__version__})", make)
