"""The options of `makespan/MemoryMapping-v0`, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError

SUPPLIES = ("contended", "elapsed", "either")
OFFSETS = ("best_fit", "first_fit")
DEAD_ENDS = ("backup", "terminate")
OBJECTIVES = ("judge", "proxy")
REWARDS = ("marginal", "static")
REWARD_SCALES = ("instance", "none")


@dataclass(frozen=True)
class MemoryOptions:
    """How memory mapping is played.

    Attributes:
        supply: what transfers may use of an instruction's time: "contended" (what it leaves free of the HBM channel,
            once for fetches and write-backs), "elapsed" (all of it, once for each, as XLA counts) or "either" (as the
            player chooses, with a fourth action; by the judge only).
        offsets: where a block is placed: "best_fit" (the smallest gap) or "first_fit" (the lowest).
        dead_end: what happens where nothing is legal: "backup" (Drop-backup) or "terminate" (the episode ends).
        objective: "judge" (the run time with waits for transfers) or "proxy" (without).
        reward: "marginal" (sums to minus the objective) or "static" (the paper's static benefits).
        reward_scale: "instance" (rewards are divided by the all-HBM run time) or "none" (picoseconds).
    """

    supply: str = "contended"
    offsets: str = "best_fit"
    dead_end: str = "backup"
    objective: str = "judge"
    reward: str = "marginal"
    reward_scale: str = "instance"

    def __post_init__(self) -> None:
        choices = {
            "supply": SUPPLIES,
            "offsets": OFFSETS,
            "dead_end": DEAD_ENDS,
            "objective": OBJECTIVES,
            "reward": REWARDS,
            "reward_scale": REWARD_SCALES,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise FieldError(f"option {name}", getattr(self, name), " or ".join(repr(a) for a in allowed))
        if self.supply == "either" and self.objective == "proxy":
            raise FieldError("option objective", self.objective, "'judge' with supply='either'")

    @property
    def promised(self) -> str:
        """The supply that plans of the game are promised to fit."""
        return "unlimited" if self.supply == "either" else self.supply

    def compiled(self) -> NDArray[np.int64]:
        """The options as the array that the compiled dynamics read."""
        from . import state as d  # only here: to list the options nothing compiled need be loaded

        options = np.zeros(d.NUM_OPTIONS, dtype=np.int64)
        options[d.OPT_SUPPLY] = SUPPLIES.index(self.supply)
        options[d.OPT_FIRST_FIT] = self.offsets == "first_fit"
        options[d.OPT_TERMINATE] = self.dead_end == "terminate"
        options[d.OPT_JUDGE] = self.objective == "judge"
        options[d.OPT_STATIC] = self.reward == "static"
        options[d.OPT_SCALE] = self.reward_scale == "instance"
        return options
