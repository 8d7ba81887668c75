"""A plan as hints for XLA: in which order its memory-space assignment should take the values.

The text form of XLA's ``MsaSortOrderOverrides`` (openxla/xla, xla/service/memory_space_assignment/
memory_space_assignment.proto): a list of overrides, the first that matches counts; each names values by the instruction
that defines them and an index within its result, and says which value of the order they get (lower comes first), or
that they come last. XLA still decides by itself what fits where, so that it comes near to a plan and not to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .schedule import MemoryPlan

FILE = "msa_sort_order_overrides.textproto"


def sort_order_overrides(plan: MemoryPlan) -> str | None:
    """What the plan holds in CMEM first, by the time that this saves, the rest last.

    Returns:
        The text, or None where the instance does not say how XLA calls its values (see `makespan trace`).
    """
    instance = plan.instance
    positions = _positions(instance.source.get("positions"))
    if positions is None or len(positions) != instance.num_tensors:
        return None
    gain = (instance.hbm_ps - instance.cmem_ps) * instance.trips[instance.access_instruction]
    saved = np.zeros(instance.num_tensors, dtype=np.int64)
    np.add.at(saved, instance.storage[instance.access_tensor], np.where(plan.served, gain, 0))
    placed = {int(instance.storage[placement.tensor]) for placement in plan.placements}
    ranks = {storage: rank for rank, storage in enumerate(sorted(placed, key=lambda s: (-int(saved[s]), s)))}
    order = sorted(range(instance.num_tensors), key=lambda v: ranks.get(int(instance.storage[v]), len(ranks)))
    found = []
    for v in order:
        position = positions[v]
        if position is not None:
            found.append(_override(*position, ranks.get(int(instance.storage[v]))))
    return "".join(found)


def _positions(data: Any) -> list[tuple[str, list[int]] | None] | None:
    """Where each tensor is defined, as an instance's source says it; None if it says something else."""
    if not isinstance(data, list):
        return None
    found: list[tuple[str, list[int]] | None] = []
    for entry in data:
        if entry is None:
            found.append(None)
            continue
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            return None
        name, index = entry
        if not (isinstance(index, list) and all(isinstance(k, int) for k in index)):
            return None
        found.append((name, index))
    return found


def _override(name: str, index: list[int], rank: int | None) -> str:
    lines = [
        "overrides {",
        "  hlo_position_matcher {",
        *(f"    {line}" for line in _matcher(name, index)),
        "  }",
        f"  override_options {{ {'assign_last: true' if rank is None else f'assign_value: {rank}'} }}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _matcher(name: str, index: list[int]) -> Iterator[str]:
    pattern = f"^{re.escape(name)}$".replace("\\", "\\\\").replace('"', '\\"')
    yield f'instruction_name_regex: "{pattern}"'
    if index:
        yield f"tuple_index {{ {' '.join(f'index: {k}' for k in index)} }}"
