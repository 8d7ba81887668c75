"""Actors that play for a learner: each round is learned from once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.checkpoint import load_checkpoint
from makespan.envs.core.errors import FieldError
from makespan.eval.workers import work_through
from makespan.training.books import Interrupted
from makespan.training.config import TrainConfig
from makespan.training.muzero import MuZeroRun
from makespan.training.muzero_actors import Actor, Games, PlayGames, Stage, posted
from makespan.training.muzero_replay import ObservedStates, Replay, Step
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

JOB_SHOP = "makespan/JobShop-v0"


def config(out: Path, **changes: Any) -> TrainConfig:
    usual: dict[str, Any] = {
        "instances": "random:size=3x3",
        "steps": 192,
        "minutes": 60.0,
        "actors": 2,
        "copies": 4,
        "rollout": 8,
        "batch": 8,
        "epochs": 1,
        "encoder": "slots",
        "simulations": 2,
        "unroll": 2,
        "bootstrap": 3,
        "validation_worlds": 2,
        "save_every": 1e6,
        "validate_every": 1e6,
    }
    return TrainConfig(JOB_SHOP, "muzero", str(out), **{**usual, **changes})


class Here:
    """Leads actors in this process, in turn, and lets some of them die."""

    def __init__(self, number: int, dies: Callable[[int, int], bool] = lambda worker, task: False) -> None:
        self._number, self._dies = number, dies
        self.games: list[tuple[int, int, bool]] = []

    def __call__(self, board: Stage, make_desk: Callable[..., Actor], *arguments: Any) -> None:
        desks: dict[int, Actor] = {}
        told = 0
        while True:
            idle = True
            for worker in range(self._number):
                task = board.take(worker)
                if task is None:
                    continue
                idle = False
                games = desks.setdefault(worker, make_desk(*arguments)).do(task)
                told += 1
                if self._dies(worker, told):
                    del desks[worker]
                    board.put_back(task)
                else:
                    self.games.append((worker, task.number, games.anew))
                    board.done(task, games)
            if idle:
                return


def test_every_round_is_learned_from_once_though_actors_die(tmp_path: Path) -> None:
    lead = Here(2, dies=lambda worker, told: told in (3, 4))
    run = make_run(config(tmp_path / "x"), False, Progress(config(tmp_path / "x"), quiet=True))
    assert isinstance(run, MuZeroRun)
    run.lead = lead
    run.train()
    assert run.decisions == 192
    assert sorted(number for _, number, _ in lead.games) == list(range(1, 7))
    assert [anew for _, _, anew in lead.games] == [True, True, True, True, False, False], "two died after a round each"
    assert load_checkpoint(tmp_path / "x" / "last")[1]["training"]["decisions"] == 192
    assert [replay.size for replay in run._replays] == [96, 96]


def test_one_actor_is_the_same_each_time_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folders = [train(config(tmp_path / name, actors=1), quiet=True, lead=Here(1)) for name in ("a", "b")]
    one, other = (load_checkpoint(folder / "last")[0] for folder in folders)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])

    class Stops(Here):
        def __call__(self, board: Stage, make_desk: Callable[..., Actor], *arguments: Any) -> None:
            board.done((task := board.take(0)), make_desk(*arguments).do(task))  # type: ignore[arg-type]
            raise Interrupted("stopped", by_user=True)

    with pytest.raises(Interrupted):
        train(config(tmp_path / "c", actors=1), quiet=True, lead=Stops(1))
    rest = Here(1)
    train(config(tmp_path / "c", actors=1), quiet=True, lead=rest)
    assert load_checkpoint(tmp_path / "c" / "last")[1]["training"]["decisions"] == 192
    assert len(rest.games) == 5


def test_rounds_without_end_are_not_listed() -> None:
    told: list[tuple[int, Any]] = []
    stage = Stage(7, 10**30, lambda: b"w", lambda worker, games: told.append((worker, games)))
    tasks = [stage.take(worker) for worker in range(3)]
    assert [task and task.number for task in tasks] == [8, 9, 10]
    assert tasks[1] is not None
    stage.put_back(tasks[1])
    again = [stage.take(worker) for worker in (5, 6)]
    assert [task and task.number for task in again] == [9, 11]
    assert again[0] is not None
    games: Any = "games"
    stage.done(again[0], games)
    assert told == [(5, "games")]
    short = Stage(0, 1, lambda: b"w", lambda worker, games: None)
    assert (short.take(0) is None, short.take(0) is None) == (False, True)
    assert Stage(0, 0, lambda: b"w", lambda worker, games: None).take(0) is None


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="option actors is 2, expected 0 for agent 'alphazero'"):
        TrainConfig(JOB_SHOP, "alphazero", "x", actors=2)
    with pytest.raises(FieldError, match="option actors is 2, expected 0 where nobody leads them"):
        train(config(tmp_path / "x"), quiet=True)


def test_a_gap_ends_what_is_known() -> None:
    """The value of the last state before a gap is that of its search, and nothing is unrolled over the gap."""
    replay = Replay(ObservedStates({"x": np.zeros((1, 1), dtype=np.float32)}, 8, 1), 8, 1, 2, bootstrap=3)

    def put(reward: float) -> None:
        replay.states.put(replay.next_moment, {"x": np.full((1, 1), reward, dtype=np.float32)})
        one, no = np.ones(1, dtype=np.float32), np.zeros(1, dtype=np.bool_)
        policy = np.full((1, 2), 0.5, dtype=np.float32)
        replay.put(Step(np.zeros(1, dtype=np.int64), reward * one, one, no, no, 0 * one, policy, 100 * reward * one))

    for reward in (1.0, 2.0):
        put(reward)
    replay.cut()
    for reward in (4.0, 8.0, 16.0):
        put(reward)
    batch = replay.sample(np.random.default_rng(0), 200, 2)
    for row, values, known in zip(batch.rows, batch.values, batch.known, strict=True):
        if row == 0:
            assert values[0] == 1 + 200, "the reward, then the search's value of the state before the gap"
            assert known.tolist() == [1, 1, 0]
        if row == 1:
            assert values[0] == 200
            assert known.tolist() == [1, 0, 0]
        if row == 2:
            assert values[0] == 4 + 8 + 1600


@pytest.mark.slow
def test_processes_play(tmp_path: Path) -> None:
    run = make_run(config(tmp_path / "x"), False, Progress(config(tmp_path / "x"), quiet=True))
    assert isinstance(run, MuZeroRun)
    killed: list[int] = []

    def lead(board: Stage, make_desk: Any, *arguments: Any) -> None:
        class Kills:
            """Kills one of the processes that play after the second round."""

            def take(self, worker: int) -> PlayGames | None:
                return board.take(worker)

            def put_back(self, task: PlayGames) -> None:
                killed.append(task.number)
                board.put_back(task)

            def done(self, task: PlayGames, result: Games) -> None:
                board.done(task, result)
                if run.decisions == 64:
                    import multiprocessing

                    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

        work_through(Kills(), 2, make_desk, *arguments)

    run.lead = lead
    run.train()
    assert run.decisions == 192
    assert len(killed) == 1, "whoever dies idle is found out with the next task"
    assert len(posted(run.module)) > 0


@pytest.mark.slow
def test_ray_s_actors_play(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from support.ray_nodes import nodes

    words = (
        f"train {JOB_SHOP} --agent muzero --instances random:size=3x3 --steps 256 --minutes 30 --copies 4 --rollout 8"
    )
    words += " --batch 8 --simulations 2 --encoder slots --unroll 2 --bootstrap 3 --validation-worlds 2 --actors 2"
    with nodes(head_cpus=1, count=1) as made:
        command = [sys.executable, "-m", "makespan.cli.main", *words.split(), "--json", "--out", str(tmp_path / "x")]
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
        process = subprocess.Popen([*command, "--ray", made.address], env=environment, stdout=subprocess.PIPE)
        until = time.monotonic() + 300
        while not (tmp_path / "x" / "best").exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.2)
        made.kill()
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert b'"decisions": 256' in said
