"""Jumanji's JobShop (JAX). A step is a clock tick in which every machine chooses a job or nothing.

The agent starts a random legal job wherever a machine can start one, and never chooses nothing there, which keeps the
ticks per operation as few as they can be at random. A machine that could start no job makes no decision.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from importlib.metadata import version

import jax
import jax.numpy as jnp
from jumanji.environments.packing.job_shop.env import JobShop
from jumanji.environments.packing.job_shop.generator import RandomGenerator
from jumanji.wrappers import VmapAutoResetWrapper
from worker import Chunk, Count, serve

STEPS = 64


def make(case: str) -> Chunk:
    """Case "JOBSxMACHINES:longest time:batch"."""
    size, longest, batch = case.split(":")
    jobs, machines = map(int, size.split("x"))
    generator = RandomGenerator(jobs, machines, max_num_ops=machines, max_op_duration=int(longest))
    env = VmapAutoResetWrapper(JobShop(generator))

    def play(carry, key):
        state, timestep, started = carry
        mask = timestep.observation.action_mask  # [batch, machines, jobs + 1], the last is "nothing"
        logits = jnp.where(mask, 0.0, -jnp.inf)
        can_start = mask[..., :-1].any(-1)
        logits = logits.at[..., -1].set(jnp.where(can_start, -jnp.inf, 0.0))
        action = jax.random.categorical(key, logits)
        state, timestep = env.step(state, action)
        return (state, timestep, started + can_start.sum()), None

    @jax.jit
    def scan(state, timestep, key):
        key, keys = jax.random.split(key)
        carry, _ = jax.lax.scan(play, (state, timestep, jnp.int32(0)), jax.random.split(keys, STEPS))
        return *carry, key

    state, timestep = jax.jit(env.reset)(jax.random.split(jax.random.PRNGKey(0), int(batch)))
    key = jax.random.PRNGKey(1)

    def chunk() -> Count:
        nonlocal state, timestep, key
        state, timestep, started, key = scan(state, timestep, key)
        operations = int(started)
        return Count(STEPS * int(batch), operations, operations)

    return chunk


serve(f"Jumanji {version('jumanji')} (jax {jax.__version__})", make)
