"""Objectives of the records that ship (`makespan.eval.records`): what is best known includes what is held here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from .instance import check_header, parse_json

FORMAT, VERSION = "makespan/record-objectives", 1
FILE = "objectives.json"


@cache
def held_objectives() -> Mapping[str, Mapping[str, int]]:
    """Objectives by variant (``job_shop/swap``: the folder of its records), then by the hash of the instance."""
    text = resources.files("makespan.records").joinpath(FILE).read_text(encoding="utf-8")
    return check_header(parse_json(text, FILE), FORMAT, (VERSION,), FILE)["objectives"]


def best_of(known: int | None, variant: str, instance_hash: str) -> int | None:
    """The lesser of an objective that is known elsewhere and that of the record held; None where neither is."""
    held = held_objectives().get(variant, {}).get(instance_hash)
    return min((value for value in (known, held) if value is not None), default=None)
