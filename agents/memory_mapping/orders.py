"""Orders in which a mapper places storages: XLA's priority, and simpler ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .program import Program

ORDERS = ("priority", "density", "benefit", "size-desc", "size-asc", "live-range", "program")


def order_of(program: Program, name: str, loop_factor: float = 5.0) -> NDArray[np.int64]:
    """All storages in an order, dense numbers.

    Args:
        program: the program.
        name: one of `ORDERS`: benefit by the square root of the size (XLA's), by the size, or alone; by size; short
            live ranges first; by the first access.
        loop_factor: by how much more gains within a loop count.
    """
    size = program.size.astype(np.float64)
    benefit, length = boundedness(program, loop_factor), live_ranges(program)
    key = {
        "priority": -benefit / np.sqrt(size),
        "density": -benefit / size,
        "benefit": -benefit,
        "size-desc": -size,
        "size-asc": size,
        "live-range": length.astype(np.float64),
        "program": program.instruction[program.accesses[program.begin[:-1] % len(program.accesses)]].astype(np.float64),
    }[name]
    return np.lexsort((-length, -size, key)).astype(np.int64)


def boundedness(program: Program, loop_factor: float = 5.0) -> NDArray[np.float64]:
    """float64 [S], how much each storage gains in CMEM, as XLA counts (cost_analysis.cc, ``GetMemoryBoundedness``).

    An access of an instruction that waits for memory counts what the instruction would save by it alone, times the
    loop's factor; others count minus what computation exceeds memory by. Gains add up; else the largest counts.
    """
    memory = np.zeros(len(program.compute), dtype=np.int64)
    np.add.at(memory, program.instruction, program.hbm)
    slack = (memory - program.compute)[program.instruction].astype(np.float64)
    factor = np.where(program.in_loop[program.instruction], loop_factor, 1.0)
    gain = np.where(slack > 0, (program.hbm - program.cmem) * factor, slack)
    result = np.zeros(program.num_storages)
    for storage in range(program.num_storages):
        gains = gain[program.accesses[program.begin[storage] : program.begin[storage + 1]]].tolist()
        if gains:
            total = gains[0]
            for more in gains[1:]:
                total = total + more if total > 0 and more > 0 else max(total, more)
            result[storage] = total
    return result


def live_ranges(program: Program) -> NDArray[np.int64]:
    """int64 [S], instructions from the first access to the last."""
    result = np.zeros(program.num_storages, dtype=np.int64)
    for storage in range(program.num_storages):
        accesses = program.accesses[program.begin[storage] : program.begin[storage + 1]]
        if len(accesses):
            result[storage] = program.instruction[accesses[-1]] - program.instruction[accesses[0]] + 1
    return result
