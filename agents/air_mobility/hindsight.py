"""What a fleet could have earned on a day as it turned out: the best day found by rerouting aircraft, and a bound.

A measure for others, and no agent: it plays the true day over and over.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility import state as d
from ...envs.air_mobility.engine import AirEngine
from ...envs.air_mobility.instance import AirDay, AirInstance
from ...envs.air_mobility.schedule import AirSchedule
from ...envs.air_mobility.world import realise
from ...envs.core.pack import Pack
from ..agent import Setting
from ..arena import Case, open_arena
from .clairvoyant import tight_bound
from .parts import options_of
from .reroute import no_plan, play_plan, reroute
from .route import no_labels
from .traffic import known_day, no_traffic

WORK, CURRENT, BEST, _FIRST, COPIES = range(5)
"""Copies of the engine: a day that is tried, the one at hand, the best one, their beginning, and how many there are."""
_TOLERANCE = 1e-5
"""By which a bound may be wrong: $, and as a share."""
_TEMPERATURE = 4.0
"""$ by which a day may be worse, on the mean, to be gone on from, at the beginning."""
_FREED = (1, 2)
"""How many aircraft are rerouted at once."""
_WHOLE_DAY = 0.2
"""Share of changes that begin in the morning."""


class DaySearch:
    """Changes a day and keeps what is better: some aircraft vanish and come back one by one on their best routes.

    What a change brings is known but for chargers, which the routes leave to the others only in part. So each change
    that promises enough is played, and counts as it was played.

    Args:
        engine: of `COPIES` copies that begin the same day; all of them are played. It must record.
        day: what chance decides of it.
        key: of the randomness.
        start: decisions of the same day to begin from, as logged; by default all stay where they are.

    Attributes:
        best: objective of the best day so far, µ$; it lies in copy `BEST`.
        tries: changes so far.
        plays: how many of them have been played.
    """

    def __init__(self, engine: AirEngine, day: AirDay, key: int, start: NDArray[np.int64] | None = None) -> None:
        self._engine = engine
        self._rng = np.random.default_rng(key)
        instance = engine.instance(WORK)
        self._fleet, self._horizon = instance.num_aircraft, instance.horizon
        labels = no_labels(instance)
        self._known, self._labels = Pack(known_day(instance, day)), Pack(labels)
        self._traffic = Pack(no_traffic(instance, engine.state.log.shape[1]))
        self._plan = Pack(no_plan(instance, labels))
        self.tries = self.plays = 0
        if start is not None:
            self._follow(start)
        self.best = self._play()
        engine.copy([WORK], [BEST])
        self._go_on_from(self.best)

    def run(self, seconds: float = math.inf, tries: int = 2**62) -> None:
        """Search for so much wall time, or so many changes, whichever ends first."""
        began, first = time.perf_counter(), self.tries
        while True:
            share = max((time.perf_counter() - began) / seconds, (self.tries - first) / tries)
            if share >= 1.0:
                return
            self._try(_TEMPERATURE * d.MICRO * (1.0 - share))
            if self._current > self.best:
                self.best = self._current
                self._engine.copy([CURRENT], [BEST])

    def _follow(self, log: NDArray[np.int64]) -> None:
        """Plan the flights of logged decisions."""
        flights = log[log[:, d.LOG_FROM] != log[:, d.LOG_TO]]
        for a in range(self._fleet):
            rows = flights[flights[:, d.LOG_AIRCRAFT] == a]
            self._plan.length[a] = len(rows)
            self._plan.hop[a, : len(rows)] = rows[:, [d.LOG_TIME, d.LOG_FROM, d.LOG_TO]]

    def _play(self) -> int:
        """Play the plan. Returns its objective, µ$."""
        self._engine.copy([_FIRST], [WORK])
        return int(play_plan(self._engine.problem, self._engine.state, WORK, self._plan))

    def _try(self, temperature: float) -> None:
        """Change the day at hand; take the change if it is better, or by chance if it is little worse."""
        rng, plan = self._rng, self._plan
        count = min(int(rng.choice(_FREED)), self._fleet)
        plan.order[:count] = rng.permutation(self._fleet)[:count]
        since = 0 if rng.random() < _WHOLE_DAY else int(rng.integers(self._horizon))
        worse = temperature * rng.exponential()
        self.tries += 1
        if self._reroute(count, since) < self._promised - worse:
            return
        self.plays += 1
        objective = self._play()
        if objective >= self._current - worse:
            self._go_on_from(objective)

    def _reroute(self, count: int, since: int) -> int:
        """Change the plan of the day at hand, see `reroute`."""
        engine, tables = self._engine, (self._known, self._traffic, self._labels)
        return int(reroute(engine.problem, engine.state, CURRENT, *tables, self._plan, count, since))

    def _go_on_from(self, objective: int) -> None:
        """Take the day just played as the one at hand."""
        self._engine.copy([WORK], [CURRENT])
        # Not the objective: some options change that in ways that routes leave out.
        self._current, self._promised = objective, self._reroute(0, 0)


@dataclass(frozen=True)
class KnownDay:
    """What a day that is known beforehand comes to.

    Attributes:
        schedule: the best day found.
        objective: its profit, µ$.
        bound: nobody earns more, µ$.
        proved: objective == bound.
    """

    schedule: AirSchedule
    objective: int
    bound: int
    proved: bool


def air_hindsight(
    setting: Setting, instance: AirInstance, seed: int, seconds: float, start: AirSchedule | None = None
) -> KnownDay:
    """Search the best day of a world, and bound it by the flow model.

    Args:
        setting: of air mobility.
        instance: as it is played.
        seed: the world's.
        seconds: wall time of the search; the bound is computed beside.
        start: a day of this world to begin from.
    """
    options = options_of(setting)
    arena = open_arena(setting.env_id, COPIES, {**setting.options, "instance": [instance]})
    arena.reset([Case(instance, seed)] * COPIES)
    assert isinstance(arena.engine, AirEngine)
    day = realise(instance, seed, options.noise)
    search = DaySearch(arena.engine, day, seed, None if start is None else start.decisions)
    search.run(seconds)
    dollars = tight_bound(instance, day, options)
    bound = math.ceil(dollars * d.MICRO + _TOLERANCE * max(abs(dollars), 1.0) * d.MICRO)
    proved = search.best >= dollars * d.MICRO - _TOLERANCE * d.MICRO
    return KnownDay(arena.engine.schedule(BEST), search.best, search.best if proved else bound, proved)
