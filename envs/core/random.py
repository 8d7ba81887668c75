"""Counter-based random numbers: every random event is a pure function of (seed, what the event is, its index).

Two agents that meet the same seed so meet the same world, whatever they do and in whatever order; nothing depends on
batch size, threads, or whether an episode ran alone.
"""

from __future__ import annotations

import numpy as np

from .compile import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_U30, _U27, _U31, _U11, _U2 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(2)
_UNIT = 2.0**-53
RESERVED_SEEDS = 2**62
"""The first of the seeds that no user types: those of later episodes, of training, and of what choices are made on."""
TYPICAL = np.uint64(2**64 - 1)
"""Key of an imagined world in which nothing unforeseen happens (certainty equivalence), see `BatchEngine.imagine`."""


@compiled(inline="never")
def mix(x):
    """One step of splitmix64 (Steele, Lea & Flood 2014): uint64 -> uint64, a bijection."""
    h = np.uint64(x) + _GOLDEN
    h = (h ^ (h >> _U30)) * _M1
    h = (h ^ (h >> _U27)) * _M2
    return h ^ (h >> _U31)


@compiled
def uniform(seed, *keys):
    """Uniform in [0, 1) with 53 bits: h = mix(seed), then h = mix(h ^ key) for each key; u = (h >> 11) * 2**-53.

    Args:
        seed: the episode's seed (any integer type).
        keys: non-negative integers that say which event is meant, all of one integer type (int64).
    """
    h = mix(np.uint64(seed))
    for key in keys:
        h = mix(h ^ np.uint64(key))
    return (h >> _U11) * _UNIT


@compiled
def combine(seed, key):
    """A new seed (uint64) from a seed and a key: mix(mix(seed) ^ key)."""
    return mix(mix(np.uint64(seed)) ^ np.uint64(key))


@compiled
def episode_seed(seed, episode):
    """Seed of a copy's e-th episode: the seed itself, later 2**62 + (combine(seed, e) >> 2), below 2**63.

    The upper half keeps later episodes apart from every seed that a user types.
    """
    if episode == 0:
        return np.int64(seed)
    return np.int64(RESERVED_SEEDS) + np.int64(combine(seed, episode) >> _U2)
