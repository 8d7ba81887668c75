"""How people are shown an objective whose own unit is too small to read: ``$`` where it is counted in micro-dollars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import FieldError

UNIT, DIVISOR = "shown_unit", "shown_divisor"


class Shown(NamedTuple):
    """What tables, plots and messages show.

    Attributes:
        unit: its name.
        divisor: how much of the objective's own unit makes one of it.
    """

    unit: str
    divisor: float

    @property
    def factor(self) -> float:
        """What a value is multiplied by."""
        return 1.0 / self.divisor

    def title(self, name: str) -> str:
        """What heads a column or an axis: with the unit where that is not the objective's own."""
        return name if self.divisor == 1 else f"{name} ({self.unit})"


def shown(objective: Mapping[str, Any]) -> Shown:
    """What an environment's ``metadata["objective"]`` has people shown: its own unit where it names no other.

    Raises:
        FieldError: `shown_unit` or `shown_divisor` stands alone, or is malformed.
    """
    if UNIT not in objective and DIVISOR not in objective:
        return Shown(str(objective.get("unit")), 1)
    unit, divisor = objective.get(UNIT), objective.get(DIVISOR)
    if not (isinstance(unit, str) and unit):
        raise FieldError(f"metadata['objective'][{UNIT!r}]", unit, f"a text, as {DIVISOR!r} is given")
    number = divisor if isinstance(divisor, int | float) and not isinstance(divisor, bool) else math.nan
    if not 0 < number < math.inf:
        raise FieldError(f"metadata['objective'][{DIVISOR!r}]", divisor, f"a number above 0, as {UNIT!r} is given")
    return Shown(unit, number)
