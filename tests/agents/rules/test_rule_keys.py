"""Each rule's key as the field writes it, by exact integers and fractions from a schedule, against what agents see."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, EngineArena, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.rules.rule import rules_of
from makespan.envs.job_shop.bounds import lower_bound
from makespan.envs.job_shop.schedule import JobShopSchedule

JOB_SHOP = "makespan/JobShop-v0"


class Shop:
    """A job shop at a decision, worked out from its schedule so far and nothing else."""

    def __init__(self, schedule: JobShopSchedule, now: int, construct: bool = False) -> None:
        self.schedule, self.construct = schedule, construct
        self.times = [[int(p) for p in row] for row in schedule.instance.times]
        self.machines = [[int(m) for m in row] for row in schedule.instance.machines]
        self.lengths = schedule.instance.lengths.tolist()
        done = (schedule.completion >= 0).sum(axis=1)
        self.position: list[int] = done.tolist()
        self.bound = lower_bound(schedule.instance)
        self.longest = max(map(sum, self.times))
        self.legal: list[int] = []
        self.now = now

    def at(self, legal: list[int]) -> "Shop":
        self.legal = legal
        if self.construct:
            self.now = min(self.start(j) for j in legal)
        return self

    def next(self, j: int) -> int:
        return self.position[j]

    def p(self, j: int) -> int:
        return self.times[j][self.next(j)]

    def total(self, j: int) -> int:
        return sum(self.times[j])

    def work(self, j: int) -> int:
        return sum(self.times[j][self.next(j) :])

    def flow(self, j: int) -> int:
        return sum(self.times[j][: self.next(j) + 1])

    def operations(self, j: int) -> int:
        return self.lengths[j] - self.next(j)

    def is_last(self, j: int) -> bool:
        return self.operations(j) == 1

    def job_free(self, j: int) -> int:
        """When the job began to wait."""
        if self.next(j) > 0:
            return int(self.schedule.completion[j, self.next(j) - 1])
        lost = [int(row[5]) for row in self.schedule.lost if row[0] == j]
        return max(lost, default=0)

    def machine_free(self, m: int) -> int:
        return max(int(self.schedule.completion[self.schedule.instance.machines == m].max(initial=0)), 0)

    def start(self, j: int) -> int:
        if not self.construct:
            return self.now
        return max(self.job_free(j), self.machine_free(self.machines[j][self.next(j)]))

    def is_waiting(self, j: int) -> bool:
        k = self.next(j)
        return k < self.lengths[j] and self.schedule.start[j, k] < 0

    def occupant(self, m: int) -> int | None:
        """The job that stands on a machine (event mode)."""
        for j, length in enumerate(self.lengths):
            k = self.next(j)
            if k < length and self.schedule.start[j, k] >= 0:
                if self.machines[j][k] == m:
                    return j
            elif 0 < k < length and self.schedule.blocking != "none" and self.machines[j][k - 1] == m:
                return j
        return None

    def remaining(self, j: int) -> int:
        """Processing time that the operation in process still needs."""
        k = self.next(j)
        if self.is_waiting(j):
            return 0
        p, began = self.p(j), int(self.schedule.start[j, k])
        windows = [w for w in self.schedule.windows(self.machines[j][k]) if w[1] > began and w[0] <= self.now]
        if self.schedule.on_breakdown == "resume":
            return p - (self.now - began - sum(min(end, self.now) - begin for begin, end in windows))
        if windows and windows[-1][1] > self.now:
            return p
        return p - (self.now - max([began, *(end for _, end in windows)]))

    def next_queue(self, j: int) -> int:
        if self.is_last(j):
            return 0
        m = self.machines[j][self.next(j) + 1]
        others = [i for i in range(len(self.lengths)) if i != j and self.next(i) < self.lengths[i]]
        queue = sum(self.p(i) for i in others if self.is_waiting(i) and self.machines[i][self.next(i)] == m)
        holder = None if self.construct else self.occupant(m)
        return queue + (0 if holder is None else self.remaining(holder))

    def next_occupied(self, j: int) -> int:
        if self.is_last(j) or self.construct:
            return 0
        return int(self.occupant(self.machines[j][self.next(j) + 1]) is not None)


Key = Callable[[Shop, int], Any]
KEYS: dict[str, Key] = {
    "spt": lambda s, j: s.p(j),
    "lpt": lambda s, j: -s.p(j),
    "fifo": lambda s, j: s.job_free(j),
    "lifo": lambda s, j: -s.job_free(j),
    "mwkr": lambda s, j: -s.work(j),
    "lwkr": lambda s, j: s.work(j),
    "fdd-mwkr": lambda s, j: Fraction(s.flow(j), s.work(j)),
    "mopnr": lambda s, j: -s.operations(j),
    "lopnr": lambda s, j: s.operations(j),
    "spt-twkr": lambda s, j: s.p(j) * s.total(j),
    "lrm": lambda s, j: -(s.work(j) - s.p(j)),
    "srm": lambda s, j: s.work(j) - s.p(j),
    "winq": lambda s, j: s.next_queue(j),
    "nextfree": lambda s, j: (0, 0) if s.is_last(j) else (s.next_occupied(j), -s.work(j)),
    "cr": lambda s, j: (Fraction(s.bound * s.total(j), s.longest) - s.now) / s.work(j),
    "est": lambda s, j: s.start(j),
    "ect": lambda s, j: s.start(j) + s.p(j),
}


def seen_keys(name: str, arena: EngineArena, copy: int, j: int) -> tuple[float, ...]:
    spec, features = arena.setting.spec, arena.observation()["actions/features"]
    return tuple(sign * float(features[copy, j, spec.action_column(f)]) for f, sign in rules_of(JOB_SHOP)[name].keys)


def compare(options: dict[str, Any], copies: int, sizes: str, checked: set[str]) -> int:
    """Walk at random and compare the order of all legal moves, ties included. Returns how many pairs were compared."""
    arena = open_arena(JOB_SHOP, copies, {**options, "instance": f"random:size={sizes}"})
    assert isinstance(arena, EngineArena)
    arena.reset([Case(None, seed) for seed in range(copies)])
    player = make_agent("random:wait=true" if "law" in options else "random", arena.setting)
    keys = np.arange(copies, dtype=np.uint64)
    player.begin(np.arange(copies), arena.instances(), keys, arena.imagine())
    pairs = 0
    while arena.running().any():
        masks = arena.masks()
        for copy in np.flatnonzero(arena.running()).tolist():
            engine = arena.engine
            legal = np.flatnonzero(masks[copy, :-1]).tolist()
            if len(legal) < 2:
                continue
            now = engine.metrics(copy)["time"]
            shop = Shop(engine.schedule(copy), now, options.get("mode") == "construct").at(legal)
            for name in checked:
                exact = {j: KEYS[name](shop, j) for j in legal}
                seen = {j: seen_keys(name, arena, copy, j) for j in legal}
                for a, b in itertools.pairwise(legal):
                    order = (exact[a] > exact[b]) - (exact[a] < exact[b])
                    assert order == (seen[a] > seen[b]) - (seen[a] < seen[b]), (name, a, b, exact, seen)
                    pairs += 1
        arena.step(player.act(arena.observation(), masks))
    return pairs


def test_every_rule_is_checked() -> None:
    assert {name for name in rules_of(JOB_SHOP) if name[:3] not in ("gt-", "nd-")} == set(KEYS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"blocking": "none"},
        {"blocking": "no-swap", "deadlock": "banker"},
        {"law": "bernoulli", "p": 0.01},
        {"law": "bernoulli", "p": 0.01, "on_breakdown": "repeat", "blocking": "none"},
        {"law": "exponential", "mtbf": 400.0, "on_breakdown": "scrap", "clock": "busy"},
        {"mode": "construct", "blocking": "none"},
    ],
    ids=str,
)
def test_keys_order_moves_as_the_field_writes_them(options: dict[str, Any]) -> None:
    assert compare(options, 4, "5x4+7x6", set(KEYS)) > 500


@pytest.mark.parametrize("seed", range(3))
def test_active_play_is_giffler_and_thompson(seed: int) -> None:
    """Against the algorithm as published, on the schedule alone."""
    options = {"mode": "construct", "blocking": "none", "instance": "random:size=6x5"}
    arena = open_arena(JOB_SHOP, 1, options)
    assert isinstance(arena, EngineArena)
    agents = {name: make_agent(f"gt-{name}", arena.setting) for name in KEYS}
    arena.reset([Case(None, seed)])
    restricted = 0
    while arena.running().any():
        legal = np.flatnonzero(arena.masks()[0]).tolist()
        shop = Shop(arena.engine.schedule(0), 0, construct=True).at(legal)
        first = min(legal, key=lambda j: (shop.start(j) + shop.p(j), j))
        target = shop.machines[first][shop.next(first)]
        earliest = shop.start(first) + shop.p(first)
        rivals = [j for j in legal if shop.machines[j][shop.next(j)] == target and shop.start(j) < earliest]
        restricted += len(rivals) < len(legal)
        for name, agent in agents.items():
            expected = min(rivals, key=lambda j: (KEYS[name](shop, j), j))
            assert agent.act(arena.observation(), arena.masks())[0] == expected, name
        arena.step(np.array([legal[seed % len(legal)]]))
    assert restricted > 10


@pytest.mark.parametrize("name", ["spt", "lpt", "mwkr", "fdd-mwkr", "mopnr", "lrm", "spt-twkr"])
def test_non_delay_play_builds_what_the_rule_builds_at_epochs(name: str) -> None:
    cases = [Case(None, seed) for seed in range(8)]
    makespans = []
    for options, rule in (({}, name), ({"mode": "construct"}, f"nd-{name}")):
        arena = open_arena(JOB_SHOP, 8, {"blocking": "none", "instance": "random:size=8x6", **options})
        episodes = play(arena, make_agent(rule, arena.setting), cases)
        makespans.append([episode.schedule.objective for episode in episodes])
    assert makespans[0] == makespans[1]
