"""The public benchmark instances and their known bounds, as they lie in the folder ``instances``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from ..core.errors import UnknownNameError
from ..core.instance import check_header, parse_json
from . import instances

FAMILY_FORMAT = "makespan/job-shop-family"
FAMILY_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One public instance.

    Attributes:
        data: its routes (``machines``, ``jobs``), or what Taillard's generator needs (``jobs``, ``machines``,
            ``time_seed``, ``machine_seed``).
        bounds: per blocking mode the best known (lower, upper) bound on the makespan.
        source: where the instance was published.
        bounds_sources: per blocking mode where the bounds come from.
    """

    data: Mapping[str, Any]
    bounds: Mapping[str, tuple[int, int]]
    source: str
    bounds_sources: Mapping[str, str]


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Entry]:
    """All public instances by name, in alphabetical order."""
    entries: dict[str, Entry] = {}
    for file in resources.files(instances).iterdir():
        if file.name.endswith(".json"):
            document = parse_json(file.read_text(encoding="utf-8"), file.name)
            family = check_header(document, FAMILY_FORMAT, (FAMILY_VERSION,), file.name)
            for data in family["instances"]:
                bounds = {mode: (lower, upper) for mode, (lower, upper) in data["bounds"].items()}
                entries[data["name"]] = Entry(data, bounds, family["source"], family["bounds_sources"])
    return dict(sorted(entries.items()))


def entry(name: str) -> Entry:
    """A public instance by name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in catalogue():
        raise UnknownNameError("instance", name, catalogue())
    return catalogue()[name]
