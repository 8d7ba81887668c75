"""SEQUOIA's Q-network: a small network of the action whose coefficients come from what is seen of each arm.

Q(s, a) = base(s) + sum of (gain + correction) over the arms' levels + worth of coupled pairs that are acted on together
+ two layers of rectified units over the sum of the arms' embeddings. Corrections, pairs and the last layer begin at 0,
so that the network begins as the Lagrangian index. With the state given it is a `ReluNet` in the action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from .embedded import ReluNet
from .outlook import ARM, GENERAL, PAIR, Outlook

HIDDEN = 16
"""Units of a layer. With 32, programs of 100 arms take ten times as long, most of them above 0.1 s."""
_SEEN, _PAIRED = 32, 16

Weights = Mapping[str, NDArray[Any]]


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of weights."""
    return {
        "arm": (len(ARM), _SEEN),
        "arm_bias": (_SEEN,),
        "embed": (_SEEN, HIDDEN),
        "correct": (_SEEN, 1),
        "general": (_SEEN + len(GENERAL), HIDDEN),
        "general_bias": (HIDDEN,),
        "first": (HIDDEN, HIDDEN),
        "first_bias": (HIDDEN,),
        "base": (HIDDEN, 1),
        "second": (HIDDEN, HIDDEN),
        "second_bias": (HIDDEN,),
        "output": (HIDDEN, 1),
        "pair": (2 * _SEEN + len(PAIR), _PAIRED),
        "pair_bias": (_PAIRED,),
        "pair_output": (_PAIRED, 1),
    }


_ZERO = ("correct", "output", "pair_output", "base")


def fresh_weights(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Weights to begin with: those of the index."""
    made = {}
    for name, shape in weight_shapes().items():
        scale = 0.0 if name in _ZERO or name.endswith("_bias") else np.sqrt(2.0 / shape[0])
        made[name] = (scale * rng.normal(size=shape)).astype(np.float32)
    return made


def checked_weights(weights: Weights, source: str) -> dict[str, NDArray[np.float32]]:
    """Weights of a file.

    Raises:
        UserError: an array is missing, has another shape, or holds something that is no finite number.
    """
    shapes = weight_shapes()
    if set(weights) != set(shapes):
        raise UserError(f"{source}: weights are {sorted(weights)}, expected {sorted(shapes)}")
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise UserError(f"{source}: weights {name!r} have shape {weights[name].shape}, expected {shape}")
        if not np.isfinite(weights[name]).all():
            raise UserError(f"{source}: weights {name!r} hold something that is not a finite number")
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}


def network_at(
    weights: Weights, outlook: Outlook, epoch: int, states: NDArray[np.int64], worth: NDArray[np.float64]
) -> tuple[ReluNet, NDArray[np.float64]]:
    """The network in the action at a state.

    Args:
        worth: float64 [J, K], Lagrangian gains of the arms at hand; zeros for a network without the index.

    Returns:
        (network of the arms' levels [J * (K - 1)], what pairs are worth, float64 [P]).
    """
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    seen = outlook.arms(epoch, states).astype(np.float64)
    hidden = np.maximum(seen @ w["arm"] + w["arm_bias"], 0.0)  # [J, K - 1, SEEN]
    pooled = np.concatenate([hidden.mean(axis=(0, 1)), outlook.general(epoch, states)])
    context = np.maximum(pooled @ w["general"] + w["general_bias"], 0.0)
    scale = 1.0 / np.sqrt(outlook.model.instance.feasible.budget)
    flat = hidden.reshape(-1, _SEEN)
    direct = (worth - worth[:, :1])[:, 1:].ravel() + outlook.unit * (flat @ w["correct"])[:, 0]
    net = ReluNet(
        direct,
        scale * (flat @ w["embed"]).T,
        context @ w["first"] + w["first_bias"],
        w["second"].T,
        w["second_bias"],
        outlook.unit * w["output"][:, 0],
        outlook.unit * float((context @ w["base"])[0]),
    )
    if not len(outlook.pairs):
        return net, np.zeros(0)
    u, v = hidden[outlook.pairs[:, 0], 0], hidden[outlook.pairs[:, 1], 0]
    both = np.concatenate([u + v, u * v, outlook.pair_features], axis=1)
    paired = np.maximum(both @ w["pair"] + w["pair_bias"], 0.0)
    return net, outlook.unit * (paired @ w["pair_output"])[:, 0]
