"""Known bounds on the run time of programs: those that ship beside this module, else what counting gives.

``known.json`` holds for instances, by the hash of their content, what no plan is below and the best that anybody has
found. `record` changes its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from ..core.errors import FieldError
from ..core.held import best_of
from ..core.instance import check_header, parse_json
from .bounds import lower_bound
from .catalogue import named
from .instance import MemoryInstance
from .schedule import SUPPLIES

FORMAT = "makespan/memory-mapping-known"
VERSION = 1
FILE = "known.json"
OBJECTIVES = ("judge", "proxy")


class Bounds(NamedTuple):
    """Bounds on the least run time of a program, picoseconds.

    Attributes:
        lower: no valid plan is shorter.
        upper: of the best plan known, None where none is.
        source: how the lower bound was computed, and who found the upper one.
    """

    lower: int
    upper: int | None
    source: str


def bounds(instance: MemoryInstance | str, objective: str = "judge", supply: str = "contended") -> Bounds:
    """The best bounds known.

    Args:
        instance: a program, or the name of one of the suite.
        objective: "judge" bounds both judges, for plans with whatever supply; "proxy" the proxy run time of plans that
            fit `supply`.
        supply: "contended", "elapsed" or "unlimited".

    Raises:
        FieldError: `objective` or `supply` is something else.
        UserError: no instance has this name.
    """
    for name, value, choices in (("objective", objective, OBJECTIVES), ("supply", supply, SUPPLIES)):
        if value not in choices:
            raise FieldError(name, value, f"one of {', '.join(choices)}")
    if isinstance(instance, str):
        (instance,) = named(instance)
    contended = objective == "judge" or supply == "contended"
    lower, source = lower_bound(instance, contended), "compute, traffic and what fits CMEM"
    entry = known().get(instance.hash, {})
    relaxed = entry.get("lower", {}).get("contended" if contended else supply)
    if relaxed is not None and relaxed > lower:
        lower, source = relaxed, "linear program"
    value, who = entry.get("upper", {}).get("judge" if objective == "judge" else supply, (None, "nobody"))
    best = best_of(value, "memory_mapping/judge", instance.hash) if objective == "judge" else value
    if best is None:
        return Bounds(lower, None, source)
    return Bounds(lower, int(best), f"{source}; {who if best == value else 'the record held'}")


@cache
def known() -> Mapping[str, Mapping[str, Any]]:
    """What is known of instances, by their hashes.

    An entry is ``{"name": ..., "lower": {supply: ps}, "upper": {key: [ps, by whom]}}``; the key of an upper bound is
    "judge" for the judged run time of any plan, else the supply that a plan with this proxy run time fits.
    """
    text = resources.files(__package__ or "").joinpath(FILE).read_text(encoding="utf-8")
    return check_header(parse_json(text, FILE), FORMAT, (VERSION,), FILE)["instances"]


def record(
    entries: dict[str, dict[str, Any]],
    instance: MemoryInstance,
    lower: Mapping[str, int],
    upper: Mapping[str, tuple[int, str]],
) -> None:
    """Add bounds of an instance to entries as `known` has them; of two of a kind the better one stays."""
    entry = entries.setdefault(instance.hash, {"name": instance.name, "lower": {}, "upper": {}})
    for supply, value in lower.items():
        entry["lower"][supply] = max(value, entry["lower"].get(supply, 0))
    for key, (value, who) in upper.items():
        if key not in entry["upper"] or value < entry["upper"][key][0]:
            entry["upper"][key] = [value, who]
