"""Anytime play: what every agent has reached in each world after how many CPU seconds.

CPU seconds are those of the process, with all its threads added up, while the agent plays: beginning, choosing, and the
simulation that goes with it (whoever tries has to simulate). Making agents and arenas, compiling code, and looking at
what was reached cost nothing. An agent is made anew for each run, so that none remembers an earlier one, and each world
is played by itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from ..agents.agent import Agent, Setting
from ..agents.arena import Arena, Case, Episode, open_arena, play_to_end
from ..agents.catalogue import make_agent
from .evaluate import Progress, make_row
from .judge import Judge
from .ladder import Ladder, ladder_of
from .plan import Plan, Variant
from .store import Entry, Key, Store

# Solvers have limits of wall time: what share of a budget's CPU seconds they should come to, and at least; how many
# limits are tried; how long one may be in the end; and of what share a run stops only for having nothing more to do.
_AIM, _USED, _TRIES, _LARGEST_SHARE, _DONE = 0.93, 0.75, 3, 4.0, 0.9
_LONGEST_WARM_UP = 0.1  # seconds of a solver

Point = dict[str, Any]


def play_anytime(plan: Plan, store: Store, progress: Progress = lambda agent, cases: None) -> list[list[Point]]:
    """Play what the store does not hold yet.

    Args:
        plan: what to play, with its `budgets`.
        store: takes for each world of each agent one row ``{"points": [...]}``.
        progress: is told of every world.

    Returns:
        The points by work, at least one, of each world, by variant, agent and case: the keys of `make_row`, and
        ``option`` with ``work`` (what was scaled, and to what; None for agents with one point) and ``cpu_seconds``.

    Raises:
        UserError: an agent is unknown or cannot play here, or rows cannot be written.
        ImpossibleResultError: a result lies beyond a proved bound.
    """
    keys = []
    for number, variant in enumerate(plan.variants):
        of_variant = [Key(number, a, c) for a in range(len(plan.agents)) for c in range(len(plan.cases))]
        keys += of_variant
        if all(key in store.rows for key in of_variant):
            continue
        judge = Judge(variant)
        try:
            _Field(plan, variant, judge).play(number, store, progress)
        finally:
            judge.close()
    store.flush()
    return [store.rows[key]["points"] for key in keys]


class _Field:
    """Where one variant is played."""

    def __init__(self, plan: Plan, variant: Variant, judge: Judge) -> None:
        self.plan, self.variant, self.judge = plan, variant, judge
        self.arena = cache(partial(_open, variant, plan.request.agent_seed))
        self.setting: Setting = self.arena(1).setting

    def play(self, number: int, store: Store, progress: Progress) -> None:
        """Play the worlds of a variant that the store lacks."""
        for agent in self.plan.agents:
            make_agent(agent, self.setting)  # what is wrong with a name is said before anybody plays
        for a, agent in enumerate(self.plan.agents):
            ladder, warm = ladder_of(agent), False
            shares: dict[float, float] = {}
            for c, case in enumerate(self.plan.cases):
                key = Key(number, a, c)
                if key not in store.rows:
                    climb = _Climb(self, ladder, agent, case, shares)
                    if not warm:
                        climb.warm_up()
                        warm = True
                    points = climb.run()
                    store.add([Entry(key, {"points": points}, climb.schedule)])
                progress(agent, 1)


def _open(variant: Variant, seed: int, copies: int) -> Arena:
    return open_arena(variant.env_id, copies, variant.arena_options, seed, "cpu")


@dataclass(frozen=True)
class _Run:
    """What one run of an agent came to.

    Attributes:
        episode: the best try, None where it is not better than what was there before.
        cpu: CPU seconds.
        wall: seconds that passed.
    """

    episode: Episode | None
    cpu: float
    wall: float


class _Climb:
    """One agent in one world, with more and more work.

    Args:
        shares: by budget, the limit of solvers as a share of it; corrected by what was measured.

    Attributes:
        schedule: of the last point, JSON data.
    """

    def __init__(self, field: _Field, ladder: Ladder, agent: str, case: Case, shares: dict[float, float]) -> None:
        self._field, self._ladder, self._agent, self._case, self._shares = field, ladder, agent, case, shares
        self._budgets = field.plan.budgets
        self._points: list[Point] = []
        self._closed = False
        self.schedule: Any = None

    def warm_up(self) -> None:
        """Have all code compiled and loaded that a run needs."""
        first = {"time": min(_LONGEST_WARM_UP, self._ladder.most), "samples": 2}.get(self._ladder.option, 1)
        self._run_of(first)

    def run(self) -> list[Point]:
        """The points, by work."""
        option = self._ladder.option
        if not option:
            self._add(*self._run_of(1), 1)
        elif option == "samples":
            self._try_more()
        elif option == "time":
            self._take_longer()
        else:
            self._widen()
        return sorted(self._points, key=lambda point: point["work"] or 0)

    def _widen(self) -> None:
        """Double the work while twice the last time fits the largest budget."""
        value = 1
        while True:
            run, agent = self._run_of(value)
            self._add(run, agent, value)
            if self._closed or value >= self._ladder.most or 2 * run.cpu > self._budgets[-1]:
                return
            value = min(2 * value, int(self._ladder.most))

    def _take_longer(self) -> None:
        """Runs for each budget, within limits that use most of it and no more."""
        for budget in self._budgets:
            if self._run_within(budget):
                return

    def _run_within(self, budget: float) -> bool:
        """Run under one limit, and under others where it took more CPU seconds than the budget, or far fewer.

        A limit is one of wall time and does not hold what a solver needs beside it, nor does it know who else is
        computing. Every run stays a point.

        Returns:
            Whether a larger budget would change nothing.
        """
        limit = 0.0
        for _ in range(_TRIES):
            limit = min(self._shares.get(budget, _AIM) * budget, self._ladder.most)
            run, agent = self._run_of(limit)
            self._add(run, agent, limit)
            if self._closed or run.wall < _DONE * limit:
                return True
            if run.cpu <= budget and (limit >= self._ladder.most or run.cpu >= _USED * budget):
                break
            self._shares[budget] = min(_AIM * limit / run.cpu, _LARGEST_SHARE)
        return limit >= self._ladder.most

    def _try_more(self) -> None:
        """Tries 1, 2, 4, ... until the largest budget is used; the best so far counts."""
        agent = self._make(2)
        tries, spent = 0, 0.0
        best: Point = {}
        states = []
        for budget in self._budgets:
            while not self._closed and (count := self._next_tries(tries, spent, budget)):
                agent.samples = count
                run = self._play(agent, tries, best.get("objective"))
                tries, spent = tries + count, spent + run.cpu
                if run.episode is not None:
                    best = self._judged(run.episode, agent)
                states.append((tries, spent, best))
        for tries, spent, row in _worth_telling(states, self._budgets):
            hindsight = tries > 1 and self._field.setting.stochastic
            self._points.append({**row, "hindsight": hindsight, **self._place(tries, spent)})

    def _next_tries(self, tries: int, spent: float, budget: float) -> int:
        """How many further tries to play at once: as many as were played, if the batch and the budget hold them.

        Returns:
            A power of two, so that few arenas are needed, or 0.
        """
        if tries == 0:
            return 1
        room = min(tries, self._field.plan.request.batch, self._ladder.most - tries, (budget - spent) * tries / spent)
        return 1 << int(room).bit_length() - 1 if room >= 1 else 0

    def _run_of(self, value: float) -> tuple[_Run, Agent]:
        """Make the agent that works so much, and let it play the world."""
        agent = self._make(value)
        return self._play(agent), agent

    def _make(self, value: float) -> Agent:
        return make_agent(self._ladder.agent(value), self._field.setting)

    def _play(self, agent: Agent, first_try: int = 0, better_than: float | None = None) -> _Run:
        """Play the world, with all tries of the agent at once."""
        arena = self._field.arena(agent.samples)
        began, cpu = time.perf_counter(), time.process_time()
        played = play_to_end(arena, agent, [self._case], first_try)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - began
        best = int(played.costs.argmin())
        if better_than is not None and played.costs[best] >= self._field.setting.sign * better_than:
            return _Run(None, cpu, wall)
        name, objective, metrics, schedule, data = arena.outcome(best)
        decisions = int(played.decisions[best])
        episode = Episode(name, self._case.seed, objective, metrics, decisions, cpu, schedule, data)
        return _Run(episode, cpu, wall)

    def _add(self, run: _Run, agent: Agent, work: float) -> None:
        """Note the point of a run."""
        assert run.episode is not None
        self._points.append({**self._judged(run.episode, agent), **self._place(work, run.cpu)})

    def _place(self, work: float, cpu: float) -> dict[str, Any]:
        """Where a point lies."""
        option = self._ladder.option
        return {"option": option or None, "work": work if option else None, "cpu_seconds": cpu}

    def _judged(self, episode: Episode, agent: Agent) -> Point:
        """The row of an episode; notes its schedule, and whether nothing can be better."""
        field = self._field
        verdict = field.judge.judge(episode)
        self.schedule = verdict.schedule
        self._closed = verdict.bound is not None and episode.objective == verdict.bound
        return make_row(field.variant, self._agent, agent, episode, verdict, field.setting.stochastic)


def _worth_telling(states: list[tuple[int, float, Point]], budgets: Sequence[float]) -> list[tuple[int, float, Point]]:
    """Of the states ``(tries, CPU seconds, row)`` those at which tries reach a power of two, the last that fits each
    budget, and the last."""
    kept = {len(states) - 1}
    for number, (tries, spent, _) in enumerate(states):
        before = states[number - 1][0] if number else 0
        following = states[number + 1][1] if number + 1 < len(states) else np.inf
        if tries.bit_length() > before.bit_length() or any(spent <= budget < following for budget in budgets):
            kept.add(number)
    return [states[number] for number in sorted(kept)]
