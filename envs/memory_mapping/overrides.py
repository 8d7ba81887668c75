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
    positions = instance.source.get("positions")
    if not _are_positions(positions, instance.num_tensors):
        return None
    gain = (instance.hbm_ps - instance.cmem_ps) * instance.trips[instance.access_instruction]
    saved = np.zeros(instance.num_tensors, dtype=np.int64)
    np.add.at(saved, instance.storage[instance.access_tensor], np.where(plan.served, gain, 0))
    placed = {int(instance.storage[placement.tensor]) for placement in plan.placements}
    ranks = {storage: rank for rank, storage in enumerate(sorted(placed, key=lambda s: (-int(saved[s]), s)))}
    order = sorted(range(instance.num_tensors), key=lambda v: ranks.get(int(instance.storage[v]), len(ranks)))
    return "".join(
        _override(*positions[v], ranks.get(int(instance.storage[v]))) for v in order if positions[v] is not None
    )


def _are_positions(positions: Any, count: int) -> bool:
    """Whether an instance's source says for each tensor where it is defined."""
    return (
        isinstance(positions, list)
        and len(positions) == count
        and all(
            x is None or (isinstance(x, list) and len(x) == 2 and isinstance(x[0], str) and isinstance(x[1], list))
            for x in positions
        )
    )


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
