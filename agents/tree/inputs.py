"""What a tree compares, as numbered inputs.

A tree cannot compare slots with each other, so that it is told how each slot stands among them. Of an observation with
F action features and G globals the inputs of a slot are: its F features; by how much each lies above the least, and by
how much below the greatest, of the legal slots; and the G globals. Special slots (WAIT), whose other features are zero,
do not count among those compared with, unless nothing else is legal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.core.spec import ObservationSpec


def slot_inputs(spec: ObservationSpec) -> int:
    """How many inputs the tree of a slot has."""
    return 3 * len(spec.action_features) + len(spec.globals)


def input_names(spec: ObservationSpec) -> list[str]:
    """What the inputs of a slot are called."""
    own = [feature.name for feature in spec.action_features]
    above, below = ([f"{name} {how}" for name in own] for how in ("above the least", "below the greatest"))
    return [*own, *above, *below, *(feature.name for feature in spec.globals)]


def slot_extremes(
    features: NDArray[np.float32], legal: NDArray[np.bool_], special: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The least and the greatest feature values of the slots compared with, float32 [D, F] each.

    Args:
        features: float32 [D, A, F], of the slots of D decisions.
        legal: bool [D, A], in each row at least one.
        special: how many of the A slots, the last ones, are special.
    """
    ordinary = legal.shape[1] - special
    compared = legal.copy()
    compared[:, ordinary:] &= ~legal[:, :ordinary].any(axis=1, keepdims=True)
    least = np.where(compared[:, :, None], features, np.float32(np.inf)).min(axis=1)
    greatest = np.where(compared[:, :, None], features, np.float32(-np.inf)).max(axis=1)
    return least, greatest


def join_inputs(
    features: NDArray[np.float32],
    least: NDArray[np.float32],
    greatest: NDArray[np.float32],
    state: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The inputs of R slots, float32 [R, inputs], from their features, their extremes [R, F] and the globals [R, G].

    The same numbers, bit for bit, as those that the compiled choice compares.
    """
    return np.concatenate([features, features - least, greatest - features, state], axis=1)
