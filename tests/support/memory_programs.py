"""Small random programs for tests of memory mapping, with everything that the model knows."""

from __future__ import annotations

import random
from dataclasses import replace

from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor


def random_program(seed: int, instructions: int = 8, groups: bool = True, loops: bool = True) -> MemoryInstance:
    """A program under pressure: alias groups, loops, outputs, gathers, tensors that stay in HBM or fit nowhere."""
    rng = random.Random(seed)
    hardware = Hardware(
        name="small",
        cmem_bytes=rng.choice((40, 64, 100)),
        align=rng.choice((1, 4, 8)),
        hbm_bps=10**12,  # a byte per picosecond
        cmem_read_bps=rng.choice((2, 4, 10)) * 10**12,
        cmem_write_bps=rng.choice((2, 4)) * 10**12,
        copy_latency_ps=rng.choice((0, 0, 3)),
        overhead_ps=rng.choice((0, 0, 2)),
    )
    ranges = _loops(rng, instructions) if loops else ()
    tensors: list[Tensor] = []
    readable: list[int] = []
    for _ in range(rng.randint(1, 4)):
        readable.append(len(tensors))
        kind = rng.choice(("param", "input", "const"))
        tensors.append(Tensor(rng.randint(4, 45), kind, None, rng.random() < 0.08))
    latest: dict[int, int] = {}  # of each alias group
    if groups and rng.random() < 0.3:
        latest[0] = rng.choice(readable)
        first = tensors[latest[0]]
        tensors[latest[0]] = Tensor(first.bytes, first.kind, 0, first.hbm_only)
    rows: list[tuple[list[int], list[int]]] = []
    for t in range(instructions):
        reads = rng.sample(readable, min(len(readable), rng.choice((0, 1, 1, 2, 3)) if t else 1))
        writes = []
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            tensor = len(tensors)
            group = rng.choice((None, None, 0, 1)) if groups else None
            if group is not None and group in latest and (latest[group] in writes):
                group = None
            if group is None:
                kind = "output" if rng.random() < 0.15 else "act"
                tensors.append(Tensor(rng.randint(4, 45), kind, None, rng.random() < 0.05))
            elif group in latest:
                old = tensors[latest[group]]
                readable.remove(latest[group])
                tensors.append(Tensor(old.bytes, "act", group, old.hbm_only))
                latest[group] = tensor
            else:
                tensors.append(Tensor(rng.randint(4, 30), "act", group))
                latest[group] = tensor
            writes.append(tensor)
        rows.append((reads, writes))
        readable += writes
    for group, tensor in latest.items():
        if tensors[tensor].kind == "act" and rng.random() < 0.3:  # the last value of a group is a result
            old = tensors[tensor]
            tensors[tensor] = Tensor(old.bytes, "output", group, old.hbm_only)
    listed = tuple(
        Instruction(
            op=f"op{t}",
            reads=tuple((v, _moved(rng, tensors[v].bytes)) for v in reads),
            writes=tuple((v, _moved(rng, tensors[v].bytes)) for v in writes),
            compute_ps=rng.choice((0, 5, 20, 60)),
        )
        for t, (reads, writes) in enumerate(rows)
    )
    return MemoryInstance(f"random-{seed}", tuple(tensors), listed, hardware, ranges)


def looping_program(seed: int, instructions: int = 8) -> MemoryInstance:
    """A random program the later part of which is a loop or two, with time for fetches before and little in it."""
    program, rng = random_program(seed, instructions, loops=False), random.Random(seed)
    first = rng.randint(1, max(1, instructions // 2))
    middle = rng.randint(first, instructions - 1)
    loops = ((first, middle, 3),)
    if middle + 1 < instructions:
        loops += ((middle + 1, instructions - 1, 2),)
    rows = tuple(
        replace(row, compute_ps=90 if t < first else rng.choice((0, 0, 20)))
        for t, row in enumerate(program.instructions)
    )
    return replace(program, instructions=rows, loops=loops)


def _loops(rng: random.Random, instructions: int) -> tuple[tuple[int, int, int], ...]:
    if rng.random() < 0.5 or instructions < 4:
        return ()
    first = rng.randint(0, instructions - 3)
    last = rng.randint(first + 1, instructions - 1)
    loops = [(first, last, rng.randint(1, 4))]
    if last + 2 < instructions and rng.random() < 0.3:
        loops.append((last + 1, instructions - 1, 2))
    return tuple(loops)


def _moved(rng: random.Random, size: int) -> int:
    """Bytes that an access moves: mostly all, sometimes a part or several times as much."""
    return rng.choice((size, size, size, max(1, size // 3), size * 3, 0))
