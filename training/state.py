"""Everything that a training run needs to go on as if nothing had happened, in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO

from ..agents.checkpoint import Arrays, dump_arrays, parse_arrays
from ..agents.learned import load_weights, weights_of
from ..envs.core.env import SchedulingVectorEnv
from ..envs.core.errors import UserError
from ..envs.core.files import atomic_write, read_bounded
from .bridge import Bridge
from .policy import SlotPolicy

MAX_BYTES = 8 * 2**30


def save_state(path: Path, model: MaskablePPO, bridge: Bridge, counters: Mapping[str, Any], foreseen: Arrays) -> None:
    """Write weights, optimiser, random streams, the environments' episodes and the counters, whole or not at all.

    What foresight needs (see `Foresight.arrays`) is written, too, and read by whoever makes it again.

    Must be called between an update and the next rollout, or before the first one. Plain Python environments cannot be
    saved: after a resume their copies begin new episodes.

    Raises:
        UserError: the file cannot be written; the old one is untouched.
    """
    policy = cast(SlotPolicy, model.policy)
    arrays: Arrays = {f"network.{name}": array for name, array in weights_of(policy.network).items()}
    arrays.update(foreseen)
    arrays.update(dump_optimizer(policy.optimizer))
    arrays["random.torch"] = torch.get_rng_state().numpy()
    if torch.cuda.is_available():
        arrays["random.cuda"] = torch.cuda.get_rng_state().numpy()
    _, key, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 (what Stable-Baselines3 draws from)
    arrays["random.numpy"] = np.asarray(key, dtype=np.uint32)
    if isinstance(bridge.env, SchedulingVectorEnv) and model._last_obs is not None:
        arrays.update({f"env.{name}": array for name, array in bridge.env.snapshot().items()})
        arrays["starts"] = np.asarray(model._last_episode_starts, dtype=np.bool_)
    meta = {
        **counters,
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "numpy": [int(position), int(has_gauss), float(gauss)],
    }
    arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
    atomic_write(path, dump_arrays(arrays))


def load_state(path: Path, model: MaskablePPO, bridge: Bridge) -> dict[str, Any]:
    """Restore what `save_state` wrote; returns the counters.

    Raises:
        UserError: the file is missing, truncated, or of another network or environment.
    """
    arrays = parse_arrays(read_bounded(path, MAX_BYTES), str(path))
    try:
        meta = json.loads(arrays["meta"].tobytes())
        _load_learner(path, model, arrays)
        _load_random(arrays, meta["numpy"])
        model.num_timesteps, model._n_updates = int(meta["num_timesteps"]), int(meta["n_updates"])
        if isinstance(bridge.env, SchedulingVectorEnv) and "starts" in arrays:
            bridge.env.restore({name[4:]: array for name, array in arrays.items() if name.startswith("env.")})
            steps = model.num_timesteps // bridge.num_envs
            model._last_obs = bridge.resume(bridge.env.engine.block.copies(), steps)
            model._last_episode_starts = arrays["starts"]
    except UserError:
        raise
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
    return {key: value for key, value in meta.items() if key not in ("num_timesteps", "n_updates", "numpy")}


def _load_learner(path: Path, model: MaskablePPO, arrays: Arrays) -> None:
    network = {name[8:]: array for name, array in arrays.items() if name.startswith("network.")}
    policy = cast(SlotPolicy, model.policy)
    load_weights(policy.network, network, str(path))
    load_optimizer(policy.optimizer, list(policy.parameters()), arrays)


def dump_optimizer(optimizer: torch.optim.Optimizer) -> Arrays:
    """The state of Adam, in arrays whose names begin with ``optimizer.``."""
    return {
        f"optimizer.{number}.{name}": value.numpy(force=True)
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, weights: Sequence[torch.Tensor], arrays: Arrays) -> None:
    """Restore what `dump_optimizer` gave, among other arrays.

    Raises:
        ValueError, LookupError: it is of other weights.
    """
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, number, what = name.split(".")
            state.setdefault(int(number), {})[what] = torch.from_numpy(array.copy())
    for number, values in state.items():
        shapes = {what: tuple(value.shape) for what, value in values.items()}
        shape = tuple(weights[number].shape)
        if shapes != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"optimizer.{number} has {shapes}")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _load_random(arrays: Arrays, numpy_state: list[Any]) -> None:
    torch.set_rng_state(torch.from_numpy(arrays["random.torch"].copy()))
    if torch.cuda.is_available() and "random.cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"].copy()))
    position, has_gauss, gauss = numpy_state
    key: NDArray[np.uint32] = arrays["random.numpy"]
    np.random.set_state(("MT19937", key, position, has_gauss, gauss))  # noqa: NPY002
