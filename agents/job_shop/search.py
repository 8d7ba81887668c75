"""What all searches have in common: they work in portions, keep the best schedule and can be stopped at any time."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from ...envs.job_shop.bounds import lower_bound
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.schedule import JobShopSchedule

Found = Callable[[JobShopSchedule], None]

_PORTION_SECONDS = 0.02


class Search(ABC):
    """Looks for short schedules of one job shop without down-times.

    Args:
        instance: what is to be scheduled.

    Attributes:
        best: the shortest schedule so far, None before there is one.
        iterations: how many have been made.
    """

    def __init__(self, instance: JobShopInstance) -> None:
        self.best: JobShopSchedule | None = None
        self.iterations = 0
        self._bound = lower_bound(instance)

    def run(
        self,
        seconds: float | None = None,
        found: Found = lambda schedule: None,
        iterations: int | None = None,
    ) -> None:
        """Go on searching until a limit is reached, or the best schedule is as short as the trivial bounds.

        Args:
            seconds: wall time, without that in which code is compiled; an iteration that has begun is finished.
            found: is told of each schedule that is better than all before.
            iterations: how many; so limited a search is the same each time.

        Raises:
            ValueError: neither limit is given.
            KeyboardInterrupt: the user stopped it; `best` stands.
        """
        if seconds is None and iterations is None:
            raise ValueError("run needs a limit: seconds or iterations")
        self._work(0)
        began = now = time.perf_counter()
        portion, done = 1, 0
        told = self._tell(None, found)
        while not self.is_proved and (seconds is None or now - began < seconds):
            count = portion if iterations is None else min(portion, iterations - done)
            if count == 0:
                return
            self._work(count)
            done += count
            self.iterations += count
            told = self._tell(told, found)
            before, now = now, time.perf_counter()
            portion = max(1, min(2 * portion, int(count * _PORTION_SECONDS / max(now - before, 1e-9))))

    @property
    def is_proved(self) -> bool:
        """Whether nothing can be better, by the trivial bounds."""
        return self.best is not None and self.best.makespan <= self._bound

    @abstractmethod
    def _work(self, count: int) -> None:
        """Make so many iterations and keep `best` up to date; none at all must compile whatever they need."""

    def _tell(self, told: int | None, found: Found) -> int | None:
        """Tell of the best schedule unless one as short has been told of; the makespan that has been."""
        if self.best is None or (told is not None and self.best.makespan >= told):
            return told
        found(self.best)
        return self.best.makespan
