"""The mapper on random programs: every plan is valid, and the compiled run times are those of the judges."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import ORDERS, order_of
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate

SUPPLIES = ("elapsed", "contended", "unlimited")


class RandomProgram:
    """Draws a program with loops, groups updated in place, values that loops carry, outputs and partial accesses."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[Tensor] = []
        self.instructions: list[Instruction] = []
        self.latest: dict[int, int] = {}  # by alias group the value that may be read
        self.values: list[int] = []

    def draw(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def add(self, kind: str, group: int | None = None) -> int:
        if group is not None and group in self.latest:
            size, alone = self.tensors[self.latest[group]].bytes, self.tensors[self.latest[group]].hbm_only
        else:
            size, alone = self.draw(1, 4000), self.chance(0.05)
        self.tensors.append(Tensor(size, kind, group, alone))
        return len(self.tensors) - 1

    def add_instruction(self) -> None:
        reads: set[int] = set()
        if self.chance(0.4):
            reads.add(self.add(("param", "input", "const")[self.draw(0, 3)]))
            self.values.append(max(reads))
        for _ in range(self.draw(0, 3)):
            if self.values:
                reads.add(self.values[max(0, len(self.values) - 1 - self.draw(0, 12))])
        reads |= {value for value in self.latest.values() if self.chance(0.25)}
        writes = []
        for group in range(3):
            if self.chance(0.12):
                kind = "output" if self.chance(0.1) else "act"
                writes.append(self.add("param" if group not in self.latest and self.chance(0.4) else kind, group))
        for _ in range(self.draw(0, 3)):
            writes.append(self.add("output" if self.chance(0.15) else "act"))
        written = []
        for value in writes:
            if self.tensors[value].kind == "param":
                reads.add(value)
            else:
                written.append(value)
            group = self.tensors[value].alias_group
            if group is not None:
                self.latest[group] = value
            else:
                self.values.append(value)
        reads -= {v for v in written}
        self.instructions.append(
            Instruction(
                "", tuple((v, self.access(v)) for v in sorted(reads)), self.accesses(written), self.draw(0, 4000)
            )
        )

    def access(self, value: int) -> int:
        size = self.tensors[value].bytes
        return size if self.chance(0.8) else self.draw(0, size + 1)

    def accesses(self, values: list[int]) -> tuple[tuple[int, int], ...]:
        return tuple((value, self.access(value)) for value in values)

    def make(self) -> MemoryInstance:
        count = self.draw(3, 60)
        for _ in range(count):
            self.add_instruction()
        if not any(x.reads or x.writes for x in self.instructions):
            self.instructions[-1] = Instruction("", (), ((self.add("output"), 5),))
        loops, now = [], 0
        while self.chance(0.7) and now < count:
            first = self.draw(now, count)
            last = self.draw(first, min(count, first + 20))
            loops.append((first, last, self.draw(1, 5)))
            now = last + 1
        hardware = Hardware(
            cmem_bytes=self.draw(1000, 40_000),
            align=(1, 64)[self.draw(0, 2)],
            hbm_bps=10**12,
            cmem_read_bps=self.draw(1, 9) * 10**12 // 2,
            cmem_write_bps=self.draw(1, 9) * 10**12 // 2,
            copy_latency_ps=self.draw(0, 2) * 300,
            overhead_ps=self.draw(0, 2) * 100,
        )
        return MemoryInstance("random", tuple(self.tensors), tuple(self.instructions), hardware, tuple(loops))


def drawn(seed: int) -> MemoryInstance:
    return RandomProgram(seed).make()


def varied(seed: int, supply: str) -> MapperOptions:
    draw = np.random.default_rng(seed)
    return MapperOptions(
        supply,
        preferred=float(draw.choice([0.1, 1.0, 2.0, 4.0])),
        minimum=float(draw.choice([0.0, 0.5, 1.0])),
        maximum=float(draw.choice([0.2, 1.0, 8.0, 100.0])),
        fetches=int(draw.choice([1, 3, 40])),
        write_backs=int(draw.choice([1, 40])),
        repacks=int(draw.choice([0, 4, 1000])),
        tries=int(draw.choice([1, 2, 3])),
        fifo=bool(draw.integers(2)),
        pin_outputs=bool(draw.integers(2)),
    )


def test_programs_hold_what_they_should() -> None:
    programs = [drawn(seed) for seed in range(200)]
    assert sum(bool(program.loops) for program in programs) > 50
    assert sum(bool(program.carried) for program in programs) > 20
    assert sum(any(t.alias_group is not None for t in program.tensors) for program in programs) > 100


@pytest.mark.parametrize("supply", SUPPLIES)
def test_every_plan_is_valid_and_takes_what_the_judges_say(supply: str) -> None:
    placed = fetched = written_back = waits = 0
    for seed in range(300):
        instance = drawn(seed)
        mapper = Mapper(instance, varied(seed, supply))
        order = np.random.default_rng(seed).permutation(mapper.program.num_storages)
        if seed % 3 == 0:
            order = order_of(mapper.program, ORDERS[seed % len(ORDERS)])
        mapper.map(order)
        plan = mapper.plan()
        assert validate(plan) == [], seed
        times = run_times(plan)
        assert mapper.run_times() == (times.proxy_ps, times.judged_ps), seed
        assert mapper.mapping.in_cmem.tolist() == plan.served.tolist(), seed
        placed += len(plan.placements)
        fetched += sum(p.copy is not None for p in plan.placements)
        written_back += sum(len(p.write_backs) for p in plan.placements)
        waits += times.judged_ps > times.proxy_ps
    assert placed > 1000
    assert fetched > 200
    assert written_back > 60
    assert (waits > 20) == (supply != "contended")


def test_the_same_order_gives_the_same_plan_after_others() -> None:
    for seed, supply in product(range(20), SUPPLIES):
        mapper = Mapper(drawn(seed), varied(seed, supply))
        order = order_of(mapper.program, "priority")
        mapper.map(order)
        plan = mapper.plan()
        mapper.map(order[::-1])
        mapper.map(order)
        assert mapper.plan().placements == plan.placements
