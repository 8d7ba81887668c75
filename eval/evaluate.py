"""Plays a plan: every agent meets the same instances and seeds, and every schedule is checked."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from numba.core.event import install_timer

from ..agents.agent import Agent, Proposer, Setting
from ..agents.arena import Arena, Case, Episode, open_arena, play
from ..agents.catalogue import make_agent
from ..envs.core.errors import UserError
from .judge import Judge, Verdict, plain
from .memory import check_room
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
"""``progress(agent, rows)``: so many more rows of an agent are there; 0 where something long begins."""


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
    play_missing(plan, store, progress, lambda: False)
    return rows_of(plan, store)


def play_missing(plan: Plan, store: Store, progress: Progress, enough: Callable[[], bool]) -> None:
    """Play what the store does not hold yet, until all is played or, after some batch, it is enough; see `evaluate`."""
    for number in range(len(plan.variants)):
        missing = missing_agents(plan, number, store)
        if missing and not enough():
            with contextlib.closing(Stage(plan, number)) as stage:
                _play_variant(stage, missing, store, progress, enough)
    store.flush()


def missing_agents(plan: Plan, variant: int, store: Store) -> list[int]:
    """The agents that have something to play in a variant."""
    cases = range(len(plan.cases))
    return [a for a in range(len(plan.agents)) if any(Key(variant, a, case) not in store.rows for case in cases)]


def rows_of(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """All rows of a plan that is played, by variant, agent and case."""
    keys = product(range(len(plan.variants)), range(len(plan.agents)), range(len(plan.cases)))
    return [store.rows[Key(*key)] for key in keys]


def missing_batches(plan: Plan, variant: int, agent: int, size: int, store: Store) -> list[range]:
    """The cases that an agent plays at once, as far as some of them are missing.

    They are cut by the plan alone, so that a continued evaluation plays the batches of an unbroken one.
    """
    number = len(plan.cases)
    cut = [range(first, min(first + size, number)) for first in range(0, number, size)]
    return [cases for cases in cut if any(Key(variant, agent, case) not in store.rows for case in cases)]


def _play_variant(
    stage: Stage, agents: Sequence[int], store: Store, progress: Progress, enough: Callable[[], bool]
) -> None:
    """Play what the store lacks of one variant. All agents are made before the first plays."""
    made = {agent: stage.open(agent) for agent in agents}
    for agent, opened in made.items():
        for cases in missing_batches(stage.plan, stage.number, agent, opened.size, store):
            if enough():
                return
            progress(stage.plan.agents[agent], keep(store, stage.play(agent, cases)))


def keep(store: Store, entries: Sequence[Entry]) -> int:
    """Store what it does not hold yet, and say how much that is."""
    new = [entry for entry in entries if entry.key not in store.rows]
    store.add(new)
    return len(new)


class Opened(NamedTuple):
    """What is known of an agent that was made.

    Attributes:
        size: worlds that it plays at once.
        spent: its own time per decision, microseconds, where an option of the environment stands for that; else None.
    """

    size: int
    spent: float | None


class Stage:
    """Where one variant of a plan is played: its arenas, its judge, and the agents that were made.

    Args:
        plan: what is to be played.
        number: of the variant.
    """

    def __init__(self, plan: Plan, number: int) -> None:
        self.plan, self.number = plan, number
        self.variant = plan.variants[number]
        self._common = _Arenas(plan, self.variant, dict.fromkeys(self.variant.measured, 0.0))
        self._judge = Judge(self.variant)
        self._players: dict[int, _Player] = {}

    def open(self, agent: int, spent: float | None = None) -> Opened:
        """Make an agent, if it is not made already.

        Args:
            agent: its number in the plan.
            spent: its own time per decision, if it was measured already.

        Raises:
            UserError: nobody knows it, or it cannot play here.
        """
        if agent not in self._players:
            self._players[agent] = self._make(self.plan.agents[agent], spent)
        return self._players[agent].opened

    def play(self, agent: int, cases: range) -> list[Entry]:
        """The rows of a batch by an agent that was made."""
        player = self._players[agent]
        episodes, batch = player.play([self.plan.cases[case] for case in cases])
        entries = []
        for case, episode in zip(cases, episodes, strict=True):
            verdict = self._judge.judge(episode)
            row = player.row(self.plan.agents[agent], self.variant, episode, verdict, batch)
            entries.append(Entry(Key(self.number, agent, case), row, verdict.schedule))
        return entries

    def close(self) -> None:
        """Close the environment."""
        self._judge.close()

    def _make(self, text: str, spent: float | None) -> _Player:
        arenas, make = self._common, partial(make_agent, text, self._common.setting)
        agent = make()
        if self.variant.measured:
            if spent is None:
                spent = _microseconds(arenas, make, self.plan.cases[0])
            arenas = _Arenas(self.plan, self.variant, dict.fromkeys(self.variant.measured, spent))
            make = partial(make_agent, text, arenas.setting)
            agent = make()
        # Who proposes whole schedules makes them one by one: each is kept as soon as it is there.
        size = 1 if isinstance(agent, Proposer) else max(1, self.plan.request.batch // agent.samples)
        return _Player(agent, make, arenas, Opened(size, spent))


def _microseconds(arenas: _Arenas, make: Callable[[], Agent], case: Case) -> float:
    """Time per decision of an agent that plays one world at a time, once its code is compiled and loaded."""
    agent = make()
    arena = arenas.get(agent.samples, agent.name)
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
        self._copy_bytes = 0 if self._last.engine is None else self._last.engine.copy_bytes

    def get(self, copies: int, agent: str) -> Arena:
        """An arena of so many copies.

        Raises:
            UserError: they do not fit the memory.
        """
        if self._last.num_copies != copies:
            check_room(agent, copies, self._copy_bytes, "give fewer samples or a smaller --batch")
            self._last = self._open(copies)
        return self._last

    def _open(self, copies: int) -> Arena:
        options = {**self._variant.arena_options, **self.measured}
        return open_arena(self._variant.env_id, copies, options, self._seed, self._device)


class _Player:
    """One agent in one variant.

    Args:
        agent: the agent.
        double: makes another one like it.
        arenas: where it plays.
        opened: what is told of it.
    """

    def __init__(self, agent: Agent, double: Callable[[], Agent], arenas: _Arenas, opened: Opened) -> None:
        self._agent, self._double, self._arenas, self.opened = agent, double, arenas, opened
        self._warm = False

    def play(self, cases: Sequence[Case]) -> tuple[list[Episode], int]:
        """The episodes of a batch and how many copies it had. Times hold no compiling or loading of code."""
        padding = [cases[-1]] * (self.opened.size - len(cases)) if self._agent.fixed_batch else []
        filled = [*cases, *padding]
        copies = len(filled) * self._agent.samples
        arena = self._arenas.get(copies, self._agent.name)
        compiling: list[float] = []
        began = time.perf_counter()
        with install_timer("numba:compile", compiling.append):
            episodes = play(arena, self._agent, filled)
        if not self._warm and time.perf_counter() - began - sum(compiling) <= _WARM_UP_SECONDS:
            again = play(arena, self._double(), filled)
            episodes = [_with_time_of(episode, other) for episode, other in zip(episodes, again, strict=True)]
        self._warm = True
        return episodes[: len(cases)], copies

    def row(self, name: str, variant: Variant, episode: Episode, verdict: Verdict, batch: int) -> dict[str, Any]:
        """What is to be told of an episode, its time among it."""
        row = make_row(variant, name, self._agent, episode, verdict, self._arenas.setting.stochastic)
        row["seconds_per_decision"] = episode.seconds / episode.decisions if episode.decisions else None
        row["batch"] = batch
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
