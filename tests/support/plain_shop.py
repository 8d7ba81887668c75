"""The job shop once more, slow and plain: it ticks through time and shares no code with the compiled engine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from makespan.envs.job_shop.instance import JobShopInstance

_MASK = 2**64 - 1
_NEVER = 10**12


def splitmix(x: int) -> int:
    """One step of splitmix64 on Python integers."""
    h = (x + 0x9E3779B97F4A7C15) & _MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _MASK
    return h ^ (h >> 31)


def plain_uniform(seed: int, *keys: int) -> float:
    """U(seed, k1, k2, ...) of the sheets."""
    h = splitmix(seed)
    for key in keys:
        h = splitmix(h ^ key)
    return (h >> 11) * 2.0**-53


def lengths_of(law: str, seed: int, machine: int, k: int, p: float, mtbf: float, mttr: float) -> tuple[int, int]:
    """Up length before breakdown k of a machine, and its down length."""
    u, v = plain_uniform(seed, 1, machine, k, 0), plain_uniform(seed, 1, machine, k, 1)
    if law == "bernoulli":
        up = 1 + math.floor(math.log(1 - u) / math.log(1 - p)) if p > 0 else _NEVER
        return up, 10 + math.floor(41 * v)
    return max(1, math.ceil(-mtbf * math.log(1 - u))), max(1, math.ceil(-mttr * math.log(1 - v)))


@dataclass
class Job:
    position: int = 0
    status: str = "outside"  # outside, processing, blocked, left; "processing" on a machine that is down is paused
    machine: int = -1
    remaining: int = 0
    piece: int = 0
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


@dataclass
class Machine:
    holder: int = -1
    down_until: int | None = None
    down_since: int = 0
    windows: int = 0  # how many have begun
    age: int = 0


class PlainShop:
    """One shop; the options are those of the environment.

    Attributes:
        time: the clock.
        status: running, finished, deadlock or truncated.
        lost: rows (job, piece, operation, machine, start, end) of lost pieces.
        downtime: windows that have begun, per machine.
    """

    def __init__(self, instance: JobShopInstance, seed: int = 0, **options: Any) -> None:
        self.options: dict[str, Any] = {
            "blocking": "swap", "law": "none", "p": 0.005, "mtbf": 200.0, "mttr": 30.0, "clock": "calendar",
            "on_breakdown": "resume", "unload_when_down": True, "known_windows": False, "epoch_on_breakdown": False,
            "allow_wait": True, "deadlock": "end", "repair_visible": True, **options,
        }  # fmt: skip
        self.seed = seed
        lengths = instance.lengths.tolist()
        self.times = [row[:n] for row, n in zip(instance.times.tolist(), lengths, strict=True)]
        self.routes = [row[:n] for row, n in zip(instance.machines.tolist(), lengths, strict=True)]
        self.given = instance.windows or ((),) * instance.num_machines
        self.jobs = [Job() for _ in lengths]
        self.machines = [Machine() for _ in range(instance.num_machines)]
        self.time = self.steps = self.waits = 0
        self.status = "running"
        self.lost: list[list[int]] = []
        self.downtime: list[list[tuple[int, int]]] = [[] for _ in self.machines]
        self._settle()
        self._run()

    # --- what a decision maker sees -----------------------------------------------------------------------------------

    def mask(self) -> list[int]:
        """Legal actions: one entry per job, then WAIT."""
        if self.status != "running":
            return [0] * (len(self.jobs) + 1)
        moves = [int(self._legal(j)) for j in range(len(self.jobs))]
        busy = any(job.status == "processing" for job in self.jobs)
        down = any(machine.down_until is not None for machine in self.machines)
        wait = self.options["allow_wait"] and (busy or down or self._announced())
        return [*moves, int(wait)]

    def objective(self) -> int:
        total = sum(map(sum, self.times))
        return self.time if self.status in ("running", "finished") else max(self.time, 2 * total)

    def step(self, action: int) -> None:
        self.steps += 1
        if action == len(self.jobs):
            self.waits += 1
            self._tick()
            while not self._settle():
                self._tick()
        else:
            self._enter(action)
            self._settle()
        self._run()
        if self.status == "running" and self.steps >= 50 * sum(map(len, self.times)):
            self.status = "truncated"

    # --- breakdowns ---------------------------------------------------------------------------------------------------

    def _announced(self) -> bool:
        if not self.options["known_windows"] or self.options["clock"] == "busy":
            return False
        if self.options["law"] == "windows":
            return any(len(self.given[m]) > machine.windows for m, machine in enumerate(self.machines))
        return self.options["law"] != "none" and (self.options["law"] != "bernoulli" or self.options["p"] > 0)

    def _window_due(self, m: int) -> int | None:
        """End of the window of machine m that begins now, if one does."""
        machine, law = self.machines[m], self.options["law"]
        if law == "none" or machine.down_until is not None:
            return None
        if law == "windows":
            begin, end = self.given[m][machine.windows] if machine.windows < len(self.given[m]) else (-1, -1)
            return end if begin == self.time else None
        o = self.options
        up, down = lengths_of(law, self.seed, m, machine.windows, o["p"], o["mtbf"], o["mttr"])
        age = machine.age if o["clock"] == "busy" else self.time - machine.down_since
        return self.time + down if age == up else None

    def _break(self, m: int, end: int) -> bool:
        machine = self.machines[m]
        machine.down_until, machine.age = end, 0
        machine.windows += 1
        self.downtime[m].append((self.time, end))
        if machine.holder < 0 or self.jobs[machine.holder].status != "processing":
            return False
        job = self.jobs[machine.holder]
        if self.options["on_breakdown"] == "repeat":
            job.remaining = self.times[machine.holder][job.position]
        if self.options["on_breakdown"] != "scrap":
            return False
        ends = [*job.ends, self.time]
        for k, (start, finish) in enumerate(zip(job.starts, ends, strict=True)):
            self.lost.append([machine.holder, job.piece, k, self.routes[machine.holder][k], start, finish])
        self.jobs[machine.holder] = Job(piece=job.piece + 1)
        machine.holder = -1
        return True

    # --- events -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.time += 1
        assert self.time < 10**6, "no event for very long"
        for job in self.jobs:
            if job.status == "processing" and self.machines[job.machine].down_until is None:
                job.remaining -= 1
                self.machines[job.machine].age += 1

    def _settle(self) -> bool:
        told, again = False, True
        while again:
            again = False
            for machine in self.machines:
                if machine.down_until == self.time:
                    machine.down_until, machine.down_since = None, self.time
                    again = told = True
            for j, job in enumerate(self.jobs):
                if job.status == "processing" and job.remaining == 0 and self.machines[job.machine].down_until is None:
                    self._complete(j)
                    again = told = True
            for m in range(len(self.machines)):
                end = self._window_due(m)
                if end is not None:
                    lost = self._break(m, end)
                    again = True
                    told = told or lost or self.options["epoch_on_breakdown"]
            again = self._forced() or again
        return told

    def _complete(self, j: int) -> None:
        job = self.jobs[j]
        job.ends.append(self.time)
        job.position += 1
        done = job.position == len(self.times[j])
        if done or self.options["blocking"] == "none":
            self.machines[job.machine].holder = -1
            job.machine = -1
        job.status = "left" if done else ("outside" if self.options["blocking"] == "none" else "blocked")

    def _enter(self, j: int) -> None:
        job = self.jobs[j]
        if job.machine >= 0 and self.machines[job.machine].holder == j:
            self.machines[job.machine].holder = -1
        job.machine = self.routes[j][job.position]
        self.machines[job.machine].holder = j
        job.status, job.remaining = "processing", self.times[j][job.position]
        job.starts.append(self.time)

    def _forced(self) -> bool:
        """Same-machine continuations and swaps."""
        moved = False
        for j, job in enumerate(self.jobs):
            here = job.status == "blocked" and self.routes[j][job.position] == job.machine
            if here and self.machines[job.machine].down_until is None:
                self._enter(j)
                moved = True
        if self.options["blocking"] == "swap":
            for j in range(len(self.jobs)):
                cycle = self._cycle(j, lambda job: job.status == "blocked" and not self._down(job.machine))
                if cycle:
                    for member in cycle:
                        self._enter(member)
                    moved = True
        return moved

    def _down(self, m: int) -> bool:
        return self.machines[m].down_until is not None

    def _cycle(self, first: int, joins: Any) -> list[int]:
        """The jobs of the wait-for cycle through job `first`, all of which satisfy `joins`; empty if there is none."""
        chain = [first]
        while True:
            job = self.jobs[chain[-1]]
            if job.machine < 0 or not joins(job):
                return []
            route = self.routes[chain[-1]]
            k = job.position + (job.status == "processing")
            while k < len(route) and route[k] == job.machine:
                k += 1
            holder = self.machines[route[k]].holder if k < len(route) else -1
            if holder == first:
                return chain
            if holder < 0 or holder in chain:
                return []
            chain.append(holder)

    # --- decisions ----------------------------------------------------------------------------------------------------

    def _legal(self, j: int) -> bool:
        job = self.jobs[j]
        if job.status not in ("outside", "blocked"):
            return False
        locked = job.status == "blocked" and not self.options["unload_when_down"] and self._down(job.machine)
        target = self.routes[j][job.position]
        if locked or self._down(target) or self.machines[target].holder >= 0:
            return False
        return self.options["deadlock"] != "banker" or self._safe(j, target)

    def _safe(self, mover: int, target: int) -> bool:
        place = {j: job.machine for j, job in enumerate(self.jobs) if job.machine >= 0} | {mover: target}
        while place:
            for j, own in place.items():
                others = set(place.values()) - {own}
                if not others & set(self.routes[j][self.jobs[j].position :]):
                    del place[j]
                    break
            else:
                return False
        return True

    def _run(self) -> None:
        while self.status == "running":
            if all(job.status == "left" for job in self.jobs):
                self.status = "finished"
            elif self.options["blocking"] == "no-swap" and self._deadlocked():
                self.status = "deadlock"
            elif any(self._legal(j) for j in range(len(self.jobs))):
                return
            else:
                self._tick()
                self._settle()

    def _deadlocked(self) -> bool:
        can_lose = self.options["on_breakdown"] == "scrap" and self.options["law"] != "none"

        def fixed(job: Job) -> bool:
            if not can_lose:
                return True
            # Where pieces can be lost, only jobs that will not be processed again on their machine are stuck for good.
            return job.status == "blocked" and self.routes[self.jobs.index(job)][job.position] != job.machine

        return any(self._cycle(j, fixed) for j in range(len(self.jobs)))
