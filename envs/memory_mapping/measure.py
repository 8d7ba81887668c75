"""What follows from a program alone, derived once when it is loaded into a copy."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    ALL_HBM_MEMORY,
    ALL_HBM_TIME,
    CARRIED,
    CMEM,
    COMPUTE,
    CONST,
    DIM_ACCESSES,
    DIM_ALL_HBM,
    DIM_BEST,
    DIM_INSTRUCTIONS,
    DIM_TENSORS,
    DIM_WORST,
    FIRST,
    FIRST_ACCESS,
    FIRST_OF_STORAGE,
    HBM,
    INPUT,
    INSTRUCTION,
    KIND,
    LEAST_MEMORY,
    LOOP,
    NEVER,
    NEXT,
    NEXT_WRITE,
    NONE,
    OVERHEAD,
    PARAM,
    PASSED,
    PREVIOUS,
    STATIC,
    STORAGE,
    STORAGE_OF,
    TENSOR,
    TRANSFER,
    TRIPS,
    VALID_FROM,
    WRITES,
)

_READ, _CARRIED = 1, 2


@compiled
def measure(problem, i):
    """Derive the tables of copy i from its program."""
    link_accesses(problem, i)
    mark_carried(problem, i)
    measure_times(problem, i)


@compiled
def link_accesses(problem, i):
    """Link the accesses of each storage, and find out of which HBM has the value from the start."""
    access, tensor, dims = problem.access[i], problem.tensor[i], problem.dims[i]
    for v in range(dims[DIM_TENSORS]):
        tensor[v, FIRST_OF_STORAGE] = NONE
        tensor[v, VALID_FROM] = NEVER
    for v in range(dims[DIM_TENSORS]):
        kind = tensor[v, KIND]
        if kind in (PARAM, INPUT, CONST):
            tensor[tensor[v, STORAGE_OF], VALID_FROM] = -1
    for k in range(dims[DIM_ACCESSES]):
        storage = tensor[access[k, TENSOR], STORAGE_OF]
        previous = tensor[storage, FIRST_OF_STORAGE]  # meanwhile the latest
        access[k, STORAGE], access[k, PREVIOUS], access[k, NEXT] = storage, previous, NONE
        if previous != NONE:
            access[previous, NEXT] = k
        tensor[storage, FIRST_OF_STORAGE] = k
    for k in range(dims[DIM_ACCESSES] - 1, -1, -1):
        after = access[k, NEXT]
        tensor[access[k, STORAGE], FIRST_OF_STORAGE] = k
        if after == NONE:
            access[k, NEXT_WRITE] = NEVER
        else:
            access[k, NEXT_WRITE] = (
                access[after, INSTRUCTION] if access[after, WRITES] == 1 else access[after, NEXT_WRITE]
            )


@compiled
def mark_carried(problem, i):
    """Mark the accesses in a loop of what is read in it before it is written in it."""
    access, instruction = problem.access[i], problem.instruction[i]
    count = problem.dims[i, DIM_ACCESSES]
    for k in range(count):
        previous = access[k, PREVIOUS]
        before = 0
        if previous != NONE and same_segment(access, instruction, previous, k):
            before = access[previous, CARRIED]
        if access[k, WRITES] == 1:
            access[k, CARRIED] = _CARRIED if before != 0 else 0
        else:
            access[k, CARRIED] = max(before, _READ)
    for k in range(count - 1, -1, -1):
        after = access[k, NEXT]
        carried = access[k, CARRIED] == _CARRIED
        if after != NONE and same_segment(access, instruction, k, after):
            carried = carried or access[after, CARRIED] == 1
        access[k, CARRIED] = carried and instruction[access[k, INSTRUCTION], LOOP] == 1


@compiled
def same_segment(access, instruction, one, other):
    """Whether two accesses lie in the same segment of the program."""
    return instruction[access[one, INSTRUCTION], FIRST] == instruction[access[other, INSTRUCTION], FIRST]


@compiled
def measure_times(problem, i):
    """Run times of the instructions and of the program: all in HBM, at best, and what is worse than any play."""
    access, instruction, dims = problem.access[i], problem.instruction[i], problem.dims[i]
    accesses, instructions = dims[DIM_ACCESSES], dims[DIM_INSTRUCTIONS]
    k = 0
    passed, best, worst = 0, 0, 0
    for t in range(instructions):
        row = instruction[t]
        trips = row[TRIPS]
        row[FIRST_ACCESS] = k
        in_hbm, least, most = 0, 0, 0
        while k < accesses and access[k, INSTRUCTION] == t:
            in_hbm += access[k, HBM]
            least += min(access[k, HBM], access[k, CMEM])
            most += max(access[k, HBM], access[k, CMEM])
            worst += trips * problem.tensor[i, access[k, TENSOR], TRANSFER]
            k += 1
        row[ALL_HBM_MEMORY], row[LEAST_MEMORY] = in_hbm, least
        row[ALL_HBM_TIME] = max(row[COMPUTE], in_hbm) + row[OVERHEAD]
        passed += trips * row[ALL_HBM_TIME]
        best += trips * (max(row[COMPUTE], least) + row[OVERHEAD])
        worst += trips * (max(row[COMPUTE], most) + row[OVERHEAD])
        row[PASSED] = passed
    for k in range(accesses):
        row = instruction[access[k, INSTRUCTION]]
        alone = row[ALL_HBM_MEMORY] - access[k, HBM] + access[k, CMEM]
        access[k, STATIC] = row[TRIPS] * (max(row[COMPUTE], row[ALL_HBM_MEMORY]) - max(row[COMPUTE], alone))
    dims[DIM_ALL_HBM], dims[DIM_BEST] = passed, best
    dims[DIM_WORST] = max(2 * passed, worst) + passed + 1
