"""Which runs a sweep trains, in which order, and what it takes up after it was killed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from makespan.envs.core.errors import UserError
from makespan.eval.workers import Crew
from makespan.sweep.work import Desk, number_of_tasks, train_all

ByHand = Callable[..., Any]
# Nine trials worked by hand, see test_halving.py.
AT_FIRST = {1: 50.0, 2: 40.0, 3: 70.0, 4: 40.0, 5: 45.0, 6: 90.0, 7: 41.0, 8: 60.0, 9: 55.0, 0: 44.0}
AT_SECOND = {2: 39.0, 4: 30.0, 7: 35.0, 0: 40.0}
AT_LAST = {4: 29.0, 0: 38.0}


def worked(number: int, settings: dict[str, Any], seed: int, rung: int) -> float:
    return (AT_FIRST, AT_SECOND, AT_LAST)[rung][number]


def by_rate(number: int, settings: dict[str, Any], seed: int, rung: int) -> float:
    """The nearer the rate to a tenth the better."""
    return 100.0 * abs(settings.get("evolve_rate", 0.06) - 0.1) + settings.get("evolve_directions", 16) / 10 - rung


def test_a_sweep_worked_by_hand(by_hand: ByHand) -> None:
    with by_hand(worked) as hand:
        hand.work()
        assert hand.done == [
            *((number, 0, 0) for number in range(1, 10)),
            (2, 1, 0),
            (4, 1, 0),
            (7, 1, 0),
            (4, 2, 0),
        ]
        assert number_of_tasks(hand.config, hand.folder.trials) == (13, 13)
        assert hand.told[:2] == [("trial 1, 100 steps", 0), ("trial 1, 100 steps", 1)]


def test_the_baseline_is_trained_to_the_end_and_takes_nobodys_place(by_hand: ByHand) -> None:
    with by_hand(worked, baseline={}) as hand:
        hand.work()
        assert [done for done in hand.done if done[0] == 0] == [(0, 0, 0), (0, 1, 0), (0, 2, 0)]
        assert [hand.came_to(rung) for rung in range(3)] == [[*range(1, 10)], [2, 4, 7], [4]]
        assert hand.told[0] == ("baseline, 100 steps", 0)
        assert number_of_tasks(hand.config, hand.folder.trials) == (16, 16)


def test_where_large_objectives_are_good(by_hand: ByHand) -> None:
    bandits = {"env": "makespan/RestlessBandits-v0", "budget": {"unit": "steps", "first": 100, "last": 300}}
    with by_hand(worked, **bandits) as hand:
        hand._objective = lambda number, settings, seed, rung: AT_FIRST[number]
        hand.work()
        assert hand.came_to(1) == [3, 6, 8]


def test_seeds_are_averaged(by_hand: ByHand) -> None:
    """Trial 1 is best with one seed and worst on average."""
    table = {(1, 0): 0.0, (1, 5): 90.0, (2, 0): 20.0, (2, 5): 30.0, (3, 0): 40.0, (3, 5): 20.0}
    small = {"trials": 3, "budget": {"unit": "steps", "first": 100, "last": 300}, "seeds": "0,5"}
    with by_hand(lambda number, settings, seed, rung: table[number, seed], **small) as hand:
        hand.work()
        assert hand.folder.trials[1].objective(0, (0, 5)) == 45.0
        assert hand.done[-2:] == [(2, 1, 0), (2, 1, 5)]


def test_several_processes_train_the_same(by_hand: ByHand) -> None:
    """Nobody waits for whom it need not: only the last of a rung decide, in whatever order they end."""
    with by_hand(worked) as hand:
        tasks = [hand.take(worker) for worker in range(9)]
        assert hand.take(9) is None
        for task in reversed(tasks[1:]):
            hand.finish(task)
            assert hand.take() is None
        hand.finish(tasks[0])
        second = [hand.take(worker) for worker in range(3)]
        assert [task.run.trial for task in second] == [2, 4, 7]
        assert hand.take() is None
        for task in second:
            hand.finish(task)
        hand.work()
        settings = hand.settings()
    with by_hand(worked, name="alone") as hand:
        hand.work()
        assert hand.settings() == settings


def test_a_run_whose_process_died_is_done_again(by_hand: ByHand) -> None:
    with by_hand(worked) as hand:
        first, second = hand.take(), hand.take()
        hand.board.put_back(first)
        assert hand.take() == first
        hand.finish(first)
        hand.finish(second)
        hand.work()
        assert hand.came_to(2) == [4]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_after_a_kill_the_same_is_proposed_and_trained(by_hand: ByHand, sampler: str) -> None:
    """Killed after every single task, with one begun: trials, and the order of what is left, are those unbroken."""
    changes = {"sampler": sampler, "trials": 14, "baseline": {}, "seeds": "0,1", "seed": 3}
    with by_hand(by_rate, name="unbroken", **changes) as hand:
        hand.work()
        whole, settings = hand.done, hand.settings()
        results = {number: trial for number, trial in hand.folder.trials.items()}
    done: list[tuple[int, int, int]] = []
    for _ in range(len(whole) + 1):
        with by_hand(by_rate, name="broken", **changes) as hand:
            hand.work(tasks=1)
            hand.take()  # and this one is lost
            done += hand.done
    assert done == whole
    with by_hand(by_rate, name="broken", **changes) as hand:
        assert hand.take() is None
        assert hand.settings() == settings
        assert hand.folder.trials == results
    # TPE is of use: what it proposes later is better than what it drew at first, at random.
    if sampler == "tpe":
        values = [results[number].objective(0, (0, 1)) for number in range(1, 15)]
        assert sum(values[10:]) / 4 < sum(values[:10]) / 10


def test_a_trial_that_fails_is_left_behind(by_hand: ByHand) -> None:
    def failing(number: int, settings: dict[str, Any], seed: int, rung: int) -> float | str:
        return "training diverged" if (number, rung) in ((2, 0), (4, 1)) else AT_FIRST[number]

    with by_hand(failing) as hand:
        hand.work()
        assert [hand.came_to(rung) for rung in range(3)] == [[1, 3, 4, 5, 6, 7, 8, 9], [5, 7], [7]]
        trials = hand.folder.trials
        assert (trials[4].problem, trials[4].failed_at, trials[4].rank(hand.config)) == ("training diverged", 1, 0)
        done = hand.done
    with by_hand(failing) as hand:  # who went on is the same when it is looked at again
        assert hand.take() is None
        assert hand.folder.trials == trials
    assert len(done) == 9 + 3 + 1


def test_all_fail(by_hand: ByHand) -> None:
    with by_hand(lambda *_: "no such teacher") as hand, pytest.raises(UserError) as error:
        hand.work()
    assert str(error.value) == "every trial failed; the first: no such teacher"


def test_all_fail_later(by_hand: ByHand) -> None:
    """What was reached before stays, and the baseline goes on."""
    with by_hand(lambda number, s, seed, rung: AT_FIRST[number] if not rung or not number else "x", baseline={}) as h:
        h.work()
        assert [h.came_to(rung) for rung in range(3)] == [[*range(1, 10)], [], []]
        assert h.folder.trials[0].rank(h.config) == 2


def test_a_space_that_is_smaller_than_it_looks(by_hand: ByHand) -> None:
    """Of six settings four go together: batch must be at most copies x rollout."""
    space = {"copies": [8, 64], "batch": [64, 256, 512]}
    changes = {"agent": "slots-ppo", "training": {"rollout": 8}, "space": space}
    for sampler in ("random", "tpe", "grid"):
        trials = {"trials": ... if sampler == "grid" else 6}
        with by_hand(by_rate, name=sampler, **changes, **trials, sampler=sampler) as hand:
            hand.work()
            found = [tuple(settings.values()) for settings in hand.settings().values()]
        assert sorted(found) == [(8, 64), (64, 64), (64, 256), (64, 512)]
        if sampler == "grid":
            assert found == sorted(found)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"number": 3}, "0001.json: number is 3, expected that of the file's name"),
        ({"number": 10}, "0001.json: number is 10, expected an integer from 0 to 9"),
        ({"settings": {"evolve_rate": 0.1}}, "settings is {'evolve_rate': 0.1}, expected values of evolve_rate, evolv"),
        ({"settings": {"evolve_rate": -1.0, "evolve_directions": 2}}, "0001.json: settings: option evolve_rate is -1"),
        ({"settings": {"evolve_rate": "x", "evolve_directions": 2}}, "0001.json: settings: option evolve_rate is 'x'"),
        ({"problem": 3}, "problem is 3, expected a text or null"),
        ({"problem": "x"}, "failed_at is None, expected an integer"),
        ({"reached": {}}, "reached is {}, expected a list"),
        ({"reached": [{}]}, "0001.json: reached[0] is [], expected an object with the key 'rung'"),
        ({"format": "makespan/training-run"}, "0001.json"),
        ({"extra": 1}, "unknown key of"),
    ],
)
def test_damaged_trials_are_told_of_in_one_line(by_hand: ByHand, tmp_path: Path, change: Any, says: str) -> None:
    with by_hand(worked) as hand:
        hand.work(tasks=2)
    path = tmp_path / "sweep" / "trials" / "0001.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **change}))
    with pytest.raises(UserError) as error, by_hand(worked):
        pass
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "key, value",
    [("rung", 3), ("seed", 1), ("objective", None), ("objective", "x"), ("seconds", True), ("decisions", -1)],
)
def test_damaged_results_are_told_of_in_one_line(by_hand: ByHand, tmp_path: Path, key: str, value: Any) -> None:
    with by_hand(worked) as hand:
        hand.work(tasks=1)
    path = tmp_path / "sweep" / "trials" / "0001.json"
    data = json.loads(path.read_text())
    data["reached"][0][key] = value
    path.write_text(json.dumps(data))
    with (
        pytest.raises(UserError, match=f"reached\\[0\\].{key} is {value}|reached\\[0\\].{key} is 'x'"),
        by_hand(worked),
    ):
        pass


def test_a_node_that_does_not_see_the_folder_says_so(by_hand: ByHand, tmp_path: Path) -> None:
    with by_hand(worked) as hand:
        task = hand.take()
        elsewhere = task._replace(folder=tmp_path / "other" / "runs" / task.folder.name)
        with pytest.raises(UserError, match=r"does not see the folder .*other'; put it where all do"):
            Desk(hand.config).do(elsewhere)
    assert not (tmp_path / "other").exists()


class Elsewhere(Crew):
    """Workers that see other files; they do nothing."""

    sees_files = False

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] = ()

    @contextmanager
    def hire(self, make_desk: Any, arguments: tuple[Any, ...]) -> Iterator[Any]:
        self.arguments = arguments
        raise KeyboardInterrupt
        yield

    def wait(self, busy: Any) -> Any:
        raise NotImplementedError


def test_files_that_a_sweep_names_are_sent_along(
    by_hand: ByHand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/card.json").write_text("{}")
    Path("mine/other.json").write_text("{}")
    space = {"start": ["none", "mine/card.json"]}
    crew = Elsewhere()
    sent = {"space": space, "trials": 2, "baseline": {"start": "mine/other.json"}}
    with by_hand(worked, **sent) as hand, pytest.raises(KeyboardInterrupt):
        train_all(hand.config, hand.folder, crew, lambda what, tasks: None)
    assert crew.arguments[0] == hand.config
    assert set(crew.arguments[1]) == {"mine/card.json", "mine/other.json"}
    assert pickle.loads(pickle.dumps(crew.arguments)) == crew.arguments
