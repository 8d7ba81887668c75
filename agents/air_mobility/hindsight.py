"""What a fleet could have earned on a day as it turned out: the best day found by destroy and repair, and a bound.

A measure for others, and no agent: it plays the true day over and over.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility import state as d
from ...envs.air_mobility.dynamics import objective
from ...envs.air_mobility.engine import AirEngine
from ...envs.air_mobility.instance import AirInstance
from ...envs.air_mobility.schedule import AirSchedule
from ...envs.air_mobility.world import realise
from ..agent import Setting
from ..arena import Case, open_arena
from .clairvoyant import tight_bound
from .parts import options_of
from .plays import (
    FORCED_STEP,
    FORCED_TO,
    FREE_FROM,
    FREE_UNTIL,
    NEXT_WEIGHT,
    NOISE,
    NOW_WEIGHT,
    NUM_CHANGE,
    NUM_PLAN,
    NUM_WEIGHTS,
    STAY_BONUS,
    UNTIL,
    play_changed,
)

CHECKPOINTS = 24
"""Moments of the day at hand that are kept, to go on from."""
WORK, CURRENT, BEST, _FIRST = range(4)
COPIES = _FIRST + CHECKPOINTS
"""Of the engine that is needed."""
_ALL = 2**40
_TOLERANCE = 1e-5
"""By which a bound may be wrong: $, and as a share."""
_TEMPERATURE = 4.0
"""$ by which a day may be worse, on the mean, to be gone on from, at the beginning."""
_NOW = (0.0, 0.1, 0.25, 0.5)
_FREED = (1, 2, 4, 8)
_TIMES = (900, 1800, 3600, 7200)


class DaySearch:
    """Changes a day and keeps what is better.

    A change forces one decision, or frees some aircraft from their plan for some time; those who cannot follow their
    plan any more are repaired by a greedy rule that knows who will come.

    Args:
        engine: of `COPIES` copies that begin the same day; all of them are played. It must record.
        key: of the randomness.
        start: decisions of the same day to begin from, if they earn more than repair by itself; as logged.

    Attributes:
        best: profit of the best day so far, µ$; it lies in copy `BEST`.
        tries: changes so far.
    """

    def __init__(self, engine: AirEngine, key: int, start: NDArray[np.int64] | None = None) -> None:
        self._engine = engine
        self._rng = np.random.default_rng(key)
        instance = engine.instance(WORK)
        self._fleet, self._n = instance.num_aircraft, instance.num_vertiports
        self._plan = np.zeros((self._fleet, engine.state.log.shape[1], NUM_PLAN), dtype=np.int64)
        self._length, self._pointer = np.zeros((2, self._fleet), dtype=np.int64)
        self._steps = np.zeros(CHECKPOINTS, dtype=np.int64)
        self.tries = 0
        self._current = self.best = self._begin(start)

    def run(self, seconds: float, found: Callable[[], None] | None = None) -> None:
        """Search for so much wall time.

        Args:
            found: is told of each better day.
        """
        began = time.perf_counter()
        while (share := (time.perf_counter() - began) / seconds) < 1.0:
            self._try(_TEMPERATURE * d.MICRO * (1.0 - share))
            if self._current > self.best:
                self.best = self._current
                self._engine.copy([CURRENT], [BEST])
                if found is not None:
                    found()

    def _begin(self, start: NDArray[np.int64] | None) -> int:
        """Play the given day, and days by repair alone, and keep the best. Returns its profit, µ$."""
        best = -_ALL * d.MICRO
        repairs = [(now, later, bonus, 0.0) for now in _NOW for later in (0.0, 0.3) for bonus in (0.0, 6.0)]
        if start is not None:
            self._take_plan(start)
            repairs.insert(0, (0.0, 0.0, 0.0, 0.0))
        for weights in repairs:
            self._engine.copy([_FIRST], [WORK])
            profit = self._play(WORK, _change(), np.array(weights))
            self._length[:] = 0
            if profit > best:
                best = profit
                self._engine.copy([WORK], [CURRENT])
        self._engine.copy([CURRENT], [BEST])
        self._keep_moments(0)
        return best

    def _try(self, temperature: float) -> None:
        """Change the day at hand; take the change if it is better, or by chance if it is little worse."""
        rng = self._rng
        weights = np.zeros(NUM_WEIGHTS)
        weights[NOW_WEIGHT] = rng.choice(_NOW)
        weights[NEXT_WEIGHT] = rng.choice([0.0, 0.2, 0.5])
        weights[STAY_BONUS] = rng.choice([0.0, 6.0, 12.0])
        weights[NOISE] = rng.choice([0.0, 3.0, 10.0])
        clock = self._engine.state.clock[CURRENT]
        first = int(rng.integers(clock[d.STEPS]))
        change, freed = _change(), np.zeros(self._fleet, dtype=np.bool_)
        if rng.random() < 0.5:
            change[[FORCED_STEP, FORCED_TO]] = first, rng.integers(self._n)
        else:
            begin = int(self._engine.state.log[CURRENT, first, d.LOG_TIME])
            change[[FREE_FROM, FREE_UNTIL]] = begin, begin + rng.choice(_TIMES)
            freed[rng.permutation(self._fleet)[: rng.choice(_FREED)]] = True
        moment = int(np.searchsorted(self._steps, first, side="right")) - 1
        self._engine.copy([_FIRST + moment], [WORK])
        profit = self._play(WORK, change, weights, freed)
        self.tries += 1
        if profit >= self._current - temperature * rng.exponential():
            self._current = profit
            self._engine.copy([WORK], [CURRENT])
            self._keep_moments(moment)

    def _play(
        self,
        copy: int,
        change: NDArray[np.int64],
        weights: NDArray[np.float64],
        freed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Play a copy on by the plan. Returns its profit then, µ$."""
        engine, key = self._engine, np.uint64(self._rng.integers(2**63))
        if freed is None:
            freed = np.zeros(self._fleet, dtype=np.bool_)
        plan = self._plan, self._length, self._pointer
        play_changed(engine.problem, engine.state, copy, *plan, freed, change, weights, key)
        return int(objective(engine.problem, engine.state, copy))

    def _keep_moments(self, first: int) -> None:
        """Take the plan from the day at hand, and its moments after number `first`."""
        engine = self._engine
        decisions = int(engine.state.clock[CURRENT, d.STEPS])
        self._take_plan(engine.state.log[CURRENT, :decisions])
        for moment in range(first + 1, CHECKPOINTS):
            engine.copy([_FIRST + moment - 1], [_FIRST + moment])
            change = _change()
            change[UNTIL] = self._steps[moment] = decisions * moment // CHECKPOINTS
            self._play(_FIRST + moment, change, np.zeros(NUM_WEIGHTS))

    def _take_plan(self, log: NDArray[np.int64]) -> None:
        """Follow logged decisions from now on."""
        for a in range(self._fleet):
            rows = log[log[:, d.LOG_AIRCRAFT] == a]
            self._length[a] = len(rows)
            self._plan[a, : len(rows)] = rows[:, [d.LOG_TIME, d.LOG_FROM, d.LOG_TO, d.LOG_BOARDED]]


def _change() -> NDArray[np.int64]:
    """None."""
    change = np.zeros(NUM_CHANGE, dtype=np.int64)
    change[UNTIL], change[FORCED_STEP] = _ALL, -1
    return change


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
    search = DaySearch(arena.engine, seed, None if start is None else start.decisions)
    search.run(seconds)
    dollars = tight_bound(instance, realise(instance, seed, options.noise), options)
    bound = math.ceil(dollars * d.MICRO + _TOLERANCE * max(abs(dollars), 1.0) * d.MICRO)
    proved = search.best >= dollars * d.MICRO - _TOLERANCE * d.MICRO
    return KnownDay(arena.engine.schedule(BEST), search.best, search.best if proved else bound, proved)
