"""What an observation, a mask or a reward says does not depend on what has not happened yet."""

from __future__ import annotations

import dataclasses

import numpy as np
from makespan.envs.air_mobility import state as d
from makespan.envs.air_mobility.catalogue import instance as named_instance
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.instance import DELAY_SLOT, DOWNTIMES, HALF_HOUR, AirDay
from makespan.envs.air_mobility.world import realise
from numpy.typing import NDArray

LA8 = named_instance("la8-high")
NOON = 6 * 3600


def with_another_future(day: AirDay, other: AirDay, landings: NDArray[np.int64]) -> AirDay:
    """A day up to noon, and then another's: passengers, delays, closures, and repairs after landings to come."""
    half_hour = NOON // HALF_HOUR
    delay = day.delay.copy()
    delay[:, NOON // DELAY_SLOT :] = other.delay[:, NOON // DELAY_SLOT :]
    closures = [day.closures[day.closures[:, 2] < half_hour], other.closures[other.closures[:, 2] >= half_hour]]
    return dataclasses.replace(
        day,
        arrivals=tuple(
            np.concatenate([one[one < NOON], two[two >= NOON]])
            for one, two in zip(day.arrivals, other.arrivals, strict=True)
        ),
        delay=delay,
        closures=np.concatenate(closures),
        downtime=np.where(np.arange(DOWNTIMES) < landings[:, None], day.downtime, other.downtime),
    )


def play(day: AirDay, until: int) -> tuple[AirEngine, list[list[NDArray[np.generic]]]]:
    """The engine and all that was told of each decision before a time, under random legal actions."""
    engine, draw, told = make_engine(1, dataclasses.replace(LA8, day=day)), np.random.default_rng(5), []
    engine.reset([0])
    while engine.is_running()[0] and engine.state.clock[0, d.TIME] < until:
        said = [engine.outcome.reward, engine.outcome.elapsed, engine.objectives()]
        told.append([array.copy() for array in (*engine.block.views.values(), *said)])
        engine.step([int(draw.choice(np.flatnonzero(engine.masks[0])))])
    return engine, told


def differ(one: list[NDArray[np.generic]], other: list[NDArray[np.generic]]) -> bool:
    return not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_future_is_in_nothing_that_is_told():
    day = realise(LA8, 0, 2.0)
    engine, before = play(day, NOON)
    landings = engine.state.aircraft[0, :, d.LANDINGS].copy()
    other = with_another_future(day, realise(LA8, 1, 2.0), landings)
    assert len(before) > 500
    assert engine.state.aircraft[0, :, d.PHASE].tolist().count(d.DOWN) > 0
    told = play(other, NOON)[1]
    assert len(told) == len(before)
    assert not any(differ(one, two) for one, two in zip(before, told, strict=True))
    # The futures are others indeed, and soon seen.
    ends = [play(each, NOON + 3600) for each in (day, other)]
    later = [found[len(before) :] for _, found in ends]
    assert any(differ(one, two) for one, two in zip(*later, strict=False))


def test_imagined_copies_do_not_hold_a_given_day():
    engine = make_engine(1, dataclasses.replace(LA8, day=realise(LA8, 0, 2.0)))
    engine.reset([0])
    imagined = engine.imagine([0, 0], [1, 2])
    assert engine.instance(0).day is not None
    assert imagined.instance(1).day is None
    assert imagined.imagine([1], [3]).instance(0).day is None
