"""Published figures that differ from ours: which convention gives which, by plain simulations of these conventions."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.soc.lists import Lists, critical_path_pe
from makespan.envs.soc.catalogue import instance as named
from makespan.envs.soc.instance import SocInstance
from makespan.envs.soc.measure import graph_of, measure
from support.soc_graphs import instance

STATIC, STREAM = "makespan/StaticDag-v0", "makespan/SocDag-v0"


class Plain:
    """One application on its platform, in plain Python."""

    def __init__(self, of: SocInstance) -> None:
        (application,) = of.applications
        self.times: list[list[int]] = application.times.tolist()
        self.bandwidth: list[list[int]] = of.platform.bandwidth.tolist()
        self.tasks, self.pes = range(len(self.times)), range(len(self.bandwidth))
        self.inputs: list[list[tuple[int, int]]] = [[] for _ in self.tasks]
        self.followers: list[list[int]] = [[] for _ in self.tasks]
        for (i, j), volume in zip(application.edges.tolist(), application.volumes.tolist(), strict=True):
            self.inputs[j].append((i, volume))
            self.followers[i].append(j)
        self.pe = [-1 for _ in self.tasks]
        self.finish = [0 for _ in self.tasks]

    def able(self, task: int) -> list[int]:
        return [p for p in self.pes if self.times[task][p] >= 0]

    def data(self, task: int, p: int) -> int:
        """When what a task's predecessors send is on a PE."""
        arrivals = [0]
        for k, volume in self.inputs[task]:
            q = self.pe[k]
            arrivals.append(self.finish[k] + (0 if p == q else volume // self.bandwidth[q][p]))
        return max(arrivals)


# --- single jobs: who takes a task that several PEs run equally fast --------------------------------------------------


def met_alone(of: SocInstance, idle_first: bool) -> int:
    """Latency of a job alone by least execution time, event by event; tasks that are ready at once go by number.

    Of PEs that run a task equally fast it takes the first that is idle (the first of all where none is), or the one
    where it finishes first.
    """
    plain = Plain(of)
    free = [0 for _ in plain.pes]
    missing = [len(inputs) for inputs in plain.inputs]
    ready = [i for i in plain.tasks if missing[i] == 0]
    ends: list[tuple[int, int]] = []
    now = 0
    while ready or ends:
        for task in sorted(ready):
            times, able = plain.times[task], plain.able(task)
            fast = [p for p in able if times[p] == min(times[q] for q in able)]
            finish = {p: max(now, free[p], plain.data(task, p)) + times[p] for p in fast}
            p = min(fast, key=lambda p: (free[p] > now, p) if idle_first else (finish[p], p))
            plain.pe[task], plain.finish[task] = p, finish[p]
            free[p] = finish[p]
            heapq.heappush(ends, (finish[p], task))
        ready = []
        now = ends[0][0]
        while ends and ends[0][0] == now:
            for following in plain.followers[heapq.heappop(ends)[1]]:
                missing[following] -= 1
                if missing[following] == 0:
                    ready.append(following)
    return max(plain.finish)


@pytest.mark.parametrize(
    "application, idle_first, finish_first",
    [
        ("wifi-tx", 71, 71),
        ("wifi-rx", 307, 288),
        ("range-detection", 176, 176),
        ("paper-wifi-rx", 307, 288),
        ("paper-range-detection", 176, 176),
        ("single-carrier-tx", 56, 56),
        ("single-carrier-rx", 153, 153),
        ("temporal-mitigation", 79, 79),
    ],
)
def test_published_met_times_of_single_jobs_come_of_ties_to_idle_pes(
    application: str, idle_first: int, finish_first: int
):
    """An event-driven simulation of DS3's chip came to 71, 307, 176, 56, 153 and 79 by MET; DS3 itself is up to 2 above
    for clock ticks, but for WiFi-RX. Our rule breaks such ties by the least finish, which is no worse anywhere."""
    assert met_alone(named(application), idle_first=True) == idle_first
    assert met_alone(named(application), idle_first=False) == finish_first
    assert finish_first <= idle_first


@pytest.mark.parametrize(
    "application, published, idle_first, finish_first",
    [("paper-wifi-tx", 69, 72, 72), ("paper-pulse-doppler", 608, 968, 512)],
)
def test_two_met_times_come_of_neither_order_of_ties(
    application: str, published: int, idle_first: int, finish_first: int
):
    """The page of the environment says so; whoever finds the order that gives them moves them up."""
    found = [met_alone(named(application), idle_first=way) for way in (True, False)]
    assert found == [idle_first, finish_first]
    assert published not in found


# --- SoCRATES' streams ------------------------------------------------------------------------------------------------


def mean_latency(rule: str, seeds: int) -> float:
    """On five of SoCRATES' graphs under its settings, mean over as many worlds of each."""
    cases = [Case(f"socrates-{k:02d}", seed) for k in range(1, 6) for seed in range(seeds)]
    settings = {"scale": 25, "queue_cap": 3, "prefill": True, "warmup": 0, "horizon": 5000}
    arena = open_arena(STREAM, len(cases), {"instance": ",".join(f"socrates-{k:02d}" for k in range(1, 6)), **settings})
    played = play(arena, make_agent(rule, arena.setting), cases)
    return float(np.mean([one.metrics["mean_latency"] for one in played]))


def test_rules_rank_as_in_the_study_of_socrates():
    """Its code came to 125, 133 and 177 by MET, HEFT_RT (blind) and at random: same ranks, 7 to 9 % less."""
    found = [round(mean_latency(rule, 5)) for rule in ("met", "heft-rt-blind", "random")]
    assert found == [135, 144, 194]
    assert mean_latency("heft-rt", 5) < found[0]


# --- CPOP where PEs are alike -----------------------------------------------------------------------------------------


def cpop(of: SocInstance, processors: Sequence[int], ties: str) -> int:
    """Makespan of CPOP with insertion whose critical path goes to a set of PEs, each task where it starts first.

    Of equal priorities the task that comes first by "number" or by "finish" goes first.
    """
    plain = Plain(of)
    measures = measure(graph_of(of.applications[0], of.platform))
    priority = measures.upward_rank + measures.downward_rank
    critical = critical_path_pe(Lists(of).problem, priority)
    groups = of.groups.tolist()
    taken: list[list[tuple[int, int]]] = [[] for _ in plain.pes]

    def start_on(task: int, p: int) -> int:
        """The earliest gap that is long enough, or the end."""
        at = plain.data(task, p)
        for begin, end in taken[p]:
            if at + plain.times[task][p] <= begin:
                break
            at = max(at, end)
        return at

    def is_ready(task: int) -> bool:
        return plain.pe[task] < 0 and all(plain.pe[k] >= 0 for k, _ in plain.inputs[task])

    def places(task: int) -> list[tuple[int, int, int]]:
        """Finish, group and PE of each choice."""
        choice = processors if critical[task] >= 0 else plain.able(task)
        return [(start_on(task, p) + plain.times[task][p], groups[p], p) for p in choice]

    for _ in plain.tasks:
        ready = list(filter(is_ready, plain.tasks))
        most = max(priority[i] for i in ready)
        first = [i for i in ready if priority[i] > most - 1e-6]
        task = min(first, key=lambda i: (min(places(i))[0], i)) if ties == "finish" else min(first)
        finish, _, p = min(places(task))
        plain.pe[task], plain.finish[task] = p, finish
        taken[p] = sorted([*taken[p], (finish - plain.times[task][p], finish)])
    return max(plain.finish)


def alike(of: SocInstance) -> list[int]:
    """The PEs that are like the one CPOP gives the critical path to."""
    measures = measure(graph_of(of.applications[0], of.platform))
    critical = critical_path_pe(Lists(of).problem, measures.upward_rank + measures.downward_rank)
    processor = int(critical.max())
    return np.flatnonzero(of.groups == of.groups[processor]).tolist()


def in_kinds(count: int, seed: int) -> list[SocInstance]:
    """Random graphs without ties of ranks on two or three kinds of PEs, of each up to three that are alike."""
    random = np.random.default_rng(seed)
    found: list[SocInstance] = []
    while len(found) < count:
        tasks, kinds = int(random.integers(5, 16)), int(random.integers(2, 4))
        sizes = random.integers(1, 4, size=kinds)
        times = np.repeat(random.integers(1, 400, size=(tasks, kinds)), sizes, axis=1)
        pairs = {(i, j) for i in range(tasks) for j in range(i + 1, tasks) if random.random() < 0.3}
        pairs |= {(0, j) for j in range(1, tasks)} | {(i, tasks - 1) for i in range(tasks - 1)}
        of = instance(times.tolist(), [(i, j, int(random.integers(1, 200))) for i, j in sorted(pairs)])
        ranks = measure(graph_of(of.applications[0], of.platform)).upward_rank
        if sizes.max() > 1 and len(np.unique(np.round(ranks, 4))) == tasks:
            found.append(of)
    return found


def played(instances: Sequence[SocInstance]) -> list[int]:
    arena = open_arena(STATIC, len(instances), {"instance": list(instances)})
    episodes = play(arena, make_agent("cpop", arena.setting), [Case(each, 0) for each in instances])
    return [int(one.objective) for one in episodes]


def test_cpop_spreads_the_critical_path_over_pes_that_are_alike():
    """A slot stands for all PEs of a group: the rule chooses the published PE's group, the engine the PE in it."""
    instances = in_kinds(150, 5)
    ours = played(instances)
    assert ours == [cpop(of, alike(of), "number") for of in instances]
    published = [Lists(of).plan("cpop").makespan for of in instances]
    assert published == [cpop(of, alike(of)[:1], "number") for of in instances]
    assert ours != published
    assert all(mine <= theirs for mine, theirs in zip(ours, published, strict=True))


@pytest.mark.parametrize("ties, makespan", [("number", 1032), ("finish", 1153)])
def test_ties_alone_make_the_difference_of_cpop_on_wifi_rx(ties: str, makespan: int):
    """All tasks of several paths have the greatest priority there; the rule takes that of the least finish first."""
    of = named("wifi-rx")
    for processors in (alike(of), alike(of)[:1]):
        assert cpop(of, processors, ties) == makespan
    assert played([of]) == [1153]
    assert Lists(of).plan("cpop").makespan == 1032
