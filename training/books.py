"""A run's books: limits, validation, saving, progress, and a clean stop."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .base import Run


class Interrupted(KeyboardInterrupt):
    """Training ended before its steps were spent.

    Attributes:
        by_user: it was asked to (Ctrl-C), rather than out of time.
    """

    def __init__(self, message: str, by_user: bool) -> None:
        self.by_user = by_user
        super().__init__(message)


class Paused(KeyboardInterrupt):
    """Training has come to its `Pause`; the budget is not spent."""


class Pause(NamedTuple):
    """Where a run stops for now, well before its budget is spent; the same config goes on from there.

    Schedules follow the budget of the config, so that a run that pauses is the beginning of the whole one.

    Attributes:
        steps: decisions after which it does, None for no matter how many.
        minutes: of training, likewise.
    """

    steps: int | None = None
    minutes: float | None = None

    def reached(self, decisions: int, seconds: float) -> bool:
        """Whether a run has come there."""
        return (self.steps is not None and decisions >= self.steps) or (
            self.minutes is not None and seconds > 60.0 * self.minutes
        )


class Books:
    """Keeps a run's books. Everything happens between two updates, where the state is whole."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked_to_stop = False
        self._previous: Any = None

    def open(self) -> None:
        """The run begins, or goes on."""
        now = time.monotonic()
        self._began = now - self._run.counters.seconds
        self._validated = self._saved = self._iteration = now
        self._decisions_before = self._run.decisions
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

    def between_updates(self) -> None:
        """Count the time; validate and save where it is due.

        Raises:
            Interrupted: the time is spent, or somebody asked to stop.
            Paused: the run has come to its pause.
            UserError: training diverged, or something cannot be written.
        """
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
        if run.pause is not None and run.pause.reached(run.decisions, run.counters.seconds + longest):
            raise Paused
        run.progress.advance_to(run.spent())
        if now - self._validated >= run.config.validate_every or not run.counters.validations:
            self._log_speed(now)
            score = run.validate()
            run.progress.validated(score)
            self._validated = time.monotonic()
        if now - self._saved >= run.config.save_every:
            run.counters.seconds = time.monotonic() - self._began
            run.save()
            self._saved = time.monotonic()

    def _log_speed(self, now: float) -> None:
        made = self._run.decisions - self._decisions_before
        seconds = now - self._validated
        if made and seconds > 0:
            self._run.logger.record("time/decisions_per_second", made / seconds)
        self._decisions_before = self._run.decisions
