"""Runs in rounds, in which one network is fitted by Adam and everything random comes from the seed and the round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..agents.checkpoint import Arrays, dump_arrays, parse_arrays
from ..agents.learned import choose_device, load_weights, weights_of
from ..agents.networks.common import SlotNetwork
from ..envs.core.errors import UserError
from ..envs.core.files import atomic_write, read_bounded
from .base import Run
from .state import MAX_BYTES, dump_optimizer, load_optimizer


class RoundsRun(Run):
    """A run whose whole state is a network, its optimiser, and how many rounds and decisions there were.

    `prepare` calls `_prepare_network`.
    """

    module: Any

    def _prepare_network(self, network: Mapping[str, Any], module: SlotNetwork, fused: bool | None = None) -> None:
        """Begin with a fresh network, of the card's description `network`."""
        self._network = dict(network)
        self._device = choose_device(self.config.device)
        self.module = module.to(self._device)
        self._optimizer = torch.optim.Adam(self.module.parameters(), lr=self.config.learning_rate, fused=fused)
        self._round = 0
        self._decisions = 0

    @property
    def decisions(self) -> int:
        return self._decisions

    @property
    def network(self) -> dict[str, Any]:
        return self._network

    def weights(self) -> Arrays:
        return {**weights_of(self.module), **self.extras()}

    def extras(self) -> Arrays:
        """What else checkpoints and the state hold."""
        return {}

    def take_up(self, weights: Arrays, source: str) -> None:
        load_weights(self.module, weights, source)

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(weights).all()) for weights in self.module.parameters())

    def device_name(self) -> str:
        return str(self._device)

    def _begin_fit(self) -> None:
        """Get ready for gradient steps: the learning rate falls to a tenth while the budget is spent."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (1.0 - 0.9 * self.spent())
        self.module.train()

    def save_state(self, path: Path) -> None:
        meta = {**vars(self.counters), "round": self._round, "decisions": self._decisions}
        arrays: Arrays = {f"network.{name}": array for name, array in weights_of(self.module).items()}
        arrays.update(dump_optimizer(self._optimizer))
        arrays.update(self.extras())
        arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
        atomic_write(path, dump_arrays(arrays))

    def load_state(self, path: Path) -> Mapping[str, Any]:
        arrays = parse_arrays(read_bounded(path, MAX_BYTES), str(path))
        try:
            meta = json.loads(arrays["meta"].tobytes())
            self._round, self._decisions = int(meta.pop("round")), int(meta.pop("decisions"))
            if min(self._round, self._decisions) < 0:
                raise ValueError(f"round {self._round}, decisions {self._decisions}")
            load_weights(self.module, {k[8:]: v for k, v in arrays.items() if k.startswith("network.")}, str(path))
            load_optimizer(self._optimizer, list(self.module.parameters()), arrays)
        except UserError:
            raise
        except (LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
        return meta
