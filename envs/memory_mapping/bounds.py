"""Lower bounds on the run time of a program, whatever is mapped where.

`infinite_bound` and `lower_bound` count, `lp_bound` solves a linear program (see `relaxation`).
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from .instance import WRITTEN_KINDS, MemoryInstance


def placeable(instance: MemoryInstance) -> NDArray[np.bool_]:
    """bool [V], the tensors that may be in CMEM: those that need not stay in HBM and are not larger than CMEM."""
    free = np.array([not tensor.hbm_only for tensor in instance.tensors], dtype=np.bool_)
    return free & (instance.size <= instance.hardware.cmem_bytes)


def infinite_bound(instance: MemoryInstance) -> int:
    """The run time with each access where it is faster, if CMEM held everything at once and transfers cost nothing."""
    in_cmem = placeable(instance)[instance.access_tensor] & (instance.cmem_ps < instance.hbm_ps)
    return int((instance.trips * instance.instruction_ps(in_cmem)).sum())


def lower_bound(instance: MemoryInstance, contended: bool = True) -> int:
    """The best bound on the run time that needs no search, picoseconds.

    The larger of what each instruction takes at least with CMEM filled for it alone, and, if transfers share the
    channel with instructions, of the traffic that no plan avoids.

    Args:
        contended: bound both judges, and the proxy run time of plans whose transfers fit the contended supply; else the
            proxy run time of any plan.
    """
    bound = _knapsack_bound(instance)
    return max(bound, _compulsory_traffic(instance)) if contended else bound


def _knapsack_bound(instance: MemoryInstance) -> int:
    """What the instructions take if each has the best of CMEM for itself, parts of tensors allowed."""
    saved: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    may = placeable(instance)
    gains = np.maximum(instance.hbm_ps - instance.cmem_ps, 0)
    for i in np.flatnonzero(may[instance.access_tensor] & (gains > 0)).tolist():
        storage = int(instance.storage[instance.access_tensor[i]])
        saved[int(instance.access_instruction[i])][storage] += int(gains[i])
    traffic = np.zeros(instance.num_instructions, dtype=np.int64)
    np.add.at(traffic, instance.access_instruction, instance.hbm_ps)
    total = 0
    for t, (compute, memory, trips) in enumerate(
        zip(instance.compute_ps.tolist(), traffic.tolist(), instance.trips.tolist(), strict=True)
    ):
        most = _fractional_knapsack(saved[t], instance.size, instance.hardware.cmem_bytes)
        total += trips * (max(compute, memory - most) + instance.hardware.overhead_ps)
    return total


def _fractional_knapsack(gains: dict[int, int], size: NDArray[np.int64], room: int) -> int:
    """The most that storages within the room gain, the last of them in part, rounded down."""
    total = 0
    for storage in sorted(gains, key=lambda s: gains[s] / size[s], reverse=True):
        need = int(size[storage])
        if need > room:
            return total + gains[storage] * room // need
        total, room = total + gains[storage], room - need
    return total


def _compulsory_traffic(instance: MemoryInstance) -> int:
    """What the channel carries in any plan: inputs are read from HBM or fetched, outputs written to HBM or back."""
    least: dict[int, int] = {}
    rows = zip(
        instance.access_tensor.tolist(),
        instance.access_writes.tolist(),
        (instance.hbm_ps * instance.trips[instance.access_instruction]).tolist(),
        strict=True,
    )
    for tensor, writes, hbm_ps in rows:
        kind = instance.tensors[tensor].kind
        if kind not in WRITTEN_KINDS or (writes and kind == "output"):
            least[tensor] = min(least.get(tensor, int(instance.transfer_ps[tensor])), hbm_ps)
    return sum(least.values())


def lp_bound(instance: MemoryInstance, supply: str = "contended", seconds: float = 60.0) -> int | None:
    """The bound of a linear program, picoseconds; None where the solver gives no dual values in time.

    Args:
        supply: "contended" bounds both judges for every valid plan, whatever supply it promises to fit, and the proxy
            run time of plans that fit the contended supply. "elapsed" bounds the proxy run time of plans that fit the
            elapsed supply.
        seconds: wall time for the solver.
    """
    from .relaxation import Relaxation  # only here: SciPy takes long to load

    value = Relaxation(instance, waits=supply == "contended").solve(seconds)
    return None if value is None else max(math.ceil(value), lower_bound(instance, supply == "contended"))
