"""The options of `makespan/JobShop-v0`, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError, UserError

BLOCKING = ("none", "swap", "no-swap")
LAWS = ("none", "bernoulli", "exponential", "windows")
ON_BREAKDOWN = ("resume", "repeat", "scrap")
DEADLOCK = ("end", "banker")
MODES = ("event", "construct")
CLOCKS = ("calendar", "busy")
REWARDS = ("time", "bound")
REWARD_SCALES = ("instance", "none")


@dataclass(frozen=True)
class JobShopOptions:
    """How the shop works.

    Attributes:
        blocking: "swap" (BWS, the default), "no-swap" (BNS) or "none" (the classical shop with unlimited buffers).
        law: law of breakdowns: "none", "bernoulli" (probability `p` per machine and up time unit, repair uniform on
            10..50), "exponential" (`mtbf`, `mttr`), or "windows" (those of the instance).
        p: breakdown probability of law "bernoulli".
        mtbf, mttr: mean time between failures and to repair of law "exponential".
        clock: what up times count: "calendar" time or time "busy" processing.
        on_breakdown: what happens to the operation in process: "resume", "repeat", or "scrap" (the piece is lost).
        unload_when_down: whether a blocked job may leave a machine that is down.
        repair_visible: whether the length of a repair is announced when the breakdown starts.
        known_windows: whether each machine's next breakdown is announced (planned maintenance).
        epoch_on_breakdown: whether the start of a breakdown is an event that ends WAIT.
        allow_wait: whether WAIT may be chosen while a job could move; without it play is non-delay.
        deadlock: BNS only: "end" (a deadlock ends the episode) or "banker" (moves that the banker's test refuses are
            masked).
        mode: "event" (online) or "construct" (classical shop without breakdowns: the chosen job's next operation is
            appended at the earliest time its job and machine are free).
        reward: "time" (sums to minus the makespan) or "bound" (the fall of a lower bound that knows who is where).
        reward_scale: "instance" (rewards are divided by the root lower bound) or "none" (instance time units).
    """

    blocking: str = "swap"
    law: str = "none"
    p: float = 0.005
    mtbf: float = 200.0
    mttr: float = 30.0
    clock: str = "calendar"
    on_breakdown: str = "resume"
    unload_when_down: bool = True
    repair_visible: bool = True
    known_windows: bool = False
    epoch_on_breakdown: bool = False
    allow_wait: bool = True
    deadlock: str = "end"
    mode: str = "event"
    reward: str = "time"
    reward_scale: str = "instance"

    def __post_init__(self) -> None:
        choices = {
            "blocking": BLOCKING,
            "law": LAWS,
            "clock": CLOCKS,
            "on_breakdown": ON_BREAKDOWN,
            "deadlock": DEADLOCK,
            "mode": MODES,
            "reward": REWARDS,
            "reward_scale": REWARD_SCALES,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise FieldError(f"option {name}", getattr(self, name), " or ".join(repr(a) for a in allowed))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool" and not isinstance(value, bool):
                raise FieldError(f"option {field.name}", value, "true or false")
            if field.type == "float" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise FieldError(f"option {field.name}", value, "a number")
        if not 0.0 <= self.p < 1.0:
            raise FieldError("option p", self.p, "a probability, 0 <= p < 1")
        for name in ("mtbf", "mttr"):
            if not 0.0 < getattr(self, name) <= 1e9:
                raise FieldError(f"option {name}", getattr(self, name), "a mean time, above 0 and at most 1e9")
        if self.mode == "construct" and (self.blocking != "none" or self.law != "none"):
            raise UserError(
                f"option mode is 'construct', which needs blocking='none' and law='none', "
                f"but blocking is {self.blocking!r} and law is {self.law!r}"
            )
        if self.law == "windows" and self.clock == "busy":
            raise UserError("option clock is 'busy', but law='windows' gives dates: it needs clock='calendar'")
        if self.deadlock == "banker" and self.blocking != "no-swap":
            raise UserError(f"option deadlock is 'banker', which needs blocking='no-swap', but it is {self.blocking!r}")

    @property
    def plain(self) -> bool:
        """No breakdowns, deadlocks, construction or bounds: what these need is then not compiled (`Pack`)."""
        unusual = self.blocking == "no-swap" or self.mode == "construct" or self.reward == "bound"
        return self.law == "none" and not unusual

    @property
    def hides_windows(self) -> bool:
        """Whether the down-times of an instance are its hidden future."""
        return self.law == "windows" and not self.known_windows

    def compiled(self, record: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The options as the arrays that the compiled dynamics read."""
        from . import state as d  # only here: to list the options nothing compiled need be loaded

        blocking = {"none": d.CLASSICAL, "swap": d.SWAP, "no-swap": d.NO_SWAP}
        laws = {
            "none": d.LAW_NONE,
            "bernoulli": d.LAW_BERNOULLI,
            "exponential": d.LAW_EXPONENTIAL,
            "windows": d.LAW_WINDOWS,
        }
        on_breakdown = {"resume": d.RESUME, "repeat": d.REPEAT, "scrap": d.SCRAP}
        options = np.zeros(d.NUM_OPTIONS, dtype=np.int64)
        options[d.OPT_BLOCKING] = blocking[self.blocking]
        options[d.OPT_LAW] = laws[self.law]
        options[d.OPT_BREAKDOWN] = on_breakdown[self.on_breakdown]
        options[d.OPT_ALLOW_WAIT] = self.allow_wait
        options[d.OPT_BANKER] = self.deadlock == "banker"
        options[d.OPT_UNLOAD] = self.unload_when_down
        options[d.OPT_EPOCH_ON_BREAKDOWN] = self.epoch_on_breakdown
        options[d.OPT_REPAIR_VISIBLE] = self.repair_visible
        options[d.OPT_KNOWN_WINDOWS] = self.known_windows
        options[d.OPT_BUSY_CLOCK] = self.clock == "busy" and self.law != "none"
        options[d.OPT_CONSTRUCT] = self.mode == "construct"
        options[d.OPT_RECORD] = record
        options[d.OPT_SCALE_REWARD] = self.reward_scale == "instance"
        options[d.OPT_REWARD_BOUND] = self.reward == "bound"
        law = np.array([self.p if self.law == "bernoulli" else self.mtbf, self.mttr], dtype=np.float64)
        return options, law
