"""Tables of times for DAGs that come with a single time per task: what files of workflows and of STG need.

A machine has speeds (related PEs: time / speed), or else each class of tasks a factor on each PE (unrelated PEs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.instance import require_integer
from ..core.names import Name, OptionValue, check_options
from ..core.random import mix
from .checks import MAX_PES, MAX_RATE
from .instance import Platform
from .shapes import Draws

MACHINE_TAG = int.from_bytes(b"machine", "big")
UNITS = {"s": 1, "ms": 1000, "us": 1_000_000}
"""Names of units of time, and how many of them a second has."""
BYTES_PER_SECOND = 125_000_000
"""Of a link of a workflow's machines by default: 1 Gbit/s."""

_STREAM_FACTORS = 1
_LEAST_SPEED, _MOST_SPEED = 0.001, 1000.0


@dataclass(frozen=True)
class Machines:
    """PEs for a DAG; None and empty leave a value to the format of the file.

    Attributes:
        pes: how many.
        speeds: of related PEs; a task takes its time over the speed, rounded up. Their number is that of the PEs.
        beta: heterogeneity of unrelated PEs, 0 to 2: factors of a class are uniform in [1 − beta / 2, 1 + beta / 2].
        seed: of the factors.
        bandwidth: volume units per time unit between any two PEs.
        unit: of time, in which the seconds of a workflow are counted: "s", "ms" or "us".

    Raises:
        FieldError: a value is out of range.
    """

    pes: int | None = None
    speeds: tuple[float, ...] = ()
    beta: float | None = None
    seed: int = 0
    bandwidth: int | None = None
    unit: str = "ms"

    def __post_init__(self) -> None:
        if self.pes is not None:
            require_integer("option pes", self.pes, 1, MAX_PES)
        if len(self.speeds) > MAX_PES or not all(_between(x, _LEAST_SPEED, _MOST_SPEED) for x in self.speeds):
            expected = f"up to {MAX_PES} numbers from {_LEAST_SPEED:g} to {_MOST_SPEED:g}, joined by '+'"
            raise FieldError("option speeds", "+".join(map(str, self.speeds)), expected)
        if self.speeds and self.pes not in (None, len(self.speeds)):
            raise FieldError("option pes", self.pes, f"{len(self.speeds)}, as many as there are speeds, or nothing")
        if self.beta is not None and not _between(self.beta, 0, 2):
            raise FieldError("option beta", self.beta, "a number from 0 to 2")
        if self.speeds and self.beta is not None:
            raise FieldError("option beta", self.beta, "nothing: speeds are given")
        require_integer("option seed", self.seed, 0, 2**62)
        if self.bandwidth is not None:
            require_integer("option bandwidth", self.bandwidth, 1, MAX_RATE)
        if self.unit not in UNITS:
            raise FieldError("option unit", self.unit, f"one of {', '.join(UNITS)}")

    @classmethod
    def parse(cls, name: Name) -> Machines:
        """Read the options of ``./mine.json:pes=4:beta=0.5:seed=1`` or ``./mine.json:speeds=1+1+2.5``.

        Raises:
            UserError: an option is unknown or malformed.
        """
        check_options(name, "instance", [field.name for field in fields(cls)])
        given: dict[str, OptionValue | tuple[float, ...]] = dict(name.options)
        if "speeds" in given:
            given["speeds"] = _speeds(given["speeds"])
        return cls(**given)  # type: ignore[arg-type]

    def with_defaults(self, beta: float, bandwidth: int, pes: int = 4) -> Machines:
        """The same with a format's values where none are given."""
        return replace(
            self,
            pes=len(self.speeds) or (pes if self.pes is None else self.pes),
            beta=beta if self.beta is None and not self.speeds else self.beta,
            bandwidth=bandwidth if self.bandwidth is None else self.bandwidth,
        )

    def platform(self) -> Platform:
        """The PEs, after `with_defaults`."""
        assert self.pes is not None
        return Platform.of_one_kind(f"{self.pes}-pes", self.pes, self.bandwidth)

    def times(self, base: Sequence[int], classes: Sequence[int]) -> NDArray[np.int64]:
        """int64 [T, P], after `with_defaults`: times of tasks on each PE, rounded up; 0 stays 0 on all.

        Args:
            base: the time of each task.
            classes: the class of each task, numbered from 0; tasks of a class have the same factors.
        """
        assert self.pes is not None
        if self.speeds:
            speeds = [Decimal(str(speed)) for speed in self.speeds]
            return np.array([[math.ceil(time / speed) for speed in speeds] for time in base], dtype=np.int64)
        assert self.beta is not None
        draws = Draws(int(mix(np.uint64(self.seed) ^ np.uint64(MACHINE_TAG))), _STREAM_FACTORS)
        factors = 1 + self.beta * (draws(max(classes) + 1, self.pes) - 0.5)
        exact = np.array(base, dtype=np.float64)[:, None] * factors[np.array(classes)]
        return np.ceil(exact).astype(np.int64)


def _between(value: object, low: float, high: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and low <= value <= high


def _speeds(given: object) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in str(given).split("+"))
    except ValueError:
        raise FieldError("option speeds", given, "numbers joined by '+', for example 1+1+2.5") from None
