"""What happens around MaskablePPO's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from ..agents.networks.common import to_tensors
from .books import Books

if TYPE_CHECKING:
    from .ppo import PPORun


class RunCallback(BaseCallback):
    """Tells the books where an update ends, and values the states at which copies are cut."""

    def __init__(self, run: PPORun, books: Books) -> None:
        super().__init__()
        self._run, self._books = run, books

    def _on_training_start(self) -> None:
        self._books.open()
        teacher = self._run.config.imitate
        if teacher is not None and not self._run.counters.imitated:
            self._run.progress.phase(f"learning from {teacher}")
        else:
            self._run.progress.phase("training")

    def _on_rollout_start(self) -> None:
        self._books.between_updates()
        self._run.plan_rollout()

    def _on_step(self) -> bool:
        bridge = self._run.bridge
        cut = np.flatnonzero(bridge.truncated)
        if len(cut):
            infos = self.locals["infos"]
            rows = [infos[copy]["final_observation"] for copy in cut.tolist()]
            tensors = to_tensors({key: np.stack([row[key] for row in rows]) for key in rows[0]}, self.model.device)
            with torch.no_grad():
                values = self._run.policy.predict_values(tensors)
            bridge.bootstrap[cut] = values.flatten().cpu().numpy()
        return True

    def _on_rollout_end(self) -> None:
        objectives = self._run.bridge.take_finished()
        score = float(np.mean(objectives)) if objectives else None
        if score is not None:
            self.logger.record("rollout/objective", score)
        self._run.progress.trained(self.model.num_timesteps, score)
