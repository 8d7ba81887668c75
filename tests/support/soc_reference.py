"""DAG scheduling on a chip once more, slow and plain: it ticks through time and shares no code with the engine.

Written from ``docs/environments/soc.md``. Whoever plays is asked again and again which offered task goes to which PE.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from makespan.envs.soc.instance import Application, Kind, Platform, SocInstance
from makespan.envs.soc.schedule import SocSchedule, SocSettings
from support.plain_shop import plain_uniform

_GAP, _APPLICATION, _NOISE, _DOWN, _SCALE, _WHICH_NOISE = 1, 2, 3, 4, 5, 6
_LONG = 10**7

Choose = Callable[["PlainChip"], tuple[int, int]]


@dataclass(eq=False)
class PlainTask:
    """A task of a job; times are -1 until they are known.

    Attributes:
        told: when its assignment is told of.
        arrivals: under contention, when what has been asked for of each incoming edge is there.
        worked: for how long its PE has worked on it.
    """

    job: int
    task: int
    pe: int = -1
    told: int = -1
    ready: int = -1
    start: int = -1
    finish: int = -1
    length: int = -1
    worked: int = 0
    arrivals: dict[int, int] = field(default_factory=dict)


@dataclass(eq=False)
class PlainJob:
    application: int
    generated: int
    tasks: list[PlainTask]
    finish: int = -1


class PlainChip:
    """One episode. The options are those of the environment.

    Attributes:
        now: the clock.
        told: when the present joint decision is told of.
        jobs: all that have been generated.
        queues, running: of each PE.
        decisions: how many tasks have been assigned.
        area: integral of the number of jobs in the system.
        energy: nanojoules.
    """

    def __init__(self, instance: SocInstance, seed: int = 0, **options: Any) -> None:
        static = options.get("static", False)
        self.options: dict[str, Any] = {
            "static": False, "release": "assigned" if static else "finished", "insertion": static, "scale": 100.0,
            "arrivals": "exponential", "queue_cap": 12, "prefill": False, "horizon": 5000, "warmup": 1000, "noise": 0.0,
            "mtbf": 0.0, "mttr": 100.0, "dvfs": "performance", "contention": "none", "memory": "direct",
            "overhead_call": 0.0, "overhead_task": 0.0, **options,
        }  # fmt: skip
        self.instance, self.seed = instance, seed
        self.scale = self._one_of("scale", _SCALE)
        self.noise = self._one_of("noise", _WHICH_NOISE)
        self.pes = range(instance.num_pes)
        self.levels = [self._level(len(kind.levels)) for kind in instance.platform.kinds]
        self.times = [self._times(a) for a in range(len(instance.applications))]
        self.incoming = [self._incoming(a) for a in range(len(instance.applications))]
        self.ranks = [self._upward_ranks(a) for a in range(len(instance.applications))]
        self.down: list[list[tuple[int, int]]] = [[] for _ in self.pes]
        self.now = self.told = self.decisions = self.area = self.energy = 0
        self.jobs: list[PlainJob] = []
        self.queues: list[list[PlainTask]] = [[] for _ in self.pes]
        self.running: list[PlainTask | None] = [None for _ in self.pes]
        self.busy = [0 for _ in self.pes]
        self.link_free: dict[tuple[int, int], int] = {}
        self._offered: list[PlainTask] | None = None
        self._owed, self._due = 0, 0
        self._begin()

    # --- what is given ------------------------------------------------------------------------------------------------

    def _one_of(self, name: str, stream: int) -> float:
        """An option that may list several numbers, of which the episode has one."""
        numbers = [float(part) for part in str(self.options[name]).split("+")]
        return numbers[int(len(numbers) * plain_uniform(self.seed, stream, 0))]

    def _level(self, levels: int) -> int:
        dvfs = self.options["dvfs"]
        if isinstance(dvfs, int):
            return min(dvfs, levels - 1)
        return levels - 1 if dvfs == "performance" else 0

    def _times(self, a: int) -> list[list[int]]:
        """Mean times of an application at the levels played."""
        platform = self.instance.platform
        table = self.instance.applications[a].times.tolist()
        for row in table:
            for p in self.pes:
                kind = int(platform.kind[p])
                frequencies = [frequency for frequency, _ in platform.kinds[kind].levels]
                if row[p] >= 0:
                    row[p] = -(-row[p] * frequencies[-1] // frequencies[self.levels[kind]])
        return table

    def _incoming(self, a: int) -> list[list[tuple[int, int, int]]]:
        """(edge, producer, volume) of each task of an application."""
        application = self.instance.applications[a]
        found: list[list[tuple[int, int, int]]] = [[] for _ in application.tasks]
        pairs = zip(application.edges.tolist(), application.volumes.tolist(), strict=True)
        for edge, ((i, j), volume) in enumerate(pairs):
            found[j].append((edge, i, volume))
        return found

    def transfer(self, volume: int, p: int, q: int) -> int:
        return 0 if p == q else volume // int(self.instance.platform.bandwidth[p, q])

    def _to_memory(self, volume: int, p: int) -> int:
        return volume // int(self.instance.platform.memory_bandwidth[p])

    def _upward_ranks(self, a: int) -> list[float]:
        pairs = [(p, q) for p in self.pes for q in self.pes if p != q]
        following: list[list[tuple[int, float]]] = [[] for _ in self.incoming[a]]
        for j, edges in enumerate(self.incoming[a]):
            for _, i, volume in edges:
                between = sum(self.transfer(volume, p, q) for p, q in pairs) / len(pairs) if pairs else 0.0
                following[i].append((j, between))
        known: dict[int, float] = {}
        while len(known) < len(following):
            for i, after in enumerate(following):
                if i not in known and all(j in known for j, _ in after):
                    times = [time for time in self.times[a][i] if time >= 0]
                    rest = max((between + known[j] for j, between in after), default=0.0)
                    known[i] = rest + sum(times) / len(times)
        return [known[i] for i in range(len(following))]

    # --- chance -------------------------------------------------------------------------------------------------------

    def _gap(self, number: int) -> int:
        if self.options["arrivals"] == "fixed":
            return int(self.scale)
        return int(-self.scale * math.log(1.0 - plain_uniform(self.seed, _GAP, number)))

    def _application(self, number: int) -> int:
        u, total = plain_uniform(self.seed, _APPLICATION, number), 0.0
        for a, probability in enumerate(self.instance.mix.tolist()):
            total += probability
            if total > u:
                return a
        return len(self.instance.mix) - 1

    def _length(self, x: PlainTask) -> int:
        """How long a task takes on its PE."""
        times = self.times[self.jobs[x.job].application][x.task]
        mean = times[x.pe]
        if self.noise == 0.0 or max(times) <= 0:
            return mean
        u, v = (plain_uniform(self.seed, _NOISE, x.job, x.task, k) for k in (0, 1))
        z = math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)
        return max(round(mean * (1.0 + self.noise * z)), 1)

    def is_up(self, pe: int) -> bool:
        if self.options["mtbf"] == 0:
            return True
        windows = self.down[pe]
        while not windows or windows[-1][1] <= self.now:
            k = len(windows)
            u, v = (plain_uniform(self.seed, _DOWN, pe, k, side) for side in (0, 1))
            begin = (windows[-1][1] if windows else 0) + max(1, int(-self.options["mtbf"] * math.log(1.0 - u)))
            windows.append((begin, begin + max(1, int(-self.options["mttr"] * math.log(1.0 - v)))))
        return not windows[-1][0] <= self.now < windows[-1][1]

    # --- the course ---------------------------------------------------------------------------------------------------

    def play(self, choose: Choose) -> None:
        """Play to the end.

        Args:
            choose: says which of `offered` goes to which PE.
        """
        self._instant(choose)
        while not self.is_over:
            self._tick()
            self._instant(choose)

    @property
    def is_over(self) -> bool:
        if self.options["static"]:
            return all(job.finish >= 0 for job in self.jobs)
        return self.now >= self.options["horizon"]

    def _instant(self, choose: Choose) -> None:
        """Rounds at one clock time, until no task ends where it starts."""
        again = True
        while again:
            self._finish()
            if self.is_over:
                self._note_ready()
                return
            self._arrive()
            self._decide(choose)
            self._ask()
            self._note_ready()
            again = self._start()

    def _tick(self) -> None:
        active = [0 for _ in self.instance.platform.kinds]
        for p in self.pes:
            x = self.running[p]
            if x is not None and self.is_up(p):
                x.worked += 1
                self.busy[p] += 1
                active[int(self.instance.platform.kind[p])] += 1
        for k, kind in enumerate(self.instance.platform.kinds):
            level, count = self.levels[k], int((self.instance.platform.kind == k).sum())
            self.energy += kind.power_mw[level][active[k] - 1] if active[k] else 0
            self.energy += (count - active[k]) * kind.idle_mw[level]
        self.area += sum(job.generated <= self.now and job.finish < 0 for job in self.jobs)
        self.now += 1
        assert self.now < _LONG, "no end for very long"

    @property
    def in_system(self) -> int:
        return sum(job.finish < 0 for job in self.jobs)

    def _begin(self) -> None:
        if self.options["static"]:
            for application, arrival in self.instance.jobs.tolist():
                self._add_job(application, arrival)
            return
        if self.options["prefill"]:
            for _ in range(self.options["queue_cap"]):
                self._generate()
        elif self.options["arrivals"] == "back-to-back":
            self._generate()
        if self.options["arrivals"] != "back-to-back":
            self._due = self._gap(len(self.jobs))

    def _add_job(self, application: int, generated: int) -> None:
        number = len(self.jobs)
        tasks = [PlainTask(number, k) for k in range(len(self.times[application]))]
        self.jobs.append(PlainJob(application, generated, tasks))
        self._offered = None

    def _generate(self) -> None:
        self._add_job(self._application(len(self.jobs)), self.now)

    def _finish(self) -> None:
        for p in self.pes:
            x = self.running[p]
            if x is None or x.worked < x.length:
                continue
            x.finish, self.running[p], self._offered = self.now, None, None
            job = self.jobs[x.job]
            if all(each.finish >= 0 for each in job.tasks):
                job.finish = self.now
                self._owed += 1

    def _arrive(self) -> None:
        if self.options["static"]:
            return
        cap = self.options["queue_cap"]
        if self.options["arrivals"] == "back-to-back":
            while self._owed > 0 and self.in_system < cap:
                self._owed -= 1
                self._generate()
            return
        while self._due <= self.now and self.in_system < cap:
            self._generate()
            self._due = self.now + self._gap(len(self.jobs))

    # --- decisions ----------------------------------------------------------------------------------------------------

    @property
    def offered(self) -> list[PlainTask]:
        """By arrival of the job, upward rank, number."""
        if self._offered is None or self.options["memory"] == "shared":
            open_jobs = [job for job in self.jobs if job.finish < 0]
            found = [x for job in open_jobs for x in job.tasks if x.pe < 0 and self._is_released(x)]
            self._offered = sorted(found, key=self._order)
        return self._offered

    def _order(self, x: PlainTask) -> tuple[int, float, int, int]:
        job = self.jobs[x.job]
        return job.generated, -round(self.ranks[job.application][x.task], 7), x.job, x.task

    def _is_released(self, x: PlainTask) -> bool:
        job = self.jobs[x.job]
        edges = self.incoming[job.application][x.task]
        before = [job.tasks[i] for _, i, _ in edges]
        if self.options["release"] == "assigned":
            return all(y.pe >= 0 for y in before)
        if any(y.finish < 0 for y in before):
            return False
        if self.options["memory"] == "direct":
            return True
        volumes = [volume for _, _, volume in edges]
        return all(
            y.finish + self._to_memory(volume, y.pe) <= self.now for y, volume in zip(before, volumes, strict=True)
        )

    def _decide(self, choose: Choose) -> None:
        if self.now < self.told or not self.offered:
            return
        count = len(self.offered)
        if self.options["release"] == "assigned":  # what is offered meanwhile belongs to it
            count = sum(x.pe < 0 for job in self.jobs for x in job.tasks)
        self.told = self.now + math.ceil(self.options["overhead_call"] + count * self.options["overhead_task"])
        while self.offered:
            number, pe = choose(self)
            self._assign(self.offered[number], pe)
            self.decisions += 1

    def _assign(self, x: PlainTask, pe: int) -> None:
        assert self.mean_time(x, pe) >= 0, f"PE {pe} cannot run task {x.task} of job {x.job}"
        place, _, _ = self.place(x, pe)
        x.pe, x.told, self._offered = pe, self.told, None
        self.queues[pe].insert(place, x)

    def mean_time(self, x: PlainTask, pe: int) -> int:
        return self.times[self.jobs[x.job].application][x.task][pe]

    def place(self, x: PlainTask, pe: int) -> tuple[int, int, int]:
        """Where in the queue of a PE an offered task would be put; its expected start and finish there."""
        expected = self.expected()
        earliest = max(self._expected_ready(x, pe, self.told, expected), self.told)
        time, free = self.mean_time(x, pe), self._expected_free(pe)
        for place, other in enumerate(self.queues[pe]):
            begin, end = expected[other]
            start = max(free, earliest)
            if self.options["insertion"] and start + time <= begin and not start == begin == end:
                return place, start, start + time
            free = end
        start = max(free, earliest)
        return len(self.queues[pe]), start, start + time

    def expected(self) -> dict[PlainTask, tuple[int, int]]:
        """Expected start and finish of all tasks that run or are queued."""
        known: dict[PlainTask, tuple[int, int]] = {}
        free = [self._expected_free(p) for p in self.pes]
        for p in self.pes:
            x = self.running[p]
            if x is not None:
                known[x] = x.start, free[p]
        left = [list(queue) for queue in self.queues]
        while any(left):
            progress = False
            for p, queue in enumerate(left):
                while queue and self._predecessors_known(queue[0], known):
                    x = queue.pop(0)
                    start = max(free[p], self._expected_ready(x, p, x.told, known), x.told)
                    known[x] = start, start + self.mean_time(x, p)
                    free[p], progress = known[x][1], True
            assert progress, "queues wait for each other"
        return known

    def _expected_free(self, pe: int) -> int:
        """When the running task of a PE is expected to end; now where there is none."""
        x = self.running[pe]
        return self.now if x is None else self.now + max(self.mean_time(x, pe) - x.worked, 0)

    def _predecessors_known(self, x: PlainTask, known: dict[PlainTask, tuple[int, int]]) -> bool:
        job = self.jobs[x.job]
        before = [job.tasks[i] for _, i, _ in self.incoming[job.application][x.task]]
        return all(y.finish >= 0 or y in known for y in before)

    def _expected_ready(self, x: PlainTask, q: int, told: int, known: dict[PlainTask, tuple[int, int]]) -> int:
        """When all data of a task is expected to be at PE q."""
        job = self.jobs[x.job]
        if self.options["memory"] == "shared":
            return self._ready_from_memory(x, q, told)
        ready = job.generated
        for edge, i, volume in self.incoming[job.application][x.task]:
            y = job.tasks[i]
            end = y.finish if y.finish >= 0 else known[y][1]
            time = self.transfer(volume, y.pe, q)
            if edge in x.arrivals:
                arrival = x.arrivals[edge]
            elif self.options["contention"] == "none" or time == 0 or y.finish < 0:
                arrival = end + time
            else:
                arrival = max(end, told, self.link_free.get(self._link(y.pe, q), 0)) + time
            ready = max(ready, arrival)
        return ready

    def _ready_from_memory(self, x: PlainTask, q: int, told: int) -> int:
        job = self.jobs[x.job]
        edges = self.incoming[job.application][x.task]
        if not edges:
            return job.generated
        there = max(job.tasks[i].finish + self._to_memory(volume, job.tasks[i].pe) for _, i, volume in edges)
        return max(there, told) + max(self._to_memory(volume, q) for _, _, volume in edges)

    # --- transfers and starts -----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Under contention, ask for transfers whose producers are finished, by consumer, then by edge."""
        if self.options["contention"] == "none":
            return
        waiting = [x for queue in self.queues for x in queue if x.told <= self.now]
        for x in sorted(waiting, key=lambda x: (x.job, x.task)):
            job = self.jobs[x.job]
            for edge, i, volume in self.incoming[job.application][x.task]:
                if edge not in x.arrivals and job.tasks[i].finish >= 0:
                    x.arrivals[edge] = self._arrival(volume, job.tasks[i].pe, x.pe)

    def _note_ready(self) -> None:
        """Note when data is ready, where that is known."""
        for x in (x for queue in self.queues for x in queue):
            job = self.jobs[x.job]
            edges = self.incoming[job.application][x.task]
            asked = self.options["contention"] == "none" or len(x.arrivals) == len(edges)
            if asked and all(job.tasks[i].finish >= 0 for _, i, _ in edges):
                x.ready = self._expected_ready(x, x.pe, x.told, {})

    def _arrival(self, volume: int, p: int, q: int) -> int:
        time = self.transfer(volume, p, q)
        if time == 0:
            return self.now
        link = self._link(p, q)
        begin = max(self.now, self.link_free.get(link, 0))
        self.link_free[link] = begin + time
        return begin + time

    def _link(self, p: int, q: int) -> tuple[int, int]:
        return (-1, -1) if self.options["contention"] == "bus" else (min(p, q), max(p, q))

    def _start(self) -> bool:
        """Start what can start. Returns whether something that takes no time did."""
        again = False
        for p in self.pes:
            if self.running[p] is not None or not self.queues[p] or not self.is_up(p):
                continue
            x = self.queues[p][0]
            if not (0 <= x.ready <= self.now and x.told <= self.now and self.jobs[x.job].generated <= self.now):
                continue
            self.queues[p].pop(0)
            x.start, x.length, self.running[p] = self.now, self._length(x), x
            again = again or x.length == 0
        return again

    # --- what came of it ----------------------------------------------------------------------------------------------

    def objective(self, name: str) -> int:
        last = max((x.finish for job in self.jobs for x in job.tasks), default=0)
        return {
            "latency": self.area,
            "makespan": max(last, 0),
            "energy": self.energy,
            "edp": self.energy * self.area // 1000,
        }[name]

    def schedule(self) -> SocSchedule:
        """What happened so far."""
        for p in self.pes:
            self.is_up(p)  # draws what is still missing of its downtimes
        rows = [
            (x.job, x.task, x.pe, x.told, x.ready, x.start, x.finish)
            for job in self.jobs
            for x in job.tasks
            if x.pe >= 0
        ]
        o = self.options
        settings = SocSettings(
            None if o["static"] else o["horizon"], o["release"], self.noise, tuple(self.levels), o["contention"],
            o["memory"], o["mtbf"], o["mttr"], 0 if o["static"] else o["warmup"],
            None if o["static"] else o["queue_cap"], self.seed,
        )  # fmt: skip
        windows = [(p, begin, end) for p in self.pes for begin, end in self.down[p]]
        return SocSchedule(
            self.instance,
            np.array([(job.application, job.generated, job.finish) for job in self.jobs]).reshape(-1, 3),
            np.array(rows, dtype=np.int64).reshape(-1, 7),
            settings,
            np.array(windows, dtype=np.int64).reshape(-1, 3),
            None if self.is_over else self.now,
        )


def random_choice(seed: int) -> Choose:
    """A policy that chooses any offered task and any PE that can run it; the same for the same seed."""
    random = np.random.default_rng(seed)

    def choose(chip: PlainChip) -> tuple[int, int]:
        number = int(random.integers(len(chip.offered)))
        able = [p for p in chip.pes if chip.mean_time(chip.offered[number], p) >= 0]
        return number, int(random.choice(able))

    return choose


def earliest_finish(chip: PlainChip) -> tuple[int, int]:
    """The first offered task to the PE of its least expected finish, ties by index."""
    x = chip.offered[0]
    able = [p for p in chip.pes if chip.mean_time(x, p) >= 0]
    return 0, min(able, key=lambda p: (chip.place(x, p)[2], p))


def random_instance(seed: int, zeros: bool = True) -> SocInstance:
    """A small problem with everything that is awkward: two kinds and levels, pairs that cannot be, unequal links.

    Args:
        zeros: whether there are tasks, transfers and gaps that take no time.
    """
    random = np.random.default_rng(seed)
    counts = random.integers(1, 4, size=2)
    kinds = tuple(
        Kind(
            name,
            ((400, 800), (1000, 1000)),
            tuple(tuple(int(x) for x in np.cumsum(random.integers(1, 60, size=count))) for _ in range(2)),
            (3, 7),
        )
        for name, count in zip("ab", counts, strict=True)
    )
    pes = int(counts.sum())
    bandwidth = random.integers(1, 6, size=(pes, pes))
    platform = Platform("chip", kinds, np.repeat([0, 1], counts), bandwidth, random.integers(1, 6, size=pes))
    applications = []
    for a in range(int(random.integers(1, 4))):
        tasks = int(random.integers(1, 9))
        times = random.integers(1, 30, size=(tasks, pes))
        times[random.random((tasks, pes)) < 0.3] = -1
        times[np.arange(tasks), random.integers(pes, size=tasks)] = random.integers(1, 30, size=tasks)
        if zeros:
            dummy = random.random(tasks) < 0.25
            times[dummy] = np.where(times[dummy] < 0, -1, 0)
        order = random.permutation(tasks)
        edges = [
            (order[i], order[j]) for i in range(tasks) for j in range(i + 1, tasks) if random.random() < 2.0 / tasks
        ]
        volumes = random.integers(0 if zeros else 5, 40, size=len(edges))
        names = tuple(f"t{k}" for k in range(tasks))
        applications.append(Application(f"app{a}", names, times, np.array(edges, dtype=np.int64), volumes))
    mix = random.random(len(applications)) + 0.1
    jobs = np.sort(random.integers(0, 20, size=3))
    which = random.integers(len(applications), size=3)
    return SocInstance("random", platform, tuple(applications), mix / mix.sum(), np.column_stack([which, jobs]))
