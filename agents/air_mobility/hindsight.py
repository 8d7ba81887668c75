"""The best day that is found for a fleet when all that chance decides is known beforehand: destroy and repair.

A measure for others, and no agent: it plays the true day over and over.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...envs.air_mobility import state as d
from ...envs.air_mobility.engine import AirEngine
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
_TEMPERATURE = 4.0
"""$ by which a day may be worse, on the mean, to be gone on from, at the beginning."""
_FREED = (1, 2, 4, 8)
_TIMES = (900, 1800, 3600, 7200)


class DaySearch:
    """Changes a day and keeps what is better.

    A change forces one decision, or frees some aircraft from their plan for some time; those who cannot follow their
    plan any more are repaired by a greedy rule that knows who will come.

    Args:
        engine: of `COPIES` copies that begin the same day; all of them are played. It must record.
        key: of the randomness.

    Attributes:
        best: profit of the best day so far, µ$; it lies in copy `BEST`.
        tries: changes so far.
    """

    def __init__(self, engine: AirEngine, key: int) -> None:
        self._engine = engine
        self._rng = np.random.default_rng(key)
        instance = engine.instance(WORK)
        self._fleet, self._n = instance.num_aircraft, instance.num_vertiports
        self._plan = np.zeros((self._fleet, engine.state.log.shape[1], NUM_PLAN), dtype=np.int64)
        self._length, self._pointer = np.zeros((2, self._fleet), dtype=np.int64)
        self._steps = np.zeros(CHECKPOINTS, dtype=np.int64)
        self.tries = 0
        self._current = self.best = self._begin()

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

    def _begin(self) -> int:
        """Play days by repair alone and keep the best. Returns its profit, µ$."""
        best = -_ALL * d.MICRO
        for now_weight in (0.0, 0.1, 0.25, 0.5):
            for next_weight in (0.0, 0.3):
                for bonus in (0.0, 6.0):
                    weights = np.array([now_weight, next_weight, bonus, 0.0])
                    self._engine.copy([_FIRST], [WORK])
                    profit = self._play(WORK, _change(), weights)
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
        weights[NOW_WEIGHT] = rng.choice([0.0, 0.1, 0.25, 0.5])
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
        return int(engine.state.clock[copy, d.PROFIT])

    def _keep_moments(self, first: int) -> None:
        """Take the plan from the day at hand, and its moments after number `first`."""
        engine = self._engine
        decisions = int(engine.state.clock[CURRENT, d.STEPS])
        log = engine.state.log[CURRENT, :decisions]
        for a in range(self._fleet):
            rows = log[log[:, d.LOG_AIRCRAFT] == a]
            self._length[a] = len(rows)
            self._plan[a, : len(rows)] = rows[:, [d.LOG_TIME, d.LOG_FROM, d.LOG_TO, d.LOG_BOARDED]]
        for moment in range(first + 1, CHECKPOINTS):
            engine.copy([_FIRST + moment - 1], [_FIRST + moment])
            change = _change()
            change[UNTIL] = self._steps[moment] = decisions * moment // CHECKPOINTS
            self._play(_FIRST + moment, change, np.zeros(NUM_WEIGHTS))


def _change() -> NDArray[np.int64]:
    """None."""
    change = np.zeros(NUM_CHANGE, dtype=np.int64)
    change[UNTIL], change[FORCED_STEP] = _ALL, -1
    return change
