"""The options of `makespan/SocDag-v0` and `makespan/StaticDag-v0`, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError

MODES = ("pairs", "order")
RELEASES = ("finished", "assigned")
ARRIVALS = ("exponential", "fixed", "back-to-back")
CONTENTIONS = ("none", "link", "bus")
MEMORIES = ("direct", "shared")
OBJECTIVES = ("latency", "makespan", "energy", "edp")
REWARD_SCALES = ("instance", "none")
LEVELS = ("performance", "powersave")
IMAGINED = ("drain", "horizon")
MOST = 2**40


@dataclass(frozen=True)
class SocOptions:
    """How DAG scheduling is played.

    Attributes:
        static: whether all jobs are there at once and are planned at time 0; set by the id.
        mode: "pairs" (actions are offered tasks with groups of PEs) or "order" (offered tasks; the PE of least expected
            finish takes them).
        release: a task is offered when its predecessors are "finished" or "assigned".
        hold: whether offered tasks may be held back until a task is done, a job arrives or a PE changes (action HOLD);
            DS3 assigns all of them at once.
        insertion: whether a task may take a gap of its PE's expected timeline, or is appended.
        window: offered tasks that can be chosen at a time.
        scale: mean gap between arrivals; several joined by + (``40+60+100``): each episode draws one.
        arrivals: "exponential", "fixed" or "back-to-back" gaps.
        queue_cap: jobs in the system at most.
        prefill: whether as many are there from the start.
        horizon: when an episode of a stream ends.
        warmup: jobs generated before count in the objective, not in the mean latency.
        noise: standard deviation of a task's time over its mean; several joined by +: each episode draws one.
        mtbf, mttr: mean time between failures of a PE (0: none), and to repair.
        dvfs: level at which PEs run: "performance" (highest), "powersave" (lowest), or a number from 0, the lowest.
        contention: transfers share nothing ("none"), each "link", or one "bus".
        memory: data goes from PE to PE ("direct") or through a "shared" memory.
        overhead_call, overhead_task: what a joint decision takes, and each of its tasks, in the clock's unit.
        objective: "latency" (sum over jobs), "makespan", "energy" or "edp" (energy times latency).
        reward_scale: "instance" (rewards are divided by a constant of the instance) or "none".
        imagined: how far imagined worlds of a stream go: "drain" (nothing more arrives, until all jobs are done),
            "horizon" (as the episode does), or so much time.
    """

    static: bool = False
    mode: str = "pairs"
    release: str = "finished"
    hold: bool = False
    insertion: bool = False
    window: int = 12
    scale: str | float = 100.0
    arrivals: str = "exponential"
    queue_cap: int = 12
    prefill: bool = False
    horizon: int = 5000
    warmup: int = 1000
    noise: str | float = 0.0
    mtbf: float = 0.0
    mttr: float = 100.0
    dvfs: str | int = "performance"
    contention: str = "none"
    memory: str = "direct"
    overhead_call: float = 0.0
    overhead_task: float = 0.0
    objective: str = "latency"
    reward_scale: str = "instance"
    imagined: str | int = "drain"

    def __post_init__(self) -> None:
        choices = {
            "mode": MODES,
            "release": RELEASES,
            "arrivals": ARRIVALS,
            "contention": CONTENTIONS,
            "memory": MEMORIES,
            "objective": OBJECTIVES,
            "reward_scale": REWARD_SCALES,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise FieldError(f"option {name}", getattr(self, name), " or ".join(repr(a) for a in allowed))
        for name in ("static", "hold", "insertion", "prefill"):
            value = getattr(self, name)
            if value not in (0, 1):
                raise FieldError(f"option {name}", value, "true or false")
            object.__setattr__(self, name, bool(value))
        for name, low, high in (
            ("window", 1, 256),
            ("queue_cap", 1, 4096),
            ("horizon", 1, MOST),
            ("warmup", 0, MOST),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise FieldError(f"option {name}", value, f"an integer from {low} to {high}")
        for name, low in (("mtbf", 0.0), ("mttr", 1.0), ("overhead_call", 0.0), ("overhead_task", 0.0)):
            _number(name, getattr(self, name), low)
        self.scales()
        self.noises()
        if self.imagined not in IMAGINED and not (type(self.imagined) is int and 1 <= self.imagined <= MOST):
            raise FieldError("option imagined", self.imagined, f"'drain', 'horizon' or an integer from 1 to {MOST}")
        if not self.is_level(self.dvfs):
            raise FieldError("option dvfs", self.dvfs, "'performance', 'powersave' or a number from 0 to 63")
        if self.memory == "shared" and self.release == "assigned":
            raise FieldError("option memory", self.memory, "'direct' with release='assigned'")
        if self.memory == "shared" and self.contention != "none":
            raise FieldError("option contention", self.contention, "'none' with memory='shared'")

    @staticmethod
    def is_level(value: object) -> bool:
        """Whether a value names a level of voltage and frequency."""
        return value in LEVELS or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 64)

    def scales(self) -> list[float]:
        """The mean gaps between arrivals that episodes draw from."""
        return _list("scale", self.scale, 1.0)

    def noises(self) -> list[float]:
        """The noises that episodes draw from."""
        return _list("noise", self.noise, 0.0)

    @property
    def noisy(self) -> bool:
        """Whether durations differ from what is expected."""
        return max(self.noises()) > 0.0

    @property
    def uncertain(self) -> bool:
        """Whether expected timelines may turn out wrong."""
        return self.noisy or self.mtbf > 0.0

    def level(self, levels: int) -> int:
        """Which of a kind's levels it runs at."""
        if isinstance(self.dvfs, int):
            return min(self.dvfs, levels - 1)
        return levels - 1 if self.dvfs == "performance" else 0

    def compiled(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The options as the arrays that the compiled dynamics read."""
        from . import state as d  # only here: to list the options nothing compiled need be loaded

        options = np.zeros(d.NUM_OPTIONS, dtype=np.int64)
        options[d.OPT_STATIC] = self.static
        options[d.OPT_ORDER] = self.mode == "order"
        options[d.OPT_ASSIGNED] = self.release == "assigned"
        options[d.OPT_INSERTION] = self.insertion
        options[d.OPT_WINDOW] = self.window
        options[d.OPT_ARRIVALS] = ARRIVALS.index(self.arrivals)
        options[d.OPT_CAP] = self.queue_cap
        options[d.OPT_PREFILL] = self.prefill
        options[d.OPT_HORIZON] = d.NEVER if self.static else self.horizon
        options[d.OPT_WARMUP] = 0 if self.static else self.warmup
        options[d.OPT_NOISY] = self.noisy
        options[d.OPT_DOWN] = self.mtbf > 0.0
        options[d.OPT_CONTENTION] = CONTENTIONS.index(self.contention)
        options[d.OPT_SHARED] = self.memory == "shared"
        options[d.OPT_OVERHEAD] = self.overhead_call > 0.0 or self.overhead_task > 0.0
        options[d.OPT_OBJECTIVE] = OBJECTIVES.index(self.objective)
        options[d.OPT_SCALE] = self.reward_scale == "instance"
        options[d.OPT_IMAGINED] = self.imagined if isinstance(self.imagined, int) else 0
        options[d.OPT_HOLD] = self.hold
        options[d.OPT_DRAIN] = self.imagined == "drain"
        scales, noises = self.scales(), self.noises()
        head = [self.mtbf, self.mttr, self.overhead_call, self.overhead_task, len(scales), len(noises)]
        return options, np.array([*head, *scales, *noises], dtype=np.float64)


STATIC_DEFAULTS = {
    "static": True,
    "release": "assigned",
    "insertion": True,
    "window": 16,
    "objective": "makespan",
}
"""What `makespan/StaticDag-v0` has in place of the defaults of a stream."""
STREAM_ONLY = (
    "scale",
    "arrivals",
    "queue_cap",
    "prefill",
    "horizon",
    "warmup",
    "imagined",
    "release",
    "memory",
    "hold",
)
"""Options that have no meaning where all jobs are there at once."""


def option_names(static: bool) -> list[str]:
    """The options that a user may give."""
    names = [field.name for field in fields(SocOptions) if field.name != "static"]
    return [name for name in names if not (static and name in STREAM_ONLY)]


def _number(name: str, value: object, low: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= MOST:
        raise FieldError(f"option {name}", value, f"a number from {low:g} to {MOST}")
    return float(value)


def _list(name: str, value: str | float, low: float) -> list[float]:
    if not isinstance(value, str):
        return [_number(name, value, low)]
    numbers: list[float] = []
    for part in value.split("+"):
        try:
            number = float(part)
        except ValueError:
            number = math.nan
        if not low <= number <= MOST:
            raise FieldError(f"option {name}", value, f"numbers of at least {low:g}, joined by +")
        numbers.append(number)
    if len(numbers) > 64:
        raise FieldError(f"option {name}", value, "at most 64 numbers")
    return numbers
