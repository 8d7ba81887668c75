"""The engine of DAG scheduling and the slow, plain chip (`PlainChip`), played side by side by the same choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from makespan.envs.soc import state as d
from makespan.envs.soc.engine import SocEngine
from makespan.envs.soc.env import make_static, make_stream
from makespan.envs.soc.instance import SocInstance
from makespan.envs.soc.validity import validate
from support.soc_reference import PlainChip

_WINDOW = 64
_NOT_OF_THE_CHIP = ("objective", "reward_scale", "mode", "imagined", "window")


def play_twins(instance: SocInstance, seed: int, static: bool = False, **options: Any) -> SocEngine:
    """Play one episode in both by random choices; assert that they agree at every decision and in what comes of it.

    Args:
        options: of the environment.

    Returns:
        The engine, at the end of its episode, whose schedule is valid.
    """
    make = make_static if static else make_stream
    engine = make(1, instance=instance, record=not static, window=_WINDOW, **options)
    chip = PlainChip(instance, seed, static=static, **{k: v for k, v in options.items() if k not in _NOT_OF_THE_CHIP})
    engine.reset([seed])
    random = np.random.default_rng(seed)
    rewards, decisions, elapsed = 0.0, 0, 0.0

    def choose(chip: PlainChip) -> tuple[int, int]:
        nonlocal rewards, decisions, elapsed
        assert engine.is_running()[0], f"the engine has ended at {engine.state.clock[0, d.TIME]}, not at {chip.now}"
        look_alike(engine, chip)
        first = engine.state.first[0]
        for w in range(min(len(chip.offered), _WINDOW)):
            if len(chip.offered) < 4 or random.random() < 0.25:
                assert starts_of(chip, w) == {p: int(first[w, p]) for p in able(chip, w)}, (chip.now, w)
        action = int(random.choice(np.flatnonzero(engine.masks[0])))
        w, p = meaning(engine, chip, action)
        outcome = engine.step([action])
        rewards, decisions, elapsed = rewards + outcome.reward[0], decisions + 1, elapsed + outcome.elapsed[0]
        return w, p

    chip.play(choose)
    assert not engine.is_running()[0], f"the engine goes on at {chip.now}"
    clock = engine.state.clock[0]
    assert decisions == chip.decisions == clock[d.STEPS]
    assert clock[d.COST] == chip.objective("latency")
    assert clock[d.LAST_FINISH] == chip.objective("makespan")
    assert clock[d.ENERGY_USED] == chip.objective("energy")
    np.testing.assert_allclose(engine.utilisation(0) * max(chip.now, 1), chip.busy)
    expected = chip.objective(engine.options.objective)
    assert engine.objectives()[0] == expected
    if decisions:
        assert elapsed == clock[d.TIME] == chip.now
        np.testing.assert_allclose(rewards * engine.reward_scale(0), -expected, rtol=1e-6, atol=1e-3)
    mine, theirs = engine.schedule(0), chip.schedule()
    assert mine.jobs.tolist() == theirs.jobs.tolist()
    assert sorted(mine.tasks.tolist()) == sorted(theirs.tasks.tolist())
    assert validate(mine) == []
    return engine


def look_alike(engine: SocEngine, chip: PlainChip) -> None:
    """Clock, queues and offered tasks are the same."""
    state, clock, room = engine.state, engine.state.clock[0], engine.room.tasks

    def name(x: int) -> tuple[int, int]:
        return int(state.job[0, x // room, d.NUMBER]), x % room

    assert clock[d.TIME] == chip.now
    assert clock[d.TOLD_AT] == chip.told
    assert clock[d.IN_SYSTEM] == chip.in_system
    offered = [name(int(x)) for x in state.offered[0, : clock[d.OFFERED_COUNT]]]
    assert offered == [(x.job, x.task) for x in chip.offered]
    for p in chip.pes:
        pe, queue = state.pe[0, p], []
        x = int(pe[d.HEAD])
        while x >= 0:
            queue.append(name(x))
            x = int(state.task[0, x, d.NEXT])
        assert queue == [(x.job, x.task) for x in chip.queues[p]], f"queue of PE {p}"
        running = chip.running[p]
        assert (pe[d.RUNS] < 0) == (running is None)
        if running is not None:
            assert name(int(pe[d.RUNS])) == (running.job, running.task)
        assert pe[d.UP] == chip.is_up(p)
        assert pe[d.QUEUED] == len(queue)


def able(chip: PlainChip, w: int) -> list[int]:
    return [p for p in chip.pes if chip.mean_time(chip.offered[w], p) >= 0]


def starts_of(chip: PlainChip, w: int) -> dict[int, int]:
    """Where the w-th offered task is expected to start, by PE."""
    return {p: chip.place(chip.offered[w], p)[1] for p in able(chip, w)}


def meaning(engine: SocEngine, chip: PlainChip, action: int) -> tuple[int, int]:
    """(which offered task, PE) of an action."""
    if engine.options.mode == "order":
        x = chip.offered[action]
        return action, min(able(chip, action), key=lambda p: (chip.place(x, p)[2], p))
    w, group = divmod(action, engine.room.groups)
    x = chip.offered[w]
    members = [p for p in able(chip, w) if chip.instance.groups[p] == group]
    return w, min(members, key=lambda p: (chip.place(x, p)[1], p))
