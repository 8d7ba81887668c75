"""Known bounds on the static makespan: those that ship beside this module, else what counting gives.

``known.json`` holds for instances, by the hash of their content, what no schedule is below and the best that anybody
has found, for mean times at the highest level. ``benchmarks/soc_known.py`` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from ..core.held import best_of
from ..core.instance import check_header, parse_json
from .bounds import lower_bound
from .catalogue import instance as named_instance
from .instance import SocInstance

FORMAT = "makespan/soc-known"
VERSION = 1
FILE = "known.json"


class Bounds(NamedTuple):
    """Bounds on the least makespan of an instance, in its unit of time.

    Attributes:
        lower: no schedule is shorter.
        upper: of the best schedule known, None where none is. Equal to `lower` at a proved optimum.
        source: how the lower bound was computed, and who found the upper one.
    """

    lower: int
    upper: int | None
    source: str


def bounds(instance: SocInstance | str) -> Bounds:
    """The best bounds known.

    Args:
        instance: an instance, or the name of one that ships. One that bears a known name but has other content is not
            taken for the known one.

    Raises:
        UnknownNameError: no instance has this name.
    """
    if isinstance(instance, str):
        instance = named_instance(instance)
    entry = known().get(instance.hash)
    if entry is None:
        return Bounds(lower_bound(instance), None, "paths and work")
    return Bounds(entry["lower"], best_of(entry["upper"], "soc/makespan", instance.hash), entry["source"])


@cache
def known() -> Mapping[str, Mapping[str, Any]]:
    """What is known of instances, by their hashes: ``{"name": ..., "lower": ..., "upper": ..., "source": ...}``."""
    text = resources.files(__package__ or "").joinpath(FILE).read_text(encoding="utf-8")
    return check_header(parse_json(text, FILE), FORMAT, (VERSION,), FILE)["instances"]
