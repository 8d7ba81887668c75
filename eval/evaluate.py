"""Plays a plan: every agent meets the same instances and seeds, and every schedule is checked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from numba.core.event import install_timer

from ..agents.agent import Agent, Setting
from ..agents.arena import Arena, Case, Episode, open_arena, play
from ..agents.catalogue import make_agent
from ..envs.core.errors import UserError
from .judge import Judge, Verdict, plain
from .plan import Plan, Variant
from .store import Entry, Key, Store

ROW_KEYS = (
    "env",
    "instance",
    "seed",
    "agent",
    "objective",
    "metrics",
    "best_known",
    "bound",
    "gap",
    "seconds_per_decision",
    "valid",
    "env_options",
)

# An agent's first batch is played again by its double, for the time alone, where that costs no more than this: code is
# compiled and loaded for the process, not for a decision. A double, since agents may remember what they solved.
_WARM_UP_SECONDS = 5.0

Progress = Callable[[str, int], None]
"""``progress(agent, cases)``: so many more cases of an agent are done."""


def evaluate(plan: Plan, store: Store, progress: Progress = lambda agent, cases: None) -> list[dict[str, Any]]:
    """Play what the store does not hold yet.

    Args:
        plan: what to play.
        store: takes the rows as they come.
        progress: is told of every batch.

    Returns:
        All rows of the plan, by variant, agent, instance and seed.

    Raises:
        UserError: an agent is unknown or cannot play here, or rows cannot be written.
        ImpossibleResultError: a result lies beyond a proved bound.
    """
    for number, variant in enumerate(plan.variants):
        players = _players(plan, number, variant, store)
        if not players:
            continue
        judge = Judge(variant)
        try:
            for player in players:
                player.play(plan, store, judge, progress)
        finally:
            judge.close()
    store.flush()
    keys = [
        Key(variant, agent, case)
        for variant in range(len(plan.variants))
        for agent in range(len(plan.agents))
        for case in range(len(plan.cases))
    ]
    return [store.rows[key] for key in keys]


def _players(plan: Plan, number: int, variant: Variant, store: Store) -> list[_Player]:
    """The agents that have something to play in a variant, all made before the first plays."""
    missing = [
        any(Key(number, agent, case) not in store.rows for case in range(len(plan.cases)))
        for agent in range(len(plan.agents))
    ]
    if not any(missing):
        return []
    measured = variant.measured
    common = _Arenas(plan, variant, dict.fromkeys(measured, 0.0))
    agents = [make_agent(text, common.setting) if missing[a] else None for a, text in enumerate(plan.agents)]
    players = []
    for a, (text, agent) in enumerate(zip(plan.agents, agents, strict=True)):
        if agent is None:
            continue
        arenas = common
        if measured:
            spent = _microseconds(common, partial(make_agent, text, common.setting), plan.cases[0])
            arenas = _Arenas(plan, variant, dict.fromkeys(measured, spent))
            agent = make_agent(text, arenas.setting)
        players.append(_Player(number, a, agent, partial(make_agent, text, arenas.setting), arenas))
    return players


def _microseconds(arenas: _Arenas, make: Callable[[], Agent], case: Case) -> float:
    """Time per decision of an agent that plays one world at a time, once its code is compiled and loaded."""
    agent = make()
    arena = arenas.get(agent.samples)
    play(arena, agent, [case])
    episodes = play(arena, make(), [case])
    return round(1e6 * sum(episode.seconds for episode in episodes) / max(episodes[0].decisions, 1), 3)


class _Arenas:
    """Arenas of one variant, by their number of copies; the last one is kept.

    Args:
        plan: says the agents' seed and their device.
        variant: what is played.
        measured: options that an agent's own time sets, by their values.
    """

    def __init__(self, plan: Plan, variant: Variant, measured: dict[str, float]) -> None:
        self._variant, self.measured = variant, measured
        self._seed, self._device = plan.request.agent_seed, plan.request.device
        self._last = self._open(1)
        self.setting: Setting = self._last.setting

    def get(self, copies: int) -> Arena:
        if self._last.num_copies != copies:
            self._last = self._open(copies)
        return self._last

    def _open(self, copies: int) -> Arena:
        options = {**self._variant.arena_options, **self.measured}
        return open_arena(self._variant.env_id, copies, options, self._seed, self._device)


class _Player:
    """One agent in one variant.

    Args:
        variant, index: numbers of the variant and the agent in the plan.
        agent: the agent.
        double: makes another one like it.
        arenas: where it plays.
    """

    def __init__(self, variant: int, index: int, agent: Agent, double: Callable[[], Agent], arenas: _Arenas) -> None:
        self._variant, self._index, self._agent, self._double, self._arenas = variant, index, agent, double, arenas
        self._warm = False

    def play(self, plan: Plan, store: Store, judge: Judge, progress: Progress) -> None:
        """Play the cases that the store lacks, batch by batch.

        Batches are cut by the plan alone, so that a continued evaluation plays the batches of an unbroken one.
        """
        size = max(1, plan.request.batch // self._agent.samples)
        for first in range(0, len(plan.cases), size):
            numbers = range(first, min(first + size, len(plan.cases)))
            keys = [Key(self._variant, self._index, case) for case in numbers]
            if all(key in store.rows for key in keys):
                progress(plan.agents[self._index], len(keys))
                continue
            cases = [plan.cases[case] for case in numbers]
            padding = [cases[-1]] * (size - len(cases)) if self._agent.fixed_batch else []
            episodes = self._play([*cases, *padding])
            entries = []
            for key, episode in zip(keys, episodes, strict=False):
                verdict = judge.judge(episode)
                row = self._row(plan, judge.variant, episode, verdict, len(cases) + len(padding))
                if key not in store.rows:
                    entries.append(Entry(key, row, verdict.schedule))
            store.add(entries)
            progress(plan.agents[self._index], len(keys))

    def _play(self, cases: Sequence[Case]) -> list[Episode]:
        """The episodes of a batch, with times that hold no compiling or loading of code."""
        arena = self._arenas.get(len(cases) * self._agent.samples)
        compiling: list[float] = []
        began = time.perf_counter()
        with install_timer("numba:compile", compiling.append):
            episodes = play(arena, self._agent, cases)
        if not self._warm and time.perf_counter() - began - sum(compiling) <= _WARM_UP_SECONDS:
            again = play(arena, self._double(), cases)
            episodes = [_with_time_of(episode, other) for episode, other in zip(episodes, again, strict=True)]
        self._warm = True
        return episodes

    def _row(self, plan: Plan, variant: Variant, episode: Episode, verdict: Verdict, cases: int) -> dict[str, Any]:
        agent, stochastic = self._agent, self._arenas.setting.stochastic
        row = make_row(variant, plan.agents[self._index], agent, episode, verdict, stochastic)
        row["seconds_per_decision"] = episode.seconds / episode.decisions if episode.decisions else None
        row["batch"] = cases * agent.samples
        if self._arenas.measured:
            row["measured"] = dict(self._arenas.measured)
        return {key: row[key] for key in ROW_KEYS} | row


def make_row(
    variant: Variant, name: str, agent: Agent, episode: Episode, verdict: Verdict, stochastic: bool
) -> dict[str, Any]:
    """What is to be told of an episode, as plain data; how long it took is not among it.

    Args:
        variant: what was played.
        name: the agent's, as the user gave it.
        agent: who played.
        episode: the try that counts.
        verdict: what is to be said of it.
        stochastic: whether the world holds events that nobody can foresee.

    Raises:
        UserError: the environment gave an objective that is no number.
    """
    if not math.isfinite(episode.objective):
        raise UserError(
            f"environment {variant.env_id!r} ended an episode with objective {episode.objective}; "
            f"run 'makespan check {variant.env_id}'"
        )
    row = {
        "env": variant.env_id,
        "instance": episode.instance,
        "seed": episode.seed,
        "agent": name,
        "objective": _number(episode.objective),
        "metrics": plain(episode.metrics),
        "best_known": _number(verdict.best_known),
        "bound": _number(verdict.bound),
        "gap": verdict.gap,
        "valid": verdict.valid,
        "env_options": dict(variant.options),
        "decisions": episode.decisions,
        "hindsight": agent.samples > 1 and stochastic,
        "stochastic": stochastic,
    }
    if agent.remark:
        row["remark"] = agent.remark
    if verdict.scale is not None:
        null, bound, name = verdict.scale
        row |= {"null_objective": null, "expected_bound": bound, "expected_bound_name": name}
        row["score"] = verdict.scale.score(episode.objective)
    if verdict.problem is not None:
        row["problem"] = verdict.problem
    return row


def _number(value: float | None) -> float | int | None:
    """Whole numbers as integers, which read better and are exact."""
    return int(value) if value is not None and float(value).is_integer() else value


def _with_time_of(episode: Episode, other: Episode) -> Episode:
    return replace(episode, seconds=other.seconds / max(other.decisions, 1) * episode.decisions)
