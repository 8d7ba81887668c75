"""What an engine plays and shows under fixed, arbitrary actions: for golden hashes and bit identity, of any problem."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from makespan.envs.core.engine import BatchEngine
from makespan.envs.core.random import uniform
from numpy.typing import NDArray

Maker = Callable[..., BatchEngine]


def pick(key: int, step: int, mask: NDArray[Any]) -> int:
    """A legal action that depends on key and step alone."""
    legal = np.flatnonzero(mask)
    return int(legal[int(uniform(key, 77, step) * len(legal))])


def golden(make: Maker, options: Mapping[str, Any], copies: int = 6) -> str:
    """A hash over integer outcomes (actions, masks, objectives, metrics), rounded rewards and observations."""
    engine = make(copies, **options)
    engine.reset(np.arange(copies))
    digest = hashlib.sha256()
    step = 0
    while engine.is_running().any():
        actions = np.array([pick(copy, step, mask) if mask.any() else 0 for copy, mask in enumerate(engine.masks)])
        for array in (actions, engine.masks, engine.objectives()):
            digest.update(np.asarray(array, dtype="<i8").tobytes())
        for key, view in engine.block.views.items():
            # Clear of the last bits, in which platforms may differ.
            digest.update(key.encode() + np.rint(view.astype(np.float64) * 1000 + 0.137).astype("<i8").tobytes())
        rewards = engine.step(actions).reward
        digest.update(np.rint(rewards * 1e6 + 0.137).astype("<i8").tobytes())
        step += 1
    digest.update(repr([engine.metrics(copy) for copy in range(copies)]).encode())
    return digest.hexdigest()[:16]


def traces(
    make: Maker, options: Mapping[str, Any], seeds: Sequence[int], threads: int = 1, disturb: bool = False
) -> list[bytes]:
    """For each seed what its copy showed at every step, as bytes; copies side by side in one engine.

    Args:
        disturb: go astray in between, and come back to a snapshot.
    """
    engine = make(len(seeds), threads=threads, **options)
    engine.reset(seeds)
    shown = [b""] * len(seeds)
    step = 0
    while engine.is_running().any():
        for copy in np.flatnonzero(engine.is_running()):
            shown[copy] += engine.block.memory[copy].tobytes()
        actions = [pick(seed, step, mask) if mask.any() else 0 for seed, mask in zip(seeds, engine.masks, strict=True)]
        if disturb:
            snapshot = engine.snapshot()
            engine.step(actions)
            engine.copy(np.arange(len(seeds)), np.roll(np.arange(len(seeds)), 1))
            engine.reset(np.full(len(seeds), 999))
            engine.restore(snapshot)
        engine.step(actions)
        step += 1
    for copy in range(len(seeds)):
        shown[copy] += engine.block.memory[copy].tobytes() + repr(engine.metrics(copy)).encode()
    return shown
