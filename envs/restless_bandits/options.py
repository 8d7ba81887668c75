"""The options of `makespan/RestlessBandits-v0`, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError

VIEWS = ("sequential", "vector", "cost")
REWARDS = ("realised", "expected")
REWARD_SCALES = ("instance", "none")
MOST_VISITS = 10_000
MOST_OBSERVED = 10**9


@dataclass(frozen=True)
class BanditOptions:
    """How restless bandits are played.

    Attributes:
        view: what an action is: "sequential" (one element after the other, then STOP), "vector" (all of an epoch's
            elements as zeros and ones) or "cost" (a weight for each element, of which the best feasible action is
            played).
        reward: what an epoch pays: "realised" (by the states that arms moved to) or "expected" (by the law of the next
            states, which has less noise and the same mean).
        model_error: agents know transition probabilities estimated from so many observed transitions per arm
            and level, while the world has the true ones; 0: no error.
        min_visits: every arm must be visited at least so often in an episode.
        distinct_workers: in schedules an arm's two visits are by different workers, whatever the instance says.
        reward_scale: "instance" (rewards are divided by what an episode can pay at most) or "none".
    """

    view: str = "sequential"
    reward: str = "realised"
    model_error: int = 0
    min_visits: int = 0
    distinct_workers: bool = False
    reward_scale: str = "instance"

    def __post_init__(self) -> None:
        for name, allowed in (("view", VIEWS), ("reward", REWARDS), ("reward_scale", REWARD_SCALES)):
            if getattr(self, name) not in allowed:
                raise FieldError(f"option {name}", getattr(self, name), " or ".join(repr(a) for a in allowed))
        for name, most in (("model_error", MOST_OBSERVED), ("min_visits", MOST_VISITS)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise FieldError(f"option {name}", value, f"an integer from 0 to {most}")
        if self.distinct_workers not in (0, 1):
            raise FieldError("option distinct_workers", self.distinct_workers, "true or false")
        object.__setattr__(self, "distinct_workers", bool(self.distinct_workers))

    def compiled(self) -> NDArray[np.int64]:
        """The options as the array that the compiled dynamics read."""
        from . import state as d  # only here: to list the options nothing compiled need be loaded

        options = np.zeros(d.NUM_OPTIONS, dtype=np.int64)
        options[d.OPT_EXPECTED] = self.reward == "expected"
        options[d.OPT_SCALE] = self.reward_scale == "instance"
        options[d.OPT_VISITS] = self.min_visits
        return options
