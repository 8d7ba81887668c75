"""What happens around MaskablePPO's loop: limits, validation, saving, progress, and a clean stop."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from ..agents.networks.common import to_tensors

if TYPE_CHECKING:
    from .run import Run


class Interrupted(KeyboardInterrupt):
    """Training ended before its steps were spent.

    Attributes:
        by_user: it was asked to (Ctrl-C), rather than out of time.
    """

    def __init__(self, message: str, by_user: bool) -> None:
        self.by_user = by_user
        super().__init__(message)


class RunCallback(BaseCallback):
    """Keeps a run's books. Everything happens between an update and the next rollout, where the state is whole."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._asked_to_stop = False
        self._previous: Any = None

    def _on_training_start(self) -> None:
        now = time.monotonic()
        self._began = now - self._run.counters.seconds
        self._validated = self._saved = self._iteration = now
        self._steps_before = self.model.num_timesteps
        teacher = self._run.config.imitate
        if teacher is not None and not self._run.counters.imitated:
            self._run.progress.phase(f"learning from {teacher}", self._run.config.steps)
        else:
            self._run.progress.phase("training", self._run.config.steps)
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *_: Any) -> None:
        """First Ctrl-C: stop at the next whole state. A second one stops at once, losing at most one save interval."""
        self._asked_to_stop = True
        self._run.progress.say("stopping after this update; Ctrl-C again to stop at once")
        self.release()

    def release(self) -> None:
        """Give Ctrl-C its former meaning."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _on_rollout_start(self) -> None:
        run, now = self._run, time.monotonic()
        run.refuse_divergence()
        longest = now - self._iteration
        self._iteration = now
        run.counters.seconds = now - self._began
        out_of_time = run.counters.seconds + longest > 60.0 * run.config.minutes
        if self._asked_to_stop or out_of_time:
            raise Interrupted(
                f"{run.config.out} is saved; the same command goes on from there", by_user=self._asked_to_stop
            )
        if now - self._validated >= run.config.validate_every or not run.counters.validations:
            self._log_speed(now)
            score = run.validate()
            run.progress.validated(score)
            self._validated = time.monotonic()
        if now - self._saved >= run.config.save_every:
            run.counters.seconds = time.monotonic() - self._began
            run.save()
            self._saved = time.monotonic()
        run.plan_rollout()

    def _log_speed(self, now: float) -> None:
        steps = self.model.num_timesteps - self._steps_before
        seconds = now - self._validated
        if steps and seconds > 0:
            self.logger.record("time/decisions_per_second", steps / seconds)
        self._steps_before = self.model.num_timesteps

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
