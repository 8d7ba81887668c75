"""The kinds of feasible sets that a file may name."""

from __future__ import annotations

from typing import Any

from ..core.errors import FieldError, UnknownNameError
from .appointments import Appointments
from .capacity import Capacity
from .feasible import Cardinality, FeasibleSet, LinearSet
from .walks import Walks

KINDS = {made.kind: made for made in (Cardinality, Capacity, Appointments, Walks, LinearSet)}


def read_set(data: Any, size: int, source: str | None = None) -> FeasibleSet:
    """The feasible set over `size` elements whose `to_dict` gave `data`.

    Raises:
        UserError: something is missing, unknown or malformed.
    """
    if not isinstance(data, dict):
        raise FieldError("feasible", data, "an object", source)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError(f"{source + ': ' if source else ''}feasible.kind", str(kind)[:80], KINDS)
    return KINDS[kind].from_dict(data, size, source)
